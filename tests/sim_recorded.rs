//! A recorded level-2 market: clients queue in it, its trades consume once, and the background is the recording.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use proptest::prelude::*;
use touchline::sim::{
    AccountConfig, AccountId, FillCause, FillModel, MarketSource, OrderRef, RecordedEvent, RecordedMarket,
    SymbolConfig, TradesQuery, Venue, VenueConfig, VenueMarketEvent, VenueOrder, VenueOrderKind,
};
use touchline::types::{
    Asset, DurationNs, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, Side, Symbol, TimeInForce,
    TimestampNs, Trade, TradeId,
};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent};

mod common;

const MAKER: AccountId = AccountId(1);
const ETHUSDT: InstrumentId = InstrumentId(0);
const TICK_E8: i64 = 1_000_000;
/// Finer than the venue's own step: old dust rests in the recording.
const LOT_E8: i64 = 1_000;
const GTC: VenueOrderKind = VenueOrderKind::Limit(TimeInForce::Gtc);

fn asset(name: &str) -> Asset {
    Symbol::new(name).unwrap()
}

fn instrument() -> Instrument {
    let spec = InstrumentSpec {
        symbol: asset("ETHUSDT"),
        base: asset("ETH"),
        quote: asset("USDT"),
        tick_e8: TICK_E8,
        lot_e8: LOT_E8,
        filters: Filters::default(),
    };
    Instrument::new(ETHUSDT, spec)
}

/// The venue's clock.
fn at(millis: u64) -> TimestampNs {
    TimestampNs::from_millis(1_700_000_000_000 + millis)
}

/// The recording's clock, years before.
fn recorded_at(millis: u64) -> TimestampNs {
    TimestampNs::from_millis(1_600_000_000_000 + millis)
}

fn venue_of(events: impl IntoIterator<Item = RecordedEvent, IntoIter: Send + 'static>, speed: u32) -> Venue {
    let market = RecordedMarket { events: Box::new(events.into_iter()), speed };
    venue_with(MarketSource::Recorded(market), FillModel::default())
}

fn venue_with(source: MarketSource, fill: FillModel) -> Venue {
    let mut config = VenueConfig::new(at(0));
    config.fill = fill;
    config.symbols = vec![SymbolConfig { orders_max: 10_000, ..SymbolConfig::new(instrument()) }];
    config.order_limits = Vec::new();
    let balances = ["ETH", "USDT"].map(|name| (asset(name), 1_000_000_000_000_000_000)).to_vec();
    config.accounts = vec![AccountConfig { id: MAKER, balances }];
    Venue::new(config, vec![source]).unwrap()
}

fn levels(pairs: &[(i64, i64)]) -> Vec<Level> {
    pairs.iter().map(|&(price, qty)| Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }).collect()
}

fn depth(kind: DepthKind, millis: u64, ids: (u64, u64), bids: &[(i64, i64)], asks: &[(i64, i64)]) -> RecordedEvent {
    let mut buf = DepthBuf::with_capacity(0);
    buf.head.kind = kind;
    (buf.head.first_id, buf.head.last_id) = ids;
    buf.head.recv_ts = recorded_at(millis);
    (buf.bids, buf.asks) = (levels(bids), levels(asks));
    RecordedEvent::Depth(buf)
}

