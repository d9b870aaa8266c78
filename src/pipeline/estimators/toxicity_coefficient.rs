//! The toxicity coefficient k: how far the mid moves with an aggressor for each unit of toxicity.
//!
//! Owns [`ToxicityCoefficient`]: the markouts that are pending, the regressions over the tape and over our own fills,
//! and their mixture. Fed by the estimators' room; never blocks on a full queue and never learns across a lost book.
//! Formulas: quant.md 5.1. The mid before a print is the last one read before it, because the tape carries none.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::rls::{InterceptRls, Rls, StepOutcome};
use crate::pipeline::config::{EstimatorsConfig, KRegressor};
use crate::pipeline::digest::Digester;
use crate::pipeline::features::Toxicity;
use crate::types::{DurationNs, HalfTicks, Side, TimestampNs};

/// Markouts that may be pending at once. At the default horizon and thinning that is 4000 prints a second; when it is
/// full, the newest sample is let go and counted, because those before it are as good and are already paid for.
const PENDING_MAX: usize = 1024;

/// Samples that the first coefficient is made from: enough for two medians.
const SEED_SAMPLES: usize = 64;

/// Least toxicity that a first coefficient divides by.
const SEED_TAU_MIN: f64 = 0.1;

/// Deviations beyond which a markout is clipped.
const CLIP_SIGMAS: f64 = 5.0;

/// Where a markout comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Tape,
    OwnFill,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    due: TimestampNs,
    source: Source,
    aggressor: Side,
    mid: HalfTicks,
    regressor: f64,
}

/// Markouts so far, by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MarkoutCounts {
    /// Of the tape, learnt from.
    pub tape: u64,
    /// Of own fills, learnt from.
    pub fills: u64,
    /// Waiting for their horizon.
    pub pending: u64,
    /// Let go because too many were waiting.
    pub full: u64,
    /// Let go because the book was lost before their horizon.
    pub gap: u64,
    /// Regressors too small to say anything.
    pub unexcited: u64,
    /// Numbers that were not finite; the coefficient stayed as it was.
    pub not_finite: u64,
}

/// One regression, with or without an intercept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Regression {
    Slope(Rls),
    Intercept(InterceptRls),
}

impl Regression {
    fn new(config: &EstimatorsConfig, base: f64, slope: f64) -> Regression {
        let lambda = 1.0 - 1.0 / config.k_memory;
        if config.k_intercept {
            Regression::Intercept(InterceptRls::new(base, slope, config.k_variance, lambda))
        } else {
            Regression::Slope(Rls::new(slope, config.k_variance, lambda))
        }
    }

    fn step(&mut self, x: f64, y: f64) -> StepOutcome {
        match self {
            Regression::Slope(rls) => rls.step(x, y),
            Regression::Intercept(rls) => rls.step(x, y),
        }
    }

    /// Intercept (zero without one) and slope.
    fn coefficients(&self) -> (f64, f64) {
        match self {
            Regression::Slope(rls) => (0.0, rls.theta),
            Regression::Intercept(rls) => (rls.intercept, rls.slope),
        }
    }

    fn digest(&self, digester: &mut Digester) {
        match self {
            Regression::Slope(rls) => rls.digest(digester),
            Regression::Intercept(rls) => rls.digest(digester),
        }
    }
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoefficientState {
    regressor: KRegressor,
    horizon_ns: u64,
    tape: Regression,
    fills: Regression,
    tape_count: u64,
    fills_count: u64,
}

/// Half-spreads and toxicities seen before the first step.
#[derive(Clone, Debug)]
struct Seeds {
    half_spreads: Vec<f64>,
    regressors: Vec<f64>,
}

/// The first coefficient: the median half-spread over the median toxicity, which is not taken below 0.1. Sorts both.
pub fn seed_k(half_spreads: &mut [f64], regressors: &mut [f64]) -> f64 {
    let median = |values: &mut [f64]| {
        values.sort_unstable_by(f64::total_cmp);
        match values.len() {
            0 => 0.0,
            count if count % 2 == 1 => values[count / 2],
            count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
        }
    };
    median(half_spreads) / median(regressors).max(SEED_TAU_MIN)
}

/// The estimator of k.
pub struct ToxicityCoefficient {
    regressor: KRegressor,
    horizon: DurationNs,
    thin: u32,
    warmup: u64,
    fill_weight: f64,
    has_intercept: bool,
    lambda: f64,
    /// Prints since the last one that was taken.
    prints: u32,
    pending: VecDeque<Pending>,
    seeds: Option<Seeds>,
    tape: Regression,
    fills: Regression,
    counts: MarkoutCounts,
}

impl ToxicityCoefficient {
    /// As configured, before the first print.
    pub fn new(config: &EstimatorsConfig) -> ToxicityCoefficient {
        ToxicityCoefficient {
            regressor: config.k_regressor,
            horizon: DurationNs::from_nanos(config.k_horizon_ms.saturating_mul(1_000_000)),
            thin: config.k_thin,
            warmup: u64::from(config.k_warmup),
            fill_weight: config.k_fill_weight,
            has_intercept: config.k_intercept,
            lambda: 1.0 - 1.0 / config.k_memory,
            prints: 0,
            pending: VecDeque::with_capacity(PENDING_MAX),
            seeds: Some(Seeds {
                half_spreads: Vec::with_capacity(SEED_SAMPLES),
                regressors: Vec::with_capacity(SEED_SAMPLES),
            }),
            tape: Regression::new(config, 0.0, 0.0),
            fills: Regression::new(config, 0.0, 0.0),
            counts: MarkoutCounts::default(),
        }
    }

