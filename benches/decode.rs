//! What a `depthUpdate` frame costs each decoder.
//!
//! Goal: from the bytes of a frame to whole ticks and lots, for 20 and for 200 levels. Not a goal: the socket. The sum
//! of what was decoded is printed, so that nothing can be left out.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use touchline::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Symbol, TimestampNs};
use touchline::venue::binance::decode::{Decoded, Decoder, DecoderKind};
use touchline::wire::DepthBuf;

fn frame(levels: i64) -> String {
    let mut text = String::from(
        r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1784102400123,"s":"BTCUSDT","U":71200101,"u":71200118"#,
    );
    for (name, start, step) in [("b", 6_125_010, -3), ("a", 6_125_011, 3)] {
        let _ = write!(text, r#","{name}":["#);
        for i in 0..levels / 2 {
            let price = start + step * i;
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(text, r#"{comma}["{}.{:02}000000","{}.{:05}000"]"#, price / 100, price % 100, i % 7, i * 37);
        }
        text.push(']');
    }
    text.push_str("}}");
    text
}

fn decode_depth(c: &mut Criterion) {
    let symbol = |text| Symbol::new(text).unwrap_or_default();
    let spec = InstrumentSpec {
        symbol: symbol("BTCUSDT"),
        base: symbol("BTC"),
        quote: symbol("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters::default(),
    };
    let instruments = [Instrument::new(InstrumentId(0), spec)];
    let mut depth = DepthBuf::with_capacity(1024);
    let mut group = c.benchmark_group("decode_depth_update");
    for levels in [20, 200] {
        let frame = frame(levels);
        group.throughput(Throughput::Bytes(frame.len() as u64));
        for (name, kind) in [("simd_json", DecoderKind::SimdJson), ("scanner", DecoderKind::Scanner)] {
            let mut decoder = Decoder::new(&instruments).with_kind(kind);
            assert_eq!(decoder.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth), Ok(Decoded::Depth));
            let levels_read = depth.bids.iter().chain(&depth.asks);
            let sum: i64 = levels_read.map(|level| level.price.ticks() ^ level.qty.lots()).sum();
            println!("{levels} levels by {name}: checksum {sum}");
            group.bench_function(format!("{levels}_levels_{name}"), |bencher| {
                bencher.iter(|| decoder.decode(black_box(frame.as_bytes()), TimestampNs::ZERO, &mut depth));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode_depth);
criterion_main!(benches);
