//! A tape, an exchange and a strategy, joined by time.
//!
//! At the exchange, what the tape says of a moment happens before requests that arrive in it. With us, reports come first,
//! then market data, then the timer. The tape alone drives: between two of its events nothing is looked at unless
//! something is due, and what is due next is one number.

use super::event::TapeEvent;
use super::exchange::{Exchange, Fill, Liquidity, Request};
use super::local::{Due, Local, NEVER, Report, Wire};
use super::view::Unseen;
use crate::sim::latency::{LatencyModel, Way};
use crate::sim::queue::QueueModel;
use crate::types::TimestampNs;

/// What decides. All of it is optional; a strategy that does nothing is never woken.
pub trait Strategy {
    /// Whether market data wakes it. One that only looks at the book from time to time says no, and costs less.
    const FOLLOWS: bool;

    /// The tape is about to begin: its first event happens now, and nothing is known yet.
    fn on_start(&mut self, _local: &mut Local<'_>) {}

    /// An event has reached us. Until the last of its time has ([`TapeEvent::has_more`]) the book is half a message.
    fn on_event(&mut self, _event: &TapeEvent, _local: &mut Local<'_>) {}

    /// A report has reached us; [`Local::orders`] knows of it already.
    fn on_report(&mut self, _report: &Report, _local: &mut Local<'_>) {}

    /// The time that was asked for has come.
    fn on_timer(&mut self, _local: &mut Local<'_>) {}
}

/// See the module.
#[derive(Debug)]
pub struct Session<S, M> {
    strategy: S,
    exchange: Exchange<M>,
    unseen: Unseen,
    wire: Wire,
    /// When the next thing is due that is not the tape's.
    due: TimestampNs,
    has_begun: bool,
    fills: Vec<Fill>,
}

impl<S: Strategy, M: QueueModel> Session<S, M> {
    /// A session before its tape begins; what is random about its latencies has `seed`.
    pub fn new(strategy: S, model: M, liquidity: Liquidity, latencies: &LatencyModel, seed: u64) -> Session<S, M> {
        Session {
            strategy,
            exchange: Exchange::new(model, liquidity),
            unseen: Unseen::new(),
            wire: Wire::new(latencies.travel(seed)),
            due: NEVER,
            has_begun: false,
            fills: Vec::new(),
        }
    }

    /// The strategy, with what it has come to.
    pub fn into_strategy(self) -> S {
        self.strategy
    }

    /// How many orders were sent.
    pub fn orders_sent(&self) -> u64 {
        self.wire.sent
    }

    /// Plays the next part of the tape, which must not go back in time.
    pub fn play(&mut self, tape: &[TapeEvent]) {
        if let (false, Some(first)) = (self.has_begun, tape.first()) {
            self.has_begun = true;
            self.decide(first.at(), |strategy, local| strategy.on_start(local));
            self.look();
        }
        for event in tape {
            let at = event.at();
            if at > self.due {
                self.catch_up(at);
            }
            let before = self.exchange.apply(event, &mut self.fills);
            let known_at = self.wire.travel.arrival(Way::Feed, at);
            self.unseen.push(at, known_at, *event, before);
            if S::FOLLOWS {
                self.due = self.due.min(known_at);
            }
            if !self.fills.is_empty() {
                self.tell_fills(at);
                self.look();
            }
        }
    }

    /// Ends the session after the tape: what is under way arrives, and no timer goes off any more.
    pub fn finish(&mut self) {
        self.wire.stop_timer();
        self.look();
        while self.due != NEVER {
            self.step();
            self.wire.stop_timer();
            self.look();
        }
    }

    /// Lets everything happen that is due before `until`.
    #[inline(never)]
    fn catch_up(&mut self, until: TimestampNs) {
        while self.due < until {
            self.step();
            self.look();
        }
    }

    /// Finds what is due next.
    #[inline]
    fn look(&mut self) {
        self.due = self.wire.due();
        if S::FOLLOWS
            && let Some(entry) = self.unseen.first()
        {
            self.due = self.due.min(entry.known_at);
        }
    }

    /// Lets the one thing happen that is due.
    fn step(&mut self) {
        let now = self.due;
        let event = self.unseen.first().filter(|entry| S::FOLLOWS && entry.known_at <= now).map(|entry| entry.event);
        let due = if self.wire.due() <= now { self.wire.take(now, event.is_none()) } else { None };
        match (due, event) {
            (Some(Due::Request(request)), _) => self.serve(now, &request),
            (Some(Due::Report(report)), _) => {
                self.wire.note(&report);
                self.decide(now, |strategy, local| strategy.on_report(&report, local));
            }
            (Some(Due::Timer), _) => self.decide(now, |strategy, local| strategy.on_timer(local)),
            (None, Some(event)) => {
                self.unseen.hear();
                let Session { strategy, exchange, unseen, wire, .. } = self;
                strategy.on_event(&event, &mut Local { now, book: unseen.view(&exchange.book), wire });
            }
            (None, None) => {}
        }
    }

    /// Lets the strategy act on what it has heard by `now`.
    fn decide(&mut self, now: TimestampNs, act: impl FnOnce(&mut S, &mut Local<'_>)) {
        let Session { strategy, exchange, unseen, wire, .. } = self;
        if !S::FOLLOWS {
            unseen.hear_until(now);
        }
        act(strategy, &mut Local { now, book: unseen.view(&exchange.book), wire });
    }

    /// A request has reached the exchange.
    fn serve(&mut self, now: TimestampNs, request: &Request) {
        let (travel, unseen) = (&mut self.wire.travel, &mut self.unseen);
        let answer = self.exchange.serve(now, request, &mut self.fills, |side, price, before, after| {
            let known_at = travel.arrival(Way::Feed, now);
            unseen.push(now, known_at, TapeEvent::level(now, side, price, after), before);
        });
        self.tell_fills(now);
        let (Request::Place { number, .. } | Request::Cancel(number)) = *request;
        self.wire.tell(Way::Ack, now, Report::Answered(number, answer));
    }

    #[inline(never)]
    fn tell_fills(&mut self, now: TimestampNs) {
        for fill in self.fills.drain(..) {
            self.wire.tell(Way::Fill, now, Report::Filled(fill));
        }
    }
}
