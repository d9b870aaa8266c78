//! The books: how each is told of a level and asked for its best, and how it is checked and timed.

use std::collections::BTreeMap;
use std::hint::black_box;

use hftbacktest::depth::{BTreeMarketDepth, HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth};
use touchline::book::ArenaBook;
use touchline::types::{Instrument, Price, Qty, Side};

use super::workload::{Update, Workload};
use crate::machine::{allocations, cpu_seconds};

/// One who is measured.
pub struct Contestant {
    pub name: &'static str,
    pub is_ours: bool,
    /// Whether its best bid and ask are the sorted map's after each message, and its levels at the end.
    pub check: fn(&Workload) -> bool,
    pub time: fn(&Workload) -> Figure,
}

/// What one round took.
pub struct Figure {
    pub ns_per_update: f64,
    pub allocations: u64,
}

/// In the order of a round.
pub fn all() -> Vec<Contestant> {
    vec![
        contestant::<ArenaBook>("touchline", time_native::<ArenaBook>),
        contestant::<ROIVectorMarketDepth>("hftbacktest_roi", time_native::<ROIVectorMarketDepth>),
        contestant::<HashMapMarketDepth>("hftbacktest_hash", time_native::<HashMapMarketDepth>),
        contestant::<BTreeMarketDepth>("hftbacktest_btree", time_native::<BTreeMarketDepth>),
        contestant::<SortedMap>("sorted_map", time_native::<SortedMap>),
        contestant::<ArenaBook>("touchline_text", time_text::<ArenaBook>),
        contestant::<ROIVectorMarketDepth>("hftbacktest_roi_text", time_text::<ROIVectorMarketDepth>),
        contestant::<HashMapMarketDepth>("hftbacktest_hash_text", time_text::<HashMapMarketDepth>),
        contestant::<BTreeMarketDepth>("hftbacktest_btree_text", time_text::<BTreeMarketDepth>),
    ]
}

fn contestant<B: Book>(name: &'static str, time: fn(&Workload) -> Figure) -> Contestant {
    Contestant { name, is_ours: name.starts_with("touchline"), check: check::<B>, time }
}

/// What a book takes prices and quantities in.
trait Number: Copy {
    /// The workload in it.
    fn updates(workload: &Workload) -> &[Update<Self>];
    /// A price and a quantity of the venue's text.
    fn parse(price: &str, qty: &str, instrument: &Instrument) -> (Self, Self);
}

impl Number for i64 {
    fn updates(workload: &Workload) -> &[Update<i64>] {
        &workload.exact
    }

    #[inline(always)]
    fn parse(price: &str, qty: &str, instrument: &Instrument) -> (i64, i64) {
        let price = instrument.price_from_text(price.as_bytes()).expect("a price of the instrument");
        let qty = instrument.qty_from_text(qty.as_bytes()).expect("a quantity of the instrument");
        (price.ticks(), qty.lots())
    }
}

impl Number for f64 {
    fn updates(workload: &Workload) -> &[Update<f64>] {
        &workload.floats
    }

    #[inline(always)]
    fn parse(price: &str, qty: &str, _: &Instrument) -> (f64, f64) {
        (price.parse().expect("a number"), qty.parse().expect("a number"))
    }
}

trait Book {
    type Number: Number;

    fn new(workload: &Workload) -> Self;
    fn set(&mut self, side: Side, price: Self::Number, qty: Self::Number);
    /// Ticks of the best bid and ask; `i64::MIN` and `i64::MAX` where there is none.
    fn bests(&self) -> [i64; 2];
    /// Lots at a price.
    fn lots_at(&self, side: Side, tick: i64) -> i64;
}

impl Book for ArenaBook {
    type Number = i64;

    fn new(_: &Workload) -> ArenaBook {
        ArenaBook::new()
    }

    #[inline(always)]
    fn set(&mut self, side: Side, price: i64, qty: i64) {
        ArenaBook::set(self, side, Price::from_ticks(price), Qty::from_lots(qty));
    }

    #[inline(always)]
    fn bests(&self) -> [i64; 2] {
        let tick = |side, none| self.best(side).map_or(none, |level| level.price.ticks());
        [tick(Side::Bid, i64::MIN), tick(Side::Ask, i64::MAX)]
    }

    fn lots_at(&self, side: Side, tick: i64) -> i64 {
        self.qty_at(side, Price::from_ticks(tick)).lots()
    }
}

/// One of hftbacktest's, which differ in how they are made.
macro_rules! hftbacktest_book {
    ($book:ty, $new:expr) => {
        impl Book for $book {
            type Number = f64;

            fn new(workload: &Workload) -> $book {
                let (tick, lot) = (workload.instrument.tick_f64(), workload.instrument.lot_f64());
                let new: fn(f64, f64, [i64; 2]) -> $book = $new;
                new(tick, lot, workload.bounds)
            }

            #[inline(always)]
            fn set(&mut self, side: Side, price: f64, qty: f64) {
                match side {
                    Side::Bid => self.update_bid_depth(price, qty, 0),
                    Side::Ask => self.update_ask_depth(price, qty, 0),
                };
            }

            #[inline(always)]
            fn bests(&self) -> [i64; 2] {
                [self.best_bid_tick(), self.best_ask_tick()]
            }

            fn lots_at(&self, side: Side, tick: i64) -> i64 {
                let qty = match side {
                    Side::Bid => self.bid_qty_at_tick(tick),
                    Side::Ask => self.ask_qty_at_tick(tick),
                };
                (qty / self.lot_size).round() as i64
            }
        }
    };
}

