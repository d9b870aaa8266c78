//! ureq's transport, made for orders: one send a request, one look at the socket before it, and no sleep while an answer
//! is near.
//!
//! The library writes head and body of a request one after the other, sets a timeout on the socket for each step, and
//! sleeps in its reads. Here the head waits for its body, the socket never blocks, and an answer is waited for by asking
//! again for a while before the thread sleeps in a poll. Timeouts hold in both phases. TLS stands on it unchanged.
//! While a request is only [begun](super::ahead), nothing leaves and no connection is made.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quanta::Clock;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, time,
};
use ureq::{Error, Timeout};

/// What a client and its connections tell each other.
#[derive(Debug, Default)]
pub struct Wire {
    /// When the bytes of the last request were in front of the socket, and when it had taken them: raw counters.
    ready: AtomicU64,
    written: AtomicU64,
    /// Whether a request is being begun.
    begins: AtomicBool,
    /// What the request just begun will leave by.
    begun_on: Mutex<Option<BegunOn>>,
    /// Bytes of the begun request that have left without its transport.
    gone: AtomicUsize,
}

/// Where a begun request stands.
pub(super) struct BegunOn {
    /// Where it will leave by.
    pub socket: Arc<TcpStream>,
    /// Its head as it leaves, if the body may just be put behind it; empty when something has to be done to both first, as
    /// TLS does.
    pub head: Vec<u8>,
}

impl Wire {
    /// Forgets the last request.
    pub fn clear(&self) {
        self.ready.store(0, Ordering::Relaxed);
        self.written.store(0, Ordering::Relaxed);
        self.gone.store(0, Ordering::Relaxed);
    }

    /// The last request's times: its bytes in front of the socket, and taken by it; zero when no byte was sent.
    pub fn times(&self) -> [u64; 2] {
        [self.ready.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed)]
    }

    /// Runs `begin`, which writes a request as far as it is known. What it writes is held, and only a connection that is
    /// there already is used. Returns where it stands as well, if anything was written.
    pub(super) fn beginning<T>(&self, begin: impl FnOnce() -> T) -> (T, Option<BegunOn>) {
        self.begins.store(true, Ordering::Relaxed);
        let begun = begin();
        self.begins.store(false, Ordering::Relaxed);
        (begun, self.begun_on.lock().unwrap_or_else(PoisonError::into_inner).take())
    }

    /// Lets a begun request leave, as much of it as the socket takes; its transport sends the rest, or fails as the socket
    /// does.
    pub(super) fn leave(&self, request: &[u8], socket: &TcpStream, clock: &Clock) {
        let ready = clock.raw();
        let mut by = socket;
        if let Ok(gone @ 1..) = by.write(request) {
            self.written.store(clock.raw(), Ordering::Relaxed);
            self.ready.store(ready, Ordering::Relaxed);
            self.gone.store(gone, Ordering::Relaxed);
        }
    }

    fn begins(&self) -> bool {
        self.begins.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for BegunOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A head holds the API key.
        f.debug_struct("BegunOn").finish_non_exhaustive()
    }
}

