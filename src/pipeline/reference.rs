//! The book without us.
//!
//! Owns [`OthersBook`]: the levels of the last book view, overlaid by a newer touch, less what we ourselves display.
//! Quoting around a mid that our own orders make would chase ourselves. Rebuilt by the lane, read by features and
//! quoters.

use crate::types::{BookView, Level, Price, Qty, Side, Touch, VIEW_LEVELS};

/// Levels of others, best first. Levels that are ours alone are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OthersBook {
    /// The touch may stand before all levels of the view.
    sides: [[Level; VIEW_LEVELS + 1]; 2],
    counts: [usize; 2],
}

impl OthersBook {
    /// No levels.
    pub fn empty() -> OthersBook {
        OthersBook { sides: [[Level::default(); VIEW_LEVELS + 1]; 2], counts: [0; 2] }
    }

    /// Rebuilds both sides. `touch` is one that is newer than the view, if any; `own` says which of the quantities are
    /// ours: side, price and how much, as often as there is something.
    pub fn rebuild(
        &mut self,
        view: &BookView,
        touch: Option<&Touch>,
        own: impl Iterator<Item = (Side, Price, Qty)> + Clone,
    ) {
        for side in Side::BOTH {
            let (levels, target) = (view.levels(side), &mut self.sides[side.index()]);
            let mut count = match touch {
                Some(touch) => {
                    let best = match side {
                        Side::Bid => touch.bid,
                        Side::Ask => touch.ask,
                    };
                    // The touch says that nothing is better than it, and what rests at its own price.
                    let behind = |level: &&Level| level.price.ticks_above(best.price) * side.sign() < 0;
                    let known = std::iter::once(best).chain(levels.iter().filter(behind).copied());
                    target.iter_mut().zip(known).map(|(slot, level)| *slot = level).count()
                }
                None => {
                    target[..levels.len()].copy_from_slice(levels);
                    levels.len()
                }
            };
            // A book's levels hold something; a touch may say that a side is empty.
            let mut are_others = touch.is_none();
            // Our orders are few, and seldom among the best levels: each is looked for, and not each level for ours.
            for (_, price, qty) in own.clone().filter(|(of, ..)| *of == side) {
                if let Some(index) = index_of(&target[..count], side, price) {
                    target[index].qty -= qty;
                    are_others &= target[index].qty > Qty::ZERO;
                }
            }
            if !are_others {
                count = keep_held(&mut target[..count]);
            }
            self.counts[side.index()] = count.min(VIEW_LEVELS);
        }
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> &[Level] {
        &self.sides[side.index()][..self.counts[side.index()]]
    }

    /// Best level of a side.
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).first().copied()
    }

    /// What others hold at a price, as far as the levels tell.
    pub fn held_at(&self, side: Side, price: Price) -> Qty {
        let levels = self.levels(side);
        index_of(levels, side, price).map_or(Qty::ZERO, |index| levels[index].qty)
    }
}

/// Where a price stands among levels that are sorted, best first.
fn index_of(levels: &[Level], side: Side, price: Price) -> Option<usize> {
    let reached = |level: &Level| level.price.ticks_above(price) * side.sign() <= 0;
    // Most prices that are asked for lie before all levels or behind them.
    levels.last().filter(|last| reached(last))?;
    levels.iter().position(reached).filter(|index| levels[*index].price == price)
}

/// Moves the levels that hold something to the front, and returns how many they are.
fn keep_held(levels: &mut [Level]) -> usize {
    let mut count = 0;
    for index in 0..levels.len() {
        let level = levels[index];
        levels[count] = level;
        count += usize::from(level.qty > Qty::ZERO);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BookState, InstrumentId, TimestampNs};

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    fn own(side: Side, price: i64, lots: i64) -> (Side, Price, Qty) {
        (side, Price::from_ticks(price), Qty::from_lots(lots))
    }

    fn view() -> BookView {
        let mut view = BookView::empty(InstrumentId(0), BookState::Live);
        view.set_levels(Side::Bid, [level(100, 5), level(99, 7), level(98, 1)]);
        view.set_levels(Side::Ask, [level(102, 4), level(103, 2)]);
        view
    }

    #[test]
    fn our_own_quantity_is_not_the_market() {
        let mut others = OthersBook::empty();
        let ours = [own(Side::Ask, 102, 1), own(Side::Bid, 100, 5), own(Side::Ask, 102, 2), own(Side::Bid, 97, 1)];
        others.rebuild(&view(), None, ours.into_iter());
        assert_eq!(others.levels(Side::Bid), [level(99, 7), level(98, 1)]);
        assert_eq!(others.levels(Side::Ask), [level(102, 1), level(103, 2)]);
    }

    #[test]
    fn a_level_that_a_touch_pushed_out_comes_back_when_ours_leave() {
        let mut full = view();
        full.set_levels(Side::Bid, (0..VIEW_LEVELS as i64).map(|step| level(100 - step, 1 + step)));
        let touch = Touch {
            instrument: InstrumentId(0),
            recv_ts: TimestampNs::ZERO,
            update_id: 9,
            bid: level(101, 3),
            ask: Level::default(),
        };
        let mut others = OthersBook::empty();
        others.rebuild(&full, Some(&touch), std::iter::empty());
        assert_eq!(others.levels(Side::Bid).len(), VIEW_LEVELS);
        assert_eq!(others.levels(Side::Bid).last(), Some(&level(92, 9)));
        assert_eq!(
            others.levels(Side::Ask),
            [level(102, 4), level(103, 2)],
            "what a touch does not know holds nothing"
        );
        others.rebuild(&full, Some(&touch), [own(Side::Bid, 101, 3), own(Side::Bid, 99, 1)].into_iter());
        let wanted = [(100, 1), (99, 1), (98, 3), (97, 4), (96, 5), (95, 6), (94, 7), (93, 8), (92, 9), (91, 10)];
        assert_eq!(others.levels(Side::Bid), wanted.map(|(price, qty)| level(price, qty)));
        let held = |price| others.held_at(Side::Bid, Price::from_ticks(price)).lots();
        assert_eq!([102, 101, 100, 95, 91, 90].map(held), [0, 0, 1, 6, 10, 0]);
    }

    #[test]
    fn a_newer_touch_replaces_the_best_levels() {
        let mut others = OthersBook::empty();
        let touch = Touch {
            instrument: InstrumentId(0),
            recv_ts: TimestampNs::ZERO,
            update_id: 9,
            bid: level(99, 3),
            ask: level(101, 6),
        };
        others.rebuild(&view(), Some(&touch), std::iter::empty());
        assert_eq!(others.levels(Side::Bid), [level(99, 3), level(98, 1)]);
        assert_eq!(others.levels(Side::Ask), [level(101, 6), level(102, 4), level(103, 2)]);
        others.rebuild(&view(), Some(&touch), std::iter::once(own(Side::Bid, 99, 3)));
        assert_eq!(others.best(Side::Bid), Some(level(98, 1)), "a touch that is ours alone is skipped");
    }
}
