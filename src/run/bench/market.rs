//! The ticks of a latency run: a book that steps far enough for its orders to tell which tick they answer.
//!
//! Ten levels a side, half a unit of quote currency apart. Each tick moves the mid by two to five levels and states
//! twenty levels: those that leave, those that come, and changed quantities for the rest. Pure: the time is handed in.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The one instrument of a run.
pub const SYMBOL: &str = "BTCUSDT";
/// Distance of two levels, in 1e-8 of the quote currency.
pub const LEVEL_E8: i64 = 50_000_000;
/// How far from the mid every maker here lays its orders, in 1e-8.
pub const HALF_SPREAD_E8: i64 = 300_000_000;

/// Levels of a side.
const LEVELS: i64 = 10;
/// Levels stated by a tick.
const STATED: i64 = 20;
/// Where the mid begins, in levels, and how far it strays.
const START: i64 = 130_000;
const STRAYS: i64 = 100;

/// The market.
#[derive(Clone, Debug)]
pub struct Market {
    random: u64,
    mid: i64,
    update_id: u64,
    /// Quantity in 1e-5 by level; the mid's own level is empty.
    levels: BTreeMap<i64, i64>,
    text: String,
}

impl Market {
    /// A market that depends on `seed` alone.
    pub fn new(seed: u64) -> Market {
        let mut market =
            Market { random: seed, mid: START, update_id: 1_000, levels: BTreeMap::new(), text: String::new() };
        for level in (START - LEVELS..=START + LEVELS).filter(|level| *level != START) {
            let qty = market.qty();
            market.levels.insert(level, qty);
        }
        market
    }

    /// The mid, in 1e-8.
    pub fn mid_e8(&self) -> i64 {
        self.mid * LEVEL_E8
    }

    /// The levels of both sides, in 1e-8, for tests: bids from the best, asks from the best.
    #[cfg(test)]
    pub fn sides_e8(&self) -> [Vec<(i64, i64)>; 2] {
        let e8 = |(level, qty): (&i64, &i64)| (level * LEVEL_E8, qty * 1_000);
        [self.levels.range(..self.mid).rev().map(e8).collect(), self.levels.range(self.mid..).map(e8).collect()]
    }

    /// Moves, and returns the diff as the combined stream sends it. `event_ms` is its event time.
    pub fn tick(&mut self, event_ms: u64) -> &str {
        let steps = 2 + (self.next() % 4) as i64;
        let stays = self.mid - START;
        let up = if stays.abs() + steps > STRAYS { stays < 0 } else { self.next().is_multiple_of(2) };
        let (old, new) = (self.mid, self.mid + if up { steps } else { -steps });
        let inside = |mid: i64, level: i64| level != mid && (level - mid).abs() <= LEVELS;
        // What leaves is stated with nothing, on the side that it was on; what comes with its quantity.
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        let all = old.min(new) - LEVELS..=old.max(new) + LEVELS;
        let crossed = |level: i64| (level < old) != (level < new);
        for level in all.clone() {
            let (was, is) = (inside(old, level), inside(new, level));
            if was && (!is || crossed(level)) {
                if level < old { &mut bids } else { &mut asks }.push((level, 0));
            }
        }
        let mut change = STATED - 4 * steps;
        for level in all {
            let (was, is) = (inside(old, level), inside(new, level));
            let comes = is && (!was || crossed(level));
            let stays = is && !comes && change > 0;
            if comes || stays {
                change -= i64::from(stays);
                let qty = self.qty();
                if level < new { &mut bids } else { &mut asks }.push((level, qty));
            }
        }
        for (level, qty) in bids.iter().chain(&asks) {
            if *qty == 0 {
                self.levels.remove(level);
            }
        }
        self.levels.extend(bids.iter().chain(&asks).copied().filter(|(_, qty)| *qty > 0));
        self.mid = new;
        let first = self.update_id + 1;
        self.update_id += STATED as u64;
        bids.sort_unstable_by_key(|(level, _)| std::cmp::Reverse(*level));
        asks.sort_unstable();
        self.text.clear();
        let _ = write!(
            self.text,
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{event_ms},"s":"{SYMBOL}","U":{first},"u":{},"b":"#,
            self.update_id
        );
        put_levels(&bids, &mut self.text);
        self.text.push_str(r#","a":"#);
        put_levels(&asks, &mut self.text);
        self.text.push_str("}}");
        &self.text
    }

    /// The whole book as `GET /api/v3/depth` answers.
    pub fn snapshot(&self) -> String {
        let mut text = format!(r#"{{"lastUpdateId":{},"bids":"#, self.update_id);
        let side = |levels: &mut dyn Iterator<Item = (&i64, &i64)>| levels.map(|(l, q)| (*l, *q)).collect::<Vec<_>>();
        put_levels(&side(&mut self.levels.range(..self.mid).rev()), &mut text);
        text.push_str(r#","asks":"#);
        put_levels(&side(&mut self.levels.range(self.mid..)), &mut text);
        text.push('}');
        text
    }

    fn qty(&mut self) -> i64 {
        100_000 + (self.next() % 200_000) as i64
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

fn put_levels(levels: &[(i64, i64)], text: &mut String) {
    text.push('[');
    for (index, (level, qty)) in levels.iter().enumerate() {
        let (price, comma) = (level * LEVEL_E8, if index == 0 { "" } else { "," });
        let _ = write!(
            text,
            r#"{comma}["{}.{:08}","{}.{:05}000"]"#,
            price / 100_000_000,
            price % 100_000_000,
            qty / 100_000,
            qty % 100_000
        );
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_states_twenty_levels_and_moves_the_mid_by_a_unit_or_more() {
        let mut market = Market::new(7);
        for _ in 0..2000 {
            let before = market.mid_e8();
            let text = market.tick(5).to_owned();
            let data: serde_json::Value = serde_json::from_str(&text).unwrap();
            let count = |side: &str| data["data"][side].as_array().unwrap().len();
            assert_eq!(count("b") + count("a"), 20, "{text}");
            assert!((market.mid_e8() - before).abs() >= 2 * LEVEL_E8);
            let [bids, asks] = market.sides_e8();
            assert_eq!((bids.len(), asks.len()), (10, 10));
            assert_eq!((bids[0].0 + asks[0].0) / 2, market.mid_e8());
            assert!((market.mid_e8() / LEVEL_E8 - START).abs() <= STRAYS + 5);
        }
    }
}
