//! The simulated exchange: what the embedded venue's server and the virtual-clock session call.

use super::config::{AccountConfig, AccountId, MarketSource, VenueConfig, VenueConfigError};
use super::events::{
    AggregateTrade, Balances, BookTicker, DepthSnapshot, OrderView, PublicTrade, TradeRow, UserEvent, VenueMarketEvent,
};
use super::reject::VenueReject;
use super::requests::{
    Amended, CancelReplaceMode, CancelReplaced, CancelRestriction, Cancelled, OrderCount, OrderRef, Placed,
    RestingView, TradesQuery, VenueOrder,
};
use crate::types::{InstrumentId, TimestampNs};

/// A Binance-Spot-like exchange of several symbols and accounts.
///
/// Single-threaded and clockless: every call carries the venue's `now`, which never goes back; an earlier `now` is
/// taken as the latest one. Each call first lets all flow happen that was due by then.
pub struct Venue {
    config: VenueConfig,
    now: TimestampNs,
    market_events: Vec<VenueMarketEvent>,
    user_events: Vec<(AccountId, UserEvent)>,
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
        let now = config.start;
        Ok(Venue { config, now, market_events: Vec::new(), user_events: Vec::new() })
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
        None
    }

    /// Whether every recorded source has been replayed to its end. Without recorded sources this is `false`.
    pub fn is_exhausted(&self) -> bool {
        false
    }

    /// Lets everything happen that is due by `now`, in the order of time.
    pub fn advance(&mut self, now: TimestampNs) {
        self.now = self.now.max(now);
    }

    /// Opens an account.
    ///
    /// # Errors
    /// When the number is reserved or in use.
    pub fn add_account(&mut self, account: AccountConfig) -> Result<(), VenueConfigError> {
        Err(VenueConfigError::Account(account.id))
    }

    /// Places an order.
    ///
    /// # Errors
    /// Binance's refusal; nothing has changed then.
    pub fn place(&mut self, now: TimestampNs, account: AccountId, order: &VenueOrder) -> Result<Placed, VenueReject> {
        self.advance(now);
        let _ = (account, order);
        Err(VenueReject::NO_ACCOUNT)
    }

    /// Checks an order as [`Venue::place`] does, up to the order count, and does nothing (`order/test`).
    ///
    /// # Errors
    /// Binance's refusal.
    pub fn test(&mut self, now: TimestampNs, account: AccountId, order: &VenueOrder) -> Result<(), VenueReject> {
        self.advance(now);
        let _ = (account, order);
        Err(VenueReject::NO_ACCOUNT)
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
        let _ = (account, symbol, order, cancel_id, restriction);
        Err(VenueReject::UNKNOWN_ORDER)
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
        let _ = (account, symbol);
        Err(VenueReject::UNKNOWN_ORDER)
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
        let _ = (account, cancel, cancel_id, mode, order);
        Err(VenueReject::NO_ACCOUNT)
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
        let _ = (account, symbol, order, new_qty_e8, new_client_id);
        Err(VenueReject::UNKNOWN_ORDER)
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
        let _ = (account, symbol, order);
        Err(VenueReject::NO_SUCH_ORDER)
    }

    /// Open orders of an account, of one symbol or of all, oldest first.
    pub fn open_orders(&self, account: AccountId, symbol: Option<InstrumentId>) -> Vec<OrderView> {
        let _ = (account, symbol);
        Vec::new()
    }

    /// Orders of an account on a symbol, open or done, oldest first: from `from_id` on, or else the latest `limit`.
    pub fn all_orders(
        &self,
        account: AccountId,
        symbol: InstrumentId,
        from_id: Option<u64>,
        limit: usize,
    ) -> Vec<OrderView> {
        let _ = (account, symbol, from_id, limit);
        Vec::new()
    }

    /// Fills of an account on a symbol, oldest first.
    pub fn my_trades(&self, account: AccountId, symbol: InstrumentId, query: TradesQuery) -> Vec<TradeRow> {
        let _ = (account, symbol, query);
        Vec::new()
    }

    /// An account's balances; `None` when there is no such account.
    pub fn account(&self, account: AccountId) -> Option<Balances> {
        let _ = account;
        None
    }

    /// How many unfilled orders each limit counts for an account now.
    pub fn order_counts(&self, now: TimestampNs, account: AccountId) -> Vec<OrderCount> {
        let _ = (now, account);
        Vec::new()
    }

    /// The visible book, at most `limit` levels a side; its id joins the diff stream.
    pub fn depth(&self, symbol: InstrumentId, limit: usize) -> DepthSnapshot {
        let _ = (symbol, limit);
        DepthSnapshot { last_update_id: 0, bids: Vec::new(), asks: Vec::new() }
    }

    /// Best bid and ask.
    pub fn book_ticker(&self, symbol: InstrumentId) -> BookTicker {
        BookTicker { symbol, event_ts: self.now, update_id: 0, bid: None, ask: None }
    }

    /// The latest public trades, oldest first; 1000 are kept.
    pub fn recent_trades(&self, symbol: InstrumentId, limit: usize) -> Vec<PublicTrade> {
        let _ = (symbol, limit);
        Vec::new()
    }

    /// The latest aggregate trades, oldest first; 1000 are kept.
    pub fn recent_agg_trades(&self, symbol: InstrumentId, limit: usize) -> Vec<AggregateTrade> {
        let _ = (symbol, limit);
        Vec::new()
    }

    /// Client orders on the book of a symbol, oldest first.
    pub fn resting(&self, symbol: InstrumentId) -> Vec<RestingView> {
        let _ = symbol;
        Vec::new()
    }

    /// Digest of the exogenous flow so far: arrival times, sizes and latent value of a synthetic market, the records
    /// of a recording. It does not depend on what clients do.
    pub fn flow_digest(&self, symbol: InstrumentId) -> u64 {
        let _ = symbol;
        0
    }

    /// Takes the public messages since the last call, in the order in which they happened.
    pub fn market_events(&mut self) -> std::vec::Drain<'_, VenueMarketEvent> {
        self.market_events.drain(..)
    }

    /// Takes the user-data messages since the last call, in the order in which they happened.
    pub fn user_events(&mut self) -> std::vec::Drain<'_, (AccountId, UserEvent)> {
        self.user_events.drain(..)
    }
}
