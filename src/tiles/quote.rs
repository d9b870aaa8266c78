//! The quote tile: the sequencer.
//!
//! Every input of the decision passes here and gets its one place in the total order: it is journaled with its `now`,
//! decided on, the actions are journaled, and only then are commands handed to gateways. Nothing that is not in the
//! journal ever reaches the decision, so a replay repeats it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use quanta::Clock;
use rtrb::{Consumer, Producer};
use tracing::warn;

use super::Tile;
use super::book::DigestSlot;
use super::counter::look;
use super::doorbell::Doorbell;
use super::fate::{Fate, Fault};
use super::message::{BookOut, OrderRequest, Telemetry, TelemetrySender, UserInput};
use crate::gateway::wall_now;
use crate::journal::JournalWriter;
use crate::metrics::{Board, Count, Gauge, Hop, LatestWriter, Stage, Stamps};
use crate::pipeline::{Pipeline, PipelineSnapshot, WarmState};
use crate::topology::tile;
use crate::types::{
    Action, Actions, Command, Control, DurationNs, ExecKind, ExecReport, ExecSource, Input, Instrument, Moment,
    RejectReason, Stopwatch, TimestampNs,
};
use crate::venue::binance::rest::refused;
use crate::wire::lines;
use crate::wire::record::Kind;
use crate::wire::{Flags, InputEvent, RecordBuf, Stream, encode_action};

/// Inputs of each kind taken in one step.
const INPUTS_A_STEP: usize = 32;
/// How often people's figures are made: 20 times a second is more than a terminal shows.
const SNAPSHOT_INTERVAL: DurationNs = DurationNs::from_millis(50);
/// As often when there is never an idle step.
const SNAPSHOT_INTERVAL_BUSY: DurationNs = DurationNs::from_millis(200);

/// Units of the journal that one market update and its actions take.
const UNITS_NEAR: usize = 24;

/// One way of commands to a gateway.
pub struct Lane {
    /// The link.
    pub ring: Producer<OrderRequest>,
    /// Wakes the gateway where it may be parked.
    pub bell: Option<Arc<Doorbell>>,
    /// Index of the link's cells on the board.
    pub cells: usize,
}

/// Where `now` comes from. It is told the input that is next, if one is; the wall clock does not care, a test's does.
pub type NowFn = Box<dyn FnMut(Option<&Input>) -> TimestampNs + Send>;

/// Everything the tile is made of.
pub struct QuoteParts {
    /// `book_quote`.
    pub book: Consumer<BookOut>,
    /// `feed_quote`; absent when nothing is sent.
    pub feed: Option<Consumer<UserInput>>,
    /// `account_quote`; likewise.
    pub account: Option<Consumer<UserInput>>,
    /// `control_quote`.
    pub control: Consumer<Control>,
    /// `*_quote` of all gateways.
    pub answers: Vec<Consumer<ExecReport>>,
    /// Placements and amends; absent when nothing is sent.
    pub place: Option<Lane>,
    /// Cancels and queries, where they have a gateway of their own; otherwise they take the same way.
    pub cancel: Option<Lane>,
    /// The decisions.
    pub pipeline: Pipeline,
    /// The session's instruments.
    pub instruments: Vec<Instrument>,
    /// The quote stream.
    pub journal: JournalWriter,
    /// For people.
    pub telemetry: TelemetrySender,
    /// Figures of each instrument, for people.
    pub snapshots: Vec<LatestWriter<PipelineSnapshot>>,
    /// The clock; a test hands in its own.
    pub now: NowFn,
    /// The engine's life.
    pub fate: Arc<Fate>,
    /// The board.
    pub board: Arc<Board>,
    /// Where the final digest goes.
    pub digest: DigestSlot,
    /// Where what was learnt goes at the end.
    pub warm: WarmSlot,
}

/// The wall clock as a tile's `now`.
pub fn wall_clock() -> NowFn {
    Box::new(|_| wall_now())
}

