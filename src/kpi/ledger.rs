//! What a session earned and why, exactly.
//!
//! Owns [`Ledger`] of one instrument: cash, position and the three parts of the profit. Fed by the pipeline with mids
//! and unique fills, and by reports and reconciliation with the same from a journal or the venue. Whole numbers only:
//! total = spread + inventory − fees holds without rounding (quant.md 14).

use crate::types::{BaseAtoms, FeeAsset, Fill, HalfTicks, Instrument, Money};

/// Profit and loss; total = spread + inventory − fees, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PnlSplit {
    /// Change of equity, commissions taken off.
    pub total: Money,
    /// Change of equity before commissions.
    pub gross: Money,
    /// Earned against the mid at each fill.
    pub spread: Money,
    /// Earned by holding the position while the mid moved.
    pub inventory: Money,
    /// Commissions paid, in quote currency; those taken in base are valued at the mid at the fill.
    pub fees: Money,
}

/// Cash, position and profit of one instrument since the ledger was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    instrument: Instrument,
    atoms: BaseAtoms,
    cash: Money,
    mid: Option<HalfTicks>,
    spread: Money,
    inventory: Money,
    fees: Money,
    fees_base: BaseAtoms,
    foreign_fees: u64,
}

impl Ledger {
    /// An empty ledger: no position, no cash.
    pub fn new(instrument: Instrument) -> Ledger {
        Ledger {
            instrument,
            atoms: BaseAtoms::ZERO,
            cash: Money::ZERO,
            mid: None,
            spread: Money::ZERO,
            inventory: Money::ZERO,
            fees: Money::ZERO,
            fees_base: BaseAtoms::ZERO,
            foreign_fees: 0,
        }
    }

    /// Marks the position to a new mid.
    pub fn on_mid(&mut self, mid: HalfTicks) {
        if let Some(before) = self.mid {
            self.inventory += self.instrument.value(HalfTicks::new(mid.get() - before.get()), self.atoms);
        }
        self.mid = Some(mid);
    }

    /// Books a fill at the last mid; before any mid, the fill's own price stands for it. The caller has made sure that
    /// the fill was not booked before.
    pub fn on_fill(&mut self, fill: &Fill) {
        let mid = *self.mid.get_or_insert(HalfTicks::from(fill.price));
        let moved = self.instrument.atoms(fill.qty.signed(fill.side));
        let paid = self.instrument.value(HalfTicks::from(fill.price), moved);
        self.cash = self.cash - paid;
        self.atoms = self.atoms + moved;
        self.spread += self.instrument.value(mid, moved) - paid;
        match fill.fee_asset {
            FeeAsset::None => {}
            FeeAsset::Quote => {
                let fee = Money::from_e8(fill.fee_e8);
                self.cash = self.cash - fee;
                self.fees += fee;
            }
            FeeAsset::Base => {
                let fee = BaseAtoms::new(fill.fee_e8);
                self.atoms = self.atoms - fee;
                self.fees_base = self.fees_base + fee;
                self.fees += self.instrument.value(mid, fee);
            }
            FeeAsset::Other => self.foreign_fees += 1,
        }
    }

    /// Position, exact.
    pub fn atoms(&self) -> BaseAtoms {
        self.atoms
    }

    /// Quote currency received less paid, commissions in quote included.
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// The mid that the position is marked to.
    pub fn mid(&self) -> Option<HalfTicks> {
        self.mid
    }

    /// Commissions taken in base currency, as they were.
    pub fn fees_base(&self) -> BaseAtoms {
        self.fees_base
    }

    /// Fills whose commission was taken in a third asset: counted, not valued.
    pub fn foreign_fees(&self) -> u64 {
        self.foreign_fees
    }

    /// Cash and position at the last mid.
    pub fn equity(&self) -> Money {
        self.cash + self.mid.map_or(Money::ZERO, |mid| self.instrument.value(mid, self.atoms))
    }

