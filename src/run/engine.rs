//! The engine: tiles assembled on threads as the topology says, started, watched, stopped.
//!
//! Used by `run`, `record` and `demo` on their main thread. [`start`] returns when the venue has answered and all threads
//! run; [`Engine::stop`] asks for the end, [`Engine::join`] waits for it and reports.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use crate::config::{ApiKeys, Config};
use crate::metrics::{Board, LatencySummary, LatencyTable, LatestReader};
use crate::pipeline::PipelineSnapshot;
use crate::types::{ExecReport, Instrument, InstrumentId, QuoteDecision, SessionId};

/// What an engine does with its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineMode {
    /// Sends orders.
    Live,
    /// Decides quotes and sends nothing; needs no key.
    DryRun,
    /// Journals market data and decides nothing; needs no key.
    Record,
}

/// How an engine ended.
#[derive(Clone, Debug)]
pub struct EngineSummary {
    /// The session.
    pub session: SessionId,
    /// The session's folder in the journal.
    pub journal: PathBuf,
    /// Market updates decided on.
    pub ticks: u64,
    /// Changes of the quote targets.
    pub quotes: u64,
    /// Orders handed to a gateway.
    pub orders_sent: u64,
    /// Orders refused, by the venue or here.
    pub orders_rejected: u64,
    /// Executions, each trade once.
    pub fills: u64,
    /// The last state of each instrument: position, PnL split, counters.
    pub instruments: Vec<(Instrument, PipelineSnapshot)>,
    /// From the socket read that completed the frame to the signed body handed to the HTTP client.
    pub tick_to_order: LatencySummary,
    /// Own orders still open at the end, as asked of the venue; `None` when it could not be asked.
    pub open_orders_at_exit: Option<usize>,
    /// Records that the book never saw because its link was full.
    pub feed_dropped: u64,
    /// The failure that ended it, if one did: a tile's panic, a full disk, orders that could not be confirmed gone.
    pub failure: Option<Failure>,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    live: Live,
}

/// What people may see of a running engine; clones look at the same engine, from any cold thread.
#[derive(Clone, Debug)]
pub struct Live {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    session: SessionId,
    session_dir: PathBuf,
    plan: String,
    board: Arc<Board>,
    latencies: Arc<LatencyTable>,
    instruments: Vec<Instrument>,
    snapshots: Vec<LatestReader<PipelineSnapshot>>,
    recent: Arc<Mutex<Recent>>,
}

/// The newest things that happened, kept by the control tile for people.
#[derive(Debug, Default)]
pub struct Recent {
    fills: VecDeque<ExecReport>,
    quotes: Vec<Option<QuoteDecision>>,
}

impl Live {
    /// The session.
    pub fn session(&self) -> SessionId {
        self.shared.session
    }

    /// The session's folder in the journal.
    pub fn session_dir(&self) -> &Path {
        &self.shared.session_dir
    }

    /// Which tiles run where, in one line.
    pub fn plan(&self) -> &str {
        &self.shared.plan
    }

    /// Counters, gauges, tiles and links.
    pub fn board(&self) -> &Board {
        &self.shared.board
    }

    /// Latency histograms.
    pub fn latencies(&self) -> &LatencyTable {
        &self.shared.latencies
    }

    /// The session's instruments.
    pub fn instruments(&self) -> &[Instrument] {
        &self.shared.instruments
    }

    /// The newest figures of an instrument; `None` before its first.
    pub fn snapshot(&self, instrument: InstrumentId) -> Option<PipelineSnapshot> {
        self.shared.snapshots.get(instrument.index())?.get()
    }

    /// The newest quote decision of an instrument.
    pub fn quote(&self, instrument: InstrumentId) -> Option<QuoteDecision> {
        let recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.quotes.get(instrument.index()).copied().flatten()
    }

    /// The newest fills, oldest first, 256 at most.
    pub fn fills(&self) -> Vec<ExecReport> {
        let recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.fills.iter().copied().collect()
    }
}

impl Engine {
    /// Asks for the end: own orders are cancelled and confirmed gone, then all threads end. Returns at once.
    pub fn stop(&self) {}

    /// Whether all threads have ended, by request or by failure.
    pub fn is_finished(&self) -> bool {
        true
    }

    /// What people may see of it.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Waits for the end and reports. Without an earlier [`stop`](Self::stop) it waits until the engine fails.
    pub fn join(self) -> EngineSummary {
        unreachable!("no engine starts yet")
    }
}

/// Starts an engine: asks the venue for its clock, instruments, balances and our open orders, makes the journal, and
/// starts all tiles. `name` is the verb that asks, for the session file.
///
/// # Errors
/// When the venue cannot be reached or refuses, the journal cannot be made, or keys are missing where orders are sent.
pub fn start(config: &Config, keys: Option<&ApiKeys>, mode: EngineMode, name: &str) -> Result<Engine, Failure> {
    let _ = (config, keys, mode, name);
    Err(super::not_built::run("run").unwrap_err())
}
