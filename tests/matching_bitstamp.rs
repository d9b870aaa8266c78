//! Real order-level data through the core: Bitstamp BTCUSD, 2015-05-01, five hours of every order's life.
//!
//! Created orders rest, changed ones are modified to what remains, deleted ones are cancelled. The feed tells what the
//! venue's own matching left, in an order that may cross the book for a moment: an order that would trade here is one
//! whose counterpart's end is on its way, so it is kept aside until it no longer would. The venue's own snapshots of 20
//! levels are the oracle; the rates are those of an independent replay of the same file.

mod common;

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use serde_json::Value;
use touchline::matching::{Capacity, MatchingCore, Message, OrderEntry, Report, SelfTrade};
use touchline::types::{Level, OrderKind, Price, Qty, Side};

/// Its deletion is missing in the recording; it would stand in the book for ever.
const ZOMBIE: u64 = 65_610_664;
/// The book starts empty: what rested before the recording is unknown until it has left.
const SNAPSHOTS_SKIPPED: usize = 2_499;
const COMPARED_LEVELS: usize = 5;

/// Hundredths of a dollar and hundred-millionths of a bitcoin.
fn fixed(text: &str, digits: usize) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= digits, "{text} has more than {digits} digits");
    format!("{whole}{fraction:0<digits$}").parse().unwrap()
}

fn price(text: &Value) -> Price {
    Price::from_ticks(fixed(text.as_str().unwrap(), 2))
}

fn qty(text: &Value) -> Qty {
    Qty::from_lots(fixed(text.as_str().unwrap(), 8))
}

#[derive(Default)]
struct Counts {
    snapshots: usize,
    top_equal: usize,
    best_equal: [usize; 2],
    strangers: usize,
}

struct Replay {
    core: MatchingCore,
    reports: Vec<Report>,
    /// Orders that would have crossed when they came, by id.
    aside: HashMap<u64, (Side, Level)>,
    aside_order: BTreeSet<u64>,
}

impl Replay {
    fn submit(&mut self, message: Message) -> &[Report] {
        self.reports.clear();
        self.core.submit(&message, &mut self.reports);
        &self.reports
    }

    fn rest(&mut self, id: u64, side: Side, level: Level) {
        let entry = OrderEntry {
            id,
            owner: 0,
            side,
            price: level.price,
            qty: level.qty,
            kind: OrderKind::PostOnly,
            stp: SelfTrade::None,
        };
        match self.submit(Message::New(entry)) {
            [Report::Accepted { .. }] => {
                self.aside.remove(&id);
                self.aside_order.remove(&id);
            }
            [Report::Rejected { .. }] => {
                self.aside.insert(id, (side, level));
                self.aside_order.insert(id);
            }
            other => panic!("order {id}: {other:?}"),
        }
    }

    /// Changes an order to what remains, or takes it out; false when it is not known.
    fn change(&mut self, id: u64, remaining: Qty) -> bool {
        if let Some((_, level)) = self.aside.get_mut(&id) {
            level.qty = remaining;
            if remaining.is_zero() {
                self.aside.remove(&id);
                self.aside_order.remove(&id);
            }
            return true;
        }
        let Some(order) = self.core.order(id) else { return false };
        if remaining.is_zero() {
            assert!(matches!(self.submit(Message::Cancel { id }), [Report::Cancelled { .. }]));
        } else {
            let modify = Message::Modify { id, price: order.price, qty: remaining };
            assert!(matches!(self.submit(modify), [Report::Modified { .. }]), "order {id}");
        }
        true
    }

    /// Lets in whatever no longer crosses, oldest first.
    fn settle(&mut self) {
        for id in self.aside_order.iter().copied().collect::<Vec<_>>() {
            let (side, level) = self.aside[&id];
            self.rest(id, side, level);
        }
    }

    /// The best levels of a side, what is kept aside left out.
    fn top(&self, side: Side) -> Vec<Level> {
        let mut levels = vec![Level::default(); COMPARED_LEVELS];
        let count = self.core.top(side, &mut levels);
        levels.truncate(count);
        levels
    }
}

fn recorded(snapshot: &Value, side: Side) -> Vec<Level> {
    let key = if side == Side::Bid { "bids" } else { "asks" };
    let rows = snapshot[key].as_array().unwrap().iter().take(COMPARED_LEVELS);
    rows.map(|row| Level { price: price(&row[0]), qty: qty(&row[1]) }).collect()
}

#[test]
fn bitstamp_books_are_reproduced_at_the_known_rates() {
    let Some(data) = common::data_dir() else { return };
    let file = data.join("ob-analytics/inst/extdata/2015-05-01.log.xz");
    let Ok(output) = Command::new("xz").args(["-dc"]).arg(&file).output() else {
        common::skip("no xz on the path, the Bitstamp recording was not read");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();

    let mut replay = Replay {
        core: MatchingCore::new(Capacity::default()),
        reports: Vec::new(),
        aside: HashMap::new(),
        aside_order: BTreeSet::new(),
    };
    let mut counts = Counts::default();
    let mut seen = 0;
    for line in text.lines() {
        let (_, rest) = line.split_once(' ').unwrap();
        let (kind, json) = rest.split_once(' ').unwrap();
        let body: Value = serde_json::from_str(json).unwrap();
        let id = body["id"].as_u64().unwrap_or(0);
        match kind {
            "order_created" => {
                let side = if body["order_type"] == 0 { Side::Bid } else { Side::Ask };
                if id != ZOMBIE {
                    replay.rest(id, side, Level { price: price(&body["price"]), qty: qty(&body["amount"]) });
                }
            }
            "order_changed" => counts.strangers += usize::from(!replay.change(id, qty(&body["amount"]))),
            "order_deleted" => counts.strangers += usize::from(!replay.change(id, Qty::ZERO)),
            "order_book" => {
                seen += 1;
                if seen > SNAPSHOTS_SKIPPED {
                    counts.snapshots += 1;
                    let sides = [Side::Bid, Side::Ask].map(|side| (replay.top(side), recorded(&body, side)));
                    counts.top_equal += usize::from(sides.iter().all(|(ours, theirs)| ours == theirs));
                    for (equal, (ours, theirs)) in counts.best_equal.iter_mut().zip(&sides) {
                        let price = |levels: &[Level]| levels.first().map(|level| level.price);
                        *equal += usize::from(price(ours) == price(theirs));
                    }
                }
            }
            "trade" => {}
            other => panic!("no such event: {other}"),
        }
        replay.settle();
    }
    replay.core.check().unwrap();
    println!(
        "{} snapshots: top {COMPARED_LEVELS} equal at {}, best bid {}, best ask {}; {} changes of orders older than the recording",
        counts.snapshots, counts.top_equal, counts.best_equal[0], counts.best_equal[1], counts.strangers
    );
    assert_eq!(counts.snapshots, 2_512);
    assert!(counts.top_equal >= 2_502, "top {}", counts.top_equal);
    assert!(counts.best_equal[0] >= 2_512, "{}", counts.best_equal[0]);
    assert!(counts.best_equal[1] >= 2_511, "{}", counts.best_equal[1]);
}