/// See the module.
pub struct QuoteTile {
    parts: QuoteParts,
    actions: Actions,
    buf: RecordBuf,
    /// Inputs that this tile made itself: refusals of commands that no link took.
    own: VecDeque<ExecReport>,
    clock: Clock,
    last_now: TimestampNs,
    shown_at: TimestampNs,
    life: u32,
    stopping: bool,
    down: bool,
    fills: Vec<u64>,
    /// What people have not been told of the last event's actions.
    untold: Option<Untold>,
}

/// Which of a decision's commands are handed over.
#[derive(Clone, Copy)]
enum Pass {
    All,
    /// What makes or changes orders.
    Orders,
    Others,
}

impl Pass {
    fn takes(self, command: &Command) -> bool {
        let orders = matches!(command, Command::Place(_) | Command::Amend { .. });
        match self {
            Pass::All => true,
            Pass::Orders => orders,
            Pass::Others => !orders,
        }
    }
}

/// What the actions of an event do not say themselves.
struct Untold {
    now: TimestampNs,
    /// Raw counters: its frame read, and what it caused about to be handed over.
    way: Option<[u64; 2]>,
    /// The fill that it was.
    fill: Option<ExecReport>,
}

impl QuoteTile {
    /// A tile before its first input.
    pub fn new(parts: QuoteParts) -> QuoteTile {
        QuoteTile {
            actions: Actions::timed(Stopwatch::new({
                let clock = Clock::new();
                move || look(&clock)
            })),
            buf: RecordBuf::with_capacity(1024),
            own: VecDeque::with_capacity(crate::types::ACTIONS_MAX),
            clock: Clock::new(),
            last_now: TimestampNs::ZERO,
            shown_at: TimestampNs::ZERO,
            life: 0,
            stopping: false,
            down: false,
            fills: vec![0; parts.instruments.len()],
            untold: None,
            parts,
        }
    }

