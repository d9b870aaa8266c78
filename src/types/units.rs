//! Prices in ticks and quantities in lots.

use std::fmt;

use bytemuck::{Pod, Zeroable};

/// A price as a whole number of ticks of its instrument.
///
/// Signed, because differences and spreads are negative. One tick in money: [`Instrument::tick_e8`](super::Instrument).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct Price(i64);

impl Price {
    /// The lowest representable price.
    pub const MIN: Price = Price(i64::MIN);
    /// The highest representable price.
    pub const MAX: Price = Price(i64::MAX);

    /// A price of that many ticks.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// The number of ticks.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Distance to `other` in ticks, positive when `self` is higher.
    pub const fn ticks_above(self, other: Price) -> i64 {
        self.0 - other.0
    }

    /// The price `ticks` higher (lower when negative).
    pub const fn plus_ticks(self, ticks: i64) -> Price {
        Price(self.0 + ticks)
    }

    /// The price `ticks` better for the maker of `side`'s counterparty, that is deeper into the opposite book:
    /// higher for a bid, lower for an ask.
    pub const fn improved(self, side: super::Side, ticks: i64) -> Price {
        Price(self.0 + side.sign() * ticks)
    }

    /// Where the price stands among those of a side: the lower, the better for whom comes to trade with it, and one tick
    /// apart where prices are. What rests at a rank of its side's is reached before what rests at a higher one.
    pub const fn rank(self, side: super::Side) -> i64 {
        match side {
            super::Side::Bid => !self.0,
            super::Side::Ask => self.0,
        }
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}t", self.0)
    }
}

/// A price in half ticks: exact for a mid, which lies on a tick or between two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct HalfTicks(i64);

impl HalfTicks {
    /// A price of that many half ticks.
    pub const fn new(half_ticks: i64) -> Self {
        Self(half_ticks)
    }

    /// The mid of a bid and an ask.
    pub const fn mid(bid: Price, ask: Price) -> Self {
        Self(bid.0 + ask.0)
    }

    /// The number of half ticks.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The price in ticks as a float, for features; exact below 2^52 half ticks.
    pub fn ticks_f64(self) -> f64 {
        self.0 as f64 / 2.0
    }
}

impl From<Price> for HalfTicks {
    fn from(price: Price) -> Self {
        Self(price.0 * 2)
    }
}

impl fmt::Debug for HalfTicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}h", self.0)
    }
}

/// A quantity as a whole number of lots of its instrument. Signed: a position is a quantity too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct Qty(i64);

impl Qty {
    /// Nothing.
    pub const ZERO: Qty = Qty(0);

    /// A quantity of that many lots.
    pub const fn from_lots(lots: i64) -> Self {
        Self(lots)
    }

    /// The number of lots.
    pub const fn lots(self) -> i64 {
        self.0
    }

    /// Whether there is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The size without its sign.
    pub const fn abs(self) -> Qty {
        Qty(self.0.abs())
    }

    /// The quantity with the sign of `side`: what a fill of an order on that side does to the position.
    pub const fn signed(self, side: super::Side) -> Qty {
        Qty(self.0 * side.sign())
    }
}

impl std::ops::Add for Qty {
    type Output = Qty;
    fn add(self, other: Qty) -> Qty {
        Qty(self.0 + other.0)
    }
}

impl std::ops::Sub for Qty {
    type Output = Qty;
    fn sub(self, other: Qty) -> Qty {
        Qty(self.0 - other.0)
    }
}

impl std::ops::Neg for Qty {
    type Output = Qty;
    fn neg(self) -> Qty {
        Qty(-self.0)
    }
}

impl std::ops::AddAssign for Qty {
    fn add_assign(&mut self, other: Qty) {
        self.0 += other.0;
    }
}

impl std::ops::SubAssign for Qty {
    fn sub_assign(&mut self, other: Qty) {
        self.0 -= other.0;
    }
}

impl fmt::Debug for Qty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}l", self.0)
    }
}
