//! Sessions in virtual time on a venue that does everything wrong: whatever happens, a book that says it lives is the
//! venue's, the position is the venue's, no order is left, and the journal alone gives the same decisions again.
//!
//! CI runs a share of the seeds; `TOUCHLINE_SEEDS=1000` runs that many, `TOUCHLINE_SEED=7` that one alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use touchline::journal::{JournalConfig, JournalReader, LocalJournal};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::pipeline::{PipelineConfig, QuoterKind};
use touchline::run::replay::{VerifyOptions, rerun, verify};
use touchline::run::virtual_session::{self, VirtualConfig, VirtualOutcome};
use touchline::sim::faults::{FaultKind, FaultPlan, FaultSpec};
use touchline::sim::{
    AccountConfig, AccountId, FeeSchedule, MarketSource, SymbolConfig, SyntheticConfig, Venue, VenueConfig,
    VenueMarketEvent,
};
use touchline::types::{
    BaseAtoms, BookState, DurationNs, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Money, Price, Qty,
    SessionId, Side, Symbol, TimestampNs,
};
use touchline::wire::{FeedEvent, QuoteEvent, RecordBuf, Stream};

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
        ("oversized:p={}", 0.005),
        ("delay-market:for=300ms,p={}", 0.03),
        ("delay-market:for=5s,p={}", 0.005),
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
    for (kind, keys, seconds) in [
        ("disconnect", "", 3.0),
        ("user-disconnect", "", 3.0),
        ("reset", "", 5.0),
        ("user-reset", "", 5.0),
        ("day-cut", "", 5.0),
        ("half-open", "", 9.0),
        ("missed-pong", ",for=900ms", 6.0),
    ] {
        if random.random_bool(0.3) {
            let millis = (1_000.0 * seconds * (0.3 + random.random::<f64>())) as u64;
            faults.push(format!("{kind}:every={millis}ms{keys}"));
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

/// One symbol's book as the venue had it after each of its depth messages, by levels of bids and asks.
struct Truth {
    first: (u64, Sides),
    diffs: Vec<(u64, [Vec<Level>; 2])>,
    applied: usize,
    sides: Sides,
}

type Sides = [BTreeMap<i64, i64>; 2];

impl Truth {
    fn of(venue: &Venue, symbol: InstrumentId) -> Truth {
        let depth = venue.depth(symbol, usize::MAX);
        let levels = |levels: &[Level]| levels.iter().map(|level| (level.price.ticks(), level.qty.lots())).collect();
        let sides: Sides = [levels(&depth.bids), levels(&depth.asks)];
        Truth { first: (depth.last_update_id, sides.clone()), diffs: Vec::new(), applied: 0, sides }
    }

    /// The book at an update, if one of the venue's messages ended with it.
    fn at(&mut self, update_id: u64) -> Option<&Sides> {
        let wanted = match self.diffs.binary_search_by_key(&update_id, |(last_id, _)| *last_id) {
            Ok(place) => place + 1,
            Err(_) if update_id == self.first.0 => 0,
            Err(_) => return None,
        };
        if wanted < self.applied {
            (self.applied, self.sides) = (0, self.first.1.clone());
        }
        for (_, diff) in &self.diffs[self.applied..wanted] {
            for (side, levels) in self.sides.iter_mut().zip(diff) {
                for level in levels {
                    if level.qty.is_zero() {
                        side.remove(&level.price.ticks());
                    } else {
                        side.insert(level.price.ticks(), level.qty.lots());
                    }
                }
            }
        }
        self.applied = wanted;
        Some(&self.sides)
    }
}

/// Runs the books of a journal again: whenever one says that it lives, it is the venue's. Returns how many times that
/// could be looked at.
fn check_books(journal: &Path, instruments: &[Instrument], truths: &mut [Truth]) -> u64 {
    let mut stage = MarketStage::new(instruments, SyncRule::Spot);
    let mut feed = JournalReader::open(journal).unwrap().stream(Stream::Feed).unwrap();
    let mut looked = 0;
    while let Some(record) = feed.next().unwrap() {
        let Ok(event) = FeedEvent::decode(&record) else { continue };
        stage.on_event(&event);
        let FeedEvent::Depth(depth) = event else { continue };
        let id = depth.head.instrument;
        if stage.state(id) != BookState::Live {
            continue;
        }
        let Some(sides) = truths[id.index()].at(stage.update_id(id)) else { continue };
        for side in Side::BOTH {
            let told = stage.book(id).levels(side).map(|level| (level.price.ticks(), level.qty.lots()));
            let have = sides[side.index()].iter().map(|(price, qty)| (*price, *qty));
            let have: Vec<_> = if side == Side::Bid { have.rev().collect() } else { have.collect() };
            assert_eq!(told.collect::<Vec<_>>(), have, "{side:?} of {id:?} at update {}", stage.update_id(id));
        }
        looked += 1;
    }
    looked
}

/// The session, and its symbols' books as the venue had them.
fn run(scene: &Scene, folder: &Path) -> (VirtualOutcome, Vec<Truth>) {
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
    let venue = Venue::new(venue, sources).unwrap();
    let mut truths: Vec<Truth> = instruments.iter().map(|one| Truth::of(&venue, one.id)).collect();
    let mut watch = |event: &VenueMarketEvent| {
        if let VenueMarketEvent::DepthDiff { symbol, last_id, bids, asks, .. } = event {
            truths[symbol.index()].diffs.push((*last_id, [bids.clone(), asks.clone()]));
        }
    };
    let outcome =
        virtual_session::run_watched(&config, venue, &mut watch).unwrap_or_else(|failure| panic!("{failure}"));
    (outcome, truths)
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
    let (mut happened, mut fills, mut desyncs, mut looked, mut sessions) = (BTreeMap::new(), 0, 0_u64, 0_u64, 0_u64);
    for seed in seeds {
        let scene = scene(seed);
        let shown: Vec<String> = scene.faults.iter().map(ToString::to_string).collect();
        let told = std::panic::catch_unwind(|| {
            let folder = tempfile::tempdir().unwrap();
            let (outcome, mut truths) = run(&scene, folder.path());
            check(&scene, &outcome);
            let instruments: Vec<Instrument> = outcome.snapshots.iter().map(|(instrument, _)| *instrument).collect();
            let looked = check_books(&outcome.journal, &instruments, &mut truths);
            let found = verify(&outcome.journal, None).unwrap();
            assert!(found.identical && found.notes.is_empty(), "{found:?}");
            let bare = without_actions(&outcome.journal, &folder.path().join("bare"));
            let again = rerun(&bare, VerifyOptions { until: None, compare: false }, &mut |_| {}).unwrap();
            assert_eq!(again.actions_digest, found.actions_digest, "without the action records");
            assert!(
                again.identical && again.pipeline_digest == found.pipeline_digest && again.actions == found.actions
            );
            (outcome, looked)
        });
        let Ok((outcome, seen)) = told else {
            panic!("seed {seed} with {} symbols, {:?}: {}", scene.symbols, scene.kind, shown.join(" "));
        };
        for count in &outcome.faults {
            *happened.entry(count.spec.kind.name()).or_insert(0) += count.happened;
        }
        fills += outcome.causes.total();
        desyncs += outcome.desyncs;
        looked += seen;
        sessions += 1;
    }
    println!(
        "{sessions} sessions, {fills} fills, {desyncs} desyncs, {looked} looks at live books; faults {happened:?}"
    );
    if sessions >= SEEDS {
        // A fault that never happens tests nothing.
        for (kind, count) in &happened {
            assert!(*count > 20, "{kind} happened {count} times");
        }
        let never = |kind: &&FaultKind| !kind.is_of_the_wire_alone() && !happened.contains_key(kind.name());
        assert_eq!(FaultKind::ALL.iter().find(never), None);
        assert!(desyncs > SEEDS && looked > 50 * SEEDS, "{desyncs} live books lost sync, {looked} looks at live ones");
        assert!(fills > 10 * SEEDS, "{fills} fills");
    }
}
