//! Floor 3: other people's recordings.
