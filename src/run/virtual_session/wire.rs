//! The sockets of a session in virtual time, as far as they can fail: which messages arrive, and what happens when a
//! connection is lost.
//!
//! Owns [`Wire`]. It asks the same [`Faults`] as the embedded venue's server, and a lost connection is told and mended
//! as the engine's feed and account tiles do it: the books hear of it, the user stream comes back with a back-fill.

use crate::gateway::missed_reports;
use crate::sim::faults::{Cut, Ending, EventFate, Faults, MarketFate, Road};
use crate::sim::{AccountId, TradesQuery, Venue, status_of, trade_row};
use crate::types::{Balance, DurationNs, Input, Instrument, InstrumentId, TimestampNs, VenueOrderId};
use crate::venue::binance::rest::{OrderRow, TradeRow};

/// From a loss to the connection that follows it: the engine's first pause and a handshake.
const RECONNECT: DurationNs = DurationNs::from_millis(120);
/// Silence after which the engine takes a connection of public streams for dead.
const SILENCE: DurationNs = DurationNs::from_secs(3);
/// A fill may be older than the loss that hid it: a dead peer is noticed late.
const LOOK_BACK: DurationNs = DurationNs::from_secs(120);
/// Orders and trades asked for after a loss: the most that the venue lists at once.
const PAGE: usize = 1000;

/// A connection that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When we notice.
    pub noticed_at: TimestampNs,
    /// When the next connection is open.
    pub back_at: TimestampNs,
}

/// See the module.
#[derive(Debug)]
pub struct Wire {
    /// Decides what happens.
    pub faults: Faults,
    /// No public message arrives before.
    market_back_at: TimestampNs,
    user_is_up: bool,
    /// Number of the user-data connection.
    pub life: u32,
    since: TimestampNs,
}

impl Wire {
    /// Sockets that are all open.
    pub fn new(faults: Faults, start: TimestampNs) -> Wire {
        Wire { faults, market_back_at: TimestampNs::ZERO, user_is_up: true, life: 0, since: start }
    }

    /// Whether the market-data connection is lost now.
    pub fn market_cut(&mut self, now: TimestampNs) -> Option<Outage> {
        let ending = self.faults.cut(now, Road::Market)?;
        // A connection that is not there yet cannot be cut, and one that ends with a warning is replaced before it does.
        (now >= self.market_back_at && ending.cut != Cut::Shutdown).then(|| self.lose_market(now, ending))
    }

    fn lose_market(&mut self, now: TimestampNs, ending: Ending) -> Outage {
        let outage = outage(now, ending);
        self.market_back_at = outage.back_at;
        outage
    }

    /// Whether the user-data connection is lost now. Until [`reopen`](Self::reopen) nothing of it arrives.
    pub fn user_cut(&mut self, now: TimestampNs) -> Option<Outage> {
        let ending = self.faults.cut(now, Road::User)?;
        std::mem::take(&mut self.user_is_up).then(|| outage(now, ending))
    }

    /// The user-data connection is open again: a new life of it.
    pub fn reopen(&mut self, now: TimestampNs) {
        self.user_is_up = true;
        self.life += 1;
        self.since = self.since.max(TimestampNs::from_nanos(now.nanos().saturating_sub(LOOK_BACK.nanos())));
    }

    /// The fate of a public message; `None` for one that no connection carries. A message that no client takes costs
    /// the connection.
    pub fn market(
        &mut self,
        now: TimestampNs,
        symbol: InstrumentId,
        is_depth: bool,
    ) -> Result<Option<MarketFate>, Outage> {
        if now < self.market_back_at {
            return Ok(None);
        }
        match self.faults.on_market(now, symbol, is_depth) {
            MarketFate::Oversized => {
                Err(self.lose_market(now, Ending { cut: Cut::Close, bytes: 0, span: DurationNs::ZERO }))
            }
            fate => Ok(Some(fate)),
        }
    }

    /// Whether user data arrives.
    pub fn is_up(&self) -> bool {
        self.user_is_up
    }

    /// The fate of a user-data message; `None` for one that no connection carries.
    pub fn event(&mut self, now: TimestampNs) -> Option<EventFate> {
        self.user_is_up.then(|| self.faults.on_event(now))
    }

    /// What the venue answers to a back-fill: everything that the lost connection may have kept from us.
    pub fn back_fill(
        &self,
        venue: &Venue,
        account: AccountId,
        instruments: &[Instrument],
        recv_ts: TimestampNs,
    ) -> Vec<Input> {
        let mut inputs = Vec::new();
        for instrument in instruments {
            let lots = |e8: i64| crate::types::Qty::from_lots(e8 / instrument.spec.lot_e8);
            let orders: Vec<OrderRow> = venue
                .all_orders(account, instrument.id, None, PAGE)
                .into_iter()
                .map(|order| OrderRow {
                    client_id: crate::types::ClientOrderId::parse(&order.client_id),
                    venue_id: VenueOrderId(order.order_id),
                    status: status_of(order.status),
                    qty: lots(order.orig_qty_e8),
                    cum_qty: lots(order.executed_qty_e8),
                    update_ts: order.updated_ts,
                })
                .collect();
            let query = TradesQuery { start: Some(self.since), limit: PAGE, ..TradesQuery::default() };
            let rows = venue.my_trades(account, instrument.id, query);
            let trades: Vec<TradeRow> = rows.iter().map(|row| trade_row(row, instrument)).collect();
            inputs
                .extend(missed_reports(instrument, &orders, &trades, self.since, recv_ts).into_iter().map(Input::Exec));
        }
        let balances = venue.account(account).unwrap_or_default().assets.into_iter();
        let traded = |asset| instruments.iter().any(|one| one.spec.base == asset || one.spec.quote == asset);
        inputs.extend(
            balances.filter(|row| traded(row.asset)).map(|row| {
                Input::Balance(Balance { asset: row.asset, free_e8: row.free_e8, locked_e8: row.locked_e8 })
            }),
        );
        inputs
    }
}

fn outage(now: TimestampNs, ending: Ending) -> Outage {
    let noticed_at = match ending.cut {
        Cut::HalfOpen => now.plus(SILENCE),
        Cut::PongsLost => now.plus(ending.span),
        Cut::Close | Cut::Reset | Cut::Shutdown | Cut::DayOver => now,
    };
    Outage { noticed_at, back_at: noticed_at.plus(RECONNECT) }
}
