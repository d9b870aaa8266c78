//! `compare decode`: a depth message from its bytes to ticks and lots, by us and by parsers of JSON.
//!
//! 256 different messages of USD-M's `depthUpdate` with 20 and with 200 levels, and the same books in Binance's binary
//! form. Everybody has the same bytes; each message's prices and quantities are summed, and the sums must agree:
//!
//! - `simd_json_tape`: `fill_tape_padded` alone, its copy into padded memory included. It reads no number of a level: a
//!   floor for whoever goes by it, and what our own figures are held against.
//! - `serde_json`, `sonic_rs`: into a struct of borrowed texts, each text then read by our own exact decimals.
//! - `touchline_simd_json`, `touchline_scanner`, `touchline_sbe`: the decoders of live sessions, all checks included.
//!
//! Rounds are interleaved on one core; figures are medians over them.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use simd_json::{Buffers, Tape, fill_tape_padded};
use touchline::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, Symbol, TimestampNs};
use touchline::venue::binance::decode::{Decoded, Decoder, DecoderKind};
use touchline::venue::binance::sbe::encode::{self, Depth};
use touchline::venue::binance::sbe::{SbeDecoder, SbeEvent};
use touchline::wire::DepthBuf;

use crate::machine::pin_to_one_core;
use crate::random::Random;

const MESSAGES: usize = 256;
/// Bytes of a frame are in the first level of the cache by then, as they are when a socket was just read.
const WARM_UP: usize = 2;

#[derive(Args)]
pub struct Options {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 41)]
    rounds: usize,
}

/// The messages of a workload, and what each must sum up to.
struct Workload {
    frames: Vec<Vec<u8>>,
    sums: Vec<i64>,
}

/// Decodes a message and sums up its ticks and lots.
type Engine<'a> = Box<dyn FnMut(&[u8]) -> Option<i64> + 'a>;

fn instrument() -> Result<Instrument, String> {
    let symbol = |text| Symbol::new(text).map_err(|error| error.to_string());
    let (symbol, base, quote) = (symbol("BTCUSDT")?, symbol("BTC")?, symbol("USDT")?);
    let spec = InstrumentSpec { symbol, base, quote, tick_e8: 1_000_000, lot_e8: 100_000, filters: Filters::default() };
    Ok(Instrument::new(InstrumentId(0), spec))
}

/// Both forms of the same books: prices around 65000.00, quantities of three places, a quarter of them zero.
fn workloads(levels: usize, instrument: &Instrument) -> [Workload; 2] {
    let mut random = Random(7);
    let [mut text, mut binary] = [(); 2].map(|()| Workload { frames: Vec::new(), sums: Vec::new() });
    for number in 0..MESSAGES as u64 {
        let mut side = || -> Vec<Level> {
            let one = |_| {
                let price = 6_500_000 + (random.next() % 2_000) as i64;
                let bits = random.next() % 18;
                let qty = if random.next().is_multiple_of(4) { 0 } else { (random.next() % (1 << bits)) as i64 };
                Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
            };
            (0..levels / 2).map(one).collect()
        };
        let (bids, asks) = (side(), side());
        let sum = sum(&bids, &asks);
        let mut frame = format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1784102400123,"T":1784102400120,"s":"BTCUSDT","U":{},"u":{},"pu":{}"#,
            71_200_101 + number,
            71_200_118 + number,
            71_200_100 + number
        );
        for (name, side) in [("b", &bids), ("a", &asks)] {
            let _ = write!(frame, r#","{name}":["#);
            for (at, level) in side.iter().enumerate() {
                let (price, qty) = (level.price.ticks(), level.qty.lots());
                let comma = if at == 0 { "" } else { "," };
                let (whole, places, lots) = (price / 100, price % 100, qty % 1_000);
                let _ = write!(frame, r#"{comma}["{whole}.{places:02}","{}.{lots:03}"]"#, qty / 1_000);
            }
            frame.push(']');
        }
        frame.push_str("}}");
        text.frames.push(frame.into_bytes());
        text.sums.push(sum);
        let mut frame = Vec::new();
        let event_ts = TimestampNs::from_millis(1_784_102_400_123);
        let depth = Depth { event_ts, first_id: Some(number), last_id: number + 17, bids: &bids, asks: &asks };
        encode::depth(&mut frame, instrument, &depth);
        binary.frames.push(frame);
        binary.sums.push(sum);
    }
    [text, binary]
}

fn sum(bids: &[Level], asks: &[Level]) -> i64 {
    bids.iter().chain(asks).map(|level| level.price.ticks() + level.qty.lots()).sum()
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Diff<'a>,
}

#[derive(Deserialize)]
struct Diff<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    s: &'a str,
    #[serde(rename = "U")]
    first_id: u64,
    u: u64,
    #[serde(borrow)]
    b: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    a: Vec<[&'a str; 2]>,
}

/// Exact ticks and lots of what a parser of JSON has found, and their sum.
fn exact(diff: &Diff<'_>, instrument: &Instrument, depth: &mut DepthBuf) -> Option<i64> {
    if diff.s != instrument.symbol() || diff.first_id > diff.u || diff.event_ms == 0 {
        return None;
    }
    depth.clear();
    for (texts, levels) in [(&diff.b, &mut depth.bids), (&diff.a, &mut depth.asks)] {
        for [price, qty] in texts {
            let price = instrument.price_from_text(price.as_bytes()).ok()?;
            levels.push(Level { price, qty: instrument.qty_from_text(qty.as_bytes()).ok()? });
        }
    }
    Some(sum(&depth.bids, &depth.asks))
}

fn tape<'a>(most: usize) -> Engine<'a> {
    let mut text = vec![0; most + simd_json::INPUT_PADDING];
    let mut buffers = Buffers::with_max_depth(most, 32);
    let mut kept: Tape<'static> = Tape(Vec::with_capacity(most / 4));
    Box::new(move |frame| {
        text[..frame.len()].copy_from_slice(frame);
        let mut tape = std::mem::replace(&mut kept, Tape(Vec::new())).reset();
        let filled = fill_tape_padded(&mut text, frame.len(), &mut buffers, &mut tape).is_ok();
        black_box(&tape.0);
        kept = tape.reset();
        // It has read no number, so there is no sum to tell.
        filled.then_some(0)
    })
}

fn ours<'a>(kind: DecoderKind, instrument: Instrument) -> Engine<'a> {
    let mut decoder = Decoder::new(&[instrument]).with_kind(kind);
    let mut depth = DepthBuf::with_capacity(256);
    Box::new(move |frame| {
        let decoded = decoder.decode(frame, TimestampNs::ZERO, &mut depth);
        (decoded == Ok(Decoded::Depth)).then(|| sum(&depth.bids, &depth.asks))
    })
}

fn parser<'a>(
    instrument: Instrument,
    parse: impl for<'f> Fn(&'f [u8]) -> Option<Envelope<'f>> + 'a,
) -> Engine<'a> {
    let mut depth = DepthBuf::with_capacity(256);
    Box::new(move |frame| exact(&parse(frame)?.data, &instrument, &mut depth))
}

