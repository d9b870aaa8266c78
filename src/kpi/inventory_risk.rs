//! What holding a position did to the equity, by how much was held.
//!
//! Owns [`InventoryRisk`] and its samples: steps of ten seconds, each with the position at its start and what the equity
//! did until its end. Fed by the accumulator on a cold thread. The budget is that of the risk controller: a share of what
//! the whole limit would risk, here at the volatility that the session had.

use serde::Serialize;

use crate::stats::normal;
use crate::stats::sample::at_share;
use crate::types::DurationNs;

/// Length of a step: the inventory horizon that the models have by default.
pub const STEP: DurationNs = DurationNs::from_secs(10);
/// Steps below which tenths of them say nothing.
const STEPS_MIN: usize = 100;

/// A tenth of the steps, by the size of the position at their start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Decile {
    /// Steps.
    pub count: u64,
    /// Mean size of the position, as a share of its limit.
    pub held: f64,
    /// 5th percentile of the change of equity, in quote currency.
    pub p5: f64,
    /// Its median.
    pub median: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// Change of equity by the size of the position.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InventoryRisk {
    /// Seconds of a step.
    pub step_s: f64,
    /// The tenths, small positions first; empty below a hundred steps.
    pub deciles: Vec<Decile>,
    /// The 5th percentile that the budget allows, negative, in quote currency; `None` without a limit or deciles.
    pub allowed_p5: Option<f64>,
    /// Whether the last tenth's 5th percentile lies above that.
    pub within_budget: Option<bool>,
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Size of the position at its start, in base.
    pub(super) held: f64,
    /// The limit then, in base.
    pub(super) limit: f64,
    /// Change of the equity, in quote.
    pub(super) change: f64,
    /// Change of the mid, in quote for each base.
    pub(super) moved: f64,
}

impl InventoryRisk {
    /// The figures of a session's steps; `risk_share` is the budget as a share of what the whole limit would risk.
    pub(super) fn of(steps: &[Step], risk_share: f64) -> InventoryRisk {
        let mut risk = InventoryRisk { step_s: STEP.secs_f64(), ..InventoryRisk::default() };
        let mut sorted: Vec<Step> = steps.iter().copied().filter(|step| step.limit > 0.0).collect();
        if sorted.len() < STEPS_MIN {
            return risk;
        }
        let count = sorted.len();
        let squares: f64 = sorted.iter().map(|step| step.moved * step.moved).sum();
        let limits: f64 = sorted.iter().map(|step| step.limit).sum();
        let limit_risk = (squares / count as f64).sqrt() * limits / count as f64;
        // Steps that held the same stay in the order of time.
        sorted.sort_by(|a, b| (a.held / a.limit).total_cmp(&(b.held / b.limit)));
        risk.deciles = (0..10).map(|tenth| decile(&sorted[tenth * count / 10..(tenth + 1) * count / 10])).collect();
        risk.allowed_p5 = normal::quantile(0.05).map(|deviations| deviations * risk_share * limit_risk);
        risk.within_budget = risk.deciles.last().zip(risk.allowed_p5).map(|(last, allowed)| last.p5 >= allowed);
        risk
    }
}

fn decile(steps: &[Step]) -> Decile {
    let mut changes: Vec<f64> = steps.iter().map(|step| step.change).collect();
    changes.sort_by(f64::total_cmp);
    Decile {
        count: steps.len() as u64,
        held: steps.iter().map(|step| step.held / step.limit).sum::<f64>() / steps.len() as f64,
        p5: at_share(&changes, 0.05),
        median: at_share(&changes, 0.5),
        p95: at_share(&changes, 0.95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand steps: tenth d holds d tenths of the limit of 1, the mid moves by one either way.
    fn steps() -> Vec<Step> {
        (0..1000)
            .map(|at| {
                let held = f64::from(at % 10) / 10.0;
                let moved = if at / 10 % 2 == 0 { 1.0 } else { -1.0 };
                Step { held, limit: 1.0, change: held * moved, moved }
            })
            .collect()
    }

    #[test]
    fn the_tenths_are_those_of_the_position_and_the_last_one_is_held_against_the_budget() {
        let risk = InventoryRisk::of(&steps(), 0.25);
        assert_eq!(risk.deciles.len(), 10);
        for (tenth, decile) in risk.deciles.iter().enumerate() {
            let held = tenth as f64 / 10.0;
            assert!((decile.held - held).abs() < 1e-12 && decile.count == 100, "{decile:?}");
            assert!((decile.p5 + held).abs() < 1e-12 && (decile.p95 - held).abs() < 1e-12, "{decile:?}");
        }
        // The limit's step risks 1: a quarter of it allows 0.41 at the 5th percentile, and 0.9 was lost.
        assert!((risk.allowed_p5.unwrap() + 0.25 * 1.644_853_627).abs() < 1e-8);
        assert_eq!(risk.within_budget, Some(false));
        assert_eq!(InventoryRisk::of(&steps(), 0.6).within_budget, Some(true));
    }

    #[test]
    fn too_few_steps_and_no_limit_say_nothing() {
        assert_eq!(InventoryRisk::of(&steps()[..99], 0.25).deciles, []);
        let unlimited: Vec<Step> = steps().into_iter().map(|step| Step { limit: 0.0, ..step }).collect();
        assert_eq!(InventoryRisk::of(&unlimited, 0.25).within_budget, None);
    }
}
