//! The sections of the configuration, as types.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::kpi::KpiRules;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{
    ConfigError, EstimatorsConfig, FeaturesConfig, OrdersConfig, PipelineConfig, QuoterConfig, RiskConfig,
};
use crate::redis::{check_url, without_password};
use crate::run::{Failure, exit};
use crate::sim::latency::LatencyModel;
use crate::sim::{FillModel, UnknownFillModel};
use crate::types::{Asset, Instrument, parse_e8};
use crate::venue::binance::decode::DecoderKind;

/// Everything that can be configured. Made by [`ConfigArgs::load`](super::ConfigArgs::load).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is traded, as the venue names it.
    pub symbols: Vec<String>,
    /// Where orders and market data go and come from.
    pub venue: VenueConfig,
    /// Which quotes are wanted.
    pub quoter: QuoterConfig,
    /// Estimators of volatility and toxicity.
    pub features: FeaturesConfig,
    /// How the models' parameters are learnt.
    pub estimators: EstimatorsConfig,
    /// What a session begins with.
    pub warm: WarmConfig,
    /// How orders are kept.
    pub orders: OrdersConfig,
    /// What is never done, whatever the quoter wants.
    pub risk: RiskConfig,
    /// What stands for the venue in a backtest and in paper mode.
    pub exchange: ExchangeConfig,
    /// Leave to trade for real.
    pub live: LiveConfig,
    /// Tiles, cores, rings.
    pub topology: TopologyConfig,
    /// The journal on disk.
    pub journal: JournalConfig,
    /// The optional Redis server.
    pub redis: RedisConfig,
    /// What the KPIs' definitions leave open.
    pub report: KpiRules,
    /// /metrics and the dashboard.
    pub metrics: MetricsConfig,
    /// Logging.
    pub log: LogConfig,
}

/// Which rules and urls apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Binance Spot.
    Binance,
    /// Binance Spot's test network.
    BinanceTestnet,
    /// Binance USD-M futures.
    BinanceUsdm,
    /// Spot rules at urls that must be given.
    Local,
}

/// The road that orders take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// HTTP requests.
    Rest,
    /// The WebSocket API.
    WsApi,
}

/// What form market data comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamForm {
    /// Text.
    Json,
    /// Binance Spot's binary streams.
    Sbe,
}

/// Where orders and market data go and come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    /// Which rules and urls apply.
    pub profile: Profile,
    /// REST base url; empty takes the profile's.
    pub rest_url: String,
    /// WebSocket streams base url; empty takes the profile's.
    pub ws_url: String,
    /// WebSocket API url; empty takes the profile's.
    pub ws_api_url: String,
    /// PEM file of an extra certificate authority; empty for none.
    pub ca_file: PathBuf,
    /// The road that orders take.
    pub transport: Transport,
    /// What form market data comes in.
    pub streams: StreamForm,
    /// Market-data connections that the symbols are dealt over.
    pub connections: usize,
    /// What reads the text frames of the market-data stream.
    pub decoder: DecoderKind,
    /// How old a signed request may be at the venue, in milliseconds.
    pub recv_window_ms: u32,
    /// Patience with an answer, in milliseconds.
    pub request_timeout_ms: u32,
}

/// The urls that a session uses, none of them empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// REST base url, without a slash at its end.
    pub rest_url: String,
    /// WebSocket streams base url, without a slash at its end.
    pub ws_url: String,
    /// The same of the streams that are aggregated; `ws_url` where those have no address of their own.
    pub ws_aggregates_url: String,
    /// WebSocket API url.
    pub ws_api_url: String,
}

impl VenueConfig {
    /// How books join their snapshots there.
    pub const fn rule(&self) -> SyncRule {
        match self.profile {
            Profile::BinanceUsdm => SyncRule::UsdM,
            Profile::Binance | Profile::BinanceTestnet | Profile::Local => SyncRule::Spot,
        }
    }

