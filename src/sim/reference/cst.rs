//! The birth-death book of Cont, Stoikov and Talreja (2010) at a spread of one tick: which queue empties first.
//!
//! Owns the exact probabilities (a linear system over the two queue sizes) and a Monte-Carlo of the same race in which
//! our order's place is not known but inferred from trades and level sizes by the rules of [`crate::sim::queue`].
//! Called by `touchline model check` and tests. Limit orders come to each best queue at `lambda`, market orders at
//! `mu`, and each order is cancelled at `theta`.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use super::random::{Purpose, generator};
use crate::sim::queue::{Place, Power, Prob, QueueEvent, QueueModel};

/// Queues longer than this are cut: the probabilities below have converged in it.
const CAP: usize = 60;

/// The solver stops when a sweep changes no probability by more than this.
const RESIDUAL: f64 = 1e-14;

/// Rates of one side of the book.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Limit orders a second at the best price.
    pub lambda: f64,
    /// Market orders a second.
    pub mu: f64,
    /// Cancellations a second of each resting order.
    pub theta: f64,
}

/// The rates of the specification's tables.
pub const PAPER: Rates = Rates { lambda: 1.85, mu: 0.94, theta: 0.71 };

impl Rates {
    /// Rate at which a queue of `size` loses an order.
    fn leave(&self, size: usize) -> f64 {
        self.mu + self.theta * size as f64
    }

    /// Rate at which the head of our own queue moves when we stand at `place`: those ahead trade or cancel, we do not.
    fn advance(&self, place: usize) -> f64 {
        self.mu + self.theta * (place - 1) as f64
    }
}

/// Exact probabilities for sizes up to the cap.
#[derive(Clone, Debug)]
pub struct Exact {
    /// `up[b * (CAP + 1) + a]`: the ask of size `a` empties before the bid of size `b`.
    up: Vec<f64>,
    /// `fill[d * (CAP + 1) + a]`: our order at place `d` fills before the ask of size `a` empties.
    fill: Vec<f64>,
}

impl Exact {
    /// The probability that the mid moves up next, with `bid` and `ask` orders at the best prices; at least 1 each.
    pub fn mid_up(&self, bid: usize, ask: usize) -> f64 {
        self.up[bid * (CAP + 1) + ask]
    }

    /// The probability that our bid at `place` (1 is the head) fills before the `ask` orders opposite are gone.
    pub fn fills(&self, place: usize, ask: usize) -> f64 {
        self.fill[place * (CAP + 1) + ask]
    }
}

/// Solves both linear systems.
pub fn solve(rates: &Rates) -> Exact {
    let at = |own: usize, ask: usize| own * (CAP + 1) + ask;
    let (mut up, mut fill) = (vec![0.0; (CAP + 1) * (CAP + 1)], vec![0.0; (CAP + 1) * (CAP + 1)]);
    for size in 1..=CAP {
        up[at(size, 0)] = 1.0;
        fill[at(0, size)] = 1.0;
    }
    // Gauss-Seidel: the chains are absorbed fast, so that a few hundred sweeps reach the last bit.
    loop {
        let mut change: f64 = 0.0;
        for own in 1..=CAP {
            for ask in 1..=CAP {
                let birth = |size: usize| if size < CAP { rates.lambda } else { 0.0 };
                let (own_more, ask_more) = (birth(own), birth(ask));
                let (own_less, ask_less) = (rates.leave(own), rates.leave(ask));
                let moved = own_more * up[at((own + 1).min(CAP), ask)]
                    + own_less * up[at(own - 1, ask)]
                    + ask_more * up[at(own, (ask + 1).min(CAP))]
                    + ask_less * up[at(own, ask - 1)];
                let next = moved / (own_more + own_less + ask_more + ask_less);
                change = change.max((next - up[at(own, ask)]).abs());
                up[at(own, ask)] = next;

                let advance = rates.advance(own);
                let moved = advance * fill[at(own - 1, ask)]
                    + ask_more * fill[at(own, (ask + 1).min(CAP))]
                    + ask_less * fill[at(own, ask - 1)];
                let next = moved / (advance + ask_more + ask_less);
                change = change.max((next - fill[at(own, ask)]).abs());
                fill[at(own, ask)] = next;
            }
        }
        if change <= RESIDUAL {
            return Exact { up, fill };
        }
    }
}

/// Which of `rates` comes first, and the index of it.
fn first(rng: &mut ChaCha8Rng, rates: &[f64]) -> usize {
    let draw = |(at, rate): (usize, &f64)| -> (f64, usize) {
        let wait: f64 = Exp1.sample(rng);
        (if *rate > 0.0 { wait / rate } else { f64::INFINITY }, at)
    };
    rates.iter().enumerate().map(draw).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, at)| at)
}

