//! Journals become Parquet: every whole record is kept, what is lost is told, and others' readers agree on every sum.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use touchline::archive::{ConvertOptions, Summary, Table, convert, convert_all};
use touchline::journal::{JournalConfig, LocalJournal, SessionInfo};
use touchline::types::{
    Action, Asset, Balance, ClientOrderId, Command as OrderCommand, ExecKind, ExecReport, ExecSource, FeeAsset, Fill,
    Filters, HalfTicks, Instrument, InstrumentId, InstrumentSpec, Level, NewOrder, OrderKind, Price, Qty,
    QuoteDecision, QuoteSide, RejectReason, SessionId, Side, Symbol, TimestampNs, Touch, Trade, TradeId, VenueOrderId,
};
use touchline::wire::{DepthBuf, FeedEvent, Flags, InputEvent, RecordBuf, Stream, encode_action};

/// 2026-11-22 18:59:50 UTC: the session crosses an hour.
const START: u64 = 1_795_373_990_000_000_000;

fn instruments() -> Vec<Instrument> {
    let spec = |symbol, base, tick_e8, lot_e8| InstrumentSpec {
        symbol: Symbol::new(symbol).unwrap(),
        base: Asset::new(base).unwrap(),
        quote: Asset::new("USDT").unwrap(),
        tick_e8,
        lot_e8,
        filters: Filters::default(),
    };
    vec![
        Instrument::new(InstrumentId(0), spec("BTCUSDT", "BTC", 1_000_000, 1_000)),
        Instrument::new(InstrumentId(1), spec("PEPEUSDT", "PEPE", 1, 100_000_000)),
    ]
}

/// What the test itself knows to be in the journal: rows and sums it counted while writing.
#[derive(Default)]
struct Written {
    rows: BTreeMap<&'static str, u64>,
    price_ticks: BTreeMap<&'static str, i128>,
    qty_lots: BTreeMap<&'static str, i128>,
    /// Rows of `orderbook` that each feed record gives, by its number.
    orderbook_rows: Vec<u64>,
}

impl Written {
    fn count(&mut self, table: &'static str, price: Option<i64>, qty: Option<i64>) {
        *self.rows.entry(table).or_default() += 1;
        *self.price_ticks.entry(table).or_default() += i128::from(price.unwrap_or(0));
        *self.qty_lots.entry(table).or_default() += i128::from(qty.unwrap_or(0));
    }
}

