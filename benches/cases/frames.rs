//! From bytes to ticks and lots.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read, Write};

use touchline::types::{
    ExecKind, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, Symbol, TimestampNs, parse_e8,
};
use touchline::venue::binance::decode::{Decoded, Decoder, DecoderKind};
use touchline::venue::binance::sbe::{SbeDecoder, SbeEvent, encode};
use touchline::venue::binance::user::{self, UserMessage};
use touchline::wire::DepthBuf;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::Case;

const FRAMES: usize = 32;

/// BTCUSDT at a tick of 0.01 and lots of 1e-5.
pub fn instrument() -> Instrument {
    let symbol = |text| Symbol::new(text).expect("short");
    let spec = InstrumentSpec {
        symbol: symbol("BTCUSDT"),
        base: symbol("BTC"),
        quote: symbol("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters::default(),
    };
    Instrument::new(InstrumentId(0), spec)
}

/// A diff of 20 levels as the venue sends it, and the sum of what it says.
fn depth_frame(number: i64) -> (String, u64) {
    let mut text = format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1784102400123,"s":"BTCUSDT","U":{0},"u":{0}"#,
        71_200_101 + number
    );
    let mut sum = 0;
    for (name, start, step) in [("b", 6_125_010, -3), ("a", 6_125_011, 3)] {
        let _ = write!(text, r#","{name}":["#);
        for i in 0..10 {
            let (ticks, lots) = (start + step * i + number, (i * 37 + number) % 90_000 + (i % 7) * 100_000);
            let comma = if i == 0 { "" } else { "," };
            let (price, qty) = ((ticks / 100, ticks % 100), (lots / 100_000, lots % 100_000));
            let _ = write!(text, r#"{comma}["{}.{:02}000000","{}.{:05}000"]"#, price.0, price.1, qty.0, qty.1);
            sum += ticks + lots;
        }
        text.push(']');
    }
    text.push_str("}}");
    (text, sum as u64)
}

/// A socket that says the same frames again and again.
struct Heard {
    frames: Vec<u8>,
    at: usize,
}

impl Read for Heard {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = into.len().min(self.frames.len() - self.at);
        into[..count].copy_from_slice(&self.frames[self.at..self.at + count]);
        self.at = (self.at + count) % self.frames.len();
        Ok(count)
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn parse() -> Case {
    let mut bytes = Vec::new();
    let mut want = 0;
    for number in 0..FRAMES {
        let (text, _) = depth_frame(number as i64);
        bytes.extend([0x81, 126]);
        bytes.extend((text.len() as u16).to_be_bytes());
        bytes.extend(text.as_bytes());
        want += text.len() as u64;
    }
    let mut socket = WebSocket::from_raw_socket(Heard { frames: bytes, at: 0 }, Role::Client, None);
    Case::new("frame_parse", FRAMES, want, move || {
        let mut sum = 0;
        for _ in 0..FRAMES {
            match socket.read() {
                Ok(Message::Text(text)) => sum += black_box(text).len() as u64,
                other => panic!("{other:?}"),
            }
        }
        sum
    })
}

pub fn decimal() -> Case {
    let texts: Vec<String> =
        (0..256_u64).map(|i| format!("{}.{:08}", i * 977 % 100_000, i * 7_654_321 % 100_000_000)).collect();
    let want = (0..256_u64).map(|i| i * 977 % 100_000 * 100_000_000 + i * 7_654_321 % 100_000_000).sum();
    Case::new("decode_decimal", texts.len(), want, move || {
        texts.iter().map(|text| parse_e8(black_box(text.as_bytes())).expect("a decimal") as u64).sum()
    })
}

pub fn depth() -> Case {
    depth_by("decode_depth_20", DecoderKind::SimdJson)
}

pub fn scanned_depth() -> Case {
    depth_by("scan_depth_20", DecoderKind::Scanner)
}

fn depth_by(name: &'static str, kind: DecoderKind) -> Case {
    let frames: Vec<(String, u64)> = (0..FRAMES as i64).map(depth_frame).collect();
    let want = frames.iter().map(|(_, sum)| sum).sum();
    let mut decoder = Decoder::new(&[instrument()]).with_kind(kind);
    let mut depth = DepthBuf::with_capacity(64);
    Case::new(name, FRAMES, want, move || {
        let mut sum = 0;
        for (frame, _) in &frames {
            let decoded = decoder.decode(black_box(frame.as_bytes()), TimestampNs::ZERO, &mut depth);
            assert_eq!(decoded, Ok(Decoded::Depth));
            sum += sum_of(&depth.bids) + sum_of(&depth.asks);
        }
        sum
    })
}

/// A diff of 20 levels in the venue's binary form.
pub fn binary_depth() -> Case {
    let instrument = instrument();
    let mut want = 0;
    let frames: Vec<Vec<u8>> = (0..FRAMES as i64)
        .map(|number| {
            let side = |start: i64, step: i64| -> Vec<Level> {
                let level = |i: i64| (start + step * i + number, (i * 37 + number) % 90_000 + (i % 7) * 100_000);
                let levels = (0..10).map(level);
                levels
                    .map(|(ticks, lots)| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(lots) })
                    .collect()
            };
            let (bids, asks) = (side(6_125_010, -3), side(6_125_011, 3));
            want += sum_of(&bids) + sum_of(&asks);
            let last_id = 71_200_101 + number as u64;
            let event_ts = TimestampNs::from_millis(1_784_102_400_123);
            let told = encode::Depth { event_ts, first_id: Some(last_id), last_id, bids: &bids, asks: &asks };
            let mut frame = Vec::new();
            encode::depth(&mut frame, &instrument, &told);
            frame
        })
        .collect();
    let mut decoder = SbeDecoder::new(&[instrument]);
    let mut depth = DepthBuf::with_capacity(64);
    Case::new("sbe_depth_20", FRAMES, want, move || {
        let mut sum = 0;
        for frame in &frames {
            assert_eq!(decoder.decode(black_box(frame), TimestampNs::ZERO, &mut depth), Ok(SbeEvent::Depth));
            sum += sum_of(&depth.bids) + sum_of(&depth.asks);
        }
        sum
    })
}

fn sum_of(levels: &[Level]) -> u64 {
    levels.iter().map(|level| (level.price.ticks() + level.qty.lots()) as u64).sum()
}

pub fn trade() -> Case {
    trade_by("decode_trade", DecoderKind::SimdJson)
}

pub fn scanned_trade() -> Case {
    trade_by("scan_trade", DecoderKind::Scanner)
}

fn trade_by(name: &'static str, kind: DecoderKind) -> Case {
    let frames: Vec<String> = (0..FRAMES)
        .map(|i| {
            format!(
                r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1784102400123,"s":"BTCUSDT","t":{},"p":"61250.{:02}000000","q":"0.{:05}000","T":1784102400122,"m":true,"M":true}}}}"#,
                4_100_200_300 + i,
                i,
                i + 1
            )
        })
        .collect();
    let want = (0..FRAMES as u64).map(|i| 6_125_000 + i + i + 1).sum();
    let mut decoder = Decoder::new(&[instrument()]).with_kind(kind);
    let mut depth = DepthBuf::with_capacity(64);
    Case::new(name, FRAMES, want, move || {
        let mut sum = 0;
        for frame in &frames {
            match decoder.decode(black_box(frame.as_bytes()), TimestampNs::ZERO, &mut depth) {
                Ok(Decoded::Trade(trade)) => sum += (trade.price.ticks() + trade.qty.lots()) as u64,
                other => panic!("{other:?}"),
            }
        }
        sum
    })
}

