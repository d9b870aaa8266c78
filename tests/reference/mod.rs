//! The naive matching core: each side one list, best price first and oldest first, searched from the front.
//!
//! Written from `docs/MATCHING.md` alone and to be read at a glance: no index, no arena, nothing clever. What it says is
//! right; the C++ core must say the same.
#![allow(dead_code)]

use touchline::matching::{
    CancelReason, Capacity, Growth, Message, OrderEntry, RejectReason, Report, RestingOrder, SelfTrade,
};
use touchline::types::{Level, OrderKind, Price, Qty, Side, TimeInForce};

#[derive(Clone, Copy, Debug)]
struct Resting {
    order: RestingOrder,
    stp: SelfTrade,
}

/// The naive core.
pub struct Reference {
    capacity: Capacity,
    bids: Vec<Resting>,
    asks: Vec<Resting>,
}

impl Reference {
    pub fn new(capacity: Capacity) -> Reference {
        Reference { capacity, bids: Vec::new(), asks: Vec::new() }
    }

    pub fn submit(&mut self, message: &Message) -> Vec<Report> {
        let mut reports = Vec::new();
        let outcome = match *message {
            Message::New(entry) => self.place(entry, &mut reports),
            Message::Cancel { id } => self.cancel(id, &mut reports),
            Message::Modify { id, price, qty } => self.modify(id, price, qty, &mut reports),
        };
        if let Err(reason) = outcome {
            assert!(reports.is_empty(), "a refused message changes nothing");
            let (Message::New(OrderEntry { id, .. }) | Message::Cancel { id } | Message::Modify { id, .. }) = *message;
            reports.push(Report::Rejected { id, reason });
        }
        reports
    }

    fn place(&mut self, entry: OrderEntry, reports: &mut Vec<Report>) -> Result<(), RejectReason> {
        if entry.qty <= Qty::ZERO {
            return Err(RejectReason::Quantity);
        }
        if self.order(entry.id).is_some() {
            return Err(RejectReason::DuplicateId);
        }
        let limit = (entry.kind != OrderKind::Market).then_some(entry.price);
        let would_trade =
            self.side(entry.side.opposite()).first().is_some_and(|maker| within(entry.side, limit, maker));
        if entry.kind == OrderKind::PostOnly && would_trade {
            return Err(RejectReason::WouldCross);
        }
        if matches!(entry.kind, OrderKind::PostOnly | OrderKind::Limit(TimeInForce::Gtc)) {
            self.check_level(entry.side, entry.price, entry.qty)?;
            let opens_level = self.qty_at(entry.side, entry.price).is_zero();
            if self.capacity.growth == Growth::Refuse
                && (self.len() == self.capacity.orders as usize
                    || opens_level && self.levels() == self.capacity.levels as usize)
            {
                return Err(RejectReason::Capacity);
            }
        }

        reports.push(Report::Accepted { id: entry.id });
        let mut taker = Resting {
            order: RestingOrder {
                id: entry.id,
                side: entry.side,
                price: if limit.is_some() { entry.price } else { Price::from_ticks(0) },
                remaining: entry.qty,
                owner: entry.owner,
            },
            stp: entry.stp,
        };
        if entry.kind != OrderKind::Limit(TimeInForce::Fok) || self.can_fill(&taker, limit) {
            self.trade(&mut taker, limit, reports);
        }
        let remaining = taker.order.remaining;
        if remaining.is_zero() {
            return Ok(());
        }
        let reason = match entry.kind {
            OrderKind::Limit(TimeInForce::Gtc) | OrderKind::PostOnly => {
                self.rest(taker);
                return Ok(());
            }
            OrderKind::Limit(TimeInForce::Ioc) => CancelReason::IocRest,
            OrderKind::Limit(TimeInForce::Fok) => CancelReason::Fok,
            OrderKind::Market => CancelReason::MarketRest,
        };
        reports.push(Report::Cancelled { id: entry.id, remaining, reason });
        Ok(())
    }

    fn cancel(&mut self, id: u64, reports: &mut Vec<Report>) -> Result<(), RejectReason> {
        let gone = self.take_out(id).ok_or(RejectReason::UnknownOrder)?;
        reports.push(Report::Cancelled { id, remaining: gone.order.remaining, reason: CancelReason::User });
        Ok(())
    }

    fn modify(&mut self, id: u64, price: Price, qty: Qty, reports: &mut Vec<Report>) -> Result<(), RejectReason> {
        if qty <= Qty::ZERO {
            return Err(RejectReason::Quantity);
        }
        let old = self.order(id).ok_or(RejectReason::UnknownOrder)?;
        let now = Report::Modified { id, price, remaining: qty };
        if price == old.price && qty <= old.remaining {
            for side in Side::BOTH {
                for resting in self.side_mut(side).iter_mut().filter(|resting| resting.order.id == id) {
                    resting.order.remaining = qty;
                }
            }
            reports.push(now);
            return Ok(());
        }

        let before = (self.bids.clone(), self.asks.clone());
        let mut taker = self.take_out(id).expect("it was found above");
        let room = self.check_level(old.side, price, qty).and_then(|()| {
            let opens_level = self.qty_at(old.side, price).is_zero();
            let full = self.capacity.growth == Growth::Refuse && self.levels() == self.capacity.levels as usize;
            if opens_level && full { Err(RejectReason::Capacity) } else { Ok(()) }
        });
        if let Err(reason) = room {
            (self.bids, self.asks) = before;
            return Err(reason);
        }
        reports.push(now);
        taker.order.price = price;
        taker.order.remaining = qty;
        self.trade(&mut taker, Some(price), reports);
        if !taker.order.remaining.is_zero() {
            self.rest(taker);
        }
        Ok(())
    }

