//! Touchline beside its peers: the same input, in one run, interleaved, so that the figures are ratios and not hopes.
//!
//! One module a command; each prints a table, or one JSON object with `--json`.

mod backtest;
mod book;
mod convert;
mod decode;
mod machine;
mod matching;
mod random;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Touchline beside its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The backtest: one tape, one quoter, one queue model, by us and by hftbacktest.
    Backtest(backtest::Options),
    /// The book: levels in, best bid and ask out, by us and by hftbacktest's books.
    Book(book::Options),
    /// The archive: depth into Parquet, by us and by other tools.
    Convert(convert::Options),
    /// The decoders: depth messages to ticks and lots, by us and by parsers of JSON.
    Decode(decode::Options),
    /// The matching core: messages in, reports out, by several books of orders.
    Matching(matching::Options),
}

fn main() -> Result<(), String> {
    match Arguments::parse().command {
        Command::Backtest(options) => backtest::run(&options),
        Command::Book(options) => book::run(&options),
        Command::Convert(options) => convert::run(&options),
        Command::Decode(options) => decode::run(&options),
        Command::Matching(options) => matching::run(&options),
    }
}
