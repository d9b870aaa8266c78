//! Cost of one append: copy, checksum, commit; beside the same work on anonymous memory, in one run.
//!
//! First part, as in an engine: a keeper on a thread of its own prepares, touches, writes out and syncs while one thread
//! appends records of 64 bytes, paced so that the disk can follow. Every eighth millisecond a burst of appends is timed as
//! a whole, then one of the control; in the others single appends come every ten microseconds, each timed alone, and
//! between them the control and an empty measurement. The control checksums and copies the same record into anonymous
//! memory, all of it touched before. Printed: the mean over a burst, quantiles of single appends net of what an empty
//! measurement takes, page faults of the hot thread after the warm-up; `p99.9 net` leaves out as many slow ones as the
//! empty measurement has. A block in which the system took the core away is a hiccup of the machine: it is counted, and
//! the figures are told with it and without it. Runs: syncs as configured, seldom, and never; segments so small that they
//! are changed some fifty times, at a pace that the disk's syncs can follow; a keeper that hangs for a second, again and
//! again. `--json` prints one line a run and nothing else. Second part: criterion, record sizes.
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
/// Records of a burst, and single records of a millisecond: 5.6 MB/s together, thirty times what a busy symbol writes.
const BURST: usize = 256;
const SINGLES: usize = 64;
/// Between two single measurements.
const SPACING_NS: u64 = 3_000;
/// Milliseconds before figures are kept: the first pages and the caches.
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
    /// Mean of each burst, in nanoseconds a record.
    means: Vec<f64>,
    /// Single records, in nanoseconds, in blocks that ran undisturbed.
    quiet: Vec<u64>,
    /// Single records of all blocks.
    all: Vec<u64>,
    faults: i64,
}

impl Costs {
    /// Room for all figures: a list that grows would fault between the measurements.
    fn for_run(seconds: u64) -> Costs {
        let singles = seconds as usize * 1_000 * SINGLES;
        let mut costs = Costs { means: vec![0.0; seconds as usize * 125], ..Costs::default() };
        (costs.quiet, costs.all) = (vec![1; singles], vec![1; singles]);
        costs.means.clear();
        costs.quiet.clear();
        costs.all.clear();
        costs
    }

