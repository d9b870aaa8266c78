//! Requests served by the very thread that reads the market, and those that are not.
//!
//! Owns [`Inline`], the place gateway's choice in a fused plan: while round trips are short, a decision's requests are served
//! as they come; when they are long, cancels go to a worker at once, and so does the second of two placements; when they
//! are too long, placements go to the overflow worker as well. Pure but for the links: trips are told to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rtrb::{Consumer, Producer};
use tracing::info;

use super::doorbell::Doorbell;
use super::message::OrderRequest;
use super::trips::Trips;
use crate::metrics::{Board, Count, Gauge};
use crate::types::Command;

/// Waking a thread costs some tens of microseconds here and there: only a round trip longer than this is worth
/// splitting between two threads.
pub const WORTH_WAKING: Duration = Duration::from_micros(250);
/// Short round trips of the overflow worker, one after the other, that end an overflow.
const SHORT_TRIPS: u64 = 5;
/// The way to a worker on a thread of its own.
pub struct ToWorker {
    /// `place_overflow` or `place_cancel`.
    pub ring: Producer<OrderRequest>,
    /// Wakes it.
    pub bell: Arc<Doorbell>,
}

impl ToWorker {
    /// Hands a request over; `false` when the link is full.
    fn take(&mut self, request: &OrderRequest) -> bool {
        let taken = self.ring.push(*request).is_ok();
        if taken {
            self.bell.ring();
        }
        taken
    }

    fn has_taken_all(&self) -> bool {
        self.ring.slots() == self.ring.buffer().capacity()
    }
}

/// What an inline gateway needs to hand requests over.
pub struct Handover {
    /// To the overflow worker, for placements.
    pub place: ToWorker,
    /// To the cancel gateway.
    pub cancel: ToWorker,
    /// The longest round trip that may hold the runner again.
    pub deadline: Duration,
    /// The longest round trip for which no worker is woken: all of a decision is served here.
    pub worth_waking: Duration,
}

/// See the module.
pub(super) struct Inline {
    handover: Handover,
    /// Placements and amends that wait until the cancels behind them are handed over: see `next`.
    waiting: VecDeque<OrderRequest>,
    /// Whether requests go to the overflow worker, and its short trips since.
    overflowing: bool,
    trips_seen: u64,
    short_trips: u64,
    /// The last inline trips.
    trips: Trips,
}

impl Inline {
    /// Before the first request. `room` is what the requests' link holds.
    pub(super) fn new(handover: Handover, room: usize) -> Inline {
        Inline {
            waiting: VecDeque::with_capacity(room),
            trips: Trips::new(handover.deadline, handover.worth_waking),
            handover,
            overflowing: false,
            trips_seen: 0,
            short_trips: 0,
        }
    }

    /// The next request to serve here. What belongs to a worker is handed over on the way. While trips are short, a decision's
    /// requests are served as they come, placements first; a cancel must wait neither for a long one nor for a worker's.
    /// `refuse` takes what no worker had room for.
    pub(super) fn next(
        &mut self,
        requests: &mut Consumer<OrderRequest>,
        board: &Board,
        mut refuse: impl FnMut(&Command),
    ) -> Option<OrderRequest> {
        let in_turn = !self.overflowing && !self.trips.are_long();
        if in_turn && let Some(request) = self.waiting.pop_front() {
            return Some(request);
        }
        while let Ok(request) = requests.pop() {
            match request.command {
                Command::Place(_) | Command::Amend { .. } | Command::Cancel { .. } if in_turn => return Some(request),
                Command::Place(_) | Command::Amend { .. } => self.waiting.push_back(request),
                Command::Cancel { .. } | Command::Query { .. } | Command::Fills { .. } => {
                    if !self.handover.cancel.take(&request) {
                        refuse(&request.command);
                    }
                }
            }
        }
        while let Some(request) = self.waiting.pop_front() {
            if !self.overflows(board) {
                return Some(request);
            }
            if !self.handover.place.take(&request) {
                refuse(&request.command);
            }
        }
        None
    }

