//! What a decision costs, from a market update to the answer, without sockets, journal or rings.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use touchline::pipeline::{Amount, Pipeline, PipelineConfig};
use touchline::types::{
    Action, Actions, BookState, BookView, Command, Control, ExecKind, ExecReport, ExecSource, Filters, Input,
    Instrument, InstrumentId, InstrumentSpec, Level, MarketUpdate, Price, Qty, SessionId, Side, Symbol, TimestampNs,
};

const ID: InstrumentId = InstrumentId(0);

fn instrument() -> Instrument {
    let name = |text| Symbol::new(text).expect("short");
    Instrument::new(
        ID,
        InstrumentSpec {
            symbol: name("BTCUSDT"),
            base: name("BTC"),
            quote: name("USDT"),
            tick_e8: 1_000_000,
            lot_e8: 1_000,
            filters: Filters::default(),
        },
    )
}

fn book(step: u64, mid: i64) -> Input {
    let mut view = BookView::empty(ID, BookState::Live);
    let now = TimestampNs::from_millis(1_700_000_000_000 + step);
    (view.event_ts, view.recv_ts, view.update_id) = (now, now, step + 1);
    let level = |price: i64, lots: i64| Level { price: Price::from_ticks(price), qty: Qty::from_lots(lots) };
    view.set_levels(Side::Bid, (0..10).map(|depth| level(mid - 1 - depth, 5000 + 100 * depth)));
    view.set_levels(Side::Ask, (0..10).map(|depth| level(mid + 1 + depth, 4000 + 100 * depth)));
    Input::Market(MarketUpdate::Book(view))
}

/// Every update moves the mid far enough to replace both orders; answers come at once and are part of the figure.
fn event_to_action(criterion: &mut Criterion) {
    let mut config = PipelineConfig::default();
    config.quoter.maker_fee_bps = 0.0;
    config.quoter.order_qty = Some(Amount::from_e8(1_000_000));
    config.risk.position_max = Some(Amount::from_e8(10_000_000));
    (config.risk.orders_per_1s, config.risk.orders_per_10s) = (10_000, 10_000);
    config.risk.orders_per_1d = 1_000_000_000;
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(1));
    for (name, stride) in [("event_to_action", 20), ("event_without_action", 0)] {
        let mut pipeline = Pipeline::new(SessionId(1), &[instrument()], &config).expect("a valid configuration");
        let mut actions = Actions::new();
        pipeline.on_event(TimestampNs::ZERO, &Input::Control(Control::UserStreamUp), &mut actions);
        let mut answers: Vec<ExecReport> = Vec::with_capacity(64);
        let mut step = 0_u64;
        group.bench_function(format!("pipeline_{name}"), |bencher| {
            bencher.iter(|| {
                step += 10;
                let mid = 6_000_000 + if (step / 10).is_multiple_of(2) { stride } else { 0 };
                let now = TimestampNs::from_millis(1_700_000_000_000 + step);
                actions.clear();
                pipeline.on_event(now, black_box(&book(step, mid)), &mut actions);
                answers.clear();
                for action in actions.as_slice() {
                    let (client_id, kind) = match action {
                        Action::Command(Command::Place(order)) => (order.client_id, ExecKind::Accepted),
                        Action::Command(Command::Cancel { client_id, .. }) => {
                            (*client_id, ExecKind::Canceled { cum_qty: Qty::ZERO })
                        }
                        _ => continue,
                    };
                    answers.push(ExecReport {
                        instrument: ID,
                        client_id,
                        venue_id: None,
                        event_ts: now,
                        recv_ts: now,
                        source: ExecSource::Response,
                        kind,
                    });
                }
                for answer in &answers {
                    pipeline.on_event(now, &Input::Exec(*answer), &mut actions);
                }
                black_box(actions.as_slice().len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, event_to_action);
criterion_main!(benches);
