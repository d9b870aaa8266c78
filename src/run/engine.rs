//! The engine: tiles assembled on threads as the topology says, started, watched, stopped.
//!
//! Used by `run`, `record` and `demo` on their main thread. [`start`] returns when the venue has answered and all threads
//! run; [`Engine::stop`] asks for the end, [`Engine::join`] waits for it and reports.

mod assemble;
mod back_fill;
mod dashboard;
mod market;
mod memory;
mod paper;
mod redis;
mod stamps;
mod venue;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Failure, exit};
use crate::config::{ApiKeys, Config};
use crate::gateway::GatewayConfig;
use crate::journal::SessionEnd;
use crate::kpi::RunningPoint;
use crate::metrics::{Board, Count, Hop, LatencySummary, LatencyTable, LatestReader};
use crate::pipeline::PipelineSnapshot;
use crate::report::RedisCounts;
use crate::tiles::control::Recent;
use crate::tiles::fate::{Fate, Fault};
pub use assemble::{Lines, plan_on};
pub use dashboard::dashboard;

use crate::types::{ExecReport, Instrument, InstrumentId, QuoteDecision, SessionId, TimestampNs};

/// What an engine does with its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineMode {
    /// Sends orders.
    Live,
    /// Sends orders to a simulated exchange that is fed by the venue's market data; needs no key.
    Paper,
    /// Decides quotes and sends nothing; needs no key.
    DryRun,
    /// Journals market data and decides nothing; needs no key.
    Record,
}

impl EngineMode {
    /// Whether orders go anywhere.
    pub const fn trades(self) -> bool {
        matches!(self, EngineMode::Live | EngineMode::Paper)
    }
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
    /// From the socket read that completed the frame to the first order's bytes in front of the socket.
    pub tick_to_order: LatencySummary,
    /// Every hop.
    pub hops: Vec<(Hop, LatencySummary)>,
    /// Own orders still open at the end, as asked of the venue; `None` when it could not be asked.
    pub open_orders_at_exit: Option<usize>,
    /// Records that the book never saw because its link was full.
    pub feed_dropped: u64,
    /// What went to Redis; `None` when nothing was to.
    pub redis: Option<RedisCounts>,
    /// The failure that ended it, if one did: a tile's panic, a full disk, orders that could not be confirmed gone.
    pub failure: Option<Failure>,
    /// When the first failure of a tile was noticed.
    pub failed_at: Option<TimestampNs>,
}

/// A running engine.
pub struct Engine {
    running: assemble::Running,
    gateways: Option<GatewayConfig>,
    patience: Duration,
    state_file: PathBuf,
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
    cold_core: Option<usize>,
    board: Arc<Board>,
    latencies: Arc<LatencyTable>,
    instruments: Vec<Instrument>,
    snapshots: Vec<LatestReader<PipelineSnapshot>>,
    recent: Arc<Mutex<Recent>>,
    fate: Arc<Fate>,
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

    /// Moves the calling thread to where the engine's cold threads run, and with it whatever it starts from now on: on a
    /// hot core it would take the core from a spinning thread whenever it wakes.
    pub fn step_aside(&self) {
        if let Some(id) = self.shared.cold_core {
            // A refusal costs speed, not correctness.
            core_affinity::set_for_current(core_affinity::CoreId { id });
        }
    }

    /// Counters, gauges, tiles and links.
    pub fn board(&self) -> &Arc<Board> {
        &self.shared.board
    }

    /// Latency histograms.
    pub fn latencies(&self) -> &Arc<LatencyTable> {
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

    /// Where the mid went after the fills of an instrument.
    pub fn markouts(&self, instrument: InstrumentId) -> Vec<RunningPoint> {
        let recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.markouts.get(instrument.index()).map(|markouts| markouts.points().to_vec()).unwrap_or_default()
    }

    /// Asks for the end, as [`Engine::stop`].
    pub fn stop(&self) {
        self.shared.fate.request_stop();
    }

    /// Makes a tile panic: a drill of what follows.
    pub fn drill_panic(&self, tile: &str) {
        self.shared.fate.drill_panic(tile);
    }
}

impl Engine {
    /// Asks for the end: own orders are cancelled and confirmed gone, then all threads end. Returns at once.
    pub fn stop(&self) {
        self.running.fate.request_stop();
    }

    /// Whether all threads have ended, by request or by failure.
    pub fn is_finished(&self) -> bool {
        self.running.threads.iter().all(std::thread::JoinHandle::is_finished)
    }

    /// What people may see of it.
    pub fn live(&self) -> Live {
        self.running.live.clone()
    }

