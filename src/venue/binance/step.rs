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

    /// What counts of steps are read off: [`Self::counted`] is how many make up `value`, if [`Self::are_counts`] says yes.
    ///
    /// Multiplying by the inverse divides exactly what is divisible and throws everything else beyond the greatest
    /// quotient (Granlund and Montgomery 1994, section 9). A value that its factor lifts beyond 64 bits is the caller's to
    /// refuse.
    #[inline(always)]
    pub(super) fn product(self, value: u64) -> u64 {
        value.wrapping_mul(self.inverse)
    }

    /// The count that a product stands for.
    #[inline(always)]
    pub(super) fn counted(self, product: u64) -> u64 {
        // Never 64; a processor that is told so has one instruction for it.
        product >> (self.twos % 64)
    }

    /// Whether a product, or each of several whose bits are joined, is one of whole steps. Bits below the factors of two
    /// come to stand at the top.
    #[inline(always)]
    pub(super) fn are_counts(self, products: u64) -> bool {
        products.rotate_right(self.twos) <= self.most
    }

    /// The number that products are made with, and the places by which counts stand below them.
    pub(super) fn inverse_and_twos(self) -> [u64; 2] {
        [self.inverse, u64::from(self.twos)]
    }

    /// How many steps make up `value`; `None` when not a whole number.
    #[inline(always)]
    pub(super) fn count(self, value: u64) -> Option<i64> {
        let count = self.product(value).rotate_right(self.twos);
        if count <= self.most { i64::try_from(count).ok() } else { None }
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
            // Joined bits tell of all: counts that have different ones are all right, and one that is none shows.
            let most = greatest / step;
            let joined = [most, most / 2, most / 3, 0].map(|count| exact.product(count * step)).into_iter();
            let joined = joined.fold(0, |joined, product| joined | product);
            assert!(exact.are_counts(joined), "{step}");
            assert!(step == 1 || !exact.are_counts(joined | exact.product(step + 1)), "{step}");
        }
    }
}
