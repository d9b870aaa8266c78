//! What the account can pay for.
//!
//! Owns [`Balances`]: the venue's last word on each asset, less what fills have spent since. On spot a sell needs free
//! base and a buy needs free quote; an asset the venue has not told about does not limit.

use crate::pipeline::digest::Digester;
use crate::types::{Asset, Balance, Instrument};

#[derive(Clone, Copy, Debug)]
struct Holding {
    asset: Asset,
    /// Free and locked, less what other people's orders lock; `None` before the venue has told.
    ours_e8: Option<i64>,
}

/// Amounts of every asset of the session's instruments.
pub struct Balances {
    holdings: Vec<Holding>,
}

impl Balances {
    /// Nothing told yet.
    pub fn new(instruments: &[Instrument]) -> Balances {
        let mut holdings: Vec<Holding> = Vec::new();
        for asset in instruments.iter().flat_map(|instrument| [instrument.spec.base, instrument.spec.quote]) {
            if holdings.iter().all(|holding| holding.asset != asset) {
                holdings.push(Holding { asset, ours_e8: None });
            }
        }
        Balances { holdings }
    }

    /// Where an asset stands in the list; `None` for one that no instrument uses.
    pub fn index_of(&self, asset: Asset) -> Option<usize> {
        self.holdings.iter().position(|holding| holding.asset == asset)
    }

    /// Takes the venue's word. What is locked beyond our own open orders belongs to orders of other people on the
    /// account and stays theirs.
    pub fn on_balance(&mut self, balance: &Balance, own_locked_e8: i64) {
        if let Some(index) = self.index_of(balance.asset) {
            let foreign = balance.locked_e8.saturating_sub(own_locked_e8).max(0);
            self.holdings[index].ours_e8 =
                Some(balance.free_e8.saturating_add(balance.locked_e8).saturating_sub(foreign));
        }
    }

    /// Takes off what a fill has spent. What it brought is added by the venue's next word only, so that an answer
    /// that came first is never counted twice in our favour.
    pub fn spend(&mut self, index: usize, amount_e8: i64) {
        if let Some(ours) = &mut self.holdings[index].ours_e8 {
            *ours = ours.saturating_sub(amount_e8);
        }
    }

    /// What our orders may lock altogether; `None` when it is not known.
    pub fn ours_e8(&self, index: usize) -> Option<i64> {
        self.holdings[index].ours_e8
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for holding in &self.holdings {
            digester.flag(holding.ours_e8.is_some());
            digester.i64(holding.ours_e8.unwrap_or(0));
        }
    }
}
