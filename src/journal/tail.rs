//! The grain that a writer is in, kept in a file beside the segments.
//!
//! A sync of the grain itself would make it clean, and the hot thread would fault on its next write to it. So the keeper
//! syncs whole grains only, and appends what was written since to this file, an entry a sync. Entries that follow one
//! another from a grain's beginning are a chain; the file has two areas, and a new chain begins in the other one, so that a
//! torn write never takes anything that a sync has promised. Bytes of a segment never change once they are written: any
//! whole entry, of whichever chain, says what its segment has or had when the power went. It also says how far the stream
//! was on the disk: what lies before its end is never lost to a power cut, and what lies after it may be, page by page and
//! in any order.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};

use super::error::JournalError;
use super::format::SegmentId;
use super::mapping::PAGE;

/// Name of the file in a lane's folder.
pub(super) const TAIL_FILE: &str = "tail";

const MAGIC: u32 = u32::from_le_bytes(*b"TAIL");
const HEAD: usize = size_of::<Head>();
/// Pages of an area beyond those of a grain: a chain of many small entries has room, for each begins on a page of its
/// own, which no torn write of its neighbour reaches.
const SPARE_PAGES: usize = 64;

/// An entry's first bytes; the segment's follow.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Head {
    magic: u32,
    /// Of the segment.
    number: u32,
    /// Of the first byte in the segment.
    offset: u64,
    /// Bytes of the segment that follow.
    len: u32,
    unused: [u32; 10],
    /// Of all before it, then the bytes, started with the segment's seed.
    crc: u32,
}

impl Head {
    fn crc_with(&self, seed: u32, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(seed, &bytemuck::bytes_of(self)[..HEAD - 4]), bytes)
    }
}

/// Entries that follow one another.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// The segment, and where its first entry begins there.
    number: u32,
    start: usize,
    /// Where its last entry ends there.
    end: usize,
    /// Bytes of the area that it takes.
    taken: usize,
}

/// The file, as its keeper has it.
#[derive(Debug)]
pub(super) struct TailFile {
    file: File,
    path: PathBuf,
    area_bytes: usize,
    /// The area that is being filled: 0 or 1.
    area: usize,
    chain: Option<Chain>,
    buffer: Vec<u8>,
}

impl TailFile {
    /// Makes the file in a lane's folder, with both areas empty and real: a sync then has no metadata to bring to the
    /// disk.
    pub(super) fn create(folder: &Path, grain: usize) -> Result<TailFile, JournalError> {
        let path = folder.join(TAIL_FILE);
        let area_bytes = grain + SPARE_PAGES * PAGE;
        let made = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|file| {
            file.write_all_at(&vec![0; 2 * area_bytes], 0)?;
            file.sync_all().map(|()| file)
        });
        let file = made.map_err(JournalError::io("make the tail's file", &path))?;
        Ok(TailFile { file, path, area_bytes, area: 0, chain: None, buffer: Vec::new() })
    }

    /// Keeps what lies between `whole`, up to which the segment itself is on the disk, and `used`, durably. `read` gives
    /// the bytes from an offset on; those kept before are not asked for again.
    pub(super) fn keep(
        &mut self,
        segment: SegmentId,
        whole: usize,
        used: usize,
        read: impl FnOnce(usize, &mut [u8]),
    ) -> Result<(), JournalError> {
        let same = self.chain.filter(|chain| (chain.number, chain.start) == (segment.number, whole));
        let more = same.filter(|chain| chain.taken + pages_of(used - chain.end) <= self.area_bytes);
        let mut chain = more.unwrap_or_else(|| {
            self.area ^= 1;
            Chain { number: segment.number, start: whole, end: whole, taken: 0 }
        });
        self.buffer.resize(HEAD + used - chain.end, 0);
        let (head_bytes, bytes) = self.buffer.split_at_mut(HEAD);
        read(chain.end, bytes);
        let mut head = Head {
            magic: MAGIC,
            number: segment.number,
            offset: chain.end as u64,
            len: bytes.len() as u32,
            unused: [0; 10],
            crc: 0,
        };
        head.crc = head.crc_with(segment.crc_seed(), bytes);
        head_bytes.copy_from_slice(bytemuck::bytes_of(&head));
        self.file
            .write_all_at(&self.buffer, (self.area * self.area_bytes + chain.taken) as u64)
            .and_then(|()| self.file.sync_data())
            .map_err(JournalError::io("sync the tail's file", &self.path))?;
        chain.taken += pages_of(used - chain.end);
        chain.end = used;
        self.chain = Some(chain);
        Ok(())
    }

    /// Removes the file: its stream is sealed.
    pub(super) fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(JournalError::io("remove the tail's file", &self.path))
    }
}

/// Bytes that an entry of so many takes in the file.
fn pages_of(len: usize) -> usize {
    (HEAD + len).next_multiple_of(PAGE)
}

/// What an entry kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// Of the segment.
    pub number: u32,
    /// Of the first byte in the segment.
    pub offset: usize,
    /// What was written there.
    pub bytes: Vec<u8>,
}

