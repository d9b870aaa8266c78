//! What a link costs: its hop from core to core, and a record sent and taken on one thread, as the fused runner does it.
//!
//! First part: the hop of each kind of link, with the messages that the engine sends over it, beside two bare cache lines:
//! each of the two threads writes one and watches the other's. A hop changes by a factor of four with the machine's mood,
//! so the same two threads take both in turn, some hundred trips each; a hop is half a round trip, a round's ratio that
//! of its two medians, and the figure is the median over rounds. A line's hop also depends on where in memory it lies, by
//! a factor of two: each round has lines of its own, as each message of a ring has. Every number must come back.
//! `TOUCHLINE_BENCH_ROUNDS` says how many rounds.
//!
//! Second part: the copy of a whole record into the ring and out of it, from a touch to a diff of 40 levels. Every stamp is
//! summed and checked, so that the bench measures records that arrived.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group};
use crossbeam::utils::CachePadded;
use quanta::Clock;
use rtrb::{Consumer, Producer, RingBuffer};
use touchline::metrics::Stamps;
use touchline::tiles::message::{BookOut, OrderRequest};
use touchline::types::{
    BookState, BookView, ClientOrderId, Command, ExecKind, ExecReport, ExecSource, Input, InstrumentId, Level,
    MarketUpdate, NewOrder, OrderKind, Price, Qty, SessionId, Side, TimestampNs, Touch,
};
use touchline::wire::{
    DepthBuf, FeedEvent, Flags, RecordBuf, Stream, Unit, UnitReceiver, UnitSender, lines, unit_link,
};

const RECORDS: u64 = 1000;
/// What a link's hop may take, in hops of the two lines.
const RATIO_MAX: f64 = 2.7;

/// One end of two one-way links: a number goes out in a message, and one comes in.
trait End: Send {
    fn send(&mut self, number: u64);
    fn take(&mut self) -> Option<u64>;
}

/// A line.
type Line = CachePadded<AtomicU64>;

/// One end of two bare lines.
struct Lines<'a> {
    out: &'a Line,
    into: &'a Line,
    seen: u64,
}

impl End for Lines<'_> {
    fn send(&mut self, number: u64) {
        self.out.store(number, Ordering::Release);
    }

    fn take(&mut self) -> Option<u64> {
        let number = self.into.load(Ordering::Acquire);
        (number != std::mem::replace(&mut self.seen, number)).then_some(number)
    }
}

/// A ring of messages, sent and taken as the tiles do it.
struct Ring<T> {
    out: Producer<T>,
    into: Consumer<T>,
    message: T,
    how: How<T>,
}

/// How a number goes out in a message, and how it comes in.
struct How<T> {
    send: fn(&mut Producer<T>, &mut T, u64) -> bool,
    take: fn(&mut Consumer<T>) -> Option<u64>,
}

impl<T: Copy + Send> End for Ring<T> {
    fn send(&mut self, number: u64) {
        assert!((self.how.send)(&mut self.out, &mut self.message, number), "one message at a time");
    }

    fn take(&mut self) -> Option<u64> {
        (self.how.take)(&mut self.into)
    }
}

fn ring<T: Copy + Send + 'static>(depth: usize, message: T, how: fn() -> How<T>) -> [Box<dyn End>; 2] {
    let ((ping, pinged), (pong, ponged)) = (RingBuffer::new(depth), RingBuffer::new(depth));
    let end = |out, into| Box::new(Ring { out, into, message, how: how() });
    [end(ping, ponged), end(pong, pinged)]
}

fn books() -> How<BookOut> {
    How {
        send: |ring, out, number| {
            out.feed_seq = number;
            lines::send(ring, out).is_ok()
        },
        take: |ring| {
            let chunk = ring.read_chunk(1).ok()?;
            let out = &chunk.as_slices().0[0];
            let (input, number) = (Input::Market(out.update), out.feed_seq);
            chunk.commit_all();
            black_box(&input);
            Some(number)
        },
    }
}

fn orders() -> How<OrderRequest> {
    fn number(request: &mut OrderRequest) -> &mut u64 {
        match &mut request.command {
            Command::Place(order) => &mut order.client_id.counter,
            _ => unreachable!("it is an order"),
        }
    }
    How {
        send: |ring, request, sent| {
            *number(request) = sent;
            ring.push(*request).is_ok()
        },
        take: |ring| Some(*number(black_box(&mut ring.pop().ok()?))),
    }
}

