//! Floor 5: one file a verb of the command line.
//!
//! Every verb is a function `run(args) -> Result<(), Failure>` in a file of its own name, called by `cli` on the main
//! thread. Output for machines goes to stdout, everything else to stderr.

pub mod convert;
pub mod engine;
pub mod failure;
pub mod inspect;
pub mod live;
pub mod not_built;
pub mod output;
pub mod record;
pub mod replay;
pub mod sources;
pub mod virtual_session;

pub use failure::{Failure, exit};
