//! Market data from outside the venue, in the order of its times, one event ahead.

use super::Failure;
use crate::pipeline::sync::SyncRule;
use crate::types::TimestampNs;
use crate::wire::FeedOwned;

/// Events with the session's instrument numbers, ordered by when they were received.
pub type TapeEvents = Box<dyn Iterator<Item = Result<FeedOwned, Failure>>>;

/// A tape that is being played.
pub struct Tape {
    events: TapeEvents,
    next: Option<(TimestampNs, FeedOwned)>,
    rule: SyncRule,
}

impl Tape {
    /// A tape at its first event.
    ///
    /// # Errors
    /// What the events fail with.
    pub fn new(events: TapeEvents, rule: SyncRule) -> Result<Tape, Failure> {
        let mut tape = Tape { events, next: None, rule };
        tape.advance(TimestampNs::ZERO)?;
        Ok(tape)
    }

    /// How its books join.
    pub fn rule(&self) -> SyncRule {
        self.rule
    }

    /// When its next event happens.
    pub fn next_at(&self) -> Option<TimestampNs> {
        self.next.as_ref().map(|(at, _)| *at)
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.next.is_none()
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// What the event after it fails with.
    pub fn take(&mut self) -> Result<Option<FeedOwned>, Failure> {
        let Some((at, event)) = self.next.take() else { return Ok(None) };
        self.advance(at)?;
        Ok(Some(event))
    }

    fn advance(&mut self, latest: TimestampNs) -> Result<(), Failure> {
        let event = self.events.next().transpose()?;
        // A clock that was set back does not turn time around.
        self.next = event.map(|event| (event.recv_ts().max(latest), event));
        Ok(())
    }
}
