//! Median of the last values.
//!
//! Owns [`RollingMedian`]: a ring in order of time and the same values in order of size. Memory is fixed; a value costs
//! one search and one shift of that memory. Used for the cap of volatility, once a minute.

use serde::{Deserialize, Serialize};

use crate::pipeline::digest::Digester;

/// The last values and their median.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RollingMedian {
    capacity: usize,
    ring: Vec<f64>,
    next: usize,
    sorted: Vec<f64>,
}

impl RollingMedian {
    /// Room for so many values.
    pub(super) fn new(capacity: usize) -> RollingMedian {
        RollingMedian { capacity, ring: Vec::with_capacity(capacity), next: 0, sorted: Vec::with_capacity(capacity) }
    }

    /// Takes a value, and forgets the oldest when there is no room.
    pub(super) fn push(&mut self, value: f64) {
        if self.ring.len() == self.capacity {
            let oldest = std::mem::replace(&mut self.ring[self.next], value);
            let at = self.sorted.partition_point(|other| other.total_cmp(&oldest).is_lt());
            self.sorted.remove(at);
        } else {
            self.ring.push(value);
        }
        self.next = (self.next + 1) % self.capacity;
        let at = self.sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        self.sorted.insert(at, value);
    }

    /// The median of at least `count_min` values.
    pub(super) fn median(&self, count_min: usize) -> Option<f64> {
        let count = self.sorted.len();
        if count == 0 || count < count_min {
            return None;
        }
        let upper = self.sorted[count / 2];
        Some(if count % 2 == 1 { upper } else { 0.5 * (self.sorted[count / 2 - 1] + upper) })
    }

    /// Takes over another's values; returns false, and changes nothing, when they are not of the same length of time.
    pub(super) fn restore(&mut self, other: &RollingMedian) -> bool {
        let fits = other.capacity == self.capacity
            && other.ring.len() <= self.capacity
            && other.next < self.capacity.max(1)
            && (other.ring.len() == self.capacity || other.next == other.ring.len())
            && other.ring.iter().all(|value| value.is_finite());
        if fits {
            self.ring.clone_from(&other.ring);
            self.next = other.next;
            self.sorted.clone_from(&other.ring);
            self.sorted.sort_by(f64::total_cmp);
            // Cloning may have given away the room for values to come.
            self.ring.reserve_exact(self.capacity - self.ring.len());
            self.sorted.reserve_exact(self.capacity - self.sorted.len());
        }
        fits
    }

    /// Adds its state to a digest.
    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.u64(self.next as u64);
        for value in &self.ring {
            digester.f64(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_middle_of_the_last_values(values in prop::collection::vec(0_u8..20, 1..200), capacity in 1_usize..40) {
            let mut median = RollingMedian::new(capacity);
            for at in 0..values.len() {
                median.push(f64::from(values[at]));
                let mut last: Vec<f64> = values[(at + 1).saturating_sub(capacity)..=at].iter().map(|v| f64::from(*v)).collect();
                last.sort_by(f64::total_cmp);
                let want = (last[(last.len() - 1) / 2] + last[last.len() / 2]) / 2.0;
                prop_assert_eq!(median.median(1), Some(want));
                prop_assert_eq!(median.median(capacity + 1), None);
            }
            let mut other = RollingMedian::new(capacity);
            prop_assert!(other.restore(&median));
            other.push(3.0);
            median.push(3.0);
            prop_assert_eq!(other, median);
            prop_assert!(!RollingMedian::new(capacity + 1).restore(&RollingMedian::new(capacity)));
        }
    }
}
