//! A market replayed from a level-2 recording.

use crate::types::Trade;
use crate::wire::{DepthBuf, FeedEvent};

/// A record of a recording that the replayed market reads, owned.
#[derive(Clone, Debug)]
pub enum RecordedEvent {
    /// A snapshot or a diff.
    Depth(DepthBuf),
    /// A print on the tape.
    Trade(Trade),
}

impl RecordedEvent {
    /// Copies what the replayed market needs of a feed event; `None` for everything that it does not read.
    pub fn from_feed(event: &FeedEvent<'_>) -> Option<RecordedEvent> {
        match event {
            FeedEvent::Depth(depth) => Some(RecordedEvent::Depth(DepthBuf {
                head: depth.head,
                bids: depth.bids.to_vec(),
                asks: depth.asks.to_vec(),
            })),
            FeedEvent::Trade(trade) => Some(RecordedEvent::Trade(*trade)),
            FeedEvent::AggTrade(_) | FeedEvent::Touch(_) | FeedEvent::Notice(_) | FeedEvent::Raw(_) => None,
        }
    }
}

/// A recording of one symbol, in ticks and lots of the symbol's instrument and in the order of its receive times.
///
/// The venue's clock at its start stands for the first moment at which the recording's book is known.
pub struct RecordedMarket {
    /// The records.
    pub events: Box<dyn Iterator<Item = RecordedEvent> + Send>,
    /// How many seconds of the recording pass in one second of the venue's clock; at least 1. A driver that wants to
    /// go as fast as possible advances the venue from one [`super::Venue::next_event_at`] to the next instead.
    pub speed: u32,
}

impl std::fmt::Debug for RecordedMarket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedMarket").field("speed", &self.speed).finish_non_exhaustive()
    }
}
