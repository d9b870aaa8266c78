//! Lines of files that continue each other, plain or compressed with gzip or zstd, with the place of each.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::ImportError;

/// No message of any format comes near this; a longer line is a binary file's.
const LINE_MAX: u64 = 16 << 20;

/// First bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// First bytes of a zstd file.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads line after line, file after file.
pub(super) struct Lines {
    files: Vec<PathBuf>,
    /// The file after the open one.
    next_file: usize,
    open: Option<Box<dyn BufRead + Send>>,
    line: Vec<u8>,
    /// Number of the last line read in its file, from 1.
    number: u64,
    /// Lines read in all files.
    total: u64,
}

impl Lines {
    pub(super) fn new(files: &[PathBuf]) -> Lines {
        Lines { files: files.to_vec(), next_file: 0, open: None, line: Vec::new(), number: 0, total: 0 }
    }

    /// Goes to the next line that is not empty; `false` after the last.
    pub(super) fn advance(&mut self) -> Result<bool, ImportError> {
        loop {
            if self.open.is_none() {
                let Some(file) = self.files.get(self.next_file) else { return Ok(false) };
                self.open = Some(open(file)?);
                self.next_file += 1;
                self.number = 0;
            }
            let Some(reader) = &mut self.open else { continue };
            self.line.clear();
            let read = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.line);
            self.number += 1;
            match read {
                Ok(0) => self.open = None,
                Ok(_) => {
                    if self.line.len() as u64 == LINE_MAX {
                        return Err(self.error("the line is longer than 16 MiB: this is no text"));
                    }
                    while self.line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                        self.line.pop();
                    }
                    if !self.line.is_empty() {
                        self.total += 1;
                        return Ok(true);
                    }
                }
                // A compressed file that was cut, or whose checksum is wrong, shows itself while it is read.
                Err(cause) => return Err(self.error(format!("the file cannot be read any further: {cause}"))),
            }
        }
    }

    /// The line, without its end.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// The file that the line is in.
    fn file(&self) -> &Path {
        self.next_file.checked_sub(1).map_or(Path::new(""), |at| &self.files[at])
    }

    /// Place of that file in the list.
    pub(super) fn file_index(&self) -> usize {
        self.next_file.saturating_sub(1)
    }

    /// Whether the line is the first of its file.
    pub(super) fn starts_file(&self) -> bool {
        self.number == 1
    }

    /// Lines read in all files.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// An error at the line.
    pub(super) fn error(&self, why: impl Into<String>) -> ImportError {
        ImportError::Line {
            file: self.file().to_owned(),
            line: self.number,
            why: why.into(),
            good_lines: self.total.saturating_sub(u64::from(!self.line.is_empty())),
        }
    }
}

fn open(file: &Path) -> Result<Box<dyn BufRead + Send>, ImportError> {
    let failed = |cause| ImportError::Io { file: file.to_owned(), cause };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(file).map_err(failed)?);
    let start = reader.fill_buf().map_err(failed)?;
    if start.is_empty() {
        return Err(ImportError::Format { file: file.to_owned(), why: "the file is empty".to_owned() });
    }
    if start.starts_with(&GZIP) {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader))));
    }
    if start.starts_with(&ZSTD) {
        let decoder = zstd::Decoder::with_buffer(reader).map_err(failed)?;
        return Ok(Box::new(BufReader::with_capacity(1 << 16, decoder)));
    }
    Ok(Box::new(reader))
}
