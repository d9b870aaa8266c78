//! The book as we know it: the exchange's, less what has not reached us yet.
//!
//! There is one book, and it is the exchange's. What has happened there and is still on its way to us is remembered with
//! what it replaced ([`Unseen`]); a [`View`] reads the book and looks past those few changes. So a late book costs no
//! second book, only what the looks at it cost.

use super::event::TapeEvent;
use crate::book::ArenaBook;
use crate::types::{Level, Price, Qty, Side, TimestampNs};

/// Entries made room for at first, and how few are kept before the known ones are thrown away: they stay in cache.
const ROOM: usize = 256;

/// Something that happened, and when we hear of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unheard {
    pub known_at: TimestampNs,
    pub event: TapeEvent,
    /// What the level held before.
    before: Qty,
}

/// What happened at the exchange and has not reached us, oldest first.
#[derive(Debug)]
pub(super) struct Unseen {
    entries: Vec<Unheard>,
    /// How many of the entries are known and only not thrown away yet.
    known: usize,
}

impl Unseen {
    pub(super) fn new() -> Unseen {
        Unseen { entries: Vec::with_capacity(ROOM), known: 0 }
    }

    /// Something has happened: `now` at the exchange, and `known_at` to us.
    #[inline]
    pub(super) fn push(&mut self, now: TimestampNs, known_at: TimestampNs, event: TapeEvent, before: Qty) {
        if self.entries.len() == self.entries.capacity() {
            self.make_room(now);
        }
        self.entries.push(Unheard { known_at, event, before });
    }

    #[inline(never)]
    fn make_room(&mut self, now: TimestampNs) {
        // Whatever is looked at from now on is looked at after `now`.
        self.hear_until(now);
        self.entries.drain(..self.known);
        self.known = 0;
        if self.entries.len() * 2 > self.entries.capacity() {
            self.entries.reserve(self.entries.capacity());
        }
    }

    /// The first that is not known.
    #[inline]
    pub(super) fn first(&self) -> Option<&Unheard> {
        self.entries.get(self.known)
    }

    /// The first one becomes known.
    #[inline]
    pub(super) fn hear(&mut self) {
        self.known += 1;
    }

    /// All that has reached us by `now` becomes known.
    pub(super) fn hear_until(&mut self, now: TimestampNs) {
        while self.first().is_some_and(|entry| entry.known_at <= now) {
            self.known += 1;
        }
    }

    /// The book without what is not known.
    #[inline]
    pub(super) fn view<'a>(&'a self, book: &'a ArenaBook) -> View<'a> {
        View { book, unheard: &self.entries[self.known..] }
    }
}

/// The book as far as we have heard of it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    book: &'a ArenaBook,
    unheard: &'a [Unheard],
}

impl<'a> View<'a> {
    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        if self.unheard.is_empty() { self.book.best(side) } else { self.levels(side).next() }
    }

    /// What rests at a price; zero when nothing does.
    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.replaced(side)
            .find(|level| level.price == price)
            .map_or_else(|| self.book.qty_at(side, price), |level| level.qty)
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + 'a {
        let (view, mut after) = (*self, i64::MIN);
        let mut standing = self.book.levels(side).filter(move |level| !view.is_replaced(side, level.price)).peekable();
        std::iter::from_fn(move || {
            // The few that have gone or changed since, merged in as they were.
            let is_next = |level: &Level| level.qty > Qty::ZERO && level.price.rank(side) >= after;
            let gone = view.replaced(side).filter(is_next).min_by_key(|level| level.price.rank(side));
            let next = match (standing.peek(), gone) {
                (Some(level), Some(gone)) if gone.price.rank(side) < level.price.rank(side) => gone,
                (None, Some(gone)) => gone,
                (Some(_), _) => standing.next()?,
                (None, None) => return None,
            };
            after = next.price.rank(side).saturating_add(1);
            Some(next)
        })
    }

    /// Levels of a side that have changed unheard, as they were before the first such change.
    fn replaced(self, side: Side) -> impl Iterator<Item = Level> + 'a {
        let changes = move |entry: &&Unheard| !entry.event.is_trade() && entry.event.side() == side;
        self.unheard.iter().enumerate().filter(move |(_, entry)| changes(entry)).filter_map(move |(at, entry)| {
            let price = entry.event.price();
            let is_first = !self.unheard[..at].iter().filter(changes).any(|one| one.event.price() == price);
            is_first.then_some(Level { price, qty: entry.before })
        })
    }

    fn is_replaced(self, side: Side, price: Price) -> bool {
        self.unheard
            .iter()
            .any(|entry| !entry.event.is_trade() && entry.event.side() == side && entry.event.price() == price)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_view_is_the_book_that_a_late_reader_keeps(
            changes in prop::collection::vec((0_i64..12, 0_i64..4, any::<bool>()), 1..80),
            late in 0_usize..8,
        ) {
            let (mut book, mut known, mut unseen) = (ArenaBook::new(), ArenaBook::new(), Unseen::new());
            let at = |step: usize| TimestampNs::from_nanos(step as u64);
            let event = |step: usize| {
                let (price, qty, is_ask) = changes[step];
                let side = if is_ask { Side::Ask } else { Side::Bid };
                TapeEvent::level(at(step), side, Price::from_ticks(price), Qty::from_lots(qty))
            };
            for step in 0..changes.len() {
                let event_now = event(step);
                let before = book.set(event_now.side(), event_now.price(), event_now.qty());
                unseen.push(at(step), at(step + late), event_now, before);
                unseen.hear_until(at(step));
                if let Some(heard) = step.checked_sub(late) {
                    let event = event(heard);
                    known.set(event.side(), event.price(), event.qty());
                }
                let view = unseen.view(&book);
                for side in Side::BOTH {
                    prop_assert_eq!(view.levels(side).collect::<Vec<_>>(), known.levels(side).collect::<Vec<_>>());
                    prop_assert_eq!(view.best(side), known.best(side));
                    for price in (0..12).map(Price::from_ticks) {
                        prop_assert_eq!(view.qty_at(side, price), known.qty_at(side, price));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_thrown_away_and_what_is_not_makes_room_for_itself() {
        let mut unseen = Unseen::new();
        let event = |ns| TapeEvent::level(TimestampNs::from_nanos(ns), Side::Bid, Price::from_ticks(1), Qty::ZERO);
        for ns in 0..100_000 {
            unseen.push(TimestampNs::from_nanos(ns), TimestampNs::from_nanos(ns + 10), event(ns), Qty::ZERO);
        }
        assert_eq!(unseen.entries.capacity(), ROOM);
        for ns in 100_000..101_000 {
            unseen.push(TimestampNs::from_nanos(ns), TimestampNs::from_nanos(ns + 10_000), event(ns), Qty::ZERO);
        }
        unseen.hear_until(TimestampNs::from_nanos(100_500));
        assert_eq!(unseen.first().map(|entry| entry.event), Some(event(100_000)));
        assert_eq!(unseen.view(&ArenaBook::new()).unheard.len(), 1_000);
    }
}
