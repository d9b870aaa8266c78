//! The engine on USD-M market data of the embedded venue: its books join by `pu`, and no order leaves.

mod engine_support;

use std::process::Command;

use engine_support::{SeenBooks, alone, btcusdt, config, ethusdt, keys, open_orders, until, venue, venue_of};
use touchline::config::Config;
use touchline::journal::JournalReader;
use touchline::metrics::{Count, Gauge};
use touchline::pipeline::sync::SyncRule;
use touchline::run::engine::{self, EngineMode};
use touchline::server::venue::VenueHandle;
use touchline::types::BookState;
use touchline::wire::{DepthKind, FeedEvent, Stream};

fn usdm(venue: &VenueHandle, folder: &std::path::Path, more: &[&str]) -> Config {
    let url = format!("venue.ws_url={}/usdm", venue.ws_url());
    let mut set = vec!["venue.profile=binance-usdm", &url];
    set.extend(more);
    config(venue, folder, &set)
}

#[test]
fn gaps_in_the_chain_of_pu_are_healed_and_live_books_are_the_venues_own() {
    let _alone = alone();
    let instruments = [btcusdt(), ethusdt()];
    let venue = venue_of(&instruments, 100.0, &["gap:p=0.03"]);
    let folder = tempfile::tempdir().unwrap();
    let settings = usdm(&venue, folder.path(), &["symbols=[BTCUSDT,ETHUSDT]"]);
    let engine = engine::start(&settings, None, EngineMode::DryRun, "test", None).unwrap();
    let live = engine.live();
    let board = live.board();
    let mut books = SeenBooks::default();
    let live_books =
        || instruments.iter().all(|one| live.snapshot(one.id).is_some_and(|s| s.book_state == BookState::Live));
    until("books were lost and live again", || {
        books.look(&venue, &instruments);
        board.count(Count::Desyncs) >= 4 && live_books()
    });
    assert_eq!(board.gauge(Gauge::MarketUp), 1);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.orders_sent, board.count(Count::Malformed)), (None, 0, 0));
    assert!(summary.ticks > 50, "decisions are made on it");
    assert!(venue.faults().iter().map(|fault| fault.happened).sum::<u64>() >= 4);

    let journal = JournalReader::open(&summary.journal).unwrap();
    assert_eq!(journal.info().venue_profile, "binance-usdm");
    let (stage, compared) = books.compare(&summary.journal, SyncRule::UsdM, &instruments);
    assert!(compared.iter().all(|count| *count >= 3), "{compared:?} books could be compared");
    let gaps: u64 = instruments.iter().map(|one| stage.counters(one.id).gaps).sum();
    let joined: u64 = instruments.iter().map(|one| stage.counters(one.id).snapshots_joined).sum();
    assert!(gaps >= 4 && joined >= 4, "{gaps} gaps, {joined} snapshots joined");
    let mut feed = journal.stream(Stream::Feed).unwrap();
    while let Some(record) = feed.next().unwrap() {
        if let Ok(FeedEvent::Depth(depth)) = FeedEvent::decode(&record)
            && depth.head.kind == DepthKind::Diff
        {
            assert_eq!(depth.head.prev_id, Some(depth.head.first_id - 1), "each diff names the one before");
        }
    }
    replays(&summary.journal);
}

#[test]
fn paper_mode_trades_on_usdm_market_data_and_nothing_reaches_the_venue() {
    let _alone = alone();
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let settings = usdm(&venue, folder.path(), &["quoter.requote=always"]);
    let engine = engine::start(&settings, None, EngineMode::Paper, "test", None).unwrap();
    let live = engine.live();
    until("orders rest on the simulated exchange", || live.board().count(Count::OrdersAccepted) >= 4);
    assert_eq!(open_orders(&venue), []);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.open_orders_at_exit), (None, Some(0)));
    replays(&summary.journal);
}

#[test]
fn a_recording_of_usdm_has_its_books_its_trades_and_from_the_other_address_its_aggregated_trades() {
    let _alone = alone();
    let instruments = [btcusdt()];
    // Connections are changed in the middle of it, both of them.
    let venue = venue_of(&instruments, 200.0, &["shutdown:every=2s,for=1500ms"]);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("venue.ws_url={}/usdm/public", venue.ws_url());
    let settings = usdm(&venue, folder.path(), &[&url]);
    let engine = engine::start(&settings, None, EngineMode::Record, "test", None).unwrap();
    let live = engine.live();
    let mut books = SeenBooks::default();
    until("enough was recorded", || {
        books.look(&venue, &instruments);
        live.board().count(Count::FeedRecords) > 2_000 && live.board().count(Count::Renewals) >= 2
    });
    assert_eq!(live.board().gauge(Gauge::MarketLines), 2);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, live.board().count(Count::Malformed)), (None, 0));
    let (stage, compared) = books.compare(&summary.journal, SyncRule::UsdM, &instruments);
    assert!(compared[0] >= 3 && stage.counters(instruments[0].id).gaps == 0, "{compared:?}");
    let (mut trades, mut touches, mut aggregates) = (0, 0, Vec::new());
    let mut feed = JournalReader::open(&summary.journal).unwrap().stream(Stream::Feed).unwrap();
    while let Some(record) = feed.next().unwrap() {
        match FeedEvent::decode(&record) {
            Ok(FeedEvent::Trade(_)) => trades += 1,
            Ok(FeedEvent::Touch(_)) => touches += 1,
            Ok(FeedEvent::AggTrade(trade)) => aggregates.push(trade.id.0),
            _ => {}
        }
    }
    assert!(trades > 10 && touches > 10 && aggregates.len() > 10, "{trades} trades, {touches} touches");
    assert!(aggregates.windows(2).all(|pair| pair[1] == pair[0] + 1), "each once: {aggregates:?}");
}

#[test]
fn orders_on_usdm_are_refused_before_anything_is_asked() {
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let settings = usdm(&venue, folder.path(), &[]);
    let refused = engine::start(&settings, Some(&keys(&venue)), EngineMode::Live, "test", None).err().unwrap();
    assert_eq!((refused.code, refused.exit), ("E_RUN_010", 9), "{refused}");
}

/// The session decides the same again, from its journal alone, in another process.
fn replays(session: &std::path::Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .args(["replay", "--verify", "--json"])
        .arg(session)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["identical"], &found["notes"]), (&true.into(), &serde_json::json!([])));
}
