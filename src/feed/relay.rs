//! A stream that changes its connection before the old one ends.
//!
//! ```text
//! current ----------------------------------x
//!            next: opening ... open (unread) |----- current
//! ```
//!
//! The venue ends each connection after 24 hours, and says when it shuts down. A second connection is opened before
//! that and left unread: what the venue sends on it waits in the socket, while the first one is read on. When the first
//! has said all that was under way and nothing of it is unread, or it ends, the second takes its place: it repeats what was told meanwhile, which its
//! owner can tell by the ids, and nothing is missing.

use std::io;
use std::time::{Duration, Instant};

use super::{Connection, Event, Loss, Payload};

/// Polls between two looks at the clock, which costs as much as a poll.
const POLLS_A_CLOCK: u32 = 1024;

/// When connections are changed.
#[derive(Clone, Copy, Debug)]
pub struct RelayPlan {
    /// Age at which a connection is replaced.
    pub life: Duration,
    /// How long both stay open: longer than any message is under way.
    pub overlap: Duration,
}

impl RelayPlan {
    /// Half an hour before the venue's 24 hours are over, with a second to spare for what is under way.
    pub const USUAL: RelayPlan =
        RelayPlan { life: Duration::from_secs(23 * 3600 + 1800), overlap: Duration::from_secs(1) };

    /// A connection that is never replaced.
    pub const NONE: RelayPlan = RelayPlan { life: Duration::MAX, overlap: Duration::ZERO };
}

/// What a poll found.
#[derive(Debug)]
pub enum RelayEvent {
    /// What the connection in charge says.
    Of(Event),
    /// Another connection is in charge: what it says first may have been told before, and nothing was missed.
    Changed,
    /// The next connection could not be opened. The one in charge goes on, and another attempt follows.
    Delayed(Loss),
}

/// See the module.
pub struct Relay {
    make: Box<dyn FnMut() -> io::Result<Connection> + Send>,
    plan: RelayPlan,
    current: Connection,
    opened_at: Option<Instant>,
    next: Option<Next>,
    polls: u32,
}

struct Next {
    connection: Connection,
    opened_at: Option<Instant>,
}

impl Relay {
    /// A relay over connections that `make` makes, each to the same streams.
    ///
    /// # Errors
    /// When the first cannot be made.
    pub fn new(
        plan: RelayPlan,
        mut make: impl FnMut() -> io::Result<Connection> + Send + 'static,
    ) -> io::Result<Relay> {
        let current = make()?;
        Ok(Relay { make: Box::new(make), plan, current, opened_at: None, next: None, polls: 0 })
    }

    /// Takes one step.
    pub fn poll(&mut self) -> RelayEvent {
        self.polls = self.polls.wrapping_add(1);
        let is_over = match self.poll_next() {
            Ok(is_over) => is_over,
            Err(loss) => return RelayEvent::Delayed(loss),
        };
        if self.next.is_none()
            && self.polls.is_multiple_of(POLLS_A_CLOCK)
            && self.opened_at.is_some_and(|since| since.elapsed() >= self.plan.life)
        {
            self.renew();
        }
        let event = self.current.poll();
        match &event {
            // Only now, when all that has arrived on the old one is read.
            Event::Idle if is_over => return self.change(),
            Event::Opened => self.opened_at = Some(Instant::now()),
            Event::Lost(_) => {
                self.opened_at = None;
                if self.next.as_ref().is_some_and(|next| next.opened_at.is_some()) {
                    return self.change();
                }
                // The one that is being opened comes earlier than the one that starts over.
                if let Some(next) = self.next.take() {
                    self.current = next.connection;
                }
            }
            _ => {}
        }
        RelayEvent::Of(event)
    }

    /// Opens the next connection now, if none is being opened: the one in charge will end soon.
    pub fn renew(&mut self) {
        if self.next.is_none() && self.current.is_open() {
            // A system that gives no second poll gives one later; until then the old connection serves.
            self.next = (self.make)().ok().map(|connection| Next { connection, opened_at: None });
        }
    }

