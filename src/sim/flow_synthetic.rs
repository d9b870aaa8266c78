//! A seeded market of informed and noise traders: SM-2 of the quant specification, 12.4.
//!
//! A latent value diffuses and, when somebody is informed, jumps at news. Background makers quote around a noisy view of
//! it, each at its own times, that lacks what of the news is still private; noise traders buy and sell at random; informed
//! traders hit whatever is mispriced against the value until the news has leaked out, so that their flow has direction
//! while it lasts. The value itself jumps and is a martingale, and where nobody is informed the quotes lag it only as far
//! as their makers come late: there is nothing that a better informed maker could know. Noise traders may excite each other
//! (a Hawkes process, drawn as the branching process that it is).
//!
//! Random numbers are split into streams of one ChaCha8 generator each: stream `symbol << 16 | purpose`, with the
//! purposes below. Each event draws the same numbers whatever the book looks like, so the exogenous flow (arrival
//! times, sizes, marks, the path of the value) is a function of the seed alone, however clients trade.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};
use xxhash_rust::xxh3::Xxh3;

use super::desk::Desk;
use super::market::{Arrival, Market};
use crate::matching::Message;
use crate::types::{DurationNs, OrderKind, Price, Qty, Side, TimeInForce, TimestampNs};

/// Parameters of the synthetic market (the specification's limit-order-book simulator). Defaults are for a
/// BTCUSDT-like instrument with a tick of 0.01 and a lot of 0.00001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SyntheticConfig {
    /// Seed of every random number; each purpose draws from a stream of its own.
    pub seed: u64,
    /// Where the latent value starts.
    pub start_price: Price,
    /// Share of aggressor arrivals that are informed, and scale of the news they trade on: 0 means that nobody knows
    /// anything and no news comes, 1 that every arrival is informed.
    pub informed_share: f64,
    /// Arrivals of aggressors a second, informed and noise together.
    pub aggressors_per_s: f64,
    /// How many further noise traders each one brings to its own side on average, below 1: a Hawkes process' branching
    /// ratio n, with 1/(1 - n) times the noise arrivals. 0 is a Poisson process.
    pub noise_excitation: f64,
    /// Mean delay of a trader that was brought.
    pub noise_excitation_delay: DurationNs,
    /// Mean size of an aggressor.
    pub aggressor_qty: Qty,
    /// Jumps of the latent value a second at an informed share of 1; thinned by the share.
    pub news_per_s: f64,
    /// Size of a jump in ticks.
    pub news_ticks: f64,
    /// Standard deviation of the latent value's diffusion in ticks per square root of a second.
    pub diffusion_ticks: f64,
    /// Time constant with which news leaks into the makers' view: how long it is private.
    pub info_window: DurationNs,
    /// Background makers.
    pub makers: usize,
    /// How often each maker re-quotes in a second.
    pub requotes_per_s: f64,
    /// Levels a side of each maker.
    pub maker_levels: usize,
    /// Half-spread of a maker's best quote in ticks.
    pub half_spread_ticks: f64,
    /// Standard deviation of a maker's error about the value in ticks.
    pub maker_noise_ticks: f64,
    /// Mean distance between a maker's levels in ticks.
    pub level_gap_ticks: f64,
    /// Mean size of a maker's level.
    pub maker_qty: Qty,
    /// What an informed trader wants to gain beyond the half-spread, in ticks.
    pub informed_cost_ticks: f64,
    /// Limit orders of noise traders a second.
    pub noise_limits_per_s: f64,
    /// Mean life of such an order.
    pub noise_limit_life: DurationNs,
    /// Mean distance of such an order behind the touch in ticks; without makers, behind the other side's best price.
    pub noise_limit_ticks: f64,
}

