//! One symbol's market table of an archive, read back as feed events: its files follow each other hour by hour, one row group
//! in memory at a time. Called by `market` and by `validate`; it never writes.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use super::error::ArchiveError;
use super::group::{self, Group};
use super::table::Table;
use crate::types::{DesyncReason, InstrumentId, Level, Price, Qty, Side, TimestampNs, Touch, Trade, TradeId};
use crate::wire::{DepthBuf, DepthKind, FeedNotice, FeedOwned};

/// Columns that events are made of; prices and quantities in decimals are for people.
const NAMES: &[&str] = &[
    "ts",
    "event_ts",
    "seq",
    "is_dropped",
    "session",
    "first_update_id",
    "last_update_id",
    "prev_update_id",
    "is_snapshot",
    "notice",
    "side",
    "price_ticks",
    "qty_lots",
    "trade_id",
    "is_aggregate",
    "aggressor",
    "update_id",
    "bid_price_ticks",
    "bid_qty_lots",
    "ask_price_ticks",
    "ask_qty_lots",
];

/// An event as the archive holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The session's name.
    pub session: String,
    /// Number of the feed record.
    pub seq: u64,
    /// Whether the link to the book had no room for it.
    pub is_dropped: bool,
    /// The event.
    pub event: FeedOwned,
}

/// One symbol's files of one table, in the order of their hours.
pub struct TableReader {
    table: Table,
    instrument: InstrumentId,
    files: VecDeque<PathBuf>,
    open: Option<Open>,
    group: Group,
    row: usize,
    rows: u64,
}

struct Open {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    next_group: usize,
}

