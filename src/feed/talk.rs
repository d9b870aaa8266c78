//! An open socket: what is read from it, what is said to it at the venue's pace, and how a dead peer is told.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use super::pace::Pace;
use super::{Event, Loss, StampedStream};

pub(super) type Stream = MaybeTlsStream<StampedStream>;

// A peer that says nothing is asked after a third of the silence allowed: whoever lives answers a ping, so that a short
// silence can be told from a quiet market.
const PROBES_A_SILENCE: u32 = 3;
// Reading the clock at every empty poll would cost as much as the poll: every 1024th is soon enough for silence.
const POLLS_A_CLOCK: u32 = 1024;

/// See the module.
pub(super) struct Talk {
    socket: WebSocket<Stream>,
    /// The library may hold more than it has handed out.
    holds: bool,
    /// The socket has not taken all that was sent.
    unsent: bool,
    /// When the clock was last looked at and anything had been heard since the look before.
    heard: Instant,
    has_heard: bool,
    /// When the peer was last asked whether it lives.
    probed: Instant,
    polls: u32,
    /// Where the venue caps what it is sent.
    pace: Option<Pace>,
    /// Texts that have to wait for their turn.
    waiting: VecDeque<String>,
    /// What was read already and is told before anything else.
    early: VecDeque<Event>,
}

impl Talk {
    /// Talk over a socket whose handshakes are done, at the pace of the venue's streams if there are any on it.
    pub(super) fn new(socket: WebSocket<Stream>, pace: Option<Pace>) -> Talk {
        let now = Instant::now();
        let (waiting, early) = (VecDeque::new(), VecDeque::new());
        // The peer's first words may have come with its answer to the handshake.
        Talk {
            socket,
            holds: true,
            unsent: false,
            heard: now,
            has_heard: false,
            probed: now,
            polls: 0,
            pace,
            waiting,
            early,
        }
    }

    /// The next message, if one has come. A loss is told and left to the owner.
    #[inline]
    pub(super) fn poll(&mut self, silence: Duration) -> Event {
        if let Some(event) = self.early.pop_front() {
            return event;
        }
        match self.read() {
            Ok(Message::Text(text)) => {
                self.has_heard = true;
                Event::Text { text, read_tsc: self.read_tsc() }
            }
            Ok(Message::Binary(frame)) => {
                self.has_heard = true;
                Event::Binary { frame, read_tsc: self.read_tsc() }
            }
            // A ping's pong is queued by the library and written by the next read or flush.
            Ok(Message::Ping(_)) => {
                self.has_heard = true;
                if let Some(pace) = &mut self.pace {
                    pace.note(Instant::now());
                }
                let _ = self.flush();
                Event::Progress
            }
            Ok(Message::Close(_)) => Event::Lost(Loss::Closed),
            Ok(_) => {
                self.has_heard = true;
                Event::Progress
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.polls = self.polls.wrapping_add(1);
                if self.polls.is_multiple_of(POLLS_A_CLOCK) { self.look_after(silence) } else { Event::Idle }
            }
            Err(error) => Event::Lost(loss_of(&error)),
        }
    }

    /// The next message; `WouldBlock` when there is none. The library is asked only when it has something or can get it.
    fn read(&mut self) -> Result<Message, tungstenite::Error> {
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

    /// Sends what had to wait, and asks a silent peer whether it lives.
    #[cold]
    fn look_after(&mut self, silence: Duration) -> Event {
        while !self.waiting.is_empty() && self.may_send() {
            let Some(text) = self.waiting.pop_front() else { break };
            if let Err(loss) = self.send_now(text) {
                return Event::Lost(loss);
            }
        }
        if std::mem::take(&mut self.has_heard) {
            // Later than it was, by the few polls since the last look.
            self.heard = Instant::now();
        }
        let quiet = self.heard.elapsed();
        if quiet > silence {
            return Event::Lost(Loss::Silent);
        }
        let pause = silence / PROBES_A_SILENCE;
        if quiet > pause && self.probed.elapsed() > pause && self.may_send() {
            self.probed = Instant::now();
            // A ping that the socket does not take is missed like its answer.
            let _ = self.send(Message::Ping(Vec::new().into()));
        }
        Event::Idle
    }

    /// Sends a text as soon as the pace allows, in the order of the calls.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn say(&mut self, text: String) -> Result<(), Loss> {
        if self.waiting.is_empty() && self.may_send() {
            return self.send_now(text);
        }
        self.waiting.push_back(text);
        Ok(())
    }

    fn may_send(&mut self) -> bool {
        self.pace.as_mut().is_none_or(|pace| pace.take(Instant::now()))
    }

    fn send_now(&mut self, text: String) -> Result<(), Loss> {
        self.send(Message::text(text)).map_err(|error| loss_of(&error))
    }

    /// Hands back what was read before its time: it is told before anything else.
    pub(super) fn put_back(&mut self, events: VecDeque<Event>) {
        self.early = events;
    }

    /// Whether something is to be told that the socket will not announce.
    pub(super) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// After a wait the clock costs nothing beside it: the next empty poll looks at it.
    pub(super) fn note_wait(&mut self) {
        self.polls = u32::MAX;
    }

    fn read_tsc(&self) -> u64 {
        stamped(self.socket.get_ref()).map_or(0, StampedStream::last_read_tsc)
    }

    /// The counters before and after the last write to the socket; zero before the first.
    pub(super) fn write_tsc(&self) -> [u64; 2] {
        stamped(self.socket.get_ref()).map_or([0; 2], StampedStream::last_write_tsc)
    }
}

fn is_blocked<T>(result: &Result<T, tungstenite::Error>) -> bool {
    matches!(result, Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock)
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
