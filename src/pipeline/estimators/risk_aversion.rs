//! Risk aversion gamma by a budget of risk.
//!
//! Owns [`RiskAversion`]. Profit and loss do not say what its owner prefers, so gamma is not estimated from them: it is
//! steered, so that the inventory's realised variance stays at a budget. More risk than that raises gamma, which
//! skews harder and carries less. The mean-variance gamma that the profit would imply is kept for people to see and
//! is never traded on. Formulas: quant.md 5.2.

use super::Surroundings;
use crate::pipeline::config::{EstimatorsConfig, LearnKind, QuoterConfig};
use crate::pipeline::digest::Digester;
use crate::types::{HalfTicks, TimestampNs};

/// How far gamma may go from where it started, as a factor.
const RANGE: f64 = 100.0;

/// A step that took this many times its length spans a pause: its profit is not that of one step.
const STEP_LATE: f64 = 1.5;

/// Periods before a mean and a variance of the profit are worth showing.
const PERIODS_MIN: u64 = 30;

/// The gamma at which `position_max_base` is skewed by `full_skew_ticks`, per quote unit: n psi / (sigma² Delta Q).
pub fn gamma_at_full_skew(
    full_skew_ticks: f64,
    sigma_ticks: f64,
    tick: f64,
    horizon_s: f64,
    makers: f64,
    position_max_base: f64,
) -> f64 {
    full_skew_ticks / (sigma_ticks * sigma_ticks * tick * horizon_s / makers * position_max_base)
}

/// The controller.
pub struct RiskAversion {
    learns: bool,
    rate: f64,
    horizon_s: f64,
    makers: f64,
    full_skew_ticks: f64,
    given: Option<f64>,
    /// Wanted standard deviation of a step, in quote currency.
    budget: Option<f64>,
    share: f64,
    /// Weight that the past keeps with each step.
    decay: f64,
    half_life_s: f64,
    /// Where gamma started and what it is.
    started: Option<f64>,
    gamma: Option<f64>,
    /// Mean square of a step's profit, and the weight that the absent past would have.
    variance: f64,
    weight_left: f64,
    /// The last step: when, position, mid, equity.
    last: Option<(TimestampNs, f64, HalfTicks, f64)>,
    held_at: Option<TimestampNs>,
    profit: Moments,
}

/// Mean and variance, running.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / (self.count.max(2) - 1) as f64
    }
}

impl RiskAversion {
    /// As configured.
    pub fn new(config: &EstimatorsConfig, quoter: &QuoterConfig) -> RiskAversion {
        RiskAversion {
            learns: config.gamma == LearnKind::Live,
            rate: config.gamma_rate,
            horizon_s: quoter.horizon_s,
            makers: quoter.makers,
            full_skew_ticks: quoter.full_skew_ticks,
            given: quoter.gamma,
            budget: config.risk_budget.map(|amount| amount.e8() as f64 / 1e8),
            share: config.risk_share,
            decay: (-quoter.horizon_s / config.gamma_half_life_s).exp2(),
            half_life_s: config.gamma_half_life_s,
            started: None,
            gamma: None,
            variance: 0.0,
            weight_left: 1.0,
            last: None,
            held_at: None,
            profit: Moments::default(),
        }
    }

    /// Renews gamma, once in an inventory horizon.
    pub fn advance(&mut self, now: TimestampNs, around: &Surroundings, position_max_base: f64) {
        let Some(sigma_ticks) = around.sigma_ticks.filter(|sigma| *sigma > 0.0) else { return };
        if self.started.is_none() {
            self.start(sigma_ticks, around.tick, position_max_base);
        }
        let Some(mid) = around.mid else {
            // No step reaches across a book that cannot be marked to.
            self.last = None;
            return;
        };
        let Some((then, position, mid_then, equity_then)) = self.last else {
            self.last = Some((now, around.position_base, mid, around.equity));
            return;
        };
        let elapsed_s = now.since(then).secs_f64();
        // The grid and the wake may differ by less than the shortest step of the grid.
        if elapsed_s + 1e-3 < self.horizon_s {
            return;
        }
        self.last = Some((now, around.position_base, mid, around.equity));
        if elapsed_s > self.horizon_s * STEP_LATE + 1.0 {
            return;
        }
        let moved = (mid.get() - mid_then.get()) as f64 / 2.0 * around.tick;
        self.profit.push(around.equity - equity_then);
        self.step(now, position * moved, position != 0.0);
    }

