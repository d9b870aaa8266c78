//! From targets and working orders to the fewest commands.
//!
//! Owns [`plan_side`], a pure function of one side. An order that is good enough stays, for its place in the queue; one
//! that is only too large is amended and keeps its place; one that is not good enough is cancelled, and its replacement
//! may go out behind the cancel at once, since the cancelled order counts as open until its end is confirmed.
//!
//! The rule for remainders: what is left of an order after partial fills stays while it is within the tolerance of its
//! target, and is cancelled when it is not. It is never sent again by itself: what may follow is an order of the whole
//! target size, or nothing while the venue would not take that either.

use super::{CANCEL_RETRY, Order, OrderState, OrderTable};
use crate::pipeline::config::{OrdersConfig, QuoterConfig, QuoterKind, RequoteKind};
use crate::types::{ClientOrderId, Instrument, Price, Qty, Side, TimestampNs};

/// When a working order is good enough.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Distance in ticks at which an order is replaced at once.
    pub ticks: i64,
    /// Age at which an order is replaced for a single tick.
    pub age_ns: u64,
    /// Share of the wanted size by which the rest may differ.
    pub size_tolerance: f64,
    /// Whether an order that is only too large is amended.
    pub amends: bool,
}

impl Keep {
    /// As configured: `always` is a hysteresis of one tick, and so is a model that weighs an order's place itself.
    pub fn new(quoter: &QuoterConfig, orders: &OrdersConfig) -> Keep {
        Keep {
            ticks: match quoter.requote {
                RequoteKind::Hysteresis if quoter.kind != QuoterKind::Ev => quoter.requote_ticks,
                RequoteKind::Always | RequoteKind::Hysteresis => 1,
            },
            age_ns: quoter.requote_age_ms.saturating_mul(1_000_000),
            size_tolerance: quoter.size_tolerance,
            amends: orders.amend,
        }
    }

    /// Whether an order's price may stand for its target: it is the target, or near it and not old.
    pub fn holds_price(&self, now: TimestampNs, order: &Order, price: Price) -> bool {
        let away = order.price.ticks_above(price).abs();
        away == 0 || away < self.ticks && now.since(order.sent_at).nanos() <= self.age_ns
    }

    /// Whether a rest may stand for a wanted size.
    pub fn holds_size(&self, rest: Qty, wanted: Qty) -> bool {
        let wanted = wanted.lots() as f64;
        (rest.lots() as f64 - wanted).abs() <= self.size_tolerance * wanted
    }
}

/// What a side should have in the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Price wanted.
    pub price: Price,
    /// Size wanted.
    pub qty: Qty,
    /// Whose filters say how small an order may be.
    pub instrument: &'a Instrument,
}

/// What one side may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidePlan {
    /// Orders to cancel, oldest first.
    pub cancels: [Option<ClientOrderId>; 4],
    /// An order to reduce, and the whole quantity that it shall have.
    pub amend: Option<(ClientOrderId, Qty)>,
    /// Whether a new order for the target may follow.
    pub place: bool,
    /// Whether an order stands for the target.
    pub kept: bool,
    /// Whether orders that are being cancelled still count as open.
    pub leaving: bool,
}

impl SidePlan {
    /// Nothing to do.
    pub const NOTHING: SidePlan =
        SidePlan { cancels: [None; 4], amend: None, place: false, kept: false, leaving: false };
}

/// Compares a side's target with its orders and adds what to do to `plan`, which is [`SidePlan::NOTHING`] before: handed back
/// by value it would be copied right behind the writes that make it, which a processor is slow at. `throttled` forbids placing for now: then an order that is less
/// aggressive than its target is left alone, since nothing could replace it.
///
/// `room` is what the side's orders may add to the position altogether; when they may add more, the resting one shrinks
/// or goes.
#[allow(clippy::too_many_arguments, reason = "each is a fact that the plan depends on")]
pub fn plan_side(
    now: TimestampNs,
    orders: &OrderTable,
    side: Side,
    target: Option<Target<'_>>,
    throttled: bool,
    room: Qty,
    keep: &Keep,
    plan: &mut SidePlan,
) {
    let over = orders.exposure(side) - room;
    let (mut holds, mut leaving) = (false, 0);
    for order in orders.iter().filter(|order| order.side == side && !order.is_orphan) {
        match order.state() {
            state if state.rests() => {
                let fate = match target {
                    Some(target) if !plan.kept => fate_of(now, order, target, throttled, over, keep),
                    _ => Fate::Goes,
                };
                match fate {
                    Fate::Stays => plan.kept = true,
                    Fate::Shrinks(rest) => {
                        plan.kept = true;
                        plan.amend = Some((order.client_id, order.executed + rest));
                    }
                    Fate::Goes => {
                        if may_cancel(now, order)
                            && let Some(slot) = plan.cancels.iter_mut().find(|slot| slot.is_none())
                        {
                            *slot = Some(order.client_id);
                            leaving += 1;
                        } else {
                            holds = true;
                        }
                    }
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
}

/// What becomes of a resting order.
enum Fate {
    Stays,
    /// To that rest.
    Shrinks(Qty),
    Goes,
}

/// `over` is by how much the side's orders may exceed their room together; zero or less when they fit.
fn fate_of(now: TimestampNs, order: &Order, target: Target<'_>, throttled: bool, over: Qty, keep: &Keep) -> Fate {
    let near = keep.holds_price(now, order, target.price);
    let rest = order.remaining_amended();
    let over = over - (order.remaining() - rest);
    if over <= Qty::ZERO {
        let passive = order.price.ticks_above(target.price) * order.side.sign() <= 0;
        if near && keep.holds_size(rest, target.qty) || throttled && passive {
            return Fate::Stays;
        }
    }
    let fitting = target.qty.min(rest - over.max(Qty::ZERO));
    let shrinks = keep.amends && near && fitting < rest && target.instrument.takes(target.price, fitting);
    if !shrinks {
        Fate::Goes
    } else if order.may_amend(now, CANCEL_RETRY.nanos()) {
        Fate::Shrinks(fitting)
    } else if order.amend_under_way() || over <= Qty::ZERO && order.amend_retry_at(0).is_some() {
        // Whatever comes of it comes within a round trip; what could not be sent is sent again in a moment.
        Fate::Stays
    } else {
        Fate::Goes
    }
}

/// Whether a cancel may leave for it now: a refused one waits a moment before it is repeated.
pub fn may_cancel(now: TimestampNs, order: &Order) -> bool {
    order.cancel_retry_at(CANCEL_RETRY.nanos()).is_none_or(|at| now >= at)
}