    /// Profit and loss so far.
    pub fn pnl(&self) -> PnlSplit {
        let total = self.equity();
        PnlSplit { total, gross: total + self.fees, spread: self.spread, inventory: self.inventory, fees: self.fees }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{fill, instrument};
    use super::*;
    use crate::types::Side;

    #[test]
    fn a_round_trip_by_hand() {
        // Tick 0.01, lot 0.01: buy 1.00 at 99.99 with the mid at 100, mid to 101, sell it at 101.01, 0.05 each.
        let mut ledger = Ledger::new(instrument(1_000_000, 1_000_000));
        ledger.on_mid(HalfTicks::new(20_000));
        ledger.on_fill(&fill(Side::Bid, 9_999, 100, 5_000_000, FeeAsset::Quote));
        ledger.on_mid(HalfTicks::new(20_200));
        ledger.on_fill(&fill(Side::Ask, 10_101, 100, 5_000_000, FeeAsset::Quote));
        let pnl = ledger.pnl();
        assert_eq!(pnl.spread.to_string(), "0.02");
        assert_eq!(pnl.inventory.to_string(), "1");
        assert_eq!(pnl.fees.to_string(), "0.1");
        assert_eq!(pnl.total.to_string(), "0.92");
        assert_eq!(pnl.gross.to_string(), "1.02");
        assert_eq!(ledger.atoms(), BaseAtoms::ZERO);
    }

    #[test]
    fn a_commission_in_base_shrinks_the_position() {
        let mut ledger = Ledger::new(instrument(1_000_000, 1_000_000));
        ledger.on_mid(HalfTicks::new(20_000));
        ledger.on_fill(&fill(Side::Bid, 10_000, 100, 100_000, FeeAsset::Base));
        assert_eq!(ledger.atoms(), BaseAtoms::new(99_900_000));
        assert_eq!(ledger.pnl().fees.to_string(), "0.1");
        assert_eq!(ledger.pnl().total.to_string(), "-0.1");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Mid(i64),
        Fill(Fill),
    }

    fn step() -> impl Strategy<Value = Step> {
        let fee_asset =
            prop_oneof![Just(FeeAsset::None), Just(FeeAsset::Quote), Just(FeeAsset::Base), Just(FeeAsset::Other)];
        prop_oneof![
            (1_i64..20_000_001).prop_map(Step::Mid),
            (any::<bool>(), 1_i64..10_000_001, 1_i64..1_000_000, -1_000_000_i64..1_000_000, fee_asset).prop_map(
                |(bid, price, lots, fee, asset)| {
                    Step::Fill(fill(if bid { Side::Bid } else { Side::Ask }, price, lots, fee, asset))
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn the_parts_sum_to_the_change_of_equity_exactly(
            steps in prop::collection::vec(step(), 1..200),
            tick_e8 in 1_i64..10_000_000,
            lot_e8 in 1_i64..100_000,
        ) {
            let instrument = instrument(tick_e8, lot_e8);
            let mut ledger = Ledger::new(instrument);
            let (mut cash, mut atoms) = (0_i128, 0_i128);
            for step in &steps {
                match step {
                    Step::Mid(mid) => ledger.on_mid(HalfTicks::new(*mid)),
                    Step::Fill(fill) => {
                        ledger.on_fill(fill);
                        let moved = i128::from(fill.qty.lots() * lot_e8 * fill.side.sign());
                        cash -= i128::from(fill.price.ticks() * tick_e8) * moved * 100;
                        atoms += moved;
                        match fill.fee_asset {
                            FeeAsset::Quote => cash -= i128::from(fill.fee_e8) * Money::PER_E8,
                            FeeAsset::Base => atoms -= i128::from(fill.fee_e8),
                            FeeAsset::None | FeeAsset::Other => {}
                        }
                    }
                }
                // Equity by the venue's balances, from first principles.
                let mid = ledger.mid().unwrap();
                let equity = cash + i128::from(mid.get()) * i128::from(tick_e8) * atoms * 50;
                let pnl = ledger.pnl();
                prop_assert_eq!(pnl.total.attos(), equity);
                prop_assert_eq!(pnl.total, pnl.spread + pnl.inventory - pnl.fees);
                prop_assert_eq!(pnl.gross, pnl.spread + pnl.inventory);
            }
        }
    }
}
