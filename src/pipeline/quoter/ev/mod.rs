//! The expected-value maker: on each side the price at which chance of a fill times gain is greatest.
//!
//! Owns [`EvMaker`]. Each candidate on the tick grid around the touch is worth
//! `P(fill) * (d (m - p) - fee - adverse move - kappa (d Q + s / 2))` ticks for each unit; the best one is quoted when
//! it is worth more than `ev_min_ticks`, and the order that rests is kept, at its own place in the queue, until another
//! price is worth `ev_switch_ticks` more. Chance and adverse move come from a trained model; without one they are
//! parametric, see [`Parametric`]. Nothing is allocated and nothing is kept between decisions. Source: quant.md 9.

mod parametric;
mod signals;
mod trained;

pub use parametric::Parametric;
pub use signals::{NAMES, PLACED, SIGNALS, SideView, Standing, TOXIC, standing};
pub use trained::{Common, FORMAT, Outlook, Signal, TrainedFills};

use super::frame::Laid;
use super::{ModelParameters, QuoteInputs, Quoter, WantedQuote};
use crate::models::expected;
use crate::pipeline::config::{QuoterConfig, ToxicityKind};
use crate::pipeline::digest::Digester;
use crate::types::{Price, Qty, Side};

/// The maker.
pub struct EvMaker {
    config: QuoterConfig,
    in_use: ModelParameters,
}

/// Where chance and adverse move of a side's orders come from.
enum Outlooks<'a> {
    Trained { model: &'a TrainedFills, view: SideView<'a>, common: Common },
    Parametric(Parametric),
}

impl Outlooks<'_> {
    fn at(&self, price: Price, standing: Standing) -> Outlook {
        match self {
            Outlooks::Trained { model, view, common } => model.outlook(common, &view.placed(price, standing)),
            Outlooks::Parametric(parametric) => parametric.outlook(price, standing),
        }
    }
}

/// What a side's orders are worth.
struct Valuation<'a> {
    outlooks: Outlooks<'a>,
    side: Side,
    /// What the value is taken to be, in ticks.
    value_ticks: f64,
    /// Commission, as a share of the price.
    fee: f64,
    /// What a fill costs by the position that it leaves, in ticks.
    inventory_ticks: f64,
}

impl Valuation<'_> {
    /// Expected value of an order at a price, in ticks for each unit.
    fn at(&self, price: Price, standing: Standing) -> f64 {
        let outlook = self.outlooks.at(price, standing);
        let ticks = price.ticks() as f64;
        let edge = self.side.sign() as f64 * (self.value_ticks - ticks);
        outlook.chance * (edge - self.fee * ticks - outlook.adverse_ticks - self.inventory_ticks)
    }
}

impl EvMaker {
    /// As configured.
    pub fn new(config: &QuoterConfig) -> EvMaker {
        EvMaker { config: config.clone(), in_use: ModelParameters::default() }
    }

    /// How a side is valued now; `None` while the model is not warm.
    fn valuation<'a>(&'a self, inputs: &'a QuoteInputs, side: Side, kappa_ticks: f64) -> Option<Valuation<'a>> {
        let config = &self.config;
        let (outlooks, value_ticks) = match &config.ev_model {
            // The adverse move was trained from the mid, so the mid is what it is taken from.
            Some(model) => {
                let view = SideView::new(inputs, side, model.horizon_s)?;
                let common = model.common(view.common(), config.ev_toxicity != ToxicityKind::Off);
                (Outlooks::Trained { model, view, common }, inputs.book.mid.ticks_f64())
            }
            None => (Outlooks::Parametric(Parametric::new(config, inputs, side)?), inputs.reference_ticks),
        };
        let size_base = inputs.order_qty.lots() as f64 * inputs.lot;
        let after = side.sign() as f64 * inputs.position_base + size_base / 2.0;
        let fee = config.maker_fee_bps * 1e-4;
        Some(Valuation { outlooks, side, value_ticks, fee, inventory_ticks: kappa_ticks * after })
    }

    /// The price of greatest value, or that of the order that rests if no other is worth the change.
    fn choose(&self, inputs: &QuoteInputs, valuation: &Valuation<'_>) -> Option<Price> {
        let (config, side) = (&self.config, valuation.side);
        let (touch, opposite) = match side {
            Side::Bid => (inputs.best_bid.price, inputs.best_ask.price),
            Side::Ask => (inputs.best_ask.price, inputs.best_bid.price),
        };
        let inside = i64::from(config.ev_inside_ticks);
        let offsets = -inside..=i64::from(config.ev_outside_ticks);
        let prices = offsets.map(|offset| touch.plus_ticks(-offset * side.sign()));
        let passive = |price: &Price| opposite.ticks_above(*price) * side.sign() > 0;
        let (best, most) = expected::best(prices.filter(passive), |&price| {
            standing(inputs, side, price).map(|standing| valuation.at(price, standing))
        })?;
        if most <= config.ev_min_ticks {
            return None;
        }
        let rests = inputs.working[side.index()].filter(|(price, _)| *price != best && passive(price));
        let kept = rests.and_then(|(price, ahead)| {
            let through = standing(inputs, side, price)?.through;
            let worth = valuation.at(price, Standing { queue: ahead.lots() as f64, through });
            (worth > config.ev_min_ticks && most - worth <= config.ev_switch_ticks).then_some(price)
        });
        Some(kept.unwrap_or(best))
    }
}

impl Quoter for EvMaker {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        let config = &self.config;
        // As the seed's maker: until it is learnt, the whole position limit costs `full_skew_ticks`.
        let kappa_ticks = inputs.estimates.kappa_ticks.unwrap_or(config.full_skew_ticks / inputs.position_max_base);
        let mut chosen = [None; 2];
        for side in Side::BOTH {
            let valuation = self.valuation(inputs, side, kappa_ticks)?;
            chosen[side.index()] = self.choose(inputs, &valuation);
        }
        // A side without a quote stands at the touch with no size.
        let ticks = |side: Side, touch: Price| chosen[side.index()].unwrap_or(touch).ticks() as f64;
        let (bid_ticks, ask_ticks) = (ticks(Side::Bid, inputs.best_bid.price), ticks(Side::Ask, inputs.best_ask.price));
        let half_spread_ticks = (ask_ticks - bid_ticks) / 2.0;
        let mut wanted = Laid { bid_ticks, ask_ticks, half_spread_ticks, floor_bound: false }.sized(config, inputs);
        if chosen[0].is_none() {
            wanted.bid_qty = Qty::ZERO;
        }
        if chosen[1].is_none() {
            wanted.ask_qty = Qty::ZERO;
        }
        let k_ticks = config.ev_model.is_none().then(|| inputs.estimates.k_ticks.unwrap_or(config.k_ticks));
        self.in_use = ModelParameters { k_ticks, gamma: inputs.estimates.gamma, kappa_ticks: Some(kappa_ticks) };
        Some(wanted)
    }

    fn parameters(&self) -> ModelParameters {
        self.in_use
    }

    /// It keeps nothing: what it quotes follows from its inputs.
    fn digest(&self, _: &mut Digester) {}
}

#[cfg(test)]
mod tests;
