//! One order of ours and what is known about it.
//!
//! Owns [`Order`]. Reports may come twice, by several roads and in any order, so nothing here is a transition from one
//! state to the next: reports only ever add facts, and the state is read off the facts. Any order of the same reports
//! therefore ends in the same state (reliability.md O7). Doubt, queries and proof of absence are in
//! [`doubt`](super::doubt).

use crate::pipeline::digest::Digester;
use crate::types::{
    ClientOrderId, ExecKind, ExecReport, OrderStatus, Price, Qty, RejectReason, Side, TimestampNs, VenueOrderId,
};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OrderState {
    /// Sent, not answered.
    PendingNew = 0,
    /// Resting.
    Live = 1,
    /// A cancel is under way.
    PendingCancel = 2,
    /// The venue says that it is no longer open; how it ended has not been told yet.
    AwaitingEnd = 3,
    /// The cancel may or may not have happened.
    CancelUnknown = 4,
    /// The placement may or may not have happened.
    Unknown = 5,
    /// Done, all filled.
    Filled = 6,
    /// Done by cancel.
    Canceled = 7,
    /// Done by the venue's rules.
    Expired = 8,
    /// Never existed.
    Rejected = 9,
    /// Proven absent: the venue has said so often enough for long enough.
    Absent = 10,
    /// Resting, whole or reduced: the amend may or may not have happened.
    AmendUnknown = 11,
}

impl OrderState {
    /// Whether nothing more can happen to the order, reports of what has happened aside.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            OrderState::Filled | OrderState::Canceled | OrderState::Expired | OrderState::Rejected | OrderState::Absent
        )
    }

    /// Whether only a query can tell.
    pub fn is_in_doubt(self) -> bool {
        matches!(
            self,
            OrderState::Unknown | OrderState::CancelUnknown | OrderState::AwaitingEnd | OrderState::AmendUnknown
        )
    }

    /// Whether it rests, as far as we know, and no cancel is under way.
    pub fn rests(self) -> bool {
        matches!(self, OrderState::Live | OrderState::AmendUnknown)
    }
}

/// What is known about the cancel that was sent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CancelFacts {
    pub(super) sent_at: Option<TimestampNs>,
    /// The venue refused it for a reason that leaves the order open.
    pub(super) refused_at: Option<TimestampNs>,
    /// The venue knows no open order of that name.
    pub(super) gone_at: Option<TimestampNs>,
    pub(super) is_unknown: bool,
    /// A query since the cancel found the order open.
    pub(super) found_open: bool,
}

/// What is known about the amend that was sent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AmendFacts {
    pub(super) sent_at: Option<TimestampNs>,
    /// The whole quantity asked for.
    pub(super) qty: Qty,
    /// The venue refused it, and when. The order is as it was.
    pub(super) refused_at: Option<TimestampNs>,
    /// It never reached the venue, or came at a bad moment: it may be tried again.
    pub(super) may_repeat: bool,
    pub(super) is_unknown: bool,
    /// A query since the amend found the order unchanged.
    pub(super) found_unchanged: bool,
}

/// An order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Our name for it.
    pub client_id: ClientOrderId,
    /// The venue's number, once known.
    pub venue_id: Option<VenueOrderId>,
    /// Buy or sell; of an adopted order a guess until a fill tells.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Whole quantity wanted; zero for an adopted order whose size is not known.
    pub total: Qty,
    /// When it was sent or adopted.
    pub sent_at: TimestampNs,
    /// Adopted from an earlier session or a lost answer: to be cancelled, never kept.
    pub is_orphan: bool,
    /// Executed so far, by the highest sum that any report told.
    pub executed: Qty,
    /// Executed so far, by the fills that were counted.
    pub counted: Qty,
    /// How much of it we believe to stand in the last book view.
    pub displayed: Qty,
    pub(super) alive: bool,
    pub(super) filled: bool,
    pub(super) canceled: bool,
    pub(super) expired: bool,
    pub(super) rejected: bool,
    pub(super) absent: bool,
    pub(super) place_unknown: bool,
    pub(super) cancel: CancelFacts,
    pub(super) amend: AmendFacts,
    pub(super) doubt: super::doubt::Doubt,
    pub(super) missing: super::doubt::Missing,
    changed_event_ts: TimestampNs,
    changed_recv_ts: TimestampNs,
    /// As the facts above say: a decision asks for it many times, and facts change seldom.
    state: OrderState,
}

