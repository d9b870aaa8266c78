//! Requests that are begun before anybody knows what they will say.
//!
//! Most of what a request costs before its bytes are in front of the socket does not depend on the order: the library
//! reads the url, asks its pool for a connection, looks whether that is open, and writes the head. So the call is made
//! while there is nothing to do, on a stack of its own, and stops where the library asks for the body. An order is then
//! its body, one send and the answer. Nothing leaves before, and a call that nobody needs is given up without a byte.
//!
//! The head states the body's length, so a begun call serves a body of that length alone: fields of an order are as wide
//! as the instrument's steps, and the lengths of the last two kinds of body (a bid's, an ask's) are kept ready. Any other
//! goes the ordinary way.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use quanta::Clock;
use send_wrapper::SendWrapper;
use ureq::http::{HeaderValue, Response, Uri};
use ureq::{Agent, Body, Error, SendBody};

use super::http::{FORM, IDLE_MAX, with_key};
use super::transport::{BegunOn, Wire, is_quiet};
use crate::wire::lines;

/// Calls that are ready at the same time: one a side.
pub(super) const READY: usize = 2;
/// Of a call's stack: the library needs a tenth of it.
const STACK_BYTES: usize = 256 << 10;
/// What of a stack a call uses, from its end down.
const STACK_NEAR: usize = 8 << 10;
/// A body's room: more than any order has.
const BODY_BYTES: usize = 768;
/// Idle steps between two looks at the connections: some tenths of a millisecond on a thread that never sleeps.
const STEPS_A_LOOK: u32 = 512;
/// A look at a connection holds for so long, in nanoseconds.
const LOOK_NS: u64 = 1_000_000;

/// What the library answers.
pub(super) type Answer = Result<Response<Body>, Error>;
/// Goes on with the body; without one the call is given up.
type Call = Coroutine<Option<String>, (), Answer>;

/// What each call has in common.
pub(super) struct Heading {
    /// Where it goes, from the slash on.
    pub path: &'static str,
    /// The whole of it.
    pub uri: Uri,
    /// The API key, if there is one.
    pub key: Option<HeaderValue>,
    /// How long an answer is waited for.
    pub patience: Duration,
}

/// Keeps calls ready. See the module.
pub(super) struct Ahead {
    agent: Agent,
    heading: Heading,
    wire: Arc<Wire>,
    clock: Clock,
    stacks: Vec<DefaultStack>,
    begun: Vec<Begun>,
    /// Lengths of the last bodies that differed, the newest first; zero for none yet.
    lengths: [usize; READY],
    /// Whether there is reason to think that a connection is free: the last call was answered.
    may_begin: bool,
    idle_steps: u32,
}

/// A call that waits for its body.
struct Begun {
    /// Resumed, and ended, on the thread that it was begun on.
    call: SendWrapper<Call>,
    length: usize,
    body: String,
    /// Where it stands; its head grows to the whole request.
    on: BegunOn,
    since: Instant,
    /// When its connection was last seen to be quiet: raw counter.
    looked: u64,
    /// Where its stack begins.
    stack: usize,
}

impl Ahead {
    /// Calls of `agent`, whose connections speak of themselves by `wire`.
    ///
    /// # Errors
    /// When the system gives no memory for their stacks.
    pub(super) fn new(agent: Agent, heading: Heading, wire: Arc<Wire>) -> io::Result<Ahead> {
        let stacks = (0..READY).map(|_| DefaultStack::new(STACK_BYTES)).collect::<io::Result<Vec<_>>>()?;
        Ok(Ahead {
            agent,
            heading,
            wire,
            clock: Clock::new(),
            stacks,
            begun: Vec::with_capacity(READY),
            lengths: [0; READY],
            may_begin: false,
            idle_steps: 0,
        })
    }

    /// Does the call with that body, if it goes there and one of its length is ready on a connection that is open.
    /// `handed_over` runs right behind the bytes, or before the library has them where it alone can let them leave; not at
    /// all when the call is not done.
    pub(super) fn send(&mut self, path: &str, body: &str, handed_over: &mut dyn FnMut()) -> Option<Answer> {
        if path != self.heading.path {
            return None;
        }
        self.note(body.len());
        let at = self.begun.iter().position(|begun| begun.length == body.len())?;
        let mut begun = self.begun.swap_remove(at);
        let since_look_ns = self.clock.delta_as_nanos(begun.looked, self.clock.raw());
        if since_look_ns > LOOK_NS && !is_quiet(&begun.on.socket) {
            self.give_up(begun);
            return None;
        }
        // What the library does with a body ends in these bytes: they leave first, and it finds them gone.
        if !begun.on.head.is_empty() {
            begun.on.head.extend_from_slice(body.as_bytes());
            self.wire.leave(&begun.on.head, &begun.on.socket, &self.clock);
        }
        handed_over();
        begun.body.push_str(body);
        Some(self.go_on(begun, true))
    }