    /// Waits for the end and reports. Without an earlier [`stop`](Self::stop) it waits until the engine fails.
    pub fn join(self) -> EngineSummary {
        let Engine { running, gateways, patience, state_file } = self;
        let assemble::Running {
            live,
            fate,
            threads,
            keeper_thread,
            keeper,
            books_digest,
            pipeline_digest,
            warm,
            paper,
            has_redis_sink,
        } = running;
        for thread in threads {
            // A runner catches its tiles' panics; should it die itself, that is a fault like theirs.
            if thread.join().is_err() {
                fate.fail(Fault { tile: "runner", what: "a runner died".to_owned(), is_panic: true });
                fate.order_end();
            }
        }
        // Orders first: everything else can wait.
        let swept = gateways.as_ref().map(|gateways| venue::sweep(gateways, patience));
        fate.order_seal();
        let (failed_at, mut failure) = fate.fault().map(|(at, fault)| (at, fault_failure(&fault))).unzip();
        if keeper_thread.join().is_err() {
            failure = failure.or_else(|| Some(Failure::bug("the keeper died")));
        }
        let digest = |slot: &crate::tiles::book::DigestSlot| *slot.lock().unwrap_or_else(PoisonError::into_inner);
        let end = SessionEnd::new(digest(&books_digest), digest(&pipeline_digest));
        let keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let closed = keeper.map_or(Ok(()), crate::journal::Keeper::close).and_then(|()| end.write(live.session_dir()));
        if let Err(error) = closed {
            failure = failure.or_else(|| Some(super::output::journal_failure(error)));
        }
        if let Some(learnt) = warm.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let folder = [live.session_dir().join(super::warm::STATE_FILE), state_file];
            for path in folder.iter().filter(|path| !path.as_os_str().is_empty()) {
                if let Err(error) = super::warm::write(path, &learnt) {
                    failure = failure.or(Some(error));
                }
            }
        }
        let open_orders_at_exit = match swept {
            Some(Ok(left)) => {
                if left > 0 {
                    failure = failure.or_else(|| Some(left_open(left)));
                }
                Some(left)
            }
            Some(Err(error)) => {
                failure = failure.or(Some(error));
                None
            }
            None => None,
        };
        let paper = paper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let open_orders_at_exit = paper.as_ref().map(|word| word.open_orders).or(open_orders_at_exit);
        let board = live.board();
        let instruments: Vec<(Instrument, PipelineSnapshot)> = live
            .instruments()
            .iter()
            .filter_map(|instrument| Some((*instrument, live.snapshot(instrument.id)?)))
            .collect();
        if let Some(word) = &paper {
            if word.open_orders > 0 {
                failure = failure.or_else(|| Some(left_open(word.open_orders)));
            }
            failure =
                failure.or_else(|| super::finish::money_differs(&instruments, &word.balance_changes, &word.fills));
        }
        EngineSummary {
            session: live.session(),
            journal: live.session_dir().to_owned(),
            ticks: board.count(Count::Ticks),
            quotes: board.count(Count::Quotes),
            orders_sent: board.count(Count::OrdersSent),
            orders_rejected: board.count(Count::OrdersRejected),
            fills: board.count(Count::Fills),
            instruments,
            tick_to_order: live.latencies().summary(Hop::TickToOrder),
            hops: Hop::ALL.iter().map(|&hop| (hop, live.latencies().summary(hop))).collect(),
            open_orders_at_exit,
            feed_dropped: board.count(Count::FeedDropped),
            redis: has_redis_sink.then(|| RedisCounts {
                entries: board.count(Count::RedisEntries),
                dropped: board.count(Count::RedisDropped),
                outages: board.count(Count::RedisOutages),
            }),
            failure,
            failed_at,
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("live", &self.running.live).finish_non_exhaustive()
    }
}

fn fault_failure(fault: &Fault) -> Failure {
    if fault.is_panic {
        return Failure::new(
            "E_RUN_016",
            exit::HALTED,
            format!("the tile {} failed, and the engine halted itself", fault.tile),
            fault.what.clone(),
            "this is a bug: report it with the log; the journal holds everything up to the failure",
        );
    }
    Failure::new(
        "E_RUN_017",
        exit::OUTPUT,
        "the journal cannot be continued, so the engine ended the session",
        format!("{}: {}", fault.tile, fault.what),
        "free space on the disk of journal.dir; everything journaled before is kept",
    )
}

fn left_open(left: usize) -> Failure {
    Failure::new(
        "E_RUN_018",
        exit::HALTED,
        format!("{left} own orders are still open on the venue"),
        "the venue did not confirm their cancels",
        "look at the venue's open orders whose client ids begin with `tl`, and cancel them there",
    )
}

/// Starts an engine: asks the venue for its clock, instruments and our account, makes the journal, and starts all tiles.
/// `name` is the verb that asks, for the session file; `lines` is where a dry run prints quotes or a recording messages.
///
/// # Errors
/// When the venue cannot be reached or refuses, the journal cannot be made, or keys are missing where orders are sent.
pub fn start(
    config: &Config,
    keys: Option<&ApiKeys>,
    mode: EngineMode,
    name: &str,
    lines: Option<Lines>,
) -> Result<Engine, Failure> {
    if mode == EngineMode::Live {
        venue::takes_orders(config)?;
    }
    redis::greet(config)?;
    // Without orders nothing is wanted of the venue when the market comes from elsewhere.
    let venue = if config.redis.is_source() && mode != EngineMode::Live {
        venue::absent(config, redis::instruments(config)?)
    } else {
        venue::ask(config, keys)?
    };
    let gateways = match mode {
        EngineMode::Live => Some(venue::log_on(&venue, config, keys)?),
        EngineMode::Paper | EngineMode::DryRun | EngineMode::Record => None,
    };
    tracing::info!(symbols = assemble::names(&venue.instruments), "the instruments are known");
    let patience = venue.patience;
    let running = assemble::assemble(config, mode, name, venue, gateways.as_ref(), lines)?;
    let engine = Engine { running, gateways, patience, state_file: config.warm.state_file.clone() };
    if let Err(refused) = memory::lock(config.topology.lock_memory) {
        engine.stop();
        engine.join();
        return Err(refused);
    }
    Ok(engine)
}
