//! The matcher that says what is right: ordered maps all the way, written to be believed rather than to be fast.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::engine::BID;

/// A trade as the rules demand it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    pub maker_id: u64,
    pub taker_id: u64,
    pub price: i64,
    pub qty: i64,
}

/// A digest of a stream of trades: order matters, as it does to those who traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub trades: u64,
    pub qty: i64,
    /// Over prices and quantities.
    pub prices: u64,
    /// Over prices, quantities and both ids.
    pub orders: u64,
}

impl Digest {
    pub fn add(&mut self, trade: &Trade) {
        fn fold(state: u64, word: u64) -> u64 {
            (state.rotate_left(5) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93)
        }
        self.trades += 1;
        self.qty = self.qty.wrapping_add(trade.qty);
        self.prices = fold(fold(self.prices, trade.price as u64), trade.qty as u64);
        for word in [trade.maker_id, trade.taker_id, trade.price as u64, trade.qty as u64] {
            self.orders = fold(self.orders, word);
        }
    }
}

#[derive(Default)]
struct Level {
    qty: i64,
    /// By arrival.
    queue: BTreeMap<u64, (u64, i64)>,
}

/// The ids of the workloads are spread evenly already.
#[derive(Default)]
struct Even(u64);

impl Hasher for Even {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("ids are written whole");
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

struct Place {
    side: usize,
    price: i64,
    arrival: u64,
    /// Where in `live`.
    at: usize,
}

/// The book of the rules, and the live orders as a list to draw from.
#[derive(Default)]
pub struct Reference {
    sides: [BTreeMap<i64, Level>; 2],
    places: HashMap<u64, Place, BuildHasherDefault<Even>>,
    live: Vec<u64>,
    arrivals: u64,
    pub levels_peak: usize,
    pub orders_peak: usize,
    pub digest: Digest,
}

impl Reference {
    pub fn live(&self) -> usize {
        self.live.len()
    }

    pub fn live_at(&self, at: usize) -> u64 {
        self.live[at]
    }

    pub fn best(&self, side: u8) -> Option<i64> {
        let levels = &self.sides[usize::from(side)];
        if side == BID { levels.last_key_value() } else { levels.first_key_value() }.map(|(price, _)| *price)
    }

    /// The price of a side's level number `levels` from the touch, or its last, and all that rests up to it.
    pub fn depth(&self, side: u8, levels: usize) -> Option<(i64, i64)> {
        let all = self.sides[usize::from(side)].iter();
        let add = |(_, sum): (i64, i64), (price, level): (&i64, &Level)| (*price, sum + level.qty);
        self.best(side)?;
        Some(if side == BID { all.rev().take(levels).fold((0, 0), add) } else { all.take(levels).fold((0, 0), add) })
    }

    /// All that a taker of the other side with that limit would meet.
    pub fn qty_within(&self, side: u8, limit: i64) -> i64 {
        let levels = &self.sides[usize::from(side)];
        let sum = |range: &mut dyn Iterator<Item = &Level>| range.map(|level| level.qty).sum();
        if side == BID {
            sum(&mut levels.range(limit..).map(|(_, level)| level))
        } else {
            sum(&mut levels.range(..=limit).map(|(_, level)| level))
        }
    }

    /// A limit order that stays until cancelled.
    pub fn place(&mut self, id: u64, side: u8, price: i64, qty: i64) {
        assert!(qty > 0 && !self.places.contains_key(&id), "the workloads send nothing that is refused");
        let mut remaining = qty;
        let other = 1 - usize::from(side);
        while remaining > 0 {
            let Some(touch) = self.best(other as u8) else { break };
            if if side == BID { touch > price } else { touch < price } {
                break;
            }
            let level = self.sides[other].get_mut(&touch).expect("the best level");
            let mut first = level.queue.first_entry().expect("no level is empty");
            let (maker_id, maker_qty) = *first.get();
            let qty = remaining.min(maker_qty);
            remaining -= qty;
            level.qty -= qty;
            first.get_mut().1 -= qty;
            if maker_qty == qty {
                first.remove();
                if level.queue.is_empty() {
                    self.sides[other].remove(&touch);
                }
                self.forget(maker_id);
            }
            self.digest.add(&Trade { maker_id, taker_id: id, price: touch, qty });
        }
        if remaining > 0 {
            self.arrivals += 1;
            let level = self.sides[usize::from(side)].entry(price).or_default();
            level.qty += remaining;
            level.queue.insert(self.arrivals, (id, remaining));
            let place = Place { side: usize::from(side), price, arrival: self.arrivals, at: self.live.len() };
            self.places.insert(id, place);
            self.live.push(id);
            self.orders_peak = self.orders_peak.max(self.live.len());
            self.levels_peak = self.levels_peak.max(self.sides[0].len() + self.sides[1].len());
        }
    }

    pub fn cancel(&mut self, id: u64) {
        let place = self.forget(id);
        let level = self.sides[place.side].get_mut(&place.price).expect("a live order has a level");
        let (_, qty) = level.queue.remove(&place.arrival).expect("a live order is in its queue");
        level.qty -= qty;
        if level.queue.is_empty() {
            self.sides[place.side].remove(&place.price);
        }
    }

    fn forget(&mut self, id: u64) -> Place {
        let place = self.places.remove(&id).expect("a live order");
        self.live.swap_remove(place.at);
        if let Some(moved) = self.live.get(place.at) {
            self.places.get_mut(moved).expect("a live order").at = place.at;
        }
        place
    }
}