    /// Sequences one input, whatever is due before it, and what comes of it here. `cause` is the feed record and the
    /// stamps behind a market update. The order depends on inputs and their times alone, never on how many inputs a step
    /// found: fused and split runners decide the same.
    fn take(&mut self, input: &Input, cause: Option<(u64, Stamps)>) {
        let now = (self.parts.now)(Some(input));
        if self.parts.pipeline.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.sequence(now, &Input::Timer, None);
            self.take_refusals(now);
        }
        self.sequence(now, input, cause);
        self.take_refusals(now);
    }

    /// Commands that no link took are refused at once.
    fn take_refusals(&mut self, now: TimestampNs) {
        while let Some(report) = self.own.pop_front() {
            self.sequence(now, &Input::Exec(report), None);
        }
    }

    fn sequence(&mut self, now: TimestampNs, input: &Input, cause: Option<(u64, Stamps)>) {
        if self.down {
            return;
        }
        // Time does not run back within a session, whatever the system's clock does.
        let now = now.max(self.last_now);
        self.last_now = now;
        let (feed_seq, mut stamps) = cause.unwrap_or((0, Stamps::NONE));
        let kind = InputEvent::of(input, feed_seq).encode(&mut self.buf);
        if !self.journal(kind, now) {
            return;
        }
        self.tell_people();
        self.actions.clear();
        self.parts.pipeline.on_event(now, input, &mut self.actions);
        for index in 0..self.actions.as_slice().len() {
            let kind = encode_action(&self.actions.as_slice()[index], &mut self.buf);
            if !self.journal(kind, now) {
                return;
            }
        }
        self.parts.board.bump(Count::Inputs, 1);
        let tick_ts = match input {
            Input::Market(update) => {
                self.parts.board.bump(Count::Ticks, 1);
                update.recv_ts()
            }
            _ => TimestampNs::ZERO,
        };
        if stamps.is_some() {
            stamps.set(Stage::Featured, self.actions.moment(Moment::Featured));
            stamps.set(Stage::Quoted, self.actions.moment(Moment::Quoted));
            stamps.set(Stage::Checked, self.actions.moment(Moment::Checked));
        }
        let (read_tsc, mut queued_tsc) = (stamps.at(Stage::Read), None);
        // A gateway that serves both serves new orders first; where cancels have a gateway of their own, nobody waits.
        let passes: &[Pass] = if self.parts.cancel.is_none() { &[Pass::Orders, Pass::Others] } else { &[Pass::All] };
        for pass in passes {
            for index in 0..self.actions.as_slice().len() {
                let command = match &self.actions.as_slice()[index] {
                    Action::Command(command) if pass.takes(command) => *command,
                    _ => continue,
                };
                // Only the first placement's way is told: the others wait for its round trip.
                let is_place = matches!(command, Command::Place(_));
                let mut stamps = if is_place { std::mem::take(&mut stamps) } else { Stamps::NONE };
                if stamps.is_some() {
                    let now_tsc = look(&self.clock);
                    queued_tsc = Some(now_tsc);
                    stamps.set(Stage::Queued, now_tsc);
                }
                self.hand_over(OrderRequest { command, stamps, tick_ts }, now);
            }
        }
        let has_acted = !self.actions.as_slice().is_empty();
        let fill = match input {
            Input::Exec(report) if matches!(report.kind, ExecKind::Fill(_)) => Some(*report),
            _ => None,
        };
        if has_acted || fill.is_some() {
            let handed_over = || [read_tsc, queued_tsc.unwrap_or_else(|| self.clock.raw())];
            let way = (has_acted && read_tsc != 0).then(handed_over);
            self.untold = Some(Untold { now, way, fill });
        }
        if let Input::Control(control) = input {
            self.on_control(control);
        }
    }

    /// Tells people what the last event caused: they come after the orders, which may have to leave on this very thread.
    fn tell_people(&mut self) {
        let Some(Untold { now, way, fill }) = self.untold.take() else { return };
        for action in self.actions.as_slice() {
            if let Action::Quote(decision) = action {
                self.parts.board.bump(Count::Quotes, 1);
                self.parts.telemetry.send(&self.parts.board, Telemetry::Quote(now, *decision));
            }
        }
        if let Some([read, handed_over]) = way {
            let ns = self.clock.delta_as_nanos(read, handed_over);
            self.parts.telemetry.send(&self.parts.board, Telemetry::Sample(Hop::TickToDecision, ns));
        }
        // Behind the quote, whose mid it is measured against.
        if let Some(report) = fill {
            self.tell_fill(&report);
        }
    }

    fn journal(&mut self, kind: Kind, now: TimestampNs) -> bool {
        let units = self.buf.finish(Stream::Quote, kind, Flags::NONE, self.parts.journal.next_seq(), now);
        match self.parts.journal.append(units) {
            Ok(()) => true,
            Err(down) => {
                // An intent that cannot be committed must not be sent: the session ends, and its orders are swept.
                self.down = true;
                self.parts.fate.fail(Fault { tile: tile::QUOTE, what: down.to_string(), is_panic: false });
                false
            }
        }
    }

    fn hand_over(&mut self, request: OrderRequest, now: TimestampNs) {
        let QuoteParts { place, cancel, board, .. } = &mut self.parts;
        let cancel = if cancel.is_some() { cancel } else { &mut *place };
        let (lane, count) = match request.command {
            Command::Place(_) => (place, Count::OrdersSent),
            Command::Amend { .. } => (place, Count::AmendsSent),
            Command::Cancel { .. } => (cancel, Count::CancelsSent),
            Command::Query { .. } | Command::Fills { .. } => (cancel, Count::QueriesSent),
        };
        let sent = match lane {
            None => false,
            Some(lane) if lane.ring.is_abandoned() => false,
            Some(lane) => {
                let sent = lane.ring.push(request).is_ok();
                let used = lane.ring.buffer().capacity() - lane.ring.slots();
                board.links()[lane.cells].note(used);
                if let Some(bell) = &lane.bell {
                    bell.ring();
                }
                sent
            }
        };
        if sent {
            self.parts.board.bump(count, 1);
            return;
        }
        self.parts.board.bump(Count::CommandsRefused, 1);
        self.own.push_back(ExecReport {
            instrument: request.command.instrument(),
            client_id: request.command.client_id(),
            venue_id: None,
            event_ts: TimestampNs::ZERO,
            recv_ts: now,
            source: ExecSource::Response,
            kind: refused(&request.command, RejectReason::NotSent),
        });
    }

    fn tell_fill(&mut self, report: &ExecReport) {
        let counted = self.parts.pipeline.snapshot(report.instrument).counters.fills;
        let seen = &mut self.fills[report.instrument.index()];
        if counted > *seen {
            self.parts.board.bump(Count::Fills, counted - *seen);
            *seen = counted;
            self.parts.telemetry.send(&self.parts.board, Telemetry::Fill(*report));
        }
    }

    fn on_control(&mut self, control: &Control) {
        match control {
            Control::Stop => {
                self.stopping = true;
                self.parts.board.set(Gauge::Stopping, 1);
            }
            Control::UserStreamUp => self.parts.board.set(Gauge::UserUp, 1),
            Control::UserStreamDown => self.parts.board.set(Gauge::UserUp, 0),
            _ => {}
        }
    }

    fn take_answers(&mut self) -> usize {
        let mut work = 0;
        for index in 0..self.parts.answers.len() {
            for _ in 0..INPUTS_A_STEP {
                let Ok(report) = self.parts.answers[index].pop() else { break };
                self.take(&Input::Exec(report), None);
                work += 1;
            }
        }
        work
    }

    fn take_user(&mut self) -> usize {
        let mut work = 0;
        // Reconciliation first: what was missed is older than what comes now.
        for _ in 0..INPUTS_A_STEP {
            let Some(Ok(item)) = self.parts.account.as_mut().map(Consumer::pop) else { break };
            work += 1;
            // The stream was lost again while the account was asked: only a later answer may say that it is up.
            let is_void = matches!(item.input, Input::Control(Control::UserStreamUp)) && item.life != self.life;
            if !is_void {
                self.take(&item.input, None);
            }
        }
        for _ in 0..INPUTS_A_STEP {
            let Some(Ok(item)) = self.parts.feed.as_mut().map(Consumer::pop) else { break };
            work += 1;
            self.life = item.life;
            self.take(&item.input, None);
        }
        work
    }

    fn take_market(&mut self) -> usize {
        let mut work = 0;
        for _ in 0..INPUTS_A_STEP {
            // Read where it lies: out of the ring and into the input it is copied once.
            let Ok(chunk) = self.parts.book.read_chunk(1) else { break };
            let out = &chunk.as_slices().0[0];
            let input = Input::Market(out.update);
            let cause = (out.feed_seq, out.stamps);
            chunk.commit_all();
            self.take(&input, Some(cause));
            work += 1;
        }
        work
    }

    fn take_timer(&mut self) -> usize {
        let Some(deadline) = self.parts.pipeline.next_deadline() else { return 0 };
        let now = (self.parts.now)(None);
        if deadline > now {
            return 0;
        }
        self.sequence(now, &Input::Timer, None);
        self.take_refusals(now);
        1
    }

    fn show(&mut self, work: usize) {
        // An order that was just decided on goes first: figures wait for an idle step, but not for ever.
        let wait = if work == 0 { SNAPSHOT_INTERVAL } else { SNAPSHOT_INTERVAL_BUSY };
        if self.last_now.since(self.shown_at) < wait {
            return;
        }
        self.shown_at = self.last_now;
        self.show_now();
    }

    fn show_now(&mut self) {
        let (mut rejected, mut would_cross, mut accepted, mut unknown) = (0, 0, 0, 0);
        for (instrument, writer) in self.parts.instruments.iter().zip(&self.parts.snapshots) {
            let snapshot = self.parts.pipeline.snapshot(instrument.id);
            rejected += snapshot.counters.rejected_total();
            would_cross += snapshot.counters.post_only_rejects();
            accepted += snapshot.counters.accepted;
            unknown += snapshot.counters.unknowns;
            writer.set(snapshot);
        }
        let board = &self.parts.board;
        board.put(Count::OrdersRejected, rejected);
        board.put(Count::WouldCross, would_cross);
        board.put(Count::OrdersAccepted, accepted);
        board.put(Count::PlaceUnknown, unknown);
    }
}

