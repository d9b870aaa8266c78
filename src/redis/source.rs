//! Another process's feed, read from its streams: entries in, feed events out.
//!
//! Each instrument's entries form a chain: every one names the record before it. Where the chain breaks (entries were
//! trimmed away, the sink dropped some, another session began) the book is told that it may have missed something, and it
//! starts again from the next whole book in the stream. So a book is right or known not to be. Blocks on the server; only
//! ever called on a cold thread of its own.

use std::time::{Duration, Instant};

use ::redis::{Connection, Value};

use super::entry::{EntryHead, Parsed, parse, parse_head};
use super::server::{Server, ServerError, instrument_key, stream_key};
use crate::journal::InstrumentEntry;
use crate::types::{DesyncReason, Instrument, InstrumentId, TimestampNs};
use crate::wire::{DepthBuf, FeedEvent, FeedNotice};

/// Entries of one answer: a backlog is read in few round trips, and an answer stays below a few MiB.
const BATCH: usize = 512;
/// How often the server's clock is compared with ours.
const CLOCK_EVERY: Duration = Duration::from_secs(30);

/// An entry's id and its fields, borrowed from the answer.
pub(super) type Entry<'a> = (&'a str, Vec<(&'a [u8], &'a [u8])>);

/// Where the reader stands in one instrument's stream.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// Id of the last entry read.
    last_id: String,
    session: String,
    /// Number of the last record taken.
    seq: u64,
    /// Whether the next whole book is wanted.
    wants_book: bool,
}

/// What the server answered to a request for entries.
#[derive(Debug)]
pub struct Answer(Value);

