//! Sessions in virtual time on a venue that does everything wrong: whatever happens, the position is the venue's, no
//! order is left, and the journal alone gives the same decisions again.
//!
//! CI runs a share of the seeds; `TOUCHLINE_SEEDS=1000` runs that many, `TOUCHLINE_SEED=7` that one alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use touchline::journal::{JournalConfig, JournalReader, LocalJournal};
use touchline::pipeline::{PipelineConfig, QuoterKind};
use touchline::run::replay::{VerifyOptions, rerun, verify};
use touchline::run::virtual_session::{self, VirtualConfig, VirtualOutcome};
use touchline::sim::faults::{FaultPlan, FaultSpec};
use touchline::sim::{
    AccountConfig, AccountId, FeeSchedule, MarketSource, SymbolConfig, SyntheticConfig, Venue, VenueConfig,
};
use touchline::types::{
    BaseAtoms, DurationNs, Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Qty, SessionId, Symbol,
    TimestampNs,
};
use touchline::wire::{QuoteEvent, RecordBuf, Stream};

const CLIENT: AccountId = AccountId(1);
const START: TimestampNs = TimestampNs::from_millis(1_767_225_600_000);
/// Seeds of a run in CI.
const SEEDS: u64 = 80;

fn instrument(index: u16, base: &str) -> Instrument {
    let name = |text: &str| Symbol::new(text).unwrap();
    let spec = InstrumentSpec {
        symbol: name(&format!("{base}USDT")),
        base: name(base),
        quote: name("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters {
            price_min: Some(Price::from_ticks(1)),
            price_max: Some(Price::from_ticks(100_000_000)),
            qty_min: Qty::from_lots(1),
            qty_max: Qty::from_lots(900_000_000),
            notional_min: Money::from_e8(500_000_000),
        },
    };
    Instrument::new(InstrumentId(index), spec)
}

/// What a session meets, all of it from its seed.
struct Scene {
    seed: u64,
    symbols: usize,
    kind: QuoterKind,
    amend: bool,
    seconds: u64,
    faults: Vec<FaultSpec>,
}

