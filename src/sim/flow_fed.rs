//! A market whose book is somebody else's: its driver hands in each message as it comes. A backtest feeds it from a
//! recording, paper mode from the engine's own feed.

use xxhash_rust::xxh3::Xxh3;

use super::desk::Desk;
use super::fill_model::FillModel;
use super::flow_recorded::{note_depth, note_trade};
use super::market::Market;
use super::opening::Opening;
use super::recorded_book::RecordedBook;
use crate::types::TimestampNs;
use crate::wire::{DepthKind, DepthRef, FeedEvent};

/// The flow of a fed market.
pub(super) struct FedFlow {
    pub(super) book: RecordedBook,
    /// Messages that wait for a snapshot: at the start, and after a gap. The book stands still meanwhile.
    opening: Option<Opening>,
    is_known: bool,
    digest: Xxh3,
}

impl FedFlow {
    /// A market that knows no book yet.
    pub(super) fn new(fill: FillModel) -> FedFlow {
        FedFlow {
            book: RecordedBook::new(fill),
            opening: Some(Opening::default()),
            is_known: false,
            digest: Xxh3::new(),
        }
    }

    /// Whether there has been a book.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest.digest()
    }

    /// Takes the next message of this symbol's feed.
    pub(super) fn take(&mut self, now: TimestampNs, event: &FeedEvent<'_>, market: &mut Market, desk: &mut Desk) {
        match event {
            FeedEvent::Depth(depth) => {
                note_depth(&mut self.digest, *depth);
                self.take_depth(now, *depth, market, desk);
            }
            FeedEvent::Trade(trade) => {
                note_trade(&mut self.digest, trade);
                if self.is_known {
                    self.book.replay(now, trade, market, desk);
                }
            }
            // Something was missed: until the next snapshot nothing is known to follow what was there.
            FeedEvent::Notice(_) => self.opening = Some(Opening::default()),
            FeedEvent::AggTrade(_) | FeedEvent::Touch(_) | FeedEvent::Raw(_) => {}
        }
    }

    fn take_depth(&mut self, now: TimestampNs, depth: DepthRef<'_>, market: &mut Market, desk: &mut Desk) {
        if depth.head.kind == DepthKind::Diff && self.opening.is_none() && !follows(&depth, self.book.last_id()) {
            self.opening = Some(Opening::default());
        }
        let Some(opening) = &mut self.opening else {
            self.book.apply(now, depth, market, desk);
            return;
        };
        if let Some(messages) = opening.offer(depth) {
            self.opening = None;
            self.is_known = true;
            self.book.catch_up(now, &messages, market, desk);
        }
    }
}

/// Whether nothing is missing between a diff and what came before it. One that is older is no gap.
fn follows(diff: &DepthRef<'_>, last_id: u64) -> bool {
    diff.head.last_id <= last_id
        || diff.head.first_id <= last_id + 1
        || diff.head.prev_id.is_some_and(|prev| prev <= last_id)
}
