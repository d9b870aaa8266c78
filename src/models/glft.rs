//! Gueant, Lehalle and Fernandez-Tapia: the optimal quotes of a maker with a position limit.
//!
//! Owns [`Glft`] (the constants and the closed form) and [`Table`] (the exact quotes at every position). Positions count
//! in units of `size`. The `glft` quoter refills a table on a timer and reads it per decision; reference simulations
//! use the same. Specification: quant.md 6.2, numbers in 11, table B.
//!
//! The exact quotes are ratios of a positive vector v over positions -Q..Q: the ground state of the symmetric
//! tridiagonal M = tridiag(alpha q² - beta q, -eta) without an end in time, exp(-M t) 1 with one. With n units of size z
//! the equations are those of size 1 at risk aversion gamma z.

use super::{Offsets, fill_premium};

/// Most units a side of a [`Table`].
pub const UNITS_MAX: usize = 100;

/// Rounds of inverse iteration: each shrinks the error at least threefold, and a double has 16 digits.
const ROUNDS_MAX: usize = 80;

/// Steps of the finite horizon before it is refused.
const STEPS_MAX: f64 = 1e6;

/// Constants of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glft {
    /// Absolute risk aversion, per price times quantity.
    pub gamma: f64,
    /// Volatility, price per square root of a second.
    pub sigma: f64,
    /// Orders a second that reach a quote at the reference price.
    pub a: f64,
    /// How fast fills become rarer with distance, per price.
    pub k: f64,
    /// Size of an order, in the unit of quantity of gamma.
    pub size: f64,
    /// Drift of the price, price per second.
    pub drift: f64,
    /// By how much a fill moves the price against the maker: the measured markout of a second or more.
    pub impact: f64,
}

/// Why there are no quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlftError {
    /// A constant that is no positive number where one is needed, or not finite.
    #[error("a constant of the model is out of its range")]
    Constants,
    /// No unit at all, or more than [`UNITS_MAX`].
    #[error("the position limit must be 1 to {UNITS_MAX} orders")]
    Units,
    /// The horizon takes more steps than are allowed; without an end the quotes are the same long before that.
    #[error("the horizon is too long for the step that the constants need")]
    Horizon,
}

impl Glft {
    /// A model of unit size without drift and impact.
    pub const fn plain(gamma: f64, sigma: f64, a: f64, k: f64) -> Glft {
        Glft { gamma, sigma, a, k, size: 1.0, drift: 0.0, impact: 0.0 }
    }

    /// Whether quotes can be computed.
    ///
    /// # Errors
    /// [`GlftError::Constants`].
    pub fn check(&self) -> Result<(), GlftError> {
        let positive = [self.sigma, self.a, self.k, self.size].iter().all(|value| value.is_finite() && *value > 0.0);
        let finite = self.gamma.is_finite() && self.gamma >= 0.0 && self.drift.is_finite() && self.impact.is_finite();
        let scale = self.eta().is_finite() && self.eta() > 0.0 && self.alpha().is_finite() && self.root().is_finite();
        if positive && finite && scale { Ok(()) } else { Err(GlftError::Constants) }
    }

    /// Risk aversion per unit of position.
    fn unit_gamma(&self) -> f64 {
        self.gamma * self.size
    }

    /// Price of holding: alpha q² on the diagonal of M.
    pub fn alpha(&self) -> f64 {
        self.k / 2.0 * self.unit_gamma() * self.sigma * self.sigma
    }

    /// Price of moving by one unit: the other diagonals of M.
    pub fn eta(&self) -> f64 {
        self.a / self.growth() * (-self.k * self.impact / 2.0).exp()
    }

    /// (1 + gamma/k)^(1 + k/gamma), which tends to e without risk aversion.
    fn growth(&self) -> f64 {
        let ratio = self.unit_gamma() / self.k;
        if ratio < 1e-8 { std::f64::consts::E } else { ((1.0 + 1.0 / ratio) * ratio.ln_1p()).exp() }
    }

    /// The part of an offset that does not depend on the position.
    pub fn base(&self) -> f64 {
        fill_premium(self.unit_gamma(), self.k) + self.impact / 2.0
    }

    /// Skew of the closed form per unit of position: sqrt(sigma² gamma / (2 k A) growth), times exp(k impact / 4).
    pub fn root(&self) -> f64 {
        let variance = self.sigma * self.sigma * self.unit_gamma() / (2.0 * self.k * self.a);
        (variance * self.growth()).sqrt() * (self.k * self.impact / 4.0).exp()
    }

    /// By how many units the drift moves the preferred position: mu / (gamma sigma²).
    fn drift_units(&self) -> f64 {
        if self.drift == 0.0 { 0.0 } else { self.drift / (self.unit_gamma() * self.sigma * self.sigma) }
    }

