//! Floor 4: one file a thread; each step does a bounded piece of work and never waits.
