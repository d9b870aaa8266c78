//! SM-1: a market in event time with calm and news, in which a maker who watches the flow must beat one who does not.
//!
//! Owns the tape (who arrives, how far the mid is from the value, what VPIN has published by then) and the makers that
//! are scored on it. Called by `touchline model check` and tests. All makers see the same tape and the same fill
//! numbers, so that differences between them are paired.
//!
//! Between news the mid is the value. News moves the value by `jump` ticks; while it lasts each arrival is informed
//! with probability `informed`, and each informed arrival brings the mid a step nearer, until it snaps to the value at
//! the end. A noise arrival fills with probability `e^{-h}`, an informed one if the edge left exceeds `h`. Mid and value
//! share a noise of `noise` ticks an arrival, which no maker can earn or lose; it only blurs the fit of `k`.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::random::{Moments, Purpose, generator};

/// Parameters of the market and of the toxicity measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sm1 {
    /// Mean arrivals between news (geometric).
    pub calm: f64,
    /// Arrivals that news lasts.
    pub news: u32,
    /// Size of news in ticks.
    pub jump: f64,
    /// Share of informed arrivals while news lasts.
    pub informed: f64,
    /// Standard deviation of the noise that mid and value share, in ticks an arrival.
    pub noise: f64,
    /// Arrivals of a bucket.
    pub bucket: u32,
    /// Buckets of the measure.
    pub buckets: usize,
    /// Arrivals of a day of the score.
    pub day: usize,
}

/// The specification's market.
pub const PAPER: Sm1 =
    Sm1 { calm: 800.0, news: 200, jump: 4.0, informed: 0.6, noise: 0.2, bucket: 25, buckets: 4, day: 20_000 };

/// The same without information: nothing that a toxic-flow measure could find.
pub const CONTROL: Sm1 = Sm1 { jump: 0.0, informed: 0.0, ..PAPER };

/// Who quotes, as half-spreads in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Maker {
    /// The same distance always.
    Constant(f64),
    /// Both sides wider by `c` times the de-biased toxicity.
    Symmetric {
        /// Distance without toxicity.
        base: f64,
        /// Ticks per unit of toxicity.
        c: f64,
    },
    /// Only the side that the flow threatens wider, by `c` times the signed toxicity beyond its noise.
    Signed {
        /// Distance without toxicity.
        base: f64,
        /// Ticks per unit of toxicity.
        c: f64,
    },
    /// Knows when there is news and which way: the threatened side keeps the whole jump away.
    Oracle {
        /// Distance otherwise.
        base: f64,
    },
}

/// One arrival, with what is known when it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Arrival {
    /// +1 buys, -1 sells.
    side: f64,
    is_informed: bool,
    /// Value minus mid, in ticks.
    edge: f64,
    /// Direction of the news that lasts, or 0.
    news: f64,
    /// De-biased toxicity of the buckets published before.
    tau: f64,
    /// Plain imbalance of them.
    tau_raw: f64,
    /// Signed imbalance of them.
    tau_signed: f64,
    /// Decides whether a noise arrival fills.
    luck: f64,
    /// What the mid has become after it, since the start.
    mid_after: f64,
}

struct Tape {
    market: Sm1,
    flow: ChaCha8Rng,
    fill: ChaCha8Rng,
    news_rng: ChaCha8Rng,
    price: ChaCha8Rng,
    news_left: u32,
    direction: f64,
    edge: f64,
    mid: f64,
    net: f64,
    in_bucket: u32,
    closed: VecDeque<f64>,
    baseline: f64,
    tau: f64,
    tau_raw: f64,
    tau_signed: f64,
}

impl Tape {
    fn new(market: Sm1, seed: u64) -> Tape {
        Tape {
            market,
            flow: generator(seed, Purpose::Flow),
            fill: generator(seed, Purpose::Fill),
            news_rng: generator(seed, Purpose::News),
            price: generator(seed, Purpose::Price),
            news_left: 0,
            direction: 0.0,
            edge: 0.0,
            mid: 0.0,
            net: 0.0,
            in_bucket: 0,
            closed: VecDeque::with_capacity(market.buckets + 1),
            baseline: coin_imbalance(market.bucket),
            tau: 0.0,
            tau_raw: 0.0,
            tau_signed: 0.0,
        }
    }

