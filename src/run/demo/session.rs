//! The two ways to run a demo: over sockets on the wall clock, or in virtual time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DemoArgs;
use super::screen::Screen;
use crate::config::{ApiKeys, Config};
use crate::kpi::KpiRules;
use crate::metrics::Count;
use crate::run::engine::{self, EngineMode, EngineSummary};
use crate::run::finish::{Caption, Ended, VenueWord};
use crate::run::flow::{CLIENT, FlowArgs};
use crate::run::live::Signals;
use crate::run::report::Causes;
use crate::run::virtual_session::{self, VirtualConfig};
use crate::run::{Failure, exit, venue};
use crate::server::dashboard::Dashboard;
use crate::server::venue::{FrontConfig, VenueHandle, spawn, wall_now};
use crate::sim::latency::LatencyModel;
use crate::sim::{Balances, Venue, all_trades};
use crate::types::{DurationNs, Instrument, SessionId, TimestampNs};

/// What a demo is about to do.
#[derive(Debug)]
pub struct Plan {
    /// The venue's market.
    pub flow: FlowArgs,
    /// The output folder.
    pub out: PathBuf,
    /// The flags.
    pub args: DemoArgs,
}

/// The configuration of a demo: what the flags ask for over what the user has set.
fn configure(plan: &Plan) -> Result<Config, Failure> {
    let fee_bps = plan.fee_bps();
    let presets = [
        // The quoter is told what the venue takes.
        ("quoter.maker_fee_bps", fee_bps.to_string()),
        // The synthetic market's makers stand ten ticks from the mid: quotes inside theirs are met by its takers.
        ("quoter.half_spread_ticks", "5".to_owned()),
        ("quoter.k_ticks", "4".to_owned()),
        ("log.filter", "warn".to_owned()),
    ];
    let presets: Vec<(&str, &str)> = presets.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut config = plan.args.config.load_over(&presets)?;
    refuse_idle_redis(&config, plan.args.virtual_time)?;
    config.journal.dir = plan.out.join("journal");
    crate::cli::start_log(&config.log.filter)?;
    Ok(config)
}

/// A demo's market is its own venue's, and virtual time has nothing to do with a server on the wall clock.
fn refuse_idle_redis(config: &Config, virtual_time: bool) -> Result<(), Failure> {
    if config.redis.url.is_empty() || !(virtual_time || config.redis.is_source()) {
        return Ok(());
    }
    Err(Failure::new(
        "E_REDIS_003",
        exit::CONFIG,
        if virtual_time {
            "a demo in virtual time publishes nothing"
        } else {
            "a demo cannot read its market from Redis"
        },
        if virtual_time { "redis.url is set" } else { "redis.role is `source`" },
        "leave redis.url empty here; `run` and `record` read from Redis, and a demo on the wall clock publishes there",
    ))
}

impl Plan {
    /// The maker commission, in 1e-4 of the notional.
    pub fn fee_bps(&self) -> f64 {
        self.args.fee_bps.0 as f64 / 1e4
    }

    /// What the files say of the session.
    pub fn caption(&self) -> Caption {
        let source = match self.args.data.as_slice() {
            [] => "synthetic".to_owned(),
            files => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" "),
        };
        let (seed, fee_bps, out) = (self.args.seed, self.fee_bps(), self.out.clone());
        Caption { mode: "demo", seed, source, fee_bps, exchange: None, out }
    }

    /// The embedded venue takes the same from makers and takers.
    fn rules(&self, config: &Config) -> KpiRules {
        KpiRules { taker_fee_bps: self.fee_bps(), ..config.report.clone() }
    }
}

fn balances(venue: &Venue, instruments: &[Instrument]) -> Vec<(i64, i64)> {
    let balances: Balances = venue.account(CLIENT).unwrap_or_default();
    let total = |asset| balances.of(asset).total_e8();
    instruments.iter().map(|one| (total(one.spec.base), total(one.spec.quote))).collect()
}

fn ask(venue: &Venue, instruments: &[Instrument], before: &[(i64, i64)]) -> VenueWord {
    let now = balances(venue, instruments);
    let mut causes = Causes::default();
    for row in all_trades(venue, CLIENT, instruments) {
        causes.push(row.symbol, row.trade_id, row.cause);
    }
    VenueWord {
        balance_changes: now.iter().zip(before).map(|(now, then)| (now.0 - then.0, now.1 - then.1)).collect(),
        causes,
        open_orders: venue.open_orders(CLIENT, None).len(),
        flow_digests: instruments.iter().map(|one| venue.flow_digest(one.id)).collect(),
    }
}

