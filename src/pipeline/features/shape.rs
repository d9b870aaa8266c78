//! What one look at the book says: imbalance and weighted mid.
//!
//! Pure functions over levels of others. Formulas: quant.md 2.1 to 2.3. A missing side gives `None`, never a number.

use crate::types::{Level, Qty};

/// An imbalance and how many levels a side it was made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imbalance {
    /// -1 (all asks) to 1 (all bids).
    pub value: f64,
    /// Levels that were there, of those asked for, on the side with fewer.
    pub levels_used: usize,
}

/// Imbalance of the best `depth` populated levels; `None` when a side is empty or nothing rests.
pub fn imbalance(bids: &[Level], asks: &[Level], depth: usize) -> Option<Imbalance> {
    let (bids, asks) = (&bids[..bids.len().min(depth)], &asks[..asks.len().min(depth)]);
    if bids.is_empty() || asks.is_empty() {
        return None;
    }
    let sum = |levels: &[Level]| levels.iter().map(|level| level.qty.lots() as f64).sum::<f64>();
    let (bid, ask) = (sum(bids), sum(asks));
    let all = bid + ask;
    (all > 0.0).then(|| Imbalance { value: (bid - ask) / all, levels_used: bids.len().min(asks.len()) })
}

/// The mid in ticks weighted crosswise: a heavy bid pushes it towards the ask.
pub fn weighted_mid_ticks(bid: Level, ask: Level) -> Option<f64> {
    let (bid_qty, ask_qty) = (bid.qty.lots() as f64, ask.qty.lots() as f64);
    let all = bid_qty + ask_qty;
    if bid.qty <= Qty::ZERO || ask.qty <= Qty::ZERO {
        return None;
    }
    Some((bid.price.ticks() as f64 * ask_qty + ask.price.ticks() as f64 * bid_qty) / all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Price;

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    #[test]
    fn oracles() {
        assert_eq!(imbalance(&[level(100, 5)], &[level(101, 3)], 1).unwrap().value, 0.25);
        assert_eq!(weighted_mid_ticks(level(100, 5), level(101, 3)), Some(100.625));
        assert_eq!(imbalance(&[], &[level(101, 3)], 1), None);
        assert_eq!(imbalance(&[level(100, 5)], &[level(101, 3)], 5).unwrap().levels_used, 1);
    }

    proptest! {
        #[test]
        fn swapping_sides_negates_and_scaling_changes_nothing(
            bids in prop::collection::vec(1_i64..1000, 1..6),
            asks in prop::collection::vec(1_i64..1000, 1..6),
            depth in 1_usize..6,
            scale in 2_i64..100,
        ) {
            let levels = |qtys: &[i64], factor: i64| -> Vec<Level> {
                qtys.iter().map(|qty| level(100, qty * factor)).collect()
            };
            let value = imbalance(&levels(&bids, 1), &levels(&asks, 1), depth).unwrap().value;
            let swapped = imbalance(&levels(&asks, 1), &levels(&bids, 1), depth).unwrap().value;
            let scaled = imbalance(&levels(&bids, scale), &levels(&asks, scale), depth).unwrap().value;
            prop_assert!((-1.0..=1.0).contains(&value));
            prop_assert_eq!(value, -swapped);
            prop_assert!((value - scaled).abs() < 1e-12);
        }

        #[test]
        fn weighted_mid_lies_between_the_best_prices(spread in 1_i64..100, bid in 1_i64..1000, ask in 1_i64..1000) {
            let weighted = weighted_mid_ticks(level(1000, bid), level(1000 + spread, ask)).unwrap();
            prop_assert!(weighted >= 1000.0 && weighted <= (1000 + spread) as f64);
            let even = weighted_mid_ticks(level(1000, bid), level(1000 + spread, bid)).unwrap();
            prop_assert!((even - (1000.0 + spread as f64 / 2.0)).abs() < 1e-9);
        }
    }
}
