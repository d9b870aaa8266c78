//! Orders as we ask for them.

use super::{ClientOrderId, InstrumentId, Price, Qty, Side};

/// How long an order may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum TimeInForce {
    /// Rests until filled or cancelled.
    #[default]
    Gtc = 0,
    /// Fills what it can at once, the rest is cancelled.
    Ioc = 1,
    /// Fills whole at once or not at all.
    Fok = 2,
}

/// What an order does when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// A limit order.
    Limit(TimeInForce),
    /// A limit order that is refused when it would trade on arrival (LIMIT_MAKER).
    PostOnly,
    /// Takes whatever rests, at any price.
    Market,
}

/// An order to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Our name for it.
    pub client_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// Limit price; ignored for a market order.
    pub price: Price,
    /// Quantity, above zero.
    pub qty: Qty,
    /// Limit, post-only or market.
    pub kind: OrderKind,
}
