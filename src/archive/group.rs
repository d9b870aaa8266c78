//! A row group of one of the archive's own files, read back.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::basic::Type as Physical;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;

use super::error::ArchiveError;

/// Opens a file.
pub(super) fn open(path: &Path) -> Result<SerializedFileReader<File>, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::io("open", path))?;
    SerializedFileReader::new(file).map_err(|source| ArchiveError::Parquet { path: path.to_owned(), source })
}

/// What the file's footer says under a key.
pub(super) fn note(reader: &SerializedFileReader<File>, key: &str) -> Option<String> {
    let pairs = reader.metadata().file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.clone()
}

/// Cells of one column of a row group.
pub(super) enum Cells {
    /// 64-bit integers, unsigned ones with their bits.
    Integers(Vec<Option<i64>>),
    /// Yes or no.
    Flags(Vec<Option<bool>>),
    /// Texts and bytes.
    Texts(Vec<Option<ByteArray>>),
    /// Floats and decimals, which are not read.
    Others,
}

/// A row group in memory.
#[derive(Default)]
pub(super) struct Group {
    /// How many rows it has.
    pub rows: usize,
    /// Its columns by name.
    pub columns: BTreeMap<String, Cells>,
}

impl Group {
    /// Reads the columns that are named, or all.
    pub(super) fn read(group: &dyn RowGroupReader, names: Option<&[&str]>) -> Result<Group, ParquetError> {
        let metadata = group.metadata();
        let rows = metadata.num_rows() as usize;
        let mut columns = BTreeMap::new();
        for at in 0..metadata.num_columns() {
            let about = metadata.column(at).column_descr();
            if names.is_some_and(|names| !names.contains(&about.name())) {
                continue;
            }
            let cells = match about.physical_type() {
                Physical::INT64 => Cells::Integers(cells::<Int64Type>(group, at, rows)?),
                Physical::BOOLEAN => Cells::Flags(cells::<BoolType>(group, at, rows)?),
                Physical::BYTE_ARRAY => Cells::Texts(cells::<ByteArrayType>(group, at, rows)?),
                _ => Cells::Others,
            };
            columns.insert(about.name().to_owned(), cells);
        }
        Ok(Group { rows, columns })
    }

    /// A column of integers; empty when there is none of that name.
    pub(super) fn integers(&self, name: &str) -> &[Option<i64>] {
        match self.columns.get(name) {
            Some(Cells::Integers(values)) => values,
            _ => &[],
        }
    }

    /// A column of flags.
    pub(super) fn flags(&self, name: &str) -> &[Option<bool>] {
        match self.columns.get(name) {
            Some(Cells::Flags(values)) => values,
            _ => &[],
        }
    }

    /// A column of texts.
    pub(super) fn texts(&self, name: &str) -> &[Option<ByteArray>] {
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
