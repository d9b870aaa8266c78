//! `touchline convert`: Parquet from journals, offline.
//!
//! Owns the verb's flags, words and progress bar; the work is in `archive`. Runs on the main thread.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::sources::sessions_at;
use super::{Failure, exit};
use crate::archive::{ArchiveError, ConvertOptions, Summary, Table, convert_all};
use crate::journal::JournalError;

/// Flags of `convert`.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// Sessions' folders, or folders that hold sessions.
    #[arg(value_name = "JOURNAL", required = true)]
    pub journals: Vec<PathBuf>,
    /// Where the archive goes: `<table>/<SYMBOL>/YYYY-MM-DD/HH.parquet`.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only these tables; `raw`, the feed's messages as the journal holds them, is made on request alone.
    #[arg(long, value_delimiter = ',', value_parser = ["orderbook", "touches", "trades", "orders", "fills", "quotes", "kpi", "raw"])]
    pub tables: Vec<String>,
    /// Print one JSON object on stdout: rows and sums of each table, files, what was dropped.
    #[arg(long)]
    pub json: bool,
}

/// How long a conversion may take before it shows its progress.
const QUIET: Duration = Duration::from_secs(2);

/// Converts and says what was written and what was not there to be.
///
/// # Errors
/// `E_INPUT_002` when a journal cannot be read, `E_INPUT_004` when one is damaged other than at its end (all whole
/// records are converted all the same), `E_OUT_001` and `E_OUT_002` when the archive cannot be written.
pub fn run(args: ConvertArgs) -> Result<(), Failure> {
    let mut sessions = Vec::new();
    for journal in &args.journals {
        sessions.extend(sessions_at(journal)?);
    }
    let tables = args.tables.iter().filter_map(|name| Table::from_name(name)).collect();
    let options = ConvertOptions { tables, ..ConvertOptions::default() };
    let started = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    let result = convert_all(&sessions, &args.out, &options, &mut |done, total| {
        if bar.is_none() && started.elapsed() >= QUIET && std::io::stderr().is_terminal() {
            bar = Some(progress_bar(total));
        }
        if let Some(bar) = &bar {
            bar.set_position(done);
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let summary = result.map_err(archive_failure)?;
    tell(&summary, args.json)?;
    match summary.dropped.iter().find(|place| !place.is_tail) {
        None => Ok(()),
        Some(place) => Err(Failure::new(
            "E_INPUT_004",
            exit::INPUT,
            format!("{}: offset {}: record {}: {}", place.file, place.offset, place.seq, place.why),
            "the journal is damaged there; every whole record before and after it was converted",
            "copy the session's folder anew from where it was written, and convert again",
        )),
    }
}

fn progress_bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn tell(summary: &Summary, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let text = serde_json::to_string(summary).map_err(|error| Failure::bug(format!("no text: {error}")))?;
        println!("{text}");
    } else {
        for (table, part) in &summary.tables {
            println!("{table}: {} rows", part.rows);
        }
        println!("{} files", summary.files.len());
    }
    for place in &summary.dropped {
        let records = place.records.map_or(String::new(), |records| format!(", {records} records"));
        eprintln!(
            "dropped: {}: from offset {}, record {} on: {} bytes{records}: {}",
            place.file, place.offset, place.seq, place.bytes, place.why
        );
    }
    Ok(())
}

/// An archive that could not be made, as a coded sentence.
pub fn archive_failure(error: ArchiveError) -> Failure {
    let is_full = match &error {
        ArchiveError::Io { source, .. } => is_full(source),
        ArchiveError::Parquet { source, .. } => match source {
            parquet::errors::ParquetError::External(inner) => {
                inner.downcast_ref::<std::io::Error>().is_some_and(is_full)
            }
            other => other.to_string().contains("No space left"),
        },
        _ => false,
    };
    match error {
        ArchiveError::Journal(JournalError::Corrupt(_)) | ArchiveError::Record { .. } => Failure::new(
            "E_INPUT_004",
            exit::INPUT,
            error.to_string(),
            "the journal is damaged there",
            "copy the session's folder anew from where it was written",
        ),
        ArchiveError::Journal(_) | ArchiveError::Symbol { .. } => Failure::new(
            "E_INPUT_002",
            exit::INPUT,
            error.to_string(),
            "it is no journal, a part of it is missing, or it was written by another version",
            "name a session's folder, as a session prints it at its end",
        ),
        _ if is_full => Failure::new(
            "E_OUT_002",
            exit::OUTPUT,
            error.to_string(),
            "the disk, or the quota, is full; files that were finished are kept, nothing unfinished is left",
            "free space, or give a folder on another disk with --out",
        ),
        _ => Failure::new(
            "E_OUT_001",
            exit::OUTPUT,
            error.to_string(),
            "the archive cannot be written there",
            "give a folder that can be written with --out",
        ),
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
