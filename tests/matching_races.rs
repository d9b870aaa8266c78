//! Queue races through the matching core itself: the birth-death book has exact answers, and the core must give them.
//!
//! Unit orders stand at one bid and one ask. Limit orders come, market orders take the front, cancellations take any
//! order but ours. Who fills first is decided by the core's price-time priority alone.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use touchline::matching::{Capacity, Growth, MatchingCore, Message, OrderEntry, Report, SelfTrade};
use touchline::sim::reference::cst::{FILLS, MID_UP, PAPER};
use touchline::sim::reference::random::{Purpose, generator};
use touchline::types::{OrderKind, Price, Qty, Side, TimeInForce};

const BID: i64 = 100;
const ASK: i64 = 101;

/// A book of unit orders and the ids that rest on each side.
struct Race {
    core: MatchingCore,
    rng: ChaCha8Rng,
    reports: Vec<Report>,
    resting: [Vec<u64>; 2],
    next_id: u64,
}

impl Race {
    fn new(bids: usize, asks: usize, rng: ChaCha8Rng) -> Race {
        let capacity = Capacity { orders: 256, levels: 8, growth: Growth::Double };
        let mut race = Race {
            core: MatchingCore::new(capacity),
            rng,
            reports: Vec::new(),
            resting: [Vec::new(), Vec::new()],
            next_id: 1,
        };
        (0..bids).for_each(|_| race.limit(Side::Bid));
        (0..asks).for_each(|_| race.limit(Side::Ask));
        race
    }

    fn send(&mut self, side: Side, price: i64, kind: OrderKind) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let entry = OrderEntry {
            id,
            owner: 0,
            side,
            price: Price::from_ticks(price),
            qty: Qty::from_lots(1),
            kind,
            stp: SelfTrade::None,
        };
        self.reports.clear();
        self.core.submit(&Message::New(entry), &mut self.reports);
        id
    }

    fn limit(&mut self, side: Side) {
        let price = if side == Side::Bid { BID } else { ASK };
        let id = self.send(side, price, OrderKind::Limit(TimeInForce::Gtc));
        self.resting[side as usize].push(id);
    }

    /// A market order takes the front of `side`; which that is, the core says.
    fn take(&mut self, side: Side) {
        self.send(side.opposite(), 0, OrderKind::Market);
        let maker = self.reports.iter().find_map(|report| match report {
            Report::Trade { maker_id, .. } => Some(*maker_id),
            _ => None,
        });
        let maker = maker.expect("the side is not empty");
        self.resting[side as usize].retain(|id| *id != maker);
    }

    /// Any of the first `count` orders that rest on `side` is cancelled.
    fn cancel(&mut self, side: Side, count: usize) {
        let at = self.rng.random_range(0..count);
        let id = self.resting[side as usize].remove(at);
        self.reports.clear();
        self.core.submit(&Message::Cancel { id }, &mut self.reports);
        assert!(matches!(self.reports[..], [Report::Cancelled { .. }]));
    }

    fn lots(&self, side: Side) -> usize {
        let price = Price::from_ticks(if side == Side::Bid { BID } else { ASK });
        self.core.qty_at(side, price).lots() as usize
    }

    /// Which of `rates` comes first: their minimum is exponential, and which it is does not depend on when.
    fn next(&mut self, rates: &[f64]) -> usize {
        let mut left = self.rng.random::<f64>() * rates.iter().sum::<f64>();
        rates
            .iter()
            .position(|rate| {
                left -= rate;
                left < 0.0
            })
            .unwrap_or(rates.len() - 1)
    }

    /// Whether the ask is gone first.
    fn mid_goes_up(&mut self) -> bool {
        loop {
            let (bids, asks) = (self.lots(Side::Bid), self.lots(Side::Ask));
            if bids == 0 || asks == 0 {
                return asks == 0;
            }
            let cancels = [PAPER.theta * bids as f64, PAPER.theta * asks as f64];
            let (lambda, mu) = (PAPER.lambda, PAPER.mu);
            match self.next(&[lambda, lambda, mu, mu, cancels[0], cancels[1]]) {
                0 => self.limit(Side::Bid),
                1 => self.limit(Side::Ask),
                2 => self.take(Side::Bid),
                3 => self.take(Side::Ask),
                4 => self.cancel(Side::Bid, bids),
                _ => self.cancel(Side::Ask, asks),
            }
        }
    }

    /// Whether order `ours`, the last of the bids, trades before the ask is gone. Bids keep joining behind it.
    fn ours_fills(&mut self, ours: u64) -> bool {
        loop {
            let asks = self.lots(Side::Ask);
            let Some(ahead) = self.core.ahead_of(ours) else { return true };
            if asks == 0 {
                return false;
            }
            let ahead = ahead.lots() as usize;
            let cancels = [PAPER.theta * ahead as f64, PAPER.theta * asks as f64];
            let (lambda, mu) = (PAPER.lambda, PAPER.mu);
            match self.next(&[lambda, lambda, mu, mu, cancels[0], cancels[1]]) {
                0 => self.limit(Side::Bid),
                1 => self.limit(Side::Ask),
                2 => self.take(Side::Bid),
                3 => self.take(Side::Ask),
                // Orders ahead of ours are the first in the list of those that rest.
                4 => self.cancel(Side::Bid, ahead),
                _ => self.cancel(Side::Ask, asks),
            }
        }
    }
}

fn share(races: usize, bids: usize, asks: usize, won: impl Fn(&mut Race) -> bool) -> f64 {
    let mut rng = generator((bids * 10 + asks) as u64, Purpose::Flow);
    let mut wins = 0;
    for _ in 0..races {
        let mut race = Race::new(bids, asks, rng);
        wins += usize::from(won(&mut race));
        rng = race.rng;
    }
    wins as f64 / races as f64
}

#[test]
fn the_core_hits_the_birth_death_tables_within_three_standard_errors() {
    let races = if std::env::var_os("TOUCHLINE_LONG").is_some() { 20_000 } else { 1_500 };
    for own in 1..=5 {
        for ask in 1..=5 {
            let up = share(races, own, ask, Race::mid_goes_up);
            // Our order joined last: its id is the number of bids.
            let fill = share(races, own, ask, |race| race.ours_fills(own as u64));
            for (what, got, want) in [("mid up", up, MID_UP[own - 1][ask - 1]), ("fill", fill, FILLS[own - 1][ask - 1])]
            {
                let off = 3.0 * (want * (1.0 - want) / races as f64).sqrt();
                assert!((got - want).abs() <= off, "{what} {own} {ask}: {got} and not {want} +- {off}");
            }
        }
    }
}
