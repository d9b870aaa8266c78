//! A session's journal gives the same decisions again, and whatever was changed in it is named.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use touchline::journal::{JournalConfig, JournalReader, LocalJournal, SessionEnd, SessionInfo};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::pipeline::{Pipeline, PipelineConfig, QuoterKind};
use touchline::run::replay::verify;
use touchline::types::{
    Action, Actions, Asset, Balance, Command, Control, ExecKind, ExecReport, ExecSource, FeeAsset, Fill, Filters,
    Input, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, SessionId, Side, Symbol, TimestampNs, TradeId,
    VenueOrderId,
};
use touchline::wire::{
    DepthBuf, DepthKind, FeedEvent, Flags, InputEvent, Kind, QuoteEvent, Record, RecordBuf, Stream, encode_action,
};

const SESSION: SessionId = SessionId(1_795_370_000_123);
const START: u64 = 1_795_370_000_000_000_000;

fn instrument() -> Instrument {
    let spec = InstrumentSpec {
        symbol: Symbol::new("BTCUSDT").unwrap(),
        base: Asset::new("BTC").unwrap(),
        quote: Asset::new("USDT").unwrap(),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters: Filters::default(),
    };
    Instrument::new(InstrumentId(0), spec)
}

/// A session in the making: the same steps as an engine's quote tile.
struct Writer {
    journal: LocalJournal,
    pipeline: Pipeline,
    actions: Actions,
    buf: RecordBuf,
    /// Reports that the venue will send.
    reports: Vec<ExecReport>,
    trades: i64,
    random: ChaCha8Rng,
}

impl Writer {
    fn quote_record(&mut self, kind: Kind, now: TimestampNs) {
        let seq = self.journal.next_seq(Stream::Quote);
        let units = self.buf.finish(Stream::Quote, kind, Flags::NONE, seq, now);
        self.journal.append(Stream::Quote, units).unwrap();
    }

    fn decide(&mut self, now: TimestampNs, input: &Input, feed_seq: u64) {
        let kind = InputEvent::of(input, feed_seq).encode(&mut self.buf);
        self.quote_record(kind, now);
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        self.pipeline.on_event(now, input, &mut actions);
        for action in actions.as_slice() {
            let kind = encode_action(action, &mut self.buf);
            self.quote_record(kind, now);
            self.answer(now, action);
        }
        self.actions = actions;
    }

    /// What a venue would say: placed orders are accepted and now and then filled, cancels are done.
    fn answer(&mut self, now: TimestampNs, action: &Action) {
        let Action::Command(command) = action else { return };
        let report = |kind| ExecReport {
            instrument: command.instrument(),
            client_id: command.client_id(),
            venue_id: Some(VenueOrderId(command.client_id().counter)),
            event_ts: now,
            recv_ts: now,
            source: ExecSource::UserStream,
            kind,
        };
        match command {
            Command::Place(order) => {
                self.reports.push(report(ExecKind::Accepted));
                if self.random.random_bool(0.1) {
                    self.trades += 1;
                    self.reports.push(report(ExecKind::Fill(Fill {
                        trade_id: TradeId(self.trades),
                        side: order.side,
                        price: order.price,
                        qty: order.qty,
                        cum_qty: order.qty,
                        order_qty: order.qty,
                        fee_e8: 0,
                        fee_asset: FeeAsset::Quote,
                        is_maker: true,
                    })));
                }
            }
            Command::Cancel { .. } => self.reports.push(report(ExecKind::Canceled { cum_qty: Qty::ZERO })),
            Command::Amend { qty, .. } => self.reports.push(report(ExecKind::Amended { qty: *qty })),
            Command::Query { .. } | Command::Fills { .. } => self.reports.push(report(ExecKind::NotFound)),
        }
    }
}

