//! The tape that everybody plays: as our packed events and as the peers' array of 64-byte records.
//!
//! The workload: a thousand levels a side around a mid of 500 000 ticks, then ten changes of a level to one trade, half
//! a millisecond to one and a half apart. The mid moves a tick with one change of twenty, and the touch with it; other
//! changes are of a level `floor(1000 u²)` ticks behind the touch of either side: a free one is taken by up to 200 lots,
//! four of ten that stand go, the others gain or lose up to half. Trades, of up to 200 lots, are at the best price, and
//! three of ten up to three ticks beyond it. At the end all levels go, so that tapes can be played behind each other.
//! Numbers are splitmix64's, of seed 42.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use touchline::book::ArenaBook;
use touchline::import::Recording;
use touchline::sim::lean::{Packer, TapeEvent};
use touchline::types::{DurationNs, Level, Price, Qty, Side, TimestampNs};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent};

use crate::random::Random;

/// How late market data is, and how long requests and their answers take.
pub const LATENCY: DurationNs = DurationNs::from_micros(500);
/// The quoted quantity is so many lots: 0.01 of lots of a thousandth, on the workload.
pub const QUOTED_LOTS: i64 = 10;
/// Names of the two files.
pub const OURS: &str = "tape.bin";
pub const THEIRS: &str = "tape.npy";

const START_NS: u64 = 1_795_370_400_000_000_000;
const MID: i64 = 500_000;
const DEPTH: u64 = 1_000;
/// The peers' header has this length, whatever the number of rows.
const HEADER_BYTES: usize = 320;

/// Tick and lot in the peers' floating point money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Units {
    pub tick: f64,
    pub lot: f64,
}

impl Units {
    /// Those of the workload.
    pub const WORKLOAD: Units = Units { tick: 0.1, lot: 0.001 };
}

/// Writes both files; nothing but a block of either is ever in memory.
pub struct TapeWriter {
    units: Units,
    ours: BufWriter<File>,
    theirs: BufWriter<File>,
    pub events: u64,
}

impl TapeWriter {
    pub fn create(folder: &Path, units: Units) -> std::io::Result<TapeWriter> {
        std::fs::create_dir_all(folder)?;
        let create = |name: &str| File::create(folder.join(name)).map(|file| BufWriter::with_capacity(1 << 20, file));
        let (ours, mut theirs) = (create(OURS)?, create(THEIRS)?);
        theirs.write_all(&header(0))?;
        Ok(TapeWriter { units, ours, theirs, events: 0 })
    }

    pub fn put(&mut self, event: &TapeEvent) -> std::io::Result<()> {
        self.events += 1;
        self.ours.write_all(bytemuck::bytes_of(event))?;
        let side: u64 = if event.side() == Side::Bid { 1 << 29 } else { 1 << 28 };
        let kind: u64 = if event.is_trade() { 2 } else { 1 };
        // Both the exchange and we hear of it.
        let flags = (1_u64 << 31) | (1 << 30) | side | kind;
        let at = event.at();
        let mut row = [0_u8; 64];
        row[0..8].copy_from_slice(&flags.to_le_bytes());
        row[8..16].copy_from_slice(&at.nanos().to_le_bytes());
        row[16..24].copy_from_slice(&at.plus(LATENCY).nanos().to_le_bytes());
        row[24..32].copy_from_slice(&(event.price().ticks() as f64 * self.units.tick).to_le_bytes());
        row[32..40].copy_from_slice(&(event.qty().lots() as f64 * self.units.lot).to_le_bytes());
        self.theirs.write_all(&row)
    }

    pub fn finish(self) -> std::io::Result<u64> {
        self.ours.into_inner().map_err(|error| error.into_error())?;
        let mut theirs = self.theirs.into_inner().map_err(|error| error.into_error())?;
        theirs.seek(SeekFrom::Start(0))?;
        theirs.write_all(&header(self.events))?;
        Ok(self.events)
    }
}

