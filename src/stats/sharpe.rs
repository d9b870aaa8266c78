//! The Sharpe ratio of equity changes, with what may be believed of it.
//!
//! Owns moments, the ratio, its standard error and the aggregation factor. Called by the KPIs and by reference
//! simulations. Changes are in currency and cover equal intervals that do not overlap, flat ones included; the year has
//! 365 days and the riskless rate is nought. Source: Lo (2002), "The Statistics of Sharpe Ratios".

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::normal;

/// Days below which no Sharpe ratio is told.
pub const DAYS_MIN: f64 = 30.0;
/// Days of a year: markets of this kind never close.
pub const DAYS_A_YEAR: f64 = 365.0;
const SECONDS_A_DAY: f64 = 86_400.0;

/// The first four moments of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// How many numbers.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation, over `count - 1`.
    pub deviation: f64,
    /// Skewness, `g3`; 0 for the normal distribution and for a flat sample.
    pub skewness: f64,
    /// **Raw** kurtosis, `g4`: 3 for the normal distribution and for a flat sample.
    pub kurtosis: f64,
}

/// Moments of a sample; `None` for fewer than two numbers.
pub fn moments(samples: &[f64]) -> Option<Moments> {
    if samples.len() < 2 {
        return None;
    }
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let central = |power: i32| samples.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / n;
    let variance = central(2);
    let (skewness, kurtosis) =
        if variance > 0.0 { (central(3) / variance.powf(1.5), central(4) / (variance * variance)) } else { (0.0, 3.0) };
    let deviation = (variance * n / (n - 1.0)).sqrt();
    Some(Moments { count: samples.len() as u64, mean, deviation, skewness, kurtosis })
}

/// Mean over deviation per interval; `None` for a flat sample or fewer than two numbers.
pub fn ratio(changes: &[f64]) -> Option<f64> {
    let moments = moments(changes)?;
    (moments.deviation > 0.0).then(|| moments.mean / moments.deviation)
}

/// Standard error of a per-interval ratio from `count` independent intervals: `sqrt((1 + SR^2 / 2) / N)`.
pub fn standard_error(ratio: f64, count: u64) -> f64 {
    ((1.0 + 0.5 * ratio * ratio) / count as f64).sqrt()
}

/// Standard error of an annual ratio from so many days, whatever the interval: `sqrt(365 / D)`.
pub fn annual_standard_error(days: f64) -> f64 {
    (DAYS_A_YEAR / days).sqrt()
}

/// Days after which a true annual ratio stands `z` standard errors above nought.
pub fn days_to_prove(annual_ratio: f64, z: f64) -> f64 {
    DAYS_A_YEAR * (z / annual_ratio).powi(2)
}

/// Lo's factor from a per-interval ratio to one over `q` intervals, `q / sqrt(q + 2 sum (q - k) rho_k)`, in place of
/// `sqrt(q)`. `autocorrelations` begins with lag 1; lags that are left out are nought. `None` when the sum makes no
/// variance.
pub fn aggregation(q: u32, autocorrelations: &[f64]) -> Option<f64> {
    let q = f64::from(q);
    let lags = (1_u32..).map(f64::from).zip(autocorrelations).take_while(|(k, _)| *k < q);
    let sum: f64 = lags.map(|(k, rho)| (q - k) * rho).sum();
    let variance = q + 2.0 * sum;
    (variance > 0.0).then(|| q / variance.sqrt())
}

/// A Sharpe ratio that has its days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharpeEstimate {
    /// A year's ratio, as if intervals were independent.
    pub annual: f64,
    /// Its standard error.
    pub annual_error: f64,
    /// A day's ratio.
    pub daily: f64,
    /// Chance that the true ratio is above nought (probabilistic Sharpe ratio, raw kurtosis).
    pub psr: Option<f64>,
}

impl SharpeEstimate {
    /// Whether the 95 % interval leaves nought out.
    pub fn is_significant(&self) -> bool {
        self.annual.abs() > 1.96 * self.annual_error
    }
}

/// What can be said of a session's Sharpe ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SharpeWord {
    /// Fewer than [`DAYS_MIN`] days: the ratio would be noise, so there is none.
    Insufficient,
    /// The equity never moved: no ratio.
    Flat,
    /// The ratio.
    Known(SharpeEstimate),
}

/// A session's Sharpe ratio, or why there is none, with its sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharpe {
    /// What can be said.
    pub word: SharpeWord,
    /// Seconds of an interval.
    pub interval_s: f64,
    /// Intervals.
    pub count: u64,
    /// Days that they cover.
    pub days: f64,
    /// Standard error that an annual ratio of about nought has after so many days; `None` without any.
    pub annual_error: Option<f64>,
}

impl Sharpe {
    /// The ratio of equity changes over intervals of `interval_s` seconds.
    pub fn of(changes: &[f64], interval_s: f64) -> Sharpe {
        let count = changes.len() as u64;
        let days = count as f64 * interval_s / SECONDS_A_DAY;
        let word = if days < DAYS_MIN {
            SharpeWord::Insufficient
        } else {
            match (ratio(changes), moments(changes)) {
                (Some(ratio), Some(moments)) => {
                    let a_year = (DAYS_A_YEAR * SECONDS_A_DAY / interval_s).sqrt();
                    SharpeWord::Known(SharpeEstimate {
                        annual: ratio * a_year,
                        annual_error: standard_error(ratio, count) * a_year,
                        daily: ratio * (SECONDS_A_DAY / interval_s).sqrt(),
                        psr: super::psr::psr(ratio, 0.0, count, moments.skewness, moments.kurtosis),
                    })
                }
                _ => SharpeWord::Flat,
            }
        };
        let annual_error = (days > 0.0).then(|| annual_standard_error(days));
        Sharpe { word, interval_s, count, days, annual_error }
    }

