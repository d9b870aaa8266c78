//! A journal while it is written and just after: followed from outside, listed in its manifest, failed by its disk.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use touchline::journal::retention::{Retention, enforce};
use touchline::journal::{Journal, JournalConfig, JournalReader, LocalJournal, SessionInfo, StreamFollower, manifest};
use touchline::types::{DurationNs, SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream, UNIT_BYTES};

const CHILD_DIR: &str = "TOUCHLINE_TEST_JOURNAL_EIO";

fn long() -> bool {
    std::env::var_os("TOUCHLINE_LONG").is_some_and(|value| value == "1")
}

fn payload(seq: u64) -> Vec<u8> {
    (0..(seq as usize * 53) % 210).map(|at| (at as u64 * 31 + seq * 7) as u8).collect()
}

fn info() -> SessionInfo {
    SessionInfo::new(SessionId(5), "test", "binance", TimestampNs::ZERO, &[], None)
}

fn config(dir: &Path) -> JournalConfig {
    JournalConfig {
        segment_bytes: 128 << 10,
        sync_interval: Some(DurationNs::from_millis(2)),
        ..JournalConfig::new(dir)
    }
}

#[test]
fn a_follower_gets_every_record_of_a_running_session_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let records: u64 = if long() { 10_000_000 } else { 1_000_000 };
    let Journal { mut feed, quote, gateways, mut keeper, session_dir } =
        Journal::create(&config(dir.path()), &info(), 0).unwrap();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                keeper.step(TimestampNs::from_nanos(1 + started.elapsed().as_nanos() as u64)).unwrap();
                std::thread::yield_now();
            }
            keeper
        });
        let following = scope.spawn(|| {
            let journal = JournalReader::open(&session_dir).unwrap();
            let mut follower = StreamFollower::new(&journal, Stream::Feed, 0).unwrap();
            let (mut seq, mut polls_with_some) = (0, 0_u64);
            while !follower.is_ended() {
                let given = follower
                    .poll(|record| {
                        seq += 1;
                        assert_eq!(record.header.seq, seq);
                        assert!(record.payload == payload(seq), "record {seq} came back changed");
                    })
                    .unwrap();
                assert!(seq <= written.load(Ordering::Acquire) + 1, "a record came before it was written");
                polls_with_some += u64::from(given > 0);
                std::thread::yield_now();
            }
            (seq, polls_with_some)
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
            written.store(seq, Ordering::Release);
        }
        drop((feed, quote, gateways));
        stop.store(true, Ordering::Release);
        keeping.join().unwrap().close().unwrap();
        let (followed, polls) = following.join().unwrap();
        assert_eq!(followed, records);
        assert!(polls > 10, "the follower read it all at once, after the fact: {polls} polls");
    });
}