    /// That a call was answered: the connection that it took is free again.
    pub(super) fn answered(&mut self) {
        self.may_begin = true;
    }

    /// Begins what should be ready, and looks after what is.
    pub(super) fn idle(&mut self) {
        self.idle_steps = self.idle_steps.wrapping_add(1);
        if self.idle_steps.is_multiple_of(STEPS_A_LOOK) {
            self.look();
        }
        if self.may_begin {
            self.begin_all();
        }
    }

    /// Asks for the memory of the calls that are ready.
    pub(super) fn keep_near(&self) {
        for begun in &self.begun {
            (1..=STACK_NEAR / 64).for_each(|line| lines::fetch(begun.stack - 64 * line));
        }
    }

    fn note(&mut self, length: usize) {
        if !self.lengths.contains(&length) {
            self.lengths.rotate_right(1);
            self.lengths[0] = length;
        }
    }

    /// Gives up calls whose connection has died or is too old to be trusted.
    fn look(&mut self) {
        for at in (0..self.begun.len()).rev() {
            let begun = &mut self.begun[at];
            begun.looked = self.clock.raw();
            if begun.since.elapsed() > IDLE_MAX || !is_quiet(&begun.on.socket) {
                let begun = self.begun.swap_remove(at);
                self.give_up(begun);
            }
        }
    }

    fn begin_all(&mut self) {
        // What fails now would fail again: nothing is tried before the next answer.
        self.may_begin = false;
        for at in 0..READY {
            let length = self.lengths[at];
            if length == 0 || self.begun.iter().any(|begun| begun.length == length) {
                continue;
            }
            if self.stacks.is_empty()
                && let Some(old) = self.begun.iter().position(|begun| !self.lengths.contains(&begun.length))
            {
                let old = self.begun.swap_remove(old);
                self.give_up(old);
            }
            let Some(stack) = self.stacks.pop() else { return };
            self.begin(length, stack);
        }
    }

    fn begin(&mut self, length: usize, stack: DefaultStack) {
        let stack_at = stack.base().get();
        let (agent, uri, key) = (self.agent.clone(), self.heading.uri.clone(), self.heading.key.clone());
        let patience = self.heading.patience;
        let mut call = Call::with_stack(stack, move |waits, _| {
            let request = with_key(agent.post(uri), &key).content_type(FORM).header("content-length", length);
            // The time that counts runs from the body on.
            let config = request.config().timeout_global(None).timeout_per_write(Some(patience));
            let config = config.timeout_recv_response(Some(patience)).timeout_recv_body(Some(patience));
            config.build().send(SendBody::from_reader(&mut LateBody::Unknown(waits)))
        });
        let (state, on) = self.wire.beginning(|| call.resume(None));
        match (state, on) {
            (CoroutineResult::Yield(()), Some(mut on)) => self.begun.push(Begun {
                call: SendWrapper::new(call),
                length,
                body: String::with_capacity(BODY_BYTES),
                on: {
                    on.head.reserve(BODY_BYTES);
                    on
                },
                since: Instant::now(),
                looked: self.clock.raw(),
                stack: stack_at,
            }),
            // No connection was free.
            (CoroutineResult::Return(_), _) => self.stacks.push(call.into_stack()),
            // A body is asked for after its head: this cannot be, and must not be gone on with.
            (CoroutineResult::Yield(()), None) => {
                call.force_unwind();
                self.stacks.push(call.into_stack());
            }
        }
    }

    fn give_up(&mut self, begun: Begun) {
        let _ = self.go_on(begun, false);
    }

