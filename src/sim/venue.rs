//! The simulated exchange: what the embedded venue's server and the virtual-clock session call.

use super::config::{AccountConfig, AccountId, MarketSource, SymbolConfig, VenueConfig, VenueConfigError};
use super::desk::Desk;
use super::entry;
use super::events::{
    AggregateTrade, Balances, BookTicker, DepthSnapshot, OrderView, PublicTrade, TradeRow, UserEvent, VenueMarketEvent,
};
use super::flow::Flow;
use super::market::Market;
use super::recorded_book::RecordedBook;
use super::reject::VenueReject;
use super::requests::{
    Amended, CancelReplaceMode, CancelReplaced, CancelRestriction, Cancelled, OrderCount, OrderRef, Placed,
    RestingView, TradesQuery, VenueOrder,
};
use crate::types::{Asset, InstrumentId, Price, Qty, Side, TimestampNs};
use crate::wire::FeedEvent;

/// A Binance-Spot-like exchange of several symbols and accounts.
///
/// Single-threaded and clockless: every call carries the venue's `now`, which never goes back; an earlier `now` is
/// taken as the latest one. Each call first lets all flow happen that was due by then.
pub struct Venue {
    config: VenueConfig,
    now: TimestampNs,
    desk: Desk,
    markets: Vec<(Market, Flow)>,
}

/// What happens next in a market; at equal times depth is published before the flow goes on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Depth,
    Flow,
}

impl Venue {
    /// A venue at its start, with one source of flow for each symbol.
    ///
    /// # Errors
    /// [`VenueConfigError`] when the configuration contradicts itself.
    pub fn new(config: VenueConfig, sources: Vec<MarketSource>) -> Result<Venue, VenueConfigError> {
        if config.symbols.len() != sources.len() {
            return Err(VenueConfigError::SourceCount { symbols: config.symbols.len(), sources: sources.len() });
        }
        if config.depth_interval.nanos() == 0 {
            return Err(VenueConfigError::DepthInterval);
        }
        for (index, symbol) in config.symbols.iter().enumerate() {
            check_symbol(index, symbol)?;
        }
        let now = config.start;
        let mut markets = Vec::with_capacity(sources.len());
        for (symbol, source) in config.symbols.iter().zip(sources) {
            let flow = Flow::new(source, &config.fill, symbol.instrument.id.0, now)?;
            let mut market = Market::new(&config, *symbol);
            market.tape.is_silent = matches!(flow, Flow::Fed(_));
            markets.push((market, flow));
        }
        let mut venue = Venue { desk: Desk::new(&config), now, markets, config };
        for account in venue.config.accounts.clone() {
            venue.add_account(account)?;
        }
        for (market, flow) in &mut venue.markets {
            flow.open(market, &mut venue.desk);
            market.tape.publish_touch(now, &market.core, &mut venue.desk.market_events);
        }
        venue.advance(now);
        Ok(venue)
    }

    /// What the venue was configured with.
    pub fn config(&self) -> &VenueConfig {
        &self.config
    }

    /// The venue's clock: the latest `now` it was given.
    pub fn now(&self) -> TimestampNs {
        self.now
    }

    /// When the next flow or publication is due; `None` when nothing more will happen by itself.
    pub fn next_event_at(&self) -> Option<TimestampNs> {
        self.next_due().map(|(at, _, _)| at)
    }

    fn next_due(&self) -> Option<(TimestampNs, Due, usize)> {
        let mut next = None;
        for (index, (market, flow)) in self.markets.iter().enumerate() {
            let depth = market.tape.depth_due().map(|at| (at, Due::Depth, index));
            let flow = flow.next_at().map(|at| (at, Due::Flow, index));
            next = [next, depth, flow].into_iter().flatten().min();
        }
        next
    }

    /// Whether every recorded source has been replayed to its end. Without recorded sources this is `false`.
    pub fn is_exhausted(&self) -> bool {
        let mut recorded = self.markets.iter().filter(|(_, flow)| matches!(flow, Flow::Recorded(_))).peekable();
        recorded.peek().is_some() && recorded.all(|(_, flow)| flow.next_at().is_none())
    }

    /// Lets everything happen that is due by `now`, in the order of time.
    pub fn advance(&mut self, now: TimestampNs) {
        let until = self.now.max(now);
        while let Some((at, due, index)) = self.next_due().filter(|(at, _, _)| *at <= until) {
            self.now = self.now.max(at);
            let (market, flow) = &mut self.markets[index];
            match due {
                Due::Depth => market.tape.publish_depth(&market.core, &mut self.desk.market_events),
                Due::Flow => {
                    flow.run_next(market, &mut self.desk);
                    self.finish(index);
                }
            }
        }
        self.now = until;
    }

