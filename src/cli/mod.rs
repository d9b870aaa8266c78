//! Floor 5: the command line.
//!
//! Owns the list of verbs and nothing else: each verb's flags and work are in `run/<verb>.rs`. Called by `main` on the
//! main thread. Logs go to stderr, so that stdout holds only what was asked for.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run::convert::{self, ConvertArgs};
use crate::run::demo::DemoArgs;
use crate::run::inspect::{self, InspectArgs};
use crate::run::not_built::{self, AnyArgs};
use crate::run::replay::{self, ReplayArgs};
use crate::run::validate::{self, ValidateArgs};
use crate::run::{Failure, exit};

/// A low-latency market-making engine for Binance-protocol venues.
#[derive(Debug, Parser)]
#[command(name = "touchline", version, about, max_term_width = 110)]
#[command(after_help = "Exit codes and error codes: docs/errors/README.md")]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// One line a verb.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what recordings or a journal hold, and the book they lead to.
    Inspect(InspectArgs),
    /// Make markets on an embedded venue: no key, no network.
    Demo(DemoArgs),
    /// Serve the embedded venue.
    Venue(crate::run::venue::VenueArgs),
    /// Run the engine against a venue.
    Run(crate::run::live::RunArgs),
    /// Record market data into a journal.
    Record(crate::run::record::RecordArgs),
    /// Make Parquet tables from journals.
    Convert(ConvertArgs),
    /// Make the report of a session from its journal.
    Report(crate::run::report::ReportArgs),
    /// Run a session's decisions again and compare them with what was recorded.
    Replay(ReplayArgs),
    /// Train the fill model of the quoter `ev` on recorded data.
    Train(crate::run::train::TrainArgs),
    /// Check the models against their papers and closed forms.
    Model(crate::run::model::ModelArgs),
    /// Run a grid of backtests (not built yet).
    Sweep(AnyArgs),
    /// Measure latencies beside baselines of the same minutes.
    Bench(crate::run::bench::BenchArgs),
    /// Say what of this machine's settings lengthens the tail, and the commands that mend it.
    Doctor(crate::run::doctor::DoctorArgs),
    /// Show a running engine's state (not built yet).
    Status(AnyArgs),
    /// Tell a running engine to cancel everything and place nothing (not built yet).
    Halt(AnyArgs),
    /// Tell a halted engine to quote again (not built yet).
    Resume(AnyArgs),
    /// Tell a running engine to end its session (not built yet).
    Stop(AnyArgs),
    /// Cancel a dead engine's orders (not built yet).
    Watchdog(AnyArgs),
    /// Turn other people's recordings into a journal.
    Import(crate::run::import::ImportArgs),
    /// Check journals and archives: checksums, sums, holes, crossings, clocks, and that both tell of the same books.
    Validate(ValidateArgs),
    /// Run the decisions over recorded data on the simulated exchange.
    Backtest(crate::run::backtest::BacktestArgs),
}

impl Verb {
    fn run(self) -> Result<(), Failure> {
        match self {
            Verb::Inspect(args) => inspect::run(args),
            Verb::Demo(args) => crate::run::demo::run(args),
            Verb::Venue(args) => crate::run::venue::run(args),
            Verb::Run(args) => crate::run::live::run(args),
            Verb::Record(args) => crate::run::record::run(args),
            Verb::Convert(args) => convert::run(args),
            Verb::Report(args) => crate::run::report::run(args),
            Verb::Replay(args) => replay::run(args),
            Verb::Train(args) => crate::run::train::run(args),
            Verb::Model(args) => crate::run::model::run(args),
            Verb::Sweep(_) => not_built::run("sweep"),
            Verb::Bench(args) => crate::run::bench::run(args),
            Verb::Doctor(args) => crate::run::doctor::run(args),
            Verb::Status(_) => not_built::run("status"),
            Verb::Halt(_) => not_built::run("halt"),
            Verb::Resume(_) => not_built::run("resume"),
            Verb::Stop(_) => not_built::run("stop"),
            Verb::Watchdog(_) => not_built::run("watchdog"),
            Verb::Import(args) => crate::run::import::run(args),
            Verb::Validate(args) => validate::run(args),
            Verb::Backtest(args) => crate::run::backtest::run(args),
        }
    }
}

/// Runs the verb on the command line and turns its answer into an exit code.
pub fn main() -> ExitCode {
    crate::run::note_start();
    crate::run::output::guard_mapped_files();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Prints help and versions on stdout, mistakes on stderr; a closed pipe is nobody's concern.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    match cli.verb.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit)
        }
    }
}

/// Starts logging to stderr. `filter` is a level or a list of `module=level`; the environment's `RUST_LOG` wins.
///
/// # Errors
/// When the filter cannot be understood.
pub fn start_log(filter: &str) -> Result<(), Failure> {
    use tracing_subscriber::EnvFilter;
    let text = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let parsed = EnvFilter::try_new(&text).map_err(|error| {
        Failure::new(
            "E_CONF_007",
            exit::CONFIG,
            format!("the log filter `{text}` cannot be understood"),
            error.to_string(),
            "set log.filter or RUST_LOG to a level (error, warn, info, debug, trace) or to module=level pairs",
        )
    })?;
    // A second start in the same process (tests) keeps the first.
    let _ = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr).with_ansi(false).try_init();
    Ok(())
}
