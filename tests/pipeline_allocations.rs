//! Deciding allocates nothing once it is warm.
#![allow(unsafe_code, reason = "a counting allocator can only be written with unsafe")]

mod pipeline_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use pipeline_support::*;
use touchline::types::{
    Action, Actions, Command, ExecKind, Input, MarketUpdate, NewOrder, Price, Qty, Side, Trade, TradeId,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on to the system allocator unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout, as `alloc` shows.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A market that walks, trades on every step, answers every order and fills some. Returns events taken.
fn run(
    pipeline: &mut touchline::pipeline::Pipeline,
    actions: &mut Actions,
    replies: &mut Vec<(NewOrder, ExecKind)>,
    from: u64,
    to: u64,
) -> u64 {
    let mut events = 0;
    for step in from..to {
        let now_ms = step * 100;
        let now = time(now_ms);
        let mid = 10_000 + (step % 60) as i64 * if step / 60 % 2 == 0 { 1 } else { -1 };
        let mut take = |input: &Input, replies: &mut Vec<(NewOrder, ExecKind)>| {
            actions.clear();
            pipeline.on_event(now, input, actions);
            events += 1;
            for action in actions.as_slice() {
                match action {
                    Action::Command(Command::Place(order)) => replies.push((*order, ExecKind::Accepted)),
                    Action::Command(Command::Cancel { client_id, .. }) => {
                        let order = NewOrder {
                            client_id: *client_id,
                            instrument: ID,
                            side: Side::Bid,
                            price: Price::default(),
                            qty: Qty::ZERO,
                            kind: touchline::types::OrderKind::PostOnly,
                        };
                        replies.push((order, ExecKind::Canceled { cum_qty: Qty::ZERO }));
                    }
                    Action::Command(Command::Amend { client_id, qty, .. }) => {
                        let order = NewOrder {
                            client_id: *client_id,
                            instrument: ID,
                            side: Side::Bid,
                            price: Price::default(),
                            qty: *qty,
                            kind: touchline::types::OrderKind::PostOnly,
                        };
                        replies.push((order, ExecKind::Amended { qty: *qty }));
                    }
                    _ => {}
                }
            }
        };
        take(&Input::Market(MarketUpdate::Book(view(now_ms, step + 1, mid - 1, mid + 1))), replies);
        let aggressor = if step % 3 == 0 { Side::Ask } else { Side::Bid };
        let trade = Trade {
            instrument: ID,
            event_ts: now,
            recv_ts: now,
            id: TradeId(step as i64),
            price: Price::from_ticks(mid),
            qty: Qty::from_lots(3),
            aggressor,
        };
        take(&Input::Market(MarketUpdate::Trade(trade)), replies);
        take(&Input::Timer, replies);
        let mut at = 0;
        while at < replies.len() {
            let (order, kind) = replies[at];
            at += 1;
            take(&Input::Exec(report(now_ms, order.client_id, kind)), replies);
            if kind == ExecKind::Accepted && step % 20 == 0 {
                let filled = fill(&order, (step * 4 + at as u64) as i64 + 1, order.qty.lots(), order.qty.lots());
                take(&Input::Exec(report(now_ms, order.client_id, filled)), replies);
            }
        }
        replies.clear();
    }
    events
}

#[test]
fn a_warm_pipeline_decides_without_allocating() {
    use touchline::pipeline::QuoterKind;
    for kind in [QuoterKind::Hybrid, QuoterKind::As, QuoterKind::Glft, QuoterKind::Ev] {
        let mut config = naive();
        config.quoter.kind = kind;
        config.quoter.maker_fee_bps = 0.0;
        config.quoter.k_ticks = 3.0;
        let mut table = Table::new(&config);
        let mut replies = Vec::with_capacity(256);
        let mut actions = Actions::new();
        run(&mut table.pipeline, &mut actions, &mut replies, 0, 2_000);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let events = run(&mut table.pipeline, &mut actions, &mut replies, 2_000, 12_000);
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        let snapshot = table.snapshot();
        assert!(snapshot.tau.is_some() && snapshot.sigma_ticks.is_some(), "the run must have been warm");
        assert!(snapshot.counters.placed > 1_000 && snapshot.counters.fills > 100, "{kind:?} {:?}", snapshot.counters);
        assert_eq!(allocations, 0, "{kind:?}: in {events} events");
    }
}