impl TableReader {
    /// A reader of files of `orderbook`, `trades` or `touches`, whose events are given that instrument.
    pub fn new(table: Table, instrument: InstrumentId, files: impl IntoIterator<Item = PathBuf>) -> TableReader {
        let files = files.into_iter().collect();
        TableReader { table, instrument, files, open: None, group: Group::default(), row: 0, rows: 0 }
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// When a file cannot be read, or holds what no conversion writes.
    pub fn advance(&mut self) -> Result<Option<Stored>, ArchiveError> {
        if !self.has_row()? {
            return Ok(None);
        }
        let (seq, session) = (self.id("seq")?, self.session()?);
        let is_dropped = self.flag("is_dropped");
        let event = match self.table {
            Table::Trades => self.trade()?,
            Table::Touches => self.touch()?,
            _ => return self.depth(session, seq, is_dropped).map(Some),
        };
        self.step();
        Ok(Some(Stored { session, seq, is_dropped, event }))
    }

    /// Whether there is a row to read; opens the next row group or file when there must be one.
    fn has_row(&mut self) -> Result<bool, ArchiveError> {
        while self.row >= self.group.rows {
            let Some(open) = &mut self.open else {
                let Some(path) = self.files.pop_front() else { return Ok(false) };
                let reader = group::open(&path)?;
                self.open = Some(Open { path, reader, next_group: 0 });
                continue;
            };
            if open.next_group >= open.reader.num_row_groups() {
                self.open = None;
                continue;
            }
            let read = open.reader.get_row_group(open.next_group).and_then(|group| Group::read(&*group, Some(NAMES)));
            self.group = read.map_err(|source| ArchiveError::Parquet { path: open.path.clone(), source })?;
            (self.row, open.next_group) = (0, open.next_group + 1);
        }
        Ok(true)
    }

    fn step(&mut self) {
        self.row += 1;
        self.rows += 1;
    }

    fn bad(&self, what: &str) -> ArchiveError {
        let path = self.open.as_ref().map(|open| open.path.clone()).unwrap_or_default();
        let source = ParquetError::General(format!("`{what}` holds what no conversion writes, in row {}", self.row));
        ArchiveError::Parquet { path, source }
    }

    fn maybe_number(&self, name: &str) -> Option<i64> {
        self.group.integers(name).get(self.row).copied().flatten()
    }

    fn number(&self, name: &str) -> Result<i64, ArchiveError> {
        self.maybe_number(name).ok_or_else(|| self.bad(name))
    }

    fn id(&self, name: &str) -> Result<u64, ArchiveError> {
        self.number(name).map(|id| id as u64)
    }

    fn flag(&self, name: &str) -> bool {
        self.group.flags(name).get(self.row).copied().flatten().unwrap_or(false)
    }

    fn text(&self, name: &str) -> Option<&ByteArray> {
        self.group.texts(name).get(self.row)?.as_ref()
    }

    fn session(&self) -> Result<String, ArchiveError> {
        let text = self.text("session").and_then(|text| std::str::from_utf8(text.data()).ok());
        text.map(str::to_owned).ok_or_else(|| self.bad("session"))
    }

    fn time(&self, name: &str) -> Result<TimestampNs, ArchiveError> {
        self.id(name).map(TimestampNs::from_nanos)
    }

    fn event_time(&self) -> TimestampNs {
        self.maybe_number("event_ts").map_or(TimestampNs::ZERO, |ts| TimestampNs::from_nanos(ts as u64))
    }

    fn level(&self, price: &str, qty: &str) -> Result<Level, ArchiveError> {
        Ok(Level { price: Price::from_ticks(self.number(price)?), qty: Qty::from_lots(self.number(qty)?) })
    }

    fn trade(&self) -> Result<FeedOwned, ArchiveError> {
        let level = self.level("price_ticks", "qty_lots")?;
        let trade = Trade {
            instrument: self.instrument,
            event_ts: self.event_time(),
            recv_ts: self.time("ts")?,
            id: TradeId(self.number("trade_id")?),
            price: level.price,
            qty: level.qty,
            aggressor: match self.text("aggressor").map(ByteArray::data) {
                Some(b"buy") => Side::Bid,
                Some(b"sell") => Side::Ask,
                _ => return Err(self.bad("aggressor")),
            },
        };
        Ok(if self.flag("is_aggregate") { FeedOwned::AggTrade(trade) } else { FeedOwned::Trade(trade) })
    }

    fn touch(&self) -> Result<FeedOwned, ArchiveError> {
        Ok(FeedOwned::Touch(Touch {
            instrument: self.instrument,
            recv_ts: self.time("ts")?,
            update_id: self.id("update_id")?,
            bid: self.level("bid_price_ticks", "bid_qty_lots")?,
            ask: self.level("ask_price_ticks", "ask_qty_lots")?,
        }))
    }

    /// A message of the book: the rows of one feed record, or a notice about it.
    fn depth(&mut self, session: String, seq: u64, is_dropped: bool) -> Result<Stored, ArchiveError> {
        let recv_ts = self.time("ts")?;
        if let Some(word) = self.text("notice") {
            let reason = reason_of(word.data()).ok_or_else(|| self.bad("notice"))?;
            let event = FeedOwned::Notice(FeedNotice { instrument: Some(self.instrument), reason, recv_ts });
            self.step();
            return Ok(Stored { session, seq, is_dropped, event });
        }
        let mut depth = DepthBuf::with_capacity(64);
        depth.head.instrument = self.instrument;
        depth.head.kind = if self.flag("is_snapshot") { DepthKind::Snapshot } else { DepthKind::Diff };
        depth.head.first_id = self.id("first_update_id")?;
        depth.head.last_id = self.id("last_update_id")?;
        depth.head.prev_id = self.maybe_number("prev_update_id").map(|id| id as u64);
        depth.head.event_ts = self.event_time();
        depth.head.recv_ts = recv_ts;
        // The rows of one message may lie in two row groups.
        while self.has_row()? && self.id("seq")? == seq && self.is_of(&session) {
            match self.text("side").map(ByteArray::data) {
                None => {}
                Some(b"bid") => depth.bids.push(self.level("price_ticks", "qty_lots")?),
                Some(b"ask") => depth.asks.push(self.level("price_ticks", "qty_lots")?),
                Some(_) => return Err(self.bad("side")),
            }
            self.step();
        }
        Ok(Stored { session, seq, is_dropped, event: FeedOwned::Depth(depth) })
    }

    fn is_of(&self, session: &str) -> bool {
        self.text("session").is_some_and(|text| text.data() == session.as_bytes())
    }
}

fn reason_of(word: &[u8]) -> Option<DesyncReason> {
    Some(match word {
        b"starting" => DesyncReason::Starting,
        b"gap" => DesyncReason::Gap,
        b"disconnected" => DesyncReason::Disconnected,
        b"overrun" => DesyncReason::Overrun,
        b"crossed" => DesyncReason::Crossed,
        b"malformed" => DesyncReason::Malformed,
        _ => return None,
    })
}
