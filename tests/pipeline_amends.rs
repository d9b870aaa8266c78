//! Orders that are only too large are reduced in their place in the queue, and nothing is sent again for a remainder.

mod pipeline_support;

use pipeline_support::*;
use touchline::pipeline::{Amount, PipelineConfig};
use touchline::types::{ClientOrderId, Command, Control, ExecKind, NewOrder, OrderStatus, Qty, RejectReason, Side};

fn amended(commands: &[Command]) -> Vec<(ClientOrderId, i64)> {
    let amends = commands.iter().filter_map(|command| match command {
        Command::Amend { client_id, qty, .. } => Some((*client_id, qty.lots())),
        _ => None,
    });
    amends.collect()
}

/// Long by 400 of a bid's 1000 lots, and told to reduce: only 400 of the ask's 1000 may still fill.
fn reducing(config: &PipelineConfig) -> (Table, NewOrder, NewOrder, Vec<Command>) {
    let (mut table, bid, ask) = Table::quoting(config);
    table.exec(bid.client_id, fill(&bid, 1, 400, 400));
    let commands = table.control(Control::Reduce);
    (table, bid, ask, commands)
}

#[test]
fn an_order_that_is_only_too_large_is_amended_in_its_place() {
    let (mut table, bid, ask, commands) = reducing(&naive());
    assert_eq!(canceled(&commands), [bid.client_id]);
    assert_eq!(amended(&commands), [(ask.client_id, 400)]);
    assert!(placed(&commands).is_empty());
    table.exec(bid.client_id, ExecKind::Canceled { cum_qty: Qty::from_lots(400) });
    table.now_ms = 100;
    assert!(table.book(9_999, 10_001).is_empty(), "one amend at a time");
    assert!(table.exec(ask.client_id, ExecKind::Amended { qty: Qty::from_lots(400) }).is_empty());
    table.now_ms = 200;
    assert!(table.book(9_999, 10_001).is_empty(), "what was amended stands");
    // What is left then is all that fills.
    table.exec(ask.client_id, fill(&ask, 2, 400, 400));
    let snapshot = table.snapshot();
    assert_eq!((snapshot.position, snapshot.working_orders), (Qty::ZERO, 0));
    assert_eq!((snapshot.counters.amends, snapshot.counters.amended), (1, 1));
}

#[test]
fn a_venue_that_refuses_has_the_order_replaced() {
    let (mut table, _, ask, _) = reducing(&naive());
    let commands = table.exec(ask.client_id, ExecKind::AmendRejected(RejectReason::Other));
    assert_eq!(canceled(&commands), [ask.client_id]);
    let commands = table.exec(ask.client_id, ExecKind::Canceled { cum_qty: Qty::ZERO });
    let orders = placed(&commands);
    assert_eq!((orders[0].side, orders[0].qty), (Side::Ask, Qty::from_lots(400)));
}

#[test]
fn an_amend_that_was_not_sent_is_repeated_and_a_limit_is_heeded() {
    for reason in [RejectReason::NotSent, RejectReason::RateLimit] {
        let (mut table, _, ask, _) = reducing(&naive());
        let commands = table.exec(ask.client_id, ExecKind::AmendRejected(reason));
        assert!(amended(&commands).is_empty(), "{commands:?}");
        // Too large and not amendable at once: it goes, as before there were amends.
        assert_eq!(canceled(&commands), [ask.client_id]);
    }
}

#[test]
fn silence_about_an_amend_becomes_doubt_and_a_query_tells() {
    let (mut table, bid, ask, _) = reducing(&naive());
    table.exec(bid.client_id, ExecKind::Canceled { cum_qty: Qty::from_lots(400) });
    let mut asked = Vec::new();
    for step in 1..=12 {
        let until = step * 500;
        asked.extend(table.wait(until).into_iter().map(|(_, command)| command));
        asked.extend(table.book(9_999, 10_001));
    }
    assert_eq!(queried(&asked).first(), Some(&ask.client_id), "{asked:?}");
    assert!(amended(&asked).is_empty() && canceled(&asked).is_empty() && placed(&asked).is_empty(), "{asked:?}");
    assert_eq!(table.snapshot().unknown_orders, 1);
    // Read off the order itself: it was not amended, so it is asked for again.
    let status =
        |total| ExecKind::Status { status: OrderStatus::New, cum_qty: Qty::ZERO, order_qty: Qty::from_lots(total) };
    let again = table.exec(ask.client_id, status(1_000));
    assert_eq!(amended(&again), [(ask.client_id, 400)]);
    assert_eq!(table.snapshot().unknown_orders, 0);
    table.exec(ask.client_id, ExecKind::CancelUnknown);
    assert_eq!(table.snapshot().unknown_orders, 1);
    table.exec(ask.client_id, status(400));
    let snapshot = table.snapshot();
    assert_eq!((snapshot.unknown_orders, snapshot.working_orders), (0, 1));
    assert!(table.book(9_999, 10_001).is_empty(), "it is as it should be");
}

