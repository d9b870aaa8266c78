//! The manifest: which segments a session has left, how long they are, which records they hold, and a digest of each.
//!
//! Written when the journal is closed, from what each sealed file says about itself; [`verify`] reads the files again
//! and tells every difference. A checksum in a record shows that the record is damaged; the manifest shows that a file
//! is missing, was exchanged as a whole, or has grown. It is read by nobody who replays: a journal without one is whole.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::error::JournalError;
use super::format::{HEADER_BYTES, Opened, Prepared, Sealed};
use super::reader::read_page;
use super::segment::{lane_folder, segment_number};
use super::session::write_json;
use crate::wire::Stream;

/// Name of the manifest in the session's folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// One sealed segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    /// Path in the session's folder, with `/`.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// XXH3-128 of all its bytes, 32 hexadecimal digits.
    pub xxh3: String,
    /// Number of its first record.
    pub first_seq: u64,
    /// Number of its last record; the first one's minus one when it holds none.
    pub last_seq: u64,
}

/// What a closed session has left on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The session's number.
    pub session: u64,
    /// All sealed segments, by stream, lane and number.
    pub files: Vec<ManifestEntry>,
}

/// A file that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Path in the session's folder.
    pub file: String,
    /// What differs, with both values.
    pub what: String,
}

impl Manifest {
    /// Reads all sealed segments of a session and describes them.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn of(session_dir: &Path, session: u64) -> Result<Manifest, JournalError> {
        let mut files = Vec::new();
        for path in segments(session_dir)? {
            if let Some(entry) = describe(session_dir, &path)? {
                files.push(entry);
            }
        }
        Ok(Manifest { session, files })
    }

    /// Reads a session's manifest; `None` when it has none, as after a kill.
    ///
    /// # Errors
    /// When it is there but cannot be understood.
    pub fn read(session_dir: &Path) -> Result<Option<Manifest>, JournalError> {
        let path = session_dir.join(MANIFEST_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("read", &path)(error)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| JournalError::SessionFile { path, why: error.to_string() })
    }

    /// Writes it, durably and whole or not at all.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, session_dir: &Path) -> Result<(), JournalError> {
        write_json(session_dir, MANIFEST_FILE, self)
    }
}

/// Reads all segments again and compares them with the manifest. `None` when there is no manifest; otherwise every
/// difference, in the manifest's order, then files that it does not know.
///
/// # Errors
/// When the manifest cannot be understood, or a file cannot be read at all.
pub fn verify(session_dir: &Path) -> Result<Option<Vec<Mismatch>>, JournalError> {
    let Some(manifest) = Manifest::read(session_dir)? else { return Ok(None) };
    let mut differ = Vec::new();
    let mut found = segments(session_dir)?;
    for entry in &manifest.files {
        let path = session_dir.join(&entry.file);
        let mut tell = |what: String| differ.push(Mismatch { file: entry.file.clone(), what });
        let Some(at) = found.iter().position(|other| *other == path) else {
            tell("the file is missing".to_owned());
            continue;
        };
        found.remove(at);
        let bytes = path.metadata().map_err(JournalError::io("size the segment", &path))?.len();
        if bytes != entry.bytes {
            tell(format!("it has {bytes} bytes, {} are listed", entry.bytes));
            continue;
        }
        let digest = digest(&path)?;
        if digest != entry.xxh3 {
            tell(format!("its digest is {digest}, {} is listed", entry.xxh3));
        }
    }
    for path in found {
        differ.push(Mismatch { file: relative(session_dir, &path), what: "the manifest does not know it".to_owned() });
    }
    Ok(Some(differ))
}

/// Every segment's file, by stream, lane and number.
pub(super) fn segments(session_dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut paths = Vec::new();
    for stream in Stream::ALL {
        for lane in 0..u16::MAX {
            let folder = lane_folder(session_dir, stream, lane);
            if !folder.is_dir() {
                break;
            }
            let mut of_lane = Vec::new();
            for entry in std::fs::read_dir(&folder).map_err(JournalError::io("list", &folder))? {
                let path = entry.map_err(JournalError::io("list", &folder))?.path();
                if let Some(number) = segment_number(&path) {
                    of_lane.push((number, path));
                }
            }
            of_lane.sort();
            paths.extend(of_lane.into_iter().map(|(_, path)| path));
        }
    }
    Ok(paths)
}

/// The entry of a sealed segment; `None` for one that is not sealed, whose reader finds its end by itself.
fn describe(session_dir: &Path, path: &Path) -> Result<Option<ManifestEntry>, JournalError> {
    let page = read_page(path)?;
    let bad = |why| JournalError::Segment { path: path.to_owned(), why };
    if page.len() < HEADER_BYTES {
        return Ok(None);
    }
    let Some(id) = Prepared::read(&page).ok().and_then(|part| part.id()) else { return Ok(None) };
    let (Some(opened), Some(sealed)) =
        (Opened::read(&page, id.crc_seed()).map_err(bad)?, Sealed::read(&page, id.crc_seed()).map_err(bad)?)
    else {
        return Ok(None);
    };
    Ok(Some(ManifestEntry {
        file: relative(session_dir, path),
        bytes: sealed.used_bytes,
        xxh3: digest(path)?,
        first_seq: opened.first_seq,
        last_seq: sealed.last_seq,
    }))
}

fn relative(session_dir: &Path, path: &Path) -> String {
    path.strip_prefix(session_dir).unwrap_or(path).display().to_string()
}

/// XXH3-128 of a file, read in pieces: a segment may be larger than what memory should hold.
fn digest(path: &Path) -> Result<String, JournalError> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).map_err(JournalError::io("open the segment", path))?;
    let mut piece = vec![0_u8; 1 << 20];
    let mut hash = Xxh3::new();
    loop {
        match file.read(&mut piece).map_err(JournalError::io("read the segment", path))? {
            0 => return Ok(format!("{:032x}", hash.digest128())),
            count => hash.update(&piece[..count]),
        }
    }
}
