//! What a session must hold, whatever its tape: latencies, causes, liquidity that is there once.

use proptest::prelude::{Strategy as _, any, prop, prop_assert, proptest};

use super::{Answer, Liquidity, Local, OrderNumber, Report, Session, Strategy, TapeEvent};
use crate::sim::FillCause;
use crate::sim::queue::{Power, Prob, QueueModel, RiskAverse, Through, Touch};
use crate::types::{Level, OrderKind, Price, Qty, Side, TimeInForce, TimestampNs};

/// Does what it is told at the times that it is told, and keeps what it hears.
#[derive(Default)]
struct Script {
    /// Times of ours, in order, and what to do then.
    acts: Vec<(u64, Act)>,
    done: usize,
    reports: Vec<(u64, Report)>,
    /// Best bid at each event, as known then.
    bids: Vec<(u64, Option<Level>)>,
}

#[derive(Clone, Copy)]
enum Act {
    Place(Side, i64, i64, OrderKind),
    Cancel(u64),
}

impl Strategy for Script {
    const FOLLOWS: bool = true;

    fn on_start(&mut self, local: &mut Local<'_>) {
        if let Some((at, _)) = self.acts.first() {
            local.wake_at(TimestampNs::from_nanos(*at));
        }
    }

    fn on_event(&mut self, _event: &TapeEvent, local: &mut Local<'_>) {
        self.bids.push((local.now().nanos(), local.book().best(Side::Bid)));
    }

    fn on_report(&mut self, report: &Report, local: &mut Local<'_>) {
        self.reports.push((local.now().nanos(), *report));
    }

    fn on_timer(&mut self, local: &mut Local<'_>) {
        match self.acts[self.done].1 {
            Act::Place(side, price, qty, kind) => {
                local.place(side, Price::from_ticks(price), Qty::from_lots(qty), kind);
            }
            Act::Cancel(number) => local.cancel(OrderNumber(number)),
        }
        self.done += 1;
        if let Some((at, _)) = self.acts.get(self.done) {
            local.wake_at(TimestampNs::from_nanos(*at));
        }
    }
}

fn level(at: u64, side: Side, price: i64, qty: i64) -> TapeEvent {
    TapeEvent::level(TimestampNs::from_nanos(at), side, Price::from_ticks(price), Qty::from_lots(qty))
}

fn trade(at: u64, aggressor: Side, price: i64, qty: i64) -> TapeEvent {
    TapeEvent::trade(TimestampNs::from_nanos(at), aggressor, Price::from_ticks(price), Qty::from_lots(qty))
}

/// 100 of bids at 99 and of asks at 101, from time 0 on.
fn book() -> Vec<TapeEvent> {
    vec![level(0, Side::Bid, 99, 100).with_more(), level(0, Side::Ask, 101, 100)]
}

const GTC: OrderKind = OrderKind::Limit(TimeInForce::Gtc);

fn run(model: impl QueueModel, tape: &[TapeEvent], acts: &[(u64, Act)]) -> Script {
    run_with(model, Liquidity::Once, "feed=10ns,order=20ns,cancel=30ns,ack=5ns,fill=7ns", tape, acts)
}

fn run_with(
    model: impl QueueModel,
    liquidity: Liquidity,
    latencies: &str,
    tape: &[TapeEvent],
    acts: &[(u64, Act)],
) -> Script {
    let script = Script { acts: acts.to_vec(), ..Script::default() };
    let mut session = Session::new(script, model, liquidity, &latencies.parse().unwrap(), 1);
    // In blocks, as a tape is read.
    tape.chunks(3).for_each(|block| session.play(block));
    session.finish();
    session.into_strategy()
}

impl Script {
    fn fills(&self) -> Vec<(u64, i64, i64, FillCause)> {
        let fill = |(_, report): &(u64, Report)| match report {
            Report::Filled(fill) => Some((fill.at.nanos(), fill.price.ticks(), fill.qty.lots(), fill.cause)),
            Report::Answered(..) => None,
        };
        self.reports.iter().filter_map(fill).collect()
    }

