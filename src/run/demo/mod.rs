//! `touchline demo`: the main job on the embedded venue, with no key and no network.
//!
//! Starts the venue, runs the same engine as `run` against it over loopback sockets with signed requests (or, with
//! `--virtual`, steps both in virtual time), shows what happens, and leaves a folder with journal, Parquet, tables and
//! a report. The venue's own word is what the figures are checked against. Main thread; everything else has its own.

mod screen;
mod session;

use std::path::PathBuf;

use super::flow::{FaultArgs, FeeRate, FlowArgs, Speed};
use super::{Failure, exit, finish, output};
use crate::config::ConfigArgs;
use crate::sim::SyntheticConfig;

/// Flags of `touchline demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// How long to make markets, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub seconds: f64,
    /// Replay recordings that continue each other instead of the synthetic market.
    #[arg(long, value_name = "RECORDING", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Seed of the synthetic market.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Share of the synthetic market's takers that know something, 0 to 1.
    #[arg(long, value_name = "X", default_value_t = SyntheticConfig::default().informed_share)]
    pub informed_share: f64,
    /// Commission of a maker at the embedded venue, in basis points of the notional; negative is a rebate. The quoter
    /// is told the same, and prices it in unless quoter.fee_floor is false.
    #[arg(long, value_name = "BPS", default_value = "0", allow_negative_numbers = true)]
    pub fee_bps: FeeRate,
    /// What the venue does wrong.
    #[command(flatten)]
    pub faults: FaultArgs,
    /// Output folder; a new one under `touchline-out` when left away.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// Virtual time: no sockets and no waiting; the same seed gives the same bytes.
    #[arg(long = "virtual")]
    pub virtual_time: bool,
    /// Port of the dashboard and /metrics on 127.0.0.1; 0 takes any free one.
    #[arg(long, value_name = "P", default_value_t = 0)]
    pub port: u16,
    /// The engine's configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Makes markets and reports on it.
///
/// # Errors
/// When the flags, the recording or the configuration cannot be used, the output cannot be written, the engine fails,
/// own orders are left, or the venue's balances do not agree with our own count.
pub fn run(args: DemoArgs) -> Result<(), Failure> {
    if !args.seconds.is_finite() || args.seconds < 1.0 || args.seconds > 86_400.0 {
        return Err(Failure::new(
            "E_DEMO_001",
            exit::USAGE,
            format!("--seconds {} is out of its range", args.seconds),
            "a demo lasts from one second to one day",
            "give a number from 1 to 86400",
        ));
    }
    // Before anything starts: a folder that cannot be written must not cost a session.
    let out = out_folder(&args);
    output::writable_folder(&out)?;
    let flow = FlowArgs {
        synthetic: args.seed,
        replay: args.data.clone(),
        speed: Speed::Times(1),
        symbols: Vec::new(),
        informed_share: args.informed_share,
        maker_fee_bps: args.fee_bps,
        taker_fee_bps: args.fee_bps,
        faults: args.faults.clone(),
    };
    let plan = session::Plan { flow, out, args };
    let ended = if plan.args.virtual_time { session::run_virtual(&plan)? } else { session::run_live(&plan)? };
    let summary = finish::write_out(&plan.caption(), &ended)?;
    if plan.args.json {
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| Failure::bug(format!("the summary has no text: {error}")))?;
        println!("{text}");
    } else {
        finish::tell(&summary);
        println!("{}", plan.out.display());
    }
    finish::verdict(&ended, &summary)
}

fn out_folder(args: &DemoArgs) -> PathBuf {
    let kind = if args.virtual_time { "virtual" } else { "demo" };
    args.out.clone().unwrap_or_else(|| output::new_folder(kind))
}
