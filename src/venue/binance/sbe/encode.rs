//! The same messages written, for a venue that serves them: prices and quantities in units of 1e-8.

use super::{BEST_BID_ASK, DEPTH_DIFF, DEPTH_SNAPSHOT, SCHEMA, TRADES, VERSION};
use crate::types::{Instrument, Level, Price, Qty, Side, TimestampNs, TradeId};

const EXPONENT: i8 = -8;

/// A print, as the tape states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// The venue's number.
    pub id: TradeId,
    /// At what price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// Who took.
    pub aggressor: Side,
}

/// A book or a change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth<'a> {
    /// When, to the microsecond.
    pub event_ts: TimestampNs,
    /// First and last update id of a diff; `None` for the best levels of a book, with the latter alone.
    pub first_id: Option<u64>,
    /// Last update id.
    pub last_id: u64,
    /// Best first, at most 65535.
    pub bids: &'a [Level],
    /// Best first, at most 65535.
    pub asks: &'a [Level],
}

fn header(out: &mut Vec<u8>, block_len: u16, template: u16) {
    [block_len, template, SCHEMA, VERSION].iter().for_each(|word| out.extend(word.to_le_bytes()));
}

fn exponents(out: &mut Vec<u8>) {
    out.extend([EXPONENT.to_le_bytes(), EXPONENT.to_le_bytes()].concat());
}

fn time(out: &mut Vec<u8>, at: TimestampNs) {
    out.extend(at.micros().to_le_bytes());
}

fn level(out: &mut Vec<u8>, instrument: &Instrument, level: Level) {
    out.extend(instrument.price_e8(level.price).to_le_bytes());
    out.extend(instrument.qty_e8(level.qty).to_le_bytes());
}

fn symbol(out: &mut Vec<u8>, instrument: &Instrument) {
    let name = instrument.spec.symbol.as_bytes();
    // A symbol has at most 23 bytes.
    out.push(name.len() as u8);
    out.extend(name);
}

/// `TradesStreamEvent`: prints of one moment.
pub fn trades(out: &mut Vec<u8>, instrument: &Instrument, at: TimestampNs, prints: &[Print]) {
    header(out, 18, TRADES);
    time(out, at);
    time(out, at);
    exponents(out);
    out.extend(25_u16.to_le_bytes());
    out.extend((prints.len() as u32).to_le_bytes());
    for print in prints {
        out.extend(print.id.0.to_le_bytes());
        level(out, instrument, Level { price: print.price, qty: print.qty });
        out.push(u8::from(print.aggressor == Side::Ask));
    }
    symbol(out, instrument);
}

/// `BestBidAskStreamEvent`.
pub fn best_bid_ask(out: &mut Vec<u8>, instrument: &Instrument, at: TimestampNs, update_id: u64, touch: [Level; 2]) {
    header(out, 50, BEST_BID_ASK);
    time(out, at);
    out.extend(update_id.to_le_bytes());
    exponents(out);
    touch.into_iter().for_each(|best| level(out, instrument, best));
    symbol(out, instrument);
}

/// `DepthDiffStreamEvent` or, without a first id, `DepthSnapshotStreamEvent`.
pub fn depth(out: &mut Vec<u8>, instrument: &Instrument, depth: &Depth<'_>) {
    match depth.first_id {
        Some(_) => header(out, 26, DEPTH_DIFF),
        None => header(out, 18, DEPTH_SNAPSHOT),
    }
    time(out, depth.event_ts);
    depth.first_id.iter().chain([&depth.last_id]).for_each(|id| out.extend(id.to_le_bytes()));
    exponents(out);
    for side in [depth.bids, depth.asks] {
        out.extend(16_u16.to_le_bytes());
        out.extend((side.len() as u16).to_le_bytes());
        side.iter().for_each(|&one| level(out, instrument, one));
    }
    symbol(out, instrument);
}
