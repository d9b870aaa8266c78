//! `touchline validate`: whether journals and archives are sound, and whether they tell of the same books.
//!
//! Reads everything there is from its start: every record's checksum, number and place, every column's sum; runs the
//! books and counts holes, crossings and clocks that disagree. Where a journal and its archive are both given, their
//! books are compared at every hour's end. Runs on the main thread and writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::convert::archive_failure;
use super::sources::sessions_at;
use super::{Failure, exit};
use crate::archive::{ArchiveError, Stored, Table, TableReader, check_file};
use crate::journal::{JournalError, JournalReader, Reading, SESSION_FILE};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::types::{Asset, Filters, Instrument, InstrumentId, InstrumentSpec, Symbol, TimestampNs};
use crate::wire::{FeedEvent, Flags, Stream};

/// Flags of `validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// Sessions' folders, folders that hold sessions, archives as `convert` makes them, or single Parquet files.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Digests of books at the end of hours: by session, symbol and hour since the epoch.
type HourBooks = BTreeMap<(String, String, u64), String>;

/// What was found in one place.
#[derive(Debug, Default, Serialize)]
struct Finding {
    path: String,
    kind: &'static str,
    /// Records or rows.
    count: u64,
    /// Holes in the venue's numbering of depth.
    gaps: u64,
    /// Times that a live book became crossed or locked.
    crossings: u64,
    /// Times that something was received before what came before it.
    recv_went_back: u64,
    /// Events that the venue's clock dates after their receipt by ours.
    event_ahead: u64,
    /// Greatest time from event to receipt, nanoseconds.
    event_behind_max_ns: i64,
    /// What an end without a seal lost; no fault of the files.
    torn: Vec<String>,
    /// What is wrong.
    problems: Vec<String>,
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    is_sound: bool,
    findings: Vec<Finding>,
    /// Books of hours that were compared between a journal and an archive.
    hours_compared: u64,
    /// Those that differ.
    hours_differ: Vec<String>,
}

/// Checks and says what was found.
///
/// # Errors
/// `E_INPUT_002` when a path is neither, `E_INPUT_005` when something is wrong, after telling all of it.
pub fn run(args: ValidateArgs) -> Result<(), Failure> {
    let mut report = Report::default();
    let (mut of_journals, mut of_archives) = (HourBooks::new(), HourBooks::new());
    for path in &args.paths {
        let mut files = Vec::new();
        parquet_files(path, &mut files);
        files.sort();
        let is_journal = path.join(SESSION_FILE).is_file() || files.is_empty();
        if is_journal {
            for session in sessions_at(path)? {
                report.findings.push(check_journal(&session, &mut of_journals)?);
            }
        } else {
            check_archive(&files, &mut report, &mut of_archives)?;
        }
    }
    for (key, book) in &of_journals {
        let (session, symbol, hour) = key;
        let Some(other) = of_archives.get(key) else { continue };
        report.hours_compared += 1;
        if other != book {
            let hour = hour * HOUR_NS;
            report
                .hours_differ
                .push(format!("session {session}, {symbol}, the hour from {hour} ns: journal {book}, archive {other}"));
        }
    }
    let problems: usize = report.findings.iter().map(|finding| finding.problems.len()).sum();
    report.is_sound = problems == 0 && report.hours_differ.is_empty();
    tell(&report, args.json)?;
    if report.is_sound {
        return Ok(());
    }
    let first = report
        .findings
        .iter()
        .find_map(|finding| finding.problems.first().map(|problem| format!("{}: {problem}", finding.path)))
        .or_else(|| report.hours_differ.first().cloned())
        .unwrap_or_default();
    Err(Failure::new(
        "E_INPUT_005",
        exit::INPUT,
        first,
        format!("{} problems were found, {} hours' books differ", problems, report.hours_differ.len()),
        "copy a damaged journal anew from where it was written; make a damaged archive anew with `touchline convert`",
    ))
}

/// Parquet files at or under a path, unfinished ones not among them.
fn parquet_files(path: &Path, files: &mut Vec<PathBuf>) {
    if path.extension().is_some_and(|extension| extension == "parquet") && path.is_file() {
        files.push(path.to_owned());
        return;
    }
    let Ok(listing) = std::fs::read_dir(path) else { return };
    for entry in listing.flatten() {
        parquet_files(&entry.path(), files);
    }
}

/// Books of a venue that this build does not know are joined by the looser rule.
fn rule_of(venue_profile: &str) -> SyncRule {
    SyncRule::of_profile(venue_profile).unwrap_or(SyncRule::Spot)
}

/// Books that are run along, each told at its hours' ends.
struct HourlyBooks {
    stage: MarketStage,
    /// The hour of the last event of each instrument.
    hours: Vec<Option<u64>>,
}

