//! The embedded venue's front: Binance Spot's REST, WebSocket streams and WebSocket API on one port of 127.0.0.1.
//!
//! Owns one thread with a single-threaded runtime; everything that the venue does happens there. Started by
//! `run::venue` and by the demo. It matches nothing and holds no balance: [`crate::sim::Venue`] does, and the front
//! renders it. It never listens beyond this machine.
//!
//! What is served and where it differs from Binance is in `docs/VENUE.md`.

mod admin;
mod api_socket;
mod candles;
mod clock;
mod depth_second;
mod driver;
mod faulty;
mod front;
mod gate;
mod hub;
mod json;
mod keys;
mod link;
mod market;
mod operation;
mod params;
mod refusal;
mod render;
mod render_market;
mod rest;
mod shared;
mod stream_name;
mod streams;
mod trading;
mod weight;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use secrecy::ExposeSecret;
use tokio::sync::oneshot;

pub use clock::{Pace, wall_now};
pub use keys::{AccountKeys, NoRandomness};

use front::Front;
use gate::{Gates, Switch};
use json::{Object, push_list, push_text};
use keys::KeyRing;
use shared::Shared;

use crate::sim::faults::FaultCount;
use crate::sim::{MarketSource, Venue, VenueConfig, VenueConfigError};

/// How long connections may take to read the news of the venue's end.
const FAREWELL: Duration = Duration::from_millis(100);

/// What the front serves and where.
#[derive(Debug)]
pub struct FrontConfig {
    /// Port on 127.0.0.1; 0 for one that is free.
    pub port: u16,
    /// How fast the venue's time passes.
    pub pace: Pace,
    /// The venue. Each of its accounts gets keys.
    pub venue: VenueConfig,
    /// Flow of each symbol.
    pub sources: Vec<MarketSource>,
}

/// Why the venue could not be started or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The venue's configuration contradicts itself.
    #[error("the venue cannot be built: {0}")]
    Venue(#[from] VenueConfigError),
    /// No keys could be made.
    #[error(transparent)]
    Keys(#[from] NoRandomness),
    /// The venue's thread or its runtime could not be started.
    #[error("the venue's thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The venue's thread panicked or its server ended by itself.
    #[error("the venue ended by itself: {0}")]
    Died(String),
}

/// A running venue. Dropping it ends the venue.
pub struct VenueHandle {
    address: SocketAddr,
    keys: Vec<AccountKeys>,
    symbols: Vec<String>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), FrontError>>>,
}

/// Starts a venue; it answers as soon as this returns.
///
/// # Errors
/// [`FrontError`].
pub fn spawn(config: FrontConfig) -> Result<VenueHandle, FrontError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
    let bind = |cause| FrontError::Bind { address, cause };
    let listener = TcpListener::bind(address).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;

    let accounts = config.venue.accounts.iter().map(|account| AccountKeys::generate(account.id));
    let keys = accounts.collect::<Result<Vec<_>, _>>()?;
    let mut ring = KeyRing::default();
    keys.iter().for_each(|one| ring.add(one));
    let symbols = config.venue.symbols.iter().map(|symbol| symbol.instrument.symbol().to_owned()).collect();
    let venue = Venue::new(config.venue, config.sources)?;
    let shared = Arc::new(Shared::new(Front::new(venue, ring, config.pace)));

    let (stop, stopped) = oneshot::channel();
    let served = Arc::clone(&shared);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(FrontError::Thread)?;
    let thread = std::thread::Builder::new()
        .name("venue".to_owned())
        .spawn(move || runtime.block_on(serve(listener, served, stopped)))
        .map_err(FrontError::Thread)?;
    Ok(VenueHandle { address, keys, symbols, shared, stop: Some(stop), thread: Some(thread) })
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) -> Result<(), FrontError> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(FrontError::Thread)?;
    let entries = ["", "/usdm", "/usdm/public", "/usdm/market", "/sbe"];
    let addresses =
        entries.iter().flat_map(|entry| ["/ws", "/ws/{*names}", "/stream"].map(|end| format!("{entry}{end}")));
    let streams = addresses.fold(Router::new(), |router, address| router.route(&address, any(streams::handle)));
    let router = streams
        .route("/stream/ws", any(streams::handle))
        .route("/stream/ws/{*names}", any(streams::handle))
        .route("/ws-api/v3", any(api_socket::handle))
        .fallback(rest::handle)
        .with_state(Arc::clone(&shared));
    let driver = tokio::spawn(driver::drive(Arc::clone(&shared)));
    let service = router.into_make_service_with_connect_info::<Switch>();
    let server = async { axum::serve(Gates(listener), service).await };
    tokio::select! {
        // A handle that was dropped without a word ends the venue as well.
        _ = stopped => {}
        ended = driver => {
            let why = ended.err().map_or_else(|| "its driver returned".to_owned(), |error| error.to_string());
            return Err(FrontError::Died(why));
        }
        ended = server => {
            let why = ended.err().map_or_else(|| "its server returned".to_owned(), |error| error.to_string());
            return Err(FrontError::Died(why));
        }
    }
    {
        let mut front = shared.lock();
        front.publish();
        front.hub.shut_down(wall_now());
    }
    tokio::time::sleep(FAREWELL).await;
    Ok(())
}