/// Whether there is nothing to read on a connection of requests that waits for the next one: neither its end nor bytes that
/// nobody asked for. One system call; an order on a dead connection would be an order in doubt.
pub(super) fn is_quiet(socket: &TcpStream) -> bool {
    matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Makes connections of this kind.
#[derive(Debug)]
pub struct SpinConnector {
    spin: Duration,
    wire: Arc<Wire>,
    failed: Arc<AtomicBool>,
    clock: Clock,
}

impl SpinConnector {
    /// Connections that ask for an answer again and again for `spin` before they sleep. `failed` is set when none could
    /// be made.
    pub fn new(spin: Duration, wire: Arc<Wire>, failed: Arc<AtomicBool>) -> SpinConnector {
        SpinConnector { spin, wire, failed, clock: Clock::new() }
    }

    /// A transport over a socket that `connect` gives.
    ///
    /// # Errors
    /// When there is none, the system refuses an option of it, or gives no poll; and while a request is begun, which has
    /// to find a connection.
    pub(super) fn over(
        &self,
        details: &ConnectionDetails<'_>,
        connect: impl FnOnce() -> Result<std::net::TcpStream, Error>,
    ) -> Result<SpinTransport, Error> {
        if self.wire.begins() {
            return Err(Error::ConnectionFailed);
        }
        let stream = connect()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(stream);
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE | Interest::WRITABLE)?;
        Ok(SpinTransport {
            socket: Arc::new(socket),
            poll,
            events: Events::with_capacity(2),
            buffers: LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size()),
            held: Vec::with_capacity(1024),
            missing: 0,
            spin: self.spin,
            wire: Arc::clone(&self.wire),
            clock: self.clock.clone(),
        })
    }

    fn open(&self, details: &ConnectionDetails<'_>) -> Result<std::net::TcpStream, Error> {
        let end = deadline(details.timeout);
        let mut last = Error::ConnectionFailed;
        for (index, address) in details.addrs.iter().enumerate() {
            // Every address left gets its share of the time left.
            let share = match end {
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Error::Timeout(details.timeout.reason));
                    }
                    Some(left / (details.addrs.len() - index) as u32)
                }
                None => None,
            };
            let opened = match share {
                Some(share) => std::net::TcpStream::connect_timeout(address, share),
                None => std::net::TcpStream::connect(address),
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => last = Error::Timeout(Timeout::Connect),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

impl<In: Transport> Connector<In> for SpinConnector {
    type Out = Either<In, SpinTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(chained) = chained {
            return Ok(Some(Either::A(chained)));
        }
        let open = || self.open(details).inspect_err(|_| self.failed.store(true, Ordering::Relaxed));
        Ok(Some(Either::B(self.over(details, open)?)))
    }
}

/// One connection.
pub struct SpinTransport {
    socket: Arc<TcpStream>,
    poll: Poll,
    events: Events,
    buffers: LazyBuffers,
    /// A head whose body is not there yet, as it leaves.
    held: Vec<u8>,
    /// Bytes of that body still to come.
    missing: usize,
    spin: Duration,
    wire: Arc<Wire>,
    clock: Clock,
}

impl SpinTransport {
    /// Sends everything, in as many pieces as the socket takes.
    fn send(&mut self, from: Output, timeout: NextTimeout) -> Result<(), Error> {
        let (mut sent, mut end) = (0, None);
        if matches!(from, Output::Held) {
            sent = self.wire.gone.swap(0, Ordering::Relaxed).min(self.held.len());
            if sent == self.held.len() {
                return Ok(());
            }
        }
        let began = self.clock.raw();
        loop {
            let bytes = match from {
                Output::Held => &self.held[sent..],
                Output::Buffer(amount) => &self.buffers.output()[sent..amount],
            };
            if bytes.is_empty() {
                break;
            }
            match (&*self.socket).write(bytes) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(taken) => sent += taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Only a socket that does not take all at once costs a look at the clock.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let end = *end.get_or_insert_with(|| deadline(timeout));
                    self.sleep(end, timeout.reason)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let _ = self.wire.ready.compare_exchange(0, began, Ordering::Relaxed, Ordering::Relaxed);
        self.wire.written.store(self.clock.raw(), Ordering::Relaxed);
        Ok(())
    }

    /// Sleeps until the socket may be ready; the caller asks it again.
    fn sleep(&mut self, end: Option<Instant>, reason: Timeout) -> Result<(), Error> {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Error::Timeout(reason));
        }
        match self.poll.poll(&mut self.events, left) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy)]
enum Output {
    Held,
    Buffer(usize),
}

