//! Market-data frames of Binance's JSON streams, decoded into whole ticks and lots.
//!
//! The feed tile owns one [`Decoder`] per connection. A frame is copied once into padded scratch that simd-json may
//! scribble on; once the largest frame has been seen, decoding allocates nothing. Text that is not exactly a price or
//! a quantity of the instrument is an error naming the field: nothing is ever rounded. The scanner may read the hot
//! messages before that; it takes only what it knows by heart.

use serde::{Deserialize, Serialize};

use super::scan::Scanner;
use super::tape::{Fields, Nodes, Scratch};
use crate::types::{
    DEPTH_LEVELS_MAX, DecimalError, Instrument, InstrumentId, Level, Price, Qty, Side, TimestampNs, Touch, Trade,
    TradeId,
};
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent};

/// Unit of the times in a stream; the `timeUnit` parameter of the connection decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// Milliseconds, Binance's default.
    #[default]
    Millis,
    /// Microseconds: `timeUnit=MICROSECOND`.
    Micros,
}

impl TimeUnit {
    /// A time of that unit.
    #[inline]
    pub(super) fn timestamp(self, value: u64) -> TimestampNs {
        match self {
            TimeUnit::Millis => TimestampNs::from_millis(value),
            TimeUnit::Micros => TimestampNs::from_micros(value),
        }
    }
}

/// What reads a frame of the JSON streams. Both say the same of every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecoderKind {
    /// simd-json, all of it.
    #[default]
    SimdJson,
    /// The scanner, as far as a frame is written as the venue writes it; simd-json, whatever is not.
    Scanner,
}

/// What a frame held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A depth diff, written into the `DepthBuf`.
    Depth,
    /// The best 5, 10 or 20 levels of both sides, written into the `DepthBuf` as a snapshot.
    ///
    /// No event for the books: what lies behind the last level is not said, and no diff joins on to it. The engine
    /// subscribes to diffs.
    Partial,
    /// A print on the tape.
    Trade(Trade),
    /// An aggregated print.
    AggTrade(Trade),
    /// Best bid and ask.
    Touch(Touch),
    /// The answer to a control message of ours; `None` when the id is not a number.
    Ack {
        /// Id of the control message.
        id: Option<i64>,
    },
    /// A control message of ours was refused.
    ControlError {
        /// Binance's code.
        code: i64,
    },
    /// The server is about to close the connection.
    ServerShutdown,
    /// An event of a kind or symbol that we do not follow.
    Ignored,
}

impl Decoded {
    /// The feed event, when there is one.
    pub fn event<'a>(&self, depth: &'a DepthBuf) -> Option<FeedEvent<'a>> {
        match *self {
            Decoded::Depth => Some(FeedEvent::Depth(depth.as_ref())),
            Decoded::Trade(trade) => Some(FeedEvent::Trade(trade)),
            Decoded::AggTrade(trade) => Some(FeedEvent::AggTrade(trade)),
            Decoded::Touch(touch) => Some(FeedEvent::Touch(touch)),
            Decoded::Partial
            | Decoded::Ack { .. }
            | Decoded::ControlError { .. }
            | Decoded::ServerShutdown
            | Decoded::Ignored => None,
        }
    }
}

/// The symbol of a partial-depth stream, in the stream's spelling: `btcusdt@depth20@100ms`.
fn partial_symbol(stream: &str) -> Option<&str> {
    let (symbol, rest) = stream.split_once('@')?;
    let levels = rest.strip_prefix("depth")?.split('@').next()?;
    (!levels.is_empty() && levels.bytes().all(|byte| byte.is_ascii_digit())).then_some(symbol)
}

/// Why a message could not be decoded. `field` is the protocol's name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON at all.
    #[error("not valid JSON")]
    Json,
    /// JSON, but not an object where one is due.
    #[error("not a JSON object")]
    Shape,
    /// A binary message that ends before its fields do.
    #[error("the message ends too early")]
    Truncated,
    /// A binary message of another schema, or not as long as the schema says.
    #[error("not a message of SBE schema 1")]
    Schema,
    /// A field that the event needs is absent.
    #[error("field `{field}` is missing")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// A field stands twice, so that it is unknown which one holds.
    #[error("field `{field}` stands twice")]
    Duplicate {
        /// Which field.
        field: &'static str,
    },
    /// A field is not of the type that the protocol states.
    #[error("field `{field}` is not {expected}")]
    Type {
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A quantity or price below zero.
    #[error("field `{field}` is below zero")]
    Negative {
        /// Which field.
        field: &'static str,
    },
    /// A decimal is not exactly a price or a quantity.
    #[error("field `{field}`: {cause}")]
    Decimal {
        /// Which field.
        field: &'static str,
        /// Why.
        cause: DecimalError,
    },
    /// A depth message has more levels than any that the protocol knows.
    #[error("field `{field}` has more levels than the protocol allows")]
    TooManyLevels {
        /// Which field.
        field: &'static str,
    },
    /// A symbol that was asked for is not among the venue's.
    #[error("the venue does not list symbol number {index} of those asked for")]
    UnknownSymbol {
        /// Its place among the symbols asked for.
        index: usize,
    },
}

