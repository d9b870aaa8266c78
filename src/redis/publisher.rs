//! Feed records as stream entries, in a bounded queue, with whole books where a reader needs one.
//!
//! Takes every record of the session's feed stream in order, keeps the books as the book tile does, and holds the entries
//! until they are delivered. When more wait than may, the oldest are dropped and counted; the entries after them name the
//! record before, so that a reader sees the hole, and the next book closes it. Pure: no socket, no clock.

use std::collections::VecDeque;

use super::entry::{EntryHead, Fields, encode, encode_book};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::types::{BookState, Instrument, InstrumentId, SessionId, TimestampNs};
use crate::wire::{FeedEvent, Flags, Record, RecordError};

/// How much is kept, and how often a whole book is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherLimits {
    /// Bytes of entries that wait at most.
    pub queue_bytes: usize,
    /// Longest time between two books of an instrument, in nanoseconds.
    pub book_ns: u64,
    /// Most entries between two books of an instrument.
    pub book_entries: u64,
}

/// An entry that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which instrument.
    pub instrument: usize,
    /// Number of its feed record, or of the last one in a book.
    pub seq: u64,
    /// Whether it is a whole book.
    pub is_book: bool,
    /// Its fields.
    pub fields: Fields,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// Number of the instrument's last record.
    last: u64,
    since_book: u64,
    book_at: TimestampNs,
    /// A book is owed as soon as there is one to be trusted.
    owed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Publisher {
    session: String,
    instruments: Vec<Instrument>,
    stage: MarketStage,
    limits: PublisherLimits,
    lanes: Vec<Lane>,
    queue: VecDeque<Waiting>,
    queued_bytes: usize,
    dropped: u64,
    /// Without a reader at the other end, books would only push other entries out.
    tells_books: bool,
}

impl Publisher {
    /// A publisher of a session before its first record, without a connection.
    pub fn new(session: SessionId, instruments: &[Instrument], rule: SyncRule, limits: PublisherLimits) -> Publisher {
        Publisher {
            session: session.to_string(),
            instruments: instruments.to_vec(),
            stage: MarketStage::new(instruments, rule),
            limits,
            lanes: vec![Lane::default(); instruments.len()],
            queue: VecDeque::new(),
            queued_bytes: 0,
            dropped: 0,
            tells_books: false,
        }
    }