    /// Fixes the start and, when it is derived, the budget.
    fn start(&mut self, sigma_ticks: f64, tick: f64, position_max_base: f64) {
        let derived = || {
            let (psi, horizon_s, makers) = (self.full_skew_ticks, self.horizon_s, self.makers);
            gamma_at_full_skew(psi, sigma_ticks, tick, horizon_s, makers, position_max_base)
        };
        let start = self.given.unwrap_or_else(derived);
        let per_limit = sigma_ticks * tick * self.horizon_s.sqrt() * position_max_base;
        self.budget.get_or_insert(self.share * per_limit);
        self.started = Some(start);
        // A gamma that was restored stands, as far as this session's limits let it.
        self.gamma = Some(self.gamma.unwrap_or(start).clamp(start / RANGE, start * RANGE));
    }

    /// One step of the controller with the inventory's profit over it, in quote currency.
    fn step(&mut self, now: TimestampNs, profit: f64, held: bool) {
        self.variance = self.decay * self.variance + (1.0 - self.decay) * profit * profit;
        self.weight_left *= self.decay;
        if held {
            self.held_at = Some(now);
        }
        let held_lately = self.held_at.is_some_and(|at| now.since(at).secs_f64() <= self.half_life_s);
        let (Some(gamma), Some(start), Some(budget)) = (self.gamma, self.started, self.budget) else { return };
        if !self.learns || !held_lately {
            return;
        }
        let variance = self.variance / (1.0 - self.weight_left);
        // The logarithm of zero is clipped like any small one.
        let pressure = (variance / (budget * budget)).ln().clamp(-1.0, 1.0);
        let next = gamma * (self.rate * pressure).exp();
        if next.is_finite() {
            self.gamma = Some(next.clamp(start / RANGE, start * RANGE));
        }
    }

    /// Risk aversion, per quote unit; `None` before volatility is known.
    pub fn value(&self) -> Option<f64> {
        self.started.and(self.gamma)
    }

    /// Takes the gamma of an earlier session; a configured one wins. What this session's limits allow of it stands.
    pub fn restore(&mut self, gamma: f64) {
        if self.learns && self.given.is_none() && gamma.is_finite() && gamma > 0.0 {
            self.gamma = Some(gamma);
        }
    }

    /// Wanted standard deviation of the inventory's profit over one horizon, in quote currency.
    pub fn budget(&self) -> Option<f64> {
        self.budget
    }

