//! Messages on their way: taken out in the order of their arrival, and in the order of sending where two arrive at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::types::TimestampNs;

/// Messages of one kind on their way.
#[derive(Debug)]
pub struct InFlight<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
    sent: u64,
}

#[derive(Debug)]
struct Due<T> {
    at: TimestampNs,
    order: u64,
    message: T,
}

impl<T> Default for InFlight<T> {
    fn default() -> InFlight<T> {
        InFlight { heap: BinaryHeap::new(), sent: 0 }
    }
}

impl<T> InFlight<T> {
    /// Sends a message that arrives at `at`.
    pub fn send(&mut self, at: TimestampNs, message: T) {
        self.sent += 1;
        self.heap.push(Reverse(Due { at, order: self.sent, message }));
    }

    /// When the next one arrives.
    pub fn next_at(&self) -> Option<TimestampNs> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }

    /// The next one that has arrived by `now`, with the time of its arrival.
    pub fn arrived(&mut self, now: TimestampNs) -> Option<(TimestampNs, T)> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| (due.at, due.message))
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl<T> Eq for Due<T> {}
impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
