//! The hiccup meter: how often, and for how long, this machine takes a core away from a thread that only spins.
//!
//! Also the noise test, which says when the machine is too disturbed for its figures to be judged. A gap is recorded
//! with its two ends, so that a latency sample that overlaps one can be told from one that does not.

use std::time::Duration;

use hdrhistogram::Histogram;
use quanta::Clock;

use super::figures;

/// Shorter pauses are timer interrupts and cache misses, which every sample has its share of.
pub const GAP_NS: u64 = 20_000;
/// A quiet machine loses less of a core than this share; one that loses more has other work to do.
const LOST_MAX: f64 = 0.05;
/// And has fewer pauses of a millisecond or more than this, a second: those are the system's time slices.
const LONG_GAPS_MAX: f64 = 5.0;

/// A pause: raw counter before and after it.
pub type Gap = (u64, u64);

/// The pauses of one core.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Hiccups {
    /// The core.
    pub core: usize,
    /// How long it was watched, in milliseconds.
    pub watched_ms: u64,
    /// Pauses of a microsecond or more.
    pub gaps_1us: u64,
    /// Pauses of ten microseconds or more.
    pub gaps_10us: u64,
    /// Pauses of a hundred microseconds or more.
    pub gaps_100us: u64,
    /// Pauses of a millisecond or more.
    pub gaps_1ms: u64,
    /// The share of the time that was lost in pauses.
    pub lost: f64,
    /// The 99th percentile of what an instant chosen at random had still to wait for, in nanoseconds.
    pub wait_p99_ns: u64,
    /// As the 99.9th.
    pub wait_p999_ns: u64,
    /// The longest pause, in nanoseconds.
    pub max_ns: u64,
}

impl Hiccups {
    /// Why figures taken now cannot be judged, if so.
    pub fn disturbed(&self) -> Option<String> {
        let seconds = (self.watched_ms as f64 / 1e3).max(1e-3);
        if self.lost > LOST_MAX {
            return Some(format!("core {} lost {:.1} % of its time to others", self.core, self.lost * 1e2));
        }
        let long = self.gaps_1ms as f64 / seconds;
        (long > LONG_GAPS_MAX)
            .then(|| format!("core {} was taken away for a millisecond or more {long:.1} times a second", self.core))
    }
}

/// Counts pauses as they come.
#[derive(Debug)]
pub struct Meter {
    /// Pauses of a microsecond or more, in nanoseconds.
    gaps: Histogram<u64>,
    total_ns: u64,
    lost_ns: u64,
}

impl Default for Meter {
    fn default() -> Meter {
        let gaps = figures::empty();
        Meter { gaps, total_ns: 0, lost_ns: 0 }
    }
}

impl Meter {
    /// Takes the time between two looks at the clock.
    pub fn take(&mut self, ns: u64) {
        self.total_ns += ns;
        if ns >= 1_000 {
            self.lost_ns += ns;
            self.gaps.saturating_record(ns);
        }
    }

    /// What was counted.
    pub fn read(&self, core: usize) -> Hiccups {
        let from = |ns: u64| self.gaps.iter_recorded().filter(move |gap| gap.value_iterated_to() >= ns);
        let count = |ns| from(ns).map(|gap| gap.count_at_value()).sum();
        Hiccups {
            core,
            watched_ms: self.total_ns / 1_000_000,
            gaps_1us: count(1_000),
            gaps_10us: count(10_000),
            gaps_100us: count(100_000),
            gaps_1ms: count(1_000_000),
            lost: self.lost_ns as f64 / self.total_ns.max(1) as f64,
            wait_p99_ns: self.wait(0.99),
            wait_p999_ns: self.wait(0.999),
            max_ns: self.gaps.max(),
        }
    }

    /// What an instant has to wait at a quantile: long gaps are met in proportion to their length.
    fn wait(&self, quantile: f64) -> u64 {
        // The share of instants that wait for more than `w` is the sum of what is left of each gap beyond `w`.
        let beyond = |wait: u64| {
            let left = self
                .gaps
                .iter_recorded()
                .map(|gap| (gap.value_iterated_to().saturating_sub(wait) as f64) * gap.count_at_value() as f64);
            left.sum::<f64>() / self.total_ns.max(1) as f64
        };
        let (mut low, mut high) = (0, self.gaps.max());
        while low < high {
            let middle = low + (high - low) / 2;
            if beyond(middle) > 1.0 - quantile { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Spins on a core and notes each pause.
pub fn measure(core: usize, span: Duration) -> Hiccups {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let clock = Clock::new();
    let mut meter = Meter::default();
    let began = clock.raw();
    let mut last = began;
    while clock.delta_as_nanos(began, last) < span.as_nanos() as u64 {
        let now = clock.raw();
        meter.take(clock.delta_as_nanos(last, now));
        last = now;
    }
    meter.read(core)
}

/// Both cores at once, each watched by a thread of its own.
pub fn measure_all(cores: &[usize], span: Duration) -> Vec<Hiccups> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = cores.iter().map(|&core| scope.spawn(move || measure(core, span))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// Whether a span overlaps one of the gaps, which are in order.
pub fn overlaps(gaps: &[Gap], from: u64, to: u64) -> bool {
    let next = gaps.partition_point(|gap| gap.1 <= from);
    gaps.get(next).is_some_and(|gap| gap.0 < to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_counted_by_length_and_waited_for_by_time() {
        let mut meter = Meter::default();
        // A second: 99 % of it in steps of 100 ns, ten pauses of a millisecond.
        for _ in 0..9_900_000 {
            meter.take(100);
        }
        for _ in 0..10 {
            meter.take(1_000_000);
        }
        let hiccups = meter.read(1);
        assert_eq!((hiccups.gaps_1us, hiccups.gaps_1ms, hiccups.watched_ms), (10, 10, 1000));
        assert!((hiccups.lost - 0.01).abs() < 1e-9);
        // One instant in a thousand falls into the first tenth of a pause, and waits for the other nine.
        assert!((880_000..920_000).contains(&hiccups.wait_p999_ns), "{hiccups:?}");
        assert!(hiccups.disturbed().unwrap().contains("10.0 times a second"));
        let quiet = Hiccups { gaps_1ms: 1, ..hiccups };
        assert_eq!(quiet.disturbed(), None);
        assert!(Hiccups { lost: 0.2, ..quiet }.disturbed().unwrap().contains("lost 20.0 %"));
    }

    #[test]
    fn a_sample_is_dropped_only_when_a_gap_lies_in_it() {
        let gaps = [(10, 20), (50, 60)];
        let spans = [(0, 10), (0, 11), (12, 15), (20, 50), (30, 70), (60, 90)];
        assert_eq!(spans.map(|(from, to)| overlaps(&gaps, from, to)), [false, true, true, false, true, false]);
    }

    #[test]
    fn a_core_is_watched_for_as_long_as_asked() {
        let core = crate::topology::cores_at_hand(&[])[0];
        let hiccups = measure_all(&[core], Duration::from_millis(20));
        assert!(hiccups[0].watched_ms >= 19 && hiccups[0].core == core, "{hiccups:?}");
    }
}
