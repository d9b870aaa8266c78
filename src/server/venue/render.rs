//! Orders, fills, balances and user events as Binance writes them.
//!
//! It stands here and not among the codecs of `venue`, because it reads the simulated exchange's own types.

use super::json::{Object, TimeUnit, push_list, push_text};
use super::refusal::Refusal;
use crate::sim::{
    Amended, AssetBalance, CancelReplaced, Cancelled, Execution, ExecutionType, LastFill, OrderView, Placed, TradeRow,
    UserEvent, VenueReject,
};
use crate::types::Side;

/// How much of a new order its answer tells (`newOrderRespType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// Ids and time.
    Ack,
    /// Where the order stands.
    Result,
    /// And its fills.
    Full,
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Bid => "BUY",
        Side::Ask => "SELL",
    }
}

/// The fields that every answer about an order shares.
fn push_state(object: &mut Object<'_>, order: &OrderView) {
    object
        .amount("price", order.price_e8)
        .amount("origQty", order.orig_qty_e8)
        .amount("executedQty", order.executed_qty_e8)
        .amount("origQuoteOrderQty", order.orig_quote_qty_e8)
        .amount("cummulativeQuoteQty", order.cum_quote_e8)
        .text("status", order.status.name())
        .text("timeInForce", order.kind.time_in_force())
        .text("type", order.kind.name())
        .text("side", side_name(order.side));
}

fn push_end(object: &mut Object<'_>, order: &OrderView) {
    object.text("selfTradePreventionMode", order.stp.name());
    if let Some(reason) = order.expiry_reason {
        object.text("expiryReason", reason);
    }
    object.end();
}

/// The answer to a new order.
pub fn push_placed(out: &mut String, symbol: &str, placed: &Placed, kind: ResponseType, unit: TimeUnit) {
    let order = &placed.order;
    let mut object = Object::open(out);
    object
        .text("symbol", symbol)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("clientOrderId", &order.client_id)
        .plain("transactTime", unit.of(placed.transact_ts));
    if kind == ResponseType::Ack {
        object.end();
        return;
    }
    push_state(&mut object, order);
    if let Some(working) = order.working_ts {
        object.plain("workingTime", unit.of(working));
    }
    if kind == ResponseType::Full {
        object.with("fills", |out| push_list(out, &placed.fills, push_fill));
    }
    push_end(&mut object, order);
}

fn push_fill(out: &mut String, fill: &LastFill) {
    Object::open(out)
        .amount("price", fill.price_e8)
        .amount("qty", fill.qty_e8)
        .amount("commission", fill.commission_e8)
        .text("commissionAsset", fill.commission_asset.as_str())
        .plain("tradeId", fill.trade_id.0)
        .end();
}

/// The answer to a cancel.
pub fn push_cancelled(out: &mut String, symbol: &str, cancelled: &Cancelled, unit: TimeUnit) {
    let order = &cancelled.order;
    let mut object = Object::open(out);
    object
        .text("symbol", symbol)
        .text("origClientOrderId", &order.client_id)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("clientOrderId", &cancelled.cancel_id)
        .plain("transactTime", unit.of(cancelled.transact_ts));
    push_state(&mut object, order);
    push_end(&mut object, order);
}

/// The answer to a cancel-replace. The order's half done or not done at all is a refusal whose `data` tells both legs.
///
/// # Errors
/// -2021 when one leg succeeded, -2022 when none did.
pub fn cancel_replaced(
    symbol: &str,
    both: &CancelReplaced,
    kind: ResponseType,
    unit: TimeUnit,
) -> Result<String, Refusal> {
    let (cancel_ok, new_ok) = (both.cancel.is_ok(), matches!(both.new, Some(Ok(_))));
    let mut body = String::with_capacity(1_024);
    let outcome = |ok: bool| if ok { "SUCCESS" } else { "FAILURE" };
    let mut object = Object::open(&mut body);
    object.text("cancelResult", outcome(cancel_ok));
    object.text("newOrderResult", if both.new.is_none() { "NOT_ATTEMPTED" } else { outcome(new_ok) });
    object.with("cancelResponse", |out| match &both.cancel {
        Ok(cancelled) => push_cancelled(out, symbol, cancelled, unit),
        Err(reject) => push_reject(out, reject),
    });
    object.with("newOrderResponse", |out| match &both.new {
        Some(Ok(placed)) => push_placed(out, symbol, placed, kind, unit),
        Some(Err(reject)) => push_reject(out, reject),
        None => out.push_str("null"),
    });
    object.end();
    let refusal = match (cancel_ok, new_ok) {
        (true, true) => return Ok(body),
        (false, false) => Refusal::bad(-2022, "Order cancel-replace failed."),
        _ => Refusal { status: 409, ..Refusal::bad(-2021, "Order cancel-replace partially failed.") },
    };
    Err(Refusal { data: Some(body), ..refusal })
}

fn push_reject(out: &mut String, reject: &VenueReject) {
    Object::open(out).plain("code", reject.code).with("msg", |out| push_text(out, &reject.text)).end();
}

