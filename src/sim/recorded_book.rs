//! The book of a level-2 recording, at rest in the matching core.
//!
//! Each recorded level rests in the core as background orders, and clients' orders rest among them. Recorded trades are
//! replayed as aggressors of exactly their quantity and price, consuming background and clients' orders once, in the
//! queue's order. After each depth message the background at each level is the recorded quantity, less what clients
//! consumed there since the level's last update.
//!
//! Depth says how large a level is, not who left it. Where among the background a client's order stands is the fill
//! model's word: it moves a [`Place`] with every print and every report, and the level's queue is arranged accordingly.
//! Under [`FillModel::Fifo`] there is no such word: the core's own queue is the place.
//!
//! Depth messages may be 100 ms apart while trades come at once; a print therefore also says what must have happened
//! in between: levels better than its price are gone, and quantity that it took beyond what was known there had come
//! (behind everything else). `bookTicker` records are not read: depth brings the same moves, with whole levels.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::{Desk, is_client_order};
use super::events::DepthSnapshot;
use super::fill_model::FillModel;
use super::market::{Arrival, Market, Piece};
use super::queue::{Place, QueueEvent};
use crate::matching::{Message, RestingOrder};
use crate::types::{Level, OrderKind, Price, Qty, Side, TimeInForce, TimestampNs, Trade};
use crate::wire::{DepthBuf, DepthKind, DepthRef};

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
    /// Places of clients' orders, by order number.
    places: BTreeMap<u64, Place>,
}

impl BackgroundLevel {
    /// What the background should be.
    fn target(&self) -> Qty {
        (self.recorded - self.consumed).max(Qty::ZERO)
    }

    /// What the background is. Forgets orders that have traded away.
    fn standing(&mut self, market: &Market) -> Qty {
        let mut total = Qty::ZERO;
        self.orders.retain(|&id| {
            debug_assert!(!is_client_order(id));
            let remaining = market.core.order(id).map(|order| order.remaining);
            total += remaining.unwrap_or_default();
            remaining.is_some()
        });
        total
    }

    fn is_empty(&self) -> bool {
        self.recorded.is_zero() && self.orders.is_empty() && self.places.is_empty()
    }
}

/// Recorded levels, and where clients stand in them.
#[derive(Debug)]
pub(super) struct RecordedBook {
    fill: FillModel,
    levels: [BTreeMap<Price, BackgroundLevel>; 2],
    /// Levels that replayed trades have changed since the last depth message.
    dirty: BTreeSet<(Side, Price)>,
    /// Levels with places.
    held: Vec<(Side, Price)>,
    last_id: u64,
}

impl RecordedBook {
    /// A book without levels.
    pub(super) fn new(fill: FillModel) -> RecordedBook {
        RecordedBook {
            fill,
            levels: [BTreeMap::new(), BTreeMap::new()],
            dirty: BTreeSet::new(),
            held: Vec::new(),
            last_id: 0,
        }
    }

    /// The last update id that was recorded.
    pub(super) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Puts what was recorded before into an empty market.
    pub(super) fn open(&mut self, now: TimestampNs, market: &mut Market, desk: &mut Desk) {
        for side in Side::BOTH {
            let prices: Vec<Price> = self.levels[side.index()].keys().copied().collect();
            for price in prices {
                self.fill_up(now, side, price, market, desk);
            }
        }
    }

    /// The recorded quantity at a level and what clients have consumed of it since its last update.
    pub(super) fn recorded(&self, side: Side) -> impl DoubleEndedIterator<Item = (Price, Qty, Qty)> {
        self.levels[side.index()].iter().map(|(price, level)| (*price, level.recorded, level.consumed))
    }

    /// The recorded book, clients left out, at most `limit` levels a side; its id joins the recording's diffs.
    pub(super) fn snapshot(&self, limit: usize) -> DepthSnapshot {
        let known = |(price, qty, _): (Price, Qty, Qty)| (!qty.is_zero()).then_some(Level { price, qty });
        DepthSnapshot {
            last_update_id: self.last_id,
            bids: self.recorded(Side::Bid).rev().filter_map(known).take(limit).collect(),
            asks: self.recorded(Side::Ask).filter_map(known).take(limit).collect(),
        }
    }

    /// Takes a depth message into the recorded levels alone.
    pub(super) fn record(&mut self, depth: DepthRef<'_>) {
        let mut touched = BTreeSet::new();
        self.take_in(depth, &mut touched);
    }

    /// Takes a depth message into the recorded levels, adding to `touched` which they are.
    fn take_in(&mut self, depth: DepthRef<'_>, touched: &mut BTreeSet<(Side, Price)>) {
        if depth.head.kind == DepthKind::Snapshot {
            for side in Side::BOTH {
                for (price, level) in &mut self.levels[side.index()] {
                    level.recorded = Qty::ZERO;
                    level.consumed = Qty::ZERO;
                    touched.insert((side, *price));
                }
            }
        }
        for (side, levels) in [(Side::Bid, depth.bids), (Side::Ask, depth.asks)] {
            for &Level { price, qty } in levels {
                let level = self.levels[side.index()].entry(price).or_default();
                level.recorded = qty;
                level.consumed = Qty::ZERO;
                touched.insert((side, price));
            }
        }
        self.last_id = depth.head.last_id;
    }

