//! How long the last round trips of an inline gateway were, and what follows from it.

use std::time::Duration;

/// Deadlines within which a venue that is there answers, even when something holds it or us.
const LOST: u32 = 5;
/// Trips remembered.
const TRIPS: usize = 8;

/// The last trips.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trips {
    /// The longest that there is before the first.
    last: [Duration; TRIPS],
    next: usize,
    /// The longest trip that may hold the runner again.
    deadline: Duration,
    /// The longest trip that is not worth splitting.
    worth_waking: Duration,
}

impl Trips {
    /// Before the first trip.
    pub(super) fn new(deadline: Duration, worth_waking: Duration) -> Trips {
        Trips { last: [Duration::MAX; TRIPS], next: 0, deadline, worth_waking }
    }

    /// Whether a trip was one that may come again.
    pub(super) fn is_short(&self, trip: Duration) -> bool {
        trip <= self.deadline
    }

    /// Notes a trip, and returns whether the next one must not hold the runner: the second in a row that took too long, or
    /// one that took so long that nobody may be there. One alone is more often our own core's absence.
    pub(super) fn note(&mut self, trip: Duration) -> bool {
        let before = self.last[(self.next + TRIPS - 1) % TRIPS];
        self.last[self.next] = trip;
        self.next = (self.next + 1) % TRIPS;
        trip > self.deadline * LOST || (!self.is_short(trip) && !self.is_short(before))
    }

    /// Whether a wake-up is short beside a round trip. By the shortest of the last few: a wake-up can itself make a trip
    /// long, and would go on justifying the next one.
    pub(super) fn are_long(&self) -> bool {
        self.last.iter().all(|trip| *trip > self.worth_waking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::inline::WORTH_WAKING;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn two_long_trips_in_a_row_or_a_very_long_one_end_the_inline_service() {
        let mut trips = Trips::new(2 * MS, WORTH_WAKING);
        assert!(!trips.note(MS) && !trips.note(3 * MS), "one may be our own core's absence");
        assert!(!trips.note(MS) && !trips.note(2 * MS) && !trips.note(10 * MS));
        assert!(trips.note(3 * MS), "the second in a row");
        assert!(!trips.note(MS) && trips.note(11 * MS), "nobody may be there");
        assert!(Trips::new(2 * MS, WORTH_WAKING).note(3 * MS), "nothing is known before the first");
    }

    #[test]
    fn a_wake_up_is_worth_it_once_all_trips_remembered_are_long() {
        let mut trips = Trips::new(2 * MS, WORTH_WAKING);
        assert!(trips.are_long());
        trips.note(MS / 10);
        (1..TRIPS).for_each(|_| assert!(!trips.note(MS) && !trips.are_long()));
        trips.note(MS);
        assert!(trips.are_long());
        assert!(!Trips::new(2 * MS, Duration::MAX).are_long(), "there is nobody to wake");
    }
}
