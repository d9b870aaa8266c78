//! Inside the engine: from the read of a tick's frame to its order's bytes in front of the socket, by rate, with and
//! without the samples that the machine disturbed.
//!
//! The engine writes the stamps of each tick to a file, the probe knows when its own core was taken away, and both read
//! one time stamp counter. A virtual machine's timers stop all of its cores at once, which is what most pauses are.

use std::collections::BTreeMap;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::figures::{empty, is_void, median, us};
use super::hiccup::overlaps;
use super::probe::Run;
use crate::metrics::{Stage, Stamps};

/// The row of all rates together.
const ALL: &str = "all";
const QUANTILES: [(f64, &str); 4] = [(0.5, "p50_us"), (0.9, "p90_us"), (0.99, "p99_us"), (0.999, "p999_us")];

/// One round of one maker at one rate.
struct Round {
    all: Histogram<u64>,
    /// Those that no recorded pause overlaps.
    net: Histogram<u64>,
}

/// All rounds of the engine's makers: by maker, by rate.
#[derive(Default)]
pub struct Inside {
    rounds: BTreeMap<&'static str, BTreeMap<String, Vec<Round>>>,
}

/// Reads a file of stamps; what is no line of it is left out.
pub fn read(path: &Path) -> Vec<Stamps> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut stamps: Vec<Stamps> = text.lines().filter_map(Stamps::from_line).collect();
    stamps.sort_unstable_by_key(|stamps| stamps.at(Stage::Read));
    stamps
}

impl Inside {
    /// Takes what a maker did in one round: its runs by rate and the stamps of its ticks, in their order. `ns` measures
    /// between two raw counters.
    pub fn take(
        &mut self,
        maker: &'static str,
        runs: &[(u32, Run)],
        stamps: &[Stamps],
        ns: impl Fn(u64, u64) -> u64 + Copy,
    ) {
        let rows = self.rounds.entry(maker).or_default();
        let mut together = Round { all: empty(), net: empty() };
        for (rate, run) in runs {
            let round = Round::of(run, stamps, ns);
            // Equal bounds: nothing can be out of range.
            let _ = (together.all.add(&round.all), together.net.add(&round.net));
            rows.entry(rate.to_string()).or_default().push(round);
        }
        rows.entry(ALL.to_owned()).or_default().push(together);
    }

    /// `{"<maker>": {"<rate>"|"all": {"p50_us", …, "net_of_hiccups": {"p50_us", …, "dropped", "void_rounds"},
    /// "net_of_hiccups_and_ring_hops": {"p50_us", …}}}}`, the last one for makers of which `hops_ns` knows what the links of
    /// a tick's way cost.
    pub fn json(&self, hops_ns: impl Fn(&str) -> Option<u64>) -> Value {
        let rows = |rows: &BTreeMap<String, Vec<Round>>, hops_ns| {
            rows.iter().map(|(rate, rounds)| (rate.clone(), row(rounds, hops_ns))).collect::<Map<_, _>>()
        };
        self.rounds
            .iter()
            .map(|(maker, of)| ((*maker).to_owned(), Value::Object(rows(of, hops_ns(maker)))))
            .collect::<Map<_, _>>()
            .into()
    }
}

impl Round {
    fn of(run: &Run, stamps: &[Stamps], ns: impl Fn(u64, u64) -> u64) -> Round {
        let mut round = Round { all: empty(), net: empty() };
        let (Some(first), Some(last)) = (run.ticks.first(), run.ticks.iter().map(|tick| tick.0.max(tick.1)).max())
        else {
            return round;
        };
        let from = stamps.partition_point(|stamps| stamps.at(Stage::Read) < first.0);
        for stamps in stamps[from..].iter().take_while(|stamps| stamps.at(Stage::Read) <= last) {
            let (read, ready) = (stamps.at(Stage::Read), stamps.at(Stage::Ready));
            let inside = ns(read, ready);
            round.all.saturating_record(inside);
            if !overlaps(&run.gaps, read, ready) {
                round.net.saturating_record(inside);
            }
        }
        round
    }

    fn dropped(&self) -> u64 {
        self.all.len() - self.net.len()
    }
}

