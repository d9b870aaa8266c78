//! Exact amounts of money.

use std::fmt;

/// An amount of quote currency in units of 1e-18, exact.
///
/// One unit is fine enough for half a tick of 1e-8 times one base atom of 1e-8, so that PnL sums without rounding;
/// 128 bits hold amounts up to 1.7e20 quote units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);
    /// Units in one 1e-8 of quote currency, the finest amount that venues state.
    pub const PER_E8: i128 = 10_i128.pow(10);

    /// From units of 1e-18.
    pub const fn from_attos(attos: i128) -> Self {
        Self(attos)
    }

    /// From units of 1e-8, as venues state balances and commissions.
    pub const fn from_e8(e8: i64) -> Self {
        Self(e8 as i128 * Self::PER_E8)
    }

    /// Units of 1e-18.
    pub const fn attos(self) -> i128 {
        self.0
    }

    /// The amount in units of 1e-8, rounded towards zero.
    pub const fn e8_truncated(self) -> i128 {
        self.0 / Self::PER_E8
    }

    /// As a float, for features and display only.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e18
    }

    /// The amount without its sign.
    pub const fn abs(self) -> Money {
        Money(self.0.abs())
    }
}

impl std::ops::Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0 + other.0)
    }
}

impl std::ops::Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0 - other.0)
    }
}

impl std::ops::Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(-self.0)
    }
}

impl std::ops::AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        self.0 += other.0;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, |sum, amount| sum + amount)
    }
}

/// Exact decimal text without trailing zeros: `-12.5`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u128.pow(18);
        let size = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (size / unit, size % unit);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:018}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An amount of base currency in units of 1e-8. Positions are whole lots until a venue takes its commission in the
/// base asset; ledgers therefore count atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct BaseAtoms(i64);

impl BaseAtoms {
    /// Nothing.
    pub const ZERO: BaseAtoms = BaseAtoms(0);

    /// From units of 1e-8.
    pub const fn new(atoms: i64) -> Self {
        Self(atoms)
    }

    /// Units of 1e-8.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl std::ops::Add for BaseAtoms {
    type Output = BaseAtoms;
    fn add(self, other: BaseAtoms) -> BaseAtoms {
        BaseAtoms(self.0 + other.0)
    }
}

impl std::ops::Sub for BaseAtoms {
    type Output = BaseAtoms;
    fn sub(self, other: BaseAtoms) -> BaseAtoms {
        BaseAtoms(self.0 - other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_exactly() {
        assert_eq!(Money::from_e8(-1_250_000_000).to_string(), "-12.5");
        assert_eq!(Money::from_attos(1).to_string(), "0.000000000000000001");
        assert_eq!(Money::ZERO.to_string(), "0");
    }
}
