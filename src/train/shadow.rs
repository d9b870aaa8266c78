//! Shadow orders: what would have become of an order at each offset, whether or not a strategy would have sent it.
//!
//! Owns [`ShadowMarket`]. At sampling times it reads the signals that the quoter would read, through the same pipeline,
//! and inserts one virtual order a side and offset. Each goes through latency and a queue model on its own; none meets
//! another or moves the market. An order that would cross on arrival is dropped, as the venue would refuse it; one whose
//! horizon meets a gap or the end of the data is censored and has no outcome. Source: quant.md 8, data set.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::Xxh3;

use crate::pipeline::market::MarketStage;
use crate::pipeline::quoter::ev::{PLACED, SIGNALS, SideView, standing};
use crate::pipeline::quoter::{QuoteInputs, Quoter, WantedQuote};
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{ConfigError, Digester, OthersBook, Pipeline, PipelineConfig};
use crate::sim::queue::{Place, QueueEvent, QueueModel};
use crate::types::{
    Actions, BookState, DurationNs, Input, Instrument, MarketUpdate, Price, Qty, SessionId, Side, TimestampNs, Trade,
    VIEW_LEVELS,
};
use crate::wire::FeedEvent;

/// How shadow orders are made.
#[derive(Clone)]
pub struct ShadowConfig {
    /// Time between two samples.
    pub every: DurationNs,
    /// Time within which a fill counts.
    pub horizon: DurationNs,
    /// Time after a fill at which the adverse move is taken.
    pub markout: DurationNs,
    /// Time from the decision until the order is in the queue.
    pub latency: DurationNs,
    /// Distances behind the touch, in ticks; negative inside it.
    pub offsets: Vec<i16>,
    /// How places in the queue move.
    pub queue: Arc<dyn QueueModel>,
    /// Seed of the samples' random phase.
    pub seed: u64,
    /// Constants of the signals and the order size.
    pub pipeline: PipelineConfig,
}

/// What became of a shadow order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether at least the venue's least quantity was filled within the horizon.
    pub filled: bool,
    /// Move of the mid against the order from the decision until the markout after its fill, in ticks; `None` for one that
    /// was not filled, or whose markout was not seen.
    pub adverse_ticks: Option<f64>,
}

/// A shadow order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// When it was decided upon: nothing in its signals is newer.
    pub decided_at: TimestampNs,
    /// Buy or sell.
    pub side: Side,
    /// Ticks behind the touch.
    pub offset: i16,
    /// What was known.
    pub signals: [f64; SIGNALS],
    /// What became of it; `None` when it was not seen to its end.
    pub outcome: Option<Outcome>,
}

/// Every shadow order of some market data, by the time of its decision.
#[derive(Clone, Debug, Default)]
pub struct ShadowSet {
    /// The orders.
    pub rows: Vec<Row>,
    /// Digest of the market data.
    pub digest: u64,
}

/// The quoter in the place of a real one: it keeps what it is asked with and quotes nothing.
struct Listener {
    heard: Arc<Mutex<Option<QuoteInputs>>>,
}

impl Quoter for Listener {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(*inputs);
        None
    }

    fn digest(&self, _: &mut Digester) {}
}

/// A virtual order on its way, in the queue, or filled and waiting for its markout.
struct Shadow {
    row: usize,
    side: Side,
    price: Price,
    lots: i64,
    mid_ticks: f64,
    active_at: TimestampNs,
    /// In the queue: its place and what its level showed last.
    place: Option<(Place, f64)>,
    filled_at: Option<TimestampNs>,
}

/// See the module.
pub struct ShadowMarket {
    config: ShadowConfig,
    least_lots: i64,
    market: MarketStage,
    pipeline: Pipeline,
    actions: Actions,
    heard: Arc<Mutex<Option<QuoteInputs>>>,
    others: OthersBook,
    mid_ticks: Option<f64>,
    now: TimestampNs,
    next_sample: Option<TimestampNs>,
    rng: ChaCha8Rng,
    shadows: VecDeque<Shadow>,
    rows: Vec<Row>,
    digest: Xxh3,
}

impl ShadowMarket {
    /// Before the first event of one instrument's market data.
    ///
    /// # Errors
    /// When the decisions' constants cannot be used.
    pub fn new(instrument: &Instrument, rule: SyncRule, config: ShadowConfig) -> Result<ShadowMarket, ConfigError> {
        let heard = Arc::new(Mutex::new(None));
        let mut constants = config.pipeline.clone();
        constants.orders.send = false;
        let listener = Arc::clone(&heard);
        let pipeline = Pipeline::with_quoters(SessionId(1), &[*instrument], &constants, &mut move |_| {
            Box::new(Listener { heard: Arc::clone(&listener) })
        })?;
        Ok(ShadowMarket {
            least_lots: instrument.spec.filters.qty_min.lots().max(1),
            market: MarketStage::new(&[*instrument], rule),
            pipeline,
            actions: Actions::new(),
            heard,
            others: OthersBook::empty(),
            mid_ticks: None,
            now: TimestampNs::ZERO,
            next_sample: None,
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            shadows: VecDeque::new(),
            rows: Vec::new(),
            digest: Xxh3::new(),
            config,
        })
    }

