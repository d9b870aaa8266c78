//! Sessions over real sockets on a venue that does everything wrong, and their replay in another process from disk.
//!
//! CI runs a few; `TOUCHLINE_SESSIONS=20` runs that many.

mod engine_support;

use std::process::Command;
use std::time::{Duration, Instant};

use engine_support::{ACCOUNT, Wire, alone, btcusdt, config, ethusdt, keys, own_orders, until};
use touchline::journal::JournalReader;
use touchline::metrics::{Count, Gauge};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::run::engine::{self, EngineMode};
use touchline::server::venue::{FrontConfig, Pace, VenueHandle, spawn, wall_now};
use touchline::sim::faults::FaultPlan;
use touchline::sim::{AccountConfig, MarketSource, SymbolConfig, SyntheticConfig, TradesQuery, VenueConfig};
use touchline::types::{
    Action, BookState, Command as OrderCommand, DesyncReason, DurationNs, Instrument, InstrumentId, TimestampNs,
};
use touchline::wire::{DepthKind, FeedEvent, InputEvent, QuoteEvent, Stream};

/// Sessions of a run in CI.
const SESSIONS: u64 = 4;
/// How long each lasts before it is asked to end.
const LENGTH: Duration = Duration::from_millis(4_500);

/// What each session meets, in turn.
const SCENES: [&[&str]; 5] = [
    &["gap:p=0.1", "double-market:p=0.05", "malformed:p=0.02", "reset:every=1500ms"],
    &[
        "lost-answer:p=0.2,on=place",
        "lost-request:p=0.1,on=cancel",
        "double-answer:p=0.2,on=place",
        "timeout:p=0.1",
        "disconnect:every=2s",
    ],
    &["lost-event:p=0.2", "double-event:p=0.2", "delay-event:p=0.3,for=400ms", "user-disconnect:every=1500ms"],
    &[
        "delay-answer:p=0.2,for=300ms",
        "server-error:p=0.2,on=place",
        "server-error:p=0.1,on=cancel",
        "rate-limit:p=0.05,for=1s,on=place",
        "user-reset:every=2s",
    ],
    &[
        "gap:p=0.05",
        "oversized:at=2s",
        "shutdown:at=3s",
        "lost-answer:p=0.05",
        "lost-event:p=0.1",
        "delay-event:p=0.1,for=300ms",
        "timeout:p=0.05",
        "user-disconnect:every=2s",
    ],
];

fn venue(instruments: &[Instrument], faults: &[&str], seed: u64) -> VenueHandle {
    let mut config = VenueConfig::new(wall_now());
    config.symbols = instruments.iter().map(|one| SymbolConfig::new(*one)).collect();
    let mut balances = vec![(instruments[0].spec.quote, 500_000_000_000_000)];
    balances.extend(instruments.iter().map(|one| (one.spec.base, 10_000_000_000)));
    config.accounts = vec![AccountConfig { id: ACCOUNT, balances }];
    config.faults = FaultPlan { specs: faults.iter().map(|text| text.parse().unwrap()).collect(), seed };
    let source = |index: usize| {
        let seed = seed * 31 + index as u64;
        MarketSource::Synthetic(SyntheticConfig { seed, aggressors_per_s: 40.0, ..SyntheticConfig::default() })
    };
    let sources = (0..instruments.len()).map(source).collect();
    spawn(FrontConfig { port: 0, pace: Pace::Wall, venue: config, sources }).unwrap()
}

fn base_of(venue: &VenueHandle, instrument: &Instrument) -> i64 {
    venue.with_venue(|venue| venue.account(ACCOUNT).unwrap().of(instrument.spec.base).total_e8())
}

