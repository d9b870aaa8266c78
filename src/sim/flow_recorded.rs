//! A market replayed from a level-2 recording: when each record is due. What a record does to the book is
//! [`RecordedBook`]'s.

use xxhash_rust::xxh3::Xxh3;

use super::desk::Desk;
use super::fill_model::FillModel;
use super::market::Market;
use super::opening::Opening;
use super::recorded_book::RecordedBook;
use crate::types::{DurationNs, TimestampNs, Trade};
use crate::wire::{DepthBuf, DepthRef, FeedEvent};

/// A record of a recording that the replayed market reads, owned.
#[derive(Clone, Debug)]
pub enum RecordedEvent {
    /// A snapshot or a diff.
    Depth(DepthBuf),
    /// A print on the tape.
    Trade(Trade),
}

impl RecordedEvent {
    /// Copies what the replayed market needs of a feed event; `None` for everything that it does not read.
    pub fn from_feed(event: &FeedEvent<'_>) -> Option<RecordedEvent> {
        match event {
            FeedEvent::Depth(depth) => Some(RecordedEvent::Depth(DepthBuf {
                head: depth.head,
                bids: depth.bids.to_vec(),
                asks: depth.asks.to_vec(),
            })),
            FeedEvent::Trade(trade) => Some(RecordedEvent::Trade(*trade)),
            FeedEvent::AggTrade(_) | FeedEvent::Touch(_) | FeedEvent::Notice(_) | FeedEvent::Raw(_) => None,
        }
    }
}

/// A recording of one symbol, in ticks and lots of the symbol's instrument and in the order of its receive times.
///
/// The venue's clock at its start stands for the first moment at which the recording's book is known.
pub struct RecordedMarket {
    /// The records.
    pub events: Box<dyn Iterator<Item = RecordedEvent> + Send>,
    /// How many seconds of the recording pass in one second of the venue's clock; at least 1. A driver that wants to
    /// go as fast as possible advances the venue from one [`super::Venue::next_event_at`] to the next instead.
    pub speed: u32,
}

impl std::fmt::Debug for RecordedMarket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedMarket").field("speed", &self.speed).finish_non_exhaustive()
    }
}

/// The flow of a recorded market.
pub(super) struct RecordedFlow {
    market: RecordedMarket,
    next: Option<(TimestampNs, RecordedEvent)>,
    start: TimestampNs,
    anchor: TimestampNs,
    pub(super) book: RecordedBook,
    digest: Xxh3,
}

impl RecordedFlow {
    /// Reads the recording up to the moment at which its book is known; that moment is the venue's `start`.
    pub(super) fn new(mut market: RecordedMarket, fill: FillModel, start: TimestampNs) -> RecordedFlow {
        market.speed = market.speed.max(1);
        let mut flow = RecordedFlow {
            market,
            next: None,
            start,
            anchor: TimestampNs::ZERO,
            book: RecordedBook::new(fill),
            digest: Xxh3::new(),
        };
        flow.find_start();
        flow.next = flow.pull();
        flow
    }

    /// Puts the opening book into the market.
    pub(super) fn open(&mut self, market: &mut Market, desk: &mut Desk) {
        self.book.open(self.start, market, desk);
    }

    pub(super) fn next_at(&self) -> Option<TimestampNs> {
        self.next.as_ref().map(|(at, _)| *at)
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest.digest()
    }

    /// Carries out the next record.
    pub(super) fn run_next(&mut self, market: &mut Market, desk: &mut Desk) {
        let Some((now, event)) = self.next.take() else { return };
        match event {
            RecordedEvent::Depth(depth) => self.book.apply(now, depth.as_ref(), market, desk),
            RecordedEvent::Trade(trade) => self.book.replay(now, &trade, market, desk),
        }
        self.next = self.pull();
    }

    fn pull(&mut self) -> Option<(TimestampNs, RecordedEvent)> {
        let event = self.market.events.next()?;
        let recv_ts = match &event {
            RecordedEvent::Depth(depth) => {
                note_depth(&mut self.digest, depth.as_ref());
                depth.head.recv_ts
            }
            RecordedEvent::Trade(trade) => {
                note_trade(&mut self.digest, trade);
                trade.recv_ts
            }
        };
        let passed = recv_ts.since(self.anchor).nanos() / u64::from(self.market.speed);
        Some((self.start.plus(DurationNs::from_nanos(passed)), event))
    }

    /// Consumes records until the book is known.
    fn find_start(&mut self) {
        let mut opening = Opening::default();
        while let Some((_, event)) = self.pull() {
            let RecordedEvent::Depth(depth) = event else { continue };
            self.anchor = self.anchor.max(depth.head.recv_ts);
            if let Some(messages) = opening.offer(depth.as_ref()) {
                messages.iter().for_each(|message| self.book.record(message.as_ref()));
                return;
            }
        }
    }
}

/// Takes a depth message into the digest of a flow.
pub(super) fn note_depth(digest: &mut Xxh3, depth: DepthRef<'_>) {
    let mut note = |number: u64| digest.update(&number.to_le_bytes());
    note(depth.head.recv_ts.nanos());
    note(depth.head.last_id);
    for level in depth.bids.iter().chain(depth.asks) {
        note(level.price.ticks() as u64);
        note(level.qty.lots() as u64);
    }
}

/// Takes a print into the digest of a flow.
pub(super) fn note_trade(digest: &mut Xxh3, trade: &Trade) {
    let mut note = |number: u64| digest.update(&number.to_le_bytes());
    note(trade.recv_ts.nanos());
    note(trade.id.0 as u64);
    note(trade.price.ticks() as u64);
    note(trade.qty.lots() as u64);
}
