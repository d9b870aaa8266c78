//! `touchline train`: a fill model for the quoter `ev`, from market data.
//!
//! Reads recordings or journals, makes shadow orders of them, proves that their signals know nothing of the future, fits,
//! scores on data that the fit has not seen, and writes the model, its scores and a page. Main thread; deterministic for
//! data, flags and seed.

use std::path::{Path, PathBuf};

use plotly::common::{Line, Mode};
use plotly::layout::{Axis, Layout};
use plotly::{Plot, Scatter};
use serde_json::json;

use super::backtest::source::Source;
use super::{Failure, exit, output};
use crate::config::{Config, ConfigArgs};
use crate::pipeline::quoter::ev::TrainedFills;
use crate::sim::FillModel;
use crate::train::{FitError, Row, Scores, ShadowConfig, ShadowMarket, ShadowSet, causality, learn};
use crate::types::{DurationNs, TimestampNs};

/// Name of the model in the output folder.
pub const MODEL_FILE: &str = "fills.json";

/// Flags of `touchline train`.
#[derive(Clone, Debug, clap::Args)]
pub struct TrainArgs {
    /// Recordings that continue each other, or the journals of sessions, each for itself.
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// The symbol to train on; may be left away when the data holds one.
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Option<String>,
    /// What says where a shadow order stands in its queue: touch, through, risk-averse, or prob:… as for `backtest`.
    #[arg(long, value_name = "MODEL", default_value = "risk-averse")]
    pub fill: String,
    /// Seconds between samples.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub every: f64,
    /// Seconds within which a fill counts. One second and less suits a maker that is filled more often than each five.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub horizon: f64,
    /// Seconds after a fill at which the move against it is taken.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub markout: f64,
    /// Milliseconds from a decision until its order is in the queue.
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    pub latency: f64,
    /// Distances behind the touch in ticks; negative inside it.
    #[arg(
        long,
        value_name = "TICKS",
        value_delimiter = ',',
        allow_negative_numbers = true,
        default_values_t = [-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 13, 20]
    )]
    pub offsets: Vec<i16>,
    /// Seconds kept free after each border between training, validation and test.
    #[arg(long, value_name = "S", default_value_t = 300.0)]
    pub embargo: f64,
    /// How often the data is cut to prove that no signal comes from the future.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub probes: usize,
    /// Seed of the samples' phase and of the shuffled labels.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Output folder; a new one under `touchline-out` when left away.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the scores as JSON on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// The signals' and order size's configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Trains and writes what came of it.
///
/// # Errors
/// When data, flags or configuration cannot be used, a signal comes from the future, the data is too little, or the output
/// cannot be written.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let config = args.config.load_over(&[("log.filter", "warn")])?;
    crate::cli::start_log(&config.log.filter)?;
    let shadow = shadow_config(&args, &config)?;
    let out = args.out.clone().unwrap_or_else(|| output::new_folder("train"));
    output::writable_folder(&out)?;
    let (set, symbol) = shadows(&args, &shadow, None)?;
    for cut in causality::cuts(&set.rows, args.probes) {
        let (until_cut, _) = shadows(&args, &shadow, Some(cut))?;
        causality::compare(&set.rows, &until_cut.rows, cut).map_err(|leak| leaked(&leak))?;
    }
    let embargo = DurationNs::from_nanos((args.embargo * 1e9) as u64);
    let (model, scores) =
        learn(&set, &shadow, &symbol, &args.fill, embargo, args.seed).map_err(|error| no_model(&error))?;
    let written = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))
    };
    written(MODEL_FILE, pretty(&model)?)?;
    let scores_text = pretty(&scores)?;
    written("train.json", scores_text.clone())?;
    written("train.html", page(&model, &scores))?;
    if args.json {
        print!("{scores_text}");
    } else {
        tell(&set, &model, &scores, &out);
    }
    Ok(())
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Failure> {
    let no_text = |error| Failure::bug(format!("a model has no text: {error}"));
    Ok(serde_json::to_string_pretty(value).map_err(no_text)? + "\n")
}

fn usage(what: String, why: &str, mend: &str) -> Failure {
    Failure::new("E_TRAIN_004", exit::USAGE, what, why, mend)
}

fn shadow_config(args: &TrainArgs, config: &Config) -> Result<ShadowConfig, Failure> {
    for (flag, value, most) in [
        ("every", args.every, 600.0),
        ("horizon", args.horizon, 600.0),
        ("markout", args.markout, 600.0),
        ("embargo", args.embargo, 86_400.0),
    ] {
        if !(value.is_finite() && (0.001..=most).contains(&value)) {
            let why = format!("it lasts from 0.001 to {most} seconds");
            return Err(usage(format!("--{flag} {value} is out of its range"), &why, "give a number of seconds"));
        }
    }
    if !(args.latency.is_finite() && (0.0..=10_000.0).contains(&args.latency)) {
        let what = format!("--latency {} is out of its range", args.latency);
        return Err(usage(what, "it lasts at most ten seconds", "give a number of milliseconds"));
    }
    let queue = match args.fill.parse() {
        Ok(FillModel::Queue { model, .. }) => model,
        _ => {
            return Err(usage(
                format!("--fill {} is no model of one order's place", args.fill),
                "a shadow order stands in a queue that only shows its size",
                "give touch, through, risk-averse, prob:power, prob:power2, prob:power3, prob:log or prob:log2",
            ));
        }
    };
    let seconds = |value: f64| DurationNs::from_nanos((value * 1e9) as u64);
    Ok(ShadowConfig {
        every: seconds(args.every),
        horizon: seconds(args.horizon),
        markout: seconds(args.markout),
        latency: seconds(args.latency / 1e3),
        offsets: args.offsets.clone(),
        queue,
        seed: args.seed,
        pipeline: config.pipeline(),
    })
}

