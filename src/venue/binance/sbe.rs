//! Binance Spot's binary market-data streams: SBE schema 1, version 0, in both directions.
//!
//! A message is a header, a block of fixed fields, groups of entries and the symbol, all little-endian; lengths of blocks
//! are taken from the wire, so that fields which a later version appends are passed over. Numbers are mantissas with one
//! exponent a message, times are microseconds. What comes out is what the JSON streams say: the same events, the same
//! exactness. Decoding allocates nothing once the largest message has been seen.
//!
//! reference: binance-spot-api-docs, sbe-market-data-streams and sbe/schemas/stream_1_0.xml.

pub mod encode;
mod levels;
mod wide;

use levels::{Group, Scale, read_sides};
use wide::Wide;

use super::decode::DecodeError;
use crate::types::{Instrument, InstrumentId, Level, Price, Qty, Side, TimestampNs, Touch, Trade, TradeId};
use crate::wire::{DepthBuf, DepthHead, DepthKind};

const SCHEMA: u16 = 1;
const VERSION: u16 = 0;
/// Entries of one trades message; a taker order that meets more is not known.
const TRADES_MAX: u32 = 10_000;

const TRADES: u16 = 10_000;
const BEST_BID_ASK: u16 = 10_001;
const DEPTH_SNAPSHOT: u16 = 10_002;
const DEPTH_DIFF: u16 = 10_003;

/// What a binary frame held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SbeEvent<'a> {
    /// A depth diff, written into the `DepthBuf`.
    Depth,
    /// The best levels of both sides, written into the `DepthBuf` as a snapshot. No event for the books, as with JSON.
    Partial,
    /// Prints on the tape, in their order.
    Trades(&'a [Trade]),
    /// Best bid and ask.
    Touch(Touch),
    /// A message of a kind or symbol that we do not follow.
    Ignored,
}

/// An instrument that is followed, and how its latest message was scaled.
struct Followed {
    instrument: Instrument,
    scales: Option<[Scale; 2]>,
}

impl Followed {
    /// Whether it has that name. Nearly all names have four to eight bytes, for which two words are compared and no
    /// function is called.
    #[inline(always)]
    fn is_named(&self, name: &[u8]) -> bool {
        let own = self.instrument.spec.symbol.as_bytes();
        if own.len() != name.len() {
            return false;
        }
        let ends = |name: &[u8]| Some([*name.first_chunk::<4>()?, *name.last_chunk::<4>()?]);
        match (ends(own), ends(name)) {
            (Some(own_ends), Some(ends)) if own.len() <= 8 => own_ends == ends,
            _ => own == name,
        }
    }

    /// The scales of prices and quantities. Exponents hardly ever change, so that they are made once.
    #[inline]
    fn scales(&mut self, price: i8, qty: i8) -> Result<[&Scale; 2], DecodeError> {
        if !self.scales.as_ref().is_some_and(|[known, other]| known.exponent == price && other.exponent == qty) {
            let spec = &self.instrument.spec;
            let bad = |field| DecodeError::Type { field, expected: "an exponent that 64 bits can hold" };
            self.scales = Some([
                Scale::new(price, spec.tick_e8).ok_or_else(|| bad("priceExponent"))?,
                Scale::new(qty, spec.lot_e8).ok_or_else(|| bad("qtyExponent"))?,
            ]);
        }
        self.scales.as_ref().map(|[price, qty]| [price, qty]).ok_or(DecodeError::Schema)
    }
}

/// Decodes the binary frames of one connection.
pub struct SbeDecoder {
    followed: Vec<Followed>,
    /// Whose message was the latest.
    latest: usize,
    wide: Option<Wide>,
    trades: Vec<Trade>,
    failed_instrument: Option<InstrumentId>,
}

impl SbeDecoder {
    /// A decoder for those instruments.
    pub fn new(instruments: &[Instrument]) -> SbeDecoder {
        let followed = |&instrument: &Instrument| Followed { instrument, scales: None };
        SbeDecoder {
            followed: instruments.iter().map(followed).collect(),
            latest: 0,
            wide: Wide::detect(),
            trades: Vec::with_capacity(64),
            failed_instrument: None,
        }
    }

