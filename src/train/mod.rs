//! Floor 3: learning from market data that has been seen: shadow orders, the fit, and how good it is.
//!
//! Owns the data set of shadow orders ([`ShadowMarket`]), the check that nothing in it comes from the future
//! ([`causality`]), the split in time, the fit ([`fit`]) and its scores ([`score`]). Pure: whoever calls it reads the data
//! and writes the model. Source: quant.md 8.

pub mod causality;
mod fit;
mod score;
mod shadow;
mod split;

pub use fit::{FitError, fit, permuted};
pub use score::{OffsetScore, Scores, score};
pub use shadow::{Outcome, Row, ShadowConfig, ShadowMarket, ShadowSet};
pub use split::{Split, split};
