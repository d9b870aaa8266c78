//! Percentiles of the makers by rate: collected, summed up over rounds, printed, written.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2Serializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde_json::{Value, json};

use super::hiccup::overlaps;
use super::probe::Run;
use crate::stats::bootstrap::{Bootstrap, Estimate};
use crate::stats::sample::at_share;

/// More than this share of a run's samples dropped for hiccups, and the run says nothing.
const DROPPED_MAX: f64 = 0.05;
/// A minute: nothing here may take longer.
const HIGHEST_NS: u64 = 60_000_000_000;
/// The quantiles that are reported, with their names in JSON.
const QUANTILES: [(f64, &str); 5] =
    [(0.5, "p50_us"), (0.9, "p90_us"), (0.99, "p99_us"), (0.999, "p999_us"), (0.9999, "p9999_us")];

/// An empty histogram of nanoseconds.
pub fn empty() -> Histogram<u64> {
    Histogram::new_with_max(HIGHEST_NS, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

/// One round of one maker at one rate.
#[derive(Clone, Debug)]
struct Round {
    /// Every answered tick.
    all: Histogram<u64>,
    /// Those that no recorded gap of the probe's core overlaps.
    net: Histogram<u64>,
    unanswered: usize,
    late: Histogram<u64>,
}

/// All rounds of one maker at one rate.
#[derive(Clone, Debug, Default)]
pub struct Series {
    rounds: Vec<Round>,
}

impl Series {
    /// Takes a round. `ns` measures between two raw counters.
    pub fn take(&mut self, run: &Run, ns: impl Fn(u64, u64) -> u64) {
        let mut round = Round { all: empty(), net: empty(), unanswered: run.unanswered(), late: empty() };
        for &(intended, answered) in run.ticks.iter().filter(|tick| tick.1 != 0) {
            let latency = ns(intended, answered);
            round.all.saturating_record(latency);
            if !overlaps(&run.gaps, intended, answered) {
                round.net.saturating_record(latency);
            }
        }
        for late in &run.late_ns {
            round.late.saturating_record(*late);
        }
        self.rounds.push(round);
    }

    /// The median over rounds of a quantile, in nanoseconds.
    pub fn quantile(&self, quantile: f64) -> u64 {
        median(self.rounds.iter().map(|round| round.all.value_at_quantile(quantile)))
    }

    /// The other's median as a multiple of this one's: the median over rounds, which hangs on none that the host
    /// disturbed, with its interval by the bootstrap over pairs of rounds; `None` with too few of them. Both were measured
    /// in the same rounds.
    pub fn ratio_of_medians(&self, other: &Series) -> Option<Estimate> {
        let median_of = |round: &Round| round.all.value_at_quantile(0.5).max(1) as f64;
        let ratios: Vec<f64> =
            self.rounds.iter().zip(&other.rounds).map(|(own, other)| median_of(other) / median_of(own)).collect();
        Bootstrap::moving(1).estimate(ratios.len(), |rounds| {
            let mut drawn: Vec<f64> = rounds.iter().map(|&round| ratios[round]).collect();
            drawn.sort_unstable_by(f64::total_cmp);
            Some(at_share(&drawn, 0.5))
        })
    }

    /// Ticks of all rounds that no order answered.
    pub fn unanswered(&self) -> usize {
        self.rounds.iter().map(|round| round.unanswered).sum()
    }

    /// Rounds in which too much was dropped.
    pub fn void_rounds(&self) -> usize {
        self.rounds.iter().filter(|round| is_void(&round.all, &round.net)).count()
    }

    /// All rounds in one histogram.
    pub fn merged(&self) -> Histogram<u64> {
        let mut merged = empty();
        for round in &self.rounds {
            // Equal bounds: nothing can be out of range.
            let _ = merged.add(&round.all);
        }
        merged
    }

    /// As JSON: medians over rounds in microseconds.
    pub fn json(&self) -> Value {
        let percentiles = |of: &dyn Fn(&Round) -> &Histogram<u64>| {
            let row = |(quantile, name): (f64, &str)| {
                let ns = median(self.rounds.iter().map(|round| of(round).value_at_quantile(quantile)));
                (name.to_owned(), json!(us(ns)))
            };
            QUANTILES.into_iter().map(row).collect::<serde_json::Map<_, _>>()
        };
        let mut figures = percentiles(&|round| &round.all);
        let (all, net) = (self.merged().len(), self.rounds.iter().map(|round| round.net.len()).sum::<u64>());
        figures.insert("max_us".to_owned(), json!(us(median(self.rounds.iter().map(|round| round.all.max())))));
        figures.insert("unanswered".to_owned(), json!(self.unanswered()));
        figures.insert("samples".to_owned(), json!(all));
        figures.insert("rounds".to_owned(), json!(self.rounds.len()));
        let late = median(self.rounds.iter().map(|round| round.late.value_at_quantile(0.99)));
        figures.insert("sent_late_p99_us".to_owned(), json!(us(late)));
        let mut net_of = percentiles(&|round| &round.net);
        net_of.insert("dropped".to_owned(), json!(all - net));
        net_of.insert("void_rounds".to_owned(), json!(self.void_rounds()));
        figures.insert("net_of_hiccups".to_owned(), Value::Object(net_of));
        Value::Object(figures)
    }
}

/// Whether too many of all samples are not among the net ones.
pub fn is_void(all: &Histogram<u64>, net: &Histogram<u64>) -> bool {
    (all.len() - net.len()) as f64 > DROPPED_MAX * all.len().max(1) as f64
}

/// Microseconds to the hundredth.
pub fn us(ns: u64) -> f64 {
    (ns as f64 / 10.0).round() / 100.0
}

/// The middle one; of two middle ones the lower.
pub fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Everything measured end to end: by rate, by maker.
#[derive(Debug, Default)]
pub struct Table {
    /// The series.
    pub series: BTreeMap<u32, BTreeMap<&'static str, Series>>,
}

impl Table {
    /// `{"<rate>": {"<maker>": {…}}}`.
    pub fn json(&self) -> serde_json::Map<String, Value> {
        let makers = |makers: &BTreeMap<&'static str, Series>| {
            makers.iter().map(|(name, series)| ((*name).to_owned(), series.json())).collect::<serde_json::Map<_, _>>()
        };
        self.series.iter().map(|(rate, of)| (rate.to_string(), Value::Object(makers(of)))).collect()
    }

    /// `{"<rate>": {"<maker>": {"ratio", "low", "high", "rounds"}}}`: medians of a maker that was looked at, as multiples of
    /// the same maker's that nobody looked at, for makers `name` that have a `name_watched` beside them.
    pub fn watched(&self) -> serde_json::Map<String, Value> {
        let row = |makers: &BTreeMap<&'static str, Series>| {
            let of = |(name, series): (&&'static str, &Series)| {
                let watched = makers.get(format!("{name}_watched").as_str())?;
                let ratio = series.ratio_of_medians(watched)?;
                let figures = json!({
                    "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "rounds": series.rounds.len(),
                });
                Some(((*name).to_owned(), figures))
            };
            makers.iter().filter_map(of).collect::<serde_json::Map<_, _>>()
        };
        let rows = self.series.iter().map(|(rate, makers)| (rate.to_string(), Value::Object(row(makers))));
        rows.filter(|(_, row)| row.as_object().is_some_and(|row| !row.is_empty())).collect()
    }

    /// Lines for people, in microseconds, with ratios to the echo.
    pub fn lines(&self) -> String {
        let mut text = format!(
            "{:>7} {:<12} {:>8} {:>8} {:>8} {:>9} {:>10}  {:>10} {:>10}\n",
            "ticks/s", "maker", "p50", "p99", "p99.9", "p99.99", "unanswered", "p50 x echo", "p99 x echo"
        );
        for (rate, makers) in &self.series {
            let echo = makers.get("echo").map(|echo| [echo.quantile(0.5), echo.quantile(0.99)]);
            for (name, series) in makers {
                let us = |quantile| series.quantile(quantile) as f64 / 1e3;
                let ratio = |quantile, at: usize| match echo {
                    Some(echo) if echo[at] > 0 => format!("{:.2}", series.quantile(quantile) as f64 / echo[at] as f64),
                    _ => "-".to_owned(),
                };
                text.push_str(&format!(
                    "{rate:>7} {name:<12} {:>8.1} {:>8.1} {:>8.1} {:>9.1} {:>10}  {:>10} {:>10}\n",
                    us(0.5),
                    us(0.99),
                    us(0.999),
                    us(0.9999),
                    series.unanswered(),
                    ratio(0.5, 0),
                    ratio(0.99, 1),
                ));
            }
        }
        text
    }

    /// An HDR interval log, one histogram a maker and rate, in nanoseconds.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_log(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut serializer = V2Serializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment("latencies in nanoseconds; each tag is a maker and its ticks a second");
        let mut log = builder.begin_log_with(out, &mut serializer)?;
        for (rate, makers) in &self.series {
            for (name, series) in makers {
                let name = format!("{name}_{rate}");
                log.write_histogram(&series.merged(), Duration::ZERO, Duration::from_secs(1), Tag::new(&name))
                    .map_err(|error| std::io::Error::other(format!("{error:?}")))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_over_rounds_and_gaps_drop_samples_from_the_net_figures_alone() {
        let mut series = Series::default();
        for shift in [0, 1_000_000, 100_000] {
            let ticks = (0..100).map(|index| (index * 10_000, index * 10_000 + 5_000 + shift)).collect();
            let run = Run { ticks, late_ns: vec![10; 100], gaps: vec![(42_000, 43_000)] };
            series.take(&run, |from, to| to - from);
        }
        let near = |got: u64, want: u64| (got as f64 / want as f64 - 1.0).abs() < 0.002;
        assert!(near(series.quantile(0.5), 105_000), "{}", series.quantile(0.5));
        let json = series.json();
        assert_eq!((json["samples"].as_u64(), json["unanswered"].as_u64()), (Some(300), Some(0)));
        // One sample of the first round, five of the second and third: everything sent before the gap was over.
        assert_eq!(json["net_of_hiccups"]["dropped"].as_u64(), Some(1 + 5 + 5));
        assert_eq!(json["net_of_hiccups"]["void_rounds"].as_u64(), Some(0));
        let unanswered = Run { ticks: vec![(5, 0)], ..Run::default() };
        series.take(&unanswered, |from, to| to - from);
        assert_eq!(series.unanswered(), 1);
    }

    #[test]
    fn a_watched_maker_is_compared_with_itself_round_by_round() {
        let mut table = Table::default();
        for round in 1..=10_u64 {
            for (name, latency) in [("ws_api", 1_000 * round), ("ws_api_watched", 1_020 * round), ("echo", 500)] {
                // In one round the host was away while this one ran.
                let disturbed = if (round, name) == (3, "ws_api_watched") { 7 } else { 1 };
                let run = Run { ticks: vec![(5, 5 + latency * disturbed); 9], ..Run::default() };
                table.series.entry(100).or_default().entry(name).or_default().take(&run, |from, to| to - from);
            }
        }
        let watched = table.watched();
        let of = &watched["100"]["ws_api"];
        let figure = |name: &str| of[name].as_f64().unwrap();
        assert!((figure("ratio") - 1.02).abs() < 0.002, "{of}");
        assert!(figure("low") > 1.015 && figure("high") < 1.025 && of["rounds"] == 10, "{of}");
        assert_eq!(watched["100"].as_object().unwrap().len(), 1, "nobody looked at the echo");
    }

    #[test]
    fn the_log_holds_a_histogram_for_each_maker_and_rate() {
        let mut table = Table::default();
        let run = Run { ticks: vec![(5, 10)], ..Run::default() };
        table.series.entry(10).or_default().entry("echo").or_default().take(&run, |from, to| to - from);
        let mut log = Vec::new();
        table.write_log(&mut log).unwrap();
        let text = String::from_utf8(log).unwrap();
        assert!(text.contains("Tag=echo_10,"), "{text}");
        assert!(table.lines().contains("1.00"), "{}", table.lines());
    }
}
