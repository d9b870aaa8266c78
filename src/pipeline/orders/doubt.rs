//! Orders whose fate is not known: when to ask, and when "no such order" is proof.
//!
//! Owns [`Doubt`] and [`Missing`], parts of each order, and [`DoubtRules`]. A venue's "no such order" soon after a send means only
//! that the order has not reached the asked part of the venue yet; taking it for an answer is how engines place the
//! same order again and again (reliability.md O1 to O3).

use super::order::{Order, OrderState};
use crate::pipeline::config::OrdersConfig;
use crate::pipeline::digest::Digester;
use crate::types::{DurationNs, TimestampNs};

/// How doubt is resolved.
#[derive(Clone, Copy, Debug)]
pub struct DoubtRules {
    /// A request without any answer for so long is in doubt.
    pub answer: DurationNs,
    /// Least time between two queries, and between two answers that count.
    pub query: DurationNs,
    /// Answers that prove absence.
    pub not_found_answers: u32,
    /// Time after the send before which nothing proves absence.
    pub not_found: DurationNs,
}

impl DoubtRules {
    /// As configured.
    pub fn new(config: &OrdersConfig) -> DoubtRules {
        DoubtRules {
            answer: DurationNs::from_millis(config.answer_ms),
            query: DurationNs::from_millis(config.query_ms),
            not_found_answers: config.not_found_answers,
            not_found: DurationNs::from_millis(config.not_found_ms),
        }
    }
}

/// Queries about one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    asked_at: Option<TimestampNs>,
    is_waiting: bool,
    not_found: u32,
    not_found_at: Option<TimestampNs>,
}

impl Doubt {
    /// Whether the last query left after `sent_at`.
    pub(super) fn asked_since(&self, sent_at: TimestampNs) -> bool {
        self.asked_at.is_some_and(|asked_at| asked_at > sent_at)
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.option_time(self.asked_at);
        digester.flag(self.is_waiting);
        digester.u64(self.not_found.into());
        digester.option_time(self.not_found_at);
    }
}

/// Fills that have happened and were not reported: the user-data stream owes them, and may have lost them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    since: Option<TimestampNs>,
    asked_at: Option<TimestampNs>,
    is_waiting: bool,
}

impl Missing {
    pub(super) fn digest(&self, digester: &mut Digester) {
        // Almost always nothing is missing.
        if self.since.is_some() {
            digester.option_time(self.since);
            digester.option_time(self.asked_at);
            digester.flag(self.is_waiting);
        }
    }
}

impl Order {
    /// Remembers since when fills are missing, after a report; `answers` tells that it came of a question.
    pub fn note_missing(&mut self, now: TimestampNs, answers: bool) {
        if self.unreported().is_zero() {
            self.missing = Missing::default();
        } else {
            self.missing.since.get_or_insert(now);
            self.missing.is_waiting &= !answers;
        }
    }

    /// When to ask for the order's trades: a moment after more of it had executed than was reported, because the
    /// reports usually follow within milliseconds. `None` while nothing is missing or the venue's number is not known.
    pub fn fills_due_at(&self, rules: &DoubtRules) -> Option<TimestampNs> {
        let since = self.missing.since?;
        self.venue_id?;
        Some(match self.missing.asked_at {
            None => since.plus(rules.query),
            Some(at) => at.plus(if self.missing.is_waiting { rules.answer.max(rules.query) } else { rules.query }),
        })
    }

    /// Remembers that its trades are being asked for.
    pub fn fills_asked(&mut self, now: TimestampNs) {
        self.missing.asked_at = Some(now);
        self.missing.is_waiting = true;
    }

    /// Turns silence into doubt. Returns whether the order has come into doubt by it.
    pub fn expire(&mut self, now: TimestampNs, rules: &DoubtRules) -> bool {
        match self.state() {
            OrderState::PendingNew if now >= self.sent_at.plus(rules.answer) => {
                self.place_unknown = true;
            }
            OrderState::PendingCancel
                if self.cancel.sent_at.is_some_and(|sent_at| now >= sent_at.plus(rules.answer)) =>
            {
                self.cancel.is_unknown = true;
            }
            OrderState::Live if self.amend_expires_at(rules).is_some_and(|at| now >= at) => {
                self.amend.is_unknown = true;
            }
            _ => return false,
        }
        self.conclude();
        true
    }

    /// When it needs attention next: silence that becomes doubt, or a query that is due. `None` when nothing but a
    /// report can change it.
    pub fn due_at(&self, rules: &DoubtRules) -> Option<TimestampNs> {
        match self.state() {
            OrderState::PendingNew => Some(self.sent_at.plus(rules.answer)),
            OrderState::PendingCancel => Some(self.cancel.sent_at?.plus(rules.answer)),
            OrderState::Live => self.amend_expires_at(rules),
            state if state.is_in_doubt() => Some(self.query_at(state, rules)),
            _ => None,
        }
    }

    fn amend_expires_at(&self, rules: &DoubtRules) -> Option<TimestampNs> {
        self.amend.sent_at.filter(|_| self.amend_under_way()).map(|sent_at| sent_at.plus(rules.answer))
    }

    /// Whether to ask the venue now.
    pub fn query_due(&self, now: TimestampNs, rules: &DoubtRules) -> bool {
        let state = self.state();
        state.is_in_doubt() && now >= self.query_at(state, rules)
    }

    fn query_at(&self, state: OrderState, rules: &DoubtRules) -> TimestampNs {
        // The terminal event usually follows an UnknownOrder within milliseconds: asking waits for it first.
        let first = match (state, self.cancel.gone_at) {
            (OrderState::AwaitingEnd, Some(gone_at)) => gone_at.plus(rules.query),
            _ => TimestampNs::ZERO,
        };
        let Some(asked_at) = self.doubt.asked_at else { return first };
        first.max(asked_at.plus(if self.doubt.is_waiting { rules.answer.max(rules.query) } else { rules.query }))
    }

    /// Remembers that a query is being sent.
    pub fn query_sent(&mut self, now: TimestampNs) {
        self.doubt.asked_at = Some(now);
        self.doubt.is_waiting = true;
    }

    /// Takes a query's answer that told nothing.
    pub fn query_failed(&mut self) {
        self.doubt.is_waiting = false;
    }

    /// Takes a query's answer that told where the order stands.
    pub fn query_answered(&mut self) {
        self.doubt.is_waiting = false;
        self.doubt.not_found = 0;
        self.doubt.not_found_at = None;
    }

    /// Takes "no such order". It ends the order only when said often enough, far enough apart and long enough after
    /// the send, and only while the order is in doubt.
    pub fn not_found(&mut self, now: TimestampNs, rules: &DoubtRules) {
        self.doubt.is_waiting = false;
        if !self.state().is_in_doubt() {
            return;
        }
        if self.doubt.not_found_at.is_none_or(|last| now >= last.plus(rules.query)) {
            self.doubt.not_found += 1;
            self.doubt.not_found_at = Some(now);
        }
        let long_enough = now >= self.sent_at.plus(rules.not_found);
        if self.doubt.not_found >= rules.not_found_answers && long_enough {
            self.absent = true;
            self.conclude();
        }
    }
}
