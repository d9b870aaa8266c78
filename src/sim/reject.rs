//! Why the venue refuses: Binance's codes and texts, word for word, because clients match on them.

use std::borrow::Cow;

/// A refusal as Binance states it. Nothing has changed at the venue when one is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct VenueReject {
    /// Binance's error code, negative.
    pub code: i32,
    /// Binance's message (`msg`).
    pub text: Cow<'static, str>,
}

impl VenueReject {
    const fn fixed(code: i32, text: &'static str) -> VenueReject {
        VenueReject { code, text: Cow::Borrowed(text) }
    }

    /// -1121: no such symbol here.
    pub const INVALID_SYMBOL: VenueReject = VenueReject::fixed(-1121, "Invalid symbol.");
    /// -1102: neither quantity nor quote quantity was given for a market order.
    pub const QUANTITY_MISSING: VenueReject =
        VenueReject::fixed(-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.");
    /// -1102: an order was to be found, but neither of its ids was given.
    pub const ORDER_REFERENCE_MISSING: VenueReject =
        VenueReject::fixed(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!");
    /// -1128: quantity and quote quantity together.
    pub const OPTIONAL_PARAMETERS: VenueReject =
        VenueReject::fixed(-1128, "Combination of optional parameters invalid.");
    /// -1013: price times quantity is nothing.
    pub const ZERO_NOTIONAL: VenueReject = VenueReject::fixed(-1013, "Price * QTY is zero or less.");
    /// -2010: the balance does not cover the order.
    pub const INSUFFICIENT_BALANCE: VenueReject =
        VenueReject::fixed(-2010, "Account has insufficient balance for requested action.");
    /// -2010: the client order id belongs to an open order.
    pub const DUPLICATE_ORDER: VenueReject = VenueReject::fixed(-2010, "Duplicate order sent.");
    /// -2010: a LIMIT_MAKER order would have traded on arrival.
    pub const WOULD_MATCH: VenueReject = VenueReject::fixed(-2010, "Order would immediately match and take.");
    /// -2010: a market order for a quote amount, and nothing rests on the other side.
    pub const NO_LIQUIDITY: VenueReject = VenueReject::fixed(-2010, "Market is closed.");
    /// -1020: self-trade prevention by transfer exists only between accounts of one group, which this venue lacks.
    pub const TRANSFER_UNSUPPORTED: VenueReject = VenueReject::fixed(-1020, "This operation is not supported.");
    /// -2010: no such account.
    pub const NO_ACCOUNT: VenueReject = VenueReject::fixed(-2010, "This account may not place or cancel orders.");
    /// -2011: cancel of an order that is not open.
    pub const UNKNOWN_ORDER: VenueReject = VenueReject::fixed(-2011, "Unknown order sent.");
    /// -2011: the cancel's restriction did not hold.
    pub const CANCEL_RESTRICTION: VenueReject =
        VenueReject::fixed(-2011, "Order was not canceled due to cancel restrictions.");
    /// -2013: query of an order that does not exist.
    pub const NO_SUCH_ORDER: VenueReject = VenueReject::fixed(-2013, "Order does not exist.");
    /// -2038: an amend that raises the quantity.
    pub const AMEND_INCREASE: VenueReject =
        VenueReject::fixed(-2038, "Order amend (quantity increase) is not supported.");
    /// -2038: an amend to the quantity that the order has.
    pub const AMEND_NO_CHANGE: VenueReject =
        VenueReject::fixed(-2038, "The requested action would change no state; rejecting.");
    /// -2038: the order has been amended as often as the symbol allows.
    pub const AMEND_TOO_OFTEN: VenueReject =
        VenueReject::fixed(-2038, "Order has reached the maximum number of amends.");
    /// -2039: the two ids given name different orders.
    pub const ID_MISMATCH: VenueReject = VenueReject::fixed(-2039, "Client order ID is not correct for this order ID.");

    /// -1013: a filter does not let the order pass; `filter` as Binance names it.
    pub fn filter(filter: &str) -> VenueReject {
        VenueReject { code: -1013, text: Cow::Owned(format!("Filter failure: {filter}")) }
    }

    /// -1015: more orders than an interval allows.
    pub fn too_many_orders(limit: u32, interval: &str) -> VenueReject {
        VenueReject {
            code: -1015,
            text: Cow::Owned(format!("Too many new orders; current limit is {limit} orders per {interval}.")),
        }
    }
}
