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

    /// Rebuilds both sides. `touch` is one that is newer than the view, if any; `own` says how much of a price's
    /// quantity is ours.
    pub fn rebuild(&mut self, view: &BookView, touch: Option<&Touch>, own: impl Fn(Side, Price) -> Qty) {
        for side in Side::BOTH {
            let touch_level = touch.map(|touch| match side {
                Side::Bid => touch.bid,
                Side::Ask => touch.ask,
            });
            let (target, count) = (&mut self.sides[side.index()], &mut self.counts[side.index()]);
            *count = 0;
            let mut take = |level: Level| {
                let rest = level.qty - own(side, level.price);
                if rest > Qty::ZERO && *count < VIEW_LEVELS {
                    target[*count] = Level { price: level.price, qty: rest };
                    *count += 1;
                }
            };
            if let Some(level) = touch_level {
                take(level);
            }
            for &level in view.levels(side) {
                // The touch says that nothing is better than it, and what rests at its own price.
                let behind = touch_level.is_none_or(|best| level.price.ticks_above(best.price) * side.sign() < 0);
                if behind {
                    take(level);
                }
            }
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

    fn view() -> BookView {
        let mut view = BookView::empty(InstrumentId(0), BookState::Live);
        view.set_levels(Side::Bid, [level(100, 5), level(99, 7), level(98, 1)]);
        view.set_levels(Side::Ask, [level(102, 4), level(103, 2)]);
        view
    }

    #[test]
    fn our_own_quantity_is_not_the_market() {
        let mut others = OthersBook::empty();
        others.rebuild(&view(), None, |side, price| match (side, price.ticks()) {
            (Side::Bid, 100) => Qty::from_lots(5),
            (Side::Ask, 102) => Qty::from_lots(3),
            _ => Qty::ZERO,
        });
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
        others.rebuild(&view(), Some(&touch), |_, _| Qty::ZERO);
        assert_eq!(others.levels(Side::Bid), [level(99, 3), level(98, 1)]);
        assert_eq!(others.levels(Side::Ask), [level(101, 6), level(102, 4), level(103, 2)]);
        others.rebuild(&view(), Some(&touch), |side, price| {
            if side == Side::Bid && price.ticks() == 99 { Qty::from_lots(3) } else { Qty::ZERO }
        });
        assert_eq!(others.best(Side::Bid), Some(level(98, 1)), "a touch that is ours alone is skipped");
    }
}
