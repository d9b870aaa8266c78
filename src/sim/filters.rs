//! Which orders a symbol accepts: Binance's filters, in its words. Pure checks; nothing is changed here.

use super::config::SymbolConfig;
use super::events::VenueOrderKind;
use super::reject::VenueReject;
use super::requests::VenueOrder;
use crate::types::{Money, Price, Qty, Side};

/// An order whose numbers are whole ticks and lots within the symbol's filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// Limit price; zero for a market order.
    pub price: Price,
    /// Quantity; zero for a market order that gives a quote amount.
    pub qty: Qty,
}

/// Turns an order's numbers into ticks and lots. `reference` is the last trade's price, when there was a trade;
/// without one the filters that need it do not act.
///
/// # Errors
/// -1013 naming the filter, or what Binance says to an order without a quantity.
pub(super) fn check(
    symbol: &SymbolConfig,
    order: &VenueOrder,
    reference: Option<Price>,
) -> Result<Checked, VenueReject> {
    let is_market = order.kind == VenueOrderKind::Market;
    if order.quote_qty_e8 != 0 && (!is_market || order.qty_e8 != 0) {
        return Err(VenueReject::OPTIONAL_PARAMETERS);
    }
    if order.qty_e8 <= 0 && order.quote_qty_e8 <= 0 {
        return Err(if is_market { VenueReject::QUANTITY_MISSING } else { VenueReject::filter("LOT_SIZE") });
    }
    let price = if is_market { Price::default() } else { check_price(symbol, order.price_e8)? };
    if let (Some(reference), false) = (reference, is_market) {
        check_percent(symbol, order.side, price, reference)?;
    }
    let qty = if order.quote_qty_e8 != 0 { Qty::ZERO } else { check_qty(symbol, order.qty_e8, is_market)? };
    let at = if is_market { reference } else { Some(price) };
    let notional = match at {
        _ if order.quote_qty_e8 != 0 => Some(Money::from_e8(order.quote_qty_e8)),
        Some(at) => Some(symbol.instrument.notional(at, qty)),
        None => None,
    };
    if let Some(notional) = notional {
        check_notional(symbol, notional)?;
    }
    Ok(Checked { price, qty })
}

/// PRICE_FILTER.
fn check_price(symbol: &SymbolConfig, price_e8: i64) -> Result<Price, VenueReject> {
    let spec = &symbol.instrument.spec;
    let price = Price::from_ticks(price_e8 / spec.tick_e8);
    let in_range = price_e8 > 0
        && price_e8 % spec.tick_e8 == 0
        && spec.filters.price_min.is_none_or(|min| price >= min)
        && spec.filters.price_max.is_none_or(|max| price <= max);
    if in_range { Ok(price) } else { Err(VenueReject::filter("PRICE_FILTER")) }
}

/// LOT_SIZE, and MARKET_LOT_SIZE for a market order. An amend's new quantity is checked by it too.
pub(super) fn check_qty(symbol: &SymbolConfig, qty_e8: i64, is_market: bool) -> Result<Qty, VenueReject> {
    let spec = &symbol.instrument.spec;
    let qty = Qty::from_lots(qty_e8 / spec.lot_e8);
    let in_range = qty_e8 > 0
        && qty_e8 % spec.lot_e8 == 0
        && qty >= spec.filters.qty_min
        && (spec.filters.qty_max.is_zero() || qty <= spec.filters.qty_max);
    if !in_range {
        return Err(VenueReject::filter("LOT_SIZE"));
    }
    if is_market && !symbol.market_qty_max.is_zero() && qty > symbol.market_qty_max {
        return Err(VenueReject::filter("MARKET_LOT_SIZE"));
    }
    Ok(qty)
}

/// NOTIONAL.
fn check_notional(symbol: &SymbolConfig, notional: Money) -> Result<(), VenueReject> {
    if notional <= Money::ZERO {
        return Err(VenueReject::ZERO_NOTIONAL);
    }
    let max = symbol.notional_max;
    if notional < symbol.instrument.spec.filters.notional_min || (max != Money::ZERO && notional > max) {
        return Err(VenueReject::filter("NOTIONAL"));
    }
    Ok(())
}

