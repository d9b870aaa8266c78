//! Column chunks: a column's waiting rows, encoded, compressed and ready to be put into a row group.
//!
//! The file, its schema and its metadata are the parquet crate's; the pages are made here, because rows of a journal
//! are special: times and ids stand still for a whole message, words are known by number before they are written, and
//! no page needs a guess at its encoding. One page a chunk (rows wait up to a row group's size), version 1 of the page
//! header, which every reader knows. Called by `partition` alone; it opens no file.

mod delta;
mod hybrid;
mod ladder;
mod planes;

use bytes::Bytes;
use parquet::basic::{CompressionCodec, Encoding, LogicalType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use self::ladder::Ladder;
use super::rows::{ColumnRows, Values};
use super::runs::Runs;

/// Compression level: the one at which zstd is fastest before it gives up size.
const ZSTD_LEVEL: i32 = 1;

/// The numbers of an amount or a decimal: each is a step so many times.
#[derive(Clone, Copy, Default)]
struct Numbers<'a> {
    steps: &'a [i64],
    /// Least and greatest of them.
    extremes: Option<(i64, i64)>,
    step: i64,
}

/// Makes column chunks; keeps its buffers and its compressor between them.
pub(super) struct ChunkEncoder {
    compressor: zstd::bulk::Compressor<'static>,
    /// A page before its compression.
    plain: Vec<u8>,
    /// The page after it.
    packed: Vec<u8>,
    ladder: Ladder,
    /// Least and greatest number of each column of the row group, as far as they were asked for.
    extremes: Vec<Option<(i64, i64)>>,
}

impl ChunkEncoder {
    /// An encoder with empty buffers.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub(super) fn new() -> std::io::Result<ChunkEncoder> {
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        Ok(ChunkEncoder {
            compressor,
            plain: Vec::new(),
            packed: Vec::new(),
            ladder: Ladder::default(),
            extremes: Vec::new(),
        })
    }

    /// Encodes the waiting values of a column of `all`: the chunk's bytes and what the footer says about them.
    pub(super) fn encode(
        &mut self,
        all: &[ColumnRows],
        at: usize,
        rows: usize,
        about: &ColumnDescPtr,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let column = &all[at];
        // A row group begins with its first column.
        if at == 0 {
            self.extremes.clear();
            self.extremes.resize(all.len(), None);
        }
        // Decimals that are not kept are made of another column's numbers.
        let (source, step) = column.scaled.map_or((at, 1), |(back, step)| (at - back, step));
        let mut numbers = Numbers::default();
        if let Values::Integers(values) = &all[source].values {
            let known = &mut self.extremes[source];
            *known = known.or_else(|| extremes(values));
            numbers = Numbers { steps: values, extremes: *known, step };
        }
        let is_ladder = column.scaled.is_some()
            && numbers.extremes.is_some_and(|extremes| self.ladder.climb(numbers.steps, extremes, step));
        let mut sink = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut sink);
        let (mut compressed, mut uncompressed) = (0, 0);
        let (mut dictionary_at, mut encodings) = (None, Vec::with_capacity(3));
        let encoding = match &column.values {
            Values::Steps(_) => Encoding::DELTA_BINARY_PACKED,
            Values::Integers(_) if is_ladder => Encoding::RLE_DICTIONARY,
            Values::Integers(_) | Values::Floats(_) => Encoding::BYTE_STREAM_SPLIT,
            Values::Words(_) => Encoding::RLE_DICTIONARY,
            Values::Flags(_) | Values::Texts(_) => Encoding::PLAIN,
        };
        if encoding == Encoding::RLE_DICTIONARY {
            self.plain.clear();
            let known = match &column.values {
                Values::Words(words) => {
                    for word in &words.known {
                        put_text(word, &mut self.plain);
                    }
                    words.known.len()
                }
                _ => {
                    self.plain.extend_from_slice(bytemuck::cast_slice(&self.ladder.rungs));
                    self.ladder.rungs.len()
                }
            };
            let page = Page::DictionaryPage {
                buf: self.compress()?,
                num_values: known as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let spec = pages.write_page(CompressedPage::new(page, self.plain.len()))?;
            (compressed, uncompressed) = (spec.compressed_size, spec.uncompressed_size);
            dictionary_at = Some(spec.offset as i64);
            encodings.push(Encoding::PLAIN);
        }
        self.plain.clear();
        self.put_levels(column);
        self.put_values(&column.values, numbers, encoding);
        let page = Page::DataPage {
            buf: self.compress()?,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = pages.write_page(CompressedPage::new(page, self.plain.len()))?;
        compressed += spec.compressed_size;
        uncompressed += spec.uncompressed_size;
        pages.close()?;
        encodings.extend([Encoding::RLE, encoding]);
        let metadata = ColumnChunkMetaData::builder(about.clone())
            .set_compression_codec(CompressionCodec::ZSTD)
            .set_encodings(encodings)
            .set_num_values(rows as i64)
            .set_total_compressed_size(compressed as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_data_page_offset(spec.offset as i64)
            .set_dictionary_page_offset(dictionary_at)
            .set_statistics(statistics(column, numbers, about))
            .build()?;
        let bytes = Bytes::from(sink.into_inner()?);
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((bytes, close))
    }

    /// Which rows have a value: nothing for a required column, a length and runs of 0 and 1 for another.
    fn put_levels(&mut self, column: &ColumnRows) {
        if !column.column.optional {
            return;
        }
        self.plain.extend_from_slice(&[0; 4]);
        hybrid::encode(&column.levels, 1, &mut self.plain);
        let len = (self.plain.len() - 4) as u32;
        self.plain[..4].copy_from_slice(&len.to_le_bytes());
    }

    fn put_values(&mut self, values: &Values, numbers: Numbers<'_>, encoding: Encoding) {
        let out = &mut self.plain;
        match values {
            Values::Steps(values) => delta::encode(values, out),
            Values::Integers(_) if encoding == Encoding::RLE_DICTIONARY => {
                let width = hybrid::width_for(self.ladder.rungs.len());
                out.push(width as u8);
                hybrid::encode_each(&self.ladder.numbers, width, out);
            }
            Values::Integers(_) => planes::encode(bytemuck::cast_slice(numbers.steps), numbers.step as u64, out),
            Values::Floats(values) => planes::encode(bytemuck::cast_slice(values), 1, out),
            Values::Flags(values) => put_bits(values, out),
            Values::Words(words) => {
                let width = hybrid::width_for(words.known.len());
                out.push(width as u8);
                hybrid::encode(&words.numbers, width, out);
            }
            // They wait in the form in which they are written.
            Values::Texts(texts) => out.extend_from_slice(texts),
        }
    }

    fn compress(&mut self) -> Result<Bytes, ParquetError> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        self.compressor
            .compress_to_buffer(&self.plain, &mut self.packed)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(Bytes::copy_from_slice(&self.packed))
    }
}

