//! Everything the decision knows about one instrument.
//!
//! Owns [`Lane`]: the market without us, features, orders, position and what has been counted. It takes inputs here;
//! what it makes of them is in [`decide`](super::decide).

use super::config::PipelineConfig;
use super::digest::Digester;
use super::estimators::Estimators;
use super::explain::Explanation;
use super::features::Features;
use super::orders::{DoubtRules, Keep, Order, OrderState, OrderTable, SideBackoff, TradeIds};
use super::place::QueuePlace;
use super::quoter::Quoter;
use super::reference::OthersBook;
use super::risk::{Desk, OrderLimits};
use super::snapshot::{Counters, HaltReason, PipelineSnapshot};
use super::warm::InstrumentState;
use crate::kpi::Ledger;
use crate::types::{
    Asset, BookState, BookView, ClientOrderId, DesyncReason, ExecKind, ExecReport, ExecSource, Fill, HalfTicks,
    Instrument, MarketUpdate, Money, OrderStatus, Price, Qty, QuoteDecision, RejectReason, Side, TimestampNs, Touch,
};

/// Our position in whole lots and what each side may add to it by its limit, bid first. A decision asks for them several
/// times, and each is a division.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InLots {
    /// What they were made from.
    pub(super) atoms: i64,
    pub(super) limit: Qty,
    pub(super) position: Qty,
    pub(super) room: [Qty; 2],
}

/// Order size and position limit in lots, fixed at the first quotable mid so that limits do not move with the price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) order: Qty,
    pub(super) position_max: Qty,
}

/// One instrument of the session.
pub(super) struct Lane {
    pub(super) instrument: Instrument,
    pub(super) config: PipelineConfig,
    pub(super) base_index: usize,
    pub(super) quote_index: usize,
    pub(super) view: BookView,
    pub(super) touch: Option<Touch>,
    pub(super) others: OthersBook,
    pub(super) features: Features,
    pub(super) estimators: Estimators,
    pub(super) quoter: Box<dyn Quoter>,
    pub(super) orders: OrderTable,
    pub(super) ledger: Ledger,
    /// Where each side's resting order stands, bid first.
    pub(super) places: [QueuePlace; 2],
    pub(super) trade_ids: TradeIds,
    pub(super) backoff: [SideBackoff; 2],
    pub(super) limits: OrderLimits,
    pub(super) rules: DoubtRules,
    pub(super) keep: Keep,
    pub(super) sizes: Option<Sizes>,
    pub(super) in_lots: InLots,
    /// Price of the newest print of the tape.
    pub(super) last_trade: Option<Price>,
    /// When the newest live book or touch was read.
    pub(super) fresh_at: TimestampNs,
    /// The last decision was taken on a stale book, or on none.
    pub(super) was_pulled: bool,
    pub(super) last_quote: Option<QuoteDecision>,
    pub(super) half_spread_ticks: Option<f64>,
    /// As of the last [`settle`](Self::settle); see [`wake`](Self::wake).
    pub(super) wake_at: Option<TimestampNs>,
    /// A decision was taken then, and has not been settled.
    pub(super) decided: Option<TimestampNs>,
    /// Commands found no room in the last answer and follow at once.
    pub(super) has_unsent: bool,
    pub(super) counters: Counters,
    /// Why the last decision was taken as it was; kept only for a replay that explains.
    pub(super) explanation: Option<Box<Explanation>>,
}

