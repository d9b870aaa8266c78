//! What can be asked of the venue, by either road, with its weight and whether it needs a signature.
//!
//! Source of routes, methods and weights: Binance's REST and WebSocket API pages of 2026-07.

use super::params::Params;

/// One request's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Test connectivity.
    Ping,
    /// The server's clock.
    Time,
    /// Symbols, filters and limits.
    ExchangeInfo,
    /// The book.
    Depth,
    /// Symbols, filters and limits as USD-M answers them: all of them, whatever is asked for.
    UsdMExchangeInfo,
    /// The book as USD-M answers it.
    UsdMDepth,
    /// Recent aggregate trades, which say the same on both products and weigh more on USD-M.
    UsdMAggTrades,
    /// Recent trades.
    Trades,
    /// Recent aggregate trades.
    AggTrades,
    /// Candles.
    Klines,
    /// Best bid and ask.
    BookTicker,
    /// Place an order.
    Place,
    /// Check an order.
    TestPlace,
    /// Cancel an order.
    Cancel,
    /// Cancel one order and place another.
    CancelReplace,
    /// Lower an order's quantity.
    Amend,
    /// Where an order stands.
    OrderStatus,
    /// Open orders.
    OpenOrders,
    /// Cancel all orders of a symbol.
    CancelAll,
    /// Orders, open or done.
    AllOrders,
    /// Own trades.
    MyTrades,
    /// Balances and rates.
    Account,
    /// Commission rates of a symbol.
    Commission,
    /// Unfilled order counts.
    OrderLimits,
    /// Commission rates as the wallet API states them.
    TradeFee,
}

impl Operation {
    /// By HTTP method and path.
    pub fn of_rest(method: &str, path: &str) -> Option<Operation> {
        use Operation::*;
        if (method, path) == ("GET", "/sapi/v1/asset/tradeFee") {
            return Some(TradeFee);
        }
        if let Some(name) = path.strip_prefix("/fapi/v1/") {
            return match (method, name) {
                ("GET", "ping") => Some(Ping),
                ("GET", "time") => Some(Time),
                ("GET", "exchangeInfo") => Some(UsdMExchangeInfo),
                ("GET", "depth") => Some(UsdMDepth),
                ("GET", "aggTrades") => Some(UsdMAggTrades),
                _ => None,
            };
        }
        Some(match (method, path.strip_prefix("/api/v3/")?) {
            ("GET", "ping") => Ping,
            ("GET", "time") => Time,
            ("GET", "exchangeInfo") => ExchangeInfo,
            ("GET", "depth") => Depth,
            ("GET", "trades" | "historicalTrades") => Trades,
            ("GET", "aggTrades") => AggTrades,
            ("GET", "klines") => Klines,
            ("GET", "ticker/bookTicker") => BookTicker,
            ("POST", "order") => Place,
            ("POST", "order/test") => TestPlace,
            ("DELETE", "order") => Cancel,
            ("GET", "order") => OrderStatus,
            ("POST", "order/cancelReplace") => CancelReplace,
            ("PUT", "order/amend/keepPriority") => Amend,
            ("GET", "openOrders") => OpenOrders,
            ("DELETE", "openOrders") => CancelAll,
            ("GET", "allOrders") => AllOrders,
            ("GET", "myTrades") => MyTrades,
            ("GET", "account") => Account,
            ("GET", "account/commission") => Commission,
            ("GET", "rateLimit/order") => OrderLimits,
            _ => return None,
        })
    }

