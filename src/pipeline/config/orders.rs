//! How orders are kept.

use serde::{Deserialize, Serialize};

use super::{ConfigError, within};

/// How orders are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// Whether commands are given at all; without, only quotes are decided (a dry run). Default true.
    pub send: bool,
    /// Whether an order that is only too large is reduced in its place in the queue instead of being replaced; a venue
    /// that refuses it has the order replaced. Default true.
    pub amend: bool,
    /// How long a request may stay without any answer before it is in doubt, in milliseconds. Default 5000.
    pub answer_ms: u64,
    /// Time between two queries about one order, in milliseconds. Default and least 500.
    pub query_ms: u64,
    /// "No such order" answers, each `query_ms` after the other, that prove absence. Default and least 3.
    pub not_found_answers: u32,
    /// Time after a send before which "no such order" proves nothing, in milliseconds. Default and least 2000.
    pub not_found_ms: u64,
    /// First pause of a side after the same refusal three times within a second; it doubles up to thirty times itself.
    /// In milliseconds. Default 1000.
    pub backoff_ms: u64,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            send: true,
            amend: true,
            answer_ms: 5000,
            query_ms: 500,
            not_found_answers: 3,
            not_found_ms: 2000,
            backoff_ms: 1000,
        }
    }
}

impl OrdersConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("orders.answer_ms", self.answer_ms as f64, 100.0, 60_000.0, "100 to 60000")?;
        within("orders.query_ms", self.query_ms as f64, 500.0, 60_000.0, "500 to 60000")?;
        within("orders.not_found_answers", f64::from(self.not_found_answers), 3.0, 100.0, "3 to 100")?;
        within("orders.not_found_ms", self.not_found_ms as f64, 2000.0, 600_000.0, "2000 to 600000")?;
        within("orders.backoff_ms", self.backoff_ms as f64, 1.0, 600_000.0, "1 to 600000")
    }
}
