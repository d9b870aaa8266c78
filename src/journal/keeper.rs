//! The cold end of all streams: prepares segments ahead of the writers, brings what they wrote to the disk, seals what
//! they have left.
//!
//! Stepped by the keeper thread, or by the writers' own thread where there is only one. Never touches a byte that a
//! writer may still write.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Consumer, Producer};

use super::error::JournalError;
use super::format::{HEADER_BYTES, PREPARED_AT, Prepared, SEALED_AT, Sealed, SegmentId};
use super::lane::JournalConfig;
use super::manifest::Manifest;
use super::mapping::SegmentMap;
use super::segment::{segment_file, unfinished_file};
use super::writer::{FullSegment, JournalWriter, ReadySegment, Shared};
use crate::types::TimestampNs;

/// Page size that ranges are rounded to.
const PAGE: usize = 4096;
/// Pages touched ahead of a quiet writer; a busy one gets eight times what it wrote since the last sync, at most
/// [`JournalConfig::ahead_bytes`]. Touched pages are written out with the next sync though still empty, so a quiet
/// stream must not touch many.
const AHEAD_LEAST: usize = 256 << 10;
/// Bytes written before their write-out is started without waiting for the next sync.
const WRITE_OUT_STEP: usize = 1 << 20;

#[derive(Debug)]
struct LiveSegment {
    map: Arc<SegmentMap>,
    number: u32,
    populated: usize,
    written_out: usize,
    synced: usize,
    opened_at: TimestampNs,
    /// A sync of it failed: nobody knows what of it is on the disk, and asking again would be told that all is well.
    doubtful: bool,
}

#[derive(Debug)]
pub(super) struct KeptLane {
    id: SegmentId,
    folder: PathBuf,
    config_digest: u64,
    ready: Producer<ReadySegment>,
    full: Consumer<FullSegment>,
    shared: Arc<Shared>,
    /// Segments that the writer has or will get, oldest first.
    live: VecDeque<LiveSegment>,
    ahead: usize,
    synced_at: TimestampNs,
}

/// Cares for the segments of all streams of a session. See the module's words.
#[derive(Debug)]
pub struct Keeper {
    config: JournalConfig,
    session_dir: PathBuf,
    session: u64,
    /// Held for as long as the session writes: a retention leaves such a folder alone.
    _lock: File,
    lanes: Vec<KeptLane>,
    failed: bool,
}

impl Keeper {
    pub(super) fn new(config: JournalConfig, session_dir: PathBuf, session: u64, lock: File) -> Keeper {
        Keeper { config, session_dir, session, _lock: lock, lanes: Vec::new(), failed: false }
    }

    /// Makes a lane's folder and first segment and returns its writer.
    pub(super) fn add_lane(
        &mut self,
        first: SegmentId,
        folder: PathBuf,
        config_digest: u64,
    ) -> Result<JournalWriter, JournalError> {
        std::fs::create_dir(&folder).map_err(JournalError::io("create the folder", &folder))?;
        let (ready_in, ready_out) = rtrb::RingBuffer::new(2);
        // More than are ever in flight: one with the writer, two ready, and those just given back.
        let (full_in, full_out) = rtrb::RingBuffer::new(8);
        let shared = Arc::new(Shared::new());
        let mut lane = KeptLane {
            id: first,
            folder,
            config_digest,
            ready: ready_in,
            full: full_out,
            shared: Arc::clone(&shared),
            live: VecDeque::with_capacity(4),
            ahead: AHEAD_LEAST.min(self.config.ahead_bytes),
            synced_at: TimestampNs::ZERO,
        };
        let segment = lane.prepare(&self.config)?;
        lane.prepare_next(&self.config)?;
        self.lanes.push(lane);
        Ok(JournalWriter::new(segment, ready_out, full_in, shared))
    }

