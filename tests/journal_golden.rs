//! A journal of format version 1, committed in 2026, stays readable for ever: to the same records, books and rows.
//!
//! `tests/data/journal/v1` was written by `write_the_golden_journal` below from fixed inputs, with what every later build
//! must find in it beside it. A change of the format adds a folder with its own journal; it never touches an old one.
//! Decisions are not part of it: they belong to a build, and `tests/journal_replay.rs` holds them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use touchline::archive::{ConvertOptions, convert};
use touchline::journal::{JournalConfig, JournalReader, LocalJournal, SessionEnd, SessionInfo, manifest};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::run::replay::verify;
use touchline::types::{
    Action, Asset, Balance, ClientOrderId, Command, Control, ExecKind, ExecReport, ExecSource, FeeAsset, Fill, Filters,
    HalfTicks, Instrument, InstrumentId, InstrumentSpec, Level, NewOrder, OrderKind, Price, Qty, QuoteDecision,
    QuoteSide, RejectReason, SessionId, Side, Symbol, TimestampNs, Touch, Trade, TradeId, VenueOrderId,
};
use touchline::wire::{
    DepthBuf, DepthKind, FeedEvent, Flags, GatewayAnswer, GatewayEvent, GatewaySent, InputEvent, Kind, Operation,
    Outcome, QuoteEvent, RecordBuf, Stream, encode_action,
};
use xxhash_rust::xxh3::Xxh3;

const SESSION: SessionId = SessionId(1_795_370_000_123);
/// Ten seconds before an hour, so that the conversion crosses it.
const START: u64 = 1_795_373_990_000_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal/v1")
}

fn instruments() -> Vec<Instrument> {
    let spec = InstrumentSpec {
        symbol: Symbol::new("BTCUSDT").unwrap(),
        base: Asset::new("BTC").unwrap(),
        quote: Asset::new("USDT").unwrap(),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters::default(),
    };
    vec![Instrument::new(InstrumentId(0), spec)]
}

struct Generator {
    journal: LocalJournal,
    buf: RecordBuf,
}

impl Generator {
    fn append(&mut self, stream: Stream, kind: Kind, flags: Flags, ts: TimestampNs) {
        let seq = self.journal.next_seq(stream);
        self.journal.append(stream, self.buf.finish(stream, kind, flags, seq, ts)).unwrap();
    }

    fn feed(&mut self, event: &FeedEvent<'_>, flags: Flags) {
        let (kind, ts) = event.encode(&mut self.buf);
        self.append(Stream::Feed, kind, flags, ts);
    }

    fn input(&mut self, event: InputEvent, now: TimestampNs) {
        let kind = event.encode(&mut self.buf);
        self.append(Stream::Quote, kind, Flags::NONE, now);
    }

    fn action(&mut self, action: &Action, now: TimestampNs) {
        let kind = encode_action(action, &mut self.buf);
        self.append(Stream::Quote, kind, Flags::NONE, now);
    }

    fn gateway(&mut self, event: &GatewayEvent) {
        let (kind, ts) = event.encode(&mut self.buf);
        self.append(Stream::Gateway, kind, Flags::NONE, ts);
    }

    fn end(&mut self, now: TimestampNs) {
        for stream in Stream::ALL {
            self.buf.begin();
            self.append(stream, Kind::End, Flags::NONE, now);
        }
    }
}

