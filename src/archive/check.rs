//! Whether a file of the archive holds what its footer says.
//!
//! One row group in memory at a time. Called by `validate` and by tests; it never writes.

use std::collections::BTreeMap;
use std::path::Path;

use parquet::data_type::ByteArray;
use parquet::file::reader::FileReader;

use super::error::ArchiveError;
use super::group::{self, Cells, Group};
use super::partition::{SESSIONS_KEY, SUMS_KEY, SYMBOL_KEY, VENUES_KEY};
use super::table::{ColumnKind, Table};

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
    let reader = group::open(path)?;
    let failed = |source| ArchiveError::Parquet { path: path.to_owned(), source };
    let metadata = reader.metadata().file_metadata();
    let mut check = FileCheck { table: metadata.schema().name().to_owned(), ..FileCheck::default() };
    let value = |key: &str| group::note(&reader, key);
    check.symbol = value(SYMBOL_KEY).unwrap_or_default();
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
        let group = Group::read(&*reader.get_row_group(at).map_err(failed)?, None).map_err(failed)?;
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
                    let is_other = |text: &&ByteArray| !text.is_empty() && text.data() != check.symbol.as_bytes();
                    if let Some(other) = values.iter().flatten().find(is_other) {
                        let other = String::from_utf8_lossy(other.data());
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
