//! One Parquet file in the making: `<table>/<SYMBOL>/YYYY-MM-DD/HH.parquet`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::error::ArchiveError;
use super::rows::{Rows, Values};
use super::table::{ColumnKind, Table};
use crate::types::{Instrument, TimestampNs, format_e8};

/// Key of the file's metadata that lists the sessions in it, separated by commas.
const SESSIONS_KEY: &str = "touchline.sessions";

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// The hour that a time belongs to, counted from the epoch.
pub(super) fn hour_of(time: TimestampNs) -> u64 {
    time.nanos() / HOUR_NS
}

/// The file's path under the archive, with `suffix` before the ending.
pub(super) fn partition_path(
    table: Table,
    instrument: &Instrument,
    hour: u64,
    suffix: &str,
) -> Result<PathBuf, ArchiveError> {
    let symbol = instrument.symbol();
    let plain = symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !plain || symbol.is_empty() || symbol.starts_with('.') {
        return Err(ArchiveError::Symbol { symbol: symbol.to_owned() });
    }
    let (year, month, day) = date_of(hour / 24);
    Ok(PathBuf::from(format!(
        "{}/{symbol}/{year:04}-{month:02}-{day:02}/{:02}{suffix}.parquet",
        table.name(),
        hour % 24
    )))
}

/// Year, month and day of a number of days since the epoch (Gregorian, after Howard Hinnant's `civil_from_days`).
fn date_of(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// A file in the making; dropped unfinished it leaves nothing behind.
pub(super) struct Partition {
    pub rows: Rows,
    path: PathBuf,
    temporary: PathBuf,
    /// Sessions that gave rows, in their order.
    sessions: Vec<String>,
    writer: Option<SerializedFileWriter<File>>,
}

impl Partition {
    /// Begins the file at `path`.
    pub(super) fn create(table: Table, instrument: &Instrument, path: PathBuf) -> Result<Partition, ArchiveError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(ArchiveError::io("create the folder", folder))?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".new");
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(ArchiveError::io("create", &temporary))?;
        let failed = |source| ArchiveError::Parquet { path: path.clone(), source };
        let schema = Arc::new(parse_message_type(&table.schema_text()).map_err(failed)?);
        let properties = Arc::new(properties(table, instrument));
        let writer = SerializedFileWriter::new(file, schema, properties).map_err(failed)?;
        Ok(Partition { rows: Rows::new(table), path, temporary, sessions: Vec::new(), writer: Some(writer) })
    }

    /// Notes that a session gives rows.
    pub(super) fn note_session(&mut self, session: &str) {
        if !self.sessions.iter().any(|known| known == session) {
            self.sessions.push(session.to_owned());
        }
    }

    /// Writes the waiting rows as a row group.
    pub(super) fn flush(&mut self) -> Result<(), ArchiveError> {
        if self.rows.waiting == 0 {
            return Ok(());
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        write_group(writer, &self.rows).map_err(|source| ArchiveError::Parquet { path: self.path.clone(), source })?;
        self.rows.clear();
        Ok(())
    }

    /// Writes what waits, makes the file durable and gives it its name. Returns the name and the rows with their sums.
    pub(super) fn finish(mut self) -> Result<(PathBuf, Rows), ArchiveError> {
        self.flush()?;
        let path = self.path.clone();
        if let Some(mut writer) = self.writer.take() {
            writer.append_key_value_metadata(KeyValue::new(SESSIONS_KEY.to_owned(), self.sessions.join(",")));
            let finished = writer.into_inner().map_err(|source| ArchiveError::Parquet { path: path.clone(), source });
            let synced = finished.and_then(|file| file.sync_all().map_err(ArchiveError::io("sync", &path)));
            let named = synced.and_then(|()| {
                std::fs::rename(&self.temporary, &path).map_err(ArchiveError::io("name the finished file", &path))
            });
            if let Err(error) = named {
                let _ = std::fs::remove_file(&self.temporary);
                return Err(error);
            }
            let folder = path.parent().unwrap_or(Path::new("."));
            File::open(folder).and_then(|file| file.sync_all()).map_err(ArchiveError::io("sync the folder", folder))?;
        }
        let rows = std::mem::replace(&mut self.rows, Rows::new(Table::Quotes));
        Ok((path, rows))
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Unfinished: the error that led here is told by whoever dropped it.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// The sessions that an existing file was made from; `None` when there is no file, or not one of ours.
pub(super) fn sessions_in(path: &Path) -> Option<Vec<String>> {
    let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
    let pairs = reader.metadata().file_metadata().key_value_metadata()?;
    let value = pairs.iter().find(|pair| pair.key == SESSIONS_KEY)?.value.clone()?;
    Some(value.split(',').map(str::to_owned).collect())
}

fn properties(table: Table, instrument: &Instrument) -> WriterProperties {
    let text = |e8| {
        let mut out = String::new();
        format_e8(e8, &mut out);
        out
    };
    let pair = |key: &str, value: String| KeyValue::new(format!("touchline.{key}"), value);
    let spec = &instrument.spec;
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("touchline ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(vec![
            pair("table_version", "1".to_owned()),
            pair("symbol", spec.symbol.as_str().to_owned()),
            pair("base", spec.base.as_str().to_owned()),
            pair("quote", spec.quote.as_str().to_owned()),
            pair("tick", text(spec.tick_e8)),
            pair("lot", text(spec.lot_e8)),
            pair(
                "scale",
                "price = price_ticks * tick; qty = qty_lots * lot; mid = mid_half_ticks * tick / 2".to_owned(),
            ),
        ]));
    for column in table.columns() {
        let path = ColumnPath::from(column.name);
        // Growing numbers as differences, prices and sizes as byte planes, few-valued text as a dictionary.
        let encoding = match column.kind {
            ColumnKind::Time | ColumnKind::Id | ColumnKind::SignedId => Encoding::DELTA_BINARY_PACKED,
            ColumnKind::Amount | ColumnKind::Decimal(_) => Encoding::BYTE_STREAM_SPLIT,
            ColumnKind::Flag | ColumnKind::Text => continue,
        };
        builder = builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
    }
    builder.build()
}

fn write_group(writer: &mut SerializedFileWriter<File>, rows: &Rows) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in &rows.columns {
        let Some(mut target) = group.next_column()? else {
            return Err(ParquetError::General("the schema has fewer columns than the rows".to_owned()));
        };
        let levels = column.column.optional.then_some(&column.levels[..]);
        match &column.values {
            Values::Integers(values) => target.typed::<Int64Type>().write_batch(values, levels, None)?,
            Values::Flags(values) => target.typed::<BoolType>().write_batch(values, levels, None)?,
            Values::Texts(values) => target.typed::<ByteArrayType>().write_batch(values, levels, None)?,
        };
        target.close()?;
    }
    group.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (days, date) in
            [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (20_779, (2026, 11, 22)), (47_541, (2100, 3, 1))]
        {
            assert_eq!(date_of(days), date);
        }
    }
}
