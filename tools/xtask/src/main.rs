//! Developer commands, in Rust so that there is no shell to port: `cargo xtask test`, `cargo xtask ci`,
//! `cargo xtask gate`, `cargo xtask mutants`.

mod gate;
mod mutants;
mod steps;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <command> [options]

  test   checks for the tools that system tests need (installs them when run as root on Debian, otherwise prints the
         line that does), then runs every test and every bench once
  ci     what CI runs: format, lints, the demo and its replay, the gate, then test
  gate [NAME…]
         counts the instructions of the hot functions under valgrind and compares them with benches/record/gate.json:
         one per cent more fails; also checks that each commit which changed that file changed nothing else
  gate --accept NAME… --because WHY
         writes the named counts (`all`: every one) into that file, to be committed by itself
  gate --repeat
         counts twice, the second time from another folder and a large environment, and wants the same numbers
  gate --drill
         makes decimals slower in a scratch copy and sees that the gate fails and names what got slower
  mutants [NAME…]
         makes each mistake of a list in a scratch copy and reports which test notices it
  mutants --file PATH [--shard K/N]
         every mistake that cargo-mutants can think of in a file of src

Options
  --require-data   recordings missing from ../shared/data are a failure, not a skip
  --require-tools  a missing tool is a failure, not a skip
";

fn main() -> ExitCode {
    if std::env::var_os(gate::WRAPPER).is_some() {
        return gate::compile();
    }
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    if command == "mutants" {
        let rest: Vec<String> = arguments.collect();
        let is_generated = rest.first().is_some_and(|first| first.starts_with("--"));
        let result = if is_generated { mutants::generated(&rest) } else { mutants::named(&rest) };
        return ended(result);
    }
    if command == "gate" {
        return ended(gate::run(&arguments.collect::<Vec<_>>()));
    }
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
    ended(result)
}

fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
