//! What can be set about decisions, with the default of each value and its reason.
//!
//! Owns [`PipelineConfig`] and its sections. The configuration file embeds the sections; the journal stores the whole
//! and its digest with every session, so that a replay runs under the same constants.

mod estimators;
mod features;
mod orders;
mod quoter;
mod risk;

pub use estimators::{EstimatorsConfig, KRegressor, LearnKind};
pub use features::{FeaturesConfig, SigmaKind, VpinMode, VpinSign};
pub use orders::OrdersConfig;
pub use quoter::{GlftForm, QuoterConfig, QuoterKind, ReferenceKind, RequoteKind, ToxicityKind};
pub use risk::RiskConfig;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// Everything that a [`Pipeline`](super::Pipeline) is made from besides session and instruments.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// Estimators of volatility and toxicity.
    pub features: FeaturesConfig,
    /// How the models' parameters are learnt.
    pub estimators: EstimatorsConfig,
    /// Which quotes are wanted.
    pub quoter: QuoterConfig,
    /// How orders are kept.
    pub orders: OrdersConfig,
    /// What is never done, whatever the quoter wants.
    pub risk: RiskConfig,
}

/// Why a configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A value that another one rules out.
    #[error("{key}: {must}")]
    Conflict {
        /// The key.
        key: &'static str,
        /// What it needs.
        must: &'static str,
    },
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
        self.features.check()?;
        self.estimators.check()?;
        self.quoter.check()?;
        self.orders.check()?;
        self.risk.check()
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
    fn every_kind_is_usable_and_a_model_file_has_to_be_read_first() {
        for kind in ["naive", "hybrid", "as", "glft", "ev"] {
            let config: PipelineConfig = serde_json::from_str(&format!(r#"{{"quoter":{{"kind":"{kind}"}}}}"#)).unwrap();
            assert_eq!(config.check(), Ok(()));
        }
        let config: PipelineConfig = serde_json::from_str(r#"{"quoter":{"ev_model_file":"fills.json"}}"#).unwrap();
        assert!(matches!(config.check(), Err(ConfigError::Conflict { key: "quoter.ev_model_file", .. })));
    }

    #[test]
    fn bulk_classification_needs_buckets_of_volume() {
        let mut config = PipelineConfig::default();
        config.features.vpin_sign = VpinSign::Bvc;
        assert!(matches!(config.check(), Err(ConfigError::Conflict { key: "features.vpin_sign", .. })));
        config.features.vpin_mode = VpinMode::Volume;
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        assert!(serde_json::from_str::<PipelineConfig>(r#"{"quoter":{"half_spred_ticks":1}}"#).is_err());
        let mut config = PipelineConfig::default();
        config.risk.collar_bps = f64::NAN;
        assert!(matches!(config.check(), Err(ConfigError::Range { key: "risk.collar_bps", .. })));
    }
}
