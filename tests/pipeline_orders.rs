//! Orders of ours under every order of reports, silence, refusals and doubt (reliability.md C).

mod pipeline_support;

use pipeline_support::*;
use proptest::prelude::*;
use touchline::pipeline::TradingState;
use touchline::types::{
    ClientOrderId, Command, Control, ExecKind, OrderKind, OrderStatus, Price, Qty, RejectReason, SessionId, Side,
};

#[test]
fn both_sides_are_quoted_post_only_around_the_mid() {
    let mut table = Table::new(&naive());
    let orders = placed(&table.book(9_999, 10_001));
    assert_eq!(
        orders.iter().map(|order| (order.side, order.price.ticks())).collect::<Vec<_>>(),
        [(Side::Bid, 9_995), (Side::Ask, 10_005)]
    );
    assert!(orders.iter().all(|order| order.kind == OrderKind::PostOnly && order.qty == Qty::from_lots(1000)));
    assert!(table.book(9_999, 10_001).is_empty(), "an unchanged market needs no command");
}

#[test]
fn nothing_is_placed_before_the_user_stream_is_up() {
    let mut table = Table::new(&naive());
    table.control(Control::UserStreamDown);
    assert!(table.book(9_999, 10_001).is_empty());
    assert_eq!(placed(&table.control(Control::UserStreamUp)).len(), 2);
}

#[test]
fn a_moved_market_cancels_first_and_replaces_behind_the_cancels() {
    let (mut table, bid, ask) = Table::quoting(&naive());
    table.now_ms = 100;
    let commands = table.book(10_009, 10_011);
    // The new bid at 10005 would meet our old ask there: it waits until that one is gone.
    assert!(matches!(commands[0], Command::Cancel { client_id, .. } if client_id == bid.client_id));
    assert!(matches!(commands[1], Command::Cancel { client_id, .. } if client_id == ask.client_id));
    let orders = placed(&commands);
    assert_eq!(orders.len(), 1);
    assert_eq!((orders[0].side, orders[0].price.ticks()), (Side::Ask, 10_015));
    let orders = placed(&table.exec(ask.client_id, ExecKind::Canceled { cum_qty: Qty::ZERO }));
    assert_eq!((orders[0].side, orders[0].price.ticks()), (Side::Bid, 10_005));
    assert!(!table.pipeline.is_quiet());
}

#[test]
fn hysteresis_keeps_a_place_in_the_queue_and_always_does_not() {
    let mut config = naive();
    let (mut table, ..) = Table::quoting(&config);
    table.now_ms = 100;
    assert!(table.book(10_000, 10_002).is_empty(), "one tick is too little");
    config.quoter.requote = touchline::pipeline::RequoteKind::Always;
    let (mut table, ..) = Table::quoting(&config);
    table.now_ms = 100;
    assert_eq!(canceled(&table.book(10_000, 10_002)).len(), 2);
}

#[test]
fn our_own_orders_are_not_the_market() {
    let mut config = naive();
    config.quoter.requote = touchline::pipeline::RequoteKind::Always;
    config.quoter.half_spread_ticks = 1.0;
    let mut table = Table::new(&config);
    let orders = placed(&table.book(9_990, 10_010));
    assert_eq!(orders.iter().map(|order| order.price.ticks()).collect::<Vec<_>>(), [9_999, 10_001]);
    for order in &orders {
        table.exec(order.client_id, ExecKind::Accepted);
    }
    // The venue's book now begins with us. Only ours: the market is unchanged.
    for (now_ms, bid) in [(100, 9_990), (200, 9_980)] {
        table.now_ms = now_ms;
        let mut seen = view(now_ms, table.update_id + 1, bid, 10_010);
        let own = |order: &touchline::types::NewOrder| touchline::types::Level { price: order.price, qty: order.qty };
        let bids: Vec<_> = [own(&orders[0])].into_iter().chain(seen.levels(Side::Bid).iter().copied()).collect();
        let asks: Vec<_> = [own(&orders[1])].into_iter().chain(seen.levels(Side::Ask).iter().copied()).collect();
        seen.set_levels(Side::Bid, bids);
        seen.set_levels(Side::Ask, asks);
        table.update_id += 1;
        let input = touchline::types::Input::Market(touchline::types::MarketUpdate::Book(seen));
        let commands = table.input(input);
        assert_eq!(table.snapshot().best_bid, Some(Price::from_ticks(bid)));
        // A real move is followed, five ticks down.
        assert_eq!(commands.is_empty(), bid == 9_990, "{commands:?}");
    }
}

