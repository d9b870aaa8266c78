//! From a complete frame to a queued order nothing is allocated once it is warm; what the libraries around it allocate is
//! counted and shown.
#![allow(unsafe_code, reason = "a counting allocator can only be written with unsafe")]

mod pipeline_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};
use std::time::Duration;

use pipeline_support::*;
use touchline::gateway::Http;
use touchline::journal::{Journal, JournalConfig, SessionInfo};
use touchline::pipeline::Pipeline;
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::types::{
    Action, Actions, Command, Control, ExecKind, Input, Level, MarketUpdate, NewOrder, Price, Qty, SessionId, Side,
    TimestampNs, Trade, TradeId,
};
use touchline::venue::binance::decode::Decoder;
use touchline::venue::binance::rest::{Reply, RequestBuilder};
use touchline::venue::binance::sign::Signer;
use touchline::wire::{DepthBuf, DepthKind, FeedEvent, Flags, InputEvent, RecordBuf, Stream, encode_action, unit_link};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

struct Counting;

thread_local! {
    // Tests run side by side: each counts what its own thread allocates.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn allocations() -> u64 {
    ALLOCATIONS.get()
}

// SAFETY: every call is handed on to the system allocator unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more, and nobody who would read it.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout, as `alloc` shows.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A market that walks, trades on every step, answers every order and fills some. Returns events taken.
fn run(
    pipeline: &mut touchline::pipeline::Pipeline,
    actions: &mut Actions,
    replies: &mut Vec<(NewOrder, ExecKind)>,
    from: u64,
    to: u64,
) -> u64 {
    let mut events = 0;
    for step in from..to {
        let now_ms = step * 100;
        let now = time(now_ms);
        let mid = 10_000 + (step % 60) as i64 * if step / 60 % 2 == 0 { 1 } else { -1 };
        let mut take = |input: &Input, replies: &mut Vec<(NewOrder, ExecKind)>| {
            actions.clear();
            pipeline.on_event(now, input, actions);
            events += 1;
            for action in actions.as_slice() {
                match action {
                    Action::Command(Command::Place(order)) => replies.push((*order, ExecKind::Accepted)),
                    Action::Command(Command::Cancel { client_id, .. }) => {
                        let order = NewOrder {
                            client_id: *client_id,
                            instrument: ID,
                            side: Side::Bid,
                            price: Price::default(),
                            qty: Qty::ZERO,
                            kind: touchline::types::OrderKind::PostOnly,
                        };
                        replies.push((order, ExecKind::Canceled { cum_qty: Qty::ZERO }));
                    }
                    Action::Command(Command::Amend { client_id, qty, .. }) => {
                        let order = NewOrder {
                            client_id: *client_id,
                            instrument: ID,
                            side: Side::Bid,
                            price: Price::default(),
                            qty: *qty,
                            kind: touchline::types::OrderKind::PostOnly,
                        };
                        replies.push((order, ExecKind::Amended { qty: *qty }));
                    }
                    _ => {}
                }
            }
        };
        take(&Input::Market(MarketUpdate::Book(view(now_ms, step + 1, mid - 1, mid + 1))), replies);
        let aggressor = if step % 3 == 0 { Side::Ask } else { Side::Bid };
        let trade = Trade {
            instrument: ID,
            event_ts: now,
            recv_ts: now,
            id: TradeId(step as i64),
            price: Price::from_ticks(mid),
            qty: Qty::from_lots(3),
            aggressor,
        };
        take(&Input::Market(MarketUpdate::Trade(trade)), replies);
        take(&Input::Timer, replies);
        let mut at = 0;
        while at < replies.len() {
            let (order, kind) = replies[at];
            at += 1;
            take(&Input::Exec(report(now_ms, order.client_id, kind)), replies);
            if kind == ExecKind::Accepted && step % 20 == 0 {
                let filled = fill(&order, (step * 4 + at as u64) as i64 + 1, order.qty.lots(), order.qty.lots());
                take(&Input::Exec(report(now_ms, order.client_id, filled)), replies);
            }
        }
        replies.clear();
    }
    events
}

#[test]
fn a_warm_pipeline_decides_without_allocating() {
    use touchline::pipeline::QuoterKind;
    for kind in [QuoterKind::Hybrid, QuoterKind::As, QuoterKind::Glft, QuoterKind::Ev] {
        let mut config = naive();
        config.quoter.kind = kind;
        config.quoter.maker_fee_bps = 0.0;
        config.quoter.k_ticks = 3.0;
        let mut table = Table::new(&config);
        let mut replies = Vec::with_capacity(256);
        let mut actions = Actions::new();
        run(&mut table.pipeline, &mut actions, &mut replies, 0, 2_000);
        let before = allocations();
        let events = run(&mut table.pipeline, &mut actions, &mut replies, 2_000, 12_000);
        let allocations = allocations() - before;
        let snapshot = table.snapshot();
        assert!(snapshot.tau.is_some() && snapshot.sigma_ticks.is_some(), "the run must have been warm");
        assert!(snapshot.counters.placed > 1_000 && snapshot.counters.fills > 100, "{kind:?} {:?}", snapshot.counters);
        assert_eq!(allocations, 0, "{kind:?}: in {events} events");
    }
}

