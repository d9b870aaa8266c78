//! A whole session in virtual time: venue, books, decisions and journal stepped in one thread by a queue of events.
//!
//! Used by `demo --virtual` and by the backtest. The same code decides as in a live session and the same records are
//! written; only the clock, the sockets and the latencies differ: time jumps from event to event, and each message
//! takes a constant time on its way. Nothing here reads a clock, so a seed gives the same bytes every time. The only
//! thing that touches the outside is the journal.

pub mod account;
mod wire_up;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;

use super::{Failure, exit};
use crate::journal::{JournalConfig, LocalJournal, SessionEnd, SessionInfo};
use crate::pipeline::market::MarketStage;
use crate::pipeline::quoter::QuoterMaker;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{ConfigError, Pipeline, PipelineConfig, PipelineSnapshot, WarmState};
use crate::sim::{AccountId, OrderRef, TradeRow, Venue, VenueMarketEvent, VenueOrder, VenueOrderKind};
use crate::types::{
    Action, Actions, Balance, Command, Control, DurationNs, ExecKind, ExecReport, ExecSource, Input, Instrument,
    InstrumentId, OrderKind, SessionId, TimestampNs, VenueOrderId,
};
use crate::venue::binance::rest;
use crate::wire::gateway::{GatewayAnswer, GatewayEvent, GatewaySent, Operation, Outcome};
use crate::wire::quote::{InputEvent, encode_action};
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent, Flags, Kind, RecordBuf, Stream};

/// How long messages travel. Constant, so that a session is a function of its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// Market and user data, venue to us.
    pub feed: DurationNs,
    /// An order or amend, us to the venue.
    pub order: DurationNs,
    /// A cancel, us to the venue.
    pub cancel: DurationNs,
    /// An answer, venue to us.
    pub ack: DurationNs,
}

impl Default for Latencies {
    /// Half a millisecond each way: a colocated host's round trip of one millisecond.
    fn default() -> Self {
        let half = DurationNs::from_micros(500);
        Latencies { feed: half, order: half, cancel: half, ack: half }
    }
}

/// What a virtual session is made from besides its venue.
#[derive(Clone, Debug)]
pub struct VirtualConfig {
    /// The session's number: it names orders and the journal's folder.
    pub session: SessionId,
    /// The verb, for the session file.
    pub mode: &'static str,
    /// The decisions' constants.
    pub pipeline: PipelineConfig,
    /// What the decisions begin with.
    pub warm: Option<WarmState>,
    /// How long it lasts on the venue's clock; it ends earlier when a recording does.
    pub length: DurationNs,
    /// How long messages travel.
    pub latencies: Latencies,
    /// Where the journal goes.
    pub journal_dir: PathBuf,
    /// The account that we trade with.
    pub account: AccountId,
}

/// How a virtual session ended.
#[derive(Clone, Debug)]
pub struct VirtualOutcome {
    /// The session's folder in the journal.
    pub journal: PathBuf,
    /// Last figures of each instrument.
    pub snapshots: Vec<(Instrument, PipelineSnapshot)>,
    /// Executions as the venue recorded them.
    pub trades: Vec<TradeRow>,
    /// Each instrument's change of balances at the venue, base and quote, in 1e-8.
    pub balance_changes: Vec<(i64, i64)>,
    /// Own orders open at the end, as asked of the venue.
    pub open_orders: usize,
    /// Digest of each instrument's flow.
    pub flow_digests: Vec<u64>,
    /// When the first order was sent, since the start.
    pub first_quote_after: Option<DurationNs>,
    /// How long the session lasted on the venue's clock.
    pub lasted: DurationNs,
    /// Placements: each took no virtual time from tick to order.
    pub orders_sent: u64,
}

/// Something on its way.
#[derive(Debug)]
enum Event {
    /// Market data reaches us.
    Feed(VenueMarketEvent),
    /// A snapshot reaches us.
    Snapshot(DepthBuf),
    /// A request for a snapshot reaches the venue.
    SnapshotRequest(InstrumentId),
    /// A request reaches the venue.
    Request { request: u64, command: Command },
    /// Something about our orders or balances reaches us.
    Tell(Input),
    /// A gateway's answer reaches us: first to the gateway's stream, then to the decision.
    Answer(GatewayAnswer, ExecReport),
    /// The session is over: cancel everything.
    Stop,
}