#[test]
fn a_lost_answer_is_asked_about_and_the_side_waits() {
    let mut table = Table::new(&naive());
    let orders = placed(&table.book(9_999, 10_001));
    table.exec(orders[1].client_id, ExecKind::Accepted);
    let commands = table.exec(orders[0].client_id, ExecKind::PlaceUnknown);
    assert_eq!(queried(&commands), [orders[0].client_id]);
    assert!(placed(&commands).is_empty());
    table.now_ms = 100;
    assert!(placed(&table.book(9_999, 10_001)).is_empty(), "a doubtful side is not quoted");
    // "No such order" soon after the send proves nothing: three, spaced, and two seconds.
    let mut asked = vec![0];
    for _ in 0..5 {
        table.exec(orders[0].client_id, ExecKind::NotFound);
        let next = asked.last().unwrap() + 500;
        for at in (table.now_ms + 100..=next).step_by(100) {
            for (at, command) in table.wait(at) {
                if queried(&[command]) == [orders[0].client_id] {
                    asked.push(at);
                }
            }
            if table.snapshot().unknown_orders > 0 {
                assert!(placed(&table.book(9_999, 10_001)).is_empty(), "placed while in doubt at {at} ms");
            }
        }
    }
    assert!(asked.windows(2).all(|pair| pair[1] >= pair[0] + 500), "{asked:?}");
    assert!(*asked.last().unwrap() >= 2000, "{asked:?}");
    let snapshot = table.snapshot();
    assert_eq!((snapshot.unknown_orders, snapshot.counters.unknowns, snapshot.counters.unknowns_resolved), (0, 1, 1));
    assert_eq!(snapshot.counters.placed, 3, "the side is quoted again once absence is proven");
}

#[test]
fn silence_becomes_doubt() {
    let mut table = Table::new(&naive());
    let orders = placed(&table.book(9_999, 10_001));
    let mut asked = Vec::new();
    for at in (0..=5_000).step_by(500) {
        asked.extend(table.wait(at).into_iter().map(|(_, command)| command));
        asked.extend(table.book(9_999, 10_001));
    }
    assert_eq!(queried(&asked), orders.iter().map(|order| order.client_id).collect::<Vec<_>>());
    let (status, cum_qty) = (OrderStatus::New, Qty::ZERO);
    table.exec(orders[0].client_id, ExecKind::Status { status, cum_qty, order_qty: Qty::ZERO });
    table.exec(orders[1].client_id, ExecKind::Status { status, cum_qty, order_qty: Qty::ZERO });
    let snapshot = table.snapshot();
    assert_eq!((snapshot.unknown_orders, snapshot.working_orders), (0, 2));
}

#[test]
fn a_cancel_of_an_order_that_is_gone_waits_for_its_end_and_then_asks() {
    let (mut table, bid, _) = Table::quoting(&naive());
    table.now_ms = 100;
    assert!(canceled(&table.book(10_009, 10_011)).contains(&bid.client_id));
    table.now_ms = 110;
    let unknown = ExecKind::CancelRejected(RejectReason::UnknownOrder);
    assert!(queried(&table.exec(bid.client_id, unknown)).is_empty());
    let asked: Vec<_> = table.wait(700).into_iter().filter(|(_, command)| !queried(&[*command]).is_empty()).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].0, asked[0].1.client_id()), (610, bid.client_id));
    // It had filled: the query tells the sum, the fill itself comes later and only then is everything settled.
    let (status, cum_qty) = (OrderStatus::Filled, bid.qty);
    table.exec(bid.client_id, ExecKind::Status { status, cum_qty, order_qty: Qty::ZERO });
    assert_eq!(table.snapshot().position, Qty::ZERO);
    table.exec(bid.client_id, fill(&bid, 1, 1000, 1000));
    assert_eq!(table.snapshot().position, bid.qty);
}

#[test]
fn a_refused_cancel_is_repeated_and_an_unknown_one_is_asked_about() {
    let (mut table, bid, ask) = Table::quoting(&naive());
    table.control(Control::Halt);
    let unknown = table.exec(ask.client_id, ExecKind::CancelUnknown);
    assert_eq!(queried(&unknown), [ask.client_id]);
    let refused = table.exec(bid.client_id, ExecKind::CancelRejected(RejectReason::RateLimit));
    assert!(refused.is_empty(), "a refused cancel waits a moment");
    let again: Vec<_> = table.wait(250).into_iter().map(|(_, command)| command).collect();
    assert_eq!(canceled(&again), [bid.client_id], "cancels go on under a rate limit");
    table.exec(bid.client_id, ExecKind::Canceled { cum_qty: Qty::ZERO });
    table.exec(
        ask.client_id,
        ExecKind::Status { status: OrderStatus::Canceled, cum_qty: Qty::ZERO, order_qty: Qty::ZERO },
    );
    assert!(table.pipeline.is_quiet());
}

