//! An understudy of the engine: the same tiles, on links, sockets and memory of its own, with a venue that it plays
//! itself.
//!
//! It shares code with the session and nothing else. No link, journal, socket, limit or board of the session is within its
//! reach, so what it does cannot show in any decision, record or order; and its own sockets lead to itself.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quanta::Clock;
use rtrb::{Consumer, Producer, RingBuffer};
use rustls::ClientConfig;
use tracing::subscriber::{NoSubscriber, with_default};

use super::Tile;
use super::book::BookTile;
use super::fate::Fate;
use super::feed::{Carried, FeedParts, FeedTile, Market, MarketLine, RecordOutlet};
use super::gateway::{GatewayParts, GatewayTile};
use super::inline::{Handover, ToWorker};
use super::message::{OrderRequest, SnapshotRequest, Telemetry, TelemetrySender, UserInput};
use super::quote::{Lane, QuoteParts, QuoteTile, WarmSlot, digest_slot};
use crate::feed::{FarEnd, Relay, RelayPlan};
use crate::gateway::{Gateway, wall_now};
use crate::journal::{JournalError, ScratchKeeper};
use crate::metrics::{Board, Stamps, latest};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{ConfigError, Pipeline, PipelineConfig};
use crate::topology::{LINKS, link, tile};
use crate::types::{
    Balance, Control, DurationNs, Input, Instrument, InstrumentId, Level, Price, Qty, SessionId, TimestampNs,
    format_e8_padded,
};
use crate::venue::binance::decode::{Decoder, DecoderKind};
use crate::wire::{DepthBuf, DepthKind, unit_link};