    /// Hands a message of its feed to the market of a symbol that is fed; others do not listen.
    pub fn feed(&mut self, now: TimestampNs, symbol: InstrumentId, event: &FeedEvent<'_>) {
        self.advance(now);
        if let Some((market, Flow::Fed(flow))) = self.markets.get_mut(symbol.index()) {
            flow.take(self.now, event, market, &mut self.desk);
            self.finish(symbol.index());
        }
    }

    /// Publishes what an event of a market left to be published.
    fn finish(&mut self, index: usize) {
        let (market, flow) = &mut self.markets[index];
        flow.look_at_clients(market);
        market.tape.publish_touch(self.now, &market.core, &mut self.desk.market_events);
        let symbols = &self.config.symbols;
        self.desk.tell_positions(self.now, |symbol| assets(&symbols[symbol.index()]));
    }

    /// The market of a symbol, with the desk to act on it, at the venue's time.
    fn at(&mut self, symbol: InstrumentId) -> Result<(&mut Market, &mut Desk), VenueReject> {
        let (market, _) = self.markets.get_mut(symbol.index()).ok_or(VenueReject::INVALID_SYMBOL)?;
        Ok((market, &mut self.desk))
    }

    /// Opens an account.
    ///
    /// # Errors
    /// When the number is reserved or in use.
    pub fn add_account(&mut self, account: AccountConfig) -> Result<(), VenueConfigError> {
        if account.id.is_client() && self.desk.ledger.open(account.id, &account.balances, self.now) {
            Ok(())
        } else {
            Err(VenueConfigError::Account(account.id))
        }
    }

    /// Places an order.
    ///
    /// # Errors
    /// Binance's refusal; nothing has changed then.
    pub fn place(&mut self, now: TimestampNs, account: AccountId, order: &VenueOrder) -> Result<Placed, VenueReject> {
        self.advance(now);
        let now = self.now;
        let (market, desk) = self.at(order.symbol)?;
        let placed = entry::place(now, account, order, market, desk);
        self.finish(order.symbol.index());
        placed
    }

    /// Checks an order as [`Venue::place`] does, up to the order count, and does nothing (`order/test`).
    ///
    /// # Errors
    /// Binance's refusal.
    pub fn test(&mut self, now: TimestampNs, account: AccountId, order: &VenueOrder) -> Result<(), VenueReject> {
        self.advance(now);
        let now = self.now;
        let (market, desk) = self.at(order.symbol)?;
        entry::check(now, account, order, market, desk).map(|_| ())
    }

    /// Cancels an open order. `cancel_id` names the cancel; the venue makes one up when there is none.
    ///
    /// # Errors
    /// [`VenueReject::UNKNOWN_ORDER`] when the order is not open, and what else Binance refuses.
    pub fn cancel(
        &mut self,
        now: TimestampNs,
        account: AccountId,
        symbol: InstrumentId,
        order: OrderRef<'_>,
        cancel_id: Option<&str>,
        restriction: Option<CancelRestriction>,
    ) -> Result<Cancelled, VenueReject> {
        self.advance(now);
        let now = self.now;
        let (market, desk) = self.at(symbol)?;
        let cancelled = entry::cancel(now, account, order, cancel_id, restriction, market, desk);
        self.finish(symbol.index());
        cancelled
    }

    /// Cancels all open orders of an account on a symbol.
    ///
    /// # Errors
    /// [`VenueReject::UNKNOWN_ORDER`] when there are none.
    pub fn cancel_all(
        &mut self,
        now: TimestampNs,
        account: AccountId,
        symbol: InstrumentId,
    ) -> Result<Vec<Cancelled>, VenueReject> {
        self.advance(now);
        let now = self.now;
        let (market, desk) = self.at(symbol)?;
        let ids: Vec<u64> = desk.orders.open_of(account, Some(symbol)).map(|record| record.view.order_id).collect();
        if ids.is_empty() {
            return Err(VenueReject::UNKNOWN_ORDER);
        }
        let cancelled =
            ids.into_iter().map(|id| entry::cancel(now, account, OrderRef::id(id), None, None, market, desk)).collect();
        self.finish(symbol.index());
        cancelled
    }

    /// Cancels one order and places another. Filters and order count of the new one are checked before the cancel.
    ///
    /// # Errors
    /// A refusal before either leg was tried; afterwards each leg carries its own.
    pub fn cancel_replace(
        &mut self,
        now: TimestampNs,
        account: AccountId,
        cancel: OrderRef<'_>,
        cancel_id: Option<&str>,
        mode: CancelReplaceMode,
        order: &VenueOrder,
    ) -> Result<CancelReplaced, VenueReject> {
        self.advance(now);
        let now = self.now;
        let (market, desk) = self.at(order.symbol)?;
        entry::check(now, account, order, market, desk)?;
        let cancel = entry::cancel(now, account, cancel, cancel_id, None, market, desk);
        let new = (cancel.is_ok() || mode == CancelReplaceMode::AllowFailure)
            .then(|| entry::place(now, account, order, market, desk));
        self.finish(order.symbol.index());
        Ok(CancelReplaced { cancel, new })
    }