    /// The urls to use: those given, the profile's for the others.
    ///
    /// # Errors
    /// When a url is missing or is not of its scheme.
    pub fn endpoints(&self) -> Result<Endpoints, Failure> {
        // reference: Binance "General API Information", base endpoints of each product; USD-M's "Base URL Split": since
        // 2026-04 books, touches and prints are under /public, aggregated trades under /market.
        let (rest, ws, ws_api) = match self.profile {
            Profile::Binance => {
                ("https://api.binance.com", "wss://stream.binance.com:9443", "wss://ws-api.binance.com:443/ws-api/v3")
            }
            Profile::BinanceTestnet => (
                "https://testnet.binance.vision",
                "wss://stream.testnet.binance.vision",
                "wss://ws-api.testnet.binance.vision/ws-api/v3",
            ),
            Profile::BinanceUsdm => {
                ("https://fapi.binance.com", "wss://fstream.binance.com/public", "wss://ws-fapi.binance.com/ws-fapi/v1")
            }
            Profile::Local => ("", "", ""),
        };
        // reference: sbe-market-data-streams, base endpoint. A server of one's own says where it has them.
        let ws = match (self.streams, self.profile) {
            (StreamForm::Json, _) | (StreamForm::Sbe, Profile::Local) => ws,
            (StreamForm::Sbe, Profile::Binance) => "wss://stream-sbe.binance.com:9443",
            (StreamForm::Sbe, Profile::BinanceTestnet) => "wss://stream-sbe.testnet.binance.vision",
            (StreamForm::Sbe, Profile::BinanceUsdm) => {
                return Err(Failure::new(
                    "E_CONF_004",
                    exit::CONFIG,
                    "venue.streams is `sbe`, and venue.profile is `binance-usdm`",
                    "USD-M has no SBE market streams",
                    "use --set venue.streams=json",
                ));
            }
        };
        let pick = |key: &str, given: &str, profiles: &str, schemes: [&str; 2]| -> Result<String, Failure> {
            let url = if given.is_empty() { profiles } else { given };
            let url = url.trim_end_matches('/');
            if schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
                return Ok(url.to_owned());
            }
            Err(Failure::new(
                "E_CONF_005",
                exit::CONFIG,
                if url.is_empty() { format!("venue.{key} is missing") } else { format!("venue.{key} is `{url}`") },
                format!("a url that starts with {} or {} is needed", schemes[0], schemes[1]),
                format!("give it with --set venue.{key}=…, or choose a venue.profile that has one"),
            ))
        };
        let ws_url = pick("ws_url", &self.ws_url, ws, ["ws://", "wss://"])?;
        let split = ws_url.strip_suffix("/public").filter(|_| self.profile == Profile::BinanceUsdm);
        Ok(Endpoints {
            rest_url: pick("rest_url", &self.rest_url, rest, ["http://", "https://"])?,
            ws_aggregates_url: split.map_or_else(|| ws_url.clone(), |base| format!("{base}/market")),
            ws_url,
            ws_api_url: pick("ws_api_url", &self.ws_api_url, ws_api, ["ws://", "wss://"])?,
        })
    }
}

/// What a session begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmConfig {
    /// State that is read at the start, when it is there, and written at the end; empty for none.
    pub state_file: PathBuf,
    /// Whether recent trades of the venue are asked for at the start.
    pub backfill: bool,
    /// How many of them, at most.
    pub backfill_trades: usize,
}

/// What stands for the venue in a backtest and in paper mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeConfig {
    /// The fill model, by name.
    pub fill: String,
    /// How long messages travel: a model's text, or the journal of a session.
    pub latency: String,
    /// What the account starts with: `ASSET=AMOUNT` pairs; empty for the usual.
    pub balances: String,
}

/// What a simulated account starts with of each quote currency, in 1e-8: a million.
const QUOTE_START_E8: i64 = 1_000_000 * 100_000_000;
/// What it starts with of each base currency, in 1e-8: a hundred.
const BASE_START_E8: i64 = 100 * 100_000_000;

