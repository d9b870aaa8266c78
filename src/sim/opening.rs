//! The moment at which a recorded book is known: a snapshot joined with the diffs around it, in whatever order they were
//! received. Owns the messages that wait for it.

use crate::wire::{DepthBuf, DepthKind, DepthRef};

/// Diffs that are waited through for a snapshot (about a minute of the protocol's cadence). A recording without one
/// starts from its diffs alone, and knows each level from the first diff that touches it.
const SNAPSHOT_PATIENCE: usize = 600;

/// A book that is not known yet.
#[derive(Debug, Default)]
pub(super) struct Opening {
    early: Vec<DepthBuf>,
}

impl Opening {
    /// Takes the next depth message. Once the book is known: the messages that make it up, to be applied in this order.
    pub(super) fn offer(&mut self, depth: DepthRef<'_>) -> Option<Vec<DepthBuf>> {
        let owned = || DepthBuf { head: depth.head, bids: depth.bids.to_vec(), asks: depth.asks.to_vec() };
        match depth.head.kind {
            DepthKind::Diff => {
                self.early.push(owned());
                (self.early.len() >= SNAPSHOT_PATIENCE).then(|| std::mem::take(&mut self.early))
            }
            DepthKind::Snapshot => {
                let last_id = depth.head.last_id;
                self.early.retain(|diff| diff.head.last_id > last_id);
                if self.early.first().is_some_and(|diff| !joins(diff, last_id)) {
                    return None;
                }
                Some(std::iter::once(owned()).chain(self.early.drain(..)).collect())
            }
        }
    }
}

/// Whether a diff is the first to apply after a snapshot: by the spot rule, or by the futures rule where it is stated.
fn joins(diff: &DepthBuf, last_id: u64) -> bool {
    diff.head.first_id <= last_id + 1 || diff.head.prev_id.is_some_and(|prev| prev <= last_id)
}