/// Forty ticks of a market that walks, with one order's life in each of them.
fn generate(dir: &Path) -> PathBuf {
    let instruments = instruments();
    let info = SessionInfo::new(SESSION, "golden", "binance", TimestampNs::from_nanos(START), &instruments, None);
    let config = JournalConfig { segment_bytes: 64 << 10, ..JournalConfig::for_virtual_time(dir) };
    let mut out = Generator { journal: LocalJournal::create(&config, &info).unwrap(), buf: RecordBuf::default() };
    let mut stage = MarketStage::new(&instruments, SyncRule::Spot);
    let mut depth = DepthBuf::with_capacity(16);
    let level = |ticks, lots| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(lots) };
    for tick in 1..=40_u64 {
        let now = TimestampNs::from_nanos(START + tick * 500_000_000);
        let step = tick as i64;
        depth.clear();
        depth.head.kind = if tick == 1 { DepthKind::Snapshot } else { DepthKind::Diff };
        (depth.head.first_id, depth.head.last_id) = (tick, tick);
        (depth.head.event_ts, depth.head.recv_ts) = (now, now);
        for away in 1..=3 {
            depth.bids.push(level(6_000_000 - away * (1 + step % 4), 1_000 * away + step));
            depth.asks.push(level(6_000_010 + away * (1 + step % 5), 2_000 * away + step));
        }
        let event = FeedEvent::Depth(depth.as_ref());
        stage.on_event(&event);
        out.feed(&event, Flags::NONE);
        let trade = Trade {
            instrument: InstrumentId(0),
            event_ts: now,
            recv_ts: now,
            id: TradeId(step),
            price: Price::from_ticks(6_000_000 + step),
            qty: Qty::from_lots(10 * step),
            aggressor: Side::from_index((tick % 2) as u8).unwrap(),
        };
        let event = match tick % 4 {
            0 => FeedEvent::Trade(trade),
            1 => FeedEvent::AggTrade(trade),
            2 => FeedEvent::Touch(Touch {
                instrument: InstrumentId(0),
                recv_ts: now,
                update_id: tick,
                bid: level(5_999_999, 7),
                ask: level(6_000_011, 8),
            }),
            _ => FeedEvent::Raw(b"{\"e\":\"an event that nobody decodes\"}"),
        };
        stage.on_event(&event);
        out.feed(&event, Flags::NONE);
        // A record that the book never saw.
        if tick % 10 == 0 {
            out.feed(&FeedEvent::Trade(trade), Flags::DROPPED);
        }

        let client_id = ClientOrderId { session: SESSION, counter: tick };
        let report = |kind| ExecReport {
            instrument: InstrumentId(0),
            client_id,
            venue_id: Some(VenueOrderId(tick * 3)),
            event_ts: now,
            recv_ts: now,
            source: ExecSource::UserStream,
            kind,
        };
        let (price, qty) = (Price::from_ticks(5_999_000 + step), Qty::from_lots(100 + step));
        out.input(InputEvent::Market { feed_seq: tick * 2 - 1 }, now);
        let side = |price| QuoteSide { price, qty, ..QuoteSide::default() };
        out.action(
            &Action::Quote(QuoteDecision {
                instrument: InstrumentId(0),
                mid: HalfTicks::new(12_000_010 + step),
                position: Qty::from_lots(step - 20),
                bid: side(Some(price)),
                ask: side(None),
            }),
            now,
        );
        let order =
            NewOrder { instrument: InstrumentId(0), client_id, side: Side::Bid, price, qty, kind: OrderKind::PostOnly };
        out.action(&Action::Command(Command::Place(order)), now);
        let sent = GatewaySent {
            request: tick,
            operation: Operation::Place,
            attempt: 0,
            instrument: InstrumentId(0),
            client_id,
            tick_ts: now,
            sent_ts: now,
        };
        out.gateway(&GatewayEvent::Sent(sent));
        out.gateway(&GatewayEvent::Answer(GatewayAnswer {
            request: tick,
            operation: Operation::Place,
            outcome: if tick % 5 == 0 { Outcome::Refused } else { Outcome::Done },
            instrument: InstrumentId(0),
            client_id,
            http_status: 200,
            code: if tick % 5 == 0 { -2010 } else { 0 },
            recv_ts: now,
        }));
        out.input(
            match tick % 5 {
                0 => InputEvent::Exec(report(ExecKind::Rejected(RejectReason::WouldCross))),
                1 => InputEvent::Exec(report(ExecKind::Accepted)),
                2 => InputEvent::Exec(report(ExecKind::Canceled { cum_qty: Qty::ZERO })),
                3 => InputEvent::Balance(Balance {
                    asset: Asset::new("USDT").unwrap(),
                    free_e8: 100_000_000 * step,
                    locked_e8: 5,
                }),
                _ => InputEvent::Exec(report(ExecKind::Fill(Fill {
                    trade_id: TradeId(step),
                    side: Side::Bid,
                    price,
                    qty,
                    cum_qty: qty,
                    order_qty: qty,
                    fee_e8: -3,
                    fee_asset: FeeAsset::Quote,
                    is_maker: true,
                }))),
            },
            now,
        );
        out.input(if tick % 2 == 0 { InputEvent::Timer } else { InputEvent::Control(Control::Resume) }, now);
    }
    let last = TimestampNs::from_nanos(START + 41 * 500_000_000);
    out.end(last);
    let end = SessionEnd::new(Some(stage.digest()), None);
    let session = out.journal.close().unwrap();
    end.write(&session).unwrap();
    session
}