/// PERCENT_PRICE_BY_SIDE against the last trade.
fn check_percent(symbol: &SymbolConfig, side: Side, price: Price, reference: Price) -> Result<(), VenueReject> {
    let Some(band) = symbol.percent_price else { return Ok(()) };
    let (down, up) = match side {
        Side::Bid => (band.bid_down_e4, band.bid_up_e4),
        Side::Ask => (band.ask_down_e4, band.ask_up_e4),
    };
    let scaled = i128::from(price.ticks()) * 10_000;
    let reference = i128::from(reference.ticks());
    if scaled < reference * i128::from(down) || scaled > reference * i128::from(up) {
        return Err(VenueReject::filter("PERCENT_PRICE_BY_SIDE"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::config::PercentPriceBySide;
    use super::*;
    use crate::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Symbol, TimeInForce};

    fn symbol() -> SymbolConfig {
        let name = |text| Symbol::new(text).unwrap();
        let spec = InstrumentSpec {
            symbol: name("BTCUSDT"),
            base: name("BTC"),
            quote: name("USDT"),
            tick_e8: 1_000_000,
            lot_e8: 1_000,
            filters: Filters {
                price_min: Some(Price::from_ticks(1)),
                price_max: Some(Price::from_ticks(100_000_000)),
                qty_min: Qty::from_lots(2),
                qty_max: Qty::from_lots(900_000_000),
                notional_min: Money::from_e8(500_000_000),
            },
        };
        let mut symbol = SymbolConfig::new(Instrument::new(InstrumentId(0), spec));
        symbol.market_qty_max = Qty::from_lots(10_000_000);
        symbol.percent_price =
            Some(PercentPriceBySide { bid_up_e4: 50_000, bid_down_e4: 2_000, ask_up_e4: 50_000, ask_down_e4: 2_000 });
        symbol
    }

    #[test]
    fn each_filter_refuses_in_its_own_name() {
        let limit = VenueOrderKind::Limit(TimeInForce::Gtc);
        let market = VenueOrderKind::Market;
        let price = 6_000_000_000_000;
        for (kind, price_e8, qty_e8, quote_e8, want) in [
            (limit, price, 100_000, 0, None),
            (limit, price + 1, 100_000, 0, Some("Filter failure: PRICE_FILTER")),
            (limit, 0, 100_000, 0, Some("Filter failure: PRICE_FILTER")),
            (limit, -price, 100_000, 0, Some("Filter failure: PRICE_FILTER")),
            (limit, price, 100_001, 0, Some("Filter failure: LOT_SIZE")),
            (limit, price, 1_000, 0, Some("Filter failure: LOT_SIZE")),
            (limit, price, -100_000, 0, Some("Filter failure: LOT_SIZE")),
            (limit, price, 8_000, 0, Some("Filter failure: NOTIONAL")),
            (limit, price, 9_000, 0, None),
            (limit, price * 6, 100_000, 0, Some("Filter failure: PERCENT_PRICE_BY_SIDE")),
            (limit, price / 6, 100_000, 0, Some("Filter failure: PERCENT_PRICE_BY_SIDE")),
            (limit, price, 0, 500_000_000, Some("Combination of optional parameters invalid.")),
            (market, 0, 100_000, 0, None),
            (market, 0, 8_000, 0, Some("Filter failure: NOTIONAL")),
            (market, 0, 20_000_000_000, 0, Some("Filter failure: MARKET_LOT_SIZE")),
            (market, 0, 0, 500_000_000, None),
            (market, 0, 0, 499_999_999, Some("Filter failure: NOTIONAL")),
            (market, 0, 0, 0, Some("Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")),
        ] {
            let order = VenueOrder {
                symbol: InstrumentId(0),
                side: Side::Bid,
                kind,
                price_e8,
                qty_e8,
                quote_qty_e8: quote_e8,
                client_id: None,
                stp: None,
            };
            let got = check(&symbol(), &order, Some(Price::from_ticks(6_000_000)));
            let text = got.as_ref().err().map(|reject| reject.text.as_ref());
            assert_eq!(text, want, "{kind:?} {price_e8} {qty_e8} {quote_e8}");
        }
    }
}
