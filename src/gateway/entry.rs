//! The roads that a command can take to the venue, and what they have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quanta::Clock;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;

use super::clock::{VenueClock, wall_now};
use super::http::Http;
use crate::feed::{Connection, Event};
use crate::types::{Command, Instrument};
use crate::venue::binance::rest::{Reply, RequestBuilder};
use crate::venue::binance::sign::Signer;
use crate::venue::binance::ws_api::{ApiRequestBuilder, read_answer};

/// One road: a command out, one answer back, nothing ever sent twice.
pub trait OrderEntry: Send {
    /// Opens the road ahead of the first order.
    fn open(&mut self);

    /// Looks after the road while there is nothing to send.
    fn idle(&mut self) {}

    /// Asks for the memory that the next command will use.
    fn keep_near(&self) {}

    /// Whether the road is as it should be, so that there is no hurry to look after it again.
    fn is_at_rest(&self) -> bool {
        true
    }

    /// Sends a command and waits for its answer. `handed_over` runs once if it is tried at all: right behind its bytes where
    /// that can be told, right before them where the answer is all that comes back.
    fn send(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        handed_over: &mut dyn FnMut(),
    ) -> Reply<'_>;

    /// Raw counters of the last command: its bytes in front of the socket, and taken by it. Zero when they never came
    /// there.
    fn wire_times(&self) -> [u64; 2];

    /// Seconds that the last answer asked us to keep quiet.
    fn retry_after_s(&self) -> Option<u64> {
        None
    }

    /// The venue's own count of used weight, where an answer states it.
    fn used_weight(&self) -> Option<u64> {
        None
    }
}

/// Orders over REST.
pub struct RestEntry {
    http: Http,
    builder: RequestBuilder,
    signer: Arc<Signer>,
}

impl RestEntry {
    /// A road over that client.
    pub fn new(http: Http, recv_window_ms: u32, signer: Arc<Signer>) -> RestEntry {
        RestEntry { http, builder: RequestBuilder::new(recv_window_ms), signer }
    }
}

impl OrderEntry for RestEntry {
    fn open(&mut self) {
        self.http.open("/api/v3/ping");
    }

    fn idle(&mut self) {
        self.http.idle();
    }

    fn keep_near(&self) {
        self.http.keep_near();
    }

    fn send(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        handed_over: &mut dyn FnMut(),
    ) -> Reply<'_> {
        let request = self.builder.command(command, instrument, timestamp_ms, &self.signer);
        self.http.send(&request, handed_over)
    }

    fn wire_times(&self) -> [u64; 2] {
        self.http.wire_times()
    }

    fn retry_after_s(&self) -> Option<u64> {
        self.http.retry_after_s()
    }

    fn used_weight(&self) -> Option<u64> {
        self.http.used_weight()
    }
}

/// What a connection to the WebSocket API needs.
pub struct ApiParts {
    /// Its url.
    pub url: String,
    /// TLS settings.
    pub tls: Arc<ClientConfig>,
    /// The API key.
    pub api_key: SecretString,
    /// The signing key.
    pub signer: Arc<Signer>,
    /// How old a request may be at the venue.
    pub recv_window_ms: u32,
    /// The venue's clock.
    pub clock: VenueClock,
    /// How long an answer is waited for.
    pub patience: Duration,
    /// How long of that awake.
    pub spin: Duration,
}

/// Orders over the WebSocket API, on one connection that is kept open and logged on where the key allows it.
pub struct ApiEntry {
    connection: Connection,
    parts: ApiParts,
    builder: ApiRequestBuilder,
    /// Open, and logged on if it can be.
    is_ready: bool,
    /// The number of the logon that is not answered yet.
    logon: Option<u64>,
    has_logged_on: bool,
    body: Vec<u8>,
    times: [u64; 2],
    idle_steps: u32,
}

/// Idle steps between two looks at the socket: often enough for pings, rare enough to cost a spinning thread nothing.
const STEPS_A_LOOK: u32 = 512;
/// The venue pings every 20 s; three missed and a margin mean that nobody is there.
const SILENCE: Duration = Duration::from_secs(65);