    /// A quote has two sides: while one is served here, the overflow worker serves the other, which would otherwise wait for
    /// the first one's round trip, if that is worth a wake-up. Placements only: they cannot overtake each other to any harm.
    pub(super) fn hand_over_second(&mut self, first: &OrderRequest) {
        if !self.trips.are_long() || !matches!(first.command, Command::Place(_)) {
            return;
        }
        let Some(second) = self.waiting.pop_front_if(|second| matches!(second.command, Command::Place(_))) else {
            return;
        };
        if !self.handover.place.take(&second) {
            self.waiting.push_front(second);
        }
    }

    /// Notes how long a request took that was served here.
    pub(super) fn note(&mut self, trip: Duration, board: &Board) {
        if self.trips.note(trip) {
            self.overflowing = true;
            self.short_trips = 0;
            self.trips_seen = board.count(Count::Overflow);
            info!(trip_us = trip.as_micros() as u64, "slow round trip: placements go to the overflow worker");
        }
    }

    /// Whether requests wait here.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether placements go to the overflow worker now.
    fn overflows(&mut self, board: &Board) -> bool {
        if !self.overflowing {
            return false;
        }
        let trips = board.count(Count::Overflow);
        if trips > self.trips_seen {
            let last = Duration::from_nanos(board.gauge(Gauge::OverflowRoundTripNs) as u64);
            self.short_trips = if self.trips.is_short(last) { self.short_trips + trips - self.trips_seen } else { 0 };
            self.trips_seen = trips;
        }
        // Only with nothing left to overtake: a later amend must not pass the placement that it amends.
        if self.short_trips >= SHORT_TRIPS && self.handover.place.has_taken_all() {
            self.overflowing = false;
            info!("round trips are short again: orders are served inline");
        }
        self.overflowing
    }
}

#[cfg(test)]
mod tests {
    use rtrb::RingBuffer;

    use super::*;
    use crate::metrics::Stamps;
    use crate::types::{ClientOrderId, InstrumentId, NewOrder, OrderKind, Price, Qty, SessionId, Side, TimestampNs};

    const SHORT: Duration = Duration::from_micros(50);
    /// Long enough to wake somebody.
    const LONG: Duration = Duration::from_millis(1);
    const TOO_LONG: Duration = Duration::from_secs(1);
    const ROOM: usize = 8;

    /// The choice with all its links in hand.
    struct Bench {
        inline: Inline,
        board: Board,
        link: Producer<OrderRequest>,
        requests: Consumer<OrderRequest>,
        /// What the overflow worker and the cancel gateway were given.
        place: Consumer<OrderRequest>,
        cancel: Consumer<OrderRequest>,
        refused: Vec<u64>,
    }

    fn request(command: Command) -> OrderRequest {
        OrderRequest { command, stamps: Stamps::NONE, tick_ts: TimestampNs::ZERO }
    }

    fn id(counter: u64) -> ClientOrderId {
        ClientOrderId { session: SessionId(1), counter }
    }

    fn place(counter: u64) -> OrderRequest {
        request(Command::Place(NewOrder {
            instrument: InstrumentId(0),
            client_id: id(counter),
            side: Side::Bid,
            price: Price::from_ticks(100),
            qty: Qty::from_lots(1),
            kind: OrderKind::PostOnly,
        }))
    }

    fn cancel(counter: u64) -> OrderRequest {
        request(Command::Cancel { instrument: InstrumentId(0), client_id: id(counter), venue_id: None })
    }

    fn query(counter: u64) -> OrderRequest {
        request(Command::Query { instrument: InstrumentId(0), client_id: id(counter) })
    }

    fn numbers(ring: &mut Consumer<OrderRequest>) -> Vec<u64> {
        std::iter::from_fn(|| ring.pop().ok()).map(|request| request.command.client_id().counter).collect()
    }

