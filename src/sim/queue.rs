//! Where a resting order stands in its price level's queue, when the venue does not say so.
//!
//! Owns the fill models of a simulation on recorded data: what a trade and what a change of the level mean for the
//! quantity ahead of one order. Called by the reference simulations and by the recorded book of the exchange, which
//! arranges its queues as the model says; it never looks at a book or a clock itself, and it does not decide prices.
//! Quantities are lots in `f64`, because the probability models move an order by fractions of a lot; a fill leaves here
//! as whole lots ([`Place::filled_lots`]).
//!
//! From optimistic to pessimistic: [`Touch`], [`Prob`], [`RiskAverse`], [`Through`]. On one tape each fills no earlier
//! than the one before it.
//!
//! Sources: the specification's queue models; the probability functions are those of hftbacktest's `models/queue.rs`
//! (MIT), with guards for the cases in which it yields NaN.

mod behind;

pub use behind::{Behind, Log, Log2, Power, Power2, Power3};

use crate::types::Qty;

/// The place of one order in the queue of its price.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Lots ahead of the order. Below zero, the order itself has been reached by that much.
    front: f64,
    /// Lots that traded at the price since its quantity was last reported.
    traded: f64,
}

impl Place {
    /// The place behind `level` lots that are already there. An order that improves the price stands behind nothing.
    pub fn behind(level: f64) -> Place {
        Place { front: if level > 0.0 { level } else { 0.0 }, traded: 0.0 }
    }

    /// Lots ahead; never below zero.
    pub fn ahead(&self) -> f64 {
        self.front.max(0.0)
    }

    /// [`Self::ahead`] in whole lots of the `level` that is there: a lot that is ahead in part is ahead.
    pub fn ahead_lots(&self, level: i64) -> i64 {
        // Bounded by the level before it leaves the floats; infinitely far back is behind all of it.
        (self.ahead().min(level as f64) - 1e-9).ceil().max(0.0) as i64
    }

    /// Whether trades at the price never reach the order.
    pub fn is_last_always(&self) -> bool {
        self.front == f64::INFINITY
    }

    /// Lots of the order that the tape has reached so far, at most `order`.
    pub fn filled(&self, order: f64) -> f64 {
        (-self.front).clamp(0.0, order.max(0.0))
    }

    /// Takes the whole lots that the tape has reached, at most `most`, off what it has reached.
    pub fn take_reached(&mut self, most: Qty) -> Qty {
        let lots = self.filled_lots(most.lots());
        self.front += lots as f64;
        Qty::from_lots(lots)
    }

    /// [`Self::filled`] in whole lots: a lot counts once all of it has been reached.
    pub fn filled_lots(&self, order: i64) -> i64 {
        // The clamp above keeps the value within an i64 that is already a count of lots.
        (self.filled(order as f64) + 1e-9).floor() as i64
    }
}

/// What the tape says about the price at which an order rests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueEvent {
    /// So many lots traded at the price, with an aggressor on the other side.
    Trade(f64),
    /// A trade beyond the price, or the other side's best quote reached it: the whole level is gone.
    TradeThrough,
    /// The level's reported quantity went from `prev` to `new` lots, our order not counted.
    Depth {
        /// Quantity before.
        prev: f64,
        /// Quantity now.
        new: f64,
    },
}

/// How a place moves with the tape. Implement it to bring a fill model of your own.
pub trait QueueModel: std::fmt::Debug + Send + Sync {
    /// The place of an order that comes to a level of `level` lots.
    fn join(&self, level: f64) -> Place {
        Place::behind(level)
    }

    /// Moves `place` of an order of `order` lots by one event.
    fn apply(&self, place: &mut Place, order: f64, event: QueueEvent);
}

/// Fills on any trade at the price: the upper bound. It overstates fills and hides adverse selection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Touch;

/// Fills only when the market goes through the price: the lower bound on fills, the worst selection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Through;

