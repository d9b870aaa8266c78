//! The state behind every connection: the venue, its keys, the weight of this minute and the listeners.
//!
//! One thread uses it, under a lock that is therefore free whenever it is asked for; the owner of the venue's handle
//! takes the lock to look at the venue from outside. Nothing waits while holding it.

use std::collections::BTreeMap;

use super::candles::Candles;
use super::clock::{Pace, wall_now};
use super::depth_second::{DepthSecond, SECOND};
use super::faulty::{Late, Misfortune};
use super::hub::{Hub, ListenerId};
use super::json::TimeUnit;
use super::keys::KeyRing;
use super::operation::Operation;
use super::params::Params;
use super::refusal::Refusal;
use super::render::push_user_event;
use super::render_market::{
    DepthUpdate, push_agg_trade_event, push_book_ticker_event, push_candle_event, push_depth, push_depth_update,
    push_trade_event,
};
use super::stream_name::{StreamKind, StreamName};
use super::weight::{WEIGHT_LIMIT, WeightWindow};
use crate::sim::faults::{EventFate, FaultPlan, MarketFate, Reply, Road, Runs};
use crate::sim::{AccountId, OrderCount, UserEvent, Venue, VenueMarketEvent};
use crate::types::{DurationNs, Instrument, InstrumentId, TimestampNs};
use crate::venue::binance::sbe::encode::{self, Depth, Print};

/// Cadence of candle streams.
const CANDLE_EVERY: DurationNs = DurationNs::from_secs(2);

/// What the front keeps of a symbol beside the venue.
#[derive(Debug, Default)]
struct SymbolState {
    candles: Candles,
    second: DepthSecond,
    /// Last partial book was told in this second of the venue's time.
    partial_second: u64,
    /// A diff of this second was skipped on purpose.
    second_has_gap: bool,
}

/// How an answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At once.
    Now,
    /// So much later.
    Late(DurationNs),
    /// Never: where a request has a connection of its own, that ends.
    Never,
}

/// Everything that a request or a connection needs.
pub struct Front {
    /// The exchange.
    pub venue: Venue,
    /// Who may trade.
    pub keys: KeyRing,
    /// The listeners.
    pub hub: Hub,
    /// What goes wrong on purpose.
    pub misfortune: Misfortune,
    pace: Pace,
    weights: WeightWindow,
    names: BTreeMap<String, InstrumentId>,
    instruments: Vec<Instrument>,
    symbols: Vec<SymbolState>,
    candles_told: u64,
    market_scratch: Vec<VenueMarketEvent>,
    user_scratch: Vec<(AccountId, UserEvent)>,
}

impl Front {
    /// A front of a venue that has just been made.
    pub fn new(venue: Venue, keys: KeyRing, pace: Pace) -> Front {
        let instruments: Vec<Instrument> = venue.config().symbols.iter().map(|symbol| symbol.instrument).collect();
        let names = instruments.iter().map(|one| (one.symbol().to_owned(), one.id)).collect();
        let symbols = instruments.iter().map(|_| SymbolState::default()).collect();
        let misfortune = Misfortune::new(&venue.config().faults, &instruments, venue.now());
        Front {
            venue,
            keys,
            hub: Hub::default(),
            misfortune,
            pace,
            weights: WeightWindow::default(),
            names,
            instruments,
            symbols,
            candles_told: 0,
            market_scratch: Vec::new(),
            user_scratch: Vec::new(),
        }
    }

    /// How fast the venue's time passes.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The moment at which a request reaches the venue.
    pub fn now(&self) -> TimestampNs {
        match self.pace {
            Pace::Wall => wall_now(),
            Pace::Max => self.venue.now(),
        }
    }

    /// The symbols in the order of their ids.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// A symbol by its id.
    pub fn instrument(&self, symbol: InstrumentId) -> &Instrument {
        &self.instruments[symbol.index()]
    }

    /// A symbol by its name.
    pub fn find_symbol(&self, name: &str) -> Option<InstrumentId> {
        self.names.get(name).copied()
    }

    /// Candles of a symbol.
    pub fn candles(&self, symbol: InstrumentId) -> &Candles {
        &self.symbols[symbol.index()].candles
    }

    /// Weight used in this minute.
    pub fn used_weight(&mut self) -> u32 {
        self.weights.used(wall_now())
    }

