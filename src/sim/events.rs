//! What the venue tells: market data for everyone, execution reports and balances for the owner. Times are the
//! venue's own. Amounts of money and quantity of user events are in units of 1e-8, as Binance prints them.

use std::fmt;

use super::config::{AccountId, StpMode};
use crate::types::{Asset, InstrumentId, Level, Price, Qty, Side, TimeInForce, TimestampNs, TradeId};

/// A message of the public streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VenueMarketEvent {
    /// `depthUpdate`: absolute quantities of the levels that changed; zero removes.
    DepthDiff {
        /// Which symbol.
        symbol: InstrumentId,
        /// End of the window it covers (`E`).
        event_ts: TimestampNs,
        /// First update id covered (`U`): the previous message's last plus one.
        first_id: u64,
        /// Last update id covered (`u`).
        last_id: u64,
        /// Bids that changed, best first.
        bids: Vec<Level>,
        /// Asks that changed, best first.
        asks: Vec<Level>,
    },
    /// `trade`: one match.
    Trade(PublicTrade),
    /// `aggTrade`: the matches of one taker order at one price.
    AggTrade(AggregateTrade),
    /// `bookTicker`: the touch changed.
    BookTicker(BookTicker),
}

impl VenueMarketEvent {
    /// Which symbol it is about.
    pub fn symbol(&self) -> InstrumentId {
        match self {
            VenueMarketEvent::DepthDiff { symbol, .. } => *symbol,
            VenueMarketEvent::Trade(trade) => trade.symbol,
            VenueMarketEvent::AggTrade(trade) => trade.symbol,
            VenueMarketEvent::BookTicker(touch) => touch.symbol,
        }
    }

    /// The venue's time of the event.
    pub fn event_ts(&self) -> TimestampNs {
        match self {
            VenueMarketEvent::DepthDiff { event_ts, .. } => *event_ts,
            VenueMarketEvent::Trade(trade) => trade.event_ts,
            VenueMarketEvent::AggTrade(trade) => trade.event_ts,
            VenueMarketEvent::BookTicker(touch) => touch.event_ts,
        }
    }
}

/// One match, as everyone sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    /// Which symbol.
    pub symbol: InstrumentId,
    /// Time of the match (`T`, and `E`).
    pub event_ts: TimestampNs,
    /// Number of the trade, unique per symbol, from 1 without holes.
    pub id: TradeId,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// The taker's side: `m` of the protocol is `aggressor == Ask`.
    pub aggressor: Side,
}

/// The matches of one taker order at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateTrade {
    /// Which symbol.
    pub symbol: InstrumentId,
    /// Time of the matches.
    pub event_ts: TimestampNs,
    /// Number of the aggregate (`a`), unique per symbol, from 1 without holes.
    pub id: u64,
    /// Price.
    pub price: Price,
    /// Quantity of all together.
    pub qty: Qty,
    /// First trade (`f`).
    pub first: TradeId,
    /// Last trade (`l`).
    pub last: TradeId,
    /// The taker's side.
    pub aggressor: Side,
}

/// Best bid and ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookTicker {
    /// Which symbol.
    pub symbol: InstrumentId,
    /// When it changed; Binance's spot stream does not carry it.
    pub event_ts: TimestampNs,
    /// Update id that it belongs to (`u`).
    pub update_id: u64,
    /// Best bid; `None` on an empty side.
    pub bid: Option<Level>,
    /// Best ask; `None` on an empty side.
    pub ask: Option<Level>,
}

/// The visible book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSnapshot {
    /// Update id up to which it is true (`lastUpdateId`).
    pub last_update_id: u64,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
}

/// What kind of order was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueOrderKind {
    /// LIMIT.
    Limit(TimeInForce),
    /// LIMIT_MAKER.
    LimitMaker,
    /// MARKET.
    Market,
}