/// Frames of this size are decoded without any allocation from the first one on; larger ones grow the scratch once.
const FRAME_BYTES: usize = 64 * 1024;

/// Decodes the frames of one connection.
pub struct Decoder {
    instruments: Vec<Instrument>,
    time_unit: TimeUnit,
    scanner: Option<Scanner>,
    scratch: Scratch,
    failed_instrument: Option<InstrumentId>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("instruments", &self.instruments)
            .field("time_unit", &self.time_unit)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for those instruments, by simd-json and with times in milliseconds.
    pub fn new(instruments: &[Instrument]) -> Decoder {
        Decoder {
            instruments: instruments.to_vec(),
            time_unit: TimeUnit::Millis,
            scanner: None,
            scratch: Scratch::with_capacity(FRAME_BYTES),
            failed_instrument: None,
        }
    }

    /// The same decoder for a connection whose times have another unit.
    #[must_use]
    pub fn with_time_unit(mut self, time_unit: TimeUnit) -> Decoder {
        self.time_unit = time_unit;
        self
    }

    /// The same decoder by other means.
    #[must_use]
    pub fn with_kind(mut self, kind: DecoderKind) -> Decoder {
        self.scanner = match kind {
            DecoderKind::SimdJson => None,
            DecoderKind::Scanner => Some(Scanner::new(&self.instruments)),
        };
        self
    }

    /// What it decodes by.
    pub fn kind(&self) -> DecoderKind {
        if self.scanner.is_some() { DecoderKind::Scanner } else { DecoderKind::SimdJson }
    }

    /// Decodes one text frame, raw or combined. A depth diff or a partial depth is written into `depth`.
    ///
    /// Partial depth is known by its stream's name, which only a combined frame states: raw, Spot's is nobody's and is
    /// ignored, and USD-M's cannot be told from a diff.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is not what the protocol says; [`Decoder::failed_instrument`] then tells whose it
    /// was, if that could be read.
    pub fn decode(&mut self, frame: &[u8], recv_ts: TimestampNs, depth: &mut DepthBuf) -> Result<Decoded, DecodeError> {
        let Decoder { instruments, time_unit, scanner, scratch, failed_instrument } = self;
        *failed_instrument = None;
        if let Some(decoded) = scanner.as_mut().and_then(|scanner| scanner.scan(frame, *time_unit, recv_ts, depth)) {
            return Ok(decoded);
        }
        scratch.parse(frame, |nodes| {
            let mut reader = FrameReader { instruments, time_unit: *time_unit, recv_ts, instrument: None };
            let decoded = reader.read(nodes, depth);
            if decoded.is_err() {
                *failed_instrument = reader.instrument;
            }
            decoded
        })
    }

    /// Whose frame the last call of [`Decoder::decode`] failed on; `None` when it cannot be told, so that any book may
    /// have missed it.
    pub fn failed_instrument(&self) -> Option<InstrumentId> {
        self.failed_instrument
    }
}

/// Reads one frame from its nodes.
struct FrameReader<'d> {
    instruments: &'d [Instrument],
    time_unit: TimeUnit,
    recv_ts: TimestampNs,
    /// Whose frame it is, once known.
    instrument: Option<InstrumentId>,
}

