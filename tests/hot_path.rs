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

/// What a line of strace says: who, when, which call, and the rest of the line.
struct Call<'a> {
    thread: u32,
    at_s: f64,
    name: &'a str,
    rest: &'a str,
}

/// A line that begins a call; ends of calls that were interrupted, and signals, are none.
fn call(line: &str) -> Option<Call<'_>> {
    let (thread, rest) = line.split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(' ')?;
    let (name, rest) = rest.trim_start().split_once('(')?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(())?;
    Some(Call { thread: thread.parse().ok()?, at_s: at.parse().ok()?, name, rest })
}

/// What a call is to a hot thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// Reads or writes a socket.
    Socket,
    /// Wakes a parked thread, after a command was queued for it.
    Wake,
    /// Anything else: a file, other memory, a lock, the clock.
    Other,
}

fn use_of(call: &Call<'_>) -> Use {
    let is_socket =
        call.rest.split(',').next().is_some_and(|first| first.contains("<socket:") || first.contains("<TCP:"));
    match call.name {
        "recvfrom" | "recvmsg" | "read" | "readv" | "sendto" | "sendmsg" | "write" | "writev" if is_socket => {
            Use::Socket
        }
        "futex" if call.rest.contains("FUTEX_WAKE") => Use::Wake,
        _ => Use::Other,
    }
}

/// Whether engines can be traced here; when not, the caller skips.
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let why = match traced {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => format!("strace cannot be started: {error}"),
    };
    assert!(std::env::var_os("TOUCHLINE_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "{why}");
    common::skip(&why);
    false
}

/// The calls of the hot thread of an engine that trades for some seconds, counted.
fn traced(settings: &[&str]) -> std::collections::BTreeMap<(Use, String), u64> {
    let (_venue, told) = venue();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut more = vec!["--mode=live", "--live", "--seconds=6", "--json", "--set=topology.plan=fused"];
    more.extend(["--set=quoter.kind=naive", "--set=quoter.maker_fee_bps=0", "--set=quoter.requote=always"]);
    // A traced call takes so long that every round trip would count as slow, and another thread would send the orders.
    more.push("--set=topology.fused_deadline_us=1000000");
    more.extend(settings);
    let output = Command::new("strace")
        .args(["-f", "-y", "-ttt", "-qqq"])
        .arg("-o")
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_touchline"))
        .args(words(&told, folder.path(), &more))
        .env("BINANCE_API_KEY", told["api_key"].as_str().unwrap())
        .env("BINANCE_API_SECRET", told["api_secret"].as_str().unwrap())
        .env_remove("RUST_LOG")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["orders_sent"].as_u64().unwrap() > 0, "nothing was decided: {summary}");
    let text = std::fs::read_to_string(&trace).unwrap();
    let calls: Vec<Call<'_>> = text.lines().filter_map(call).collect();
    let named = |name: &str| {
        let wanted = format!("\"{name}\"");
        let mut named = calls.iter().filter(|call| call.name == "prctl" && call.rest.contains(&wanted));
        named.next().map(|call| (call.thread, call.at_s))
    };
    let (hot, began_s) = named("fused").expect("a thread called fused");
    // Between the start (connections, first pages, buffers that grow) and the stop lies what a session does all day.
    let window = began_s + 2.5..began_s + 5.0;
    let mut counts = std::collections::BTreeMap::new();
    for call in calls.iter().filter(|call| call.thread == hot && window.contains(&call.at_s)) {
        *counts.entry((use_of(call), call.name.to_owned())).or_default() += 1;
        assert_ne!(use_of(call), Use::Other, "{}({}", call.name, call.rest);
    }
    // The trace does see other calls: the keeper, a cold thread, syncs and grows files in the same seconds.
    let (keeper, _) = named("keeper").expect("a thread called keeper");
    assert!(calls.iter().any(|call| call.thread == keeper && use_of(call) == Use::Other), "the trace is blind");
    println!("system calls of the hot thread in 2.5 s, {settings:?}: {counts:?}");
    counts
}

#[test]
fn hot_threads_ask_the_kernel_for_nothing_but_their_sockets() {
    if !can_trace() {
        return;
    }
    for transport in ["rest", "ws_api"] {
        let counts = traced(&[&format!("--set=venue.transport={transport}"), "--set=topology.idle=spin"]);
        let of = |names: &[&str]| {
            let named =
                counts.iter().filter(|((kind, name), _)| *kind == Use::Socket && names.contains(&name.as_str()));
            named.map(|(_, count)| count).sum::<u64>()
        };
        let (reads, writes) =
            (of(&["recvfrom", "recvmsg", "read", "readv"]), of(&["sendto", "sendmsg", "write", "writev"]));
        assert!(reads > 200 && writes > 0, "the hot thread did not trade: {counts:?}");
    }
}

#[test]
fn lines_of_a_trace_are_understood() {
    let read = call("77  17958.5 recvfrom(21<socket:[5]>, 0x7f, 10, 0, NULL, NULL) = -1 EAGAIN").unwrap();
    assert_eq!((read.thread, read.at_s, read.name, use_of(&read)), (77, 17_958.5, "recvfrom", Use::Socket));
    let file = call("77  17958.5 write(3</var/log/x>, \"a\", 1) = 1").unwrap();
    assert_eq!(use_of(&file), Use::Other);
    for (line, kind) in [
        ("7 1.0 futex(0x55, FUTEX_WAKE_PRIVATE, 1) = 1", Use::Wake),
        ("7 1.0 futex(0x55, FUTEX_WAIT_PRIVATE, 1) = 1", Use::Other),
        ("7 1.0 ioctl(9<socket:[5]>, FIONBIO, [1]) = 0", Use::Other),
        ("7 1.0 mmap(NULL, 4096, PROT_READ) = 0x7f", Use::Other),
    ] {
        assert_eq!(use_of(&call(line).unwrap()), kind, "{line}");
    }
    assert!(call("7 1.0 <... recvfrom resumed>) = 1").is_none());
    assert!(call("7 1.0 +++ exited with 0 +++").is_none());
}
