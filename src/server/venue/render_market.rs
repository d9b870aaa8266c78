//! Public market data as Binance writes it, for the streams and for REST.

use super::candles::Candle;
use super::json::{Object, TimeUnit, push_amount, push_list};
use crate::sim::{AggregateTrade, BookTicker, DepthSnapshot, PublicTrade};
use crate::types::{Instrument, Level, Side, TimestampNs};

/// Writes levels as `[["price","qty"],…]`.
pub fn push_levels(out: &mut String, instrument: &Instrument, levels: &[Level]) {
    push_list(out, levels, |out, level| {
        out.push('[');
        push_amount(out, instrument.price_e8(level.price));
        out.push(',');
        push_amount(out, instrument.qty_e8(level.qty));
        out.push(']');
    });
}

/// A book: the answer of `depth` and the event of the partial-depth streams.
pub fn push_depth(out: &mut String, instrument: &Instrument, book: &DepthSnapshot) {
    Object::open(out)
        .plain("lastUpdateId", book.last_update_id)
        .with("bids", |out| push_levels(out, instrument, &book.bids))
        .with("asks", |out| push_levels(out, instrument, &book.asks))
        .end();
}

/// The answer of USD-M's `depth`, which also says when.
pub fn push_usdm_depth(out: &mut String, instrument: &Instrument, book: &DepthSnapshot, at: TimestampNs) {
    Object::open(out)
        .plain("lastUpdateId", book.last_update_id)
        .plain("E", at.millis())
        .plain("T", at.millis())
        .with("bids", |out| push_levels(out, instrument, &book.bids))
        .with("asks", |out| push_levels(out, instrument, &book.asks))
        .end();
}

/// Whose market data a connection is told: Binance's two products differ in a few fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Product {
    /// Spot.
    #[default]
    Spot,
    /// USD-M futures: diffs name the last update before theirs (`pu`), everything has a time, trades a kind.
    UsdM,
}

/// A diff of the book.
#[derive(Clone, Copy, Debug)]
pub struct DepthUpdate<'a> {
    /// `E`.
    pub event_ts: TimestampNs,
    /// `U`.
    pub first_id: u64,
    /// `u`.
    pub last_id: u64,
    /// `b`.
    pub bids: &'a [Level],
    /// `a`.
    pub asks: &'a [Level],
}

/// `depthUpdate`.
pub fn push_depth_update(
    out: &mut String,
    instrument: &Instrument,
    update: &DepthUpdate<'_>,
    unit: TimeUnit,
    product: Product,
) {
    let mut object = Object::open(out);
    object.text("e", "depthUpdate").plain("E", unit.of(update.event_ts));
    if product == Product::UsdM {
        object.plain("T", unit.of(update.event_ts));
    }
    object.text("s", instrument.symbol()).plain("U", update.first_id).plain("u", update.last_id);
    if product == Product::UsdM {
        // Our numbers have no holes: the message before ends where this one begins.
        object.plain("pu", update.first_id.saturating_sub(1));
    }
    object
        .with("b", |out| push_levels(out, instrument, update.bids))
        .with("a", |out| push_levels(out, instrument, update.asks))
        .end();
}

/// `trade`.
pub fn push_trade_event(
    out: &mut String,
    instrument: &Instrument,
    trade: &PublicTrade,
    unit: TimeUnit,
    product: Product,
) {
    let at = unit.of(trade.event_ts);
    let mut object = Object::open(out);
    object
        .text("e", "trade")
        .plain("E", at)
        .text("s", instrument.symbol())
        .plain("t", trade.id.0)
        .amount("p", instrument.price_e8(trade.price))
        .amount("q", instrument.qty_e8(trade.qty))
        .plain("T", at)
        .plain("m", trade.aggressor == Side::Ask);
    match product {
        Product::Spot => object.plain("M", true).end(),
        Product::UsdM => object.text("X", "MARKET").end(),
    }
}

/// `aggTrade`.
pub fn push_agg_trade_event(out: &mut String, instrument: &Instrument, trade: &AggregateTrade, unit: TimeUnit) {
    let mut object = Object::open(out);
    object.text("e", "aggTrade").plain("E", unit.of(trade.event_ts)).text("s", instrument.symbol());
    push_agg_fields(&mut object, instrument, trade, unit);
}

