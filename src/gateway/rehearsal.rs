//! A gateway whose orders go nowhere: the same words, signatures and library calls as an order's, so that their code is in
//! the processor's caches when an order comes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::ExposeSecret;
use ureq::Error;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::addresses::KeptAddresses;
use super::clock::VenueClock;
use super::entry::{OrderEntry, RestEntry};
use super::http::{Http, HttpError};
use super::limiter::Limiter;
use super::worker::{Gateway, GatewayConfig};
use crate::types::{Command, Instrument};
use crate::venue::binance::rest::{RateLimits, Reply};
use crate::venue::binance::ws_api::ApiRequestBuilder;

/// A literal address, so that nobody is asked for it; nothing is ever sent there.
const NOWHERE: &str = "http://127.0.0.1:9";
/// The venue's answer to an order that rests.
const PLACED: &str = r#"{"symbol":"X","orderId":1,"orderListId":-1,"clientOrderId":"x","transactTime":1}"#;

impl Gateway {
    /// A gateway for rehearsals of what `config` sends. It answers each placement at once, as a venue that takes it, and
    /// shares neither connections nor limits with any other.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn rehearsing(config: &GatewayConfig) -> Result<Gateway, HttpError> {
        let limits = RateLimits { weight_per_minute: u32::MAX, orders_per_10s: u32::MAX, orders_per_day: u32::MAX };
        let config = GatewayConfig {
            rest_url: NOWHERE.to_owned(),
            clock: VenueClock::default(),
            limiter: Limiter::new(limits),
            ..config.clone()
        };
        let http = dry_http(&config)?;
        let entry: Box<dyn OrderEntry> = if config.api_url.is_some() {
            Box::new(DryApi { builder: ApiRequestBuilder::new(config.recv_window_ms), config: config.clone() })
        } else {
            Box::new(RestEntry::new(dry_http(&config)?, config.recv_window_ms, Arc::clone(&config.signer)))
        };
        Ok(Gateway::over(config, entry, http))
    }
}

fn dry_http(config: &GatewayConfig) -> Result<Http, HttpError> {
    let resolver = KeptAddresses::new(DefaultResolver::default(), Arc::new(AtomicBool::new(false)));
    Http::over(NOWHERE, Some(&config.api_key), Duration::from_secs(1), |agent| {
        ureq::Agent::with_parts(agent.build(), DryConnector, resolver)
    })
}

#[derive(Debug)]
struct DryConnector;

impl<In: Transport> Connector<In> for DryConnector {
    type Out = DryTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<In>) -> Result<Option<DryTransport>, Error> {
        let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(DryTransport { buffers: LazyBuffers::new(input, output) }))
    }
}

/// A connection that forgets what is sent and answers [`PLACED`].
#[derive(Debug)]
struct DryTransport {
    buffers: LazyBuffers,
}

impl Transport for DryTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        use std::io::Write;
        let mut room = self.buffers.input_append_buf();
        let whole = room.len();
        write!(room, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{PLACED}", PLACED.len())?;
        let amount = whole - room.len();
        self.buffers.input_appended(amount);
        Ok(true)
    }

    fn is_open(&mut self) -> bool {
        true
    }
}

/// The WebSocket API's words without its connection.
struct DryApi {
    builder: ApiRequestBuilder,
    config: GatewayConfig,
}

impl OrderEntry for DryApi {
    fn open(&mut self) {}

    fn send(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        handed_over: &mut dyn FnMut(),
    ) -> Reply<'_> {
        let login = Some((self.config.api_key.expose_secret(), self.config.signer.as_ref()));
        let text = self.builder.command(command, instrument, timestamp_ms, login);
        handed_over();
        std::hint::black_box(text);
        Reply::Answer { status: 200, body: PLACED.as_bytes() }
    }

    fn wire_times(&self) -> [u64; 2] {
        [0; 2]
    }
}
