//! Both sides of one instrument's book.

use super::ladder::{Ladder, Levels as LadderLevels};
use crate::types::{Level, Price, Qty, Side};

/// The L2 book of one instrument: price levels a side, best first. Any price is legal.
///
/// All memory for ordinary books is taken when it is made: a message of known size allocates nothing, unless more far
/// levels rest than any snapshot has.
#[derive(Clone, Debug)]
pub struct ArenaBook {
    sides: [Ladder; 2],
}

impl Default for ArenaBook {
    fn default() -> Self {
        ArenaBook::new()
    }
}

/// The price behind a ladder's key, which is its rank.
const fn price_of(side: Side, key: i64) -> Price {
    Price::from_ticks(match side {
        Side::Bid => !key,
        Side::Ask => key,
    })
}

impl ArenaBook {
    /// An empty book.
    pub fn new() -> ArenaBook {
        ArenaBook { sides: [Ladder::new(), Ladder::new()] }
    }

    /// Sets the quantity resting at a price and returns what it was; zero or less removes the level, and an unknown one
    /// may be removed.
    #[inline]
    pub fn set(&mut self, side: Side, price: Price, qty: Qty) -> Qty {
        self.sides[side.index()].set(price.rank(side), qty)
    }

    /// Sets the levels of one message, in its order.
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        for (side, levels) in [(Side::Bid, bids), (Side::Ask, asks)] {
            for level in levels {
                self.set(side, level.price, level.qty);
            }
        }
    }

    /// Removes all levels.
    pub fn clear(&mut self) {
        for side in &mut self.sides {
            side.clear();
        }
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        let (key, qty) = self.sides[side.index()].best()?;
        Some(Level { price: price_of(side, key), qty })
    }

    /// What rests at a price; zero when nothing does.
    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.sides[side.index()].qty_at(price.rank(side))
    }

    /// The memory around a side's best level, where the next change is most likely to fall: for whoever wants to have it
    /// near before that. What it holds means nothing without the rest of the book.
    pub fn near_best(&self, side: Side) -> &[Qty] {
        self.sides[side.index()].near_best()
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> Levels<'_> {
        Levels { side, levels: self.sides[side.index()].levels() }
    }

    /// Copies the best levels of a side into `out`, best first, and returns how many there were.
    pub fn top(&self, side: Side, out: &mut [Level]) -> usize {
        let mut count = 0;
        if !out.is_empty() {
            self.sides[side.index()].top(|key, qty| {
                out[count] = Level { price: price_of(side, key), qty };
                count += 1;
                count < out.len()
            });
        }
        count
    }

    /// How many levels a side has.
    pub fn level_count(&self, side: Side) -> usize {
        self.sides[side.index()].len()
    }

    /// Whether the best bid is at or above the best ask.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        match (self.best(Side::Bid), self.best(Side::Ask)) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// xxh3-128 of every level, bids then asks, best first: equal for equal books, however they came about.
    pub fn digest(&self) -> u128 {
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        for side in Side::BOTH {
            hasher.update(&(self.level_count(side) as u64).to_le_bytes());
            for level in self.levels(side) {
                hasher.update(bytemuck::bytes_of(&level));
            }
        }
        hasher.digest128()
    }
}

/// Iterates over the levels of a side, best first.
#[derive(Clone, Debug)]
pub struct Levels<'a> {
    side: Side,
    levels: LadderLevels<'a>,
}

impl Iterator for Levels<'_> {
    type Item = Level;

    #[inline]
    fn next(&mut self) -> Option<Level> {
        let (key, qty) = self.levels.next()?;
        Some(Level { price: price_of(self.side, key), qty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    fn side(book: &ArenaBook, side: Side) -> Vec<(i64, i64)> {
        book.levels(side).map(|level| (level.price.ticks(), level.qty.lots())).collect()
    }

    #[test]
    fn levels_come_best_first_on_both_sides() {
        let mut book = ArenaBook::new();
        book.apply(&[level(99, 1), level(100, 2), level(-5, 3)], &[level(103, 4), level(101, 5), level(1 << 40, 6)]);
        assert_eq!(side(&book, Side::Bid), [(100, 2), (99, 1), (-5, 3)]);
        assert_eq!(side(&book, Side::Ask), [(101, 5), (103, 4), (1 << 40, 6)]);
        assert_eq!(book.best(Side::Bid), Some(level(100, 2)));
        assert_eq!(book.qty_at(Side::Ask, Price::from_ticks(1 << 40)), Qty::from_lots(6));
        assert!(!book.is_crossed());
        book.set(Side::Bid, Price::from_ticks(101), Qty::from_lots(1));
        assert!(book.is_crossed(), "a locked book counts as crossed");
    }

    #[test]
    fn removing_an_unknown_level_changes_nothing() {
        let mut book = ArenaBook::new();
        book.apply(&[level(100, 2)], &[level(101, 5)]);
        let before = book.digest();
        book.apply(&[level(0, 0), level(99, 0), level(i64::MIN, 0)], &[level(102, 0), level(i64::MAX, 0)]);
        assert_eq!(book.digest(), before);
    }

    #[test]
    fn the_last_of_two_equal_prices_in_a_message_holds() {
        let mut book = ArenaBook::new();
        book.apply(&[level(100, 2), level(100, 0), level(100, 7)], &[]);
        assert_eq!(side(&book, Side::Bid), [(100, 7)]);
    }

    #[test]
    fn the_ends_of_the_price_range_are_ordinary_prices() {
        for ends in [[i64::MIN, i64::MAX], [i64::MAX, i64::MIN]] {
            let mut book = ArenaBook::new();
            for price in ends {
                book.set(Side::Bid, Price::from_ticks(price), Qty::from_lots(1));
                book.set(Side::Ask, Price::from_ticks(price), Qty::from_lots(2));
            }
            assert_eq!(side(&book, Side::Bid), [(i64::MAX, 1), (i64::MIN, 1)]);
            assert_eq!(side(&book, Side::Ask), [(i64::MIN, 2), (i64::MAX, 2)]);
            book.set(Side::Ask, Price::MIN, Qty::ZERO);
            book.set(Side::Bid, Price::MAX, Qty::ZERO);
            assert_eq!(side(&book, Side::Ask), [(i64::MAX, 2)]);
            assert_eq!(side(&book, Side::Bid), [(i64::MIN, 1)]);
        }
    }

    #[test]
    fn the_digest_depends_on_levels_alone() {
        let (mut straight, mut detour) = (ArenaBook::new(), ArenaBook::new());
        straight.apply(&[level(100, 2), level(90, 1)], &[level(101, 5)]);
        detour.apply(&[level(1 << 50, 9), level(90, 1)], &[level(5, 5)]);
        detour.apply(&[level(1 << 50, 0), level(100, 2)], &[level(101, 5), level(5, 0)]);
        assert_eq!(straight.digest(), detour.digest());
        detour.apply(&[level(100, 3)], &[]);
        assert_ne!(straight.digest(), detour.digest());
        detour.clear();
        assert_eq!(detour.digest(), ArenaBook::new().digest());
    }
}