/// An element of the answer of `aggTrades`.
pub fn push_agg_trade(out: &mut String, instrument: &Instrument, trade: &AggregateTrade, unit: TimeUnit) {
    push_agg_fields(&mut Object::open(out), instrument, trade, unit);
}

fn push_agg_fields(object: &mut Object<'_>, instrument: &Instrument, trade: &AggregateTrade, unit: TimeUnit) {
    object
        .plain("a", trade.id)
        .amount("p", instrument.price_e8(trade.price))
        .amount("q", instrument.qty_e8(trade.qty))
        .plain("f", trade.first.0)
        .plain("l", trade.last.0)
        .plain("T", unit.of(trade.event_ts))
        .plain("m", trade.aggressor == Side::Ask)
        .plain("M", true)
        .end();
}

/// An element of the answer of `trades`.
pub fn push_trade(out: &mut String, instrument: &Instrument, trade: &PublicTrade, unit: TimeUnit) {
    Object::open(out)
        .plain("id", trade.id.0)
        .amount("price", instrument.price_e8(trade.price))
        .amount("qty", instrument.qty_e8(trade.qty))
        .amount("quoteQty", quote_e8(instrument, trade))
        .plain("time", unit.of(trade.event_ts))
        .plain("isBuyerMaker", trade.aggressor == Side::Ask)
        .plain("isBestMatch", true)
        .end();
}

/// Price times quantity in 1e-8, rounded towards zero; an amount beyond 64 bits is shown as the greatest.
pub fn quote_e8(instrument: &Instrument, trade: &PublicTrade) -> i64 {
    i64::try_from(instrument.notional(trade.price, trade.qty).e8_truncated()).unwrap_or(i64::MAX)
}

/// `bookTicker`: the stream's short names.
pub fn push_book_ticker_event(
    out: &mut String,
    instrument: &Instrument,
    touch: &BookTicker,
    unit: TimeUnit,
    product: Product,
) {
    let amounts = touch_amounts(instrument, touch);
    let mut object = Object::open(out);
    if product == Product::UsdM {
        object.text("e", "bookTicker").plain("E", unit.of(touch.event_ts)).plain("T", unit.of(touch.event_ts));
    }
    object
        .plain("u", touch.update_id)
        .text("s", instrument.symbol())
        .amount("b", amounts[0])
        .amount("B", amounts[1])
        .amount("a", amounts[2])
        .amount("A", amounts[3])
        .end();
}

/// An element of the answer of `ticker/bookTicker`.
pub fn push_book_ticker(out: &mut String, instrument: &Instrument, touch: &BookTicker) {
    let amounts = touch_amounts(instrument, touch);
    Object::open(out)
        .text("symbol", instrument.symbol())
        .amount("bidPrice", amounts[0])
        .amount("bidQty", amounts[1])
        .amount("askPrice", amounts[2])
        .amount("askQty", amounts[3])
        .end();
}

/// Bid price and quantity, ask price and quantity; an empty side is zeros, as at Binance.
fn touch_amounts(instrument: &Instrument, touch: &BookTicker) -> [i64; 4] {
    let (bid, ask) = (touch.bid.unwrap_or_default(), touch.ask.unwrap_or_default());
    [
        instrument.price_e8(bid.price),
        instrument.qty_e8(bid.qty),
        instrument.price_e8(ask.price),
        instrument.qty_e8(ask.qty),
    ]
}

/// `kline`.
pub fn push_candle_event(
    out: &mut String,
    instrument: &Instrument,
    now: TimestampNs,
    candle: &Candle,
    is_closed: bool,
    unit: TimeUnit,
) {
    Object::open(out)
        .text("e", "kline")
        .plain("E", unit.of(now))
        .text("s", instrument.symbol())
        .with("k", |out| {
            Object::open(out)
                .plain("t", unit.of(candle.open_ts))
                .plain("T", close_time(candle, unit))
                .text("s", instrument.symbol())
                .text("i", "1m")
                .plain("f", candle.first_trade.map_or(-1, |id| id.0))
                .plain("L", candle.last_trade.map_or(-1, |id| id.0))
                .amount("o", candle.open_e8)
                .amount("c", candle.close_e8)
                .amount("h", candle.high_e8)
                .amount("l", candle.low_e8)
                .amount("v", candle.base_e8)
                .plain("n", candle.trades)
                .plain("x", is_closed)
                .amount("q", candle.quote_e8)
                .amount("V", candle.taker_base_e8)
                .amount("Q", candle.taker_quote_e8)
                .text("B", "0")
                .end();
        })
        .end();
}

