//! Inputs for the tests of the models: 60 000 at a tick of 0.01, lots of 1e-5, a limit of 0.05.

use super::QuoteInputs;
use crate::pipeline::estimators::Estimates;
use crate::pipeline::features::BookFeatures;
use crate::types::{HalfTicks, Level, Price, Qty, TimestampNs};

pub(super) fn inputs() -> QuoteInputs {
    let level = |ticks| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(10) };
    let (best_bid, best_ask) = (level(5_999_999), level(6_000_001));
    QuoteInputs {
        now: TimestampNs::from_millis(1_000),
        best_bid,
        best_ask,
        reference_ticks: 6_000_000.0,
        book: BookFeatures {
            mid: HalfTicks::mid(best_bid.price, best_ask.price),
            weighted_mid_ticks: Some(6_000_000.0),
            micro_ticks: None,
            imbalance: [None; 3],
        },
        ofi: None,
        position: Qty::ZERO,
        room: [Qty::from_lots(5_000); 2],
        position_base: 0.0,
        position_max_base: 0.05,
        order_qty: Qty::from_lots(1000),
        sigma_ticks: Some(534.2),
        toxicity: None,
        estimates: Estimates::default(),
        tick: 0.01,
        lot: 1e-5,
    }
}
