//! The answer of `GET /exchangeInfo`: what an instrument's tick and lot are, and which orders the venue accepts.
//!
//! Read once at start, on the cold side.

use serde::Deserialize;

use super::decode::DecodeError;
use crate::types::{Asset, Filters, InstrumentSpec, Money, Price, Qty, Symbol, parse_e8};

#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<SymbolInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolInfo {
    symbol: String,
    base_asset: String,
    quote_asset: String,
    filters: Vec<Filter>,
}

/// One filter. The kinds differ in their fields; those that are read here are all there are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    min_price: Option<String>,
    max_price: Option<String>,
    tick_size: Option<String>,
    min_qty: Option<String>,
    max_qty: Option<String>,
    step_size: Option<String>,
    min_notional: Option<String>,
    /// USD-M's name for `minNotional`.
    notional: Option<String>,
}

/// Reads the instruments that were asked for, in the order asked. Cold: it allocates.
///
/// # Errors
/// [`DecodeError`] naming the field, or the symbol that is not listed.
pub fn decode_exchange_info(json: &[u8], symbols: &[&str]) -> Result<Vec<InstrumentSpec>, DecodeError> {
    let info: ExchangeInfo = serde_json::from_slice(json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => DecodeError::Type { field: "symbols", expected: "a list of symbols" },
        _ => DecodeError::Json,
    })?;
    let spec = |(index, symbol): (usize, &&str)| {
        let listed = info.symbols.iter().find(|info| info.symbol == *symbol);
        read_symbol(listed.ok_or(DecodeError::UnknownSymbol { index })?)
    };
    symbols.iter().enumerate().map(spec).collect()
}

fn read_symbol(info: &SymbolInfo) -> Result<InstrumentSpec, DecodeError> {
    let filter = |kind: &str| info.filters.iter().find(|filter| filter.filter_type == kind);
    let price = filter("PRICE_FILTER").ok_or(DecodeError::Missing { field: "PRICE_FILTER" })?;
    let lot = filter("LOT_SIZE").ok_or(DecodeError::Missing { field: "LOT_SIZE" })?;
    let tick_e8 = step(price.tick_size.as_deref(), "tickSize")?;
    let lot_e8 = step(lot.step_size.as_deref(), "stepSize")?;
    let (price_min, price_max) =
        (e8(price.min_price.as_deref(), "minPrice")?, e8(price.max_price.as_deref(), "maxPrice")?);
    let notional = match filter("NOTIONAL").or_else(|| filter("MIN_NOTIONAL")) {
        Some(found) => e8(found.min_notional.as_deref().or(found.notional.as_deref()), "minNotional")?,
        None => 0,
    };
    Ok(InstrumentSpec {
        symbol: name(&info.symbol, "symbol")?,
        base: name(&info.base_asset, "baseAsset")?,
        quote: name(&info.quote_asset, "quoteAsset")?,
        tick_e8,
        lot_e8,
        // A bound that is no whole step holds for the next step inside of it. Zero switches a bound off.
        filters: Filters {
            price_min: (price_min != 0).then(|| Price::from_ticks(rounded_up(price_min, tick_e8))),
            price_max: (price_max != 0).then(|| Price::from_ticks(price_max / tick_e8)),
            qty_min: Qty::from_lots(rounded_up(e8(lot.min_qty.as_deref(), "minQty")?, lot_e8)),
            qty_max: Qty::from_lots(e8(lot.max_qty.as_deref(), "maxQty")? / lot_e8),
            notional_min: Money::from_e8(notional),
        },
    })
}

fn rounded_up(e8: i64, step_e8: i64) -> i64 {
    e8 / step_e8 + i64::from(e8 % step_e8 != 0)
}

/// A value in units of 1e-8 that is not below zero.
fn e8(text: Option<&str>, field: &'static str) -> Result<i64, DecodeError> {
    let text = text.ok_or(DecodeError::Missing { field })?;
    let value = parse_e8(text.as_bytes()).map_err(|cause| DecodeError::Decimal { field, cause })?;
    if value < 0 { Err(DecodeError::Negative { field }) } else { Ok(value) }
}

/// A step, which must be above zero: without one, prices are no whole ticks.
fn step(text: Option<&str>, field: &'static str) -> Result<i64, DecodeError> {
    match e8(text, field)? {
        0 => Err(DecodeError::Type { field, expected: "above zero" }),
        step => Ok(step),
    }
}

fn name(text: &str, field: &'static str) -> Result<Asset, DecodeError> {
    Symbol::new(text).map_err(|_| DecodeError::Type { field, expected: "a name of at most 23 bytes" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DecimalError;

    const INFO: &str = include_str!("../../../tests/data/binance_exchange_info.json");

    #[test]
    fn filters_become_ticks_and_lots_in_the_order_asked() {
        let specs = decode_exchange_info(INFO.as_bytes(), &["ETHUSDT", "BTCUSDT"]).unwrap();
        assert_eq!(specs.iter().map(|spec| spec.symbol.as_str()).collect::<Vec<_>>(), ["ETHUSDT", "BTCUSDT"]);
        let btc = &specs[1];
        assert_eq!((btc.base.as_str(), btc.quote.as_str()), ("BTC", "USDT"));
        assert_eq!((btc.tick_e8, btc.lot_e8), (1_000_000, 1_000));
        assert_eq!(btc.filters.price_min, Some(Price::from_ticks(1)));
        assert_eq!(btc.filters.price_max, Some(Price::from_ticks(100_000_000)));
        assert_eq!((btc.filters.qty_min, btc.filters.qty_max), (Qty::from_lots(1), Qty::from_lots(900_000_000)));
        assert_eq!(btc.filters.notional_min.to_string(), "5");
        // The other one has the older MIN_NOTIONAL, no price bounds, and a minimum between two lots.
        let eth = &specs[0];
        assert_eq!((eth.filters.price_min, eth.filters.price_max), (None, None));
        assert_eq!(eth.filters.qty_min, Qty::from_lots(3));
        assert_eq!(eth.filters.notional_min.to_string(), "10");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let unknown = decode_exchange_info(INFO.as_bytes(), &["BTCUSDT", "NOSUCH"]);
        assert_eq!(unknown, Err(DecodeError::UnknownSymbol { index: 1 }));
        for (from, to, want) in [
            ("\"LOT_SIZE\"", "\"OTHER\"", DecodeError::Missing { field: "LOT_SIZE" }),
            ("\"tickSize\"", "\"other\"", DecodeError::Missing { field: "tickSize" }),
            // The text stands for the minimum too; the step is read first.
            ("\"0.01000000\"", "\"0\"", DecodeError::Type { field: "tickSize", expected: "above zero" }),
            ("\"0.00001000\"", "\"1e-5\"", DecodeError::Decimal { field: "stepSize", cause: DecimalError::Syntax }),
        ] {
            assert_eq!(decode_exchange_info(INFO.replace(from, to).as_bytes(), &["BTCUSDT"]), Err(want));
        }
        assert_eq!(decode_exchange_info(b"{", &[]), Err(DecodeError::Json));
    }
}
