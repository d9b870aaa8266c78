//! The two sides of a book.

/// A side of the book. A trade whose aggressor is `Bid` was a taker that bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// Buyers.
    Bid = 0,
    /// Sellers.
    Ask = 1,
}

impl Side {
    /// Both sides, bid first: the order in which everything iterates.
    pub const BOTH: [Side; 2] = [Side::Bid, Side::Ask];

    /// A value for each side, bid first. Each is made in its place: mapping [`BOTH`](Self::BOTH) copies what is large
    /// from hand to hand.
    #[inline]
    pub fn pair<T>(mut of: impl FnMut(Side) -> T) -> [T; 2] {
        [of(Side::Bid), of(Side::Ask)]
    }

    /// The other side.
    pub const fn opposite(self) -> Side {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }

    /// `+1` for the bid, `-1` for the ask: the sign of the position change when an order of this side fills.
    pub const fn sign(self) -> i64 {
        match self {
            Side::Bid => 1,
            Side::Ask => -1,
        }
    }

    /// Index into a pair of per-side values.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The side with that index.
    pub const fn from_index(index: u8) -> Option<Side> {
        match index {
            0 => Some(Side::Bid),
            1 => Some(Side::Ask),
            _ => None,
        }
    }
}
