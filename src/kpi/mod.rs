//! Floor 2: what a session earned and why.
//!
//! Pure bookkeeping over fills and mids. The pipeline, reports and the reconciliation with a venue's own balances use
//! the same code, so that there is one definition of profit; [`Kpis`] is the one table of everything that a session is
//! judged by.

mod acceptance;
mod accumulator;
#[cfg(test)]
mod accumulator_tests;
mod cost;
pub mod curve;
mod drawdown;
pub mod exact;
mod figures;
mod inventory_risk;
mod ledger;
pub mod markout;
mod running;
#[cfg(test)]
mod samples;
pub mod spread;

pub use acceptance::{Criterion, Verdict};
pub use accumulator::{KpiAccumulator, Resting, Standing};
pub use cost::AverageCost;
pub use drawdown::{Drawdown, DrawdownTracker};
pub use figures::{Attribution, INERT_RATIO, KpiRules, Kpis, LatencyKpi, OrderCounts};
pub use inventory_risk::{Decile, InventoryRisk};
pub use ledger::{Ledger, PnlSplit};
pub use running::{RunningMarkouts, RunningPoint};
