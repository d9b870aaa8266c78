//! The faults of a feed against a naive model: a table of every way in which diffs and snapshots can meet, and random
//! streams with drops, duplicates, swaps and late snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::market::MarketStage;
use super::sync::SyncRule;
use crate::types::{
    BookState, DesyncReason, Filters, Instrument, InstrumentId, InstrumentSpec, Level, MarketUpdate, Price, Qty, Side,
    Symbol, TimestampNs,
};
use crate::wire::{DepthBuf, DepthKind, FeedEvent, FeedNotice};

pub(super) fn instruments(count: u16) -> Vec<Instrument> {
    let spec = InstrumentSpec {
        symbol: Symbol::new("BTCUSDT").unwrap(),
        base: Symbol::new("BTC").unwrap(),
        quote: Symbol::new("USDT").unwrap(),
        tick_e8: 1,
        lot_e8: 1,
        filters: Filters::default(),
    };
    (0..count).map(|id| Instrument::new(InstrumentId(id), spec)).collect()
}

pub(super) fn level(price: i64, qty: i64) -> Level {
    Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
}

/// A diff of instrument 0 whose only level says which update it ends with, so that the best bid tells what the book
/// holds.
fn diff(first_id: u64, last_id: u64, prev_id: Option<u64>) -> DepthBuf {
    let mut depth = DepthBuf::with_capacity(2);
    depth.head.first_id = first_id;
    depth.head.last_id = last_id;
    depth.head.prev_id = prev_id;
    depth.head.recv_ts = TimestampNs::from_millis(last_id);
    depth.bids.push(level(100, last_id as i64));
    depth.asks.push(level(200, 1));
    depth
}

fn snapshot(last_id: u64) -> DepthBuf {
    let mut depth = diff(last_id, last_id, None);
    depth.head.kind = DepthKind::Snapshot;
    depth
}

pub(super) fn send(stage: &mut MarketStage, depth: &DepthBuf) -> Option<MarketUpdate> {
    stage.on_event(&FeedEvent::Depth(depth.as_ref()))
}

fn state_of(update: Option<MarketUpdate>) -> Option<BookState> {
    match update? {
        MarketUpdate::Book(view) => Some(view.state),
        _ => None,
    }
}

const ID: InstrumentId = InstrumentId(0);
const LIVE: BookState = BookState::Live;
const STARTING: BookState = BookState::Syncing(DesyncReason::Starting);
const GAP: BookState = BookState::Syncing(DesyncReason::Gap);

/// What is sent: a diff with `U`, `u` and on USD-M `pu`, or a snapshot.
#[derive(Clone, Copy, Debug)]
enum Sent {
    D(u64, u64),
    F(u64, u64, u64),
    S(u64),
}

/// Name, rule, messages; then the state at the end, the book's update id, the diffs applied and the gaps.
type Row<'a> = (&'a str, SyncRule, &'a [Sent], BookState, u64, u64, u64);

