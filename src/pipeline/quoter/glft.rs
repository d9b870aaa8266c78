//! Gueant, Lehalle and Fernandez-Tapia's maker: the optimal quotes with a position limit.
//!
//! Owns [`GlftMaker`]; the formulas are in [`crate::models::glft`]. An order is the model's unit of position. The exact
//! quotes are tabulated when the parameters are refreshed, on a timer, and only read per decision; until the first
//! refresh, and where the limit is more than a hundred orders away, the closed form stands in. Specification:
//! quant.md 6.2.

use super::aversion::Aversion;
use super::frame::{Frame, before_volatility, intensity};
use super::{ModelParameters, QuoteInputs, Quoter, WantedQuote};
use crate::models::Offsets;
use crate::models::glft::{Glft, Table, UNITS_MAX};
use crate::pipeline::config::{GlftForm, QuoterConfig};
use crate::pipeline::digest::Digester;
use crate::types::{DurationNs, Qty, TimestampNs};

/// The first table follows the first volatility at once, but not within its event.
const SOON: DurationNs = DurationNs::from_millis(1);

/// The maker of `quoter.kind: glft`.
pub struct GlftMaker {
    config: QuoterConfig,
    aversion: Aversion,
    /// The constants in use, renewed by each refresh.
    model: Option<Glft>,
    table: Table,
    /// Positions in orders between which the skew stays within its cap.
    reach: [f64; 2],
    skew_cap_ticks: f64,
    refresh_at: Option<TimestampNs>,
}

impl GlftMaker {
    /// As configured.
    pub fn new(config: &QuoterConfig) -> GlftMaker {
        GlftMaker {
            config: config.clone(),
            aversion: Aversion::new(config),
            model: None,
            table: Table::new(),
            reach: [f64::NEG_INFINITY, f64::INFINITY],
            skew_cap_ticks: 0.0,
            refresh_at: None,
        }
    }

    /// The constants of now, in ticks, orders and seconds; `None` while volatility is not known or they are useless.
    fn constants(&mut self, inputs: &QuoteInputs) -> Option<Glft> {
        let sigma = inputs.sigma_ticks?;
        let config = &self.config;
        let (a, k) = intensity(config, inputs);
        let size = inputs.order_qty.lots() as f64 * inputs.lot;
        let mut model =
            Glft { gamma: 0.0, sigma, a, k, size, drift: config.drift_ticks_per_s, impact: config.impact_ticks };
        let gamma = self.aversion.now(config, inputs, sigma, || {
            model.gamma_for_skew(inputs.position_max_base / size, config.full_skew_ticks) / inputs.tick
        });
        // A profit of one tick on one unit of base is worth `tick` quote units.
        model.gamma = gamma * inputs.tick;
        model.check().ok().map(|()| model)
    }

    /// Takes new constants and makes the table of them.
    fn renew(&mut self, model: Glft, inputs: &QuoteInputs) {
        self.model = Some(model);
        self.skew_cap_ticks = Frame::new(&self.config, inputs).skew_cap_ticks;
        self.reach = [f64::NEG_INFINITY, f64::INFINITY];
        let units = (inputs.position_max_base / model.size - 1e-9).ceil().max(1.0);
        let exact = self.config.glft_form == GlftForm::Exact
            && units <= UNITS_MAX as f64
            && self.table.fill_stationary(&model, units as usize).is_ok();
        if !exact {
            self.table.clear();
            return;
        }
        // The half-spread of the exact quotes varies with the position. Where the skew is capped the position must be
        // too, or a longer position could raise the bid.
        let limit = units as i64;
        let within = |at: &i64| table_at(&self.table, *at as f64).skew().abs() <= self.skew_cap_ticks;
        let low = (-limit..=limit).find(within).unwrap_or(0);
        let high = (-limit..=limit).rev().find(within).unwrap_or(0);
        self.reach = [low as f64, high as f64];
    }
}

/// The exact quotes at a position between two of the table, by interpolation. Beyond the limit a quote that would
/// pass it keeps the last distance; its size is zero there.
fn table_at(table: &Table, units: f64) -> Offsets {
    let limit = table.units() as f64;
    let units = units.clamp(-limit, limit);
    let (below, part) = (units.floor(), units - units.floor());
    let at = |offset: fn(&Table, i64) -> f64| {
        let (low, high) = (offset(table, below as i64), offset(table, units.ceil() as i64));
        low + (high - low) * part
    };
    Offsets {
        bid: at(|table, q| table.bid(q.min(table.units() as i64 - 1)).unwrap_or(table.base())),
        ask: at(|table, q| table.ask(q.max(1 - table.units() as i64)).unwrap_or(table.base())),
    }
}

