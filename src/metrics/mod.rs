//! Floor 1: numbers that tiles publish and that people, `/metrics` and the summary read.
//!
//! A tile writes its own cells with plain stores on its own cache lines; readers on cold threads only load. Nothing here
//! blocks a writer, and nothing here is ever an input of a decision.

mod board;
mod latency;
mod latest;
mod stamps;

pub use board::{Board, Count, Gauge, LinkCells, TileCells};
pub use latency::{Hop, LatencySummary, LatencyTable};
pub use latest::{LatestReader, LatestWriter, latest};
pub use stamps::{Stage, Stamps};