#[test]
fn diffs_and_snapshots_meet_as_the_venue_says() {
    use Sent::{D, F, S};
    let spot = SyncRule::Spot;
    let usdm = SyncRule::UsdM;
    let table: &[Row<'_>] = &[
        ("the first diff spans the snapshot", spot, &[D(5, 9), D(10, 12), S(7)], LIVE, 12, 2, 0),
        ("the first diff follows the snapshot", spot, &[D(8, 9), S(7)], LIVE, 9, 1, 0),
        ("diffs that the snapshot holds are dropped", spot, &[D(1, 3), D(4, 7), D(8, 9), S(7)], LIVE, 9, 1, 0),
        ("a snapshot newer than all is live at once", spot, &[D(1, 3), S(7)], LIVE, 7, 0, 0),
        ("a snapshot before all diffs waits for proof", spot, &[S(7)], STARTING, 7, 0, 0),
        ("proof by a spanning diff", spot, &[S(7), D(6, 9)], LIVE, 9, 1, 0),
        ("proof by a diff that says nothing new", spot, &[S(7), D(5, 7)], LIVE, 7, 0, 0),
        ("an unproven snapshot with a hole is dropped", spot, &[S(7), D(9, 10)], STARTING, 0, 0, 0),
        ("and the diff is kept for the next", spot, &[S(7), D(9, 10), S(9)], LIVE, 10, 1, 0),
        ("a snapshot older than the first U is refused", spot, &[D(9, 10), S(7)], STARTING, 0, 0, 0),
        ("the next one joins", spot, &[D(9, 10), S(7), D(11, 11), S(10)], LIVE, 11, 1, 0),
        ("one update skipped", spot, &[D(8, 9), S(7), D(11, 12)], GAP, 0, 1, 1),
        ("many updates skipped", spot, &[D(8, 9), S(7), D(1000, 1001)], GAP, 0, 1, 1),
        ("a gap heals", spot, &[D(8, 9), S(7), D(11, 12), D(13, 13), S(12)], LIVE, 13, 2, 1),
        ("a duplicate changes nothing", spot, &[D(8, 9), S(7), D(8, 9), D(10, 10)], LIVE, 10, 2, 0),
        ("an overlapping diff applies", spot, &[D(8, 9), S(7), D(9, 12)], LIVE, 12, 2, 0),
        ("an old diff is ignored", spot, &[D(8, 9), S(7), D(3, 4), D(10, 10)], LIVE, 10, 2, 0),
        ("a needless snapshot is ignored", spot, &[D(8, 9), S(7), S(20), D(10, 10)], LIVE, 10, 2, 0),
        ("a hole among the kept diffs", spot, &[D(1, 2), D(5, 6), S(3)], STARTING, 0, 0, 1),
        ("a hole among the kept, snapshot after it", spot, &[D(1, 2), D(5, 6), S(4)], LIVE, 6, 1, 1),
        ("swapped diffs are a gap", spot, &[D(8, 9), S(7), D(12, 13), D(10, 11)], GAP, 0, 1, 1),
        ("futures: the first diff spans", usdm, &[F(5, 9, 4), F(12, 14, 9), S(7)], LIVE, 14, 2, 0),
        ("futures: a diff ending at the snapshot joins", usdm, &[F(5, 7, 4), S(7)], LIVE, 7, 1, 0),
        ("futures: older diffs alone prove nothing", usdm, &[F(1, 3, 0), S(7)], STARTING, 7, 0, 0),
        ("futures: proof by a later diff", usdm, &[F(1, 3, 0), S(7), F(6, 9, 3), F(15, 16, 9)], LIVE, 16, 2, 0),
        ("futures: ids may jump, pu may not", usdm, &[F(5, 9, 4), S(7), F(20, 22, 9)], LIVE, 22, 2, 0),
        ("futures: pu skipped", usdm, &[F(5, 9, 4), S(7), F(10, 12, 10)], GAP, 0, 1, 1),
        ("futures: a duplicate changes nothing", usdm, &[F(5, 9, 4), S(7), F(5, 9, 4), F(10, 12, 9)], LIVE, 12, 2, 0),
        ("futures: a snapshot before the first U", usdm, &[F(9, 10, 8), S(8)], STARTING, 0, 0, 0),
        ("futures: an overlap without its pu is a gap", usdm, &[F(5, 9, 4), S(7), F(8, 12, 7)], GAP, 0, 1, 1),
    ];
    for &(name, rule, sent, state, update_id, applied, gaps) in table {
        let mut stage = MarketStage::new(&instruments(1), rule);
        for message in sent {
            let depth = match *message {
                D(first, last) => diff(first, last, None),
                F(first, last, prev) => diff(first, last, Some(prev)),
                S(last) => snapshot(last),
            };
            send(&mut stage, &depth);
        }
        assert_eq!((stage.state(ID), stage.update_id(ID)), (state, update_id), "{name}");
        let counters = stage.counters(ID);
        assert_eq!((counters.diffs_applied, counters.gaps), (applied, gaps), "{name}");
        if state == LIVE {
            assert_eq!(stage.book(ID).best(Side::Bid), Some(level(100, update_id as i64)), "{name}");
        }
    }
}