impl Quoter for GlftMaker {
    fn quote(&mut self, inputs: &QuoteInputs) -> Option<WantedQuote> {
        let model = match self.model {
            Some(model) => model,
            None => {
                let Some(model) = self.constants(inputs) else {
                    return Some(before_volatility(&self.config, inputs));
                };
                self.model = Some(model);
                self.skew_cap_ticks = Frame::new(&self.config, inputs).skew_cap_ticks;
                self.refresh_at = Some(inputs.now.plus(SOON));
                model
            }
        };
        let position = inputs.position_base / model.size;
        let units = position.clamp(self.reach[0], self.reach[1]);
        let offsets = if self.table.units() > 0 { table_at(&self.table, units) } else { model.closed_form(units) };
        let frame = Frame { skew_cap_ticks: self.skew_cap_ticks, ..Frame::new(&self.config, inputs) };
        let laid = frame.lay(inputs.reference_ticks, [offsets.half_spread(); 2], offsets.skew());
        let mut wanted = laid.sized(&self.config, inputs);
        // No bid at the limit, no ask at the other one.
        if inputs.position_base >= inputs.position_max_base {
            wanted.bid_qty = Qty::ZERO;
        }
        if inputs.position_base <= -inputs.position_max_base {
            wanted.ask_qty = Qty::ZERO;
        }
        Some(wanted)
    }

    fn refresh_at(&self) -> Option<TimestampNs> {
        self.refresh_at
    }

    fn refresh(&mut self, inputs: &QuoteInputs) {
        self.refresh_at = Some(inputs.now.plus(DurationNs::from_millis(self.config.glft_refresh_ms)));
        if let Some(model) = self.constants(inputs) {
            self.renew(model, inputs);
        }
    }

    fn parameters(&self) -> ModelParameters {
        let kappa_ticks = self.model.map(|model| model.root() / model.size);
        ModelParameters { k_ticks: None, gamma: self.aversion.in_use(), kappa_ticks }
    }