/// Share of `races` in which the ask empties first.
pub fn race_mid(rates: &Rates, bid: usize, ask: usize, races: usize, seed: u64) -> f64 {
    let mut rng = generator(seed, Purpose::Flow);
    let mut ups = 0;
    for _ in 0..races {
        let (mut bid, mut ask) = (bid, ask);
        while bid > 0 && ask > 0 {
            match first(&mut rng, &[rates.lambda, rates.leave(bid), rates.lambda, rates.leave(ask)]) {
                0 => bid += 1,
                1 => bid -= 1,
                2 => ask += 1,
                _ => ask -= 1,
            }
        }
        ups += usize::from(ask == 0);
    }
    ups as f64 / races as f64
}

/// Share of `races` in which our bid fills before the ask empties. Our place comes from the queue rules alone: they see
/// trades at the price and the level's size, never which order left. Orders that join behind us do not enter the race
/// and are left out, so the level is what is ahead of us, and the rules must find that each cancellation was ahead.
pub fn race_fill(rates: &Rates, place: usize, ask: usize, races: usize, seed: u64) -> f64 {
    let model = Prob(Power { n: 2.0 });
    let mut rng = generator(seed, Purpose::Fill);
    let mut fills = 0;
    for _ in 0..races {
        let (mut ours, mut ask) = (Place::behind((place - 1) as f64), ask);
        // The level without our order.
        let mut level = (place - 1) as f64;
        while ask > 0 && ours.filled_lots(1) == 0 {
            let cancels = rates.theta * level;
            match first(&mut rng, &[rates.mu, cancels, rates.lambda, rates.leave(ask)]) {
                0 => {
                    let left = (level - 1.0).max(0.0);
                    model.apply(&mut ours, 1.0, QueueEvent::Trade(1.0));
                    model.apply(&mut ours, 1.0, QueueEvent::Depth { prev: level, new: left });
                    level = left;
                }
                1 => {
                    model.apply(&mut ours, 1.0, QueueEvent::Depth { prev: level, new: level - 1.0 });
                    level -= 1.0;
                }
                2 => ask += 1,
                _ => ask -= 1,
            }
        }
        fills += usize::from(ours.filled_lots(1) == 1);
    }
    fills as f64 / races as f64
}

/// The table of `P(mid up)` for bids 1 to 5 (rows) and asks 1 to 5, from the specification.
pub const MID_UP: [[f64; 5]; 5] = [
    [0.5000, 0.3352, 0.2590, 0.2158, 0.1878],
    [0.6648, 0.5000, 0.4069, 0.3479, 0.3072],
    [0.7410, 0.5931, 0.5000, 0.4366, 0.3906],
    [0.7842, 0.6521, 0.5634, 0.5000, 0.4523],
    [0.8122, 0.6928, 0.6094, 0.5477, 0.5000],
];

/// The table of `P(our bid fills)` for places 1 to 5 (rows) and asks 1 to 5, from the specification.
pub const FILLS: [[f64; 5]; 5] = [
    [0.5025, 0.6980, 0.7939, 0.8483, 0.8824],
    [0.3589, 0.5508, 0.6643, 0.7372, 0.7869],
    [0.2915, 0.4654, 0.5784, 0.6564, 0.7128],
    [0.2514, 0.4093, 0.5174, 0.5956, 0.6543],
    [0.2243, 0.3691, 0.4716, 0.5480, 0.6071],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linear_systems_give_both_tables() {
        let exact = solve(&PAPER);
        for own in 1..=5 {
            for ask in 1..=5 {
                let (up, fill) = (exact.mid_up(own, ask), exact.fills(own, ask));
                assert!((up - MID_UP[own - 1][ask - 1]).abs() <= 5.1e-5, "up {own} {ask}: {up}");
                assert!((fill - FILLS[own - 1][ask - 1]).abs() <= 5.1e-5, "fill {own} {ask}: {fill}");
            }
        }
    }

    #[test]
    fn races_through_the_queue_rules_hit_the_tables_within_three_standard_errors() {
        let races = if std::env::var_os("TOUCHLINE_LONG").is_some() { 100_000 } else { 8_000 };
        for own in 1..=5 {
            for ask in 1..=5 {
                let seed = (own * 10 + ask) as u64;
                for (got, want) in [
                    (race_mid(&PAPER, own, ask, races, seed), MID_UP[own - 1][ask - 1]),
                    (race_fill(&PAPER, own, ask, races, seed), FILLS[own - 1][ask - 1]),
                ] {
                    let off = 3.0 * (want * (1.0 - want) / races as f64).sqrt();
                    assert!((got - want).abs() <= off, "{own} {ask}: {got} and not {want} +- {off}");
                }
            }
        }
    }
}