/// An event with its time; ties go by the order in which they were put in.
#[derive(Debug)]
struct Due {
    at: TimestampNs,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// How long after its end a session may take to see its own orders gone.
const STOP_PATIENCE: DurationNs = DurationNs::from_secs(30);
/// Levels a side of a snapshot, as the engine asks for.
const SNAPSHOT_LEVELS: usize = 1000;

struct Session<'a> {
    config: &'a VirtualConfig,
    instruments: Vec<Instrument>,
    venue: Venue,
    market: MarketStage,
    pipeline: Pipeline,
    journal: LocalJournal,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    now: TimestampNs,
    actions: Actions,
    record: RecordBuf,
    requests: u64,
    tells_in_flight: usize,
    orders_sent: u64,
    first_order: Option<TimestampNs>,
    tick_ts: TimestampNs,
}

/// Runs a session to its end. The venue has one account of ours and its flow; its clock gives the start.
///
/// # Errors
/// When the decisions' configuration cannot be used, the journal cannot be written, or own orders do not end.
pub fn run(config: &VirtualConfig, venue: Venue) -> Result<VirtualOutcome, Failure> {
    let instruments = instruments_of(&venue);
    let pipeline = Pipeline::new(config.session, &instruments, &config.pipeline).map_err(unusable)?;
    run_pipeline(config, venue, &instruments, pipeline)
}

/// Runs a session with quoters of the caller's own, as [`Pipeline::with_quoters`] takes them.
///
/// # Errors
/// As [`run`].
pub fn run_with_quoters(
    config: &VirtualConfig,
    venue: Venue,
    quoters: &mut QuoterMaker<'_>,
) -> Result<VirtualOutcome, Failure> {
    let instruments = instruments_of(&venue);
    let pipeline = Pipeline::with_quoters(config.session, &instruments, &config.pipeline, quoters).map_err(unusable)?;
    run_pipeline(config, venue, &instruments, pipeline)
}

fn instruments_of(venue: &Venue) -> Vec<Instrument> {
    venue.config().symbols.iter().map(|symbol| symbol.instrument).collect()
}

fn unusable(error: ConfigError) -> Failure {
    Failure::new(
        "E_CONF_012",
        exit::CONFIG,
        "the decisions cannot be made from this configuration",
        error.to_string(),
        "`touchline run --print-config` shows each key with its meaning",
    )
}

fn run_pipeline(
    config: &VirtualConfig,
    venue: Venue,
    instruments: &[Instrument],
    mut pipeline: Pipeline,
) -> Result<VirtualOutcome, Failure> {
    let start = venue.now();
    let warm = config.warm.clone().map(|warm| warm.aged(start));
    if let Some(warm) = &warm {
        pipeline.begin_with(warm);
    }
    let constants = serde_json::to_value(&config.pipeline)
        .map_err(|error| Failure::bug(format!("the configuration has no text: {error}")))?;
    let info = SessionInfo::new(config.session, config.mode, "binance", start, instruments, Some(constants))
        .with_warm(super::warm::value_of(warm.as_ref())?);
    let journal = LocalJournal::create(&JournalConfig::for_virtual_time(&config.journal_dir), &info)
        .map_err(super::output::journal_failure)?;
    let mut session = Session {
        config,
        market: MarketStage::new(instruments, SyncRule::Spot),
        instruments: instruments.to_vec(),
        pipeline,
        journal,
        queue: BinaryHeap::new(),
        order: 0,
        now: start,
        actions: Actions::new(),
        record: RecordBuf::with_capacity(64 << 10),
        requests: 0,
        tells_in_flight: 0,
        orders_sent: 0,
        first_order: None,
        tick_ts: TimestampNs::ZERO,
        venue,
    };
    let balances_before = session.balances();
    session.begin()?;
    session.drive(start.plus(config.length))?;
    session.end(start, &balances_before)
}

