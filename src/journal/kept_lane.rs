//! One lane as its keeper sees it: the segments that its writer has or will get, and how far each is on the disk.
//!
//! The rule that keeps the hot thread out of the kernel: nothing that it may still write is ever cleaned. Memory comes in
//! large pages where the system has them, and is cleaned in whole ones, so all that is done here goes by grains of that
//! size: those behind the cursor are let go and synced; the one under it goes to the disk as a copy, in the lane's tail;
//! those ahead are touched, and touched again near the cursor, because the system itself writes out what has been dirty
//! for half a minute.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Consumer, Producer};

use super::error::JournalError;
use super::format::{HEADER_BYTES, PREPARED_AT, Prepared, SEALED_AT, Sealed, SegmentId};
use super::keeper::sync_folder;
use super::lane::JournalConfig;
use super::mapping::{PAGE, SegmentMap, grain_of};
use super::segment::{segment_file, unfinished_file};
use super::tail::TailFile;
use super::writer::{FullSegment, JournalWriter, ReadySegment, Shared};
use crate::types::{DurationNs, TimestampNs};

/// Bytes touched ahead in one piece. The first piece of a large page makes all of it present, which takes some 0.3 ms of a
/// core that somebody else may be waiting for; where pages are small, each takes microseconds.
const PIECE: usize = 128 << 10;
/// The same when three quarters of what was touched ahead are used up, or the writer is near.
const LATE_PIECE: usize = 512 << 10;
/// What the writer must have ahead of it, whatever else waits: some tens of milliseconds of a fast one.
const URGENT: usize = 256 << 10;
/// Bytes that are touched again, and how often. Only a slow writer comes to pages that were touched so long ago that the
/// system has written them out; a busy one is far ahead of that.
const NEAR: usize = 256 << 10;
const NEAR_INTERVAL: DurationNs = DurationNs::from_millis(200);
/// The same for a segment that waits for its writer, and for a writer that has nothing to say.
const WAITING_INTERVAL: DurationNs = DurationNs::from_secs(1);

/// A segment that the writer has or will get.
#[derive(Debug)]
struct LiveSegment {
    map: Arc<SegmentMap>,
    id: SegmentId,
    /// Up to there pages were touched.
    populated: usize,
    /// Up to there whole grains are on the disk.
    synced: usize,
    /// Up to there every byte is on the disk, in the segment or in the tail.
    kept: usize,
    touched_at: TimestampNs,
    /// Where the writer was then.
    touched_from: usize,
    opened_at: TimestampNs,
    /// A sync of it failed: nobody knows what of it is on the disk, and asking again would be told that all is well.
    doubtful: bool,
}

impl LiveSegment {
    /// Touches what is near the writer's place where that was never touched; returns whether there was any.
    fn touch_urgent(&mut self, used: usize, ahead: usize) -> Result<bool, JournalError> {
        let is_urgent = self.populated < (used + URGENT).min(self.map.len());
        if is_urgent {
            self.touch_to(self.wanted(used, ahead).min(self.populated + LATE_PIECE))?;
        }
        Ok(is_urgent)
    }

    /// Touches what is near the writer's place again and again: soon where it has gone on.
    fn touch_again(&mut self, used: usize, now: TimestampNs) -> Result<(), JournalError> {
        let every = if used == self.touched_from { WAITING_INTERVAL } else { NEAR_INTERVAL };
        if now.since(self.touched_at) >= every {
            self.map.populate(page_down(used), self.populated.min(page_up(used + NEAR)))?;
            (self.touched_at, self.touched_from) = (now, used);
        }
        Ok(())
    }

    /// Touches a piece of what is far ahead, once half of that was used up, and with it what came along in the same large
    /// page. Returns whether there was any.
    fn touch_far(&mut self, used: usize, ahead: usize) -> Result<bool, JournalError> {
        let wanted = self.wanted(used, ahead);
        let is_due = wanted > self.populated + ahead / 2 || (wanted == self.map.len() && self.populated < wanted);
        if is_due {
            let is_late = wanted > self.populated + ahead / 4 * 3;
            self.touch_to(wanted.min(self.populated + if is_late { LATE_PIECE } else { PIECE }))?;
            let grain_end = self.populated.next_multiple_of(self.map.grain()).min(self.map.len());
            if self.map.is_present(grain_end - PAGE) {
                self.touch_to(grain_end)?;
            }
        }
        Ok(is_due)
    }

    fn wanted(&self, used: usize, ahead: usize) -> usize {
        (used + ahead).next_multiple_of(self.map.grain()).min(self.map.len())
    }

    fn touch_to(&mut self, to: usize) -> Result<(), JournalError> {
        self.map.populate(self.populated, to)?;
        self.populated = to;
        Ok(())
    }