    /// The closed form far from the limits, at any position in units, fractions included.
    pub fn closed_form(&self, units: f64) -> Offsets {
        let (base, root, lean) = (self.base(), self.root(), self.drift_units());
        Offsets {
            bid: base + root * ((1.0 + 2.0 * units) / 2.0 - lean),
            ask: base + root * ((1.0 - 2.0 * units) / 2.0 + lean),
        }
    }

    /// The gamma at which the closed form skews `units` by `skew`: found by halving, in 80 rounds at most. The skew
    /// grows with gamma, so there is one; beyond `1e-12..1e12` per unit it is the nearer end.
    pub fn gamma_for_skew(&self, units: f64, skew: f64) -> f64 {
        let (mut low, mut high) = ((1e-12_f64).ln(), (1e12_f64).ln());
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            let found = Glft { gamma: middle.exp() / self.size, ..*self }.root() * units;
            // An overflow is certainly too much.
            if found < skew { low = middle } else { high = middle }
        }
        f64::midpoint(low, high).exp() / self.size
    }
}

/// Exact quotes at every position of -Q..=Q units. Refilling it allocates nothing.
#[derive(Clone, Debug)]
pub struct Table {
    units: usize,
    base: f64,
    /// ln(v(q) / v(q+1)) / k for q = -Q..Q.
    steps: Vec<f64>,
    diagonal: Vec<f64>,
    vector: Vec<f64>,
    next: Vec<f64>,
    pivots: Vec<f64>,
}

impl Table {
    /// An empty table with room for any number of units up to [`UNITS_MAX`].
    pub fn new() -> Table {
        let room = || Vec::with_capacity(2 * UNITS_MAX + 1);
        Table { units: 0, base: 0.0, steps: room(), diagonal: room(), vector: room(), next: room(), pivots: room() }
    }

    /// Forgets the quotes.
    pub fn clear(&mut self) {
        self.units = 0;
        self.steps.clear();
    }

    /// Units a side; zero before the first filling.
    pub fn units(&self) -> usize {
        self.units
    }

    /// ln(v(q) / v(q+1)) / k at each position but the highest: all that the table says.
    pub fn steps(&self) -> &[f64] {
        &self.steps
    }

    /// The part of an offset that does not depend on the position.
    pub fn base(&self) -> f64 {
        self.base
    }

    /// Quotes without an end in time.
    ///
    /// # Errors
    /// [`GlftError`]. Constants or units that are refused leave the table as it was; ratios that no number can hold
    /// empty it.
    pub fn fill_stationary(&mut self, model: &Glft, units: usize) -> Result<(), GlftError> {
        self.prepare(model, units)?;
        let eta = model.eta();
        let ground = self.ground_state(eta);
        // Ratios by continued fractions from both ends towards the peak: they stay exact where the vector itself
        // would underflow.
        let len = self.diagonal.len();
        let peak = (0..len).fold(0, |best, at| if self.vector[at] > self.vector[best] { at } else { best });
        self.next.clear();
        self.next.resize(len, 0.0);
        let mut ratio = 0.0;
        for at in (peak + 1..len).rev() {
            ratio = eta / (self.diagonal[at] - ground - eta * ratio);
            self.next[at] = -ratio.ln() / model.k;
        }
        ratio = 0.0;
        for at in 0..peak {
            ratio = eta / (self.diagonal[at] - ground - eta * ratio);
            self.next[at] = ratio.ln() / model.k;
        }
        // Below the peak `next[q]` is ln(v(q)/v(q+1)), above it `next[q]` is ln(v(q-1)/v(q)).
        let found = (0..peak).chain(peak + 1..len).map(|at| self.next[at]);
        self.steps.clear();
        self.steps.extend(found);
        if self.steps.iter().any(|step| !step.is_finite()) {
            self.units = 0;
            return Err(GlftError::Constants);
        }
        Ok(())
    }

