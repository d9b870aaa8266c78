//! How many unfilled orders each account has placed in the windows that Binance limits (`ORDERS`).
//!
//! Windows are fixed and aligned to the epoch. An accepted order counts one; its first fill gives one back when it
//! took, five when it rested; cancels give nothing back.

use std::collections::BTreeMap;

use super::config::{AccountId, OrderLimit};
use super::reject::VenueReject;
use super::requests::OrderCount;
use crate::types::TimestampNs;

/// What a first fill as maker gives back (the protocol's own illustration).
const MAKER_CREDIT: u32 = 5;

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: u64,
    count: u32,
}

/// The counts of all accounts.
#[derive(Debug)]
pub(super) struct OrderCounts {
    limits: Vec<OrderLimit>,
    windows: BTreeMap<AccountId, Vec<Window>>,
}

impl OrderCounts {
    pub(super) fn new(limits: Vec<OrderLimit>) -> OrderCounts {
        OrderCounts { limits, windows: BTreeMap::new() }
    }

    /// The counts of an account's windows now.
    pub(super) fn of(&self, account: AccountId, now: TimestampNs) -> Vec<OrderCount> {
        let windows = self.windows.get(&account);
        let count_of = |place: usize, limit: &OrderLimit| {
            windows
                .and_then(|windows| windows.get(place))
                .filter(|window| window.number == window_number(limit, now))
                .map_or(0, |window| window.count)
        };
        self.limits
            .iter()
            .enumerate()
            .map(|(place, limit)| OrderCount { limit: *limit, count: count_of(place, limit) })
            .collect()
    }

    /// Refuses when one more order would pass a limit.
    pub(super) fn check(&self, account: AccountId, now: TimestampNs) -> Result<(), VenueReject> {
        match self.of(account, now).into_iter().find(|count| count.count >= count.limit.limit) {
            Some(full) => Err(VenueReject::too_many_orders(full.limit.limit, &interval_name(&full.limit))),
            None => Ok(()),
        }
    }

    /// Counts an accepted order.
    pub(super) fn add(&mut self, account: AccountId, now: TimestampNs) {
        for (limit, window) in self.limits.iter().zip(windows_of(&mut self.windows, account, self.limits.len())) {
            let number = window_number(limit, now);
            if window.number != number {
                *window = Window { number, count: 0 };
            }
            window.count += 1;
        }
    }

    /// Gives back what an order's first fill earns.
    pub(super) fn first_fill(&mut self, account: AccountId, is_maker: bool, now: TimestampNs) {
        let credit = if is_maker { MAKER_CREDIT } else { 1 };
        for (limit, window) in self.limits.iter().zip(windows_of(&mut self.windows, account, self.limits.len())) {
            if window.number == window_number(limit, now) {
                window.count = window.count.saturating_sub(credit);
            }
        }
    }
}

fn windows_of(windows: &mut BTreeMap<AccountId, Vec<Window>>, account: AccountId, limits: usize) -> &mut [Window] {
    windows.entry(account).or_insert_with(|| vec![Window::default(); limits])
}

fn window_number(limit: &OrderLimit, now: TimestampNs) -> u64 {
    now.nanos() / limit.interval.nanos().max(1)
}

/// The interval as Binance words it in its refusal: `10 SECOND`.
fn interval_name(limit: &OrderLimit) -> String {
    let seconds = limit.interval.nanos() / 1_000_000_000;
    let (number, unit) = match seconds {
        s if s > 0 && s % 86_400 == 0 => (s / 86_400, "DAY"),
        s if s > 0 && s % 60 == 0 => (s / 60, "MINUTE"),
        s => (s, "SECOND"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DurationNs;

    #[test]
    fn windows_are_aligned_and_fills_give_back() {
        let account = AccountId(1);
        let mut counts = OrderCounts::new(vec![OrderLimit { interval: DurationNs::from_secs(10), limit: 3 }]);
        let at = |seconds: u64| TimestampNs::from_millis(seconds * 1000);
        for _ in 0..3 {
            assert_eq!(counts.check(account, at(18)), Ok(()));
            counts.add(account, at(18));
        }
        let full = counts.check(account, at(19)).unwrap_err();
        assert_eq!(full.code, -1015);
        assert_eq!(full.text, "Too many new orders; current limit is 3 orders per 10 SECOND.");
        assert_eq!(counts.check(AccountId(2), at(19)), Ok(()), "limits are per account");
        counts.first_fill(account, false, at(19));
        assert_eq!(counts.of(account, at(19))[0].count, 2);
        counts.first_fill(account, true, at(19));
        assert_eq!(counts.of(account, at(19))[0].count, 0, "the count never goes below zero");
        counts.add(account, at(19));
        assert_eq!(counts.of(account, at(20))[0].count, 0, "a window starts at every multiple of its length");
    }
}