fn snapshot(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> RecordedEvent {
    depth(DepthKind::Snapshot, 0, (100, 100), bids, asks)
}

fn diff(millis: u64, id: u64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> RecordedEvent {
    depth(DepthKind::Diff, millis, (id, id), bids, asks)
}

fn print(millis: u64, aggressor: Side, price: i64, qty: i64) -> RecordedEvent {
    RecordedEvent::Trade(Trade {
        instrument: ETHUSDT,
        event_ts: recorded_at(millis),
        recv_ts: recorded_at(millis),
        id: TradeId(1),
        price: Price::from_ticks(price),
        qty: Qty::from_lots(qty),
        aggressor,
    })
}

fn place(venue: &mut Venue, millis: u64, side: Side, price: i64, qty: i64) -> u64 {
    let order = VenueOrder::limit(ETHUSDT, side, GTC, price * TICK_E8, qty * LOT_E8, None);
    venue.place(at(millis), MAKER, &order).unwrap().order.order_id
}

/// Price, quantity and cause of each fill.
fn fills(venue: &Venue) -> Vec<(i64, i64, FillCause)> {
    let query = TradesQuery { limit: usize::MAX, ..TradesQuery::default() };
    let rows = venue.my_trades(MAKER, ETHUSDT, query);
    rows.iter().map(|row| (row.price_e8 / TICK_E8, row.qty_e8 / LOT_E8, row.cause)).collect()
}

/// The background quantity at each level of a side: what is visible less what clients have there.
fn background(venue: &Venue, side: Side) -> BTreeMap<i64, i64> {
    let depth = venue.depth(ETHUSDT, 100_000);
    let levels = if side == Side::Bid { depth.bids } else { depth.asks };
    let mut found: BTreeMap<i64, i64> =
        levels.into_iter().map(|level| (level.price.ticks(), level.qty.lots())).collect();
    for own in venue.resting(ETHUSDT).iter().filter(|own| own.side == side) {
        *found.get_mut(&own.price.ticks()).unwrap() -= own.remaining.lots();
    }
    found.retain(|_, qty| *qty != 0);
    found
}

#[test]
fn an_order_waits_for_what_was_ahead_of_it() {
    let mut venue = venue_of(
        vec![
            snapshot(&[(100, 10), (99, 5)], &[(101, 7)]),
            print(1_000, Side::Ask, 100, 6),
            print(2_000, Side::Ask, 100, 6),
        ],
        1,
    );
    let id = place(&mut venue, 1, Side::Bid, 100, 3);
    assert_eq!(venue.resting(ETHUSDT)[0].ahead, Qty::from_lots(10));
    venue.advance(at(1_500));
    assert_eq!(venue.resting(ETHUSDT)[0].ahead, Qty::from_lots(4));
    assert_eq!(fills(&venue), []);
    venue.advance(at(2_500));
    assert_eq!(fills(&venue), [(100, 2, FillCause::Queue)], "4 ahead, then 2 of ours");
    assert_eq!(venue.order(MAKER, ETHUSDT, OrderRef::id(id)).unwrap().executed_qty_e8, 2 * LOT_E8);
    assert!(venue.is_exhausted());
    assert_eq!(venue.next_event_at(), None, "the last diff was published at 2.1 s");
}

#[test]
fn later_comers_stand_behind_and_leave_first() {
    let mut venue = venue_of(
        vec![
            snapshot(&[(100, 10)], &[(101, 7)]),
            diff(1_000, 101, &[(100, 16)], &[]),
            diff(2_000, 102, &[(100, 12)], &[]),
            diff(3_000, 103, &[(100, 7)], &[]),
        ],
        1,
    );
    place(&mut venue, 1, Side::Bid, 100, 3);
    for (millis, total, ahead) in [(1_500, 19, 10), (2_500, 15, 10), (3_500, 10, 7)] {
        venue.advance(at(millis));
        assert_eq!(venue.depth(ETHUSDT, 1).bids[0].qty, Qty::from_lots(total), "at {millis}");
        assert_eq!(venue.resting(ETHUSDT)[0].ahead, Qty::from_lots(ahead), "at {millis}");
    }
}

#[test]
fn a_print_beyond_our_price_goes_through_us_first_and_once() {
    let mut venue = venue_of(
        vec![
            snapshot(&[(100, 10), (98, 20)], &[(101, 7)]),
            print(1_000, Side::Ask, 98, 5),
            diff(1_100, 101, &[(100, 0), (98, 15)], &[]),
        ],
        1,
    );
    place(&mut venue, 1, Side::Bid, 99, 2);
    venue.advance(at(1_050));
    assert_eq!(fills(&venue), [(99, 2, FillCause::TradeThrough)]);
    assert_eq!(background(&venue, Side::Bid), BTreeMap::from([(98, 17)]), "the other 3 came from the level itself");
    venue.advance(at(1_200));
    assert_eq!(background(&venue, Side::Bid), BTreeMap::from([(98, 15)]), "the recording has the last word");
    let printed: i64 = venue
        .market_events()
        .map(|event| if let VenueMarketEvent::Trade(trade) = event { trade.qty.lots() } else { 0 })
        .sum();
    assert_eq!(printed, 5, "the tape shows the recorded quantity");
}

#[test]
fn a_quote_that_moves_across_ours_fills_it_and_is_consumed() {
    let mut venue = venue_of(
        vec![
            snapshot(&[(100, 10)], &[(101, 7)]),
            diff(1_000, 101, &[(100, 0), (98, 4)], &[(99, 8)]),
            diff(1_100, 102, &[(97, 4)], &[]),
            diff(1_200, 103, &[], &[(99, 6)]),
        ],
        1,
    );
    place(&mut venue, 1, Side::Bid, 100, 3);
    venue.advance(at(1_010));
    assert_eq!(fills(&venue), [(100, 3, FillCause::Cross)]);
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(99, 5), (101, 7)]));
    venue.advance(at(1_110));
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(99, 5), (101, 7)]), "not offered twice");
    venue.advance(at(1_210));
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(99, 6), (101, 7)]), "until the level's next update");
}

