//! What the links of a tick's way cost where both ends are on one thread, as in the fused plan.
//!
//! "Inside" is wanted net of ring hops: a link is there so that tiles may sit on different cores, and its hop has a bound of
//! its own (`cargo bench --bench link`). A stamp at both ends of each link would cost as much as the hop itself, so the three
//! messages of a tick's way - a diff of twenty levels, the view made of it, an order - are sent and taken again and again on
//! the maker's core, on rings so small that they stay in the nearest cache, and the middle of what that took is what is taken
//! off. In the engine their lines are colder, so it is the least that they cost there.

use std::hint::black_box;
use std::time::Duration;

use hdrhistogram::Histogram;
use quanta::Clock;
use rtrb::RingBuffer;

use super::figures;
use crate::metrics::Stamps;
use crate::tiles::message::{BookOut, OrderRequest};
use crate::types::{
    BookState, BookView, ClientOrderId, Command, Input, InstrumentId, Level, MarketUpdate, NewOrder, OrderKind, Price,
    Qty, SessionId, Side, TimestampNs,
};
use crate::wire::{DepthBuf, FeedEvent, Flags, RecordBuf, Stream, Unit, lines, unit_link};

/// Messages between two looks at the clock.
const BATCH: u64 = 32;
/// A hop is told in these parts of a nanosecond while it is counted.
const PARTS: u64 = 100;
/// Room of the small rings: a few messages.
const UNITS: usize = 32;
const MESSAGES: usize = 4;
/// Levels of a side in a diff, and in a view.
const LEVELS: i64 = 10;

/// What each of them costs, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct RingHops {
    /// A diff of twenty levels.
    pub feed_book: f64,
    /// A view.
    pub book_quote: f64,
    /// An order.
    pub quote_place: f64,
    /// All three: a tick's way.
    pub sum: f64,
}

/// Sends and takes on one core.
#[derive(Debug)]
pub struct Meter {
    core: usize,
    /// Of the three links, in their order on the way.
    hops: [Histogram<u64>; 3],
}

impl Meter {
    /// A meter of a core on which nothing has been sent.
    pub fn new(core: usize) -> Meter {
        Meter { core, hops: [(); 3].map(|()| figures::empty()) }
    }

    /// Sends and takes for so long, on a thread of its own.
    pub fn watch(&mut self, span: Duration) {
        let [diffs, views, orders] = &mut self.hops;
        let core = self.core;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                core_affinity::set_for_current(core_affinity::CoreId { id: core });
                watch_diffs(span / 3, diffs);
                watch_views(span / 3, views);
                watch_orders(span / 3, orders);
            });
        });
    }

    /// The middle of what was seen; `None` when nothing was.
    pub fn read(&self) -> Option<RingHops> {
        if self.hops.iter().any(Histogram::is_empty) {
            return None;
        }
        let [feed_book, book_quote, quote_place] =
            [0, 1, 2].map(|at| self.hops[at].value_at_quantile(0.5) as f64 / PARTS as f64);
        Some(RingHops { feed_book, book_quote, quote_place, sum: feed_book + book_quote + quote_place })
    }
}

/// Lets `hop` send and take a numbered message, a batch at a time. It returns the number that came.
fn time(span: Duration, into: &mut Histogram<u64>, mut hop: impl FnMut(u64) -> Option<u64>) {
    let clock = Clock::new();
    let began = clock.raw();
    let (mut last, mut number) = (began, 0);
    while clock.delta_as_nanos(began, last) < span.as_nanos() as u64 {
        last = clock.raw();
        let first = number;
        let came = (0..BATCH).all(|_| {
            number += 1;
            hop(number) == Some(number)
        });
        let now = clock.raw();
        // A message that does not come would make the figure better.
        assert!(came, "message {} to {number} on a ring of our own", first + 1);
        into.saturating_record(clock.delta_as_nanos(last, now) * PARTS / BATCH);
        last = now;
    }
}

fn level(ticks: i64) -> Level {
    Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(1) }
}

fn watch_diffs(span: Duration, into: &mut Histogram<u64>) {
    let (mut sender, mut receiver) = unit_link(UNITS);
    let mut diff = DepthBuf::with_capacity(2 * LEVELS as usize);
    diff.bids.extend((0..LEVELS).map(level));
    diff.asks.extend((LEVELS..2 * LEVELS).map(level));
    let mut buf = RecordBuf::with_capacity(1024);
    let (kind, ts) = FeedEvent::Depth(diff.as_ref()).encode(&mut buf);
    let record: Vec<Unit> = buf.finish(Stream::Feed, kind, Flags::NONE, 1, ts).to_vec();
    time(span, into, |number| {
        sender.send_stamped(&record, number).ok()?;
        let (stamp, record) = receiver.recv_stamped()?;
        black_box(record.ok()?);
        Some(stamp)
    });
}

fn watch_views(span: Duration, into: &mut Histogram<u64>) {
    let (mut sender, mut receiver) = RingBuffer::new(MESSAGES);
    let mut view = BookView::empty(InstrumentId(0), BookState::Live);
    for side in Side::BOTH {
        view.set_levels(side, (1..=LEVELS).map(|i| level(6_000_000 - side.sign() * i)));
    }
    let mut out = BookOut { feed_seq: 0, stamps: Stamps::NONE, update: MarketUpdate::Book(view) };
    time(span, into, |number| {
        out.feed_seq = number;
        lines::send(&mut sender, &out).ok()?;
        let chunk = receiver.read_chunk(1).ok()?;
        let out: &BookOut = &chunk.as_slices().0[0];
        let (input, number) = (Input::Market(out.update), out.feed_seq);
        chunk.commit_all();
        black_box(&input);
        Some(number)
    });
}

fn watch_orders(span: Duration, into: &mut Histogram<u64>) {
    let (mut sender, mut receiver) = RingBuffer::new(MESSAGES);
    let order = NewOrder {
        instrument: InstrumentId(0),
        client_id: ClientOrderId { session: SessionId(1), counter: 0 },
        side: Side::Bid,
        price: Price::from_ticks(6_000_000),
        qty: Qty::from_lots(1),
        kind: OrderKind::PostOnly,
    };
    time(span, into, |number| {
        let order = NewOrder { client_id: ClientOrderId { counter: number, ..order.client_id }, ..order };
        let tick_ts = TimestampNs::ZERO;
        sender.push(OrderRequest { command: Command::Place(order), stamps: Stamps::NONE, tick_ts }).ok()?;
        let request: OrderRequest = black_box(receiver.pop().ok()?);
        Some(request.command.client_id().counter)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_costs_something_and_their_sum_is_told() {
        let mut meter = Meter::new(0);
        assert_eq!(meter.read(), None);
        meter.watch(Duration::from_millis(30));
        let hops = meter.read().unwrap();
        assert!([hops.feed_book, hops.book_quote, hops.quote_place].iter().all(|ns| *ns > 1.0), "{hops:?}");
        assert!((hops.sum - hops.feed_book - hops.book_quote - hops.quote_place).abs() < 1e-9);
    }
}
