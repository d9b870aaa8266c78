//! Drives a conversion: sessions in, records in their order, each to its table's open file.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::error::ArchiveError;
use super::market_rows::{MarketRecord, SessionTexts};
use super::order_rows::OrderRecord;
use super::partition::{Partition, hour_of, partition_path, sessions_in};
use super::summary::{DroppedPlace, Summary};
use super::table::{ColumnKind, Table};
use crate::journal::{Damage, JournalError, JournalReader, Reading, StreamReader};
use crate::types::{Action, ExecKind, Instrument, InstrumentId, Symbol, TimestampNs};
use crate::wire::{FeedEvent, Flags, InputEvent, Kind, QuoteEvent, Record, RecordError, Stream};

/// How to convert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Which tables; all when empty.
    pub tables: Vec<Table>,
    /// Rows of a row group.
    pub group_rows: usize,
    /// Rows held in memory over all files; the fullest file is written out when they are exceeded.
    pub waiting_rows: usize,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        ConvertOptions { tables: Vec::new(), group_rows: 128 << 10, waiting_rows: 512 << 10 }
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
    let names: BTreeSet<String> = sessions.iter().map(|session| session.info().session_id().to_string()).collect();
    let mut conversion = Conversion {
        out,
        options,
        names: &names,
        open: BTreeMap::new(),
        waiting: 0,
        taken: HashSet::new(),
        summary: Summary::default(),
        files: Vec::new(),
        sums: BTreeMap::new(),
    };
    let mut total = 0;
    for session in &sessions {
        total += session.stream(Stream::Feed)?.total_bytes() + session.stream(Stream::Quote)?.total_bytes();
    }
    let mut done = 0;
    for session in &sessions {
        conversion.session(session, &mut |bytes| {
            done += bytes;
            progress(done.min(total), total);
        })?;
    }
    conversion.finish()
}

/// Which file a row goes to. Steps are part of it: rows of one file share their scale.
type Key = (Table, Symbol, (i64, i64), u64);

struct Conversion<'a> {
    out: &'a Path,
    options: &'a ConvertOptions,
    /// Sessions of this conversion.
    names: &'a BTreeSet<String>,
    open: BTreeMap<Key, Partition>,
    /// Rows in memory.
    waiting: usize,
    /// Paths given to files of this conversion.
    taken: HashSet<PathBuf>,
    summary: Summary,
    files: Vec<PathBuf>,
    sums: BTreeMap<Table, (u64, Vec<i128>)>,
}

/// One session while it is converted.
struct Session<'a> {
    dir: &'a Path,
    name: String,
    instruments: Vec<Instrument>,
    texts: SessionTexts,
    /// Trades of ours already in `fills`: the same one is told by several roads.
    filled: HashSet<(InstrumentId, i64)>,
}

