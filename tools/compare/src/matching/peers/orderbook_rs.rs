//! orderbook-rs: a skip list of levels and a concurrent map of orders, made for many threads.

use orderbook_rs::prelude::{Id, OrderBook, Side, TimeInForce};

use super::{accepted, cancelled, rejected, traded};
use crate::matching::engine::{BID, Message, PLACE, Peer, Ring};

pub struct OrderbookRs(OrderBook<()>);

impl Peer for OrderbookRs {
    fn new(_: u32, _: u32) -> OrderbookRs {
        OrderbookRs(OrderBook::new("X"))
    }

    fn submit(&mut self, message: &Message, ring: &mut Ring) {
        let id = Id::Sequential(message.id);
        if message.action == PLACE {
            let side = if message.side == BID { Side::Buy } else { Side::Sell };
            let (price, qty) = (message.price as u128, message.qty as u64);
            let Ok((_, trades)) = self.0.add_limit_order_with_result(id, price, qty, side, TimeInForce::Gtc, None)
            else {
                return rejected(message, ring);
            };
            accepted(message, ring);
            for trade in trades.iter().flat_map(|trades| trades.match_result.trades().as_vec()) {
                let maker = trade.maker_order_id().as_u64().unwrap_or(0);
                let (price, qty) = (trade.price().as_u128() as i64, trade.quantity().as_u64() as i64);
                traded(message, maker, price, qty, ring);
            }
        } else {
            match self.0.cancel_order(id) {
                Ok(Some(_)) => cancelled(message, ring),
                _ => rejected(message, ring),
            }
        }
    }
}