    /// Refuses what would make a level's quantity pass 64 bits.
    fn check_level(&self, side: Side, price: Price, qty: Qty) -> Result<(), RejectReason> {
        match self.qty_at(side, price).lots().checked_add(qty.lots()) {
            Some(_) => Ok(()),
            None => Err(RejectReason::LevelOverflow),
        }
    }

    fn trade(&mut self, taker: &mut Resting, limit: Option<Price>, reports: &mut Vec<Report>) {
        let side = taker.order.side;
        while !taker.order.remaining.is_zero() {
            let makers = self.side_mut(side.opposite());
            let Some(maker) = makers.first_mut().filter(|maker| within(side, limit, maker)) else { return };
            let qty = maker.order.remaining.min(taker.order.remaining);
            let is_own = taker.order.owner != 0 && taker.order.owner == maker.order.owner;
            let stp = if is_own { taker.stp } else { SelfTrade::None };
            let whole = (maker.order.remaining, taker.order.remaining);
            match stp {
                SelfTrade::None | SelfTrade::Decrement => {
                    maker.order.remaining -= qty;
                    taker.order.remaining -= qty;
                }
                SelfTrade::ExpireMaker => maker.order.remaining = Qty::ZERO,
                SelfTrade::ExpireTaker => taker.order.remaining = Qty::ZERO,
                SelfTrade::ExpireBoth => {
                    maker.order.remaining = Qty::ZERO;
                    taker.order.remaining = Qty::ZERO;
                }
            }
            if stp == SelfTrade::None {
                reports.push(Report::Trade {
                    maker_id: maker.order.id,
                    taker_id: taker.order.id,
                    price: maker.order.price,
                    qty,
                    aggressor: side,
                    maker_remaining: maker.order.remaining,
                    taker_remaining: taker.order.remaining,
                });
            } else {
                for (order, was) in [(&maker.order, whole.0), (&taker.order, whole.1)] {
                    if order.remaining.is_zero() {
                        reports.push(Report::Cancelled {
                            id: order.id,
                            remaining: was,
                            reason: CancelReason::SelfTrade,
                        });
                    } else if stp == SelfTrade::Decrement {
                        reports.push(Report::Modified { id: order.id, price: order.price, remaining: order.remaining });
                    }
                }
            }
            if maker.order.remaining.is_zero() {
                makers.remove(0);
            }
        }
    }

    /// Plays the order on a copy of the book: it fills whole when its trades add up to it.
    fn can_fill(&self, taker: &Resting, limit: Option<Price>) -> bool {
        let mut copy = Reference { capacity: self.capacity, bids: self.bids.clone(), asks: self.asks.clone() };
        let mut reports = Vec::new();
        copy.trade(&mut taker.clone(), limit, &mut reports);
        let traded: i128 = reports
            .iter()
            .map(|report| if let Report::Trade { qty, .. } = report { i128::from(qty.lots()) } else { 0 })
            .sum();
        traded == i128::from(taker.order.remaining.lots())
    }

    fn rest(&mut self, resting: Resting) {
        let makers = self.side_mut(resting.order.side);
        let at = makers
            .iter()
            .position(|other| match resting.order.side {
                Side::Bid => other.order.price < resting.order.price,
                Side::Ask => other.order.price > resting.order.price,
            })
            .unwrap_or(makers.len());
        makers.insert(at, resting);
    }

    fn take_out(&mut self, id: u64) -> Option<Resting> {
        for side in Side::BOTH {
            let makers = self.side_mut(side);
            if let Some(at) = makers.iter().position(|resting| resting.order.id == id) {
                return Some(makers.remove(at));
            }
        }
        None
    }

    // --- Questions ---

    pub fn order(&self, id: u64) -> Option<RestingOrder> {
        self.bids.iter().chain(&self.asks).map(|resting| resting.order).find(|order| order.id == id)
    }

    pub fn depth(&self, side: Side) -> Vec<Level> {
        let mut levels: Vec<Level> = Vec::new();
        for Resting { order, .. } in self.side(side) {
            match levels.last_mut() {
                Some(level) if level.price == order.price => level.qty += order.remaining,
                _ => levels.push(Level { price: order.price, qty: order.remaining }),
            }
        }
        levels
    }

    pub fn orders(&self, side: Side) -> Vec<RestingOrder> {
        self.side(side).iter().map(|resting| resting.order).collect()
    }

    pub fn ahead_of(&self, id: u64) -> Option<Qty> {
        let order = self.order(id)?;
        let mut ahead = Qty::ZERO;
        for other in self.side(order.side).iter().map(|resting| resting.order).take_while(|other| other.id != id) {
            if other.price == order.price {
                ahead += other.remaining;
            }
        }
        Some(ahead)
    }

    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.side(side)
            .iter()
            .filter(|resting| resting.order.price == price)
            .fold(Qty::ZERO, |sum, resting| sum + resting.order.remaining)
    }

    pub fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    /// The id of the resting order at that place of some fixed order, round the end.
    pub fn any_id(&self, pick: u64) -> Option<u64> {
        let all = self.len() as u64;
        let at = usize::try_from(pick.checked_rem(all)?).expect("a place in a list");
        Some(self.bids.iter().chain(&self.asks).nth(at)?.order.id)
    }

    fn levels(&self) -> usize {
        self.depth(Side::Bid).len() + self.depth(Side::Ask).len()
    }

    fn side(&self, side: Side) -> &Vec<Resting> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Vec<Resting> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

/// Whether a taker of `side` with that limit may trade with the maker.
fn within(side: Side, limit: Option<Price>, maker: &Resting) -> bool {
    match (side, limit) {
        (_, None) => true,
        (Side::Bid, Some(limit)) => maker.order.price <= limit,
        (Side::Ask, Some(limit)) => maker.order.price >= limit,
    }
}