    /// Lets a call go on to its end, with its body or without one.
    fn go_on(&mut self, mut begun: Begun, with_body: bool) -> Answer {
        let body = with_body.then(|| std::mem::take(&mut begun.body));
        match begun.call.resume(body) {
            CoroutineResult::Return(answer) => {
                self.stacks.push(begun.call.take().into_stack());
                answer
            }
            // A body is asked for once. If it were again, nobody would know what has been sent.
            CoroutineResult::Yield(()) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        while let Some(begun) = self.begun.pop() {
            // A stack can be ended on its own thread alone; on another it is left as it is.
            if begun.call.valid() { self.give_up(begun) } else { std::mem::forget(begun) }
        }
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("begun", &self.begun.len()).finish_non_exhaustive()
    }
}

/// A body that is asked for once before it is known.
enum LateBody<'a> {
    Unknown(&'a Yielder<Option<String>, ()>),
    Known(io::Cursor<String>),
}

impl Read for LateBody<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let LateBody::Unknown(waits) = self {
            let body = waits.suspend(()).ok_or(io::ErrorKind::ConnectionAborted)?;
            *self = LateBody::Known(io::Cursor::new(body));
        }
        match self {
            LateBody::Known(body) => body.read(room),
            LateBody::Unknown(_) => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::Mutex;

    use secrecy::SecretString;

    use super::super::http::Http;
    use super::READY;
    use crate::venue::binance::rest::{Method, Reply, Request};
    use std::io::Read;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const PATH: &str = "/api/v3/order";

    /// A server that notes each thing that it reads, with the number of its connection, and answers it unless it is to be
    /// silent.
    #[derive(Clone, Default)]
    struct Server {
        seen: Arc<Mutex<Vec<(usize, String)>>>,
        sockets: Arc<Mutex<Vec<TcpStream>>>,
        is_silent: Arc<Mutex<bool>>,
    }

    impl Server {
        fn start() -> (Server, Http) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            let server = Server::default();
            let all = server.clone();
            std::thread::spawn(move || {
                for (number, socket) in listener.incoming().map_while(Result::ok).enumerate() {
                    all.sockets.lock().unwrap().push(socket.try_clone().unwrap());
                    let server = all.clone();
                    std::thread::spawn(move || server.serve(number, socket));
                }
            });
            let key: SecretString = "a-key".into();
            let (patience, spin) = (Duration::from_millis(400), Duration::from_millis(50));
            let mut http = Http::spinning(&base, Some(&key), None, patience, spin).unwrap().ahead_to(PATH);
            http.open("/ping");
            (server, http)
        }

        fn serve(self, number: usize, mut socket: TcpStream) {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = socket.read(&mut part) {
                self.seen.lock().unwrap().push((number, String::from_utf8(part[..read].to_vec()).unwrap()));
                if !*self.is_silent.lock().unwrap() {
                    let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
                }
            }
        }

        /// What came since this was asked last.
        fn seen(&self) -> Vec<(usize, String)> {
            std::mem::take(&mut self.seen.lock().unwrap())
        }
    }

    const DONE: Reply<'_> = Reply::Answer { status: 200, body: b"{}" };

    fn post(http: &mut Http, payload: &str) -> bool {
        http.send(&Request { method: Method::Post, path: PATH, payload }, &mut || ()) == DONE
    }

    fn begun(http: &Http) -> usize {
        http.ahead().map_or(0, |ahead| ahead.begun.len())
    }

    #[test]
    fn a_call_begun_ahead_sends_nothing_before_its_order_and_then_all_in_one_piece() {
        let (server, mut http) = Server::start();
        assert_eq!(
            server.seen().iter().map(|seen| seen.0).collect::<Vec<_>>(),
            [0, 1, 2],
            "connections are opened first"
        );
        assert!(post(&mut http, "side=BUY&a=1") && post(&mut http, "side=SELL&a=1"));
        assert_eq!(begun(&http), 0);
        let ordinary = server.seen();
        http.idle();
        assert_eq!((begun(&http), server.seen().len()), (READY, 0), "begun, and nothing is sent");
        for payload in ["side=BUY&a=2", "side=SELL&a=2"] {
            assert!(post(&mut http, payload));
        }
        assert_eq!(begun(&http), 0);
        let ahead = server.seen();
        assert_ne!(ahead[0].0, ahead[1].0, "each has its connection");
        for ((_, ordinary), (_, ahead)) in ordinary.iter().zip(&ahead) {
            // The same words; only the order of the headers is the library's own.
            let words = |text: &str| {
                let mut lines: Vec<String> = text.to_lowercase().lines().map(str::to_owned).collect();
                lines.sort_unstable();
                lines
            };
            assert_eq!(words(ahead), words(&ordinary.replace("a=1", "a=2")));
        }
        let [ready, written] = http.wire_times();
        assert!(ready > 0 && written >= ready);
        // And again, without another connection.
        for payload in ["side=SELL&a=3", "side=BUY&a=3"] {
            http.idle();
            assert!(post(&mut http, payload));
        }
        assert_eq!(server.sockets.lock().unwrap().len(), READY + 1);
    }

    #[test]
    fn the_order_of_a_begun_call_is_at_the_venue_when_it_is_told_to_be_on_its_way() {
        let (server, mut http) = Server::start();
        assert!(post(&mut http, "a=1"));
        http.idle();
        server.seen();
        let (began, mut seen) = (Instant::now(), Vec::new());
        let mut handed_over = || {
            // Nothing else of the call has run, and no answer is waited for.
            while seen.is_empty() && began.elapsed() < Duration::from_secs(20) {
                seen.extend(server.seen());
            }
        };
        assert_eq!(
            http.send(&Request { method: Method::Post, path: PATH, payload: "a=2" }, &mut handed_over),
            DONE,
            "answered meanwhile, and read afterwards"
        );
        assert!(matches!(&seen[..], [(_, text)] if text.ends_with("a=2")), "{seen:?}");
        assert!(server.seen().is_empty(), "nothing leaves twice");
    }

