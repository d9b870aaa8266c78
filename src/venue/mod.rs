//! Floor 2: protocols of venues: codecs, signing, filters. No sockets.
//!
//! A venue's public streams are whatever [`PublicStreams`] makes feed events of. Behind that nothing knows the venue:
//! its messages are joined by one of the two rules of `pipeline::sync`.

pub mod binance;
pub mod kraken;
pub mod okx;

pub use binance::decode::DecodeError;

use crate::types::{Instrument, TimestampNs};
use crate::wire::{DepthBuf, FeedEvent};

/// Decodes the frames of a venue's public streams.
pub trait PublicStreams: Send {
    /// From now on these are followed, in the order of their ids; the first ones are those followed before.
    fn follow(&mut self, instruments: &[Instrument]);

    /// Hands what a frame says to `tell`, in order. Levels are written into `depth`, which is reused.
    ///
    /// # Errors
    /// [`DecodeError`] for a frame that is not what the venue describes; what came before it was told.
    fn decode(
        &mut self,
        frame: &[u8],
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
        tell: &mut dyn FnMut(&FeedEvent<'_>),
    ) -> Result<(), DecodeError>;
}

impl PublicStreams for binance::decode::Decoder {
    fn follow(&mut self, instruments: &[Instrument]) {
        *self = binance::decode::Decoder::new(instruments);
    }

    fn decode(
        &mut self,
        frame: &[u8],
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
        tell: &mut dyn FnMut(&FeedEvent<'_>),
    ) -> Result<(), DecodeError> {
        let decoded = self.decode(frame, recv_ts, depth)?;
        if let Some(event) = decoded.event(depth) {
            tell(&event);
        }
        Ok(())
    }
}
