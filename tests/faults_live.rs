//! Sessions over real sockets on a venue that does everything wrong, and their replay in another process from disk.
//!
//! CI runs a few; `TOUCHLINE_SESSIONS=20` runs that many.

mod engine_support;

use std::process::Command;
use std::time::{Duration, Instant};

use engine_support::{ACCOUNT, alone, btcusdt, config, keys, own_orders};
use touchline::metrics::Count;
use touchline::run::engine::{self, EngineMode};
use touchline::server::venue::{FrontConfig, Pace, VenueHandle, spawn, wall_now};
use touchline::sim::faults::FaultPlan;
use touchline::sim::{AccountConfig, MarketSource, SymbolConfig, SyntheticConfig, TradesQuery, VenueConfig};
use touchline::types::{Instrument, InstrumentId, InstrumentSpec, Symbol};

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

fn ethusdt() -> Instrument {
    let name = |text| Symbol::new(text).unwrap();
    let spec = InstrumentSpec { symbol: name("ETHUSDT"), base: name("ETH"), ..btcusdt().spec };
    Instrument::new(InstrumentId(1), spec)
}

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
