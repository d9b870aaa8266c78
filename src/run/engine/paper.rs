//! The simulated exchange of paper mode: no key, no order at the venue.

use crate::config::Config;
use crate::gateway::wall_now;
use crate::run::Failure;
use crate::run::exchange::{ACCOUNT, commissions_of, venue_of};
use crate::sim::Exchange;
use crate::types::Instrument;

/// An exchange for a session that starts now, with the configured account, commissions and fill model.
///
/// # Errors
/// When the configuration cannot be used.
pub fn exchange(config: &Config, instruments: &[Instrument]) -> Result<Exchange, Failure> {
    Ok(Exchange::new(venue_of(config, instruments, commissions_of(config.venue.rule()), wall_now())?, ACCOUNT))
}
