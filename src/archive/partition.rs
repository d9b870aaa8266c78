//! One Parquet file in the making: `<table>/<SYMBOL>/YYYY-MM-DD/HH.parquet`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::chunk::ChunkEncoder;
use super::error::ArchiveError;
use super::rows::Rows;
use super::store::Origin;
use super::table::Table;
use crate::journal::InstrumentEntry;
use crate::types::{Date, Instrument, TimestampNs, format_e8};

/// Key of the file's metadata that lists the sessions in it, separated by commas.
pub(super) const SESSIONS_KEY: &str = "touchline.sessions";

/// Key of the venue profiles of those sessions, in their order.
pub(super) const VENUES_KEY: &str = "touchline.venues";

/// Key of the symbol.
pub(super) const SYMBOL_KEY: &str = "touchline.symbol";

/// Key of the instrument as session files describe it, in JSON.
pub(super) const INSTRUMENT_KEY: &str = "touchline.instrument";

/// Key of the digest of the records that the rows came from.
const SOURCE_KEY: &str = "touchline.source";

/// Key of how the file was cut, and by which version.
const CUT_KEY: &str = "touchline.cut";

/// Key of the columns' sums, as a JSON object of decimal texts.
pub(super) const SUMS_KEY: &str = "touchline.sums";

/// Version of the tables' columns. 2: `notice` in `orderbook`, tables `kpi` and `raw`.
const TABLE_VERSION: u32 = 2;

/// Bytes of a file that wait for one write: the crate hands over a few thousand at a time.
const WRITE_BYTES: usize = 64 << 10;

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
    let date = Date::from_days(hour / 24);
    Ok(PathBuf::from(format!("{}/{symbol}/{date}/{:02}{suffix}.parquet", table.name(), hour % 24)))
}

/// How files are cut, which their bytes depend on besides the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Rows of a row group.
    pub group_rows: usize,
    /// Bytes of waiting rows over all files.
    pub waiting_bytes: usize,
}

impl Cut {
    fn text(self) -> String {
        format!("{}/{TABLE_VERSION}/{}/{}", env!("CARGO_PKG_VERSION"), self.group_rows, self.waiting_bytes)
    }
}

/// A file in the making; dropped unfinished it leaves nothing behind.
pub(super) struct Partition {
    pub rows: Rows,
    path: PathBuf,
    /// Sessions that gave rows, in their order.
    sessions: Vec<String>,
    venues: Vec<String>,
    /// Digest of every record that gave rows.
    source: u64,
    cut: Cut,
    sink: Sink,
}

/// What becomes of the rows.
enum Sink {
    /// They are written to a file beside the final one.
    Write { writer: Box<SerializedFileWriter<BufWriter<File>>>, temporary: PathBuf, before: Option<Existing> },
    /// The final file is there already, made by an earlier conversion: it is only seen whether it holds these rows.
    Compare(Existing),
    /// They are kept in memory, a row group each.
    Hold(Vec<Rows>),
    /// Nothing more: finished, or given up.
    Done,
}

/// How a file came to its end.
pub(super) enum Finished {
    /// It was written and has its name.
    Written(PathBuf, Rows),
    /// An earlier conversion had written the very same.
    Kept(PathBuf, Rows),
    /// The file that was there holds so many rows more of the same sessions: it was made before the journal lost them.
    Fuller(PathBuf, u64),
    /// The file that was there holds something else, and has to be written again.
    Stale(PathBuf),
    /// Nothing was written: these are its row groups.
    Held(PathBuf, Vec<Rows>),
}

impl Partition {
    /// Begins the file at `path`. A file that stands there and was cut alike is compared with, unless `anew`.
    pub(super) fn create(
        table: Table,
        instrument: &Instrument,
        path: PathBuf,
        cut: Cut,
        anew: bool,
    ) -> Result<Partition, ArchiveError> {
        let sink = match Existing::read(&path) {
            Some(existing) if !anew && existing.cut == cut.text() => Sink::Compare(existing),
            before => {
                let folder = path.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(folder).map_err(ArchiveError::io("create the folder", folder))?;
                let temporary = unfinished(&path);
                // A conversion that was killed may have left one: it starts from nothing here.
                let file = File::create(&temporary).map_err(ArchiveError::io("create", &temporary))?;
                let failed = |source| ArchiveError::Parquet { path: path.clone(), source };
                let schema = Arc::new(parse_message_type(&table.schema_text()).map_err(failed)?);
                let properties = Arc::new(properties(instrument));
                let file = BufWriter::with_capacity(WRITE_BYTES, file);
                let writer = SerializedFileWriter::new(file, schema, properties).map_err(failed)?;
                Sink::Write { writer: Box::new(writer), temporary, before }
            }
        };
        Ok(Partition { rows: Rows::new(table), path, sessions: Vec::new(), venues: Vec::new(), source: 0, cut, sink })
    }