impl VenueOrderKind {
    /// Binance's `type`.
    pub const fn name(self) -> &'static str {
        match self {
            VenueOrderKind::Limit(_) => "LIMIT",
            VenueOrderKind::LimitMaker => "LIMIT_MAKER",
            VenueOrderKind::Market => "MARKET",
        }
    }

    /// Binance's `timeInForce`; GTC for the kinds that carry none.
    pub const fn time_in_force(self) -> &'static str {
        match self {
            VenueOrderKind::Limit(TimeInForce::Ioc) => "IOC",
            VenueOrderKind::Limit(TimeInForce::Fok) => "FOK",
            _ => "GTC",
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueOrderStatus {
    /// Open, nothing filled.
    New,
    /// Open, partly filled.
    PartiallyFilled,
    /// Done: all filled.
    Filled,
    /// Done: cancelled by its owner.
    Canceled,
    /// Done: the rest of an IOC, FOK or MARKET order.
    Expired,
    /// Done: self-trade prevention.
    ExpiredInMatch,
}

impl VenueOrderStatus {
    /// Binance's `status` (`X`).
    pub const fn name(self) -> &'static str {
        match self {
            VenueOrderStatus::New => "NEW",
            VenueOrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
            VenueOrderStatus::Filled => "FILLED",
            VenueOrderStatus::Canceled => "CANCELED",
            VenueOrderStatus::Expired => "EXPIRED",
            VenueOrderStatus::ExpiredInMatch => "EXPIRED_IN_MATCH",
        }
    }

    /// Whether the order can still trade.
    pub const fn is_open(self) -> bool {
        matches!(self, VenueOrderStatus::New | VenueOrderStatus::PartiallyFilled)
    }
}

/// What an execution report reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionType {
    /// Taken by the engine.
    New,
    /// Cancelled by its owner.
    Canceled,
    /// Amended.
    Replaced,
    /// Traded.
    Trade,
    /// Ended by the venue's rules.
    Expired,
    /// Self-trade prevention acted on it.
    TradePrevention,
}

impl ExecutionType {
    /// Binance's `x`.
    pub const fn name(self) -> &'static str {
        match self {
            ExecutionType::New => "NEW",
            ExecutionType::Canceled => "CANCELED",
            ExecutionType::Replaced => "REPLACED",
            ExecutionType::Trade => "TRADE",
            ExecutionType::Expired => "EXPIRED",
            ExecutionType::TradePrevention => "TRADE_PREVENTION",
        }
    }
}

/// Why a fill happened: what the other side did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FillCause {
    /// An aggressor that stopped at our price reached our place in the queue.
    Queue,
    /// An aggressor went beyond our price, or a recorded trade printed beyond it.
    TradeThrough,
    /// A quote of the market moved across our price.
    Cross,
    /// Our own order took resting liquidity.
    Taker,
}

impl FillCause {
    /// All causes.
    pub const ALL: [FillCause; 4] = [FillCause::Queue, FillCause::TradeThrough, FillCause::Cross, FillCause::Taker];

    /// The name used in reports and tables.
    pub const fn name(self) -> &'static str {
        match self {
            FillCause::Queue => "queue",
            FillCause::TradeThrough => "trade_through",
            FillCause::Cross => "cross",
            FillCause::Taker => "taker",
        }
    }
}

impl fmt::Display for FillCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An order as a query shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Whose it is.
    pub account: AccountId,
    /// Which symbol.
    pub symbol: InstrumentId,
    /// The venue's number.
    pub order_id: u64,
    /// The client's name for it.
    pub client_id: String,
    /// Buy or sell.
    pub side: Side,
    /// Type and time in force.
    pub kind: VenueOrderKind,
    /// Limit price in 1e-8; zero for a market order.
    pub price_e8: i64,
    /// Whole quantity in 1e-8 (`origQty`), lowered by amends.
    pub orig_qty_e8: i64,
    /// Executed so far in 1e-8.
    pub executed_qty_e8: i64,
    /// Quote paid or received so far in 1e-8 (`cummulativeQuoteQty`).
    pub cum_quote_e8: i64,
    /// Quote amount asked for in 1e-8 (`origQuoteOrderQty`), zero unless a market order gave one.
    pub orig_quote_qty_e8: i64,
    /// Where it stands.
    pub status: VenueOrderStatus,
    /// When it was created (`time`, `O`).
    pub created_ts: TimestampNs,
    /// When it last changed (`updateTime`).
    pub updated_ts: TimestampNs,
    /// When it went on the book (`workingTime`), if it ever did.
    pub working_ts: Option<TimestampNs>,
    /// Self-trade prevention.
    pub stp: StpMode,
    /// Why it expired (`expiryReason`, `eR`), if it did by a rule.
    pub expiry_reason: Option<&'static str>,
    /// Quantity removed by self-trade prevention in 1e-8.
    pub prevented_qty_e8: i64,
}