impl VenueHandle {
    /// Base of REST addresses, without a slash at its end.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Base of stream addresses: `/ws/…` and `/stream?streams=…` go behind it.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Address of the WebSocket API.
    pub fn ws_api_url(&self) -> String {
        format!("ws://{}/ws-api/v3", self.address)
    }

    /// Keys of the accounts, in the order of the configuration.
    pub fn keys(&self) -> &[AccountKeys] {
        &self.keys
    }

    /// Names of the symbols.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// Looks at the venue, which waits meanwhile. It also works after [`VenueHandle::stop`]: reports ask then.
    pub fn with_venue<R>(&self, look: impl FnOnce(&mut Venue) -> R) -> R {
        look(&mut self.shared.lock().venue)
    }

    /// How often each fault has happened since the plan was set.
    pub fn faults(&self) -> Vec<FaultCount> {
        self.shared.lock().misfortune.faults.counts().collect()
    }

    /// Whether the venue still runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// The line that tells a program where the venue is and how to log on: JSON, with the secrets of this run in it.
    pub fn announcement(&self) -> String {
        let mut out = String::with_capacity(1_024);
        let mut object = Object::open(&mut out);
        object.text("rest", &self.rest_url()).text("ws", &self.ws_url()).text("ws_api", &self.ws_api_url());
        if let Some(keys) = self.keys.first() {
            object.text("api_key", &keys.api_key).text("api_secret", keys.api_secret.expose_secret());
        }
        object.with("symbols", |out| push_list(out, &self.symbols, |out, symbol| push_text(out, symbol)));
        if let Some(keys) = self.keys.first() {
            object
                .text("ed25519_api_key", &keys.ed25519_api_key)
                .text("ed25519_private_key", keys.ed25519_private_key.expose_secret());
        }
        object.end();
        out
    }

    /// Tells every connection that the venue ends, and ends it. The venue's state stays readable.
    ///
    /// # Errors
    /// [`FrontError::Died`] when it had ended by itself before.
    pub fn stop(&mut self) -> Result<(), FrontError> {
        if let Some(stop) = self.stop.take() {
            // Nobody listens when the thread has ended by itself; joining it tells why.
            let _ = stop.send(());
        }
        match self.thread.take() {
            None => Ok(()),
            Some(thread) => thread.join().unwrap_or_else(|_| Err(FrontError::Died("its thread panicked".to_owned()))),
        }
    }
}

impl Drop for VenueHandle {
    fn drop(&mut self) {
        // What a dropped handle could report has nobody to hear it.
        let _ = self.stop();
    }
}
