//! Questions to the account that are no commands: clock, instruments, balances, open orders, missed fills.
//!
//! Called by the start-up and the shutdown on the main thread, and by the cold account tile. Never by a hot thread.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::clock::wall_now;
use super::http::{Http, HttpError};
use super::worker::GatewayConfig;
use crate::types::{
    Balance, ClientOrderId, ExecKind, ExecReport, ExecSource, Instrument, OrderStatus, Qty, TimestampNs, VenueOrderId,
};
use crate::venue::binance::rest::{
    ListError, OrderRow, Reply, RequestBuilder, TradeRow, path, read_balances, read_orders, read_trades, venue_time,
};

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The venue cannot be reached.
    #[error("{path}: {why}")]
    Unreachable {
        /// Which endpoint.
        path: &'static str,
        /// What the client says.
        why: String,
    },
    /// The venue refused.
    #[error("{path}: the venue answered {status}: {text}")]
    Refused {
        /// Which endpoint.
        path: &'static str,
        /// HTTP status.
        status: u16,
        /// The answer's beginning.
        text: String,
    },
    /// The answer cannot be read.
    #[error("{path}: {why}")]
    Form {
        /// Which endpoint.
        path: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl AccountError {
    fn list(path: &'static str) -> impl Fn(ListError) -> AccountError {
        move |error| AccountError::Form { path, why: error.to_string() }
    }
}

/// A client for those questions.
#[derive(Debug)]
pub struct AccountClient {
    config: GatewayConfig,
    http: Http,
    builder: RequestBuilder,
}

// Pages of lists: the most that the venue gives at once.
const PAGE: usize = 1000;

impl AccountClient {
    /// A client that waits `patience` for each answer.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(config: &GatewayConfig, patience: Duration) -> Result<AccountClient, HttpError> {
        let http = Http::new(&config.rest_url, Some(&config.api_key), config.ca_file.as_deref(), patience)?;
        Ok(AccountClient { builder: RequestBuilder::new(config.recv_window_ms), config: config.clone(), http })
    }

    /// Measures the venue's clock.
    ///
    /// # Errors
    /// When the venue does not answer.
    pub fn measure_clock(&mut self) -> Result<(), AccountError> {
        let sent = wall_now();
        let body = plain_get(&mut self.http, path::TIME, path::TIME)?;
        let venue_ts = server_time(body)
            .ok_or_else(|| AccountError::Form { path: path::TIME, why: "no serverTime".to_owned() })?;
        self.config.clock.observe(sent, wall_now(), venue_ts);
        Ok(())
    }

    /// All balances of the account.
    ///
    /// # Errors
    /// When the venue does not answer as documented.
    pub fn balances(&mut self) -> Result<Vec<Balance>, AccountError> {
        let body = self.signed(path::ACCOUNT, &[("omitZeroBalances", "true")], 20)?;
        read_balances(body).map_err(AccountError::list(path::ACCOUNT))
    }

    /// Open orders of an instrument, ours and others'.
    ///
    /// # Errors
    /// When the venue does not answer as documented.
    pub fn open_orders(&mut self, instrument: &Instrument) -> Result<Vec<OrderRow>, AccountError> {
        let body = self.signed(path::OPEN_ORDERS, &[("symbol", instrument.symbol())], 6)?;
        read_orders(body, instrument).map_err(AccountError::list(path::OPEN_ORDERS))
    }

    /// Open orders of an instrument that some Touchline engine placed.
    ///
    /// # Errors
    /// When the venue does not answer as documented.
    pub fn own_open_orders(&mut self, instrument: &Instrument) -> Result<Vec<(ClientOrderId, OrderRow)>, AccountError> {
        Ok(self.open_orders(instrument)?.into_iter().filter_map(|row| Some((row.client_id?, row))).collect())
    }

    /// Everything that happened to our orders of an instrument since `since`, as reports in an order that the decision
    /// can take: every fill (it counts each trade once), then where each order stands.
    ///
    /// # Errors
    /// When the venue does not answer as documented; nothing may be concluded then.
    pub fn missed(&mut self, instrument: &Instrument, since: TimestampNs) -> Result<Vec<ExecReport>, AccountError> {
        let orders = {
            let limit = PAGE.to_string();
            let body = self.signed(path::ALL_ORDERS, &[("symbol", instrument.symbol()), ("limit", &limit)], 20)?;
            read_orders(body, instrument).map_err(AccountError::list(path::ALL_ORDERS))?
        };
        let trades = self.trades_since(instrument, since)?;
        Ok(missed_reports(instrument, &orders, &trades, since, wall_now()))
    }

    fn trades_since(&mut self, instrument: &Instrument, since: TimestampNs) -> Result<Vec<TradeRow>, AccountError> {
        let limit = PAGE.to_string();
        let start = since.millis().to_string();
        let mut all: Vec<TradeRow> = Vec::new();
        loop {
            // `fromId` and `startTime` exclude each other: the first page is by time, all others by id.
            let from;
            let bound = match all.last() {
                None => ("startTime", start.as_str()),
                Some(last) => {
                    from = (last.fill.trade_id.0 + 1).to_string();
                    ("fromId", from.as_str())
                }
            };
            let body =
                self.signed(path::MY_TRADES, &[("symbol", instrument.symbol()), bound, ("limit", &limit)], 20)?;
            let page = read_trades(body, instrument).map_err(AccountError::list(path::MY_TRADES))?;
            let last_page = page.len() < PAGE;
            all.extend(page);
            if last_page {
                return Ok(all);
            }
        }
    }

    fn signed(&mut self, path: &'static str, parameters: &[(&str, &str)], weight: u64) -> Result<&[u8], AccountError> {
        let now = wall_now();
        self.config.limiter.spend(TimestampNs::from_millis(self.config.clock.venue_millis(now)), weight);
        let timestamp_ms = self.config.clock.venue_millis(now);
        let request = self.builder.signed_get(path, parameters, timestamp_ms, &self.config.signer);
        let status = match self.http.send(&request, &mut || ()) {
            Reply::Answer { status, .. } => status,
            Reply::NotSent | Reply::Lost => 0,
        };
        settled(&self.http, path, status)
    }
}

