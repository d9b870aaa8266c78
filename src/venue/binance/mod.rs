//! Binance Spot and USD-M.
