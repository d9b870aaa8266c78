//! Answers that need a key: orders, trades and balances.

use super::front::Front;
use super::json::{Object, TimeUnit, push_list};
use super::market::interval_words;
use super::operation::Operation;
use super::params::Params;
use super::refusal::Refusal;
use super::render::{
    ResponseType, cancel_replaced, push_amended, push_cancelled, push_order, push_placed, push_trade_row,
};
use crate::sim::{
    AccountId, CancelReplaceMode, CancelRestriction, OrderCount, OrderRef, StpMode, TradesQuery, VenueOrder,
    VenueOrderKind, VenueReject,
};
use crate::types::{InstrumentId, Side, TimeInForce, TradeId};

impl Front {
    /// Answers a request of an account.
    pub(super) fn answer_signed(
        &mut self,
        operation: Operation,
        account: AccountId,
        params: &Params,
        unit: TimeUnit,
    ) -> Result<String, Refusal> {
        let now = self.now();
        let mut out = String::with_capacity(768);
        match operation {
            Operation::Place => {
                let (order, kind) = self.order_wanted(params)?;
                let placed = self.venue.place(now, account, &order)?;
                push_placed(&mut out, self.instrument(order.symbol).symbol(), &placed, kind, unit);
            }
            Operation::TestPlace => {
                let (order, _) = self.order_wanted(params)?;
                self.venue.test(now, account, &order)?;
                out.push_str("{}");
            }
            Operation::Cancel => {
                let symbol = self.symbol(params)?;
                let order = order_ref(params, "orderId", "origClientOrderId")?;
                let restriction = match params.get("cancelRestrictions") {
                    None => None,
                    Some("ONLY_NEW") => Some(CancelRestriction::OnlyNew),
                    Some("ONLY_PARTIALLY_FILLED") => Some(CancelRestriction::OnlyPartiallyFilled),
                    Some(_) => return Err(Refusal::bad(-1145, "Invalid cancelRestrictions.")),
                };
                let cancel_id = client_id(params, "newClientOrderId")?;
                let done = self.venue.cancel(now, account, symbol, order, cancel_id, restriction)?;
                push_cancelled(&mut out, self.instrument(symbol).symbol(), &done, unit);
            }
            Operation::CancelReplace => return self.cancel_replace(account, params, unit),
            Operation::Amend => {
                let symbol = self.symbol(params)?;
                let order = order_ref(params, "orderId", "origClientOrderId")?;
                let qty_e8 = params.amount("newQty")?.ok_or_else(|| Refusal::missing("newQty"))?;
                let new_id = client_id(params, "newClientOrderId")?;
                let amended = self.venue.amend(now, account, symbol, order, qty_e8, new_id)?;
                push_amended(&mut out, self.instrument(symbol).symbol(), &amended, unit);
            }
            Operation::OrderStatus => {
                let symbol = self.symbol(params)?;
                let order = order_ref(params, "orderId", "origClientOrderId")?;
                self.venue.advance(now);
                let view = self.venue.order(account, symbol, order)?;
                push_order(&mut out, self.instrument(symbol).symbol(), &view, unit);
            }
            Operation::OpenOrders => {
                let symbol = params.get("symbol").map(|_| self.symbol(params)).transpose()?;
                self.venue.advance(now);
                push_list(&mut out, &self.venue.open_orders(account, symbol), |out, order| {
                    push_order(out, self.instrument(order.symbol).symbol(), order, unit);
                });
            }
            Operation::CancelAll => {
                let symbol = self.symbol(params)?;
                let done = self.venue.cancel_all(now, account, symbol)?;
                let name = self.instrument(symbol).symbol();
                push_list(&mut out, &done, |out, one| push_cancelled(out, name, one, unit));
            }
            Operation::AllOrders => {
                let symbol = self.symbol(params)?;
                let (from_id, limit) = (params.whole("orderId")?, params.limit(500, 1_000)?);
                let (start, end) = (params.time("startTime")?, params.time("endTime")?);
                self.venue.advance(now);
                // Bounds of time are on the whole history, of which the venue keeps a limited part.
                let wide = if start.is_some() || end.is_some() { usize::MAX } else { limit };
                let orders = self.venue.all_orders(account, symbol, from_id, wide);
                let inside = orders.iter().filter(|order| {
                    start.is_none_or(|start| order.created_ts >= start) && end.is_none_or(|end| order.created_ts <= end)
                });
                let name = self.instrument(symbol).symbol();
                push_list(&mut out, inside.take(limit), |out, order| push_order(out, name, order, unit));
            }
            Operation::MyTrades => self.push_my_trades(&mut out, account, params, unit)?,
            Operation::Account => self.push_account(&mut out, account, params, unit)?,
            Operation::Commission => {
                let symbol = self.symbol(params)?;
                self.push_commission(&mut out, symbol);
            }
            Operation::OrderLimits => push_order_counts(&mut out, &self.order_counts(account)),
            Operation::TradeFee => {
                let chosen: Vec<InstrumentId> = match params.get("symbol") {
                    Some(_) => vec![self.symbol(params)?],
                    None => self.instruments().iter().map(|one| one.id).collect(),
                };
                let fees = self.venue.config().fees;
                push_list(&mut out, chosen, |out, id| {
                    Object::open(out)
                        .text("symbol", self.instrument(id).symbol())
                        .amount("makerCommission", fees.maker_e8)
                        .amount("takerCommission", fees.taker_e8)
                        .end();
                });
            }
            _ => return Err(Refusal::unsupported(400)),
        }
        Ok(out)
    }

