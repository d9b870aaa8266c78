//! From what a model wants to what may rest in the market.
//!
//! The one place where fractions of ticks become ticks: outward rounding, post-only clamp, separation, the venue's
//! filters, in the order of quant.md 4. Pure; the risk gate comes after it.

use super::WantedQuote;
use crate::types::{Instrument, Level, Money, Price, Qty, QuoteSide, Side, SideReason};

/// What bounds a quote.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Filters and units.
    pub instrument: &'a Instrument,
    /// Best bid of others.
    pub best_bid: Level,
    /// Best ask of others.
    pub best_ask: Level,
    /// Sign of the position: which side gives way when our quotes come too close.
    pub position: Qty,
    /// Whether quotes never improve the best price of others.
    pub join_only: bool,
    /// Most that a side may have, by side; a least-notional order is not made larger than this.
    pub room: [Qty; 2],
}

/// Largest distance from a whole tick, relative to the price, that is taken for rounding noise of the floats.
const SNAP: f64 = 1e-9;

/// Prices beyond this many ticks are nobody's; they would not survive the conversion to whole numbers exactly.
const TICKS_MAX: f64 = 4_503_599_627_370_496.0;

/// Rounds a price away from the mid: bids down, asks up, except for rounding noise.
pub fn round_outward(side: Side, ticks: f64) -> Option<Price> {
    if !ticks.is_finite() || ticks.abs() > TICKS_MAX {
        return None;
    }
    let nearest = ticks.round();
    let whole = if (ticks - nearest).abs() < SNAP * ticks.abs().max(1.0) {
        nearest
    } else {
        match side {
            Side::Bid => ticks.floor(),
            Side::Ask => ticks.ceil(),
        }
    };
    Some(Price::from_ticks(whole as i64))
}

/// Bounds both sides, bid first.
pub fn bound(wanted: &WantedQuote, bounds: &Bounds<'_>) -> [QuoteSide; 2] {
    let (Some(bid), Some(ask)) =
        (round_outward(Side::Bid, wanted.bid_ticks), round_outward(Side::Ask, wanted.ask_ticks))
    else {
        return [QuoteSide { price: None, qty: Qty::ZERO, reason: SideReason::NoEdge }; 2];
    };
    let (mut bid, mut ask) = (bid, ask);
    let (mut bid_reason, mut ask_reason) = (SideReason::Model, SideReason::Model);

    let highest_bid = if bounds.join_only { bounds.best_bid.price } else { bounds.best_ask.price.plus_ticks(-1) };
    let lowest_ask = if bounds.join_only { bounds.best_ask.price } else { bounds.best_bid.price.plus_ticks(1) };
    if bid > highest_bid {
        (bid, bid_reason) = (highest_bid, SideReason::PostOnlyClamp);
    }
    if ask < lowest_ask {
        (ask, ask_reason) = (lowest_ask, SideReason::PostOnlyClamp);
    }
    if ask <= bid {
        // The side that would add to the position gives way.
        if bounds.position < Qty::ZERO {
            (ask, ask_reason) = (bid.plus_ticks(1), SideReason::Separation);
        } else {
            (bid, bid_reason) = (ask.plus_ticks(-1), SideReason::Separation);
        }
    }
    [
        filter(Side::Bid, bid, wanted.bid_qty, bid_reason, bounds),
        filter(Side::Ask, ask, wanted.ask_qty, ask_reason, bounds),
    ]
}