    /// Brings the background to where a depth message says it is.
    pub(super) fn apply(&mut self, now: TimestampNs, depth: DepthRef<'_>, market: &mut Market, desk: &mut Desk) {
        if depth.head.kind == DepthKind::Diff && depth.head.last_id <= self.last_id {
            return;
        }
        self.move_to(now, std::iter::once(depth), market, desk);
    }

    /// Brings the background to where several depth messages together say it is: a snapshot and what joins it.
    pub(super) fn catch_up(&mut self, now: TimestampNs, depths: &[DepthBuf], market: &mut Market, desk: &mut Desk) {
        self.move_to(now, depths.iter().map(DepthBuf::as_ref), market, desk);
    }

    fn move_to<'a>(
        &mut self,
        now: TimestampNs,
        depths: impl Iterator<Item = DepthRef<'a>>,
        market: &mut Market,
        desk: &mut Desk,
    ) {
        let before: Vec<Qty> =
            self.held.iter().map(|(side, price)| self.levels[side.index()][price].recorded).collect();
        let mut touched = BTreeSet::new();
        depths.for_each(|depth| self.take_in(depth, &mut touched));
        self.move_places(&before, &touched, market);
        touched.append(&mut self.dirty);
        // Decreases first: the book moves away from a price before it moves into it.
        for &(side, price) in &touched {
            self.cut_down(now, side, price, market, desk);
        }
        for &(side, price) in &touched {
            self.fill_up(now, side, price, market, desk);
        }
        self.forget_the_gone(market);
        for (side, price) in touched {
            let levels = &mut self.levels[side.index()];
            if levels.get(&price).is_some_and(BackgroundLevel::is_empty) {
                levels.remove(&price);
            }
        }
        for index in 0..self.held.len() {
            let (side, price) = self.held[index];
            self.arrange(side, price, market);
        }
    }

    /// Tells the places at reported levels what was reported.
    fn move_places(&mut self, before: &[Qty], touched: &BTreeSet<(Side, Price)>, market: &Market) {
        let FillModel::Queue { model, .. } = &self.fill else { return };
        for (&(side, price), prev) in self.held.iter().zip(before) {
            if !touched.contains(&(side, price)) {
                continue;
            }
            let Some(level) = self.levels[side.index()].get_mut(&price) else { continue };
            let event = QueueEvent::Depth { prev: prev.lots() as f64, new: level.recorded.lots() as f64 };
            for (id, place) in &mut level.places {
                if let Some(order) = market.core.order(*id) {
                    model.apply(place, order.remaining.lots() as f64, event);
                }
            }
        }
    }

    /// Drops the places of orders that rest no more.
    fn forget_the_gone(&mut self, market: &Market) {
        let levels = &mut self.levels;
        self.held.retain(|(side, price)| {
            let Some(level) = levels[side.index()].get_mut(price) else { return false };
            level.places.retain(|id, _| market.core.order(*id).is_some());
            if level.is_empty() {
                levels[side.index()].remove(price);
                return false;
            }
            !level.places.is_empty()
        });
    }

    /// Replays a print.
    pub(super) fn replay(&mut self, now: TimestampNs, trade: &Trade, market: &mut Market, desk: &mut Desk) {
        let (price, maker_side) = (trade.price, trade.aggressor.opposite());
        if trade.qty.lots() <= 0 {
            return;
        }
        // Resting interest better than the print, or resting across it, had gone before it happened.
        self.clear(now, maker_side, |at| at.ticks_above(price) * maker_side.sign() > 0, market, desk);
        self.clear(now, trade.aggressor, |at| at.ticks_above(price) * trade.aggressor.sign() >= 0, market, desk);
        let level = self.levels[maker_side.index()].get(&price);
        let consumed = level.map_or(Qty::ZERO, |level| level.consumed);
        let unreached = level.map_or(Qty::ZERO, |level| out_of_reach(level, market));
        let known = consumed + market.qty_through(maker_side, price) - unreached;
        if trade.qty > known {
            self.add(now, maker_side, price, trade.qty - known, market, desk);
            self.arrange(maker_side, price, market);
        }
        let kind = OrderKind::Limit(TimeInForce::Ioc);
        let order = market.background_order(trade.aggressor, price, trade.qty, kind);
        self.dirty.insert((maker_side, price));
        market.submit(now, &Message::New(order), Arrival::Aggressor { reach: Some(price) }, desk);
        self.look_at_clients(market);
        self.move_places_through(trade, market);
    }

    /// Tells the places that a print reached of it.
    fn move_places_through(&mut self, trade: &Trade, market: &mut Market) {
        let FillModel::Queue { model, .. } = &self.fill else { return };
        let (side, mut moved) = (trade.aggressor.opposite(), false);
        for (_, price) in self.held.iter().filter(|(at, _)| *at == side) {
            let event = match price.ticks_above(trade.price) * side.sign() {
                0 => QueueEvent::Trade(trade.qty.lots() as f64),
                1.. => QueueEvent::TradeThrough,
                _ => continue,
            };
            let Some(level) = self.levels[side.index()].get_mut(price) else { continue };
            for (id, place) in &mut level.places {
                if let Some(order) = market.core.order(*id) {
                    model.apply(place, order.remaining.lots() as f64, event);
                    moved = true;
                }
            }
        }
        if moved {
            self.arrange(side, trade.price, market);
        }
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

    /// Reduces a level's background to its target, from the back of the queue; in a queue of orders that are told
    /// apart, by the newest of exactly that size if there is one.
    fn cut_down(&mut self, now: TimestampNs, side: Side, price: Price, market: &mut Market, desk: &mut Desk) {
        let Some(level) = self.levels[side.index()].get_mut(&price) else { return };
        let mut excess = level.standing(market) - level.target();
        if matches!(self.fill, FillModel::Fifo) && excess > Qty::ZERO {
            let fits = |id: &u64| market.core.order(*id).is_some_and(|order| order.remaining == excess);
            if let Some(at) = level.orders.iter().rposition(fits) {
                market.withdraw(now, level.orders.remove(at), desk);
                return;
            }
        }
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
        let lacking = level.target() - level.standing(market);
        if lacking > Qty::ZERO {
            // The newest message is right about where the book is: older background across it must have gone.
            let opposite = side.opposite();
            self.clear(now, opposite, |at| at.ticks_above(price) * opposite.sign() >= 0, market, desk);
            self.add(now, side, price, lacking, market, desk);
        }
    }

    /// Adds background quantity behind everything at a level. What crosses a client's order trades with it.
    fn add(&mut self, now: TimestampNs, side: Side, price: Price, qty: Qty, market: &mut Market, desk: &mut Desk) {
        let merges = !matches!(self.fill, FillModel::Fifo);
        let level = self.levels[side.index()].entry(price).or_default();
        level.standing(market);
        let last = level.orders.last().filter(|_| merges && !level.has_client_behind);
        match last.and_then(|id| market.core.order(*id)) {
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
    pub(super) fn look_at_clients(&mut self, market: &mut Market) {
        for consumed in market.consumed.drain(..) {
            if let Some(level) = self.levels[consumed.side.index()].get_mut(&consumed.price) {
                level.consumed += consumed.qty;
            }
        }
        for rested in std::mem::take(&mut market.rested) {
            let FillModel::Queue { model, .. } = &self.fill else {
                if let Some(level) = self.levels[rested.side.index()].get_mut(&rested.price) {
                    level.has_client_behind = true;
                }
                continue;
            };
            let level = self.levels[rested.side.index()].entry(rested.price).or_default();
            let ahead = level.standing(market).lots() as f64;
            level.has_client_behind = true;
            level.places.insert(rested.id, model.join(ahead));
            if !self.held.contains(&(rested.side, rested.price)) {
                self.held.push((rested.side, rested.price));
            }
            self.arrange(rested.side, rested.price, market);
        }
    }

    /// Arranges a level's queue as the places in it say. Background never comes to stand before an order that it stood
    /// behind, except before one that trades at its price never reach.
    fn arrange(&mut self, side: Side, price: Price, market: &mut Market) {
        let Some(level) = self.levels[side.index()].get_mut(&price).filter(|level| !level.places.is_empty()) else {
            return;
        };
        let mut queue: Vec<RestingOrder> = Vec::with_capacity(level.orders.len() + level.places.len());
        market.core.for_each_order_at(side, price, |order| queue.push(order));
        let background = |order: &&RestingOrder| !is_client_order(order.id);
        let total: i64 = queue.iter().filter(background).map(|order| order.remaining.lots()).sum();
        let (mut ahead, mut placed, mut is_right) = (0, 0, true);
        let mut pieces = Vec::with_capacity(queue.len() + 1);
        for order in &queue {
            if !is_client_order(order.id) {
                ahead += order.remaining.lots();
                continue;
            }
            let wanted = match level.places.get(&order.id) {
                Some(place) if place.is_last_always() => total,
                Some(place) => place.ahead_lots(total).min(ahead),
                None => ahead,
            };
            let wanted = wanted.max(placed);
            is_right &= wanted == ahead;
            if wanted > placed {
                pieces.push(Piece::Background(Qty::from_lots(wanted - placed)));
            }
            pieces.push(Piece::Client(*order));
            placed = wanted;
        }
        if is_right {
            return;
        }
        if total > placed {
            pieces.push(Piece::Background(Qty::from_lots(total - placed)));
        }
        level.has_client_behind = matches!(pieces.last(), Some(Piece::Client(_)));
        level.orders = market.queue_again(side, price, &queue, &pieces);
    }
}

/// What rests at a level in orders that trades at its price never reach.
fn out_of_reach(level: &BackgroundLevel, market: &Market) -> Qty {
    let mut total = Qty::ZERO;
    for (id, _) in level.places.iter().filter(|(_, place)| place.is_last_always()) {
        total += market.core.order(*id).map_or(Qty::ZERO, |order| order.remaining);
    }
    total
}
