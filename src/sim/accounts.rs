//! The ledger: who owns how much of what. Owns every balance; the desk calls it. Amounts are whole units of 1e-8 and
//! move between accounts, so the sum over all accounts of each asset never changes.

use std::collections::BTreeMap;

use super::config::AccountId;
use super::events::{AssetBalance, Balances};
use crate::types::{Asset, TimestampNs};

/// All balances of the venue.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<AccountId, Balances>,
}

impl Ledger {
    /// A ledger with the venue's own two accounts.
    pub(super) fn new(now: TimestampNs) -> Ledger {
        let mut ledger = Ledger::default();
        for id in [AccountId::MARKET, AccountId::FEES] {
            ledger.accounts.insert(id, Balances { updated_ts: now, assets: Vec::new() });
        }
        ledger
    }

    /// Opens an account; `false` when the number is in use.
    pub(super) fn open(&mut self, id: AccountId, balances: &[(Asset, i64)], now: TimestampNs) -> bool {
        if self.accounts.contains_key(&id) {
            return false;
        }
        let mut account = Balances { updated_ts: now, assets: Vec::new() };
        for &(asset, free_e8) in balances {
            entry(&mut account, asset).free_e8 += free_e8;
        }
        self.accounts.insert(id, account);
        true
    }

    pub(super) fn account(&self, id: AccountId) -> Option<&Balances> {
        self.accounts.get(&id)
    }

    /// Moves from free to locked; `false` and no change when too little is free.
    pub(super) fn lock(&mut self, id: AccountId, asset: Asset, amount_e8: i64, now: TimestampNs) -> bool {
        let balance = self.balance(id, asset, now);
        if balance.free_e8 < amount_e8 {
            return false;
        }
        balance.free_e8 -= amount_e8;
        balance.locked_e8 += amount_e8;
        true
    }

    /// Moves from locked back to free.
    pub(super) fn unlock(&mut self, id: AccountId, asset: Asset, amount_e8: i64, now: TimestampNs) {
        let balance = self.balance(id, asset, now);
        debug_assert!(balance.locked_e8 >= amount_e8, "an order gives back no more than it locked");
        balance.locked_e8 -= amount_e8;
        balance.free_e8 += amount_e8;
    }

    /// Takes from what is locked.
    pub(super) fn spend_locked(&mut self, id: AccountId, asset: Asset, amount_e8: i64, now: TimestampNs) {
        let balance = self.balance(id, asset, now);
        debug_assert!(balance.locked_e8 >= amount_e8, "an order spends no more than it locked");
        balance.locked_e8 -= amount_e8;
    }

    /// Adds to what is free; takes from it when negative. Only the venue's own accounts may go below zero so.
    pub(super) fn credit(&mut self, id: AccountId, asset: Asset, amount_e8: i64, now: TimestampNs) {
        self.balance(id, asset, now).free_e8 += amount_e8;
    }

    /// The sum over all accounts, the venue's own included.
    pub(super) fn total_e8(&self, asset: Asset) -> i128 {
        self.accounts.values().map(|account| i128::from(account.of(asset).total_e8())).sum()
    }

    fn balance(&mut self, id: AccountId, asset: Asset, now: TimestampNs) -> &mut AssetBalance {
        let account = self.accounts.entry(id).or_default();
        account.updated_ts = now;
        entry(account, asset)
    }
}

fn entry(account: &mut Balances, asset: Asset) -> &mut AssetBalance {
    let place = account.assets.iter().position(|balance| balance.asset == asset).unwrap_or_else(|| {
        account.assets.push(AssetBalance { asset, free_e8: 0, locked_e8: 0 });
        account.assets.len() - 1
    });
    &mut account.assets[place]
}
