//! Delivers what publisher and statements hold, over one connection that may go away at any time.
//!
//! Every entry is delivered once: after a new connection the server is asked for the last entry that it has of this
//! session. Blocks on the server; only ever called on a cold thread of its own.

use ::redis::{Connection, Pipeline, Value};

use super::publisher::Publisher;
use super::server::{Server, ServerError, instrument_key, stream_key};
use super::statements::Statements;
use crate::journal::InstrumentEntry;
use crate::types::{Instrument, SessionId, TimestampNs};

/// Entries and statements of one round trip: enough to keep up, few enough that an answer is never long in coming.
const BATCH: usize = 256;
/// Bytes of one round trip: books are large.
const BATCH_BYTES: usize = 1 << 20;

/// See the module.
pub struct Sink {
    server: Server,
    connection: Option<Connection>,
    session: String,
    streams: Vec<String>,
    entries: Vec<(String, String)>,
    maxlen: u64,
}

impl Sink {
    /// A sink without a connection. Streams keep about `maxlen` entries.
    pub fn new(server: Server, session: SessionId, instruments: &[Instrument], maxlen: u64) -> Sink {
        let entry = |instrument: &Instrument| {
            let text = serde_json::to_string(&InstrumentEntry::new(instrument)).unwrap_or_default();
            (instrument_key(instrument.symbol()), text)
        };
        Sink {
            server,
            connection: None,
            session: session.to_string(),
            streams: instruments.iter().map(|instrument| stream_key(instrument.symbol())).collect(),
            entries: instruments.iter().map(entry).collect(),
            maxlen,
        }
    }

    /// Where the server is.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Connects, tells the instruments, and finds out what the server already has.
    ///
    /// # Errors
    /// When that fails; there is no connection then.
    pub fn connect(
        &mut self,
        publisher: &mut Publisher,
        statements: Option<&mut Statements>,
        now: TimestampNs,
    ) -> Result<(), ServerError> {
        let mut connection = self.server.connect()?;
        for (key, text) in &self.entries {
            ::redis::cmd("SET").arg(key).arg(text).exec(&mut connection)?;
        }
        let mut delivered = Vec::new();
        for stream in &self.streams {
            let last: Value =
                ::redis::cmd("XREVRANGE").arg(stream).arg("+").arg("-").arg("COUNT").arg(1).query(&mut connection)?;
            delivered.push(self.position_of(&last));
        }
        publisher.on_connected(&delivered, now);
        if let Some(statements) = statements {
            statements.tell_all(now);
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// The place of a stream's last entry in this session; `None` when it is another's, or there is none.
    fn position_of(&self, last: &Value) -> Option<(u64, bool)> {
        let entries = super::source::entries(last)?;
        let (_, fields) = entries.first()?;
        let head = super::entry::parse_head(fields).ok().filter(|head| head.session == self.session)?;
        Some((head.seq, fields.iter().any(|(name, value)| *name == b"kind" && *value == b"book")))
    }

    /// Delivers a batch and returns how many entries of streams were in it.
    ///
    /// # Errors
    /// When the server fails; the connection is then gone, and what was not confirmed is kept.
    pub fn deliver(
        &mut self,
        publisher: &mut Publisher,
        statements: Option<&mut Statements>,
    ) -> Result<usize, ServerError> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let mut pipeline = Pipeline::new();
        let mut bytes = 0;
        let mut count = 0;
        for waiting in publisher.waiting().iter().take(BATCH) {
            pipeline
                .cmd("XADD")
                .arg(&self.streams[waiting.instrument])
                .arg("MAXLEN")
                .arg("~")
                .arg(self.maxlen)
                .arg("*");
            for (name, value) in &waiting.fields {
                pipeline.arg(*name).arg(value);
                bytes += value.len();
            }
            pipeline.ignore();
            count += 1;
            if bytes > BATCH_BYTES {
                break;
            }
        }
        let told = statements.as_ref().map_or(0, |statements| statements.waiting().len().min(BATCH));
        if let Some(statements) = &statements {
            for statement in statements.waiting().iter().take(told) {
                pipeline.cmd("HSET").arg(&statement.key);
                for (name, value) in &statement.fields {
                    pipeline.arg(*name).arg(value);
                }
                pipeline.ignore();
            }
        }
        if pipeline.is_empty() {
            return Ok(0);
        }
        if let Err(error) = pipeline.exec(connection) {
            self.connection = None;
            publisher.on_lost();
            return Err(error.into());
        }
        publisher.delivered(count);
        if let Some(statements) = statements {
            statements.delivered(told);
        }
        Ok(count)
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("server", &self.server).field("streams", &self.streams).finish_non_exhaustive()
    }
}
