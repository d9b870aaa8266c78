//! The time stamp counter, and when a thread last looked at it.
//!
//! A look takes some ten nanoseconds and lets nothing overtake it, so the way of an order has as few as it has stamps:
//! who wants to know about when a step ended takes the step's own last look.

use std::cell::Cell;

use quanta::Clock;

thread_local! {
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The counter now.
pub fn look(clock: &Clock) -> u64 {
    let raw = clock.raw();
    LAST.set(raw);
    raw
}

/// The counter at this thread's last [`look`] after `began`, or now if there was none.
pub fn last_look_since(began: u64, clock: &Clock) -> u64 {
    let last = LAST.get();
    if last > began { last } else { clock.raw() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_with_its_last_look_and_one_without_looks_ends_now() {
        let clock = Clock::new();
        let (early, began) = (look(&clock), clock.raw());
        let ended = last_look_since(began, &clock);
        assert!(ended >= began && early <= began);
        let looked = look(&clock);
        let end = clock.raw();
        assert_eq!(last_look_since(began, &clock), looked);
        assert!(looked <= end && std::thread::spawn(|| LAST.get()).join().unwrap() == 0);
    }
}
