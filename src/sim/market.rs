//! One symbol's market: the matching core, its tape, and the passage from the core's reports to the desk. Both clients
//! and flow act on the book through [`Market::submit`] only, so nothing that the core does goes untold.

use super::config::{SymbolConfig, VenueConfig};
use super::desk::{Desk, Match, StoppedMatch, background_id, is_client_order};
use super::events::FillCause;
use super::tape::Tape;
use crate::matching::{CancelReason, Capacity, MatchingCore, Message, OrderEntry, Report, RestingOrder, SelfTrade};
use crate::types::{Level, OrderKind, Price, Qty, Side, TimeInForce, TimestampNs};

/// What a message to the core stands for; it decides the cause of the fills that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A client's request.
    Client,
    /// A quote of the simulated market: whatever it meets it has moved across.
    Quote,
    /// An aggressor of the simulated market. `reach` is how far it is known to have gone, when that is further than
    /// what it traded here shows (a recorded print).
    Aggressor {
        /// The furthest price.
        reach: Option<Price>,
    },
}

/// A background level's quantity that a client has consumed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consumed {
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
}

/// A client's order that has come to rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rested {
    pub id: u64,
    pub side: Side,
    pub price: Price,
}

/// A part of a level's queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    /// So much of the simulated market.
    Background(Qty),
    /// A client's order.
    Client(RestingOrder),
}

/// One symbol's market.
#[derive(Debug)]
pub(super) struct Market {
    pub symbol: SymbolConfig,
    pub core: MatchingCore,
    pub tape: Tape,
    /// What clients have consumed of the simulated market since its flow last looked.
    pub consumed: Vec<Consumed>,
    /// Where clients' orders have come to rest since the flow last looked.
    pub rested: Vec<Rested>,
    reports: Vec<Report>,
    background_orders: u64,
}

impl Market {
    pub(super) fn new(config: &VenueConfig, symbol: SymbolConfig) -> Market {
        Market {
            tape: Tape::new(symbol.instrument.id, config.depth_interval),
            symbol,
            core: MatchingCore::new(Capacity::default()),
            consumed: Vec::new(),
            rested: Vec::new(),
            reports: Vec::new(),
            background_orders: 0,
        }
    }

    /// Carries out one message, publishes what it changed and settles what it traded.
    pub(super) fn submit(&mut self, now: TimestampNs, message: &Message, arrival: Arrival, desk: &mut Desk) {
        let before = match message {
            Message::New(_) => None,
            Message::Cancel { id } | Message::Modify { id, .. } => self.core.order(*id),
        };
        let prevented_first = self.first_prevented(message);
        let mut reports = std::mem::take(&mut self.reports);
        reports.clear();
        self.core.submit(message, &mut reports);
        let last_price = reports.iter().rev().find_map(|report| match report {
            Report::Trade { price, .. } => Some(*price),
            _ => None,
        });
        let mut prevention = Prevented { match_id: 0, maker: prevented_first };
        for report in &reports {
            match *report {
                Report::Accepted { id } => {
                    if let Some(order) = self.core.order(id) {
                        self.tape.level_changed(order.side, order.price);
                        if is_client_order(id) {
                            self.rested.push(Rested { id, side: order.side, price: order.price });
                        }
                    }
                    if is_client_order(id) {
                        desk.accepted(now, id);
                    }
                }
                Report::Trade { maker_id, taker_id, price, qty, aggressor, .. } => {
                    self.note_consumed(message, report);
                    self.tape.level_changed(aggressor.opposite(), price);
                    let trade_id = self.tape.trade(now, price, qty, aggressor, &mut desk.market_events);
                    let maker_cause = cause_of(arrival, aggressor, price, last_price);
                    let trade = Match { trade_id, price, qty, maker_id, taker_id, aggressor, maker_cause };
                    desk.settle(now, &self.symbol, &trade);
                }
                Report::Cancelled { id, reason: CancelReason::SelfTrade, remaining } => {
                    self.prevent(now, message, id, remaining, true, &mut prevention, desk);
                }
                Report::Cancelled { id, reason, .. } => {
                    if let Some(order) = before {
                        self.tape.level_changed(order.side, order.price);
                    }
                    if is_client_order(id)
                        && let Some(text) = expiry_reason(reason)
                    {
                        desk.expired(now, &self.symbol, id, text);
                    }
                }
                Report::Modified { id, price, remaining } => match before {
                    Some(order) => {
                        self.tape.level_changed(order.side, order.price);
                        self.tape.level_changed(order.side, price);
                    }
                    None => {
                        let taken = desk.orders.get(id).map_or(Qty::ZERO, |record| record.remaining - remaining);
                        self.prevent(now, message, id, taken, false, &mut prevention, desk);
                    }
                },
                Report::Rejected { .. } => {}
            }
        }
        self.reports = reports;
        self.tape.end_message(now, &mut desk.market_events);
    }

