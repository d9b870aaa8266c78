//! limitbook: B-trees of decimal ticks, a double-ended queue a level, cancels by linear search.

use std::collections::HashMap;

use limitbook::{OrderBook, OrderSide};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{accepted, cancelled, rejected, traded};
use crate::matching::engine::{BID, Message, PLACE, Peer, Ring};

pub struct Limitbook {
    book: OrderBook,
    own: HashMap<u64, u64>,
    /// By its own number, which it gives densely.
    ids: Vec<u64>,
}

impl Peer for Limitbook {
    fn new(orders: u32, _: u32) -> Limitbook {
        let book = OrderBook::new(Decimal::ONE).expect("a tick above zero");
        Limitbook { book, own: HashMap::with_capacity(orders as usize), ids: Vec::new() }
    }

    fn submit(&mut self, message: &Message, ring: &mut Ring) {
        if message.action == PLACE {
            let side = if message.side == BID { OrderSide::Buy } else { OrderSide::Sell };
            let Ok((own, fills)) = self.book.add_limit_order(side, message.price.into(), message.qty.into()) else {
                return rejected(message, ring);
            };
            accepted(message, ring);
            self.own.insert(message.id, own);
            if self.ids.len() <= own as usize {
                self.ids.resize(own as usize + 1, 0);
            }
            self.ids[own as usize] = message.id;
            for fill in fills {
                let maker = self.ids[fill.maker_order_id as usize];
                let (price, qty) = (fill.price.to_i64().unwrap_or(0), fill.quantity.to_i64().unwrap_or(0));
                traded(message, maker, price, qty, ring);
            }
        } else {
            match self.own.remove(&message.id).map(|own| self.book.cancel_limit_order(own)) {
                Some(Ok(())) => cancelled(message, ring),
                _ => rejected(message, ring),
            }
        }
    }
}
