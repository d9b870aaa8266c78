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
    InstrumentId, Level, Price, Qty, SessionId, TimestampNs, format_e8_padded,
};
use crate::venue::binance::decode::{Decoder, DecoderKind};
use crate::wire::{DepthBuf, DepthKind, FeedEvent, Flags, InputEvent, Record, RecordBuf, Stream, encode_action};

/// Levels of a side.
const LEVELS: i64 = 10;
/// Lines asked for at once: a microsecond's worth when they are far away.
const LINES_A_LOOK: usize = 128;
/// How far the mid jumps from one rehearsal to the next, in ticks: far enough for a new quote.
const JUMP: i64 = 6;
/// What passes between two rehearsals on their own clock: slow enough for every limit on the rate of orders.
const STEP: DurationNs = DurationNs::from_millis(500);
/// More than any order costs.
const FUNDS_E8: i64 = 100_000_000_000_000_000;
/// Turns of commands and answers within one rehearsal: cancels, then what takes their place.
const TURNS: usize = 3;

/// See the module.
pub struct RehearsalTile {
    /// Where the first instrument trades: the understudy begins when that is known.
    shown: LatestReader<PipelineSnapshot>,
    understudy: Understudy,
    sweep: Sweep,
    every_ns: u64,
    last: u64,
    clock: Clock,
    fate: Arc<Fate>,
}

impl RehearsalTile {
    /// A tile that rehearses every so many microseconds.
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
        if self.clock.delta_as_nanos(self.last, now) < self.every_ns {
            return 0;
        }
        if self.understudy.has_begun() {
            self.understudy.rehearse();
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
    stage: MarketStage,
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
    orders: u64,
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
        Ok(Understudy {
            decoder: Decoder::new(&all).with_kind(decoder),
            depth: DepthBuf::with_capacity(4 * LEVELS as usize),
            record: RecordBuf::with_capacity(4 << 10),
            stage: MarketStage::new(&all, SyncRule::Spot),
            pipeline: Pipeline::new(SessionId(1), &all, decisions)?,
            actions: Actions::new(),
            gateway,
            commands: Vec::with_capacity(16),
            asked: Vec::with_capacity(16),
            frame: String::with_capacity(4 << 10),
            moves: Default::default(),
            update_id: 1,
            now: TimestampNs::from_millis(1),
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
        self.play(r#""b":[],"a":[]"#);
        if let Some(update) = self.stage.on_event(&FeedEvent::Depth(snapshot.as_ref())) {
            self.decide(&Input::Market(update));
        }
    }

    /// One frame, and all that follows from it.
    fn rehearse(&mut self) {
        self.now = self.now.plus(STEP);
        if self.pipeline.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.decide(&Input::Timer);
        }
        let levels = std::mem::take(&mut self.moves[0]);
        self.play(&levels);
        self.moves[0] = levels;
        self.moves.swap(0, 1);
        for _ in 0..TURNS {
            std::mem::swap(&mut self.commands, &mut self.asked);
            for index in 0..self.asked.len() {
                let report = self.answer(index);
                self.decide(&Input::Exec(report));
            }
            self.asked.clear();
        }
    }

    /// From the frame's text to the decision.
    fn play(&mut self, levels: &str) {
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
        let Some(event) = decoded.ok().and_then(|decoded| decoded.event(&self.depth)) else { return };
        // By way of a record, as on the link between two tiles.
        let (kind, _) = event.encode(&mut self.record);
        let units = self.record.finish(Stream::Feed, kind, Flags::NONE, self.update_id, self.now);
        let Ok(event) = Record::from_units(units).and_then(|record| FeedEvent::decode(&record)) else { return };
        if let Some(update) = self.stage.on_event(&event) {
            self.decide(&Input::Market(update));
        }
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
            (0..2_000).for_each(|_| understudy.rehearse());
            let before = understudy.orders;
            (0..100).for_each(|_| understudy.rehearse());
            assert!(understudy.orders - before >= 100, "{} orders in 100 rehearsals", understudy.orders - before);
            assert_eq!(understudy.pipeline.snapshot(InstrumentId(0)).counters.rejected_total(), 0);
        }
    }
}
