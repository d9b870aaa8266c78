//! A market replayed from a level-2 recording.
//!
//! Each recorded level rests in the core as background orders: what stood there before a client's order came is ahead
//! of it, what was added later is behind. Recorded trades are replayed as aggressors of exactly their quantity and
//! price, consuming background and clients' orders once, in the queue's order. Decreases that no trade explains come
//! off behind clients' orders first (the risk-averse reading: nobody ahead of us gave up). After each depth message the
//! background at each level is the recorded quantity, less what clients consumed there since the level's last update.
//!
//! Depth messages may be 100 ms apart while trades come at once; a print therefore also says what must have happened
//! in between: levels better than its price are gone, and quantity that it took beyond what was known there had come
//! (behind everything else). `bookTicker` records are not read: depth brings the same moves, with whole levels.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::Xxh3;

use super::desk::{Desk, is_client_order};
use super::market::{Arrival, Market};
use crate::matching::Message;
use crate::types::{Level, OrderKind, Price, Qty, Side, TimeInForce, TimestampNs, Trade};
use crate::wire::{DepthBuf, DepthKind, FeedEvent};

/// A record of a recording that the replayed market reads, owned.
#[derive(Clone, Debug)]
pub enum RecordedEvent {
    /// A snapshot or a diff.
    Depth(DepthBuf),
    /// A print on the tape.
    Trade(Trade),
}

impl RecordedEvent {
    /// Copies what the replayed market needs of a feed event; `None` for everything that it does not read.
    pub fn from_feed(event: &FeedEvent<'_>) -> Option<RecordedEvent> {
        match event {
            FeedEvent::Depth(depth) => Some(RecordedEvent::Depth(DepthBuf {
                head: depth.head,
                bids: depth.bids.to_vec(),
                asks: depth.asks.to_vec(),
            })),
            FeedEvent::Trade(trade) => Some(RecordedEvent::Trade(*trade)),
            FeedEvent::AggTrade(_) | FeedEvent::Touch(_) | FeedEvent::Notice(_) | FeedEvent::Raw(_) => None,
        }
    }
}

/// A recording of one symbol, in ticks and lots of the symbol's instrument and in the order of its receive times.
///
/// The venue's clock at its start stands for the first moment at which the recording's book is known.
pub struct RecordedMarket {
    /// The records.
    pub events: Box<dyn Iterator<Item = RecordedEvent> + Send>,
    /// How many seconds of the recording pass in one second of the venue's clock; at least 1. A driver that wants to
    /// go as fast as possible advances the venue from one [`super::Venue::next_event_at`] to the next instead.
    pub speed: u32,
}

impl std::fmt::Debug for RecordedMarket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedMarket").field("speed", &self.speed).finish_non_exhaustive()
    }
}

/// Diffs that are waited through for a snapshot (about a minute of the protocol's cadence). A recording without one
/// starts from its diffs alone, and knows each level from the first diff that touches it.
const SNAPSHOT_PATIENCE: usize = 600;

/// A recorded level and the background orders that stand for it.
#[derive(Debug, Default)]
struct BackgroundLevel {
    recorded: Qty,
    /// Consumed by clients since the level's last update.
    consumed: Qty,
    /// Front of the queue first; some may have traded away.
    orders: Vec<u64>,
    /// Whether a client's order came to rest here after the last of `orders`.
    has_client_behind: bool,
}

/// The flow of a recorded market.
pub(super) struct RecordedFlow {
    market: RecordedMarket,
    next: Option<(TimestampNs, RecordedEvent)>,
    start: TimestampNs,
    anchor: TimestampNs,
    levels: [BTreeMap<Price, BackgroundLevel>; 2],
    /// Levels that replayed trades have changed since the last depth message.
    dirty: BTreeSet<(Side, Price)>,
    last_id: u64,
    digest: Xxh3,
}

