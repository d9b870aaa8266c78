//! `touchline model check`, as a user runs it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn touchline(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_touchline")).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), serde_json::from_str(&text).unwrap_or(Value::Null), text)
}

#[test]
fn every_row_passes_and_the_command_ends_well() {
    let (code, found, _) = touchline(&["model", "check", "--quick", "--json"]);
    let rows = found["rows"].as_array().unwrap();
    let missed: Vec<&Value> = rows.iter().filter(|row| row["pass"] != true).collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert_eq!((code, &found["met"], &found["checked"]), (Some(0), &found["checked"], &Value::from(rows.len())));
    assert!(rows.len() >= 390, "{} rows: an oracle has gone", rows.len());
    for section in [
        "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.3", "3.5", "3.7", "4", "5.1", "6.1", "6.2", "6.3", "7", "10",
        "11", "12.1", "12.2", "12.3", "13", "14",
    ] {
        assert!(rows.iter().any(|row| row["section"] == section), "section {section} has no row");
    }
}

#[test]
fn the_table_for_people_names_each_row_with_its_source() {
    let (code, _, text) = touchline(&["model", "check", "--quick"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("paper") && text.contains("theory") && text.contains("simulated"), "{text}");
    assert!(text.lines().any(|line| line.contains("AS published, gamma 0.1 inv: profit") && line.ends_with("pass")));
    assert!(text.trim_end().ends_with("rows pass"));
}

#[test]
fn a_recording_shows_its_realised_volatility_beside_the_estimators() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hftbacktest_usdm.txt");
    let (code, found, _) = touchline(&["model", "check", "--json", "--data", golden.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let session = &found["sessions"][0];
    assert_eq!((&session["symbol"], &session["recording"]), (&"ETHUSDT".into(), &"hftbacktest_usdm.txt".into()));
    assert!(session["windowed"].is_object() && session["ewma"].is_object() && session["parkinson"].is_object());
    assert_eq!(touchline(&["model", "check", "--data", "no-such-file"]).0, Some(4));
}
