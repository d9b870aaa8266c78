//! Why a venue says that trades of ours happened.

use crate::sim::FillCause;
use crate::types::{InstrumentId, TradeId};

/// Why the venue says that trades of ours happened: sixteen bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// By instrument, in the order of the trades' numbers.
    by_instrument: Vec<Vec<(TradeId, FillCause)>>,
}

impl Causes {
    /// One more trade. Those of an instrument come in the order of their numbers.
    pub fn push(&mut self, instrument: InstrumentId, trade: TradeId, cause: FillCause) {
        if self.by_instrument.len() <= instrument.index() {
            self.by_instrument.resize(instrument.index() + 1, Vec::new());
        }
        self.by_instrument[instrument.index()].push((trade, cause));
    }

    /// How many trades of an instrument there were.
    pub fn count(&self, instrument: InstrumentId) -> u64 {
        self.by_instrument.get(instrument.index()).map_or(0, |trades| trades.len() as u64)
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.by_instrument.iter().map(|trades| trades.len() as u64).sum()
    }

    /// The cause of a trade, if it was told.
    pub fn of(&self, index: usize, trade: TradeId) -> Option<FillCause> {
        let trades = self.by_instrument.get(index)?;
        trades.binary_search_by_key(&trade, |(id, _)| *id).ok().map(|at| trades[at].1)
    }
}