    /// Takes a print of the tape, one in so many.
    pub fn on_print(
        &mut self,
        ts: TimestampNs,
        aggressor: Side,
        mid: HalfTicks,
        half_spread: HalfTicks,
        toxicity: Option<Toxicity>,
    ) {
        self.prints += 1;
        if self.prints < self.thin {
            return;
        }
        self.prints = 0;
        self.queue(ts, Source::Tape, aggressor, mid, half_spread, toxicity);
    }

    /// Takes a fill of our order on `side`: whoever filled it aggressed from the other one.
    pub fn on_own_fill(
        &mut self,
        ts: TimestampNs,
        side: Side,
        mid: HalfTicks,
        half_spread: HalfTicks,
        toxicity: Option<Toxicity>,
    ) {
        self.queue(ts, Source::OwnFill, side.opposite(), mid, half_spread, toxicity);
    }

    fn queue(
        &mut self,
        ts: TimestampNs,
        source: Source,
        aggressor: Side,
        mid: HalfTicks,
        half_spread: HalfTicks,
        toxicity: Option<Toxicity>,
    ) {
        let Some(toxicity) = toxicity else { return };
        if self.pending.len() == PENDING_MAX {
            self.counts.full += 1;
            return;
        }
        let regressor = match self.regressor {
            KRegressor::Unsigned => toxicity.tau,
            KRegressor::Signed => toxicity.signed * aggressor.sign() as f64,
        };
        self.seed(half_spread.ticks_f64(), regressor.abs());
        // Time that goes back counts as standing still, so that the queue stays in the order of its horizons.
        let due = ts.plus(self.horizon).max(self.pending.back().map_or(TimestampNs::ZERO, |last| last.due));
        self.pending.push_back(Pending { due, source, aggressor, mid, regressor });
    }

    /// Collects what the first coefficient is made from, and makes it once.
    fn seed(&mut self, half_spread_ticks: f64, regressor: f64) {
        let Some(seeds) = &mut self.seeds else { return };
        seeds.half_spreads.push(half_spread_ticks);
        seeds.regressors.push(regressor);
        if seeds.half_spreads.len() < SEED_SAMPLES {
            return;
        }
        let k = seed_k(&mut seeds.half_spreads, &mut seeds.regressors);
        self.seeds = None;
        for regression in [&mut self.tape, &mut self.fills] {
            match regression {
                Regression::Slope(rls) => rls.theta = k,
                Regression::Intercept(rls) => rls.slope = k,
            }
        }
    }

    /// Settles the markouts that are due by `ts` with the mid that stood until then.
    pub fn settle(&mut self, ts: TimestampNs, mid: HalfTicks, sigma_ticks: Option<f64>) {
        while let Some(first) = self.pending.front().copied()
            && first.due <= ts
        {
            self.pending.pop_front();
            // The samples that the first coefficient is made from are not learnt from before it is.
            if self.seeds.is_some() {
                continue;
            }
            let moved = (mid.get() - first.mid.get()) as f64 / 2.0;
            let markout = moved * first.aggressor.sign() as f64;
            let clip = sigma_ticks.map(|sigma| CLIP_SIGMAS * sigma * self.horizon.secs_f64().sqrt());
            self.learn(first.source, first.regressor, clip.map_or(markout, |clip| markout.clamp(-clip, clip)));
        }
    }

