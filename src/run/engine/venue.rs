//! What is asked of the venue before an engine starts, and after it has ended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tracing::{info, warn};

use crate::config::{ApiKeys, Config, Endpoints, StreamForm, Transport};
use crate::gateway::{
    AccountClient, AccountError, Gateway, GatewayConfig, Http, HttpError, Limiter, VenueClock, plain_get,
};
use crate::pipeline::sync::SyncRule;
use crate::run::{Failure, exit};
use crate::types::{ClientOrderId, Command, Instrument, InstrumentId};
use crate::venue::binance::decode::DecodeError;
use crate::venue::binance::exchange_info::decode_exchange_info;
use crate::venue::binance::public::PublicRest;
use crate::venue::binance::rest::{OrderRow, read_rate_limits};
use crate::venue::binance::sign::Signer;

/// How often the venue is asked for what is left before the answer counts as unknown.
const QUESTIONS: usize = 5;

/// What the venue said about itself.
pub struct Venue {
    /// Its urls.
    pub endpoints: Endpoints,
    /// How its books join their snapshots.
    pub rule: SyncRule,
    /// Where its public data is.
    pub public: PublicRest,
    /// The session's instruments, in the configuration's order.
    pub instruments: Vec<Instrument>,
    /// Its request limits, as all gateways count them.
    pub limiter: Limiter,
    /// Its clock.
    pub clock: VenueClock,
    /// An authority to trust.
    pub ca_file: Option<PathBuf>,
    /// How long to wait for an answer.
    pub patience: Duration,
    /// The key that SBE streams want to see; absent where market data comes as text.
    pub stream_key: Option<SecretString>,
}

/// Asks for instruments, limits and clock.
///
/// # Errors
/// When the venue cannot be reached, or does not list a symbol.
pub fn ask(config: &Config, keys: Option<&ApiKeys>) -> Result<Venue, Failure> {
    let (rule, public) = market_of(config);
    let endpoints = config.venue.endpoints()?;
    let stream_key = match config.venue.streams {
        StreamForm::Json => None,
        StreamForm::Sbe => Some(keys.ok_or_else(|| missing_key("SBE streams need an API key", "venue.streams=json"))?),
    };
    let stream_key = stream_key.map(|keys| keys.key.clone());
    let ca_file = Some(config.venue.ca_file.clone()).filter(|path| !path.as_os_str().is_empty());
    let patience = Duration::from_millis(u64::from(config.venue.request_timeout_ms));
    let mut http = Http::new(&endpoints.rest_url, None, ca_file.as_deref(), patience).map_err(bad_client)?;
    // `["A","B"]`, percent-encoded.
    let names: Vec<String> = config.symbols.iter().map(|symbol| format!("%22{symbol}%22")).collect();
    let listed = public.exchange_info;
    let query =
        if public.lists_chosen { format!("{listed}?symbols=%5B{}%5D", names.join(",")) } else { listed.to_owned() };
    let body = plain_get(&mut http, listed, &query)
        .map_err(|error| unreachable_venue(&endpoints.rest_url, &error, &config.symbols))?;
    let symbols: Vec<&str> = config.symbols.iter().map(String::as_str).collect();
    let specs = decode_exchange_info(body, &symbols).map_err(|error| match error {
        DecodeError::UnknownSymbol { index } => unknown_symbol(&config.symbols[index], &endpoints.rest_url),
        other => Failure::new(
            "E_VENUE_002",
            exit::VENUE,
            format!("{}{listed} does not answer as Binance does", endpoints.rest_url),
            other.to_string(),
            "check venue.rest_url: it must be the base of the API that venue.profile names",
        ),
    })?;
    let limiter = Limiter::new(read_rate_limits(body));
    let instruments =
        specs.into_iter().enumerate().map(|(index, spec)| Instrument::new(InstrumentId(index as u16), spec)).collect();
    let clock = VenueClock::default();
    Ok(Venue { endpoints, rule, public, instruments, limiter, clock, ca_file, patience, stream_key })
}

/// How books join at the configured venue, and where its public data is.
fn market_of(config: &Config) -> (SyncRule, PublicRest) {
    let rule = config.venue.rule();
    let public = match rule {
        SyncRule::Spot => PublicRest::SPOT,
        SyncRule::UsdM => PublicRest::USDM,
    };
    (rule, public)
}

/// Refuses to send orders where none can be built.
///
/// # Errors
/// On USD-M.
pub fn takes_orders(config: &Config) -> Result<(), Failure> {
    match config.venue.rule() {
        SyncRule::Spot => Ok(()),
        SyncRule::UsdM => Err(Failure::new(
            "E_RUN_010",
            exit::NOT_BUILT,
            "orders on USD-M futures are not built yet",
            "its market data is followed, its orders are others than Spot's",
            "use --dry-run or paper mode, which need no order at the venue",
        )),
    }
}

/// The venue of a session that asks it nothing: its market comes from elsewhere, and it sends no orders.
pub fn absent(config: &Config, instruments: Vec<Instrument>) -> Venue {
    let none = String::new();
    let (rule, public) = market_of(config);
    Venue {
        rule,
        public,
        endpoints: Endpoints {
            rest_url: none.clone(),
            ws_url: none.clone(),
            ws_aggregates_url: none.clone(),
            ws_api_url: none,
        },
        instruments,
        limiter: Limiter::new(read_rate_limits(b"{}")),
        clock: VenueClock::default(),
        ca_file: None,
        patience: Duration::from_millis(u64::from(config.venue.request_timeout_ms)),
        stream_key: None,
    }
}

