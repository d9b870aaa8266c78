//! Feed records made into a tape.
//!
//! Owns the book that a snapshot is compared with: a tape knows changes only, so levels that a snapshot leaves out are
//! removed by name. Knows nothing of update ids: hand it what a synchronised stream hands over.

use super::event::TapeEvent;
use crate::book::ArenaBook;
use crate::types::{Level, Qty, Side, TimestampNs, Trade};
use crate::wire::{DepthKind, DepthRef};

/// Makes [`TapeEvent`]s of feed records. Times never go back: a record that is older than the one before it happens with it.
#[derive(Debug)]
pub struct Packer {
    book: ArenaBook,
    latest: TimestampNs,
    /// The newest event, which may have more of its time behind it.
    held: Option<TapeEvent>,
}

impl Default for Packer {
    fn default() -> Packer {
        Packer { book: ArenaBook::new(), latest: TimestampNs::ZERO, held: None }
    }
}

impl Packer {
    /// A depth message happened at `at`.
    pub fn depth(&mut self, at: TimestampNs, depth: DepthRef<'_>, out: &mut impl Extend<TapeEvent>) {
        let at = self.move_to(at);
        for (side, levels) in [(Side::Bid, depth.bids), (Side::Ask, depth.asks)] {
            if depth.head.kind == DepthKind::Snapshot {
                let is_told = |known: &Level| levels.iter().any(|level| level.price == known.price);
                let gone: Vec<Level> = self.book.levels(side).filter(|known| !is_told(known)).collect();
                for level in gone {
                    self.level(at, side, Level { qty: Qty::ZERO, ..level }, out);
                }
            }
            for &level in levels {
                self.level(at, side, level, out);
            }
        }
    }

    /// A trade happened at `at`.
    pub fn trade(&mut self, at: TimestampNs, trade: &Trade, out: &mut impl Extend<TapeEvent>) {
        let at = self.move_to(at);
        self.put(TapeEvent::trade(at, trade.aggressor, trade.price, trade.qty), out);
    }

    /// Nothing more comes.
    pub fn finish(&mut self, out: &mut impl Extend<TapeEvent>) {
        out.extend(self.held.take());
    }

    fn level(&mut self, at: TimestampNs, side: Side, level: Level, out: &mut impl Extend<TapeEvent>) {
        self.book.set(side, level.price, level.qty);
        self.put(TapeEvent::level(at, side, level.price, level.qty), out);
    }

    fn move_to(&mut self, at: TimestampNs) -> TimestampNs {
        self.latest = self.latest.max(at);
        self.latest
    }

    fn put(&mut self, event: TapeEvent, out: &mut impl Extend<TapeEvent>) {
        let before = self.held.replace(event);
        out.extend(before.map(|before| if before.at() == event.at() { before.with_more() } else { before }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, Price, TradeId};
    use crate::wire::DepthBuf;

    fn levels(levels: &[(i64, i64)]) -> Vec<Level> {
        let level = |&(price, qty)| Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
        levels.iter().map(level).collect()
    }

    #[test]
    fn a_snapshot_removes_what_it_leaves_out_and_only_the_last_of_a_time_has_no_more() {
        let (mut packer, mut tape) = (Packer::default(), Vec::new());
        let mut depth = DepthBuf::with_capacity(8);
        let ns = TimestampNs::from_nanos;
        (depth.bids, depth.asks) = (levels(&[(99, 1), (98, 2)]), levels(&[(101, 3)]));
        packer.depth(ns(5), depth.as_ref(), &mut tape);
        let trade = Trade {
            instrument: InstrumentId(0),
            event_ts: ns(4),
            recv_ts: ns(4),
            id: TradeId(1),
            price: Price::from_ticks(101),
            qty: Qty::from_lots(2),
            aggressor: Side::Bid,
        };
        // A clock that went back.
        packer.trade(ns(4), &trade, &mut tape);
        depth.head.kind = DepthKind::Snapshot;
        (depth.bids, depth.asks) = (levels(&[(98, 7)]), levels(&[]));
        packer.depth(ns(9), depth.as_ref(), &mut tape);
        packer.finish(&mut tape);
        let level =
            |at, side, price, qty| TapeEvent::level(ns(at), side, Price::from_ticks(price), Qty::from_lots(qty));
        let want = [
            level(5, Side::Bid, 99, 1).with_more(),
            level(5, Side::Bid, 98, 2).with_more(),
            level(5, Side::Ask, 101, 3).with_more(),
            TapeEvent::trade(ns(5), Side::Bid, Price::from_ticks(101), Qty::from_lots(2)),
            level(9, Side::Bid, 99, 0).with_more(),
            level(9, Side::Bid, 98, 7).with_more(),
            level(9, Side::Ask, 101, 0),
        ];
        assert_eq!(tape, want);
    }
}
