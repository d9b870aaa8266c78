//! What may be known about an order of ours before it is placed, mirrored so that both sides read alike.
//!
//! Owns [`SideView`]: the signals of one side at one decision, as the fill model is trained on them and asked with them.
//! The trainer calls the same code as the quoter. Source: quant.md 8, features; what it lists and is not here: the time
//! of day, which a session of hours cannot tell from its own trend.

use crate::pipeline::quoter::QuoteInputs;
use crate::types::{Price, Side, VIEW_LEVELS};

/// Signals that depend on where the order lies; they come first.
pub const PLACED: usize = 4;
/// All signals.
pub const SIGNALS: usize = 19;

/// Their names, in their order. A model file repeats them.
pub const NAMES: [&str; SIGNALS] = [
    "offset_ticks",
    "distance_sigmas",
    "queue_orders",
    "through_orders",
    "spread_ticks",
    "own_depth_orders",
    "other_depth_orders",
    "imbalance_1",
    "imbalance_2",
    "imbalance_5",
    "micro_ticks",
    "ofi",
    "flow_1s",
    "flow_5s",
    "order_rate",
    "sigma_ticks",
    "toxicity",
    "toxicity_side",
    "since_move_s",
];

/// Those that carry the tape's toxicity and direction: what `ev_toxicity: off` leaves out.
pub const TOXIC: [usize; 4] = [12, 13, 16, 17];

/// What stands before an order at a price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Lots at the price.
    pub queue: f64,
    /// Lots at better prices.
    pub through: f64,
}

/// One side of the market at one decision.
#[derive(Clone, Copy, Debug)]
pub struct SideView<'a> {
    inputs: &'a QuoteInputs,
    side: Side,
    touch: Price,
    order_lots: f64,
    sigma_move: f64,
    /// The signals of every order of the side; the placed ones are zero.
    common: [f64; SIGNALS],
}

impl<'a> SideView<'a> {
    /// The side as it is now; `None` until volatility, toxicity and the usual order are known. `horizon_s` is the time
    /// within which fills count.
    pub fn new(inputs: &'a QuoteInputs, side: Side, horizon_s: f64) -> Option<SideView<'a>> {
        let (sigma, toxicity) = (inputs.sigma_ticks?, inputs.toxicity?);
        let tape = inputs.tape.figures(inputs.now)?;
        let sign = side.sign() as f64;
        let (own, other) = match side {
            Side::Bid => (inputs.best_bid, inputs.best_ask),
            Side::Ask => (inputs.best_ask, inputs.best_bid),
        };
        let book = &inputs.book;
        let mid = book.mid.ticks_f64();
        let orders = |lots: f64| (lots / tape.order_lots).ln_1p();
        // What is not known leans neither way.
        let imbalance = |depth: usize| book.imbalance[depth].map_or(0.0, |imbalance| sign * imbalance.value);
        let micro = book.micro_ticks.or(book.weighted_mid_ticks).map_or(0.0, |micro| sign * (micro - mid));
        let threat = match side {
            Side::Bid => toxicity.tau_bid - toxicity.tau_ask,
            Side::Ask => toxicity.tau_ask - toxicity.tau_bid,
        };
        let common = [
            0.0,
            0.0,
            0.0,
            0.0,
            inputs.best_ask.price.ticks_above(inputs.best_bid.price) as f64,
            orders(own.qty.lots() as f64),
            orders(other.qty.lots() as f64),
            imbalance(0),
            imbalance(1),
            imbalance(2),
            micro,
            inputs.ofi.map_or(0.0, |ofi| sign * ofi),
            sign * tape.signed[0],
            sign * tape.signed[1],
            tape.orders_per_s.ln_1p(),
            sigma.ln_1p(),
            toxicity.tau,
            threat,
            tape.since_move_s.unwrap_or(0.0).ln_1p(),
        ];
        let sigma_move = (sigma * horizon_s.sqrt()).max(1e-9);
        Some(SideView { inputs, side, touch: own.price, order_lots: tape.order_lots, sigma_move, common })
    }

    /// The signals without the placed ones.
    pub fn common(&self) -> &[f64; SIGNALS] {
        &self.common
    }

    /// The placed signals of an order at `price`, before which `standing` stands.
    pub fn placed(&self, price: Price, standing: Standing) -> [f64; PLACED] {
        let sign = self.side.sign() as f64;
        let distance = sign * (self.inputs.book.mid.ticks_f64() - price.ticks() as f64);
        [
            (self.touch.ticks_above(price) * self.side.sign()) as f64,
            distance / self.sigma_move,
            (standing.queue / self.order_lots).ln_1p(),
            (standing.through / self.order_lots).ln_1p(),
        ]
    }
}

/// What stands before a new order at `price`; `None` beyond the levels that the decision sees.
pub fn standing(inputs: &QuoteInputs, side: Side, price: Price) -> Option<Standing> {
    let levels = inputs.others.levels(side);
    let mut through = 0.0;
    for level in levels {
        let behind = level.price.ticks_above(price) * side.sign();
        if behind == 0 {
            return Some(Standing { queue: level.qty.lots() as f64, through });
        }
        if behind < 0 {
            return Some(Standing { queue: 0.0, through });
        }
        through += level.qty.lots() as f64;
    }
    // A side that shows fewer levels than there is room for shows all of them.
    (levels.len() < VIEW_LEVELS).then_some(Standing { queue: 0.0, through })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::quoter::sample;
    use crate::types::{Level, Qty};

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    #[test]
    fn what_stands_before_an_order_is_its_level_and_everything_better() {
        let inputs = sample::with_levels(&[level(100, 5), level(97, 7)], &[level(104, 3)]);
        let at = |price| standing(&inputs, Side::Bid, Price::from_ticks(price)).unwrap();
        assert_eq!(at(101), Standing { queue: 0.0, through: 0.0 });
        assert_eq!(at(100), Standing { queue: 5.0, through: 0.0 });
        assert_eq!(at(98), Standing { queue: 0.0, through: 5.0 });
        assert_eq!(at(97), Standing { queue: 7.0, through: 5.0 });
        assert_eq!(at(90), Standing { queue: 0.0, through: 12.0 });
        let full: Vec<Level> = (0..VIEW_LEVELS as i64).map(|step| level(100 - step, 1)).collect();
        let inputs = sample::with_levels(&full, &[level(104, 3)]);
        assert_eq!(standing(&inputs, Side::Bid, Price::from_ticks(80)), None, "beyond what is seen");
    }

    #[test]
    fn a_mirrored_market_has_mirrored_signals() {
        let mut inputs = sample::flowing();
        let bid = SideView::new(&inputs, Side::Bid, 5.0).unwrap();
        let placed = bid.placed(Price::from_ticks(5_999_997), Standing { queue: 3.0, through: 4.0 });
        let common = *bid.common();
        // Turned around the mid of 6 000 000: sides swapped, signs turned.
        inputs = sample::mirrored(&inputs);
        let ask = SideView::new(&inputs, Side::Ask, 5.0).unwrap();
        assert_eq!(ask.placed(Price::from_ticks(6_000_003), Standing { queue: 3.0, through: 4.0 }), placed);
        for (name, (left, right)) in NAMES.iter().zip(common.iter().zip(ask.common())) {
            assert!((left - right).abs() < 1e-9, "{name}: {left} {right}");
        }
    }
}
