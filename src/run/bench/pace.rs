//! The pace meter: how much of its own speed a core has while nobody takes it away.
//!
//! A core of a virtual machine is often one of two threads of a physical one. When the other one, which belongs to a
//! stranger, is at work, ours goes on at about half its speed: no pause shows it, and every figure is twice as high for as
//! long. So one and the same piece of work is done again and again, on a page that is near, and timed. The quick pieces
//! say what the core can do; what the others take longer was lost to somebody.

use std::hint::black_box;
use std::time::Duration;

use hdrhistogram::Histogram;
use quanta::Clock;

use super::figures;

/// Steps of a piece: a fifth of a microsecond or so.
const STEPS: usize = 256;
/// Lines that a piece reads: half of the nearest cache.
const LINES: usize = 256;
/// Of all pieces so many are taken for undisturbed: enough that a clock that was read early is not among them.
const BEST: f64 = 0.05;
/// A piece that took so many times as long was interrupted: the hiccup meter counts those.
const INTERRUPTED: u64 = 4;
/// A core that loses more than this share of its speed is shared with somebody who works.
const LOST_MAX: f64 = 0.05;

/// How fast a core was.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Pace {
    /// The core.
    pub core: usize,
    /// Pieces that were timed.
    pub pieces: u64,
    /// A piece at the core's own speed, in nanoseconds.
    pub best_ns: u64,
    /// Half of the pieces were faster.
    pub p50_ns: u64,
    /// Nine in ten were faster.
    pub p90_ns: u64,
    /// The share of the core's own speed that was lost.
    pub lost: f64,
}

impl Pace {
    /// Why figures taken meanwhile cannot be judged, if so.
    pub fn disturbed(&self) -> Option<String> {
        (self.lost > LOST_MAX).then(|| {
            format!(
                "core {} lost {:.0} % of its speed without being taken away: its physical core is shared with a stranger",
                self.core,
                self.lost * 1e2
            )
        })
    }
}

/// Times pieces on one core.
#[derive(Debug)]
pub struct Meter {
    core: usize,
    pieces: Histogram<u64>,
}

impl Meter {
    /// A meter of a core that has not been watched yet.
    pub fn new(core: usize) -> Meter {
        Meter { core, pieces: figures::empty() }
    }

    /// Watches for so long, on a thread of its own.
    pub fn watch(&mut self, span: Duration) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                core_affinity::set_for_current(core_affinity::CoreId { id: self.core });
                let (clock, page) = (Clock::new(), [1_u8; LINES * 64]);
                let began = clock.raw();
                let mut last = began;
                while clock.delta_as_nanos(began, last) < span.as_nanos() as u64 {
                    black_box(piece(black_box(&page)));
                    let now = clock.raw();
                    self.take(clock.delta_as_nanos(last, now));
                    last = now;
                }
            });
        });
    }

    /// Takes the time of a piece.
    fn take(&mut self, ns: u64) {
        self.pieces.saturating_record(ns);
    }

    /// What was seen.
    pub fn read(&self) -> Pace {
        let best_ns = self.pieces.value_at_quantile(BEST);
        let whole = self.pieces.iter_recorded().filter(|piece| piece.value_iterated_to() < best_ns * INTERRUPTED);
        let (count, sum) = whole.fold((0, 0), |(count, sum), piece| {
            let times = piece.count_at_value();
            (count + times, sum + times * piece.value_iterated_to().max(best_ns))
        });
        Pace {
            core: self.core,
            pieces: self.pieces.len(),
            best_ns,
            p50_ns: self.pieces.value_at_quantile(0.5),
            p90_ns: self.pieces.value_at_quantile(0.9),
            lost: if sum > 0 { 1.0 - (count * best_ns) as f64 / sum as f64 } else { 0.0 },
        }
    }
}

/// Additions and multiplications that can be done side by side, and reads of lines that are near: more than one thread's
/// share of a core, so that it shows when there is another.
fn piece(page: &[u8; LINES * 64]) -> u64 {
    let mut sums = [1_u64, 2, 3, 5];
    for step in 0..STEPS {
        sums[0] = sums[0].wrapping_mul(3).wrapping_add(1);
        sums[1] = sums[1].wrapping_add(sums[0] ^ step as u64);
        sums[2] = (sums[2] << 1) ^ sums[1];
        sums[3] = sums[3].wrapping_add(u64::from(page[step * 64 % page.len()]));
        // Each step is done, and none is folded into the next.
        sums = black_box(sums);
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[(u64, usize)]) -> Pace {
        let mut meter = Meter::new(1);
        pieces.iter().for_each(|&(ns, times)| (0..times).for_each(|_| meter.take(ns)));
        meter.read()
    }

    #[test]
    fn what_slow_pieces_take_longer_is_lost_and_interrupted_ones_do_not_count() {
        let steady = read(&[(200, 10_000), (90_000, 50)]);
        assert_eq!((steady.best_ns, steady.p50_ns, steady.lost, steady.disturbed()), (200, 200, 0.0, None));
        // A quarter of the time at half the speed: an eighth of the speed is gone.
        let shared = read(&[(200, 6_000), (400, 1_000), (5_000, 3)]);
        assert!((shared.lost - 0.125).abs() < 1e-9, "{shared:?}");
        assert!(shared.disturbed().unwrap().contains("core 1 lost 12 % of its speed"), "{:?}", shared.disturbed());
        assert_eq!(Meter::new(0).read().disturbed(), None, "nothing was seen");
    }

    #[test]
    fn a_core_is_watched_for_as_long_as_asked() {
        let core = crate::topology::cores_at_hand(&[])[0];
        let mut meter = Meter::new(core);
        (0..2).for_each(|_| meter.watch(Duration::from_millis(10)));
        let pace = meter.read();
        assert!(pace.core == core && pace.pieces > 100 && pace.best_ns > 0, "{pace:?}");
    }
}
