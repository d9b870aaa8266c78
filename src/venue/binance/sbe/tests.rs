use super::encode::{Depth, Print};
use super::*;
use crate::types::DecimalError;

fn level(price: i64, qty: i64) -> Level {
    Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
}

fn diff(levels: i64) -> Vec<u8> {
    let side = |sign: i64| (1..=levels).map(|n| level(6_125_000 + sign * n, n % 7)).collect::<Vec<_>>();
    let (bids, asks) = (side(-1), side(1));
    let event_ts = TimestampNs::from_micros(1_784_102_400_123_456);
    let mut out = Vec::new();
    let depth = Depth { event_ts, first_id: Some(100), last_id: 103, bids: &bids, asks: &asks };
    encode::depth(&mut out, &Instrument::btcusdt(), &depth);
    out
}

fn decode(frame: &[u8]) -> (Result<SbeEvent<'static>, DecodeError>, DepthBuf, Option<InstrumentId>, Vec<Trade>) {
    let mut decoder = SbeDecoder::new(&[Instrument::btcusdt()]);
    let mut depth = DepthBuf::with_capacity(4);
    let decoded = match decoder.decode(frame, TimestampNs::from_nanos(5), &mut depth) {
        Ok(SbeEvent::Depth) => Ok(SbeEvent::Depth),
        Ok(SbeEvent::Partial) => Ok(SbeEvent::Partial),
        Ok(SbeEvent::Touch(touch)) => Ok(SbeEvent::Touch(touch)),
        Ok(SbeEvent::Trades(_)) => Ok(SbeEvent::Trades(&[])),
        Ok(SbeEvent::Ignored) => Ok(SbeEvent::Ignored),
        Err(error) => Err(error),
    };
    let (failed, trades) = (decoder.failed_instrument(), decoder.trades.clone());
    (decoded, depth, failed, trades)
}

#[test]
fn a_diff_stands_byte_for_byte_where_the_schema_puts_it() {
    let frame = diff(1);
    assert_eq!(frame.len(), 8 + 26 + 2 * (4 + 16) + 1 + 7);
    assert_eq!(frame[..8], [26, 0, 0x13, 0x27, 1, 0, 0, 0], "block length, template 10003, schema 1, version 0");
    assert_eq!(frame[8..16], 1_784_102_400_123_456_i64.to_le_bytes());
    assert_eq!((&frame[16..24], &frame[24..32]), (&100_i64.to_le_bytes()[..], &103_i64.to_le_bytes()[..]));
    assert_eq!(frame[32..34], [0xF8, 0xF8], "exponents of -8");
    assert_eq!(frame[34..38], [16, 0, 1, 0], "entry length, count");
    assert_eq!(frame[38..46], 6_124_999_000_000_i64.to_le_bytes());
    assert_eq!(frame[74..], *b"\x07BTCUSDT");
}

#[test]
fn depth_becomes_whole_ticks_and_lots() {
    let (decoded, depth, failed, _) = decode(&diff(20));
    assert_eq!((decoded, failed), (Ok(SbeEvent::Depth), None));
    assert_eq!((depth.head.first_id, depth.head.last_id, depth.head.prev_id), (100, 103, None));
    assert_eq!(
        (depth.head.kind, depth.head.event_ts),
        (DepthKind::Diff, TimestampNs::from_micros(1_784_102_400_123_456))
    );
    assert_eq!((depth.bids.len(), depth.bids[19], depth.asks[6]), (20, level(6_124_980, 6), level(6_125_007, 0)));
    let mut partial = Vec::new();
    let best = Depth { event_ts: TimestampNs::ZERO, first_id: None, last_id: 9, bids: &[level(7, 1)], asks: &[] };
    encode::depth(&mut partial, &Instrument::btcusdt(), &best);
    let (decoded, depth, ..) = decode(&partial);
    assert_eq!((decoded, depth.head.kind), (Ok(SbeEvent::Partial), DepthKind::Snapshot));
    assert_eq!((depth.head.last_id, &depth.bids[..], depth.asks.len()), (9, &[level(7, 1)][..], 0));
}

#[test]
fn prints_and_touches_say_what_the_json_streams_say() {
    let at = TimestampNs::from_micros(7);
    let print =
        |id, aggressor| Print { id: TradeId(id), price: Price::from_ticks(6), qty: Qty::from_lots(3), aggressor };
    let mut frame = Vec::new();
    encode::trades(&mut frame, &Instrument::btcusdt(), at, &[print(1, Side::Ask), print(2, Side::Bid)]);
    let (decoded, _, _, trades) = decode(&frame);
    assert!(matches!(decoded, Ok(SbeEvent::Trades(_))));
    let want = |id, aggressor| Trade {
        instrument: InstrumentId(0),
        event_ts: at,
        recv_ts: TimestampNs::from_nanos(5),
        id: TradeId(id),
        price: Price::from_ticks(6),
        qty: Qty::from_lots(3),
        aggressor,
    };
    assert_eq!(trades, [want(1, Side::Ask), want(2, Side::Bid)]);
    let mut frame = Vec::new();
    encode::best_bid_ask(&mut frame, &Instrument::btcusdt(), at, 77, [level(5, 1), level(6, 2)]);
    let recv_ts = TimestampNs::from_nanos(5);
    let touch = Touch { instrument: InstrumentId(0), recv_ts, update_id: 77, bid: level(5, 1), ask: level(6, 2) };
    assert_eq!(decode(&frame).0, Ok(SbeEvent::Touch(touch)));
}

