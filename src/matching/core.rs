//! `MatchingCore`: messages in, reports out, and the questions that may be asked of the book.

use cxx::UniquePtr;

use super::bridge::{RawMessage, RawOrder, RawReport, ffi};
use super::types::{Broken, CancelReason, Capacity, Growth, Message, RejectReason, Report, RestingOrder, SelfTrade};
use crate::types::{Level, OrderKind, Price, Qty, Side, TimeInForce};

/// Price-time priority matching of one instrument.
///
/// The book is never crossed. The whole state is a function of the messages; no clock, thread or random number is used.
pub struct MatchingCore {
    bridge: UniquePtr<ffi::Bridge>,
}

impl MatchingCore {
    /// An empty book with that much room.
    ///
    /// When the memory cannot be had the core has no room at all and refuses whatever would rest; see
    /// [`order_capacity`](Self::order_capacity).
    pub fn new(capacity: Capacity) -> MatchingCore {
        let may_grow = capacity.growth == Growth::Double;
        MatchingCore { bridge: ffi::new_bridge(capacity.orders, capacity.levels, may_grow) }
    }

    /// Carries out one message and appends its consequences, in the order in which they happened, to `reports`.
    ///
    /// At least one report per message. Allocates only when `reports` has no room left or a capacity is doubled.
    #[inline]
    pub fn submit(&mut self, message: &Message, reports: &mut Vec<Report>) {
        let raw = raw_message(message);
        reports.extend(self.bridge.pin_mut().submit(&raw).iter().map(report_from_raw));
    }

    /// The best price of a side and the whole quantity there.
    pub fn best(&self, side: Side) -> Option<Level> {
        let mut level = Level::default();
        self.bridge.best(side as u8, &mut level).then_some(level)
    }

    /// The whole quantity resting at a price; zero when there is no such level.
    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        Qty::from_lots(self.bridge.qty_at(side as u8, price.ticks()))
    }

    /// Fills `levels` with the side's best levels, best first, and returns how many there were.
    pub fn top(&self, side: Side, levels: &mut [Level]) -> usize {
        self.bridge.top(side as u8, levels)
    }

    /// A resting order.
    pub fn order(&self, id: u64) -> Option<RestingOrder> {
        let mut raw = RawOrder::default();
        self.bridge.order(id, &mut raw).then(|| order_from_raw(&raw))
    }

    /// The quantity that stands before a resting order at its level. Walks the queue from the order to its front.
    pub fn ahead_of(&self, id: u64) -> Option<Qty> {
        let lots = self.bridge.ahead_of(id);
        (lots >= 0).then(|| Qty::from_lots(lots))
    }

    /// Calls `visit` with each order of a level, first in the queue first.
    pub fn for_each_order_at(&self, side: Side, price: Price, mut visit: impl FnMut(RestingOrder)) {
        let mut batch = [RawOrder::default(); 32];
        let mut cursor = 0;
        loop {
            let count = self.bridge.orders_at(side as u8, price.ticks(), &mut cursor, &mut batch);
            batch[..count].iter().map(order_from_raw).for_each(&mut visit);
            if cursor == 0 {
                return;
            }
        }
    }

    /// How many orders rest.
    pub fn len(&self) -> usize {
        self.bridge.order_count() as usize
    }

    /// Whether no order rests.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many price levels a side has.
    pub fn level_count(&self, side: Side) -> usize {
        self.bridge.level_count(side as u8) as usize
    }

    /// How many orders may rest before the core must grow or refuse.
    pub fn order_capacity(&self) -> usize {
        self.bridge.order_capacity() as usize
    }

    /// Bytes reserved by arena and indexes, the report buffer left out.
    pub fn memory_bytes(&self) -> usize {
        self.bridge.memory_bytes()
    }

    /// Walks arena, levels and indexes and compares each with the others. For tests and debug runs: takes time in
    /// proportion to the whole book.
    ///
    /// # Errors
    /// The first contradiction found; any is a bug in the core.
    pub fn check(&self) -> Result<(), Broken> {
        let result = self.bridge.check();
        if result.fault == 0 { Ok(()) } else { Err(Broken { code: result.fault, slot: result.slot }) }
    }
}

