//! The engine against the embedded venue, over loopback sockets.

mod engine_support;

use engine_support::{
    ACCOUNT, SeenBooks, Tls, Wire, alone, btcusdt, config, ed25519_keys, ethusdt, foreign_order, keys, open_orders,
    own_orders, take_both_sides, until, venue, venue_of,
};
use touchline::journal::JournalReader;
use touchline::metrics::{Count, Gauge, Hop};
use touchline::pipeline::sync::SyncRule;
use touchline::run::engine::{self, EngineMode};
use touchline::sim::TradesQuery;
use touchline::types::{InstrumentId, Side};
use touchline::wire::{QuoteEvent, Stream};

fn two_sided(venue: &touchline::server::venue::VenueHandle) -> bool {
    let own = own_orders(venue);
    Side::BOTH.iter().all(|side| own.iter().any(|order| order.side == *side))
}

#[test]
fn quotes_rest_on_the_venue_and_the_end_leaves_only_foreign_orders() {
    let _alone = alone();
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    foreign_order(&venue, "somebody-else");
    let engine =
        engine::start(&config(&venue, folder.path(), &[]), Some(&keys(&venue)), EngineMode::Live, "test", None)
            .unwrap();
    until("both sides rest on the venue", || two_sided(&venue));
    let live = engine.live();
    until("ticks are decided on", || live.board().count(Count::Ticks) > 50);
    assert_eq!(live.board().gauge(Gauge::UserUp), 1);
    engine.stop();
    let summary = engine.join();
    assert_eq!(summary.failure, None);
    assert_eq!(summary.open_orders_at_exit, Some(0));
    assert!(summary.orders_sent >= 2 && summary.quotes >= 1 && summary.tick_to_order.count >= 1, "{summary:?}");
    assert_eq!(summary.feed_dropped, 0);
    // Asked of the venue itself: ours are gone, the other one stays.
    let left = open_orders(&venue);
    assert_eq!(left.iter().map(|order| order.client_id.as_str()).collect::<Vec<_>>(), ["somebody-else"]);

    // Every placement's intent stands in the journal, and the stream was ended on purpose.
    let mut stream = JournalReader::open(&summary.journal).unwrap().stream(Stream::Quote).unwrap();
    let (mut placed, mut ended) = (0, false);
    while let Some(record) = stream.next().unwrap() {
        match QuoteEvent::decode(&record).unwrap() {
            QuoteEvent::Action(touchline::types::Action::Command(touchline::types::Command::Place(_))) => placed += 1,
            QuoteEvent::End => ended = true,
            _ => {}
        }
    }
    assert!(ended);
    assert!(placed >= summary.orders_sent, "{placed} intents for {} orders", summary.orders_sent);
}

#[test]
fn orders_over_the_websocket_api_rest_end_and_log_on_where_the_key_can() {
    let _alone = alone();
    let venue = venue();
    let (hmac, ed25519) = (keys(&venue), ed25519_keys(&venue));
    for keys in [hmac, ed25519] {
        let folder = tempfile::tempdir().unwrap();
        let settings = config(&venue, folder.path(), &["venue.transport=ws_api", "quoter.requote=always"]);
        let engine = engine::start(&settings, Some(&keys), EngineMode::Live, "test", None).unwrap();
        until("both sides rest on the venue", || two_sided(&venue));
        let live = engine.live();
        until("orders are replaced", || live.board().count(Count::CancelsSent) > 2);
        engine.stop();
        let summary = engine.join();
        assert_eq!((summary.failure, summary.open_orders_at_exit), (None, Some(0)));
        let (_, snapshot) = summary.instruments[0];
        assert_eq!((snapshot.counters.unknowns, own_orders(&venue)), (0, vec![]));
        let of = |hop: Hop| summary.hops.iter().find(|row| row.0 == hop).unwrap().1;
        assert!(of(Hop::TickToWire).count >= 1 && of(Hop::TickToWire).max >= of(Hop::TickToOrder).max);
        // Each tick that led to an order is in the histogram of every hop, so that their sums can be compared.
        let stages = Hop::ALL[..10].iter().map(|hop| (hop.name(), of(*hop).count));
        let missing: Vec<_> = stages.filter(|(_, count)| *count != of(Hop::TickToWire).count).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[test]
fn an_engine_quotes_from_sbe_streams_as_from_text() {
    let _alone = alone();
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("venue.ws_url={}/sbe", venue.ws_url());
    let settings = config(&venue, folder.path(), &["venue.streams=sbe", &url]);
    let keyless = engine::start(&settings, None, EngineMode::DryRun, "test", None);
    assert_eq!(keyless.err().map(|failure| failure.code), Some("E_RUN_011"));
    let engine = engine::start(&settings, Some(&ed25519_keys(&venue)), EngineMode::Live, "test", None).unwrap();
    until("both sides rest on the venue", || two_sided(&venue));
    let live = engine.live();
    until("ticks are decided on", || live.board().count(Count::Ticks) > 50);
    assert_eq!(live.board().count(Count::Malformed), 0);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.open_orders_at_exit), (None, Some(0)));
}