    fn next(&mut self) -> Arrival {
        let market = self.market;
        let (starts, up): (f64, bool) = (self.news_rng.random(), self.news_rng.random());
        if self.news_left == 0 && starts < 1.0 / market.calm {
            self.news_left = market.news;
            self.direction = if up { 1.0 } else { -1.0 };
            self.edge = self.direction * market.jump;
        }
        let is_news = self.news_left > 0;
        let (who, coin): (f64, bool) = (self.flow.random(), self.flow.random());
        let is_informed = is_news && who < market.informed;
        let coin = if coin { 1.0 } else { -1.0 };
        let mut arrival = Arrival {
            side: if is_informed { self.direction } else { coin },
            is_informed,
            edge: self.edge,
            news: if is_news { self.direction } else { 0.0 },
            tau: self.tau,
            tau_raw: self.tau_raw,
            tau_signed: self.tau_signed,
            luck: self.fill.random(),
            mid_after: 0.0,
        };
        let before = self.edge;
        if is_informed {
            let step = market.jump / (market.informed * f64::from(market.news));
            self.edge = self.direction * (self.edge.abs() - step).max(0.0);
        }
        if is_news {
            self.news_left -= 1;
            if self.news_left == 0 {
                self.edge = 0.0;
            }
        }
        let noise: f64 = StandardNormal.sample(&mut self.price);
        self.mid += before - self.edge + market.noise * noise;
        arrival.mid_after = self.mid;
        self.count(arrival.side);
        arrival
    }

    /// Takes the arrival into its bucket. What a bucket says is published when it closes: it holds for later arrivals.
    fn count(&mut self, side: f64) {
        self.net += side;
        self.in_bucket += 1;
        if self.in_bucket < self.market.bucket {
            return;
        }
        self.closed.push_back(self.net);
        (self.net, self.in_bucket) = (0.0, 0);
        if self.closed.len() > self.market.buckets {
            self.closed.pop_front();
        }
        if self.closed.len() == self.market.buckets {
            let orders = f64::from(self.market.bucket) * self.market.buckets as f64;
            self.tau_raw = self.closed.iter().map(|net| net.abs()).sum::<f64>() / orders;
            self.tau = ((self.tau_raw - self.baseline) / (1.0 - self.baseline)).clamp(0.0, 1.0);
            self.tau_signed = self.closed.iter().sum::<f64>() / orders;
        }
    }
}

/// `E|2 Bin(n, 1/2) - n| / n`: the imbalance that a fair coin shows in `n` orders.
fn coin_imbalance(n: u32) -> f64 {
    // C(n, n/2) / 2^n, with n - 1 instead of n when n is odd.
    let even = n - n % 2;
    (1..=even / 2).map(|half| f64::from(2 * half - 1) / f64::from(2 * half)).product()
}

/// How a maker did.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Profit of each day in ticks.
    pub days: Vec<f64>,
    /// Arrivals of a day.
    pub day: usize,
    /// Fills.
    pub fills: f64,
    /// Sum over fills of the distance quoted.
    pub quoted: f64,
    /// Sum over fills of what the value moved against the maker.
    pub lost: f64,
}

impl Score {
    /// Profit an arrival, in ticks.
    pub fn per_arrival(&self) -> f64 {
        self.days.iter().sum::<f64>() / (self.days.len() * self.day) as f64
    }

    /// Mean and deviation of a day's profit.
    pub fn daily(&self) -> Moments {
        let mut moments = Moments::default();
        self.days.iter().for_each(|day| moments.push(*day));
        moments
    }

    /// Mean distance quoted of a fill: the effective half-spread.
    pub fn effective(&self) -> f64 {
        self.quoted / self.fills
    }

