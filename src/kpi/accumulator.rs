//! From events to KPIs: the one place where they are computed.
//!
//! Owns [`KpiAccumulator`] of one instrument. Fed in the order of time, on a cold thread, by the report with what a
//! journal tells; the figures are a function of what was fed. Time between two events belongs to what was seen at the
//! first. What it keeps is bounded, but for one number a minute.

use std::collections::{BTreeMap, BTreeSet};

use super::acceptance::seed_acceptance;
use super::cost::AverageCost;
use super::curve::MarkoutSums;
use super::drawdown::DrawdownTracker;
use super::figures::{Attribution, KpiRules, Kpis, LatencyKpi, OrderCounts};
use super::inventory_risk::{InventoryRisk, STEP, Step};
use super::ledger::Ledger;
use super::markout::{FillSample, MAIN_HORIZON, SettledFill, Settling};
use crate::metrics::LatencySummary;
use crate::stats::bootstrap::Bootstrap;
use crate::stats::cvar::upper_tail_mean;
use crate::stats::sharpe::Sharpe;
use crate::stats::thinned::Thinned;
use crate::types::{
    BaseAtoms, ClientOrderId, Command, DurationNs, Fill, HalfTicks, Instrument, Money, Price, Qty, TimestampNs,
};

const SECOND: DurationNs = DurationNs::from_secs(1);
const MINUTE: DurationNs = DurationNs::from_secs(60);
/// Minutes in a block of the bootstrap over profits.
const PNL_BLOCK: usize = 10;
/// Samples of the position, and steps of its risk, that are kept: a second each for eighteen hours, then every other.
const SAMPLES_MAX: usize = 65_536;
/// Orders that are remembered. An order that is so many orders old has long ended.
const ORDERS_MAX: usize = 65_536;

/// An order of ours that rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Its price.
    pub price: Price,
    /// What is left of it.
    pub qty: Qty,
}

/// What holds from one event to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// The mid that the position is marked to.
    pub mid: Option<HalfTicks>,
    /// Best bid and ask of others.
    pub touch: Option<[Price; 2]>,
    /// Our best resting bid and ask.
    pub own: [Option<Resting>; 2],
    /// Greatest position; nought while it is not known.
    pub position_max: Qty,
}

/// Time spent in each condition.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    whole: u64,
    near: u64,
    both: u64,
    limited: u64,
    below_limit: u64,
    above_half: u64,
    above_nine_tenths: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct KpiAccumulator {
    instrument: Instrument,
    rules: KpiRules,
    start: TimestampNs,
    now: TimestampNs,
    standing: Standing,
    ledger: Ledger,
    cost: AverageCost,
    settling: Settling,
    settled: Vec<SettledFill>,
    markouts: MarkoutSums,
    fills: u64,
    turnover: Money,
    /// Quantities of the newest orders.
    placed: BTreeMap<ClientOrderId, Qty>,
    placed_count: u64,
    placed_lots: i128,
    /// The newest orders with a fill.
    filled: BTreeSet<ClientOrderId>,
    filled_count: u64,
    filled_lots: i128,
    messages: u64,
    first_order: Option<TimestampNs>,
    spent: Spent,
    drawdown: DrawdownTracker,
    inventory: Thinned<f64>,
    next_second: TimestampNs,
    minutes: Vec<f64>,
    minute_equity: Money,
    next_minute: TimestampNs,
    steps: Thinned<Step>,
    step: Option<StepStart>,
    next_step: TimestampNs,
}

/// What a step of inventory risk started from.
#[derive(Clone, Copy, Debug)]
struct StepStart {
    held: BaseAtoms,
    limit: Qty,
    equity: Money,
    mid: HalfTicks,
}

impl KpiAccumulator {
    /// An accumulator of a session that starts at `start`.
    pub fn new(instrument: Instrument, rules: KpiRules, start: TimestampNs) -> KpiAccumulator {
        KpiAccumulator {
            instrument,
            rules,
            start,
            now: start,
            standing: Standing::default(),
            ledger: Ledger::new(instrument),
            cost: AverageCost::new(instrument),
            settling: Settling::default(),
            settled: Vec::new(),
            markouts: MarkoutSums::new(instrument, start),
            fills: 0,
            turnover: Money::ZERO,
            placed: BTreeMap::new(),
            placed_count: 0,
            placed_lots: 0,
            filled: BTreeSet::new(),
            filled_count: 0,
            filled_lots: 0,
            messages: 0,
            first_order: None,
            spent: Spent::default(),
            drawdown: DrawdownTracker::new(start, Money::ZERO),
            inventory: Thinned::new(SAMPLES_MAX),
            next_second: start.plus(SECOND),
            minutes: Vec::new(),
            minute_equity: Money::ZERO,
            next_minute: start.plus(MINUTE),
            steps: Thinned::new(SAMPLES_MAX),
            step: None,
            next_step: start,
        }
    }

