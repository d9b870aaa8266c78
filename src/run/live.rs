//! `touchline run`: the engine against a venue.
//!
//! Owns the flags, the leave to trade, and the signals: the first interrupt ends the session in order (own orders
//! cancelled and confirmed gone), the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::engine::{self, Engine, EngineMode, EngineSummary, Lines};
use super::{Failure, exit};
use crate::config::{ApiKeys, ConfigArgs, DEFAULT_YAML, StreamForm};

/// How the engine treats its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Live market data, simulated fills: no key, no order at the venue.
    Paper,
    /// Orders are sent to the venue.
    Live,
}

/// Flags of `touchline run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// What happens to orders.
    #[arg(long, value_enum, default_value = "paper")]
    mode: Mode,
    /// Leave to send orders; the same as `live.confirm` in the config.
    #[arg(long)]
    live: bool,
    /// Print one JSON line for each quote and send nothing; needs no key.
    #[arg(long)]
    dry_run: bool,
    /// Print the commented default config and end.
    #[arg(long)]
    print_config: bool,
    /// End after that many seconds; without it, at the first interrupt.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Print the session's summary as JSON at its end (with --dry-run, after the quotes).
    #[arg(long)]
    json: bool,
}

/// Runs the engine until it is told to end.
///
/// # Errors
/// When it cannot start, fails on its way, or leaves own orders behind.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    if args.print_config {
        print!("{DEFAULT_YAML}");
        return Ok(());
    }
    let config = args.config.load()?;
    crate::cli::start_log(&config.log.filter)?;
    let mode = mode(&args, config.live.confirm)?;
    let needs_keys = mode == EngineMode::Live || config.venue.streams == StreamForm::Sbe;
    let keys = if needs_keys { ApiKeys::load(std::path::Path::new("."))? } else { None };
    let signals = Signals::watch()?;
    let lines = (mode == EngineMode::DryRun).then(|| Lines {
        out: Box::new(std::io::BufWriter::new(std::io::stdout())),
        count: u64::MAX,
        ends: false,
    });
    let name = if mode == EngineMode::Paper { "paper" } else { "run" };
    let engine = engine::start(&config, keys.as_ref(), mode, name, lines)?;
    engine.live().step_aside();
    tracing::info!(journal = %engine.live().session_dir().display(), "running");
    let dashboard = config.metrics.enabled.then(|| engine::dashboard(config.metrics.port, &engine.live())).flatten();
    if let Some(dashboard) = &dashboard {
        tracing::info!("dashboard and /metrics: {}", dashboard.url());
    }
    let archive = super::archiving::begin(&config, &engine.live());
    let summary = signals.see_through(engine, args.seconds.map(Duration::from_secs));
    super::archiving::end(archive);
    if args.json {
        println!("{}", summary_json(&summary));
    }
    report(&summary);
    summary.failure.map_or(Ok(()), Err)
}

fn mode(args: &RunArgs, confirmed: bool) -> Result<EngineMode, Failure> {
    if args.dry_run {
        return Ok(EngineMode::DryRun);
    }
    match args.mode {
        Mode::Live if args.live || confirmed => Ok(EngineMode::Live),
        Mode::Live => Err(Failure::new(
            "E_RUN_019",
            exit::USAGE,
            "`--mode live` sends orders and needs your leave",
            "neither --live was given nor live.confirm is true",
            "add --live, or use --dry-run to see the quotes without sending any",
        )),
        // Asked for by mistake, leave to send orders must not look like orders that are sent.
        Mode::Paper if args.live => Err(Failure::new(
            "E_RUN_020",
            exit::USAGE,
            "`--live` was given without `--mode live`",
            "the session would trade on paper",
            "add --mode live to send orders, or leave --live away",
        )),
        Mode::Paper => Ok(EngineMode::Paper),
    }
}

