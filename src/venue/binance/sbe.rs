//! Binance Spot's binary market-data streams: SBE schema 1, version 0, in both directions.
//!
//! A message is a header, a block of fixed fields, groups of entries and the symbol, all little-endian; lengths of blocks
//! are taken from the wire, so that fields which a later version appends are passed over. Numbers are mantissas with one
//! exponent a message, times are microseconds. What comes out is what the JSON streams say: the same events, the same
//! exactness. Decoding allocates nothing once the largest message has been seen.
//!
//! reference: binance-spot-api-docs, sbe-market-data-streams and sbe/schemas/stream_1_0.xml.

pub mod encode;

use super::decode::DecodeError;
use super::step::Step;
use crate::types::{
    DEPTH_LEVELS_MAX, DecimalError, Instrument, InstrumentId, Level, Price, Qty, Side, TimestampNs, Touch, Trade,
    TradeId,
};
use crate::wire::{DepthBuf, DepthHead, DepthKind};

const SCHEMA: u16 = 1;
const VERSION: u16 = 0;
/// Entries of one trades message; a taker order that meets more is not known.
const TRADES_MAX: u32 = 10_000;

/// Bytes of a level: a price and a quantity.
const LEVEL: usize = 16;

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

/// Mantissas of one exponent as whole steps of an instrument.
#[derive(Clone, Copy)]
struct Scale {
    exponent: i8,
    /// The greatest mantissa that 64 bits of 1e-8 can hold.
    most: u64,
    /// The step, in units of the mantissa.
    step: Step,
}

impl Scale {
    /// `None` when no mantissa but zero would make a price or quantity of 64 bits.
    fn new(exponent: i8, step_e8: i64) -> Option<Scale> {
        let step_e8 = u64::try_from(step_e8).ok()?;
        let tens = |count: u8| 10_u64.checked_pow(u32::from(count));
        // Units of 1e-8: a larger exponent multiplies, a smaller one divides.
        let places = exponent.checked_add(8)?;
        let (factor, divisor) = match places {
            0.. => (tens(places.unsigned_abs())?, 1),
            _ => (1, tens(places.unsigned_abs())?),
        };
        let step = Step::new(step_e8.checked_mul(divisor)?).of(factor);
        Some(Scale { exponent, most: i64::MAX as u64 / factor, step })
    }

    /// Whole steps, at least zero.
    #[inline(always)]
    fn count(&self, mantissa: i64) -> Option<i64> {
        // A mantissa below zero is beyond the greatest as an unsigned number.
        if mantissa as u64 > self.most { None } else { self.step.count(mantissa as u64) }
    }

    /// Why there was no count.
    #[cold]
    fn error(&self, field: &'static str, mantissa: i64) -> DecodeError {
        match mantissa {
            ..0 => DecodeError::Negative { field },
            _ if mantissa as u64 > self.most => DecodeError::Decimal { field, cause: DecimalError::TooLarge },
            _ => DecodeError::Decimal { field, cause: DecimalError::OffStep },
        }
    }
}

/// An instrument that is followed, and how its latest message was scaled.
struct Followed {
    instrument: Instrument,
    scales: Option<[Scale; 2]>,
}

impl Followed {
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
    trades: Vec<Trade>,
    failed_instrument: Option<InstrumentId>,
}