hftbacktest_book!(ROIVectorMarketDepth, |tick, lot, [low, high]| {
    ROIVectorMarketDepth::new(tick, lot, low as f64 * tick, high as f64 * tick)
});
hftbacktest_book!(HashMapMarketDepth, |tick, lot, _| HashMapMarketDepth::new(tick, lot));
hftbacktest_book!(BTreeMarketDepth, |tick, lot, _| BTreeMarketDepth::new(tick, lot));

/// The book that nobody can get wrong: lots by tick, a map a side.
#[derive(Default)]
pub struct SortedMap {
    pub sides: [BTreeMap<i64, i64>; 2],
}

impl Book for SortedMap {
    type Number = i64;

    fn new(_: &Workload) -> SortedMap {
        SortedMap::default()
    }

    #[inline(always)]
    fn set(&mut self, side: Side, price: i64, qty: i64) {
        SortedMap::set(self, side, price, qty);
    }

    #[inline(always)]
    fn bests(&self) -> [i64; 2] {
        SortedMap::bests(self)
    }

    fn lots_at(&self, side: Side, tick: i64) -> i64 {
        SortedMap::lots_at(self, side, tick)
    }
}

impl SortedMap {
    #[inline(always)]
    pub fn set(&mut self, side: Side, price: i64, qty: i64) {
        let levels = &mut self.sides[side.index()];
        if qty > 0 {
            levels.insert(price, qty);
        } else {
            levels.remove(&price);
        }
    }

    #[inline(always)]
    pub fn bests(&self) -> [i64; 2] {
        let [bids, asks] = &self.sides;
        [
            bids.last_key_value().map_or(i64::MIN, |(tick, _)| *tick),
            asks.first_key_value().map_or(i64::MAX, |(tick, _)| *tick),
        ]
    }

    pub fn lots_at(&self, side: Side, tick: i64) -> i64 {
        self.sides[side.index()].get(&tick).copied().unwrap_or(0)
    }
}

fn check<B: Book>(workload: &Workload) -> bool {
    let (mut book, mut map) = (B::new(workload), SortedMap::default());
    let mut updates = B::Number::updates(workload).iter().zip(&workload.exact).enumerate();
    for &end in &workload.ends {
        for (at, (native, exact)) in updates.by_ref() {
            book.set(native.side, native.price, native.qty);
            map.set(exact.side, exact.price, exact.qty);
            if at + 1 == end {
                break;
            }
        }
        if book.bests() != map.bests() {
            return false;
        }
    }
    workload.exact.iter().all(|update| {
        let Update { side, price, .. } = *update;
        book.lots_at(side, price) == map.lots_at(side, price)
    })
}

/// Makes a book, fills it, and times what `play` does with it.
fn time<B: Book>(workload: &Workload, play: impl FnOnce(&mut B) -> i64) -> Figure {
    let mut book = B::new(workload);
    for update in &B::Number::updates(workload)[..workload.filled] {
        book.set(update.side, update.price, update.qty);
    }
    let (allocated, begun) = (allocations(), cpu_seconds());
    black_box(play(black_box(&mut book)));
    let (seconds, allocated) = (cpu_seconds() - begun, allocations() - allocated);
    Figure { ns_per_update: seconds * 1e9 / workload.updates() as f64, allocations: allocated }
}

fn time_native<B: Book>(workload: &Workload) -> Figure {
    let updates = &B::Number::updates(workload)[workload.filled..];
    time::<B>(workload, |book| play_native(book, updates))
}

fn time_text<B: Book>(workload: &Workload) -> Figure {
    time::<B>(workload, |book| play_text(book, workload))
}

#[inline(never)]
fn play_native<B: Book>(book: &mut B, updates: &[Update<B::Number>]) -> i64 {
    let mut sum = 0_i64;
    for update in updates {
        book.set(update.side, update.price, update.qty);
        let [bid, ask] = book.bests();
        sum = sum.wrapping_add(bid).wrapping_add(ask);
    }
    sum
}

#[inline(never)]
fn play_text<B: Book>(book: &mut B, workload: &Workload) -> i64 {
    let mut sum = 0_i64;
    for (side, price, qty) in workload.texts() {
        let (price, qty) = B::Number::parse(price, qty, &workload.instrument);
        book.set(side, price, qty);
        let [bid, ask] = book.bests();
        sum = sum.wrapping_add(bid).wrapping_add(ask);
    }
    sum
}
