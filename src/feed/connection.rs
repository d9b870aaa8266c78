//! One WebSocket client connection as a state machine that is polled and never blocks.
//!
//! ```text
//! Waiting(until) -> Resolving -> Connecting -> Shaking -> Subscribing -> Open --(error, close, silence)--> Waiting
//! ```
//!
//! A connection with streams asks for all of them in one message and is open when the venue has said yes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quanta::Clock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tungstenite::client::{IntoClientRequest, client_with_config};
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{HandshakeError, WebSocket};

use super::frames::Frames;
use super::pace::Pace;
use super::resolve::Lookup;
use super::talk::{Payload, Talk};
use super::{Backoff, StampedStream};
use crate::venue::binance::control::{self, Answer};

/// Why a connection ended, or never came to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The name has no address.
    #[error("the name cannot be resolved")]
    NoAddress,
    /// The socket failed.
    #[error("{0}")]
    Socket(String),
    /// The WebSocket or TLS handshake failed.
    #[error("handshake refused: {0}")]
    Handshake(String),
    /// The venue refuses the streams that were asked for.
    #[error("the streams are refused: {text} (code {code})")]
    Refused {
        /// Binance's code.
        code: i64,
        /// Its reason.
        text: String,
    },
    /// The peer broke the protocol.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The peer closed.
    #[error("closed by the peer")]
    Closed,
    /// Nothing at all came for too long, not even a ping: the peer is gone without a word.
    #[error("silent for too long")]
    Silent,
    /// A step of the connection took too long.
    #[error("no connection in time")]
    Timeout,
}

/// What a poll found.
#[derive(Debug)]
pub enum Event {
    /// Nothing.
    Idle,
    /// Some step forward that is of no interest to the caller.
    Progress,
    /// The connection is open and has its streams; nothing that was read has been told yet.
    Opened,
    /// A text message, and the counter of the read that completed it.
    Text {
        /// The payload, which is UTF-8.
        text: Payload,
        /// Time stamp counter.
        read_tsc: u64,
    },
    /// A binary message, likewise.
    Binary {
        /// The payload.
        frame: Payload,
        /// Time stamp counter.
        read_tsc: u64,
    },
    /// The connection is gone, or the attempt failed; the next attempt is already scheduled.
    Lost(Loss),
}

/// How long a park of this connection's owner may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until the socket is readable.
    Socket,
    /// Until then at most.
    Until(Instant),
}

/// Where a connection is. What comes between a subscription and its answer is kept.
enum State {
    Waiting { until: Instant },
    Resolving { lookup: Lookup, since: Instant },
    Connecting { socket: TcpStream, since: Instant },
    Shaking { mid: Box<MidHandshake<ClientHandshake<Frames>>>, since: Instant },
    Subscribing { talk: Box<Talk>, since: Instant, early: VecDeque<Event> },
    Open { talk: Box<Talk> },
}

/// A connection that keeps coming back.
pub struct Connection {
    url: String,
    /// Sent with each handshake.
    header: Option<(HeaderName, HeaderValue)>,
    /// What asks for the streams; empty for a url that says it all.
    subscription: String,
    host: String,
    port: u16,
    is_secure: bool,
    tls: Arc<ClientConfig>,
    clock: Clock,
    poll: Poll,
    events: Events,
    state: State,
    backoff: Backoff,
    seed: u64,
    silence: Duration,
    busy_poll_us: u32,
    /// Whether a socket's options have been told in the log.
    has_settled: bool,
}

// A handshake over a healthy network takes milliseconds; a venue that needs five seconds is better tried again.
const STEP_LIMIT: Duration = Duration::from_secs(5);
// The largest legal message is a 5000-level snapshot of some 300 kB; 16 MiB bounds what a faulty peer can make us hold.
const MESSAGE_LIMIT: usize = 16 << 20;
// The library clears so much memory before each of its reads.
const READ_BYTES: usize = 4 << 10;
// Streams begin before the answer is read by as much as is under way, a few messages each.
const EARLY_MOST: usize = 16 * control::STREAMS_A_CONNECTION;
// A connection sends one control message in its life.
const SUBSCRIPTION_ID: u64 = 1;
// First attempts come quickly, because most losses are short.
const FIRST_WAIT: Duration = Duration::from_millis(100);
// The venue allows an address 300 attempts in five minutes. A wait is three quarters of the longest on average: with 1.5 s
// for each connection that comes back at the same time, all of them together stay below that.
const LONGEST_WAIT: Duration = Duration::from_millis(1_500);