    fn learn(&mut self, source: Source, regressor: f64, markout_ticks: f64) {
        let regression = match source {
            Source::Tape => &mut self.tape,
            Source::OwnFill => &mut self.fills,
        };
        match regression.step(regressor, markout_ticks) {
            StepOutcome::Taken if source == Source::Tape => self.counts.tape += 1,
            StepOutcome::Taken => self.counts.fills += 1,
            StepOutcome::Skipped => self.counts.unexcited += 1,
            StepOutcome::NotFinite => self.counts.not_finite += 1,
        }
    }

    /// One step of the tape's regression, at once: the spread that a trade has cost the maker, in ticks, at toxicity
    /// `tau`. Answers k, warm or not, in ticks.
    pub fn update_k(&mut self, slip_spread: f64, tau: f64) -> f64 {
        self.learn(Source::Tape, tau, slip_spread);
        self.mixed().1.max(0.0)
    }

    /// There was no mid until `ts`: what fell due before has no markout.
    pub fn discard_due(&mut self, ts: TimestampNs) {
        while self.pending.front().is_some_and(|first| first.due <= ts) {
            self.pending.pop_front();
            self.counts.gap += 1;
        }
    }

    /// The book was lost: what is pending has no markout.
    pub fn on_gap(&mut self) {
        self.counts.gap += self.pending.len() as u64;
        self.pending.clear();
    }

    /// Intercept and slope of tape and fills together.
    fn mixed(&self) -> (f64, f64) {
        let fills = self.counts.fills as f64;
        let weight = fills / (fills + self.fill_weight);
        let ((tape_base, tape), (fill_base, fill)) = (self.tape.coefficients(), self.fills.coefficients());
        (weight * fill_base + (1.0 - weight) * tape_base, weight * fill + (1.0 - weight) * tape)
    }

    /// Whether enough samples were learnt from.
    pub fn is_warm(&self) -> bool {
        self.counts.tape + self.counts.fills >= self.warmup
    }

    /// k, in ticks and never below zero; `None` before the warm-up.
    pub fn k_ticks(&self) -> Option<f64> {
        self.is_warm().then(|| self.mixed().1.max(0.0))
    }

    /// The intercept, in ticks and never below zero; `None` before the warm-up and without one.
    pub fn base_ticks(&self) -> Option<f64> {
        (self.has_intercept && self.is_warm()).then(|| self.mixed().0.max(0.0))
    }

    /// What survives a restart; `None` before the first coefficient.
    pub fn state(&self) -> Option<CoefficientState> {
        self.seeds.is_none().then_some(CoefficientState {
            regressor: self.regressor,
            horizon_ns: self.horizon.nanos(),
            tape: self.tape,
            fills: self.fills,
            tape_count: self.counts.tape,
            fills_count: self.counts.fills,
        })
    }

    /// Takes what an earlier session has learnt. Returns false, and changes nothing, when that was another regression.
    pub fn restore(&mut self, state: &CoefficientState) -> bool {
        let usable = |own: &Regression, saved: &Regression| match (own, saved) {
            (Regression::Slope(_), Regression::Slope(rls)) => rls.is_usable(self.lambda),
            (Regression::Intercept(_), Regression::Intercept(rls)) => rls.is_usable(self.lambda),
            _ => false,
        };
        let fits = (state.regressor, state.horizon_ns) == (self.regressor, self.horizon.nanos())
            && usable(&self.tape, &state.tape)
            && usable(&self.fills, &state.fills);
        if fits {
            (self.tape, self.fills, self.seeds) = (state.tape, state.fills, None);
            (self.counts.tape, self.counts.fills) = (state.tape_count, state.fills_count);
        }
        fits
    }