    /// Lowers an open order's whole quantity; it keeps its place in the queue. Without `new_client_id` the order gets
    /// a made-up one, as at Binance.
    ///
    /// # Errors
    /// -2038 when the quantity is not lower, -2011 when the order is not open, or a filter.
    pub fn amend(
        &mut self,
        now: TimestampNs,
        account: AccountId,
        symbol: InstrumentId,
        order: OrderRef<'_>,
        new_qty_e8: i64,
        new_client_id: Option<&str>,
    ) -> Result<Amended, VenueReject> {
        self.advance(now);
        let now = self.now;
        let (market, desk) = self.at(symbol)?;
        let amended = entry::amend(now, account, order, new_qty_e8, new_client_id, market, desk);
        self.finish(symbol.index());
        amended
    }

    /// An order, open or done. By client id, the latest order of that name.
    ///
    /// # Errors
    /// [`VenueReject::NO_SUCH_ORDER`].
    pub fn order(
        &self,
        account: AccountId,
        symbol: InstrumentId,
        order: OrderRef<'_>,
    ) -> Result<OrderView, VenueReject> {
        self.market(symbol)?;
        let record = self.desk.orders.find(account, symbol, order, VenueReject::NO_SUCH_ORDER)?;
        Ok(record.view.clone())
    }

    /// Open orders of an account, of one symbol or of all, oldest first.
    pub fn open_orders(&self, account: AccountId, symbol: Option<InstrumentId>) -> Vec<OrderView> {
        self.desk.orders.open_of(account, symbol).map(|record| record.view.clone()).collect()
    }

    /// Orders of an account on a symbol, open or done, oldest first: from `from_id` on, or else the latest `limit`.
    pub fn all_orders(
        &self,
        account: AccountId,
        symbol: InstrumentId,
        from_id: Option<u64>,
        limit: usize,
    ) -> Vec<OrderView> {
        let all = self.desk.orders.all_of(account, symbol, from_id.unwrap_or_default());
        let mut found: Vec<OrderView> = match from_id {
            Some(_) => all.take(limit).map(|record| record.view.clone()).collect(),
            None => all.rev().take(limit).map(|record| record.view.clone()).collect(),
        };
        found.sort_by_key(|view| view.order_id);
        found
    }

    /// Fills of an account on a symbol, oldest first.
    pub fn my_trades(&self, account: AccountId, symbol: InstrumentId, query: TradesQuery) -> Vec<TradeRow> {
        let wanted = |row: &&TradeRow| {
            row.account == account
                && row.symbol == symbol
                && query.order_id.is_none_or(|id| row.order_id == id)
                && query.from_id.is_none_or(|id| row.trade_id >= id)
                && query.start.is_none_or(|start| row.time >= start)
                && query.end.is_none_or(|end| row.time <= end)
        };
        let rows = self.desk.trades.iter().filter(wanted);
        if query.from_id.is_some() || query.start.is_some() {
            return rows.take(query.limit).cloned().collect();
        }
        let mut latest: Vec<TradeRow> = rows.rev().take(query.limit).cloned().collect();
        latest.reverse();
        latest
    }

    /// How many fills an account has had on a symbol, those that are forgotten among them.
    pub fn fill_count(&self, account: AccountId, symbol: InstrumentId) -> u64 {
        self.desk.fill_counts.get(&(account, symbol)).copied().unwrap_or(0)
    }

    /// An account's balances; `None` when there is no such account.
    pub fn account(&self, account: AccountId) -> Option<Balances> {
        self.desk.ledger.account(account).cloned()
    }

    /// How many unfilled orders each limit counts for an account now.
    pub fn order_counts(&self, now: TimestampNs, account: AccountId) -> Vec<OrderCount> {
        self.desk.counts.of(account, self.now.max(now))
    }

    /// The visible book, at most `limit` levels a side; its id joins the diff stream.
    pub fn depth(&self, symbol: InstrumentId, limit: usize) -> DepthSnapshot {
        match self.market(symbol) {
            Ok(market) => market.tape.snapshot(&market.core, limit),
            Err(_) => DepthSnapshot { last_update_id: 0, bids: Vec::new(), asks: Vec::new() },
        }
    }

    /// Best bid and ask.
    pub fn book_ticker(&self, symbol: InstrumentId) -> BookTicker {
        match self.market(symbol) {
            Ok(market) => market.tape.book_ticker(self.now, &market.core),
            Err(_) => BookTicker { symbol, event_ts: self.now, update_id: 0, bid: None, ask: None },
        }
    }

