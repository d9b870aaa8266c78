//! Sections 6.1, 6.2 and 11: Avellaneda-Stoikov and Guéant-Lehalle-Fernandez-Tapia.

use super::super::lab::{GAMMAS, Lab, Variant};
use super::super::row::{Expect, Row, Source, bound, row};
use crate::models::avellaneda::Avellaneda;
use crate::models::fill_premium;
use crate::models::glft::Table;
use crate::sim::reference::as2008::{self, Strategy};
use crate::sim::reference::control::{Arrivals, Outcome};
use crate::sim::reference::glft2012;

pub(super) fn rows(lab: &Lab) -> Vec<Row> {
    let mut rows = formulas();
    rows.extend(glft_table());
    rows.extend(glft_paths(lab));
    rows.extend(table_a(lab));
    rows.extend(published(lab));
    rows.extend(exact_symmetric());
    rows.extend(variants(lab));
    rows
}

const PAPER_AS: Avellaneda = Avellaneda { gamma: 0.1, sigma: 2.0, k: 1.5 };

fn formulas() -> Vec<Row> {
    let theory = Source::Theory;
    let mut rows = vec![
        row("6.1", "reservation price, q=2, T-t=1", 99.2, 1e-9, theory, |_| {
            PAPER_AS.reservation_price(100.0, 2.0, 1.0)
        }),
        row("6.1", "bid distance less ask distance, q=2, T-t=1", 1.6, 1e-9, theory, |_| {
            let offsets = PAPER_AS.offsets(2.0, 1.0);
            offsets.bid - offsets.ask
        }),
        row("6.1", "half-spread as gamma tends to 0 is 1/k", 1.0 / 1.5, 1e-9, theory, |_| fill_premium(1e-9, 1.5)),
    ];
    for (gamma, want) in GAMMAS.into_iter().zip([1.348_91, 1.490_77, 2.150_73, 3.021_65]) {
        // The spread is linear in the time left, so its average over time is its value half-way.
        let name = format!("mean spread in continuous time, gamma {gamma}");
        rows.push(row("6.1", name, want, 6e-6, theory, move |_| Avellaneda { gamma, ..PAPER_AS }.spread(0.5)));
    }
    rows
}

/// One row of reference table B.
struct GlftCase {
    name: &'static str,
    sigma: f64,
    a: f64,
    k: f64,
    gamma: f64,
    units: usize,
    /// alpha, eta, base, root; then exact bid(0), bid(5), ask(5).
    parts: [f64; 4],
    exact: [f64; 3],
    closed: Option<[f64; 3]>,
}

const fn figure(
    name: &'static str,
    sigma: f64,
    a: f64,
    parts: [f64; 4],
    exact: [f64; 3],
    closed: [f64; 3],
) -> GlftCase {
    GlftCase { name, sigma, a, k: 0.3, gamma: 0.01, units: 30, parts, exact, closed: Some(closed) }
}

const GLFT_CASES: [GlftCase; 5] = [
    figure(
        "σ=.3",
        0.3,
        0.9,
        [1.35e-4, 0.325_678, 3.278_982, 0.067_866],
        [3.313_05, 3.653_48, 2.972_52],
        [3.312_92, 3.652_24, 2.973_59],
    ),
    figure(
        "σ=.4",
        0.4,
        0.9,
        [2.4e-4, 0.325_678, 3.278_982, 0.090_488],
        [3.324_46, 3.778_75, 2.869_96],
        [3.324_23, 3.776_67, 2.871_79],
    ),
    figure(
        "σ=1 A=.2",
        1.0,
        0.2,
        [1.5e-3, 0.072_373, 3.278_982, 0.479_884],
        [3.525_65, 5.918_52, 1.100_24],
        [3.518_92, 5.918_34, 1.119_50],
    ),
    GlftCase {
        name: "σ=.3 Q=6",
        sigma: 0.3,
        a: 0.9,
        k: 0.3,
        gamma: 0.01,
        units: 6,
        parts: [1.35e-4, 0.325_678, 3.278_982, 0.067_866],
        exact: [3.368_12, 5.525_78, 2.045_17],
        closed: None,
    },
    GlftCase {
        name: "AS parameters",
        sigma: 2.0,
        a: 140.0,
        k: 1.5,
        gamma: 0.1,
        units: 30,
        parts: [0.3, 49.850_4, 0.645_385, 0.051_717],
        exact: [0.671_63, 0.931_78, 0.410_45],
        closed: Some([0.671_24, 0.929_83, 0.412_66]),
    },
];

