//! Our side: what we know of the book and of our own orders, and what we ask for.

use super::exchange::{Answer, Fill, OrderNumber, Request};
use super::view::View;
use crate::sim::InFlight;
use crate::sim::latency::{Travel, Way};
use crate::types::{OrderKind, Price, Qty, Side, TimestampNs};

/// What the exchange tells us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A request was answered.
    Answered(OrderNumber, Answer),
    /// An order traded.
    Filled(Fill),
}

/// How far an order of ours is, as we know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnState {
    /// On its way, or its answer is.
    Sent,
    /// At rest.
    Resting,
    /// We have asked for its end.
    Leaving,
}

/// An order of ours that has not ended, as we know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnOrder {
    /// Its number.
    pub number: OrderNumber,
    /// Buy or sell.
    pub side: Side,
    /// Its limit.
    pub price: Price,
    /// What is left of it.
    pub left: Qty,
    /// How far it is.
    pub state: OwnState,
}

/// Later than anything.
pub(super) const NEVER: TimestampNs = TimestampNs::from_nanos(u64::MAX);

/// What travels, and what we know of our orders.
#[derive(Debug)]
pub(super) struct Wire {
    pub travel: Travel,
    to_exchange: InFlight<Request>,
    to_us: InFlight<Report>,
    own: Vec<OwnOrder>,
    pub sent: u64,
    /// When the strategy wants to be woken.
    timer: TimestampNs,
    /// When the first of them is due: a request, a report or the timer.
    due: TimestampNs,
}

/// Something that is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Request(Request),
    Report(Report),
    Timer,
}

impl Wire {
    pub(super) fn new(travel: Travel) -> Wire {
        let (to_exchange, to_us) = (InFlight::default(), InFlight::default());
        Wire { travel, to_exchange, to_us, own: Vec::new(), sent: 0, timer: NEVER, due: NEVER }
    }

    /// When the next thing is due.
    #[inline]
    pub(super) fn due(&self) -> TimestampNs {
        self.due
    }

    /// Takes what is due by `now`: requests first, then reports, the timer last, and only if it `may_wake`.
    pub(super) fn take(&mut self, now: TimestampNs, may_wake: bool) -> Option<Due> {
        let taken = if let Some((_, request)) = self.to_exchange.arrived(now) {
            Due::Request(request)
        } else if let Some((_, report)) = self.to_us.arrived(now) {
            Due::Report(report)
        } else if may_wake && self.timer <= now {
            self.timer = NEVER;
            Due::Timer
        } else {
            return None;
        };
        self.look();
        Some(taken)
    }

    /// Finds what is due first.
    fn look(&mut self) {
        let request = self.to_exchange.next_at().unwrap_or(NEVER);
        let report = self.to_us.next_at().unwrap_or(NEVER);
        self.due = request.min(report).min(self.timer);
    }

    /// Sends a request to the exchange.
    fn ask(&mut self, way: Way, now: TimestampNs, request: Request) {
        let at = self.travel.arrival(way, now);
        self.due = self.due.min(at);
        self.to_exchange.send(at, request);
    }

    /// Sends a report to us.
    pub(super) fn tell(&mut self, way: Way, now: TimestampNs, report: Report) {
        let at = self.travel.arrival(way, now);
        self.due = self.due.min(at);
        self.to_us.send(at, report);
    }

    /// Lets no timer go off any more.
    pub(super) fn stop_timer(&mut self) {
        self.timer = NEVER;
        self.look();
    }

    /// Takes note of what a report says of our orders.
    pub(super) fn note(&mut self, report: &Report) {
        let (number, left) = match report {
            Report::Answered(number, answer) => {
                let left = match answer {
                    Answer::Resting => None,
                    Answer::Done | Answer::Cancelled => Some(Qty::ZERO),
                    // A cancel that came too late: the fill that was before it is told by itself.
                    Answer::Unknown => return,
                };
                (*number, left)
            }
            Report::Filled(fill) => (fill.number, Some(fill.left)),
        };
        let Some(at) = self.own.iter().position(|order| order.number == number) else { return };
        match left {
            Some(Qty::ZERO) => {
                self.own.remove(at);
            }
            Some(left) => self.own[at].left = left,
            None if self.own[at].state == OwnState::Sent => self.own[at].state = OwnState::Resting,
            None => {}
        }
    }
}

/// Where a strategy stands at one moment.
#[derive(Debug)]
pub struct Local<'a> {
    pub(super) now: TimestampNs,
    pub(super) book: View<'a>,
    pub(super) wire: &'a mut Wire,
}

impl<'a> Local<'a> {
    /// Our time.
    pub fn now(&self) -> TimestampNs {
        self.now
    }

    /// The book as far as we have heard of it.
    pub fn book(&self) -> View<'a> {
        self.book
    }

    /// Our orders that have not ended as far as we know, oldest first.
    pub fn orders(&self) -> &[OwnOrder] {
        &self.wire.own
    }

    /// Sends an order.
    pub fn place(&mut self, side: Side, price: Price, qty: Qty, kind: OrderKind) -> OrderNumber {
        self.wire.sent += 1;
        let number = OrderNumber(self.wire.sent);
        self.wire.own.push(OwnOrder { number, side, price, left: qty, state: OwnState::Sent });
        self.wire.ask(Way::Order, self.now, Request::Place { number, side, price, qty, kind });
        number
    }

    /// Asks for an order's end. Nothing is sent for one that has ended or whose end was asked for.
    pub fn cancel(&mut self, number: OrderNumber) {
        let Some(order) = self.wire.own.iter_mut().find(|order| order.number == number) else { return };
        if order.state != OwnState::Leaving {
            order.state = OwnState::Leaving;
            self.wire.ask(Way::Cancel, self.now, Request::Cancel(number));
        }
    }

    /// Sets the time at which the strategy is woken next, in the place of the one before.
    pub fn wake_at(&mut self, at: TimestampNs) {
        self.wire.timer = at;
        self.wire.look();
    }
}
