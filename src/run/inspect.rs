//! `touchline inspect`: what recordings or a journal hold, and the book they lead to.
//!
//! Reads from the start to the end through the same market stage as a session, on the main thread, and prints one JSON
//! object or a table. It writes nothing.

mod follow;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Failure, exit};
use crate::import::{ImportError, Recording};
use crate::journal::{JournalReader, SESSION_FILE};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::types::{Instrument, InstrumentId, Level, Side, TimestampNs};
use crate::wire::{DepthKind, FeedEvent, Flags, Kind, Stream};

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// A journal's session folder, or recordings that continue each other in the given order.
    #[arg(value_name = "SRC", required = true)]
    pub sources: Vec<PathBuf>,
    /// Show the book at the end, and how it came about.
    #[arg(long)]
    pub book: bool,
    /// Levels a side to show of each book.
    #[arg(long, default_value_t = 10, requires = "book")]
    pub depth: usize,
    /// Follow a journal that is being written: print each record as it is committed, until the session ends.
    #[arg(long, conflicts_with = "book")]
    pub follow: bool,
    /// With --follow: records of each stream's past to print first.
    #[arg(long, default_value_t = 10, requires = "follow", value_name = "N")]
    pub tail: u64,
    /// Print one JSON object on stdout; with --follow one a line.
    #[arg(long)]
    pub json: bool,
}

/// Prints what the sources hold.
///
/// # Errors
/// `E_INPUT_001` when a recording, `E_INPUT_002` when a journal cannot be read, each with its place; `E_INPUT_003` when
/// both are mixed.
pub fn run(args: InspectArgs) -> Result<(), Failure> {
    if args.follow {
        let [journal] = &args.sources[..] else {
            return Err(Failure::new(
                "E_INPUT_003",
                exit::INPUT,
                "only one journal can be followed",
                "several sources are named",
                "name one session's folder",
            ));
        };
        return follow::follow(journal, args.tail, args.json);
    }
    let view = Inspection::of(&args.sources)?;
    let value = if args.book { view.books(args.depth) } else { view.summary() };
    if args.json {
        println!("{value}");
    } else {
        print!("{}", if args.book { books_text(&value) } else { summary_text(&value) });
    }
    Ok(())
}

/// What the messages of one symbol were.
#[derive(Clone, Debug, Default)]
struct Counts {
    snapshots: u64,
    diffs: u64,
    trades: u64,
    agg_trades: u64,
    touches: u64,
    notices: u64,
}

impl Counts {
    fn messages(&self) -> u64 {
        self.snapshots + self.diffs + self.trades + self.agg_trades + self.touches
    }
}

/// How the recorder's clock stood to the venue's, the way included.
#[derive(Clone, Copy, Debug, Default)]
struct Skew {
    count: u64,
    sum_ns: i128,
    /// Least and most, once something was counted.
    least_ns: i64,
    most_ns: i64,
}

impl Skew {
    fn take(&mut self, recv_ts: TimestampNs, event: &FeedEvent<'_>) {
        let event_ts = match event {
            FeedEvent::Depth(depth) => depth.head.event_ts,
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => trade.event_ts,
            FeedEvent::Touch(_) | FeedEvent::Notice(_) | FeedEvent::Raw(_) => return,
        };
        // A spot snapshot states no time.
        if event_ts == TimestampNs::ZERO {
            return;
        }
        let ns = recv_ts.nanos().wrapping_sub(event_ts.nanos()) as i64;
        let (least, most) = if self.count == 0 { (ns, ns) } else { (self.least_ns, self.most_ns) };
        (self.least_ns, self.most_ns) = (least.min(ns), most.max(ns));
        self.sum_ns += i128::from(ns);
        self.count += 1;
    }

    fn summary(&self) -> Value {
        if self.count == 0 {
            return Value::Null;
        }
        let ms = |ns: f64| (ns / 1e3).round() / 1e3;
        let mean = self.sum_ns as f64 / self.count as f64;
        json!([ms(self.least_ns as f64), ms(mean), ms(self.most_ns as f64)])
    }
}

/// Sources, read to the end.
pub(super) struct Inspection {
    instruments: Vec<Instrument>,
    stage: MarketStage,
    counts: Vec<Counts>,
    first_recv: Option<TimestampNs>,
    last_recv: TimestampNs,
    /// Times that a message was received before the one before it.
    recv_went_back: u64,
    /// Receive time less the venue's, where a message states it.
    skew: Skew,
    /// What a journal lost at its end, as a sentence.
    torn: Option<String>,
}