    /// Takes the next event of the feed.
    pub fn on_feed(&mut self, event: &FeedEvent<'_>) {
        let Some(update) = self.market.on_event(event) else { return };
        let now = self.now.max(received(&update));
        self.note(&update);
        self.settle(now);
        while let Some(due) = self.pipeline.next_deadline().filter(|due| *due <= now) {
            self.tell(due.max(self.now), &Input::Timer);
        }
        self.tell(now, &Input::Market(update));
        self.now = now;
        match update {
            MarketUpdate::Book(view) if view.state != BookState::Live => self.lose(now),
            MarketUpdate::Trade(trade) => self.on_trade(now, &trade),
            MarketUpdate::Book(_) | MarketUpdate::Touch(_) => self.on_book(now),
        }
        self.sample(now);
    }

    /// The orders; those that were not seen to their end have no outcome.
    pub fn finish(mut self) -> ShadowSet {
        self.settle(self.now);
        self.lose(self.now);
        ShadowSet { rows: self.rows, digest: self.digest.digest() }
    }

    fn tell(&mut self, now: TimestampNs, input: &Input) {
        self.actions.clear();
        self.pipeline.on_event(now, input, &mut self.actions);
    }

    fn note(&mut self, update: &MarketUpdate) {
        let mut number = |value: i64| self.digest.update(&value.to_le_bytes());
        match update {
            MarketUpdate::Book(view) => {
                number(view.recv_ts.nanos() as i64);
                for side in Side::BOTH {
                    for level in view.levels(side) {
                        number(level.price.ticks());
                        number(level.qty.lots());
                    }
                }
            }
            MarketUpdate::Touch(touch) => {
                number(touch.recv_ts.nanos() as i64);
                for level in [touch.bid, touch.ask] {
                    number(level.price.ticks());
                    number(level.qty.lots());
                }
            }
            MarketUpdate::Trade(trade) => {
                number(trade.recv_ts.nanos() as i64);
                number(trade.price.ticks());
                number(trade.qty.signed(trade.aggressor).lots());
            }
        }
    }

    /// The last inputs that the pipeline's model was asked with, if it was asked at `now`.
    fn heard(&self, now: TimestampNs) -> Option<QuoteInputs> {
        (*self.heard.lock().unwrap_or_else(PoisonError::into_inner)).filter(|inputs| inputs.now == now)
    }

    /// The book was lost: whatever is under way was not seen to its end. An order that was filled early is censored like
    /// one that was not, or fills would be the likelier labels beside gaps; only a markout may be missing.
    fn lose(&mut self, now: TimestampNs) {
        for shadow in self.shadows.drain(..) {
            if shadow.filled_at.is_some() && shadow.active_at.plus(self.config.horizon) <= now {
                self.rows[shadow.row].outcome = Some(Outcome { filled: true, adverse_ticks: None });
            }
        }
        self.mid_ticks = None;
        self.next_sample = None;
    }

    /// Lets orders that are due by `now` join their queues or end, with the book as it stood.
    fn settle(&mut self, now: TimestampNs) {
        let (horizon, markout) = (self.config.horizon, self.config.markout);
        let (others, rows, mid, queue) = (&self.others, &mut self.rows, self.mid_ticks, &self.config.queue);
        self.shadows.retain_mut(|shadow| {
            if let Some(filled_at) = shadow.filled_at {
                if filled_at.plus(markout) > now {
                    return true;
                }
                let sign = shadow.side.sign() as f64;
                let adverse_ticks = mid.map(|mid| sign * (shadow.mid_ticks - mid));
                rows[shadow.row].outcome = Some(Outcome { filled: true, adverse_ticks });
                return false;
            }
            if shadow.place.is_none() && shadow.active_at <= now {
                let crosses = others
                    .best(shadow.side.opposite())
                    .is_none_or(|level| level.price.ticks_above(shadow.price) * shadow.side.sign() <= 0);
                let Some(shown) = shown(others, shadow.side, shadow.price).filter(|_| !crosses) else {
                    return false;
                };
                shadow.place = Some((queue.join(shown), shown));
            }
            if shadow.active_at.plus(horizon) <= now {
                rows[shadow.row].outcome = Some(Outcome { filled: false, adverse_ticks: None });
                return false;
            }
            true
        });
    }

