//! The market stage: feed events in, market updates out.
//!
//! The book tile calls it for each record of the feed stream, in the stream's order, and a replay does the same: what
//! comes out depends on nothing else.

use super::sync::{BookSync, SyncCounters, SyncRule};
use crate::book::ArenaBook;
use crate::types::{BookState, BookView, DurationNs, Instrument, InstrumentId, MarketUpdate, Side, TimestampNs};
use crate::wire::{FeedEvent, FeedNotice};

/// Wait after the first request for a snapshot; it doubles with each further one that brings no live book.
const BACK_OFF_MIN: DurationNs = DurationNs::from_millis(1000);

/// The longest wait between two requests: a 5000-level snapshot costs 250 of the 6000 weight that a minute has.
const BACK_OFF_MAX: DurationNs = DurationNs::from_secs(8);

/// How long a snapshot request waits for a first diff to join it to. A market too quiet to send one is asked all the
/// same.
const DIFF_WAIT: DurationNs = DurationNs::from_secs(1);

/// Requests for snapshots of all instruments together that may come at once, and the time in which one more is earned.
/// A hundred in a minute cost 5000 of its 6000 weight, at 50 for 1000 levels.
const BURST: u32 = 40;
const EARNED_IN: DurationNs = DurationNs::from_secs(1);

/// When the snapshot of one instrument may be asked for. It decides about requests only, never about a book.
#[derive(Clone, Copy, Debug, Default)]
struct Asking {
    /// When the need was first seen; `None` while there is none.
    needed_since: Option<TimestampNs>,
    /// Not before this.
    next_at: TimestampNs,
    /// The wait after the next request.
    back_off: DurationNs,
}

impl Asking {
    /// Whether it is time to ask.
    fn is_due(&mut self, now: TimestampNs, sync: &BookSync) -> bool {
        if !sync.needs_snapshot() {
            self.needed_since = None;
            if sync.state() == BookState::Live {
                // It has worked: when the book is lost again, it is asked for as if for the first time.
                self.back_off = DurationNs::ZERO;
            }
            return false;
        }
        let needed_since = *self.needed_since.get_or_insert(now);
        let can_join = sync.has_backlog() || now.since(needed_since) >= DIFF_WAIT;
        can_join && now >= self.next_at
    }

    /// It is asked.
    fn note(&mut self, now: TimestampNs) {
        self.back_off = BACK_OFF_MAX.min(BACK_OFF_MIN.max(DurationNs::from_nanos(self.back_off.nanos() * 2)));
        self.next_at = now.plus(self.back_off);
    }
}

/// What all instruments together may still ask for.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u32,
    /// When the next request is earned; meaningless while none was spent.
    earned_at: TimestampNs,
}

impl Allowance {
    fn spend(&mut self, now: TimestampNs) -> bool {
        while self.left < BURST && self.earned_at <= now {
            self.left += 1;
            self.earned_at = self.earned_at.plus(EARNED_IN);
        }
        if self.left == BURST {
            self.earned_at = now.plus(EARNED_IN);
        }
        let has_one = self.left > 0;
        self.left -= u32::from(has_one);
        has_one
    }
}

/// Every book of a session, and whether each may be trusted.
#[derive(Debug)]
pub struct MarketStage {
    books: Vec<BookSync>,
    asking: Vec<Asking>,
    allowance: Allowance,
    /// Where the search for an instrument in need goes on, so that none starves.
    ask_next: usize,
}

impl MarketStage {
    /// A stage whose books all wait for their snapshot.
    pub fn new(instruments: &[Instrument], rule: SyncRule) -> MarketStage {
        MarketStage {
            books: instruments.iter().map(|_| BookSync::new(rule)).collect(),
            asking: vec![Asking::default(); instruments.len()],
            allowance: Allowance { left: BURST, earned_at: TimestampNs::ZERO },
            ask_next: 0,
        }
    }

    /// Takes the next event of the feed stream. At most one update comes of it, so a notice about all instruments is
    /// told for the first alone, though every book heeds it: the feed tile writes one notice for each instrument.
    ///
    /// An event about an instrument that is not of this session, and a diff that only waits for its snapshot, causes
    /// none.
    pub fn on_event(&mut self, event: &FeedEvent<'_>) -> Option<MarketUpdate> {
        let mut update = MarketUpdate::empty();
        self.tell(event, &mut update).then_some(update)
    }