    /// Time has come to `now`: what stood until now is counted.
    pub fn advance(&mut self, now: TimestampNs) {
        if now <= self.now {
            return;
        }
        let span = now.since(self.now).nanos();
        let standing = self.standing;
        self.spent.whole += span;
        if standing.own.iter().flatten().any(|order| self.is_near(order.price)) {
            self.spent.near += span;
        }
        let least = self.instrument.spec.filters.qty_min.max(Qty::from_lots(1));
        if standing.own.iter().all(|order| order.is_some_and(|order| order.qty >= least)) {
            self.spent.both += span;
        }
        let limit = self.instrument.atoms(standing.position_max).get().unsigned_abs();
        if limit > 0 {
            let held = self.ledger.atoms().get().unsigned_abs();
            self.spent.limited += span;
            self.spent.below_limit += if held < limit { span } else { 0 };
            self.spent.above_half += if held * 2 > limit { span } else { 0 };
            self.spent.above_nine_tenths += if held * 10 > limit * 9 { span } else { 0 };
        }
        // A sample at a grid time sees what stood before it; an event at that very time comes after it.
        while self.next_second <= now {
            if let Some(mid) = standing.mid {
                let size = BaseAtoms::new(self.ledger.atoms().get().abs());
                self.inventory.push(self.instrument.value(mid, size).to_f64());
            }
            self.next_second = self.next_second.plus(SECOND);
        }
        while self.next_minute <= now {
            let equity = self.ledger.equity();
            self.minutes.push((equity - self.minute_equity).to_f64());
            self.minute_equity = equity;
            self.next_minute = self.next_minute.plus(MINUTE);
        }
        while self.next_step <= now {
            self.end_step(standing);
            self.next_step = self.next_step.plus(STEP);
        }
        self.now = now;
        while let Some(fill) = self.settling.settle(now) {
            self.settle(fill);
        }
    }

    fn settle(&mut self, fill: SettledFill) {
        self.markouts.add(&fill);
        self.settled.push(fill);
    }

    /// One step of inventory risk is over and the next begins.
    fn end_step(&mut self, standing: Standing) {
        let started = self.step.take();
        let Some(mid) = standing.mid else { return };
        let (equity, base) = (self.ledger.equity(), |atoms: BaseAtoms| atoms.get().unsigned_abs() as f64 / 1e8);
        if let Some(started) = started {
            self.steps.push(Step {
                held: base(started.held),
                limit: base(self.instrument.atoms(started.limit)),
                change: (equity - started.equity).to_f64(),
                moved: (mid.ticks_f64() - started.mid.ticks_f64()) * self.instrument.tick_f64(),
            });
        }
        self.step = Some(StepStart { held: self.ledger.atoms(), limit: standing.position_max, equity, mid });
    }

    fn is_near(&self, price: Price) -> bool {
        let Some(mid) = self.standing.mid else { return false };
        let away = (HalfTicks::from(price).get() - mid.get()).unsigned_abs() as f64;
        away <= mid.get() as f64 * self.rules.uptime_band_bps / 1e4
    }

    /// What holds from `now` on. Call after the fills of the same event: they are measured against what was before.
    pub fn on_standing(&mut self, now: TimestampNs, standing: Standing) {
        self.advance(now);
        if let Some(mid) = standing.mid {
            self.ledger.on_mid(mid);
            self.settling.on_mid(self.now, mid);
            self.drawdown.on_equity(self.now, self.ledger.equity());
        }
        self.standing = standing;
    }

    /// A fill that was not counted before. Returns what it was measured against.
    pub fn on_fill(&mut self, now: TimestampNs, order: ClientOrderId, fill: &Fill) -> FillSample {
        self.advance(now);
        let mid = self.ledger.mid().unwrap_or(HalfTicks::from(fill.price));
        let touch_ticks = self.standing.touch.map(|[bid, ask]| ask.ticks_above(bid));
        let sample = FillSample { at: self.now, side: fill.side, price: fill.price, qty: fill.qty, mid, touch_ticks };
        self.ledger.on_fill(fill);
        self.cost.on_fill(fill, mid);
        self.drawdown.on_equity(self.now, self.ledger.equity());
        self.turnover += self.instrument.notional(fill.price, fill.qty);
        self.filled_count += u64::from(self.filled.insert(order));
        if self.filled.len() > ORDERS_MAX {
            self.filled.pop_first();
        }
        self.filled_lots += i128::from(fill.qty.lots());
        self.fills += 1;
        self.settling.on_fill(sample);
        sample
    }

