//! What a session is judged by: complete, exact, and the same whoever computes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use serde_json::value::RawValue;

type Members = BTreeMap<String, Box<RawValue>>;

fn touchline(args: &[&str]) -> Output {
    let done = Command::new(env!("CARGO_BIN_EXE_touchline")).args(args).env_remove("RUST_LOG").output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

fn demo(out: &Path, flags: &[&str]) -> Members {
    let mut args = vec!["demo", "--virtual", "--json", "--out", out.to_str().unwrap()];
    args.extend(flags);
    let summary: Members = serde_json::from_slice(&touchline(&args).stdout).unwrap();
    summary
}

/// The members of an object with their text, so that no digit is lost.
fn members(of: &Members, key: &str) -> Members {
    serde_json::from_str(of[key].get()).unwrap_or_else(|error| panic!("{key}: {error}"))
}

fn value(of: &Members, key: &str) -> Value {
    serde_json::from_str(of[key].get()).unwrap()
}

/// Decimal text in units of 1e-18.
fn attos(of: &Members, key: &str) -> i128 {
    let number = of[key].get();
    let (sign, digits) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<18}").parse::<i128>().unwrap()
}

#[test]
fn a_demos_summary_has_every_kpi_and_its_profit_sums_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--seconds", "150", "--fee-bps", "1", "--set", "quoter.fee_floor=false"];
    let summary = demo(folder.path(), &flags);
    let kpis = members(&summary, "kpis");
    // Known in any session with fills.
    for key in [
        "seconds",
        "fills",
        "pnl",
        "sharpe",
        "drawdown",
        "spread_captured",
        "markouts",
        "realised_capture",
        "toxicity_cost",
        "turnover",
        "fill_ratio",
        "fill_ratio_qty",
        "orders_rejected",
        "order_messages",
        "order_to_trade",
        "inventory_cvar95",
        "loss_cvar95",
        "time_below_limit",
        "time_above_half",
        "time_above_nine_tenths",
        "quote_uptime",
        "uptime_band_bps",
        "two_sided",
        "floor_bound_ratio",
        "clamp_ratio",
        "post_only_reject_ratio",
        "warmup_s",
    ] {
        assert!(!value(&kpis, key).is_null(), "{key} is not known");
    }
    // Too short for an interval over minutes; no wall clock to measure a latency.
    for key in ["pnl_per_minute", "pnl_significant", "latency"] {
        assert!(value(&kpis, key).is_null(), "{key}");
    }
    let pnl = members(&kpis, "pnl");
    assert_ne!(attos(&pnl, "fees"), 0);
    assert_eq!(attos(&pnl, "total"), attos(&pnl, "spread") + attos(&pnl, "inventory") - attos(&pnl, "fees"));
    assert_eq!(attos(&pnl, "total"), attos(&pnl, "realised") + attos(&pnl, "unrealised") - attos(&pnl, "fees"));
    assert_eq!(attos(&pnl, "gross"), attos(&pnl, "spread") + attos(&pnl, "inventory"));
    // The pipeline's own ledger and the venue's balances say the same.
    let by_venue = members(&summary, "pnl");
    for key in ["total", "gross", "spread", "inventory", "fees"] {
        assert_eq!(attos(&pnl, key), attos(&by_venue, key), "{key}");
    }
    assert_eq!(value(&kpis, "sharpe")["text"], "n/a (insufficient)");
    let share = |key: &str| {
        let share = value(&kpis, key).as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share), "{key}: {share}");
        share
    };
    assert!(share("quote_uptime") > 0.5 && share("two_sided") > 0.3 && share("fill_ratio") > 0.0);
    assert!(share("time_above_nine_tenths") <= share("time_above_half"));
    // Each fill has its place on the curve until the end comes near.
    let markouts = value(&kpis, "markouts");
    let fills: Vec<u64> = markouts.as_array().unwrap().iter().map(|point| point["fills"].as_u64().unwrap()).collect();
    assert_eq!(fills.len(), 6);
    assert_eq!(fills[0], value(&kpis, "fills").as_u64().unwrap());
    assert!(fills.windows(2).all(|pair| pair[0] >= pair[1]) && fills[5] > 0, "{fills:?}");
    assert!(markouts[3]["error_ticks"].as_f64().unwrap() > 0.0);
    // Sum over fills of what each earned against the mid is the spread part.
    let table = std::fs::read_to_string(folder.path().join("fills.csv")).unwrap();
    let column = table.lines().next().unwrap().split(',').position(|name| name == "spread_pnl").unwrap();
    let spread: i128 = table
        .lines()
        .skip(1)
        .map(|line| {
            let cell = RawValue::from_string(line.split(',').nth(column).unwrap().to_owned()).unwrap();
            attos(&Members::from([("cell".to_owned(), cell)]), "cell")
        })
        .sum();
    assert_eq!(spread, attos(&pnl, "spread"));
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    for part in [
        "Volatility sigma",
        "Toxicity tau",
        "Toxicity coefficient k",
        "Risk aversion gamma",
        "Inventory skew kappa",
        "Markout curve",
        "n/a (insufficient)",
        "Is it skill?",
    ] {
        assert!(page.contains(part), "{part} is not in the report");
    }
    let (_, body) = page.rsplit_once("</head><body>").unwrap();
    assert!(!body.contains("http:") && !body.contains("https:"), "the page needs the network");
}

#[test]
fn the_report_verb_finds_the_demos_figures_in_the_journal_alone() {
    let folder = tempfile::tempdir().unwrap();
    let summary = demo(folder.path(), &["--seconds", "60", "--fee-bps", "2", "--set", "quoter.fee_floor=false"]);
    let run = folder.path().to_str().unwrap();
    let args = ["report", run, "--json", "--set", "report.taker_fee_bps=2"];
    let told: Members = serde_json::from_slice(&touchline(&args).stdout).unwrap();
    let symbol = value(&summary, "symbol");
    let again = &told[symbol.as_str().unwrap()];
    // Byte for byte, but for the indentation of the two places.
    let text = |raw: &RawValue| raw.get().split_whitespace().collect::<String>();
    assert_eq!(text(again), text(&summary["kpis"]));
    for file in ["report.html", "kpis.json", "fills.csv", "pnl.csv"] {
        assert!(folder.path().join("report").join(file).is_file(), "{file}");
    }
    // The same tables, but for the causes that only the venue knows.
    let pnl = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert!(pnl("pnl.csv") == pnl("report/pnl.csv"));
}

#[test]
fn a_model_that_the_floor_overrules_is_called_inert() {
    let folder = tempfile::tempdir().unwrap();
    // A commission of 50 bp that must be earned back holds every half-spread up.
    let summary = demo(folder.path(), &["--seconds", "20", "--fee-bps", "50", "--set", "quoter.fee_floor=true"]);
    assert!(value(&members(&summary, "kpis"), "floor_bound_ratio").as_f64().unwrap() > 0.9);
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("The model is inert"));
}
