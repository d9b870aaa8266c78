//! Everything that may cause a decision.

use super::{Asset, ExecReport, InstrumentId, MarketUpdate};

/// Free and locked amounts of one asset, absolute, in units of 1e-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Which asset.
    pub asset: Asset,
    /// Available for new orders.
    pub free_e8: i64,
    /// Held by open orders.
    pub locked_e8: i64,
}

/// Orders from the person or the watchdog in charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Quote on both sides, within limits.
    Resume,
    /// Only quote the side that brings the position towards its target.
    Reduce,
    /// Cancel everything and place nothing until `Resume`.
    Halt,
    /// Cancel everything and end the session.
    Stop,
    /// The user-data stream was lost: fills may be missed until `UserStreamUp`. No new orders meanwhile.
    UserStreamDown,
    /// The user-data stream is back and missed fills have been reported.
    UserStreamUp,
    /// An order of ours that an earlier session, or a lost answer, left open on the venue: adopt and cancel it.
    Orphan {
        /// Which instrument.
        instrument: InstrumentId,
        /// The order's id.
        client_id: super::ClientOrderId,
    },
}

/// One event for the decision, in the one total order that the quote tile gives.
#[expect(clippy::large_enum_variant, reason = "copied through rings; a box would allocate on the hot path")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The market moved.
    Market(MarketUpdate),
    /// One of our orders changed.
    Exec(ExecReport),
    /// An asset's balance, at start and whenever the venue tells.
    Balance(Balance),
    /// A deadline named by `next_deadline` has passed.
    Timer,
    /// A command from outside.
    Control(Control),
}
