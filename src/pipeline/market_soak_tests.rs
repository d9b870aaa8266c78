//! The market stage over a million messages of several symbols, a share of them faulty, beside a naive book.
//!
//! The venue's side knows which diff is the next one for each symbol, so that after every single message it is known
//! what the stage must say: a diff that fits moves the book on, an old one changes nothing, and one behind a hole ends
//! the book with that very message. A live book is compared level by level with the naive one of its update id.

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::market::MarketStage;
use super::market_tests::{instruments, level, send};
use super::sync::SyncRule;
use crate::types::{BookState, DesyncReason, DurationNs, InstrumentId, Level, Side, TimestampNs};
use crate::wire::{DepthBuf, DepthKind};

const SYMBOLS: usize = 4;
/// Levels a side that the naive book has; the first symbol's lie side by side, the last one's far beyond the window
/// that the book keeps dense.
const LEVELS: usize = 24;
const STRIDES: [i64; SYMBOLS] = [1, 7, 3_000, 90_000];
/// Books that are remembered: those that the stage may still have reached when the venue is further on.
const HISTORY: usize = 64;
/// Time between two diffs of a symbol.
const CADENCE: DurationNs = DurationNs::from_millis(100);
/// The most messages of a symbol, late answers and answers in vain among them, from a fault to a live book.
const BACK_WITHIN: u64 = 50;
/// All of them, of both rules.
const MESSAGES: u64 = 1_000_000;

/// A book of the simplest kind: quantities by distance from the middle.
#[derive(Clone, Copy, PartialEq)]
struct Naive {
    last_id: u64,
    qty: [[i64; LEVELS]; 2],
}

/// One symbol as the venue has it, and what is on its way to the client.
struct Symbol {
    id: InstrumentId,
    stride: i64,
    rule: SyncRule,
    history: VecDeque<Naive>,
    /// Diffs on the wire with their numbers, counted from zero.
    wire: VecDeque<(u64, DepthBuf)>,
    made: u64,
    /// Diffs delivered of late, for duplicates.
    told: VecDeque<(u64, DepthBuf)>,
    /// Snapshots on their way: when they arrive and what they hold.
    answers: Vec<(TimestampNs, DepthBuf)>,
    /// Number of the diff that a live book takes next.
    next: u64,
    /// Messages since the book was lost.
    lost_for: u64,
}

fn price(stride: i64, side: usize, at: usize) -> i64 {
    let away = 1 + at as i64 * stride;
    if side == 0 { 10_000_000 - away } else { 10_000_000 + away }
}

impl Symbol {
    fn new(index: usize, rule: SyncRule) -> Symbol {
        let mut first = Naive { last_id: 1_000 * (1 + index as u64), qty: [[0; LEVELS]; 2] };
        first.qty[0][0] = 5;
        first.qty[1][0] = 5;
        Symbol {
            id: InstrumentId(index as u16),
            stride: STRIDES[index],
            rule,
            history: VecDeque::from([first]),
            wire: VecDeque::new(),
            made: 0,
            told: VecDeque::new(),
            answers: Vec::new(),
            next: 0,
            lost_for: 0,
        }
    }

    /// The venue's next diff goes onto the wire.
    fn make_diff(&mut self, rng: &mut ChaCha8Rng) {
        let mut book = *self.history.back().unwrap();
        let mut depth = DepthBuf::with_capacity(4);
        let skipped = if self.rule == SyncRule::Spot { 0 } else { rng.random_range(0..4) };
        depth.head.instrument = self.id;
        depth.head.prev_id = (self.rule == SyncRule::UsdM).then_some(book.last_id);
        depth.head.first_id = book.last_id + 1 + skipped;
        depth.head.last_id = depth.head.first_id + rng.random_range(0..4);
        book.last_id = depth.head.last_id;
        for (side, levels) in [(0, &mut depth.bids), (1, &mut depth.asks)] {
            for _ in 0..rng.random_range(0..4_u32) {
                let at = rng.random_range(0..LEVELS);
                // Levels that are not there are removed too, and one may come twice in a message.
                let qty = if rng.random_bool(0.4) { 0 } else { rng.random_range(1..1_000) };
                levels.push(level(price(self.stride, side, at), qty));
                book.qty[side][at] = qty;
            }
        }
        self.history.push_back(book);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        self.wire.push_back((self.made, depth));
        self.made += 1;
    }

