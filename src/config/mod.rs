//! Floor 5: configuration.
