//! The book without us.
//!
//! Owns [`OthersBook`]: the levels of the last book view, overlaid by a newer touch, less what we ourselves display.
//! Quoting around a mid that our own orders make would chase ourselves. Rebuilt by the lane, read by features and
//! quoters.

use crate::types::{BookView, Level, Price, Qty, Side, Touch, VIEW_LEVELS};

/// Levels of others, best first. Levels that are ours alone are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OthersBook {
    sides: [[Level; VIEW_LEVELS]; 2],
    counts: [usize; 2],
}

impl OthersBook {
    /// No levels.
    pub fn empty() -> OthersBook {
        OthersBook { sides: [[Level::default(); VIEW_LEVELS]; 2], counts: [0; 2] }
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
            // The touch may stand before all levels of the view.
            let mut all = [Level::default(); VIEW_LEVELS + 1];
            let known = match touch {
                Some(touch) => {
                    let best = match side {
                        Side::Bid => touch.bid,
                        Side::Ask => touch.ask,
                    };
                    // The touch says that nothing is better than it, and what rests at its own price.
                    let behind = |level: &&Level| level.price.ticks_above(best.price) * side.sign() < 0;
                    let behind = view.levels(side).iter().filter(behind).copied();
                    let known = all.iter_mut().zip(std::iter::once(best).chain(behind));
                    known.map(|(slot, level)| *slot = level).count()
                }
                None => {
                    let levels = view.levels(side);
                    all[..levels.len()].copy_from_slice(levels);
                    levels.len()
                }
            };
            let all = &mut all[..known];
            // Our orders are few, and seldom among the best levels: each is looked for, and not each level for ours.
            for (_, price, qty) in own.clone().filter(|(of, ..)| *of == side) {
                if let Some(level) = all.iter_mut().find(|level| level.price == price) {
                    level.qty -= qty;
                }
            }
            let (target, mut count) = (&mut self.sides[side.index()], 0);
            for level in all {
                let Some(slot) = target.get_mut(count) else { break };
                // Without a branch: what is no level of others is written over by the next one that is.
                *slot = *level;
                count += usize::from(level.qty > Qty::ZERO);
            }
            self.counts[side.index()] = count;
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