    /// A request that was handed out. Queries are not orders.
    pub fn on_command(&mut self, now: TimestampNs, command: &Command) {
        match command {
            Command::Place(order) => {
                self.first_order.get_or_insert(now);
                self.placed.insert(order.client_id, order.qty);
                if self.placed.len() > ORDERS_MAX {
                    self.placed.pop_first();
                }
                self.placed_count += 1;
                self.placed_lots += i128::from(order.qty.lots());
                self.messages += 1;
            }
            Command::Cancel { .. } | Command::Amend { .. } => self.messages += 1,
            Command::Query { .. } | Command::Fills { .. } => {}
        }
    }

    /// An order was refused: it never was in the market.
    pub fn on_rejected(&mut self, order: ClientOrderId) {
        if let Some(qty) = self.placed.remove(&order) {
            self.placed_lots -= i128::from(qty.lots());
        }
    }

    /// Profit and loss so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Fills whose horizons have passed since this was last asked, in their order.
    pub fn take_settled(&mut self) -> std::vec::Drain<'_, SettledFill> {
        self.settled.drain(..)
    }

    /// The figures of the session that ends at `end`. All fills are settled with it.
    pub fn finish(&mut self, end: TimestampNs, counts: OrderCounts, latency: Option<LatencySummary>) -> Kpis {
        self.advance(end);
        while let Some(fill) = self.settling.settle_rest() {
            self.settle(fill);
        }
        let (markouts, fills) = (self.markouts.curve(self.now), self.fills);
        let mut losses: Vec<f64> = self.minutes.iter().map(|change| -change).collect();
        let spent = self.spent;
        let time = |part: u64| ratio(part, spent.whole);
        let limited = |part: u64| ratio(part, spent.limited);
        let sharpe = Sharpe::of(&self.minutes, MINUTE.secs_f64());
        let realised_capture = self.markouts.captures(self.now);
        let pnl_per_minute = Bootstrap::moving(PNL_BLOCK).mean(&self.minutes);
        Kpis {
            seconds: self.now.since(self.start).secs_f64(),
            fills,
            pnl: self.attribution(),
            seed_acceptance: seed_acceptance(&sharpe, limited(spent.below_limit), &realised_capture),
            sharpe,
            pnl_per_minute,
            pnl_significant: pnl_per_minute.map(|estimate| estimate.is_significant()),
            drawdown: self.drawdown.total(self.now),
            spread_captured: self.markouts.captured(),
            realised_capture,
            toxicity_cost: markouts[MAIN_HORIZON].impact_cost,
            markouts,
            turnover: self.turnover,
            fill_ratio: ratio(self.filled_count, counts.accepted),
            fill_ratio_qty: (self.placed_lots > 0).then(|| self.filled_lots as f64 / self.placed_lots as f64),
            orders_rejected: counts.rejected,
            order_messages: self.messages,
            order_to_trade: ratio(self.messages, fills),
            inventory_cvar95: upper_tail_mean(&mut self.inventory.values().to_vec(), 5),
            loss_cvar95: upper_tail_mean(&mut losses, 5),
            time_below_limit: limited(spent.below_limit),
            time_above_half: limited(spent.above_half),
            inventory_risk: InventoryRisk::of(self.steps.values(), self.rules.risk_share),
            time_above_nine_tenths: limited(spent.above_nine_tenths),
            quote_uptime: time(spent.near),
            uptime_band_bps: self.rules.uptime_band_bps,
            two_sided: time(spent.both),
            floor_bound_ratio: ratio(counts.floor_bound, counts.modelled),
            clamp_ratio: ratio(counts.clamped, 2 * counts.modelled),
            post_only_reject_ratio: ratio(counts.post_only_rejected, self.placed_count),
            warmup_s: self.first_order.map(|first| first.since(self.start).secs_f64()),
            latency: latency.filter(|latency| latency.count > 0).map(|latency| LatencyKpi {
                p50_ns: latency.p50,
                p99_ns: latency.p99,
                max_ns: latency.max,
                count: latency.count,
            }),
        }
    }

    fn attribution(&self) -> Attribution {
        let unrealised = self.ledger.mid().map_or(Money::ZERO, |mid| self.cost.unrealised(mid));
        Attribution::of(self.ledger.pnl(), self.cost.realised(), unrealised, self.liquidated())
    }

    /// Equity if the position were closed against the best prices of others.
    fn liquidated(&self) -> Option<Money> {
        let atoms = self.ledger.atoms();
        if atoms == BaseAtoms::ZERO {
            return Some(self.ledger.cash());
        }
        let [bid, ask] = self.standing.touch?;
        let price = if atoms.get() > 0 { bid } else { ask };
        let value = self.instrument.value(HalfTicks::from(price), atoms);
        // A hundredth of a basis point is the finest commission that venues know.
        let fee_e6 = (self.rules.taker_fee_bps * 100.0).round() as i128;
        let fee = Money::from_attos(value.abs().attos() / 1_000_000 * fee_e6);
        Some(self.ledger.cash() + value - fee)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
