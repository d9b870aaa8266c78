//! Where a backtest's market data comes from: recordings, a journal or an archive, as one stream of events of the chosen
//! symbols.

use std::path::{Path, PathBuf};

use super::meter::Meter;
use crate::archive::{ArchiveError, MarketArchive, MarketReader};
use crate::import::{Recording, RecordingReader};
use crate::journal::{JournalReader, SESSION_FILE, StreamReader};
use crate::pipeline::sync::SyncRule;
use crate::run::exchange::commissions_of;
use crate::run::inspect::{journal_failure, recording_failure};
use crate::run::virtual_session::tape::TapeEvents;
use crate::run::{Failure, exit};
use crate::sim::CommissionAsset;
use crate::types::{Instrument, InstrumentId, TimestampNs};
use crate::wire::{FeedEvent, FeedOwned, Flags, Kind, Stream};

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
    Archive(MarketArchive),
}

impl Source {
    /// Opens recordings that continue each other, a journal, or an archive that was made of journals; takes the symbols
    /// named, or all.
    ///
    /// # Errors
    /// Data that cannot be read or is of two kinds, a symbol that it does not hold.
    pub fn open(paths: &[PathBuf], symbols: &[String]) -> Result<Source, Failure> {
        let journals = paths.iter().filter(|path| path.join(SESSION_FILE).is_file()).count();
        let (data, all, rule) = match (journals, paths) {
            (0, [path]) if MarketArchive::is_at(path) => {
                let archive = MarketArchive::open(path).map_err(|error| unreadable(&error))?;
                let (instruments, rule) = (archive.instruments.clone(), rule_of(&archive.venue_profile));
                (Data::Archive(archive), instruments, rule)
            }
            (0, _) if paths.iter().all(|path| !path.is_dir()) => {
                let recording = Recording::open(paths).map_err(|error| recording_failure(&error))?;
                let (instruments, rule) = (recording.instruments().to_vec(), recording.rule());
                (Data::Recording(recording), instruments, rule)
            }
            (_, [path]) => {
                let session_dir = crate::run::sources::one_session(path)?;
                let journal = open_journal(&session_dir)?;
                let instruments = journal.info().instruments().map_err(|why| journal_failure(&session_dir, why))?;
                let rule = rule_of(&journal.info().venue_profile);
                (Data::Journal(session_dir), instruments, rule)
            }
            _ => {
                return Err(Failure::new(
                    "E_INPUT_003",
                    exit::INPUT,
                    "a journal or an archive is named together with other sources",
                    "each stands for itself and continues nothing",
                    "name one session's folder, one archive's, or recordings only",
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
        let first = source.reader(None)?.next().transpose()?;
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

    /// What commissions are taken in.
    pub fn commissions(&self) -> CommissionAsset {
        commissions_of(self.rule)
    }

    /// The events from the first on, and the meter that counts them.
    ///
    /// # Errors
    /// When the data cannot be opened again.
    pub fn play(self) -> Result<(TapeEvents, Meter), Failure> {
        let meter = match &self.data {
            Data::Recording(recording) => Meter::new(recording.lines(), "lines"),
            Data::Journal(session_dir) => Meter::new(feed_of(session_dir)?.total_bytes(), "bytes"),
            Data::Archive(archive) => Meter::new(archive.rows, "rows"),
        };
        Ok((Box::new(self.reader(Some(meter.clone()))?), meter))
    }

    fn reader(&self, meter: Option<Meter>) -> Result<Reader, Failure> {
        let kind = match &self.data {
            Data::Recording(recording) => ReaderKind::Recording(Box::new(recording.reader())),
            Data::Journal(session_dir) => ReaderKind::Journal {
                session_dir: session_dir.clone(),
                stream: Box::new(feed_of(session_dir)?),
                bytes: 0,
            },
            Data::Archive(archive) => ReaderKind::Archive(archive.reader()),
        };
        Ok(Reader { kind, numbers: self.numbers.clone(), meter })
    }
}

/// Books of a venue that this build does not know are joined by the looser rule.
fn rule_of(venue_profile: &str) -> SyncRule {
    SyncRule::of_profile(venue_profile).unwrap_or(SyncRule::Spot)
}

fn feed_of(session_dir: &Path) -> Result<StreamReader, Failure> {
    let journal = open_journal(session_dir)?;
    journal.stream(Stream::Feed).map_err(|error| journal_failure(session_dir, error.to_string()))
}

fn unreadable(error: &ArchiveError) -> Failure {
    Failure::new(
        "E_INPUT_007",
        exit::INPUT,
        error.to_string(),
        "the archive is damaged there, of several markets, or made by another version",
        "`touchline validate` finds damage; make the archive anew with `touchline convert`",
    )
}

fn open_journal(session_dir: &Path) -> Result<JournalReader, Failure> {
    JournalReader::open(session_dir).map_err(|error| journal_failure(session_dir, error.to_string()))
}

enum ReaderKind {
    Recording(Box<RecordingReader>),
    Journal { session_dir: PathBuf, stream: Box<StreamReader>, bytes: u64 },
    Archive(MarketReader),
}

/// The data's events of the chosen instruments.
struct Reader {
    kind: ReaderKind,
    numbers: Vec<Option<InstrumentId>>,
    meter: Option<Meter>,
}

impl Reader {
    /// The next event; the outer `None` after the last, the inner one for what nobody follows.
    fn step(&mut self) -> Result<Option<Option<FeedOwned>>, Failure> {
        match &mut self.kind {
            ReaderKind::Recording(reader) => {
                let read = reader.advance().map_err(|error| recording_failure(&error))?;
                Ok(read.map(|read| FeedOwned::of(&read.event)))
            }
            ReaderKind::Journal { session_dir, stream, bytes } => {
                let failed = |why: String| journal_failure(session_dir, why);
                let Some(record) = stream.next().map_err(|error| failed(error.to_string()))? else { return Ok(None) };
                *bytes += record.stored_bytes() as u64;
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
            ReaderKind::Archive(reader) => {
                let stored = reader.advance().map_err(|error| unreadable(&error))?;
                Ok(stored.map(|stored| (!stored.is_dropped).then_some(stored.event)))
            }
        }
    }

    /// How much of the data was read, in what the meter counts; `None` for as much as there were events.
    fn done(&self) -> Option<u64> {
        match &self.kind {
            ReaderKind::Recording(_) => None,
            ReaderKind::Journal { bytes, .. } => Some(*bytes),
            ReaderKind::Archive(reader) => Some(reader.rows()),
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
            if let Some(meter) = &self.meter {
                meter.count(self.done());
            }
            return event.map(Ok);
        }
    }
}