/// An unsigned GET, with its answer's body.
///
/// # Errors
/// When the venue does not answer with 200.
pub fn plain_get<'a>(http: &'a mut Http, path: &'static str, query: &str) -> Result<&'a [u8], AccountError> {
    let status = match http.get(query) {
        Reply::Answer { status, .. } => status,
        Reply::NotSent | Reply::Lost => 0,
    };
    settled(http, path, status)
}

fn settled<'a>(http: &'a Http, path: &'static str, status: u16) -> Result<&'a [u8], AccountError> {
    match status {
        200 => Ok(http.body()),
        0 => Err(AccountError::Unreachable { path, why: http.failure().to_owned() }),
        status => {
            // Enough for the venue's code and text, not for a page of HTML.
            let text: String = String::from_utf8_lossy(http.body()).chars().take(200).collect();
            Err(AccountError::Refused { path, status, text })
        }
    }
}

/// The `serverTime` of an answer.
pub(super) fn server_time(body: &[u8]) -> Option<TimestampNs> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        server_time: u64,
    }
    serde_json::from_slice::<Body>(body).ok().map(|body| venue_time(body.server_time))
}

/// The reports behind lists of orders and trades: every fill, then where each order stands that is open or has changed
/// since `since`. `trades` are ordered by id.
pub fn missed_reports(
    instrument: &Instrument,
    orders: &[OrderRow],
    trades: &[TradeRow],
    since: TimestampNs,
    now: TimestampNs,
) -> Vec<ExecReport> {
    let own: BTreeMap<VenueOrderId, (&OrderRow, ClientOrderId)> =
        orders.iter().filter_map(|row| Some((row.venue_id, (row, row.client_id?)))).collect();
    let report = |client_id, venue_id, event_ts, kind| ExecReport {
        instrument: instrument.id,
        client_id,
        venue_id: Some(venue_id),
        event_ts,
        recv_ts: now,
        source: ExecSource::Query,
        kind,
    };
    // A list by time may begin in the middle of an order: what it executed before is its total less what is listed.
    let mut listed: BTreeMap<VenueOrderId, Qty> = BTreeMap::new();
    for trade in trades {
        *listed.entry(trade.venue_id).or_default() += trade.fill.qty;
    }
    let mut running: BTreeMap<VenueOrderId, Qty> = BTreeMap::new();
    let mut reports = Vec::new();
    for trade in trades {
        let Some(&(row, client_id)) = own.get(&trade.venue_id) else { continue };
        let whole = listed.get(&trade.venue_id).copied().unwrap_or_default();
        let before = running.entry(trade.venue_id).or_insert(row.cum_qty - whole);
        *before += trade.fill.qty;
        let fill = crate::types::Fill { cum_qty: *before, order_qty: row.qty, ..trade.fill };
        reports.push(report(client_id, trade.venue_id, trade.event_ts, ExecKind::Fill(fill)));
    }
    for &(row, client_id) in own.values() {
        let open = matches!(row.status, OrderStatus::New | OrderStatus::PartiallyFilled);
        if open || row.update_ts >= since {
            let kind = ExecKind::Status { status: row.status, cum_qty: row.cum_qty, order_qty: row.qty };
            reports.push(report(client_id, row.venue_id, row.update_ts, kind));
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{FeeAsset, Fill, Price, SessionId, Side, TradeId};

    fn order(venue_id: u64, own: bool, status: OrderStatus, cum: i64, update_ms: u64) -> OrderRow {
        OrderRow {
            client_id: own.then_some(ClientOrderId { session: SessionId(1), counter: venue_id }),
            venue_id: VenueOrderId(venue_id),
            status,
            qty: Qty::from_lots(100),
            cum_qty: Qty::from_lots(cum),
            update_ts: TimestampNs::from_millis(update_ms),
        }
    }

    fn trade(id: i64, venue_id: u64, lots: i64) -> TradeRow {
        TradeRow {
            venue_id: VenueOrderId(venue_id),
            event_ts: TimestampNs::from_millis(5),
            fill: Fill {
                trade_id: TradeId(id),
                side: Side::Bid,
                price: Price::from_ticks(10),
                qty: Qty::from_lots(lots),
                cum_qty: Qty::ZERO,
                order_qty: Qty::ZERO,
                fee_e8: 0,
                fee_asset: FeeAsset::None,
                is_maker: true,
            },
        }
    }

    #[test]
    fn missed_fills_come_before_the_state_of_their_orders_and_foreign_ones_never() {
        let orders = [
            order(1, true, OrderStatus::Filled, 100, 9),
            order(2, true, OrderStatus::New, 0, 1),
            order(3, false, OrderStatus::Filled, 100, 9),
            order(4, true, OrderStatus::Canceled, 0, 1),
        ];
        // 40 lots of order 1 traded before the outage.
        let trades = [trade(7, 1, 25), trade(8, 3, 100), trade(9, 1, 35)];
        let reports = missed_reports(
            &Instrument::btcusdt(),
            &orders,
            &trades,
            TimestampNs::from_millis(4),
            TimestampNs::from_millis(10),
        );
        let seen: Vec<_> = reports
            .iter()
            .map(|report| match report.kind {
                ExecKind::Fill(fill) => (report.client_id.counter, "fill", fill.cum_qty.lots()),
                ExecKind::Status { cum_qty, .. } => (report.client_id.counter, "status", cum_qty.lots()),
                other => panic!("{other:?}"),
            })
            .collect();
        // Order 4 ended before the outage and is not repeated.
        assert_eq!(seen, [(1, "fill", 65), (1, "fill", 100), (1, "status", 100), (2, "status", 0)]);
    }

    #[test]
    fn the_server_time_is_read_in_either_unit() {
        let ms = server_time(br#"{"serverTime":1784102400456}"#);
        assert_eq!(ms, server_time(br#"{"serverTime":1784102400456000}"#));
        assert_eq!(server_time(b"{}"), None);
    }
}
