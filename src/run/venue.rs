//! `touchline venue`: serves a market of its own on this machine until it is told to end.
//!
//! stdout carries one JSON line, once the venue answers: where it is and the keys of this run. Everything else goes to
//! stderr.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::flow::FlowArgs;
use super::{Failure, exit};
use crate::server::venue::{FrontConfig, FrontError, VenueHandle, spawn, wall_now};

/// How often the verb looks whether the venue still runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Flags of `touchline venue`.
#[derive(Clone, Debug, Args)]
pub struct VenueArgs {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    #[command(flatten)]
    flow: FlowArgs,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the market cannot be made, the port cannot be had, or the venue ends by itself.
pub fn run(args: VenueArgs) -> Result<(), Failure> {
    // Before the line is printed: whoever has read it may signal at once.
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| {
        Failure::new("E_SERVE_001", exit::VENUE, "signals cannot be watched", error.to_string(), "try again")
    })?;
    let mut venue = start(args.port, &args.flow)?;
    let mut stdout = std::io::stdout();
    let told = writeln!(stdout, "{}", venue.announcement()).and_then(|()| stdout.flush());
    if let Err(error) = told {
        return Err(Failure::new(
            "E_OUT_001",
            exit::OUTPUT,
            "stdout cannot be written",
            error.to_string(),
            "give the venue a place for its one line: without it nobody knows its keys",
        ));
    }
    while venue.is_running() && signals.pending().next().is_none() {
        std::thread::sleep(LOOK_EVERY);
    }
    venue.stop().map_err(|error| failure(&error))
}

/// Starts a venue with the market that the flags describe.
///
/// # Errors
/// As [`run`].
pub fn start(port: u16, flow: &FlowArgs) -> Result<VenueHandle, Failure> {
    let plan = flow.plan(wall_now())?;
    spawn(FrontConfig { port, pace: plan.pace, venue: plan.venue, sources: plan.sources })
        .map_err(|error| failure(&error))
}

/// What a venue that does not start or run means for a person.
pub fn failure(error: &FrontError) -> Failure {
    let mend = match error {
        FrontError::Bind { .. } => "give another --port, or none for a free one",
        FrontError::Venue(_) => "give another market or symbol",
        FrontError::Keys(_) | FrontError::Thread(_) => "free resources of the machine and try again",
        FrontError::Died(_) => "report it with the command line and the log",
    };
    Failure::new("E_SERVE_001", exit::VENUE, "the embedded venue does not run", error.to_string(), mend)
}