/// The interrupts of a session.
pub struct Signals {
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// Watches SIGINT and SIGTERM from now on. The first one asks for the end; the second ends the process at once with
    /// [`exit::INTERRUPTED`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch() -> Result<Signals, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: the second signal finds the flag that the first one has set.
            signal_hook::flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), Arc::clone(&asked))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&asked)))
                .map_err(|error| Failure::bug(format!("signals cannot be watched: {error}")))?;
        }
        Ok(Signals { asked })
    }

    /// Whether the end was asked for.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Waits until the engine ends by itself, the end is asked for, or `limit` has passed; then ends it in order.
    pub fn see_through(&self, engine: Engine, limit: Option<Duration>) -> EngineSummary {
        let began = Instant::now();
        while !engine.is_finished() {
            if self.asked() || limit.is_some_and(|limit| began.elapsed() >= limit) {
                engine.stop();
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        engine.join()
    }
}

/// The summary as JSON.
pub fn summary_json(summary: &EngineSummary) -> serde_json::Value {
    let hops: serde_json::Map<String, serde_json::Value> = summary
        .hops
        .iter()
        .map(|(hop, of)| (hop.name().to_owned(), serde_json::json!(crate::report::Latency::from(*of))))
        .collect();
    let instruments: Vec<_> = summary
        .instruments
        .iter()
        .map(|(instrument, snapshot)| {
            serde_json::json!({
                "symbol": instrument.symbol(),
                "position_lots": snapshot.position.lots(),
                "pnl": {
                    "total": snapshot.pnl.total.to_string(),
                    "gross": snapshot.pnl.gross.to_string(),
                    "spread": snapshot.pnl.spread.to_string(),
                    "inventory": snapshot.pnl.inventory.to_string(),
                    "fees": snapshot.pnl.fees.to_string(),
                },
            })
        })
        .collect();
    serde_json::json!({
        "session": summary.session.to_string(),
        "journal": summary.journal.display().to_string(),
        "ticks": summary.ticks,
        "quotes": summary.quotes,
        "orders_sent": summary.orders_sent,
        "orders_rejected": summary.orders_rejected,
        "fills": summary.fills,
        "instruments": instruments,
        "open_orders_at_exit": summary.open_orders_at_exit,
        "failed_at_ns": summary.failed_at.map(|at| at.nanos()),
        "feed_dropped": summary.feed_dropped,
        "redis": summary.redis,
        "tick_to_order_ns": crate::report::Latency::from(summary.tick_to_order),
        "hops_ns": hops,
    })
}

fn report(summary: &EngineSummary) {
    tracing::info!(
        ticks = summary.ticks,
        quotes = summary.quotes,
        orders = summary.orders_sent,
        rejected = summary.orders_rejected,
        fills = summary.fills,
        left_open = ?summary.open_orders_at_exit,
        redis = ?summary.redis,
        tick_to_order_p50_ns = summary.tick_to_order.p50,
        journal = %summary.journal.display(),
        "the session has ended"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }

    fn parse(words: &[&str]) -> RunArgs {
        Line::try_parse_from(std::iter::once(&"run").chain(words)).unwrap().args
    }

    #[test]
    fn orders_need_two_words_of_leave() {
        let code = |args: &RunArgs, confirmed| mode(args, confirmed).map_err(|failure| failure.code);
        assert_eq!(code(&parse(&[]), true), Ok(EngineMode::Paper));
        assert_eq!(code(&parse(&["--live"]), true), Err("E_RUN_020"));
        assert_eq!(code(&parse(&["--mode", "live"]), false), Err("E_RUN_019"));
        assert_eq!(code(&parse(&["--mode", "live", "--live"]), false), Ok(EngineMode::Live));
        assert_eq!(code(&parse(&["--mode", "live"]), true), Ok(EngineMode::Live));
        assert_eq!(code(&parse(&["--mode", "live", "--live", "--dry-run"]), true), Ok(EngineMode::DryRun));
    }
}