    fn cancel_replace(&mut self, account: AccountId, params: &Params, unit: TimeUnit) -> Result<String, Refusal> {
        let (order, kind) = self.order_wanted(params)?;
        let mode = match params.required("cancelReplaceMode")? {
            "STOP_ON_FAILURE" => CancelReplaceMode::StopOnFailure,
            "ALLOW_FAILURE" => CancelReplaceMode::AllowFailure,
            _ => return Err(Refusal::invalid_data("cancelReplaceMode")),
        };
        let cancel = order_ref(params, "cancelOrderId", "cancelOrigClientOrderId")?;
        let cancel_id = client_id(params, "cancelNewClientOrderId")?;
        let now = self.now();
        let both = self.venue.cancel_replace(now, account, cancel, cancel_id, mode, &order)?;
        cancel_replaced(self.instrument(order.symbol).symbol(), &both, kind, unit)
    }

    /// Reads a new order and how it wants to be answered.
    fn order_wanted(&self, params: &Params) -> Result<(VenueOrder, ResponseType), Refusal> {
        let symbol = self.symbol(params)?;
        let side = match params.required("side")? {
            "BUY" => Side::Bid,
            "SELL" => Side::Ask,
            _ => return Err(Refusal::bad(-1117, "Invalid side.")),
        };
        let kind = order_kind(params)?;
        let (price, qty, quote_qty) =
            (params.amount("price")?, params.amount("quantity")?, params.amount("quoteOrderQty")?);
        match kind {
            VenueOrderKind::Market => {
                if price.is_some() {
                    return Err(Refusal::not_required("price"));
                }
                match (qty, quote_qty) {
                    (Some(_), Some(_)) => return Err(VenueReject::OPTIONAL_PARAMETERS.into()),
                    (None, None) => return Err(VenueReject::QUANTITY_MISSING.into()),
                    _ => {}
                }
            }
            VenueOrderKind::Limit(_) | VenueOrderKind::LimitMaker => {
                if qty.is_none() {
                    return Err(Refusal::missing("quantity"));
                }
                if price.is_none() {
                    return Err(Refusal::missing("price"));
                }
                if quote_qty.is_some() {
                    return Err(Refusal::not_required("quoteOrderQty"));
                }
            }
        }
        let stp = match params.get("selfTradePreventionMode") {
            None => None,
            Some("TRANSFER") => return Err(VenueReject::TRANSFER_UNSUPPORTED.into()),
            Some(name) => Some(StpMode::parse(name).ok_or_else(|| Refusal::invalid_data("selfTradePreventionMode"))?),
        };
        let response = match params.get("newOrderRespType") {
            Some("ACK") => ResponseType::Ack,
            Some("RESULT") => ResponseType::Result,
            Some("FULL") => ResponseType::Full,
            Some(_) => return Err(Refusal::invalid_data("newOrderRespType")),
            None if kind == VenueOrderKind::LimitMaker => ResponseType::Ack,
            None => ResponseType::Full,
        };
        let order = VenueOrder {
            symbol,
            side,
            kind,
            price_e8: price.unwrap_or(0),
            qty_e8: qty.unwrap_or(0),
            quote_qty_e8: quote_qty.unwrap_or(0),
            client_id: client_id(params, "newClientOrderId")?.map(str::to_owned),
            stp,
        };
        Ok((order, response))
    }

