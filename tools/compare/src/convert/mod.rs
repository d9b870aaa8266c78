//! `compare convert`: ten million rows of depth made into Parquet, by us and by the tools that people use.
//!
//! Everybody writes the same table: the sixteen columns of `orderbook`, one file a symbol, row groups of 131 072 rows,
//! zstd at level 1, on one thread pinned to one core; files are warm. What each starts from:
//!
//! - `touchline`: the journal, from `convert` as the command runs it: map, check CRCs, decode, make rows, write, rename.
//! - `writer`: the same rows in memory as the archive's own writer takes them; nothing but writing is timed.
//! - `pyarrow_memory`, `polars`, `duckdb`: whole Arrow tables (or frames) in memory; nothing but writing is timed.
//! - `pyarrow_memmap`: plain binary rows of 48 bytes, mapped; making columns of them is timed, as for `touchline`.
//!
//! Both pyarrow rows use the archive's encodings. Rounds are interleaved; each measurement is a process of its own, its
//! time what the process ran on its core and its memory its greatest resident set; figures are medians.

mod data;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::{Map, Value, json};
use touchline::archive::{ConvertOptions, HeldTables, Table, convert};

use crate::machine::{cpu_seconds, peak_rss_mib, pin_to_one_core, python_with, scratch_folder};

/// Who is measured, in the order of a round.
const TOOLS: [&str; 6] = ["touchline", "writer", "pyarrow_memory", "pyarrow_memmap", "polars", "duckdb"];

/// The peers' side, run by Python.
const PEERS: &str = include_str!("peers.py");

/// What the peers are installed from.
const PACKAGES: [&str; 5] = ["pyarrow==26.0.1", "pandas==3.1.1", "polars==2.1.0", "duckdb==2.0.0", "numpy"];

#[derive(Args)]
pub struct Options {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Rows of the set.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these tools (comma-separated).
    #[arg(long, value_delimiter = ',')]
    tool: Vec<String>,
    /// Folder for the set and the outputs; in memory where the system has such a folder, so that no disk is measured.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A Python with pyarrow, polars and duckdb; installed beside the build when absent.
    #[arg(long)]
    python: Option<PathBuf>,
    /// For itself: measures one tool in this process.
    #[arg(long, hide = true)]
    child: Option<String>,
}

pub fn run(options: &Options) -> Result<(), String> {
    if let (Some(tool), Some(folder)) = (&options.child, &options.folder) {
        println!("{}", measure_here(tool, folder)?);
        return Ok(());
    }
    for tool in &options.tool {
        if !TOOLS.contains(&&tool[..]) {
            return Err(format!("no such tool: {tool}"));
        }
    }
    let folder = scratch_folder(options.folder.as_deref(), "convert");
    let result = measure_all(options, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    let figures = result?;
    if options.json {
        println!("{}", Value::Object(figures));
    } else {
        print_table(&figures);
    }
    Ok(())
}

fn measure_all(options: &Options, folder: &Path) -> Result<Map<String, Value>, String> {
    let python = match &options.python {
        Some(python) => python.clone(),
        None => python_with("convert-venv", "import pyarrow.parquet, numpy, polars, duckdb", &PACKAGES)?,
    };
    pin_to_one_core();
    let set = data::make(folder, options.rows)?;
    let script = folder.join("peers.py");
    std::fs::write(&script, PEERS).map_err(|error| format!("the peers' script: {error}"))?;
    let tools: Vec<&str> = TOOLS
        .into_iter()
        .filter(|tool| options.tool.is_empty() || options.tool.iter().any(|only| only == tool))
        .collect();
    let mut taken: Vec<Vec<Value>> = vec![Vec::new(); tools.len()];
    for _ in 0..options.rounds.max(1) {
        for (tool, taken) in tools.iter().zip(&mut taken) {
            let _ = std::fs::remove_dir_all(folder.join("out"));
            let mut command = if matches!(*tool, "touchline" | "writer") {
                let own = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
                let mut command = Command::new(own);
                command.args(["convert", "--child", tool, "--folder"]).arg(&set.session);
                command
            } else {
                let mut command = Command::new(&python);
                command.arg(&script).arg(tool).arg(&set.plain).arg(folder.join("out"));
                command
            };
            let output = command
                .env("POLARS_MAX_THREADS", "1")
                .env("OMP_NUM_THREADS", "1")
                .output()
                .map_err(|error| format!("{tool}: {error}"))?;
            if !output.status.success() {
                return Err(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr)));
            }
            let figure: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{tool}: {error}"))?;
            if figure["rows"].as_u64() != Some(set.rows) {
                return Err(format!("{tool}: wrote {} of {} rows", figure["rows"], set.rows));
            }
            taken.push(figure);
        }
    }
    let mut figures = Map::new();
    for (tool, taken) in tools.iter().zip(&taken) {
        let median = |name: &str| {
            let mut values: Vec<f64> = taken.iter().filter_map(|figure| figure[name].as_f64()).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        figures.insert(
            (*tool).to_owned(),
            json!({
                "mrows_per_s": (set.rows as f64 / median("seconds") / 1e4).round() / 100.0,
                "bytes": median("bytes") as u64,
                "peak_rss_mib": median("peak_rss_mib").round(),
            }),
        );
    }
    Ok(figures)
}

/// Measures one of ours: the answer is one JSON object.
fn measure_here(tool: &str, session: &Path) -> Result<Value, String> {
    let out = session.parent().unwrap_or(session).join("out");
    let options = ConvertOptions { tables: vec![Table::Orderbook], ..ConvertOptions::default() };
    // Warm: every file of the session is read once before the time counts.
    for entry in std::fs::read_dir(session.join("feed")).map_err(|error| format!("the journal: {error}"))? {
        let path = entry.map_err(|error| format!("the journal: {error}"))?.path();
        std::fs::File::open(path)
            .and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()))
            .map_err(|error| format!("the journal: {error}"))?;
    }
    let (rows, seconds) = match tool {
        "touchline" => {
            let before = cpu_seconds();
            let summary = convert(session, &out, &options).map_err(|error| error.to_string())?;
            (summary.tables["orderbook"].rows, cpu_seconds() - before)
        }
        _ => {
            let tables = HeldTables::read(session, &options).map_err(|error| error.to_string())?;
            let before = cpu_seconds();
            let rows = tables.write(&out).map_err(|error| error.to_string())?;
            (rows, cpu_seconds() - before)
        }
    };
    Ok(json!({
        "rows": rows,
        "seconds": seconds,
        "bytes": bytes_under(&out)?,
        "peak_rss_mib": peak_rss_mib(),
    }))
}

fn bytes_under(folder: &Path) -> Result<u64, String> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let entry = entry.map_err(|error| error.to_string())?;
        let meta = entry.metadata().map_err(|error| error.to_string())?;
        bytes += if meta.is_dir() { bytes_under(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}

fn print_table(figures: &Map<String, Value>) {
    println!("{:<16} {:>10} {:>12} {:>13} {:>10}", "", "Mrows/s", "bytes", "peak RSS MiB", "to writer");
    let writer = figures.get("writer").and_then(|figure| figure["mrows_per_s"].as_f64());
    for (tool, figure) in figures {
        let speed = figure["mrows_per_s"].as_f64().unwrap_or(0.0);
        let ratio = writer.map_or(String::new(), |writer| format!("{:.2}", speed / writer));
        println!("{tool:<16} {speed:>10.2} {:>12} {:>13} {ratio:>10}", figure["bytes"], figure["peak_rss_mib"]);
    }
}
