//! Which quotes are wanted.
//!
//! Owns the [`Quoter`] trait and its models. A quoter answers in fractions of ticks around the reference price; the
//! one place that turns its answer into ticks is [`bound`]. A new built-in model is one more file and one line in
//! [`build`]; a model of one's own implements the trait anywhere and is handed in with
//! [`Pipeline::with_quoters`](super::Pipeline::with_quoters), as `examples/imbalance_quoter.rs` shows.

mod avellaneda;
mod aversion;
mod bound;
pub mod ev;
mod frame;
mod glft;
mod hybrid;
mod naive;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sample;

pub use avellaneda::AvellanedaStoikov;
pub use bound::{Bounds, bound, round_outward};
pub use ev::EvMaker;
pub use frame::{Frame, Laid};
pub use glft::GlftMaker;
pub use hybrid::{Hybrid, SeedFormula};
pub use naive::Naive;

use super::config::{QuoterConfig, QuoterKind};
use super::digest::Digester;
use super::estimators::Estimates;
use super::features::{BookFeatures, TapeFlow, Toxicity};
use super::reference::OthersBook;
use crate::types::{Instrument, Level, Price, Qty, TimestampNs};

/// What a model may know. Everything about the market is without our own orders.
#[derive(Clone, Copy, Debug)]
pub struct QuoteInputs {
    /// The time of this decision.
    pub now: TimestampNs,
    /// Best bid of others.
    pub best_bid: Level,
    /// Best ask of others.
    pub best_ask: Level,
    /// The price that quotes are laid around as `quoter.reference` says, in ticks.
    pub reference_ticks: f64,
    /// Mid, weighted mid, microprice and imbalances.
    pub book: BookFeatures,
    /// Order-flow imbalance over its window in units of the usual best depth.
    pub ofi: Option<f64>,
    /// Every level of others that is seen.
    pub others: OthersBook,
    /// Flow of the tape.
    pub tape: TapeFlow,
    /// Price of each side's resting order and what is ahead of it in its level, bid first.
    pub working: [Option<(Price, Qty)>; 2],
    /// Position in whole lots, rounded towards zero.
    pub position: Qty,
    /// What the position limit leaves for all orders of a side together, bid first.
    pub room: [Qty; 2],
    /// Position in base currency.
    pub position_base: f64,
    /// Greatest position in base currency.
    pub position_max_base: f64,
    /// Plain order size.
    pub order_qty: Qty,
    /// Price volatility, in ticks per square root of a second.
    pub sigma_ticks: Option<f64>,
    /// Toxicity of the tape.
    pub toxicity: Option<Toxicity>,
    /// Parameters learnt so far; what is `None` there is taken from the configuration.
    pub estimates: Estimates,
    /// One tick in quote currency.
    pub tick: f64,
    /// One lot in base currency.
    pub lot: f64,
}

/// What a model wants, before it is bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WantedQuote {
    /// Bid, in ticks.
    pub bid_ticks: f64,
    /// Ask, in ticks.
    pub ask_ticks: f64,
    /// Bid size.
    pub bid_qty: Qty,
    /// Ask size.
    pub ask_qty: Qty,
    /// Half-spread, in ticks.
    pub half_spread_ticks: f64,
    /// Whether the half-spread was held up by its floor.
    pub floor_bound: bool,
}

/// Parameters in use, for people to see.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct ModelParameters {
    /// Toxicity coefficient, in ticks.
    pub k_ticks: Option<f64>,
    /// Risk aversion, per quote unit.
    pub gamma: Option<f64>,
    /// Skew per unit of base, in ticks.
    pub kappa_ticks: Option<f64>,
}

/// A model of quotes. Called for every decision on the quote tile: it must not allocate, read a clock or draw numbers
/// of its own; it may depend on nothing but its inputs so far, or a replay will not repeat the session.
///
/// Whatever it answers is rounded outwards, kept off the touch of others, filtered and held within the limits.
pub trait Quoter: Send {
    /// The quotes wanted; `None` while the model is not warm.
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote>;

    /// When [`refresh`](Quoter::refresh) is due; `None` for never. It must not move while that time is still ahead.
    fn refresh_at(&self) -> Option<TimestampNs> {
        None
    }

    /// Does what is too dear to be done per decision: called on a timer, once [`refresh_at`](Quoter::refresh_at) has
    /// come and the book may be quoted from.
    fn refresh(&mut self, _inputs: &QuoteInputs) {}

    /// Parameters in use.
    fn parameters(&self) -> ModelParameters {
        ModelParameters::default()
    }

    /// Adds to a digest everything that its future answers depend on.
    fn digest(&self, digester: &mut Digester);
}

/// Makes one quoter for each instrument of a session.
pub type QuoterMaker<'a> = dyn FnMut(&Instrument) -> Box<dyn Quoter> + 'a;

/// The model that the configuration names.
pub fn build(config: &QuoterConfig) -> Box<dyn Quoter> {
    match config.kind {
        QuoterKind::Naive => Box::new(Naive::new(config)),
        QuoterKind::Hybrid => Box::new(Hybrid::new(config)),
        QuoterKind::As => Box::new(AvellanedaStoikov::new(config)),
        QuoterKind::Glft => Box::new(GlftMaker::new(config)),
        QuoterKind::Ev => Box::new(EvMaker::new(config)),
    }
}
