//! Which quotes are wanted.
//!
//! Owns the [`Quoter`] trait and its models. A quoter answers in fractions of ticks around the reference price; the
//! one place that turns its answer into ticks is [`bound`]. A new model is one more
//! file and one line in [`build`].

mod bound;
mod hybrid;
mod naive;

pub use bound::{Bounds, bound};
pub use hybrid::{Hybrid, SeedFormula};
pub use naive::Naive;

use super::config::{ConfigError, QuoterConfig, QuoterKind};
use super::digest::Digester;
use super::estimators::Estimates;
use super::features::Toxicity;
use crate::types::Qty;

/// What a model may know.
#[derive(Clone, Copy, Debug)]
pub struct QuoteInputs {
    /// The price that quotes are laid around, in ticks.
    pub reference_ticks: f64,
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

/// A model of quotes. Called for every decision on the quote tile: it must not allocate, and it may depend on nothing
/// but its inputs so far.
pub trait Quoter: Send {
    /// The quotes wanted; `None` while the model is not warm.
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote>;

    /// Parameters in use.
    fn parameters(&self) -> ModelParameters {
        ModelParameters::default()
    }

    /// Adds its state to a digest.
    fn digest(&self, digester: &mut Digester);
}

/// The model that the configuration names.
///
/// # Errors
/// [`ConfigError::NotBuilt`] for a model that is planned only.
pub fn build(config: &QuoterConfig) -> Result<Box<dyn Quoter>, ConfigError> {
    match config.kind {
        QuoterKind::Naive => Ok(Box::new(Naive::new(config))),
        QuoterKind::Hybrid => Ok(Box::new(Hybrid::new(config))),
        kind @ (QuoterKind::As | QuoterKind::Glft | QuoterKind::Ev) => Err(ConfigError::NotBuilt(kind.name())),
    }
}
