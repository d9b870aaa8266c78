//! Which quotes are wanted, and when an order is replaced.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, above_zero, not_negative, within};
use crate::pipeline::amount::Amount;
use crate::pipeline::quoter::ev::TrainedFills;

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
    /// seed formula; for `as` and `glft` the one until volatility is published. Default 5.
    pub half_spread_ticks: f64,
    /// Widest half-spread of every model but `naive`, in 1e-4 of the mid. Default 50.
    pub half_spread_max_bps: f64,
    /// The maker commission that one side pays, in 1e-4 of the notional; negative for a rebate. Default 10, the common
    /// base tier.
    pub maker_fee_bps: f64,
    /// Whether every model but `naive` keeps its half-spread above the commission, below which a round trip loses.
    /// Default true.
    pub fee_floor: bool,
    /// Least profit of a round trip's half above the commission, in ticks. Default 0.
    pub edge_min_ticks: f64,
    /// Which toxicity widens the half-spread of `hybrid`. Default `symmetric`, the seed formula.
    pub toxicity: ToxicityKind,
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
    /// Inventory holding horizon, in seconds; the constant time left of `as`. Default 10.
    pub horizon_s: f64,
    /// Competing makers n of `hybrid`; only gamma / n matters. Default 10.
    pub makers: f64,
    /// A of the intensity A exp(-k distance) with which orders reach a quote, per second, for `glft`. Default 0.9, that
    /// of the model's paper.
    pub intensity_per_s: f64,
    /// k of that intensity, per tick, for `as` and `glft`. Default 0.3, that of the paper.
    pub intensity_decay_per_tick: f64,
    /// Which quotes `glft` takes. Default `exact`.
    pub glft_form: GlftForm,
    /// How often `glft` takes new parameters and makes its table anew, in milliseconds. Default 1000, the step of the
    /// estimators.
    pub glft_refresh_ms: u64,
    /// By how much a fill moves the price against us, in ticks, for `glft`: the measured markout. Default 0.
    pub impact_ticks: f64,
    /// Drift of the price, in ticks a second, for `glft`. Default 0.
    pub drift_ticks_per_s: f64,
    /// Time within which a fill counts for `ev`, in seconds; a trained model brings its own. Default 5.
    pub ev_horizon_s: f64,
    /// How far inside the touch `ev` looks for its quotes, in ticks. Default 2.
    pub ev_inside_ticks: u16,
    /// How far behind the touch it looks. Default 20.
    pub ev_outside_ticks: u16,
    /// What a quote of `ev` must be worth, in ticks of expected value for each unit; a side whose best is not worth more
    /// has none. Default 0.
    pub ev_min_ticks: f64,
    /// What another price must be worth more before `ev` gives up the place of its order in the queue, and spends one of the
    /// orders that the venue allows. Default 1.
    pub ev_switch_ticks: f64,
    /// Which toxicity `ev` charges for: `signed` the threatened side alone. With a trained model, `off` takes the flow of
    /// the tape for usual and the other two are alike. Default `signed`.
    pub ev_toxicity: ToxicityKind,
    /// Without a trained model: the move against us that a fill brings, in ticks, before toxicity adds `k_ticks` times
    /// itself. Default 0.
    pub ev_adverse_ticks: f64,
    /// Without a trained model: by how much that move grows with each tick beyond the half-spread, 0 to 1. Default 0.
    pub ev_adverse_slope: f64,
    /// File of a trained fill model; empty takes the parametric formulas. Default empty.
    pub ev_model_file: PathBuf,
    /// The model of that file. Whoever reads the configuration reads the file, and the journal holds the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ev_model: Option<Box<TrainedFills>>,
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
            toxicity: ToxicityKind::Symmetric,
            k_ticks: 20.0,
            tau_warm: Some(0.5),
            gamma: None,
            full_skew_ticks: 10.0,
            skew_max_bps: 25.0,
            horizon_s: 10.0,
            makers: 10.0,
            intensity_per_s: 0.9,
            intensity_decay_per_tick: 0.3,
            glft_form: GlftForm::Exact,
            glft_refresh_ms: 1000,
            impact_ticks: 0.0,
            drift_ticks_per_s: 0.0,
            ev_horizon_s: 5.0,
            ev_inside_ticks: 2,
            ev_outside_ticks: 20,
            ev_min_ticks: 0.0,
            ev_switch_ticks: 1.0,
            ev_toxicity: ToxicityKind::Signed,
            ev_adverse_ticks: 0.0,
            ev_adverse_slope: 0.0,
            ev_model_file: PathBuf::new(),
            ev_model: None,
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
    /// Avellaneda-Stoikov: skew and spread of a maker with a horizon.
    As,
    /// Gueant-Lehalle-Fernandez-Tapia: the optimal quotes with a position limit.
    Glft,
    /// Expected-value maker: the price at which chance of a fill times gain is greatest.
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

