//! A small client of the embedded venue, for tests: signs, asks, listens.
#![allow(dead_code)] // Each test file uses a part of it.

use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret;
use serde_json::Value;
use touchline::server::venue::{FrontConfig, Pace, VenueHandle, spawn, wall_now};
use touchline::sim::{AccountConfig, AccountId, MarketSource, SymbolConfig, SyntheticConfig, VenueConfig};
use touchline::types::{Filters, Instrument, InstrumentId, InstrumentSpec, Money, Price, Qty, Symbol};
use touchline::venue::binance::sign::Signer;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

pub const CLIENT: AccountId = AccountId(1);
pub const OTHER: AccountId = AccountId(2);

fn name(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

pub fn btcusdt() -> Instrument {
    let filters = Filters {
        price_min: Some(Price::from_ticks(1)),
        price_max: Some(Price::from_ticks(100_000_000)),
        qty_min: Qty::from_lots(1),
        qty_max: Qty::from_lots(900_000_000),
        notional_min: Money::from_e8(500_000_000),
    };
    let spec = InstrumentSpec {
        symbol: name("BTCUSDT"),
        base: name("BTC"),
        quote: name("USDT"),
        tick_e8: 1_000_000,
        lot_e8: 1_000,
        filters,
    };
    Instrument::new(InstrumentId(0), spec)
}

/// A venue with two rich accounts and the flow asked for.
pub fn venue(source: MarketSource) -> VenueHandle {
    let mut config = VenueConfig::new(wall_now());
    config.symbols = vec![SymbolConfig::new(btcusdt())];
    let balances = vec![(name("USDT"), 1_000_000 * 100_000_000), (name("BTC"), 100 * 100_000_000)];
    config.accounts = [CLIENT, OTHER].map(|id| AccountConfig { id, balances: balances.clone() }).to_vec();
    spawn(FrontConfig { port: 0, pace: Pace::Wall, venue: config, sources: vec![source] }).unwrap()
}

/// The same, with room for so many open orders of an account.
pub fn deep_venue(source: MarketSource, orders: u32) -> VenueHandle {
    let mut config = VenueConfig::new(wall_now());
    config.symbols = vec![SymbolConfig { orders_max: orders, ..SymbolConfig::new(btcusdt()) }];
    config.order_limits.clear();
    let balances = vec![(name("USDT"), 100_000_000 * 100_000_000), (name("BTC"), 10_000 * 100_000_000)];
    config.accounts = [CLIENT, OTHER].map(|id| AccountConfig { id, balances: balances.clone() }).to_vec();
    spawn(FrontConfig { port: 0, pace: Pace::Wall, venue: config, sources: vec![source] }).unwrap()
}

/// A busy synthetic market.
pub fn synthetic() -> MarketSource {
    MarketSource::Synthetic(SyntheticConfig { aggressors_per_s: 40.0, ..SyntheticConfig::default() })
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A response of REST.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> i64 {
        self.body["code"].as_i64().unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// One key of an account, and the address.
pub struct Client {
    pub base: String,
    pub api_key: String,
    pub signer: Signer,
    agent: ureq::Agent,
}

impl Client {
    /// With the HMAC key of that account.
    pub fn new(venue: &VenueHandle, account: usize) -> Client {
        let keys = &venue.keys()[account];
        Client::with(venue.rest_url(), &keys.api_key, Signer::from_secret(&keys.api_secret).unwrap())
    }

    /// With the Ed25519 key of that account.
    pub fn ed25519(venue: &VenueHandle, account: usize) -> Client {
        let keys = &venue.keys()[account];
        assert!(keys.ed25519_private_key.expose_secret().contains("PRIVATE KEY"));
        let signer = Signer::from_secret(&keys.ed25519_private_key).unwrap();
        Client::with(venue.rest_url(), &keys.ed25519_api_key, signer)
    }

    fn with(base: String, api_key: &str, signer: Signer) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Client { base, api_key: api_key.to_owned(), signer, agent: config.into() }
    }

    /// Signs `query` with the time of now and sends everything in the query string.
    pub fn signed(&self, method: &str, path: &str, query: &str) -> Answer {
        self.try_signed(method, path, query).unwrap()
    }

    /// As [`signed`](Self::signed), where no answer may come.
    pub fn try_signed(&self, method: &str, path: &str, query: &str) -> Result<Answer, ureq::Error> {
        let mut query = query.to_owned();
        if !query.contains("timestamp=") {
            query.push_str(if query.is_empty() { "timestamp=" } else { "&timestamp=" });
            query.push_str(&now_ms().to_string());
        }
        self.signer.sign_query(&mut query);
        self.try_send(method, path, &query, None, Some(&self.api_key))
    }

    pub fn public(&self, path: &str, query: &str) -> Answer {
        self.send("GET", path, query, None, None)
    }

    pub fn send(&self, method: &str, path: &str, query: &str, body: Option<&str>, key: Option<&str>) -> Answer {
        self.try_send(method, path, query, body, key).unwrap()
    }

    /// As [`send`](Self::send), where no answer may come.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<&str>,
        key: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}?{query}", self.base));
        if let Some(key) = key {
            request = request.header("X-MBX-APIKEY", key);
        }
        let request = request.body(body.unwrap_or("").to_owned()).unwrap();
        let mut response = self.agent.run(request)?;
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }

    /// Places a LIMIT_MAKER order and returns the answer.
    pub fn post_only(&self, side: &str, price: &str, qty: &str, id: &str) -> Answer {
        let query = format!(
            "symbol=BTCUSDT&side={side}&type=LIMIT_MAKER&price={price}&quantity={qty}&newClientOrderId={id}\
             &newOrderRespType=RESULT"
        );
        self.signed("POST", "/api/v3/order", &query)
    }
}

/// A WebSocket that reads JSON.
pub struct Socket(pub WebSocket<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub fn open(url: &str) -> Socket {
        let (socket, _) = tungstenite::connect(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        Socket(socket)
    }

    pub fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next text message.
    pub fn read(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message that `wanted` accepts, within ten seconds.
    pub fn read_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let message = self.read();
            if wanted(&message) {
                return message;
            }
            assert!(Instant::now() < deadline, "never came; last: {message}");
        }
    }

    pub fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.read_until(|message| message.get("id").is_some())
    }
}
