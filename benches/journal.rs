//! Cost of one append: copy, checksum, commit; beside the same work on anonymous memory, in one run.
//!
//! First part, as in an engine: a keeper on a thread of its own prepares, touches, writes out and syncs while one thread
//! appends records of 64 bytes, paced so that the disk can follow. Every eighth millisecond a burst of appends is timed as
//! a whole, then one of the control; between them single ones come every five microseconds, each timed alone, in turns of
//! appends, control and empty measurements. The control checksums and copies the same record into anonymous memory, all of
//! it touched before.
//!
//! Hiccups of the machine are told apart by one rule for all three. The thread that waits for the next measurement reads
//! the clock all the time; where two readings lie 150 ns apart something else had the core, and the measurement after it
//! is dropped and counted, because it pays for caches that others have filled. A run that drops more than 5 % is void.
//! What strikes inside of a measurement strikes an empty one as often: `p99.9 net` is the time that one record in a
//! thousand takes longer than, beyond the empty measurements that do. All quantiles are net of what an empty measurement
//! takes; `p99.9 with gaps` drops nothing. Page faults are those of the hot thread after the warm-up.
//!
//! Runs: syncs as configured, seldom, and never; segments so small that they are changed again and again; a keeper that
//! hangs for a second, again and again. `--json` prints one line a run and nothing else. Second part: criterion, record
//! sizes.
//!
//! `TOUCHLINE_BENCH_DIR` names the disk, `TOUCHLINE_BENCH_SECONDS` the length of a run.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use quanta::Clock;
use touchline::journal::{Journal, JournalConfig, SessionInfo};
use touchline::types::{SessionId, TimestampNs};
use touchline::wire::{Flags, Kind, RecordBuf, Stream, Unit};

/// Records of a batch of the second part: they fit into the pages that the keeper has touched.
const BATCH: u64 = 1_000;
/// Records of a burst; one comes every eight milliseconds.
const BURST: usize = 256;
const BURST_EVERY_NS: u64 = 8_000_000;
/// Single measurements of one kind in a row, after a first one that warms the code up.
const TURN: usize = 64;
/// Between two single measurements: with the bursts some 6 MB/s, thirty times what a busy symbol writes.
const SPACING_NS: u64 = 5_000;
/// Two readings of the clock in a row that lie so far apart: something else had the core.
const GAP_NS: u64 = 150;
/// A run of which a larger share is dropped says nothing.
const DROPPED_MAX: f64 = 0.05;
/// Before figures are kept: the first pages and the caches.
const WARM_UP_NS: u64 = 500_000_000;

fn record(buf: &mut RecordBuf, seq: u64, payload: &[u8]) -> Vec<Unit> {
    buf.begin();
    buf.put(payload);
    buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO).to_vec()
}

/// Page faults of this thread so far.
#[allow(unsafe_code)]
fn page_faults() -> i64 {
    // SAFETY: `getrusage` fills the struct that it is given, which is plain integers.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage
    };
    usage.ru_minflt + usage.ru_majflt
}

/// Costs of one kind of work.
#[derive(Default)]
struct Costs {
    /// Mean of each burst, in nanoseconds a record.
    means: Vec<f64>,
    /// Single records, in nanoseconds, that overlap no gap.
    net: Vec<u64>,
    /// All single records.
    all: Vec<u64>,
}

impl Costs {
    /// Room for all figures: a list that grows would fault between the measurements.
    fn for_run(seconds: u64) -> Costs {
        let singles = (seconds * 1_000_000_000 / SPACING_NS / 3) as usize + 1;
        let mut costs = Costs { means: vec![0.0; seconds as usize * 126], ..Costs::default() };
        (costs.net, costs.all) = (vec![1; singles], vec![1; singles]);
        costs.means.clear();
        costs.net.clear();
        costs.all.clear();
        costs
    }

    /// A single record and the longest gap of the clock from the measurement before it to its end.
    fn single(&mut self, (ns, gap_ns): (u64, u64)) {
        self.all.push(ns);
        if gap_ns < GAP_NS {
            self.net.push(ns);
        }
    }

    fn sort(&mut self) {
        self.means.sort_by(f64::total_cmp);
        self.net.sort_unstable();
        self.all.sort_unstable();
    }

    fn median_mean(&self) -> f64 {
        self.means[self.means.len() / 2]
    }
}

/// A quantile, net of what an empty measurement takes.
fn quantile(sorted: &[u64], share: f64, empty_ns: u64) -> u64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0, |ns| ns.saturating_sub(empty_ns))
}

/// The time that one record in a thousand takes longer than, beyond those of an empty measurement that do: what stops the
/// processor inside of a measurement stops both.
fn p999_net_of(nothing: &[u64], sorted: &[u64], empty_ns: u64) -> u64 {
    let longer = |all: &[u64], ns: u64| (all.len() - all.partition_point(|&one| one <= ns)) as f64 / all.len() as f64;
    // From above: what is shorter than an empty measurement is longer than nothing for both.
    let found = (0..100_000).rev().find(|&ns| longer(sorted, ns) - longer(nothing, ns) > 0.001);
    found.map_or(0, |ns| (ns + 1_u64).saturating_sub(empty_ns))
}

