//! REST order entry: commands to requests, answers to reports.
//!
//! Owns the text of requests (in a reused buffer) and the table of the venue's answers. Called by the gateways. Pure: the
//! clock, the key and the socket are handed in or stay outside. Source of the table: Binance Spot "Errors" and "REST
//! API".

use serde::Deserialize;

use super::placement::{Heads, kind_words, side_word};
use super::sign::{Beginnings, Signer};
use crate::types::{
    ClientOrderId, Command, ExecKind, ExecReport, ExecSource, Instrument, NewOrder, OrderKind, OrderStatus, Qty,
    RejectReason, Side, TimestampNs, VenueOrderId, format_steps, parse_e8,
};

/// Which HTTP method a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Parameters in the query.
    Get,
    /// Parameters in a form body.
    Post,
    /// Parameters in a form body.
    Put,
    /// Parameters in the query.
    Delete,
}

/// A signed request, borrowed from its builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path, from the slash on.
    pub path: &'static str,
    /// The signed parameters: query or body.
    pub payload: &'a str,
}

/// Paths of the endpoints used.
pub mod path {
    #![allow(missing_docs, reason = "each is the endpoint of its name in the venue's documentation")]
    pub const ORDER: &str = "/api/v3/order";
    pub const AMEND: &str = "/api/v3/order/amend/keepPriority";
    pub const OPEN_ORDERS: &str = "/api/v3/openOrders";
    pub const ALL_ORDERS: &str = "/api/v3/allOrders";
    pub const MY_TRADES: &str = "/api/v3/myTrades";
    pub const ACCOUNT: &str = "/api/v3/account";
    pub const TIME: &str = "/api/v3/time";
    pub const DEPTH: &str = "/api/v3/depth";
    pub const AGG_TRADES: &str = "/api/v3/aggTrades";
    pub const EXCHANGE_INFO: &str = "/api/v3/exchangeInfo";
}

/// Builds requests in one buffer, which grows to the longest request and is then reused.
#[derive(Debug)]
pub struct RequestBuilder {
    payload: String,
    recv_window_ms: u32,
    /// How the placements of each side begin.
    heads: Heads,
    /// Of placements.
    beginnings: Beginnings,
}

impl RequestBuilder {
    /// A builder whose requests are valid for that long at the venue.
    pub fn new(recv_window_ms: u32) -> RequestBuilder {
        let payload = String::with_capacity(512);
        RequestBuilder { payload, recv_window_ms, heads: Heads::default(), beginnings: Beginnings::default() }
    }