impl ExchangeConfig {
    /// The fill model.
    ///
    /// # Errors
    /// When nothing has that name; a configuration that was loaded has one.
    pub fn fill_model(&self) -> Result<FillModel, Failure> {
        self.fill.parse().map_err(|error: UnknownFillModel| self.unusable("fill", &self.fill, error.to_string()))
    }

    /// What the account of a session on these instruments starts with, free, in 1e-8.
    ///
    /// # Errors
    /// When the text cannot be read; a configuration that was loaded has one that can.
    pub fn balances_of(&self, instruments: &[Instrument]) -> Result<Vec<(Asset, i64)>, Failure> {
        if !self.balances.is_empty() {
            return self.balances().map_err(|why| self.unusable("balances", &self.balances, why));
        }
        let mut usual = Vec::new();
        for one in instruments {
            // The quote first: a currency that is one symbol's base and another's quote starts with the larger amount.
            for (asset, amount) in [(one.spec.quote, QUOTE_START_E8), (one.spec.base, BASE_START_E8)] {
                if !usual.iter().any(|(have, _)| *have == asset) {
                    usual.push((asset, amount));
                }
            }
        }
        Ok(usual)
    }

    fn balances(&self) -> Result<Vec<(Asset, i64)>, String> {
        let mut found: Vec<(Asset, i64)> = Vec::new();
        for part in self.balances.split(',').filter(|part| !part.is_empty()) {
            let (name, amount) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is not ASSET=AMOUNT, as in USDT=1000"))?;
            let asset = Asset::new(name.trim()).map_err(|error| format!("`{name}`: {error}"))?;
            let e8 = parse_e8(amount.trim().as_bytes()).map_err(|error| format!("`{amount}`: {error}"))?;
            if e8 < 0 || found.iter().any(|(have, _)| *have == asset) {
                return Err(format!("`{part}`: an asset is named once, with nothing owed"));
            }
            found.push((asset, e8));
        }
        Ok(found)
    }

    fn unusable(&self, key: &str, value: &str, why: String) -> Failure {
        let what = format!("exchange.{key} is `{value}`");
        Failure::new("E_CONF_004", exit::CONFIG, what, why, "`touchline run --print-config` shows what it may be")
    }
}

/// Leave to trade for real.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveConfig {
    /// Must be true, here or by `--live`.
    pub confirm: bool,
}

/// How tiles share cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// By the cores that the process may use.
    Auto,
    /// One runner steps all hot tiles in turn.
    Fused,
    /// A thread for each hot tile.
    Split,
}

/// What an idle tile does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// Spin on a core of its own, park otherwise.
    Auto,
    /// Ask again at once.
    Spin,
    /// Let others run, then ask again.
    Yield,
    /// Sleep briefly, then ask again.
    Park,
}

/// Whether the engine's memory is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMemory {
    /// Where the system allows it; a refusal is told in the log.
    Auto,
    /// Always; a refusal ends the start.
    On,
    /// Never.
    Off,
}

/// Tiles, cores, rings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopologyConfig {
    /// How tiles share cores.
    pub plan: PlanKind,
    /// Cores to use, by number; empty for all that the process may use.
    pub cores: Vec<usize>,
    /// What an idle tile does.
    pub idle: Idle,
    /// Whether the engine's memory is locked.
    pub lock_memory: LockMemory,
    /// How long a read of a market socket may poll the network card, in microseconds; 0 for never.
    pub busy_poll_us: u32,
    /// How long a fused gateway may hold the reader, in microseconds.
    pub fused_deadline_us: u64,
    /// Pauses between the scenes of a rehearsal of an idle fused thread, all together, in microseconds; 0 for none.
    pub rehearse_us: u64,
    /// Depth of the feed-book link, in units of 64 bytes.
    pub feed_book_units: usize,
    /// Depth of the book-quote link.
    pub book_quote_depth: usize,
    /// Depth of each quote-gateway link.
    pub quote_gateway_depth: usize,
    /// Depth of each gateway-quote link.
    pub gateway_quote_depth: usize,
}

