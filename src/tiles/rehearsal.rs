//! The rehearsal tile: keeps the way of an order warm while nothing happens.
//!
//! Between two ticks a spinning thread asks its sockets and runs nothing else, and within a millisecond the code of the
//! way from frame to order is gone from the nearer caches: the first order then takes five times as long as the second.
//! So the thread plays the way through, every fifty microseconds, on an understudy: a decoder, a book, decisions and a
//! gateway of its own, which share code with the real ones and nothing else. No link, journal, socket or limit of the
//! session is within its reach, so what it does cannot show in any decision, record or order.

use std::fmt::Write;
use std::sync::Arc;

use quanta::Clock;

use super::Tile;
use super::fate::Fate;
use super::near::Sweep;
use crate::gateway::Gateway;
use crate::metrics::LatestReader;
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{ConfigError, Pipeline, PipelineConfig, PipelineSnapshot};
use crate::topology::tile;
use crate::types::{
    Action, Actions, Balance, Command, Control, DurationNs, ExecKind, ExecReport, ExecSource, Input, Instrument,
    InstrumentId, Level, MarketUpdate, Price, Qty, SessionId, TimestampNs, format_e8_padded,
};
use crate::venue::binance::decode::{Decoder, DecoderKind};
use crate::wire::{
    DepthBuf, DepthKind, FeedEvent, Flags, InputEvent, RecordBuf, Stream, UnitReceiver, UnitSender, encode_action,
    unit_link,
};

/// Levels of a side.
const LEVELS: i64 = 10;
/// Lines asked for at once: a microsecond's worth when they are far away.
const LINES_A_LOOK: usize = 128;
/// How far the mid jumps from one rehearsal to the next, in ticks: far enough for a new quote.
const JUMP: i64 = 6;
/// What passes between two rehearsals on their own clock: a busy market's pause between two messages. A longer one would
/// rehearse the work of timers, which no order waits for.
const STEP: DurationNs = DurationNs::from_millis(20);
/// More than any order costs.
const FUNDS_E8: i64 = 100_000_000_000_000_000;
/// More than the longest frame's record.
const LINK_UNITS: usize = 64;
/// Turns of commands and answers within one rehearsal: cancels, then what takes their place.
const TURNS: usize = 3;

/// See the module.
pub struct RehearsalTile {
    /// Where the first instrument trades: the understudy begins when that is known.
    shown: LatestReader<PipelineSnapshot>,
    understudy: Understudy,
    sweep: Sweep,
    every_ns: u64,
    /// Between two scenes, and how many there have been: a rehearsal has a dozen.
    pause_ns: u64,
    scenes: u64,
    last: u64,
    clock: Clock,
    fate: Arc<Fate>,
}

impl RehearsalTile {
    /// A tile that takes so many microseconds for one rehearsal, and the time that its scenes themselves take.
    pub fn new(
        understudy: Understudy,
        shown: LatestReader<PipelineSnapshot>,
        every_us: u64,
        fate: Arc<Fate>,
    ) -> RehearsalTile {
        let clock = Clock::new();
        RehearsalTile {
            shown,
            understudy,
            sweep: Sweep::default(),
            every_ns: every_us * 1_000,
            pause_ns: every_us * 1_000,
            scenes: 0,
            last: clock.raw(),
            clock,
            fate,
        }
    }
}

impl Tile for RehearsalTile {
    fn name(&self) -> &'static str {
        tile::REHEARSAL
    }

    /// Never any work, so that a thread which only rehearses is an idle one.
    fn step(&mut self) -> usize {
        let now = self.clock.raw();
        if self.clock.delta_as_nanos(self.last, now) < self.pause_ns {
            return 0;
        }
        if self.understudy.has_begun() {
            self.scenes += 1;
            if self.understudy.rehearse() {
                self.pause_ns = self.every_ns / std::mem::take(&mut self.scenes);
            }
        } else if let Some(mark) = self.shown.get().and_then(|snapshot| snapshot.mark) {
            self.understudy.begin(Price::from_ticks(mark.get() / 2));
        }
        self.last = self.clock.raw();
        0
    }

    fn keep_near(&mut self) {
        self.sweep.step(LINES_A_LOOK);
    }

    fn is_done(&self) -> bool {
        self.fate.must_end()
    }
}

