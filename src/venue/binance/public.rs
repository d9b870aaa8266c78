//! Where a product's public REST data is, and what asking for it costs of the minute's weight.
//!
//! Source: Binance Spot "REST API" and USD-M "Market Data Endpoints", each request's weight.

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicRest {
    /// Path of the list of instruments.
    pub exchange_info: &'static str,
    /// Whether that list can be asked for chosen symbols alone.
    pub lists_chosen: bool,
    /// Path of a book's snapshot.
    pub depth: &'static str,
    /// Weight of a snapshot of 1000 levels a side.
    pub depth_weight: u64,
    /// Path of the recent aggregated trades.
    pub agg_trades: &'static str,
    /// Weight of a page of them.
    pub agg_trades_weight: u64,
}

impl PublicRest {
    /// Spot's.
    pub const SPOT: PublicRest = PublicRest {
        exchange_info: super::rest::path::EXCHANGE_INFO,
        lists_chosen: true,
        depth: super::rest::path::DEPTH,
        depth_weight: 50,
        agg_trades: super::rest::path::AGG_TRADES,
        agg_trades_weight: 4,
    };
    /// USD-M's.
    pub const USDM: PublicRest = PublicRest {
        exchange_info: "/fapi/v1/exchangeInfo",
        lists_chosen: false,
        depth: "/fapi/v1/depth",
        depth_weight: 20,
        agg_trades: "/fapi/v1/aggTrades",
        agg_trades_weight: 20,
    };
}