#[test]
fn any_exponent_is_exact_or_refused() {
    let mut frame = diff(1);
    let mut told = |price: i8, qty: i8, mantissas: [i64; 2]| {
        frame[32..34].copy_from_slice(&[price as u8, qty as u8]);
        frame[38..46].copy_from_slice(&mantissas[0].to_le_bytes());
        frame[46..54].copy_from_slice(&mantissas[1].to_le_bytes());
        // The other side says nothing.
        frame[58..74].fill(0);
        let (decoded, depth, failed, _) = decode(&frame);
        assert_eq!(failed.is_some(), decoded.is_err());
        decoded.map(|_| depth.bids[0])
    };
    assert_eq!(told(-2, -5, [6_125_010, 48_200]), Ok(level(6_125_010, 48_200)));
    assert_eq!(told(-3, 0, [61_250_100, 2]), Ok(level(6_125_010, 200_000)));
    assert_eq!(told(-10, -9, [612_501_000_000_000, 4_820_000_000_000]), Ok(level(6_125_010, 482_000_000)));
    let off = |field| Err(DecodeError::Decimal { field, cause: DecimalError::OffStep });
    assert_eq!(told(-3, -5, [61_250_105, 1]), off("bids"));
    assert_eq!(told(-2, -6, [1, 1]), off("bids"));
    assert_eq!(told(-2, -5, [-1, 1]), Err(DecodeError::Negative { field: "bids" }));
    let large = DecodeError::Decimal { field: "bids", cause: DecimalError::TooLarge };
    assert_eq!(told(0, -5, [i64::MAX, 1]), Err(large));
    let exponent = |field| Err(DecodeError::Type { field, expected: "an exponent that 64 bits can hold" });
    assert_eq!(told(12, -5, [1, 1]), exponent("priceExponent"));
    assert_eq!(told(-2, -128, [1, 1]), exponent("qtyExponent"));
}

#[test]
fn later_versions_are_read_and_other_schemas_refused() {
    let frame = diff(2);
    // A longer block and longer entries, as fields appended by a later version make them.
    let mut later = frame.clone();
    later[0] = 29;
    later[6] = 1;
    later.splice(34..34, [7; 3]);
    later[37] = 18;
    later.splice(41 + 32..41 + 32, [7; 2]);
    later.splice(41 + 16..41 + 16, [7; 2]);
    later.extend([1, 2, 3]);
    let (decoded, depth, ..) = decode(&later);
    assert_eq!((decoded, &depth.bids), (Ok(SbeEvent::Depth), &decode(&frame).1.bids));
    let changed = |at: usize, to: u8| {
        let mut frame = frame.clone();
        frame[at] = to;
        decode(&frame).0
    };
    assert_eq!(changed(4, 3), Err(DecodeError::Schema));
    assert_eq!(changed(34, 15), Err(DecodeError::Schema));
    assert_eq!(changed(2, 0x55), Ok(SbeEvent::Ignored), "a template that is not known");
    assert_eq!(changed(frame.len() - 1, b'X'), Ok(SbeEvent::Ignored), "a symbol that is not followed");
    assert_eq!(decode(&[&frame[..], &[0]].concat()).0, Err(DecodeError::Schema));
    for cut in 0..frame.len() {
        assert_eq!(decode(&frame[..cut]).0, Err(DecodeError::Truncated), "{cut}");
    }
}

#[test]
fn levels_are_the_same_with_and_without_wide_registers() {
    let mut plain = SbeDecoder::new(&[Instrument::btcusdt()]);
    plain.wide = None;
    let mut wide = SbeDecoder::new(&[Instrument::btcusdt()]);
    let [mut plain_depth, mut wide_depth] = [(); 2].map(|()| DepthBuf::with_capacity(4));
    let mut seen = 0;
    for count in 0..9 {
        let good = diff(count);
        // As it is, and with each number in turn off its step, negative, or too large.
        let numbers = (38..38 + 16 * count as usize).chain(42 + 16 * count as usize..good.len() - 8).step_by(8);
        let wrong = numbers.flat_map(|at| [1, -1_000_000, i64::MAX].map(|number| (at, number)));
        for (at, number) in wrong.map(Some).chain([None]).map(|change| change.unwrap_or((38, 7_000_000))) {
            let mut frame = good.clone();
            if count > 0 {
                frame[at..at + 8].copy_from_slice(&i64::to_le_bytes(number));
            }
            let one = plain.decode(&frame, TimestampNs::ZERO, &mut plain_depth).map(|event| event == SbeEvent::Depth);
            let other = wide.decode(&frame, TimestampNs::ZERO, &mut wide_depth).map(|event| event == SbeEvent::Depth);
            assert_eq!(one, other, "{count} levels, {number} at {at}");
            if one.is_ok() {
                assert_eq!(plain_depth.as_ref(), wide_depth.as_ref(), "{count} levels, {number} at {at}");
                seen += plain_depth.bids.len();
            }
        }
    }
    assert_eq!(seen, (1..9_usize).sum::<usize>(), "the good ones alone");
}
