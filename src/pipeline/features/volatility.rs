//! Volatility of the mid from a grid of one second.
//!
//! Owns [`Sigma`]: the grid, the three estimators and their warm-up. Fed by the lane with every mid; reads no clock.
//! It never invents a value: nothing is published before the warm-up, and a return across a gap of the feed is
//! discarded. Formulas: quant.md 2.6.

use crate::pipeline::config::{FeaturesConfig, SigmaKind};
use crate::pipeline::digest::Digester;
use crate::types::{HalfTicks, TimestampNs};

/// Returns per second: the grid's step. Coarser than the flicker of the mid, finer than the half-life.
const GRID_NS: u64 = 1_000_000_000;

/// Volatility of log mid returns, per square root of a second.
pub struct Sigma {
    estimator: Estimator,
    gap_ns: u64,
    warmup: u64,
    /// The estimate after the last grid second, without the floor.
    raw: Option<f64>,
    last: Option<GridPoint>,
    mid: f64,
    mid_ts: u64,
}

#[derive(Clone, Copy)]
struct GridPoint {
    /// Index of the last grid second that was sampled.
    second: u64,
    /// Natural logarithm of the mid sampled there.
    log_mid: f64,
}

enum Estimator {
    Ewma(Ewma),
    Windowed(Windowed),
    Parkinson(Parkinson),
}

impl Sigma {
    /// An estimator as configured, before its first mid.
    pub fn new(config: &FeaturesConfig) -> Sigma {
        let estimator = match config.sigma {
            SigmaKind::Ewma => Estimator::Ewma(Ewma::new(config.sigma_half_life_s)),
            SigmaKind::Windowed => Estimator::Windowed(Windowed::new(config.sigma_window as usize)),
            SigmaKind::Parkinson => {
                Estimator::Parkinson(Parkinson::new(config.parkinson_bar_s.into(), config.parkinson_bars as usize))
            }
        };
        Sigma {
            estimator,
            gap_ns: config.gap_ms.saturating_mul(1_000_000),
            warmup: config.sigma_warmup.into(),
            raw: None,
            last: None,
            mid: 0.0,
            mid_ts: 0,
        }
    }

    /// Takes the mid of a valid book. Time that goes back counts as standing still.
    pub fn on_mid(&mut self, ts: TimestampNs, mid: HalfTicks) {
        let mid_ticks = mid.ticks_f64();
        if mid_ticks <= 0.0 {
            return;
        }
        let ts = ts.nanos().max(self.mid_ts);
        if self.last.is_some() && ts - self.mid_ts > self.gap_ns {
            self.on_gap();
        }
        // The mid of a grid second is the last one at or before it, so seconds that have passed are sampled first.
        self.sample_until(ts);
        self.mid = mid_ticks;
        self.mid_ts = ts;
        if self.last.is_none() {
            self.last = Some(GridPoint { second: ts / GRID_NS, log_mid: mid_ticks.ln() });
        }
        if let Estimator::Parkinson(parkinson) = &mut self.estimator
            && parkinson.on_mid(ts / GRID_NS, mid_ticks)
        {
            self.raw = parkinson.per_sqrt_s();
        }
    }

    /// The book was lost: no return or bar may reach across.
    pub fn on_gap(&mut self) {
        self.last = None;
        if let Estimator::Parkinson(parkinson) = &mut self.estimator {
            parkinson.discard_bar();
        }
    }

    fn sample_until(&mut self, ts: u64) {
        let Some(mut last) = self.last else { return };
        let second = ts / GRID_NS;
        // Bounded: a pause longer than the gap has reset the grid.
        while last.second < second {
            let log_mid = self.mid.ln();
            let log_return = log_mid - last.log_mid;
            match &mut self.estimator {
                Estimator::Ewma(ewma) => ewma.push(log_return),
                Estimator::Windowed(windowed) => windowed.push(log_return),
                Estimator::Parkinson(_) => {}
            }
            last = GridPoint { second: last.second + 1, log_mid };
        }
        if self.last.is_some_and(|before| before.second < last.second) {
            self.raw = self.estimate();
        }
        self.last = Some(last);
    }

    fn estimate(&self) -> Option<f64> {
        match &self.estimator {
            Estimator::Ewma(ewma) if ewma.count >= self.warmup => Some(ewma.variance()?.sqrt()),
            Estimator::Windowed(windowed) if windowed.count() >= self.warmup => windowed.std(),
            Estimator::Parkinson(_) => self.raw,
            _ => None,
        }
    }

    /// Volatility of log returns per square root of a second, not below what half a tick a minute would show; `None`
    /// before the warm-up.
    pub fn per_sqrt_s(&self) -> Option<f64> {
        let floor = 0.5 / (self.mid * 60_f64.sqrt());
        Some(self.raw?.max(floor))
    }