    /// Takes the next record of the feed stream.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn on_record(&mut self, record: &Record<'_>) -> Result<(), RecordError> {
        if record.header.kind == crate::wire::Kind::End {
            return Ok(());
        }
        let event = FeedEvent::decode(record)?;
        let dropped = record.header.flags.has(Flags::DROPPED);
        if !dropped {
            // As in a replay: the books hold what the session's own book tile saw.
            let _ = self.stage.on_event(&event);
        }
        let whose = match event {
            FeedEvent::Depth(depth) => Some(depth.head.instrument),
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => Some(trade.instrument),
            FeedEvent::Touch(touch) => Some(touch.instrument),
            FeedEvent::Notice(notice) => notice.instrument,
            FeedEvent::Raw(_) => return Ok(()),
        };
        let all = 0..self.instruments.len();
        for index in all.filter(|index| whose.is_none_or(|id| id.index() == *index)) {
            let instrument = self.instruments[index];
            let (seq, recv_ts) = (record.header.seq, record.header.ts);
            let prev = std::mem::replace(&mut self.lanes[index].last, seq);
            self.lanes[index].since_book += 1;
            let head = EntryHead { session: &self.session, seq, prev, recv_ts, dropped };
            if let Some(fields) = encode(head, &event, &instrument) {
                self.put(index, seq, false, fields);
            }
            self.tell_book_if_due(index, recv_ts);
        }
        Ok(())
    }

    /// Says that there is a connection, to a server that may know nothing: `delivered` tells for each instrument the
    /// last entry of this session that it has. Those are not sent again, and every instrument's book is told anew.
    pub fn on_connected(&mut self, delivered: &[Option<(u64, bool)>], now: TimestampNs) {
        let has = |waiting: &Waiting| {
            delivered[waiting.instrument].is_some_and(|last| (waiting.seq, waiting.is_book) <= last)
        };
        self.queue.retain(|waiting| !has(waiting));
        self.queued_bytes = self.queue.iter().map(|waiting| waiting.bytes).sum();
        self.tells_books = true;
        for index in 0..self.lanes.len() {
            self.lanes[index].owed = true;
            self.tell_book_if_due(index, now);
        }
    }

    /// Says that the connection is gone.
    pub fn on_lost(&mut self) {
        self.tells_books = false;
    }

    /// What waits, oldest first.
    pub fn waiting(&self) -> &VecDeque<Waiting> {
        &self.queue
    }

    /// Says that the first `count` have been delivered.
    pub fn delivered(&mut self, count: usize) {
        for waiting in self.queue.drain(..count.min(self.queue.len())) {
            self.queued_bytes -= waiting.bytes;
        }
    }

    /// Gives up what waits: the session ends.
    pub fn give_up(&mut self) {
        self.dropped += self.queue.iter().filter(|waiting| !waiting.is_book).count() as u64;
        self.queue.clear();
        self.queued_bytes = 0;
    }

    /// Records that were dropped because too much waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn tell_book_if_due(&mut self, index: usize, now: TimestampNs) {
        let lane = self.lanes[index];
        let due = lane.owed
            || lane.since_book >= self.limits.book_entries
            || now.since(lane.book_at).nanos() >= self.limits.book_ns;
        let instrument = self.instruments[index];
        let id = InstrumentId(index as u16);
        if !due || !self.tells_books || self.stage.state(id) != BookState::Live {
            return;
        }
        let head = EntryHead { session: &self.session, seq: lane.last, prev: lane.last, recv_ts: now, dropped: false };
        let sync = self.stage.sync(id);
        let fields = encode_book(head, sync.update_id(), sync.event_ts(), sync.book(), &instrument);
        self.lanes[index] = Lane { since_book: 0, book_at: now, owed: false, ..lane };
        self.put(index, lane.last, true, fields);
    }

    fn put(&mut self, instrument: usize, seq: u64, is_book: bool, fields: Fields) {
        let bytes = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.queue.push_back(Waiting { instrument, seq, is_book, fields, bytes });
        self.queued_bytes += bytes;
        // The newest entry stays, however large: a limit that no book fits under must not mean that none is ever told.
        while self.queued_bytes > self.limits.queue_bytes && self.queue.len() > 1 {
            let Some(oldest) = self.queue.pop_front() else { break };
            self.queued_bytes -= oldest.bytes;
            // A book that is dropped is no loss: the next one says more.
            self.dropped += u64::from(!oldest.is_book);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Level, Price, Qty};
    use crate::wire::{DepthBuf, DepthKind, RecordBuf, Stream};

    const LIMITS: PublisherLimits = PublisherLimits { queue_bytes: 1 << 20, book_ns: 1_000, book_entries: 4 };

    struct Feed {
        publisher: Publisher,
        seq: u64,
        buf: RecordBuf,
    }

    impl Feed {
        fn new(limits: PublisherLimits) -> Feed {
            let publisher = Publisher::new(SessionId(1), &[Instrument::btcusdt()], SyncRule::Spot, limits);
            Feed { publisher, seq: 0, buf: RecordBuf::default() }
        }

        fn depth(&mut self, kind: DepthKind, update: u64, ts: u64) {
            let mut depth = DepthBuf::with_capacity(2);
            depth.head.kind = kind;
            depth.head.first_id = update;
            depth.head.last_id = update;
            depth.bids.push(Level { price: Price::from_ticks(100), qty: Qty::from_lots(update as i64) });
            depth.asks.push(Level { price: Price::from_ticks(101), qty: Qty::from_lots(1) });
            let (kind, _) = FeedEvent::Depth(depth.as_ref()).encode(&mut self.buf);
            self.seq += 1;
            let units =
                self.buf.finish(Stream::Feed, kind, Flags::NONE, self.seq, TimestampNs::from_nanos(ts)).to_vec();
            self.publisher.on_record(&Record::from_units(&units).unwrap()).unwrap();
        }

        fn queue(&self) -> Vec<(u64, bool)> {
            self.publisher.waiting().iter().map(|waiting| (waiting.seq, waiting.is_book)).collect()
        }
    }

    fn field<'a>(waiting: &'a Waiting, name: &str) -> &'a str {
        &waiting.fields.iter().find(|(key, _)| *key == name).unwrap().1
    }

    #[test]
    fn books_are_told_when_due_and_live_and_only_to_somebody() {
        let mut feed = Feed::new(LIMITS);
        feed.publisher.on_connected(&[None], TimestampNs::ZERO);
        feed.depth(DepthKind::Diff, 5, 0);
        feed.depth(DepthKind::Snapshot, 5, 0);
        assert_eq!(
            feed.queue(),
            [(1, false), (2, false), (2, true)],
            "owed since the connection, told once it is live"
        );
        let book = &feed.publisher.waiting()[2];
        assert_eq!((field(book, "last_id"), field(book, "bids")), ("5", r#"[["1","0.00005"]]"#));
        (6..=9).for_each(|update| feed.depth(DepthKind::Diff, update, 1));
        assert_eq!(feed.queue()[3..], [(3, false), (4, false), (5, false), (6, false), (6, true)], "the fourth entry");
        feed.depth(DepthKind::Diff, 10, 1_001);
        assert_eq!(feed.queue()[8..], [(7, false), (7, true)], "its time has come");
        feed.publisher.on_lost();
        feed.depth(DepthKind::Diff, 11, 9_000);
        assert_eq!(feed.queue().last(), Some(&(8, false)), "nobody to tell");
        // The server has everything up to record 7, without its book.
        feed.publisher.on_connected(&[Some((7, false))], TimestampNs::from_nanos(9_001));
        assert_eq!(feed.queue(), [(7, true), (8, false), (8, true)]);
        assert_eq!(feed.publisher.dropped(), 0);
    }

    #[test]
    fn what_does_not_fit_is_dropped_from_the_front_and_counted() {
        let mut feed = Feed::new(PublisherLimits { queue_bytes: 1_000, ..LIMITS });
        feed.depth(DepthKind::Diff, 5, 0);
        feed.depth(DepthKind::Snapshot, 5, 0);
        (6..=30).for_each(|update| feed.depth(DepthKind::Diff, update, 1));
        let left = feed.queue();
        assert_eq!(left.last(), Some(&(27, false)));
        assert_eq!(feed.publisher.dropped(), 27 - left.len() as u64);
        assert!(feed.publisher.waiting().iter().map(|waiting| waiting.bytes).sum::<usize>() <= 1_000);
        // The hole shows: the first that is left names a record that is not there.
        let first = &feed.publisher.waiting()[0];
        assert_eq!(field(first, "prev"), (first.seq - 1).to_string());
        feed.publisher.delivered(1);
        feed.publisher.give_up();
        assert_eq!((feed.publisher.dropped(), feed.publisher.waiting().len()), (26, 0));
    }
}
