//! Tiles on their planned cores, and the same decisions whatever the plan.

mod engine_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine_support::{alone, btcusdt, config, keys, until, venue};
use rtrb::RingBuffer;
use touchline::config::ConfigArgs;
use touchline::journal::{Journal, JournalConfig, JournalReader, SessionInfo};
use touchline::metrics::{Board, Count, latest};
use touchline::pipeline::Pipeline;
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::run::engine::{self, EngineMode};
use touchline::tiles::Tile;
use touchline::tiles::book::BookTile;
use touchline::tiles::doorbell::Doorbell;
use touchline::tiles::fate::Fate;
use touchline::tiles::feed::RecordOutlet;
use touchline::tiles::message::{TelemetrySender, UserInput};
use touchline::tiles::quote::{QuoteParts, QuoteTile, digest_slot};
use touchline::topology::{self, LINKS, PlanKind, tile};
use touchline::types::{Control, Input, InstrumentId, Level, Price, Qty, SessionId, Side, TimestampNs, Trade, TradeId};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent, Stream, unit_link};

/// Cores that each thread of this process may run on, by the thread's name.
fn threads() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        // A thread may end between the listing and the reading.
        let Ok(name) = std::fs::read_to_string(path.join("comm")) else { continue };
        let Ok(status) = std::fs::read_to_string(path.join("status")) else { continue };
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
        found.push((name.trim().to_owned(), cores.trim().to_owned()));
    }
    found
}

fn assert_seated(plan: &topology::Plan) {
    until("every thread sits on its core", || {
        let threads = threads();
        // The paper gateway sits in no engine that trades at a venue.
        plan.seats.iter().filter(|seat| seat.thread != tile::PAPER).all(|seat| {
            let core = seat.core.unwrap().to_string();
            threads.iter().any(|(name, cores)| name == seat.thread && *cores == core)
        })
    });
}

#[test]
fn every_tile_is_on_its_planned_core_and_one_core_degrades_and_says_so() {
    let _alone = alone();
    let cores = topology::cores_at_hand(&[]);
    for (kind, cores) in
        [(PlanKind::Fused, cores.clone()), (PlanKind::Split, cores.clone()), (PlanKind::Auto, vec![cores[0]])]
    {
        let plan = topology::plan(kind, &cores, None);
        let venue = venue();
        let folder = tempfile::tempdir().unwrap();
        let list = cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let set = [format!("topology.plan={}", format!("{kind:?}").to_lowercase()), format!("topology.cores=[{list}]")];
        let settings = config(&venue, folder.path(), &[&set[0], &set[1]]);
        let engine = engine::start(&settings, Some(&keys(&venue)), EngineMode::Live, "test", None).unwrap();
        let live = engine.live();
        assert_seated(&plan);
        assert_eq!(live.plan(), plan.describe());
        if cores.len() == 1 {
            assert!(plan.degraded.as_deref().is_some_and(|text| text.contains("one core only")), "{plan:?}");
        }
        until("it quotes on this plan", || live.board().count(Count::OrdersSent) >= 2);
        engine.stop();
        let summary = engine.join();
        assert_eq!((summary.failure, summary.open_orders_at_exit, summary.feed_dropped), (None, Some(0), 0));
    }
}

/// A seeded market: a snapshot, then diffs, prints and now and then a skipped update id with a snapshot after it.
fn feed_log() -> Vec<(DepthBuf, Option<Trade>)> {
    let mut state = 0x9E37_79B9_u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut mid, mut update_id, mut log) = (6_000_000_i64, 100_u64, Vec::new());
    let mut ms = 1_700_000_000_000_u64;
    let levels = |mid: i64, side: Side, base: i64| -> Vec<Level> {
        (1..=20)
            .map(|step| Level {
                price: Price::from_ticks(mid - side.sign() * (5 + step * 3)),
                qty: Qty::from_lots(1000 + base + step),
            })
            .collect()
    };
    let depth = |kind, first_id, last_id, ms, bids: Vec<Level>, asks: Vec<Level>| {
        let mut buf = DepthBuf::with_capacity(0);
        buf.head.kind = kind;
        (buf.head.first_id, buf.head.last_id) = (first_id, last_id);
        buf.head.event_ts = TimestampNs::from_millis(ms);
        buf.head.recv_ts = TimestampNs::from_millis(ms);
        (buf.bids, buf.asks) = (bids, asks);
        buf
    };
    let mut snapshot_due = true;
    for round in 0..3000 {
        ms += 20 + next(200);
        if snapshot_due {
            snapshot_due = false;
            let (bids, asks) = (levels(mid, Side::Bid, 0), levels(mid, Side::Ask, 0));
            log.push((depth(DepthKind::Snapshot, update_id, update_id, ms, bids, asks), None));
            continue;
        }
        let before = mid;
        mid += next(21) as i64 - 10;
        // What stood at the old mid is removed, what stands at the new one set.
        let change = |side: Side, base| -> Vec<Level> {
            let gone = levels(before, side, 0).into_iter().map(|level| Level { qty: Qty::ZERO, ..level });
            gone.chain(levels(mid, side, base)).collect()
        };
        if round % 700 == 699 {
            update_id += 5;
            snapshot_due = true;
        }
        let first = update_id + 1;
        update_id += 1 + next(4);
        let bids = change(Side::Bid, next(500) as i64);
        let asks = change(Side::Ask, next(500) as i64);
        let trade = (round % 3 == 0).then(|| Trade {
            instrument: InstrumentId(0),
            event_ts: TimestampNs::from_millis(ms),
            recv_ts: TimestampNs::from_millis(ms),
            id: TradeId(round),
            price: Price::from_ticks(mid + 8),
            qty: Qty::from_lots(1 + next(900) as i64),
            aggressor: if next(2) == 0 { Side::Bid } else { Side::Ask },
        });
        log.push((depth(DepthKind::Diff, first, update_id, ms, bids, asks), trade));
    }
    log
}

