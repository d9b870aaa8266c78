//! Our clock and the venue's.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use quanta::Clock;

use crate::types::TimestampNs;

/// For so long after a look at the system's clock the time stamp counter tells the time. The two part by some tens of
/// nanoseconds within it, and by less than a microsecond while the system's clock is being adjusted.
const HOLDS_NS: u64 = 1_000_000;
/// A look at both that took longer was interrupted, and says too little about either.
const LOOK_NS: u64 = 1_000;
const LOOKS: usize = 4;
/// Time does not run back by less than this: it stands still. By more, somebody has set the clock.
const BACK_NS: u64 = 1_000_000;

static COUNTER: LazyLock<Clock> = LazyLock::new(Clock::new);

thread_local! {
    static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor { raw: 0, wall_ns: 0, told_ns: 0 }) };
}

/// The last look of a thread at the system's clock.
#[derive(Clone, Copy)]
struct Anchor {
    /// The counter then.
    raw: u64,
    wall_ns: u64,
    /// The latest time that the thread was told.
    told_ns: u64,
}

impl Anchor {
    /// The time at a counter, while the anchor holds. A counter that has begun anew, as after a sleep of the machine, says
    /// nothing.
    fn at(&self, raw: u64, ns: impl Fn(u64, u64) -> u64) -> Option<u64> {
        if self.raw == 0 || raw < self.raw {
            return None;
        }
        let since_ns = ns(self.raw, raw);
        (since_ns < HOLDS_NS).then(|| self.wall_ns + since_ns)
    }

    /// Notes a time before it is told.
    fn tell(&mut self, wall_ns: u64) -> u64 {
        let is_behind = wall_ns < self.told_ns && self.told_ns - wall_ns < BACK_NS;
        self.told_ns = if is_behind { self.told_ns } else { wall_ns };
        self.told_ns
    }
}

/// The system's clock, UTC. Asking for it takes three times as long as the counter, and the way from a frame to an order
/// asks three times; so a thread asks the system once in a millisecond, and the counter in between.
pub fn wall_now() -> TimestampNs {
    let raw = COUNTER.raw();
    let mut anchor = ANCHOR.get();
    let known = anchor.at(raw, |from, to| COUNTER.delta_as_nanos(from, to));
    let wall_ns = known.unwrap_or_else(|| {
        (anchor.raw, anchor.wall_ns) = look();
        anchor.wall_ns
    });
    let told_ns = anchor.tell(wall_ns);
    ANCHOR.set(anchor);
    TimestampNs::from_nanos(told_ns)
}

/// The counter and the system's clock at one time, as near as they were seen together.
#[cold]
fn look() -> (u64, u64) {
    let (mut best, mut shortest_ns) = ((0, 0), u64::MAX);
    for _ in 0..LOOKS {
        let before = COUNTER.raw();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let after = COUNTER.raw();
        let took_ns = COUNTER.delta_as_nanos(before, after);
        if took_ns < shortest_ns {
            (best, shortest_ns) = ((after, u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)), took_ns);
        }
        if took_ns < LOOK_NS {
            break;
        }
    }
    best
}

/// How far the venue's clock is from ours. Shared by all gateways; set by whoever measured it last.
#[derive(Clone, Debug, Default)]
pub struct VenueClock {
    offset_ns: Arc<AtomicI64>,
}

impl VenueClock {
    /// Takes a measurement: the venue stated `venue_ts` in an answer to a request sent and answered at those times.
    pub fn observe(&self, sent: TimestampNs, answered: TimestampNs, venue_ts: TimestampNs) {
        // The venue read its clock somewhere between; the middle is off by half a round trip at most.
        let middle = sent.nanos() / 2 + answered.nanos() / 2;
        self.offset_ns.store(venue_ts.nanos().wrapping_sub(middle) as i64, Ordering::Relaxed);
    }

    /// The venue's clock minus ours.
    pub fn offset_ns(&self) -> i64 {
        self.offset_ns.load(Ordering::Relaxed)
    }

    /// What the venue's clock shows at `now`, in milliseconds, for `timestamp`.
    pub fn venue_millis(&self, now: TimestampNs) -> u64 {
        now.nanos().saturating_add_signed(self.offset_ns()) / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_told_is_the_systems_and_never_runs_back_a_little() {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let began = system();
        let (mut last, mut told) = (0, 0_u64);
        // Over many looks at the system's clock. A thread that is interrupted between two lines proves nothing either way.
        while system() - began < 50_000_000 {
            let (before, now, after) = (system(), wall_now().nanos(), system());
            assert!(now >= last, "{now} after {last}");
            assert!(now + 100_000 >= before && now <= after + 100_000, "{now} between {before} and {after}");
            (last, told) = (now, told + 1);
        }
        assert!(told > 100);
    }

    #[test]
    fn a_clock_that_somebody_sets_is_followed_and_a_small_step_back_is_waited_out() {
        let mut anchor = Anchor { raw: 1_000, wall_ns: 5_000_000_000, told_ns: 0 };
        let at = |anchor: &Anchor, raw| anchor.at(raw, |from, to| to - from);
        assert_eq!(at(&anchor, 1_000 + HOLDS_NS - 1), Some(5_000_000_000 + HOLDS_NS - 1));
        assert_eq!(at(&anchor, 1_000 + HOLDS_NS), None, "the system is asked again");
        assert_eq!(at(&anchor, 999), None, "the counter has begun anew");
        assert_eq!(at(&Anchor { raw: 0, ..anchor }, 5), None, "nobody has looked");
        let told =
            [7_000_000_000, 6_999_999_900, 7_000_000_050, 3_000_000_000, 3_000_000_001].map(|ns| anchor.tell(ns));
        assert_eq!(told, [7_000_000_000, 7_000_000_000, 7_000_000_050, 3_000_000_000, 3_000_000_001]);
    }

    #[test]
    fn a_venue_that_is_ahead_or_behind_is_followed() {
        let clock = VenueClock::default();
        let at = TimestampNs::from_millis;
        clock.observe(at(1000), at(1010), at(2505));
        assert_eq!((clock.offset_ns(), clock.venue_millis(at(2000))), (1_500_000_000, 3500));
        clock.observe(at(10_000), at(10_000), at(4000));
        assert_eq!(clock.venue_millis(at(11_000)), 5000);
    }
}