#[test]
fn what_a_client_takes_is_gone_until_the_level_is_updated() {
    let mut venue = venue_of(
        vec![
            snapshot(&[(100, 10)], &[(101, 7), (102, 9)]),
            diff(1_000, 101, &[(99, 1)], &[]),
            print(1_050, Side::Bid, 101, 6),
            diff(1_100, 102, &[], &[(102, 8)]),
            diff(1_200, 103, &[], &[(101, 2)]),
        ],
        1,
    );
    place(&mut venue, 1, Side::Bid, 101, 4);
    assert_eq!(fills(&venue), [(101, 4, FillCause::Taker)]);
    venue.advance(at(1_010));
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(101, 3), (102, 9)]));
    venue.market_events();
    venue.advance(at(1_060));
    let printed: i64 = venue
        .market_events()
        .map(|event| if let VenueMarketEvent::Trade(trade) = event { trade.qty.lots() } else { 0 })
        .sum();
    assert_eq!(printed, 3, "the recorded taker of 6 finds 3: ours were taken from the same 7");
    venue.advance(at(1_300));
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(101, 2), (102, 8)]));
}

#[test]
fn a_print_larger_than_the_known_level_is_printed_whole() {
    let mut venue = venue_of(
        vec![
            snapshot(&[(100, 10)], &[(101, 7)]),
            print(1_000, Side::Bid, 103, 20),
            diff(1_100, 101, &[(102, 5)], &[(101, 0), (103, 9)]),
        ],
        1,
    );
    place(&mut venue, 1, Side::Ask, 103, 2);
    venue.advance(at(1_050));
    assert_eq!(fills(&venue), [(103, 2, FillCause::Queue)], "we were there before whoever came in between");
    let printed: i64 = venue
        .market_events()
        .map(|event| if let VenueMarketEvent::Trade(trade) = event { trade.qty.lots() } else { 0 })
        .sum();
    assert_eq!(printed, 20);
    venue.advance(at(1_150));
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(103, 9)]));
    assert_eq!(background(&venue, Side::Bid), BTreeMap::from([(100, 10), (102, 5)]));
}

#[test]
fn the_opening_book_joins_snapshot_and_early_diffs_and_speed_divides_time() {
    let events = vec![
        diff(0, 99, &[(100, 1)], &[]),
        print(10, Side::Ask, 100, 1),
        depth(DepthKind::Diff, 100, (100, 102), &[(100, 5)], &[(105, 1)]),
        depth(DepthKind::Snapshot, 150, (100, 100), &[(100, 4), (99, 9)], &[(101, 7)]),
        diff(1_100, 103, &[(99, 0)], &[]),
        diff(10_100, 104, &[(98, 3)], &[]),
    ];
    let venue = venue_of(events.clone(), 1);
    assert_eq!(background(&venue, Side::Bid), BTreeMap::from([(100, 5), (99, 9)]), "the diff at 102 is newer");
    assert_eq!(background(&venue, Side::Ask), BTreeMap::from([(101, 7), (105, 1)]));
    assert_eq!(venue.now(), at(0));
    let mut fast = venue_of(events, 10);
    // 150 ms of the recording is the venue's start; 950 ms later the next record, at ten times the speed.
    assert_eq!(fast.next_event_at(), Some(at(95)));
    fast.advance(at(96));
    assert_eq!(background(&fast, Side::Bid), BTreeMap::from([(100, 5)]));
    fast.advance(at(995));
    assert_eq!(background(&fast, Side::Bid), BTreeMap::from([(100, 5), (98, 3)]));
}