    /// The request of a command. `timestamp_ms` is in the venue's clock.
    pub fn command(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        signer: &Signer,
    ) -> Request<'_> {
        self.payload.clear();
        if !matches!(command, Command::Place(_)) {
            self.text("symbol", instrument.symbol());
        }
        let (method, path) = match command {
            Command::Place(order) => {
                self.place(order, instrument, timestamp_ms);
                signer.sign_query_like(&mut self.payload, &mut self.beginnings);
                return Request { method: Method::Post, path: path::ORDER, payload: &self.payload };
            }
            Command::Cancel { client_id, venue_id, .. } => {
                self.order_id(*client_id, *venue_id);
                (Method::Delete, path::ORDER)
            }
            Command::Amend { client_id, venue_id, qty, .. } => {
                self.order_id(*client_id, *venue_id);
                // Without it the venue renames the order, and reports about it could no longer be told apart.
                self.name("newClientOrderId", *client_id);
                self.decimal("newQty", instrument.qty_e8(*qty), instrument.spec.lot_e8);
                (Method::Put, path::AMEND)
            }
            Command::Query { client_id, .. } => {
                self.name("origClientOrderId", *client_id);
                (Method::Get, path::ORDER)
            }
            Command::Fills { venue_id, .. } => {
                self.number("orderId", venue_id.0);
                (Method::Get, path::MY_TRADES)
            }
        };
        self.sign(timestamp_ms, signer);
        Request { method, path, payload: &self.payload }
    }

    /// A signed GET whose parameters are names and plain values (letters, digits, dashes).
    pub fn signed_get(
        &mut self,
        path: &'static str,
        parameters: &[(&str, &str)],
        timestamp_ms: u64,
        signer: &Signer,
    ) -> Request<'_> {
        self.payload.clear();
        for (name, value) in parameters {
            self.text(name, value);
        }
        self.sign(timestamp_ms, signer);
        Request { method: Method::Get, path, payload: &self.payload }
    }

    fn place(&mut self, order: &NewOrder, instrument: &Instrument, timestamp_ms: u64) {
        match self.heads.of(order, instrument) {
            Some(head) => self.payload.push_str(head),
            None => {
                self.begin_placement(order, instrument);
                self.heads.keep(order, instrument, &self.payload);
            }
        }
        // What changes with each order is last.
        let text = &mut self.payload;
        text.push_str(itoa::Buffer::new().format(order.client_id.counter));
        text.push_str("&quantity=");
        format_steps(instrument.qty_e8(order.qty), instrument.spec.lot_e8, text);
        if order.kind != OrderKind::Market {
            text.push_str("&price=");
            format_steps(instrument.price_e8(order.price), instrument.spec.tick_e8, text);
        }
        text.push_str("&timestamp=");
        text.push_str(itoa::Buffer::new().format(timestamp_ms));
    }

    fn begin_placement(&mut self, order: &NewOrder, instrument: &Instrument) {
        self.text("symbol", instrument.symbol());
        self.word("side", side_word(order.side));
        let (kind, life) = kind_words(order.kind);
        self.word("type", kind);
        if let Some(life) = life {
            self.word("timeInForce", life);
        }
        // The smallest answer: what happens after it comes by the user-data stream.
        self.word("newOrderRespType", "ACK");
        self.window();
        self.key("newClientOrderId");
        order.client_id.push_stem_to(&mut self.payload);
    }

    fn order_id(&mut self, client_id: ClientOrderId, venue_id: Option<VenueOrderId>) {
        // By the venue's number alone the venue finds the order fastest.
        match venue_id {
            Some(id) => self.number("orderId", id.0),
            None => self.name("origClientOrderId", client_id),
        }
    }

    fn sign(&mut self, timestamp_ms: u64, signer: &Signer) {
        self.window();
        self.number("timestamp", timestamp_ms);
        signer.sign_query(&mut self.payload);
    }

    fn window(&mut self) {
        self.number("recvWindow", u64::from(self.recv_window_ms));
    }

    fn key(&mut self, name: &str) {
        if !self.payload.is_empty() {
            self.payload.push('&');
        }
        self.payload.push_str(name);
        self.payload.push('=');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        if value.as_bytes().iter().all(is_plain) {
            self.payload.push_str(value);
            return;
        }
        for byte in value.bytes() {
            if is_plain(&byte) {
                self.payload.push(byte as char);
            } else {
                // Symbols may be any UTF-8; the signature is over the encoded text.
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                self.payload.push('%');
                self.payload.push(HEX[usize::from(byte >> 4)] as char);
                self.payload.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }

    /// A word of the venue's own, which needs no encoding.
    fn word(&mut self, name: &str, value: &'static str) {
        self.key(name);
        self.payload.push_str(value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        self.payload.push_str(itoa::Buffer::new().format(value));
    }

    /// As wide for each order of an instrument: a request can be begun before its digits are known.
    fn decimal(&mut self, name: &str, e8: i64, step_e8: i64) {
        self.key(name);
        format_steps(e8, step_e8, &mut self.payload);
    }

    fn name(&mut self, name: &str, id: ClientOrderId) {
        self.key(name);
        id.push_to(&mut self.payload);
    }
}

/// What a request came to, as far as HTTP can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// An answer of the venue.
    Answer {
        /// HTTP status.
        status: u16,
        /// Body.
        body: &'a [u8],
    },
    /// The connection could not be made: the request was certainly not sent.
    NotSent,
    /// Time ran out, or the connection broke, after the request may have been sent.
    Lost,
}

/// A reply, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it means for the order.
    pub kind: ExecKind,
    /// The venue's number of the order, when the answer states it.
    pub venue_id: Option<VenueOrderId>,
    /// The venue's time of the event; zero when it gave none.
    pub event_ts: TimestampNs,
    /// The venue's error code; zero for none.
    pub code: i32,
}

/// What an error answer says, before it is known which request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The request had certainly no effect.
    No(RejectReason),
    /// The request may have been executed.
    Unknown,
}

