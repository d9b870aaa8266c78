//! What all tiles of an engine share about its life: whether it goes on, ends, or has failed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::gateway::wall_now;
use crate::types::TimestampNs;

/// Why an engine failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The tile.
    pub tile: &'static str,
    /// What happened to it.
    pub what: String,
    /// Whether it was a panic, that is a bug; otherwise the outside world failed it.
    pub is_panic: bool,
}

/// The life of one engine.
#[derive(Debug, Default)]
pub struct Fate {
    stop: AtomicBool,
    quiet: AtomicBool,
    end: AtomicBool,
    seal: AtomicBool,
    failed: AtomicBool,
    fault: Mutex<Option<(TimestampNs, Fault)>>,
    /// Index of the tile that is to panic, plus one: a drill.
    drill: AtomicUsize,
}

impl Fate {
    /// Asks for the end of the session; the control tile sees to it.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the end was asked for.
    pub fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Told by the quote tile after `Stop`: no order of ours is alive or in doubt.
    pub fn set_quiet(&self) {
        self.quiet.store(true, Ordering::Release);
    }

    /// Whether all orders are known to be done.
    pub fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Acquire)
    }

    /// Tells the sources to close; the end then runs through the links.
    pub fn order_end(&self) {
        self.end.store(true, Ordering::Release);
    }

    /// Whether sources must close.
    pub fn must_end(&self) -> bool {
        self.end.load(Ordering::Acquire)
    }

    /// Tells the keeper that all writers are gone.
    pub fn order_seal(&self) {
        self.seal.store(true, Ordering::Release);
    }

    /// Whether the keeper must close.
    pub fn must_seal(&self) -> bool {
        self.seal.load(Ordering::Acquire)
    }

    /// Notes a failure; the first one counts.
    pub fn fail(&self, fault: Fault) {
        let mut slot = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            tracing::error!(tile = fault.tile, panic = fault.is_panic, "{}", fault.what);
            *slot = Some((wall_now(), fault));
        }
        self.failed.store(true, Ordering::Release);
    }

    /// Whether something failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The first failure, and when it was noticed.
    pub fn fault(&self) -> Option<(TimestampNs, Fault)> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a tile panic at its next check: a drill of what follows a panic.
    pub fn drill_panic(&self, tile: &str) {
        if let Some(index) = crate::topology::tile::ALL.iter().position(|name| *name == tile) {
            self.drill.store(index + 1, Ordering::Release);
        }
    }

    /// Whether that tile is the one to panic.
    pub fn is_drilled(&self, tile: &str) -> bool {
        let drill = self.drill.load(Ordering::Relaxed);
        drill != 0 && crate::topology::tile::ALL.get(drill - 1) == Some(&tile)
    }
}