#[test]
fn a_crossing_refusal_is_counted_and_repriced_from_a_newer_book() {
    let mut table = Table::new(&naive());
    let orders = placed(&table.book(9_999, 10_001));
    let cross = ExecKind::Rejected(RejectReason::WouldCross);
    assert!(placed(&table.exec(orders[0].client_id, cross)).is_empty(), "the same book gives the same price");
    table.now_ms = 100;
    let next = placed(&table.book(9_990, 9_992));
    assert_eq!(next.iter().map(|order| (order.side, order.price.ticks())).collect::<Vec<_>>(), [(Side::Bid, 9_986)]);
    assert_eq!(table.snapshot().counters.post_only_rejects(), 1);
}

#[test]
fn the_same_refusal_three_times_backs_off() {
    let mut config = naive();
    config.risk.position_max = Some(touchline::pipeline::Amount::whole(3));
    let mut table = Table::new(&config);
    let mut orders = placed(&table.book(9_999, 10_001));
    orders.retain(|order| order.side == Side::Bid);
    for _ in 0..3 {
        table.now_ms += 1;
        let next = table.exec(orders[0].client_id, ExecKind::Rejected(RejectReason::Filter));
        orders = placed(&next);
    }
    assert!(orders.is_empty(), "a third same refusal within a second pauses the side");
    let mut resumed_at = None;
    for at in (100..=1_500).step_by(100) {
        let timed = table.wait(at);
        let commands: Vec<_> = timed.into_iter().map(|(_, command)| command).chain(table.book(9_999, 10_001)).collect();
        if !placed(&commands).is_empty() {
            resumed_at.get_or_insert(at);
        }
    }
    assert!(resumed_at.is_some_and(|at| (1_000..=1_100).contains(&at)), "{resumed_at:?}");
}

#[test]
fn a_rate_limit_stops_placing_only_and_a_bad_key_halts() {
    let mut table = Table::new(&naive());
    let orders = placed(&table.book(9_999, 10_001));
    table.exec(orders[0].client_id, ExecKind::Accepted);
    assert!(placed(&table.exec(orders[1].client_id, ExecKind::Rejected(RejectReason::RateLimit))).is_empty());
    table.now_ms = 500;
    let commands = table.book(9_899, 9_901);
    assert_eq!(canceled(&commands), [orders[0].client_id], "a bid above its target still goes");
    assert!(placed(&commands).is_empty());
    table.exec(orders[0].client_id, ExecKind::Canceled { cum_qty: Qty::ZERO });
    table.now_ms = 1_000;
    let orders = placed(&table.book(9_899, 9_901));
    assert_eq!(orders.len(), 2);
    table.exec(orders[0].client_id, ExecKind::Accepted);
    let commands = table.exec(orders[1].client_id, ExecKind::Rejected(RejectReason::Auth));
    assert_eq!(table.snapshot().state, TradingState::Halted);
    assert_eq!(canceled(&commands), [orders[0].client_id]);
}

#[test]
fn a_late_fill_counts_once_and_other_engines_fills_never() {
    let (mut table, bid, _) = Table::quoting(&naive());
    table.exec(bid.client_id, ExecKind::Canceled { cum_qty: Qty::ZERO });
    table.now_ms = 100;
    table.book(9_999, 10_001);
    table.now_ms = 200;
    table.book(9_999, 10_001);
    table.exec(bid.client_id, fill(&bid, 77, 1000, 1000));
    table.exec(bid.client_id, fill(&bid, 77, 1000, 1000));
    let foreign = ClientOrderId { session: SessionId(99), counter: 1 };
    table.exec(foreign, fill(&bid, 78, 1000, 1000));
    let snapshot = table.snapshot();
    assert_eq!(snapshot.position, Qty::from_lots(1000));
    let counters = snapshot.counters;
    assert_eq!((counters.fills, counters.duplicate_fills, counters.late_fills), (1, 1, 1));
}

#[test]
fn an_orphan_is_adopted_and_cancelled_before_anything_is_placed() {
    let mut table = Table::new(&naive());
    let orphan = ClientOrderId { session: SessionId(3), counter: 12 };
    let commands = table.control(Control::Orphan { instrument: ID, client_id: orphan });
    assert_eq!(canceled(&commands), [orphan], "an orphan goes even before the first book");
    assert!(!table.pipeline.is_quiet());
    assert!(placed(&table.book(9_999, 10_001)).is_empty());
    let commands = table.exec(orphan, ExecKind::Canceled { cum_qty: Qty::ZERO });
    assert_eq!(placed(&commands).len(), 2);
}

