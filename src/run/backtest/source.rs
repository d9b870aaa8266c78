//! Where a backtest's market data comes from: recordings or a journal, as one stream of events of the chosen symbols.

use std::cell::Cell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::import::{Recording, RecordingReader};
use crate::journal::{JournalReader, SESSION_FILE, StreamReader};
use crate::pipeline::sync::SyncRule;
use crate::run::inspect::{journal_failure, recording_failure};
use crate::run::virtual_session::tape::TapeEvents;
use crate::run::{Failure, exit};
use crate::sim::CommissionAsset;
use crate::types::{Instrument, InstrumentId, TimestampNs};
use crate::wire::{FeedEvent, FeedOwned, Flags, Kind, Stream};

/// How long a run may take before it shows its progress.
const QUIET: Duration = Duration::from_secs(2);
/// Events between two looks at the clock.
const EVENTS_A_LOOK: u64 = 4096;

/// Market data, opened and understood.
pub struct Source {
    /// The instruments to trade, numbered for the session.
    pub instruments: Vec<Instrument>,
    /// How their books join.
    pub rule: SyncRule,
    /// When the first event was received.
    pub start: TimestampNs,
    data: Data,
    /// The session's number of each of the data's instruments.
    numbers: Vec<Option<InstrumentId>>,
}

enum Data {
    Recording(Recording),
    Journal(PathBuf),
}

impl Source {
    /// Opens recordings that continue each other, or a journal; takes the symbols named, or all.
    ///
    /// # Errors
    /// Data that cannot be read or is of two kinds, a symbol that it does not hold.
    pub fn open(paths: &[PathBuf], symbols: &[String]) -> Result<Source, Failure> {
        let journals = paths.iter().filter(|path| path.join(SESSION_FILE).is_file()).count();
        let (data, all, rule) = match (journals, paths) {
            (0, _) if paths.iter().all(|path| !path.is_dir()) => {
                let recording = Recording::open(paths).map_err(|error| recording_failure(&error))?;
                let (instruments, rule) = (recording.instruments().to_vec(), recording.rule());
                (Data::Recording(recording), instruments, rule)
            }
            (_, [path]) => {
                let session_dir = crate::run::sources::one_session(path)?;
                let journal = open_journal(&session_dir)?;
                let instruments = journal.info().instruments().map_err(|why| journal_failure(&session_dir, why))?;
                let rule = if journal.info().venue_profile.contains("usdm") { SyncRule::UsdM } else { SyncRule::Spot };
                (Data::Journal(session_dir), instruments, rule)
            }
            _ => {
                return Err(Failure::new(
                    "E_INPUT_003",
                    exit::INPUT,
                    "a journal is named together with other sources",
                    "a journal's session stands for itself and continues nothing",
                    "name one session's folder, or recordings only",
                ));
            }
        };
        if let Some(name) = symbols.iter().find(|name| all.iter().all(|have| have.symbol() != name.as_str())) {
            let known: Vec<&str> = all.iter().map(Instrument::symbol).collect();
            return Err(Failure::new(
                "E_BACK_002",
                exit::INPUT,
                format!("the data does not hold --symbol {name}"),
                format!("it holds {}", known.join(", ")),
                "name one that it holds, or leave --symbol away for all of them",
            ));
        }
        let (mut instruments, mut numbers) = (Vec::new(), Vec::new());
        for one in &all {
            let chosen = symbols.is_empty() || symbols.iter().any(|name| name == one.symbol());
            numbers.push(chosen.then_some(InstrumentId(instruments.len() as u16)));
            if chosen {
                instruments.push(Instrument::new(InstrumentId(instruments.len() as u16), one.spec));
            }
        }
        let mut source = Source { instruments, rule, start: TimestampNs::ZERO, data, numbers };
        let first = source.reader()?.next().transpose()?;
        let Some(first) = first else {
            return Err(Failure::new(
                "E_BACK_003",
                exit::INPUT,
                "the data holds no market data",
                "none of its records is a book message or a trade",
                "`touchline inspect` shows what it holds",
            ));
        };
        source.start = first.recv_ts();
        Ok(source)
    }

    /// What commissions are taken in: futures take quote, spot takes what the trade brings.
    pub fn commissions(&self) -> CommissionAsset {
        match self.rule {
            SyncRule::UsdM => CommissionAsset::Quote,
            SyncRule::Spot => CommissionAsset::Received,
        }
    }