/// The venue's errors: code, text that it begins with (empty for any), meaning. The first row that fits counts.
const ERRORS: &[(i32, &str, Verdict)] = {
    use RejectReason::{
        Auth, Clock, DuplicateId, Filter, InsufficientBalance, MarketClosed, Other, RateLimit, UnknownOrder, WouldCross,
    };
    use Verdict::{No, Unknown};
    &[
        (-1000, "", Unknown),
        (-1001, "", Unknown),
        (-1003, "", No(RateLimit)),
        (-1006, "", Unknown),
        (-1007, "", Unknown),
        (-1008, "", No(RateLimit)),
        (-1013, "", No(Filter)),
        (-1015, "", No(RateLimit)),
        (-1016, "", No(MarketClosed)),
        (-1021, "", No(Clock)),
        (-1022, "", No(Auth)),
        (-1034, "", No(RateLimit)),
        (-1111, "", No(Filter)),
        (-2010, "Order would immediately match and take", No(WouldCross)),
        (-2010, "Account has insufficient balance", No(InsufficientBalance)),
        (-2010, "Duplicate order sent", No(DuplicateId)),
        // Filters that the engine evaluates (open-order counts) come with this code and the filters' text.
        (-2010, "Filter failure", No(Filter)),
        (-2010, "Market is closed", No(MarketClosed)),
        (-2010, "This symbol is not permitted", No(MarketClosed)),
        (-2010, "This account may not", No(MarketClosed)),
        (-2010, "Rest API trading is not enabled", No(MarketClosed)),
        (-2010, "", No(Other)),
        (-2011, "Unknown order sent", No(UnknownOrder)),
        (-2011, "", No(Other)),
        (-2013, "", No(UnknownOrder)),
        (-2014, "", No(Auth)),
        (-2015, "", No(Auth)),
    ]
};

#[derive(Deserialize)]
struct ErrorBody<'a> {
    code: i32,
    #[serde(borrow, default)]
    msg: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderBody<'a> {
    order_id: Option<u64>,
    transact_time: Option<u64>,
    update_time: Option<u64>,
    status: Option<&'a str>,
    orig_qty: Option<&'a str>,
    executed_qty: Option<&'a str>,
    #[serde(borrow)]
    amended_order: Option<AmendedBody<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AmendedBody<'a> {
    order_id: Option<u64>,
    qty: Option<&'a str>,
}

/// Reads the answer to `command`. Anything that leaves the effect in doubt becomes an unknown, never a guess.
pub fn read_reply(command: &Command, instrument: &Instrument, reply: Reply<'_>) -> Outcome {
    let bare = |kind, code| Outcome { kind, venue_id: None, event_ts: TimestampNs::ZERO, code };
    let (status, body) = match reply {
        Reply::NotSent => return bare(refused(command, RejectReason::NotSent), 0),
        Reply::Lost => return bare(in_doubt(command), 0),
        Reply::Answer { status, body } => (status, body),
    };
    if status == 200 {
        return read_success(command, instrument, body).unwrap_or_else(|| bare(in_doubt(command), 0));
    }
    let error = serde_json::from_slice::<ErrorBody<'_>>(body).ok();
    let code = error.as_ref().map_or(0, |error| error.code);
    let text = error.as_ref().map_or("", |error| &error.msg);
    let verdict = verdict(status, code, text);
    let kind = match (command, verdict) {
        (Command::Query { .. }, Verdict::No(RejectReason::UnknownOrder)) => ExecKind::NotFound,
        (_, Verdict::No(reason)) => refused(command, reason),
        (_, Verdict::Unknown) => in_doubt(command),
    };
    bare(kind, code)
}

fn verdict(status: u16, code: i32, text: &str) -> Verdict {
    if status == 429 || status == 418 {
        return Verdict::No(RejectReason::RateLimit);
    }
    if let Some(&(_, _, verdict)) = ERRORS.iter().find(|row| row.0 == code && text.starts_with(row.1)) {
        return verdict;
    }
    match (status, code) {
        (500.., _) => Verdict::Unknown,
        // Malformed requests and everything else that a 4xx states with a code: nothing was executed.
        (400..=499, _) => Verdict::No(RejectReason::Other),
        _ => Verdict::Unknown,
    }
}

/// The report of a request that certainly had no effect.
pub fn refused(command: &Command, reason: RejectReason) -> ExecKind {
    match command {
        Command::Place(_) => ExecKind::Rejected(reason),
        Command::Cancel { .. } => ExecKind::CancelRejected(reason),
        Command::Amend { .. } => ExecKind::AmendRejected(reason),
        Command::Query { .. } | Command::Fills { .. } => ExecKind::QueryFailed,
    }
}

/// The report of a request whose effect is not known.
pub fn in_doubt(command: &Command) -> ExecKind {
    match command {
        Command::Place(_) => ExecKind::PlaceUnknown,
        Command::Cancel { .. } | Command::Amend { .. } => ExecKind::CancelUnknown,
        Command::Query { .. } | Command::Fills { .. } => ExecKind::QueryFailed,
    }
}