impl Transport for SpinTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let bytes = &self.buffers.output()[..amount];
        let begins = self.wire.begins();
        let is_first = self.held.is_empty();
        if is_first {
            self.missing = body_to_come(bytes);
            if self.missing == 0 && !begins {
                return self.send(Output::Buffer(amount), timeout);
            }
        } else {
            self.missing = self.missing.saturating_sub(amount);
        }
        self.held.extend_from_slice(bytes);
        if begins {
            let head = if is_first && self.missing > 0 { self.held.clone() } else { Vec::new() };
            let begun = BegunOn { socket: Arc::clone(&self.socket), head };
            *self.wire.begun_on.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
        }
        if self.missing > 0 || begins {
            return Ok(());
        }
        let sent = self.send(Output::Held, timeout);
        self.held.clear();
        sent
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.held.is_empty() {
            // A body shorter than it was said to be: what there is goes out, and the venue will refuse it.
            self.missing = 0;
            let sent = self.send(Output::Held, timeout.for_write());
            self.held.clear();
            sent?;
        }
        let timeout = timeout.for_read();
        let end = deadline(timeout);
        let began = Instant::now();
        loop {
            match (&*self.socket).read(self.buffers.input_append_buf()) {
                Ok(read) => {
                    self.buffers.input_appended(read);
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let now = Instant::now();
                    if end.is_some_and(|end| now >= end) {
                        return Err(Error::Timeout(timeout.reason));
                    }
                    if now - began < self.spin {
                        std::hint::spin_loop();
                    } else {
                        self.sleep(end, timeout.reason)?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.held.is_empty() && is_quiet(&self.socket)
    }
}

impl std::fmt::Debug for SpinTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Buffers hold keys and signatures.
        f.debug_struct("SpinTransport").field("peer", &self.socket.peer_addr().ok()).finish_non_exhaustive()
    }
}

fn deadline(timeout: NextTimeout) -> Option<Instant> {
    match timeout.after {
        time::Duration::Exact(after) => Instant::now().checked_add(after),
        time::Duration::NotHappening => None,
    }
}