impl SbeDecoder {
    /// A decoder for those instruments.
    pub fn new(instruments: &[Instrument]) -> SbeDecoder {
        let followed = |&instrument: &Instrument| Followed { instrument, scales: None };
        SbeDecoder {
            followed: instruments.iter().map(followed).collect(),
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
                read_depth(&mut self.followed[at], kind, block, [bids, asks], recv_ts, depth)?;
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

    #[inline]
    fn find(&self, name: &[u8]) -> Option<usize> {
        self.followed.iter().position(|followed| followed.instrument.spec.symbol.as_bytes() == name)
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

fn read_depth(
    followed: &mut Followed,
    kind: DepthKind,
    mut block: Bytes<'_>,
    sides: [Group<'_>; 2],
    recv_ts: TimestampNs,
    depth: &mut DepthBuf,
) -> Result<(), DecodeError> {
    let event_ts = block.time("eventTime")?;
    let first_id = block.unsigned("firstBookUpdateId")?;
    let last_id = if kind == DepthKind::Diff { block.unsigned("lastBookUpdateId")? } else { first_id };
    if first_id > last_id {
        return Err(DecodeError::Type { field: "lastBookUpdateId", expected: "at least `firstBookUpdateId`" });
    }
    let instrument = followed.instrument.id;
    let [price, qty] = followed.scales(block.i8()?, block.i8()?)?;
    depth.head = DepthHead { instrument, kind, first_id, last_id, prev_id: None, event_ts, recv_ts };
    let [bids, asks] = sides;
    read_side("bids", bids, [price, qty], &mut depth.bids)?;
    read_side("asks", asks, [price, qty], &mut depth.asks)
}

/// Replaces `levels` by those of a side.
#[inline]
fn read_side(
    field: &'static str,
    side: Group<'_>,
    scales: [&Scale; 2],
    levels: &mut Vec<Level>,
) -> Result<(), DecodeError> {
    if side.count > DEPTH_LEVELS_MAX {
        return Err(DecodeError::TooManyLevels { field });
    }
    levels.clear();
    // Most entries have no more than the two numbers, and then their length is known to the compiler.
    let are_exact = match side.bytes.as_chunks() {
        (entries, []) if side.entry_len == LEVEL => push_levels(entries.iter().map(mantissas), scales, levels),
        _ => {
            let first = |entry: &[u8]| entry.first_chunk().map_or([0; 2], mantissas);
            push_levels(side.entries().map(first), scales, levels)
        }
    };
    if are_exact { Ok(()) } else { prove(side, scales, field) }
}

/// The two numbers of a level.
#[inline(always)]
fn mantissas(entry: &[u8; LEVEL]) -> [i64; 2] {
    let ([price, qty], _) = entry.as_chunks() else { return [0; 2] };
    [price, qty].map(|number| i64::from_le_bytes(*number))
}

/// Appends levels and says whether all of them are surely right: each a whole number of steps, and no mantissa near what
/// 64 bits can hold. Asking each one by itself would cost as much as the rest.
#[inline(always)]
fn push_levels(
    entries: impl ExactSizeIterator<Item = [i64; 2]>,
    [price, qty]: [&Scale; 2],
    levels: &mut Vec<Level>,
) -> bool {
    let (mut are_exact, mut seen) = (true, [0; 2]);
    let (price_step, qty_step) = (price.step, qty.step);
    levels.extend(entries.map(|[ticks, lots]| {
        seen = [seen[0] | ticks as u64, seen[1] | lots as u64];
        let ((ticks, ticks_exact), (lots, lots_exact)) = (price_step.guess(ticks as u64), qty_step.guess(lots as u64));
        are_exact &= ticks_exact & lots_exact;
        Level { price: Price::from_ticks(ticks as i64), qty: Qty::from_lots(lots as i64) }
    }));
    // All bits that any mantissa has make a number at least as large as each of them.
    are_exact && seen[0] <= price.most && seen[1] <= qty.most
}

/// Looks at each level of a side by itself and tells the first that is wrong.
#[cold]
fn prove(side: Group<'_>, [price, qty]: [&Scale; 2], field: &'static str) -> Result<(), DecodeError> {
    for [ticks, lots] in side.entries().filter_map(|entry| entry.first_chunk().map(mantissas)) {
        price.count(ticks).ok_or_else(|| price.error(field, ticks))?;
        qty.count(lots).ok_or_else(|| qty.error(field, lots))?;
    }
    Ok(())
}

/// The entries of a group, each as long as the wire says.
#[derive(Clone, Copy)]
struct Group<'a> {
    bytes: &'a [u8],
    entry_len: usize,
    count: usize,
}

impl<'a> Group<'a> {
    #[inline(always)]
    fn entries(self) -> std::slice::ChunksExact<'a, u8> {
        // An empty group may state any length, zero as well.
        self.bytes.chunks_exact(self.entry_len.max(1))
    }
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
