//! Reads a journal while its session writes it: each call gives the records committed since the last one.
//!
//! Looks at the files only through `read`, never through a mapping, so that neither the writer nor this reader can hurt
//! the other. A record is given when its commit word, lengths, checksum and number are all there; what is not yet whole
//! is looked at again with the next call. Used by `touchline inspect --follow`, from a cold process.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::JournalReader;
use super::error::JournalError;
use super::format::{FORMAT_VERSION, HEADER_BYTES, Opened, PartError, Prepared, Sealed, SegmentId};
use super::reader::{Checked, Damage, check, first_seq_of};
use super::segment::{lane_folder, segment_file};
use crate::wire::record::RawHeader;
use crate::wire::{Record, Stream, UNIT_BYTES, Unit};

/// Units read at once: 256 KiB, more than any record has but raw ones of exceptional size, for which it grows.
const WINDOW_UNITS: usize = 4096;

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    crc_seed: u32,
    offset: usize,
}

/// Follows one lane of a stream from its first record on.
#[derive(Debug)]
pub struct StreamFollower {
    id: SegmentId,
    folder: PathBuf,
    open: Option<Open>,
    next_seq: u64,
    window: Vec<Unit>,
}

impl StreamFollower {
    /// Follows a lane of a session that may be running. The first segment may have been retired: the oldest one that is
    /// there is where it begins.
    ///
    /// # Errors
    /// When the lane's folder cannot be listed.
    pub fn new(journal: &JournalReader, stream: Stream, lane: u16) -> Result<StreamFollower, JournalError> {
        let folder = lane_folder(journal.session_dir(), stream, lane);
        let first = journal.lane(stream, lane)?.first_number().unwrap_or(1);
        Ok(StreamFollower {
            id: SegmentId { session: journal.info().session_id(), stream, lane, number: first },
            folder,
            open: None,
            next_seq: 0,
            window: vec![Unit::default(); WINDOW_UNITS],
        })
    }

    /// Number of the last record given; 0 for none.
    pub fn last_seq(&self) -> u64 {
        self.next_seq.saturating_sub(1)
    }

    /// Gives every record committed since the last call, in order, and returns how many.
    ///
    /// # Errors
    /// When a file cannot be read, or holds damage that records follow.
    pub fn poll(&mut self, mut each: impl FnMut(&Record<'_>)) -> Result<u64, JournalError> {
        let mut given = 0;
        loop {
            if self.open.is_none() && !self.open_segment()? {
                return Ok(given);
            }
            // Asked before the records: a segment that has a successor by now gets no further record, so what is read
            // after this is all that it holds.
            let left = first_seq_of(&segment_file(&self.folder, self.id.number + 1));
            let now = self.take(&mut each)?;
            given += now;
            let Some(first_of_next) = left else { return Ok(given) };
            if first_of_next != self.next_seq {
                return Err(JournalError::Corrupt(self.damage(first_of_next)));
            }
            self.id.number += 1;
            self.open = None;
        }
    }

    /// Whether the lane was sealed and read to its end: nothing more can come.
    pub fn is_ended(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let mut page = vec![0_u8; HEADER_BYTES];
        if open.file.read_exact_at(&mut page, 0).is_err() {
            return false;
        }
        let sealed = Sealed::read(&page, open.crc_seed).ok().flatten();
        let next = first_seq_of(&segment_file(&self.folder, self.id.number + 1));
        next.is_none() && sealed.is_some_and(|sealed| sealed.last_seq + 1 == self.next_seq)
    }

    fn open_segment(&mut self) -> Result<bool, JournalError> {
        let path = segment_file(&self.folder, self.id.number);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(JournalError::io("open the segment", &path)(error)),
        };
        let bad = |why| JournalError::Segment { path: path.clone(), why };
        let mut page = vec![0_u8; HEADER_BYTES];
        file.read_exact_at(&mut page, 0).map_err(JournalError::io("read the segment", &path))?;
        match Prepared::read(&page) {
            Ok(part) if part.id() == Some(self.id) => {}
            Ok(_) => return Err(bad("the header names another session, stream or number")),
            Err(PartError::Version(found)) => {
                return Err(JournalError::Version { path, found, known: FORMAT_VERSION });
            }
            Err(_) => return Err(bad("the header is damaged")),
        }
        let crc_seed = self.id.crc_seed();
        // The opening part may be half written at this moment: then it is not there yet.
        let Ok(Some(opened)) = Opened::read(&page, crc_seed) else { return Ok(false) };
        self.next_seq = opened.first_seq;
        self.open = Some(Open { file, path, crc_seed, offset: HEADER_BYTES });
        Ok(true)
    }

    /// Gives the records of the open segment from the cursor on.
    fn take(&mut self, each: &mut impl FnMut(&Record<'_>)) -> Result<u64, JournalError> {
        let mut given = 0;
        while let Some(open) = &mut self.open {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.window);
            // The next commit word alone: most looks find nothing, and must not copy a window of zeros to learn that.
            let mut commit = [0_u8; 4];
            match open.file.read_exact_at(&mut commit, open.offset as u64) {
                Ok(()) if u32::from_le_bytes(commit) >> 16 != RawHeader::COMMITTED >> 16 => return Ok(given),
                // A file that ends here was sealed: the window tells.
                _ => {}
            }
            let mut filled = 0;
            while filled < bytes.len() {
                match open.file.read_at(&mut bytes[filled..], (open.offset + filled) as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(JournalError::io("read the segment", &open.path)(error)),
                }
            }
            let units = filled / UNIT_BYTES;
            let (mut at, mut whole) = (0, true);
            // `check` covers a record's place with its checksum, so the window is checked by its place in the file.
            while let Checked::Whole { units: length, seq } = check(&self.window, at, units, open.crc_seed, open.offset)
            {
                let record = Record::from_units(&self.window[at..at + length]);
                let (true, Ok(record)) = (seq == self.next_seq, record) else {
                    whole = false;
                    break;
                };
                each(&record);
                at += length;
                given += 1;
                self.next_seq += 1;
            }
            open.offset += at * UNIT_BYTES;
            if !whole {
                return Err(JournalError::Corrupt(self.damage(self.next_seq + 1)));
            }
            if at == 0 {
                // A record longer than the window: its length is in its commit word, at most 65535 units.
                let commit = self.window[0].0[0] as u32;
                let wanted = (commit & 0xFFFF) as usize;
                if commit >> 16 == RawHeader::COMMITTED >> 16 && wanted > self.window.len() {
                    self.window.resize(wanted, Unit::default());
                    continue;
                }
                break;
            }
        }
        Ok(given)
    }

    fn damage(&self, next: u64) -> Damage {
        let (file, offset) =
            self.open.as_ref().map_or((self.folder.clone(), 0), |open| (open.path.clone(), open.offset as u64));
        Damage {
            file,
            offset,
            seq: self.next_seq,
            bytes: 0,
            records: next.checked_sub(self.next_seq),
            why: "records follow, but none is whole here",
        }
    }
}
