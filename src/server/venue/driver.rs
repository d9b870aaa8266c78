//! Lets the venue's time pass while nobody asks for anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::clock::{Pace, wall_now};
use super::hub::QUEUE_MESSAGES;
use super::shared::Shared;

/// Longest sleep of the driver: streams with a cadence of their own (candles) are told at least this often.
const IDLE_MAX: Duration = Duration::from_millis(50);
/// Events taken at once at the greatest pace, before others may run.
const MAX_PACE_BATCH: usize = 64;
/// At the greatest pace the venue waits while a listener has more than this waiting.
const BACKLOG_MAX: usize = QUEUE_MESSAGES / 8;

/// Drives the venue until it is dropped.
pub async fn drive(shared: Arc<Shared>) {
    loop {
        let pace = shared.lock().pace();
        let wait = match pace {
            Pace::Wall => step_with_the_wall(&shared),
            Pace::Max => step_at_once(&shared),
        };
        match wait {
            Some(wait) => sleep(wait).await,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Advances to now; returns how long nothing will be due, `None` when something already is.
fn step_with_the_wall(shared: &Shared) -> Option<Duration> {
    let mut front = shared.lock();
    front.advance(wall_now());
    let due = [front.venue.next_event_at(), front.misfortune.next_at()];
    let Some(next) = due.into_iter().flatten().min() else { return Some(IDLE_MAX) };
    let wait = Duration::from_nanos(next.since(wall_now()).nanos());
    (!wait.is_zero()).then(|| wait.min(IDLE_MAX))
}

/// Advances by some events, unless nobody listens yet or somebody is behind.
fn step_at_once(shared: &Shared) -> Option<Duration> {
    const BEHIND: Duration = Duration::from_millis(1);
    let mut front = shared.lock();
    if !front.hub.has_streams() {
        return Some(IDLE_MAX);
    }
    for _ in 0..MAX_PACE_BATCH {
        if front.hub.backlog() > BACKLOG_MAX {
            return Some(BEHIND);
        }
        let Some(next) = front.venue.next_event_at() else { return Some(IDLE_MAX) };
        front.advance(next);
    }
    None
}
