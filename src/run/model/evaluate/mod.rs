//! `touchline model evaluate`: the expected-value maker against the best constant half-spread, on days that neither has
//! seen.
//!
//! Days of the synthetic market are made as tapes and traded on the simulated exchange, each maker on the same tape under
//! each fill model. Whatever a maker may choose is what earned most on the training days: the constant's distance, to the
//! mid or to the touch, the horizon and the skew of `ev`, whose model is trained there too. All of it is frozen before the test days.
//! Differences are paired by day. Main thread; deterministic for its flags. Source: quant.md 13 and 15.

mod days;

use std::path::PathBuf;

use serde::Serialize;

use self::days::{Day, Days, Held};
use crate::pipeline::ReferenceKind;
use crate::run::Failure;
use crate::run::flow::synthetic_spec;
use crate::stats::bootstrap::{Bootstrap, Estimate};
use crate::stats::psr::psr;
use crate::stats::sharpe;
use crate::train::Scores;
use crate::types::{Instrument, InstrumentId};

/// Flags of `model evaluate`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvaluateArgs {
    /// Test days of each seed.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub days: u64,
    /// Seeds of test days.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_seed: u64,
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
    /// Distances to each side's touch in ticks that it may have instead; negative is inside.
    #[arg(long, value_name = "TICKS", value_delimiter = ',', allow_hyphen_values = true, default_values_t = [-2.0, -1.0, 0.0, 2.0])]
    pub touch_distances: Vec<f64>,
    /// Milliseconds within which a fill counts for `ev`, of which it may have one.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [500])]
    pub horizons_ms: Vec<u64>,
    /// Ticks by which the position limit moves the quotes of `ev`, of which it may have one.
    #[arg(long, value_name = "TICKS", value_delimiter = ',', default_values_t = [0.0, 2.0])]
    pub skews: Vec<f64>,
    /// Ticks that another price must be worth more before `ev` moves an order, of which it may have one.
    #[arg(long, value_name = "TICKS", value_delimiter = ',', default_values_t = [0.5, 1.0, 2.0])]
    pub switches: Vec<f64>,
    /// Commission of a maker in basis points.
    #[arg(long, value_name = "BPS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub fee_bps: f64,
    /// Trade the constant and `ev` alone, not `ev` without each of its parts.
    #[arg(long)]
    pub no_ablations: bool,
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
    /// What it is held to, for `ev`.
    held: Option<HeldTo>,
}

/// The requirements' bounds over all test days.
#[derive(Clone, Debug, Serialize)]
struct HeldTo {
    /// Chance that the Sharpe ratio of a day's profit is above nought.
    psr: Option<f64>,
    /// Mean over standard deviation of a day's profit, and its standard error.
    sharpe_a_day: Option<f64>,
    sharpe_error: Option<f64>,
    /// Realised half-spread after 5 s as a share of the market's, with an interval over days.
    capture_5s: Option<Estimate>,
    /// Mean shares of time with the position below its limit, above half of it and above nine tenths.
    time_below_limit: f64,
    time_above_half: f64,
    time_above_nine_tenths: f64,
    /// The smallest share of time below the limit of any day.
    worst_time_below_limit: f64,
    /// Days whose tenth of the largest positions lost no more than the risk budget allows, of those that can tell.
    days_within_budget: (u64, u64),
}

/// A maker of one distance on the training days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct ConstantTried {
    /// Where it is taken from: the mid or each side's touch.
    from: ReferenceKind,
    half_spread_ticks: f64,
    /// Mean profit of a day.
    mean: f64,
}

/// `ev` with one horizon and skew on the training days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct EvTried {
    horizon_ms: u64,
    /// Ticks by which the position limit moves the quotes.
    skew_ticks: f64,
    /// What another price must be worth more.
    switch_ticks: f64,
    /// Mean profit of a day.
    mean: f64,
}

/// One market under one fill model.
#[derive(Clone, Debug, Serialize)]
struct Contest {
    informed_share: f64,
    fill: String,
    days: u64,
    constant: ConstantTried,
    constants_tried: Vec<ConstantTried>,
    ev: EvTried,
    ev_tried: Vec<EvTried>,
    makers: Vec<MakerResult>,
    scores: Scores,
}

