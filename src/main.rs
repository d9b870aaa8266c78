//! The program. Everything is in the library; see `touchline::cli`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: touchline::tiles::near::NotingAllocator = touchline::tiles::near::NotingAllocator;

fn main() -> ExitCode {
    touchline::cli::main()
}