impl Session<'_> {
    fn instrument(&self, id: InstrumentId, record: &Record<'_>) -> Result<&Instrument, ArchiveError> {
        self.instruments.get(id.index()).ok_or_else(|| {
            self.bad(
                record,
                format!("instrument {} is not in the session file, which has {}", id.0, self.instruments.len()),
            )
        })
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

impl Conversion<'_> {
    fn session(&mut self, reader: &JournalReader, progress: &mut dyn FnMut(u64)) -> Result<(), ArchiveError> {
        let info = reader.info();
        let instruments = info.instruments().map_err(|why| JournalError::SessionFile {
            path: reader.session_dir().join(crate::journal::SESSION_FILE),
            why,
        })?;
        let name = info.session_id().to_string();
        let texts = SessionTexts::new(&name, &instruments);
        self.summary.sessions.push(name.clone());
        let mut session = Session { dir: reader.session_dir(), name, instruments, texts, filled: HashSet::new() };
        self.stream(reader.stream(Stream::Feed)?, &mut session, Self::feed_record, progress)?;
        self.stream(reader.stream(Stream::Quote)?, &mut session, Self::quote_record, progress)
    }

    fn stream(
        &mut self,
        mut stream: StreamReader,
        session: &mut Session<'_>,
        convert: fn(&mut Self, &mut Session<'_>, &Record<'_>) -> Result<(), ArchiveError>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let (mut records, mut bytes, mut name) = (0_u64, 0_u64, None);
        while let Some(reading) = stream.next_reading()? {
            match reading {
                Reading::Record(record) => {
                    records += 1;
                    bytes += record.payload.len() as u64 + 32;
                    name = Some(record.header.stream.name());
                    convert(self, session, &record)?;
                    if self.waiting > self.options.waiting_rows {
                        self.flush_fullest()?;
                    }
                    if records.is_multiple_of(4096) {
                        progress(std::mem::take(&mut bytes));
                    }
                }
                Reading::Damage(damage) => self.drop_place(&damage, false),
            }
        }
        progress(bytes);
        if let Some(torn) = stream.tail().torn {
            self.drop_place(&torn, true);
        }
        if let Some(name) = name {
            *self.summary.records.entry(name.to_owned()).or_default() += records;
        }
        Ok(())
    }

    fn drop_place(&mut self, damage: &Damage, is_tail: bool) {
        self.summary.dropped.push(DroppedPlace {
            file: damage.file.display().to_string(),
            offset: damage.offset,
            seq: damage.seq,
            bytes: damage.bytes,
            records: damage.records,
            why: damage.why.to_owned(),
            is_tail,
        });
    }

    fn feed_record(&mut self, session: &mut Session<'_>, record: &Record<'_>) -> Result<(), ArchiveError> {
        if record.header.kind == Kind::End {
            return Ok(());
        }
        let event = FeedEvent::decode(record).map_err(|error: RecordError| session.bad(record, error))?;
        let (table, id) = match &event {
            FeedEvent::Depth(depth) => (Table::Orderbook, depth.head.instrument),
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => (Table::Trades, trade.instrument),
            FeedEvent::Touch(touch) => (Table::Touches, touch.instrument),
            FeedEvent::Notice(_) | FeedEvent::Raw(_) => {
                self.without_table(record.header.kind);
                return Ok(());
            }
        };
        let instrument = session.instrument(id, record)?;
        let about = MarketRecord {
            seq: record.header.seq,
            is_dropped: record.header.flags.has(Flags::DROPPED),
            instrument,
            texts: &session.texts,
        };
        self.row(table, &session.name, instrument, record.header.ts, |rows| match &event {
            FeedEvent::Depth(depth) => about.depth(depth, rows),
            FeedEvent::Trade(trade) => about.trade(trade, false, rows),
            FeedEvent::AggTrade(trade) => about.trade(trade, true, rows),
            FeedEvent::Touch(touch) => about.touch(touch, rows),
            FeedEvent::Notice(_) | FeedEvent::Raw(_) => {}
        })
    }

    fn quote_record(&mut self, session: &mut Session<'_>, record: &Record<'_>) -> Result<(), ArchiveError> {
        let event = QuoteEvent::decode(record).map_err(|error: RecordError| session.bad(record, error))?;
        let id = match &event {
            QuoteEvent::Input(InputEvent::Exec(report)) => report.instrument,
            QuoteEvent::Action(Action::Quote(decision)) => decision.instrument,
            QuoteEvent::Action(Action::Command(command)) => command.instrument(),
            QuoteEvent::Input(_) => {
                self.without_table(record.header.kind);
                return Ok(());
            }
            QuoteEvent::End => return Ok(()),
        };
        let (now, seq) = (record.header.ts, record.header.seq);
        let new_fill = match &event {
            QuoteEvent::Input(InputEvent::Exec(report)) => match &report.kind {
                ExecKind::Fill(fill) => session.filled.insert((report.instrument, fill.trade_id.0)).then_some(*fill),
                _ => None,
            },
            _ => None,
        };
        let instrument = session.instrument(id, record)?;
        let about = OrderRecord { now, seq, instrument, texts: &session.texts };
        match &event {
            QuoteEvent::Action(Action::Quote(decision)) => {
                self.row(Table::Quotes, &session.name, instrument, now, |rows| about.quote(decision, rows))
            }
            QuoteEvent::Action(Action::Command(command)) => {
                self.row(Table::Orders, &session.name, instrument, now, |rows| about.command(command, rows))
            }
            QuoteEvent::Input(InputEvent::Exec(report)) => {
                self.row(Table::Orders, &session.name, instrument, now, |rows| about.report(report, rows))?;
                if let Some(fill) = &new_fill {
                    self.row(Table::Fills, &session.name, instrument, now, |rows| about.fill(report, fill, rows))?;
                }
                Ok(())
            }
            QuoteEvent::Input(_) | QuoteEvent::End => Ok(()),
        }
    }

    fn without_table(&mut self, kind: Kind) {
        *self.summary.without_table.entry(format!("{kind:?}")).or_default() += 1;
    }

    /// Adds rows of one record to their file.
    fn row(
        &mut self,
        table: Table,
        session: &str,
        instrument: &Instrument,
        time: TimestampNs,
        fill: impl FnOnce(&mut super::rows::Rows),
    ) -> Result<(), ArchiveError> {
        if !self.options.tables.is_empty() && !self.options.tables.contains(&table) {
            return Ok(());
        }
        let spec = &instrument.spec;
        let hour = hour_of(time);
        let key: Key = (table, spec.symbol, (spec.tick_e8, spec.lot_e8), hour);
        if !self.open.contains_key(&key) {
            // Clocks step back by moments, not by hours: what ended an hour ago gets no more rows, save in a file
            // of its own.
            let first = (table, spec.symbol, key.2, 0);
            let last = (table, spec.symbol, key.2, hour.saturating_sub(1));
            let ended: Vec<Key> = self.open.range(first..last).map(|(&key, _)| key).collect();
            for old in ended {
                self.close(&old)?;
            }
            let path = self.free_path(table, session, instrument, hour)?;
            self.open.insert(key, Partition::create(table, instrument, path)?);
        }
        let Some(partition) = self.open.get_mut(&key) else { return Ok(()) };
        partition.note_session(session);
        let before = partition.rows.waiting;
        fill(&mut partition.rows);
        self.waiting += partition.rows.waiting - before;
        if partition.rows.waiting >= self.options.group_rows {
            self.waiting -= partition.rows.waiting;
            partition.flush()?;
        }
        Ok(())
    }

    /// The file's path: plain where it is free, or holds nothing but what is converted again now; else with the
    /// session's name, so that no conversion destroys another's rows.
    fn free_path(
        &mut self,
        table: Table,
        session: &str,
        instrument: &Instrument,
        hour: u64,
    ) -> Result<PathBuf, ArchiveError> {
        for attempt in 0.. {
            let suffix = match attempt {
                0 => String::new(),
                1 => format!("-{session}"),
                _ => format!("-{session}-{attempt}"),
            };
            let path = self.out.join(partition_path(table, instrument, hour, &suffix)?);
            let foreign = match sessions_in(&path) {
                Some(sessions) => !sessions.iter().all(|name| self.names.contains(name)),
                // No file, or one that is not ours: the latter stays.
                None => path.exists(),
            };
            if !foreign && self.taken.insert(path.clone()) {
                return Ok(path);
            }
        }
        unreachable!("some number is free")
    }

    fn flush_fullest(&mut self) -> Result<(), ArchiveError> {
        if let Some(partition) = self.open.values_mut().max_by_key(|partition| partition.rows.waiting) {
            self.waiting -= partition.rows.waiting;
            partition.flush()?;
        }
        Ok(())
    }

    fn close(&mut self, key: &Key) -> Result<(), ArchiveError> {
        let Some(partition) = self.open.remove(key) else { return Ok(()) };
        self.waiting -= partition.rows.waiting;
        let (path, rows) = partition.finish()?;
        self.files.push(path);
        let (total, sums) = self.sums.entry(key.0).or_insert_with(|| (0, vec![0; rows.sums.len()]));
        *total += rows.total;
        for (sum, part) in sums.iter_mut().zip(&rows.sums) {
            *sum += part;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Summary, ArchiveError> {
        let keys: Vec<Key> = self.open.keys().copied().collect();
        for key in keys {
            self.close(&key)?;
        }
        for (table, (rows, sums)) in &self.sums {
            let summary = self.summary.tables.entry(table.name().to_owned()).or_default();
            summary.rows = *rows;
            for (column, sum) in table.columns().iter().zip(sums) {
                if column.kind != ColumnKind::Text {
                    summary.sums.insert(column.name.to_owned(), sum.to_string());
                }
            }
        }
        self.files.sort();
        self.summary.files = self.files.iter().map(|path| path.display().to_string()).collect();
        Ok(self.summary)
    }
}
