//! Floor 2: the simulated exchange: one matching core a symbol, accounts, order flow. Pure: the clock is handed in.
//!
//! [`Venue`] is the facade. The embedded venue's server renders it as Binance's protocol; a virtual-clock session
//! calls it directly. It knows no socket, thread or clock, and the same calls with the same times and seeds give the
//! same events to the byte.

mod accounts;
mod config;
mod counts;
mod desk;
mod entry;
mod events;
mod exchange;
pub mod faults;
mod fill_model;
mod filters;
mod flow;
mod flow_fed;
mod flow_recorded;
mod flow_synthetic;
mod in_flight;
pub mod latency;
pub mod lean;
mod market;
mod opening;
mod orders;
pub mod queue;
mod recorded_book;
pub mod reference;
mod reject;
mod requests;
mod synthetic_tape;
mod tape;
mod venue;
mod words;

pub use config::{
    AccountConfig, AccountId, CommissionAsset, FeeSchedule, MarketSource, OrderLimit, PercentPriceBySide, StpMode,
    SymbolConfig, VenueConfig, VenueConfigError,
};
pub use events::{
    AggregateTrade, AssetBalance, Balances, BookTicker, DepthSnapshot, Execution, ExecutionType, FillCause, LastFill,
    OrderView, Prevention, PublicTrade, TradeRow, UserEvent, VenueMarketEvent, VenueOrderKind, VenueOrderStatus,
};
pub use exchange::{Answered, Exchange, Served, all_trades};
pub use fill_model::{FillModel, UnknownFillModel};
pub use flow_recorded::{RecordedEvent, RecordedMarket};
pub use flow_synthetic::SyntheticConfig;
pub use in_flight::InFlight;
pub use reject::VenueReject;
pub use requests::{
    Amended, CancelReplaceMode, CancelReplaced, CancelRestriction, Cancelled, OrderCount, OrderRef, Placed,
    RestingView, TradesQuery, VenueOrder,
};
pub use synthetic_tape::synthetic_tape;
pub use venue::Venue;
pub use words::{feed_event, inputs_of, operation_of, status_of, trade_row};