/// Runs the book and quote tiles over the log. `burst` says how many records arrive before the tiles are stepped, and in
/// which order, as a fused runner (one record, each tile once) or threads of their own (many, and unevenly) would.
/// Returns the quote stream: kind, time and payload of every record.
fn decisions(
    log: &[(DepthBuf, Option<Trade>)],
    mut burst: impl FnMut(usize) -> (usize, bool),
) -> Vec<(u8, u64, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let instruments = [btcusdt()];
    let set = ["quoter.kind=hybrid", "features.sigma_warmup=10", "quoter.maker_fee_bps=0", "orders.answer_ms=1000"];
    let config = ConfigArgs { config: None, set: set.map(str::to_owned).to_vec() }.load_with(&[], []).unwrap();
    let info = SessionInfo::new(SessionId(9), "test", "binance", TimestampNs::ZERO, &instruments, None);
    let journal_config = JournalConfig::for_virtual_time(folder.path());
    let Journal { session_dir, feed, quote, mut keeper, .. } = Journal::create(&journal_config, &info, 0).unwrap();
    let rows: Vec<_> = LINKS.iter().map(|row| (row.name, row.depth)).collect();
    let board = Arc::new(Board::new(&tile::ALL, &rows));
    let fate = Arc::new(Fate::default());
    let (feed_book, book_feed) = unit_link(65_536);
    let (book_quote, quote_book) = RingBuffer::new(8192);
    let (book_snapshot, _asked) = RingBuffer::new(64);
    let (mut account, quote_account) = RingBuffer::new(8);
    let (_control, quote_control) = RingBuffer::new(8);
    let (telemetry, _shown) = RingBuffer::new(8);
    let (writer, _reader) = latest();
    let mut outlet = RecordOutlet::new(feed, feed_book, None, None, 1, Arc::clone(&board), Arc::clone(&fate));
    let mut book = BookTile::new(
        book_feed,
        MarketStage::new(&instruments, SyncRule::Spot),
        &instruments,
        book_quote,
        None,
        book_snapshot,
        Arc::new(Doorbell::default()),
        Arc::clone(&board),
        digest_slot(),
    );
    // The clock of the log: an input's own time, and the last one seen between inputs.
    let seen = AtomicU64::new(log[0].0.head.recv_ts.nanos());
    let mut quote_tile = QuoteTile::new(QuoteParts {
        book: quote_book,
        feed: None,
        account: Some(quote_account),
        control: quote_control,
        answers: Vec::new(),
        // No gateway: every order is refused at once, which keeps the decision busy with the next one.
        place: None,
        cancel: None,
        pipeline: Pipeline::new(SessionId(9), &instruments, &config.pipeline()).unwrap(),
        instruments: instruments.to_vec(),
        journal: quote,
        telemetry: TelemetrySender::new(telemetry),
        snapshots: vec![writer],
        now: Box::new(move |next| {
            if let Some(Input::Market(update)) = next {
                seen.fetch_max(update.recv_ts().nanos(), Ordering::Relaxed);
            }
            TimestampNs::from_nanos(seen.load(Ordering::Relaxed))
        }),
        fate: Arc::clone(&fate),
        board,
        warm: Default::default(),
        digest: digest_slot(),
    });
    account.push(UserInput { life: 0, input: Input::Control(Control::UserStreamUp) }).unwrap();
    quote_tile.step();
    let mut at = 0;
    while at < log.len() {
        let (count, quote_first) = burst(at);
        for (depth, trade) in &log[at..(at + count).min(log.len())] {
            outlet.emit(&FeedEvent::Depth(depth.as_ref()), Some(InstrumentId(0)), depth.head.recv_ts, 0);
            if let Some(trade) = trade {
                outlet.emit(&FeedEvent::Trade(*trade), Some(InstrumentId(0)), trade.recv_ts, 0);
            }
        }
        at += count;
        if quote_first {
            quote_tile.step();
        }
        book.step();
        quote_tile.step();
        keeper.step(TimestampNs::ZERO).unwrap();
    }
    outlet.end(TimestampNs::ZERO);
    drop(outlet);
    while book.step() > 0 || quote_tile.step() > 0 {}
    assert!(book.is_done());
    drop((book, quote_tile));
    keeper.close().unwrap();
    let mut stream = JournalReader::open(&session_dir).unwrap().stream(Stream::Quote).unwrap();
    let mut records = Vec::new();
    while let Some(record) = stream.next().unwrap() {
        records.push((record.header.kind as u8, record.header.ts.nanos(), record.payload.to_vec()));
    }
    records
}

#[test]
fn split_and_fused_take_identical_decisions_on_the_same_input_log() {
    let log = feed_log();
    let fused = decisions(&log, |_| (1, false));
    let placed = fused.iter().filter(|record| record.0 == touchline::wire::Kind::ActionPlace as u8).count();
    let quoted = fused.iter().filter(|record| record.0 == touchline::wire::Kind::ActionQuote as u8).count();
    assert!(placed > 50 && quoted > 100, "the log must keep the decision busy: {placed} orders, {quoted} quotes");
    for seed in 1..=5_usize {
        let split = decisions(&log, |at| (1 + (at * 7919 + seed * 104_729) % 150, (at + seed).is_multiple_of(2)));
        assert_eq!(fused.len(), split.len(), "seed {seed}");
        for (index, (one, other)) in fused.iter().zip(&split).enumerate() {
            assert_eq!(one, other, "record {} with seed {seed}", index + 1);
        }
    }
}
