//! matchcore: deterministic commands with sequence numbers, B-trees of levels, lazily cleaned queues.

use std::collections::HashMap;

use matchcore::{
    CancelCmd, Command, CommandKind, CommandMeta, CommandOutcome, CommandReport, LimitOrder, NewOrder, OrderBook,
    OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy, SequenceNumber, Side, SubmitCmd, TimeInForce,
    Timestamp,
};

use super::{accepted, cancelled, rejected, traded};
use crate::matching::engine::{BID, Message, PLACE, Peer, Ring};

pub struct Matchcore {
    book: OrderBook,
    sent: u64,
    own: HashMap<u64, OrderId>,
    ids: HashMap<OrderId, u64>,
}

impl Matchcore {
    fn execute(&mut self, kind: CommandKind) -> CommandOutcome {
        let meta = CommandMeta { sequence_number: SequenceNumber(self.sent), timestamp: Timestamp(self.sent) };
        self.sent += 1;
        self.book.execute(&Command { meta, kind })
    }
}

impl Peer for Matchcore {
    fn new(orders: u32, _: u32) -> Matchcore {
        let room = orders as usize;
        let (own, ids) = (HashMap::with_capacity(room), HashMap::with_capacity(room));
        Matchcore { book: OrderBook::new("X"), sent: 0, own, ids }
    }

    fn submit(&mut self, message: &Message, ring: &mut Ring) {
        if message.action == PLACE {
            let side = if message.side == BID { Side::Buy } else { Side::Sell };
            let order = NewOrder::Limit(LimitOrder::new(
                Price(message.price as u64),
                QuantityPolicy::Standard { quantity: Quantity(message.qty as u64) },
                OrderFlags::new(side, false, TimeInForce::Gtc),
            ));
            let CommandOutcome::Applied(CommandReport::Submit(effects)) =
                self.execute(CommandKind::Submit(SubmitCmd { order }))
            else {
                return rejected(message, ring);
            };
            accepted(message, ring);
            let target = effects.target_order();
            self.own.insert(message.id, target.order_id());
            self.ids.insert(target.order_id(), message.id);
            for trade in target.match_result().map(|result| result.trades()).unwrap_or_default() {
                let maker = self.ids.get(&trade.maker_order_id()).copied().unwrap_or(0);
                traded(message, maker, trade.price().0 as i64, trade.quantity().0 as i64, ring);
            }
        } else {
            let Some(order_id) = self.own.remove(&message.id) else { return rejected(message, ring) };
            self.ids.remove(&order_id);
            match self.execute(CommandKind::Cancel(CancelCmd { order_id, order_kind: OrderKind::Limit })) {
                CommandOutcome::Applied(_) => cancelled(message, ring),
                CommandOutcome::Rejected(_) => rejected(message, ring),
            }
        }
    }
}
