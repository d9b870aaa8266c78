//! How good probabilities are that were said before the outcome was known.
//!
//! Pure numbers over pairs of chance and outcome. Source: quant.md 8, reports.

use serde::Serialize;

/// Chances closer to certainty than this are taken for this in a logarithm: one miss must not be worth everything.
const CERTAIN: f64 = 1e-12;

/// The chance that a case which came true was given more than one that did not, equals counting half. `None` unless there
/// are cases of both kinds.
pub fn auc(cases: &[(f64, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = cases.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|case| case.1).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut won, mut below, mut at) = (0.0, 0.0, 0);
    while at < sorted.len() {
        let mut end = at;
        while end < sorted.len() && sorted[end].0 == sorted[at].0 {
            end += 1;
        }
        let tied_positives = sorted[at..end].iter().filter(|case| case.1).count() as f64;
        let tied_negatives = (end - at) as f64 - tied_positives;
        won += tied_positives * (below + tied_negatives / 2.0);
        below += tied_negatives;
        at = end;
    }
    Some(won / (positives * negatives))
}

/// Squared error of one chance.
pub fn brier(case: (f64, bool)) -> f64 {
    let miss = case.0 - f64::from(u8::from(case.1));
    miss * miss
}

/// Logarithmic loss of one chance.
pub fn log_loss(case: (f64, bool)) -> f64 {
    let chance = if case.1 { case.0 } else { 1.0 - case.0 };
    -chance.clamp(CERTAIN, 1.0).ln()
}

/// Mean of a loss; `None` without cases.
pub fn mean_of(cases: &[(f64, bool)], loss: fn((f64, bool)) -> f64) -> Option<f64> {
    (!cases.is_empty()).then(|| cases.iter().map(|case| loss(*case)).sum::<f64>() / cases.len() as f64)
}

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Mean chance said.
    pub said: f64,
    /// Share that came true.
    pub seen: f64,
    /// Cases.
    pub cases: usize,
}

/// The cases in `bins` bins of about equal size, by rising chance.
pub fn reliability(cases: &[(f64, bool)], bins: usize) -> Vec<ReliabilityBin> {
    let mut sorted: Vec<(f64, bool)> = cases.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let size = sorted.len().div_ceil(bins.max(1)).max(1);
    let bin = |part: &[(f64, bool)]| ReliabilityBin {
        said: part.iter().map(|case| case.0).sum::<f64>() / part.len() as f64,
        seen: part.iter().filter(|case| case.1).count() as f64 / part.len() as f64,
        cases: part.len(),
    };
    sorted.chunks(size).map(bin).collect()
}

/// Expected calibration error: the mean distance between said and seen, by the bins' sizes.
pub fn calibration_error(bins: &[ReliabilityBin]) -> f64 {
    let cases: usize = bins.iter().map(|bin| bin.cases).sum();
    bins.iter().map(|bin| (bin.said - bin.seen).abs() * bin.cases as f64).sum::<f64>() / cases.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_vectors_come_out() {
        let pairs = |chances: [f64; 4], outcomes: [u8; 4]| -> Vec<(f64, bool)> {
            chances.into_iter().zip(outcomes.map(|outcome| outcome == 1)).collect()
        };
        assert_eq!(auc(&pairs([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])), Some(0.75));
        let cases = pairs([0.1, 0.9, 0.8, 0.3], [0, 1, 1, 0]);
        assert!((mean_of(&cases, brier).unwrap() - 0.0375).abs() < 1e-12);
        let loss = -(0.9_f64.ln() * 2.0 + 0.8_f64.ln() + 0.7_f64.ln()) / 4.0;
        assert!((mean_of(&cases, log_loss).unwrap() - loss).abs() < 1e-12);
    }

    #[test]
    fn ties_count_half_and_one_kind_alone_has_no_auc() {
        assert_eq!(auc(&[(0.5, true), (0.5, false), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.2, false), (0.5, true), (0.5, false), (0.9, true)]), Some(0.875));
        assert_eq!(auc(&[(0.2, true), (0.4, true)]), None);
        assert_eq!(mean_of(&[], brier), None);
        assert!(log_loss((0.0, true)).is_finite());
    }

    #[test]
    fn bins_show_where_what_is_said_is_not_what_is_seen() {
        let cases: Vec<(f64, bool)> = (0..100).map(|at| (if at < 50 { 0.2 } else { 0.6 }, at % 5 == 0)).collect();
        let bins = reliability(&cases, 2);
        assert_eq!(bins.len(), 2);
        assert!((bins[0].said - 0.2).abs() < 1e-12 && bins[0].seen == 0.2 && bins[1].seen == 0.2);
        assert!((calibration_error(&bins) - 0.2).abs() < 1e-12);
    }
}
