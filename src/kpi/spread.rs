//! What one fill earned: effective, realised and impact half-spread.
//!
//! Owns the identity `realised = effective - impact`, in half ticks and hence exact; full spreads are twice these.
//! Source: quant.md 10. `d` is the maker's sign: +1 for a buy.

use crate::types::{HalfTicks, Price, Side};

/// One fill against a later mid, in half ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillSpread {
    /// `d (m0 - p)`: earned against the mid before the fill.
    pub effective: i64,
    /// `d (m0 - m_h)`: how far the mid then ran against us.
    pub impact: i64,
    /// `d (m_h - p)`: what was left of it.
    pub realised: i64,
}

/// Earned against the mid before the fill, in half ticks.
pub fn effective(side: Side, price: Price, before: HalfTicks) -> i64 {
    side.sign() * (before.get() - HalfTicks::from(price).get())
}

impl FillSpread {
    /// The three of a fill at `price` with the mid at `before`, and later at `after`.
    pub fn of(side: Side, price: Price, before: HalfTicks, after: HalfTicks) -> FillSpread {
        FillSpread {
            effective: effective(side, price, before),
            impact: side.sign() * (before.get() - after.get()),
            realised: side.sign() * (after.get() - HalfTicks::from(price).get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_specifications_example_holds() {
        // Bid 99.99 hit, mid 100.00 before and 99.994 five seconds later; tick 0.002, so half a tick is 0.001.
        let (before, after) = (HalfTicks::new(100_000), HalfTicks::new(99_994));
        let spread = FillSpread::of(Side::Bid, Price::from_ticks(49_995), before, after);
        assert_eq!(spread, FillSpread { effective: 10, impact: 6, realised: 4 });
        let sold = FillSpread::of(Side::Ask, Price::from_ticks(49_995), before, after);
        assert_eq!(sold, FillSpread { effective: -10, impact: -6, realised: -4 });
    }

    proptest! {
        #[test]
        fn realised_is_effective_less_impact(bid in any::<bool>(), price in 1_i64..1_000_000, m0 in 1_i64..2_000_000, mh in 1_i64..2_000_000) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let spread = FillSpread::of(side, Price::from_ticks(price), HalfTicks::new(m0), HalfTicks::new(mh));
            prop_assert_eq!(spread.realised, spread.effective - spread.impact);
        }
    }
}
