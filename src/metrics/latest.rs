//! The newest value of something that a hot tile keeps and cold readers look at.
//!
//! A queue of one that the writer overwrites: it never waits, never allocates, and a reader never sees half a value.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam::queue::ArrayQueue;

/// A writer and a reader of the newest `T`.
pub fn latest<T: Copy + Send>() -> (LatestWriter<T>, LatestReader<T>) {
    let slot = Arc::new(ArrayQueue::new(1));
    (LatestWriter { slot: Arc::clone(&slot) }, LatestReader { slot, seen: Arc::new(Mutex::new(None)) })
}

/// The writing end, owned by a tile.
#[derive(Debug)]
pub struct LatestWriter<T> {
    slot: Arc<ArrayQueue<T>>,
}

impl<T: Copy + Send> LatestWriter<T> {
    /// Replaces the value.
    pub fn set(&self, value: T) {
        self.slot.force_push(value);
    }
}

/// The reading end; clones share what they have seen.
#[derive(Debug)]
pub struct LatestReader<T> {
    slot: Arc<ArrayQueue<T>>,
    seen: Arc<Mutex<Option<T>>>,
}

impl<T> Clone for LatestReader<T> {
    fn clone(&self) -> Self {
        LatestReader { slot: Arc::clone(&self.slot), seen: Arc::clone(&self.seen) }
    }
}

impl<T: Copy + Send> LatestReader<T> {
    /// The newest value, if one was ever set.
    pub fn get(&self) -> Option<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = self.slot.pop() {
            *seen = Some(value);
        }
        *seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_the_newest_value() {
        let (writer, reader) = latest();
        let other = reader.clone();
        assert_eq!(reader.get(), None);
        writer.set(1);
        writer.set(2);
        assert_eq!((reader.get(), other.get()), (Some(2), Some(2)));
        writer.set(3);
        assert_eq!(other.get(), Some(3));
        assert_eq!(reader.get(), Some(3));
    }
}
