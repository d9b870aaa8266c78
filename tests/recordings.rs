//! Books from real recordings against figures that an exact decimal replay found, and the decoder against serde_json.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use touchline::import::Recording;
use touchline::pipeline::market::MarketStage;
use touchline::types::{BookState, InstrumentId, Level, Side};
use touchline::venue::binance::decode::{Decoded, Decoder};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent};

/// A session of the folder of recordings with its known figures.
struct Session {
    files: Vec<PathBuf>,
    want: Value,
}

fn sessions() -> Vec<Session> {
    let Some(dir) = common::data_dir() else { return Vec::new() };
    let text = std::fs::read_to_string(dir.join("checks_hftbacktest.json")).unwrap();
    let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
    let session = |want: Value| {
        let names = want["files"].as_array().unwrap();
        let files = names.iter().map(|name| dir.join("hftbacktest/examples").join(name.as_str().unwrap())).collect();
        Session { files, want }
    };
    let sessions: Vec<_> = checks.into_iter().map(session).collect();
    assert_eq!(sessions.len(), 4);
    sessions
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// How often the book's best and the recorded bookTicker of the same update id were equal, and how often not.
#[derive(Default)]
struct Touches {
    /// Equal, where the touch was recorded before the diff: what the figures of the recordings count.
    equal_before: u64,
    /// Equal, where the diff was recorded before the touch.
    equal_after: u64,
    different: u64,
}

/// Replays a recording and compares the book's best with the recorded bookTicker wherever both have the same update
/// id.
fn compare_touches(recording: &Recording) -> Touches {
    let mut stage = MarketStage::new(recording.instruments(), recording.rule());
    // A touch is ahead of the depth: it waits until the book has reached its update id.
    let mut waiting: std::collections::BTreeMap<u64, [Level; 2]> = std::collections::BTreeMap::new();
    let mut touches = Touches::default();
    let id = InstrumentId(0);
    recording
        .for_each(|_, event| {
            stage.on_event(event);
            if let FeedEvent::Touch(touch) = event {
                waiting.insert(touch.update_id, [touch.bid, touch.ask]);
            }
            if stage.state(id) != BookState::Live {
                return;
            }
            let update_id = stage.update_id(id);
            if let Some([bid, ask]) = waiting.remove(&update_id) {
                let book = stage.book(id);
                if (book.best(Side::Bid), book.best(Side::Ask)) != (Some(bid), Some(ask)) {
                    touches.different += 1;
                } else if matches!(event, FeedEvent::Touch(_)) {
                    touches.equal_after += 1;
                } else {
                    touches.equal_before += 1;
                }
            }
            while waiting.first_key_value().is_some_and(|(&waited, _)| waited < update_id) {
                waiting.pop_first();
            }
        })
        .unwrap();
    touches
}

#[test]
fn books_of_real_sessions_have_the_known_figures_and_touches() {
    for Session { files, want } in sessions() {
        let output = Command::new(env!("CARGO_BIN_EXE_touchline"))
            .arg("inspect")
            .args(&files)
            .args(["--book", "--depth", "10", "--json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let books: Value = serde_json::from_slice(&output.stdout).unwrap();
        let symbol = want["symbol"].as_str().unwrap();
        assert_eq!(books.as_object().unwrap().keys().collect::<Vec<_>>(), [symbol]);
        let book = &books[symbol];
        assert_eq!(book["messages"], want["messages"], "{files:?}");
        assert_eq!(book["diffs_applied"], want["diffs_applied"]);
        assert_eq!(book["gaps"], want["depth_sequence_breaks"]);
        // Of the session without a snapshot no book can be known: the figures stay empty.
        let known = &want["final_book"];
        assert_eq!(book["first_update_id"], want["bridging_diff_U_u"].get(0).cloned().unwrap_or(Value::Null));
        assert_eq!(book["last_update_id"], known["last_u"]);
        assert_eq!(book["crossings"], want.get("crossed_after_apply").cloned().unwrap_or(Value::from(0)));
        if known.is_object() {
            assert_eq!((&book["bids"], &book["asks"]), (&known["top10_bids"], &known["top10_asks"]));
        } else {
            assert_eq!((&book["bids"], &book["asks"]), (&Value::Array(Vec::new()), &Value::Array(Vec::new())));
        }

        let recording = Recording::open(&files).unwrap();
        let touches = compare_touches(&recording);
        assert_eq!(Value::from(touches.equal_before), want["bookTicker_same_update_id_equal"], "{files:?}");
        assert_eq!(Value::from(touches.different), want["bookTicker_same_update_id_different"]);
        if known.is_object() {
            let mut stage = MarketStage::new(recording.instruments(), recording.rule());
            recording
                .for_each(|_, event| {
                    stage.on_event(event);
                })
                .unwrap();
            let book = stage.book(InstrumentId(0));
            assert_eq!(Value::from(book.level_count(Side::Bid)), known["bid_levels"]);
            assert_eq!(Value::from(book.level_count(Side::Ask)), known["ask_levels"]);
        }
    }
}

#[test]
fn golden_touches_equal_the_book_at_every_update_id() {
    for venue in ["spot", "usdm"] {
        let recording = Recording::open(&[golden(&format!("hftbacktest_{venue}.txt"))]).unwrap();
        // 40 diffs with a touch each, of which those before the snapshot line have no live book to be compared with.
        let touches = compare_touches(&recording);
        assert!(touches.equal_after >= 34, "{venue}: {}", touches.equal_after);
        assert_eq!((touches.equal_before, touches.different), (0, 0), "{venue}");
    }
}

/// What serde_json reads from the same frame, in the decoder's words.
fn check_against_serde(frame: &[u8], decoded: Decoded, depth: &DepthBuf, recording: &Recording) {
    let instrument = &recording.instruments()[0];
    let value: Value = serde_json::from_slice(frame).unwrap();
    let data = value.get("data").unwrap_or(&value);
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let price = |value: &Value| instrument.price_from_text(&text(value)).unwrap();
    let qty = |value: &Value| instrument.qty_from_text(&text(value)).unwrap();
    let levels = |value: &Value| -> Vec<Level> {
        let level = |pair: &Value| Level { price: price(&pair[0]), qty: qty(&pair[1]) };
        value.as_array().unwrap().iter().map(level).collect()
    };
    match decoded {
        Decoded::Depth => {
            assert_eq!(data["e"], "depthUpdate");
            assert_eq!((data["U"].as_u64(), data["u"].as_u64()), (Some(depth.head.first_id), Some(depth.head.last_id)));
            assert_eq!(data["pu"].as_u64(), depth.head.prev_id);
            assert_eq!(data["E"].as_u64(), Some(depth.head.event_ts.millis()));
            assert_eq!(depth.head.kind, DepthKind::Diff);
            assert_eq!((levels(&data["b"]), levels(&data["a"])), (depth.bids.clone(), depth.asks.clone()));
        }
        Decoded::Trade(trade) => {
            assert_eq!(data["e"], "trade");
            assert_eq!((price(&data["p"]), qty(&data["q"])), (trade.price, trade.qty));
            assert_eq!((data["t"].as_i64(), data["T"].as_u64()), (Some(trade.id.0), Some(trade.event_ts.millis())));
            assert_eq!(data["m"].as_bool(), Some(trade.aggressor == Side::Ask));
        }
        Decoded::Touch(touch) => {
            assert_eq!((price(&data["b"]), qty(&data["B"])), (touch.bid.price, touch.bid.qty));
            assert_eq!((price(&data["a"]), qty(&data["A"])), (touch.ask.price, touch.ask.qty));
            assert_eq!(data["u"].as_u64(), Some(touch.update_id));
        }
        other => panic!("{other:?} of {data}"),
    }
}

fn compare_decoders(recording: &Recording, frames_max: usize) -> usize {
    let mut reader = recording.reader();
    let mut decoder = Decoder::new(recording.instruments());
    let mut depth = DepthBuf::with_capacity(64);
    let mut count = 0;
    while let Some(recorded) = reader.advance().unwrap() {
        if !recorded.json.starts_with(b"{\"stream\"") {
            continue;
        }
        let decoded = decoder.decode(recorded.json, recorded.recv_ts, &mut depth).unwrap();
        assert_eq!(decoded.event(&depth), Some(recorded.event));
        check_against_serde(recorded.json, decoded, &depth, recording);
        count += 1;
        if count == frames_max {
            break;
        }
    }
    count
}

#[test]
fn the_decoder_reads_what_serde_json_reads() {
    for venue in ["spot", "usdm"] {
        let recording = Recording::open(&[golden(&format!("hftbacktest_{venue}.txt"))]).unwrap();
        assert!(compare_decoders(&recording, usize::MAX) > 80);
    }
    for Session { files, .. } in sessions() {
        let recording = Recording::open(&files[..1]).unwrap();
        assert!(compare_decoders(&recording, 10_000) > 5_000, "{files:?}");
    }
}

/// The gaps, crossings and depth messages of each symbol of a recording.
fn books_of(recording: &Recording) -> Vec<(String, u64, u64, u64)> {
    let mut stage = MarketStage::new(recording.instruments(), recording.rule());
    let mut diffs = vec![0; recording.instruments().len()];
    recording
        .for_each(|_, event| {
            stage.on_event(event);
            if let FeedEvent::Depth(depth) = event
                && depth.head.kind == DepthKind::Diff
            {
                diffs[depth.head.instrument.index()] += 1;
            }
        })
        .unwrap();
    let row = |(at, diffs): (usize, u64)| {
        let (id, symbol) = (InstrumentId(at as u16), recording.instruments()[at].symbol().to_owned());
        assert_eq!(stage.state(id), BookState::Live, "{symbol}");
        let counters = stage.counters(id);
        (symbol, diffs, counters.gaps, counters.crossings)
    };
    diffs.into_iter().enumerate().map(row).collect()
}

#[test]
fn logs_of_cryptofeed_have_no_gap_and_no_crossing() {
    let Some(dir) = common::data_dir() else { return };
    let logs = [
        ("BINANCE-ee25be.0", vec![("DOTUSDT", 880), ("BTCUSDT", 899), ("ETHUSDT", 909)]),
        ("BINANCE_FUTURES.jsonl.zst", vec![("SUSHIUSDT", 255), ("AKROUSDT", 189), ("KEEPUSDT", 135), ("CTKUSDT", 185)]),
    ];
    for (name, want) in logs {
        let recording = Recording::open(&[dir.join("cryptofeed/sample_data").join(name)]).unwrap();
        let want: Vec<_> = want.into_iter().map(|(symbol, diffs)| (symbol.to_owned(), diffs, 0, 0)).collect();
        assert_eq!(books_of(&recording), want, "{name}");
    }
}

#[test]
fn logs_of_kraken_and_okx_give_books_whose_checksums_are_all_right() {
    let Some(dir) = common::data_dir() else { return };
    // Kraken's snapshots have no checksum, OKX's have one.
    for (name, symbols, diffs, least_trades) in [("KRAKEN.jsonl.zst", 10, 4269, 10), ("OKX.ws.1.0", 3, 290 - 3, 74)] {
        let recording = Recording::open(&[dir.join("cryptofeed/sample_data").join(name)]).unwrap();
        let (mut trades, mut notices) = (0, 0);
        recording
            .for_each(|_, event| match event {
                FeedEvent::Trade(_) => trades += 1,
                // What a message with a wrong checksum would be told as.
                FeedEvent::Notice(_) => notices += 1,
                _ => {}
            })
            .unwrap();
        assert_eq!(notices, 0, "{name}");
        assert!(trades >= least_trades, "{name}: {trades}");
        let books = books_of(&recording);
        assert_eq!((books.len(), books.iter().map(|book| book.1).sum::<u64>()), (symbols, diffs), "{name}");
        assert!(books.iter().all(|book| (book.2, book.3) == (0, 0)), "{name}: {books:?}");
    }
}

/// A recording beside itself without some of its diffs. A book that misses one is given the whole recording's book of a
/// message later, as the venue's answer would be.
struct Thinned {
    stage: MarketStage,
    whole: MarketStage,
    lost: u64,
    found: u64,
    back_after: Vec<u64>,
}

#[test]
fn lines_taken_out_of_recordings_are_all_noticed_and_all_healed() {
    let Some(dir) = common::data_dir() else { return };
    let mut recordings: Vec<Recording> =
        sessions().iter().filter_map(|session| Recording::open(&session.files).ok()).collect();
    for name in ["BINANCE-ee25be.0", "BINANCE_FUTURES.jsonl.zst"] {
        recordings.push(Recording::open(&[dir.join("cryptofeed/sample_data").join(name)]).unwrap());
    }
    for recording in &recordings {
        let mut thinned = Thinned::of(recording);
        if thinned.lost == 0 {
            // The one session without a snapshot has no book that could miss anything.
            assert_eq!(recording.instruments()[0].symbol(), "BTCUSDT");
            continue;
        }
        assert_eq!(thinned.found, thinned.lost, "each is seen at the first message after it");
        assert!(thinned.lost >= 60, "{} of a hundred places met a live book", thinned.lost);
        assert_eq!(thinned.back_after.len() as u64, thinned.lost, "each book came back");
        thinned.back_after.sort_unstable();
        assert!(thinned.back_after.last() <= Some(&4), "messages to a live book: {:?}", thinned.back_after);
        for instrument in recording.instruments() {
            let (stage, whole) = (&thinned.stage, &thinned.whole);
            assert_eq!(stage.state(instrument.id), BookState::Live);
            let (got, want) = (stage.book(instrument.id), whole.book(instrument.id));
            assert_eq!(got.digest(), want.digest(), "{} in the end", instrument.symbol());
        }
    }
}

impl Thinned {
    fn of(recording: &Recording) -> Thinned {
        let new = || MarketStage::new(recording.instruments(), recording.rule());
        let mut diffs = 0_u64;
        let is_diff =
            |event: &FeedEvent<'_>| matches!(event, FeedEvent::Depth(depth) if depth.head.kind == DepthKind::Diff);
        recording.for_each(|_, event| diffs += u64::from(is_diff(event))).unwrap();
        // One place in each hundredth of all but the end, which is left for healing, drawn by splitmix64 from its number.
        let place = |part: u64| {
            let mut z = part.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (part * diffs + z % (diffs / 2)) * 97 / 10_000
        };
        let places: std::collections::BTreeSet<u64> = (0..100).map(place).collect();
        let mut thinned = Thinned { stage: new(), whole: new(), lost: 0, found: 0, back_after: Vec::new() };
        // By instrument: whether a message is missing that the next one must show, and messages since the book was lost.
        let mut missing = vec![false; recording.instruments().len()];
        let mut away: Vec<Option<u64>> = vec![None; missing.len()];
        let mut number = 0;
        recording
            .for_each(|_, event| {
                thinned.whole.on_event(event);
                let FeedEvent::Depth(depth) = event else { return };
                let id = depth.head.instrument;
                let is_live = thinned.stage.state(id) == BookState::Live;
                if is_diff(event) {
                    number += 1;
                    // A diff that the snapshot already holds says nothing: nobody misses it.
                    let is_new = depth.head.last_id > thinned.stage.update_id(id);
                    let has_room = is_live && is_new && !missing[id.index()] && away[id.index()].is_none();
                    if places.contains(&(number - 1)) && has_room {
                        missing[id.index()] = true;
                        thinned.lost += 1;
                        return;
                    }
                }
                thinned.stage.on_event(event);
                let is_live = thinned.stage.state(id) == BookState::Live;
                if std::mem::take(&mut missing[id.index()]) {
                    thinned.found += u64::from(!is_live);
                    away[id.index()] = Some(0);
                }
                let Some(count) = away[id.index()].as_mut() else { return };
                *count += 1;
                // The venue answers with the book as it is a message later.
                if *count == 2 {
                    let mut answer = DepthBuf::with_capacity(1024);
                    answer.head = depth.head;
                    answer.head.kind = DepthKind::Snapshot;
                    (answer.head.first_id, answer.head.prev_id) = (answer.head.last_id, None);
                    answer.bids.extend(thinned.whole.book(id).levels(Side::Bid));
                    answer.asks.extend(thinned.whole.book(id).levels(Side::Ask));
                    thinned.stage.on_event(&FeedEvent::Depth(answer.as_ref()));
                }
                if thinned.stage.state(id) == BookState::Live {
                    thinned.back_after.extend(away[id.index()].take());
                }
            })
            .unwrap();
        thinned
    }
}

#[test]
fn the_book_from_lobster_equals_each_row_of_its_order_book_file() {
    let Some(dir) = common::data_dir() else { return };
    let file = |part| dir.join(format!("OrderBook_HLS/data/AAPL_2012-06-21_34200000_57600000_{part}_10.csv"));
    let rows = std::fs::read_to_string(file("orderbook")).unwrap();
    let recording = Recording::open(&[file("orderbook"), file("message")]).unwrap();
    let mut stage = MarketStage::new(recording.instruments(), recording.rule());
    let mut updates = recording.reader();
    let (mut met, mut trades) = (0, 0);
    let mut held = None;
    for row in rows.lines() {
        let cells: Vec<i64> = row.split(',').map(|cell| cell.parse().unwrap()).collect();
        let want: Vec<(i64, i64)> =
            cells.chunks(2).map(|pair| (pair[0] / 100, pair[1])).filter(|pair| pair.0.abs() != 99_999_999).collect();
        let shown = |stage: &MarketStage| -> Vec<(i64, i64)> {
            let book = stage.book(InstrumentId(0));
            let side = |side| book.levels(side).take(10).map(|level| (level.price.ticks(), level.qty.lots()));
            let (asks, bids): (Vec<_>, Vec<_>) = (side(Side::Ask).collect(), side(Side::Bid).collect());
            asks.into_iter().zip(bids).flat_map(|(ask, bid)| [ask, bid]).collect()
        };
        // A row that equals the one before it came with a message that changed nothing visible.
        if held.as_ref() != Some(&want) {
            loop {
                let recorded = updates.advance().unwrap().unwrap();
                stage.on_event(&recorded.event);
                match recorded.event {
                    FeedEvent::Depth(_) => break,
                    _ => trades += 1,
                }
            }
        }
        assert_eq!(shown(&stage), want, "row {met}");
        held = Some(want);
        met += 1;
    }
    assert_eq!((met, trades), (999, 159));
}

fn touchline(arguments: &[&Path]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_touchline")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

#[test]
fn an_imported_recording_is_a_journal_of_the_same_books() {
    let dir = tempfile::tempdir().unwrap();
    let [import, out, json, inspect, book, validate] =
        ["import", "--out", "--json", "inspect", "--book", "validate"].map(Path::new);
    for venue in ["spot", "usdm"] {
        let source = golden(&format!("hftbacktest_{venue}.txt"));
        let journals = dir.path().join(venue);
        let done = touchline(&[import, &source, out, &journals, json]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let report: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!((&report["symbols"]["ETHUSDT"]["gaps"], &report["torn"]), (&Value::from(0), &Value::Null));
        let journal = PathBuf::from(report["journal"].as_str().unwrap());
        let books = |from: &Path| touchline(&[inspect, from, book, json]).stdout;
        assert_eq!(books(&journal), books(&source), "{venue}");
        assert!(touchline(&[validate, &journal]).status.success(), "{venue}");
        // The same recording is the same session, which is not written twice.
        let again = touchline(&[import, &source, out, &journals]);
        let why = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(again.status.code() == Some(5) && why.contains("E_OUT_003"), "{why}");
    }
}

#[test]
fn a_recording_with_a_broken_line_leaves_no_journal() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("trades.csv");
    let rows = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n\
                binance,BTCUSDT,1582329602111000,1582329602418379,7,buy,9682,0.132\n\
                binance,BTCUSDT,1582329602116000,1582329602418420,8,buy,96x82,0.412\n";
    std::fs::write(&broken, rows).unwrap();
    let out = dir.path().join("out");
    let done = touchline(&[Path::new("import"), &broken, Path::new("--out"), &out]);
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(4), "{why}");
    assert!(why.contains("trades.csv:3: ") && why.contains("(2 lines before it were fine)"), "{why}");
    assert!(why.contains("`price`") && !out.exists(), "{why}");
}