fn filter(side: Side, price: Price, wanted: Qty, reason: SideReason, bounds: &Bounds<'_>) -> QuoteSide {
    let dropped = |reason| QuoteSide { price: None, qty: Qty::ZERO, reason };
    let filters = &bounds.instrument.spec.filters;
    if wanted <= Qty::ZERO {
        return dropped(SideReason::NoEdge);
    }
    let room = bounds.room[side.index()];
    let mut qty = wanted.min(room);
    if qty <= Qty::ZERO {
        return dropped(SideReason::Position);
    }
    let outside = price.ticks() <= 0
        || filters.price_min.is_some_and(|least| price < least)
        || filters.price_max.is_some_and(|most| price > most);
    if outside {
        return dropped(SideReason::Filter);
    }
    if filters.qty_max > Qty::ZERO {
        qty = qty.min(filters.qty_max);
    }
    let one_lot = bounds.instrument.notional(price, Qty::from_lots(1));
    if bounds.instrument.notional(price, qty) < filters.notional_min {
        qty = lots_worth(filters.notional_min, one_lot);
    }
    if qty > room || qty < filters.qty_min || filters.qty_max > Qty::ZERO && qty > filters.qty_max {
        return dropped(SideReason::Filter);
    }
    QuoteSide { price: Some(price), qty, reason }
}

