//! The program. Everything is in the library; see `touchline::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    touchline::cli::main()
}
