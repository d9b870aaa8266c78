//! Failures of what is written: the journal, the report, the output folder.
//!
//! Owns the sentences; the errors themselves are floor 3's. Called by every verb that writes.

use std::path::{Path, PathBuf};

use super::failure::{Failure, exit};
use crate::journal::JournalError;
use crate::report::ReportError;

/// A journal that could not be written, as a coded sentence.
pub fn journal_failure(error: JournalError) -> Failure {
    match error {
        JournalError::NoSpace { .. } => Failure::new(
            "E_OUT_002",
            exit::OUTPUT,
            error.to_string(),
            "the disk, or the quota, is full; what was journaled before is kept",
            "free space, or set journal.dir or --out to another disk",
        ),
        JournalError::Exists { .. } => Failure::new(
            "E_OUT_003",
            exit::OUTPUT,
            error.to_string(),
            "a session never writes over another one",
            "give another folder with --out, or move the old session away",
        ),
        _ => Failure::new(
            "E_OUT_001",
            exit::OUTPUT,
            error.to_string(),
            "the journal cannot be written there",
            "give a folder that can be written with --out or journal.dir",
        ),
    }
}

/// What a thread says that touches a part of a mapped file that is gone. Made before it happens: nothing can be put
/// together then.
const FILE_CUT: &str = "E_OUT_004: a mapped file was cut, or its disk failed, while it was in use. Somebody else truncated a \
                        segment, or the disk refused to read one. What was journaled before is kept, but own orders may be \
                        open: start again, which cancels them.\n";

/// From here on such a touch ends the program with that line and exit code 5.
pub fn guard_mapped_files() {
    // Without the handler the program is no worse off than all that map files.
    let _ = crate::journal::end_on_sigbus(FILE_CUT, exit::OUTPUT);
}

/// A report file that could not be written, as a coded sentence.
pub fn report_failure(error: ReportError) -> Failure {
    write_failure(&error.path, &error.source)
}

/// A file or folder that could not be written, as a coded sentence.
pub fn write_failure(path: &Path, error: &std::io::Error) -> Failure {
    if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
        return Failure::new(
            "E_OUT_002",
            exit::OUTPUT,
            format!("{}: {error}", path.display()),
            "the disk, or the quota, is full; what was written before is kept",
            "free space, or give a folder on another disk with --out",
        );
    }
    Failure::new(
        "E_OUT_001",
        exit::OUTPUT,
        format!("{}: {error}", path.display()),
        "the output cannot be written there",
        "give a folder that can be written with --out or journal.dir",
    )
}

/// A folder of that kind under `touchline-out` that does not exist yet: the first free number, so that names stay short
/// and sort by age.
pub fn new_folder(kind: &str) -> PathBuf {
    let parent = PathBuf::from("touchline-out");
    (1..).map(|number| parent.join(format!("{kind}-{number:04}"))).find(|path| !path.exists()).unwrap_or(parent)
}

/// Makes a folder with its parents and proves that it can be written.
///
/// # Errors
/// When it cannot.
pub fn writable_folder(path: &Path) -> Result<(), Failure> {
    let probe = path.join(".touchline-probe");
    std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, b"probe"))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| write_failure(path, &error))
}
