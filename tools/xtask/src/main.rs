//! Developer commands, in Rust so that there is no shell to port: `cargo xtask test`, `cargo xtask ci`.

mod steps;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <command> [options]

  test   checks for the tools that system tests need (installs them when run as root on Debian, otherwise prints the
         line that does), then runs every test and every bench once
  ci     what CI runs: format, lints, the demo and its replay, then test

Options
  --require-data   recordings missing from ../shared/data are a failure, not a skip
  --require-tools  a missing tool is a failure, not a skip
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let mut options = steps::Options::default();
    for option in arguments {
        match option.as_str() {
            "--require-data" => options.require_data = true,
            "--require-tools" => options.require_tools = true,
            other => {
                eprintln!("unknown option {other}\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    let result = match command.as_str() {
        "test" => steps::test(&options),
        "ci" => steps::ci(&options),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