#[test]
fn inspect_follow_prints_what_another_process_commits_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = LocalJournal::create(&JournalConfig::for_virtual_time(dir.path()), &info()).unwrap();
    let mut buf = RecordBuf::default();
    let mut append = |journal: &mut LocalJournal| {
        let seq = journal.next_seq(Stream::Feed);
        buf.begin();
        buf.put(&payload(seq));
        journal
            .append(
                Stream::Feed,
                buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::from_nanos(seq)),
            )
            .unwrap();
    };
    (0..100).for_each(|_| append(&mut journal));
    let mut child = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .arg("inspect")
        .arg(journal.session_dir())
        .args(["--follow", "--tail", "3", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next_seq = || -> Option<u64> {
        let line: serde_json::Value = serde_json::from_str(&lines.next()?.unwrap()).unwrap();
        assert_eq!((line["stream"].as_str(), line["kind"].as_str()), (Some("feed"), Some("RawFrame")));
        line["seq"].as_u64()
    };
    assert_eq!([next_seq(), next_seq(), next_seq()], [Some(98), Some(99), Some(100)]);
    for seq in 101..=120 {
        append(&mut journal);
        assert_eq!(next_seq(), Some(seq), "the record is printed while the session runs");
    }
    journal.close().unwrap();
    assert_eq!(next_seq(), None);
    assert!(child.wait().unwrap().success(), "the session's end is the follower's");
}

#[test]
fn the_manifest_tells_every_file_that_is_gone_changed_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let small = JournalConfig { segment_bytes: 16 << 10, ..JournalConfig::for_virtual_time(dir.path()) };
    let mut journal = LocalJournal::create(&small, &info()).unwrap();
    let mut buf = RecordBuf::default();
    for seq in 1..=400 {
        buf.begin();
        buf.put(&payload(seq));
        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
        journal.append(Stream::Feed, units).unwrap();
    }
    let session = journal.close().unwrap();
    let listed = manifest::Manifest::read(&session).unwrap().unwrap();
    let feed: Vec<_> = listed.files.iter().filter(|entry| entry.file.starts_with("feed/")).collect();
    assert!(feed.len() > 4);
    assert_eq!((feed[0].first_seq, feed.last().unwrap().last_seq), (1, 400));
    assert!(feed.windows(2).all(|pair| pair[1].first_seq == pair[0].last_seq + 1));
    assert_eq!(manifest::verify(&session).unwrap(), Some(Vec::new()));

    let differ = || -> Vec<String> {
        let found = manifest::verify(&session).unwrap().unwrap();
        found.into_iter().map(|mismatch| format!("{}: {}", mismatch.file, mismatch.what)).collect()
    };
    // A bit of the header's unused part: no record's checksum covers it.
    let second = session.join("feed/000002.tlj");
    let mut bytes = std::fs::read(&second).unwrap();
    bytes[3000] ^= 1;
    std::fs::write(&second, &bytes).unwrap();
    assert!(matches!(&differ()[..], [one] if one.starts_with("feed/000002.tlj: its digest is")), "{:?}", differ());
    bytes[3000] ^= 1;
    std::fs::write(&second, &bytes[..bytes.len() - 64]).unwrap();
    assert!(matches!(&differ()[..], [one] if one.contains("bytes")), "{:?}", differ());
    std::fs::write(&second, &bytes).unwrap();
    std::fs::copy(&second, session.join("feed/000099.tlj")).unwrap();
    std::fs::remove_file(session.join("feed/000003.tlj")).unwrap();
    assert_eq!(differ(), ["feed/000003.tlj: the file is missing", "feed/000099.tlj: the manifest does not know it"]);
}

