//! From what a lane knows to what it asks for.
//!
//! The order of a decision: may we quote at all, what does the model want, what do filters and limits leave of it,
//! which commands bring the market there. Cancels come first, queries before everything.

use super::config::ReferenceKind;
use super::estimators::Surroundings;
use super::explain::{Explanation, Modelled};
use super::features::BookFeatures;
use super::lane::{InLots, Lane, Sizes};
use super::orders::{CANCEL_RETRY, Order, OrderState, SidePlan, Target, may_cancel, plan_side};
use super::quoter::{Bounds, Frame, QuoteInputs, WantedQuote, bound};
use super::risk::Desk;
use super::snapshot::TradingState;
use crate::types::{
    Action, Actions, BookState, ClientOrderId, Command, DurationNs, HalfTicks, Level, Moment, Money, NewOrder,
    OrderKind, Price, Qty, QuoteDecision, QuoteSide, Side, SideReason, TimestampNs,
};

/// Wait before commands are given that found no room in the last answer, and least distance of any deadline.
const SOON: DurationNs = DurationNs::from_millis(1);

/// What our orders may add to each side.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// By the position limit, all orders of the side together.
    position: [Qty; 2],
    /// By balance, all orders of the side together; bids in 1e-8 quote.
    base: Option<Qty>,
    quote_e8: Option<i64>,
}

impl Lane {
    /// Decides anew. `elsewhere_e8` is what the other instruments' orders lock of our base and quote asset.
    pub(super) fn decide(&mut self, now: TimestampNs, desk: &mut Desk, elsewhere_e8: [i64; 2], actions: &mut Actions) {
        actions.mark(Moment::Featured);
        self.has_unsent = false;
        self.count_lots();
        self.advance_estimators(now);
        if let Some(explanation) = &mut self.explanation {
            **explanation = Explanation::begin(now, self.orders.iter());
        }
        self.attend(now, desk, actions);
        let pulled = self.pull_reason(now, desk);
        let room = self.room(desk, elsewhere_e8);
        let sides = match pulled {
            Some(reason) => [none(reason); 2],
            None => self.targets(now, desk, &room),
        };
        actions.mark(Moment::Quoted);
        self.count_pull(now, pulled);
        if let Some(explanation) = &mut self.explanation {
            (explanation.pulled, explanation.targets) = (pulled, sides);
        }
        self.announce(sides, actions);
        if desk.sends {
            if pulled.is_some() {
                self.cancel_all(now, actions);
            } else {
                self.reconcile(now, desk, sides, &room, actions);
            }
        }
        actions.mark(Moment::Checked);
        self.decided = Some(now);
    }

    /// Hands on what the estimators need, at most once a second.
    fn advance_estimators(&mut self, now: TimestampNs) {
        if !self.estimators.wants_advance(now) {
            return;
        }
        let position_max = |sizes: Sizes| self.instrument.atoms(sizes.position_max).get().max(1) as f64 / 1e8;
        let around = Surroundings {
            mid: self.mid(),
            sigma_ticks: self.features.sigma_ticks(),
            position_base: self.ledger.atoms().get() as f64 / 1e8,
            position_max_base: self.sizes.map(position_max),
            equity: self.ledger.equity().to_f64(),
            tick: self.instrument.tick_f64(),
        };
        self.estimators.advance(now, &around);
    }

    /// Turns silence into doubt, and asks about doubtful orders and missing fills.
    fn attend(&mut self, now: TimestampNs, desk: &Desk, actions: &mut Actions) {
        if !desk.sends {
            return;
        }
        let mut newly_unknown = 0;
        for order in self.orders.iter_mut() {
            if order.expire(now, &self.rules) {
                newly_unknown += 1;
            }
            if order.query_due(now, &self.rules) {
                let query = Command::Query { instrument: self.instrument.id, client_id: order.client_id };
                if actions.push(Action::Command(query)) {
                    order.query_sent(now);
                    self.counters.queries += 1;
                } else {
                    self.has_unsent = true;
                }
            }
            if order.fills_due_at(&self.rules).is_some_and(|at| now >= at)
                && let Some(venue_id) = order.venue_id
            {
                let (instrument, client_id) = (self.instrument.id, order.client_id);
                if actions.push(Action::Command(Command::Fills { instrument, client_id, venue_id })) {
                    order.fills_asked(now);
                    self.counters.queries += 1;
                } else {
                    self.has_unsent = true;
                }
            }
        }
        self.counters.unknowns += newly_unknown;
    }

