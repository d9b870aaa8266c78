//! The C++ core against a naive model: the same messages, the same reports byte for byte, the same book.
//!
//! Thirteen kinds of flow, a million messages in all; `TOUCHLINE_MATCHING_MESSAGES` asks for another number.

mod reference;

use proptest::prelude::*;
use reference::Reference;
use touchline::matching::{Capacity, Growth, MatchingCore, Message, OrderEntry, Report, RestingOrder, SelfTrade};
use touchline::types::{Level, OrderKind, Price, Qty, Side, TimeInForce};

/// splitmix64: seeds of one word, the same stream everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Uniform in `low..=high`.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.wrapping_sub(low) as u64;
        low.wrapping_add_unsigned(self.next() % (span + 1))
    }
}

/// Both cores under the same messages.
struct Pair {
    core: MatchingCore,
    model: Reference,
    reports: Vec<Report>,
}

impl Pair {
    fn new(capacity: Capacity) -> Pair {
        Pair { core: MatchingCore::new(capacity), model: Reference::new(capacity), reports: Vec::new() }
    }

    fn submit(&mut self, message: &Message) -> Result<(), String> {
        self.reports.clear();
        self.core.submit(message, &mut self.reports);
        let expected = self.model.submit(message);
        if self.reports != expected {
            return Err(format!("{message:?}: core says {:?}, model says {expected:?}", self.reports));
        }
        Ok(())
    }

    fn compare_books(&self) -> Result<(), String> {
        self.core.check().map_err(|broken| broken.to_string())?;
        same("len", &self.core.len(), &self.model.len())?;
        for side in Side::BOTH {
            let depth = self.model.depth(side);
            let mut levels = vec![Level::default(); depth.len() + 1];
            let count = self.core.top(side, &mut levels);
            same("depth", &levels[..count], &depth[..])?;
            same("level count", &self.core.level_count(side), &depth.len())?;
            same("best", &self.core.best(side), &depth.first().copied())?;
        }
        Ok(())
    }

