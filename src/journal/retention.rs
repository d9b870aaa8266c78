//! How long journals are kept: whole sessions are removed, oldest first, until what is left is young and small enough.
//!
//! Called before a new session's journal is made. A session is removed whole, because a replay needs it from its first
//! record; one that is being written is never touched, however large, which its writer's lock on the folder shows.
//! Only what the journal itself made is removed: a report or tables that lie beside it stay.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::error::JournalError;
use super::manifest::{MANIFEST_FILE, segments};
use super::session::{END_FILE, SESSION_FILE, SessionInfo};
use super::tail::TAIL_FILE;
use crate::types::{DurationNs, TimestampNs};

/// The session file's name once the removal has begun: the folder is no session any more, and a removal that was
/// interrupted is finished by the next one.
const RETIRED_FILE: &str = "session.json.retired";

/// What to keep. The default keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Most bytes on the disk of all sessions together.
    pub keep_bytes: Option<u64>,
    /// Greatest age of a session's last write.
    pub keep_age: Option<DurationNs>,
}

/// A session that may be removed.
struct Kept {
    folder: PathBuf,
    bytes: u64,
    written: TimestampNs,
}

/// Removes the sessions of a folder that are too old, then the oldest ones until the rest is small enough; their
/// folders, oldest first. Whatever is no session, and a session that is being written, is left alone; the latter counts
/// towards the size.
///
/// # Errors
/// When the folder cannot be listed or something in it not removed.
pub fn enforce(dir: &Path, retention: &Retention, now: TimestampNs) -> Result<Vec<PathBuf>, JournalError> {
    let mut removed = Vec::new();
    if *retention == Retention::default() || !dir.is_dir() {
        return Ok(removed);
    }
    let (mut idle, mut total) = (Vec::new(), 0_u64);
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let folder = entry.map_err(JournalError::io("list", dir))?.path();
        if folder.join(RETIRED_FILE).is_file() && !folder.join(SESSION_FILE).exists() {
            remove_streams(&folder)?;
            continue;
        }
        // A folder whose name is not its session's was put there by people.
        let named = folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        match SessionInfo::read(&folder) {
            Ok(info) if Some(info.session_id().to_string()) == named => {}
            _ => continue,
        }
        let mut kept = Kept { bytes: 0, written: TimestampNs::ZERO, folder };
        for path in segments(&kept.folder)? {
            let meta = path.metadata().map_err(JournalError::io("size the segment", &path))?;
            kept.bytes += meta.blocks() * 512;
            let written = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let written = TimestampNs::from_nanos(written.map_or(0, |since| since.as_nanos() as u64));
            kept.written = kept.written.max(written);
        }
        total += kept.bytes;
        let lock = File::open(&kept.folder).map_err(JournalError::io("open the folder", &kept.folder))?;
        if lock.try_lock().is_ok() {
            idle.push(kept);
        }
    }
    idle.sort_by(|one, two| one.written.cmp(&two.written).then_with(|| one.folder.cmp(&two.folder)));
    for kept in idle {
        let old = retention.keep_age.is_some_and(|age| now.since(kept.written) > age);
        let large = retention.keep_bytes.is_some_and(|most| total > most);
        if old || large {
            let session_file = kept.folder.join(SESSION_FILE);
            std::fs::rename(&session_file, kept.folder.join(RETIRED_FILE))
                .map_err(JournalError::io("rename", &session_file))?;
            remove_streams(&kept.folder)?;
            total -= kept.bytes;
            removed.push(kept.folder);
        }
    }
    Ok(removed)
}

/// Removes what the journal made in a retired session's folder, and the folder when nothing else is in it.
fn remove_streams(folder: &Path) -> Result<(), JournalError> {
    let mut lanes = Vec::new();
    for path in segments(folder)? {
        std::fs::remove_file(&path).map_err(JournalError::io("remove the segment", &path))?;
        lanes.extend(path.parent().map(Path::to_owned));
    }
    // A lane without segments, and lanes with a segment in the making, are left to whoever looks.
    lanes.dedup();
    for lane in lanes {
        let _ = std::fs::remove_file(lane.join(TAIL_FILE));
        let _ = std::fs::remove_dir(lane);
    }
    for name in [MANIFEST_FILE, END_FILE, RETIRED_FILE] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    let _ = std::fs::remove_dir(folder);
    Ok(())
}
