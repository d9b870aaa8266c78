//! Floor 1: the arena L2 book.
