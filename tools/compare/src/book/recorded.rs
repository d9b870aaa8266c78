//! The books of recorded files as a workload.

use std::path::PathBuf;

use touchline::import::Recording;
use touchline::types::{Level, Side};
use touchline::wire::{DepthBuf, DepthKind, DepthRef, FeedEvent};

use super::workload::{Stream, Workload};

/// The first symbol's updates, in its messages, from its first snapshot on; at most about `most`.
///
/// A later snapshot becomes the updates that lead to it.
pub fn recorded(files: &[PathBuf], most: usize) -> Result<Workload, String> {
    let recording = Recording::open(files).map_err(|error| error.to_string())?;
    let instrument = *recording.instruments().first().ok_or("the recording names no symbol")?;
    let mut stream = Stream::default();
    // A snapshot may stand behind diffs that are newer: those wait for it.
    let (mut last_id, mut early, mut filled) = (None, Vec::new(), 0);
    recording
        .for_each(|_, event| {
            let FeedEvent::Depth(depth) = event else { return };
            if depth.head.instrument != instrument.id || stream.updates.len() >= filled + most {
                return;
            }
            if depth.head.kind == DepthKind::Snapshot {
                replace(&mut stream, *depth);
                if last_id.is_none() {
                    filled = stream.updates.len();
                }
                for diff in early.drain(..).filter(|diff: &DepthBuf| diff.head.last_id > depth.head.last_id) {
                    apply(&mut stream, diff.as_ref());
                }
                last_id = Some(depth.head.last_id);
            } else if last_id.is_none() {
                early.push(DepthBuf { head: depth.head, bids: depth.bids.to_vec(), asks: depth.asks.to_vec() });
            } else if last_id.is_some_and(|last_id| depth.head.last_id > last_id) {
                apply(&mut stream, *depth);
            }
        })
        .map_err(|error| error.to_string())?;
    if stream.updates.len() == filled {
        return Err("the recording has no snapshot with diffs after it".to_owned());
    }
    Ok(stream.workload("recorded", instrument, filled))
}

fn sides<'a>(depth: DepthRef<'a>) -> [(Side, &'a [Level]); 2] {
    [(Side::Bid, depth.bids), (Side::Ask, depth.asks)]
}

fn apply(stream: &mut Stream, depth: DepthRef<'_>) {
    for (side, levels) in sides(depth) {
        for level in levels {
            stream.set(side, level.price.ticks(), level.qty.lots());
        }
    }
    stream.end_message();
}

fn replace(stream: &mut Stream, depth: DepthRef<'_>) {
    for (side, levels) in sides(depth) {
        let stays = |tick: &i64| levels.iter().any(|level| level.price.ticks() == *tick);
        let gone: Vec<i64> = stream.book.sides[side.index()].keys().copied().filter(|tick| !stays(tick)).collect();
        gone.into_iter().for_each(|tick| stream.set(side, tick, 0));
    }
    apply(stream, depth);
}
