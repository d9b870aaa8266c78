//! A whole session in virtual time: venue, books, decisions and journal stepped in one thread by a queue of events.
//!
//! Used by `demo --virtual` and by the backtest. The same code decides as in a live session and the same records are
//! written; only the clock, the sockets and the latencies differ: time jumps from event to event, and each message
//! travels as long as a seeded model says. Nothing here reads a clock, so a seed gives the same bytes every time. The only
//! thing that touches the outside is the journal.

pub mod tape;
mod wire;
mod wire_up;

use std::path::PathBuf;

use super::report::Causes;
use super::{Failure, exit};
use crate::journal::{JournalConfig, LocalJournal, SessionEnd, SessionInfo};
use crate::pipeline::market::MarketStage;
use crate::pipeline::quoter::QuoterMaker;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Pipeline, PipelineConfig, PipelineSnapshot, WarmState};
use crate::sim::faults::{EventFate, FaultCount, Faults, MarketFate, Reply, Runs};
use crate::sim::latency::{LatencyModel, Travel, Way};
use crate::sim::{
    AccountId, Answered, Exchange, InFlight, Served, UserEvent, Venue, VenueMarketEvent, feed_event, inputs_of,
    operation_of,
};
use crate::types::{
    Action, Actions, BookState, Command, Control, DesyncReason, DurationNs, Input, Instrument, InstrumentId, SessionId,
    TimestampNs,
};
use crate::venue::binance::rest;
use crate::wire::gateway::{GatewayEvent, GatewaySent};
use crate::wire::quote::{InputEvent, encode_action};
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent, FeedNotice, FeedOwned, Flags, Kind, RecordBuf, Stream};
use tape::{Tape, TapeEvents};
use wire::{Outage, Wire};

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
    /// How long messages travel; what is random about it has the session's number for a seed.
    pub latencies: LatencyModel,
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
    /// Why each execution happened, as the venue recorded it.
    pub causes: Causes,
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
    /// Live books that lost sync.
    pub desyncs: u64,
    /// How often each fault of the venue's plan happened.
    pub faults: Vec<FaultCount>,
}

/// Something on its way.
#[derive(Debug)]
enum Event {
    /// Market data reaches us.
    Feed(VenueMarketEvent),
    /// Market data of a tape reaches us.
    Recorded(FeedOwned),
    /// A snapshot reaches us.
    Snapshot(DepthBuf),
    /// A request for a snapshot reaches the venue.
    SnapshotRequest(InstrumentId),
    /// A request reaches the venue.
    Request { request: u64, command: Command },
    /// Something about our orders or balances reaches us.
    Tell(Box<Input>),
    /// A gateway's answer reaches us: first to the gateway's stream, then to the decision.
    Answer(Answered),
    /// We notice that the market-data connection is lost, or that a message of one symbol cannot be read.
    Notice(Option<InstrumentId>, DesyncReason),
    /// The user-data connection is open again.
    Reopened,
    /// The question of what was missed reaches the venue.
    BackFill,
    /// The user-data connection of that number has told everything that was missed.
    Reconciled(u32),
    /// The session is over: cancel everything.
    Stop,
}

/// The venue's words for an outcome that it does not know.
const TIMEOUT: &[u8] = br#"{"code":-1007,"msg":"Timeout waiting for response from backend server."}"#;
/// Its words for an error of its own.
const SERVER_ERROR: &[u8] = br#"{"code":-1000,"msg":"An unknown error occurred while processing the request."}"#;
/// Its words for too many requests.
const RATE_LIMIT: &[u8] = br#"{"code":-1003,"msg":"Too many requests."}"#;
/// How long after its end a session may take to see its own orders gone.
const STOP_PATIENCE: DurationNs = DurationNs::from_secs(30);
/// Levels a side of a snapshot, as the engine asks for.
const SNAPSHOT_LEVELS: usize = 1000;

/// Sees the market as the venue publishes it.
type Watch<'a> = dyn FnMut(&VenueMarketEvent) + 'a;