    /// Whether a markout waits for its horizon.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What became of the markouts.
    pub fn counts(&self) -> MarkoutCounts {
        MarkoutCounts { pending: self.pending.len() as u64, ..self.counts }
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.u64(u64::from(self.prints));
        for pending in &self.pending {
            digester.time(pending.due);
            digester.u64(pending.source as u64);
            digester.i64(pending.mid.get() * pending.aggressor.sign());
            digester.f64(pending.regressor);
        }
        if let Some(seeds) = &self.seeds {
            for value in seeds.half_spreads.iter().chain(&seeds.regressors) {
                digester.f64(*value);
            }
        }
        self.tape.digest(digester);
        self.fills.digest(digester);
        digester.u64(self.counts.tape);
        digester.u64(self.counts.fills);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::reference::random::Moments;
    use crate::sim::reference::sm1;

    fn toxicity(tau: f64) -> Option<Toxicity> {
        Some(Toxicity { raw: tau, tau, signed: tau, tau_bid: 0.0, tau_ask: tau })
    }

    fn at(ms: u64) -> TimestampNs {
        TimestampNs::from_millis(1_000_000 + ms)
    }

    fn config() -> EstimatorsConfig {
        EstimatorsConfig { k_thin: 1, k_warmup: 10, ..EstimatorsConfig::default() }
    }

    /// Buyers at each second, whose markouts are `slope * tau` ticks exactly, with tau of .2 and .6 in turn.
    fn run(k: &mut ToxicityCoefficient, slope: f64, prints: u64) {
        for second in 0..prints {
            // Prints come one horizon apart, so the mid of the settlement is that of the print alone.
            let ts = at(second * 5_000);
            let tau = if second % 2 == 0 { 0.2 } else { 0.6 };
            k.on_print(ts, Side::Bid, HalfTicks::new(20_000), HalfTicks::new(4), toxicity(tau));
            let moved = (2.0 * slope * tau).round() as i64;
            k.settle(at((second + 1) * 5_000), HalfTicks::new(20_000 + moved), Some(1000.0));
        }
    }

    /// quant.md 5.1: the simulator SM-1 gives an OLS slope of 1.431; the RLS path has mean 1.395 and deviation .159.
    #[test]
    fn on_the_specified_market_the_path_is_the_specified_one() {
        let mut k = ToxicityCoefficient::new(&EstimatorsConfig::default());
        let mut path = Moments::default();
        let samples = sm1::PAPER.markouts(2_000_000, 200, 1);
        for (step, (tau, markout)) in samples.iter().step_by(20).enumerate() {
            let now = k.update_k(*markout, *tau);
            if step > 5_000 {
                path.push(now);
            }
        }
        assert!((path.mean() - 1.395).abs() < 0.12, "{}", path.mean());
        assert!((0.08..0.32).contains(&path.std()), "{}", path.std());
        assert!(k.counts().unexcited > 0 && k.counts().not_finite == 0);
    }

    #[test]
    fn exact_markouts_are_learnt_and_published_after_the_warm_up() {
        let mut k = ToxicityCoefficient::new(&config());
        run(&mut k, 30.0, SEED_SAMPLES as u64 + 8);
        assert_eq!(k.k_ticks(), None, "one sample is short");
        run(&mut k, 30.0, 100);
        // The start, 25 ticks off, weighs 1/P0 = 1e-3 beside the squares of tau, which add up to 21.6: 1.2e-3 are left.
        assert!((k.k_ticks().unwrap() - 30.0).abs() < 2e-3, "{:?}", k.k_ticks());
        assert_eq!(k.base_ticks(), None, "there is no intercept in the seed's mode");
        let mut with = ToxicityCoefficient::new(&EstimatorsConfig { k_intercept: true, ..config() });
        run(&mut with, 30.0, 300);
        assert!((with.k_ticks().unwrap() - 30.0).abs() < 0.1 && with.base_ticks().unwrap() < 0.1);
    }

    /// Sellers push the mid down: their markouts are positive too, and the signed regressor says which way.
    #[test]
    fn a_falling_mid_after_a_seller_is_a_positive_markout() {
        let mut k = ToxicityCoefficient::new(&EstimatorsConfig { k_warmup: 1, ..config() });
        run(&mut k, 0.0, SEED_SAMPLES as u64);
        let ts = at(10_000_000);
        for step in 0..200 {
            let ts = ts.plus(DurationNs::from_secs(step * 5));
            k.on_print(ts, Side::Ask, HalfTicks::new(20_000), HalfTicks::new(4), toxicity(0.5));
            k.settle(ts.plus(DurationNs::from_secs(5)), HalfTicks::new(20_000 - 20), Some(1000.0));
        }
        // 10 ticks at .5, against 64 samples of nothing.
        assert!(k.k_ticks().unwrap() > 14.0, "{:?}", k.k_ticks());
    }

    #[test]
    fn own_fills_weigh_by_their_number() {
        let mut k = ToxicityCoefficient::new(&config());
        run(&mut k, 10.0, 300);
        let tape = k.k_ticks().unwrap();
        let ts = at(10_000_000);
        for step in 0..200 {
            let ts = ts.plus(DurationNs::from_secs(step * 5));
            // Our bid is hit by a seller and the mid falls by 20 ticks: k of 40.
            k.on_own_fill(ts, Side::Bid, HalfTicks::new(20_000), HalfTicks::new(4), toxicity(0.5));
            k.settle(ts.plus(DurationNs::from_secs(5)), HalfTicks::new(20_000 - 40), Some(1000.0));
        }
        assert_eq!(k.counts().fills, 200);
        assert!((k.k_ticks().unwrap() - (tape + 40.0) / 2.0).abs() < 0.01, "{:?}", k.k_ticks());
    }

    #[test]
    fn a_wild_markout_is_clipped_at_five_deviations() {
        let mut clipped = ToxicityCoefficient::new(&config());
        let mut free = ToxicityCoefficient::new(&config());
        for k in [&mut clipped, &mut free] {
            run(k, 10.0, 200);
        }
        let ts = at(10_000_000);
        for (k, sigma) in [(&mut clipped, 1.0), (&mut free, 1e6)] {
            k.on_print(ts, Side::Bid, HalfTicks::new(20_000), HalfTicks::new(4), toxicity(0.5));
            k.settle(ts.plus(DurationNs::from_secs(5)), HalfTicks::new(200_000), Some(sigma));
        }
        let moved = |k: &ToxicityCoefficient| k.k_ticks().unwrap() - 10.0;
        // 5 sqrt(5) = 11.18 ticks instead of 90 000.
        assert!(moved(&clipped) < 0.2 && moved(&free) > 100.0, "{} {}", moved(&clipped), moved(&free));
    }

    #[test]
    fn a_full_queue_lets_the_newest_go_and_a_gap_lets_all_go() {
        let mut k = ToxicityCoefficient::new(&config());
        for print in 0..PENDING_MAX as u64 + 7 {
            k.on_print(at(print), Side::Bid, HalfTicks::new(20_000), HalfTicks::new(4), toxicity(0.5));
        }
        assert_eq!((k.counts().pending, k.counts().full), (PENDING_MAX as u64, 7));
        k.discard_due(at(5_009));
        assert_eq!((k.counts().pending, k.counts().gap), (PENDING_MAX as u64 - 10, 10));
        k.on_gap();
        assert_eq!((k.counts().pending, k.counts().gap), (0, PENDING_MAX as u64));
        assert!(!k.is_pending());
        let mut thinned = ToxicityCoefficient::new(&EstimatorsConfig::default());
        for print in 0..40 {
            thinned.on_print(at(print), Side::Bid, HalfTicks::new(20_000), HalfTicks::new(4), toxicity(0.5));
        }
        assert_eq!(thinned.counts().pending, 2, "one in twenty");
        thinned.on_print(at(99), Side::Bid, HalfTicks::new(1), HalfTicks::new(4), None);
        assert_eq!(thinned.counts().pending, 2, "no toxicity, no sample");
    }

    #[test]
    fn a_number_that_is_none_leaves_k_as_it_was() {
        let mut k = ToxicityCoefficient::new(&config());
        let before = k.update_k(3.0, 0.5);
        assert_eq!(k.update_k(f64::NAN, 0.5), before);
        assert_eq!(k.update_k(f64::INFINITY, 0.5), before);
        assert_eq!(k.counts().not_finite, 2);
        assert_eq!(k.update_k(-1e9, 0.5), 0.0, "k is never below zero");
    }

    #[test]
    fn the_first_k_is_the_median_half_spread_over_the_median_toxicity() {
        assert_eq!(seed_k(&mut [4.0, 1.0, 3.0], &mut [0.5, 0.2, 0.25]), 12.0);
        assert_eq!(seed_k(&mut [4.0, 2.0], &mut [0.0, 0.01]), 30.0, "never by less than 0.1");
    }

    #[test]
    fn a_restored_coefficient_goes_on_where_the_saved_one_was() {
        let mut k = ToxicityCoefficient::new(&config());
        assert_eq!(k.state(), None);
        run(&mut k, 25.0, 150);
        let mut other = ToxicityCoefficient::new(&config());
        assert!(other.restore(&k.state().unwrap()));
        assert_eq!(other.k_ticks(), k.k_ticks());
        assert_eq!(other.update_k(2.0, 0.3), k.update_k(2.0, 0.3));
        let mut longer = ToxicityCoefficient::new(&EstimatorsConfig { k_horizon_ms: 1000, ..config() });
        assert!(!longer.restore(&k.state().unwrap()) && longer.k_ticks().is_none());
    }
}
