//! Our orders: what is known of each, and what they may still do to the position.
//!
//! Owns [`OrderTable`] of one instrument. The lane feeds it reports and reads exposure; [`reconcile`] turns targets
//! into the fewest commands. At most [`WORKING_ORDERS_MAX`] orders, no allocation after construction.

mod backoff;
mod doubt;
mod order;
mod reconcile;
mod trade_ids;

pub use backoff::SideBackoff;
pub use doubt::DoubtRules;
pub use order::{Order, OrderState};
pub use reconcile::{Keep, SidePlan, Target, may_cancel, plan_side};
pub use trade_ids::TradeIds;

use std::collections::VecDeque;

use super::digest::Digester;
use crate::types::{ClientOrderId, DurationNs, Price, Qty, Side, TimestampNs, WORKING_ORDERS_MAX};

/// Pause before a refused cancel, or an amend that could not be sent, is sent again.
pub const CANCEL_RETRY: DurationNs = DurationNs::from_millis(250);

/// Orders of one instrument, oldest first.
pub struct OrderTable {
    orders: Vec<Order>,
    /// Names of the orders that were forgotten last: a report of theirs that comes late says nothing new.
    done: VecDeque<ClientOrderId>,
}

/// Forgotten orders whose names are remembered.
const DONE_MAX: usize = 256;

impl OrderTable {
    /// No orders.
    pub fn new() -> OrderTable {
        OrderTable { orders: Vec::with_capacity(WORKING_ORDERS_MAX), done: VecDeque::with_capacity(DONE_MAX) }
    }

    /// All orders, oldest first, those included that are done but not settled.
    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter()
    }

    /// All orders, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Order> {
        self.orders.iter_mut()
    }

    /// The order of that name.
    pub fn get_mut(&mut self, client_id: ClientOrderId) -> Option<&mut Order> {
        self.orders.iter_mut().find(|order| order.client_id == client_id)
    }

    /// How many more orders fit.
    pub fn room(&self) -> usize {
        WORKING_ORDERS_MAX - self.orders.len()
    }

    /// Adds an order. Returns whether there was room.
    pub fn insert(&mut self, order: Order) -> bool {
        if self.room() == 0 {
            return false;
        }
        self.orders.push(order);
        true
    }

    /// Forgets orders that are settled and no longer displayed in the book.
    pub fn release(&mut self) {
        let done = &mut self.done;
        self.orders.retain(|order| {
            let keep = !(order.is_settled() && order.displayed.is_zero());
            // Proof of absence is the one end that a report may still refute.
            if !keep && order.state() != OrderState::Absent {
                if done.len() == DONE_MAX {
                    done.pop_front();
                }
                done.push_back(order.client_id);
            }
            keep
        });
    }

    /// Whether an order of that name is known to be done.
    pub fn is_done(&self, client_id: ClientOrderId) -> bool {
        self.done.contains(&client_id)
    }

    /// What a side's orders may still add to the position, unreported fills included.
    pub fn exposure(&self, side: Side) -> Qty {
        self.orders.iter().filter(|order| order.side == side).map(Order::exposure).fold(Qty::ZERO, |sum, qty| sum + qty)
    }

    /// What of the last view's quantity is ours: side, price and quantity, one for each order that is in it.
    pub fn displayed(&self) -> impl Iterator<Item = (Side, Price, Qty)> + Clone {
        let shown = self.orders.iter().filter(|order| !order.displayed.is_zero());
        shown.map(|order| (order.side, order.price, order.displayed))
    }

    /// The most aggressive price of a side's orders that may still trade.
    pub fn best_price(&self, side: Side) -> Option<Price> {
        let open =
            self.orders.iter().filter(|order| order.side == side && !order.is_orphan && !order.state().is_terminal());
        open.map(|order| order.price).max_by_key(|price| price.ticks() * side.sign())
    }

    /// The price of a side's order that rests, as far as we know.
    pub fn live_price(&self, side: Side) -> Option<Price> {
        self.live(side).map(|order| order.price)
    }

    /// The newest resting order of a side, if there is one.
    pub fn live(&self, side: Side) -> Option<&Order> {
        let live = |order: &&Order| order.side == side && !order.is_orphan && order.state().rests();
        self.orders.iter().rev().find(live)
    }

    /// Whether an order's placement is in doubt on that side.
    pub fn in_doubt(&self, side: Side) -> bool {
        self.orders.iter().any(|order| order.side == side && order.state() == OrderState::Unknown)
    }

    /// Whether an adopted order is not yet done.
    pub fn has_open_orphan(&self) -> bool {
        self.orders.iter().any(|order| order.is_orphan && !order.state().is_terminal())
    }

    /// Whether every order is done and every fill of it counted.
    pub fn is_quiet(&self) -> bool {
        self.orders.iter().all(Order::is_settled)
    }

    /// Brings what we display up to a newer view.
    pub fn refresh_displayed(&mut self, event_ts: TimestampNs, recv_ts: TimestampNs) {
        for order in &mut self.orders {
            order.refresh_displayed(event_ts, recv_ts);
        }
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        for order in &self.orders {
            order.digest(digester);
        }
        for id in &self.done {
            digester.u64(id.session.0);
            digester.u64(id.counter);
        }
    }
}

impl Default for OrderTable {
    fn default() -> Self {
        Self::new()
    }
}
