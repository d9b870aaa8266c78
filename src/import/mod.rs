//! Floor 3: other people's recordings.
//!
//! A [`Recording`] is files that continue each other, understood as one stream of feed events; a [`RecordingReader`]
//! reads it. The events go through the same decoder and the same market stage as live ones: nothing here decides what
//! a book looks like. Cold: it allocates and blocks; it must never be called from a tile.
//!
//! One format is known so far: hftbacktest's raw lines (`hftbacktest.rs`). It is recognised by content, not by name.

mod error;
mod hftbacktest;
mod infer;
mod lines;
mod recording;

pub use error::ImportError;
pub use recording::{Recorded, Recording, RecordingReader};