fn reports() -> How<ExecReport> {
    How {
        send: |ring, report, number| {
            report.client_id.counter = number;
            ring.push(*report).is_ok()
        },
        take: |ring| Some(black_box(&mut ring.pop().ok()?).client_id.counter),
    }
}

/// The link of records.
struct Units {
    out: UnitSender,
    into: UnitReceiver,
    record: Vec<Unit>,
}

impl End for Units {
    fn send(&mut self, number: u64) {
        self.out.send_stamped(&self.record, number).expect("one record at a time");
    }

    fn take(&mut self) -> Option<u64> {
        let (stamp, record) = self.into.recv_stamped()?;
        black_box(record.expect("it was just built"));
        Some(stamp)
    }
}

fn units(record: &[Unit]) -> [Box<dyn End>; 2] {
    let ((ping, pinged), (pong, ponged)) = (unit_link(65_536), unit_link(65_536));
    let end = |out, into| Box::new(Units { out, into, record: record.to_vec() });
    [end(ping, ponged), end(pong, pinged)]
}

fn wait(end: &mut dyn End) -> u64 {
    loop {
        if let Some(number) = end.take() {
            return number;
        }
        std::hint::spin_loop();
    }
}

/// The median hop in nanoseconds of each round, between two cores: over its lines, and over the link.
fn hops_ns(cores: [usize; 2], rounds: usize, trips: u64, ends: [Box<dyn End>; 2]) -> Vec<[f64; 2]> {
    let pin = |id| core_affinity::set_for_current(core_affinity::CoreId { id });
    let lines: Vec<[Line; 2]> = (0..rounds).map(|_| Default::default()).collect();
    let (lines, [mut here, mut there]) = (&lines, ends);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(cores[1]);
            for [ping, pong] in lines {
                let mut bare = Lines { out: pong, into: ping, seen: 0 };
                for end in [&mut bare as &mut dyn End, &mut *there] {
                    for _ in 0..trips {
                        let number = wait(end);
                        end.send(number);
                    }
                }
            }
        });
        let measuring = scope.spawn(move || {
            pin(cores[0]);
            let (clock, mut number) = (Clock::new(), 0);
            let mut took = Vec::with_capacity(trips as usize);
            let mut of = |end: &mut dyn End| {
                took.clear();
                for _ in 0..trips {
                    number += 1;
                    let sent = clock.raw();
                    end.send(number);
                    assert_eq!(wait(end), number);
                    took.push(clock.delta_as_nanos(sent, clock.raw()) as f64 / 2.0);
                }
                median(&mut took)
            };
            let round = |[ping, pong]: &[Line; 2]| [of(&mut Lines { out: ping, into: pong, seen: 0 }), of(&mut *here)];
            lines.iter().map(round).collect()
        });
        measuring.join().expect("every number came back")
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

type Ends = Box<dyn Fn() -> [Box<dyn End>; 2]>;

