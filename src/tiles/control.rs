//! The control tile: sees the session to its end, and keeps what people look at. Cold.
//!
//! The end: `Stop` to the decision, which cancels everything; when it is quiet, or has had its time, the sources are told
//! to close, and the end runs through the links. What the venue then still holds is asked and swept by `run::engine`.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quanta::Clock;
use rtrb::{Consumer, Producer};
use tracing::{info, warn};

use super::Tile;
use super::fate::Fate;
use super::message::Telemetry;
use crate::kpi::RunningMarkouts;
use crate::metrics::{Board, Gauge, LatencyTable, LatestReader};
use crate::pipeline::PipelineSnapshot;
use crate::topology::tile;
use crate::types::{Control, ExecKind, ExecReport, Instrument, QuoteDecision, QuoteSide, TimestampNs};

/// How many fills people may look back on.
const FILLS_KEPT: usize = 256;
/// Messages taken in one step.
const MESSAGES_A_STEP: usize = 4096;

impl Recent {
    /// Nothing yet, for so many instruments.
    pub fn new(instruments: usize) -> Recent {
        Recent {
            fills: VecDeque::new(),
            quotes: vec![None; instruments],
            markouts: vec![RunningMarkouts::default(); instruments],
        }
    }
}

/// The newest things that happened, for people.
#[derive(Debug, Default)]
pub struct Recent {
    /// The newest fills, oldest first.
    pub fills: VecDeque<ExecReport>,
    /// The newest decision of each instrument.
    pub quotes: Vec<Option<QuoteDecision>>,
    /// Where the mid went after the fills of each instrument.
    pub markouts: Vec<RunningMarkouts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { until: Instant },
    Ended,
}

/// Everything the tile is made of.
pub struct ControlParts {
    /// `control_quote`.
    pub quote: Producer<Control>,
    /// `*_control`.
    pub telemetry: Vec<Consumer<Telemetry>>,
    /// Histograms.
    pub latencies: Arc<LatencyTable>,
    /// What people look at.
    pub recent: Arc<Mutex<Recent>>,
    /// The newest figures of each instrument.
    pub snapshots: Vec<LatestReader<PipelineSnapshot>>,
    /// The session's instruments.
    pub instruments: Vec<Instrument>,
    /// Where a dry run prints its quotes.
    pub lines: Option<Box<dyn Write + Send>>,
    /// Where the stamps of ticks are written, a line each.
    pub stamps: Option<Box<dyn Write + Send>>,
    /// How long the decision may take to get quiet.
    pub patience: Duration,
    /// Whether the decision has orders to cancel at all.
    pub sends: bool,
    /// The board.
    pub board: Arc<Board>,
    /// The engine's life.
    pub fate: Arc<Fate>,
}

/// See the module.
pub struct ControlTile {
    parts: ControlParts,
    phase: Phase,
    /// The time of the last figures seen, of each instrument.
    seen: Vec<TimestampNs>,
    clock: Clock,
}

impl ControlTile {
    /// A tile of a running session.
    pub fn new(parts: ControlParts) -> ControlTile {
        let seen = vec![TimestampNs::ZERO; parts.snapshots.len()];
        ControlTile { parts, phase: Phase::Running, seen, clock: Clock::new() }
    }

