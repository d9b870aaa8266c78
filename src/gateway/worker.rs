//! One gateway: a command in, one request, one report out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::clock::{VenueClock, wall_now};
use super::entry::{ApiEntry, ApiParts, OrderEntry, RestEntry};
use super::http::{Http, HttpError};
use super::limiter::Limiter;
use crate::feed::client_config;
use crate::types::{Command, ExecReport, ExecSource, Instrument, RejectReason, TimestampNs};
use crate::venue::binance::rest::{Outcome, Reply, fill_reports, path, read_reply, read_trades, refused};
use crate::venue::binance::sign::Signer;

/// What every gateway of an engine has in common.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// REST base url.
    pub rest_url: String,
    /// Url of the WebSocket API, where orders take that road.
    pub api_url: Option<String>,
    /// An authority to trust for TLS.
    pub ca_file: Option<PathBuf>,
    /// The API key, sent with each request.
    pub api_key: SecretString,
    /// The signing key.
    pub signer: Arc<Signer>,
    /// How old a request may be at the venue.
    pub recv_window_ms: u32,
    /// The session's instruments.
    pub instruments: Vec<Instrument>,
    /// The venue's clock.
    pub clock: VenueClock,
    /// The account's limits.
    pub limiter: Limiter,
}

/// A command that was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// What it came to; of a list of trades the last one.
    pub report: ExecReport,
    /// The trades before the last one, oldest first.
    pub fills: Vec<ExecReport>,
    /// Whether a request was handed to the HTTP client; false when the limiter refused it.
    pub sent: bool,
    /// When the request was handed over.
    pub sent_ts: TimestampNs,
    /// When the answer was there, or we gave up.
    pub answered_ts: TimestampNs,
    /// HTTP status; zero when no answer came.
    pub http_status: u16,
    /// The venue's error code; zero for none.
    pub code: i32,
    /// Raw counters: the request's bytes in front of the socket, and taken by it; zero when they never came there.
    pub wire_times: [u64; 2],
}

impl Served {
    /// The round trip in nanoseconds.
    pub fn round_trip_ns(&self) -> u64 {
        self.answered_ts.since(self.sent_ts).nanos()
    }
}

/// A gateway with a road of its own.
pub struct Gateway {
    config: GatewayConfig,
    entry: Box<dyn OrderEntry>,
    /// For the venue's clock, whichever road orders take.
    http: Http,
    clock_suspect: bool,
}

