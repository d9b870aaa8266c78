//! The simulated exchange as its one client sees it: commands in, answers and user data out, in the engine's own words.
//!
//! Owns [`Exchange`], a [`Venue`] with the account that we trade on. A session in virtual time, a backtest and the paper
//! gateway carry its messages; it knows of no latency itself.

use super::config::AccountId;
use super::events::{TradeRow, VenueOrderKind};
use super::reject::VenueReject;
use super::requests::{OrderRef, TradesQuery, VenueOrder};
use super::venue::Venue;
use super::words::{inputs_of, operation_of, outcome_of, status_of, trade_row};
use crate::types::{
    Balance, Command, ExecKind, ExecReport, ExecSource, Input, Instrument, OrderKind, Qty, TimestampNs, TradeId,
    VenueOrderId,
};
use crate::venue::binance::rest;
use crate::wire::{FeedEvent, GatewayAnswer, Outcome};

/// Trades listed at once.
const PAGE: usize = 1000;

/// See the module.
pub struct Exchange {
    venue: Venue,
    account: AccountId,
    instruments: Vec<Instrument>,
}

/// What the venue did for a request.
#[derive(Clone, Debug)]
pub enum Served {
    /// Something about an order: what, its number, the venue's time.
    Order(ExecKind, VenueOrderId, TimestampNs),
    /// Trades of an order.
    Trades(Vec<rest::TradeRow>),
}

impl Default for Served {
    /// Nothing at all.
    fn default() -> Served {
        Served::Trades(Vec::new())
    }
}

/// What a request came to: for the gateway's stream, and for the decision.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The gateway's record of it.
    pub answer: GatewayAnswer,
    /// What it says about the order.
    pub reports: Vec<ExecReport>,
}

impl Exchange {
    /// An exchange on which we trade by `account`.
    pub fn new(venue: Venue, account: AccountId) -> Exchange {
        let instruments = venue.config().symbols.iter().map(|symbol| symbol.instrument).collect();
        Exchange { venue, account, instruments }
    }

    /// The venue behind it.
    pub fn venue(&self) -> &Venue {
        &self.venue
    }

    /// The venue behind it, to let its own flow happen.
    pub fn venue_mut(&mut self) -> &mut Venue {
        &mut self.venue
    }

    /// The instruments that it trades.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// Hands a message of the market to whom it is about.
    pub fn feed(&mut self, now: TimestampNs, event: &FeedEvent<'_>) {
        let instrument = match event {
            FeedEvent::Depth(depth) => Some(depth.head.instrument),
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => Some(trade.instrument),
            FeedEvent::Touch(touch) => Some(touch.instrument),
            FeedEvent::Notice(notice) => notice.instrument,
            FeedEvent::Raw(_) => return,
        };
        match instrument {
            Some(instrument) => self.venue.feed(now, instrument, event),
            None => self.instruments.iter().for_each(|one| self.venue.feed(now, one.id, event)),
        }
    }