impl Default for SyntheticConfig {
    fn default() -> SyntheticConfig {
        SyntheticConfig {
            seed: 1,
            start_price: Price::from_ticks(6_000_000),
            informed_share: 0.2,
            aggressors_per_s: 6.0,
            noise_excitation: 0.0,
            noise_excitation_delay: DurationNs::from_millis(500),
            aggressor_qty: Qty::from_lots(2_000),
            news_per_s: 0.2,
            news_ticks: 60.0,
            diffusion_ticks: 3.0,
            info_window: DurationNs::from_millis(2_000),
            makers: 4,
            requotes_per_s: 4.0,
            maker_levels: 6,
            half_spread_ticks: 10.0,
            maker_noise_ticks: 2.0,
            level_gap_ticks: 4.0,
            maker_qty: Qty::from_lots(5_000),
            informed_cost_ticks: 2.0,
            noise_limits_per_s: 8.0,
            noise_limit_life: DurationNs::from_millis(4_000),
            noise_limit_ticks: 6.0,
        }
    }
}

impl SyntheticConfig {
    /// Says what is out of range, if anything is.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let rates = [self.aggressors_per_s, self.news_per_s, self.requotes_per_s, self.noise_limits_per_s];
        let sizes = [self.news_ticks, self.diffusion_ticks, self.half_spread_ticks, self.maker_noise_ticks];
        let lengths = [self.level_gap_ticks, self.informed_cost_ticks, self.noise_limit_ticks];
        let is_amount = |value: &f64| value.is_finite() && *value >= 0.0;
        if !(0.0..=1.0).contains(&self.informed_share) {
            Some("informed_share must lie in [0, 1]")
        } else if !(0.0..=0.95).contains(&self.noise_excitation) {
            Some("noise_excitation must lie in [0, 0.95], or arrivals grow without end")
        } else if !rates.iter().all(|rate| is_amount(rate) && *rate <= 1e6) {
            Some("rates must lie in [0, 1e6] a second")
        } else if !sizes.iter().chain(&lengths).all(is_amount) {
            Some("distances must be finite and not negative")
        } else if self.start_price.ticks() < 10_000 {
            Some("start_price must be at least 10 000 ticks, so that the value stays above zero")
        } else if self.aggressor_qty.lots() < 1 || self.maker_qty.lots() < 1 {
            Some("mean sizes must be at least one lot")
        } else {
            None
        }
    }
}

/// The latent value moves on this grid.
const VALUE_STEP: DurationNs = DurationNs::from_millis(50);

/// Sizes are exponential and cut at this many means, so that one order cannot sweep the whole book.
const SIZE_CUT: f64 = 6.0;

/// A maker leaves its quotes where they are while its opinion has moved less than this.
const REQUOTE_TICKS: f64 = 2.0;

/// What random numbers are drawn for: the low bits of a generator's stream number.
#[derive(Clone, Copy)]
enum Purpose {
    Value = 1,
    News = 2,
    Aggressors = 3,
    NoiseLimits = 4,
    Excitation = 5,
    /// The first maker; the others follow.
    Makers = 16,
}

fn generator(seed: u64, symbol: u16, purpose: Purpose, offset: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((u64::from(symbol) << 16) | (purpose as u64 + offset));
    rng
}

struct Maker {
    rng: ChaCha8Rng,
    next_at: TimestampNs,
    /// What it last quoted around.
    centre: Option<f64>,
    orders: Vec<u64>,
}

/// The flow of a synthetic market.
pub(super) struct SyntheticFlow {
    config: SyntheticConfig,
    /// The latent value in ticks.
    value: f64,
    /// What of its news only the informed know.
    private: f64,
    value_rng: ChaCha8Rng,
    news_rng: ChaCha8Rng,
    aggressor_rng: ChaCha8Rng,
    limit_rng: ChaCha8Rng,
    excitation_rng: ChaCha8Rng,
    step_at: TimestampNs,
    news_at: Option<TimestampNs>,
    aggressor_at: Option<TimestampNs>,
    limit_at: Option<TimestampNs>,
    makers: Vec<Maker>,
    expiries: BinaryHeap<Reverse<(TimestampNs, u64)>>,
    /// Noise traders that others have brought, and whether they buy.
    brought: BinaryHeap<Reverse<(TimestampNs, bool)>>,
    digest: Xxh3,
}

/// What happens next; at equal times in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Step,
    News,
    Expiry,
    Maker(usize),
    Limit,
    Aggressor,
    Brought,
}

