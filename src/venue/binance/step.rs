//! Exact division by an instrument's step.

/// Division by a step that must leave nothing.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The step's odd part times this is one, modulo 2^64.
    inverse: u64,
    /// The step's factors of two.
    twos: u32,
    most: u64,
}

impl Step {
    /// `step` must be above zero.
    pub(super) fn new(step: u64) -> Step {
        let twos = step.trailing_zeros();
        let odd = step >> twos;
        // Newton's iteration: an odd number is its own inverse modulo 8, and each round doubles the bits that are right.
        let inverse =
            (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Step { inverse, twos, most: u64::MAX / step }
    }

    /// The same step for values that each stand for `factor` times as much.
    pub(super) fn of(self, factor: u64) -> Step {
        Step { inverse: self.inverse.wrapping_mul(factor), ..self }
    }

    /// How many steps make up `value`, and whether exactly; nonsense when not. A value that its factor lifts beyond 64
    /// bits is the caller's to refuse.
    #[inline(always)]
    pub(super) fn guess(self, value: u64) -> (u64, bool) {
        let count = value.wrapping_mul(self.inverse).rotate_right(self.twos);
        (count, count <= self.most)
    }

    /// How many steps make up `value`; `None` when not a whole number.
    ///
    /// Multiplying by the inverse divides exactly what is divisible and throws everything else beyond the greatest
    /// quotient (Granlund and Montgomery 1994, section 9).
    #[inline(always)]
    pub(super) fn count(self, value: u64) -> Option<i64> {
        let (count, is_exact) = self.guess(value);
        if is_exact { i64::try_from(count).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_divides_exactly_or_not_at_all() {
        let greatest = i64::MAX as u64;
        for step in [1, 2, 3, 5, 8, 25, 1_000, 12_500_000, 1_000_000, 100_000_000, 7 << 40, greatest] {
            let exact = Step::new(step);
            let edges = [greatest, greatest - 1, greatest / step * step];
            for value in (0..2_000).map(|n| n * 997).chain((0..50).map(|n| n * (greatest / 50))).chain(edges) {
                let want = (value % step == 0).then_some((value / step) as i64);
                assert_eq!(exact.count(value), want, "{value} by {step}");
            }
        }
    }
}