impl Kept {
    /// Segment and offset before which everything was on the disk.
    pub(super) fn synced_to(&self) -> (u32, usize) {
        (self.number, self.offset + self.bytes.len())
    }
}

/// The whole entries of a lane's tail, the newest last. `lane` is any segment of the lane.
pub(super) fn kept(folder: &Path, lane: SegmentId) -> Vec<Kept> {
    let Ok(file) = std::fs::read(folder.join(TAIL_FILE)) else { return Vec::new() };
    let (mut all, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let entry = entry(&file[at..], lane);
        at += entry.as_ref().map_or(PAGE, |kept| pages_of(kept.bytes.len()));
        all.extend(entry);
    }
    all.sort_by_key(Kept::synced_to);
    all
}

fn entry(file: &[u8], lane: SegmentId) -> Option<Kept> {
    let head: Head = bytemuck::pod_read_unaligned(file.get(..HEAD)?);
    if head.magic != MAGIC {
        return None;
    }
    let bytes = file.get(HEAD..HEAD + head.len as usize)?;
    let segment = SegmentId { number: head.number, ..lane };
    (head.crc == head.crc_with(segment.crc_seed(), bytes)).then(|| Kept {
        number: head.number,
        offset: head.offset as usize,
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SessionId;
    use crate::wire::Stream;

    fn segment(number: u32) -> SegmentId {
        SegmentId { session: SessionId(9), stream: Stream::Feed, lane: 0, number }
    }

    /// What a segment holds at an offset.
    fn byte(number: u32, offset: usize) -> u8 {
        (offset as u32).wrapping_mul(2_654_435_761).wrapping_add(number).to_be_bytes()[0]
    }

    fn keep(tail: &mut TailFile, number: u32, whole: usize, used: usize) -> usize {
        let mut asked = 0;
        let read = |from: usize, bytes: &mut [u8]| {
            asked = bytes.len();
            (from..).zip(bytes).for_each(|(offset, byte_of)| *byte_of = byte(number, offset));
        };
        tail.keep(segment(number), whole, used, read).unwrap();
        asked
    }

    /// What the file tells of a segment, laid over one another; up to where it was synced.
    fn told(folder: &Path, number: u32, whole: usize) -> (u32, usize) {
        let all = kept(folder, segment(1));
        let Some(end) = all.last().map(Kept::synced_to) else { return (0, 0) };
        let mut there = vec![false; end.1.saturating_sub(whole)];
        for kept in all.iter().filter(|kept| kept.number == number) {
            for (offset, &found) in (kept.offset..).zip(&kept.bytes) {
                assert_eq!(found, byte(number, offset), "at {offset}");
                if let Some(place) = offset.checked_sub(whole).and_then(|at| there.get_mut(at)) {
                    *place = true;
                }
            }
        }
        assert!(end.0 != number || there.iter().all(|&there| there), "a hole before {end:?}");
        end
    }

    #[test]
    fn a_torn_entry_leaves_all_that_was_promised_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let grain = 4 * PAGE;
        let mut tail = TailFile::create(dir.path(), grain).unwrap();
        assert_eq!(told(dir.path(), 3, 0), (0, 0));
        // A chain that goes on, the next grain's, the next segment's, and one too long for its area: each entry torn at
        // many of its bytes leaves what the one before it promised.
        let mut steps =
            vec![(3, 0, 5_000), (3, 0, 5_064), (3, 0, grain - 64), (3, grain, grain + 4_200), (4, 0, 4_160)];
        steps.extend((1..190).map(|entry| (4, 0, 4_160 + entry * 64)));
        steps.push((4, grain, grain + 1_000));
        let (path, mut promised, mut asked) = (dir.path().join(TAIL_FILE), (0, 0, 0), 0);
        for &(number, whole, used) in &steps {
            let before = std::fs::read(&path).unwrap();
            asked += keep(&mut tail, number, whole, used);
            let after = std::fs::read(&path).unwrap();
            let changed: Vec<usize> = (0..after.len()).filter(|&at| before[at] != after[at]).map(|at| at + 1).collect();
            for &cut in changed.iter().step_by(changed.len() / 20 + 1) {
                std::fs::write(&path, [&after[..cut], &before[cut..]].concat()).unwrap();
                let end = told(dir.path(), promised.0, promised.1);
                let is_whole = end == (number, used) && Some(&cut) == changed.last();
                assert!(is_whole || end == (promised.0, promised.2), "{end:?} after a cut at {cut}");
            }
            std::fs::write(&path, &after).unwrap();
            promised = (number, whole, used);
            assert_eq!(told(dir.path(), number, whole), (number, used));
        }
        // 189 entries of a page each are three areas' worth: what was kept is written again twice, not 189 times.
        assert!(asked < 80_000, "{asked} bytes");
        assert!(
            kept(dir.path(), SegmentId { session: SessionId(10), ..segment(3) }).is_empty(),
            "another session's file"
        );
    }
}
