//! `touchline backtest`: the decisions over recorded data, on the simulated exchange.
//!
//! The same books, decisions and journal as in a live session, stepped in virtual time: the tape feeds the exchange when
//! it happened and reaches us later, and our orders travel as long as the latencies say. Nothing random is left but what
//! the seed gives, so that the same data, configuration and seed give the same bytes. Main thread.

mod meter;
pub mod source;

use std::path::PathBuf;
use std::time::Instant;

use self::source::Source;
use super::finish::{self, Caption, Ended};
use super::flow::FeeRate;
use super::orders_csv;
use super::virtual_session::{self, VirtualConfig};
use super::{Failure, exchange, exit, latency, output};
use crate::config::{Config, ConfigArgs};
use crate::kpi::KpiRules;
use crate::report::{ExchangeText, Summary};
use crate::types::{DurationNs, Instrument, SessionId};

/// Longer than any tape.
const FOR_EVER: DurationNs = DurationNs::from_secs(100 * 365 * 86_400);

/// Flags of `touchline backtest`.
#[derive(Clone, Debug, clap::Args)]
pub struct BacktestArgs {
    /// Recordings that continue each other, the journal of one session, or the Parquet archive that `convert` made.
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// naive | hybrid | as | glft | ev; short for `--set quoter.kind=…`.
    #[arg(long, value_name = "KIND")]
    pub quoter: Option<String>,
    /// What says where our orders stand inside a recorded level: touch, through, risk-averse, prob:power, prob:power2,
    /// prob:power3, prob:log, prob:log2 or fifo; short for `--set exchange.fill=…`.
    #[arg(long, value_name = "MODEL")]
    pub fill: Option<String>,
    /// How long messages travel: WAY=DELAY pairs such as feed=1ms,order=2ms,cancel=2ms,ack=1ms,fill=1ms, one DELAY for all,
    /// or the journal of a live session, whose own delays are drawn from; short for `--set exchange.latency=…`.
    #[arg(long, value_name = "MODEL|JOURNAL")]
    pub latency: Option<String>,
    /// Symbols to trade, among those of the data; all of them when left away.
    #[arg(long = "symbol", value_name = "SYMBOL", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Commission of a maker, in basis points of the notional; negative is a rebate. The quoter is told the same; short
    /// for `--set quoter.maker_fee_bps=…`.
    #[arg(long, value_name = "BPS", allow_negative_numbers = true)]
    pub fee_bps: Option<FeeRate>,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Output folder; a new one under `touchline-out` when left away.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON on stdout, with the speed, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// The decisions' configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs the decisions over the data and writes what came of it.
///
/// # Errors
/// When data or configuration cannot be used, the output cannot be written, own orders are left, or the exchange's
/// balances do not agree with our own count.
pub fn run(args: BacktestArgs) -> Result<(), Failure> {
    let config = configure(&args)?;
    let fill = config.exchange.fill_model()?;
    let latencies = latency::read(&config.exchange.latency)?;
    let out = args.out.clone().unwrap_or_else(|| output::new_folder("backtest"));
    output::writable_folder(&out)?;
    let source = Source::open(&args.data, &args.symbols)?;
    let venue = exchange::venue_of(&config, &source.instruments, source.commissions(), source.start)?;
    let told = ExchangeText {
        fill: fill.name().to_owned(),
        latency: latencies.to_string(),
        config_digest: digest_of(&config, &source.instruments, args.seed),
        events: 0,
    };
    let ExchangeText { fill, latency, config_digest, .. } = &told;
    eprintln!("seed {}, configuration {config_digest}, fill {fill}, latency {latency}", args.seed);
    let (rule, start, instruments) = (source.rule, source.start, source.instruments.clone());
    let (events, meter) = source.play()?;
    let session = SessionId(start.millis() + args.seed);
    let began = Instant::now();
    let outcome = virtual_session::run_on_tape(
        &VirtualConfig {
            session,
            mode: "backtest",
            pipeline: config.pipeline(),
            warm: super::warm::read(&config.warm.state_file)?,
            length: FOR_EVER,
            latencies,
            journal_dir: out.join("journal"),
            account: exchange::ACCOUNT,
        },
        venue,
        rule,
        events,
    )?;
    let took = began.elapsed();
    meter.finish();
    let ended = Ended::in_virtual_time(session, outcome, KpiRules::clone(&config.report));
    let caption = Caption {
        mode: "backtest",
        seed: args.seed,
        source: args.data.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" "),
        fee_bps: config.quoter.maker_fee_bps,
        exchange: Some(ExchangeText { events: meter.events(), ..told }),
        out: out.clone(),
    };
    let summary = finish::write_out(&caption, &ended)?;
    orders_csv::write(&ended.journal, &instruments, &out.join("orders.csv"))?;
    tell(&args, &summary, meter.events(), took.as_secs_f64())?;
    finish::verdict(&ended, &summary)
}

/// The configuration: the flags are short for settings, and a setting that is spelled out wins over them.
fn configure(args: &BacktestArgs) -> Result<Config, Failure> {
    let mut short = Vec::new();
    let fee_bps = args.fee_bps.map(|rate| (rate.0 as f64 / 1e4).to_string());
    for (key, value) in [
        ("quoter.kind", &args.quoter),
        ("exchange.fill", &args.fill),
        ("exchange.latency", &args.latency),
        ("quoter.maker_fee_bps", &fee_bps),
    ] {
        short.extend(value.as_ref().map(|value| format!("{key}={value}")));
    }
    let set = short.into_iter().chain(args.config.set.iter().cloned()).collect();
    let config = ConfigArgs { config: args.config.config.clone(), set }.load_over(&[("log.filter", "warn")])?;
    crate::cli::start_log(&config.log.filter)?;
    if !config.redis.url.is_empty() {
        return Err(Failure::new(
            "E_REDIS_003",
            exit::CONFIG,
            "a backtest publishes nothing",
            "redis.url is set",
            "leave redis.url empty here; `run` and `record` read from Redis, and a demo on the wall clock publishes there",
        ));
    }
    Ok(config)
}

/// Digest of everything that the result depends on but the data.
fn digest_of(config: &Config, instruments: &[Instrument], seed: u64) -> String {
    let parts = (config.pipeline(), &config.exchange, config.report.clone(), seed);
    // Values of these types always have a text.
    let text = serde_json::to_string(&parts).unwrap_or_default();
    let mut digest = xxhash_rust::xxh3::Xxh3Default::new();
    digest.update(text.as_bytes());
    instruments.iter().for_each(|instrument| digest.update(format!("{:?}", instrument.spec).as_bytes()));
    format!("{:016x}", digest.digest())
}

fn tell(args: &BacktestArgs, summary: &Summary, events: u64, seconds: f64) -> Result<(), Failure> {
    let per_second = if seconds > 0.0 { events as f64 / seconds } else { 0.0 };
    if args.json {
        let no_text = |error| Failure::bug(format!("the summary has no text: {error}"));
        let text = serde_json::to_string_pretty(summary).map_err(no_text)?;
        // The speed is of this run alone and stands in no file: files are the same for a seed.
        let speed = format!("  \"events_per_second\": {per_second:.0},\n  \"run_seconds\": {seconds:.3},\n");
        println!("{}", text.replacen("{\n", &format!("{{\n{speed}"), 1));
    } else {
        finish::tell(summary);
        println!("{events} events in {seconds:.2} s: {per_second:.0} a second");
    }
    Ok(())
}
