//! A killed process loses no committed record: a child writes, says which record it has committed, and is killed.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use touchline::journal::{Journal, JournalConfig, JournalDown, JournalReader, SessionInfo};
use touchline::types::{DurationNs, SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream};

const CHILD_DIR: &str = "TOUCHLINE_TEST_JOURNAL_CHILD";

fn payload(seq: u64) -> Vec<u8> {
    (0..(seq as usize * 53) % 210).map(|at| (at as u64 * 31 + seq * 7) as u8).collect()
}

fn create(dir: &Path) -> Journal {
    let info = SessionInfo::new(SessionId(5), "test", "binance", TimestampNs::ZERO, &[], None);
    let config = JournalConfig {
        segment_bytes: 128 << 10,
        sync_interval: Some(DurationNs::from_millis(2)),
        ..JournalConfig::new(dir)
    };
    Journal::create(&config, &info, 1).unwrap()
}

/// Not a test of its own: the child of the one below. Writes until it is killed.
#[test]
fn child_writer() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let Journal { mut feed, mut keeper, quote, gateways, .. } = create(Path::new(&dir));
    let _others = (quote, gateways);
    let started = Instant::now();
    let keeping = std::thread::spawn(move || {
        loop {
            // Zero is "not yet" to the keeper's ages.
            keeper.step(TimestampNs::from_nanos(1 + started.elapsed().as_nanos() as u64)).unwrap();
            std::thread::yield_now();
        }
    });
    let ack = std::fs::File::create(Path::new(&dir).join("ack")).unwrap();
    let mut buf = RecordBuf::default();
    loop {
        let seq = feed.next_seq();
        buf.begin();
        buf.put(&payload(seq));
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
        // Slower than the disk only by waiting for the keeper; a hot writer would be down here.
        while !feed.has_room(units.len()) {
            assert!(!keeping.is_finished());
            std::thread::yield_now();
        }
        feed.append(units).unwrap();
        ack.write_all_at(&seq.to_le_bytes(), 0).unwrap();
    }
}

#[test]
fn a_killed_process_loses_no_committed_record() {
    let asked = std::env::var("TOUCHLINE_KILLS").ok().and_then(|text| text.parse().ok());
    let long = std::env::var_os("TOUCHLINE_LONG").is_some_and(|value| value == "1");
    let kills = asked.unwrap_or(if long { 1_000 } else { 100_u64 });
    let (mut acked_total, mut extra_total) = (0, 0);
    for kill in 0..kills {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_writer", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ack_file = dir.path().join("ack");
        let acked = || std::fs::read(&ack_file).ok().and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        // The moment of the kill: some progress, then a time that differs from kill to kill.
        let deadline = Instant::now() + Duration::from_secs(30);
        while acked().is_none_or(|seq| seq < kill % 100 * 97) {
            assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
            assert!(Instant::now() < deadline, "the writer makes no progress");
        }
        let moment = Instant::now() + Duration::from_micros(kill * 337 % 6_011);
        while Instant::now() < moment {}
        child.kill().unwrap();
        child.wait().unwrap();
        let acked = acked().unwrap();

        let session = dir.path().join(SessionId(5).to_string());
        let mut stream = JournalReader::open(&session).unwrap().stream(Stream::Feed).unwrap();
        let mut seq = 0;
        while let Some(record) = stream.next().unwrap() {
            seq += 1;
            assert_eq!((record.header.seq, record.payload), (seq, &payload(seq)[..]));
        }
        let tail = stream.tail();
        assert!(tail.last_seq >= acked, "kill {kill}: record {acked} was committed, {} came back", tail.last_seq);
        acked_total += acked;
        extra_total += tail.last_seq - acked;
    }
    println!("{kills} kills, {acked_total} committed records told of, 0 lost, {extra_total} more came back");
    assert!(extra_total <= kills, "at most one record a kill is committed and not yet told of");
}

#[test]
fn a_keeper_on_another_thread_keeps_up_and_seals_everything() {
    let dir = tempfile::tempdir().unwrap();
    let Journal { mut feed, quote, gateways, mut keeper, session_dir } = create(dir.path());
    let started = Instant::now();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let records = 100_000;
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                keeper.step(TimestampNs::from_nanos(1 + started.elapsed().as_nanos() as u64)).unwrap();
                std::thread::yield_now();
            }
            keeper
        });
        let mut buf = RecordBuf::default();
        for seq in 1..=records {
            buf.begin();
            buf.put(&payload(seq));
            let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
            while !feed.has_room(units.len()) {
                std::thread::yield_now();
            }
            feed.append(units).unwrap();
        }
        drop((feed, quote, gateways));
        stop.store(true, std::sync::atomic::Ordering::Release);
        keeping.join().unwrap().close().unwrap();
    });
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Feed).unwrap();
    for seq in 1..=records {
        let record = stream.next().unwrap().unwrap();
        assert_eq!((record.header.seq, record.payload), (seq, &payload(seq)[..]));
    }
    assert!(stream.next().unwrap().is_none());
    assert!(stream.tail().sealed);
}

#[test]
fn a_writer_without_a_keeper_goes_down_and_stays_down() {
    let dir = tempfile::tempdir().unwrap();
    let Journal { mut feed, keeper, session_dir, .. } = create(dir.path());
    let mut buf = RecordBuf::default();
    let down = loop {
        buf.begin();
        buf.put(&[7; 100]);
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, feed.next_seq(), TimestampNs::ZERO);
        if let Err(down) = feed.append(units) {
            assert_eq!(feed.append(units), Err(down));
            break down;
        }
    };
    assert_eq!((down, feed.down()), (JournalDown::NoSegment, Some(JournalDown::NoSegment)));
    let last = feed.next_seq() - 1;
    assert!(last > 1_000, "two segments were ready");
    drop(feed);
    keeper.close().unwrap();
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Feed).unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!(stream.tail().last_seq, last);
}

#[test]
fn a_record_larger_than_a_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Journal { mut feed, .. } = create(dir.path());
    let mut buf = RecordBuf::default();
    buf.begin();
    buf.put(&vec![1; 128 << 10]);
    let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, 1, TimestampNs::ZERO);
    assert_eq!(feed.append(units), Err(JournalDown::TooLarge));
}
