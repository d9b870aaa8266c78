//! One side of a book, best level first.
//!
//! Levels are ordered by a *key* that is lower the better the price, so both sides share this code: an ask's key is
//! its price, a bid's the bitwise complement of it. The levels near the best lie in a window of [`WINDOW`] ticks that
//! is indexed directly by the low bits of the key, with bitmaps that find the next level; the far ones lie in a sorted
//! overflow. Two facts hold between calls:
//!
//! - no level is better than the window, so the best level is the window's first;
//! - the window is empty only when the side is.
//!
//! The window slides with the best level. Because a slot is the key modulo the window, sliding moves no slot: it only
//! hands the levels that leave to the overflow, or takes in those that it now covers. It keeps a quarter of itself
//! free on the better side, so that a market that moves to and fro does not make it slide at every step.

use super::bitmap::{Bitmap, SLOTS};
use super::far::{FarLevels, Place};
use crate::types::Qty;

/// Ticks that the window covers. At BTCUSDT's tick of 0.01 that is 655 dollars, about one per cent of the price, in
/// which nearly all updates fall; 512 KiB a side.
pub(super) const WINDOW: usize = SLOTS;

/// Free ticks kept on the better side when the window slides.
const HEADROOM: i64 = WINDOW as i64 / 4;

/// How far the best level may move into the window before it slides after it.
const SLIDE_AT: u64 = WINDOW as u64 / 2;

/// Ticks to each side of the best level that are near it: two and a half dollars of BTCUSDT, 4 KiB in all.
const NEAR: usize = 256;

/// The highest key at which a window may start, so that a key's distance from it never wraps into the window.
const START_MAX: i64 = i64::MAX - (WINDOW as i64 - 1);

/// The levels of one side.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Quantity by slot; zero where there is no level.
    slots: Box<[Qty; WINDOW]>,
    /// Which slots hold a level.
    filled: Bitmap,
    /// Lowest key that the window covers.
    start: i64,
    /// Key of the best level; meaningless when the side is empty.
    best: i64,
    /// Levels worse than the window.
    far: FarLevels,
}

fn slot_of(key: i64) -> usize {
    key as usize & (WINDOW - 1)
}

/// The window start that leaves the headroom before `key`.
fn start_before(key: i64) -> i64 {
    key.saturating_sub(HEADROOM).min(START_MAX)
}

impl Ladder {
    pub(super) fn new() -> Ladder {
        // Written with ones first: zeroed memory would be mapped page by page, at the first update of each page.
        let slots = std::hint::black_box(vec![Qty::from_lots(1); WINDOW]);
        let mut slots: Box<[Qty; WINDOW]> = slots.into_boxed_slice().try_into().expect("as long as the window");
        slots.fill(Qty::ZERO);
        Ladder { slots, filled: Bitmap::new(), start: 0, best: 0, far: FarLevels::new() }
    }

    /// Levels of the side.
    pub(super) fn len(&self) -> usize {
        self.filled.len() + self.far.len()
    }

    /// The best level's key and quantity.
    #[inline]
    pub(super) fn best(&self) -> Option<(i64, Qty)> {
        (!self.filled.is_empty()).then(|| (self.best, self.slots[slot_of(self.best)]))
    }

    /// What rests at a key.
    pub(super) fn qty_at(&self, key: i64) -> Qty {
        if self.covers(key) {
            return self.slots[slot_of(key)];
        }
        self.far.qty_at(key)
    }

    /// Removes every level.
    pub(super) fn clear(&mut self) {
        while let Some(slot) = self.filled.next_from(0) {
            self.empty(slot);
        }
        self.far.clear();
    }

    /// Sets the quantity at a key and returns what it was; zero or less removes the level.
    ///
    /// Inside the window nothing but the loss of the best level decides a branch: which levels come and go does not
    /// follow a pattern that a processor could guess.
    #[inline]
    pub(super) fn set(&mut self, key: i64, qty: Qty) -> Qty {
        let qty = qty.max(Qty::ZERO);
        if !self.covers(key) || self.filled.is_empty() {
            return self.set_outside(key, qty);
        }
        let slot = slot_of(key);
        let before = std::mem::replace(&mut self.slots[slot], qty);
        let is = !qty.is_zero();
        self.filled.put(slot, is);
        if key <= self.best {
            if is {
                self.best = key;
            } else if key == self.best {
                self.find_best();
            }
        }
        before
    }

    /// [`Self::set`] where the window does not reach, or has nothing to stand on.
    #[inline(never)]
    fn set_outside(&mut self, key: i64, qty: Qty) -> Qty {
        let is_first = self.filled.is_empty();
        if qty.is_zero() || !is_first && key >= self.start {
            // An empty side has no far levels to change.
            return self.far.set(key, qty);
        }
        // The first level, or one better than all others.
        if is_first {
            self.start = start_before(key);
        } else {
            self.slide_back(start_before(key));
        }
        self.fill(slot_of(key), qty);
        self.best = key;
        Qty::ZERO
    }

