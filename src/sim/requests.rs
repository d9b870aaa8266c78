//! What clients ask of the venue and what they get back. Numbers are units of 1e-8, as parsed from the request's
//! decimal text; the venue turns them into ticks and lots or refuses them by a filter.

use super::config::{AccountId, StpMode};
use super::events::{LastFill, OrderView, VenueOrderKind};
use super::reject::VenueReject;
use crate::types::{InstrumentId, Price, Qty, Side, TimestampNs, TradeId};

/// A new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueOrder {
    /// Which symbol.
    pub symbol: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Type and time in force.
    pub kind: VenueOrderKind,
    /// Limit price in 1e-8; ignored for a market order.
    pub price_e8: i64,
    /// Quantity in 1e-8; zero when a market order gives a quote amount instead.
    pub qty_e8: i64,
    /// `quoteOrderQty` in 1e-8 for a market order, else zero.
    pub quote_qty_e8: i64,
    /// `newClientOrderId`; the venue makes one up when there is none.
    pub client_id: Option<String>,
    /// `selfTradePreventionMode`; the symbol's default when there is none.
    pub stp: Option<StpMode>,
}

impl VenueOrder {
    /// An order at a limit.
    pub fn limit(
        symbol: InstrumentId,
        side: Side,
        kind: VenueOrderKind,
        price_e8: i64,
        qty_e8: i64,
        client_id: Option<String>,
    ) -> VenueOrder {
        VenueOrder { symbol, side, kind, price_e8, qty_e8, quote_qty_e8: 0, client_id, stp: None }
    }

    /// A market order for a quantity.
    pub fn market(symbol: InstrumentId, side: Side, qty_e8: i64, client_id: Option<String>) -> VenueOrder {
        VenueOrder {
            symbol,
            side,
            kind: VenueOrderKind::Market,
            price_e8: 0,
            qty_e8,
            quote_qty_e8: 0,
            client_id,
            stp: None,
        }
    }
}

/// The answer to a new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order after everything that happened on its arrival.
    pub order: OrderView,
    /// Its fills on arrival, in order.
    pub fills: Vec<LastFill>,
    /// `transactTime`.
    pub transact_ts: TimestampNs,
}

/// Which order is meant: by the venue's number, by the client's name, or by both, which must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OrderRef<'a> {
    /// `orderId`.
    pub order_id: Option<u64>,
    /// `origClientOrderId`.
    pub client_id: Option<&'a str>,
}

impl<'a> OrderRef<'a> {
    /// By the venue's number.
    pub const fn id(order_id: u64) -> OrderRef<'a> {
        OrderRef { order_id: Some(order_id), client_id: None }
    }

    /// By the client's name.
    pub const fn client(client_id: &'a str) -> OrderRef<'a> {
        OrderRef { order_id: None, client_id: Some(client_id) }
    }
}

/// `cancelRestrictions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRestriction {
    /// ONLY_NEW.
    OnlyNew,
    /// ONLY_PARTIALLY_FILLED.
    OnlyPartiallyFilled,
}

/// The answer to a cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The order as it ended; its `client_id` is the original one (`origClientOrderId`).
    pub order: OrderView,
    /// The cancel's own name (`clientOrderId` of the reply).
    pub cancel_id: String,
    /// `transactTime`.
    pub transact_ts: TimestampNs,
}

/// The answer to an amend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// The order now, under its new client id.
    pub order: OrderView,
    /// The client id before.
    pub orig_client_id: String,
    /// `executionId`, the same number as the execution report's.
    pub execution_id: u64,
    /// `transactTime`.
    pub transact_ts: TimestampNs,
}

/// What a cancel-replace does when its cancel fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReplaceMode {
    /// STOP_ON_FAILURE: the new order is not attempted.
    StopOnFailure,
    /// ALLOW_FAILURE: the new order is placed all the same.
    AllowFailure,
}

/// Both legs of a cancel-replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelReplaced {
    /// The cancel.
    pub cancel: Result<Cancelled, VenueReject>,
    /// The new order; `None` when it was not attempted.
    pub new: Option<Result<Placed, VenueReject>>,
}

/// Which of an account's trades are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TradesQuery {
    /// Only of this order.
    pub order_id: Option<u64>,
    /// From this trade number on.
    pub from_id: Option<TradeId>,
    /// Not before.
    pub start: Option<TimestampNs>,
    /// Not after.
    pub end: Option<TimestampNs>,
    /// Most rows; without `from_id` and `start` the latest ones.
    pub limit: usize,
}

/// A limit on unfilled orders and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCount {
    /// The limit.
    pub limit: super::config::OrderLimit,
    /// Counted in the window of now.
    pub count: u32,
}

/// An order of a client on the book, for comparing the book with its owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingView {
    /// Whose it is.
    pub account: AccountId,
    /// The venue's number.
    pub order_id: u64,
    /// Side.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// What is left.
    pub remaining: Qty,
    /// Quantity that trades before it at its price.
    pub ahead: Qty,
}
