//! Rows of the feed stream's tables.

use std::fmt::Debug;

use super::rows::Rows;
use crate::types::{DesyncReason, Instrument, Level, Side, TimestampNs, Touch, Trade};
use crate::wire::{DepthKind, DepthRef, Kind};

/// The word for a side of the book, or of an order of ours.
pub(super) fn side_word(side: Side) -> &'static str {
    match side {
        Side::Bid => "bid",
        Side::Ask => "ask",
    }
}

/// Price in 1e-8 of the quote currency.
pub(super) fn price_e8(instrument: &Instrument, ticks: i64) -> i128 {
    i128::from(ticks) * i128::from(instrument.spec.tick_e8)
}

/// Quantity in 1e-8 of the base currency.
pub(super) fn qty_e8(instrument: &Instrument, lots: i64) -> i128 {
    i128::from(lots) * i128::from(instrument.spec.lot_e8)
}

/// An enum's name as the tables spell it: `WouldCross` becomes `would_cross`.
pub(super) fn word(value: &impl Debug) -> String {
    let mut out = String::with_capacity(24);
    for (at, letter) in format!("{value:?}").chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// What all rows of one record have in common.
pub(super) struct MarketRecord<'a> {
    pub ts: TimestampNs,
    pub seq: u64,
    pub is_dropped: bool,
    pub instrument: &'a Instrument,
    pub session: &'a str,
}

impl MarketRecord<'_> {
    fn end(&self, rows: &mut Rows) {
        rows.text(self.instrument.symbol());
        rows.text(self.session);
        rows.end();
    }

    /// One row a level, bids first; one row without a level for a message that has none, so that ids stay joined.
    pub(super) fn depth(&self, depth: &DepthRef<'_>, rows: &mut Rows) {
        let head = &depth.head;
        let (bids, asks) = (depth.bids.len(), depth.asks.len());
        rows.begin((bids + asks).max(1));
        rows.time(head.recv_ts);
        rows.maybe_time(head.event_ts);
        rows.id(self.seq);
        rows.id(head.first_id);
        rows.id(head.last_id);
        rows.maybe_id(head.prev_id);
        rows.flag(head.kind == DepthKind::Snapshot);
        rows.flag(self.is_dropped);
        rows.maybe_text(None);
        if bids + asks == 0 {
            Self::no_level(rows);
        } else {
            rows.two_texts((side_word(Side::Bid), bids), (side_word(Side::Ask), asks));
            rows.numbers([depth.bids, depth.asks], |level: &Level| level.price.ticks());
            rows.numbers([depth.bids, depth.asks], |level: &Level| level.qty.lots());
            rows.scaled(2, self.instrument.spec.tick_e8);
            rows.scaled(2, self.instrument.spec.lot_e8);
        }
        self.end(rows);
    }

    /// A row without a level, for a notice that concerns the book.
    pub(super) fn notice(&self, reason: DesyncReason, rows: &mut Rows) {
        rows.time(self.ts);
        rows.maybe_time(TimestampNs::ZERO);
        rows.id(self.seq);
        rows.id(0);
        rows.id(0);
        rows.maybe_id(None);
        rows.flag(false);
        rows.flag(self.is_dropped);
        rows.text(&word(&reason));
        Self::no_level(rows);
        self.end(rows);
    }

    fn no_level(rows: &mut Rows) {
        rows.maybe_text(None);
        for _ in 0..4 {
            rows.maybe_number(None);
        }
    }

    pub(super) fn touch(&self, touch: &Touch, rows: &mut Rows) {
        rows.time(touch.recv_ts);
        rows.id(self.seq);
        rows.id(touch.update_id);
        rows.flag(self.is_dropped);
        for level in [touch.bid, touch.ask] {
            rows.number(level.price.ticks());
            rows.number(level.qty.lots());
        }
        for level in [touch.bid, touch.ask] {
            rows.decimal(Some(price_e8(self.instrument, level.price.ticks())));
            rows.decimal(Some(qty_e8(self.instrument, level.qty.lots())));
        }
        self.end(rows);
    }

    pub(super) fn trade(&self, trade: &Trade, is_aggregate: bool, rows: &mut Rows) {
        rows.time(trade.recv_ts);
        rows.maybe_time(trade.event_ts);
        rows.id(self.seq);
        rows.number(trade.id.0);
        rows.flag(is_aggregate);
        rows.flag(self.is_dropped);
        rows.text(match trade.aggressor {
            Side::Bid => "buy",
            Side::Ask => "sell",
        });
        rows.number(trade.price.ticks());
        rows.number(trade.qty.lots());
        rows.decimal(Some(price_e8(self.instrument, trade.price.ticks())));
        rows.decimal(Some(qty_e8(self.instrument, trade.qty.lots())));
        self.end(rows);
    }
}

/// A row of `raw`: the message's bytes as they lie in the journal. A message about no one symbol has an empty one.
pub(super) fn raw_row(
    (ts, seq, kind, is_dropped): (TimestampNs, u64, Kind, bool),
    message: &[u8],
    symbol: &str,
    session: &str,
    rows: &mut Rows,
) {
    rows.time(ts);
    rows.id(seq);
    rows.text(&word(&kind));
    rows.flag(is_dropped);
    rows.bytes(Some(message));
    rows.text(symbol);
    rows.text(session);
    rows.end();
}
