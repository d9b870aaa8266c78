//! Order entry: what happens between a client's request and the matching core, and back. Validation, locking,
//! placing, cancelling, amending. The venue calls it after it has let the flow catch up.

use super::config::{AccountId, StpMode};
use super::desk::{Desk, may_rest, paid_asset, quote_e8};
use super::events::{OrderView, VenueOrderKind, VenueOrderStatus};
use super::filters::{self, Checked};
use super::market::{Arrival, Market};
use super::orders::OrderRecord;
use super::reject::VenueReject;
use super::requests::{Amended, CancelRestriction, Cancelled, OrderRef, Placed, VenueOrder};
use crate::matching::{Message, OrderEntry, SelfTrade};
use crate::types::{Level, OrderKind, Price, Qty, Side, TimestampNs};

/// Filters and counts: everything that Binance checks before balances and the book.
pub(super) fn check(
    now: TimestampNs,
    account: AccountId,
    order: &VenueOrder,
    market: &Market,
    desk: &Desk,
) -> Result<Checked, VenueReject> {
    if !account.is_client() || desk.ledger.account(account).is_none() {
        return Err(VenueReject::NO_ACCOUNT);
    }
    let reference = market.tape.last_price().or_else(|| mid(market));
    let checked = filters::check(&market.symbol, order, reference)?;
    if may_rest(order.kind) {
        let open = desk.orders.open_of(account, Some(order.symbol)).count();
        if open >= market.symbol.orders_max as usize {
            return Err(VenueReject::filter("MAX_NUM_ORDERS"));
        }
    }
    desk.counts.check(account, now)?;
    Ok(checked)
}

/// Places an order.
pub(super) fn place(
    now: TimestampNs,
    account: AccountId,
    order: &VenueOrder,
    market: &mut Market,
    desk: &mut Desk,
) -> Result<Placed, VenueReject> {
    let checked = check(now, account, order, market, desk)?;
    if let Some(name) = &order.client_id
        && desk.orders.is_name_open(account, order.symbol, name)
    {
        return Err(VenueReject::DUPLICATE_ORDER);
    }
    let stp = order.stp.unwrap_or(market.symbol.default_stp);
    let qty = match checked.qty {
        Qty::ZERO => qty_for_quote(account, order, stp, market, desk)?,
        qty => qty,
    };
    if order.kind == VenueOrderKind::LimitMaker && would_match(order.side, checked.price, market) {
        return Err(VenueReject::WOULD_MATCH);
    }
    let needed_e8 = match (order.kind, order.side) {
        (VenueOrderKind::Market, Side::Bid) => {
            let cost_e8 = market_cost_e8(account, order.side, qty, stp, market, desk);
            cost_e8 + desk.quote_fee_most(cost_e8)
        }
        (_, side) => desk.lock_needed(&market.symbol, side, checked.price, qty),
    };
    let asset = paid_asset(&market.symbol, order.side);
    if !desk.ledger.lock(account, asset, needed_e8, now) {
        return Err(VenueReject::INSUFFICIENT_BALANCE);
    }

    let client_id = order.client_id.clone().unwrap_or_else(|| desk.make_name());
    let id = desk.orders.take_id();
    let price = checked.price;
    desk.orders.insert(OrderRecord {
        view: OrderView {
            account,
            symbol: order.symbol,
            order_id: id,
            client_id,
            side: order.side,
            kind: order.kind,
            price_e8: market.symbol.instrument.price_e8(price),
            orig_qty_e8: market.symbol.instrument.qty_e8(qty),
            executed_qty_e8: 0,
            cum_quote_e8: 0,
            orig_quote_qty_e8: order.quote_qty_e8,
            status: VenueOrderStatus::New,
            created_ts: now,
            updated_ts: now,
            working_ts: None,
            stp,
            expiry_reason: None,
            prevented_qty_e8: 0,
        },
        price,
        remaining: qty,
        locked_e8: needed_e8,
        amends: 0,
    });
    desk.counts.add(account, now);
    desk.arrival_fills.clear();
    let entry = OrderEntry {
        id,
        owner: account.0 + 1,
        side: order.side,
        price,
        qty,
        kind: core_kind(order.kind),
        stp: core_stp(stp),
    };
    market.submit(now, &Message::New(entry), Arrival::Client, desk);
    if market.was_rejected() {
        // Only the core's own limits are left as a reason: ids are fresh, quantities positive, crossing was checked.
        desk.ledger.unlock(account, asset, needed_e8, now);
        desk.orders.remove(id);
        return Err(VenueReject::WOULD_MATCH);
    }
    let fills = std::mem::take(&mut desk.arrival_fills);
    match desk.orders.get(id) {
        Some(record) => Ok(Placed { order: record.view.clone(), fills, transact_ts: now }),
        None => Err(VenueReject::NO_SUCH_ORDER),
    }
}

