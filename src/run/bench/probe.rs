//! The probe: a venue that does next to nothing but look at its clock.
//!
//! It sends ticks at times that were fixed beforehand, whatever has been answered, and notes when it has read the first
//! order that was priced off each. A latency runs from the *intended* time of a tick, so that a probe that was itself
//! late, or a maker that has fallen behind, cannot make a figure better. It answers what a maker needs to trade and
//! keeps no order: the venue's own work stays out of the figures. One thread, never blocking, spinning on its core.

#[cfg(test)]
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use quanta::Clock;

use super::hiccup::{GAP_NS, Gap};
use super::inbox::{Got, Inbox, decimal_e8, put_frame, put_text_frame, value_after};
use super::market::{HALF_SPREAD_E8, LEVEL_E8, Market, SYMBOL};
use super::replies;
use crate::gateway::wall_now;

/// Which order answers a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Any order, in turn: the echo looks at no price.
    InTurn,
    /// The first one whose price is that of the tick's mid.
    ByPrice,
}

/// How far an order may lie from its price: two mids are two levels apart at least.
const TOLERANCE_E8: i64 = LEVEL_E8 - 1;
/// Ticks at the end of a run that are waited for.
const LAST: usize = 64;
/// How long the last ticks are waited for.
const GRACE: Duration = Duration::from_millis(300);
/// The listener's token; peers count from zero.
const LISTENER: Token = Token(usize::MAX);

/// What one run of ticks at one rate came to. Times are raw counters.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Intended time of each tick and when its first order had been read; the latter is zero when none came.
    pub ticks: Vec<(u64, u64)>,
    /// How late each tick left, in nanoseconds.
    pub late_ns: Vec<u64>,
    /// When the probe itself was away.
    pub gaps: Vec<Gap>,
}

impl Run {
    /// Ticks that no order answered.
    pub fn unanswered(&self) -> usize {
        self.ticks.iter().filter(|tick| tick.1 == 0).count()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// HTTP until it asks for more.
    Rest,
    /// Takes ticks.
    Market,
    /// The WebSocket API: user data and orders.
    Api,
}

struct Peer {
    socket: TcpStream,
    inbox: Inbox,
    role: Role,
}

#[derive(Clone, Copy)]
struct Tick {
    mid_e8: i64,
    intended: u64,
    answered: u64,
}

/// See the module.
pub struct Probe {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    port: u16,
    peers: Vec<Option<Peer>>,
    market: Market,
    frame: Vec<u8>,
    out: Vec<u8>,
    clock: Clock,
    ticks: Vec<Tick>,
    answers: Answers,
    /// Behind the tick that the last order of each side answered: a maker's orders come in the order of the ticks.
    next: [usize; 2],
    orders: u64,
    gaps: Vec<Gap>,
    looked: u64,
    was_idle: bool,
    /// The newest order requests as they came.
    #[cfg(test)]
    seen: VecDeque<Vec<u8>>,
}

impl Probe {
    /// A probe on a free port of 127.0.0.1, whose market depends on `seed` alone.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn new(seed: u64, answers: Answers) -> io::Result<Probe> {
        let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(io::Error::other)?)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut probe = Probe {
            port: listener.local_addr()?.port(),
            poll,
            events: Events::with_capacity(64),
            listener,
            peers: Vec::new(),
            market: Market::new(seed),
            frame: Vec::with_capacity(4096),
            out: Vec::with_capacity(64 * 1024),
            clock: Clock::new(),
            ticks: Vec::new(),
            answers,
            next: [0; 2],
            orders: 0,
            gaps: Vec::new(),
            looked: 0,
            was_idle: false,
            #[cfg(test)]
            seen: VecDeque::new(),
        };
        probe.prepare(0);
        Ok(probe)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The newest order requests, oldest first, 64 at most.
    #[cfg(test)]
    pub fn seen(&self) -> impl Iterator<Item = &[u8]> {
        self.seen.iter().map(Vec::as_slice)
    }

    /// Nanoseconds between two raw counters.
    pub fn ns(&self, from: u64, to: u64) -> u64 {
        self.clock.delta_as_nanos(from, to)
    }