/// The journal on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// Folder that receives one folder a session.
    pub dir: PathBuf,
    /// Size of a segment, in MiB.
    pub segment_mb: u64,
    /// Age at which a segment is sealed, in seconds.
    pub segment_s: u64,
    /// Interval between syncs, in milliseconds.
    pub sync_ms: u64,
    /// MiB that are kept free for the end of a session whose disk is full; 0 for none.
    pub ballast_mb: u64,
    /// Most GiB of all sessions in `dir` when a session starts; 0 keeps all.
    pub keep_gb: u64,
    /// Days after its last write that a session is kept; 0 keeps all.
    pub keep_days: u64,
    /// Folder of the archive that a running engine makes; empty for none.
    pub archive_dir: PathBuf,
}

/// What a Redis server is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisRole {
    /// Market data goes there.
    Sink,
    /// Market data comes from there.
    Source,
}

/// A url that may hold a password: shown and written without it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The whole url, for whoever connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&without_password(&self.0))
    }
}

/// The optional Redis server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Empty for none.
    pub url: SecretUrl,
    /// What it is to the session.
    pub role: RedisRole,
    /// About how many entries each stream keeps.
    pub maxlen: u64,
    /// What waits for a server that is away, in KiB.
    pub queue_kb: usize,
    /// Longest time between two whole books, in milliseconds.
    pub book_ms: u64,
    /// Time between two marks of the profit, in milliseconds.
    pub mark_ms: u64,
}

impl RedisConfig {
    /// Whether market data comes from the server.
    pub fn is_source(&self) -> bool {
        !self.url.is_empty() && self.role == RedisRole::Source
    }
}

/// /metrics and the dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Whether they are served at all.
    pub enabled: bool,
    /// A file for the raw stamps of each tick that led to an order, a line each; empty for none.
    pub stamps_file: String,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A level, or `module=level` pairs.
    pub filter: String,
}

impl Config {
    /// The part that decisions are made from; the journal keeps it with every session.
    pub fn pipeline(&self) -> PipelineConfig {
        PipelineConfig {
            features: self.features.clone(),
            estimators: self.estimators.clone(),
            quoter: self.quoter.clone(),
            orders: self.orders.clone(),
            risk: self.risk.clone(),
        }
    }

