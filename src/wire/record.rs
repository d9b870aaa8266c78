//! The common shape of everything that is journaled or sent over a variable-length link.

use bytemuck::{Pod, Zeroable};

use crate::types::TimestampNs;

/// Size of a unit: one cache line.
pub const UNIT_BYTES: usize = 64;

/// One cache line of a record. All records start and end on unit boundaries.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Unit(pub [u64; 8]);

/// Which of the session's streams a record belongs to. Each has one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Market data, written by the feed tile.
    Feed = 0,
    /// Inputs in their one total order and the actions that followed, written by the quote tile.
    Quote = 1,
    /// Requests sent and answers received, written by the gateways.
    Gateway = 2,
}

impl Stream {
    /// All streams.
    pub const ALL: [Stream; 3] = [Stream::Feed, Stream::Quote, Stream::Gateway];

    /// The name used for folders.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Feed => "feed",
            Stream::Quote => "quote",
            Stream::Gateway => "gateway",
        }
    }

    /// The stream with that number.
    pub const fn from_u8(value: u8) -> Option<Stream> {
        match value {
            0 => Some(Stream::Feed),
            1 => Some(Stream::Quote),
            2 => Some(Stream::Gateway),
            _ => None,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// What a record holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $value,)* }

        impl Kind {
            /// The kind with that number; `None` for one that this version does not know.
            pub const fn from_u8(value: u8) -> Option<Kind> {
                match value { $($value => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Depth: a snapshot or a diff, with its levels.
    Depth = 1,
    /// A print on the tape.
    Trade = 2,
    /// Best bid and ask (`bookTicker`).
    Touch = 3,
    /// Something about the feed itself: connection lost, message dropped, message malformed.
    FeedNotice = 4,
    /// A frame as it came, untouched.
    RawFrame = 5,
    /// An aggregated print; kept, never decided on.
    AggTrade = 6,
    /// Input: the market update made from the feed record with this sequence number.
    InputMarket = 16,
    /// Input: a report about an order of ours.
    InputExec = 17,
    /// Input: a balance.
    InputBalance = 18,
    /// Input: a deadline passed.
    InputTimer = 19,
    /// Input: a command from outside.
    InputControl = 20,
    /// Action: quote targets.
    ActionQuote = 32,
    /// Action: place an order.
    ActionPlace = 33,
    /// Action: cancel an order.
    ActionCancel = 34,
    /// Action: amend an order.
    ActionAmend = 35,
    /// Action: query an order.
    ActionQuery = 36,
    /// Action: ask for an order's trades.
    ActionFills = 37,
    /// A gateway sent a request.
    GatewaySent = 48,
    /// A gateway received an answer or gave up waiting.
    GatewayAnswer = 49,
    /// The stream ends here on purpose.
    End = 63,
}

/// Bits of [`Header::flags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// The record was journaled but its link was full: the book never saw it. A replay skips it too.
    pub const DROPPED: Flags = Flags(1);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A record's header, as it lies in memory: 32 bytes, little-endian.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct RawHeader {
    /// Stored last, with Release: [`RawHeader::COMMITTED`] plus the record's units. Zero until then.
    pub commit: u32,
    /// CRC32C of the record's place and of its bytes from `seq` on, padding included; zero on links.
    pub crc: u32,
    /// Number of the record in its stream, from 1 without holes.
    pub seq: u64,
    /// Nanoseconds since the epoch: `recv_ts` of feed records, `now` of all others.
    pub ts: u64,
    /// Payload bytes.
    pub len: u32,
    /// [`Kind`].
    pub kind: u8,
    /// [`Flags`].
    pub flags: u8,
    /// [`Stream`].
    pub stream: u8,
    /// Zero.
    pub reserved: u8,
}

impl RawHeader {
    /// Size in bytes.
    pub const BYTES: usize = 32;
    /// High bits of a commit word; the low 16 bits hold the record's length in units.
    pub const COMMITTED: u32 = 0x544C_0000;
}

const _: () = assert!(size_of::<RawHeader>() == RawHeader::BYTES);
const _: () = assert!(size_of::<Unit>() == UNIT_BYTES);

/// A record's header, read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which stream.
    pub stream: Stream,
    /// What it holds.
    pub kind: Kind,
    /// Flags.
    pub flags: Flags,
    /// Number in its stream, from 1 without holes.
    pub seq: u64,
    /// `recv_ts` of feed records, `now` of all others.
    pub ts: TimestampNs,
    /// Payload bytes.
    pub len: u32,
    /// CRC32C of the record's place and bytes, as its journal holds it; zero on links.
    pub crc: u32,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A kind, stream or enum value that this version does not know.
    #[error("unknown {what} {value}")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// The payload is shorter or longer than its kind needs.
    #[error("payload of {len} bytes does not fit its kind")]
    Length {
        /// Bytes found.
        len: usize,
    },
}

/// A record: header and payload, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The header.
    pub header: Header,
    /// The payload, 8-byte aligned.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// Bytes that it takes in a link or a journal, header and padding included.
    pub fn stored_bytes(&self) -> usize {
        units_for(self.payload.len()) * UNIT_BYTES
    }

    /// Reads a record from units, whose first one holds the header.
    ///
    /// # Errors
    /// When the header names an unknown kind or stream, or a payload beyond the units.
    pub fn from_units(units: &'a [Unit]) -> Result<Record<'a>, RecordError> {
        let bytes: &[u8] = bytemuck::cast_slice(units);
        let raw: &RawHeader =
            bytemuck::from_bytes(bytes.get(..RawHeader::BYTES).ok_or(RecordError::Length { len: bytes.len() })?);
        let len = raw.len as usize;
        let payload = bytes.get(RawHeader::BYTES..RawHeader::BYTES + len).ok_or(RecordError::Length { len })?;
        let header = Header {
            stream: Stream::from_u8(raw.stream)
                .ok_or(RecordError::Unknown { what: "stream", value: u64::from(raw.stream) })?,
            kind: Kind::from_u8(raw.kind).ok_or(RecordError::Unknown { what: "kind", value: u64::from(raw.kind) })?,
            flags: Flags(raw.flags),
            seq: raw.seq,
            ts: TimestampNs::from_nanos(raw.ts),
            len: raw.len,
            crc: raw.crc,
        };
        Ok(Record { header, payload })
    }
}

/// Units that a payload of `len` bytes needs, header included.
pub const fn units_for(len: usize) -> usize {
    (RawHeader::BYTES + len).div_ceil(UNIT_BYTES)
}

/// A record under construction: reused, so that building one allocates only until the largest has been seen. The rest of
/// its last unit behind the payload is always zero.
#[derive(Debug)]
pub struct RecordBuf {
    /// At least the header's.
    units: Vec<Unit>,
    len: usize,
}

impl Default for RecordBuf {
    fn default() -> RecordBuf {
        RecordBuf::with_capacity(0)
    }
}

impl RecordBuf {
    /// A buffer with room for payloads of `payload_bytes` without allocation.
    pub fn with_capacity(payload_bytes: usize) -> RecordBuf {
        RecordBuf { units: vec![Unit::default(); units_for(payload_bytes)], len: 0 }
    }

    /// Starts over with an empty payload.
    #[inline]
    pub fn begin(&mut self) {
        self.len = 0;
        self.units[0] = Unit::default();
    }

    /// Appends bytes to the payload: a few stores and no call, where the compiler knows how many there are.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        let units = units_for(end);
        if units > self.units.len() {
            self.grow(units);
        }
        if units > units_for(self.len) {
            self.units[units - 1] = Unit::default();
        }
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.units);
        all[RawHeader::BYTES + self.len..RawHeader::BYTES + end].copy_from_slice(bytes);
        self.len = end;
    }

    /// Starts over with a payload of one piece, whose length the compiler knows.
    #[inline(always)]
    pub fn hold<P: Pod>(&mut self, payload: &P) {
        let count = const { units_for(size_of::<P>()) };
        if count > self.units.len() {
            self.grow(count);
        }
        let units = &mut self.units[..count];
        units[count - 1] = Unit::default();
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(units);
        bytes[RawHeader::BYTES..RawHeader::BYTES + size_of::<P>()].copy_from_slice(bytemuck::bytes_of(payload));
        self.len = size_of::<P>();
    }

    #[cold]
    fn grow(&mut self, units: usize) {
        self.units.resize(units, Unit::default());
    }

    /// Payload bytes so far.
    pub fn payload_len(&self) -> usize {
        self.len
    }

    /// Units that the finished record has.
    pub fn units_len(&self) -> usize {
        units_for(self.len)
    }

    /// Writes the header and hands out the record's units. `commit` and `crc` are left zero: they
    /// belong to the journal.
    #[inline]
    pub fn finish(&mut self, stream: Stream, kind: Kind, flags: Flags, seq: u64, ts: TimestampNs) -> &[Unit] {
        let header = RawHeader {
            commit: 0,
            crc: 0,
            seq,
            ts: ts.nanos(),
            len: self.len as u32,
            kind: kind as u8,
            flags: flags.0,
            stream: stream as u8,
            reserved: 0,
        };
        let record = &mut self.units[..units_for(self.len)];
        bytemuck::cast_slice_mut::<Unit, u8>(record)[..RawHeader::BYTES].copy_from_slice(bytemuck::bytes_of(&header));
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_units() {
        let mut buf = RecordBuf::with_capacity(16);
        for len in [0_usize, 1, 31, 32, 33, 96, 97, 5000] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            buf.begin();
            buf.put(&payload);
            let units = buf.finish(Stream::Feed, Kind::Depth, Flags::DROPPED, 7, TimestampNs::from_nanos(9));
            assert_eq!(units.len(), units_for(len));
            let record = Record::from_units(units).unwrap();
            assert_eq!(record.payload, payload);
            assert_eq!((record.header.kind, record.header.seq), (Kind::Depth, 7));
            assert!(record.header.flags.has(Flags::DROPPED));
        }
    }

    #[test]
    fn a_payload_of_one_piece_makes_the_record_that_its_bytes_make() {
        fn same<P: Pod>(buf: &mut RecordBuf, payload: P) {
            buf.begin();
            buf.put(bytemuck::bytes_of(&payload));
            let finish = |buf: &mut RecordBuf| {
                let units = buf.finish(Stream::Quote, Kind::InputExec, Flags::NONE, 7, TimestampNs::from_nanos(9));
                bytemuck::cast_slice::<Unit, u8>(units).to_vec()
            };
            let by_pieces = finish(buf);
            buf.begin();
            buf.put(&[0xFF; 400]);
            buf.hold(&payload);
            assert_eq!(finish(buf), by_pieces);
        }
        let mut buf = RecordBuf::default();
        same(&mut buf, 3_u64);
        same(&mut buf, [4_u64; 4]);
        same(&mut buf, [5_u64; 5]);
        same(&mut buf, [6_u64; 12]);
        same(&mut buf, [7_u64; 13]);
    }

    #[test]
    fn nothing_of_a_longer_record_is_left_behind_a_shorter_one() {
        let mut buf = RecordBuf::with_capacity(16);
        for len in [5000_usize, 200, 100, 97, 33, 31, 1, 0, 64, 40] {
            for pieces in [1, 3] {
                buf.begin();
                vec![0xFF; len].chunks(len.div_ceil(pieces).max(1)).for_each(|piece| buf.put(piece));
                let units = buf.finish(Stream::Feed, Kind::Depth, Flags::NONE, 7, TimestampNs::from_nanos(9));
                let bytes: &[u8] = bytemuck::cast_slice(units);
                assert_eq!(bytes.len(), (RawHeader::BYTES + len).div_ceil(UNIT_BYTES) * UNIT_BYTES);
                assert!(bytes[RawHeader::BYTES + len..].iter().all(|&byte| byte == 0), "{len} in {pieces}");
                assert!(bytes[RawHeader::BYTES..][..len].iter().all(|&byte| byte == 0xFF), "{len} in {pieces}");
            }
        }
    }
}
