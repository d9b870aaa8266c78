//! What a link costs: a record sent and taken on one thread, as the fused runner does it.
//!
//! Goal: the copy of a whole record into the ring and out of it, small (a touch) and large (a diff of 20 levels a side).
//! Not a goal: the hop between cores, which depends on the machine more than on the code. Every stamp is summed and
//! checked, so that the bench measures records that arrived.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use touchline::types::{InstrumentId, Level, Price, Qty, TimestampNs, Touch};
use touchline::wire::{DepthBuf, FeedEvent, Flags, RecordBuf, Stream, unit_link};

const RECORDS: u64 = 1000;

fn pass(event: &FeedEvent<'_>) -> u64 {
    let (mut sender, mut receiver) = unit_link(65_536);
    let mut buf = RecordBuf::with_capacity(4096);
    let mut sum = 0;
    for seq in 1..=RECORDS {
        let (kind, ts) = event.encode(&mut buf);
        let units = buf.finish(Stream::Feed, kind, Flags::NONE, seq, ts);
        sender.send_stamped(units, seq).expect("the ring is drained each time");
        let (stamp, record) = receiver.recv_stamped().expect("it was just sent");
        sum += stamp + u64::from(black_box(record.expect("it was just built")).header.len > 0);
    }
    sum
}

fn link_record(c: &mut Criterion) {
    let level = |ticks| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(1) };
    let touch = Touch {
        instrument: InstrumentId(0),
        recv_ts: TimestampNs::from_nanos(1),
        update_id: 1,
        bid: level(10),
        ask: level(11),
    };
    let mut depth = DepthBuf::with_capacity(20);
    depth.bids.extend((0..20).map(level));
    depth.asks.extend((100..120).map(level));
    let mut group = c.benchmark_group("link_record");
    group.throughput(Throughput::Elements(RECORDS));
    for (name, event) in [("touch", FeedEvent::Touch(touch)), ("diff_20", FeedEvent::Depth(depth.as_ref()))] {
        assert_eq!(pass(&event), RECORDS * (RECORDS + 1) / 2 + RECORDS);
        group.bench_function(name, |b| b.iter(|| pass(&event)));
    }
    group.finish();
}

criterion_group!(benches, link_record);
criterion_main!(benches);
