//! What a synthetic market would have looked like to somebody who only watched: a tape to train on and to test against.

use super::config::{MarketSource, SymbolConfig, VenueConfig, VenueConfigError};
use super::flow_synthetic::SyntheticConfig;
use super::venue::Venue;
use super::words::feed_event;
use crate::types::{DurationNs, Instrument, TimestampNs};
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent, FeedOwned};

/// Levels a side of the snapshot at the tape's beginning.
const SNAPSHOT_LEVELS: usize = 1000;

/// The market data of a synthetic market from `start` on, each event received when it happened, with a snapshot once the
/// makers have made a book.
///
/// # Errors
/// When the market's parameters contradict themselves.
pub fn synthetic_tape(
    market: SyntheticConfig,
    instrument: Instrument,
    start: TimestampNs,
    length: DurationNs,
) -> Result<Vec<FeedOwned>, VenueConfigError> {
    let mut config = VenueConfig::new(start);
    config.symbols = vec![SymbolConfig::new(instrument)];
    let mut venue = Venue::new(config, vec![MarketSource::Synthetic(market)])?;
    let (mut tape, mut depth) = (Vec::new(), DepthBuf::with_capacity(0));
    // The makers quote at once; a second later the book has its shape.
    let snapshot_at = start.plus(DurationNs::from_secs(1));
    venue.advance(snapshot_at);
    venue.market_events().for_each(drop);
    let snapshot = venue.depth(instrument.id, SNAPSHOT_LEVELS);
    let head = DepthHead {
        instrument: instrument.id,
        kind: DepthKind::Snapshot,
        first_id: snapshot.last_update_id,
        last_id: snapshot.last_update_id,
        prev_id: None,
        event_ts: snapshot_at,
        recv_ts: snapshot_at,
    };
    let book = DepthBuf { head, bids: snapshot.bids, asks: snapshot.asks };
    tape.extend(FeedOwned::of(&FeedEvent::Depth(book.as_ref())));
    while let Some(at) = venue.next_event_at().filter(|at| *at <= start.plus(length)) {
        venue.advance(at);
        let events: Vec<_> = venue.market_events().collect();
        for event in events {
            tape.extend(feed_event(event, at, &mut depth).and_then(|event| FeedOwned::of(&event)));
        }
    }
    Ok(tape)
}
