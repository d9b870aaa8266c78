//! A backtest's exchange for millions of events a second: one book of recorded levels, our orders, and nothing else.
//!
//! [`Venue`](crate::sim::Venue) is the exchange with accounts, filters and a matching core, in which every recorded level
//! rests as orders. Here a level is a number: a tape of [`TapeEvent`]s changes the one [`ArenaBook`](crate::book::ArenaBook),
//! and only what touches our orders costs more than that. A [`Strategy`] sees the book as late as the latency model says,
//! its requests travel, and its fills come of the same queue models, with the same causes.
//!
//! Trades do not change the recorded levels, depth does: the tape's next change of a level says what is there. Pure, as
//! all of `sim`: who reads a tape hands it over block by block, so its length costs no memory.

mod event;
mod exchange;
mod local;
mod packer;
mod session;
#[cfg(test)]
mod session_tests;
mod view;

pub use event::TapeEvent;
pub use exchange::{Answer, Fill, Liquidity, OrderNumber};
pub use local::{Local, OwnOrder, OwnState, Report};
pub use packer::Packer;
pub use session::{Session, Strategy};
pub use view::View;
