//! `touchline backtest` as a program: the same bytes for a seed, a journal that replays, money and orders that add up.

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use touchline::pipeline::PipelineConfig;
use touchline::run::flow::{CLIENT, FeeRate, FlowArgs};
use touchline::run::virtual_session::{VirtualConfig, run};
use touchline::sim::Venue;
use touchline::sim::latency::LatencyModel;
use touchline::types::{DurationNs, SessionId, TimestampNs};

/// A recording of five minutes in hftbacktest's raw lines, made by a fixed recipe: a mid that wanders by a tick, ten
/// levels a side that grow and shrink, and prints at the touch and through it.
fn recording(folder: &Path) -> PathBuf {
    let mut state = 12_345_u64;
    let mut random = move |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64) % below
    };
    let price = |ticks: i64| format!("{}.{:02}", ticks / 100, ticks % 100);
    let qty = |lots: i64| format!("{}.{:03}", lots / 1000, lots % 1000);
    let start = 1_723_161_254_000_000_000_i64;
    let (mut mid, mut id, mut trade) = (250_000_i64, 1_000_i64, 1_i64);
    let mut text = String::new();
    let side = |best: i64, step: i64, random: &mut dyn FnMut(i64) -> i64| -> String {
        let level = |at: i64, lots: i64| format!("[\"{}\",\"{}\"]", price(best + step * at), qty(lots));
        (0..10).map(|at| level(at, 200 + random(2_000))).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(mid - 1, -1, &mut random), side(mid + 1, 1, &mut random));
    let _ = writeln!(text, "{start} {{\"lastUpdateId\":{id},\"bids\":[{bids}],\"asks\":[{asks}]}}");
    for step in 1..3_000_i64 {
        let ns = start + step * 100_000_000;
        let ms = ns / 1_000_000;
        if random(3) == 0 {
            let sells = random(2) == 0;
            let beyond = if random(6) == 0 { 2 } else { 0 };
            let at = if sells { mid - 1 - beyond } else { mid + 1 + beyond };
            let _ = writeln!(
                text,
                "{} {{\"stream\":\"ethusdt@trade\",\"data\":{{\"e\":\"trade\",\"E\":{ms},\"s\":\"ETHUSDT\",\"t\":{trade},\"p\":\"{}\",\
                 \"q\":\"{}\",\"T\":{ms},\"m\":{sells},\"M\":true}}}}",
                ns - 40_000_000,
                price(at),
                qty(100 + random(1_500))
            );
            trade += 1;
        }
        let moved = [0, 0, 0, 1, -1][random(5) as usize];
        let gone = match moved {
            1 => format!("],\"a\":[[\"{}\",\"0\"],", price(mid + 1)),
            -1 => format!(",[\"{}\",\"0\"]],\"a\":[", price(mid - 1)),
            _ => "],\"a\":[".to_owned(),
        };
        mid += moved;
        let (bids, asks) = (side(mid - 1, -1, &mut random), side(mid + 1, 1, &mut random));
        let _ = writeln!(
            text,
            "{ns} {{\"stream\":\"ethusdt@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{ms},\"s\":\"ETHUSDT\",\"U\":{},\
             \"u\":{},\"b\":[{bids}{gone}{asks}]}}}}",
            id + 1,
            id + 2
        );
        id += 2;
    }
    let path = folder.join("recorded.txt");
    std::fs::write(&path, text).unwrap();
    path
}

fn touchline(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_touchline")).args(words).env_remove("RUST_LOG").output().unwrap()
}

