//! The one link whose messages vary in length: records as runs of units over an rtrb ring.

use rtrb::{Consumer, Producer, RingBuffer};

use super::record::{Record, RecordError, Unit, units_for};

/// The ring has no room for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

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
        let chunk = self.ring.write_chunk_uninit(record.len()).map_err(|_| Full)?;
        chunk.fill_from_iter(record.iter().copied());
        Ok(())
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
        let head = *self.ring.peek().ok()?;
        // Bytes 24..28 of the header hold the payload's length.
        let units = units_for((head.0[3] & 0xFFFF_FFFF) as usize);
        let chunk = self.ring.read_chunk(units).ok()?;
        self.record.clear();
        let (first, second) = chunk.as_slices();
        self.record.extend_from_slice(first);
        self.record.extend_from_slice(second);
        chunk.commit_all();
        Some(Record::from_units(&self.record))
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
            tx.send(units).unwrap();
            let record = rx.recv().unwrap().unwrap();
            assert_eq!((record.header.seq, record.payload), (seq, &payload[..]));
            assert!(rx.recv().is_none());
        }
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