/// Levels of a side.
const LEVELS: i64 = 10;
/// How far the mid jumps from one rehearsal to the next, in ticks: far enough for a new quote.
const JUMP: i64 = 6;
/// What passes between two rehearsals on its own clock: a busy market's pause between two messages. In real time as many
/// orders would soon be too many; a longer pause would rehearse the work of timers, which no order waits for.
const STEP: DurationNs = DurationNs::from_millis(20);
/// More than any order costs.
const FUNDS_E8: i64 = 100_000_000_000_000_000;
/// More than the longest frame's record.
const LINK_UNITS: usize = 64;
/// More than a decision causes.
const LINK_DEPTH: usize = 64;
/// Requests and their answers within one rehearsal: new orders of both sides, and the old ones taken back.
const TURNS: usize = 8;
/// No round trip of its own is ever too long: nobody would answer what went to a worker then, and a side whose order is
/// in doubt is not quoted any more.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Why there is no understudy.
#[derive(Debug, thiserror::Error)]
pub enum UnderstudyError {
    /// The decisions' settings cannot be used.
    #[error(transparent)]
    Decisions(#[from] ConfigError),
    /// The system gives no socket.
    #[error("no socket: {0}")]
    Socket(#[from] io::Error),
    /// The system gives no memory for its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// See the module.
pub struct Understudy {
    feed: FeedTile,
    book: BookTile,
    quote: QuoteTile,
    place: GatewayTile,
    /// The venue's end of the market data.
    venue: FarEnd,
    snapshots: Producer<Box<DepthBuf>>,
    account: Producer<UserInput>,
    control: Producer<Control>,
    /// What its tiles tell nobody.
    told: [Consumer<Telemetry>; 2],
    journal: [ScratchKeeper; 3],
    unused: Unused,
    fate: Arc<Fate>,
    time: OwnTime,
    instrument: Instrument,
    frame: String,
    /// The levels of the two moves that take turns, as they stand in a frame; empty before it has begun.
    moves: [String; 2],
    update_id: u64,
    scene: Scene,
    requests: u64,
    way: Option<Stamps>,
}

/// Ends of links at which nobody is, kept so that they are not abandoned.
struct Unused {
    _snapshot_returns: Consumer<Box<DepthBuf>>,
    wanted: Consumer<SnapshotRequest>,
    _workers: [Consumer<OrderRequest>; 2],
}

/// The wall clock, and ahead of it by what passes between two rehearsals.
#[derive(Clone, Default)]
struct OwnTime(Arc<AtomicU64>);

impl OwnTime {
    fn now(&self) -> TimestampNs {
        wall_now().plus(DurationNs::from_nanos(self.0.load(Ordering::Relaxed)))
    }

    fn step(&self) {
        self.0.fetch_add(STEP.nanos(), Ordering::Relaxed);
    }

    fn read(self) -> impl FnMut() -> TimestampNs + Send {
        move || self.now()
    }
}

/// What comes next.
#[derive(Clone, Copy, Default)]
enum Scene {
    /// The venue sends a frame.
    #[default]
    Venue,
    /// It is read, decoded and recorded.
    Feed,
    /// The book takes it.
    Book,
    /// Decisions follow from what the book, or an answer, says.
    Quote { turn: usize },
    /// A request goes its way, and is answered.
    Place { turn: usize },
}

impl Understudy {
    /// An understudy of the session's decisions for one instrument. `gateway` is one that reaches nobody.
    ///
    /// # Errors
    /// When the settings cannot be used, or the system gives no socket or memory.
    pub fn new(
        instrument: Instrument,
        decoder: DecoderKind,
        decisions: &PipelineConfig,
        gateway: Gateway,
        tls: Arc<ClientConfig>,
    ) -> Result<Understudy, UnderstudyError> {
        // The only one that it knows, whatever its place in the session.
        let instrument = Instrument::new(InstrumentId(0), instrument.spec);
        let all = [instrument];
        let rows: Vec<(&'static str, usize)> = LINKS.iter().map(|row| (row.name, LINK_DEPTH)).collect();
        let (board, fate) = (Arc::new(Board::new(&tile::ALL, &rows)), Arc::new(Fate::default()));
        let time = OwnTime::default();
        let (feed_journal, keeper_of_feed) = ScratchKeeper::new()?;
        let (quote_journal, keeper_of_quote) = ScratchKeeper::new()?;
        let (place_journal, keeper_of_place) = ScratchKeeper::new()?;

        let (venue, near) = FarEnd::with_connection(tls, Clock::new())?;
        let mut near = Some(near);
        let lost = || io::Error::new(io::ErrorKind::NotConnected, "the venue of a rehearsal is gone");
        let relay = Relay::new(RelayPlan::NONE, move || near.take().ok_or_else(lost))?;
        let (feed_book, book_feed) = unit_link(LINK_UNITS);
        let (snapshots, feed_snapshots) = RingBuffer::new(1);
        let (returns, snapshot_returns) = RingBuffer::new(1);
        let outlet = RecordOutlet::new(feed_journal, feed_book, None, None, 1, Arc::clone(&board), Arc::clone(&fate));
        let feed = FeedTile::new(FeedParts {
            market: Market::Venue(vec![MarketLine::new(relay, vec![instrument.id], Carried::All)]),
            decoder: Decoder::new(&all).with_kind(decoder),
            outlet,
            instruments: all.to_vec(),
            snapshots: feed_snapshots,
            returns,
            user: None,
            now: Box::new(time.clone().read()),
            fate: Arc::clone(&fate),
            board: Arc::clone(&board),
        });

        let (book_quote, quote_book) = RingBuffer::new(LINK_DEPTH);
        let (book_snapshot, wanted) = RingBuffer::new(LINK_DEPTH);
        let stage = MarketStage::new(&all, SyncRule::Spot);
        let book = BookTile::new(
            book_feed,
            stage,
            &all,
            book_quote,
            None,
            book_snapshot,
            Arc::default(),
            Arc::clone(&board),
            digest_slot(),
        );

        let (account, quote_account) = RingBuffer::new(LINK_DEPTH);
        let (control, quote_control) = RingBuffer::new(LINK_DEPTH);
        let (quote_place, requests) = RingBuffer::new(LINK_DEPTH);
        let (answers, quote_answers) = RingBuffer::new(LINK_DEPTH);
        let (quote_told, told_quote) = RingBuffer::new(LINK_DEPTH);
        let (place_told, told_place) = RingBuffer::new(LINK_DEPTH);
        let quote = QuoteTile::new(QuoteParts {
            book: quote_book,
            feed: None,
            account: Some(quote_account),
            control: quote_control,
            answers: vec![quote_answers],
            place: Some(Lane { ring: quote_place, bell: None, cells: board.link_index(link::QUOTE_PLACE) }),
            cancel: None,
            pipeline: Pipeline::new(SessionId(1), &all, &without_pauses(decisions))?,
            instruments: all.to_vec(),
            journal: quote_journal,
            telemetry: TelemetrySender::new(quote_told),
            snapshots: vec![latest().0],
            now: {
                let mut now = time.clone().read();
                Box::new(move |_| now())
            },
            fate: Arc::clone(&fate),
            board: Arc::clone(&board),
            digest: digest_slot(),
            warm: WarmSlot::default(),
        });
        let worker = || {
            let (ring, out) = RingBuffer::new(LINK_DEPTH);
            (ToWorker { ring, bell: Arc::default() }, out)
        };
        let ((overflow, overflow_out), (cancel, cancel_out)) = (worker(), worker());
        let place = GatewayTile::new(GatewayParts {
            name: tile::PLACE,
            requests,
            answers,
            answer_bell: None,
            gateway,
            at_once: 1,
            journal: place_journal,
            telemetry: TelemetrySender::new(place_told),
            handover: Some(Handover { place: overflow, cancel, deadline: PATIENCE, worth_waking: Duration::MAX }),
            board: Arc::clone(&board),
            fate: Arc::clone(&fate),
        });
        Ok(Understudy {
            feed,
            book,
            quote,
            place,
            venue,
            snapshots,
            account,
            control,
            told: [told_quote, told_place],
            journal: [keeper_of_feed, keeper_of_quote, keeper_of_place],
            unused: Unused { _snapshot_returns: snapshot_returns, wanted, _workers: [overflow_out, cancel_out] },
            fate,
            time,
            instrument,
            frame: String::with_capacity(4 << 10),
            moves: Default::default(),
            update_id: 1,
            scene: Scene::Venue,
            requests: 0,
            way: None,
        })
    }

    /// Whether it has a market.
    pub fn has_begun(&self) -> bool {
        !self.moves[0].is_empty()
    }

    /// Requests that it has sent to nobody.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The way of the last tick but one, from its frame to its first order; told once.
    pub fn take_way(&mut self) -> Option<Stamps> {
        self.way.take()
    }

    /// Why it cannot go on, if so.
    pub fn failure(&self) -> Option<String> {
        self.fate.fault().map(|(_, fault)| fault.what)
    }

    /// Funds, leave to trade, and the whole book around a mid.
    pub fn begin(&mut self, mid: Price) {
        let there = mid.plus_ticks(JUMP);
        self.moves = [move_text(&self.instrument, mid, there), move_text(&self.instrument, there, mid)];
        for asset in [self.instrument.spec.base, self.instrument.spec.quote] {
            let input = Input::Balance(Balance { asset, free_e8: FUNDS_E8, locked_e8: 0 });
            // The rings are new and have room.
            let _ = self.account.push(UserInput { life: 0, input });
        }
        let _ = self.control.push(Control::UserStreamUp);
        let mut snapshot = Box::new(DepthBuf::with_capacity(LEVELS as usize));
        (snapshot.head.kind, snapshot.head.instrument) = (DepthKind::Snapshot, self.instrument.id);
        (snapshot.head.first_id, snapshot.head.last_id) = (self.update_id, self.update_id);
        snapshot.head.recv_ts = self.time.now();
        let level = |ticks| Level { price: mid.plus_ticks(ticks), qty: level_qty(&self.instrument) };
        snapshot.bids.extend((1..=LEVELS).map(|ticks| level(-ticks)));
        snapshot.asks.extend((1..=LEVELS).map(level));
        let _ = self.snapshots.push(snapshot);
        // What its tiles have to say about themselves would be taken for the session's.
        with_default(NoSubscriber::default(), || {
            // The rule wants a message to join the snapshot to: the first one says nothing new.
            self.tell(r#""b":[],"a":[]"#);
            for _ in 0..2 {
                self.feed.step();
                self.book.step();
                self.quote.step();
            }
        });
    }

    /// The next scene of a rehearsal: a frame and all that follows from it, tile by tile. Returns whether it was the
    /// last one.
    pub fn rehearse(&mut self) -> bool {
        self.scene = match self.scene {
            Scene::Venue => {
                self.clear_away();
                self.time.step();
                self.moves.swap(0, 1);
                let levels = std::mem::take(&mut self.moves[0]);
                self.tell(&levels);
                self.moves[0] = levels;
                Scene::Feed
            }
            Scene::Feed => {
                self.feed.step();
                Scene::Book
            }
            Scene::Book => {
                self.book.step();
                Scene::Quote { turn: 0 }
            }
            Scene::Quote { turn } => {
                self.quote.step();
                Scene::Place { turn }
            }
            Scene::Place { turn } => {
                let served = self.place.step();
                self.requests += served as u64;
                if served > 0 && turn + 1 < TURNS { Scene::Quote { turn: turn + 1 } } else { Scene::Venue }
            }
        };
        matches!(self.scene, Scene::Venue)
    }

    /// What a session's cold threads would do.
    fn clear_away(&mut self) {
        self.journal.iter_mut().for_each(ScratchKeeper::step);
        for told in &mut self.told {
            while let Ok(message) = told.pop() {
                if let Telemetry::Way(stamps) = message {
                    self.way = Some(stamps);
                }
            }
        }
        while self.unused.wanted.pop().is_ok() {}
    }

    /// The venue sends a frame.
    fn tell(&mut self, levels: &str) {
        self.update_id += 1;
        self.frame.clear();
        let (symbol, id) = (self.instrument.symbol(), self.update_id);
        // Writing to a string cannot fail.
        let _ = write!(
            self.frame,
            r#"{{"stream":"{symbol}@depth","data":{{"e":"depthUpdate","E":{},"s":"{symbol}","U":{id},"u":{id},{levels}}}}}"#,
            self.time.now().millis()
        );
        self.venue.say(&self.frame);
    }
}

/// The same decisions with as many orders as there are rehearsals, none of them changed in place, and as few fits as can
/// be: each takes a third of a millisecond, and a tick that comes meanwhile would wait for it.
fn without_pauses(decisions: &PipelineConfig) -> PipelineConfig {
    let mut decisions = decisions.clone();
    let risk = &mut decisions.risk;
    // The greatest values that each setting may have.
    (risk.orders_per_1s, risk.orders_per_10s, risk.orders_per_1d) = (10_000, 10_000, 1_000_000_000);
    decisions.orders.amend = false;
    decisions.features.micro_refit_s = 86_400;
    decisions.estimators.intensity_refit_s = 3_600;
    decisions
}

/// More than any order of ours, in lots of a sane size.
fn level_qty(instrument: &Instrument) -> Qty {
    instrument.spec.filters.qty_min.max(Qty::from_lots(1_000))
}

/// What a frame says when a book of [`LEVELS`] a side moves from one mid to another.
fn move_text(instrument: &Instrument, from: Price, to: Price) -> String {
    // All eight places, as the venue writes them: what reads levels may go another way for another form.
    let text = |e8: i64| {
        let mut text = String::new();
        format_e8_padded(e8, &mut text);
        text
    };
    let (some, none) = (text(instrument.qty_e8(level_qty(instrument))), text(0));
    let side = |sign: i64| {
        let place = |mid: Price, price: Price| (1..=LEVELS).any(|ticks| mid.plus_ticks(sign * ticks) == price);
        let mut all: Vec<Price> =
            (1..=LEVELS).flat_map(|ticks| [from, to].map(|mid| mid.plus_ticks(sign * ticks))).collect();
        all.sort_unstable();
        all.dedup();
        let rows = all.iter().map(|&price| {
            let qty = if place(to, price) { &some } else { &none };
            format!(r#"["{}","{qty}"]"#, text(instrument.price_e8(price)))
        });
        rows.collect::<Vec<_>>().join(",")
    };
    format!(r#""b":[{}],"a":[{}]"#, side(-1), side(1))
}

#[cfg(test)]
pub(super) mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::feed::client_config;
    use crate::gateway::{GatewayConfig, Limiter, VenueClock};
    use crate::venue::binance::rest::RateLimits;
    use crate::venue::binance::sign::Signer;

    /// An understudy of BTCUSDT, over REST or the WebSocket API.
    pub fn understudy(api_url: Option<&str>) -> Understudy {
        let config = GatewayConfig {
            rest_url: "http://127.0.0.1:9".to_owned(),
            api_url: api_url.map(str::to_owned),
            ca_file: None,
            api_key: SecretString::from("key"),
            signer: Arc::new(Signer::hmac(&SecretString::from("secret")).unwrap()),
            recv_window_ms: 5_000,
            instruments: vec![Instrument::btcusdt()],
            clock: VenueClock::default(),
            limiter: Limiter::new(RateLimits::default()),
        };
        let gateway = Gateway::rehearsing(&config).unwrap();
        let (decisions, tls) = (PipelineConfig::default(), client_config(None).unwrap());
        Understudy::new(Instrument::btcusdt(), DecoderKind::Scanner, &decisions, gateway, tls).unwrap()
    }

    #[test]
    fn an_understudy_places_orders_over_either_road_again_and_again_and_reaches_nobody() {
        for api_url in [None, Some("ws://127.0.0.1:9")] {
            let mut understudy = understudy(api_url);
            understudy.begin(Price::from_ticks(6_000_000));
            let mut rehearse = |times| {
                (0..times).for_each(|_| while !understudy.rehearse() {});
                (understudy.requests(), understudy.failure())
            };
            // More than its journal and its limits would take of a session.
            let before = rehearse(30_000).0;
            let (after, failure) = rehearse(100);
            // Two orders and two cancels each time; a busy system may bring a frame a scene late.
            assert!(after - before >= 360, "{} requests in 100 rehearsals", after - before);
            assert_eq!(failure, None);
        }
    }
}
