//! What is measured of one engine on one workload: a check of its trades, its speed in one go, and each message timed.

use super::engine::{Engine, Instance, Message, REJECTED, Report, Ring, TRADE};
use super::reference::{Digest, Trade};
use super::workload::Workload;
use crate::machine::{allocations, bytes_in_use};

/// 64 KiB of reports, as a ring to the next thread would have.
const RING: usize = 1024;
/// No message of any workload has more consequences.
const CHECK_RING: usize = 1 << 16;

/// What one engine made of one workload.
#[derive(Default)]
pub struct Figures {
    pub correct: bool,
    pub ns_per_op: Vec<f64>,
    pub bytes_per_order: f64,
    pub allocs_per_op: f64,
    /// By round, by message: ticks of the clock.
    pub ticks: Vec<Vec<u32>>,
    /// By message.
    pub reports: Vec<u32>,
}

/// How much of a workload an engine is given: messages in one go, and messages one by one.
#[derive(Clone, Copy)]
pub struct Share {
    pub messages: usize,
    pub single: usize,
}

impl Share {
    /// The two parts as one stream without a gap, so that a digest of its trades is known.
    fn of(self, workload: &Workload) -> (&[Message], &[Message]) {
        let whole = self.messages == workload.messages.len();
        let messages = &workload.messages[..self.messages];
        let rest = if whole { &workload.single[..] } else { &workload.messages[self.messages..] };
        (messages, &rest[..self.single])
    }
}

/// Sends everything once and compares the trades with those of the rules.
pub fn check(engine: Engine, workload: &Workload, share: Share, figures: &mut Figures) {
    let mut room = vec![Report::default(); CHECK_RING];
    let mut ring = Ring::over(&mut room);
    let mut instance = Instance::new(engine, workload.orders, workload.levels);
    let mut digest = Digest::default();
    let mut is_clean = true;
    let (messages, single) = share.of(workload);
    figures.reports = Vec::with_capacity(share.messages + share.single);
    for (at, message) in workload.fill.iter().chain(messages).chain(single).enumerate() {
        let before = ring.head;
        instance.submit(message, &mut ring);
        is_clean &= ring.head > before;
        for place in before..ring.head {
            let report = ring.at(place);
            is_clean &= report.kind != REJECTED;
            if report.kind == TRADE {
                let Report { id: maker_id, taker_id, price, qty, .. } = report;
                digest.add(&Trade { maker_id, taker_id, price, qty });
            }
        }
        if at >= workload.fill.len() {
            figures.reports.push((ring.head - before) as u32);
        }
    }
    let count = share.messages + share.single;
    let expected = workload.digests.iter().find(|(length, _)| *length == count).expect("a digest of that length").1;
    if !engine.names_orders {
        digest.orders = expected.orders;
    }
    figures.correct = engine.is_null || is_clean && digest == expected;
}

/// One round: the book is filled, then the messages go in one go, then the rest with the clock read around each.
pub fn time(engine: Engine, workload: &Workload, share: Share, figures: &mut Figures) {
    let mut room = vec![Report::default(); RING];
    let mut ring = Ring::over(&mut room);
    let (messages, single) = share.of(workload);
    let bytes = bytes_in_use();
    let mut instance = Instance::new(engine, workload.orders, workload.levels);
    for message in &workload.fill {
        instance.submit(message, &mut ring);
    }
    let bytes = bytes_in_use().saturating_sub(bytes) + instance.bytes().unwrap_or(0);
    figures.bytes_per_order = bytes as f64 / workload.live as f64;

    let mut ticks = Vec::with_capacity(single.len());
    let before = allocations();
    let start = thread_ns();
    instance.submit_all(messages, &mut ring);
    let elapsed = thread_ns() - start;
    for message in single {
        let start = clock::before();
        instance.submit(message, &mut ring);
        ticks.push(u32::try_from(clock::after() - start).unwrap_or(u32::MAX));
    }
    figures.allocs_per_op = (allocations() - before) as f64 / (messages.len() + single.len()) as f64;
    figures.ns_per_op.push(elapsed as f64 / messages.len() as f64);
    figures.ticks.push(ticks);
}

/// The clock: the time-stamp counter, fenced so that what is timed is what happens between.
#[cfg(target_arch = "x86_64")]
pub mod clock {
    use std::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
    use std::time::{Duration, Instant};

    #[inline]
    pub fn before() -> u64 {
        // SAFETY: every x86-64 has these instructions.
        unsafe {
            _mm_lfence();
            let ticks = _rdtsc();
            _mm_lfence();
            ticks
        }
    }

    #[inline]
    pub fn after() -> u64 {
        let mut core = 0;
        // SAFETY: as in `before`.
        unsafe {
            let ticks = __rdtscp(&mut core);
            _mm_lfence();
            ticks
        }
    }

    /// Nanoseconds a tick, measured for a moment.
    pub fn ns_per_tick() -> f64 {
        let (start, ticks) = (Instant::now(), before());
        while start.elapsed() < Duration::from_millis(50) {}
        start.elapsed().as_nanos() as f64 / (after() - ticks) as f64
    }
}

/// The clock where there is no counter to read: the system's.
#[cfg(not(target_arch = "x86_64"))]
pub mod clock {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();

    pub fn before() -> u64 {
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub fn after() -> u64 {
        before()
    }

    pub fn ns_per_tick() -> f64 {
        1.0
    }
}

/// What reading the clock twice costs, in ticks: the median of many.
pub fn clock_cost() -> u32 {
    let mut costs: Vec<u64> = (0..10_001)
        .map(|_| {
            let start = clock::before();
            clock::after() - start
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2] as u32
}

/// Nanoseconds that this thread has run: what others do with the core meanwhile does not count.
fn thread_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the timespec alone.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "a thread has a clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
