//! A full disk: an error when a segment is made, never a signal, and the disk is left as it was.

mod common;
mod engine_support;

use std::path::Path;
use std::process::Command;

use engine_support::{alone, config as engine_config, keys, own_orders, until, venue};
use touchline::journal::{Journal, JournalConfig, JournalError, JournalReader, SessionInfo};
use touchline::metrics::Count;
use touchline::run::engine::{self, EngineMode};
use touchline::run::exit;
use touchline::types::{SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream};

/// A small file system of its own, gone with the value.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with the reason printed, where this user may not mount.
    fn mount(mebibytes: u32) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk { dir }),
            _ if std::env::var_os("TOUCHLINE_REQUIRE_TOOLS").is_some_and(|value| value == "1") => {
                panic!("cannot mount a tmpfs here: run as root")
            }
            _ => {
                common::skip("cannot mount a tmpfs without root");
                None
            }
        }
    }

    fn used_bytes(&self) -> u64 {
        let output = Command::new("df").args(["--output=used", "-B1"]).arg(self.dir.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn config(dir: &Path) -> (JournalConfig, SessionInfo) {
    let info = SessionInfo::new(SessionId(5), "test", "binance", TimestampNs::ZERO, &[], None);
    (JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::for_virtual_time(dir) }, info)
}

#[test]
fn a_session_that_finds_no_room_leaves_nothing_behind() {
    let Some(disk) = SmallDisk::mount(3) else { return };
    let before = disk.used_bytes();
    let (config, info) = config(disk.dir.path());
    let error = Journal::create(&config, &info, 1).unwrap_err();
    assert!(matches!(error, JournalError::NoSpace { wanted_bytes: 1_048_576, .. }), "{error}");
    assert_eq!(disk.used_bytes(), before, "the blocks were not given back");
}

#[test]
fn a_disk_that_fills_up_stops_the_keeper_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(8) else { return };
    let (config, info) = config(disk.dir.path());
    let Journal { mut feed, quote, gateways, mut keeper, session_dir } = Journal::create(&config, &info, 1).unwrap();
    let mut buf = RecordBuf::default();
    let mut failure = None;
    loop {
        buf.begin();
        buf.put(&[9; 1000]);
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, feed.next_seq(), TimestampNs::ZERO);
        if let Err(error) = keeper.step(TimestampNs::from_nanos(1)) {
            assert!(failure.is_none(), "the keeper fails once and stays so");
            failure = Some((error, disk.used_bytes(), feed.next_seq()));
        }
        if feed.append(units).is_err() {
            break;
        }
    }
    let (error, used, seq_then) = failure.expect("the keeper said that the disk is full");
    assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
    assert!(feed.next_seq() > seq_then + 500, "there was room left to journal the cancels");
    assert!(disk.used_bytes() <= used, "the failed segment kept blocks");
    let last = feed.next_seq() - 1;
    drop((feed, quote, gateways));
    keeper.close().unwrap();
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Feed).unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!(stream.tail().last_seq, last);
    assert!(stream.tail().sealed);
}

#[test]
fn a_ballast_gives_the_end_of_a_full_disks_session_its_room() {
    let Some(disk) = SmallDisk::mount(12) else { return };
    let (config, info) = config(disk.dir.path());
    let config = JournalConfig {
        ballast_bytes: 2 << 20,
        sync_interval: Some(touchline::types::DurationNs::from_millis(1)),
        ..config
    };
    let Journal { mut feed, quote, gateways, mut keeper, session_dir } = Journal::create(&config, &info, 1).unwrap();
    let kept = disk.used_bytes();
    assert!(kept >= 8 << 20, "two segments a stream and the ballast: {kept}");
    // Somebody else takes the rest.
    let mut hog = std::fs::File::create(disk.dir.path().join("hog")).unwrap();
    while std::io::Write::write_all(&mut hog, &[1; 4096]).is_ok() {}
    let mut buf = RecordBuf::default();
    let mut now = 0;
    let mut append = |feed: &mut touchline::journal::JournalWriter| {
        buf.begin();
        buf.put(&[9; 1000]);
        feed.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, feed.next_seq(), TimestampNs::ZERO)).unwrap();
    };
    let mut step = |keeper: &mut touchline::journal::Keeper| {
        now += 2_000_000;
        keeper.step(TimestampNs::from_nanos(now))
    };
    let error = loop {
        append(&mut feed);
        if let Err(error) = step(&mut keeper) {
            break error;
        }
    };
    assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
    // The disk is full for segments, but not for what an end writes, and what is still journaled is still synced.
    // A child of another test has this one's files, and with them the ballast, until it has become its own program.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while let Err(error) = std::fs::write(session_dir.join("an end"), vec![1; 1 << 20]) {
        assert!(std::time::Instant::now() < deadline, "the ballast was not given back: {error}");
    }
    append(&mut feed);
    assert!(step(&mut keeper).unwrap() > 0);
    let last = feed.next_seq() - 1;
    drop((feed, quote, gateways));
    keeper.close().unwrap();
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Feed).unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!((stream.tail().last_seq, stream.tail().sealed), (last, true));
}

#[test]
fn an_engine_whose_disk_fills_up_cancels_its_orders_and_ends_with_its_code() {
    let _alone = alone();
    let Some(disk) = SmallDisk::mount(16) else { return };
    let venue = venue();
    let set = ["journal.segment_mb=1", "journal.segment_s=1", "journal.ballast_mb=2"];
    let engine = engine::start(
        &engine_config(&venue, disk.dir.path(), &set),
        Some(&keys(&venue)),
        EngineMode::Live,
        "test",
        None,
    )
    .unwrap();
    until("quotes rest on the venue", || !own_orders(&venue).is_empty());
    let live = engine.live();
    // Somebody else takes the rest; the next change of a segment finds no room.
    let mut hog = std::fs::File::create(disk.dir.path().join("hog")).unwrap();
    while std::io::Write::write_all(&mut hog, &[1; 4096]).is_ok() {}
    until("all threads have ended", || engine.is_finished());
    let sent = live.board().count(Count::OrdersSent);
    let summary = engine.join();
    let failure = summary.failure.unwrap();
    assert_eq!((failure.code, failure.exit), ("E_RUN_017", exit::OUTPUT), "{failure}");
    assert!(failure.why.contains("no room for a segment"), "{failure}");
    assert_eq!(own_orders(&venue), []);
    assert_eq!((summary.open_orders_at_exit, summary.orders_sent), (Some(0), sent));
    // The end had room: every stream is sealed and whole.
    let journal = JournalReader::open(&summary.journal).unwrap();
    let mut last = TimestampNs::ZERO;
    for stream in [Stream::Feed, Stream::Quote] {
        let mut stream = journal.stream(stream).unwrap();
        while let Some(record) = stream.next().unwrap() {
            if matches!(record.header.kind, Kind::ActionPlace | Kind::ActionAmend | Kind::ActionCancel) {
                last = last.max(record.header.ts);
            }
        }
        assert!(stream.tail().sealed);
    }
    let still = last.since(summary.failed_at.unwrap());
    println!("the last command left {:.3} ms after the disk was noticed to be full", still.secs_f64() * 1e3);
    // The promise is 50 ms of an optimised build on a quiet machine; shared ones get ten times that.
    assert!(still.secs_f64() < 0.5, "{still:?}");
}
