//! Kraken's public streams: the `book` and `trade` channels of its WebSocket API, version 1.
//!
//! A book begins with a snapshot on the stream itself. Messages have no numbers: those of a symbol are counted, and each
//! carries a checksum of the best ten levels, which [`Streams`] verifies on a book of its own. A message whose checksum
//! is not that of the book is told as a gap instead. Kraken keeps a fixed number of levels and does not tell which fall
//! out of it; they are told as removed here. Not on the hot path: it allocates.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::binance::decode;
use super::{DecodeError, PublicStreams};
use crate::book::ArenaBook;
use crate::types::{DesyncReason, Instrument, Level, Qty, Side, TimestampNs, Trade, TradeId, parse_e8};
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent, FeedNotice};

/// Levels of each side that the checksum covers.
const SUMMED: usize = 10;

/// Places of a price beyond which none is written.
const PLACES_MAX: u32 = 12;

/// What is known of one pair.
struct Followed {
    instrument: Instrument,
    book: ArenaBook,
    /// Messages of the book so far.
    messages: u64,
    trades: i64,
    /// Places of its prices as Kraken writes them: the checksum is over its text.
    places: u32,
}

/// Decodes the frames of one connection.
#[derive(Default)]
pub struct Streams {
    pairs: Vec<Followed>,
    text: String,
}

/// Price, quantity, time; in an update that repeats a level, one letter more.
type Row<'a> = Vec<&'a str>;

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "as", borrow)]
    whole_asks: Option<Vec<Row<'a>>>,
    #[serde(rename = "bs", borrow)]
    whole_bids: Option<Vec<Row<'a>>>,
    #[serde(rename = "a", borrow)]
    asks: Option<Vec<Row<'a>>>,
    #[serde(rename = "b", borrow)]
    bids: Option<Vec<Row<'a>>>,
    #[serde(rename = "c")]
    checksum: Option<&'a str>,
}

/// A message of a channel: its parts, the channel's name, the pair.
fn message(frame: &[u8]) -> Option<(Vec<&RawValue>, &str, &str)> {
    let mut parts: Vec<&RawValue> = serde_json::from_slice(frame).ok()?;
    let pair = serde_json::from_str(parts.pop()?.get()).ok()?;
    let channel = serde_json::from_str(parts.pop()?.get()).ok()?;
    // The channel's number stands first.
    (!parts.is_empty()).then(|| parts.remove(0));
    Some((parts, channel, pair))
}

/// The pair that a frame is about, if it is a message of a channel.
pub fn symbol(frame: &[u8]) -> Option<&str> {
    message(frame).map(|(_, _, pair)| pair)
}

impl PublicStreams for Streams {
    fn follow(&mut self, instruments: &[Instrument]) {
        let known = self.pairs.len();
        self.pairs.extend(instruments.iter().skip(known).map(|instrument| Followed {
            instrument: *instrument,
            book: ArenaBook::new(),
            messages: 0,
            trades: 0,
            places: 0,
        }));
    }

    fn decode(
        &mut self,
        frame: &[u8],
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
        tell: &mut dyn FnMut(&FeedEvent<'_>),
    ) -> Result<(), DecodeError> {
        if frame.first() == Some(&b'{') {
            // News of the connection and of subscriptions.
            return Ok(());
        }
        let (parts, channel, pair) = message(frame).ok_or(DecodeError::Json)?;
        let Some(followed) = self.pairs.iter_mut().find(|one| one.instrument.symbol() == pair) else { return Ok(()) };
        if let Some(levels) = channel.strip_prefix("book-") {
            let levels =
                levels.parse().map_err(|_| DecodeError::Type { field: "channel", expected: "book-<levels>" })?;
            match followed.apply(&parts, levels, recv_ts, depth, &mut self.text)? {
                true => tell(&FeedEvent::Depth(depth.as_ref())),
                false => {
                    let instrument = Some(followed.instrument.id);
                    tell(&FeedEvent::Notice(FeedNotice { instrument, reason: DesyncReason::Gap, recv_ts }));
                }
            }
        } else if channel == "trade" {
            for part in parts {
                let rows: Vec<Row<'_>> = parsed(part)?;
                for row in rows {
                    tell(&FeedEvent::Trade(followed.trade(&row, recv_ts)?));
                }
            }
        }
        Ok(())
    }
}

impl Followed {
    /// Writes a message into `depth` and takes it into the book; false when the checksum shows that something is
    /// missing.
    fn apply(
        &mut self,
        parts: &[&RawValue],
        levels: usize,
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
        text: &mut String,
    ) -> Result<bool, DecodeError> {
        depth.clear();
        let (mut is_snapshot, mut checksum, mut event_ts) = (false, None, TimestampNs::ZERO);
        for part in parts {
            let part: Part<'_> = parsed(part)?;
            is_snapshot |= part.whole_asks.is_some() || part.whole_bids.is_some();
            checksum = checksum.or(part.checksum);
            for (out, rows) in
                [(&mut depth.asks, part.whole_asks.or(part.asks)), (&mut depth.bids, part.whole_bids.or(part.bids))]
            {
                for row in rows.into_iter().flatten() {
                    out.push(self.level(&row)?);
                    event_ts = event_ts.max(seconds(&row)?);
                }
            }
        }
        if is_snapshot {
            self.book.clear();
        }
        self.book.apply(&depth.bids, &depth.asks);
        for (side, out) in [(Side::Bid, &mut depth.bids), (Side::Ask, &mut depth.asks)] {
            let count = out.len();
            out.extend(self.book.levels(side).skip(levels).map(|level| Level { qty: Qty::ZERO, ..level }));
            for level in &out[count..] {
                self.book.set(side, level.price, Qty::ZERO);
            }
        }
        let before = self.messages;
        self.messages += 1;
        depth.head = DepthHead {
            instrument: self.instrument.id,
            kind: if is_snapshot { DepthKind::Snapshot } else { DepthKind::Diff },
            // It joins a book that holds the message before it.
            first_id: if is_snapshot { self.messages } else { before },
            last_id: self.messages,
            prev_id: (!is_snapshot).then_some(before),
            event_ts,
            recv_ts,
        };
        match checksum {
            // A snapshot has none.
            None => Ok(true),
            Some(sum) => Ok(sum.parse() == Ok(self.checksum(text))),
        }
    }

