//! Races of a queue with closed answers: a price that must reach a level, two queues that only shrink.
//!
//! Owns the closed forms; the Monte-Carlo of them through the queue rules is in the tests and in
//! [`super::cst`]. Called by `touchline model check` and tests.

use crate::stats::normal::cdf;

/// The probability that a Brownian mid falls by `distance` within `horizon`: `2 Phi(-d / (sigma sqrt T))`.
pub fn first_passage(distance: f64, sigma: f64, horizon: f64) -> f64 {
    2.0 * cdf(-distance / (sigma * horizon.sqrt()))
}

/// The probability that the order at `place` (1 is the head) of a queue fills before `opposite` units on the other
/// side are gone, when both queues lose one unit at the same rate and nothing arrives.
pub fn pure_death(place: usize, opposite: usize) -> f64 {
    // The row of a filled order; each further place is the mean of "we moved" and "they moved".
    let mut row = vec![1.0; opposite + 1];
    for _ in 0..place {
        row[0] = 0.0;
        for left in 1..=opposite {
            row[left] = 0.5 * (row[left] + row[left - 1]);
        }
    }
    row[opposite]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_passage_of_a_brownian_mid_has_its_closed_form() {
        assert!((first_passage(1.0, 0.3, 10.0) - 0.291_841).abs() < 6e-7);
    }

    #[test]
    fn pure_death_races_have_binary_fractions() {
        let want = [(1, 1, 0.5), (1, 2, 0.75), (1, 3, 0.875), (2, 1, 0.25), (2, 2, 0.5), (2, 3, 0.6875)];
        for (place, opposite, p) in want {
            assert_eq!(pure_death(place, opposite), p, "{place} {opposite}");
        }
    }
}
