//! Binance Spot and USD-M.

pub mod decode;
pub mod exchange_info;
pub mod sign;