    fn digest(&self, digester: &mut Digester) {
        self.aversion.digest(digester);
        digester.flag(self.model.is_some());
        if let Some(model) = &self.model {
            for constant in [model.gamma, model.sigma, model.a, model.k, model.size] {
                digester.f64(constant);
            }
        }
        digester.u64(self.table.units() as u64);
        for step in self.table.steps() {
            digester.f64(*step);
        }
        digester.option_time(self.refresh_at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn config(form: GlftForm) -> QuoterConfig {
        QuoterConfig {
            glft_form: form,
            gamma: Some(100.0),
            intensity_per_s: 0.9,
            intensity_decay_per_tick: 0.3,
            fee_floor: false,
            ..QuoterConfig::default()
        }
    }

    /// Ticks and orders as in the paper's figures: gamma 100 per quote unit is 0.01 per tick and order of 0.01.
    fn paper(position_orders: f64, limit_orders: f64) -> QuoteInputs {
        QuoteInputs {
            sigma_ticks: Some(0.3),
            position_base: position_orders * 0.01,
            position_max_base: limit_orders * 0.01,
            ..sample::inputs()
        }
    }

    fn offsets(model: &mut GlftMaker, inputs: &QuoteInputs) -> (f64, f64) {
        let quote = model.quote(inputs).unwrap();
        (inputs.reference_ticks - quote.bid_ticks, quote.ask_ticks - inputs.reference_ticks)
    }

    #[test]
    fn the_live_quotes_are_those_of_table_b() {
        let mut model = GlftMaker::new(&config(GlftForm::Exact));
        let flat = paper(0.0, 30.0);
        // The closed form until the first refresh, which is soon.
        assert!((offsets(&mut model, &flat).0 - 3.31292).abs() < 1e-4);
        assert_eq!(model.refresh_at(), Some(flat.now.plus(SOON)));
        model.refresh(&flat);
        assert!((offsets(&mut model, &flat).0 - 3.31305).abs() < 1e-4);
        let (bid, ask) = offsets(&mut model, &paper(5.0, 30.0));
        assert!((bid - 3.65348).abs() < 1e-4 && (ask - 2.97252).abs() < 1e-4, "{bid} {ask}");
        assert_eq!(model.refresh_at(), Some(flat.now.plus(DurationNs::from_secs(1))));

        let mut closed = GlftMaker::new(&config(GlftForm::Closed));
        closed.quote(&flat).unwrap();
        closed.refresh(&flat);
        let (bid, ask) = offsets(&mut closed, &paper(5.0, 30.0));
        assert!((bid - 3.65224).abs() < 1e-4 && (ask - 2.97359).abs() < 1e-4, "{bid} {ask}");
    }

    #[test]
    fn near_the_limit_the_exact_quotes_lean_harder_and_stop() {
        let mut model = GlftMaker::new(&config(GlftForm::Exact));
        model.quote(&paper(0.0, 6.0)).unwrap();
        model.refresh(&paper(0.0, 6.0));
        let (bid, _) = offsets(&mut model, &paper(5.0, 6.0));
        assert!((bid - 5.52578).abs() < 1e-4, "{bid}");
        let (between, _) = offsets(&mut model, &paper(4.5, 6.0));
        assert!(between < bid);
        let full = model.quote(&paper(6.0, 6.0)).unwrap();
        assert_eq!(full.bid_qty, Qty::ZERO);
        assert!(full.ask_qty > Qty::ZERO);
    }

    #[test]
    fn parameters_are_renewed_by_refresh_alone() {
        let mut model = GlftMaker::new(&config(GlftForm::Exact));
        model.quote(&paper(0.0, 30.0)).unwrap();
        model.refresh(&paper(0.0, 30.0));
        let before = offsets(&mut model, &paper(5.0, 30.0));
        let wilder = QuoteInputs { sigma_ticks: Some(0.4), ..paper(5.0, 30.0) };
        assert_eq!(offsets(&mut model, &wilder), before);
        model.refresh(&wilder);
        let (bid, ask) = offsets(&mut model, &wilder);
        assert!((bid - 3.77875).abs() < 1e-4 && (ask - 2.86996).abs() < 1e-4, "{bid} {ask}");
        // Constants that are useless leave the last ones.
        model.refresh(&QuoteInputs { sigma_ticks: None, ..wilder });
        assert_eq!(offsets(&mut model, &wilder), (bid, ask));
    }

    #[test]
    fn gamma_is_fixed_by_the_skew_of_the_whole_limit() {
        let config = QuoterConfig { gamma: None, full_skew_ticks: 2.0, ..config(GlftForm::Closed) };
        let mut model = GlftMaker::new(&config);
        let (bid, ask) = offsets(&mut model, &paper(30.0, 30.0));
        assert!(((bid - ask) / 2.0 - 2.0).abs() < 1e-6, "{bid} {ask}");
        assert!((model.parameters().kappa_ticks.unwrap() * 0.3 - 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_learnt_intensity_wins_over_the_configured_one() {
        use crate::pipeline::estimators::{Estimates, Intensity};
        let side =
            |a_per_s, k_per_tick| Some(Intensity { a_per_s, k_per_tick, k_error_per_tick: 0.01, observations: 100 });
        // The third row of table B: A = 0.2, sigma = 1.
        let estimates = Estimates { intensity: [side(0.1, 0.25), side(0.3, 0.35)], ..Estimates::default() };
        let inputs = QuoteInputs { estimates, sigma_ticks: Some(1.0), ..paper(5.0, 30.0) };
        let mut model = GlftMaker::new(&config(GlftForm::Exact));
        model.quote(&inputs).unwrap();
        model.refresh(&inputs);
        let (bid, ask) = offsets(&mut model, &inputs);
        assert!((bid - 5.91852).abs() < 1e-4 && (ask - 1.10024).abs() < 1e-4, "{bid} {ask}");
    }

    #[test]
    fn impact_and_drift_of_the_configuration_reach_the_quotes() {
        let quote = |impact_ticks, drift_ticks_per_s| {
            let config = QuoterConfig { impact_ticks, drift_ticks_per_s, ..config(GlftForm::Exact) };
            let mut model = GlftMaker::new(&config);
            model.quote(&paper(0.0, 30.0)).unwrap();
            model.refresh(&paper(0.0, 30.0));
            offsets(&mut model, &paper(0.0, 30.0))
        };
        let (plain, hurt, rising) = (quote(0.0, 0.0), quote(0.8, 0.0), quote(0.0, 0.001));
        assert!(hurt.0 > plain.0 + 0.4 && hurt.1 > plain.1 + 0.4);
        assert!(rising.0 < plain.0 && rising.1 > plain.1);
    }
}