    fn push_my_trades(
        &mut self,
        out: &mut String,
        account: AccountId,
        params: &Params,
        unit: TimeUnit,
    ) -> Result<(), Refusal> {
        let symbol = self.symbol(params)?;
        let from_id = params.whole("fromId")?.map(|id| TradeId(i64::try_from(id).unwrap_or(i64::MAX)));
        let query = TradesQuery {
            order_id: params.whole("orderId")?,
            from_id,
            start: params.time("startTime")?,
            end: params.time("endTime")?,
            limit: params.limit(500, 1_000)?,
        };
        self.venue.advance(self.now());
        let name = self.instrument(symbol).symbol();
        let rows = self.venue.my_trades(account, symbol, query);
        push_list(out, &rows, |out, row| push_trade_row(out, name, row, unit));
        Ok(())
    }

    fn push_account(
        &mut self,
        out: &mut String,
        account: AccountId,
        params: &Params,
        unit: TimeUnit,
    ) -> Result<(), Refusal> {
        let omits_zero = params.flag("omitZeroBalances")?.unwrap_or(false);
        self.venue.advance(self.now());
        let balances = self.venue.account(account).ok_or_else(Refusal::unknown_key)?;
        let fees = self.venue.config().fees;
        // The old fields are whole basis points; the rates below are exact.
        Object::open(out)
            .plain("makerCommission", fees.maker_e8 / 10_000)
            .plain("takerCommission", fees.taker_e8 / 10_000)
            .plain("buyerCommission", 0)
            .plain("sellerCommission", 0)
            .with("commissionRates", |out| {
                Object::open(out)
                    .amount("maker", fees.maker_e8)
                    .amount("taker", fees.taker_e8)
                    .amount("buyer", 0)
                    .amount("seller", 0)
                    .end();
            })
            .plain("canTrade", true)
            .plain("canWithdraw", false)
            .plain("canDeposit", false)
            .plain("brokered", false)
            .plain("requireSelfTradePrevention", false)
            .plain("preventSor", false)
            .plain("updateTime", unit.of(balances.updated_ts))
            .text("accountType", "SPOT")
            .with("balances", |out| {
                let shown = balances.assets.iter().filter(|one| !omits_zero || one.total_e8() != 0);
                push_list(out, shown, |out, one| {
                    Object::open(out)
                        .text("asset", one.asset.as_str())
                        .amount("free", one.free_e8)
                        .amount("locked", one.locked_e8)
                        .end();
                });
            })
            .raw("permissions", r#"["SPOT"]"#)
            .plain("uid", account.0)
            .end();
        Ok(())
    }

    fn push_commission(&self, out: &mut String, symbol: InstrumentId) {
        let fees = self.venue.config().fees;
        let rates = |out: &mut String, maker: i64, taker: i64| {
            Object::open(out)
                .amount("maker", maker)
                .amount("taker", taker)
                .amount("buyer", 0)
                .amount("seller", 0)
                .end();
        };
        Object::open(out)
            .text("symbol", self.instrument(symbol).symbol())
            .with("standardCommission", |out| rates(out, fees.maker_e8, fees.taker_e8))
            .with("specialCommission", |out| rates(out, 0, 0))
            .with("taxCommission", |out| rates(out, 0, 0))
            .with("discount", |out| {
                Object::open(out)
                    .plain("enabledForAccount", false)
                    .plain("enabledForSymbol", false)
                    .text("discountAsset", "BNB")
                    .amount("discount", 0)
                    .end();
            })
            .end();
    }
}

/// Unfilled order counts, as `rateLimit/order` and the envelope of the WebSocket API list them.
pub fn push_order_counts(out: &mut String, counts: &[OrderCount]) {
    push_list(out, counts, push_order_count);
}

/// One limit and how much of it is used.
pub fn push_order_count(out: &mut String, count: &OrderCount) {
    let (interval, number) = interval_words(&count.limit);
    Object::open(out)
        .text("rateLimitType", "ORDERS")
        .text("interval", interval)
        .plain("intervalNum", number)
        .plain("limit", count.limit.limit)
        .plain("count", count.count)
        .end();
}

fn order_kind(params: &Params) -> Result<VenueOrderKind, Refusal> {
    const NO_STOPS: &str = "Stop loss orders are not supported for this symbol.";
    const NO_PROFITS: &str = "Take profit orders are not supported for this symbol.";
    const NO_ICEBERGS: &str = "Iceberg orders are not supported for this symbol.";
    const NO_TRAILING: &str = "Trailing stop orders are not supported for this symbol.";
    let in_force = params.get("timeInForce");
    let kind = match params.required("type")? {
        "LIMIT" => VenueOrderKind::Limit(match in_force.ok_or_else(|| Refusal::missing("timeInForce"))? {
            "GTC" => TimeInForce::Gtc,
            "IOC" => TimeInForce::Ioc,
            "FOK" => TimeInForce::Fok,
            _ => return Err(Refusal::bad(-1115, "Invalid timeInForce.")),
        }),
        other if in_force.is_some() && matches!(other, "LIMIT_MAKER" | "MARKET") => {
            return Err(Refusal::not_required("timeInForce"));
        }
        "LIMIT_MAKER" => VenueOrderKind::LimitMaker,
        "MARKET" => VenueOrderKind::Market,
        "STOP_LOSS" | "STOP_LOSS_LIMIT" => return Err(Refusal::unsupported_order(NO_STOPS)),
        "TAKE_PROFIT" | "TAKE_PROFIT_LIMIT" => return Err(Refusal::unsupported_order(NO_PROFITS)),
        _ => return Err(Refusal::bad(-1116, "Invalid orderType.")),
    };
    if params.get("stopPrice").is_some() {
        return Err(Refusal::not_required("stopPrice"));
    }
    if params.get("trailingDelta").is_some() {
        return Err(Refusal::unsupported_order(NO_TRAILING));
    }
    if params.amount("icebergQty")?.is_some_and(|qty| qty > 0) {
        return Err(Refusal::unsupported_order(NO_ICEBERGS));
    }
    if params.get("pegPriceType").is_some() {
        return Err(Refusal::unsupported(400));
    }
    Ok(kind)
}

/// Which order a request means.
///
/// # Errors
/// -1102 when neither id was sent.
fn order_ref<'a>(params: &'a Params, id: &str, client: &str) -> Result<OrderRef<'a>, Refusal> {
    let order = OrderRef { order_id: params.whole(id)?, client_id: params.get(client) };
    if order == OrderRef::default() {
        return Err(Refusal::bad(
            -1102,
            if id == "orderId" {
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            } else {
                "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!"
            },
        ));
    }
    Ok(order)
}

/// A client's name for an order or a cancel.
///
/// # Errors
/// -1100 for a name of other than 1 to 36 characters of the documented set, widened by `.`, `:` and `/`.
fn client_id<'a>(params: &'a Params, name: &str) -> Result<Option<&'a str>, Refusal> {
    const LEGAL: &str = r"^[\.A-Z\:/a-z0-9_-]{1,36}$";
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    match params.get(name) {
        Some(text) if text.len() > 36 || !text.bytes().all(legal) => Err(Refusal::illegal(name, LEGAL)),
        other => Ok(other),
    }
}
