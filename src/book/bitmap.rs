//! A set of slots that finds its next member in at most five word reads.
//!
//! Three levels of 64-bit words: a bit of a higher level says that the word below it is not zero.

/// Slots of a set: 64 words of 64 summary bits would be 2^18; a quarter of that is what a window needs.
pub(super) const SLOTS: usize = 1 << 16;

const WORDS: usize = SLOTS / 64;
const SUMMARIES: usize = WORDS / 64;

/// The set.
#[derive(Clone, Debug)]
pub(super) struct Bitmap {
    words: Box<[u64; WORDS]>,
    summaries: [u64; SUMMARIES],
    /// Bit `i` says that `summaries[i]` is not zero; only the low [`SUMMARIES`] bits are used.
    top: u64,
}

/// The bits above `bit`, none when it is the last.
const fn above(bit: usize) -> u64 {
    // Two shifts, because a shift by 64 is not defined.
    (u64::MAX << bit) << 1
}

impl Bitmap {
    pub(super) fn new() -> Bitmap {
        Bitmap { words: Box::new([0; WORDS]), summaries: [0; SUMMARIES], top: 0 }
    }

    /// Whether it has no member.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.top == 0
    }

    /// How many members it has.
    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Makes `slot` a member, or no member. Whether it was one does not decide a branch: in a book it is a coin's toss.
    #[inline]
    pub(super) fn put(&mut self, slot: usize, is_member: bool) {
        let (word, bit) = (slot / 64, slot % 64);
        let before = self.words[word];
        let after = (before & !(1 << bit)) | (u64::from(is_member) << bit);
        self.words[word] = after;
        if (before == 0) != (after == 0) {
            self.summarise(word);
        }
    }

    /// Brings the higher levels to what a word has become.
    fn summarise(&mut self, word: usize) {
        let (summary, bit) = (word / 64, word % 64);
        let words = &mut self.summaries[summary];
        *words = (*words & !(1 << bit)) | (u64::from(self.words[word] != 0) << bit);
        self.top = (self.top & !(1 << summary)) | (u64::from(*words != 0) << summary);
    }

    /// Which of the slots from `slot` to the end of its word are members: bit 0 is `slot` itself.
    #[inline]
    pub(super) fn word_from(&self, slot: usize) -> u64 {
        self.words[slot / 64] >> (slot % 64)
    }

    /// The first member at or after `slot`.
    #[inline]
    pub(super) fn next_from(&self, slot: usize) -> Option<usize> {
        let word = slot / 64;
        let here = self.words[word] & (u64::MAX << (slot % 64));
        if here != 0 {
            return Some(word * 64 + here.trailing_zeros() as usize);
        }
        let summary = word / 64;
        let words = self.summaries[summary] & above(word % 64);
        if words != 0 {
            return Some(self.first_of(summary * 64 + words.trailing_zeros() as usize));
        }
        let summaries = self.top & above(summary);
        if summaries == 0 {
            return None;
        }
        let summary = summaries.trailing_zeros() as usize;
        Some(self.first_of(summary * 64 + self.summaries[summary].trailing_zeros() as usize))
    }

    fn first_of(&self, word: usize) -> usize {
        word * 64 + self.words[word].trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn next_member_is_the_one_a_sorted_set_finds() {
        let mut bitmap = Bitmap::new();
        let mut model = BTreeSet::new();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let slot = (random >> 48) as usize;
            // Phases of growth and shrinking, so that whole words and summaries become empty again.
            if (step / 1000).is_multiple_of(2) {
                bitmap.put(slot, true);
                model.insert(slot);
            } else if let Some(&member) = model.range(slot..).next() {
                bitmap.put(member, false);
                model.remove(&member);
            }
            assert_eq!(bitmap.is_empty(), model.is_empty());
            if step.is_multiple_of(100) {
                assert_eq!(bitmap.len(), model.len());
            }
            for from in [slot, 0, SLOTS - 1, (slot / 64) * 64, (slot / 4096) * 4096 + 4095] {
                assert_eq!(bitmap.next_from(from), model.range(from..).next().copied());
            }
        }
        while let Some(&member) = model.iter().next() {
            bitmap.put(member, false);
            model.remove(&member);
        }
        assert_eq!((bitmap.next_from(0), bitmap.top), (None, 0));
    }
}