impl Lane {
    pub(super) fn new(instrument: &Instrument, desk: &Desk, config: &PipelineConfig, quoter: Box<dyn Quoter>) -> Lane {
        let index = |asset: Asset| desk.balances.index_of(asset).unwrap_or_default();
        Lane {
            instrument: *instrument,
            config: config.clone(),
            base_index: index(instrument.spec.base),
            quote_index: index(instrument.spec.quote),
            view: BookView::empty(instrument.id, BookState::Syncing(DesyncReason::Starting)),
            touch: None,
            others: OthersBook::empty(),
            features: Features::new(&config.features, instrument),
            estimators: Estimators::new(&config.estimators, &config.quoter),
            quoter,
            orders: OrderTable::new(),
            ledger: Ledger::new(*instrument),
            places: [QueuePlace::default(); 2],
            trade_ids: TradeIds::new(),
            backoff: [SideBackoff::new(config.orders.backoff_ms); 2],
            limits: OrderLimits::new(&config.risk, instrument),
            rules: DoubtRules::new(&config.orders),
            keep: Keep::new(&config.quoter, &config.orders),
            sizes: None,
            in_lots: InLots::default(),
            last_trade: None,
            fresh_at: TimestampNs::ZERO,
            was_pulled: true,
            last_quote: None,
            half_spread_ticks: None,
            wake_at: None,
            decided: None,
            has_unsent: false,
            counters: Counters::default(),
            explanation: None,
        }
    }

    /// Takes what an earlier session or a back-fill has learnt; what does not fit the configuration is left out.
    pub(super) fn restore(&mut self, state: &InstrumentState) {
        self.features.restore(state);
        self.estimators.restore(state);
    }

    /// What the next session may begin with.
    pub(super) fn save(&self) -> InstrumentState {
        let mut state = InstrumentState::empty(self.instrument.symbol());
        self.features.save(&mut state);
        self.estimators.save(&mut state);
        state
    }

    /// Takes a market update. Returns whether it may change a decision.
    pub(super) fn on_market(&mut self, update: &MarketUpdate) -> bool {
        self.counters.ticks += 1;
        match update {
            MarketUpdate::Book(view) => self.on_book(view),
            MarketUpdate::Touch(touch) => return self.on_touch(touch),
            MarketUpdate::Trade(trade) => {
                // The markout is regressed on the toxicity before the print.
                self.estimators.on_trade(trade.recv_ts, trade, self.features.toxicity());
                self.last_trade = Some(trade.price);
                for side in Side::BOTH {
                    self.places[side.index()].on_trade(side, trade);
                }
                return self.features.on_trade(trade);
            }
        }
        true
    }

    fn on_book(&mut self, view: &BookView) {
        self.view = *view;
        if view.state != BookState::Live {
            self.touch = None;
            self.features.on_book_lost();
            self.estimators.on_gap(view.recv_ts);
            return;
        }
        self.fresh_at = self.fresh_at.max(view.recv_ts);
        if self.touch.is_some_and(|touch| touch.update_id <= view.update_id) {
            self.touch = None;
        }
        self.orders.refresh_displayed(view.event_ts, view.recv_ts);
        self.on_others(view.recv_ts);
    }

    /// A touch that the book already contains, or that comes while the book is not live, says nothing.
    fn on_touch(&mut self, touch: &Touch) -> bool {
        let newest = self.touch.map_or(self.view.update_id, |last| last.update_id.max(self.view.update_id));
        if self.view.state != BookState::Live || touch.update_id <= newest {
            return false;
        }
        self.touch = Some(*touch);
        self.fresh_at = self.fresh_at.max(touch.recv_ts);
        self.orders.refresh_displayed(TimestampNs::ZERO, touch.recv_ts);
        self.on_others(touch.recv_ts);
        true
    }

    /// The market without us has changed. Its features use the time of reading: the spot touch carries no other.
    fn on_others(&mut self, recv_ts: TimestampNs) {
        self.orders.release();
        self.others.rebuild(&self.view, self.touch.as_ref(), self.orders.displayed());
        for side in Side::BOTH {
            self.places[side.index()].on_book(side, &self.others, self.orders.live(side));
        }
        self.features.on_book(recv_ts, &self.others);
        if let (Some(bid), Some(ask), Some(_)) =
            (self.others.best(Side::Bid), self.others.best(Side::Ask), self.features.book())
        {
            self.estimators.on_best(recv_ts, bid.price, ask.price);
        } else {
            self.estimators.on_no_mid(recv_ts);
        }
        if let Some(book) = self.features.book() {
            self.ledger.on_mid(book.mid);
            for side in &mut self.backoff {
                side.on_market();
            }
        }
    }

