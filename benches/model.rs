//! What features, estimators and quoter cost together, for each market event of a session.
//!
//! Goal: the price of a decision without orders: a dry run over prepared updates, quotes wanted and bounded, nothing
//! sent. Not a goal: decoding, book, journal, rings. Each pass checks that it decided as often as the pass before.
//! `TOUCHLINE_COUNT=1` runs one plain pass instead, for a counter of instructions.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use touchline::import::Recording;
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::{Pipeline, PipelineConfig, QuoterKind};
use touchline::types::{
    Actions, BookState, BookView, Filters, Input, Instrument, InstrumentId, InstrumentSpec, Level, MarketUpdate, Price,
    Qty, SessionId, Side, Symbol, TimestampNs, Trade, TradeId,
};

type Events = Vec<(TimestampNs, Input)>;

/// A mid that walks, sizes that change, a trade with every other book: an hour of it at ten books a second.
fn walk() -> (Instrument, Events) {
    let name = |text| Symbol::new(text).expect("short");
    let instrument = Instrument::new(
        InstrumentId(0),
        InstrumentSpec {
            symbol: name("BTCUSDT"),
            base: name("BTC"),
            quote: name("USDT"),
            tick_e8: 1_000_000,
            lot_e8: 1_000,
            filters: Filters::default(),
        },
    );
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut events = Events::new();
    let mut mid = 6_000_000_i64;
    for step in 0..36_000_u64 {
        let now = TimestampNs::from_millis(1_700_000_000_000 + step * 100);
        mid += draw(3) as i64 - 1;
        let mut view = BookView::empty(instrument.id, BookState::Live);
        (view.event_ts, view.recv_ts, view.update_id) = (now, now, step + 1);
        for (side, best, away) in [(Side::Bid, mid - 1, -1), (Side::Ask, mid + 1, 1)] {
            let levels: [Level; 10] = std::array::from_fn(|depth| Level {
                price: Price::from_ticks(best + away * depth as i64),
                qty: Qty::from_lots(1 + draw(5_000) as i64),
            });
            view.set_levels(side, levels);
        }
        events.push((now, Input::Market(MarketUpdate::Book(view))));
        if draw(2) == 0 {
            let buys = draw(2) == 0;
            let trade = Trade {
                instrument: instrument.id,
                event_ts: now,
                recv_ts: now,
                id: TradeId(step as i64),
                price: Price::from_ticks(if buys { mid + 1 } else { mid - 1 }),
                qty: Qty::from_lots(1 + draw(2_000) as i64),
                aggressor: if buys { Side::Bid } else { Side::Ask },
            };
            events.push((now, Input::Market(MarketUpdate::Trade(trade))));
        }
    }
    (instrument, events)
}

/// The updates of a recorded session, if recordings lie beside the project.
fn recorded() -> Option<(Instrument, Events)> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/hftbacktest/examples/spot/ethusdt_20240808.gz");
    let recording = Recording::open(&[file]).ok()?;
    let mut stage = MarketStage::new(recording.instruments(), recording.rule());
    let mut events = Events::new();
    let read = recording.for_each(|now, event| {
        if let Some(update) = stage.on_event(event) {
            events.push((now, Input::Market(update)));
        }
    });
    read.ok()?;
    Some((*recording.instruments().first()?, events))
}

fn config(kind: QuoterKind) -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.quoter.kind = kind;
    config.quoter.maker_fee_bps = 0.0;
    config.orders.send = false;
    config
}

/// One pass over a session, with the timers that fall due in it. Returns how many actions it gave.
fn pass(instrument: &Instrument, events: &Events, config: &PipelineConfig, mut each: impl FnMut(u64)) -> usize {
    let mut pipeline = Pipeline::new(SessionId(1), &[*instrument], config).expect("a valid configuration");
    let mut actions = Actions::new();
    let mut given = 0;
    let clock = quanta::Clock::new();
    for (now, input) in events {
        while let Some(due) = pipeline.next_deadline().filter(|due| due < now) {
            actions.clear();
            pipeline.on_event(due, &Input::Timer, &mut actions);
            given += actions.as_slice().len();
        }
        actions.clear();
        let start = clock.raw();
        pipeline.on_event(*now, black_box(input), &mut actions);
        each(clock.delta_as_nanos(start, clock.raw()));
        given += actions.as_slice().len();
    }
    given
}

fn model(criterion: &mut Criterion) {
    let mut sessions = vec![("walk", walk())];
    match recorded() {
        Some(session) => sessions.push(("recorded", session)),
        None => println!("skipped: no recordings beside the project"),
    }
    if std::env::var_os("TOUCHLINE_COUNT").is_some() {
        for (name, (instrument, events)) in &sessions {
            let given = pass(instrument, events, &config(QuoterKind::Hybrid), |_| {});
            println!("{name}: {} events, {given} actions", events.len());
        }
        return;
    }
    let mut group = criterion.benchmark_group("model");
    group.sample_size(10);
    for (name, (instrument, events)) in &sessions {
        for kind in [QuoterKind::Naive, QuoterKind::Hybrid, QuoterKind::As, QuoterKind::Glft, QuoterKind::Ev] {
            let config = config(kind);
            let mut times = Histogram::<u64>::new(3).expect("three digits");
            let expected = pass(instrument, events, &config, |nanos| times.saturating_record(nanos));
            assert!(expected > 0, "{name} {} decided nothing", kind.name());
            println!(
                "{name} {}: {} events, p50 {} ns, p99 {} ns, p99.9 {} ns, clock included",
                kind.name(),
                events.len(),
                times.value_at_quantile(0.5),
                times.value_at_quantile(0.99),
                times.value_at_quantile(0.999),
            );
            group.throughput(Throughput::Elements(events.len() as u64));
            group.bench_function(BenchmarkId::new(name.to_owned(), kind.name()), |bencher| {
                bencher.iter(|| assert_eq!(pass(instrument, events, &config, |_| {}), expected));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, model);
criterion_main!(benches);