/// Which toxicity widens the half-spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToxicityKind {
    /// Both sides alike, by the share of one-sided flow.
    #[default]
    Symmetric,
    /// The threatened side alone, by net flow beyond chance: net buying threatens the ask.
    Signed,
    /// None.
    Off,
}

/// Which of the model's quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GlftForm {
    /// The tabulated solution, right up to the position limit.
    #[default]
    Exact,
    /// The closed form, which knows no limit.
    Closed,
}

/// When a working order is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequoteKind {
    /// Whenever its target moved.
    Always,
    /// When its target moved far enough, or the order is old enough: a replacement loses the place in the queue. Not for
    /// `ev`, which weighs that place itself.
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
    /// Stoikov's microprice: the mid shifted by its expected next moves. The shift is zero before the first fit and
    /// for states of the book that were seen too rarely.
    Micro,
    /// Each side's own best price of others, for `naive` alone: its half-spread is the distance behind the touch, and inside
    /// it when negative.
    Touch,
}

impl QuoterConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.reference == ReferenceKind::Touch {
            // From the touch, and inside it when negative.
            within("quoter.half_spread_ticks", self.half_spread_ticks, -1e6, 1e9, "-1000000 to 1000000000")?;
            if self.kind != QuoterKind::Naive {
                return Err(ConfigError::Conflict {
                    key: "quoter.reference",
                    must: "another one than touch: only naive has two",
                });
            }
        } else {
            not_negative("quoter.half_spread_ticks", self.half_spread_ticks)?;
        }
        above_zero("quoter.half_spread_max_bps", self.half_spread_max_bps)?;
        within("quoter.maker_fee_bps", self.maker_fee_bps, -100.0, 1000.0, "-100 to 1000")?;
        not_negative("quoter.edge_min_ticks", self.edge_min_ticks)?;
        not_negative("quoter.k_ticks", self.k_ticks)?;
        within("quoter.tau_warm", self.tau_warm.unwrap_or(0.0), 0.0, 1.0, "0 to 1")?;
        not_negative("quoter.gamma", self.gamma.unwrap_or(0.0))?;
        not_negative("quoter.full_skew_ticks", self.full_skew_ticks)?;
        not_negative("quoter.skew_max_bps", self.skew_max_bps)?;
        above_zero("quoter.horizon_s", self.horizon_s)?;
        within("quoter.makers", self.makers, 1.0, 1e6, "1 to 1000000")?;
        within("quoter.intensity_per_s", self.intensity_per_s, 1e-9, 1e9, "1e-9 to 1e9")?;
        within("quoter.intensity_decay_per_tick", self.intensity_decay_per_tick, 1e-9, 1e3, "1e-9 to 1000")?;
        within("quoter.glft_refresh_ms", self.glft_refresh_ms as f64, 100.0, 3_600_000.0, "100 to 3600000")?;
        within("quoter.impact_ticks", self.impact_ticks, 0.0, 1e6, "0 to 1000000")?;
        within("quoter.drift_ticks_per_s", self.drift_ticks_per_s, -1e6, 1e6, "-1000000 to 1000000")?;
        within("quoter.ev_horizon_s", self.ev_horizon_s, 1e-3, 3600.0, "0.001 to 3600")?;
        within("quoter.ev_outside_ticks", f64::from(self.ev_outside_ticks), 0.0, 1000.0, "0 to 1000")?;
        within("quoter.ev_inside_ticks", f64::from(self.ev_inside_ticks), 0.0, 1000.0, "0 to 1000")?;
        not_negative("quoter.ev_min_ticks", self.ev_min_ticks)?;
        not_negative("quoter.ev_switch_ticks", self.ev_switch_ticks)?;
        within("quoter.ev_adverse_ticks", self.ev_adverse_ticks, -1e6, 1e6, "-1000000 to 1000000")?;
        within("quoter.ev_adverse_slope", self.ev_adverse_slope, 0.0, 1.0, "0 to 1")?;
        match &self.ev_model {
            Some(model) => {
                if let Some(must) = model.fault() {
                    return Err(ConfigError::Conflict { key: "quoter.ev_model", must });
                }
            }
            None if !self.ev_model_file.as_os_str().is_empty() => {
                return Err(ConfigError::Conflict {
                    key: "quoter.ev_model_file",
                    must: "the file has to be read first",
                });
            }
            None => {}
        }
        above_zero("quoter.order_qty", self.order_qty.map_or(1.0, |amount| amount.e8() as f64))?;
        above_zero("quoter.order_value", self.order_value.e8() as f64)?;
        within("quoter.size_skew", self.size_skew, 0.0, 10.0, "0 to 10")?;
        within("quoter.size_max", self.size_max, 1.0, 10.0, "1 to 10")?;
        within("quoter.requote_ticks", self.requote_ticks as f64, 1.0, 1e9, "at least 1")?;
        within("quoter.size_tolerance", self.size_tolerance, 0.0, 0.99, "0 to 0.99")
    }
}