impl Inspection {
    fn of(sources: &[PathBuf]) -> Result<Inspection, Failure> {
        let journals = sources.iter().filter(|source| source.join(SESSION_FILE).is_file()).count();
        match (journals, sources) {
            (0, _) => Inspection::of_recordings(sources),
            (1, [journal]) => Inspection::of_journal(journal),
            _ => Err(Failure::new(
                "E_INPUT_003",
                exit::INPUT,
                "a journal is named together with other sources",
                "a journal's session stands for itself and continues nothing",
                "name one session's folder, or recordings only",
            )),
        }
    }

    fn of_recordings(sources: &[PathBuf]) -> Result<Inspection, Failure> {
        let recording = Recording::open(sources).map_err(|error| recording_failure(&error))?;
        let mut view = Inspection::new(recording.instruments(), recording.rule());
        recording.for_each(|recv_ts, event| view.take(recv_ts, event)).map_err(|error| recording_failure(&error))?;
        Ok(view)
    }

    fn of_journal(session_dir: &Path) -> Result<Inspection, Failure> {
        let failed = |why: String| journal_failure(session_dir, why);
        let journal = JournalReader::open(session_dir).map_err(|error| failed(error.to_string()))?;
        let instruments = journal.info().instruments().map_err(failed)?;
        let rule = SyncRule::of_profile(&journal.info().venue_profile).unwrap_or(SyncRule::Spot);
        let mut view = Inspection::new(&instruments, rule);
        let mut stream = journal.stream(Stream::Feed).map_err(|error| failed(error.to_string()))?;
        while let Some(record) = stream.next().map_err(|error| failed(error.to_string()))? {
            if record.header.kind == Kind::End {
                break;
            }
            let event = FeedEvent::decode(&record)
                .map_err(|error| failed(format!("feed record {}: {error}", record.header.seq)))?;
            // The book never saw what its link had no room for, so it must not see it here.
            if !record.header.flags.has(Flags::DROPPED) {
                view.take(record.header.ts, &event);
            }
        }
        view.torn = stream.tail().torn.map(|damage| damage.to_string());
        Ok(view)
    }

    /// Before the first event.
    pub(super) fn new(instruments: &[Instrument], rule: SyncRule) -> Inspection {
        Inspection {
            instruments: instruments.to_vec(),
            stage: MarketStage::new(instruments, rule),
            counts: vec![Counts::default(); instruments.len()],
            first_recv: None,
            last_recv: TimestampNs::ZERO,
            recv_went_back: 0,
            skew: Skew::default(),
            torn: None,
        }
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, recv_ts: TimestampNs, event: &FeedEvent<'_>) {
        self.stage.on_event(event);
        self.skew.take(recv_ts, event);
        let id = match event {
            FeedEvent::Depth(depth) => depth.head.instrument,
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => trade.instrument,
            FeedEvent::Touch(touch) => touch.instrument,
            FeedEvent::Notice(notice) => notice.instrument.unwrap_or_default(),
            FeedEvent::Raw(_) => return,
        };
        self.first_recv.get_or_insert(recv_ts);
        self.recv_went_back += u64::from(recv_ts < self.last_recv);
        self.last_recv = recv_ts;
        let Some(counts) = self.counts.get_mut(id.index()) else { return };
        match event {
            FeedEvent::Depth(depth) if depth.head.kind == DepthKind::Snapshot => counts.snapshots += 1,
            FeedEvent::Depth(_) => counts.diffs += 1,
            FeedEvent::Trade(_) => counts.trades += 1,
            FeedEvent::AggTrade(_) => counts.agg_trades += 1,
            FeedEvent::Touch(_) => counts.touches += 1,
            FeedEvent::Notice(_) => counts.notices += 1,
            FeedEvent::Raw(_) => {}
        }
    }

    /// The books by symbol.
    fn books(&self, depth: usize) -> Value {
        let book_of = |(at, instrument): (usize, &Instrument)| {
            let id = InstrumentId(at as u16);
            let counters = self.stage.counters(id);
            let levels = |side: Side| -> Vec<Value> {
                let text = |level: Level| json!([instrument.price_text(level.price), instrument.qty_text(level.qty)]);
                self.stage.book(id).levels(side).take(depth).map(text).collect()
            };
            let book = json!({
                "messages": self.counts[at].messages(),
                "first_update_id": counters.first_update_id,
                "last_update_id": counters.last_update_id,
                "diffs_applied": counters.diffs_applied,
                "gaps": counters.gaps,
                "crossings": counters.crossings,
                "bids": levels(Side::Bid),
                "asks": levels(Side::Ask),
            });
            (instrument.symbol().to_owned(), book)
        };
        Value::Object(self.instruments.iter().enumerate().map(book_of).collect::<Map<_, _>>())
    }

