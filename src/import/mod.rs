//! Floor 3: other people's recordings.
//!
//! A [`Recording`] reads files that continue each other as one stream of feed events. Nothing here decides what a book
//! looks like: the events go through the same market stage as live ones.

mod recording;

pub use recording::{ImportError, Recording};