    /// Whether the core refused the last message.
    pub(super) fn was_rejected(&self) -> bool {
        matches!(self.reports.last(), Some(Report::Rejected { .. }))
    }

    /// Tells a client that self-trade prevention acted on an order. The core reports the maker of a pair first.
    #[expect(clippy::too_many_arguments, reason = "one report of the core, taken apart")]
    fn prevent(
        &mut self,
        now: TimestampNs,
        message: &Message,
        id: u64,
        taken: Qty,
        is_gone: bool,
        prevention: &mut Prevented,
        desk: &mut Desk,
    ) {
        let taker_id = match message {
            Message::New(order) => order.id,
            Message::Cancel { id } | Message::Modify { id, .. } => *id,
        };
        let counter = if id == taker_id {
            if prevention.match_id == 0 {
                prevention.match_id = desk.take_prevention_id();
            }
            prevention.maker.unwrap_or_default()
        } else {
            prevention.match_id = desk.take_prevention_id();
            prevention.maker = Some(id);
            if let Some(record) = desk.orders.get(id) {
                self.tape.level_changed(record.view.side, record.price);
            }
            taker_id
        };
        let stopped = StoppedMatch { match_id: prevention.match_id, counter_order_id: counter };
        desk.prevented(now, &self.symbol, id, taken, is_gone, stopped);
    }

    /// The client order that an arriving client order meets first, if it expires on meeting it: the one case in which
    /// the core does not name the other order.
    fn first_prevented(&self, message: &Message) -> Option<u64> {
        let Message::New(order) = message else { return None };
        if order.stp != SelfTrade::ExpireTaker {
            return None;
        }
        let mut levels = vec![Level::default(); self.core.level_count(order.side.opposite())];
        let count = self.core.top(order.side.opposite(), &mut levels);
        let mut found = None;
        for level in &levels[..count] {
            self.core.for_each_order_at(order.side.opposite(), level.price, |resting| {
                if found.is_none() && resting.owner == order.owner {
                    found = Some(resting.id);
                }
            });
            if found.is_some() {
                break;
            }
        }
        found
    }

    /// Remembers background quantity that a client consumed, so that a recording does not offer it twice.
    fn note_consumed(&mut self, message: &Message, report: &Report) {
        let Report::Trade { maker_id, taker_id, price, qty, aggressor, .. } = *report else { return };
        match (is_client_order(maker_id), is_client_order(taker_id)) {
            (false, true) => self.consumed.push(Consumed { side: aggressor.opposite(), price, qty }),
            (true, false) => {
                // A background quote that met a client's order lacks this much at its own price.
                if let Message::New(OrderEntry { price, side, .. }) = *message {
                    self.consumed.push(Consumed { side, price, qty });
                }
            }
            _ => {}
        }
    }

    /// A new order of the simulated market.
    pub(super) fn background_order(&mut self, side: Side, price: Price, qty: Qty, kind: OrderKind) -> OrderEntry {
        self.background_orders += 1;
        let id = background_id(self.background_orders);
        OrderEntry { id, owner: 0, side, price, qty, kind, stp: SelfTrade::None }
    }

    /// Rests a quote of the simulated market and returns its number.
    pub(super) fn quote(&mut self, now: TimestampNs, side: Side, price: Price, qty: Qty, desk: &mut Desk) -> u64 {
        let order = self.background_order(side, price, qty, OrderKind::Limit(TimeInForce::Gtc));
        self.submit(now, &Message::New(order), Arrival::Quote, desk);
        order.id
    }

    /// Takes a quote of the simulated market off the book, if it still rests.
    pub(super) fn withdraw(&mut self, now: TimestampNs, id: u64, desk: &mut Desk) {
        if self.core.order(id).is_some() {
            self.submit(now, &Message::Cancel { id }, Arrival::Quote, desk);
        }
    }