/// A diff of a few levels whose best prices move, as the venue sends it.
fn diff_frame(number: u64, mid: i64) -> String {
    let mut text = format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{},"s":"BTCUSDT","U":{number},"u":{number}"#,
        START_MS + number * 100
    );
    for (name, sign) in [("b", -1), ("a", 1)] {
        let _ = write!(text, r#","{name}":["#);
        for away in -2..=10_i64 {
            // Nothing is left inside the spread; behind it each level has its size.
            let ticks = mid + sign * away;
            let lots = if away < 1 { 0 } else { 2_000 + away * 10 };
            let comma = if away == -2 { "" } else { "," };
            let _ =
                write!(text, r#"{comma}["{}.{:02}","{}.{:03}"]"#, ticks / 100, ticks % 100, lots / 1000, lots % 1000);
        }
        text.push(']');
    }
    text.push_str("}}");
    text
}

/// The way of a frame through feed, book and quote, as the tiles take it, and of its orders into the gateway's link.
struct Way {
    decoder: Decoder,
    depth: DepthBuf,
    buf: RecordBuf,
    journal: Journal,
    sender: touchline::wire::UnitSender,
    receiver: touchline::wire::UnitReceiver,
    stage: MarketStage,
    book_quote: (rtrb::Producer<MarketUpdate>, rtrb::Consumer<MarketUpdate>),
    pipeline: Pipeline,
    actions: Actions,
    orders: (rtrb::Producer<Command>, rtrb::Consumer<Command>),
}

impl Way {
    fn new(folder: &std::path::Path) -> Way {
        let instruments = [instrument()];
        let info = SessionInfo::new(SessionId(1), "test", "binance", TimestampNs::ZERO, &[], None);
        let config = JournalConfig { sync_interval: None, ..JournalConfig::new(folder) };
        let (sender, receiver) = unit_link(4096);
        let mut config_of_decisions = naive();
        config_of_decisions.quoter.requote = touchline::pipeline::RequoteKind::Always;
        (config_of_decisions.risk.orders_per_1s, config_of_decisions.risk.orders_per_10s) = (1000, 10_000);
        let mut way = Way {
            decoder: Decoder::new(&instruments),
            depth: DepthBuf::with_capacity(64),
            buf: RecordBuf::with_capacity(4096),
            journal: Journal::create(&config, &info, 0).unwrap(),
            sender,
            receiver,
            stage: MarketStage::new(&instruments, SyncRule::Spot),
            book_quote: rtrb::RingBuffer::new(16),
            pipeline: Pipeline::new(SessionId(1), &instruments, &config_of_decisions).unwrap(),
            actions: Actions::new(),
            orders: rtrb::RingBuffer::new(64),
        };
        let level = |ticks| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(2_000) };
        let mut snapshot = DepthBuf::with_capacity(64);
        (snapshot.head.kind, snapshot.head.last_id) = (DepthKind::Snapshot, 1);
        snapshot.bids.extend((0..20).map(|away| level(9_999 - away)));
        snapshot.asks.extend((0..20).map(|away| level(10_001 + away)));
        let _ = way.stage.snapshot_wanted(time(0));
        let _ = way.stage.on_event(&FeedEvent::Depth(snapshot.as_ref()));
        way.pipeline.on_event(time(0), &Input::Control(Control::UserStreamUp), &mut way.actions);
        way
    }

    /// Returns how many commands were queued.
    fn frame(&mut self, now: TimestampNs, frame: &[u8]) -> u64 {
        // feed
        let decoded = self.decoder.decode(frame, now, &mut self.depth).unwrap();
        let event = decoded.event(&self.depth).unwrap();
        let (kind, ts) = event.encode(&mut self.buf);
        let units = self.buf.finish(Stream::Feed, kind, Flags::NONE, self.journal.feed.next_seq(), ts);
        self.journal.feed.append(units).unwrap();
        self.sender.send_stamped(units, 1).unwrap();
        // book
        let (_, record) = self.receiver.recv_stamped().unwrap();
        let record = record.unwrap();
        let feed_seq = record.header.seq;
        if let Some(update) = self.stage.on_event(&FeedEvent::decode(&record).unwrap()) {
            self.book_quote.0.push(update).unwrap();
        }
        // quote
        let Ok(update) = self.book_quote.1.pop() else { return 0 };
        self.decide(now, &Input::Market(update), feed_seq)
    }

    fn decide(&mut self, now: TimestampNs, input: &Input, feed_seq: u64) -> u64 {
        let kind = InputEvent::of(input, feed_seq).encode(&mut self.buf);
        let units = self.buf.finish(Stream::Quote, kind, Flags::NONE, self.journal.quote.next_seq(), now);
        self.journal.quote.append(units).unwrap();
        self.actions.clear();
        self.pipeline.on_event(now, input, &mut self.actions);
        let mut queued = 0;
        for action in self.actions.as_slice() {
            let kind = encode_action(action, &mut self.buf);
            let units = self.buf.finish(Stream::Quote, kind, Flags::NONE, self.journal.quote.next_seq(), now);
            self.journal.quote.append(units).unwrap();
            if let Action::Command(command) = action {
                self.orders.0.push(*command).unwrap();
                queued += 1;
            }
        }
        queued
    }

    /// Answers what was queued.
    fn answer(&mut self, now: TimestampNs, now_ms: u64) {
        while let Ok(command) = self.orders.1.pop() {
            let (client_id, kind) = match command {
                Command::Place(order) => (order.client_id, ExecKind::Accepted),
                Command::Cancel { client_id, .. } => (client_id, ExecKind::Canceled { cum_qty: Qty::ZERO }),
                Command::Amend { client_id, qty, .. } => (client_id, ExecKind::Amended { qty }),
                Command::Query { .. } | Command::Fills { .. } => continue,
            };
            self.decide(now, &Input::Exec(report(now_ms, client_id, kind)), 0);
        }
    }
}

