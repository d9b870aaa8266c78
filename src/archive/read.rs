//! Reads the archive's own files back: for checks, and to make books from Parquet.
//!
//! One row group in memory at a time. Called by `validate` and by tests; it never writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::basic::Type as Physical;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;

use super::error::ArchiveError;
use super::partition::{SESSIONS_KEY, SUMS_KEY, VENUES_KEY};
use super::table::{ColumnKind, Table};
use crate::types::{DesyncReason, InstrumentId, Level, Price, Qty, TimestampNs};
use crate::wire::{DepthBuf, DepthKind, FeedEvent, FeedNotice};

/// What a file of the archive was found to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileCheck {
    /// The table, by its name in the schema.
    pub table: String,
    /// The symbol that the footer names.
    pub symbol: String,
    /// Venue profile of each session that gave rows, by the session's name.
    pub venues: BTreeMap<String, String>,
    /// Rows read.
    pub rows: u64,
    /// Rows whose time is before that of the row before.
    pub ts_went_back: u64,
    /// Rows whose event, by the venue's clock, is later than its receipt by ours.
    pub event_ahead: u64,
    /// Greatest time from event to receipt, nanoseconds.
    pub event_behind_max_ns: i64,
    /// What the file says about itself and does not hold.
    pub problems: Vec<String>,
}

/// Reads a whole file and compares it with what its footer says: rows, sums of columns, symbol, order of time.
///
/// # Errors
/// When it is no Parquet file that can be read to its end.
pub fn check_file(path: &Path) -> Result<FileCheck, ArchiveError> {
    let reader = open(path)?;
    let failed = |source| ArchiveError::Parquet { path: path.to_owned(), source };
    let metadata = reader.metadata().file_metadata();
    let mut check = FileCheck { table: metadata.schema().name().to_owned(), ..FileCheck::default() };
    let value = |key: &str| {
        metadata.key_value_metadata()?.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone())
    };
    check.symbol = value("touchline.symbol").unwrap_or_default();
    if let (Some(sessions), Some(venues)) = (value(SESSIONS_KEY), value(VENUES_KEY)) {
        check.venues = sessions.split(',').zip(venues.split(',')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    }
    let told: BTreeMap<String, String> = match value(SUMS_KEY).map(|text| serde_json::from_str(&text)) {
        Some(Ok(told)) => told,
        Some(Err(_)) | None => {
            check.problems.push("its footer has no sums of the columns".to_owned());
            BTreeMap::new()
        }
    };
    let Some(table) = Table::from_name(&check.table) else {
        check.problems.push(format!("`{}` is no table of the archive", check.table));
        return Ok(check);
    };
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    let mut last_ts = i64::MIN;
    for at in 0..reader.num_row_groups() {
        let group = Group::read(&*reader.get_row_group(at).map_err(failed)?).map_err(failed)?;
        check.rows += group.rows as u64;
        for column in table.columns() {
            let Some(found) = group.columns.get(column.name) else {
                check.problems.push(format!("it has no column `{}`", column.name));
                return Ok(check);
            };
            match found {
                Cells::Integers(values) => {
                    let is_unsigned = column.kind == ColumnKind::Id;
                    let part: i128 = values
                        .iter()
                        .flatten()
                        .map(|&value| if is_unsigned { i128::from(value as u64) } else { i128::from(value) })
                        .sum();
                    *sums.entry(column.name).or_default() += part;
                }
                Cells::Flags(values) => {
                    *sums.entry(column.name).or_default() +=
                        values.iter().flatten().filter(|&&flag| flag).count() as i128;
                }
                Cells::Texts(values) if column.name == "symbol" => {
                    let is_other = |text: &&Vec<u8>| !text.is_empty() && ***text != *check.symbol.as_bytes();
                    if let Some(other) = values.iter().flatten().find(is_other) {
                        let other = String::from_utf8_lossy(other);
                        check.problems.push(format!("a row of `{other}` is in the file of `{}`", check.symbol));
                    }
                }
                Cells::Texts(_) | Cells::Others => {}
            }
        }
        let times = group.integers("ts");
        let events = group.columns.contains_key("event_ts").then(|| group.integers("event_ts"));
        for row in 0..group.rows {
            let Some(ts) = times.get(row).copied().flatten() else { continue };
            check.ts_went_back += u64::from(ts < last_ts);
            last_ts = ts;
            if let Some(event) = events.and_then(|events| events[row]) {
                check.event_ahead += u64::from(event > ts);
                check.event_behind_max_ns = check.event_behind_max_ns.max(ts - event);
            }
        }
    }
    let footer_rows = metadata.num_rows();
    if footer_rows != check.rows as i64 {
        check.problems.push(format!("its footer says {footer_rows} rows, it holds {}", check.rows));
    }
    for (column, told) in &told {
        let found = sums.get(&column[..]).copied().unwrap_or(0).to_string();
        if found != *told {
            check.problems.push(format!("the sum of `{column}` is {found}, its footer says {told}"));
        }
    }
    Ok(check)
}

