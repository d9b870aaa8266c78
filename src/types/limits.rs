//! Fixed capacities. Each has the reason for its number.

/// Levels a side that the decision sees: imbalance needs five, and our own orders may hide as many again.
pub const VIEW_LEVELS: usize = 10;

/// Levels in one depth message, both sides together: a 5000-level snapshot is the largest that the protocol knows.
pub const DEPTH_LEVELS_MAX: usize = 10_000;

/// Orders of ours that may be alive on one instrument, states in doubt included. A two-sided quote needs two; an
/// order in doubt blocks its side, so eight is never reached by the quoter itself.
pub const WORKING_ORDERS_MAX: usize = 16;

/// Actions that one event may cause: a cancel and a new order for each side, a quote record, and a cancel for every
/// working order when the session halts.
pub const ACTIONS_MAX: usize = 64;
