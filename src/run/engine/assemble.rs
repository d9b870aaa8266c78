//! Tiles made, joined by their links and seated on threads, as `topology` says.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::market;
use super::stamps;
use super::venue::{Venue, bad_client};
use super::{EngineMode, Live, Shared};
use crate::config::{Config, Idle as IdleKey, PlanKind as PlanKey};
use crate::feed::{Connection, client_config};
use crate::gateway::{AccountClient, Gateway, GatewayConfig, Http, wall_now};
use crate::journal::retention::{self, Retention};
use crate::journal::{Journal, JournalConfig, JournalWriter, Keeper, SessionInfo};
use crate::metrics::{Board, LatencyTable, latest};
use crate::pipeline::market::MarketStage;
use crate::pipeline::{Pipeline, PipelineConfig, WarmState};
use crate::run::output::journal_failure;
use crate::run::{Failure, exit};
use crate::tiles::Tile;
use crate::tiles::account::AccountTile;
use crate::tiles::book::{BookTile, DigestSlot};
use crate::tiles::control::{ControlParts, ControlTile, Recent};
use crate::tiles::doorbell::Doorbell;
use crate::tiles::fate::Fate;
use crate::tiles::feed::{FeedParts, FeedTile, Market, RecordOutlet};
use crate::tiles::gateway::{GatewayParts, GatewayTile};
use crate::tiles::inline::{Handover, ToWorker, WORTH_WAKING};
use crate::tiles::keeper::{KeeperSlot, KeeperTile};
use crate::tiles::message::TelemetrySender;
use crate::tiles::near::{self, noted};
use crate::tiles::paper::{PaperParts, PaperSlot, PaperTile};
use crate::tiles::print::PrintTile;
use crate::tiles::quote::{Lane, QuoteParts, QuoteTile, WarmSlot, digest_slot, wall_clock};
use crate::tiles::redis_source::RedisSourceTile;
use crate::tiles::rehearsal::RehearsalTile;
use crate::tiles::runner::{Runner, spawn};
use crate::tiles::snapshot::{AT_ONCE, SnapshotTile};
use crate::tiles::understudy::{Understudy, UnderstudyError};
use crate::tiles::user_feed::UserFeed;
use crate::topology::{self, Idle, LINKS, Plan, PlanKind, link, link_row, tile};
use crate::types::{Instrument, SessionId};
use crate::venue::binance::decode::Decoder;
use crate::wire::{UnitReceiver, UnitSender, unit_link};
use quanta::Clock;
use rtrb::{Consumer, Producer, RingBuffer};

/// A venue that answers no ping for so long is gone, whether its socket says so or not.
const SILENCE: Duration = Duration::from_secs(3);
/// The longest that a silent venue may hold a fused runner, once: then requests go to the overflow worker.
const INLINE_PATIENCE: Duration = Duration::from_millis(100);

/// What is printed, and where.
pub struct Lines {
    /// The stream.
    pub out: Box<dyn Write + Send>,
    /// Messages of a recording to print; `u64::MAX` for all.
    pub count: u64,
    /// Whether a recording ends with the last of them.
    pub ends: bool,
}

/// Threads and what is needed to end them.
pub struct Running {
    /// What people see.
    pub live: Live,
    /// The engine's life.
    pub fate: Arc<Fate>,
    /// All threads but the keeper's.
    pub threads: Vec<JoinHandle<()>>,
    /// The keeper's.
    pub keeper_thread: JoinHandle<()>,
    /// Where the keeper is left.
    pub keeper: KeeperSlot,
    /// The books' last digest.
    pub books_digest: DigestSlot,
    /// The decisions' last digest.
    pub pipeline_digest: DigestSlot,
    /// What was learnt.
    pub warm: WarmSlot,
    /// What the simulated exchange of paper mode says at its end.
    pub paper: PaperSlot,
    /// Whether anything is published on a Redis server.
    pub has_redis_sink: bool,
}

