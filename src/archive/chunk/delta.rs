//! Parquet's DELTA_BINARY_PACKED for 64-bit numbers: times and ids, which mostly stand still or step a little.
//!
//! Source: Encodings.md of the Parquet format, "Delta Encoding (DELTA_BINARY_PACKED = 5)".

use super::Runs;
use super::hybrid::varint;

/// Values of a block, and of each of its four miniblocks.
const BLOCK: usize = 256;
const MINIBLOCK: usize = 64;

/// Appends the values of runs, with their header.
pub(super) fn encode(runs: &Runs<i64>, out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / MINIBLOCK) as u64, out);
    varint(runs.len() as u64, out);
    let Some(first) = runs.values().next() else {
        varint(0, out);
        return;
    };
    zigzag(first, out);
    let (mut block, mut last) = (Block::default(), first);
    // The first value is in the header: its run has one difference less.
    let mut skipped = 1;
    for (value, times) in runs.iter() {
        if skipped == 0 {
            // Differences wrap, as the format says: a decoder's additions wrap back.
            block.push(value.wrapping_sub(last), out);
            last = value;
        }
        block.stand_still(times - 1, out);
        skipped = 0;
    }
    block.write(out);
}

/// Differences of a block, of which most are zero: only the others are kept, with their places.
struct Block {
    len: usize,
    places: [u8; BLOCK],
    moves: [i64; BLOCK],
    moved: usize,
}

impl Default for Block {
    fn default() -> Self {
        Block { len: 0, places: [0; BLOCK], moves: [0; BLOCK], moved: 0 }
    }
}

impl Block {
    fn push(&mut self, delta: i64, out: &mut Vec<u8>) {
        self.places[self.moved] = self.len as u8;
        self.moves[self.moved] = delta;
        self.moved += 1;
        self.len += 1;
        if self.len == BLOCK {
            self.write(out);
        }
    }

    /// Adds differences of zero.
    fn stand_still(&mut self, mut times: usize, out: &mut Vec<u8>) {
        while times > 0 {
            let taken = times.min(BLOCK - self.len);
            self.len += taken;
            times -= taken;
            if self.len == BLOCK {
                self.write(out);
            }
        }
    }

    /// Writes what there is, and begins the next block.
    fn write(&mut self, out: &mut Vec<u8>) {
        let (len, moved) = (std::mem::take(&mut self.len), std::mem::take(&mut self.moved));
        if len == 0 {
            return;
        }
        let still = moved < len;
        let least = self.moves[..moved].iter().copied().chain(still.then_some(0)).min().unwrap_or(0);
        zigzag(least, out);
        // What is packed is the distance from the least, which for the zeros is nothing to pack while they are it.
        let mut distances = [0_u64; BLOCK];
        let filled = if still { 0_i64.wrapping_sub(least) as u64 } else { 0 };
        if filled != 0 {
            distances[..len].fill(filled);
        }
        for (&place, delta) in self.places.iter().zip(&self.moves[..moved]) {
            distances[usize::from(place)] = delta.wrapping_sub(least) as u64;
        }
        let widths = out.len();
        out.extend_from_slice(&[0; BLOCK / MINIBLOCK]);
        for (index, miniblock) in distances.as_chunks::<MINIBLOCK>().0.iter().enumerate().take(len.div_ceil(MINIBLOCK))
        {
            let width = u64::BITS - miniblock.iter().fold(0, |all, &distance| all | distance).leading_zeros();
            out[widths + index] = width as u8;
            pack(miniblock, width as usize, out);
        }
    }
}

/// Appends the low `width` bits of each value, the first in the lowest bits; values of zero cost next to nothing.
fn pack(values: &[u64; MINIBLOCK], width: usize, out: &mut Vec<u8>) {
    // 64 values fill whole words, whatever their width; the last one may reach beyond them with no bit of its own.
    let mut words = [0_u64; MINIBLOCK + 1];
    for (at, &value) in values.iter().enumerate() {
        if value != 0 {
            let (word, bit) = (at * width / 64, at * width % 64);
            words[word] |= value << bit;
            // A shift by the whole width is not defined: two halves are.
            words[word + 1] |= value >> 1 >> (63 - bit);
        }
    }
    out.extend_from_slice(bytemuck::cast_slice(&words[..width]));
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)) as u64, out);
}
