//! A hostile peer: bytes into the connection, whole or broken, in pieces of any length, with any end.
//!
//! Whatever comes, the connection says what it is: each message that was complete before the first wrong byte arrives, in
//! its order and unchanged; the end is a loss with its reason; and it never holds more than the largest message allowed.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::mutation::{Random, for_each_input, mutate};
use quanta::Clock;
use rustls::ClientConfig;
use touchline::feed::{Connection, Event, Loss, client_config};
use tungstenite::handshake::derive_accept_key;

/// Knows how many bytes are held, and how many were at most.
struct MeasuringAllocator;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn took(size: usize) {
    let held = HELD.fetch_add(size, Ordering::Relaxed) + size;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is handed to the system allocator unchanged; counting touches atomics alone.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for MeasuringAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as for `alloc`.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `ptr` came from the system allocator, because every allocation here does.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: MeasuringAllocator = MeasuringAllocator;

/// What is held belongs to the process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The largest message that a connection takes.
const CAP: usize = 16 << 20;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A message as it must arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        len @ ..126 => out.push(len as u8),
        len @ ..=0xFFFF => {
            out.push(126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(payload);
}

/// What a peer sends after the handshake, and where each message of it ends.
#[derive(Default)]
struct Talk {
    bytes: Vec<u8>,
    messages: Vec<(usize, Told)>,
}

impl Talk {
    fn message(&mut self, opcode: u8, payload: &[u8], pieces: usize) {
        let len = payload.len().div_ceil(pieces).max(1);
        let count = payload.len().div_ceil(len).max(1);
        for (at, piece) in payload.chunks(len).chain(payload.is_empty().then_some(&[][..])).enumerate() {
            let (opcode, fin) = (if at == 0 { opcode } else { 0 }, if at + 1 == count { 0x80 } else { 0 });
            frame(&mut self.bytes, fin | opcode, piece);
            // Control frames may stand between the pieces of a message.
            if fin == 0 && at == 1 {
                frame(&mut self.bytes, 0x80 | PING, b"between");
            }
        }
        let told = if opcode == TEXT { Told::Text(payload.to_vec()) } else { Told::Binary(payload.to_vec()) };
        self.messages.push((self.bytes.len(), told));
    }

    fn control(&mut self, opcode: u8, payload: &[u8]) {
        frame(&mut self.bytes, 0x80 | opcode, payload);
    }
}

const DEPTH: &[u8] = br#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1784102400123,"s":"BTCUSDT","U":71200101,"u":71200118,"b":[["61250.10000000","0.00100000"]],"a":[["61250.11000000","1.00000000"]]}}"#;

fn talk(random: &mut Random) -> Talk {
    let mut talk = Talk::default();
    for _ in 0..=random.below(6) {
        let mut payload = DEPTH.repeat(1 + random.below(3));
        match random.below(12) {
            0..5 => talk.message(TEXT, &payload, 1),
            5 => talk.message(TEXT, &payload, 2 + random.below(5)),
            6 => {
                payload.resize(*random.one_of(&[0, 1, 125, 126, 127, 65_535, 65_536]), b' ');
                talk.message(TEXT, &payload, 1 + random.below(2));
            }
            7 | 8 => talk.message(BINARY, &(0..=255).cycle().take(random.below(900)).collect::<Vec<u8>>(), 1),
            9 => talk.control(PING, &payload[..random.below(126)]),
            10 => talk.control(PONG, b""),
            _ => talk.message(BINARY, &[], 1 + random.below(2)),
        }
    }
    if random.one_in(4) {
        talk.control(CLOSE, random.one_of::<&[u8]>(&[b"", &[3, 232], b"\x03\xe9bye"]));
    }
    talk
}

/// Bytes that mean something between frames.
const WORDS: [&[u8]; 22] = [
    &[0x81, 0x00],
    &[0x01, 0x01, b'a'],
    &[0x00, 0x01, b'b'],
    &[0x80, 0x01, b'c'],
    &[0x82, 0x7E, 0x00, 0x05],
    &[0x81, 0x7E],
    &[0x81, 0x7F, 0, 0, 0, 0, 0, 0, 0, 2],
    &[0x81, 0x7F, 0, 0, 0, 0, 1, 0, 0, 1],
    &[0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    &[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    &[0x81, 0x82, 1, 2, 3, 4, b'a', b'b'],
    &[0x83, 0x00],
    &[0x8B, 0x00],
    &[0xC1, 0x00],
    &[0x89, 0x7E, 0x00, 0x80],
    &[0x09, 0x00],
    &[0x88, 0x00],
    &[0x88, 0x01, 0x03],
    &[0x88, 0x02, 0x00, 0x00],
    &[0x88, 0x04, 0x03, 0xE8, 0xFF, 0xFE],
    &[0xFF],
    &[0xC3, 0x28],
];

/// A server's end, stepped in turn with the connection in one thread, so that a seed gives the same pieces each time.
struct Peer {
    listener: TcpListener,
    tls: Arc<ClientConfig>,
    clock: Clock,
}

impl Peer {
    fn new() -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Peer { listener, tls: client_config(None).unwrap(), clock: Clock::new() }
    }

    /// A connection that has asked for the handshake, the server's socket, and the right answer.
    fn meet(&self) -> (Connection, TcpStream, Vec<u8>) {
        let url = format!("ws://{}/stream", self.listener.local_addr().unwrap());
        let silence = Duration::from_secs(60);
        let mut client = Connection::new(&url, Arc::clone(&self.tls), self.clock.clone(), silence, 1).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let waited = || assert!(Instant::now() < deadline, "no connection on this machine");
        let mut socket = loop {
            assert!(!matches!(client.poll(), Event::Lost(_)), "the connection was lost before it was answered");
            match self.listener.accept() {
                Ok((socket, _)) => break socket,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            waited();
        };
        socket.set_nonblocking(true).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            client.poll();
            let mut bytes = [0; 1024];
            if let Ok(count) = socket.read(&mut bytes) {
                request.extend_from_slice(&bytes[..count]);
            }
            waited();
        }
        let request = String::from_utf8(request).unwrap();
        let header = |line: &str| line.to_ascii_lowercase().starts_with("sec-websocket-key:");
        let key = request.lines().find(|line| header(line)).and_then(|line| line.split_once(": ")).unwrap().1;
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        (client, socket, answer.into_bytes())
    }
}

/// What a connection has said so far.
#[derive(Default)]
struct Heard {
    is_open: bool,
    messages: Vec<Told>,
    loss: Option<Loss>,
}

impl Heard {
    /// Polls until there is nothing more at the moment.
    fn listen(&mut self, client: &mut Connection) {
        while self.loss.is_none() {
            match client.poll() {
                Event::Idle => return,
                Event::Progress => {}
                Event::Opened => self.is_open = true,
                Event::Text { text, .. } => self.messages.push(Told::Text(client.bytes(&text).to_vec())),
                Event::Binary { frame, .. } => self.messages.push(Told::Binary(client.bytes(&frame).to_vec())),
                Event::Lost(loss) => self.loss = Some(loss),
            }
        }
    }
}

/// Sends in pieces of at most `piece` bytes, each read before the next, until all is said or the other has hung up.
fn send(mut bytes: &[u8], piece: usize, random: &mut Random, socket: &mut TcpStream, hear: &mut impl FnMut() -> bool) {
    while !bytes.is_empty() {
        let len = (1 + random.below(piece)).min(bytes.len());
        match socket.write(&bytes[..len]) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        if !hear() {
            return;
        }
    }
}

#[test]
fn whatever_a_peer_says_is_told_or_is_a_loss() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let peer = Peer::new();
    let (mut whole, mut cut, mut messages) = (0_u64, 0_u64, 0_u64);
    let inputs = for_each_input(|random| {
        let talk = talk(random);
        let (mut client, mut socket, answer) = peer.meet();
        let answered = answer.len();
        let said = [&answer[..], &talk.bytes].concat();
        let mut broken = said.clone();
        match random.below(8) {
            0 | 1 => {}
            // A handshake that is wrong, or ends too early.
            2 => mutate(&mut broken, &[b"\r\n", b"HTTP/1.1 403 Forbidden\r\n", b": ", b"\0"], random),
            _ => {
                let mut frames = broken.split_off(answered);
                mutate(&mut frames, &WORDS, random);
                broken.extend(frames);
            }
        }
        let right = said.iter().zip(&broken).take_while(|(one, other)| one == other).count();
        let complete = talk.messages.iter().take_while(|(end, _)| answered + end <= right);
        let want: Vec<Told> = complete.map(|(_, told)| told.clone()).collect();

        let held = HELD.load(Ordering::Relaxed);
        MOST.store(held, Ordering::Relaxed);
        let mut heard = Heard::default();
        // Some hundred pieces at most, or one talk would take the time of many.
        let piece = *random.one_of(&[7, 100, 1_500, 1 << 20]).max(&(broken.len() / 200));
        send(&broken, piece, random, &mut socket, &mut || {
            heard.listen(&mut client);
            heard.loss.is_none()
        });
        // The end: a FIN, or a reset that may take back what was not read yet.
        let is_reset = random.one_in(8);
        if is_reset {
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
            drop(socket);
        } else {
            let _ = socket.shutdown(Shutdown::Write);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while heard.loss.is_none() {
            heard.listen(&mut client);
            assert!(Instant::now() < deadline, "no end after {broken:?}");
        }
        let most = MOST.load(Ordering::Relaxed) - held;
        // The message, and its bytes in the buffer that it is read from.
        assert!(most <= 2 * CAP + (1 << 20), "{most} bytes held for {broken:?}");
        assert!(
            heard.messages.starts_with(&want) || is_reset && want.starts_with(&heard.messages),
            "{:?} of {want:?} from {broken:?}",
            heard.messages
        );
        if said == broken && !is_reset {
            assert!(heard.is_open && heard.messages == want, "{:?} of {want:?}", heard.messages);
            whole += 1;
        } else {
            cut += 1;
        }
        messages += heard.messages.len() as u64;
    });
    println!("{inputs} peers: {whole} said all, {cut} broke something, {messages} messages told");
    assert!(whole > inputs / 16 && messages > inputs, "{whole} of {inputs}, {messages}");
}

/// What a connection says of those frames, and how many bytes it held for them at most.
fn hear(bytes: &[u8]) -> (Heard, usize) {
    let (mut client, mut socket, answer) = Peer::new().meet();
    let held = HELD.load(Ordering::Relaxed);
    MOST.store(held, Ordering::Relaxed);
    let mut heard = Heard::default();
    let mut random = Random(1);
    for bytes in [&answer, bytes] {
        send(bytes, 1 << 20, &mut random, &mut socket, &mut || {
            heard.listen(&mut client);
            heard.loss.is_none()
        });
    }
    let _ = socket.shutdown(Shutdown::Write);
    let deadline = Instant::now() + Duration::from_secs(20);
    while heard.loss.is_none() {
        heard.listen(&mut client);
        assert!(Instant::now() < deadline, "no end");
    }
    (heard, MOST.load(Ordering::Relaxed) - held)
}

#[test]
fn a_message_beyond_the_cap_is_refused_before_memory_is_taken_for_it() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for claimed in [CAP as u64 + 1, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
        let mut bytes = vec![0x80 | BINARY, 127];
        bytes.extend(claimed.to_be_bytes());
        bytes.extend([0; 100]);
        let (heard, most) = hear(&bytes);
        assert!(heard.is_open && heard.messages.is_empty(), "{claimed}");
        assert!(matches!(heard.loss, Some(Loss::Protocol(_))), "{claimed}: {:?}", heard.loss);
        assert!(most < 1 << 20, "{claimed}: {most} bytes held");
    }
    // Pieces, each of which is small enough.
    let mut bytes = Vec::new();
    let piece = vec![b'x'; 1 << 20];
    for at in 0..17 {
        frame(&mut bytes, if at == 0 { TEXT } else { 0 }, &piece);
    }
    let (heard, most) = hear(&bytes);
    assert!(heard.messages.is_empty() && matches!(heard.loss, Some(Loss::Protocol(_))), "{:?}", heard.loss);
    assert!(most <= 2 * CAP + (1 << 20), "{most} bytes held");
}

#[test]
fn a_message_of_the_cap_arrives() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut bytes = Vec::new();
    let payload = vec![7; CAP];
    frame(&mut bytes, 0x80 | BINARY, &payload);
    let (heard, most) = hear(&bytes);
    assert!(heard.messages == [Told::Binary(payload)], "{:?}", heard.loss);
    // With the copy that this test keeps.
    assert!(most <= 3 * CAP + (1 << 20), "{most} bytes held");
}
