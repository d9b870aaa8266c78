use super::*;
use crate::types::{Filters, InstrumentSpec, Symbol};

fn instrument(id: u16, symbol: &str, tick_e8: i64, lot_e8: i64) -> Instrument {
    let spec = InstrumentSpec {
        symbol: Symbol::new(symbol).unwrap(),
        base: Symbol::new(&symbol[..3]).unwrap(),
        quote: Symbol::new("USDT").unwrap(),
        tick_e8,
        lot_e8,
        filters: Filters::default(),
    };
    Instrument::new(InstrumentId(id), spec)
}

fn instruments() -> Vec<Instrument> {
    vec![instrument(0, "BTCUSDT", 1_000_000, 1_000), instrument(1, "ETHUSDT", 1_000_000, 10_000)]
}

fn level(price: i64, qty: i64) -> Level {
    Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
}

/// What simd-json reads, which the scanner must have read as well.
fn decode(frame: &str) -> (Result<Decoded, DecodeError>, DepthBuf, Option<InstrumentId>) {
    let by = |kind| {
        let mut decoder = Decoder::new(&instruments()).with_kind(kind);
        let mut depth = DepthBuf::with_capacity(4);
        let decoded = decoder.decode(frame.as_bytes(), TimestampNs::from_nanos(5), &mut depth);
        (decoded, depth, decoder.failed_instrument())
    };
    let (decoded, depth, failed) = by(DecoderKind::SimdJson);
    let (scanned, scanned_depth, scanned_failed) = by(DecoderKind::Scanner);
    assert_eq!((scanned, scanned_failed), (decoded, failed), "{frame}");
    if matches!(decoded, Ok(Decoded::Depth | Decoded::Partial)) {
        assert_eq!(scanned_depth.as_ref(), depth.as_ref(), "{frame}");
    }
    (decoded, depth, failed)
}

const DIFF: &str = r#"{"e":"depthUpdate","E":1784102400123,"s":"BTCUSDT","U":71200101,"u":71200118,
    "b":[["61250.10000000","0.48200000"],["61249.90000000","0.00000000"]],"a":[["61250.11000000","1.10000000"]]}"#;