    /// E\[profit\] / Var\[profit\] of the periods so far: what a mean-variance investor who chose this risk would reveal.
    /// `None` while the mean is not positive or the periods are few; its error is enormous.
    pub fn implied(&self) -> Option<f64> {
        let variance = self.profit.variance();
        (self.profit.count >= PERIODS_MIN && self.profit.mean > 0.0 && variance > 0.0)
            .then(|| self.profit.mean / variance)
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for value in [self.started, self.gamma, self.budget] {
            digester.option_f64(value);
        }
        digester.f64(self.variance);
        digester.f64(self.weight_left);
        digester.option_time(self.held_at);
        if let Some((then, position, mid, equity)) = self.last {
            digester.time(then);
            digester.f64(position);
            digester.i64(mid.get());
            digester.f64(equity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::amount::Amount;

    const HORIZON_MS: u64 = 10_000;

    fn around(position_base: f64, mid_half_ticks: i64) -> Surroundings {
        Surroundings {
            mid: Some(HalfTicks::new(mid_half_ticks)),
            sigma_ticks: Some(534.2),
            position_base,
            position_max_base: Some(0.05),
            equity: 0.0,
            tick: 0.01,
        }
    }

    fn controller(config: &EstimatorsConfig) -> RiskAversion {
        RiskAversion::new(config, &QuoterConfig { full_skew_ticks: 600.0, ..QuoterConfig::default() })
    }

    /// A position whose mid swings by `swing` half ticks each step, for `steps` steps.
    fn swing(controller: &mut RiskAversion, from: u64, steps: u64, position: f64, swing: i64) -> u64 {
        for step in from..from + steps {
            let mid = 12_000_000 + if step % 2 == 0 { swing } else { 0 };
            controller.advance(TimestampNs::from_millis(step * HORIZON_MS), &around(position, mid), 0.05);
        }
        from + steps
    }

    /// quant.md 5.2: m=60000, sigma=5.342, Delta=10, n=10, psi*=6, Q_max=.05 give gamma 4.205 per USD and kappa 120.
    #[test]
    fn the_start_and_its_skew_are_the_specifications_example() {
        let mut gamma = controller(&EstimatorsConfig::default());
        assert_eq!(gamma.value(), None);
        swing(&mut gamma, 1, 1, 0.0, 0);
        let start = gamma.value().unwrap();
        assert!((start - 4.205).abs() < 1e-3, "{start}");
        assert!((super::super::skew::kappa_ticks(start, 534.2, 0.01, 10.0, 10.0) * 0.01 - 120.0).abs() < 1e-9);
    }

    #[test]
    fn more_risk_than_the_budget_raises_gamma_and_less_lowers_it_within_the_range() {
        let mut gamma = controller(&EstimatorsConfig::default());
        let next = swing(&mut gamma, 1, 1, 0.05, 0);
        let start = gamma.value().unwrap();
        // A quarter of .05 * 5.342 * sqrt(10).
        assert!((gamma.budget().unwrap() - 0.2112).abs() < 1e-4, "{:?}", gamma.budget());
        // One step of 0.05 BTC over 100 USD: far above the budget, so ln is clipped at 1.
        let next = swing(&mut gamma, next, 1, 0.05, -20_000);
        assert!((gamma.value().unwrap() / start - 0.05_f64.exp()).abs() < 1e-12);
        let next = swing(&mut gamma, next, 400, 0.05, 20_000);
        assert!((gamma.value().unwrap() / start - 100.0).abs() < 1e-9, "the ceiling");
        // No movement: variance dies away, and gamma comes back.
        swing(&mut gamma, next, 6000, 0.05, 0);
        assert!((gamma.value().unwrap() / start - 0.01).abs() < 1e-9, "the floor");
    }

    /// Swings of s a step have the variance s², so the step at the budget leaves gamma where it is.
    #[test]
    fn at_the_budget_gamma_stands_still() {
        // 0.05 BTC times 4 USD is 0.2 a step.
        let config = EstimatorsConfig { risk_budget: Some(Amount::from_e8(20_000_000)), ..EstimatorsConfig::default() };
        let mut gamma = controller(&config);
        let next = swing(&mut gamma, 1, 2, 0.05, 800);
        let start = gamma.value().unwrap();
        swing(&mut gamma, next, 500, 0.05, 800);
        assert!((gamma.value().unwrap() / start - 1.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_position_for_a_half_life_nothing_is_learnt() {
        let mut gamma = controller(&EstimatorsConfig::default());
        let next = swing(&mut gamma, 1, 50, 0.0, 20_000);
        let start = gamma.value().unwrap();
        let next = swing(&mut gamma, next, 5, 0.05, 20_000);
        let raised = gamma.value().unwrap();
        assert!(raised > start);
        // 1800 s are 180 steps; the variance of before is still what steers until then.
        let next = swing(&mut gamma, next, 190, 0.0, 0);
        let rested = gamma.value().unwrap();
        swing(&mut gamma, next, 500, 0.0, 20_000);
        assert_eq!(gamma.value().unwrap(), rested);
    }

    #[test]
    fn a_fixed_gamma_never_moves() {
        let config = EstimatorsConfig { gamma: LearnKind::Fixed, ..EstimatorsConfig::default() };
        let mut gamma = RiskAversion::new(&config, &QuoterConfig { gamma: Some(0.3), ..QuoterConfig::default() });
        swing(&mut gamma, 1, 100, 0.05, 20_000);
        assert_eq!(gamma.value(), Some(0.3));
    }

    #[test]
    fn the_implied_gamma_needs_a_profit() {
        let mut gamma = controller(&EstimatorsConfig::default());
        for step in 0..100_u64 {
            // Profits of 1 and 3 in turn: mean 2, sample variance 99/98.
            let equity = (step + step / 2 * 2) as f64;
            let around = Surroundings { equity, ..around(0.0, 12_000_000) };
            gamma.advance(TimestampNs::from_millis((step + 1) * HORIZON_MS), &around, 0.05);
        }
        let implied = gamma.implied().unwrap();
        assert!((implied - 2.0).abs() < 0.05, "{implied}");
        let mut loser = controller(&EstimatorsConfig::default());
        for step in 0..100_u64 {
            let around = Surroundings { equity: -(step as f64) - (step % 2) as f64, ..around(0.0, 12_000_000) };
            loser.advance(TimestampNs::from_millis((step + 1) * HORIZON_MS), &around, 0.05);
        }
        assert_eq!(loser.implied(), None);
    }
}
