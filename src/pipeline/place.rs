//! Where our own order stands in its level's queue, as far as the public book tells.
//!
//! Owns [`QueuePlace`] of one side. An order joins behind everything that the level shows; trades at its price bring it
//! forward, and it is never further back than the level is long: what is cancelled is thought to be behind it. That is
//! the risk-averse reading of quant.md 7. Fed by the lane, read by quoters that weigh a place against a move.

use super::digest::Digester;
use super::orders::Order;
use super::reference::OthersBook;
use crate::types::{ClientOrderId, Price, Qty, Side, Trade};

/// The place of one side's resting order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueuePlace {
    order: Option<(ClientOrderId, Price)>,
    ahead: Qty,
}

impl QueuePlace {
    /// Takes the market without us and the order that rests now, if one does.
    pub(super) fn on_book(&mut self, side: Side, others: &OthersBook, live: Option<&Order>) {
        let Some(order) = live else {
            self.order = None;
            return;
        };
        let shown = others.held_at(side, order.price);
        let is_known = self.order.is_some_and(|(id, _)| id == order.client_id);
        self.ahead = if is_known { self.ahead.min(shown) } else { shown };
        self.order = Some((order.client_id, order.price));
    }

    /// Takes a print: what trades at our price from the other side was ahead of us; beyond it, all of it was.
    pub(super) fn on_trade(&mut self, side: Side, trade: &Trade) {
        let Some((_, price)) = self.order else { return };
        if trade.aggressor == side {
            return;
        }
        let beyond = trade.price.ticks_above(price) * side.sign();
        if beyond < 0 {
            self.ahead = Qty::ZERO;
        } else if beyond == 0 {
            self.ahead = (self.ahead - trade.qty).max(Qty::ZERO);
        }
    }

    /// Price of the resting order and what is ahead of it there.
    pub(super) fn ahead(&self) -> Option<(Price, Qty)> {
        self.order.map(|(_, price)| (price, self.ahead))
    }

    pub(super) fn digest(&self, digester: &mut Digester) {
        digester.option_price(self.order.map(|(_, price)| price));
        digester.u64(self.order.map_or(0, |(id, _)| id.counter));
        digester.qty(self.ahead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BookState, BookView, InstrumentId, Level, SessionId, TimestampNs, TradeId};

    fn others(qty: i64) -> OthersBook {
        let mut view = BookView::empty(InstrumentId(0), BookState::Live);
        view.set_levels(Side::Bid, [Level { price: Price::from_ticks(100), qty: Qty::from_lots(qty) }]);
        let mut others = OthersBook::empty();
        others.rebuild(&view, None, std::iter::empty());
        others
    }

    fn order(counter: u64, price: i64) -> Order {
        let id = ClientOrderId { session: SessionId(1), counter };
        Order::sent(id, Side::Bid, Price::from_ticks(price), Qty::from_lots(5), TimestampNs::ZERO)
    }

    fn sold(price: i64, lots: i64) -> Trade {
        Trade {
            instrument: InstrumentId(0),
            event_ts: TimestampNs::ZERO,
            recv_ts: TimestampNs::ZERO,
            id: TradeId(1),
            price: Price::from_ticks(price),
            qty: Qty::from_lots(lots),
            aggressor: Side::Ask,
        }
    }

    #[test]
    fn trades_bring_it_forward_growth_does_not_and_a_new_order_begins_at_the_back() {
        let mut place = QueuePlace::default();
        let ahead = |place: &QueuePlace| place.ahead().map(|(_, qty)| qty.lots());
        place.on_book(Side::Bid, &others(30), Some(&order(1, 100)));
        assert_eq!(ahead(&place), Some(30));
        place.on_trade(Side::Bid, &sold(100, 12));
        place.on_trade(Side::Bid, &Trade { aggressor: Side::Bid, ..sold(100, 9) });
        place.on_trade(Side::Bid, &sold(101, 9));
        assert_eq!(ahead(&place), Some(18), "buyers, and sellers who stop before it, do not reach it");
        place.on_book(Side::Bid, &others(50), Some(&order(1, 100)));
        assert_eq!(ahead(&place), Some(18), "what joins is behind");
        place.on_book(Side::Bid, &others(10), Some(&order(1, 100)));
        assert_eq!(ahead(&place), Some(10));
        place.on_trade(Side::Bid, &sold(99, 1));
        assert_eq!(ahead(&place), Some(0), "the tape went through it");
        place.on_book(Side::Bid, &others(40), Some(&order(2, 100)));
        assert_eq!(ahead(&place), Some(40));
        place.on_book(Side::Bid, &others(40), Some(&order(3, 99)));
        assert_eq!(ahead(&place), Some(0), "nobody is shown there");
        place.on_book(Side::Bid, &others(40), None);
        assert_eq!(ahead(&place), None);
    }
}
