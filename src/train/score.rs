//! How good a fill model is on rows that it has never seen.
//!
//! Owns [`score`]. Over all offsets together an AUC is inflated by the distance alone, so it is told within each offset;
//! losses are told beside those of the best that distance alone can do, the share of the training rows of an offset that
//! were filled. Intervals resample stretches of time, not rows. Source: quant.md 8, reports.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::Serialize;

use super::fit::{FitError, regress};
use super::shadow::Row;
use super::split::Split;
use crate::pipeline::quoter::ev::{PLACED, TrainedFills};
use crate::stats::bootstrap::{Bootstrap, Estimate};
use crate::stats::scores::{ReliabilityBin, auc, brier, calibration_error, log_loss, mean_of, reliability};

/// Sampling times in a block of the bootstrap: a minute at the usual five seconds.
const BLOCK_SAMPLES: usize = 12;
/// Resamples of an AUC: each one sorts.
const AUC_RESAMPLES: usize = 400;

/// The model at one offset.
#[derive(Clone, Debug, Serialize)]
pub struct OffsetScore {
    /// Ticks behind the touch.
    pub offset: i16,
    /// Test rows.
    pub rows: usize,
    /// Share that was filled.
    pub filled: f64,
    /// Chance that an order which was filled was given more than one that was not, with its interval.
    pub auc: Option<Estimate>,
}

/// Everything that is told of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Training, validation and test rows, and those left out between.
    pub rows: [usize; 4],
    /// By offset.
    pub offsets: Vec<OffsetScore>,
    /// AUC over all offsets together: inflated by distance.
    pub auc_pooled: Option<f64>,
    /// The same of distance alone.
    pub auc_distance: Option<f64>,
    /// Brier score.
    pub brier: f64,
    /// The same of distance alone.
    pub brier_distance: f64,
    /// Distance's Brier score less the model's, with its interval: above zero the model is better.
    pub brier_gain: Option<Estimate>,
    /// One less the ratio of the Brier score to that of the test rows' own share.
    pub brier_skill: f64,
    /// Mean logarithmic loss.
    pub log_loss: f64,
    /// The same of distance alone.
    pub log_loss_distance: f64,
    /// Slope of the outcome's logit on the said one: 1 is calibrated, below it too sure.
    pub calibration_slope: f64,
    /// Expected calibration error over the bins.
    pub calibration_error: f64,
    /// Ten bins.
    pub reliability: Vec<ReliabilityBin>,
    /// AUC after the labels were shuffled.
    pub auc_permuted: Option<f64>,
    /// Mean squared error of the adverse move of test fills, over its variance about the training mean: below 1 is a gain.
    pub adverse_error_ratio: Option<f64>,
}

fn is_filled(row: &Row) -> bool {
    row.outcome.is_some_and(|outcome| outcome.filled)
}

/// What the model says of a row.
fn outlook(model: &TrainedFills, row: &Row) -> (f64, f64) {
    let mut placed = [0.0; PLACED];
    placed.copy_from_slice(&row.signals[..PLACED]);
    let said = model.outlook(&model.common(&row.signals, true), &placed);
    (said.chance, said.adverse_ticks)
}

