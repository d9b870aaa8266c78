//! The decoders held against each other: the scanner against simd-json, which it must equal on every input, and simd-json
//! against serde_json; the binary decoder against a plain reading. Frames are made, mutated, or taken from recordings.

mod common;

use std::path::Path;

use common::mutation::{Random, for_each_input, mutate, seed};
use proptest::prelude::*;
use touchline::import::Recording;
use touchline::types::{
    Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, Side, Symbol, TimestampNs, TradeId,
};
use touchline::venue::binance::decode::{DecodeError, Decoded, Decoder, DecoderKind, TimeUnit};
use touchline::venue::binance::sbe::encode::{self, Depth, Print};
use touchline::venue::binance::sbe::{SbeDecoder, SbeEvent};
use touchline::wire::DepthBuf;

fn instrument(id: u16, symbol: &str, tick_e8: i64, lot_e8: i64) -> Instrument {
    let [symbol, base, quote] = [symbol, "BTC", "USDT"].map(|name| Symbol::new(name).unwrap());
    let filters = Filters::default();
    Instrument::new(InstrumentId(id), InstrumentSpec { symbol, base, quote, tick_e8, lot_e8, filters })
}

/// Steps of every kind: powers of ten, the finest, whole units, and one that is no power of ten.
fn instruments() -> Vec<Instrument> {
    vec![
        instrument(0, "BTCUSDT", 1_000_000, 1_000),
        instrument(1, "ETHUSDT", 1, 1),
        instrument(2, "PEPEUSDT", 1, 100_000_000),
        instrument(3, "ODDUSDT", 2_500_000, 300),
    ]
}

/// Both ways side by side.
struct Pair {
    json: Decoder,
    scanner: Decoder,
    depths: [DepthBuf; 2],
}

impl Pair {
    fn new(instruments: &[Instrument]) -> Pair {
        let json = Decoder::new(instruments);
        let scanner = Decoder::new(instruments).with_kind(DecoderKind::Scanner);
        Pair { json, scanner, depths: [DepthBuf::with_capacity(64), DepthBuf::with_capacity(64)] }
    }

    /// What both say, which must be the same.
    fn decode(&mut self, frame: &[u8]) -> Result<Decoded, DecodeError> {
        let now = TimestampNs::from_nanos(9);
        let [left, right] = &mut self.depths;
        let decoded = self.json.decode(frame, now, left);
        let scanned = self.scanner.decode(frame, now, right);
        let text = || String::from_utf8_lossy(frame).into_owned();
        assert_eq!(scanned, decoded, "{}", text());
        assert_eq!(self.scanner.failed_instrument(), self.json.failed_instrument(), "{}", text());
        if matches!(decoded, Ok(Decoded::Depth | Decoded::Partial)) {
            assert_eq!(right.as_ref(), left.as_ref(), "{}", text());
        }
        // Whatever is no JSON for serde_json is none for simd-json, and an event is always JSON.
        let valid = serde_json::from_slice::<serde::de::IgnoredAny>(frame).is_ok();
        assert!(valid || decoded.is_err(), "{}", text());
        decoded
    }
}

fn digits(most: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..10_u64.pow(most.min(6) as u32)).prop_map(|value| value.to_string()),
        1 => proptest::collection::vec(0..10_u8, 1..most + 4)
            .prop_map(|digits| digits.iter().map(|digit| char::from(b'0' + digit)).collect()),
    ]
}

/// A decimal as the venue writes it, or nearly so.
fn decimal() -> impl Strategy<Value = String> {
    let places = prop_oneof![6 => Just(2), 6 => Just(3), 6 => Just(8), 1 => 0..=10_usize];
    let plain = (digits(8), places, any::<u32>()).prop_map(|(whole, places, fraction)| {
        if places == 0 {
            return whole;
        }
        let fraction = format!("{:0<10}", fraction % 1_000);
        format!("{whole}.{}", &fraction[..places])
    });
    let odd = prop_oneof![
        Just(""),
        Just("."),
        Just("-1.5"),
        Just("1e5"),
        Just("0x1"),
        Just("1."),
        Just(".5"),
        Just("9\\u0030")
    ];
    prop_oneof![60 => plain, 1 => odd.prop_map(str::to_owned)]
}

