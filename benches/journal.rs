//! Cost of one append: copy, checksum, commit. The control copies the same records into anonymous memory.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use touchline::journal::{Journal, JournalConfig, SessionInfo};
use touchline::types::{SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream, Unit};

/// Records of a batch: they fit into the pages that the keeper has touched.
const BATCH: u64 = 1_000;

fn record(buf: &mut RecordBuf, seq: u64, payload: &[u8]) -> Vec<Unit> {
    buf.begin();
    buf.put(payload);
    buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO).to_vec()
}

fn journal_append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal_append");
    group.throughput(Throughput::Elements(BATCH));
    for payload_bytes in [32_usize, 480] {
        let payload = vec![7_u8; payload_bytes];
        let mut buf = RecordBuf::default();
        group.bench_function(format!("{} B", payload_bytes + 32), |bencher| {
            let dir = tempfile::tempdir().unwrap();
            let info = SessionInfo::new(SessionId(1), "bench", "binance", TimestampNs::ZERO, &[], None);
            let config = JournalConfig { sync_interval: None, ..JournalConfig::new(dir.path()) };
            let Journal { mut feed, mut keeper, .. } = Journal::create(&config, &info, 0).unwrap();
            bencher.iter_batched(
                || (),
                |()| {
                    for _ in 0..BATCH {
                        let seq = feed.next_seq();
                        buf.begin();
                        buf.put(&payload);
                        let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
                        if !feed.has_room(units.len()) {
                            keeper.step(TimestampNs::from_nanos(1)).unwrap();
                        }
                        feed.append(black_box(units)).unwrap();
                    }
                    // The cold side's part is in the figure here, because one thread does both.
                    keeper.step(TimestampNs::from_nanos(1)).unwrap();
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(format!("{} B, anonymous memory without checksum", payload_bytes + 32), |bencher| {
            let units = record(&mut buf, 1, &payload);
            let mut memory = vec![Unit::default(); units.len() * BATCH as usize];
            bencher.iter(|| {
                for slot in memory.chunks_exact_mut(units.len()) {
                    slot.copy_from_slice(black_box(&units));
                }
                black_box(&memory);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, journal_append);
criterion_main!(benches);