impl SyntheticFlow {
    pub(super) fn new(config: SyntheticConfig, symbol: u16, start: TimestampNs) -> SyntheticFlow {
        let seeded = |purpose, offset| generator(config.seed, symbol, purpose, offset);
        let (mut news_rng, mut aggressor_rng) = (seeded(Purpose::News, 0), seeded(Purpose::Aggressors, 0));
        let mut limit_rng = seeded(Purpose::NoiseLimits, 0);
        let makers = (0..config.makers).map(|index| Maker {
            rng: seeded(Purpose::Makers, index as u64),
            next_at: start,
            centre: None,
            orders: Vec::new(),
        });
        SyntheticFlow {
            value: config.start_price.ticks() as f64,
            private: 0.0,
            value_rng: seeded(Purpose::Value, 0),
            step_at: start.plus(VALUE_STEP),
            news_at: after_exponential(start, config.news_per_s, &mut news_rng),
            aggressor_at: after_exponential(start, config.aggressors_per_s, &mut aggressor_rng),
            limit_at: after_exponential(start, config.noise_limits_per_s, &mut limit_rng),
            news_rng,
            aggressor_rng,
            limit_rng,
            excitation_rng: seeded(Purpose::Excitation, 0),
            makers: makers.collect(),
            expiries: BinaryHeap::new(),
            brought: BinaryHeap::new(),
            digest: Xxh3::new(),
            config,
        }
    }

    pub(super) fn next_at(&self) -> Option<TimestampNs> {
        self.next().map(|(at, _)| at)
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest.digest()
    }

    /// Carries out the next event.
    pub(super) fn run_next(&mut self, market: &mut Market, desk: &mut Desk) {
        // Clients' consumption needs no bookkeeping here: makers see what is left when they quote again.
        market.consumed.clear();
        market.rested.clear();
        let Some((now, next)) = self.next() else { return };
        match next {
            Next::Step => self.step(now),
            Next::News => self.news(now),
            Next::Expiry => {
                if let Some(Reverse((_, id))) = self.expiries.pop() {
                    market.withdraw(now, id, desk);
                }
            }
            Next::Maker(index) => self.requote(now, index, market, desk),
            Next::Limit => self.noise_limit(now, market, desk),
            Next::Aggressor => self.aggress(now, market, desk),
            Next::Brought => self.follow(now, market, desk),
        }
    }

    fn next(&self) -> Option<(TimestampNs, Next)> {
        let mut next = (self.step_at, Next::Step);
        let mut offer = |at: Option<TimestampNs>, what: Next| {
            if let Some(at) = at {
                next = next.min((at, what));
            }
        };
        offer(self.news_at, Next::News);
        offer(self.expiries.peek().map(|Reverse((at, _))| *at), Next::Expiry);
        for (index, maker) in self.makers.iter().enumerate() {
            offer((self.config.requotes_per_s > 0.0).then_some(maker.next_at), Next::Maker(index));
        }
        offer(self.limit_at, Next::Limit);
        offer(self.aggressor_at, Next::Aggressor);
        offer(self.brought.peek().map(|Reverse((at, _))| *at), Next::Brought);
        Some(next)
    }

    fn note(&mut self, now: TimestampNs, what: u64, numbers: &[f64]) {
        self.digest.update(&now.nanos().to_le_bytes());
        self.digest.update(&what.to_le_bytes());
        for number in numbers {
            self.digest.update(&number.to_bits().to_le_bytes());
        }
    }

    /// The value diffuses for everybody to see; what was private leaks out.
    fn step(&mut self, now: TimestampNs) {
        self.step_at = now.plus(VALUE_STEP);
        let shock: f64 = StandardNormal.sample(&mut self.value_rng);
        self.value += self.config.diffusion_ticks * VALUE_STEP.secs_f64().sqrt() * shock;
        self.hold_above_zero();
        let window_s = self.config.info_window.secs_f64();
        self.private *= if window_s > 0.0 { (-VALUE_STEP.secs_f64() / window_s).exp() } else { 0.0 };
        self.note(now, 1, &[self.value]);
    }