fn glft_table() -> Vec<Row> {
    let mut rows = Vec::new();
    for case in GLFT_CASES {
        let (units, name) = (case.units, case.name);
        let model = crate::models::glft::Glft { k: case.k, gamma: case.gamma, ..glft2012::model(case.sigma, case.a) };
        let mut add = |what: &str, want: f64, ours: Box<dyn Fn() -> Option<f64>>| {
            let compute = move |_: &Lab| ours().unwrap_or(f64::NAN);
            rows.push(row("6.2", format!("GLFT {name}: {what}"), want, 1e-4, Source::Theory, compute));
        };
        add("alpha", case.parts[0], Box::new(move || Some(model.alpha())));
        add("eta", case.parts[1], Box::new(move || Some(model.eta())));
        add("base", case.parts[2], Box::new(move || Some(model.base())));
        add("root", case.parts[3], Box::new(move || Some(model.root())));
        let stationary = move || {
            let mut table = Table::new();
            table.fill_stationary(&model, units).ok()?;
            Some(table)
        };
        add("exact bid at 0", case.exact[0], Box::new(move || stationary()?.bid(0)));
        add("exact bid at 5", case.exact[1], Box::new(move || stationary()?.bid(5)));
        add("exact ask at 5", case.exact[2], Box::new(move || stationary()?.ask(5)));
        if let Some(closed) = case.closed {
            add("closed bid at 0", closed[0], Box::new(move || Some(model.closed_form(0.0).bid)));
            add("closed bid at 5", closed[1], Box::new(move || Some(model.closed_form(5.0).bid)));
            add("closed ask at 5", closed[2], Box::new(move || Some(model.closed_form(5.0).ask)));
        }
    }
    let model = glft2012::model(0.3, 0.9);
    for (left, at_0, at_5) in [
        (0.0, 3.278_982, 3.278_982),
        (1.0, 3.279_432, 3.283_932),
        (10.0, 3.283_456, 3.328_194),
        (60.0, 3.301_451, 3.526_127),
        (600.0, 3.313_045, 3.653_479),
    ] {
        for (position, want) in [(0, at_0), (5, at_5)] {
            let name = format!("GLFT finite horizon: bid at {position}, {left} s left");
            rows.push(row("6.2", name, want, 1e-4, Source::Theory, move |_| {
                let mut table = Table::new();
                let filled = table.fill_finite(&model, glft2012::LARGEST, left).ok();
                filled.and_then(|()| table.bid(position)).unwrap_or(f64::NAN)
            }));
        }
    }
    rows.push(row("6.2", "GLFT closed spread", 6.625_830, 1e-4, Source::Theory, move |_| {
        2.0 * model.closed_form(0.0).half_spread()
    }));
    rows
}

fn glft_paths(lab: &Lab) -> Vec<Row> {
    let paths = lab.glft_paths() as f64;
    let mut rows = Vec::new();
    for (name, is_flat, mean, std, std_q, error) in
        [("optimal", false, 1297.3, 72.7, 4.95, 1.2), ("flat", true, 1298.0, 113.6, 16.1, 1.8)]
    {
        let pick = move |lab: &Lab, of: fn(&Outcome) -> f64| {
            lab.glft().map_or(f64::NAN, |both| of(if is_flat { &both.1 } else { &both.0 }))
        };
        // Both the table's mean and ours have an error; a deviation from n paths is off by 1 / sqrt(2 n).
        let off = 4.0 * (std * std / paths + error * error).sqrt();
        let relative = 4.0 / (2.0 * paths).sqrt() + 0.01;
        let source = Source::Simulated;
        let label = |what: &str| format!("GLFT paths, {name}: {what}");
        rows.push(row("11", label("mean profit"), mean, off, source, move |lab| pick(lab, |o| o.profit.mean())));
        rows.push(row("11", label("std of profit"), std, std * relative, source, move |lab| {
            pick(lab, |o| o.profit.std())
        }));
        rows.push(row("11", label("std of inventory"), std_q, std_q * relative, source, move |lab| {
            pick(lab, |o| o.inventory.std())
        }));
    }
    rows.push(bound("11", "GLFT paths: risk against flat", Expect::Below(0.75), Source::Simulated, |lab| {
        lab.glft().map_or(f64::NAN, |both| both.0.profit.std() / both.1.profit.std())
    }));
    rows
}