/// A session of random events: `records` of the feed, as many of the quote stream.
fn write_session(dir: &Path, session: u64, records: u64) -> (PathBuf, Written) {
    let instruments = instruments();
    let started = TimestampNs::from_nanos(START + session);
    let info = SessionInfo::new(SessionId(session), "test", "binance", started, &instruments, None);
    let config = JournalConfig { segment_bytes: 256 << 10, ..JournalConfig::for_virtual_time(dir) };
    let mut journal = LocalJournal::create(&config, &info).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(session);
    let mut written = Written { orderbook_rows: vec![0], ..Written::default() };
    let mut buf = RecordBuf::default();
    let mut depth = DepthBuf::with_capacity(64);
    for seq in 1..=records {
        // Twenty seconds in all.
        let now = TimestampNs::from_nanos(START + seq * (20_000_000_000 / records));
        let instrument = InstrumentId(random.random_range(0..2));
        let mut level = || Level {
            price: Price::from_ticks(random.random_range(5_000_000..7_000_000)),
            qty: Qty::from_lots(random.random_range(0..100_000_000)),
        };
        let mut book_rows = 0;
        let (one, two) = (level(), level());
        let event = match seq % 7 {
            0 => {
                let (price, qty) = (one.price, one.qty);
                written.count("trades", Some(price.ticks()), Some(qty.lots()));
                FeedEvent::Trade(Trade {
                    instrument,
                    event_ts: now,
                    recv_ts: now,
                    id: TradeId(seq as i64),
                    price,
                    qty,
                    aggressor: Side::from_index((seq % 2) as u8).unwrap(),
                })
            }
            1 => {
                written.count("touches", None, None);
                FeedEvent::Touch(Touch { instrument, recv_ts: now, update_id: seq, bid: one, ask: two })
            }
            _ => {
                depth.clear();
                depth.head.instrument = instrument;
                (depth.head.first_id, depth.head.last_id) = (seq * 10, seq * 10 + 9);
                depth.head.prev_id = (seq % 3 == 0).then_some(seq * 10 - 1);
                depth.head.recv_ts = now;
                depth.bids.extend((0..seq % 5).map(|_| level()));
                depth.asks.extend((0..seq % 3).map(|_| level()));
                for level in depth.bids.iter().chain(&depth.asks) {
                    written.count("orderbook", Some(level.price.ticks()), Some(level.qty.lots()));
                    book_rows += 1;
                }
                if depth.bids.is_empty() && depth.asks.is_empty() {
                    written.count("orderbook", None, None);
                    book_rows += 1;
                }
                FeedEvent::Depth(depth.as_ref())
            }
        };
        written.orderbook_rows.push(book_rows);
        let (kind, ts) = event.encode(&mut buf);
        journal.append(Stream::Feed, buf.finish(Stream::Feed, kind, Flags::NONE, seq, ts)).unwrap();

        let client_id = ClientOrderId { session: SessionId(session), counter: seq };
        let report = |kind| ExecReport {
            instrument,
            client_id,
            venue_id: (seq % 2 == 0).then_some(VenueOrderId(seq)),
            event_ts: now,
            recv_ts: now,
            source: ExecSource::UserStream,
            kind,
        };
        let kind = match seq % 6 {
            0 => {
                let bid = QuoteSide { price: Some(one.price), qty: one.qty, ..QuoteSide::default() };
                let ask = QuoteSide { price: None, ..QuoteSide::default() };
                let (mid, position) = (HalfTicks::new(one.price.ticks() * 2 + 1), Qty::from_lots(-5));
                written.count("quotes", None, None);
                encode_action(&Action::Quote(QuoteDecision { instrument, mid, position, bid, ask }), &mut buf)
            }
            1 => {
                written.count("orders", Some(one.price.ticks()), Some(one.qty.lots()));
                let order = NewOrder {
                    instrument,
                    client_id,
                    side: Side::Bid,
                    price: one.price,
                    qty: one.qty,
                    kind: OrderKind::PostOnly,
                };
                encode_action(&Action::Command(OrderCommand::Place(order)), &mut buf)
            }
            2 | 3 => {
                // Each trade of ours is told twice, as by the answer and by the stream.
                let trade_id = TradeId((seq / 6) as i64);
                let (price, qty) = (Price::from_ticks(100 + trade_id.0), Qty::from_lots(7));
                written.count("orders", Some(price.ticks()), Some(7));
                if seq % 6 == 2 {
                    written.count("fills", Some(price.ticks()), Some(7));
                }
                let fill = Fill {
                    trade_id,
                    side: Side::Ask,
                    price,
                    qty,
                    cum_qty: qty,
                    order_qty: qty,
                    fee_e8: -3,
                    fee_asset: FeeAsset::Quote,
                    is_maker: true,
                };
                InputEvent::Exec(ExecReport { instrument: InstrumentId(0), ..report(ExecKind::Fill(fill)) })
                    .encode(&mut buf)
            }
            4 => {
                written.count("orders", None, None);
                InputEvent::Exec(report(ExecKind::Rejected(RejectReason::WouldCross))).encode(&mut buf)
            }
            _ => InputEvent::Balance(Balance { asset: Asset::new("BTC").unwrap(), free_e8: 1, locked_e8: 2 })
                .encode(&mut buf),
        };
        journal.append(Stream::Quote, buf.finish(Stream::Quote, kind, Flags::NONE, seq, now)).unwrap();
    }
    (journal.close().unwrap(), written)
}

fn small_groups() -> ConvertOptions {
    ConvertOptions { group_rows: 1_000, waiting_bytes: 500_000, ..ConvertOptions::default() }
}

fn check_summary(summary: &Summary, written: &[&Written]) {
    for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::Kpi | Table::Raw)).map(Table::name) {
        let sum = |part: fn(&Written) -> &BTreeMap<&'static str, i128>| {
            written.iter().map(|written| part(written).get(table).copied().unwrap_or(0)).sum::<i128>().to_string()
        };
        let rows: u64 = written.iter().map(|written| written.rows.get(table).copied().unwrap_or(0)).sum();
        assert_eq!(summary.tables[table].rows, rows, "{table}");
        if matches!(table, "orderbook" | "trades" | "orders" | "fills") {
            let sums = &summary.tables[table].sums;
            assert_eq!(sums["price_ticks"], sum(|written| &written.price_ticks), "{table}");
            assert_eq!(sums["qty_lots"], sum(|written| &written.qty_lots), "{table}");
        }
    }
}

