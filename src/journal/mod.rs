//! Floor 3: the append-only journal on disk.