    /// The ratio in words: `n/a (insufficient)` below the least sample, `not significant` when the interval covers 0.
    pub fn text(&self) -> String {
        match self.word {
            SharpeWord::Insufficient => "n/a (insufficient)".to_owned(),
            SharpeWord::Flat => "n/a (flat)".to_owned(),
            SharpeWord::Known(known) => {
                let word = if known.is_significant() { "" } else { ", not significant" };
                format!("{:.2} \u{b1} {:.2}{word}", known.annual, 1.96 * known.annual_error)
            }
        }
    }
}

impl Serialize for Sharpe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = match self.word {
            SharpeWord::Known(known) => Some(known),
            SharpeWord::Insufficient | SharpeWord::Flat => None,
        };
        let mut fields = serializer.serialize_struct("Sharpe", 9)?;
        fields.serialize_field("text", &self.text())?;
        fields.serialize_field("annual", &known.map(|known| known.annual))?;
        fields.serialize_field("annual_error", &known.map(|known| known.annual_error).or(self.annual_error))?;
        fields.serialize_field("daily", &known.map(|known| known.daily))?;
        fields.serialize_field("psr", &known.and_then(|known| known.psr))?;
        fields.serialize_field("significant", &known.map(|known| known.is_significant()))?;
        fields.serialize_field("interval_s", &self.interval_s)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("days", &self.days)?;
        fields.end()
    }
}

/// Chance to see an annual ratio of at least `seen` after so many days when the true one is nought.
pub fn chance_without_skill(seen: f64, days: f64) -> f64 {
    1.0 - normal::cdf(seen / annual_standard_error(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annual_error_depends_on_days_alone() {
        for (days, want) in [(3.0, 11.03), (30.0, 3.49), (90.0, 2.01), (365.0, 1.0)] {
            assert!((annual_standard_error(days) - want).abs() < 0.005, "{days}");
        }
        // The same from Lo's formula at a one-minute interval and a small ratio.
        let per_minute = standard_error(1e-6, 3 * 1440) * (365.0 * 1440.0_f64).sqrt();
        assert!((per_minute - 11.03).abs() < 0.005, "{per_minute}");
        assert!((standard_error(2.0, 12) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn three_days_prove_nothing_and_439_do() {
        assert!((chance_without_skill(1.5, 3.0) - 0.446).abs() < 5e-4);
        let [one_sided, two_sided] = [0.95, 0.975].map(|p| days_to_prove(1.5, normal::quantile(p).unwrap()));
        assert_eq!((one_sided.round(), two_sided.round()), (439.0, 623.0));
    }

    #[test]
    fn autocorrelation_changes_the_aggregation() {
        assert!((aggregation(12, &[0.4]).unwrap() - 2.631_174).abs() < 5e-7);
        assert!((aggregation(12, &[]).unwrap() - 12.0_f64.sqrt()).abs() < 1e-12);
        // Lags of q and beyond do not count.
        assert_eq!(aggregation(2, &[0.1, 0.9, 0.9]), aggregation(2, &[0.1]));
        assert_eq!(aggregation(2, &[-1.0]), None);
    }

    #[test]
    fn moments_by_hand() {
        let m = moments(&[1.0, 2.0, 3.0, 4.0, 10.0]).unwrap();
        assert!((m.mean - 4.0).abs() < 1e-12);
        assert!((m.deviation - 12.5_f64.sqrt()).abs() < 1e-12);
        assert!((m.skewness - 36.0 / 1000.0_f64.sqrt()).abs() < 1e-12, "{}", m.skewness);
        assert!((m.kurtosis - 278.8 / 100.0).abs() < 1e-12, "{}", m.kurtosis);
        assert_eq!(moments(&[1.0]), None);
        assert_eq!(ratio(&[2.0, 2.0, 2.0]), None);
        assert!((ratio(&[1.0, 3.0]).unwrap() - 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn below_thirty_days_there_is_no_ratio_but_its_error() {
        let changes: Vec<f64> = (0..30).map(|i| f64::from(i % 3) - 0.5).collect();
        let short = Sharpe::of(&changes[..29], 86_400.0);
        assert_eq!((short.word, short.text().as_str()), (SharpeWord::Insufficient, "n/a (insufficient)"));
        let json = serde_json::to_value(short).unwrap();
        assert!(json["annual"].is_null() && json["annual_error"].as_f64().unwrap() > 3.0);
        let long = Sharpe::of(&changes, 86_400.0);
        let SharpeWord::Known(known) = long.word else { panic!("{long:?}") };
        assert!((known.annual / known.daily - 365.0_f64.sqrt()).abs() < 1e-9);
        assert!(known.is_significant());
        let noise: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 1.0 } else { -1.01 }).collect();
        assert!(Sharpe::of(&noise, 86_400.0).text().ends_with("not significant"));
        assert_eq!(Sharpe::of(&[0.0; 40], 86_400.0).word, SharpeWord::Flat);
        assert_eq!(Sharpe::of(&[], 60.0).annual_error, None);
    }
}