/// Writes a session of `ticks` depth messages about a wandering touch.
fn write_session(dir: &Path, ticks: u64, with_decisions: bool) -> PathBuf {
    let instruments = [instrument()];
    let mut config = PipelineConfig::default();
    config.quoter.kind = QuoterKind::Naive;
    let constants = with_decisions.then(|| serde_json::to_value(&config).unwrap());
    let info = SessionInfo::new(SESSION, "test", "binance", TimestampNs::from_nanos(START), &instruments, constants);
    let journal_config = JournalConfig { segment_bytes: 256 << 10, ..JournalConfig::for_virtual_time(dir) };
    let mut stage = MarketStage::new(&instruments, SyncRule::Spot);
    let mut writer = Writer {
        journal: LocalJournal::create(&journal_config, &info).unwrap(),
        pipeline: Pipeline::new(SESSION, &instruments, &config).unwrap(),
        actions: Actions::new(),
        buf: RecordBuf::default(),
        reports: Vec::new(),
        trades: 0,
        random: ChaCha8Rng::seed_from_u64(42),
    };
    if with_decisions {
        let now = TimestampNs::from_nanos(START);
        writer.decide(now, &Input::Control(Control::UserStreamUp), 0);
        for (asset, free_e8) in [("BTC", 1_000_000_000), ("USDT", 100_000_000_000_000)] {
            let balance = Balance { asset: Asset::new(asset).unwrap(), free_e8, locked_e8: 0 };
            writer.decide(now, &Input::Balance(balance), 0);
        }
    }
    let (mut depth, mut touch, mut old_touch) = (DepthBuf::with_capacity(64), 6_000_000_i64, 6_000_000_i64);
    let mut seen_id = 0;
    let level = |price, qty| Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
    for tick in 1..=ticks {
        let now = TimestampNs::from_nanos(START + tick * 100_000_000);
        touch += writer.random.random_range(-30..=30);
        depth.clear();
        depth.head.kind = if tick == 1 { DepthKind::Snapshot } else { DepthKind::Diff };
        (depth.head.first_id, depth.head.last_id) = (seen_id + 1, tick);
        (depth.head.event_ts, depth.head.recv_ts) = (now, now);
        // The last touch goes, the new one comes.
        for (at, qty) in [(old_touch, 0), (touch, 50_000)] {
            depth.bids.extend((1..=5).map(|away| level(at - away * 10, qty)));
            depth.asks.extend((1..=5).map(|away| level(at + away * 10, qty)));
        }
        if tick == 1 {
            depth.bids.retain(|level| !level.qty.is_zero());
            depth.asks.retain(|level| !level.qty.is_zero());
        } else {
            // A later line of the same message wins, so what is both gone and there is there.
            depth.bids.sort_by_key(|level| level.qty);
            depth.asks.sort_by_key(|level| level.qty);
        }
        let event = FeedEvent::Depth(depth.as_ref());
        let (kind, ts) = event.encode(&mut writer.buf);
        let seq = writer.journal.next_seq(Stream::Feed);
        // Some records never reached the book.
        let dropped = tick % 97 == 0;
        let flags = if dropped { Flags::DROPPED } else { Flags::NONE };
        let units = writer.buf.finish(Stream::Feed, kind, flags, seq, ts);
        writer.journal.append(Stream::Feed, units).unwrap();
        // This market's next message covers the ids of one that was dropped and takes the levels away that
        // the book still has, so that it stays live.
        if dropped {
            continue;
        }
        (seen_id, old_touch) = (tick, touch);
        let Some(update) = stage.on_event(&event) else { continue };
        if with_decisions {
            writer.decide(now, &Input::Market(update), seq);
            for report in std::mem::take(&mut writer.reports) {
                writer.decide(now, &Input::Exec(report), 0);
            }
            if writer.pipeline.next_deadline().is_some_and(|deadline| deadline <= now) {
                writer.decide(now, &Input::Timer, 0);
            }
        }
    }
    let end = SessionEnd::new(Some(stage.digest()), with_decisions.then(|| writer.pipeline.digest()));
    let session = writer.journal.close().unwrap();
    end.write(&session).unwrap();
    session
}

