//! Answers that need no key: the venue's rules and its public data.

use super::candles::Candle;
use super::clock::wall_now;
use super::front::Front;
use super::json::{Object, TimeUnit, push_list, push_text};
use super::operation::Operation;
use super::params::Params;
use super::refusal::Refusal;
use super::render_market::{
    Product, push_agg_trade, push_book_ticker, push_candle, push_depth, push_trade, push_usdm_depth,
};
use super::weight::WEIGHT_LIMIT;
use crate::sim::{OrderLimit, StpMode, SymbolConfig, VenueReject};
use crate::types::{InstrumentId, Price};

impl Front {
    /// Answers a public request.
    pub(super) fn answer_public(
        &mut self,
        operation: Operation,
        params: &Params,
        unit: TimeUnit,
    ) -> Result<String, Refusal> {
        let mut out = String::with_capacity(512);
        match operation {
            Operation::Ping => out.push_str("{}"),
            Operation::Time => Object::open(&mut out).plain("serverTime", unit.of(wall_now())).end(),
            Operation::ExchangeInfo => {
                let chosen = self.chosen_symbols(params)?;
                self.push_exchange_info(&mut out, chosen, unit, Product::Spot);
            }
            Operation::UsdMExchangeInfo => {
                let all = self.instruments().iter().map(|one| one.id).collect();
                self.push_exchange_info(&mut out, all, unit, Product::UsdM);
            }
            Operation::Depth => {
                let symbol = self.symbol(params)?;
                let limit = params.limit(100, 5_000)?;
                self.venue.advance(self.now());
                push_depth(&mut out, self.instrument(symbol), &self.venue.depth(symbol, limit));
            }
            Operation::UsdMDepth => {
                let symbol = self.symbol(params)?;
                let limit = params.limit(500, 1_000)?;
                let now = self.now();
                self.venue.advance(now);
                push_usdm_depth(&mut out, self.instrument(symbol), &self.venue.depth(symbol, limit), now);
            }
            Operation::Trades => {
                let symbol = self.symbol(params)?;
                let trades = self.venue.recent_trades(symbol, params.limit(500, 1_000)?);
                push_list(&mut out, &trades, |out, trade| push_trade(out, self.instrument(symbol), trade, unit));
            }
            Operation::AggTrades | Operation::UsdMAggTrades => self.push_agg_trades(&mut out, params, unit)?,
            Operation::Klines => {
                let symbol = self.symbol(params)?;
                match params.required("interval")? {
                    "1m" => {}
                    // A known interval that is not served and an unknown one are refused alike.
                    _ => return Err(Refusal::bad(-1120, "Invalid interval.")),
                }
                let (start, end) = (params.time("startTime")?, params.time("endTime")?);
                let candles: Vec<Candle> = self.candles(symbol).select(start, end, params.limit(500, 1_000)?);
                push_list(&mut out, &candles, |out, candle| push_candle(out, candle, unit));
            }
            Operation::BookTicker => match params.get("symbol") {
                Some(_) => {
                    let symbol = self.symbol(params)?;
                    push_book_ticker(&mut out, self.instrument(symbol), &self.venue.book_ticker(symbol));
                }
                None => push_list(&mut out, self.chosen_symbols(params)?, |out, symbol| {
                    push_book_ticker(out, self.instrument(symbol), &self.venue.book_ticker(symbol));
                }),
            },
            _ => return Err(Refusal::unsupported(400)),
        }
        Ok(out)
    }

    /// The symbol that a request must name.
    ///
    /// # Errors
    /// -1102 without one, -1121 for one that is not traded here.
    pub(super) fn symbol(&self, params: &Params) -> Result<InstrumentId, Refusal> {
        self.find_symbol(params.required("symbol")?).ok_or_else(|| VenueReject::INVALID_SYMBOL.into())
    }

    /// The symbols of `symbol` or of the list `symbols`; all of them without either.
    fn chosen_symbols(&self, params: &Params) -> Result<Vec<InstrumentId>, Refusal> {
        if params.get("symbol").is_some() {
            return Ok(vec![self.symbol(params)?]);
        }
        let Some(list) = params.get("symbols") else {
            return Ok(self.instruments().iter().map(|one| one.id).collect());
        };
        let names: Vec<String> = serde_json::from_str(list).map_err(|_| Refusal::invalid_data("symbols"))?;
        names.iter().map(|name| self.find_symbol(name).ok_or_else(|| VenueReject::INVALID_SYMBOL.into())).collect()
    }

