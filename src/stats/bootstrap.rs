//! Block bootstrap: intervals for statistics of samples that hang together in time.
//!
//! Owns the resampling and the estimates that are made with it. Called by the KPIs, by sweeps and by acceptance tests.
//! Randomness is a seeded ChaCha stream: the same samples and seed give the same digits. Sources: Politis and Romano
//! (1994) for the stationary scheme, Kuensch (1989) for moving blocks (here circular).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::sample::at_share;

/// How long a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Lengths are geometric around a mean.
    Stationary,
    /// All blocks have the same length.
    Moving,
}

/// A resampling scheme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// The scheme.
    pub blocks: Blocks,
    /// Samples in a block, on average.
    pub block: usize,
    /// Resamples.
    pub resamples: usize,
    /// Seed of the stream.
    pub seed: u64,
}

/// Resamples when nothing else is said.
pub const RESAMPLES: usize = 2000;
/// Blocks below which an interval would only look like one.
pub const BLOCKS_MIN: usize = 8;
/// The seed when nothing else is said: any fixed one would do.
const SEED: u64 = 0x746f_7563_686c_696e;

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The statistic of the sample itself.
    pub value: f64,
    /// Its standard error, by the bootstrap.
    pub error: f64,
    /// Lower end of the 95 % interval, by percentiles.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval leaves nought out.
    pub fn is_significant(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

impl Bootstrap {
    /// The stationary scheme with [`RESAMPLES`] and the fixed seed.
    pub fn stationary(block: usize) -> Bootstrap {
        Bootstrap { blocks: Blocks::Stationary, block: block.max(1), resamples: RESAMPLES, seed: SEED }
    }

    /// Circular moving blocks with [`RESAMPLES`] and the fixed seed.
    pub fn moving(block: usize) -> Bootstrap {
        Bootstrap { blocks: Blocks::Moving, ..Bootstrap::stationary(block) }
    }

    /// Whether `count` samples hold enough blocks for an interval.
    pub fn suffices(&self, count: usize) -> bool {
        count / self.block >= BLOCKS_MIN
    }

    /// The statistic over each resample, which is given as indices into the sample. Resamples for which it answers
    /// `None` are left out.
    pub fn resample(&self, count: usize, mut statistic: impl FnMut(&[usize]) -> Option<f64>) -> Vec<f64> {
        if count == 0 {
            return Vec::new();
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (mut indices, mut values) = (Vec::with_capacity(count), Vec::with_capacity(self.resamples));
        for _ in 0..self.resamples {
            indices.clear();
            while indices.len() < count {
                let start = rng.random_range(0..count);
                let length = match self.blocks {
                    Blocks::Moving => self.block,
                    Blocks::Stationary => geometric(&mut rng, self.block),
                };
                let length = length.min(count - indices.len());
                indices.extend((start..start + length).map(|index| if index < count { index } else { index - count }));
            }
            values.extend(statistic(&indices));
        }
        values
    }

    /// A statistic of the sample with its interval; `None` when the sample has no value, or too few blocks.
    pub fn estimate(&self, count: usize, mut statistic: impl FnMut(&[usize]) -> Option<f64>) -> Option<Estimate> {
        if !self.suffices(count) {
            return None;
        }
        let whole: Vec<usize> = (0..count).collect();
        let value = statistic(&whole)?;
        let mut values = self.resample(count, statistic);
        let spread = super::sharpe::moments(&values)?.deviation;
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (at_share(&values, 0.025), at_share(&values, 0.975));
        Some(Estimate { value, error: spread, low, high })
    }

    /// Mean with its interval.
    pub fn mean(&self, samples: &[f64]) -> Option<Estimate> {
        let n = samples.len() as f64;
        self.estimate(samples.len(), |indices| Some(indices.iter().map(|&index| samples[index]).sum::<f64>() / n))
    }

    /// Ratio of two sums with its interval: for weighted means, and for rates over events that come in clusters.
    /// `None` when the slices differ in length or the lower sum is nought.
    pub fn ratio_of_sums(&self, over: &[f64], under: &[f64]) -> Option<Estimate> {
        if over.len() != under.len() {
            return None;
        }
        self.estimate(over.len(), |indices| {
            let (a, b) = indices.iter().fold((0.0, 0.0), |(a, b), &index| (a + over[index], b + under[index]));
            (b != 0.0).then(|| a / b)
        })
    }

    /// Mean of `a - b` for two strategies on the same tape: pairs stay together, so what both suffered cancels.
    pub fn paired_difference(&self, a: &[f64], b: &[f64]) -> Option<Estimate> {
        if a.len() != b.len() {
            return None;
        }
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        self.mean(&differences)
    }
}

/// A length with mean `mean`, at least 1: the trial that ends a block.
fn geometric(rng: &mut ChaCha8Rng, mean: usize) -> usize {
    if mean <= 1 {
        return 1;
    }
    let stays = 1.0 - 1.0 / mean as f64;
    let uniform: f64 = rng.random();
    1 + ((1.0 - uniform).ln() / stays.ln()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn independent_samples_have_the_textbook_error() {
        let samples = noise(2000, 1);
        for scheme in [Bootstrap::stationary(1), Bootstrap::moving(1)] {
            let estimate = scheme.mean(&samples).unwrap();
            let textbook = super::super::sharpe::moments(&samples).unwrap().deviation / 2000_f64.sqrt();
            // A standard deviation from 2000 resamples is good to 1.6 %.
            assert!((estimate.error / textbook - 1.0).abs() < 0.07, "{} {textbook}", estimate.error);
            assert!((estimate.high - estimate.low - 3.92 * textbook).abs() < 0.3 * textbook);
        }
    }

    #[test]
    fn blocks_see_what_single_draws_miss() {
        // AR(1) with 0.9: the mean's error is about sqrt((1 + 0.9) / (1 - 0.9)) = 4.36 times that of independent draws.
        let mut last = 0.0;
        let samples: Vec<f64> = noise(20_000, 2)
            .into_iter()
            .map(|x| {
                last = 0.9 * last + x;
                last
            })
            .collect();
        let error = |scheme: Bootstrap| Bootstrap { resamples: 300, ..scheme }.mean(&samples).unwrap().error;
        let single = error(Bootstrap::moving(1));
        for blocked in [error(Bootstrap::moving(200)), error(Bootstrap::stationary(200))] {
            assert!((blocked / single) > 3.5 && (blocked / single) < 5.0, "{}", blocked / single);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_digits_and_pairs_cancel() {
        let (a, shared) = (noise(500, 3), noise(500, 4));
        let scheme = Bootstrap::stationary(5);
        assert_eq!(scheme.mean(&a), scheme.mean(&a));
        assert_ne!(scheme.mean(&a), Bootstrap { seed: 9, ..scheme }.mean(&a));
        let with: Vec<f64> = shared.iter().map(|x| 10.0 * x + 0.1).collect();
        let without: Vec<f64> = shared.iter().map(|x| 10.0 * x).collect();
        let pair = scheme.paired_difference(&with, &without).unwrap();
        assert!(pair.is_significant() && (pair.value - 0.1).abs() < 1e-9, "{pair:?}");
        assert!(!scheme.mean(&with).unwrap().is_significant());
    }

    #[test]
    fn a_ratio_is_of_sums_and_not_a_mean_of_ratios() {
        let (over, under) = ([1.0, 9.0].repeat(20), [1.0, 3.0].repeat(20));
        let ratio = Bootstrap::moving(2).ratio_of_sums(&over, &under).unwrap();
        assert!((ratio.value - 2.5).abs() < 1e-12);
        assert_eq!(Bootstrap::moving(2).ratio_of_sums(&[0.0; 40], &[0.0; 40]), None);
    }

    #[test]
    fn too_few_blocks_make_no_interval() {
        assert_eq!(Bootstrap::moving(10).mean(&noise(79, 5)), None);
        assert!(Bootstrap::moving(10).mean(&noise(80, 5)).is_some());
        assert!(Bootstrap::stationary(3).resample(0, |_| Some(1.0)).is_empty());
    }

    #[test]
    fn stationary_blocks_have_their_mean_length() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let lengths: Vec<f64> = (0..100_000).map(|_| geometric(&mut rng, 10) as f64).collect();
        let moments = super::super::sharpe::moments(&lengths).unwrap();
        // Deviation of a geometric length is about 9.5: four standard errors are 0.12.
        assert!((moments.mean - 10.0).abs() < 0.12, "{}", moments.mean);
    }
}
