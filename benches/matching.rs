//! `matching_message`: one message through the bridge into a book of 10 000 live orders. Were this slower, every
//! simulated fill would be: venue, paper and backtest send each market event through it.
//!
//! The stream is the `real` workload of the house's comparison: 55 % passive adds, 35 % cancels of a random live order,
//! 10 % aggressive orders around a mid that walks.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use touchline::matching::{Capacity, Growth, MatchingCore, Message, OrderEntry, Report, SelfTrade};
use touchline::types::{OrderKind, Price, Qty, Side, TimeInForce};

const LIVE: usize = 10_000;
const MESSAGES: usize = 200_000;
const CAPACITY: Capacity = Capacity { orders: 32_768, levels: 4_096, growth: Growth::Refuse };

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> i64 {
        (self.next() % bound) as i64
    }
}

/// The live orders as a list to pick from, kept from the reports alone.
#[derive(Default)]
struct Live {
    ids: Vec<u64>,
    place: HashMap<u64, usize>,
}

impl Live {
    fn add(&mut self, id: u64) {
        self.place.insert(id, self.ids.len());
        self.ids.push(id);
    }

    fn remove(&mut self, id: u64) {
        let at = self.place.remove(&id).expect("a live order");
        self.ids.swap_remove(at);
        if let Some(&moved) = self.ids.get(at) {
            self.place.insert(moved, at);
        }
    }
}

/// The messages that fill the book, and those that are measured.
fn workload() -> (Vec<Message>, Vec<Message>) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ 42);
    let mut core = MatchingCore::new(CAPACITY);
    let (mut live, mut reports, mut messages) = (Live::default(), Vec::new(), Vec::new());
    let mut mid = 100_000_i64;
    while messages.len() < LIVE + MESSAGES {
        // Ids are spread over 64 bits, as a venue's are not: no index may lean on their order.
        let id = (messages.len() as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let fills = messages.len() >= LIVE;
        let act = if fills { random.unit() } else { 0.0 };
        if fills && random.unit() < 0.05 {
            mid += if random.unit() < 0.5 { -1 } else { 1 };
        }
        let message = if (0.55..0.90).contains(&act) && !live.ids.is_empty() {
            let at = random.next() as usize % live.ids.len();
            Message::Cancel { id: live.ids[at] }
        } else {
            let side = if random.unit() < 0.5 { Side::Bid } else { Side::Ask };
            let passive = act < 0.55;
            let price = if passive {
                let away = 1 + (50.0 * random.unit().powi(2)) as i64;
                let wanted = Price::from_ticks(mid - side.sign() * away);
                match core.best(side.opposite()) {
                    Some(touch) if side == Side::Bid => wanted.min(touch.price.plus_ticks(-1)),
                    Some(touch) => wanted.max(touch.price.plus_ticks(1)),
                    None => wanted,
                }
            } else {
                let touch = core.best(side.opposite()).map_or(Price::from_ticks(mid), |level| level.price);
                touch.plus_ticks(side.sign() * random.below(10))
            };
            let most = if !passive && live.ids.len() > LIVE { 400 } else { 100 };
            Message::New(OrderEntry {
                id,
                owner: 0,
                side,
                price,
                qty: Qty::from_lots(1 + random.below(most)),
                kind: OrderKind::Limit(TimeInForce::Gtc),
                stp: SelfTrade::None,
            })
        };
        reports.clear();
        core.submit(&message, &mut reports);
        for report in &reports {
            match *report {
                Report::Accepted { id } => live.add(id),
                Report::Trade { maker_id, taker_id, maker_remaining, taker_remaining, .. } => {
                    for (id, remaining) in [(maker_id, maker_remaining), (taker_id, taker_remaining)] {
                        if remaining.is_zero() {
                            live.remove(id);
                        }
                    }
                }
                Report::Cancelled { id, .. } => live.remove(id),
                Report::Modified { .. } | Report::Rejected { .. } => panic!("not in this workload: {report:?}"),
            }
        }
        messages.push(message);
    }
    let measured = messages.split_off(LIVE);
    (messages, measured)
}

fn filled(messages: &[Message], reports: &mut Vec<Report>) -> MatchingCore {
    let mut core = MatchingCore::new(CAPACITY);
    for message in messages {
        reports.clear();
        core.submit(message, reports);
    }
    core
}

/// Sends all messages and sums what was traded: price times quantity, wrapping.
fn send(core: &mut MatchingCore, messages: &[Message], reports: &mut Vec<Report>) -> i64 {
    let mut checksum = 0_i64;
    for message in messages {
        reports.clear();
        core.submit(message, reports);
        for report in reports.iter() {
            if let Report::Trade { price, qty, .. } = report {
                checksum = checksum.wrapping_add(price.ticks().wrapping_mul(qty.lots()));
            }
        }
    }
    checksum
}

fn matching_message(criterion: &mut Criterion) {
    let (fill, messages) = workload();
    let mut reports = Vec::with_capacity(1024);
    let mut core = filled(&fill, &mut reports);
    let checksum = send(&mut core, &messages, &mut reports);
    assert_eq!(checksum, CHECKSUM, "the core no longer trades what it traded");
    core.check().expect("a sound book");
    println!(
        "{} live orders on {} levels, {} bytes reserved",
        core.len(),
        core.level_count(Side::Bid) + core.level_count(Side::Ask),
        core.memory_bytes()
    );

    let mut group = criterion.benchmark_group("matching");
    group.sample_size(10);
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("matching_message", |bencher| {
        bencher.iter_batched(
            || (filled(&fill, &mut Vec::with_capacity(1024)), Vec::with_capacity(1024)),
            |(mut core, mut reports)| black_box(send(&mut core, &messages, &mut reports)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Price times quantity over all trades of the stream, as the naive model of `tests/reference` trades it.
const CHECKSUM: i64 = 207_920_525_137;

criterion_group!(benches, matching_message);
criterion_main!(benches);