#[test]
fn an_amend_of_an_order_that_is_gone_waits_for_its_end() {
    let (mut table, _, ask, _) = reducing(&naive());
    let commands = table.exec(ask.client_id, ExecKind::AmendRejected(RejectReason::UnknownOrder));
    assert_eq!(queried(&commands), [ask.client_id]);
    assert!(placed(&commands).is_empty(), "until then it may have filled");
    table.exec(ask.client_id, fill(&ask, 2, 1_000, 1_000));
    assert_eq!(table.snapshot().position, Qty::from_lots(-600));
    assert_eq!(table.snapshot().unknown_orders, 0);
}

#[test]
fn the_larger_quantity_counts_until_the_amend_is_reported() {
    let (mut table, _, ask, _) = reducing(&naive());
    // The rest of the ask may still fill whole: nothing else is placed on its side, and its locked base stays locked.
    table.control(Control::Resume);
    table.now_ms = 50;
    let commands = table.book(9_999, 10_001);
    assert!(!placed(&commands).iter().any(|order| order.side == Side::Ask), "{commands:?}");
    // It filled before the amend came: the venue refuses the amend, and the fills are what counts.
    table.exec(ask.client_id, fill(&ask, 2, 700, 700));
    table.exec(ask.client_id, ExecKind::AmendRejected(RejectReason::Filter));
    assert_eq!(table.snapshot().position, Qty::from_lots(-300));
}

#[test]
fn without_amends_the_order_is_replaced() {
    let mut config = naive();
    config.orders.amend = false;
    let (_, bid, ask, commands) = reducing(&config);
    assert_eq!(canceled(&commands), [bid.client_id, ask.client_id]);
    assert!(amended(&commands).is_empty());
}

#[test]
fn a_remainder_is_kept_within_its_tolerance_and_never_sent_again() {
    let (mut table, bid, _) = Table::quoting(&naive());
    // Half of it is left: within the tolerance of 0.5.
    assert!(table.exec(bid.client_id, fill(&bid, 1, 500, 500)).is_empty());
    // One lot is left, below the venue's least quantity of two: it is cancelled, and what follows is a whole order.
    let commands = table.exec(bid.client_id, fill(&bid, 2, 499, 999));
    assert_eq!(canceled(&commands), [bid.client_id]);
    let orders = placed(&commands);
    assert!(orders.iter().all(|order| order.qty == Qty::from_lots(1_000)), "{orders:?}");
}

#[test]
fn a_remainder_is_left_alone_where_nothing_could_follow_it() {
    // The limit of one lot more than the order: the position is full up to a lot, which the venue would not take.
    let mut config = naive();
    config.risk.position_max = Some(Amount::from_e8(100_100_000));
    let (mut table, bid, _) = Table::quoting(&config);
    let commands = table.exec(bid.client_id, fill(&bid, 1, 1_000, 1_000));
    assert!(!placed(&commands).iter().any(|order| order.side == Side::Bid), "one lot is below the least quantity");
    table.now_ms = 100;
    let commands = table.book(9_999, 10_001);
    assert!(!placed(&commands).iter().any(|order| order.side == Side::Bid), "{commands:?}");
}

#[test]
fn the_same_inputs_amend_alike() {
    let digest = || reducing(&naive()).0.pipeline.digest();
    assert_eq!(digest(), digest());
    let mut other = reducing(&naive());
    other.0.exec(other.2.client_id, ExecKind::Amended { qty: Qty::from_lots(400) });
    assert_ne!(other.0.pipeline.digest(), digest());
}
