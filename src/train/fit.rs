//! The fit: a logistic regression of fills and a ridge regression of adverse moves on the same scaled signals.
//!
//! Owns [`fit`]. Clip limits and scales come from the training rows, the strength of the penalty from the validation
//! rows; test rows are not touched here. Classes are not weighted, which would spoil the calibration. The logistic
//! regression is linfa's; the ridge has a closed form. Source: quant.md 8, model, and 9, adverse move.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::shadow::Row;
use super::split::Split;
use crate::pipeline::quoter::ev::{FORMAT, NAMES, SIGNALS, Signal, TrainedFills};
use crate::stats::sample::at_share;
use crate::stats::scores::{auc, log_loss, mean_of};

/// Strengths of the penalty that are tried, for each training row.
const PENALTIES: [f64; 3] = [1e-4, 1e-3, 1e-2];
/// Penalty of the adverse move, for each row.
const RIDGE: f64 = 1e-3;
/// Share of the training rows clipped at either end of a signal.
const CLIP: f64 = 0.005;
/// Rows and cases of each kind below which nothing is fitted.
const LEAST_ROWS: usize = 200;
const LEAST_CASES: usize = 20;

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Too little to fit, to choose or to test with.
    #[error(
        "{part} rows hold {fills} fills of {rows} shadow orders; at least {LEAST_CASES} filled, {LEAST_CASES} unfilled \
         and {LEAST_ROWS} in all are needed"
    )]
    TooLittle {
        /// Which part.
        part: &'static str,
        /// Its rows.
        rows: usize,
        /// Those that were filled.
        fills: usize,
    },
    /// The regression did not converge.
    #[error("the logistic regression failed: {0}")]
    NotConverged(String),
}

/// How signals are clipped and scaled.
struct Scaler {
    low: [f64; SIGNALS],
    high: [f64; SIGNALS],
    mean: [f64; SIGNALS],
    scale: [f64; SIGNALS],
}

