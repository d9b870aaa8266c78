//! Joins the venue's fast diffs into those of the `@depth` stream, one a second.

use std::collections::BTreeMap;

use crate::types::{DurationNs, Level, Price, Qty, TimestampNs};

/// Span of a slow diff.
pub const SECOND: DurationNs = DurationNs::from_secs(1);

/// The diffs of the second so far.
#[derive(Debug, Default)]
pub struct DepthSecond {
    first_id: Option<u64>,
    last_id: u64,
    event_ts: TimestampNs,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

/// A whole second's diff: absolute quantities, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedDepth {
    /// `U` of the first.
    pub first_id: u64,
    /// `u` of the last.
    pub last_id: u64,
    /// `E` of the last.
    pub event_ts: TimestampNs,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
}

impl DepthSecond {
    /// Adds a diff that ends at `event_ts`. Returns the second's when it is complete with it.
    pub fn add(
        &mut self,
        event_ts: TimestampNs,
        first_id: u64,
        last_id: u64,
        bids: &[Level],
        asks: &[Level],
    ) -> Option<JoinedDepth> {
        let starts = self.first_id.is_none();
        let before = if starts { event_ts } else { self.event_ts };
        self.first_id.get_or_insert(first_id);
        self.last_id = last_id;
        self.event_ts = event_ts;
        self.bids.extend(bids.iter().map(|level| (level.price, level.qty)));
        self.asks.extend(asks.iter().map(|level| (level.price, level.qty)));
        let second = |at: TimestampNs| at.nanos() / SECOND.nanos();
        let ends = event_ts.nanos().is_multiple_of(SECOND.nanos()) || second(before) != second(event_ts);
        ends.then(|| self.take())
    }

    fn take(&mut self) -> JoinedDepth {
        let level = |(&price, &qty): (&Price, &Qty)| Level { price, qty };
        let joined = JoinedDepth {
            first_id: self.first_id.take().unwrap_or(self.last_id),
            last_id: self.last_id,
            event_ts: self.event_ts,
            bids: self.bids.iter().rev().map(level).collect(),
            asks: self.asks.iter().map(level).collect(),
        };
        self.bids.clear();
        self.asks.clear();
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    #[test]
    fn ids_of_slow_diffs_join_without_holes() {
        let mut second = DepthSecond::default();
        let mut next_id = 1;
        let mut joined = Vec::new();
        for tenth in 1..=30_u64 {
            let at = TimestampNs::from_millis(5_000 + tenth * 100);
            joined.extend(second.add(at, next_id, next_id + 2, &[level(10, tenth as i64)], &[]));
            next_id += 3;
        }
        let ids: Vec<_> = joined.iter().map(|one| (one.first_id, one.last_id)).collect();
        assert_eq!(ids, [(1, 30), (31, 60), (61, 90)]);
        assert_eq!(joined[1].bids, [level(10, 20)], "the last quantity of the second counts");
    }

    #[test]
    fn a_quiet_market_still_ends_its_second() {
        let mut second = DepthSecond::default();
        assert!(
            second.add(TimestampNs::from_millis(5_300), 1, 1, &[level(9, 1), level(10, 1)], &[level(12, 1)]).is_none()
        );
        let joined = second.add(TimestampNs::from_millis(8_100), 2, 2, &[], &[level(11, 0)]).unwrap();
        assert_eq!((joined.first_id, joined.last_id), (1, 2));
        assert_eq!(joined.bids, [level(10, 1), level(9, 1)]);
        assert_eq!(joined.asks, [level(11, 0), level(12, 1)]);
    }
}
