//! Section 7: queue models, races, and the birth-death book.

use super::super::lab::Lab;
use super::super::row::{Row, Source, row};
use crate::sim::queue::{Behind, Log, Log2, Place, Power, Power2, Power3, Prob, QueueEvent, QueueModel, RiskAverse};
use crate::sim::reference::cst::{self, FILLS, MID_UP};
use crate::sim::reference::races;

pub(super) fn rows(lab: &Lab) -> Vec<Row> {
    let mut rows = unit_vectors();
    rows.extend(closed_races());
    rows.extend(birth_death(lab));
    rows
}

/// Six ahead, four behind, two cancelled: what is ahead then.
fn ahead_after<M: QueueModel>(model: &M) -> f64 {
    let mut place = Place::behind(6.0);
    model.apply(&mut place, 1.0, QueueEvent::Depth { prev: 10.0, new: 8.0 });
    place.ahead()
}

fn unit_vectors() -> Vec<Row> {
    let mut rows = vec![row("7", "RiskAverse: ahead", 6.0, 1e-9, Source::Theory, |_| ahead_after(&RiskAverse))];
    fn add<F: Behind + Copy + 'static>(rows: &mut Vec<Row>, name: &str, form: F, p: f64, ahead: f64) {
        let (label, tolerance) = (format!("{name}: probability behind"), 6e-7);
        rows.push(row("7", label, p, tolerance, Source::Theory, move |_| form.probability(6.0, 4.0)));
        let label = format!("{name}: ahead");
        rows.push(row("7", label, ahead, tolerance, Source::Theory, move |_| ahead_after(&Prob(form))));
    }
    add(&mut rows, "Power n=2", Power { n: 2.0 }, 0.307_692, 4.615_385);
    add(&mut rows, "Power2 n=2", Power2 { n: 2.0 }, 0.16, 4.32);
    add(&mut rows, "Power3 n=3", Power3 { n: 3.0 }, 0.784, 5.568);
    add(&mut rows, "Log", Log, 0.452_681, 4.905_362);
    add(&mut rows, "Log2", Log2, 0.671_188, 5.342_375);
    rows
}

fn closed_races() -> Vec<Row> {
    let mut rows = vec![row("7", "Brownian first passage δ=1 σ=.3 T=10", 0.291_841, 6e-7, Source::Theory, |_| {
        races::first_passage(1.0, 0.3, 10.0)
    })];
    for (place, opposite, p) in [(1, 1, 0.5), (1, 2, 0.75), (1, 3, 0.875), (2, 1, 0.25), (2, 2, 0.5), (2, 3, 0.6875)] {
        let name = format!("pure death race, place {place} against {opposite}");
        rows.push(row("7", name, p, 1e-12, Source::Theory, move |_| races::pure_death(place, opposite)));
    }
    rows
}

fn birth_death(lab: &Lab) -> Vec<Row> {
    let races = lab.races();
    let mut rows = Vec::new();
    for own in 1..=5 {
        for ask in 1..=5 {
            let (up, fill) = (MID_UP[own - 1][ask - 1], FILLS[own - 1][ask - 1]);
            // Both tables have four digits.
            let name = format!("birth-death: P(mid up), bid {own} ask {ask}");
            rows.push(row("7", name, up, 5.1e-5, Source::Theory, move |lab| lab.books().mid_up(own, ask)));
            let name = format!("birth-death: P(fill), place {own} ask {ask}");
            rows.push(row("7", name, fill, 5.1e-5, Source::Theory, move |lab| lab.books().fills(own, ask)));
            let errors = move |p: f64| 3.0 * (p * (1.0 - p) / races as f64).sqrt();
            let seed = (own * 10 + ask) as u64;
            let name = format!("races: P(mid up), bid {own} ask {ask}");
            rows.push(row("7", name, up, errors(up), Source::Theory, move |_| {
                cst::race_mid(&cst::PAPER, own, ask, races, seed)
            }));
            let name = format!("races by the queue rules: P(fill), place {own} ask {ask}");
            rows.push(row("7", name, fill, errors(fill), Source::Theory, move |_| {
                cst::race_fill(&cst::PAPER, own, ask, races, seed)
            }));
        }
    }
    rows
}
