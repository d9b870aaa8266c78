//! `compare book`: levels into a book, and its best bid and ask read after each, by us and by hftbacktest's books.
//!
//! Everybody applies the same updates, each in its own native input: ours ticks and lots, hftbacktest's floating point
//! prices and quantities. The rows with `_text` begin with the venue's decimal text and count its conversion, ours exact,
//! theirs by `parse::<f64>` as its connectors do.
//!
//! - `touchline`: the arena book, to which every price is legal.
//! - `hftbacktest_roi`, `hftbacktest_hash`, `hftbacktest_btree`: its three books. The first is given bounds and keeps
//!   nothing outside of them.
//! - `sorted_map`: two `BTreeMap`s, the book that nobody can get wrong. It is what `correct` is held against: the best bid
//!   and ask after each message, and every level at the end.
//!
//! Rounds are interleaved on one core, each on a book made and filled anew; figures are medians over them, of the time
//! that the process ran. Allocations are those of the updates alone; one by our book is an error.

mod books;
mod recorded;
mod workload;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use self::books::Contestant;
use self::workload::Workload;
use crate::machine::pin_to_one_core;

#[derive(Args)]
pub struct Options {
    /// Fewer updates: some seconds in all.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Recorded files, which continue each other, as one more workload: the books of their first symbol.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Only these books (comma-separated).
    #[arg(long, value_delimiter = ',')]
    book: Vec<String>,
}

pub fn run(options: &Options) -> Result<(), String> {
    let all = books::all();
    if let Some(name) = options.book.iter().find(|name| !all.iter().any(|book| book.name == **name)) {
        return Err(format!("no such book: {name}"));
    }
    let books: Vec<Contestant> = all
        .into_iter()
        .filter(|book| options.book.is_empty() || options.book.iter().any(|only| only == book.name))
        .collect();
    pin_to_one_core();
    let updates = if options.quick { 500_000 } else { 5_000_000 };
    let mut workloads = vec![workload::l2(updates)?, workload::wide(updates)?];
    if !options.data.is_empty() {
        workloads.push(recorded::recorded(&options.data, updates)?);
    }
    let mut report = Map::new();
    for workload in workloads {
        let row = measure(&books, &workload, options.rounds.max(1))?;
        if !options.json {
            print_table(&workload, &row);
        }
        report.insert(workload.name.to_owned(), Value::Object(row));
    }
    if options.json {
        println!("{}", Value::Object(report));
    }
    Ok(())
}

fn measure(books: &[Contestant], workload: &Workload, rounds: usize) -> Result<Map<String, Value>, String> {
    let correct: Vec<bool> = books.iter().map(|book| (book.check)(workload)).collect();
    if let Some((book, _)) = books.iter().zip(&correct).find(|(book, is_correct)| book.is_ours && !**is_correct) {
        return Err(format!("{}: {} is not the book that a sorted map has", workload.name, book.name));
    }
    let mut taken = vec![Vec::with_capacity(rounds); books.len()];
    let mut allocations = vec![0; books.len()];
    for round in 0..rounds {
        for place in 0..books.len() {
            let place = (place + round) % books.len();
            let figure = (books[place].time)(workload);
            taken[place].push(figure.ns_per_update);
            allocations[place] = figure.allocations.max(allocations[place]);
        }
    }
    let mut figures = Map::new();
    for (place, book) in books.iter().enumerate() {
        if book.is_ours && allocations[place] != 0 {
            return Err(format!("{}: {} allocated {} times", workload.name, book.name, allocations[place]));
        }
        let taken = &mut taken[place];
        taken.sort_by(f64::total_cmp);
        let median = (taken[taken.len() / 2] * 100.0).round() / 100.0;
        let allocations = allocations[place] as f64 / workload.updates() as f64;
        let figure = json!({
            "ns_per_update": median,
            "allocations_per_update": (allocations * 1e4).round() / 1e4,
            "correct": correct[place],
        });
        figures.insert(book.name.to_owned(), figure);
    }
    Ok(figures)
}

fn print_table(workload: &Workload, row: &Map<String, Value>) {
    println!(
        "\n{}: {} updates in {} messages, {} levels to begin with",
        workload.name,
        workload.updates(),
        workload.ends.len() - 1,
        workload.filled
    );
    println!("{:<24}{:>11}{:>13}{:>9}  correct", "book", "ns/update", "x touchline", "allocs");
    for (name, figure) in row {
        let number = |figure: &Value, key: &str| figure[key].as_f64().unwrap_or(0.0);
        let ours = if name.ends_with("_text") { "touchline_text" } else { "touchline" };
        let (ns, ours) =
            (number(figure, "ns_per_update"), row.get(ours).map_or(0.0, |ours| number(ours, "ns_per_update")));
        let ratio = if ours > 0.0 { format!("{:.2}", ns / ours) } else { String::new() };
        let allocations = number(figure, "allocations_per_update");
        println!("{name:<24}{ns:>11.2}{ratio:>13}{allocations:>9.4}  {}", figure["correct"]);
    }
}
