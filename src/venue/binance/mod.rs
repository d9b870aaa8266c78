//! Binance Spot and USD-M.

pub mod sign;
