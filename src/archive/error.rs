//! Why an archive could not be made.

use std::io;
use std::path::{Path, PathBuf};

use crate::journal::JournalError;

/// A conversion that stopped. Files finished before are whole and stay; nothing unfinished has a final name.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system refused an operation on the archive.
    #[error("{}: cannot {what}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The Parquet writer refused; a full disk shows here too.
    #[error("{}: cannot write the table: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The writer's answer.
        source: parquet::errors::ParquetError,
    },
    /// A record cannot be turned into rows.
    #[error("{}: {stream} stream, record {seq}: {why}", session.display())]
    Record {
        /// The session's folder.
        session: PathBuf,
        /// The stream.
        stream: &'static str,
        /// The record's number.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Files that are not of one market.
    #[error("{}: the archive's files are of different {what}", path.display())]
    Mixed {
        /// The first file that differs.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A symbol that cannot name a folder.
    #[error("the symbol `{symbol}` cannot name a folder")]
    Symbol {
        /// The symbol.
        symbol: String,
    },
}

impl ArchiveError {
    /// Wraps the system's answer with what was tried and where.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
        let path = path.to_owned();
        move |source| ArchiveError::Io { what, path, source }
    }
}