#[test]
fn rows_and_sums_are_the_journals_and_a_second_conversion_writes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (session, written) = write_session(dir.path(), 11, 20_000);
    let out = dir.path().join("archive");
    let summary = convert(&session, &out, &small_groups()).unwrap();
    check_summary(&summary, &[&written]);
    assert!(summary.dropped.is_empty());
    assert_eq!(summary.without_table["InputBalance"], 20_000 / 6);
    let want = out.join("orderbook/BTCUSDT/2026-11-22/18.parquet");
    assert!(summary.files.contains(&want.display().to_string()), "{:?}", summary.files);
    assert!(summary.files.iter().any(|file| file.ends_with("fills/BTCUSDT/2026-11-22/19.parquet")));

    let before: Vec<_> = summary.files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let again = convert(&session, &out, &small_groups()).unwrap();
    assert_eq!(again, Summary { kept: again.files.len() as u64, ..summary.clone() });
    let after: Vec<_> = summary.files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(before == after, "the second conversion wrote other bytes");
}

#[test]
fn sessions_of_one_hour_share_a_file_or_stand_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (first, first_written) = write_session(dir.path(), 11, 2_000);
    let (second, second_written) = write_session(dir.path(), 12, 3_000);
    let together = dir.path().join("together");
    let summary =
        convert_all(&[second.clone(), first.clone()], &together, &ConvertOptions::default(), &mut |_, _| {}).unwrap();
    check_summary(&summary, &[&first_written, &second_written]);
    // One after the other: the second must not destroy the first.
    let apart = dir.path().join("apart");
    let one = convert(&first, &apart, &ConvertOptions::default()).unwrap();
    let two = convert(&second, &apart, &ConvertOptions::default()).unwrap();
    assert!(one.files.iter().all(|file| !two.files.contains(file)));
    assert!(two.files.iter().all(|file| file.ends_with("-tlc.parquet")), "{:?}", two.files);
    check_summary(&convert(&first, &apart, &ConvertOptions::default()).unwrap(), &[&first_written]);
}

#[test]
fn only_the_tables_asked_for_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let (session, written) = write_session(dir.path(), 11, 500);
    let options = ConvertOptions { tables: vec![Table::Trades], ..ConvertOptions::default() };
    let summary = convert(&session, &dir.path().join("archive"), &options).unwrap();
    assert_eq!(summary.tables.keys().collect::<Vec<_>>(), ["trades"]);
    assert_eq!(summary.tables["trades"].rows, written.rows["trades"]);
}

