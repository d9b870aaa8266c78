//! How long messages travel between us and a simulated exchange.
//!
//! One model for the backtest, the virtual session and paper mode. A message of one way never overtakes another of the
//! same way: each is one connection. Seeded: the same seed and the same times of sending give the same arrivals.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use crate::types::{DurationNs, TimestampNs};

/// A way that messages take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Market data, exchange to us.
    Feed,
    /// Orders and amends, us to the exchange.
    Order,
    /// Cancels and queries, us to the exchange.
    Cancel,
    /// Answers, exchange to us.
    Ack,
    /// User data: fills and balances, exchange to us.
    Fill,
}

impl Way {
    /// All of them, in the order of their numbers.
    pub const ALL: [Way; 5] = [Way::Feed, Way::Order, Way::Cancel, Way::Ack, Way::Fill];

    /// Its name in a model's text.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Feed => "feed",
            Way::Order => "order",
            Way::Cancel => "cancel",
            Way::Ack => "ack",
            Way::Fill => "fill",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// How long a message of one way takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    /// Always as long.
    Constant(DurationNs),
    /// Anything between, equally likely.
    Uniform {
        /// The shortest.
        least: DurationNs,
        /// The longest.
        most: DurationNs,
    },
    /// Log-normal: half of them are longer than the median, few much longer.
    LogNormal {
        /// The median.
        median: DurationNs,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// One of what was measured, each as likely as another. Never empty.
    Measured(Arc<[DurationNs]>),
}

impl Delay {
    fn draw(&self, rng: &mut ChaCha8Rng) -> DurationNs {
        match self {
            Delay::Constant(delay) => *delay,
            Delay::Uniform { least, most } => DurationNs::from_nanos(rng.random_range(least.nanos()..=most.nanos())),
            Delay::LogNormal { median, sigma } => {
                let normal: f64 = StandardNormal.sample(rng);
                scaled(*median, (sigma * normal).exp())
            }
            Delay::Measured(samples) => samples[rng.random_range(0..samples.len())],
        }
    }
}

/// Times at which every way is slow at once, as when a venue is busy: they come at random and last at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spikes {
    /// How many begin in a second, on average.
    pub per_second: f64,
    /// How long one lasts, on average.
    pub lasts: DurationNs,
    /// How many times as long messages take meanwhile.
    pub times: f64,
}

/// How long messages of each way take.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyModel {
    delays: [Delay; 5],
    spikes: Option<Spikes>,
}

impl Default for LatencyModel {
    /// Half a millisecond each way: a colocated host's round trip of one millisecond.
    fn default() -> LatencyModel {
        LatencyModel::constant(DurationNs::from_micros(500))
    }
}

impl LatencyModel {
    /// Always as long, whatever the way.
    pub fn constant(delay: DurationNs) -> LatencyModel {
        LatencyModel { delays: Way::ALL.map(|_| Delay::Constant(delay)), spikes: None }
    }

    /// The same with another delay of one way.
    #[must_use]
    pub fn with(mut self, way: Way, delay: Delay) -> LatencyModel {
        self.delays[way.index()] = delay;
        self
    }

    /// The same with spikes.
    #[must_use]
    pub fn with_spikes(mut self, spikes: Spikes) -> LatencyModel {
        self.spikes = Some(spikes);
        self
    }

    /// Messages that are about to travel so.
    pub fn travel(&self, seed: u64) -> Travel {
        let generator = |purpose: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(purpose);
            rng
        };
        Travel {
            rngs: Way::ALL.map(|way| generator(way.index() as u64)),
            spike_rng: generator(Way::ALL.len() as u64),
            spike: None,
            latest: [TimestampNs::ZERO; 5],
            model: self.clone(),
        }
    }
}

/// Messages on their way, as one model has them travel.
#[derive(Clone, Debug)]
pub struct Travel {
    model: LatencyModel,
    /// One generator a way: more orders do not shift what the feed draws.
    rngs: [ChaCha8Rng; 5],
    spike_rng: ChaCha8Rng,
    /// Begin and end of the spike that is on or comes next.
    spike: Option<(TimestampNs, TimestampNs)>,
    latest: [TimestampNs; 5],
}

impl Travel {
    /// When a message that leaves at `now` arrives. Times of leaving must not go back.
    #[inline]
    pub fn arrival(&mut self, way: Way, now: TimestampNs) -> TimestampNs {
        let at = way.index();
        let delay = match &self.model.delays[at] {
            Delay::Constant(delay) if self.model.spikes.is_none() => *delay,
            _ => self.drawn(at, now),
        };
        self.latest[at] = self.latest[at].max(now.plus(delay));
        self.latest[at]
    }

    /// How long one message of a way takes, when that is random. A backtest asks for each event, and mostly it is not.
    #[inline(never)]
    fn drawn(&mut self, at: usize, now: TimestampNs) -> DurationNs {
        let delay = self.model.delays[at].draw(&mut self.rngs[at]);
        let spikes = self.model.spikes;
        match spikes {
            Some(spikes) if self.is_spike(spikes, now) => scaled(delay, spikes.times),
            _ => delay,
        }
    }

