//! What a session hands to the next one, so that it begins warm.
//!
//! Owns [`WarmState`]: plain values with a JSON text, made at a session's end or by a back-fill and given to
//! [`Pipeline::with_warm`](super::Pipeline::with_warm). It is part of what a replay needs, so its numbers must survive
//! their text: [`WarmState::to_json`] sees to that.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::estimators::{CoefficientState, Intensity};
use super::features::{MicroState, SigmaState, VpinState};
use crate::types::{DurationNs, TimestampNs};

/// Volatility and toxicity older than this say nothing about now; k and gamma are slow and stay.
pub const WARM_FOR: DurationNs = DurationNs::from_secs(600);

/// What was learnt about every instrument, and when.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmState {
    /// When it was saved, nanoseconds since the epoch.
    pub saved_ns: u64,
    /// By instrument.
    pub instruments: Vec<InstrumentState>,
}

/// What was learnt about one instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentState {
    /// Name on the venue.
    pub symbol: String,
    /// Volatility.
    #[serde(default)]
    pub sigma: Option<SigmaState>,
    /// Completed buckets of the toxicity measure.
    #[serde(default)]
    pub toxicity: Option<VpinState>,
    /// Transitions that the microprice is fitted from.
    #[serde(default)]
    pub micro: Option<MicroState>,
    /// Regressions of the toxicity coefficient.
    #[serde(default)]
    pub k: Option<CoefficientState>,
    /// Risk aversion, per quote unit.
    #[serde(default)]
    pub gamma: Option<f64>,
    /// Intensity of aggressing orders, by the side that they reach.
    #[serde(default)]
    pub intensity: [Option<Intensity>; 2],
}

impl InstrumentState {
    /// Nothing learnt.
    pub fn empty(symbol: &str) -> InstrumentState {
        InstrumentState {
            symbol: symbol.to_owned(),
            sigma: None,
            toxicity: None,
            micro: None,
            k: None,
            gamma: None,
            intensity: [None; 2],
        }
    }

    /// Whether nothing is missing that recent trades would tell.
    pub fn is_fresh(&self) -> bool {
        self.sigma.is_some() && self.toxicity.is_some() && self.intensity.iter().all(Option::is_some)
    }

    /// Takes from `other` what is missing here.
    fn fill_from(&mut self, other: &InstrumentState) {
        self.sigma = self.sigma.take().or_else(|| other.sigma.clone());
        self.toxicity = self.toxicity.take().or_else(|| other.toxicity.clone());
        self.micro = self.micro.take().or_else(|| other.micro.clone());
        self.k = self.k.or(other.k);
        self.gamma = self.gamma.or(other.gamma);
        for (own, other) in self.intensity.iter_mut().zip(other.intensity) {
            *own = own.or(other);
        }
    }
}

impl WarmState {
    /// The state of an instrument.
    pub fn of(&self, symbol: &str) -> Option<&InstrumentState> {
        self.instruments.iter().find(|state| state.symbol == symbol)
    }

    /// What of it still holds at `now`.
    pub fn aged(mut self, now: TimestampNs) -> WarmState {
        if now.since(TimestampNs::from_nanos(self.saved_ns)) > WARM_FOR {
            for state in &mut self.instruments {
                state.sigma = None;
                state.toxicity = None;
                state.intensity = [None; 2];
            }
        }
        self
    }

    /// Takes from `other`, instrument by instrument, what is missing here.
    pub fn filled_from(mut self, other: &WarmState) -> WarmState {
        for theirs in &other.instruments {
            match self.instruments.iter_mut().find(|own| own.symbol == theirs.symbol) {
                Some(own) => own.fill_from(theirs),
                None => self.instruments.push(theirs.clone()),
            }
        }
        self
    }

    /// The state as JSON that gives every number back to its last digit: numbers with a fraction are text behind `=`.
    ///
    /// # Errors
    /// Never for what a session or a back-fill makes.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        each_value(&mut value, &|value| {
            if let Some(number) = value.as_f64().filter(|_| value.is_f64()) {
                *value = Value::String(format!("={number:?}"));
            }
        });
        Ok(value)
    }

    /// Reads what [`to_json`](Self::to_json) has made.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(mut value: Value) -> Result<WarmState, serde_json::Error> {
        each_value(&mut value, &|value| {
            let number = value.as_str().and_then(|text| text.strip_prefix('=')?.parse::<f64>().ok());
            if let Some(number) = number.and_then(serde_json::Number::from_f64) {
                *value = Value::Number(number);
            }
        });
        serde_json::from_value(value)
    }
}

/// Visits every value of a tree that is no list and no object.
fn each_value(value: &mut Value, visit: &impl Fn(&mut Value)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| each_value(value, visit)),
        Value::Object(fields) => fields.values_mut().for_each(|value| each_value(value, visit)),
        single => visit(single),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> WarmState {
        let mut instrument = InstrumentState::empty("BTCUSDT");
        instrument.gamma = Some(4.2);
        instrument.intensity[0] =
            Some(Intensity { a_per_s: 0.9, k_per_tick: 0.3, k_error_per_tick: 0.01, observations: 60 });
        WarmState { saved_ns: 1_000_000_000, instruments: vec![instrument] }
    }

    #[test]
    fn what_is_old_is_learnt_anew_and_what_is_slow_stays() {
        let young = state().aged(TimestampNs::from_millis(601_000));
        assert_eq!(young, state());
        let old = state().aged(TimestampNs::from_millis(601_001));
        assert_eq!((old.instruments[0].gamma, old.instruments[0].intensity), (Some(4.2), [None; 2]));
    }

    #[test]
    fn what_is_missing_is_filled_and_what_is_there_wins() {
        let mut fresh = state();
        fresh.instruments[0].gamma = Some(9.0);
        fresh.instruments.push(InstrumentState::empty("ETHUSDT"));
        let filled = state().aged(TimestampNs::from_millis(700_000)).filled_from(&fresh);
        assert_eq!(filled.instruments[0].gamma, Some(4.2));
        assert_eq!(filled.instruments[0].intensity, fresh.instruments[0].intensity);
        assert!(filled.of("ETHUSDT").is_some());
    }

    /// The plain text of a number comes back with another last digit now and then.
    #[test]
    fn every_number_survives_its_text() {
        let mut seed = 42_u64;
        for _ in 0..500 {
            let mut random = state();
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let gamma = (seed >> 11) as f64 / (1_u64 << 53) as f64 * 10_f64.powi((seed % 40) as i32 - 20);
            random.instruments[0].gamma = Some(gamma);
            let text = serde_json::to_string(&random.to_json().unwrap()).unwrap();
            assert_eq!(WarmState::from_json(serde_json::from_str(&text).unwrap()).unwrap(), random, "{text}");
        }
        let mut broken = state();
        broken.instruments[0].gamma = Some(f64::NAN);
        let back = WarmState::from_json(broken.to_json().unwrap()).unwrap();
        assert_eq!(back.instruments[0].gamma, None, "no number is no value");
    }
}