impl RecordedFlow {
    /// Reads the recording up to the moment at which its book is known; that moment is the venue's `start`.
    pub(super) fn new(mut market: RecordedMarket, start: TimestampNs) -> RecordedFlow {
        market.speed = market.speed.max(1);
        let mut flow = RecordedFlow {
            market,
            next: None,
            start,
            anchor: TimestampNs::ZERO,
            levels: [BTreeMap::new(), BTreeMap::new()],
            dirty: BTreeSet::new(),
            last_id: 0,
            digest: Xxh3::new(),
        };
        flow.find_start();
        flow.next = flow.pull();
        flow
    }

    /// Puts the opening book into the market.
    pub(super) fn open(&mut self, market: &mut Market, desk: &mut Desk) {
        for side in Side::BOTH {
            let prices: Vec<Price> = self.levels[side.index()].keys().copied().collect();
            for price in prices {
                self.fill_up(self.start, side, price, market, desk);
            }
        }
    }

    pub(super) fn next_at(&self) -> Option<TimestampNs> {
        self.next.as_ref().map(|(at, _)| *at)
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest.digest()
    }

    /// Carries out the next record.
    pub(super) fn run_next(&mut self, market: &mut Market, desk: &mut Desk) {
        let Some((now, event)) = self.next.take() else { return };
        self.look_at_clients(market);
        match event {
            RecordedEvent::Depth(depth) => self.apply(now, &depth, market, desk),
            RecordedEvent::Trade(trade) => self.replay(now, &trade, market, desk),
        }
        self.next = self.pull();
    }

    /// The recorded quantity at a level and what clients have consumed of it since its last update.
    pub(super) fn recorded(&self, side: Side) -> impl Iterator<Item = (Price, Qty, Qty)> {
        self.levels[side.index()].iter().map(|(price, level)| (*price, level.recorded, level.consumed))
    }

    fn pull(&mut self) -> Option<(TimestampNs, RecordedEvent)> {
        let event = self.market.events.next()?;
        let recv_ts = match &event {
            RecordedEvent::Depth(depth) => depth.head.recv_ts,
            RecordedEvent::Trade(trade) => trade.recv_ts,
        };
        let mut note = |number: u64| self.digest.update(&number.to_le_bytes());
        match &event {
            RecordedEvent::Depth(depth) => {
                note(recv_ts.nanos());
                note(depth.head.last_id);
                for level in depth.bids.iter().chain(&depth.asks) {
                    note(level.price.ticks() as u64);
                    note(level.qty.lots() as u64);
                }
            }
            RecordedEvent::Trade(trade) => {
                note(recv_ts.nanos());
                note(trade.id.0 as u64);
                note(trade.price.ticks() as u64);
                note(trade.qty.lots() as u64);
            }
        }
        let passed = recv_ts.since(self.anchor).nanos() / u64::from(self.market.speed);
        Some((self.start.plus(crate::types::DurationNs::from_nanos(passed)), event))
    }

    /// Consumes records until a snapshot joins the diffs around it, or patience ends.
    fn find_start(&mut self) {
        let mut early: Vec<DepthBuf> = Vec::new();
        while let Some((_, event)) = self.pull() {
            let RecordedEvent::Depth(depth) = event else { continue };
            self.anchor = self.anchor.max(depth.head.recv_ts);
            match depth.head.kind {
                DepthKind::Diff => {
                    early.push(depth);
                    if early.len() < SNAPSHOT_PATIENCE {
                        continue;
                    }
                }
                DepthKind::Snapshot => {
                    let last_id = depth.head.last_id;
                    early.retain(|diff| diff.head.last_id > last_id);
                    if early.first().is_some_and(|diff| !joins(diff, last_id)) {
                        continue;
                    }
                    self.record(&depth);
                }
            }
            for diff in &early {
                self.record(diff);
            }
            return;
        }
    }

