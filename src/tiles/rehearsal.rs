//! The rehearsal tile: keeps the way of an order warm while nothing happens.
//!
//! Between two ticks a spinning thread asks its sockets and runs nothing else, and within milliseconds the code of the
//! way from frame to order, the system's own with it, is gone from the nearer caches: the first order then takes several
//! times as long as the second. So the thread lets an [`Understudy`] play the way through again and again, a scene at a
//! time, because a tick that comes meanwhile waits for the scene.

use std::sync::Arc;

use quanta::Clock;
use tracing::warn;

use super::Tile;
use super::fate::Fate;
use super::near::Sweep;
use super::understudy::Understudy;
use crate::metrics::LatestReader;
use crate::pipeline::PipelineSnapshot;
use crate::topology::tile;
use crate::types::Price;

/// Lines asked for at once: a microsecond's worth when they are far away.
const LINES_A_LOOK: usize = 128;

/// See the module.
pub struct RehearsalTile {
    /// Where the first instrument trades: the understudy begins when that is known.
    shown: LatestReader<PipelineSnapshot>,
    understudy: Understudy,
    sweep: Sweep,
    every_ns: u64,
    /// Between two scenes, and how many there have been: a rehearsal has a dozen.
    pause_ns: u64,
    scenes: u64,
    last: u64,
    is_over: bool,
    clock: Clock,
    fate: Arc<Fate>,
}

impl RehearsalTile {
    /// A tile that takes so many microseconds for one rehearsal, and the time that its scenes themselves take.
    pub fn new(
        understudy: Understudy,
        shown: LatestReader<PipelineSnapshot>,
        every_us: u64,
        fate: Arc<Fate>,
    ) -> RehearsalTile {
        let clock = Clock::new();
        RehearsalTile {
            shown,
            understudy,
            sweep: Sweep::default(),
            every_ns: every_us * 1_000,
            pause_ns: every_us * 1_000,
            scenes: 0,
            last: clock.raw(),
            is_over: false,
            clock,
            fate,
        }
    }
}

impl Tile for RehearsalTile {
    fn name(&self) -> &'static str {
        tile::REHEARSAL
    }

    /// Never any work, so that a thread which only rehearses is an idle one.
    fn step(&mut self) -> usize {
        let now = self.clock.raw();
        if self.clock.delta_as_nanos(self.last, now) < self.pause_ns {
            return 0;
        }
        if self.is_over {
            return 0;
        }
        if self.understudy.has_begun() {
            self.scenes += 1;
            if self.understudy.rehearse() {
                self.pause_ns = self.every_ns / std::mem::take(&mut self.scenes);
            }
            if let Some(what) = self.understudy.failure() {
                self.is_over = true;
                warn!("the rehearsal has ended, orders will be slower: {what}");
            }
        } else if let Some(mark) = self.shown.get().and_then(|snapshot| snapshot.mark) {
            self.understudy.begin(Price::from_ticks(mark.get() / 2));
        }
        self.last = self.clock.raw();
        0
    }

    fn keep_near(&mut self) {
        self.sweep.step(LINES_A_LOOK);
    }

    fn is_done(&self) -> bool {
        self.fate.must_end()
    }
}
