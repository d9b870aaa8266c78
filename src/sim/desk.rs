//! What all markets of a venue share: orders, ledger, counts, fills and the events that wait to be taken. The markets
//! report to it what the matching core did; it settles money and tells the owners. Never matches anything itself.

use std::collections::{BTreeMap, VecDeque};

use super::accounts::Ledger;
use super::config::{AccountId, CommissionAsset, FeeSchedule, SymbolConfig, VenueConfig};
use super::counts::OrderCounts;
use super::events::{
    AssetBalance, Execution, ExecutionType, FillCause, LastFill, Prevention, TradeRow, UserEvent, VenueMarketEvent,
    VenueOrderKind, VenueOrderStatus,
};
use super::orders::{Orders, open_status};
use crate::types::{Asset, InstrumentId, Price, Qty, Side, TimeInForce, TimestampNs, TradeId};

/// A match, as the ledger needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub trade_id: TradeId,
    pub price: Price,
    pub qty: Qty,
    pub maker_id: u64,
    pub taker_id: u64,
    pub aggressor: Side,
    /// Why the maker was filled, if it is a client's.
    pub maker_cause: FillCause,
}

/// A match that self-trade prevention has stopped, as one of its two orders sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoppedMatch {
    pub match_id: u64,
    pub counter_order_id: u64,
}

/// Numbers from here on belong to orders of the simulated market.
const BACKGROUND: u64 = 1 << 63;

/// The number of the simulated market's order with that counter.
pub(super) const fn background_id(counter: u64) -> u64 {
    BACKGROUND | counter
}

/// Whether an order number belongs to a client.
pub(super) const fn is_client_order(id: u64) -> bool {
    id & BACKGROUND == 0
}

/// Orders, money and mail of a venue.
#[derive(Debug)]
pub(super) struct Desk {
    pub fees: FeeSchedule,
    pub ledger: Ledger,
    pub orders: Orders,
    pub counts: OrderCounts,
    /// The newest fills.
    pub trades: VecDeque<TradeRow>,
    /// How many fills each account had on each symbol.
    pub fill_counts: BTreeMap<(AccountId, InstrumentId), u64>,
    kept_fills: usize,
    pub market_events: Vec<VenueMarketEvent>,
    pub user_events: Vec<(AccountId, UserEvent)>,
    /// Fills that the order being placed took on its arrival.
    pub arrival_fills: Vec<LastFill>,
    executions: u64,
    preventions: u64,
    names: u64,
    /// Accounts whose balances may have changed since their positions were last told, and by which symbol.
    touched: Vec<(AccountId, InstrumentId)>,
}

impl Desk {
    pub(super) fn new(config: &VenueConfig) -> Desk {
        Desk {
            fees: config.fees,
            ledger: Ledger::new(config.start),
            orders: Orders::new(config.kept_orders, config.kept_fills),
            counts: OrderCounts::new(config.order_limits.clone()),
            trades: VecDeque::new(),
            fill_counts: BTreeMap::new(),
            kept_fills: config.kept_fills,
            market_events: Vec::new(),
            user_events: Vec::new(),
            arrival_fills: Vec::new(),
            executions: 0,
            preventions: 0,
            names: 0,
            touched: Vec::new(),
        }
    }

    /// A name for an order or a cancel that came without one: 22 characters, as Binance makes them.
    pub(super) fn make_name(&mut self) -> String {
        self.names += 1;
        format!("tv{:020}", self.names)
    }

    /// What an order must hold locked, in the asset that it pays with, for `qty` at `price` to be paid for, commission
    /// included when it is taken in quote. Lowering `qty` by a fill releases at least what that fill costs.
    pub(super) fn lock_needed(&self, symbol: &SymbolConfig, side: Side, price: Price, qty: Qty) -> i64 {
        match side {
            Side::Ask => symbol.instrument.qty_e8(qty),
            Side::Bid => {
                let quote_e8 = quote_e8(symbol, price, qty);
                quote_e8 + self.quote_fee_most(quote_e8)
            }
        }
    }