impl Gateway {
    /// A gateway that waits `patience` for each answer, the first `spin` of it awake.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(config: &GatewayConfig, patience: Duration, spin: Duration) -> Result<Gateway, HttpError> {
        let (key, ca_file) = (Some(&config.api_key), config.ca_file.as_deref());
        let entry: Box<dyn OrderEntry> = match &config.api_url {
            None => {
                let http = Http::spinning(&config.rest_url, key, ca_file, patience, spin)?;
                // A thread that sleeps between two orders has no time to begin the next one in.
                let http = if spin.is_zero() { http } else { http.ahead_to(path::ORDER) };
                Box::new(RestEntry::new(http, config.recv_window_ms, Arc::clone(&config.signer)))
            }
            Some(url) => {
                let bad = |why: String| HttpError::Url { url: url.clone(), why };
                let tls = client_config(ca_file).map_err(|error| bad(error.to_string()))?;
                let entry = ApiEntry::new(ApiParts {
                    url: url.clone(),
                    tls,
                    api_key: config.api_key.clone(),
                    signer: Arc::clone(&config.signer),
                    recv_window_ms: config.recv_window_ms,
                    clock: config.clock.clone(),
                    patience,
                    spin,
                });
                Box::new(entry.map_err(|error| bad(error.to_string()))?)
            }
        };
        let http = Http::new(&config.rest_url, None, ca_file, patience)?;
        Ok(Gateway::over(config.clone(), entry, http))
    }

    /// A gateway over that road; `http` is asked for the venue's clock.
    pub(super) fn over(config: GatewayConfig, entry: Box<dyn OrderEntry>, http: Http) -> Gateway {
        Gateway { config, entry, http, clock_suspect: false }
    }

    /// Opens a connection ahead of the first order, so that it does not pay for the handshake.
    pub fn warm(&mut self) {
        self.entry.open();
    }

    /// Looks after the road while there is nothing to send.
    pub fn idle(&mut self) {
        self.entry.idle();
    }

    /// Asks for the memory that the next command will use.
    pub fn keep_near(&self) {
        self.entry.keep_near();
    }

    /// Whether [`idle`](Self::idle) is in no hurry.
    pub fn is_at_rest(&self) -> bool {
        self.entry.is_at_rest()
    }

    /// Serves a command: one request at most, never repeated. `handed_over` runs when the signed request is on
    /// its way or about to be, as its [road](OrderEntry::send) says, and is told the time of the request.
    pub fn serve(&mut self, command: &Command, mut handed_over: impl FnMut(TimestampNs)) -> Served {
        if self.clock_suspect {
            self.measure_clock();
        }
        let now = wall_now();
        let instrument = &self.config.instruments[command.instrument().index()];
        let venue_now = TimestampNs::from_millis(self.config.clock.venue_millis(now));
        if let Err(refusal) = self.config.limiter.take(venue_now, command) {
            let kind = refused(command, refusal.reason());
            return self.served(
                command,
                now,
                now,
                Outcome { kind, venue_id: None, event_ts: TimestampNs::ZERO, code: 0 },
                0,
                false,
            );
        }
        let timestamp_ms = self.config.clock.venue_millis(now);
        let reply = self.entry.send(command, instrument, timestamp_ms, &mut || handed_over(now));
        let http_status = if let Reply::Answer { status, .. } = reply { status } else { 0 };
        let answered = wall_now();
        let fills = fills_of(command, instrument, reply, answered);
        let outcome = read_reply(command, instrument, reply);
        let venue_now = TimestampNs::from_millis(self.config.clock.venue_millis(answered));
        self.config.limiter.answered(
            venue_now,
            command,
            http_status,
            self.entry.retry_after_s(),
            if http_status == 0 { None } else { self.entry.used_weight() },
        );
        self.clock_suspect = outcome.kind == refused(command, RejectReason::Clock) || outcome.code == -1021;
        let mut served = self.served(command, now, answered, outcome, http_status, true);
        served.fills = fills;
        if let Some(last) = served.fills.pop() {
            served.report = last;
        }
        served
    }

    fn served(
        &self,
        command: &Command,
        sent_ts: TimestampNs,
        answered_ts: TimestampNs,
        outcome: Outcome,
        http_status: u16,
        sent: bool,
    ) -> Served {
        let asks = matches!(command, Command::Query { .. } | Command::Fills { .. });
        let source = if asks { ExecSource::Query } else { ExecSource::Response };
        let report = ExecReport {
            instrument: command.instrument(),
            client_id: command.client_id(),
            venue_id: outcome.venue_id,
            event_ts: outcome.event_ts,
            recv_ts: answered_ts,
            source,
            kind: outcome.kind,
        };
        let wire_times = if sent { self.entry.wire_times() } else { [0; 2] };
        let fills = Vec::new();
        Served { report, fills, sent, sent_ts, answered_ts, http_status, code: outcome.code, wire_times }
    }

    /// Asks for the venue's clock after a -1021; the next request then carries the right time.
    fn measure_clock(&mut self) {
        let sent = wall_now();
        if let Reply::Answer { status: 200, body } = self.http.get(path::TIME)
            && let Some(venue_ts) = super::account::server_time(body)
        {
            self.config.clock.observe(sent, wall_now(), venue_ts);
            self.clock_suspect = false;
        }
    }
}

/// The trades that an answer lists; none when it is no such answer or cannot be read.
fn fills_of(command: &Command, instrument: &Instrument, reply: Reply<'_>, answered: TimestampNs) -> Vec<ExecReport> {
    match (command, reply) {
        (Command::Fills { client_id, .. }, Reply::Answer { status: 200, body }) => read_trades(body, instrument)
            .map(|trades| fill_reports(instrument, *client_id, &trades, answered))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}
