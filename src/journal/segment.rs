//! Where a segment lies: folder and file names, and nothing else.

use std::path::{Path, PathBuf};

use crate::wire::Stream;

/// Ending of a segment's name.
const EXTENSION: &str = "tlj";

/// The folder of a lane: `feed`, `quote`, `gateway`, and `gateway-2`, `gateway-3`, … for further gateways.
pub(super) fn lane_folder(session_dir: &Path, stream: Stream, lane: u16) -> PathBuf {
    match lane {
        0 => session_dir.join(stream.name()),
        _ => session_dir.join(format!("{}-{}", stream.name(), lane + 1)),
    }
}

/// The file of a segment in its lane's folder.
pub(super) fn segment_file(lane_folder: &Path, number: u32) -> PathBuf {
    lane_folder.join(format!("{number:06}.{EXTENSION}"))
}

/// The file of a segment that is still being prepared. Readers do not look at it.
pub(super) fn unfinished_file(lane_folder: &Path, number: u32) -> PathBuf {
    lane_folder.join(format!("{number:06}.{EXTENSION}.new"))
}

/// The number in a segment's name; `None` for any other file.
pub(super) fn segment_number(file: &Path) -> Option<u32> {
    if file.extension()? != EXTENSION {
        return None;
    }
    let stem = file.file_stem()?.to_str()?;
    (stem.len() >= 6 && stem.bytes().all(|byte| byte.is_ascii_digit())).then(|| stem.parse().ok()).flatten()
}