    fn is_spike(&mut self, spikes: Spikes, now: TimestampNs) -> bool {
        let mut draw = |mean_ns: f64| -> f64 {
            let exponential: f64 = Exp1.sample(&mut self.spike_rng);
            mean_ns * exponential
        };
        loop {
            match self.spike {
                Some((begin, end)) if now < end => return now >= begin,
                // The first one is reckoned from the first message on.
                last => {
                    let from = last.map_or(now, |(_, end)| end);
                    let begin = from.plus(DurationNs::from_nanos(draw(1e9 / spikes.per_second) as u64));
                    let lasts = DurationNs::from_nanos(draw(spikes.lasts.nanos() as f64) as u64);
                    self.spike = Some((begin, begin.plus(lasts)));
                }
            }
        }
    }
}

fn scaled(delay: DurationNs, times: f64) -> DurationNs {
    DurationNs::from_nanos((delay.nanos() as f64 * times) as u64)
}

impl fmt::Display for LatencyModel {
    /// As [`LatencyModel::from_str`] reads it, measured delays apart, which have no text of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, way) in Way::ALL.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}=", way.name())?;
            match &self.delays[index] {
                Delay::Constant(delay) => write!(f, "{}", text_of(*delay))?,
                Delay::Uniform { least, most } => write!(f, "uniform:{}:{}", text_of(*least), text_of(*most))?,
                Delay::LogNormal { median, sigma } => write!(f, "lognormal:{}:{sigma}", text_of(*median))?,
                Delay::Measured(samples) => {
                    let median = samples.get(samples.len() / 2).copied().unwrap_or_default();
                    write!(f, "measured:{}:{}", samples.len(), text_of(median))?;
                }
            }
        }
        match self.spikes {
            Some(spikes) => write!(f, ",spike={}:{}:{}", spikes.per_second, text_of(spikes.lasts), spikes.times),
            None => Ok(()),
        }
    }
}

/// A duration in the largest unit that keeps it whole.
fn text_of(delay: DurationNs) -> String {
    let ns = delay.nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let unit = units.into_iter().find(|(unit, _)| ns > 0 && ns.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{ns}ns"), |(unit, name)| format!("{}{name}", ns / unit))
}

/// A text that is no latency model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no latency: give WAY=DELAY pairs such as feed=1ms,order=2ms,cancel=2ms,ack=1ms,fill=1ms, where a DELAY is \
     2ms, uniform:1ms:3ms or lognormal:2ms:0.5, and spike=RATE:LENGTH:TIMES (spikes a second, their mean length, how \
     many times slower); or one DELAY for all"
)]
pub struct NotALatency(pub String);

impl FromStr for LatencyModel {
    type Err = NotALatency;

