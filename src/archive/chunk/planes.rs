//! Parquet's BYTE_STREAM_SPLIT for 8-byte values: all first bytes, then all second bytes, and so on.
//!
//! Prices and sizes share their high bytes, which as planes of their own cost a compressor next to nothing. Source:
//! Encodings.md of the Parquet format, "Byte Stream Split (BYTE_STREAM_SPLIT = 9)".

/// Appends the planes of the values, each times `step`.
pub(super) fn encode(values: &[u64], step: u64, out: &mut Vec<u8>) {
    let (start, len) = (out.len(), values.len());
    out.resize(start + len * 8, 0);
    let planes = &mut out[start..];
    let (blocks, rest) = values.as_chunks::<8>();
    // Planes beyond the highest bit are the zeros that are there already.
    let bits = values.iter().fold(0, |bits, &value| bits | value.wrapping_mul(step));
    let used = (u64::BITS - bits.leading_zeros()).div_ceil(8) as usize;
    for (at, block) in blocks.iter().enumerate() {
        let words = transpose(block.map(|value| value.wrapping_mul(step)));
        for (plane, word) in words.into_iter().enumerate().take(used) {
            let place = plane * len + at * 8;
            planes[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
    }
    let done = blocks.len() * 8;
    for (at, value) in rest.iter().enumerate() {
        for (plane, byte) in value.wrapping_mul(step).to_le_bytes().into_iter().enumerate() {
            planes[plane * len + done + at] = byte;
        }
    }
}

/// Transposes eight rows of eight bytes: word `i` of the answer holds byte `i` of every row.
fn transpose(mut rows: [u64; 8]) -> [u64; 8] {
    // Swaps ever smaller squares across the diagonal: 4, 2 and 1 bytes wide.
    for (distance, shift, mask) in
        [(4, 32, 0x0000_0000_FFFF_FFFF_u64), (2, 16, 0x0000_FFFF_0000_FFFF), (1, 8, 0x00FF_00FF_00FF_00FF)]
    {
        for index in (0..8).filter(|index| index & distance == 0) {
            let (low, high) = (rows[index], rows[index + distance]);
            rows[index] = (low & mask) | ((high & mask) << shift);
            rows[index + distance] = ((low >> shift) & mask) | (high & !mask);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_lies_in_its_plane() {
        for len in [0_usize, 1, 7, 8, 9, 40, 41] {
            let values: Vec<u64> = (0..len as u64).map(|i| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
            let mut out = vec![7];
            encode(&values, 3, &mut out);
            assert_eq!(out.len(), 1 + len * 8);
            for (at, value) in values.iter().enumerate() {
                for (plane, byte) in value.wrapping_mul(3).to_le_bytes().into_iter().enumerate() {
                    assert_eq!(out[1 + plane * len + at], byte, "{len} values, value {at}, plane {plane}");
                }
            }
        }
    }
}
