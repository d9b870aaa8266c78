//! The table of KPIs: what a session is judged by, each defined once.
//!
//! Owns [`Kpis`] and its rules. Made by the [`KpiAccumulator`](super::KpiAccumulator); the report, `summary.json` and
//! the backtest show the same struct. Definitions: quant.md 14; shares of time are weighted by time. `None` is "not
//! known", never nought.

use serde::{Deserialize, Serialize};

use super::acceptance::Criterion;
use super::curve::{Capture, CurvePoint, SpreadCaptured};
use super::drawdown::Drawdown;
use super::exact;
use super::inventory_risk::InventoryRisk;
use super::ledger::PnlSplit;
use crate::stats::bootstrap::Estimate;
use crate::stats::sharpe::Sharpe;
use crate::types::Money;

/// What the definitions leave open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KpiRules {
    /// How near to the mid a quote must rest to count as being there, in 1e-4 of the mid.
    pub uptime_band_bps: f64,
    /// Commission of a taker, in 1e-4 of the notional: what liquidating the position would cost besides the spread.
    pub taker_fee_bps: f64,
    /// The risk budget as a share of what the whole position limit would risk, as `estimators.risk_share`.
    pub risk_share: f64,
}

impl Default for KpiRules {
    fn default() -> Self {
        KpiRules { uptime_band_bps: 50.0, taker_fee_bps: 10.0, risk_share: 0.25 }
    }
}

/// What the pipeline has counted and the accumulator cannot see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts {
    /// Orders that the venue took.
    pub accepted: u64,
    /// Orders refused, for whatever reason.
    pub rejected: u64,
    /// Post-only orders refused because they would have traded.
    pub post_only_rejected: u64,
    /// Quotes that the model made, two sides each.
    pub modelled: u64,
    /// Of them, those whose half-spread was held up by its floor.
    pub floor_bound: u64,
    /// Quote sides moved by the post-only clamp.
    pub clamped: u64,
}

/// Profit and loss; total = spread + inventory - fees, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Attribution {
    /// Change of equity, commissions taken off.
    #[serde(serialize_with = "exact::money")]
    pub total: Money,
    /// Change of equity before commissions.
    #[serde(serialize_with = "exact::money")]
    pub gross: Money,
    /// Earned against the mid at each fill.
    #[serde(serialize_with = "exact::money")]
    pub spread: Money,
    /// Earned by holding the position while the mid moved.
    #[serde(serialize_with = "exact::money")]
    pub inventory: Money,
    /// Commissions, those in base valued at the mid of the fill.
    #[serde(serialize_with = "exact::money")]
    pub fees: Money,
    /// Closed at average cost; realised + unrealised - fees = total, exactly.
    #[serde(serialize_with = "exact::money")]
    pub realised: Money,
    /// Held, against its average cost, at the last mid.
    #[serde(serialize_with = "exact::money")]
    pub unrealised: Money,
    /// Total if the position were sold to the best bid, or bought back from the best ask, taker's commission paid.
    #[serde(serialize_with = "exact::optional_money")]
    pub liquidated: Option<Money>,
}

impl Attribution {
    pub(super) fn of(pnl: PnlSplit, realised: Money, unrealised: Money, liquidated: Option<Money>) -> Attribution {
        let PnlSplit { total, gross, spread, inventory, fees } = pnl;
        Attribution { total, gross, spread, inventory, fees, realised, unrealised, liquidated }
    }

    /// Whether both splits sum to the total, to the last digit.
    pub fn is_exact(&self) -> bool {
        self.total == self.spread + self.inventory - self.fees
            && self.total == self.realised + self.unrealised - self.fees
            && self.gross == self.total + self.fees
    }
}

/// Time from a tick to its order, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LatencyKpi {
    /// Half were faster.
    pub p50_ns: u64,
    /// 99 in 100 were faster.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
    /// Samples.
    pub count: u64,
}

/// Everything that a session of one instrument is judged by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kpis {
    /// How long it lasted, in seconds.
    pub seconds: f64,
    /// Fills.
    pub fills: u64,
    /// Where the profit comes from.
    pub pnl: Attribution,
    /// Sharpe ratio of one-minute changes, or why there is none.
    pub sharpe: Sharpe,
    /// Mean change of equity a minute with its interval (blocks of ten minutes); `None` below eight blocks.
    pub pnl_per_minute: Option<Estimate>,
    /// Whether that interval leaves nought out.
    pub pnl_significant: Option<bool>,
    /// Falls of the equity.
    pub drawdown: Drawdown,
    /// Spread captured against the mid of each fill.
    pub spread_captured: SpreadCaptured,
    /// Realised half-spread by horizon.
    pub markouts: Vec<CurvePoint>,
    /// Realised half-spread as a share of the market's.
    pub realised_capture: Vec<Capture>,
    /// What adverse selection cost at 5 s: sum of quantity times impact.
    #[serde(serialize_with = "exact::money")]
    pub toxicity_cost: Money,
    /// Sum of price times quantity.
    #[serde(serialize_with = "exact::money")]
    pub turnover: Money,
    /// Orders with a fill per order accepted.
    pub fill_ratio: Option<f64>,
    /// Quantity filled per quantity placed; refused orders left out.
    pub fill_ratio_qty: Option<f64>,
    /// Orders refused.
    pub orders_rejected: u64,
    /// Placements, amends and cancels asked for.
    pub order_messages: u64,
    /// Of them, one fill; `None` (endless) without fills.
    pub order_to_trade: Option<f64>,
    /// Mean of the worst 5 % of the position's size at the mid, sampled each second, in quote currency.
    pub inventory_cvar95: Option<f64>,
    /// Mean of the worst 5 % of losses a minute, in quote currency; negative when even those minutes earned.
    pub loss_cvar95: Option<f64>,
    /// Share of time with the position below its limit.
    pub time_below_limit: Option<f64>,
    /// Share of time above half of the limit.
    pub time_above_half: Option<f64>,
    /// Share of time above nine tenths of it.
    pub time_above_nine_tenths: Option<f64>,
    /// Change of equity by the size of the position.
    pub inventory_risk: InventoryRisk,
    /// Share of time with at least one quote resting within the band around the mid.
    pub quote_uptime: Option<f64>,
    /// The band, in 1e-4 of the mid.
    pub uptime_band_bps: f64,
    /// Share of time with both sides resting at the venue's least quantity or more.
    pub two_sided: Option<f64>,
    /// Quotes of the model held up by the floor of the half-spread, per quote.
    pub floor_bound_ratio: Option<f64>,
    /// Quote sides moved by the post-only clamp, per side.
    pub clamp_ratio: Option<f64>,
    /// Orders refused because they would have traded, per order placed.
    pub post_only_reject_ratio: Option<f64>,
    /// From the first input to the first order, in seconds.
    pub warmup_s: Option<f64>,
    /// The requirements' bounds and whether this session decides them.
    pub seed_acceptance: Vec<Criterion>,
    /// From a tick to its order; `None` when nothing measured it.
    pub latency: Option<LatencyKpi>,
}

/// Share of floor-bound quotes above which the model decides nothing.
pub const INERT_RATIO: f64 = 0.9;

impl Kpis {
    /// Whether the floor makes the quotes and the model does not.
    pub fn is_inert(&self) -> bool {
        self.floor_bound_ratio.is_some_and(|ratio| ratio > INERT_RATIO)
    }
}
