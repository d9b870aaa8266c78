//! How fast two cores speak to each other now: two lines, each written by one side. The measure of every link.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use quanta::Clock;

use super::figures;

/// One-way hops, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PingPong {
    /// Half of the hops were faster.
    pub p50_ns: u64,
    /// 99 in 100 were faster.
    pub p99_ns: u64,
    /// Round trips made.
    pub trips: u64,
}

/// Sends `trips` numbers from one core to another and back. A hop is half a round trip.
pub fn measure(cores: [usize; 2], trips: u64) -> PingPong {
    let (ping, pong) = (CachePadded::new(AtomicU64::new(0)), CachePadded::new(AtomicU64::new(0)));
    let mut hops = figures::empty();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            core_affinity::set_for_current(core_affinity::CoreId { id: cores[1] });
            for number in 1..=trips {
                while ping.load(Ordering::Acquire) != number {
                    std::hint::spin_loop();
                }
                pong.store(number, Ordering::Release);
            }
        });
        let here = scope.spawn(|| {
            core_affinity::set_for_current(core_affinity::CoreId { id: cores[0] });
            let clock = Clock::new();
            for number in 1..=trips {
                let sent = clock.raw();
                ping.store(number, Ordering::Release);
                while pong.load(Ordering::Acquire) != number {
                    std::hint::spin_loop();
                }
                hops.saturating_record(clock.delta_as_nanos(sent, clock.raw()) / 2);
            }
        });
        // A panic there is passed on by the scope.
        let _ = here.join();
    });
    PingPong { p50_ns: hops.value_at_quantile(0.5), p99_ns: hops.value_at_quantile(0.99), trips: hops.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trip_is_made_and_none_takes_no_time() {
        let cores = crate::topology::cores_at_hand(&[]);
        let measured = measure([cores[0], *cores.last().unwrap()], 300);
        assert_eq!(measured.trips, 300);
        assert!(measured.p50_ns > 0 && measured.p50_ns <= measured.p99_ns, "{measured:?}");
    }
}
