//! What every model with a skew has in common: floor and cap of the half-spread, cap of the skew, size against the
//! position.
//!
//! Owns [`Frame`]. Pure; what a model wants goes through it before [`bound`](super::bound) makes ticks of it.
//! Specification: quant.md 4 and 4.1.

use super::{QuoteInputs, WantedQuote};
use crate::pipeline::config::QuoterConfig;
use crate::types::Qty;

/// Limits of a quote's shape, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Least half-spread.
    pub floor_ticks: f64,
    /// Greatest half-spread; the floor wins over it.
    pub cap_ticks: f64,
    /// Greatest skew either way.
    pub skew_cap_ticks: f64,
}

/// Prices within a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Laid {
    /// Bid, in ticks, before rounding.
    pub bid_ticks: f64,
    /// Ask, in ticks, before rounding.
    pub ask_ticks: f64,
    /// Mean of the two half-spreads.
    pub half_spread_ticks: f64,
    /// Whether the floor held a half-spread up.
    pub floor_bound: bool,
}

impl Frame {
    /// As configured, around the reference price. A half-spread of half a tick is the least that rounds to a quote;
    /// one below the commission loses on every round trip.
    pub fn new(config: &QuoterConfig, inputs: &QuoteInputs) -> Frame {
        let share = |bps: f64| bps * 1e-4 * inputs.reference_ticks;
        let fees = if config.fee_floor && config.maker_fee_bps >= 0.0 {
            share(config.maker_fee_bps) + config.edge_min_ticks
        } else {
            0.0
        };
        Frame {
            floor_ticks: fees.max(0.5),
            cap_ticks: share(config.half_spread_max_bps),
            skew_cap_ticks: share(config.skew_max_bps),
        }
    }

    /// The prices around `reference_ticks` with the half-spreads of bid and ask; a positive skew moves both down.
    pub fn lay(&self, reference_ticks: f64, halves: [f64; 2], skew_ticks: f64) -> Laid {
        let [bid, ask] = halves.map(|half| half.min(self.cap_ticks).max(self.floor_ticks));
        let skew = skew_ticks.clamp(-self.skew_cap_ticks, self.skew_cap_ticks);
        Laid {
            bid_ticks: reference_ticks - bid - skew,
            ask_ticks: reference_ticks + ask - skew,
            half_spread_ticks: f64::midpoint(bid, ask),
            floor_bound: halves.iter().any(|half| *half < self.floor_ticks),
        }
    }
}

impl Laid {
    /// The quote with sizes that lean against the position: q0 clip(1 - eta u) to buy, q0 clip(1 + eta u) to sell, u
    /// the share of the position limit in use.
    pub fn sized(&self, config: &QuoterConfig, inputs: &QuoteInputs) -> WantedQuote {
        let usage = (inputs.position_base / inputs.position_max_base).clamp(-1.0, 1.0);
        let sized = |share: f64| {
            let lots = inputs.order_qty.lots() as f64 * share.clamp(0.0, config.size_max);
            Qty::from_lots(lots.floor() as i64)
        };
        WantedQuote {
            bid_ticks: self.bid_ticks,
            ask_ticks: self.ask_ticks,
            bid_qty: sized(1.0 - config.size_skew * usage),
            ask_qty: sized(1.0 + config.size_skew * usage),
            half_spread_ticks: self.half_spread_ticks,
            floor_bound: self.floor_bound,
        }
    }
}

/// A and k of the intensity A exp(-k distance) with which orders reach a quote, per second and per tick: as learnt, the
/// mean of the sides that are known, and as configured until then.
pub(super) fn intensity(config: &QuoterConfig, inputs: &QuoteInputs) -> (f64, f64) {
    match inputs.estimates.intensity {
        [Some(bid), Some(ask)] => {
            (f64::midpoint(bid.a_per_s, ask.a_per_s), f64::midpoint(bid.k_per_tick, ask.k_per_tick))
        }
        [Some(one), None] | [None, Some(one)] => (one.a_per_s, one.k_per_tick),
        [None, None] => (config.intensity_per_s, config.intensity_decay_per_tick),
    }
}

/// Until volatility is published: the configured half-spread, and the whole position limit skews by
/// `full_skew_ticks`.
pub(super) fn before_volatility(config: &QuoterConfig, inputs: &QuoteInputs) -> WantedQuote {
    let skew = config.full_skew_ticks / inputs.position_max_base * inputs.position_base;
    let laid = Frame::new(config, inputs).lay(inputs.reference_ticks, [config.half_spread_ticks; 2], skew);
    laid.sized(config, inputs)
}
