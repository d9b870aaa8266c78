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
use crate::metrics::{Board, Count, LatestReader};
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
    board: Arc<Board>,
    fate: Arc<Fate>,
}

impl RehearsalTile {
    /// A tile that takes so many microseconds for one rehearsal, and the time that its scenes themselves take.
    pub fn new(
        understudy: Understudy,
        shown: LatestReader<PipelineSnapshot>,
        every_us: u64,
        board: Arc<Board>,
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
            board,
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
        if self.is_over || self.clock.delta_as_nanos(self.last, now) < self.pause_ns {
            return 0;
        }
        if self.understudy.has_begun() {
            self.scenes += 1;
            if self.understudy.rehearse() {
                self.pause_ns = self.every_ns / std::mem::take(&mut self.scenes);
                self.board.put(Count::Rehearsed, self.understudy.requests());
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

#[cfg(test)]
mod tests {
    use super::super::understudy::tests::understudy;
    use super::*;
    use crate::metrics::latest;
    use crate::pipeline::{Pipeline, PipelineConfig};
    use crate::types::{HalfTicks, Instrument, InstrumentId, SessionId};

    #[test]
    fn it_begins_with_the_market_is_never_work_and_tells_how_much_was_rehearsed() {
        let (writer, reader) = latest();
        let (board, fate) = (Arc::new(Board::new(&[], &[])), Arc::new(Fate::default()));
        let mut tile = RehearsalTile::new(understudy(None), reader, 1, Arc::clone(&board), Arc::clone(&fate));
        (0..1_000).for_each(|_| assert_eq!(tile.step(), 0));
        assert!(!tile.understudy.has_begun(), "nobody knows where it trades");
        let pipeline = Pipeline::new(SessionId(1), &[Instrument::btcusdt()], &PipelineConfig::default()).unwrap();
        writer.set(PipelineSnapshot { mark: Some(HalfTicks::new(12_000_000)), ..pipeline.snapshot(InstrumentId(0)) });
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while board.count(Count::Rehearsed) < 100 {
            assert_eq!(tile.step(), 0, "an idle thread stays idle");
            assert!(std::time::Instant::now() < deadline, "{} requests", board.count(Count::Rehearsed));
        }
        assert!(!tile.is_done());
        fate.order_end();
        assert!(tile.is_done());
    }
}
