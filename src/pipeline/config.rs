//! What can be set about decisions, with the default of each value and its reason.
//!
//! Owns [`PipelineConfig`] and its sections. The configuration file embeds the sections; the journal stores the whole
//! and its digest with every session, so that a replay runs under the same constants.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::amount::Amount;

/// Everything that a [`Pipeline`](super::Pipeline) is made from besides session and instruments.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// Estimators of volatility and toxicity.
    pub features: FeaturesConfig,
    /// Which quotes are wanted.
    pub quoter: QuoterConfig,
    /// How orders are kept.
    pub orders: OrdersConfig,
    /// What is never done, whatever the quoter wants.
    pub risk: RiskConfig,
}

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
    /// Window of the order-flow imbalance, in milliseconds. Default 1000.
    pub ofi_window_ms: u64,
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
            ofi_window_ms: 1000,
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

/// Which quotes are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuoterConfig {
    /// The model. Default `hybrid`.
    pub kind: QuoterKind,
    /// When a working order is replaced. Default `hysteresis`.
    pub requote: RequoteKind,
    /// The price that quotes are laid around. Default `mid`.
    pub reference: ReferenceKind,
    /// Half-spread, in ticks: the whole of it for `naive`, what toxicity adds to for `hybrid`, where 0 gives the pure
    /// seed formula. Default 5.
    pub half_spread_ticks: f64,
    /// Widest half-spread of `hybrid`, in 1e-4 of the mid. Default 50.
    pub half_spread_max_bps: f64,
    /// The maker commission that one side pays, in 1e-4 of the notional; negative for a rebate. Default 10, the common
    /// base tier.
    pub maker_fee_bps: f64,
    /// Whether `hybrid` never quotes a half-spread below the commission, at which a round trip loses. Default true.
    pub fee_floor: bool,
    /// Least profit of a round trip's half above the commission, in ticks. Default 0.
    pub edge_min_ticks: f64,
    /// Toxicity coefficient k: what toxicity of 1 adds to the half-spread, in ticks. Default 20.
    pub k_ticks: f64,
    /// Toxicity assumed until the first buckets have closed; no quotes of `hybrid` before that when it is not set.
    /// Default 0.5.
    pub tau_warm: Option<f64>,
    /// Absolute risk aversion gamma, per quote unit. When it is not set, the gamma at which the whole position limit
    /// skews by `full_skew_ticks` at the first published volatility, kept from then on. Default: not set.
    pub gamma: Option<f64>,
    /// Skew at the whole position limit, in ticks: fixes gamma when it is not set, and is the skew itself until
    /// volatility is published. Default 10.
    pub full_skew_ticks: f64,
    /// Greatest skew, in 1e-4 of the mid. Default 25, half of the widest half-spread.
    pub skew_max_bps: f64,
    /// Inventory holding horizon, in seconds. Default 10.
    pub horizon_s: f64,
    /// Competing makers n; only gamma / n matters. Default 10.
    pub makers: f64,
    /// Order size in base currency; it wins over `order_value`. Default: not set.
    pub order_qty: Option<Amount>,
    /// Order size in quote currency, turned into lots (rounded down) at the first quotable mid. Default 1000.
    pub order_value: Amount,
    /// How strongly the position shifts size from one side to the other (eta of the size skew). Default 1.
    pub size_skew: f64,
    /// Greatest order size as a multiple of the plain one. Default 1.5.
    pub size_max: f64,
    /// Whether quotes never improve the best price of others. Default false.
    pub join_only: bool,
    /// With `hysteresis`: the distance in ticks at which an order is replaced at once. Default 2.
    pub requote_ticks: i64,
    /// With `hysteresis`: the age in milliseconds at which an order is replaced for a single tick. Default 5000.
    pub requote_age_ms: u64,
    /// A working order at its target price is kept while its rest lies within this share of the wanted size, above or
    /// below; replacing it would lose its place in the queue. Default 0.5.
    pub size_tolerance: f64,
}

