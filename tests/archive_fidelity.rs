//! The archive holds what the journal holds: the same books, whole files or none, within its bounds.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use touchline::archive::{ConvertOptions, Table, TableReader, check_file, convert, convert_all};
use touchline::journal::{JournalConfig, JournalReader, LocalJournal, SessionInfo};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::types::{
    Asset, DesyncReason, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, SessionId, Symbol,
    TimestampNs,
};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent, FeedNotice, Flags, RecordBuf, Stream};

/// 2026-11-22 18:00 UTC.
const START: u64 = 1_795_370_400_000_000_000;
const HOUR_NS: u64 = 3_600_000_000_000;

fn instruments(count: u16) -> Vec<Instrument> {
    (0..count)
        .map(|at| {
            let spec = InstrumentSpec {
                symbol: Symbol::new(&format!("C{at}USDT")).unwrap(),
                base: Asset::new("BTC").unwrap(),
                quote: Asset::new("USDT").unwrap(),
                tick_e8: 1_000_000,
                lot_e8: 1_000,
                filters: Filters::default(),
            };
            Instrument::new(InstrumentId(at), spec)
        })
        .collect()
}

/// What a session is to be made of.
struct Plan {
    symbols: u16,
    records: u64,
    hours: u64,
    segment_bytes: u64,
}

/// Depth that joins snapshots, with holes, lost connections and messages that the link had no room for. Returns the
/// session's folder.
fn write_session(dir: &Path, session: u64, plan: &Plan) -> PathBuf {
    let instruments = instruments(plan.symbols);
    let info =
        SessionInfo::new(SessionId(session), "test", "binance", TimestampNs::from_nanos(START), &instruments, None);
    let config = JournalConfig { segment_bytes: plan.segment_bytes, ..JournalConfig::for_virtual_time(dir) };
    let mut journal = LocalJournal::create(&config, &info).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(session);
    let mut ids = vec![1_000_u64; usize::from(plan.symbols)];
    let mut wants_snapshot = vec![true; usize::from(plan.symbols)];
    let (mut depth, mut buf) = (DepthBuf::with_capacity(64), RecordBuf::default());
    for seq in 1..=plan.records {
        let at = random.random_range(0..plan.symbols);
        let now = TimestampNs::from_nanos(START + seq * (plan.hours * HOUR_NS / plan.records));
        let (id, wants) = (&mut ids[usize::from(at)], &mut wants_snapshot[usize::from(at)]);
        depth.clear();
        depth.head.instrument = InstrumentId(at);
        depth.head.recv_ts = now;
        depth.head.event_ts = TimestampNs::from_nanos(now.nanos() - 1_000_000);
        let mut flags = Flags::NONE;
        let chance = random.random_range(0..1_000);
        let notice = (chance == 0).then(|| {
            let instrument = (random.random_range(0..2) == 0).then_some(InstrumentId(at));
            FeedNotice { instrument, reason: DesyncReason::Disconnected, recv_ts: now }
        });
        if let Some(notice) = notice {
            match notice.instrument {
                Some(_) => *wants = true,
                None => wants_snapshot.fill(true),
            }
        } else if *wants {
            *wants = false;
            depth.head.kind = DepthKind::Snapshot;
            (depth.head.first_id, depth.head.last_id) = (*id, *id);
        } else {
            depth.head.kind = DepthKind::Diff;
            // Now and then a hole, which the book has to notice, or a message that it never saw.
            if chance == 1 {
                *id += 5;
                *wants = true;
            }
            if chance == 2 {
                flags = Flags::DROPPED;
                *wants = true;
            }
            depth.head.first_id = *id + 1;
            *id += random.random_range(1..20);
            depth.head.last_id = *id;
        }
        for _ in 0..random.random_range(0..20) {
            let level = |price| Level { price: Price::from_ticks(price), qty: Qty::from_lots(0) };
            let (mut bid, mut ask) =
                (level(random.random_range(4_900..5_000)), level(random.random_range(5_001..5_100)));
            bid.qty = Qty::from_lots(random.random_range(0..5));
            ask.qty = Qty::from_lots(random.random_range(0..1_000_000));
            depth.bids.push(bid);
            depth.asks.push(ask);
        }
        let event = match notice {
            Some(notice) => FeedEvent::Notice(notice),
            None => FeedEvent::Depth(depth.as_ref()),
        };
        let (kind, ts) = event.encode(&mut buf);
        journal.append(Stream::Feed, buf.finish(Stream::Feed, kind, flags, seq, ts)).unwrap();
    }
    journal.close().unwrap()
}

