//! Section 3: toxic flow.

use rand::RngExt;

use super::super::lab::Lab;
use super::super::row::{Row, Source, row};
use crate::pipeline::features::{Chance, Vpin, bought_share, expected_vpin};
use crate::pipeline::{FeaturesConfig, VpinMode};
use crate::sim::reference::random::{Moments, Purpose, generator};
use crate::types::{Price, Qty, Side, TimestampNs};

pub(super) fn rows(lab: &Lab) -> Vec<Row> {
    let mut rows = tape();
    rows.extend(bulk());
    rows.extend(baseline(lab));
    rows.extend(persistence());
    rows
}

fn on_trade(vpin: &mut Vpin, step: usize, side: Side, lots: i64) -> bool {
    vpin.on_trade(TimestampNs::from_millis(1_000 + step as u64), side, Price::from_ticks(100), Qty::from_lots(lots))
}

/// The specification's tape through buckets of five lots; the last `buckets` of the first `closed`.
fn example(buckets: u32, closed: usize) -> f64 {
    let config = FeaturesConfig { vpin_mode: VpinMode::Volume, vpin_buckets: buckets, ..FeaturesConfig::default() };
    let mut vpin = Vpin::new(&config, Qty::from_lots(5));
    // Unit lots: a trade that spans buckets is split anyway, and each bucket can be looked at as it closes.
    let tape = [(Side::Bid, 3), (Side::Ask, 1), (Side::Bid, 2), (Side::Bid, 6), (Side::Ask, 4), (Side::Ask, 4)];
    let lots = tape.into_iter().flat_map(|(side, lots)| std::iter::repeat_n(side, lots));
    for (step, side) in lots.enumerate().take(closed * 5) {
        on_trade(&mut vpin, step, side, 1);
    }
    vpin.value().map_or(f64::NAN, |toxicity| toxicity.raw)
}

fn tape() -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, want) in [0.6, 1.0, 0.2, 1.0].into_iter().enumerate() {
        let name = format!("VPIN tape of volume 5: bucket {}", at + 1);
        rows.push(row("3.1", name, want, 1e-12, Source::Theory, move |_| example(1, at + 1)));
    }
    rows.push(row("3.1", "VPIN tape of volume 5: four buckets", 0.7, 1e-12, Source::Theory, |_| example(4, 4)));
    rows
}

fn bulk() -> Vec<Row> {
    [(1.0, 0.841_345), (-0.5, 0.308_538), (0.0, 0.5), (2.0, 0.977_250)]
        .into_iter()
        .map(|(change, share)| {
            let name = format!("bulk classification: bought share at {change} deviations");
            row("3.3", name, share, 6e-7, Source::Theory, move |_| bought_share(change, 1.0))
        })
        .collect()
}

/// Mean VPIN of independent buckets of fair coin flips, by the live measure.
fn coin_flips(trades: u32, buckets: usize) -> Moments {
    let config = FeaturesConfig { vpin_trades: trades, vpin_buckets: 1, ..FeaturesConfig::default() };
    let mut vpin = Vpin::new(&config, Qty::ZERO);
    let mut rng = generator(35, Purpose::Flow);
    let mut found = Moments::default();
    for step in 0..buckets * trades as usize {
        let side = if rng.random() { Side::Bid } else { Side::Ask };
        if on_trade(&mut vpin, step, side, 1) {
            found.push(vpin.value().map_or(f64::NAN, |toxicity| toxicity.raw));
        }
    }
    found
}

fn baseline(lab: &Lab) -> Vec<Row> {
    let mut rows = Vec::new();
    for (trades, want) in [
        (10, 0.246_094),
        (20, 0.176_197),
        (25, 0.161_180),
        (50, 0.112_275),
        (100, 0.079_589),
        (200, 0.056_348),
        (1000, 0.025_225),
    ] {
        rows.push(row("3.5", format!("VPIN floor at {trades} trades"), want, 6e-7, Source::Theory, move |_| {
            Chance::coin_flips().imbalance(f64::from(trades))
        }));
    }
    let buckets = lab.coin_buckets();
    // A bucket's imbalance has the deviation sqrt(1 / N - v0^2).
    let off = 4.0 * (1.0_f64 / 50.0 - 0.112_275 * 0.112_275).sqrt() / (buckets as f64).sqrt();
    rows.push(row("3.5", "VPIN of fair coins, 50 trades a bucket", 0.112_275, off, Source::Theory, move |_| {
        coin_flips(50, buckets).mean()
    }));
    rows
}

fn persistence() -> Vec<Row> {
    let wanted = [
        (50, 0.1, 0.139_27),
        (50, 0.2, 0.209_43),
        (50, 0.3, 0.301_41),
        (50, 0.5, 0.500_00),
        (50, 0.8, 0.800_00),
        (200, 0.1, 0.104_95),
        (200, 0.2, 0.200_09),
        (200, 0.3, 0.300_00),
    ];
    let of = |(trades, share, want): (u32, f64, f64)| {
        let name = format!("VPIN of {trades} trades with a one-sided share of {share}");
        row("3.7", name, want, 6e-6, Source::Theory, move |_| expected_vpin(trades, (1.0 + share) / 2.0))
    };
    wanted.into_iter().map(of).collect()
}
