//! Two levels at a time, where the processor has AVX2: a level lies in a record as it lies on the wire.
#![allow(unsafe_code)]

use super::levels::{Entry, Seen};
use crate::types::Level;
use crate::venue::binance::step::Step;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Wide;

/// No processor of this kind has it.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(super) enum Wide {}

#[cfg(not(target_arch = "x86_64"))]
impl Wide {
    /// The ability, where it is there.
    pub(super) fn detect() -> Option<Wide> {
        None
    }

    /// Never called.
    pub(super) fn read(self, _: [&[Entry]; 2], _: [Step; 2], _: [&mut [Level]; 2]) -> Seen {
        match self {}
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Entry, Level, Seen, Step};

    /// Proof that the processor has AVX2.
    #[derive(Clone, Copy)]
    pub struct Wide(());

    impl Wide {
        /// The proof, where it can be given.
        pub fn detect() -> Option<Wide> {
            std::arch::is_x86_feature_detected!("avx2").then_some(Wide(()))
        }

        /// Writes the levels of both sides, each as long as its entries, and says what was seen of them.
        #[inline(always)]
        pub fn read(self, entries: [&[Entry]; 2], steps: [Step; 2], levels: [&mut [Level]; 2]) -> Seen {
            // SAFETY: a `Wide` is made only by `detect`, which has seen AVX2.
            unsafe { read(entries, steps, levels) }
        }
    }

    /// See [`Wide::read`].
    #[target_feature(enable = "avx2")]
    fn read(entries: [&[Entry]; 2], steps: [Step; 2], levels: [&mut [Level]; 2]) -> Seen {
        let [[price_inverse, price_twos], [qty_inverse, qty_twos]] =
            steps.map(|step| step.inverse_and_twos().map(|number| number as i64));
        let inverses = _mm256_set_epi64x(qty_inverse, price_inverse, qty_inverse, price_inverse);
        let twos = _mm256_set_epi64x(qty_twos, price_twos, qty_twos, price_twos);
        let (mut mantissas, mut products) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (entries, levels) in entries.into_iter().zip(levels) {
            let (pairs, single) = entries.as_chunks::<2>();
            let (level_pairs, single_level) = levels.as_chunks_mut::<2>();
            for (pair, levels) in pairs.iter().zip(level_pairs) {
                let these: __m256i = bytemuck::cast(*pair);
                let product = product(these, inverses);
                mantissas = _mm256_or_si256(mantissas, these);
                products = _mm256_or_si256(products, product);
                *levels = bytemuck::cast(_mm256_srlv_epi64(product, twos));
            }
            if let ([entry], [level]) = (single, single_level) {
                let these: __m256i = bytemuck::cast([*entry, Entry::default()]);
                let product = product(these, inverses);
                mantissas = _mm256_or_si256(mantissas, these);
                products = _mm256_or_si256(products, product);
                [*level, _] = bytemuck::cast(_mm256_srlv_epi64(product, twos));
            }
        }
        let joined = |both: __m256i| {
            let [price, qty, other_price, other_qty]: [u64; 4] = bytemuck::cast(both);
            [price | other_price, qty | other_qty]
        };
        Seen { mantissas: joined(mantissas), products: joined(products) }
    }

    /// Four products of 64 bits, of which only the low halves are wanted, made of products of 32.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn product(left: __m256i, right: __m256i) -> __m256i {
        let high = |number| _mm256_srli_epi64::<32>(number);
        let across = _mm256_add_epi64(_mm256_mul_epu32(high(left), right), _mm256_mul_epu32(left, high(right)));
        _mm256_add_epi64(_mm256_mul_epu32(left, right), _mm256_slli_epi64::<32>(across))
    }
}