fn binary<'a>(instrument: Instrument) -> Engine<'a> {
    let mut decoder = SbeDecoder::new(&[instrument]);
    let mut depth = DepthBuf::with_capacity(256);
    Box::new(move |frame| {
        let decoded = decoder.decode(frame, TimestampNs::ZERO, &mut depth);
        (decoded == Ok(SbeEvent::Depth)).then(|| sum(&depth.bids, &depth.asks))
    })
}

/// Nanoseconds a message by each engine, medians over interleaved rounds.
fn measure(
    workload: &Workload,
    engines: &mut [(&'static str, Engine<'_>)],
    rounds: usize,
) -> Result<Map<String, Value>, String> {
    for (name, engine) in engines.iter_mut() {
        for (frame, sum) in workload.frames.iter().zip(&workload.sums) {
            let told = engine(frame);
            if told != Some(*sum) && !(*name == "simd_json_tape" && told == Some(0)) {
                return Err(format!("{name} does not read what the message says"));
            }
        }
    }
    // Some two milliseconds a measurement, so that the clock's own cost is nothing.
    let passes = (2_000 / workload.frames[0].len()).max(1);
    let mut times = vec![Vec::with_capacity(rounds); engines.len()];
    for round in 0..rounds + WARM_UP {
        for ((_, engine), times) in engines.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            for _ in 0..passes {
                for frame in &workload.frames {
                    black_box(engine(black_box(frame)));
                }
            }
            if round >= WARM_UP {
                times.push(begun.elapsed().as_nanos() as f64 / (passes * workload.frames.len()) as f64);
            }
        }
    }
    let mut figures = Map::new();
    for ((name, _), mut times) in engines.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let median = (times[times.len() / 2] * 10.0).round() / 10.0;
        figures.insert((*name).to_owned(), json!({ "ns_per_message": median }));
    }
    Ok(figures)
}

pub fn run(options: &Options) -> Result<(), String> {
    pin_to_one_core();
    let rounds = options.rounds.max(1);
    let instrument = instrument()?;
    let mut figures = Map::new();
    for levels in [20, 200] {
        let [text, encoded] = workloads(levels, &instrument);
        let most = text.frames.iter().map(Vec::len).max().unwrap_or(0);
        let mut engines = [
            ("simd_json_tape", tape(most)),
            ("serde_json", parser(instrument, |frame| serde_json::from_slice(frame).ok())),
            ("sonic_rs", parser(instrument, |frame| sonic_rs::from_slice(frame).ok())),
            ("touchline_simd_json", ours(DecoderKind::SimdJson, instrument)),
            ("touchline_scanner", ours(DecoderKind::Scanner, instrument)),
        ];
        figures.insert(format!("depth{levels}"), Value::Object(measure(&text, &mut engines, rounds)?));
        if levels == 20 {
            let mut engines = [("touchline_sbe", binary(instrument))];
            figures.insert("sbe20".to_owned(), Value::Object(measure(&encoded, &mut engines, rounds)?));
        }
    }
    if options.json {
        println!("{}", Value::Object(figures));
        return Ok(());
    }
    for (workload, decoders) in &figures {
        for (decoder, figure) in decoders.as_object().into_iter().flatten() {
            println!("{workload:<9} {decoder:<20} {:>9.1} ns", figure["ns_per_message"].as_f64().unwrap_or(0.0));
        }
    }
    Ok(())
}