#[test]
fn a_journal_cut_at_any_byte_keeps_every_whole_record_and_says_what_it_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (session, written) = write_session(dir.path(), 11, 1_200);
    // The session crosses no segment: one file holds the whole feed.
    let file = session.join("feed/000001.tlj");
    assert!(!session.join("feed/000002.tlj").exists());
    let whole = std::fs::read(&file).unwrap();
    let mut ends = vec![4096_usize];
    let mut at = 4096;
    while at < whole.len() {
        at += usize::from(u16::from_le_bytes([whole[at], whole[at + 1]])) * 64;
        ends.push(at);
    }
    assert_eq!(ends.len(), 1_201);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut cuts: Vec<usize> = (0..120).map(|_| random.random_range(0..=whole.len())).collect();
    cuts.extend([0, 1, 127, 128, 200, 4095, 4096, 4097, whole.len() - 1, whole.len()]);
    for (run, cut) in cuts.into_iter().enumerate() {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let out = dir.path().join(format!("archive-{run}"));
        let options = ConvertOptions { tables: vec![Table::Orderbook], ..ConvertOptions::default() };
        let summary = convert(&session, &out, &options).unwrap();
        let kept = ends.iter().skip(1).filter(|&&end| end <= cut).count();
        assert_eq!(summary.records.get("feed").copied().unwrap_or(0), kept as u64, "cut at {cut}");
        let rows: u64 = written.orderbook_rows[..=kept].iter().sum();
        assert_eq!(summary.tables.get("orderbook").map_or(0, |table| table.rows), rows, "cut at {cut}");
        match &summary.dropped[..] {
            [] => assert_eq!(cut, whole.len()),
            [place] => {
                assert!(cut < whole.len());
                assert_eq!(place.file, file.display().to_string());
                assert_eq!(place.seq, kept as u64 + 1, "cut at {cut}");
            }
            more => panic!("cut at {cut}: {more:?}"),
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (session, _) = write_session(dir.path(), 11, 50);
    let blocked = dir.path().join("archive");
    std::fs::write(&blocked, "a file, not a folder").unwrap();
    let error = convert(&session, &blocked, &ConvertOptions::default()).unwrap_err().to_string();
    assert!(error.contains("archive/") && error.contains("cannot create the folder"), "{error}");
}

/// Reads each file with each reader into the same Python values, times as nanoseconds; compares them cell by cell, and
/// tells rows and sums.
const SUMS: &str = r#"
import collections, json, pathlib, sys
from decimal import Decimal
import duckdb, polars, pyarrow as pa, pyarrow.parquet as pq

def of_pyarrow(file):
    data = pq.read_table(file, partitioning=None)
    assert data.schema.field("ts").type == pa.timestamp("ns", tz="UTC"), data.schema
    times = {field.name for field in data.schema if pa.types.is_timestamp(field.type)}
    return {name: (data[name].cast(pa.int64()) if name in times else data[name]).to_pylist() for name in data.column_names}

def of_polars(file):
    data = polars.read_parquet(file, hive_partitioning=False)
    times = {name for name, kind in data.schema.items() if kind == polars.Datetime("ns", "UTC")}
    return {name: (data[name].to_physical() if name in times else data[name]).to_list() for name in data.columns}

def of_duckdb(file):
    data = duckdb.sql(f"select * from read_parquet('{file}', hive_partitioning = false)")
    times = {name for name, kind in zip(data.columns, data.types) if str(kind).startswith("TIMESTAMP")}
    cells = [f'epoch_ns("{name}")' if name in times else f'"{name}"' for name in data.columns]
    return dict(zip(data.columns, map(list, zip(*data.project(", ".join(cells)).fetchall()))))

def whole(value):
    return int(value.scaleb(8 if value.as_tuple().exponent == -8 else 9)) if isinstance(value, Decimal) else int(value)

answer = {}
for table in sorted(p for p in pathlib.Path(sys.argv[1]).iterdir() if p.is_dir()):
    rows, sums = 0, collections.Counter()
    for file in sorted(table.rglob("*.parquet")):
        data = of_pyarrow(file)
        for name, other in (("polars", of_polars(file)), ("duckdb", of_duckdb(file))):
            assert list(data) == list(other), (file, name)
            differ = [column for column in data if data[column] != other[column]]
            assert not differ, f"{name} reads other values than pyarrow in {differ} of {file}"
        rows += len(data["ts"])
        assert set(data["symbol"]) == {file.parent.parent.name}, file
        steps = {k.decode(): v.decode() for k, v in pq.read_schema(file).metadata.items()}
        for price, ticks in (("price", "price_ticks"), ("bid_price", "bid_price_ticks")):
            if price in data:
                for number, text in zip(data[ticks], data[price]):
                    assert (number is None) == (text is None)
                    assert number is None or Decimal(number) * Decimal(steps["touchline.tick"]) == text, (number, text)
        for column, values in data.items():
            known = [value for value in values if value is not None]
            if known and isinstance(known[0], (int, Decimal)):
                sums[column] += sum(map(whole, known))
            elif not known:
                sums[column] += 0
    answer[table.name] = {"rows": rows, "sums": {name: str(value) for name, value in sums.items()}}
print(json.dumps(answer))
"#;

#[test]
fn pyarrow_polars_and_duckdb_read_the_same_rows_and_the_journals_sums() {
    let Some(python) = common::python_with(&["pyarrow", "polars", "duckdb"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (session, written) = write_session(dir.path(), 11, 20_000);
    let out = dir.path().join("archive");
    let summary = convert(&session, &out, &small_groups()).unwrap();
    check_summary(&summary, &[&written]);
    let output = Command::new(python).args(["-c", SUMS]).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (table, told) in &summary.tables {
        assert_eq!(read[table]["rows"], told.rows, "{table}");
        for (column, sum) in &told.sums {
            assert_eq!(read[table]["sums"][column], **sum, "{table}.{column}");
        }
    }
    assert_eq!(read.as_object().unwrap().len(), summary.tables.len());
}