/// Makes the feed's events again from a file of `orderbook`, in their order: `take` is told the session's name, the
/// number of the feed record, whether its link dropped it, and the event, whose instrument is always the first.
///
/// # Errors
/// When the file cannot be read, or holds what no conversion writes.
pub fn read_orderbook(path: &Path, take: &mut dyn FnMut(&str, u64, bool, &FeedEvent<'_>)) -> Result<(), ArchiveError> {
    let reader = open(path)?;
    let failed = |source| ArchiveError::Parquet { path: path.to_owned(), source };
    let bad = |what: &str| failed(ParquetError::General(format!("`{what}` holds what no conversion writes")));
    let mut depth = DepthBuf::with_capacity(1 << 10);
    // The message that is being put together: its session, number and whether it was dropped.
    let mut open: Option<(String, u64, bool)> = None;
    for at in 0..reader.num_row_groups() {
        let group = Group::read(&*reader.get_row_group(at).map_err(failed)?).map_err(failed)?;
        let integers = |name| group.integers(name);
        let (ts, event_ts, seq) = (integers("ts"), integers("event_ts"), integers("seq"));
        let (first, last) = (integers("first_update_id"), integers("last_update_id"));
        let (prev, price, qty) = (integers("prev_update_id"), integers("price_ticks"), integers("qty_lots"));
        let (snapshot, is_dropped) = (group.flags("is_snapshot"), group.flags("is_dropped"));
        let (notice, side, session) = (group.texts("notice"), group.texts("side"), group.texts("session"));
        for row in 0..group.rows {
            let number = |column: &[Option<i64>]| column.get(row).copied().flatten();
            let text = |column: &[Option<Vec<u8>>]| column.get(row).cloned().flatten();
            let seq = number(seq).ok_or_else(|| bad("seq"))? as u64;
            let session = text(session).and_then(|text| String::from_utf8(text).ok()).ok_or_else(|| bad("session"))?;
            let is_same = open.as_ref().is_some_and(|(name, number, _)| *name == session && *number == seq);
            if !is_same {
                if let Some((session, seq, is_dropped)) = open.take() {
                    take(&session, seq, is_dropped, &FeedEvent::Depth(depth.as_ref()));
                }
                let is_dropped = is_dropped.get(row).copied().flatten().unwrap_or(false);
                let recv_ts = TimestampNs::from_nanos(number(ts).ok_or_else(|| bad("ts"))? as u64);
                if let Some(reason) = text(notice) {
                    let reason = reason_of(&reason).ok_or_else(|| bad("notice"))?;
                    let notice = FeedNotice { instrument: Some(InstrumentId(0)), reason, recv_ts };
                    take(&session, seq, is_dropped, &FeedEvent::Notice(notice));
                    continue;
                }
                depth.clear();
                depth.head.instrument = InstrumentId(0);
                let is_snapshot = snapshot.get(row).copied().flatten().unwrap_or(false);
                depth.head.kind = if is_snapshot { DepthKind::Snapshot } else { DepthKind::Diff };
                depth.head.first_id = number(first).ok_or_else(|| bad("first_update_id"))? as u64;
                depth.head.last_id = number(last).ok_or_else(|| bad("last_update_id"))? as u64;
                depth.head.prev_id = number(prev).map(|id| id as u64);
                depth.head.event_ts =
                    number(event_ts).map_or(TimestampNs::ZERO, |ts| TimestampNs::from_nanos(ts as u64));
                depth.head.recv_ts = recv_ts;
                open = Some((session, seq, is_dropped));
            }
            let Some(side) = text(side) else { continue };
            let (Some(price), Some(qty)) = (number(price), number(qty)) else { return Err(bad("price_ticks")) };
            let level = Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
            match &side[..] {
                b"bid" => depth.bids.push(level),
                b"ask" => depth.asks.push(level),
                _ => return Err(bad("side")),
            }
        }
    }
    if let Some((session, seq, is_dropped)) = open {
        take(&session, seq, is_dropped, &FeedEvent::Depth(depth.as_ref()));
    }
    Ok(())
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

fn open(path: &Path) -> Result<SerializedFileReader<File>, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::io("open", path))?;
    SerializedFileReader::new(file).map_err(|source| ArchiveError::Parquet { path: path.to_owned(), source })
}