    /// Does what a command asks for, at `now`.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn carry_out(&mut self, now: TimestampNs, command: &Command) -> Result<Served, VenueReject> {
        let instrument = self.instruments[command.instrument().index()];
        let name = command.client_id().to_string();
        let (id, account, reference) = (instrument.id, self.account, OrderRef::client(&name));
        let lots = |e8: i64| Qty::from_lots(e8 / instrument.spec.lot_e8);
        let order = |kind, order_id, event_ts| Served::Order(kind, VenueOrderId(order_id), event_ts);
        Ok(match *command {
            Command::Place(new) => {
                let kind = match new.kind {
                    OrderKind::Limit(time_in_force) => VenueOrderKind::Limit(time_in_force),
                    OrderKind::PostOnly => VenueOrderKind::LimitMaker,
                    OrderKind::Market => VenueOrderKind::Market,
                };
                let (price_e8, qty_e8) = (instrument.price_e8(new.price), instrument.qty_e8(new.qty));
                let new = VenueOrder::limit(id, new.side, kind, price_e8, qty_e8, Some(name.clone()));
                let placed = self.venue.place(now, account, &new)?;
                order(ExecKind::Accepted, placed.order.order_id, placed.transact_ts)
            }
            Command::Cancel { .. } => {
                let done = self.venue.cancel(now, account, id, reference, None, None)?;
                let cum_qty = lots(done.order.executed_qty_e8);
                order(ExecKind::Canceled { cum_qty }, done.order.order_id, done.transact_ts)
            }
            Command::Amend { qty, .. } => {
                let done = self.venue.amend(now, account, id, reference, instrument.qty_e8(qty), Some(&name))?;
                order(ExecKind::Amended { qty }, done.order.order_id, done.transact_ts)
            }
            Command::Query { .. } => {
                let found = self.venue.order(account, id, reference)?;
                let status = status_of(found.status);
                let (cum_qty, order_qty) = (lots(found.executed_qty_e8), lots(found.orig_qty_e8));
                order(ExecKind::Status { status, cum_qty, order_qty }, found.order_id, found.updated_ts)
            }
            Command::Fills { venue_id, .. } => {
                let query = TradesQuery { order_id: Some(venue_id.0), limit: PAGE, ..TradesQuery::default() };
                let rows = self.venue.my_trades(account, id, query);
                Served::Trades(rows.iter().map(|row| trade_row(row, &instrument)).collect())
            }
        })
    }

    /// The answer to a request, which reaches us at `recv_ts`: what was `served`, or another `reply` in its place.
    pub fn answer(
        &self,
        request: u64,
        command: &Command,
        served: Result<Served, VenueReject>,
        reply: Option<rest::Reply<'_>>,
        recv_ts: TimestampNs,
    ) -> Answered {
        let instrument = self.instruments[command.instrument().index()];
        let body;
        let reply = match (reply, &served) {
            (None, Err(reject)) => {
                // The same reading of the venue's words as in a live session.
                body = serde_json::json!({"code": reject.code, "msg": reject.text}).to_string();
                Some(rest::Reply::Answer { status: 400, body: body.as_bytes() })
            }
            (reply, _) => reply,
        };
        let report = |kind, venue_id, event_ts| ExecReport {
            instrument: instrument.id,
            client_id: command.client_id(),
            venue_id,
            event_ts,
            recv_ts,
            source: match command {
                Command::Query { .. } | Command::Fills { .. } => ExecSource::Query,
                _ => ExecSource::Response,
            },
            kind,
        };
        let (reports, http_status, code) = match (reply, served) {
            (None, Ok(Served::Trades(trades))) if !trades.is_empty() => {
                (rest::fill_reports(&instrument, command.client_id(), &trades, recv_ts), 200, 0)
            }
            (None, Ok(Served::Order(kind, venue_id, event_ts))) => {
                (vec![report(kind, Some(venue_id), event_ts)], 200, 0)
            }
            (reply, _) => {
                let reply = reply.unwrap_or(rest::Reply::Answer { status: 200, body: b"[]" });
                let http_status = if let rest::Reply::Answer { status, .. } = reply { status } else { 0 };
                let read = rest::read_reply(command, &instrument, reply);
                (vec![report(read.kind, None, TimestampNs::ZERO)], http_status, read.code)
            }
        };
        let outcome = reports.last().map_or(Outcome::Unknown, |report| outcome_of(&report.kind));
        let answer = GatewayAnswer {
            request,
            operation: operation_of(command),
            outcome,
            instrument: instrument.id,
            client_id: command.client_id(),
            http_status,
            code,
            recv_ts,
        };
        Answered { answer, reports }
    }

    /// Serves a request that has reached the exchange at `now`; its answer reaches us at `recv_ts`.
    pub fn serve(&mut self, now: TimestampNs, request: u64, command: &Command, recv_ts: TimestampNs) -> Answered {
        let served = self.carry_out(now, command);
        self.answer(request, command, served, None, recv_ts)
    }

    /// Takes what our account was told since the last call. `arrival` says when the next message reaches us.
    pub fn take_told(&mut self, mut arrival: impl FnMut() -> TimestampNs, mut tell: impl FnMut(TimestampNs, Input)) {
        for (account, event) in self.venue.user_events() {
            if account == self.account {
                let at = arrival();
                inputs_of(&event, &self.instruments, at).into_iter().for_each(|input| tell(at, input));
            }
        }
    }

    /// Our balances as inputs of the decision.
    pub fn balance_inputs(&self) -> Vec<Balance> {
        let balances = self.venue.account(self.account).unwrap_or_default();
        let input =
            |row: super::AssetBalance| Balance { asset: row.asset, free_e8: row.free_e8, locked_e8: row.locked_e8 };
        balances.assets.into_iter().map(input).collect()
    }

    /// What we own of each instrument's base and quote currency, in 1e-8.
    pub fn balances(&self) -> Vec<(i64, i64)> {
        let balances = self.venue.account(self.account).unwrap_or_default();
        let total = |asset| balances.of(asset).total_e8();
        self.instruments.iter().map(|one| (total(one.spec.base), total(one.spec.quote))).collect()
    }

    /// How many of our orders are open.
    pub fn open_orders(&self) -> usize {
        self.venue.open_orders(self.account, None).len()
    }

    /// How many executions we have had, instrument by instrument.
    pub fn fill_counts(&self) -> Vec<u64> {
        self.instruments.iter().map(|instrument| self.venue.fill_count(self.account, instrument.id)).collect()
    }
}

/// Every execution of an account, oldest first, page by page as over REST.
pub fn all_trades(venue: &Venue, account: AccountId, instruments: &[Instrument]) -> Vec<TradeRow> {
    let mut rows = Vec::new();
    for instrument in instruments {
        let mut from_id = TradeId(0);
        loop {
            let query = TradesQuery { from_id: Some(from_id), limit: PAGE, ..TradesQuery::default() };
            let page = venue.my_trades(account, instrument.id, query);
            let full = page.len() == PAGE;
            if let Some(last) = page.last() {
                from_id = TradeId(last.trade_id.0 + 1);
            }
            rows.extend(page);
            if !full {
                break;
            }
        }
    }
    rows
}
