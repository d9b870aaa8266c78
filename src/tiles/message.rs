//! What travels over the fixed-size links.

use rtrb::Producer;

use crate::metrics::{Board, Count, Hop, Stamps};
use crate::types::{Command, ExecReport, Input, InstrumentId, MarketUpdate, QuoteDecision, TimestampNs};
use crate::wire::lines;

/// `book_quote`: a market update and the feed record that it was made from.
#[derive(Clone, Copy, Debug)]
pub struct BookOut {
    /// Number of the feed record.
    pub feed_seq: u64,
    /// When its frame was read, decoded and applied.
    pub stamps: Stamps,
    /// The update.
    pub update: MarketUpdate,
}

/// `feed_quote` and `account_quote`: an input, and the life of the user-data stream that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct UserInput {
    /// How many times the user-data stream had been lost. A `UserStreamUp` of an earlier life is void.
    pub life: u32,
    /// The input.
    pub input: Input,
}

/// `quote_place`, `quote_cancel`, `place_overflow`: a command on its way.
#[derive(Clone, Copy, Debug)]
pub struct OrderRequest {
    /// The command, already journaled.
    pub command: Command,
    /// The way of the frame behind the decision so far. Only the first placement of a decision has them: the others
    /// wait for it.
    pub stamps: Stamps,
    /// When that frame was received; zero likewise.
    pub tick_ts: TimestampNs,
}

/// `feed_account`: the user-data stream is subscribed again; say what was missed.
#[derive(Clone, Copy, Debug)]
pub struct Reconcile {
    /// The stream's life.
    pub life: u32,
    /// Nothing before this can have been missed.
    pub since: TimestampNs,
}

/// `*_control`: for people.
#[derive(Clone, Copy, Debug)]
pub enum Telemetry {
    /// A latency sample.
    Sample(Hop, u64),
    /// The whole way of a tick to its first order.
    Way(Stamps),
    /// A fill, counted.
    Fill(ExecReport),
    /// A quote decision and its time.
    Quote(TimestampNs, QuoteDecision),
}

/// The sending end of a telemetry link: what does not fit is dropped and counted.
#[derive(Debug)]
pub struct TelemetrySender {
    ring: Producer<Telemetry>,
}

impl TelemetrySender {
    /// Wraps the ring's end.
    pub fn new(ring: Producer<Telemetry>) -> TelemetrySender {
        TelemetrySender { ring }
    }

    /// Asks for the memory of the next messages.
    pub fn keep_near(&mut self) {
        lines::claim_next(&mut self.ring, 4);
    }

    /// Sends, or drops and counts.
    pub fn send(&mut self, board: &Board, message: Telemetry) {
        if self.ring.push(message).is_err() {
            board.add(Count::TelemetryDropped, 1);
        }
    }
}

/// `book_snapshot`: whose snapshot is wanted.
pub type SnapshotRequest = InstrumentId;
