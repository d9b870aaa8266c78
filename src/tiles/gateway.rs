//! Gateway tiles: commands in, requests out, answers back.
//!
//! The same tile serves placements, cancels and the overflow. Where the runner is fused with the reader, one tile takes
//! both, and serves them inline only while round trips are short: after two that were not, or one that was very long,
//! placements go to the overflow worker and cancels to theirs until round trips are short again, so that a slow or silent
//! venue stalls the book briefly. Queries always go there: nobody waits for them. A request is never repeated here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rtrb::{Consumer, Producer};
use tracing::warn;

use super::Tile;
use super::doorbell::Doorbell;
use super::fate::{Fate, Fault};
use super::inline::{Handover, Inline};
use super::message::{OrderRequest, Telemetry, TelemetrySender};
use super::near::noted;
use crate::gateway::{Gateway, Served};
use crate::journal::JournalWriter;
use crate::metrics::{Board, Count, Gauge, Hop, Stage};
use crate::topology::tile;
use crate::types::{Command, ExecKind, ExecReport, ExecSource, RejectReason, TimestampNs};
use crate::venue::binance::rest::refused;
use crate::wire::lines;
use crate::wire::record::Kind;
use crate::wire::{Flags, GatewayAnswer, GatewayEvent, GatewaySent, Operation, Outcome, RecordBuf, Stream};

/// Units of the journal that a request and its answer take.
const UNITS_NEAR: usize = 6;

/// Everything the tile is made of.
pub struct GatewayParts {
    /// Its name in the topology.
    pub name: &'static str,
    /// Commands.
    pub requests: Consumer<OrderRequest>,
    /// Answers to the quote tile.
    pub answers: Producer<ExecReport>,
    /// Wakes the quote tile where it may be parked.
    pub answer_bell: Option<Arc<Doorbell>>,
    /// Does the requests.
    pub gateway: Gateway,
    /// Requests of a decision that are served before the runner is given back: all of them, where somebody waits.
    pub at_once: usize,
    /// This gateway's lane of the gateway stream.
    pub journal: JournalWriter,
    /// For people.
    pub telemetry: TelemetrySender,
    /// Only for the place gateway of a fused plan.
    pub handover: Option<Handover>,
    /// The board.
    pub board: Arc<Board>,
    /// The engine's life.
    pub fate: Arc<Fate>,
}

/// See the module.
pub struct GatewayTile {
    name: &'static str,
    requests: Consumer<OrderRequest>,
    answers: Producer<ExecReport>,
    answer_bell: Option<Arc<Doorbell>>,
    gateway: Gateway,
    at_once: usize,
    audit: Audit,
    telemetry: TelemetrySender,
    inline: Option<Inline>,
    /// Answers that the full link has not taken yet.
    held: VecDeque<ExecReport>,
    board: Arc<Board>,
    warmed: bool,
}

/// The gateway's lane of the journal. Losing it costs the audit trail, and is told, but orders already sent still need
/// their answers: the tile goes on until the end that the failure causes.
struct Audit {
    name: &'static str,
    journal: JournalWriter,
    buf: RecordBuf,
    requests: u64,
    fate: Arc<Fate>,
}

impl Audit {
    fn write(&mut self, event: &GatewayEvent) {
        let (kind, ts) = event.encode(&mut self.buf);
        let units = self.buf.finish(Stream::Gateway, kind, Flags::NONE, self.journal.next_seq(), ts);
        if let Err(down) = self.journal.append(units) {
            self.fate.fail(Fault { tile: self.name, what: down.to_string(), is_panic: false });
        }
    }
}

impl GatewayTile {
    /// A tile before its first request.
    pub fn new(parts: GatewayParts) -> GatewayTile {
        GatewayTile {
            name: parts.name,
            answers: parts.answers,
            answer_bell: parts.answer_bell,
            gateway: parts.gateway,
            at_once: parts.at_once,
            audit: Audit {
                name: parts.name,
                journal: parts.journal,
                buf: RecordBuf::with_capacity(256),
                requests: 0,
                fate: parts.fate,
            },
            telemetry: parts.telemetry,
            inline: parts.handover.map(|handover| Inline::new(handover, parts.requests.buffer().capacity())),
            requests: parts.requests,
            held: VecDeque::with_capacity(4),
            board: parts.board,
            warmed: false,
        }
    }

    fn serve(&mut self, request: &OrderRequest) -> Served {
        let command = &request.command;
        self.audit.requests += 1;
        let number = self.audit.requests;
        let audit = &mut self.audit;
        let served = self.gateway.serve(command, |sent_ts| {
            audit.write(&GatewayEvent::Sent(GatewaySent {
                request: number,
                operation: operation(command),
                attempt: 0,
                instrument: command.instrument(),
                client_id: command.client_id(),
                tick_ts: request.tick_ts,
                sent_ts,
            }));
        });
        if request.stamps.is_some() && served.wire_times[1] != 0 {
            let mut stamps = request.stamps;
            stamps.set(Stage::Ready, served.wire_times[0]);
            stamps.set(Stage::Written, served.wire_times[1]);
            self.telemetry.send(&self.board, Telemetry::Way(stamps));
        }
        self.audit.write(&GatewayEvent::Answer(GatewayAnswer {
            request: number,
            operation: operation(command),
            outcome: outcome(&served),
            instrument: command.instrument(),
            client_id: command.client_id(),
            http_status: served.http_status,
            code: served.code,
            recv_ts: served.answered_ts,
        }));
        self.count(command, &served);
        served
    }

