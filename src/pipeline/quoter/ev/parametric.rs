//! Chance and adverse move without a trained model, from what the estimators have learnt.
//!
//! Orders that reach a distance from the mid come A exp(-k distance) times a second; A and k are the side's, as learnt or
//! as configured. One that reaches our price is filled when it is larger than what is ahead of us there, which for
//! exponential sizes is exp(-queue / mean size). Expected fills within the horizon are taken for the chance and not
//! capped at one, because an order that is filled is replaced at once; so their maximum is where theory puts it, at
//! c + 1/k. The adverse move is `ev_adverse_ticks + ev_adverse_slope * distance beyond the half-spread + k_ticks *
//! toxicity of the side`.

use super::signals::Standing;
use super::trained::Outlook;
use crate::pipeline::config::{QuoterConfig, ToxicityKind};
use crate::pipeline::quoter::QuoteInputs;
use crate::types::{Price, Side};

/// One side's formula at one decision.
#[derive(Clone, Copy, Debug)]
pub struct Parametric {
    side: Side,
    mid_ticks: f64,
    half_spread_ticks: f64,
    /// A T.
    fills_at_mid: f64,
    k_per_tick: f64,
    order_lots: f64,
    adverse_ticks: f64,
    slope: f64,
}

impl Parametric {
    /// The side's formula; `None` while toxicity is neither measured nor assumed. An assumed one has no direction, so it
    /// threatens both sides.
    pub fn new(config: &QuoterConfig, inputs: &QuoteInputs, side: Side) -> Option<Parametric> {
        let tau = match (config.ev_toxicity, inputs.toxicity) {
            (ToxicityKind::Off, _) => 0.0,
            (ToxicityKind::Symmetric, Some(toxicity)) => toxicity.tau,
            (ToxicityKind::Signed, Some(toxicity)) => match side {
                Side::Bid => toxicity.tau_bid,
                Side::Ask => toxicity.tau_ask,
            },
            (_, None) => config.tau_warm?,
        };
        let (a_per_s, k_per_tick) = inputs.estimates.intensity[side.index()]
            .map_or((config.intensity_per_s, config.intensity_decay_per_tick), |learnt| {
                (learnt.a_per_s, learnt.k_per_tick)
            });
        // Before the tape has shown its usual order, ours stands for it.
        let order_lots =
            inputs.tape.figures(inputs.now).map_or(inputs.order_qty.lots().max(1) as f64, |tape| tape.order_lots);
        Some(Parametric {
            side,
            mid_ticks: inputs.book.mid.ticks_f64(),
            half_spread_ticks: inputs.best_ask.price.ticks_above(inputs.best_bid.price) as f64 / 2.0,
            fills_at_mid: a_per_s * config.ev_horizon_s,
            k_per_tick,
            order_lots,
            adverse_ticks: config.ev_adverse_ticks + inputs.estimates.k_ticks.unwrap_or(config.k_ticks) * tau,
            slope: config.ev_adverse_slope,
        })
    }

    /// Chance and adverse move of an order at a price.
    pub fn outlook(&self, price: Price, standing: Standing) -> Outlook {
        let distance = self.side.sign() as f64 * (self.mid_ticks - price.ticks() as f64);
        // Whoever takes at all crosses the half-spread: inside it nobody more is reached.
        let reach = distance.max(self.half_spread_ticks);
        let chance = self.fills_at_mid * (-self.k_per_tick * reach - standing.queue / self.order_lots).exp();
        Outlook { chance, adverse_ticks: self.adverse_ticks + self.slope * (reach - self.half_spread_ticks) }
    }
}
