//! Which trades have been counted.
//!
//! Owns [`TradeIds`] of one instrument: fills come by several roads, and again after every reconnect; each trade
//! number moves the position once.

use crate::pipeline::digest::Digester;
use crate::types::TradeId;

/// Trade numbers remembered one by one. A venue numbers trades upwards, so whatever is below the highest number that
/// had to be forgotten counts as seen.
const REMEMBERED: usize = 4096;

/// Counts each trade number once, in bounded memory.
pub struct TradeIds {
    ring: Vec<i64>,
    next: usize,
    forgotten: i64,
}

impl TradeIds {
    /// Nothing counted yet.
    pub fn new() -> TradeIds {
        TradeIds { ring: Vec::with_capacity(REMEMBERED), next: 0, forgotten: i64::MIN }
    }

    /// Whether the number is new; it is then remembered. A scan of 32 KiB at most, on fills only.
    pub fn insert(&mut self, id: TradeId) -> bool {
        if id.0 <= self.forgotten || self.ring.contains(&id.0) {
            return false;
        }
        if self.ring.len() < REMEMBERED {
            self.ring.push(id.0);
            return true;
        }
        self.forgotten = self.forgotten.max(self.ring[self.next]);
        self.ring[self.next] = id.0;
        self.next = (self.next + 1) % REMEMBERED;
        true
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for id in &self.ring {
            digester.i64(*id);
        }
        digester.u64(self.next as u64);
        digester.i64(self.forgotten);
    }
}

impl Default for TradeIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once_and_memory_is_bounded() {
        let mut ids = TradeIds::new();
        for id in 0..3 * REMEMBERED as i64 {
            // Numbers come a little out of order.
            assert!(ids.insert(TradeId(id ^ 3)), "{id}");
            assert!(!ids.insert(TradeId(id ^ 3)), "{id}");
        }
        assert_eq!(ids.ring.capacity(), REMEMBERED);
        for id in 0..3 * REMEMBERED as i64 {
            assert!(!ids.insert(TradeId(id)), "{id} was counted twice");
        }
    }
}
