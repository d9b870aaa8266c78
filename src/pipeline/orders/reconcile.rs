//! From targets and working orders to the fewest commands.
//!
//! Owns [`plan_side`], a pure function of one side. An order that is good enough stays, for its place in the queue; an
//! order that is not is cancelled, and its replacement may go out behind the cancel at once, since the cancelled
//! order counts as open until its end is confirmed.

use super::{CANCEL_RETRY, Order, OrderState, OrderTable};
use crate::pipeline::config::{QuoterConfig, RequoteKind};
use crate::types::{ClientOrderId, Price, Qty, Side, TimestampNs};

/// When a working order is good enough.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Distance in ticks at which an order is replaced at once.
    pub ticks: i64,
    /// Age at which an order is replaced for a single tick.
    pub age_ns: u64,
    /// Share of the wanted size by which the rest may differ.
    pub size_tolerance: f64,
}

impl Keep {
    /// As configured: `always` is a hysteresis of one tick.
    pub fn new(config: &QuoterConfig) -> Keep {
        Keep {
            ticks: match config.requote {
                RequoteKind::Always => 1,
                RequoteKind::Hysteresis => config.requote_ticks,
            },
            age_ns: config.requote_age_ms.saturating_mul(1_000_000),
            size_tolerance: config.size_tolerance,
        }
    }

    /// Whether an order may stand for its target. What remains after partial fills is left in its place while it is
    /// large enough; below that it is replaced as a whole.
    pub fn holds(&self, now: TimestampNs, order: &Order, price: Price, qty: Qty) -> bool {
        let away = order.price.ticks_above(price).abs();
        let near = away == 0 || away < self.ticks && now.since(order.sent_at).nanos() <= self.age_ns;
        let wanted = qty.lots() as f64;
        let off = (order.remaining().lots() as f64 - wanted).abs();
        near && off <= self.size_tolerance * wanted
    }
}

/// What one side may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidePlan {
    /// Orders to cancel, oldest first.
    pub cancels: [Option<ClientOrderId>; 4],
    /// Whether a new order for the target may follow.
    pub place: bool,
    /// Whether an order stands for the target.
    pub kept: bool,
    /// Whether orders that are being cancelled still count as open.
    pub leaving: bool,
}

/// Compares a side's target with its orders. `throttled` forbids placing for now: then an order that is less
/// aggressive than its target is left alone, since nothing could replace it.
///
/// `room` is what the side's orders may add to the position altogether; when they may add more, the resting one goes.
pub fn plan_side(
    now: TimestampNs,
    orders: &OrderTable,
    side: Side,
    target: Option<(Price, Qty)>,
    throttled: bool,
    room: Qty,
    keep: &Keep,
) -> SidePlan {
    let fits = orders.exposure(side) <= room;
    let mut plan = SidePlan { cancels: [None; 4], place: false, kept: false, leaving: false };
    let (mut holds, mut leaving) = (false, 0);
    for order in orders.iter().filter(|order| order.side == side && !order.is_orphan) {
        match order.state() {
            OrderState::Live => {
                let stands = fits
                    && !plan.kept
                    && target.is_some_and(|(price, qty)| {
                        let passive = order.price.ticks_above(price) * side.sign() <= 0;
                        keep.holds(now, order, price, qty) || throttled && passive
                    });
                if stands {
                    plan.kept = true;
                } else if may_cancel(now, order)
                    && let Some(slot) = plan.cancels.iter_mut().find(|slot| slot.is_none())
                {
                    *slot = Some(order.client_id);
                    leaving += 1;
                } else {
                    holds = true;
                }
            }
            // Not answered yet: a cancel could overtake the order, and a second order would double it.
            OrderState::PendingNew | OrderState::Unknown => holds = true,
            OrderState::PendingCancel | OrderState::AwaitingEnd | OrderState::CancelUnknown => leaving += 1,
            _ => {}
        }
    }
    plan.leaving = leaving > 0;
    plan.place = target.is_some() && !throttled && !plan.kept && !holds && leaving <= 1 && orders.room() > 0;
    plan
}

/// Whether a cancel may leave for it now: a refused one waits a moment before it is repeated.
pub fn may_cancel(now: TimestampNs, order: &Order) -> bool {
    order.cancel_retry_at(CANCEL_RETRY.nanos()).is_none_or(|at| now >= at)
}
