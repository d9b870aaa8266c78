//! Floor 3: other people's recordings.
//!
//! A [`Recording`] is files that continue each other, understood as one stream of feed events; a [`RecordingReader`]
//! reads it. The events go through the same decoder and the same market stage as live ones: nothing here decides what
//! a book looks like. Cold: it allocates and blocks; it must never be called from a tile.
//!
//! Each format is a dialect in a file of its own; it is recognised by content, not by name, and knows nothing of the
//! others. `format` tells which files are what, `pass` reads them side by side, `recording` infers the instruments.

mod binance_csv;
mod cryptofeed;
mod dialect;
mod error;
mod format;
mod hftbacktest;
mod infer;
mod lines;
mod lobster;
mod messages;
mod pass;
mod recording;
mod tardis;

pub use error::ImportError;
pub use format::{Format, Hints};
pub use recording::{Recorded, Recording, RecordingReader};