fn backtest(data: &Path, out: &Path, flags: &[&str]) -> Value {
    let (data, out) = (data.display().to_string(), out.display().to_string());
    // At the touch, where the recording's prints are.
    let model = ["--quoter", "naive", "--set", "quoter.half_spread_ticks=1", "--fee-bps", "0"];
    let fixed = ["backtest", "--data", &data, "--out", &out, "--json"];
    let done = touchline(&[&fixed, &model[..], flags].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// A column of a CSV file.
fn column(path: &Path, name: &str) -> Vec<String> {
    let mut table = csv::Reader::from_path(path).unwrap();
    let at = table.headers().unwrap().iter().position(|have| have == name).unwrap();
    table.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

#[test]
fn a_backtest_repeats_to_the_byte_replays_and_accounts_for_every_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = recording(folder.path());
    let summary = backtest(&data, &folder.path().join("one"), &[]);
    backtest(&data, &folder.path().join("two"), &[]);
    let files = |name: &str| {
        let mut files = common::files_under(&folder.path().join(name));
        // The summary names its own folder.
        let bytes = files.get_mut("summary.json").unwrap();
        *bytes = String::from_utf8_lossy(bytes).replace(&format!("/{name}/"), "/").into_bytes();
        files
    };
    let (one, two) = (files("one"), files("two"));
    assert!(one.keys().eq(two.keys()));
    let differing: Vec<&String> =
        one.iter().filter(|(name, bytes)| two[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differing.is_empty(), "{differing:?}");

    let out = folder.path().join("one");
    let replayed = touchline(&["replay", &out.display().to_string(), "--verify", "--json"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let fills = summary["fills"].as_u64().unwrap();
    assert!(fills > 20, "{summary}");
    assert_eq!(summary["open_orders_at_exit"], 0);
    assert_eq!(column(&out.join("fills.csv"), "qty").len() as u64, fills);
    let ends = column(&out.join("orders.csv"), "end");
    assert_eq!(ends.len() as u64, summary["orders_sent"].as_u64().unwrap());
    assert!(ends.iter().all(|end| end != "open"));
    let lots = |path: &Path, name: &str| -> i64 {
        column(path, name).iter().map(|qty| (qty.parse::<f64>().unwrap() * 1e4).round() as i64).sum()
    };
    assert_eq!(lots(&out.join("orders.csv"), "filled_qty"), lots(&out.join("fills.csv"), "qty"));
    let parquet = common::files_under(&out.join("parquet"));
    for table in ["orders", "fills", "trades", "orderbook"] {
        assert!(parquet.keys().any(|name| name.starts_with(table)), "{table}");
    }
}

/// The one session in a run's journal.
fn session_of(run: &Path) -> PathBuf {
    let sessions: Vec<PathBuf> =
        std::fs::read_dir(run.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    session.clone()
}

/// A session of ours on two synthetic symbols: the markets that its journal holds.
fn two_symbols(folder: &Path) -> PathBuf {
    let start = TimestampNs::from_millis(1_767_225_600_000);
    let symbols = ["BTCUSDT", "ETHUSDT"].map(str::to_owned).to_vec();
    let flow = FlowArgs { synthetic: 5, maker_fee_bps: FeeRate(0), symbols, ..FlowArgs::default() };
    let market = flow.plan(start).unwrap();
    let config = VirtualConfig {
        session: SessionId(12),
        mode: "demo",
        pipeline: PipelineConfig::default(),
        warm: None,
        length: DurationNs::from_secs(60),
        latencies: LatencyModel::default(),
        journal_dir: folder.to_owned(),
        account: CLIENT,
    };
    run(&config, Venue::new(market.venue, market.sources).unwrap()).unwrap().journal
}

#[test]
fn an_archive_and_the_journal_that_it_was_made_of_trade_alike_for_every_symbol() {
    let folder = tempfile::tempdir().unwrap();
    let journal = two_symbols(folder.path());
    let archive = folder.path().join("archive");
    let convert = ["convert", &journal.display().to_string(), "--out", &archive.display().to_string()];
    assert!(touchline(&convert).status.success());
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let flags = ["--set", "quoter.half_spread_ticks=3", "--set", "exchange.balances=USDT=10000000,BTC=100,ETH=1000"];
    let summary = backtest(&journal, &one, &flags);
    backtest(&archive, &two, &flags);
    for name in ["fills.csv", "fills-ETHUSDT.csv", "orders.csv", "pnl.csv", "pnl-ETHUSDT.csv"] {
        let bytes = |out: &Path| std::fs::read(out.join(name)).unwrap();
        assert!(bytes(&one) == bytes(&two), "{name} differs");
    }

    let other = &summary["others"][0];
    assert_eq!((&summary["symbol"], &other["symbol"]), (&"BTCUSDT".into(), &"ETHUSDT".into()));
    for (of, name) in [(&summary, "fills.csv"), (other, "fills-ETHUSDT.csv")] {
        let fills = of["fills"].as_u64().unwrap();
        assert!(fills > 5 && column(&one.join(name), "qty").len() as u64 == fills, "{name}: {fills}");
    }
    assert!(one.join("report-ETHUSDT.html").is_file());
    let net = |of: &Value| attos(&of["pnl"]["total"].to_string());
    let text = std::fs::read_to_string(one.join("summary.json")).unwrap();
    assert!(net(&summary) != 0 && text.contains("net_of_all"), "{text}");

    // What a conversion of another version left, and a file that is none, are told by name.
    let file = common::files_under(&archive).into_keys().find(|name| name.starts_with("trades")).unwrap();
    std::fs::write(archive.join(&file), b"PAR1").unwrap();
    let (data, out) = (archive.display().to_string(), folder.path().join("three").display().to_string());
    let done = touchline(&["backtest", "--data", &data, "--out", &out]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("E_INPUT_007") && said.contains(&file), "{said}");
}

#[test]
fn a_fill_model_is_trained_on_a_journal_and_trades() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let market =
        ["demo", "--virtual", "--seconds", "1500", "--informed-share", "0.2", "--seed", "3", "--out", &path("market")];
    assert!(touchline(&market).status.success());
    let train = [
        "train",
        "--data",
        &path("market/journal"),
        "--horizon",
        "0.5",
        "--embargo",
        "30",
        "--out",
        &path("model"),
        "--json",
    ];
    let done = touchline(&train);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let scores: Value = serde_json::from_slice(&done.stdout).unwrap();
    let model: Value = serde_json::from_slice(&std::fs::read(folder.path().join("model/fills.json")).unwrap()).unwrap();
    assert!(scores.to_string().contains("auc") && model.to_string().contains("digest"), "{scores}");

    let session = session_of(&folder.path().join("market"));
    let file = format!("quoter.ev_model_file={}", path("model/fills.json"));
    let ev = ["--quoter", "ev", "--set", "quoter.ev_inside_ticks=8", "--set", "quoter.requote=always"];
    let (data, out) = (session.display().to_string(), path("out"));
    let run = |out: &str, more: &[&str]| -> Value {
        let fixed = ["backtest", "--data", &data, "--out", out, "--json", "--fee-bps", "0"];
        let done = touchline(&[&fixed[..], &ev, more].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let (with, without) = (run(&out, &["--set", &file]), run(&path("plain"), &[]));
    assert!(with["fills"].as_u64().unwrap() > 50, "{with}");
    assert!(with["pnl"]["total"] != without["pnl"]["total"], "the trained model decides");
}

#[test]
fn a_symbol_that_the_data_does_not_hold_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = recording(folder.path()).display().to_string();
    let out = folder.path().join("out").display().to_string();
    for (flags, named) in [
        (["--symbol", "BTCUSDT"], "E_BACK_002"),
        (["--fill", "middle"], "prob:power3"),
        (["--set", "exchange.balances=USDT"], "ASSET=AMOUNT"),
    ] {
        let done = touchline(&[&["backtest", "--data", &data, "--out", &out], &flags[..]].concat());
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(named), "{flags:?}: {said}");
    }
}

/// Decimal text in units of 1e-18.
fn attos(number: &str) -> i128 {
    let (sign, digits) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<18}").parse::<i128>().unwrap()
}

/// `report --reconcile` of a run: the one symbol's comparison, and its text.
fn reconciled(run: &Path, flags: &[&str]) -> (Value, String) {
    let folder = run.display().to_string();
    let free = ["--set", "quoter.maker_fee_bps=0"];
    let done = touchline(&[&["report", &folder, "--reconcile"], &free[..], flags].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(run.join("report/reconcile.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    (all[0].clone(), text)
}

#[test]
fn a_session_reconciles_with_its_own_simulator_to_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = recording(folder.path());
    let run = folder.path().join("run");
    // The exchange and we hear of the market at once, as in paper mode.
    let latency = "feed=0ms,order=2ms,cancel=3ms,ack=1ms,fill=1ms";
    let summary = backtest(&data, &run, &["--fill", "risk-averse", "--latency", latency]);
    let (same, text) = reconciled(&run, &["--fill", "risk-averse", "--latency", latency]);
    let matrix = &same["matrix"];
    assert!(matrix["both"].as_u64().unwrap() > 20, "{same}");
    assert_eq!((&matrix["session_only"], &matrix["simulated_only"]), (&0.into(), &0.into()), "{same}");
    assert_eq!(same["agreement"], 1.0);
    assert_eq!(same["fill_time"]["mean_size_ms"], 0.0, "each first fill at its own time");
    assert_eq!(same["session_lots"], same["simulated_lots"]);
    assert_eq!(same["orders"].as_u64().unwrap() + same["refused"].as_u64().unwrap(), summary["orders_sent"]);
    assert!(text.contains("\"queue\": 0,"), "nothing is left to the queue: {text}");
    let rows = std::fs::read_to_string(run.join("report/reconcile.csv")).unwrap();
    assert_eq!(rows.lines().count() as u64, 1 + same["orders"].as_u64().unwrap());

    // Another model of the queue fills others, and the parts of the difference still add up to the last digit.
    let (other, text) = reconciled(&run, &["--fill", "touch", "--latency", "500ms"]);
    let matrix = &other["matrix"];
    let differ = matrix["session_only"].as_u64().unwrap() + matrix["simulated_only"].as_u64().unwrap();
    assert!(differ > 0, "{other}");
    let raw: Vec<std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>> =
        serde_json::from_str(&text).unwrap();
    let pnl: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(raw[0]["pnl"].get()).unwrap();
    let part = |name: &str| attos(pnl[name].get());
    assert_eq!(part("gap"), part("latency") + part("queue") + part("fees"));
    assert_eq!(part("gap"), part("session") - part("simulated"));
    assert!(part("latency") != 0 && part("queue") != 0, "{text}");
}