    /// Does what is due and returns how much that was. Blocks while the disk does.
    ///
    /// # Errors
    /// When a segment cannot be made or synced. Writers go on in the segments that they have; the session must stop
    /// before those are full. What failed is not tried again.
    pub fn step(&mut self, now: TimestampNs) -> Result<usize, JournalError> {
        if self.failed {
            return Ok(0);
        }
        let mut work = 0;
        for lane in &mut self.lanes {
            match lane.step(&self.config, now) {
                Ok(done) => work += done,
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        Ok(work)
    }

    /// Seals every segment whose writer is gone and removes those that were prepared in vain. Drop the writers first: a
    /// segment whose writer lives is only synced, and readers will find its end by themselves.
    ///
    /// # Errors
    /// The first that happened; the other lanes are sealed all the same.
    pub fn close(mut self) -> Result<(), JournalError> {
        let mut result = Ok(());
        for lane in &mut self.lanes {
            let closed = lane.close();
            result = result.and(closed);
        }
        // The manifest lists what was sealed, whatever happened to the rest.
        let listed = Manifest::of(&self.session_dir, self.session).and_then(|all| all.write(&self.session_dir));
        result.and(listed)
    }
}

impl KeptLane {
    fn step(&mut self, config: &JournalConfig, now: TimestampNs) -> Result<usize, JournalError> {
        let mut work = 0;
        while let Ok(full) = self.full.pop() {
            self.seal(full)?;
            work += 1;
        }
        if self.ready.slots() == self.ready.buffer().capacity() {
            self.prepare_next(config)?;
            work += 1;
        }
        let (number, used) = self.shared.read_position();
        let Some(at) = self.live.iter().position(|segment| segment.number == number) else { return Ok(work) };
        if self.live[at].opened_at == TimestampNs::ZERO {
            self.live[at].opened_at = now;
        }
        let active = &mut self.live[at];
        let old = config.roll_age.is_some_and(|age| now.since(active.opened_at) >= age);
        if old && used > HEADER_BYTES {
            self.shared.roll.store(true, Ordering::Relaxed);
        }
        let wanted = (used + self.ahead).min(active.map.len());
        if wanted > active.populated + self.ahead / 2 || (wanted == active.map.len() && active.populated < wanted) {
            active.map.populate(active.populated, page_up(wanted))?;
            active.populated = page_up(wanted);
            work += 1;
        }
        if used - active.written_out >= WRITE_OUT_STEP {
            let to = used / PAGE * PAGE;
            active.map.start_write_out(active.written_out, to);
            active.written_out = to;
            work += 1;
        }
        let due = config.sync_interval.is_some_and(|interval| now.since(self.synced_at) >= interval);
        if due && used > active.synced {
            // A sync makes pages clean, and a clean page faults on its next write: touch those that come next again.
            let wrote = used - active.synced;
            if let Err(error) = active.map.sync() {
                active.doubtful = true;
                return Err(error);
            }
            active.synced = used;
            active.written_out = used / PAGE * PAGE;
            self.synced_at = now;
            self.ahead = (wrote * 8).clamp(AHEAD_LEAST.min(config.ahead_bytes), config.ahead_bytes);
            let end = page_up((used + self.ahead).min(active.map.len()));
            active.map.populate(used / PAGE * PAGE, end)?;
            active.populated = active.populated.max(end);
            work += 1;
        }
        Ok(work)
    }

    /// Makes the next segment and hands it to the writer.
    fn prepare_next(&mut self, config: &JournalConfig) -> Result<(), JournalError> {
        let segment = self.prepare(config)?;
        // There is room: the caller looked, or the ring is new.
        let _ = self.ready.push(segment);
        Ok(())
    }

    fn prepare(&mut self, config: &JournalConfig) -> Result<ReadySegment, JournalError> {
        let id = self.id;
        let mut map = SegmentMap::create(&unfinished_file(&self.folder, id.number), config.segment_bytes)?;
        let header = Prepared::new(id, config.segment_bytes, self.config_digest);
        map.write_header_part(PREPARED_AT, bytemuck::bytes_of(&header));
        let populated = page_up((HEADER_BYTES + self.ahead).min(map.len()));
        map.populate(0, populated)?;
        map.rename(&segment_file(&self.folder, id.number))?;
        sync_folder(&self.folder)?;
        let map = Arc::new(map);
        self.live.push_back(LiveSegment {
            map: Arc::clone(&map),
            number: id.number,
            populated,
            written_out: HEADER_BYTES,
            synced: HEADER_BYTES,
            opened_at: TimestampNs::ZERO,
            doubtful: false,
        });
        self.id.number += 1;
        Ok(ReadySegment { map, number: id.number, crc_seed: id.crc_seed() })
    }

    /// Syncs, seals and cuts a segment that the writer has left. One whose sync has failed is never sealed: its end is
    /// found by its reader, record by record.
    fn seal(&mut self, full: FullSegment) -> Result<(), JournalError> {
        let doubtful = self.live.iter().any(|segment| segment.number == full.number && segment.doubtful);
        self.live.retain(|segment| segment.number != full.number);
        if doubtful {
            let path = full.map.path().to_owned();
            return Err(JournalError::Segment { path, why: "it stays unsealed, because a sync of it failed" });
        }
        let id = SegmentId { number: full.number, ..self.id };
        let used = full.used_bytes as u64;
        // Records first, then the word that says that they are all there.
        full.map.sync()?;
        let sealed = Sealed::new(id.crc_seed(), full.last_seq, full.last_seq + 1 - full.first_seq, used);
        full.map.write_header_part(SEALED_AT, bytemuck::bytes_of(&sealed));
        full.map.truncate(used)?;
        full.map.sync()
    }

    fn close(&mut self) -> Result<(), JournalError> {
        // Read before the rings: a writer that is gone by now has put everything into them.
        let gone = self.shared.writer_gone.load(Ordering::Acquire);
        while let Ok(full) = self.full.pop() {
            self.seal(full)?;
        }
        let (number, used) = self.shared.read_position();
        let Some(active) = self.live.iter().find(|segment| segment.number == number) else { return Ok(()) };
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
        sync_folder(&self.folder).and(sealed)
    }
}

const fn page_up(bytes: usize) -> usize {
    bytes.div_ceil(PAGE) * PAGE
}

/// Makes a folder's entries durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(JournalError::io("sync the folder", folder))
}
