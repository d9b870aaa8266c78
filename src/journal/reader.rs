//! Reads a session back: every record in order, each checked, and an exact account of what is missing.
//!
//! Damage behind which nothing was yet on the disk is what a power cut leaves: it is reported as a tail, and the reading
//! ends before it, even where later pages reached the disk first. Damage before that, or in a segment that was sealed, is
//! corruption: it is an error, and it names its place. Records are never guessed: what is returned has passed its
//! checksum, its position and its number.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::format::{
    FORMAT_VERSION, HEADER_BYTES, Opened, PartError, Prepared, SEALED_AT, Sealed, SegmentId, record_crc,
};
use super::mapping::SegmentBytes;
use super::segment::{lane_folder, segment_number};
use super::session::{SessionEnd, SessionInfo};
use super::tail::{Kept, kept};
use crate::wire::record::RawHeader;
use crate::wire::{Record, Stream, UNIT_BYTES, Unit};

/// A place where records should be and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file.
    pub file: PathBuf,
    /// Byte offset in it.
    pub offset: u64,
    /// Number of the record that should be there.
    pub seq: u64,
    /// Bytes that hold no whole record.
    pub bytes: u64,
    /// Records lost, when later ones tell.
    pub records: Option<u64>,
    /// What is wrong there.
    pub why: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: offset {}: record {}: {}", self.file.display(), self.offset, self.seq, self.why)?;
        match self.records {
            Some(records) => write!(f, " ({} bytes, {records} records lost)", self.bytes),
            None => write!(f, " ({} bytes lost)", self.bytes),
        }
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Number of the last record read; 0 for none.
    pub last_seq: u64,
    /// Whether the last segment was sealed: the session ended on purpose.
    pub sealed: bool,
    /// What was dropped at the end, if anything was.
    pub torn: Option<Damage>,
}

/// One step of a reading that goes on after damage.
#[derive(Debug)]
pub enum Reading<'a> {
    /// A record.
    Record(Record<'a>),
    /// A place without one; the reading goes on after it.
    Damage(Damage),
}

/// A session's folder, opened.
#[derive(Debug)]
pub struct JournalReader {
    session_dir: PathBuf,
    info: SessionInfo,
    end: Option<SessionEnd>,
}

impl JournalReader {
    /// Opens a session's folder.
    ///
    /// # Errors
    /// When the folder holds no session, or one of a version that this build does not know.
    pub fn open(session_dir: &Path) -> Result<JournalReader, JournalError> {
        let info = SessionInfo::read(session_dir)?;
        let end = SessionEnd::read(session_dir)?;
        Ok(JournalReader { session_dir: session_dir.to_owned(), info, end })
    }

    /// What the session file says.
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// What the session left when it ended on purpose.
    pub fn end(&self) -> Option<&SessionEnd> {
        self.end.as_ref()
    }

    /// The session's folder.
    pub fn session_dir(&self) -> &Path {
        &self.session_dir
    }

    /// Whether the session wrote that stream.
    pub fn has(&self, stream: Stream) -> bool {
        self.lanes(stream) > 0
    }

    /// How many writers the stream has.
    pub fn lanes(&self, stream: Stream) -> u16 {
        (0..u16::MAX).take_while(|&lane| lane_folder(&self.session_dir, stream, lane).is_dir()).count() as u16
    }

    /// Reads a stream from its first record. A stream that the session did not write has no records.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn stream(&self, stream: Stream) -> Result<StreamReader, JournalError> {
        self.lane(stream, 0)
    }

    /// Reads one writer's part of a stream.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn lane(&self, stream: Stream, lane: u16) -> Result<StreamReader, JournalError> {
        let folder = lane_folder(&self.session_dir, stream, lane);
        let mut segments = Vec::new();
        if folder.is_dir() {
            let listing = std::fs::read_dir(&folder).map_err(JournalError::io("list", &folder))?;
            for entry in listing {
                let path = entry.map_err(JournalError::io("list", &folder))?.path();
                if let Some(number) = segment_number(&path) {
                    segments.push((number, path));
                }
            }
        }
        segments.sort();
        let id = SegmentId { session: self.info.session_id(), stream, lane, number: 1 };
        Ok(StreamReader {
            id,
            kept: kept(&folder, id),
            folder,
            segments,
            at: 0,
            open: None,
            next_seq: 1,
            sealed: false,
            torn: None,
        })
    }
}