/// Each kind of link of the hot path with what travels on it, and how many bytes that is.
fn links() -> Vec<(&'static str, usize, Ends)> {
    let mut view = BookView::empty(InstrumentId(0), BookState::Live);
    for side in Side::BOTH {
        view.set_levels(side, (1..=10).map(|i| level(6_000_000 - side.sign() * i)));
    }
    let book = BookOut { feed_seq: 0, stamps: Stamps::NONE, update: MarketUpdate::Book(view) };
    let client_id = ClientOrderId { session: SessionId(1), counter: 0 };
    let (price, qty, kind) = (Price::from_ticks(6_000_000), Qty::from_lots(1), OrderKind::PostOnly);
    let order = NewOrder { instrument: InstrumentId(0), client_id, side: Side::Bid, price, qty, kind };
    let order = OrderRequest { command: Command::Place(order), stamps: Stamps::NONE, tick_ts: TimestampNs::ZERO };
    let report = ExecReport {
        instrument: InstrumentId(0),
        client_id,
        venue_id: None,
        event_ts: TimestampNs::ZERO,
        recv_ts: TimestampNs::ZERO,
        source: ExecSource::Response,
        kind: ExecKind::Accepted,
    };
    let mut all: Vec<(&'static str, usize, Ends)> = Vec::new();
    with_events(|name, event| {
        let record = record(event, 1);
        let bytes = std::mem::size_of_val(record.as_slice());
        all.push((name, bytes, Box::new(move || units(&record))));
    });
    all.push(("book_quote", size_of::<BookOut>(), Box::new(move || ring(8_192, book, books))));
    all.push(("quote_place", size_of::<OrderRequest>(), Box::new(move || ring(256, order, orders))));
    all.push(("place_quote", size_of::<ExecReport>(), Box::new(move || ring(1_024, report, reports))));
    all
}

fn hops(rounds: usize, trips: u64) {
    let cores: Vec<usize> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    let (&[first, ..], &[_, .., last]) = (cores.as_slice(), cores.as_slice()) else {
        println!("skipped: a hop needs two cores");
        return;
    };
    println!("{:<22} {:>6} {:>8} {:>10} {:>8} {:>16}", "link", "bytes", "hop ns", "lines ns", "ratio", "middle half");
    for (name, bytes, ends) in links() {
        let measured = hops_ns([first, last], rounds, trips, ends());
        let of = |figure: fn(&[f64; 2]) -> f64| {
            let mut figures: Vec<f64> = measured.iter().map(figure).collect();
            let middle = median(&mut figures);
            [figures[figures.len() / 4], middle, figures[figures.len() * 3 / 4]]
        };
        let [lower, ratio, upper] = of(|[lines, link]| link / lines.max(1.0));
        let [[_, lines, _], [_, link, _]] = [of(|hops| hops[0]), of(|hops| hops[1])];
        let word = if ratio > RATIO_MAX { format!(", above {RATIO_MAX}") } else { String::new() };
        println!("{name:<22} {bytes:>6} {link:>8.0} {lines:>10.0} {ratio:>8.2} {lower:>8.2} to {upper:.2}{word}");
    }
}

fn level(ticks: i64) -> Level {
    Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(1) }
}

fn record(event: &FeedEvent<'_>, seq: u64) -> Vec<Unit> {
    let mut buf = RecordBuf::with_capacity(4096);
    let (kind, ts) = event.encode(&mut buf);
    buf.finish(Stream::Feed, kind, Flags::NONE, seq, ts).to_vec()
}

fn pass(event: &FeedEvent<'_>) -> u64 {
    let (mut sender, mut receiver) = unit_link(65_536);
    let mut buf = RecordBuf::with_capacity(4096);
    let mut sum = 0;
    for seq in 1..=RECORDS {
        let (kind, ts) = event.encode(&mut buf);
        let units = buf.finish(Stream::Feed, kind, Flags::NONE, seq, ts);
        sender.send_stamped(units, seq).expect("the ring is drained each time");
        let (stamp, record) = receiver.recv_stamped().expect("it was just sent");
        sum += stamp + u64::from(black_box(record.expect("it was just built")).header.len > 0);
    }
    sum
}

/// What travels on `feed_book`, from small to large.
fn with_events(mut each: impl FnMut(&'static str, &FeedEvent<'_>)) {
    let touch = Touch {
        instrument: InstrumentId(0),
        recv_ts: TimestampNs::from_nanos(1),
        update_id: 1,
        bid: level(10),
        ask: level(11),
    };
    each("feed_book, touch", &FeedEvent::Touch(touch));
    for (name, levels) in [("feed_book, 20 levels", 20), ("feed_book, 40 levels", 40)] {
        let mut depth = DepthBuf::with_capacity(20);
        depth.bids.extend((0..levels / 2).map(level));
        depth.asks.extend((100..100 + levels / 2).map(level));
        each(name, &FeedEvent::Depth(depth.as_ref()));
    }
}

fn link_record(c: &mut Criterion) {
    let mut group = c.benchmark_group("link_record");
    group.throughput(Throughput::Elements(RECORDS));
    with_events(|name, event| {
        assert_eq!(pass(event), RECORDS * (RECORDS + 1) / 2 + RECORDS);
        group.bench_function(name, |b| b.iter(|| pass(event)));
    });
    group.finish();
}

criterion_group!(benches, link_record);

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let rounds = std::env::var("TOUCHLINE_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(501);
    let (rounds, trips) = if is_bench { (rounds, 200) } else { (3, 20) };
    hops(rounds.max(1), trips);
    benches();
    Criterion::default().configure_from_args().final_summary();
}
