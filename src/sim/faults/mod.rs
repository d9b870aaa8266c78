//! Seeded misfortune: what the venue does wrong on purpose, and when.
//!
//! A [`FaultSpec`] is one line of text, a [`FaultPlan`] all of them with a seed, and [`Faults`] the one object that
//! decides. The embedded venue asks it about each message before the message goes to a socket, a session in virtual
//! time before it travels. The n-th message of a kind meets the same fate for the same seed, whatever else happens, so
//! a session over real sockets meets the faults of its seed too.

mod kind;
mod plan;
mod spec;

pub use kind::{Domain, FaultKind};
pub use plan::{AnswerFate, Cut, Ending, EventFate, FaultCount, Faults, MarketFate, Reply, Request, Road, Runs};
pub use spec::{FaultPlan, FaultSpec, Trigger};