    fn level(&mut self, row: &Row<'_>) -> Result<Level, DecodeError> {
        let [price, qty, ..] = row[..] else {
            return Err(DecodeError::Type { field: "level", expected: "[price, quantity, time]" });
        };
        self.places = price.split_once('.').map_or(0, |(_, places)| places.len() as u32).min(PLACES_MAX);
        Ok(Level {
            price: decode::price(&self.instrument, "price", price)?,
            qty: decode::qty(&self.instrument, "quantity", qty)?,
        })
    }

    /// CRC-32 over the digits of the ten best asks and then of the ten best bids: prices and quantities without point
    /// and leading zeros. Quantities have eight places.
    fn checksum(&self, text: &mut String) -> u32 {
        text.clear();
        // Prices of nine and ten places end in zeros: there are no finer ticks.
        let (unit, more) = (10_i64.pow(8_u32.saturating_sub(self.places)), 10_i128.pow(self.places.saturating_sub(8)));
        for side in [Side::Ask, Side::Bid] {
            for level in self.book.levels(side).take(SUMMED) {
                let price = i128::from(self.instrument.price_e8(level.price) / unit) * more;
                // Writing to a String cannot fail.
                let _ = write!(text, "{price}{}", self.instrument.qty_e8(level.qty));
            }
        }
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        crc.sum()
    }