#[test]
fn orders_of_an_earlier_session_are_found_and_cancelled() {
    let _alone = alone();
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    foreign_order(&venue, "somebody-else");
    // By its name an order of a Touchline engine that died.
    foreign_order(&venue, "tlabc-17");
    let engine =
        engine::start(&config(&venue, folder.path(), &[]), Some(&keys(&venue)), EngineMode::Live, "test", None)
            .unwrap();
    until("the orphan is cancelled", || !open_orders(&venue).iter().any(|order| order.client_id == "tlabc-17"));
    engine.stop();
    assert_eq!(engine.join().open_orders_at_exit, Some(0));
    assert!(open_orders(&venue).iter().any(|order| order.client_id == "somebody-else"));
}

#[test]
fn a_panic_in_any_hot_tile_halts_and_cancels_own_orders() {
    let _alone = alone();
    for tile in ["feed", "book", "quote", "gateway_place"] {
        let venue = venue();
        let folder = tempfile::tempdir().unwrap();
        let settings = config(&venue, folder.path(), &[]);
        let engine = engine::start(&settings, Some(&keys(&venue)), EngineMode::Live, "test", None).unwrap();
        until("both sides rest on the venue", || two_sided(&venue));
        engine.live().drill_panic(tile);
        until("all threads have ended", || engine.is_finished());
        let summary = engine.join();
        let failure = summary.failure.unwrap();
        assert_eq!(failure.code, "E_RUN_016", "{tile}: {failure}");
        assert!(failure.what.contains(tile), "{failure}");
        assert_eq!(own_orders(&venue), [], "{tile}");
        assert_eq!(summary.open_orders_at_exit, Some(0), "{tile}");
    }
}

#[test]
fn fills_missed_while_the_user_stream_was_down_are_found_before_it_counts_as_up() {
    let _alone = alone();
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let port = venue.rest_url().rsplit(':').next().unwrap().parse().unwrap();
    let wire = Wire::to(port);
    let through = format!("venue.ws_api_url=ws://127.0.0.1:{}/ws-api/v3", wire.port);
    let settings = config(&venue, folder.path(), &[&through]);
    let engine = engine::start(&settings, Some(&keys(&venue)), EngineMode::Live, "test", None).unwrap();
    let live = engine.live();
    until("both sides rest on the venue", || two_sided(&venue));
    let trades = || {
        let all = TradesQuery { limit: 1000, ..TradesQuery::default() };
        venue.with_venue(|venue| venue.my_trades(ACCOUNT, InstrumentId(0), all)).len()
    };
    // Cut first, then traded with: the engine cannot hear of it.
    let before = trades();
    wire.cut();
    take_both_sides(&venue, 10_000_000);
    until("the engine has noticed the cut", || live.board().gauge(Gauge::UserUp) == 0);
    assert!(trades() > before, "the engine's quotes were to be taken");
    std::thread::sleep(std::time::Duration::from_millis(300));
    wire.mend();
    until("the stream is up again", || live.board().gauge(Gauge::UserUp) == 1);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.open_orders_at_exit), (None, Some(0)));
    // The account began with 100 BTC and pays no commission in it that the position would not count.
    let held = venue.with_venue(|venue| venue.account(ACCOUNT)).unwrap();
    let base = held.assets.iter().find(|row| row.asset.as_str() == "BTC").unwrap();
    let (_, snapshot) = summary.instruments[0];
    assert_eq!(snapshot.position_atoms.get(), base.free_e8 + base.locked_e8 - 10_000_000_000);
    assert!(snapshot.counters.fills as usize >= trades() - before);
}