/// Cells of one column of a row group.
enum Cells {
    Integers(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<Vec<u8>>>),
    Others,
}

struct Group {
    rows: usize,
    columns: BTreeMap<String, Cells>,
}

impl Group {
    fn read(group: &dyn RowGroupReader) -> Result<Group, ParquetError> {
        let metadata = group.metadata();
        let rows = metadata.num_rows() as usize;
        let mut columns = BTreeMap::new();
        for at in 0..metadata.num_columns() {
            let about = metadata.column(at).column_descr();
            let cells = match about.physical_type() {
                Physical::INT64 => Cells::Integers(cells::<Int64Type>(group, at, rows)?),
                Physical::BOOLEAN => Cells::Flags(cells::<BoolType>(group, at, rows)?),
                Physical::BYTE_ARRAY => Cells::Texts(
                    cells::<ByteArrayType>(group, at, rows)?
                        .into_iter()
                        .map(|text| text.map(|text| text.data().to_vec()))
                        .collect(),
                ),
                _ => Cells::Others,
            };
            columns.insert(about.name().to_owned(), cells);
        }
        Ok(Group { rows, columns })
    }

    fn integers(&self, name: &str) -> &[Option<i64>] {
        match self.columns.get(name) {
            Some(Cells::Integers(values)) => values,
            _ => &[],
        }
    }

    fn flags(&self, name: &str) -> &[Option<bool>] {
        match self.columns.get(name) {
            Some(Cells::Flags(values)) => values,
            _ => &[],
        }
    }

    fn texts(&self, name: &str) -> &[Option<Vec<u8>>] {
        match self.columns.get(name) {
            Some(Cells::Texts(values)) => values,
            _ => &[],
        }
    }
}

/// Reads a column whole: a value or nothing for each row.
fn cells<T: DataType>(group: &dyn RowGroupReader, at: usize, rows: usize) -> Result<Vec<Option<T::T>>, ParquetError> {
    let is_optional = group.metadata().column(at).column_descr().max_def_level() > 0;
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(at)?);
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < rows {
        let (count, _, _) = reader.read_records(rows - read, is_optional.then_some(&mut levels), None, &mut values)?;
        if count == 0 {
            return Err(ParquetError::General(format!("column {at} ends after {read} of {rows} rows")));
        }
        read += count;
    }
    if !is_optional {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.iter().map(|&level| if level > 0 { values.next() } else { None }).collect())
}
