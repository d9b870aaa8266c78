//! The Redis source tile: another process's feed, from its streams to the feed tile. Cold; it blocks on the server.
//!
//! It stands where the market-data socket and the snapshot worker stand otherwise: events go over a link of their own to
//! the feed tile, which journals them as its own, and a book that wants a snapshot is given the next whole book of the
//! stream. When the link is full it waits, and the server keeps the rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quanta::Clock;
use rtrb::Consumer;
use tracing::{info, warn};

use super::Tile;
use super::doorbell::Doorbell;
use super::fate::Fate;
use super::message::SnapshotRequest;
use crate::feed::Backoff;
use crate::metrics::{Board, Count, Gauge};
use crate::redis::Source;
use crate::topology::{link, tile};
use crate::wire::{Flags, RecordBuf, Stream, UnitSender};

/// How long the server may keep a request open when nothing happens; the end of the session waits as long.
const BLOCK: Duration = Duration::from_millis(100);
/// Levels that a record has room for without growing.
const LEVELS: usize = 5000;

/// See the module.
pub struct RedisSourceTile {
    source: Source,
    feed: UnitSender,
    feed_bell: Arc<Doorbell>,
    requests: Consumer<SnapshotRequest>,
    buf: RecordBuf,
    clock: Clock,
    backoff: Backoff,
    try_at: Instant,
    is_away: bool,
    board: Arc<Board>,
    link: usize,
    fate: Arc<Fate>,
}

impl RedisSourceTile {
    /// A tile that connects with its first step. `requests` is the receiving end of `book_snapshot`.
    pub fn new(
        source: Source,
        feed: UnitSender,
        feed_bell: Arc<Doorbell>,
        requests: Consumer<SnapshotRequest>,
        seed: u64,
        board: Arc<Board>,
        fate: Arc<Fate>,
    ) -> RedisSourceTile {
        RedisSourceTile {
            source,
            feed,
            feed_bell,
            requests,
            buf: RecordBuf::with_capacity(256 + 2 * LEVELS * 16),
            clock: Clock::new(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(2), seed),
            try_at: Instant::now(),
            is_away: false,
            link: board.link_index(link::REDIS_FEED),
            board,
            fate,
        }
    }

    fn connect(&mut self) {
        if Instant::now() < self.try_at {
            return;
        }
        match self.source.connect() {
            Ok(()) => {
                self.backoff.reset();
                self.is_away = false;
                self.board.set(Gauge::MarketUp, 1);
                info!(address = self.source.address(), "reading market data from Redis");
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// The server is away: said once an outage. The books go stale by themselves, and the chain of entries shows later
    /// whether they have missed anything.
    fn fail(&mut self, why: &str) {
        self.try_at = Instant::now() + self.backoff.wait();
        self.board.set(Gauge::MarketUp, 0);
        if !std::mem::replace(&mut self.is_away, true) {
            self.board.add(Count::Disconnects, 1);
            warn!("E_REDIS_004: Redis at {} cannot be used; trying again. {why}", self.source.address());
        }
    }

    fn read(&mut self) -> usize {
        let RedisSourceTile { source, feed, feed_bell, buf, clock, fate, board, link, .. } = self;
        let answer = source.wait(BLOCK);
        let read_tsc = clock.raw();
        let given = answer.and_then(|answer| {
            source.take(&answer, |event, recv_ts| {
                let (kind, _) = event.encode(buf);
                let units = buf.finish(Stream::Feed, kind, Flags::NONE, 0, recv_ts);
                // The worker is cold and may wait for the reader; at the end nobody reads any more.
                while feed.send_stamped(units, read_tsc).is_err() && !fate.must_end() {
                    feed_bell.ring();
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        });
        board.links()[*link].note(feed.used());
        feed_bell.ring();
        match given {
            Ok(given) => given,
            Err(error) => {
                self.fail(&error.to_string());
                0
            }
        }
    }
}

impl Tile for RedisSourceTile {
    fn name(&self) -> &'static str {
        tile::REDIS_SOURCE
    }

    fn step(&mut self) -> usize {
        if self.is_done() {
            return 0;
        }
        while let Ok(instrument) = self.requests.pop() {
            self.source.want_book(instrument);
        }
        if !self.source.is_connected() {
            self.connect();
            return 0;
        }
        let read = self.read();
        self.board.put(Count::Malformed, self.source.malformed());
        read
    }

    fn is_done(&self) -> bool {
        self.fate.must_end()
    }

    fn close(&mut self) {
        self.board.set(Gauge::MarketUp, 0);
    }
}
