//! Floor 4: tiles, one file each, and the runners that step them.
//!
//! A tile owns its state and the ends of its links. [`Tile::step`] does what is there to do, never blocks (gateways and
//! other cold tiles excepted: blocking is their trade) and returns how much that was; who loops it, where, and how it
//! waits is the runner's business. So the same tiles run on threads of their own or in turn on one, and tests step them
//! by hand. Tiles hold no business logic: they move data between the modules that do.
//!
//! Ends propagate through the links: a tile whose inputs are finished closes and is dropped, which finishes its outputs.

pub mod account;
pub mod book;
pub mod control;
mod counter;
pub mod doorbell;
pub mod fate;
pub mod feed;
pub mod gateway;
pub mod inline;
pub mod keeper;
pub mod message;
pub mod near;
pub mod paper;
pub mod print;
pub mod quote;
pub mod redis_sink;
pub mod redis_source;
pub mod rehearsal;
pub mod runner;
pub mod snapshot;
mod told;
mod trips;
pub mod understudy;
pub mod user_feed;

use std::time::Duration;

/// One worker of the engine.
pub trait Tile: Send {
    /// Its name in the topology.
    fn name(&self) -> &'static str;

    /// Does what is there to do; returns how much.
    fn step(&mut self) -> usize;

    /// Whether there will never be anything to do again.
    fn is_done(&self) -> bool;

    /// Waits for something to happen, `limit` at most. `false` when the tile has nothing of its own to wait for.
    fn wait(&mut self, limit: Duration) -> bool {
        let _ = limit;
        false
    }

    /// How long a parked thread may sleep through when nobody rings: what a forgotten ring can cost, or how often the tile
    /// must look at what rings no bell. Each waking takes the core from somebody.
    fn nap(&self) -> Duration {
        Duration::from_millis(2)
    }

    /// Nothing happens on a thread that spins: asks for the memory that the next message will need, so that it is near when
    /// the message comes. Changes nothing.
    fn keep_near(&mut self) {}

    /// Said once, on the tile's thread, before it is dropped.
    fn close(&mut self) {}
}