impl FrameReader<'_> {
    fn read(&mut self, nodes: Nodes<'_>, depth: &mut DepthBuf) -> Result<Decoded, DecodeError> {
        let root = nodes.object(0)?;
        match root.object("data")? {
            Some(data) => self.read_event(&data, Some(&root), depth),
            None => self.read_event(&root, None, depth),
        }
    }

    fn read_event(
        &mut self,
        fields: &Fields<'_>,
        envelope: Option<&Fields<'_>>,
        depth: &mut DepthBuf,
    ) -> Result<Decoded, DecodeError> {
        if fields.find("e")?.is_none() {
            return self.read_unnamed(fields, envelope, depth);
        }
        match fields.text("e")? {
            "depthUpdate" => match self.instrument(fields)? {
                Some(instrument) => self.read_diff(fields, envelope, &instrument, depth),
                None => Ok(Decoded::Ignored),
            },
            "trade" => match self.instrument(fields)? {
                // USD-M marks prints that did not happen on the book, such as the insurance fund's.
                Some(_) if fields.find("X")?.is_some() && fields.text("X")? != "MARKET" => Ok(Decoded::Ignored),
                Some(instrument) => self.read_trade(fields, &instrument, "t").map(Decoded::Trade),
                None => Ok(Decoded::Ignored),
            },
            "aggTrade" => match self.instrument(fields)? {
                Some(instrument) => self.read_trade(fields, &instrument, "a").map(Decoded::AggTrade),
                None => Ok(Decoded::Ignored),
            },
            "bookTicker" => self.read_touch(fields),
            "serverShutdown" => Ok(Decoded::ServerShutdown),
            _ => Ok(Decoded::Ignored),
        }
    }

    /// A message without an event type: spot's `bookTicker`, partial depth, or the answer to a control message.
    fn read_unnamed(
        &mut self,
        fields: &Fields<'_>,
        envelope: Option<&Fields<'_>>,
        depth: &mut DepthBuf,
    ) -> Result<Decoded, DecodeError> {
        if fields.find("u")?.is_some() && fields.find("s")?.is_some() {
            return self.read_touch(fields);
        }
        if let Some(error) = fields.object("error")? {
            return Ok(Decoded::ControlError { code: error.signed("code")? });
        }
        if fields.find("code")?.is_some() {
            return Ok(Decoded::ControlError { code: fields.signed("code")? });
        }
        if fields.find("result")?.is_some() {
            return Ok(Decoded::Ack { id: fields.signed("id").ok() });
        }
        if fields.find("lastUpdateId")?.is_some() {
            // Spot's partial depth: only the stream's name says whose it is.
            let Some(symbol) = stream_of(envelope).and_then(partial_symbol) else { return Ok(Decoded::Ignored) };
            let named = |instrument: &&Instrument| instrument.symbol().eq_ignore_ascii_case(symbol);
            let Some(instrument) = self.instruments.iter().find(named) else { return Ok(Decoded::Ignored) };
            self.instrument = Some(instrument.id);
            return self.read_partial(fields, instrument, "lastUpdateId", ["bids", "asks"], depth);
        }
        Err(DecodeError::Missing { field: "e" })
    }

    /// The instrument that the event is about; `None` for one that is not followed. There are few: comparing their
    /// names one by one is faster than hashing.
    fn instrument(&mut self, fields: &Fields<'_>) -> Result<Option<Instrument>, DecodeError> {
        let symbol = fields.text("s")?;
        let found = self.instruments.iter().find(|instrument| instrument.symbol() == symbol).copied();
        self.instrument = found.map(|instrument| instrument.id);
        Ok(found)
    }

    fn time(&self, value: u64) -> TimestampNs {
        self.time_unit.timestamp(value)
    }

    fn read_diff(
        &self,
        fields: &Fields<'_>,
        envelope: Option<&Fields<'_>>,
        instrument: &Instrument,
        depth: &mut DepthBuf,
    ) -> Result<Decoded, DecodeError> {
        let (first_id, last_id) = (fields.unsigned("U")?, fields.unsigned("u")?);
        if first_id > last_id {
            return Err(DecodeError::Type { field: "u", expected: "at least `U`" });
        }
        let prev_id = fields.unsigned_if_present("pu")?;
        // USD-M writes partial depth as it writes diffs, and Spot writes no `pu`.
        if prev_id.is_some() && stream_of(envelope).and_then(partial_symbol).is_some() {
            return self.read_partial(fields, instrument, "u", ["b", "a"], depth);
        }
        depth.head = DepthHead {
            instrument: instrument.id,
            kind: DepthKind::Diff,
            first_id,
            last_id,
            prev_id,
            event_ts: self.time(fields.unsigned("E")?),
            recv_ts: self.recv_ts,
        };
        read_levels(fields, ["b", "a"], instrument, depth)?;
        Ok(Decoded::Depth)
    }

    fn read_partial(
        &self,
        fields: &Fields<'_>,
        instrument: &Instrument,
        id: &'static str,
        sides: [&'static str; 2],
        depth: &mut DepthBuf,
    ) -> Result<Decoded, DecodeError> {
        let last_id = fields.unsigned(id)?;
        depth.head = DepthHead {
            instrument: instrument.id,
            kind: DepthKind::Snapshot,
            first_id: last_id,
            last_id,
            prev_id: None,
            event_ts: self.time(fields.unsigned_if_present("E")?.unwrap_or(0)),
            recv_ts: self.recv_ts,
        };
        read_levels(fields, sides, instrument, depth)?;
        Ok(Decoded::Partial)
    }

    fn read_trade(&self, fields: &Fields<'_>, instrument: &Instrument, id: &'static str) -> Result<Trade, DecodeError> {
        Ok(Trade {
            instrument: instrument.id,
            event_ts: self.time(fields.unsigned("T")?),
            recv_ts: self.recv_ts,
            id: TradeId(fields.signed(id)?),
            price: price(instrument, "p", fields.text("p")?)?,
            qty: qty(instrument, "q", fields.text("q")?)?,
            aggressor: if fields.boolean("m")? { Side::Ask } else { Side::Bid },
        })
    }

    fn read_touch(&mut self, fields: &Fields<'_>) -> Result<Decoded, DecodeError> {
        let Some(instrument) = self.instrument(fields)? else { return Ok(Decoded::Ignored) };
        let level = |at: &'static str, of: &'static str| -> Result<Level, DecodeError> {
            Ok(Level { price: price(&instrument, at, fields.text(at)?)?, qty: qty(&instrument, of, fields.text(of)?)? })
        };
        Ok(Decoded::Touch(Touch {
            instrument: instrument.id,
            recv_ts: self.recv_ts,
            update_id: fields.unsigned("u")?,
            bid: level("b", "B")?,
            ask: level("a", "A")?,
        }))
    }
}

