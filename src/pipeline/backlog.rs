//! Depth diffs kept back until a snapshot joins them.
//!
//! All levels lie one after another in one vector, so that keeping a diff allocates only until the largest backlog has
//! been seen. It is bounded: a snapshot that has not come by then will be joined to newer diffs.

use crate::types::Level;
use crate::wire::{DepthHead, DepthRef};

/// Diffs kept: almost seven minutes of a 100 ms stream, when a snapshot takes a second.
const DIFFS_MAX: usize = 4096;

/// Levels kept, all diffs together: 16 MiB at the most.
const LEVELS_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Kept {
    head: DepthHead,
    /// Where the bids start; the asks follow them.
    bids_at: usize,
    asks_at: usize,
    end: usize,
}

/// The diffs, oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    diffs: Vec<Kept>,
    levels: Vec<Level>,
}

impl Backlog {
    /// An empty backlog with room for what usually comes before a snapshot.
    pub(super) fn new() -> Backlog {
        Backlog { diffs: Vec::with_capacity(64), levels: Vec::with_capacity(4096) }
    }

    pub(super) fn len(&self) -> usize {
        self.diffs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diffs.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.diffs.clear();
        self.levels.clear();
    }

    /// Whether one more fits within the bounds.
    pub(super) fn has_room(&self, diff: &DepthRef<'_>) -> bool {
        self.diffs.len() < DIFFS_MAX && self.levels.len() + diff.bids.len() + diff.asks.len() <= LEVELS_MAX
    }

    pub(super) fn push(&mut self, diff: &DepthRef<'_>) {
        let bids_at = self.levels.len();
        self.levels.extend_from_slice(diff.bids);
        let asks_at = self.levels.len();
        self.levels.extend_from_slice(diff.asks);
        self.diffs.push(Kept { head: diff.head, bids_at, asks_at, end: self.levels.len() });
    }

    /// Last update id of the newest.
    pub(super) fn last_id(&self) -> Option<u64> {
        self.diffs.last().map(|kept| kept.head.last_id)
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = DepthRef<'_>> {
        self.diffs.iter().map(|kept| DepthRef {
            head: kept.head,
            bids: &self.levels[kept.bids_at..kept.asks_at],
            asks: &self.levels[kept.asks_at..kept.end],
        })
    }
}