#[test]
fn retention_removes_the_oldest_whole_sessions_and_never_a_running_one() {
    let dir = tempfile::tempdir().unwrap();
    let make = |number: u64| {
        let info = SessionInfo::new(SessionId(number), "test", "binance", TimestampNs::ZERO, &[], None);
        let small = JournalConfig { segment_bytes: 64 << 10, ..JournalConfig::for_virtual_time(dir.path()) };
        LocalJournal::create(&small, &info).unwrap()
    };
    let aged = |session: &Path, days: u64| {
        for stream in Stream::ALL {
            let file =
                std::fs::File::options().write(true).open(session.join(stream.name()).join("000001.tlj")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs((1_000 - days) * 86_400)).unwrap();
        }
    };
    let sessions: Vec<PathBuf> = (1..=4).map(|number| make(number).close().unwrap()).collect();
    for (session, days) in sessions.iter().zip([40, 30, 20, 10]) {
        aged(session, days);
    }
    std::fs::write(sessions[0].join("report.html"), "not the journal's").unwrap();
    std::fs::create_dir(dir.path().join("notes")).unwrap();
    let running = make(5);
    aged(running.session_dir(), 99);
    let now = TimestampNs::from_nanos(1_000 * 86_400 * 1_000_000_000);
    let day = DurationNs::from_secs(86_400);
    let enforce = |retention| enforce(dir.path(), &retention, now).unwrap();

    assert!(enforce(Retention::default()).is_empty(), "the default keeps all");
    let by_age = Retention { keep_age: Some(DurationNs::from_nanos(day.nanos() * 35)), ..Retention::default() };
    assert_eq!(enforce(by_age), sessions[..1]);
    assert!(sessions[0].join("report.html").is_file(), "only the journal's files are removed");
    assert!(!sessions[0].join("feed").exists() && JournalReader::open(&sessions[0]).is_err());
    // The running session alone has two segments a stream; what is idle is 12 KiB a session and more.
    let used = |session: &Path| -> u64 {
        use std::os::unix::fs::MetadataExt;
        let lanes = Stream::ALL.map(|stream| session.join(stream.name()));
        let files = lanes.iter().flat_map(|lane| std::fs::read_dir(lane).unwrap());
        files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    let most = used(running.session_dir()) + used(&sessions[3]) + used(&sessions[2]);
    assert_eq!(enforce(Retention { keep_bytes: Some(most), ..Retention::default() }), sessions[1..2]);
    assert_eq!(enforce(Retention { keep_bytes: Some(0), ..Retention::default() }), sessions[2..]);
    assert!(running.session_dir().join("session.json").is_file() && dir.path().join("notes").is_dir());
    // A removal that was interrupted after its first step is finished.
    let half = make(6).close().unwrap();
    std::fs::rename(half.join("session.json"), half.join("session.json.retired")).unwrap();
    enforce(by_age);
    assert!(!half.exists());
    let session = running.close().unwrap();
    aged(&session, 99);
    assert_eq!(enforce(by_age), [session]);
}

/// A library that lets the `after`-th `msync` or `fdatasync` fail with EIO and then answers as a kernel does: all is well.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <stddef.h>
static int calls;
static int fails(void) {
    const char *after = getenv("TOUCHLINE_TEST_EIO_AFTER");
    int call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (!after || call != atoi(after)) return 0;
    errno = EIO;
    return 1;
}
int fdatasync(int fd) {
    return fails() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
int msync(void *from, size_t bytes, int flags) {
    return fails() ? -1 : ((int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "msync"))(from, bytes, flags);
}
"#;

fn shim(dir: &Path) -> Option<PathBuf> {
    let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output();
    match built {
        Ok(output) if output.status.success() => Some(library),
        _ if std::env::var_os("TOUCHLINE_REQUIRE_TOOLS").is_some_and(|value| value == "1") => panic!("no C compiler"),
        _ => {
            common::skip("no C compiler for the library that fails fdatasync");
            None
        }
    }
}

/// Not a test of its own: the child of the next one, under a library that fails one sync.
#[test]
fn child_with_a_failing_disk() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let Journal { mut feed, quote, gateways, mut keeper, session_dir } =
        Journal::create(&config(Path::new(&dir)), &info(), 0).unwrap();
    let mut buf = RecordBuf::default();
    let mut append = |feed: &mut touchline::journal::JournalWriter| {
        buf.begin();
        buf.put(&[3; 40]);
        feed.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, feed.next_seq(), TimestampNs::ZERO)).unwrap();
    };
    let mut now = 1;
    let error = loop {
        (0..10).for_each(|_| append(&mut feed));
        now += 3_000_000;
        match keeper.step(TimestampNs::from_nanos(now)) {
            Ok(_) => assert!(now < 300_000_000, "the sync did not fail"),
            Err(error) => break error.to_string(),
        }
    };
    let of_segment = error.contains("cannot sync the segment") && error.contains("000001.tlj");
    assert!(of_segment || error.contains("cannot sync the tail's file"), "{error}");
    // Cancels are still journaled, the keeper does nothing more, and nobody claims that the segment is whole.
    (0..10).for_each(|_| append(&mut feed));
    assert_eq!(keeper.step(TimestampNs::from_nanos(now + 9_000_000)).unwrap(), 0);
    let last = feed.next_seq() - 1;
    drop((feed, quote, gateways));
    let error = keeper.close().unwrap_err().to_string();
    assert!(error.contains("stays unsealed, because a sync of it failed"), "{error}");
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Feed).unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!((stream.tail().last_seq, stream.tail().sealed), (last, false));
    let listed = manifest::Manifest::read(&session_dir).unwrap().unwrap();
    assert!(listed.files.iter().all(|entry| !entry.file.starts_with("feed/")), "{listed:?}");
    std::fs::write(Path::new(&dir).join("passed"), b"").unwrap();
}

