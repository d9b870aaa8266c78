//! Why a recording cannot be read.

use std::path::PathBuf;

/// What stopped the reading, and where.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No file was named.
    #[error("no recording was named")]
    Nothing,
    /// The file cannot be opened or read.
    #[error("{}: {cause}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is of no format that is known here.
    #[error("{}: {why}", file.display())]
    Format {
        /// Which file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// A line is not what the format says, or the file ends within it.
    #[error("{}:{line}: {why} ({good_lines} lines before it were fine)", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
        /// Lines that were fine before it, those of earlier files included.
        good_lines: u64,
    },
}
