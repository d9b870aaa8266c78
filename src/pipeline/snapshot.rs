//! What people and metrics see of a pipeline.
//!
//! Owns [`PipelineSnapshot`]: a copy of the figures of one instrument, made by the quote tile between two events and
//! read on cold threads. It never feeds a decision.

use super::estimators::{Intensity, MarkoutCounts};
use crate::kpi::PnlSplit;
use crate::types::{BaseAtoms, BookState, HalfTicks, Price, Qty, TimestampNs};

/// What the session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum TradingState {
    /// Quotes both sides, within limits.
    #[default]
    Active = 0,
    /// Quotes only the side that brings the position towards zero.
    Reducing = 1,
    /// Cancels everything and places nothing until resumed.
    Halted = 2,
    /// Cancels everything and ends; nothing resumes it.
    Stopping = 3,
}

/// Why a session is halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HaltReason {
    /// Asked for from outside.
    Control = 0,
    /// The loss limit was reached.
    Loss = 1,
    /// The venue refused key, signature or permission.
    Auth = 2,
    /// The venue says that the market or account takes no orders.
    MarketClosed = 3,
    /// The result fell too far below its best.
    Drawdown = 4,
    /// The venue refused too many placements in a row.
    Rejects = 5,
}

/// Outcomes so far, of one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Book updates, trades and touches taken.
    pub ticks: u64,
    /// Quote decisions that changed a target.
    pub quotes: u64,
    /// Orders handed out to be placed.
    pub placed: u64,
    /// Orders that the venue took.
    pub accepted: u64,
    /// Orders refused, by [`RejectReason`](crate::types::RejectReason) as index.
    pub rejected: [u64; REJECT_REASONS],
    /// Cancels handed out.
    pub cancels: u64,
    /// Amends handed out.
    pub amends: u64,
    /// Orders reduced in their place, as first reported.
    pub amended: u64,
    /// Orders done by cancel.
    pub canceled: u64,
    /// Queries handed out.
    pub queries: u64,
    /// Fills counted, each trade number once.
    pub fills: u64,
    /// Fills that had been counted before.
    pub duplicate_fills: u64,
    /// Fills of orders already done.
    pub late_fills: u64,
    /// Orders and cancels whose outcome was unknown.
    pub unknowns: u64,
    /// Unknown outcomes that an answer or a report has resolved.
    pub unknowns_resolved: u64,
    /// Orders of earlier sessions, or without a slot, that were adopted to be cancelled.
    pub orphans: u64,
    /// Times that quotes were pulled because the book was stale.
    pub stale_pulls: u64,
    /// Times that quotes were pulled because the book was not live, one-sided or crossed.
    pub book_pulls: u64,
    /// Quotes that the model made, before limits; two sides each.
    pub modelled: u64,
    /// Of them, those whose half-spread was held up by its floor.
    pub floor_bound: u64,
    /// Quote sides moved by the post-only clamp.
    pub clamped: u64,
    /// Commissions in a third asset, which are counted but not valued.
    pub foreign_fees: u64,
}

/// How many refusal reasons there are.
pub const REJECT_REASONS: usize = 11;

impl Counters {
    /// Orders refused, for whatever reason.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Share of the model's quotes whose half-spread was held up by its floor; `None` before the first.
    pub fn floor_bound_ratio(&self) -> Option<f64> {
        (self.modelled > 0).then(|| self.floor_bound as f64 / self.modelled as f64)
    }

    /// Post-only orders refused because they would have traded.
    pub fn post_only_rejects(&self) -> u64 {
        self.rejected[crate::types::RejectReason::WouldCross as usize]
    }
}

/// One instrument at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PipelineSnapshot {
    /// The time of the last event.
    pub now: TimestampNs,
    /// What the session may do.
    pub state: TradingState,
    /// Why it is halted, when it is.
    pub halt: Option<HaltReason>,
    /// Whether fills are being reported.
    pub user_stream_up: bool,
    /// State of the book.
    pub book_state: BookState,
    /// Whether the book is too old to quote from.
    pub stale: bool,
    /// Mid of the best prices of others, when quotable.
    pub mid: Option<HalfTicks>,
    /// The mid that the position is marked to: the last one that could be quoted from.
    pub mark: Option<HalfTicks>,
    /// Best bid of others.
    pub best_bid: Option<Price>,
    /// Best ask of others.
    pub best_ask: Option<Price>,
    /// Position in whole lots, rounded towards zero.
    pub position: Qty,
    /// Position, exact.
    pub position_atoms: BaseAtoms,
    /// Greatest position; zero until it is known.
    pub position_max: Qty,
    /// Whether the position is beyond its limit, or held while the market has not been seen for long. A decision that
    /// sends nothing.
    pub should_hedge: bool,
    /// Profit and loss.
    pub pnl: PnlSplit,
    /// Price volatility, in ticks per square root of a second.
    pub sigma_ticks: Option<f64>,
    /// Toxicity, de-biased, 0 to 1.
    pub tau: Option<f64>,
    /// Toxicity as measured, 0 to 1.
    pub tau_raw: Option<f64>,
    /// Signed toxicity, -1 (sellers) to 1 (buyers).
    pub tau_signed: Option<f64>,
    /// What threatens the bid: net selling beyond chance, 0 to 1.
    pub tau_bid: Option<f64>,
    /// What threatens the ask: net buying beyond chance, 0 to 1.
    pub tau_ask: Option<f64>,
    /// Mid weighted crosswise by the best quantities of others, in ticks.
    pub weighted_mid_ticks: Option<f64>,
    /// Stoikov's microprice, in ticks; absent before its first fit.
    pub micro_ticks: Option<f64>,
    /// Imbalance of the best level of others, -1 to 1.
    pub imbalance: Option<f64>,
    /// Order-flow imbalance over its window in units of the usual depth at the best prices.
    pub ofi: Option<f64>,
    /// Toxicity coefficient in use, in ticks.
    pub k_ticks: f64,
    /// Whether k is learnt from markouts; otherwise it is the configured one.
    pub k_learnt: bool,
    /// Half-spread without toxicity as learnt, in ticks.
    pub base_ticks: Option<f64>,
    /// Risk aversion in use, per quote unit.
    pub gamma: Option<f64>,
    /// Risk aversion that the profit so far would imply, per quote unit: for people, never traded on.
    pub gamma_implied: Option<f64>,
    /// Skew per unit of base, in ticks.
    pub kappa_ticks: Option<f64>,
    /// Whether the skew follows gamma and volatility; otherwise it is the configured one.
    pub kappa_learnt: bool,
    /// Intensity of aggressing orders by the side that they reach.
    pub intensity: [Option<Intensity>; 2],
    /// What became of the markouts that k is learnt from.
    pub markouts: MarkoutCounts,
    /// Last half-spread, in ticks, before rounding.
    pub half_spread_ticks: Option<f64>,
    /// Our working bid, if one is alive.
    pub own_bid: Option<Price>,
    /// Our working ask, if one is alive.
    pub own_ask: Option<Price>,
    /// What is left of the working bid and ask; nought without one.
    pub own_qty: [Qty; 2],
    /// Orders alive or in doubt.
    pub working_orders: u32,
    /// Orders in doubt.
    pub unknown_orders: u32,
    /// Outcomes so far.
    pub counters: Counters,
}
