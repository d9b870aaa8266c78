//! ccxt, as it comes from PyPI, trades on a venue that runs in a process of its own; and that process ends cleanly.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The release line of ccxt that the protocol reference was checked with.
const CCXT: &str = "ccxt==4.5.*";

struct Venue {
    process: Child,
    announcement: String,
}

impl Venue {
    fn start() -> Venue {
        let mut process = Command::new(env!("CARGO_BIN_EXE_touchline"))
            .args(["venue", "--synthetic", "7"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut announcement = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut announcement).unwrap();
        Venue { process, announcement }
    }

    fn interrupt(mut self) -> std::process::ExitStatus {
        let told = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.process.wait().unwrap()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python of a virtual environment that has ccxt, made once; or why there is none.
fn python_with_ccxt() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ccxt-venv");
    let python = folder.join("bin/python");
    let has_ccxt = |python: &Path| {
        let check = ["-c", "import ccxt.pro, sys; sys.exit(not ccxt.__version__.startswith('4.5.'))"];
        Command::new(python).args(check).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if has_ccxt(&python) {
        return Ok(python);
    }
    let run = |command: &mut Command, what: &str| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{what}: {error}")),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder), "python3 -m venv")?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", CCXT]), "pip install ccxt")?;
    if has_ccxt(&python) { Ok(python) } else { Err("ccxt was installed but cannot be imported".to_owned()) }
}

#[test]
fn ccxt_trades_unmodified() {
    let python = match python_with_ccxt() {
        Ok(python) => python,
        Err(why) => {
            let required = std::env::var("TOUCHLINE_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
            assert!(!required, "ccxt is required: {why}");
            common::skip(&why);
            return;
        }
    };
    let venue = Venue::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/ccxt_trades.py");
    let mut client = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(venue.announcement.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for step in [
        "load_markets",
        "fetch_order_book",
        "create_order postOnly",
        "refused as OrderImmediatelyFillable",
        "cancel_order",
        "a second cancel refused as OrderNotFound",
        "market order filled",
        "fetch_order",
        "fetch_open_orders",
        "fetch_my_trades",
        "fetch_balance",
        "watch_order_book",
        "watch_trades",
        "watch_orders",
        "Ed25519",
    ] {
        assert!(out.lines().any(|line| line.starts_with("ok: ") && line.contains(step)), "{step} is missing in {out}");
    }
}

#[test]
fn the_announcement_is_one_line_and_an_interrupt_ends_the_venue_cleanly() {
    let mut venue = Venue::start();
    let told: serde_json::Value = serde_json::from_str(&venue.announcement).unwrap();
    for field in ["rest", "ws", "ws_api", "api_key", "api_secret", "symbols"] {
        assert!(!told[field].is_null(), "{field} is missing");
    }
    assert_eq!(told["symbols"], serde_json::json!(["BTCUSDT"]));
    let address = told["rest"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"));
    let mut stdout = venue.process.stdout.take().unwrap();
    let status = venue.interrupt();
    assert!(status.success(), "{status}");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "stdout holds the announcement and nothing else");
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is free again");
}

#[test]
fn a_port_in_use_is_a_coded_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_touchline")).args(["venue", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.starts_with("E_SERVE_001") && err.contains(&port), "{err}");
}