    /// Begins a file that is never written: its rows stay in memory.
    pub(super) fn hold(table: Table, path: PathBuf, cut: Cut) -> Partition {
        Partition {
            rows: Rows::new(table),
            path,
            sessions: Vec::new(),
            venues: Vec::new(),
            source: 0,
            cut,
            sink: Sink::Hold(Vec::new()),
        }
    }

    /// Notes what the next rows come from.
    pub(super) fn note(&mut self, origin: &Origin<'_>) {
        if self.sessions.last().is_none_or(|known| known != origin.session) {
            self.sessions.push(origin.session.to_owned());
            self.venues.push(origin.venue.to_owned());
        }
        for part in [origin.seq, origin.time.nanos(), u64::from(origin.flags.0), origin.digest] {
            // Multiplying by an odd number loses nothing, and folding brings the high bits to where they matter.
            let mixed = (self.source.rotate_left(5) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.source = mixed ^ (mixed >> 32);
        }
    }

    /// Writes the waiting rows as a row group; keeps their memory for the next ones when `kept`.
    pub(super) fn flush(&mut self, encoder: &mut ChunkEncoder, kept: bool) -> Result<(), ArchiveError> {
        if self.rows.waiting == 0 {
            return Ok(());
        }
        match &mut self.sink {
            Sink::Write { writer, .. } => write_group(writer, &self.rows, encoder)
                .map_err(|source| ArchiveError::Parquet { path: self.path.clone(), source })?,
            Sink::Hold(groups) => groups.push(self.rows.take()),
            Sink::Compare(_) | Sink::Done => {}
        }
        self.rows.clear(kept);
        Ok(())
    }

    /// Writes what waits, makes the file durable and gives it its name.
    pub(super) fn finish(mut self, encoder: &mut ChunkEncoder) -> Result<Finished, ArchiveError> {
        self.flush(encoder, false)?;
        let path = self.path.clone();
        let (sessions, source) = (self.sessions.join(","), format!("{:016x}", self.source));
        let rows = std::mem::replace(&mut self.rows, Rows::new(Table::Quotes));
        let before = match &self.sink {
            Sink::Write { before, .. } => before.as_ref(),
            Sink::Compare(existing) => Some(existing),
            Sink::Hold(_) | Sink::Done => None,
        };
        let more = before.filter(|before| before.sessions == sessions).map_or(0, |b| b.rows.saturating_sub(rows.total));
        if more > 0 {
            // What is being written is removed when `self` is dropped.
            return Ok(Finished::Fuller(path, more));
        }
        let (mut writer, temporary) = match std::mem::replace(&mut self.sink, Sink::Done) {
            Sink::Write { writer, temporary, .. } => (writer, temporary),
            Sink::Compare(existing) if existing.sessions == sessions && existing.source == source => {
                return Ok(Finished::Kept(path, rows));
            }
            Sink::Hold(groups) => return Ok(Finished::Held(path, groups)),
            Sink::Compare(_) | Sink::Done => return Ok(Finished::Stale(path)),
        };
        let sums: serde_json::Map<String, serde_json::Value> = rows
            .columns
            .iter()
            .zip(&rows.sums)
            .filter(|(column, _)| column.column.kind.has_sum())
            .map(|(column, sum)| (column.column.name.to_owned(), sum.to_string().into()))
            .collect();
        for (key, value) in [
            (SESSIONS_KEY, sessions),
            (VENUES_KEY, self.venues.join(",")),
            (SOURCE_KEY, source),
            (CUT_KEY, self.cut.text()),
            (SUMS_KEY, serde_json::Value::Object(sums).to_string()),
        ] {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let finished = writer.into_inner().map_err(|source| ArchiveError::Parquet { path: path.clone(), source });
        let synced = finished.and_then(|file| {
            let whole = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            whole.and_then(|file| file.sync_all()).map_err(ArchiveError::io("write and sync", &path))
        });
        let named = synced.and_then(|()| {
            std::fs::rename(&temporary, &path).map_err(ArchiveError::io("name the finished file", &path))
        });
        if let Err(error) = named {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|file| file.sync_all()).map_err(ArchiveError::io("sync the folder", folder))?;
        Ok(Finished::Written(path, rows))
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        if let Sink::Write { temporary, .. } = &self.sink {
            // Unfinished: the error that led here is told by whoever dropped it.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// The name of a file until it is whole: hidden, and with an ending that no reader of Parquet takes.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// What a file of ours says about how it was made.
pub(super) struct Existing {
    sessions: String,
    source: String,
    cut: String,
    rows: u64,
}

impl Existing {
    /// Reads a file's footer; `None` when there is no file, or not one of ours.
    pub(super) fn read(path: &Path) -> Option<Existing> {
        let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
        let pairs = reader.metadata().file_metadata().key_value_metadata()?;
        let value = |key| pairs.iter().find(|pair| pair.key == key)?.value.clone();
        let sessions = value(SESSIONS_KEY)?;
        Some(Existing {
            sessions,
            source: value(SOURCE_KEY).unwrap_or_default(),
            cut: value(CUT_KEY).unwrap_or_default(),
            rows: u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0),
        })
    }

    /// The sessions that the file was made from.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &str> {
        self.sessions.split(',')
    }
}

/// Writes row groups that are in memory as a file of a table; nothing else is done to it.
pub(super) fn write_held(
    table: Table,
    instrument: &Instrument,
    groups: &[Rows],
    path: &Path,
    encoder: &mut ChunkEncoder,
) -> Result<(), ArchiveError> {
    let file = File::create(path).map_err(ArchiveError::io("create", path))?;
    let write = || {
        let schema = Arc::new(parse_message_type(&table.schema_text())?);
        let file = BufWriter::with_capacity(WRITE_BYTES, file);
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties(instrument)))?;
        for rows in groups {
            write_group(&mut writer, rows, encoder)?;
        }
        writer.into_inner()?.into_inner().map_err(|error| ParquetError::External(Box::new(error.into_error())))
    };
    write().map(drop).map_err(|source| ArchiveError::Parquet { path: path.to_owned(), source })
}

fn properties(instrument: &Instrument) -> WriterProperties {
    let text = |e8| {
        let mut out = String::new();
        format_e8(e8, &mut out);
        out
    };
    let pair = |key: &str, value: String| KeyValue::new(format!("touchline.{key}"), value);
    let spec = &instrument.spec;
    WriterProperties::builder()
        .set_created_by(concat!("touchline ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(vec![
            pair("table_version", TABLE_VERSION.to_string()),
            KeyValue::new(SYMBOL_KEY.to_owned(), spec.symbol.as_str().to_owned()),
            // Plain numbers and texts always have a text.
            KeyValue::new(
                INSTRUMENT_KEY.to_owned(),
                serde_json::to_string(&InstrumentEntry::new(instrument)).unwrap_or_default(),
            ),
            pair("base", spec.base.as_str().to_owned()),
            pair("quote", spec.quote.as_str().to_owned()),
            pair("tick", text(spec.tick_e8)),
            pair("lot", text(spec.lot_e8)),
            pair(
                "scale",
                "price = price_ticks * tick; qty = qty_lots * lot; mid = mid_half_ticks * tick / 2".to_owned(),
            ),
        ]))
        .build()
}

fn write_group(
    writer: &mut SerializedFileWriter<BufWriter<File>>,
    rows: &Rows,
    encoder: &mut ChunkEncoder,
) -> Result<(), ParquetError> {
    let columns: Vec<_> = writer.schema_descr().columns().to_vec();
    let mut group = writer.next_row_group()?;
    for (at, about) in columns.iter().enumerate() {
        let (bytes, close) = encoder.encode(&rows.columns, at, rows.waiting, about)?;
        group.append_column(&bytes, close)?;
    }
    group.close()?;
    Ok(())
}
