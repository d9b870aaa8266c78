//! Floor 2: statistics.