    /// Price volatility in ticks per square root of a second, at the last mid.
    pub fn ticks_per_sqrt_s(&self) -> Option<f64> {
        Some(self.per_sqrt_s()? * self.mid)
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.f64(self.mid);
        digester.u64(self.mid_ts);
        digester.option_f64(self.raw);
        if let Some(last) = self.last {
            digester.u64(last.second);
            digester.f64(last.log_mid);
        }
        match &self.estimator {
            Estimator::Ewma(ewma) => {
                digester.f64(ewma.biased);
                digester.f64(ewma.weight_left);
                digester.u64(ewma.count);
            }
            Estimator::Windowed(windowed) => {
                for value in &windowed.ring {
                    digester.f64(*value);
                }
                digester.u64(windowed.next as u64);
            }
            Estimator::Parkinson(parkinson) => {
                for value in &parkinson.bars {
                    digester.f64(*value);
                }
                digester.u64(parkinson.next as u64);
                digester.f64(parkinson.high);
                digester.f64(parkinson.low);
                digester.u64(parkinson.bar);
            }
        }
    }
}

/// Exponentially weighted mean of squared returns; the mean return is taken as zero.
struct Ewma {
    decay: f64,
    biased: f64,
    /// decay^count: the weight that the (absent) past before the first return would have.
    weight_left: f64,
    count: u64,
}

impl Ewma {
    fn new(half_life_s: f64) -> Ewma {
        Ewma { decay: (-1.0 / half_life_s).exp2(), biased: 0.0, weight_left: 1.0, count: 0 }
    }

    fn push(&mut self, log_return: f64) {
        self.biased = self.decay * self.biased + (1.0 - self.decay) * log_return * log_return;
        self.weight_left *= self.decay;
        self.count += 1;
    }

    fn variance(&self) -> Option<f64> {
        (self.count > 0).then(|| self.biased / (1.0 - self.weight_left))
    }
}

/// Sample standard deviation over the last returns.
struct Windowed {
    ring: Vec<f64>,
    window: usize,
    next: usize,
}

impl Windowed {
    fn new(window: usize) -> Windowed {
        Windowed { ring: Vec::with_capacity(window), window, next: 0 }
    }

    fn push(&mut self, log_return: f64) {
        if self.ring.len() < self.window {
            self.ring.push(log_return);
        } else {
            self.ring[self.next] = log_return;
        }
        self.next = (self.next + 1) % self.window;
    }

    fn count(&self) -> u64 {
        self.ring.len() as u64
    }

    /// Summed anew each time: a running sum would drift, and the grid asks once a second at most.
    fn std(&self) -> Option<f64> {
        if self.ring.len() < 2 {
            return None;
        }
        let count = self.ring.len() as f64;
        let mean = self.ring.iter().sum::<f64>() / count;
        let squares: f64 = self.ring.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some((squares / (count - 1.0)).sqrt())
    }
}

/// 1 / (4 ln 2): the variance of a Brownian bar from its squared log range.
const PARKINSON: f64 = 0.360_673_760_222_240_85;

/// Mean variance of bars from the high and low of the mid.
struct Parkinson {
    bar_s: u64,
    bars: Vec<f64>,
    capacity: usize,
    next: usize,
    bar: u64,
    high: f64,
    low: f64,
    last_mid: f64,
    /// The bar began after its own start, or was cut by a gap: it says too little and is not counted.
    partial: bool,
}

impl Parkinson {
    fn new(bar_s: u64, bars: usize) -> Parkinson {
        Parkinson {
            bar_s,
            bars: Vec::with_capacity(bars),
            capacity: bars,
            next: 0,
            bar: u64::MAX,
            high: 0.0,
            low: 0.0,
            last_mid: 0.0,
            partial: true,
        }
    }

    /// Returns whether a bar was counted.
    fn on_mid(&mut self, second: u64, mid: f64) -> bool {
        let mut counted = false;
        let bar = second / self.bar_s;
        if bar != self.bar {
            let follows = self.bar != u64::MAX && bar == self.bar.wrapping_add(1);
            if self.bar != u64::MAX && !self.partial {
                let log_range = (self.high / self.low).ln();
                let variance = PARKINSON * log_range * log_range;
                if self.bars.len() < self.capacity {
                    self.bars.push(variance);
                } else {
                    self.bars[self.next] = variance;
                }
                self.next = (self.next + 1) % self.capacity;
                counted = true;
            }
            // The mid carried into the bar belongs to its range; a bar after a pause begins in its middle and says
            // too little.
            let carried = if follows { self.last_mid } else { mid };
            self.partial = !follows;
            self.bar = bar;
            self.high = mid.max(carried);
            self.low = mid.min(carried);
        } else {
            self.high = self.high.max(mid);
            self.low = self.low.min(mid);
        }
        self.last_mid = mid;
        counted
    }

