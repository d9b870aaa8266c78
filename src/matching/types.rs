//! The words of the matching core: what may be asked of it and what it answers.

use crate::types::{OrderKind, Price, Qty, Side};

/// What happens when an order would trade with a resting order of the same owner.
///
/// The arriving order's choice decides, as on Binance. Owner 0 is anonymous and never meets itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    None = 0,
    /// The resting order is cancelled, the arriving one goes on.
    ExpireMaker = 1,
    /// The rest of the arriving order is cancelled.
    ExpireTaker = 2,
    /// Both are cancelled.
    ExpireBoth = 3,
    /// Both lose the smaller of the two quantities without a trade; what reaches zero is cancelled.
    Decrement = 4,
}

/// An order as it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderEntry {
    /// Name of the order: any number that no resting order has.
    pub id: u64,
    /// Whose it is, for self-trade prevention; 0 for nobody's.
    pub owner: u32,
    /// Bid buys, ask sells.
    pub side: Side,
    /// Limit price; ignored for a market order.
    pub price: Price,
    /// Quantity, above zero.
    pub qty: Qty,
    /// Limit, post-only or market.
    pub kind: OrderKind,
    /// What to do on meeting an order of the same owner; remembered for a later modify.
    pub stp: SelfTrade,
}

/// One request to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Place an order.
    New(OrderEntry),
    /// Remove a resting order.
    Cancel {
        /// Which order.
        id: u64,
    },
    /// Change a resting order. A smaller or equal quantity at the same price keeps its place in the queue; anything
    /// else re-enters as a GTC limit order that arrives now, and may trade.
    Modify {
        /// Which order.
        id: u64,
        /// The price wanted.
        price: Price,
        /// The *remaining* quantity wanted, above zero.
        qty: Qty,
    },
}

/// Why an order, or what was left of it, was taken out without trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CancelReason {
    /// A cancel message asked for it.
    User = 0,
    /// What an IOC order could not fill at once.
    IocRest = 1,
    /// A FOK order that could not be filled whole.
    Fok = 2,
    /// What a market order found nothing for.
    MarketRest = 3,
    /// Self-trade prevention.
    SelfTrade = 4,
}

/// Why a message was refused. A refused message changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RejectReason {
    /// Quantity zero or below.
    Quantity = 0,
    /// A resting order has this id.
    DuplicateId = 1,
    /// No resting order has this id.
    UnknownOrder = 2,
    /// A post-only order would have traded.
    WouldCross = 3,
    /// The level's whole quantity would pass 64 bits.
    LevelOverflow = 4,
    /// No room for another order or level, and none may be or could be made.
    Capacity = 5,
    /// Not a message of this protocol. Cannot come from [`Message`]; other callers of the C++ library can cause it.
    Malformed = 6,
}

/// One consequence of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The order is valid; its trades or its cancel follow, or it rests.
    Accepted {
        /// The arriving order.
        id: u64,
    },
    /// Two orders traded at the maker's price.
    Trade {
        /// The order that rested.
        maker_id: u64,
        /// The order that arrived.
        taker_id: u64,
        /// The maker's price.
        price: Price,
        /// Quantity traded now.
        qty: Qty,
        /// The arriving order's side.
        aggressor: Side,
        /// What is left of the maker; zero when it is done.
        maker_remaining: Qty,
        /// What is left of the taker at this moment; zero when it is done.
        taker_remaining: Qty,
    },
    /// An order is gone with `remaining` untraded.
    Cancelled {
        /// The order.
        id: u64,
        /// What had not traded.
        remaining: Qty,
        /// Why.
        reason: CancelReason,
    },
    /// An order's price or quantity is now this: after a modify, or after a decrement by self-trade prevention.
    Modified {
        /// The order.
        id: u64,
        /// Its price.
        price: Price,
        /// Its remaining quantity.
        remaining: Qty,
    },
    /// The message was refused and changed nothing.
    Rejected {
        /// The id in the message.
        id: u64,
        /// Why.
        reason: RejectReason,
    },
}

/// What the core does when a declared capacity is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Growth {
    /// Doubles it; the one message that meets the limit pays for the copy.
    #[default]
    Double,
    /// Refuses the order with [`RejectReason::Capacity`]: nothing is ever allocated after construction.
    Refuse,
}

/// How much room is made at construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capacity {
    /// Resting orders, both sides together. At most 2^28; more is taken as that.
    pub orders: u32,
    /// Price levels, both sides together. At most 2^28; more is taken as that.
    pub levels: u32,
    /// What happens when either is used up.
    pub growth: Growth,
}

impl Default for Capacity {
    /// 16 384 orders on 4 096 levels, doubled when used up: more than a spot book's visible depth, and 1.3 MB.
    fn default() -> Self {
        Capacity { orders: 16_384, levels: 4_096, growth: Growth::Double }
    }
}

/// A resting order, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// Its name.
    pub id: u64,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: Price,
    /// What has not traded.
    pub remaining: Qty,
    /// Whose it is; 0 for nobody's.
    pub owner: u32,
}

/// What [`check`](super::MatchingCore::check) found broken. Any of these is a bug in the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("matching core is broken: fault {code} at slot {slot} (names in cpp/include/touchline/check.hpp)")]
pub struct Broken {
    /// `touchline::Fault`, by number.
    pub code: u8,
    /// The order slot, level or index entry where it was found.
    pub slot: u32,
}
