//! Table B of quant.md 11, limits and symmetries.

use super::*;

/// Table B, to the 1e-4 that it asks for.
const CLOSE: f64 = 1e-4;

fn paper() -> Glft {
    Glft::plain(0.01, 0.3, 0.9, 0.3)
}

fn stationary(model: &Glft, units: usize) -> Table {
    let mut table = Table::new();
    table.fill_stationary(model, units).unwrap();
    table
}

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < CLOSE, "{what}: {found} is not {expected}");
}

#[test]
fn table_b_exact_and_closed_form() {
    // (model, Q, alpha, eta, base, root, exact b0 b5 a5, closed b0 b5 a5)
    let rows = [
        (
            paper(),
            30,
            1.35e-4,
            0.325_678,
            3.278_982,
            0.067_866,
            [3.31305, 3.65348, 2.97252],
            [3.31292, 3.65224, 2.97359],
        ),
        (
            Glft { sigma: 0.4, ..paper() },
            30,
            2.4e-4,
            0.325_678,
            3.278_982,
            0.090_488,
            [3.32446, 3.77875, 2.86996],
            [3.32423, 3.77667, 2.87179],
        ),
        (
            Glft { sigma: 1.0, a: 0.2, ..paper() },
            30,
            1.5e-3,
            0.072_373,
            3.278_982,
            0.479_884,
            [3.52565, 5.91852, 1.10024],
            [3.51892, 5.91834, 1.11950],
        ),
        (
            Glft::plain(0.1, 2.0, 140.0, 1.5),
            30,
            0.3,
            49.8504,
            0.645_385,
            0.051_717,
            [0.67163, 0.93178, 0.41045],
            [0.67124, 0.92983, 0.41266],
        ),
    ];
    for (model, units, alpha, eta, base, root, exact, closed) in rows {
        assert!((model.alpha() / alpha - 1.0).abs() < 1e-9);
        assert_near(model.eta(), eta, "eta");
        assert_near(model.base(), base, "base");
        assert_near(model.root(), root, "root");
        let table = stationary(&model, units);
        assert_near(table.bid(0).unwrap(), exact[0], "exact bid at 0");
        assert_near(table.bid(5).unwrap(), exact[1], "exact bid at 5");
        assert_near(table.ask(5).unwrap(), exact[2], "exact ask at 5");
        assert_near(model.closed_form(0.0).bid, closed[0], "closed bid at 0");
        assert_near(model.closed_form(5.0).bid, closed[1], "closed bid at 5");
        assert_near(model.closed_form(5.0).ask, closed[2], "closed ask at 5");
    }
    assert!((2.0 * paper().closed_form(3.0).half_spread() - 6.625_830).abs() < 1e-6);
}

#[test]
fn a_tight_limit_needs_the_exact_quotes() {
    let table = stationary(&paper(), 6);
    assert_near(table.bid(0).unwrap(), 3.36812, "bid at 0");
    assert_near(table.bid(5).unwrap(), 5.52578, "bid at 5");
    assert_near(table.ask(5).unwrap(), 2.04517, "ask at 5");
    assert!((paper().closed_form(5.0).bid - 3.652).abs() < 1e-3, "the closed form knows no limit");
    assert_eq!((table.bid(6), table.ask(-6)), (None, None), "no quote that would pass the limit");
    assert_eq!((table.bid(60), table.ask(-60), table.bid(-60)), (None, None, None));
    assert!(table.ask(6).is_some() && table.bid(-6).is_some());
}

#[test]
fn finite_horizons_tend_to_the_stationary_quotes() {
    let mut table = Table::new();
    let rows = [
        (0.0, 3.278_982, 3.278_982),
        (1.0, 3.279_432, 3.283_932),
        (10.0, 3.283_456, 3.328_194),
        (60.0, 3.301_451, 3.526_127),
        (600.0, 3.313_045, 3.653_479),
    ];
    for (time_left, at_zero, at_five) in rows {
        table.fill_finite(&paper(), 30, time_left).unwrap();
        assert!((table.bid(0).unwrap() - at_zero).abs() < 2e-6, "{time_left}: {:?}", table.bid(0));
        assert!((table.bid(5).unwrap() - at_five).abs() < 2e-6, "{time_left}: {:?}", table.bid(5));
    }
    table.fill_finite(&paper(), 30, 20_000.0).unwrap();
    let endless = stationary(&paper(), 30);
    for position in -30..30 {
        assert!((table.bid(position).unwrap() - endless.bid(position).unwrap()).abs() < 1e-9, "{position}");
    }
}

#[test]
fn bids_and_asks_are_mirrors_and_lean_against_the_position() {
    for units in [1, 2, 7, 100] {
        let table = stationary(&paper(), units);
        let limit = units as i64;
        for position in -limit..limit {
            let (bid, ask) = (table.bid(position).unwrap(), table.ask(-position).unwrap());
            assert!((bid - ask).abs() < 1e-9, "{units} {position}");
            if position + 1 < limit {
                assert!(table.bid(position + 1).unwrap() > bid, "{units} {position}");
            }
        }
    }
}