/// Scores a model on the test rows.
///
/// # Errors
/// When the calibration cannot be fitted.
pub fn score(model: &TrainedFills, split: &Split<'_>, auc_permuted: Option<f64>) -> Result<Scores, FitError> {
    let by_distance = fill_rates(&split.train);
    let cases: Vec<(f64, bool)> = split.test.iter().map(|row| (outlook(model, row).0, is_filled(row))).collect();
    let distance: Vec<(f64, bool)> =
        split.test.iter().map(|row| (by_distance.get(&row.offset).copied().unwrap_or(0.5), is_filled(row))).collect();
    let share = mean_of(&cases, |case| f64::from(u8::from(case.1))).unwrap_or(0.0);
    let of_share: Vec<(f64, bool)> = cases.iter().map(|case| (share, case.1)).collect();
    let mean = |cases: &[(f64, bool)], loss| mean_of(cases, loss).unwrap_or(f64::NAN);
    let gains: Vec<f64> = cases.iter().zip(&distance).map(|(ours, theirs)| brier(*theirs) - brier(*ours)).collect();
    let samples = split.test.iter().map(|row| row.decided_at).collect::<std::collections::BTreeSet<_>>().len().max(1);
    let rows_a_sample = split.test.len().div_ceil(samples);
    let reliability = reliability(&cases, 10);
    Ok(Scores {
        rows: [split.train.len(), split.validation.len(), split.test.len(), split.left_out],
        offsets: by_offset(split, &cases),
        auc_pooled: auc(&cases),
        auc_distance: auc(&distance),
        brier: mean(&cases, brier),
        brier_distance: mean(&distance, brier),
        brier_gain: Bootstrap::stationary(BLOCK_SAMPLES * rows_a_sample).mean(&gains),
        brier_skill: 1.0 - mean(&cases, brier) / mean(&of_share, brier),
        log_loss: mean(&cases, log_loss),
        log_loss_distance: mean(&distance, log_loss),
        calibration_slope: calibration_slope(&cases)?,
        calibration_error: calibration_error(&reliability),
        reliability,
        auc_permuted,
        adverse_error_ratio: adverse_error_ratio(model, split),
    })
}

/// The share of each offset's rows that was filled; a half of a case is added to either side, so that none is certain.
fn fill_rates(rows: &[&Row]) -> BTreeMap<i16, f64> {
    let mut counts: BTreeMap<i16, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let count = counts.entry(row.offset).or_default();
        count.0 += f64::from(u8::from(is_filled(row)));
        count.1 += 1.0;
    }
    counts.into_iter().map(|(offset, (filled, all))| (offset, (filled + 0.5) / (all + 1.0))).collect()
}

fn by_offset(split: &Split<'_>, cases: &[(f64, bool)]) -> Vec<OffsetScore> {
    let mut grouped: BTreeMap<i16, Vec<(f64, bool)>> = BTreeMap::new();
    for (row, case) in split.test.iter().zip(cases) {
        grouped.entry(row.offset).or_default().push(*case);
    }
    let told = |(offset, cases): (i16, Vec<(f64, bool)>)| {
        let filled = cases.iter().filter(|case| case.1).count() as f64 / cases.len() as f64;
        // Two rows a sample, bid and ask.
        let bootstrap = Bootstrap { resamples: AUC_RESAMPLES, ..Bootstrap::stationary(2 * BLOCK_SAMPLES) };
        let auc = bootstrap
            .estimate(cases.len(), |indices| auc(&indices.iter().map(|&index| cases[index]).collect::<Vec<_>>()));
        OffsetScore { offset, rows: cases.len(), filled, auc }
    };
    grouped.into_iter().map(told).collect()
}

fn calibration_slope(cases: &[(f64, bool)]) -> Result<f64, FitError> {
    let logit = |chance: f64| {
        let chance = chance.clamp(1e-9, 1.0 - 1e-9);
        (chance / (1.0 - chance)).ln()
    };
    let logits: Vec<f64> = cases.iter().map(|case| logit(case.0)).collect();
    let labels: Vec<bool> = cases.iter().map(|case| case.1).collect();
    let signals =
        Array2::from_shape_vec((logits.len(), 1), logits).map_err(|error| FitError::NotConverged(error.to_string()))?;
    Ok(regress(signals, &labels, 0.0)?.0[0])
}