    /// The events from the first on, and the meter that counts them.
    ///
    /// # Errors
    /// When the data cannot be opened again.
    pub fn play(self) -> Result<(TapeEvents, Meter), Failure> {
        let total = match &self.data {
            Data::Recording(recording) => Some(recording.lines()),
            Data::Journal(_) => None,
        };
        let (meter, events) = (Meter::new(total), self.reader()?);
        let counted = meter.clone();
        Ok((Box::new(events.inspect(move |_| counted.count())), meter))
    }

    fn reader(&self) -> Result<Reader, Failure> {
        let kind = match &self.data {
            Data::Recording(recording) => ReaderKind::Recording(Box::new(recording.reader())),
            Data::Journal(session_dir) => {
                let journal = open_journal(session_dir)?;
                let stream =
                    journal.stream(Stream::Feed).map_err(|error| journal_failure(session_dir, error.to_string()))?;
                ReaderKind::Journal(session_dir.clone(), Box::new(stream))
            }
        };
        Ok(Reader { kind, numbers: self.numbers.clone() })
    }
}

fn open_journal(session_dir: &Path) -> Result<JournalReader, Failure> {
    JournalReader::open(session_dir).map_err(|error| journal_failure(session_dir, error.to_string()))
}

enum ReaderKind {
    Recording(Box<RecordingReader>),
    Journal(PathBuf, Box<StreamReader>),
}

/// The data's events of the chosen instruments.
struct Reader {
    kind: ReaderKind,
    numbers: Vec<Option<InstrumentId>>,
}

impl Reader {
    /// The next event; the outer `None` after the last, the inner one for what nobody follows.
    fn step(&mut self) -> Result<Option<Option<FeedOwned>>, Failure> {
        match &mut self.kind {
            ReaderKind::Recording(reader) => {
                let read = reader.advance().map_err(|error| recording_failure(&error))?;
                Ok(read.map(|read| FeedOwned::of(&read.event)))
            }
            ReaderKind::Journal(session_dir, stream) => {
                let failed = |why: String| journal_failure(session_dir, why);
                let Some(record) = stream.next().map_err(|error| failed(error.to_string()))? else { return Ok(None) };
                if record.header.kind == Kind::End {
                    return Ok(None);
                }
                // The book never saw what its link had no room for.
                if record.header.flags.has(Flags::DROPPED) {
                    return Ok(Some(None));
                }
                let seq = record.header.seq;
                let event =
                    FeedEvent::decode(&record).map_err(|error| failed(format!("feed record {seq}: {error}")))?;
                Ok(Some(FeedOwned::of(&event)))
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<FeedOwned, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut event = match self.step() {
                Ok(Some(event)) => event,
                Ok(None) => return None,
                Err(failure) => return Some(Err(failure)),
            };
            let Some(owned) = &mut event else { continue };
            if let Some(instrument) = owned.instrument() {
                let Some(number) = self.numbers.get(instrument.index()).copied().flatten() else { continue };
                owned.set_instrument(number);
            }
            return event.map(Ok);
        }
    }
}

/// Counts events and, when it takes long and somebody looks, shows how far it is. Clones count together.
#[derive(Clone)]
pub struct Meter {
    shared: Rc<Shared>,
}

struct Shared {
    events: Cell<u64>,
    total: Option<u64>,
    began: Instant,
    bar: std::cell::OnceCell<ProgressBar>,
}

impl Meter {
    fn new(total: Option<u64>) -> Meter {
        let bar = std::cell::OnceCell::new();
        Meter { shared: Rc::new(Shared { events: Cell::new(0), total, began: Instant::now(), bar }) }
    }

    fn count(&self) {
        let shared = &self.shared;
        let events = shared.events.get() + 1;
        shared.events.set(events);
        if !events.is_multiple_of(EVENTS_A_LOOK) {
            return;
        }
        if shared.bar.get().is_none() && shared.began.elapsed() >= QUIET && std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(shared.total, ProgressDrawTarget::stderr());
            let shape = match shared.total {
                Some(_) => "{bar:40} {human_pos}/{human_len} events {per_sec} {eta} left",
                None => "{spinner} {human_pos} events {per_sec}",
            };
            if let Ok(style) = ProgressStyle::with_template(shape) {
                bar.set_style(style);
            }
            let _ = shared.bar.set(bar);
        }
        if let Some(bar) = shared.bar.get() {
            bar.set_position(events);
        }
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.shared.events.get()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = self.shared.bar.get() {
            bar.finish_and_clear();
        }
    }
}
