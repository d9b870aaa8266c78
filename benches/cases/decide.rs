//! From a book to what is wanted, and to what may leave.

use std::hint::black_box;

use touchline::pipeline::estimators::Estimates;
use touchline::pipeline::features::{BookFeatures, Features, TapeFlow};
use touchline::pipeline::orders::{Keep, Order, OrderTable, SidePlan, Target, plan_side};
use touchline::pipeline::quoter::{Bounds, QuoteInputs, WantedQuote, build};
use touchline::pipeline::risk::{OrderLimits, OrderRate};
use touchline::pipeline::{Amount, OthersBook, Pipeline, PipelineConfig, QuoterKind};
use touchline::types::{
    Action, Actions, BookState, BookView, ClientOrderId, Command, Control, ExecKind, ExecReport, ExecSource, HalfTicks,
    Input, InstrumentId, Level, MarketUpdate, Price, Qty, SessionId, Side, TimestampNs,
};

use super::Case;
use super::frames::instrument;

pub const ROUNDS: usize = 64;

pub fn level(ticks: i64, lots: i64) -> Level {
    Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(lots) }
}

pub fn view(step: i64, mid: i64) -> BookView {
    let mut view = BookView::empty(InstrumentId(0), BookState::Live);
    let now = TimestampNs::from_millis(1_700_000_000_000 + step as u64);
    (view.event_ts, view.recv_ts, view.update_id) = (now, now, step as u64 + 1);
    view.set_levels(Side::Bid, (0..10).map(|depth| level(mid - 1 - depth, 5000 + 100 * depth + step % 7)));
    view.set_levels(Side::Ask, (0..10).map(|depth| level(mid + 1 + depth, 4000 + 100 * depth + step % 5)));
    view
}

pub fn config() -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.quoter.maker_fee_bps = 0.0;
    config.quoter.order_qty = Some(Amount::from_e8(1_000_000));
    config.risk.position_max = Some(Amount::from_e8(10_000_000));
    (config.risk.orders_per_1s, config.risk.orders_per_10s) = (10_000, 10_000);
    config.risk.orders_per_1d = 1_000_000_000;
    config
}

pub fn features() -> Case {
    let mut features = Features::new(&config().features, &instrument());
    let mut books = Vec::new();
    let mut want = 0;
    for step in 0..ROUNDS as i64 {
        let mid = 6_000_000 + step % 9;
        let mut others = OthersBook::empty();
        others.rebuild(&view(step, mid), None, std::iter::empty());
        books.push(others);
        want += 2 * mid as u64;
    }
    let mut round = 0;
    Case::new("features_on_book", ROUNDS, want, move || {
        let mut sum = 0;
        round += 1;
        for (step, others) in books.iter().enumerate() {
            let now = TimestampNs::from_millis(1_700_000_000_000 + round * 6400 + step as u64 * 100);
            features.on_book(now, black_box(others));
            sum += features.book().map_or(0, |book| book.mid.get() as u64);
        }
        sum
    })
}

fn inputs(step: i64) -> QuoteInputs {
    let mid = 6_000_000 + step;
    let mut others = OthersBook::empty();
    others.rebuild(&view(step, mid), None, std::iter::empty());
    let best = |side| others.best(side).expect("a view of two sides");
    let (best_bid, best_ask) = (best(Side::Bid), best(Side::Ask));
    QuoteInputs {
        now: TimestampNs::from_millis(1_000 + step as u64),
        best_bid,
        best_ask,
        reference_ticks: mid as f64,
        book: BookFeatures {
            mid: HalfTicks::mid(best_bid.price, best_ask.price),
            weighted_mid_ticks: Some(mid as f64),
            micro_ticks: None,
            imbalance: [None; 3],
        },
        ofi: Some(0.1),
        others,
        tape: TapeFlow::default(),
        working: [Side::Bid, Side::Ask]
            .map(|side| Some((Price::from_ticks(mid - 10 * side.sign()), Qty::from_lots(700)))),
        position: Qty::from_lots(step * 10),
        room: [Qty::from_lots(5_000); 2],
        position_base: step as f64 * 1e-4,
        position_max_base: 0.05,
        order_qty: Qty::from_lots(1000),
        sigma_ticks: Some(534.2),
        toxicity: None,
        estimates: Estimates::default(),
        tick: 0.01,
        lot: 1e-5,
    }
}