#[test]
fn a_fill_below_the_least_quantity_moves_the_position_only() {
    let (mut table, bid, _) = Table::quoting(&naive());
    assert!(table.exec(bid.client_id, fill(&bid, 1, 1, 1)).is_empty());
    assert_eq!(table.snapshot().position, Qty::from_lots(1));
}

/// Reports of one bid of 1000 lots, and how it ends.
fn stories() -> Vec<Vec<ExecKind>> {
    let order = sample_bid();
    let status = |status, cum| ExecKind::Status { status, cum_qty: Qty::from_lots(cum), order_qty: Qty::ZERO };
    vec![
        vec![ExecKind::Accepted, fill(&order, 1, 300, 300), fill(&order, 2, 700, 1000)],
        vec![
            ExecKind::Accepted,
            fill(&order, 1, 300, 300),
            ExecKind::CancelRejected(RejectReason::UnknownOrder),
            fill(&order, 2, 700, 1000),
            fill(&order, 2, 700, 1000),
            ExecKind::CancelUnknown,
        ],
        vec![
            ExecKind::Accepted,
            ExecKind::PlaceUnknown,
            fill(&order, 1, 300, 300),
            ExecKind::Canceled { cum_qty: Qty::from_lots(300) },
            ExecKind::Accepted,
        ],
        vec![ExecKind::PlaceUnknown, status(OrderStatus::Canceled, 200), fill(&order, 1, 200, 200), ExecKind::Accepted],
        vec![ExecKind::Accepted, ExecKind::Expired { cum_qty: Qty::ZERO }, ExecKind::Accepted],
        vec![ExecKind::PlaceUnknown, ExecKind::Rejected(RejectReason::Filter), ExecKind::PlaceUnknown],
        // Refused and yet filled has been seen: the fills decide.
        vec![ExecKind::Rejected(RejectReason::Other), fill(&order, 1, 400, 400), fill(&order, 2, 600, 1000)],
        // Reduced to 400 and filled: the least total that was told holds.
        vec![
            ExecKind::Accepted,
            ExecKind::Amended { qty: Qty::from_lots(400) },
            fill(&order, 1, 300, 300),
            ExecKind::AmendRejected(RejectReason::Other),
            fill(&touchline::types::NewOrder { qty: Qty::from_lots(400), ..order }, 2, 100, 400),
        ],
    ]
}

fn sample_bid() -> touchline::types::NewOrder {
    let mut table = Table::new(&naive());
    placed(&table.book(9_999, 10_001))[0]
}

/// What matters at the end: the position, orders in doubt, and the order itself.
fn end_of(reports: &[ExecKind]) -> (i64, u32, String) {
    use touchline::pipeline::orders::Order;
    let bid = sample_bid();
    let mut order = Order::sent(bid.client_id, bid.side, bid.price, bid.qty, time(0));
    order.cancel_sent(time(1));
    let mut table = Table::new(&naive());
    let first = placed(&table.book(9_999, 10_001))[0];
    assert_eq!(first, bid);
    for kind in reports {
        order.apply(time(2), &report(2, bid.client_id, *kind));
        table.exec(bid.client_id, *kind);
    }
    let snapshot = table.snapshot();
    let facts = format!("{:?} {:?} {:?}", order.state(), order.executed, order.remaining());
    (snapshot.position.lots(), snapshot.unknown_orders, facts)
}

fn permutations(items: &[ExecKind]) -> Vec<Vec<ExecKind>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for index in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(index);
        all.extend(permutations(&rest).into_iter().map(|tail| [vec![first], tail].concat()));
    }
    all
}

#[test]
fn every_order_of_the_same_reports_ends_the_same() {
    for story in stories() {
        let want = end_of(&story);
        let all = permutations(&story);
        for permuted in &all {
            assert_eq!(end_of(permuted), want, "{permuted:?}");
        }
    }
    let filled = end_of(&stories()[0]);
    assert_eq!(filled.0, 1000);
    assert!(filled.2.starts_with("Filled"), "{filled:?}");
    assert!(end_of(&stories()[5]).2.starts_with("Rejected"));
}

proptest! {
    /// Any mix of a story's reports, each at least once, some again, in any order.
    #[test]
    fn duplicates_change_nothing(story in 0_usize..8, again in prop::collection::vec(any::<prop::sample::Index>(), 0..6), seed in any::<u64>()) {
        let story = &stories()[story];
        let mut reports = story.clone();
        reports.extend(again.iter().map(|index| *index.get(story)));
        // Fisher-Yates from a seed, so that a failure can be repeated.
        let mut state = seed | 1;
        for index in (1..reports.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            reports.swap(index, (state >> 33) as usize % (index + 1));
        }
        prop_assert_eq!(end_of(&reports), end_of(story), "{:?}", reports);
    }
}
