//! Damage to a journal on disk: every kind is detected, none is taken for a record, and what is whole is kept.

use std::path::{Path, PathBuf};

use touchline::journal::{JournalConfig, JournalError, JournalReader, LocalJournal, Reading, SessionInfo, Tail};
use touchline::types::{SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream};

/// Payload sizes from 0 to a few units, so that records start at every kind of place.
fn payload(seq: u64) -> Vec<u8> {
    (0..(seq as usize * 53) % 210).map(|at| (at as u64 * 31 + seq * 7) as u8 | 1).collect()
}

fn write(dir: &Path, records: u64) -> LocalJournal {
    let info = SessionInfo::new(SessionId(1_795_370_000_123), "test", "binance", TimestampNs::ZERO, &[], None);
    let config = JournalConfig { segment_bytes: 64 << 10, ..JournalConfig::for_virtual_time(dir) };
    let mut journal = LocalJournal::create(&config, &info).unwrap();
    let mut buf = RecordBuf::default();
    for seq in 1..=records {
        buf.begin();
        buf.put(&payload(seq));
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::from_nanos(seq));
        journal.append(Stream::Feed, units).unwrap();
    }
    journal
}

/// The session as a killed process leaves it: nothing sealed, prepared segments lying about.
fn killed(dir: &Path, records: u64) -> PathBuf {
    let journal = write(dir, records);
    let session = journal.session_dir().to_owned();
    std::mem::forget(journal);
    session
}

/// Start of every record in the file, and the end of the last.
fn record_offsets(records: u64) -> Vec<usize> {
    let mut offsets = vec![4096];
    for seq in 1..=records {
        offsets.push(offsets.last().unwrap() + (32 + payload(seq).len()).div_ceil(64) * 64);
    }
    offsets
}

/// Reads to the end and checks every record; the count of records and the tail.
fn read_strictly(session: &Path) -> Result<Tail, JournalError> {
    let mut stream = JournalReader::open(session)?.stream(Stream::Feed)?;
    let mut seq = 0;
    while let Some(record) = stream.next()? {
        seq += 1;
        assert_eq!(record.header.seq, seq);
        assert_eq!(record.payload, payload(seq), "record {seq} came back changed");
    }
    Ok(stream.tail())
}

/// Reads on after damage; the numbers of the records that came back whole, and how many places were damaged.
fn read_on(session: &Path) -> (Vec<u64>, usize) {
    let mut stream = JournalReader::open(session).unwrap().stream(Stream::Feed).unwrap();
    let (mut kept, mut damages) = (Vec::new(), 0);
    while let Some(reading) = stream.next_reading().unwrap() {
        match reading {
            Reading::Record(record) => {
                assert_eq!(record.payload, payload(record.header.seq), "a changed record came back");
                kept.push(record.header.seq);
            }
            Reading::Damage(_) => damages += 1,
        }
    }
    damages += usize::from(stream.tail().torn.is_some());
    (kept, damages)
}

#[test]
fn a_killed_session_is_read_to_its_last_record() {
    let dir = tempfile::tempdir().unwrap();
    let session = killed(dir.path(), 300);
    assert_eq!(read_strictly(&session).unwrap(), Tail { last_seq: 300, sealed: false, torn: None });
}

#[test]
fn every_cut_of_the_last_page_keeps_the_longest_whole_prefix() {
    for sealed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let session = if sealed { write(dir.path(), 120).close().unwrap() } else { killed(dir.path(), 120) };
        let file = session.join("feed/000001.tlj");
        let whole = std::fs::read(&file).unwrap();
        let offsets = record_offsets(120);
        let end = *offsets.last().unwrap();
        for cut in end - 4096..=end {
            std::fs::write(&file, &whole[..cut]).unwrap();
            let want = offsets.iter().skip(1).filter(|&&record_end| record_end <= cut).count() as u64;
            let result = read_strictly(&session);
            match (sealed, cut == end) {
                (true, true) => assert_eq!(result.unwrap().last_seq, 120),
                // A sealed file says how long it was: its loss is an error of the strict reading ...
                (true, false) => {
                    let text = result.unwrap_err().to_string();
                    assert!(text.contains(&format!("record {}", want + 1)), "{text}");
                }
                (false, _) => {
                    let tail = result.unwrap();
                    let torn = tail.torn.expect("a cut file says so");
                    assert_eq!(tail.last_seq, want, "cut at {cut}");
                    assert_eq!((torn.offset, torn.seq), (offsets[want as usize] as u64, want + 1));
                    let lost = &whole[offsets[want as usize]..cut];
                    assert_eq!(torn.bytes, lost.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1));
                }
            }
            // ... and every whole record is there for a reading that goes on.
            let (kept, damages) = read_on(&session);
            assert_eq!(kept, (1..=want).collect::<Vec<_>>(), "cut at {cut}");
            assert_eq!(damages, usize::from(!(sealed && cut == end)));
        }
    }
}

