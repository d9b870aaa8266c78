//! How much trades lately, and which way.
//!
//! Owns [`TapeFlow`]: exponentially forgetting sums over aggressing orders. All prints of one order count as one; it
//! counts when the next one comes, as in the intensity's estimator. Source: quant.md 8, features.

use crate::pipeline::digest::Digester;
use crate::types::{Side, TimestampNs, Trade};

/// Time constants of the signed flow, in seconds. The rate of orders is over the longer one.
const MEMORY_S: [f64; 2] = [1.0, 5.0];

/// Orders that the mean size remembers, as a half-life.
const SIZE_HALF_LIFE: f64 = 64.0;

/// Forgetting sums over the tape.
#[derive(Clone, Copy, Debug, Default)]
pub struct TapeFlow {
    at: TimestampNs,
    /// Bought less sold lots.
    signed: [f64; 2],
    orders: f64,
    order_lots: Option<f64>,
    open: Option<OpenOrder>,
    /// When the mid moved last.
    moved_at: Option<TimestampNs>,
}

#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    event_ts: TimestampNs,
    aggressor: Side,
    lots: i64,
}

/// What the tape says at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TapeFigures {
    /// Bought less sold over about one and five seconds, in usual orders.
    pub signed: [f64; 2],
    /// Aggressing orders a second, both sides.
    pub orders_per_s: f64,
    /// Usual size of an aggressing order, in lots.
    pub order_lots: f64,
    /// Time since the mid moved, in seconds; `None` before it first did.
    pub since_move_s: Option<f64>,
}

impl TapeFlow {
    /// Takes a print.
    pub fn on_trade(&mut self, ts: TimestampNs, trade: &Trade) {
        self.forget(ts);
        let signed = (trade.qty.lots() * trade.aggressor.sign()) as f64;
        for sum in &mut self.signed {
            *sum += signed;
        }
        match &mut self.open {
            Some(open) if open.event_ts == trade.event_ts && open.aggressor == trade.aggressor => {
                open.lots += trade.qty.lots();
            }
            open => {
                let done = open.replace(OpenOrder {
                    event_ts: trade.event_ts,
                    aggressor: trade.aggressor,
                    lots: trade.qty.lots(),
                });
                self.orders += 1.0;
                if let Some(done) = done {
                    self.count(done.lots);
                }
            }
        }
    }

    fn count(&mut self, lots: i64) {
        let decay = (-1.0 / SIZE_HALF_LIFE).exp2();
        self.order_lots = Some(match self.order_lots {
            Some(usual) => decay * usual + (1.0 - decay) * lots as f64,
            None => lots as f64,
        });
    }

    /// The mid has moved.
    pub fn on_move(&mut self, ts: TimestampNs) {
        self.moved_at = Some(ts);
    }

    fn forget(&mut self, ts: TimestampNs) {
        let passed_s = ts.since(self.at).secs_f64();
        for (sum, memory_s) in self.signed.iter_mut().zip(MEMORY_S) {
            *sum *= (-passed_s / memory_s).exp();
        }
        self.orders *= (-passed_s / MEMORY_S[1]).exp();
        self.at = self.at.max(ts);
    }

    /// The figures at a time; `None` before two orders were seen.
    pub fn figures(&self, now: TimestampNs) -> Option<TapeFigures> {
        let order_lots = self.order_lots?.max(1.0);
        let mut then = *self;
        then.forget(now);
        Some(TapeFigures {
            signed: then.signed.map(|lots| lots / order_lots),
            orders_per_s: then.orders / MEMORY_S[1],
            order_lots,
            since_move_s: self.moved_at.map(|at| now.since(at).secs_f64()),
        })
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.time(self.at);
        for sum in self.signed {
            digester.f64(sum);
        }
        digester.f64(self.orders);
        digester.option_f64(self.order_lots);
        digester.option_time(self.moved_at);
        if let Some(open) = &self.open {
            digester.time(open.event_ts);
            digester.i64(open.lots * open.aggressor.sign());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, Price, Qty, TradeId};

    fn print(ms: u64, aggressor: Side, lots: i64) -> Trade {
        let at = TimestampNs::from_millis(1_000_000 + ms);
        Trade {
            instrument: InstrumentId(0),
            event_ts: at,
            recv_ts: at,
            id: TradeId(1),
            price: Price::from_ticks(100),
            qty: Qty::from_lots(lots),
            aggressor,
        }
    }

    #[test]
    fn prints_of_one_order_are_one_order_and_old_flow_is_forgotten() {
        let mut flow = TapeFlow::default();
        for trade in [print(0, Side::Bid, 30), print(0, Side::Bid, 10), print(1000, Side::Ask, 20)] {
            flow.on_trade(trade.recv_ts, &trade);
        }
        let figures = flow.figures(TimestampNs::from_millis(1_001_000)).unwrap();
        assert_eq!(figures.order_lots, 40.0, "the second order is still open");
        let (one, five) = ((-1.0_f64).exp(), (-0.2_f64).exp());
        assert!((figures.signed[0] - (40.0 * one - 20.0) / 40.0).abs() < 1e-12);
        assert!((figures.signed[1] - (40.0 * five - 20.0) / 40.0).abs() < 1e-12);
        assert!((figures.orders_per_s - (five + 1.0) / 5.0).abs() < 1e-12);
        let later = flow.figures(TimestampNs::from_millis(1_101_000)).unwrap();
        assert!(later.signed[1].abs() < 1e-8 && later.orders_per_s < 1e-8);
    }

    #[test]
    fn before_two_orders_nothing_is_said() {
        let mut flow = TapeFlow::default();
        assert_eq!(flow.figures(TimestampNs::from_millis(1)), None);
        let trade = print(0, Side::Bid, 30);
        flow.on_trade(trade.recv_ts, &trade);
        assert_eq!(flow.figures(trade.recv_ts), None);
    }
}