    /// Why nothing may rest at all, if so.
    fn pull_reason(&self, now: TimestampNs, desk: &Desk) -> Option<SideReason> {
        if !desk.may_quote() {
            return Some(SideReason::State);
        }
        let quotable = self.view.state == BookState::Live && self.mid().is_some() && !self.is_stale(now);
        (!quotable).then_some(SideReason::Book)
    }

    fn count_pull(&mut self, now: TimestampNs, pulled: Option<SideReason>) {
        let by_book = pulled == Some(SideReason::Book);
        if by_book && !self.was_pulled {
            if self.view.state == BookState::Live && self.is_stale(now) {
                self.counters.stale_pulls += 1;
            } else {
                self.counters.book_pulls += 1;
            }
        }
        self.was_pulled = by_book;
    }

    /// Sizes in lots, fixed at the first quotable mid.
    fn sizes(&mut self, mid: HalfTicks) -> Sizes {
        if let Some(sizes) = self.sizes {
            return sizes;
        }
        let instrument = &self.instrument;
        let one_lot = instrument.value(mid, instrument.atoms(Qty::from_lots(1))).attos().max(1);
        let worth = |value: Money| Qty::from_lots(i64::try_from(value.attos() / one_lot).unwrap_or(i64::MAX));
        let lots = |e8: i64| Qty::from_lots(e8 / instrument.spec.lot_e8);
        let (quoter, risk) = (&self.config.quoter, &self.config.risk);
        let sizes = Sizes {
            order: quoter.order_qty.map_or_else(|| worth(quoter.order_value.money()), |amount| lots(amount.e8())),
            position_max: risk
                .position_max
                .map_or_else(|| worth(risk.position_value_max.money()), |amount| lots(amount.e8())),
        };
        self.sizes = Some(sizes);
        sizes
    }

    fn room(&self, desk: &Desk, elsewhere_e8: [i64; 2]) -> Room {
        let ours = |index: usize, elsewhere: i64| {
            desk.balances.ours_e8(index).map(|ours| ours.saturating_sub(elsewhere).max(0))
        };
        Room {
            position: self.in_lots.room,
            base: ours(self.base_index, elsewhere_e8[0]).map(|e8| self.whole_lots(e8)),
            quote_e8: ours(self.quote_index, elsewhere_e8[1]),
        }
    }

    /// Brings what is counted in whole lots up to the position and its limit.
    fn count_lots(&mut self) {
        let (atoms, limit) = (self.ledger.atoms().get(), self.sizes.map_or(Qty::ZERO, |sizes| sizes.position_max));
        if (self.in_lots.atoms, self.in_lots.limit) != (atoms, limit) {
            let limit_e8 = limit.lots().saturating_mul(self.instrument.spec.lot_e8);
            let room = |side: Side| self.whole_lots(limit_e8.saturating_sub(side.sign().saturating_mul(atoms)));
            self.in_lots = InLots { atoms, limit, position: self.position(), room: Side::pair(room) };
        }
    }

    /// Rounded down, so that parts of a lot that commissions have taken never carry the position over its limit.
    fn whole_lots(&self, e8: i64) -> Qty {
        Qty::from_lots(e8.div_euclid(self.instrument.spec.lot_e8).max(0))
    }

    /// As much of `most` as all orders of a side may be at a price, by balance.
    fn by_balance(&self, side: Side, price: Price, most: Qty, room: &Room) -> Qty {
        match (side, room.base, room.quote_e8) {
            (Side::Ask, Some(base), _) => base.min(most),
            (Side::Bid, _, Some(e8)) => self.instrument.affordable(price, most, Money::from_e8(e8)),
            (Side::Ask, None, _) | (Side::Bid, _, None) => most,
        }
    }

    /// Sizes, and what our orders may add; `None` while the book may not be quoted from.
    fn allowed(&mut self, room: &Room) -> Option<(Sizes, Room)> {
        let mid = self.features.book()?.mid;
        let knew_sizes = self.sizes.is_some();
        let sizes = self.sizes(mid);
        // The limit has become known just now: room was made without it.
        Some((sizes, if knew_sizes { *room } else { Room { position: [sizes.position_max; 2], ..*room } }))
    }

