//! Sections 4 and 9: the seed's quotes, and where the greatest expected value lies.

use super::super::row::{Row, Source, row};
use crate::models::expected::{best, exponential_optimum, lambert_w, logistic_optimum};
use crate::pipeline::quoter::{Frame, SeedFormula};
use crate::types::Side;

/// The seed's quote at a mid of 100 with a tick of 0.01, κ=.2, k=.4, τ=.25, in price units.
fn side(position: f64, side: Side) -> f64 {
    let formula = SeedFormula {
        base_ticks: 0.0,
        k_ticks: 40.0,
        kappa_ticks: 20.0,
        frame: Frame { floor_ticks: 0.5, cap_ticks: 50.0, skew_cap_ticks: 25.0 },
    };
    let quote = formula.quote(10_000.0, position, [0.25; 2]);
    0.01 * if side == Side::Bid { quote.bid_ticks } else { quote.ask_ticks }
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (position, bid, ask) in [(0.3, 99.84, 100.04), (-0.3, 99.96, 100.16)] {
        let name = |side: &str| format!("seed {side} at Q={position}");
        rows.push(row("4", name("bid"), bid, 1e-9, Source::Theory, move |_| side(position, Side::Bid)));
        rows.push(row("4", name("ask"), ask, 1e-9, Source::Theory, move |_| side(position, Side::Ask)));
    }
    rows.extend(expected_value());
    rows
}

/// The search that the expected-value maker makes, over ticks of a hundredth of the oracles' unit: it has to be right
/// within half a tick.
fn expected_value() -> Vec<Row> {
    const TICK: f64 = 0.01;
    let theory = Source::Theory;
    let search = |value: fn(f64, [f64; 3]) -> f64, parameters: [f64; 3]| {
        let ticks = (0..=1000).map(|tick| f64::from(tick) * TICK);
        best(ticks, |delta| Some(value(*delta, parameters))).map_or((f64::NAN, f64::NAN), |found| found)
    };
    let mut rows = Vec::new();
    for (c, k, want) in [(0.2, 1.5, 0.866_667), (0.5, 10.0, 0.6)] {
        let name = |what: &str| format!("{what}, exponential chance, c={c} k={k}");
        rows.push(row("9", name("optimum in theory"), want, 1e-6, theory, move |_| exponential_optimum(c, k)));
        rows.push(row("9", name("optimum found"), want, TICK / 2.0, theory, move |_| {
            search(|delta, [c, k, _]| (-k * delta).exp() * (delta - c), [c, k, 0.0]).0
        }));
    }
    let logistic = [
        ([-1.0, 2.0, 0.1], 0.848_860, 0.248_860),
        ([0.0, 1.0, 0.3], 1.518_943, 0.218_943),
        ([1.0, 0.5, 0.2], 2.419_460, 0.219_460),
    ];
    for (parameters, want, value) in logistic {
        let name = |what: &str| format!("{what}, logistic chance, (a, b, c)={parameters:?}");
        let of = |delta: f64, [a, b, c]: [f64; 3]| (delta - c) / (1.0 + (a + b * delta).exp());
        let [a, b, c] = parameters;
        rows.push(row("9", name("optimum in theory"), want, 1e-6, theory, move |_| logistic_optimum(a, b, c).0));
        rows.push(row("9", name("optimum found"), want, TICK / 2.0, theory, move |_| search(of, parameters).0));
        // The value is flat at its greatest: half a tick beside it nothing is lost in these digits.
        rows.push(row("9", name("greatest value"), value, 1e-5, theory, move |_| search(of, parameters).1));
    }
    rows.push(row("9", "Lambert's W of 1", 0.567_143_290, 1e-9, theory, |_| lambert_w(1.0)));
    rows
}
