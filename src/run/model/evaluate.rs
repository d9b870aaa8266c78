//! `touchline model evaluate`: the expected-value maker against the best constant half-spread, on days that neither has
//! seen.
//!
//! Days of the synthetic market are made as tapes and traded on the simulated exchange, each maker on the same tape under
//! each fill model. The constant is the one that earned most on the training days, the model of `ev` is trained on the
//! same days, and both are frozen before the test days. Differences are paired by day. Main thread; deterministic for its
//! flags. Source: quant.md 13 and 15.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::pipeline::quoter::ev::TrainedFills;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Amount, LearnKind, PipelineConfig, QuoterConfig, QuoterKind, RequoteKind, ToxicityKind};
use crate::run::flow::synthetic_spec;
use crate::run::virtual_session::{self, VirtualConfig};
use crate::run::{Failure, exit};
use crate::sim::latency::LatencyModel;
use crate::sim::{
    AccountConfig, AccountId, FillModel, MarketSource, SymbolConfig, SyntheticConfig, Venue, VenueConfig,
    synthetic_tape,
};
use crate::stats::bootstrap::{Bootstrap, Estimate};
use crate::train::{Scores, ShadowConfig, ShadowMarket, ShadowSet, fit, permuted, score, split};
use crate::types::{Asset, DurationNs, Instrument, InstrumentId, SessionId, Symbol, TimestampNs};
use crate::wire::FeedOwned;

/// Flags of `model evaluate`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvaluateArgs {
    /// Test days of each seed.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub days: u64,
    /// Seeds of test days.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub seeds: u64,
    /// Training days; no test day is among them.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub train_days: u64,
    /// Seconds of a simulated day.
    #[arg(long, value_name = "S", default_value_t = 1800)]
    pub day_seconds: u64,
    /// Fill models.
    #[arg(long, value_name = "MODEL", value_delimiter = ',', default_value = "touch,prob:power,risk-averse")]
    pub fill: Vec<String>,
    /// Shares of informed takers, each a market of its own.
    #[arg(long, value_name = "X", value_delimiter = ',', default_values_t = [0.2, 0.0])]
    pub informed_share: Vec<f64>,
    /// Half-spreads in ticks that the constant maker may have.
    #[arg(long, value_name = "TICKS", value_delimiter = ',', default_values_t = [3.0, 5.0, 7.0, 9.0, 12.0, 16.0, 24.0])]
    pub constants: Vec<f64>,
    /// Commission of a maker in basis points.
    #[arg(long, value_name = "BPS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub fee_bps: f64,
    /// Where sessions are written while they run; the system's folder for temporary files when left away.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Print one JSON object on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// One maker's test days.
#[derive(Clone, Debug, Serialize)]
struct MakerResult {
    name: String,
    /// Mean profit of a day, in quote currency.
    mean: f64,
    /// Standard deviation over days.
    deviation: f64,
    fills_per_day: f64,
    /// Its profit less the constant maker's, paired by day.
    over_constant: Option<Estimate>,
    /// That of `ev` less its own, paired by day: what is lost without a part.
    ev_over_it: Option<Estimate>,
}

/// One market under one fill model.
#[derive(Clone, Debug, Serialize)]
struct Contest {
    informed_share: f64,
    fill: String,
    days: u64,
    /// The half-spread that earned most in training, and the mean profit of each there.
    constant_ticks: f64,
    training_means: Vec<(f64, f64)>,
    makers: Vec<MakerResult>,
    scores: Scores,
}

/// 2026-01-01T00:00:00Z: any fixed time would do.
const START: TimestampNs = TimestampNs::from_millis(1_767_225_600_000);
const ACCOUNT: AccountId = AccountId(1);
/// Seeds of training days begin here, those of test days at one thousand times their seed.
const TRAINING_SEEDS: u64 = 900_000_000;

/// Runs the verb.
///
/// # Errors
/// When a flag cannot be used, the training days are too few for a model, or a session fails.
pub fn run(args: &EvaluateArgs) -> Result<(), Failure> {
    let instrument = Instrument::new(InstrumentId(0), synthetic_spec("BTCUSDT")?);
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = scratch.join(format!("touchline-evaluate-{}", std::process::id()));
    let bench = Bench { args, instrument, scratch };
    let mut contests = Vec::new();
    for &share in &args.informed_share {
        let training = bench.tapes(share, (0..args.train_days).map(|day| TRAINING_SEEDS + day))?;
        for fill in &args.fill {
            let contest = bench.contest(share, fill, &training);
            // The scratch folder goes whatever came of it.
            let _ = std::fs::remove_dir_all(&bench.scratch);
            let contest = contest?;
            if !args.json {
                tell(&contest);
            }
            contests.push(contest);
        }
    }
    if args.json {
        let no_text = |error| Failure::bug(format!("the result has no text: {error}"));
        println!("{}", serde_json::to_string_pretty(&contests).map_err(no_text)?);
    }
    Ok(())
}