fn session(number: u64) {
    let faults = SCENES[number as usize % SCENES.len()];
    let instruments = if number % 2 == 1 { vec![btcusdt(), ethusdt()] } else { vec![btcusdt()] };
    let plan = if (number / 2).is_multiple_of(2) { "fused" } else { "split" };
    let shown = format!("session {number}: {plan}, {} symbols, {}", instruments.len(), faults.join(" "));
    let venue = venue(&instruments, faults, number + 1);
    let before: Vec<i64> = instruments.iter().map(|one| base_of(&venue, one)).collect();
    let folder = tempfile::tempdir().unwrap();
    let symbols: Vec<&str> = instruments.iter().map(Instrument::symbol).collect();
    let set = [
        format!("topology.plan={plan}"),
        format!("symbols=[{}]", symbols.join(",")),
        "quoter.half_spread_ticks=2".to_owned(),
    ];
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let engine =
        engine::start(&config(&venue, folder.path(), &set), Some(&keys(&venue)), EngineMode::Live, "test", None)
            .unwrap_or_else(|failure| panic!("{shown}: {failure}"));
    let live = engine.live();
    let began = Instant::now();
    while began.elapsed() < LENGTH && !engine.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let disconnects = live.board().count(Count::Disconnects);
    engine.stop();
    let summary = engine.join();
    assert_eq!(summary.failure, None, "{shown}");
    assert_eq!(summary.open_orders_at_exit, Some(0), "{shown}");
    assert!(own_orders(&venue).is_empty(), "{shown}");
    assert!(summary.orders_sent >= 2, "{shown}: it hardly quotes");
    let mut fills = 0;
    for ((instrument, snapshot), before) in summary.instruments.iter().zip(&before) {
        let change = base_of(&venue, instrument) - before;
        let symbol = instrument.symbol();
        assert_eq!(snapshot.position_atoms.get(), change, "{shown}: {symbol}");
        let query = TradesQuery { limit: usize::MAX, ..TradesQuery::default() };
        let trades = venue.with_venue(|venue| venue.my_trades(ACCOUNT, instrument.id, query).len() as u64);
        assert_eq!(snapshot.counters.fills, trades, "{shown}: {symbol}: each trade counts once");
        fills += trades;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["replay", "--verify", "--json"])
        .arg(&summary.journal)
        .output()
        .unwrap();
    assert!(output.status.success(), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["identical"], &found["notes"]), (&true.into(), &serde_json::json!([])), "{shown}");
    assert!(found["inputs"].as_u64().unwrap() > 100, "{shown}: {found}");
    let happened: Vec<String> =
        venue.faults().iter().map(|count| format!("{} {}", count.spec.kind.name(), count.happened)).collect();
    assert!(venue.faults().iter().map(|count| count.happened).sum::<u64>() >= 3, "{shown}: {happened:?}");
    println!(
        "{shown}: {} orders, {fills} fills, {disconnects} disconnects, {} inputs replayed; {}",
        summary.orders_sent,
        found["inputs"],
        happened.join(", ")
    );
}

#[test]
fn a_session_over_sockets_with_faults_ends_exact_and_replays_in_another_process() {
    let _alone = alone();
    let sessions = std::env::var("TOUCHLINE_SESSIONS").ok().map_or(SESSIONS, |text| text.parse().expect("a number"));
    for number in 0..sessions {
        session(number);
    }
}

/// Whether the long form was asked for.
fn is_long() -> bool {
    std::env::var_os("TOUCHLINE_LONG").is_some()
}

#[test]
fn connections_that_are_renewed_before_they_end_lose_and_double_nothing() {
    let _alone = alone();
    for connections in [1, 2] {
        renewed(connections);
    }
}

fn renewed(connections: usize) {
    let instruments = [btcusdt(), ethusdt()];
    let venue = venue(&instruments, &["shutdown:every=320ms,for=150ms"], 1);
    let folder = tempfile::tempdir().unwrap();
    let set = ["symbols=[BTCUSDT,ETHUSDT]".to_owned(), format!("venue.connections={connections}")];
    let settings = config(&venue, folder.path(), &set.each_ref().map(String::as_str));
    let engine = engine::start(&settings, None, EngineMode::DryRun, "test", None).unwrap();
    let live = engine.live();
    let renewals = if is_long() { 100 } else { 12 };
    until("the connection was renewed often enough", || live.board().count(Count::Renewals) >= renewals);
    engine.stop();
    let summary = engine.join();
    assert_eq!(summary.failure, None);
    let board = live.board();
    let faults = (board.count(Count::Disconnects), board.count(Count::Desyncs), board.count(Count::SnapshotsWanted));
    assert_eq!(faults, (0, 0, 2), "each book asked for its first snapshot and for no other");
    let mut stage = MarketStage::new(&instruments, SyncRule::Spot);
    let (mut last_trade, mut last_diff) = ([None; 2], [0; 2]);
    let mut feed = JournalReader::open(&summary.journal).unwrap().stream(Stream::Feed).unwrap();
    while let Some(record) = feed.next().unwrap() {
        let Ok(event) = FeedEvent::decode(&record) else { continue };
        stage.on_event(&event);
        match event {
            FeedEvent::Trade(trade) => {
                let last = last_trade[trade.instrument.index()].replace(trade.id.0);
                assert!(last.is_none_or(|last| last + 1 == trade.id.0), "{last:?} and then {}", trade.id.0);
            }
            FeedEvent::Depth(depth) if depth.head.kind == DepthKind::Diff => {
                let last = std::mem::replace(&mut last_diff[depth.head.instrument.index()], depth.head.last_id);
                assert!(depth.head.last_id > last, "{last} is told twice");
            }
            _ => {}
        }
    }
    for instrument in &instruments {
        assert_eq!((stage.counters(instrument.id).gaps, stage.state(instrument.id)), (0, BookState::Live));
        assert!(last_trade[instrument.id.index()].is_some());
    }
}