/// Cancels an open order.
pub(super) fn cancel(
    now: TimestampNs,
    account: AccountId,
    wanted: OrderRef<'_>,
    cancel_id: Option<&str>,
    restriction: Option<CancelRestriction>,
    market: &mut Market,
    desk: &mut Desk,
) -> Result<Cancelled, VenueReject> {
    let symbol = market.symbol.instrument.id;
    let view = &desk.orders.find(account, symbol, wanted, VenueReject::UNKNOWN_ORDER)?.view;
    let (id, status) = (view.order_id, view.status);
    if !status.is_open() {
        return Err(VenueReject::UNKNOWN_ORDER);
    }
    let allowed = match restriction {
        None => true,
        Some(CancelRestriction::OnlyNew) => status == VenueOrderStatus::New,
        Some(CancelRestriction::OnlyPartiallyFilled) => status == VenueOrderStatus::PartiallyFilled,
    };
    if !allowed {
        return Err(VenueReject::CANCEL_RESTRICTION);
    }
    let cancel_id = cancel_id.map_or_else(|| desk.make_name(), str::to_owned);
    market.submit(now, &Message::Cancel { id }, Arrival::Client, desk);
    desk.cancelled(now, &market.symbol, id, &cancel_id);
    let order = desk.orders.get(id).map(|record| record.view.clone()).ok_or(VenueReject::UNKNOWN_ORDER)?;
    Ok(Cancelled { order, cancel_id, transact_ts: now })
}

/// Lowers an open order's quantity in place.
pub(super) fn amend(
    now: TimestampNs,
    account: AccountId,
    wanted: OrderRef<'_>,
    new_qty_e8: i64,
    new_client_id: Option<&str>,
    market: &mut Market,
    desk: &mut Desk,
) -> Result<Amended, VenueReject> {
    let symbol = market.symbol.instrument.id;
    let record = desk.orders.find(account, symbol, wanted, VenueReject::UNKNOWN_ORDER)?;
    let view = &record.view;
    let (id, orig_client_id) = (view.order_id, view.client_id.clone());
    if !view.status.is_open() {
        return Err(VenueReject::UNKNOWN_ORDER);
    }
    if record.amends >= market.symbol.amends_max {
        return Err(VenueReject::AMEND_TOO_OFTEN);
    }
    filters::check_qty(&market.symbol, new_qty_e8, false)?;
    if new_qty_e8 == view.orig_qty_e8 {
        return Err(VenueReject::AMEND_NO_CHANGE);
    }
    if new_qty_e8 > view.orig_qty_e8 {
        return Err(VenueReject::AMEND_INCREASE);
    }
    let spent_e8 = view.executed_qty_e8 + view.prevented_qty_e8;
    if new_qty_e8 <= spent_e8 {
        return Err(VenueReject::filter("LOT_SIZE"));
    }
    if let Some(name) = new_client_id
        && name != orig_client_id
        && desk.orders.is_name_open(account, symbol, name)
    {
        return Err(VenueReject::DUPLICATE_ORDER);
    }
    let remaining = Qty::from_lots((new_qty_e8 - spent_e8) / market.symbol.instrument.spec.lot_e8);
    let price = record.price;
    let name = new_client_id.map_or_else(|| desk.make_name(), str::to_owned);
    market.submit(now, &Message::Modify { id, price, qty: remaining }, Arrival::Client, desk);
    let execution_id = desk.amended(now, &market.symbol, id, remaining, &name);
    let order = desk.orders.get(id).map(|record| record.view.clone()).ok_or(VenueReject::UNKNOWN_ORDER)?;
    Ok(Amended { order, orig_client_id, execution_id, transact_ts: now })
}

