//! Real order-level data through the core: LOBSTER AAPL, 2012-06-21, the first 672 events with 50 levels a side.
//!
//! Adds rest, partial cancels are modifies, deletes are cancels, and each visible execution is sent as an arriving IOC
//! order: the core must pick the very order that the exchange picked. What rested before the recording is one
//! background order a level, first in its queue. The recorder's own book is the oracle at every row.

mod common;

use std::collections::HashMap;
use std::path::Path;

use touchline::matching::{Capacity, MatchingCore, Message, OrderEntry, Report, SelfTrade};
use touchline::types::{Level, OrderKind, Price, Qty, Side, TimeInForce};

const COMPARED_LEVELS: usize = 5;
/// Background orders are numbered from here; the exchange's own numbers are far below.
const BACKGROUND_IDS: u64 = 1 << 60;
const AGGRESSOR_ID: u64 = 1 << 61;

fn rows(path: &Path) -> Vec<Vec<i64>> {
    let text = std::fs::read_to_string(path).unwrap();
    // The first column of the messages is a time with a fraction, which nothing here needs.
    text.lines().map(|line| line.split(',').map(|word| word.parse().unwrap_or(0)).collect()).collect()
}

/// Ask price, ask size, bid price, bid size, level by level; places beyond the last level have size zero.
fn recorded(row: &[i64], side: Side, levels: usize) -> Vec<Level> {
    let at = if side == Side::Ask { 0 } else { 2 };
    row.chunks_exact(4)
        .filter(|level| level[at + 1] > 0)
        .take(levels)
        .map(|level| Level { price: Price::from_ticks(level[at]), qty: Qty::from_lots(level[at + 1]) })
        .collect()
}

struct Replay {
    core: MatchingCore,
    background: HashMap<(Side, Price), u64>,
    reports: Vec<Report>,
}

impl Replay {
    fn submit(&mut self, message: Message) -> &[Report] {
        self.reports.clear();
        self.core.submit(&message, &mut self.reports);
        &self.reports
    }

    fn rest(&mut self, id: u64, side: Side, level: Level) {
        let entry = order(id, side, level.price, level.qty, TimeInForce::Gtc);
        assert_eq!(self.submit(entry), [Report::Accepted { id }]);
    }

    /// The order that a message is about: its own, or what stands for the orders from before the recording.
    fn named(&self, id: u64, side: Side, price: Price) -> u64 {
        match self.core.order(id) {
            Some(order) => {
                assert_eq!((order.side, order.price), (side, price), "order {id}");
                id
            }
            None => self.background[&(side, price)],
        }
    }

    fn take_off(&mut self, id: u64, qty: Qty) {
        let order = self.core.order(id).expect("the named order rests");
        let remaining = order.remaining - qty;
        assert!(remaining >= Qty::ZERO, "order {id} has only {:?}", order.remaining);
        let message = if remaining.is_zero() {
            Message::Cancel { id }
        } else {
            Message::Modify { id, price: order.price, qty: remaining }
        };
        self.submit(message);
    }
}

fn order(id: u64, side: Side, price: Price, qty: Qty, life: TimeInForce) -> Message {
    let kind = OrderKind::Limit(life);
    Message::New(OrderEntry { id, owner: 0, side, price, qty, kind, stp: SelfTrade::None })
}

#[test]
fn lobster_book_is_reproduced_at_every_row() {
    let Some(data) = common::data_dir() else { return };
    let folder = data.join("order-chronicles/assets");
    let (books, messages) = (rows(&folder.join("AAPL_book.csv")), rows(&folder.join("AAPL_msgs.csv")));
    assert_eq!((books.len(), messages.len()), (672, 672));

    let mut replay =
        Replay { core: MatchingCore::new(Capacity::default()), background: HashMap::new(), reports: Vec::new() };
    for side in Side::BOTH {
        for level in recorded(&books[0], side, usize::MAX) {
            let id = BACKGROUND_IDS + replay.background.len() as u64;
            replay.background.insert((side, level.price), id);
            replay.rest(id, side, level);
        }
    }

    let mut rows_equal = 0;
    let mut executions = 0;
    for (row, (message, book)) in messages.iter().zip(&books).enumerate().skip(1) {
        let (kind, id, qty, price) = (message[1], message[2] as u64, Qty::from_lots(message[3]), message[4]);
        let price = Price::from_ticks(price);
        let side = if message[5] == 1 { Side::Bid } else { Side::Ask };
        match kind {
            1 => replay.rest(id, side, Level { price, qty }),
            2 | 3 => {
                let named = replay.named(id, side, price);
                replay.take_off(named, qty);
            }
            4 => {
                let maker = replay.named(id, side, price);
                let taker = order(AGGRESSOR_ID, side.opposite(), price, qty, TimeInForce::Ioc);
                let reports = replay.submit(taker);
                assert!(
                    matches!(reports, [Report::Accepted { .. }, Report::Trade { maker_id, price: at, qty: traded, .. }]
                        if *maker_id == maker && *at == price && *traded == qty),
                    "row {row}: {maker} should have traded {qty:?} at {price:?}, but {reports:?}"
                );
                executions += 1;
            }
            5 => {}
            other => panic!("row {row}: no such kind of event: {other}"),
        }
        replay.core.check().unwrap();
        for side in Side::BOTH {
            let mut levels = [Level::default(); COMPARED_LEVELS];
            assert_eq!(replay.core.top(side, &mut levels), COMPARED_LEVELS);
            assert_eq!(levels[..], recorded(book, side, COMPARED_LEVELS)[..], "row {row}, {side:?}");
        }
        rows_equal += 1;
    }
    assert_eq!((rows_equal, executions), (671, 56));
}
