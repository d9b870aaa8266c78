//! Cost of one append: copy, checksum, commit; beside the same work on anonymous memory, in one run.
//!
//! First part, as in an engine: a keeper on a thread of its own prepares, writes out and syncs while one thread appends
//! records of 64 bytes in bursts, paced so that the disk can follow. Blocks of appends alternate with blocks of the
//! control, which copies and checksums the same record into prefaulted anonymous memory. Printed: the mean over a batch,
//! quantiles of single appends net of what an empty measurement takes, page faults of the hot thread after the warm-up.
//! A block in which the kernel took the core away, or the hypervisor did, is a hiccup of the machine: it is counted, and
//! the figures are told with it and without it. Second part: criterion, record sizes.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use quanta::Clock;
use touchline::journal::{Journal, JournalConfig, SessionInfo};
use touchline::types::{SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream, Unit};

/// Records of a batch: they fit into the pages that the keeper has touched.
const BATCH: u64 = 1_000;
/// One burst a millisecond of that many records: 16 MB/s, a hundred times what a busy symbol writes.
const BURST: usize = 256;
/// Bursts before figures are kept: the first pages and the caches.
const WARM_UP: usize = 500;

fn record(buf: &mut RecordBuf, seq: u64, payload: &[u8]) -> Vec<Unit> {
    buf.begin();
    buf.put(payload);
    buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO).to_vec()
}

/// What the kernel has counted for this thread so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    minor_faults: i64,
    major_faults: i64,
    taken_away: i64,
}

#[allow(unsafe_code)]
fn counted() -> Counted {
    // SAFETY: `getrusage` fills the struct that it is given, which is plain integers.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage
    };
    Counted { minor_faults: usage.ru_minflt, major_faults: usage.ru_majflt, taken_away: usage.ru_nivcsw }
}

/// Costs of one kind of work.
#[derive(Default)]
struct Costs {
    /// Mean of each batch, in nanoseconds a record.
    means: Vec<f64>,
    /// Single records, in nanoseconds, in batches that ran undisturbed.
    quiet: Vec<u64>,
    /// Single records of all batches.
    all: Vec<u64>,
    disturbed: usize,
    faults: i64,
}

impl Costs {
    fn print(&mut self, name: &str, empty_ns: u64) {
        self.means.sort_by(f64::total_cmp);
        let mean = self.means.iter().sum::<f64>() / self.means.len() as f64;
        let quantile = |sorted: &[u64], share: f64| {
            sorted
                .get(((sorted.len() as f64 * share) as usize).min(sorted.len() - 1))
                .map_or(0, |ns| ns - empty_ns.min(*ns))
        };
        self.quiet.sort_unstable();
        self.all.sort_unstable();
        println!(
            "{name:<28} mean of a batch: median {:5.1} ns, mean {mean:5.1} ns | single, quiet: p50 {} p99 {} p99.9 {} p99.99 {} ns | \
             single, all: p99.9 {} ns, max {} ns | {} of {} batches disturbed | page faults {}",
            self.means[self.means.len() / 2],
            quantile(&self.quiet, 0.5),
            quantile(&self.quiet, 0.99),
            quantile(&self.quiet, 0.999),
            quantile(&self.quiet, 0.9999),
            quantile(&self.all, 0.999),
            quantile(&self.all, 1.0),
            self.disturbed,
            self.means.len(),
            self.faults,
        );
    }
}

/// One batch: its mean measured as a whole for even batches, each record alone for odd ones.
fn batch(clock: &Clock, costs: &mut Costs, single: bool, warm: bool, mut work: impl FnMut()) {
    let before = counted();
    let mut singles = [0_u64; BURST];
    let start = clock.raw();
    if single {
        for slot in &mut singles {
            let from = clock.raw();
            work();
            *slot = clock.delta_as_nanos(from, clock.raw());
        }
    } else {
        for _ in 0..BURST {
            work();
        }
    }
    let took_ns = clock.delta_as_nanos(start, clock.raw());
    let after = counted();
    if !warm {
        return;
    }
    costs.faults += after.minor_faults - before.minor_faults + after.major_faults - before.major_faults;
    let disturbed = after.taken_away > before.taken_away;
    costs.disturbed += usize::from(disturbed);
    if single {
        costs.all.extend_from_slice(&singles);
        if !disturbed {
            costs.quiet.extend_from_slice(&singles);
        }
    } else {
        costs.means.push(took_ns as f64 / BURST as f64);
    }
}

fn live_append(seconds: u64, sync: Option<u64>) {
    let dir =
        tempfile::tempdir_in(std::env::var_os("TOUCHLINE_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into()))
            .unwrap();
    let info = SessionInfo::new(SessionId(1), "bench", "binance", TimestampNs::ZERO, &[], None);
    let config = JournalConfig {
        sync_interval: sync.map(touchline::types::DurationNs::from_millis),
        ..JournalConfig::new(dir.path())
    };
    let Journal { mut feed, mut keeper, quote, gateways, .. } = Journal::create(&config, &info, 0).unwrap();
    let stop = AtomicBool::new(false);
    let clock = Clock::new();
    let started = Instant::now();
    let (mut append, mut control, mut empty) = (Costs::default(), Costs::default(), Costs::default());
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                keeper.step(TimestampNs::from_nanos(1 + started.elapsed().as_nanos() as u64)).unwrap();
                std::thread::sleep(Duration::from_micros(500));
            }
            keeper
        });
        let mut buf = RecordBuf::default();
        let mut units = record(&mut buf, 1, &[7; 32]);
        // As large as a segment, so that the caches are of as little help.
        let mut memory = vec![Unit([1; 8]); (64 << 20) / 64];
        let mut at = 0;
        let mut bursts = 0;
        let mut next = Instant::now();
        while started.elapsed() < Duration::from_secs(seconds) {
            let warm = bursts >= WARM_UP;
            let single = bursts % 2 == 1;
            batch(&clock, &mut append, single, warm, || {
                units[0].0[1] = feed.next_seq();
                feed.append(black_box(&units)).unwrap();
            });
            batch(&clock, &mut control, single, warm, || {
                units[0].0[1] = at as u64;
                let crc = crc32c::crc32c(bytemuck::cast_slice(black_box(&units)));
                units[0].0[0] = u64::from(crc) << 32;
                memory[at] = units[0];
                at = (at + 1) % memory.len();
            });
            batch(&clock, &mut empty, single, warm, || {
                black_box(&units);
            });
            bursts += 1;
            next += Duration::from_millis(1);
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        }
        drop((feed, quote, gateways));
        stop.store(true, Ordering::Release);
        keeping.join().unwrap().close().unwrap();
    });
    empty.quiet.sort_unstable();
    let empty_ns = empty.quiet[empty.quiet.len() / 2];
    let syncs = sync.map_or("at the seal only".to_owned(), |ms| format!("each {ms} ms"));
    println!(
        "\n64 B with checksum, keeper on its own thread, synced {syncs}; an empty measurement takes {empty_ns} ns"
    );
    append.print("append", empty_ns);
    control.print("anonymous memory (control)", empty_ns);
    empty.print("nothing", empty_ns);
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

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let seconds = if std::env::args().any(|arg| arg == "--bench") { 10 } else { 2 };
    for sync in [Some(100), Some(1_000), None] {
        live_append(seconds, sync);
    }
    if seconds > 2 {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