    /// Takes a depth message into the recorded levels and returns which ones it touched.
    fn record(&mut self, depth: &DepthBuf) -> BTreeSet<(Side, Price)> {
        let mut touched = BTreeSet::new();
        if depth.head.kind == DepthKind::Snapshot {
            for side in Side::BOTH {
                for (price, level) in &mut self.levels[side.index()] {
                    level.recorded = Qty::ZERO;
                    level.consumed = Qty::ZERO;
                    touched.insert((side, *price));
                }
            }
        }
        for (side, levels) in [(Side::Bid, &depth.bids), (Side::Ask, &depth.asks)] {
            for &Level { price, qty } in levels {
                let level = self.levels[side.index()].entry(price).or_default();
                level.recorded = qty;
                level.consumed = Qty::ZERO;
                touched.insert((side, price));
            }
        }
        self.last_id = depth.head.last_id;
        touched
    }

    /// Brings the background to where a depth message says it is.
    fn apply(&mut self, now: TimestampNs, depth: &DepthBuf, market: &mut Market, desk: &mut Desk) {
        if depth.head.kind == DepthKind::Diff && depth.head.last_id <= self.last_id {
            return;
        }
        let mut touched = self.record(depth);
        touched.append(&mut self.dirty);
        // Decreases first: the book moves away from a price before it moves into it.
        for &(side, price) in &touched {
            self.cut_down(now, side, price, market, desk);
        }
        for &(side, price) in &touched {
            self.fill_up(now, side, price, market, desk);
        }
        for (side, price) in touched {
            let levels = &mut self.levels[side.index()];
            if levels.get(&price).is_some_and(|level| level.recorded.is_zero() && level.orders.is_empty()) {
                levels.remove(&price);
            }
        }
    }

    /// Replays a print.
    fn replay(&mut self, now: TimestampNs, trade: &Trade, market: &mut Market, desk: &mut Desk) {
        let (price, maker_side) = (trade.price, trade.aggressor.opposite());
        if trade.qty.lots() <= 0 {
            return;
        }
        // Resting interest better than the print, or resting across it, had gone before it happened.
        self.clear(now, maker_side, |at| at.ticks_above(price) * maker_side.sign() > 0, market, desk);
        self.clear(now, trade.aggressor, |at| at.ticks_above(price) * trade.aggressor.sign() >= 0, market, desk);
        let mut known = self.levels[maker_side.index()].get(&price).map_or(Qty::ZERO, |level| level.consumed);
        for level in market.levels(maker_side) {
            if level.price.ticks_above(price) * maker_side.sign() < 0 {
                break;
            }
            known += level.qty;
        }
        if trade.qty > known {
            self.add(now, maker_side, price, trade.qty - known, market, desk);
        }
        let kind = OrderKind::Limit(TimeInForce::Ioc);
        let order = market.background_order(trade.aggressor, price, trade.qty, kind);
        self.dirty.insert((maker_side, price));
        market.submit(now, &Message::New(order), Arrival::Aggressor { reach: Some(price) }, desk);
        self.look_at_clients(market);
    }

    /// Withdraws the background from the levels of a side whose price says so.
    fn clear(
        &mut self,
        now: TimestampNs,
        side: Side,
        is_gone: impl Fn(Price) -> bool,
        market: &mut Market,
        desk: &mut Desk,
    ) {
        let gone = |(price, level): (&Price, &BackgroundLevel)| {
            (is_gone(*price) && !level.orders.is_empty()).then_some(*price)
        };
        let levels = &self.levels[side.index()];
        // Best first, so the walk ends at the first level that stays.
        let prices: Vec<Price> = match side {
            Side::Bid => levels.iter().rev().take_while(|(price, _)| is_gone(**price)).filter_map(gone).collect(),
            Side::Ask => levels.iter().take_while(|(price, _)| is_gone(**price)).filter_map(gone).collect(),
        };
        for price in prices {
            self.dirty.insert((side, price));
            if let Some(level) = self.levels[side.index()].get_mut(&price) {
                for id in level.orders.drain(..) {
                    market.withdraw(now, id, desk);
                }
            }
        }
    }