#[test]
fn a_sync_that_fails_once_is_final_for_its_segment() {
    let dir = tempfile::tempdir().unwrap();
    let Some(library) = shim(dir.path()) else { return };
    // Four are made before the first sync, one for each header of a segment; then come the segment's and the tail's.
    for after in 5..9 {
        let folder = dir.path().join(after.to_string());
        std::fs::create_dir(&folder).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_with_a_failing_disk", "--test-threads=1"])
            .env(CHILD_DIR, &folder)
            .env("LD_PRELOAD", &library)
            .env("TOUCHLINE_TEST_EIO_AFTER", after.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && folder.join("passed").exists(), "{after}: {text}");
    }
}

#[test]
fn a_killed_sessions_segment_of_64_mib_is_read_in_a_tenth_of_a_second() {
    // One unit a record, the smallest there is, and five, as a depth message of a few levels.
    for units in [1, 5] {
        let dir = tempfile::tempdir().unwrap();
        let config = JournalConfig { segment_bytes: 64 << 20, ..JournalConfig::for_virtual_time(dir.path()) };
        let mut journal = LocalJournal::create(&config, &info()).unwrap();
        let mut buf = RecordBuf::default();
        let record_bytes = units * UNIT_BYTES;
        let records = ((64 << 20) - 8192) / record_bytes as u64;
        for seq in 1..=records {
            buf.begin();
            buf.put(&vec![5; record_bytes - 32]);
            let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
            journal.append(Stream::Feed, units).unwrap();
        }
        let session = journal.session_dir().to_owned();
        std::mem::forget(journal);
        let best = (0..5)
            .map(|_| {
                let from = Instant::now();
                let mut stream = JournalReader::open(&session).unwrap().stream(Stream::Feed).unwrap();
                while stream.next().unwrap().is_some() {}
                assert_eq!(stream.tail().last_seq, records);
                from.elapsed()
            })
            .min()
            .unwrap();
        println!("recovery of 64 MiB, records of {record_bytes} B, best of 5: {best:?}");
        // The promise is 100 ms of an optimised build on a quiet machine; shared and less optimised ones get five times
        // that.
        assert!(best < Duration::from_millis(500), "{best:?}");
    }
}

/// Page faults of this thread so far.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The fields after the name, which may hold anything: the eighth is minor faults, the tenth major ones.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split_whitespace().collect();
    fields[8].parse::<u64>().unwrap() + fields[10].parse::<u64>().unwrap()
}

/// Appends 13 MB with a keeper that syncs some hundred times meanwhile; page faults of the appending thread after the
/// first 300 kB.
fn faults_of_a_run() -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        segment_bytes: 16 << 20,
        sync_interval: Some(DurationNs::from_millis(10)),
        ..JournalConfig::new(dir.path())
    };
    let Journal { mut feed, quote, gateways, mut keeper, .. } = Journal::create(&config, &info(), 0).unwrap();
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                keeper.step(TimestampNs::from_nanos(1 + started.elapsed().as_nanos() as u64)).unwrap();
                rounds.fetch_add(1, Ordering::Release);
                std::thread::sleep(Duration::from_micros(200));
            }
            keeper
        });
        let mut buf = RecordBuf::default();
        let mut faults = 0;
        // Blocks of 16 KiB, each after two more rounds of the keeper.
        for block in 0..800 {
            let seen = rounds.load(Ordering::Acquire);
            while rounds.load(Ordering::Acquire) < seen + 2 {
                std::thread::yield_now();
            }
            let before = page_faults();
            for _ in 0..256 {
                buf.begin();
                buf.put(&[7; 32]);
                let seq = feed.next_seq();
                feed.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO)).unwrap();
            }
            if block >= 20 {
                faults += page_faults() - before;
            }
        }
        drop((feed, quote, gateways));
        stop.store(true, Ordering::Release);
        keeping.join().unwrap().close().unwrap();
        faults
    })
}

