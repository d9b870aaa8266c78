//! Sums that do not drift.
//!
//! Owns [`ExactSum`]: a running sum kept in two floats, so that a value which is taken off again leaves nothing behind
//! that matters. Used where a window slides over floats. Sources: Knuth's two-sum, Dekker's product and split.

use serde::{Deserialize, Serialize};

/// A sum with about 32 decimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ExactSum {
    high: f64,
    low: f64,
}

impl ExactSum {
    /// Adds a value; a negative one is taken off.
    pub(super) fn add(&mut self, value: f64) {
        let (sum, error) = two_sum(self.high, value);
        let low = self.low + error;
        (self.high, self.low) = quick_two_sum(sum, low);
    }

    /// Adds `sign` times the square of a value, its rounding error included.
    pub(super) fn add_square(&mut self, value: f64, sign: f64) {
        let (square, error) = two_product(value, value);
        self.add(sign * square);
        self.add(sign * error);
    }

    /// The sum as one float.
    pub(super) fn value(self) -> f64 {
        self.high + self.low
    }

    /// `self - other² / count`, for a variance: the difference is taken before anything is rounded to one float.
    pub(super) fn minus_square_over(self, other: ExactSum, count: f64) -> f64 {
        let (square, error) = two_product(other.high, other.high);
        let error = error + 2.0 * other.high * other.low;
        // One step of long division: the quotient and what it leaves.
        let quotient = square / count;
        let (back, back_error) = two_product(quotient, count);
        let rest = ((square - back) - back_error + error) / count;
        let (difference, lost) = two_sum(self.high, -quotient);
        difference + (lost + (self.low - rest))
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

fn quick_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

/// Two halves of a float's digits.
fn split(value: f64) -> (f64, f64) {
    let scaled = 134_217_729.0 * value;
    let high = scaled - (scaled - value);
    (high, value - high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_off_leaves_nothing_behind(values in prop::collection::vec(-1e3_f64..1e3, 1..200)) {
            let (mut sum, mut squares) = (ExactSum::default(), ExactSum::default());
            for value in &values {
                sum.add(1e-9);
                squares.add_square(1e-9, 1.0);
                sum.add(*value);
                squares.add_square(*value, 1.0);
            }
            for value in &values {
                sum.add(-*value);
                squares.add_square(*value, -1.0);
            }
            let count = values.len() as f64;
            prop_assert!((sum.value() / (count * 1e-9) - 1.0).abs() < 1e-13, "{}", sum.value());
            prop_assert!((squares.value() / (count * 1e-18) - 1.0).abs() < 1e-6, "{}", squares.value());
        }
    }
}