fn missing_key(what: &str, instead: &str) -> Failure {
    Failure::new(
        "E_RUN_011",
        exit::CONFIG,
        what,
        "BINANCE_API_KEY and BINANCE_API_SECRET are set neither in the environment nor in .env",
        format!("set both, or use {instead}, which needs none"),
    )
}

/// The credentials, ready for gateways; checked with the venue.
///
/// # Errors
/// When they are missing, unusable or refused.
pub fn log_on(venue: &Venue, config: &Config, keys: Option<&ApiKeys>) -> Result<GatewayConfig, Failure> {
    let keys = keys.ok_or_else(|| missing_key("sending orders needs an API key", "--dry-run"))?;
    let signer = Signer::from_secret(&keys.secret).map_err(|error| {
        Failure::new(
            "E_RUN_012",
            exit::CONFIG,
            "BINANCE_API_SECRET cannot be used",
            error.to_string(),
            "give the HMAC secret, or the PKCS#8 PEM of an Ed25519 key",
        )
    })?;
    let gateways = GatewayConfig {
        rest_url: venue.endpoints.rest_url.clone(),
        api_url: (config.venue.transport == Transport::WsApi).then(|| venue.endpoints.ws_api_url.clone()),
        ca_file: venue.ca_file.clone(),
        api_key: keys.key.clone(),
        signer: Arc::new(signer),
        recv_window_ms: config.venue.recv_window_ms,
        instruments: venue.instruments.clone(),
        clock: venue.clock.clone(),
        limiter: venue.limiter.clone(),
    };
    let mut client = AccountClient::new(&gateways, venue.patience).map_err(bad_client)?;
    let refused = |error: AccountError| match &error {
        AccountError::Refused { status, text, .. } => Failure::new(
            "E_VENUE_003",
            exit::VENUE,
            format!("{} refuses the account (status {status})", venue.endpoints.rest_url),
            text.clone(),
            "check the API key, its permissions and this machine's clock",
        ),
        _ => unreachable_venue(&venue.endpoints.rest_url, &error, &[]),
    };
    client.measure_clock().map_err(refused)?;
    client.balances().map_err(refused)?;
    info!(offset_ms = venue.clock.offset_ns() / 1_000_000, "the venue knows the key");
    Ok(gateways)
}

/// Asks the venue for our open orders, cancels and asks again, until none is left or three rounds have passed. Foreign
/// orders are never touched. Returns how many of ours are left.
///
/// # Errors
/// When the venue cannot be asked: what is left is then not known.
pub fn sweep(gateways: &GatewayConfig, patience: Duration) -> Result<usize, Failure> {
    let failed = |what: String| {
        Failure::new(
            "E_RUN_013",
            exit::HALTED,
            "it is not known whether own orders are still open",
            what,
            "look at the venue's open orders whose client ids begin with `tl`, and cancel them there",
        )
    };
    let mut client = AccountClient::new(gateways, patience).map_err(|error| failed(error.to_string()))?;
    let mut gateway = Gateway::new(gateways, patience, Duration::ZERO).map_err(|error| failed(error.to_string()))?;
    let mut left = 0;
    // Three rounds: the first cancels, the second confirms, the third is for what was on its way during the first.
    for round in 0..3 {
        left = 0;
        for instrument in &gateways.instruments {
            let own = open_orders(&mut client, instrument).map_err(|error| failed(error.to_string()))?;
            for (client_id, row) in own {
                left += 1;
                warn!(%client_id, round, "an own order was left open; cancelling");
                let command = Command::Cancel { instrument: instrument.id, client_id, venue_id: Some(row.venue_id) };
                gateway.serve(&command, |_| ());
            }
        }
        if left == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    if left > 0 {
        left = 0;
        for instrument in &gateways.instruments {
            left += open_orders(&mut client, instrument).map_err(|error| failed(error.to_string()))?.len();
        }
    }
    Ok(left)
}

/// Our open orders of an instrument. A question changes nothing, so an answer that is lost is asked for again.
fn open_orders(
    client: &mut AccountClient,
    instrument: &Instrument,
) -> Result<Vec<(ClientOrderId, OrderRow)>, AccountError> {
    let mut asked = client.own_open_orders(instrument);
    for _ in 1..QUESTIONS {
        if asked.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
        asked = client.own_open_orders(instrument);
    }
    asked
}

pub(super) fn bad_client(error: HttpError) -> Failure {
    Failure::new(
        "E_RUN_014",
        exit::CONFIG,
        "the venue's connection settings cannot be used",
        error.to_string(),
        "check venue.rest_url, venue.ws_url, venue.ws_api_url and venue.ca_file",
    )
}

fn unknown_symbol(symbol: &str, url: &str) -> Failure {
    Failure::new(
        "E_VENUE_004",
        exit::VENUE,
        format!("{url} does not list {symbol}"),
        "the venue knows no such symbol",
        "check `symbols`",
    )
}

fn unreachable_venue(url: &str, error: &AccountError, symbols: &[String]) -> Failure {
    // -1121 is the venue's "Invalid symbol.".
    if let AccountError::Refused { text, .. } = error
        && text.contains("-1121")
    {
        return unknown_symbol(&symbols.join(", "), url);
    }
    Failure::new(
        "E_VENUE_001",
        exit::VENUE,
        format!("the venue at {url} cannot be reached"),
        error.to_string(),
        "check venue.rest_url and the network; `touchline venue` starts a local one",
    )
}