/// Bytes of body that follow a request's head, when `bytes` is exactly such a head; zero for anything else, TLS records
/// among it.
fn body_to_come(bytes: &[u8]) -> usize {
    if !(bytes.starts_with(b"POST ") || bytes.starts_with(b"PUT ")) || !bytes.ends_with(b"\r\n\r\n") {
        return 0;
    }
    let name = b"content-length:";
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name));
    let digits = line.and_then(|line| std::str::from_utf8(line[name.len()..].trim_ascii()).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread::JoinHandle;
    use ureq::Agent;
    use ureq::unversioned::resolver::DefaultResolver;

    fn agent(spin: Duration, patience: Duration) -> (Agent, Arc<Wire>) {
        let wire = Arc::new(Wire::default());
        let config = Agent::config_builder().timeout_global(Some(patience)).http_status_as_error(false).build();
        let connector = SpinConnector::new(spin, Arc::clone(&wire), Arc::default());
        (Agent::with_parts(config, ().chain(connector), DefaultResolver::default()), wire)
    }

    /// Runs `serve` on each connection in turn, as many as asked for.
    fn server<T: Send + 'static>(
        connections: usize,
        mut serve: impl FnMut(std::net::TcpStream) -> T + Send + 'static,
    ) -> (String, JoinHandle<Vec<T>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut all = Vec::new();
            for _ in 0..connections {
                all.push(serve(listener.accept().unwrap().0));
            }
            all
        });
        (url, thread)
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    fn request(socket: &mut std::net::TcpStream) -> Vec<u8> {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while body_to_come_of(&all).is_none_or(|end| all.len() < end) {
            let read = socket.read(&mut part).unwrap();
            if read == 0 {
                break;
            }
            all.extend_from_slice(&part[..read]);
        }
        all
    }

    fn body_to_come_of(all: &[u8]) -> Option<usize> {
        let head = all.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        Some(head + body_to_come(&all[..head]))
    }

    #[test]
    fn head_and_body_arrive_in_one_read_and_the_connection_is_used_again() {
        let (url, thread) = server(1, |mut socket| {
            let mut part = [0; 4096];
            [(); 2].map(|()| {
                let read = socket.read(&mut part).unwrap();
                socket.write_all(OK).unwrap();
                String::from_utf8(part[..read].to_vec()).unwrap()
            })
        });
        let (agent, wire) = agent(Duration::from_millis(50), Duration::from_secs(5));
        for _ in 0..2 {
            wire.clear();
            let mut answer = agent.post(&url).send("a=1&b=2").unwrap();
            assert_eq!(answer.body_mut().read_to_string().unwrap(), "ok");
            let [ready, written] = wire.times();
            assert!(ready > 0 && written >= ready);
        }
        for request in &thread.join().unwrap()[0] {
            assert!(request.starts_with("POST /x") && request.ends_with("a=1&b=2"), "{request}");
        }
    }

    #[test]
    fn silence_ends_in_time_while_it_spins_and_while_it_sleeps() {
        for spin in [Duration::ZERO, Duration::from_secs(60)] {
            let (url, thread) = server(1, |mut socket| {
                let _ = request(&mut socket);
                // Until the other side gives up.
                let _ = socket.read(&mut [0; 16]);
            });
            let (agent, _) = agent(spin, Duration::from_millis(80));
            let began = Instant::now();
            let error = agent.post(&url).send("a=1").unwrap_err();
            assert!(matches!(error, Error::Timeout(_)), "{error}");
            assert!(began.elapsed() >= Duration::from_millis(75), "{:?}", began.elapsed());
            drop(agent);
            thread.join().unwrap();
        }
    }

    #[test]
    fn an_answer_after_the_spinning_wakes_the_sleeper() {
        let (url, thread) = server(1, |mut socket| {
            let _ = request(&mut socket);
            std::thread::sleep(Duration::from_millis(30));
            socket.write_all(&OK[..20]).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            socket.write_all(&OK[20..]).unwrap();
        });
        let (agent, _) = agent(Duration::from_millis(1), Duration::from_secs(10));
        assert_eq!(agent.post(&url).send("a=1").unwrap().body_mut().read_to_string().unwrap(), "ok");
        thread.join().unwrap();
    }

    #[test]
    fn a_pooled_connection_that_died_is_not_used_for_the_next_order() {
        let (url, thread) = server(2, |mut socket| {
            let seen = request(&mut socket);
            socket.write_all(OK).unwrap();
            seen.len()
            // Dropped without a word: the pool still holds it.
        });
        let (agent, _) = agent(Duration::from_millis(1), Duration::from_secs(10));
        for _ in 0..2 {
            assert_eq!(agent.post(&url).send("a=1").unwrap().body_mut().read_to_string().unwrap(), "ok");
            // The end of the first connection must have arrived; there is nothing else to wait for.
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(thread.join().unwrap().iter().all(|seen| *seen > 20), "both orders came whole");
    }

    #[test]
    fn a_body_larger_than_the_sockets_buffers_is_sent_in_parts() {
        let body = "x".repeat(24 << 20);
        let size = body.len();
        let (url, thread) = server(1, move |mut socket| {
            std::thread::sleep(Duration::from_millis(50));
            let seen = request(&mut socket);
            socket.write_all(OK).unwrap();
            seen.iter().rev().take_while(|byte| **byte == b'x').count()
        });
        let (agent, _) = agent(Duration::from_millis(1), Duration::from_secs(60));
        agent.post(&url).send(&body).unwrap();
        assert_eq!(thread.join().unwrap(), [size]);
    }

    #[test]
    fn only_a_whole_head_with_a_length_is_held() {
        let heads: [(&[u8], usize); 5] = [
            (b"POST /x HTTP/1.1\r\ncontent-length: 12\r\n\r\n", 12),
            (b"PUT /x HTTP/1.1\r\nContent-Length:3\r\n\r\n", 3),
            (b"POST /x HTTP/1.1\r\ncontent-length: 12\r\n", 0),
            (b"GET /x HTTP/1.1\r\ncontent-length: 12\r\n\r\n", 0),
            (b"\x17\x03\x03 content-length: 12\r\n\r\n", 0),
        ];
        assert_eq!(heads.map(|(head, _)| body_to_come(head)), heads.map(|(_, length)| length));
    }
}
