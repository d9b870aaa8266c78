//! `compare backtest`: one tape, one quoter, one queue model, by us and by hftbacktest.
//!
//! Everybody plays the same events ([`tape`]) and quotes 0.01 one tick behind the touch on both sides, with half a
//! millisecond for market data, for requests and for answers, post-only, in hftbacktest's exchange without partial fills
//! and its risk-averse queue; ours runs as [`Liquidity::Endless`](touchline::sim::lean::Liquidity), which is the same.
//!
//! - `touchline`, `hftbacktest_roi`, `hftbacktest_hash`, `hftbacktest_py`: a look at the book each 100 ms. The last is of
//!   PyPI, with numba warm and the vector book.
//! - `touchline_every_event`, `hftbacktest_roi_every_event`: a look at it whenever market data has arrived.
//! - `touchline_100_sessions`: the first, with a hundred tapes behind each other.
//!
//! Rounds are interleaved; each measurement is a process of its own, pinned to one core, its time what it ran there and
//! its memory its greatest resident set; figures are medians. Ours reads its file while the time runs, the peers have
//! loaded theirs before. First all fills of ours and of the crate are compared, by time, side and price, for both kinds
//! of looks and under two queue models; `--data` compares them on a recorded session instead and measures nothing.

mod ours;
mod peer;
mod tape;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::{Map, Value, json};
use touchline::sim::queue::{Power3, Prob, RiskAverse};
use touchline::types::DurationNs;

use self::peer::Book;
use self::tape::Units;
use crate::machine::{peak_rss_mib, pin_to_one_core, python_with, scratch_folder};

/// Who is measured, in the order of a round.
const ENGINES: [&str; 7] = [
    "touchline",
    "hftbacktest_roi",
    "touchline_every_event",
    "hftbacktest_roi_every_event",
    "hftbacktest_hash",
    "hftbacktest_py",
    "touchline_100_sessions",
];
const EVERY: DurationNs = DurationNs::from_millis(100);
/// The peer's side, run by Python, and what it is installed from.
const PEER: &str = include_str!("peer.py");
const PACKAGES: [&str; 1] = ["hftbacktest==2.4.4"];

/// One of our executions, as both tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Execution {
    pub at_ns: u64,
    pub is_buy: bool,
    pub tick: i64,
}

/// What playing a tape came to.
pub struct Played {
    pub events: u64,
    pub seconds: f64,
    pub fills: u64,
    pub orders: u64,
    pub kept: Vec<Execution>,
}

/// Which of the queue models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    RiskAverse,
    /// `1 - (front / (front + back))^3`.
    Power,
}

#[derive(Args)]
pub struct Options {
    /// Fewer events: below a minute in all.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Events of the tape, instead of the usual number.
    #[arg(long)]
    events: Option<u64>,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these engines (comma-separated).
    #[arg(long, value_delimiter = ',')]
    engine: Vec<String>,
    /// Compare fills on these recorded files, which continue each other, and measure nothing.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Folder for the tape; in memory where the system has such a folder, so that no disk is measured.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A Python with hftbacktest; installed beside the build when absent.
    #[arg(long)]
    python: Option<PathBuf>,
    /// For itself: measures one engine in this process.
    #[arg(long, hide = true, requires = "folder")]
    child: Option<String>,
}

pub fn run(options: &Options) -> Result<(), String> {
    if let (Some(engine), Some(folder)) = (&options.child, &options.folder) {
        println!("{}", measure_here(engine, folder)?);
        return Ok(());
    }
    if let Some(engine) = options.engine.iter().find(|engine| !ENGINES.contains(&&engine[..])) {
        return Err(format!("no such engine: {engine}"));
    }
    let folder = scratch_folder(options.folder.as_deref(), "backtest");
    let result =
        if options.data.is_empty() { measure_all(options, &folder) } else { compare_recorded(options, &folder) };
    let _ = std::fs::remove_dir_all(&folder);
    let report = result?;
    if options.json {
        println!("{}", Value::Object(report));
    } else {
        print_table(&report);
    }
    Ok(())
}

