//! Drives a conversion: sessions in, records in their order, each to its table's open file.
//!
//! A conversion that was stopped is begun again by asking for it again: files that are whole are recognised by a digest
//! of the records that they came from and kept, so that only reading is done twice.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use super::chunk::ChunkEncoder;
use super::error::ArchiveError;
use super::market_rows::{MarketRecord, raw_row};
use super::order_rows::OrderRecord;
use super::partition::{Cut, write_held};
use super::rerun;
use super::store::{Held, Origin, Outcome, Store};
use super::summary::{DroppedPlace, Summary};
use super::table::Table;
use crate::journal::{Damage, JournalError, JournalReader, Reading, SESSION_FILE, StreamReader};
use crate::types::{Action, Asset, ExecKind, Filters, Instrument, InstrumentId, InstrumentSpec, Symbol, TimestampNs};
use crate::wire::{FeedEvent, Flags, InputEvent, Kind, QuoteEvent, Record, RecordError, Stream};

/// How to convert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Which tables; when empty all but those that are made on request only.
    pub tables: Vec<Table>,
    /// Only records of the hours from the first to before the second, counted from the epoch.
    pub hours: Option<(u64, u64)>,
    /// Rows of a row group.
    pub group_rows: usize,
    /// Bytes of rows held in memory over all files; the fullest file is written out when they are exceeded.
    pub waiting_bytes: usize,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        // A row group of `orderbook` waits in about 3 MB; ten of them fit.
        ConvertOptions { tables: Vec::new(), hours: None, group_rows: 128 << 10, waiting_bytes: 32 << 20 }
    }
}

/// Converts one session into the archive under `out`.
///
/// # Errors
/// When the journal cannot be read at all, or the archive not written. Damaged places are no errors: they are in the
/// summary, and every whole record is converted.
pub fn convert(session_dir: &Path, out: &Path, options: &ConvertOptions) -> Result<Summary, ArchiveError> {
    convert_all(&[session_dir.to_owned()], out, options, &mut |_, _| {})
}

/// Converts sessions, which may share files, in the order of their start. `progress` is told bytes done and bytes in
/// all, now and then.
///
/// # Errors
/// As [`convert`].
pub fn convert_all(
    session_dirs: &[PathBuf],
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, ArchiveError> {
    let mut sessions = Vec::new();
    for dir in session_dirs {
        sessions.push(JournalReader::open(dir)?);
    }
    sessions.sort_by_key(|session| (session.info().started_ns, session.info().session));
    sessions.dedup_by_key(|session| session.info().session);
    let (mut anew, mut written) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut summary = Summary::default();
        let outcome = pass(&sessions, out, options, &anew, &mut summary, progress)?;
        written.extend(outcome.written);
        // A file that an earlier conversion made from less than there is now is only known at its end: once more,
        // with those to be written and all others to be kept.
        if outcome.stale.is_empty() {
            summary.kept = (summary.files.len() - written.len()) as u64;
            return Ok(summary);
        }
        anew.extend(outcome.stale);
    }
}

