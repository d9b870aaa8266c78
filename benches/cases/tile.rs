//! The quote tile: what a tick costs the thread that decides, journal, figures and order links included; alone, and with
//! its figures read between the steps.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::RingBuffer;
use touchline::journal::{Journal, JournalConfig, SessionInfo};
use touchline::kpi::RunningPoint;
use touchline::metrics::{Board, LatencyTable, LatestReader, Stamps, latest};
use touchline::pipeline::{Pipeline, PipelineSnapshot};
use touchline::server::dashboard::Dashboard;
use touchline::server::view::SessionView;
use touchline::tiles::Tile;
use touchline::tiles::fate::Fate;
use touchline::tiles::message::{BookOut, OrderRequest, TelemetrySender};
use touchline::tiles::quote::{Lane, QuoteParts, QuoteTile, digest_slot};
use touchline::types::{
    Command, Control, ExecKind, ExecReport, Instrument, InstrumentId, MarketUpdate, Qty, QuoteDecision, SessionId,
    TimestampNs,
};

use super::Case;
use super::decide::{accepted, config, report, view};
use super::frames::instrument;

/// Steps that are counted together.
const STEPS: u64 = 32;
const BEGAN_MS: u64 = 1_700_000_000_000;

/// A step takes a book that moves both orders; a second one takes the answers of the four commands.
pub fn step() -> Case {
    stepped("quote_tile_step").0
}

/// The same, with `/metrics` scraped and the dashboard's state read before each step: nothing of it may show.
pub fn step_watched() -> Case {
    let (case, view) = stepped("quote_tile_step_watched");
    let dashboard = Dashboard::serve(0, Arc::new(view)).expect("a port");
    let address = dashboard.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let look = move || {
        let _lives = &dashboard;
        for (path, word) in [("/metrics", "touchline_ticks_total"), ("/api/state", "\"instruments\"")] {
            let mut socket = TcpStream::connect(&address).expect("the dashboard listens");
            let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            socket.write_all(request.as_bytes()).expect("it reads");
            let mut text = String::new();
            socket.read_to_string(&mut text).expect("it answers");
            assert!(text.contains(word), "{text}");
        }
    };
    Case { before: Some(Box::new(look)), ..case }
}

fn stepped(name: &'static str) -> (Case, View) {
    let folder = tempfile::tempdir().expect("a folder");
    let info = SessionInfo::new(SessionId(1), "gate", "binance", TimestampNs::ZERO, &[], None);
    let journal = JournalConfig { segment_bytes: 1 << 22, sync_interval: None, ..JournalConfig::new(folder.path()) };
    let Journal { feed, quote, gateways, keeper, .. } = Journal::create(&journal, &info, 0).expect("a journal");
    let board = Arc::new(Board::new(&["quote"], &[("quote_place", 64), ("quote_cancel", 64)]));
    let (mut book, quote_book) = RingBuffer::new(16);
    let (mut control, quote_control) = RingBuffer::new(16);
    let (mut answers, quote_answers) = RingBuffer::<ExecReport>::new(64);
    let (place, mut placed) = RingBuffer::<OrderRequest>::new(64);
    let (cancel, mut cancelled) = RingBuffer::<OrderRequest>::new(64);
    let (telemetry, mut told) = RingBuffer::new(1024);
    let (writer, snapshot) = latest();
    let lane = |ring, cells| Some(Lane { ring, bell: None, cells });
    // The tile's clock is the book's: one that ran ahead of it would find the book stale.
    let time = Arc::new(AtomicU64::new(BEGAN_MS));
    let now_ms = Arc::clone(&time);
    let mut tile = QuoteTile::new(QuoteParts {
        book: quote_book,
        feed: None,
        account: None,
        control: quote_control,
        answers: vec![quote_answers],
        place: lane(place, 0),
        cancel: lane(cancel, 1),
        pipeline: Pipeline::new(SessionId(1), &[instrument()], &config()).expect("a valid configuration"),
        instruments: vec![instrument()],
        journal: quote,
        telemetry: TelemetrySender::new(telemetry),
        snapshots: vec![writer],
        now: Box::new(move |_| TimestampNs::from_millis(now_ms.load(Ordering::Relaxed))),
        fate: Arc::new(Fate::default()),
        board: Arc::clone(&board),
        digest: digest_slot(),
        warm: Arc::default(),
    });
    control.push(Control::UserStreamUp).expect("an empty ring");
    tile.step();
    let mut tick = 0_u64;
    let mut run = move || {
        // The folder, the cold end of the journal and the sending ends live as long as the tile.
        let _lives = (&folder, &feed, &gateways, &keeper, &control);
        tick += 1;
        let mid = 6_000_000 + if tick.is_multiple_of(2) { 20 } else { 0 };
        time.store(BEGAN_MS + tick * 100, Ordering::Relaxed);
        let update = MarketUpdate::Book(view(tick as i64 * 100, mid));
        book.push(BookOut { feed_seq: tick, stamps: Stamps::begin(tick), update }).expect("an empty ring");
        tile.step();
        let mut commands = 0;
        while let Ok(request) = cancelled.pop().or_else(|_| placed.pop()) {
            commands += 1;
            let now = request.tick_ts;
            let answer = match request.command {
                Command::Place(order) => accepted(order.client_id, now),
                other => report(other.client_id(), now, ExecKind::Canceled { cum_qty: Qty::ZERO }),
            };
            answers.push(black_box(answer)).expect("room for four answers");
        }
        tile.step();
        while told.pop().is_ok() {}
        commands
    };
    // The first book finds no orders yet; from then on each replaces both.
    run();
    let case = Case { calls: STEPS, ..Case::new(name, 1, 4, run).once() };
    (case, View { board, latencies: LatencyTable::default(), instruments: [instrument()], snapshot })
}

/// The tile as people see it.
#[derive(Debug)]
struct View {
    board: Arc<Board>,
    latencies: LatencyTable,
    instruments: [Instrument; 1],
    snapshot: LatestReader<PipelineSnapshot>,
}

impl SessionView for View {
    fn session(&self) -> String {
        SessionId(1).to_string()
    }
    fn plan(&self) -> String {
        "one tile".to_owned()
    }
    fn board(&self) -> &Board {
        &self.board
    }
    fn latencies(&self) -> &LatencyTable {
        &self.latencies
    }
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }
    fn snapshot(&self, _: InstrumentId) -> Option<PipelineSnapshot> {
        self.snapshot.get()
    }
    fn quote(&self, _: InstrumentId) -> Option<QuoteDecision> {
        None
    }
    fn fills(&self) -> Vec<ExecReport> {
        Vec::new()
    }
    fn markouts(&self, _: InstrumentId) -> Vec<RunningPoint> {
        Vec::new()
    }
}
