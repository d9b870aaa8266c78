//! Floor 1: the arena L2 book.
//!
//! One [`ArenaBook`] holds the levels of one instrument. The market stage owns it and alone writes to it, on the book
//! tile's thread. It knows nothing of update ids or of whether it may be trusted: `pipeline::sync` does.

mod arena;
mod bitmap;
mod far;
mod ladder;

pub use arena::{ArenaBook, Levels};