impl Tile for QuoteTile {
    fn name(&self) -> &'static str {
        tile::QUOTE
    }

    fn step(&mut self) -> usize {
        if self.down {
            return 0;
        }
        let mut work = self.take_answers() + self.take_user();
        for _ in 0..INPUTS_A_STEP {
            let Ok(control) = self.parts.control.pop() else { break };
            self.take(&Input::Control(control), None);
            work += 1;
        }
        work += self.take_market();
        // What is due comes before each input anyway: without one, the clock is asked.
        if work == 0 {
            self.tell_people();
            work = self.take_timer();
        }
        if self.stopping && self.parts.pipeline.is_quiet() {
            self.parts.fate.set_quiet();
        }
        self.show(work);
        work
    }

    fn is_done(&self) -> bool {
        // The end comes through the book: everything it still had has been decided on.
        self.down || (self.parts.book.is_abandoned() && self.parts.book.is_empty() && self.parts.fate.must_end())
    }

    fn keep_near(&mut self) {
        self.parts.journal.claim_next(UNITS_NEAR);
        self.parts.telemetry.keep_near();
        if let Some(lane) = &mut self.parts.place {
            lines::claim_next(&mut lane.ring, 2);
        }
    }

    fn close(&mut self) {
        self.tell_people();
        self.show_now();
        if !self.down {
            self.buf.begin();
            let _ = self.journal(Kind::End, self.last_now);
            let digest = self.parts.pipeline.digest();
            *self.parts.digest.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
            let warm = self.parts.pipeline.warm_state();
            *self.parts.warm.lock().unwrap_or_else(PoisonError::into_inner) = Some(warm);
        }
        if !self.parts.pipeline.is_quiet() {
            warn!("the decision ends with orders alive or in doubt; the venue is asked next");
        }
    }
}