    fn sort(&mut self) {
        self.means.sort_by(f64::total_cmp);
        self.quiet.sort_unstable();
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

/// The time that one append in a thousand takes longer than, beyond those of an empty measurement that do: what stops the
/// processor stops both.
fn net_of_hiccups(sorted: &[u64], nothing: &[u64], empty_ns: u64) -> u64 {
    let longer = |all: &[u64], ns: u64| all.iter().rev().take_while(|&&one| one > ns).count() as f64 / all.len() as f64;
    // From above: what is shorter than an empty measurement is longer than nothing for both.
    let found =
        (0..10_000_u64).rev().map(|step| step * 10).find(|&ns| longer(sorted, ns) - longer(nothing, ns) > 0.001);
    found.map_or(0, |ns| (ns + 10).saturating_sub(empty_ns))
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
    disturbed: usize,
    blocks: usize,
}

impl Figures {
    fn print(&mut self, plan: &Plan, json: bool) {
        for costs in [&mut self.append, &mut self.control, &mut self.nothing] {
            costs.sort();
        }
        self.changes.sort_unstable();
        let empty_ns = quantile(&self.nothing.quiet, 0.5, 0);
        let kinds = [("append", &self.append), ("anonymous memory", &self.control), ("nothing", &self.nothing)];
        if json {
            let of = |costs: &Costs| {
                serde_json::json!({
                    "mean_ns": costs.median_mean(),
                    "p50_ns": quantile(&costs.quiet, 0.5, empty_ns),
                    "p99_ns": quantile(&costs.quiet, 0.99, empty_ns),
                    "p999_ns": quantile(&costs.quiet, 0.999, empty_ns),
                    "p999_net_ns": net_of_hiccups(&costs.all, &self.nothing.all, empty_ns),
                    "p999_with_hiccups_ns": quantile(&costs.all, 0.999, empty_ns),
                    "page_faults": costs.faults,
                })
            };
            let line = serde_json::json!({
                "run": plan.name, "append": of(&self.append), "control": of(&self.control),
                "segments_changed": self.changes.len(), "disturbed_blocks": self.disturbed, "blocks": self.blocks,
            });
            println!("{line}");
            return;
        }
        println!(
            "\n64 B with checksum, {}; {} of {} blocks disturbed; an empty measurement takes {empty_ns} ns",
            plan.name, self.disturbed, self.blocks
        );
        println!(
            "{:<18} {:>10} {:>10} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10} {:>8}",
            "ns a record",
            "burst med",
            "burst mean",
            "p50",
            "p99",
            "p99.9",
            "p99.99",
            "p99.9 net",
            "p99.9 all",
            "max all",
            "faults"
        );
        for (name, costs) in kinds {
            let mean = costs.means.iter().sum::<f64>() / costs.means.len() as f64;
            let [p50, p99, p999, p9999] =
                [0.5, 0.99, 0.999, 0.9999].map(|share| quantile(&costs.quiet, share, empty_ns));
            println!(
                "{name:<18} {:>10.1} {mean:>10.1} {p50:>8} {p99:>8} {p999:>8} {p9999:>8} {:>10} {:>10} {:>10} {:>8}",
                costs.median_mean(),
                net_of_hiccups(&costs.all, &self.nothing.all, empty_ns),
                quantile(&costs.all, 0.999, empty_ns),
                quantile(&costs.all, 1.0, empty_ns),
                costs.faults
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
    let clock = Clock::new();
    let mut figures = Figures {
        append: Costs::for_run(seconds),
        control: Costs::for_run(seconds),
        nothing: Costs::for_run(seconds),
        changes: Vec::with_capacity(1 << 16),
        disturbed: 0,
        blocks: 0,
    };
    let mut buf = RecordBuf::default();
    let mut units = record(&mut buf, 1, &[7; 32]);
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
        let mut at = 0;
        let mut control = |units: &mut [Unit]| {
            units[0].0[1] = at as u64;
            let crc = crc32c::crc32c(bytemuck::cast_slice(black_box(&*units)));
            units[0].0[0] = u64::from(crc) << 32;
            memory[at] = units[0];
            at = (at + 1) % memory.len();
        };
        let per_segment = (plan.segment_bytes - 4096) / 64;
        let [mut singles, mut controls, mut empties] = [[0_u64; SINGLES]; 3];
        let mut next = Instant::now();
        for block in 0.. {
            if started.elapsed() > Duration::from_secs(seconds) {
                break;
            }
            let before = counted();
            let burst = block % 8 == 7;
            if burst {
                let start = clock.raw();
                for _ in 0..BURST {
                    units[0].0[1] = feed.next_seq();
                    feed.append(black_box(&units)).unwrap();
                }
                let middle = clock.raw();
                let between = counted();
                let again = clock.raw();
                for _ in 0..BURST {
                    control(&mut units);
                }
                let end = clock.raw();
                if block >= WARM_UP {
                    let mean = |from, to| clock.delta_as_nanos(from, to) as f64 / BURST as f64;
                    figures.append.means.push(mean(start, middle));
                    figures.control.means.push(mean(again, end));
                    figures.nothing.means.push(0.0);
                    figures.append.faults += between.minor_faults - before.minor_faults;
                }
            } else {
                // Each on its own, so that none waits for the memory of the one before it.
                let alone = |work: &mut dyn FnMut()| {
                    let start = clock.raw();
                    work();
                    let end = clock.raw();
                    while clock.delta_as_nanos(end, clock.raw()) < SPACING_NS {
                        std::hint::spin_loop();
                    }
                    clock.delta_as_nanos(start, end)
                };
                for ((append, other), empty) in singles.iter_mut().zip(&mut controls).zip(&mut empties) {
                    let changes = feed.next_seq() % per_segment == 1 && feed.next_seq() > 1;
                    *append = alone(&mut || {
                        units[0].0[1] = feed.next_seq();
                        feed.append(black_box(&units)).unwrap();
                    });
                    *other = alone(&mut || control(&mut units));
                    *empty = alone(&mut || {
                        black_box(&units);
                    });
                    if changes && block >= WARM_UP {
                        figures.changes.push(*append);
                    }
                }
            }
            let after = counted();
            if block >= WARM_UP {
                let disturbed = after.taken_away > before.taken_away;
                figures.blocks += 1;
                figures.disturbed += usize::from(disturbed);
                if !burst {
                    figures.append.faults +=
                        after.minor_faults - before.minor_faults + after.major_faults - before.major_faults;
                    for (costs, block) in [
                        (&mut figures.append, &singles),
                        (&mut figures.control, &controls),
                        (&mut figures.nothing, &empties),
                    ] {
                        costs.all.extend_from_slice(block);
                        if !disturbed {
                            costs.quiet.extend_from_slice(block);
                        }
                    }
                }
            }
            next += Duration::from_millis(1);
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        }
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
