//! `compare matching`: our core, the floor, the textbook and open peers under the same messages.
//!
//! Rounds are interleaved, engine by engine, so that what else the machine does falls on all alike; figures are medians
//! over the rounds. The time of many is what the thread ran, not what the wall clock showed. A message's own time is the median of its times in all rounds: a stall of the machine hits a message
//! once, what the engine does hits it every time.

mod engine;
mod instructions;
mod measure;
mod native;
mod peers;
mod reference;
mod workload;

use clap::Args;
use engine::Engine;
use measure::{Figures, Share};
use serde_json::{Map, Value, json};
use workload::Workload;

#[derive(Args)]
pub struct Options {
    /// Fewer messages: below a minute in all.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Only this workload.
    #[arg(long)]
    workload: Option<String>,
    /// Only these engines (comma-separated).
    #[arg(long, value_delimiter = ',')]
    engine: Vec<String>,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Messages measured, instead of the usual number.
    #[arg(long)]
    messages: Option<usize>,
    /// Count our core's instructions a message under valgrind instead, as JSON.
    #[arg(long)]
    instructions: bool,
    /// What valgrind runs for that: one workload, with messages of this kind counted.
    #[arg(long, hide = true, requires = "workload")]
    counted: Option<String>,
}

fn engines() -> Vec<Engine> {
    let mut engines = vec![native::TOUCHLINE, native::TOUCHLINE_BATCH, native::NULL, native::TEXTBOOK];
    engines.extend(peers::all());
    engines
}

pub fn run(options: &Options) -> Result<(), String> {
    let wanted = |name: &str| options.engine.is_empty() || options.engine.iter().any(|only| only == name);
    if let (Some(kind), Some(name)) = (&options.counted, &options.workload) {
        return instructions::child(name, kind);
    }
    let all = engines();
    for name in &options.engine {
        if !all.iter().any(|engine| engine.name == name) {
            return Err(format!("no such engine: {name}"));
        }
    }
    let engines: Vec<Engine> = all.into_iter().filter(|engine| wanted(engine.name)).collect();
    let names: Vec<&str> =
        workload::names().filter(|name| options.workload.as_ref().is_none_or(|only| only == name)).collect();
    if names.is_empty() || options.rounds == 0 {
        return Err("nothing to measure".to_owned());
    }
    if options.instructions {
        return instructions::run(&names);
    }
    let count = options.messages.unwrap_or(if options.quick { 150_000 } else { 2_000_000 });
    let whole = Share { messages: count, single: count / 2 };
    let slow = if options.quick { 5_000 } else { 100_000 };
    let slow = Share { messages: slow.min(count), single: slow.min(count) / 2 };

    let mut report = Map::new();
    for name in names {
        let workload = workload::make(name, whole.messages, whole.single, &[slow.messages + slow.single]);
        let contestants: Vec<Engine> =
            engines.iter().copied().filter(|engine| !(engine.is_slow && workload.live > 100_000)).collect();
        let figures = measure(&contestants, &workload, options.rounds, whole, slow);
        let mut row = Map::new();
        for (engine, figures) in contestants.iter().zip(&figures) {
            row.insert(engine.name.to_owned(), summary(figures));
        }
        if !options.json {
            print_table(&workload, &row);
        }
        report.insert(name.to_owned(), Value::Object(row));
    }
    if options.json {
        println!("{}", Value::Object(report));
    }
    Ok(())
}

fn measure(engines: &[Engine], workload: &Workload, rounds: usize, whole: Share, slow: Share) -> Vec<Figures> {
    let share = |engine: &Engine| if engine.is_slow { slow } else { whole };
    let mut figures: Vec<Figures> = engines.iter().map(|_| Figures::default()).collect();
    for (engine, figures) in engines.iter().zip(&mut figures) {
        measure::check(*engine, workload, share(engine), figures);
    }
    for round in 0..rounds {
        for place in 0..engines.len() {
            let place = (place + round) % engines.len();
            measure::time(engines[place], workload, share(&engines[place]), &mut figures[place]);
        }
    }
    figures
}

fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_unstable_by(|one, other| one.partial_cmp(other).expect("no NaN"));
    values[values.len() / 2]
}

fn at_share(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn summary(figures: &Figures) -> Value {
    let (ns_per_tick, cost) = (measure::clock::ns_per_tick(), measure::clock_cost());
    let mut column = vec![0; figures.ticks.len()];
    // Only the last messages were timed one by one.
    let singles = figures.ticks[0].len();
    let single_reports = &figures.reports[figures.reports.len() - singles..];
    let together_reports: u64 =
        figures.reports[..figures.reports.len() - singles].iter().map(|count| u64::from(*count)).sum();
    let together = figures.reports.len() - singles;
    let each: Vec<f64> = (0..singles)
        .map(|message| {
            for (cell, round) in column.iter_mut().zip(&figures.ticks) {
                *cell = round[message];
            }
            f64::from(median(&mut column).saturating_sub(cost)) * ns_per_tick
        })
        .collect();
    let mut per_report: Vec<f64> =
        each.iter().zip(single_reports).map(|(ns, reports)| ns / f64::from((*reports).max(1))).collect();
    let mut per_message = each;
    per_message.sort_unstable_by(f64::total_cmp);
    per_report.sort_unstable_by(f64::total_cmp);
    let mut rounds = figures.ns_per_op.clone();
    let ns_per_op = median(&mut rounds);
    let round = |value: f64| (value * 100.0).round() / 100.0;
    json!({
        "ns_per_op": round(ns_per_op),
        "ns_per_op_least": round(rounds[0]),
        "ns_per_report": round(ns_per_op * together as f64 / together_reports.max(1) as f64),
        "p50_ns": round(at_share(&per_message, 0.5)),
        "p99_ns": round(at_share(&per_message, 0.99)),
        "p999_ns": round(at_share(&per_message, 0.999)),
        "p999_per_report_ns": round(at_share(&per_report, 0.999)),
        "bytes_per_order": round(figures.bytes_per_order),
        "allocs_per_op": round(figures.allocs_per_op),
        "ops": together,
        "correct": figures.correct,
    })
}

fn print_table(workload: &Workload, row: &Map<String, Value>) {
    println!(
        "\n{}: {} live orders, {} messages, room for {} orders on {} levels",
        workload.name,
        workload.live,
        workload.messages.len(),
        workload.orders,
        workload.levels
    );
    println!(
        "{:<18}{:>9}{:>7}{:>9}{:>9}{:>8}{:>8}{:>9}{:>11}{:>9}{:>9}  correct",
        "engine", "ns/op", "x null", "Mops/s", "ns/rep", "p50", "p99", "p99.9", "p99.9/rep", "B/order", "allocs"
    );
    let floor = row.get("null").and_then(|null| null["ns_per_op"].as_f64());
    for (name, figures) in row {
        let number = |key: &str| figures[key].as_f64().expect("a number");
        let ns = number("ns_per_op");
        println!(
            "{name:<18}{ns:>9.1}{:>7.1}{:>9.2}{:>9.1}{:>8.0}{:>8.0}{:>9.0}{:>11.0}{:>9.1}{:>9.2}  {}",
            floor.map_or(0.0, |floor| ns / floor),
            1e3 / ns,
            number("ns_per_report"),
            number("p50_ns"),
            number("p99_ns"),
            number("p999_ns"),
            number("p999_per_report_ns"),
            number("bytes_per_order"),
            number("allocs_per_op"),
            figures["correct"]
        );
    }
}
