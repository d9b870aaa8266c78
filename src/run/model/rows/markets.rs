//! Sections 6.3 and 12: self-exciting flow, and the synthetic markets whose answers are known.

use super::super::lab::{BLIND_SHARES, EKOP, EKOP_SPREADS, Lab};
use super::super::row::{Expect, Row, Source, bound, row};
use crate::sim::reference::ekop::Ekop;
use crate::sim::reference::glosten_milgrom::{Binary, uniform_quotes};
use crate::sim::reference::hawkes::Hawkes;
use crate::sim::reference::sm1::{self, Toxicity};

pub(super) fn rows(lab: &Lab) -> Vec<Row> {
    let mut rows = hawkes();
    rows.extend(ekop(lab));
    rows.extend(glosten_milgrom(lab));
    rows.extend(sm1_table());
    rows
}

fn hawkes() -> Vec<Row> {
    let process = || Hawkes::new(0.5, 0.8, 0.0, 1.2).ok();
    // Counts over T have the variance rate * fano * T; a variance from n windows is off by sqrt(2 / n).
    let (rate_error, windows) = ((1.5_f64 * 9.0 / 2e5).sqrt(), 1_000.0_f64);
    let fano = process().map_or(f64::NAN, |process| process.fano(200.0));
    vec![
        row("6.3", "Hawkes stationary rate", 1.5, 1e-9, Source::Theory, move |_| {
            process().map_or(f64::NAN, |process| process.rate())
        }),
        row("6.3", "Hawkes dispersion of long windows", 9.0, 1e-6, Source::Theory, move |_| {
            process().map_or(f64::NAN, |process| process.fano(1e9))
        }),
        row("6.3", "Hawkes sample: rate", 1.5, 4.0 * rate_error, Source::Theory, |lab| {
            lab.hawkes().map_or(f64::NAN, |counts| counts.rate)
        }),
        row(
            "6.3",
            "Hawkes sample: dispersion of 200 s",
            fano,
            4.0 * fano * (2.0 / windows).sqrt(),
            Source::Theory,
            |lab| lab.hawkes().map_or(f64::NAN, |counts| counts.fano),
        ),
    ]
}

fn ekop(lab: &Lab) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, want) in [-4.2, -1.6, 0.0, 1.0, 3.6].into_iter().enumerate() {
        let h = EKOP_SPREADS[at];
        let name = format!("EKOP profit in theory, h {h:.4}");
        rows.push(row("12.1", name, want, 1e-9, Source::Theory, move |_| EKOP.profit(h)));
        let off = 4.0 * lab.ekop().map_or(f64::NAN, |run| run.profit[at].error());
        let name = format!("EKOP profit of the periods, h {h:.4}");
        rows.push(row("12.1", name, want, off, Source::Theory, move |lab| {
            lab.ekop().map_or(f64::NAN, |run| run.profit[at].mean())
        }));
    }
    for (alpha, mu, epsilon, pin, imbalance) in [
        (0.4, 30.0, 20.0, 0.230_769, 0.288_816),
        (0.2, 100.0, 50.0, 0.166_667, 0.219_792),
        (0.5, 200.0, 100.0, 0.333_333, 0.352_128),
    ] {
        let market = Ekop { alpha, mu, epsilon, jump: 1.0 };
        let name = |what: &str| format!("{what} at α {alpha}, μ {mu}, ε {epsilon}");
        rows.push(row("12.1", name("PIN"), pin, 6e-7, Source::Theory, move |_| market.pin()));
        rows.push(row("12.1", name("VPIN by Skellam"), imbalance, 6e-7, Source::Theory, move |_| market.imbalance()));
    }
    rows.push(row("12.1", "VPIN of the periods", 0.288_816, 0.004, Source::Theory, |lab| {
        lab.ekop().map_or(f64::NAN, |run| run.imbalance)
    }));
    rows
}

/// The market after the first `trades` of buy, buy, sell, buy.
fn after(trades: usize) -> Binary {
    let mut market = Binary { low: 0.0, high: 1.0, informed: 0.3, belief: 0.5 };
    [true, true, false, true].into_iter().take(trades).for_each(|is_buy| market.trade(is_buy));
    market
}

