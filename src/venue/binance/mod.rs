//! Binance Spot and USD-M.

pub mod agg_trades;
pub mod decode;
pub mod exchange_info;
pub mod rest;
mod scan;
pub mod sign;
mod tape;
pub mod user;
pub mod ws_api;
