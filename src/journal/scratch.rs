//! A lane that nobody reads: two short segments in memory that take turns.
//!
//! For rehearsals: their tiles write as a session's do, to no disk, for ever.

use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::error::JournalError;
use super::format::HEADER_BYTES;
use super::mapping::SegmentMap;
use super::writer::{FullSegment, JournalWriter, ReadySegment, Shared};

/// Bytes of a segment: its header, and some twenty decisions.
const BYTES: u64 = HEADER_BYTES as u64 + (16 << 10);
const SEGMENTS: usize = 2;

/// Brings full segments back to their writer.
#[derive(Debug)]
pub struct ScratchKeeper {
    ready: Producer<ReadySegment>,
    full: Consumer<FullSegment>,
}

impl ScratchKeeper {
    /// A writer, and what it needs every few records.
    ///
    /// # Errors
    /// When the system gives no memory.
    pub fn new() -> Result<(JournalWriter, ScratchKeeper), JournalError> {
        let (mut ready, segments) = RingBuffer::new(SEGMENTS);
        let (returns, full) = RingBuffer::new(SEGMENTS);
        let made = |number| {
            let map = SegmentMap::in_memory(BYTES)?;
            map.populate(0, map.len())?;
            Ok::<_, JournalError>(ReadySegment { map: Arc::new(map), number, crc_seed: 0 })
        };
        let first = made(1)?;
        // The ring is new and has room for all but the first.
        let _ = ready.push(made(2)?);
        Ok((JournalWriter::new(first, segments, returns, Arc::new(Shared::new())), ScratchKeeper { ready, full }))
    }

    /// Gives back what is full.
    pub fn step(&mut self) {
        while let Ok(FullSegment { map, number, .. }) = self.full.pop() {
            let _ = self.ready.push(ReadySegment { map, number, crc_seed: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TimestampNs;
    use crate::wire::{Flags, Kind, RecordBuf, Stream};

    #[test]
    fn a_scratch_lane_takes_records_without_end_as_long_as_it_is_kept() {
        let (mut writer, mut keeper) = ScratchKeeper::new().unwrap();
        let mut buf = RecordBuf::default();
        let mut append = |writer: &mut JournalWriter| {
            buf.begin();
            buf.put(&[3; 200]);
            writer.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, writer.next_seq(), TimestampNs::ZERO))
        };
        for _ in 0..10_000 {
            append(&mut writer).unwrap();
            keeper.step();
        }
        let taken = (0..).find(|_| append(&mut writer).is_err()).unwrap();
        assert!(taken <= 2 * (16 << 10) / 256, "{taken} records into two segments");
    }
}