    /// Every order, its place in the queue and every level's quantity.
    fn compare_orders(&self) -> Result<(), String> {
        for side in Side::BOTH {
            let expected = self.model.orders(side);
            let mut orders: Vec<RestingOrder> = Vec::new();
            for level in self.model.depth(side) {
                self.core.for_each_order_at(side, level.price, |order| orders.push(order));
                same("qty_at", &self.core.qty_at(side, level.price), &level.qty)?;
                same("qty_at of the other side", &self.core.qty_at(side.opposite(), level.price), &Qty::ZERO)?;
            }
            same("queues", &orders, &expected)?;
            for order in expected.iter().step_by(7) {
                same("order", &self.core.order(order.id), &Some(*order))?;
                same("ahead_of", &self.core.ahead_of(order.id), &self.model.ahead_of(order.id))?;
            }
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, core: &T, model: &T) -> Result<(), String> {
    if core == model { Ok(()) } else { Err(format!("{what}: core says {core:?}, model says {model:?}")) }
}

/// What a stream of messages is like.
#[derive(Clone, Copy)]
struct Flow {
    /// Out of 100 messages: cancels and modifies; the rest are new orders.
    cancels: u64,
    modifies: u64,
    /// Out of 100 new orders: those that are not plain GTC.
    special: u64,
    /// Owners 0..owners; with more than one, every self-trade mode is used.
    owners: u64,
    price: PriceLaw,
    qty: QtyLaw,
    capacity: Capacity,
}

#[derive(Clone, Copy)]
enum PriceLaw {
    /// Within so many ticks of a mid that does not move.
    Around(i64),
    /// Anywhere in 64 bits, the ends included.
    Anywhere,
    /// A mid that rises a tick every eighth message.
    Drift,
    /// A mid that jumps by a quarter up and down.
    Swing,
    /// Passive bids on ever new levels, now and then an ask that sweeps them.
    Ladder,
    /// Passive on both sides, crowding a region of prices for a while, then another.
    Regions,
}

#[derive(Clone, Copy)]
enum QtyLaw {
    Small,
    /// Sweeps of hundreds of orders among small ones.
    Sweeps,
    /// Near the top of 64 bits, so that levels overflow.
    Huge,
}

const ROOMY: Capacity = Capacity { orders: 4096, levels: 1024, growth: Growth::Double };

fn flow_tight() -> Flow {
    Flow {
        cancels: 30,
        modifies: 10,
        special: 30,
        owners: 1,
        price: PriceLaw::Around(10),
        qty: QtyLaw::Small,
        capacity: ROOMY,
    }
}

struct Stream {
    flow: Flow,
    random: Random,
    sent: u64,
    dead: Vec<u64>,
}

impl Stream {
    fn message(&mut self, model: &Reference) -> Message {
        self.sent += 1;
        let action = self.random.below(100);
        // Some messages name an order that is not there: never placed, filled or cancelled before.
        let known = self.random.below(40) != 0;
        let pick = self.random.next();
        let id =
            if known { model.any_id(pick) } else { self.dead.get(pick as usize % self.dead.len().max(1)).copied() }
                .unwrap_or(pick);
        if action < self.flow.cancels {
            self.dead.push(id);
            return Message::Cancel { id };
        }
        let side = if self.random.below(2) == 0 { Side::Bid } else { Side::Ask };
        if action < self.flow.cancels + self.flow.modifies {
            let old = model.order(id);
            let side = old.map_or(side, |order| order.side);
            let price = match old {
                Some(order) if self.random.below(2) == 0 => order.price,
                _ => self.price(side),
            };
            return Message::Modify { id, price, qty: self.qty() };
        }
        let id = match self.random.below(50) {
            0 => id,
            1 => self.dead.pop().unwrap_or(0),
            2 => [0, 1, u64::MAX, u64::MAX - 1][self.random.below(4) as usize],
            3 => self.sent,
            _ => self.random.next(),
        };
        let kind = if self.random.below(100) >= self.flow.special {
            OrderKind::Limit(TimeInForce::Gtc)
        } else {
            [
                OrderKind::Limit(TimeInForce::Ioc),
                OrderKind::Limit(TimeInForce::Fok),
                OrderKind::PostOnly,
                OrderKind::Market,
            ][self.random.below(4) as usize]
        };
        let modes = [
            SelfTrade::None,
            SelfTrade::ExpireMaker,
            SelfTrade::ExpireTaker,
            SelfTrade::ExpireBoth,
            SelfTrade::Decrement,
        ];
        Message::New(OrderEntry {
            id,
            owner: self.random.below(self.flow.owners) as u32,
            side,
            price: self.price(side),
            qty: self.qty(),
            kind,
            stp: modes[self.random.below(5) as usize],
        })
    }

    fn price(&mut self, side: Side) -> Price {
        let sent = self.sent as i64;
        let away = side.sign() * self.random.between(-8, 40);
        Price::from_ticks(match self.flow.price {
            PriceLaw::Around(width) => self.random.between(1000 - width, 1000 + width),
            PriceLaw::Anywhere => match self.random.below(20) {
                0 => i64::MIN,
                1 => i64::MAX,
                2 => i64::MIN + 1,
                3 => i64::MAX - 1,
                4..12 => self.random.next() as i64 >> self.random.below(60),
                // Mostly passive, so that the book grows wide.
                _ => -side.sign() * self.random.between(0, i64::MAX),
            },
            PriceLaw::Drift => 5_000 + sent / 8 - away,
            PriceLaw::Swing => [8_000, 10_000, 12_500][(sent / 500 % 3) as usize] - away,
            PriceLaw::Regions => {
                let region = sent / 700 * 0x9E37 % 16 * 2_000;
                let within = if sent / 700 % 2 == 0 { sent % 700 } else { self.random.between(0, 900) };
                match self.random.below(100) {
                    0 => self.random.between(-20, 20),
                    _ => -side.sign() * (1_000 + region + within),
                }
            }
            PriceLaw::Ladder => match self.random.below(200) {
                0 => self.random.between(-100_000, 100_000),
                _ => -side.sign() * self.random.between(1, 100_000),
            },
        })
    }

    fn qty(&mut self) -> Qty {
        Qty::from_lots(match self.random.below(200) {
            0 => 0,
            1 => -1,
            2 => i64::MIN,
            3 => i64::MAX,
            _ => match self.flow.qty {
                QtyLaw::Small => self.random.between(1, 100),
                QtyLaw::Sweeps if self.random.below(100) == 0 => self.random.between(1_000, 30_000),
                QtyLaw::Sweeps => self.random.between(1, 100),
                QtyLaw::Huge => self.random.between(i64::MAX / 8, i64::MAX),
            },
        })
    }
}

/// Kinds of flow below, each run with two seeds or more.
const FLOWS: u64 = 13;

fn messages_per_flow() -> u64 {
    let all =
        std::env::var("TOUCHLINE_MATCHING_MESSAGES").map_or(1_040_000, |number| number.parse().expect("a number"));
    all / FLOWS
}

/// One book sees so many messages at most: the model's lists are as slow as they are simple, and some flows let them grow.
const MESSAGES_A_SEED: u64 = 100_000;

fn run(name: &str, flow: Flow) {
    let seeds = messages_per_flow().div_ceil(MESSAGES_A_SEED).max(2);
    for seed in 1..=seeds {
        let mut pair = Pair::new(flow.capacity);
        let mut stream = Stream { flow, random: Random(seed), sent: 0, dead: Vec::new() };
        let mut kinds = [0_u64; 5];
        let memory_bytes = pair.core.memory_bytes();
        // The reports of each message are compared always; a hundred million messages leave no time for more.
        let compare_every = if messages_per_flow() > 1_000_000 { 1024 } else { 16 };
        for sent in 0..messages_per_flow() / seeds {
            let message = stream.message(&pair.model);
            let mut outcome = pair.submit(&message);
            if sent % compare_every == 0 {
                outcome = outcome.and_then(|()| pair.compare_books());
            }
            if sent % (16 * compare_every) == 0 {
                outcome = outcome.and_then(|()| pair.compare_orders());
            }
            if let Err(difference) = outcome {
                panic!("{name}, seed {seed}, message {sent}: {difference}");
            }
            for report in &pair.reports {
                kinds[match report {
                    Report::Accepted { .. } => 0,
                    Report::Trade { .. } => 1,
                    Report::Cancelled { .. } => 2,
                    Report::Modified { .. } => 3,
                    Report::Rejected { .. } => 4,
                }] += 1;
            }
        }
        pair.compare_books().and_then(|()| pair.compare_orders()).unwrap();
        if flow.capacity.growth == Growth::Refuse {
            assert_eq!(pair.core.memory_bytes(), memory_bytes, "{name}: nothing is allocated after construction");
        }
        // A stream that never trades or never leaves a book behind would prove nothing.
        assert!(kinds.iter().all(|&count| count > 0), "{name}, seed {seed}: report kinds {kinds:?}");
    }
}

#[test]
fn tight_book_agrees_with_model() {
    run("tight", flow_tight());
}

#[test]
fn sparse_book_to_the_ends_of_64_bits_agrees_with_model() {
    run("anywhere", Flow { cancels: 20, price: PriceLaw::Anywhere, qty: QtyLaw::Sweeps, ..flow_tight() });
}

#[test]
fn drifting_book_agrees_with_model() {
    run("drift", Flow { price: PriceLaw::Drift, ..flow_tight() });
}

#[test]
fn swinging_book_agrees_with_model() {
    run("swing", Flow { price: PriceLaw::Swing, ..flow_tight() });
}

#[test]
fn thousands_of_levels_agree_with_model() {
    run(
        "ladder",
        Flow { cancels: 15, modifies: 5, special: 10, price: PriceLaw::Ladder, qty: QtyLaw::Sweeps, ..flow_tight() },
    );
}

#[test]
fn cancel_storm_agrees_with_model() {
    run("cancel storm", Flow { cancels: 49, modifies: 1, price: PriceLaw::Around(200), ..flow_tight() });
}

#[test]
fn modify_storm_agrees_with_model() {
    run("modify storm", Flow { cancels: 10, modifies: 65, price: PriceLaw::Around(50), ..flow_tight() });
}

#[test]
fn self_trade_prevention_agrees_with_model() {
    run("self trade", Flow { owners: 4, special: 40, ..flow_tight() });
}

#[test]
fn one_deep_level_agrees_with_model() {
    run("one level", Flow { cancels: 25, price: PriceLaw::Around(1), owners: 3, qty: QtyLaw::Sweeps, ..flow_tight() });
}

#[test]
fn huge_quantities_agree_with_model() {
    run("huge", Flow { qty: QtyLaw::Huge, owners: 3, price: PriceLaw::Around(30), ..flow_tight() });
}

#[test]
fn refused_capacity_agrees_with_model() {
    let capacity = Capacity { orders: 48, levels: 12, growth: Growth::Refuse };
    run("refuse", Flow { capacity, owners: 3, cancels: 20, price: PriceLaw::Around(12), ..flow_tight() });
}

#[test]
fn crowds_that_move_through_a_full_book_agree_with_model() {
    let capacity = Capacity { orders: 900, levels: 700, growth: Growth::Refuse };
    run("regions", Flow { capacity, cancels: 44, modifies: 4, special: 3, price: PriceLaw::Regions, ..flow_tight() });
}

#[test]
fn growth_from_nothing_agrees_with_model() {
    let capacity = Capacity { orders: 0, levels: 0, growth: Growth::Double };
    run("growth", Flow { capacity, cancels: 10, price: PriceLaw::Anywhere, ..flow_tight() });
}

fn any_message() -> impl Strategy<Value = Message> {
    let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
    let kind = prop_oneof![
        4 => Just(OrderKind::Limit(TimeInForce::Gtc)),
        1 => Just(OrderKind::Limit(TimeInForce::Ioc)),
        1 => Just(OrderKind::Limit(TimeInForce::Fok)),
        1 => Just(OrderKind::PostOnly),
        1 => Just(OrderKind::Market),
    ];
    let stp = prop_oneof![
        Just(SelfTrade::None),
        Just(SelfTrade::ExpireMaker),
        Just(SelfTrade::ExpireTaker),
        Just(SelfTrade::ExpireBoth),
        Just(SelfTrade::Decrement),
    ];
    let price = prop_oneof![8 => 95_i64..=105, 1 => Just(i64::MIN), 1 => Just(i64::MAX)].prop_map(Price::from_ticks);
    let qty = prop_oneof![20 => 1_i64..=9, 1 => Just(0), 1 => Just(i64::MAX)].prop_map(Qty::from_lots);
    prop_oneof![
        6 => (0_u64..24, 0_u32..3, side, price.clone(), qty.clone(), kind, stp)
            .prop_map(|(id, owner, side, price, qty, kind, stp)| Message::New(OrderEntry { id, owner, side, price, qty, kind, stp })),
        1 => (0_u64..24).prop_map(|id| Message::Cancel { id }),
        2 => (0_u64..24, price, qty).prop_map(|(id, price, qty)| Message::Modify { id, price, qty }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Few ids, few prices: the smallest stream that differs is what one gets to read.
    #[test]
    fn any_short_stream_agrees_with_model(
        messages in prop::collection::vec(any_message(), 1..120),
        orders in 1_u32..20,
        levels in 1_u32..8,
        refuse in any::<bool>(),
    ) {
        let growth = if refuse { Growth::Refuse } else { Growth::Double };
        let mut pair = Pair::new(Capacity { orders, levels, growth });
        for message in &messages {
            let outcome = pair.submit(message).and_then(|()| pair.compare_books()).and_then(|()| pair.compare_orders());
            prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
        }
    }
}

#[test]
fn a_core_may_move_between_threads() {
    let mut core = MatchingCore::new(Capacity::default());
    let mut reports = Vec::new();
    core.submit(&Message::Cancel { id: 7 }, &mut reports);
    let core = std::thread::spawn(move || core).join().unwrap();
    assert!(core.is_empty());
    assert_eq!(core.order(7), None);
    assert_eq!(core.ahead_of(7), None);
}