fn live_stage(count: u16) -> MarketStage {
    let mut stage = MarketStage::new(&instruments(count), SyncRule::Spot);
    for id in 0..count {
        let (mut first, mut whole) = (diff(8, 9, None), snapshot(7));
        first.head.instrument = InstrumentId(id);
        whole.head.instrument = InstrumentId(id);
        assert_eq!(send(&mut stage, &first), None);
        assert_eq!(state_of(send(&mut stage, &whole)), Some(LIVE));
    }
    stage
}

#[test]
fn a_gap_is_told_with_the_very_diff_that_shows_it_and_touches_no_other_book() {
    let mut stage = live_stage(2);
    let digest = stage.book(InstrumentId(1)).digest();
    assert_eq!(state_of(send(&mut stage, &diff(11, 11, None))), Some(GAP));
    assert_eq!((stage.state(ID), stage.state(InstrumentId(1))), (GAP, LIVE));
    assert_eq!(stage.book(InstrumentId(1)).digest(), digest);
    assert_eq!(stage.book(ID).level_count(Side::Bid), 0, "a lost book is not shown");
    assert_eq!(stage.snapshot_wanted(TimestampNs::from_millis(1)), Some(ID));
    assert_eq!(stage.snapshot_wanted(TimestampNs::from_millis(1)), None);
}

#[test]
fn notices_silence_the_book_until_it_has_synced_again() {
    for reason in [DesyncReason::Disconnected, DesyncReason::Overrun, DesyncReason::Malformed, DesyncReason::Gap] {
        let mut stage = live_stage(2);
        let recv_ts = TimestampNs::from_millis(50);
        let notice = FeedNotice { instrument: Some(InstrumentId(1)), reason, recv_ts };
        let update = stage.on_event(&FeedEvent::Notice(notice));
        assert_eq!(state_of(update), Some(BookState::Syncing(reason)));
        assert_eq!(stage.state(ID), LIVE);
        let all = FeedNotice { instrument: None, reason, recv_ts };
        assert_eq!(state_of(stage.on_event(&FeedEvent::Notice(all))), Some(BookState::Syncing(reason)));
        assert_eq!(stage.state(ID), BookState::Syncing(reason));
        // What came before the notice is forgotten: a snapshot under way since then proves nothing by itself.
        assert_eq!(send(&mut stage, &snapshot(9)), None);
        assert_eq!(state_of(send(&mut stage, &diff(30, 31, None))), None);
        assert_eq!(stage.state(ID), BookState::Syncing(reason));
        assert_eq!(state_of(send(&mut stage, &snapshot(30))), Some(LIVE));
    }
}

#[test]
fn a_lasting_cross_is_given_up_and_a_short_one_is_counted() {
    let mut stage = live_stage(1);
    let mut at = |first: u64, millis: u64, bid: i64, qty: i64| {
        let mut depth = diff(first, first, None);
        depth.head.recv_ts = TimestampNs::from_millis(millis);
        depth.bids = vec![level(bid, qty)];
        let update = send(&mut stage, &depth);
        (state_of(update).unwrap(), stage.counters(ID).crossings)
    };
    assert_eq!(at(10, 1000, 200, 5), (LIVE, 1));
    assert_eq!(at(11, 1500, 201, 5), (LIVE, 1));
    assert_eq!(at(12, 1501, 202, 5), (BookState::Syncing(DesyncReason::Crossed), 1));
    let mut stage = live_stage(1);
    for (id, bid_qty) in [(10, 5), (11, 0), (12, 5)] {
        let mut depth = diff(id, id, None);
        depth.head.recv_ts = TimestampNs::from_millis(id * 1000);
        depth.bids = vec![level(200, bid_qty)];
        send(&mut stage, &depth);
    }
    assert_eq!((stage.state(ID), stage.counters(ID).crossings), (LIVE, 2));
}

