//! The front as every connection's task holds it.

use std::sync::{Mutex, MutexGuard};

use super::front::Front;

/// The one owner of the front's state, and the rules of connections.
pub struct Shared {
    front: Mutex<Front>,
}

impl Shared {
    /// Takes the front over.
    pub fn new(front: Front) -> Shared {
        Shared { front: Mutex::new(front) }
    }

    /// The front. Held for the time of one request and never across an await.
    ///
    /// # Panics
    /// When the venue panicked before: its state is not to be trusted, so every connection ends.
    pub fn lock(&self) -> MutexGuard<'_, Front> {
        self.front.lock().expect("the venue has not panicked")
    }
}
