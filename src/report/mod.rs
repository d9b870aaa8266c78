//! Floor 3: what a session leaves for people to read.