#[test]
fn a_hot_thread_takes_no_page_fault_while_its_keeper_syncs() {
    // The system may write out on its own what a busy machine has too much of; so one of a few runs must be clean.
    let mut faults = Vec::new();
    while faults.last() != Some(&0) && faults.len() < 4 {
        faults.push(faults_of_a_run());
    }
    println!("page faults of each run: {faults:?}");
    assert_eq!(faults.last(), Some(&0), "{faults:?}");
}

/// The last-page files of a session's lanes, which every sync of a lane changes.
fn tails(session_dir: &Path) -> Vec<Vec<u8>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(session_dir)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("tail"))
        .filter(|tail| tail.is_file())
        .collect();
    found.sort();
    found.iter().map(|tail| std::fs::read(tail).unwrap()).collect()
}

#[test]
fn a_keeper_that_does_one_thing_a_step_syncs_every_stream_in_time_and_no_two_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let interval = DurationNs::from_millis(100);
    let config = JournalConfig { sync_interval: Some(interval), ..JournalConfig::new(dir.path()) };
    let Journal { feed, quote, gateways, mut keeper, session_dir } = Journal::create(&config, &info(), 4).unwrap();
    let mut lanes: Vec<_> = [feed, quote].into_iter().chain(gateways).collect();
    let streams = [Stream::Feed, Stream::Quote].into_iter().chain([Stream::Gateway; 4]);
    let streams: Vec<Stream> = streams.collect();
    let mut buf = RecordBuf::default();
    let mut now = TimestampNs::from_nanos(1);
    let mut before = tails(&session_dir);
    assert_eq!(before.len(), lanes.len());
    let mut synced_at = vec![now; lanes.len()];
    for _ in 0..400 {
        for (lane, stream) in lanes.iter_mut().zip(&streams) {
            buf.begin();
            buf.put(&[3; 40]);
            lane.append(buf.finish(*stream, Kind::RawFrame, Flags::NONE, lane.next_seq(), now)).unwrap();
        }
        now = now.plus(DurationNs::from_nanos(keeper.nap().as_nanos() as u64));
        keeper.step_apart(now).unwrap();
        let after = tails(&session_dir);
        let changed: Vec<usize> = (0..lanes.len()).filter(|&lane| before[lane] != after[lane]).collect();
        assert!(changed.len() <= 1, "one step brought {changed:?} to the disk");
        changed.iter().for_each(|&lane| synced_at[lane] = now);
        before = after;
        // Its turn comes after one nap for each of the others.
        let late = interval.nanos() + 15_000_000 * lanes.len() as u64;
        for (lane, at) in synced_at.iter().enumerate() {
            assert!(
                now.since(*at).nanos() <= late,
                "lane {lane} was not synced for {} ms",
                now.since(*at).nanos() / 1_000_000
            );
        }
    }
}

#[test]
fn a_segment_is_changed_when_it_is_a_minute_old_though_it_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let Journal { mut feed, quote, gateways, mut keeper, session_dir } =
        Journal::create(&JournalConfig::new(dir.path()), &info(), 0).unwrap();
    let mut buf = RecordBuf::default();
    let mut append = |feed: &mut touchline::journal::JournalWriter| {
        buf.begin();
        buf.put(&[3; 40]);
        feed.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, feed.next_seq(), TimestampNs::ZERO)).unwrap();
    };
    let at = |seconds: u64, keeper: &mut touchline::journal::Keeper| {
        keeper.step(TimestampNs::from_nanos(seconds * 1_000_000_000)).unwrap();
    };
    append(&mut feed);
    at(10, &mut keeper);
    append(&mut feed);
    at(69, &mut keeper);
    append(&mut feed);
    at(70, &mut keeper);
    // The writer changes with its next record, and the keeper seals what it has left.
    append(&mut feed);
    at(71, &mut keeper);
    append(&mut feed);
    // Nothing in the quote stream: its segment may grow old.
    at(500, &mut keeper);
    drop((feed, quote, gateways));
    keeper.close().unwrap();
    let listed = manifest::Manifest::read(&session_dir).unwrap().unwrap();
    let seqs: Vec<_> =
        listed.files.iter().map(|entry| (entry.file.as_str(), entry.first_seq, entry.last_seq)).collect();
    assert_eq!(seqs, [("feed/000001.tlj", 1, 3), ("feed/000002.tlj", 4, 5), ("quote/000001.tlj", 1, 0)]);
}