/// An element of the answer of `klines`.
pub fn push_candle(out: &mut String, candle: &Candle, unit: TimeUnit) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = write!(out, "[{},", unit.of(candle.open_ts));
    for amount in [candle.open_e8, candle.high_e8, candle.low_e8, candle.close_e8, candle.base_e8] {
        push_amount(out, amount);
        out.push(',');
    }
    let _ = write!(out, "{},", close_time(candle, unit));
    push_amount(out, candle.quote_e8);
    let _ = write!(out, ",{},", candle.trades);
    push_amount(out, candle.taker_base_e8);
    out.push(',');
    push_amount(out, candle.taker_quote_e8);
    out.push_str(",\"0\"]");
}

/// The last unit of time inside the candle.
fn close_time(candle: &Candle, unit: TimeUnit) -> u64 {
    unit.of(candle.open_ts.plus(super::candles::MINUTE)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, Price, Qty, TradeId};

    fn rendered(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    /// The shapes of the protocol reference, section 2.1.
    #[test]
    fn events_look_like_the_documented_ones() {
        let instrument = Instrument::btcusdt();
        let bids = [
            Level { price: Price::from_ticks(6_125_010), qty: Qty::from_lots(48_200) },
            Level { price: Price::from_ticks(6_124_990), qty: Qty::ZERO },
        ];
        let asks = [Level { price: Price::from_ticks(6_125_011), qty: Qty::from_lots(110_000) }];
        let update = DepthUpdate {
            event_ts: TimestampNs::from_millis(1_784_102_400_123),
            first_id: 71_200_101,
            last_id: 71_200_118,
            bids: &bids,
            asks: &asks,
        };
        assert_eq!(
            rendered(|out| push_depth_update(out, &instrument, &update, TimeUnit::Millis, Product::Spot)),
            r#"{"e":"depthUpdate","E":1784102400123,"s":"BTCUSDT","U":71200101,"u":71200118,"b":[["61250.10000000","0.48200000"],["61249.90000000","0.00000000"]],"a":[["61250.11000000","1.10000000"]]}"#
        );
        let trade = PublicTrade {
            symbol: InstrumentId(0),
            event_ts: TimestampNs::from_millis(1_784_102_400_129),
            id: TradeId(4_100_200_300),
            price: Price::from_ticks(6_125_011),
            qty: Qty::from_lots(1_200),
            aggressor: Side::Bid,
        };
        assert_eq!(
            rendered(|out| push_trade_event(out, &instrument, &trade, TimeUnit::Micros, Product::Spot)),
            r#"{"e":"trade","E":1784102400129000,"s":"BTCUSDT","t":4100200300,"p":"61250.11000000","q":"0.01200000","T":1784102400129000,"m":false,"M":true}"#
        );
        let aggregate = AggregateTrade {
            symbol: InstrumentId(0),
            event_ts: trade.event_ts,
            id: 3_300_100,
            price: trade.price,
            qty: trade.qty,
            first: TradeId(1),
            last: TradeId(5),
            aggressor: Side::Ask,
        };
        assert_eq!(
            rendered(|out| push_agg_trade_event(out, &instrument, &aggregate, TimeUnit::Millis)),
            r#"{"e":"aggTrade","E":1784102400129,"s":"BTCUSDT","a":3300100,"p":"61250.11000000","q":"0.01200000","f":1,"l":5,"T":1784102400129,"m":true,"M":true}"#
        );
        let touch = BookTicker {
            symbol: InstrumentId(0),
            event_ts: trade.event_ts,
            update_id: 71_200_118,
            bid: Some(bids[0]),
            ask: None,
        };
        assert_eq!(
            rendered(|out| push_book_ticker_event(out, &instrument, &touch, TimeUnit::Millis, Product::Spot)),
            r#"{"u":71200118,"s":"BTCUSDT","b":"61250.10000000","B":"0.48200000","a":"0.00000000","A":"0.00000000"}"#
        );
    }
}