    /// What rests on a side at a price and better.
    pub(super) fn qty_through(&self, side: Side, price: Price) -> Qty {
        let within = |level: &Level| level.price.ticks_above(price) * side.sign() >= 0;
        let sum = |levels: &[Level]| {
            let mut total = Qty::ZERO;
            levels.iter().take_while(|level| within(level)).for_each(|level| total += level.qty);
            total
        };
        let mut near = [Level::default(); 8];
        let count = self.core.top(side, &mut near);
        if count == near.len() && within(&near[count - 1]) { sum(&self.levels(side)) } else { sum(&near[..count]) }
    }

    /// Lines a level up anew: `queue` is what stands there, `pieces` how it is to stand, of the same quantity and with
    /// the same clients' orders. Nobody is told: what a level shows is its size. Returns the numbers of the background
    /// orders, the first in the queue first.
    pub(super) fn queue_again(
        &mut self,
        side: Side,
        price: Price,
        queue: &[RestingOrder],
        pieces: &[Piece],
    ) -> Vec<u64> {
        let mut reports = std::mem::take(&mut self.reports);
        reports.clear();
        for order in queue {
            self.core.submit(&Message::Cancel { id: order.id }, &mut reports);
        }
        let mut background = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let gtc = OrderKind::Limit(TimeInForce::Gtc);
            let entry = match *piece {
                Piece::Background(qty) => self.background_order(side, price, qty, gtc),
                Piece::Client(RestingOrder { id, owner, remaining, .. }) => {
                    // What a resting order does on meeting its owner is the arriving order's choice.
                    OrderEntry { id, owner, side, price, qty: remaining, kind: gtc, stp: SelfTrade::None }
                }
            };
            if matches!(piece, Piece::Background(_)) {
                background.push(entry.id);
            }
            self.core.submit(&Message::New(entry), &mut reports);
        }
        debug_assert!(
            reports.iter().all(|report| matches!(report, Report::Accepted { .. } | Report::Cancelled { .. })),
            "what rested at a price rests there again"
        );
        self.reports = reports;
        background
    }

    /// The best price of a side at which the simulated market itself rests.
    pub(super) fn best_background(&self, side: Side) -> Option<Price> {
        let mut levels = [Level::default(); 8];
        let mut count = self.core.top(side, &mut levels);
        if let Some(price) = self.first_background(side, &levels[..count]) {
            return Some(price);
        }
        if count < levels.len() {
            return None;
        }
        let mut all = vec![Level::default(); self.core.level_count(side)];
        count = self.core.top(side, &mut all);
        self.first_background(side, &all[..count])
    }

    fn first_background(&self, side: Side, levels: &[Level]) -> Option<Price> {
        levels.iter().map(|level| level.price).find(|&price| {
            let mut found = false;
            self.core.for_each_order_at(side, price, |order| found |= !is_client_order(order.id));
            found
        })
    }

    /// All levels of a side, best first.
    pub(super) fn levels(&self, side: Side) -> Vec<Level> {
        let mut levels = vec![Level::default(); self.core.level_count(side)];
        let count = self.core.top(side, &mut levels);
        levels.truncate(count);
        levels
    }
}

/// The match that self-trade prevention is stopping.
struct Prevented {
    match_id: u64,
    maker: Option<u64>,
}

/// Why a client's resting order at `price` was filled.
fn cause_of(arrival: Arrival, aggressor: Side, price: Price, last_price: Option<Price>) -> FillCause {
    let reach = match arrival {
        Arrival::Quote => return FillCause::Cross,
        Arrival::Client => last_price,
        Arrival::Aggressor { reach } => reach.or(last_price),
    };
    let went_beyond = reach.is_some_and(|reach| reach.ticks_above(price) * aggressor.sign() > 0);
    if went_beyond { FillCause::TradeThrough } else { FillCause::Queue }
}

/// Binance's reason for the end of an order that the core dropped by a rule.
fn expiry_reason(reason: CancelReason) -> Option<&'static str> {
    match reason {
        CancelReason::IocRest => Some("UNFILLED_IOC_QUANTITY_EXPIRED"),
        CancelReason::Fok => Some("UNFILLED_FOK_ORDER_EXPIRED"),
        CancelReason::MarketRest => Some("INSUFFICIENT_LIQUIDITY"),
        CancelReason::User | CancelReason::SelfTrade => None,
    }
}