/// Medians over rounds in microseconds.
fn row(rounds: &[Round], hops_ns: Option<u64>) -> Value {
    let percentiles = |of: fn(&Round) -> &Histogram<u64>, less_ns: u64| {
        let at = |quantile| median(rounds.iter().map(|round| of(round).value_at_quantile(quantile)));
        QUANTILES.map(|(quantile, name)| (name.to_owned(), json!(us(at(quantile).saturating_sub(less_ns)))))
    };
    let mut figures: Map<String, Value> = percentiles(|round| &round.all, 0).into_iter().collect();
    figures.insert("samples".to_owned(), json!(rounds.iter().map(|round| round.all.len()).sum::<u64>()));
    let mut net: Map<String, Value> = percentiles(|round| &round.net, 0).into_iter().collect();
    net.insert("dropped".to_owned(), json!(rounds.iter().map(Round::dropped).sum::<u64>()));
    let void = rounds.iter().filter(|round| is_void(&round.all, &round.net)).count();
    net.insert("void_rounds".to_owned(), json!(void));
    figures.insert("net_of_hiccups".to_owned(), Value::Object(net));
    if let Some(hops_ns) = hops_ns {
        let net: Map<String, Value> = percentiles(|round| &round.net, hops_ns).into_iter().collect();
        figures.insert("net_of_hiccups_and_ring_hops".to_owned(), Value::Object(net));
    }
    Value::Object(figures)
}

/// Lines for people.
pub fn lines(inside: &Value) -> String {
    let mut text = format!(
        "\n{:>7} {:<12} {:>8} {:>8} {:>10} {:>10} {:>8} {:>14}   inside, us\n",
        "ticks/s", "maker", "p50", "p99", "net p50", "net p99", "dropped", "less ring hops"
    );
    for (maker, rows) in inside.as_object().into_iter().flatten() {
        for (rate, figures) in rows.as_object().into_iter().flatten() {
            let net = &figures["net_of_hiccups"];
            let less = &figures["net_of_hiccups_and_ring_hops"]["p50_us"];
            let less = if less.is_null() { "-".to_owned() } else { less.to_string() };
            text.push_str(&format!(
                "{rate:>7} {maker:<12} {:>8} {:>8} {:>10} {:>10} {:>8} {less:>14}\n",
                figures["p50_us"], figures["p99_us"], net["p50_us"], net["p99_us"], net["dropped"]
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(read: u64, ready: u64) -> Stamps {
        let mut stamps = Stamps::begin(read);
        stamps.set(Stage::Ready, ready);
        stamps
    }

    #[test]
    fn each_tick_counts_for_the_rate_of_its_run_and_a_pause_drops_it_from_the_net_figures_alone() {
        let run = |begins: u64, gaps| Run {
            ticks: vec![(begins, begins + 90_000), (begins + 100_000, begins + 170_000)],
            gaps,
            ..Run::default()
        };
        let runs = [(10, run(1_000_000, vec![(1_101_500, 1_160_000)])), (100, run(2_000_000, Vec::new()))];
        // The first is of the warming up, the last of a tick that nobody waited for.
        let stamps = [
            (500_000, 501_000),
            (1_000_500, 1_002_500),
            (1_100_500, 1_166_500),
            (2_000_100, 2_003_100),
            (2_200_000, 2_200_001),
        ];
        let stamps = stamps.map(|(read, ready)| stamped(read, ready));
        let mut inside = Inside::default();
        for _ in 0..3 {
            inside.take("rest", &runs, &stamps, |from, to| to - from);
        }
        let json = inside.json(|maker| (maker == "rest").then_some(500));
        assert_eq!(json["rest"]["100"]["net_of_hiccups_and_ring_hops"]["p50_us"], 2.5);
        assert_eq!(inside.json(|_| None)["rest"]["100"]["net_of_hiccups_and_ring_hops"], Value::Null);
        let rest = &json["rest"];
        assert_eq!([&rest["10"]["samples"], &rest["100"]["samples"], &rest["all"]["samples"]], [6, 3, 9]);
        assert_eq!((&rest["10"]["p50_us"], &rest["10"]["p99_us"]), (&json!(2.0), &json!(66.05)));
        let net = &rest["10"]["net_of_hiccups"];
        assert_eq!((&net["p99_us"], &net["dropped"], &net["void_rounds"]), (&json!(2.0), &json!(3), &json!(3)));
        assert_eq!(rest["all"]["net_of_hiccups"]["p99_us"], 3.0);
        assert_eq!(lines(&json).lines().count(), 5, "{}", lines(&json));
    }

    #[test]
    fn stamps_are_read_in_their_order_and_the_heading_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("{}\n{}\n{}\n1,2", Stamps::HEADING, stamped(9, 10).line(), stamped(5, 6).line());
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(read(file.path()), [stamped(5, 6), stamped(9, 10)]);
    }
}
