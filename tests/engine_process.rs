//! `touchline run` and `touchline record` as programs of their own, against `touchline venue` as another.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use touchline::journal::JournalReader;
use touchline::types::Action;
use touchline::venue::binance::rest::{Method, RequestBuilder};
use touchline::venue::binance::sign::Signer;
use touchline::wire::{Flags, InputEvent, Kind, QuoteEvent, Stream};

static ALONE: Mutex<()> = Mutex::new(());

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Venue {
    _program: Program,
    line: serde_json::Value,
}

impl Venue {
    fn start() -> Venue {
        Venue::with_flow(&["--synthetic", "7"])
    }

    fn with_flow(flow: &[&str]) -> Venue {
        let mut child = Command::new(env!("CARGO_BIN_EXE_touchline"))
            .args(["venue", "--port", "0"])
            .args(flow)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Venue { line: serde_json::from_str(&line).unwrap(), _program: Program(child) }
    }

    fn text(&self, key: &str) -> &str {
        self.line[key].as_str().unwrap()
    }

    /// One signed request, spoken by hand: the venue is asked by somebody who is not the engine.
    fn ask(&self, method: &str, path: &'static str, parameters: &[(&str, &str)]) -> serde_json::Value {
        let signer = Signer::hmac(&self.text("api_secret").into()).unwrap();
        let now = touchline::gateway::wall_now().millis();
        let mut builder = RequestBuilder::new(5000);
        let request = builder.signed_get(path, parameters, now, &signer);
        assert_eq!(request.method, Method::Get);
        let address = self.text("rest").strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let key = self.text("api_key");
        write!(
            socket,
            "{method} {path}?{} HTTP/1.1\r\nHost: {address}\r\nX-MBX-APIKEY: {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            request.payload
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let start = body.find(['{', '[']).unwrap();
        let end = body.rfind(['}', ']']).unwrap();
        serde_json::from_str(&body[start..=end]).unwrap()
    }

    fn open_names(&self) -> Vec<String> {
        let orders = self.ask("GET", "/api/v3/openOrders", &[("symbol", "BTCUSDT")]);
        orders.as_array().unwrap().iter().map(|order| order["clientOrderId"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether each side has an order of ours, and the public book at its price holds at least its quantity.
    fn depth_shows_our_quotes(&self) -> bool {
        let orders = self.ask("GET", "/api/v3/openOrders", &[("symbol", "BTCUSDT")]);
        let depth = self.ask("GET", "/api/v3/depth", &[("symbol", "BTCUSDT"), ("limit", "1000")]);
        let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
        [("BUY", "bids"), ("SELL", "asks")].iter().all(|(side, levels)| {
            let ours = orders
                .as_array()
                .unwrap()
                .iter()
                .find(|order| order["side"] == *side && is_ours(order["clientOrderId"].as_str().unwrap()));
            ours.is_some_and(|order| {
                let left = number(&order["origQty"]) - number(&order["executedQty"]);
                depth[*levels]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|level| level[0] == order["price"] && number(&level[1]) + 1e-9 >= left)
            })
        })
    }

    fn touchline(&self, folder: &std::path::Path, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_touchline"));
        command
            .args(words)
            .arg("--set")
            .arg(format!("venue.rest_url={}", self.text("rest")))
            .arg("--set")
            .arg(format!("venue.ws_url={}", self.text("ws")))
            .arg("--set")
            .arg(format!("venue.ws_api_url={}", self.text("ws_api")))
            .arg("--set")
            .arg(format!("journal.dir={}", folder.join("runs").display()))
            .args(["--set", "journal.segment_mb=4", "--set", "quoter.kind=naive", "--set", "quoter.maker_fee_bps=0"])
            .args(["--set", "metrics.port=0"])
            .env_remove("BINANCE_API_KEY")
            .env_remove("BINANCE_API_SECRET")
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

fn signal(program: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), program.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The program's end, in time or not at all.
fn ended(mut program: Program) -> Output {
    let deadline = Instant::now() + Duration::from_secs(60);
    while program.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the program does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    program.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    program.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: program.0.wait().unwrap(), stdout, stderr }
}

fn until(what: &str, mut found: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !found() {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_ours(name: &str) -> bool {
    touchline::types::ClientOrderId::parse(name).is_some()
}

#[test]
fn an_interrupt_takes_own_orders_off_the_venue_and_leaves_foreign_ones() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let venue = Venue::start();
    let folder = tempfile::tempdir().unwrap();
    let foreign = [
        ("symbol", "BTCUSDT"),
        ("side", "BUY"),
        ("type", "LIMIT_MAKER"),
        ("quantity", "0.01"),
        ("price", "30000"),
        ("newClientOrderId", "somebody-else"),
    ];
    assert_eq!(venue.ask("POST", "/api/v3/order", &foreign)["clientOrderId"], "somebody-else");
    let metrics = free_port();
    let run = venue
        .touchline(folder.path(), &["run", "--mode", "live", "--live", "--json"])
        .args(["--set", &format!("metrics.port={metrics}")])
        .env("BINANCE_API_KEY", venue.text("api_key"))
        .env("BINANCE_API_SECRET", venue.text("api_secret"))
        .spawn()
        .map(Program)
        .unwrap();
    until("two of our orders rest", || venue.open_names().iter().filter(|name| is_ours(name)).count() >= 2);
    until("the public depth shows our quotes", || venue.depth_shows_our_quotes());
    let mut scrape = TcpStream::connect(("127.0.0.1", metrics)).unwrap();
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    scrape.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("touchline_open_orders"), "{page}");
    signal(&run.0, "INT");
    let output = ended(run);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(venue.open_names(), ["somebody-else"], "{stderr}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["open_orders_at_exit"], 0);
    for secret in [venue.text("api_key"), venue.text("api_secret")] {
        assert!(!stderr.contains(secret), "a secret is in the log");
    }
}

#[test]
fn every_tick_of_a_fast_feed_is_answered_and_no_ring_overflows() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(data) = common::data_dir() else { return };
    let recording = data.join("hftbacktest/examples/spot/ethusdt_20240808.gz");
    // Five times as fast as it was recorded: beyond 100 messages a second.
    let venue = Venue::with_flow(&["--replay", recording.to_str().unwrap(), "--speed", "5x"]);
    let folder = tempfile::tempdir().unwrap();
    let run = venue
        .touchline(folder.path(), &["run", "--mode", "live", "--live", "--json", "--seconds", "8"])
        .args(["--set", "symbols=[ETHUSDT]", "--set", "quoter.requote=always"])
        .env("BINANCE_API_KEY", venue.text("api_key"))
        .env("BINANCE_API_SECRET", venue.text("api_secret"))
        .spawn()
        .map(Program)
        .unwrap();
    let output = ended(run);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let session = std::fs::read_dir(folder.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    let journal = JournalReader::open(&session).unwrap();
    let mut ticks = Vec::new();
    let mut feed = journal.stream(Stream::Feed).unwrap();
    while let Some(record) = feed.next().unwrap() {
        assert!(!record.header.flags.has(Flags::DROPPED), "record {} found a ring full", record.header.seq);
        if matches!(record.header.kind, Kind::Depth | Kind::Trade | Kind::Touch) {
            ticks.push((record.header.seq, record.header.ts));
        }
    }
    let (mut answered, mut orders) = (std::collections::BTreeSet::new(), 0);
    let mut quote = journal.stream(Stream::Quote).unwrap();
    while let Some(record) = quote.next().unwrap() {
        match QuoteEvent::decode(&record).unwrap() {
            QuoteEvent::Input(InputEvent::Market { feed_seq }) => {
                answered.insert(feed_seq);
            }
            QuoteEvent::Action(Action::Command(touchline::types::Command::Place(_))) => orders += 1,
            _ => {}
        }
    }
    let (first, last) = (ticks[0].1, ticks[ticks.len() - 1].1);
    let rate = ticks.len() as f64 / last.since(first).secs_f64();
    assert!(rate >= 100.0, "only {rate:.0} ticks a second came");
    let lost: Vec<u64> = ticks.iter().map(|tick| tick.0).filter(|seq| !answered.contains(seq)).collect();
    // Diffs that wait for the first snapshot are answered together, by the one update that it makes.
    assert!(lost.iter().all(|seq| *seq < 200) && lost.len() < 50, "never decided on: {lost:?}");
    assert!(orders >= 20, "{orders} orders on {} ticks", ticks.len());
}

#[test]
fn a_dry_run_needs_no_key_and_prints_one_line_a_quote() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let venue = Venue::start();
    let folder = tempfile::tempdir().unwrap();
    let run = venue.touchline(folder.path(), &["run", "--dry-run", "--seconds", "2"]).spawn().map(Program).unwrap();
    let output = ended(run);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() >= 2, "{text}");
    for line in text.lines() {
        assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap()["symbol"], "BTCUSDT");
    }
    assert_eq!(venue.open_names(), Vec::<String>::new());
}

/// Two topologies, and latencies that cost a session its luck: the market of one process, the decisions of another, and
/// an exchange in the latter that the former never hears of.
#[test]
fn paper_needs_no_key_sends_nothing_and_replays_from_disk() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let venue = Venue::start();
    for plan in ["fused", "split"] {
        let folder = tempfile::tempdir().unwrap();
        let run = venue
            .touchline(folder.path(), &["run", "--json", "--seconds", "10"])
            .args(["--set", &format!("topology.plan={plan}"), "--set", "quoter.half_spread_ticks=2"])
            .args(["--set", "exchange.fill=touch", "--set", "exchange.latency=feed=0ms,order=2ms,cancel=2ms,ack=1ms"])
            .args(["--set", "exchange.balances=USDT=250000,BTC=3"])
            .spawn()
            .map(Program)
            .unwrap();
        let output = ended(run);
        let stderr = String::from_utf8(output.stderr).unwrap();
        // The engine compares the exchange's balances with its own count at its end, and says so if they differ.
        assert!(output.status.success(), "{plan}: {stderr}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["open_orders_at_exit"], 0, "{plan}: {summary}");
        assert!(summary["fills"].as_u64().unwrap() > 0, "{plan}: {summary}\n{stderr}");
        assert_eq!(venue.open_names(), Vec::<String>::new());
        let orders = venue.ask("GET", "/api/v3/allOrders", &[("symbol", "BTCUSDT")]);
        assert_eq!(orders.as_array().unwrap().len(), 0, "{plan}: nothing reached the venue");
        let session = std::fs::read_dir(folder.path().join("runs")).unwrap().next().unwrap().unwrap().path();
        let replayed =
            Command::new(env!("CARGO_BIN_EXE_touchline")).arg("replay").arg(&session).arg("--verify").output().unwrap();
        assert!(replayed.status.success(), "{plan}: {}", String::from_utf8_lossy(&replayed.stderr));
        // Orders wait for their latency: no report about one comes sooner than there and back.
        let journal = JournalReader::open(&session).unwrap();
        assert_eq!(journal.info().mode, "paper");
        let mut quote = journal.stream(Stream::Quote).unwrap();
        let (mut placed, mut accepted) = (std::collections::BTreeMap::new(), 0);
        while let Some(record) = quote.next().unwrap() {
            let now = record.header.ts;
            match QuoteEvent::decode(&record).unwrap() {
                QuoteEvent::Action(Action::Command(touchline::types::Command::Place(order))) => {
                    placed.insert(order.client_id, now);
                }
                QuoteEvent::Input(InputEvent::Exec(report)) => {
                    let Some(at) = placed.remove(&report.client_id) else { continue };
                    accepted += 1;
                    assert!(now.since(at).nanos() >= 2_000_000, "{plan}: {} ns", now.since(at).nanos());
                }
                _ => {}
            }
        }
        assert!(accepted > 2, "{plan}: {accepted}");
    }
}

#[test]
fn record_prints_decoded_messages_and_ends_after_them() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let venue = Venue::start();
    let folder = tempfile::tempdir().unwrap();
    let output = ended(venue.touchline(folder.path(), &["record", "--print", "100"]).spawn().map(Program).unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let kinds: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.len(), 100);
    assert!(kinds.iter().any(|kind| kind == "snapshot") || kinds.iter().any(|kind| kind == "diff"), "{kinds:?}");
    let sessions: Vec<_> =
        std::fs::read_dir(folder.path().join("runs")).unwrap().map(|dir| dir.unwrap().path()).collect();
    assert_eq!(sessions.len(), 1);
    // What was recorded can be looked at, and its books run again.
    let look = |words: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_touchline")).args(words).arg(&sessions[0]).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap()
    };
    let book = &look(&["inspect", "--book", "--depth", "10", "--json"])["BTCUSDT"];
    assert_eq!((&book["gaps"], &book["crossings"]), (&0.into(), &0.into()), "{book}");
    assert!(book["messages"].as_u64().unwrap() >= 10, "{book}");
    look(&["replay", "--verify", "--json"]);
}