    /// A snapshot of `back` diffs ago.
    fn snapshot(&self, back: usize) -> DepthBuf {
        let book = &self.history[self.history.len().saturating_sub(1 + back)];
        let mut depth = DepthBuf::with_capacity(LEVELS);
        depth.head.instrument = self.id;
        depth.head.kind = DepthKind::Snapshot;
        (depth.head.first_id, depth.head.last_id) = (book.last_id, book.last_id);
        for (side, levels) in [(0, &mut depth.bids), (1, &mut depth.asks)] {
            let held = (0..LEVELS).filter(|&at| book.qty[side][at] > 0);
            levels.extend(held.map(|at| level(price(self.stride, side, at), book.qty[side][at])));
        }
        depth
    }

    /// A live book is the naive one of its update id.
    fn check_book(&self, stage: &MarketStage) {
        let update_id = stage.update_id(self.id);
        let at = self.history.binary_search_by_key(&update_id, |book| book.last_id);
        let book = &self.history[at.unwrap_or_else(|_| panic!("the venue had no book {update_id}"))];
        for side in Side::BOTH {
            let index = side.index();
            let held = (0..LEVELS).filter(|&at| book.qty[index][at] > 0);
            let want = held.map(|at| level(price(self.stride, index, at), book.qty[index][at]));
            let mut count = 0;
            for (got, want) in stage.book(self.id).levels(side).zip(want) {
                assert_eq!(got, want, "{side:?} at {update_id}");
                count += 1;
            }
            assert_eq!(stage.book(self.id).level_count(side), count);
            let best: Option<Level> = stage.book(self.id).best(side);
            assert_eq!(best.is_some(), count > 0);
        }
    }

    /// The number of the diff after the one that the live book holds last.
    fn number_after(&self, update_id: u64) -> u64 {
        let newer = self.history.iter().rev().take_while(|book| book.last_id > update_id).count();
        self.made - newer as u64
    }
}

#[derive(Default, Debug)]
struct Tally {
    messages: u64,
    live: u64,
    gaps: u64,
    longest: u64,
}

struct Soak {
    rng: ChaCha8Rng,
    stage: MarketStage,
    symbols: Vec<Symbol>,
    tally: Tally,
}

impl Soak {
    fn new(seed: u64, rule: SyncRule) -> Soak {
        Soak {
            rng: ChaCha8Rng::seed_from_u64(seed),
            stage: MarketStage::new(&instruments(SYMBOLS as u16), rule),
            symbols: (0..SYMBOLS).map(|index| Symbol::new(index, rule)).collect(),
            tally: Tally::default(),
        }
    }

    /// Delivers one diff and demands of the stage what the venue's side knows.
    fn tell_diff(&mut self, index: usize, number: u64, mut depth: DepthBuf, now: TimestampNs) {
        depth.head.recv_ts = now;
        let symbol = &mut self.symbols[index];
        let before = self.stage.state(symbol.id);
        let others: Vec<_> = (0..SYMBOLS).filter(|&other| other != index).map(|other| self.seen(other)).collect();
        send(&mut self.stage, &depth);
        let symbol = &mut self.symbols[index];
        let after = self.stage.state(symbol.id);
        let update_id = self.stage.update_id(symbol.id);
        self.tally.messages += 1;
        if before == BookState::Live {
            if number == symbol.next {
                assert_eq!((after, update_id), (BookState::Live, depth.head.last_id), "a false gap");
                symbol.next += 1;
            } else if number < symbol.next {
                assert_eq!(after, BookState::Live, "an old diff ended the book");
            } else {
                assert_eq!(after, BookState::Syncing(DesyncReason::Gap), "a gap was not seen at once");
                self.tally.gaps += 1;
            }
        }
        if after == BookState::Live {
            self.tally.live += 1;
        }
        self.symbols[index].told.push_front((number, depth));
        self.symbols[index].told.truncate(4);
        self.settle(index);
        let still: Vec<_> = (0..SYMBOLS).filter(|&other| other != index).map(|other| self.seen(other)).collect();
        assert_eq!(others, still, "another symbol was touched");
    }

    fn tell_snapshot(&mut self, index: usize, mut depth: DepthBuf, now: TimestampNs) {
        depth.head.recv_ts = now;
        send(&mut self.stage, &depth);
        self.settle(index);
    }