    /// Serves until `over` says so; it is asked each millisecond.
    ///
    /// # Errors
    /// When the system's poll fails.
    pub fn serve(&mut self, mut over: impl FnMut() -> bool) -> io::Result<()> {
        loop {
            self.serve_a_while()?;
            if over() {
                return Ok(());
            }
        }
    }

    fn serve_a_while(&mut self) -> io::Result<()> {
        let until = self.after(Duration::from_millis(1));
        while self.clock.raw() < until {
            self.step()?;
        }
        Ok(())
    }

    /// Ticks 50 times a second, once somebody listens, until `wanted` ticks in a row were answered. Returns whether that
    /// came to be in time. `gone` says that nobody will answer any more; until somebody listens it is asked each
    /// millisecond.
    ///
    /// # Errors
    /// When the system's poll fails.
    pub fn warm_up(&mut self, wanted: usize, limit: Duration, mut gone: impl FnMut() -> bool) -> io::Result<bool> {
        let end = self.after(limit);
        while self.clock.raw() < end && !gone() {
            if !self.has_market() {
                self.serve_a_while()?;
            } else if self.run(50, wanted)?.unanswered() == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends `count` ticks, `rate` a second, each up to a tenth of the pause early or late, and waits for the last.
    ///
    /// # Errors
    /// When the system's poll fails.
    pub fn run(&mut self, rate: u32, count: usize) -> io::Result<Run> {
        let pause = self.counts(Duration::from_secs(1)) / u64::from(rate.max(1));
        self.ticks.clear();
        self.next = [0; 2];
        self.gaps.clear();
        let mut late_ns = Vec::with_capacity(count);
        let began = self.clock.raw() + pause;
        self.looked = self.clock.raw();
        for index in 0..count as u64 {
            // The jitter keeps the ticks from falling in with anything periodic.
            let jitter = (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % (pause / 5).max(1);
            let intended = began + index * pause + jitter;
            while self.clock.raw() < intended {
                self.step()?;
            }
            self.look();
            self.ticks.push(Tick { mid_e8: self.market.mid_e8(), intended, answered: 0 });
            late_ns.push(self.ns(intended, self.clock.raw()));
            self.send_tick();
            self.looked = self.clock.raw();
            // The order is waited for at once: the next frame is made when nobody waits, and is no pause of the machine.
            let rest = intended + pause / 2;
            while self.clock.raw() < rest {
                self.step()?;
            }
            self.prepare(pause / 2);
            self.looked = self.clock.raw();
        }
        let end = self.after(GRACE);
        while self.clock.raw() < end && self.ticks.iter().rev().take(LAST).any(|tick| tick.answered == 0) {
            self.step()?;
        }
        Ok(Run {
            ticks: self.ticks.iter().map(|tick| (tick.intended, tick.answered)).collect(),
            late_ns,
            gaps: std::mem::take(&mut self.gaps),
        })
    }

    /// Ends every market-data connection, which ends the baselines.
    pub fn hang_up(&mut self) {
        for peer in &mut self.peers {
            if peer.as_ref().is_some_and(|peer| peer.role == Role::Market) {
                *peer = None;
            }
        }
    }

    fn has_market(&self) -> bool {
        self.peers.iter().flatten().any(|peer| peer.role == Role::Market)
    }

    fn counts(&self, span: Duration) -> u64 {
        // How many counts a nanosecond has is the clock's own business: asked the other way round.
        (span.as_nanos() as f64 / self.clock.delta_as_nanos(0, 1 << 40) as f64 * (1_u64 << 40) as f64) as u64
    }

    fn after(&self, span: Duration) -> u64 {
        self.clock.raw() + self.counts(span)
    }

    /// Makes the next tick's frame, long before it is due.
    fn prepare(&mut self, pause: u64) {
        let due_ms = wall_now().millis() + self.ns(0, pause) / 1_000_000;
        self.frame.clear();
        let text = self.market.tick(due_ms);
        put_text_frame(text.as_bytes(), &mut self.frame);
    }

    fn send_tick(&mut self) {
        for index in 0..self.peers.len() {
            let Some(peer) = &mut self.peers[index] else { continue };
            if peer.role == Role::Market && peer.socket.write_all(&self.frame).is_err() {
                self.peers[index] = None;
            }
        }
    }

    /// Notes a pause since the last look, if nothing was done in it.
    fn look(&mut self) {
        let now = self.clock.raw();
        if self.was_idle && self.ns(self.looked, now) >= GAP_NS {
            self.gaps.push((self.looked, now));
        }
        self.looked = now;
    }

    fn step(&mut self) -> io::Result<()> {
        self.look();
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut ready = [LISTENER; 64];
        let mut count = 0;
        for event in &self.events {
            ready[count] = event.token();
            count += 1;
        }
        self.was_idle = count == 0;
        for token in &ready[..count] {
            if *token == LISTENER { self.accept()? } else { self.serve_peer(token.0) }
        }
        if !self.was_idle {
            self.looked = self.clock.raw();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((mut socket, _)) = self.listener.accept() {
            let index = self.peers.iter().position(Option::is_none).unwrap_or(self.peers.len());
            let _ = socket.set_nodelay(true);
            self.poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            let peer = Some(Peer { socket, inbox: Inbox::default(), role: Role::Rest });
            if index == self.peers.len() { self.peers.push(peer) } else { self.peers[index] = peer }
        }
        Ok(())
    }

    /// Reads one peer until it has no more, answering what is whole.
    fn serve_peer(&mut self, index: usize) {
        loop {
            let Some(peer) = self.peers.get_mut(index).and_then(Option::as_mut) else { return };
            match peer.inbox.fill(&mut peer.socket) {
                Ok(Got::Bytes) => {}
                Ok(Got::Nothing) => return,
                Ok(Got::End) | Err(_) => {
                    self.peers[index] = None;
                    return;
                }
            }
            let read = self.clock.raw();
            if !self.answer(index, read) {
                self.peers[index] = None;
                return;
            }
        }
    }

    /// Answers everything whole that a peer has sent. `false` ends the connection.
    fn answer(&mut self, index: usize, read: u64) -> bool {
        loop {
            let Some(peer) = &mut self.peers[index] else { return true };
            self.out.clear();
            // Taken out for as long as it is read from; the socket and the clock are needed beside it.
            let mut inbox = std::mem::take(&mut peer.inbox);
            let role = peer.role;
            let (served, role) = match role {
                Role::Rest => self.answer_http(&mut inbox, read),
                Role::Market | Role::Api => (self.answer_frame(&mut inbox, read), role),
            };
            let Some(peer) = &mut self.peers[index] else { return true };
            (peer.inbox, peer.role) = (inbox, role);
            match served {
                None => return true,
                Some(false) => return false,
                Some(true) if peer.socket.write_all(&self.out).is_err() => return false,
                Some(true) => {}
            }
        }
    }

    fn answer_http(&mut self, inbox: &mut Inbox, read: u64) -> (Option<bool>, Role) {
        let Some(message) = inbox.message() else { return (None, Role::Rest) };
        let (head, body) = (inbox.bytes(&message.head), inbox.bytes(&message.body));
        let mut words = head.split(|byte| *byte == b' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        if let Some(key) = replies::socket_key(head) {
            replies::upgrade(&key, &mut self.out);
            return (Some(true), if path.starts_with(b"/ws-api") { Role::Api } else { Role::Market });
        }
        if (method, path) == (b"POST", b"/api/v3/order") {
            self.on_order(body, b"price=", b"side=", read);
            self.orders += 1;
            #[cfg(test)]
            self.remember(body);
            let name = value_after(body, b"newClientOrderId=").unwrap_or_default();
            replies::http(200, &replies::placed(self.orders, name, wall_now().millis()), &mut self.out);
        } else {
            let (status, text) = self.other_answer(method, path, target);
            replies::http(status, &text, &mut self.out);
        }
        (Some(true), Role::Rest)
    }

    fn other_answer(&mut self, method: &[u8], path: &[u8], target: &[u8]) -> (u16, String) {
        let now_ms = wall_now().millis();
        let text = match (method, path) {
            (b"DELETE", b"/api/v3/order") => replies::cancelled(target, now_ms),
            // It holds the tick that is prepared already: a book made from it waits for the one after.
            (b"GET", b"/api/v3/depth") => self.market.snapshot(),
            (b"GET", b"/api/v3/exchangeInfo") => replies::exchange_info(SYMBOL),
            (b"GET", b"/api/v3/time") => format!(r#"{{"serverTime":{now_ms}}}"#),
            (b"GET", b"/api/v3/ping") => "{}".to_owned(),
            (b"GET", b"/api/v3/account") => replies::account(),
            (b"GET", b"/api/v3/openOrders" | b"/api/v3/allOrders" | b"/api/v3/myTrades") => "[]".to_owned(),
            (b"GET", b"/api/v3/order") => return (400, replies::error(-2013, "Order does not exist.")),
            _ => return (404, replies::error(-1000, "This is a latency probe.")),
        };
        (200, text)
    }

    fn answer_frame(&mut self, inbox: &mut Inbox, read: u64) -> Option<bool> {
        let frame = inbox.frame()?;
        let text = inbox.bytes(&frame.payload);
        match frame.opcode {
            1 => {
                let method = value_after(text, br#""method":""#).unwrap_or_default();
                if method == b"SUBSCRIBE" {
                    let id = value_after(text, br#""id":"#).unwrap_or_default();
                    put_text_frame(replies::subscribed(id).as_bytes(), &mut self.out);
                    return Some(true);
                }
                let id = value_after(text, br#""id":""#).unwrap_or_default();
                let now_ms = wall_now().millis();
                let result = match method {
                    b"order.place" => {
                        self.on_order(text, br#""price":""#, br#""side":""#, read);
                        self.orders += 1;
                        #[cfg(test)]
                        self.remember(text);
                        let name = value_after(text, br#""newClientOrderId":""#).unwrap_or_default();
                        replies::placed(self.orders, name, now_ms)
                    }
                    b"order.cancel" => replies::cancelled(text, now_ms),
                    b"session.logon" | b"userDataStream.subscribe.signature" | b"userDataStream.subscribe" => {
                        r#"{"subscriptionId":0}"#.to_owned()
                    }
                    _ => "{}".to_owned(),
                };
                put_text_frame(replies::api(id, &result).as_bytes(), &mut self.out);
                Some(true)
            }
            8 => Some(false),
            9 => {
                put_frame(10, text, &mut self.out);
                Some(true)
            }
            _ => Some(true),
        }
    }

    /// Notes which tick an order answers. Of two ticks with one mid it answers the older, which makes a latency longer,
    /// never shorter.
    fn on_order(&mut self, text: &[u8], price: &[u8], side: &[u8], read: u64) {
        let (side, mid_e8) = match self.answers {
            Answers::InTurn => (0, None),
            Answers::ByPrice => {
                let price = decimal_e8(value_after(text, price).unwrap_or_default());
                let is_bid = value_after(text, side) == Some(b"BUY");
                let mid_e8 = if is_bid { price + HALF_SPREAD_E8 } else { price - HALF_SPREAD_E8 };
                (usize::from(!is_bid), Some(mid_e8))
            }
        };
        let is_its = |tick: &Tick| mid_e8.is_none_or(|mid_e8| (tick.mid_e8 - mid_e8).abs() <= TOLERANCE_E8);
        let next = self.next[side];
        if let Some(ahead) = self.ticks[next..].iter().position(is_its) {
            let tick = &mut self.ticks[next + ahead];
            self.next[side] = next + ahead + 1;
            if tick.answered == 0 {
                tick.answered = read;
            }
        }
    }

    #[cfg(test)]
    fn remember(&mut self, text: &[u8]) {
        let mut slot = if self.seen.len() == 64 { self.seen.pop_front().unwrap_or_default() } else { Vec::new() };
        slot.clear();
        slot.extend_from_slice(text);
        self.seen.push_back(slot);
    }
}