    /// A way that is not named takes as long as its like: `fill` as `feed`, `cancel` and `ack` as `order`, and `feed` and
    /// `order` half a millisecond.
    fn from_str(text: &str) -> Result<LatencyModel, NotALatency> {
        let mut model = LatencyModel::default();
        if let Some(delay) = delay_of(text) {
            model.delays = Way::ALL.map(|_| delay.clone());
            return Ok(model);
        }
        let mut named = [false; 5];
        for part in text.split(',') {
            let wrong = || NotALatency(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            if name == "spike" && model.spikes.is_none() {
                model.spikes = Some(spikes_of(value).ok_or_else(wrong)?);
                continue;
            }
            let way = Way::ALL.into_iter().find(|way| way.name() == name).ok_or_else(wrong)?;
            if std::mem::replace(&mut named[way.index()], true) {
                return Err(wrong());
            }
            model.delays[way.index()] = delay_of(value).ok_or_else(wrong)?;
        }
        for (way, like) in [(Way::Fill, Way::Feed), (Way::Cancel, Way::Order), (Way::Ack, Way::Order)] {
            if !named[way.index()] && named[like.index()] {
                model.delays[way.index()] = model.delays[like.index()].clone();
            }
        }
        Ok(model)
    }
}

fn delay_of(text: &str) -> Option<Delay> {
    if let Some(bounds) = text.strip_prefix("uniform:") {
        let (least, most) = bounds.split_once(':')?;
        let (least, most) = (duration_of(least)?, duration_of(most)?);
        return (least <= most).then_some(Delay::Uniform { least, most });
    }
    if let Some(shape) = text.strip_prefix("lognormal:") {
        let (median, sigma) = shape.split_once(':')?;
        let sigma: f64 = sigma.parse().ok().filter(|sigma: &f64| (0.0..=5.0).contains(sigma))?;
        return Some(Delay::LogNormal { median: duration_of(median)?, sigma });
    }
    duration_of(text).map(Delay::Constant)
}

fn spikes_of(text: &str) -> Option<Spikes> {
    let mut parts = text.split(':');
    let (rate, lasts, times) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    let per_second = number(rate).filter(|rate| *rate > 0.0 && *rate <= 1000.0)?;
    let times = number(times).filter(|times| (1.0..=10_000.0).contains(times))?;
    parts.next().is_none().then_some(Spikes { per_second, lasts: duration_of(lasts)?, times })
}

/// At most a minute: a slower venue is not there.
fn duration_of(text: &str) -> Option<DurationNs> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let unit_ns = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    let ns = number.parse::<f64>().ok()? * unit_ns;
    (0.0..=60e9).contains(&ns).then(|| DurationNs::from_nanos(ns.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> TimestampNs {
        TimestampNs::from_nanos(1_000_000_000_000 + ns)
    }

    fn delays(model: &LatencyModel, way: Way, step_ns: u64, count: u64) -> Vec<u64> {
        let mut travel = model.travel(7);
        (0..count).map(|n| travel.arrival(way, at(n * step_ns)).since(at(n * step_ns)).nanos()).collect()
    }

    #[test]
    fn texts_read_back_and_unnamed_ways_take_after_their_like() {
        let model: LatencyModel = "feed=1ms,order=2.5ms,cancel=uniform:1us:2ms".parse().unwrap();
        assert_eq!(model.to_string(), "feed=1ms,order=2500us,cancel=uniform:1us:2ms,ack=2500us,fill=1ms");
        for text in [
            model.to_string(),
            "feed=0ns,order=lognormal:2ms:0.5,cancel=1s,ack=1ns,fill=1ms,spike=0.1:200ms:10".to_owned(),
            LatencyModel::default().to_string(),
        ] {
            assert_eq!(text.parse::<LatencyModel>().unwrap().to_string(), text);
        }
        assert_eq!("2ms".parse(), Ok(LatencyModel::constant(DurationNs::from_millis(2))));
        for wrong in ["", "feed", "feed=1", "feed=1ms,feed=2ms", "road=1ms", "feed=-1ms", "feed=61s", "spike=1:1ms"] {
            assert!(wrong.parse::<LatencyModel>().is_err(), "{wrong}");
        }
        assert!("feed=uniform:2ms:1ms".parse::<LatencyModel>().is_err());
    }

    #[test]
    fn a_seed_gives_the_same_arrivals_and_messages_of_a_way_keep_their_order() {
        let model: LatencyModel = "feed=lognormal:1ms:1.5,order=uniform:0ns:5ms".parse().unwrap();
        let (mut one, mut two, mut other) = (model.travel(1), model.travel(1), model.travel(2));
        let (mut last, mut same) = (TimestampNs::ZERO, true);
        for n in 0..2_000 {
            let arrival = one.arrival(Way::Feed, at(n * 1_000));
            // Another way draws from numbers of its own.
            two.arrival(Way::Order, at(n * 1_000));
            assert_eq!(arrival, two.arrival(Way::Feed, at(n * 1_000)));
            same &= arrival == other.arrival(Way::Feed, at(n * 1_000));
            assert!(arrival >= last && arrival >= at(n * 1_000));
            last = arrival;
        }
        assert!(!same);
    }

    #[test]
    fn distributions_have_the_moments_that_their_names_promise() {
        // Far enough apart that nothing waits for what is before it.
        let second = 1_000_000_000;
        let mut uniform = delays(&"uniform:1ms:3ms".parse().unwrap(), Way::Ack, second, 20_000);
        let mut normal = delays(&"lognormal:2ms:0.5".parse().unwrap(), Way::Ack, second, 20_000);
        let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / values.len() as f64;
        assert!((mean(&uniform) / 2e6 - 1.0).abs() < 0.01, "{}", mean(&uniform));
        // E = median * exp(sigma^2 / 2).
        assert!((mean(&normal) / (2e6 * 0.125_f64.exp()) - 1.0).abs() < 0.02, "{}", mean(&normal));
        uniform.sort_unstable();
        normal.sort_unstable();
        assert!(uniform[0] >= 1_000_000 && uniform[19_999] <= 3_000_000);
        assert!((normal[10_000] as f64 / 2e6 - 1.0).abs() < 0.02, "{}", normal[10_000]);
        let measured: Arc<[DurationNs]> = [3, 9, 27].map(DurationNs::from_nanos).into();
        let model = LatencyModel::default().with(Way::Order, Delay::Measured(measured));
        let drawn = delays(&model, Way::Order, second, 3_000);
        for sample in [3, 9, 27] {
            let share = drawn.iter().filter(|ns| **ns == sample).count();
            assert!((900..1_100).contains(&share), "{sample} was drawn {share} times");
        }
    }

    #[test]
    fn spikes_slow_all_ways_at_the_same_times() {
        let model: LatencyModel = "feed=1ms,order=1ms,spike=0.5:500ms:20".parse().unwrap();
        let mut travel = model.travel(3);
        let (mut slow, mut apart) = (0, 0);
        let steps = 20_000_u64;
        for n in 0..steps {
            let now = at(n * 50_000_000);
            let feed = travel.arrival(Way::Feed, now).since(now).nanos();
            let order = travel.arrival(Way::Order, now).since(now).nanos();
            slow += u64::from(feed > 1_000_000);
            apart += u64::from(feed != order);
        }
        assert_eq!(apart, 0);
        // Two seconds between spikes and half a second in one: a fifth of the time.
        let share = slow as f64 / steps as f64;
        assert!((share - 0.2).abs() < 0.03, "{share}");
    }
}