    /// What a model may know now.
    fn quote_inputs(
        &self,
        now: TimestampNs,
        book: BookFeatures,
        best: [Level; 2],
        sizes: Sizes,
        room: &Room,
    ) -> QuoteInputs {
        let reference_ticks = match self.config.quoter.reference {
            // From the touch there are two references; what is between them stands for both.
            ReferenceKind::Mid | ReferenceKind::Touch => book.mid.ticks_f64(),
            ReferenceKind::WeightedMid => book.weighted_mid_ticks.unwrap_or(book.mid.ticks_f64()),
            // Before its first fit the microprice is the mid, as in any state that was seen too rarely.
            ReferenceKind::Micro => book.micro_ticks.unwrap_or(book.mid.ticks_f64()),
        };
        QuoteInputs {
            now,
            best_bid: best[0],
            best_ask: best[1],
            reference_ticks,
            book,
            ofi: self.features.ofi(),
            others: self.others,
            tape: self.features.tape(),
            working: Side::pair(|side| self.places[side.index()].ahead()),
            position: self.in_lots.position,
            room: room.position,
            position_base: self.ledger.atoms().get() as f64 / 1e8,
            position_max_base: self.instrument.atoms(sizes.position_max).get().max(1) as f64 / 1e8,
            order_qty: sizes.order,
            sigma_ticks: self.features.sigma_ticks(),
            toxicity: self.features.toxicity(),
            estimates: self.estimators.estimates(),
            tick: self.instrument.tick_f64(),
            lot: self.instrument.spec.lot_e8 as f64 / 1e8,
        }
    }

    /// What the model wants, within filters and limits.
    fn targets(&mut self, now: TimestampNs, desk: &Desk, room: &Room) -> [QuoteSide; 2] {
        let (Some(bid), Some(ask)) = (self.others.best(Side::Bid), self.others.best(Side::Ask)) else {
            return [none(SideReason::Book); 2];
        };
        let (Some((sizes, room)), Some(&book)) = (self.allowed(room), self.features.book()) else {
            return [none(SideReason::Book); 2];
        };
        let inputs = self.quote_inputs(now, book, [bid, ask], sizes, &room);
        if self.quoter.refresh_at().is_some_and(|at| now >= at) {
            self.quoter.refresh(&inputs);
        }
        let wanted = self.quoter.quote(&inputs);
        self.explain_model(&inputs, wanted);
        let Some(wanted) = wanted else {
            return [none(SideReason::Warmup); 2];
        };
        self.half_spread_ticks = Some(wanted.half_spread_ticks);
        // Fills that have happened but are not reported yet use room that nothing can give back.
        let unreported = |side: Side| {
            let done = self.orders.iter().filter(|order| order.side == side && order.state().is_terminal());
            done.map(Order::unreported).fold(Qty::ZERO, |sum, qty| sum + qty)
        };
        let left = Side::pair(|side| (room.position[side.index()] - unreported(side)).max(Qty::ZERO));
        let bounds = Bounds {
            instrument: &self.instrument,
            best_bid: inputs.best_bid,
            best_ask: inputs.best_ask,
            position: inputs.position,
            join_only: self.config.quoter.join_only,
            room: left,
        };
        let sides = bound(&wanted, &bounds);
        if let Some(modelled) = self.explanation.as_mut().and_then(|explanation| explanation.modelled.as_mut()) {
            modelled.bounded = Some(sides);
        }
        self.counters.modelled += 1;
        self.counters.floor_bound += u64::from(wanted.floor_bound);
        self.counters.clamped += sides.iter().filter(|side| side.reason == SideReason::PostOnlyClamp).count() as u64;
        Side::pair(|side| self.limit_side(now, desk, side, sides[side.index()], inputs.book.mid, &room))
    }

    fn explain_model(&mut self, inputs: &QuoteInputs, wanted: Option<WantedQuote>) {
        if let Some(explanation) = &mut self.explanation {
            explanation.modelled = Some(Modelled {
                inputs: *inputs,
                parameters: self.quoter.parameters(),
                frame: Frame::new(&self.config.quoter, inputs),
                wanted,
                bounded: None,
            });
        }
    }

    /// What state, doubt, balance and the order limits leave of one side's target.
    fn limit_side(
        &self,
        now: TimestampNs,
        desk: &Desk,
        side: Side,
        target: QuoteSide,
        mid: HalfTicks,
        room: &Room,
    ) -> QuoteSide {
        let Some(price) = target.price else { return target };
        let mut qty = target.qty;
        if desk.state() == TradingState::Reducing {
            // A rest of the position below the venue's least order is left as it is.
            let reducing = -self.in_lots.position.signed(side);
            if reducing <= Qty::ZERO {
                return none(SideReason::State);
            }
            qty = qty.min(reducing);
        }
        let blocked = self.orders.in_doubt(side)
            || self.orders.has_open_orphan()
            || (desk.sends && !self.backoff[side.index()].allows(now));
        if blocked {
            return none(SideReason::Throttled);
        }
        let affordable = self.by_balance(side, price, qty, room);
        let short = affordable < qty;
        qty = self.limits.at_most(&self.instrument, price, affordable);
        if !self.instrument.takes(price, qty) {
            return none(if short { SideReason::Balance } else { SideReason::Filter });
        }
        match self.limits.check(&self.instrument, Some(mid), self.last_trade, price, qty, qty) {
            Ok(()) => QuoteSide { price: Some(price), qty, reason: target.reason },
            Err(reason) => none(reason),
        }
    }

