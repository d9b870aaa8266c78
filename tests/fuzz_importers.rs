//! Recordings that are nearly right, for every importer.
//!
//! Whatever a file holds, it is imported whole or refused: by its file, by the line where it goes wrong, and with how many
//! lines before that were fine. What was accepted once reads the same again, and a refused recording leaves no journal.

mod common;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::mutation::{Random, for_each_input, mutate};
use touchline::import::{ImportError, Recording};
use touchline::types::{Level, TimestampNs, Trade};
use touchline::wire::FeedEvent;

/// Files of one recording: names, and what they hold.
type Sample = Vec<(&'static str, Vec<u8>)>;

/// Bytes of a sample taken from a real recording: enough for some snapshots, few enough to be read in a moment.
const SAMPLE_BYTES: usize = 128 << 10;

/// Longer lines are a venue's list of all its symbols.
const LINE_BYTES: usize = 64 << 10;

/// Words that mean something in some format.
const WORDS: [&[u8]; 30] = [
    b"\n",
    b"\r\n",
    b"\n\n",
    b",",
    b",,",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b" ",
    b"-",
    b".",
    b"0",
    b"9",
    b"e5",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"null",
    b"true",
    b"0.00000000",
    b"00000000",
    b"18446744073709551616",
    b"9223372036854775807",
    b"1722999999999999999 ",
    b"{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}\n",
    b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n",
];

/// The first lines of a recording among the shared ones, unpacked; `None` where that folder is absent.
fn recorded(path: &str) -> Option<Vec<u8>> {
    let packed = std::fs::read(common::data_dir()?.join(path)).unwrap();
    let mut text = Vec::new();
    let mut reader: Box<dyn Read> = match path.rsplit('.').next() {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(&packed[..])),
        Some("zst") => Box::new(zstd::Decoder::new(&packed[..]).unwrap()),
        _ => Box::new(&packed[..]),
    };
    reader.read_to_end(&mut text).unwrap();
    // Whole lines only: one that is cut would never be right.
    let mut sample = Vec::new();
    for line in text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.len() <= LINE_BYTES) {
        if sample.len() + line.len() > SAMPLE_BYTES {
            break;
        }
        sample.extend_from_slice(line);
    }
    Some(sample)
}

fn own(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)).unwrap()
}

/// How often something else than a library call is worth the time.
const PROGRAM_EVERY: usize = 400;

/// Attacks the importers with changes of these samples.
fn attack(name: &str, samples: &[Sample]) {
    let dir = tempfile::tempdir().unwrap();
    for sample in samples {
        let files = write(dir.path(), sample);
        Recording::open(&files).unwrap_or_else(|error| panic!("{name}: the sample itself is refused: {error}"));
    }
    let (mut imported, mut refused) = (0_u64, 0_u64);
    let inputs = for_each_input(|random| {
        let mut sample = random.one_of(samples).clone();
        let which = random.below(sample.len());
        let bytes = &mut sample[which].1;
        if random.one_in(3) {
            shorten(bytes, random);
        }
        mutate(bytes, &WORDS, random);
        if random.one_in(16) {
            *bytes = packed(bytes);
            if random.one_in(2) {
                mutate(bytes, &WORDS, random);
            }
        }
        let files = write(dir.path(), &sample);
        let is_imported = is_told(&files, &sample);
        *(if is_imported { &mut imported } else { &mut refused }) += 1;
        if random.one_in(PROGRAM_EVERY) {
            the_program_agrees(&files, dir.path(), is_imported);
        }
    });
    println!("{name}: {inputs} recordings, {imported} imported, {refused} refused");
    assert!(imported > inputs / 100 && refused > inputs / 100, "{name}: {imported} imported, {refused} refused");
}

