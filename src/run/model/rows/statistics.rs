//! Sections 10, 13 and 14: adverse selection, honest statistics, KPIs.

use super::super::row::{Expect, Row, Source, bound, row};
use crate::kpi::spread::FillSpread;
use crate::stats::{cvar, normal, psr, sharpe};
use crate::types::{HalfTicks, Price, Side};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = adverse_selection();
    rows.extend(sharpe_rows());
    rows.extend(deflated());
    rows.push(row("14", "CVaR 95 of 1 to 100", 98.0, 1e-12, Source::Theory, |_| {
        let mut samples: Vec<f64> = (1..=100).map(f64::from).collect();
        cvar::upper_tail_mean(&mut samples, 5).unwrap_or(f64::NAN)
    }));
    rows
}

/// A bid of 99.99 is hit with the mid at 100.00, which is 99.994 five seconds later. The tick is 0.002.
fn fill() -> FillSpread {
    FillSpread::of(Side::Bid, Price::from_ticks(49_995), HalfTicks::new(100_000), HalfTicks::new(99_994))
}

fn adverse_selection() -> Vec<Row> {
    const HALF_TICK: f64 = 0.001;
    let theory = Source::Theory;
    vec![
        row("10", "effective half-spread of the example", 0.010, 1e-9, theory, |_| fill().effective as f64 * HALF_TICK),
        row("10", "impact of the example", 0.006, 1e-9, theory, |_| fill().impact as f64 * HALF_TICK),
        row("10", "realised half-spread of the example", 0.004, 1e-9, theory, |_| fill().realised as f64 * HALF_TICK),
        row("10", "effective less impact less realised", 0.0, 1e-9, theory, |_| {
            (fill().effective - fill().impact - fill().realised) as f64
        }),
    ]
}

fn sharpe_rows() -> Vec<Row> {
    let theory = Source::Theory;
    let mut rows = Vec::new();
    for (days, error) in [(3.0, 11.03), (30.0, 3.49), (90.0, 2.01), (365.0, 1.00)] {
        let name = format!("error of an annual Sharpe ratio from {days} days");
        rows.push(row("13", name, error, 0.005, theory, move |_| sharpe::annual_standard_error(days)));
    }
    for (name, p, days) in [("one-sided", 0.95, 439.0), ("two-sided", 0.975, 623.0)] {
        let name = format!("days to prove a ratio of 1.5, {name} 5 %");
        rows.push(row("13", name, days, 0.5, theory, move |_| {
            normal::quantile(p).map_or(f64::NAN, |z| sharpe::days_to_prove(1.5, z))
        }));
    }
    rows.push(row("13", "P(ratio of 1.5 in 3 days without skill)", 0.446, 5e-4, theory, |_| {
        sharpe::chance_without_skill(1.5, 3.0)
    }));
    rows.push(row("13", "Lo's factor, q=12, ρ1=.4", 2.631_174, 6e-7, theory, |_| {
        sharpe::aggregation(12, &[0.4]).unwrap_or(f64::NAN)
    }));
    rows
}

fn deflated() -> Vec<Row> {
    let variance = 0.5 / 250.0;
    let mut rows =
        vec![row("13", "best ratio of 100 trials without skill", 0.113_172, 6e-7, Source::Paper, move |_| {
            psr::best_of_trials(variance, 100)
        })];
    let ratio = || 2.5 / 250.0_f64.sqrt();
    for (trials, g3, g4, want) in [(100, -3.0, 10.0, 0.900_397), (46, -3.0, 10.0, 0.950_502), (88, 0.0, 3.0, 0.950_491)]
    {
        let name = format!("deflated Sharpe ratio, {trials} trials, skew {g3}, kurtosis {g4}");
        rows.push(row("13", name, want, 6e-7, Source::Paper, move |_| {
            psr::dsr(ratio(), variance, trials, 1250, g3, g4).unwrap_or(f64::NAN)
        }));
    }
    // The mistake that flatters: kurtosis less three.
    rows.push(bound(
        "13",
        "deflated ratio less that with excess kurtosis",
        Expect::Below(-1e-3),
        Source::Theory,
        move |_| {
            let of = |g4| psr::dsr(ratio(), variance, 100, 1250, -3.0, g4).unwrap_or(f64::NAN);
            of(10.0) - of(7.0)
        },
    ));
    for (name, periods, g3, g4, years) in [
        ("daily", 252.0, 0.0, 3.0, 2.7310),
        ("weekly", 52.0, 0.0, 3.0, 2.8288),
        ("monthly", 12.0, 0.0, 3.0, 3.2398),
        ("monthly, skew -.72, kurtosis 5.78", 12.0, -0.72, 5.78, 4.9913),
    ] {
        rows.push(row("13", format!("least track record in years, {name}"), years, 6e-5, Source::Paper, move |_| {
            let root = f64::sqrt(periods);
            psr::least_track_record(2.0 / root, 1.0 / root, g3, g4, 0.95).map_or(f64::NAN, |count| count / periods)
        }));
    }
    rows
}