#[test]
fn the_cut_of_one_of_two_connections_takes_only_its_own_books_out_of_step() {
    let _alone = alone();
    let instruments = [btcusdt(), ethusdt()];
    let venue = venue(&instruments, &[], 5);
    let folder = tempfile::tempdir().unwrap();
    let wire = Wire::to(venue.rest_url().rsplit(':').next().unwrap().parse().unwrap());
    let through = format!("venue.ws_url=ws://127.0.0.1:{}", wire.port);
    let set = ["symbols=[BTCUSDT,ETHUSDT]", "venue.connections=2", &through];
    let engine = engine::start(&config(&venue, folder.path(), &set), None, EngineMode::DryRun, "test", None).unwrap();
    let live = engine.live();
    let board = live.board();
    let live_books =
        || instruments.iter().all(|one| live.snapshot(one.id).is_some_and(|s| s.book_state == BookState::Live));
    until("both books live", live_books);
    assert_eq!((board.gauge(Gauge::MarketLines), board.gauge(Gauge::MarketUp)), (2, 1));
    wire.cut_one(1);
    until("the cut is noticed", || board.count(Count::Disconnects) == 1);
    until("its connection is back", || board.gauge(Gauge::MarketLines) == 2);
    until("its book was asked for again", || board.count(Count::SnapshotsWanted) == 3);
    until("both books live again", live_books);
    std::thread::sleep(Duration::from_millis(300));
    engine.stop();
    assert_eq!(engine.join().failure, None);
    assert_eq!((board.count(Count::Disconnects), board.count(Count::Desyncs)), (1, 1));

    let mut stage = MarketStage::new(&instruments, SyncRule::Spot);
    let (mut states, mut last_trade, mut lost, mut meanwhile) = ([BookState::Live; 2], [None; 2], Vec::new(), 0);
    let mut was_live = [false; 2];
    let mut feed = JournalReader::open(live.session_dir()).unwrap().stream(Stream::Feed).unwrap();
    while let Some(record) = feed.next().unwrap() {
        let Ok(event) = FeedEvent::decode(&record) else { continue };
        stage.on_event(&event);
        for one in &instruments {
            let (at, state) = (one.id.index(), stage.state(one.id));
            if was_live[at] && states[at] == BookState::Live && state != BookState::Live {
                lost.push((at, state));
            }
            was_live[at] |= state == BookState::Live;
            states[at] = state;
        }
        match event {
            FeedEvent::Trade(trade) => {
                let at = trade.instrument.index();
                let last: Option<i64> = last_trade[at].replace(trade.id.0);
                let is_cut = lost.first().is_some_and(|(cut, _)| *cut == at);
                assert!(is_cut || last.is_none_or(|last| last + 1 == trade.id.0), "{last:?} and then {}", trade.id.0);
            }
            FeedEvent::Depth(depth) => {
                let at = depth.head.instrument.index();
                let other_is_away = lost.first().is_some_and(|(cut, _)| *cut != at && states[*cut] != BookState::Live);
                meanwhile += usize::from(other_is_away && states[at] == BookState::Live);
            }
            _ => {}
        }
    }
    let [(cut, state)] = lost[..] else { panic!("{lost:?}") };
    assert_eq!(state, BookState::Syncing(DesyncReason::Disconnected));
    assert!(meanwhile > 0, "the other book went on while this one was away");
    assert_eq!(stage.counters(instruments[1 - cut].id).gaps, 0);
    assert_eq!(states, [BookState::Live; 2]);
}

/// When something was received, and whether each book lived from then on, by the sequence number of its record.
type States = Vec<(u64, TimestampNs, InstrumentId, bool)>;