    /// Tells what is wanted, when it changed.
    fn announce(&mut self, sides: [QuoteSide; 2], actions: &mut Actions) {
        let unchanged = match &self.last_quote {
            Some(last) => last.bid == sides[0] && last.ask == sides[1],
            None => sides.iter().all(|side| side.price.is_none()),
        };
        let Some(mid) = self.mid().or(self.ledger.mid()) else { return };
        if unchanged {
            return;
        }
        let quote = QuoteDecision {
            instrument: self.instrument.id,
            mid,
            position: self.in_lots.position,
            bid: sides[0],
            ask: sides[1],
        };
        if actions.push(Action::Quote(quote)) {
            self.last_quote = Some(quote);
            self.counters.quotes += 1;
        }
    }

    /// Cancels whatever rests or may rest.
    fn cancel_all(&mut self, now: TimestampNs, actions: &mut Actions) {
        for order in self.orders.iter_mut() {
            if order.is_cancellable() && may_cancel(now, order) {
                self.has_unsent |= !cancel(self.instrument.id, order, now, actions, &mut self.counters.cancels);
            }
        }
    }

    /// Brings the market to the targets with the fewest commands.
    fn reconcile(
        &mut self,
        now: TimestampNs,
        desk: &mut Desk,
        sides: [QuoteSide; 2],
        room: &Room,
        actions: &mut Actions,
    ) {
        // The limit may have become known by this very decision.
        self.count_lots();
        let mut position_room = self.in_lots.room;
        if desk.state() == TradingState::Reducing {
            // Everything open together may bring the position home, never past it.
            for side in Side::BOTH {
                let home = (-self.in_lots.position.signed(side)).max(Qty::ZERO);
                position_room[side.index()] = position_room[side.index()].min(home);
            }
        }
        let throttled = !desk.rate.allows(now);
        let mut plans = [SidePlan::NOTHING; 2];
        for (side, plan) in Side::BOTH.into_iter().zip(&mut plans) {
            let side_target = sides[side.index()];
            let target =
                side_target.price.map(|price| Target { price, qty: side_target.qty, instrument: &self.instrument });
            let room = position_room[side.index()];
            plan_side(now, &self.orders, side, target, throttled, room, &self.keep, plan);
        }
        if let Some(explanation) = &mut self.explanation {
            explanation.plans = Some(plans);
        }
        let cancels = plans.iter().any(|plan| plan.cancels[0].is_some());
        for order in self.orders.iter_mut() {
            let planned = cancels && plans.iter().any(|plan| plan.cancels.contains(&Some(order.client_id)));
            let orphan = order.is_orphan && order.is_cancellable() && may_cancel(now, order);
            if planned || orphan {
                self.has_unsent |= !cancel(self.instrument.id, order, now, actions, &mut self.counters.cancels);
            }
        }
        for (client_id, qty) in plans.iter().filter_map(|plan| plan.amend) {
            self.amend(now, client_id, qty, actions);
        }
        for side in Side::BOTH {
            let (plan, target) = (&plans[side.index()], sides[side.index()]);
            if let (true, Some(price)) = (plan.place, target.price) {
                self.place(
                    now,
                    desk,
                    side,
                    price,
                    target.qty,
                    plan.leaving,
                    position_room[side.index()],
                    room,
                    actions,
                );
            }
        }
    }

    /// Asks for an order to be reduced in its place.
    fn amend(&mut self, now: TimestampNs, client_id: ClientOrderId, qty: Qty, actions: &mut Actions) {
        let instrument = self.instrument.id;
        let Some(order) = self.orders.get_mut(client_id) else { return };
        let command = Command::Amend { instrument, client_id, venue_id: order.venue_id, qty };
        if actions.push(Action::Command(command)) {
            order.amend_sent(now, qty);
            self.counters.amends += 1;
        } else {
            self.has_unsent = true;
        }
    }

