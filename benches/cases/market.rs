//! From events to a book: records, links, journal, levels.

use std::collections::BTreeMap;
use std::hint::black_box;

use touchline::book::ArenaBook;
use touchline::journal::{Journal, JournalConfig, SessionInfo};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::types::{BookState, Level, MarketUpdate, Price, Qty, SessionId, Side, TimestampNs};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent, Flags, Kind, RecordBuf, Stream, unit_link};

use super::Case;
use super::frames::instrument;

/// A series that looks random and is the same everywhere.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn level(ticks: i64, lots: i64) -> Level {
    Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(lots) }
}

fn diff() -> DepthBuf {
    let mut depth = DepthBuf::with_capacity(20);
    depth.bids.extend((0..10).map(|i| level(6_000_000 - i, i + 1)));
    depth.asks.extend((0..10).map(|i| level(6_000_001 + i, i + 1)));
    depth
}

const RECORDS: u64 = 64;

pub fn record_encode() -> Case {
    let depth = diff();
    let mut buf = RecordBuf::with_capacity(4096);
    let units = {
        let (kind, ts) = FeedEvent::Depth(depth.as_ref()).encode(&mut buf);
        buf.finish(Stream::Feed, kind, Flags::NONE, 1, ts).len() as u64
    };
    Case::new("record_encode_depth_20", RECORDS as usize, RECORDS * units, move || {
        let mut sum = 0;
        for seq in 1..=RECORDS {
            let (kind, ts) = FeedEvent::Depth(black_box(&depth).as_ref()).encode(&mut buf);
            sum += black_box(buf.finish(Stream::Feed, kind, Flags::NONE, seq, ts)).len() as u64;
        }
        sum
    })
}

pub fn link_record() -> Case {
    let depth = diff();
    let mut buf = RecordBuf::with_capacity(4096);
    let (kind, ts) = FeedEvent::Depth(depth.as_ref()).encode(&mut buf);
    let record = buf.finish(Stream::Feed, kind, Flags::NONE, 1, ts).to_vec();
    // Whole rounds fit into the ring, so that its end falls on the same record in each.
    let (mut sender, mut receiver) = unit_link(RECORDS as usize * (record.len() + 1));
    let want = RECORDS * (RECORDS + 1) / 2 + RECORDS * 20;
    Case::new("link_record_depth_20", RECORDS as usize, want, move || {
        let mut sum = 0;
        for stamp in 1..=RECORDS {
            sender.send_stamped(black_box(&record), stamp).expect("the ring is drained each time");
            let (stamp, record) = receiver.recv_stamped().expect("it was just sent");
            match FeedEvent::decode(&record.expect("it was just built")) {
                Ok(FeedEvent::Depth(depth)) => sum += stamp + (depth.bids.len() + depth.asks.len()) as u64,
                other => panic!("{other:?}"),
            }
        }
        sum
    })
}

pub fn ring() -> Case {
    /// As large as a command.
    type Item = [u64; 8];
    const ITEMS: u64 = 256;
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Item>::new(ITEMS as usize);
    Case::new("ring_push_pop", ITEMS as usize, ITEMS * (ITEMS - 1) / 2, move || {
        let mut sum = 0;
        for i in 0..ITEMS {
            producer.push(black_box([i; 8])).expect("the ring is drained each time");
            sum += consumer.pop().expect("it was just pushed")[7];
        }
        sum
    })
}

pub fn journal_append() -> Case {
    const APPENDS: u64 = 256;
    let dir = tempfile::tempdir().expect("a folder");
    let info = SessionInfo::new(SessionId(1), "gate", "binance", TimestampNs::ZERO, &[], None);
    let config = JournalConfig { segment_bytes: 1 << 20, sync_interval: None, ..JournalConfig::new(dir.path()) };
    let Journal { mut feed, quote, gateways, keeper, .. } = Journal::create(&config, &info, 0).expect("a journal");
    let mut buf = RecordBuf::with_capacity(64);
    Case::new("journal_append_64", APPENDS as usize, APPENDS, move || {
        // The folder and the cold end live as long as the writer.
        let _ = (&dir, &quote, &gateways, &keeper);
        let first = feed.next_seq();
        for seq in first..first + APPENDS {
            buf.begin();
            buf.put(black_box(&[7; 32]));
            let units = buf.finish(Stream::Feed, Kind::RawFrame, Flags::NONE, seq, TimestampNs::ZERO);
            feed.append(units).expect("the segment has room");
        }
        feed.next_seq() - first
    })
    .once()
}

fn best_sum(bests: impl Iterator<Item = (i64, i64)>) -> u64 {
    bests.map(|(price, lots)| (price ^ lots) as u64).fold(0, u64::wrapping_add)
}

