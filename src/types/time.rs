//! Points in time and spans of it. Nothing here reads a clock: `now` is always handed in.

use std::fmt;

/// Nanoseconds since the UNIX epoch (UTC), from the clock named by the field that holds it:
/// `event_ts` is the venue's, `recv_ts` and `now` are ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct TimestampNs(u64);

impl TimestampNs {
    /// The epoch; also the value before anything happened.
    pub const ZERO: TimestampNs = TimestampNs(0);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch, saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From microseconds since the epoch, saturating.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole microseconds since the epoch.
    pub const fn micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Time passed since `earlier`; zero when the clock went back.
    pub const fn since(self, earlier: TimestampNs) -> DurationNs {
        DurationNs(self.0.saturating_sub(earlier.0))
    }

    /// The time `span` later, saturating.
    pub const fn plus(self, span: DurationNs) -> TimestampNs {
        TimestampNs(self.0.saturating_add(span.0))
    }
}

impl fmt::Debug for TimestampNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

/// A span of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct DurationNs(u64);

impl DurationNs {
    /// No time.
    pub const ZERO: DurationNs = DurationNs(0);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From microseconds, saturating.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// From milliseconds, saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From whole seconds, saturating.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Seconds as a float, for rates and features.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Debug for DurationNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}
