//! The set of rows: synthetic depth of three symbols, as a journal and as plain binary rows of 48 bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use touchline::journal::{JournalConfig, LocalJournal, SessionInfo};
use touchline::types::{
    Asset, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, SessionId, Symbol, TimestampNs,
};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent, Flags, RecordBuf, Stream};

/// 2026-11-22 18:00 UTC: the whole set lies within one hour, so that each symbol is one file.
const START_NS: u64 = 1_795_370_400_000_000_000;

/// Name, price step and quantity step in 1e-8, and the mid that its walk starts from, in ticks.
const SYMBOLS: [(&str, &str, i64, i64, i64); 3] = [
    ("BTCUSDT", "BTC", 1_000_000, 1_000, 6_000_000),
    ("ETHUSDT", "ETH", 1_000_000, 10_000, 300_000),
    ("SOLUSDT", "SOL", 1_000_000, 100_000, 15_000),
];

/// Where the set lies.
pub struct DataSet {
    pub rows: u64,
    /// The session's folder.
    pub session: PathBuf,
    /// Folder of `<SYMBOL>.bin`.
    pub plain: PathBuf,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Writes at least `rows` rows: messages of 5 to 44 levels, prices around a walking mid, a quarter of them removals.
pub fn make(folder: &Path, rows: u64) -> Result<DataSet, String> {
    let told = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let plain = folder.join("plain");
    std::fs::create_dir_all(&plain).map_err(told("the folder of the set"))?;
    let mut instruments = Vec::new();
    let mut files = Vec::new();
    for (at, (symbol, base, tick_e8, lot_e8, _)) in SYMBOLS.into_iter().enumerate() {
        let spec = InstrumentSpec {
            symbol: Symbol::new(symbol).map_err(|error| error.to_string())?,
            base: Asset::new(base).map_err(|error| error.to_string())?,
            quote: Asset::new("USDT").map_err(|error| error.to_string())?,
            tick_e8,
            lot_e8,
            filters: Filters::default(),
        };
        instruments.push(Instrument::new(InstrumentId(at as u16), spec));
        let file = File::create(plain.join(format!("{symbol}.bin"))).map_err(told("the plain rows"))?;
        files.push(BufWriter::with_capacity(1 << 20, file));
    }
    let started = TimestampNs::from_nanos(START_NS);
    let info = SessionInfo::new(SessionId(7), "compare", "binance", started, &instruments, None);
    let config = JournalConfig { segment_bytes: 64 << 20, ..JournalConfig::for_virtual_time(folder) };
    let mut journal = LocalJournal::create(&config, &info).map_err(|error| error.to_string())?;
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ 42);
    let mut mids = SYMBOLS.map(|(_, _, _, _, mid)| mid);
    let mut ids = [1_000_000_u64; 3];
    let (mut depth, mut buf) = (DepthBuf::with_capacity(64), RecordBuf::default());
    let (mut ts, mut seq, mut done) = (START_NS + 1_000_000_000, 0_u64, 0);
    while done < rows {
        let which = random.below(3) as usize;
        let levels = 5 + random.below(40);
        ts += random.below(2_000_000);
        seq += 1;
        let span = random.below(50);
        depth.clear();
        depth.head.instrument = InstrumentId(which as u16);
        depth.head.kind = DepthKind::Diff;
        depth.head.first_id = ids[which] + 1;
        depth.head.last_id = ids[which] + 1 + span;
        depth.head.event_ts = TimestampNs::from_nanos(ts / 1_000_000 * 1_000_000 - 2_000_000);
        depth.head.recv_ts = TimestampNs::from_nanos(ts);
        ids[which] = depth.head.last_id;
        mids[which] = (mids[which] + random.below(21) as i64 - 10).max(5_000);
        let bids = levels / 2;
        let mut distance = 1;
        for level in 0..levels {
            if level == bids {
                distance = 1;
            }
            distance += random.below(20) as i64;
            let price = if level < bids { mids[which] - distance } else { mids[which] + distance };
            let bits = 8 + random.below(14);
            let qty = if random.below(4) == 0 { 0 } else { random.below(1 << bits) as i64 };
            let level_of_book = Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
            if level < bids {
                depth.bids.push(level_of_book)
            } else {
                depth.asks.push(level_of_book)
            }
            let mut row = [0_u8; 48];
            row[0..8].copy_from_slice(&ts.to_le_bytes());
            row[8..16].copy_from_slice(&depth.head.event_ts.nanos().to_le_bytes());
            row[16..24].copy_from_slice(&depth.head.last_id.to_le_bytes());
            row[24..32].copy_from_slice(&price.to_le_bytes());
            row[32..40].copy_from_slice(&qty.to_le_bytes());
            row[40..44].copy_from_slice(&(seq as u32).to_le_bytes());
            row[44..46].copy_from_slice(&(span as u16).to_le_bytes());
            row[46] = u8::from(level >= bids);
            files[which].write_all(&row).map_err(told("the plain rows"))?;
        }
        done += levels;
        let (kind, at) = FeedEvent::Depth(depth.as_ref()).encode(&mut buf);
        journal
            .append(Stream::Feed, buf.finish(Stream::Feed, kind, Flags::NONE, seq, at))
            .map_err(|error| format!("the journal: {error:?}"))?;
    }
    let session = journal.close().map_err(|error| error.to_string())?;
    for mut file in files {
        file.flush().map_err(told("the plain rows"))?;
    }
    Ok(DataSet { rows: done, session, plain })
}
