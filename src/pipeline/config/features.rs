//! How volatility and toxicity are estimated.

use serde::{Deserialize, Serialize};

use super::{ConfigError, above_zero, within};
use crate::pipeline::amount::Amount;

/// How volatility and toxicity are estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Which estimator of volatility is used. Default `ewma`.
    pub sigma: SigmaKind,
    /// Half-life of the EWMA, in seconds. Default 60.
    pub sigma_half_life_s: f64,
    /// Returns of one second in the window of `windowed`. Default 300.
    pub sigma_window: u32,
    /// Returns of one second before sigma is published. Default 30.
    pub sigma_warmup: u32,
    /// Length of a Parkinson bar, in seconds. Default 60.
    pub parkinson_bar_s: u32,
    /// Bars that Parkinson averages. Default 5.
    pub parkinson_bars: u32,
    /// What closes a VPIN bucket. Default `trades`.
    pub vpin_mode: VpinMode,
    /// Trades in a bucket when `vpin_mode` is `trades`. Default 50.
    pub vpin_trades: u32,
    /// Base quantity in a bucket when `vpin_mode` is `volume`. Default 10.
    pub vpin_volume: Amount,
    /// Buckets that VPIN averages. Default 10, which reacts within 500 trades.
    pub vpin_buckets: u32,
    /// Where the side of a trade comes from. Default `aggressor`.
    pub vpin_sign: VpinSign,
    /// Length of a bar of bulk classification, in seconds. Default 10: the minute of the paper would publish too late
    /// to quote by.
    pub bvc_bar_s: u32,
    /// Bars whose price changes give the deviation that bulk classification divides by. Default 50.
    pub bvc_bars: u32,
    /// Window of the order-flow imbalance, in milliseconds. Default 1000.
    pub ofi_window_ms: u64,
    /// Step of the grid on which the microprice samples the book, in milliseconds. Default 1000.
    pub micro_grid_ms: u64,
    /// Buckets of the imbalance that the microprice tells apart. Default 10.
    pub micro_buckets: u32,
    /// Spreads, in ticks, that the microprice tells apart; the last one holds all wider ones. Default 3.
    pub micro_spreads: u32,
    /// Observations without which a state of the microprice has no shift. Default 20.
    pub micro_visits_min: u32,
    /// Time between two fits of the microprice, in seconds; a fit knows only what came before it. Default 60: a fit
    /// takes a fraction of a millisecond and the first minutes bring most of what there is to learn.
    pub micro_refit_s: u64,
    /// A pause of the feed after which the open VPIN bucket and the volatility grid start anew, in milliseconds.
    /// Default 60 000.
    pub gap_ms: u64,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            sigma: SigmaKind::Ewma,
            sigma_half_life_s: 60.0,
            sigma_window: 300,
            sigma_warmup: 30,
            parkinson_bar_s: 60,
            parkinson_bars: 5,
            vpin_mode: VpinMode::Trades,
            vpin_trades: 50,
            vpin_volume: Amount::whole(10),
            vpin_buckets: 10,
            vpin_sign: VpinSign::Aggressor,
            bvc_bar_s: 10,
            bvc_bars: 50,
            ofi_window_ms: 1000,
            micro_grid_ms: 1000,
            micro_buckets: 10,
            micro_spreads: 3,
            micro_visits_min: 20,
            micro_refit_s: 60,
            gap_ms: 60_000,
        }
    }
}

/// Estimators of volatility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaKind {
    /// Exponentially weighted squares of returns, zero mean.
    #[default]
    Ewma,
    /// Sample standard deviation over a window.
    Windowed,
    /// High and low of the mid in bars.
    Parkinson,
}

/// What closes a VPIN bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VpinMode {
    /// A number of trades.
    #[default]
    Trades,
    /// An amount of base currency; a trade is split across buckets.
    Volume,
}

/// Where the side of a trade comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VpinSign {
    /// The venue says who took.
    #[default]
    Aggressor,
    /// Bulk classification by the price change of a bar, for tapes without sides.
    Bvc,
}

impl FeaturesConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        above_zero("features.sigma_half_life_s", self.sigma_half_life_s)?;
        within("features.sigma_window", f64::from(self.sigma_window), 2.0, 86_400.0, "2 to 86400")?;
        within("features.sigma_warmup", f64::from(self.sigma_warmup), 2.0, 86_400.0, "2 to 86400")?;
        within("features.parkinson_bar_s", f64::from(self.parkinson_bar_s), 2.0, 3600.0, "2 to 3600")?;
        within("features.parkinson_bars", f64::from(self.parkinson_bars), 1.0, 1440.0, "1 to 1440")?;
        within("features.vpin_trades", f64::from(self.vpin_trades), 1.0, 100_000.0, "1 to 100000")?;
        above_zero("features.vpin_volume", self.vpin_volume.e8() as f64)?;
        within("features.vpin_buckets", f64::from(self.vpin_buckets), 1.0, 10_000.0, "1 to 10000")?;
        within("features.bvc_bar_s", f64::from(self.bvc_bar_s), 1.0, 3600.0, "1 to 3600")?;
        within("features.bvc_bars", f64::from(self.bvc_bars), 2.0, 10_000.0, "2 to 10000")?;
        if self.vpin_sign == VpinSign::Bvc && self.vpin_mode != VpinMode::Volume {
            // A bar splits volume, not trades: there is no count of bought and sold trades to close a bucket by.
            return Err(ConfigError::Conflict { key: "features.vpin_sign", must: "`bvc` needs `vpin_mode: volume`" });
        }
        within("features.micro_grid_ms", self.micro_grid_ms as f64, 10.0, 60_000.0, "10 to 60000")?;
        within("features.micro_buckets", f64::from(self.micro_buckets), 2.0, 20.0, "2 to 20")?;
        within("features.micro_spreads", f64::from(self.micro_spreads), 1.0, 4.0, "1 to 4")?;
        within("features.micro_visits_min", f64::from(self.micro_visits_min), 1.0, 1e6, "1 to 1000000")?;
        within("features.micro_refit_s", self.micro_refit_s as f64, 1.0, 86_400.0, "1 to 86400")?;
        within("features.ofi_window_ms", self.ofi_window_ms as f64, 1.0, 60_000.0, "1 to 60000")?;
        within("features.gap_ms", self.gap_ms as f64, 1000.0, 3_600_000.0, "1000 to 3600000")
    }
}