    fn discard_bar(&mut self) {
        self.partial = true;
    }

    fn per_sqrt_s(&self) -> Option<f64> {
        if self.bars.is_empty() {
            return None;
        }
        let mean = self.bars.iter().sum::<f64>() / self.bars.len() as f64;
        Some((mean / self.bar_s as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sigma(kind: SigmaKind) -> Sigma {
        Sigma::new(&FeaturesConfig { sigma: kind, sigma_warmup: 2, ..FeaturesConfig::default() })
    }

    fn at(second: u64) -> TimestampNs {
        TimestampNs::from_nanos(1_700_000_000_000_000_000 / 60_000_000_000 * 60_000_000_000 + second * GRID_NS)
    }

    /// A fixed stream of standard normals: sums of twelve uniforms of a linear congruential generator.
    fn normals(count: usize) -> Vec<f64> {
        let mut state: u64 = 42;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn ewma_matches_its_formula_and_is_bias_corrected() {
        let mut ewma = Ewma::new(60.0);
        assert!((ewma.decay - 0.988_514).abs() < 1e-6);
        for _ in 0..5 {
            ewma.push(0.01);
        }
        assert!((ewma.variance().unwrap() - 1e-4).abs() < 1e-15, "equal squares must average to themselves");
    }

    #[test]
    fn windowed_std_is_the_sample_std() {
        let mut windowed = Windowed::new(3);
        for value in [9.0, 1.0, 2.0, 4.0] {
            windowed.push(value);
        }
        assert!((windowed.std().unwrap() - 1.527_525_231_651_946_6).abs() < 1e-12);
    }

    #[test]
    fn parkinson_oracle() {
        let mut sigma = sigma(SigmaKind::Parkinson);
        for (second, mid) in [(0, 200), (60, 200), (70, 202), (80, 198), (119, 200)] {
            sigma.on_mid(at(second), HalfTicks::new(mid));
        }
        assert_eq!(sigma.per_sqrt_s(), None, "the first bar began before we looked");
        sigma.on_mid(at(120), HalfTicks::new(200));
        // Half ticks of 202 and 198 are a high of 101 and a low of 99.
        assert!((sigma.per_sqrt_s().unwrap() - 0.001_550_69).abs() < 1e-8);
    }

    #[test]
    fn nothing_is_published_before_the_warmup_and_never_below_the_floor() {
        for kind in [SigmaKind::Ewma, SigmaKind::Windowed] {
            let mut sigma = sigma(kind);
            sigma.on_mid(at(0), HalfTicks::new(20_000));
            sigma.on_mid(at(1), HalfTicks::new(20_000));
            assert_eq!(sigma.per_sqrt_s(), None);
            sigma.on_mid(at(2), HalfTicks::new(20_000));
            let floor = 1.0 / (2.0 * 10_000.0 * 60_f64.sqrt());
            assert!((sigma.per_sqrt_s().unwrap() - floor).abs() < 1e-18);
        }
    }

    #[test]
    fn no_return_reaches_across_a_gap() {
        let mut sigma = sigma(SigmaKind::Ewma);
        for second in 0..10 {
            sigma.on_mid(at(second), HalfTicks::new(20_000));
        }
        sigma.on_gap();
        for second in 20..30 {
            sigma.on_mid(at(second), HalfTicks::new(30_000));
        }
        let floor = 1.0 / (2.0 * 15_000.0 * 60_f64.sqrt());
        assert!((sigma.per_sqrt_s().unwrap() - floor).abs() < 1e-18, "the jump across the gap was counted");
    }

    #[test]
    fn estimators_find_the_volatility_of_a_random_walk() {
        let truth = 1e-4_f64;
        for kind in [SigmaKind::Ewma, SigmaKind::Windowed] {
            let mut sigma = sigma(kind);
            let mut log_mid = 1e8_f64.ln();
            let (mut sum, mut count) = (0.0, 0);
            for (second, normal) in normals(3600).into_iter().enumerate() {
                log_mid += truth * normal;
                sigma.on_mid(at(second as u64), HalfTicks::new(log_mid.exp().round() as i64));
                if second > 300 && second % 300 == 0 {
                    sum += sigma.per_sqrt_s().unwrap();
                    count += 1;
                }
            }
            // Eleven samples of about 170 returns each: the standard error is truth / sqrt(2 * 1900).
            let mean = sum / f64::from(count);
            assert!((mean / truth - 1.0).abs() < 3.0 / (2.0 * 1900.0_f64).sqrt(), "{kind:?}: {mean}");
        }
    }
}