    /// Adds to this minute's weight.
    ///
    /// # Errors
    /// -1003 once the limit is passed.
    pub fn charge(&mut self, weight: u32) -> Result<(), Refusal> {
        self.weights.add(wall_now(), weight).map_err(|wait_s| Refusal::weight(WEIGHT_LIMIT, wait_s))
    }

    /// Unfilled order counts of an account.
    pub fn order_counts(&self, account: AccountId) -> Vec<OrderCount> {
        self.venue.order_counts(self.now(), account)
    }

    /// Replaces what goes wrong.
    pub fn set_faults(&mut self, plan: &FaultPlan) {
        let now = self.now();
        self.misfortune.replace(plan, &self.instruments, now);
    }

    /// Keeps an answer over the WebSocket API back.
    pub fn hold_answer(&mut self, listener: ListenerId, late: DurationNs, answer: String) {
        let now = self.now();
        self.misfortune.hold(now, late, Late::Answer(listener, answer));
    }

    /// Answers a request as [`execute`](Self::execute) does, unless a fault happens to it or to its answer.
    pub fn serve(
        &mut self,
        operation: Operation,
        sender: Result<Option<AccountId>, Refusal>,
        params: &Params,
        unit: TimeUnit,
    ) -> (Result<String, Refusal>, Delivery) {
        let now = self.now();
        let fate = self.misfortune.on_request(now, operation);
        let own = match fate.runs {
            Runs::Never => Err(Refusal::server_error()),
            Runs::Once => self.execute(operation, sender, params, unit),
            Runs::Twice => {
                // Whatever the first answer is, it is the second that comes.
                let _ = self.execute(operation, sender.clone(), params, unit);
                self.execute(operation, sender, params, unit)
            }
        };
        match fate.reply {
            Reply::Own => (own, Delivery::Now),
            Reply::Late(late) => (own, Delivery::Late(late)),
            Reply::Nothing => (own, Delivery::Never),
            Reply::Timeout => (Err(Refusal::timeout()), Delivery::Now),
            Reply::ServerError => (Err(Refusal::server_error()), Delivery::Now),
            Reply::RateLimit(wait) => (Err(Refusal::too_many(wait.nanos().div_ceil(SECOND.nanos()))), Delivery::Now),
        }
    }

    /// Answers a request and tells everyone what it caused. `sender` is what authentication said; public requests have
    /// no sender. A request that fails authentication costs its weight too.
    ///
    /// # Errors
    /// Binance's refusal.
    pub fn execute(
        &mut self,
        operation: Operation,
        sender: Result<Option<AccountId>, Refusal>,
        params: &Params,
        unit: TimeUnit,
    ) -> Result<String, Refusal> {
        let weight = operation.weight(params);
        self.charge(weight)?;
        let answer = match sender? {
            Some(account) if operation.is_signed() => self.answer_signed(operation, account, params, unit),
            None if operation.is_signed() => Err(Refusal::key_format()),
            _ => self.answer_public(operation, params, unit),
        };
        if answer.is_ok() && operation.is_free_on_success() {
            self.weights.refund(weight);
        }
        self.publish();
        answer
    }

    /// Lets the venue's flow happen up to now, on the wall's pace.
    pub fn advance(&mut self, now: TimestampNs) {
        self.venue.advance(now);
        self.publish();
    }

