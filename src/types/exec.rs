//! What the venue tells us about our orders.

use super::{ClientOrderId, InstrumentId, Price, Qty, Side, TimestampNs, TradeId, VenueOrderId};

/// Which road a report came by. The same fact may arrive by several, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExecSource {
    /// The answer to our own request.
    Response = 0,
    /// The user-data stream.
    UserStream = 1,
    /// The answer to a query that resolves doubt.
    Query = 2,
}

/// The venue's word on where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OrderStatus {
    /// Resting, nothing filled.
    New = 0,
    /// Resting, partly filled.
    PartiallyFilled = 1,
    /// Done, all filled.
    Filled = 2,
    /// Done by cancel.
    Canceled = 3,
    /// Refused.
    Rejected = 4,
    /// Done by the venue's rules (IOC rest, self-trade prevention).
    Expired = 5,
}

impl OrderStatus {
    /// Whether nothing more can happen to the order.
    pub fn is_terminal(self) -> bool {
        !matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}

/// Why the venue refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// A post-only order would have traded (-2010 "would immediately match and take").
    WouldCross = 0,
    /// Not enough free balance (-2010).
    InsufficientBalance = 1,
    /// A filter: tick, lot, notional, price band (-1013).
    Filter = 2,
    /// Too many orders (-1015) or too much weight (-1003); stop placing for a while.
    RateLimit = 3,
    /// The id is in use: the first attempt lives (-2010 "Duplicate order sent.").
    DuplicateId = 4,
    /// Clock outside the receive window (-1021).
    Clock = 5,
    /// Signature, key or permission (-1022, -2014, -2015): halt.
    Auth = 6,
    /// The market or the account does not accept orders.
    MarketClosed = 7,
    /// No such order: filled, cancelled or never placed (-2011, -2013).
    UnknownOrder = 8,
    /// Anything else that is certain to have had no effect.
    Other = 9,
    /// Refused here, before it was sent: the link to the gateway was full or the session is stopping.
    NotSent = 10,
}

/// The asset a commission was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FeeAsset {
    /// No commission.
    None = 0,
    /// The instrument's base currency.
    Base = 1,
    /// The instrument's quote currency.
    Quote = 2,
    /// A third asset (a discount token); its worth is not ours to know.
    Other = 3,
}

/// One execution of an order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The venue's trade number: fills are counted once by it.
    pub trade_id: TradeId,
    /// Side of our order.
    pub side: Side,
    /// Execution price.
    pub price: Price,
    /// Executed now.
    pub qty: Qty,
    /// Executed so far, this included.
    pub cum_qty: Qty,
    /// The order's whole quantity.
    pub order_qty: Qty,
    /// Commission in 1e-8 of `fee_asset`; negative for a rebate.
    pub fee_e8: i64,
    /// What the commission was taken in.
    pub fee_asset: FeeAsset,
    /// Whether we were the maker.
    pub is_maker: bool,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecKind {
    /// The venue took the order; it rests unless other reports say more.
    Accepted,
    /// The venue refused the order: it never existed.
    Rejected(RejectReason),
    /// Part or all of it executed.
    Fill(Fill),
    /// Done by cancel, after `cum_qty` had executed.
    Canceled {
        /// Executed before the cancel.
        cum_qty: Qty,
    },
    /// Done by the venue's rules, after `cum_qty` had executed.
    Expired {
        /// Executed before the end.
        cum_qty: Qty,
    },
    /// The cancel was refused. `UnknownOrder` means that the order is no longer open.
    CancelRejected(RejectReason),
    /// The order's whole quantity was reduced to `qty`, its place in the queue kept.
    Amended {
        /// The whole quantity now.
        qty: Qty,
    },
    /// The amend was refused; the order is as it was.
    AmendRejected(RejectReason),
    /// The placement may or may not have happened: timeout, lost connection, 5xx, -1006, -1007.
    PlaceUnknown,
    /// The cancel or amend may or may not have happened.
    CancelUnknown,
    /// A query's answer: where the order stands.
    Status {
        /// The venue's word.
        status: OrderStatus,
        /// Executed so far.
        cum_qty: Qty,
        /// The order's whole quantity; zero when the answer did not tell it.
        order_qty: Qty,
    },
    /// A query's answer: the venue knows no such order (-2013). Not proof of absence soon after a send.
    NotFound,
    /// A query could not be answered; ask again.
    QueryFailed,
}

/// A report about one order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecReport {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Our name for the order.
    pub client_id: ClientOrderId,
    /// The venue's number, once known.
    pub venue_id: Option<VenueOrderId>,
    /// The venue's time of the event; zero when it gave none.
    pub event_ts: TimestampNs,
    /// When we read it.
    pub recv_ts: TimestampNs,
    /// Which road it came by.
    pub source: ExecSource,
    /// What happened.
    pub kind: ExecKind,
}