    /// The latest public trades, oldest first; 1000 are kept.
    pub fn recent_trades(&self, symbol: InstrumentId, limit: usize) -> Vec<PublicTrade> {
        self.market(symbol).map_or_else(|_| Vec::new(), |market| market.tape.recent_trades(limit))
    }

    /// The latest aggregate trades, oldest first; 1000 are kept.
    pub fn recent_agg_trades(&self, symbol: InstrumentId, limit: usize) -> Vec<AggregateTrade> {
        self.market(symbol).map_or_else(|_| Vec::new(), |market| market.tape.recent_aggregates(limit))
    }

    /// Client orders on the book of a symbol, oldest first.
    pub fn resting(&self, symbol: InstrumentId) -> Vec<RestingView> {
        let Ok(market) = self.market(symbol) else { return Vec::new() };
        let on_book = |record: &&super::orders::OrderRecord| {
            let view = &record.view;
            market.core.order(view.order_id).map(|order| RestingView {
                account: view.account,
                order_id: view.order_id,
                side: order.side,
                price: order.price,
                remaining: order.remaining,
                ahead: market.core.ahead_of(view.order_id).unwrap_or_default(),
            })
        };
        self.desk.orders.open_on(symbol).iter().filter_map(on_book).collect()
    }

    /// What all accounts hold of an asset together, the venue's own included, in 1e-8. No trade, commission or cancel
    /// changes it.
    pub fn total_e8(&self, asset: Asset) -> i128 {
        self.desk.ledger.total_e8(asset)
    }

    /// For a recorded market: each level's recorded quantity and what clients have consumed of it since its last
    /// update, lowest price first. Empty for other markets.
    pub fn recorded_levels(&self, symbol: InstrumentId, side: Side) -> Vec<(Price, Qty, Qty)> {
        self.recorded_book(symbol).map_or_else(Vec::new, |book| book.recorded(side).collect())
    }

    /// For a recorded market whose book is known: that book without any client's order, at most `limit` levels a side.
    /// Its id joins the recording's own diffs.
    pub fn recorded_depth(&self, symbol: InstrumentId, limit: usize) -> Option<DepthSnapshot> {
        self.recorded_book(symbol).map(|book| book.snapshot(limit))
    }

    fn recorded_book(&self, symbol: InstrumentId) -> Option<&RecordedBook> {
        self.markets.get(symbol.index()).and_then(|(_, flow)| flow.book())
    }

    /// Compares the book with its owners' orders and walks the matching core's own structures. For tests.
    ///
    /// # Errors
    /// What contradicts what.
    pub fn check(&self) -> Result<(), String> {
        for (market, _) in &self.markets {
            market.core.check().map_err(|broken| broken.to_string())?;
            for record in self.desk.orders.open_on(market.symbol.instrument.id) {
                let id = record.view.order_id;
                let resting = market.core.order(id).map(|order| order.remaining);
                if resting != Some(record.remaining) {
                    return Err(format!("order {id}: the book has {resting:?}, its record {:?}", record.remaining));
                }
            }
        }
        Ok(())
    }

    fn market(&self, symbol: InstrumentId) -> Result<&Market, VenueReject> {
        self.markets.get(symbol.index()).map(|(market, _)| market).ok_or(VenueReject::INVALID_SYMBOL)
    }

    /// Digest of the exogenous flow so far: arrival times, sizes and latent value of a synthetic market, the records
    /// of a recording. It does not depend on what clients do.
    pub fn flow_digest(&self, symbol: InstrumentId) -> u64 {
        self.markets.get(symbol.index()).map_or(0, |(_, flow)| flow.digest())
    }

    /// Takes the public messages since the last call, in the order in which they happened.
    pub fn market_events(&mut self) -> std::vec::Drain<'_, VenueMarketEvent> {
        self.desk.market_events.drain(..)
    }

    /// Takes the user-data messages since the last call, in the order in which they happened.
    pub fn user_events(&mut self) -> std::vec::Drain<'_, (AccountId, UserEvent)> {
        self.desk.user_events.drain(..)
    }
}

fn check_symbol(index: usize, symbol: &SymbolConfig) -> Result<(), VenueConfigError> {
    if symbol.instrument.id.index() != index {
        return Err(VenueConfigError::InstrumentId { index });
    }
    let spec = &symbol.instrument.spec;
    let step = i128::from(spec.tick_e8) * i128::from(spec.lot_e8);
    if step <= 0 || step % 100_000_000 != 0 {
        return Err(VenueConfigError::InexactNotional { index });
    }
    Ok(())
}

/// Both assets of a symbol, base first.
fn assets(symbol: &SymbolConfig) -> [Asset; 2] {
    [symbol.instrument.spec.base, symbol.instrument.spec.quote]
}