    /// By method of the WebSocket API; a prefix `v3/` is allowed.
    pub fn of_websocket(method: &str) -> Option<Operation> {
        use Operation::*;
        Some(match method.strip_prefix("v3/").unwrap_or(method) {
            "ping" => Ping,
            "time" => Time,
            "exchangeInfo" => ExchangeInfo,
            "depth" => Depth,
            "trades.recent" => Trades,
            "trades.aggregate" => AggTrades,
            "klines" => Klines,
            "ticker.book" => BookTicker,
            "order.place" => Place,
            "order.test" => TestPlace,
            "order.cancel" => Cancel,
            "order.status" => OrderStatus,
            "order.cancelReplace" => CancelReplace,
            "order.amend.keepPriority" => Amend,
            "openOrders.status" => OpenOrders,
            "openOrders.cancelAll" => CancelAll,
            "allOrders" => AllOrders,
            "myTrades" => MyTrades,
            "account.status" => Account,
            "account.commission" => Commission,
            "account.rateLimits.orders" => OrderLimits,
            _ => return None,
        })
    }

    /// Whether it needs a key and a signature.
    pub fn is_signed(self) -> bool {
        use Operation::*;
        !matches!(
            self,
            Ping | Time
                | ExchangeInfo
                | Depth
                | UsdMExchangeInfo
                | UsdMDepth
                | UsdMAggTrades
                | Trades
                | AggTrades
                | Klines
                | BookTicker
        )
    }

    /// Whether its answer tells the unfilled order counts.
    pub fn counts_orders(self) -> bool {
        matches!(self, Operation::Place | Operation::CancelReplace)
    }

    /// What it costs of the minute's weight.
    pub fn weight(self, params: &Params) -> u32 {
        use Operation::*;
        match self {
            Ping | Time | UsdMExchangeInfo | Place | TestPlace | Cancel | CancelReplace | CancelAll | TradeFee => 1,
            Klines => 2,
            BookTicker => {
                if params.get("symbol").is_some() {
                    2
                } else {
                    4
                }
            }
            AggTrades | OrderStatus | Amend => 4,
            Depth => match params.whole("limit") {
                Ok(Some(limit)) if limit > 1000 => 250,
                Ok(Some(limit)) if limit > 500 => 50,
                Ok(Some(limit)) if limit > 100 => 25,
                _ => 5,
            },
            UsdMDepth => match params.whole("limit") {
                Ok(Some(limit)) if limit > 500 => 20,
                Ok(Some(limit)) if limit > 100 => 10,
                Ok(Some(limit)) if limit <= 50 => 2,
                _ => 5,
            },
            OpenOrders => {
                if params.get("symbol").is_some() {
                    6
                } else {
                    80
                }
            }
            MyTrades => {
                if params.get("orderId").is_some() {
                    5
                } else {
                    20
                }
            }
            ExchangeInfo | UsdMAggTrades | AllOrders | Account | Commission => 20,
            Trades => 25,
            OrderLimits => 40,
        }
    }

    /// Whether a success costs no weight (since 2026-04-02).
    pub fn is_free_on_success(self) -> bool {
        matches!(self, Operation::Place | Operation::Cancel | Operation::CancelReplace | Operation::CancelAll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_weighs_by_its_limit() {
        for (limit, weight) in [("", 5), ("100", 5), ("101", 25), ("500", 25), ("1000", 50), ("5000", 250)] {
            let params = Params::from_query_and_body(&format!("symbol=BTCUSDT&limit={limit}"), "");
            assert_eq!(Operation::Depth.weight(&params), weight, "{limit}");
        }
    }

    #[test]
    fn both_roads_lead_to_the_same_operation() {
        for (method, path, websocket) in [
            ("POST", "order", "order.place"),
            ("DELETE", "order", "v3/order.cancel"),
            ("PUT", "order/amend/keepPriority", "order.amend.keepPriority"),
            ("GET", "openOrders", "openOrders.status"),
        ] {
            let rest = Operation::of_rest(method, &format!("/api/v3/{path}"));
            assert!(rest.is_some());
            assert_eq!(rest, Operation::of_websocket(websocket));
        }
        assert_eq!(Operation::of_rest("GET", "/api/v1/ping"), None);
        assert_eq!(Operation::of_rest("PATCH", "/api/v3/order"), None);
    }
}