/// What a connection cannot be made of.
pub(super) fn unusable(error: std::io::Error) -> Failure {
    Failure::new(
        "E_RUN_014",
        exit::CONFIG,
        "the venue's connection settings cannot be used",
        error.to_string(),
        "check venue.ws_url and venue.ws_api_url",
    )
}

/// The plan for this machine.
pub fn plan(config: &Config) -> Plan {
    plan_on(config, &topology::cores_at_hand(&config.topology.cores))
}

/// The plan for a machine with these cores, lowest first.
pub fn plan_on(config: &Config, cores: &[usize]) -> Plan {
    let kind = match config.topology.plan {
        PlanKey::Auto => PlanKind::Auto,
        PlanKey::Fused => PlanKind::Fused,
        PlanKey::Split => PlanKind::Split,
    };
    let idle = match config.topology.idle {
        IdleKey::Auto => None,
        IdleKey::Spin => Some(Idle::Spin),
        IdleKey::Yield => Some(Idle::Yield),
        IdleKey::Park => Some(Idle::Park),
    };
    let plan = topology::plan(kind, cores, idle);
    plan.with_redis(!config.redis.url.is_empty(), config.redis.is_source())
}

/// The rings of one engine, by name, with the configured depths.
struct Depths(BTreeMap<&'static str, usize>);

impl Depths {
    fn new(config: &Config) -> Depths {
        let topology = &config.topology;
        Depths(
            LINKS
                .iter()
                .map(|row| {
                    let depth = match row.name {
                        link::FEED_BOOK => topology.feed_book_units,
                        link::BOOK_QUOTE => topology.book_quote_depth,
                        link::QUOTE_PLACE | link::QUOTE_CANCEL | link::PLACE_OVERFLOW | link::PLACE_CANCEL => {
                            topology.quote_gateway_depth
                        }
                        link::PLACE_QUOTE | link::CANCEL_QUOTE | link::OVERFLOW_QUOTE => topology.gateway_quote_depth,
                        _ => row.depth,
                    };
                    (row.name, depth)
                })
                .collect(),
        )
    }

    fn depth(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_else(|| link_row(name).depth)
    }

    fn ring<T>(&self, name: &str) -> (Producer<T>, Consumer<T>) {
        noted(|| RingBuffer::new(self.depth(name)))
    }

    /// A link for records.
    fn units(&self, name: &str) -> (UnitSender, UnitReceiver) {
        noted(|| unit_link(self.depth(name)))
    }
}

/// Bells of the threads that may be parked, by tile.
struct Bells(BTreeMap<&'static str, (Arc<Doorbell>, bool)>);

impl Bells {
    fn new(plan: &Plan) -> Bells {
        let mut bells = BTreeMap::new();
        for seat in &plan.seats {
            let bell = Arc::new(Doorbell::default());
            for tile in seat.tiles {
                bells.insert(*tile, (Arc::clone(&bell), seat.idle == Idle::Park));
            }
        }
        Bells(bells)
    }

    fn of(&self, tile: &str) -> Arc<Doorbell> {
        self.0.get(tile).map(|(bell, _)| Arc::clone(bell)).unwrap_or_default()
    }

    /// The bell, if its tile may be parked: hot tiles do not ring spinners.
    fn if_parked(&self, tile: &str) -> Option<Arc<Doorbell>> {
        self.0.get(tile).filter(|(_, parks)| *parks).map(|(bell, _)| Arc::clone(bell))
    }
}

struct Writers {
    session_dir: std::path::PathBuf,
    feed: JournalWriter,
    quote: Option<JournalWriter>,
    gateways: Vec<JournalWriter>,
    keeper: Keeper,
}

#[allow(clippy::too_many_arguments, reason = "each is part of what the session file says")]
fn journal(
    config: &Config,
    mode: EngineMode,
    name: &str,
    session: SessionId,
    venue: &Venue,
    pipeline: &PipelineConfig,
    warm: Option<&WarmState>,
    gateways: usize,
) -> Result<Writers, Failure> {
    let keys = &config.journal;
    let settings = JournalConfig {
        segment_bytes: keys.segment_mb << 20,
        sync_interval: Some(crate::types::DurationNs::from_millis(keys.sync_ms)),
        roll_age: Some(crate::types::DurationNs::from_secs(keys.segment_s)),
        ballast_bytes: keys.ballast_mb << 20,
        ..JournalConfig::new(&keys.dir)
    };
    let retained = Retention {
        keep_bytes: (keys.keep_gb > 0).then_some(keys.keep_gb << 30),
        keep_age: (keys.keep_days > 0).then(|| crate::types::DurationNs::from_secs(keys.keep_days * 86_400)),
    };
    match retention::enforce(&keys.dir, &retained, wall_now()) {
        Ok(removed) => removed.iter().for_each(|folder| tracing::info!(folder = %folder.display(), "journal retired")),
        // An old journal that stays is no reason not to trade.
        Err(error) => tracing::warn!("old journals cannot be removed: {error}"),
    }
    let decisions = (mode != EngineMode::Record).then(|| serde_json::to_value(pipeline)).transpose();
    let decisions =
        decisions.map_err(|error| Failure::bug(format!("the pipeline's settings have no JSON: {error}")))?;
    let info = SessionInfo::new(session, name, venue.rule.profile(), wall_now(), &venue.instruments, decisions)
        .with_warm(crate::run::warm::value_of(warm)?);
    if mode == EngineMode::Record {
        let (session_dir, feed, keeper) = Journal::create_feed_only(&settings, &info).map_err(journal_failure)?;
        return Ok(Writers { session_dir, feed, quote: None, gateways: Vec::new(), keeper });
    }
    let Journal { session_dir, feed, quote, gateways, keeper } =
        Journal::create(&settings, &info, gateways).map_err(journal_failure)?;
    Ok(Writers { session_dir, feed, quote: Some(quote), gateways, keeper })
}

/// Makes all tiles and starts all threads.
///
/// # Errors
/// When the journal cannot be made, a setting cannot be used, or the system gives no thread.
pub fn assemble(
    config: &Config,
    mode: EngineMode,
    name: &str,
    venue: Venue,
    gateways: Option<&GatewayConfig>,
    lines: Option<Lines>,
) -> Result<Running, Failure> {
    let plan = plan(config);
    if let Some(degraded) = &plan.degraded {
        tracing::warn!("{degraded}");
    }
    tracing::info!("{}", plan.describe());
    let depths = Depths::new(config);
    let bells = Bells::new(&plan);
    let clock = Clock::new();
    let rows: Vec<(&'static str, usize)> = LINKS.iter().map(|row| (row.name, depths.depth(row.name))).collect();
    let board = Arc::new(Board::new(&tile::ALL, &rows));
    let fate = Arc::new(Fate::default());
    let session = SessionId(wall_now().millis());
    let mut decisions = config.pipeline();
    decisions.orders.send = mode.trades();
    let fused = plan.kind == PlanKind::Fused;
    // Their lanes of the journal: place, cancel and, where the place gateway may hand over, the overflow worker.
    let lanes = match (gateways, mode) {
        (Some(_), _) => 2 + usize::from(fused),
        (None, EngineMode::Paper) => 1,
        (None, _) => 0,
    };
    let exchange =
        (mode == EngineMode::Paper).then(|| super::paper::exchange(config, &venue.instruments)).transpose()?;
    let tls = client_config(venue.ca_file.as_deref()).map_err(|error| {
        Failure::new("E_RUN_014", exit::CONFIG, "TLS cannot be set up", error.to_string(), "check venue.ca_file")
    })?;
    let warm = if mode == EngineMode::Record { None } else { super::back_fill::begin(config, &venue, &decisions)? };
    let pipeline = noted(|| Pipeline::with_warm(session, &venue.instruments, &decisions, warm.as_ref()))
        .map_err(Failure::of_decisions)?;
    let mut writers = journal(config, mode, name, session, &venue, &decisions, warm.as_ref(), lanes)?;
    let busy_poll_us = config.topology.busy_poll_us;
    let connector = |url: String| {
        let (tls, clock) = (Arc::clone(&tls), clock.clone());
        move |seed: u64| {
            Connection::new(&url, Arc::clone(&tls), clock.clone(), SILENCE, seed)
                .map(|connection| connection.with_busy_poll(busy_poll_us))
        }
    };

    let mut tiles: BTreeMap<&'static str, Box<dyn Tile>> = BTreeMap::new();
    let mut telemetry = Vec::new();
    let mut channel = |name: &'static str| {
        let (producer, consumer) = depths.ring(name);
        telemetry.push(consumer);
        TelemetrySender::new(producer)
    };

    // feed -> book
    let (feed_book, book_feed) = depths.units(link::FEED_BOOK);
    let (snapshot_feed, feed_snapshots) = depths.ring(link::SNAPSHOT_FEED);
    let (feed_returns, snapshot_returns) = depths.ring(link::FEED_SNAPSHOT);
    let (tap, print) = match mode {
        EngineMode::Record => {
            let (sender, receiver) = depths.units(link::FEED_BOOK);
            (Some(sender), Some(receiver))
        }
        _ => (None, None),
    };
    let (feed_paper, paper_feed) = match &exchange {
        Some(_) => {
            let (sender, receiver) = depths.units(link::FEED_PAPER);
            (Some(sender), Some(receiver))
        }
        None => (None, None),
    };
    let (feed_quote, quote_feed) = depths.ring(link::FEED_QUOTE);
    let (feed_account, account_requests) = depths.ring(link::FEED_ACCOUNT);
    let user = match gateways {
        Some(gateways) => Some(UserFeed {
            connection: connector(venue.endpoints.ws_api_url.clone())(session.0 ^ 1).map_err(unusable)?,
            quote: feed_quote,
            account: feed_account,
            account_bell: bells.of(tile::ACCOUNT),
            api_key: gateways.api_key.clone(),
            signer: Arc::clone(&gateways.signer),
            recv_window_ms: config.venue.recv_window_ms,
            clock: venue.clock.clone(),
            since: wall_now(),
        }),
        None => None,
    };
    let outlet = noted(|| {
        RecordOutlet::new(
            writers.feed,
            feed_book,
            tap,
            feed_paper,
            venue.instruments.len(),
            Arc::clone(&board),
            Arc::clone(&fate),
        )
    });
    let (market, redis_feed) = if config.redis.is_source() {
        let (redis_feed, feed_redis) = depths.units(link::REDIS_FEED);
        (Market::Redis(feed_redis), Some(redis_feed))
    } else {
        let lines = market::lines(mode, &venue, session, config.venue.connections, connector)?;
        (Market::Venue(lines), None)
    };
    tiles.insert(
        tile::FEED,
        noted(|| {
            Box::new(FeedTile::new(FeedParts {
                market,
                decoder: Decoder::new(&venue.instruments).with_kind(config.venue.decoder),
                outlet,
                instruments: venue.instruments.clone(),
                snapshots: feed_snapshots,
                returns: feed_returns,
                user,
                now: Box::new(wall_now),
                fate: Arc::clone(&fate),
                board: Arc::clone(&board),
            }))
        }),
    );

    // book -> quote, book -> snapshot -> feed
    let (book_quote, quote_book) = depths.ring(link::BOOK_QUOTE);
    let (book_snapshot, snapshot_requests) = depths.ring(link::BOOK_SNAPSHOT);
    let (books_digest, pipeline_digest) = (digest_slot(), digest_slot());
    let learnt = WarmSlot::default();
    tiles.insert(
        tile::BOOK,
        noted(|| {
            Box::new(BookTile::new(
                book_feed,
                MarketStage::new(&venue.instruments, venue.rule),
                &venue.instruments,
                book_quote,
                bells.if_parked(tile::QUOTE).filter(|_| !fused),
                book_snapshot,
                bells.of(tile::SNAPSHOT),
                Arc::clone(&board),
                Arc::clone(&books_digest),
            ))
        }),
    );
    match redis_feed {
        // Whole books come by the same road as everything else.
        Some(redis_feed) => {
            let source = super::redis::source(config, &venue.instruments)?;
            let bell = bells.of(tile::FEED);
            let (board, fate) = (Arc::clone(&board), Arc::clone(&fate));
            let made = RedisSourceTile::new(source, redis_feed, bell, snapshot_requests, session.0, board, fate);
            tiles.insert(tile::REDIS_SOURCE, Box::new(made));
        }
        None => {
            let client = |_| Http::new(&venue.endpoints.rest_url, None, venue.ca_file.as_deref(), venue.patience);
            let clients = (0..AT_ONCE).map(client).collect::<Result<_, _>>().map_err(bad_client)?;
            let made = SnapshotTile::new(
                snapshot_requests,
                snapshot_feed,
                snapshot_returns,
                clients,
                &venue.instruments,
                venue.public,
                venue.limiter.clone(),
                venue.clock.clone(),
                Arc::clone(&board),
                Arc::clone(&fate),
            );
            tiles.insert(tile::SNAPSHOT, Box::new(made));
        }
    }

    // quote <-> gateways
    let (control_quote, quote_control) = depths.ring(link::CONTROL_QUOTE);
    let mut answers = Vec::new();
    let (mut place, mut cancel, mut account) = (None, None, None);
    let mut user = gateways.map(|_| quote_feed);
    let paper_word = PaperSlot::default();
    if let (Some(exchange), Some(feed)) = (exchange, paper_feed) {
        let (place_in, place_out) = depths.ring(link::QUOTE_PAPER);
        let (cancel_in, cancel_out) = depths.ring(link::QUOTE_PAPER_CANCEL);
        let (paper_quote, quote_paper) = depths.ring(link::PAPER_QUOTE);
        let bell = bells.if_parked(tile::PAPER);
        place = Some(Lane { ring: place_in, bell: bell.clone(), cells: board.link_index(link::QUOTE_PAPER) });
        cancel = Some(Lane { ring: cancel_in, bell, cells: board.link_index(link::QUOTE_PAPER_CANCEL) });
        user = Some(quote_paper);
        tiles.insert(
            tile::PAPER,
            Box::new(PaperTile::new(PaperParts {
                feed,
                requests: [place_out, cancel_out],
                quote: paper_quote,
                quote_bell: bells.if_parked(tile::QUOTE),
                exchange,
                latency: crate::run::latency::read(&config.exchange.latency)?,
                seed: session.0,
                journal: writers.gateways.remove(0),
                telemetry: channel(link::PAPER_CONTROL),
                board: Arc::clone(&board),
                fate: Arc::clone(&fate),
                word: Arc::clone(&paper_word),
            })),
        );
    }
    if let Some(gateways) = gateways {
        let mut lane = |request_link, answer_link, tile_name, handover, telemetry, patience| {
            // Only where the thread has its core to itself.
            let spins = plan.seat_of(tile_name).is_some_and(|seat| seat.idle == Idle::Spin);
            let spin = if spins { Duration::from_micros(config.topology.fused_deadline_us) } else { Duration::ZERO };
            let (requests_in, requests_out) = depths.ring(request_link);
            let (answers_in, answers_out) = depths.ring(answer_link);
            answers.push(answers_out);
            let make = || Gateway::new(gateways, patience, spin);
            let gateway = if tile_name == tile::PLACE { noted(make) } else { make() };
            let made = GatewayTile::new(GatewayParts {
                name: tile_name,
                requests: requests_out,
                answers: answers_in,
                answer_bell: bells.if_parked(tile::QUOTE).filter(|_| !fused || tile_name != tile::PLACE),
                gateway: gateway.map_err(bad_client)?,
                at_once: usize::MAX,
                journal: writers.gateways.remove(0),
                telemetry,
                handover,
                board: Arc::clone(&board),
                fate: Arc::clone(&fate),
            });
            tiles.insert(tile_name, noted(|| Box::new(made)));
            Ok::<_, Failure>(requests_in)
        };
        let mut worker = |requests, answers, name, control| {
            let ring = lane(requests, answers, name, None, channel(control), venue.patience)?;
            Ok::<_, Failure>(ToWorker { ring, bell: bells.of(name) })
        };
        let (handover, patience) = if fused {
            let overflow = worker(link::PLACE_OVERFLOW, link::OVERFLOW_QUOTE, tile::OVERFLOW, link::OVERFLOW_CONTROL)?;
            let cancels = worker(link::PLACE_CANCEL, link::CANCEL_QUOTE, tile::CANCEL, link::CANCEL_CONTROL)?;
            let deadline = Duration::from_micros(config.topology.fused_deadline_us);
            let handover = Handover { place: overflow, cancel: cancels, deadline, worth_waking: WORTH_WAKING };
            (Some(handover), INLINE_PATIENCE.min(venue.patience))
        } else {
            let ToWorker { ring, .. } =
                worker(link::QUOTE_CANCEL, link::CANCEL_QUOTE, tile::CANCEL, link::CANCEL_CONTROL)?;
            let (bell, cells) = (bells.if_parked(tile::CANCEL), board.link_index(link::QUOTE_CANCEL));
            cancel = Some(Lane { ring, bell, cells });
            (None, venue.patience)
        };
        let sender = channel(link::PLACE_CONTROL);
        let ring = lane(link::QUOTE_PLACE, link::PLACE_QUOTE, tile::PLACE, handover, sender, patience)?;
        // The fused place gateway is stepped by the thread that sends to it.
        let bell = bells.if_parked(tile::PLACE).filter(|_| !fused);
        place = Some(Lane { ring, bell, cells: board.link_index(link::QUOTE_PLACE) });
        let (account_quote, quote_account) = depths.ring(link::ACCOUNT_QUOTE);
        account = Some(quote_account);
        let client = AccountClient::new(gateways, venue.patience).map_err(bad_client)?;
        tiles.insert(
            tile::ACCOUNT,
            Box::new(AccountTile::new(
                account_requests,
                account_quote,
                client,
                &venue.instruments,
                session,
                venue.clock.clone(),
                Arc::clone(&board),
                Arc::clone(&fate),
            )),
        );
    }
    let (mut show, mut shown) = (Vec::new(), Vec::new());
    for _ in &venue.instruments {
        let (writer, reader) = latest();
        show.push(writer);
        shown.push(reader);
    }
    if let Some(journal) = writers.quote {
        tiles.insert(
            tile::QUOTE,
            noted(|| {
                Box::new(QuoteTile::new(QuoteParts {
                    book: quote_book,
                    feed: user,
                    account,
                    control: quote_control,
                    answers,
                    place,
                    cancel,
                    pipeline,
                    instruments: venue.instruments.clone(),
                    journal,
                    telemetry: channel(link::QUOTE_CONTROL),
                    snapshots: show,
                    now: wall_clock(),
                    fate: Arc::clone(&fate),
                    board: Arc::clone(&board),
                    digest: Arc::clone(&pipeline_digest),
                    warm: Arc::clone(&learnt),
                }))
            }),
        );
    }

    let spins = fused && plan.seat_of(tile::REHEARSAL).is_some_and(|seat| seat.idle == Idle::Spin);
    if let (Some(gateways), Some(&instrument), Some(shown)) = (gateways, venue.instruments.first(), shown.first())
        && spins
        && config.topology.rehearse_us > 0
    {
        let made = Gateway::rehearsing(gateways).map_err(UnderstudyError::from).and_then(|gateway| {
            Understudy::new(instrument, config.venue.decoder, &decisions, gateway, Arc::clone(&tls))
        });
        let understudy = made.map_err(|error| {
            Failure::new(
                "E_RUN_021",
                exit::HALTED,
                "the orders of this session cannot be rehearsed",
                error.to_string(),
                "set topology.rehearse_us to 0, which costs speed and nothing else",
            )
        })?;
        let made = RehearsalTile::new(
            understudy,
            shown.clone(),
            config.topology.rehearse_us,
            Arc::clone(&board),
            Arc::clone(&fate),
        );
        tiles.insert(tile::REHEARSAL, Box::new(made));
    }

    let sink =
        super::redis::sink(config, mode, session, &writers.session_dir, &venue.instruments, &shown, &board, &fate)?;
    let has_redis_sink = sink.is_some();
    if let Some(sink) = sink {
        tiles.insert(tile::REDIS_SINK, Box::new(sink));
    }

    // control and keeper
    let latencies = Arc::new(LatencyTable::default());
    let recent = Arc::new(Mutex::new(Recent::new(venue.instruments.len())));
    match print {
        Some(receiver) => {
            let lines = lines.unwrap_or(Lines { out: Box::new(std::io::sink()), count: 0, ends: false });
            let made =
                PrintTile::new(receiver, &venue.instruments, lines.out, lines.count, lines.ends, Arc::clone(&fate));
            tiles.insert(tile::CONTROL, Box::new(made));
        }
        None => {
            let made = ControlTile::new(ControlParts {
                quote: control_quote,
                telemetry,
                latencies: Arc::clone(&latencies),
                recent: Arc::clone(&recent),
                snapshots: shown.clone(),
                instruments: venue.instruments.clone(),
                lines: lines.map(|lines| lines.out),
                stamps: stamps::file(&config.metrics.stamps_file)?,
                // Two answers in turn, a query and its answer: four times the patience covers the slowest honest end.
                patience: venue.patience * 4,
                sends: mode.trades(),
                board: Arc::clone(&board),
                fate: Arc::clone(&fate),
            });
            tiles.insert(tile::CONTROL, Box::new(made));
        }
    }
    let keeper = KeeperSlot::default();
    tiles.insert(tile::KEEPER, Box::new(KeeperTile::new(writers.keeper, Arc::clone(&keeper), Arc::clone(&fate))));

    let live = Live {
        shared: Arc::new(Shared {
            session,
            session_dir: writers.session_dir,
            plan: plan.describe(),
            cold_core: plan.seat_of(tile::KEEPER).and_then(|seat| seat.core),
            board: Arc::clone(&board),
            latencies,
            instruments: venue.instruments,
            snapshots: shown,
            recent,
            fate: Arc::clone(&fate),
        }),
    };
    near::make_present();
    let (allocations, bytes) = near::kept();
    tracing::info!(allocations, bytes, "memory of the way to an order is kept near");
    let (threads, keeper_thread) = seat(&plan, tiles, &bells, &fate, &board)?;
    Ok(Running {
        live,
        fate,
        threads,
        keeper_thread,
        keeper,
        books_digest,
        pipeline_digest,
        warm: learnt,
        paper: paper_word,
        has_redis_sink,
    })
}

/// Puts the tiles on their threads.
fn seat(
    plan: &Plan,
    mut tiles: BTreeMap<&'static str, Box<dyn Tile>>,
    bells: &Bells,
    fate: &Arc<Fate>,
    board: &Arc<Board>,
) -> Result<(Vec<JoinHandle<()>>, JoinHandle<()>), Failure> {
    let mut threads = Vec::new();
    let mut keeper_thread = None;
    for seat in &plan.seats {
        let own: Vec<Box<dyn Tile>> = seat.tiles.iter().filter_map(|name| tiles.remove(name)).collect();
        let Some(first) = seat.tiles.first() else { continue };
        if own.is_empty() {
            continue;
        }
        let runner = Runner::new(own, seat.idle, Arc::clone(fate), Arc::clone(board), bells.of(first));
        let thread = spawn(seat, runner).map_err(|error| {
            fate.order_end();
            Failure::new(
                "E_RUN_015",
                exit::HALTED,
                format!("the system gives no thread for {}", seat.thread),
                error.to_string(),
                "raise the limit of threads (`ulimit -u`)",
            )
        })?;
        if seat.thread == tile::KEEPER {
            keeper_thread = Some(thread);
        } else {
            threads.push(thread);
        }
    }
    let keeper_thread = keeper_thread.ok_or_else(|| Failure::bug("the plan has no seat for the keeper"))?;
    Ok((threads, keeper_thread))
}

/// The instruments' names, for logs.
pub fn names(instruments: &[Instrument]) -> String {
    instruments.iter().map(Instrument::symbol).collect::<Vec<_>>().join(", ")
}
