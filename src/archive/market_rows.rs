//! Rows of the feed stream's tables.

use parquet::data_type::ByteArray;

use super::rows::Rows;
use crate::types::{Instrument, Level, Side, Touch, Trade};
use crate::wire::{DepthKind, DepthRef};

/// Texts that every row repeats, made once a session.
#[derive(Debug)]
pub(super) struct SessionTexts {
    pub session: ByteArray,
    /// By instrument.
    pub symbols: Vec<ByteArray>,
    bid: ByteArray,
    ask: ByteArray,
    buy: ByteArray,
    sell: ByteArray,
}

impl SessionTexts {
    pub(super) fn new(session: &str, instruments: &[Instrument]) -> SessionTexts {
        SessionTexts {
            session: ByteArray::from(session),
            symbols: instruments.iter().map(|instrument| ByteArray::from(instrument.symbol())).collect(),
            bid: ByteArray::from("bid"),
            ask: ByteArray::from("ask"),
            buy: ByteArray::from("buy"),
            sell: ByteArray::from("sell"),
        }
    }

    /// A side of the book, or of an order of ours.
    pub(super) fn side(&self, side: Side) -> &ByteArray {
        match side {
            Side::Bid => &self.bid,
            Side::Ask => &self.ask,
        }
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

/// What all rows of one record have in common.
pub(super) struct MarketRecord<'a> {
    pub seq: u64,
    pub is_dropped: bool,
    pub instrument: &'a Instrument,
    pub texts: &'a SessionTexts,
}

impl MarketRecord<'_> {
    fn end_row(&self, rows: &mut Rows) {
        rows.text(&self.texts.symbols[self.instrument.id.index()]);
        rows.text(&self.texts.session);
        rows.end_row();
    }

    /// One row a level, bids first; one row without a level for a message that has none, so that ids stay joined.
    pub(super) fn depth(&self, depth: &DepthRef<'_>, rows: &mut Rows) {
        let levels = depth
            .bids
            .iter()
            .map(|level| Some((Side::Bid, level)))
            .chain(depth.asks.iter().map(|level| Some((Side::Ask, level))));
        for level in levels {
            self.depth_row(depth, level, rows);
        }
        if depth.bids.is_empty() && depth.asks.is_empty() {
            self.depth_row(depth, None, rows);
        }
    }

    fn depth_row(&self, depth: &DepthRef<'_>, level: Option<(Side, &Level)>, rows: &mut Rows) {
        let head = &depth.head;
        let price = level.map(|(_, level)| level.price.ticks());
        let qty = level.map(|(_, level)| level.qty.lots());
        rows.time(head.recv_ts);
        rows.maybe_time(head.event_ts);
        rows.id(self.seq);
        rows.id(head.first_id);
        rows.id(head.last_id);
        rows.maybe_id(head.prev_id);
        rows.flag(head.kind == DepthKind::Snapshot);
        rows.flag(self.is_dropped);
        rows.maybe_text(level.map(|(side, _)| self.texts.side(side)));
        rows.maybe_number(price);
        rows.maybe_number(qty);
        rows.decimal(price.map(|ticks| price_e8(self.instrument, ticks)));
        rows.decimal(qty.map(|lots| qty_e8(self.instrument, lots)));
        self.end_row(rows);
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
        self.end_row(rows);
    }

    pub(super) fn trade(&self, trade: &Trade, is_aggregate: bool, rows: &mut Rows) {
        rows.time(trade.recv_ts);
        rows.maybe_time(trade.event_ts);
        rows.id(self.seq);
        rows.number(trade.id.0);
        rows.flag(is_aggregate);
        rows.flag(self.is_dropped);
        rows.text(match trade.aggressor {
            Side::Bid => &self.texts.buy,
            Side::Ask => &self.texts.sell,
        });
        rows.number(trade.price.ticks());
        rows.number(trade.qty.lots());
        rows.decimal(Some(price_e8(self.instrument, trade.price.ticks())));
        rows.decimal(Some(qty_e8(self.instrument, trade.qty.lots())));
        self.end_row(rows);
    }
}
