//! From shadow orders to a model and its scores: split, fit, score.

use super::fit::{FitError, fit, permuted};
use super::score::{Scores, score};
use super::shadow::{ShadowConfig, ShadowSet};
use super::split::split;
use crate::pipeline::quoter::ev::TrainedFills;
use crate::types::DurationNs;

/// Trains on the orders, which lie in the order of their decisions, and scores on the last of them. `symbol` and
/// `shadow_fill` are for the model's file; `seed` shuffles the labels of the one score that must be one half.
///
/// # Errors
/// When a part holds too little, or the regression fails.
pub fn learn(
    set: &ShadowSet,
    config: &ShadowConfig,
    symbol: &str,
    shadow_fill: &str,
    embargo: DurationNs,
    seed: u64,
) -> Result<(TrainedFills, Scores), FitError> {
    let window = config.latency.nanos() + config.horizon.nanos() + config.markout.nanos();
    let parts = split(&set.rows, DurationNs::from_nanos(window), embargo);
    let about = TrainedFills {
        format: 0,
        data_digest: format!("{:016x}", set.digest),
        symbol: symbol.to_owned(),
        shadow_fill: shadow_fill.to_owned(),
        rows: 0,
        horizon_s: config.horizon.secs_f64(),
        markout_s: config.markout.secs_f64(),
        fill_intercept: 0.0,
        adverse_intercept: 0.0,
        signals: Vec::new(),
    };
    let model = fit(&parts, &about)?;
    let shuffled = permuted(&parts, seed)?;
    let scores = score(&model, &parts, shuffled)?;
    Ok((model, scores))
}
