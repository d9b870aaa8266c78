//! The book tile: records in, market updates out.
//!
//! Steps [`MarketStage`], which is a pure function of the feed stream, and asks for the snapshots that it wants. When the
//! decision is behind it takes no more records: the feed link then fills, and that link's policy says what happens.

use std::sync::{Arc, Mutex, PoisonError};

use quanta::Clock;
use rtrb::Producer;
use tracing::{info, warn};

use super::Tile;
use super::counter::look;
use super::doorbell::Doorbell;
use super::message::{BookOut, SnapshotRequest};
use crate::gateway::wall_now;
use crate::metrics::{Board, Count, Gauge, Stage, Stamps};
use crate::pipeline::market::MarketStage;
use crate::topology::{link, tile};
use crate::types::{BookState, Instrument, InstrumentId, MarketUpdate, Side, TimestampNs};
use crate::wire::{FeedEvent, UnitReceiver, lines, stamp};

/// Records taken in one step.
const RECORDS_A_STEP: usize = 64;
/// Idle steps between two looks at the clock for snapshots whose back-off has passed.
const IDLE_STEPS_A_LOOK: u32 = 256;

/// Where the last digest is left for the session's end.
pub type DigestSlot = Arc<Mutex<Option<u128>>>;

/// See the module.
pub struct BookTile {
    feed: UnitReceiver,
    stage: MarketStage,
    quote: Producer<BookOut>,
    quote_bell: Option<Arc<Doorbell>>,
    snapshots: Producer<SnapshotRequest>,
    snapshot_bell: Arc<Doorbell>,
    board: Arc<Board>,
    link: usize,
    states: Vec<BookState>,
    /// Books that are not live.
    down: usize,
    digest: DigestSlot,
    idle_steps: u32,
    /// The book that was kept near last.
    near: usize,
    clock: Clock,
    /// What goes out, made in one place.
    out: BookOut,
}

impl BookTile {
    /// A tile whose books all wait for their snapshots. `quote_bell` wakes the quote tile where it may be parked.
    #[allow(clippy::too_many_arguments, reason = "each is one end of a link or a shared part, named where it is made")]
    pub fn new(
        feed: UnitReceiver,
        stage: MarketStage,
        instruments: &[Instrument],
        quote: Producer<BookOut>,
        quote_bell: Option<Arc<Doorbell>>,
        snapshots: Producer<SnapshotRequest>,
        snapshot_bell: Arc<Doorbell>,
        board: Arc<Board>,
        digest: DigestSlot,
    ) -> BookTile {
        let states: Vec<BookState> = instruments.iter().map(|instrument| stage.state(instrument.id)).collect();
        let link = board.link_index(link::BOOK_QUOTE);
        let mut tile = BookTile {
            feed,
            stage,
            quote,
            quote_bell,
            snapshots,
            snapshot_bell,
            board,
            link,
            states,
            down: 0,
            digest,
            idle_steps: 0,
            near: 0,
            clock: Clock::new(),
            out: BookOut { feed_seq: 0, stamps: Stamps::NONE, update: MarketUpdate::empty() },
        };
        tile.show_down();
        tile
    }

    fn show_down(&mut self) {
        self.down = self.states.iter().filter(|state| **state != BookState::Live).count();
        self.board.set(Gauge::BooksDown, self.down as i64);
    }

    fn take_records(&mut self) -> usize {
        let mut work = 0;
        while work < RECORDS_A_STEP && (self.quote.slots() > 0 || self.quote.is_abandoned()) {
            let Some((packed, record)) = self.feed.recv_stamped() else { break };
            work += 1;
            let event = record.and_then(|record| FeedEvent::decode(&record).map(|event| (record.header.seq, event)));
            let (feed_seq, event) = match event {
                Ok(read) => read,
                // The feed tile of the same build wrote it: that it cannot be read is a bug, and bugs stop the engine.
                Err(error) => panic!("a record on the feed link cannot be read: {error}"),
            };
            if !self.stage.tell(&event, &mut self.out.update) {
                continue;
            }
            self.board.bump(Count::BookUpdates, 1);
            if let MarketUpdate::Book(view) = &self.out.update {
                let (index, state) = (view.instrument.index(), view.state);
                self.note_state(index, state);
            }
            (self.out.feed_seq, self.out.stamps) = (feed_seq, self.stamped(packed));
            // A decision that is gone (record mode, or after a failure) leaves the books running.
            let _ = lines::send(&mut self.quote, &self.out);
        }
        if work > 0 {
            let capacity = self.quote.buffer().capacity();
            self.board.links()[self.link].note(capacity - self.quote.slots());
            if let Some(bell) = &self.quote_bell {
                bell.ring();
            }
        }
        work
    }

