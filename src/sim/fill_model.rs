//! Which rule says where inside a recorded level our orders stand, and so when they fill.
//!
//! The rule decides nothing else: prices, quantities and priority between orders are the matching core's. Chosen once
//! for a venue, by name or as a model of one's own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::queue::{Behind, Log, Log2, Power, Power2, Power3, Prob, QueueModel, RiskAverse, Through, Touch};

/// The fill model of a venue on recorded data.
#[derive(Clone)]
pub enum FillModel {
    /// A place in the queue of a level that only shows its size.
    Queue {
        /// Its name, as [`FillModel::from_str`] reads it.
        name: String,
        /// How places move.
        model: Arc<dyn QueueModel>,
    },
    /// Orders are told apart: each growth of a level is an order that joins at its back, and a decrease that no trade
    /// explains takes the newest order of exactly that size, or else the newest ones.
    Fifo,
}

impl FillModel {
    /// A model of one's own, under a name for reports.
    pub fn new(name: &str, model: impl QueueModel + 'static) -> FillModel {
        FillModel::Queue { name: name.to_owned(), model: Arc::new(model) }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        match self {
            FillModel::Queue { name, .. } => name,
            FillModel::Fifo => "fifo",
        }
    }
}

impl Default for FillModel {
    /// Nobody ahead of us ever gives up: the pessimistic reading that needs no constant.
    fn default() -> FillModel {
        FillModel::new("risk-averse", RiskAverse)
    }
}

impl fmt::Debug for FillModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no fill model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "known are touch, through, risk-averse, fifo, prob:power, prob:power2, prob:power3 (each with an exponent above 0, \
     as in prob:power3=2.5), prob:log and prob:log2"
)]
pub struct UnknownFillModel;

impl FromStr for FillModel {
    type Err = UnknownFillModel;

    fn from_str(text: &str) -> Result<FillModel, UnknownFillModel> {
        fn prob<F: Behind + 'static>(text: &str, form: F) -> FillModel {
            FillModel::new(text, Prob(form))
        }
        let (name, exponent) = match text.split_once('=') {
            None => (text, None),
            Some((name, number)) => {
                let exponent: f64 = number.parse().map_err(|_| UnknownFillModel)?;
                if !(exponent.is_finite() && exponent > 0.0) {
                    return Err(UnknownFillModel);
                }
                (name, Some(exponent))
            }
        };
        let n = |usual| exponent.unwrap_or(usual);
        match name {
            "prob:power" => return Ok(prob(text, Power { n: n(2.0) })),
            "prob:power2" => return Ok(prob(text, Power2 { n: n(2.0) })),
            "prob:power3" => return Ok(prob(text, Power3 { n: n(3.0) })),
            _ if exponent.is_some() => return Err(UnknownFillModel),
            _ => {}
        }
        match name {
            "touch" => Ok(FillModel::new(name, Touch)),
            "through" => Ok(FillModel::new(name, Through)),
            "risk-averse" => Ok(FillModel::default()),
            "fifo" => Ok(FillModel::Fifo),
            "prob:log" => Ok(prob(text, Log)),
            "prob:log2" => Ok(prob(text, Log2)),
            _ => Err(UnknownFillModel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_reads_back_from_its_name_and_nothing_else_is_one() {
        for name in
            ["touch", "through", "risk-averse", "fifo", "prob:power", "prob:power2=0.5", "prob:power3", "prob:log2"]
        {
            assert_eq!(name.parse::<FillModel>().unwrap().name(), name);
        }
        for wrong in ["", "prob", "prob:", "prob:power=0", "prob:power=x", "touch=1", "prob:log=2", "Touch"] {
            assert_eq!(wrong.parse::<FillModel>().unwrap_err(), UnknownFillModel, "{wrong}");
        }
    }
}