    /// After any message: a live book is the venue's, and how long it has not been live is counted.
    fn settle(&mut self, index: usize) {
        let symbol = &mut self.symbols[index];
        if self.stage.state(symbol.id) == BookState::Live {
            symbol.check_book(&self.stage);
            symbol.next = symbol.number_after(self.stage.update_id(symbol.id));
            symbol.lost_for = 0;
        } else {
            symbol.lost_for += 1;
            self.tally.longest = self.tally.longest.max(symbol.lost_for);
        }
    }

    fn seen(&self, index: usize) -> (BookState, u64, u64) {
        let id = InstrumentId(index as u16);
        (self.stage.state(id), self.stage.update_id(id), self.stage.counters(id).diffs_applied)
    }

    /// One cadence of one symbol: the venue makes a diff, the wire delivers an older one, or what a fault makes of it.
    fn step(&mut self, index: usize, now: TimestampNs, faults: f64) {
        let (rng, symbol) = (&mut self.rng, &mut self.symbols[index]);
        symbol.make_diff(rng);
        // Up to three diffs are under way at a time: a snapshot is newer than what has arrived.
        if symbol.wire.len() <= rng.random_range(0..4_usize) {
            return;
        }
        let fault = rng.random_bool(faults).then(|| rng.random_range(0..3_u32));
        match fault {
            Some(0) => drop(symbol.wire.pop_front()),
            Some(1) if symbol.wire.len() > 1 => symbol.wire.swap(0, 1),
            _ => {}
        }
        let Some((number, depth)) = symbol.wire.pop_front() else { return };
        let again = (fault == Some(2)).then(|| symbol.told.get(rng.random_range(0..4_usize)).cloned()).flatten();
        self.tell_diff(index, number, depth, now);
        if let Some((number, depth)) = again {
            self.tell_diff(index, number, depth, now);
        }
    }

    /// Answers snapshot requests after 50 to 400 ms with a book that is up to twelve diffs older than the answer.
    fn serve_snapshots(&mut self, now: TimestampNs) {
        while let Some(id) = self.stage.snapshot_wanted(now) {
            let symbol = &mut self.symbols[id.index()];
            let back = if self.rng.random_bool(0.2) { self.rng.random_range(0..12) } else { 0 };
            let depth = symbol.snapshot(back);
            let wait = DurationNs::from_millis(self.rng.random_range(50..400));
            symbol.answers.push((now.plus(wait), depth));
        }
        for index in 0..SYMBOLS {
            let due = |(at, _): &mut (TimestampNs, DepthBuf)| *at <= now;
            let arrived: Vec<_> = self.symbols[index].answers.extract_if(.., due).collect();
            for (_, depth) in arrived {
                self.tell_snapshot(index, depth, now);
            }
        }
    }

    fn run(&mut self, messages: u64, faults: f64) {
        let pause = DurationNs::from_nanos(CADENCE.nanos() / SYMBOLS as u64);
        let mut now = TimestampNs::from_millis(1);
        while self.tally.messages < messages {
            for index in 0..SYMBOLS {
                now = now.plus(pause);
                self.step(index, now, faults);
                self.serve_snapshots(now);
            }
        }
    }
}

#[test]
fn a_million_faulty_messages_never_make_a_live_book_that_differs_from_the_naive_one() {
    for (seed, rule) in [(1, SyncRule::Spot), (2, SyncRule::UsdM)] {
        let mut soak = Soak::new(seed, rule);
        soak.run(MESSAGES / 2, 0.01);
        let tally = &soak.tally;
        assert!(tally.gaps > tally.messages / 400, "faults did happen: {tally:?}");
        assert!(tally.live * 10 >= tally.messages * 9, "live for too few: {tally:?}");
        assert!(tally.longest <= BACK_WITHIN, "away for too long: {tally:?}");
    }
}

#[test]
fn at_one_fault_in_five_messages_a_live_book_is_still_the_naive_one() {
    for (seed, rule) in [(3, SyncRule::Spot), (4, SyncRule::UsdM)] {
        let mut soak = Soak::new(seed, rule);
        soak.run(MESSAGES / 20, 0.2);
        assert!(soak.tally.gaps > 50 && soak.tally.live > 0, "{:?}", soak.tally);
    }
}