    /// Reduces a level's background to its target, from the back of the queue.
    fn cut_down(&mut self, now: TimestampNs, side: Side, price: Price, market: &mut Market, desk: &mut Desk) {
        let Some(level) = self.levels[side.index()].get_mut(&price) else { return };
        let mut excess = standing(level, market) - target(level);
        while excess > Qty::ZERO {
            let Some(&last) = level.orders.last() else { break };
            let remaining = market.core.order(last).map_or(Qty::ZERO, |order| order.remaining);
            if remaining <= excess {
                market.withdraw(now, last, desk);
                level.orders.pop();
                excess -= remaining;
                // Whatever client order stood before it is now last, or may be: the next addition starts a new order.
                level.has_client_behind = true;
            } else {
                let smaller = Message::Modify { id: last, price, qty: remaining - excess };
                market.submit(now, &smaller, Arrival::Quote, desk);
                excess = Qty::ZERO;
            }
        }
    }

    /// Raises a level's background to its target, at the back of the queue.
    fn fill_up(&mut self, now: TimestampNs, side: Side, price: Price, market: &mut Market, desk: &mut Desk) {
        let Some(level) = self.levels[side.index()].get_mut(&price) else { return };
        let lacking = target(level) - standing(level, market);
        if lacking > Qty::ZERO {
            // The newest message is right about where the book is: older background across it must have gone.
            let opposite = side.opposite();
            self.clear(now, opposite, |at| at.ticks_above(price) * opposite.sign() >= 0, market, desk);
            self.add(now, side, price, lacking, market, desk);
        }
    }

    /// Adds background quantity behind everything at a level. What crosses a client's order trades with it.
    fn add(&mut self, now: TimestampNs, side: Side, price: Price, qty: Qty, market: &mut Market, desk: &mut Desk) {
        let level = self.levels[side.index()].entry(price).or_default();
        standing(level, market);
        let last = level.orders.last().filter(|_| !level.has_client_behind).and_then(|id| market.core.order(*id));
        match last {
            Some(last) => {
                let larger = Message::Modify { id: last.id, price, qty: last.remaining + qty };
                market.submit(now, &larger, Arrival::Quote, desk);
            }
            None => {
                let id = market.quote(now, side, price, qty, desk);
                level.orders.push(id);
                level.has_client_behind = false;
            }
        }
        self.look_at_clients(market);
    }

    /// Takes note of what clients consumed and of where their orders came to rest.
    fn look_at_clients(&mut self, market: &mut Market) {
        for consumed in market.consumed.drain(..) {
            if let Some(level) = self.levels[consumed.side.index()].get_mut(&consumed.price) {
                level.consumed += consumed.qty;
            }
        }
        for (side, price) in market.rested.drain(..) {
            if let Some(level) = self.levels[side.index()].get_mut(&price) {
                level.has_client_behind = true;
            }
        }
    }
}

/// Whether a diff is the first to apply after a snapshot: by the spot rule, or by the futures rule where it is stated.
fn joins(diff: &DepthBuf, last_id: u64) -> bool {
    diff.head.first_id <= last_id + 1 || diff.head.prev_id.is_some_and(|prev| prev <= last_id)
}

/// What a level's background should be.
fn target(level: &BackgroundLevel) -> Qty {
    (level.recorded - level.consumed).max(Qty::ZERO)
}

/// What a level's background is. Forgets orders that have traded away.
fn standing(level: &mut BackgroundLevel, market: &Market) -> Qty {
    let mut total = Qty::ZERO;
    level.orders.retain(|&id| {
        debug_assert!(!is_client_order(id));
        let remaining = market.core.order(id).map(|order| order.remaining);
        total += remaining.unwrap_or_default();
        remaining.is_some()
    });
    total
}
