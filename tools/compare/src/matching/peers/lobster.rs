//! lobster: B-trees of prices, a vector of arena places a level.

use lobster::{FillMetadata, OrderBook, OrderEvent, OrderType, Side};

use super::{accepted, cancelled, rejected, traded};
use crate::matching::engine::{BID, Message, PLACE, Peer, Ring};

pub struct Lobster(OrderBook);

fn fills(message: &Message, fills: &[FillMetadata], ring: &mut Ring) {
    for fill in fills {
        traded(message, fill.order_2 as u64, fill.price as i64, fill.qty as i64, ring);
    }
}

impl Peer for Lobster {
    fn new(orders: u32, _: u32) -> Lobster {
        Lobster(OrderBook::new(orders as usize, 16, false))
    }

    fn submit(&mut self, message: &Message, ring: &mut Ring) {
        let id = u128::from(message.id);
        let order = if message.action == PLACE {
            let side = if message.side == BID { Side::Bid } else { Side::Ask };
            OrderType::Limit { id, side, qty: message.qty as u64, price: message.price as u64 }
        } else {
            OrderType::Cancel { id }
        };
        match self.0.execute(order) {
            OrderEvent::Placed { .. } => accepted(message, ring),
            OrderEvent::Filled { fills: all, .. } | OrderEvent::PartiallyFilled { fills: all, .. } => {
                accepted(message, ring);
                fills(message, &all, ring);
            }
            OrderEvent::Canceled { .. } => cancelled(message, ring),
            OrderEvent::Unfilled { .. } => rejected(message, ring),
        }
    }
}
