//! Floor 1: the safe face of the C++ matching core.
//!
//! Owns the only bridge to `cpp/`; `sim` calls it, on whatever thread it runs. Total: no message can make it panic,
//! and nothing unwinds or throws across the bridge, which is crossed once per message. What each message does is
//! written down in `docs/MATCHING.md`. Never decides anything but matching: fees, balances, filters and fill models
//! belong to its callers.

mod bridge;
mod core;
mod types;

pub use core::MatchingCore;
pub use types::{
    Broken, CancelReason, Capacity, Growth, Message, OrderEntry, RejectReason, Report, RestingOrder, SelfTrade,
};