fn replay(session: &Path) -> Output {
    Process::new(env!("CARGO_BIN_EXE_touchline"))
        .arg("replay")
        .arg(session)
        .args(["--verify", "--json"])
        .output()
        .unwrap()
}

/// Copies a session record by record, checksums made anew, with one quote record changed.
fn rewrite(session: &Path, to: &Path, change: impl Fn(&Record<'_>) -> Option<Vec<u8>>) -> PathBuf {
    let reader = JournalReader::open(session).unwrap();
    let config = JournalConfig { segment_bytes: 256 << 10, ..JournalConfig::for_virtual_time(to) };
    let mut journal = LocalJournal::create(&config, reader.info()).unwrap();
    let mut buf = RecordBuf::default();
    for stream in Stream::ALL {
        let mut records = reader.stream(stream).unwrap();
        while let Some(record) = records.next().unwrap() {
            let header = record.header;
            buf.begin();
            match change(&record) {
                Some(payload) => buf.put(&payload),
                None => buf.put(record.payload),
            }
            journal.append(stream, buf.finish(stream, header.kind, header.flags, header.seq, header.ts)).unwrap();
        }
    }
    let out = journal.close().unwrap();
    reader.end().unwrap().write(&out).unwrap();
    out
}

#[test]
fn another_process_takes_the_same_decisions_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 3_000, true);
    let here = verify(&session, None).unwrap();
    assert!(here.identical, "{here:?}");
    assert!(here.actions > 500 && here.inputs > 1_000, "the session decides nothing: {here:?}");
    let output = replay(&session);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let there: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(there, serde_json::to_value(&here).unwrap());
    let half = verify(&session, Some(1_000)).unwrap();
    assert!(half.identical && half.actions < here.actions && half.inputs + half.actions == 1_000, "{half:?}");
}

#[test]
fn a_recording_sessions_books_are_met() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 500, false);
    let found = verify(&session, None).unwrap();
    assert!(found.identical && found.feed_records == 500 && found.inputs == 0, "{found:?}");
    let mut end = SessionEnd::read(&session).unwrap().unwrap();
    end.books_digest = Some("0".repeat(32));
    end.write(&session).unwrap();
    let output = replay(&session);
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("E_CHECK_002"));
}

/// Copies a session without its action records; what is left is numbered anew.
fn without_actions(session: &Path, to: &Path) -> PathBuf {
    let reader = JournalReader::open(session).unwrap();
    let config = JournalConfig { segment_bytes: 256 << 10, ..JournalConfig::for_virtual_time(to) };
    let mut journal = LocalJournal::create(&config, reader.info()).unwrap();
    let mut buf = RecordBuf::default();
    for stream in Stream::ALL {
        let mut records = reader.stream(stream).unwrap();
        while let Some(record) = records.next().unwrap() {
            let header = record.header;
            if stream == Stream::Quote && matches!(QuoteEvent::decode(&record), Ok(QuoteEvent::Action(_))) {
                continue;
            }
            buf.begin();
            buf.put(record.payload);
            let seq = journal.next_seq(stream);
            journal.append(stream, buf.finish(stream, header.kind, header.flags, seq, header.ts)).unwrap();
        }
    }
    let out = journal.close().unwrap();
    reader.end().unwrap().write(&out).unwrap();
    out
}

#[test]
fn without_its_action_records_a_journal_gives_the_same_digests() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 2_000, true);
    let whole = verify(&session, None).unwrap();
    let other = tempfile::tempdir().unwrap();
    let bare = without_actions(&session, other.path());
    let output = Process::new(env!("CARGO_BIN_EXE_touchline")).arg("replay").arg(&bare).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["actions_digest"], whole.actions_digest.as_str());
    assert_eq!(found["pipeline_digest"], whole.pipeline_digest.clone().unwrap().as_str());
    assert_eq!((found["actions"].as_u64(), found["inputs"].as_u64()), (Some(whole.actions), Some(whole.inputs)));
    // Compared with, the missing records are a difference.
    assert_eq!(replay(&bare).status.code(), Some(7));
}

