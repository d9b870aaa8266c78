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
    while let Some(recorded) = reader.next_line().unwrap() {
        if !recorded.json.starts_with(b"{\"stream\"") {
            continue;
        }
        let decoded = decoder.decode(recorded.json, recorded.recv_ts, &mut depth).unwrap();
        assert_eq!(decoded.event(&depth), recorded.event);
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