#[derive(Debug)]
struct OpenSegment {
    bytes: SegmentBytes,
    crc_seed: u32,
    sealed: Option<Sealed>,
    /// Whether the file is shorter than it was made, though nobody sealed it.
    cut: bool,
    /// The next record's first unit.
    unit: usize,
    /// One past the last unit that can hold a record.
    end_unit: usize,
}

/// Reads one lane of a stream, record after record.
#[derive(Debug)]
pub struct StreamReader {
    id: SegmentId,
    folder: PathBuf,
    /// What the lane's tail has kept, the newest last.
    kept: Vec<Kept>,
    segments: Vec<(u32, PathBuf)>,
    /// The segment that is open, or will be next.
    at: usize,
    open: Option<OpenSegment>,
    next_seq: u64,
    sealed: bool,
    torn: Option<Damage>,
}

/// What [`StreamReader::find`] found.
enum Found {
    /// A record at these units of the open segment.
    Record(usize, usize),
    Damage(Damage),
    End,
}

impl StreamReader {
    /// The next record; `None` at the end, of which [`tail`](Self::tail) tells more.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] for damage that is not a torn tail. A later call goes on after it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        match self.find()? {
            Found::Record(from, to) => self.record(from, to).map(Some),
            Found::Damage(damage) => Err(JournalError::Corrupt(damage)),
            Found::End => Ok(None),
        }
    }

    /// The next record or the next place without one; `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read at all.
    pub fn next_reading(&mut self) -> Result<Option<Reading<'_>>, JournalError> {
        match self.find()? {
            Found::Record(from, to) => self.record(from, to).map(|record| Some(Reading::Record(record))),
            Found::Damage(damage) => Ok(Some(Reading::Damage(damage))),
            Found::End => Ok(None),
        }
    }

    /// How the stream ended; to be asked after the last record.
    pub fn tail(&self) -> Tail {
        Tail { last_seq: self.next_seq - 1, sealed: self.sealed, torn: self.torn.clone() }
    }

    /// Number of the oldest segment that is there.
    pub(super) fn first_number(&self) -> Option<u32> {
        self.segments.first().map(|(number, _)| *number)
    }

    /// Bytes of all the stream's files: for progress bars.
    pub fn total_bytes(&self) -> u64 {
        self.segments.iter().filter_map(|(_, path)| path.metadata().ok()).map(|meta| meta.len()).sum()
    }

    fn record(&self, from: usize, to: usize) -> Result<Record<'_>, JournalError> {
        // `find` has just returned these units.
        let units = self.open.as_ref().map_or(&[][..], |open| &open.bytes.units()[from..to]);
        Record::from_units(units).map_err(|_| {
            JournalError::Corrupt(Damage {
                file: self.segments[self.at].1.clone(),
                offset: (from * UNIT_BYTES) as u64,
                seq: self.next_seq - 1,
                bytes: ((to - from) * UNIT_BYTES) as u64,
                records: Some(1),
                why: "a kind or stream that this build does not know",
            })
        })
    }

    /// Advances to the next record or damage.
    fn find(&mut self) -> Result<Found, JournalError> {
        loop {
            let Some(open) = &mut self.open else {
                if self.at == self.segments.len() || self.torn.is_some() {
                    return Ok(Found::End);
                }
                if let Some(damage) = self.open_segment()? {
                    return Ok(Found::Damage(damage));
                }
                continue;
            };
            let units = open.bytes.units();
            match check(units, open.unit, open.end_unit, open.crc_seed, 0) {
                Checked::Whole { units, seq } if seq == self.next_seq => {
                    let from = open.unit;
                    open.unit += units;
                    self.next_seq += 1;
                    return Ok(Found::Record(from, from + units));
                }
                Checked::Whole { seq, .. } => {
                    // A whole record in its own place with another number: the writer never makes one.
                    let lost = seq.checked_sub(self.next_seq);
                    let damage = Damage {
                        file: self.segments[self.at].1.clone(),
                        offset: (open.unit * UNIT_BYTES) as u64,
                        seq: self.next_seq,
                        bytes: 0,
                        records: lost,
                        why: "a record with another number is in its place",
                    };
                    self.next_seq = seq;
                    return Ok(Found::Damage(damage));
                }
                Checked::No(why) => {
                    if let Some(damage) = self.no_record(why) {
                        return Ok(Found::Damage(damage));
                    }
                }
            }
        }
    }

    /// Handles a place without a record: the segment's end, a torn tail, or damage.
    fn no_record(&mut self, why: &'static str) -> Option<Damage> {
        let open = self.open.as_mut()?;
        let path = &self.segments[self.at].1;
        let units = open.bytes.units();
        let from = open.unit;
        if let Some(sealed) = open.sealed
            && from * UNIT_BYTES == sealed.used_bytes as usize
            && self.next_seq == sealed.last_seq + 1
        {
            self.sealed = true;
            self.open = None;
            self.at += 1;
            return None;
        }
        let mut damage = Damage {
            file: path.clone(),
            offset: (from * UNIT_BYTES) as u64,
            seq: self.next_seq,
            bytes: 0,
            records: None,
            why,
        };
        // Pages that were not yet on the disk get there in any order: whole ones behind the damage tell nothing.
        let place = (self.segments[self.at].0, from * UNIT_BYTES);
        let unsynced = open.sealed.is_none() && self.kept.last().is_some_and(|kept| place >= kept.synced_to());
        // Elsewhere a whole record further on shows that the damage is not the end.
        for next in from + 1..if unsynced { from } else { open.end_unit } {
            if let Checked::Whole { seq, .. } = check(units, next, open.end_unit, open.crc_seed, 0) {
                damage.bytes = ((next - from) * UNIT_BYTES) as u64;
                damage.records = seq.checked_sub(self.next_seq);
                open.unit = next;
                self.next_seq = seq;
                return Some(damage);
            }
        }
        // Nothing follows in this segment. What is not zero is lost; what is zero was never written.
        let written = written_bytes(&open.bytes.bytes()[from * UNIT_BYTES..]);
        damage.bytes = written as u64;
        let (sealed, cut) = (open.sealed, open.cut);
        self.open = None;
        self.at += 1;
        if let Some(sealed) = sealed {
            damage.bytes = sealed.used_bytes - damage.offset;
            damage.records = (sealed.last_seq + 1).checked_sub(self.next_seq);
            damage.why = "the sealed segment ends before its last record";
            self.next_seq = sealed.last_seq + 1;
            return Some(damage);
        }
        // A killed session leaves prepared segments that were never opened; they do not count as following.
        let first_seq_after = self.segments[self.at..].iter().find_map(|(number, path)| {
            let page = self.header_page(*number, path).ok()?;
            first_seq_in(&page)
        });
        match first_seq_after {
            Some(seq) if seq == self.next_seq && written == 0 && !cut => None,
            Some(seq) if !unsynced => {
                damage.records = seq.checked_sub(self.next_seq);
                self.next_seq = seq;
                Some(damage)
            }
            _ => {
                self.sealed = false;
                // Without a tear there may be one in what follows, whose opening part was lost.
                self.torn = (written > 0 || cut || first_seq_after.is_some()).then_some(damage);
                None
            }
        }
    }

    /// Opens the segment at `self.at`, or passes it by when nothing was ever written to it.
    fn open_segment(&mut self) -> Result<Option<Damage>, JournalError> {
        let (number, path) = &self.segments[self.at];
        let id = SegmentId { number: *number, ..self.id };
        let whole = |why| JournalError::Segment { path: path.clone(), why };
        let seed = id.crc_seed();
        let page = self.header_page(*number, path)?;
        let is_last = self.at + 1 == self.segments.len();
        if page.len() < HEADER_BYTES {
            // A file cut inside its header holds no record.
            let damage = self.damage_at_header(page.len() as u64);
            self.at += 1;
            if is_last {
                self.torn = Some(damage);
                self.sealed = false;
                return Ok(None);
            }
            return Ok(Some(damage));
        }
        let prepared = match Prepared::read(&page) {
            Ok(prepared) => prepared,
            Err(PartError::Version(found)) => {
                return Err(JournalError::Version { path: path.clone(), found, known: FORMAT_VERSION });
            }
            // Handled above: the page is whole.
            Err(PartError::Short) => return Err(whole("the header is damaged")),
            Err(PartError::Magic) => return Err(whole("not a segment of a journal")),
            Err(PartError::Checksum) => return Err(whole("the header is damaged")),
        };
        if prepared.id() != Some(id) {
            return Err(whole("the header names another session, stream or number: the file was moved or copied here"));
        }
        let expected = self.segments.first().map_or(1, |(first, _)| *first) + self.at as u32;
        if *number != expected {
            return Err(whole("a segment before this one is missing"));
        }
        let Some(opened) = Opened::read(&page, seed).map_err(whole)? else {
            // Never used; or the power went before the page with its opening part was on the disk, and others were.
            let end = last_byte(path)?;
            if end > HEADER_BYTES as u64 {
                let damage = self.damage_at_header(end);
                self.torn = Some(Damage { why: "the segment has bytes, but was not opened", ..damage });
                self.sealed = false;
            }
            self.at += 1;
            return Ok(None);
        };
        let sealed = Sealed::read(&page, seed).map_err(whole)?;
        let length = path.metadata().map_err(JournalError::io("size the segment", path))?.len();
        let mut bytes = match sealed {
            // A sealed file that was cut since must not be mapped beyond what it has, and its end is damage.
            Some(sealed) if length >= sealed.used_bytes => SegmentBytes::map(path)?,
            _ => SegmentBytes::copy(path)?,
        };
        if sealed.is_none() {
            // Bytes of a segment never change once they are written: what the tail kept is what the page has, or had
            // when the power went.
            for kept in self.kept.iter().filter(|kept| kept.number == *number) {
                bytes.lay_over(kept.offset, &kept.bytes);
            }
        }
        let used = sealed.map_or(usize::MAX, |sealed| sealed.used_bytes as usize);
        let end_unit = bytes.units().len().min(used / UNIT_BYTES);
        let first_unit = (HEADER_BYTES / UNIT_BYTES).min(end_unit);
        let damage = (opened.first_seq != self.next_seq).then(|| Damage {
            file: path.clone(),
            offset: HEADER_BYTES as u64,
            seq: self.next_seq,
            bytes: 0,
            records: opened.first_seq.checked_sub(self.next_seq),
            why: "the segment starts with another record",
        });
        self.next_seq = opened.first_seq;
        self.sealed = false;
        let cut = sealed.is_none() && length < prepared.file_bytes;
        self.open = Some(OpenSegment { bytes, crc_seed: seed, sealed, cut, unit: first_unit, end_unit });
        // The first segment's first number is where the stream starts, even if earlier segments were retired.
        Ok(damage.filter(|_| self.at > 0))
    }

    /// A segment's header page: as it is in the file, or as the tail kept it before that was synced.
    fn header_page(&self, number: u32, path: &Path) -> Result<Vec<u8>, JournalError> {
        let mut page = read_page(path)?;
        // A sealed segment is on the disk; what the tail kept of its header is older than its seal.
        let is_sealed = page.get(SEALED_AT..).is_some_and(|rest| rest.iter().any(|&byte| byte != 0));
        if page.len() == HEADER_BYTES && !is_sealed {
            for kept in self.kept.iter().filter(|kept| kept.number == number && kept.offset < HEADER_BYTES) {
                let end = HEADER_BYTES.min(kept.offset + kept.bytes.len());
                page[kept.offset..end].copy_from_slice(&kept.bytes[..end - kept.offset]);
            }
        }
        Ok(page)
    }

    fn damage_at_header(&self, bytes: u64) -> Damage {
        Damage {
            file: self.segments[self.at].1.clone(),
            offset: 0,
            seq: self.next_seq,
            bytes,
            records: None,
            why: "the file ends inside its header",
        }
    }

    /// The lane's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// One past the last byte of a file that is not zero; read in pieces, because it is all zeros as a rule.