#[test]
fn a_run_keeps_the_speed_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 60, true);
    let timed = |flags: &[&str]| {
        let began = std::time::Instant::now();
        let output = Process::new(env!("CARGO_BIN_EXE_touchline"))
            .args(["replay", "--verify"])
            .arg(&session)
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "no bar where stderr is no terminal");
        began.elapsed().as_secs_f64()
    };
    let info = JournalReader::open(&session).unwrap();
    let mut quote = info.stream(Stream::Quote).unwrap();
    let (mut first, mut last) = (None, TimestampNs::ZERO);
    while let Some(record) = quote.next().unwrap() {
        if matches!(QuoteEvent::decode(&record), Ok(QuoteEvent::Input(_))) {
            first.get_or_insert(record.header.ts);
            last = record.header.ts;
        }
    }
    let length = last.since(first.unwrap()).secs_f64();
    assert!(length > 1.0, "{length}");
    let speed = length / 0.5;
    let paced = timed(&["--speed", &format!("{speed:.3}")]);
    assert!((0.49..5.0).contains(&paced), "{paced} s for half a second");
    let output = Process::new(env!("CARGO_BIN_EXE_touchline")).args(["replay", "x", "--speed", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

fn explain(session: &Path, seq: u64, flags: &[&str]) -> Output {
    Process::new(env!("CARGO_BIN_EXE_touchline"))
        .arg("replay")
        .arg(session)
        .args(["--explain", &seq.to_string()])
        .args(flags)
        .output()
        .unwrap()
}

#[test]
fn a_quote_is_explained_from_its_input_to_its_orders() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 300, true);
    let seq = first_action(&session);
    let output = explain(&session, seq, &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((told["seq"].as_u64(), told["symbol"].as_str()), (Some(seq), Some("BTCUSDT")));
    assert!(told["input_seq"].as_u64().unwrap() < seq);
    let number = |section: &str, name: &str| told[section][name].as_f64().unwrap_or_else(|| panic!("{name}: {told}"));
    // The naive quoter: no skew, and the half-spread is the configured one.
    let (reference, half) = (number("model", "reference_ticks"), number("model", "half_spread_ticks"));
    assert_eq!((number("model", "reservation_ticks"), number("model", "skew_ticks")), (reference, 0.0));
    assert_eq!(number("model", "wanted_bid_ticks"), reference - half);
    assert_eq!(reference, number("features", "mid_ticks"));
    // What is told is what the journal holds, and each command follows from it.
    let mut quote = JournalReader::open(&session).unwrap().stream(Stream::Quote).unwrap();
    let (mut decision, mut placed) = (None, Vec::new());
    while let Some(record) = quote.next().unwrap() {
        match QuoteEvent::decode(&record).unwrap() {
            QuoteEvent::Action(Action::Quote(made)) if record.header.seq == seq => decision = Some(made),
            QuoteEvent::Action(Action::Command(Command::Place(order))) if decision.is_some() => {
                placed.push(instrument().price_text(order.price));
            }
            QuoteEvent::Input(_) if decision.is_some() => break,
            _ => {}
        }
    }
    let bid = decision.unwrap().side(Side::Bid).price.unwrap();
    assert_eq!(told["targets"]["bid"]["price"], instrument().price_text(bid).as_str());
    let commands = told["commands"].as_array().unwrap();
    let prices: Vec<_> = commands.iter().map(|one| one["price"].as_str().unwrap().to_owned()).collect();
    assert_eq!(prices, placed);
    assert!(!placed.is_empty(), "{told}");

    let text = explain(&session, seq, &[]).stdout;
    let text = String::from_utf8(text).unwrap();
    for part in ["input", "features", "model", "reservation_ticks", "targets", "commands", &placed[0]] {
        assert!(text.contains(part), "{part} is not told in {text}");
    }
}

#[test]
fn a_record_that_is_no_decision_is_named_with_those_that_are_near() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 300, true);
    let decision = first_action(&session);
    for (seq, told) in [
        (decision - 1, format!("{decision}")),
        (decision + 1, format!("{decision}")),
        (1_000_000, "the stream ends with".to_owned()),
    ] {
        let output = explain(&session, seq, &[]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains("E_INPUT_006") && text.contains(&told), "{seq}: {text}");
    }
}