/// Keeps some lines from the start: a short file is read more often in the same time.
fn shorten(bytes: &mut Vec<u8>, random: &mut Random) {
    let lines = 1 + random.below(12);
    if let Some((end, _)) = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(lines) {
        bytes.truncate(end + 1);
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write(dir: &Path, sample: &Sample) -> Vec<PathBuf> {
    let write = |(name, bytes): &(&str, Vec<u8>)| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    sample.iter().map(write).collect()
}

/// Whether a recording was imported; if so it reads the same twice, if not the reason has its place.
fn is_told(files: &[PathBuf], sample: &Sample) -> bool {
    let recording = match Recording::open(files) {
        Ok(recording) => recording,
        Err(error) => {
            let named = |file: &Path| files.iter().any(|one| one == file);
            let text = error.to_string();
            match &error {
                ImportError::Line { file, line, good_lines, .. } => {
                    assert!(named(file) && *line > 0, "{text}");
                    assert!(text.starts_with(&format!("{}:{line}: ", file.display())), "{text}");
                    assert!(text.ends_with(&format!("({good_lines} lines before it were fine)")), "{text}");
                    // Packed files hold more lines than they show.
                    let lines = |bytes: &[u8]| bytes.split(|&byte| byte == b'\n').count() as u64;
                    let is_packed = |bytes: &[u8]| bytes.starts_with(&[0x1f, 0x8b]);
                    if !sample.iter().any(|(_, bytes)| is_packed(bytes)) {
                        let most: u64 = sample.iter().map(|(_, bytes)| lines(bytes)).sum();
                        assert!(*good_lines <= most && *line <= most + 1, "{text} of {most} lines");
                    }
                }
                ImportError::Format { file, .. } | ImportError::Io { file, .. } => {
                    assert!(named(file) && text.contains(&file.display().to_string()), "{text}");
                }
                ImportError::Nothing => panic!("files were named"),
            }
            return false;
        }
    };
    let count = recording.instruments().len();
    let read = || {
        let (mut events, mut last) = (0_u64, TimestampNs::ZERO);
        let lines = recording.for_each(|recv_ts, event| {
            events += 1;
            last = last.max(recv_ts);
            let (instrument, levels) = match event {
                FeedEvent::Depth(depth) => (Some(depth.head.instrument), [depth.bids, depth.asks].concat()),
                FeedEvent::Trade(Trade { instrument, price, qty, .. })
                | FeedEvent::AggTrade(Trade { instrument, price, qty, .. }) => {
                    (Some(*instrument), vec![Level { price: *price, qty: *qty }])
                }
                FeedEvent::Touch(touch) => (Some(touch.instrument), vec![touch.bid, touch.ask]),
                FeedEvent::Notice(notice) => (notice.instrument, vec![]),
                FeedEvent::Raw(_) => (None, vec![]),
            };
            let is_right = |level: &Level| level.qty.lots() >= 0 && level.price.ticks() >= 0;
            assert!(levels.iter().all(is_right), "{levels:?}");
            assert!(instrument.is_none_or(|id| id.index() < count), "{instrument:?} of {count}");
        });
        let lines = lines.unwrap_or_else(|error| panic!("accepted, then refused: {error}"));
        assert_eq!(lines, recording.lines());
        (events, last)
    };
    assert_eq!(read(), read());
    true
}

/// The program imports what the library does; a refusal has its code and leaves no journal.
fn the_program_agrees(files: &[PathBuf], dir: &Path, is_imported: bool) {
    let out = dir.join("out");
    let done = Command::new(env!("CARGO_BIN_EXE_touchline"))
        .arg("import")
        .args(files)
        .arg("--out")
        .arg(&out)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    if is_imported {
        assert!(done.status.success(), "imported by the library: {why}");
        let journal = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
        let inspect = Command::new(env!("CARGO_BIN_EXE_touchline")).arg("inspect").arg(&journal).output().unwrap();
        assert!(inspect.status.success(), "{}", String::from_utf8_lossy(&inspect.stderr));
        std::fs::remove_dir_all(&out).unwrap();
    } else {
        assert!(done.status.code() == Some(4) && why.contains("E_INPUT_"), "{:?}: {why}", done.status);
        assert!(!out.exists(), "a journal of a recording that was refused");
    }
}

#[test]
fn raw_lines_of_hftbacktest() {
    let samples = ["hftbacktest_spot.txt", "hftbacktest_usdm.txt"].map(|name| vec![("raw.txt", own(name))]);
    attack("hftbacktest", &samples);
}

#[test]
fn logs_of_cryptofeed() {
    const FRAME: &str = r#"{"stream":"ethusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"ETHUSDT","a":6,"p":"2000.5","q":"0.1","f":1,"l":1,"T":1,"m":true,"M":true}}"#;
    const SNAPSHOT: &str = r#"{"lastUpdateId":3,"bids":[["2000.1","2"],["1999","1"]],"asks":[["2000.2","1.5"]]}"#;
    const DIFF: &str = r#"{"stream":"ethusdt@depth@100ms","data":{"e":"depthUpdate","E":1617566591307,"s":"ETHUSDT","U":2,"u":5,"b":[["2000.1","0.5"]],"a":[]}}"#;
    let text = format!(
        "wss://stream.binance.com:9443/stream?streams=ethusdt@aggTrade <-> 1617566590.37\n\
         1617566591.5: {DIFF}\n\
         https://www.binance.com/api/v1/depth?symbol=ETHUSDT&limit=1000 -> 1617566592.1: {SNAPSHOT}\n\
         1617566592.2: {FRAME}\n"
    );
    let quoted = |text| serde_json::to_string(text).unwrap();
    let json = format!(
        "{}\n{}\n{}\n{}\n",
        r#"{"t":"header","format":2,"exchange":"BINANCE","config":{}}"#,
        r#"{"t":"connect","conn":"x","ts":1617566590.37,"addr":"wss://stream.binance.com/stream"}"#,
        format_args!(
            r#"{{"t":"http","conn":"x","ts":1617566592.1,"url":"https://api.binance.com/api/v3/depth?limit=5&symbol=ETHUSDT","data":{}}}"#,
            quoted(SNAPSHOT)
        ),
        format_args!(r#"{{"t":"recv","conn":"x","ts":1617566592.2,"data":{}}}"#, quoted(FRAME))
    );
    let mut samples = vec![vec![("log.0", text.into_bytes())], vec![("log.jsonl", json.into_bytes())]];
    for path in ["BINANCE-ee25be.0", "BINANCE_FUTURES.jsonl.zst", "KRAKEN.jsonl.zst", "OKX.ws.1.0"] {
        samples.extend(recorded(&format!("cryptofeed/sample_data/{path}")).map(|log| vec![("log.0", log)]));
    }
    attack("cryptofeed", &samples);
}

#[test]
fn tables_of_tardis() {
    let table = |own: &str, rows: &[&str]| {
        let mut text = format!("exchange,symbol,timestamp,local_timestamp,{own}\n");
        rows.iter().for_each(|row| text += &format!("{row}\n"));
        text.into_bytes()
    };
    let book = table(
        "is_snapshot,side,price,amount",
        &[
            "binance,BTCUSDT,1582329601096000,1582329603502092,true,ask,9682,0.84",
            "binance,BTCUSDT,1582329601096000,1582329603502092,true,bid,9681.92,0.67",
            "binance,BTCUSDT,1582329601097000,1582329603502093,false,bid,9681.92,0",
            "binance,BTCUSDT,1582329601098000,1582329603502094,false,bid,9681.5,1.25",
            "binance,ETHUSDT,1582329601098000,1582329603502095,true,ask,265.1,3",
        ],
    );
    let trades = table(
        "id,side,price,amount",
        &[
            "binance,BTCUSDT,1582329602111000,1582329602418379,7,buy,9682,0.132",
            "binance,BTCUSDT,1582329602116000,1582329602418420,8,sell,9681.92,0.412",
            "binance,ETHUSDT,1582329602117000,1582329602418421,9,sell,265.11,4",
        ],
    );
    let quotes = table(
        "ask_amount,ask_price,bid_price,bid_amount",
        &[
            "binance,BTCUSDT,1582329602111000,1582329602418379,1.5,9682,9681.92,0.2",
            "binance,BTCUSDT,1582329602116000,1582329602418420,1.25,9682.01,9681.93,0.4",
        ],
    );
    let mut samples = vec![
        vec![("book.csv", book.clone())],
        vec![("trades.csv", trades.clone())],
        vec![("quotes.csv", quotes.clone())],
        vec![("trades.csv", trades), ("quotes.csv", quotes), ("book.csv", book)],
    ];
    for (path, name) in [("quotes.csv", "quotes.csv"), ("trades.csv", "trades.csv")] {
        let table = recorded(&format!("nautilus_trader/tests/test_data/tardis/{path}"));
        samples.extend(table.map(|table| vec![(name, table)]));
    }
    attack("tardis", &samples);
}

#[test]
fn tables_of_binance() {
    let trades = "id,price,qty,quote_qty,time,is_buyer_maker\n\
                  7,42000.5,0.1,4200.05,1704067200001,true\n8,42000.6,0.2,8400.12,1704067200001,false\n\
                  9,42000.5,1,42000.5,1704067200350,true\n";
    let bare = "7,42000.50,0.10000,4200.05,1704067200001,True,True\n8,42000.6,0.2,8400.12,1704067200005,False,True\n";
    let aggregated = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n\
                      7,42000.5,0.1,3,4,1704067200001000,true\n8,42001,0.25,5,5,1704067200002000,false\n";
    let samples = [
        vec![("BTCUSDT-trades-2024-01-01.csv", trades.into())],
        vec![("BTCUSDT-trades-2024-01-01.csv", bare.into())],
        vec![("BTCUSDT-aggTrades-2024-01-01.csv", aggregated.into())],
        vec![("BTCUSDT-trades-2024-01-01.csv", bare.into()), ("ETHUSDT-trades-2024-01-01.csv", trades.into())],
    ];
    attack("binance-csv", &samples);
}

#[test]
fn messages_and_books_of_lobster() {
    let messages = "34200.004241176,1,16113575,18,5853300,1\n34200.5,1,2,10,5853400,-1\n\
                    34201,4,16113575,8,5853300,1\n34202,3,16113575,10,5853300,1\n34203,5,0,7,5853350,-1\n";
    let book = "5853400,10,5853300,18\n5853400,10,5853300,18\n5853400,10,5853300,10\n5853400,10,5853200,4\n\
                5853400,10,5853200,4\n";
    let [message_name, book_name] = ["AAPL_2012-06-21_message_1.csv", "AAPL_2012-06-21_orderbook_1.csv"];
    let mut samples =
        vec![vec![(message_name, messages.into())], vec![(message_name, messages.into()), (book_name, book.into())]];
    let path = |kind| format!("OrderBook_HLS/data/AAPL_2012-06-21_34200000_57600000_{kind}_10.csv");
    samples.extend(recorded(&path("message")).map(|messages| vec![(message_name, messages)]));
    attack("lobster", &samples);
}
