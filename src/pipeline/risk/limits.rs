//! The last look at an order before it leaves.
//!
//! Owns [`OrderLimits`]: checks that hold for every order whatever the quoter, the reconciliation or a bug upstream
//! wanted. They fail closed: without a mid nothing passes. Cancels never come here.

use crate::pipeline::config::RiskConfig;
use crate::types::{HalfTicks, Instrument, Money, Price, Qty, SideReason};

/// Limits of one order of one instrument.
#[derive(Clone, Copy, Debug)]
pub struct OrderLimits {
    qty_max: Qty,
    value_max: Money,
    collar_bps: f64,
    trade_collar_bps: f64,
}

impl OrderLimits {
    /// As configured.
    pub fn new(config: &RiskConfig, instrument: &Instrument) -> OrderLimits {
        OrderLimits {
            qty_max: config
                .order_qty_max
                .map_or(Qty::from_lots(i64::MAX), |amount| Qty::from_lots(amount.e8() / instrument.spec.lot_e8)),
            value_max: config.order_value_max.money(),
            collar_bps: config.collar_bps,
            trade_collar_bps: config.trade_collar_bps,
        }
    }

    /// As much of a quantity as both the quantity and the value limit allow at a price.
    pub fn at_most(&self, instrument: &Instrument, price: Price, qty: Qty) -> Qty {
        instrument.affordable(price, qty.min(self.qty_max), self.value_max)
    }

    /// Whether an order may leave.
    ///
    /// # Errors
    /// The reason why it may not.
    pub fn check(
        &self,
        instrument: &Instrument,
        mid: Option<HalfTicks>,
        last_trade: Option<Price>,
        price: Price,
        qty: Qty,
        room: Qty,
    ) -> Result<(), SideReason> {
        let mid = mid.filter(|mid| mid.get() > 0).ok_or(SideReason::Book)?;
        if price.ticks() <= 0 || qty <= Qty::ZERO {
            return Err(SideReason::Filter);
        }
        let beyond = |reference: f64, bps: f64| (price.ticks() as f64 - reference).abs() > reference * bps * 1e-4;
        let last = last_trade.is_some_and(|last| beyond(last.ticks() as f64, self.trade_collar_bps));
        if beyond(mid.ticks_f64(), self.collar_bps) || last {
            return Err(SideReason::Collar);
        }
        if qty > room {
            return Err(SideReason::Position);
        }
        if qty > self.qty_max || instrument.notional(price, qty) > self.value_max {
            return Err(SideReason::Filter);
        }
        Ok(())
    }
}
