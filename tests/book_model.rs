//! The arena book against a sorted map, on wide price domains, and its promise to allocate nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use touchline::book::ArenaBook;
use touchline::import::Recording;
use touchline::pipeline::market::MarketStage;
use touchline::types::{Level, Price, Qty, Side, TimestampNs};
use touchline::venue::binance::decode::{Decoder, DecoderKind};
use touchline::wire::DepthBuf;

/// Counts the allocations of the thread that asks.
struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system allocator unchanged; counting touches only a thread-local cell without a
// destructor, which never allocates.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as for `alloc`.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from the system allocator, because every allocation here does.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[derive(Default)]
struct Model {
    sides: [BTreeMap<i64, i64>; 2],
}

impl Model {
    fn set(&mut self, side: Side, price: i64, qty: i64) {
        if qty > 0 {
            self.sides[side.index()].insert(price, qty);
        } else {
            self.sides[side.index()].remove(&price);
        }
    }

    fn levels(&self, side: Side) -> Vec<(i64, i64)> {
        let up = self.sides[side.index()].iter().map(|(&price, &qty)| (price, qty));
        if side == Side::Bid { up.rev().collect() } else { up.collect() }
    }

    fn best(&self, side: Side) -> Option<(i64, i64)> {
        let levels = &self.sides[side.index()];
        let best = if side == Side::Bid { levels.last_key_value() } else { levels.first_key_value() };
        best.map(|(&price, &qty)| (price, qty))
    }
}

fn pair(level: Level) -> (i64, i64) {
    (level.price.ticks(), level.qty.lots())
}

fn assert_same(book: &ArenaBook, model: &Model) {
    for side in Side::BOTH {
        assert_eq!(book.levels(side).map(pair).collect::<Vec<_>>(), model.levels(side), "{side:?}");
        assert_eq!(book.level_count(side), model.sides[side.index()].len());
        for wanted in [0, 1, 10, 2_000] {
            assert_same_top(book, model, side, wanted);
        }
    }
}

fn assert_same_top(book: &ArenaBook, model: &Model, side: Side, wanted: usize) {
    let mut top = vec![Level::default(); wanted];
    let count = book.top(side, &mut top);
    let want: Vec<_> = model.levels(side).into_iter().take(wanted).collect();
    assert_eq!(top[..count].iter().copied().map(pair).collect::<Vec<_>>(), want, "the {wanted} best of {side:?}");
}

/// A step of a random session: where it happens relative to the wandering centre, and what.
#[derive(Clone, Debug)]
enum Step {
    Near { bid: bool, offset: i64, qty: i64 },
    Far { bid: bool, offset: i64, qty: i64 },
    Anywhere { bid: bool, price: i64, qty: i64 },
    RemoveBest { bid: bool },
    Jump { percent: i64 },
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A third of all quantities remove.
    let qty = prop_oneof![1 => Just(0_i64), 2 => 1_i64..1_000_000_000_000];
    let step = prop_oneof![
        40 => (any::<bool>(), -300_i64..300, qty.clone()).prop_map(|(bid, offset, qty)| Step::Near { bid, offset, qty }),
        20 => (any::<bool>(), -200_000_i64..200_000, qty.clone())
            .prop_map(|(bid, offset, qty)| Step::Far { bid, offset, qty }),
        3 => (any::<bool>(), any::<i64>(), qty).prop_map(|(bid, price, qty)| Step::Anywhere { bid, price, qty }),
        25 => any::<bool>().prop_map(|bid| Step::RemoveBest { bid }),
        2 => (-25_i64..=25).prop_map(|percent| Step::Jump { percent }),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..400)
}

fn side_of(bid: bool) -> Side {
    if bid { Side::Bid } else { Side::Ask }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_session_leaves_the_book_a_sorted_map_would_have(
        start in prop_oneof![Just(6_125_010_i64), Just(4_000_000_000_000), Just(0), Just(-7), Just(i64::MAX / 2)],
        steps in steps(),
    ) {
        let (mut book, mut model, mut centre) = (ArenaBook::new(), Model::default(), start);
        for step in &steps {
            let (side, price, qty) = match *step {
                Step::Near { bid, offset, qty } | Step::Far { bid, offset, qty } => {
                    (side_of(bid), centre.saturating_add(offset), qty)
                }
                Step::Anywhere { bid, price, qty } => (side_of(bid), price, qty),
                Step::RemoveBest { bid } => match model.best(side_of(bid)) {
                    Some((price, _)) => (side_of(bid), price, 0),
                    None => continue,
                },
                Step::Jump { percent } => {
                    centre = centre.saturating_add(centre / 100 * percent);
                    continue;
                }
                Step::Clear => {
                    book.clear();
                    model = Model::default();
                    continue;
                }
            };
            book.set(side, Price::from_ticks(price), Qty::from_lots(qty));
            model.set(side, price, qty);
            prop_assert_eq!(book.best(side).map(pair), model.best(side));
            assert_same_top(&book, &model, side, 10);
            prop_assert_eq!(
                book.qty_at(side, Price::from_ticks(price)).lots(),
                model.sides[side.index()].get(&price).copied().unwrap_or(0)
            );
        }
        assert_same(&book, &model);
    }
}

