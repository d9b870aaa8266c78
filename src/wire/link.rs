//! The one link whose messages vary in length: records as runs of units over an rtrb ring.

use rtrb::{Consumer, Producer, RingBuffer};

use super::lines::{claim_next, expect, send_all};
use super::record::{Record, RecordError, Unit, units_for};

/// Units that a reader asks for before it knows how long the next record is: a diff of some forty levels.
const UNITS_AT_ONCE: usize = 12;

/// The ring has no room for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Two counters of one frame in the one word that a record has for them on a link: when it was read, to 40 bits, and
/// how much later it was decoded, to 24. The reader puts back the rest from a counter of its own, which is seconds away
/// at most; 40 bits last for minutes. Zero is no frame.
pub mod stamp {
    const READ: u64 = (1 << 40) - 1;
    const LATER: u64 = (1 << 24) - 1;
    /// By how much the reader's core may be behind the writer's.
    const SLACK: u64 = 1 << 20;

    /// Packs both.
    pub fn pack(read: u64, decoded: u64) -> u64 {
        if read == 0 { 0 } else { decoded.saturating_sub(read).clamp(1, LATER) << 40 | read & READ }
    }

    /// Both again, at `now`; `None` for no frame.
    pub fn unpack(packed: u64, now: u64) -> Option<(u64, u64)> {
        let ahead = now.wrapping_add(SLACK);
        let read = ahead.wrapping_sub(ahead.wrapping_sub(packed) & READ);
        (packed != 0).then(|| (read, read + (packed >> 40)))
    }
}

/// A link for records with room for `depth_units` units.
pub fn unit_link(depth_units: usize) -> (UnitSender, UnitReceiver) {
    let (producer, consumer) = RingBuffer::new(depth_units);
    (UnitSender { ring: producer }, UnitReceiver { ring: consumer, record: Vec::new() })
}

/// The sending end; one thread owns it.
#[derive(Debug)]
pub struct UnitSender {
    ring: Producer<Unit>,
}

impl UnitSender {
    /// Whether a record of that many units fits now. Only the receiver changes the answer, and only to the better.
    pub fn has_room(&self, units: usize) -> bool {
        self.ring.slots() >= units
    }

    /// Units in flight: for the ring-depth gauge.
    pub fn used(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }

    /// Sends a finished record, whole or not at all.
    ///
    /// # Errors
    /// [`Full`] when it does not fit; nothing was sent.
    pub fn send(&mut self, record: &[Unit]) -> Result<(), Full> {
        self.send_stamped(record, 0)
    }

    /// Sends a finished record with a [`stamp`] of the frame that brought it. On a link the first
    /// word of a record, which belongs to the journal, carries the stamp.
    ///
    /// # Errors
    /// [`Full`] when it does not fit; nothing was sent.
    pub fn send_stamped(&mut self, record: &[Unit], stamp: u64) -> Result<(), Full> {
        let Some((head, rest)) = record.split_first() else { return Ok(()) };
        let mut head = *head;
        head.0[0] = stamp;
        send_all(&mut self.ring, &head, rest)
    }

    /// Asks for the memory of the next `units` units, ahead of the record that will be written there.
    pub fn claim_next(&mut self, units: usize) {
        claim_next(&mut self.ring, units);
    }

    /// Whether the receiver is gone.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

/// The receiving end; one thread owns it.
#[derive(Debug)]
pub struct UnitReceiver {
    ring: Consumer<Unit>,
    record: Vec<Unit>,
}

impl UnitReceiver {
    /// Takes the next record, if one is there. It is copied out of the ring, so it may wrap there and still be read as
    /// one piece here.
    ///
    /// # Errors
    /// When the record cannot be read; it has been taken from the ring all the same.
    pub fn recv(&mut self) -> Option<Result<Record<'_>, RecordError>> {
        self.recv_stamped().map(|(_, record)| record)
    }

    /// Whether the sender is gone and everything it sent has been taken.
    pub fn is_finished(&self) -> bool {
        // In this order: a sender that is gone sends no more, so an empty ring after it stays empty.
        self.ring.is_abandoned() && self.ring.is_empty()
    }

    /// Asks for the lines of what has come, all at once: how long a record is stands in its first line, which is on its way
    /// from the other core like all others.
    fn expect_waiting(&mut self) {
        if let Ok(waiting) = self.ring.read_chunk(self.ring.slots().min(UNITS_AT_ONCE)) {
            // Dropped without a commit: nothing is taken.
            let (first, wrapped) = waiting.as_slices();
            expect(first);
            expect(wrapped);
        }
    }

    /// Takes the next record with its stamp; see [`UnitSender::send_stamped`].
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_stamped(&mut self) -> Option<(u64, Result<Record<'_>, RecordError>)> {
        self.expect_waiting();
        let head = *self.ring.peek().ok()?;
        let stamp = head.0[0];
        // Bytes 24..28 of the header hold the payload's length.
        let units = units_for((head.0[3] & 0xFFFF_FFFF) as usize);
        let chunk = self.ring.read_chunk(units).ok()?;
        self.record.clear();
        let (first, second) = chunk.as_slices();
        self.record.extend_from_slice(first);
        self.record.extend_from_slice(second);
        chunk.commit_all();
        Some((stamp, Record::from_units(&self.record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TimestampNs;
    use crate::wire::record::{Flags, Kind, RecordBuf, Stream};

    #[test]
    fn records_wrap_around_the_ring_and_arrive_whole() {
        let (mut tx, mut rx) = unit_link(7);
        let mut buf = RecordBuf::default();
        for seq in 1..1000_u64 {
            let payload = vec![seq as u8; (seq as usize * 37) % 300];
            buf.begin();
            buf.put(&payload);
            let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
            assert!(tx.has_room(units.len()));
            tx.send_stamped(units, seq * 3).unwrap();
            let (stamp, record) = rx.recv_stamped().unwrap();
            let record = record.unwrap();
            assert_eq!(stamp, seq * 3);
            assert_eq!((record.header.seq, record.payload), (seq, &payload[..]));
            assert!(rx.recv().is_none());
        }
    }

    #[test]
    fn two_counters_survive_one_word() {
        for read in [1, 77, (1 << 40) - 3, 1 << 40, 123_456_789_012_345_678] {
            for (later, decoded) in [(1, read), (500, read + 500), ((1 << 24) - 1, read + (1 << 30))] {
                for now in [read + later, read - 1, read + (1 << 39)] {
                    let packed = stamp::pack(read, decoded);
                    assert_eq!(stamp::unpack(packed, now), Some((read, read + later)), "{read} {now}");
                }
            }
        }
        assert_eq!((stamp::pack(0, 5), stamp::unpack(0, 99)), (0, None));
    }

    #[test]
    fn a_record_that_does_not_fit_is_not_sent_in_part() {
        let (mut tx, mut rx) = unit_link(2);
        let mut buf = RecordBuf::default();
        buf.begin();
        buf.put(&[0; 200]);
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, 1, TimestampNs::ZERO);
        assert_eq!(tx.send(units), Err(Full));
        assert!(rx.recv().is_none());
    }
}