    /// The stamps of the record just applied.
    fn stamped(&self, packed: u64) -> Stamps {
        let now = look(&self.clock);
        let Some((read, decoded)) = stamp::unpack(packed, now) else { return Stamps::NONE };
        let mut stamps = Stamps::begin(read);
        stamps.set(Stage::Decoded, decoded);
        stamps.set(Stage::Booked, now);
        stamps
    }

    fn note_state(&mut self, index: usize, state: BookState) {
        let before = std::mem::replace(&mut self.states[index], state);
        match (before, state) {
            (BookState::Live, BookState::Syncing(reason)) => {
                self.board.bump(Count::Desyncs, 1);
                warn!(instrument = index, ?reason, "book out of sync");
            }
            (BookState::Syncing(_), BookState::Live) => info!(instrument = index, "book in sync"),
            _ => return,
        }
        self.show_down();
    }

    fn ask_for_snapshots(&mut self, now: TimestampNs) {
        while let Some(instrument) = self.stage.snapshot_wanted(now) {
            self.board.bump(Count::SnapshotsWanted, 1);
            // Dropped when the worker is that far behind; the stage asks again after its back-off.
            let _ = self.snapshots.push(instrument);
            self.snapshot_bell.ring();
        }
    }
}

impl Tile for BookTile {
    fn name(&self) -> &'static str {
        tile::BOOK
    }

    fn step(&mut self) -> usize {
        let work = self.take_records();
        self.idle_steps += 1;
        // While every book lives, what was read goes on its way first.
        if work > 0 && self.down > 0 || work == 0 && self.idle_steps >= IDLE_STEPS_A_LOOK {
            self.idle_steps = 0;
            self.ask_for_snapshots(wall_now());
        }
        work
    }

    fn is_done(&self) -> bool {
        self.feed.is_finished()
    }

    fn keep_near(&mut self) {
        lines::claim_next(&mut self.quote, 1);
        // One book at each look, in turn.
        self.near = if self.near + 1 < self.states.len() { self.near + 1 } else { 0 };
        if let Some(book) = u16::try_from(self.near).ok().map(|index| self.stage.book(InstrumentId(index))) {
            Side::BOTH.into_iter().for_each(|side| lines::fetch_all(book.near_best(side)));
        }
    }

    fn close(&mut self) {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.stage.digest());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sync::SyncRule;
    use crate::types::{DesyncReason, InstrumentId, Level, Price, Qty};
    use crate::wire::{DepthHead, DepthKind, DepthRef, FeedNotice, Flags, RecordBuf, Stream, unit_link};

    #[test]
    fn books_that_are_not_in_sync_are_counted_from_the_start_on() {
        let instruments = [0, 1].map(|id| Instrument::new(InstrumentId(id), Instrument::btcusdt().spec));
        let (mut feed, receiver) = unit_link(256);
        let (quote, _decision) = rtrb::RingBuffer::new(16);
        let (snapshots, _worker) = rtrb::RingBuffer::new(16);
        let board = Arc::new(Board::new(&[], &[(link::BOOK_QUOTE, 16)]));
        let stage = MarketStage::new(&instruments, SyncRule::Spot);
        let (bell, digest) = (Arc::default(), Arc::default());
        let mut tile =
            BookTile::new(receiver, stage, &instruments, quote, None, snapshots, bell, Arc::clone(&board), digest);
        let mut buf = RecordBuf::default();
        let mut down_after = |event: &FeedEvent<'_>| {
            let (kind, ts) = event.encode(&mut buf);
            feed.send(buf.finish(Stream::Feed, kind, Flags::NONE, 1, ts)).unwrap();
            tile.step();
            board.gauge(Gauge::BooksDown)
        };
        let level = |ticks| [Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(1) }];
        let depth = |kind, id: u64| DepthHead {
            instrument: InstrumentId(1),
            kind,
            first_id: id,
            last_id: id,
            prev_id: None,
            event_ts: TimestampNs::ZERO,
            recv_ts: TimestampNs::ZERO,
        };
        let (bids, asks) = (level(10), level(11));
        let told = |head| FeedEvent::Depth(DepthRef { head, bids: &bids, asks: &asks });
        assert_eq!(down_after(&told(depth(DepthKind::Snapshot, 7))), 2, "nothing has been joined to it yet");
        assert_eq!(down_after(&told(depth(DepthKind::Diff, 8))), 1, "the other one waits");
        assert_eq!(down_after(&told(depth(DepthKind::Diff, 10))), 2, "a gap");
        assert_eq!(down_after(&told(depth(DepthKind::Snapshot, 10))), 1, "what came after the gap proves it");
        let notice = FeedNotice {
            instrument: Some(InstrumentId(1)),
            reason: DesyncReason::Disconnected,
            recv_ts: TimestampNs::ZERO,
        };
        assert_eq!(down_after(&FeedEvent::Notice(notice)), 2);
    }
}
