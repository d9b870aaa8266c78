//! What the market tells us, after decoding and book keeping.

use bytemuck::{Pod, Zeroable};

use super::{HalfTicks, InstrumentId, Price, Qty, Side, TimestampNs, TradeId, VIEW_LEVELS};

/// A price and everything resting there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Level {
    /// The level's price.
    pub price: Price,
    /// The quantity resting at it.
    pub qty: Qty,
}

/// One print on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// The venue's trade time.
    pub event_ts: TimestampNs,
    /// When we read it.
    pub recv_ts: TimestampNs,
    /// The venue's number of the trade.
    pub id: TradeId,
    /// Price, in ticks.
    pub price: Price,
    /// Quantity, in lots.
    pub qty: Qty,
    /// The taker's side: `Bid` when the taker bought (`m` = false in the protocol).
    pub aggressor: Side,
}

/// Best bid and ask as the venue streams them ahead of the depth (`bookTicker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// When we read it; the spot stream carries no venue time.
    pub recv_ts: TimestampNs,
    /// The book's update id that it belongs to.
    pub update_id: u64,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
}

/// Why a book is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DesyncReason {
    /// No snapshot has been applied yet.
    Starting = 0,
    /// An update id was skipped.
    Gap = 1,
    /// The connection was lost.
    Disconnected = 2,
    /// A ring overflowed and a message was dropped before the book saw it.
    Overrun = 3,
    /// Bid at or above ask for longer than the limit.
    Crossed = 4,
    /// A message could not be decoded, so the book may have missed it.
    Malformed = 5,
}

/// Whether a book may be quoted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// Waiting for a snapshot that joins the stream.
    Syncing(DesyncReason),
    /// Snapshot and every update since have been applied.
    Live,
}

/// The top of one instrument's book after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookView {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Whether it may be quoted from.
    pub state: BookState,
    /// The venue's time of the update; zero when it gave none.
    pub event_ts: TimestampNs,
    /// When we read the update.
    pub recv_ts: TimestampNs,
    /// Last update id applied.
    pub update_id: u64,
    bids: [Level; VIEW_LEVELS],
    asks: [Level; VIEW_LEVELS],
    bid_levels: u8,
    ask_levels: u8,
}

impl BookView {
    /// A view without levels.
    pub fn empty(instrument: InstrumentId, state: BookState) -> BookView {
        BookView {
            instrument,
            state,
            event_ts: TimestampNs::ZERO,
            recv_ts: TimestampNs::ZERO,
            update_id: 0,
            bids: [Level::default(); VIEW_LEVELS],
            asks: [Level::default(); VIEW_LEVELS],
            bid_levels: 0,
            ask_levels: 0,
        }
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> &[Level] {
        match side {
            Side::Bid => &self.bids[..self.bid_levels as usize],
            Side::Ask => &self.asks[..self.ask_levels as usize],
        }
    }

    /// Replaces a side by what `levels` yields, best first; more than [`VIEW_LEVELS`] are cut.
    pub fn set_levels(&mut self, side: Side, levels: impl IntoIterator<Item = Level>) {
        self.fill_levels(side, |slots| {
            slots.iter_mut().zip(levels).fold(0, |count, (slot, level)| {
                *slot = level;
                count + 1
            })
        });
    }

    /// Replaces a side by what `fill` writes, best first; it returns how many levels that are.
    pub fn fill_levels(&mut self, side: Side, fill: impl FnOnce(&mut [Level; VIEW_LEVELS]) -> usize) {
        let (target, count) = match side {
            Side::Bid => (&mut self.bids, &mut self.bid_levels),
            Side::Ask => (&mut self.asks, &mut self.ask_levels),
        };
        let filled = fill(target).min(VIEW_LEVELS);
        *count = filled as u8;
        target[filled..].fill(Level::default());
    }

    /// Best level of a side.
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).first().copied()
    }

    /// The mid, when both sides are present.
    pub fn mid(&self) -> Option<HalfTicks> {
        Some(HalfTicks::mid(self.best(Side::Bid)?.price, self.best(Side::Ask)?.price))
    }

    /// Whether the bid is at or above the ask.
    pub fn is_crossed(&self) -> bool {
        match (self.best(Side::Bid), self.best(Side::Ask)) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Whether it may be quoted from: live, two-sided and not crossed.
    pub fn is_quotable(&self) -> bool {
        self.state == BookState::Live && self.mid().is_some() && !self.is_crossed()
    }
}

/// What the book stage hands to the decision: at most one for every feed record.
#[expect(clippy::large_enum_variant, reason = "copied through rings; a box would allocate on the hot path")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketUpdate {
    /// The book changed, or its state did.
    Book(BookView),
    /// A print on the tape.
    Trade(Trade),
    /// The venue's fast best bid and ask.
    Touch(Touch),
}

impl MarketUpdate {
    /// A book without levels, to be written over.
    pub fn empty() -> MarketUpdate {
        MarketUpdate::Book(BookView::empty(InstrumentId(0), BookState::Live))
    }

    /// The view that this is about to be, whatever it was.
    pub fn as_book(&mut self) -> &mut BookView {
        if !matches!(self, MarketUpdate::Book(_)) {
            *self = MarketUpdate::empty();
        }
        match self {
            MarketUpdate::Book(view) => view,
            MarketUpdate::Trade(_) | MarketUpdate::Touch(_) => unreachable!("it has just become a book"),
        }
    }

    /// Which instrument it is about.
    pub fn instrument(&self) -> InstrumentId {
        match self {
            MarketUpdate::Book(view) => view.instrument,
            MarketUpdate::Trade(trade) => trade.instrument,
            MarketUpdate::Touch(touch) => touch.instrument,
        }
    }

    /// When we read the message behind it.
    pub fn recv_ts(&self) -> TimestampNs {
        match self {
            MarketUpdate::Book(view) => view.recv_ts,
            MarketUpdate::Trade(trade) => trade.recv_ts,
            MarketUpdate::Touch(touch) => touch.recv_ts,
        }
    }
}