    fn see_to_the_end(&mut self) {
        let fate = &self.parts.fate;
        match self.phase {
            Phase::Running if fate.stop_requested() || fate.has_failed() => {
                self.parts.board.set(Gauge::Stopping, 1);
                if fate.has_failed() {
                    self.parts.board.set(Gauge::Failed, 1);
                }
                // After a failure the decision may lack the reports that would make it quiet; the sweep follows anyway.
                let patience = if fate.has_failed() { self.parts.patience / 4 } else { self.parts.patience };
                if self.parts.sends && self.parts.quote.push(Control::Stop).is_ok() {
                    info!("stopping: own orders are cancelled");
                    self.phase = Phase::Stopping { until: Instant::now() + patience };
                } else {
                    self.end();
                }
            }
            Phase::Stopping { until } => {
                let decision_gone = self.parts.quote.is_abandoned();
                if fate.is_quiet() || decision_gone || Instant::now() >= until {
                    if !fate.is_quiet() {
                        warn!(decision_gone, "own orders are not known to be gone; the venue is asked");
                    }
                    self.end();
                }
            }
            Phase::Running | Phase::Ended => {}
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.parts.fate.order_end();
    }

    fn take_telemetry(&mut self) -> usize {
        let mut work = 0;
        for index in 0..self.parts.telemetry.len() {
            for _ in 0..MESSAGES_A_STEP {
                let Ok(message) = self.parts.telemetry[index].pop() else { break };
                work += 1;
                self.keep(message);
            }
        }
        if work > 0
            && let Some(lines) = &mut self.parts.lines
        {
            let _ = lines.flush();
        }
        work
    }

    /// Mids for the running markouts: a quote tells them when it moves, the figures also while it does not.
    fn take_mids(&mut self) {
        for (index, reader) in self.parts.snapshots.iter().enumerate() {
            let Some(snapshot) = reader.get() else { continue };
            if let Some(mark) = snapshot.mark.filter(|_| snapshot.now > self.seen[index]) {
                self.seen[index] = snapshot.now;
                let mut recent = self.parts.recent.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(markouts) = recent.markouts.get_mut(index) {
                    markouts.on_mid(snapshot.now, mark);
                }
            }
        }
    }

    fn keep(&mut self, message: Telemetry) {
        match message {
            Telemetry::Sample(hop, ns) => self.parts.latencies.record(hop, ns),
            Telemetry::Way(stamps) => {
                for (hop, ns) in stamps.hops(|from, to| self.clock.delta_as_nanos(from, to)) {
                    self.parts.latencies.record(hop, ns);
                }
                if let Some(file) = &mut self.parts.stamps
                    && let Err(error) = writeln!(file, "{}", stamps.line())
                {
                    warn!(%error, "stamps are written no more");
                    self.parts.stamps = None;
                }
            }
            Telemetry::Fill(report) => {
                let mut recent = self.parts.recent.lock().unwrap_or_else(PoisonError::into_inner);
                if recent.fills.len() == FILLS_KEPT {
                    recent.fills.pop_front();
                }
                recent.fills.push_back(report);
                if let ExecKind::Fill(fill) = report.kind
                    && let Some(markouts) = recent.markouts.get_mut(report.instrument.index())
                {
                    markouts.on_fill(report.recv_ts, fill.side, fill.price, fill.qty);
                }
            }
            Telemetry::Quote(now, decision) => {
                let mut recent = self.parts.recent.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(slot) = recent.quotes.get_mut(decision.instrument.index()) {
                    *slot = Some(decision);
                }
                if let Some(markouts) = recent.markouts.get_mut(decision.instrument.index()) {
                    markouts.on_mid(now, decision.mid);
                }
                drop(recent);
                if let Some(lines) = &mut self.parts.lines {
                    let instrument = &self.parts.instruments[decision.instrument.index()];
                    // A closed pipe ends the lines, not the engine.
                    if writeln!(lines, "{}", quote_line(now, &decision, instrument)).is_err() {
                        self.parts.lines = None;
                        self.parts.fate.request_stop();
                    }
                }
            }
        }
    }
}

/// A quote decision as one line of JSON, in exact decimals.
pub fn quote_line(now: TimestampNs, decision: &QuoteDecision, instrument: &Instrument) -> String {
    let side = |side: QuoteSide| {
        serde_json::json!({
            "price": side.price.map(|price| instrument.price_text(price)),
            "qty": instrument.qty_text(side.qty),
            "reason": format!("{:?}", side.reason),
        })
    };
    let mut mid = String::new();
    // Half a tick may need one digit more than a tick has: 1e-8 is the venue's finest step, and ticks are coarser.
    crate::types::format_e8(decision.mid.get() * instrument.spec.tick_e8 / 2, &mut mid);
    serde_json::json!({
        "ts_ns": now.nanos(),
        "symbol": instrument.symbol(),
        "mid": mid,
        "position": instrument.qty_text(decision.position),
        "bid": side(decision.bid),
        "ask": side(decision.ask),
    })
    .to_string()
}

impl Tile for ControlTile {
    fn name(&self) -> &'static str {
        tile::CONTROL
    }

    fn step(&mut self) -> usize {
        self.see_to_the_end();
        let work = self.take_telemetry();
        self.take_mids();
        work
    }

    fn nap(&self) -> Duration {
        // For people, and for a stop that they ask for.
        Duration::from_millis(20)
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Ended && self.parts.telemetry.iter().all(|ring| ring.is_abandoned() && ring.is_empty())
    }
}