#[test]
fn a_keeper_that_hangs_costs_the_writer_nothing_until_two_segments_are_full() {
    let dir = tempfile::tempdir().unwrap();
    let small = JournalConfig { segment_bytes: 1 << 20, ..config(dir.path()) };
    let Journal { mut feed, mut keeper, session_dir, .. } = Journal::create(&small, &info(), 0).unwrap();
    keeper.step(TimestampNs::from_nanos(1)).unwrap();
    let mut buf = RecordBuf::default();
    let mut append = |feed: &mut touchline::journal::JournalWriter| {
        buf.begin();
        buf.put(&[3; 32]);
        feed.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, feed.next_seq(), TimestampNs::ZERO))
    };
    // What was touched ahead carries the writer though nobody comes: no fault in 240 KiB, however long that takes.
    append(&mut feed).unwrap();
    page_faults();
    let before = page_faults();
    (0..240 * 16).for_each(|_| append(&mut feed).unwrap());
    assert_eq!(page_faults() - before, 0);
    let used = || -> u64 {
        use std::os::unix::fs::MetadataExt;
        let files = std::fs::read_dir(session_dir.join("feed")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    let bound = used();
    let refused = (0..).find(|_| append(&mut feed).is_err()).unwrap();
    assert!((20_000..33_000).contains(&refused), "{refused} records fit into two segments");
    assert!(used() <= bound, "{} bytes, {bound} before", used());
    // It comes back: what was written is kept, and the stream stays down.
    keeper.step(TimestampNs::from_nanos(60_000_000_001)).unwrap();
    assert!(append(&mut feed).is_err());
    let last = feed.next_seq() - 1;
    drop(feed);
    keeper.close().unwrap();
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Feed).unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!(stream.tail().last_seq, last);
}

const CUT_LINE: &str = "the file is gone\n";

/// Not a test of its own: the child of the next one, under which its segment is cut.
#[test]
fn child_whose_segment_is_cut() {
    let Ok(dir) = std::env::var("TOUCHLINE_TEST_JOURNAL_CUT") else { return };
    touchline::journal::end_on_sigbus(CUT_LINE, 5).unwrap();
    let Journal { mut feed, session_dir, .. } = Journal::create(&config(Path::new(&dir)), &info(), 0).unwrap();
    let mut buf = RecordBuf::default();
    for seq in 1..=500 {
        if seq == 401 {
            let file = std::fs::File::options().write(true).open(session_dir.join("feed/000001.tlj")).unwrap();
            file.set_len(8192).unwrap();
        }
        buf.begin();
        buf.put(&payload(seq));
        feed.append(buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO)).unwrap();
    }
}

#[test]
fn a_segment_that_somebody_cuts_ends_the_process_with_a_line_and_leaves_what_is_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_whose_segment_is_cut", "--test-threads=1", "--nocapture"])
        .env("TOUCHLINE_TEST_JOURNAL_CUT", dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).ends_with(CUT_LINE), "{output:?}");
    let session = dir.path().join(SessionId(5).to_string());
    let mut stream = JournalReader::open(&session).unwrap().stream(Stream::Feed).unwrap();
    let mut end = 4096;
    while let Some(record) = stream.next().unwrap() {
        assert_eq!(record.payload, payload(record.header.seq));
        end += (32 + record.payload.len()).div_ceil(64) * 64;
    }
    let tail = stream.tail();
    let torn = tail.torn.expect("a cut file says so");
    assert_eq!((torn.offset, torn.seq), (end as u64, tail.last_seq + 1));
    assert!(end <= 8192 && end > 8192 - 300, "all that is whole before the cut came back");
}
