//! Section 4: the seed's quotes.

use super::super::row::{Row, Source, row};
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
    rows
}
