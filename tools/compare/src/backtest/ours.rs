//! The quoter on our exchange.

use std::path::Path;

use touchline::sim::latency::LatencyModel;
use touchline::sim::lean::{Fill, Liquidity, Local, OwnState, Report, Session, Strategy, TapeEvent};
use touchline::sim::queue::QueueModel;
use touchline::types::{DurationNs, OrderKind, Qty, Side};

use super::tape::{LATENCY, OURS, QUOTED_LOTS, for_each_block};
use super::{Execution, Played};
use crate::machine::cpu_seconds;

/// Quotes one tick behind the touch on both sides, each time that it looks.
struct Quoter<const FOLLOWS: bool> {
    every: DurationNs,
    fills: u64,
    /// Kept for a comparison only: a long tape has many.
    kept: Option<Vec<Execution>>,
}

impl<const FOLLOWS: bool> Strategy for Quoter<FOLLOWS> {
    const FOLLOWS: bool = FOLLOWS;

    fn on_start(&mut self, local: &mut Local<'_>) {
        if !FOLLOWS {
            local.wake_at(local.now().plus(self.every));
        }
    }

    fn on_event(&mut self, event: &TapeEvent, local: &mut Local<'_>) {
        if !event.has_more() {
            requote(local);
        }
    }

    fn on_timer(&mut self, local: &mut Local<'_>) {
        requote(local);
        local.wake_at(local.now().plus(self.every));
    }

    fn on_report(&mut self, report: &Report, _local: &mut Local<'_>) {
        if let Report::Filled(Fill { at, side, price, .. }) = report {
            self.fills += 1;
            if let Some(kept) = &mut self.kept {
                kept.push(Execution { at_ns: at.nanos(), is_buy: *side == Side::Bid, tick: price.ticks() });
            }
        }
    }
}

fn requote(local: &mut Local<'_>) {
    let book = local.book();
    let (Some(bid), Some(ask)) = (book.best(Side::Bid), book.best(Side::Ask)) else { return };
    for (side, touch) in [(Side::Bid, bid), (Side::Ask, ask)] {
        let price = touch.price.improved(side, -1);
        let (mut stands, mut at) = (false, 0);
        while let Some(&order) = local.orders().get(at) {
            at += 1;
            if order.side != side || order.state == OwnState::Leaving {
                continue;
            }
            if order.price == price {
                stands = true;
            } else if order.state == OwnState::Resting {
                local.cancel(order.number);
            }
        }
        if !stands {
            local.place(side, price, Qty::from_lots(QUOTED_LOTS), OrderKind::PostOnly);
        }
    }
}

/// Plays the tape `sessions` times, one behind the other. The file is read while the time runs.
pub fn play<const FOLLOWS: bool>(
    folder: &Path,
    every: DurationNs,
    model: impl QueueModel,
    sessions: u64,
    is_kept: bool,
) -> Result<Played, String> {
    let quoter = Quoter::<FOLLOWS> { every, fills: 0, kept: is_kept.then(Vec::new) };
    let mut session = Session::new(quoter, model, Liquidity::Endless, &LatencyModel::constant(LATENCY), 1);
    let (mut events, mut first_ns, mut last_ns) = (0, None, 0);
    let before = cpu_seconds();
    for number in 0..sessions {
        // One second between sessions.
        let shift = if number == 0 { 0 } else { last_ns + 1_000_000_000 - first_ns.unwrap_or(0) };
        events += for_each_block(&folder.join(OURS), |block| {
            if shift != 0 {
                block.iter_mut().for_each(|event| *event = event.later(shift));
            }
            first_ns.get_or_insert(block[0].at().nanos());
            last_ns = block[block.len() - 1].at().nanos();
            session.play(block);
        })
        .map_err(|error| format!("the tape: {error}"))?;
    }
    session.finish();
    let seconds = cpu_seconds() - before;
    let orders = session.orders_sent();
    let quoter = session.into_strategy();
    Ok(Played { events, seconds, fills: quoter.fills, orders, kept: quoter.kept.unwrap_or_default() })
}