fn strategy_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Inventory => "inv",
        Strategy::Symmetric => "sym",
    }
}

/// Values of 60 000 paths: mean, std, std of inventory, fills a path; inventory then symmetric, by gamma.
const SIXTY_THOUSAND: [[[f64; 4]; 2]; 4] = [
    [[68.36, 8.96, 5.23, 102.2], [68.59, 13.71, 8.71, 101.8]],
    [[64.89, 6.55, 2.92, 97.0], [68.18, 13.52, 8.42, 91.5]],
    [[48.56, 5.90, 1.95, 78.1], [59.90, 12.33, 6.90, 55.6]],
    [[31.43, 4.83, 1.64, 56.0], [43.67, 10.74, 5.14, 28.8]],
];

fn table_a(lab: &Lab) -> Vec<Row> {
    let (paths, relative) = (lab.control_paths() as f64, lab.deviation_tolerance());
    let mut rows = Vec::new();
    for (at, gamma) in GAMMAS.into_iter().enumerate() {
        for (strategy, [mean, std, std_q, fills]) in
            [Strategy::Inventory, Strategy::Symmetric].into_iter().zip(SIXTY_THOUSAND[at])
        {
            let of = move |lab: &Lab| *lab.control(Variant::Literal, at, strategy);
            let label = |what: &str| format!("AS gamma {gamma} {}: {what}", strategy_name(strategy));
            let (off, off_q) = (4.0 * std / paths.sqrt(), 4.0 * std_q / paths.sqrt());
            let source = Source::Simulated;
            rows.push(row("11", label("mean profit"), mean, off, source, move |lab| of(lab).profit.mean()));
            rows.push(row("11", label("std of profit"), std, std * relative, source, move |lab| of(lab).profit.std()));
            rows.push(row("11", label("mean inventory"), 0.0, off_q, source, move |lab| of(lab).inventory.mean()));
            rows.push(row("11", label("std of inventory"), std_q, std_q * relative, source, move |lab| {
                of(lab).inventory.std()
            }));
            rows.push(row("11", label("fills a path"), fills, fills * 0.01, source, move |lab| of(lab).fills.mean()));
        }
        let compare = move |lab: &Lab, of: fn(&Outcome) -> f64| {
            let both = [Strategy::Inventory, Strategy::Symmetric].map(|s| of(lab.control(Variant::Literal, at, s)));
            both[0] - both[1]
        };
        let label = |what: &str| format!("AS gamma {gamma}: inv less sym, {what}");
        let gate = |what: &str, of: fn(&Outcome) -> f64| {
            bound("11", label(what), Expect::Below(0.0), Source::Theory, move |lab| compare(lab, of))
        };
        rows.push(gate("std of profit", |o| o.profit.std()));
        rows.push(gate("std of inventory", |o| o.inventory.std()));
        // The means differ by 0.3 at gamma 0.01: a thousand paths cannot tell them apart.
        if gamma > 0.05 || lab.control_paths() >= 10_000 {
            rows.push(gate("mean profit", |o| o.profit.mean()));
        }
    }
    rows
}

/// The table of 2008 as printed: gamma's index, then spread, profit, std, mean and std of inventory.
const PUBLISHED: [(usize, Strategy, [f64; 5]); 6] = [
    (0, Strategy::Inventory, [1.35, 68.6, 8.7, 0.12, 5.1]),
    (0, Strategy::Symmetric, [1.35, 68.8, 12.8, 0.09, 8.7]),
    (1, Strategy::Inventory, [1.49, 65.0, 6.6, 0.08, 2.9]),
    (1, Strategy::Symmetric, [1.49, 68.4, 12.7, 0.26, 8.4]),
    (3, Strategy::Inventory, [3.02, 31.4, 5.0, 0.02, 1.7]),
    (3, Strategy::Symmetric, [3.02, 44.0, 11.0, 0.0, 5.1]),
];

