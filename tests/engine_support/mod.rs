#![allow(dead_code, reason = "each test file uses its part")]
//! An embedded venue and an engine's configuration against it.

#[path = "../common/tls.rs"]
mod local_tls;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use local_tls::LocalTls;
use touchline::config::{ApiKeys, Config, ConfigArgs};
use touchline::journal::JournalReader;
use touchline::pipeline::market::MarketStage;
use touchline::pipeline::sync::SyncRule;
use touchline::server::venue::{FrontConfig, Pace, VenueHandle, spawn, wall_now};
use touchline::sim::faults::FaultPlan;
use touchline::sim::{
    AccountConfig, AccountId, MarketSource, OrderView, SymbolConfig, SyntheticConfig, VenueConfig, VenueOrder,
    VenueOrderKind,
};
use touchline::types::{
    BookState, ClientOrderId, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Money, Price, Qty, Side,
    Symbol, TimestampNs,
};
use touchline::wire::{FeedEvent, Stream};

/// One engine at a time: two spinners on one core would only measure each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    if let Ok(filter) = std::env::var("TOUCHLINE_TEST_LOG") {
        touchline::cli::start_log(&filter).unwrap();
    }
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub const ACCOUNT: AccountId = AccountId(1);
/// Somebody else, who takes our quotes when a test wants a fill.
pub const TAKER: AccountId = AccountId(2);

pub fn btcusdt() -> Instrument {
    let name = |text| Symbol::new(text).unwrap();
    Instrument::new(
        InstrumentId(0),
        InstrumentSpec {
            symbol: name("BTCUSDT"),
            base: name("BTC"),
            quote: name("USDT"),
            tick_e8: 1_000_000,
            lot_e8: 1_000,
            filters: Filters {
                price_min: Some(Price::from_ticks(1)),
                price_max: Some(Price::from_ticks(100_000_000)),
                qty_min: Qty::from_lots(1),
                qty_max: Qty::from_lots(900_000_000),
                notional_min: Money::from_e8(500_000_000),
            },
        },
    )
}

/// A venue with a seeded market and one funded account.
pub fn venue() -> VenueHandle {
    venue_since(wall_now())
}

/// The same, whose market has run since then.
pub fn venue_since(start: TimestampNs) -> VenueHandle {
    let mut config = VenueConfig::new(start);
    let instrument = btcusdt();
    let balances = vec![(instrument.spec.base, 10_000_000_000), (instrument.spec.quote, 500_000_000_000_000)];
    config.symbols = vec![SymbolConfig::new(instrument)];
    config.accounts = [ACCOUNT, TAKER].map(|id| AccountConfig { id, balances: balances.clone() }).to_vec();
    let source = MarketSource::Synthetic(SyntheticConfig { seed: 7, ..SyntheticConfig::default() });
    spawn(FrontConfig { port: 0, pace: Pace::Wall, venue: config, sources: vec![source] }).unwrap()
}

/// A venue of several symbols with a busy market, faults and no account.
pub fn venue_of(instruments: &[Instrument], aggressors_per_s: f64, faults: &[&str]) -> VenueHandle {
    let mut config = VenueConfig::new(wall_now());
    config.symbols = instruments.iter().map(|one| SymbolConfig::new(*one)).collect();
    config.faults = FaultPlan { specs: faults.iter().map(|text| text.parse().unwrap()).collect(), seed: 1 };
    let source =
        |seed| MarketSource::Synthetic(SyntheticConfig { seed, aggressors_per_s, ..SyntheticConfig::default() });
    let sources = (1..=instruments.len() as u64).map(source).collect();
    spawn(FrontConfig { port: 0, pace: Pace::Wall, venue: config, sources }).unwrap()
}

pub fn ethusdt() -> Instrument {
    let name = |text| Symbol::new(text).unwrap();
    let spec = InstrumentSpec { symbol: name("ETHUSDT"), base: name("ETH"), ..btcusdt().spec };
    Instrument::new(InstrumentId(1), spec)
}

/// The venue's books at moments that nobody chose, by the number of their last update.
#[derive(Default)]
pub struct SeenBooks(BTreeMap<(InstrumentId, u64), [Vec<Level>; 2]>);

impl SeenBooks {
    /// Levels of a side that are compared.
    const LEVELS: usize = 20;

    pub fn look(&mut self, venue: &VenueHandle, instruments: &[Instrument]) {
        for instrument in instruments {
            let depth = venue.with_venue(|venue| venue.depth(instrument.id, Self::LEVELS));
            self.0.insert((instrument.id, depth.last_update_id), [depth.bids, depth.asks]);
        }
    }

    /// Runs a session's books again and compares each with the venue's wherever that one was seen at the same update.
    /// Returns the books at the end, and how many of each instrument were compared.
    pub fn compare(mut self, session: &Path, rule: SyncRule, instruments: &[Instrument]) -> (MarketStage, Vec<usize>) {
        let mut stage = MarketStage::new(instruments, rule);
        let mut compared = vec![0; instruments.len()];
        let mut feed = JournalReader::open(session).unwrap().stream(Stream::Feed).unwrap();
        while let Some(record) = feed.next().unwrap() {
            let Ok(event) = FeedEvent::decode(&record) else { continue };
            stage.on_event(&event);
            let FeedEvent::Depth(depth) = event else { continue };
            let id = depth.head.instrument;
            if stage.state(id) == BookState::Live
                && let Some(sides) = self.0.remove(&(id, stage.update_id(id)))
            {
                for side in Side::BOTH {
                    let got: Vec<Level> = stage.book(id).levels(side).take(Self::LEVELS).collect();
                    assert_eq!(got, sides[side.index()], "{side:?} of {id:?} at {}", stage.update_id(id));
                }
                compared[id.index()] += 1;
            }
        }
        (stage, compared)
    }
}

