//! The snapshot tile: REST depth for books that have to join their stream. Cold.
//!
//! Each request is a short-lived thread with a client of its own, so that a slow answer for one book delays no other.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, PushError};
use tracing::warn;

use super::Tile;
use super::fate::Fate;
use super::message::SnapshotRequest;
use crate::gateway::{Http, Limiter, VenueClock, wall_now};
use crate::metrics::{Board, Count, Gauge};
use crate::topology::tile;
use crate::types::{DEPTH_LEVELS_MAX, Instrument, TimestampNs};
use crate::venue::binance::decode::decode_snapshot;
use crate::venue::binance::public::PublicRest;
use crate::venue::binance::rest::Reply;
use crate::wire::DepthBuf;

/// Requests that may be under way at once.
pub const AT_ONCE: usize = 4;
/// Levels a side: 1000 cost a fifth of the weight of 5000 and reach 1 % and more from the touch of any liquid symbol.
const SNAPSHOT_LEVELS: usize = 1000;
/// An answer that takes longer is counted and told: until it comes, a book does not live.
const LATE: Duration = Duration::from_millis(300);
/// Answers that the percentile is of: some minutes of a venue in trouble.
const RECENT: usize = 100;

/// What a request ends with: its buffer, how long it took and whether the buffer holds a snapshot.
struct Answer {
    depth: Box<DepthBuf>,
    took: Duration,
    is_whole: bool,
    symbol: Instrument,
}

/// A client, kept here while a request has it: a thread that never starts takes no client with it.
type Client = Arc<Mutex<Http>>;
/// One request, to be run once, on a thread of its own.
type Request = Box<dyn FnOnce() -> Answer + Send>;

/// See the module.
pub struct SnapshotTile {
    requests: Consumer<SnapshotRequest>,
    feed: Producer<Box<DepthBuf>>,
    returns: Consumer<Box<DepthBuf>>,
    clients: Vec<Client>,
    under_way: Vec<(JoinHandle<Answer>, Client)>,
    spawn: fn(Request) -> io::Result<JoinHandle<Answer>>,
    public: PublicRest,
    instruments: Vec<Instrument>,
    limiter: Limiter,
    clock: VenueClock,
    held: Option<Box<DepthBuf>>,
    /// How long the last answers took, oldest first.
    recent: VecDeque<Duration>,
    board: Arc<Board>,
    fate: Arc<Fate>,
}

impl SnapshotTile {
    /// A tile before its first request; as many requests as there are `clients` may be under way at once.
    #[allow(clippy::too_many_arguments, reason = "each is one end of a link or a shared part, named where it is made")]
    pub fn new(
        requests: Consumer<SnapshotRequest>,
        feed: Producer<Box<DepthBuf>>,
        returns: Consumer<Box<DepthBuf>>,
        clients: Vec<Http>,
        instruments: &[Instrument],
        public: PublicRest,
        limiter: Limiter,
        clock: VenueClock,
        board: Arc<Board>,
        fate: Arc<Fate>,
    ) -> SnapshotTile {
        let (instruments, under_way) = (instruments.to_vec(), Vec::with_capacity(clients.len()));
        SnapshotTile {
            requests,
            feed,
            returns,
            clients: clients.into_iter().map(|http| Arc::new(Mutex::new(http))).collect(),
            under_way,
            spawn: |request| std::thread::Builder::new().name("depth_request".to_owned()).spawn(request),
            public,
            instruments,
            limiter,
            clock,
            held: None,
            recent: VecDeque::with_capacity(RECENT),
            board,
            fate,
        }
    }

    /// Asks the next question, if there is one and somebody to ask it.
    fn ask(&mut self) -> usize {
        if self.clients.is_empty() {
            return 0;
        }
        let Ok(id) = self.requests.pop() else { return 0 };
        let Some(client) = self.clients.pop() else { return 0 };
        let symbol = self.instruments[id.index()];
        let venue_now = TimestampNs::from_millis(self.clock.venue_millis(wall_now()));
        self.limiter.spend(venue_now, self.public.depth_weight);
        let depth = self.returns.pop().unwrap_or_else(|_| Box::new(DepthBuf::with_capacity(DEPTH_LEVELS_MAX / 2)));
        let (http, path) = (Arc::clone(&client), self.public.depth);
        match (self.spawn)(Box::new(move || {
            fetch(&mut http.lock().unwrap_or_else(PoisonError::into_inner), path, symbol, depth)
        })) {
            Ok(asked) => self.under_way.push((asked, client)),
            // The book asks again after its own back-off.
            Err(error) => {
                warn!(symbol = symbol.symbol(), %error, "no thread for a snapshot");
                self.clients.push(client);
            }
        }
        1
    }

    fn measure(&mut self, took: Duration) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
        let ns = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        self.board.set(Gauge::DepthRoundTripNs, ns(took));
        self.board.set(Gauge::DepthRoundTripP99Ns, ns(p99(&self.recent)));
    }

    /// Takes an answer that has come, if any has.
    fn take_answer(&mut self) -> usize {
        let Some(at) = self.under_way.iter().position(|(asked, _)| asked.is_finished()) else { return 0 };
        let (asked, client) = self.under_way.swap_remove(at);
        // A panic in there is a bug like one in here.
        let answer = asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.clients.push(client);
        self.measure(answer.took);
        if answer.took > LATE {
            self.board.bump(Count::SnapshotsLate, 1);
            warn!(symbol = answer.symbol.symbol(), took = ?answer.took, "the snapshot was slow");
        }
        if answer.is_whole {
            self.held = Some(answer.depth);
        }
        1
    }
}

/// The value that 99 of 100 do not exceed, by the nearest rank.
fn p99(all: &VecDeque<Duration>) -> Duration {
    let mut sorted: Vec<Duration> = all.iter().copied().collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * 99).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// One request, on a thread of its own.
