//! The five streams of messages, made once with the reference matcher at hand and sent to every engine alike.
//!
//! All mix passive orders, cancels of a random live order and marketable orders; ids are spread over 64 bits. What
//! differs is the shape of the book: dense and small, dense and large, sparse over 10^9 ticks, a mid that jumps by a
//! quarter, and one order a level swept by the thousand.

use super::engine::{CANCEL, Message, PLACE};
use super::reference::{Digest, Reference};
use crate::random::{Random, mix};

/// A stream and what the rules make of it.
pub struct Workload {
    pub name: &'static str,
    /// Passive orders that build the book.
    pub fill: Vec<Message>,
    /// Measured in one go.
    pub messages: Vec<Message>,
    /// Measured one by one, after those.
    pub single: Vec<Message>,
    /// The trades of the first so many messages, fill excluded.
    pub digests: Vec<(usize, Digest)>,
    /// Room that an engine needs, a little spared.
    pub orders: u32,
    pub levels: u32,
    /// Resting after the fill.
    pub live: usize,
}

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound as u64) as i64
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// 50 ticks a side, denser towards the touch.
    Real,
    /// As `Real`, half of the orders over 5 000 ticks.
    Deep,
    /// Uniform over 5 x 10^8 ticks a side; the mid and the reach of takers move in steps of 10^5.
    Wide,
    /// As `Real`; every 10 000 messages the mid jumps to another of -25 %, 0, +25 %, through whatever rests between.
    Swing,
    /// Uniform over 5 000 ticks a side; every 1 000 messages one order takes 100 to 2 000 levels.
    Sweep,
}

const SHAPES: [(&str, Shape, usize); 5] = [
    ("real_10k", Shape::Real, 10_000),
    ("deep_1m", Shape::Deep, 1_000_000),
    ("wide", Shape::Wide, 10_000),
    ("swing", Shape::Swing, 10_000),
    ("sweep", Shape::Sweep, 10_000),
];

/// Names, in the order of the report.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|(name, ..)| *name)
}

/// Makes a workload of `count` messages for one go and `singles` after them; `heads` are the lengths, in messages of both
/// kinds, for which a digest is wanted too.
pub fn make(name: &str, count: usize, singles: usize, heads: &[usize]) -> Workload {
    let (name, shape, live) = *SHAPES.iter().find(|(known, ..)| *known == name).expect("a workload");
    let mut maker = Maker {
        shape,
        target: live,
        random: Random(0x9E37_79B9_7F4A_7C15 ^ 42),
        book: Reference::default(),
        mid: 0,
        ids: 0,
    };
    maker.mid = maker.home();
    let fill: Vec<Message> = (0..live).map(|_| maker.passive()).collect();
    assert_eq!(maker.book.live(), live, "nothing trades while the book is filled");
    let total = count + singles;
    let mut messages = Vec::with_capacity(total);
    let mut digests = Vec::new();
    while messages.len() < total {
        let message = maker.message(messages.len());
        messages.push(message);
        if heads.contains(&messages.len()) || messages.len() == total {
            digests.push((messages.len(), maker.book.digest));
        }
    }
    let spared = |peak: usize| (peak + peak / 64 + 16) as u32;
    let (orders, levels) = (spared(maker.book.orders_peak), spared(maker.book.levels_peak));
    let single = messages.split_off(count);
    Workload { name, fill, messages, single, digests, orders, levels, live }
}

struct Maker {
    shape: Shape,
    target: usize,
    random: Random,
    book: Reference,
    mid: i64,
    ids: u64,
}

impl Maker {
    fn home(&self) -> i64 {
        if self.shape == Shape::Wide { 1_000_000_000 } else { 100_000 }
    }

    /// What a tick is to this shape: the distance in which things move.
    fn step(&self) -> i64 {
        if self.shape == Shape::Wide { 100_000 } else { 1 }
    }

