//! The mean of the worst: conditional value at risk.
//!
//! Called by the KPIs for inventory and for equity changes.

/// Mean of the greatest `percent` of 100 samples, `ceil(percent / 100 * N)` of them; `None` without samples or for a
/// percentage outside 1 to 100. The order of the samples is not kept.
pub fn upper_tail_mean(samples: &mut [f64], percent: usize) -> Option<f64> {
    if samples.is_empty() || !(1..=100).contains(&percent) {
        return None;
    }
    // In whole numbers: 0.05 * 140 is a little more than 7 in floating point.
    let worst = (samples.len() * percent).div_ceil(100);
    let first = samples.len() - worst;
    if first > 0 {
        samples.select_nth_unstable_by(first, f64::total_cmp);
    }
    // Summed in their order, so that the digits do not depend on how the samples came.
    samples[first..].sort_unstable_by(f64::total_cmp);
    Some(samples[first..].iter().sum::<f64>() / worst as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_five_of_a_hundred() {
        let mut samples: Vec<f64> = (1..=100).map(f64::from).collect();
        samples.reverse();
        assert_eq!(upper_tail_mean(&mut samples, 5), Some(98.0));
    }

    #[test]
    fn the_tail_is_rounded_up_and_never_empty() {
        let take = |n: u32| upper_tail_mean(&mut (1..=n).map(f64::from).collect::<Vec<_>>(), 5);
        // 7 of 140, exactly; 1 of 1 to 20; 2 of 21.
        assert_eq!(take(140), Some(137.0));
        assert_eq!(take(1), Some(1.0));
        assert_eq!(take(20), Some(20.0));
        assert_eq!(take(21), Some(20.5));
        assert_eq!(upper_tail_mean(&mut [], 5), None);
        assert_eq!(upper_tail_mean(&mut [1.0, 3.0], 100), Some(2.0));
    }
}