fn read_success(command: &Command, instrument: &Instrument, body: &[u8]) -> Option<Outcome> {
    let body: OrderBody<'_> = serde_json::from_slice(body).ok()?;
    let qty = |text: Option<&str>| instrument.qty_from_text(text?.as_bytes()).ok();
    let kind = match command {
        Command::Place(_) => {
            body.order_id?;
            ExecKind::Accepted
        }
        Command::Cancel { .. } => match order_status(body.status?)? {
            OrderStatus::Canceled => ExecKind::Canceled { cum_qty: qty(body.executed_qty)? },
            // No other status is documented for this answer; the user-data stream or a query will tell.
            _ => return None,
        },
        Command::Amend { .. } => {
            let amended = body.amended_order.as_ref()?;
            ExecKind::Amended { qty: qty(amended.qty).or_else(|| qty(body.orig_qty))? }
        }
        Command::Query { .. } => ExecKind::Status {
            status: order_status(body.status?)?,
            cum_qty: qty(body.executed_qty)?,
            order_qty: qty(body.orig_qty).unwrap_or_default(),
        },
        // A list, which `fill_reports` reads.
        Command::Fills { .. } => return None,
    };
    let venue_id = body.order_id.or_else(|| body.amended_order.as_ref()?.order_id).map(VenueOrderId);
    let event_ts = body.transact_time.or(body.update_time).map_or(TimestampNs::ZERO, venue_time);
    Some(Outcome { kind, venue_id, event_ts, code: 0 })
}

/// The venue's status words.
pub fn order_status(text: &str) -> Option<OrderStatus> {
    Some(match text {
        "NEW" | "PENDING_NEW" => OrderStatus::New,
        "PARTIALLY_FILLED" => OrderStatus::PartiallyFilled,
        "FILLED" => OrderStatus::Filled,
        "CANCELED" => OrderStatus::Canceled,
        "REJECTED" => OrderStatus::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStatus::Expired,
        _ => return None,
    })
}

/// A venue's time stamp: milliseconds, or microseconds when it is too large to be that.
pub fn venue_time(stamp: u64) -> TimestampNs {
    // 1e14 ms is the year 5138; in microseconds it is 1973.
    if stamp < 100_000_000_000_000 { TimestampNs::from_millis(stamp) } else { TimestampNs::from_micros(stamp) }
}

/// An order as `openOrders` and `allOrders` state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Our name; `None` for an order that no Touchline engine placed.
    pub client_id: Option<ClientOrderId>,
    /// The venue's number.
    pub venue_id: VenueOrderId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Its whole quantity.
    pub qty: Qty,
    /// Executed so far.
    pub cum_qty: Qty,
    /// When it last changed.
    pub update_ts: TimestampNs,
}

/// A trade of ours as `myTrades` states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// The order that traded.
    pub venue_id: VenueOrderId,
    /// The trade; `cum_qty` and `order_qty` are not stated by the venue and zero here.
    pub fill: crate::types::Fill,
    /// The venue's time.
    pub event_ts: TimestampNs,
}

/// A list that the venue sent cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the venue's list cannot be read at entry {index}")]
pub struct ListError {
    /// Which entry, from 0; `usize::MAX` for the list as a whole.
    pub index: usize,
}

const WHOLE_LIST: ListError = ListError { index: usize::MAX };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedOrder<'a> {
    symbol: &'a str,
    #[serde(borrow)]
    client_order_id: std::borrow::Cow<'a, str>,
    order_id: u64,
    status: &'a str,
    orig_qty: &'a str,
    executed_qty: &'a str,
    #[serde(default)]
    update_time: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedTrade<'a> {
    id: i64,
    order_id: u64,
    price: &'a str,
    qty: &'a str,
    commission: &'a str,
    commission_asset: Option<&'a str>,
    time: u64,
    is_buyer: bool,
    is_maker: bool,
}

/// Reads `openOrders` or `allOrders`; entries of other symbols are left out.
///
/// # Errors
/// [`ListError`] naming the entry.
pub fn read_orders(body: &[u8], instrument: &Instrument) -> Result<Vec<OrderRow>, ListError> {
    let listed: Vec<ListedOrder<'_>> = serde_json::from_slice(body).map_err(|_| WHOLE_LIST)?;
    let mut rows = Vec::with_capacity(listed.len());
    for (index, order) in listed.iter().enumerate() {
        if order.symbol != instrument.symbol() {
            continue;
        }
        let bad = ListError { index };
        rows.push(OrderRow {
            client_id: ClientOrderId::parse(&order.client_order_id),
            venue_id: VenueOrderId(order.order_id),
            status: order_status(order.status).ok_or(bad)?,
            qty: instrument.qty_from_text(order.orig_qty.as_bytes()).map_err(|_| bad)?,
            cum_qty: instrument.qty_from_text(order.executed_qty.as_bytes()).map_err(|_| bad)?,
            update_ts: venue_time(order.update_time),
        });
    }
    Ok(rows)
}

