//! Who listens to what, and the bounded queue to each listener.
//!
//! A message is rendered once for each shape in which it is wanted and shared by its listeners. A listener that does
//! not read fast enough to keep its queue from filling is cut: nobody waits for it, and it never sees a hole in a
//! stream that goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes};
use tokio::sync::{Notify, mpsc};

use super::gate::Switch;
use super::json::{Object, TimeUnit};
use super::render_market::Product;
use super::stream_name::{Entry, StreamName};
use crate::sim::AccountId;
use crate::sim::faults::{self, Ending, MarketFate};
use crate::types::{DurationNs, TimestampNs};

/// Messages that may wait for one listener. 8192 hold several seconds of a busy market.
pub const QUEUE_MESSAGES: usize = 8_192;

/// What an oversized message has too much: no message of this protocol, and no client's limit, is that large.
const OVERSIZE: usize = 17 << 20;

/// A connection's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerId(u64);

/// The reading end of a connection's queue, held by its task.
#[derive(Debug)]
pub struct Inbox {
    /// Messages for the client, ready to be sent.
    pub messages: mpsc::Receiver<Message>,
    /// Rings when the connection must end without delay.
    pub cut: Arc<Cut>,
    /// Rings when pongs are not to be heard any more.
    pub deafness: Arc<Deafness>,
}

/// Tells a connection's task that it no longer hears pongs.
#[derive(Debug, Default)]
pub struct Deafness {
    within_ns: AtomicU64,
    bell: Notify,
}

impl Deafness {
    fn begin(&self, within: DurationNs) {
        // The bell's own lock orders it before the wake.
        self.within_ns.store(within.nanos(), Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Returns once pongs are not heard any more, with how long a ping may then stay unanswered.
    pub async fn begins(&self) -> Duration {
        self.bell.notified().await;
        Duration::from_nanos(self.within_ns.load(Ordering::Relaxed))
    }
}

/// Tells a connection's task that it was cut, even while it waits for a client that does not read.
#[derive(Debug, Default)]
pub struct Cut {
    done: AtomicBool,
    bell: Notify,
}

impl Cut {
    fn ring(&self) {
        // Release here, Acquire in `wait`: everything before the cut is seen after it.
        self.done.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Returns once the connection was cut.
    pub async fn wait(&self) {
        while !self.done.load(Ordering::Acquire) {
            self.bell.notified().await;
        }
    }
}

/// Which road a connection came by; it decides how the venue's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Public streams.
    Streams,
    /// The WebSocket API.
    Api,
}

/// A user-data subscription of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its number on the connection.
    pub id: u16,
    /// Whose events.
    pub account: AccountId,
    /// Whether it came by the session's logon; ends with it.
    pub by_logon: bool,
}

/// A connection as the hub knows it.
#[derive(Debug)]
pub struct Listener {
    id: ListenerId,
    queue: mpsc::Sender<Message>,
    cut: Arc<Cut>,
    deafness: Arc<Deafness>,
    switch: Switch,
    /// Which road it came by.
    pub road: Road,
    /// Unit of every time it is told.
    pub unit: TimeUnit,
    /// Whose market data it is told.
    pub product: Product,
    /// Where it came in.
    pub entry: Entry,
    /// Whether stream events are wrapped with their stream's name.
    pub combined: bool,
    /// Whether stream events are told in SBE, which has no wrapping and one unit of time.
    pub binary: bool,
    /// Public streams, sorted.
    pub streams: Vec<StreamName>,
    /// User-data subscriptions.
    pub subscriptions: Vec<Subscription>,
}

/// All listeners.
#[derive(Debug, Default)]
pub struct Hub {
    listeners: Vec<Listener>,
    last_id: u64,
    cuts: u64,
    spoiled: Option<MarketFate>,
}

impl Hub {
    /// Adds a connection; `switch` is its socket's.
    pub fn join(&mut self, road: Road, unit: TimeUnit, combined: bool, switch: Switch) -> (ListenerId, Inbox) {
        let (queue, messages) = mpsc::channel(QUEUE_MESSAGES);
        let (cut, deafness) = (Arc::new(Cut::default()), Arc::new(Deafness::default()));
        self.last_id += 1;
        let id = ListenerId(self.last_id);
        let (streams, subscriptions) = (Vec::new(), Vec::new());
        self.listeners.push(Listener {
            id,
            queue,
            cut: Arc::clone(&cut),
            deafness: Arc::clone(&deafness),
            switch,
            road,
            unit,
            product: Product::Spot,
            entry: Entry::One,
            combined,
            binary: false,
            streams,
            subscriptions,
        });
        (id, Inbox { messages, cut, deafness })
    }

    /// Removes a connection that has ended.
    pub fn leave(&mut self, id: ListenerId) {
        self.listeners.retain(|listener| listener.id != id);
    }

    /// A connection that has not been cut.
    pub fn listener(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.id == id)
    }

    /// Whether anybody listens to that stream.
    pub fn wants(&self, name: StreamName) -> bool {
        self.listeners.iter().any(|listener| listener.streams.binary_search(&name).is_ok())
    }

