//! Touchline beside its peers: the same input, in one run, interleaved, so that the figures are ratios and not hopes.
//!
//! One module a command; each prints a table, or one JSON object with `--json`.

mod matching;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Touchline beside its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The matching core: messages in, reports out, by several books of orders.
    Matching(matching::Options),
}

fn main() -> Result<(), String> {
    match Arguments::parse().command {
        Command::Matching(options) => matching::run(&options),
    }
}