/// Everything that a build finds in the journal, and that later ones must find as well.
fn read(session: &Path) -> Value {
    let reader = JournalReader::open(session).unwrap();
    let mut streams = serde_json::Map::new();
    for stream in Stream::ALL {
        let mut records = reader.stream(stream).unwrap();
        let (mut digest, mut count) = (Xxh3::new(), 0_u64);
        let mut buf = RecordBuf::default();
        while let Some(record) = records.next().unwrap() {
            let header = record.header;
            digest.update(&[header.kind as u8, header.flags.0]);
            digest.update(&header.seq.to_le_bytes());
            digest.update(&header.ts.nanos().to_le_bytes());
            digest.update(record.payload);
            count += 1;
            if header.kind == Kind::End {
                continue;
            }
            // What is decoded and encoded again is the same record: no field was lost or changed its meaning.
            let kind = match stream {
                Stream::Feed => FeedEvent::decode(&record).unwrap().encode(&mut buf).0,
                Stream::Quote => match QuoteEvent::decode(&record).unwrap() {
                    QuoteEvent::Input(input) => input.encode(&mut buf),
                    QuoteEvent::Action(action) => encode_action(&action, &mut buf),
                    QuoteEvent::End => Kind::End,
                },
                Stream::Gateway => GatewayEvent::decode(&record).unwrap().encode(&mut buf).0,
            };
            let units = buf.finish(stream, kind, header.flags, header.seq, header.ts);
            let again = touchline::wire::Record::from_units(units).unwrap();
            assert_eq!((again.header.kind, again.payload), (header.kind, record.payload), "{stream:?} {}", header.seq);
        }
        assert!(records.tail().sealed);
        let found = json!({"records": count, "xxh3": format!("{:032x}", digest.digest128())});
        streams.insert(stream.name().to_owned(), found);
    }
    let replayed = verify(session, None).unwrap();
    assert!(replayed.identical, "{replayed:?}");
    let out = tempfile::tempdir().unwrap();
    let summary = convert(session, out.path(), &ConvertOptions::default()).unwrap();
    assert!(summary.dropped.is_empty());
    let tables: serde_json::Map<String, Value> = ["orderbook", "trades", "orders", "fills", "quotes"]
        .into_iter()
        .map(|name| {
            let table = &summary.tables[name];
            let sum = |column: &str| table.sums.get(column).cloned();
            let found = json!({"rows": table.rows, "price_ticks": sum("price_ticks"), "qty_lots": sum("qty_lots")});
            (name.to_owned(), found)
        })
        .collect();
    json!({"streams": streams, "books_digest": replayed.books_digest, "tables": tables})
}

#[test]
fn the_journal_of_version_1_is_read_replayed_and_converted_as_when_it_was_written() {
    let expected: Value = serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap();
    let session = folder().join(SESSION.to_string());
    assert_eq!(read(&session), expected);
    assert_eq!(manifest::verify(&session).unwrap(), Some(Vec::new()), "the files are those that were committed");
}

#[test]
fn the_same_inputs_make_the_same_records_today() {
    let expected: Value = serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let session = generate(dir.path());
    assert_eq!(read(&session)["streams"], expected["streams"], "a kind's bytes have changed: raise the version");
    for stream in Stream::ALL {
        let file = format!("{}/000001.tlj", stream.name());
        let golden = std::fs::read(folder().join(SESSION.to_string()).join(&file)).unwrap();
        // The page before the records holds a digest of the instruments, which the session file's text decides.
        assert_eq!(std::fs::read(session.join(&file)).unwrap()[4096..], golden[4096..], "{file}");
    }
}

/// Makes the committed files. Run once for each version of the format, never again.
#[test]
#[ignore = "writes tests/data"]
fn write_the_golden_journal() {
    assert!(!folder().exists(), "the journal of a version is written once");
    std::fs::create_dir_all(folder()).unwrap();
    let session = generate(&folder());
    let text = serde_json::to_string_pretty(&read(&session)).unwrap();
    std::fs::write(folder().join("expected.json"), text + "\n").unwrap();
}
