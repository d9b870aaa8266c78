//! What the front does wrong on purpose: where the plan's faults meet messages, sockets and answers.
//!
//! The decisions are [`Faults`]; this file carries out what can be carried out before a message reaches a socket, and
//! keeps what comes late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::hub::ListenerId;
use super::json::{Object, push_list};
use super::operation::Operation;
use super::refusal::Refusal;
use crate::sim::faults::{AnswerFate, FaultPlan, FaultSpec, Faults, Request};
use crate::sim::{AccountId, UserEvent, VenueMarketEvent};
use crate::types::{DurationNs, Instrument, TimestampNs};

/// What comes late.
#[derive(Debug)]
pub enum Late {
    /// A user-data message of an account.
    Event(AccountId, UserEvent),
    /// An answer over the WebSocket API.
    Answer(ListenerId, String),
    /// A message of a public stream.
    Market(VenueMarketEvent),
    /// The end of connections that were told of it.
    End(Vec<ListenerId>),
}

/// What comes late, until it does.
#[derive(Debug)]
struct Held {
    due: TimestampNs,
    order: u64,
    what: Late,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// The faults of a running venue.
#[derive(Debug, Default)]
pub struct Misfortune {
    /// Decides.
    pub faults: Faults,
    held: BinaryHeap<Reverse<Held>>,
    order: u64,
}

impl Misfortune {
    /// The faults of a plan, from `now` on.
    pub fn new(plan: &FaultPlan, instruments: &[Instrument], now: TimestampNs) -> Misfortune {
        Misfortune { faults: Faults::new(plan, instruments, now), ..Misfortune::default() }
    }

    /// Keeps something back.
    pub fn hold(&mut self, now: TimestampNs, late: DurationNs, what: Late) {
        self.order += 1;
        self.held.push(Reverse(Held { due: now.plus(late), order: self.order, what }));
    }

    /// The next thing whose time has come.
    pub fn release(&mut self, now: TimestampNs) -> Option<Late> {
        if self.held.peek().is_none_or(|Reverse(held)| held.due > now) {
            return None;
        }
        self.held.pop().map(|Reverse(held)| held.what)
    }

    /// Replaces the plan. What is held back already still comes.
    pub fn replace(&mut self, plan: &FaultPlan, instruments: &[Instrument], now: TimestampNs) {
        self.faults = Faults::new(plan, instruments, now);
    }

    /// When something is due by time alone.
    pub fn next_at(&self) -> Option<TimestampNs> {
        let held = self.held.peek().map(|Reverse(held)| held.due);
        [held, self.faults.next_cut_at()].into_iter().flatten().min()
    }

    /// The fate of a request. Only requests about orders have one.
    pub fn on_request(&mut self, now: TimestampNs, operation: Operation) -> AnswerFate {
        let request = match operation {
            Operation::Place | Operation::CancelReplace => Request::Place,
            Operation::Cancel | Operation::CancelAll => Request::Cancel,
            Operation::Amend => Request::Amend,
            Operation::OrderStatus | Operation::OpenOrders | Operation::AllOrders | Operation::MyTrades => {
                Request::Query
            }
            _ => return AnswerFate::USUAL,
        };
        self.faults.on_request(now, request)
    }

    /// The plan with what has come of it, as JSON.
    pub fn report(&self) -> String {
        let mut out = String::with_capacity(256);
        Object::open(&mut out)
            .plain("seed", self.faults.seed())
            .with("faults", |out| {
                push_list(out, self.faults.counts(), |out, count| {
                    Object::open(out)
                        .text("spec", &count.spec.to_string())
                        .text("kind", count.spec.kind.name())
                        .plain("chances", count.chances)
                        .plain("happened", count.happened)
                        .end();
                });
            })
            .end();
        out
    }
}

/// Reads a plan as the operator sends it: `{"faults":["gap:p=0.01"],"seed":7}`.
///
/// # Errors
/// The refusal that names what cannot be understood.
pub fn read_plan(body: &str, usual_seed: u64) -> Result<FaultPlan, Refusal> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        faults: Vec<String>,
        seed: Option<u64>,
    }
    let body: Body = serde_json::from_str(body).map_err(|error| Refusal::plan(&error.to_string()))?;
    let specs = body.faults.iter().map(|text| text.parse::<FaultSpec>());
    let specs = specs.collect::<Result<_, _>>().map_err(|error| Refusal::plan(&error))?;
    Ok(FaultPlan { specs, seed: body.seed.unwrap_or(usual_seed) })
}