pub fn keys(venue: &VenueHandle) -> ApiKeys {
    let keys = &venue.keys()[0];
    ApiKeys { key: keys.api_key.clone().into(), secret: keys.api_secret.clone() }
}

/// The account's other key, which can log on.
pub fn ed25519_keys(venue: &VenueHandle) -> ApiKeys {
    let keys = &venue.keys()[0];
    ApiKeys { key: keys.ed25519_api_key.clone().into(), secret: keys.ed25519_private_key.clone() }
}

/// Settings for a session against `venue`, journaling to `folder`, quoting plainly and close.
pub fn config(venue: &VenueHandle, folder: &Path, more: &[&str]) -> Config {
    let mut set = vec![
        format!("venue.rest_url={}", venue.rest_url()),
        format!("venue.ws_url={}", venue.ws_url()),
        format!("venue.ws_api_url={}", venue.ws_api_url()),
        format!("journal.dir={}", folder.display()),
        "journal.segment_mb=4".to_owned(),
        "quoter.kind=naive".to_owned(),
        "quoter.maker_fee_bps=0".to_owned(),
    ];
    set.extend(more.iter().map(|&each| each.to_owned()));
    ConfigArgs { config: None, set }.load_with(&[], []).unwrap()
}

pub fn open_orders(venue: &VenueHandle) -> Vec<OrderView> {
    venue.with_venue(|venue| venue.open_orders(ACCOUNT, None))
}

pub fn own_orders(venue: &VenueHandle) -> Vec<OrderView> {
    open_orders(venue).into_iter().filter(|order| ClientOrderId::parse(&order.client_id).is_some()).collect()
}

/// Rests an order of a client that is not ours, far below the market.
pub fn foreign_order(venue: &VenueHandle, name: &str) {
    let order = VenueOrder::limit(
        InstrumentId(0),
        Side::Bid,
        VenueOrderKind::LimitMaker,
        3_000_000_000_000,
        1_000_000,
        Some(name.to_owned()),
    );
    venue.with_venue(|venue| venue.place(wall_now(), ACCOUNT, &order).unwrap());
}

/// Takes both sides of the book with market orders of somebody else.
pub fn take_both_sides(venue: &VenueHandle, qty_e8: i64) {
    for side in Side::BOTH {
        let order = VenueOrder::market(InstrumentId(0), side, qty_e8, None);
        venue.with_venue(|venue| venue.place(wall_now(), TAKER, &order).unwrap());
    }
}

/// A wire between an engine and a venue that a test can cut.
pub struct Wire {
    pub port: u16,
    whole: Arc<AtomicBool>,
    /// One for each connection, oldest first.
    strands: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Wire {
    /// Listens on a port of its own and carries every connection to `target`.
    pub fn to(target: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let whole = Arc::new(AtomicBool::new(true));
        let strands = Arc::new(Mutex::new(Vec::new()));
        let (state, all) = (Arc::clone(&whole), Arc::clone(&strands));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if !state.load(Ordering::Acquire) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
                let strand = Arc::new(AtomicBool::new(true));
                all.lock().unwrap().push(Arc::clone(&strand));
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let whole = [Arc::clone(&state), Arc::clone(&strand)];
                    std::thread::spawn(move || carry(from, to, &whole));
                }
            }
        });
        Wire { port, whole, strands }
    }

    /// Cuts every connection and refuses new ones, until it is mended.
    pub fn cut(&self) {
        self.whole.store(false, Ordering::Release);
    }

    /// Cuts the connection that was made as the `index`th, and no other.
    pub fn cut_one(&self, index: usize) {
        self.strands.lock().unwrap()[index].store(false, Ordering::Release);
    }

    pub fn mend(&self) {
        self.whole.store(true, Ordering::Release);
    }
}

/// Speaks TLS on a port of its own and plainly to a venue behind it.
pub struct Tls {
    pub port: u16,
    local: Arc<LocalTls>,
}

impl Tls {
    pub fn to(target: u16) -> Tls {
        let local = Arc::new(LocalTls::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server_end = Arc::clone(&local);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", target))) else { return };
                let client = server_end.accept(client);
                std::thread::spawn(move || carry_tls(client, server));
            }
        });
        Tls { port, local }
    }

    /// Who vouches for it.
    pub fn ca_file(&self) -> &Path {
        self.local.ca_file()
    }
}

/// Carries both ways until either side ends: a client that does not trust the certificate ends the handshake.
fn carry_tls(mut client: rustls::StreamOwned<rustls::ServerConnection, TcpStream>, mut server: TcpStream) {
    let patience = Some(Duration::from_millis(1));
    client.sock.set_read_timeout(patience).unwrap();
    server.set_read_timeout(patience).unwrap();
    let mut part = [0; 16 * 1024];
    let is_quiet = |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    loop {
        match client.read(&mut part) {
            Ok(read) if read > 0 && server.write_all(&part[..read]).is_ok() => {}
            Err(error) if is_quiet(&error) => {}
            _ => return,
        }
        match server.read(&mut part) {
            Ok(read) if read > 0 && client.write_all(&part[..read]).is_ok() => {}
            Err(error) if is_quiet(&error) => {}
            _ => return,
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, whole: &[Arc<AtomicBool>]) {
    from.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut part = [0; 16 * 1024];
    while whole.iter().all(|strand| strand.load(Ordering::Acquire)) {
        match from.read(&mut part) {
            Ok(0) => break,
            Ok(read) if to.write_all(&part[..read]).is_err() => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    for socket in [&from, &to] {
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}

/// Waits until `found` says so; a test on a busy machine waits long rather than fails early.
pub fn until(what: &str, mut found: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !found() {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