/// Appends flags in Parquet's plain form: a bit each, the first in the lowest.
fn put_bits(flags: &Runs<bool>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + flags.len().div_ceil(8), 0);
    let bits = &mut out[start..];
    let mut at = 0;
    for (flag, times) in flags.iter() {
        if flag {
            for bit in at..at + times {
                bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        at += times;
    }
}

/// Appends a text in Parquet's plain form.
pub(super) fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

/// Least and greatest number; `None` without any.
fn extremes(numbers: &[i64]) -> Option<(i64, i64)> {
    let &first = numbers.first()?;
    Some(numbers.iter().fold((first, first), |(least, most), &number| (least.min(number), most.max(number))))
}

/// Least and greatest value and how many are missing, for readers that skip row groups.
fn statistics(column: &ColumnRows, numbers: Numbers<'_>, about: &ColumnDescPtr) -> Statistics {
    let nulls = Some(column.nulls as u64);
    match &column.values {
        Values::Steps(values) => {
            let is_unsigned =
                matches!(about.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed);
            // Unsigned numbers compare as such: flipping the sign bit makes their order the signed one.
            let flip = if is_unsigned { i64::MIN } else { 0 };
            let min = values.values().map(|value| value ^ flip).min().map(|value| value ^ flip);
            let max = values.values().map(|value| value ^ flip).max().map(|value| value ^ flip);
            Statistics::int64(min, max, None, nulls, false)
        }
        Values::Integers(_) => {
            let (min, max) = numbers.extremes.unzip();
            let scaled = |number: Option<i64>| number.map(|number| number * numbers.step);
            Statistics::int64(scaled(min), scaled(max), None, nulls, false)
        }
        Values::Floats(values) => {
            let numbers = || values.iter().copied().filter(|value| !value.is_nan());
            Statistics::double(numbers().reduce(f64::min), numbers().reduce(f64::max), None, nulls, false)
        }
        Values::Flags(values) => Statistics::boolean(values.values().min(), values.values().max(), None, nulls, false),
        Values::Words(words) => {
            let text = |word: Option<&Box<[u8]>>| word.map(|word| ByteArray::from(word.to_vec()));
            let (min, max) = (words.known.iter().min(), words.known.iter().max());
            Statistics::byte_array(text(min), text(max), None, nulls, false)
        }
        Values::Texts(_) => Statistics::byte_array(None, None, None, nulls, false),
    }
}