    /// Whether anybody listens to any public stream.
    pub fn has_streams(&self) -> bool {
        self.listeners.iter().any(|listener| !listener.streams.is_empty())
    }

    /// How many connections were cut because they did not read.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Messages waiting in the fullest queue.
    pub fn backlog(&self) -> usize {
        self.listeners.iter().map(|listener| QUEUE_MESSAGES - listener.queue.capacity()).max().unwrap_or(0)
    }

    /// Tells an event of a public stream to everyone who subscribed to it as JSON; `render` writes it in the unit and for
    /// the product asked for.
    pub fn publish(&mut self, name: StreamName, symbol: &str, render: impl Fn(&mut String, TimeUnit, Product)) {
        let mut shapes: [Option<Utf8Bytes>; 8] = [const { None }; 8];
        for at in (0..self.listeners.len()).rev() {
            let listener = &self.listeners[at];
            if listener.binary || listener.streams.binary_search(&name).is_err() {
                continue;
            }
            let shape = listener.product as usize * 4 + listener.unit as usize * 2 + usize::from(listener.combined);
            let message = shapes[shape].get_or_insert_with(|| {
                let mut out = String::with_capacity(512);
                if listener.combined {
                    let stream = name.text(symbol);
                    Object::open(&mut out)
                        .text("stream", &stream)
                        .with("data", |out| render(out, listener.unit, listener.product))
                        .end();
                } else {
                    render(&mut out, listener.unit, listener.product);
                }
                spoil(&mut out, self.spoiled);
                out.into()
            });
            let message = message.clone();
            self.send(at, Message::Text(message));
        }
    }

    /// Tells an event of a public stream to everyone who subscribed to it as SBE.
    pub fn publish_binary(&mut self, name: StreamName, encode: impl Fn(&mut Vec<u8>)) {
        let mut shared = None;
        for at in (0..self.listeners.len()).rev() {
            let listener = &self.listeners[at];
            if !listener.binary || listener.streams.binary_search(&name).is_err() {
                continue;
            }
            let message = shared.get_or_insert_with(|| {
                let mut out = Vec::with_capacity(512);
                encode(&mut out);
                match self.spoiled {
                    Some(MarketFate::Broken) => out.truncate(out.len() / 2),
                    Some(MarketFate::Oversized) => out.resize(out.len() + OVERSIZE, 0),
                    _ => {}
                }
                Bytes::from(out)
            });
            let message = message.clone();
            self.send(at, Message::Binary(message));
        }
    }

    /// Tells an account's event to each of its subscriptions.
    pub fn publish_user(&mut self, account: AccountId, render: impl Fn(&mut String, TimeUnit)) {
        for at in (0..self.listeners.len()).rev() {
            let listener = &self.listeners[at];
            let Some(subscription) = listener.subscriptions.iter().find(|one| one.account == account) else { continue };
            let mut out = String::with_capacity(768);
            Object::open(&mut out)
                .plain("subscriptionId", subscription.id)
                .with("event", |out| render(out, listener.unit))
                .end();
            self.send(at, Message::text(out));
        }
    }

    /// From now on public messages are told broken or oversized, or as they are again.
    pub fn spoil(&mut self, fate: Option<MarketFate>) {
        self.spoiled = fate;
    }

    /// Whether anybody listens to an account's events.
    pub fn has_user(&self, account: AccountId) -> bool {
        self.listeners.iter().any(|listener| listener.subscriptions.iter().any(|one| one.account == account))
    }

    /// Ends every connection of a road as a fault does. Returns those that have only been told that they will end.
    pub fn fail(&mut self, road: faults::Road, ending: Ending, now: TimestampNs) -> Vec<ListenerId> {
        let mut told = Vec::new();
        for at in (0..self.listeners.len()).rev() {
            let listener = &self.listeners[at];
            let meant = match road {
                faults::Road::Market => listener.road == Road::Streams,
                faults::Road::User => !listener.subscriptions.is_empty(),
            };
            if !meant {
                continue;
            }
            match ending.cut {
                faults::Cut::Close if ending.bytes == 0 => self.listeners.swap_remove(at).cut.ring(),
                // It stays among the listeners, so that there are bytes to break off in, and because the venue does not
                // know when nobody hears it; a connection that ends takes itself away.
                faults::Cut::Close | faults::Cut::Reset | faults::Cut::HalfOpen => {
                    listener.switch.fail(ending.cut, ending.bytes);
                }
                faults::Cut::Shutdown => {
                    told.push(listener.id);
                    let farewell = farewell(listener, now);
                    self.send(at, Message::text(farewell));
                }
                // Its queue runs out and then says goodbye.
                faults::Cut::DayOver => drop(self.listeners.swap_remove(at)),
                faults::Cut::PongsLost => listener.deafness.begin(ending.span),
            }
        }
        told
    }