    /// Digest of all books.
    pub(super) fn books_digest(&self) -> u128 {
        self.stage.digest()
    }

    /// What there is, by symbol and kind.
    pub(super) fn summary(&self) -> Value {
        let symbol_of = |(counts, instrument): (&Counts, &Instrument)| {
            let counters = self.stage.counters(instrument.id);
            let summary = json!({
                "tick": instrument.price_text(crate::types::Price::from_ticks(1)),
                "lot": instrument.qty_text(crate::types::Qty::from_lots(1)),
                "messages": counts.messages(),
                "snapshots": counts.snapshots,
                "diffs": counts.diffs,
                "trades": counts.trades,
                "agg_trades": counts.agg_trades,
                "touches": counts.touches,
                "notices": counts.notices,
                "gaps": counters.gaps,
                "crossings": counters.crossings,
            });
            (instrument.symbol().to_owned(), summary)
        };
        let symbols: Map<_, _> = self.counts.iter().zip(&self.instruments).map(symbol_of).collect();
        let first = self.first_recv.unwrap_or_default();
        json!({
            "first_recv_ns": first.nanos(),
            "last_recv_ns": self.last_recv.nanos(),
            "span_s": self.last_recv.since(first).secs_f64(),
            "recv_time_goes_back": self.recv_went_back,
            "recv_less_event_ms": self.skew.summary(),
            "torn": self.torn,
            "symbols": symbols,
        })
    }
}

/// What a recording that cannot be read means for a person.
pub(super) fn recording_failure(error: &ImportError) -> Failure {
    Failure::new(
        "E_INPUT_001",
        exit::INPUT,
        error.to_string(),
        "the recording cannot be trusted beyond that place",
        "mend or leave out what is named; formats that are read: hftbacktest's raw lines, cryptofeed's logs of Binance, \
         Tardis' and Binance's CSV, LOBSTER; plain, gzip or zstd",
    )
}

pub(super) fn journal_failure(session_dir: &Path, why: String) -> Failure {
    Failure::new(
        "E_INPUT_002",
        exit::INPUT,
        format!("the journal {} cannot be read", session_dir.display()),
        why,
        "restore the session's folder from a copy; `touchline convert` keeps every record that is whole",
    )
}

/// A JSON value as people read it: text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn books_text(books: &Value) -> String {
    let mut out = String::new();
    for (symbol, book) in books.as_object().into_iter().flatten() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{symbol}");
        for (name, value) in book.as_object().into_iter().flatten().filter(|(_, value)| !value.is_array()) {
            let _ = writeln!(out, "  {name:16} {}", plain(value));
        }
        for side in ["asks", "bids"] {
            let mut levels: Vec<_> = book[side].as_array().into_iter().flatten().collect();
            if side == "asks" {
                levels.reverse();
            }
            for level in levels {
                let _ = writeln!(out, "  {side:4} {:>16} {:>16}", plain(&level[0]), plain(&level[1]));
            }
        }
    }
    out
}

pub(super) fn summary_text(summary: &Value) -> String {
    let mut out = String::new();
    for (name, value) in summary.as_object().into_iter().flatten().filter(|(_, value)| !value.is_object()) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:20} {}", plain(value));
    }
    for (symbol, counts) in summary["symbols"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "{symbol}");
        for (name, value) in counts.as_object().into_iter().flatten() {
            let _ = writeln!(out, "  {name:18} {}", plain(value));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    #[test]
    fn the_book_of_a_recording_is_the_one_its_maker_kept() {
        for venue in ["spot", "usdm"] {
            let view = Inspection::of(&[golden(&format!("hftbacktest_{venue}.txt"))]).unwrap();
            let text = std::fs::read_to_string(golden(&format!("hftbacktest_{venue}.book.json"))).unwrap();
            let want: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(view.books(10), want, "{venue}");
            let shown = books_text(&view.books(2));
            assert!(shown.contains("ETHUSDT") && shown.matches("bids").count() == 2, "{shown}");
            let summary = view.summary();
            assert_eq!(summary["symbols"]["ETHUSDT"]["messages"], want["ETHUSDT"]["messages"]);
            assert_eq!(
                (&summary["recv_time_goes_back"], &summary["symbols"]["ETHUSDT"]["diffs"]),
                (&json!(0), &json!(40))
            );
            assert!(summary_text(&summary).contains("touches"));
        }
    }

    #[test]
    fn sources_that_cannot_be_read_are_coded_sentences() {
        let failure = Inspection::of(&[golden("binance_exchange_info.json")]).err().unwrap();
        assert_eq!((failure.code, failure.exit), ("E_INPUT_001", exit::INPUT));
        assert!(failure.what.contains("binance_exchange_info.json"), "{failure}");
    }
}