    /// The most commission in quote that a buyer may have to pay on top.
    pub(super) fn quote_fee_most(&self, quote_e8: i64) -> i64 {
        match self.fees.asset {
            CommissionAsset::Received => 0,
            CommissionAsset::Quote => {
                let rate = self.fees.maker_e8.max(self.fees.taker_e8).max(0);
                let scaled = i128::from(quote_e8) * i128::from(rate);
                // A commission is never more than the quote it is taken from, far below 64 bits.
                ((scaled + 99_999_999) / 100_000_000) as i64
            }
        }
    }

    /// The core has taken a client's order.
    pub(super) fn accepted(&mut self, now: TimestampNs, id: u64) {
        if let Some(record) = self.orders.get_mut(id) {
            record.view.working_ts = Some(now);
        }
        self.tell(now, id, ExecutionType::New, None, None);
    }

    /// Two orders have traded. Moves the money and tells the owners. Trades within the simulated market move none.
    pub(super) fn settle(&mut self, now: TimestampNs, symbol: &SymbolConfig, trade: &Match) {
        let legs = [
            (trade.taker_id, trade.aggressor, false, FillCause::Taker),
            (trade.maker_id, trade.aggressor.opposite(), true, trade.maker_cause),
        ];
        if legs.iter().all(|leg| !is_client_order(leg.0)) {
            return;
        }
        for (id, side, is_maker, cause) in legs {
            if is_client_order(id) {
                self.fill(now, symbol, id, trade, is_maker, cause);
            } else {
                let base_e8 = symbol.instrument.qty_e8(trade.qty) * side.sign();
                let quote_e8 = quote_e8(symbol, trade.price, trade.qty) * side.sign();
                let spec = &symbol.instrument.spec;
                self.ledger.credit(AccountId::MARKET, spec.base, base_e8, now);
                self.ledger.credit(AccountId::MARKET, spec.quote, -quote_e8, now);
            }
        }
    }

    fn fill(
        &mut self,
        now: TimestampNs,
        symbol: &SymbolConfig,
        id: u64,
        trade: &Match,
        is_maker: bool,
        cause: FillCause,
    ) {
        let spec = &symbol.instrument.spec;
        let base_e8 = symbol.instrument.qty_e8(trade.qty);
        let quote_e8 = quote_e8(symbol, trade.price, trade.qty);
        let Some(record) = self.orders.get(id) else { return };
        let (account, side, price) = (record.view.account, record.view.side, record.price);
        let remaining = record.remaining - trade.qty;
        let (paid_asset, paid_e8, received_asset, received_e8) = match side {
            Side::Bid => (spec.quote, quote_e8, spec.base, base_e8),
            Side::Ask => (spec.base, base_e8, spec.quote, quote_e8),
        };
        let (fee_asset, fee_of_e8) = match self.fees.asset {
            CommissionAsset::Received => (received_asset, received_e8),
            CommissionAsset::Quote => (spec.quote, quote_e8),
        };
        let rate_e8 = if is_maker { self.fees.maker_e8 } else { self.fees.taker_e8 };
        let fee_e8 = (i128::from(fee_of_e8) * i128::from(rate_e8) / 100_000_000) as i64;
        let (fee_on_received, fee_on_paid) = if fee_asset == received_asset { (fee_e8, 0) } else { (0, fee_e8) };

        let lock_after = match record.view.kind {
            _ if remaining.is_zero() => 0,
            // A market order's lock was reckoned for its whole walk through the book; the rest is freed at its end.
            VenueOrderKind::Market => record.locked_e8 - paid_e8 - fee_on_paid,
            _ => self.lock_needed(symbol, side, price, remaining),
        };
        let spent_e8 = paid_e8 + fee_on_paid;
        let freed_e8 = record.locked_e8 - spent_e8 - lock_after;
        self.ledger.spend_locked(account, paid_asset, spent_e8, now);
        self.ledger.unlock(account, paid_asset, freed_e8, now);
        self.ledger.credit(account, received_asset, received_e8 - fee_on_received, now);
        self.ledger.credit(AccountId::FEES, fee_asset, fee_e8, now);

        let fill = LastFill {
            trade_id: trade.trade_id,
            price_e8: symbol.instrument.price_e8(trade.price),
            qty_e8: base_e8,
            quote_e8,
            commission_e8: fee_e8,
            commission_asset: fee_asset,
            is_maker,
            cause,
        };
        let is_first = record.view.executed_qty_e8 == 0;
        if let Some(record) = self.orders.get_mut(id) {
            record.remaining = remaining;
            record.locked_e8 = lock_after;
            let view = &mut record.view;
            view.executed_qty_e8 += base_e8;
            view.cum_quote_e8 += quote_e8;
            view.updated_ts = now;
            view.status =
                if remaining.is_zero() { VenueOrderStatus::Filled } else { VenueOrderStatus::PartiallyFilled };
        }
        if is_first {
            self.counts.first_fill(account, is_maker, now);
        }
        *self.fill_counts.entry((account, symbol.instrument.id)).or_default() += 1;
        if self.trades.len() >= self.kept_fills {
            self.trades.pop_front();
        }
        self.trades.push_back(TradeRow {
            account,
            symbol: symbol.instrument.id,
            trade_id: trade.trade_id,
            order_id: id,
            price_e8: fill.price_e8,
            qty_e8: base_e8,
            quote_e8,
            commission_e8: fee_e8,
            commission_asset: fee_asset,
            time: now,
            side,
            is_maker,
            cause,
        });
        if !is_maker {
            self.arrival_fills.push(fill);
        }
        self.tell(now, id, ExecutionType::Trade, Some(fill), None);
        if remaining.is_zero() {
            self.orders.close(id);
        }
    }