impl ApiEntry {
    /// A road whose connection opens with its first look.
    ///
    /// # Errors
    /// When the url is none, or the system gives no poll.
    pub fn new(parts: ApiParts) -> std::io::Result<ApiEntry> {
        let seed = wall_now().nanos();
        let connection = Connection::new(&parts.url, Arc::clone(&parts.tls), Clock::new(), SILENCE, seed)?;
        Ok(ApiEntry {
            connection,
            builder: ApiRequestBuilder::new(parts.recv_window_ms),
            parts,
            is_ready: false,
            logon: None,
            has_logged_on: false,
            body: Vec::with_capacity(1024),
            times: [0; 2],
            idle_steps: 0,
        })
    }

    /// Takes one look. Returns the status when the answer to `wanted` is there, its body kept; `Some(0)` when the
    /// connection is lost.
    fn look(&mut self, wanted: Option<u64>) -> Option<u16> {
        match self.connection.poll() {
            Event::Idle | Event::Progress | Event::Binary { .. } => None,
            Event::Opened => {
                if self.parts.signer.is_ed25519() {
                    let timestamp_ms = self.parts.clock.venue_millis(wall_now());
                    let key = self.parts.api_key.expose_secret();
                    let text = self.builder.logon(key, timestamp_ms, &self.parts.signer);
                    // A failure comes back as a loss with the next look.
                    let _ = self.connection.send(text);
                    self.logon = Some(self.builder.id());
                } else {
                    self.is_ready = true;
                }
                None
            }
            Event::Text { text, .. } => {
                let answer = read_answer(self.connection.text(&text))?;
                if self.logon == Some(answer.id) {
                    // Refused, each request is signed by itself, as without it.
                    (self.logon, self.is_ready) = (None, true);
                    self.has_logged_on = answer.status == 200;
                    if !self.has_logged_on {
                        warn!(status = answer.status, "the venue refuses the logon; requests are signed one by one");
                    }
                    return None;
                }
                // Anything else answers a request that was given up.
                (wanted == Some(answer.id)).then(|| {
                    self.body.clear();
                    self.body.extend_from_slice(answer.body.as_bytes());
                    answer.status
                })
            }
            Event::Lost(loss) => {
                warn!(%loss, "order entry lost");
                (self.is_ready, self.has_logged_on, self.logon) = (false, false, None);
                Some(0)
            }
        }
    }

    fn wait(&mut self, began: Instant) {
        if began.elapsed() < self.parts.spin {
            std::hint::spin_loop();
        } else {
            self.connection.park(Duration::from_millis(1));
        }
    }
}

impl OrderEntry for ApiEntry {
    fn open(&mut self) {
        let began = Instant::now();
        while !self.is_ready && began.elapsed() < self.parts.patience {
            let _ = self.look(None);
            self.connection.park(Duration::from_millis(1));
        }
    }

    fn idle(&mut self) {
        self.idle_steps = self.idle_steps.wrapping_add(1);
        if self.parts.spin.is_zero() {
            // A cold thread looks seldom: each look is one at the clock as well, for a peer that has fallen silent.
            self.connection.park(Duration::ZERO);
        }
        if self.idle_steps.is_multiple_of(STEPS_A_LOOK) || self.parts.spin.is_zero() || !self.is_ready {
            let _ = self.look(None);
        }
    }

    fn is_at_rest(&self) -> bool {
        self.is_ready
    }

    fn send(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        handed_over: &mut dyn FnMut(),
    ) -> Reply<'_> {
        self.times = [0; 2];
        if !self.is_ready {
            let _ = self.look(None);
        }
        if !self.is_ready || !self.connection.is_open() {
            return Reply::NotSent;
        }
        let login = (!self.has_logged_on).then(|| (self.parts.api_key.expose_secret(), self.parts.signer.as_ref()));
        let sent = self.connection.send(self.builder.command(command, instrument, timestamp_ms, login));
        handed_over();
        let id = self.builder.id();
        if sent.is_err() {
            // Part of it may have left.
            (self.is_ready, self.has_logged_on, self.logon) = (false, false, None);
            return Reply::Lost;
        }
        self.times = self.connection.write_tsc();
        let began = Instant::now();
        loop {
            match self.look(Some(id)) {
                Some(0) => return Reply::Lost,
                Some(status) => return Reply::Answer { status, body: &self.body },
                None if began.elapsed() >= self.parts.patience => return Reply::Lost,
                None => self.wait(began),
            }
        }
    }

    fn wire_times(&self) -> [u64; 2] {
        self.times
    }
}
