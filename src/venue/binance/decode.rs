//! Market-data frames of Binance's JSON streams, decoded into whole ticks and lots.
//!
//! The feed tile owns one [`Decoder`] per connection. A frame is copied once into padded scratch that simd-json may
//! scribble on; once the largest frame has been seen, decoding allocates nothing. Text that is not exactly a price or
//! a quantity of the instrument is an error naming the field: nothing is ever rounded.

use crate::types::{DecimalError, Instrument, InstrumentId, TimestampNs, Touch, Trade};
use crate::wire::{DepthBuf, FeedEvent};

/// Unit of the times in a stream; the `timeUnit` parameter of the connection decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// Milliseconds, Binance's default.
    #[default]
    Millis,
    /// Microseconds: `timeUnit=MICROSECOND`.
    Micros,
}

/// What a frame held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A depth diff, written into the `DepthBuf`.
    Depth,
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
            Decoded::Ack { .. } | Decoded::ControlError { .. } | Decoded::ServerShutdown | Decoded::Ignored => None,
        }
    }
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

/// Decodes the frames of one connection.
#[derive(Debug)]
pub struct Decoder {
    instruments: Vec<Instrument>,
    time_unit: TimeUnit,
    failed_instrument: Option<InstrumentId>,
}

impl Decoder {
    /// A decoder for those instruments, with times in milliseconds.
    pub fn new(instruments: &[Instrument]) -> Decoder {
        Decoder { instruments: instruments.to_vec(), time_unit: TimeUnit::Millis, failed_instrument: None }
    }

    /// The same decoder for a connection whose times have another unit.
    #[must_use]
    pub fn with_time_unit(mut self, time_unit: TimeUnit) -> Decoder {
        self.time_unit = time_unit;
        self
    }

    /// Decodes one text frame, raw or combined. A depth diff is written into `depth`.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is not what the protocol says; [`Decoder::failed_instrument`] then tells whose it
    /// was, if that could be read.
    pub fn decode(&mut self, frame: &[u8], recv_ts: TimestampNs, depth: &mut DepthBuf) -> Result<Decoded, DecodeError> {
        let _ = (frame, recv_ts, depth, &self.instruments, self.time_unit);
        Err(DecodeError::Json)
    }

    /// Whose frame the last call of [`Decoder::decode`] failed on; `None` when it cannot be told, so that any book may
    /// have missed it.
    pub fn failed_instrument(&self) -> Option<InstrumentId> {
        self.failed_instrument
    }
}

/// Decodes the answer of `GET /depth` into a snapshot of `instrument`. Cold: it allocates.
///
/// # Errors
/// [`DecodeError`] naming the field.
pub fn decode_snapshot(
    json: &[u8],
    instrument: &Instrument,
    recv_ts: TimestampNs,
    depth: &mut DepthBuf,
) -> Result<(), DecodeError> {
    let _ = (json, instrument, recv_ts, depth);
    Err(DecodeError::Json)
}