    /// Mean adverse move of a fill.
    pub fn adverse(&self) -> f64 {
        self.lost / self.fills
    }

    /// Paired difference of a day's profit to `other`'s, with its deviation.
    pub fn beyond(&self, other: &Score) -> Moments {
        let mut moments = Moments::default();
        self.days.iter().zip(&other.days).for_each(|(ours, theirs)| moments.push(ours - theirs));
        moments
    }
}

/// What the tape's toxicity was, in calm and in news.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Toxicity {
    /// Mean de-biased toxicity in calm and in news.
    pub tau: [f64; 2],
    /// Mean plain VPIN in calm and in news.
    pub raw: [f64; 2],
}

impl Sm1 {
    /// Scores each maker on the same `days` days.
    pub fn score(&self, makers: &[Maker], days: usize, seed: u64) -> Vec<Score> {
        let mut tape = Tape::new(*self, seed);
        // The noise of one bucket, not of all together: the cautious reading, which is the specification's table.
        let signed_noise = coin_imbalance(self.bucket);
        let blank = Score { days: Vec::with_capacity(days), day: self.day, fills: 0.0, quoted: 0.0, lost: 0.0 };
        let mut scores = vec![blank; makers.len()];
        for _ in 0..days {
            scores.iter_mut().for_each(|score| score.days.push(0.0));
            for arrival in (0..self.day).map(|_| tape.next()) {
                for (maker, score) in makers.iter().zip(&mut scores) {
                    let h = maker.distance(&arrival, signed_noise, self.jump);
                    let is_filled =
                        if arrival.is_informed { arrival.edge.abs() > h } else { arrival.luck < (-h).exp() };
                    if is_filled {
                        let lost = arrival.side * arrival.edge;
                        score.fills += 1.0;
                        score.quoted += h;
                        score.lost += lost;
                        if let Some(day) = score.days.last_mut() {
                            *day += h - lost;
                        }
                    }
                }
            }
        }
        scores
    }

    /// Mean toxicity in calm and in news over `arrivals` arrivals.
    pub fn toxicity(&self, arrivals: usize, seed: u64) -> Toxicity {
        let mut tape = Tape::new(*self, seed);
        let mut means = [[Moments::default(); 2]; 2];
        for _ in 0..arrivals {
            let arrival = tape.next();
            let regime = usize::from(arrival.news != 0.0);
            means[0][regime].push(arrival.tau);
            means[1][regime].push(arrival.tau_raw);
        }
        let [tau, raw] = means.map(|regimes| regimes.map(|moments| moments.mean()));
        Toxicity { tau, raw }
    }

    /// The samples of a fit of `k`: toxicity before each arrival and its signed markout `horizon` arrivals later.
    pub fn markouts(&self, arrivals: usize, horizon: usize, seed: u64) -> Vec<(f64, f64)> {
        let mut tape = Tape::new(*self, seed);
        let mut before = 0.0;
        let mut pending = VecDeque::with_capacity(horizon + 1);
        let mut samples = Vec::with_capacity(arrivals);
        for _ in 0..arrivals {
            let arrival = tape.next();
            pending.push_back((arrival.tau, arrival.side, before));
            before = arrival.mid_after;
            if pending.len() > horizon
                && let Some((tau, side, from)) = pending.pop_front()
            {
                samples.push((tau, side * (arrival.mid_after - from)));
            }
        }
        samples
    }
}