/// See the module.
pub struct Source {
    server: Server,
    connection: Option<Connection>,
    instruments: Vec<Instrument>,
    lanes: Vec<Lane>,
    depth: DepthBuf,
    /// Our clock minus the server's, in nanoseconds.
    offset_ns: i64,
    compared_at: Instant,
    now: fn() -> TimestampNs,
    malformed: u64,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("server", &self.server).field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

/// The instruments of these symbols, as their recording process describes them; `None` for one that nobody records.
///
/// # Errors
/// When the server cannot be asked, or an instrument's text is none.
pub fn instruments(server: &Server, symbols: &[String]) -> Result<Vec<Option<Instrument>>, ServerError> {
    let mut connection = server.connect()?;
    let mut found = Vec::new();
    for (index, symbol) in symbols.iter().enumerate() {
        let text: Option<String> = ::redis::cmd("GET").arg(instrument_key(symbol)).query(&mut connection)?;
        let made = text.map(|text| {
            let entry: InstrumentEntry = serde_json::from_str(&text).ok()?;
            entry.instrument(InstrumentId(index as u16)).ok()
        });
        match made {
            None => found.push(None),
            Some(Some(instrument)) => found.push(Some(instrument)),
            Some(None) => return Err(ServerError::Answer("GET instrument:…")),
        }
    }
    Ok(found)
}

impl Source {
    /// A reader of these instruments' streams, without a connection. `now` is the wall clock.
    pub fn new(server: Server, instruments: &[Instrument], now: fn() -> TimestampNs) -> Source {
        Source {
            server,
            connection: None,
            instruments: instruments.to_vec(),
            lanes: vec![Lane { wants_book: true, ..Lane::default() }; instruments.len()],
            depth: DepthBuf::with_capacity(crate::types::DEPTH_LEVELS_MAX / 2),
            offset_ns: 0,
            compared_at: Instant::now(),
            now,
            malformed: 0,
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

    /// Entries that could not be read.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The instrument's book asks for a whole one: the next in the stream is given.
    pub fn want_book(&mut self, instrument: InstrumentId) {
        if let Some(lane) = self.lanes.get_mut(instrument.index()) {
            lane.wants_book = true;
        }
    }

    /// Connects. The first time, each stream is read from its newest whole book on; later, from where it was left: the
    /// chain shows whether anything is missing.
    ///
    /// # Errors
    /// When that fails; there is no connection then.
    pub fn connect(&mut self) -> Result<(), ServerError> {
        let mut connection = self.server.connect()?;
        self.offset_ns = compare_clocks(&mut connection, self.now)?;
        self.compared_at = Instant::now();
        for (instrument, lane) in self.instruments.iter().zip(&mut self.lanes) {
            if lane.last_id.is_empty() {
                lane.last_id = before_newest_book(&mut connection, &stream_key(instrument.symbol()))?;
            }
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Waits for entries, `wait` at most (well below the patience with the server).
    ///
    /// # Errors
    /// When the server fails; the connection is then gone.
    pub fn wait(&mut self, wait: Duration) -> Result<Answer, ServerError> {
        let Some(mut connection) = self.connection.take() else { return Ok(Answer(Value::Nil)) };
        if self.compared_at.elapsed() >= CLOCK_EVERY {
            self.offset_ns = compare_clocks(&mut connection, self.now)?;
            self.compared_at = Instant::now();
        }
        let mut command = ::redis::cmd("XREAD");
        command.arg("COUNT").arg(BATCH).arg("BLOCK").arg(wait.as_millis() as u64).arg("STREAMS");
        for instrument in &self.instruments {
            command.arg(stream_key(instrument.symbol()));
        }
        for lane in &self.lanes {
            command.arg(&lane.last_id);
        }
        let answer: Value = command.query(&mut connection)?;
        self.connection = Some(connection);
        Ok(Answer(answer))
    }

    /// Gives the events of an answer, in order, and returns how many entries it had. A time of reading is that of the
    /// entry's arrival at the server, in our clock: what has lain there is as old as it is.
    ///
    /// # Errors
    /// When it is no answer to what was asked; the connection is then dropped.
    pub fn take(
        &mut self,
        answer: &Answer,
        each: impl FnMut(&FeedEvent<'_>, TimestampNs),
    ) -> Result<usize, ServerError> {
        self.take_streams(&answer.0, each).inspect_err(|_| self.connection = None)
    }

    fn take_streams(
        &mut self,
        answer: &Value,
        mut each: impl FnMut(&FeedEvent<'_>, TimestampNs),
    ) -> Result<usize, ServerError> {
        let mut given = 0;
        for (key, value) in streams(answer).ok_or(ServerError::Answer("XREAD"))? {
            let named = |instrument: &Instrument| stream_key(instrument.symbol()).as_bytes() == key;
            let index = self.instruments.iter().position(named).ok_or(ServerError::Answer("XREAD"))?;
            for (id, fields) in entries(value).ok_or(ServerError::Answer("XREAD"))? {
                let recv_ts = self.arrived(id);
                self.take_entry(index, &fields, recv_ts, &mut each);
                self.lanes[index].last_id.clear();
                self.lanes[index].last_id.push_str(id);
                given += 1;
            }
        }
        Ok(given)
    }

    /// When an entry reached the server, in our clock; its id begins with the server's milliseconds.
    fn arrived(&self, id: &str) -> TimestampNs {
        let now = (self.now)();
        let millis: Option<i64> = id.split('-').next().and_then(|text| text.parse().ok());
        let at = millis.map(|millis| millis.saturating_mul(1_000_000).saturating_add(self.offset_ns));
        at.and_then(|at| u64::try_from(at).ok()).map_or(now, |at| TimestampNs::from_nanos(at).min(now))
    }

    /// Takes one entry: checks its place, tells a hole, gives its event.
    fn take_entry(
        &mut self,
        index: usize,
        fields: &[(&[u8], &[u8])],
        recv_ts: TimestampNs,
        each: &mut impl FnMut(&FeedEvent<'_>, TimestampNs),
    ) {
        let instrument = self.instruments[index];
        let read = parse_head(fields)
            .and_then(|head| parse(fields, &instrument, recv_ts, &mut self.depth).map(|event| (head, event)));
        let lane = &mut self.lanes[index];
        let mut hole = |lane: &mut Lane, reason| {
            lane.wants_book = true;
            let notice = FeedNotice { instrument: Some(instrument.id), reason, recv_ts };
            each(&FeedEvent::Notice(notice), recv_ts);
        };
        let Ok((head, event)) = read else {
            self.malformed += 1;
            hole(lane, DesyncReason::Malformed);
            return;
        };
        match lane.place(&head, event == Parsed::Book) {
            Place::Known => return,
            Place::Next => {}
            Place::Hole(reason) => hole(lane, reason),
        }
        lane.seq = head.seq;
        if head.session != lane.session {
            lane.session = head.session.to_owned();
        }
        // The recording engine's book never saw it, and the notice that follows says so.
        if head.dropped {
            return;
        }
        let notice = |reason| FeedNotice { instrument: Some(instrument.id), reason, recv_ts };
        let event = match event {
            Parsed::Book if !std::mem::take(&mut lane.wants_book) => return,
            Parsed::Depth | Parsed::Book => FeedEvent::Depth(self.depth.as_ref()),
            Parsed::Trade(trade) => FeedEvent::Trade(trade),
            Parsed::AggTrade(trade) => FeedEvent::AggTrade(trade),
            Parsed::Touch(touch) => FeedEvent::Touch(touch),
            Parsed::Notice(reason) => FeedEvent::Notice(notice(reason)),
        };
        each(&event, recv_ts);
    }
}

/// How an entry stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It was taken before.
    Known,
    /// It is the next one.
    Next,
    /// Something between is missing.
    Hole(DesyncReason),
}

impl Lane {
    fn place(&self, head: &EntryHead<'_>, is_book: bool) -> Place {
        if head.session != self.session {
            // The very first entry read has no predecessor that could be missed, if it is a whole book.
            let first = self.session.is_empty() && (is_book || head.prev == 0);
            return if first { Place::Next } else { Place::Hole(DesyncReason::Disconnected) };
        }
        match is_book {
            true if head.seq < self.seq => Place::Known,
            true if head.seq == self.seq => Place::Next,
            false if head.seq <= self.seq => Place::Known,
            false if head.prev == self.seq => Place::Next,
            _ => Place::Hole(DesyncReason::Gap),
        }
    }
}

/// Our clock minus the server's, in nanoseconds, off by half a round trip at most.
fn compare_clocks(connection: &mut Connection, now: fn() -> TimestampNs) -> Result<i64, ServerError> {
    let before = now().nanos();
    let (seconds, micros): (i64, i64) = ::redis::cmd("TIME").query(connection)?;
    let after = now().nanos();
    let server_ns = seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1_000));
    Ok((before / 2 + after / 2) as i64 - server_ns)
}

/// The id to read a stream from, so that its newest whole book comes first; from its start where it has none.
fn before_newest_book(connection: &mut Connection, key: &str) -> Result<String, ServerError> {
    let mut end = "+".to_owned();
    loop {
        let page: Value =
            ::redis::cmd("XREVRANGE").arg(key).arg(&end).arg("-").arg("COUNT").arg(BATCH).query(connection)?;
        let page = entries(&page).ok_or(ServerError::Answer("XREVRANGE"))?;
        let is_book = |fields: &[(&[u8], &[u8])]| fields.contains(&(b"kind", b"book"));
        if let Some((id, _)) = page.iter().find(|(_, fields)| is_book(fields)) {
            return before(id).ok_or(ServerError::Answer("XREVRANGE"));
        }
        let Some((oldest, _)) = page.last().filter(|_| page.len() == BATCH) else { return Ok("0-0".to_owned()) };
        end = before(oldest).ok_or(ServerError::Answer("XREVRANGE"))?;
    }
}

/// The greatest id below one.
fn before(id: &str) -> Option<String> {
    let (millis, count) = id.split_once('-')?;
    let (millis, count): (u64, u64) = (millis.parse().ok()?, count.parse().ok()?);
    Some(match count.checked_sub(1) {
        Some(count) => format!("{millis}-{count}"),
        None => format!("{}-{}", millis.checked_sub(1)?, u64::MAX),
    })
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Keys and entries of an answer to XREAD; none when nothing came in time.
fn streams(answer: &Value) -> Option<Vec<(&[u8], &Value)>> {
    let Value::Array(streams) = answer else { return matches!(answer, Value::Nil).then(Vec::new) };
    let mut found = Vec::with_capacity(streams.len());
    for stream in streams {
        let Value::Array(parts) = stream else { return None };
        found.push((bytes(parts.first()?)?, parts.get(1)?));
    }
    Some(found)
}

/// The entries of a stream, as XRANGE, XREVRANGE and XREAD answer them.
pub(super) fn entries(value: &Value) -> Option<Vec<Entry<'_>>> {
    let Value::Array(entries) = value else { return None };
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let Value::Array(parts) = entry else { return None };
        let id = std::str::from_utf8(bytes(parts.first()?)?).ok()?;
        let Value::Array(fields) = parts.get(1)? else { return None };
        let pairs = fields.chunks_exact(2).map(|pair| Some((bytes(&pair[0])?, bytes(&pair[1])?)));
        found.push((id, pairs.collect::<Option<Vec<_>>>()?));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(session: &str, seq: u64, prev: u64) -> EntryHead<'_> {
        EntryHead { session, seq, prev, recv_ts: TimestampNs::ZERO, dropped: false }
    }

    #[test]
    fn a_chain_that_breaks_is_a_hole_and_what_comes_twice_is_known() {
        let lane = Lane { session: "tl1".to_owned(), seq: 10, ..Lane::default() };
        for (head, is_book, want) in [
            (head("tl1", 11, 10), false, Place::Next),
            (head("tl1", 15, 10), false, Place::Next),
            (head("tl1", 15, 14), false, Place::Hole(DesyncReason::Gap)),
            (head("tl1", 10, 9), false, Place::Known),
            (head("tl1", 10, 0), true, Place::Next),
            (head("tl1", 9, 0), true, Place::Known),
            (head("tl1", 12, 0), true, Place::Hole(DesyncReason::Gap)),
            (head("tl2", 1, 0), false, Place::Hole(DesyncReason::Disconnected)),
            (head("tl2", 11, 10), false, Place::Hole(DesyncReason::Disconnected)),
        ] {
            assert_eq!(lane.place(&head, is_book), want, "{head:?} {is_book}");
        }
        let fresh = Lane::default();
        assert_eq!(fresh.place(&head("tl1", 1, 0), false), Place::Next);
        assert_eq!(fresh.place(&head("tl1", 9, 0), true), Place::Next);
        assert_eq!(fresh.place(&head("tl1", 9, 8), false), Place::Hole(DesyncReason::Disconnected));
    }

    #[test]
    fn the_id_below_one_is_the_greatest_of_them() {
        assert_eq!(before("5-1").as_deref(), Some("5-0"));
        assert_eq!(before("5-0"), Some(format!("4-{}", u64::MAX)));
        assert_eq!(before("0-0"), None);
        assert_eq!(before("x"), None);
    }
}
