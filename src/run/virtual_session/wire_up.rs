//! The simulated venue's words turned into ours, as the codecs do for a venue behind sockets.

use super::{Command, DepthBuf, DepthHead, DepthKind, FeedEvent, VenueMarketEvent};
use crate::sim::faults::Request;
use crate::types::{TimestampNs, Touch, Trade, TradeId};

/// A public message as a feed event; `None` for what the feed does not carry.
pub fn feed_event(event: VenueMarketEvent, recv_ts: TimestampNs, depth: &mut DepthBuf) -> Option<FeedEvent<'_>> {
    Some(match event {
        VenueMarketEvent::DepthDiff { symbol, event_ts, first_id, last_id, bids, asks } => {
            *depth = DepthBuf {
                head: DepthHead {
                    instrument: symbol,
                    kind: DepthKind::Diff,
                    first_id,
                    last_id,
                    prev_id: None,
                    event_ts,
                    recv_ts,
                },
                bids,
                asks,
            };
            FeedEvent::Depth(depth.as_ref())
        }
        VenueMarketEvent::Trade(trade) => FeedEvent::Trade(Trade {
            instrument: trade.symbol,
            event_ts: trade.event_ts,
            recv_ts,
            id: trade.id,
            price: trade.price,
            qty: trade.qty,
            aggressor: trade.aggressor,
        }),
        VenueMarketEvent::AggTrade(trade) => FeedEvent::AggTrade(Trade {
            instrument: trade.symbol,
            event_ts: trade.event_ts,
            recv_ts,
            id: TradeId(trade.id as i64),
            price: trade.price,
            qty: trade.qty,
            aggressor: trade.aggressor,
        }),
        VenueMarketEvent::BookTicker(touch) => FeedEvent::Touch(Touch {
            instrument: touch.symbol,
            recv_ts,
            update_id: touch.update_id,
            bid: touch.bid?,
            ask: touch.ask?,
        }),
    })
}

/// What a command is for the venue's faults.
pub fn request_of(command: &Command) -> Request {
    match command {
        Command::Place(_) => Request::Place,
        Command::Cancel { .. } => Request::Cancel,
        Command::Amend { .. } => Request::Amend,
        Command::Query { .. } | Command::Fills { .. } => Request::Query,
    }
}
