//! The updates that everybody applies: two markets of splitmix64's, and recorded ones.
//!
//! - `l2`: a thousand levels a side around a mid of 500 000 ticks. The mid moves a tick with one change of twenty, and the
//!   touch with it; other changes are of a level `floor(1000 u²)` ticks behind the touch of either side: a free one is
//!   taken by up to 200 lots, four of ten that stand go, the others gain or lose up to half. Seed 42.
//! - `wide`: the same around a mid of 5 000 000 ticks, but one change of ten lies at a round hundred ticks up to 400 000
//!   behind the touch, `floor(400000 u²)`. Seed 43.
//! - `recorded`: the first symbol of recorded files, from its first snapshot on.

use touchline::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Side, Symbol, format_e8};

use super::books::SortedMap;
use crate::random::Random;

const DEPTH: i64 = 1_000;

/// What rests at a price from now on, in a book's own numbers.
#[derive(Clone, Copy)]
pub struct Update<N> {
    pub side: Side,
    pub price: N,
    pub qty: N,
}

pub struct Workload {
    pub name: &'static str,
    pub instrument: Instrument,
    /// So many of the updates fill the book before the time runs.
    pub filled: usize,
    /// Ticks and lots.
    pub exact: Vec<Update<i64>>,
    /// The same in money.
    pub floats: Vec<Update<f64>>,
    /// How many updates there are at the end of each message.
    pub ends: Vec<usize>,
    /// Ticks that a book with bounds is made for.
    pub bounds: [i64; 2],
    /// The same in the venue's words, without those that fill the book.
    text: String,
    texts: Vec<Text>,
}

/// Where an update's words lie in the text.
struct Text {
    at: usize,
    price: u8,
    qty: u8,
    side: Side,
}

impl Workload {
    /// The updates while the time runs.
    pub fn updates(&self) -> usize {
        self.exact.len() - self.filled
    }

    /// The updates while the time runs, in the venue's words: side, price, quantity.
    #[inline]
    pub fn texts(&self) -> impl Iterator<Item = (Side, &str, &str)> {
        self.texts.iter().map(|text| {
            let until = text.at + usize::from(text.price);
            (text.side, &self.text[text.at..until], &self.text[until..until + usize::from(text.qty)])
        })
    }
}

/// The market in which most happens near the touch.
pub fn l2(updates: usize) -> Result<Workload, String> {
    synthetic("l2", 42, 500_000, updates, |random, touch, side| touch - side.sign() * behind(random, DEPTH))
}

/// The market in which some happens far from it.
pub fn wide(updates: usize) -> Result<Workload, String> {
    synthetic("wide", 43, 5_000_000, updates, |random, touch, side| {
        if random.share_of(10) != 0 {
            return touch - side.sign() * behind(random, DEPTH);
        }
        let far = touch - side.sign() * (100 + behind(random, 400_000));
        far - far % 100
    })
}

fn behind(random: &mut Random, depth: i64) -> i64 {
    let u = random.unit();
    (depth as f64 * u * u) as i64
}

fn synthetic(
    name: &'static str,
    seed: u64,
    mid: i64,
    updates: usize,
    price: impl Fn(&mut Random, i64, Side) -> i64,
) -> Result<Workload, String> {
    let symbol = |text| Symbol::new(text).map_err(|error| error.to_string());
    let (symbol, base, quote) = (symbol("BTCUSDT")?, symbol("BTC")?, symbol("USDT")?);
    let spec =
        InstrumentSpec { symbol, base, quote, tick_e8: 10_000_000, lot_e8: 100_000, filters: Filters::default() };
    let mut stream = Stream::default();
    let (mut random, mut mid) = (Random(seed), mid);
    // The mid itself stays free.
    let touch = |mid: i64, side: Side| mid - side.sign();
    let whole = |random: &mut Random| 1 + random.share_of(200) as i64;
    for depth in 0..DEPTH {
        for side in Side::BOTH {
            stream.set(side, touch(mid, side) - side.sign() * depth, whole(&mut random));
        }
    }
    stream.end_message();
    let filled = stream.updates.len();
    while stream.updates.len() < filled + updates {
        if random.share_of(20) == 0 {
            // One side makes room, the other follows.
            let follows = random.side();
            let leaves = touch(mid, follows.opposite());
            mid += follows.sign();
            stream.set(follows.opposite(), leaves, 0);
            stream.set(follows, touch(mid, follows), whole(&mut random));
        } else {
            let side = random.side();
            let price = price(&mut random, touch(mid, side), side);
            let standing = stream.book.lots_at(side, price);
            let qty = if standing == 0 {
                whole(&mut random)
            } else if random.share_of(10) < 4 {
                0
            } else {
                (standing + random.share_of(standing as u64 + 1) as i64 - standing / 2).max(1)
            };
            stream.set(side, price, qty);
        }
        stream.end_message();
    }
    Ok(stream.workload(name, Instrument::new(InstrumentId(0), spec), filled))
}

/// Updates and where their messages end, with the book that they come to.
#[derive(Default)]
pub struct Stream {
    pub book: SortedMap,
    pub updates: Vec<Update<i64>>,
    ends: Vec<usize>,
}

impl Stream {
    pub fn set(&mut self, side: Side, price: i64, qty: i64) {
        self.book.set(side, price, qty);
        self.updates.push(Update { side, price, qty });
    }

    pub fn end_message(&mut self) {
        self.ends.push(self.updates.len());
    }

    /// With the venue's words and floating point numbers beside the exact ones.
    pub fn workload(self, name: &'static str, instrument: Instrument, filled: usize) -> Workload {
        let Stream { updates: exact, ends, .. } = self;
        let mut floats = Vec::with_capacity(exact.len());
        let (mut text, mut texts) = (String::new(), Vec::with_capacity(exact.len() - filled));
        let number = |text: &str| text.parse::<f64>().expect("a number");
        for (place, &Update { side, price, qty }) in exact.iter().enumerate() {
            let at = text.len();
            format_e8(price * instrument.spec.tick_e8, &mut text);
            let until = text.len();
            format_e8(qty * instrument.spec.lot_e8, &mut text);
            floats.push(Update { side, price: number(&text[at..until]), qty: number(&text[until..]) });
            if place < filled {
                text.truncate(at);
            } else {
                texts.push(Text { at, price: (until - at) as u8, qty: (text.len() - until) as u8, side });
            }
        }
        // A tenth of the price each way, as one would choose who knows nothing of the day.
        let mid = exact.first().map_or(0, |update| update.price);
        let bounds = [mid - mid / 10, mid + mid / 10];
        Workload { name, instrument, filled, exact, floats, ends, bounds, text, texts }
    }
}
