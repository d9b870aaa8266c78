//! `touchline record`: market data into a journal, nothing decided and nothing sent.

use std::time::Duration;

use super::Failure;
use super::engine::{self, EngineMode, Lines};
use super::live::Signals;
use crate::config::{ApiKeys, ConfigArgs, StreamForm};

/// Flags of `touchline record`.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the first N decoded messages as JSON lines; without --seconds, end after them.
    #[arg(long, value_name = "N")]
    print: Option<u64>,
    /// End after that many seconds; without it, at the first interrupt.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
}

/// Records until told to end; the journal's path is said on stderr.
///
/// # Errors
/// When the venue cannot be reached, or the journal cannot be written.
pub fn run(args: RecordArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    crate::cli::start_log(&config.log.filter)?;
    let signals = Signals::watch()?;
    let lines = args.print.map(|count| Lines {
        out: Box::new(std::io::BufWriter::new(std::io::stdout())),
        count,
        ends: args.seconds.is_none(),
    });
    let needs_keys = config.venue.streams == StreamForm::Sbe;
    let keys = if needs_keys { ApiKeys::load(std::path::Path::new("."))? } else { None };
    let engine = engine::start(&config, keys.as_ref(), EngineMode::Record, "record", lines)?;
    let live = engine.live();
    let archive = super::archiving::begin(&config, &engine.live());
    let summary = signals.see_through(engine, args.seconds.map(Duration::from_secs));
    super::archiving::end(archive);
    tracing::info!(
        records = live.board().count(crate::metrics::Count::FeedRecords),
        malformed = live.board().count(crate::metrics::Count::Malformed),
        redis = ?summary.redis,
        journal = %summary.journal.display(),
        "the recording has ended"
    );
    summary.failure.map_or(Ok(()), Err)
}
