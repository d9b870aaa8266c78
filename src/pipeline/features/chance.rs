//! What VPIN shows when there is nothing to see.
//!
//! Owns [`Chance`], the value that flow without any direction gives on average, which is taken off the measured one.
//! Called by [`Vpin`](super::Vpin) at the close of a bucket. Formulas: quant.md 3.5 and 3.7.

use std::f64::consts::PI;

/// Trade counts for which the coin-flip value is tabulated; beyond, its asymptote is exact to 1e-4 of itself.
const TABLE: usize = 4097;

/// How the sides of flow without direction fall.
#[derive(Clone, Debug)]
pub enum Chance {
    /// Each trade is a coin flip: E|2 Bin(N, 1/2) - N| / N by N.
    CoinFlips(Vec<f64>),
    /// The bought share of each bar is uniform, as that of a normal price change is under bulk classification.
    UniformShares,
}

impl Chance {
    /// Coin flips, with their table.
    pub fn coin_flips() -> Chance {
        let mut table = vec![1.0; TABLE];
        // C(2m, m) / 4^m, which serves both N = 2m and N = 2m + 1.
        let mut central = 1.0;
        for half in 1..TABLE.div_ceil(2) {
            central *= (2 * half - 1) as f64 / (2 * half) as f64;
            table[2 * half] = central;
            if 2 * half + 1 < TABLE {
                table[2 * half + 1] = central;
            }
        }
        Chance::CoinFlips(table)
    }

    /// Mean absolute imbalance of `parts` equal parts without direction; a count that is no whole number is rounded.
    pub fn imbalance(&self, parts: f64) -> f64 {
        let count = parts.round().max(1.0);
        match self {
            Chance::CoinFlips(table) => {
                // The first factor of the asymptotic series makes it good to 1 / (32 N²) of itself.
                table.get(count as usize).copied().unwrap_or_else(|| (2.0 / (PI * count)).sqrt() * (1.0 - 0.25 / count))
            }
            // Exact for one bar (1/2), and for more the normal value with its first correction for the flat shape: two
            // bars have 1/3, for which this gives 0.3339.
            Chance::UniformShares if count < 1.5 => 0.5,
            Chance::UniformShares => (2.0 / (3.0 * PI * count)).sqrt() * (1.0 + 0.05 / count),
        }
    }
}

/// E|2 Bin(N, p) - N| / N: the VPIN of buckets of `trades` equal trades of which each is a buy with `bought_chance`.
/// With a one-sided informed share a, that chance is (1 + a) / 2.
pub fn expected_vpin(trades: u32, bought_chance: f64) -> f64 {
    let count = f64::from(trades);
    let (log_buy, log_sell) = (bought_chance.ln(), (1.0 - bought_chance).ln());
    let mut log_ways = 0.0;
    let mut expected = 0.0;
    for bought in 0..=trades {
        let k = f64::from(bought);
        // Nought times an infinite logarithm is nought here: a chance of zero to the power of zero is one.
        let part = |count: f64, log: f64| if count == 0.0 { 0.0 } else { count * log };
        let chance = (log_ways + part(k, log_buy) + part(count - k, log_sell)).exp();
        expected += chance * (2.0 * k - count).abs();
        log_ways += ((count - k) / (k + 1.0)).ln();
    }
    expected / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vpin_3_5_coin_flip_baseline_oracle() {
        let chance = Chance::coin_flips();
        for (trades, want) in [
            (10.0, 0.246_094),
            (20.0, 0.176_197),
            (25.0, 0.161_180),
            (50.0, 0.112_275),
            (100.0, 0.079_589),
            (200.0, 0.056_348),
            (1000.0, 0.025_225),
        ] {
            assert!((chance.imbalance(trades) - want).abs() < 5e-7, "{trades}: {}", chance.imbalance(trades));
        }
        assert_eq!(chance.imbalance(1.0), 1.0);
        // The asymptote takes over without a step.
        let (inside, outside) = (chance.imbalance(4096.0), chance.imbalance(4098.0));
        assert!((inside / outside - (4098.0_f64 / 4096.0).sqrt()).abs() < 1e-7, "{inside} {outside}");
    }

    #[test]
    fn vpin_3_7_persistence_oracle() {
        for (trades, informed, want) in [
            (50, 0.0, 0.112_275),
            (50, 0.1, 0.139_27),
            (50, 0.2, 0.209_43),
            (50, 0.3, 0.301_41),
            (50, 0.5, 0.500_00),
            (50, 0.8, 0.800_00),
            (200, 0.1, 0.104_95),
            (200, 0.2, 0.200_09),
            (200, 0.3, 0.300_00),
        ] {
            let ours = expected_vpin(trades, (1.0 + informed) / 2.0);
            assert!((ours - want).abs() < 6e-6, "N={trades} a={informed}: {ours}");
        }
        assert!((expected_vpin(50, 1.0) - 1.0).abs() < 1e-12);
    }

    /// The mean of |share of U1 + … + Un| for uniform numbers on -1 to 1: 1/2, 1/3, 13/48.
    #[test]
    fn the_baseline_of_uniform_shares_is_that_of_sums_of_uniforms() {
        let chance = Chance::UniformShares;
        assert_eq!(chance.imbalance(1.0), 0.5);
        assert!((chance.imbalance(2.0) - 1.0 / 3.0).abs() < 1e-3);
        assert!((chance.imbalance(3.0) - 13.0 / 48.0).abs() < 1e-3);
    }
}