    impl Bench {
        /// After some trips of one length.
        fn after(trip: Duration) -> Bench {
            let (link, requests) = RingBuffer::new(ROOM);
            let worker = || {
                let (ring, work) = RingBuffer::new(ROOM);
                (ToWorker { ring, bell: Arc::default() }, work)
            };
            let ((place, place_out), (cancel, cancel_out)) = (worker(), worker());
            let handover = Handover { place, cancel, deadline: 2 * LONG, worth_waking: WORTH_WAKING };
            let (board, mut inline) = (Board::new(&[], &[]), Inline::new(handover, ROOM));
            (0..8).for_each(|_| inline.note(trip, &board));
            Bench { inline, board, link, requests, place: place_out, cancel: cancel_out, refused: Vec::new() }
        }

        fn send(&mut self, requests: &[OrderRequest]) {
            requests.iter().for_each(|request| self.link.push(*request).unwrap());
        }

        /// Serves everything, and tells the numbers of what was served here.
        fn serve(&mut self) -> Vec<u64> {
            let mut served = Vec::new();
            loop {
                let refused = &mut self.refused;
                let refuse = |command: &Command| refused.push(command.client_id().counter);
                let Some(request) = self.inline.next(&mut self.requests, &self.board, refuse) else { return served };
                self.inline.hand_over_second(&request);
                served.push(request.command.client_id().counter);
            }
        }
    }

    #[test]
    fn while_trips_are_short_all_but_queries_are_served_here_as_they_come() {
        let mut bench = Bench::after(SHORT);
        bench.send(&[query(1), place(2), place(3), cancel(4), cancel(5)]);
        assert_eq!(bench.serve(), [2, 3, 4, 5]);
        assert_eq!((numbers(&mut bench.place), numbers(&mut bench.cancel)), (vec![], vec![1]));
    }

    #[test]
    fn while_trips_are_long_cancels_and_the_second_placement_wait_for_nobody() {
        let mut bench = Bench::after(LONG);
        bench.send(&[place(2), place(3), cancel(4), cancel(5)]);
        assert_eq!(bench.serve(), [2]);
        assert_eq!((numbers(&mut bench.place), numbers(&mut bench.cancel)), (vec![3], vec![4, 5]));
    }

    #[test]
    fn while_trips_are_too_long_nothing_is_served_here_until_the_workers_are_short_again() {
        let mut bench = Bench::after(TOO_LONG);
        bench.send(&[place(2), cancel(3), place(4)]);
        assert!(bench.serve().is_empty());
        assert_eq!((numbers(&mut bench.place), numbers(&mut bench.cancel)), (vec![2, 4], vec![3]));
        bench.board.add(Count::Overflow, SHORT_TRIPS);
        bench.board.set(Gauge::OverflowRoundTripNs, SHORT.as_nanos() as i64);
        bench.send(&[place(5), place(6)]);
        assert_eq!(bench.serve(), [5], "the trips remembered here are long still, so the second goes to the worker");
        assert_eq!(numbers(&mut bench.place), [6]);
    }

    #[test]
    fn what_waits_when_trips_turn_short_is_served_first_and_what_no_worker_takes_is_refused() {
        let mut bench = Bench::after(LONG);
        // The worker has no room for the second placement, so it waits here.
        (0..ROOM as u64).for_each(|number| bench.inline.handover.place.ring.push(place(100 + number)).unwrap());
        bench.send(&[place(2), place(3)]);
        let first = bench.inline.next(&mut bench.requests, &bench.board, |_| ()).unwrap();
        bench.inline.hand_over_second(&first);
        assert!(bench.inline.waits());
        bench.inline.note(SHORT, &bench.board);
        bench.send(&[place(4), cancel(5)]);
        assert_eq!(bench.serve(), [3, 4, 5]);
        (0..ROOM as u64).for_each(|number| bench.inline.handover.cancel.ring.push(cancel(200 + number)).unwrap());
        bench.send(&[query(6)]);
        assert_eq!((bench.serve(), std::mem::take(&mut bench.refused)), (vec![], vec![6]));
        assert!(!bench.inline.waits());
    }
}