/// Digest of each symbol's book at the end of each hour, from the journal.
fn books_of_journal(session: &Path, symbols: u16) -> BTreeMap<(u16, u64), (u128, u64)> {
    let mut stage = MarketStage::new(&instruments(symbols), SyncRule::Spot);
    let mut stream = JournalReader::open(session).unwrap().stream(Stream::Feed).unwrap();
    let (mut books, mut hour) = (BTreeMap::new(), START / HOUR_NS);
    let mut tell = |stage: &MarketStage, hour| {
        for at in 0..symbols {
            let sync = stage.sync(InstrumentId(at));
            books.insert((at, hour), (sync.book().digest(), sync.update_id()));
        }
    };
    while let Some(record) = stream.next().unwrap() {
        while record.header.ts.nanos() / HOUR_NS > hour {
            tell(&stage, hour);
            hour += 1;
        }
        if !record.header.flags.has(Flags::DROPPED) {
            stage.on_event(&FeedEvent::decode(&record).unwrap());
        }
    }
    tell(&stage, hour);
    books
}

fn validate(paths: &[&Path]) -> (serde_json::Value, i32) {
    let done = Command::new(env!("CARGO_BIN_EXE_touchline")).args(["validate", "--json"]).args(paths).output().unwrap();
    (serde_json::from_slice(&done.stdout).unwrap(), done.status.code().unwrap())
}

#[test]
fn the_book_from_parquet_is_the_journals_at_every_hour() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan { symbols: 2, records: 30_000, hours: 5, segment_bytes: 1 << 20 };
    let session = write_session(dir.path(), 21, &plan);
    let out = dir.path().join("archive");
    let options = ConvertOptions { group_rows: 5_000, ..ConvertOptions::default() };
    let summary = convert(&session, &out, &options).unwrap();
    let told = books_of_journal(&session, 2);
    let mut compared = 0;
    let mut live = 0;
    for at in 0..2 {
        let mut stage = MarketStage::new(&instruments(1), SyncRule::Spot);
        let files: Vec<_> = summary.files.iter().filter(|file| file.contains(&format!("/C{at}USDT/"))).collect();
        for (hour, file) in files.iter().enumerate() {
            let mut rows = TableReader::new(Table::Orderbook, InstrumentId(0), [PathBuf::from(file)]);
            while let Some(stored) = rows.advance().unwrap() {
                if !stored.is_dropped {
                    stage.on_event(&stored.event.as_event());
                }
            }
            let sync = stage.sync(InstrumentId(0));
            let book = (sync.book().digest(), sync.update_id());
            assert_eq!(book, told[&(at, START / HOUR_NS + hour as u64)], "{file}");
            compared += 1;
            live += usize::from(sync.book().level_count(touchline::types::Side::Bid) > 0);
        }
    }
    // Five hours, and the very last record lies on the end of the fifth.
    assert!(compared >= 10 && live >= 8, "{compared} compared, {live} not empty");

    let (report, code) = validate(&[&session, &out]);
    assert_eq!((code, report["is_sound"].as_bool()), (0, Some(true)), "{report}");
    assert!(report["hours_compared"].as_u64().unwrap() >= 10, "{report}");
    let journal = &report["findings"][0];
    assert!(journal["gaps"].as_u64().unwrap() > 0 && journal["crossings"].is_u64(), "{journal}");

    // Another journal under the same name: the books differ, and it is said where.
    let other = write_session(&dir.path().join("other"), 21, &Plan { records: 29_000, ..plan });
    let (report, code) = validate(&[&other, &out]);
    assert_eq!((code, report["is_sound"].as_bool()), (4, Some(false)));
    assert!(!report["hours_differ"].as_array().unwrap().is_empty(), "{report}");
}

#[test]
fn a_changed_byte_of_an_archive_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan { symbols: 1, records: 3_000, hours: 1, segment_bytes: 1 << 20 };
    let session = write_session(dir.path(), 22, &plan);
    let summary = convert(&session, &dir.path().join("archive"), &ConvertOptions::default()).unwrap();
    let file = Path::new(&summary.files[0]);
    assert_eq!(check_file(file).unwrap().problems, Vec::<String>::new());
    let whole = std::fs::read(file).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut found, runs) = (0, 60);
    for _ in 0..runs {
        let mut bytes = whole.clone();
        // Within the pages: the footer is at the end.
        let at = random.random_range(4..whole.len() * 8 / 10);
        bytes[at] ^= 1 << random.random_range(0..8);
        std::fs::write(file, bytes).unwrap();
        found += usize::from(!check_file(file).is_ok_and(|check| check.problems.is_empty()));
    }
    // Bits of page headers that no reader looks at, and words, have no sum; nearly all bits are values.
    assert!(found >= runs * 8 / 10, "{found} of {runs} changed bits were found");
}