impl Default for QuoterConfig {
    fn default() -> Self {
        Self {
            kind: QuoterKind::Hybrid,
            requote: RequoteKind::Hysteresis,
            reference: ReferenceKind::Mid,
            half_spread_ticks: 5.0,
            half_spread_max_bps: 50.0,
            maker_fee_bps: 10.0,
            fee_floor: true,
            edge_min_ticks: 0.0,
            k_ticks: 20.0,
            tau_warm: Some(0.5),
            gamma: None,
            full_skew_ticks: 10.0,
            skew_max_bps: 25.0,
            horizon_s: 10.0,
            makers: 10.0,
            order_qty: None,
            order_value: Amount::whole(1000),
            size_skew: 1.0,
            size_max: 1.5,
            join_only: false,
            requote_ticks: 2,
            requote_age_ms: 5000,
            size_tolerance: 0.5,
        }
    }
}

/// Models of the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoterKind {
    /// Constant half-spread and size, no skew: the benchmark.
    Naive,
    /// Grossman-Miller inventory skew with Glosten-Milgrom toxicity spread.
    #[default]
    Hybrid,
    /// Avellaneda-Stoikov; not built yet.
    As,
    /// Gueant-Lehalle-Fernandez-Tapia; not built yet.
    Glft,
    /// Expected-value maker; not built yet.
    Ev,
}

impl QuoterKind {
    /// Its name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            QuoterKind::Naive => "naive",
            QuoterKind::Hybrid => "hybrid",
            QuoterKind::As => "as",
            QuoterKind::Glft => "glft",
            QuoterKind::Ev => "ev",
        }
    }
}

/// When a working order is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequoteKind {
    /// Whenever its target moved.
    Always,
    /// When its target moved far enough, or the order is old enough: a replacement loses the place in the queue.
    #[default]
    Hysteresis,
}

/// The price that quotes are laid around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// Middle of the best bid and ask of others.
    #[default]
    Mid,
    /// Best prices of others weighted by the quantity on the other side.
    WeightedMid,
}

/// How orders are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// Whether commands are given at all; without, only quotes are decided (a dry run). Default true.
    pub send: bool,
    /// How long a request may stay without any answer before it is in doubt, in milliseconds. Default 5000.
    pub answer_ms: u64,
    /// Time between two queries about one order, in milliseconds. Default and least 500.
    pub query_ms: u64,
    /// "No such order" answers, each `query_ms` after the other, that prove absence. Default and least 3.
    pub not_found_answers: u32,
    /// Time after a send before which "no such order" proves nothing, in milliseconds. Default and least 2000.
    pub not_found_ms: u64,
    /// First pause of a side after the same refusal three times within a second; it doubles up to thirty times itself.
    /// In milliseconds. Default 1000.
    pub backoff_ms: u64,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self { send: true, answer_ms: 5000, query_ms: 500, not_found_answers: 3, not_found_ms: 2000, backoff_ms: 1000 }
    }
}

/// What is never done, whatever the quoter wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RiskConfig {
    /// Greatest position on either side, in base currency, open and in-flight orders included; it wins over
    /// `position_value_max`. Default: not set.
    pub position_max: Option<Amount>,
    /// Greatest position on either side in quote currency, turned into lots (rounded down) at the first quotable mid.
    /// Default 5000.
    pub position_value_max: Amount,
    /// Greatest quantity of one order, in base currency. Default: not set.
    pub order_qty_max: Option<Amount>,
    /// Greatest price times quantity of one order, in quote currency. Default 10 000.
    pub order_value_max: Amount,
    /// Farthest an order may lie from the mid, in 1e-4 of it. Default 200.
    pub collar_bps: f64,
    /// Age of the last book message at which quotes are pulled, in milliseconds. Default 1000.
    pub stale_ms: u64,
    /// New orders in any 1 s. Default 25.
    pub orders_per_1s: u32,
    /// New orders in any 10 s. Default 90, below the venue's usual 100.
    pub orders_per_10s: u32,
    /// New orders in a UTC day. Default 160 000, below the venue's usual 200 000.
    pub orders_per_1d: u32,
    /// Loss, commissions included, at which the session halts, in quote currency. Default 1000.
    pub loss_max: Amount,
}