fn compare_recorded(options: &Options, folder: &Path) -> Result<Map<String, Value>, String> {
    let (events, units) = tape::make_recorded(folder, &options.data)?;
    let mut report = Map::new();
    report.insert("events".to_owned(), json!(events));
    report.insert("agreement".to_owned(), agreement(folder, Book::Hash, units)?);
    Ok(report)
}

/// Plays the tape with ours and with the crate, in both settings and under both queue models, and compares every fill.
///
/// # Errors
/// The first fill that is not the same.
fn agreement(folder: &Path, book: Book, units: Units) -> Result<Value, String> {
    let mut report = Map::new();
    for (setting, every) in [("each_100_ms", Some(EVERY)), ("every_event", None)] {
        for (name, queue) in [("risk_averse", Queue::RiskAverse), ("power", Queue::Power)] {
            let ours = play_ours(folder, every, queue, 1, true)?;
            let theirs = peer::play(folder, book, every, queue, units, true)?;
            let (mut ours_kept, mut theirs_kept) = (ours.kept, theirs.kept);
            // What one event fills has no order: theirs walks a hash table.
            ours_kept.sort_unstable();
            theirs_kept.sort_unstable();
            let name = format!("{setting}_{name}");
            if ours_kept != theirs_kept {
                let at = ours_kept.iter().zip(&theirs_kept).position(|(one, other)| one != other);
                let at = at.unwrap_or(ours_kept.len().min(theirs_kept.len()));
                return Err(format!(
                    "{name}: {} fills and hftbacktest has {}; the first that differs: {:?} and {:?}",
                    ours_kept.len(),
                    theirs_kept.len(),
                    ours_kept.get(at),
                    theirs_kept.get(at)
                ));
            }
            if ours.orders != theirs.orders || ours.events != theirs.events {
                return Err(format!("{name}: {} orders and hftbacktest sent {}", ours.orders, theirs.orders));
            }
            report.insert(name, json!({"orders": ours.orders, "fills_equal": ours_kept.len()}));
        }
    }
    Ok(Value::Object(report))
}

fn play_ours(
    folder: &Path,
    every: Option<DurationNs>,
    queue: Queue,
    sessions: u64,
    is_kept: bool,
) -> Result<Played, String> {
    match (queue, every) {
        (Queue::RiskAverse, Some(every)) => ours::play::<false>(folder, every, RiskAverse, sessions, is_kept),
        (Queue::RiskAverse, None) => ours::play::<true>(folder, EVERY, RiskAverse, sessions, is_kept),
        (Queue::Power, Some(every)) => ours::play::<false>(folder, every, Prob(Power3 { n: 3.0 }), sessions, is_kept),
        (Queue::Power, None) => ours::play::<true>(folder, EVERY, Prob(Power3 { n: 3.0 }), sessions, is_kept),
    }
}

fn measure_all(options: &Options, folder: &Path) -> Result<Map<String, Value>, String> {
    let engines: Vec<&str> = ENGINES
        .into_iter()
        .filter(|engine| options.engine.is_empty() || options.engine.iter().any(|only| only == engine))
        .collect();
    let python = match &options.python {
        Some(python) => python.clone(),
        None if engines.contains(&"hftbacktest_py") => python_with("backtest-venv", "import hftbacktest", &PACKAGES)?,
        None => PathBuf::new(),
    };
    let events = options.events.unwrap_or(if options.quick { 500_000 } else { 5_500_000 });
    let events = tape::make(folder, events).map_err(|error| format!("the tape: {error}"))?;
    std::fs::write(folder.join("peer.py"), PEER).map_err(|error| format!("the peer's script: {error}"))?;
    eprintln!("{events} events; comparing fills");
    let agreement = agreement(folder, Book::Roi, Units::WORKLOAD)?;
    eprintln!("{agreement}");
    pin_to_one_core();
    let mut taken: Vec<Vec<Value>> = vec![Vec::new(); engines.len()];
    for round in 0..options.rounds.max(1) {
        for (engine, taken) in engines.iter().zip(&mut taken) {
            // Its memory is the question, and one answer is enough.
            if *engine == "touchline_100_sessions" && round > 0 {
                continue;
            }
            taken.push(measure_child(engine, folder, &python)?);
        }
    }
    let mut report = Map::new();
    for (engine, taken) in engines.iter().zip(&taken) {
        report.insert((*engine).to_owned(), summary(taken));
    }
    let roi = |name: &str| report.get(name).map(|figure| figure["fills"].clone());
    for [ours, theirs] in [["touchline", "hftbacktest_roi"], ["touchline_every_event", "hftbacktest_roi_every_event"]] {
        if let (Some(ours_fills), Some(fills)) = (roi(ours), roi(theirs))
            && ours_fills != fills
        {
            return Err(format!("{ours} has {ours_fills} fills, {theirs} {fills}"));
        }
    }
    Ok(report)
}