struct Session<'a> {
    config: &'a VirtualConfig,
    watch: &'a mut Watch<'a>,
    instruments: Vec<Instrument>,
    exchange: Exchange,
    /// Where market data comes from when the venue has none of its own.
    tape: Option<Tape>,
    market: MarketStage,
    pipeline: Pipeline,
    journal: LocalJournal,
    travel: Travel,
    queue: InFlight<Event>,
    now: TimestampNs,
    actions: Actions,
    record: RecordBuf,
    requests: u64,
    tells_in_flight: usize,
    orders_sent: u64,
    desyncs: u64,
    causes: Causes,
    first_order: Option<TimestampNs>,
    tick_ts: TimestampNs,
    wire: Wire,
}

/// Runs a session to its end. The venue has one account of ours and its flow; its clock gives the start.
///
/// # Errors
/// When the decisions' configuration cannot be used, the journal cannot be written, or own orders do not end.
pub fn run(config: &VirtualConfig, venue: Venue) -> Result<VirtualOutcome, Failure> {
    run_watched(config, venue, &mut |_| {})
}

/// Runs a session and shows `watch` each public message as the venue publishes it, before anything goes wrong with it:
/// what a book is made of that misses nothing.
///
/// # Errors
/// As [`run`].
pub fn run_watched<'a>(
    config: &'a VirtualConfig,
    venue: Venue,
    watch: &'a mut Watch<'a>,
) -> Result<VirtualOutcome, Failure> {
    let instruments = instruments_of(&venue);
    let pipeline = Pipeline::new(config.session, &instruments, &config.pipeline).map_err(Failure::of_decisions)?;
    run_pipeline(config, venue, None, &instruments, pipeline, watch)
}

/// Runs a session on a tape: it feeds the venue, whose markets have no flow of their own, and reaches us later. The
/// books join by `rule`.
///
/// # Errors
/// As [`run`], and what the tape fails with.
pub fn run_on_tape(
    config: &VirtualConfig,
    venue: Venue,
    rule: SyncRule,
    events: TapeEvents,
) -> Result<VirtualOutcome, Failure> {
    let instruments = instruments_of(&venue);
    let pipeline = Pipeline::new(config.session, &instruments, &config.pipeline).map_err(Failure::of_decisions)?;
    run_pipeline(config, venue, Some(Tape::new(events, rule)?), &instruments, pipeline, &mut |_| {})
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
    let pipeline = Pipeline::with_quoters(config.session, &instruments, &config.pipeline, quoters)
        .map_err(Failure::of_decisions)?;
    run_pipeline(config, venue, None, &instruments, pipeline, &mut |_| {})
}

fn instruments_of(venue: &Venue) -> Vec<Instrument> {
    venue.config().symbols.iter().map(|symbol| symbol.instrument).collect()
}

fn run_pipeline<'a>(
    config: &'a VirtualConfig,
    venue: Venue,
    tape: Option<Tape>,
    instruments: &[Instrument],
    mut pipeline: Pipeline,
    watch: &'a mut Watch<'a>,
) -> Result<VirtualOutcome, Failure> {
    let start = venue.now();
    let warm = config.warm.clone().map(|warm| warm.aged(start));
    if let Some(warm) = &warm {
        pipeline.begin_with(warm);
    }
    let constants = serde_json::to_value(&config.pipeline)
        .map_err(|error| Failure::bug(format!("the configuration has no text: {error}")))?;
    let rule = tape.as_ref().map_or(SyncRule::Spot, Tape::rule);
    let info = SessionInfo::new(config.session, config.mode, rule.profile(), start, instruments, Some(constants))
        .with_warm(super::warm::value_of(warm.as_ref())?);
    let journal = LocalJournal::create(&JournalConfig::for_virtual_time(&config.journal_dir), &info)
        .map_err(super::output::journal_failure)?;
    let mut session = Session {
        config,
        watch,
        market: MarketStage::new(instruments, rule),
        tape,
        instruments: instruments.to_vec(),
        pipeline,
        journal,
        travel: config.latencies.travel(config.session.0),
        queue: InFlight::default(),
        now: start,
        actions: Actions::new(),
        record: RecordBuf::with_capacity(64 << 10),
        requests: 0,
        tells_in_flight: 0,
        orders_sent: 0,
        desyncs: 0,
        causes: Causes::default(),
        first_order: None,
        tick_ts: TimestampNs::ZERO,
        wire: Wire::new(Faults::new(&venue.config().faults, instruments, start), start),
        exchange: Exchange::new(venue, config.account),
    };
    let balances_before = session.exchange.balances();
    session.begin()?;
    session.drive(start.plus(config.length))?;
    session.end(start, &balances_before)
}

