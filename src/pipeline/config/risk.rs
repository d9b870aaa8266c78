//! What is never done, whatever the quoter wants.

use serde::{Deserialize, Serialize};

use super::{ConfigError, above_zero, within};
use crate::pipeline::amount::Amount;

/// What is never done, whatever the quoter wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RiskConfig {
    /// Greatest position on either side, in base currency, open and in-flight orders included; it wins over
    /// `position_value_max`. Default: not set.
    pub position_max: Option<Amount>,
    /// Greatest position on either side in quote currency, turned into lots (rounded down) at the first quotable mid.
    /// Default 5000.
    pub position_value_max: Amount,
    /// Greatest quantity of one order, in base currency. Default: not set.
    pub order_qty_max: Option<Amount>,
    /// Greatest price times quantity of one order, in quote currency. Default 10 000.
    pub order_value_max: Amount,
    /// Farthest an order may lie from the mid, in 1e-4 of it. Default 200.
    pub collar_bps: f64,
    /// Farthest an order may lie from the last trade of the tape, in 1e-4 of it; holds once there was one. Default 500.
    pub trade_collar_bps: f64,
    /// Age of the last book message at which quotes are pulled, in milliseconds. Default 1000.
    pub stale_ms: u64,
    /// New orders in any 1 s. Default 25.
    pub orders_per_1s: u32,
    /// New orders in any 10 s. Default 90, below the venue's usual 100.
    pub orders_per_10s: u32,
    /// New orders in a UTC day. Default 160 000, below the venue's usual 200 000.
    pub orders_per_1d: u32,
    /// Loss, commissions included, at which the session halts, in quote currency. Default 1000.
    pub loss_max: Amount,
    /// Fall from the best result of the session at which it halts, in quote currency; `resume` counts anew from there.
    /// Default 1000.
    pub drawdown_max: Amount,
    /// Placements refused in a row, over all instruments, at which the session halts; one that the venue takes ends
    /// the row. Default 20: back-off would have taken minutes to get there if time could mend it.
    pub rejects_max: u32,
    /// Age of the last live book at which a position that is held should be hedged elsewhere, in milliseconds. Such a
    /// wish is shown, nothing is sent. Default 60 000.
    pub hedge_stale_ms: u64,
}

impl Default for RiskConfig {
    fn default() -> Self {
        Self {
            position_max: None,
            position_value_max: Amount::whole(5000),
            order_qty_max: None,
            order_value_max: Amount::whole(10_000),
            collar_bps: 200.0,
            trade_collar_bps: 500.0,
            stale_ms: 1000,
            orders_per_1s: 25,
            orders_per_10s: 90,
            orders_per_1d: 160_000,
            loss_max: Amount::whole(1000),
            drawdown_max: Amount::whole(1000),
            rejects_max: 20,
            hedge_stale_ms: 60_000,
        }
    }
}

impl RiskConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        above_zero("risk.position_max", self.position_max.map_or(1.0, |amount| amount.e8() as f64))?;
        above_zero("risk.position_value_max", self.position_value_max.e8() as f64)?;
        above_zero("risk.order_qty_max", self.order_qty_max.map_or(1.0, |amount| amount.e8() as f64))?;
        above_zero("risk.order_value_max", self.order_value_max.e8() as f64)?;
        within("risk.collar_bps", self.collar_bps, 0.01, 5000.0, "0.01 to 5000")?;
        within("risk.trade_collar_bps", self.trade_collar_bps, 0.01, 5000.0, "0.01 to 5000")?;
        within("risk.stale_ms", self.stale_ms as f64, 1.0, 600_000.0, "1 to 600000")?;
        within("risk.orders_per_1s", f64::from(self.orders_per_1s), 1.0, 10_000.0, "1 to 10000")?;
        within("risk.orders_per_10s", f64::from(self.orders_per_10s), 1.0, 10_000.0, "1 to 10000")?;
        within("risk.orders_per_1d", f64::from(self.orders_per_1d), 1.0, 1e9, "at least 1")?;
        above_zero("risk.loss_max", self.loss_max.e8() as f64)?;
        above_zero("risk.drawdown_max", self.drawdown_max.e8() as f64)?;
        within("risk.rejects_max", f64::from(self.rejects_max), 3.0, 1e6, "3 to 1000000")?;
        within("risk.hedge_stale_ms", self.hedge_stale_ms as f64, 1.0, 86_400_000.0, "1 to 86400000")
    }
}
