//! The Redis sink tile: the session's own journal in, stream entries and positions out. Cold.
//!
//! It follows the journal's files as anybody outside could, so no hot thread does anything for it: neither a ring nor a
//! counter. What it cannot deliver waits in a bounded queue and is then dropped, counted, and closed by a whole book; the
//! session never waits for it and never ends because of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Tile;
use super::fate::Fate;
use crate::feed::Backoff;
use crate::gateway::wall_now;
use crate::journal::{JournalError, JournalReader, StreamFollower};
use crate::metrics::{Board, Count, Gauge, LatestReader};
use crate::pipeline::PipelineSnapshot;
use crate::redis::{Publisher, Sink, Statements};
use crate::topology::tile;
use crate::wire::{Kind, Stream};

/// Pause between two looks at the journal that found nothing.
const POLL: Duration = Duration::from_millis(5);
/// How long the end may take: for the last records of the other tiles, and for what still waits.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the tile is made of.
pub struct RedisSinkParts {
    /// The session's journal.
    pub journal: JournalReader,
    /// Stream entries.
    pub publisher: Publisher,
    /// Whether there are any: a session whose market comes from Redis publishes its positions alone.
    pub publishes: bool,
    /// Positions and profit; `None` for a session that has none.
    pub statements: Option<Statements>,
    /// Where both go.
    pub sink: Sink,
    /// The newest figures of each instrument.
    pub figures: Vec<LatestReader<PipelineSnapshot>>,
    /// Seed of the pauses between attempts to connect.
    pub seed: u64,
    /// The engine's life.
    pub fate: Arc<Fate>,
    /// The board.
    pub board: Arc<Board>,
}

/// See the module.
pub struct RedisSinkTile {
    parts: RedisSinkParts,
    /// What follows the feed stream; `None` when nothing of it is published, or after damage that it cannot pass.
    feed: Option<StreamFollower>,
    quote: Option<StreamFollower>,
    feed_ended: bool,
    quote_ended: bool,
    backoff: Backoff,
    try_at: Instant,
    /// Since when the server is away, and how much had been dropped then.
    away: Option<u64>,
    end_by: Option<Instant>,
    done: bool,
}

impl RedisSinkTile {
    /// A tile that starts with the journal's first record.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn new(parts: RedisSinkParts) -> Result<RedisSinkTile, JournalError> {
        let feed = match parts.publishes {
            true => Some(StreamFollower::new(&parts.journal, Stream::Feed, 0)?),
            false => None,
        };
        let quote = match &parts.statements {
            Some(_) => Some(StreamFollower::new(&parts.journal, Stream::Quote, 0)?),
            None => None,
        };
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), parts.seed);
        Ok(RedisSinkTile {
            feed_ended: feed.is_none(),
            feed,
            quote_ended: quote.is_none(),
            quote,
            backoff,
            try_at: Instant::now(),
            away: None,
            end_by: None,
            done: false,
            parts,
        })
    }

    /// Takes what was journaled since the last look.
    fn follow(&mut self) -> usize {
        let mut work = 0;
        let publisher = &mut self.parts.publisher;
        if let Some(feed) = &mut self.feed {
            let mut ended = false;
            let mut failed = None;
            let polled = feed.poll(|record| {
                ended |= record.header.kind == Kind::End;
                failed = failed.or(publisher.on_record(record).err());
            });
            self.feed_ended |= ended;
            match (polled, failed) {
                (Ok(given), None) => work += given as usize,
                (polled, failed) => {
                    let why = polled.err().map(|error| error.to_string());
                    let why = why.or(failed.map(|error| error.to_string())).unwrap_or_default();
                    warn!("nothing more of the market goes to Redis: the journal cannot be followed: {why}");
                    (self.feed, self.feed_ended) = (None, true);
                }
            }
        }
        if let (Some(quote), Some(statements)) = (&mut self.quote, &mut self.parts.statements) {
            let mut ended = false;
            let mut failed = None;
            let polled = quote.poll(|record| {
                ended |= record.header.kind == Kind::End;
                failed = failed.or(statements.on_record(record).err());
            });
            self.quote_ended |= ended;
            match (polled, failed) {
                (Ok(given), None) => work += given as usize,
                (polled, failed) => {
                    let why = polled.err().map(|error| error.to_string());
                    let why = why.or(failed.map(|error| error.to_string())).unwrap_or_default();
                    warn!("no further position goes to Redis: the journal cannot be followed: {why}");
                    (self.quote, self.quote_ended) = (None, true);
                }
            }
            // The quote tile leaves its last figures before it ends its stream.
            for (index, reader) in self.parts.figures.iter().enumerate() {
                if let Some(figures) = reader.get() {
                    statements.on_figures(index, &figures, ended);
                }
            }
        }
        work
    }

    fn deliver(&mut self) -> usize {
        let RedisSinkParts { publisher, statements, sink, board, .. } = &mut self.parts;
        if !sink.is_connected() {
            if Instant::now() < self.try_at {
                return 0;
            }
            match sink.connect(publisher, statements.as_mut(), wall_now()) {
                Ok(()) => {
                    board.set(Gauge::RedisUp, 1);
                    self.backoff.reset();
                    match self.away.take() {
                        None => info!(address = sink.address(), "publishing to Redis"),
                        Some(before) => {
                            let dropped = publisher.dropped() - before;
                            info!(address = sink.address(), dropped, "Redis is back");
                        }
                    }
                }
                Err(error) => {
                    self.fail(&error.to_string());
                    return 0;
                }
            }
        }
        match self.parts.sink.deliver(&mut self.parts.publisher, self.parts.statements.as_mut()) {
            Ok(count) => {
                self.parts.board.bump(Count::RedisEntries, count as u64);
                count
            }
            Err(error) => {
                self.fail(&error.to_string());
                0
            }
        }
    }

    /// The server is away: said once an outage.
    fn fail(&mut self, why: &str) {
        self.try_at = Instant::now() + self.backoff.wait();
        self.parts.board.set(Gauge::RedisUp, 0);
        if self.away.is_none() {
            self.away = Some(self.parts.publisher.dropped());
            self.parts.board.bump(Count::RedisOutages, 1);
            let address = self.parts.sink.address();
            warn!("E_REDIS_004: Redis at {address} cannot be used; trying again. {why}");
        }
    }

    fn see_to_the_end(&mut self) {
        if !self.parts.fate.must_end() {
            return;
        }
        let end_by = *self.end_by.get_or_insert_with(|| Instant::now() + LAST_WORDS);
        let told_all = self.parts.publisher.waiting().is_empty()
            && self.parts.statements.as_ref().is_none_or(|statements| statements.waiting().is_empty());
        let nothing_left = self.feed_ended && self.quote_ended && (told_all || !self.parts.sink.is_connected());
        if nothing_left || Instant::now() >= end_by {
            self.parts.publisher.give_up();
            self.done = true;
        }
    }
}

impl Tile for RedisSinkTile {
    fn name(&self) -> &'static str {
        tile::REDIS_SINK
    }

    fn step(&mut self) -> usize {
        if self.done {
            return 0;
        }
        let work = self.follow() + self.deliver();
        self.see_to_the_end();
        let board = &self.parts.board;
        board.put(Count::RedisDropped, self.parts.publisher.dropped());
        board.set(Gauge::RedisWaiting, self.parts.publisher.waiting().len() as i64);
        work
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn wait(&mut self, _limit: Duration) -> bool {
        std::thread::sleep(POLL);
        true
    }

    fn close(&mut self) {
        self.parts.board.set(Gauge::RedisUp, 0);
    }
}