    /// The core has dropped what was left of a client's order by a rule.
    pub(super) fn expired(&mut self, now: TimestampNs, symbol: &SymbolConfig, id: u64, reason: &'static str) {
        if let Some(record) = self.orders.get_mut(id) {
            record.view.expiry_reason = Some(reason);
        }
        self.end(now, symbol, id, VenueOrderStatus::Expired);
        self.tell(now, id, ExecutionType::Expired, None, None);
        self.orders.close(id);
    }

    /// A number for a match that self-trade prevention has stopped.
    pub(super) fn take_prevention_id(&mut self) -> u64 {
        self.preventions += 1;
        self.preventions
    }

    /// Self-trade prevention has taken `last_qty` off a client's order; `is_gone` when nothing of it is left.
    pub(super) fn prevented(
        &mut self,
        now: TimestampNs,
        symbol: &SymbolConfig,
        id: u64,
        last_qty: Qty,
        is_gone: bool,
        stopped: StoppedMatch,
    ) {
        let last_qty_e8 = symbol.instrument.qty_e8(last_qty);
        let Some(record) = self.orders.get_mut(id) else { return };
        record.view.prevented_qty_e8 += last_qty_e8;
        record.view.updated_ts = now;
        if is_gone {
            self.end(now, symbol, id, VenueOrderStatus::ExpiredInMatch);
        } else {
            record.remaining -= last_qty;
            self.relock(now, symbol, id);
        }
        let StoppedMatch { match_id, counter_order_id } = stopped;
        let prevention = Prevention { match_id, last_qty_e8, counter_order_id };
        self.tell(now, id, ExecutionType::TradePrevention, None, Some(prevention));
        if is_gone {
            self.orders.close(id);
        }
    }

    /// The core has taken a client's order off the book because its owner asked.
    pub(super) fn cancelled(&mut self, now: TimestampNs, symbol: &SymbolConfig, id: u64, cancel_id: &str) {
        self.end(now, symbol, id, VenueOrderStatus::Canceled);
        self.tell_renamed(now, id, ExecutionType::Canceled, cancel_id, None);
        self.orders.close(id);
    }

    /// The core has lowered a client's order; what is left of it now is `remaining`. Returns the execution's number.
    pub(super) fn amended(
        &mut self,
        now: TimestampNs,
        symbol: &SymbolConfig,
        id: u64,
        remaining: Qty,
        new_client_id: &str,
    ) -> u64 {
        let Some(record) = self.orders.get_mut(id) else { return 0 };
        record.amends += 1;
        record.remaining = remaining;
        record.view.updated_ts = now;
        record.view.orig_qty_e8 =
            record.view.executed_qty_e8 + record.view.prevented_qty_e8 + symbol.instrument.qty_e8(remaining);
        record.view.status = open_status(record.view.executed_qty_e8);
        let before = record.view.client_id.clone();
        self.orders.rename(id, new_client_id);
        self.relock(now, symbol, id);
        self.tell_renamed(now, id, ExecutionType::Replaced, new_client_id, Some(&before))
    }

