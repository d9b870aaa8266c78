//! Aggregated trades of REST: an array of one taker order and price each, oldest first.
//!
//! Cold: read once at a start. Source: Binance Spot "REST API", compressed/aggregate trades list.

use serde::Deserialize;

use crate::types::{DecimalError, Instrument, Side, TimestampNs, Trade, TradeId};

/// The most that one request answers.
pub const PAGE_TRADES: usize = 1000;

/// An answer that is no list of aggregated trades.
#[derive(Debug, thiserror::Error)]
pub enum AggTradesError {
    /// It is not the JSON that it should be.
    #[error("the list of trades cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A price or quantity is no number of the instrument's steps.
    #[error("trade {id}: {field}: {error}")]
    Number {
        /// The trade.
        id: i64,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: DecimalError,
    },
}

#[derive(Deserialize)]
struct Row<'a> {
    a: i64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    at_ms: u64,
    /// Whether the buyer was the maker.
    m: bool,
}

/// Reads an answer.
///
/// # Errors
/// When it is not what the venue documents.
pub fn decode_agg_trades(body: &[u8], instrument: &Instrument) -> Result<Vec<Trade>, AggTradesError> {
    let rows: Vec<Row<'_>> = serde_json::from_slice(body)?;
    let read = |row: &Row<'_>| {
        let wrong = |field| move |error| AggTradesError::Number { id: row.a, field, error };
        let at = TimestampNs::from_millis(row.at_ms);
        Ok(Trade {
            instrument: instrument.id,
            event_ts: at,
            recv_ts: at,
            id: TradeId(row.a),
            price: instrument.price_from_text(row.p.as_bytes()).map_err(wrong("p"))?,
            qty: instrument.qty_from_text(row.q.as_bytes()).map_err(wrong("q"))?,
            aggressor: if row.m { Side::Ask } else { Side::Bid },
        })
    };
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Price, Qty};

    #[test]
    fn the_documented_answer_is_read() {
        let body = br#"[{"a":26129,"p":"61250.11000000","q":"0.50000000","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true},
            {"a":26130,"p":"61250.12","q":"0.00001","f":27782,"l":27784,"T":1498793709154,"m":false,"M":true}]"#;
        let trades = decode_agg_trades(body, &Instrument::btcusdt()).unwrap();
        assert_eq!(trades.len(), 2);
        assert_eq!(
            (trades[0].id, trades[0].price, trades[0].qty),
            (TradeId(26129), Price::from_ticks(6_125_011), Qty::from_lots(50_000))
        );
        assert_eq!((trades[0].aggressor, trades[1].aggressor), (Side::Ask, Side::Bid));
        assert_eq!(trades[1].event_ts, TimestampNs::from_millis(1_498_793_709_154));
        assert!(decode_agg_trades(b"{}", &Instrument::btcusdt()).is_err());
        let off_step = br#"[{"a":7,"p":"61250.111","q":"1","f":1,"l":1,"T":1,"m":true}]"#;
        assert!(decode_agg_trades(off_step, &Instrument::btcusdt()).unwrap_err().to_string().contains("trade 7: p"));
    }
}
