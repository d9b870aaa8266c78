//! Market-data frames of Binance's JSON streams, decoded into whole ticks and lots.
//!
//! The feed tile owns one [`Decoder`] per connection. A frame is copied once into padded scratch that simd-json may
//! scribble on; once the largest frame has been seen, decoding allocates nothing. Text that is not exactly a price or
//! a quantity of the instrument is an error naming the field: nothing is ever rounded.

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
    scratch: Scratch,
    failed_instrument: Option<InstrumentId>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("instruments", &self.instruments)
            .field("time_unit", &self.time_unit)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for those instruments, with times in milliseconds.
    pub fn new(instruments: &[Instrument]) -> Decoder {
        Decoder {
            instruments: instruments.to_vec(),
            time_unit: TimeUnit::Millis,
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

    /// Decodes one text frame, raw or combined. A depth diff is written into `depth`.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is not what the protocol says; [`Decoder::failed_instrument`] then tells whose it
    /// was, if that could be read.
    pub fn decode(&mut self, frame: &[u8], recv_ts: TimestampNs, depth: &mut DepthBuf) -> Result<Decoded, DecodeError> {
        let Decoder { instruments, time_unit, scratch, failed_instrument } = self;
        *failed_instrument = None;
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
            Some(data) => self.read_event(&data, depth),
            None => self.read_event(&root, depth),
        }
    }

    fn read_event(&mut self, fields: &Fields<'_>, depth: &mut DepthBuf) -> Result<Decoded, DecodeError> {
        if fields.find("e")?.is_none() {
            return self.read_unnamed(fields);
        }
        match fields.text("e")? {
            "depthUpdate" => match self.instrument(fields)? {
                Some(instrument) => self.read_diff(fields, &instrument, depth),
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
    fn read_unnamed(&mut self, fields: &Fields<'_>) -> Result<Decoded, DecodeError> {
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
            // Partial depth names no symbol and is not followed.
            return Ok(Decoded::Ignored);
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
        match self.time_unit {
            TimeUnit::Millis => TimestampNs::from_millis(value),
            TimeUnit::Micros => TimestampNs::from_micros(value),
        }
    }

    fn read_diff(
        &self,
        fields: &Fields<'_>,
        instrument: &Instrument,
        depth: &mut DepthBuf,
    ) -> Result<Decoded, DecodeError> {
        let (first_id, last_id) = (fields.unsigned("U")?, fields.unsigned("u")?);
        if first_id > last_id {
            return Err(DecodeError::Type { field: "u", expected: "at least `U`" });
        }
        depth.head = DepthHead {
            instrument: instrument.id,
            kind: DepthKind::Diff,
            first_id,
            last_id,
            prev_id: fields.unsigned_if_present("pu")?,
            event_ts: self.time(fields.unsigned("E")?),
            recv_ts: self.recv_ts,
        };
        read_levels(fields, ["b", "a"], instrument, depth)?;
        Ok(Decoded::Depth)
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

#[inline]
fn price(instrument: &Instrument, field: &'static str, text: &str) -> Result<Price, DecodeError> {
    let price = instrument.price_from_text(text.as_bytes()).map_err(|cause| DecodeError::Decimal { field, cause })?;
    if price.ticks() < 0 { Err(DecodeError::Negative { field }) } else { Ok(price) }
}

#[inline]
fn qty(instrument: &Instrument, field: &'static str, text: &str) -> Result<Qty, DecodeError> {
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
mod tests {
    use super::*;
    use crate::types::{Filters, InstrumentSpec, Symbol};

    fn instrument(id: u16, symbol: &str, tick_e8: i64, lot_e8: i64) -> Instrument {
        let spec = InstrumentSpec {
            symbol: Symbol::new(symbol).unwrap(),
            base: Symbol::new(&symbol[..3]).unwrap(),
            quote: Symbol::new("USDT").unwrap(),
            tick_e8,
            lot_e8,
            filters: Filters::default(),
        };
        Instrument::new(InstrumentId(id), spec)
    }

    fn instruments() -> Vec<Instrument> {
        vec![instrument(0, "BTCUSDT", 1_000_000, 1_000), instrument(1, "ETHUSDT", 1_000_000, 10_000)]
    }

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    fn decode(frame: &str) -> (Result<Decoded, DecodeError>, DepthBuf, Option<InstrumentId>) {
        let mut decoder = Decoder::new(&instruments());
        let mut depth = DepthBuf::with_capacity(4);
        let decoded = decoder.decode(frame.as_bytes(), TimestampNs::from_nanos(5), &mut depth);
        (decoded, depth, decoder.failed_instrument())
    }

    const DIFF: &str = r#"{"e":"depthUpdate","E":1784102400123,"s":"BTCUSDT","U":71200101,"u":71200118,
        "b":[["61250.10000000","0.48200000"],["61249.90000000","0.00000000"]],"a":[["61250.11000000","1.10000000"]]}"#;

    #[test]
    fn a_diff_becomes_whole_ticks_and_lots_however_it_is_wrapped() {
        let reordered = r#"{"a":[["61250.11","1.1"]],"new":{"U":[1,{"u":2}]},"u":71200118,"b":[["61250.1","0.482"],["61249.9","0"]],
            "U":71200101,"s":"BTCUSDT","x":[[]],"E":1784102400123,"e":"depthUpdate"}"#;
        let combined = format!(r#"{{"stream":"btcusdt@depth@100ms","data":{DIFF}}}"#);
        let swapped = format!(r#" {{"data":{DIFF},"stream":"btcusdt@depth"}} "#);
        for frame in [DIFF, reordered, &combined, &swapped] {
            let (decoded, depth, _) = decode(frame);
            assert_eq!(decoded, Ok(Decoded::Depth), "{frame}");
            assert_eq!((depth.head.first_id, depth.head.last_id, depth.head.prev_id), (71_200_101, 71_200_118, None));
            assert_eq!(depth.head.event_ts, TimestampNs::from_millis(1_784_102_400_123));
            assert_eq!(depth.head.recv_ts, TimestampNs::from_nanos(5));
            assert_eq!(depth.bids, [level(6_125_010, 48_200), level(6_124_990, 0)]);
            assert_eq!(depth.asks, [level(6_125_011, 110_000)]);
        }
    }

    #[test]
    fn usdm_diffs_carry_the_previous_id() {
        let (decoded, depth, _) =
            decode(r#"{"e":"depthUpdate","E":1,"T":1,"s":"ETHUSDT","U":157,"u":160,"pu":149,"b":[],"a":[]}"#);
        assert_eq!((decoded, depth.head.prev_id), (Ok(Decoded::Depth), Some(149)));
        assert_eq!(depth.head.instrument, InstrumentId(1));
        assert!(depth.bids.is_empty() && depth.asks.is_empty());
    }

    #[test]
    fn prints_carry_the_takers_side() {
        let trade = r#"{"e":"trade","E":9,"s":"BTCUSDT","t":4100200300,"p":"61250.11000000","q":"0.01200000","T":7,"m":false,"M":true}"#;
        let want = Trade {
            instrument: InstrumentId(0),
            event_ts: TimestampNs::from_millis(7),
            recv_ts: TimestampNs::from_nanos(5),
            id: TradeId(4_100_200_300),
            price: Price::from_ticks(6_125_011),
            qty: Qty::from_lots(1_200),
            aggressor: Side::Bid,
        };
        assert_eq!(decode(trade).0, Ok(Decoded::Trade(want)));
        let sold = decode(&trade.replace(r#""m":false"#, r#""m":true"#)).0;
        assert_eq!(sold, Ok(Decoded::Trade(Trade { aggressor: Side::Ask, ..want })));
        let aggregated = trade.replace(r#""e":"trade""#, r#""e":"aggTrade""#).replace(r#""t":"#, r#""a":"#);
        assert_eq!(decode(&aggregated).0, Ok(Decoded::AggTrade(want)));
        let off_market = trade.replace(r#""M":true"#, r#""X":"INSURANCE_FUND""#);
        assert_eq!(decode(&off_market).0, Ok(Decoded::Ignored));
        assert_eq!(decode(&trade.replace(r#""M":true"#, r#""X":"MARKET""#)).0, Ok(Decoded::Trade(want)));
    }

    #[test]
    fn the_touch_is_read_with_and_without_an_event_type() {
        let spot = r#"{"u":71200118,"s":"BTCUSDT","b":"61250.10000000","B":"0.48200000","a":"61250.11000000","A":"1.10000000"}"#;
        let usdm = spot.replacen('{', r#"{"e":"bookTicker","E":1,"T":1,"#, 1);
        for frame in [spot, &usdm] {
            let want = Touch {
                instrument: InstrumentId(0),
                recv_ts: TimestampNs::from_nanos(5),
                update_id: 71_200_118,
                bid: level(6_125_010, 48_200),
                ask: level(6_125_011, 110_000),
            };
            assert_eq!(decode(frame).0, Ok(Decoded::Touch(want)));
        }
    }

    #[test]
    fn control_answers_are_told_from_events() {
        for (frame, want) in [
            (r#"{"result":null,"id":7}"#, Decoded::Ack { id: Some(7) }),
            (r#"{"result":["btcusdt@depth"],"id":3}"#, Decoded::Ack { id: Some(3) }),
            (r#"{"result":null,"id":"6ba7b810-9dad"}"#, Decoded::Ack { id: None }),
            (r#"{"result":null,"id":null}"#, Decoded::Ack { id: None }),
            (r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#, Decoded::ControlError { code: 2 }),
            (r#"{"code":3,"msg":"Invalid JSON","id":1}"#, Decoded::ControlError { code: 3 }),
            (r#"{"e":"serverShutdown","E":1}"#, Decoded::ServerShutdown),
            (r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#, Decoded::ServerShutdown),
            (r#"{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1}}"#, Decoded::Ignored),
            (r#"{"lastUpdateId":1,"bids":[],"asks":[]}"#, Decoded::Ignored),
        ] {
            assert_eq!(decode(frame).0, Ok(want), "{frame}");
        }
        let other = DIFF.replace("BTCUSDT", "DOGEUSDT");
        assert_eq!(decode(&other).0, Ok(Decoded::Ignored));
    }

    #[test]
    fn microsecond_streams_are_read_in_their_unit() {
        let mut decoder = Decoder::new(&instruments()).with_time_unit(TimeUnit::Micros);
        let mut depth = DepthBuf::with_capacity(4);
        decoder.decode(DIFF.as_bytes(), TimestampNs::ZERO, &mut depth).unwrap();
        assert_eq!(depth.head.event_ts, TimestampNs::from_micros(1_784_102_400_123));
    }

    #[test]
    fn what_is_not_exact_is_refused_by_field() {
        let decimal = |field, cause| DecodeError::Decimal { field, cause };
        let levels = DecodeError::Type { field: "b", expected: "an array of [price, quantity] strings" };
        for (from, to, want) in [
            ("61250.10000000", "61250.105", decimal("b", DecimalError::OffStep)),
            ("61250.10000000", "61250.100000001", decimal("b", DecimalError::TooPrecise)),
            ("61250.10000000", "6125e1", decimal("b", DecimalError::Syntax)),
            ("61250.10000000", "NaN", decimal("b", DecimalError::Syntax)),
            ("61250.10000000", "", decimal("b", DecimalError::Syntax)),
            ("61250.10000000", "123456789012345678901234567890", decimal("b", DecimalError::TooLarge)),
            ("61250.11000000", "-1.00", DecodeError::Negative { field: "a" }),
            ("1.10000000", "-1", DecodeError::Negative { field: "a" }),
            ("1.10000000", "0.000001", decimal("a", DecimalError::OffStep)),
            (r#""61250.10000000""#, "61250.1", levels),
            (r#""0.48200000""#, "null", levels),
            (r#"["61250.10000000","0.48200000"]"#, r#"["61250.1"]"#, levels),
            (r#"["61250.10000000","0.48200000"]"#, r#"["61250.1","1","2"]"#, levels),
            (
                r#""U":71200101"#,
                r#""U":"71200101""#,
                DecodeError::Type { field: "U", expected: "a whole number of at least zero" },
            ),
            (
                r#""U":71200101"#,
                r#""U":-1"#,
                DecodeError::Type { field: "U", expected: "a whole number of at least zero" },
            ),
            (
                r#""U":71200101"#,
                r#""U":7.5e7"#,
                DecodeError::Type { field: "U", expected: "a whole number of at least zero" },
            ),
            (r#""U":71200101"#, r#""U":71200119"#, DecodeError::Type { field: "u", expected: "at least `U`" }),
            (r#""U":71200101,"#, "", DecodeError::Missing { field: "U" }),
            (r#""U":71200101,"#, r#""U":71200101,"U":71200101,"#, DecodeError::Duplicate { field: "U" }),
            (r#""s":"BTCUSDT","#, "", DecodeError::Missing { field: "s" }),
            // Without its type a diff looks like a touch whose bid is no text.
            (r#""e":"depthUpdate","#, "", DecodeError::Type { field: "b", expected: "a string" }),
        ] {
            let frame = DIFF.replacen(from, to, 1);
            assert_ne!(frame, DIFF, "nothing was changed by {from}");
            let (decoded, _, _) = decode(&frame);
            assert_eq!(decoded, Err(want), "{frame}");
        }
    }

    #[test]
    fn a_failure_names_the_instrument_when_it_can_be_read() {
        assert_eq!(decode(&DIFF.replace("61250.1000", "x")).2, Some(InstrumentId(0)));
        assert_eq!(decode(&DIFF[..90]).2, None);
    }

    #[test]
    fn broken_json_is_an_error_and_leaves_the_decoder_usable() {
        let mut decoder = Decoder::new(&instruments());
        let mut depth = DepthBuf::with_capacity(4);
        let deep = format!("{}1{}", r#"{"x":"#.repeat(100), "}".repeat(100));
        for cut in 0..DIFF.len() {
            let _ = decoder.decode(&DIFF.as_bytes()[..cut], TimestampNs::ZERO, &mut depth).unwrap_err();
        }
        for frame in ["", "NaN", "{", r#"{"U":NaN}"#, "{\"s\":\"\u{1}\"}", &deep] {
            assert_eq!(
                decoder.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth),
                Err(DecodeError::Json),
                "{frame}"
            );
        }
        for frame in ["[]", "7", "null", "\"text\""] {
            assert_eq!(decoder.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth), Err(DecodeError::Shape));
        }
        assert_eq!(decoder.decode(b"\xff{}", TimestampNs::ZERO, &mut depth), Err(DecodeError::Json));
        assert_eq!(decoder.decode(DIFF.as_bytes(), TimestampNs::ZERO, &mut depth), Ok(Decoded::Depth));
    }

    #[test]
    fn five_thousand_levels_a_side_are_read_and_more_than_the_protocol_knows_are_not() {
        let levels = |count: usize| {
            let one: Vec<String> = (1..=count).map(|i| format!(r#"["{i}.5","0.1"]"#)).collect();
            one.join(",")
        };
        let frame = |count: usize| DIFF.replacen(r#"["61249.90000000","0.00000000"]"#, &levels(count), 1);
        let (decoded, depth, _) = decode(&frame(5000));
        assert_eq!((decoded, depth.bids.len()), (Ok(Decoded::Depth), 5001));
        assert_eq!(decode(&frame(DEPTH_LEVELS_MAX)).0, Err(DecodeError::TooManyLevels { field: "b" }));
    }

    #[test]
    fn a_snapshot_is_read_with_and_without_times() {
        let mut depth = DepthBuf::with_capacity(4);
        let spot =
            r#"{"lastUpdateId": 35346513512, "bids": [["2683.80", "3.0292"]], "asks": [["2683.81", "31.4395"]]}"#;
        let eth = instruments()[1];
        decode_snapshot(spot.as_bytes(), &eth, TimestampNs::from_nanos(3), &mut depth).unwrap();
        assert_eq!((depth.head.kind, depth.head.last_id), (DepthKind::Snapshot, 35_346_513_512));
        assert_eq!((depth.head.first_id, depth.head.instrument), (35_346_513_512, InstrumentId(1)));
        assert_eq!((&depth.bids[..], &depth.asks[..]), (&[level(268_380, 30_292)][..], &[level(268_381, 314_395)][..]));
        let usdm = spot.replacen('{', r#"{"E":12,"T":11,"#, 1);
        decode_snapshot(usdm.as_bytes(), &eth, TimestampNs::ZERO, &mut depth).unwrap();
        assert_eq!(depth.head.event_ts, TimestampNs::from_millis(12));
        let wrong = decode_snapshot(br#"{"code":-1121,"msg":"Invalid symbol."}"#, &eth, TimestampNs::ZERO, &mut depth);
        assert_eq!(wrong, Err(DecodeError::Missing { field: "lastUpdateId" }));
    }
}
