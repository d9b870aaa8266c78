//! What happens on a tape, packed: 24 bytes for one change of a level or one trade.
//!
//! Owns [`TapeEvent`] and nothing else. A tape of them is read in blocks, as plain bytes; `Packer` makes one of feed
//! records.

use bytemuck::{Pod, Zeroable};

use crate::types::{Price, Qty, Side, TimestampNs};

/// Low bits of the word: the side, whether it is a trade, whether more happened at the same time.
const ASK: i64 = 1;
const TRADE: i64 = 1 << 1;
const MORE: i64 = 1 << 2;
/// The rest of it is lots: 60 bits and a sign.
const LOTS_SHIFT: u32 = 3;

/// One change of a level, or one trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TapeEvent {
    at_ns: u64,
    price: Price,
    word: i64,
}

impl TapeEvent {
    /// A level now holds `qty`; zero removes it.
    pub const fn level(at: TimestampNs, side: Side, price: Price, qty: Qty) -> TapeEvent {
        TapeEvent { at_ns: at.nanos(), price, word: (qty.lots() << LOTS_SHIFT) | side as i64 }
    }

    /// `aggressor` took `qty` at `price`.
    pub const fn trade(at: TimestampNs, aggressor: Side, price: Price, qty: Qty) -> TapeEvent {
        TapeEvent { at_ns: at.nanos(), price, word: (qty.lots() << LOTS_SHIFT) | TRADE | aggressor as i64 }
    }

    /// The same, with more to come of what happened at this time.
    #[must_use]
    pub const fn with_more(mut self) -> TapeEvent {
        self.word |= MORE;
        self
    }

    /// The same, `nanos` later: sessions are put behind each other by it.
    #[must_use]
    pub const fn later(mut self, nanos: u64) -> TapeEvent {
        self.at_ns += nanos;
        self
    }

    /// When it happened at the exchange.
    #[inline]
    pub const fn at(&self) -> TimestampNs {
        TimestampNs::from_nanos(self.at_ns)
    }

    /// The level's side, or the aggressor's.
    #[inline]
    pub const fn side(&self) -> Side {
        if self.word & ASK == 0 { Side::Bid } else { Side::Ask }
    }

    /// The level's price, or the trade's.
    #[inline]
    pub const fn price(&self) -> Price {
        self.price
    }

    /// What the level holds now, or what traded.
    #[inline]
    pub const fn qty(&self) -> Qty {
        Qty::from_lots(self.word >> LOTS_SHIFT)
    }

    /// Whether it is a trade.
    #[inline]
    pub const fn is_trade(&self) -> bool {
        self.word & TRADE != 0
    }

    /// Whether more of what happened at this time follows: until then a book is half a message.
    #[inline]
    pub const fn has_more(&self) -> bool {
        self.word & MORE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_it_was_made_of_in_24_bytes() {
        assert_eq!(size_of::<TapeEvent>(), 24);
        let (at, price, qty) = (TimestampNs::from_nanos(9), Price::from_ticks(-5), Qty::from_lots(1 << 59));
        for side in Side::BOTH {
            let level = TapeEvent::level(at, side, price, qty);
            assert_eq!((level.at(), level.side(), level.price(), level.qty()), (at, side, price, qty));
            assert!(!level.is_trade() && !level.has_more());
            let trade = TapeEvent::trade(at, side, price, qty).with_more().later(1);
            assert_eq!((trade.at().nanos(), trade.side(), trade.price(), trade.qty()), (10, side, price, qty));
            assert!(trade.is_trade() && trade.has_more());
        }
    }
}
