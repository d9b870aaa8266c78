//! What each instrument's streams have said last, so that what a second connection repeats is known.

use std::ops::Range;

use crate::types::InstrumentId;
use crate::wire::FeedEvent;

/// The last ids that one instrument's streams have told: depth updates, trades, touches, aggregated trades.
type Ids = [Option<i64>; 4];

/// Which of an instrument's streams a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// All that there are.
    All,
    /// All but aggregated trades, which have a connection of their own.
    Books,
    /// Aggregated trades, of which no book is made.
    Aggregates,
}

impl Carried {
    /// Their places in [`Ids`].
    const fn places(self) -> Range<usize> {
        match self {
            Carried::All => 0..4,
            Carried::Books => 0..3,
            Carried::Aggregates => 3..4,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Told {
    last: Vec<Ids>,
    /// What had been told when the connection was changed: nothing up to here is new.
    floor: Vec<Ids>,
}

impl Told {
    /// Nothing was told about any of so many instruments.
    pub fn new(instruments: usize) -> Told {
        Told { last: vec![[None; 4]; instruments], floor: vec![[None; 4]; instruments] }
    }

    /// Another connection tells these streams from now on, and may repeat what was told.
    pub fn change(&mut self, instruments: &[InstrumentId], carried: Carried) {
        for index in instruments.iter().map(|id| id.index()) {
            let places = carried.places();
            self.floor[index][places.clone()].copy_from_slice(&self.last[index][places]);
        }
    }

    /// The connection of these streams begins anew: a venue that was started again may count from one.
    pub fn forget(&mut self, instruments: &[InstrumentId], carried: Carried) {
        for index in instruments.iter().map(|id| id.index()) {
            for ids in [&mut self.last[index], &mut self.floor[index]] {
                ids[carried.places()].fill(None);
            }
        }
    }

    /// Notes an event; whether it was told by the connection before.
    pub fn is_repeated(&mut self, event: &FeedEvent<'_>) -> bool {
        // Ids of all venues are far below 2^63.
        let (InstrumentId(instrument), stream, id) = match event {
            FeedEvent::Depth(depth) => (depth.head.instrument, 0, depth.head.last_id as i64),
            FeedEvent::Trade(trade) => (trade.instrument, 1, trade.id.0),
            FeedEvent::Touch(touch) => (touch.instrument, 2, touch.update_id as i64),
            FeedEvent::AggTrade(trade) => (trade.instrument, 3, trade.id.0),
            FeedEvent::Notice(_) | FeedEvent::Raw(_) => return false,
        };
        let at = usize::from(instrument);
        let (Some(last), Some(floor)) = (self.last.get_mut(at), self.floor.get(at)) else { return false };
        last[stream] = last[stream].max(Some(id));
        floor[stream].is_some_and(|floor| id <= floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Level, Price, Qty, TimestampNs, Touch};

    fn touch(instrument: u16, update_id: u64) -> FeedEvent<'static> {
        let level = Level { price: Price::from_ticks(1), qty: Qty::from_lots(1) };
        let recv_ts = TimestampNs::ZERO;
        FeedEvent::Touch(Touch { instrument: InstrumentId(instrument), recv_ts, update_id, bid: level, ask: level })
    }

    #[test]
    fn only_what_the_connection_before_has_told_is_repeated() {
        let mut told = Told::new(2);
        for (instrument, id) in [(0, 7), (0, 8), (0, 8), (1, 3)] {
            assert!(!told.is_repeated(&touch(instrument, id)), "nothing is held back while one connection speaks");
        }
        told.change(&[InstrumentId(0), InstrumentId(1)], Carried::Books);
        let seen = [(0, 7), (0, 8), (0, 9), (1, 3), (1, 4)].map(|(at, id)| told.is_repeated(&touch(at, id)));
        assert_eq!(seen, [true, true, false, true, false]);
        told.forget(&[InstrumentId(0)], Carried::Aggregates);
        assert!(told.is_repeated(&touch(0, 8)), "its touches came by another one");
        told.forget(&[InstrumentId(0)], Carried::All);
        assert!(!told.is_repeated(&touch(0, 1)), "a venue that counts from one again");
        assert!(told.is_repeated(&touch(1, 3)), "the other one's connection was not lost");
        told.change(&[InstrumentId(0)], Carried::All);
        assert!(!told.is_repeated(&touch(1, 5)) && !told.is_repeated(&touch(1, 5)), "nor was it changed");
    }
}