/// Plays the way from frame to order on its own.
pub struct Understudy {
    instrument: Instrument,
    decoder: Decoder,
    depth: DepthBuf,
    record: RecordBuf,
    /// The link from reader to book.
    to_book: UnitSender,
    from_feed: UnitReceiver,
    stage: MarketStage,
    /// What the book said last.
    update: Option<MarketUpdate>,
    pipeline: Pipeline,
    actions: Actions,
    gateway: Gateway,
    /// What the decisions want.
    commands: Vec<Command>,
    /// What is being answered.
    asked: Vec<Command>,
    frame: String,
    /// The levels of the two moves that take turns, as they stand in a frame; empty before it has begun.
    moves: [String; 2],
    update_id: u64,
    now: TimestampNs,
    scene: Scene,
    orders: u64,
}

/// What comes next.
#[derive(Default)]
enum Scene {
    /// A frame's text is read.
    #[default]
    Frame,
    /// The book takes what was read.
    Book,
    /// Decisions follow from what the book says.
    Decision,
    /// A command goes its way to the bytes.
    Question { turn: usize, asked: usize },
    /// Decisions follow from its answer.
    Answer { turn: usize, asked: usize, report: ExecReport },
    /// What is due by the clock.
    Timer,
}

impl Understudy {
    /// An understudy of the session's decisions for one instrument. `gateway` is one that sends nothing.
    ///
    /// # Errors
    /// As [`Pipeline::new`].
    pub fn new(
        instrument: Instrument,
        decoder: DecoderKind,
        decisions: &PipelineConfig,
        gateway: Gateway,
    ) -> Result<Understudy, ConfigError> {
        // The only one that it knows, whatever its place in the session.
        let instrument = Instrument::new(InstrumentId(0), instrument.spec);
        let all = [instrument];
        let decisions = without_pauses(decisions);
        let (to_book, from_feed) = unit_link(LINK_UNITS);
        Ok(Understudy {
            decoder: Decoder::new(&all).with_kind(decoder),
            depth: DepthBuf::with_capacity(4 * LEVELS as usize),
            record: RecordBuf::with_capacity(4 << 10),
            to_book,
            from_feed,
            stage: MarketStage::new(&all, SyncRule::Spot),
            update: None,
            pipeline: Pipeline::new(SessionId(1), &all, &decisions)?,
            actions: Actions::new(),
            gateway,
            commands: Vec::with_capacity(16),
            asked: Vec::with_capacity(16),
            frame: String::with_capacity(4 << 10),
            moves: Default::default(),
            update_id: 1,
            now: TimestampNs::from_millis(1),
            scene: Scene::Frame,
            orders: 0,
            instrument,
        })
    }

    fn has_begun(&self) -> bool {
        !self.moves[0].is_empty()
    }

