//! `cargo xtask gate`: the hot functions' instruction counts against the ones on record.
//!
//! Counts come from callgrind, which `benches/hot.rs` starts for each function. The bench is built for x86-64-v3 (an older
//! valgrind dies on AVX-512, which `native` may mean) in one codegen unit, so that a change elsewhere does not move code
//! between units. Only this project's own crate is built so: its dependencies are those that every other step has built.
//! cargo gives flags to all crates or to none, hence the detour: xtask names itself as the compiler's wrapper for the
//! workspace, and adds them.
//!
//! gungraun counts the same with the same valgrind. Its runner would have to be compiled in every CI run, a minute and a
//! half on two cores, to start a program and to read one number; and its baselines lie in the target folder, where none
//! of them is part of a commit or has a reason.

mod record;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

use crate::mutants;
use crate::steps::{cargo, root, target};
use record::{Count, Counts, RECORD, Record, compared, not_alone};

/// Set when xtask is run as the compiler's wrapper.
pub const WRAPPER: &str = "TOUCHLINE_GATE_COMPILER";

/// Behind the profile's own.
const FLAGS: [&str; 6] = ["-C", "target-cpu=x86-64-v3", "-C", "codegen-units=1", "-C", "debug-assertions=off"];

/// Runs the compiler as cargo asked for it, with the gate's flags behind its own.
pub fn compile() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(compiler) = arguments.next() else { return ExitCode::from(2) };
    match Command::new(compiler).args(arguments).args(FLAGS).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(why) => {
            eprintln!("xtask: cannot start the compiler: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the words behind `gate` ask for.
///
/// # Errors
/// When they make no sense, and what the command says.
pub fn run(words: &[String]) -> Result<(), String> {
    match words.first().map(String::as_str) {
        Some("--accept") => {
            let (names, because) = match words.iter().position(|word| word == "--because") {
                Some(at) => (&words[1..at], words[at + 1..].join(" ")),
                None => (&words[1..], String::new()),
            };
            if names.is_empty() || because.trim().is_empty() {
                return Err("what, and why: cargo xtask gate --accept NAME… --because WHY".to_owned());
            }
            accept(names, because.trim())
        }
        Some("--repeat") => repeat(),
        Some("--drill") => drill(),
        Some(word) if word.starts_with("--") => Err(format!("the gate has no option {word}")),
        _ => judge(words),
    }
}

/// Counts and compares.
///
/// # Errors
/// When a function has more instructions than on record by the tolerance, when the record and the bench do not know the
/// same functions, or when a commit changed the record together with something else.
pub fn judge(names: &[String]) -> Result<(), String> {
    let record = on_record()?;
    commits_are_alone()?;
    let counted = count(&build(&root())?, names)?;
    let tools = tools_here();
    let verdict = compared(&record, &counted, &tools, names.is_empty());
    print!("{}", verdict.table);
    if tools != record.tools {
        println!("recorded with {}; here is {tools}: only ten per cent more fails", record.tools);
    }
    if verdict.problems.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\nIf it is worth it: `cargo xtask gate --accept NAME… --because WHY`, and commit {RECORD} by itself",
        verdict.problems.join("\n")
    ))
}

/// Counts, and puts the named counts on record.
fn accept(names: &[String], because: &str) -> Result<(), String> {
    let path = root().join(RECORD);
    let mut record = if path.exists() { on_record()? } else { Record::default() };
    let counted = count(&build(&root())?, &[])?;
    let tools = tools_here();
    print!("{}", compared(&record, &counted, &tools, true).table);
    let changes = record.accept(&counted, names, because, &tools)?;
    std::fs::write(&path, record.text()).map_err(|why| format!("cannot write {}: {why}", path.display()))?;
    println!("{changes} counts of {RECORD} changed; commit it by itself");
    Ok(())
}

/// Counts twice: as always, and with the program in another folder under a longer name, from a large environment.
fn repeat() -> Result<(), String> {
    let program = build(&root())?;
    let first = count(&program, &[])?;
    let folder = target().join("gate-of-a-folder-with-quite-another-length");
    let copy = folder.join("hot-under-a-longer-name");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::copy(&program, &copy))
        .map_err(|why| format!("{}: {why}", copy.display()))?;
    let mut again = Command::new(&copy);
    again.env("TOUCHLINE_GATE_PADDING", "x".repeat(10_000));
    let second = counts_of(&mut again, &[])?;
    let differ: Vec<&String> = first.keys().filter(|name| first.get(*name) != second.get(*name)).collect();
    if differ.is_empty() && first.len() == second.len() {
        println!("{} counts, twice the same", first.len());
        return Ok(());
    }
    Err(format!("counted twice, and not the same: {differ:?}"))
}

/// A deliberate mistake: every decimal is looked at twice.
const SLOW_DOWN: (&str, &str, &str) = (
    "src/types/instrument.rs",
    "pub fn parse_e8(text: &[u8]) -> Result<i64, DecimalError> {\n",
    "    std::hint::black_box(text.iter().filter(|byte| **byte == b'.').count());\n",
);

