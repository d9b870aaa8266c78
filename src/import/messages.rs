//! Venues' own messages inside a recording: frames of their streams, and Binance's answers of `GET /depth`.

use std::borrow::Cow;

use super::dialect::{Event, Listing, NOBODY, Said};
use super::hftbacktest;
use super::infer::Seen;
use crate::types::{InstrumentId, Symbol, TimestampNs};
use crate::venue::binance::decode::{Decoder, decode_snapshot};
use crate::venue::{DecodeError, PublicStreams, kraken, okx};
use crate::wire::FeedEvent;

/// Decodes the messages of one recording with the venue's decoder.
pub(super) struct Messages {
    streams: Box<dyn PublicStreams>,
    /// Which symbol a frame is about, as far as it says.
    symbol: fn(&[u8]) -> Option<Cow<'_, str>>,
    known: usize,
}

impl Messages {
    /// Binance's, by the decoder of live sessions.
    pub(super) fn binance() -> Messages {
        Messages { streams: Box::new(Decoder::new(&[])), symbol: hftbacktest::symbol, known: 0 }
    }

    /// OKX's.
    pub(super) fn okx() -> Messages {
        let symbol = |frame: &[u8]| okx::symbol(frame).map(|name| Cow::Owned(name.to_owned()));
        Messages { streams: Box::new(okx::Streams::default()), symbol, known: 0 }
    }

    /// Kraken's.
    pub(super) fn kraken() -> Messages {
        let symbol = |frame: &[u8]| kraken::symbol(frame).map(|name| Cow::Owned(name.to_owned()));
        Messages { streams: Box::new(kraken::Streams::default()), symbol, known: 0 }
    }

    /// A frame as it came over the socket.
    pub(super) fn frame(
        &mut self,
        json: &[u8],
        recv_ts: TimestampNs,
        listing: &mut Listing,
        said: &mut Said,
    ) -> Result<(), String> {
        if let Some(symbol) = (self.symbol)(json) {
            listing.id(&symbol)?;
            if listing.finest().len() != self.known {
                self.streams.follow(listing.finest());
                self.known = listing.finest().len();
            }
        }
        let Said { events, depth, .. } = said;
        let mut take = |event: &FeedEvent<'_>| match *event {
            FeedEvent::Depth(_) => events.push_back(Event::Depth),
            FeedEvent::Trade(trade) => events.push_back(Event::Trade(trade)),
            FeedEvent::AggTrade(trade) => events.push_back(Event::AggTrade(trade)),
            FeedEvent::Touch(touch) => events.push_back(Event::Touch(touch)),
            FeedEvent::Notice(notice) => events.push_back(Event::Notice(notice)),
            FeedEvent::Raw(_) => {}
        };
        self.streams.decode(json, recv_ts, depth, &mut take).map_err(sentence)
    }
}

/// The answer of Binance's `GET /depth` for `symbol`; without one it is [`NOBODY`]'s.
pub(super) fn snapshot(
    json: &[u8],
    recv_ts: TimestampNs,
    symbol: Option<InstrumentId>,
    said: &mut Said,
) -> Result<(), String> {
    let finest = Seen::new(Symbol::default()).finest(symbol.unwrap_or(NOBODY));
    decode_snapshot(json, &finest, recv_ts, &mut said.depth).map_err(sentence)?;
    said.events.push_back(Event::Depth);
    Ok(())
}

/// What a failed decode says about a line.
fn sentence(error: DecodeError) -> String {
    format!("the message cannot be decoded: {error}")
}