pub fn book_apply() -> Case {
    const DIFFS: usize = 200;
    let mut draw = Draw(7);
    let mut mid = 6_125_000_i64;
    let whole = [-1_i64, 1].map(|sign| (1..=500).map(|i| level(mid + sign * (i * i / 60 + i), i)).collect::<Vec<_>>());
    let diffs: Vec<[Vec<Level>; 2]> = (0..DIFFS)
        .map(|_| {
            mid += draw.below(7) as i64 - 3;
            [-1_i64, 1].map(|sign| {
                let levels = (0..10).map(|_| {
                    let away = if draw.below(10) < 9 { 1 + draw.below(60) } else { 1 + draw.below(30_000) };
                    let lots = if draw.below(100) < 35 { 0 } else { 1 + draw.below(100_000) };
                    level(mid + sign * away as i64, lots as i64)
                });
                levels.collect()
            })
        })
        .collect();
    // The same from sorted maps.
    let mut sides: [BTreeMap<i64, i64>; 2] = Default::default();
    let mut want = 0_u64;
    for (number, levels) in std::iter::once(&whole).chain(&diffs).enumerate() {
        for (side, levels) in sides.iter_mut().zip(levels) {
            for level in levels {
                match level.qty.lots() {
                    0 => side.remove(&level.price.ticks()),
                    lots => side.insert(level.price.ticks(), lots),
                };
            }
        }
        if number > 0 {
            let bests = [sides[0].last_key_value(), sides[1].first_key_value()];
            want = want.wrapping_add(best_sum(bests.into_iter().flatten().map(|(price, lots)| (*price, *lots))));
        }
    }
    // A book is changed by what it is given, so each call takes one that was never used; those of the gate lie ready.
    let mut start = ArenaBook::new();
    start.apply(&whole[0], &whole[1]);
    let mut ready = vec![start.clone(); 3];
    Case::new("book_apply_20", DIFFS, want, move || {
        let mut book = ready.pop().unwrap_or_else(|| start.clone());
        let mut sum = 0_u64;
        for [bids, asks] in &diffs {
            black_box(&mut book).apply(bids, asks);
            let bests = Side::BOTH.iter().filter_map(|&side| book.best(side));
            sum = sum.wrapping_add(best_sum(bests.map(|best| (best.price.ticks(), best.qty.lots()))));
        }
        sum
    })
    .once()
}

/// Diffs of 20 levels that follow on a snapshot: each moves the touch by a tick, there and back again.
pub fn stage() -> Case {
    const DIFFS: usize = 32;
    let mut stage = MarketStage::new(&[instrument()], SyncRule::Spot);
    let mut snapshot = DepthBuf::with_capacity(200);
    (snapshot.head.kind, snapshot.head.first_id, snapshot.head.last_id) = (DepthKind::Snapshot, 1, 1);
    snapshot.bids.extend((1..=100).map(|away| level(6_000_000 - away, 700 + away)));
    snapshot.asks.extend((1..=100).map(|away| level(6_000_000 + away, 700 + away)));
    assert!(stage.snapshot_wanted(TimestampNs::from_millis(5_000)).is_none(), "it waits for a diff first");
    stage.on_event(&FeedEvent::Depth(snapshot.as_ref()));
    let mut want = 0;
    let mut diffs: Vec<DepthBuf> = (1..=DIFFS as i64)
        .map(|step| {
            let mid = 6_000_000 + if step <= 16 { step } else { 32 - step };
            let mut diff = DepthBuf::with_capacity(20);
            // Nothing is left inside the spread; behind it each level has its size.
            let lots = |away: i64| if away < 1 { 0 } else { 500 + step + away };
            diff.bids.extend((-1..=8).map(|away| level(mid - away, lots(away))));
            diff.asks.extend((-1..=8).map(|away| level(mid + away, lots(away))));
            want += (mid - 1 + mid + 1 + 2 * lots(1)) as u64;
            diff
        })
        .collect();
    let mut last_id = 1;
    Case::new("market_stage_20", DIFFS, want, move || {
        let mut sum = 0;
        for diff in &mut diffs {
            last_id += 1;
            (diff.head.first_id, diff.head.last_id) = (last_id, last_id);
            match stage.on_event(black_box(&FeedEvent::Depth(diff.as_ref()))) {
                Some(MarketUpdate::Book(view)) if view.state == BookState::Live => {
                    let bests = Side::BOTH.iter().filter_map(|&side| view.levels(side).first());
                    sum += bests.map(|best| (best.price.ticks() + best.qty.lots()) as u64).sum::<u64>();
                }
                other => panic!("{other:?}"),
            }
        }
        sum
    })
}
