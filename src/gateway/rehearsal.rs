//! A gateway whose orders come back to ourselves: the same words, signatures, library and system calls as an order's, so
//! that their code is in the processor's caches when an order comes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use quanta::Clock;
use secrecy::ExposeSecret;
use ureq::Error;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::addresses::KeptAddresses;
use super::clock::VenueClock;
use super::entry::{OrderEntry, RestEntry};
use super::http::{Http, HttpError};
use super::limiter::Limiter;
use super::transport::{SpinConnector, SpinTransport, Wire};
use super::worker::{Gateway, GatewayConfig};
use crate::feed::{Connection, FarEnd, client_config};
use crate::types::{Command, Instrument};
use crate::venue::binance::rest::{RateLimits, Reply, path};
use crate::venue::binance::ws_api::ApiRequestBuilder;

/// A literal address, so that nobody is asked for it; nothing is ever sent there.
const NOWHERE: &str = "http://127.0.0.1:9";
/// The venue's answer, to an order that rests as well as to one that is taken back.
const DONE: &str = r#"{"symbol":"X","orderId":1,"orderListId":-1,"clientOrderId":"x","transactTime":1,"executedQty":"0","status":"CANCELED"}"#;

impl Gateway {
    /// A gateway for rehearsals of what `config` sends. It answers each placement at once, as a venue that takes it, and
    /// shares neither connections nor limits with any other.
    ///
    /// # Errors
    /// When the system gives no socket, or the client cannot be made.
    pub fn rehearsing(config: &GatewayConfig) -> io::Result<Gateway> {
        let limits = RateLimits { weight_per_minute: u32::MAX, orders_per_10s: u32::MAX, orders_per_day: u32::MAX };
        let config = GatewayConfig {
            rest_url: NOWHERE.to_owned(),
            clock: VenueClock::default(),
            limiter: Limiter::new(limits),
            ..config.clone()
        };
        let http = mirror_http(&config).map_err(io::Error::other)?;
        let entry: Box<dyn OrderEntry> = if config.api_url.is_some() {
            // Nothing there is encrypted; the connection has to be told how all the same.
            let tls = client_config(None).map_err(io::Error::other)?;
            let (far, near) = FarEnd::with_connection(tls, Clock::new())?;
            let builder = ApiRequestBuilder::new(config.recv_window_ms);
            Box::new(MirrorApi { builder, near, far, config: config.clone() })
        } else {
            let http = mirror_http(&config).map_err(io::Error::other)?.ahead_to(path::ORDER);
            Box::new(RestEntry::new(http, config.recv_window_ms, Arc::clone(&config.signer)))
        };
        Ok(Gateway::over(config, entry, http))
    }
}

fn mirror_http(config: &GatewayConfig) -> Result<Http, HttpError> {
    let (failed, wire) = (Arc::new(AtomicBool::new(false)), Arc::new(Wire::default()));
    let connector = MirrorConnector(SpinConnector::new(Duration::ZERO, Arc::clone(&wire), Arc::clone(&failed)));
    let resolver = KeptAddresses::new(DefaultResolver::default(), failed);
    Http::over(NOWHERE, Some(&config.api_key), Duration::from_secs(1), wire, |agent| {
        ureq::Agent::with_parts(agent.build(), connector, resolver)
    })
}

/// Connects to ourselves, whoever is asked for.
#[derive(Debug)]
struct MirrorConnector(SpinConnector);

impl<In: Transport> Connector<In> for MirrorConnector {
    type Out = MirrorTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<In>) -> Result<Option<MirrorTransport>, Error> {
        let mut far = None;
        let near = self.0.over(details, || {
            let (end, near) = FarEnd::new()?;
            far = Some(end);
            Ok(near)
        })?;
        Ok(far.map(|far| MirrorTransport { near, far }))
    }
}

/// The transport of orders, with the far end in our own hands: it forgets what is sent and answers [`DONE`].
#[derive(Debug)]
struct MirrorTransport {
    near: SpinTransport,
    far: FarEnd,
}

impl Transport for MirrorTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.near.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.near.transmit_output(amount, timeout)
    }

    /// Nobody waits for what an answer costs: it is in the buffer at once.
    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        use std::io::Write;
        self.far.forget();
        let mut room = self.near.buffers().input_append_buf();
        let whole = room.len();
        write!(room, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{DONE}", DONE.len())?;
        let amount = whole - room.len();
        self.near.buffers().input_appended(amount);
        Ok(true)
    }

    fn is_open(&mut self) -> bool {
        self.near.is_open()
    }
}

/// The WebSocket API's words to ourselves.
struct MirrorApi {
    builder: ApiRequestBuilder,
    near: Connection,
    far: FarEnd,
    config: GatewayConfig,
}

impl OrderEntry for MirrorApi {
    fn open(&mut self) {}

    fn send(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        handed_over: &mut dyn FnMut(),
    ) -> Reply<'_> {
        // A key that can log on does, and nothing after it is signed.
        let signer = self.config.signer.as_ref();
        let login = (!signer.is_ed25519()).then(|| (self.config.api_key.expose_secret(), signer));
        let sent = self.near.send(self.builder.command(command, instrument, timestamp_ms, login));
        handed_over();
        self.far.forget();
        match sent {
            Ok(()) => Reply::Answer { status: 200, body: DONE.as_bytes() },
            Err(_) => Reply::Lost,
        }
    }

    fn wire_times(&self) -> [u64; 2] {
        self.near.write_tsc()
    }
}