/// Only trades bring the order forward; cancellations are thought to be behind it until the level shrinks below what
/// is ahead.
#[derive(Clone, Copy, Debug, Default)]
pub struct RiskAverse;

/// Cancellations are ahead of or behind the order with a probability `F` that depends on both quantities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prob<F>(pub F);

fn fill_whole(place: &mut Place, order: f64) {
    place.front = place.front.min(-order);
}

impl QueueModel for Touch {
    /// Before all others: whatever trades at the price reaches it.
    fn join(&self, _level: f64) -> Place {
        Place::behind(0.0)
    }

    fn apply(&self, place: &mut Place, order: f64, event: QueueEvent) {
        match event {
            QueueEvent::Trade(qty) if qty > 0.0 => fill_whole(place, order),
            QueueEvent::TradeThrough => fill_whole(place, order),
            QueueEvent::Trade(_) | QueueEvent::Depth { .. } => {}
        }
    }
}

impl QueueModel for Through {
    /// Behind whatever may ever come: no trade at the price reaches it.
    fn join(&self, _level: f64) -> Place {
        Place::behind(f64::INFINITY)
    }

    fn apply(&self, place: &mut Place, order: f64, event: QueueEvent) {
        if event == QueueEvent::TradeThrough {
            fill_whole(place, order);
        }
    }
}

impl QueueModel for RiskAverse {
    fn apply(&self, place: &mut Place, order: f64, event: QueueEvent) {
        match event {
            QueueEvent::Trade(qty) => place.front -= qty.max(0.0),
            QueueEvent::TradeThrough => fill_whole(place, order),
            // A level that shrinks below what was ahead has lost some of it; it never takes back what was filled.
            QueueEvent::Depth { new, .. } => place.front = place.front.min(new.max(0.0)),
        }
    }
}

