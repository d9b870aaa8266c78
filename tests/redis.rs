//! A real redis-server: what is published equals the journal, positions follow fills, outages are counted and closed by a
//! whole book, a reader's books are the recorder's or known not to be, and a password is in no text.

mod common;
mod engine_support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine_support::{alone, btcusdt, config, keys, own_orders, take_both_sides, venue};
use redis::Value;
use touchline::gateway::wall_now;
use touchline::journal::{JournalReader, SessionEnd};
use touchline::metrics::{Count, Gauge};
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::redis::{Publisher, PublisherLimits, Server, Sink, Source};
use touchline::run::engine::{self, EngineMode};
use touchline::tiles::print::event_json;
use touchline::types::{BookState, InstrumentId, Level, Price, Qty, SessionId, TimestampNs};
use touchline::wire::{DepthBuf, DepthKind, FeedEvent, Flags, Kind, Record, RecordBuf, Stream};

/// A redis-server on a port of its own, with nothing kept on disk.
struct Redis {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    password: Option<&'static str>,
}

impl Redis {
    /// `None`, with the reason printed, where there is no redis-server; a failure where tools are required.
    fn start(password: Option<&'static str>) -> Option<Redis> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            let required = std::env::var_os("TOUCHLINE_REQUIRE_TOOLS").is_some_and(|value| value == "1");
            assert!(!required, "redis-server is required and not installed");
            common::skip("no redis-server on this machine");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Redis::spawn(port, folder.path(), password);
        let redis = Redis { child, port, folder, password };
        redis.until_up();
        Some(redis)
    }