#[test]
fn a_dry_run_prints_quotes_and_sends_nothing() {
    let _alone = alone();
    #[derive(Clone, Default)]
    struct Text(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let text = Text::default();
    let lines = engine::Lines { out: Box::new(text.clone()), count: u64::MAX, ends: false };
    let settings = config(&venue, folder.path(), &[]);
    let engine = engine::start(&settings, None, EngineMode::DryRun, "test", Some(lines)).unwrap();
    until("three quotes are printed", || text.0.lock().unwrap().iter().filter(|&&byte| byte == b'\n').count() >= 3);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.orders_sent, summary.open_orders_at_exit), (None, 0, None));
    assert_eq!(open_orders(&venue), []);
    let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count() as u64, summary.quotes);
    for line in text.lines() {
        let quote: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(quote["symbol"], "BTCUSDT");
        assert!(quote["bid"]["qty"].is_string() && quote["ask"]["reason"].is_string(), "{line}");
    }
}

#[test]
fn over_tls_everything_goes_to_whom_the_ca_file_vouches_for_and_to_nobody_else() {
    let _alone = alone();
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let port = venue.rest_url().rsplit(':').next().unwrap().parse().unwrap();
    let tls = Tls::to(port);
    let authority = format!("venue.ca_file={}", tls.ca_file().display());
    let urls = [
        format!("venue.rest_url=https://127.0.0.1:{}", tls.port),
        format!("venue.ws_url=wss://127.0.0.1:{}", tls.port),
        format!("venue.ws_api_url=wss://127.0.0.1:{}/ws-api/v3", tls.port),
    ];
    let mut set: Vec<&str> = urls.iter().map(String::as_str).collect();
    let stranger =
        engine::start(&config(&venue, folder.path(), &set), Some(&keys(&venue)), EngineMode::Live, "test", None);
    assert!(stranger.is_err(), "without the file nobody vouches for the venue");
    set.push(&authority);
    let engine =
        engine::start(&config(&venue, folder.path(), &set), Some(&keys(&venue)), EngineMode::Live, "test", None)
            .unwrap();
    until("both sides rest on the venue", || two_sided(&venue));
    let live = engine.live();
    until("ticks are decided on", || live.board().count(Count::Ticks) > 20);
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.open_orders_at_exit), (None, Some(0)));
    let board = live.board();
    assert_eq!((board.count(Count::Disconnects), board.count(Count::Malformed)), (0, 0));
}

#[test]
fn a_recording_of_two_symbols_across_segments_and_connections_replays_to_the_books_of_the_venue() {
    let _alone = alone();
    let instruments = [btcusdt(), ethusdt()];
    // Connections are changed in the middle of it, as they are before the venue's 24 hours are over.
    let venue = venue_of(&instruments, 400.0, &["shutdown:every=900ms,for=200ms"]);
    let folder = tempfile::tempdir().unwrap();
    let set = ["symbols=[BTCUSDT,ETHUSDT]", "journal.segment_mb=1"];
    let engine = engine::start(&config(&venue, folder.path(), &set), None, EngineMode::Record, "test", None).unwrap();
    let mut books = SeenBooks::default();
    let live = engine.live();
    until("more than a segment holds was recorded", || {
        books.look(&venue, &instruments);
        live.board().count(Count::FeedRecords) > 15_000
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    engine.stop();
    let summary = engine.join();
    assert_eq!((summary.failure, summary.feed_dropped), (None, 0));
    let segments = std::fs::read_dir(summary.journal.join("feed")).unwrap().count();
    assert!(segments >= 2, "{segments} segments");
    let renewals = live.board().count(Count::Renewals);
    assert!(renewals >= 1, "the connection was never changed");
    assert_eq!((live.board().count(Count::Disconnects), live.board().count(Count::Desyncs)), (0, 0));
    let (stage, compared) = books.compare(&summary.journal, SyncRule::Spot, &instruments);
    assert!(compared.iter().all(|count| *count >= 3), "{compared:?} books could be compared");
    for instrument in &instruments {
        assert_eq!(stage.counters(instrument.id).gaps, 0, "{renewals} changes of connection");
    }
}
