//! Parquet's DELTA_BINARY_PACKED for 64-bit numbers: times and ids, which mostly stand still or step a little.
//!
//! Source: Encodings.md of the Parquet format, "Delta Encoding (DELTA_BINARY_PACKED = 5)".

use super::hybrid::varint;

/// Values of a block, and of each of its four miniblocks.
const BLOCK: usize = 256;
const MINIBLOCK: usize = 64;

/// Appends the values with their header.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / MINIBLOCK) as u64, out);
    varint(values.len() as u64, out);
    let Some((&first, rest)) = values.split_first() else {
        varint(0, out);
        return;
    };
    zigzag(first, out);
    let mut deltas = [0_i64; BLOCK];
    let mut last = first;
    for block in rest.chunks(BLOCK) {
        // Differences wrap, as the format says: a decoder's additions wrap back.
        deltas[0] = block[0].wrapping_sub(last);
        for (delta, pair) in deltas[1..].iter_mut().zip(block.windows(2)) {
            *delta = pair[1].wrapping_sub(pair[0]);
        }
        last = block[block.len() - 1];
        write_block(&mut deltas, block.len(), out);
    }
}

fn write_block(deltas: &mut [i64; BLOCK], len: usize, out: &mut Vec<u8>) {
    let least = deltas[..len].iter().copied().min().unwrap_or(0);
    zigzag(least, out);
    for delta in &mut deltas[..len] {
        *delta = delta.wrapping_sub(least);
    }
    deltas[len..].fill(0);
    let widths = out.len();
    out.extend_from_slice(&[0; BLOCK / MINIBLOCK]);
    for (index, miniblock) in deltas.chunks_exact(MINIBLOCK).enumerate().take(len.div_ceil(MINIBLOCK)) {
        let all = miniblock.iter().fold(0_u64, |all, &delta| all | delta as u64);
        let width = u64::BITS - all.leading_zeros();
        out[widths + index] = width as u8;
        if width > 0 {
            pack(miniblock, width, out);
        }
    }
}

/// Appends the low `width` bits of each value, the first in the lowest bits.
fn pack(values: &[i64], width: u32, out: &mut Vec<u8>) {
    let (mut word, mut bits) = (0_u64, 0_u32);
    for &value in values {
        let value = value as u64;
        word |= value << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            bits -= 64;
            // What of the value did not fit; nothing when it ended on the word.
            word = if bits == 0 { 0 } else { value >> (width - bits) };
        }
    }
    // 64 values fill whole words, whatever their width.
    debug_assert_eq!(bits, 0);
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)) as u64, out);
}
