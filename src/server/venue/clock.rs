//! How the venue's time relates to the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::types::TimestampNs;

/// How fast the venue's time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pace {
    /// With the wall clock. A recording's own speed is a property of its source.
    #[default]
    Wall,
    /// As fast as the slowest listener reads: the venue's clock runs ahead of the wall's. It stands still until the
    /// first public stream is subscribed, so that nobody misses the start.
    Max,
}

/// The wall clock.
pub fn wall_now() -> TimestampNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampNs::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