/// How a run differs from the usual one.
#[derive(Clone, Copy)]
struct Plan {
    name: &'static str,
    sync_ms: Option<u64>,
    segment_bytes: u64,
    /// The keeper hangs for so long, once in twice that time.
    hang: Option<Duration>,
}

/// What the three kinds of work have cost.
struct Figures {
    append: Costs,
    control: Costs,
    nothing: Costs,
    /// The appends that took another segment, in nanoseconds.
    changes: Vec<u64>,
    /// Of the hot thread after the warm-up: appends, control and measuring together.
    page_faults: i64,
}

impl Figures {
    fn for_run(seconds: u64) -> Figures {
        let [append, control, nothing] = [(); 3].map(|()| Costs::for_run(seconds));
        Figures { append, control, nothing, changes: Vec::with_capacity(1 << 16), page_faults: 0 }
    }

    fn print(&mut self, plan: &Plan, json: bool) {
        let costs = [&mut self.append, &mut self.control, &mut self.nothing];
        let (net, all) = costs.iter().fold((0, 0), |(net, all), costs| (net + costs.net.len(), all + costs.all.len()));
        costs.into_iter().for_each(Costs::sort);
        self.changes.sort_unstable();
        let dropped = 1.0 - net as f64 / all as f64;
        let empty_ns = quantile(&self.nothing.net, 0.5, 0);
        let kinds = [("append", &self.append), ("anonymous memory", &self.control), ("nothing", &self.nothing)];
        if json {
            let of = |costs: &Costs| {
                serde_json::json!({
                    "mean_ns": costs.median_mean(),
                    "p50_ns": quantile(&costs.net, 0.5, empty_ns),
                    "p99_ns": quantile(&costs.net, 0.99, empty_ns),
                    "p999_ns": quantile(&costs.net, 0.999, empty_ns),
                    "p999_net_ns": p999_net_of(&self.nothing.net, &costs.net, empty_ns),
                    "p999_with_gaps_ns": quantile(&costs.all, 0.999, empty_ns),
                })
            };
            let line = serde_json::json!({
                "run": plan.name, "append": of(&self.append), "control": of(&self.control), "nothing": of(&self.nothing),
                "page_faults": self.page_faults, "dropped_share": dropped, "void": dropped > DROPPED_MAX,
                "segments_changed": self.changes.len(),
            });
            println!("{line}");
            return;
        }
        println!(
            "\n64 B with checksum, {}: {} page faults; an empty measurement takes {empty_ns} ns; {:.2} % of all \
             dropped for gaps{}",
            plan.name,
            self.page_faults,
            dropped * 100.0,
            if dropped > DROPPED_MAX { ": VOID, the machine is too disturbed to judge" } else { "" }
        );
        println!(
            "{:<18} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8} {:>16} {:>10}",
            "ns a record", "burst mean", "p50", "p99", "p99.9 net", "p99.9", "p99.99", "p99.9 with gaps", "max"
        );
        for (name, costs) in kinds {
            let [p50, p99, p999, p9999] = [0.5, 0.99, 0.999, 0.9999].map(|share| quantile(&costs.net, share, empty_ns));
            println!(
                "{name:<18} {:>10.1} {p50:>8} {p99:>8} {:>10} {p999:>8} {p9999:>8} {:>16} {:>10}",
                costs.median_mean(),
                p999_net_of(&self.nothing.net, &costs.net, empty_ns),
                quantile(&costs.all, 0.999, empty_ns),
                quantile(&costs.all, 1.0, empty_ns),
            );
        }
        if self.changes.len() > 10 {
            let [p50, most] = [0.5, 1.0].map(|share| quantile(&self.changes, share, empty_ns));
            println!(
                "{} segments changed; an append that changed one: p50 {p50} ns, max {most} ns",
                self.changes.len()
            );
        }
    }
}

/// The clock as the hot thread reads it.
struct Watch {
    clock: Clock,
    /// When the measurement before ended.
    last: u64,
}

impl Watch {
    /// Waits a while, then does a piece of work. Returns what it said, and its time and the longest gap of the wait.
    fn alone<T>(&mut self, work: impl FnOnce() -> T) -> (T, (u64, u64)) {
        let (mut now, mut gap) = (self.last, 0);
        while self.clock.delta_as_nanos(self.last, now) < SPACING_NS {
            let read = self.clock.raw();
            gap = gap.max(read - now);
            now = read;
            std::hint::spin_loop();
        }
        let start = self.clock.raw();
        let said = work();
        self.last = self.clock.raw();
        (said, (self.clock.delta_as_nanos(start, self.last), self.clock.delta_as_nanos(0, gap)))
    }

    /// Several of a kind, each on its own; the first one warms the code up and is not kept.
    fn turn<T>(&mut self, mut work: impl FnMut() -> T, mut keep: impl FnMut(T, (u64, u64))) {
        self.alone(&mut work);
        for _ in 0..TURN {
            let (said, single) = self.alone(&mut work);
            keep(said, single);
        }
    }

