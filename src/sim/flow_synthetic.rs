//! A seeded market of informed and noise traders.

use crate::types::{DurationNs, Price, Qty};

/// Parameters of the synthetic market (the specification's limit-order-book simulator). Defaults are for a
/// BTCUSDT-like instrument with a tick of 0.01 and a lot of 0.00001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SyntheticConfig {
    /// Seed of every random number; each purpose draws from a stream of its own.
    pub seed: u64,
    /// Where the latent value starts.
    pub start_price: Price,
    /// Share of aggressor arrivals that are informed, and scale of the news they trade on: 0 means that nobody knows
    /// anything and no news comes, 1 that every arrival is informed.
    pub informed_share: f64,
    /// Arrivals of aggressors a second, informed and noise together.
    pub aggressors_per_s: f64,
    /// Mean size of an aggressor.
    pub aggressor_qty: Qty,
    /// Jumps of the latent value a second at an informed share of 1; thinned by the share.
    pub news_per_s: f64,
    /// Size of a jump in ticks.
    pub news_ticks: f64,
    /// Standard deviation of the latent value's diffusion in ticks per square root of a second.
    pub diffusion_ticks: f64,
    /// Time constant with which the makers' view follows the latent value: how long news is private.
    pub info_window: DurationNs,
    /// Background makers.
    pub makers: usize,
    /// How often each maker re-quotes in a second.
    pub requotes_per_s: f64,
    /// Levels a side of each maker.
    pub maker_levels: usize,
    /// Half-spread of a maker's best quote in ticks.
    pub half_spread_ticks: f64,
    /// Standard deviation of a maker's error about the value in ticks.
    pub maker_noise_ticks: f64,
    /// Mean distance between a maker's levels in ticks.
    pub level_gap_ticks: f64,
    /// Mean size of a maker's level.
    pub maker_qty: Qty,
    /// What an informed trader wants to gain beyond the half-spread, in ticks.
    pub informed_cost_ticks: f64,
    /// Limit orders of noise traders a second.
    pub noise_limits_per_s: f64,
    /// Mean life of such an order.
    pub noise_limit_life: DurationNs,
    /// Mean distance of such an order behind the touch in ticks.
    pub noise_limit_ticks: f64,
}

impl Default for SyntheticConfig {
    fn default() -> SyntheticConfig {
        SyntheticConfig {
            seed: 1,
            start_price: Price::from_ticks(6_000_000),
            informed_share: 0.2,
            aggressors_per_s: 6.0,
            aggressor_qty: Qty::from_lots(2_000),
            news_per_s: 0.2,
            news_ticks: 60.0,
            diffusion_ticks: 3.0,
            info_window: DurationNs::from_millis(2_000),
            makers: 4,
            requotes_per_s: 4.0,
            maker_levels: 6,
            half_spread_ticks: 10.0,
            maker_noise_ticks: 2.0,
            level_gap_ticks: 4.0,
            maker_qty: Qty::from_lots(5_000),
            informed_cost_ticks: 2.0,
            noise_limits_per_s: 8.0,
            noise_limit_life: DurationNs::from_millis(4_000),
            noise_limit_ticks: 6.0,
        }
    }
}