    fn push_agg_trades(&self, out: &mut String, params: &Params, unit: TimeUnit) -> Result<(), Refusal> {
        let symbol = self.symbol(params)?;
        let limit = params.limit(500, 1_000)?;
        let (from_id, start, end) = (params.whole("fromId")?, params.time("startTime")?, params.time("endTime")?);
        let mut trades = self.venue.recent_agg_trades(symbol, 1_000);
        trades.retain(|trade| {
            from_id.is_none_or(|from| trade.id >= from)
                && start.is_none_or(|start| trade.event_ts >= start)
                && end.is_none_or(|end| trade.event_ts <= end)
        });
        let is_from_the_start = from_id.is_some() || start.is_some();
        let skip = if is_from_the_start { 0 } else { trades.len().saturating_sub(limit) };
        push_list(out, trades.iter().skip(skip).take(limit), |out, trade| {
            push_agg_trade(out, self.instrument(symbol), trade, unit);
        });
        Ok(())
    }

    fn push_exchange_info(&self, out: &mut String, chosen: Vec<InstrumentId>, unit: TimeUnit, product: Product) {
        let config = self.venue.config();
        Object::open(out)
            .text("timezone", "UTC")
            .plain("serverTime", unit.of(wall_now()))
            .with("rateLimits", |out| push_rate_limits(out, &config.order_limits))
            .raw("exchangeFilters", "[]")
            .with("symbols", |out| {
                push_list(out, chosen, |out, id| {
                    let symbol = &config.symbols[id.index()];
                    match product {
                        Product::Spot => push_symbol(out, symbol),
                        Product::UsdM => push_usdm_symbol(out, symbol),
                    }
                });
            })
            .end();
    }
}

/// The interval of a limit in Binance's words.
pub fn interval_words(limit: &OrderLimit) -> (&'static str, u64) {
    let seconds = limit.interval.nanos() / 1_000_000_000;
    match seconds {
        _ if seconds.is_multiple_of(86_400) => ("DAY", seconds / 86_400),
        _ if seconds.is_multiple_of(60) => ("MINUTE", seconds / 60),
        _ => ("SECOND", seconds),
    }
}

fn push_rate_limits(out: &mut String, order_limits: &[OrderLimit]) {
    let weight = ("REQUEST_WEIGHT", ("MINUTE", 1), WEIGHT_LIMIT);
    let orders = order_limits.iter().map(|limit| ("ORDERS", interval_words(limit), limit.limit));
    push_list(out, std::iter::once(weight).chain(orders), |out, (kind, (interval, count), limit)| {
        Object::open(out)
            .text("rateLimitType", kind)
            .text("interval", interval)
            .plain("intervalNum", count)
            .plain("limit", limit)
            .end();
    });
}