    /// Tells the listeners what has happened since the last call.
    pub fn publish(&mut self) {
        let now = self.now();
        for road in [Road::Market, Road::User] {
            if let Some(ending) = self.misfortune.faults.cut(now, road) {
                let told = self.hub.fail(road, ending, now);
                if !told.is_empty() {
                    self.misfortune.hold(now, ending.span, Late::End(told));
                }
            }
        }
        let mut market = std::mem::take(&mut self.market_scratch);
        market.extend(self.venue.market_events());
        for event in market.drain(..) {
            let is_depth = matches!(event, VenueMarketEvent::DepthDiff { .. });
            // Faults happen to messages that somebody would be told.
            let fate = if self.is_told(&event) {
                self.misfortune.faults.on_market(now, event.symbol(), is_depth)
            } else {
                MarketFate::Told
            };
            self.keep(&event, fate);
            self.hub.spoil(Some(fate).filter(|fate| matches!(fate, MarketFate::Broken | MarketFate::Oversized)));
            let times = match fate {
                MarketFate::Skipped | MarketFate::Late(_) => 0,
                MarketFate::Twice => 2,
                _ => 1,
            };
            for _ in 0..times {
                self.publish_market(&event);
            }
            self.hub.spoil(None);
            if let MarketFate::Late(late) = fate {
                self.misfortune.hold(now, late, Late::Market(event));
            }
        }
        self.market_scratch = market;

        let mut user = std::mem::take(&mut self.user_scratch);
        user.extend(self.venue.user_events());
        for (account, event) in user.drain(..) {
            if !self.hub.has_user(account) {
                continue;
            }
            match self.misfortune.faults.on_event(now) {
                EventFate::Told => self.publish_user(account, &event),
                EventFate::Twice => (0..2).for_each(|_| self.publish_user(account, &event)),
                EventFate::Late(late) => self.misfortune.hold(now, late, Late::Event(account, event)),
                EventFate::Lost => {}
            }
        }
        self.user_scratch = user;
        while let Some(late) = self.misfortune.release(now) {
            match late {
                Late::Event(account, event) => self.publish_user(account, &event),
                Late::Answer(listener, answer) => self.hub.tell(listener, answer),
                Late::Market(event) => self.publish_market(&event),
                // Their queues run out and then say goodbye.
                Late::End(listeners) => listeners.into_iter().for_each(|listener| self.hub.leave(listener)),
            }
        }
        self.publish_candles();
    }

    fn publish_user(&mut self, account: AccountId, event: &UserEvent) {
        let symbol = match &event {
            UserEvent::Execution(execution) => self.instruments[execution.order.symbol.index()].symbol(),
            UserEvent::AccountPosition { .. } => "",
        };
        self.hub.publish_user(account, |out, unit| push_user_event(out, symbol, event, unit));
    }

    /// Whether anybody listens to a stream that an event belongs to.
    fn is_told(&self, event: &VenueMarketEvent) -> bool {
        let kinds: &[StreamKind] = match event {
            VenueMarketEvent::Trade(_) => &[StreamKind::Trade],
            VenueMarketEvent::AggTrade(_) => &[StreamKind::AggTrade],
            VenueMarketEvent::BookTicker(_) => &[StreamKind::BookTicker, StreamKind::BestBidAsk],
            VenueMarketEvent::DepthDiff { .. } => &[StreamKind::DepthFast, StreamKind::DepthSlow],
        };
        kinds.iter().any(|kind| self.hub.wants(StreamName { symbol: event.symbol(), kind: *kind }))
    }

    /// Takes an event into what is told at a slower cadence, whether it is told itself or not.
    fn keep(&mut self, event: &VenueMarketEvent, fate: MarketFate) {
        let instrument = self.instruments[event.symbol().index()];
        match event {
            VenueMarketEvent::Trade(trade) => {
                self.symbols[instrument.id.index()].candles.add(&instrument, trade);
            }
            VenueMarketEvent::DepthDiff { event_ts, first_id, last_id, bids, asks, .. } => {
                self.symbols[instrument.id.index()].second_has_gap |= fate == MarketFate::Skipped;
                let update = DepthUpdate { event_ts: *event_ts, first_id: *first_id, last_id: *last_id, bids, asks };
                self.publish_slow_depth(&instrument, &update);
            }
            VenueMarketEvent::AggTrade(_) | VenueMarketEvent::BookTicker(_) => {}
        }
    }

