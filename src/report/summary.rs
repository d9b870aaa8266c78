//! The summary of a session: `summary.json`, and what `--json` prints.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::kpi::Kpis;
use crate::kpi::curve::CurvePoint;
use crate::metrics::LatencySummary;
use crate::types::{Instrument, Money, Qty, format_e8};

/// An exact decimal, written as a JSON number with all its digits.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Decimal(String);

impl Decimal {
    /// An amount of money.
    pub fn money(amount: Money) -> Decimal {
        Decimal(amount.to_string())
    }

    /// A quantity in base currency.
    pub fn qty(instrument: &Instrument, qty: Qty) -> Decimal {
        Decimal(instrument.qty_text(qty))
    }

    /// An amount in units of 1e-8.
    pub fn e8(e8: i64) -> Decimal {
        let mut text = String::new();
        format_e8(e8, &mut text);
        Decimal(text)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        // A decimal text is a JSON number as it stands; a float would round it.
        serde_json::value::RawValue::from_string(self.0.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Profit and loss in quote currency; total = gross - fees = spread + inventory - fees, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct PnlText {
    /// Net of commissions; the venue's balances agree with it, or the session ends with an error.
    pub total: Decimal,
    /// Before commissions.
    pub gross: Decimal,
    /// Earned against the mid at each fill.
    pub spread: Decimal,
    /// Earned by holding the position while the mid moved.
    pub inventory: Decimal,
    /// Commissions.
    pub fees: Decimal,
}

/// Percentiles in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "percentiles are named by their number")]
pub struct Latency {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    /// The slowest.
    pub max: u64,
    /// How many samples there are.
    pub count: u64,
}

impl From<LatencySummary> for Latency {
    fn from(from: LatencySummary) -> Latency {
        let LatencySummary { p50, p90, p99, p999, p9999, max, count } = from;
        Latency { p50, p90, p99, p999, p9999, max, count }
    }
}

/// A mean realised half-spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MarkoutText {
    /// Mean in ticks, weighted by quantity; positive when the mid stayed on our side.
    pub mean_ticks: f64,
    /// Its standard error by the block bootstrap; `None` for a session with too few blocks.
    pub error_ticks: Option<f64>,
    /// Fills with a mid at that horizon.
    pub fills: u64,
}

impl MarkoutText {
    /// A point of the curve; `None` without fills.
    pub fn of(point: &CurvePoint) -> Option<MarkoutText> {
        let mean_ticks = point.mean_ticks?;
        Some(MarkoutText { mean_ticks, error_ticks: point.error_ticks, fills: point.fills })
    }
}

/// What a session published on a Redis server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RedisCounts {
    /// Entries published.
    pub entries: u64,
    /// Records dropped because the server was away or too slow.
    pub dropped: u64,
    /// Times that the server was lost or could not be reached.
    pub outages: u64,
}

/// What simulated the exchange of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExchangeText {
    /// The fill model.
    pub fill: String,
    /// The latency model.
    pub latency: String,
    /// Digest of everything that the result depends on but the data, 16 hexadecimal digits.
    pub config_digest: String,
    /// Events of the tape.
    pub events: u64,
}

/// What a session did, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of the program.
    pub version: String,
    /// The verb that made the session.
    pub mode: String,
    /// `wall` or `virtual`.
    pub clock: &'static str,
    /// Seed of the synthetic flow.
    pub seed: u64,
    /// `synthetic`, or the recordings.
    pub source: String,
    /// What simulated the exchange, in a backtest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeText>,
    /// Digest of the flow that did not depend on us, 16 hexadecimal digits.
    pub flow_digest: Option<String>,
    /// The session's name.
    pub session: String,
    /// The instrument.
    pub symbol: String,
    /// How long it lasted, in seconds.
    pub seconds: f64,
    /// Market updates decided on.
    pub ticks: u64,
    /// Changes of the quote targets.
    pub quotes: u64,
    /// Orders handed to the venue.
    pub orders_sent: u64,
    /// Orders that it took.
    pub orders_accepted: u64,
    /// Orders that it refused.
    pub orders_rejected: u64,
    /// Refused orders by reason.
    pub rejects_by_reason: BTreeMap<&'static str, u64>,
    /// Cancels handed to the venue.
    pub cancels_sent: u64,
    /// Orders whose outcome was in doubt for a while.
    pub orders_unknown: u64,
    /// Executions.
    pub fills: u64,
    /// Executions by what caused them, as the venue tells.
    pub fills_by_cause: BTreeMap<&'static str, u64>,
    /// Orders with a fill per order accepted.
    pub fill_ratio: Option<f64>,
    /// Position at the end, in lots.
    pub position_lots: i64,
    /// Position at the end, in base currency, exact.
    pub position: Decimal,
    /// The maker commission assumed, in 1e-4 of the notional.
    pub fee_bps: f64,
    /// Profit and loss in quote currency.
    pub pnl: PnlText,
    /// What it is counted in.
    pub quote_asset: String,
    /// Own orders open at the end, as asked of the venue.
    pub open_orders_at_exit: u64,
    /// From the socket read that completed a frame to the first order's bytes in front of the socket.
    pub tick_to_order_ns: Latency,
    /// Every hop that has samples, by its name in `/metrics`.
    pub hops_ns: BTreeMap<&'static str, Latency>,
    /// From the program's start to its first quote, in milliseconds.
    pub first_quote_ms: Option<f64>,
    /// Mean effective half-spread of the fills: the markout after no time at all.
    pub effective_half_spread: Option<MarkoutText>,
    /// Mean markouts by horizon: `0s`, `0.1s`, `1s`, …
    pub markouts: BTreeMap<String, Option<MarkoutText>>,
    /// What the session is judged by.
    pub kpis: Kpis,
    /// Market-data gaps that were noticed and repaired.
    pub book_desyncs: u64,
    /// What went to Redis; `None` when nothing was to.
    pub redis: Option<RedisCounts>,
    /// The tiles' seats.
    pub plan: Option<String>,
    /// Folder of the session's journal.
    pub journal: PathBuf,
    /// Folder of the Parquet tables.
    pub parquet: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// Net profit over all symbols, by what it is counted in; where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub net_of_all: BTreeMap<String, Decimal>,
    /// The same of every further symbol, whose files carry their symbol; what is of the whole session is repeated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Summary>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit_in_json() {
        let amount = Decimal::money(Money::from_attos(-12_345_678_901_234_567_890_123));
        assert_eq!(serde_json::to_string(&amount).unwrap(), "-12345.678901234567890123");
        assert_eq!(serde_json::to_string(&Decimal::e8(50_000_000)).unwrap(), "0.5");
    }
}
