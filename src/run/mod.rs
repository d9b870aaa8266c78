//! Floor 5: one file a verb of the command line.
//!
//! Every verb is a function `run(args) -> Result<(), Failure>` in a file of its own name, called by `cli` on the main
//! thread. Output for machines goes to stdout, everything else to stderr.

pub mod archiving;
pub mod backtest;
pub mod bench;
pub mod convert;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod exchange;
pub mod failure;
pub mod finish;
pub mod flow;
pub mod import;
pub mod inspect;
pub mod latency;
pub mod live;
pub mod model;
pub mod not_built;
pub mod orders_csv;
pub mod output;
pub mod record;
pub mod replay;
pub mod report;
pub mod sources;
pub mod train;
pub mod validate;
pub mod venue;
pub mod virtual_session;
pub mod warm;

pub use failure::{Failure, exit};

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// Notes that the program starts now; `cli` says so first of all.
pub fn note_start() {
    START.get_or_init(Instant::now);
}

/// Time since the program's start.
pub fn since_start() -> Duration {
    START.get_or_init(Instant::now).elapsed()
}