fn adverse_error_ratio(model: &TrainedFills, split: &Split<'_>) -> Option<f64> {
    let moves = |rows: &[&Row]| -> Vec<f64> {
        rows.iter().filter_map(|row| row.outcome.and_then(|outcome| outcome.adverse_ticks)).collect()
    };
    let trained = moves(&split.train);
    let usual = trained.iter().sum::<f64>() / trained.len() as f64;
    let (mut ours, mut theirs) = (0.0, 0.0);
    for row in &split.test {
        if let Some(adverse) = row.outcome.and_then(|outcome| outcome.adverse_ticks) {
            ours += (adverse - outlook(model, row).1).powi(2);
            theirs += (adverse - usual).powi(2);
        }
    }
    (theirs > 0.0).then(|| ours / theirs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::quoter::ev::SIGNALS;
    use crate::train::Outcome;
    use crate::train::fit::{fit, permuted};
    use crate::train::split::split;
    use crate::types::{DurationNs, Side, TimestampNs};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Orders whose chance falls with distance and with one signal that distance does not know.
    fn rows(count: u64) -> Vec<Row> {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut rows = Vec::new();
        for sample in 0..count {
            let hidden: f64 = rng.random_range(-1.7..1.7);
            for side in Side::BOTH {
                for offset in [0_i16, 2, 5] {
                    let mut signals = [0.0; SIGNALS];
                    let mirrored = hidden * side.sign() as f64;
                    (signals[0], signals[7]) = (f64::from(offset), mirrored);
                    let chance = 1.0 / (1.0 + (0.4 * f64::from(offset) - 0.5 + mirrored).exp());
                    let filled = rng.random_bool(chance);
                    let noise: f64 = rng.random_range(-1.0..1.0);
                    let adverse_ticks = filled.then_some(1.0 + 0.5 * mirrored + noise);
                    let decided_at = TimestampNs::from_millis(sample * 5000);
                    rows.push(Row {
                        decided_at,
                        side,
                        offset,
                        signals,
                        outcome: Some(Outcome { filled, adverse_ticks }),
                    });
                }
            }
        }
        rows
    }

    fn about() -> TrainedFills {
        TrainedFills {
            format: 0,
            data_digest: "0".to_owned(),
            symbol: "BTCUSDT".to_owned(),
            shadow_fill: "touch".to_owned(),
            rows: 0,
            horizon_s: 5.0,
            markout_s: 5.0,
            fill_intercept: 0.0,
            adverse_intercept: 0.0,
            signals: Vec::new(),
        }
    }

    #[test]
    fn a_model_that_knows_more_than_distance_is_seen_to() {
        let rows = rows(6_000);
        let split = split(&rows, DurationNs::from_secs(10), DurationNs::from_secs(300));
        let model = fit(&split, &about()).unwrap();
        assert_eq!(model.fault(), None);
        let scores = score(&model, &split, permuted(&split, 3).unwrap()).unwrap();
        let joined = scores.offsets.iter().find(|score| score.offset == 0).unwrap();
        assert!(joined.auc.unwrap().low > 0.65, "{joined:?}");
        assert!(scores.brier_gain.unwrap().low > 0.0, "{scores:?}");
        assert!(scores.log_loss < scores.log_loss_distance);
        // Its error is 1/sqrt of the information: 7 000 rows give about 0.03.
        assert!((scores.calibration_slope - 1.0).abs() < 0.15, "{}", scores.calibration_slope);
        assert!(scores.calibration_error < 0.03);
        assert!(scores.adverse_error_ratio.unwrap() < 0.8);
        // 7 000 test rows, about 40 % filled: a standard error of 0.007.
        assert!((scores.auc_permuted.unwrap() - 0.5).abs() < 0.02, "{:?}", scores.auc_permuted);
        assert!(model.signals[0].fill < 0.0 && model.signals[7].fill < 0.0);
    }

    #[test]
    fn a_model_of_distance_alone_gains_nothing_over_distance() {
        let mut rows = rows(3_000);
        rows.iter_mut().for_each(|row| row.signals[7] = 0.0);
        let split = split(&rows, DurationNs::from_secs(10), DurationNs::from_secs(300));
        let model = fit(&split, &about()).unwrap();
        let scores = score(&model, &split, None).unwrap();
        for joined in &scores.offsets {
            let auc = joined.auc.unwrap();
            assert!(auc.low <= 0.5 && auc.high >= 0.5, "{joined:?}");
        }
        assert!(scores.brier_gain.unwrap().value.abs() < 2e-3);
        assert_eq!(model.signals[7].fill, 0.0);
    }
}