pub fn touch() -> Case {
    touch_by("decode_touch", DecoderKind::SimdJson)
}

pub fn scanned_touch() -> Case {
    touch_by("scan_touch", DecoderKind::Scanner)
}

fn touch_by(name: &'static str, kind: DecoderKind) -> Case {
    let frames: Vec<String> = (0..FRAMES)
        .map(|i| {
            format!(
                r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{},"s":"BTCUSDT","b":"61250.{i:02}000000","B":"0.{:05}000","a":"61251.{i:02}000000","A":"1.{:05}000"}}}}"#,
                71_200_101 + i,
                i + 1,
                i + 2,
            )
        })
        .collect();
    let want = (0..FRAMES as u64).map(|i| (6_125_000 + i) + (i + 1) + (6_125_100 + i) + (100_000 + i + 2)).sum();
    let mut decoder = Decoder::new(&[instrument()]).with_kind(kind);
    let mut depth = DepthBuf::with_capacity(64);
    Case::new(name, FRAMES, want, move || {
        let mut sum = 0;
        for frame in &frames {
            match decoder.decode(black_box(frame.as_bytes()), TimestampNs::ZERO, &mut depth) {
                Ok(Decoded::Touch(touch)) => sum += sum_of(&[touch.bid, touch.ask]),
                other => panic!("{other:?}"),
            }
        }
        sum
    })
}

pub fn execution_report() -> Case {
    let instruments = [instrument()];
    let reports: Vec<String> = (0..FRAMES)
        .map(|i| {
            let filled = format!("0.{:05}000", i + 1);
            format!(
                r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":1784102400470,"s":"BTCUSDT","c":"tl10-{}","S":"BUY","o":"LIMIT_MAKER","f":"GTC","q":"0.01000000","p":"61250.10000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":9001,"l":"{filled}","z":"{filled}","L":"61250.10000000","n":"0.00000400","N":"BTC","T":1784102400469,"t":{},"I":55501,"w":true,"m":true,"M":true,"O":1784102400456,"Z":"245.00040000","Y":"245.00040000","Q":"0.00000000","W":1784102400456,"V":"EXPIRE_MAKER"}}}}"#,
                i + 7,
                4_100_200_311 + i as u64
            )
        })
        .collect();
    let want = (0..FRAMES as u64).map(|i| i + 1).sum();
    Case::new("decode_execution_report", FRAMES, want, move || {
        let mut sum = 0;
        for report in &reports {
            match user::decode(black_box(report.as_bytes()), &instruments, TimestampNs::ZERO) {
                Ok(UserMessage::Exec(report)) => match report.kind {
                    ExecKind::Fill(fill) => sum += fill.qty.lots() as u64,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
        sum
    })
}
