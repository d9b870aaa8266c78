//! How the parameters of the quoting models are learnt while a session runs.

use serde::{Deserialize, Serialize};

use super::{ConfigError, above_zero, within};
use crate::pipeline::amount::Amount;

/// How the parameters of the quoting models are learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EstimatorsConfig {
    /// Whether the toxicity coefficient k follows the markouts of the tape and of our fills, or stays
    /// `quoter.k_ticks`. Default `live`.
    pub k: LearnKind,
    /// What markouts are regressed on. Default `unsigned`, which `quoter.kind: hybrid` multiplies k with.
    pub k_regressor: KRegressor,
    /// Whether the regression has an intercept, which then takes the place of `quoter.half_spread_ticks`. Default
    /// false: the seed formula.
    pub k_intercept: bool,
    /// Horizon of a markout, in milliseconds. Default 5000.
    pub k_horizon_ms: u64,
    /// One print of the tape in so many is taken: markouts that overlap repeat each other. Default 20.
    pub k_thin: u32,
    /// Samples that the regression remembers: lambda = 1 - 1/memory. Default 5000.
    pub k_memory: f64,
    /// Variance P of k before the first sample, in squared ticks. Default 1000.
    pub k_variance: f64,
    /// Samples before k is published; until then `quoter.k_ticks` stands. Default 500, because one markout is mostly
    /// noise.
    pub k_warmup: u32,
    /// Own fills at which they weigh as much as the tape. Default 200.
    pub k_fill_weight: f64,
    /// Whether risk aversion gamma follows the risk that is realised, or stays where it started. Default `live`.
    pub gamma: LearnKind,
    /// Greatest relative change of gamma in one inventory horizon. Default 0.05.
    pub gamma_rate: f64,
    /// Half-life of the realised variance, in seconds. Default 1800.
    pub gamma_half_life_s: f64,
    /// Standard deviation of the inventory's profit over one inventory horizon that is wanted, in quote currency; it
    /// wins over `risk_share`. Default: not set.
    pub risk_budget: Option<Amount>,
    /// The budget as a share of what the whole position limit would risk at the first published volatility. Default
    /// 0.25: a quarter of the limit held on average.
    pub risk_share: f64,
    /// Whether the skew per unit follows gamma and volatility, or stays where the position limit skews by
    /// `quoter.full_skew_ticks`. Default `live`.
    pub kappa: LearnKind,
    /// Half-life of the skew's smoothing, in seconds. Default 30.
    pub kappa_half_life_s: f64,
    /// Window of the fill intensity, in seconds. Default 600.
    pub intensity_window_s: u32,
    /// Pause between two fits of the intensity, in seconds. Default 5.
    pub intensity_refit_s: u32,
    /// Least aggressing orders in the window for a fit. Default 50.
    pub intensity_min: u32,
}

impl Default for EstimatorsConfig {
    fn default() -> Self {
        Self {
            k: LearnKind::Live,
            k_regressor: KRegressor::Unsigned,
            k_intercept: false,
            k_horizon_ms: 5000,
            k_thin: 20,
            k_memory: 5000.0,
            k_variance: 1000.0,
            k_warmup: 500,
            k_fill_weight: 200.0,
            gamma: LearnKind::Live,
            gamma_rate: 0.05,
            gamma_half_life_s: 1800.0,
            risk_budget: None,
            risk_share: 0.25,
            kappa: LearnKind::Live,
            kappa_half_life_s: 30.0,
            intensity_window_s: 600,
            intensity_refit_s: 5,
            intensity_min: 50,
        }
    }
}

/// Where a parameter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnKind {
    /// It follows the market; the configured value stands until the estimator is warm.
    #[default]
    Live,
    /// The configured value, whatever the market does.
    Fixed,
}

/// What markouts are regressed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KRegressor {
    /// Toxicity tau.
    #[default]
    Unsigned,
    /// Signed toxicity times the aggressor's sign.
    Signed,
}

impl EstimatorsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("estimators.k_horizon_ms", self.k_horizon_ms as f64, 100.0, 600_000.0, "100 to 600000")?;
        within("estimators.k_thin", f64::from(self.k_thin), 1.0, 100_000.0, "1 to 100000")?;
        within("estimators.k_memory", self.k_memory, 2.0, 1e9, "2 to 1000000000")?;
        within("estimators.k_variance", self.k_variance, f64::MIN_POSITIVE, 1e6, "above zero, at most 1000000")?;
        within("estimators.k_warmup", f64::from(self.k_warmup), 1.0, 1e6, "1 to 1000000")?;
        above_zero("estimators.k_fill_weight", self.k_fill_weight)?;
        within("estimators.gamma_rate", self.gamma_rate, 0.0, 1.0, "0 to 1")?;
        within("estimators.gamma_half_life_s", self.gamma_half_life_s, 1.0, 1e6, "1 to 1000000")?;
        above_zero("estimators.risk_budget", self.risk_budget.map_or(1.0, |amount| amount.e8() as f64))?;
        within("estimators.risk_share", self.risk_share, 1e-6, 1.0, "0.000001 to 1")?;
        within("estimators.kappa_half_life_s", self.kappa_half_life_s, 0.1, 1e6, "0.1 to 1000000")?;
        within("estimators.intensity_window_s", f64::from(self.intensity_window_s), 10.0, 86_400.0, "10 to 86400")?;
        within("estimators.intensity_refit_s", f64::from(self.intensity_refit_s), 1.0, 3600.0, "1 to 3600")?;
        within("estimators.intensity_min", f64::from(self.intensity_min), 2.0, 8192.0, "2 to 8192")
    }
}