fn glosten_milgrom(lab: &Lab) -> Vec<Row> {
    let mut rows = Vec::new();
    let wanted = [(0.35, 0.65), (0.5, 0.775_229), (0.65, 0.864_961), (0.5, 0.775_229)];
    for (trades, (bid, ask)) in wanted.into_iter().enumerate() {
        let name = |side: &str| format!("Glosten-Milgrom {side} after {trades} of B,B,S,B");
        rows.push(row("12.2", name("bid"), bid, 6e-7, Source::Theory, move |_| after(trades).quotes().0));
        rows.push(row("12.2", name("ask"), ask, 6e-7, Source::Theory, move |_| after(trades).quotes().1));
    }
    rows.push(row("12.2", "Glosten-Milgrom posterior after B,B,S,B", 0.775_229, 6e-7, Source::Theory, |_| {
        after(4).belief
    }));
    rows.push(row("12.2", "spread at even odds, a=.3, range 4", 1.2, 1e-9, Source::Theory, |_| {
        let (bid, ask) = Binary { low: 10.0, high: 14.0, informed: 0.3, belief: 0.5 }.quotes();
        ask - bid
    }));
    for (informed, spread) in [(0.1, 0.050_126), (0.2, 0.101_021), (0.3, 0.153_536), (0.5, 0.267_949)] {
        rows.push(row(
            "12.2",
            format!("uniform value: spread, a={informed}"),
            spread,
            6e-7,
            Source::Theory,
            move |_| {
                let (bid, ask) = uniform_quotes(informed);
                ask - bid
            },
        ));
    }
    for (at, informed) in BLIND_SHARES.into_iter().enumerate() {
        let (profit_off, blind_off) = {
            let run = lab.blind(at);
            (4.0 * run.profit.error(), 4.0 * run.imbalance.error())
        };
        // Without informed traders every trade earns the half-spread of zero but for the innovation.
        let name = format!("replay a={informed}: profit at half-spread a·J");
        rows.push(row("12.2", name, 0.0, profit_off, Source::Theory, move |lab| lab.blind(at).profit.mean()));
        let name = format!("replay a={informed}: VPIN is blind");
        rows.push(row("12.2", name, 0.112_275, blind_off, Source::Theory, move |lab| lab.blind(at).imbalance.mean()));
    }
    rows
}

fn sm1_table() -> Vec<Row> {
    let names = ["naive h=1", "naive best h=1.3", "aware k̂τ", "aware 4τ", "signed 12τ", "oracle"];
    let wanted = [0.1863, 0.2003, 0.2110, 0.2186, 0.2444, 0.3406];
    let simulated = Source::Simulated;
    let mut rows = Vec::new();
    for (at, (name, want)) in names.into_iter().zip(wanted).enumerate() {
        let label = format!("SM-1 {name}: profit an arrival");
        rows.push(row("12.3", label, want, 0.006, simulated, move |lab| lab.sm1(at).per_arrival()));
    }
    for at in 1..names.len() {
        let label = format!("SM-1 order: {} beyond {}", names[at], names[at - 1]);
        rows.push(bound("12.3", label, Expect::Above(0.0), simulated, move |lab| {
            lab.sm1(at).per_arrival() - lab.sm1(at - 1).per_arrival()
        }));
    }
    for (at, name) in names.iter().enumerate().skip(2) {
        let label = format!("SM-1 {name}: paired t against the best constant");
        rows.push(bound("12.3", label, Expect::Above(10.0), simulated, move |lab| {
            let beyond = lab.sm1(at).beyond(lab.sm1(1));
            beyond.mean() / beyond.error()
        }));
    }
    for (at, (effective, adverse)) in
        [(1.000, 0.552), (1.300, 0.677), (1.138, 0.553), (1.225, 0.512), (1.062, 0.328), (1.007, -0.093)]
            .into_iter()
            .enumerate()
    {
        let label = |what: &str| format!("SM-1 {}: {what} a fill", names[at]);
        rows.push(row("12.3", label("effective half-spread"), effective, 0.02, simulated, move |lab| {
            lab.sm1(at).effective()
        }));
        rows.push(row("12.3", label("adverse move"), adverse, 0.03, simulated, move |lab| lab.sm1(at).adverse()));
    }
    type Reading = fn(&Toxicity) -> f64;
    let toxicity: [(&str, f64, Reading); 4] = [
        ("mean τ in calm", 0.060, |found| found.tau[0]),
        ("mean τ in news", 0.363, |found| found.tau[1]),
        ("mean VPIN in calm", 0.191, |found| found.raw[0]),
        ("mean VPIN in news", 0.463, |found| found.raw[1]),
    ];
    for (name, want, of) in toxicity {
        rows.push(row("12.3", format!("SM-1 {name}"), want, 0.01, simulated, move |lab| of(lab.sm1_toxicity())));
    }
    rows.push(row("12.3", "SM-1 control: naive, e^-1", (-1.0_f64).exp(), 0.004, Source::Theory, |lab| {
        lab.sm1_calm(0).per_arrival()
    }));
    rows.push(row("12.3", "SM-1 control: aware", 0.3672, 0.004, simulated, |lab| lab.sm1_calm(2).per_arrival()));
    rows.push(row("12.3", "SM-1: k by least squares on markouts", 1.431, 0.12, simulated, |_| {
        let samples = sm1::PAPER.markouts(2_000_000, 200, 1);
        let (xy, xx) = samples.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x * y, sum.1 + x * x));
        xy / xx
    }));
    rows
}