    fn answers(&self) -> Vec<(u64, u64, Answer)> {
        let answer = |(at, report): &(u64, Report)| match report {
            Report::Answered(number, answer) => Some((*at, number.0, *answer)),
            Report::Filled(_) => None,
        };
        self.reports.iter().filter_map(answer).collect()
    }
}

#[test]
fn an_order_works_once_it_has_travelled_and_a_cancel_once_it_has() {
    let mut tape = book();
    // Before the order arrives at 120; while its cancel travels until 230; after that.
    tape.extend([119, 120, 121, 229, 230, 231].map(|at| trade(at, Side::Ask, 98, 1)));
    let acts = [(100, Act::Place(Side::Bid, 99, 9, GTC)), (200, Act::Cancel(1))];
    let played = run(RiskAverse, &tape, &acts);
    // What happens with a request's arrival happens before it.
    let through = |at| (at, 99, 1, FillCause::TradeThrough);
    assert_eq!(played.fills(), [through(121), through(229), through(230)]);
    assert_eq!(played.answers(), [(125, 1, Answer::Resting), (235, 1, Answer::Cancelled)]);
    let heard: Vec<u64> = played.reports.iter().map(|(at, _)| *at).collect();
    assert_eq!(heard, [125, 128, 235, 236, 237]);
}

#[test]
fn the_book_is_known_as_late_as_the_feed_is() {
    let mut tape = book();
    tape.extend([level(50, Side::Bid, 100, 7), level(55, Side::Bid, 100, 0), level(300, Side::Bid, 98, 1)]);
    let played = run(RiskAverse, &tape, &[]);
    let bid = |price, qty| Some(Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) });
    // At 60 the removal at 55 is not known yet.
    assert_eq!(played.bids[1..], [(10, bid(99, 100)), (60, bid(100, 7)), (65, bid(99, 100)), (310, bid(99, 100))]);
}

#[test]
fn every_fill_has_its_cause_and_our_price() {
    let place = |price| [(100, Act::Place(Side::Bid, price, 5, GTC))];
    let after = |events: &[TapeEvent]| [&book()[..], events].concat();
    let reached = after(&[trade(200, Side::Ask, 99, 103)]);
    assert_eq!(run(RiskAverse, &reached, &place(99)).fills(), [(200, 99, 3, FillCause::Queue)]);
    let beyond = after(&[trade(200, Side::Ask, 98, 4)]);
    assert_eq!(run(RiskAverse, &beyond, &place(99)).fills(), [(200, 99, 4, FillCause::TradeThrough)]);
    let across = after(&[level(200, Side::Ask, 98, 2)]);
    assert_eq!(run(RiskAverse, &across, &place(99)).fills(), [(200, 99, 2, FillCause::Cross)]);
    let taken = run(RiskAverse, &after(&[level(500, Side::Bid, 1, 1)]), &place(102));
    assert_eq!(taken.fills(), [(120, 101, 5, FillCause::Taker)]);
    assert_eq!(taken.answers(), [(125, 1, Answer::Done)]);
}

#[test]
fn what_one_order_got_no_other_gets() {
    let tape = [&book()[..], &[trade(200, Side::Ask, 99, 8)]].concat();
    let acts = [(100, Act::Place(Side::Bid, 100, 3, GTC)), (101, Act::Place(Side::Bid, 99, 3, GTC))];
    // Three go to the better order, and of the other five two to each of the places behind.
    let played = run(Touch, &tape, &acts);
    assert_eq!(played.fills(), [(200, 100, 3, FillCause::TradeThrough), (200, 99, 3, FillCause::Queue)]);
    let tape = [&book()[..], &[trade(200, Side::Ask, 99, 4)]].concat();
    assert_eq!(run(Touch, &tape, &acts).fills()[1], (200, 99, 1, FillCause::Queue));
}