    /// Tells every account whose balances may have changed where they stand.
    pub(super) fn tell_positions(&mut self, now: TimestampNs, spec_of: impl Fn(InstrumentId) -> [Asset; 2]) {
        for (account, symbol) in std::mem::take(&mut self.touched) {
            let Some(balances) = self.ledger.account(account) else { continue };
            let balances: Vec<AssetBalance> = spec_of(symbol).into_iter().map(|asset| balances.of(asset)).collect();
            self.user_events.push((account, UserEvent::AccountPosition { event_ts: now, balances }));
        }
    }

    /// Frees whatever an order still holds and gives it its last status.
    fn end(&mut self, now: TimestampNs, symbol: &SymbolConfig, id: u64, status: VenueOrderStatus) {
        let Some(record) = self.orders.get_mut(id) else { return };
        let freed_e8 = std::mem::take(&mut record.locked_e8);
        record.remaining = Qty::ZERO;
        record.view.status = status;
        record.view.updated_ts = now;
        let (account, asset) = (record.view.account, paid_asset(symbol, record.view.side));
        self.ledger.unlock(account, asset, freed_e8, now);
    }

    /// Frees what an order whose quantity was lowered no longer needs.
    fn relock(&mut self, now: TimestampNs, symbol: &SymbolConfig, id: u64) {
        let Some(record) = self.orders.get(id) else { return };
        let (account, side) = (record.view.account, record.view.side);
        if record.view.kind == VenueOrderKind::Market {
            return;
        }
        let needed_e8 = self.lock_needed(symbol, side, record.price, record.remaining);
        let freed_e8 = record.locked_e8 - needed_e8;
        if let Some(record) = self.orders.get_mut(id) {
            record.locked_e8 = needed_e8;
        }
        self.ledger.unlock(account, paid_asset(symbol, side), freed_e8, now);
    }

    fn tell(
        &mut self,
        now: TimestampNs,
        id: u64,
        kind: ExecutionType,
        fill: Option<LastFill>,
        prevention: Option<Prevention>,
    ) {
        self.executions += 1;
        let Some(record) = self.orders.get(id) else { return };
        let order = record.view.clone();
        let execution = Execution {
            event_ts: now,
            kind,
            client_id: order.client_id.clone(),
            orig_client_id: String::new(),
            execution_id: self.executions,
            fill,
            prevention,
            on_book: order.status.is_open() && may_rest(order.kind),
            order,
        };
        self.push_execution(execution);
    }

    /// Tells of a cancel or an amend: `c` is the request's own name, `C` the order's name before.
    fn tell_renamed(
        &mut self,
        now: TimestampNs,
        id: u64,
        kind: ExecutionType,
        request_id: &str,
        before: Option<&str>,
    ) -> u64 {
        self.executions += 1;
        let Some(record) = self.orders.get(id) else { return self.executions };
        let order = record.view.clone();
        let execution = Execution {
            event_ts: now,
            kind,
            client_id: request_id.to_owned(),
            orig_client_id: before.unwrap_or(&order.client_id).to_owned(),
            execution_id: self.executions,
            fill: None,
            prevention: None,
            on_book: order.status.is_open() && may_rest(order.kind),
            order,
        };
        self.push_execution(execution);
        self.executions
    }

    fn push_execution(&mut self, execution: Execution) {
        let place = (execution.order.account, execution.order.symbol);
        if !self.touched.contains(&place) {
            self.touched.push(place);
        }
        self.user_events.push((place.0, UserEvent::Execution(Box::new(execution))));
    }
}

/// Price times quantity in 1e-8 quote; exact, because the venue refuses symbols for which it would not be.
pub(super) fn quote_e8(symbol: &SymbolConfig, price: Price, qty: Qty) -> i64 {
    symbol.instrument.notional(price, qty).e8_truncated() as i64
}

/// The asset that an order of that side pays with.
pub(super) fn paid_asset(symbol: &SymbolConfig, side: Side) -> Asset {
    match side {
        Side::Bid => symbol.instrument.spec.quote,
        Side::Ask => symbol.instrument.spec.base,
    }
}

/// Whether an order of that kind can stay on the book.
pub(super) fn may_rest(kind: VenueOrderKind) -> bool {
    matches!(kind, VenueOrderKind::Limit(TimeInForce::Gtc) | VenueOrderKind::LimitMaker)
}
