//! What the system sees of a running engine: its memory, and what its hot threads ask of the kernel.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A venue of its own process, and what it says of itself.
fn venue() -> (Program, serde_json::Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["venue", "--port", "0", "--synthetic", "7"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Program(child), serde_json::from_str(&line).unwrap())
}

/// The words that run an engine against a venue.
fn words(venue: &serde_json::Value, folder: &std::path::Path, more: &[&str]) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    for (key, name) in [("rest_url", "rest"), ("ws_url", "ws"), ("ws_api_url", "ws_api")] {
        words.push(format!("--set=venue.{key}={}", venue[name].as_str().unwrap()));
    }
    words.push(format!("--set=journal.dir={}", folder.join("runs").display()));
    words.extend(["--set=journal.segment_mb=4", "--set=metrics.port=0"].map(str::to_owned));
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kilobytes that a process has locked.
fn locked_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_is_locked_or_the_log_says_why_not() {
    let (_venue, told) = venue();
    let folder = tempfile::tempdir().unwrap();
    let run = |mode: &str| {
        let lock = format!("--set=topology.lock_memory={mode}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_touchline"));
        command.args(words(&told, folder.path(), &["--dry-run", &lock, "--seconds=2"]));
        command.current_dir(folder.path()).env_remove("RUST_LOG").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut program = Program(command.spawn().unwrap());
        let pid = program.0.id();
        let mut locked = 0;
        let status = until("the engine ends", || {
            locked = locked.max(locked_kb(pid));
            program.0.try_wait().unwrap()
        });
        let mut log = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), locked, log)
    };
    let (code, locked, log) = run("auto");
    assert_eq!(code, Some(0), "{log}");
    let is_granted = log.contains("memory is locked: ");
    assert_ne!(is_granted, log.contains("memory is not locked"), "{log}");
    assert_eq!(is_granted, locked > 0, "{locked} kB: {log}");
    let (code, locked, log) = run("on");
    match is_granted {
        true => assert!(code == Some(0) && locked > 0, "{locked} kB: {log}"),
        false => assert!(code == Some(3) && log.contains("E_MEM_001: "), "{log}"),
    }
    let (code, locked, log) = run("off");
    assert_eq!((code, locked), (Some(0), 0), "{log}");
}