    /// What the types alone cannot say: the first rule that is broken, as the key and the rule.
    pub(super) fn broken_rule(&self) -> Option<(&'static str, String)> {
        let ring = |key, depth: usize| {
            (depth < 2).then(|| (key, format!("a ring needs at least 2 places, {depth} are configured")))
        };
        if self.symbols.is_empty() {
            return Some(("symbols", "at least one symbol is needed".into()));
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            if symbol.is_empty()
                || symbol.len() > 20
                || !symbol.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            {
                return Some((
                    "symbols",
                    format!("`{symbol}` is not a symbol: capital letters and digits, at most 20"),
                ));
            }
            if self.symbols[..index].contains(symbol) {
                return Some(("symbols", format!("`{symbol}` stands twice")));
            }
        }
        if !(1..=self.symbols.len()).contains(&self.venue.connections) {
            let why = format!("1 to the number of symbols, which is {}", self.symbols.len());
            return Some(("venue.connections", why));
        }
        if self.venue.recv_window_ms == 0 || self.venue.recv_window_ms > 60_000 {
            return Some(("venue.recv_window_ms", "the venue allows 1 to 60000 milliseconds".into()));
        }
        if self.venue.request_timeout_ms == 0 {
            return Some(("venue.request_timeout_ms", "zero patience makes every order unknown".into()));
        }
        if !self.redis.url.is_empty()
            && let Err(why) = check_url(self.redis.url.expose())
        {
            return Some(("redis.url", why));
        }
        if self.redis.url.is_empty() && self.redis.role == RedisRole::Source {
            return Some(("redis.role", "a source needs redis.url".into()));
        }
        if self.redis.is_source() && self.venue.rule() == SyncRule::UsdM {
            return Some((
                "redis.role",
                "a source joins whole books to diffs by Spot's rule, which USD-M's do not follow".into(),
            ));
        }
        if !(100..=100_000_000).contains(&self.redis.maxlen) {
            return Some(("redis.maxlen", "a stream keeps 100 to 100000000 entries".into()));
        }
        if !(64..=1 << 20).contains(&self.redis.queue_kb) {
            return Some(("redis.queue_kb", "64 to 1048576 KiB may wait".into()));
        }
        if !(100..=3_600_000).contains(&self.redis.book_ms) || !(10..=3_600_000).contains(&self.redis.mark_ms) {
            let key = if (100..=3_600_000).contains(&self.redis.book_ms) { "redis.mark_ms" } else { "redis.book_ms" };
            return Some((key, "from 100 (mark_ms: 10) to 3600000 milliseconds".into()));
        }
        if !(0.01..=10_000.0).contains(&self.report.uptime_band_bps) {
            return Some((
                "report.uptime_band_bps",
                "0.01 to 10000 basis points: a hundredth of one to the whole price".into(),
            ));
        }
        if !(self.report.risk_share > 0.0 && self.report.risk_share <= 1.0) {
            return Some(("report.risk_share", "above 0, up to 1".into()));
        }
        if !(-100.0..=1000.0).contains(&self.report.taker_fee_bps) {
            return Some(("report.taker_fee_bps", "-100 to 1000 basis points, a rebate below nought".into()));
        }
        if let Err(error) = self.exchange.fill.parse::<FillModel>() {
            return Some(("exchange.fill", error.to_string()));
        }
        if let Err(error) = self.exchange.latency.parse::<LatencyModel>()
            && !std::path::Path::new(&self.exchange.latency).exists()
        {
            return Some(("exchange.latency", format!("{error}; or a journal, which is not there either")));
        }
        if let Err(why) = self.exchange.balances() {
            return Some(("exchange.balances", why));
        }
        if self.journal.segment_mb == 0 || self.journal.segment_mb > 4096 {
            return Some(("journal.segment_mb", "a segment has 1 to 4096 MiB".into()));
        }
        if self.journal.ballast_mb > 4096 {
            return Some(("journal.ballast_mb", "0 for none, or at most 4096 MiB".into()));
        }
        if self.journal.keep_gb > 1 << 20 {
            return Some(("journal.keep_gb", "0 to keep all, or at most 1048576 GiB".into()));
        }
        if self.journal.keep_days > 36_500 {
            return Some(("journal.keep_days", "0 to keep all, or at most 36500 days".into()));
        }
        if self.journal.segment_s == 0 {
            return Some(("journal.segment_s", "a segment must live at least one second".into()));
        }
        if self.topology.busy_poll_us > 1000 {
            return Some(("topology.busy_poll_us", "0 for never, or at most 1000 microseconds".into()));
        }
        // A snapshot of 5000 levels a side has 160 kB: 2504 units must fit, or no book ever syncs.
        if self.topology.feed_book_units < 4096 {
            return Some(("topology.feed_book_units", "4096 units at least: a whole snapshot must fit".into()));
        }
        if self.warm.backfill_trades == 0 || self.warm.backfill_trades > 100_000 {
            return Some(("warm.backfill_trades", "1 to 100000 trades may be asked for; backfill turns it off".into()));
        }
        match self.pipeline().check() {
            Ok(()) => {}
            Err(error @ (ConfigError::Range { key, .. } | ConfigError::Conflict { key, .. })) => {
                return Some((key, error.to_string()));
            }
        }
        ring("topology.book_quote_depth", self.topology.book_quote_depth)
            .or_else(|| ring("topology.quote_gateway_depth", self.topology.quote_gateway_depth))
            .or_else(|| ring("topology.gateway_quote_depth", self.topology.gateway_quote_depth))
    }
}
