//! The levels of a side beyond its window: sorted, however many there are.
//!
//! They lie in blocks of up to [`BLOCK`], and a sorted list says where each block begins. A level that comes or goes moves
//! a part of its block and nothing else, where one sorted array would have to move thousands. Two neighbours that fill no
//! more than half a block become one, so that a bounded number of levels takes a bounded number of blocks.
//!
//! Nine of ten changes so far away are of a level that was changed before: orders that somebody keeps at a round price.
//! So a table remembers where levels were found, by a hash of the key, and such a change searches nothing. It may be
//! wrong about a level that has moved since: then the level there has another key, or no quantity, and is searched for.

use crate::types::Qty;

/// Levels of a block.
const BLOCK: usize = 64;

/// What two neighbours have more of; a full block that is split leaves this to each half, so that it holds there too.
const JOINED_MAX: usize = BLOCK / 2;

/// Levels that fit without allocation: more than the largest snapshot has on a side.
const LEVELS: usize = 8192;

/// Blocks that so many levels never exceed.
const BLOCKS: usize = 2 * LEVELS / (JOINED_MAX + 1) + 2;

/// Places that the table remembers, as a power of two: 4 KiB, which stay in the first level of the cache.
const HINT_BITS: u32 = 10;

/// A level by its key: the lower, the nearer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FarLevel {
    pub key: i64,
    pub qty: Qty,
}

/// Where a block begins, and where it is.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The key of its first level.
    first: i64,
    block: u32,
    len: u32,
}

/// The far levels of one side.
#[derive(Clone, Debug)]
pub(super) struct FarLevels {
    /// Nearest first; none of them is empty.
    entries: Vec<Entry>,
    /// What holds no level has no quantity.
    blocks: Vec<[FarLevel; BLOCK]>,
    /// Blocks of no entry.
    free: Vec<u32>,
    len: usize,
    /// Where levels were found last: block and place in it.
    hints: Box<[[u16; 2]; 1 << HINT_BITS]>,
}

fn hash(key: i64) -> usize {
    ((key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - HINT_BITS)) as usize
}

