//! Where a market's own activity comes from, behind one face. The venue steps the flow that is due first.

use super::config::{MarketSource, VenueConfigError};
use super::desk::Desk;
use super::fill_model::FillModel;
use super::flow_fed::FedFlow;
use super::flow_recorded::RecordedFlow;
use super::flow_synthetic::SyntheticFlow;
use super::market::Market;
use super::recorded_book::RecordedBook;
use crate::types::TimestampNs;

/// A market's flow.
pub(super) enum Flow {
    Empty,
    Synthetic(Box<SyntheticFlow>),
    Recorded(Box<RecordedFlow>),
    Fed(Box<FedFlow>),
}

impl Flow {
    /// The flow of the symbol with that index, from the venue's start.
    pub(super) fn new(
        source: MarketSource,
        fill: &FillModel,
        symbol: u16,
        start: TimestampNs,
    ) -> Result<Flow, VenueConfigError> {
        Ok(match source {
            MarketSource::Empty => Flow::Empty,
            MarketSource::Synthetic(config) => {
                if let Some(fault) = config.fault() {
                    return Err(VenueConfigError::Synthetic(fault));
                }
                Flow::Synthetic(Box::new(SyntheticFlow::new(config, symbol, start)))
            }
            MarketSource::Recorded(recording) => {
                Flow::Recorded(Box::new(RecordedFlow::new(recording, fill.clone(), start)))
            }
            MarketSource::Fed => Flow::Fed(Box::new(FedFlow::new(fill.clone()))),
        })
    }

    /// Puts the opening book into the market, where the source has one.
    pub(super) fn open(&mut self, market: &mut Market, desk: &mut Desk) {
        if let Flow::Recorded(flow) = self {
            flow.open(market, desk);
        }
    }

    /// When it acts next.
    pub(super) fn next_at(&self) -> Option<TimestampNs> {
        match self {
            Flow::Empty | Flow::Fed(_) => None,
            Flow::Synthetic(flow) => flow.next_at(),
            Flow::Recorded(flow) => flow.next_at(),
        }
    }

    /// Acts once.
    pub(super) fn run_next(&mut self, market: &mut Market, desk: &mut Desk) {
        match self {
            Flow::Empty | Flow::Fed(_) => {}
            Flow::Synthetic(flow) => flow.run_next(market, desk),
            Flow::Recorded(flow) => flow.run_next(market, desk),
        }
    }

    /// Takes note of what clients have just done, where places in a queue are its own affair.
    pub(super) fn look_at_clients(&mut self, market: &mut Market) {
        match self {
            Flow::Empty | Flow::Synthetic(_) => {}
            Flow::Recorded(flow) => flow.book.look_at_clients(market),
            Flow::Fed(flow) => flow.book.look_at_clients(market),
        }
    }

    /// The recorded book behind the market, where there is one.
    pub(super) fn book(&self) -> Option<&RecordedBook> {
        match self {
            Flow::Empty | Flow::Synthetic(_) => None,
            Flow::Recorded(flow) => Some(&flow.book),
            Flow::Fed(flow) => flow.is_known().then_some(&flow.book),
        }
    }

    /// Digest of what came from outside so far.
    pub(super) fn digest(&self) -> u64 {
        match self {
            Flow::Empty => 0,
            Flow::Synthetic(flow) => flow.digest(),
            Flow::Recorded(flow) => flow.digest(),
            Flow::Fed(flow) => flow.digest(),
        }
    }
}