#[test]
fn snapshots_are_asked_for_with_a_capped_back_off_that_never_ends() {
    let mut stage = MarketStage::new(&instruments(1), SyncRule::Spot);
    let at = TimestampNs::from_millis;
    assert_eq!(stage.snapshot_wanted(at(0)), None, "no diff to join yet");
    send(&mut stage, &diff(8, 9, None));
    let asked: Vec<u64> = (0..100_000).filter(|&ms| stage.snapshot_wanted(at(ms)).is_some()).collect();
    assert_eq!(asked[..6], [0, 1000, 3000, 7000, 15_000, 23_000]);
    assert!(asked.windows(2).skip(4).all(|pair| pair[1] - pair[0] == 8000));
    assert!(asked.last().unwrap() + 8000 >= 100_000, "it gave up");
    // A quiet market is asked after a second without any diff.
    let mut quiet = MarketStage::new(&instruments(1), SyncRule::Spot);
    let asked: Vec<u64> = (0..1500).filter(|&ms| quiet.snapshot_wanted(at(ms)).is_some()).collect();
    assert_eq!(asked, [1000]);
}

#[test]
fn a_book_that_lives_is_asked_for_at_once_again_and_all_together_keep_within_the_weight() {
    let at = TimestampNs::from_millis;
    let mut stage = live_stage(1);
    for (round, lost_at) in [2_000_u64, 3_100, 4_200, 5_300].into_iter().enumerate() {
        let first = 100 * (1 + round as u64);
        send(&mut stage, &diff(first, first, None));
        assert_eq!(stage.snapshot_wanted(at(lost_at)), Some(ID), "round {round}");
        assert_eq!(state_of(send(&mut stage, &snapshot(first))), Some(LIVE));
        assert_eq!(stage.snapshot_wanted(at(lost_at)), None);
    }
    // Two hundred books of which none ever lives: in no minute more than a hundred requests.
    let mut many = MarketStage::new(&instruments(200), SyncRule::Spot);
    let mut asked = Vec::new();
    for ms in (0..200_000).step_by(20) {
        while many.snapshot_wanted(at(ms)).is_some() {
            asked.push(ms);
        }
    }
    let most = asked.iter().map(|from| asked.iter().filter(|ms| (*from..from + 60_000).contains(*ms)).count()).max();
    assert!((95..=101).contains(&most.unwrap()), "{most:?}");
}

#[test]
fn a_backlog_is_bounded_and_still_joins() {
    let mut stage = MarketStage::new(&instruments(1), SyncRule::Spot);
    for id in 1..=10_000 {
        send(&mut stage, &diff(id, id, None));
    }
    assert_eq!(stage.counters(ID).backlog_overflows, 2);
    assert_eq!(state_of(send(&mut stage, &snapshot(9_990))), Some(LIVE));
    assert_eq!((stage.update_id(ID), stage.counters(ID).diffs_applied), (10_000, 10));
}

/// The venue's side of a random session: every book it ever had, by update id.
struct Venue {
    rule: SyncRule,
    books: Vec<(u64, [BTreeMap<i64, i64>; 2])>,
    diffs: Vec<DepthBuf>,
}

impl Venue {
    fn new(rng: &mut ChaCha8Rng, rule: SyncRule, count: usize) -> Venue {
        let mut book = [BTreeMap::from([(99_i64, 5_i64)]), BTreeMap::from([(101_i64, 5_i64)])];
        let mut venue = Venue { rule, books: vec![(100, book.clone())], diffs: Vec::new() };
        let mut last_id = 100;
        for _ in 0..count {
            let first_id = last_id + if rule == SyncRule::Spot { 1 } else { rng.random_range(1..5) };
            let prev_id = (rule == SyncRule::UsdM).then_some(last_id);
            last_id = first_id + rng.random_range(0..4);
            let mut depth = DepthBuf::with_capacity(4);
            depth.head.first_id = first_id;
            depth.head.last_id = last_id;
            depth.head.prev_id = prev_id;
            for (side, levels) in [(0, &mut depth.bids), (1, &mut depth.asks)] {
                for _ in 0..rng.random_range(0..4_u32) {
                    let away = rng.random_range(1..30_i64);
                    let price = if side == 0 { 100 - away } else { 100 + away };
                    let qty = if rng.random_bool(0.3) { 0 } else { rng.random_range(1..1000) };
                    levels.push(level(price, qty));
                    if qty == 0 {
                        book[side].remove(&price);
                    } else {
                        book[side].insert(price, qty);
                    }
                }
            }
            venue.diffs.push(depth);
            venue.books.push((last_id, book.clone()));
        }
        venue
    }

