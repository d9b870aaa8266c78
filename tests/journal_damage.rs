//! Damage to a journal on disk: every kind is detected, none is taken for a record, and what is whole is kept.

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use touchline::journal::{
    Journal, JournalConfig, JournalError, JournalReader, JournalWriter, LocalJournal, Reading, SessionInfo, Tail,
};
use touchline::types::{DurationNs, SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream};

/// In memory where the system has such a place: these tests write thousands of files and are about none of them lasting.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn long() -> bool {
    std::env::var_os("TOUCHLINE_LONG").is_some_and(|value| value == "1")
}

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
    let dir = folder();
    let session = killed(dir.path(), 300);
    assert_eq!(read_strictly(&session).unwrap(), Tail { last_seq: 300, sealed: false, torn: None });
}

#[test]
fn every_cut_of_the_last_page_keeps_the_longest_whole_prefix() {
    for sealed in [false, true] {
        let dir = folder();
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
    let dir = folder();
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
    let dir = folder();
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
    let dir = folder();
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
    let dir = folder();
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
    let dir = folder();
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
    let dir = folder();
    let session = killed(dir.path(), 400);
    let file = session.join("feed/000001.tlj");
    let whole = std::fs::read(&file).unwrap();
    // Every page over every other one, alone, swapped, and moved by one unit.
    let pages = whole.len() as u64 / 4096 - 1;
    let places = (1..pages).flat_map(|from| (1..pages).map(move |to| (from as usize * 4096, to as usize * 4096)));
    for (from, to) in places.filter(|(from, to)| from != to) {
        for (moved, swapped) in [(0, false), (0, true), (64, false)] {
            let mut bytes = whole.clone();
            bytes[to..to + 4096].copy_from_slice(&whole[from + moved..from + moved + 4096]);
            if swapped {
                bytes[from..from + 4096].copy_from_slice(&whole[to..to + 4096]);
            }
            std::fs::write(&file, &bytes).unwrap();
            assert!(matches!(read_strictly(&session), Err(JournalError::Corrupt(_))), "{from}+{moved} over {to}");
            let (kept, damages) = read_on(&session);
            assert!(damages >= 1 && kept.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
    // The same place in another session's file.
    let other_dir = folder();
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

fn append(feed: &mut JournalWriter, records: u64) {
    let mut buf = RecordBuf::default();
    for _ in 0..records {
        let seq = feed.next_seq();
        buf.begin();
        buf.put(&payload(seq));
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::from_nanos(seq));
        feed.append(units).unwrap();
    }
}

/// Bytes of a segment's first part, which is on the disk before its writer has it.
const PREPARED: usize = 128;

/// What a lane's files hold: two segments and the tail.
fn files(lane: &Path) -> [Vec<u8>; 3] {
    ["000001.tlj", "000002.tlj", "tail"].map(|name| std::fs::read(lane.join(name)).unwrap())
}

/// Where each record lies: segment and bytes.
fn places(lane: &[Vec<u8>; 3], records: u64) -> Vec<(usize, std::ops::Range<usize>)> {
    let (mut segment, mut at) = (0, 4096);
    (1..=records)
        .map(|seq| {
            let bytes = (32 + payload(seq).len()).div_ceil(64) * 64;
            if at + bytes > lane[segment].len() {
                (segment, at) = (segment + 1, 4096);
            }
            at += bytes;
            (segment, at - bytes..at)
        })
        .collect()
}

#[test]
fn a_power_cut_takes_only_what_came_after_the_last_sync_and_leaves_a_prefix() {
    // A model of the disk: what was synced is there; every sector that was written since is there as it was or as it is,
    // sector by sector by chance, and so is the tail's entry that a next sync has begun to write.
    let (masters, patterns) = if long() { (500, 200) } else { (90, 50) };
    let (mut lost, mut torn, mut across) = (0_u64, 0_u64, 0_u64);
    for seed in 0..masters {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let dir = folder();
        let info = SessionInfo::new(SessionId(5), "test", "binance", TimestampNs::ZERO, &[], None);
        // What is synced at once is an eighth of a segment: a page, or two.
        let pages = 1 + seed % 2;
        let (segment_bytes, grain) = (pages * (32 << 10), pages as usize * 4096);
        let config = JournalConfig {
            segment_bytes,
            ballast_bytes: 0,
            sync_interval: Some(DurationNs::from_millis(100)),
            ..JournalConfig::new(dir.path())
        };
        let Journal { mut feed, mut keeper, session_dir, quote, gateways } =
            Journal::create(&config, &info, 0).unwrap();
        let lane = session_dir.join("feed");
        let mut now = 0;
        let mut sync = |keeper: &mut touchline::journal::Keeper| {
            now += 200_000_000;
            keeper.step(TimestampNs::from_nanos(now)).unwrap();
        };
        append(&mut feed, random.random_range(1..40 * pages));
        sync(&mut keeper);
        append(&mut feed, random.random_range(1..100 * pages));
        sync(&mut keeper);
        let synced = feed.next_seq() - 1;
        let mut before = files(&lane);
        append(&mut feed, random.random_range(1..120 * pages));
        let after = files(&lane);
        let records = feed.next_seq() - 1;
        let places = places(&after, records);
        // The grain that the writer was in has not been synced itself: only the tail has what was in it.
        let (at, end) = (places[synced as usize - 1].0, places[synced as usize - 1].1.end);
        let whole = end / grain * grain;
        before[at][whole.max(PREPARED)..].fill(0);
        let kept = after[at][whole..end].to_vec();
        // The third sync has begun: some byte of its entry is not there yet.
        sync(&mut keeper);
        let next_tail = std::fs::read(lane.join("tail")).unwrap();
        let changed: Vec<usize> = (0..next_tail.len()).filter(|&byte| next_tail[byte] != before[2][byte]).collect();
        for pattern in 0..patterns {
            let sector = if pattern % 2 == 0 { 512 } else { 4096 };
            let survives = [0.5, 0.1, 0.9, 0.0, 1.0][pattern % 5];
            let mut disk = before.clone();
            for (file, now) in disk.iter_mut().zip(&after).take(2) {
                for (old, new) in file.chunks_mut(sector).zip(now.chunks(sector)) {
                    if old != new && random.random_bool(survives) {
                        old.copy_from_slice(new);
                    }
                }
            }
            if pattern % 3 == 0 {
                disk[2].copy_from_slice(&next_tail);
                disk[2][changed[random.random_range(0..changed.len())]] ^= 0x55;
            }
            for (name, bytes) in ["000001.tlj", "000002.tlj", "tail"].iter().zip(&disk) {
                std::fs::write(lane.join(name), bytes).unwrap();
            }
            // What must come back: with the kept bytes in their place, all records up to the first that is not as written.
            disk[at][whole..end].copy_from_slice(&kept);
            let opened = |segment: usize| disk[segment][128..192] == after[segment][128..192];
            let whole = places.iter().take_while(|(segment, place)| {
                opened(*segment) && disk[*segment][place.clone()] == after[*segment][place.clone()]
            });
            let want = whole.count() as u64;
            assert!(want >= synced, "the model is wrong");
            let tail = read_strictly(&session_dir).unwrap_or_else(|error| panic!("seed {seed}, {pattern}: {error}"));
            assert_eq!(tail.last_seq, want, "seed {seed}, pattern {pattern}");
            let dropped = places[want as usize..]
                .iter()
                .any(|(segment, place)| disk[*segment][place.clone()].iter().any(|&byte| byte != 0));
            // A second segment that was opened says that the first one had more than came back.
            let in_first = places.iter().filter(|(segment, _)| *segment == 0).count() as u64;
            let dropped = dropped || (want < in_first && disk[1][128..192].iter().any(|&byte| byte != 0));
            assert_eq!(tail.torn.is_some(), dropped, "seed {seed}, pattern {pattern}: {:?}", tail.torn);
            lost += records - want;
            torn += u64::from(dropped);
            across += u64::from(places[want as usize - 1].0 == 1);
        }
        drop((feed, quote, gateways, keeper));
    }
    println!(
        "{} cuts: {torn} torn, {across} behind a change of segments, {lost} unsynced records lost, 0 synced ones",
        masters as usize * patterns
    );
    assert!(torn > 100 && across > 100 && lost > 1_000, "the patterns are too tame");
}

#[test]
fn segments_change_at_every_place_of_a_record_and_lose_none() {
    let dir = folder();
    let info = SessionInfo::new(SessionId(5), "test", "binance", TimestampNs::ZERO, &[], None);
    // Room for 64 units.
    let config = JournalConfig { segment_bytes: 8192, ..JournalConfig::for_virtual_time(dir.path()) };
    let mut journal = LocalJournal::create(&config, &info).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut buf = RecordBuf::default();
    let (mut lengths, mut room, mut changes) = (Vec::new(), 64_usize, 0);
    let mut left = std::collections::BTreeSet::new();
    while changes < 1_000 || lengths.len() < 4_000 {
        // Some records fill what is left exactly; others miss it by one unit on either side.
        let units = match random.random_range(0..16) {
            0 => room,
            1 => room + 1,
            2 => room.saturating_sub(1),
            _ => random.random_range(1..=12),
        };
        let units = units.clamp(1, 64);
        if units > room {
            left.insert(room);
            (room, changes) = (64, changes + 1);
        }
        room -= units;
        let seq = journal.next_seq(Stream::Feed);
        buf.begin();
        buf.put(&vec![seq as u8; units * 64 - 32]);
        lengths.push(units * 64 - 32);
        let record = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::from_nanos(seq));
        journal.append(Stream::Feed, record).unwrap();
    }
    let session = journal.close().unwrap();
    assert_eq!(std::fs::read_dir(session.join("feed")).unwrap().count(), changes + 1);
    assert!(left.len() > 55, "units left at a change: {left:?}");
    let mut stream = JournalReader::open(&session).unwrap().stream(Stream::Feed).unwrap();
    for (at, length) in lengths.iter().enumerate() {
        let record = stream.next().unwrap().unwrap();
        assert_eq!((record.header.seq, record.payload.len()), (at as u64 + 1, *length));
        assert!(record.payload.iter().all(|&byte| byte == (at + 1) as u8));
    }
    assert!(stream.next().unwrap().is_none());
    assert!(stream.tail().sealed);
}
