//! What the simulated venue tells the owner of an account, in the engine's words, as the codecs turn the words of a venue
//! behind sockets.

use super::events::{Execution, ExecutionType, TradeRow, UserEvent, VenueMarketEvent, VenueOrderStatus};
use crate::types::{
    Balance, ClientOrderId, Command, ExecKind, ExecReport, ExecSource, Fill, Input, Instrument, OrderStatus, Price,
    Qty, TimestampNs, Touch, Trade, TradeId, VenueOrderId,
};
use crate::venue::binance::rest;
use crate::venue::binance::user::fee_asset;
use crate::wire::{DepthBuf, DepthHead, DepthKind, FeedEvent, Operation, Outcome};

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

/// A user-data message as inputs. Orders of other clients of the account are not ours to know.
pub fn inputs_of(event: &UserEvent, instruments: &[Instrument], recv_ts: TimestampNs) -> Vec<Input> {
    match event {
        UserEvent::Execution(execution) => {
            report_of(execution, instruments, recv_ts).map(Input::Exec).into_iter().collect()
        }
        UserEvent::AccountPosition { balances, .. } => balances
            .iter()
            .map(|balance| {
                Input::Balance(Balance { asset: balance.asset, free_e8: balance.free_e8, locked_e8: balance.locked_e8 })
            })
            .collect(),
    }
}

fn report_of(execution: &Execution, instruments: &[Instrument], recv_ts: TimestampNs) -> Option<ExecReport> {
    let order = &execution.order;
    let instrument = instruments.get(order.symbol.index())?;
    let name = if execution.orig_client_id.is_empty() { &execution.client_id } else { &execution.orig_client_id };
    let client_id = ClientOrderId::parse(name)?;
    let lots = |e8: i64| Qty::from_lots(e8 / instrument.spec.lot_e8);
    let cum_qty = lots(order.executed_qty_e8);
    let kind = match execution.kind {
        ExecutionType::New => ExecKind::Accepted,
        ExecutionType::Canceled => ExecKind::Canceled { cum_qty },
        ExecutionType::Expired => ExecKind::Expired { cum_qty },
        ExecutionType::Replaced => ExecKind::Amended { qty: lots(order.orig_qty_e8) },
        // Quantity taken off by self-trade prevention; the order's end comes as a message of its own.
        ExecutionType::TradePrevention if order.status.is_open() => return None,
        ExecutionType::TradePrevention => ExecKind::Expired { cum_qty },
        ExecutionType::Trade => {
            let fill = execution.fill.as_ref()?;
            ExecKind::Fill(Fill {
                trade_id: fill.trade_id,
                side: order.side,
                price: Price::from_ticks(fill.price_e8 / instrument.spec.tick_e8),
                qty: lots(fill.qty_e8),
                cum_qty,
                order_qty: lots(order.orig_qty_e8),
                fee_e8: fill.commission_e8,
                fee_asset: fee_asset(fill.commission_e8, Some(fill.commission_asset.as_str()), instrument),
                is_maker: fill.is_maker,
            })
        }
    };
    Some(ExecReport {
        instrument: instrument.id,
        client_id,
        venue_id: Some(VenueOrderId(order.order_id)),
        event_ts: execution.event_ts,
        recv_ts,
        source: ExecSource::UserStream,
        kind,
    })
}

/// A trade of ours as the venue's list states it.
pub fn trade_row(row: &TradeRow, instrument: &Instrument) -> rest::TradeRow {
    rest::TradeRow {
        venue_id: VenueOrderId(row.order_id),
        event_ts: row.time,
        fill: Fill {
            trade_id: row.trade_id,
            side: row.side,
            price: Price::from_ticks(row.price_e8 / instrument.spec.tick_e8),
            qty: Qty::from_lots(row.qty_e8 / instrument.spec.lot_e8),
            cum_qty: Qty::ZERO,
            order_qty: Qty::ZERO,
            fee_e8: row.commission_e8,
            fee_asset: fee_asset(row.commission_e8, Some(row.commission_asset.as_str()), instrument),
            is_maker: row.is_maker,
        },
    }
}

/// What a command asks, for the gateway's stream.
pub fn operation_of(command: &Command) -> Operation {
    match command {
        Command::Place(_) => Operation::Place,
        Command::Cancel { .. } => Operation::Cancel,
        Command::Amend { .. } => Operation::Amend,
        Command::Query { .. } => Operation::Query,
        Command::Fills { .. } => Operation::Fills,
    }
}

/// How a request ended, for the gateway's stream.
pub(super) fn outcome_of(kind: &ExecKind) -> Outcome {
    match kind {
        ExecKind::PlaceUnknown | ExecKind::CancelUnknown | ExecKind::QueryFailed => Outcome::Unknown,
        ExecKind::Rejected(_) | ExecKind::CancelRejected(_) | ExecKind::AmendRejected(_) | ExecKind::NotFound => {
            Outcome::Refused
        }
        _ => Outcome::Done,
    }
}

/// The venue's status in our words.
pub fn status_of(status: VenueOrderStatus) -> OrderStatus {
    match status {
        VenueOrderStatus::New => OrderStatus::New,
        VenueOrderStatus::PartiallyFilled => OrderStatus::PartiallyFilled,
        VenueOrderStatus::Filled => OrderStatus::Filled,
        VenueOrderStatus::Canceled => OrderStatus::Canceled,
        VenueOrderStatus::Expired | VenueOrderStatus::ExpiredInMatch => OrderStatus::Expired,
    }
}