    fn spawn(port: u16, folder: &Path, password: Option<&str>) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"]);
        command.arg(folder);
        if let Some(password) = password {
            command.args(["--requirepass", password]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn until_up(&self) {
        until("the redis-server answers", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn url(&self) -> String {
        match self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    fn server(&self) -> Server {
        Server::new(&self.url()).unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = Redis::spawn(self.port, self.folder.path(), self.password);
        self.until_up();
    }

    fn ask(&self, words: &[&str]) -> Value {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut connection).unwrap()
    }

    fn hash(&self, key: &str) -> BTreeMap<String, String> {
        redis::from_redis_value(self.ask(&["HGETALL", key])).unwrap()
    }

    /// Every entry of a stream: its id and its fields.
    fn entries(&self, key: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let text = |value: &Value| match value {
            Value::BulkString(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{other:?}"),
        };
        let Value::Array(entries) = self.ask(&["XRANGE", key, "-", "+"]) else { panic!("no entries") };
        let entry = |entry: &Value| {
            let Value::Array(parts) = entry else { panic!("{entry:?}") };
            let Value::Array(fields) = &parts[1] else { panic!("{entry:?}") };
            (text(&parts[0]), fields.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect())
        };
        entries.iter().map(entry).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut found: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !found() {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every command that the server is given, as MONITOR tells them, until the server goes.
fn monitor(redis: &Redis) -> Arc<Mutex<Vec<String>>> {
    let mut socket = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    socket.write_all(b"MONITOR\r\n").unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (kept, watching) = (Arc::clone(&lines), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&watching);
    std::thread::spawn(move || {
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            watching.store(true, Ordering::Release);
            kept.lock().unwrap().push(line);
        }
    });
    until("MONITOR watches", || seen.load(Ordering::Acquire));
    lines
}

/// What a journal's record says under the names of the stream, by the words of `record --print`.
fn row(record: &Record<'_>) -> Option<BTreeMap<String, String>> {
    let event = FeedEvent::decode(record).unwrap();
    let value = event_json(record.header.seq, &event, &[btcusdt()])?;
    let mut row = BTreeMap::new();
    for (name, value) in value.as_object().unwrap() {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => continue,
            other => other.to_string(),
        };
        match (name.as_str(), value) {
            ("symbol", _) => {}
            // A touch has flat fields.
            ("bid" | "ask", serde_json::Value::Array(level)) => {
                row.insert(name.clone(), level[0].as_str().unwrap().to_owned());
                row.insert(format!("{name}_qty"), level[1].as_str().unwrap().to_owned());
            }
            _ => {
                row.insert(name.clone(), text);
            }
        }
    }
    Some(row)
}

#[test]
fn the_stream_is_the_journal_row_by_row_and_positions_follow_each_fill() {
    let _alone = alone();
    let Some(redis) = Redis::start(None) else { return };
    let commands = monitor(&redis);
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let config = config(&venue, folder.path(), &[&format!("redis.url={}", redis.url()), "redis.book_ms=100"]);
    let engine = engine::start(&config, Some(&keys(&venue)), EngineMode::Live, "test", None).unwrap();
    let board = Arc::clone(engine.live().board());
    for round in 1..=4 {
        until("both our quotes rest", || own_orders(&venue).len() >= 2);
        take_both_sides(&venue, 5_000_000_000);
        until("they are filled", || board.count(Count::Fills) >= round);
    }
    // A quick machine has its fills before there is much to compare.
    until("there are enough rows and books to compare", || {
        let entries = redis.entries("stream:lob:BTCUSDT");
        entries.len() > 150 && entries.iter().filter(|(_, fields)| fields["kind"] == "book").count() > 1
    });
    engine.stop();
    let summary = engine.join();
    assert_eq!(summary.failure, None);
    let counts = summary.redis.unwrap();
    assert_eq!((counts.dropped, counts.outages), (0, 0));

    // Each row of the journal is an entry with the same fields, in the same order, and nothing else is there but books.
    let entries = redis.entries("stream:lob:BTCUSDT");
    assert_eq!(entries.len() as u64, counts.entries);
    let session = summary.session.to_string();
    let mut told = entries.iter().map(|(_, fields)| fields).peekable();
    let mut stage = MarketStage::new(&[btcusdt()], SyncRule::Spot);
    let mut stream = JournalReader::open(&summary.journal).unwrap().stream(Stream::Feed).unwrap();
    let (mut rows, mut books, mut prev) = (0_u64, 0_u64, 0_u64);
    while let Some(record) = stream.next().unwrap() {
        if record.header.kind == Kind::End {
            continue;
        }
        stage.on_event(&FeedEvent::decode(&record).unwrap());
        let Some(mut want) = row(&record) else { continue };
        want.insert("session".to_owned(), session.clone());
        want.insert("prev".to_owned(), prev.to_string());
        prev = record.header.seq;
        assert_eq!(told.next(), Some(&want), "record {}", record.header.seq);
        rows += 1;
        while let Some(book) = told.next_if(|fields| fields["kind"] == "book") {
            assert_eq!(book["seq"], record.header.seq.to_string());
            assert_eq!(book["last_id"], stage.update_id(InstrumentId(0)).to_string());
            let levels = |name: &str| serde_json::from_str::<Vec<(String, String)>>(&book[name]).unwrap();
            let mut again = touchline::book::ArenaBook::new();
            let instrument = btcusdt();
            let read = |levels: Vec<(String, String)>| -> Vec<Level> {
                levels
                    .iter()
                    .map(|(price, qty)| Level {
                        price: instrument.price_from_text(price.as_bytes()).unwrap(),
                        qty: instrument.qty_from_text(qty.as_bytes()).unwrap(),
                    })
                    .collect()
            };
            again.apply(&read(levels("bids")), &read(levels("asks")));
            assert_eq!(again.digest(), stage.book(InstrumentId(0)).digest());
            books += 1;
        }
    }
    assert_eq!(told.next(), None);
    assert!(rows > 100 && books > 1, "{rows} rows, {books} books");

    // One statement of the position a fill, beside the first one; the last words are the summary's.
    let lines = commands.lock().unwrap();
    let stated = |key: &str| lines.iter().filter(|line| line.contains(&format!("\"HSET\" \"{key}\""))).count() as u64;
    assert!(summary.fills >= 4);
    assert_eq!(stated("position:BTCUSDT"), summary.fills + 1);
    assert!(stated("pnl:BTCUSDT") > summary.fills);
    let (_, last) = summary.instruments[0];
    let position = redis.hash("position:BTCUSDT");
    assert_eq!(position["lots"], last.position.lots().to_string());
    assert_eq!(position["atoms"], last.position_atoms.get().to_string());
    // Commissions in base leave a position between two lots.
    let mut qty = String::new();
    touchline::types::format_e8(last.position_atoms.get(), &mut qty);
    assert_eq!(position["qty"], qty);
    assert_eq!((&position["fills"], &position["session"]), (&summary.fills.to_string(), &session));
    let pnl = redis.hash("pnl:BTCUSDT");
    for (name, money) in [
        ("total", last.pnl.total),
        ("gross", last.pnl.gross),
        ("spread", last.pnl.spread),
        ("inventory", last.pnl.inventory),
        ("fees", last.pnl.fees),
    ] {
        assert_eq!(pnl[name], money.to_string(), "{name}");
    }
}

#[test]
fn a_killed_server_costs_counted_records_and_no_session() {
    let _alone = alone();
    let Some(mut redis) = Redis::start(None) else { return };
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let more = [&format!("redis.url={}", redis.url())[..], "redis.queue_kb=64"];
    let config = config(&venue, folder.path(), &more);
    let engine = engine::start(&config, Some(&keys(&venue)), EngineMode::Live, "test", None).unwrap();
    let board = Arc::clone(engine.live().board());
    until("entries are published", || board.count(Count::RedisEntries) > 100);
    // A reader that was there before.
    let mut reader = Reader::new(&redis);
    until("the reader's book is live", || {
        reader.read();
        reader.state() == BookState::Live
    });
    redis.kill();
    until("the outage is seen", || board.gauge(Gauge::RedisUp) == 0);
    until("records are dropped", || board.count(Count::RedisDropped) > 20);
    until("both our quotes rest", || own_orders(&venue).len() >= 2);
    let before = board.count(Count::Fills);
    take_both_sides(&venue, 5_000_000_000);
    until("it trades on", || board.count(Count::Fills) > before);
    until("the reader sees that the server is gone", || reader.source.wait(Duration::from_millis(10)).is_err());
    redis.restart();
    until("it publishes again", || board.gauge(Gauge::RedisUp) == 1);
    until("a book is told", || redis.entries("stream:lob:BTCUSDT").iter().any(|(_, fields)| fields["kind"] == "book"));
    // The reader has missed something and says so; the book in the stream makes it whole.
    until("the reader's book is live again", || {
        reader.read();
        reader.gaps > 0 && reader.state() == BookState::Live
    });
    engine.stop();
    let summary = engine.join();
    assert_eq!(summary.failure, None);
    let counts = summary.redis.unwrap();
    assert!(counts.dropped > 20 && counts.outages == 1, "{counts:?}");
    let position = redis.hash("position:BTCUSDT");
    assert_eq!(position["lots"], summary.instruments[0].1.position.lots().to_string());
    // What the new server has is one chain: behind the hole nothing is missing.
    let entries = redis.entries("stream:lob:BTCUSDT");
    let mut seq = None;
    for (_, fields) in entries.iter().filter(|(_, fields)| fields["kind"] != "book") {
        assert!(seq.is_none_or(|seq| seq == fields["prev"]), "{fields:?}");
        seq = Some(fields["seq"].clone());
    }
    while reader.read() > 0 {}
    let journal = JournalReader::open(&summary.journal).unwrap();
    assert_eq!(reader.stage.digest(), books_of(&journal).digest());
}

/// A reader of the stream, with the books that it makes of it.
struct Reader {
    source: Source,
    stage: MarketStage,
    gaps: u64,
}

impl Reader {
    fn new(redis: &Redis) -> Reader {
        let mut source = Source::new(redis.server(), &[btcusdt()], wall_now);
        source.connect().unwrap();
        Reader { source, stage: MarketStage::new(&[btcusdt()], SyncRule::Spot), gaps: 0 }
    }

    fn state(&self) -> BookState {
        self.stage.state(InstrumentId(0))
    }

    fn read(&mut self) -> usize {
        if !self.source.is_connected() && self.source.connect().is_err() {
            return 0;
        }
        let answer = self.source.wait(Duration::from_millis(20)).unwrap();
        self.source
            .take(&answer, |event, _| {
                self.gaps += u64::from(matches!(event, FeedEvent::Notice(_)));
                self.stage.on_event(event);
            })
            .unwrap()
    }
}

fn books_of(journal: &JournalReader) -> MarketStage {
    let mut stage = MarketStage::new(&[btcusdt()], SyncRule::Spot);
    let mut stream = journal.stream(Stream::Feed).unwrap();
    while let Some(record) = stream.next().unwrap() {
        if record.header.kind != Kind::End && !record.header.flags.has(Flags::DROPPED) {
            stage.on_event(&FeedEvent::decode(&record).unwrap());
        }
    }
    stage
}

/// A recording session of a few hand-made diffs, its publisher and its sink.
struct Hand {
    publisher: Publisher,
    sink: Sink,
    stage: MarketStage,
    buf: RecordBuf,
    seq: u64,
}

impl Hand {
    fn new(redis: &Redis, session: u64, maxlen: u64) -> Hand {
        // Books are told when they are owed, and not by the clock: the test says when.
        let limits = PublisherLimits { queue_bytes: 1 << 20, book_ns: u64::MAX / 2, book_entries: u64::MAX };
        let session = SessionId(session);
        let mut hand = Hand {
            publisher: Publisher::new(session, &[btcusdt()], SyncRule::Spot, limits),
            sink: Sink::new(redis.server(), session, &[btcusdt()], maxlen),
            stage: MarketStage::new(&[btcusdt()], SyncRule::Spot),
            buf: RecordBuf::default(),
            seq: 0,
        };
        hand.connect();
        hand.depth(DepthKind::Diff, 5);
        hand.depth(DepthKind::Snapshot, 5);
        hand
    }

    fn connect(&mut self) {
        self.sink.connect(&mut self.publisher, None, wall_now()).unwrap();
    }

    fn depth(&mut self, kind: DepthKind, update: u64) {
        let mut depth = DepthBuf::with_capacity(2);
        depth.head.kind = kind;
        (depth.head.first_id, depth.head.last_id) = (update, update);
        let level = |price, qty| Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) };
        depth.bids.push(level(100 - update as i64 % 3, update as i64));
        depth.asks.push(level(101, 7));
        let event = FeedEvent::Depth(depth.as_ref());
        self.stage.on_event(&event);
        let (kind, _) = event.encode(&mut self.buf);
        self.seq += 1;
        let units = self.buf.finish(Stream::Feed, kind, Flags::NONE, self.seq, TimestampNs::from_nanos(self.seq));
        self.publisher.on_record(&Record::from_units(units).unwrap()).unwrap();
        while self.sink.deliver(&mut self.publisher, None).unwrap() > 0 {}
    }
}

#[test]
fn a_hole_in_the_stream_is_told_and_the_next_book_closes_it() {
    let Some(redis) = Redis::start(None) else { return };
    let mut hand = Hand::new(&redis, 1, 100_000);
    (6..20).for_each(|update| hand.depth(DepthKind::Diff, update));
    let mut reader = Reader::new(&redis);
    while reader.read() > 0 {}
    assert_eq!((reader.state(), reader.gaps), (BookState::Live, 0));
    assert_eq!(reader.stage.digest(), hand.stage.digest());

    // One entry is gone before the reader comes by: trimming does that to a reader that is too slow.
    (20..30).for_each(|update| hand.depth(DepthKind::Diff, update));
    let entries = redis.entries("stream:lob:BTCUSDT");
    let lost = entries.iter().find(|(_, fields)| fields.get("first_id").is_some_and(|id| id == "24")).unwrap();
    redis.ask(&["XDEL", "stream:lob:BTCUSDT", &lost.0]);
    while reader.read() > 0 {}
    assert!(matches!(reader.state(), BookState::Syncing(_)) && reader.gaps == 1, "{:?}", reader.state());
    // A new connection of the sink tells the book again, and nothing that is there already a second time.
    let before = redis.entries("stream:lob:BTCUSDT").len();
    hand.connect();
    hand.depth(DepthKind::Diff, 30);
    assert_eq!(redis.entries("stream:lob:BTCUSDT").len(), before + 2, "a book and a diff");
    while reader.read() > 0 {}
    assert_eq!((reader.state(), reader.gaps), (BookState::Live, 1));
    assert_eq!(reader.stage.digest(), hand.stage.digest());

    // Another session writes on: whatever was between is not known, and its own snapshot is the new beginning.
    let mut next = Hand::new(&redis, 2, 100_000);
    next.depth(DepthKind::Diff, 6);
    while reader.read() > 0 {}
    assert_eq!((reader.state(), reader.gaps), (BookState::Live, 2));
    assert_eq!(reader.stage.digest(), next.stage.digest());

    // An entry that nobody can read may have been a diff.
    redis.ask(&["XADD", "stream:lob:BTCUSDT", "*", "kind", "diff", "session", "tl2", "seq", "4", "prev", "3"]);
    while reader.read() > 0 {}
    assert!(matches!(reader.state(), BookState::Syncing(_)));
    assert_eq!(reader.source.malformed(), 1);
}

#[test]
fn a_stream_is_trimmed_and_a_late_reader_begins_with_its_newest_book() {
    let Some(redis) = Redis::start(None) else { return };
    let mut hand = Hand::new(&redis, 1, 100);
    (6..2_000).for_each(|update| hand.depth(DepthKind::Diff, update));
    let kept = redis.entries("stream:lob:BTCUSDT");
    assert!((100..400).contains(&kept.len()), "{} entries", kept.len());
    assert!(kept.iter().all(|(_, fields)| fields["kind"] == "diff"), "the only book was trimmed away long ago");
    // Without a book nothing can be known, and nothing is claimed.
    let mut early = Reader::new(&redis);
    while early.read() > 0 {}
    assert!(matches!(early.state(), BookState::Syncing(_)));
    hand.connect();
    (2_000..2_010).for_each(|update| hand.depth(DepthKind::Diff, update));
    let mut late = Reader::new(&redis);
    for reader in [&mut early, &mut late] {
        while reader.read() > 0 {}
        assert_eq!(reader.state(), BookState::Live);
        assert_eq!(reader.stage.digest(), hand.stage.digest());
    }
    assert_eq!(late.gaps, 0);
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn interrupt(program: &Program) {
    assert!(Command::new("kill").args(["-INT", &program.0.id().to_string()]).status().unwrap().success());
}

fn ended(mut program: Program) -> Output {
    until("the program ends", || program.0.try_wait().unwrap().is_some());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    program.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    program.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: program.0.wait().unwrap(), stdout, stderr }
}

fn touchline(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_touchline"));
    command.args(words).args(["--set", "journal.segment_mb=4", "--set"]);
    command.arg(format!("journal.dir={}", folder.display()));
    command.args(["--set", "metrics.enabled=false", "--set", "warm.backfill=false", "--set", "topology.idle=park"]);
    command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The only session in a folder.
fn session_in(folder: &Path) -> std::path::PathBuf {
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn an_engine_on_another_ones_stream_has_its_books_and_quotes_from_them() {
    let _alone = alone();
    let Some(redis) = Redis::start(None) else { return };
    let venue = venue();
    let (recorded, followed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("redis.url={}", redis.url());
    let recorder = touchline(recorded.path(), &["record", "--set", &url, "--set", "redis.book_ms=500"])
        .args(["--set", &format!("venue.rest_url={}", venue.rest_url())])
        .args(["--set", &format!("venue.ws_url={}", venue.ws_url())])
        .spawn()
        .map(Program)
        .unwrap();
    until("a book is in the stream", || {
        redis.ask(&["EXISTS", "stream:lob:BTCUSDT"]) == Value::Int(1)
            && redis.entries("stream:lob:BTCUSDT").iter().any(|(_, fields)| fields["kind"] == "book")
    });
    // It is told no venue: instruments, snapshots and everything else come out of the stream.
    let mut follower =
        touchline(followed.path(), &["run", "--dry-run", "--set", &url, "--set", "redis.role=source", "--json"])
            .args(["--set", "venue.profile=local", "--set", "quoter.kind=naive", "--set", "quoter.maker_fee_bps=0"])
            .spawn()
            .map(Program)
            .unwrap();
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let quote: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(quote["symbol"], "BTCUSDT");
    std::thread::sleep(Duration::from_secs(2));
    interrupt(&recorder);
    let output = ended(recorder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It has read all when its newest record says what the stream's newest entry says.
    let entries = redis.entries("stream:lob:BTCUSDT");
    let newest = entries.iter().rfind(|(_, fields)| fields["kind"] == "diff").unwrap().1["last_id"].clone();
    let session = session_in(followed.path());
    until("the follower has read all", || {
        let journal = JournalReader::open(&session).unwrap();
        books_of(&journal).update_id(InstrumentId(0)).to_string() == newest
    });
    interrupt(&follower);
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    until("the follower ends", || follower.0.try_wait().unwrap().is_some());
    assert!(follower.0.wait().unwrap().success());
    let summary: serde_json::Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert!(summary["quotes"].as_u64().unwrap() > 1 && summary["ticks"].as_u64().unwrap() > 50, "{summary}");

    // The books at the end, as each engine itself left them, and after every diff on the way.
    let recorder = session_in(recorded.path());
    let digest = |session: &Path| SessionEnd::read(session).unwrap().unwrap().books_digest;
    assert_eq!(digest(&recorder), digest(&session));
    let (theirs, ours) = (digests(&recorder), digests(&session));
    let common: Vec<_> = ours.iter().filter(|(update, _)| theirs.contains_key(update)).collect();
    assert!(common.len() > 15, "{} diffs in common", common.len());
    for (update, digest) in common {
        assert_eq!(theirs[update], *digest, "after update {update}");
    }
}

/// The digest of a session's live book after each update.
fn digests(session: &Path) -> BTreeMap<u64, u128> {
    let mut stage = MarketStage::new(&[btcusdt()], SyncRule::Spot);
    let mut stream = JournalReader::open(session).unwrap().stream(Stream::Feed).unwrap();
    let mut digests = BTreeMap::new();
    while let Some(record) = stream.next().unwrap() {
        if record.header.kind == Kind::End || record.header.flags.has(Flags::DROPPED) {
            continue;
        }
        stage.on_event(&FeedEvent::decode(&record).unwrap());
        if stage.state(InstrumentId(0)) == BookState::Live {
            digests.insert(stage.update_id(InstrumentId(0)), stage.book(InstrumentId(0)).digest());
        }
    }
    digests
}

#[test]
fn a_password_is_in_no_output_and_only_a_refusal_stops_the_start() {
    const PASSWORD: &str = "hunter2-5f1b";
    let _alone = alone();
    let Some(mut redis) = Redis::start(Some(PASSWORD)) else { return };
    let venue = venue();
    let folder = tempfile::tempdir().unwrap();
    let record = |url: &str| {
        let output = touchline(folder.path(), &["record", "--seconds", "1"])
            .args(["--set", &format!("venue.rest_url={}", venue.rest_url())])
            .args(["--set", &format!("venue.ws_url={}", venue.ws_url()), "--set", "log.filter=trace"])
            .env("TOUCHLINE__redis__url", url)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains(PASSWORD) && !String::from_utf8_lossy(&output.stdout).contains(PASSWORD), "{stderr}");
        (output.status.code(), stderr)
    };
    let (code, stderr) = record(&redis.url());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!redis.entries("stream:lob:BTCUSDT").is_empty());
    for wrong in [format!("redis://:{PASSWORD}x@127.0.0.1:{}", redis.port), format!("redis://127.0.0.1:{}", redis.port)]
    {
        let (code, stderr) = record(&wrong);
        assert_eq!(code, Some(3), "{stderr}");
        assert!(stderr.contains("E_REDIS_001"), "{stderr}");
    }
    redis.kill();
    let (code, stderr) = record(&redis.url());
    assert_eq!(code, Some(0), "an absent server is a warning: {stderr}");
    assert!(stderr.contains("E_REDIS_004"), "{stderr}");
    let output = touchline(folder.path(), &["run", "--dry-run", "--set", "redis.role=source"])
        .env("TOUCHLINE__redis__url", redis.url())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("E_REDIS_002") && !stderr.contains(PASSWORD), "{stderr}");
    // The journals know nothing of it either.
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
}