#[test]
fn from_a_complete_frame_to_a_queued_order_nothing_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let mut way = Way::new(folder.path());
    let frames: Vec<String> = (0..3_000_u64)
        .map(|step| {
            let away = (step % 80) as i64;
            diff_frame(step + 2, 10_000 + if away < 40 { away } else { 80 - away })
        })
        .collect();
    let (mut counted, mut queued, mut answered) = (0, 0, 0);
    for (step, frame) in frames.iter().enumerate() {
        let now_ms = (step as u64 + 2) * 100;
        let before = allocations();
        let commands = way.frame(time(now_ms), frame.as_bytes());
        let frames_own = allocations() - before;
        let before = allocations();
        way.answer(time(now_ms), now_ms);
        // The first 500 frames let every buffer grow to the size that it keeps.
        if step >= 500 {
            counted += frames_own;
            answered += allocations() - before;
            queued += commands;
        }
    }
    assert!(queued > 2_000, "{queued} commands were queued");
    assert_eq!((counted, answered), (0, 0), "allocations from frames to queued orders, and of the answers");
}

/// A socket that holds all it will ever say.
struct Heard(Cursor<Vec<u8>>);

impl Read for Heard {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_websocket_library_allocates_for_a_frame_is_counted() {
    const FRAMES: u64 = 2_000;
    let text = diff_frame(2, 10_000);
    let mut frame = vec![0x81, 126];
    frame.extend((text.len() as u16).to_be_bytes());
    frame.extend(text.as_bytes());
    let mut socket = WebSocket::from_raw_socket(Heard(Cursor::new(frame.repeat(FRAMES as usize))), Role::Client, None);
    let before = allocations();
    for _ in 0..FRAMES {
        match socket.read() {
            Ok(Message::Text(read)) => assert_eq!(read.len(), text.len()),
            other => panic!("{other:?}"),
        }
    }
    let counted = allocations() - before;
    println!("tungstenite: {counted} allocations for {FRAMES} frames of {} bytes", text.len());
    assert!(counted <= 2 * FRAMES, "{counted} allocations for {FRAMES} frames");
}

#[test]
fn what_the_http_library_allocates_for_an_order_is_counted() {
    const REQUESTS: u64 = 200;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match socket.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => heard.extend(&buffer[..count]),
            }
            // Head and body may come apart: the signature is the body's last parameter and has 64 digits.
            let text = String::from_utf8_lossy(&heard);
            if text.split_once("signature=").is_some_and(|(_, signature)| signature.len() >= 64) {
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                heard.clear();
            }
        }
    });
    let instrument = instrument();
    let signer = Signer::hmac(&"secret".into()).unwrap();
    let mut http = Http::new(&format!("http://{address}"), Some(&"key".into()), None, Duration::from_secs(5)).unwrap();
    let mut builder = RequestBuilder::new(5000);
    let order = Command::Place(NewOrder {
        instrument: ID,
        client_id: touchline::types::ClientOrderId { session: SessionId(1), counter: 2 },
        side: Side::Bid,
        price: Price::from_ticks(9_990),
        qty: Qty::from_lots(1_000),
        kind: touchline::types::OrderKind::PostOnly,
    });
    let (mut building, mut sending) = (0, 0);
    for round in 0..=REQUESTS {
        let before = allocations();
        let request = builder.command(&order, &instrument, 1_700_000_000_000 + round, &signer);
        let built = allocations();
        let reply = http.send(&request, &mut || {});
        assert!(matches!(reply, Reply::Answer { status: 200, .. }), "{reply:?}");
        if round > 0 {
            building += built - before;
            sending += allocations() - built;
        }
    }
    drop(http);
    server.join().unwrap();
    println!("ureq: {:.1} allocations an order; building and signing it: {building}", sending as f64 / REQUESTS as f64);
    assert_eq!(building, 0, "a request is built in its own buffer");
    assert!(sending <= 60 * REQUESTS, "{sending} allocations for {REQUESTS} orders");
}