/// Profit and fills of one day.
#[derive(Clone, Copy, Debug, Default)]
struct Day {
    profit: f64,
    fills: u64,
}

type Tape = Arc<Vec<FeedOwned>>;

struct Bench<'a> {
    args: &'a EvaluateArgs,
    instrument: Instrument,
    scratch: PathBuf,
}

fn unusable(what: String, why: String) -> Failure {
    Failure::new("E_MODEL_002", exit::USAGE, what, why, "`touchline model evaluate --help` shows what each flag takes")
}

impl Bench<'_> {
    fn tape(&self, informed_share: f64, seed: u64) -> Result<Tape, Failure> {
        let market = SyntheticConfig { seed, informed_share, ..SyntheticConfig::default() };
        synthetic_tape(market, self.instrument, START, DurationNs::from_secs(self.args.day_seconds))
            .map(Arc::new)
            .map_err(|error| unusable("the market cannot be played".to_owned(), error.to_string()))
    }

    fn tapes(&self, share: f64, seeds: impl Iterator<Item = u64>) -> Result<Vec<Tape>, Failure> {
        seeds.map(|seed| self.tape(share, seed)).collect()
    }

    fn contest(&self, share: f64, fill: &str, training: &[Tape]) -> Result<Contest, Failure> {
        let (model, scores) = self.train(fill, training)?;
        let mut training_means = Vec::new();
        for &ticks in &self.args.constants {
            let mut profit = 0.0;
            for tape in training {
                profit += self.trade(tape, fill, &self.constant(ticks))?.profit;
            }
            training_means.push((ticks, profit / training.len().max(1) as f64));
        }
        let most = training_means.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((constant_ticks, _)) = most else {
            return Err(unusable(
                "--constants names no half-spread".to_owned(),
                "there is nothing to compare with".to_owned(),
            ));
        };
        let makers = self.makers(constant_ticks, &model);
        let mut days: Vec<Vec<Day>> = vec![Vec::new(); makers.len()];
        for seed in 1..=self.args.seeds {
            for day in 0..self.args.days {
                let tape = self.tape(share, seed * 1000 + day)?;
                for ((_, config), days) in makers.iter().zip(&mut days) {
                    days.push(self.trade(&tape, fill, config)?);
                }
            }
        }
        let makers = makers.into_iter().map(|(name, _)| name);
        Ok(Contest {
            informed_share: share,
            fill: fill.to_owned(),
            days: self.args.seeds * self.args.days,
            constant_ticks,
            training_means,
            makers: judge(makers, &days),
            scores,
        })
    }

    /// The constant maker, the maker under test, and the maker without each of its parts.
    fn makers(&self, constant_ticks: f64, model: &TrainedFills) -> Vec<(String, PipelineConfig)> {
        let ev = self.ev(model);
        let without = |change: fn(&mut PipelineConfig)| {
            let mut config = ev.clone();
            change(&mut config);
            config
        };
        let no_toxicity = without(|config| config.quoter.ev_toxicity = ToxicityKind::Off);
        let no_skew = without(|config| {
            config.estimators.kappa = LearnKind::Fixed;
            (config.quoter.full_skew_ticks, config.quoter.size_skew) = (0.0, 0.0);
        });
        let no_model = without(|config| config.quoter.ev_model = None);
        vec![
            ("constant".to_owned(), self.constant(constant_ticks)),
            ("ev".to_owned(), ev.clone()),
            ("ev, toxicity off".to_owned(), no_toxicity),
            ("ev, skew off".to_owned(), no_skew),
            ("ev, trained model off".to_owned(), no_model),
        ]
    }

    fn base(&self) -> PipelineConfig {
        let quoter = QuoterConfig {
            maker_fee_bps: self.args.fee_bps,
            order_value: Amount::whole(500),
            ..QuoterConfig::default()
        };
        PipelineConfig { quoter, ..PipelineConfig::default() }
    }

    fn constant(&self, half_spread_ticks: f64) -> PipelineConfig {
        let mut config = self.base();
        config.quoter.kind = QuoterKind::Naive;
        config.quoter.half_spread_ticks = half_spread_ticks;
        config
    }

    fn ev(&self, model: &TrainedFills) -> PipelineConfig {
        let mut config = self.base();
        config.quoter.kind = QuoterKind::Ev;
        config.quoter.requote = RequoteKind::Always;
        config.quoter.ev_inside_ticks = 8;
        config.quoter.ev_model = Some(Box::new(model.clone()));
        config
    }

    fn train(&self, fill: &str, training: &[Tape]) -> Result<(TrainedFills, Scores), Failure> {
        let queue = match fill.parse() {
            Ok(FillModel::Queue { model, .. }) => model,
            _ => {
                return Err(unusable(
                    format!("--fill {fill} is no model of one order's place"),
                    "shadow orders need one".to_owned(),
                ));
            }
        };
        let (horizon, markout) = (DurationNs::from_secs(5), DurationNs::from_secs(5));
        let config = ShadowConfig {
            horizon,
            markout,
            latency: DurationNs::from_millis(1),
            offsets: vec![-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 13, 20],
            queue,
            seed: 1,
            pipeline: self.base(),
        };
        let mut set = ShadowSet::default();
        let length = self.args.day_seconds;
        for (day, tape) in training.iter().enumerate() {
            let mut market = ShadowMarket::new(&self.instrument, SyncRule::Spot, config.clone())
                .map_err(|error| Failure::bug(error.to_string()))?;
            tape.iter().for_each(|event| market.on_feed(&event.as_event()));
            let part = market.finish();
            set.digest = set.digest.rotate_left(7) ^ part.digest;
            // Day after day, so that the split in time is one of days.
            let later = DurationNs::from_secs(day as u64 * 2 * length);
            set.rows.extend(
                part.rows.into_iter().map(|row| crate::train::Row { decided_at: row.decided_at.plus(later), ..row }),
            );
        }
        let about = TrainedFills {
            format: 0,
            data_digest: format!("{:016x}", set.digest),
            symbol: self.instrument.symbol().to_owned(),
            shadow_fill: fill.to_owned(),
            rows: 0,
            horizon_s: horizon.secs_f64(),
            markout_s: markout.secs_f64(),
            fill_intercept: 0.0,
            adverse_intercept: 0.0,
            signals: Vec::new(),
        };
        let parts = split(&set.rows, DurationNs::from_secs(11), DurationNs::from_secs(300));
        let failed = |error: crate::train::FitError| {
            unusable("no fill model could be trained on the training days".to_owned(), error.to_string())
        };
        let model = fit(&parts, &about).map_err(failed)?;
        let shuffled = permuted(&parts, 1).map_err(failed)?;
        let scores = score(&model, &parts, shuffled).map_err(failed)?;
        Ok((model, scores))
    }

    /// One maker's day on a tape.
    fn trade(&self, tape: &Tape, fill: &str, config: &PipelineConfig) -> Result<Day, Failure> {
        let mut venue = VenueConfig::new(START);
        venue.symbols = vec![SymbolConfig::new(self.instrument)];
        venue.fill = fill
            .parse()
            .map_err(|error: crate::sim::UnknownFillModel| unusable(format!("--fill {fill}"), error.to_string()))?;
        (venue.fees.maker_e8, venue.fees.taker_e8) = ((self.args.fee_bps * 1e4).round() as i64, 0);
        let asset = |name: &str| -> Result<Asset, Failure> {
            Symbol::new(name).map_err(|error| Failure::bug(format!("{name}: {error:?}")))
        };
        let balances = vec![(asset("USDT")?, 100_000_000_000_000), (asset("BTC")?, 10_000_000_000)];
        venue.accounts = vec![AccountConfig { id: ACCOUNT, balances }];
        let venue = Venue::new(venue, vec![MarketSource::Fed]).map_err(|error| Failure::bug(error.to_string()))?;
        let session = VirtualConfig {
            session: SessionId(START.millis()),
            mode: "backtest",
            pipeline: config.clone(),
            warm: None,
            length: DurationNs::from_secs(self.args.day_seconds + 60),
            latencies: LatencyModel::default(),
            journal_dir: self.scratch.clone(),
            account: ACCOUNT,
        };
        let tape = Arc::clone(tape);
        let events = (0..tape.len()).map(move |at| Ok(tape[at].clone()));
        let outcome = virtual_session::run_on_tape(&session, venue, SyncRule::Spot, Box::new(events))?;
        let _ = std::fs::remove_dir_all(&self.scratch);
        let (_, figures) = &outcome.snapshots[0];
        Ok(Day { profit: figures.pnl.total.to_f64(), fills: figures.counters.fills })
    }
}