impl Scaler {
    fn of(rows: &[&Row]) -> Scaler {
        let mut scaler =
            Scaler { low: [0.0; SIGNALS], high: [0.0; SIGNALS], mean: [0.0; SIGNALS], scale: [1.0; SIGNALS] };
        for index in 0..SIGNALS {
            let mut values: Vec<f64> = rows.iter().map(|row| row.signals[index]).collect();
            values.sort_unstable_by(f64::total_cmp);
            let (low, high) = (at_share(&values, CLIP), at_share(&values, 1.0 - CLIP));
            let count = values.len() as f64;
            let clipped = || values.iter().map(|value| value.clamp(low, high));
            let mean = clipped().sum::<f64>() / count;
            let deviation = (clipped().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            (scaler.low[index], scaler.high[index], scaler.mean[index]) = (low, high, mean);
            // A signal that never changes says nothing, and is not divided by nothing.
            scaler.scale[index] = if deviation > 1e-9 { deviation } else { 1.0 };
        }
        scaler
    }

    fn scaled(&self, row: &Row) -> [f64; SIGNALS] {
        std::array::from_fn(|index| {
            (row.signals[index].clamp(self.low[index], self.high[index]) - self.mean[index]) / self.scale[index]
        })
    }
}

fn is_filled(row: &Row) -> bool {
    row.outcome.is_some_and(|outcome| outcome.filled)
}

/// Weights and intercept of the logistic regression of `labels`.
pub(super) fn logistic(rows: &[[f64; SIGNALS]], labels: &[bool], penalty: f64) -> Result<(Vec<f64>, f64), FitError> {
    let failed = |error: &dyn std::fmt::Display| FitError::NotConverged(error.to_string());
    let values = rows.iter().flatten().copied().collect();
    let signals = Array2::from_shape_vec((rows.len(), SIGNALS), values).map_err(|error| failed(&error))?;
    regress(signals, labels, penalty)
}

/// The same over any signals.
pub(super) fn regress(signals: Array2<f64>, labels: &[bool], penalty: f64) -> Result<(Vec<f64>, f64), FitError> {
    let labels: Array1<usize> = labels.iter().map(|label| usize::from(*label)).collect();
    let model = LogisticRegression::default()
        .alpha(penalty)
        .max_iterations(500)
        .gradient_tolerance(1e-6)
        .fit(&Dataset::new(signals, labels))
        .map_err(|error| FitError::NotConverged(error.to_string()))?;
    // It calls the larger class the positive one.
    let sign = if model.labels().pos.class == 1 { 1.0 } else { -1.0 };
    Ok((model.params().iter().map(|weight| sign * weight).collect(), sign * model.intercept()))
}

/// Weights and intercept of the ridge regression of `moves`.
fn ridge(rows: &[[f64; SIGNALS]], moves: &[f64]) -> ([f64; SIGNALS], f64) {
    let count = rows.len().max(1) as f64;
    let mean = moves.iter().sum::<f64>() / count;
    let centre: [f64; SIGNALS] = std::array::from_fn(|at| rows.iter().map(|row| row[at]).sum::<f64>() / count);
    let mut normal = [[0.0; SIGNALS]; SIGNALS];
    let mut right = [0.0; SIGNALS];
    for (row, target) in rows.iter().zip(moves) {
        for i in 0..SIGNALS {
            right[i] += (row[i] - centre[i]) * (target - mean);
            for j in 0..=i {
                normal[i][j] += (row[i] - centre[i]) * (row[j] - centre[j]);
            }
        }
    }
    for (i, line) in normal.iter_mut().enumerate() {
        line[i] += RIDGE * count;
    }
    let weights = solve(&mut normal, right);
    let intercept = mean - weights.iter().zip(centre).map(|(weight, at)| weight * at).sum::<f64>();
    (weights, intercept)
}

/// Solves a symmetric positive definite system, of which the lower half is given, by Cholesky.
fn solve(matrix: &mut [[f64; SIGNALS]; SIGNALS], mut right: [f64; SIGNALS]) -> [f64; SIGNALS] {
    for i in 0..SIGNALS {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - dot;
            matrix[i][j] = if i == j { rest.sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..SIGNALS {
        let dot: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i][i];
    }
    for i in (0..SIGNALS).rev() {
        let dot: f64 = (i + 1..SIGNALS).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i][i];
    }
    right
}

fn enough(part: &'static str, rows: &[&Row]) -> Result<(), FitError> {
    let fills = rows.iter().filter(|row| is_filled(row)).count();
    if rows.len() < LEAST_ROWS || fills < LEAST_CASES || rows.len() - fills < LEAST_CASES {
        return Err(FitError::TooLittle { part, rows: rows.len(), fills });
    }
    Ok(())
}

/// Fits a model to the training rows, with the penalty that serves the validation rows best. `about` says what the rows
/// are of: its numbers are replaced, its texts and times are kept.
///
/// # Errors
/// When a part holds too little, or the regression fails.
pub fn fit(split: &Split<'_>, about: &TrainedFills) -> Result<TrainedFills, FitError> {
    enough("training", &split.train)?;
    enough("validation", &split.validation)?;
    enough("test", &split.test)?;
    let scaler = Scaler::of(&split.train);
    let rows: Vec<[f64; SIGNALS]> = split.train.iter().map(|row| scaler.scaled(row)).collect();
    let labels: Vec<bool> = split.train.iter().map(|row| is_filled(row)).collect();
    let validation: Vec<([f64; SIGNALS], bool)> =
        split.validation.iter().map(|row| (scaler.scaled(row), is_filled(row))).collect();
    let mut chosen: Option<(f64, Vec<f64>, f64)> = None;
    for penalty in PENALTIES {
        let (weights, intercept) = logistic(&rows, &labels, penalty * rows.len() as f64)?;
        let said: Vec<(f64, bool)> =
            validation.iter().map(|(signals, label)| (chance(&weights, intercept, signals), *label)).collect();
        let loss = mean_of(&said, log_loss).unwrap_or(f64::INFINITY);
        if chosen.as_ref().is_none_or(|(least, _, _)| loss < *least) {
            chosen = Some((loss, weights, intercept));
        }
    }
    let Some((_, fill, fill_intercept)) = chosen else {
        return Err(FitError::NotConverged("no penalty gave a finite loss".to_owned()));
    };
    let (mut filled, mut moves) = (Vec::new(), Vec::new());
    for (row, scaled) in split.train.iter().zip(&rows) {
        if let Some(adverse) = row.outcome.and_then(|outcome| outcome.adverse_ticks) {
            filled.push(*scaled);
            moves.push(adverse);
        }
    }
    let (adverse, adverse_intercept) = ridge(&filled, &moves);
    let signal = |(index, name): (usize, &&str)| Signal {
        name: (*name).to_owned(),
        low: scaler.low[index],
        high: scaler.high[index],
        mean: scaler.mean[index],
        scale: scaler.scale[index],
        fill: fill[index],
        adverse: adverse[index],
    };
    Ok(TrainedFills {
        format: FORMAT,
        rows: rows.len() as u64,
        fill_intercept,
        adverse_intercept,
        signals: NAMES.iter().enumerate().map(signal).collect(),
        ..about.clone()
    })
}

fn chance(weights: &[f64], intercept: f64, signals: &[f64; SIGNALS]) -> f64 {
    let logit = weights.iter().zip(signals).fold(intercept, |sum, (weight, signal)| sum + weight * signal);
    1.0 / (1.0 + (-logit).exp())
}

/// The AUC on the test rows of a model that was fitted to labels that say nothing: those of all rows, shuffled. It is one
/// half but for chance, or something in the machinery leaks.
///
/// # Errors
/// As [`fit`].
pub fn permuted(split: &Split<'_>, seed: u64) -> Result<Option<f64>, FitError> {
    let mut labels: Vec<bool> = split.train.iter().chain(&split.test).map(|row| is_filled(row)).collect();
    labels.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let scaler = Scaler::of(&split.train);
    let rows: Vec<[f64; SIGNALS]> = split.train.iter().map(|row| scaler.scaled(row)).collect();
    let (of_train, of_test) = labels.split_at(split.train.len());
    let (weights, intercept) = logistic(&rows, of_train, PENALTIES[1] * rows.len() as f64)?;
    let said: Vec<(f64, bool)> = split
        .test
        .iter()
        .zip(of_test)
        .map(|(row, label)| (chance(&weights, intercept, &scaler.scaled(row)), *label))
        .collect();
    Ok(auc(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_signals_the_intercept_is_the_logit_of_the_share() {
        // quant.md 8: a share of .25 gives -1.098612.
        let rows = vec![[0.0; SIGNALS]; 400];
        for fills in [100, 300] {
            let labels: Vec<bool> = (0..400).map(|at| at < fills).collect();
            let (weights, intercept) = logistic(&rows, &labels, 1.0).unwrap();
            let want = (fills as f64 / (400 - fills) as f64).ln();
            assert!((intercept - want).abs() < 1e-5, "{intercept} and not {want}");
            assert!(weights.iter().all(|weight| weight.abs() < 1e-9));
        }
    }

    #[test]
    fn separable_rows_stay_finite_and_lean_the_right_way() {
        let mut rows = vec![[0.0; SIGNALS]; 300];
        rows.iter_mut().enumerate().for_each(|(at, row)| row[0] = at as f64 / 150.0 - 1.0);
        let labels: Vec<bool> = (0..300).map(|at| at < 100).collect();
        let (weights, intercept) = logistic(&rows, &labels, 0.3).unwrap();
        assert!(weights[0] < -1.0 && weights[0].is_finite() && intercept.is_finite(), "{weights:?}");
    }

    #[test]
    fn the_ridge_finds_the_plane_that_its_moves_lie_on() {
        let mut rows = vec![[0.0; SIGNALS]; 500];
        let mut state = 7_u64;
        for row in &mut rows {
            for value in row.iter_mut() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *value = (state >> 40) as f64 / (1_u64 << 24) as f64 * 3.46 - 1.73;
            }
        }
        let moves: Vec<f64> = rows.iter().map(|row| 3.0 + 2.0 * row[1] - row[18]).collect();
        let (weights, intercept) = ridge(&rows, &moves);
        assert!((intercept - 3.0).abs() < 0.01, "{intercept}");
        for (index, weight) in weights.into_iter().enumerate() {
            let want = [(1, 2.0), (18, -1.0)].iter().find(|(at, _)| *at == index).map_or(0.0, |(_, want)| *want);
            assert!((weight - want).abs() < 0.01, "{index}: {weight}");
        }
    }
}
