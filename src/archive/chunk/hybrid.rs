//! Parquet's RLE/bit-packed hybrid: definition levels and dictionary numbers.
//!
//! Source: Encodings.md of the Parquet format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".

/// Bits that numbers below `count` need.
pub(super) fn width_for(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Appends `values`, each of at most `width` bits.
pub(super) fn encode<T: Copy + Eq + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    // Whole groups of eight that have no long run, waiting to become one bit-packed run.
    let mut literals = 0;
    let mut at = 0;
    while at < values.len() {
        let first = values[at];
        let run = values[at..].iter().take_while(|&&value| value == first).count();
        if run >= 8 {
            pack(&values[literals..at], width, out);
            varint((run as u64) << 1, out);
            out.extend_from_slice(&first.into().to_le_bytes()[..width.div_ceil(8) as usize]);
            at += run;
            literals = at;
        } else {
            at = (at + 8).min(values.len());
        }
    }
    pack(&values[literals..], width, out);
}

/// Appends one bit-packed run; the last group is filled up with zeros.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    varint(((values.len().div_ceil(8) as u64) << 1) | 1, out);
    for group in values.chunks(8) {
        let (mut word, mut bits) = (0_u64, 0);
        for index in 0..8 {
            word |= u64::from(group.get(index).map_or(0, |&value| value.into())) << bits;
            bits += width;
            while bits >= 8 {
                out.push(word as u8);
                word >>= 8;
                bits -= 8;
            }
        }
    }
}

/// Appends an unsigned LEB128 number.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_groups_are_as_the_format_draws_them() {
        // The format's own example: 0 to 7 in three bits is the bytes 10001000 11000110 11111010.
        let mut out = Vec::new();
        encode(&[0_u32, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        encode(&[1_u8; 100], 1, &mut out);
        assert_eq!(out, [0b1100_1000, 1, 1]);
    }

    #[test]
    fn a_number_below_one_needs_no_bit() {
        assert_eq!([1, 2, 3, 4, 5, 256, 257].map(width_for), [0, 1, 2, 2, 3, 8, 9]);
    }
}
