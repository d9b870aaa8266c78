//! Binance's own messages inside a recording: frames of its streams and answers of `GET /depth`.

use super::dialect::{Event, Listing, NOBODY, Said};
use super::hftbacktest;
use super::infer::Seen;
use crate::types::{InstrumentId, Symbol, TimestampNs};
use crate::venue::binance::decode::{DecodeError, Decoded, Decoder, decode_snapshot};

/// Decodes the messages of one recording with the decoder of live sessions.
pub(super) struct Messages {
    decoder: Decoder,
    known: usize,
}

impl Messages {
    pub(super) fn new() -> Messages {
        Messages { decoder: Decoder::new(&[]), known: 0 }
    }

    /// A frame as it came over the socket.
    pub(super) fn frame(
        &mut self,
        json: &[u8],
        recv_ts: TimestampNs,
        listing: &mut Listing,
        said: &mut Said,
    ) -> Result<(), String> {
        if let Some(symbol) = hftbacktest::symbol(json) {
            listing.id(&symbol)?;
            if listing.finest().len() != self.known {
                self.decoder = Decoder::new(listing.finest());
                self.known = listing.finest().len();
            }
        }
        let decoded = self.decoder.decode(json, recv_ts, &mut said.depth).map_err(sentence)?;
        let event = match decoded {
            Decoded::Depth => Some(Event::Depth),
            Decoded::Trade(trade) => Some(Event::Trade(trade)),
            Decoded::AggTrade(trade) => Some(Event::AggTrade(trade)),
            Decoded::Touch(touch) => Some(Event::Touch(touch)),
            Decoded::Partial
            | Decoded::Ack { .. }
            | Decoded::ControlError { .. }
            | Decoded::ServerShutdown
            | Decoded::Ignored => None,
        };
        said.events.extend(event);
        Ok(())
    }
}

/// The answer of `GET /depth` for `symbol`; without one it is [`NOBODY`]'s.
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