    fn trade(&mut self, row: &Row<'_>, recv_ts: TimestampNs) -> Result<Trade, DecodeError> {
        let level = self.level(row)?;
        let aggressor = match row.get(3) {
            Some(&"b") => Side::Bid,
            Some(&"s") => Side::Ask,
            _ => return Err(DecodeError::Type { field: "side", expected: "`b` or `s`" }),
        };
        self.trades += 1;
        Ok(Trade {
            instrument: self.instrument.id,
            event_ts: seconds(row)?,
            recv_ts,
            id: TradeId(self.trades),
            price: level.price,
            qty: level.qty,
            aggressor,
        })
    }
}

fn parsed<'a, T: Deserialize<'a>>(part: &'a RawValue) -> Result<T, DecodeError> {
    serde_json::from_str(part.get())
        .map_err(|_| DecodeError::Type { field: "message", expected: "what the channel says" })
}

/// The time of a level or trade: seconds with a fraction.
fn seconds(row: &Row<'_>) -> Result<TimestampNs, DecodeError> {
    let wrong = DecodeError::Type { field: "time", expected: "seconds as a string" };
    let text = row.get(2).ok_or(wrong)?;
    let e8 = parse_e8(text.as_bytes()).map_err(|cause| DecodeError::Decimal { field: "time", cause })?;
    let nanos = u64::try_from(e8).ok().and_then(|e8| e8.checked_mul(10));
    nanos.map(TimestampNs::from_nanos).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::market::MarketStage;
    use crate::pipeline::sync::SyncRule;
    use crate::types::{BookState, Filters, InstrumentId, InstrumentSpec, Price, Symbol};

    const ID: InstrumentId = InstrumentId(0);

    fn instrument() -> Instrument {
        let named = |text| Symbol::new(text).unwrap();
        let (base, quote, filters) = (named("XBT"), named("USD"), Filters::default());
        Instrument::new(
            ID,
            InstrumentSpec { symbol: named("XBT/USD"), base, quote, tick_e8: 10_000_000, lot_e8: 1, filters },
        )
    }

    fn row(price: &str, qty: &str) -> String {
        format!(r#"["{price}","{qty}","1582905487.684110"]"#)
    }

    #[test]
    fn levels_that_fall_out_are_removed_and_a_wrong_checksum_ends_the_book() {
        let asks = [row("100.2", "1.00000000"), row("100.3", "2.00000000")].join(",");
        let whole = format!(r#"[1,{{"as":[{asks}],"bs":[{}]}},"book-2","XBT/USD"]"#, row("100.0", "3.00000000"));
        // A third ask comes, and the worst one falls out of the two that are kept.
        let sum = {
            let mut crc = flate2::Crc::new();
            crc.update(b"1001150000000010021000000001000300000000");
            crc.sum()
        };
        let update = |sum| {
            let rows = row("100.1", "15.00000000");
            format!(r#"[1,{{"a":[{rows}]}},{{"b":[],"c":"{sum}"}},"book-2","XBT/USD"]"#)
        };
        for (sum, want) in [(sum, BookState::Live), (sum ^ 1, BookState::Syncing(DesyncReason::Gap))] {
            let mut streams = Streams::default();
            streams.follow(&[instrument()]);
            let mut stage = MarketStage::new(&[instrument()], SyncRule::UsdM);
            let mut depth = DepthBuf::with_capacity(8);
            for frame in [r#"{"event":"heartbeat"}"#.to_owned(), whole.clone(), update(sum)] {
                let tell = &mut |event: &FeedEvent<'_>| {
                    stage.on_event(event);
                };
                streams.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth, tell).unwrap();
            }
            assert_eq!(stage.state(ID), want);
            if want == BookState::Live {
                let asks: Vec<Price> = stage.book(ID).levels(Side::Ask).map(|level| level.price).collect();
                assert_eq!(asks, [1001, 1002].map(Price::from_ticks));
            }
        }
    }

    #[test]
    fn levels_and_trades_below_zero_are_refused() {
        for frame in [
            format!(r#"[1,{{"as":[{}],"bs":[]}},"book-2","XBT/USD"]"#, row("100.2", "-1.00000000")),
            format!(r#"[1,{{"as":[{}],"bs":[]}},"book-2","XBT/USD"]"#, row("-100.2", "1.00000000")),
            r#"[0,[["5541.2","-0.15850568","1534614057.321597","s","l",""]],"trade","XBT/USD"]"#.to_owned(),
        ] {
            let mut streams = Streams::default();
            streams.follow(&[instrument()]);
            let told =
                streams.decode(frame.as_bytes(), TimestampNs::ZERO, &mut DepthBuf::with_capacity(8), &mut |_| ());
            assert!(matches!(told, Err(DecodeError::Negative { .. })), "{frame}: {told:?}");
        }
    }

    #[test]
    fn a_time_that_64_bits_of_nanoseconds_cannot_hold_is_refused() {
        let mut streams = Streams::default();
        streams.follow(&[instrument()]);
        let frame = r#"[0,[["5541.2","0.15850568","91534614057.321597","s","l",""]],"trade","XBT/USD"]"#;
        let told = streams.decode(frame.as_bytes(), TimestampNs::ZERO, &mut DepthBuf::with_capacity(8), &mut |_| ());
        assert_eq!(told, Err(DecodeError::Type { field: "time", expected: "seconds as a string" }));
    }

    #[test]
    fn trades_say_who_took() {
        let mut streams = Streams::default();
        streams.follow(&[instrument()]);
        let mut seen = Vec::new();
        let frame = r#"[0,[["5541.2","0.15850568","1534614057.321597","s","l",""],["6060.0","0.02455000","1534614057.324998","b","l",""]],"trade","XBT/USD"]"#;
        let tell = &mut |event: &FeedEvent<'_>| {
            let FeedEvent::Trade(trade) = event else { panic!("{event:?}") };
            seen.push((trade.aggressor, trade.price.ticks(), trade.qty.lots(), trade.event_ts.nanos()));
        };
        streams.decode(frame.as_bytes(), TimestampNs::ZERO, &mut DepthBuf::with_capacity(8), tell).unwrap();
        let want = [
            (Side::Ask, 55_412, 15_850_568, 1_534_614_057_321_597_000),
            (Side::Bid, 60_600, 2_455_000, 1_534_614_057_324_998_000),
        ];
        assert_eq!(seen, want);
    }
}
