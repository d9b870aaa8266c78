//! The user-data side of the feed tile: its own connection, its subscription, and each life of it announced.

use std::collections::VecDeque;
use std::sync::Arc;

use rtrb::Producer;
use tracing::{info, warn};

use super::doorbell::Doorbell;
use super::message::{Reconcile, UserInput};
use crate::feed::{Connection, Event, Loss, Payload};
use crate::gateway::{VenueClock, wall_now};
use crate::metrics::{Board, Count, Gauge};
use crate::types::{Control, DurationNs, Input, Instrument, TimestampNs};
use crate::venue::binance::sign::Signer;
use crate::venue::binance::user::{self, UserMessage};

/// User-data messages taken in one step: enough to drain a burst, few enough that the other tiles of a fused runner are not
/// starved.
const USER_FRAMES_A_STEP: usize = 32;
/// A fill may be older than the moment at which its stream was seen to be lost: the venue pings every 20 s and a dead
/// peer is noticed after 60 s of silence.
const LOOK_BACK: DurationNs = DurationNs::from_secs(120);

/// The user-data side of the tile.
pub struct UserFeed {
    /// The connection to the WebSocket API.
    pub connection: Connection,
    /// `feed_quote`.
    pub quote: Producer<UserInput>,
    /// `feed_account`.
    pub account: Producer<Reconcile>,
    /// Wakes the account tile.
    pub account_bell: Arc<Doorbell>,
    /// The API key.
    pub api_key: secrecy::SecretString,
    /// The signing key.
    pub signer: Arc<Signer>,
    /// How old a request may be.
    pub recv_window_ms: u32,
    /// The venue's clock.
    pub clock: VenueClock,
    /// When the session started: nothing before can be missed.
    pub since: TimestampNs,
}

/// The side at work.
pub(super) struct UserState {
    feed: UserFeed,
    /// Inputs that the full link has not taken yet. While there are any, the socket is not read.
    held: VecDeque<UserInput>,
    life: u32,
    requests: u64,
    subscribed: bool,
}

impl UserState {
    /// Before the connection opens.
    pub(super) fn new(feed: UserFeed) -> UserState {
        UserState { feed, held: VecDeque::with_capacity(64), life: 0, requests: 0, subscribed: false }
    }

    /// Takes some messages, none while the decision has not taken the last ones.
    pub(super) fn poll(&mut self, instruments: &[Instrument], board: &Board) -> usize {
        while let Some(item) = self.held.front() {
            if self.feed.quote.push(*item).is_err() {
                return 0;
            }
            self.held.pop_front();
        }
        let mut work = 0;
        for _ in 0..USER_FRAMES_A_STEP {
            match self.feed.connection.poll() {
                Event::Idle => break,
                Event::Progress | Event::Binary { .. } => work += 1,
                Event::Opened => {
                    work += 1;
                    self.subscribe();
                }
                Event::Text { text, .. } => {
                    work += 1;
                    self.on_text(&text, instruments, board);
                    if !self.held.is_empty() {
                        break;
                    }
                }
                Event::Lost(loss) => {
                    work += 1;
                    self.on_lost(&loss, board);
                    break;
                }
            }
        }
        work
    }

    fn subscribe(&mut self) {
        use secrecy::ExposeSecret;
        self.requests += 1;
        let timestamp_ms = self.feed.clock.venue_millis(wall_now());
        let text = user::subscribe_request(
            self.requests,
            self.feed.api_key.expose_secret(),
            timestamp_ms,
            self.feed.recv_window_ms,
            &self.feed.signer,
        );
        // A failure here comes back as a loss with the next poll.
        let _ = self.feed.connection.send(&text);
    }

    fn on_text(&mut self, text: &Payload, instruments: &[Instrument], board: &Board) {
        let recv_ts = wall_now();
        board.bump(Count::UserEvents, 1);
        match user::decode(self.feed.connection.bytes(text), instruments, recv_ts) {
            Ok(UserMessage::Subscribed) => {
                self.subscribed = true;
                info!(life = self.life, "user data subscribed");
                // The link holds a request for each of 16 lives; more than that are not outstanding, and a lost one only
                // means that the session stays silent until the next connection.
                let _ = self.feed.account.push(Reconcile { life: self.life, since: self.feed.since });
                self.feed.account_bell.ring();
            }
            Ok(UserMessage::Refused { code }) => {
                warn!(code, "the venue refuses the user-data stream");
                self.feed.connection.drop_now(Loss::Handshake(format!("code {code}")));
                self.lost(board);
            }
            Ok(UserMessage::Ended) => {
                self.feed.connection.drop_now(Loss::Closed);
                self.lost(board);
            }
            Ok(UserMessage::Ignored) => {}
            Ok(message) => {
                for input in user::inputs(message) {
                    self.push(input);
                }
            }
            Err(error) => {
                // It may have been a fill: only a reconciliation can tell.
                warn!(%error, "a user-data message cannot be read; reconciling");
                self.feed.connection.drop_now(Loss::Protocol(error.to_string()));
                self.lost(board);
            }
        }
    }

    fn on_lost(&mut self, loss: &Loss, board: &Board) {
        warn!(%loss, "user data cannot be reached");
        self.lost(board);
    }

    fn lost(&mut self, board: &Board) {
        if std::mem::take(&mut self.subscribed) {
            board.bump(Count::Disconnects, 1);
            board.set(Gauge::UserUp, 0);
            self.life += 1;
            let down_at = wall_now().nanos().saturating_sub(LOOK_BACK.nanos());
            self.feed.since = self.feed.since.max(TimestampNs::from_nanos(down_at));
            self.push(Input::Control(Control::UserStreamDown));
        }
    }

    fn push(&mut self, input: Input) {
        let item = UserInput { life: self.life, input };
        if !self.held.is_empty() || self.feed.quote.push(item).is_err() {
            self.held.push_back(item);
        }
    }
}