#[test]
fn a_diff_becomes_whole_ticks_and_lots_however_it_is_wrapped() {
    let reordered = r#"{"a":[["61250.11","1.1"]],"new":{"U":[1,{"u":2}]},"u":71200118,"b":[["61250.1","0.482"],["61249.9","0"]],
        "U":71200101,"s":"BTCUSDT","x":[[]],"E":1784102400123,"e":"depthUpdate"}"#;
    let combined = format!(r#"{{"stream":"btcusdt@depth@100ms","data":{DIFF}}}"#);
    let swapped = format!(r#" {{"data":{DIFF},"stream":"btcusdt@depth"}} "#);
    for frame in [DIFF, reordered, &combined, &swapped] {
        let (decoded, depth, _) = decode(frame);
        assert_eq!(decoded, Ok(Decoded::Depth), "{frame}");
        assert_eq!((depth.head.first_id, depth.head.last_id, depth.head.prev_id), (71_200_101, 71_200_118, None));
        assert_eq!(depth.head.event_ts, TimestampNs::from_millis(1_784_102_400_123));
        assert_eq!(depth.head.recv_ts, TimestampNs::from_nanos(5));
        assert_eq!(depth.bids, [level(6_125_010, 48_200), level(6_124_990, 0)]);
        assert_eq!(depth.asks, [level(6_125_011, 110_000)]);
    }
}

#[test]
fn usdm_diffs_carry_the_previous_id() {
    let (decoded, depth, _) =
        decode(r#"{"e":"depthUpdate","E":1,"T":1,"s":"ETHUSDT","U":157,"u":160,"pu":149,"b":[],"a":[]}"#);
    assert_eq!((decoded, depth.head.prev_id), (Ok(Decoded::Depth), Some(149)));
    assert_eq!(depth.head.instrument, InstrumentId(1));
    assert!(depth.bids.is_empty() && depth.asks.is_empty());
}

#[test]
fn partial_depth_is_known_by_its_stream_and_is_no_event_for_the_books() {
    let spot = r#"{"lastUpdateId":71200118,"bids":[["61250.10000000","0.48200000"]],"asks":[["61250.11000000","1.10000000"]]}"#;
    let usdm = r#"{"e":"depthUpdate","E":7,"T":6,"s":"BTCUSDT","U":157,"u":160,"pu":149,"b":[["61250.1","0.482"]],"a":[["61250.11","1.1"]]}"#;
    for (event, id, event_ts) in [(spot, 71_200_118, TimestampNs::ZERO), (usdm, 160, TimestampNs::from_millis(7))] {
        for stream in ["btcusdt@depth5", "btcusdt@depth10@100ms", "btcusdt@depth20@500ms"] {
            let (decoded, depth, _) = decode(&format!(r#"{{"stream":"{stream}","data":{event}}}"#));
            assert_eq!(decoded, Ok(Decoded::Partial), "{stream} {event}");
            assert_eq!((depth.head.kind, depth.head.first_id, depth.head.last_id), (DepthKind::Snapshot, id, id));
            assert_eq!((depth.head.prev_id, depth.head.event_ts), (None, event_ts));
            assert_eq!(
                (&depth.bids[..], &depth.asks[..]),
                (&[level(6_125_010, 48_200)][..], &[level(6_125_011, 110_000)][..])
            );
            assert_eq!(decoded.unwrap().event(&depth), None);
        }
    }
    let stream = |name: &str, event: &str| decode(&format!(r#"{{"stream":"{name}","data":{event}}}"#)).0;
    assert_eq!(stream("dogeusdt@depth5", spot), Ok(Decoded::Ignored));
    assert_eq!(stream("btcusdt@depth", spot), Ok(Decoded::Ignored));
    for name in ["btcusdt@depth", "btcusdt@depth@500ms", "btcusdt@depthless", "@"] {
        assert_eq!(stream(name, usdm), Ok(Decoded::Depth), "{name}");
    }
    assert_eq!(decode(usdm).0, Ok(Decoded::Depth), "raw, it cannot be told from a diff");
    let failed = decode(&format!(r#"{{"stream":"btcusdt@depth5","data":{}}}"#, spot.replace("1.1", "x")));
    assert_eq!(failed.2, Some(InstrumentId(0)), "{:?}", failed.0);
}

#[test]
fn prints_carry_the_takers_side() {
    let trade = r#"{"e":"trade","E":9,"s":"BTCUSDT","t":4100200300,"p":"61250.11000000","q":"0.01200000","T":7,"m":false,"M":true}"#;
    let want = Trade {
        instrument: InstrumentId(0),
        event_ts: TimestampNs::from_millis(7),
        recv_ts: TimestampNs::from_nanos(5),
        id: TradeId(4_100_200_300),
        price: Price::from_ticks(6_125_011),
        qty: Qty::from_lots(1_200),
        aggressor: Side::Bid,
    };
    assert_eq!(decode(trade).0, Ok(Decoded::Trade(want)));
    let sold = decode(&trade.replace(r#""m":false"#, r#""m":true"#)).0;
    assert_eq!(sold, Ok(Decoded::Trade(Trade { aggressor: Side::Ask, ..want })));
    let aggregated = trade.replace(r#""e":"trade""#, r#""e":"aggTrade""#).replace(r#""t":"#, r#""a":"#);
    assert_eq!(decode(&aggregated).0, Ok(Decoded::AggTrade(want)));
    let off_market = trade.replace(r#""M":true"#, r#""X":"INSURANCE_FUND""#);
    assert_eq!(decode(&off_market).0, Ok(Decoded::Ignored));
    assert_eq!(decode(&trade.replace(r#""M":true"#, r#""X":"MARKET""#)).0, Ok(Decoded::Trade(want)));
}

#[test]
fn the_touch_is_read_with_and_without_an_event_type() {
    let spot =
        r#"{"u":71200118,"s":"BTCUSDT","b":"61250.10000000","B":"0.48200000","a":"61250.11000000","A":"1.10000000"}"#;
    let usdm = spot.replacen('{', r#"{"e":"bookTicker","E":1,"T":1,"#, 1);
    for frame in [spot, &usdm] {
        let want = Touch {
            instrument: InstrumentId(0),
            recv_ts: TimestampNs::from_nanos(5),
            update_id: 71_200_118,
            bid: level(6_125_010, 48_200),
            ask: level(6_125_011, 110_000),
        };
        assert_eq!(decode(frame).0, Ok(Decoded::Touch(want)));
    }
}

#[test]
fn control_answers_are_told_from_events() {
    for (frame, want) in [
        (r#"{"result":null,"id":7}"#, Decoded::Ack { id: Some(7) }),
        (r#"{"result":["btcusdt@depth"],"id":3}"#, Decoded::Ack { id: Some(3) }),
        (r#"{"result":null,"id":"6ba7b810-9dad"}"#, Decoded::Ack { id: None }),
        (r#"{"result":null,"id":null}"#, Decoded::Ack { id: None }),
        (r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#, Decoded::ControlError { code: 2 }),
        (r#"{"code":3,"msg":"Invalid JSON","id":1}"#, Decoded::ControlError { code: 3 }),
        (r#"{"e":"serverShutdown","E":1}"#, Decoded::ServerShutdown),
        (r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#, Decoded::ServerShutdown),
        (r#"{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1}}"#, Decoded::Ignored),
        (r#"{"lastUpdateId":1,"bids":[],"asks":[]}"#, Decoded::Ignored),
    ] {
        assert_eq!(decode(frame).0, Ok(want), "{frame}");
    }
    let other = DIFF.replace("BTCUSDT", "DOGEUSDT");
    assert_eq!(decode(&other).0, Ok(Decoded::Ignored));
}

#[test]
fn microsecond_streams_are_read_in_their_unit() {
    let mut decoder = Decoder::new(&instruments()).with_time_unit(TimeUnit::Micros);
    let mut depth = DepthBuf::with_capacity(4);
    decoder.decode(DIFF.as_bytes(), TimestampNs::ZERO, &mut depth).unwrap();
    assert_eq!(depth.head.event_ts, TimestampNs::from_micros(1_784_102_400_123));
}

#[test]
fn what_is_not_exact_is_refused_by_field() {
    let decimal = |field, cause| DecodeError::Decimal { field, cause };
    let levels = DecodeError::Type { field: "b", expected: "an array of [price, quantity] strings" };
    for (from, to, want) in [
        ("61250.10000000", "61250.105", decimal("b", DecimalError::OffStep)),
        ("61250.10000000", "61250.100000001", decimal("b", DecimalError::TooPrecise)),
        ("61250.10000000", "6125e1", decimal("b", DecimalError::Syntax)),
        ("61250.10000000", "NaN", decimal("b", DecimalError::Syntax)),
        ("61250.10000000", "", decimal("b", DecimalError::Syntax)),
        ("61250.10000000", "123456789012345678901234567890", decimal("b", DecimalError::TooLarge)),
        ("61250.11000000", "-1.00", DecodeError::Negative { field: "a" }),
        ("1.10000000", "-1", DecodeError::Negative { field: "a" }),
        ("1.10000000", "0.000001", decimal("a", DecimalError::OffStep)),
        (r#""61250.10000000""#, "61250.1", levels),
        (r#""0.48200000""#, "null", levels),
        (r#"["61250.10000000","0.48200000"]"#, r#"["61250.1"]"#, levels),
        (r#"["61250.10000000","0.48200000"]"#, r#"["61250.1","1","2"]"#, levels),
        (
            r#""U":71200101"#,
            r#""U":"71200101""#,
            DecodeError::Type { field: "U", expected: "a whole number of at least zero" },
        ),
        (r#""U":71200101"#, r#""U":-1"#, DecodeError::Type { field: "U", expected: "a whole number of at least zero" }),
        (
            r#""U":71200101"#,
            r#""U":7.5e7"#,
            DecodeError::Type { field: "U", expected: "a whole number of at least zero" },
        ),
        (r#""U":71200101"#, r#""U":71200119"#, DecodeError::Type { field: "u", expected: "at least `U`" }),
        (r#""U":71200101,"#, "", DecodeError::Missing { field: "U" }),
        (r#""U":71200101,"#, r#""U":71200101,"U":71200101,"#, DecodeError::Duplicate { field: "U" }),
        (r#""s":"BTCUSDT","#, "", DecodeError::Missing { field: "s" }),
        // Without its type a diff looks like a touch whose bid is no text.
        (r#""e":"depthUpdate","#, "", DecodeError::Type { field: "b", expected: "a string" }),
    ] {
        let frame = DIFF.replacen(from, to, 1);
        assert_ne!(frame, DIFF, "nothing was changed by {from}");
        let (decoded, _, _) = decode(&frame);
        assert_eq!(decoded, Err(want), "{frame}");
    }
}

#[test]
fn a_failure_names_the_instrument_when_it_can_be_read() {
    assert_eq!(decode(&DIFF.replace("61250.1000", "x")).2, Some(InstrumentId(0)));
    assert_eq!(decode(&DIFF[..90]).2, None);
}

#[test]
fn broken_json_is_an_error_and_leaves_the_decoder_usable() {
    let mut decoder = Decoder::new(&instruments());
    let mut depth = DepthBuf::with_capacity(4);
    let deep = format!("{}1{}", r#"{"x":"#.repeat(100), "}".repeat(100));
    for cut in 0..DIFF.len() {
        let _ = decoder.decode(&DIFF.as_bytes()[..cut], TimestampNs::ZERO, &mut depth).unwrap_err();
    }
    for frame in ["", "NaN", "{", r#"{"U":NaN}"#, "{\"s\":\"\u{1}\"}", &deep] {
        assert_eq!(decoder.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth), Err(DecodeError::Json), "{frame}");
    }
    for frame in ["[]", "7", "null", "\"text\""] {
        assert_eq!(decoder.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth), Err(DecodeError::Shape));
    }
    assert_eq!(decoder.decode(b"\xff{}", TimestampNs::ZERO, &mut depth), Err(DecodeError::Json));
    assert_eq!(decoder.decode(DIFF.as_bytes(), TimestampNs::ZERO, &mut depth), Ok(Decoded::Depth));
}

#[test]
fn five_thousand_levels_a_side_are_read_and_more_than_the_protocol_knows_are_not() {
    let levels = |count: usize| {
        let one: Vec<String> = (1..=count).map(|i| format!(r#"["{i}.5","0.1"]"#)).collect();
        one.join(",")
    };
    let frame = |count: usize| DIFF.replacen(r#"["61249.90000000","0.00000000"]"#, &levels(count), 1);
    let (decoded, depth, _) = decode(&frame(5000));
    assert_eq!((decoded, depth.bids.len()), (Ok(Decoded::Depth), 5001));
    assert_eq!(decode(&frame(DEPTH_LEVELS_MAX)).0, Err(DecodeError::TooManyLevels { field: "b" }));
}

#[test]
fn a_snapshot_is_read_with_and_without_times() {
    let mut depth = DepthBuf::with_capacity(4);
    let spot = r#"{"lastUpdateId": 35346513512, "bids": [["2683.80", "3.0292"]], "asks": [["2683.81", "31.4395"]]}"#;
    let eth = instruments()[1];
    decode_snapshot(spot.as_bytes(), &eth, TimestampNs::from_nanos(3), &mut depth).unwrap();
    assert_eq!((depth.head.kind, depth.head.last_id), (DepthKind::Snapshot, 35_346_513_512));
    assert_eq!((depth.head.first_id, depth.head.instrument), (35_346_513_512, InstrumentId(1)));
    assert_eq!((&depth.bids[..], &depth.asks[..]), (&[level(268_380, 30_292)][..], &[level(268_381, 314_395)][..]));
    let usdm = spot.replacen('{', r#"{"E":12,"T":11,"#, 1);
    decode_snapshot(usdm.as_bytes(), &eth, TimestampNs::ZERO, &mut depth).unwrap();
    assert_eq!(depth.head.event_ts, TimestampNs::from_millis(12));
    let wrong = decode_snapshot(br#"{"code":-1121,"msg":"Invalid symbol."}"#, &eth, TimestampNs::ZERO, &mut depth);
    assert_eq!(wrong, Err(DecodeError::Missing { field: "lastUpdateId" }));
}
