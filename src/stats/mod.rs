//! Floor 1: statistics as pure functions on plain numbers.
//!
//! Used by features, estimators, KPIs, reports and the table of oracles. Nothing here knows a market, a clock or a
//! random source of its own: seeds are handed in. What cannot be known is `None` or has a type, never NaN.

pub mod bootstrap;
pub mod cvar;
pub mod normal;
pub mod psr;
pub mod sample;
pub mod scores;
pub mod sharpe;
pub mod thinned;