/// The books of a journal, and how long each loss of the market connection took from its last message to live books.
fn losses(journal: &std::path::Path, instruments: &[Instrument]) -> (States, Vec<DurationNs>, Vec<TimestampNs>) {
    let mut stage = MarketStage::new(instruments, SyncRule::Spot);
    let mut feed = JournalReader::open(journal).unwrap().stream(Stream::Feed).unwrap();
    let (mut states, mut spans, mut noticed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut heard, mut lost_at) = (TimestampNs::ZERO, None);
    while let Some(record) = feed.next().unwrap() {
        let Ok(event) = FeedEvent::decode(&record) else { continue };
        let (seq, now) = (record.header.seq, record.header.ts);
        stage.on_event(&event);
        match event {
            FeedEvent::Notice(notice) => {
                if notice.reason == DesyncReason::Disconnected && lost_at.is_none() {
                    lost_at = Some(heard);
                    noticed.push(now);
                }
            }
            _ => heard = now,
        }
        states.extend(instruments.iter().map(|one| (seq, now, one.id, stage.state(one.id) == BookState::Live)));
        if instruments.iter().all(|one| stage.state(one.id) == BookState::Live)
            && let Some(lost_at) = lost_at.take()
        {
            spans.push(now.since(lost_at));
        }
    }
    (states, spans, noticed)
}

#[test]
fn after_a_cut_at_any_byte_books_live_again_soon_and_nothing_is_quoted_before() {
    let _alone = alone();
    let instruments = [btcusdt()];
    let (cuts, every) = if is_long() { (50, 2_000) } else { (8, 1_000) };
    let each = format!("every={every}ms,bytes=20000");
    let mut faults = vec![format!("reset:{each}"), format!("disconnect:{each}")];
    // A dead peer costs three seconds of silence: the long form has some.
    faults.extend(is_long().then(|| "half-open:every=15s,bytes=20000".to_owned()));
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    let venue = venue(&instruments, &faults, 3);
    let folder = tempfile::tempdir().unwrap();
    let set = ["quoter.half_spread_ticks=2"];
    let engine =
        engine::start(&config(&venue, folder.path(), &set), Some(&keys(&venue)), EngineMode::Live, "test", None)
            .unwrap();
    let live = engine.live();
    let deadline = Instant::now() + Duration::from_secs(300);
    while live.board().count(Count::Disconnects) < cuts {
        assert!(Instant::now() < deadline && !engine.is_finished());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(700));
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.open_orders_at_exit), (None, Some(0)));

    let (states, mut spans, noticed) = losses(&summary.journal, &instruments);
    spans.sort_unstable();
    let at = |share: f64| spans[((spans.len() - 1) as f64 * share).round() as usize];
    let (p50, p99) = (at(0.5), at(0.99));
    println!("{} losses; live again after {p50:?} (p50) and {p99:?} (p99)", spans.len());
    assert!(spans.len() as u64 + 2 >= cuts / 2, "two cuts may meet one connection, and the last may be open");
    assert!(p50 <= DurationNs::from_secs(1) && p99 <= DurationNs::from_secs(5), "{spans:?}");

    // Of what the decision did, in its order: no order while the book it knew did not live, and cancels at once.
    let mut quote = JournalReader::open(&summary.journal).unwrap().stream(Stream::Quote).unwrap();
    let (mut is_live, mut placed, mut pulled) = (false, 0, Vec::new());
    while let Some(record) = quote.next().unwrap() {
        match QuoteEvent::decode(&record).unwrap() {
            QuoteEvent::Input(InputEvent::Market { feed_seq }) => {
                let at = states.binary_search_by_key(&feed_seq, |state| state.0).unwrap();
                is_live = states[at].3;
            }
            QuoteEvent::Action(Action::Command(OrderCommand::Place(_))) => {
                assert!(is_live, "an order was placed on a book that does not live");
                placed += 1;
            }
            QuoteEvent::Action(Action::Command(OrderCommand::Cancel { .. })) if !is_live => {
                let before = noticed.iter().rev().find(|at| **at <= record.header.ts);
                pulled.extend(before.map(|at| record.header.ts.since(*at)));
            }
            _ => {}
        }
    }
    let worst = pulled.iter().max().copied().unwrap_or(DurationNs::ZERO);
    println!("{placed} orders placed; {} pulled, the last of them {worst:?} after the loss was noticed", pulled.len());
    assert!(!pulled.is_empty() && placed > 4);
    assert!(worst <= DurationNs::from_millis(100), "{pulled:?}");
}
