//! What each command runs, in order; the first failure ends it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::tools;

/// How strict to be.
#[derive(Default)]
pub struct Options {
    /// Missing recordings fail.
    pub require_data: bool,
    /// Missing tools fail.
    pub require_tools: bool,
}

/// Every test, then every bench once.
///
/// # Errors
/// The first step that failed.
pub fn test(options: &Options) -> Result<(), String> {
    tools::ensure(options.require_tools)?;
    let skips = target().join("skipped-tests.txt");
    let _ = std::fs::remove_file(&skips);
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--profile", "ci"]);
    tests.env("TOUCHLINE_SKIPS", &skips);
    if options.require_data {
        tests.env("TOUCHLINE_REQUIRE_DATA", "1");
    }
    if options.require_tools {
        tests.env("TOUCHLINE_REQUIRE_TOOLS", "1");
    }
    let tally = counted_step("tests", &mut tests)?;
    step("benches, once", &mut cargo(&["test", "--benches", "--quiet", "--profile", "ci"]))?;
    let skipped = match std::fs::read_to_string(&skips) {
        Ok(lines) => {
            println!("skipped:\n{lines}");
            lines.lines().count()
        }
        Err(_) => 0,
    };
    println!("{} passed, {} failed, {skipped} skipped", tally.passed, tally.failed);
    Ok(())
}

/// What CI runs.
///
/// # Errors
/// The first step that failed.
pub fn ci(options: &Options) -> Result<(), String> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    step("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    if Command::new("cargo-deny").arg("--version").output().is_ok() {
        step("licences, bans, sources", &mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    } else {
        println!("xtask: cargo-deny is not installed; the public workflow checks licences, bans and sources");
    }
    step("build", &mut cargo(&["build", "--profile", "ci"]))?;
    demo()?;
    tools::ensure(options.require_tools)?;
    if tools::works(&["valgrind", "--version"]) {
        let start = Instant::now();
        println!("==> gate");
        crate::gate::judge(&[])?;
        println!("<== gate: {:.0} s", start.elapsed().as_secs_f64());
    } else {
        println!("xtask: valgrind is not installed, so the hot functions' instructions are not counted");
    }
    test(options)
}

/// The main job: a short demo whose summary must hold, and its journal replayed.
fn demo() -> Result<(), String> {
    let out = target().join("ci-demo");
    let _ = std::fs::remove_dir_all(&out);
    let program = target().join("ci/touchline");
    let mut demo = Command::new(&program);
    demo.args(["demo", "--seconds", "15", "--json", "--out"]).arg(&out);
    step("demo", &mut demo)?;
    let journal = std::fs::read_dir(out.join("journal"))
        .and_then(|mut entries| entries.next().ok_or(std::io::ErrorKind::NotFound.into()).flatten())
        .map_err(|why| format!("the demo left no journal in {}: {why}", out.display()))?;
    step("replay of the demo", Command::new(&program).args(["replay", "--verify"]).arg(journal.path()))
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

fn step(name: &str, command: &mut Command) -> Result<(), String> {
    println!("==> {name}");
    let start = Instant::now();
    let status = command.status().map_err(|why| format!("{name}: cannot start {command:?}: {why}"))?;
    println!("<== {name}: {:.0} s", start.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})")) }
}

/// What test programs said at their ends, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Takes a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`; any other line counts nothing.
    fn take(&mut self, line: &str) {
        let Some(outcome) = line.strip_prefix("test result: ") else { return };
        let count = |what: &str| {
            let part = outcome.split([';', '.']).find_map(|part| part.trim().strip_suffix(what));
            part.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
    }
}

/// A step whose standard output is shown as it comes and searched for the ends of test programs.
fn counted_step(name: &str, command: &mut Command) -> Result<Tally, String> {
    println!("==> {name}");
    let start = Instant::now();
    let problem = |why: std::io::Error| format!("{name}: {why}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(problem)?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        // A test may print bytes that are no text.
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(problem)?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.take(&line);
        }
    }
    let status = child.wait().map_err(problem)?;
    println!("<== {name}: {:.0} s", start.elapsed().as_secs_f64());
    if status.success() { Ok(tally) } else { Err(format!("{name} failed ({status}): {} failed", tally.failed)) }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn ends_of_test_programs_are_added_up() {
        let mut tally = Tally::default();
        tally.take("test result: ok. 31 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.30s");
        tally.take("test result: FAILED. 4 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s");
        tally.take("7 passed; 7 failed");
        assert_eq!(tally, Tally { passed: 35, failed: 3 });
    }
}
