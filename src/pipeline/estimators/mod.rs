//! Parameters of the quoting models, learnt while a session runs.
//!
//! Owns [`Estimators`] of one instrument and what they publish, [`Estimates`]. The lane feeds mids, the tape and own
//! fills, and calls [`Estimators::advance`] with every decision; quoters read the estimates through their inputs.
//! Nothing here reads a clock or allocates after construction. A parameter that is not known is `None`, and the quoter
//! then takes the configured one. Formulas: quant.md 5.

mod back_fill;
mod intensity;
mod risk_aversion;
mod rls;
mod skew;
mod toxicity_coefficient;

pub use back_fill::back_fill;
pub use intensity::{Intensity, OrderIntensity, fit};
pub use risk_aversion::{RiskAversion, gamma_at_full_skew};
pub use rls::{InterceptRls, Rls};
pub use skew::{Skew, kappa_ticks};
pub use toxicity_coefficient::{CoefficientState, MarkoutCounts, ToxicityCoefficient, seed_k};

use super::config::{EstimatorsConfig, LearnKind, QuoterConfig};
use super::digest::Digester;
use super::features::Toxicity;
use super::warm::InstrumentState;
use crate::types::{HalfTicks, Price, Side, TimestampNs, Trade};

/// Step of the grid on which estimates are renewed: kappa each second, the others at multiples of it.
const STEP_NS: u64 = 1_000_000_000;

/// Estimates of one time. `None` means not known, or fixed by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Estimates {
    /// Toxicity coefficient k: ticks of half-spread for a toxicity of 1.
    pub k_ticks: Option<f64>,
    /// Half-spread without toxicity, in ticks: the regression's intercept, when it has one.
    pub base_ticks: Option<f64>,
    /// Absolute risk aversion, per quote unit.
    pub gamma: Option<f64>,
    /// Skew per unit of base, in ticks.
    pub kappa_ticks: Option<f64>,
    /// Intensity with which aggressing orders reach a distance from the mid, by the side whose resting orders they
    /// reach: sellers reach bids.
    pub intensity: [Option<Intensity>; 2],
}

/// What the lane knows when it advances the estimators.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Mid of others, while it may be quoted from.
    pub mid: Option<HalfTicks>,
    /// Price volatility, in ticks per square root of a second.
    pub sigma_ticks: Option<f64>,
    /// Position in base currency.
    pub position_base: f64,
    /// Greatest position in base currency, once it is known.
    pub position_max_base: Option<f64>,
    /// Equity in quote currency, commissions included.
    pub equity: f64,
    /// One tick in quote currency.
    pub tick: f64,
}

/// All estimators of one instrument.
pub struct Estimators {
    k: ToxicityCoefficient,
    gamma: RiskAversion,
    skew: Skew,
    intensity: OrderIntensity,
    learn_k: LearnKind,
    learn_kappa: LearnKind,
    mid: Option<HalfTicks>,
    half_spread: HalfTicks,
    sigma_ticks: Option<f64>,
    holds: bool,
    /// The next grid time; zero before the first.
    next_step: TimestampNs,
    published: Estimates,
}

impl Estimators {
    /// As configured, before the first event.
    pub fn new(config: &EstimatorsConfig, quoter: &QuoterConfig) -> Estimators {
        Estimators {
            k: ToxicityCoefficient::new(config),
            gamma: RiskAversion::new(config, quoter),
            skew: Skew::new(config, quoter),
            intensity: OrderIntensity::new(config),
            learn_k: config.k,
            learn_kappa: config.kappa,
            mid: None,
            half_spread: HalfTicks::new(0),
            sigma_ticks: None,
            holds: false,
            next_step: TimestampNs::ZERO,
            published: Estimates::default(),
        }
    }

    /// Takes the best prices of others, which may be quoted from. Markouts that fell due before are settled with the
    /// mid that stood until now.
    pub fn on_best(&mut self, ts: TimestampNs, bid: Price, ask: Price) {
        self.settle(ts);
        if self.mid.is_none() {
            self.k.discard_due(ts);
        }
        self.mid = Some(HalfTicks::mid(bid, ask));
        // Half of the spread in ticks is the whole of it in half ticks.
        self.half_spread = HalfTicks::new(ask.ticks_above(bid));
    }

    /// The best prices of others may not be quoted from: what falls due meanwhile has no markout.
    pub fn on_no_mid(&mut self, ts: TimestampNs) {
        self.settle(ts);
        self.mid = None;
    }