impl HourlyBooks {
    fn new(instruments: &[Instrument], rule: SyncRule) -> HourlyBooks {
        HourlyBooks { stage: MarketStage::new(instruments, rule), hours: vec![None; instruments.len()] }
    }

    /// Takes an event of the book; `tell` is called with the hour that ended and its book.
    fn take(&mut self, at: usize, ts: TimestampNs, event: &FeedEvent<'_>, tell: &mut dyn FnMut(usize, u64, String)) {
        let hour = ts.nanos() / HOUR_NS;
        let Some(last) = self.hours.get_mut(at) else { return };
        if let Some(ended) = last.replace(hour).filter(|&ended| ended < hour) {
            tell(at, ended, self.digest(at));
        }
        self.stage.on_event(event);
    }

    fn finish(&self, tell: &mut dyn FnMut(usize, u64, String)) {
        for (at, hour) in self.hours.iter().enumerate() {
            if let Some(hour) = *hour {
                tell(at, hour, self.digest(at));
            }
        }
    }

    fn digest(&self, at: usize) -> String {
        let sync = self.stage.sync(InstrumentId(at as u16));
        format!("{:032x}-{}-{:?}", sync.book().digest(), sync.update_id(), sync.state())
    }
}

fn check_journal(session_dir: &Path, hours: &mut HourBooks) -> Result<Finding, Failure> {
    let mut finding = Finding { path: session_dir.display().to_string(), kind: "journal", ..Finding::default() };
    let failed = |error: JournalError| archive_failure(error.into());
    let journal = JournalReader::open(session_dir).map_err(failed)?;
    let info = journal.info();
    let session = info.session_id().to_string();
    let instruments = info
        .instruments()
        .map_err(|why| failed(JournalError::SessionFile { path: session_dir.join(SESSION_FILE), why }))?;
    if !info.is_unedited() {
        finding.problems.push(format!("{SESSION_FILE} is not as the session wrote it"));
    }
    let mut books = HourlyBooks::new(&instruments, rule_of(&info.venue_profile));
    let mut tell = |at: usize, hour: u64, book: String| {
        hours.insert((session.clone(), instruments[at].symbol().to_owned(), hour), book);
    };
    let mut is_whole = true;
    for stream in Stream::ALL {
        for lane in 0..journal.lanes(stream) {
            let mut reader = journal.lane(stream, lane).map_err(failed)?;
            let mut last = TimestampNs::ZERO;
            while let Some(reading) = reader.next_reading().map_err(failed)? {
                let record = match reading {
                    Reading::Record(record) => record,
                    Reading::Damage(damage) => {
                        finding.problems.push(damage.to_string());
                        is_whole = false;
                        continue;
                    }
                };
                finding.count += 1;
                if stream != Stream::Feed || record.header.kind == crate::wire::Kind::End {
                    continue;
                }
                finding.recv_went_back += u64::from(record.header.ts < last);
                last = record.header.ts;
                let event = match FeedEvent::decode(&record) {
                    Ok(event) => event,
                    Err(error) => {
                        finding.problems.push(format!("feed record {}: {error}", record.header.seq));
                        continue;
                    }
                };
                look_at_clocks(&event, &mut finding);
                if record.header.flags.has(Flags::DROPPED) {
                    continue;
                }
                let ids = match &event {
                    FeedEvent::Depth(depth) => depth.head.instrument.index()..depth.head.instrument.index() + 1,
                    FeedEvent::Notice(notice) => match notice.instrument {
                        Some(id) => id.index()..id.index() + 1,
                        None => 0..instruments.len(),
                    },
                    _ => continue,
                };
                for at in ids {
                    // A notice about all is given to each book by itself, as the archive has it.
                    match event {
                        FeedEvent::Notice(mut notice) => {
                            notice.instrument = Some(InstrumentId(at as u16));
                            books.take(at, record.header.ts, &FeedEvent::Notice(notice), &mut tell);
                        }
                        _ => books.take(at, record.header.ts, &event, &mut tell),
                    }
                }
            }
            if let Some(torn) = reader.tail().torn {
                finding.torn.push(torn.to_string());
                is_whole = false;
            }
        }
    }
    books.finish(&mut tell);
    for instrument in &instruments {
        let counters = books.stage.counters(instrument.id);
        finding.gaps += counters.gaps;
        finding.crossings += counters.crossings;
    }
    let digest = format!("{:032x}", books.stage.digest());
    if let Some(end) = journal.end()
        && is_whole
        && end.books_digest.as_ref().is_some_and(|told| *told != digest)
    {
        finding.problems.push(format!("the books are {digest} at the end, the session left {:?}", end.books_digest));
    }
    Ok(finding)
}

