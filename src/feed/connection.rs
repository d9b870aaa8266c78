//! One WebSocket client connection as a state machine that is polled and never blocks.
//!
//! ```text
//! Waiting(until) -> Resolving -> Connecting -> Shaking -> Open --(error, close, silence)--> Waiting
//! ```

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quanta::Clock;
use rustls::ClientConfig;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Bytes, Connector, HandshakeError, Message, Utf8Bytes, WebSocket};

use super::resolve::Lookup;
use super::{Backoff, StampedStream};

type Stream = MaybeTlsStream<StampedStream>;

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
    /// The connection is open; nothing was read yet.
    Opened,
    /// A text message, and the counter of the read that completed it.
    Text {
        /// The payload, shared with the library's buffer.
        text: Utf8Bytes,
        /// Time stamp counter.
        read_tsc: u64,
    },
    /// A binary message, likewise.
    Binary {
        /// The payload, shared with the library's buffer.
        frame: Bytes,
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

enum State {
    Waiting { until: Instant },
    Resolving { lookup: Lookup, since: Instant },
    Connecting { socket: TcpStream, since: Instant },
    Shaking { mid: Box<MidHandshake<ClientHandshake<Stream>>>, since: Instant },
    Open(Box<Open>),
}

/// An open connection.
struct Open {
    socket: WebSocket<Stream>,
    /// The library may hold more than it has handed out.
    holds: bool,
    /// The socket has not taken all that was sent.
    unsent: bool,
    heard: Instant,
    probed: Instant,
    polls: u32,
}

/// What the library says to a look at an open connection.
type Read = Result<Message, tungstenite::Error>;

impl Open {
    /// The next message; `WouldBlock` when there is none. The library is asked only when it has something or can get it.
    fn read(&mut self) -> Read {
        if self.unsent {
            self.flush()?;
        }
        if !self.holds
            && let Some(stream) = stamped_mut(self.socket.get_mut())
            && !stream.fill()?
        {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        let read = self.socket.read();
        self.holds = read.is_ok();
        read
    }

    fn flush(&mut self) -> Result<(), tungstenite::Error> {
        let flushed = self.socket.flush();
        self.unsent = is_blocked(&flushed);
        if self.unsent { Ok(()) } else { flushed }
    }

    /// Sends a message. What the socket does not take at once stays in the library's buffer and goes out with a later look.
    fn send(&mut self, message: Message) -> Result<(), tungstenite::Error> {
        let sent = self.socket.send(message);
        self.unsent = is_blocked(&sent);
        if self.unsent { Ok(()) } else { sent }
    }

    fn read_tsc(&self) -> u64 {
        stamped(self.socket.get_ref()).map_or(0, StampedStream::last_read_tsc)
    }
}

fn is_blocked<T>(result: &Result<T, tungstenite::Error>) -> bool {
    matches!(result, Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A connection that keeps coming back.
pub struct Connection {
    url: String,
    /// Sent with each handshake.
    header: Option<(HeaderName, HeaderValue)>,
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
    clock: Clock,
    poll: Poll,
    events: Events,
    state: State,
    backoff: Backoff,
    silence: Duration,
    busy_poll_us: u32,
    /// Whether a socket's options have been told in the log.
    has_settled: bool,
}

// A handshake over a healthy network takes milliseconds; a venue that needs five seconds is better tried again.
const STEP_LIMIT: Duration = Duration::from_secs(5);
// The largest legal message is a 5000-level snapshot of some 300 kB; 16 MiB bounds what a faulty peer can make us hold.
const MESSAGE_LIMIT: usize = 16 << 20;
// The library clears so much memory before each of its reads. Longer messages take several, from a buffer that is here already.
const READ_BYTES: usize = 4 << 10;
// A peer that says nothing is asked after a third of the silence allowed: whoever lives answers a ping, so that a short
// silence can be told from a quiet market.
const PROBES_A_SILENCE: u32 = 3;
// Reading the clock at every empty poll would cost as much as the poll: every 1024th is soon enough for silence.
const POLLS_A_CLOCK: u32 = 1024;

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
        let secure = request.uri().scheme_str() == Some("wss");
        let host = request.uri().host().ok_or_else(|| bad("no host"))?.to_owned();
        let port = request.uri().port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Connection {
            url: url.to_owned(),
            header: None,
            host,
            port,
            tls,
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(4),
            state: State::Waiting { until: Instant::now() },
            // First attempts come quickly, because most losses are short; the cap keeps five attempts in any 5 s away
            // from the venue's limit of 300 in five minutes.
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(3), seed),
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

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Takes one step.
    pub fn poll(&mut self) -> Event {
        if let State::Open(open) = &mut self.state {
            match open.read() {
                Ok(Message::Text(text)) => {
                    open.heard = Instant::now();
                    return Event::Text { text, read_tsc: open.read_tsc() };
                }
                Ok(Message::Binary(frame)) => {
                    open.heard = Instant::now();
                    return Event::Binary { frame, read_tsc: open.read_tsc() };
                }
                // A ping's pong is queued by the library and written by the next read or flush.
                Ok(Message::Ping(_)) => {
                    open.heard = Instant::now();
                    let _ = open.flush();
                    return Event::Progress;
                }
                Ok(Message::Close(_)) => return self.lose(Loss::Closed),
                Ok(_) => {
                    open.heard = Instant::now();
                    return Event::Progress;
                }
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    open.polls = open.polls.wrapping_add(1);
                    if !open.polls.is_multiple_of(POLLS_A_CLOCK) {
                        return Event::Idle;
                    }
                    if open.heard.elapsed() > self.silence {
                        return self.lose(Loss::Silent);
                    }
                    let pause = self.silence / PROBES_A_SILENCE;
                    if open.heard.elapsed() > pause && open.probed.elapsed() > pause {
                        open.probed = Instant::now();
                        // A ping that the socket does not take is missed like its answer.
                        let _ = open.send(Message::Ping(Vec::new().into()));
                    }
                    return Event::Idle;
                }
                Err(error) => {
                    let loss = loss_of(&error);
                    return self.lose(loss);
                }
            }
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
                        let stream = StampedStream::new(socket, self.clock.clone());
                        let config = WebSocketConfig::default()
                            .read_buffer_size(READ_BYTES)
                            .max_message_size(Some(MESSAGE_LIMIT))
                            .max_frame_size(Some(MESSAGE_LIMIT));
                        let connector = Some(Connector::Rustls(Arc::clone(&self.tls)));
                        let mut request = match self.url.as_str().into_client_request() {
                            Ok(request) => request,
                            Err(error) => return self.lose(Loss::Handshake(error.to_string())),
                        };
                        if let Some((name, value)) = &self.header {
                            request.headers_mut().insert(name.clone(), value.clone());
                        }
                        let shaken = tungstenite::client_tls_with_config(request, stream, Some(config), connector);
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
            open @ State::Open(_) => {
                self.state = open;
                Event::Idle
            }
        }
    }

    fn shaken(
        &mut self,
        result: Result<WebSocket<Stream>, HandshakeError<ClientHandshake<Stream>>>,
        since: Instant,
    ) -> Event {
        match result {
            Ok(socket) => {
                let now = Instant::now();
                // The peer's first words may have come with its answer to the handshake.
                let open = Open { socket, holds: true, unsent: false, heard: now, probed: now, polls: 0 };
                self.state = State::Open(Box::new(open));
                self.backoff.reset();
                Event::Opened
            }
            Err(HandshakeError::Interrupted(mid)) => {
                self.state = State::Shaking { mid: Box::new(mid), since };
                Event::Idle
            }
            Err(HandshakeError::Failure(error)) => self.lose(Loss::Handshake(error.to_string())),
        }
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// When the connection is not open or breaks; it is then already on its way back.
    pub fn send(&mut self, text: String) -> Result<(), Loss> {
        let State::Open(open) = &mut self.state else {
            return Err(Loss::Closed);
        };
        match open.send(Message::text(text)) {
            Ok(()) => Ok(()),
            Err(error) => {
                let loss = loss_of(&error);
                self.lose(loss.clone());
                Err(loss)
            }
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
            _ => limit,
        };
        // An interrupted or failed wait only means that the next poll comes early.
        let _ = self.poll.poll(&mut self.events, Some(limit));
        // Beside a wait the clock costs nothing: the next poll looks at it.
        if let State::Open(open) = &mut self.state {
            open.polls = u32::MAX;
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "waiting",
            State::Resolving { .. } => "resolving",
            State::Connecting { .. } => "connecting",
            State::Shaking { .. } => "shaking hands",
            State::Open(_) => "open",
        };
        f.debug_struct("Connection").field("host", &self.host).field("state", &state).finish_non_exhaustive()
    }
}

fn stamped(stream: &Stream) -> Option<&StampedStream> {
    match stream {
        MaybeTlsStream::Plain(stream) => Some(stream),
        MaybeTlsStream::Rustls(stream) => Some(&stream.sock),
        _ => None,
    }
}

fn stamped_mut(stream: &mut Stream) -> Option<&mut StampedStream> {
    match stream {
        MaybeTlsStream::Plain(stream) => Some(stream),
        MaybeTlsStream::Rustls(stream) => Some(&mut stream.sock),
        _ => None,
    }
}

fn loss_of(error: &tungstenite::Error) -> Loss {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Loss::Closed,
        tungstenite::Error::Io(error) => Loss::Socket(error.to_string()),
        other => Loss::Protocol(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn connection(port: u16) -> Connection {
        let tls = super::super::client_config(None).unwrap();
        let url = format!("ws://127.0.0.1:{port}/ws");
        Connection::new(&url, tls, Clock::new(), Duration::from_secs(60), 1).unwrap()
    }

    fn until<T>(connection: &mut Connection, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(found) = wanted(connection.poll()) {
                return found;
            }
            assert!(Instant::now() < deadline, "nothing came of {connection:?}");
            connection.park(Duration::from_millis(5));
        }
    }

    #[test]
    fn text_arrives_pings_are_answered_and_a_cut_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            for round in 0..2 {
                let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
                socket.send(Message::Ping(b"20s".to_vec().into())).unwrap();
                socket.send(Message::text(format!("frame {round}"))).unwrap();
                loop {
                    if let Message::Pong(payload) = socket.read().unwrap() {
                        assert_eq!(&payload[..], b"20s");
                        break;
                    }
                }
                // Dropped without a close frame: the client must notice by the end of the stream.
            }
        });
        let mut client = connection(port);
        for round in 0..2 {
            until(&mut client, |event| matches!(event, Event::Opened).then_some(()));
            let (text, stamp) = until(&mut client, |event| match event {
                Event::Text { text, read_tsc } => Some((text, read_tsc)),
                _ => None,
            });
            assert_eq!(text.as_str(), format!("frame {round}"));
            assert!(stamp > 0);
            until(&mut client, |event| matches!(event, Event::Lost(_)).then_some(()));
        }
        server.join().unwrap();
    }

    #[test]
    fn a_quiet_peer_that_answers_pings_is_kept_and_a_dead_one_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            // Reading answers pings. After five of them it stays open and does nothing any more.
            let mut pings = 0;
            while pings < 5 {
                pings += u32::from(matches!(socket.read().unwrap(), Message::Ping(_)));
            }
            (socket, Instant::now())
        });
        let tls = super::super::client_config(None).unwrap();
        let silence = Duration::from_millis(150);
        let mut client = Connection::new(&format!("ws://127.0.0.1:{port}/"), tls, Clock::new(), silence, 1).unwrap();
        let loss = until(&mut client, |event| match event {
            Event::Lost(loss) => Some(loss),
            _ => None,
        });
        assert_eq!(loss, Loss::Silent);
        let (_, died_at) = server.join().unwrap();
        assert!(died_at.elapsed() < Duration::from_secs(2), "long after it died");
    }

    #[test]
    fn a_refused_port_is_tried_again_and_again() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut client = connection(port);
        for _ in 0..3 {
            let loss = until(&mut client, |event| match event {
                Event::Lost(loss) => Some(loss),
                _ => None,
            });
            assert!(matches!(loss, Loss::Socket(_)), "{loss:?}");
        }
    }

    #[test]
    fn a_server_that_speaks_no_websocket_is_a_failed_handshake() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        });
        let mut client = connection(port);
        let loss = until(&mut client, |event| match event {
            Event::Lost(loss) => Some(loss),
            _ => None,
        });
        assert!(matches!(loss, Loss::Handshake(_)), "{loss:?}");
        server.join().unwrap();
    }
}
