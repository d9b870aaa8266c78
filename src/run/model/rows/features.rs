//! Section 2: what the book says.

use rand_distr::{Distribution, StandardNormal};

use super::super::lab::Lab;
use super::super::row::{Row, Source, row};
use crate::pipeline::features::{
    MicroFit, OrderFlow, Sigma, discreteness_factor, imbalance, parkinson_variance, weighted_mid_ticks,
};
use crate::pipeline::{FeaturesConfig, SigmaKind};
use crate::sim::reference::random::{Moments, Purpose, generator};
use crate::types::{HalfTicks, Level, Price, Qty, TimestampNs};

pub(super) fn rows(lab: &Lab) -> Vec<Row> {
    let mut rows = shape();
    rows.extend(microprice());
    rows.extend(order_flow());
    rows.extend(volatility(lab));
    rows
}

fn level(price: i64, lots: i64) -> Level {
    Level { price: Price::from_ticks(price), qty: Qty::from_lots(lots) }
}

fn shape() -> Vec<Row> {
    let of = |bid: i64, ask: i64| imbalance(&[level(100, bid)], &[level(101, ask)], 1).map_or(f64::NAN, |i| i.value);
    vec![
        row("2.2", "imbalance of 5 against 3", 0.25, 1e-12, Source::Theory, move |_| of(5, 3)),
        row("2.2", "imbalance with the sides swapped", -0.25, 1e-12, Source::Theory, move |_| of(3, 5)),
        row("2.3", "weighted mid of 5 at 100 and 3 at 101", 100.625, 1e-12, Source::Theory, |_| {
            weighted_mid_ticks(level(100, 5), level(101, 3)).unwrap_or(f64::NAN)
        }),
    ]
}

/// The specification's toy of three imbalance states.
fn toy() -> MicroFit {
    let mut fit = MicroFit::new(3);
    fit.fit_rows(
        &[0.5, 0.2, 0.0, 0.2, 0.4, 0.2, 0.0, 0.2, 0.5],
        &[0.25, 0.05, 0.1, 0.1, 0.05, 0.25],
        &[-1.0, 1.0],
        &[0.18, 0.07, 0.05, 0.07, 0.06, 0.07, 0.05, 0.07, 0.18],
    );
    fit
}

fn microprice() -> Vec<Row> {
    let mut rows = Vec::new();
    for (state, (first, shift)) in [(-0.4, -0.540_541), (0.0, 0.0), (0.4, 0.540_541)].into_iter().enumerate() {
        let name = |what: &str| format!("microprice toy: {what} in state {}", state + 1);
        rows.push(row("2.4", name("first move"), first, 1e-9, Source::Theory, move |_| toy().first_move()[state]));
        rows.push(row("2.4", name("shift"), shift, 6e-7, Source::Theory, move |_| toy().shift()[state]));
    }
    let after = [0.507_273, 0.245_455, 0.247_273, 0.368_182, 0.263_636, 0.368_182];
    for (at, want) in after.into_iter().enumerate() {
        let name = format!("microprice toy: chance of state {} after {}", at % 3 + 1, at / 3 + 1);
        rows.push(row("2.4", name, want, 6e-7, Source::Theory, move |_| toy().after_move()[at]));
    }
    rows
}

/// Order-flow imbalance after the first `updates` updates; prices in halves.
fn flow_after(updates: usize) -> f64 {
    let states = [(200, 5, 202, 4), (200, 7, 202, 4), (200, 7, 202, 1), (201, 3, 202, 1), (201, 3, 203, 6)];
    let mut flow = OrderFlow::new(60_000);
    for (at, (bid, bid_lots, ask, ask_lots)) in states.into_iter().take(updates + 1).enumerate() {
        flow.on_best(TimestampNs::from_millis(1_000 + at as u64), level(bid, bid_lots), level(ask, ask_lots));
    }
    flow.sum_lots().map_or(f64::NAN, |lots| lots as f64)
}

fn order_flow() -> Vec<Row> {
    let mut rows = Vec::new();
    for (update, want) in [(1, 2.0), (2, 3.0), (3, 3.0), (4, 1.0)] {
        rows.push(row("2.5", format!("order flow of update {update}"), want, 1e-12, Source::Theory, move |_| {
            let before = if update == 1 { 0.0 } else { flow_after(update - 1) };
            flow_after(update) - before
        }));
    }
    rows.push(row("2.5", "order-flow imbalance of all", 9.0, 1e-12, Source::Theory, |_| flow_after(4)));
    rows
}

fn sigma(kind: SigmaKind) -> Sigma {
    Sigma::new(&FeaturesConfig { sigma: kind, sigma_warmup: 2, ..FeaturesConfig::default() })
}

/// The grid starts on a minute, so that bars begin where the walk does.
fn at_ms(milliseconds: u64) -> TimestampNs {
    TimestampNs::from_millis(1_700_000_040_000 + milliseconds)
}

/// Variance of a bar from 99 to 101.
fn parkinson_example() -> f64 {
    parkinson_variance(101.0, 99.0)
}

