//! Realised and unrealised profit by average cost, exactly.
//!
//! Owns [`AverageCost`] of one instrument. Fed with the same fills as the [`Ledger`](super::Ledger), whose total it
//! splits another way: realised + unrealised - fees = change of equity (quant.md 14). A commission taken in base
//! currency is a sale of that amount at the mid, whose proceeds pay it.

use crate::types::{BaseAtoms, FeeAsset, Fill, HalfTicks, Instrument, Money};

/// Position with what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AverageCost {
    instrument: Instrument,
    atoms: i64,
    /// What the position was bought for; negative for what a short one was sold for.
    cost: Money,
    realised: Money,
}

impl AverageCost {
    /// No position.
    pub fn new(instrument: Instrument) -> AverageCost {
        AverageCost { instrument, atoms: 0, cost: Money::ZERO, realised: Money::ZERO }
    }

    /// Books a fill; a commission in base is valued at `mid`.
    pub fn on_fill(&mut self, fill: &Fill, mid: HalfTicks) {
        self.trade(HalfTicks::from(fill.price), self.instrument.atoms(fill.qty.signed(fill.side)).get());
        if fill.fee_asset == FeeAsset::Base {
            self.trade(mid, -fill.fee_e8);
        }
    }

    fn value(&self, price: HalfTicks, atoms: i64) -> Money {
        self.instrument.value(price, BaseAtoms::new(atoms))
    }

    fn trade(&mut self, price: HalfTicks, moved: i64) {
        // What goes against the position closes it first; the rest opens at the same price.
        let closes = if moved.signum() == -self.atoms.signum() { moved.abs().min(self.atoms.abs()) } else { 0 };
        let closed = closes * moved.signum();
        if closed != 0 {
            // The closed share of the cost, rounded once: what is left keeps the rest, so nothing is lost.
            let share = if closes == self.atoms.abs() {
                self.cost
            } else {
                Money::from_attos(share_of(self.cost.attos(), i128::from(closes), i128::from(self.atoms.abs())))
            };
            self.realised = self.realised - self.value(price, closed) - share;
            self.cost = self.cost - share;
        }
        let opened = moved - closed;
        self.cost += self.value(price, opened);
        self.atoms += moved;
    }

    /// Position.
    pub fn atoms(&self) -> BaseAtoms {
        BaseAtoms::new(self.atoms)
    }

    /// Profit of what was closed, before commissions.
    pub fn realised(&self) -> Money {
        self.realised
    }

    /// Profit of what is held, at a mid, before commissions.
    pub fn unrealised(&self, mid: HalfTicks) -> Money {
        self.value(mid, self.atoms) - self.cost
    }
}

/// `amount * part / whole` without leaving 128 bits: the quotient and the remainder apart.
fn share_of(amount: i128, part: i128, whole: i128) -> i128 {
    (amount / whole) * part + (amount % whole) * part / whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Ledger;
    use super::super::samples::{fill, instrument};
    use super::*;
    use crate::types::Side;

    #[test]
    fn a_partial_close_and_a_flip_by_hand() {
        // Tick 0.01, lot 0.01. Buy 1.00 at 100 and 1.00 at 102: average 101. Sell 0.5 at 103: +1. Sell 2.5 at 100: closes
        // 1.5 at -1 each, and opens a short of 1.00 at 100.
        let mut cost = AverageCost::new(instrument(1_000_000, 1_000_000));
        let mid = HalfTicks::new(20_000);
        for (side, price, lots) in [(Side::Bid, 10_000, 100), (Side::Bid, 10_200, 100), (Side::Ask, 10_300, 50)] {
            cost.on_fill(&fill(side, price, lots, 0, FeeAsset::None), mid);
        }
        assert_eq!(cost.realised().to_string(), "1");
        assert_eq!(cost.unrealised(mid).to_string(), "-1.5");
        cost.on_fill(&fill(Side::Ask, 10_000, 250, 0, FeeAsset::None), mid);
        assert_eq!(cost.realised().to_string(), "-0.5");
        assert_eq!(cost.atoms(), BaseAtoms::new(-100_000_000));
        assert_eq!(cost.unrealised(HalfTicks::new(19_800)).to_string(), "1");
    }

    #[test]
    fn a_commission_in_base_is_a_sale_at_the_mid() {
        let mut cost = AverageCost::new(instrument(1_000_000, 1_000_000));
        cost.on_fill(&fill(Side::Bid, 10_000, 100, 100_000, FeeAsset::Base), HalfTicks::new(20_200));
        // 0.001 bought at 100 pays a fee worth 0.101: 0.001 of profit was realised on the way.
        assert_eq!(cost.realised().to_string(), "0.001");
        assert_eq!(cost.atoms(), BaseAtoms::new(99_900_000));
    }

    proptest! {
        #[test]
        fn realised_and_unrealised_less_fees_is_the_change_of_equity_exactly(
            steps in prop::collection::vec(
                (1_i64..20_000_001, any::<bool>(), 1_i64..10_000_001, 1_i64..1_000_000, -1_000_000_i64..1_000_000, 0_u8..4),
                1..200,
            ),
            tick_e8 in 1_i64..10_000_000,
            lot_e8 in 1_i64..100_000,
        ) {
            let instrument = instrument(tick_e8, lot_e8);
            let (mut ledger, mut cost) = (Ledger::new(instrument), AverageCost::new(instrument));
            for (mid, bid, price, lots, fee, asset) in steps {
                let mid = HalfTicks::new(mid);
                let asset = [FeeAsset::None, FeeAsset::Base, FeeAsset::Quote, FeeAsset::Other][usize::from(asset)];
                let fill = fill(if bid { Side::Bid } else { Side::Ask }, price, lots, fee, asset);
                ledger.on_mid(mid);
                ledger.on_fill(&fill);
                cost.on_fill(&fill, mid);
                prop_assert_eq!(cost.atoms(), ledger.atoms());
                let total = cost.realised() + cost.unrealised(mid) - ledger.pnl().fees;
                prop_assert_eq!(total, ledger.equity());
            }
        }
    }
}