/// Makes the engine slower in a scratch copy, and sees that the gate fails there and names what got slower.
fn drill() -> Result<(), String> {
    let record = on_record()?;
    let tree = target().join("mutants").join("tree");
    mutants::copy_sources(&tree)?;
    let (file, anchor, insertion) = SLOW_DOWN;
    let (ours, theirs) = (root().join(file), tree.join(file));
    let source = std::fs::read_to_string(&ours).map_err(|why| format!("cannot read {file}: {why}"))?;
    if source.matches(anchor).count() != 1 {
        return Err(format!("the place to make slower does not stand once in {file}"));
    }
    let slower = source.replacen(anchor, &format!("{anchor}{insertion}"), 1);
    let write = |text: &str| std::fs::write(&theirs, text).map_err(|why| format!("{}: {why}", theirs.display()));
    write(&slower)?;
    let counted = build(&tree).and_then(|program| count(&program, &[]));
    write(&source)?;
    let verdict = compared(&record, &counted?, &tools_here(), true);
    println!("{}{}", verdict.table, verdict.problems.join("\n"));
    let is_named =
        |name: &str| verdict.problems.iter().any(|problem| problem.starts_with(&format!("{name} got slower")));
    if is_named("decode_decimal") && is_named("decode_depth_20") && !is_named("ring_push_pop") {
        println!("the gate noticed");
        return Ok(());
    }
    Err("every decimal was looked at twice, and the gate let it pass".to_owned())
}

fn on_record() -> Result<Record, String> {
    let path = root().join(RECORD);
    Record::parse(&std::fs::read_to_string(&path).map_err(|why| format!("cannot read {}: {why}", path.display()))?)
}

/// Builds the bench of that tree.
fn build(tree: &Path) -> Result<PathBuf, String> {
    let itself = std::env::current_exe().map_err(|why| format!("xtask does not know its own path: {why}"))?;
    let mut build =
        cargo(&["build", "--profile", "ci", "--bench", "hot", "--message-format", "json-render-diagnostics"]);
    // Dependencies are compiled once for every tree.
    build.current_dir(tree).env("CARGO_TARGET_DIR", target());
    build.env("RUSTC_WORKSPACE_WRAPPER", &itself).env(WRAPPER, "1").stderr(Stdio::inherit());
    let built = build.output().map_err(|why| format!("cannot start cargo: {why}"))?;
    if !built.status.success() {
        return Err(format!("the gate does not build ({})", built.status));
    }
    built_program(&String::from_utf8_lossy(&built.stdout)).ok_or_else(|| "cargo built no gate".to_owned())
}

/// The bench's program in cargo's messages.
fn built_program(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter(|message| message["target"]["name"] == "hot");
    programs.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn count(program: &Path, names: &[String]) -> Result<Counts, String> {
    counts_of(&mut Command::new(program), names)
}

/// Lets the program count itself.
fn counts_of(program: &mut Command, names: &[String]) -> Result<Counts, String> {
    let output = program.arg("--count").args(names).output().map_err(|why| format!("{program:?}: {why}"))?;
    if !output.status.success() {
        return Err(format!("counting failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let counts = parse_counts(&String::from_utf8_lossy(&output.stdout))?;
    if counts.is_empty() {
        return Err(format!("no function of the gate is called {}", names.join(" or ")));
    }
    Ok(counts)
}

/// Lines `name instructions units`.
fn parse_counts(text: &str) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        match (words.first(), number(1), number(2)) {
            (Some(name), Some(instructions), Some(units)) => {
                counts.insert((*name).to_owned(), Count { instructions, units });
            }
            _ => return Err(format!("the gate said `{line}`")),
        }
    }
    Ok(counts)
}

/// What a count depends on beside the source.
fn tools_here() -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
    };
    let told = [
        first_line("rustc", &["--version"]),
        first_line("c++", &["--version"]),
        first_line("getconf", &["GNU_LIBC_VERSION"]),
        first_line("valgrind", &["--version"]),
    ];
    told.into_iter().map(|tool| tool.unwrap_or_else(|| "unknown".to_owned())).collect::<Vec<_>>().join("; ")
}

/// Every commit in sight that changed the record changed nothing else.
fn commits_are_alone() -> Result<(), String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // `%P` is empty for a first commit and for the edge of a shallow clone, which seem to change everything.
    let Some(log) = git(&["log", "--no-merges", "--format=%H %P", "--", RECORD]) else {
        println!("xtask: no history here, so it cannot tell whether the record was changed by itself");
        return Ok(());
    };
    for (commit, parent) in log.lines().filter_map(|line| line.split_once(' ')) {
        let files = git(&["diff-tree", "--no-commit-id", "--name-status", "-r", commit]).unwrap_or_default();
        if let Some(problem) = not_alone(commit, &files).filter(|_| !parent.is_empty()) {
            return Err(problem);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_line_by_line() {
        let count = |instructions| Count { instructions, units: 4 };
        let want = [("a".to_owned(), count(1)), ("b".to_owned(), count(2))];
        assert_eq!(parse_counts("a 1 4\nb 2 4\n"), Ok(want.into_iter().collect()));
        assert!(parse_counts("a one\n").is_err());
    }

    #[test]
    fn the_program_is_found_in_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"touchline\"},\"executable\":\"/t/touchline\"}\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"hot\"},\"executable\":\"/t/hot-1\"}\nnoise\n";
        assert_eq!(built_program(messages), Some(PathBuf::from("/t/hot-1")));
    }

    #[test]
    fn accepting_needs_a_name_and_a_reason() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for text in ["--accept", "--accept all", "--accept all --because", "--accept --because it is so", "--wrong"] {
            assert!(run(&words(text)).is_err(), "{text}");
        }
    }
}
