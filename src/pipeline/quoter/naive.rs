//! The benchmark: a constant half-spread and size around the reference, no skew, no toxicity (quant.md 4.2).

use super::{QuoteInputs, Quoter, WantedQuote};
use crate::pipeline::config::QuoterConfig;
use crate::pipeline::digest::Digester;

/// Constant half-spread.
pub struct Naive {
    half_spread_ticks: f64,
}

impl Naive {
    /// As configured.
    pub fn new(config: &QuoterConfig) -> Naive {
        Naive { half_spread_ticks: config.half_spread_ticks }
    }
}

impl Quoter for Naive {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        Some(WantedQuote {
            bid_ticks: inputs.reference_ticks - self.half_spread_ticks,
            ask_ticks: inputs.reference_ticks + self.half_spread_ticks,
            bid_qty: inputs.order_qty,
            ask_qty: inputs.order_qty,
            half_spread_ticks: self.half_spread_ticks,
            floor_bound: false,
        })
    }

    fn digest(&self, digester: &mut Digester) {
        digester.f64(self.half_spread_ticks);
    }
}
