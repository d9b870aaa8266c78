//! The paper gateway: the simulated exchange in the place of the venue's order entry.
//!
//! It hears the engine's own feed, record by record, and takes the commands that would have gone to the venue. An order
//! reaches the exchange, and a word of the exchange reaches the decision, as late as the latency model says; what the
//! market did in between, the exchange has seen before it sees the order. Answers and user data go to the decision on
//! one link, in the order of their arrival. Cold: it is as punctual as a thread that sleeps, two milliseconds at worst.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quanta::Clock;
use rtrb::{Consumer, Producer};
use tracing::{info, warn};

use super::Tile;
use super::doorbell::Doorbell;
use super::fate::{Fate, Fault};
use super::message::{OrderRequest, Telemetry, TelemetrySender, UserInput};
use crate::gateway::wall_now;
use crate::journal::JournalWriter;
use crate::metrics::{Board, Count, Stage};
use crate::sim::latency::{LatencyModel, Travel, Way};
use crate::sim::{Answered, Exchange, InFlight};
use crate::topology::tile;
use crate::types::{Command, Control, Input, TimestampNs};
use crate::wire::record::Kind;
use crate::wire::{
    FeedEvent, FeedOwned, Flags, GatewayAnswer, GatewayEvent, GatewaySent, RecordBuf, Stream, UnitReceiver,
};

/// Feed records taken in one step.
const RECORDS_A_STEP: usize = 256;

/// What the simulated exchange says of our account at the end.
#[derive(Clone, Debug, Default)]
pub struct PaperWord {
    /// Change of each instrument's base and quote balance since the start, in 1e-8.
    pub balance_changes: Vec<(i64, i64)>,
    /// How many executions each instrument had.
    pub fills: Vec<u64>,
    /// Own orders open.
    pub open_orders: usize,
}

/// Where the tile leaves its last word.
pub type PaperSlot = Arc<Mutex<Option<PaperWord>>>;

/// Everything the tile is made of.
pub struct PaperParts {
    /// `feed_paper`.
    pub feed: UnitReceiver,
    /// `quote_paper` and `quote_paper_cancel`: placements and amends, cancels and queries.
    pub requests: [Consumer<OrderRequest>; 2],
    /// `paper_quote`.
    pub quote: Producer<UserInput>,
    /// Wakes the quote tile where it may be parked.
    pub quote_bell: Option<Arc<Doorbell>>,
    /// The exchange, fed by this tile alone.
    pub exchange: Exchange,
    /// How long messages travel.
    pub latency: LatencyModel,
    /// Seed of what is random about that.
    pub seed: u64,
    /// This gateway's lane of the gateway stream.
    pub journal: JournalWriter,
    /// For people.
    pub telemetry: TelemetrySender,
    /// The board.
    pub board: Arc<Board>,
    /// The engine's life.
    pub fate: Arc<Fate>,
    /// Where the last word goes.
    pub word: PaperSlot,
}

/// A word of the exchange on its way to the decision: what the gateway's stream notes of it, and the inputs.
struct Tell {
    answer: Option<GatewayAnswer>,
    inputs: Vec<Input>,
}

/// See the module.
pub struct PaperTile {
    parts: PaperParts,
    travel: Travel,
    requests: InFlight<(u64, Command)>,
    tells: InFlight<Tell>,
    /// Inputs that the full link has not taken yet.
    held: VecDeque<Input>,
    sent: u64,
    buf: RecordBuf,
    balances_before: Vec<(i64, i64)>,
    began: bool,
    clock: Clock,
}

impl PaperTile {
    /// A tile before its first record.
    pub fn new(parts: PaperParts) -> PaperTile {
        PaperTile {
            travel: parts.latency.travel(parts.seed),
            requests: InFlight::default(),
            tells: InFlight::default(),
            held: VecDeque::new(),
            sent: 0,
            buf: RecordBuf::with_capacity(256),
            balances_before: parts.exchange.balances(),
            began: false,
            clock: Clock::new(),
            parts,
        }
    }

    /// The account, as a venue's reconciliation tells it.
    fn begin(&mut self) {
        self.held.extend(self.parts.exchange.balance_inputs().into_iter().map(Input::Balance));
        self.held.push_back(Input::Control(Control::UserStreamUp));
    }

    /// Takes what the decision asks for and sends it on its way.
    fn take_requests(&mut self) -> usize {
        let mut work = 0;
        for lane in 0..self.parts.requests.len() {
            while let Ok(request) = self.parts.requests[lane].pop() {
                work += 1;
                let (now, command) = (wall_now(), request.command);
                self.sent += 1;
                let way = match command {
                    Command::Place(_) | Command::Amend { .. } => Way::Order,
                    Command::Cancel { .. } | Command::Query { .. } | Command::Fills { .. } => Way::Cancel,
                };
                self.journal(&GatewayEvent::Sent(GatewaySent {
                    request: self.sent,
                    operation: crate::sim::operation_of(&command),
                    attempt: 0,
                    instrument: command.instrument(),
                    client_id: command.client_id(),
                    tick_ts: request.tick_ts,
                    sent_ts: now,
                }));
                if request.stamps.is_some() {
                    // On paper a request is ready and on its way as soon as it is taken.
                    let (mut stamps, taken) = (request.stamps, self.clock.raw());
                    stamps.set(Stage::Ready, taken);
                    stamps.set(Stage::Written, taken);
                    self.parts.telemetry.send(&self.parts.board, Telemetry::Way(stamps));
                }
                self.parts.board.add(Count::Requests, 1);
                let arrives = self.travel.arrival(way, now);
                self.requests.send(arrives, (self.sent, command));
            }
        }
        work
    }