fn last_byte(path: &Path) -> Result<u64, JournalError> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(path).map_err(JournalError::io("open the segment", path))?;
    let mut piece = vec![0_u8; 256 << 10];
    let (mut at, mut end) = (0, 0);
    loop {
        match file.read_at(&mut piece, at).map_err(JournalError::io("read the segment", path))? {
            0 => return Ok(end),
            count => {
                let written = written_bytes(&piece[..count]) as u64;
                end = if written > 0 { at + written } else { end };
                at += count as u64;
            }
        }
    }
}

/// Bytes up to the last one that is not zero.
fn written_bytes(bytes: &[u8]) -> usize {
    // By the kibibyte, because what is looked at is mostly zeros.
    let piece = bytes.rchunks(1024).position(|piece| piece.iter().fold(0, |all, &byte| all | byte) != 0);
    let end = bytes.len() - piece.map_or(bytes.len(), |at| at * 1024).min(bytes.len());
    bytes[..end].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

pub(super) enum Checked {
    Whole { units: usize, seq: u64 },
    No(&'static str),
}

/// Whether a whole record lies at a unit.
///
/// `base` is the place in the file of the first of the units.
pub(super) fn check(all: &[Unit], at: usize, end: usize, crc_seed: u32, base: usize) -> Checked {
    if at >= end {
        return Checked::No("the file ends inside the record");
    }
    let raw: &RawHeader = &bytemuck::cast_slice::<u64, RawHeader>(&all[at].0)[0];
    if raw.commit & !0xFFFF != RawHeader::COMMITTED {
        return Checked::No(if raw.commit == 0 {
            "the record was not committed"
        } else {
            "the commit word is damaged"
        });
    }
    let units = (raw.commit & 0xFFFF) as usize;
    if units != crate::wire::record::units_for(raw.len as usize) {
        return Checked::No("the record's two lengths differ");
    }
    if at + units > end {
        return Checked::No("the file ends inside the record");
    }
    if raw.crc != record_crc(crc_seed, base + at * UNIT_BYTES, &all[at..at + units]) {
        return Checked::No("the checksum is wrong");
    }
    Checked::Whole { units, seq: raw.seq }
}

pub(super) fn read_page(path: &Path) -> Result<Vec<u8>, JournalError> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(JournalError::io("open the segment", path))?;
    let mut page = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64).read_to_end(&mut page).map_err(JournalError::io("read the segment", path))?;
    Ok(page)
}