fn quoter(name: &'static str, kind: QuoterKind) -> Case {
    let mut config = config();
    config.quoter.kind = kind;
    let mut quoter = build(&config.quoter);
    let inputs: Vec<QuoteInputs> = (0..ROUNDS as i64).map(inputs).collect();
    // What is done on a timer comes before the first of the quotes that are counted.
    quoter.quote(&inputs[0]);
    quoter.refresh(&inputs[0]);
    Case::new(name, ROUNDS, ROUNDS as u64, move || {
        let wanted = inputs.iter().filter_map(|inputs| quoter.quote(black_box(inputs)));
        wanted.filter(|wanted| black_box(wanted).bid_ticks < wanted.ask_ticks).count() as u64
    })
}

pub fn naive() -> Case {
    quoter("quoter_naive", QuoterKind::Naive)
}

pub fn hybrid() -> Case {
    quoter("quoter_hybrid", QuoterKind::Hybrid)
}

pub fn avellaneda() -> Case {
    quoter("quoter_as", QuoterKind::As)
}

pub fn glft() -> Case {
    quoter("quoter_glft", QuoterKind::Glft)
}

pub fn expected() -> Case {
    quoter("quoter_ev", QuoterKind::Ev)
}

fn bound_quotes(steps: i64) -> Vec<WantedQuote> {
    let wanted = (0..steps).map(|step| WantedQuote {
        bid_ticks: 5_999_990.3 + step as f64,
        ask_ticks: 6_000_009.7 + step as f64,
        bid_qty: Qty::from_lots(1000),
        ask_qty: Qty::from_lots(1000),
        half_spread_ticks: 9.7,
        floor_bound: false,
    });
    wanted.collect()
}

pub fn risk() -> Case {
    let config = config();
    let instrument = instrument();
    let limits = OrderLimits::new(&config.risk, &instrument);
    let mut rate = OrderRate::new(&config.risk);
    let mid = HalfTicks::mid(Price::from_ticks(5_999_999), Price::from_ticks(6_000_001));
    // The last one is outside the collar: refusals are part of the work.
    let prices: Vec<i64> = (0..ROUNDS as i64).map(|i| if i == 63 { 1 } else { 5_999_990 - i }).collect();
    let mut now_ms = 1_700_000_000_000;
    Case::new("risk_checks", ROUNDS, ROUNDS as u64 - 1, move || {
        let mut passed = 0;
        for &ticks in &prices {
            // A second apart, so that the windows never fill.
            now_ms += 1000;
            let now = TimestampNs::from_millis(now_ms);
            let price = Price::from_ticks(black_box(ticks));
            let (qty, room) = (Qty::from_lots(100), Qty::from_lots(10_000));
            if rate.allows(now) && limits.check(&instrument, Some(mid), Some(price), price, qty, room).is_ok() {
                rate.record(now);
                passed += 1;
            }
        }
        passed
    })
}