    /// The book was lost: no markout reaches across.
    pub fn on_gap(&mut self, ts: TimestampNs) {
        self.on_no_mid(ts);
        self.k.on_gap();
        self.intensity.on_gap(ts);
    }

    /// Takes a print of the tape.
    pub fn on_trade(&mut self, ts: TimestampNs, trade: &Trade, toxicity: Option<Toxicity>) {
        self.settle(ts);
        let Some(mid) = self.mid else { return };
        self.k.on_print(ts, trade.aggressor, mid, self.half_spread, toxicity);
        self.intensity.on_print(ts, trade, mid, self.half_spread);
    }

    /// Takes a fill of ours on `side`.
    pub fn on_own_fill(&mut self, ts: TimestampNs, side: Side, toxicity: Option<Toxicity>) {
        self.settle(ts);
        let Some(mid) = self.mid else { return };
        self.k.on_own_fill(ts, side, mid, self.half_spread, toxicity);
    }

    fn settle(&mut self, ts: TimestampNs) {
        if let Some(mid) = self.mid {
            self.k.settle(ts, mid, self.sigma_ticks);
        }
    }

    /// Whether a grid time has passed since the last renewal.
    pub fn wants_advance(&self, now: TimestampNs) -> bool {
        now >= self.next_step
    }

    /// Renews what is renewed by time; nothing between two grid times.
    pub fn advance(&mut self, now: TimestampNs, around: &Surroundings) {
        if !self.wants_advance(now) {
            return;
        }
        self.holds = around.position_base != 0.0;
        let Some(position_max_base) = around.position_max_base else { return };
        self.next_step = TimestampNs::from_nanos((now.nanos() / STEP_NS + 1) * STEP_NS);
        self.sigma_ticks = around.sigma_ticks;
        self.settle(now);
        self.gamma.advance(now, around, position_max_base);
        self.skew.advance(now, self.gamma.value(), around, position_max_base);
        self.intensity.advance(now);
        let [k, kappa] = [self.learn_k, self.learn_kappa].map(|learn| learn == LearnKind::Live);
        self.published = Estimates {
            k_ticks: self.k.k_ticks().filter(|_| k),
            base_ticks: self.k.base_ticks().filter(|_| k),
            gamma: self.gamma.value(),
            kappa_ticks: self.skew.kappa_ticks().filter(|_| kappa),
            intensity: self.intensity.fits(),
        };
    }

    /// What is known now.
    pub fn estimates(&self) -> Estimates {
        self.published
    }

    /// When something changes by time alone; `None` while nothing is pending.
    pub fn next_due(&self) -> Option<TimestampNs> {
        (self.next_step != TimestampNs::ZERO && (self.k.is_pending() || self.holds)).then_some(self.next_step)
    }

    /// Markouts taken, by what became of them.
    pub fn markout_counts(&self) -> MarkoutCounts {
        self.k.counts()
    }

    /// Mean-variance implied risk aversion of the profit so far: a diagnosis, never traded on.
    pub fn gamma_implied(&self) -> Option<f64> {
        self.gamma.implied()
    }

    /// Writes what survives a restart.
    pub(super) fn save(&self, into: &mut InstrumentState) {
        into.k = self.k.state();
        into.gamma = self.gamma.value();
        into.intensity = self.intensity.fits();
    }

    /// Takes what an earlier session has learnt; what does not fit this configuration is left out.
    pub(super) fn restore(&mut self, from: &InstrumentState) {
        if let Some(k) = &from.k {
            self.k.restore(k);
        }
        if let Some(gamma) = from.gamma {
            self.gamma.restore(gamma);
        }
        self.intensity.restore(from.intensity);
        self.published.k_ticks = self.k.k_ticks().filter(|_| self.learn_k == LearnKind::Live);
        self.published.base_ticks = self.k.base_ticks().filter(|_| self.learn_k == LearnKind::Live);
        self.published.intensity = self.intensity.fits();
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.time(self.next_step);
        digester.option_f64(self.sigma_ticks);
        digester.flag(self.holds);
        self.k.digest(digester);
        self.gamma.digest(digester);
        self.skew.digest(digester);
        self.intensity.digest(digester);
        let published = &self.published;
        for value in [published.k_ticks, published.base_ticks, published.gamma, published.kappa_ticks] {
            digester.option_f64(value);
        }
    }
}
