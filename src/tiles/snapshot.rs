//! The snapshot tile: REST depth for books that have to join their stream. Cold; it blocks on the venue.

use std::sync::Arc;

use rtrb::{Consumer, Producer, PushError};
use tracing::warn;

use super::Tile;
use super::fate::Fate;
use super::message::SnapshotRequest;
use crate::gateway::{Http, Limiter, VenueClock, wall_now};
use crate::topology::tile;
use crate::types::{DEPTH_LEVELS_MAX, Instrument, TimestampNs};
use crate::venue::binance::decode::decode_snapshot;
use crate::venue::binance::rest::{Reply, path};
use crate::wire::DepthBuf;

/// Levels a side: 1000 cost a fifth of the weight of 5000 and reach 1 % and more from the touch of any liquid symbol.
const SNAPSHOT_LEVELS: usize = 1000;
const SNAPSHOT_WEIGHT: u64 = 50;

/// See the module.
pub struct SnapshotTile {
    requests: Consumer<SnapshotRequest>,
    feed: Producer<Box<DepthBuf>>,
    returns: Consumer<Box<DepthBuf>>,
    http: Http,
    instruments: Vec<Instrument>,
    limiter: Limiter,
    clock: VenueClock,
    held: Option<Box<DepthBuf>>,
    fate: Arc<Fate>,
}

impl SnapshotTile {
    /// A tile before its first request.
    #[allow(clippy::too_many_arguments, reason = "each is one end of a link or a shared part, named where it is made")]
    pub fn new(
        requests: Consumer<SnapshotRequest>,
        feed: Producer<Box<DepthBuf>>,
        returns: Consumer<Box<DepthBuf>>,
        http: Http,
        instruments: &[Instrument],
        limiter: Limiter,
        clock: VenueClock,
        fate: Arc<Fate>,
    ) -> SnapshotTile {
        let instruments = instruments.to_vec();
        SnapshotTile { requests, feed, returns, http, instruments, limiter, clock, held: None, fate }
    }

    fn fetch(&mut self, instrument: &Instrument) -> Option<Box<DepthBuf>> {
        let venue_now = TimestampNs::from_millis(self.clock.venue_millis(wall_now()));
        self.limiter.spend(venue_now, SNAPSHOT_WEIGHT);
        let query = format!("{}?symbol={}&limit={SNAPSHOT_LEVELS}", path::DEPTH, instrument.symbol());
        let mut depth = self.returns.pop().unwrap_or_else(|_| Box::new(DepthBuf::with_capacity(DEPTH_LEVELS_MAX / 2)));
        match self.http.get(&query) {
            Reply::Answer { status: 200, body } => match decode_snapshot(body, instrument, wall_now(), &mut depth) {
                Ok(()) => return Some(depth),
                Err(error) => warn!(symbol = instrument.symbol(), %error, "the snapshot cannot be read"),
            },
            Reply::Answer { status, .. } => warn!(symbol = instrument.symbol(), status, "the snapshot was refused"),
            Reply::NotSent | Reply::Lost => {
                warn!(symbol = instrument.symbol(), why = self.http.failure(), "no snapshot");
            }
        }
        None
    }
}

impl Tile for SnapshotTile {
    fn name(&self) -> &'static str {
        tile::SNAPSHOT
    }

    fn step(&mut self) -> usize {
        if let Some(depth) = self.held.take()
            && let Err(PushError::Full(depth)) = self.feed.push(depth)
        {
            self.held = Some(depth);
            return 0;
        }
        let Ok(id) = self.requests.pop() else { return 0 };
        let instrument = self.instruments[id.index()];
        // Without an answer the book asks again after its own back-off.
        self.held = self.fetch(&instrument);
        1
    }

    fn is_done(&self) -> bool {
        self.fate.must_end()
    }
}