/// A fill of a client's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// Whose fill.
    pub account: AccountId,
    /// Which symbol.
    pub symbol: InstrumentId,
    /// Number of the trade.
    pub trade_id: TradeId,
    /// The order that filled.
    pub order_id: u64,
    /// Price in 1e-8.
    pub price_e8: i64,
    /// Quantity in 1e-8.
    pub qty_e8: i64,
    /// Price times quantity in 1e-8, exact.
    pub quote_e8: i64,
    /// Commission in 1e-8 of `commission_asset`; negative for a rebate.
    pub commission_e8: i64,
    /// What the commission was taken in.
    pub commission_asset: Asset,
    /// When.
    pub time: TimestampNs,
    /// Side of the order that filled.
    pub side: Side,
    /// Whether it rested.
    pub is_maker: bool,
    /// Why it filled.
    pub cause: FillCause,
}

/// The last fill, as an execution report carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFill {
    /// Number of the trade (`t`).
    pub trade_id: TradeId,
    /// Price in 1e-8 (`L`).
    pub price_e8: i64,
    /// Quantity in 1e-8 (`l`).
    pub qty_e8: i64,
    /// Quote in 1e-8 (`Y`).
    pub quote_e8: i64,
    /// Commission in 1e-8 (`n`).
    pub commission_e8: i64,
    /// What the commission was taken in (`N`).
    pub commission_asset: Asset,
    /// Whether the order rested (`m`).
    pub is_maker: bool,
    /// Why it filled.
    pub cause: FillCause,
}

/// What self-trade prevention did, as an execution report carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prevention {
    /// Number of the prevented match (`v`).
    pub match_id: u64,
    /// Quantity taken off now in 1e-8 (`B`).
    pub last_qty_e8: i64,
    /// The other order (`U`).
    pub counter_order_id: u64,
}

/// An `executionReport`. The order's state *after* what happened is in `order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// When (`E`, `T`).
    pub event_ts: TimestampNs,
    /// What happened (`x`).
    pub kind: ExecutionType,
    /// The order now. Its `client_id` is the original one until an amend renames it.
    pub order: OrderView,
    /// `c`: the order's client id, or on CANCELED and REPLACED the cancel's or amend's id.
    pub client_id: String,
    /// `C`: the original client id on CANCELED and REPLACED, empty otherwise.
    pub orig_client_id: String,
    /// Number of the execution (`I`), unique at the venue.
    pub execution_id: u64,
    /// The fill, when there was one.
    pub fill: Option<LastFill>,
    /// Self-trade prevention, when it acted.
    pub prevention: Option<Prevention>,
    /// Whether the order is on the book (`w`).
    pub on_book: bool,
}

/// An asset's balance in 1e-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AssetBalance {
    /// Which asset.
    pub asset: Asset,
    /// Free.
    pub free_e8: i64,
    /// Locked by open orders.
    pub locked_e8: i64,
}

impl AssetBalance {
    /// Free and locked together.
    pub const fn total_e8(&self) -> i64 {
        self.free_e8 + self.locked_e8
    }
}

/// An account's balances.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Balances {
    /// When one of them last changed (`updateTime`, `u`).
    pub updated_ts: TimestampNs,
    /// Every asset that the account has ever held, in the order in which it first did.
    pub assets: Vec<AssetBalance>,
}

impl Balances {
    /// The balance of an asset; zero when the account never held it.
    pub fn of(&self, asset: Asset) -> AssetBalance {
        self.assets.iter().find(|balance| balance.asset == asset).copied().unwrap_or(AssetBalance {
            asset,
            free_e8: 0,
            locked_e8: 0,
        })
    }
}

/// A message of one account's user-data stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// `executionReport`.
    Execution(Box<Execution>),
    /// `outboundAccountPosition`: the assets that may have changed.
    AccountPosition {
        /// When.
        event_ts: TimestampNs,
        /// The assets, absolute.
        balances: Vec<AssetBalance>,
    },
}
