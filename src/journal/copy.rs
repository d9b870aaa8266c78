//! Copies a record to its place and computes its checksum on the way, without a call between the two.
//!
//! The same sum as [`record_crc`](super::format::record_crc), which readers use: a test compares them.
#![allow(unsafe_code)]

use crate::wire::{UNIT_BYTES, Unit};

/// Copies all of a record but its first word, which holds commit word and checksum, and returns the checksum.
///
/// # Safety
/// `units` is not empty; `target` starts on a unit, may be written for as many units, and overlaps none of them.
#[inline]
pub(super) unsafe fn copy_with_crc(units: &[Unit], target: *mut u8, seed: u32, offset: u64) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        if units.len() >= LONG && std::arch::is_x86_feature_detected!("pclmulqdq") {
            // SAFETY: as the caller promises; the processor has the instructions.
            return unsafe { copy_long(units, target, seed, offset) };
        }
        // SAFETY: as the caller promises; the processor has the instruction.
        return unsafe { copy_sse42(units, target, seed, offset) };
    }
    // SAFETY: as the caller promises.
    unsafe { copy_plainly(units, target) };
    super::format::record_crc(seed, offset as usize, units)
}

/// # Safety
/// As [`copy_with_crc`].
unsafe fn copy_plainly(units: &[Unit], target: *mut u8) {
    let bytes = size_of_val(units) - 8;
    // SAFETY: both ranges are the record without its first word, and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(units.as_ptr().cast::<u8>().add(8), target.add(8), bytes) };
}

/// # Safety
/// As [`copy_with_crc`], and the processor has SSE 4.2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
unsafe fn copy_sse42(units: &[Unit], target: *mut u8, seed: u32, offset: u64) -> u32 {
    use std::arch::x86_64::_mm_crc32_u64 as add;
    // The register holds the complement of the sum, as the polynomial's convention has it.
    let mut sum = add(u64::from(!seed), offset);
    let Some((head, rest)) = units.split_first() else { return !(sum as u32) };
    let [_, words @ ..] = &head.0;
    // SAFETY: seven words after the first one: a length that the compiler knows, so this is no call.
    unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), target.cast::<u64>().add(1), words.len()) };
    for word in words {
        sum = add(sum, *word);
    }
    for (before, unit) in rest.iter().enumerate() {
        // SAFETY: a unit behind the first, and its place.
        unsafe { target.add((1 + before) * UNIT_BYTES).cast::<[u64; 8]>().write(unit.0) };
        for word in &unit.0 {
            sum = add(sum, *word);
        }
    }
    !(sum as u32)
}

/// From so many units on, three of them are summed side by side.
#[cfg(target_arch = "x86_64")]
const LONG: usize = 4;

/// A word's turn takes three cycles, and one can begin in each.
///
/// # Safety
/// As [`copy_with_crc`], and the processor has SSE 4.2 and PCLMULQDQ.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2,pclmulqdq")]
unsafe fn copy_long(units: &[Unit], target: *mut u8, seed: u32, offset: u64) -> u32 {
    use std::arch::x86_64::_mm_crc32_u64 as add;
    let (head, rest) = units.split_at(1 + (units.len() - 1) % 3);
    // SAFETY: a record's beginning, which is not empty, and its place.
    let mut sum = u64::from(!unsafe { copy_sse42(head, target, seed, offset) });
    for (at, three) in rest.as_chunks::<3>().0.iter().enumerate() {
        // SAFETY: three units behind the beginning, and their places.
        unsafe { target.add((head.len() + 3 * at) * UNIT_BYTES).cast::<[Unit; 3]>().write(*three) };
        let [first, second, third] = three;
        let mut sums = [sum, 0, 0];
        for word in 0..8 {
            sums[0] = add(sums[0], first.0[word]);
            sums[1] = add(sums[1], second.0[word]);
            sums[2] = add(sums[2], third.0[word]);
        }
        sum = add(0, times(sums[0], TWO_UNITS) ^ times(sums[1], ONE_UNIT)) ^ sums[2];
    }
    !(sum as u32)
}

/// What a sum is multiplied by to become the sum before so many zero bytes, a word of which the sum of the product adds
/// itself: x to the power of `8 bytes - 33`, modulo the polynomial of CRC-32C, bits reflected.
#[cfg(target_arch = "x86_64")]
const fn shift(bytes: u32) -> u64 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let (mut power, mut left) = (1_u32 << 31, 8 * bytes - 33);
    while left > 0 {
        power = power >> 1 ^ if power & 1 == 1 { POLYNOMIAL } else { 0 };
        left -= 1;
    }
    power as u64
}

#[cfg(target_arch = "x86_64")]
const ONE_UNIT: u64 = shift(UNIT_BYTES as u32);
#[cfg(target_arch = "x86_64")]
const TWO_UNITS: u64 = shift(2 * UNIT_BYTES as u32);

/// The product of two polynomials of 32 bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2,pclmulqdq")]
fn times(sum: u64, factor: u64) -> u64 {
    use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64};
    let product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(sum as i64), _mm_cvtsi64_si128(factor as i64), 0);
    _mm_cvtsi128_si64(product) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::format::record_crc;

    #[test]
    fn the_copy_is_the_record_and_its_sum_the_readers_sum() {
        for count in 1..40_usize {
            let units: Vec<Unit> = (0..count as u64)
                .map(|at| Unit(std::array::from_fn(|word| (at * 8 + word as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))))
                .collect();
            let mut target = vec![Unit::default(); count];
            let (seed, offset) = (0xDEAD_0000 + count as u32, 4096 + 64 * count as u64);
            // SAFETY: as many units, not empty, two allocations.
            let sum = unsafe { copy_with_crc(&units, target.as_mut_ptr().cast(), seed, offset) };
            assert_eq!(sum, record_crc(seed, offset as usize, &units), "{count} units");
            let (head, copied) = (target[0].0, bytemuck::cast_slice::<Unit, u64>(&target));
            assert_eq!((head[0], &copied[1..]), (0, &bytemuck::cast_slice::<Unit, u64>(&units)[1..]));
            // SAFETY: as above.
            unsafe { copy_plainly(&units, target.as_mut_ptr().cast()) };
            assert_eq!(
                &bytemuck::cast_slice::<Unit, u64>(&target)[1..],
                &bytemuck::cast_slice::<Unit, u64>(&units)[1..]
            );
        }
    }
}