impl FarLevels {
    pub(super) fn new() -> FarLevels {
        FarLevels {
            entries: Vec::with_capacity(BLOCKS),
            blocks: Vec::with_capacity(BLOCKS),
            free: Vec::with_capacity(BLOCKS),
            len: 0,
            hints: Box::new([[0; 2]; 1 << HINT_BITS]),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        for entry in self.entries.drain(..) {
            self.blocks[entry.block as usize][..entry.len as usize].fill(FarLevel::default());
            self.free.push(entry.block);
        }
        self.len = 0;
    }

    /// What rests at a key.
    pub(super) fn qty_at(&self, key: i64) -> Qty {
        let Some((entry, at)) = self.find(key) else { return Qty::ZERO };
        self.levels(entry).get(at).filter(|level| level.key == key).map_or(Qty::ZERO, |level| level.qty)
    }

    /// Sets the quantity at a key and returns what it was; zero removes the level.
    pub(super) fn set(&mut self, key: i64, qty: Qty) -> Qty {
        match self.hinted(key) {
            Some(level) if !qty.is_zero() => std::mem::replace(&mut level.qty, qty),
            _ => self.search_and_set(key, qty),
        }
    }

    /// The level of a key, if it lies where it was found last.
    fn hinted(&mut self, key: i64) -> Option<&mut FarLevel> {
        let [block, at] = self.hints[hash(key)];
        let level = self.blocks.get_mut(usize::from(block))?.get_mut(usize::from(at))?;
        (level.key == key && !level.qty.is_zero()).then_some(level)
    }

    fn search_and_set(&mut self, key: i64, qty: Qty) -> Qty {
        let Some((entry, at)) = self.find(key) else {
            if !qty.is_zero() {
                let entry = self.add_block(0);
                self.insert(entry, 0, FarLevel { key, qty });
            }
            return Qty::ZERO;
        };
        match self.levels(entry).get(at) {
            Some(level) if level.key == key => {
                let before = level.qty;
                if qty.is_zero() {
                    self.remove(entry, at);
                } else {
                    let block = self.entries[entry].block;
                    self.blocks[block as usize][at].qty = qty;
                    self.hints[hash(key)] = [block as u16, at as u16];
                }
                before
            }
            _ => {
                if !qty.is_zero() {
                    self.insert(entry, at, FarLevel { key, qty });
                }
                Qty::ZERO
            }
        }
    }

    /// The level with the lowest key.
    pub(super) fn nearest(&self) -> Option<FarLevel> {
        self.get(Place::default()).copied()
    }

    /// Takes the level with the lowest key, if there is one.
    pub(super) fn remove_nearest(&mut self) {
        if !self.entries.is_empty() {
            self.remove(0, 0);
        }
    }

    /// The level at a place, and the place of the next one, nearest first.
    pub(super) fn get(&self, place: Place) -> Option<&FarLevel> {
        self.levels_of(self.entries.get(place.entry)?).get(place.at)
    }

    /// The place behind one that has a level.
    pub(super) fn after(&self, place: Place) -> Place {
        let Place { entry, at } = place;
        if at + 1 < self.levels(entry).len() { Place { entry, at: at + 1 } } else { Place { entry: entry + 1, at: 0 } }
    }

    /// The entry and the place in its block where a key is or belongs; `None` when there is no block.
    fn find(&self, key: i64) -> Option<(usize, usize)> {
        let entry = self.entries.partition_point(|entry| entry.first <= key).saturating_sub(1);
        let levels = self.levels_of(self.entries.get(entry)?);
        Some((entry, levels.partition_point(|level| level.key < key)))
    }

    fn levels(&self, entry: usize) -> &[FarLevel] {
        self.levels_of(&self.entries[entry])
    }

    fn levels_of(&self, entry: &Entry) -> &[FarLevel] {
        &self.blocks[entry.block as usize][..entry.len as usize]
    }

    /// A new, empty block at that place of the list, which must be filled at once.
    fn add_block(&mut self, entry: usize) -> usize {
        let block = self.free.pop().unwrap_or_else(|| {
            self.blocks.push([FarLevel::default(); BLOCK]);
            self.blocks.len() as u32 - 1
        });
        self.entries.insert(entry, Entry { first: 0, block, len: 0 });
        entry
    }

    fn insert(&mut self, mut entry: usize, mut at: usize, level: FarLevel) {
        if self.levels(entry).len() == BLOCK {
            let upper = self.add_block(entry + 1);
            self.move_levels(entry, BLOCK / 2, upper);
            if at > BLOCK / 2 {
                (entry, at) = (upper, at - BLOCK / 2);
            }
        }
        let Entry { block, len, .. } = self.entries[entry];
        let levels = &mut self.blocks[block as usize];
        levels.copy_within(at..len as usize, at + 1);
        levels[at] = level;
        self.hints[hash(level.key)] = [block as u16, at as u16];
        let first = levels[0].key;
        self.entries[entry] = Entry { first, block, len: len + 1 };
        self.len += 1;
    }

    fn remove(&mut self, entry: usize, at: usize) {
        self.len -= 1;
        let Entry { block, len, .. } = self.entries[entry];
        let levels = &mut self.blocks[block as usize];
        levels.copy_within(at + 1..len as usize, at);
        levels[len as usize - 1] = FarLevel::default();
        if len == 1 {
            self.drop_block(entry);
            return;
        }
        let first = levels[0].key;
        self.entries[entry] = Entry { first, block, len: len - 1 };
        let joined = |upper: usize| self.levels(upper - 1).len() + self.levels(upper).len();
        let upper = [entry + 1, entry].into_iter();
        let mut pairs = upper.filter(|upper| (1..self.entries.len()).contains(upper));
        if let Some(upper) = pairs.find(|&upper| joined(upper) <= JOINED_MAX) {
            self.move_levels(upper, 0, upper - 1);
            self.drop_block(upper);
        }
    }

    /// Moves the levels of a block from a place on behind those of another.
    fn move_levels(&mut self, from: usize, at: usize, to: usize) {
        let [source, target] = [self.entries[from], self.entries[to]];
        let (kept, moved) = (at as u32, source.len - at as u32);
        let block = self.blocks[source.block as usize];
        let levels = &mut self.blocks[target.block as usize];
        levels[target.len as usize..][..moved as usize].copy_from_slice(&block[at..source.len as usize]);
        let first = levels[0].key;
        self.blocks[source.block as usize][at..source.len as usize].fill(FarLevel::default());
        self.entries[from].len = kept;
        self.entries[to] = Entry { first, len: target.len + moved, ..target };
    }

    fn drop_block(&mut self, entry: usize) {
        let Entry { block, .. } = self.entries.remove(entry);
        self.free.push(block);
    }
}

/// Where a level is, as long as none comes or goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    entry: usize,
    at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What is told by going from the nearest to the farthest.
    fn all(far: &FarLevels) -> Vec<(i64, i64)> {
        let (mut place, mut told) = (Place::default(), Vec::new());
        while let Some(level) = far.get(place) {
            told.push((level.key, level.qty.lots()));
            place = far.after(place);
        }
        told
    }