    fn on_trade(&mut self, now: TimestampNs, trade: &Trade) {
        for shadow in self.shadows.iter_mut().filter(|shadow| shadow.side != trade.aggressor) {
            let beyond = trade.price.ticks_above(shadow.price) * shadow.side.sign();
            let event = match beyond {
                0 => QueueEvent::Trade(trade.qty.lots() as f64),
                1.. => continue,
                _ => QueueEvent::TradeThrough,
            };
            shadow.apply(now, self.config.queue.as_ref(), event, self.least_lots);
        }
    }

    fn on_book(&mut self, now: TimestampNs) {
        let Some(inputs) = self.heard(now) else {
            // Not to be quoted from: one side is empty or crossed.
            self.lose(now);
            return;
        };
        self.others = inputs.others;
        self.mid_ticks = Some(inputs.book.mid.ticks_f64());
        let queue = self.config.queue.as_ref();
        for shadow in &mut self.shadows {
            let Some((_, before)) = shadow.place else { continue };
            let opposite = self.others.best(shadow.side.opposite());
            if opposite.is_some_and(|level| level.price.ticks_above(shadow.price) * shadow.side.sign() <= 0) {
                shadow.apply(now, queue, QueueEvent::TradeThrough, self.least_lots);
            } else if let Some(shown) = shown(&self.others, shadow.side, shadow.price)
                && shown != before
            {
                shadow.apply(now, queue, QueueEvent::Depth { prev: before, new: shown }, self.least_lots);
                if let Some((_, level)) = &mut shadow.place {
                    *level = shown;
                }
            }
        }
    }

    /// Inserts the orders of a sampling time that has come.
    fn sample(&mut self, now: TimestampNs) {
        let every = self.config.every;
        let next = *self.next_sample.get_or_insert_with(|| {
            // A random phase, so that samples fall on no rhythm of the market.
            now.plus(DurationNs::from_nanos(self.rng.random_range(0..every.nanos().max(1))))
        });
        if now < next {
            return;
        }
        let Some(inputs) = self.heard(now) else { return };
        let missed = now.since(next).nanos() / every.nanos().max(1);
        self.next_sample = Some(next.plus(DurationNs::from_nanos((missed + 1) * every.nanos())));
        for side in Side::BOTH {
            let Some(view) = SideView::new(&inputs, side, self.config.horizon.secs_f64()) else { return };
            for offset in self.config.offsets.clone() {
                self.insert(now, &inputs, &view, side, offset);
            }
        }
    }

    fn insert(&mut self, now: TimestampNs, inputs: &QuoteInputs, view: &SideView<'_>, side: Side, offset: i16) {
        let (touch, opposite) = match side {
            Side::Bid => (inputs.best_bid.price, inputs.best_ask.price),
            Side::Ask => (inputs.best_ask.price, inputs.best_bid.price),
        };
        let price = touch.plus_ticks(-i64::from(offset) * side.sign());
        let Some(before) = standing(inputs, side, price) else { return };
        if opposite.ticks_above(price) * side.sign() <= 0 {
            return;
        }
        let mut signals = *view.common();
        signals[..PLACED].copy_from_slice(&view.placed(price, before));
        self.shadows.push_back(Shadow {
            row: self.rows.len(),
            side,
            price,
            lots: inputs.order_qty.lots().max(self.least_lots),
            mid_ticks: inputs.book.mid.ticks_f64(),
            active_at: now.plus(self.config.latency),
            place: None,
            filled_at: None,
        });
        self.rows.push(Row { decided_at: now, side, offset, signals, outcome: None });
    }
}

impl Shadow {
    fn apply(&mut self, now: TimestampNs, queue: &dyn QueueModel, event: QueueEvent, least_lots: i64) {
        let Some((place, _)) = &mut self.place else { return };
        if self.filled_at.is_some() {
            return;
        }
        queue.apply(place, self.lots as f64, event);
        if place.filled_lots(self.lots) >= least_lots {
            self.filled_at = Some(now);
        }
    }
}

/// What a level shows; `None` beyond what is seen.
fn shown(others: &OthersBook, side: Side, price: Price) -> Option<f64> {
    let levels = others.levels(side);
    match levels.iter().find(|level| level.price == price) {
        Some(level) => Some(level.qty.lots() as f64),
        None => {
            let last = levels.last()?;
            let within = last.price.ticks_above(price) * side.sign() < 0 || levels.len() < VIEW_LEVELS;
            within.then_some(Qty::ZERO.lots() as f64)
        }
    }
}

fn received(update: &MarketUpdate) -> TimestampNs {
    match update {
        MarketUpdate::Book(view) => view.recv_ts,
        MarketUpdate::Touch(touch) => touch.recv_ts,
        MarketUpdate::Trade(trade) => trade.recv_ts,
    }
}
