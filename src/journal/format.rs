//! The bytes of a segment's header page and the checksum of a record. `docs/JOURNAL.md` draws them.
//!
//! The page has three parts, each of one or two units with a checksum of its own, because three hands write them: the
//! keeper prepares the segment, the writer opens it, the keeper seals it.

use bytemuck::{Pod, Zeroable};

use crate::types::SessionId;
use crate::wire::{Stream, UNIT_BYTES, Unit};

/// Version of the layout; a change of any byte's meaning raises it.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes before a segment's first record: one page.
pub const HEADER_BYTES: usize = 4096;

/// "TLJSEG1" and a zero: the first eight bytes of every segment.
const MAGIC: u64 = u64::from_le_bytes(*b"TLJSEG1\0");
const OPENED_MAGIC: u32 = u32::from_le_bytes(*b"OPEN");
const SEALED_MAGIC: u32 = u32::from_le_bytes(*b"SEAL");

/// Byte offset of [`Prepared`].
pub(super) const PREPARED_AT: usize = 0;
/// Byte offset of [`Opened`].
pub(super) const OPENED_AT: usize = 128;
/// Byte offset of [`Sealed`].
pub(super) const SEALED_AT: usize = 192;

/// Which segment of which stream of which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentId {
    /// The session.
    pub session: SessionId,
    /// The stream.
    pub stream: Stream,
    /// Which of the stream's writers, from 0; only the gateway stream may have more than one.
    pub lane: u16,
    /// Number in the lane, from 1.
    pub number: u32,
}

impl SegmentId {
    /// The checksum's start: a record copied to another file fails its check.
    pub(super) fn crc_seed(&self) -> u32 {
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&self.session.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.lane.to_le_bytes());
        bytes[14] = self.stream as u8;
        crc32c::crc32c(&bytes)
    }
}

/// A record's checksum: the segment it belongs to, its offset there, and all its bytes but the commit word and the
/// checksum itself, padding included.
#[inline]
pub(super) fn record_crc(seed: u32, offset: usize, units: &[Unit]) -> u32 {
    let bytes: &[u8] = bytemuck::cast_slice(units);
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &(offset as u64).to_le_bytes()), &bytes[8..])
}

/// Written by the keeper before the writer sees the segment.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Prepared {
    magic: u64,
    version: u32,
    header_bytes: u32,
    session: u64,
    number: u32,
    lane: u16,
    stream: u8,
    reserved: u8,
    /// Bytes of the whole file as it was preallocated.
    pub file_bytes: u64,
    /// Digest of instruments and configuration, as in the session file.
    pub config_digest: u64,
    unused: [u64; 9],
    pad: u32,
    crc: u32,
}

/// Written by the writer when it takes the segment.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Opened {
    magic: u32,
    pad: u32,
    /// Number of the segment's first record.
    pub first_seq: u64,
    unused: [u64; 5],
    pad_2: u32,
    crc: u32,
}

/// Written by the keeper when nothing more will be appended.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Sealed {
    magic: u32,
    pad: u32,
    /// Number of the last record; the first one's minus one when there is none.
    pub last_seq: u64,
    /// Records in the segment.
    pub records: u64,
    /// Bytes used, header page included: the file's length.
    pub used_bytes: u64,
    unused: [u64; 3],
    pad_2: u32,
    crc: u32,
}

const _: () = assert!(size_of::<Prepared>() == 128 && size_of::<Opened>() == 64 && size_of::<Sealed>() == 64);
const _: () = assert!(HEADER_BYTES.is_multiple_of(UNIT_BYTES));

fn part_crc(seed: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed, &bytes[..bytes.len() - 4])
}

impl Prepared {
    pub(super) fn new(id: SegmentId, file_bytes: u64, config_digest: u64) -> Prepared {
        let mut part = Prepared {
            magic: MAGIC,
            version: FORMAT_VERSION,
            header_bytes: HEADER_BYTES as u32,
            session: id.session.0,
            number: id.number,
            lane: id.lane,
            stream: id.stream as u8,
            reserved: 0,
            file_bytes,
            config_digest,
            unused: [0; 9],
            pad: 0,
            crc: 0,
        };
        part.crc = part_crc(0, bytemuck::bytes_of(&part));
        part
    }

    /// Reads the part; the error says what is wrong with it.
    pub(super) fn read(page: &[u8]) -> Result<Prepared, PartError> {
        let part: Prepared = read_part(page, PREPARED_AT).ok_or(PartError::Short)?;
        if part.magic != MAGIC {
            return Err(PartError::Magic);
        }
        if part.version != FORMAT_VERSION {
            return Err(PartError::Version(part.version));
        }
        if part.crc != part_crc(0, bytemuck::bytes_of(&part)) || part.header_bytes as usize != HEADER_BYTES {
            return Err(PartError::Checksum);
        }
        Ok(part)
    }

    /// Which segment the file says it is.
    pub(super) fn id(&self) -> Option<SegmentId> {
        Some(SegmentId {
            session: SessionId(self.session),
            stream: Stream::from_u8(self.stream)?,
            lane: self.lane,
            number: self.number,
        })
    }
}

/// Why the first part of a header page is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartError {
    /// The file ends inside it.
    Short,
    /// Not a segment.
    Magic,
    /// A layout that this build does not know.
    Version(u32),
    /// Damaged.
    Checksum,
}

impl Opened {
    pub(super) fn new(seed: u32, first_seq: u64) -> Opened {
        let mut part = Opened { magic: OPENED_MAGIC, pad: 0, first_seq, unused: [0; 5], pad_2: 0, crc: 0 };
        part.crc = part_crc(seed, bytemuck::bytes_of(&part));
        part
    }

    /// `Ok(None)` when the segment was prepared but never used.
    pub(super) fn read(page: &[u8], seed: u32) -> Result<Option<Opened>, &'static str> {
        let Some(part) = read_part::<Opened>(page, OPENED_AT) else { return Ok(None) };
        if bytemuck::bytes_of(&part).iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if part.magic != OPENED_MAGIC || part.crc != part_crc(seed, bytemuck::bytes_of(&part)) {
            return Err("the header's opening part is damaged");
        }
        Ok(Some(part))
    }
}

impl Sealed {
    pub(super) fn new(seed: u32, last_seq: u64, records: u64, used_bytes: u64) -> Sealed {
        let mut part =
            Sealed { magic: SEALED_MAGIC, pad: 0, last_seq, records, used_bytes, unused: [0; 3], pad_2: 0, crc: 0 };
        part.crc = part_crc(seed, bytemuck::bytes_of(&part));
        part
    }

    /// `Ok(None)` when the segment was not sealed.
    pub(super) fn read(page: &[u8], seed: u32) -> Result<Option<Sealed>, &'static str> {
        let Some(part) = read_part::<Sealed>(page, SEALED_AT) else { return Ok(None) };
        if bytemuck::bytes_of(&part).iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if part.magic != SEALED_MAGIC || part.crc != part_crc(seed, bytemuck::bytes_of(&part)) {
            return Err("the header's sealing part is damaged");
        }
        Ok(Some(part))
    }
}

fn read_part<T: Pod>(page: &[u8], at: usize) -> Option<T> {
    Some(bytemuck::pod_read_unaligned(page.get(at..at + size_of::<T>())?))
}