pub fn plan() -> Case {
    let config = config();
    let keep = Keep::new(&config.quoter, &config.orders);
    let now = TimestampNs::from_millis(1_700_000_000_000);
    let later = TimestampNs::from_millis(1_700_000_060_000);
    let mut orders = OrderTable::new();
    for (counter, side, price) in [(1, Side::Bid, 5_999_990), (2, Side::Ask, 6_000_010)] {
        let client_id = ClientOrderId { session: SessionId(1), counter };
        let mut order = Order::sent(client_id, side, Price::from_ticks(price), Qty::from_lots(1000), now);
        order.apply(now, &accepted(client_id, now));
        assert!(orders.insert(order));
    }
    let instrument = instrument();
    // Every other target is where the order rests, the others 100 ticks away.
    let want = ROUNDS as u64;
    Case::new("orders_plan_side", 2 * ROUNDS, want, move || {
        let mut cancels = 0;
        for round in 0..ROUNDS as i64 {
            let moved = if round % 2 == 0 { 0 } else { 100 };
            for (side, price) in [(Side::Bid, 5_999_990 - moved), (Side::Ask, 6_000_010 + moved)] {
                let (price, qty) = (Price::from_ticks(price), Qty::from_lots(1000));
                let target = Target { price, qty, instrument: &instrument };
                let room = Qty::from_lots(10_000);
                let mut plan = SidePlan::NOTHING;
                plan_side(later, black_box(&orders), side, Some(target), false, room, &keep, &mut plan);
                cancels += plan.cancels.iter().flatten().count() as u64;
            }
        }
        cancels
    })
}

pub fn accepted(client_id: ClientOrderId, now: TimestampNs) -> ExecReport {
    report(client_id, now, ExecKind::Accepted)
}

pub fn report(client_id: ClientOrderId, now: TimestampNs, kind: ExecKind) -> ExecReport {
    ExecReport {
        instrument: InstrumentId(0),
        client_id,
        venue_id: None,
        event_ts: now,
        recv_ts: now,
        source: ExecSource::Response,
        kind,
    }
}

/// A whole decision: a book that moves far enough to replace both orders, the orders' answers included.
pub fn pipeline() -> Case {
    let mut pipeline = Pipeline::new(SessionId(1), &[instrument()], &config()).expect("a valid configuration");
    let mut actions = Actions::new();
    pipeline.on_event(TimestampNs::ZERO, &Input::Control(Control::UserStreamUp), &mut actions);
    let mut answers: Vec<ExecReport> = Vec::with_capacity(64);
    let mut step = 0_i64;
    let mut run = move || {
        let mut commands = 0;
        for _ in 0..ROUNDS {
            step += 10;
            let mid = 6_000_000 + if step / 10 % 2 == 0 { 20 } else { 0 };
            let now = TimestampNs::from_millis(1_700_000_000_000 + step as u64);
            let input = Input::Market(MarketUpdate::Book(view(step, mid)));
            actions.clear();
            pipeline.on_event(now, black_box(&input), &mut actions);
            answers.clear();
            for action in actions.as_slice() {
                match action {
                    Action::Command(Command::Place(order)) => answers.push(accepted(order.client_id, now)),
                    Action::Command(Command::Cancel { client_id, .. }) => {
                        answers.push(report(*client_id, now, ExecKind::Canceled { cum_qty: Qty::ZERO }));
                    }
                    _ => continue,
                }
                commands += 1;
            }
            for answer in &answers {
                pipeline.on_event(now, &Input::Exec(*answer), &mut actions);
            }
        }
        commands
    };
    // The first call finds no orders yet; from then on each book replaces both.
    run();
    let want = run();
    assert_eq!(want, 4 * ROUNDS as u64, "two cancels and two orders a book");
    Case::new("pipeline_event_to_action", ROUNDS, want, run)
}

pub fn bound() -> Case {
    let instrument = instrument();
    let wanted = bound_quotes(ROUNDS as i64);
    Case::new("quote_bound", ROUNDS, 2 * ROUNDS as u64, move || {
        let mut priced = 0;
        for (step, wanted) in wanted.iter().enumerate() {
            let mid = 6_000_000 + step as i64;
            let bounds = Bounds {
                instrument: &instrument,
                best_bid: level(mid - 1, 10),
                best_ask: level(mid + 1, 10),
                position: Qty::ZERO,
                join_only: false,
                room: [Qty::from_lots(5_000); 2],
            };
            let sides = touchline::pipeline::quoter::bound(black_box(wanted), &bounds);
            priced += sides.iter().filter(|side| side.price.is_some()).count() as u64;
        }
        priced
    })
}