    /// Tells one connection something.
    pub fn tell(&mut self, id: ListenerId, message: String) {
        if let Some(at) = self.listeners.iter().position(|listener| listener.id == id) {
            self.send(at, Message::text(message));
        }
    }

    /// Tells every connection that the venue ends, in the form that its road uses, and lets each queue run out.
    pub fn shut_down(&mut self, now: TimestampNs) {
        for at in (0..self.listeners.len()).rev() {
            let farewell = farewell(&self.listeners[at], now);
            self.send(at, Message::text(farewell));
        }
        self.listeners.clear();
    }

    fn send(&mut self, at: usize, message: Message) {
        if self.listeners[at].queue.try_send(message).is_err() {
            let listener = self.listeners.swap_remove(at);
            listener.cut.ring();
            self.cuts += 1;
        }
    }
}

/// The news that the venue ends, in the form that a listener's road uses.
fn farewell(listener: &Listener, now: TimestampNs) -> String {
    let event = format!(r#"{{"e":"serverShutdown","E":{}}}"#, listener.unit.of(now));
    match listener.road {
        Road::Api => format!(r#"{{"event":{event}}}"#),
        Road::Streams if listener.combined && !listener.binary => {
            format!(r#"{{"stream":"!serverShutdown","data":{event}}}"#)
        }
        Road::Streams => event,
    }
}

/// Makes a message one that no client can read.
fn spoil(message: &mut String, fate: Option<MarketFate>) {
    match fate {
        // The protocol's texts are ASCII but for symbols; a half that would split one is a little shorter.
        Some(MarketFate::Broken) => message.truncate(message.floor_char_boundary(message.len() / 2)),
        Some(MarketFate::Oversized) => message.extend(std::iter::repeat_n(' ', OVERSIZE)),
        _ => {}
    }
}

impl Listener {
    /// Adds a public stream, if it is told where this one came in.
    pub fn subscribe(&mut self, name: StreamName) {
        if self.entry.tells(name.kind)
            && let Err(at) = self.streams.binary_search(&name)
        {
            self.streams.insert(at, name);
        }
    }

    /// Removes a public stream.
    pub fn unsubscribe(&mut self, name: StreamName) {
        self.streams.retain(|have| *have != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::venue::stream_name::StreamKind;
    use crate::types::InstrumentId;

    const TRADES: StreamName = StreamName { symbol: InstrumentId(0), kind: StreamKind::Trade };

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn a_listener_that_does_not_read_is_cut_and_others_go_on() {
        let mut hub = Hub::default();
        let (slow, mut slow_inbox) = hub.join(Road::Streams, TimeUnit::Millis, false, Switch::default());
        let (fast, mut fast_inbox) = hub.join(Road::Streams, TimeUnit::Millis, true, Switch::default());
        for id in [slow, fast] {
            hub.listener(id).unwrap().subscribe(TRADES);
        }
        for n in 0..QUEUE_MESSAGES + 1 {
            hub.publish(TRADES, "BTCUSDT", |out, _, _| out.push_str(&n.to_string()));
            assert_eq!(
                fast_inbox.messages.try_recv().unwrap().to_text().unwrap(),
                format!(r#"{{"stream":"btcusdt@trade","data":{n}}}"#)
            );
        }
        assert!(hub.listener(slow).is_none());
        assert_eq!((hub.cuts(), hub.len()), (1, 1));
        runtime().block_on(slow_inbox.cut.wait());
        // What was queued before the cut is whole; nothing follows it.
        for n in 0..QUEUE_MESSAGES {
            assert_eq!(slow_inbox.messages.try_recv().unwrap().to_text().unwrap(), n.to_string());
        }
        assert!(slow_inbox.messages.try_recv().is_err());
    }

    #[test]
    fn events_reach_only_those_who_asked() {
        let mut hub = Hub::default();
        let (reader, mut inbox) = hub.join(Road::Streams, TimeUnit::Micros, false, Switch::default());
        hub.publish(TRADES, "BTCUSDT", |out, _, _| out.push('x'));
        assert!(inbox.messages.try_recv().is_err());
        let listener = hub.listener(reader).unwrap();
        listener.subscribe(TRADES);
        listener.subscribe(TRADES);
        listener.subscriptions.push(Subscription { id: 4, account: AccountId(7), by_logon: false });
        hub.publish(TRADES, "BTCUSDT", |out, unit, _| out.push_str(&format!("{unit:?}")));
        assert_eq!(inbox.messages.try_recv().unwrap().to_text().unwrap(), "Micros");
        assert!(inbox.messages.try_recv().is_err());
        hub.publish_user(AccountId(8), |out, _| out.push_str("{}"));
        hub.publish_user(AccountId(7), |out, _| out.push_str("{}"));
        assert_eq!(inbox.messages.try_recv().unwrap().to_text().unwrap(), r#"{"subscriptionId":4,"event":{}}"#);
        assert!(inbox.messages.try_recv().is_err());
        hub.listener(reader).unwrap().unsubscribe(TRADES);
        assert!(!hub.wants(TRADES));
    }
}