/// The shadow orders of all data, or of what was received by `until`; and the symbol.
fn shadows(
    args: &TrainArgs,
    config: &ShadowConfig,
    until: Option<TimestampNs>,
) -> Result<(ShadowSet, String), Failure> {
    let journals = args.data.iter().all(|path| path.is_dir());
    let parts: Vec<&[PathBuf]> = if journals { args.data.chunks(1).collect() } else { vec![&args.data] };
    let (mut set, mut symbol) = (ShadowSet::default(), String::new());
    for part in parts {
        let source = Source::open(part, args.symbol.as_slice())?;
        let [instrument] = source.instruments[..] else {
            let names: Vec<&str> = source.instruments.iter().map(crate::types::Instrument::symbol).collect();
            return Err(usage(
                format!("the data holds {} symbols: {}", names.len(), names.join(", ")),
                "a fill model is of one symbol",
                "name it with --symbol",
            ));
        };
        instrument.symbol().clone_into(&mut symbol);
        let rule = source.rule;
        let mut market = ShadowMarket::new(&instrument, rule, config.clone()).map_err(|error| {
            usage(
                "the configuration cannot be used".to_owned(),
                &error.to_string(),
                "see `touchline run --print-config`",
            )
        })?;
        let (events, meter) = source.play()?;
        for event in events {
            let event = event?;
            if until.is_some_and(|until| event.recv_ts() > until) {
                break;
            }
            market.on_feed(&event.as_event());
        }
        meter.finish();
        let part = market.finish();
        set.digest = xxhash_rust::xxh3::xxh3_64(&[set.digest.to_le_bytes(), part.digest.to_le_bytes()].concat());
        set.rows.extend(part.rows);
    }
    set.rows.sort_by_key(|row| row.decided_at);
    Ok((set, symbol))
}

fn leaked(leak: &causality::Leak) -> Failure {
    Failure::new(
        "E_TRAIN_002",
        exit::MISMATCH,
        "a signal of the data set comes from the future",
        leak.to_string(),
        "report it: a model trained on it would be worthless, so none was written",
    )
}

fn no_model(error: &FitError) -> Failure {
    let (code, mend) = match error {
        FitError::TooLittle { .. } => (
            "E_TRAIN_001",
            "give longer data (an hour of a lively market is enough), or a smaller --embargo or --horizon",
        ),
        FitError::NotConverged(_) => ("E_TRAIN_003", "give more data, or report it with the data"),
    };
    Failure::new(code, exit::INPUT, "no fill model could be trained", error.to_string(), mend)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        "E_OUT_001",
        exit::OUTPUT,
        format!("{} cannot be written", path.display()),
        error.to_string(),
        "give a folder that can be written with --out",
    )
}

fn tell(set: &ShadowSet, model: &TrainedFills, scores: &Scores, out: &Path) {
    let seen = set.rows.iter().filter(|row: &&Row| row.outcome.is_some()).count();
    let [train, validation, test, left_out] = scores.rows;
    println!("{} shadow orders of {}, {seen} seen to their end", set.rows.len(), model.symbol);
    println!(
        "training {train}, validation {validation}, test {test}, between them {left_out}; data {}",
        model.data_digest
    );
    println!("offset    rows  filled  AUC");
    for one in &scores.offsets {
        let auc =
            one.auc.map_or("too few".to_owned(), |auc| format!("{:.3} ({:.3} to {:.3})", auc.value, auc.low, auc.high));
        println!("{:6} {:7}  {:.3}   {auc}", one.offset, one.rows, one.filled);
    }
    let of = |value: Option<f64>| value.map_or("n/a".to_owned(), |value| format!("{value:.3}"));
    println!("AUC of all together {}, of distance alone {}", of(scores.auc_pooled), of(scores.auc_distance));
    let gain = scores.brier_gain.map_or("n/a (too little)".to_owned(), |gain| {
        format!("{:.5} ({:.5} to {:.5})", gain.value, gain.low, gain.high)
    });
    println!("Brier {:.5}, of distance alone {:.5}, gain {gain}", scores.brier, scores.brier_distance);
    println!("log-loss {:.5}, of distance alone {:.5}", scores.log_loss, scores.log_loss_distance);
    println!("calibration slope {:.3}, error {:.4}", scores.calibration_slope, scores.calibration_error);
    println!("AUC with shuffled labels {}", of(scores.auc_permuted));
    println!("adverse move: squared error {} of that of its mean", of(scores.adverse_error_ratio));
    println!("{}", out.join(MODEL_FILE).display());
}

/// The page: the reliability diagram and the figures under it.
fn page(model: &TrainedFills, scores: &Scores) -> String {
    let bins = &scores.reliability;
    let mut plot = Plot::new();
    plot.add_trace(
        Scatter::new(bins.iter().map(|bin| bin.said).collect(), bins.iter().map(|bin| bin.seen).collect())
            .mode(Mode::LinesMarkers)
            .name("model"),
    );
    plot.add_trace(
        Scatter::new(vec![0.0, 1.0], vec![0.0, 1.0]).mode(Mode::Lines).line(Line::new().width(1.0)).name("calibrated"),
    );
    plot.set_layout(
        Layout::new()
            .title("Reliability of the fill model on test data")
            .x_axis(Axis::new().title("chance said"))
            .y_axis(Axis::new().title("share filled")),
    );
    let figures = json!({"symbol": model.symbol, "data_digest": model.data_digest, "scores": scores});
    // A JSON value of numbers and names always has a text.
    let figures = serde_json::to_string_pretty(&figures).unwrap_or_default();
    plot.to_html().replacen("</body>", &format!("<pre>{figures}</pre></body>"), 1)
}