    /// Places an order if everything that may still fill leaves room for it.
    #[allow(clippy::too_many_arguments)]
    fn place(
        &mut self,
        now: TimestampNs,
        desk: &mut Desk,
        side: Side,
        price: Price,
        wanted: Qty,
        leaving: bool,
        position_room: Qty,
        room: &Room,
        actions: &mut Actions,
    ) {
        // Our own order on the other side may still stand in the way until its cancel is confirmed.
        let other_side = side.opposite();
        let crosses_own =
            self.orders.best_price(other_side).is_some_and(|other| price.ticks_above(other) * side.sign() >= 0);
        let open = self.orders.exposure(side);
        let net = self.by_balance(side, price, position_room, room) - open;
        let qty = wanted.min(net);
        // What is being cancelled gives its room back within a round trip: a smaller order now would only be replaced.
        let waits = leaving && net < wanted;
        if crosses_own || waits || !self.instrument.takes(price, qty) || !desk.rate.allows(now) {
            return;
        }
        if self.limits.check(&self.instrument, self.mid(), self.last_trade, price, qty, net).is_err()
            || actions.room() == 0
        {
            return;
        }
        let client_id: ClientOrderId = desk.next_id();
        let order = NewOrder { instrument: self.instrument.id, client_id, side, price, qty, kind: OrderKind::PostOnly };
        if self.orders.insert(Order::sent(client_id, side, price, qty, now)) {
            // There is room: it was looked at above.
            let _ = actions.push(Action::Command(Command::Place(order)));
            desk.rate.record(now);
            self.counters.placed += 1;
        }
    }

    /// Brings up to date when the lane wakes by itself. No order waits for it: it is done when somebody asks, and before
    /// the next event.
    pub(super) fn settle(&mut self, desk: &Desk) {
        if self.decided.is_some() {
            self.wake_at = self.wake(desk);
            self.decided = None;
        }
    }

    /// When the lane wakes by itself.
    pub(super) fn wake(&self, desk: &Desk) -> Option<TimestampNs> {
        self.decided.map_or(self.wake_at, |now| self.next_wake(now, desk))
    }

    /// When something changes by time alone.
    fn next_wake(&self, now: TimestampNs, desk: &Desk) -> Option<TimestampNs> {
        let mut wake: Option<TimestampNs> = None;
        let mut at = |time: TimestampNs| {
            if time > now {
                wake = Some(wake.map_or(time, |first| first.min(time)));
            }
        };
        if self.view.state == BookState::Live {
            at(self.fresh_at.plus(DurationNs::from_nanos(self.stale_ns())));
        }
        if let Some(refresh_at) = self.quoter.refresh_at() {
            at(refresh_at);
        }
        if self.ledger.atoms().get() != 0 {
            at(self.hedge_at());
        }
        if self.has_unsent {
            at(now.plus(SOON));
        }
        if let Some(due) = self.estimators.next_due() {
            at(due);
        }
        if let Some(due) = self.features.due_at() {
            // What is due is done by the timer alone, so a deadline that another event has met comes again at once.
            at(due.max(now.plus(DurationNs::from_nanos(1))));
        }
        if desk.sends {
            for order in self.orders.iter() {
                for due in [order.due_at(&self.rules), order.fills_due_at(&self.rules)].into_iter().flatten() {
                    at(due.max(now.plus(SOON)));
                }
                if (order.state().rests() || matches!(order.state(), OrderState::PendingNew | OrderState::Unknown))
                    && let Some(retry) = order.cancel_retry_at(CANCEL_RETRY.nanos())
                {
                    at(retry);
                }
                if order.state().rests() {
                    if let Some(retry) = order.amend_retry_at(CANCEL_RETRY.nanos()) {
                        at(retry);
                    }
                    at(order.sent_at.plus(DurationNs::from_nanos(self.keep.age_ns.saturating_add(1))));
                }
            }
            at(desk.rate.free_at());
            for side in &self.backoff {
                at(side.until());
            }
        }
        wake
    }
}

fn none(reason: SideReason) -> QuoteSide {
    QuoteSide { price: None, qty: Qty::ZERO, reason }
}

/// Asks for a cancel and remembers it. Returns whether there was room.
fn cancel(
    instrument: crate::types::InstrumentId,
    order: &mut Order,
    now: TimestampNs,
    actions: &mut Actions,
    cancels: &mut u64,
) -> bool {
    let command = Command::Cancel { instrument, client_id: order.client_id, venue_id: order.venue_id };
    let taken = actions.push(Action::Command(command));
    if taken {
        order.cancel_sent(now);
        *cancels += 1;
    }
    taken
}