#[test]
fn every_start_of_lost_pages_keeps_the_longest_whole_prefix() {
    // A power cut: the file has its length, but from some byte on nothing reached the disk.
    let dir = tempfile::tempdir().unwrap();
    let session = killed(dir.path(), 120);
    let file = session.join("feed/000001.tlj");
    let whole = std::fs::read(&file).unwrap();
    let offsets = record_offsets(120);
    let end = *offsets.last().unwrap();
    for lost_from in end - 4096..end {
        let mut bytes = whole.clone();
        bytes[lost_from..].fill(0);
        std::fs::write(&file, &bytes).unwrap();
        let tail = read_strictly(&session).unwrap();
        // A record whose lost bytes were zero anyway is still whole.
        let want =
            (0..120).take_while(|&at| bytes[offsets[at]..offsets[at + 1]] == whole[offsets[at]..offsets[at + 1]]);
        let want = want.count();
        assert_eq!(tail.last_seq, want as u64, "lost from {lost_from}");
        let left = bytes[offsets[want]..].iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
        assert_eq!(tail.torn.map_or(0, |torn| torn.bytes), left);
    }
}

#[test]
fn lost_sectors_before_whole_ones_are_corruption_not_a_tail() {
    let dir = tempfile::tempdir().unwrap();
    let session = killed(dir.path(), 200);
    let file = session.join("feed/000001.tlj");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[8192..8192 + 512].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    let offsets = record_offsets(200);
    let first_lost = offsets.iter().skip(1).filter(|&&end| end <= 8192).count() as u64 + 1;
    let error = read_strictly(&session).unwrap_err();
    let JournalError::Corrupt(damage) = &error else { panic!("{error}") };
    assert_eq!((damage.seq, damage.file.as_path()), (first_lost, file.as_path()));
    let (kept, damages) = read_on(&session);
    let lost = damage.records.unwrap();
    assert_eq!((kept.len() as u64 + lost, damages), (200, 1));
}

#[test]
fn every_flipped_bit_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let session = killed(dir.path(), 60);
    let file = session.join("feed/000001.tlj");
    let mut bytes = std::fs::read(&file).unwrap();
    let offsets = record_offsets(60);
    // Each bit of twelve records in the middle, headers and padding included.
    for record in 20..32_usize {
        for at in offsets[record]..offsets[record + 1] {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                std::fs::write(&file, &bytes[..offsets[60] + 64]).unwrap();
                let error = read_strictly(&session).expect_err("the flip was not noticed");
                let JournalError::Corrupt(damage) = &error else { panic!("{error}") };
                assert_eq!((damage.offset, damage.seq), (offsets[record] as u64, record as u64 + 1));
                assert_eq!((damage.records, &damage.file), (Some(1), &file));
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_sealed_last_record_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let session = write(dir.path(), 40).close().unwrap();
    let file = session.join("feed/000001.tlj");
    let mut bytes = std::fs::read(&file).unwrap();
    let offsets = record_offsets(40);
    for at in offsets[39]..offsets[40] {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            std::fs::write(&file, &bytes).unwrap();
            let error = read_strictly(&session).expect_err("the flip was not noticed");
            assert!(error.to_string().contains("record 40"), "{error}");
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_flipped_bit_of_the_header_page_is_detected_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let session = write(dir.path(), 5).close().unwrap();
    let file = session.join("feed/000001.tlj");
    let mut bytes = std::fs::read(&file).unwrap();
    for at in 0..4096 {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            std::fs::write(&file, &bytes).unwrap();
            match read_strictly(&session) {
                Err(_) => assert!(at < 256, "byte {at} means nothing"),
                Ok(tail) => assert!(at >= 256 && tail.last_seq == 5, "byte {at} was flipped unnoticed"),
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_block_in_another_place_is_never_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let session = killed(dir.path(), 400);
    let file = session.join("feed/000001.tlj");
    let whole = std::fs::read(&file).unwrap();
    // One page over another: duplicated, swapped, and moved by one unit.
    for (from, to) in [(8192, 16384), (16384, 8192), (8192, 12288), (8192 + 64, 16384)] {
        let mut bytes = whole.clone();
        bytes[to..to + 4096].copy_from_slice(&whole[from..from + 4096]);
        std::fs::write(&file, &bytes).unwrap();
        assert!(matches!(read_strictly(&session), Err(JournalError::Corrupt(_))), "{from} over {to}");
        let (kept, damages) = read_on(&session);
        assert!(damages >= 1 && kept.windows(2).all(|pair| pair[0] < pair[1]));
    }
    // The same place in another session's file.
    let other_dir = tempfile::tempdir().unwrap();
    let info = SessionInfo::new(SessionId(99), "test", "binance", TimestampNs::ZERO, &[], None);
    let config = JournalConfig { segment_bytes: 64 << 10, ..JournalConfig::for_virtual_time(other_dir.path()) };
    let mut journal = LocalJournal::create(&config, &info).unwrap();
    let mut buf = RecordBuf::default();
    for seq in 1..=400 {
        buf.begin();
        buf.put(&payload(seq));
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::from_nanos(seq));
        journal.append(Stream::Feed, units).unwrap();
    }
    let foreign = std::fs::read(journal.session_dir().join("feed/000001.tlj")).unwrap();
    let mut bytes = whole.clone();
    bytes[8192..12288].copy_from_slice(&foreign[8192..12288]);
    std::fs::write(&file, &bytes).unwrap();
    assert!(matches!(read_strictly(&session), Err(JournalError::Corrupt(_))));
}