    /// Does what is too expensive for a market event: fits.
    pub(super) fn on_timer(&mut self, now: TimestampNs) {
        self.features.on_timer(now);
    }

    /// Takes a report about one of our orders. Returns whether it may change a decision.
    pub(super) fn on_exec(&mut self, now: TimestampNs, report: &ExecReport, desk: &mut Desk) -> bool {
        if !desk.is_ours(report.client_id.session) {
            return false;
        }
        let mut counted = Qty::ZERO;
        if let ExecKind::Fill(fill) = &report.kind {
            if self.trade_ids.insert(fill.trade_id) {
                counted = fill.qty;
                self.on_new_fill(now, fill, desk);
            } else {
                self.counters.duplicate_fills += 1;
            }
        }
        let Some(order) = self.orders.get_mut(report.client_id) else {
            if !counted.is_zero() {
                self.counters.late_fills += 1;
            }
            self.adopt_if_open(now, report);
            return true;
        };
        let (was, was_alive, total) = (order.state(), order.is_alive(), order.total);
        match report.kind {
            ExecKind::NotFound => order.not_found(now, &self.rules),
            ExecKind::QueryFailed => order.query_failed(),
            ExecKind::Status { .. } => {
                order.apply(now, report);
                order.query_answered();
            }
            _ => order.apply(now, report),
        }
        if let ExecKind::Amended { qty } = report.kind
            && qty < total
        {
            self.counters.amended += 1;
        }
        order.counted += counted;
        order.note_missing(now, report.source == ExecSource::Query);
        let (is, is_alive, side) = (order.state(), order.is_alive(), order.side);
        if was.is_terminal() && !counted.is_zero() {
            self.counters.late_fills += 1;
        }
        self.count_change(was, is);
        if is_alive && !was_alive {
            self.counters.accepted += 1;
            self.backoff[side.index()].on_accepted();
        }
        if is_alive && !was_alive {
            desk.on_accepted();
        }
        self.on_refusal(now, report, side, was, is, desk);
        // A fill too small to be an order of its own moves the position and nothing else.
        let dust = matches!(report.kind, ExecKind::Fill(fill) if fill.qty < self.instrument.spec.filters.qty_min);
        !dust || is != was
    }

    fn on_new_fill(&mut self, now: TimestampNs, fill: &Fill, desk: &mut Desk) {
        if fill.is_maker {
            self.estimators.on_own_fill(now, fill.side, self.features.toxicity());
        }
        self.ledger.on_fill(fill);
        self.counters.fills += 1;
        self.counters.foreign_fees = self.ledger.foreign_fees();
        match fill.side {
            Side::Bid => {
                desk.balances.spend(self.quote_index, whole_e8(self.instrument.notional(fill.price, fill.qty)));
            }
            Side::Ask => desk.balances.spend(self.base_index, self.instrument.qty_e8(fill.qty)),
        }
    }

    /// A report says that an order rests for which there is no slot: an earlier proof of absence was wrong. It is
    /// adopted, to be cancelled.
    fn adopt_if_open(&mut self, now: TimestampNs, report: &ExecReport) {
        let rests = match report.kind {
            ExecKind::Accepted | ExecKind::Amended { .. } => true,
            ExecKind::Fill(fill) => fill.cum_qty < fill.order_qty,
            ExecKind::Status { status, .. } => matches!(status, OrderStatus::New | OrderStatus::PartiallyFilled),
            _ => false,
        };
        if rests && !self.orders.is_done(report.client_id) {
            self.adopt(now, report.client_id);
            if let Some(order) = self.orders.get_mut(report.client_id) {
                order.apply(now, report);
                // What had executed before is no business of this slot any more.
                order.counted = order.executed;
            }
        }
    }

    /// Takes an order that somebody found open, to be cancelled.
    pub(super) fn adopt(&mut self, now: TimestampNs, client_id: ClientOrderId) {
        if self.orders.get_mut(client_id).is_none() && self.orders.insert(Order::orphan(client_id, now)) {
            self.counters.orphans += 1;
        }
    }