/// The answer to an amend.
pub fn push_amended(out: &mut String, symbol: &str, amended: &Amended, unit: TimeUnit) {
    let order = &amended.order;
    let mut object = Object::open(out);
    object.plain("transactTime", unit.of(amended.transact_ts)).plain("executionId", amended.execution_id);
    object.with("amendedOrder", |out| {
        let mut object = Object::open(out);
        object
            .text("symbol", symbol)
            .plain("orderId", order.order_id)
            .plain("orderListId", -1)
            .text("origClientOrderId", &amended.orig_client_id)
            .text("clientOrderId", &order.client_id)
            .amount("price", order.price_e8)
            .amount("qty", order.orig_qty_e8)
            .amount("executedQty", order.executed_qty_e8)
            .amount("preventedQty", order.prevented_qty_e8)
            .amount("quoteOrderQty", order.orig_quote_qty_e8)
            .amount("cumulativeQuoteQty", order.cum_quote_e8)
            .text("status", order.status.name())
            .text("timeInForce", order.kind.time_in_force())
            .text("type", order.kind.name())
            .text("side", side_name(order.side));
        if let Some(working) = order.working_ts {
            object.plain("workingTime", unit.of(working));
        }
        object.text("selfTradePreventionMode", order.stp.name()).end();
    });
    object.end();
}

/// An order as a query answers it.
pub fn push_order(out: &mut String, symbol: &str, order: &OrderView, unit: TimeUnit) {
    let mut object = Object::open(out);
    object
        .text("symbol", symbol)
        .plain("orderId", order.order_id)
        .plain("orderListId", -1)
        .text("clientOrderId", &order.client_id);
    push_state(&mut object, order);
    object
        .amount("stopPrice", 0)
        .amount("icebergQty", 0)
        .plain("time", unit.of(order.created_ts))
        .plain("updateTime", unit.of(order.updated_ts))
        .plain("isWorking", true)
        .plain("workingTime", order.working_ts.map_or(-1, |at| unit.of(at) as i64));
    if order.prevented_qty_e8 != 0 {
        object.amount("preventedQuantity", order.prevented_qty_e8);
    }
    push_end(&mut object, order);
}

/// A row of `myTrades`.
pub fn push_trade_row(out: &mut String, symbol: &str, row: &TradeRow, unit: TimeUnit) {
    Object::open(out)
        .text("symbol", symbol)
        .plain("id", row.trade_id.0)
        .plain("orderId", row.order_id)
        .plain("orderListId", -1)
        .amount("price", row.price_e8)
        .amount("qty", row.qty_e8)
        .amount("quoteQty", row.quote_e8)
        .amount("commission", row.commission_e8)
        .text("commissionAsset", row.commission_asset.as_str())
        .plain("time", unit.of(row.time))
        .plain("isBuyer", row.side == Side::Bid)
        .plain("isMaker", row.is_maker)
        .plain("isBestMatch", true)
        .end();
}

/// A user-data event, without the envelope.
pub fn push_user_event(out: &mut String, symbol: &str, event: &UserEvent, unit: TimeUnit) {
    match event {
        UserEvent::Execution(execution) => push_execution(out, symbol, execution, unit),
        UserEvent::AccountPosition { event_ts, balances } => {
            Object::open(out)
                .text("e", "outboundAccountPosition")
                .plain("E", unit.of(*event_ts))
                .plain("u", unit.of(*event_ts))
                .with("B", |out| push_list(out, balances, push_position))
                .end();
        }
    }
}

fn push_position(out: &mut String, balance: &AssetBalance) {
    Object::open(out)
        .text("a", balance.asset.as_str())
        .amount("f", balance.free_e8)
        .amount("l", balance.locked_e8)
        .end();
}

fn push_execution(out: &mut String, symbol: &str, execution: &Execution, unit: TimeUnit) {
    let order = &execution.order;
    let at = unit.of(execution.event_ts);
    let fill = execution.fill.as_ref();
    let mut object = Object::open(out);
    object
        .text("e", "executionReport")
        .plain("E", at)
        .text("s", symbol)
        .text("c", &execution.client_id)
        .text("S", side_name(order.side))
        .text("o", order.kind.name())
        .text("f", order.kind.time_in_force())
        .amount("q", order.orig_qty_e8)
        .amount("p", order.price_e8)
        .amount("P", 0)
        .amount("F", 0)
        .plain("g", -1)
        .text("C", &execution.orig_client_id)
        .text("x", execution.kind.name())
        .text("X", order.status.name())
        .text("r", "NONE")
        .plain("i", order.order_id)
        .amount("l", fill.map_or(0, |fill| fill.qty_e8))
        .amount("z", order.executed_qty_e8)
        .amount("L", fill.map_or(0, |fill| fill.price_e8));
    match fill {
        Some(fill) => object.amount("n", fill.commission_e8).text("N", fill.commission_asset.as_str()),
        None => object.text("n", "0").raw("N", "null"),
    };
    object.plain("T", at).plain("t", fill.map_or(-1, |fill| fill.trade_id.0));
    if let Some(prevention) = &execution.prevention {
        object
            .plain("v", prevention.match_id)
            .amount("A", order.prevented_qty_e8)
            .amount("B", prevention.last_qty_e8)
            .plain("u", 1)
            .plain("U", prevention.counter_order_id);
    }
    object
        .plain("I", execution.execution_id)
        .plain("w", execution.on_book)
        .plain("m", fill.is_some_and(|fill| fill.is_maker))
        .plain("M", execution.kind == ExecutionType::Trade)
        .plain("O", unit.of(order.created_ts))
        .amount("Z", order.cum_quote_e8)
        .amount("Y", fill.map_or(0, |fill| fill.quote_e8))
        .amount("Q", order.orig_quote_qty_e8);
    if let Some(working) = order.working_ts {
        object.plain("W", unit.of(working));
    }
    object.text("V", order.stp.name());
    if let Some(reason) = order.expiry_reason {
        object.text("eR", reason);
    }
    object.end();
}