    fn count(&mut self, command: &Command, served: &Served) {
        if !served.sent {
            self.board.add(Count::Limited, 1);
            return;
        }
        self.board.add(Count::Requests, 1);
        let trip_ns = served.round_trip_ns();
        match command {
            Command::Place(_) => {
                self.telemetry.send(&self.board, Telemetry::Sample(Hop::PlaceRoundTrip, trip_ns));
            }
            Command::Cancel { .. } => {
                self.telemetry.send(&self.board, Telemetry::Sample(Hop::CancelRoundTrip, trip_ns));
            }
            Command::Amend { .. } | Command::Query { .. } | Command::Fills { .. } => {}
        }
        if let Some(inline) = &mut self.inline {
            self.board.add(Count::Inline, 1);
            self.board.set(Gauge::InlineRoundTripNs, trip_ns as i64);
            inline.note(Duration::from_nanos(trip_ns), &self.board);
        } else if self.name == tile::OVERFLOW {
            self.board.set(Gauge::OverflowRoundTripNs, trip_ns as i64);
            self.board.add(Count::Overflow, 1);
        }
    }

    /// The next request to serve here.
    fn next(&mut self) -> Option<OrderRequest> {
        let Some(inline) = &mut self.inline else { return self.requests.pop().ok() };
        inline.next(&mut self.requests, &self.board, |command| self.held.push_back(not_sent(command)))
    }
}

fn not_sent(command: &Command) -> ExecReport {
    ExecReport {
        instrument: command.instrument(),
        client_id: command.client_id(),
        venue_id: None,
        event_ts: TimestampNs::ZERO,
        recv_ts: crate::gateway::wall_now(),
        source: ExecSource::Response,
        kind: refused(command, RejectReason::NotSent),
    }
}

fn operation(command: &Command) -> Operation {
    match command {
        Command::Place(_) => Operation::Place,
        Command::Cancel { .. } => Operation::Cancel,
        Command::Amend { .. } => Operation::Amend,
        Command::Query { .. } => Operation::Query,
        Command::Fills { .. } => Operation::Fills,
    }
}

fn outcome(served: &Served) -> Outcome {
    match served.report.kind {
        _ if !served.sent => Outcome::NotSent,
        ExecKind::Rejected(RejectReason::NotSent)
        | ExecKind::CancelRejected(RejectReason::NotSent)
        | ExecKind::AmendRejected(RejectReason::NotSent) => Outcome::NotSent,
        ExecKind::PlaceUnknown | ExecKind::CancelUnknown | ExecKind::QueryFailed => Outcome::Unknown,
        ExecKind::Rejected(_) | ExecKind::CancelRejected(_) | ExecKind::AmendRejected(_) | ExecKind::NotFound => {
            Outcome::Refused
        }
        _ => Outcome::Done,
    }
}

impl Tile for GatewayTile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn step(&mut self) -> usize {
        if !std::mem::replace(&mut self.warmed, true) {
            // The connection of orders is kept near as the tile itself is, where it is stepped by the same thread.
            if self.inline.is_some() { noted(|| self.gateway.warm()) } else { self.gateway.warm() }
        }
        while let Some(report) = self.held.front() {
            // Nothing is asked of the venue while its last answer has no place.
            if self.answers.push(*report).is_err() {
                return 0;
            }
            self.held.pop_front();
        }
        let mut work = 0;
        // All of a decision, before the runner is given back: the next frame's decision would find the rest still on its
        // way, and could not replace it.
        while let Some(request) = self.next() {
            work += 1;
            if let Some(inline) = &mut self.inline {
                inline.hand_over_second(&request);
            }
            let served = self.serve(&request);
            for report in served.fills.into_iter().chain([served.report]) {
                if !self.held.is_empty() || self.answers.push(report).is_err() {
                    self.held.push_back(report);
                }
            }
            if let Some(bell) = &self.answer_bell {
                bell.ring();
            }
            if !self.held.is_empty() || work == self.at_once {
                break;
            }
        }
        if work == 0 {
            self.gateway.idle();
        }
        work
    }

    fn nap(&self) -> Duration {
        // Whoever sends a request rings; a lost connection is on its way back meanwhile.
        Duration::from_millis(if self.gateway.is_at_rest() { 100 } else { 2 })
    }

    fn is_done(&self) -> bool {
        // In this order: a sender that is gone sends no more.
        let waits = self.inline.as_ref().is_some_and(Inline::waits);
        self.requests.is_abandoned() && self.requests.is_empty() && !waits
    }

    fn keep_near(&mut self) {
        self.audit.journal.claim_next(UNITS_NEAR);
        self.telemetry.keep_near();
        self.gateway.keep_near();
        lines::claim_next(&mut self.answers, 1);
    }

    fn close(&mut self) {
        self.audit.buf.begin();
        let now = crate::gateway::wall_now();
        let next = self.audit.journal.next_seq();
        let units = self.audit.buf.finish(Stream::Gateway, Kind::End, Flags::NONE, next, now);
        let _ = self.audit.journal.append(units);
        if !self.held.is_empty() {
            warn!(gateway = self.name, "an answer came after the decision had ended");
        }
    }
}
