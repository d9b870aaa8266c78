//! OKX's public streams: the `books` and `trades` channels, by OKX's own description of them (API v5).
//!
//! A book begins with a snapshot on the stream itself; each message carries a checksum of the best 25 levels, which
//! [`Streams`] verifies on a book of its own. Messages of today state the number of the message before theirs; where
//! they do not, as in 2022, the messages of a symbol are counted. A message whose checksum is not that of the book is
//! told as a gap instead: something was missed. Not on the hot path: it allocates.

mod checksum;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::binance::decode;
use super::{DecodeError, PublicStreams};
use crate::book::ArenaBook;
use crate::types::{DesyncReason, Instrument, Level, Side, TimestampNs, Trade, TradeId};
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent, FeedNotice};

/// What is known of one symbol: its book, and the number of the last message in it.
struct Followed {
    instrument: Instrument,
    book: ArenaBook,
    last_id: u64,
}

/// Decodes the frames of one connection.
#[derive(Default)]
pub struct Streams {
    symbols: Vec<Followed>,
    text: String,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    action: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arg<'a> {
    channel: &'a str,
    #[serde(rename = "instId")]
    symbol: Option<&'a str>,
}

#[derive(Deserialize)]
struct Book<'a> {
    /// Price, quantity, a field out of use, and the number of orders.
    #[serde(borrow)]
    asks: Vec<[&'a str; 4]>,
    #[serde(borrow)]
    bids: Vec<[&'a str; 4]>,
    ts: &'a str,
    checksum: i32,
    #[serde(rename = "seqId")]
    id: Option<i64>,
    #[serde(rename = "prevSeqId")]
    prev_id: Option<i64>,
}

#[derive(Deserialize)]
struct Print<'a> {
    #[serde(rename = "tradeId")]
    id: &'a str,
    px: &'a str,
    sz: &'a str,
    side: &'a str,
    ts: &'a str,
}

/// The symbol that a frame is about, if it is a message of a channel.
pub fn symbol(frame: &[u8]) -> Option<&str> {
    let frame: Frame<'_> = serde_json::from_slice(frame).ok()?;
    frame.data?;
    frame.arg?.symbol
}

impl PublicStreams for Streams {
    fn follow(&mut self, instruments: &[Instrument]) {
        let known = self.symbols.len();
        self.symbols.extend(instruments.iter().skip(known).map(|instrument| Followed {
            instrument: *instrument,
            book: ArenaBook::new(),
            last_id: 0,
        }));
    }

