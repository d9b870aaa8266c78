//! Floor 2: what a session earned and why.
//!
//! Pure bookkeeping over fills and mids. The pipeline, reports and the reconciliation with a venue's own balances use
//! the same code, so that there is one definition of profit.

mod ledger;
pub mod markout;

pub use ledger::{Ledger, PnlSplit};