/// Reads `myTrades`.
///
/// # Errors
/// [`ListError`] naming the entry.
pub fn read_trades(body: &[u8], instrument: &Instrument) -> Result<Vec<TradeRow>, ListError> {
    let listed: Vec<ListedTrade<'_>> = serde_json::from_slice(body).map_err(|_| WHOLE_LIST)?;
    let mut rows = Vec::with_capacity(listed.len());
    for (index, trade) in listed.iter().enumerate() {
        let bad = ListError { index };
        let fee_e8 = parse_e8(trade.commission.as_bytes()).map_err(|_| bad)?;
        rows.push(TradeRow {
            venue_id: VenueOrderId(trade.order_id),
            event_ts: venue_time(trade.time),
            fill: crate::types::Fill {
                trade_id: crate::types::TradeId(trade.id),
                side: if trade.is_buyer { Side::Bid } else { Side::Ask },
                price: instrument.price_from_text(trade.price.as_bytes()).map_err(|_| bad)?,
                qty: instrument.qty_from_text(trade.qty.as_bytes()).map_err(|_| bad)?,
                cum_qty: Qty::ZERO,
                order_qty: Qty::ZERO,
                fee_e8,
                fee_asset: super::user::fee_asset(fee_e8, trade.commission_asset, instrument),
                is_maker: trade.is_maker,
            },
        });
    }
    Ok(rows)
}

/// All trades of one order, oldest first, as reports: each states the sum up to it.
pub fn fill_reports(
    instrument: &Instrument,
    client_id: ClientOrderId,
    trades: &[TradeRow],
    recv_ts: TimestampNs,
) -> Vec<ExecReport> {
    let mut sum = Qty::ZERO;
    let report = |trade: &TradeRow| {
        sum += trade.fill.qty;
        ExecReport {
            instrument: instrument.id,
            client_id,
            venue_id: Some(trade.venue_id),
            event_ts: trade.event_ts,
            recv_ts,
            source: ExecSource::Query,
            kind: ExecKind::Fill(crate::types::Fill { cum_qty: sum, ..trade.fill }),
        }
    };
    trades.iter().map(report).collect()
}

#[derive(Deserialize)]
struct ListedBalance<'a> {
    asset: &'a str,
    free: &'a str,
    locked: &'a str,
}

#[derive(Deserialize)]
struct AccountBody<'a> {
    #[serde(borrow)]
    balances: Vec<ListedBalance<'a>>,
}

/// Reads the balances of `account`.
///
/// # Errors
/// [`ListError`] naming the entry.
pub fn read_balances(body: &[u8]) -> Result<Vec<crate::types::Balance>, ListError> {
    let account: AccountBody<'_> = serde_json::from_slice(body).map_err(|_| WHOLE_LIST)?;
    let mut rows = Vec::with_capacity(account.balances.len());
    for (index, row) in account.balances.iter().enumerate() {
        let bad = ListError { index };
        rows.push(crate::types::Balance {
            asset: crate::types::Asset::new(row.asset).map_err(|_| bad)?,
            free_e8: parse_e8(row.free.as_bytes()).map_err(|_| bad)?,
            locked_e8: parse_e8(row.locked.as_bytes()).map_err(|_| bad)?,
        });
    }
    Ok(rows)
}

/// The limits that `exchangeInfo.rateLimits` states, and the conservative ones where it states none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Request weight a minute.
    pub weight_per_minute: u32,
    /// Orders in ten seconds.
    pub orders_per_10s: u32,
    /// Orders a day.
    pub orders_per_day: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        RateLimits { weight_per_minute: 6000, orders_per_10s: 50, orders_per_day: 160_000 }
    }
}

/// Reads `exchangeInfo.rateLimits`; what is not stated keeps its default.
pub fn read_rate_limits(body: &[u8]) -> RateLimits {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        rate_limit_type: &'a str,
        interval: &'a str,
        interval_num: u32,
        limit: u32,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(borrow, default)]
        rate_limits: Vec<Row<'a>>,
    }
    let mut limits = RateLimits::default();
    for row in serde_json::from_slice::<Body<'_>>(body).map(|body| body.rate_limits).unwrap_or_default() {
        match (row.rate_limit_type, row.interval, row.interval_num) {
            ("REQUEST_WEIGHT", "MINUTE", 1) => limits.weight_per_minute = row.limit,
            ("ORDERS", "SECOND", 10) => limits.orders_per_10s = row.limit,
            ("ORDERS", "DAY", 1) => limits.orders_per_day = row.limit,
            _ => {}
        }
    }
    limits
}

#[cfg(test)]
mod tests;