#[test]
fn a_flipped_byte_is_named_by_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 300, true);
    for stream in ["feed", "quote"] {
        let file = session.join(stream).join("000001.tlj");
        let mut bytes = std::fs::read(&file).unwrap();
        let mut at = 4096;
        for _ in 1..100 {
            at += usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) * 64;
        }
        bytes[at + 40] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let output = replay(&session);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains("000001.tlj") && text.contains("record 100:"), "{text}");
        bytes[at + 40] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn a_changed_input_is_named_by_the_first_action_that_differs() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 300, true);
    let other = tempfile::tempdir().unwrap();
    let changed = std::cell::Cell::new(0);
    let out = rewrite(&session, other.path(), |record| {
        // The first fill happened at another size.
        let Ok(QuoteEvent::Input(InputEvent::Exec(mut report))) = QuoteEvent::decode(record) else { return None };
        let ExecKind::Fill(fill) = &mut report.kind else { return None };
        if changed.get() != 0 {
            return None;
        }
        changed.set(record.header.seq);
        (fill.qty, fill.cum_qty) = (Qty::from_lots(fill.qty.lots() / 2), Qty::from_lots(fill.qty.lots() / 2));
        let mut buf = RecordBuf::default();
        let kind = InputEvent::Exec(report).encode(&mut buf);
        Some(
            Record::from_units(buf.finish(Stream::Quote, kind, Flags::NONE, 1, TimestampNs::ZERO))
                .unwrap()
                .payload
                .to_vec(),
        )
    });
    assert!(changed.get() > 0, "there was no fill to change");
    let output = replay(&out);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("E_CHECK_001") && text.contains("recorded") && text.contains("made"), "{text}");
    let difference = verify(&out, None).unwrap().first_difference.unwrap();
    assert!(difference.seq > changed.get(), "{difference:?}");
}

#[test]
fn another_quoter_constant_is_named_by_the_first_action_that_differs() {
    let dir = tempfile::tempdir().unwrap();
    let session = write_session(dir.path(), 300, true);
    let file = session.join("session.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let constant = &mut json["pipeline"]["quoter"]["half_spread_ticks"];
    *constant = match constant.as_i64() {
        Some(whole) => (whole + 3).into(),
        None => (constant.as_f64().expect("a number") + 3.0).into(),
    };
    std::fs::write(&file, serde_json::to_vec(&json).unwrap()).unwrap();
    let output = replay(&session);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("E_CHECK_001") && text.contains("session.json is not as the session wrote it"), "{text}");
    let found = verify(&session, None).unwrap();
    let difference = found.first_difference.unwrap();
    let first_action = first_action(&session);
    assert_eq!(difference.seq, first_action, "{difference:?}");
}

fn first_action(session: &Path) -> u64 {
    let mut quote = JournalReader::open(session).unwrap().stream(Stream::Quote).unwrap();
    while let Some(record) = quote.next().unwrap() {
        if let Ok(QuoteEvent::Action(Action::Quote(decision))) = QuoteEvent::decode(&record)
            && decision.side(Side::Bid).price.is_some()
        {
            return record.header.seq;
        }
    }
    panic!("the session quotes nothing");
}
