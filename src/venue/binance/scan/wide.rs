//! Levels 32 bytes at a time, where the processor has AVX2.
//!
//! What makes a level slow is not its digits but that the next one can only begin where it ends: a search for that end
//! waits for the one before. So the ends are guessed from the shape of the latest level and only then held against the
//! text, which the processor does meanwhile; the two numbers are made of their digits together. Whatever does not fit
//! the guess is left where it stands, for the way that reads any level.
#![allow(unsafe_code)]

use super::levels::{Shape, Steps};
use super::text::Text;
use crate::types::Level;

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
    pub(super) fn read(self, _: &mut Text<'_>, _: &Steps, _: Shape, _: &mut Vec<Level>) -> bool {
        match self {}
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Level, Shape, Steps, Text};
    use crate::types::{DEPTH_LEVELS_MAX, Price, Qty};

    /// The most digits on either side of a point.
    const DIGITS: usize = 8;
    /// The most bytes of a number: those of one half of a register.
    const LANE: usize = 16;
    /// Bytes that are looked at from the start of a level on: two numbers, what stands between them and the start of
    /// the next level.
    const WINDOW: usize = 48;

    /// For each count of digits before and behind the point: which byte of a number goes where, so that eight digits
    /// before it end, and eight behind it begin, in the middle of 16. The highest bit makes a zero.
    static PLACES: [[u8; LANE]; (DIGITS + 1) * (DIGITS + 1)] = {
        let mut table = [[0x80; LANE]; (DIGITS + 1) * (DIGITS + 1)];
        let mut row = 0;
        while row < table.len() {
            let (whole, places) = (row / (DIGITS + 1), row % (DIGITS + 1));
            let mut at = 0;
            while at < DIGITS {
                if at + whole >= DIGITS {
                    table[row][at] = (at + whole - DIGITS) as u8;
                }
                if at < places && whole + 1 + at < LANE {
                    table[row][DIGITS + at] = (whole + 1 + at) as u8;
                }
                at += 1;
            }
            row += 1;
        }
        table
    };

    /// Proof that the processor has AVX2.
    #[derive(Clone, Copy)]
    pub struct Wide(());

    impl Wide {
        /// The proof, where it can be given.
        pub fn detect() -> Option<Wide> {
            std::arch::is_x86_feature_detected!("avx2").then_some(Wide(()))
        }

        /// Reads as many levels as are written in that shape, up to the first that is not, or to the end of the array
        /// and its bracket: true then.
        #[inline(always)]
        pub fn read(self, text: &mut Text<'_>, steps: &Steps, shape: Shape, levels: &mut Vec<Level>) -> bool {
            let mut ended = false;
            // SAFETY: a `Wide` is made only by `detect`, which has seen AVX2.
            unsafe { read(text, steps, shape, levels, &mut ended) };
            ended
        }
    }

    /// See [`Wide::read`]; `None` is no failure but where it stops.
    #[target_feature(enable = "avx2")]
    fn read(text: &mut Text<'_>, steps: &Steps, shape: Shape, levels: &mut Vec<Level>, ended: &mut bool) -> Option<()> {
        let (bytes, mut start) = (text.bytes, text.at);
        let Shape { whole, places, qty_places } = shape;
        if !(1..=DIGITS).contains(&whole) || !(1..=DIGITS).contains(&places) || whole + 1 + places > LANE {
            return None;
        }
        let price_places = lane(&PLACES[whole * (DIGITS + 1) + places]);
        // Where a price begins, where its quote is and where the quantity begins, seen from the level's bracket.
        let (price_at, price_end) = (2, 2 + whole + 1 + places);
        let qty_at = price_end + 3;
        if bytes.get(start..start + 2)? != b"[\"" {
            return None;
        }
        loop {
            let window: &[u8; WINDOW] = bytes.get(start..)?.first_chunk()?;
            let between = u32::from_le_bytes(*window.get(price_end..)?.first_chunk()?);
            if window[price_at + whole] != b'.' || between & 0x00FF_FFFF != u32::from_le_bytes(*b"\",\"\0") {
                return None;
            }
            let mut qty_whole = 1;
            let qty_places = loop {
                match window[qty_at + qty_whole] {
                    b'.' => break qty_places,
                    b'"' => break 0,
                    _ if qty_whole == DIGITS => return None,
                    _ => qty_whole += 1,
                }
            };
            let qty_len = qty_whole + usize::from(qty_places > 0) + qty_places;
            if qty_len > LANE {
                return None;
            }
            let end = qty_at + qty_len;
            let behind = u64::from_le_bytes(*window.get(end..)?.first_chunk()?);
            let goes_on = behind & 0xFF_FFFF_FFFF == u64::from_le_bytes(*b"\"],[\"\0\0\0");
            if !goes_on && behind & 0xFF_FFFF != u64::from_le_bytes(*b"\"]]\0\0\0\0\0") {
                return None;
            }
            let price_text = lane(window.get(price_at..)?.first_chunk()?);
            let qty_text = lane(window.get(qty_at..)?.first_chunk()?);
            let places = lane(&PLACES[qty_whole * (DIGITS + 1) + qty_places]);
            let [price, qty] = numbers(_mm256_set_m128i(qty_text, price_text), _mm256_set_m128i(places, price_places))?;
            if levels.len() == DEPTH_LEVELS_MAX {
                return None;
            }
            levels.push(Level {
                price: Price::from_ticks(steps.tick.count(price)?),
                qty: Qty::from_lots(steps.lot.count(qty)?),
            });
            start += end + 3;
            text.at = start;
            if !goes_on {
                *ended = true;
                return None;
            }
        }
    }

    /// Sixteen bytes as half a register.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lane(bytes: &[u8; LANE]) -> __m128i {
        bytemuck::cast(*bytes)
    }

    /// Two decimals in units of 1e-8, from their texts and the places of their digits; `None` when one of those is no digit.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn numbers(texts: __m256i, places: __m256i) -> Option<[u64; 2]> {
        let digits = _mm256_shuffle_epi8(_mm256_sub_epi8(texts, _mm256_set1_epi8(b'0' as i8)), places);
        let beyond_nine = _mm256_subs_epu8(digits, _mm256_set1_epi8(9));
        if _mm256_testz_si256(beyond_nine, beyond_nine) == 0 {
            return None;
        }
        // Ones and tens to numbers below a hundred, those to numbers below 10^4, those to numbers below 10^8.
        let hundreds = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(i16::from_le_bytes([10, 1])));
        let myriads = _mm256_madd_epi16(hundreds, _mm256_set1_epi32(100 + (1 << 16)));
        let packed = _mm256_packus_epi32(myriads, myriads);
        let halves = _mm256_madd_epi16(packed, _mm256_set1_epi32(10_000 + (1 << 16)));
        let lanes = [_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves)];
        Some(lanes.map(|lane| {
            let [whole, fraction, ..]: [u32; 4] = bytemuck::cast(lane);
            u64::from(whole) * 100_000_000 + u64::from(fraction)
        }))
    }
}
