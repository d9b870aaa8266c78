//! The standard normal distribution.
//!
//! Owns distribution function, density and quantile. Called by the bulk classification of volume, by the Sharpe tests
//! and by reference simulations. Sources: `erfc` of libm (a port of FreeBSD's, below one unit in the last place);
//! the quantile starts from Abramowitz and Stegun 26.2.23 and is polished against that `erfc`.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Chance that a standard normal number is at most `x`.
pub fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// Density at `x`.
pub fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

/// The `x` with [`cdf`]`(x) = p`; `None` unless `0 < p < 1`.
pub fn quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    // The lower tail keeps its digits where the upper one rounds to 1.
    if p > 0.5 {
        return lower_quantile(1.0 - p).map(|x| -x);
    }
    lower_quantile(p)
}

fn lower_quantile(p: f64) -> Option<f64> {
    let t = (-2.0 * p.ln()).sqrt();
    let ratio =
        (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    let mut x = ratio - t;
    // The start is good to 4.5e-4 and a Halley step cubes the error: two are enough, the third costs nothing.
    for _ in 0..3 {
        let slope = density(x);
        if slope < f64::MIN_POSITIVE {
            break;
        }
        let newton = (cdf(x) - p) / slope;
        x -= newton / (1.0 + 0.5 * x * newton);
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_function_has_its_printed_digits() {
        for (x, want) in [(1.0, 0.841_345), (-0.5, 0.308_538), (0.0, 0.5), (2.0, 0.977_250)] {
            assert!((cdf(x) - want).abs() < 5e-7, "{x}: {}", cdf(x));
        }
        // Far out, where one minus the upper tail would be nought: 30-digit arithmetic gives these.
        assert!((cdf(-8.0) / 6.220_960_574_271_785e-16 - 1.0).abs() < 1e-12);
        assert!((cdf(-38.0) / 2.885_428e-316 - 1.0).abs() < 1e-4);
    }

    #[test]
    fn the_quantile_undoes_the_distribution_function() {
        for (p, want) in [(0.95, 1.644_853_626_951_472_7), (0.975, 1.959_963_984_540_054), (0.5, 0.0)] {
            assert!((quantile(p).unwrap() - want).abs() < 1e-14, "{p}");
        }
        for exponent in 1..300 {
            let p = 0.3 * 10_f64.powi(-exponent);
            let back = cdf(quantile(p).unwrap());
            assert!((back / p - 1.0).abs() < 1e-10, "{p}: {back}");
        }
        for p in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert_eq!(quantile(p), None);
        }
    }
}