#[test]
fn what_cannot_start_says_why_with_its_code() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let venue = Venue::start();
    let folder = tempfile::tempdir().unwrap();
    let nobody = free_port();
    let nowhere = format!("venue.rest_url=http://127.0.0.1:{nobody}");
    let table: [(&[&str], i32, &str); 6] = [
        (&["run", "--dry-run", "--set", &nowhere], 6, "E_VENUE_001"),
        (&["run", "--dry-run", "--set", "symbols=[XYZUSDT]"], 6, "E_VENUE_004"),
        (&["run", "--mode", "live", "--live"], 3, "E_RUN_011"),
        (&["run", "--mode", "live"], 2, "E_RUN_019"),
        // Leave to send orders must not turn into a session on paper.
        (&["run", "--live"], 2, "E_RUN_020"),
        (&["run", "--set", "exchange.fill=middle"], 3, "E_CONF_004"),
    ];
    for (words, exit, code) in table {
        // The settings of the case come last and win.
        let (verb, rest) = words.split_first().unwrap();
        let output = venue.touchline(folder.path(), &[verb]).args(rest).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {stderr}");
        assert!(stderr.lines().any(|line| line.starts_with(code)), "{words:?}: {stderr}");
    }
    let refused = venue
        .touchline(folder.path(), &["run", "--mode", "live", "--live"])
        .env("BINANCE_API_KEY", "not-a-key-of-this-venue")
        .env("BINANCE_API_SECRET", "nor-its-secret")
        .output()
        .unwrap();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("E_VENUE_003") && !stderr.contains("nor-its-secret"), "{stderr}");
}