    /// News: the value jumps at once; only the informed know. Thinned by the informed share, so that without informed
    /// traders nothing happens that anybody could know.
    fn news(&mut self, now: TimestampNs) {
        self.news_at = after_exponential(now, self.config.news_per_s, &mut self.news_rng);
        let mark: f64 = self.news_rng.random();
        let sign = if self.news_rng.random::<bool>() { 1.0 } else { -1.0 };
        if mark < self.config.informed_share {
            let before = self.value;
            self.value += sign * self.config.news_ticks;
            self.hold_above_zero();
            self.private += self.value - before;
        }
        self.note(now, 2, &[mark, sign, self.value]);
    }

    fn hold_above_zero(&mut self) {
        self.value = self.value.max(self.config.start_price.ticks() as f64 / 10.0);
    }

    fn aggress(&mut self, now: TimestampNs, market: &mut Market, desk: &mut Desk) {
        let rng = &mut self.aggressor_rng;
        self.aggressor_at = after_exponential(now, self.config.aggressors_per_s, rng);
        let mark: f64 = rng.random();
        let noise_side = if rng.random::<bool>() { Side::Bid } else { Side::Ask };
        let qty = drawn_qty(self.config.aggressor_qty, rng);
        self.note(now, 3, &[mark, f64::from(noise_side as u8), qty.lots() as f64]);
        let (side, limit, kind) = if mark < self.config.informed_share {
            match self.mispriced(market) {
                Some((side, limit)) => (side, limit, OrderKind::Limit(TimeInForce::Ioc)),
                None => return,
            }
        } else {
            self.excite(now, noise_side);
            (noise_side, Price::default(), OrderKind::Market)
        };
        let order = market.background_order(side, limit, qty, kind);
        market.submit(now, &Message::New(order), Arrival::Aggressor { reach: None }, desk);
    }

    /// A noise trader brings others to its side: how many is Poisson, when is exponential.
    fn excite(&mut self, now: TimestampNs, side: Side) {
        let (mean, delay) = (self.config.noise_excitation, self.config.noise_excitation_delay);
        if mean <= 0.0 {
            return;
        }
        let rng = &mut self.excitation_rng;
        // Unit exponentials within `mean` are as many as a Poisson count of that mean.
        let mut sum: f64 = Exp1.sample(rng);
        while sum < mean {
            let wait: f64 = Exp1.sample(rng);
            let at = now.plus(DurationNs::from_nanos(1 + (wait * delay.nanos() as f64) as u64));
            self.brought.push(Reverse((at, side == Side::Bid)));
            let further: f64 = Exp1.sample(rng);
            sum += further;
        }
    }

    /// A noise trader whom another one has brought.
    fn follow(&mut self, now: TimestampNs, market: &mut Market, desk: &mut Desk) {
        let Some(Reverse((_, buys))) = self.brought.pop() else { return };
        let side = if buys { Side::Bid } else { Side::Ask };
        let qty = drawn_qty(self.config.aggressor_qty, &mut self.excitation_rng);
        self.note(now, 5, &[f64::from(side as u8), qty.lots() as f64]);
        self.excite(now, side);
        let order = market.background_order(side, Price::default(), qty, OrderKind::Market);
        market.submit(now, &Message::New(order), Arrival::Aggressor { reach: None }, desk);
    }

    /// What an informed trader does now: the side, and the price up to which it pays.
    fn mispriced(&self, market: &Market) -> Option<(Side, Price)> {
        let cost = self.config.informed_cost_ticks;
        let ask = market.core.best(Side::Ask).map(|level| level.price.ticks() as f64);
        let bid = market.core.best(Side::Bid).map(|level| level.price.ticks() as f64);
        if ask.is_some_and(|ask| self.value - cost > ask) {
            Some((Side::Bid, Price::from_ticks((self.value - cost).floor() as i64)))
        } else if bid.is_some_and(|bid| self.value + cost < bid) {
            Some((Side::Ask, Price::from_ticks((self.value + cost).ceil() as i64)))
        } else {
            None
        }
    }

