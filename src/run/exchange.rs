//! The exchange that stands for the venue in a backtest and in paper mode, as the configuration describes it.

use super::{Failure, exit};
use crate::config::Config;
use crate::pipeline::sync::SyncRule;
use crate::sim::{
    AccountConfig, AccountId, CommissionAsset, FeeSchedule, MarketSource, SymbolConfig, Venue, VenueConfig,
};
use crate::types::{Instrument, TimestampNs};

/// The account that we trade on there.
pub const ACCOUNT: AccountId = AccountId(1);

/// Ended orders, and fills, that it remembers: what an outage may make us ask for, whatever the session's length.
const KEPT: usize = 10_000;

/// What commissions are taken in: futures take quote, spot takes what the trade brings.
pub const fn commissions_of(rule: SyncRule) -> CommissionAsset {
    match rule {
        SyncRule::UsdM => CommissionAsset::Quote,
        SyncRule::Spot => CommissionAsset::Received,
    }
}

/// A venue with our account and one fed market an instrument, from `start` on.
///
/// # Errors
/// When the configuration cannot be used, or an instrument cannot be traded exactly.
pub fn venue_of(
    config: &Config,
    instruments: &[Instrument],
    commissions: CommissionAsset,
    start: TimestampNs,
) -> Result<Venue, Failure> {
    let mut venue = VenueConfig::new(start);
    // Basis points with four places are whole units of 1e-8.
    let rate = |bps: f64| (bps * 1e4).round() as i64;
    venue.fees = FeeSchedule {
        maker_e8: rate(config.quoter.maker_fee_bps),
        taker_e8: rate(config.report.taker_fee_bps),
        asset: commissions,
    };
    venue.symbols = instruments.iter().copied().map(SymbolConfig::new).collect();
    venue.accounts = vec![AccountConfig { id: ACCOUNT, balances: config.exchange.balances_of(instruments)? }];
    venue.fill = config.exchange.fill_model()?;
    (venue.kept_orders, venue.kept_fills) = (KEPT, KEPT);
    let markets = instruments.iter().map(|_| MarketSource::Fed).collect();
    Venue::new(venue, markets).map_err(|error| {
        Failure::new(
            "E_BACK_001",
            exit::INPUT,
            "the symbols cannot be traded on the simulated exchange",
            error.to_string(),
            "choose other symbols",
        )
    })
}