#[test]
fn what_we_took_is_missing_until_the_level_changes() {
    let mut tape = book();
    tape.extend([level(300, Side::Ask, 101, 50), level(500, Side::Bid, 1, 1)]);
    let ioc = OrderKind::Limit(TimeInForce::Ioc);
    let take = |at, qty| (at, Act::Place(Side::Bid, 101, qty, ioc));
    let played = run(RiskAverse, &tape, &[take(100, 70), take(150, 70), take(200, 70), take(400, 70)]);
    let taken = |at, qty| (at, 101, qty, FillCause::Taker);
    assert_eq!(played.fills(), [taken(120, 70), taken(170, 30), taken(420, 50)]);
    let whole = [(100, Act::Place(Side::Bid, 101, 101, OrderKind::Limit(TimeInForce::Fok)))];
    assert_eq!(run(RiskAverse, &tape, &whole).fills(), []);
    let refused = run(RiskAverse, &tape, &[(100, Act::Place(Side::Bid, 101, 1, OrderKind::PostOnly))]);
    assert_eq!((refused.fills(), refused.answers()), (vec![], vec![(125, 1, Answer::Done)]));
}

#[test]
fn endless_liquidity_fills_an_order_whole_once_it_is_reached() {
    let after = |event| [&book()[..], &[event]].concat();
    let filled = |event| {
        let acts = [(100, Act::Place(Side::Bid, 99, 500, GTC))];
        run_with(RiskAverse, Liquidity::Endless, "1ns", &after(event), &acts).fills()
    };
    assert_eq!(filled(trade(200, Side::Ask, 99, 100)), []);
    assert_eq!(filled(trade(200, Side::Ask, 99, 101)), [(200, 99, 500, FillCause::Queue)]);
    assert_eq!(filled(level(200, Side::Ask, 99, 1)), [(200, 99, 500, FillCause::Cross)]);
}

/// A tape of small numbers: levels, trades and their sizes.
fn tape() -> impl proptest::strategy::Strategy<Value = Vec<TapeEvent>> {
    prop::collection::vec((any::<bool>(), any::<bool>(), 95_i64..105, 0_i64..9), 1..150).prop_map(|steps| {
        let mut at = 0;
        let event = |(is_trade, is_ask, price, qty): (bool, bool, i64, i64)| {
            at += 40;
            let side = if is_ask { Side::Ask } else { Side::Bid };
            if is_trade { trade(at, side, price, qty) } else { level(at, side, price, qty) }
        };
        steps.into_iter().map(event).collect()
    })
}

proptest! {
    #[test]
    fn fills_never_exceed_what_traded_or_stood_there(
        tape in tape(),
        orders in prop::collection::vec((any::<bool>(), 95_i64..105, 1_i64..6), 1..12),
    ) {
        let place = |(at, (is_ask, price, qty)): (usize, &(bool, i64, i64))| {
            let side = if *is_ask { Side::Ask } else { Side::Bid };
            (50 + 60 * at as u64, Act::Place(side, *price, *qty, GTC))
        };
        let acts: Vec<(u64, Act)> = orders.iter().enumerate().map(place).collect();
        let ordered: i64 = orders.iter().map(|(_, _, qty)| qty).sum();
        for fills in [run(Touch, &tape, &acts).fills(), run(Prob(Power { n: 2.0 }), &tape, &acts).fills()] {
            prop_assert!(fills.iter().map(|fill| fill.2).sum::<i64>() <= ordered);
            // A print or a quote fills no more than its quantity, however many orders it meets.
            for event in &tape {
                let at = event.at().nanos();
                let got: i64 = fills.iter().filter(|fill| fill.0 == at && fill.3 != FillCause::Taker).map(|fill| fill.2).sum();
                prop_assert!(got <= event.qty().lots(), "{} of {:?}", got, event);
            }
        }
    }

    #[test]
    fn a_more_pessimistic_model_never_fills_earlier(tape in tape(), price in 96_i64..104, is_ask in any::<bool>()) {
        let side = if is_ask { Side::Ask } else { Side::Bid };
        let acts = [(400, Act::Place(side, price, 1, OrderKind::PostOnly))];
        let first = |played: Script| played.fills().first().map_or(u64::MAX, |fill| fill.0);
        let times = [
            first(run(Touch, &tape, &acts)),
            first(run(Prob(Power { n: 2.0 }), &tape, &acts)),
            first(run(RiskAverse, &tape, &acts)),
            first(run(Through, &tape, &acts)),
        ];
        prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", times);
    }
}