/// The paper printed one thousand paths: its numbers carry the error of that many, whatever ours is.
fn published(_: &Lab) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, strategy, [spread, mean, std, mean_q, std_q]) in PUBLISHED {
        let of = move |lab: &Lab| *lab.control(Variant::Literal, at, strategy);
        let gamma = GAMMAS[at];
        let label = |what: &str| format!("AS published, gamma {gamma} {}: {what}", strategy_name(strategy));
        let (off, off_q) = (4.0 * std / 1000.0_f64.sqrt(), 4.0 * std_q / 1000.0_f64.sqrt());
        let source = Source::Paper;
        rows.push(row("11", label("spread"), spread, 0.012, source, move |_| {
            as2008::mean_spread(&as2008::PAPER, gamma)
        }));
        rows.push(row("11", label("profit"), mean, off, source, move |lab| of(lab).profit.mean()));
        rows.push(row("11", label("std of profit"), std, 0.12 * std, source, move |lab| of(lab).profit.std()));
        rows.push(row("11", label("mean inventory"), mean_q, off_q, source, move |lab| of(lab).inventory.mean()));
        rows.push(row("11", label("std of inventory"), std_q, 0.12 * std_q, source, move |lab| {
            of(lab).inventory.std()
        }));
    }
    rows
}

fn exact_symmetric() -> Vec<Row> {
    let mut rows = Vec::new();
    let wanted = [
        (0.01, [68.6661, 13.6775, 8.7117, 101.80]),
        (0.1, [68.2228, 13.4558, 8.3994, 91.47]),
        (0.5, [59.9179, 12.3213, 6.9184, 55.59]),
        (1.0, [43.6853, 10.7332, 5.1714, 28.82]),
    ];
    for (at, (gamma, [mean, std, std_q, fills])) in wanted.into_iter().enumerate() {
        let exact = move || as2008::symmetric_exact(&as2008::PAPER, gamma);
        let label = |what: &str| format!("AS gamma {gamma} sym exact: {what}");
        rows.push(row("11", label("mean profit"), mean, 6e-5, Source::Theory, move |_| exact().mean));
        rows.push(row("11", label("std of profit"), std, 6e-5, Source::Theory, move |_| exact().std));
        rows.push(row("11", label("std of inventory"), std_q, 6e-5, Source::Theory, move |_| exact().std_inventory));
        rows.push(row("11", label("fills a path"), fills, 6e-3, Source::Theory, move |_| exact().fills));
        let name = format!("AS gamma {gamma} sym: mean profit off exact, in standard errors");
        rows.push(row("11", name, 0.0, 4.0, Source::Theory, move |lab| {
            let outcome = lab.control(Variant::Literal, at, Strategy::Symmetric);
            (outcome.profit.mean() - exact().mean) / outcome.profit.error()
        }));
    }
    let poisson = || {
        let market = as2008::Market { arrivals: Arrivals::Poisson, ..as2008::PAPER };
        as2008::symmetric_exact(&market, 0.1)
    };
    let label = |what: &str| format!("AS Poisson gamma 0.1 sym exact: {what}");
    rows.push(row("11", label("mean profit"), 60.9848, 6e-5, Source::Theory, move |_| poisson().mean));
    rows.push(row("11", label("std of profit"), 12.9205, 6e-5, Source::Theory, move |_| poisson().std));
    rows.push(row("11", label("std of inventory"), 8.0653, 6e-5, Source::Theory, move |_| poisson().std_inventory));
    rows
}

fn variants(lab: &Lab) -> Vec<Row> {
    let (paths, relative) = (lab.control_paths() as f64, lab.deviation_tolerance());
    let cases = [
        (Variant::Poisson, 1, Strategy::Inventory, [57.17, 6.35, 3.00]),
        (Variant::Poisson, 1, Strategy::Symmetric, [61.00, 12.95, 8.05]),
        (Variant::Poisson, 2, Strategy::Inventory, [42.90, 5.52, 2.01]),
        (Variant::Poisson, 3, Strategy::Inventory, [28.24, 4.62, 1.70]),
        (Variant::Gaussian, 1, Strategy::Inventory, [64.88, 6.54, 2.93]),
    ];
    let mut rows = Vec::new();
    for (variant, at, strategy, [mean, std, std_q]) in cases {
        let of = move |lab: &Lab| *lab.control(variant, at, strategy);
        let label = |what: &str| format!("AS {variant:?} gamma {} {}: {what}", GAMMAS[at], strategy_name(strategy));
        // The specification's own values come from 10 000 paths: both errors count.
        let off = 4.0 * std * (1.0 / paths + 1e-4).sqrt();
        let source = Source::Simulated;
        rows.push(row("11", label("mean profit"), mean, off, source, move |lab| of(lab).profit.mean()));
        rows.push(row("11", label("std of profit"), std, std * relative, source, move |lab| of(lab).profit.std()));
        rows.push(row("11", label("std of inventory"), std_q, std_q * relative, source, move |lab| {
            of(lab).inventory.std()
        }));
    }
    rows
}