fn levels() -> impl Strategy<Value = String> {
    let level = (decimal(), decimal()).prop_map(|(price, qty)| format!(r#"["{price}","{qty}"]"#));
    proptest::collection::vec(level, 0..12).prop_map(|levels| levels.join(","))
}

/// An event with an odd order of fields, an odd space or an unknown field now and then.
fn event() -> impl Strategy<Value = String> {
    let symbol = prop_oneof![4 => Just("BTCUSDT"), 2 => Just("ETHUSDT"), 2 => Just("PEPEUSDT"), 2 => Just("ODDUSDT"), 1 => Just("DOGEUSDT")];
    let id = prop_oneof![8 => 1..10_u64.pow(13), 1 => any::<u64>()];
    let numbers = (id.clone(), id, any::<bool>());
    (0..9_u8, symbol, numbers, levels(), levels(), decimal(), decimal(), 0..24_u8).prop_map(
        |(kind, s, (first, second, flag), bids, asks, price, qty, twist)| {
            let (low, high) = (first.min(second), first.max(second));
            let pair = |a: &str, b: &str| format!(r#""{a}":"{price}","{b}":"{qty}""#);
            let mut fields = match kind {
                0 => vec![
                    r#""e":"depthUpdate""#.into(),
                    format!(r#""E":{first}"#),
                    format!(r#""s":"{s}""#),
                    format!(r#""U":{low}"#),
                    format!(r#""u":{high}"#),
                    format!(r#""b":[{bids}]"#),
                    format!(r#""a":[{asks}]"#),
                ],
                1 => vec![
                    r#""e":"depthUpdate""#.into(),
                    format!(r#""E":{first},"T":{second}"#),
                    format!(r#""s":"{s}""#),
                    format!(r#""U":{low}"#),
                    format!(r#""u":{high},"pu":{low}"#),
                    format!(r#""b":[{bids}]"#),
                    format!(r#""a":[{asks}]"#),
                ],
                2 => vec![format!(r#""u":{first}"#), format!(r#""s":"{s}""#), pair("b", "B"), pair("a", "A")],
                3 => vec![
                    r#""e":"bookTicker""#.into(),
                    format!(r#""u":{first}"#),
                    format!(r#""s":"{s}""#),
                    pair("b", "B"),
                    pair("a", "A"),
                    format!(r#""T":{first},"E":{second}"#),
                ],
                4 => vec![
                    r#""e":"trade""#.into(),
                    format!(r#""E":{first}"#),
                    format!(r#""s":"{s}""#),
                    format!(r#""t":{second}"#),
                    pair("p", "q"),
                    format!(r#""T":{first}"#),
                    format!(r#""m":{flag},"M":true"#),
                ],
                5 => vec![
                    r#""e":"trade""#.into(),
                    format!(r#""E":{first}"#),
                    format!(r#""s":"{s}""#),
                    format!(r#""t":{second}"#),
                    pair("p", "q"),
                    format!(r#""T":{first},"X":"MARKET""#),
                    format!(r#""m":{flag}"#),
                ],
                6 => vec![
                    r#""e":"aggTrade""#.into(),
                    format!(r#""E":{first}"#),
                    format!(r#""s":"{s}""#),
                    format!(r#""a":{second}"#),
                    pair("p", "q"),
                    r#""f":1,"l":2"#.into(),
                    format!(r#""T":{first}"#),
                    format!(r#""m":{flag},"M":true"#),
                ],
                _ => vec![
                    r#""e":"aggTrade""#.into(),
                    format!(r#""E":{first}"#),
                    format!(r#""a":{second}"#),
                    format!(r#""s":"{s}""#),
                    pair("p", "q"),
                    r#""f":1,"l":2"#.into(),
                    format!(r#""T":{first}"#),
                    format!(r#""m":{flag}"#),
                ],
            };
            let at = usize::from(twist) % fields.len();
            match twist {
                0..3 => fields.swap(at, 1),
                3 => fields.insert(at, r#""new":[1,{"U":2}]"#.into()),
                4 => fields[at].push(' '),
                5 => {
                    fields.remove(at);
                }
                6 => {
                    let twice = fields[at].clone();
                    fields.push(twice);
                }
                _ => {}
            }
            let data = format!("{{{}}}", fields.join(","));
            let stream =
                ["@depth@100ms", "@depth20@100ms", "@depth5", "@trade", "@depth20x@depth"][usize::from(twist / 2) % 5];
            if twist % 2 == 0 { format!(r#"{{"stream":"{}{stream}","data":{data}}}"#, s.to_lowercase()) } else { data }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn made_frames_say_the_same_to_both(frames in proptest::collection::vec(event(), 1..4)) {
        let mut pair = Pair::new(&instruments());
        for frame in frames {
            let _ = pair.decode(frame.as_bytes());
        }
    }
}

/// Frames of the recordings at hand: those of the repository, and of the folder of recordings where it is there.
fn recorded() -> Vec<(Vec<Instrument>, Vec<Vec<u8>>)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut files: Vec<_> = ["spot", "usdm"].map(|venue| own.join(format!("hftbacktest_{venue}.txt"))).into();
    if let Some(dir) = common::data_dir() {
        files.push(dir.join("hftbacktest/examples/spot/btcusdt_20230405.dat.gz"));
        files.push(dir.join("hftbacktest/examples/usdm/btcusdt_20240718.gz"));
        files.push(dir.join("hftbacktest/examples/usdm/ethusdt_20240718.gz"));
        files.push(dir.join("cryptofeed/sample_data/BINANCE-ee25be.0"));
        files.push(dir.join("cryptofeed/sample_data/BINANCE_FUTURES.jsonl.zst"));
    }
    let read = |file| {
        let recording = Recording::open(&[file]).unwrap();
        let mut reader = recording.reader();
        let mut frames = Vec::new();
        while let Some(recorded) = reader.advance().unwrap() {
            if recorded.json.starts_with(b"{\"stream\"") {
                frames.push(recorded.json.to_vec());
            }
        }
        (recording.instruments().to_vec(), frames)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn recorded_frames_say_the_same_to_both() {
    for (instruments, frames) in recorded() {
        let mut pair = Pair::new(&instruments);
        let events = frames.iter().filter(|frame| pair.decode(frame).unwrap() != Decoded::Ignored).count();
        assert!(events > 80);
    }
}

/// Bytes that mean something in a frame.
const WORDS: [&[u8]; 22] = [
    b"\"",
    b"\\",
    b",",
    b":",
    b"[",
    b"]",
    b"{",
    b"}",
    b"0",
    b"9",
    b".",
    b"-",
    b"e5",
    b" ",
    b"\0",
    b"\xff",
    b"null",
    b"\",\"",
    b"\"],[\"",
    b"00000000",
    b"18446744073709551616",
    b"\"s\":\"BTCUSDT\",",
];

#[test]
fn mutated_frames_say_the_same_to_both() {
    let mut corpora: Vec<_> = recorded().into_iter().map(|(of, frames)| (Pair::new(&of), frames)).collect();
    corpora.iter_mut().for_each(|(_, frames)| frames.truncate(2_000));
    let (mut tried, mut taken) = (0_u64, 0_u64);
    let mut frame = Vec::new();
    for_each_input(|random| {
        for _ in 0..100 {
            let which = random.below(corpora.len());
            let (pair, frames) = &mut corpora[which];
            frame.clone_from(random.one_of(frames));
            mutate(&mut frame, &WORDS, random);
            tried += 1;
            taken += u64::from(pair.decode(&frame).is_ok());
        }
    });
    println!("{tried} mutated frames, {taken} of them still an event, seed {}", seed());
    assert!(taken > tried / 100, "mutations leave nothing to read: {taken} of {tried}");
}

#[test]
fn both_read_microseconds_in_their_unit() {
    let frame = br#"{"e":"depthUpdate","E":1784102400123456,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}"#;
    for kind in [DecoderKind::SimdJson, DecoderKind::Scanner] {
        let mut decoder = Decoder::new(&instruments()).with_kind(kind).with_time_unit(TimeUnit::Micros);
        let mut depth = DepthBuf::with_capacity(4);
        assert_eq!(decoder.decode(frame, TimestampNs::ZERO, &mut depth), Ok(Decoded::Depth));
        assert_eq!(depth.head.event_ts, TimestampNs::from_micros(1_784_102_400_123_456), "{kind:?}");
    }
}

/// Depth frames of SBE: books of all sizes and ids, with exponents that fit, hardly fit and do not.
fn binary_frames(random: &mut Random) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for instrument in &instruments() {
        for count in [0, 1, 2, 20, 70] {
            let mut side = || -> Vec<Level> {
                let one = |_| Level {
                    price: Price::from_ticks(random.below(1 << 20) as i64),
                    qty: Qty::from_lots(random.below(1 << 12) as i64),
                };
                (0..count).map(one).collect()
            };
            let (bids, asks) = (side(), side());
            let event_ts = TimestampNs::from_micros(1_784_102_400_123_456);
            for first_id in [Some(5), None] {
                let mut frame = Vec::new();
                encode::depth(
                    &mut frame,
                    instrument,
                    &Depth { event_ts, first_id, last_id: 9, bids: &bids, asks: &asks },
                );
                frames.push(frame);
            }
        }
        let (price, qty) = (Price::from_ticks(7), Qty::from_lots(9));
        let print = Print { id: TradeId(3), price, qty, aggressor: Side::Ask };
        let [mut trades, mut touch] = [Vec::new(), Vec::new()];
        encode::trades(&mut trades, instrument, TimestampNs::from_micros(8), &[print; 3]);
        encode::best_bid_ask(&mut touch, instrument, TimestampNs::from_micros(8), 77, [Level { price, qty }; 2]);
        frames.extend([trades, touch]);
    }
    frames
}

/// The numbers of a binary message, read the plain way: field after field, with 128 bits and a division. `None` for
/// whatever is not a message of ours that is exact.
fn plainly(frame: &[u8], instruments: &[Instrument]) -> Option<Vec<i128>> {
    let mut at = 0;
    let mut take = |len: usize| {
        let bytes = frame.get(at..at + len)?;
        at += len;
        Some(bytes)
    };
    fn number(bytes: &[u8]) -> i128 {
        bytes.iter().rev().fold(0, |value, byte| value << 8 | i128::from(*byte))
    }
    let signed = |bytes: &[u8]| i128::from(i64::from_le_bytes(bytes.try_into().unwrap()));
    let head: Vec<i128> = (0..4).map(|_| take(2).map(number)).collect::<Option<_>>()?;
    let (template, version) = (head[1], head[3]);
    if head[2] != 1 {
        return None;
    }
    let block = take(head[0] as usize)?;
    let (least, fixed, groups) = match template {
        10_000 => (18, 16, vec![(4, 25)]),
        10_001 => (50, 16, vec![]),
        10_002 => (18, 16, vec![(2, 16); 2]),
        10_003 => (26, 24, vec![(2, 16); 2]),
        _ => return None,
    };
    let mut entries = Vec::new();
    for (count_len, entry_min) in groups {
        let entry_len = number(take(2)?) as usize;
        let count = number(take(count_len)?) as usize;
        if count > 0 && entry_len < entry_min || count > 10_000 {
            return None;
        }
        for _ in 0..count {
            entries.push(take(entry_len)?);
        }
    }
    let len = number(take(1)?) as usize;
    let name = take(len)?;
    let instrument = instruments.iter().find(|instrument| instrument.symbol().as_bytes() == name)?;
    if block.len() < least || (version == 0 && at != frame.len()) {
        return None;
    }
    let exact = |mantissa: &[u8], exponent: i8, step_e8: i64| -> Option<i128> {
        let places = i32::from(exponent) + 8;
        let tens = |count: u32| 10_i128.checked_pow(count).filter(|&tens| tens <= i128::from(u64::MAX));
        let (times, divisor) = if places >= 0 { (tens(places as u32)?, 1) } else { (1, tens(places.unsigned_abs())?) };
        let (value, step) = (signed(mantissa) * times, i128::from(step_e8) * divisor);
        let fits = step <= i128::from(u64::MAX) && (0..=i128::from(i64::MAX)).contains(&value);
        (fits && value % step == 0).then(|| value / step)
    };
    let [price_exponent, qty_exponent] = [block[fixed] as i8, block[fixed + 1] as i8];
    let mut told: Vec<i128> = block[..fixed].chunks(8).map(signed).collect();
    if told.iter().any(|&field| field < 0) || (template == 10_003 && told[1] > told[2]) {
        return None;
    }
    // A message without numbers still has exponents that must be possible.
    for (exponent, step) in [(price_exponent, instrument.spec.tick_e8), (qty_exponent, instrument.spec.lot_e8)] {
        exact(&[0; 8], exponent, step)?;
    }
    let mut pair = |bytes: &[u8]| -> Option<()> {
        told.push(exact(&bytes[..8], price_exponent, instrument.spec.tick_e8)?);
        told.push(exact(&bytes[8..16], qty_exponent, instrument.spec.lot_e8)?);
        Some(())
    };
    match template {
        10_001 => [18, 34].into_iter().try_for_each(|at| pair(&block[at..at + 16]))?,
        10_000 => entries.iter().try_for_each(|entry| (entry[24] < 2).then(|| pair(&entry[8..24]))?)?,
        _ => entries.iter().try_for_each(|entry| pair(entry))?,
    }
    Some(told)
}

/// What the decoder says of a binary frame, in the same order.
fn swiftly(decoder: &mut SbeDecoder, frame: &[u8], depth: &mut DepthBuf) -> Option<Vec<i128>> {
    let micros = |at: TimestampNs| i128::from(at.nanos() / 1_000);
    let pair = |level: &Level| [i128::from(level.price.ticks()), i128::from(level.qty.lots())];
    match decoder.decode(frame, TimestampNs::ZERO, depth).ok()? {
        SbeEvent::Ignored => None,
        event @ (SbeEvent::Depth | SbeEvent::Partial) => {
            let head = depth.head;
            let mut told = vec![micros(head.event_ts), i128::from(head.first_id)];
            if event == SbeEvent::Depth {
                told.push(i128::from(head.last_id));
            }
            told.extend(depth.bids.iter().chain(&depth.asks).flat_map(pair));
            Some(told)
        }
        SbeEvent::Trades(trades) => {
            Some(trades.iter().flat_map(|one| pair(&Level { price: one.price, qty: one.qty })).collect())
        }
        SbeEvent::Touch(touch) => {
            let mut told = vec![i128::from(touch.update_id)];
            told.extend([touch.bid, touch.ask].iter().flat_map(pair));
            Some(told)
        }
    }
}

#[test]
fn mutated_binary_frames_say_what_a_plain_reading_says() {
    let all = instruments();
    let frames = binary_frames(&mut Random(99));
    let mut decoder = SbeDecoder::new(&all);
    let mut depth = DepthBuf::with_capacity(64);
    let (mut tried, mut taken) = (0_u64, 0_u64);
    let mut frame = Vec::new();
    for_each_input(|random| {
        for _ in 0..100 {
            frame.clone_from(random.one_of(&frames));
            match random.below(4) {
                // As it was made, which must be read.
                0 => {}
                1 => {
                    let at = random.below(frame.len());
                    frame[at] = [0, 1, 0x7F, 0x80, 0xF8, 0xFF][random.below(6)];
                }
                2 => {
                    // Exponents and mantissas at the edges of what is exact.
                    let at = random.below(frame.len().saturating_sub(8)).max(8);
                    let edge = [i64::MAX, i64::MIN, -1, 0, 10_i64.pow(random.below(19) as u32)][random.below(5)];
                    let end = (at + 8).min(frame.len());
                    frame[at..end].copy_from_slice(&edge.to_le_bytes()[..end - at]);
                }
                _ => mutate(&mut frame, &WORDS, random),
            }
            let mut want = plainly(&frame, &all);
            let template = u16::from_le_bytes([*frame.get(2).unwrap_or(&0), *frame.get(3).unwrap_or(&0)]);
            // Events do not hold everything: of prints the times, of a touch its time.
            if let Some(want) = &mut want {
                drop(want.drain(
                    ..match template {
                        10_000 => 2,
                        10_001 => 1,
                        _ => 0,
                    },
                ));
            }
            let told = swiftly(&mut decoder, &frame, &mut depth);
            // A time beyond the 584 years of nanoseconds saturates.
            let saturates =
                want.as_ref().is_some_and(|want| template > 10_001 && want[0] > i128::from(u64::MAX / 1_000));
            if !saturates {
                assert_eq!(told, want, "{frame:?}");
            }
            tried += 1;
            taken += u64::from(told.is_some());
        }
    });
    println!("{tried} mutated binary frames, {taken} of them still an event");
    assert!(taken > tried / 4, "mutations leave nothing to read: {taken} of {tried}");
}
