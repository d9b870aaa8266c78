//! Quotes of Glosten and Milgrom (1985): each side is the value expected given that somebody trades on it.
//!
//! Owns the binary and the uniform case in closed form, Bayes' rule between trades, and a replay with news that is
//! drawn afresh for each trade. Called by `touchline model check` and tests.

use rand::RngExt;

use super::random::{Moments, Purpose, generator};

/// Belief about a value that is either `low` or `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binary {
    /// The low value.
    pub low: f64,
    /// The high value.
    pub high: f64,
    /// Share of informed traders.
    pub informed: f64,
    /// Probability of the high value.
    pub belief: f64,
}

impl Binary {
    /// Probability of the high value after a buy (`true`) or a sell.
    pub fn posterior(&self, is_buy: bool) -> f64 {
        let (with, against) = (1.0 + self.informed, 1.0 - self.informed);
        let (if_high, if_low) = if is_buy { (with, against) } else { (against, with) };
        let high = self.belief * if_high;
        high / (high + (1.0 - self.belief) * if_low)
    }

    fn price(&self, belief: f64) -> f64 {
        self.low + (self.high - self.low) * belief
    }

    /// Zero-profit bid and ask.
    pub fn quotes(&self) -> (f64, f64) {
        (self.price(self.posterior(false)), self.price(self.posterior(true)))
    }

    /// Takes a trade into the belief.
    pub fn trade(&mut self, is_buy: bool) {
        self.belief = self.posterior(is_buy);
    }
}

/// Zero-profit bid and ask for a value uniform on `[0, 1]` with a share `informed` in `(0, 1)` of informed traders.
pub fn uniform_quotes(informed: f64) -> (f64, f64) {
    let ask = (1.0 + informed - (1.0 - informed * informed).sqrt()) / (2.0 * informed);
    (1.0 - ask, ask)
}

/// The classic replay: each trade has an innovation of `+-jump` of its own, known to the informed before and to the
/// maker after it. Direction is therefore independent from trade to trade.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The maker's profit a trade at the half-spread given.
    pub profit: Moments,
    /// Mean of `|buys - sells| / trades` over buckets of equal size: VPIN of the tape.
    pub imbalance: Moments,
}

/// Replays `trades` trades in buckets of `bucket`.
pub fn replay(informed: f64, jump: f64, half_spread: f64, trades: usize, bucket: usize, seed: u64) -> Replay {
    let mut flow = generator(seed, Purpose::Flow);
    let mut news = generator(seed, Purpose::News);
    let mut result = Replay { profit: Moments::default(), imbalance: Moments::default() };
    let mut net = 0i64;
    for trade in 1..=trades {
        let up: bool = news.random();
        let (who, coin): (f64, bool) = (flow.random(), flow.random());
        let is_buy = if who < informed { up } else { coin };
        let direction = if is_buy { 1.0 } else { -1.0 };
        let innovation = if up { jump } else { -jump };
        result.profit.push(half_spread - direction * innovation);
        net += direction as i64;
        if trade % bucket == 0 {
            result.imbalance.push(net.unsigned_abs() as f64 / bucket as f64);
            net = 0;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_buy_buy_sell_buy_gives_the_quotes_of_bayes_rule() {
        let mut market = Binary { low: 0.0, high: 1.0, informed: 0.3, belief: 0.5 };
        let want = [(0.35, 0.65), (0.5, 0.775_229), (0.65, 0.864_961), (0.5, 0.775_229)];
        for (is_buy, (bid, ask)) in [true, true, false, true].into_iter().zip(want) {
            let (got_bid, got_ask) = market.quotes();
            assert!((got_bid - bid).abs() < 6e-7 && (got_ask - ask).abs() < 6e-7, "{got_bid}/{got_ask}");
            market.trade(is_buy);
        }
        assert!((market.belief - 0.775_229).abs() < 6e-7);
    }

    #[test]
    fn at_even_odds_the_spread_is_the_informed_share_of_the_range() {
        for informed in [0.1, 0.3, 0.7] {
            let (bid, ask) = Binary { low: 10.0, high: 14.0, informed, belief: 0.5 }.quotes();
            assert!((ask - bid - informed * 4.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_uniform_case_has_its_closed_form() {
        for (informed, spread) in [(0.1, 0.050_126), (0.2, 0.101_021), (0.3, 0.153_536), (0.5, 0.267_949)] {
            let (bid, ask) = uniform_quotes(informed);
            assert!((ask - bid - spread).abs() < 6e-7, "{informed}: {}", ask - bid);
            // Zero profit: the ask is the value expected of a buyer.
            let buyers = informed * (1.0 - ask) + (1.0 - informed) / 2.0;
            let value = (informed * (1.0 - ask * ask) / 2.0 + (1.0 - informed) / 4.0) / buyers;
            assert!((value - ask).abs() < 1e-12);
        }
    }

    #[test]
    fn informed_trades_without_persistence_cost_a_j_and_are_invisible_to_vpin() {
        for informed in [0.0, 0.3, 0.6] {
            let run = replay(informed, 1.0, informed, 500_000, 50, 1985);
            let (mean, off) = (run.profit.mean(), 4.0 * run.profit.error());
            assert!(mean.abs() < off, "{informed}: profit {mean} beyond {off}");
            let off = 4.0 * run.imbalance.error();
            assert!((run.imbalance.mean() - 0.112_275).abs() < off, "{informed}: {}", run.imbalance.mean());
        }
    }
}
