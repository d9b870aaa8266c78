//! The hot end of a stream: one thread appends records to mapped memory and never calls the kernel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use rtrb::{Consumer, Producer};

use super::format::{HEADER_BYTES, OPENED_AT, Opened};
use super::mapping::SegmentMap;
use crate::wire::record::RawHeader;
use crate::wire::{UNIT_BYTES, Unit, lines};

/// Nothing more can be journaled: the session must cancel its orders and stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalDown {
    /// The segment is full and the keeper has not made another one: the disk is full, or the keeper died or hangs.
    #[error("the keeper has prepared no further segment")]
    NoSegment,
    /// The record is larger than a segment.
    #[error("the record is larger than a segment")]
    TooLarge,
}

/// What writer and keeper tell each other about one lane.
#[derive(Debug)]
pub(super) struct Shared {
    /// Segment number in the high half, bytes used in the low half; written by the writer.
    pub position: CachePadded<AtomicU64>,
    /// Number of the last committed record; written by the writer when it goes.
    pub last_seq: AtomicU64,
    /// Number of the active segment's first record; written by the writer.
    pub first_seq: AtomicU64,
    /// The keeper asks for a new segment though the old one has room.
    pub roll: AtomicBool,
    /// The writer will never write again.
    pub writer_gone: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> Shared {
        Shared {
            position: CachePadded::new(AtomicU64::new(0)),
            last_seq: AtomicU64::new(0),
            first_seq: AtomicU64::new(1),
            roll: AtomicBool::new(false),
            writer_gone: AtomicBool::new(false),
        }
    }

    /// Segment number and bytes used.
    pub(super) fn read_position(&self) -> (u32, usize) {
        let position = self.position.load(Ordering::Acquire);
        ((position >> 32) as u32, (position & 0xFFFF_FFFF) as usize)
    }
}

/// A segment on its way to the writer.
#[derive(Debug)]
pub(super) struct ReadySegment {
    pub map: Arc<SegmentMap>,
    pub number: u32,
    pub crc_seed: u32,
}

/// A segment on its way back to the keeper. It carries the writer's share of the mapping, so that unmapping happens on
/// the keeper's thread.
#[derive(Debug)]
pub(super) struct FullSegment {
    pub map: Arc<SegmentMap>,
    pub number: u32,
    pub first_seq: u64,
    pub last_seq: u64,
    pub used_bytes: usize,
}

/// Appends records to one lane of one stream. One thread owns it.
#[derive(Debug)]
pub struct JournalWriter {
    segment: ReadySegment,
    used_bytes: usize,
    first_seq: u64,
    next_seq: u64,
    ready: Consumer<ReadySegment>,
    full: Producer<FullSegment>,
    shared: Arc<Shared>,
    down: Option<JournalDown>,
}

impl JournalWriter {
    pub(super) fn new(
        segment: ReadySegment,
        ready: Consumer<ReadySegment>,
        full: Producer<FullSegment>,
        shared: Arc<Shared>,
    ) -> JournalWriter {
        let mut writer = JournalWriter {
            segment,
            used_bytes: HEADER_BYTES,
            first_seq: 1,
            next_seq: 1,
            ready,
            full,
            shared,
            down: None,
        };
        writer.open_segment();
        writer.publish_position();
        writer
    }

    /// The number that the next record must carry.
    #[inline]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Whether a record of that many units can be appended now. Once it can, it can until the next append.
    pub fn has_room(&self, units: usize) -> bool {
        let bytes = units * UNIT_BYTES;
        self.down.is_none()
            && (self.used_bytes + bytes <= self.segment.map.len()
                || (self.ready.slots() > 0 && HEADER_BYTES + bytes <= self.segment.map.len()))
    }

    /// Why nothing more can be appended, if so.
    pub fn down(&self) -> Option<JournalDown> {
        self.down
    }

    /// Appends a finished record and commits it: from here on the death of the process cannot take it away.
    ///
    /// The record must carry [`next_seq`](Self::next_seq).
    ///
    /// # Errors
    /// When there is no segment for it. The first error is final; every later append fails as well.
    ///
    /// # Panics
    /// When the record does not carry the next number: the stream would have a hole that no reader could explain.
    #[inline]
    pub fn append(&mut self, units: &[Unit]) -> Result<(), JournalDown> {
        if let Some(down) = self.down {
            return Err(down);
        }
        // Word 1 of the header is the sequence number.
        assert_eq!(units[0].0[1], self.next_seq, "records are appended in order");
        let bytes = units.len() * UNIT_BYTES;
        if self.used_bytes + bytes > self.segment.map.len()
            || units.len() > UNITS_MAX
            || self.shared.roll.load(Ordering::Relaxed)
        {
            self.change_segment(bytes)?;
        }
        self.segment.map.write_record(self.used_bytes, units, self.segment.crc_seed);
        self.used_bytes += bytes;
        self.next_seq += 1;
        self.publish_position();
        Ok(())
    }

    /// Asks for the memory of the next `units` units, ahead of the record that will be written there.
    pub fn claim_next(&self, units: usize) {
        let first = self.segment.map.address_of(self.used_bytes);
        (0..units).for_each(|unit| lines::claim_line(first + unit * UNIT_BYTES));
    }

    /// Takes the next segment, when one is there.
    #[cold]
    fn change_segment(&mut self, bytes: usize) -> Result<(), JournalDown> {
        let fits = self.used_bytes + bytes <= self.segment.map.len();
        if HEADER_BYTES + bytes > self.segment.map.len() || bytes / UNIT_BYTES > UNITS_MAX {
            self.down = Some(JournalDown::TooLarge);
            return Err(JournalDown::TooLarge);
        }
        let Ok(next) = self.ready.pop() else {
            if fits {
                // Only asked to change; the keeper will have one soon.
                return Ok(());
            }
            self.down = Some(JournalDown::NoSegment);
            return Err(JournalDown::NoSegment);
        };
        let old = std::mem::replace(&mut self.segment, next);
        let full = FullSegment {
            map: old.map,
            number: old.number,
            first_seq: self.first_seq,
            last_seq: self.next_seq - 1,
            used_bytes: self.used_bytes,
        };
        self.open_segment();
        // Behind the next one's opening: who follows takes a sealed segment without an open successor for the end. Before
        // its place is published: the keeper takes whatever is older than that for sealed. The ring holds more segments
        // than the keeper ever has in flight, so this cannot fail; if it did, the segment would stay unsealed, which
        // readers cope with.
        let _ = self.full.push(full);
        self.shared.roll.store(false, Ordering::Relaxed);
        self.publish_position();
        Ok(())
    }

    fn open_segment(&mut self) {
        self.used_bytes = HEADER_BYTES;
        self.first_seq = self.next_seq;
        let opened = Opened::new(self.segment.crc_seed, self.first_seq);
        self.shared.first_seq.store(self.first_seq, Ordering::Release);
        self.segment.map.write_header_part(OPENED_AT, bytemuck::bytes_of(&opened));
    }

    #[inline]
    fn publish_position(&self) {
        let position = (u64::from(self.segment.number) << 32) | self.used_bytes as u64;
        self.shared.position.store(position, Ordering::Release);
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        self.shared.last_seq.store(self.next_seq - 1, Ordering::Relaxed);
        self.shared.writer_gone.store(true, Ordering::Release);
    }
}

/// The commit word's low half holds a record's length in units.
const UNITS_MAX: usize = 0xFFFF;

const _: () = assert!(RawHeader::COMMITTED as usize & UNITS_MAX == 0);
