//! A fill model that was trained: chance of a fill and adverse move, both linear in scaled signals.
//!
//! Owns [`TrainedFills`], which is read from a file once and which the configuration carries into the journal, so that a
//! replay needs no file. Pure numbers.

use serde::{Deserialize, Serialize};

use super::signals::{NAMES, PLACED, SIGNALS, TOXIC};

/// The format of the file; another one is refused.
pub const FORMAT: u32 = 1;

/// One signal: how it is scaled and what it weighs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// Values below are taken for this one.
    pub low: f64,
    /// Values above are taken for this one.
    pub high: f64,
    /// Mean over the training rows, after the clip.
    pub mean: f64,
    /// Standard deviation over them.
    pub scale: f64,
    /// Weight in the logit of the chance of a fill.
    pub fill: f64,
    /// Weight in the adverse move, in ticks.
    pub adverse: f64,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedFills {
    /// [`FORMAT`].
    pub format: u32,
    /// Digest of the market data that it was trained on.
    pub data_digest: String,
    /// Symbol of that data.
    pub symbol: String,
    /// Fill model of the shadow orders.
    pub shadow_fill: String,
    /// Rows that the weights were fitted to.
    pub rows: u64,
    /// Time within which a fill counts, in seconds.
    pub horizon_s: f64,
    /// Time after a fill at which the adverse move is taken, in seconds.
    pub markout_s: f64,
    /// Logit of the chance of a fill at the mean signals.
    pub fill_intercept: f64,
    /// Adverse move at the mean signals, in ticks.
    pub adverse_intercept: f64,
    /// Every signal, in the order of [`NAMES`].
    pub signals: Vec<Signal>,
}

/// Chance and adverse move of one order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Chance of a fill within the horizon.
    pub chance: f64,
    /// Expected move of the mid against us from the decision to the markout after the fill, in ticks, given a fill.
    pub adverse_ticks: f64,
}

/// The part of an outlook that all orders of a side share.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    logit: f64,
    adverse: f64,
}

impl TrainedFills {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<&'static str> {
        let number = |value: f64| value.is_finite();
        let usable = |signal: &Signal| {
            let numbers = [signal.low, signal.high, signal.mean, signal.scale, signal.fill, signal.adverse];
            numbers.into_iter().all(number) && signal.scale > 0.0 && signal.low <= signal.high
        };
        if self.format != FORMAT {
            Some("a fill model of another format; train it anew")
        } else if !self.signals.iter().map(|signal| signal.name.as_str()).eq(NAMES) {
            Some("a fill model with the signals of this version, in their order; train it anew")
        } else if !(self.signals.iter().all(usable) && number(self.fill_intercept) && number(self.adverse_intercept)) {
            Some("a fill model of finite numbers and scales above zero")
        } else if !(self.horizon_s > 0.0 && number(self.horizon_s) && self.markout_s >= 0.0 && number(self.markout_s)) {
            Some("a fill model with a horizon above zero")
        } else {
            None
        }
    }

    fn scaled(&self, index: usize, value: f64) -> f64 {
        let signal = &self.signals[index];
        (value.clamp(signal.low, signal.high) - signal.mean) / signal.scale
    }

    /// What the side's common signals come to. Without `toxicity` those of the tape count as usual, that is as nothing.
    pub fn common(&self, signals: &[f64; SIGNALS], toxicity: bool) -> Common {
        let mut common = Common { logit: self.fill_intercept, adverse: self.adverse_intercept };
        for (index, signal) in self.signals.iter().enumerate().skip(PLACED) {
            if !toxicity && TOXIC.contains(&index) {
                continue;
            }
            let scaled = self.scaled(index, signals[index]);
            common.logit += signal.fill * scaled;
            common.adverse += signal.adverse * scaled;
        }
        common
    }

    /// The outlook of an order of that side.
    pub fn outlook(&self, common: &Common, placed: &[f64; PLACED]) -> Outlook {
        let (mut logit, mut adverse) = (common.logit, common.adverse);
        for (index, value) in placed.iter().enumerate() {
            let scaled = self.scaled(index, *value);
            logit += self.signals[index].fill * scaled;
            adverse += self.signals[index].adverse * scaled;
        }
        Outlook { chance: 1.0 / (1.0 + (-logit).exp()), adverse_ticks: adverse }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A model whose signals all weigh nothing and are taken as they are.
    pub(in super::super) fn blank() -> TrainedFills {
        let signal = |name: &&str| Signal {
            name: (*name).to_owned(),
            low: -1e9,
            high: 1e9,
            mean: 0.0,
            scale: 1.0,
            fill: 0.0,
            adverse: 0.0,
        };
        TrainedFills {
            format: FORMAT,
            data_digest: String::new(),
            symbol: "BTCUSDT".to_owned(),
            shadow_fill: "risk-averse".to_owned(),
            rows: 1,
            horizon_s: 5.0,
            markout_s: 5.0,
            fill_intercept: 0.0,
            adverse_intercept: 0.0,
            signals: NAMES.iter().map(signal).collect(),
        }
    }

    #[test]
    fn an_outlook_is_the_sum_of_its_scaled_signals() {
        let mut model = blank();
        model.fill_intercept = -1.098_612_288_668_109_8;
        model.adverse_intercept = 0.5;
        model.signals[0] = Signal {
            low: 0.0,
            high: 4.0,
            mean: 1.0,
            scale: 2.0,
            fill: -1.0,
            adverse: 0.25,
            ..model.signals[0].clone()
        };
        model.signals[17].adverse = 3.0;
        assert_eq!(model.fault(), None);
        let mut signals = [0.0; SIGNALS];
        signals[17] = 0.5;
        let at_mean = model.outlook(&model.common(&signals, true), &[1.0, 0.0, 0.0, 0.0]);
        assert!((at_mean.chance - 0.25).abs() < 1e-12 && (at_mean.adverse_ticks - 2.0).abs() < 1e-12, "{at_mean:?}");
        let calm = model.outlook(&model.common(&signals, false), &[1.0, 0.0, 0.0, 0.0]);
        assert!((calm.adverse_ticks - 0.5).abs() < 1e-12);
        let far = model.outlook(&model.common(&signals, false), &[1e6, 0.0, 0.0, 0.0]);
        assert_eq!(far, model.outlook(&model.common(&signals, false), &[4.0, 0.0, 0.0, 0.0]), "clipped");
        assert!(far.chance < at_mean.chance && (far.adverse_ticks - 0.875).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_cannot_be_used_says_why() {
        let fault = |change: fn(&mut TrainedFills)| {
            let mut model = blank();
            change(&mut model);
            model.fault().unwrap()
        };
        assert!(fault(|model| model.format = 0).contains("format"));
        assert!(fault(|model| model.signals.swap(0, 1)).contains("signals"));
        assert!(fault(|model| model.signals[3].scale = 0.0).contains("scales"));
        assert!(fault(|model| model.fill_intercept = f64::NAN).contains("finite"));
        assert!(fault(|model| model.horizon_s = 0.0).contains("horizon"));
    }
}