impl Session<'_> {
    fn put(&mut self, at: TimestampNs, event: Event) {
        if matches!(event, Event::Tell(_) | Event::Answer(..)) {
            self.tells_in_flight += 1;
        }
        self.queue.send(at, event);
    }

    /// When a message that leaves now arrives.
    fn arrival(&mut self, way: Way) -> TimestampNs {
        self.travel.arrival(way, self.now)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        for balance in self.exchange.balance_inputs() {
            self.decide(&Input::Balance(balance), 0)?;
        }
        self.decide(&Input::Control(Control::UserStreamUp), 0)
    }

    /// Steps from event to event until the end is reached, everything of ours is gone and nothing is on its way to us.
    fn drive(&mut self, mut end: TimestampNs) -> Result<(), Failure> {
        self.put(end, Event::Stop);
        let (mut stopping, mut over) = (false, false);
        loop {
            self.collect();
            self.ask_for_snapshots();
            let is_played = self.tape.as_ref().is_some_and(Tape::is_over);
            if !stopping && !over && (is_played || self.exchange.venue().is_exhausted()) {
                over = true;
                // The recording is over; what it published is still on its way.
                let at = self.arrival(Way::Feed);
                end = end.min(at);
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
            let queued = self.queue.next_at();
            let timer = self.pipeline.next_deadline();
            // The venue first, then what travels, then the timer: one fixed order for events of one time.
            let venue = self.exchange.venue().next_event_at();
            let tape = self.tape.as_ref().and_then(Tape::next_at);
            let cut = self.wire.faults.next_cut_at();
            let Some(next) = [venue, tape, queued, timer, cut].into_iter().flatten().min() else {
                return Err(Failure::bug("a virtual session with nothing left to happen"));
            };
            self.now = self.now.max(next);
            if venue.is_some_and(|at| at <= self.now) {
                self.exchange.venue_mut().advance(self.now);
            } else if tape.is_some_and(|at| at <= self.now) {
                self.play()?;
            } else if queued.is_some_and(|at| at <= self.now) {
                if let Some((_, event)) = self.queue.arrived(self.now) {
                    stopping |= self.happen(event, stopping)?;
                }
            } else if timer.is_some_and(|at| at <= self.now) {
                self.decide(&Input::Timer, 0)?;
            }
        }
    }

    /// Plays the tape's next event: the venue hears it now, we hear it later.
    fn play(&mut self) -> Result<(), Failure> {
        let Some(event) = self.tape.as_mut().map(Tape::take).transpose()?.flatten() else { return Ok(()) };
        self.exchange.feed(self.now, &event.as_event());
        let at = self.arrival(Way::Feed);
        self.put(at, Event::Recorded(event));
        Ok(())
    }

    /// Takes what the venue has published and sends it on its way.
    fn collect(&mut self) {
        self.cut_sockets();
        let market: Vec<VenueMarketEvent> = self.exchange.venue_mut().market_events().collect();
        for event in market {
            (self.watch)(&event);
            let at = self.arrival(Way::Feed);
            let (symbol, is_depth) = (event.symbol(), matches!(event, VenueMarketEvent::DepthDiff { .. }));
            match self.wire.market(self.now, symbol, is_depth) {
                Ok(Some(MarketFate::Twice)) => {
                    self.put(at, Event::Feed(event.clone()));
                    self.put(at, Event::Feed(event));
                }
                Ok(Some(MarketFate::Broken)) => self.put(at, Event::Notice(Some(symbol), DesyncReason::Malformed)),
                Ok(Some(MarketFate::Told)) => self.put(at, Event::Feed(event)),
                Ok(Some(MarketFate::Late(late))) => self.put(at.plus(late), Event::Feed(event)),
                Ok(_) => {}
                Err(outage) => self.lose_market(outage),
            }
        }
        let user: Vec<_> = self.exchange.venue_mut().user_events().collect();
        for (account, event) in user {
            if account != self.config.account {
                continue;
            }
            // Whatever becomes of the message: it did happen.
            if let UserEvent::Execution(execution) = &event
                && let Some(fill) = &execution.fill
            {
                self.causes.push(execution.order.symbol, fill.trade_id, fill.cause);
            }
            let at = self.arrival(Way::Fill);
            let (copies, at) = match self.wire.event(self.now) {
                Some(EventFate::Told) => (1, at),
                Some(EventFate::Twice) => (2, at),
                Some(EventFate::Late(late)) => (1, at.plus(late)),
                Some(EventFate::Lost) | None => continue,
            };
            for _ in 0..copies {
                for input in inputs_of(&event, &self.instruments, at) {
                    self.put(at, Event::Tell(Box::new(input)));
                }
            }
        }
    }

    fn cut_sockets(&mut self) {
        if let Some(outage) = self.wire.market_cut(self.now) {
            self.lose_market(outage);
        }
        if let Some(outage) = self.wire.user_cut(self.now) {
            let at = self.arrival(Way::Fill);
            self.put(at.max(outage.noticed_at), Event::Tell(Box::new(Input::Control(Control::UserStreamDown))));
            self.put(at.max(outage.back_at), Event::Reopened);
        }
    }

    fn lose_market(&mut self, outage: Outage) {
        let at = self.arrival(Way::Feed).max(outage.noticed_at);
        self.put(at, Event::Notice(None, DesyncReason::Disconnected));
    }

    fn ask_for_snapshots(&mut self) {
        while let Some(instrument) = self.market.snapshot_wanted(self.now) {
            let at = self.arrival(Way::Order);
            self.put(at, Event::SnapshotRequest(instrument));
        }
    }

    /// Lets one thing happen; whether it was the order to stop.
    fn happen(&mut self, event: Event, stopping: bool) -> Result<bool, Failure> {
        match event {
            Event::Feed(event) => {
                let mut depth = DepthBuf::with_capacity(0);
                let event = feed_event(event, self.now, &mut depth);
                if let Some(event) = event {
                    self.on_feed(&event)?;
                }
            }
            Event::Recorded(mut event) => {
                event.set_recv_ts(self.now);
                self.on_feed(&event.as_event())?;
            }
            Event::Snapshot(mut depth) => {
                depth.head.recv_ts = self.now;
                self.on_feed(&FeedEvent::Depth(depth.as_ref()))?;
            }
            Event::SnapshotRequest(instrument) => {
                let snapshot = match &self.tape {
                    None => Some(self.exchange.venue().depth(instrument, SNAPSHOT_LEVELS)),
                    // Asked for again, as over REST, until the tape's book is known.
                    Some(_) => self.exchange.venue().recorded_depth(instrument, SNAPSHOT_LEVELS),
                };
                let Some(snapshot) = snapshot else { return Ok(false) };
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
                let at = self.arrival(Way::Ack);
                self.put(at, Event::Snapshot(depth));
            }
            Event::Request { request, command } => self.serve(request, command),
            Event::Tell(input) => {
                self.tells_in_flight -= 1;
                self.decide(&input, 0)?;
            }
            Event::Answer(Answered { answer, reports }) => {
                self.tells_in_flight -= 1;
                self.journal_gateway(&GatewayEvent::Answer(answer))?;
                for report in reports {
                    self.decide(&Input::Exec(report), 0)?;
                }
            }
            Event::Notice(instrument, reason) => {
                // Each book on its own: one record gives rise to one update at most.
                for index in 0..self.instruments.len() {
                    let id = self.instruments[index].id;
                    if instrument.is_none_or(|wanted| wanted == id) {
                        let notice = FeedNotice { instrument: Some(id), reason, recv_ts: self.now };
                        self.on_feed(&FeedEvent::Notice(notice))?;
                    }
                }
            }
            Event::Reopened => {
                self.wire.reopen(self.now);
                let at = self.arrival(Way::Order);
                self.put(at, Event::BackFill);
            }
            Event::BackFill => {
                let at = self.arrival(Way::Ack);
                for input in self.wire.back_fill(self.exchange.venue(), self.config.account, &self.instruments, at) {
                    self.put(at, Event::Tell(Box::new(input)));
                }
                self.put(at, Event::Reconciled(self.wire.life));
            }
            // A connection that was lost again meanwhile has told nothing.
            Event::Reconciled(life) if life == self.wire.life && self.wire.is_up() => {
                self.decide(&Input::Control(Control::UserStreamUp), 0)?;
            }
            Event::Reconciled(_) => {}
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
        let before = self.live_books();
        let update = self.market.on_event(event);
        self.desyncs += before.saturating_sub(self.live_books()) as u64;
        if let Some(update) = update {
            self.tick_ts = self.now;
            self.decide(&Input::Market(update), feed_seq)?;
            self.tick_ts = TimestampNs::ZERO;
        }
        Ok(())
    }

    fn live_books(&self) -> usize {
        self.instruments.iter().filter(|instrument| self.market.state(instrument.id) == BookState::Live).count()
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
        let way = match command {
            Command::Place(_) => {
                self.orders_sent += 1;
                self.first_order.get_or_insert(self.now);
                Way::Order
            }
            Command::Amend { .. } => Way::Order,
            Command::Cancel { .. } | Command::Query { .. } | Command::Fills { .. } => Way::Cancel,
        };
        self.journal_gateway(&GatewayEvent::Sent(GatewaySent {
            request: self.requests,
            operation: operation_of(&command),
            attempt: 0,
            instrument: command.instrument(),
            client_id: command.client_id(),
            tick_ts: self.tick_ts,
            sent_ts: self.now,
        }))?;
        // In doubt without an answer must not look quiet: the answer counts as under way from now on.
        let at = self.arrival(way);
        self.put(at, Event::Request { request: self.requests, command });
        Ok(())
    }

    /// A request reaches the exchange, or does not; its answer goes on its way, or does not.
    fn serve(&mut self, request: u64, command: Command) {
        let fate = self.wire.faults.on_request(self.now, wire_up::request_of(&command));
        let times = match fate.runs {
            Runs::Never => 0,
            Runs::Once => 1,
            Runs::Twice => 2,
        };
        let mut served = Ok(Served::default());
        for _ in 0..times {
            served = self.exchange.carry_out(self.now, &command);
        }
        let mut recv_ts = self.arrival(Way::Ack);
        if let Reply::Late(late) = fate.reply {
            recv_ts = recv_ts.plus(late);
        }
        let reply = match fate.reply {
            Reply::Own | Reply::Late(_) => None,
            Reply::Nothing => Some(rest::Reply::Lost),
            Reply::Timeout => Some(rest::Reply::Answer { status: 408, body: TIMEOUT }),
            Reply::ServerError => Some(rest::Reply::Answer { status: 500, body: SERVER_ERROR }),
            Reply::RateLimit(_) => Some(rest::Reply::Answer { status: 429, body: RATE_LIMIT }),
        };
        let answered = self.exchange.answer(request, &command, served, reply, recv_ts);
        // What the venue told the user stream in this call left before the answer did.
        self.collect();
        self.put(recv_ts, Event::Answer(answered));
    }

    fn end(mut self, start: TimestampNs, before: &[(i64, i64)]) -> Result<VirtualOutcome, Failure> {
        for stream in [Stream::Quote, Stream::Gateway] {
            self.record.begin();
            let seq = self.journal.next_seq(stream);
            let units = self.record.finish(stream, Kind::End, Flags::NONE, seq, self.now);
            self.journal.append(stream, units).map_err(super::output::journal_failure)?;
        }
        let balance_changes =
            self.exchange.balances().iter().zip(before).map(|(now, then)| (now.0 - then.0, now.1 - then.1)).collect();
        let open_orders = self.exchange.open_orders();
        let venue = self.exchange.venue();
        let flow_digests = self.instruments.iter().map(|instrument| venue.flow_digest(instrument.id)).collect();
        let snapshots =
            self.instruments.iter().map(|instrument| (*instrument, self.pipeline.snapshot(instrument.id))).collect();
        let digests = SessionEnd::new(Some(self.market.digest()), Some(self.pipeline.digest()));
        let journal = self.journal.close().map_err(super::output::journal_failure)?;
        digests.write(&journal).map_err(super::output::journal_failure)?;
        super::warm::write(&journal.join(super::warm::STATE_FILE), &self.pipeline.warm_state())?;
        Ok(VirtualOutcome {
            journal,
            snapshots,
            causes: self.causes,
            balance_changes,
            open_orders,
            flow_digests,
            first_quote_after: self.first_order.map(|at| at.since(start)),
            lasted: self.now.since(start),
            orders_sent: self.orders_sent,
            desyncs: self.desyncs,
            faults: self.wire.faults.counts().collect(),
        })
    }
}