/// What ranges of walks with so many changes of the mid show of their variance, and the error of that.
fn range_bias(changes: usize, bars: usize) -> Moments {
    let mut rng = generator(changes as u64, Purpose::Price);
    let mut found = Moments::default();
    let scale = WALK / (changes as f64).sqrt();
    for _ in 0..bars {
        let (mut log, mut high, mut low) = (0.0_f64, 0.0_f64, 0.0_f64);
        for _ in 0..changes {
            let normal: f64 = StandardNormal.sample(&mut rng);
            log += scale * normal;
            high = high.max(log);
            low = low.min(log);
        }
        found.push(parkinson_variance(high.exp(), low.exp()) / (WALK * WALK));
    }
    found
}

/// The decay of the live estimator, from how much one return weighs against none before it.
fn ewma_decay() -> f64 {
    let mut sigma = sigma(SigmaKind::Ewma);
    let mids = [2_000_000, 2_020_000, 2_020_000];
    for (second, mid) in mids.into_iter().enumerate() {
        sigma.on_mid(at_ms(second as u64 * 1000), HalfTicks::new(mid));
    }
    // The grid has seen no return and then this one. Bias-corrected, they weigh decay : 1.
    let share = sigma.per_sqrt_s().map_or(f64::NAN, |value| (value / (1.01_f64).ln()).powi(2));
    (1.0 - share) / share
}

/// Half ticks of the walks below: fine enough that rounding to them does not show.
const START: f64 = 2e12;

/// Volatility of the walks, per square root of a second.
const WALK: f64 = 1e-4;

/// Estimates over independent stretches of a walk: each of `seconds`, restarted.
fn on_walks(kind: SigmaKind, seconds: u64, walks: usize) -> Moments {
    let mut rng = generator(26, Purpose::Price);
    let mut found = Moments::default();
    for _ in 0..walks {
        let mut sigma = sigma(kind);
        let mut log = START.ln();
        for second in 0..=seconds {
            sigma.on_mid(at_ms(second * 1000), HalfTicks::new(log.exp() as i64));
            let normal: f64 = StandardNormal.sample(&mut rng);
            log += WALK * normal;
        }
        found.push(sigma.per_sqrt_s().unwrap_or(f64::NAN) / WALK);
    }
    found
}

fn volatility(lab: &Lab) -> Vec<Row> {
    let walks = lab.walks();
    let theory = Source::Theory;
    let mut rows = vec![
        row("2.6", "EWMA decay at 1 s, half-life 60 s", 0.988_514, 6e-7, theory, |_| ewma_decay()),
        row("2.6", "Parkinson of 101 and 99: variance of the bar", 1.442_791_2e-4, 6e-12, theory, |_| {
            parkinson_example()
        }),
        row("2.6", "the same as deviation", 0.012_011_62, 6e-9, theory, |_| parkinson_example().sqrt()),
        row("2.6", "the same per √s", 0.001_550_69, 6e-9, theory, |_| (parkinson_example() / 60.0).sqrt()),
        row("2.6", "1 / (4 ln 2) in use", 0.360_673_760_2, 1e-10, theory, |_| {
            parkinson_example() / (101.0_f64 / 99.0).ln().powi(2)
        }),
    ];
    // An estimate from n squares is off by 1 / sqrt(2 n): the window holds 300, the EWMA 2 / (1 - decay) / 2 = 173.
    for (name, kind, n) in [("windowed", SigmaKind::Windowed, 300.0), ("EWMA", SigmaKind::Ewma, 173.0)] {
        let error = 1.0 / f64::sqrt(2.0 * n);
        // The root of a variance lies below it by a quarter of its relative variance.
        let mean = 1.0 - error * error / 2.0;
        let off = 4.0 * error / (walks as f64).sqrt();
        rows.push(row("2.6", format!("{name} on a walk of 3600 s: mean over σ"), mean, off, theory, move |_| {
            on_walks(kind, 3_600, walks).mean()
        }));
        let off = 4.0 * error / (2.0 * walks as f64).sqrt();
        rows.push(row("2.6", format!("{name} on a walk of 3600 s: error over σ"), error, off, theory, move |_| {
            on_walks(kind, 3_600, walks).std()
        }));
    }
    for (changes, want) in
        [(5, 0.572), (10, 0.664), (20, 0.745), (50, 0.827), (100, 0.877), (200, 0.904), (500, 0.940), (1000, 0.961)]
    {
        let bars = lab.normals() / changes;
        // The table is good to 0.005; a bar's variance has a deviation of 0.64 of itself.
        let off = 0.005 + 4.0 * 0.64 / (bars as f64).sqrt();
        let name = format!("range of {changes} changes: variance shown");
        rows.push(row("2.6", name, want, off, Source::Simulated, move |_| range_bias(changes, bars).mean()));
        let name = format!("range of {changes} changes: shown over correction");
        rows.push(row("2.6", name, 1.0, off / want, Source::Simulated, move |_| {
            range_bias(changes, bars).mean() / discreteness_factor(changes as u64)
        }));
    }
    rows
}