#[test]
fn a_strong_aversion_does_not_underflow() {
    // The vector falls by a factor of 1e5 and more a step: its square is far below the least double.
    let model = Glft::plain(1.0, 30.0, 0.001, 1.0);
    let table = stationary(&model, 100);
    let outermost = table.bid(99).unwrap();
    assert!(outermost.is_finite() && outermost > table.bid(50).unwrap());
    // Where holding outweighs trading, v(q+1)/v(q) = eta / (alpha (q+1)²) nearly.
    let expected = model.base() + (model.alpha() * 100.0 * 100.0 / model.eta()).ln() / model.k;
    assert!((outermost - expected).abs() < 1e-2, "{outermost} {expected}");
}

#[test]
fn order_size_scales_risk_aversion() {
    // arXiv 1605.01862, 4.6 and 4.7, as quant.md 6.2 writes them: c1 = ln(1 + xi z/k)/(xi z), c2.
    let (gamma, sigma, a, k, z) = (0.02_f64, 0.5_f64, 0.4_f64, 0.3_f64, 3.0_f64);
    let model = Glft { size: z, ..Glft::plain(gamma, sigma, a, k) };
    let c1 = (gamma * z / k).ln_1p() / (gamma * z);
    let c2 = (gamma / (2.0 * a * z * k) * (1.0 + gamma * z / k).powf(k / (gamma * z) + 1.0)).sqrt();
    let quotes = model.closed_form(2.0);
    assert!((quotes.half_spread() - (c1 + z / 2.0 * sigma * c2)).abs() < 1e-12);
    // Two units are six of the base quantity.
    assert!((quotes.skew() - sigma * c2 * 6.0).abs() < 1e-12);
}

#[test]
fn impact_widens_and_drift_leans() {
    let plain = paper();
    let hurt = Glft { impact: 0.8, ..plain };
    let factor = (plain.k * 0.8 / 4.0_f64).exp();
    assert!((hurt.eta() - plain.eta() * (-plain.k * 0.4_f64).exp()).abs() < 1e-12);
    assert!((hurt.root() - plain.root() * factor).abs() < 1e-12);
    let (before, after) = (plain.closed_form(0.0), hurt.closed_form(0.0));
    assert!((after.bid - (plain.base() + 0.4 + hurt.root() / 2.0)).abs() < 1e-12 && after.bid > before.bid);

    let rising = Glft { drift: 0.001, ..plain };
    let units = 0.001 / (0.01 * 0.09);
    let (flat, leaning) = (plain.closed_form(0.0), rising.closed_form(0.0));
    assert!((leaning.bid - (flat.bid - units * plain.root())).abs() < 1e-12, "a rising price is bought sooner");
    assert!((leaning.ask - (flat.ask + units * plain.root())).abs() < 1e-12);
    let exact = stationary(&rising, 30);
    assert!((exact.bid(0).unwrap() - leaning.bid).abs() < 2e-3, "{:?} {leaning:?}", exact.bid(0));
    assert!((exact.ask(0).unwrap() - leaning.ask).abs() < 2e-3);
}

#[test]
fn gamma_is_found_for_a_skew() {
    for size in [1.0, 0.02] {
        let model = Glft { size, ..paper() };
        let gamma = model.gamma_for_skew(10.0, 0.7);
        assert!((Glft { gamma, ..model }.root() * 10.0 - 0.7).abs() < 1e-9);
    }
}

#[test]
fn bad_constants_are_refused_and_leave_no_quote() {
    let mut table = Table::new();
    assert_eq!(table.bid(0), None);
    for model in [
        Glft { sigma: 0.0, ..paper() },
        Glft { k: f64::NAN, ..paper() },
        Glft { gamma: -1.0, ..paper() },
        Glft { a: 0.0, ..paper() },
        Glft { impact: f64::INFINITY, ..paper() },
    ] {
        assert_eq!(table.fill_stationary(&model, 5), Err(GlftError::Constants), "{model:?}");
    }
    assert_eq!(table.fill_stationary(&paper(), 0), Err(GlftError::Units));
    assert_eq!(table.fill_stationary(&paper(), 101), Err(GlftError::Units));
    assert_eq!(table.fill_finite(&paper(), 5, 1e12), Err(GlftError::Horizon));
    assert_eq!(table.bid(0), None);
}

#[test]
fn a_table_is_refilled_without_growing() {
    let mut table = Table::new();
    table.fill_stationary(&paper(), 100).unwrap();
    let before = (table.steps.capacity(), table.vector.capacity(), table.next.capacity(), table.pivots.capacity());
    table.fill_stationary(&paper(), 100).unwrap();
    table.fill_stationary(&paper(), 3).unwrap();
    assert_eq!(table.steps().len(), 6);
    let after = (table.steps.capacity(), table.vector.capacity(), table.next.capacity(), table.pivots.capacity());
    assert_eq!(before, after);
}