impl Order {
    /// An order that is being sent.
    pub fn sent(client_id: ClientOrderId, side: Side, price: Price, qty: Qty, now: TimestampNs) -> Order {
        Order {
            client_id,
            venue_id: None,
            side,
            price,
            total: qty,
            sent_at: now,
            is_orphan: false,
            executed: Qty::ZERO,
            counted: Qty::ZERO,
            displayed: Qty::ZERO,
            alive: false,
            filled: false,
            canceled: false,
            expired: false,
            rejected: false,
            absent: false,
            place_unknown: false,
            cancel: CancelFacts::default(),
            amend: AmendFacts::default(),
            doubt: super::doubt::Doubt::default(),
            missing: super::doubt::Missing::default(),
            changed_event_ts: TimestampNs::ZERO,
            changed_recv_ts: TimestampNs::ZERO,
            state: OrderState::PendingNew,
        }
    }

    /// An order that somebody found open on the venue. It rests as far as we know; its size is not known.
    pub fn orphan(client_id: ClientOrderId, now: TimestampNs) -> Order {
        let mut order = Order::sent(client_id, Side::Bid, Price::default(), Qty::ZERO, now);
        order.is_orphan = true;
        order.alive = true;
        order.conclude();
        order
    }

    /// Where it stands.
    pub fn state(&self) -> OrderState {
        debug_assert_eq!(self.state, self.read_off(), "a fact changed and no conclusion was drawn");
        self.state
    }

    /// Draws the conclusion from the facts: whoever has changed one calls this.
    pub(super) fn conclude(&mut self) {
        self.state = self.read_off();
    }

    /// Where it stands, read off the facts. What ends an order for certain wins over everything else.
    fn read_off(&self) -> OrderState {
        let all_executed = self.total > Qty::ZERO && self.executed >= self.total;
        let ends = [
            (self.filled || all_executed, OrderState::Filled),
            (self.canceled, OrderState::Canceled),
            (self.expired, OrderState::Expired),
            (self.rejected && !self.alive, OrderState::Rejected),
            (self.absent, OrderState::Absent),
        ];
        if let Some((_, state)) = ends.into_iter().find(|(holds, _)| *holds) {
            return state;
        }
        let cancel = &self.cancel;
        // Refused and yet alive: one of the two reports is wrong, and only the venue can tell which.
        let contradicted = self.rejected && !cancel.found_open;
        let cancel_under_way = cancel.sent_at.is_some() && cancel.refused_at.is_none() && !cancel.found_open;
        let rest = [
            (contradicted || !self.alive && self.place_unknown, OrderState::Unknown),
            (cancel_under_way && cancel.gone_at.is_some(), OrderState::AwaitingEnd),
            (cancel_under_way && cancel.is_unknown, OrderState::CancelUnknown),
            (cancel_under_way, OrderState::PendingCancel),
            (self.amend_under_way() && self.amend.is_unknown, OrderState::AmendUnknown),
            (self.alive, OrderState::Live),
        ];
        rest.into_iter().find(|(holds, _)| *holds).map_or(OrderState::PendingNew, |(_, state)| state)
    }