/// Place of the maker under test among the makers.
const TESTED: usize = 1;
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
    let days = Days { args, instrument, scratch };
    let mut contests = Vec::new();
    for &share in &args.informed_share {
        for fill in &args.fill {
            let contest = contest(&days, share, fill);
            // The scratch folder goes whatever came of it.
            let _ = std::fs::remove_dir_all(&days.scratch);
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

fn contest(days: &Days<'_>, informed_share: f64, fill: &str) -> Result<Contest, Failure> {
    let args = days.args;
    let training = (0..args.train_days)
        .map(|day| days.tape(informed_share, TRAINING_SEEDS + day))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut constants_tried = Vec::new();
    let from_mid = args.constants.iter().map(|ticks| (ReferenceKind::Mid, *ticks));
    let from_touch = args.touch_distances.iter().map(|ticks| (ReferenceKind::Touch, *ticks));
    for (from, half_spread_ticks) in from_mid.chain(from_touch) {
        let mean = days.mean(&training, fill, &days.constant(from, half_spread_ticks))?;
        constants_tried.push(ConstantTried { from, half_spread_ticks, mean });
    }
    let (mut ev_tried, mut models) = (Vec::new(), Vec::new());
    for &horizon_ms in &args.horizons_ms {
        let (model, scores) = days.train(fill, &training, horizon_ms)?;
        for (&skew_ticks, &switch_ticks) in
            args.skews.iter().flat_map(|skew| args.switches.iter().map(move |to| (skew, to)))
        {
            let mean = days.mean(&training, fill, &days.ev(&model, skew_ticks, switch_ticks))?;
            ev_tried.push(EvTried { horizon_ms, skew_ticks, switch_ticks, mean });
        }
        models.push((horizon_ms, model, scores));
    }
    let constant = constants_tried.iter().copied().max_by(|a, b| a.mean.total_cmp(&b.mean));
    let ev = ev_tried.iter().copied().max_by(|a, b| a.mean.total_cmp(&b.mean));
    let chosen = ev.and_then(|ev| models.into_iter().find(|(horizon_ms, ..)| *horizon_ms == ev.horizon_ms));
    let (Some(constant), Some(ev), Some((_, model, scores))) = (constant, ev, chosen) else {
        return Err(days::unusable(
            "--constants, --horizons-ms, --skews or --switches is empty".to_owned(),
            "each maker needs one value at least".to_owned(),
        ));
    };
    let makers = days.makers(
        days.constant(constant.from, constant.half_spread_ticks),
        days.ev(&model, ev.skew_ticks, ev.switch_ticks),
    );
    // A day begins with what the day before has learnt, as sessions do.
    let learnt = training.last().map(|tape| days.learnt(tape, fill, &makers[TESTED].1)).transpose()?.flatten();
    let mut results: Vec<Vec<Day>> = vec![Vec::new(); makers.len()];
    for seed in args.first_seed..args.first_seed + args.seeds {
        for day in 0..args.days {
            let tape = days.tape(informed_share, seed * 1000 + day)?;
            for (at, ((_, config), results)) in makers.iter().zip(&mut results).enumerate() {
                let day = match at {
                    TESTED => days.trade_and_report(&tape, fill, config, learnt.as_ref()),
                    _ => days.trade(&tape, fill, config, learnt.as_ref()),
                };
                results.push(day?);
            }
        }
    }
    let names = makers.into_iter().map(|(name, _)| name);
    Ok(Contest {
        informed_share,
        fill: fill.to_owned(),
        days: args.seeds * args.days,
        constant,
        constants_tried,
        ev,
        ev_tried,
        makers: judge(names, &results),
        scores,
    })
}

fn judge(names: impl Iterator<Item = &'static str>, days: &[Vec<Day>]) -> Vec<MakerResult> {
    let profits: Vec<Vec<f64>> = days.iter().map(|days| days.iter().map(|day| day.profit).collect()).collect();
    // Days are independent by their seeds; blocks of a few cost little and assume less.
    let bootstrap = Bootstrap::stationary(3);
    let told = |(index, name): (usize, &'static str)| {
        let count = profits[index].len().max(1) as f64;
        let mean = profits[index].iter().sum::<f64>() / count;
        let variance =
            profits[index].iter().map(|profit| (profit - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        MakerResult {
            name: name.to_owned(),
            mean,
            deviation: variance.sqrt(),
            fills_per_day: days[index].iter().map(|day| day.fills as f64).sum::<f64>() / count,
            over_constant: (index > 0).then(|| bootstrap.paired_difference(&profits[index], &profits[0])).flatten(),
            held: (index == TESTED).then(|| held_to(&days[index], &profits[index], &bootstrap)),
            ev_over_it: (index > TESTED)
                .then(|| bootstrap.paired_difference(&profits[TESTED], &profits[index]))
                .flatten(),
        }
    };
    names.enumerate().map(told).collect()
}

fn held_to(days: &[Day], profits: &[f64], bootstrap: &Bootstrap) -> HeldTo {
    let held: Vec<Held> = days.iter().filter_map(|day| day.held).collect();
    let count = profits.len() as u64;
    let ratio = sharpe::ratio(profits);
    let psr = ratio
        .zip(sharpe::moments(profits))
        .and_then(|(ratio, moments)| psr(ratio, 0.0, count, moments.skewness, moments.kurtosis));
    let mean = |at: usize| held.iter().map(|day| day.time[at]).sum::<f64>() / held.len().max(1) as f64;
    let tells = held.iter().filter_map(|day| day.within_budget);
    HeldTo {
        psr,
        sharpe_a_day: ratio,
        sharpe_error: ratio.map(|ratio| sharpe::standard_error(ratio, count)),
        capture_5s: bootstrap.estimate(held.len(), |days| {
            let (over, under) = days
                .iter()
                .fold((0.0, 0.0), |(over, under), day| (over + held[*day].captured.0, under + held[*day].captured.1));
            (under > 0.0).then(|| over / under)
        }),
        time_below_limit: mean(0),
        time_above_half: mean(1),
        time_above_nine_tenths: mean(2),
        worst_time_below_limit: held.iter().map(|day| day.time[0]).fold(1.0, f64::min),
        days_within_budget: (tells.clone().filter(|within| *within).count() as u64, tells.count() as u64),
    }
}

fn tell(contest: &Contest) {
    println!("informed share {}, fill model {}, {} days", contest.informed_share, contest.fill, contest.days);
    let named = |tried: &ConstantTried| {
        let from = if tried.from == ReferenceKind::Touch { "touch" } else { "mid" };
        format!("{} ticks from the {from}: {:.3}", tried.half_spread_ticks, tried.mean)
    };
    let tried: Vec<String> = contest.constants_tried.iter().map(named).collect();
    println!("  constant: {}, of {}", named(&contest.constant), tried.join(", "));
    let tried = contest.ev_tried.iter();
    let tried = tried.map(|it| format!("{}/{}/{}: {:.3}", it.horizon_ms, it.skew_ticks, it.switch_ticks, it.mean));
    println!(
        "  ev: horizon {} ms, skew {} ticks, switch {} ticks, of {}",
        contest.ev.horizon_ms,
        contest.ev.skew_ticks,
        contest.ev.switch_ticks,
        tried.collect::<Vec<_>>().join(", ")
    );
    let joined = contest.scores.offsets.iter().find(|score| score.offset == 0).and_then(|score| score.auc);
    let auc = joined.map_or("n/a".to_owned(), |auc| format!("{:.3} ({:.3} to {:.3})", auc.value, auc.low, auc.high));
    println!("  fill model: AUC at the touch {auc}, calibration slope {:.3}", contest.scores.calibration_slope);
    println!(
        "  {:24} {:>10} {:>10} {:>8}  {:28} ev over it",
        "maker", "mean a day", "deviation", "fills", "over the constant"
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
        if let Some(held) = &maker.held {
            let of = |value: Option<f64>| value.map_or("n/a".to_owned(), |value| format!("{value:.4}"));
            println!(
                "    Sharpe a day {} (error {}), PSR {}; capture at 5 s {}",
                of(held.sharpe_a_day),
                of(held.sharpe_error),
                of(held.psr),
                held.capture_5s
                    .map_or("n/a".to_owned(), |it| format!("{:.3} ({:.3} to {:.3})", it.value, it.low, it.high)),
            );
            println!(
                "    time below the limit {:.4}, worst day {:.4}; above half {:.4}, above nine tenths {:.4}; within the risk \
                 budget on {} of {} days",
                held.time_below_limit,
                held.worst_time_below_limit,
                held.time_above_half,
                held.time_above_nine_tenths,
                held.days_within_budget.0,
                held.days_within_budget.1
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::flow::FlowArgs;

    #[test]
    fn in_a_small_contest_every_maker_trades_and_the_trained_model_makes_a_difference() {
        let folder = tempfile::tempdir().unwrap();
        let args = EvaluateArgs {
            days: 1,
            seeds: 1,
            first_seed: 1,
            train_days: 2,
            day_seconds: 1500,
            fill: vec!["risk-averse".to_owned()],
            informed_share: vec![0.2],
            constants: vec![5.0, 9.0],
            touch_distances: vec![-1.0],
            horizons_ms: vec![1000],
            skews: vec![1.0],
            switches: vec![1.0],
            fee_bps: 0.0,
            no_ablations: false,
            scratch: Some(folder.path().to_owned()),
            json: true,
        };
        let instrument = Instrument::new(InstrumentId(0), synthetic_spec("BTCUSDT").unwrap());
        let days = Days { args: &args, instrument, scratch: folder.path().join("sessions") };
        let first = contest(&days, 0.2, "risk-averse").unwrap();
        let names: Vec<&str> = first.makers.iter().map(|maker| maker.name.as_str()).collect();
        assert_eq!(names.len(), 5);
        assert!(first.makers.iter().all(|maker| maker.fills_per_day > 5.0), "{:?}", first.makers);
        assert!(first.makers[1].mean != first.makers[4].mean, "the trained model makes a difference");
        let market = FlowArgs::default().plan(days::START).unwrap();
        assert_eq!(market.venue.symbols[0].instrument.spec, instrument.spec);
    }
}