/// One step of the model test.
#[derive(Clone, Debug)]
enum Step {
    Diff(Vec<(bool, i64, i64)>),
    Print(bool, i64, i64),
    Place(bool, i64, i64),
    Cancel(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let change = (any::<bool>(), 0_i64..12, prop_oneof![1 => Just(0_i64), 3 => 1_i64..30]);
    prop_oneof![
        4 => prop::collection::vec(change, 0..6).prop_map(Step::Diff),
        3 => (any::<bool>(), -3_i64..4, 1_i64..40).prop_map(|(bid, price, qty)| Step::Print(bid, price, qty)),
        3 => (any::<bool>(), -6_i64..7, 1_i64..20).prop_map(|(bid, price, qty)| Step::Place(bid, price, qty)),
        1 => (0_usize..8).prop_map(Step::Cancel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Random uncrossed level-2 streams, whose mid wanders, with random prints and a client that does as it likes.
    #[test]
    fn after_each_diff_the_background_is_the_recording(steps in prop::collection::vec(step(), 1..120)) {
        let mut book: [BTreeMap<i64, i64>; 2] = [(95..100).map(|p| (p, 10)).collect(), (101..106).map(|p| (p, 10)).collect()];
        let plain = |side: &BTreeMap<i64, i64>| side.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>();
        let mut events = vec![snapshot(&plain(&book[0]), &plain(&book[1]))];
        let mut books = Vec::new();
        let mut requests: Vec<(u64, Step)> = Vec::new();
        let mut mid = 100;
        for (index, step) in steps.iter().enumerate() {
            let millis = (index as u64 + 1) * 10;
            match step {
                Step::Diff(changes) => {
                    // The mid moves by a tick now and then; what is on the wrong side of it goes.
                    mid += [0, 1, 0, -1][index % 4] * i64::from(changes.len() > 2);
                    let mut touched: [BTreeMap<i64, i64>; 2] = Default::default();
                    for (price, _) in book[0].range(mid..) { touched[0].insert(*price, 0); }
                    for (price, _) in book[1].range(..=mid) { touched[1].insert(*price, 0); }
                    for (is_bid, distance, qty) in changes {
                        let (side, price) = if *is_bid { (0, mid - 1 - distance) } else { (1, mid + 1 + distance) };
                        touched[side].insert(price, *qty);
                    }
                    for (side, changes) in book.iter_mut().zip(&touched) {
                        side.extend(changes);
                        side.retain(|_, qty| *qty != 0);
                    }
                    events.push(diff(millis, 101 + index as u64, &plain(&touched[0]), &plain(&touched[1])));
                    books.push((millis, book.clone()));
                }
                Step::Print(is_bid, offset, qty) => {
                    let side = if *is_bid { Side::Bid } else { Side::Ask };
                    events.push(print(millis, side, mid + offset, *qty));
                }
                Step::Place(is_bid, offset, qty) => {
                    requests.push((millis, Step::Place(*is_bid, mid + offset, *qty)));
                }
                Step::Cancel(which) => requests.push((millis, Step::Cancel(*which))),
            }
        }
        let mut venue = venue_of(events, 1);
        let totals = |venue: &Venue| ["ETH", "USDT"].map(|name| venue.total_e8(asset(name)));
        let before = totals(&venue);
        let mut times: Vec<u64> = books.iter().map(|(millis, _)| *millis).chain(requests.iter().map(|(m, _)| *m)).collect();
        times.sort_unstable();
        for millis in times {
            for (_, request) in requests.iter().filter(|(when, _)| *when == millis) {
                match request {
                    Step::Place(is_bid, price, qty) => {
                        place(&mut venue, millis, if *is_bid { Side::Bid } else { Side::Ask }, *price, *qty);
                    }
                    Step::Cancel(which) => {
                        if let Some(own) = venue.open_orders(MAKER, None).get(*which) {
                            let id = OrderRef::id(own.order_id);
                            venue.advance(at(millis));
                            // It may have been filled by a record of the same moment.
                            let _ = venue.cancel(at(millis), MAKER, ETHUSDT, id, None, None);
                        }
                    }
                    Step::Diff(_) | Step::Print(..) => unreachable!("not a request"),
                }
            }
            venue.advance(at(millis));
            prop_assert_eq!(venue.check(), Ok(()));
            let depth = venue.depth(ETHUSDT, 1);
            if let (Some(bid), Some(ask)) = (depth.bids.first(), depth.asks.first()) {
                prop_assert!(bid.price < ask.price);
            }
            let Some((_, recorded)) = books.iter().find(|(when, _)| *when == millis) else { continue };
            for side in Side::BOTH {
                let told = venue.recorded_levels(ETHUSDT, side);
                let own: BTreeMap<i64, i64> = told.iter().map(|(price, qty, _)| (price.ticks(), qty.lots())).filter(|(_, qty)| *qty != 0).collect();
                prop_assert_eq!(&own, &recorded[side.index()], "the recording as the venue reads it");
                let consumed: BTreeMap<i64, i64> = told.iter().map(|(price, _, consumed)| (price.ticks(), consumed.lots())).collect();
                let mut want = recorded[side.index()].clone();
                for (price, qty) in &mut want {
                    *qty = (*qty - consumed.get(price).copied().unwrap_or_default()).max(0);
                }
                want.retain(|_, qty| *qty != 0);
                prop_assert_eq!(background(&venue, side), want, "{:?} at {}", side, millis);
            }
        }
        prop_assert_eq!(totals(&venue), before, "money is conserved");
    }
}

/// A venue under a fill model that is fed the events up to `millis`.
fn fed(events: &[RecordedEvent], fill: &str, orders: &[(u64, Side, i64, i64)]) -> Venue {
    let mut venue = venue_with(MarketSource::Fed, fill.parse().unwrap());
    let mut orders = orders.iter().peekable();
    for event in events {
        let (recv_ts, event) = match event {
            RecordedEvent::Depth(depth) => (depth.head.recv_ts, FeedEvent::Depth(depth.as_ref())),
            RecordedEvent::Trade(trade) => (trade.recv_ts, FeedEvent::Trade(*trade)),
        };
        let millis = recv_ts.since(recorded_at(0)).nanos() / 1_000_000;
        while let Some((when, side, price, qty)) = orders.next_if(|order| order.0 < millis) {
            place(&mut venue, *when, *side, *price, *qty);
        }
        venue.feed(at(millis), ETHUSDT, &event);
        venue.check().unwrap();
    }
    venue
}

#[test]
fn each_model_says_where_in_a_level_an_order_stands_after_a_cancel() {
    // Ten ahead and four behind; then four are cancelled, and nobody says who.
    let events =
        [snapshot(&[(100, 10)], &[(101, 7)]), diff(1_000, 101, &[(100, 14)], &[]), diff(2_000, 102, &[(100, 10)], &[])];
    // Risk-averse: all four were behind. Power 2: p = 16 / 116, so 3.448 of them were ahead. Log: p = ln 5 / (ln 5 + ln
    // 11) gives 2.393; a lot that is ahead in part is ahead.
    for (fill, ahead) in [("touch", 0), ("prob:power", 7), ("prob:log", 8), ("risk-averse", 10), ("through", 10)] {
        let venue = fed(&events, fill, &[(500, Side::Bid, 100, 3)]);
        let resting = venue.resting(ETHUSDT);
        assert_eq!((resting[0].ahead.lots(), resting[0].remaining.lots()), (ahead, 3), "{fill}");
        assert_eq!(background(&venue, Side::Bid), BTreeMap::from([(100, 10)]), "{fill}: the level is as recorded");
    }
}

#[test]
fn orders_that_are_told_apart_leave_by_their_size() {
    // An order of six joins before ours, one of four behind it. Then six leave: the one that was ahead.
    let events = [
        snapshot(&[(100, 10)], &[(101, 7)]),
        diff(500, 101, &[(100, 16)], &[]),
        diff(1_000, 102, &[(100, 20)], &[]),
        diff(2_000, 103, &[(100, 14)], &[]),
    ];
    for (fill, ahead) in [("fifo", 10), ("risk-averse", 14)] {
        let venue = fed(&events, fill, &[(600, Side::Bid, 100, 3)]);
        assert_eq!(venue.resting(ETHUSDT)[0].ahead.lots(), ahead, "{fill}");
    }
}

#[test]
fn under_through_a_print_at_our_price_never_fills_us_and_one_beyond_it_does() {
    let events = [
        snapshot(&[(100, 10)], &[(101, 7)]),
        print(1_000, Side::Ask, 100, 50),
        diff(1_100, 101, &[(100, 2)], &[]),
        print(2_000, Side::Ask, 99, 2),
        diff(2_100, 102, &[(100, 0), (99, 5)], &[]),
    ];
    let venue = fed(&events[..3], "through", &[(500, Side::Bid, 100, 3)]);
    assert_eq!(fills(&venue), []);
    assert_eq!(background(&venue, Side::Bid), BTreeMap::from([(100, 2)]));
    let venue = fed(&events, "through", &[(500, Side::Bid, 100, 3)]);
    assert_eq!(fills(&venue), [(100, 2, FillCause::TradeThrough)], "no more than what was printed");
    let venue = fed(&events, "touch", &[(500, Side::Bid, 100, 3)]);
    assert_eq!(fills(&venue), [(100, 3, FillCause::Queue)]);
}

#[test]
fn after_a_gap_a_fed_market_stands_still_until_a_snapshot_joins() {
    let gapped = |id: u64| depth(DepthKind::Diff, 2_000 + id, (id, id), &[(100, 1)], &[]);
    let events = [
        snapshot(&[(100, 10)], &[(101, 7)]),
        diff(1_000, 101, &[(100, 9)], &[]),
        gapped(104),
        depth(DepthKind::Snapshot, 2_500, (104, 104), &[(99, 5), (100, 3)], &[(101, 7)]),
        diff(2_600, 105, &[(99, 6)], &[]),
    ];
    let bids = |count: usize| {
        let venue = fed(&events[..count], "risk-averse", &[]);
        let known = venue.recorded_depth(ETHUSDT, 10).unwrap();
        (known.last_update_id, known.bids.iter().map(|at| (at.price.ticks(), at.qty.lots())).collect::<Vec<_>>())
    };
    assert_eq!(bids(3), (101, vec![(100, 9)]));
    assert_eq!(bids(4), (104, vec![(100, 3), (99, 5)]));
    assert_eq!(bids(5), (105, vec![(100, 3), (99, 6)]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One level that trades, shrinks and grows, and sometimes is traded through, with one order of ours in it.
    #[test]
    fn a_more_pessimistic_model_never_fills_earlier_and_none_more_than_was_traded(
        steps in prop::collection::vec((0_u8..8, 1_i64..9), 1..60),
        size in 1_i64..6,
    ) {
        let mut level = 12;
        let mut events = vec![snapshot(&[(100, level), (98, 30)], &[(101, 7)])];
        let mut traded = 0;
        for (index, (kind, qty)) in steps.iter().enumerate() {
            let millis = (index as u64 + 1) * 100;
            match kind {
                0..=2 => {
                    events.push(print(millis, Side::Ask, 100, *qty));
                    level = (level - qty).max(0);
                    traded += qty;
                }
                3..=4 => level = (level - qty).max(0),
                5..=6 => level += qty,
                _ if *qty > 7 => {
                    events.push(print(millis, Side::Ask, 99, *qty));
                    level = 0;
                    traded += qty;
                }
                _ => {}
            }
            events.push(diff(millis + 50, 101 + index as u64, &[(100, level)], &[]));
        }
        let filled = |fill: &str| {
            let venue = fed(&events, fill, &[(50, Side::Bid, 100, size)]);
            let query = TradesQuery { limit: usize::MAX, ..TradesQuery::default() };
            let rows = venue.my_trades(MAKER, ETHUSDT, query);
            let total: i64 = rows.iter().map(|row| row.qty_e8 / LOT_E8).sum();
            (rows.first().map_or(u64::MAX, |row| row.time.nanos()), total)
        };
        let models = ["touch", "prob:power3", "prob:log2", "risk-averse", "through"];
        let found = models.map(filled);
        for (_, total) in found {
            prop_assert!(total <= traded.min(size), "{:?} of {} traded", found, traded);
        }
        for (earlier, later) in [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)] {
            prop_assert!(found[earlier].0 <= found[later].0, "{} after {}: {:?}", models[earlier], models[later], found);
        }
        // Replayed by the venue itself, the same tape says the same.
        let mut venue = venue_of(events.clone(), 1);
        place(&mut venue, 50, Side::Bid, 100, size);
        venue.advance(at(100_000));
        prop_assert_eq!(fills(&venue), fills(&fed(&events, "risk-averse", &[(50, Side::Bid, 100, size)])));
    }
}

/// Reads an hftbacktest raw file. A plain reader of its own, so that the venue is not tested against its own importer.
fn read_raw(path: &Path) -> Vec<RecordedEvent> {
    let file = std::fs::File::open(path).unwrap();
    let instrument = instrument();
    let mut events = Vec::new();
    for line in BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines() {
        let line = line.unwrap();
        let (nanos, json) = line.split_once(' ').unwrap();
        let recv_ts = TimestampNs::from_nanos(nanos.parse().unwrap());
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let levels = |value: &serde_json::Value| -> Vec<Level> {
            let level = |pair: &serde_json::Value| Level {
                price: instrument.price_from_text(pair[0].as_str().unwrap().as_bytes()).unwrap(),
                qty: instrument.qty_from_text(pair[1].as_str().unwrap().as_bytes()).unwrap(),
            };
            value.as_array().unwrap().iter().map(level).collect()
        };
        let mut buf = DepthBuf::with_capacity(0);
        buf.head.recv_ts = recv_ts;
        if let Some(id) = value["lastUpdateId"].as_u64() {
            buf.head.kind = DepthKind::Snapshot;
            (buf.head.first_id, buf.head.last_id) = (id, id);
            (buf.bids, buf.asks) = (levels(&value["bids"]), levels(&value["asks"]));
            events.push(RecordedEvent::Depth(buf));
            continue;
        }
        let data = &value["data"];
        match data["e"].as_str() {
            Some("depthUpdate") => {
                (buf.head.first_id, buf.head.last_id) = (data["U"].as_u64().unwrap(), data["u"].as_u64().unwrap());
                (buf.bids, buf.asks) = (levels(&data["b"]), levels(&data["a"]));
                events.push(RecordedEvent::Depth(buf));
            }
            Some("trade") => events.push(RecordedEvent::Trade(Trade {
                instrument: ETHUSDT,
                event_ts: TimestampNs::from_millis(data["T"].as_u64().unwrap()),
                recv_ts,
                id: TradeId(data["t"].as_i64().unwrap()),
                price: instrument.price_from_text(data["p"].as_str().unwrap().as_bytes()).unwrap(),
                qty: instrument.qty_from_text(data["q"].as_str().unwrap().as_bytes()).unwrap(),
                aggressor: if data["m"].as_bool().unwrap() { Side::Ask } else { Side::Bid },
            })),
            _ => {}
        }
    }
    events
}

#[test]
fn a_real_recording_is_the_background_and_fills_a_maker_in_its_queue() {
    let Some(data) = common::data_dir() else { return };
    let events = read_raw(&data.join("hftbacktest/examples/spot/ethusdt_20240808.gz"));
    let first = events
        .iter()
        .position(|event| matches!(event, RecordedEvent::Depth(depth) if depth.head.kind == DepthKind::Snapshot))
        .unwrap();
    let RecordedEvent::Depth(opening) = &events[first] else { unreachable!() };
    let anchor = opening.head.recv_ts;
    let mut book: [BTreeMap<i64, i64>; 2] = Default::default();
    let mut book_id = opening.head.last_id;
    for (side, levels) in book.iter_mut().zip([&opening.bids, &opening.asks]) {
        side.extend(levels.iter().map(|level| (level.price.ticks(), level.qty.lots())));
    }
    let mut venue = venue_of(events.clone(), 1);
    let (mut compared, mut printed, mut recorded_prints) = (0, 0, 0);
    let mut working: [Option<(u64, i64)>; 2] = [None, None];
    for event in &events[first..] {
        let recv_ts = match event {
            RecordedEvent::Depth(depth) => depth.head.recv_ts,
            RecordedEvent::Trade(trade) => trade.recv_ts,
        };
        let now = at(0).plus(DurationNs::from_nanos(recv_ts.since(anchor).nanos()));
        venue.advance(now);
        for event in venue.market_events() {
            if let VenueMarketEvent::Trade(trade) = event {
                printed += trade.qty.lots();
            }
        }
        venue.user_events();
        match event {
            RecordedEvent::Trade(trade) => recorded_prints += trade.qty.lots(),
            RecordedEvent::Depth(depth) if depth.head.kind == DepthKind::Diff && depth.head.last_id > book_id => {
                book_id = depth.head.last_id;
                for (side, levels) in book.iter_mut().zip([&depth.bids, &depth.asks]) {
                    side.extend(levels.iter().map(|level| (level.price.ticks(), level.qty.lots())));
                    side.retain(|_, qty| *qty != 0);
                }
                if compared % 20 == 0 {
                    venue.check().unwrap();
                    for side in Side::BOTH {
                        let mut want = book[side.index()].clone();
                        for (price, _, consumed) in venue.recorded_levels(ETHUSDT, side) {
                            if let Some(qty) = want.get_mut(&price.ticks()) {
                                *qty = (*qty - consumed.lots()).max(0);
                            }
                        }
                        want.retain(|_, qty| *qty != 0);
                        assert_eq!(background(&venue, side), want, "{side:?} after update {book_id}");
                    }
                }
                compared += 1;
            }
            RecordedEvent::Depth(_) => {}
        }
        // A maker that joins the touch and follows it.
        let depth = venue.depth(ETHUSDT, 1);
        for (side, level) in [(Side::Bid, depth.bids[0]), (Side::Ask, depth.asks[0])] {
            let slot = &mut working[side.index()];
            if slot.is_some_and(|(id, price)| {
                let open = venue.order(MAKER, ETHUSDT, OrderRef::id(id)).unwrap().status.is_open();
                open && price == level.price.ticks()
            }) {
                continue;
            }
            if let Some((id, _)) = slot.take() {
                let _ = venue.cancel(now, MAKER, ETHUSDT, OrderRef::id(id), None, None);
            }
            let price_e8 = level.price.ticks() * TICK_E8;
            let order = VenueOrder::limit(ETHUSDT, side, VenueOrderKind::LimitMaker, price_e8, 1_000 * LOT_E8, None);
            if let Ok(placed) = venue.place(now, MAKER, &order) {
                *slot = Some((placed.order.order_id, level.price.ticks()));
            }
        }
    }
    let fills = fills(&venue);
    let count = |cause| fills.iter().filter(|fill| fill.2 == cause).count();
    println!(
        "{compared} diffs, {} fills: {} queue, {} through, {} cross; printed {printed} of {recorded_prints} lots",
        fills.len(),
        count(FillCause::Queue),
        count(FillCause::TradeThrough),
        count(FillCause::Cross)
    );
    assert!(venue.is_exhausted());
    assert!(compared > 1_000);
    assert!(count(FillCause::Queue) > 10);
    assert_eq!(count(FillCause::Taker), 0);
    // Crossing quotes print trades that the recording does not have; otherwise the tape is the recording's.
    let extra: i64 = fills.iter().filter(|fill| fill.2 == FillCause::Cross).map(|fill| fill.1).sum();
    assert!((printed - extra - recorded_prints).abs() <= recorded_prints / 100, "{printed} {extra} {recorded_prints}");
}
