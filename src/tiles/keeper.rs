//! The keeper tile: the cold end of the journal. It goes on until every writer is gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Tile;
use super::fate::{Fate, Fault};
use crate::gateway::wall_now;
use crate::journal::Keeper;
use crate::topology::tile;

/// Where the keeper is left for whoever closes the journal.
pub type KeeperSlot = Arc<Mutex<Option<Keeper>>>;

/// See the module.
pub struct KeeperTile {
    keeper: Option<Keeper>,
    slot: KeeperSlot,
    fate: Arc<Fate>,
}

impl KeeperTile {
    /// A tile that leaves its keeper in `slot` at its end.
    pub fn new(keeper: Keeper, slot: KeeperSlot, fate: Arc<Fate>) -> KeeperTile {
        KeeperTile { keeper: Some(keeper), slot, fate }
    }
}

impl Tile for KeeperTile {
    fn name(&self) -> &'static str {
        tile::KEEPER
    }

    fn step(&mut self) -> usize {
        let Some(keeper) = &mut self.keeper else { return 0 };
        match keeper.step_apart(wall_now()) {
            Ok(work) => work,
            Err(error) => {
                self.fate.fail(Fault { tile: tile::KEEPER, what: error.to_string(), is_panic: false });
                0
            }
        }
    }

    fn nap(&self) -> Duration {
        self.keeper.as_ref().map_or(Duration::from_millis(20), Keeper::nap)
    }

    fn is_done(&self) -> bool {
        self.fate.must_seal()
    }

    fn close(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.keeper.take();
    }
}
