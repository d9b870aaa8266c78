//! The benchmark: a constant half-spread and size around the reference, or a constant distance to each side's touch; no
//! skew, no toxicity (quant.md 4.2).

use super::{QuoteInputs, Quoter, WantedQuote};
use crate::pipeline::config::{QuoterConfig, ReferenceKind};
use crate::pipeline::digest::Digester;

/// Constant half-spread.
pub struct Naive {
    half_spread_ticks: f64,
    from_touch: bool,
}

impl Naive {
    /// As configured.
    pub fn new(config: &QuoterConfig) -> Naive {
        let from_touch = config.reference == ReferenceKind::Touch;
        Naive { half_spread_ticks: config.half_spread_ticks, from_touch }
    }
}

impl Quoter for Naive {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        let [below, above] = if self.from_touch {
            [inputs.best_bid, inputs.best_ask].map(|level| level.price.ticks() as f64)
        } else {
            [inputs.reference_ticks; 2]
        };
        let (bid_ticks, ask_ticks) = (below - self.half_spread_ticks, above + self.half_spread_ticks);
        Some(WantedQuote {
            bid_ticks,
            ask_ticks,
            bid_qty: inputs.order_qty,
            ask_qty: inputs.order_qty,
            half_spread_ticks: (ask_ticks - bid_ticks) / 2.0,
            floor_bound: false,
        })
    }

    fn digest(&self, digester: &mut Digester) {
        digester.f64(self.half_spread_ticks);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_distance_to_the_touch_is_one_to_each_sides_own() {
        let inputs = sample::flowing();
        let config =
            QuoterConfig { reference: ReferenceKind::Touch, half_spread_ticks: -1.0, ..QuoterConfig::default() };
        let quote = Naive::new(&config).quote(&inputs).unwrap();
        assert_eq!(quote.bid_ticks, inputs.best_bid.price.ticks() as f64 + 1.0);
        assert_eq!(quote.ask_ticks, inputs.best_ask.price.ticks() as f64 - 1.0);
    }
}