impl Maker {
    /// The distance of the side that the arrival would trade with.
    fn distance(&self, arrival: &Arrival, signed_noise: f64, jump: f64) -> f64 {
        match *self {
            Maker::Constant(h) => h,
            Maker::Symmetric { base, c } => base + c * arrival.tau,
            // A flow of buys threatens the ask, which a buyer meets.
            Maker::Signed { base, c } => base + c * (arrival.side * arrival.tau_signed - signed_noise).max(0.0),
            Maker::Oracle { base } if arrival.news != 0.0 && arrival.news == arrival.side => jump.max(base),
            Maker::Oracle { base } => base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's makers in the order of its table, and what each earns an arrival.
    const TABLE: [(Maker, f64); 6] = [
        (Maker::Constant(1.0), 0.1863),
        (Maker::Constant(1.3), 0.2003),
        (Maker::Symmetric { base: 1.0, c: 1.431 }, 0.2110),
        (Maker::Symmetric { base: 1.0, c: 4.0 }, 0.2186),
        (Maker::Signed { base: 1.0, c: 12.0 }, 0.2444),
        (Maker::Oracle { base: 1.0 }, 0.3406),
    ];

    #[test]
    fn makers_who_watch_the_flow_beat_the_best_constant_one_by_the_specified_margins() {
        let makers = TABLE.map(|row| row.0);
        let scores = PAPER.score(&makers, 100, 2);
        for (score, (maker, want)) in scores.iter().zip(TABLE) {
            assert!((score.per_arrival() - want).abs() <= 0.006, "{maker:?}: {} and not {want}", score.per_arrival());
        }
        assert!(scores.windows(2).all(|pair| pair[0].per_arrival() < pair[1].per_arrival()), "the order of the rows");
        for score in &scores[2..] {
            let beyond = score.beyond(&scores[1]);
            assert!(beyond.mean() > 10.0 * beyond.error(), "{beyond:?}");
        }
        // The best constant distance of the training tape is one that the table's author found.
        let tried = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6].map(Maker::Constant);
        let trained: Vec<f64> = PAPER.score(&tried, 100, 1).iter().map(Score::per_arrival).collect();
        let best = trained.iter().copied().fold(f64::MIN, f64::max);
        assert!(best - trained[3] < 0.001, "{trained:?}");
    }

    #[test]
    fn without_information_awareness_costs_next_to_nothing() {
        let scores = CONTROL.score(&[TABLE[0].0, TABLE[2].0], 25, 1);
        let (naive, aware) = (scores[0].per_arrival(), scores[1].per_arrival());
        assert!((naive - (-1.0_f64).exp()).abs() < 0.004, "{naive}");
        assert!((naive - aware).abs() < 0.002, "{naive} {aware}");
    }

    #[test]
    fn toxicity_tells_news_from_calm_and_is_published_when_its_bucket_closes() {
        let found = PAPER.toxicity(1_000_000, 2);
        for (got, want) in [(found.tau[0], 0.060), (found.tau[1], 0.363), (found.raw[0], 0.191), (found.raw[1], 0.463)]
        {
            assert!((got - want).abs() < 0.012, "{found:?}");
        }
        let mut tape = Tape::new(PAPER, 3);
        let mut net: VecDeque<f64> = VecDeque::new();
        for at in 0..5_000 {
            // What an arrival sees was known before it: the four buckets before its own.
            if at % 25 == 0 && at >= 100 {
                let raw: f64 = (0..4).map(|bucket| net.range(bucket * 25..bucket * 25 + 25).sum::<f64>().abs()).sum();
                assert_eq!(tape.tau_raw, raw / 100.0, "arrival {at}");
            }
            let known = (tape.tau, tape.tau_raw, tape.tau_signed);
            let arrival = tape.next();
            // The arrival that closes a bucket does not see what it closed.
            assert_eq!((arrival.tau, arrival.tau_raw, arrival.tau_signed), known, "arrival {at}");
            net.push_back(arrival.side);
            if net.len() > 100 {
                net.pop_front();
            }
        }
    }

    #[test]
    fn the_slope_of_markouts_on_toxicity_is_the_specified_k() {
        let samples = PAPER.markouts(2_000_000, 200, 1);
        let (xy, xx) = samples.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x * y, sum.1 + x * x));
        assert!((xy / xx - 1.431).abs() < 0.12, "{}", xy / xx);
    }

    #[test]
    fn a_coin_shows_the_specified_imbalance() {
        for (n, want) in [(10, 0.246_094), (25, 0.161_180), (50, 0.112_275), (100, 0.079_589)] {
            assert!((coin_imbalance(n) - want).abs() < 6e-7, "{n}");
        }
    }
}