fn scene(seed: u64) -> Scene {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut faults = Vec::new();
    for (text, rate) in [
        ("gap:p={}", 0.03),
        ("double-market:p={}", 0.05),
        ("malformed:p={}", 0.01),
        ("lost-event:p={}", 0.1),
        ("double-event:p={}", 0.2),
        ("delay-event:for=700ms,p={}", 0.2),
        ("delay-answer:for=400ms,p={}", 0.1),
        ("delay-answer:for=7s,p={}", 0.01),
        ("lost-answer:p={}", 0.1),
        ("lost-request:p={}", 0.1),
        ("double-answer:p={}", 0.1),
        ("timeout:p={}", 0.1),
        ("server-error:p={}", 0.1),
        ("rate-limit:p={}", 0.03),
    ] {
        // Some sessions meet one kind alone, most meet several.
        if random.random_bool(0.35) {
            let chance = rate * random.random::<f64>();
            faults.push(text.replace("{}", &chance.to_string()));
        }
    }
    for (kind, seconds) in [("disconnect", 3.0), ("user-disconnect", 3.0), ("reset", 5.0), ("user-reset", 5.0)] {
        if random.random_bool(0.3) {
            let millis = (1_000.0 * seconds * (0.3 + random.random::<f64>())) as u64;
            faults.push(format!("{kind}:every={millis}ms"));
        }
    }
    Scene {
        seed,
        symbols: if random.random_bool(0.3) { 2 } else { 1 },
        kind: [QuoterKind::Naive, QuoterKind::Hybrid, QuoterKind::Glft][random.random_range(0..3)],
        amend: random.random_bool(0.3),
        seconds: random.random_range(10..25),
        faults: faults.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn run(scene: &Scene, folder: &Path) -> VirtualOutcome {
    let instruments: Vec<Instrument> = ["BTC", "ETH"][..scene.symbols]
        .iter()
        .enumerate()
        .map(|(index, base)| instrument(index as u16, base))
        .collect();
    let mut venue = VenueConfig::new(START);
    venue.symbols = instruments.iter().map(|one| SymbolConfig::new(*one)).collect();
    venue.fees = FeeSchedule { maker_e8: 20_000, taker_e8: 40_000, ..venue.fees };
    let mut balances = vec![(instruments[0].spec.quote, 1_000_000 * 100_000_000)];
    balances.extend(instruments.iter().map(|one| (one.spec.base, 100 * 100_000_000)));
    venue.accounts = vec![AccountConfig { id: CLIENT, balances }];
    venue.faults = FaultPlan { specs: scene.faults.clone(), seed: scene.seed };
    let source = |index: u64| {
        MarketSource::Synthetic(SyntheticConfig {
            seed: scene.seed.wrapping_mul(31) + index,
            aggressors_per_s: 60.0,
            ..SyntheticConfig::default()
        })
    };
    let sources = (0..scene.symbols as u64).map(source).collect();
    let mut pipeline = PipelineConfig::default();
    pipeline.quoter.kind = scene.kind;
    pipeline.quoter.maker_fee_bps = 0.0;
    pipeline.quoter.half_spread_ticks = 2.0;
    pipeline.orders.amend = scene.amend;
    let config = VirtualConfig {
        session: SessionId(START.millis() + scene.seed),
        mode: "test",
        pipeline,
        warm: None,
        length: DurationNs::from_secs(scene.seconds),
        latencies: touchline::sim::latency::LatencyModel::default(),
        journal_dir: folder.to_owned(),
        account: CLIENT,
    };
    virtual_session::run(&config, Venue::new(venue, sources).unwrap()).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Copies a session without its action records; what is left is numbered anew.
fn without_actions(session: &Path, to: &Path) -> PathBuf {
    let reader = JournalReader::open(session).unwrap();
    let mut journal = LocalJournal::create(&JournalConfig::for_virtual_time(to), reader.info()).unwrap();
    let mut buf = RecordBuf::default();
    for stream in [Stream::Feed, Stream::Quote] {
        let mut records = reader.stream(stream).unwrap();
        while let Some(record) = records.next().unwrap() {
            let header = record.header;
            if stream == Stream::Quote && matches!(QuoteEvent::decode(&record), Ok(QuoteEvent::Action(_))) {
                continue;
            }
            buf.begin();
            buf.put(record.payload);
            let seq = journal.next_seq(stream);
            journal.append(stream, buf.finish(stream, header.kind, header.flags, seq, header.ts)).unwrap();
        }
    }
    let out = journal.close().unwrap();
    reader.end().unwrap().write(&out).unwrap();
    out
}

/// What must hold at the end of every session.
fn check(scene: &Scene, outcome: &VirtualOutcome) {
    assert_eq!(outcome.open_orders, 0, "own orders are left");
    let (mut by_venue, mut by_fills, mut fills, mut queries) = (Money::ZERO, Money::ZERO, 0, 0);
    for (index, (instrument, snapshot)) in outcome.snapshots.iter().enumerate() {
        let (base, quote) = outcome.balance_changes[index];
        assert_eq!(snapshot.position_atoms, BaseAtoms::new(base), "{}", instrument.symbol());
        // All are priced in one currency, whose balance each of them tells.
        if index == 0 {
            by_venue += Money::from_e8(quote);
        }
        if let Some(mark) = snapshot.mark {
            by_venue += instrument.value(mark, BaseAtoms::new(base));
        }
        by_fills = by_fills + snapshot.pnl.spread + snapshot.pnl.inventory - snapshot.pnl.fees;
        fills += snapshot.counters.fills;
        queries += snapshot.counters.queries;
        assert_eq!((snapshot.working_orders, snapshot.unknown_orders), (0, 0));
    }
    assert_eq!(by_venue, by_fills, "money");
    assert_eq!(fills, outcome.causes.total(), "each trade is counted once");
    if scene.faults.is_empty() {
        assert_eq!(queries, 0, "nothing is asked where nothing goes wrong");
    }
}

#[test]
fn whatever_goes_wrong_the_position_is_the_venues_and_the_journal_repeats_the_session() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("TOUCHLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TOUCHLINE_SEEDS").unwrap_or(SEEDS),
    };
    let (mut happened, mut fills, mut desyncs, mut sessions) = (BTreeMap::new(), 0, 0_u64, 0_u64);
    for seed in seeds {
        let scene = scene(seed);
        let shown: Vec<String> = scene.faults.iter().map(ToString::to_string).collect();
        let told = std::panic::catch_unwind(|| {
            let folder = tempfile::tempdir().unwrap();
            let outcome = run(&scene, folder.path());
            check(&scene, &outcome);
            let found = verify(&outcome.journal, None).unwrap();
            assert!(found.identical && found.notes.is_empty(), "{found:?}");
            let bare = without_actions(&outcome.journal, &folder.path().join("bare"));
            let again = rerun(&bare, VerifyOptions { until: None, compare: false }, &mut |_| {}).unwrap();
            assert_eq!(again.actions_digest, found.actions_digest, "without the action records");
            assert!(
                again.identical && again.pipeline_digest == found.pipeline_digest && again.actions == found.actions
            );
            outcome
        });
        let Ok(outcome) = told else {
            panic!("seed {seed} with {} symbols, {:?}: {}", scene.symbols, scene.kind, shown.join(" "));
        };
        for count in &outcome.faults {
            *happened.entry(count.spec.kind.name()).or_insert(0) += count.happened;
        }
        fills += outcome.causes.total();
        desyncs += outcome.desyncs;
        sessions += 1;
    }
    println!("{sessions} sessions, {fills} fills, {desyncs} desyncs; faults {happened:?}");
    if sessions >= SEEDS {
        // A fault that never happens tests nothing.
        for (kind, count) in &happened {
            assert!(*count > 20, "{kind} happened {count} times");
        }
        assert!(desyncs > SEEDS, "{desyncs} live books lost sync");
        assert!(happened.len() >= 15 && fills > 10 * SEEDS, "{happened:?}, {fills} fills");
    }
}