fn look_at_clocks(event: &FeedEvent<'_>, finding: &mut Finding) {
    let (event_ts, recv_ts) = match event {
        FeedEvent::Depth(depth) => (depth.head.event_ts, depth.head.recv_ts),
        FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => (trade.event_ts, trade.recv_ts),
        _ => return,
    };
    if event_ts != TimestampNs::ZERO {
        finding.event_ahead += u64::from(event_ts > recv_ts);
        let behind = recv_ts.nanos() as i64 - event_ts.nanos() as i64;
        finding.event_behind_max_ns = finding.event_behind_max_ns.max(behind);
    }
}

/// Checks files, and runs the books of those of `orderbook`: they are given in the order of their names, which is the
/// order of their hours.
fn check_archive(files: &[PathBuf], report: &mut Report, hours: &mut HourBooks) -> Result<(), Failure> {
    let mut books: BTreeMap<(String, String), HourlyBooks> = BTreeMap::new();
    for path in files {
        let mut finding = Finding { path: path.display().to_string(), kind: "parquet", ..Finding::default() };
        let check = match check_file(path) {
            Ok(check) => check,
            Err(error) => {
                finding.problems.push(error.to_string());
                report.findings.push(finding);
                continue;
            }
        };
        finding.count = check.rows;
        finding.recv_went_back = check.ts_went_back;
        finding.event_ahead = check.event_ahead;
        finding.event_behind_max_ns = check.event_behind_max_ns;
        finding.problems = check.problems;
        if check.table == "orderbook" {
            let symbol = &check.symbol;
            let nameless = nameless()?;
            let before: Vec<_> = books.iter().map(|(key, books)| (key.clone(), counts(books))).collect();
            let mut rows = TableReader::new(Table::Orderbook, InstrumentId(0), [path.clone()]);
            let mut take = |Stored { session, is_dropped, event, .. }: Stored| {
                if is_dropped {
                    return;
                }
                let rule = check.venues.get(&session).map_or(SyncRule::Spot, |venue| rule_of(venue));
                let key = (session.clone(), symbol.clone());
                let one = books.entry(key).or_insert_with(|| HourlyBooks::new(std::slice::from_ref(&nameless), rule));
                one.take(0, event.recv_ts(), &event.as_event(), &mut |_, hour, book| {
                    hours.insert((session.clone(), symbol.clone(), hour), book);
                });
            };
            let read: Result<(), ArchiveError> = loop {
                match rows.advance() {
                    Ok(Some(stored)) => take(stored),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            if let Err(error) = read {
                finding.problems.push(error.to_string());
            }
            for (key, books) in &books {
                let before = before.iter().find(|(known, _)| known == key).map_or((0, 0), |(_, counts)| *counts);
                let now = counts(books);
                finding.gaps += now.0 - before.0;
                finding.crossings += now.1 - before.1;
            }
        }
        report.findings.push(finding);
    }
    for ((session, symbol), books) in &books {
        books.finish(&mut |_, hour, book| {
            hours.insert((session.clone(), symbol.clone(), hour), book);
        });
    }
    Ok(())
}

/// An instrument for books that are told apart by other means.
fn nameless() -> Result<Instrument, Failure> {
    let asset = Asset::new("NONE").map_err(|error| Failure::bug(error.to_string()))?;
    let spec = InstrumentSpec {
        symbol: Symbol::new("NONE").map_err(|error| Failure::bug(error.to_string()))?,
        base: asset,
        quote: asset,
        tick_e8: 1,
        lot_e8: 1,
        filters: Filters::default(),
    };
    Ok(Instrument::new(InstrumentId(0), spec))
}

fn counts(books: &HourlyBooks) -> (u64, u64) {
    let counters = books.stage.counters(InstrumentId(0));
    (counters.gaps, counters.crossings)
}

fn tell(report: &Report, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let text = serde_json::to_string(report).map_err(|error| Failure::bug(format!("no text: {error}")))?;
        println!("{text}");
        return Ok(());
    }
    for finding in &report.findings {
        let unit = if finding.kind == "journal" { "records" } else { "rows" };
        println!(
            "{}: {} {unit}, {} gaps, {} crossings, {} received out of order, {} dated ahead, at most {:.3} ms behind",
            finding.path,
            finding.count,
            finding.gaps,
            finding.crossings,
            finding.recv_went_back,
            finding.event_ahead,
            finding.event_behind_max_ns as f64 / 1e6,
        );
        for torn in &finding.torn {
            println!("  torn: {torn}");
        }
        for problem in &finding.problems {
            println!("  wrong: {problem}");
        }
    }
    if report.hours_compared > 0 {
        println!("{} books compared at their hour's end, {} differ", report.hours_compared, report.hours_differ.len());
        for differs in &report.hours_differ {
            println!("  differs: {differs}");
        }
    }
    println!("{}", if report.is_sound { "sound" } else { "not sound" });
    Ok(())
}