/// Where the quote tile leaves what was learnt, for the next session.
pub type WarmSlot = Arc<Mutex<Option<WarmState>>>;

/// A slot for a digest.
pub fn digest_slot() -> DigestSlot {
    Arc::new(Mutex::new(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientOrderId, InstrumentId, NewOrder, OrderKind, Price, Qty, SessionId, Side};

    #[test]
    fn a_gateway_of_all_commands_is_given_each_of_them_once_and_new_orders_first() {
        let (instrument, client_id) = (InstrumentId(0), ClientOrderId { session: SessionId(1), counter: 1 });
        let (side, price, qty, kind) = (Side::Bid, Price::from_ticks(1), Qty::from_lots(1), OrderKind::PostOnly);
        let commands = [
            Command::Query { instrument, client_id },
            Command::Cancel { instrument, client_id, venue_id: None },
            Command::Amend { instrument, client_id, venue_id: None, qty },
            Command::Place(NewOrder { instrument, client_id, side, price, qty, kind }),
        ];
        let taken = |pass: Pass| commands.map(|command| pass.takes(&command));
        assert_eq!(taken(Pass::Orders), [false, false, true, true]);
        assert_eq!(taken(Pass::Others), [true, true, false, false]);
        assert_eq!(taken(Pass::All), [true; 4]);
    }
}
