//! Waking a parked thread without paying for it when it is awake.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

/// Rung by senders, answered by one parked thread.
#[derive(Debug, Default)]
pub struct Doorbell {
    sleeper: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Doorbell {
    /// Wakes the thread if it sleeps; otherwise a fence and a load. Call after the item was sent.
    pub fn ring(&self) {
        // Pairs with the fence in `sleep`: either the sleeper sees the item, or we see the sleeper.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed)
            && let Some(thread) = self.sleeper.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until rung, and for as long as the last look says at most; not at all when that finds something. Only ever
    /// called by the one thread that this bell belongs to.
    pub fn sleep(&self, last_look: impl FnOnce() -> Option<Duration>) {
        self.sleeper.get_or_init(std::thread::current);
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if let Some(limit) = last_look() {
            std::thread::park_timeout(limit);
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    #[test]
    fn no_ring_is_ever_slept_through() {
        let bell = Arc::new(Doorbell::default());
        let sent = Arc::new(AtomicUsize::new(0));
        let sleeper = std::thread::spawn({
            let (bell, sent) = (Arc::clone(&bell), Arc::clone(&sent));
            move || {
                for item in 0..2000 {
                    let began = Instant::now();
                    while sent.load(Ordering::Acquire) <= item {
                        bell.sleep(|| (sent.load(Ordering::Acquire) <= item).then_some(Duration::from_secs(20)));
                    }
                    assert!(began.elapsed() < Duration::from_secs(15), "item {item} was slept through");
                }
            }
        });
        for _ in 0..2000 {
            sent.fetch_add(1, Ordering::Release);
            bell.ring();
            std::thread::yield_now();
        }
        sleeper.join().unwrap();
    }
}