    /// Adds what a report says. Whether a fill counts towards the position is decided by its trade number, elsewhere.
    pub fn apply(&mut self, now: TimestampNs, report: &ExecReport) {
        let before = (self.state(), self.executed, self.total);
        if self.venue_id.is_none() {
            self.venue_id = report.venue_id;
        }
        match report.kind {
            ExecKind::Accepted => self.found_alive(),
            // The name is in use: an earlier attempt of ours lives, and a query finds it.
            ExecKind::Rejected(RejectReason::DuplicateId) => self.place_unknown = true,
            ExecKind::Rejected(_) => self.rejected = true,
            ExecKind::Fill(fill) => {
                self.found_alive();
                self.executed = self.executed.max(fill.cum_qty);
                self.found_total(fill.order_qty);
                if self.is_orphan {
                    self.side = fill.side;
                }
            }
            ExecKind::Canceled { cum_qty } => {
                self.canceled = true;
                self.executed = self.executed.max(cum_qty);
            }
            ExecKind::Expired { cum_qty } => {
                self.expired = true;
                self.executed = self.executed.max(cum_qty);
            }
            ExecKind::CancelRejected(RejectReason::UnknownOrder) => {
                self.cancel.gone_at.get_or_insert(now);
            }
            ExecKind::CancelRejected(_) => {
                self.cancel.refused_at.get_or_insert(now);
            }
            ExecKind::Amended { qty } => {
                self.found_alive();
                self.found_total(qty);
            }
            // No longer open: its end is on the way, or a query finds it.
            ExecKind::AmendRejected(RejectReason::UnknownOrder) => self.amend.is_unknown = true,
            ExecKind::AmendRejected(reason) => {
                self.amend.refused_at.get_or_insert(now);
                self.amend.may_repeat |=
                    matches!(reason, RejectReason::NotSent | RejectReason::RateLimit | RejectReason::Clock);
            }
            ExecKind::PlaceUnknown => self.place_unknown = true,
            // The report does not say which of the two: what is not under way does not mind.
            ExecKind::CancelUnknown => (self.cancel.is_unknown, self.amend.is_unknown) = (true, true),
            ExecKind::Status { status, cum_qty, order_qty } => self.apply_status(status, cum_qty, order_qty),
            ExecKind::NotFound | ExecKind::QueryFailed => {}
        }
        self.conclude();
        if before != (self.state(), self.executed, self.total) {
            self.changed_event_ts = self.changed_event_ts.max(report.event_ts);
            self.changed_recv_ts = self.changed_recv_ts.max(report.recv_ts);
        }
    }

    fn found_alive(&mut self) {
        self.alive = true;
        self.absent = false;
    }

    /// An order's whole quantity only ever shrinks, so the least that any report told is the newest.
    fn found_total(&mut self, qty: Qty) {
        if qty > Qty::ZERO {
            self.total = if self.total.is_zero() { qty } else { self.total.min(qty) };
        }
    }

    fn apply_status(&mut self, status: OrderStatus, cum_qty: Qty, order_qty: Qty) {
        self.executed = self.executed.max(cum_qty);
        self.found_total(order_qty);
        match status {
            OrderStatus::New | OrderStatus::PartiallyFilled => {
                self.found_alive();
                // Read after the amend had left: a quantity that is still the old one was not amended.
                if self.amend.sent_at.is_some_and(|sent_at| self.doubt.asked_since(sent_at)) {
                    self.amend.found_unchanged = true;
                }
                // Read after the cancel had left, so the cancel did not take; one that left meanwhile is asked again.
                if self.cancel.sent_at.is_none_or(|sent_at| self.doubt.asked_since(sent_at)) {
                    self.cancel.found_open = true;
                }
            }
            OrderStatus::Filled => self.filled = true,
            OrderStatus::Canceled => self.canceled = true,
            OrderStatus::Expired => self.expired = true,
            OrderStatus::Rejected => self.rejected = true,
        }
    }

    /// Remembers that a cancel is being sent: what was known of an earlier one no longer says anything.
    pub fn cancel_sent(&mut self, now: TimestampNs) {
        self.cancel = CancelFacts { sent_at: Some(now), ..CancelFacts::default() };
        self.conclude();
    }

    /// Remembers that an amend to the whole quantity `qty` is being sent.
    pub fn amend_sent(&mut self, now: TimestampNs, qty: Qty) {
        self.amend = AmendFacts { sent_at: Some(now), qty, ..AmendFacts::default() };
        self.conclude();
    }

    /// Whether an amend has been sent of which no report tells yet how it ended. Until then the larger quantity
    /// counts.
    pub fn amend_under_way(&self) -> bool {
        let amend = &self.amend;
        amend.sent_at.is_some() && amend.refused_at.is_none() && !amend.found_unchanged && self.total > amend.qty
    }