/// The name of the stream that a combined frame came by.
fn stream_of<'a>(envelope: Option<&Fields<'a>>) -> Option<&'a str> {
    envelope?.text("stream").ok()
}

/// A price that is not below zero.
#[inline]
pub(in crate::venue) fn price(instrument: &Instrument, field: &'static str, text: &str) -> Result<Price, DecodeError> {
    let price = instrument.price_from_text(text.as_bytes()).map_err(|cause| DecodeError::Decimal { field, cause })?;
    if price.ticks() < 0 { Err(DecodeError::Negative { field }) } else { Ok(price) }
}

/// A quantity that is not below zero.
#[inline]
pub(in crate::venue) fn qty(instrument: &Instrument, field: &'static str, text: &str) -> Result<Qty, DecodeError> {
    let qty = instrument.qty_from_text(text.as_bytes()).map_err(|cause| DecodeError::Decimal { field, cause })?;
    if qty < Qty::ZERO { Err(DecodeError::Negative { field }) } else { Ok(qty) }
}

/// Replaces the levels of `depth` by those of the two named fields.
fn read_levels(
    fields: &Fields<'_>,
    [bids, asks]: [&'static str; 2],
    instrument: &Instrument,
    depth: &mut DepthBuf,
) -> Result<(), DecodeError> {
    depth.clear();
    for (field, levels) in [(bids, &mut depth.bids), (asks, &mut depth.asks)] {
        fields.each_level(field, |price_text, qty_text| {
            if levels.len() == DEPTH_LEVELS_MAX {
                return Err(DecodeError::TooManyLevels { field });
            }
            levels.push(Level { price: price(instrument, field, price_text)?, qty: qty(instrument, field, qty_text)? });
            Ok(())
        })?;
    }
    Ok(())
}

/// Decodes the answer of `GET /depth` into a snapshot of `instrument`. Cold: it allocates.
///
/// The event time is zero on spot, which states none; USD-M's `E` is taken in milliseconds.
///
/// # Errors
/// [`DecodeError`] naming the field.
pub fn decode_snapshot(
    json: &[u8],
    instrument: &Instrument,
    recv_ts: TimestampNs,
    depth: &mut DepthBuf,
) -> Result<(), DecodeError> {
    Scratch::with_capacity(json.len()).parse(json, |nodes| {
        let fields = nodes.object(0)?;
        let last_id = fields.unsigned("lastUpdateId")?;
        depth.head = DepthHead {
            instrument: instrument.id,
            kind: DepthKind::Snapshot,
            first_id: last_id,
            last_id,
            prev_id: None,
            event_ts: TimestampNs::from_millis(fields.unsigned_if_present("E")?.unwrap_or(0)),
            recv_ts,
        };
        read_levels(&fields, ["bids", "asks"], instrument, depth)
    })
}

#[cfg(test)]
mod tests;