    fn assert_bounded(far: &FarLevels) {
        assert!(far.entries.iter().all(|entry| entry.len > 0 && entry.len as usize <= BLOCK));
        assert!(far.entries.windows(2).all(|two| two[0].len as usize + two[1].len as usize > JOINED_MAX));
        assert_eq!(far.entries.len() + far.free.len(), far.blocks.len());
        assert!(far.blocks.len() <= BLOCKS, "{} blocks", far.blocks.len());
        let held = far.blocks.iter().flatten().filter(|level| !level.qty.is_zero()).count();
        assert_eq!(held, far.len, "what holds no level has no quantity");
    }

    #[test]
    fn levels_are_those_of_a_sorted_map_and_blocks_are_bounded() {
        let (mut far, mut model) = (FarLevels::new(), BTreeMap::new());
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((random >> 33) % bound) as i64
        };
        for step in 0..60_000 {
            // Phases in which it fills, and in which it empties.
            let fills = step / 12_000 % 2 == 0;
            let (key, qty) = (below(10_000), if (below(10) < 8) == fills { 1 + below(1_000) } else { 0 });
            let before = if qty == 0 { model.remove(&key) } else { model.insert(key, qty) };
            assert_eq!(far.qty_at(key).lots(), before.unwrap_or(0));
            assert_eq!(far.set(key, Qty::from_lots(qty)).lots(), before.unwrap_or(0));
            if below(20) == 0 {
                assert_eq!(far.nearest().map(|level| level.key), model.first_key_value().map(|(key, _)| *key));
                far.remove_nearest();
                model.pop_first();
            }
            assert_eq!(far.len(), model.len());
            if step % 500 == 0 {
                assert_bounded(&far);
                assert_eq!(all(&far), model.iter().map(|(key, qty)| (*key, *qty)).collect::<Vec<_>>());
            }
        }
        far.clear();
        assert_eq!((far.len(), all(&far)), (0, vec![]));
        assert_bounded(&far);
    }

    #[test]
    fn so_many_levels_fit_however_they_came_and_went() {
        let mut far = FarLevels::new();
        let spread = |at: usize| (at * 7_919 % (2 * LEVELS)) as i64;
        for round in 0..2 {
            for at in 0..LEVELS {
                far.set(spread(2 * at + round), Qty::from_lots(1));
            }
            assert_eq!(far.len(), LEVELS);
            assert_bounded(&far);
            for at in 0..LEVELS {
                far.set(spread(2 * at + round), Qty::ZERO);
                assert_bounded(&far);
            }
        }
    }
}
