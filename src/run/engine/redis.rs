//! What an engine has to do with a Redis server: the two tiles, and what is asked before they start.

use std::path::Path;
use std::sync::Arc;

use super::EngineMode;
use crate::config::{Config, RedisRole};
use crate::gateway::wall_now;
use crate::journal::JournalReader;
use crate::metrics::{Board, LatestReader};
use crate::pipeline::PipelineSnapshot;
use crate::redis::{Publisher, PublisherLimits, Server, ServerError, Sink, Source, Statements};
use crate::run::output::journal_failure;
use crate::run::{Failure, exit};
use crate::tiles::fate::Fate;
use crate::tiles::redis_sink::{RedisSinkParts, RedisSinkTile};
use crate::types::{Instrument, SessionId};

/// Says who we are to a server that is there: wrong credentials are known before a session begins. One that is away is a
/// warning from the tile later, and no reason not to begin.
///
/// # Errors
/// When the server refuses us.
pub fn greet(config: &Config) -> Result<(), Failure> {
    if config.redis.url.is_empty() {
        return Ok(());
    }
    let server = server(config)?;
    match server.connect() {
        Err(error @ ServerError::Refused(_)) => Err(refused(&server, &error)),
        _ => Ok(()),
    }
}

/// The sink tile of a session; `None` when it has nothing to publish, or nowhere to.
///
/// # Errors
/// When the journal cannot be followed.
#[allow(clippy::too_many_arguments, reason = "each is a part of the engine that the sink reads")]
pub fn sink(
    config: &Config,
    mode: EngineMode,
    session: SessionId,
    session_dir: &Path,
    instruments: &[Instrument],
    figures: &[LatestReader<PipelineSnapshot>],
    board: &Arc<Board>,
    fate: &Arc<Fate>,
) -> Result<Option<RedisSinkTile>, Failure> {
    let keys = &config.redis;
    let trades = mode.trades();
    let publishes = keys.role == RedisRole::Sink;
    if keys.url.is_empty() || !(publishes || trades) {
        return Ok(None);
    }
    let limits = PublisherLimits {
        queue_bytes: keys.queue_kb << 10,
        book_ns: keys.book_ms * 1_000_000,
        // A stream that is full of entries has a book among the last quarter of them.
        book_entries: (keys.maxlen / 4).max(1),
    };
    let statements = trades.then(|| Statements::new(session, instruments, keys.mark_ms * 1_000_000));
    let made = RedisSinkTile::new(RedisSinkParts {
        journal: JournalReader::open(session_dir).map_err(journal_failure)?,
        publisher: Publisher::new(session, instruments, config.venue.rule(), limits),
        publishes,
        statements,
        sink: Sink::new(server(config)?, session, instruments, keys.maxlen),
        figures: figures.to_vec(),
        seed: session.0,
        fate: Arc::clone(fate),
        board: Arc::clone(board),
    });
    made.map(Some).map_err(journal_failure)
}

/// The reader of another process's streams.
///
/// # Errors
/// When the url is none, which the configuration has checked before.
pub fn source(config: &Config, instruments: &[Instrument]) -> Result<Source, Failure> {
    Ok(Source::new(server(config)?, instruments, wall_now))
}

/// The session's instruments, as the recording process describes them.
///
/// # Errors
/// When the server cannot be asked, or nobody records a symbol.
pub fn instruments(config: &Config) -> Result<Vec<Instrument>, Failure> {
    let server = server(config)?;
    let found = crate::redis::instruments(&server, &config.symbols).map_err(|error| match &error {
        ServerError::Refused(_) => refused(&server, &error),
        _ => Failure::new(
            "E_REDIS_002",
            exit::VENUE,
            format!("Redis at {} does not tell the instruments", server.address()),
            error.to_string(),
            "check redis.url, and start the recording session first",
        ),
    })?;
    let named = config.symbols.iter().zip(found);
    named
        .map(|(symbol, found)| {
            found.ok_or_else(|| {
                Failure::new(
                    "E_REDIS_002",
                    exit::VENUE,
                    format!("Redis at {} has no instrument {symbol}", server.address()),
                    "no session has published it there",
                    "start the recording session first, with the same redis.url, or check `symbols`",
                )
            })
        })
        .collect()
}

fn server(config: &Config) -> Result<Server, Failure> {
    Server::new(config.redis.url.expose())
        .map_err(|error| Failure::bug(format!("a checked redis.url cannot be used: {error}")))
}

fn refused(server: &Server, error: &ServerError) -> Failure {
    Failure::new(
        "E_REDIS_001",
        exit::CONFIG,
        format!("Redis at {} refuses us", server.address()),
        error.to_string(),
        "check user and password in redis.url, and the user's permissions",
    )
}
