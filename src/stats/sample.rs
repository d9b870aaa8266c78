//! Values of a sample by their rank.

/// The value of a sorted sample below which a share of the others lies, 0 to 1: that of the nearest rank, so it is one of
/// the sample's own.
///
/// # Panics
/// When the sample is empty.
pub fn at_share(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_names_a_value_of_the_sample() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        for share in [0.0, 0.05, 0.5, 1.0] {
            assert_eq!(at_share(&sorted, share), share * 100.0);
        }
        assert_eq!((at_share(&[7.0], 0.975), at_share(&[1.0, 2.0], 0.4)), (7.0, 1.0));
    }
}
