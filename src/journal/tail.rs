//! The page that a writer is in, kept in a file beside the segments.
//!
//! A sync of the page itself would make it clean, and the hot thread would fault on its next write to it. So the keeper
//! syncs whole pages only, and writes what the last one holds so far to this file: to its two slots in turn, so that a
//! torn write leaves the other. A slot also says how far the stream was on the disk: what lies before that is never lost
//! to a power cut, and what lies after it may be, page by page and in any order.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};

use super::error::JournalError;
use super::format::SegmentId;

/// Name of the file in a lane's folder.
pub(super) const TAIL_FILE: &str = "tail";
/// Bytes of a page, which is what a slot keeps at most.
pub(super) const PAGE: usize = 4096;

const MAGIC: u32 = u32::from_le_bytes(*b"TAIL");
const HEAD: usize = size_of::<Head>();
/// From slot to slot: on pages of their own, so that a torn write of one does not reach the other.
const SLOT: usize = 2 * PAGE;

/// A slot's first bytes; the page's follow.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Head {
    magic: u32,
    /// Of the segment.
    number: u32,
    /// Of the page in the segment.
    offset: u64,
    /// Bytes of the page that were written.
    len: u32,
    unused: [u32; 10],
    /// Of all before it, then the page's bytes, started with the segment's seed.
    crc: u32,
}

impl Head {
    fn crc_with(&self, seed: u32, page: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(seed, &bytemuck::bytes_of(self)[..HEAD - 4]), page)
    }
}

/// The file, as its keeper has it.
#[derive(Debug)]
pub(super) struct TailFile {
    file: File,
    path: PathBuf,
    turn: u64,
    buffer: Vec<u8>,
}

impl TailFile {
    /// Makes the file in a lane's folder, with both slots empty.
    pub(super) fn create(folder: &Path) -> Result<TailFile, JournalError> {
        let path = folder.join(TAIL_FILE);
        let made = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|file| {
            file.write_all_at(&[0; 2 * SLOT], 0)?;
            file.sync_all().map(|()| file)
        });
        let file = made.map_err(JournalError::io("make the tail's file", &path))?;
        Ok(TailFile { file, path, turn: 0, buffer: Vec::with_capacity(HEAD + PAGE) })
    }

    /// Keeps the first `len` bytes of the page at `offset` of a segment, durably. `read` gives them.
    pub(super) fn keep(
        &mut self,
        segment: SegmentId,
        offset: usize,
        len: usize,
        read: impl FnOnce(&mut [u8]),
    ) -> Result<(), JournalError> {
        self.buffer.resize(HEAD + len, 0);
        let (head_bytes, page) = self.buffer.split_at_mut(HEAD);
        read(page);
        let mut head = Head {
            magic: MAGIC,
            number: segment.number,
            offset: offset as u64,
            len: len as u32,
            unused: [0; 10],
            crc: 0,
        };
        head.crc = head.crc_with(segment.crc_seed(), page);
        head_bytes.copy_from_slice(bytemuck::bytes_of(&head));
        self.turn ^= 1;
        self.file
            .write_all_at(&self.buffer, self.turn * SLOT as u64)
            .and_then(|()| self.file.sync_data())
            .map_err(JournalError::io("sync the tail's file", &self.path))
    }

    /// Removes the file: its stream is sealed.
    pub(super) fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(JournalError::io("remove the tail's file", &self.path))
    }
}

/// What a slot kept.
#[derive(Debug)]
pub(super) struct KeptPage {
    /// Of the segment.
    pub number: u32,
    /// Of the page in the segment.
    pub offset: usize,
    /// What was written of it.
    pub bytes: Vec<u8>,
}

impl KeptPage {
    /// Segment and offset before which everything was on the disk.
    pub(super) fn synced_to(&self) -> (u32, usize) {
        (self.number, self.offset + self.bytes.len())
    }
}

/// The whole slots of a lane's tail, the newest last. `lane` is any segment of the lane.
pub(super) fn kept_pages(folder: &Path, lane: SegmentId) -> Vec<KeptPage> {
    let Ok(file) = std::fs::read(folder.join(TAIL_FILE)) else { return Vec::new() };
    let mut kept: Vec<KeptPage> = file.chunks(SLOT).filter_map(|slot| kept_page(slot, lane)).collect();
    kept.sort_by_key(KeptPage::synced_to);
    kept
}

fn kept_page(slot: &[u8], lane: SegmentId) -> Option<KeptPage> {
    let head: Head = bytemuck::pod_read_unaligned(slot.get(..HEAD)?);
    let len = head.len as usize;
    if head.magic != MAGIC || len > PAGE {
        return None;
    }
    let page = slot.get(HEAD..HEAD + len)?;
    let segment = SegmentId { number: head.number, ..lane };
    (head.crc == head.crc_with(segment.crc_seed(), page)).then(|| KeptPage {
        number: head.number,
        offset: head.offset as usize,
        bytes: page.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SessionId;
    use crate::wire::Stream;

    #[test]
    fn a_torn_slot_leaves_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let segment = SegmentId { session: SessionId(9), stream: Stream::Feed, lane: 0, number: 3 };
        let mut tail = TailFile::create(dir.path()).unwrap();
        assert!(kept_pages(dir.path(), segment).is_empty());
        tail.keep(segment, 8192, 100, |page| page.fill(1)).unwrap();
        tail.keep(segment, 8192, 200, |page| page.fill(1)).unwrap();
        let ends = || kept_pages(dir.path(), segment).iter().map(KeptPage::synced_to).collect::<Vec<_>>();
        assert_eq!(ends(), [(3, 8292), (3, 8392)]);
        // The third write goes over the first; torn at each of its bytes it leaves the second.
        let path = dir.path().join(TAIL_FILE);
        let before = std::fs::read(&path).unwrap();
        tail.keep(segment, 12288, 64, |page| page.fill(2)).unwrap();
        let after = std::fs::read(&path).unwrap();
        assert_eq!(ends(), [(3, 8392), (3, 12352)]);
        let changed = (0..after.len()).filter(|&at| before[at] != after[at]).map(|at| at + 1);
        for cut in changed.clone() {
            let torn = [&after[..cut], &before[cut..]].concat();
            std::fs::write(&path, torn).unwrap();
            let whole = Some(cut) == changed.clone().next_back();
            assert_eq!(ends().len(), if whole { 2 } else { 1 }, "cut at {cut}");
        }
        let elsewhere = SegmentId { session: SessionId(10), ..segment };
        assert!(kept_pages(dir.path(), elsewhere).is_empty(), "another session's file");
    }
}