    /// Funds, leave to trade, and the whole book around a mid.
    fn begin(&mut self, mid: Price) {
        let there = mid.plus_ticks(JUMP);
        self.moves = [move_text(&self.instrument, mid, there), move_text(&self.instrument, there, mid)];
        for asset in [self.instrument.spec.base, self.instrument.spec.quote] {
            self.decide(&Input::Balance(Balance { asset, free_e8: FUNDS_E8, locked_e8: 0 }));
        }
        self.decide(&Input::Control(Control::UserStreamUp));
        let mut snapshot = DepthBuf::with_capacity(LEVELS as usize);
        (snapshot.head.kind, snapshot.head.instrument) = (DepthKind::Snapshot, self.instrument.id);
        (snapshot.head.first_id, snapshot.head.last_id) = (self.update_id, self.update_id);
        let level = |ticks| Level { price: mid.plus_ticks(ticks), qty: level_qty(&self.instrument) };
        snapshot.bids.extend((1..=LEVELS).map(|ticks| level(-ticks)));
        snapshot.asks.extend((1..=LEVELS).map(level));
        // The rule wants a message to join the snapshot to: the first one says nothing new.
        self.read(r#""b":[],"a":[]"#);
        self.apply();
        if let Some(update) = self.stage.on_event(&FeedEvent::Depth(snapshot.as_ref())) {
            self.decide(&Input::Market(update));
        }
    }

    /// The next scene of a rehearsal: a frame and all that follows from it, piece by piece, because a tick that comes
    /// meanwhile waits for the piece. Returns whether it was the last one.
    fn rehearse(&mut self) -> bool {
        self.scene = match std::mem::take(&mut self.scene) {
            Scene::Frame => {
                self.now = self.now.plus(STEP);
                self.moves.swap(0, 1);
                let levels = std::mem::take(&mut self.moves[0]);
                let is_whole = self.read(&levels);
                self.moves[0] = levels;
                if is_whole { Scene::Book } else { Scene::Timer }
            }
            Scene::Book => {
                self.update = self.apply();
                if self.update.is_some() { Scene::Decision } else { Scene::Timer }
            }
            Scene::Decision => {
                if let Some(update) = self.update.take() {
                    self.decide(&Input::Market(update));
                }
                self.next_turn(0)
            }
            Scene::Question { turn, asked } => Scene::Answer { turn, asked, report: self.answer(asked) },
            Scene::Answer { turn, asked, report } => {
                self.decide(&Input::Exec(report));
                if asked + 1 < self.asked.len() {
                    Scene::Question { turn, asked: asked + 1 }
                } else {
                    self.next_turn(turn + 1)
                }
            }
            Scene::Timer => {
                if self.pipeline.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.decide(&Input::Timer);
                }
                Scene::Frame
            }
        };
        matches!(self.scene, Scene::Frame)
    }

    /// What was wanted is asked of the venue, as long as there is anything and it does not go on for ever.
    fn next_turn(&mut self, turn: usize) -> Scene {
        self.asked.clear();
        if turn < TURNS {
            std::mem::swap(&mut self.commands, &mut self.asked);
        }
        if self.asked.is_empty() { Scene::Timer } else { Scene::Question { turn, asked: 0 } }
    }

    /// A frame's text, decoded, written as a record and sent on. Returns whether that succeeded.
    fn read(&mut self, levels: &str) -> bool {
        self.update_id += 1;
        self.frame.clear();
        let (symbol, id) = (self.instrument.symbol(), self.update_id);
        // Writing to a string cannot fail.
        let _ = write!(
            self.frame,
            r#"{{"stream":"{symbol}@depth","data":{{"e":"depthUpdate","E":{},"s":"{symbol}","U":{id},"u":{id},{levels}}}}}"#,
            self.now.millis()
        );
        let decoded = self.decoder.decode(self.frame.as_bytes(), self.now, &mut self.depth);
        let Some(event) = decoded.ok().and_then(|decoded| decoded.event(&self.depth)) else { return false };
        let (kind, _) = event.encode(&mut self.record);
        self.to_book.send(self.record.finish(Stream::Feed, kind, Flags::NONE, id, self.now)).is_ok()
    }

    /// The record into the book.
    fn apply(&mut self) -> Option<MarketUpdate> {
        let record = self.from_feed.recv()?.ok()?;
        self.stage.on_event(&FeedEvent::decode(&record).ok()?)
    }

    fn decide(&mut self, input: &Input) {
        InputEvent::of(input, self.update_id).encode(&mut self.record);
        self.actions.clear();
        self.pipeline.on_event(self.now, input, &mut self.actions);
        for action in self.actions.as_slice() {
            encode_action(action, &mut self.record);
            if let Action::Command(command) = action {
                self.commands.push(*command);
            }
        }
    }

