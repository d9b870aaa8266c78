//! The market's connections: which streams are subscribed to, at which address, dealt over how many sockets.

use secrecy::ExposeSecret;

use super::EngineMode;
use super::assemble::unusable;
use super::venue::Venue;
use crate::feed::{Connection, Relay, RelayPlan, deal};
use crate::run::Failure;
use crate::tiles::feed::{Carried, MarketLine};
use crate::types::{Instrument, SessionId};
use crate::venue::binance::control::stream_name;

/// Streams that decisions need, and with those that only recordings keep.
const STREAMS: [&str; 3] = ["depth@100ms", "trade", "bookTicker"];
const RECORDED_STREAMS: [&str; 4] = ["depth@100ms", "trade", "bookTicker", "aggTrade"];
/// Those of them that may have an address of their own.
const AGGREGATES: [&str; 1] = ["aggTrade"];
/// The same in SBE, where each has one cadence and prints are never aggregated.
const SBE_STREAMS: [&str; 3] = ["depth", "trade", "bestBidAsk"];

/// Streams of one address.
#[derive(Clone, Copy)]
struct Part<'a> {
    url: &'a str,
    streams: &'static [&'static str],
    carried: Carried,
}

/// What `mode` subscribes to at this venue.
fn parts(mode: EngineMode, venue: &Venue) -> Vec<Part<'_>> {
    let of_venue = &venue.endpoints;
    let part = |url, streams, carried| Part { url, streams, carried };
    match mode {
        _ if venue.stream_key.is_some() => vec![part(&of_venue.ws_url, &SBE_STREAMS, Carried::All)],
        EngineMode::Record if of_venue.ws_aggregates_url != of_venue.ws_url => vec![
            part(&of_venue.ws_url, &STREAMS, Carried::Books),
            part(&of_venue.ws_aggregates_url, &AGGREGATES, Carried::Aggregates),
        ],
        EngineMode::Record => vec![part(&of_venue.ws_url, &RECORDED_STREAMS, Carried::All)],
        EngineMode::Live | EngineMode::Paper | EngineMode::DryRun => {
            vec![part(&of_venue.ws_url, &STREAMS, Carried::All)]
        }
    }
}

/// The lines of the market, each part's instruments dealt over `connections` sockets. `connector` makes what opens a
/// socket to a url, given a seed.
///
/// # Errors
/// When a setting of the connections cannot be used.
pub fn lines<Connect>(
    mode: EngineMode,
    venue: &Venue,
    session: SessionId,
    connections: usize,
    connector: impl Fn(String) -> Connect,
) -> Result<Vec<MarketLine>, Failure>
where
    Connect: FnMut(u64) -> std::io::Result<Connection> + Send + 'static,
{
    let dealt: Vec<(Part<'_>, Vec<usize>)> = parts(mode, venue)
        .into_iter()
        .flat_map(|part| {
            let places = deal(venue.instruments.len(), part.streams.len(), connections);
            places.into_iter().map(move |places| (part, places))
        })
        .collect();
    // They share the venue's limit of attempts with the user-data connection.
    let sharers = u32::try_from(dealt.len() + 1).unwrap_or(u32::MAX);
    let line = |(at, (part, places)): (usize, (Part<'_>, Vec<usize>))| {
        let told: Vec<Instrument> = places.iter().map(|&place| venue.instruments[place]).collect();
        let names: Vec<String> = told
            .iter()
            .flat_map(|one| part.streams.iter().map(move |stream| stream_name(one.symbol(), stream)))
            .collect();
        let (mut connect, key) = (connector(format!("{}/stream", part.url)), venue.stream_key.clone());
        let mut seed = session.0.wrapping_add((at as u64) << 32);
        let relay = Relay::new(RelayPlan::USUAL, move || {
            seed = seed.wrapping_add(2);
            let made = connect(seed)?.with_streams(&names).one_of(sharers);
            match &key {
                None => Ok(made),
                Some(key) => made.with_header("x-mbx-apikey", key.expose_secret()),
            }
        });
        Ok(MarketLine::new(relay.map_err(unusable)?, told.iter().map(|one| one.id).collect(), part.carried))
    };
    dealt.into_iter().enumerate().map(line).collect()
}
