//! The requirements' three bounds, restated so that a session can fail them honestly.
//!
//! Owns the `seed_acceptance` table of `summary.json` and the report: Sharpe ratio, time below the position limit,
//! realised capture at 5 s. Each has its sample and its interval, and a sample that cannot decide says so. A Sharpe ratio
//! of a few days proves nothing (its standard error after three is 11), so it is judged by the chance that it is above
//! nought after thirty. Source: quant.md 15.

use serde::Serialize;

use super::curve::Capture;
use super::markout::{MAIN_HORIZON, MARKOUT_HORIZONS};
use crate::stats::sharpe::{Sharpe, SharpeWord};

/// Share of time below the limit that is wanted.
pub const TIME_BELOW_LIMIT: f64 = 0.95;
/// Capture at 5 s that the interval's lower end must reach.
pub const CAPTURE: f64 = 0.25;
/// Chance of a Sharpe ratio above nought that is wanted.
pub const PSR: f64 = 0.95;

/// What a bound came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval lies on the wanted side.
    Met,
    /// The whole interval lies on the other one.
    Missed,
    /// The interval holds the bound, or the sample is too small for one.
    Undecided,
}

/// One bound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criterion {
    /// Its name.
    pub name: &'static str,
    /// What is wanted, in words.
    pub wanted: &'static str,
    /// The figure; `None` when the sample gives none.
    pub value: Option<f64>,
    /// Its standard error, where there is one.
    pub error: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What it came to.
    pub verdict: Verdict,
}

/// The table of one session.
pub(super) fn seed_acceptance(sharpe: &Sharpe, below_limit: Option<f64>, captures: &[Capture]) -> Vec<Criterion> {
    let capture = captures.iter().find(|capture| capture.horizon_s == MARKOUT_HORIZONS[MAIN_HORIZON].secs_f64());
    vec![annual(sharpe), chance(sharpe), limit(below_limit), captured(capture)]
}

/// The annual ratio is told and never judged by itself.
fn annual(sharpe: &Sharpe) -> Criterion {
    let known = match sharpe.word {
        SharpeWord::Known(known) => Some(known),
        SharpeWord::Insufficient | SharpeWord::Flat => None,
    };
    let value = known.map(|known| known.annual);
    let error = known.map(|known| known.annual_error).or(sharpe.annual_error);
    let end = |z: f64| value.zip(error).map(|(value, error)| value + z * error);
    Criterion {
        name: "sharpe_annual",
        wanted: "1.5 or more: told with its error, judged by psr",
        value,
        error,
        low: end(-1.96),
        high: end(1.96),
        verdict: Verdict::Undecided,
    }
}

fn chance(sharpe: &Sharpe) -> Criterion {
    let psr = match sharpe.word {
        SharpeWord::Known(known) => known.psr,
        SharpeWord::Insufficient | SharpeWord::Flat => None,
    };
    let verdict = match psr {
        Some(psr) if psr > PSR => Verdict::Met,
        Some(psr) if psr < 1.0 - PSR => Verdict::Missed,
        _ => Verdict::Undecided,
    };
    Criterion {
        name: "psr",
        wanted: "above 0.95 after 30 days or more",
        value: psr,
        error: None,
        low: None,
        high: None,
        verdict,
    }
}

fn limit(below_limit: Option<f64>) -> Criterion {
    let verdict = match below_limit {
        Some(share) if share >= TIME_BELOW_LIMIT => Verdict::Met,
        Some(_) => Verdict::Missed,
        None => Verdict::Undecided,
    };
    Criterion {
        name: "time_below_limit",
        wanted: "0.95 or more",
        value: below_limit,
        error: None,
        low: None,
        high: None,
        verdict,
    }
}

fn captured(capture: Option<&Capture>) -> Criterion {
    let interval = capture.and_then(|capture| capture.interval);
    let verdict = match interval {
        Some(interval) if interval.low >= CAPTURE => Verdict::Met,
        Some(interval) if interval.high < CAPTURE => Verdict::Missed,
        _ => Verdict::Undecided,
    };
    Criterion {
        name: "capture_5s",
        wanted: "0.25 or more, lower end of the interval",
        value: capture.and_then(|capture| capture.ratio),
        error: interval.map(|interval| interval.error),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::bootstrap::Estimate;

    fn capture(low: f64, high: f64) -> Capture {
        let value = (low + high) / 2.0;
        let interval = Some(Estimate { value, error: 0.01, low, high });
        Capture { horizon_s: 5.0, fills: 100, ratio: Some(value), interval, sums: (0.0, 0.0) }
    }

    #[test]
    fn an_interval_that_holds_the_bound_decides_nothing() {
        let verdict = |low, high| captured(Some(&capture(low, high))).verdict;
        assert_eq!(verdict(0.25, 0.4), Verdict::Met);
        assert_eq!(verdict(0.24, 0.4), Verdict::Undecided);
        assert_eq!(verdict(-0.1, 0.2), Verdict::Missed);
        assert_eq!(captured(None).verdict, Verdict::Undecided);
    }

    #[test]
    fn three_days_of_profit_meet_no_sharpe_ratio() {
        // A maker that earns in every minute, with little noise.
        let changes = |days: usize| -> Vec<f64> { (0..days * 1440).map(|at| 1.0 + 0.1 * (at % 3) as f64).collect() };
        let table = |days| seed_acceptance(&Sharpe::of(&changes(days), 60.0), Some(1.0), &[capture(0.3, 0.4)]);
        let three: Vec<Verdict> = table(3).iter().map(|criterion| criterion.verdict).collect();
        assert_eq!(three, [Verdict::Undecided, Verdict::Undecided, Verdict::Met, Verdict::Met]);
        assert!(table(3)[0].error.unwrap() > 10.0 && table(3)[0].value.is_none());
        assert_eq!(table(30)[1].verdict, Verdict::Met);
    }

    #[test]
    fn a_limit_that_was_held_too_often_is_missed() {
        assert_eq!(limit(Some(0.949)).verdict, Verdict::Missed);
        assert_eq!(limit(Some(0.95)).verdict, Verdict::Met);
        assert_eq!(limit(None).verdict, Verdict::Undecided);
    }
}
