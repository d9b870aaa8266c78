//! The rows that a report is made of, in typed units.

use std::collections::BTreeMap;

use crate::kpi::Kpis;
use crate::kpi::markout::SettledFill;
use crate::types::{BaseAtoms, ClientOrderId, FeeAsset, HalfTicks, Instrument, Money, Price, TimestampNs, TradeId};

/// One fill.
#[derive(Clone, Debug, PartialEq)]
pub struct FillRow {
    /// The venue's time of the trade.
    pub event_ts: TimestampNs,
    /// The venue's number of the trade.
    pub trade_id: TradeId,
    /// Our order.
    pub client_id: ClientOrderId,
    /// Side, price, quantity, when we knew, the market before it, and where the mid went.
    pub settled: SettledFill,
    /// Whether we were the maker.
    pub is_maker: bool,
    /// Why it filled, when the venue tells.
    pub cause: Option<&'static str>,
    /// Commission in 1e-8 of its asset.
    pub fee_e8: i64,
    /// The commission's asset.
    pub fee_asset: FeeAsset,
    /// The commission in quote currency, valued at the mid when it was taken in base.
    pub fee: Money,
    /// Position after it.
    pub position: BaseAtoms,
}

/// The model's figures at one time; `None` while they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelFigures {
    /// Price volatility, in ticks per square root of a second.
    pub sigma_ticks: Option<f64>,
    /// Toxicity, de-biased, 0 to 1.
    pub tau: Option<f64>,
    /// Toxicity as measured, 0 to 1.
    pub tau_raw: Option<f64>,
    /// Signed toxicity, -1 to 1.
    pub tau_signed: Option<f64>,
    /// Toxicity coefficient in use, in ticks.
    pub k_ticks: Option<f64>,
    /// Risk aversion in use, per quote unit.
    pub gamma: Option<f64>,
    /// Skew per unit of base, in ticks.
    pub kappa_ticks: Option<f64>,
    /// Half-spread before rounding, in ticks.
    pub half_spread_ticks: Option<f64>,
}

/// The account, the market and the model at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PnlRow {
    /// When.
    pub ts: TimestampNs,
    /// The mid.
    pub mid: HalfTicks,
    /// Our quotes, if alive.
    pub quotes: [Option<Price>; 2],
    /// Position.
    pub position: BaseAtoms,
    /// Net of commissions.
    pub total: Money,
    /// Earned against the mid at each fill.
    pub spread: Money,
    /// Earned by holding the position.
    pub inventory: Money,
    /// Commissions.
    pub fees: Money,
    /// The model.
    pub model: ModelFigures,
}

/// Everything that a report shows of one instrument.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The instrument.
    pub instrument: Instrument,
    /// Fills in the order in which they were counted: all of them, or one in two, four, … of a long session.
    pub fills: Vec<FillRow>,
    /// How many fills each cause had, `unknown` where no venue tells.
    pub fills_by_cause: BTreeMap<&'static str, u64>,
    /// Position at the end.
    pub position: BaseAtoms,
    /// The account at regular times.
    pub pnl: Vec<PnlRow>,
    /// The last mid; `None` when the book was never live.
    pub last_mid: Option<HalfTicks>,
    /// What the session is judged by.
    pub kpis: Kpis,
}