    /// A maker quotes again around what it now believes. It never crosses other quotes of the simulated market, but
    /// does not look at clients' orders: a quote that reaches them trades.
    fn requote(&mut self, now: TimestampNs, index: usize, market: &mut Market, desk: &mut Desk) {
        let (config, view) = (self.config, self.value - self.private);
        let maker = &mut self.makers[index];
        maker.next_at = after_exponential(now, config.requotes_per_s, &mut maker.rng).unwrap_or(now.plus(VALUE_STEP));
        let error: f64 = StandardNormal.sample(&mut maker.rng);
        let mut quotes = Vec::with_capacity(2 * config.maker_levels);
        for side in Side::BOTH {
            let mut distance = config.half_spread_ticks;
            for _ in 0..config.maker_levels {
                quotes.push((side, distance, drawn_qty(config.maker_qty, &mut maker.rng)));
                let gap: f64 = Exp1.sample(&mut maker.rng);
                distance += 1.0 + gap * config.level_gap_ticks;
            }
        }
        let centre = view + error * config.maker_noise_ticks;
        let is_whole = maker.orders.iter().all(|&id| market.core.order(id).is_some()) && !maker.orders.is_empty();
        let stays = is_whole && maker.centre.is_some_and(|last| (last - centre).abs() < REQUOTE_TICKS);
        if !stays {
            for id in std::mem::take(&mut maker.orders) {
                market.withdraw(now, id, desk);
            }
            for (side, distance, qty) in &quotes {
                // Bids down, asks up, so that rounding never narrows a quote.
                let wanted = match side {
                    Side::Bid => (centre - distance).floor() as i64,
                    Side::Ask => (centre + distance).ceil() as i64,
                };
                let price = match (side, market.best_background(side.opposite())) {
                    (Side::Bid, Some(ask)) => wanted.min(ask.ticks() - 1),
                    (Side::Ask, Some(bid)) => wanted.max(bid.ticks() + 1),
                    (_, None) => wanted,
                };
                maker.orders.push(market.quote(now, *side, Price::from_ticks(price), *qty, desk));
            }
            maker.centre = Some(centre);
        }
        self.note(now, 16 + index as u64, &[error, quotes.iter().map(|quote| quote.2.lots() as f64).sum()]);
    }

    /// A noise trader rests an order near the touch for a while.
    fn noise_limit(&mut self, now: TimestampNs, market: &mut Market, desk: &mut Desk) {
        let rng = &mut self.limit_rng;
        self.limit_at = after_exponential(now, self.config.noise_limits_per_s, rng);
        let side = if rng.random::<bool>() { Side::Bid } else { Side::Ask };
        let distance: f64 = Exp1.sample(rng);
        let qty = drawn_qty(self.config.aggressor_qty, rng);
        let life: f64 = Exp1.sample(rng);
        let life_ns = (life * self.config.noise_limit_life.nanos() as f64) as u64;
        self.note(now, 4, &[f64::from(side as u8), distance, qty.lots() as f64, life]);
        let opposite = market.best_background(side.opposite()).map(Price::ticks);
        let behind = (distance * self.config.noise_limit_ticks) as i64;
        let mut price = if self.config.makers == 0 {
            // Nobody else makes a spread: distance is from the other side's best, and from the value in an empty book.
            opposite.unwrap_or(self.value as i64) - side.sign() * (1 + behind)
        } else {
            // One tick inside the touch at best; the rest at or behind it.
            let Some(touch) = market.best_background(side) else { return };
            touch.ticks() - side.sign() * (behind - 1)
        };
        if let Some(opposite) = opposite {
            price = match side {
                Side::Bid => price.min(opposite - 1),
                Side::Ask => price.max(opposite + 1),
            };
        }
        let id = market.quote(now, side, Price::from_ticks(price), qty, desk);
        self.expiries.push(Reverse((now.plus(DurationNs::from_nanos(life_ns)), id)));
    }
}

/// The time after an exponential wait; `None` when the rate is zero.
fn after_exponential(now: TimestampNs, rate_per_s: f64, rng: &mut ChaCha8Rng) -> Option<TimestampNs> {
    let wait: f64 = Exp1.sample(rng);
    (rate_per_s > 0.0).then(|| now.plus(DurationNs::from_nanos(1 + (wait / rate_per_s * 1e9) as u64)))
}

/// An exponential size of that mean, whole lots, at least one.
fn drawn_qty(mean: Qty, rng: &mut ChaCha8Rng) -> Qty {
    let size: f64 = Exp1.sample(rng);
    Qty::from_lots(((size.min(SIZE_CUT) * mean.lots() as f64) as i64).max(1))
}