/// The library's settings, the same for every connection.
fn settings() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT))
}

impl Connection {
    /// A connection to `url` that starts with its first poll. `silence` is how long a live peer may say nothing at all;
    /// it is asked with pings before that is over.
    ///
    /// # Errors
    /// When the url is none, or the system gives no poll.
    pub fn new(
        url: &str,
        tls: Arc<ClientConfig>,
        clock: Clock,
        silence: Duration,
        seed: u64,
    ) -> io::Result<Connection> {
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{url}: {why}"));
        let request = url.into_client_request().map_err(|error| bad(&error.to_string()))?;
        let is_secure = match request.uri().scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(bad("neither ws:// nor wss://")),
        };
        let host = request.uri().host().ok_or_else(|| bad("no host"))?.to_owned();
        let port = request.uri().port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Ok(Connection {
            url: url.to_owned(),
            header: None,
            subscription: String::new(),
            host,
            port,
            is_secure,
            tls,
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(4),
            state: State::Waiting { until: Instant::now() },
            // Beside it there is the other one of its session, for user data or for market data.
            backoff: Backoff::new(FIRST_WAIT, 2 * LONGEST_WAIT, seed),
            seed,
            silence,
            busy_poll_us: 0,
            has_settled: false,
        })
    }

    /// Sets the options of a new socket. The first one's outcome is told; those of later ones are the same.
    fn settle(&mut self, socket: &TcpStream) {
        let refused = super::socket::settle(socket, self.busy_poll_us);
        if !std::mem::replace(&mut self.has_settled, true) {
            match refused.as_slice() {
                [] => tracing::info!(host = self.host, busy_poll_us = self.busy_poll_us, "TCP_NODELAY is set"),
                refused => tracing::warn!(host = self.host, "{}", refused.join("; ")),
            }
        }
    }

    /// Lets reads that find nothing poll the network card for so long, in microseconds; 0, as without this, for never.
    pub fn with_busy_poll(mut self, busy_poll_us: u32) -> Connection {
        self.busy_poll_us = busy_poll_us;
        self
    }

    /// Asks for these streams, by one message, as soon as the handshakes are done; it is open when the venue has accepted.
    pub fn with_streams(mut self, names: &[String]) -> Connection {
        self.subscription = control::subscribe(SUBSCRIPTION_ID, names);
        self
    }

    /// One of so many that are lost together and come back together: each waits longer when attempts fail.
    pub fn one_of(mut self, connections: u32) -> Connection {
        self.backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT.saturating_mul(connections), self.seed);
        self
    }

    /// Sends a header with each handshake; its value is never shown.
    ///
    /// # Errors
    /// When name or value cannot stand in a header.
    pub fn with_header(mut self, name: &'static str, value: &str) -> io::Result<Connection> {
        let bad =
            |_| io::Error::new(io::ErrorKind::InvalidInput, format!("the value of {name} cannot stand in a header"));
        let mut value = HeaderValue::from_str(value).map_err(bad)?;
        value.set_sensitive(true);
        self.header = Some((HeaderName::from_static(name), value));
        Ok(self)
    }

    /// The same connection over a socket whose handshakes never were: it is open, and looks for its url only when that socket
    /// is lost. It speaks as servers do, without masks: the library asks the system for their random numbers every few
    /// thousand frames, which rehearsals would reach within seconds.
    ///
    /// # Errors
    /// When the poll refuses the socket.
    pub(super) fn over(mut self, mut socket: TcpStream) -> io::Result<Connection> {
        self.poll.registry().register(&mut socket, Token(0), Interest::READABLE | Interest::WRITABLE)?;
        let stream = Frames::open(StampedStream::new(socket, self.clock.clone()));
        let settings = settings().accept_unmasked_frames(true);
        let socket = WebSocket::from_raw_socket(stream, Role::Server, Some(settings));
        self.state = State::Open { talk: Box::new(Talk::new(socket, None)) };
        Ok(self)
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Takes one step.
    pub fn poll(&mut self) -> Event {
        if let State::Open { talk } = &mut self.state {
            return match talk.poll(self.silence) {
                Event::Lost(loss) => self.lose(loss),
                event => event,
            };
        }
        self.poll_opening()
    }

    fn poll_opening(&mut self) -> Event {
        let now = Instant::now();
        match std::mem::replace(&mut self.state, State::Waiting { until: now }) {
            State::Waiting { until } if now < until => {
                self.state = State::Waiting { until };
                Event::Idle
            }
            State::Waiting { .. } => {
                self.state = State::Resolving { lookup: Lookup::start(&self.host, self.port), since: now };
                Event::Progress
            }
            State::Resolving { lookup, since } => match lookup.poll() {
                None if since.elapsed() > STEP_LIMIT => self.lose(Loss::Timeout),
                None => {
                    self.state = State::Resolving { lookup, since };
                    Event::Idle
                }
                Some(None) => self.lose(Loss::NoAddress),
                Some(Some(address)) => match TcpStream::connect(address) {
                    Ok(mut socket) => {
                        let both = Interest::READABLE | Interest::WRITABLE;
                        if let Err(error) = self.poll.registry().register(&mut socket, Token(0), both) {
                            return self.lose(Loss::Socket(error.to_string()));
                        }
                        self.state = State::Connecting { socket, since: now };
                        Event::Progress
                    }
                    Err(error) => self.lose(Loss::Socket(error.to_string())),
                },
            },
            State::Connecting { socket, since } => {
                if let Ok(Some(error)) | Err(error) = socket.take_error() {
                    return self.lose(Loss::Socket(error.to_string()));
                }
                match socket.peer_addr() {
                    Ok(_) => {
                        self.settle(&socket);
                        let stream = match self.over_tls(StampedStream::new(socket, self.clock.clone())) {
                            Ok(stream) => Frames::new(stream),
                            Err(why) => return self.lose(Loss::Handshake(why)),
                        };
                        let mut request = match self.url.as_str().into_client_request() {
                            Ok(request) => request,
                            Err(error) => return self.lose(Loss::Handshake(error.to_string())),
                        };
                        if let Some((name, value)) = &self.header {
                            request.headers_mut().insert(name.clone(), value.clone());
                        }
                        let shaken = client_with_config(request, stream, Some(settings()));
                        self.shaken(shaken.map(|(socket, _)| socket), now)
                    }
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::NotConnected)
                            || error.raw_os_error() == Some(libc::EINPROGRESS) =>
                    {
                        if since.elapsed() > STEP_LIMIT {
                            return self.lose(Loss::Timeout);
                        }
                        self.state = State::Connecting { socket, since };
                        Event::Idle
                    }
                    Err(error) => self.lose(Loss::Socket(error.to_string())),
                }
            }
            State::Shaking { mid, since } => {
                if since.elapsed() > STEP_LIMIT {
                    return self.lose(Loss::Timeout);
                }
                self.shaken(mid.handshake().map(|(socket, _)| socket), since)
            }
            State::Subscribing { talk, since, early } => self.poll_subscribing(talk, since, early),
            open @ State::Open { .. } => {
                self.state = open;
                Event::Idle
            }
        }
    }

    /// The stream with TLS over it where the url wants it.
    fn over_tls(&self, stream: StampedStream) -> Result<MaybeTlsStream<StampedStream>, String> {
        if !self.is_secure {
            return Ok(MaybeTlsStream::Plain(stream));
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).map_err(|error| error.to_string())?;
        Ok(MaybeTlsStream::Rustls(StreamOwned::new(tls, stream)))
    }

    fn shaken(
        &mut self,
        result: Result<WebSocket<Frames>, HandshakeError<ClientHandshake<Frames>>>,
        since: Instant,
    ) -> Event {
        match result {
            Ok(socket) => {
                if self.subscription.is_empty() {
                    return self.open(Box::new(Talk::new(socket, None)));
                }
                let mut talk = Box::new(Talk::new(socket, Some(Pace::default())));
                if let Err(loss) = talk.say(&self.subscription) {
                    return self.lose(loss);
                }
                self.state = State::Subscribing { talk, since: Instant::now(), early: VecDeque::new() };
                Event::Progress
            }
            Err(HandshakeError::Interrupted(mid)) => {
                self.state = State::Shaking { mid: Box::new(mid), since };
                Event::Idle
            }
            Err(HandshakeError::Failure(error)) => self.lose(Loss::Handshake(error.to_string())),
        }
    }

    fn poll_subscribing(&mut self, mut talk: Box<Talk>, since: Instant, mut early: VecDeque<Event>) -> Event {
        let event = talk.poll(self.silence);
        let mut has_heard = false;
        let answer = match &event {
            Event::Text { text, .. } => control::answer(as_text(talk.bytes(text)), SUBSCRIPTION_ID),
            _ => None,
        };
        match (answer, event) {
            (Some(Answer::Accepted), _) => {
                talk.put_back(early);
                return self.open(talk);
            }
            (Some(Answer::Refused { code, text }), _) => return self.lose(Loss::Refused { code, text }),
            (None, Event::Lost(loss)) => return self.lose(loss),
            (None, event @ (Event::Text { .. } | Event::Binary { .. })) => {
                early.push_back(talk.keep(event));
                has_heard = true;
            }
            (None, Event::Idle) => {}
            (None, _) => has_heard = true,
        }
        if early.len() > EARLY_MOST || since.elapsed() > STEP_LIMIT {
            return self.lose(Loss::Timeout);
        }
        self.state = State::Subscribing { talk, since, early };
        if has_heard { Event::Progress } else { Event::Idle }
    }

    fn open(&mut self, talk: Box<Talk>) -> Event {
        self.state = State::Open { talk };
        self.backoff.reset();
        Event::Opened
    }

    /// Sends a text message; to the venue's streams as soon as their cap on what they are sent allows.
    ///
    /// # Errors
    /// When the connection is not open or breaks; it is then already on its way back.
    pub fn send(&mut self, text: &str) -> Result<(), Loss> {
        let State::Open { talk } = &mut self.state else {
            return Err(Loss::Closed);
        };
        let said = talk.say(text);
        if let Err(loss) = &said {
            self.lose(loss.clone());
        }
        said
    }

    /// What the message says that the last poll told of. Empty when there has been another one since that lost the
    /// connection.
    pub fn bytes<'a>(&'a self, payload: &'a Payload) -> &'a [u8] {
        match &self.state {
            State::Open { talk } | State::Subscribing { talk, .. } => talk.bytes(payload),
            _ => &[],
        }
    }

    /// The same of a text message.
    pub fn text<'a>(&'a self, payload: &'a Payload) -> &'a str {
        as_text(self.bytes(payload))
    }

    /// The counters right before the last write to the socket and right after it; zero when it is not open.
    pub fn write_tsc(&self) -> [u64; 2] {
        match &self.state {
            State::Open { talk } => talk.write_tsc(),
            _ => [0; 2],
        }
    }

    /// Drops the connection and schedules the next attempt: the caller no longer trusts what it says.
    pub fn drop_now(&mut self, loss: Loss) -> Event {
        self.lose(loss)
    }

    fn lose(&mut self, loss: Loss) -> Event {
        // Dropping the old state closes its socket, which also takes it out of the poll.
        self.state = State::Waiting { until: Instant::now() + self.backoff.wait() };
        Event::Lost(loss)
    }

    /// Blocks until the socket has something, `limit` at most. For parking idle modes only.
    pub fn park(&mut self, limit: Duration) {
        let limit = match &self.state {
            State::Waiting { until } => limit.min(until.saturating_duration_since(Instant::now())),
            State::Resolving { .. } => limit.min(Duration::from_millis(1)),
            State::Open { talk } if talk.has_early() => return,
            _ => limit,
        };
        // An interrupted or failed wait only means that the next poll comes early.
        let _ = self.poll.poll(&mut self.events, Some(limit));
        if let State::Open { talk } = &mut self.state {
            talk.note_wait();
        }
    }
}

/// A text message was found to be UTF-8 when it came.
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "waiting",
            State::Resolving { .. } => "resolving",
            State::Connecting { .. } => "connecting",
            State::Shaking { .. } => "shaking hands",
            State::Subscribing { .. } => "subscribing",
            State::Open { .. } => "open",
        };
        f.debug_struct("Connection").field("host", &self.host).field("state", &state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