    /// Placements go the whole way to the bytes; the venue takes each order and cancels each at once.
    fn answer(&mut self, asked: usize) -> ExecReport {
        let command = &self.asked[asked];
        let kind = match command {
            Command::Place(_) => {
                self.orders += 1;
                return self.gateway.serve(command, || {}).report;
            }
            Command::Cancel { .. } => ExecKind::Canceled { cum_qty: Qty::ZERO },
            Command::Amend { qty, .. } => ExecKind::Amended { qty: *qty },
            Command::Query { .. } | Command::Fills { .. } => ExecKind::NotFound,
        };
        ExecReport {
            instrument: command.instrument(),
            client_id: command.client_id(),
            venue_id: None,
            event_ts: self.now,
            recv_ts: self.now,
            source: ExecSource::Response,
            kind,
        }
    }
}

/// The same decisions with as many orders as there are rehearsals, and as few fits as can be: each takes a third of a
/// millisecond, and a tick that comes meanwhile would wait for it.
fn without_pauses(decisions: &PipelineConfig) -> PipelineConfig {
    let mut decisions = decisions.clone();
    let risk = &mut decisions.risk;
    // The greatest values that each setting may have.
    (risk.orders_per_1s, risk.orders_per_10s, risk.orders_per_1d) = (10_000, 10_000, 1_000_000_000);
    decisions.features.micro_refit_s = 86_400;
    decisions.estimators.intensity_refit_s = 3_600;
    decisions
}

/// More than any order of ours, in lots of a sane size.
fn level_qty(instrument: &Instrument) -> Qty {
    instrument.spec.filters.qty_min.max(Qty::from_lots(1_000))
}

/// What a frame says when a book of [`LEVELS`] a side moves from one mid to another.
fn move_text(instrument: &Instrument, from: Price, to: Price) -> String {
    // All eight places, as the venue writes them: what reads levels may go another way for another form.
    let text = |e8: i64| {
        let mut text = String::new();
        format_e8_padded(e8, &mut text);
        text
    };
    let (some, none) = (text(instrument.qty_e8(level_qty(instrument))), text(0));
    let side = |sign: i64| {
        let place = |mid: Price, price: Price| (1..=LEVELS).any(|ticks| mid.plus_ticks(sign * ticks) == price);
        let mut all: Vec<Price> =
            (1..=LEVELS).flat_map(|ticks| [from, to].map(|mid| mid.plus_ticks(sign * ticks))).collect();
        all.sort_unstable();
        all.dedup();
        let rows = all.iter().map(|&price| {
            let qty = if place(to, price) { &some } else { &none };
            format!(r#"["{}","{qty}"]"#, text(instrument.price_e8(price)))
        });
        rows.collect::<Vec<_>>().join(",")
    };
    format!(r#""b":[{}],"a":[{}]"#, side(-1), side(1))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::gateway::{GatewayConfig, Limiter, VenueClock};

    use crate::venue::binance::rest::RateLimits;
    use crate::venue::binance::sign::Signer;

    #[test]
    fn an_understudy_places_orders_over_either_road_again_and_again_and_reaches_nobody() {
        for api_url in [None, Some("ws://127.0.0.1:9".to_owned())] {
            let config = GatewayConfig {
                rest_url: "http://127.0.0.1:9".to_owned(),
                api_url,
                ca_file: None,
                api_key: SecretString::from("key"),
                signer: Arc::new(Signer::hmac(&SecretString::from("secret")).unwrap()),
                recv_window_ms: 5_000,
                instruments: vec![Instrument::btcusdt()],
                clock: VenueClock::default(),
                limiter: Limiter::new(RateLimits::default()),
            };
            let gateway = Gateway::rehearsing(&config).unwrap();
            let mut understudy =
                Understudy::new(Instrument::btcusdt(), DecoderKind::Scanner, &PipelineConfig::default(), gateway)
                    .unwrap();
            understudy.begin(Price::from_ticks(6_000_000));
            // The decisions warm up first.
            let mut rehearse = |times| {
                (0..times).for_each(|_| while !understudy.rehearse() {});
                understudy.orders
            };
            let before = rehearse(2_000);
            let after = rehearse(100);
            assert!(after - before >= 100, "{} orders in 100 rehearsals", after - before);
            assert_eq!(understudy.pipeline.snapshot(InstrumentId(0)).counters.rejected_total(), 0);
        }
    }
}
