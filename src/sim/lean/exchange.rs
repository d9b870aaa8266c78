//! The exchange's side: the recorded book, our orders in it, and what fills them.
//!
//! Recorded levels are numbers here and not orders, so a change of a level costs a store; only what touches our own
//! orders costs more. The queue model says where in a level they stand. What a fill takes off a level is missing there
//! until the level's next change, and what one order took of a print no other gets ([`Liquidity`]).

use super::event::TapeEvent;
use crate::book::ArenaBook;
use crate::sim::FillCause;
use crate::sim::queue::{Place, QueueEvent, QueueModel};
use crate::types::{OrderKind, Price, Qty, Side, TimeInForce, TimestampNs};

/// How much an order that has been reached can get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liquidity {
    /// What is there, once: a print fills no more than its quantity, a quote across our price no more than it holds, and
    /// what we take is gone until the level's next change.
    #[default]
    Once,
    /// All of it, however little traded: hftbacktest's exchange without partial fills. An order is reached when half a
    /// lot of it is, and a taker gets everything at the best price. For comparing with it; it flatters large orders.
    Endless,
}

/// An order's number, in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNumber(pub u64);

/// A request that reaches the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A new order.
    Place {
        /// Its number.
        number: OrderNumber,
        /// Buy or sell.
        side: Side,
        /// Its limit.
        price: Price,
        /// How much.
        qty: Qty,
        /// What it does on arrival.
        kind: OrderKind,
    },
    /// An order is to go.
    Cancel(OrderNumber),
}

/// One execution of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Which order.
    pub number: OrderNumber,
    /// When, at the exchange.
    pub at: TimestampNs,
    /// The order's side.
    pub side: Side,
    /// The order's price; the level's, if we took.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// What is left of the order.
    pub left: Qty,
    /// Why.
    pub cause: FillCause,
}

/// What a request came to, besides fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order rests.
    Resting,
    /// The order is gone without having rested: it would have traded and must not, or could not trade and must, or has
    /// traded whole.
    Done,
    /// The order is cancelled.
    Cancelled,
    /// There is no such order any more.
    Unknown,
}

#[derive(Debug)]
struct Resting {
    number: OrderNumber,
    price: Price,
    left: Qty,
    place: Place,
}

/// Ranks on one side that matter to our orders.
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// Our best and our worst order of the side; an empty range when there are none.
    near: i64,
    far: i64,
    /// A level of this side at or before it crosses our best order of the other side.
    cross: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Exchange<M> {
    pub book: ArenaBook,
    model: M,
    liquidity: Liquidity,
    /// Best first, then oldest first.
    orders: [Vec<Resting>; 2],
    watch: [Watch; 2],
}

const UNWATCHED: Watch = Watch { near: i64::MAX, far: i64::MIN, cross: i64::MIN };

impl<M: QueueModel> Exchange<M> {
    pub(super) fn new(model: M, liquidity: Liquidity) -> Exchange<M> {
        Exchange { book: ArenaBook::new(), model, liquidity, orders: [vec![], vec![]], watch: [UNWATCHED; 2] }
    }

    /// Lets one thing happen. Returns what its level held before; nothing, if it is a trade.
    #[inline]
    pub(super) fn apply(&mut self, event: &TapeEvent, fills: &mut Vec<Fill>) -> Qty {
        let (side, price, qty) = (event.side(), event.price(), event.qty());
        if event.is_trade() {
            let maker = side.opposite();
            if self.watch[maker.index()].near <= price.rank(maker) {
                self.reach(event.at(), maker, price, qty, false, fills);
            }
            return Qty::ZERO;
        }
        let before = self.book.set(side, price, qty);
        let (rank, watch) = (price.rank(side), self.watch[side.index()]);
        if ((rank >= watch.near) & (rank <= watch.far)) | (rank <= watch.cross) {
            self.change(event, before, fills);
        }
        before
    }

    /// A level in which or across which orders of ours may rest has changed.
    #[inline(never)]
    fn change(&mut self, event: &TapeEvent, before: Qty, fills: &mut Vec<Fill>) {
        let (side, price, qty) = (event.side(), event.price(), event.qty());
        let change = QueueEvent::Depth { prev: before.lots() as f64, new: qty.lots() as f64 };
        for order in self.orders[side.index()].iter_mut().filter(|order| order.price == price) {
            self.model.apply(&mut order.place, order.left.lots() as f64, change);
        }
        if qty > Qty::ZERO {
            let left = self.reach(event.at(), side.opposite(), price, qty, true, fills);
            if left != qty {
                self.book.set(side, price, left);
            }
        }
    }

