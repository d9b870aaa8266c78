//! An open socket: what is read from it, what is said to it at the venue's pace, and how a dead peer is told.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use tungstenite::{Bytes, Message, WebSocket};

use super::frames::{Frames, Next};
use super::pace::Pace;
use super::{Event, Loss, StampedStream};

// A peer that says nothing is asked after a third of the silence allowed: whoever lives answers a ping, so that a short
// silence can be told from a quiet market.
const PROBES_A_SILENCE: u32 = 3;
// Reading the clock at every empty poll would cost as much as the poll: every 1024th is soon enough for silence.
const POLLS_A_CLOCK: u32 = 1024;

/// Where a message lies: its connection [reads](super::Connection::bytes) it, until it is polled again.
#[derive(Debug)]
pub struct Payload(Place);

#[derive(Debug)]
enum Place {
    /// There in the buffer that was read ahead.
    Ahead(Range<usize>),
    /// In memory of its own.
    Own(Bytes),
}

/// A message, by who wants to know of it.
enum Heard {
    Text(Payload),
    Binary(Payload),
    Other(Message),
}

/// See the module.
pub(super) struct Talk {
    socket: WebSocket<Frames>,
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
    pub(super) fn new(socket: WebSocket<Frames>, pace: Option<Pace>) -> Talk {
        let now = Instant::now();
        let (waiting, early) = (VecDeque::new(), VecDeque::new());
        Talk {
            socket,
            holds: false,
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
            Ok(Heard::Text(text)) => {
                self.has_heard = true;
                Event::Text { text, read_tsc: self.read_tsc() }
            }
            Ok(Heard::Binary(frame)) => {
                self.has_heard = true;
                Event::Binary { frame, read_tsc: self.read_tsc() }
            }
            // A ping's pong is queued by the library and written by the next read or flush.
            Ok(Heard::Other(Message::Ping(_))) => {
                self.has_heard = true;
                if let Some(pace) = &mut self.pace {
                    pace.note(Instant::now());
                }
                let _ = self.flush();
                Event::Progress
            }
            Ok(Heard::Other(Message::Close(_))) => Event::Lost(Loss::Closed),
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
    fn read(&mut self) -> Result<Heard, tungstenite::Error> {
        if self.unsent {
            self.flush()?;
        }
        loop {
            if !self.holds {
                match self.socket.get_mut().next()? {
                    Next::Text(at) => return Ok(Heard::Text(Payload(Place::Ahead(at)))),
                    Next::Binary(at) => return Ok(Heard::Binary(Payload(Place::Ahead(at)))),
                    Next::Library => {}
                    Next::Nothing => return Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
                }
            }
            let read = self.socket.read();
            self.holds = read.is_ok();
            // It has taken all that it was given, and there may be more behind that, which no socket will announce.
            if !is_blocked(&read) || self.socket.get_ref().owes() {
                return read.map(|message| match message {
                    Message::Text(text) => Heard::Text(Payload(Place::Own(text.into()))),
                    Message::Binary(frame) => Heard::Binary(Payload(Place::Own(frame))),
                    other => Heard::Other(other),
                });
            }
        }
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
            if let Err(loss) = self.send_now(&text) {
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
    pub(super) fn say(&mut self, text: &str) -> Result<(), Loss> {
        if self.waiting.is_empty() && self.may_send() {
            return self.send_now(text);
        }
        self.waiting.push_back(text.to_owned());
        Ok(())
    }

    fn may_send(&mut self) -> bool {
        self.pace.as_mut().is_none_or(|pace| pace.take(Instant::now()))
    }

    fn send_now(&mut self, text: &str) -> Result<(), Loss> {
        // Behind what the library could not send, and after a close, it is the library's business.
        if self.unsent || !self.socket.can_write() || !self.socket.get_ref().may_say() {
            return self.send(Message::text(text)).map_err(|error| loss_of(&error));
        }
        match self.socket.get_mut().say(text) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unsent = true,
            said => said.map_err(|error| Loss::Socket(error.to_string()))?,
        }
        Ok(())
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

    /// What a message says. Nothing has been polled since it came.
    pub(super) fn bytes<'a>(&'a self, payload: &'a Payload) -> &'a [u8] {
        match &payload.0 {
            Place::Ahead(at) => self.socket.get_ref().piece(at),
            Place::Own(bytes) => bytes,
        }
    }

    /// The same event, to be told later than the next ones.
    pub(super) fn keep(&self, event: Event) -> Event {
        let own = |payload: &Payload| Payload(Place::Own(Bytes::copy_from_slice(self.bytes(payload))));
        match event {
            Event::Text { text, read_tsc } => Event::Text { text: own(&text), read_tsc },
            Event::Binary { frame, read_tsc } => Event::Binary { frame: own(&frame), read_tsc },
            other => other,
        }
    }

    fn read_tsc(&self) -> u64 {
        self.socket.get_ref().socket().map_or(0, StampedStream::last_read_tsc)
    }

    /// The counters before and after the last write to the socket; zero before the first.
    pub(super) fn write_tsc(&self) -> [u64; 2] {
        self.socket.get_ref().socket().map_or([0; 2], StampedStream::last_write_tsc)
    }
}

fn is_blocked<T>(result: &Result<T, tungstenite::Error>) -> bool {
    matches!(result, Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock)
}

fn loss_of(error: &tungstenite::Error) -> Loss {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Loss::Closed,
        tungstenite::Error::Io(error) => Loss::Socket(error.to_string()),
        other => Loss::Protocol(other.to_string()),
    }
}