impl<F: Behind> QueueModel for Prob<F> {
    fn apply(&self, place: &mut Place, order: f64, event: QueueEvent) {
        match event {
            QueueEvent::Trade(qty) => {
                place.front -= qty.max(0.0);
                place.traded += qty.max(0.0);
            }
            QueueEvent::TradeThrough => fill_whole(place, order),
            QueueEvent::Depth { prev, new } => {
                let gone = prev - new - place.traded;
                place.traded = 0.0;
                let (front, new) = (place.front, new.max(0.0));
                if front <= 0.0 || gone <= 0.0 {
                    // Nothing ahead that could be cancelled, or the level grew: growth joins behind us.
                    place.front = front.min(new);
                    return;
                }
                let back = (prev - front).max(0.0);
                let behind = self.0.probability(front, back);
                let ahead_left = front - (1.0 - behind) * gone + (back - behind * gone).min(0.0);
                // A cancellation may bring us to the head of the queue, but only a trade fills.
                place.front = ahead_left.min(new).max(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after<M: QueueModel>(model: &M, front: f64, prev: f64, new: f64) -> f64 {
        let mut place = Place::behind(front);
        model.apply(&mut place, 1.0, QueueEvent::Depth { prev, new });
        place.ahead()
    }

    #[test]
    fn six_ahead_and_four_behind_move_as_each_model_says_when_two_are_cancelled() {
        let vectors = [
            (after(&RiskAverse, 6.0, 10.0, 8.0), 6.0),
            (after(&Prob(Power { n: 2.0 }), 6.0, 10.0, 8.0), 4.615_385),
            (after(&Prob(Power2 { n: 2.0 }), 6.0, 10.0, 8.0), 4.32),
            (after(&Prob(Power3 { n: 3.0 }), 6.0, 10.0, 8.0), 5.568),
            (after(&Prob(Log), 6.0, 10.0, 8.0), 4.905_362),
            (after(&Prob(Log2), 6.0, 10.0, 8.0), 5.342_375),
        ];
        for (at, (got, want)) in vectors.into_iter().enumerate() {
            assert!((got - want).abs() < 5e-7, "model {at}: {got} and not {want}");
        }
    }

    #[test]
    fn trades_between_reports_are_not_taken_for_cancellations() {
        let model = Prob(Power { n: 2.0 });
        let mut place = Place::behind(6.0);
        model.apply(&mut place, 1.0, QueueEvent::Trade(2.0));
        model.apply(&mut place, 1.0, QueueEvent::Depth { prev: 10.0, new: 8.0 });
        assert_eq!(place.ahead(), 4.0);
        // The next report counts from there again.
        model.apply(&mut place, 1.0, QueueEvent::Depth { prev: 8.0, new: 8.0 });
        assert_eq!(place.ahead(), 4.0);
    }

    #[test]
    fn a_trade_larger_than_the_queue_fills_what_is_left_of_it() {
        for model in [&RiskAverse as &dyn QueueModel, &Prob(Log)] {
            let mut place = Place::behind(6.0);
            model.apply(&mut place, 5.0, QueueEvent::Trade(8.5));
            assert_eq!((place.filled(5.0), place.filled_lots(5), place.ahead()), (2.5, 2, 0.0));
            // A report does not take the fill back.
            model.apply(&mut place, 5.0, QueueEvent::Depth { prev: 10.0, new: 4.0 });
            assert_eq!(place.filled(5.0), 2.5);
            model.apply(&mut place, 5.0, QueueEvent::TradeThrough);
            assert_eq!(place.filled_lots(5), 5);
        }
    }

    #[test]
    fn an_empty_queue_and_absurd_reports_give_no_nan() {
        let models: [&dyn QueueModel; 6] = [
            &RiskAverse,
            &Prob(Power { n: 2.5 }),
            &Prob(Power2 { n: 0.5 }),
            &Prob(Power3 { n: 1.5 }),
            &Prob(Log),
            &Prob(Log2),
        ];
        for model in models {
            for front in [0.0, 3.0, f64::NAN, -2.0] {
                for (prev, new) in [(0.0, 0.0), (0.0, 5.0), (5.0, 0.0), (1.0, -3.0), (2.0, 1.0)] {
                    let mut place = Place::behind(front);
                    model.apply(&mut place, 1.0, QueueEvent::Trade(1.0));
                    model.apply(&mut place, 1.0, QueueEvent::Depth { prev, new });
                    assert!(place.front.is_finite(), "front {front}, {prev} -> {new}: {place:?}");
                }
            }
        }
    }

    fn tape() -> impl Strategy<Value = (f64, Vec<QueueEvent>)> {
        // The level's own story: trades take from it, cancellations and arrivals change it, reports follow each.
        let step = (0u8..4, 1u32..6);
        (1u32..30, prop::collection::vec(step, 1..60)).prop_map(|(level, steps)| {
            let mut qty = f64::from(level);
            let mut tape = Vec::new();
            for (kind, size) in steps {
                let (prev, size) = (qty, f64::from(size));
                match kind {
                    0 => {
                        tape.push(QueueEvent::Trade(size));
                        qty = (qty - size).max(0.0);
                    }
                    1 => qty = (qty - size).max(0.0),
                    2 => qty += size,
                    _ if size > 4.0 => tape.push(QueueEvent::TradeThrough),
                    _ => {}
                }
                tape.push(QueueEvent::Depth { prev, new: qty });
            }
            (f64::from(level), tape)
        })
    }

    fn filled_at(model: &dyn QueueModel, level: f64, tape: &[QueueEvent]) -> usize {
        let mut place = Place::behind(level);
        for (at, event) in tape.iter().enumerate() {
            model.apply(&mut place, 1.0, *event);
            if place.filled(1.0) > 0.0 {
                return at;
            }
        }
        tape.len()
    }

    proptest! {
        #[test]
        fn a_more_pessimistic_model_never_fills_earlier((level, tape) in tape()) {
            let order: [&dyn QueueModel; 4] = [&Touch, &Prob(Power { n: 2.0 }), &RiskAverse, &Through];
            let times: Vec<usize> = order.iter().map(|model| filled_at(*model, level, &tape)).collect();
            prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", times);
        }
    }
}