    /// Quotes `time_left` seconds before the end, when what is left is marked at the mid.
    ///
    /// # Errors
    /// [`GlftError`]; [`GlftError::Horizon`] when it would take more than a million steps.
    pub fn fill_finite(&mut self, model: &Glft, units: usize, time_left: f64) -> Result<(), GlftError> {
        let (least, most) = (self.prepare(model, units)?, self.diagonal.iter().copied().fold(f64::MIN, f64::max));
        let eta = model.eta();
        let steps = (time_left * (most - least + 2.0 * eta)).ceil().max(1.0);
        if steps.is_nan() || steps > STEPS_MAX || time_left < 0.0 {
            self.units = 0;
            return Err(GlftError::Horizon);
        }
        let span = time_left / steps;
        let len = self.diagonal.len();
        self.vector.clear();
        self.vector.resize(len, 1.0);
        // Each step is exp(span (most - M)), whose series has no negative term and whose norm is at most e; the common
        // factor drops out of the ratios.
        for _ in 0..steps as u64 {
            self.pivots.clear();
            self.pivots.extend_from_slice(&self.vector);
            for term in 1..=20 {
                self.next.clear();
                for at in 0..len {
                    let below = if at > 0 { self.vector[at - 1] } else { 0.0 };
                    let above = if at + 1 < len { self.vector[at + 1] } else { 0.0 };
                    let moved = (most - self.diagonal[at]) * self.vector[at] + eta * (below + above);
                    self.next.push(moved * span / f64::from(term));
                }
                std::mem::swap(&mut self.vector, &mut self.next);
                for (sum, added) in self.pivots.iter_mut().zip(&self.vector) {
                    *sum += added;
                }
            }
            let top = self.pivots.iter().copied().fold(0.0, f64::max);
            self.vector.clear();
            self.vector.extend(self.pivots.iter().map(|value| value / top));
        }
        self.steps.clear();
        self.steps.extend(self.vector.windows(2).map(|pair| (pair[0] / pair[1]).ln() / model.k));
        if self.steps.iter().any(|step| !step.is_finite()) {
            self.units = 0;
            return Err(GlftError::Constants);
        }
        Ok(())
    }

    /// Sets the diagonal; returns its least value.
    fn prepare(&mut self, model: &Glft, units: usize) -> Result<f64, GlftError> {
        model.check()?;
        if !(1..=UNITS_MAX).contains(&units) {
            return Err(GlftError::Units);
        }
        self.units = units;
        self.base = model.base();
        let (alpha, beta) = (model.alpha(), model.k * model.drift);
        self.diagonal.clear();
        self.diagonal.extend((0..=2 * units).map(|at| {
            let position = at as f64 - units as f64;
            (alpha * position - beta) * position
        }));
        Ok(self.diagonal.iter().copied().fold(f64::MAX, f64::min))
    }

    /// Leaves the ground state in `vector` and returns its eigenvalue.
    fn ground_state(&mut self, eta: f64) -> f64 {
        let least = self.diagonal.iter().copied().fold(f64::MAX, f64::min);
        // Below the whole spectrum, so that the shifted matrix is positive and its inverse has no negative element.
        let shift = least - 2.0 * eta;
        let len = self.diagonal.len();
        self.vector.clear();
        self.vector.resize(len, 1.0 / (len as f64).sqrt());
        let mut value = f64::MAX;
        for _ in 0..ROUNDS_MAX {
            solve(&self.diagonal, shift, eta, &self.vector, &mut self.pivots, &mut self.next);
            let norm = self.next.iter().map(|x| x * x).sum::<f64>().sqrt();
            // The growth of the vector under the inverse is the inverse distance to the shift.
            let overlap = self.next.iter().zip(&self.vector).map(|(a, b)| a * b).sum::<f64>();
            for (to, from) in self.vector.iter_mut().zip(&self.next) {
                *to = from / norm;
            }
            let found = shift + overlap / (norm * norm);
            let settled = (found - value).abs() <= 1e-16 * (found - shift);
            value = found;
            if settled {
                break;
            }
        }
        value
    }

    /// The bid's offset at a position; `None` at the upper limit and beyond, and before the first filling.
    pub fn bid(&self, position: i64) -> Option<f64> {
        let at = position.checked_add(self.units as i64)?;
        Some(self.base + self.steps.get(usize::try_from(at).ok()?)?).filter(|_| self.units > 0)
    }

    /// The ask's offset at a position; `None` at the lower limit and beyond, and before the first filling.
    pub fn ask(&self, position: i64) -> Option<f64> {
        let at = position.checked_add(self.units as i64)?.checked_sub(1)?;
        Some(self.base - self.steps.get(usize::try_from(at).ok()?)?).filter(|_| self.units > 0)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

/// Solves (M - shift) x = right for the tridiagonal M by elimination without pivoting, which is stable because the
/// shifted matrix is diagonally dominant.
fn solve(diagonal: &[f64], shift: f64, eta: f64, right: &[f64], factors: &mut Vec<f64>, x: &mut Vec<f64>) {
    factors.clear();
    x.clear();
    let (mut factor, mut value) = (0.0, 0.0);
    for (entry, wanted) in diagonal.iter().zip(right) {
        let pivot = entry - shift - eta * factor;
        factor = eta / pivot;
        value = (wanted + eta * value) / pivot;
        factors.push(factor);
        x.push(value);
    }
    for at in (0..x.len().saturating_sub(1)).rev() {
        x[at] += factors[at] * x[at + 1];
    }
}

#[cfg(test)]
mod tests;