    fn decode(
        &mut self,
        frame: &[u8],
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
        tell: &mut dyn FnMut(&FeedEvent<'_>),
    ) -> Result<(), DecodeError> {
        let frame: Frame<'_> = serde_json::from_slice(frame).map_err(|_| DecodeError::Json)?;
        let (Some(arg), Some(data)) = (frame.arg, frame.data) else { return Ok(()) };
        let followed = self.symbols.iter_mut().find(|one| arg.symbol == Some(one.instrument.symbol()));
        let Some(followed) = followed else { return Ok(()) };
        match arg.channel {
            "books" => {
                let books: Vec<Book<'_>> = parsed(data)?;
                for book in books {
                    match followed.apply(&book, frame.action == Some("snapshot"), recv_ts, depth, &mut self.text)? {
                        true => tell(&FeedEvent::Depth(depth.as_ref())),
                        false => {
                            let instrument = Some(followed.instrument.id);
                            tell(&FeedEvent::Notice(FeedNotice { instrument, reason: DesyncReason::Gap, recv_ts }));
                        }
                    }
                }
            }
            "trades" => {
                let prints: Vec<Print<'_>> = parsed(data)?;
                for print in prints {
                    tell(&FeedEvent::Trade(trade(&print, &followed.instrument, recv_ts)?));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Followed {
    /// Writes a message into `depth` and takes it into the book; false when the checksum shows that something is
    /// missing, and nothing is known until the next snapshot.
    fn apply(
        &mut self,
        message: &Book<'_>,
        is_snapshot: bool,
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
        text: &mut String,
    ) -> Result<bool, DecodeError> {
        depth.clear();
        for (out, levels) in [(&mut depth.bids, &message.bids), (&mut depth.asks, &message.asks)] {
            for [price, qty, ..] in levels {
                out.push(self.level(price, qty)?);
            }
        }
        if is_snapshot {
            self.book.clear();
        }
        self.book.apply(&depth.bids, &depth.asks);
        let number = |id: Option<i64>| id.and_then(|id| u64::try_from(id).ok());
        let prev_id = number(message.prev_id).unwrap_or(self.last_id);
        self.last_id = number(message.id).unwrap_or(self.last_id + 1);
        depth.head = DepthHead {
            instrument: self.instrument.id,
            kind: if is_snapshot { DepthKind::Snapshot } else { DepthKind::Diff },
            // A message says what changed since the one before: it joins a book that holds that one.
            first_id: if is_snapshot { self.last_id } else { prev_id },
            last_id: self.last_id,
            prev_id: (!is_snapshot).then_some(prev_id),
            event_ts: millis(message.ts)?,
            recv_ts,
        };
        Ok(checksum::of(&self.book, &self.instrument, text) == message.checksum)
    }

    fn level(&self, price: &str, qty: &str) -> Result<Level, DecodeError> {
        Ok(Level {
            price: decode::price(&self.instrument, "price", price)?,
            qty: decode::qty(&self.instrument, "quantity", qty)?,
        })
    }
}

fn parsed<'a, T: Deserialize<'a>>(data: &'a RawValue) -> Result<T, DecodeError> {
    serde_json::from_str(data.get()).map_err(|_| DecodeError::Type { field: "data", expected: "what the channel says" })
}

fn millis(text: &str) -> Result<TimestampNs, DecodeError> {
    let wrong = DecodeError::Type { field: "ts", expected: "milliseconds as a string" };
    text.parse().map(TimestampNs::from_millis).map_err(|_| wrong)
}

fn trade(print: &Print<'_>, instrument: &Instrument, recv_ts: TimestampNs) -> Result<Trade, DecodeError> {
    Ok(Trade {
        instrument: instrument.id,
        event_ts: millis(print.ts)?,
        recv_ts,
        id: TradeId(
            print.id.parse().map_err(|_| DecodeError::Type { field: "tradeId", expected: "a number as a string" })?,
        ),
        price: decode::price(instrument, "px", print.px)?,
        qty: decode::qty(instrument, "sz", print.sz)?,
        aggressor: match print.side {
            "buy" => Side::Bid,
            "sell" => Side::Ask,
            _ => return Err(DecodeError::Type { field: "side", expected: "`buy` or `sell`" }),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::market::MarketStage;
    use crate::pipeline::sync::SyncRule;
    use crate::types::{BookState, Filters, InstrumentId, InstrumentSpec, Symbol};

    fn instrument() -> Instrument {
        let named = |text| Symbol::new(text).unwrap();
        let (base, quote, filters) = (named("BTC"), named("USDT"), Filters::default());
        let spec = InstrumentSpec { symbol: named("BTC-USDT"), base, quote, tick_e8: 1, lot_e8: 1, filters };
        Instrument::new(InstrumentId(0), spec)
    }

    fn books(action: &str, bids: &str, asks: &str, more: &str) -> String {
        format!(
            r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"1597026383085"{more}}}]}}"#
        )
    }

    /// What a fresh decoder and the market stage behind it make of frames: the states of the book after each.
    fn states(frames: &[String]) -> Vec<BookState> {
        let mut streams = Streams::default();
        streams.follow(&[instrument()]);
        let mut stage = MarketStage::new(&[instrument()], SyncRule::UsdM);
        let mut depth = DepthBuf::with_capacity(8);
        let mut seen = Vec::new();
        for frame in frames {
            let tell = &mut |event: &FeedEvent<'_>| {
                stage.on_event(event);
            };
            streams.decode(frame.as_bytes(), TimestampNs::ZERO, &mut depth, tell).unwrap();
            seen.push(stage.state(InstrumentId(0)));
        }
        seen
    }

    // Checksums by Python's zlib.crc32 of the texts that OKX's description gives, as a signed number.
    const BIDS: &str = r#"["3366.1","7","0","3"],["3366","6","0","4"]"#;
    const ASKS: &str = r#"["3366.8","9","0","2"],["3368","8","0","1"]"#;

    #[test]
    fn a_wrong_checksum_ends_the_book_until_the_next_snapshot() {
        let syncing = BookState::Syncing(DesyncReason::Starting);
        let gap = BookState::Syncing(DesyncReason::Gap);
        let frames = [
            books("snapshot", BIDS, ASKS, &format!(r#","checksum":{SUM_WHOLE},"prevSeqId":-1,"seqId":10"#)),
            books(
                "update",
                r#"["3366","0","0","0"]"#,
                "",
                &format!(r#","checksum":{SUM_AFTER},"prevSeqId":10,"seqId":15"#),
            ),
            books("update", r#"["3366","6","0","4"]"#, "", r#","checksum":1,"prevSeqId":15,"seqId":16"#),
            books("snapshot", BIDS, ASKS, &format!(r#","checksum":{SUM_WHOLE},"prevSeqId":-1,"seqId":20"#)),
            books(
                "update",
                r#"["3366","0","0","0"]"#,
                "",
                &format!(r#","checksum":{SUM_AFTER},"prevSeqId":20,"seqId":21"#),
            ),
            books(
                "update",
                r#"["3366","6","0","4"]"#,
                "",
                &format!(r#","checksum":{SUM_WHOLE},"prevSeqId":23,"seqId":24"#),
            ),
        ];
        let live = BookState::Live;
        assert_eq!(states(&frames), [syncing, live, gap, gap, live, gap], "the last skips numbers");
    }

    #[test]
    fn levels_and_trades_below_zero_are_refused() {
        let trade = r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"1","px":"42219.9","sz":"-0.1","side":"buy","ts":"1630048897897"}]}"#;
        for frame in [
            books("snapshot", r#"["3366.1","-7","0","3"]"#, "", r#","checksum":1"#),
            books("snapshot", r#"["-3366.1","7","0","3"]"#, "", r#","checksum":1"#),
            trade.to_owned(),
        ] {
            let mut streams = Streams::default();
            streams.follow(&[instrument()]);
            let told =
                streams.decode(frame.as_bytes(), TimestampNs::ZERO, &mut DepthBuf::with_capacity(8), &mut |_| ());
            assert!(matches!(told, Err(DecodeError::Negative { .. })), "{frame}: {told:?}");
        }
    }

    #[test]
    fn messages_without_numbers_are_counted_and_others_ignored() {
        let frames = [
            r#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}"#.to_owned(),
            books("snapshot", BIDS, ASKS, &format!(r#","checksum":{SUM_WHOLE}"#)),
            r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"last":"1"}]}"#.to_owned(),
            books("update", r#"["3366","0","0","0"]"#, "", &format!(r#","checksum":{SUM_AFTER}"#)),
        ];
        assert_eq!(states(&frames).last(), Some(&BookState::Live));
    }

    const SUM_WHOLE: i32 = -1_881_014_294;
    const SUM_AFTER: i32 = -1_471_518_219;
}