/// A million updates around a price that wanders, jumps by up to a quarter and sometimes returns.
#[test]
fn a_million_updates_agree_with_a_sorted_map_and_allocate_nothing() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(20_261_122);
    let (mut book, mut model) = (ArenaBook::new(), Model::default());
    let mut centre = 1_500_000_000_000_i64;
    let mut message: [Vec<Level>; 2] = [Vec::with_capacity(64), Vec::with_capacity(64)];
    let mut allocations = 0;
    for round in 0..25_000_u32 {
        if round % 500 == 499 {
            centre += centre / 100 * rng.random_range(-25..=25);
        }
        centre += rng.random_range(-40..=40);
        for side in Side::BOTH {
            let levels = &mut message[side.index()];
            levels.clear();
            for _ in 0..20 {
                let away = match rng.random_range(0..10_u32) {
                    0..7 => rng.random_range(1..200),
                    7..9 => rng.random_range(1..40_000),
                    _ => rng.random_range(1..5_000_000),
                };
                let price = centre - side.sign() * away;
                let qty = if rng.random_bool(0.4) { 0 } else { rng.random_range(1..1_000_000) };
                levels.push(Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) });
                model.set(side, price, qty);
            }
            // What the market has left behind is removed, as a venue does; the far level count stays bounded.
            while model.sides[side.index()].len() > 6000 {
                let worst = *model.levels(side).last().unwrap();
                model.set(side, worst.0, 0);
                levels.push(Level { price: Price::from_ticks(worst.0), qty: Qty::ZERO });
            }
            while let Some((price, _)) = model.best(side).filter(|best| (best.0 - centre) * side.sign() > 0) {
                model.set(side, price, 0);
                levels.push(Level { price: Price::from_ticks(price), qty: Qty::ZERO });
            }
        }
        let before = ALLOCATIONS.with(Cell::get);
        book.apply(&message[0], &message[1]);
        let mut top = [Level::default(); 20];
        let count = book.top(Side::Bid, &mut top);
        allocations += ALLOCATIONS.with(Cell::get) - before;
        let best: Vec<_> = model.levels(Side::Bid).into_iter().take(20).collect();
        assert_eq!(top[..count].iter().copied().map(pair).collect::<Vec<_>>(), best, "round {round}");
        if round % 1000 == 0 {
            assert_same(&book, &model);
        }
    }
    assert_same(&book, &model);
    assert_eq!(allocations, 0, "the book allocated on the hot path");
}

#[test]
fn the_digest_does_not_allocate_and_five_thousand_levels_fit_in_one_message() {
    let mut book = ArenaBook::new();
    let levels = |sign: i64| -> Vec<Level> {
        (1..=5000_i64)
            .map(|i| Level { price: Price::from_ticks(50_000_000 - sign * i * 37), qty: Qty::from_lots(i) })
            .collect()
    };
    let (bids, asks) = (levels(1), levels(-1));
    let before = ALLOCATIONS.with(Cell::get);
    book.apply(&bids, &asks);
    book.clear();
    book.apply(&bids, &asks);
    let digest = book.digest();
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
    assert_eq!((book.level_count(Side::Bid), book.level_count(Side::Ask)), (5000, 5000));
    let mut other = ArenaBook::new();
    for (bid, ask) in bids.iter().zip(&asks).rev() {
        other.apply(&[*bid], &[*ask]);
    }
    assert_eq!(other.digest(), digest);
}

/// The whole way of a frame: decoded, synchronised, applied, looked at.
#[test]
fn a_recorded_session_is_decoded_and_applied_without_allocation_once_warm() {
    let kinds = [DecoderKind::SimdJson, DecoderKind::Scanner];
    for (venue, kind) in ["spot", "usdm"].into_iter().flat_map(|venue| kinds.map(|kind| (venue, kind))) {
        let file = format!("{}/tests/data/hftbacktest_{venue}.txt", env!("CARGO_MANIFEST_DIR"));
        let recording = Recording::open(&[file]).unwrap();
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let mut reader = recording.reader();
        while let Some(recorded) = reader.advance().unwrap() {
            if recorded.json.starts_with(b"{\"stream\"") {
                frames.push(recorded.json.to_vec());
            }
        }
        let mut decoder = Decoder::new(recording.instruments()).with_kind(kind);
        let mut depth = DepthBuf::with_capacity(64);
        let mut stage = MarketStage::new(recording.instruments(), recording.rule());
        recording
            .for_each(|_, event| {
                stage.on_event(event);
            })
            .unwrap();
        for round in 0..2 {
            let before = ALLOCATIONS.with(Cell::get);
            let mut updates = 0;
            for frame in &frames {
                let decoded = decoder.decode(frame, TimestampNs::ZERO, &mut depth).unwrap();
                updates += decoded.event(&depth).and_then(|event| stage.on_event(&event)).iter().count();
            }
            // The diffs are old to the live book on a second pass; touches and trades always pass.
            assert!(updates > 40, "{venue}: {updates}");
            if round == 1 {
                assert_eq!(ALLOCATIONS.with(Cell::get), before, "{venue}: the second pass allocated");
            }
        }
        // A fresh stage applies every diff: everything it needs was taken when it was made.
        let mut fresh = MarketStage::new(recording.instruments(), recording.rule());
        let mut reader = recording.reader();
        let mut allocations = 0;
        while let Some(recorded) = reader.advance().unwrap() {
            let before = ALLOCATIONS.with(Cell::get);
            fresh.on_event(&recorded.event);
            allocations += ALLOCATIONS.with(Cell::get) - before;
        }
        assert_eq!((allocations, fresh.digest()), (0, stage.digest()), "{venue}");
    }
}