impl Default for RiskConfig {
    fn default() -> Self {
        Self {
            position_max: None,
            position_value_max: Amount::whole(5000),
            order_qty_max: None,
            order_value_max: Amount::whole(10_000),
            collar_bps: 200.0,
            stale_ms: 1000,
            orders_per_1s: 25,
            orders_per_10s: 90,
            orders_per_1d: 160_000,
            loss_max: Amount::whole(1000),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The model is planned but not built.
    #[error("quoter.kind `{0}` is not built yet; use `naive` or `hybrid`")]
    NotBuilt(&'static str),
    /// A number outside its range.
    #[error("{key} must be {must}, not {value}")]
    Range {
        /// The key.
        key: &'static str,
        /// What it must be.
        must: &'static str,
        /// What it is.
        value: f64,
    },
}

impl PipelineConfig {
    /// Whether a pipeline can be made from it.
    ///
    /// # Errors
    /// [`ConfigError`] with the first key that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (features, quoter, orders, risk) = (&self.features, &self.quoter, &self.orders, &self.risk);
        match quoter.kind {
            QuoterKind::Naive | QuoterKind::Hybrid => {}
            kind @ (QuoterKind::As | QuoterKind::Glft | QuoterKind::Ev) => {
                return Err(ConfigError::NotBuilt(kind.name()));
            }
        }
        above_zero("features.sigma_half_life_s", features.sigma_half_life_s)?;
        within("features.sigma_window", f64::from(features.sigma_window), 2.0, 86_400.0, "2 to 86400")?;
        within("features.sigma_warmup", f64::from(features.sigma_warmup), 2.0, 86_400.0, "2 to 86400")?;
        within("features.parkinson_bar_s", f64::from(features.parkinson_bar_s), 2.0, 3600.0, "2 to 3600")?;
        within("features.parkinson_bars", f64::from(features.parkinson_bars), 1.0, 1440.0, "1 to 1440")?;
        within("features.vpin_trades", f64::from(features.vpin_trades), 1.0, 100_000.0, "1 to 100000")?;
        above_zero("features.vpin_volume", features.vpin_volume.e8() as f64)?;
        within("features.vpin_buckets", f64::from(features.vpin_buckets), 1.0, 10_000.0, "1 to 10000")?;
        within("features.ofi_window_ms", features.ofi_window_ms as f64, 1.0, 60_000.0, "1 to 60000")?;
        within("features.gap_ms", features.gap_ms as f64, 1000.0, 3_600_000.0, "1000 to 3600000")?;
        not_negative("quoter.half_spread_ticks", quoter.half_spread_ticks)?;
        above_zero("quoter.half_spread_max_bps", quoter.half_spread_max_bps)?;
        within("quoter.maker_fee_bps", quoter.maker_fee_bps, -100.0, 1000.0, "-100 to 1000")?;
        not_negative("quoter.edge_min_ticks", quoter.edge_min_ticks)?;
        not_negative("quoter.k_ticks", quoter.k_ticks)?;
        within("quoter.tau_warm", quoter.tau_warm.unwrap_or(0.0), 0.0, 1.0, "0 to 1")?;
        not_negative("quoter.gamma", quoter.gamma.unwrap_or(0.0))?;
        not_negative("quoter.full_skew_ticks", quoter.full_skew_ticks)?;
        not_negative("quoter.skew_max_bps", quoter.skew_max_bps)?;
        above_zero("quoter.horizon_s", quoter.horizon_s)?;
        within("quoter.makers", quoter.makers, 1.0, 1e6, "1 to 1000000")?;
        above_zero("quoter.order_qty", quoter.order_qty.map_or(1.0, |amount| amount.e8() as f64))?;
        above_zero("quoter.order_value", quoter.order_value.e8() as f64)?;
        within("quoter.size_skew", quoter.size_skew, 0.0, 10.0, "0 to 10")?;
        within("quoter.size_max", quoter.size_max, 1.0, 10.0, "1 to 10")?;
        within("quoter.requote_ticks", quoter.requote_ticks as f64, 1.0, 1e9, "at least 1")?;
        within("quoter.size_tolerance", quoter.size_tolerance, 0.0, 0.99, "0 to 0.99")?;
        within("orders.answer_ms", orders.answer_ms as f64, 100.0, 60_000.0, "100 to 60000")?;
        within("orders.query_ms", orders.query_ms as f64, 500.0, 60_000.0, "500 to 60000")?;
        within("orders.not_found_answers", f64::from(orders.not_found_answers), 3.0, 100.0, "3 to 100")?;
        within("orders.not_found_ms", orders.not_found_ms as f64, 2000.0, 600_000.0, "2000 to 600000")?;
        within("orders.backoff_ms", orders.backoff_ms as f64, 1.0, 600_000.0, "1 to 600000")?;
        above_zero("risk.position_max", risk.position_max.map_or(1.0, |amount| amount.e8() as f64))?;
        above_zero("risk.position_value_max", risk.position_value_max.e8() as f64)?;
        above_zero("risk.order_qty_max", risk.order_qty_max.map_or(1.0, |amount| amount.e8() as f64))?;
        above_zero("risk.order_value_max", risk.order_value_max.e8() as f64)?;
        within("risk.collar_bps", risk.collar_bps, 0.01, 5000.0, "0.01 to 5000")?;
        within("risk.stale_ms", risk.stale_ms as f64, 1.0, 600_000.0, "1 to 600000")?;
        within("risk.orders_per_1s", f64::from(risk.orders_per_1s), 1.0, 10_000.0, "1 to 10000")?;
        within("risk.orders_per_10s", f64::from(risk.orders_per_10s), 1.0, 10_000.0, "1 to 10000")?;
        within("risk.orders_per_1d", f64::from(risk.orders_per_1d), 1.0, 1e9, "at least 1")?;
        above_zero("risk.loss_max", risk.loss_max.e8() as f64)
    }

    /// A digest of every value: equal for equal configurations, so that a journal can name the one it was made under.
    pub fn digest(&self) -> u128 {
        // A struct of plain numbers and names always has a JSON text.
        xxh3_128(&serde_json::to_vec(self).unwrap_or_default())
    }
}

fn within(key: &'static str, value: f64, least: f64, most: f64, must: &'static str) -> Result<(), ConfigError> {
    // A NaN is in no range.
    if value >= least && value <= most { Ok(()) } else { Err(ConfigError::Range { key, must, value }) }
}

fn above_zero(key: &'static str, value: f64) -> Result<(), ConfigError> {
    within(key, value, f64::MIN_POSITIVE, f64::MAX, "above zero")
}

fn not_negative(key: &'static str, value: f64) -> Result<(), ConfigError> {
    within(key, value, 0.0, f64::MAX, "zero or more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_usable_and_survive_json() {
        let config = PipelineConfig::default();
        assert_eq!(config.check(), Ok(()));
        let json = serde_json::to_string(&config).unwrap();
        let back: PipelineConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(back, config);
        assert_eq!(back.digest(), config.digest());
    }

    #[test]
    fn every_value_is_in_the_digest() {
        let config = PipelineConfig::default();
        let mut other = config.clone();
        other.quoter.k_ticks += 1e-9;
        assert_ne!(other.digest(), config.digest());
    }

    #[test]
    fn models_that_are_not_built_say_so() {
        for kind in ["as", "glft", "ev"] {
            let config: PipelineConfig = serde_json::from_str(&format!(r#"{{"quoter":{{"kind":"{kind}"}}}}"#)).unwrap();
            let error = config.check().unwrap_err();
            assert!(error.to_string().contains("not built yet"), "{error}");
            assert!(error.to_string().contains(kind), "{error}");
        }
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        assert!(serde_json::from_str::<PipelineConfig>(r#"{"quoter":{"half_spred_ticks":1}}"#).is_err());
        let mut config = PipelineConfig::default();
        config.risk.collar_bps = f64::NAN;
        assert!(matches!(config.check(), Err(ConfigError::Range { key: "risk.collar_bps", .. })));
    }
}
