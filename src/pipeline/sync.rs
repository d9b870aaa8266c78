//! Keeps one book in step with the venue.

/// Which of Binance's two rules joins diffs to a snapshot and to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRule {
    /// Spot: the next diff's `U` is at most the last `u` plus one.
    Spot,
    /// USD-M futures: the next diff's `pu` is the last `u`.
    UsdM,
}

/// What a book has been through since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SyncCounters {
    /// Diffs applied to the book.
    pub diffs_applied: u64,
    /// Diffs that were older than the book and were dropped.
    pub diffs_stale: u64,
    /// Gaps found between two diffs.
    pub gaps: u64,
    /// Times that the book became crossed after a diff.
    pub crossings: u64,
    /// Snapshots that joined the stream.
    pub snapshots_joined: u64,
    /// Snapshots that were too old or did not join.
    pub snapshots_refused: u64,
}
