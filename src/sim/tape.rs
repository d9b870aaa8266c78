//! What one market publishes: update ids, depth diffs, best bid and ask, trades. Owns the record of what changed since
//! the last publication; the market calls it. Never changes the book.

use std::collections::{BTreeSet, VecDeque};

use super::events::{AggregateTrade, BookTicker, DepthSnapshot, PublicTrade, VenueMarketEvent};
use crate::matching::MatchingCore;
use crate::types::{DurationNs, InstrumentId, Level, Price, Qty, Side, TimestampNs, TradeId};

/// Trades kept for queries; the protocol's largest page.
const RECENT_MAX: usize = 1_000;

/// The public side of one market.
#[derive(Debug)]
pub(super) struct Tape {
    symbol: InstrumentId,
    interval: DurationNs,
    /// Whether nothing is published: trades are numbered and that is all.
    pub is_silent: bool,
    /// Number of the latest change of the book.
    update_id: u64,
    /// Number of the latest change that a diff has told.
    published_id: u64,
    /// Levels changed since the last diff, lowest price first.
    changed: [BTreeSet<Price>; 2],
    /// Whether the message being carried out has changed a level.
    message_changed: bool,
    depth_due: Option<TimestampNs>,
    touch: [Option<Level>; 2],
    last_trade: i64,
    last_agg: u64,
    last_price: Option<Price>,
    trades: VecDeque<PublicTrade>,
    aggregates: VecDeque<AggregateTrade>,
    open_aggregate: Option<AggregateTrade>,
}

impl Tape {
    pub(super) fn new(symbol: InstrumentId, interval: DurationNs) -> Tape {
        Tape {
            symbol,
            interval,
            is_silent: false,
            update_id: 0,
            published_id: 0,
            changed: [BTreeSet::new(), BTreeSet::new()],
            message_changed: false,
            depth_due: None,
            touch: [None, None],
            last_trade: 0,
            last_agg: 0,
            last_price: None,
            trades: VecDeque::with_capacity(RECENT_MAX),
            aggregates: VecDeque::with_capacity(RECENT_MAX),
            open_aggregate: None,
        }
    }

    /// The last trade's price.
    pub(super) fn last_price(&self) -> Option<Price> {
        self.last_price
    }

    /// When the next diff is due, if anything has changed.
    pub(super) fn depth_due(&self) -> Option<TimestampNs> {
        self.depth_due
    }

    /// Notes that a level's quantity changed.
    pub(super) fn level_changed(&mut self, side: Side, price: Price) {
        if self.is_silent {
            return;
        }
        self.changed[side.index()].insert(price);
        self.message_changed = true;
    }

    /// Notes a match and gives it its number.
    pub(super) fn trade(
        &mut self,
        now: TimestampNs,
        price: Price,
        qty: Qty,
        aggressor: Side,
        out: &mut Vec<VenueMarketEvent>,
    ) -> TradeId {
        self.last_trade += 1;
        let id = TradeId(self.last_trade);
        self.last_price = Some(price);
        if self.is_silent {
            return id;
        }
        match &mut self.open_aggregate {
            Some(aggregate) if aggregate.price == price => {
                aggregate.qty += qty;
                aggregate.last = id;
            }
            _ => {
                self.close_aggregate(out);
                self.last_agg += 1;
                self.open_aggregate = Some(AggregateTrade {
                    symbol: self.symbol,
                    event_ts: now,
                    id: self.last_agg,
                    price,
                    qty,
                    first: id,
                    last: id,
                    aggressor,
                });
            }
        }
        let trade = PublicTrade { symbol: self.symbol, event_ts: now, id, price, qty, aggressor };
        keep(&mut self.trades, trade);
        out.push(VenueMarketEvent::Trade(trade));
        id
    }

    /// Ends a message to the core: its aggregate is complete, and a change of the book gets the next update id.
    pub(super) fn end_message(&mut self, now: TimestampNs, out: &mut Vec<VenueMarketEvent>) {
        self.close_aggregate(out);
        if std::mem::take(&mut self.message_changed) {
            self.update_id += 1;
            if self.depth_due.is_none() {
                let interval = self.interval.nanos();
                self.depth_due = Some(TimestampNs::from_nanos((now.nanos() / interval + 1) * interval));
            }
        }
    }

    fn close_aggregate(&mut self, out: &mut Vec<VenueMarketEvent>) {
        if let Some(aggregate) = self.open_aggregate.take() {
            keep(&mut self.aggregates, aggregate);
            out.push(VenueMarketEvent::AggTrade(aggregate));
        }
    }

    /// Publishes the touch if it differs from the last one published.
    pub(super) fn publish_touch(&mut self, now: TimestampNs, core: &MatchingCore, out: &mut Vec<VenueMarketEvent>) {
        if self.is_silent {
            return;
        }
        let touch = [core.best(Side::Bid), core.best(Side::Ask)];
        if touch != self.touch {
            self.touch = touch;
            out.push(VenueMarketEvent::BookTicker(self.book_ticker(now, core)));
        }
    }

    /// Publishes the diff that is due: every level changed since the last one, with its quantity now.
    pub(super) fn publish_depth(&mut self, core: &MatchingCore, out: &mut Vec<VenueMarketEvent>) {
        let Some(due) = self.depth_due.take() else { return };
        let [bids, asks] = &mut self.changed;
        let level = |side, price| Level { price, qty: core.qty_at(side, price) };
        let event = VenueMarketEvent::DepthDiff {
            symbol: self.symbol,
            event_ts: due,
            first_id: self.published_id + 1,
            last_id: self.update_id,
            bids: bids.iter().rev().map(|&price| level(Side::Bid, price)).collect(),
            asks: asks.iter().map(|&price| level(Side::Ask, price)).collect(),
        };
        bids.clear();
        asks.clear();
        self.published_id = self.update_id;
        out.push(event);
    }

    /// Best bid and ask now.
    pub(super) fn book_ticker(&self, now: TimestampNs, core: &MatchingCore) -> BookTicker {
        BookTicker {
            symbol: self.symbol,
            event_ts: now,
            update_id: self.update_id,
            bid: core.best(Side::Bid),
            ask: core.best(Side::Ask),
        }
    }

    /// The book now, at most `limit` levels a side.
    pub(super) fn snapshot(&self, core: &MatchingCore, limit: usize) -> DepthSnapshot {
        let side = |side| {
            let mut levels = vec![Level::default(); limit.min(core.level_count(side))];
            let count = core.top(side, &mut levels);
            levels.truncate(count);
            levels
        };
        DepthSnapshot { last_update_id: self.update_id, bids: side(Side::Bid), asks: side(Side::Ask) }
    }

    /// The latest trades, oldest first.
    pub(super) fn recent_trades(&self, limit: usize) -> Vec<PublicTrade> {
        self.trades.iter().skip(self.trades.len().saturating_sub(limit)).copied().collect()
    }

    /// The latest aggregates, oldest first.
    pub(super) fn recent_aggregates(&self, limit: usize) -> Vec<AggregateTrade> {
        self.aggregates.iter().skip(self.aggregates.len().saturating_sub(limit)).copied().collect()
    }
}

fn keep<T>(recent: &mut VecDeque<T>, item: T) {
    if recent.len() == RECENT_MAX {
        recent.pop_front();
    }
    recent.push_back(item);
}