    /// Decodes one binary frame. A depth message is written into `depth`.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is not what the schema says; [`SbeDecoder::failed_instrument`] then tells whose it
    /// was, if that could be read.
    pub fn decode(
        &mut self,
        frame: &[u8],
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
    ) -> Result<SbeEvent<'_>, DecodeError> {
        self.failed_instrument = None;
        let mut message = Bytes(frame);
        let block_len = usize::from(message.u16()?);
        let (template, schema, version) = (message.u16()?, message.u16()?, message.u16()?);
        if schema != SCHEMA {
            return Err(DecodeError::Schema);
        }
        let block = Bytes(message.take(block_len)?);
        let is_last = |rest: Bytes<'_>| version > VERSION || rest.0.is_empty();
        match template {
            TRADES => {
                let trades = message.group::<true>(25)?;
                let Some(at) = self.find(message.name()?) else { return Ok(SbeEvent::Ignored) };
                self.failed_instrument = Some(self.followed[at].instrument.id);
                let trades = if is_last(message) { trades } else { return Err(DecodeError::Schema) };
                self.read_trades(at, block, trades, recv_ts)?;
                self.failed_instrument = None;
                Ok(SbeEvent::Trades(&self.trades))
            }
            BEST_BID_ASK => {
                let Some(at) = self.find(message.name()?) else { return Ok(SbeEvent::Ignored) };
                self.failed_instrument = Some(self.followed[at].instrument.id);
                if !is_last(message) {
                    return Err(DecodeError::Schema);
                }
                let touch = read_touch(&mut self.followed[at], block, recv_ts)?;
                self.failed_instrument = None;
                Ok(SbeEvent::Touch(touch))
            }
            DEPTH_SNAPSHOT | DEPTH_DIFF => {
                let (bids, asks) = (message.group::<false>(16)?, message.group::<false>(16)?);
                let Some(at) = self.find(message.name()?) else { return Ok(SbeEvent::Ignored) };
                self.failed_instrument = Some(self.followed[at].instrument.id);
                if !is_last(message) {
                    return Err(DecodeError::Schema);
                }
                let kind = if template == DEPTH_DIFF { DepthKind::Diff } else { DepthKind::Snapshot };
                let (head, scales) = read_head(&mut self.followed[at], kind, block, recv_ts)?;
                depth.head = head;
                read_sides([bids, asks], scales, self.wide, depth)?;
                self.failed_instrument = None;
                Ok(if kind == DepthKind::Diff { SbeEvent::Depth } else { SbeEvent::Partial })
            }
            _ => Ok(SbeEvent::Ignored),
        }
    }

    /// Whose frame the last call of [`SbeDecoder::decode`] failed on; `None` when it cannot be told.
    pub fn failed_instrument(&self) -> Option<InstrumentId> {
        self.failed_instrument
    }

    /// Whose message it is, most often that of the latest one.
    #[inline(always)]
    fn find(&mut self, name: &[u8]) -> Option<usize> {
        let is_latest = self.followed.get(self.latest).is_some_and(|followed| followed.is_named(name));
        if !is_latest {
            self.latest = self.followed.iter().position(|followed| followed.is_named(name))?;
        }
        Some(self.latest)
    }

    fn read_trades(
        &mut self,
        at: usize,
        mut block: Bytes<'_>,
        trades: Group<'_>,
        recv_ts: TimestampNs,
    ) -> Result<(), DecodeError> {
        let followed = &mut self.followed[at];
        let instrument = followed.instrument.id;
        block.time("eventTime")?;
        let event_ts = block.time("transactTime")?;
        let [price, qty] = followed.scales(block.i8()?, block.i8()?)?;
        self.trades.clear();
        for entry in trades.entries() {
            let mut entry = Bytes(entry);
            let id = TradeId(entry.i64()?);
            let (price_mantissa, qty_mantissa) = (entry.i64()?, entry.i64()?);
            let aggressor = match entry.u8()? {
                0 => Side::Bid,
                1 => Side::Ask,
                _ => return Err(DecodeError::Type { field: "isBuyerMaker", expected: "true or false" }),
            };
            let ticks = price.count(price_mantissa).ok_or_else(|| price.error("price", price_mantissa))?;
            let lots = qty.count(qty_mantissa).ok_or_else(|| qty.error("qty", qty_mantissa))?;
            self.trades.push(Trade {
                instrument,
                event_ts,
                recv_ts,
                id,
                price: Price::from_ticks(ticks),
                qty: Qty::from_lots(lots),
                aggressor,
            });
        }
        Ok(())
    }
}

