//! What an engine begins with: the state of an earlier session, and the venue's recent trades for what is missing.

use crate::config::Config;
use crate::gateway::{AccountError, Http, plain_get, wall_now};
use crate::pipeline::estimators::back_fill;
use crate::pipeline::{PipelineConfig, WarmState};
use crate::run::{Failure, warm};
use crate::types::{Instrument, TimestampNs, Trade};
use crate::venue::binance::agg_trades::{PAGE_TRADES, decode_agg_trades};

use super::venue::Venue;

/// What the decisions begin with; `None` for nothing. A back-fill that fails is a warning: the session then starts
/// colder.
///
/// # Errors
/// When the state file is there and cannot be used.
pub fn begin(config: &Config, venue: &Venue, decisions: &PipelineConfig) -> Result<Option<WarmState>, Failure> {
    let now = TimestampNs::from_millis(venue.clock.venue_millis(wall_now()));
    let mut state = warm::read(&config.warm.state_file)?.unwrap_or_default().aged(now);
    // A session on another one's stream may have no venue to ask.
    if config.warm.backfill && !venue.endpoints.rest_url.is_empty() {
        for instrument in &venue.instruments {
            if state.of(instrument.symbol()).is_some_and(|known| known.is_fresh()) {
                continue;
            }
            match recent_trades(venue, instrument, config.warm.backfill_trades, now) {
                Ok(trades) => {
                    let saved_ns = trades.last().map_or(0, |trade| trade.event_ts.nanos());
                    let made = back_fill(decisions, instrument, &trades);
                    tracing::info!(symbol = instrument.symbol(), trades = trades.len(), "back-filled");
                    state = state.filled_from(&WarmState { saved_ns, instruments: vec![made] }.aged(now));
                }
                Err(why) => {
                    let symbol = instrument.symbol();
                    tracing::warn!("E_WARM_003: {symbol} could not be back-filled and starts cold. {why}");
                }
            }
        }
    }
    state.saved_ns = now.nanos();
    Ok(Some(state).filter(|state| !state.instruments.is_empty()))
}

/// The last trades of the venue, oldest first, `most` at most.
fn recent_trades(venue: &Venue, instrument: &Instrument, most: usize, now: TimestampNs) -> Result<Vec<Trade>, String> {
    let (rest_url, public) = (&venue.endpoints.rest_url, &venue.public);
    let mut http =
        Http::new(rest_url, None, venue.ca_file.as_deref(), venue.patience).map_err(|error| error.to_string())?;
    let mut trades: Vec<Trade> = Vec::new();
    while trades.len() < most {
        let limit = PAGE_TRADES.min(most - trades.len());
        let mut query = format!("{}?symbol={}&limit={limit}", public.agg_trades, instrument.symbol());
        if let Some(oldest) = trades.first() {
            let from = oldest.id.0.saturating_sub(limit as i64).max(0);
            query.push_str(&format!("&fromId={from}"));
        }
        venue.limiter.spend(now, public.agg_trades_weight);
        let body = plain_get(&mut http, public.agg_trades, &query).map_err(|error: AccountError| error.to_string())?;
        let mut page = decode_agg_trades(body, instrument).map_err(|error| error.to_string())?;
        // A venue that keeps fewer trades answers with the ones that are known already.
        if let Some(oldest) = trades.first() {
            page.retain(|trade| trade.id.0 < oldest.id.0);
        }
        if page.is_empty() {
            break;
        }
        page.append(&mut trades);
        trades = page;
    }
    Ok(trades)
}
