//! The demo over loopback sockets, as a newcomer runs it.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_demo_over_sockets_trades_ends_clean_and_its_money_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["demo", "--seconds", "8", "--json", "--set", "quoter.kind=naive", "--out"])
        .arg(folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    let text = String::from_utf8(done.stdout).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{stderr}"));
    // The exit code is part of the check: it is zero only when the venue's balances agree exactly.
    assert!(done.status.success(), "{summary}\n{stderr}");
    for key in [
        "seed",
        "ticks",
        "quotes",
        "orders_sent",
        "orders_rejected",
        "fills",
        "fills_by_cause",
        "position_lots",
        "fee_bps",
        "open_orders_at_exit",
        "tick_to_order_ns",
        "journal",
        "parquet",
        "report",
        "first_quote_ms",
    ] {
        assert!(!summary[key].is_null(), "{key} is missing: {summary}");
    }
    for key in ["total", "gross", "spread", "inventory", "fees"] {
        assert!(summary["pnl"][key].is_number(), "pnl.{key}");
    }
    for key in ["p50", "p90", "p99", "p999", "p9999", "max", "count"] {
        assert!(summary["tick_to_order_ns"][key].as_u64().unwrap() > 0, "tick_to_order_ns.{key}");
    }
    assert!(summary["fills"].as_u64().unwrap() > 0, "{summary}");
    assert_eq!(summary["open_orders_at_exit"], 0);
    assert!(summary["first_quote_ms"].as_f64().unwrap() < 5_000.0, "{summary}");
}
