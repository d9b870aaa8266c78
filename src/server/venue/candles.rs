//! One-minute candles of a symbol, made from its public trades.

use std::collections::VecDeque;

use super::render_market::quote_e8;
use crate::sim::PublicTrade;
use crate::types::{DurationNs, Instrument, Side, TimestampNs, TradeId};

/// Length of a candle: the only interval served.
pub const MINUTE: DurationNs = DurationNs::from_secs(60);
/// Candles kept: what one request may ask for.
const KEPT: usize = 1_000;

/// One minute, amounts in 1e-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// Start of the minute.
    pub open_ts: TimestampNs,
    /// First price.
    pub open_e8: i64,
    /// Highest price.
    pub high_e8: i64,
    /// Lowest price.
    pub low_e8: i64,
    /// Last price.
    pub close_e8: i64,
    /// Base traded.
    pub base_e8: i64,
    /// Quote traded.
    pub quote_e8: i64,
    /// Base bought by takers.
    pub taker_base_e8: i64,
    /// Quote paid by takers that bought.
    pub taker_quote_e8: i64,
    /// Number of trades.
    pub trades: u64,
    /// First trade.
    pub first_trade: Option<TradeId>,
    /// Last trade.
    pub last_trade: Option<TradeId>,
}

impl Candle {
    fn flat(open_ts: TimestampNs, price_e8: i64) -> Candle {
        Candle {
            open_ts,
            open_e8: price_e8,
            high_e8: price_e8,
            low_e8: price_e8,
            close_e8: price_e8,
            base_e8: 0,
            quote_e8: 0,
            taker_base_e8: 0,
            taker_quote_e8: 0,
            trades: 0,
            first_trade: None,
            last_trade: None,
        }
    }
}

/// The latest candles of a symbol, oldest first. Before its first trade there is none.
#[derive(Debug, Default)]
pub struct Candles {
    minutes: VecDeque<Candle>,
}

impl Candles {
    /// Adds a trade; trades come in the order of time.
    pub fn add(&mut self, instrument: &Instrument, trade: &PublicTrade) {
        let price_e8 = instrument.price_e8(trade.price);
        self.open_minutes_until(trade.event_ts, price_e8);
        let Some(candle) = self.minutes.back_mut() else { return };
        if candle.trades == 0 {
            *candle = Candle { first_trade: Some(trade.id), ..Candle::flat(candle.open_ts, price_e8) };
        }
        let (base_e8, quote_e8) = (instrument.qty_e8(trade.qty), quote_e8(instrument, trade));
        candle.high_e8 = candle.high_e8.max(price_e8);
        candle.low_e8 = candle.low_e8.min(price_e8);
        candle.close_e8 = price_e8;
        candle.base_e8 += base_e8;
        candle.quote_e8 += quote_e8;
        if trade.aggressor == Side::Bid {
            candle.taker_base_e8 += base_e8;
            candle.taker_quote_e8 += quote_e8;
        }
        candle.trades += 1;
        candle.last_trade = Some(trade.id);
    }

    /// Opens the minutes up to that of `now`, flat at the last close: a minute without trades has a candle too.
    pub fn turn(&mut self, now: TimestampNs) {
        if let Some(last) = self.minutes.back() {
            let close_e8 = last.close_e8;
            self.open_minutes_until(now, close_e8);
        }
    }

    fn open_minutes_until(&mut self, now: TimestampNs, price_e8: i64) {
        let minute = TimestampNs::from_nanos(now.nanos() - now.nanos() % MINUTE.nanos());
        let Some(last) = self.minutes.back().copied() else {
            self.minutes.push_back(Candle::flat(minute, price_e8));
            return;
        };
        let missing = (minute.since(last.open_ts).nanos() / MINUTE.nanos()).min(KEPT as u64);
        for back in (0..missing).rev() {
            let open_ts = TimestampNs::from_nanos(minute.nanos() - back * MINUTE.nanos());
            self.minutes.push_back(Candle::flat(open_ts, last.close_e8));
            if self.minutes.len() > KEPT {
                self.minutes.pop_front();
            }
        }
    }

    /// The candle of the current minute.
    pub fn current(&self) -> Option<&Candle> {
        self.minutes.back()
    }

    /// The candle before the current one, complete.
    pub fn closed(&self) -> Option<&Candle> {
        self.minutes.len().checked_sub(2).and_then(|at| self.minutes.get(at))
    }

    /// At most `limit` candles that open within the bounds: the oldest from `start` when there is one, else the latest.
    pub fn select(&self, start: Option<TimestampNs>, end: Option<TimestampNs>, limit: usize) -> Vec<Candle> {
        let inside = |candle: &&Candle| {
            start.is_none_or(|start| candle.open_ts >= start) && end.is_none_or(|end| candle.open_ts <= end)
        };
        let matching: Vec<Candle> = self.minutes.iter().filter(inside).copied().collect();
        let from = if start.is_some() { 0 } else { matching.len().saturating_sub(limit) };
        matching[from..].iter().take(limit).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Filters, InstrumentId, InstrumentSpec, Price, Qty, Symbol};

    #[test]
    fn quiet_minutes_are_flat_and_trades_are_summed() {
        let name = |text| Symbol::new(text).unwrap();
        let spec = InstrumentSpec {
            symbol: name("AB"),
            base: name("A"),
            quote: name("B"),
            tick_e8: 100_000_000,
            lot_e8: 100_000_000,
            filters: Filters::default(),
        };
        let instrument = Instrument::new(InstrumentId(0), spec);
        let trade = |at_s: u64, id: i64, price: i64, aggressor| PublicTrade {
            symbol: InstrumentId(0),
            event_ts: TimestampNs::from_millis(at_s * 1_000),
            id: TradeId(id),
            price: Price::from_ticks(price),
            qty: Qty::from_lots(2),
            aggressor,
        };
        let mut candles = Candles::default();
        candles.turn(TimestampNs::from_millis(1_000));
        assert!(candles.current().is_none());
        for (at_s, id, price, aggressor) in
            [(61, 1, 10, Side::Bid), (62, 2, 12, Side::Ask), (119, 3, 9, Side::Bid), (241, 4, 11, Side::Ask)]
        {
            candles.add(&instrument, &trade(at_s, id, price, aggressor));
        }
        let all = candles.select(None, None, 10);
        let shape: Vec<_> = all
            .iter()
            .map(|c| {
                [c.open_ts.millis() as i64 / 60_000, c.open_e8, c.high_e8, c.low_e8, c.close_e8].map(|n| n % 99_999_999)
            })
            .collect();
        assert_eq!(shape, [[1, 10, 12, 9, 9], [2, 9, 9, 9, 9], [3, 9, 9, 9, 9], [4, 11, 11, 11, 11]]);
        assert_eq!((all[0].base_e8, all[0].taker_base_e8, all[0].trades), (600_000_000, 400_000_000, 3));
        assert_eq!(candles.select(Some(TimestampNs::from_millis(120_000)), None, 1)[0], all[1]);
        assert_eq!(candles.select(None, None, 1), [all[3]]);
    }
}
