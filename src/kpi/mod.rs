//! Floor 2: what a session earned and why.
<<<<<<< HEAD

pub mod markout;
=======
//!
//! Pure bookkeeping over fills and mids. The pipeline, reports and the reconciliation with a venue's own balances use
//! the same code, so that there is one definition of profit.

mod ledger;

pub use ledger::{Ledger, PnlSplit};
>>>>>>> ef1d75f (pipeline, kpi: quoters and the exact ledger)
