//! Binance Spot and USD-M.

pub mod agg_trades;
pub mod control;
pub mod decode;
pub mod exchange_info;
mod placement;
pub mod public;
pub mod rest;
pub mod sbe;
mod scan;
pub mod sign;
mod step;
mod tape;
pub mod user;
pub mod ws_api;
