//! What the system tests share.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::Write;
use std::path::PathBuf;

/// Says that a test skips and why: to whoever runs it alone, and to `cargo xtask test`, which counts at the end.
pub fn skip(why: &str) {
    println!("skipped: {why}");
    let Some(list) = std::env::var_os("TOUCHLINE_SKIPS") else { return };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(list).unwrap();
    file.write_all(format!("{test}: {why}\n").as_bytes()).unwrap();
}

/// The folder of real recordings: `TOUCHLINE_DATA`, or `../shared/data` beside the repository. When it is absent the
/// reason is printed and the caller skips; with `TOUCHLINE_REQUIRE_DATA=1` absence is a failure.
pub fn data_dir() -> Option<PathBuf> {
    let dir = match std::env::var_os("TOUCHLINE_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if dir.is_dir() {
        return Some(dir);
    }
    let required = std::env::var("TOUCHLINE_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "recordings are required, but there is no folder {}", dir.display());
    skip(&format!("no folder of recordings at {}", dir.display()));
    None
}