fn push_symbol(out: &mut String, symbol: &SymbolConfig) {
    let spec = &symbol.instrument.spec;
    let modes = [StpMode::None, StpMode::ExpireMaker, StpMode::ExpireTaker, StpMode::ExpireBoth, StpMode::Decrement];
    Object::open(out)
        .text("symbol", spec.symbol.as_str())
        .text("status", "TRADING")
        .text("baseAsset", spec.base.as_str())
        .plain("baseAssetPrecision", 8)
        .text("quoteAsset", spec.quote.as_str())
        .plain("quotePrecision", 8)
        .plain("quoteAssetPrecision", 8)
        .plain("baseCommissionPrecision", 8)
        .plain("quoteCommissionPrecision", 8)
        .raw("orderTypes", r#"["LIMIT","LIMIT_MAKER","MARKET"]"#)
        .plain("icebergAllowed", false)
        .plain("ocoAllowed", false)
        .plain("otoAllowed", false)
        .plain("quoteOrderQtyMarketAllowed", true)
        .plain("allowTrailingStop", false)
        .plain("cancelReplaceAllowed", true)
        .plain("amendAllowed", true)
        .plain("pegInstructionsAllowed", false)
        .plain("isSpotTradingAllowed", true)
        .plain("isMarginTradingAllowed", false)
        .with("filters", |out| push_filters(out, symbol, Product::Spot))
        .raw("permissions", "[]")
        .raw("permissionSets", r#"[["SPOT"]]"#)
        .text("defaultSelfTradePreventionMode", symbol.default_stp.name())
        .with("allowedSelfTradePreventionModes", |out| push_list(out, modes, |out, mode| push_text(out, mode.name())))
        .end();
}

/// What USD-M says of a symbol, as far as market data needs it: no orders are taken there.
fn push_usdm_symbol(out: &mut String, symbol: &SymbolConfig) {
    let spec = &symbol.instrument.spec;
    Object::open(out)
        .text("symbol", spec.symbol.as_str())
        .text("pair", spec.symbol.as_str())
        .text("contractType", "PERPETUAL")
        .text("status", "TRADING")
        .text("baseAsset", spec.base.as_str())
        .text("quoteAsset", spec.quote.as_str())
        .text("marginAsset", spec.quote.as_str())
        .with("filters", |out| push_filters(out, symbol, Product::UsdM))
        .end();
}

fn push_filters(out: &mut String, symbol: &SymbolConfig, product: Product) {
    let instrument = &symbol.instrument;
    let filters = &instrument.spec.filters;
    let price = |price: Option<Price>| price.map_or(0, |price| instrument.price_e8(price));
    // "No maximum" is a number that nobody reaches: Binance's own greatest quantity.
    const UNLIMITED_E8: i64 = 900_000_000_000_000_000;
    let qty_max = |qty: crate::types::Qty| if qty.is_zero() { UNLIMITED_E8 } else { instrument.qty_e8(qty) };
    let qty_min = instrument.qty_e8(filters.qty_min).max(instrument.spec.lot_e8);
    let money = |money: crate::types::Money| i64::try_from(money.e8_truncated()).unwrap_or(i64::MAX);

    out.push('[');
    Object::open(out)
        .text("filterType", "PRICE_FILTER")
        .amount("minPrice", price(filters.price_min))
        .amount("maxPrice", price(filters.price_max))
        .amount("tickSize", instrument.spec.tick_e8)
        .end();
    out.push(',');
    Object::open(out)
        .text("filterType", "LOT_SIZE")
        .amount("minQty", qty_min)
        .amount("maxQty", qty_max(filters.qty_max))
        .amount("stepSize", instrument.spec.lot_e8)
        .end();
    out.push(',');
    let market_max = if symbol.market_qty_max.is_zero() { filters.qty_max } else { symbol.market_qty_max };
    Object::open(out)
        .text("filterType", "MARKET_LOT_SIZE")
        .amount("minQty", 0)
        .amount("maxQty", qty_max(market_max))
        .amount("stepSize", 0)
        .end();
    out.push(',');
    if product == Product::UsdM {
        Object::open(out).text("filterType", "MIN_NOTIONAL").amount("notional", money(filters.notional_min)).end();
        out.push(']');
        return;
    }
    Object::open(out)
        .text("filterType", "NOTIONAL")
        .amount("minNotional", money(filters.notional_min))
        .plain("applyMinToMarket", true)
        .amount("maxNotional", if symbol.notional_max.attos() == 0 { UNLIMITED_E8 } else { money(symbol.notional_max) })
        .plain("applyMaxToMarket", false)
        .plain("avgPriceMins", 0)
        .end();
    if let Some(percent) = &symbol.percent_price {
        out.push(',');
        Object::open(out)
            .text("filterType", "PERCENT_PRICE_BY_SIDE")
            .amount("bidMultiplierUp", percent.bid_up_e4 * 10_000)
            .amount("bidMultiplierDown", percent.bid_down_e4 * 10_000)
            .amount("askMultiplierUp", percent.ask_up_e4 * 10_000)
            .amount("askMultiplierDown", percent.ask_down_e4 * 10_000)
            .plain("avgPriceMins", 0)
            .end();
    }
    out.push(',');
    Object::open(out).text("filterType", "MAX_NUM_ORDERS").plain("maxNumOrders", symbol.orders_max).end();
    out.push(',');
    Object::open(out).text("filterType", "MAX_NUM_ORDER_AMENDS").plain("maxNumOrderAmends", symbol.amends_max).end();
    out.push(']');
}