    fn on_refusal(
        &mut self,
        now: TimestampNs,
        report: &ExecReport,
        side: Side,
        was: OrderState,
        is: OrderState,
        desk: &mut Desk,
    ) {
        let (reason, of_place) = match report.kind {
            ExecKind::Rejected(reason) => (reason, true),
            ExecKind::CancelRejected(reason) | ExecKind::AmendRejected(reason) => (reason, false),
            _ => return,
        };
        match reason {
            RejectReason::RateLimit => desk.rate.on_refused(now),
            RejectReason::Auth => desk.halt(HaltReason::Auth),
            RejectReason::MarketClosed => desk.halt(HaltReason::MarketClosed),
            _ => {}
        }
        // A report that comes twice is one refusal.
        if of_place && is != was {
            self.counters.rejected[reason as usize] += 1;
            desk.on_rejected(reason);
            self.backoff[side.index()].on_reject(now, reason);
        }
    }

    /// Counts what a change of an order's state means.
    pub(super) fn count_change(&mut self, was: OrderState, is: OrderState) {
        let unknown =
            |state| matches!(state, OrderState::Unknown | OrderState::CancelUnknown | OrderState::AmendUnknown);
        if unknown(is) && !unknown(was) {
            self.counters.unknowns += 1;
        }
        if unknown(was) && !unknown(is) {
            self.counters.unknowns_resolved += 1;
        }
        if is == OrderState::Canceled && was != is {
            self.counters.canceled += 1;
        }
    }

    /// Position in whole lots, rounded towards zero.
    pub(super) fn position(&self) -> Qty {
        Qty::from_lots(self.ledger.atoms().get() / self.instrument.spec.lot_e8)
    }

    /// What our open orders lock of an asset, in 1e-8.
    pub(super) fn locked_e8(&self, asset_index: usize) -> i64 {
        let mut locked = 0_i64;
        for order in self.orders.iter() {
            let amount = match order.side {
                Side::Ask if asset_index == self.base_index => self.instrument.qty_e8(order.exposure()),
                Side::Bid if asset_index == self.quote_index => {
                    whole_e8(self.instrument.notional(order.price, order.exposure()))
                }
                _ => continue,
            };
            locked = locked.saturating_add(amount);
        }
        locked
    }

    /// Whether the newest live book is too old to quote from. The age is that of the message, so a reader that was
    /// held up does not quote from what it reads late.
    pub(super) fn is_stale(&self, now: TimestampNs) -> bool {
        now.since(self.fresh_at).nanos() >= self.stale_ns()
    }

    pub(super) fn stale_ns(&self) -> u64 {
        self.config.risk.stale_ms.saturating_mul(1_000_000)
    }

    /// Whether the position should be reduced elsewhere: it is beyond its limit, or it is held while the market has
    /// not been seen for long. A wish for people to see; nothing is sent.
    pub(super) fn should_hedge(&self, now: TimestampNs) -> bool {
        let position = self.ledger.atoms().get();
        let limit = self.sizes.map(|sizes| self.instrument.atoms(sizes.position_max).get());
        limit.is_some_and(|limit| position.abs() > limit) || position != 0 && now >= self.hedge_at()
    }

    /// When the market will not have been seen for too long.
    pub(super) fn hedge_at(&self) -> TimestampNs {
        let patience_ns = self.config.risk.hedge_stale_ms.saturating_mul(1_000_000);
        TimestampNs::from_nanos(self.fresh_at.nanos().saturating_add(patience_ns).saturating_add(1))
    }

    /// The mid of others, while it may be quoted from.
    pub(super) fn mid(&self) -> Option<HalfTicks> {
        self.features.book().map(|book| book.mid)
    }

