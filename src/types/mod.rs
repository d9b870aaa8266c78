//! Floor 0: the words everything else is written in.
//!
//! Prices are whole ticks, quantities whole lots, times nanoseconds; what each is worth in money is known by the
//! [`Instrument`] alone. Nothing here performs I/O, reads a clock or uses a float for money.

mod actions;
mod date;
mod exec;
mod ids;
mod input;
mod instrument;
mod limits;
mod market;
mod money;
mod orders;
mod side;
mod time;
mod units;

pub use actions::{Action, Actions, Command, Moment, QuoteDecision, QuoteSide, SideReason, Stopwatch};
pub use date::Date;
pub use exec::{ExecKind, ExecReport, ExecSource, FeeAsset, Fill, OrderStatus, RejectReason};
pub use ids::{Asset, ClientOrderId, InstrumentId, SessionId, Symbol, TextTooLong, TradeId, VenueOrderId};
pub use input::{Balance, Control, Input};
pub use instrument::{
    DecimalError, Filters, Instrument, InstrumentSpec, format_e8, format_e8_padded, format_steps, parse_e8,
};
pub use limits::{ACTIONS_MAX, DEPTH_LEVELS_MAX, VIEW_LEVELS, WORKING_ORDERS_MAX};
pub use market::{BookState, BookView, DesyncReason, Level, MarketUpdate, Touch, Trade};
pub use money::{BaseAtoms, Money};
pub use orders::{NewOrder, OrderKind, TimeInForce};
pub use side::Side;
pub use time::{DurationNs, TimestampNs};
pub use units::{HalfTicks, Price, Qty};