    fn message(&mut self, at: usize) -> Message {
        if self.random.unit() < 0.05 {
            self.mid += self.step() * if self.random.unit() < 0.5 { -1 } else { 1 };
        }
        match self.shape {
            Shape::Swing if at % 10_000 == 9_999 => return self.jump(),
            Shape::Sweep if at % 1_000 == 999 => return self.sweep(),
            _ => {}
        }
        let act = self.random.unit();
        if self.shape == Shape::Sweep || self.book.live() * 10 < self.target * 9 {
            // What a sweep has taken is put back first.
            let places = if self.book.live() < self.target { 0.9 } else { 0.5 };
            return if act < places { self.passive() } else { self.cancel() };
        }
        // Takers find little in a sparse book: cancels alone must keep its size.
        let passive = if self.shape == Shape::Wide && self.book.live() > self.target { 0.40 } else { 0.55 };
        if act < passive {
            self.passive()
        } else if act < 0.90 {
            self.cancel()
        } else {
            self.aggressive()
        }
    }

    fn passive(&mut self) -> Message {
        let side = self.side();
        let away = match self.shape {
            Shape::Wide => 1 + self.random.below(500_000_000),
            Shape::Sweep => 1 + self.random.below(5_000),
            Shape::Deep if self.random.unit() < 0.5 => 1 + (5_000.0 * self.random.unit().powi(2)) as i64,
            _ => 1 + (50.0 * self.random.unit().powi(2)) as i64,
        };
        let wanted = self.mid - sign(side) * away;
        let price = match self.book.best(1 - side) {
            Some(touch) if side == 0 => wanted.min(touch - 1),
            Some(touch) => wanted.max(touch + 1),
            None => wanted,
        };
        let qty = 1 + self.random.below(100);
        self.place(side, price, qty)
    }

    fn aggressive(&mut self) -> Message {
        let (bid, ask) = (self.book.best(0), self.book.best(1));
        // Mostly towards the mid, so that the touch follows it.
        let touch = bid.unwrap_or(self.mid) + ask.unwrap_or(self.mid);
        let towards = u8::from(touch > 2 * self.mid);
        let side = if self.random.unit() < 0.75 { towards } else { 1 - towards };
        let reach = self.random.below(10) * self.step();
        let price = self.book.best(1 - side).unwrap_or(self.mid) + sign(side) * reach;
        let most = if self.book.live() > self.target { 400 } else { 100 };
        let qty = 1 + self.random.below(most);
        self.place(side, price, qty)
    }

    fn jump(&mut self) -> Message {
        let home = self.home();
        let places = [home - home / 4, home, home + home / 4];
        let next = places[self.random.below(3) as usize];
        self.mid = if next == self.mid { home } else { next };
        let side = u8::from(self.book.best(0).is_some_and(|bid| bid > self.mid));
        let qty = self.book.qty_within(1 - side, self.mid).max(1);
        self.place(side, self.mid, qty)
    }

    fn sweep(&mut self) -> Message {
        let side = self.side();
        let levels = 100 + self.random.below(1_900) as usize;
        let (price, qty) = self.book.depth(1 - side, levels).unwrap_or((self.mid, 1));
        self.place(side, price, qty)
    }

    fn cancel(&mut self) -> Message {
        if self.book.live() == 0 {
            return self.passive();
        }
        let id = self.book.live_at(self.random.next() as usize % self.book.live());
        self.book.cancel(id);
        Message { id, action: CANCEL, ..Message::default() }
    }

    fn place(&mut self, side: u8, price: i64, qty: i64) -> Message {
        self.ids += 1;
        let id = mix(self.ids);
        self.book.place(id, side, price, qty);
        Message { id, price, qty, action: PLACE, side, ..Message::default() }
    }

    fn side(&mut self) -> u8 {
        u8::from(self.random.unit() < 0.5)
    }
}

fn sign(side: u8) -> i64 {
    if side == 0 { 1 } else { -1 }
}