/// The header of a numpy file of that many of the peers' rows.
fn header(rows: u64) -> Vec<u8> {
    let text = format!(
        "{{'descr': [('ev', '<u8'), ('exch_ts', '<i8'), ('local_ts', '<i8'), ('px', '<f8'), ('qty', '<f8'), \
         ('order_id', '<u8'), ('ival', '<i8'), ('fval', '<f8')], 'fortran_order': False, 'shape': ({rows},), }}"
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((HEADER_BYTES - 10) as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(HEADER_BYTES - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Writes the workload: at least `events` of them, and what its beginning and end need.
pub fn make(folder: &Path, events: u64) -> std::io::Result<u64> {
    let mut writer = TapeWriter::create(folder, Units::WORKLOAD)?;
    let (mut random, mut book, mut mid) = (Random(42), ArenaBook::new(), MID);
    let mut at_ns = START_NS;
    let whole_qty = |random: &mut Random| Qty::from_lots(1 + random.share_of(200) as i64);
    for depth in 0..DEPTH as i64 {
        for side in Side::BOTH {
            let level = Level { price: touch(mid, side).improved(side, -depth), qty: whole_qty(&mut random) };
            book.set(side, level.price, level.qty);
            writer.put(&TapeEvent::level(TimestampNs::from_nanos(at_ns), side, level.price, level.qty).with_more())?;
        }
    }
    // The last of the beginning is the first change.
    let first = writer.events;
    while writer.events < first + events {
        if writer.events > first {
            at_ns += 500_000 + random.share_of(1_000_000);
        }
        let at = TimestampNs::from_nanos(at_ns);
        if random.share_of(11) == 0 {
            let aggressor = random.side();
            let Some(best) = book.best(aggressor.opposite()) else { continue };
            let beyond = if random.share_of(10) < 3 { 1 + random.share_of(3) as i64 } else { 0 };
            let qty = Qty::from_lots(1 + random.share_of(200) as i64);
            writer.put(&TapeEvent::trade(at, aggressor, best.price.improved(aggressor, beyond), qty))?;
        } else if random.share_of(20) == 0 {
            // One side makes room, the other follows.
            let follows = random.side();
            mid += follows.sign();
            let leaves = touch(mid, follows.opposite()).improved(follows.opposite(), 1);
            let comes = Level { price: touch(mid, follows), qty: whole_qty(&mut random) };
            book.set(follows.opposite(), leaves, Qty::ZERO);
            writer.put(&TapeEvent::level(at, follows.opposite(), leaves, Qty::ZERO).with_more())?;
            book.set(follows, comes.price, comes.qty);
            writer.put(&TapeEvent::level(at, follows, comes.price, comes.qty))?;
        } else {
            let (side, u) = (random.side(), random.unit());
            let price = touch(mid, side).improved(side, -((DEPTH as f64 * u * u) as i64));
            let standing = book.qty_at(side, price);
            let qty = if standing.is_zero() {
                whole_qty(&mut random)
            } else if random.share_of(10) < 4 {
                Qty::ZERO
            } else {
                let change = random.share_of(standing.lots() as u64 + 1) as i64 - standing.lots() / 2;
                (standing + Qty::from_lots(change)).max(Qty::from_lots(1))
            };
            book.set(side, price, qty);
            writer.put(&TapeEvent::level(at, side, price, qty))?;
        }
    }
    at_ns += 1_000_000_000;
    let standing: Vec<(Side, Level)> =
        Side::BOTH.into_iter().flat_map(|side| book.levels(side).map(move |level| (side, level))).collect();
    for (place, (side, level)) in standing.iter().enumerate() {
        let event = TapeEvent::level(TimestampNs::from_nanos(at_ns), *side, level.price, Qty::ZERO);
        writer.put(&if place + 1 < standing.len() { event.with_more() } else { event })?;
    }
    writer.finish()
}

/// The best price that a side may hold: the mid itself stays free.
fn touch(mid: i64, side: Side) -> Price {
    Price::from_ticks(mid - side.sign())
}

/// Writes the tape of a recording's first symbol, by its receive times. Returns its events and units.
pub fn make_recorded(folder: &Path, files: &[std::path::PathBuf]) -> Result<(u64, Units), String> {
    let recording = Recording::open(files).map_err(|error| error.to_string())?;
    let spec = recording.instruments().first().ok_or("the recording names no symbol")?.spec;
    let units = Units { tick: spec.tick_e8 as f64 / 1e8, lot: spec.lot_e8 as f64 / 1e8 };
    let mut writer = TapeWriter::create(folder, units).map_err(|error| error.to_string())?;
    let (mut packer, mut packed, mut early) = (Packer::default(), Vec::new(), Vec::new());
    // The snapshot stands behind diffs that are newer: those wait for it, and older ones say nothing new.
    let mut known = None;
    let mut failed = None;
    recording
        .for_each(|recv_ts, event| {
            match event {
                FeedEvent::Depth(depth) if depth.head.instrument.index() != 0 => {}
                FeedEvent::Depth(depth) if depth.head.kind == DepthKind::Snapshot => {
                    packer.depth(recv_ts, *depth, &mut packed);
                    let newer = early.drain(..).filter(|diff: &DepthBuf| diff.head.last_id > depth.head.last_id);
                    newer.for_each(|diff| packer.depth(recv_ts, diff.as_ref(), &mut packed));
                    known = Some(depth.head.last_id);
                }
                FeedEvent::Depth(depth) => match known {
                    Some(last) if depth.head.last_id > last => packer.depth(recv_ts, *depth, &mut packed),
                    Some(_) => {}
                    None => {
                        early.push(DepthBuf { head: depth.head, bids: depth.bids.to_vec(), asks: depth.asks.to_vec() })
                    }
                },
                FeedEvent::Trade(trade) if trade.instrument.index() == 0 && known.is_some() => {
                    packer.trade(recv_ts, trade, &mut packed);
                }
                _ => {}
            }
            for event in packed.drain(..) {
                failed = failed.take().or(writer.put(&event).err());
            }
        })
        .map_err(|error| error.to_string())?;
    packer.finish(&mut packed);
    for event in packed {
        failed = failed.take().or(writer.put(&event).err());
    }
    match failed {
        Some(error) => Err(format!("the tape: {error}")),
        None => Ok((writer.finish().map_err(|error| error.to_string())?, units)),
    }
}

/// Hands our file over block by block.
pub fn for_each_block(path: &Path, mut play: impl FnMut(&mut [TapeEvent])) -> std::io::Result<u64> {
    const BLOCK: usize = 8_192;
    let mut file = File::open(path)?;
    let mut block = vec![TapeEvent::level(TimestampNs::ZERO, Side::Bid, Price::from_ticks(0), Qty::ZERO); BLOCK];
    let mut events = 0;
    loop {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut block);
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read(&mut bytes[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let count = filled / size_of::<TapeEvent>();
        if count == 0 {
            return Ok(events);
        }
        events += count as u64;
        play(&mut block[..count]);
    }
}