    #[test]
    fn a_begun_call_longer_than_its_socket_takes_at_once_arrives_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let mut part = vec![0; 1 << 16];
                    while let Ok(read @ 1..) = socket.read(&mut part) {
                        let mut whole = part[..read].to_vec();
                        let head = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                        let length = if whole.starts_with(b"POST") { LONG } else { 0 };
                        while whole.len() < head + length {
                            let read = socket.read(&mut part).unwrap();
                            whole.extend_from_slice(&part[..read]);
                        }
                        sender.send(whole[head..].to_vec()).unwrap();
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
                    }
                });
            }
        });
        // More than the buffers of both sockets hold: the first write takes a part of it only.
        const LONG: usize = 20 << 20;
        let (patience, spin) = (Duration::from_secs(20), Duration::ZERO);
        let mut http = Http::spinning(&base, None, None, patience, spin).unwrap().ahead_to(PATH);
        http.open("/ping");
        for (round, letter) in ["a", "b", "c"].into_iter().enumerate() {
            http.idle();
            assert_eq!(begun(&http), round.min(1));
            assert!(post(&mut http, &letter.repeat(LONG)));
            let came = requests.iter().find(|came| !came.is_empty()).unwrap();
            assert!(came.len() == LONG && came.iter().all(|byte| *byte == letter.as_bytes()[0]));
        }
    }

    #[test]
    fn a_body_of_another_length_and_another_path_go_the_ordinary_way() {
        let (server, mut http) = Server::start();
        assert!(post(&mut http, "a=1"));
        http.idle();
        assert_eq!(begun(&http), 1);
        assert!(post(&mut http, "a=100"));
        let cancel = Request { method: Method::Delete, path: PATH, payload: "a=1" };
        assert_eq!(http.send(&cancel, &mut || ()), DONE);
        assert_eq!(http.send(&Request { method: Method::Post, path: "/other", payload: "a=1" }, &mut || ()), DONE);
        assert_eq!(begun(&http), 1, "what is begun waits on");
        let seen = server.seen();
        assert!(seen[4].1.starts_with("POST") && seen[4].1.ends_with("a=100"), "{}", seen[4].1);
        assert!(seen[5].1.starts_with("DELETE /api/v3/order?a=1 ") && seen[6].1.starts_with("POST /other "));
        // A third length takes the place of the oldest.
        http.idle();
        assert!(begun(&http) == READY && post(&mut http, "a=10000"));
        http.idle();
        assert_eq!(begun(&http), READY);
        assert!(post(&mut http, "a=20000") && server.seen().iter().all(|seen| seen.1.starts_with("POST ")));
    }

    #[test]
    fn a_call_whose_connection_died_is_given_up_and_the_order_goes_another_way() {
        for looks in [false, true] {
            let (server, mut http) = Server::start();
            assert!(post(&mut http, "a=1"));
            http.idle();
            assert_eq!(begun(&http), 1);
            server.seen();
            for socket in server.sockets.lock().unwrap().iter() {
                socket.shutdown(Shutdown::Both).unwrap();
            }
            // A look that is older than this is not relied on.
            std::thread::sleep(Duration::from_millis(5));
            if looks {
                (0..super::STEPS_A_LOOK).for_each(|_| http.idle());
                assert_eq!(begun(&http), 0, "found while there was time");
            }
            assert!(post(&mut http, "a=2"), "on a new connection");
            let seen = server.seen();
            assert!(seen.len() == 1 && seen[0].0 == READY + 1 && seen[0].1.ends_with("a=2"), "{seen:?}");
            http.idle();
            assert!(begun(&http) == 1 && post(&mut http, "a=3"));
        }
    }

    #[test]
    fn nothing_is_begun_without_a_free_connection_and_none_is_made_for_it() {
        let (server, mut http) = Server::start();
        assert!(post(&mut http, "a=1"));
        for socket in server.sockets.lock().unwrap().iter() {
            socket.shutdown(Shutdown::Both).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
        (0..10).for_each(|_| http.idle());
        assert_eq!((begun(&http), server.sockets.lock().unwrap().len()), (0, READY + 1));
    }

    #[test]
    fn silence_after_an_order_that_was_begun_ahead_is_a_loss_in_time() {
        let (server, mut http) = Server::start();
        assert!(post(&mut http, "a=1"));
        http.idle();
        *server.is_silent.lock().unwrap() = true;
        // Time that passes before the order is not its own.
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        assert_eq!(http.send(&Request { method: Method::Post, path: PATH, payload: "a=2" }, &mut || ()), Reply::Lost);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(390) && took < Duration::from_secs(4), "{took:?}");
        assert_eq!(server.seen().iter().filter(|seen| seen.1.ends_with("a=2")).count(), 1, "sent once");
        drop(http);
    }
}
