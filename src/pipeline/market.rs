//! The market stage: feed events in, market updates out.
//!
//! The book tile calls it for each record of the feed stream, in the stream's order, and a replay does the same: what
//! comes out depends on nothing else.

use super::sync::{SyncCounters, SyncRule};
use crate::book::ArenaBook;
use crate::types::{BookState, DesyncReason, Instrument, InstrumentId, MarketUpdate, TimestampNs};
use crate::wire::FeedEvent;

/// Every book of a session, and whether each may be trusted.
#[derive(Debug)]
pub struct MarketStage {
    books: Vec<ArenaBook>,
}

impl MarketStage {
    /// A stage whose books all wait for their snapshot.
    pub fn new(instruments: &[Instrument], rule: SyncRule) -> MarketStage {
        let _ = rule;
        MarketStage { books: instruments.iter().map(|_| ArenaBook::new()).collect() }
    }

    /// Takes the next event of the feed stream. At most one update comes of it, so a [`FeedNotice`](crate::wire::FeedNotice)
    /// about all instruments is told for the first alone: the feed tile writes one notice for each instrument.
    pub fn on_event(&mut self, event: &FeedEvent<'_>) -> Option<MarketUpdate> {
        match *event {
            FeedEvent::Trade(trade) => Some(MarketUpdate::Trade(trade)),
            FeedEvent::Touch(touch) => Some(MarketUpdate::Touch(touch)),
            _ => None,
        }
    }

    /// The instrument whose snapshot should be asked for now, if any: each at most once per back-off, which doubles up to
    /// its cap and never ends. Asking changes no book: a replay need not ask.
    pub fn snapshot_wanted(&mut self, now: TimestampNs) -> Option<InstrumentId> {
        let _ = now;
        None
    }

    /// Whether that instrument's book may be quoted from.
    pub fn state(&self, instrument: InstrumentId) -> BookState {
        let _ = instrument;
        BookState::Syncing(DesyncReason::Starting)
    }

    /// That instrument's book.
    ///
    /// # Panics
    /// When the instrument is not of this session.
    pub fn book(&self, instrument: InstrumentId) -> &ArenaBook {
        &self.books[instrument.index()]
    }

    /// Last update id that the instrument's book holds.
    pub fn update_id(&self, instrument: InstrumentId) -> u64 {
        let _ = instrument;
        0
    }

    /// What the instrument's book has been through.
    pub fn counters(&self, instrument: InstrumentId) -> SyncCounters {
        let _ = instrument;
        SyncCounters::default()
    }

    /// xxh3-128 of all books, their update ids and states.
    pub fn digest(&self) -> u128 {
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        for book in &self.books {
            hasher.update(&book.digest().to_le_bytes());
        }
        hasher.digest128()
    }
}
