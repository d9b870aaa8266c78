//! A feed event that outlives the buffer it was read from: what waits for its time in a simulation.

use super::feed::{DepthBuf, FeedEvent, FeedNotice};
use crate::types::{InstrumentId, TimestampNs, Touch, Trade};

/// A feed event, owned.
#[derive(Clone, Debug)]
pub enum FeedOwned {
    /// A snapshot or a diff.
    Depth(DepthBuf),
    /// A print on the tape.
    Trade(Trade),
    /// An aggregated print.
    AggTrade(Trade),
    /// Best bid and ask.
    Touch(Touch),
    /// Something about the feed itself.
    Notice(FeedNotice),
}

impl FeedOwned {
    /// Copies an event; `None` for a frame as it came, which says nothing that was understood.
    pub fn of(event: &FeedEvent<'_>) -> Option<FeedOwned> {
        Some(match *event {
            FeedEvent::Depth(depth) => {
                FeedOwned::Depth(DepthBuf { head: depth.head, bids: depth.bids.to_vec(), asks: depth.asks.to_vec() })
            }
            FeedEvent::Trade(trade) => FeedOwned::Trade(trade),
            FeedEvent::AggTrade(trade) => FeedOwned::AggTrade(trade),
            FeedEvent::Touch(touch) => FeedOwned::Touch(touch),
            FeedEvent::Notice(notice) => FeedOwned::Notice(notice),
            FeedEvent::Raw(_) => return None,
        })
    }

    /// Borrows it.
    pub fn as_event(&self) -> FeedEvent<'_> {
        match self {
            FeedOwned::Depth(depth) => FeedEvent::Depth(depth.as_ref()),
            FeedOwned::Trade(trade) => FeedEvent::Trade(*trade),
            FeedOwned::AggTrade(trade) => FeedEvent::AggTrade(*trade),
            FeedOwned::Touch(touch) => FeedEvent::Touch(*touch),
            FeedOwned::Notice(notice) => FeedEvent::Notice(*notice),
        }
    }

    /// When it was received.
    pub fn recv_ts(&self) -> TimestampNs {
        match self {
            FeedOwned::Depth(depth) => depth.head.recv_ts,
            FeedOwned::Trade(trade) | FeedOwned::AggTrade(trade) => trade.recv_ts,
            FeedOwned::Touch(touch) => touch.recv_ts,
            FeedOwned::Notice(notice) => notice.recv_ts,
        }
    }

    /// Says when it was received.
    pub fn set_recv_ts(&mut self, at: TimestampNs) {
        match self {
            FeedOwned::Depth(depth) => depth.head.recv_ts = at,
            FeedOwned::Trade(trade) | FeedOwned::AggTrade(trade) => trade.recv_ts = at,
            FeedOwned::Touch(touch) => touch.recv_ts = at,
            FeedOwned::Notice(notice) => notice.recv_ts = at,
        }
    }

    /// Which instrument it is about; `None` for a notice about all.
    pub fn instrument(&self) -> Option<InstrumentId> {
        match self {
            FeedOwned::Depth(depth) => Some(depth.head.instrument),
            FeedOwned::Trade(trade) | FeedOwned::AggTrade(trade) => Some(trade.instrument),
            FeedOwned::Touch(touch) => Some(touch.instrument),
            FeedOwned::Notice(notice) => notice.instrument,
        }
    }

    /// Says which instrument it is about.
    pub fn set_instrument(&mut self, instrument: InstrumentId) {
        match self {
            FeedOwned::Depth(depth) => depth.head.instrument = instrument,
            FeedOwned::Trade(trade) | FeedOwned::AggTrade(trade) => trade.instrument = instrument,
            FeedOwned::Touch(touch) => touch.instrument = instrument,
            FeedOwned::Notice(notice) => notice.instrument = Some(instrument),
        }
    }
}
