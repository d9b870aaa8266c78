//! What a depth diff costs the book.
//!
//! Goal: the cost of applying a twenty-level diff and reading the best of both sides, on a book of a thousand levels a
//! side around a wandering price. Not a goal: decoding, synchronisation. The sum of all bests is checked against a
//! sorted map's, so that the bench measures a book that is right.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use touchline::book::ArenaBook;
use touchline::types::{Level, Price, Qty, Side};

const DIFFS: usize = 2000;

fn level(price: i64, qty: i64) -> Level {
    Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
}

/// The thousand levels a side to start from, and the diffs.
fn session() -> ([Vec<Level>; 2], Vec<[Vec<Level>; 2]>) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut mid = 6_125_000_i64;
    let whole = [-1_i64, 1].map(|sign| (1..=1000).map(|i| level(mid + sign * (i * i / 60 + i), i)).collect());
    let mut diffs = Vec::with_capacity(DIFFS);
    for _ in 0..DIFFS {
        mid += rng.random_range(-3..=3);
        let diff = [-1_i64, 1].map(|sign| {
            let mut levels = Vec::with_capacity(10);
            for _ in 0..10 {
                let away = if rng.random_bool(0.9) { rng.random_range(1..60) } else { rng.random_range(1..30_000) };
                let qty = if rng.random_bool(0.35) { 0 } else { rng.random_range(1..100_000) };
                levels.push(level(mid + sign * away, qty));
            }
            levels
        });
        diffs.push(diff);
    }
    (whole, diffs)
}

fn best_sum(book: &ArenaBook) -> i64 {
    Side::BOTH.iter().filter_map(|&side| book.best(side)).map(|best| best.price.ticks() ^ best.qty.lots()).sum()
}

fn replay(book: &mut ArenaBook, diffs: &[[Vec<Level>; 2]]) -> i64 {
    diffs.iter().fold(0_i64, |sum, [bids, asks]| {
        book.apply(bids, asks);
        sum.wrapping_add(best_sum(book))
    })
}

/// The same sum from sorted maps.
fn replay_model(whole: &[Vec<Level>; 2], diffs: &[[Vec<Level>; 2]]) -> i64 {
    let mut sides: [BTreeMap<i64, i64>; 2] = Default::default();
    let apply = |sides: &mut [BTreeMap<i64, i64>; 2], levels: &[Vec<Level>; 2]| {
        for (side, levels) in sides.iter_mut().zip(levels) {
            for level in levels {
                if level.qty.is_zero() {
                    side.remove(&level.price.ticks());
                } else {
                    side.insert(level.price.ticks(), level.qty.lots());
                }
            }
        }
    };
    apply(&mut sides, whole);
    diffs.iter().fold(0_i64, |sum, diff| {
        apply(&mut sides, diff);
        let bests = [sides[0].last_key_value(), sides[1].first_key_value()];
        sum.wrapping_add(bests.iter().flatten().map(|(price, qty)| **price ^ **qty).sum())
    })
}

fn book_apply_delta(c: &mut Criterion) {
    let (whole, diffs) = session();
    let mut start = ArenaBook::new();
    start.apply(&whole[0], &whole[1]);
    let want = replay_model(&whole, &diffs);
    assert_eq!(replay(&mut start.clone(), &diffs), want, "the bench would measure a wrong book");
    println!("checksum {want}");
    let mut group = c.benchmark_group("book_apply_delta");
    group.throughput(Throughput::Elements((DIFFS * 20) as u64));
    group.bench_function("20_levels", |bencher| {
        bencher.iter_batched_ref(
            || start.clone(),
            |book| assert_eq!(replay(black_box(book), &diffs), want),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, book_apply_delta);
criterion_main!(benches);