impl Session<'_> {
    fn put(&mut self, at: TimestampNs, event: Event) {
        if matches!(event, Event::Tell(_) | Event::Answer(..)) {
            self.tells_in_flight += 1;
        }
        self.order += 1;
        self.queue.push(Reverse(Due { at, order: self.order, event }));
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let balances = self.venue.account(self.config.account).unwrap_or_default();
        for balance in balances.assets {
            let (asset, free_e8, locked_e8) = (balance.asset, balance.free_e8, balance.locked_e8);
            self.decide(&Input::Balance(Balance { asset, free_e8, locked_e8 }), 0)?;
        }
        self.decide(&Input::Control(Control::UserStreamUp), 0)
    }

    /// Steps from event to event until the end is reached, everything of ours is gone and nothing is on its way to us.
    fn drive(&mut self, end: TimestampNs) -> Result<(), Failure> {
        self.put(end, Event::Stop);
        let (mut stopping, mut over) = (false, false);
        loop {
            self.collect();
            self.ask_for_snapshots();
            if !stopping && !over && self.venue.is_exhausted() {
                over = true;
                // The recording is over; what it published is still on its way.
                let at = self.now.plus(self.config.latencies.feed);
                self.put(at, Event::Stop);
            }
            if stopping && self.pipeline.is_quiet() && self.tells_in_flight == 0 {
                return Ok(());
            }
            if self.now > end.plus(STOP_PATIENCE) {
                return Err(Failure::new(
                    "E_RUN_002",
                    exit::HALTED,
                    format!("own orders are still alive {} s after the end", STOP_PATIENCE.secs_f64()),
                    "the venue did not confirm that they are gone",
                    "look at the journal with `touchline inspect`, and report it",
                ));
            }
            let queued = self.queue.peek().map(|Reverse(due)| due.at);
            let timer = self.pipeline.next_deadline();
            // The venue first, then what travels, then the timer: one fixed order for events of one time.
            let venue = self.venue.next_event_at();
            let Some(next) = [venue, queued, timer].into_iter().flatten().min() else {
                return Err(Failure::bug("a virtual session with nothing left to happen"));
            };
            self.now = self.now.max(next);
            if venue.is_some_and(|at| at <= self.now) {
                self.venue.advance(self.now);
            } else if queued.is_some_and(|at| at <= self.now) {
                if let Some(Reverse(due)) = self.queue.pop() {
                    stopping |= self.happen(due.event, stopping)?;
                }
            } else {
                self.decide(&Input::Timer, 0)?;
            }
        }
    }

    /// Takes what the venue has published and sends it on its way.
    fn collect(&mut self) {
        let at = self.now.plus(self.config.latencies.feed);
        let market: Vec<VenueMarketEvent> = self.venue.market_events().collect();
        for event in market {
            self.put(at, Event::Feed(event));
        }
        let user: Vec<_> = self.venue.user_events().collect();
        for (account, event) in user {
            if account == self.config.account {
                for input in wire_up::inputs_of(&event, &self.instruments, at) {
                    self.put(at, Event::Tell(input));
                }
            }
        }
    }

    fn ask_for_snapshots(&mut self) {
        while let Some(instrument) = self.market.snapshot_wanted(self.now) {
            let at = self.now.plus(self.config.latencies.order);
            self.put(at, Event::SnapshotRequest(instrument));
        }
    }

    /// Lets one thing happen; whether it was the order to stop.
    fn happen(&mut self, event: Event, stopping: bool) -> Result<bool, Failure> {
        match event {
            Event::Feed(event) => {
                let mut depth = DepthBuf::with_capacity(0);
                let event = wire_up::feed_event(event, self.now, &mut depth);
                if let Some(event) = event {
                    self.on_feed(&event)?;
                }
            }
            Event::Snapshot(mut depth) => {
                depth.head.recv_ts = self.now;
                self.on_feed(&FeedEvent::Depth(depth.as_ref()))?;
            }
            Event::SnapshotRequest(instrument) => {
                let snapshot = self.venue.depth(instrument, SNAPSHOT_LEVELS);
                let depth = DepthBuf {
                    head: DepthHead {
                        instrument,
                        kind: DepthKind::Snapshot,
                        first_id: snapshot.last_update_id,
                        last_id: snapshot.last_update_id,
                        prev_id: None,
                        event_ts: TimestampNs::ZERO,
                        recv_ts: TimestampNs::ZERO,
                    },
                    bids: snapshot.bids,
                    asks: snapshot.asks,
                };
                self.put(self.now.plus(self.config.latencies.ack), Event::Snapshot(depth));
            }
            Event::Request { request, command } => self.serve(request, command),
            Event::Tell(input) => {
                self.tells_in_flight -= 1;
                self.decide(&input, 0)?;
            }
            Event::Answer(answer, report) => {
                self.tells_in_flight -= 1;
                self.journal_gateway(&GatewayEvent::Answer(answer))?;
                self.decide(&Input::Exec(report), 0)?;
            }
            Event::Stop if !stopping => {
                self.decide(&Input::Control(Control::Stop), 0)?;
                return Ok(true);
            }
            Event::Stop => {}
        }
        Ok(false)
    }

    fn on_feed(&mut self, event: &FeedEvent<'_>) -> Result<(), Failure> {
        let feed_seq = self.journal.next_seq(Stream::Feed);
        let (kind, ts) = event.encode(&mut self.record);
        let units = self.record.finish(Stream::Feed, kind, Flags::NONE, feed_seq, ts);
        self.journal.append(Stream::Feed, units).map_err(super::output::journal_failure)?;
        if let Some(update) = self.market.on_event(event) {
            self.tick_ts = self.now;
            self.decide(&Input::Market(update), feed_seq)?;
            self.tick_ts = TimestampNs::ZERO;
        }
        Ok(())
    }

    /// Journals an input, decides, journals the answer, and only then acts on it.
    fn decide(&mut self, input: &Input, feed_seq: u64) -> Result<(), Failure> {
        let kind = InputEvent::of(input, feed_seq).encode(&mut self.record);
        self.journal_quote(kind)?;
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        self.pipeline.on_event(self.now, input, &mut actions);
        for action in actions.as_slice() {
            let kind = encode_action(action, &mut self.record);
            self.journal_quote(kind)?;
        }
        for action in actions.as_slice() {
            if let Action::Command(command) = action {
                self.send(*command)?;
            }
        }
        self.actions = actions;
        Ok(())
    }

    fn journal_quote(&mut self, kind: Kind) -> Result<(), Failure> {
        let seq = self.journal.next_seq(Stream::Quote);
        let units = self.record.finish(Stream::Quote, kind, Flags::NONE, seq, self.now);
        self.journal.append(Stream::Quote, units).map_err(super::output::journal_failure)
    }

    fn journal_gateway(&mut self, event: &GatewayEvent) -> Result<(), Failure> {
        let seq = self.journal.next_seq(Stream::Gateway);
        let (kind, ts) = event.encode(&mut self.record);
        let units = self.record.finish(Stream::Gateway, kind, Flags::NONE, seq, ts);
        self.journal.append(Stream::Gateway, units).map_err(super::output::journal_failure)
    }

    fn send(&mut self, command: Command) -> Result<(), Failure> {
        self.requests += 1;
        let latencies = self.config.latencies;
        let travel = match command {
            Command::Place(_) => {
                self.orders_sent += 1;
                self.first_order.get_or_insert(self.now);
                latencies.order
            }
            Command::Amend { .. } => latencies.order,
            Command::Cancel { .. } | Command::Query { .. } => latencies.cancel,
        };
        self.journal_gateway(&GatewayEvent::Sent(GatewaySent {
            request: self.requests,
            operation: wire_up::operation_of(&command),
            attempt: 0,
            instrument: command.instrument(),
            client_id: command.client_id(),
            tick_ts: self.tick_ts,
            sent_ts: self.now,
        }))?;
        // In doubt without an answer must not look quiet: the answer counts as under way from now on.
        self.put(self.now.plus(travel), Event::Request { request: self.requests, command });
        Ok(())
    }

    /// The venue serves a request; the answer goes on its way.
    fn serve(&mut self, request: u64, command: Command) {
        let instrument = self.instruments[command.instrument().index()];
        let client_id = command.client_id();
        let name = client_id.to_string();
        let account = self.config.account;
        let reference = OrderRef::client(&name);
        let lots = |e8: i64| crate::types::Qty::from_lots(e8 / instrument.spec.lot_e8);
        let id = instrument.id;
        let answer: Result<(ExecKind, u64, TimestampNs), _> = match command {
            Command::Place(order) => {
                let kind = match order.kind {
                    OrderKind::Limit(time_in_force) => VenueOrderKind::Limit(time_in_force),
                    OrderKind::PostOnly => VenueOrderKind::LimitMaker,
                    OrderKind::Market => VenueOrderKind::Market,
                };
                let (price_e8, qty_e8) = (instrument.price_e8(order.price), instrument.qty_e8(order.qty));
                let order = VenueOrder::limit(id, order.side, kind, price_e8, qty_e8, Some(name.clone()));
                self.venue
                    .place(self.now, account, &order)
                    .map(|placed| (ExecKind::Accepted, placed.order.order_id, placed.transact_ts))
            }
            Command::Cancel { .. } => self.venue.cancel(self.now, account, id, reference, None, None).map(|done| {
                let cum_qty = lots(done.order.executed_qty_e8);
                (ExecKind::Canceled { cum_qty }, done.order.order_id, done.transact_ts)
            }),
            Command::Amend { qty, .. } => self
                .venue
                .amend(self.now, account, id, reference, instrument.qty_e8(qty), Some(&name))
                .map(|done| (ExecKind::Amended { qty }, done.order.order_id, done.transact_ts)),
            Command::Query { .. } => self.venue.order(account, id, reference).map(|order| {
                let status = wire_up::status_of(order.status);
                let (cum_qty, order_qty) = (lots(order.executed_qty_e8), lots(order.orig_qty_e8));
                (ExecKind::Status { status, cum_qty, order_qty }, order.order_id, order.updated_ts)
            }),
        };
        let recv_ts = self.now.plus(self.config.latencies.ack);
        let (kind, venue_id, event_ts, outcome, code) = match answer {
            Ok((kind, order_id, event_ts)) => (kind, Some(VenueOrderId(order_id)), event_ts, Outcome::Done, 0),
            Err(reject) => {
                // The same reading of the venue's words as in a live session.
                let body = serde_json::json!({"code": reject.code, "msg": reject.text}).to_string();
                let reply = rest::Reply::Answer { status: 400, body: body.as_bytes() };
                let read = rest::read_reply(&command, &instrument, reply);
                (read.kind, None, TimestampNs::ZERO, Outcome::Refused, reject.code)
            }
        };
        let source = match command {
            Command::Query { .. } => ExecSource::Query,
            _ => ExecSource::Response,
        };
        let report = ExecReport { instrument: id, client_id, venue_id, event_ts, recv_ts, source, kind };
        let answer = GatewayAnswer {
            request,
            operation: wire_up::operation_of(&command),
            outcome,
            instrument: id,
            client_id,
            http_status: if outcome == Outcome::Done { 200 } else { 400 },
            code,
            recv_ts,
        };
        // What the venue told the user stream in this call left before the answer did.
        self.collect();
        self.put(recv_ts, Event::Answer(answer, report));
    }

    fn balances(&self) -> Vec<(i64, i64)> {
        let balances = self.venue.account(self.config.account).unwrap_or_default();
        self.instruments
            .iter()
            .map(|instrument| {
                (balances.of(instrument.spec.base).total_e8(), balances.of(instrument.spec.quote).total_e8())
            })
            .collect()
    }

    fn end(mut self, start: TimestampNs, before: &[(i64, i64)]) -> Result<VirtualOutcome, Failure> {
        for stream in [Stream::Quote, Stream::Gateway] {
            self.record.begin();
            let seq = self.journal.next_seq(stream);
            let units = self.record.finish(stream, Kind::End, Flags::NONE, seq, self.now);
            self.journal.append(stream, units).map_err(super::output::journal_failure)?;
        }
        let balance_changes =
            self.balances().iter().zip(before).map(|(now, then)| (now.0 - then.0, now.1 - then.1)).collect();
        let account = self.config.account;
        let open_orders = self.venue.open_orders(account, None).len();
        let trades = account::all_trades(&self.venue, account, &self.instruments);
        let flow_digests = self.instruments.iter().map(|instrument| self.venue.flow_digest(instrument.id)).collect();
        let snapshots =
            self.instruments.iter().map(|instrument| (*instrument, self.pipeline.snapshot(instrument.id))).collect();
        let digests = SessionEnd::new(Some(self.market.digest()), Some(self.pipeline.digest()));
        let journal = self.journal.close().map_err(super::output::journal_failure)?;
        digests.write(&journal).map_err(super::output::journal_failure)?;
        super::warm::write(&journal.join(super::warm::STATE_FILE), &self.pipeline.warm_state())?;
        Ok(VirtualOutcome {
            journal,
            snapshots,
            trades,
            balance_changes,
            open_orders,
            flow_digests,
            first_quote_after: self.first_order.map(|at| at.since(start)),
            lasted: self.now.since(start),
            orders_sent: self.orders_sent,
        })
    }
}
