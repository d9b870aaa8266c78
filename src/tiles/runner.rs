//! Threads: each steps its tiles in turn, on its core, and waits as the plan says when none of them finds work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use quanta::Clock;

use super::doorbell::Doorbell;
use super::fate::{Fate, Fault};
use super::{Tile, counter};
use crate::metrics::Board;
use crate::topology::{Idle, Seat};

/// What a runner counts for one tile between two publications.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    steps: u64,
    work: u64,
    busy_ns: u64,
    longest_ns: u64,
}

/// One thread's worth of tiles.
pub struct Runner {
    tiles: Vec<Option<Box<dyn Tile>>>,
    cells: Vec<usize>,
    tallies: Vec<Tally>,
    idle: Idle,
    fate: Arc<Fate>,
    board: Arc<Board>,
    bell: Arc<Doorbell>,
    clock: Clock,
    idle_rounds: u32,
}

// Memory is lost to strangers within a millisecond or so; some ten looks within it are enough.
const ROUNDS_A_LOOK_AROUND: u32 = 64;
// Cells are for people: every 1024 rounds is often enough, and rare enough not to move cache lines between cores.
const ROUNDS_A_PUBLICATION: u32 = 1024;

impl Runner {
    /// A runner of `tiles`, in their stepping order.
    pub fn new(
        tiles: Vec<Box<dyn Tile>>,
        idle: Idle,
        fate: Arc<Fate>,
        board: Arc<Board>,
        bell: Arc<Doorbell>,
    ) -> Runner {
        let cells = tiles.iter().map(|tile| board.tile_index(tile.name())).collect();
        let tallies = vec![Tally::default(); tiles.len()];
        Runner {
            tiles: tiles.into_iter().map(Some).collect(),
            cells,
            tallies,
            idle,
            fate,
            board,
            bell,
            clock: Clock::new(),
            idle_rounds: 0,
        }
    }

    /// Steps until every tile is done or dead.
    pub fn run(mut self) {
        let mut round: u32 = 0;
        while self.tiles.iter().any(Option::is_some) {
            let work = if self.idle == Idle::Park { self.round_or_sleep() } else { self.round() };
            round = round.wrapping_add(1);
            if round.is_multiple_of(ROUNDS_A_PUBLICATION) {
                self.housekeep();
            }
            if work == 0 {
                self.wait();
            }
        }
    }

    /// Steps each tile once; returns the work done. This is all that tests with a single thread need.
    pub fn round(&mut self) -> usize {
        let mut work = 0;
        // Where a tile found work, its end is the next one's beginning: one look at the clock less on the way of an order.
        let mut ended = None;
        for index in 0..self.tiles.len() {
            let Some(tile) = self.tiles[index].as_deref_mut() else { continue };
            let began = ended.take().unwrap_or_else(|| self.clock.raw());
            // A tile that panicked is never stepped again, so nobody sees the state that the panic left.
            let stepped = catch_unwind(AssertUnwindSafe(|| {
                let done = tile.step();
                if done == 0 && tile.is_done() {
                    tile.close();
                    return None;
                }
                Some(done)
            }));
            match stepped {
                Ok(Some(done)) => {
                    let tally = &mut self.tallies[index];
                    tally.steps += 1;
                    if done > 0 {
                        // Near enough for people: what comes behind its last look is told with the next tile's step, or
                        // not at all.
                        let now = counter::last_look_since(began, &self.clock);
                        ended = Some(now);
                        let busy_ns = self.clock.delta_as_nanos(began, now);
                        tally.work += done as u64;
                        tally.busy_ns += busy_ns;
                        tally.longest_ns = tally.longest_ns.max(busy_ns);
                        work += done;
                    }
                }
                Ok(None) => {
                    self.publish(index);
                    self.tiles[index] = None;
                }
                Err(panic) => self.bury(index, &*panic),
            }
        }
        work
    }

    fn bury(&mut self, index: usize, panic: &(dyn std::any::Any + Send)) {
        let what = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panicked".to_owned());
        if let Some(tile) = self.tiles[index].take() {
            self.fate.fail(Fault { tile: tile.name(), what, is_panic: true });
            // Dropping it finishes its links; a destructor that panics as well must not take the thread down.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(tile)));
        }
    }

    fn housekeep(&mut self) {
        for index in 0..self.tiles.len() {
            self.publish(index);
            let Some(name) = self.tiles[index].as_ref().map(|tile| tile.name()) else { continue };
            if self.fate.is_drilled(name) {
                let drill: Result<(), _> = catch_unwind(|| panic!("drill: this tile was told to panic"));
                if let Err(panic) = drill {
                    self.bury(index, &*panic);
                }
            }
        }
    }

    fn publish(&mut self, index: usize) {
        let tally = std::mem::take(&mut self.tallies[index]);
        if tally.steps > 0 {
            self.board.tiles()[self.cells[index]].publish(tally.steps, tally.work, tally.busy_ns, tally.longest_ns);
        }
    }