    /// Takes the next connection a step towards being open; returns whether its time has come.
    fn poll_next(&mut self) -> Result<bool, Loss> {
        let Some(next) = &mut self.next else { return Ok(false) };
        match next.opened_at {
            // Its back-off lets a refused attempt be repeated as often as is proper.
            None => match next.connection.poll() {
                Event::Opened => {
                    next.opened_at = Some(Instant::now());
                    Ok(false)
                }
                Event::Lost(loss) => Err(loss),
                _ => Ok(false),
            },
            Some(since) => Ok(since.elapsed() >= self.plan.overlap),
        }
    }

    fn change(&mut self) -> RelayEvent {
        if let Some(next) = self.next.take() {
            self.current = next.connection;
            self.opened_at = next.opened_at;
        }
        RelayEvent::Changed
    }

    /// What the message says that the last poll told of.
    pub fn bytes<'a>(&'a self, payload: &'a Payload) -> &'a [u8] {
        self.current.bytes(payload)
    }

    /// Blocks until there may be something to do, `limit` at most. For parking idle modes only.
    pub fn park(&mut self, limit: Duration) {
        self.current.park(limit);
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("current", &self.current)
            .field("has_next", &self.next.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    use quanta::Clock;
    use tungstenite::Message;

    /// A server that tells every connection the same rising numbers, one each millisecond, from its subscription on. It
    /// says yes to the subscription after some of them, and refuses every `refuses`th.
    fn counter(refuses: usize) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let (mut sockets, mut accepted) = (Vec::new(), 0);
            for number in 0_u64.. {
                if let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(false).unwrap();
                    let mut socket = tungstenite::accept(socket).unwrap();
                    let asked = socket.read().unwrap();
                    assert_eq!(asked.to_text().unwrap(), r#"{"method":"SUBSCRIBE","params":["numbers"],"id":1}"#);
                    accepted += 1;
                    if accepted % refuses == 0 {
                        socket.send(Message::text(r#"{"error":{"code":2,"msg":"not now"},"id":1}"#)).unwrap();
                    } else {
                        sockets.push((socket, number + accepted as u64 % 4));
                    }
                }
                sockets.retain_mut(|(socket, agrees_at)| {
                    let agrees = number == *agrees_at;
                    socket.send(Message::text(number.to_string())).is_ok()
                        && (!agrees || socket.send(Message::text(r#"{"result":null,"id":1}"#)).is_ok())
                });
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        port
    }

    #[test]
    fn a_hundred_changes_of_connection_miss_nothing() {
        let port = counter(5);
        let plan = RelayPlan { life: Duration::from_millis(10), overlap: Duration::from_millis(5) };
        let make = move || {
            let tls = super::super::client_config(None).unwrap();
            let url = format!("ws://127.0.0.1:{port}/stream");
            let made = Connection::new(&url, tls, Clock::new(), Duration::from_secs(60), 1)?;
            Ok(made.with_streams(&["numbers".to_owned()]))
        };
        let mut relay = Relay::new(plan, make).unwrap();
        let (mut changes, mut last, mut repeated, mut refused) = (0, None, 0, 0);
        let deadline = Instant::now() + Duration::from_secs(60);
        while changes < 100 {
            assert!(Instant::now() < deadline, "{changes} changes in a minute");
            match relay.poll() {
                RelayEvent::Changed => changes += 1,
                RelayEvent::Delayed(loss) => {
                    assert_eq!(loss, Loss::Refused { code: 2, text: "not now".to_owned() });
                    refused += 1;
                }
                RelayEvent::Of(Event::Text { text, .. }) => {
                    let number: u64 =
                        relay.current.text(&text).parse().expect("the answer to a subscription is nobody's message");
                    match last {
                        Some(last) if number <= last => repeated += 1,
                        Some(last) => assert_eq!(number, last + 1, "a hole after {changes} changes"),
                        None => {}
                    }
                    last = last.max(Some(number));
                }
                RelayEvent::Of(Event::Lost(loss)) => panic!("{loss}"),
                RelayEvent::Of(_) => {}
            }
        }
        assert!(repeated > 0, "the connections were open at once");
        assert!(refused >= 20, "one in five is refused, and costs nothing");
    }
}
