//! Bad input ends in a coded sentence that names its place, and in the exit code that the table promises.

use std::path::Path;
use std::process::{Command, Output};

fn touchline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_touchline")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn refused(arguments: &[&str], exit: i32, code: &str, place: &str) {
    let done = touchline(arguments);
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(exit), "{arguments:?}: {stderr}");
    assert!(stderr.contains(&format!("{code}: ")), "{arguments:?}: {stderr}");
    assert!(stderr.contains(place), "{arguments:?}: {stderr}");
}

#[test]
fn the_printed_config_is_the_default() {
    let done = touchline(&["run", "--print-config"]);
    assert!(done.status.success());
    assert_eq!(String::from_utf8(done.stdout).unwrap(), touchline::config::DEFAULT_YAML);
}

#[test]
fn settings_that_cannot_be_are_named() {
    refused(&["run", "--set", "quoter.kin=naive"], 3, "E_CONF_001", "quoter.kind");
    refused(&["run", "--set", "metrics.port=many"], 3, "E_CONF_004", "metrics.port");
    refused(&["run", "--config", "/nonexistent/touchline.yaml"], 3, "E_CONF_003", "/nonexistent/touchline.yaml");
    refused(&["run", "--config", "/etc/hostname"], 3, "E_CONF_002", "/etc/hostname");
    let url = "redis.url=redis://:hunter2@127.0.0.1:1";
    refused(&["demo", "--virtual", "--set", url], 3, "E_REDIS_003", "virtual time");
    refused(&["demo", "--set", url, "--set", "redis.role=source"], 3, "E_REDIS_003", "cannot read its market");
    refused(&["train", "--data", "x.gz", "--fill", "fifo"], 2, "E_TRAIN_004", "fifo");
    refused(&["sweep"], 9, "E_CLI_001", "sweep");
    assert_eq!(touchline(&["no-such-verb"]).status.code(), Some(2));
}

#[test]
fn an_environment_variable_overrides_and_is_blamed() {
    let done = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["run", "--dry-run"])
        .env("TOUCHLINE__metrics__port", "many")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&done.stderr).contains("TOUCHLINE__metrics__port"));
}

#[test]
fn a_venue_that_does_not_answer_is_named() {
    // Port 1 of the loopback: nothing listens there.
    refused(
        &[
            "run",
            "--dry-run",
            "--set",
            "venue.rest_url=http://127.0.0.1:1",
            "--set",
            "venue.ws_url=ws://127.0.0.1:1",
            "--set",
            "venue.ws_api_url=ws://127.0.0.1:1/ws-api/v3",
        ],
        6,
        "E_VENUE_001",
        "127.0.0.1:1",
    );
}

#[test]
fn a_maker_that_dies_at_its_start_ends_the_bench_at_once() {
    let began = std::time::Instant::now();
    let words = ["bench", "latency", "--makers=rest", "--rates=100", "--rounds=1", "--set=quoter.kin=naive"];
    refused(&words, 8, "E_BENCH_005", "E_CONF_001");
    // Makers have forty seconds to answer; the meters before the first one take two.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[test]
fn recordings_that_cannot_be_read_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let demo = |file: &str| {
        let flags = ["demo", "--virtual", "--seconds", "1", "--out", &out, "--data", file];
        let done = touchline(&flags);
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let whole = include_str!("data/hftbacktest_spot.txt");
    let broken = folder.path().join("broken.txt");
    let lines: Vec<&str> = whole.lines().collect();
    let cut = format!("{}\n{}\n", lines[..lines.len() - 1].join("\n"), "1723161255000000000 {\"stream\":");
    std::fs::write(&broken, cut).unwrap();
    let (code, stderr) = demo(&broken.display().to_string());
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains(&format!("broken.txt:{}", lines.len())), "{stderr}");
    let other = folder.path().join("picture.png");
    std::fs::write(&other, [0x89, b'P', b'N', b'G', 0, 1, 2, 3]).unwrap();
    let (code, stderr) = demo(&other.display().to_string());
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("picture.png"), "{stderr}");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    // /dev/full refuses every byte; /proc refuses every folder, whoever asks.
    assert!(Path::new("/proc").is_dir());
    refused(
        &["demo", "--virtual", "--seconds", "1", "--out", "/proc/touchline-out"],
        5,
        "E_OUT_001",
        "/proc/touchline-out",
    );
}
