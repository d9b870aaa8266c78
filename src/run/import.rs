//! `touchline import`: other people's recordings into a journal, with a report of what they are worth.
//!
//! Every line is checked before anything is written, so a recording that cannot be trusted leaves no journal behind.
//! The journal is that of a session which only recorded: it converts, validates and replays as one. Its session number
//! is the recording's first receive time in milliseconds; the same recording gives the same journal.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Failure;
use super::inspect::{Inspection, recording_failure, summary_text};
use super::output::journal_failure;
use crate::import::{Format, Hints, Recording};
use crate::journal::{Journal, JournalConfig, JournalError, JournalWriter, Keeper, SessionEnd, SessionInfo};
use crate::types::{Date, SessionId, TimestampNs};
use crate::wire::{FeedEvent, Flags, Kind, RecordBuf, Stream};

/// Flags of `import`.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// Files of one recording: those of one kind continue each other in the given order, different kinds (quotes and
    /// trades, messages and order book) are read side by side.
    #[arg(value_name = "SRC", required = true)]
    sources: Vec<PathBuf>,
    /// Folder in which the journal's session folder is made.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// hftbacktest, cryptofeed, tardis, binance-csv or lobster; without it each file's first line tells.
    #[arg(long)]
    format: Option<Format>,
    /// Symbol of files that name none; without it the start of the file's name.
    #[arg(long)]
    symbol: Option<String>,
    /// Day of files that hold times of day, as 2024-12-31; without it the date in the file's name.
    #[arg(long)]
    date: Option<Date>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Imports and reports.
///
/// # Errors
/// `E_INPUT_001` with the file, the line and how many lines before it were fine; `E_OUT_001` when the journal cannot be
/// made, for instance because the recording was imported there before.
pub fn run(args: ImportArgs) -> Result<(), Failure> {
    let hints = Hints { format: args.format, symbol: args.symbol, date: args.date };
    let recording = Recording::open_with(&args.sources, &hints).map_err(|error| recording_failure(&error))?;
    let (session_dir, view) = import(&recording, &args.out)?;
    let report = report(&recording, &session_dir, &view);
    if args.json {
        println!("{report}");
    } else {
        print!("{}", summary_text(&report));
    }
    Ok(())
}

fn report(recording: &Recording, session_dir: &Path, view: &Inspection) -> Value {
    let mut report = json!({ "journal": session_dir.display().to_string(), "lines": recording.lines() });
    if let (Value::Object(report), Value::Object(summary)) = (&mut report, view.summary()) {
        report.extend(summary);
    }
    report
}

/// Writes the journal, and looks at the recording as a session would.
fn import(recording: &Recording, out: &Path) -> Result<(PathBuf, Inspection), Failure> {
    let profile = recording.rule().profile();
    let first = recording.first_recv();
    let info = SessionInfo::new(SessionId(first.millis()), "import", profile, first, recording.instruments(), None);
    let config = JournalConfig::for_virtual_time(out);
    let (session_dir, feed, keeper) = Journal::create_feed_only(&config, &info).map_err(journal_failure)?;
    let mut writer = Writer { feed, keeper, record: RecordBuf::default(), session_dir: session_dir.clone() };
    let mut view = Inspection::new(recording.instruments(), recording.rule());
    let mut reader = recording.reader();
    let mut last = first;
    while let Some(recorded) = reader.advance().map_err(|error| recording_failure(&error))? {
        view.take(recorded.recv_ts, &recorded.event);
        writer.append(&recorded.event).map_err(journal_failure)?;
        last = last.max(recorded.recv_ts);
    }
    writer.close(last, view.books_digest()).map_err(journal_failure)?;
    Ok((session_dir, view))
}

/// A journal of one stream, written and kept in one thread.
struct Writer {
    feed: JournalWriter,
    keeper: Keeper,
    record: RecordBuf,
    session_dir: PathBuf,
}

impl Writer {
    fn append(&mut self, event: &FeedEvent<'_>) -> Result<(), JournalError> {
        let (kind, ts) = event.encode(&mut self.record);
        self.finish(kind, ts)
    }

    fn finish(&mut self, kind: Kind, ts: TimestampNs) -> Result<(), JournalError> {
        let units = self.record.finish(Stream::Feed, kind, Flags::NONE, self.feed.next_seq(), ts);
        if !self.feed.has_room(units.len()) {
            self.keeper.step(TimestampNs::ZERO)?;
        }
        self.feed.append(units).map_err(|_| JournalError::Segment {
            path: self.session_dir.clone(),
            why: "no further segment could be made, or a record is larger than one",
        })
    }

    fn close(mut self, last: TimestampNs, books_digest: u128) -> Result<(), JournalError> {
        self.record.begin();
        self.finish(Kind::End, last)?;
        drop(self.feed);
        self.keeper.close()?;
        SessionEnd::new(Some(books_digest), None).write(&self.session_dir)
    }
}
