//! Floor 3: learning from market data that has been seen: shadow orders, the fit, and how good it is.
//!
//! Owns the data set of shadow orders ([`ShadowMarket`]), the check that nothing in it comes from the future
//! ([`causality`]), and what is made of it ([`learn`]): a split in time, a fit and its scores. Pure: whoever calls it reads the data
//! and writes the model. Source: quant.md 8.

pub mod causality;
mod fit;
mod learn;
mod score;
mod shadow;
mod split;

pub use fit::FitError;
pub use learn::learn;
pub use score::{OffsetScore, Scores};
pub use shadow::{Outcome, Row, ShadowConfig, ShadowMarket, ShadowSet};
