//! Order-flow imbalance at the best prices (Cont, Kukanov, Stoikov).
//!
//! Owns [`OrderFlow`]: the last best levels, the window of events and the usual depth. Formula: quant.md 2.5.

use std::collections::VecDeque;

use crate::pipeline::digest::Digester;
use crate::types::{Level, TimestampNs};

/// Events that the window holds at most. The best prices change a few hundred times a second at the very most; in a
/// burst beyond that the oldest events leave the window early.
const EVENTS_MAX: usize = 1024;

/// How many best-quote updates the usual depth remembers, as a half-life.
const DEPTH_HALF_LIFE: f64 = 256.0;

/// Sum of best-quote events over a window.
pub struct OrderFlow {
    window_ns: u64,
    events: VecDeque<(TimestampNs, i64)>,
    sum: i64,
    last: Option<(Level, Level)>,
    depth: Option<f64>,
    depth_decay: f64,
}

impl OrderFlow {
    /// Before the first book.
    pub fn new(window_ms: u64) -> OrderFlow {
        OrderFlow {
            window_ns: window_ms.saturating_mul(1_000_000),
            events: VecDeque::with_capacity(EVENTS_MAX),
            sum: 0,
            last: None,
            depth: None,
            depth_decay: (-1.0 / DEPTH_HALF_LIFE).exp2(),
        }
    }

    /// Takes the best levels of others after an update.
    pub fn on_best(&mut self, ts: TimestampNs, bid: Level, ask: Level) {
        if let Some((last_bid, last_ask)) = self.last.replace((bid, ask)) {
            let event = event(last_bid, last_ask, bid, ask);
            if self.events.len() == EVENTS_MAX {
                self.drop_oldest();
            }
            self.events.push_back((ts, event));
            self.sum += event;
        }
        while self.events.front().is_some_and(|(at, _)| ts.since(*at).nanos() >= self.window_ns) {
            self.drop_oldest();
        }
        let depth = (bid.qty.lots() + ask.qty.lots()) as f64 / 2.0;
        self.depth = Some(match self.depth {
            Some(usual) => self.depth_decay * usual + (1.0 - self.depth_decay) * depth,
            None => depth,
        });
    }

    /// The book was lost: the next best levels have no predecessor.
    pub fn on_gap(&mut self) {
        self.last = None;
        self.events.clear();
        self.sum = 0;
    }

    /// Sum over the window, in lots; `None` before the second book.
    pub fn sum_lots(&self) -> Option<i64> {
        (self.last.is_some() && !self.events.is_empty()).then_some(self.sum)
    }

    /// Sum over the window in units of the usual depth at the best prices.
    pub fn normalised(&self) -> Option<f64> {
        let depth = self.depth.filter(|depth| *depth > 0.0)?;
        Some(self.sum_lots()? as f64 / depth)
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for (at, event) in &self.events {
            digester.time(*at);
            digester.i64(*event);
        }
        digester.option_f64(self.depth);
    }

    fn drop_oldest(&mut self) {
        if let Some((_, event)) = self.events.pop_front() {
            self.sum -= event;
        }
    }
}

/// What one update of the best levels says about who presses: lots, positive for buyers.
fn event(last_bid: Level, last_ask: Level, bid: Level, ask: Level) -> i64 {
    let when = |condition: bool, level: Level| if condition { level.qty.lots() } else { 0 };
    when(bid.price >= last_bid.price, bid)
        - when(bid.price <= last_bid.price, last_bid)
        - when(ask.price <= last_ask.price, ask)
        + when(ask.price >= last_ask.price, last_ask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Price, Qty};

    fn level(half: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(half), qty: Qty::from_lots(qty) }
    }

    #[test]
    fn oracle() {
        let mut flow = OrderFlow::new(1000);
        let mut events = Vec::new();
        // Prices of the oracle in halves: 100.5 is 201.
        for (millis, (bid, bid_qty, ask, ask_qty)) in
            [(200, 5, 202, 4), (200, 7, 202, 4), (200, 7, 202, 1), (201, 3, 202, 1), (201, 3, 203, 6)]
                .into_iter()
                .enumerate()
        {
            let before = flow.sum_lots().unwrap_or(0);
            flow.on_best(TimestampNs::from_millis(millis as u64), level(bid, bid_qty), level(ask, ask_qty));
            events.push(flow.sum_lots().unwrap_or(0) - before);
        }
        assert_eq!(events, [0, 2, 3, 3, 1]);
        assert_eq!(flow.sum_lots(), Some(9));
    }

    #[test]
    fn events_leave_the_window() {
        let mut flow = OrderFlow::new(1000);
        flow.on_best(TimestampNs::from_millis(0), level(200, 5), level(202, 4));
        assert_eq!(flow.sum_lots(), None);
        flow.on_best(TimestampNs::from_millis(10), level(200, 7), level(202, 4));
        assert_eq!(flow.sum_lots(), Some(2));
        flow.on_best(TimestampNs::from_millis(1010), level(200, 8), level(202, 4));
        assert_eq!(flow.sum_lots(), Some(1));
    }
}