    /// The snapshot that the venue would have given after that many diffs.
    fn snapshot(&self, after: usize) -> DepthBuf {
        let (last_id, book) = &self.books[after];
        let mut depth = snapshot(*last_id);
        depth.bids = book[0].iter().rev().map(|(&price, &qty)| level(price, qty)).collect();
        depth.asks = book[1].iter().map(|(&price, &qty)| level(price, qty)).collect();
        depth
    }

    /// A live book is the venue's own at its update id, level by level.
    fn check(&self, stage: &MarketStage) {
        if stage.state(ID) != LIVE {
            return;
        }
        let update_id = stage.update_id(ID);
        let at = self.books.binary_search_by_key(&update_id, |(id, _)| *id);
        let (_, model) = &self.books[at.unwrap_or_else(|_| panic!("no book of the venue has the id {update_id}"))];
        for side in Side::BOTH {
            let mut got: Vec<_> =
                stage.book(ID).levels(side).map(|level| (level.price.ticks(), level.qty.lots())).collect();
            got.sort_unstable();
            let want: Vec<_> = model[side.index()].iter().map(|(&price, &qty)| (price, qty)).collect();
            assert_eq!(got, want, "{:?} {side:?} at {update_id}", self.rule);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_live_book_is_always_one_that_the_venue_had(seed in any::<u64>(), usdm in any::<bool>(), faults in 0.0..0.2_f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rule = if usdm { SyncRule::UsdM } else { SyncRule::Spot };
        let venue = Venue::new(&mut rng, rule, 200);
        // The second stage asks for nothing, as a replay does.
        let mut stages = [rule; 2].map(|rule| MarketStage::new(&instruments(1), rule));
        // Snapshots under way: what they will hold was fixed when they were asked for; they arrive later.
        let mut under_way: Vec<(usize, usize)> = Vec::new();
        let mut order: Vec<usize> = (0..venue.diffs.len()).collect();
        // Faults end here; what follows is in order and whole, and each snapshot is taken after it was asked for.
        const CALM: usize = 150;
        for at in 1..CALM {
            if rng.random_bool(faults / 4.0) {
                order.swap(at - 1, at);
            }
        }
        let deliver = |stages: &mut [MarketStage; 2], depth: &DepthBuf| {
            for stage in stages {
                send(stage, depth);
                venue.check(stage);
            }
        };
        for (step, &at) in order.iter().enumerate() {
            let now = TimestampNs::from_millis(step as u64 * 400);
            if stages[0].snapshot_wanted(now).is_some() {
                let taken = if step < CALM { (at + rng.random_range(0..3_usize)).saturating_sub(1) } else { at + 1 };
                under_way.push((step + rng.random_range(0..4_usize), taken.min(venue.diffs.len())));
            }
            for &(due, taken) in &under_way {
                if due == step {
                    deliver(&mut stages, &venue.snapshot(taken));
                }
            }
            let faults = if step < CALM { faults } else { 0.0 };
            if !rng.random_bool(faults) {
                deliver(&mut stages, &venue.diffs[at]);
                if rng.random_bool(faults) {
                    deliver(&mut stages, &venue.diffs[rng.random_range(0..=at)]);
                }
            }
        }
        prop_assert_eq!(stages[0].digest(), stages[1].digest());
        // Once the faults stop, the book comes back: it never gives up.
        prop_assert_eq!(stages[0].state(ID), LIVE);
        prop_assert_eq!(stages[0].update_id(ID), venue.books[200].0);
    }
}
