//! The demo in virtual time: the same bytes for a seed, the venue's money, and adverse selection as theory says.

mod common;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn demo(out: &Path, flags: &[&str]) -> (Value, i32) {
    let done = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["demo", "--virtual", "--json", "--out"])
        .arg(out)
        .args(flags)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let summary = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error} in {text:?}, stderr {}", String::from_utf8_lossy(&done.stderr)));
    (summary, done.status.code().unwrap())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: &str| {
        let out = folder.path().join(name);
        let (mut summary, code) = demo(&out, &["--seconds", "20", "--seed", seed]);
        assert_eq!(code, 0, "{summary}");
        // The paths name the folders, which differ by intent.
        for path in ["journal", "parquet", "report"] {
            summary.as_object_mut().unwrap().remove(path);
        }
        let journal = common::files_under(&out.join("journal"));
        assert!(journal.iter().any(|(name, bytes)| name.contains("quote") && bytes.len() > 4096));
        let tables = ["fills.csv", "pnl.csv"].map(|name| std::fs::read(out.join(name)).unwrap());
        (summary, journal, tables)
    };
    let (first, again, other) = (run("a", "3"), run("b", "3"), run("c", "4"));
    assert_eq!(first.0, again.0);
    assert!(first.1 == again.1, "the journals differ");
    assert!(first.2 == again.2, "the tables differ");
    assert_ne!(first.0["flow_digest"], other.0["flow_digest"]);
    assert!(first.1 != other.1);
}

#[test]
fn the_venues_balances_agree_exactly_with_commissions_in_base_and_quote() {
    let folder = tempfile::tempdir().unwrap();
    let (summary, code) =
        demo(folder.path(), &["--seconds", "30", "--fee-bps", "10", "--set", "quoter.fee_floor=false"]);
    assert_eq!(code, 0, "{summary}");
    assert!(summary["fills"].as_u64().unwrap() > 0);
    assert_eq!(summary["open_orders_at_exit"], 0);
    assert_eq!(summary["fee_bps"], 10.0);
    assert!(summary["pnl"]["fees"].as_f64().unwrap() > 0.0);
    let causes: u64 = summary["fills_by_cause"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(causes, summary["fills"].as_u64().unwrap());
    assert!(summary["fills_by_cause"].get("unknown").is_none(), "every fill has its cause");
    // Exact: the file's decimals are summed as integers of 1e-18.
    let text = std::fs::read_to_string(folder.path().join("summary.json")).unwrap();
    let attos = |key: &str| -> i128 {
        let at = text.find("\"pnl\"").unwrap();
        let after = &text[at..][text[at..].find(&format!("\"{key}\": ")).unwrap() + key.len() + 4..];
        let number: String = after.chars().take_while(|c| c.is_ascii_digit() || ".-".contains(*c)).collect();
        let (sign, digits) = number.strip_prefix('-').map_or((1, number.as_str()), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        sign * format!("{whole}{fraction:0<18}").parse::<i128>().unwrap()
    };
    assert_eq!(attos("total"), attos("spread") + attos("inventory") - attos("fees"));
    assert_eq!(attos("gross"), attos("spread") + attos("inventory"));
    for file in ["fills.csv", "pnl.csv", "report.html"] {
        assert!(std::fs::metadata(folder.path().join(file)).unwrap().len() > 100, "{file}");
    }
    let rows = std::fs::read_to_string(folder.path().join("fills.csv")).unwrap().lines().count() as u64;
    assert_eq!(rows, summary["fills"].as_u64().unwrap() + 1);
}

#[test]
fn a_virtual_sessions_journal_replays_to_the_same_actions() {
    let folder = tempfile::tempdir().unwrap();
    let (summary, code) = demo(folder.path(), &["--seconds", "20"]);
    assert_eq!(code, 0, "{summary}");
    let done = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["replay", summary["journal"].as_str().unwrap(), "--verify"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn informed_takers_make_the_mid_run_against_our_fills() {
    let folder = tempfile::tempdir().unwrap();
    let markout = |share: &str| {
        let (summary, code) = demo(
            &folder.path().join(share),
            &["--seconds", "600", "--informed-share", share, "--set", "quoter.kind=naive"],
        );
        assert_eq!(code, 0, "{summary}");
        let five = &summary["markouts"]["5s"];
        (five["mean_ticks"].as_f64().unwrap(), five["error_ticks"].as_f64().expect("600 s have blocks enough"))
    };
    let ((calm, calm_error), (toxic, toxic_error)) = (markout("0"), markout("0.5"));
    // Without information the mid does not follow our fills; with it, it runs on against us.
    assert!(
        calm - toxic > 4.0 * calm_error.hypot(toxic_error),
        "{calm} ± {calm_error} against {toxic} ± {toxic_error}"
    );
    assert!(calm > 0.0, "{calm}");
}
