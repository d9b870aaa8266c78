//! Messages on their way: taken out in the order of their arrival, and in the order of sending where two arrive at once.

use std::collections::VecDeque;

use crate::types::TimestampNs;

/// Messages of one kind on their way.
#[derive(Debug)]
pub struct InFlight<T> {
    /// The first to arrive first.
    queue: VecDeque<(TimestampNs, T)>,
}

impl<T> Default for InFlight<T> {
    fn default() -> InFlight<T> {
        InFlight { queue: VecDeque::new() }
    }
}

impl<T> InFlight<T> {
    /// Sends a message that arrives at `at`.
    pub fn send(&mut self, at: TimestampNs, message: T) {
        // Messages of one way keep their order, so the place is the last one, or a few before it.
        match self.queue.back() {
            Some((last, _)) if *last > at => {
                let place = self.queue.partition_point(|(one, _)| *one <= at);
                self.queue.insert(place, (at, message));
            }
            _ => self.queue.push_back((at, message)),
        }
    }

    /// When the next one arrives.
    #[inline]
    pub fn next_at(&self) -> Option<TimestampNs> {
        self.queue.front().map(|(at, _)| *at)
    }

    /// The next one that has arrived by `now`, with the time of its arrival.
    #[inline]
    pub fn arrived(&mut self, now: TimestampNs) -> Option<(TimestampNs, T)> {
        if self.next_at()? > now {
            return None;
        }
        self.queue.pop_front()
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_by_their_times_and_by_sending_where_those_are_equal() {
        let mut way = InFlight::default();
        let mut want = Vec::new();
        for sent in 0..1_000_u64 {
            let at = TimestampNs::from_nanos(sent * 7_919 % 64);
            way.send(at, sent);
            want.push((at, sent));
        }
        want.sort();
        assert_eq!(way.next_at(), Some(TimestampNs::ZERO));
        let early = std::iter::from_fn(|| way.arrived(TimestampNs::from_nanos(31))).collect::<Vec<_>>();
        assert!(early.iter().eq(want.iter().take_while(|(at, _)| at.nanos() <= 31)));
        assert!(!way.is_empty());
        let late = std::iter::from_fn(|| way.arrived(TimestampNs::from_nanos(64))).collect::<Vec<_>>();
        assert_eq!([early, late].concat(), want);
        assert!(way.is_empty());
    }
}