    /// Lets the market happen as far as the feed has told it.
    fn take_feed(&mut self) -> usize {
        let mut work = 0;
        while work < RECORDS_A_STEP {
            let Some((_, record)) = self.parts.feed.recv_stamped() else { break };
            work += 1;
            let event = record.and_then(|record| FeedEvent::decode(&record).map(|event| FeedOwned::of(&event)));
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                // The feed tile of the same build wrote it: that it cannot be read is a bug, and bugs stop the engine.
                Err(error) => panic!("a record on the paper link cannot be read: {error}"),
            };
            // What reached the exchange before comes first.
            let at = event.recv_ts();
            self.carry_out(at);
            self.parts.exchange.feed(at, &event.as_event());
            self.collect(at);
        }
        work
    }

    /// Carries out the requests that have reached the exchange by `now`.
    fn carry_out(&mut self, now: TimestampNs) -> usize {
        let mut work = 0;
        while let Some((at, (request, command))) = self.requests.arrived(now) {
            work += 1;
            let ack = self.travel.arrival(Way::Ack, at);
            let Answered { answer, reports } = self.parts.exchange.serve(at, request, &command, ack);
            // What the exchange told the user stream in this call left before the answer did.
            self.collect(at);
            let inputs = reports.into_iter().map(Input::Exec).collect();
            self.tells.send(ack, Tell { answer: Some(answer), inputs });
        }
        work
    }

    /// Sends what the exchange has told the account on its way.
    fn collect(&mut self, now: TimestampNs) {
        let (travel, tells) = (&mut self.travel, &mut self.tells);
        let tell = |at, input| tells.send(at, Tell { answer: None, inputs: vec![input] });
        self.parts.exchange.take_told(|| travel.arrival(Way::Fill, now), tell);
    }

    /// Hands over what has reached us.
    fn deliver(&mut self, now: TimestampNs) -> usize {
        let mut work = 0;
        while let Some((_, tell)) = self.tells.arrived(now) {
            work += 1;
            if let Some(answer) = tell.answer {
                self.journal(&GatewayEvent::Answer(answer));
            }
            self.held.extend(tell.inputs);
        }
        work + self.flush()
    }

    fn flush(&mut self) -> usize {
        let mut work = 0;
        while let Some(input) = self.held.front() {
            if self.parts.quote.push(UserInput { life: 0, input: *input }).is_err() {
                break;
            }
            self.held.pop_front();
            work += 1;
        }
        if work > 0
            && let Some(bell) = &self.parts.quote_bell
        {
            bell.ring();
        }
        work
    }

    fn journal(&mut self, event: &GatewayEvent) {
        let (kind, ts) = event.encode(&mut self.buf);
        let units = self.buf.finish(Stream::Gateway, kind, Flags::NONE, self.parts.journal.next_seq(), ts);
        if let Err(down) = self.parts.journal.append(units) {
            self.parts.fate.fail(Fault { tile: tile::PAPER, what: down.to_string(), is_panic: false });
        }
    }
}

impl Tile for PaperTile {
    fn name(&self) -> &'static str {
        tile::PAPER
    }

    fn step(&mut self) -> usize {
        if !std::mem::replace(&mut self.began, true) {
            self.begin();
            info!("paper: orders go to the simulated exchange");
        }
        let mut work = self.take_requests() + self.take_feed();
        let now = wall_now();
        // Only with the feed drained: what is still on the link happened before.
        if work < RECORDS_A_STEP {
            work += self.carry_out(now);
            self.collect(now);
        }
        work + self.deliver(now)
    }

    fn is_done(&self) -> bool {
        // In this order: a sender that is gone sends no more.
        self.parts.requests.iter().all(|lane| lane.is_abandoned() && lane.is_empty())
    }

    fn wait(&mut self, limit: Duration) -> bool {
        let next = [self.requests.next_at(), self.tells.next_at()].into_iter().flatten().min();
        let Some(next) = next else { return false };
        let left = Duration::from_nanos(next.since(wall_now()).nanos());
        // Something is due before a bell would be missed: nothing that comes meanwhile waits longer than that.
        std::thread::sleep(left.min(limit));
        true
    }

    fn close(&mut self) {
        self.buf.begin();
        let next = self.parts.journal.next_seq();
        let units = self.buf.finish(Stream::Gateway, Kind::End, Flags::NONE, next, wall_now());
        let _ = self.parts.journal.append(units);
        if !self.held.is_empty() || !self.tells.is_empty() {
            warn!("the exchange's last words came after the decision had ended");
        }
        let exchange = &self.parts.exchange;
        let now = exchange.balances();
        let before = &self.balances_before;
        let word = PaperWord {
            balance_changes: now.iter().zip(before).map(|(now, then)| (now.0 - then.0, now.1 - then.1)).collect(),
            fills: exchange.fill_counts(),
            open_orders: exchange.open_orders(),
        };
        *self.parts.word.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(word);
    }
}
