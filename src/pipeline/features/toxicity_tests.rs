//! The oracles of quant.md 3 and a VPIN made from the whole tape at once.

use proptest::prelude::*;

use super::*;

fn config() -> FeaturesConfig {
    FeaturesConfig::default()
}

fn by_trades(trades: u32, buckets: u32) -> Vpin {
    Vpin::new(&FeaturesConfig { vpin_trades: trades, vpin_buckets: buckets, ..config() }, Qty::ZERO)
}

fn by_volume(lots: i64, buckets: u32) -> Vpin {
    let config = FeaturesConfig { vpin_mode: VpinMode::Volume, vpin_buckets: buckets, ..config() };
    Vpin::new(&config, Qty::from_lots(lots))
}

fn now(step: usize) -> TimestampNs {
    TimestampNs::from_millis(1000 + step as u64)
}

fn trade(vpin: &mut Vpin, step: usize, side: Side, lots: i64) -> bool {
    vpin.on_trade(now(step), side, Price::from_ticks(100), Qty::from_lots(lots))
}

/// A fixed stream of uniform numbers.
fn uniforms() -> impl FnMut() -> f64 {
    let mut state: u64 = 7;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[test]
fn vpin_3_1_volume_bucket_oracle() {
    let mut vpin = by_volume(5, 4);
    let tape = [(Side::Bid, 3), (Side::Ask, 1), (Side::Bid, 2), (Side::Bid, 6), (Side::Ask, 4), (Side::Ask, 4)];
    let mut values = Vec::new();
    for (step, (side, lots)) in tape.into_iter().enumerate() {
        let before = vpin.closed.len();
        trade(&mut vpin, step, side, lots);
        values.extend(vpin.closed.iter().skip(before).map(|(bought, sold)| (bought - sold).abs() as f64 / 5.0));
    }
    assert_eq!(values, [0.6, 1.0, 0.2, 1.0]);
    assert!((vpin.value().unwrap().raw - 0.7).abs() < 1e-15);
}

#[test]
fn vpin_3_1_a_huge_trade_closes_several_one_sided_buckets() {
    let mut vpin = by_volume(5, 4);
    trade(&mut vpin, 0, Side::Ask, 2);
    assert!(trade(&mut vpin, 1, Side::Bid, 1_000_000_000_000));
    let toxicity = vpin.value().unwrap();
    assert_eq!((toxicity.raw, toxicity.signed), (1.0, 1.0));
    assert_eq!(vpin.open.lots(), 2, "two lots had been there: the rest is 5 n + 2");
}

#[test]
fn vpin_3_2_trade_buckets_weigh_by_volume_and_ignore_empty_prints() {
    let mut vpin = by_trades(2, 2);
    // Buckets 9 : 1 and 1 : 2.
    for (step, (side, lots)) in
        [(Side::Bid, 9), (Side::Ask, 0), (Side::Ask, 1), (Side::Bid, 1), (Side::Ask, 2)].into_iter().enumerate()
    {
        trade(&mut vpin, step, side, lots);
    }
    let toxicity = vpin.value().unwrap();
    assert!((toxicity.raw - 9.0 / 13.0).abs() < 1e-15, "{toxicity:?}");
    assert!((toxicity.signed - 7.0 / 13.0).abs() < 1e-15, "{toxicity:?}");
}

#[test]
fn vpin_3_3_bulk_classified_volume_is_split_across_buckets() {
    let config = FeaturesConfig {
        vpin_mode: VpinMode::Volume,
        vpin_sign: VpinSign::Bvc,
        vpin_buckets: 2,
        bvc_bars: 2,
        bvc_bar_s: 10,
        ..config()
    };
    let mut vpin = Vpin::new(&config, Qty::from_lots(1000));
    // Bars of prices 100, 101, 99 and one more trade that ends the third: changes +1, -2, deviation 3 / sqrt 2.
    for (second, price) in [(0, 100), (10, 101), (20, 99), (30, 99)] {
        let closed = vpin.on_trade(
            TimestampNs::from_millis(1_000_000 + second * 1000),
            // The side is not looked at.
            Side::Bid,
            Price::from_ticks(price),
            Qty::from_lots(2000),
        );
        assert_eq!(closed, second == 30, "{second}");
    }
    let share = crate::stats::normal::cdf(-2.0 * 2.0_f64.sqrt() / 3.0);
    let toxicity = vpin.value().unwrap();
    assert!((toxicity.signed - (2.0 * share - 1.0)).abs() < 1e-3, "{toxicity:?} {share}");
    assert!((toxicity.raw + toxicity.signed).abs() < 1e-15, "all of it sold");
}

#[test]
fn vpin_3_4_and_3_8_only_completed_buckets_show() {
    let mut vpin = by_trades(50, 10);
    for step in 0..499 {
        assert_eq!(trade(&mut vpin, step, Side::Bid, 1), step % 50 == 49);
        assert_eq!(vpin.value(), None, "published before enough buckets had closed");
    }
    assert!(trade(&mut vpin, 499, Side::Bid, 1));
    let toxicity = vpin.value().unwrap();
    assert_eq!((toxicity.raw, toxicity.tau, toxicity.signed), (1.0, 1.0, 1.0));
    for step in 500..549 {
        trade(&mut vpin, step, Side::Ask, 1);
        assert_eq!(vpin.value(), Some(toxicity), "an open bucket must not show");
    }
    assert!(trade(&mut vpin, 549, Side::Ask, 1));
    assert!((vpin.value().unwrap().signed - 0.8).abs() < 1e-15);
}

#[test]
fn vpin_3_5_unequal_sizes_are_de_biased_by_their_effective_number() {
    let mut vpin = by_trades(4, 1);
    for (step, lots) in [1, 1, 1, 7].into_iter().enumerate() {
        trade(&mut vpin, step, if step == 3 { Side::Bid } else { Side::Ask }, lots);
    }
    // (Σq)² / Σq² = 100 / 52, which is 2 trades, and two coin flips show 1/2.
    assert!((vpin.effective_parts.unwrap() - 100.0 / 52.0).abs() < 1e-12);
    let toxicity = vpin.value().unwrap();
    assert!((toxicity.raw - 0.4).abs() < 1e-15);
    assert_eq!(toxicity.tau, 0.0, "less than chance is no toxicity");

    // Coin flips of very unequal sizes: raw VPIN is far above that of equal ones, the de-biased one is nearly nothing.
    let mut uniform = uniforms();
    let mut vpin = by_trades(50, 4000);
    for step in 0..4000 * 50 {
        let side = if uniform() < 0.5 { Side::Bid } else { Side::Ask };
        let lots = (1.0 / (uniform() + 0.01)) as i64 + 1;
        trade(&mut vpin, step, side, lots);
    }
    let toxicity = vpin.value().unwrap();
    let as_if_equal = (toxicity.raw - 0.112_275) / (1.0 - 0.112_275);
    assert!(as_if_equal > 0.1, "{toxicity:?}");
    assert!(toxicity.tau < 0.04, "{toxicity:?}");
}

#[test]
fn vpin_3_6_the_threatened_side_is_the_one_that_is_taken_from() {
    for (heavy, light) in [(Side::Bid, Side::Ask), (Side::Ask, Side::Bid)] {
        let mut vpin = by_trades(10, 2);
        // Seven of ten one way: signed 0.4, and twenty coin flips show 0.176197.
        for step in 0..20 {
            trade(&mut vpin, step, if step % 10 < 7 { heavy } else { light }, 2);
        }
        let toxicity = vpin.value().unwrap();
        let (threatened, safe) = match heavy {
            Side::Bid => (toxicity.tau_ask, toxicity.tau_bid),
            Side::Ask => (toxicity.tau_bid, toxicity.tau_ask),
        };
        assert!((threatened - (0.4 - 0.176_197_052)).abs() < 1e-9, "{toxicity:?}");
        assert_eq!(safe, 0.0);
        assert!((toxicity.signed * heavy.sign() as f64 - 0.4).abs() < 1e-15);
    }
}

/// One-sided informed share a in buckets of N trades: the stream comes to the value that chance.rs computes.
#[test]
fn vpin_3_7_persistent_flow_in_the_stream_shows_what_theory_says() {
    for (per_bucket, informed, want) in
        [(50_u32, 0.0, 0.112_275), (50, 0.2, 0.209_43), (50, 0.5, 0.5), (200, 0.2, 0.200_09)]
    {
        let mut vpin = by_trades(per_bucket, 4000);
        let mut uniform = uniforms();
        for step in 0..4000 * per_bucket as usize {
            let side = if uniform() < (1.0 + informed) / 2.0 { Side::Bid } else { Side::Ask };
            trade(&mut vpin, step, side, 3);
        }
        let raw = vpin.value().unwrap().raw;
        // The s.d. of one bucket is below 0.1 at N = 50: 4000 buckets give 0.0016; four of those.
        assert!((raw - want).abs() < 0.0064, "N={per_bucket} a={informed}: {raw}");
    }
}

#[test]
fn vpin_3_8_a_gap_discards_the_open_bucket_and_keeps_the_completed() {
    let mut vpin = by_trades(2, 1);
    trade(&mut vpin, 0, Side::Bid, 1);
    trade(&mut vpin, 1, Side::Bid, 1);
    let before = vpin.value();
    trade(&mut vpin, 2, Side::Bid, 1);
    // Exactly sixty seconds is no gap yet; one millisecond more is.
    let mut same = by_trades(2, 1);
    trade(&mut same, 2, Side::Bid, 1);
    assert!(trade(&mut same, 60_002, Side::Ask, 1), "sixty seconds are not more than sixty seconds");
    assert!(!trade(&mut vpin, 60_003, Side::Ask, 1), "the open bucket was lost");
    assert_eq!(vpin.value(), before);
    assert!(trade(&mut vpin, 60_004, Side::Ask, 1));
    assert_eq!(vpin.value().unwrap().signed, -1.0);
}

#[test]
fn a_restored_vpin_goes_on_with_the_completed_buckets() {
    let mut vpin = by_trades(3, 4);
    let mut uniform = uniforms();
    for step in 0..100 {
        let side = if uniform() < 0.7 { Side::Bid } else { Side::Ask };
        trade(&mut vpin, step, side, (uniform() * 20.0) as i64 + 1);
    }
    let json = serde_json::to_string(&vpin.state()).unwrap();
    let mut other = by_trades(3, 4);
    assert!(other.restore(&serde_json::from_str(&json).unwrap()));
    let (ours, theirs) = (other.value().unwrap(), vpin.value().unwrap());
    assert!((ours.tau - theirs.tau).abs() < 1e-12 && ours.raw == theirs.raw && ours.signed == theirs.signed);
    vpin.on_gap();
    for step in 100..140 {
        assert_eq!(trade(&mut vpin, step, Side::Ask, 5), trade(&mut other, step, Side::Ask, 5));
        assert_eq!(vpin.value().unwrap().raw, other.value().unwrap().raw);
    }
    assert!(!by_trades(4, 4).restore(&vpin.state()), "other buckets");
    assert!(!by_volume(3, 4).restore(&vpin.state()), "buckets of volume");
}

/// VPIN by its definition, from the whole tape: every lot with its trade, cut into buckets.
fn naive(tape: &[(bool, i64)], end: BucketEnd, window: usize) -> Option<(f64, f64, f64)> {
    let mut buckets: Vec<Vec<(usize, bool)>> = vec![Vec::new()];
    for (at, (bought, lots)) in tape.iter().enumerate() {
        for _ in 0..*lots {
            let is_full = match end {
                BucketEnd::Trades(_) => false,
                BucketEnd::Lots(limit) => buckets.last().unwrap().len() as i64 == limit,
            };
            if is_full {
                buckets.push(Vec::new());
            }
            buckets.last_mut().unwrap().push((at, *bought));
        }
        let open = buckets.last().unwrap();
        let mut trades: Vec<usize> = open.iter().map(|(trade, _)| *trade).collect();
        trades.dedup();
        if matches!(end, BucketEnd::Trades(limit) if trades.len() as u64 == limit) {
            buckets.push(Vec::new());
        }
    }
    let is_whole = |bucket: &[(usize, bool)]| match end {
        BucketEnd::Trades(limit) => {
            let mut trades: Vec<usize> = bucket.iter().map(|(trade, _)| *trade).collect();
            trades.dedup();
            trades.len() as u64 == limit
        }
        BucketEnd::Lots(limit) => bucket.len() as i64 == limit,
    };
    buckets.retain(|bucket| is_whole(bucket));
    if buckets.len() < window {
        return None;
    }
    let net =
        |bucket: &Vec<(usize, bool)>| bucket.iter().map(|(_, bought)| if *bought { 1.0 } else { -1.0 }).sum::<f64>();
    let last = &buckets[buckets.len() - window..];
    let all: f64 = last.iter().map(|bucket| bucket.len() as f64).sum();
    let raw = last.iter().map(|bucket| net(bucket).abs()).sum::<f64>() / all;
    let signed = last.iter().map(net).sum::<f64>() / all;
    let effective = |bucket: &Vec<(usize, bool)>| {
        let squares: f64 = (0..tape.len())
            .map(|at| bucket.iter().filter(|(trade, _)| *trade == at).count() as f64)
            .map(|lots| lots * lots)
            .sum();
        (bucket.len() * bucket.len()) as f64 / squares
    };
    let decay = 0.5_f64.powf(1.0 / window as f64);
    let count = buckets.len() as i32;
    let mean = buckets.iter().enumerate().fold(0.0, |sum, (at, bucket)| {
        let weight = if at == 0 { 1.0 } else { 1.0 - decay };
        sum + weight * decay.powi(count - 1 - at as i32) * effective(bucket)
    });
    Some((raw, signed, mean))
}

proptest! {
    #[test]
    fn streamed_vpin_equals_that_of_the_whole_tape(
        tape in prop::collection::vec((any::<bool>(), 0_i64..60), 1..80),
        volume_mode in any::<bool>(),
        window in 1_usize..5,
    ) {
        let (mut vpin, end) = if volume_mode {
            (by_volume(11, window as u32), BucketEnd::Lots(11))
        } else {
            (by_trades(7, window as u32), BucketEnd::Trades(7))
        };
        for (step, (bought, lots)) in tape.iter().enumerate() {
            trade(&mut vpin, step, if *bought { Side::Bid } else { Side::Ask }, *lots);
        }
        match naive(&tape, end, window) {
            None => prop_assert_eq!(vpin.value(), None),
            Some((raw, signed, effective)) => {
                let ours = vpin.value().unwrap();
                prop_assert!((ours.raw - raw).abs() <= 1e-12 * raw, "{} {raw}", ours.raw);
                prop_assert!((ours.signed - signed).abs() <= 1e-12 * signed.abs(), "{} {signed}", ours.signed);
                let parts = vpin.effective_parts.unwrap();
                prop_assert!((parts - effective).abs() <= 1e-12 * effective, "{parts} {effective}");
                let chance = Chance::coin_flips().imbalance(effective);
                let tau = if chance < 1.0 { ((raw - chance) / (1.0 - chance)).clamp(0.0, 1.0) } else { 0.0 };
                prop_assert!((ours.tau - tau).abs() <= 1e-12, "{} {tau}", ours.tau);
            }
        }
    }

    #[test]
    fn every_value_is_in_its_range(
        tape in prop::collection::vec((any::<bool>(), 0_i64..10_000), 1..600),
        volume_mode in any::<bool>(),
    ) {
        let mut vpin = if volume_mode { by_volume(1000, 3) } else { by_trades(7, 3) };
        for (step, (bought, lots)) in tape.into_iter().enumerate() {
            trade(&mut vpin, step, if bought { Side::Bid } else { Side::Ask }, lots);
            if let Some(toxicity) = vpin.value() {
                prop_assert!((0.0..=1.0).contains(&toxicity.raw));
                prop_assert!((0.0..=1.0).contains(&toxicity.tau));
                prop_assert!(toxicity.signed.abs() <= toxicity.raw + 1e-12);
                prop_assert!((0.0..=1.0).contains(&toxicity.tau_bid) && (0.0..=1.0).contains(&toxicity.tau_ask));
                prop_assert!(toxicity.tau_bid == 0.0 || toxicity.tau_ask == 0.0);
            }
        }
    }
}