impl std::fmt::Debug for MatchingCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MatchingCore")
            .field("orders", &self.len())
            .field("best_bid", &self.best(Side::Bid))
            .field("best_ask", &self.best(Side::Ask))
            .finish()
    }
}

// The numbers below are those of the enums in message.hpp and report.hpp. The text scenarios, which both languages read,
// name every one of them and so hold the two lists together.

#[inline]
fn raw_message(message: &Message) -> RawMessage {
    match *message {
        Message::New(order) => RawMessage {
            id: order.id,
            price: order.price.ticks(),
            qty: order.qty.lots(),
            owner: order.owner,
            action: 0,
            side: order.side as u8,
            kind: match order.kind {
                OrderKind::Limit(TimeInForce::Gtc) => 0,
                OrderKind::Limit(TimeInForce::Ioc) => 1,
                OrderKind::Limit(TimeInForce::Fok) => 2,
                OrderKind::PostOnly => 3,
                OrderKind::Market => 4,
            },
            stp: order.stp as u8,
        },
        Message::Cancel { id } => {
            RawMessage { id, price: 0, qty: 0, owner: 0, action: 1, side: 0, kind: 0, stp: SelfTrade::None as u8 }
        }
        Message::Modify { id, price, qty } => RawMessage {
            id,
            price: price.ticks(),
            qty: qty.lots(),
            owner: 0,
            action: 2,
            side: 0,
            kind: 0,
            stp: SelfTrade::None as u8,
        },
    }
}

#[inline]
fn report_from_raw(raw: &RawReport) -> Report {
    let remaining = Qty::from_lots(raw.remaining);
    match raw.kind {
        0 => Report::Accepted { id: raw.id },
        1 => Report::Trade {
            maker_id: raw.id,
            taker_id: raw.taker_id,
            price: Price::from_ticks(raw.price),
            qty: Qty::from_lots(raw.qty),
            aggressor: side_from_raw(raw.side),
            maker_remaining: remaining,
            taker_remaining: Qty::from_lots(raw.taker_remaining),
        },
        2 => Report::Cancelled { id: raw.id, remaining, reason: cancel_reason_from_raw(raw.reason) },
        3 => Report::Modified { id: raw.id, price: Price::from_ticks(raw.price), remaining },
        _ => Report::Rejected { id: raw.id, reason: reject_reason_from_raw(raw.reason) },
    }
}

fn order_from_raw(raw: &RawOrder) -> RestingOrder {
    RestingOrder {
        id: raw.id,
        side: side_from_raw(raw.side),
        price: Price::from_ticks(raw.price),
        remaining: Qty::from_lots(raw.remaining),
        owner: raw.owner,
    }
}

// The core writes only the values listed; the last arm stands for its own and keeps these functions total.

fn side_from_raw(side: u8) -> Side {
    if side == 0 { Side::Bid } else { Side::Ask }
}

fn cancel_reason_from_raw(reason: u8) -> CancelReason {
    match reason {
        0 => CancelReason::User,
        1 => CancelReason::IocRest,
        2 => CancelReason::Fok,
        3 => CancelReason::MarketRest,
        _ => CancelReason::SelfTrade,
    }
}

fn reject_reason_from_raw(reason: u8) -> RejectReason {
    match reason {
        0 => RejectReason::Quantity,
        1 => RejectReason::DuplicateId,
        2 => RejectReason::UnknownOrder,
        3 => RejectReason::WouldCross,
        4 => RejectReason::LevelOverflow,
        5 => RejectReason::Capacity,
        _ => RejectReason::Malformed,
    }
}