fn measure_child(engine: &str, folder: &Path, python: &Path) -> Result<Value, String> {
    let mut command = if engine == "hftbacktest_py" {
        let mut command = Command::new(python);
        command.arg(folder.join("peer.py")).arg(folder.join(tape::THEIRS));
        command
    } else {
        let own = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
        let mut command = Command::new(own);
        command.args(["backtest", "--child", engine, "--folder"]).arg(folder);
        command
    };
    let output = command.output().map_err(|error| format!("{engine}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{engine}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{engine}: {error}"))
}

/// Measures one of those that are of Rust: the answer is one JSON object.
fn measure_here(engine: &str, folder: &Path) -> Result<Value, String> {
    let risk_averse = Queue::RiskAverse;
    let theirs = |book, every| peer::play(folder, book, every, risk_averse, Units::WORKLOAD, false);
    let played = match engine {
        "touchline" => play_ours(folder, Some(EVERY), risk_averse, 1, false),
        "touchline_100_sessions" => play_ours(folder, Some(EVERY), risk_averse, 100, false),
        "touchline_every_event" => play_ours(folder, None, risk_averse, 1, false),
        "hftbacktest_roi" => theirs(Book::Roi, Some(EVERY)),
        "hftbacktest_hash" => theirs(Book::Hash, Some(EVERY)),
        "hftbacktest_roi_every_event" => theirs(Book::Roi, None),
        _ => return Err(format!("no such engine: {engine}")),
    }?;
    Ok(json!({
        "events": played.events,
        "seconds": played.seconds,
        "fills": played.fills,
        "orders": played.orders,
        "peak_rss_mib": peak_rss_mib(),
    }))
}

fn summary(taken: &[Value]) -> Value {
    let median = |name: &str| {
        let mut values: Vec<f64> = taken.iter().filter_map(|figure| figure[name].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let per_second = median("events") / median("seconds").max(1e-9);
    json!({
        "mevents_per_s": (per_second / 1e4).round() / 100.0,
        "ns_per_event": (1e11 / per_second).round() / 100.0,
        "fills": median("fills") as u64,
        "orders": median("orders") as u64,
        "peak_rss_mib": median("peak_rss_mib").round(),
    })
}

fn print_table(report: &Map<String, Value>) {
    if let Some(agreement) = report.get("agreement") {
        println!("{} events; equal fills: {agreement}", report["events"]);
        return;
    }
    let name = |text: &str| format!("{text:<28}");
    println!("{}{:>11}{:>10}{:>11}{:>10}{:>14}", name(""), "Mevents/s", "ns/event", "orders", "fills", "peak RSS MiB");
    for (engine, figure) in report {
        let number = |key: &str| figure[key].as_f64().unwrap_or(0.0);
        println!(
            "{}{:>11.2}{:>10.2}{:>11}{:>10}{:>14}",
            name(engine),
            number("mevents_per_s"),
            number("ns_per_event"),
            figure["orders"],
            figure["fills"],
            number("peak_rss_mib")
        );
    }
}