    /// `available` comes to the orders of `maker` at `price` and before it: as a print there, or as a quote. Returns what
    /// they left of it.
    #[inline(never)]
    fn reach(
        &mut self,
        at: TimestampNs,
        maker: Side,
        price: Price,
        mut available: Qty,
        is_quote: bool,
        fills: &mut Vec<Fill>,
    ) -> Qty {
        let before = fills.len();
        for order in &mut self.orders[maker.index()] {
            if order.price.rank(maker) > price.rank(maker) || available <= Qty::ZERO {
                break;
            }
            let (event, cause) = match (is_quote, order.price == price) {
                (true, _) => (QueueEvent::TradeThrough, FillCause::Cross),
                (false, true) => (QueueEvent::Trade(available.lots() as f64), FillCause::Queue),
                (false, false) => (QueueEvent::TradeThrough, FillCause::TradeThrough),
            };
            self.model.apply(&mut order.place, order.left.lots() as f64, event);
            let qty = match self.liquidity {
                Liquidity::Once => order.place.take_reached(order.left.min(available)),
                Liquidity::Endless if order.place.filled(1.0) >= 0.5 => order.left,
                Liquidity::Endless => Qty::ZERO,
            };
            if qty.is_zero() {
                continue;
            }
            order.left -= qty;
            if self.liquidity == Liquidity::Once {
                available -= qty;
            }
            let (number, price, left) = (order.number, order.price, order.left);
            fills.push(Fill { number, at, side: maker, price, qty, left, cause });
        }
        if fills.len() != before {
            self.orders[maker.index()].retain(|order| !order.left.is_zero());
            self.look();
        }
        available
    }

    /// Serves a request. `changed` hears of each level that a taker took from, with what it held before and holds now.
    pub(super) fn serve(
        &mut self,
        at: TimestampNs,
        request: &Request,
        fills: &mut Vec<Fill>,
        changed: impl FnMut(Side, Price, Qty, Qty),
    ) -> Answer {
        match *request {
            Request::Cancel(number) => {
                for orders in &mut self.orders {
                    if let Some(place) = orders.iter().position(|order| order.number == number) {
                        orders.remove(place);
                        self.look();
                        return Answer::Cancelled;
                    }
                }
                Answer::Unknown
            }
            Request::Place { number, side, price, qty, kind } => {
                let limit = match (kind, side) {
                    (OrderKind::Market, Side::Bid) => Price::MAX,
                    (OrderKind::Market, Side::Ask) => Price::MIN,
                    (OrderKind::Limit(_) | OrderKind::PostOnly, _) => price,
                };
                let would_trade = self.takeable(side, limit, Qty::from_lots(1));
                let must_not = match kind {
                    OrderKind::PostOnly => would_trade,
                    OrderKind::Limit(TimeInForce::Fok) => !self.takeable(side, limit, qty),
                    OrderKind::Limit(_) | OrderKind::Market => false,
                };
                if must_not {
                    return Answer::Done;
                }
                let order = Fill { number, at, side, price: limit, qty, left: qty, cause: FillCause::Taker };
                let left = if would_trade { self.take(order, fills, changed) } else { qty };
                let rests = matches!(kind, OrderKind::PostOnly | OrderKind::Limit(TimeInForce::Gtc));
                if left.is_zero() || !rests {
                    return Answer::Done;
                }
                self.rest(side, Resting { number, price, left, place: Place::default() });
                Answer::Resting
            }
        }
    }

    /// Whether a taker of `side` finds `qty` up to `limit`.
    fn takeable(&self, side: Side, limit: Price, qty: Qty) -> bool {
        let maker = side.opposite();
        let mut found = Qty::ZERO;
        for level in self.book.levels(maker).take_while(|level| level.price.rank(maker) <= limit.rank(maker)) {
            found += level.qty;
            if found >= qty || self.liquidity == Liquidity::Endless {
                return true;
            }
        }
        false
    }

    /// Takes what is there up to the order's price, best first; returns what the order still wants.
    fn take(&mut self, order: Fill, fills: &mut Vec<Fill>, mut changed: impl FnMut(Side, Price, Qty, Qty)) -> Qty {
        let maker = order.side.opposite();
        let mut left = order.left;
        while let Some(best) = self.book.best(maker).filter(|best| best.price.rank(maker) <= order.price.rank(maker)) {
            let qty = match self.liquidity {
                Liquidity::Endless => left,
                Liquidity::Once => {
                    let qty = left.min(best.qty);
                    self.book.set(maker, best.price, best.qty - qty);
                    changed(maker, best.price, best.qty, best.qty - qty);
                    qty
                }
            };
            left -= qty;
            fills.push(Fill { price: best.price, qty, left, ..order });
            if left.is_zero() {
                break;
            }
        }
        left
    }

    /// Puts an order behind everything at its price.
    fn rest(&mut self, side: Side, mut order: Resting) {
        order.place = self.model.join(self.book.qty_at(side, order.price).lots() as f64);
        let orders = &mut self.orders[side.index()];
        let place = orders.partition_point(|one| one.price.rank(side) <= order.price.rank(side));
        orders.insert(place, order);
        self.look();
    }

    /// Notes anew which prices matter to our orders.
    fn look(&mut self) {
        for side in Side::BOTH {
            let [own, other] = [side, side.opposite()].map(|side| &self.orders[side.index()]);
            let rank = |order: Option<&Resting>| order.map(|order| order.price.rank(side));
            self.watch[side.index()] = Watch {
                near: rank(own.first()).unwrap_or(UNWATCHED.near),
                far: rank(own.last()).unwrap_or(UNWATCHED.far),
                cross: rank(other.first()).unwrap_or(UNWATCHED.cross),
            };
        }
    }
}