#[test]
fn a_conversion_killed_anywhere_leaves_whole_files_only_and_is_resumed() {
    let long = std::env::var_os("TOUCHLINE_LONG").is_some();
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan { symbols: 2, records: 40_000, hours: 8, segment_bytes: 4 << 20 };
    let session = write_session(dir.path(), 23, &plan);
    let convert_to = |out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_touchline"));
        command.arg("convert").arg(&session).arg("--out").arg(out).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let reference = dir.path().join("reference");
    let started = std::time::Instant::now();
    assert!(convert_to(&reference).status().unwrap().success());
    let took = started.elapsed();
    let wanted = common::files_under(&reference);
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let (mut partly, runs) = (0, if long { 500 } else { 40 });
    let out = dir.path().join("archive");
    for run in 0..runs {
        let mut child = convert_to(&out).spawn().unwrap();
        std::thread::sleep(took.mul_f64(random.random_range(0.0..1.1)));
        let _ = child.kill();
        child.wait().unwrap();
        let files = common::files_under(&out);
        let named: BTreeMap<_, _> = files.iter().filter(|(name, _)| name.ends_with(".parquet")).collect();
        for (name, bytes) in &named {
            assert!(wanted[*name] == **bytes, "run {run}: {name} is not whole");
        }
        partly += usize::from(!named.is_empty() && named.len() < wanted.len());
        if run % 5 == 4 {
            // Resumed: what is whole is kept, the rest is made, the leftovers are gone.
            let summary = convert(&session, &out, &ConvertOptions::default()).unwrap();
            assert_eq!(summary.kept as usize, named.len(), "run {run}");
            assert!(common::files_under(&out) == wanted, "run {run}: the resumed archive differs");
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(partly > 0, "no kill came between two files");
}

#[test]
fn a_disk_that_fills_up_leaves_whole_files_only_and_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan { symbols: 1, records: 8_000, hours: 4, segment_bytes: 4 << 20 };
    let session = write_session(dir.path(), 26, &plan);
    let reference = dir.path().join("reference");
    convert(&session, &reference, &ConvertOptions::default()).unwrap();
    let wanted = common::files_under(&reference);
    let out = dir.path().join("archive");
    // Whatever is written to the third file before it has its name finds the disk full.
    let third = out.join(wanted.keys().nth(2).unwrap());
    std::fs::create_dir_all(third.parent().unwrap()).unwrap();
    let unfinished = format!(".{}.new", third.file_name().unwrap().to_str().unwrap());
    std::os::unix::fs::symlink("/dev/full", third.with_file_name(unfinished)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_touchline"));
    let done = command.arg("convert").arg(&session).arg("--out").arg(&out).output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(5), "{told}");
    assert!(told.contains("E_OUT_002") && told.contains(third.to_str().unwrap()), "{told}");
    let left = common::files_under(&out);
    assert!(left.len() >= 2 && left.len() < wanted.len(), "{:?}", left.keys());
    for (name, bytes) in &left {
        assert!(wanted.get(name) == Some(bytes), "{name} is not whole");
    }
    // With room again the rest is made, and what was whole is kept.
    let summary = convert(&session, &out, &ConvertOptions::default()).unwrap();
    assert_eq!(summary.kept as usize, left.len());
    assert!(common::files_under(&out) == wanted);
}

#[test]
fn a_session_that_grew_is_converted_again_where_it_grew() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan { symbols: 1, records: 8_000, hours: 4, segment_bytes: 4 << 20 };
    let session = write_session(dir.path(), 24, &plan);
    // As it was when it had not been written to its end: the file is cut at a record's end in its middle.
    let segment = session.join("feed/000001.tlj");
    assert!(!session.join("feed/000002.tlj").exists());
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() / 2 / 64 * 64]).unwrap();
    let out = dir.path().join("archive");
    let early = convert(&session, &out, &ConvertOptions::default()).unwrap();
    std::fs::write(&segment, &whole).unwrap();
    let late = convert(&session, &out, &ConvertOptions::default()).unwrap();
    assert!(early.files.len() < late.files.len() && late.kept > 0 && late.kept < early.files.len() as u64, "{late:?}");
    let apart = dir.path().join("apart");
    convert(&session, &apart, &ConvertOptions::default()).unwrap();
    assert!(common::files_under(&out) == common::files_under(&apart));
    let again = convert_all(&[session], &out, &ConvertOptions::default(), &mut |_, _| {}).unwrap();
    assert_eq!(again.kept as usize, again.files.len());
}

#[test]
fn memory_is_bounded_however_long_the_journal_is() {
    let long = std::env::var_os("TOUCHLINE_LONG").is_some();
    let dir = tempfile::tempdir().unwrap();
    // Longer than the bound, so that holding it would show; many symbols, so that many files are open.
    let plan = Plan { symbols: 24, records: if long { 6_000_000 } else { 900_000 }, hours: 3, segment_bytes: 64 << 20 };
    let session = write_session(dir.path(), 25, &plan);
    let bytes: u64 = common::files_under(&session).values().map(|bytes| bytes.len() as u64).sum();
    assert!(bytes > 300 << 20, "{bytes} bytes");
    let mut child = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .arg("convert")
        .arg(&session)
        .arg("--tables")
        .arg("orderbook,raw")
        .arg("--out")
        .arg(dir.path().join("archive"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        peak_kib = peak_kib.max(kib);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    println!("peak resident set {} MiB of a journal of {} MiB", peak_kib >> 10, bytes >> 20);
    assert!(peak_kib > 0 && peak_kib <= 256 << 10, "{} MiB", peak_kib >> 10);
}