fn judge(names: impl Iterator<Item = String>, days: &[Vec<Day>]) -> Vec<MakerResult> {
    let profits: Vec<Vec<f64>> = days.iter().map(|days| days.iter().map(|day| day.profit).collect()).collect();
    // Days are independent by their seeds; blocks of a few cost little and assume less.
    let bootstrap = Bootstrap::stationary(3);
    let told = |(index, name): (usize, String)| {
        let count = profits[index].len().max(1) as f64;
        let mean = profits[index].iter().sum::<f64>() / count;
        let variance =
            profits[index].iter().map(|profit| (profit - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        MakerResult {
            name,
            mean,
            deviation: variance.sqrt(),
            fills_per_day: days[index].iter().map(|day| day.fills as f64).sum::<f64>() / count,
            over_constant: (index > 0).then(|| bootstrap.paired_difference(&profits[index], &profits[0])).flatten(),
            ev_over_it: (index > 1).then(|| bootstrap.paired_difference(&profits[1], &profits[index])).flatten(),
        }
    };
    names.enumerate().map(told).collect()
}

fn tell(contest: &Contest) {
    println!("informed share {}, fill model {}, {} days", contest.informed_share, contest.fill, contest.days);
    let means: Vec<String> = contest.training_means.iter().map(|(ticks, mean)| format!("{ticks}: {mean:.3}")).collect();
    println!("  constant half-spread {} ticks; training means {}", contest.constant_ticks, means.join(", "));
    let joined = contest.scores.offsets.iter().find(|score| score.offset == 0).and_then(|score| score.auc);
    let auc = joined.map_or("n/a".to_owned(), |auc| format!("{:.3} ({:.3} to {:.3})", auc.value, auc.low, auc.high));
    println!("  fill model: AUC at the touch {auc}, calibration slope {:.3}", contest.scores.calibration_slope);
    println!(
        "  {:24} {:>10} {:>10} {:>8}  over the constant            ev over it",
        "maker", "mean a day", "deviation", "fills"
    );
    for maker in &contest.makers {
        let of = |estimate: Option<Estimate>| {
            estimate.map_or("-".to_owned(), |it| format!("{:.3} ({:.3} to {:.3})", it.value, it.low, it.high))
        };
        println!(
            "  {:24} {:10.3} {:10.3} {:8.1}  {:28} {}",
            maker.name,
            maker.mean,
            maker.deviation,
            maker.fills_per_day,
            of(maker.over_constant),
            of(maker.ev_over_it)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::flow::FlowArgs;

    #[test]
    fn a_small_contest_runs_and_is_the_same_again() {
        let folder = tempfile::tempdir().unwrap();
        let args = EvaluateArgs {
            days: 2,
            seeds: 1,
            train_days: 2,
            day_seconds: 1500,
            fill: vec!["risk-averse".to_owned()],
            informed_share: vec![0.2],
            constants: vec![5.0, 9.0],
            fee_bps: 0.0,
            scratch: Some(folder.path().to_owned()),
            json: true,
        };
        let instrument = Instrument::new(InstrumentId(0), synthetic_spec("BTCUSDT").unwrap());
        let bench = Bench { args: &args, instrument, scratch: folder.path().join("sessions") };
        let training = bench.tapes(0.2, [TRAINING_SEEDS, TRAINING_SEEDS + 1].into_iter()).unwrap();
        let first = bench.contest(0.2, "risk-averse", &training).unwrap();
        let again = bench.contest(0.2, "risk-averse", &training).unwrap();
        let text = |contest: &Contest| serde_json::to_string(contest).unwrap();
        assert_eq!(text(&first), text(&again));
        let names: Vec<&str> = first.makers.iter().map(|maker| maker.name.as_str()).collect();
        assert_eq!(names.len(), 5);
        assert!(first.makers.iter().all(|maker| maker.fills_per_day > 5.0), "{:?}", first.makers);
        assert!(first.makers[1].mean != first.makers[4].mean, "the trained model makes a difference");
        let market = FlowArgs::default().plan(START).unwrap();
        assert_eq!(market.venue.symbols[0].instrument.spec, instrument.spec);
    }
}