/// Reads all sessions once.
fn pass(
    sessions: &[JournalReader],
    out: &Path,
    options: &ConvertOptions,
    anew: &BTreeSet<PathBuf>,
    summary: &mut Summary,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Outcome, ArchiveError> {
    let names = sessions.iter().map(|session| session.info().session_id().to_string()).collect();
    let cut = Cut { group_rows: options.group_rows, waiting_bytes: options.waiting_bytes };
    let mut store = Store::new(out, &options.tables, cut, names, anew.clone())?;
    store.only_hours(options.hours);
    let mut total = 0;
    for session in sessions {
        total += session.stream(Stream::Feed)?.total_bytes() + session.stream(Stream::Quote)?.total_bytes();
    }
    let mut done = 0;
    for reader in sessions {
        let mut session = Session::new(reader)?;
        summary.sessions.push(session.name.clone());
        let mut progress = |bytes: u64| {
            done += bytes;
            progress(done.min(total), total);
        };
        let mut walk = Walk { store: &mut store, session: &mut session, summary, progress: &mut progress };
        walk.stream(reader.stream(Stream::Feed)?, Walk::feed_record)?;
        walk.stream(reader.stream(Stream::Quote)?, Walk::quote_record)?;
        if store.wants(Table::Kpi) {
            rerun::kpi_rows(reader, &session.instruments, &session.name, &mut store, summary)?;
        }
    }
    store.finish(summary)
}

/// The rows of a session's tables, in memory: what a conversion writes, without the reading that comes before it. For
/// measuring what the reading costs, and for whoever writes tables without a journal at hand.
pub struct HeldTables {
    instruments: Vec<Instrument>,
    held: Vec<Held>,
}

impl HeldTables {
    /// Reads a session's tables into memory, which must have room for them all.
    ///
    /// # Errors
    /// As [`convert`].
    pub fn read(session_dir: &Path, options: &ConvertOptions) -> Result<HeldTables, ArchiveError> {
        let reader = JournalReader::open(session_dir)?;
        let cut = Cut { group_rows: options.group_rows, waiting_bytes: options.waiting_bytes };
        let names = BTreeSet::from([reader.info().session_id().to_string()]);
        let mut store = Store::new(Path::new(""), &options.tables, cut, names, BTreeSet::new())?;
        store.hold();
        let mut session = Session::new(&reader)?;
        let mut walk =
            Walk { store: &mut store, session: &mut session, summary: &mut Summary::default(), progress: &mut |_| {} };
        walk.stream(reader.stream(Stream::Feed)?, Walk::feed_record)?;
        walk.stream(reader.stream(Stream::Quote)?, Walk::quote_record)?;
        let held = store.held()?;
        Ok(HeldTables { instruments: session.instruments, held })
    }

    /// Writes every table under `out`, as a conversion names its files but without its care for durability. Returns
    /// the rows written.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn write(&self, out: &Path) -> Result<u64, ArchiveError> {
        let mut encoder = ChunkEncoder::new().map_err(ArchiveError::io("prepare the compression for", out))?;
        let mut rows = 0;
        for held in &self.held {
            let Some(instrument) = self.instruments.iter().find(|instrument| instrument.spec.symbol == held.symbol)
            else {
                continue;
            };
            let path = out.join(&held.path);
            let folder = path.parent().unwrap_or(out);
            std::fs::create_dir_all(folder).map_err(ArchiveError::io("create the folder", folder))?;
            write_held(held.table, instrument, &held.groups, &path, &mut encoder)?;
            rows += held.groups.iter().map(|group| group.waiting as u64).sum::<u64>();
        }
        Ok(rows)
    }
}

/// One session while it is converted.
struct Session<'a> {
    dir: &'a Path,
    name: String,
    venue: String,
    instruments: Vec<Instrument>,
    /// Stands for no instrument, in `raw` alone.
    nothing: Instrument,
    filled: Filled,
}

/// Trades of ours already in `fills`: the same one is told by several roads, within moments. Bounded, as memory is.
#[derive(Default)]
struct Filled {
    known: HashSet<(InstrumentId, i64)>,
    order: VecDeque<(InstrumentId, i64)>,
}

impl Filled {
    const MOST: usize = 1 << 16;