    /// The same for whoever takes an event after the other: the update is written where the last one was, since the top of
    /// a book is seven cache lines. Returns whether there is one.
    pub fn tell(&mut self, event: &FeedEvent<'_>, update: &mut MarketUpdate) -> bool {
        let told = match *event {
            FeedEvent::Depth(depth) => {
                let id = depth.head.instrument;
                let changed = self.books.get_mut(id.index()).is_some_and(|book| book.on_depth(&depth));
                changed.then_some((id, depth.head.recv_ts))
            }
            FeedEvent::Trade(trade) => {
                *update = MarketUpdate::Trade(trade);
                return true;
            }
            FeedEvent::Touch(touch) => {
                *update = MarketUpdate::Touch(touch);
                return true;
            }
            FeedEvent::Notice(notice) => self.on_notice(&notice).map(|id| (id, notice.recv_ts)),
            FeedEvent::AggTrade(_) | FeedEvent::Raw(_) => None,
        };
        let Some((id, recv_ts)) = told else { return false };
        self.view(id, recv_ts, update.as_book());
        true
    }

    fn on_notice(&mut self, notice: &FeedNotice) -> Option<InstrumentId> {
        match notice.instrument {
            Some(id) => {
                self.books.get_mut(id.index())?.on_notice(notice.reason);
                Some(id)
            }
            None => {
                for book in &mut self.books {
                    book.on_notice(notice.reason);
                }
                self.books.first().map(|_| InstrumentId(0))
            }
        }
    }

    fn view(&self, id: InstrumentId, recv_ts: TimestampNs, view: &mut BookView) {
        let sync = &self.books[id.index()];
        (view.instrument, view.state) = (id, sync.state());
        (view.event_ts, view.recv_ts, view.update_id) = (sync.event_ts(), recv_ts, sync.update_id());
        let is_live = sync.state() == BookState::Live;
        for side in Side::BOTH {
            view.fill_levels(side, |levels| if is_live { sync.book().top(side, levels) } else { 0 });
        }
    }

    /// The instrument whose snapshot should be asked for now, if any: each at most once per back-off, which doubles up
    /// to its cap until the book lives and never ends, and all together within what the venue allows. Asking changes no
    /// book: a replay need not ask.
    pub fn snapshot_wanted(&mut self, now: TimestampNs) -> Option<InstrumentId> {
        let count = self.books.len();
        for step in 0..count {
            let index = (self.ask_next + step) % count;
            if self.asking[index].is_due(now, &self.books[index]) {
                if !self.allowance.spend(now) {
                    return None;
                }
                self.asking[index].note(now);
                self.ask_next = index + 1;
                return u16::try_from(index).ok().map(InstrumentId);
            }
        }
        None
    }

    /// One instrument's book with its synchronisation.
    ///
    /// # Panics
    /// When the instrument is not of this session.
    pub fn sync(&self, instrument: InstrumentId) -> &BookSync {
        &self.books[instrument.index()]
    }

    /// Whether that instrument's book may be quoted from.
    ///
    /// # Panics
    /// When the instrument is not of this session.
    pub fn state(&self, instrument: InstrumentId) -> BookState {
        self.sync(instrument).state()
    }

    /// That instrument's book: empty, or a snapshot that is not proven yet, unless it is live.
    ///
    /// # Panics
    /// When the instrument is not of this session.
    pub fn book(&self, instrument: InstrumentId) -> &ArenaBook {
        self.sync(instrument).book()
    }

    /// Last update id that the instrument's book holds.
    ///
    /// # Panics
    /// When the instrument is not of this session.
    pub fn update_id(&self, instrument: InstrumentId) -> u64 {
        self.sync(instrument).update_id()
    }

    /// What the instrument's book has been through.
    ///
    /// # Panics
    /// When the instrument is not of this session.
    pub fn counters(&self, instrument: InstrumentId) -> SyncCounters {
        *self.sync(instrument).counters()
    }

    /// xxh3-128 of all books, their update ids and states.
    pub fn digest(&self) -> u128 {
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        for sync in &self.books {
            let state = match sync.state() {
                BookState::Live => u8::MAX,
                BookState::Syncing(reason) => reason as u8,
            };
            hasher.update(&sync.book().digest().to_le_bytes());
            hasher.update(&sync.update_id().to_le_bytes());
            hasher.update(&[state]);
        }
        hasher.digest128()
    }
}