impl std::fmt::Debug for SbeDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SbeDecoder").field("instruments", &self.followed.len()).finish_non_exhaustive()
    }
}

fn read_touch(followed: &mut Followed, mut block: Bytes<'_>, recv_ts: TimestampNs) -> Result<Touch, DecodeError> {
    let instrument = followed.instrument.id;
    block.time("eventTime")?;
    let update_id = block.unsigned("bookUpdateId")?;
    let [price, qty] = followed.scales(block.i8()?, block.i8()?)?;
    let mut level = |fields: [&'static str; 2]| -> Result<Level, DecodeError> {
        let (ticks, lots) = (block.i64()?, block.i64()?);
        Ok(Level {
            price: Price::from_ticks(price.count(ticks).ok_or_else(|| price.error(fields[0], ticks))?),
            qty: Qty::from_lots(qty.count(lots).ok_or_else(|| qty.error(fields[1], lots))?),
        })
    };
    let (bid, ask) = (level(["bidPrice", "bidQty"])?, level(["askPrice", "askQty"])?);
    Ok(Touch { instrument, recv_ts, update_id, bid, ask })
}

/// What stands before the levels, and the scales of those.
#[inline(always)]
fn read_head<'a>(
    followed: &'a mut Followed,
    kind: DepthKind,
    mut block: Bytes<'_>,
    recv_ts: TimestampNs,
) -> Result<(DepthHead, [&'a Scale; 2]), DecodeError> {
    let event_ts = block.time("eventTime")?;
    let first_id = block.unsigned("firstBookUpdateId")?;
    let last_id = if kind == DepthKind::Diff { block.unsigned("lastBookUpdateId")? } else { first_id };
    if first_id > last_id {
        return Err(DecodeError::Type { field: "lastBookUpdateId", expected: "at least `firstBookUpdateId`" });
    }
    let instrument = followed.instrument.id;
    let scales = followed.scales(block.i8()?, block.i8()?)?;
    Ok((DepthHead { instrument, kind, first_id, last_id, prev_id: None, event_ts, recv_ts }, scales))
}

/// What is left of a message.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    #[inline(always)]
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    #[inline(always)]
    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    #[inline(always)]
    fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_le_bytes)
    }

    #[inline(always)]
    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline(always)]
    fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    #[inline(always)]
    fn unsigned(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let expected = "a whole number of at least zero";
        u64::try_from(self.i64()?).map_err(|_| DecodeError::Type { field, expected })
    }

    #[inline(always)]
    fn time(&mut self, field: &'static str) -> Result<TimestampNs, DecodeError> {
        self.unsigned(field).map(TimestampNs::from_micros)
    }

    /// A group whose entries have at least `entry_min` bytes; its count is of 32 bits if `WIDE`, else of 16.
    #[inline(always)]
    fn group<const WIDE: bool>(&mut self, entry_min: usize) -> Result<Group<'a>, DecodeError> {
        let entry_len = usize::from(self.u16()?);
        let count = if WIDE { u32::from_le_bytes(self.array()?) } else { u32::from(self.u16()?) };
        if count > 0 && entry_len < entry_min {
            return Err(DecodeError::Schema);
        }
        if WIDE && count > TRADES_MAX {
            return Err(DecodeError::TooManyLevels { field: "trades" });
        }
        let count = count as usize;
        Ok(Group { bytes: self.take(entry_len * count)?, entry_len, count })
    }

    /// A text with its length before it.
    #[inline(always)]
    fn name(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::from(self.u8()?);
        self.take(len)
    }
}

#[cfg(test)]
mod tests;