    /// Finds the best level after the old one has gone, and slides the window after it when it is deep inside.
    fn find_best(&mut self) {
        let is_empty = self.filled.is_empty();
        // Only a level outside of the window can be the best when nothing is left in it.
        let next = if is_empty { self.far.nearest().map(|level| level.key) } else { self.next_from(self.best) };
        let Some(best) = next else { return };
        self.best = best;
        if is_empty || self.distance(best) >= SLIDE_AT {
            self.slide_on(start_before(best));
        }
    }

    /// Moves the window to worse prices: nothing leaves it, because its first level stays inside.
    fn slide_on(&mut self, start: i64) {
        self.start = start;
        while let Some(level) = self.far.nearest().filter(|level| self.covers(level.key)) {
            self.far.remove_nearest();
            self.fill(slot_of(level.key), level.qty);
        }
    }

    /// Moves the window to better prices: the levels that it no longer covers go to the overflow.
    fn slide_back(&mut self, start: i64) {
        let keep_until = start.saturating_add(WINDOW as i64);
        let mut next = self.next_from_if_covered(Some(keep_until.max(self.start)));
        while let Some(key) = next {
            let slot = slot_of(key);
            self.far.set(key, self.slots[slot]);
            self.empty(slot);
            next = self.next_from_if_covered(key.checked_add(1));
        }
        self.start = start;
    }

    /// Puts a level into a slot.
    fn fill(&mut self, slot: usize, qty: Qty) {
        self.slots[slot] = qty;
        self.filled.put(slot, true);
    }

    /// Takes the level out of a slot.
    fn empty(&mut self, slot: usize) {
        self.slots[slot] = Qty::ZERO;
        self.filled.put(slot, false);
    }

    /// Ticks from the window's start; at least [`WINDOW`] for every key outside.
    #[inline]
    fn distance(&self, key: i64) -> u64 {
        (key as u64).wrapping_sub(self.start as u64)
    }

    #[inline]
    fn covers(&self, key: i64) -> bool {
        self.distance(key) < WINDOW as u64
    }

    /// The key of the first level in the window at or after `key`, which the window must cover.
    #[inline]
    fn next_from(&self, key: i64) -> Option<i64> {
        let (from, first) = (slot_of(key), slot_of(self.start));
        // The window wraps around the slots: those before `first` come last.
        let slot = match self.filled.next_from(from) {
            Some(slot) if from >= first || slot < first => slot,
            None if from >= first => self.filled.next_from(0).filter(|&slot| slot < first)?,
            _ => return None,
        };
        let steps = slot.wrapping_sub(from) & (WINDOW - 1);
        Some(key + steps as i64)
    }

    /// The key of the first level in the window at or after `key`, if the window reaches so far.
    #[inline]
    fn next_from_if_covered(&self, key: Option<i64>) -> Option<i64> {
        self.next_from(key.filter(|&key| self.covers(key))?)
    }

    /// The slots around the best level: where the next change is most likely to fall.
    pub(super) fn near_best(&self) -> &[Qty] {
        let slot = slot_of(self.best);
        // At the rim of the window a part of them lies at the other end, and is left out.
        &self.slots[slot.saturating_sub(NEAR)..(slot + NEAR).min(WINDOW)]
    }

    /// Hands the best levels to `take`, best first, until it wants no more. Levels lie side by side around the best one, so
    /// each word of the bitmap is asked once and not for each level: this is done for every message.
    #[inline]
    pub(super) fn top(&self, mut take: impl FnMut(i64, Qty) -> bool) {
        let mut next = (!self.filled.is_empty()).then_some(self.best);
        while let Some(mut key) = next {
            let mut members = self.filled.word_from(slot_of(key)) >> 1;
            loop {
                if !take(key, self.slots[slot_of(key)]) {
                    return;
                }
                let steps = members.trailing_zeros();
                // The word may hold both ends of the window: what comes next in it may be the first again.
                let follower = key.checked_add(1 + i64::from(steps)).filter(|&key| members != 0 && self.covers(key));
                let Some(follower) = follower else { break };
                key = follower;
                members = (members >> steps) >> 1;
            }
            next = self.next_from_if_covered(key.checked_add(1));
        }
        let mut place = Place::default();
        while let Some(level) = self.far.get(place) {
            if !take(level.key, level.qty) {
                return;
            }
            place = self.far.after(place);
        }
    }

    /// All levels, best first.
    pub(super) fn levels(&self) -> Levels<'_> {
        Levels { ladder: self, next: (!self.filled.is_empty()).then_some(self.best), far: Place::default() }
    }
}

/// Iterates over a side's levels as keys and quantities, best first.
#[derive(Clone, Debug)]
pub(super) struct Levels<'a> {
    ladder: &'a Ladder,
    /// The window's next level.
    next: Option<i64>,
    /// The next of the far levels.
    far: Place,
}

impl Iterator for Levels<'_> {
    type Item = (i64, Qty);

    #[inline]
    fn next(&mut self) -> Option<(i64, Qty)> {
        if let Some(key) = self.next {
            self.next = self.ladder.next_from_if_covered(key.checked_add(1));
            return Some((key, self.ladder.slots[slot_of(key)]));
        }
        let level = self.ladder.far.get(self.far)?;
        self.far = self.ladder.far.after(self.far);
        Some((level.key, level.qty))
    }
}