/// What stands against a market order, best first, without what self-trade prevention would take away.
fn opposing_levels(account: AccountId, side: Side, stp: StpMode, market: &Market, desk: &Desk) -> Vec<Level> {
    let mut levels = market.levels(side.opposite());
    if stp != StpMode::None {
        for own in desk.orders.open_of(account, Some(market.symbol.instrument.id)) {
            if own.view.side != side
                && let Some(level) = levels.iter_mut().find(|level| level.price == own.price)
            {
                level.qty -= own.remaining;
            }
        }
    }
    levels
}

/// What a market order would pay at most in 1e-8 quote.
fn market_cost_e8(account: AccountId, side: Side, qty: Qty, stp: StpMode, market: &Market, desk: &Desk) -> i64 {
    let mut left = qty;
    let mut cost_e8 = 0;
    for level in opposing_levels(account, side, stp, market, desk) {
        let taken = left.min(level.qty);
        cost_e8 += quote_e8(&market.symbol, level.price, taken);
        left -= taken;
        if left.is_zero() {
            break;
        }
    }
    cost_e8
}

/// How many whole lots a market order for a quote amount buys or sells.
fn qty_for_quote(
    account: AccountId,
    order: &VenueOrder,
    stp: StpMode,
    market: &Market,
    desk: &Desk,
) -> Result<Qty, VenueReject> {
    let mut left_e8 = order.quote_qty_e8;
    let mut qty = Qty::ZERO;
    let levels = opposing_levels(account, order.side, stp, market, desk);
    if levels.is_empty() {
        return Err(VenueReject::NO_LIQUIDITY);
    }
    for level in levels {
        let lot_cost_e8 = quote_e8(&market.symbol, level.price, Qty::from_lots(1)).max(1);
        let taken = level.qty.min(Qty::from_lots(left_e8 / lot_cost_e8));
        qty += taken;
        left_e8 -= quote_e8(&market.symbol, level.price, taken);
        if taken < level.qty {
            break;
        }
    }
    filters::check_qty(&market.symbol, market.symbol.instrument.qty_e8(qty), true)
}

fn would_match(side: Side, price: Price, market: &Market) -> bool {
    market.core.best(side.opposite()).is_some_and(|best| price.ticks_above(best.price) * side.sign() >= 0)
}

fn mid(market: &Market) -> Option<Price> {
    let (bid, ask) = (market.core.best(Side::Bid)?, market.core.best(Side::Ask)?);
    Some(Price::from_ticks((bid.price.ticks() + ask.price.ticks()) / 2))
}

fn core_kind(kind: VenueOrderKind) -> OrderKind {
    match kind {
        VenueOrderKind::Limit(tif) => OrderKind::Limit(tif),
        VenueOrderKind::LimitMaker => OrderKind::PostOnly,
        VenueOrderKind::Market => OrderKind::Market,
    }
}

fn core_stp(stp: StpMode) -> SelfTrade {
    match stp {
        StpMode::None => SelfTrade::None,
        StpMode::ExpireMaker => SelfTrade::ExpireMaker,
        StpMode::ExpireTaker => SelfTrade::ExpireTaker,
        StpMode::ExpireBoth => SelfTrade::ExpireBoth,
        StpMode::Decrement => SelfTrade::Decrement,
    }
}
