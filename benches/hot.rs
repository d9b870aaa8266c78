//! What each hot function costs: its instructions, for `cargo xtask gate`, and its time.
//!
//! A count is of the machine code and not of the machine: it is the same on a busy computer, so that one per cent more is
//! one per cent more work. It is blind to cache misses, system calls and other cores. `--count [NAME…]` runs each case
//! under callgrind and prints `name instructions units`. `cargo bench --bench hot` tells the time of the same cases: it
//! belongs to one machine and one hour, and says what an instruction is worth. Without arguments, as
//! `cargo test --benches` runs it, every case runs once and its answer is checked.

mod cases;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::{CASES, Case, Maker};
use criterion::{Criterion, Throughput};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--case") => one(arguments.get(1).map_or("", String::as_str)),
        Some("--count") => count(&arguments[1..]),
        _ if arguments.iter().any(|argument| argument == "--bench") => {
            let mut criterion = Criterion::default().configure_from_args();
            time(&mut criterion);
            criterion.final_summary();
            ExitCode::SUCCESS
        }
        _ => {
            for (name, make) in CASES {
                let mut case = make();
                assert_eq!(case.name, *name);
                for _ in 0..2 + case.calls {
                    case.call(|case| (case.run)());
                }
            }
            println!("{} cases answer as they should", CASES.len());
            ExitCode::SUCCESS
        }
    }
}

/// What is counted: callgrind is told this function's name, so it must stay a function.
#[inline(never)]
fn gate_measured(case: &mut Case) -> u64 {
    (case.run)()
}

fn one(name: &str) -> ExitCode {
    let Some((_, make)) = CASES.iter().find(|(known, _)| *known == name) else { return ExitCode::from(2) };
    let mut case = make();
    // Twice uncounted: what only the first calls do (growing a buffer, binding a symbol) is not the function's cost.
    for _ in 0..2 {
        case.call(|case| (case.run)());
    }
    for _ in 0..case.calls {
        case.call(|case| black_box(gate_measured(black_box(case))));
    }
    ExitCode::SUCCESS
}

/// A copy of this program at a place whose path is always as long: the path lies on the stack of whoever is run, and
/// sixteen bytes more there can move an alignment.
struct Copied(PathBuf);

impl Copied {
    fn new() -> std::io::Result<Copied> {
        let folder = PathBuf::from(format!("/tmp/touchline-gate-{:010}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let copied = Copied(folder);
        std::fs::copy(std::env::current_exe()?, copied.0.join("hot"))?;
        Ok(copied)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn count(names: &[String]) -> ExitCode {
    let copied = match Copied::new() {
        Ok(copied) => copied,
        Err(why) => {
            eprintln!("no copy of this program can be made in /tmp: {why}");
            return ExitCode::FAILURE;
        }
    };
    let chosen: Vec<&Maker> =
        CASES.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name)).collect();
    let next = AtomicUsize::new(0);
    let told: Mutex<Vec<Option<Result<u64, String>>>> = Mutex::new(vec![None; chosen.len()]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((name, _)) = chosen.get(index) else { break };
                    let counted = instructions(&copied.0, name);
                    told.lock().expect("no thread panics with it")[index] = Some(counted);
                }
            });
        }
    });
    for ((name, make), told) in chosen.iter().zip(told.into_inner().expect("no thread panicked")) {
        match told {
            Some(Ok(counted)) => {
                let case = make();
                println!("{name} {counted} {}", case.units * case.calls);
            }
            told => {
                eprintln!("{name}: callgrind tells no count: {}", told.and_then(Result::err).unwrap_or_default());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs one case in a program of its own, under callgrind.
fn instructions(folder: &Path, name: &str) -> Result<u64, String> {
    // A bare environment: it lies on the stack, too.
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .args(["--toggle-collect=*gate_measured*", "./hot"])
        .args(["--case", name])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .map_err(|why| format!("cannot start valgrind: {why}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
    let counted = counted.filter(|&counted| counted > 0 && output.status.success());
    counted.ok_or_else(|| format!("{}\n{told}", output.status))
}

fn time(criterion: &mut Criterion) {
    for (_, make) in CASES {
        let mut case = make();
        // What uses up what it works on, or is called between readings of its figures, has no time of its own here:
        // benches/journal.rs, book.rs and matching.rs have.
        if !case.repeats {
            continue;
        }
        case.call(|case| (case.run)());
        let mut group = criterion.benchmark_group("hot");
        group.throughput(Throughput::Elements(case.units));
        group.bench_function(case.name, |bencher| bencher.iter(|| black_box((case.run)())));
        group.finish();
    }
}