    /// Whether an amend may leave now: one at a time, a moment after one that could not be sent, and never again after
    /// the venue has refused one.
    pub fn may_amend(&self, now: TimestampNs, pause_ns: u64) -> bool {
        let refusal_is_over = match self.amend.refused_at {
            Some(at) => self.amend.may_repeat && now.since(at).nanos() >= pause_ns,
            None => true,
        };
        self.state() == OrderState::Live && !self.amend_under_way() && refusal_is_over
    }

    /// When an amend that could not be sent may be repeated.
    pub fn amend_retry_at(&self, pause_ns: u64) -> Option<TimestampNs> {
        let refused_at = self.amend.refused_at.filter(|_| self.amend.may_repeat)?;
        Some(TimestampNs::from_nanos(refused_at.nanos().saturating_add(pause_ns)))
    }

    /// What rests once the amend under way, if there is one, has taken.
    pub fn remaining_amended(&self) -> Qty {
        if self.amend_under_way() {
            self.remaining().min((self.amend.qty - self.executed).max(Qty::ZERO))
        } else {
            self.remaining()
        }
    }

    /// Whether the venue has ever shown it as existing.
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// Executed, but not yet reported fill by fill.
    pub fn unreported(&self) -> Qty {
        (self.executed - self.counted).max(Qty::ZERO)
    }

    /// What it may still add to the position, unreported fills included.
    pub fn exposure(&self) -> Qty {
        if self.state().is_terminal() { self.unreported() } else { (self.total - self.counted).max(Qty::ZERO) }
    }

    /// What still rests, by all that is known.
    pub fn remaining(&self) -> Qty {
        if self.state().is_terminal() { Qty::ZERO } else { (self.total - self.executed).max(Qty::ZERO) }
    }

    /// Whether it is done and every fill of it has been counted.
    pub fn is_settled(&self) -> bool {
        self.state().is_terminal() && self.unreported().is_zero()
    }

    /// Whether a cancel makes sense: it rests or may rest, and no cancel is under way.
    pub fn is_cancellable(&self) -> bool {
        let under_way = self.cancel.sent_at.is_some() && self.cancel.refused_at.is_none() && !self.cancel.found_open;
        !self.state().is_terminal() && !under_way
    }

    /// When a cancel that was refused may be repeated; `None` when none was.
    pub fn cancel_retry_at(&self, pause_ns: u64) -> Option<TimestampNs> {
        self.cancel.refused_at.map(|at| TimestampNs::from_nanos(at.nanos().saturating_add(pause_ns)))
    }

    /// Brings `displayed` up to a book seen by the venue at `event_ts` (zero when not told) and read at `recv_ts`. A
    /// book older than the order's last change still shows it as it was.
    pub fn refresh_displayed(&mut self, event_ts: TimestampNs, recv_ts: TimestampNs) {
        let known_times = event_ts != TimestampNs::ZERO && self.changed_event_ts != TimestampNs::ZERO;
        let seen = if known_times { self.changed_event_ts <= event_ts } else { self.changed_recv_ts <= recv_ts };
        if self.state().is_terminal() {
            if seen {
                self.displayed = Qty::ZERO;
            }
        } else if !self.alive {
            self.displayed = if recv_ts > self.sent_at { self.total } else { Qty::ZERO };
        } else if seen {
            self.displayed = self.remaining();
        }
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.u64(self.client_id.session.0);
        digester.u64(self.client_id.counter);
        digester.u64(self.venue_id.map_or(0, |id| id.0));
        digester.u64(self.state() as u64);
        digester.u64(self.side as u64);
        digester.i64(self.price.ticks());
        for qty in [self.total, self.executed, self.counted, self.displayed] {
            digester.qty(qty);
        }
        digester.time(self.sent_at);
        digester.option_time(self.cancel.sent_at);
        digester.option_time(self.cancel.refused_at);
        digester.option_time(self.cancel.gone_at);
        digester.option_time(self.amend.sent_at);
        digester.qty(self.amend.qty);
        digester.option_time(self.amend.refused_at);
        digester.flag(self.amend.may_repeat);
        digester.flag(self.amend.found_unchanged);
        self.doubt.digest(digester);
        self.missing.digest(digester);
    }
}