fn fetch(http: &mut Http, path: &str, symbol: Instrument, mut depth: Box<DepthBuf>) -> Answer {
    let query = format!("{path}?symbol={}&limit={SNAPSHOT_LEVELS}", symbol.symbol());
    let began = Instant::now();
    let is_whole = match http.get(&query) {
        Reply::Answer { status: 200, body } => match decode_snapshot(body, &symbol, wall_now(), &mut depth) {
            Ok(()) => true,
            Err(error) => {
                warn!(symbol = symbol.symbol(), %error, "the snapshot cannot be read");
                false
            }
        },
        Reply::Answer { status, .. } => {
            warn!(symbol = symbol.symbol(), status, "the snapshot was refused");
            false
        }
        Reply::NotSent | Reply::Lost => {
            warn!(symbol = symbol.symbol(), why = http.failure(), "no snapshot");
            false
        }
    };
    Answer { depth, took: began.elapsed(), is_whole, symbol }
}

impl Tile for SnapshotTile {
    fn name(&self) -> &'static str {
        tile::SNAPSHOT
    }

    fn step(&mut self) -> usize {
        if let Some(depth) = self.held.take()
            && let Err(PushError::Full(depth)) = self.feed.push(depth)
        {
            self.held = Some(depth);
            return 0;
        }
        self.take_answer() + self.ask()
    }

    fn nap(&self) -> Duration {
        // Requests ring; answers do not.
        Duration::from_millis(if self.under_way.is_empty() && self.held.is_none() { 100 } else { 2 })
    }

    fn is_done(&self) -> bool {
        self.fate.must_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use rtrb::RingBuffer;

    use crate::types::InstrumentId;
    use crate::venue::binance::rest::RateLimits;

    #[test]
    fn one_slow_answer_in_a_hundred_is_no_percentile_and_two_are() {
        let (quick, slow) = (Duration::from_millis(20), Duration::from_secs(1));
        let mut all: VecDeque<Duration> = std::iter::repeat_n(quick, RECENT).collect();
        assert_eq!((p99(&VecDeque::new()), p99(&all)), (Duration::ZERO, quick));
        all[17] = slow;
        assert_eq!(p99(&all), quick);
        all[80] = slow;
        assert_eq!(p99(&all), slow);
        assert_eq!(p99(&VecDeque::from([quick, slow])), slow);
    }

    #[test]
    fn a_slow_answer_for_one_book_delays_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let mut slow = None;
            for socket in listener.incoming().take(3) {
                let mut socket = socket.unwrap();
                let mut request = [0; 1024];
                let count = socket.read(&mut request).unwrap();
                let text = String::from_utf8_lossy(&request[..count]).into_owned();
                let answer = |mut socket: std::net::TcpStream, id: u32| {
                    let body = format!(r#"{{"lastUpdateId":{id},"bids":[["5.00","1"]],"asks":[["6.00","1"]]}}"#);
                    let head =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                    socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
                };
                if text.contains("BTCUSDT") {
                    slow = Some(socket)
                } else {
                    answer(socket, 7)
                }
                if slow.is_some() && released.try_recv().is_ok() {
                    answer(slow.take().unwrap(), 8);
                    return;
                }
            }
        });
        let instruments = [Instrument::btcusdt(), {
            let mut other = Instrument::btcusdt();
            other.id = InstrumentId(1);
            other.spec.symbol = crate::types::Symbol::new("ETHUSDT").unwrap();
            other
        }];
        let (mut requests, asked) = RingBuffer::new(8);
        let (feed, mut answers) = RingBuffer::new(8);
        let (_, returns) = RingBuffer::new(8);
        let clients = (0..2).map(|_| Http::new(&base, None, None, Duration::from_secs(20)).unwrap()).collect();
        let limits = RateLimits { weight_per_minute: 6000, orders_per_10s: 100, orders_per_day: 1000 };
        let board = Arc::new(Board::new(&[], &[]));
        let (clock, fate) = (VenueClock::default(), Arc::new(Fate::default()));
        let limiter = Limiter::new(limits);
        let mut tile = SnapshotTile::new(
            asked,
            feed,
            returns,
            clients,
            &instruments,
            PublicRest::SPOT,
            limiter,
            clock,
            Arc::clone(&board),
            fate,
        );
        let mut next = |tile: &mut SnapshotTile| {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                tile.step();
                match answers.pop() {
                    Ok(depth) => return depth.head.last_id,
                    Err(_) => assert!(Instant::now() < deadline, "no answer"),
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        // More requests than there are clients get no thread. They cost nothing but themselves.
        let spawn = std::mem::replace(&mut tile.spawn, |_| Err(io::Error::other("no thread")));
        for _ in 0..5 {
            requests.push(InstrumentId(0)).unwrap();
            tile.step();
        }
        tile.spawn = spawn;
        requests.push(InstrumentId(0)).unwrap();
        requests.push(InstrumentId(1)).unwrap();
        assert_eq!(next(&mut tile), 7, "the other book's came first");
        assert!(board.gauge(Gauge::DepthRoundTripNs) > 0);
        // The slow one is longer under way than an answer may be; one more request lets the server go on.
        std::thread::sleep(LATE);
        release.send(()).unwrap();
        requests.push(InstrumentId(1)).unwrap();
        let mut rest = [next(&mut tile), next(&mut tile)];
        rest.sort_unstable();
        assert_eq!(rest, [7, 8]);
        assert_eq!(board.count(Count::SnapshotsLate), 1);
        assert!(Duration::from_nanos(board.gauge(Gauge::DepthRoundTripP99Ns) as u64) > LATE, "one of so few is slow");
        server.join().unwrap();
    }
}