    fn publish_market(&mut self, event: &VenueMarketEvent) {
        let instrument = self.instruments[event.symbol().index()];
        let named = |kind| StreamName { symbol: instrument.id, kind };
        let symbol = instrument.symbol();
        match event {
            VenueMarketEvent::Trade(trade) => {
                self.hub.publish(named(StreamKind::Trade), symbol, |out, unit, product| {
                    push_trade_event(out, &instrument, trade, unit, product);
                });
                let print = Print { id: trade.id, price: trade.price, qty: trade.qty, aggressor: trade.aggressor };
                self.hub.publish_binary(named(StreamKind::Trade), |out| {
                    encode::trades(out, &instrument, trade.event_ts, &[print]);
                });
            }
            VenueMarketEvent::AggTrade(trade) => {
                self.hub.publish(named(StreamKind::AggTrade), symbol, |out, unit, _| {
                    push_agg_trade_event(out, &instrument, trade, unit);
                });
            }
            VenueMarketEvent::BookTicker(touch) => {
                self.hub.publish(named(StreamKind::BookTicker), symbol, |out, unit, product| {
                    push_book_ticker_event(out, &instrument, touch, unit, product);
                });
                let best = [touch.bid, touch.ask].map(Option::unwrap_or_default);
                self.hub.publish_binary(named(StreamKind::BestBidAsk), |out| {
                    encode::best_bid_ask(out, &instrument, touch.event_ts, touch.update_id, best);
                });
            }
            VenueMarketEvent::DepthDiff { event_ts, first_id, last_id, bids, asks, .. } => {
                let update = DepthUpdate { event_ts: *event_ts, first_id: *first_id, last_id: *last_id, bids, asks };
                self.hub.publish(named(StreamKind::DepthFast), symbol, |out, unit, product| {
                    push_depth_update(out, &instrument, &update, unit, product);
                });
                let (event_ts, first_id, last_id) = (*event_ts, Some(*first_id), *last_id);
                self.hub.publish_binary(named(StreamKind::DepthFast), |out| {
                    encode::depth(out, &instrument, &Depth { event_ts, first_id, last_id, bids, asks });
                });
                self.publish_partial_depth(&instrument, event_ts);
            }
        }
    }

    fn publish_slow_depth(&mut self, instrument: &Instrument, update: &DepthUpdate<'_>) {
        let state = &mut self.symbols[instrument.id.index()];
        let joined = state.second.add(update.event_ts, update.first_id, update.last_id, update.bids, update.asks);
        let Some(joined) = joined else { return };
        if std::mem::take(&mut state.second_has_gap) {
            // A second that hides a hole would be silently wrong; one that is missing is seen.
            return;
        }
        let update = DepthUpdate {
            event_ts: joined.event_ts,
            first_id: joined.first_id,
            last_id: joined.last_id,
            bids: &joined.bids,
            asks: &joined.asks,
        };
        let name = StreamName { symbol: instrument.id, kind: StreamKind::DepthSlow };
        self.hub.publish(name, instrument.symbol(), |out, unit, product| {
            push_depth_update(out, instrument, &update, unit, product);
        });
    }

    fn publish_partial_depth(&mut self, instrument: &Instrument, event_ts: TimestampNs) {
        let state = &mut self.symbols[instrument.id.index()];
        let second = event_ts.nanos() / SECOND.nanos();
        let second_turned = state.partial_second != second;
        state.partial_second = second;
        for levels in [5, 10, 20] {
            for kind in [StreamKind::PartialFast(levels), StreamKind::PartialSlow(levels)] {
                let name = StreamName { symbol: instrument.id, kind };
                let due = second_turned || matches!(kind, StreamKind::PartialFast(_));
                if due && self.hub.wants(name) {
                    let book = self.venue.depth(instrument.id, usize::from(levels));
                    self.hub.publish(name, instrument.symbol(), |out, _, _| push_depth(out, instrument, &book));
                    let (last_id, bids, asks) = (book.last_update_id, &book.bids[..], &book.asks[..]);
                    self.hub.publish_binary(name, |out| {
                        encode::depth(out, instrument, &Depth { event_ts, first_id: None, last_id, bids, asks });
                    });
                }
            }
        }
    }

    fn publish_candles(&mut self) {
        let now = self.venue.now();
        let due = now.nanos() / CANDLE_EVERY.nanos();
        if due == self.candles_told {
            return;
        }
        self.candles_told = due;
        for (instrument, state) in self.instruments.iter().zip(&mut self.symbols) {
            let before = state.candles.current().map(|candle| candle.open_ts);
            state.candles.turn(now);
            let name = StreamName { symbol: instrument.id, kind: StreamKind::Candle };
            let turned = state.candles.current().map(|candle| candle.open_ts) != before;
            let ended = state.candles.closed().filter(|_| turned).map(|candle| (candle, true));
            let current = state.candles.current().map(|candle| (candle, false));
            for (candle, is_closed) in ended.into_iter().chain(current) {
                self.hub.publish(name, instrument.symbol(), |out, unit, _| {
                    push_candle_event(out, instrument, now, candle, is_closed, unit);
                });
            }
        }
    }
}
