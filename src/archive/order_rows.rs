//! Rows of the quote stream's tables.

use super::market_rows::{price_e8, qty_e8, side_word, word};
use super::rows::Rows;
use crate::types::{
    Command, ExecKind, ExecReport, Fill, HalfTicks, Instrument, NewOrder, OrderKind, Price, Qty, QuoteDecision, Side,
    TimestampNs,
};

/// What all rows of one record have in common.
pub(super) struct OrderRecord<'a> {
    pub now: TimestampNs,
    pub seq: u64,
    pub instrument: &'a Instrument,
    pub session: &'a str,
}

/// The columns of an order event that not every event has.
#[derive(Default)]
struct OrderDetails {
    event_ts: TimestampNs,
    venue_id: Option<u64>,
    source: Option<String>,
    side: Option<Side>,
    order_kind: Option<OrderKind>,
    reason: Option<String>,
    trade_id: Option<i64>,
    price: Option<Price>,
    qty: Option<Qty>,
    cum_qty: Option<Qty>,
}

impl OrderRecord<'_> {
    fn end_row(&self, rows: &mut Rows) {
        rows.text(self.instrument.symbol());
        rows.text(self.session);
        rows.end();
    }

    /// A row of `orders` for what we asked.
    pub(super) fn command(&self, command: &Command, rows: &mut Rows) {
        let (event, details) = match *command {
            Command::Place(NewOrder { side, price, qty, kind, .. }) => (
                "place",
                OrderDetails {
                    side: Some(side),
                    order_kind: Some(kind),
                    price: (kind != OrderKind::Market).then_some(price),
                    qty: Some(qty),
                    ..OrderDetails::default()
                },
            ),
            Command::Cancel { venue_id, .. } => {
                ("cancel", OrderDetails { venue_id: venue_id.map(|id| id.0), ..OrderDetails::default() })
            }
            Command::Amend { venue_id, qty, .. } => {
                let venue_id = venue_id.map(|id| id.0);
                ("amend", OrderDetails { venue_id, qty: Some(qty), ..OrderDetails::default() })
            }
            Command::Query { .. } => ("query", OrderDetails::default()),
            Command::Fills { venue_id, .. } => {
                ("query_fills", OrderDetails { venue_id: Some(venue_id.0), ..OrderDetails::default() })
            }
        };
        self.order_row(event, &command.client_id().to_string(), details, rows);
    }

    /// A row of `orders` for what we were told.
    pub(super) fn report(&self, report: &ExecReport, rows: &mut Rows) {
        let mut details = OrderDetails {
            event_ts: report.event_ts,
            venue_id: report.venue_id.map(|id| id.0),
            source: Some(word(&report.source)),
            ..OrderDetails::default()
        };
        let event = match report.kind {
            ExecKind::Accepted => "accepted",
            ExecKind::Rejected(reason) => {
                details.reason = Some(word(&reason));
                "rejected"
            }
            ExecKind::Fill(fill) => {
                details.side = Some(fill.side);
                details.trade_id = Some(fill.trade_id.0);
                details.price = Some(fill.price);
                details.qty = Some(fill.qty);
                details.cum_qty = Some(fill.cum_qty);
                "fill"
            }
            ExecKind::Canceled { cum_qty } => {
                details.cum_qty = Some(cum_qty);
                "canceled"
            }
            ExecKind::Expired { cum_qty } => {
                details.cum_qty = Some(cum_qty);
                "expired"
            }
            ExecKind::CancelRejected(reason) => {
                details.reason = Some(word(&reason));
                "cancel_rejected"
            }
            ExecKind::Amended { qty } => {
                details.qty = Some(qty);
                "amended"
            }
            ExecKind::AmendRejected(reason) => {
                details.reason = Some(word(&reason));
                "amend_rejected"
            }
            ExecKind::PlaceUnknown => "place_unknown",
            ExecKind::CancelUnknown => "cancel_unknown",
            ExecKind::Status { status, cum_qty, .. } => {
                details.reason = Some(word(&status));
                details.cum_qty = Some(cum_qty);
                "status"
            }
            ExecKind::NotFound => "not_found",
            ExecKind::QueryFailed => "query_failed",
        };
        self.order_row(event, &report.client_id.to_string(), details, rows);
    }

    fn order_row(&self, event: &str, client_id: &str, details: OrderDetails, rows: &mut Rows) {
        let (price, qty) = (details.price.map(Price::ticks), details.qty.map(Qty::lots));
        rows.time(self.now);
        rows.maybe_time(details.event_ts);
        rows.id(self.seq);
        rows.text(event);
        rows.text(client_id);
        rows.maybe_id(details.venue_id);
        rows.maybe_text(details.source.as_deref());
        rows.maybe_text(details.side.map(side_word));
        rows.maybe_text(details.order_kind.map(order_kind).as_deref());
        rows.maybe_text(details.reason.as_deref());
        rows.maybe_number(details.trade_id);
        rows.maybe_number(price);
        rows.maybe_number(qty);
        rows.maybe_number(details.cum_qty.map(Qty::lots));
        rows.decimal(price.map(|ticks| price_e8(self.instrument, ticks)));
        rows.decimal(qty.map(|lots| qty_e8(self.instrument, lots)));
        self.end_row(rows);
    }

    /// A row of `fills`.
    pub(super) fn fill(&self, report: &ExecReport, fill: &Fill, rows: &mut Rows) {
        rows.time(self.now);
        rows.maybe_time(report.event_ts);
        rows.id(self.seq);
        rows.number(fill.trade_id.0);
        rows.text(&report.client_id.to_string());
        rows.maybe_id(report.venue_id.map(|id| id.0));
        rows.text(&word(&report.source));
        rows.text(side_word(fill.side));
        rows.flag(fill.is_maker);
        rows.number(fill.price.ticks());
        rows.number(fill.qty.lots());
        rows.number(fill.cum_qty.lots());
        rows.number(fill.order_qty.lots());
        rows.number(fill.fee_e8);
        rows.text(&word(&fill.fee_asset));
        rows.decimal(Some(price_e8(self.instrument, fill.price.ticks())));
        rows.decimal(Some(qty_e8(self.instrument, fill.qty.lots())));
        rows.decimal(Some(i128::from(fill.fee_e8)));
        self.end_row(rows);
    }

    /// A row of `quotes`.
    pub(super) fn quote(&self, decision: &QuoteDecision, rows: &mut Rows) {
        let (bid, ask) = (decision.bid.price.map(Price::ticks), decision.ask.price.map(Price::ticks));
        rows.time(self.now);
        rows.id(self.seq);
        rows.number(decision.mid.get());
        rows.number(decision.position.lots());
        rows.maybe_number(bid);
        rows.number(decision.bid.qty.lots());
        rows.text(&word(&decision.bid.reason));
        rows.maybe_number(ask);
        rows.number(decision.ask.qty.lots());
        rows.text(&word(&decision.ask.reason));
        rows.decimal(Some(mid_e9(self.instrument, decision.mid)));
        rows.decimal(bid.map(|ticks| price_e8(self.instrument, ticks)));
        rows.decimal(ask.map(|ticks| price_e8(self.instrument, ticks)));
        self.end_row(rows);
    }
}

/// A mid in 1e-9 of the quote currency: half of 1e-8 needs one place more.
fn mid_e9(instrument: &Instrument, mid: HalfTicks) -> i128 {
    price_e8(instrument, mid.get()) * 5
}

fn order_kind(kind: OrderKind) -> String {
    match kind {
        OrderKind::Limit(time_in_force) => format!("limit_{}", word(&time_in_force)),
        other => word(&other),
    }
}