/// Fewest lots that are worth at least `least`.
fn lots_worth(least: Money, one_lot: Money) -> Qty {
    let lots = (least.attos() + one_lot.attos() - 1) / one_lot.attos();
    Qty::from_lots(i64::try_from(lots).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Frame, SeedFormula};
    use super::*;
    use crate::types::{Filters, InstrumentId, InstrumentSpec, Symbol};

    fn instrument(filters: Filters) -> Instrument {
        Instrument::new(
            InstrumentId(0),
            InstrumentSpec {
                symbol: Symbol::new("BTCUSDT").unwrap(),
                base: Symbol::new("BTC").unwrap(),
                quote: Symbol::new("USDT").unwrap(),
                tick_e8: 1_000_000,
                lot_e8: 1_000_000,
                filters,
            },
        )
    }

    fn level(price: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(1) }
    }

    fn quotes(formula: &SeedFormula, position_base: f64, tau: f64, touch: (i64, i64)) -> [QuoteSide; 2] {
        let seed = formula.quote((touch.0 + touch.1) as f64 / 2.0, position_base, [tau; 2]);
        let wanted = WantedQuote {
            bid_ticks: seed.bid_ticks,
            ask_ticks: seed.ask_ticks,
            bid_qty: Qty::from_lots(10),
            ask_qty: Qty::from_lots(10),
            half_spread_ticks: seed.half_spread_ticks,
            floor_bound: seed.floor_bound,
        };
        bound(
            &wanted,
            &Bounds {
                instrument: &instrument(Filters::default()),
                best_bid: level(touch.0),
                best_ask: level(touch.1),
                position: Qty::from_lots((position_base * 100.0) as i64),
                join_only: false,
                room: [Qty::from_lots(100); 2],
            },
        )
    }

    fn ticks(sides: [QuoteSide; 2]) -> (i64, i64) {
        (sides[0].price.unwrap().ticks(), sides[1].price.unwrap().ticks())
    }

    const SEED: SeedFormula = SeedFormula {
        base_ticks: 0.0,
        k_ticks: 40.0,
        kappa_ticks: 20.0,
        frame: Frame { floor_ticks: 0.5, cap_ticks: 50.0, skew_cap_ticks: 25.0 },
    };

    #[test]
    fn seed_oracle_and_its_mirror() {
        assert_eq!(ticks(quotes(&SEED, 0.3, 0.25, (9_999, 10_001))), (9_984, 10_004));
        assert_eq!(ticks(quotes(&SEED, -0.3, 0.25, (9_999, 10_001))), (9_996, 10_016));
    }

    #[test]
    fn rounding_is_outward_and_ignores_noise() {
        assert_eq!(round_outward(Side::Bid, 99.84 / 0.01), Some(Price::from_ticks(9_984)));
        assert_eq!(round_outward(Side::Bid, 9_984.9), Some(Price::from_ticks(9_984)));
        assert_eq!(round_outward(Side::Ask, 9_984.1), Some(Price::from_ticks(9_985)));
        assert_eq!(round_outward(Side::Ask, f64::NAN), None);
        assert_eq!(round_outward(Side::Ask, 1e300), None);
    }

    #[test]
    fn a_skew_beyond_the_touch_is_clamped() {
        let formula = SeedFormula { kappa_ticks: 1000.0, ..SEED };
        let sides = quotes(&formula, 0.3, 0.0, (9_999, 10_001));
        assert_eq!(sides[1].price, Some(Price::from_ticks(10_000)));
        assert_eq!(sides[1].reason, SideReason::PostOnlyClamp);
    }

    #[test]
    fn filters_drop_or_enlarge_a_side() {
        let filters = Filters {
            price_min: Some(Price::from_ticks(5_000)),
            qty_min: Qty::from_lots(2),
            notional_min: Money::from_e8(10 * 100_000_000),
            ..Filters::default()
        };
        let instrument = instrument(filters);
        let bounds = Bounds {
            instrument: &instrument,
            best_bid: level(9_999),
            best_ask: level(10_001),
            position: Qty::ZERO,
            join_only: false,
            room: [Qty::from_lots(100), Qty::from_lots(1)],
        };
        let wanted = WantedQuote {
            bid_ticks: 9_990.0,
            ask_ticks: 10_010.0,
            bid_qty: Qty::from_lots(5),
            ask_qty: Qty::from_lots(5),
            half_spread_ticks: 10.0,
            floor_bound: false,
        };
        let sides = bound(&wanted, &bounds);
        // One lot of 0.01 at 99.90 is worth 0.999: ten quote units need eleven lots.
        assert_eq!(sides[0].qty, Qty::from_lots(11));
        assert_eq!((sides[1].price, sides[1].reason), (None, SideReason::Filter), "no room for the least order");
        let low = WantedQuote { bid_ticks: 4_000.0, ..wanted };
        assert_eq!(bound(&low, &bounds)[0].reason, SideReason::Filter);
        let none = WantedQuote { bid_qty: Qty::ZERO, ..wanted };
        assert_eq!(bound(&none, &bounds)[0].reason, SideReason::NoEdge);
    }

    proptest! {
        #[test]
        fn quotes_never_cross_and_lean_against_the_position(
            bid in 100_i64..1_000_000,
            spread in 1_i64..200,
            base in 0.0_f64..50.0,
            k in 0.0_f64..100.0,
            kappa in 0.0_f64..5000.0,
            tau in 0.0_f64..1.0,
            position in -1.0_f64..1.0,
            step in 0.0_f64..0.5,
        ) {
            let touch = (bid, bid + spread);
            let frame = Frame { floor_ticks: 0.5, cap_ticks: 90.0, skew_cap_ticks: 90.0 };
            let formula = SeedFormula { base_ticks: base, k_ticks: k, kappa_ticks: kappa, frame };
            let sides = quotes(&formula, position, tau, touch);
            let more = quotes(&formula, position + step, tau, touch);
            let (lower, upper) = (sides[0].price, sides[1].price);
            if let (Some(lower), Some(upper)) = (lower, upper) {
                prop_assert!(lower < upper);
            }
            if let Some(lower) = lower {
                prop_assert!(lower.ticks() < touch.1 && lower.ticks() > 0);
                prop_assert!(more[0].price.is_none_or(|price| price <= lower), "a longer position must not raise the bid");
            }
            if let Some(upper) = upper {
                prop_assert!(upper.ticks() > touch.0);
                prop_assert!(more[1].price.is_none_or(|price| price <= upper), "a longer position must not raise the ask");
            }
            // Before the clamps toxicity only widens.
            let calm = formula.quote(1000.0, position, [tau * 0.5; 2]);
            let toxic = formula.quote(1000.0, position, [tau; 2]);
            prop_assert!(toxic.ask_ticks - toxic.bid_ticks >= calm.ask_ticks - calm.bid_ticks);
        }
    }
}