    fn wait(&mut self) {
        match self.idle {
            Idle::Spin => {
                // A spinner that asks without a pause takes the sockets and the memory's ways from whoever is to bring the
                // next message.
                std::hint::spin_loop();
                self.idle_rounds = self.idle_rounds.wrapping_add(1);
                if self.idle_rounds.is_multiple_of(ROUNDS_A_LOOK_AROUND) {
                    self.tiles.iter_mut().flatten().for_each(|tile| tile.keep_near());
                }
            }
            Idle::Yield => std::thread::yield_now(),
            // It has slept already.
            Idle::Park => {}
        }
    }

    /// A round, and a sleep when it finds no work, until somebody rings or the tiles' nap is over. The round is the last
    /// look before the sleep, so that each waking costs one.
    fn round_or_sleep(&mut self) -> usize {
        let bell = Arc::clone(&self.bell);
        let mut work = 0;
        bell.sleep(|| {
            work = self.round();
            if work > 0 {
                return None;
            }
            self.housekeep();
            let nap = self.tiles.iter().flatten().map(|tile| tile.nap()).min()?;
            // A tile that waits in a way of its own has done so when it says yes.
            let has_waited = self.tiles.iter_mut().flatten().any(|tile| tile.wait(nap));
            (!has_waited).then_some(nap)
        });
        work
    }
}

/// Starts a thread for `seat` and runs `tiles` on it.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(seat: &Seat, runner: Runner) -> std::io::Result<std::thread::JoinHandle<()>> {
    let core = seat.core;
    std::thread::Builder::new().name(seat.thread.to_owned()).spawn(move || {
        if let Some(id) = core {
            // A refusal (the core was taken away meanwhile) costs speed, not correctness.
            if !core_affinity::set_for_current(core_affinity::CoreId { id }) {
                tracing::warn!(core = id, "the thread could not be pinned");
            }
        }
        grow_heap();
        runner.run();
    })
}

/// Lets the calling thread's heap grow before the first message: what libraries allocate for a frame or an order is given
/// back, but asking for it the first time, or for a page more later, is a system call and a page fault.
fn grow_heap() {
    // Each below the size from which memory is mapped by itself and given back whole.
    let blocks: Vec<Vec<u8>> = (0..16).map(|_| vec![1; 64 << 10]).collect();
    // A heap is cut at its end only: what lies before a block that stays is kept.
    std::mem::forget(std::hint::black_box(vec![1_u8; 4 << 10]));
    drop(std::hint::black_box(blocks));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tile;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting {
        name: &'static str,
        left: usize,
        panics_at: Option<usize>,
        closed: Arc<AtomicUsize>,
    }

    impl Tile for Counting {
        fn name(&self) -> &'static str {
            self.name
        }
        fn step(&mut self) -> usize {
            assert_ne!(Some(self.left), self.panics_at, "this is the step that panics");
            let work = usize::from(self.left > 0);
            self.left -= work;
            work
        }
        fn is_done(&self) -> bool {
            self.left == 0
        }
        fn close(&mut self) {
            self.closed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn run(tiles: [(&'static str, usize, Option<usize>); 2]) -> (Arc<Fate>, Arc<Board>, usize) {
        let fate = Arc::new(Fate::default());
        let board = Arc::new(Board::new(&tile::ALL, &[]));
        let closed = Arc::new(AtomicUsize::new(0));
        let tiles = tiles
            .into_iter()
            .map(|(name, left, panics_at)| {
                Box::new(Counting { name, left, panics_at, closed: Arc::clone(&closed) }) as Box<dyn Tile>
            })
            .collect();
        let (shared, cells) = (Arc::clone(&fate), Arc::clone(&board));
        Runner::new(tiles, Idle::Yield, shared, cells, Arc::default()).run();
        (fate, board, closed.load(Ordering::Relaxed))
    }

    #[test]
    fn tiles_are_stepped_to_their_end_and_closed() {
        let (fate, board, closed) = run([(tile::FEED, 10, None), (tile::BOOK, 5, None)]);
        assert!(!fate.has_failed());
        assert_eq!(closed, 2);
        assert_eq!(board.tiles()[board.tile_index(tile::FEED)].work(), 10);
    }

    #[test]
    fn a_panic_ends_its_tile_is_told_and_spares_the_others() {
        let (fate, board, closed) = run([(tile::FEED, 10, Some(7)), (tile::BOOK, 50, None)]);
        let (_, fault) = fate.fault().unwrap();
        assert_eq!((fault.tile, fault.is_panic), (tile::FEED, true));
        assert!(fault.what.contains("the step that panics"), "{fault:?}");
        assert_eq!(board.tiles()[board.tile_index(tile::BOOK)].work(), 50);
        assert_eq!(closed, 1);
    }
}