    /// Whether the trade is told for the first time.
    fn is_new(&mut self, trade: (InstrumentId, i64)) -> bool {
        if !self.known.insert(trade) {
            return false;
        }
        self.order.push_back(trade);
        if self.order.len() > Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl<'a> Session<'a> {
    fn new(reader: &'a JournalReader) -> Result<Session<'a>, ArchiveError> {
        let path = || reader.session_dir().join(SESSION_FILE);
        let instruments = reader.info().instruments().map_err(|why| JournalError::SessionFile { path: path(), why })?;
        let named = |text: &str| {
            Symbol::new(text).map_err(|error| JournalError::SessionFile { path: path(), why: error.to_string() })
        };
        let asset = |text: &str| {
            Asset::new(text).map_err(|error| JournalError::SessionFile { path: path(), why: error.to_string() })
        };
        let spec = InstrumentSpec {
            symbol: named("NONE")?,
            base: asset("NONE")?,
            quote: asset("NONE")?,
            tick_e8: 1,
            lot_e8: 1,
            filters: Filters::default(),
        };
        Ok(Session {
            dir: reader.session_dir(),
            name: reader.info().session_id().to_string(),
            venue: reader.info().venue_profile.clone(),
            instruments,
            nothing: Instrument::new(InstrumentId(u16::MAX), spec),
            filled: Filled::default(),
        })
    }

    fn instrument(&self, id: InstrumentId, record: &Record<'_>) -> Result<&Instrument, ArchiveError> {
        self.instruments.get(id.index()).ok_or_else(|| {
            self.bad(
                record,
                format!("instrument {} is not in the session file, which has {}", id.0, self.instruments.len()),
            )
        })
    }

    fn origin<'b>(&'b self, record: &Record<'b>) -> Origin<'b> {
        let header = &record.header;
        Origin {
            session: &self.name,
            venue: &self.venue,
            time: header.ts,
            seq: header.seq,
            flags: header.flags,
            digest: u64::from(header.crc),
        }
    }

    fn bad(&self, record: &Record<'_>, why: impl ToString) -> ArchiveError {
        ArchiveError::Record {
            session: self.dir.to_owned(),
            stream: record.header.stream.name(),
            seq: record.header.seq,
            why: why.to_string(),
        }
    }
}

/// A way through a session's streams.
struct Walk<'w, 's> {
    store: &'w mut Store,
    session: &'w mut Session<'s>,
    summary: &'w mut Summary,
    progress: &'w mut dyn FnMut(u64),
}

impl Walk<'_, '_> {
    fn stream(
        &mut self,
        mut stream: StreamReader,
        convert: fn(&mut Self, &Record<'_>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let (mut records, mut bytes, mut name) = (0_u64, 0_u64, None);
        while let Some(reading) = stream.next_reading()? {
            match reading {
                Reading::Record(record) => {
                    records += 1;
                    bytes += record.payload.len() as u64 + 32;
                    name = Some(record.header.stream.name());
                    convert(self, &record)?;
                    if records.is_multiple_of(4096) {
                        (self.progress)(std::mem::take(&mut bytes));
                    }
                }
                Reading::Damage(damage) => self.summary.dropped.push(dropped(&damage, false)),
            }
        }
        (self.progress)(bytes);
        if let Some(torn) = stream.tail().torn {
            self.summary.dropped.push(dropped(&torn, true));
        }
        if let Some(name) = name {
            *self.summary.records.entry(name.to_owned()).or_default() += records;
        }
        Ok(())
    }

    fn feed_record(&mut self, record: &Record<'_>) -> Result<(), ArchiveError> {
        if record.header.kind == Kind::End {
            return Ok(());
        }
        let session = &*self.session;
        let event = FeedEvent::decode(record).map_err(|error: RecordError| session.bad(record, error))?;
        let (table, id) = match &event {
            FeedEvent::Depth(depth) => (Some(Table::Orderbook), Some(depth.head.instrument)),
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => (Some(Table::Trades), Some(trade.instrument)),
            FeedEvent::Touch(touch) => (Some(Table::Touches), Some(touch.instrument)),
            FeedEvent::Notice(notice) => (Some(Table::Orderbook), notice.instrument),
            FeedEvent::Raw(_) => (None, None),
        };
        let header = &record.header;
        let is_dropped = header.flags.has(Flags::DROPPED);
        let about = |instrument| MarketRecord {
            ts: header.ts,
            seq: header.seq,
            is_dropped,
            instrument,
            session: &session.name,
        };
        let origin = session.origin(record);
        if self.store.wants(Table::Raw) {
            let instrument = id.map_or(Ok(&session.nothing), |id| session.instrument(id, record))?;
            let symbol = id.map_or("", |_| instrument.symbol());
            self.store.row(Table::Raw, instrument, origin, |rows| {
                raw_row((header.ts, header.seq, header.kind, is_dropped), record.payload, symbol, &session.name, rows);
            })?;
        } else if table.is_none() {
            *self.summary.without_table.entry(format!("{:?}", header.kind)).or_default() += 1;
        }
        let Some(table) = table else { return Ok(()) };
        // A notice about no one instrument is about every book.
        let instruments = match id {
            Some(id) => std::slice::from_ref(session.instrument(id, record)?),
            None => &session.instruments[..],
        };
        for instrument in instruments {
            let about = about(instrument);
            self.store.row(table, instrument, origin, |rows| match &event {
                FeedEvent::Depth(depth) => about.depth(depth, rows),
                FeedEvent::Trade(trade) => about.trade(trade, false, rows),
                FeedEvent::AggTrade(trade) => about.trade(trade, true, rows),
                FeedEvent::Touch(touch) => about.touch(touch, rows),
                FeedEvent::Notice(notice) => about.notice(notice.reason, rows),
                FeedEvent::Raw(_) => unreachable!("a raw frame is in no other table"),
            })?;
        }
        Ok(())
    }

    fn quote_record(&mut self, record: &Record<'_>) -> Result<(), ArchiveError> {
        let event = QuoteEvent::decode(record).map_err(|error: RecordError| self.session.bad(record, error))?;
        let id = match &event {
            QuoteEvent::Input(InputEvent::Exec(report)) => report.instrument,
            QuoteEvent::Action(Action::Quote(decision)) => decision.instrument,
            QuoteEvent::Action(Action::Command(command)) => command.instrument(),
            QuoteEvent::Input(_) => {
                *self.summary.without_table.entry(format!("{:?}", record.header.kind)).or_default() += 1;
                return Ok(());
            }
            QuoteEvent::End => return Ok(()),
        };
        let new_fill = match &event {
            QuoteEvent::Input(InputEvent::Exec(report)) => match &report.kind {
                ExecKind::Fill(fill) => {
                    self.session.filled.is_new((report.instrument, fill.trade_id.0)).then_some(*fill)
                }
                _ => None,
            },
            _ => None,
        };
        let session = &*self.session;
        let (now, seq): (TimestampNs, u64) = (record.header.ts, record.header.seq);
        let instrument = session.instrument(id, record)?;
        let about = OrderRecord { now, seq, instrument, session: &session.name };
        let origin = session.origin(record);
        let store = &mut *self.store;
        match &event {
            QuoteEvent::Action(Action::Quote(decision)) => {
                store.row(Table::Quotes, instrument, origin, |rows| about.quote(decision, rows))
            }
            QuoteEvent::Action(Action::Command(command)) => {
                store.row(Table::Orders, instrument, origin, |rows| about.command(command, rows))
            }
            QuoteEvent::Input(InputEvent::Exec(report)) => {
                store.row(Table::Orders, instrument, origin, |rows| about.report(report, rows))?;
                if let Some(fill) = &new_fill {
                    store.row(Table::Fills, instrument, origin, |rows| about.fill(report, fill, rows))?;
                }
                Ok(())
            }
            QuoteEvent::Input(_) | QuoteEvent::End => Ok(()),
        }
    }
}

fn dropped(damage: &Damage, is_tail: bool) -> DroppedPlace {
    DroppedPlace {
        file: damage.file.display().to_string(),
        offset: damage.offset,
        seq: damage.seq,
        bytes: damage.bytes,
        records: damage.records,
        why: damage.why.to_owned(),
        is_tail,
    }
}
