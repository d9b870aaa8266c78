//! One WebSocket connection: reads requests, writes answers and queued events, and keeps the connection's own rules
//! (pings, the cap on inbound messages, the end of clients that do not read).

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::clock::wall_now;
use super::hub::{Cut, Inbox};

/// Close codes of RFC 6455, section 7.4.1.
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
/// Queued events that one write may carry before the socket is flushed.
const BATCH: usize = 64;

/// A connection's rules.
#[derive(Clone, Copy, Debug)]
pub struct LinkLimits {
    /// How often the server pings.
    pub ping_every: Duration,
    /// How long a ping may stay unanswered.
    pub pong_within: Duration,
    /// Inbound messages a second, pings and pongs among them; `None` for no cap.
    pub messages_per_s: Option<u32>,
    /// How long one write may take.
    pub send_within: Duration,
    /// How long the connection may live.
    pub lives_for: Duration,
}

impl LinkLimits {
    /// The rules of the public streams.
    pub const STREAMS: LinkLimits = LinkLimits { messages_per_s: Some(5), ..LinkLimits::API };
    /// The rules of the WebSocket API.
    pub const API: LinkLimits = LinkLimits {
        ping_every: Duration::from_secs(20),
        pong_within: Duration::from_secs(60),
        messages_per_s: None,
        send_within: Duration::from_secs(10),
        lives_for: Duration::from_secs(24 * 3600),
    };
}

/// Serves a connection until either side ends it. `answer` turns a text into the reply to it.
pub async fn serve(
    mut socket: WebSocket,
    mut inbox: Inbox,
    limits: LinkLimits,
    mut answer: impl FnMut(&str) -> Option<String>,
) {
    let mut pings = interval_at(Instant::now() + limits.ping_every, limits.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = Unanswered::default();
    let mut pong_within = limits.pong_within;
    let mut inbound = Inbound::default();
    let ends_at = Instant::now() + limits.lives_for;
    loop {
        tokio::select! {
            biased;
            () = inbox.cut.wait() => return,
            received = socket.recv() => {
                let Some(Ok(message)) = received else { return };
                if limits.messages_per_s.is_some_and(|cap| inbound.exceeds(cap)) {
                    close(&mut socket, POLICY, "Too many requests").await;
                    return;
                }
                let text = match &message {
                    Message::Text(text) => text.as_str(),
                    Message::Pong(payload) => {
                        unanswered.answer(payload);
                        continue;
                    }
                    Message::Binary(_) => "",
                    // The library answers pings itself.
                    Message::Ping(_) => continue,
                    Message::Close(_) => return,
                };
                if let Some(reply) = answer(text)
                    && !write(&mut socket, &inbox.cut, limits.send_within, Message::text(reply)).await
                {
                    return;
                }
            }
            event = inbox.messages.recv() => {
                let Some(event) = event else {
                    close(&mut socket, GOING_AWAY, "server shutdown").await;
                    return;
                };
                if !write_events(&mut socket, &mut inbox, limits.send_within, event).await {
                    return;
                }
            }
            _ = pings.tick() => {
                let payload = wall_now().millis().to_string().into_bytes();
                unanswered.ask(payload.clone());
                if !write(&mut socket, &inbox.cut, limits.send_within, Message::Ping(payload.into())).await {
                    return;
                }
            }
            within = inbox.deafness.begins() => {
                (pong_within, unanswered.deaf) = (within, true);
                pings.reset_immediately();
            }
            () = sleep_until(ends_at) => {
                close(&mut socket, GOING_AWAY, "connection too old").await;
                return;
            }
            () = sleep_until(unanswered.since + pong_within), if unanswered.is_waiting() => {
                close(&mut socket, POLICY, "Pong timeout").await;
                return;
            }
        }
    }
}

/// Writes one message. False when the connection is over: cut, closed, or too slow.
async fn write(socket: &mut WebSocket, cut: &Cut, within: Duration, message: Message) -> bool {
    tokio::select! {
        biased;
        sent = timeout(within, socket.send(message)) => matches!(sent, Ok(Ok(()))),
        () = cut.wait() => false,
    }
}

/// Writes a queued event and those behind it, flushing once.
async fn write_events(socket: &mut WebSocket, inbox: &mut Inbox, within: Duration, first: Message) -> bool {
    let Inbox { messages, cut, .. } = inbox;
    let batch = async {
        socket.feed(first).await?;
        for _ in 1..BATCH {
            let Ok(event) = messages.try_recv() else { break };
            socket.feed(event).await?;
        }
        socket.flush().await
    };
    tokio::select! {
        biased;
        sent = timeout(within, batch) => matches!(sent, Ok(Ok(()))),
        () = cut.wait() => false,
    }
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    // The peer may be gone already; its connection ends either way.
    let _ = timeout(Duration::from_secs(1), socket.send(frame)).await;
}

/// Pings that the peer has not answered.
struct Unanswered {
    payloads: VecDeque<Vec<u8>>,
    since: Instant,
    /// Pongs are not heard: a fault.
    deaf: bool,
}

impl Default for Unanswered {
    fn default() -> Unanswered {
        Unanswered { payloads: VecDeque::new(), since: Instant::now(), deaf: false }
    }
}

impl Unanswered {
    fn ask(&mut self, payload: Vec<u8>) {
        if self.payloads.is_empty() {
            self.since = Instant::now();
        }
        self.payloads.push_back(payload);
    }

    /// Only a pong that copies a ping's payload keeps the connection alive.
    fn answer(&mut self, payload: &[u8]) {
        if !self.deaf && self.payloads.iter().any(|asked| asked == payload) {
            self.payloads.clear();
        }
    }

    fn is_waiting(&self) -> bool {
        !self.payloads.is_empty()
    }
}

/// Inbound messages of the last second.
#[derive(Default)]
struct Inbound {
    times: VecDeque<Instant>,
}

impl Inbound {
    fn exceeds(&mut self, cap: u32) -> bool {
        let now = Instant::now();
        while self.times.front().is_some_and(|&first| now - first >= Duration::from_secs(1)) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.times.len() > cap as usize
    }
}
