//! What may go wrong with a journal on disk, always with the file it happened to.

use std::io;
use std::path::{Path, PathBuf};

use super::reader::Damage;

/// A journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused an operation.
    #[error("{}: cannot {what}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The disk has no room for another segment. Nothing was left behind.
    #[error("{}: no room for a segment of {wanted_bytes} bytes", path.display())]
    NoSpace {
        /// The segment that could not be made.
        path: PathBuf,
        /// Its size.
        wanted_bytes: u64,
    },
    /// A session of that name has been written already.
    #[error("{}: a session of that name exists already", path.display())]
    Exists {
        /// The session's folder.
        path: PathBuf,
    },
    /// The configuration asks for segments that cannot be.
    #[error("segments of {bytes} bytes: need a multiple of 4096 from 8192 to 4294963200")]
    SegmentSize {
        /// The size asked for.
        bytes: u64,
    },
    /// The path is not a session's folder.
    #[error("{}: not a session's folder: {why}", path.display())]
    NotASession {
        /// The path given.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// The session file cannot be understood.
    #[error("{}: {why}", path.display())]
    SessionFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        why: String,
    },
    /// The journal was written by a version that this one cannot read.
    #[error("{}: format version {found}, this build reads {known}", path.display())]
    Version {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A segment's header is damaged or belongs elsewhere.
    #[error("{}: {why}", path.display())]
    Segment {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A record, or a run of them, is damaged although records follow, or although the segment was sealed whole.
    #[error("{0}")]
    Corrupt(Damage),
}

impl JournalError {
    /// Wraps the system's answer with what was tried and where.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |source| JournalError::Io { what, path, source }
    }
}
