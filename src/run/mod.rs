//! Floor 5: one file a verb of the command line.