    /// The mean of many in a row.
    fn burst(&mut self, mut work: impl FnMut()) -> f64 {
        let start = self.clock.raw();
        for _ in 0..BURST {
            work();
        }
        self.last = self.clock.raw();
        self.clock.delta_as_nanos(start, self.last) as f64 / BURST as f64
    }
}

fn live_append(seconds: u64, plan: &Plan) -> Figures {
    let dir =
        tempfile::tempdir_in(std::env::var_os("TOUCHLINE_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into()))
            .unwrap();
    let info = SessionInfo::new(SessionId(1), "bench", "binance", TimestampNs::ZERO, &[], None);
    let config = JournalConfig {
        sync_interval: plan.sync_ms.map(touchline::types::DurationNs::from_millis),
        segment_bytes: plan.segment_bytes,
        ..JournalConfig::new(dir.path())
    };
    let Journal { mut feed, mut keeper, quote, gateways, .. } = Journal::create(&config, &info, 0).unwrap();
    let stop = AtomicBool::new(false);
    let mut figures = Figures::for_run(seconds);
    let mut buf = RecordBuf::default();
    let units = record(&mut buf, 1, &[7; 32]);
    let mut other_units = units.clone();
    let mut units = units;
    // As large as a segment, so that the caches are of as little help.
    let mut memory = vec![Unit([1; 8]); (64 << 20) / 64];
    let started = Instant::now();
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| {
            let mut next_hang = plan.hang;
            while !stop.load(Ordering::Acquire) {
                keeper.step(TimestampNs::from_nanos(1 + started.elapsed().as_nanos() as u64)).unwrap();
                std::thread::sleep(match (plan.hang, next_hang) {
                    (Some(hang), Some(at)) if started.elapsed() > at => {
                        next_hang = Some(started.elapsed() + 2 * hang);
                        hang
                    }
                    _ => Duration::from_micros(500),
                });
            }
            keeper
        });
        let per_segment = (plan.segment_bytes - 4096) / 64;
        let mut append = || {
            units[0].0[1] = feed.next_seq();
            feed.append(black_box(&units)).unwrap();
            feed.next_seq() % per_segment == 2 && feed.next_seq() > 2
        };
        let mut at = 0;
        let mut control = || {
            other_units[0].0[1] = at as u64;
            let crc = crc32c::crc32c(bytemuck::cast_slice(black_box(&other_units)));
            other_units[0].0[0] = u64::from(crc) << 32;
            memory[at] = other_units[0];
            at = (at + 1) % memory.len();
        };
        let clock = Clock::new();
        let mut watch = Watch { last: clock.raw(), clock };
        let begun = watch.last;
        let (mut faults, mut bursts) = (None, 0);
        loop {
            let passed = watch.clock.delta_as_nanos(begun, watch.last);
            if passed > seconds * 1_000_000_000 {
                break;
            }
            let keep = passed > WARM_UP_NS;
            if keep && faults.is_none() {
                faults = Some(page_faults());
            }
            if passed / BURST_EVERY_NS > bursts {
                bursts = passed / BURST_EVERY_NS;
                let means = [watch.burst(|| _ = append()), watch.burst(&mut control), watch.burst(|| _ = black_box(0))];
                if keep {
                    for (costs, mean) in
                        [&mut figures.append, &mut figures.control, &mut figures.nothing].into_iter().zip(means)
                    {
                        costs.means.push(mean);
                    }
                }
                continue;
            }
            watch.turn(&mut append, |changed, single| {
                if keep {
                    figures.append.single(single);
                }
                if keep && changed {
                    figures.changes.push(single.0);
                }
            });
            for (costs, work) in [
                (&mut figures.control, &mut control as &mut dyn FnMut()),
                (&mut figures.nothing, &mut || _ = black_box(0)),
            ] {
                watch.turn(work, |(), single| {
                    if keep {
                        costs.single(single);
                    }
                });
            }
        }
        figures.page_faults = page_faults() - faults.unwrap_or_default();
        drop((feed, quote, gateways));
        stop.store(true, Ordering::Release);
        keeping.join().unwrap().close().unwrap();
    });
    figures
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
    let json = std::env::args().any(|arg| arg == "--json");
    // `cargo test --benches` only asks whether it runs.
    let benched = std::env::args().any(|arg| arg == "--bench");
    let seconds = std::env::var("TOUCHLINE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or(if benched { 10 } else { 2 });
    let usual = Plan { name: "synced each 100 ms", sync_ms: Some(100), segment_bytes: 64 << 20, hang: None };
    for plan in [
        usual,
        Plan { name: "synced each second", sync_ms: Some(1_000), ..usual },
        Plan { name: "synced at the seal only", sync_ms: None, ..usual },
        Plan { name: "segments of 1 MiB", segment_bytes: 1 << 20, ..usual },
        Plan { name: "a keeper that hangs for 1 s in 2", hang: Some(Duration::from_secs(1)), ..usual },
    ] {
        live_append(seconds, &plan).print(&plan, json);
    }
    if benched && !json {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
