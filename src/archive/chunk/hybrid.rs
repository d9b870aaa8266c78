//! Parquet's RLE/bit-packed hybrid: definition levels and dictionary numbers.
//!
//! Source: Encodings.md of the Parquet format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".

use super::Runs;

/// Bits that numbers below `count` need.
pub(super) fn width_for(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Appends the values of runs, each of at most `width` bits.
pub(super) fn encode<T: Copy + Eq + Into<u32>>(runs: &Runs<T>, width: u32, out: &mut Vec<u8>) {
    // Whole groups of eight that have no long run, waiting to become one bit-packed run.
    let mut literals = Vec::new();
    for (value, mut times) in runs.iter() {
        let open = (8 - literals.len() % 8) % 8;
        let filling = open.min(times);
        literals.resize(literals.len() + filling, value);
        times -= filling;
        if times >= 8 {
            pack(&literals, width, out);
            literals.clear();
            varint((times as u64) << 1, out);
            out.extend_from_slice(&value.into().to_le_bytes()[..width.div_ceil(8) as usize]);
        } else {
            literals.resize(literals.len() + times, value);
        }
    }
    pack(&literals, width, out);
}

/// Appends values that hardly ever repeat, each of at most `width` bits.
pub(super) fn encode_each(values: &[u32], width: u32, out: &mut Vec<u8>) {
    pack(values, width, out);
}

/// Appends one bit-packed run; the last group of eight is filled up with zeros.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint(((groups as u64) << 1) | 1, out);
    let end = out.len() + groups * width as usize;
    let (mut word, mut bits) = (0_u64, 0);
    for &value in values {
        word |= u64::from(value.into()) << bits;
        bits += width;
        // Widths are 32 at most, so half a word is always free for the next value.
        if bits >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&word.to_le_bytes());
    out.resize(end, 0);
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
        encode_each(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        encode(&[true; 100].into_iter().collect(), 1, &mut out);
        assert_eq!(out, [0b1100_1000, 1, 1]);
        // Three of one kind, then twenty of another: the first eight are packed, the rest is a run.
        out.clear();
        encode(&[[true; 3].as_slice(), &[false; 20]].concat().into_iter().collect(), 1, &mut out);
        assert_eq!(out, [0b11, 0b0000_0111, 15 << 1, 0]);
    }

    #[test]
    fn a_number_below_one_needs_no_bit() {
        assert_eq!([1, 2, 3, 4, 5, 256, 257].map(width_for), [0, 1, 2, 2, 3, 8, 9]);
    }
}
