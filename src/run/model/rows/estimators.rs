//! Section 5: what is learnt online.

use rand_distr::{Distribution, Exp1, Poisson};

use super::super::lab::Lab;
use super::super::row::{Row, Source, row};
use crate::pipeline::estimators::{self, Rls};
use crate::sim::reference::random::{Moments, Purpose, generator};
use crate::sim::reference::sm1;

pub(super) fn rows(lab: &Lab) -> Vec<Row> {
    let mut rows = least_squares();
    rows.extend(path_on_sm1());
    rows.extend(skew());
    rows.extend(intensity(lab));
    rows
}

/// The filter after the first `steps` of the specification's samples.
fn after(steps: usize) -> Rls {
    let mut filter = Rls::new(0.0, 1000.0, 0.99);
    for (x, y) in [(0.2, 0.3), (0.5, 0.4), (0.1, -0.1), (0.6, 0.7)].into_iter().take(steps) {
        filter.step(x, y);
    }
    filter
}

fn least_squares() -> Vec<Row> {
    let wanted = [(1.463_772, 24.396_194), (0.892_697, 3.441_392), (0.829_114, 3.359_376), (1.014_725, 1.527_423)];
    let mut rows = Vec::new();
    for (at, (theta, variance)) in wanted.into_iter().enumerate() {
        let steps = at + 1;
        let name = |what: &str| format!("least squares with forgetting: {what} after {steps}");
        rows.push(row("5.1", name("θ"), theta, 6e-7, Source::Theory, move |_| after(steps).theta));
        rows.push(row("5.1", name("P"), variance, 6e-7, Source::Theory, move |_| after(steps).variance));
    }
    rows
}

/// θ along SM-1, thinned one in twenty, after its memory has filled once.
fn path() -> Moments {
    let mut filter = Rls::new(1.0, 1e3, 1.0 - 1.0 / 5000.0);
    let mut along = Moments::default();
    let samples = sm1::PAPER.markouts(2_000_000, 200, 1);
    for (step, (tau, markout)) in samples.into_iter().step_by(20).enumerate() {
        filter.step(tau, markout);
        if step > 5_000 {
            along.push(filter.theta);
        }
    }
    along
}

fn path_on_sm1() -> Vec<Row> {
    // A hundred thousand samples hold ten memories of ten thousand: the mean of the path is known to a third of its
    // deviation.
    let (mean, deviation) = (1.395, 0.159);
    vec![
        row(
            "5.1",
            "least squares along SM-1: mean θ",
            mean,
            4.0 * deviation / 10.0_f64.sqrt(),
            Source::Simulated,
            |_| path().mean(),
        ),
        row("5.1", "least squares along SM-1: std of θ", deviation, 0.1, Source::Simulated, |_| path().std()),
    ]
}

fn skew() -> Vec<Row> {
    // 50 % a year at 60 000, a unit of price as the tick.
    let sigma = || 0.5 / (365.0 * 86_400.0_f64).sqrt() * 60_000.0;
    vec![
        row("5.2", "γ at which full inventory skews by 6", 4.205, 5e-4, Source::Theory, move |_| {
            estimators::gamma_at_full_skew(6.0, sigma(), 1.0, 10.0, 10.0, 0.05)
        }),
        row("5.3", "κ at that γ", 120.0, 1e-9, Source::Theory, move |_| {
            let gamma = estimators::gamma_at_full_skew(6.0, sigma(), 1.0, 10.0, 10.0, 0.05);
            estimators::kappa_ticks(gamma, sigma(), 1.0, 10.0, 10.0)
        }),
        row("5.3", "σ of 50 % a year at 60 000", 5.342, 5e-4, Source::Theory, move |_| sigma()),
    ]
}

/// The likelihood fit on `samples` of ten minutes each: k, then A.
fn fits(samples: usize) -> Option<[Moments; 2]> {
    let (a, k, span_s) = (0.9, 0.3, 600.0);
    let (mut arrivals, mut depths) = (generator(5, Purpose::Flow), generator(5, Purpose::Price));
    let count = Poisson::new(a * span_s).ok()?;
    let mut found = [Moments::default(); 2];
    for _ in 0..samples {
        let orders = count.sample(&mut arrivals) as u64;
        let sum: f64 = (0..orders).map(|_| -> f64 { Exp1.sample(&mut depths) }).sum::<f64>() / k;
        let fit = estimators::fit(orders, sum / orders as f64, 0.0, span_s)?;
        found[0].push(fit.k_per_tick);
        found[1].push(fit.a_per_s);
    }
    Some(found)
}

fn intensity(lab: &Lab) -> Vec<Row> {
    let samples = lab.fits();
    let root = (samples as f64).sqrt();
    let mut rows = Vec::new();
    for (at, name, mean, deviation) in [(0, "k", 0.3006, 0.0129), (1, "A", 0.9000, 0.0385)] {
        let of = move || fits(samples).map_or([f64::NAN; 2], |found| [found[at].mean(), found[at].std()]);
        // The specification's values come from 2000 samples: both errors count.
        let off = 4.0 * deviation * (1.0 / samples as f64 + 1.0 / 2000.0).sqrt();
        let label = |what: &str| format!("likelihood fit of {name} on ten minutes: {what}");
        rows.push(row("5.4", label("mean"), mean, off, Source::Simulated, move |_| of()[0]));
        let off = 4.0 * deviation / root;
        rows.push(row("5.4", label("std"), deviation, off, Source::Simulated, move |_| of()[1]));
    }
    rows
}