/// The number of a segment's first record, when the segment was ever opened.
pub(super) fn first_seq_of(path: &Path) -> Option<u64> {
    first_seq_in(&read_page(path).ok()?)
}

fn first_seq_in(page: &[u8]) -> Option<u64> {
    let id = Prepared::read(page).ok()?.id()?;
    Some(Opened::read(page, id.crc_seed()).ok()??.first_seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JournalConfig, LocalJournal};
    use crate::types::{SessionId, TimestampNs};
    use crate::wire::{Flags, Kind, RecordBuf};

    fn payload(seq: u64) -> Vec<u8> {
        (0..(seq as usize * 37) % 500).map(|at| (at as u64 * 31 + seq) as u8).collect()
    }

    fn write(dir: &Path, records: u64, segment_bytes: u64) -> PathBuf {
        let info = SessionInfo::new(SessionId(7), "test", "binance", TimestampNs::ZERO, &[], None);
        let config = JournalConfig { segment_bytes, ..JournalConfig::for_virtual_time(dir) };
        let mut journal = LocalJournal::create(&config, &info).unwrap();
        let mut buf = RecordBuf::default();
        for seq in 1..=records {
            buf.begin();
            buf.put(&payload(seq));
            let ts = TimestampNs::from_nanos(seq);
            let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, ts);
            journal.append(Stream::Feed, units).unwrap();
        }
        journal.close().unwrap()
    }

    #[test]
    fn every_record_comes_back_across_segments() {
        let dir = tempfile::tempdir().unwrap();
        let session = write(dir.path(), 2_000, 16 << 10);
        let reader = JournalReader::open(&session).unwrap();
        let mut stream = reader.stream(Stream::Feed).unwrap();
        for seq in 1..=2_000 {
            let record = stream.next().unwrap().unwrap();
            assert_eq!((record.header.seq, record.payload), (seq, &payload(seq)[..]));
        }
        assert!(stream.next().unwrap().is_none());
        assert_eq!(stream.tail(), Tail { last_seq: 2_000, sealed: true, torn: None });
        assert!(std::fs::read_dir(session.join("feed")).unwrap().count() > 20, "small segments make many files");
        let mut empty = reader.stream(Stream::Quote).unwrap();
        assert!(empty.next().unwrap().is_none());
        assert!(empty.tail().sealed);
    }

    #[test]
    fn no_flipped_bit_and_no_other_place_makes_a_record() {
        let dir = tempfile::tempdir().unwrap();
        let session = write(dir.path(), 1_000, 1 << 20);
        let mut bytes = SegmentBytes::copy(&session.join("feed/000001.tlj")).unwrap();
        let SegmentBytes::Copied(bytes, _) = &mut bytes else { unreachable!("a copy") };
        let units: &mut [Unit] = bytemuck::cast_slice_mut(bytes);
        let id = SegmentId { session: SessionId(7), stream: Stream::Feed, lane: 0, number: 1 };
        let (seed, end) = (id.crc_seed(), units.len());
        let is_record = |units: &[Unit], at| matches!(check(units, at, end, seed, 0), Checked::Whole { .. });
        let (mut at, mut records, mut flips) = (HEADER_BYTES / UNIT_BYTES, 0, 0);
        while let Checked::Whole { units: length, .. } = check(units, at, end, seed, 0) {
            for word in (at..at + length).flat_map(|unit| (0..8).map(move |word| (unit, word))) {
                for bit in 0..64 {
                    units[word.0].0[word.1] ^= 1 << bit;
                    assert!(!is_record(units, at), "record {records}, bit {bit} of word {word:?}");
                    units[word.0].0[word.1] ^= 1 << bit;
                    flips += 1;
                }
            }
            // The same record in another place of its segment.
            for moved in [1, 2, 63, 64, 65, 128] {
                if let (Some(to), true) = (at.checked_sub(moved), at >= moved + HEADER_BYTES / UNIT_BYTES) {
                    let saved = units[to..to + length].to_vec();
                    units.copy_within(at..at + length, to);
                    assert!(!is_record(units, to), "record {records} moved by {moved} units");
                    // Overlapping places: what was under the copy comes back last.
                    units[to..to + length].copy_from_slice(&saved);
                }
            }
            at += length;
            records += 1;
        }
        assert_eq!((records, flips), (1_000, (at - HEADER_BYTES / UNIT_BYTES) * 512));
    }

    #[test]
    fn a_missing_segment_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let session = write(dir.path(), 500, 16 << 10);
        std::fs::remove_file(session.join("feed/000002.tlj")).unwrap();
        let mut stream = JournalReader::open(&session).unwrap().stream(Stream::Feed).unwrap();
        let error = loop {
            match stream.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the hole was not noticed"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("000003.tlj") && error.contains("before this one is missing"), "{error}");
    }

    #[test]
    fn a_segment_of_another_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let session = write(dir.path(), 500, 16 << 10);
        std::fs::copy(session.join("feed/000003.tlj"), session.join("feed/000002.tlj")).unwrap();
        let mut stream = JournalReader::open(&session).unwrap().stream(Stream::Feed).unwrap();
        let error = loop {
            match stream.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the copy was not noticed"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("000002.tlj") && error.contains("moved or copied"), "{error}");
    }
}