    pub(super) fn snapshot(&self, now: TimestampNs, desk: &Desk) -> PipelineSnapshot {
        let toxicity = self.features.toxicity();
        let model = self.quoter.parameters();
        let estimates = self.estimators.estimates();
        let open = |order: &&Order| !order.state().is_terminal();
        PipelineSnapshot {
            now,
            state: desk.state(),
            halt: desk.halt_reason(),
            user_stream_up: desk.user_stream_up(),
            book_state: self.view.state,
            stale: self.is_stale(now),
            mid: self.mid(),
            mark: self.ledger.mid(),
            best_bid: self.mid().and(self.others.best(Side::Bid)).map(|level| level.price),
            best_ask: self.mid().and(self.others.best(Side::Ask)).map(|level| level.price),
            position: self.position(),
            position_atoms: self.ledger.atoms(),
            position_max: self.sizes.map_or(Qty::ZERO, |sizes| sizes.position_max),
            should_hedge: self.should_hedge(now),
            pnl: self.ledger.pnl(),
            sigma_ticks: self.features.sigma_ticks(),
            tau: toxicity.map(|toxicity| toxicity.tau),
            tau_raw: toxicity.map(|toxicity| toxicity.raw),
            tau_signed: toxicity.map(|toxicity| toxicity.signed),
            tau_bid: toxicity.map(|toxicity| toxicity.tau_bid),
            tau_ask: toxicity.map(|toxicity| toxicity.tau_ask),
            weighted_mid_ticks: self.features.book().and_then(|book| book.weighted_mid_ticks),
            micro_ticks: self.features.book().and_then(|book| book.micro_ticks),
            imbalance: self.features.book().and_then(|book| book.imbalance[0]).map(|imbalance| imbalance.value),
            ofi: self.features.ofi(),
            k_ticks: model.k_ticks.or(estimates.k_ticks).unwrap_or(self.config.quoter.k_ticks),
            k_learnt: estimates.k_ticks.is_some(),
            base_ticks: estimates.base_ticks,
            gamma: model.gamma.or(estimates.gamma),
            gamma_implied: self.estimators.gamma_implied(),
            kappa_ticks: model.kappa_ticks.or(estimates.kappa_ticks),
            kappa_learnt: estimates.kappa_ticks.is_some(),
            intensity: estimates.intensity,
            markouts: self.estimators.markout_counts(),
            half_spread_ticks: self.half_spread_ticks,
            own_bid: self.orders.live_price(Side::Bid),
            own_ask: self.orders.live_price(Side::Ask),
            own_qty: Side::pair(|side| self.orders.live(side).map_or(Qty::ZERO, Order::remaining)),
            working_orders: self.orders.iter().filter(open).count() as u32,
            unknown_orders: self.orders.iter().filter(|order| order.state().is_in_doubt()).count() as u32,
            counters: self.counters,
        }
    }

    pub(super) fn digest(&self, desk: &Desk, digester: &mut Digester) {
        digester.u64(self.view.update_id);
        for side in Side::BOTH {
            for level in self.others.levels(side) {
                digester.i64(level.price.ticks());
                digester.qty(level.qty);
            }
            self.backoff[side.index()].digest(digester);
            self.places[side.index()].digest(digester);
        }
        self.features.digest(digester);
        self.estimators.digest(digester);
        self.quoter.digest(digester);
        self.orders.digest(digester);
        self.trade_ids.digest(digester);
        digester.i64(self.ledger.atoms().get());
        let pnl = self.ledger.pnl();
        for amount in [self.ledger.cash(), pnl.total, pnl.spread, pnl.inventory, pnl.fees] {
            digester.i128(amount.attos());
        }
        digester.flag(self.sizes.is_some());
        if let Some(sizes) = self.sizes {
            digester.qty(sizes.order);
            digester.qty(sizes.position_max);
        }
        digester.option_price(self.last_trade);
        digester.time(self.fresh_at);
        digester.flag(self.was_pulled);
        if let Some(quote) = &self.last_quote {
            for side in Side::BOTH {
                digester.option_price(quote.side(side).price);
                digester.qty(quote.side(side).qty);
                digester.u64(quote.side(side).reason as u64);
            }
        }
        digester.option_time(self.wake(desk));
    }
}

/// Money in 1e-8, rounded up: what an order locks is never understated.
fn whole_e8(amount: Money) -> i64 {
    let e8 = (amount.attos() + Money::PER_E8 - 1).div_euclid(Money::PER_E8);
    i64::try_from(e8).unwrap_or(i64::MAX)
}