/// In virtual time. The start is a constant, so that a seed gives the same bytes.
pub fn run_virtual(plan: &Plan) -> Result<Ended, Failure> {
    // 2026-01-01T00:00:00Z: any fixed time would do.
    const START: TimestampNs = TimestampNs::from_millis(1_767_225_600_000);
    let config = configure(plan)?;
    let market = plan.flow.plan(START)?;
    let venue = Venue::new(market.venue, market.sources).map_err(|error| {
        Failure::new("E_DEMO_002", exit::USAGE, "the market cannot be played", error.to_string(), "give another market")
    })?;
    let session = SessionId(START.millis() + plan.args.seed);
    let outcome = virtual_session::run(
        &VirtualConfig {
            session,
            mode: "demo",
            pipeline: config.pipeline(),
            warm: crate::run::warm::read(&config.warm.state_file)?,
            length: DurationNs::from_nanos((plan.args.seconds * 1e9) as u64),
            latencies: LatencyModel::default(),
            journal_dir: config.journal.dir.clone(),
            account: CLIENT,
        },
        venue,
    )?;
    Ok(Ended::in_virtual_time(session, outcome, plan.rules(&config)))
}

/// Over loopback sockets, on the wall clock.
pub fn run_live(plan: &Plan) -> Result<Ended, Failure> {
    let mut config = configure(plan)?;
    let signals = Signals::watch()?;
    let market = plan.flow.plan(wall_now())?;
    let instruments: Vec<Instrument> = market.venue.symbols.iter().map(|symbol| symbol.instrument).collect();
    let mut venue = spawn(FrontConfig { port: 0, pace: market.pace, venue: market.venue, sources: market.sources })
        .map_err(|error| venue::failure(&error))?;
    point_at(&mut config, &venue, &instruments);
    let keys = keys_of(&venue)?;
    let before = venue.with_venue(|venue| balances(venue, &instruments));
    let engine = engine::start(&config, Some(&keys), EngineMode::Live, "demo", None)?;
    let live = engine.live();
    let seats = live.plan().to_owned();
    let board = Arc::clone(live.board());
    let began = Instant::now();
    let length = Duration::from_secs_f64(plan.args.seconds);
    let (summary, first_quote_ms) = {
        let dashboard = engine::dashboard(plan.args.port, &live);
        let mut screen = Screen::open(plan.args.json, dashboard.as_ref().map(Dashboard::url), length);
        let mut first_quote_ms = None;
        while !engine.is_finished() {
            if first_quote_ms.is_none() && board.count(Count::OrdersSent) > 0 {
                first_quote_ms = Some(crate::run::since_start().as_secs_f64() * 1e3);
            }
            let over = began.elapsed() >= length || venue.with_venue(|venue| venue.is_exhausted());
            if signals.asked() || screen.asked_to_end() || over {
                break;
            }
            screen.show(&live, began.elapsed());
            // Fine until the first quote, whose time is a promise; then what a reader can follow.
            std::thread::sleep(Duration::from_millis(if first_quote_ms.is_none() { 2 } else { 50 }));
        }
        engine.stop();
        screen.close();
        (engine.join(), first_quote_ms)
    };
    let lasted = DurationNs::from_nanos(began.elapsed().as_nanos() as u64);
    // The engine is gone and its orders are cancelled: what the venue says now is final.
    let word = venue.with_venue(|venue| ask(venue, &instruments, &before));
    if let Err(error) = venue.stop() {
        tracing::warn!("the venue: {error}");
    }
    let EngineSummary {
        session, journal, instruments, tick_to_order, hops, open_orders_at_exit, redis, failure, ..
    } = summary;
    // Asked over REST by the engine; the venue's own state must not say less.
    let open_orders = word.open_orders.max(open_orders_at_exit.unwrap_or(0));
    Ok(Ended {
        session,
        journal,
        clock: "wall",
        lasted,
        instruments,
        venue: VenueWord { open_orders, ..word },
        latency: tick_to_order,
        hops,
        first_quote_ms,
        desyncs: board.count(Count::Desyncs),
        redis,
        plan: Some(seats),
        rules: plan.rules(&config),
        failure,
    })
}

fn point_at(config: &mut Config, venue: &VenueHandle, instruments: &[Instrument]) {
    config.venue.profile = crate::config::Profile::Local;
    config.venue.rest_url = venue.rest_url();
    config.venue.ws_url = venue.ws_url();
    config.venue.ws_api_url = venue.ws_api_url();
    config.symbols = instruments.iter().map(|one| one.symbol().to_owned()).collect();
}

fn keys_of(venue: &VenueHandle) -> Result<ApiKeys, Failure> {
    let keys = venue.keys().first().ok_or_else(|| Failure::bug("the demo's venue has no account"))?;
    Ok(ApiKeys { key: keys.api_key.clone().into(), secret: keys.api_secret.clone() })
}