    /// Brings all that was written up to `used` to the disk, and never cleans the grain that is being written.
    fn sync(&mut self, used: usize, tail: &mut TailFile) -> Result<(), JournalError> {
        let whole = used - used % self.map.grain();
        let synced = self.sync_grains(whole).and_then(|()| {
            tail.keep(self.id, whole, used, |from, bytes| self.map.read(from, bytes))?;
            self.kept = used;
            Ok(())
        });
        self.doubtful |= synced.is_err();
        synced
    }

    fn sync_grains(&mut self, whole: usize) -> Result<(), JournalError> {
        if whole > self.synced {
            self.map.let_go(self.synced, whole);
            self.map.sync_range(self.synced, whole)?;
            self.synced = whole;
        }
        Ok(())
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct KeptLane {
    /// Of the segment that is made next.
    next: SegmentId,
    folder: PathBuf,
    config_digest: u64,
    ready: Producer<ReadySegment>,
    full: Consumer<FullSegment>,
    shared: Arc<Shared>,
    /// Oldest first.
    live: VecDeque<LiveSegment>,
    /// Absent where nothing is synced before it is sealed.
    tail: Option<TailFile>,
    synced_at: TimestampNs,
}

impl KeptLane {
    /// Makes a lane's folder, its first segment and one more, and its writer.
    pub(super) fn create(
        config: &JournalConfig,
        first: SegmentId,
        folder: PathBuf,
        config_digest: u64,
    ) -> Result<(KeptLane, JournalWriter), JournalError> {
        std::fs::create_dir(&folder).map_err(JournalError::io("create the folder", &folder))?;
        let (ready_in, ready_out) = rtrb::RingBuffer::new(2);
        // More than are ever in flight: one with the writer, two ready, and those just given back.
        let (full_in, full_out) = rtrb::RingBuffer::new(8);
        let shared = Arc::new(Shared::new());
        let tail =
            config.sync_interval.map(|_| TailFile::create(&folder, grain_of(config.segment_bytes))).transpose()?;
        let mut lane = KeptLane {
            next: first,
            folder,
            config_digest,
            ready: ready_in,
            full: full_out,
            shared: Arc::clone(&shared),
            live: VecDeque::with_capacity(4),
            tail,
            synced_at: TimestampNs::ZERO,
        };
        let segment = lane.prepare(config)?;
        lane.prepare_if_due(config)?;
        Ok((lane, JournalWriter::new(segment, ready_out, full_in, shared)))
    }

    /// Does what cannot wait, for the writer may be waiting for it; returns how much that was.
    pub(super) fn step(&mut self, config: &JournalConfig, now: TimestampNs) -> Result<usize, JournalError> {
        let (number, used, mut work) = self.catch_up()?;
        for waiting in self.live.iter_mut().filter(|segment| segment.id.number > number) {
            waiting.touch_again(0, now)?;
        }
        let Some(active) = self.live.iter_mut().find(|segment| segment.id.number == number) else { return Ok(work) };
        if active.opened_at == TimestampNs::ZERO {
            active.opened_at = now;
        }
        let old = config.roll_age.is_some_and(|age| now.since(active.opened_at) >= age);
        if old && used > HEADER_BYTES {
            self.shared.roll.store(true, Ordering::Relaxed);
        }
        work += usize::from(active.touch_urgent(used, config.ahead_bytes)?);
        active.touch_again(used, now)?;
        Ok(work)
    }

    /// The writer's segment and place, and how many segments before it have been sealed now, which are all that there
    /// are.
    fn catch_up(&mut self) -> Result<(u32, usize, usize), JournalError> {
        // Read before the ring: whatever is older than this segment is in the ring by now, and is sealed before the
        // tail says that all before its place is on the disk.
        let (number, used) = self.shared.read_position();
        let mut sealed = 0;
        while let Ok(full) = self.full.pop() {
            self.seal(full)?;
            sealed += 1;
        }
        Ok((number, used, sealed))
    }

    /// Brings what was written to the disk if that is due; returns whether it was.
    pub(super) fn sync_if_due(&mut self, config: &JournalConfig, now: TimestampNs) -> Result<bool, JournalError> {
        let (number, used, _) = self.catch_up()?;
        let active = self.live.iter_mut().find(|segment| segment.id.number == number);
        let due = config.sync_interval.is_some_and(|interval| now.since(self.synced_at) >= interval);
        let (true, Some(active), Some(tail)) = (due, active, &mut self.tail) else { return Ok(false) };
        if used == active.kept {
            return Ok(false);
        }
        active.sync(used, tail)?;
        self.synced_at = now;
        Ok(true)
    }

    /// Touches a piece of what is far ahead if that is due; returns whether it was.
    pub(super) fn touch_if_due(&mut self, config: &JournalConfig) -> Result<bool, JournalError> {
        let (number, used) = self.shared.read_position();
        let active = self.live.iter_mut().find(|segment| segment.id.number == number);
        active.map_or(Ok(false), |active| active.touch_far(used, config.ahead_bytes))
    }

    /// Makes the next segment and hands it to the writer, when none waits; returns how much that was.
    pub(super) fn prepare_if_due(&mut self, config: &JournalConfig) -> Result<usize, JournalError> {
        if self.ready.slots() < self.ready.buffer().capacity() {
            return Ok(0);
        }
        let segment = self.prepare(config)?;
        // There is room: nothing is in it.
        let _ = self.ready.push(segment);
        Ok(1)
    }

    fn prepare(&mut self, config: &JournalConfig) -> Result<ReadySegment, JournalError> {
        let id = self.next;
        let mut map = SegmentMap::create(&unfinished_file(&self.folder, id.number), config.segment_bytes)?;
        let header = Prepared::new(id, config.segment_bytes, self.config_digest);
        map.write_header_part(PREPARED_AT, bytemuck::bytes_of(&header));
        // A file of the final name is a segment, whatever happens to the power.
        map.sync_range(0, HEADER_BYTES)?;
        let populated = config.ahead_bytes.next_multiple_of(map.grain()).min(map.len());
        map.populate(0, populated)?;
        map.rename(&segment_file(&self.folder, id.number))?;
        sync_folder(&self.folder)?;
        let map = Arc::new(map);
        self.live.push_back(LiveSegment {
            map: Arc::clone(&map),
            id,
            populated,
            synced: 0,
            kept: HEADER_BYTES,
            touched_at: TimestampNs::ZERO,
            touched_from: 0,
            opened_at: TimestampNs::ZERO,
            doubtful: false,
        });
        self.next.number += 1;
        Ok(ReadySegment { map, number: id.number, crc_seed: id.crc_seed() })
    }

    /// Syncs, seals and cuts a segment that the writer has left. One whose sync has failed is never sealed: its end is
    /// found by its reader, record by record.
    fn seal(&mut self, full: FullSegment) -> Result<(), JournalError> {
        let doubtful = self.live.iter().any(|segment| segment.id.number == full.number && segment.doubtful);
        self.live.retain(|segment| segment.id.number != full.number);
        if doubtful {
            let path = full.map.path().to_owned();
            return Err(JournalError::Segment { path, why: "it stays unsealed, because a sync of it failed" });
        }
        let id = SegmentId { number: full.number, ..self.next };
        let used = full.used_bytes as u64;
        // Records first, then the word that says that they are all there. What was touched beyond them stays behind.
        full.map.sync_range(0, page_up(full.used_bytes))?;
        let sealed = Sealed::new(id.crc_seed(), full.last_seq, full.last_seq + 1 - full.first_seq, used);
        full.map.write_header_part(SEALED_AT, bytemuck::bytes_of(&sealed));
        full.map.truncate(used)?;
        full.map.sync()
    }

    /// Seals all when the writer is gone, and syncs otherwise.
    pub(super) fn close(&mut self) -> Result<(), JournalError> {
        // Read before the rings: a writer that is gone by now has put everything into them.
        let gone = self.shared.writer_gone.load(Ordering::Acquire);
        while let Ok(full) = self.full.pop() {
            self.seal(full)?;
        }
        let (number, used) = self.shared.read_position();
        let Some(active) = self.live.iter().find(|segment| segment.id.number == number) else { return Ok(()) };
        if !gone {
            let path = active.map.path().to_owned();
            return match active.doubtful {
                true => Err(JournalError::Segment { path, why: "a sync of it failed" }),
                false => active.map.sync(),
            };
        }
        let full = FullSegment {
            map: Arc::clone(&active.map),
            number,
            first_seq: self.shared.first_seq.load(Ordering::Acquire),
            last_seq: self.shared.last_seq.load(Ordering::Acquire),
            used_bytes: used,
        };
        let sealed = self.seal(full);
        for unused in self.live.drain(..) {
            let path = unused.map.path();
            std::fs::remove_file(path).map_err(JournalError::io("remove the unused segment", path))?;
        }
        if let (Ok(()), Some(tail)) = (&sealed, self.tail.take()) {
            // All that it keeps is in sealed segments now.
            tail.remove()?;
        }
        sync_folder(&self.folder).and(sealed)
    }
}

const fn page_up(bytes: usize) -> usize {
    bytes.div_ceil(PAGE) * PAGE
}

const fn page_down(bytes: usize) -> usize {
    bytes / PAGE * PAGE
}
