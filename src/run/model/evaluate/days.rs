//! The days of a contest: tapes of the synthetic market, the makers that trade on them, the model that `ev` is given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::EvaluateArgs;
use crate::pipeline::quoter::ev::TrainedFills;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{
    Amount, LearnKind, PipelineConfig, QuoterConfig, QuoterKind, ReferenceKind, RequoteKind, ToxicityKind, WarmState,
};
use crate::run::report::{ReadOptions, read_session};
use crate::run::virtual_session::{self, VirtualConfig};
use crate::run::warm;
use crate::run::{Failure, exit};
use crate::sim::latency::LatencyModel;
use crate::sim::{
    AccountConfig, AccountId, FillModel, MarketSource, SymbolConfig, SyntheticConfig, Venue, VenueConfig,
    synthetic_tape,
};
use crate::train::{Row, Scores, ShadowConfig, ShadowMarket, ShadowSet, learn};
use crate::types::{Asset, DurationNs, Instrument, SessionId, Symbol, TimestampNs};
use crate::wire::FeedOwned;

/// 2026-01-01T00:00:00Z: any fixed time would do.
pub(super) const START: TimestampNs = TimestampNs::from_millis(1_767_225_600_000);
const ACCOUNT: AccountId = AccountId(1);
/// Time between two shadow orders, and after a fill at which the move against it is taken.
const SAMPLED_EVERY: DurationNs = DurationNs::from_secs(5);
const MARKOUT: DurationNs = DurationNs::from_secs(5);
/// Kept free between training, validation and test rows.
const EMBARGO: DurationNs = DurationNs::from_secs(300);

/// One day's market data.
pub(super) type Tape = Arc<Vec<FeedOwned>>;

/// Profit and fills of one day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Day {
    /// In quote currency, marked to the mid.
    pub(super) profit: f64,
    /// How many there were.
    pub(super) fills: u64,
    /// What its report says besides, where one was made.
    pub(super) held: Option<Held>,
}

/// What a day is held to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// Realised half-spread after 5 s, summed over fills by quantity, and the market's half-spread: half ticks by lots.
    pub(super) captured: (f64, f64),
    /// Shares of time with the position below its limit, above half and above nine tenths of it.
    pub(super) time: [f64; 3],
    /// Whether the tenth of the largest positions lost no more than the risk budget allows, at the 5th percentile.
    pub(super) within_budget: Option<bool>,
}

/// What all days have in common.
pub(super) struct Days<'a> {
    pub(super) args: &'a EvaluateArgs,
    pub(super) instrument: Instrument,
    /// Where a day's session is written while it runs.
    pub(super) scratch: PathBuf,
}

/// A flag that cannot be used.
pub(super) fn unusable(what: String, why: String) -> Failure {
    Failure::new("E_MODEL_002", exit::USAGE, what, why, "`touchline model evaluate --help` shows what each flag takes")
}

impl Days<'_> {
    /// The market of one seed.
    pub(super) fn tape(&self, informed_share: f64, seed: u64) -> Result<Tape, Failure> {
        let market = SyntheticConfig { seed, informed_share, ..SyntheticConfig::default() };
        synthetic_tape(market, self.instrument, START, DurationNs::from_secs(self.args.day_seconds))
            .map(Arc::new)
            .map_err(|error| unusable("the market cannot be played".to_owned(), error.to_string()))
    }

    /// The constant maker, the maker under test, and the maker without each of its parts.
    pub(super) fn makers(&self, constant: PipelineConfig, ev: PipelineConfig) -> Vec<(&'static str, PipelineConfig)> {
        let without = |change: fn(&mut PipelineConfig)| {
            let mut config = ev.clone();
            change(&mut config);
            config
        };
        let mut makers = vec![("constant", constant), ("ev", ev.clone())];
        if !self.args.no_ablations {
            makers.extend([
                ("ev, toxicity off", without(|config| config.quoter.ev_toxicity = ToxicityKind::Off)),
                (
                    "ev, skew off",
                    without(|config| (config.quoter.full_skew_ticks, config.quoter.size_skew) = (0.0, 0.0)),
                ),
                ("ev, trained model off", without(|config| config.quoter.ev_model = None)),
            ]);
        }
        makers
    }

    fn base(&self) -> PipelineConfig {
        let quoter = QuoterConfig {
            maker_fee_bps: self.args.fee_bps,
            order_value: Amount::whole(500),
            ..QuoterConfig::default()
        };
        PipelineConfig { quoter, ..PipelineConfig::default() }
    }

    /// The maker of one distance.
    pub(super) fn constant(&self, from: ReferenceKind, half_spread_ticks: f64) -> PipelineConfig {
        let mut config = self.base();
        config.quoter.kind = QuoterKind::Naive;
        config.quoter.reference = from;
        config.quoter.half_spread_ticks = half_spread_ticks;
        config
    }

    /// The maker under test. Its skew is given and not learnt, so that it is chosen as the constant's spread is.
    pub(super) fn ev(&self, model: &TrainedFills, skew_ticks: f64, switch_ticks: f64) -> PipelineConfig {
        let mut config = self.base();
        config.quoter.kind = QuoterKind::Ev;
        config.quoter.requote = RequoteKind::Always;
        config.quoter.ev_inside_ticks = 8;
        config.quoter.ev_model = Some(Box::new(model.clone()));
        config.quoter.full_skew_ticks = skew_ticks;
        config.quoter.ev_switch_ticks = switch_ticks;
        config.estimators.kappa = LearnKind::Fixed;
        config
    }

    /// Trains a fill model on the shadow orders of the training days, and scores it on the last of them.
    pub(super) fn train(
        &self,
        fill: &str,
        training: &[Tape],
        horizon_ms: u64,
    ) -> Result<(TrainedFills, Scores), Failure> {
        let queue = match fill.parse() {
            Ok(FillModel::Queue { model, .. }) => model,
            _ => {
                return Err(unusable(
                    format!("--fill {fill} is no model of one order's place"),
                    "shadow orders need one".to_owned(),
                ));
            }
        };
        let config = ShadowConfig {
            every: SAMPLED_EVERY,
            horizon: DurationNs::from_millis(horizon_ms),
            markout: MARKOUT,
            latency: DurationNs::from_millis(1),
            offsets: vec![-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 13, 20],
            queue,
            seed: 1,
            pipeline: self.base(),
        };
        let mut set = ShadowSet::default();
        for (day, tape) in training.iter().enumerate() {
            let mut market = ShadowMarket::new(&self.instrument, SyncRule::Spot, config.clone())
                .map_err(|error| Failure::bug(error.to_string()))?;
            tape.iter().for_each(|event| market.on_feed(&event.as_event()));
            let part = market.finish();
            set.digest = set.digest.rotate_left(7) ^ part.digest;
            // Day after day, so that the split in time is one of days.
            let later = DurationNs::from_secs(day as u64 * 2 * self.args.day_seconds);
            set.rows.extend(part.rows.into_iter().map(|row| Row { decided_at: row.decided_at.plus(later), ..row }));
        }
        learn(&set, &config, self.instrument.symbol(), fill, EMBARGO, 1).map_err(|error| {
            unusable("no fill model could be trained on the training days".to_owned(), error.to_string())
        })
    }

    /// Mean profit of a day over some.
    pub(super) fn mean(&self, tapes: &[Tape], fill: &str, config: &PipelineConfig) -> Result<f64, Failure> {
        let mut profit = 0.0;
        for tape in tapes {
            profit += self.trade(tape, fill, config, None)?.profit;
        }
        Ok(profit / tapes.len().max(1) as f64)
    }

    /// One maker's day on a tape, begun with what an earlier day has learnt.
    pub(super) fn trade(
        &self,
        tape: &Tape,
        fill: &str,
        config: &PipelineConfig,
        warm: Option<&WarmState>,
    ) -> Result<Day, Failure> {
        let (day, ()) = self.played(tape, fill, config, warm, |_| Ok(()))?;
        Ok(day)
    }

    /// The same with its report.
    pub(super) fn trade_and_report(
        &self,
        tape: &Tape,
        fill: &str,
        config: &PipelineConfig,
        warm: Option<&WarmState>,
    ) -> Result<Day, Failure> {
        let (day, held) = self.played(tape, fill, config, warm, |journal| held(journal).map(Some))?;
        Ok(Day { held, ..day })
    }

    /// What a day leaves for the next one to begin with.
    pub(super) fn learnt(
        &self,
        tape: &Tape,
        fill: &str,
        config: &PipelineConfig,
    ) -> Result<Option<WarmState>, Failure> {
        let (_, state) =
            self.played(tape, fill, config, None, |journal| warm::read(&journal.join(warm::STATE_FILE)))?;
        Ok(state)
    }

    /// A day, and what is read of its journal before that goes.
    fn played<T>(
        &self,
        tape: &Tape,
        fill: &str,
        config: &PipelineConfig,
        warm: Option<&WarmState>,
        read: impl FnOnce(&Path) -> Result<T, Failure>,
    ) -> Result<(Day, T), Failure> {
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
            warm: warm.cloned(),
            length: DurationNs::from_secs(self.args.day_seconds + 60),
            latencies: LatencyModel::default(),
            journal_dir: self.scratch.clone(),
            account: ACCOUNT,
        };
        let tape = Arc::clone(tape);
        let events = (0..tape.len()).map(move |at| Ok(tape[at].clone()));
        let outcome = virtual_session::run_on_tape(&session, venue, SyncRule::Spot, Box::new(events))?;
        let kept = read(&outcome.journal);
        let _ = std::fs::remove_dir_all(&self.scratch);
        let (_, figures) = &outcome.snapshots[0];
        let day = Day { profit: figures.pnl.total.to_f64(), fills: figures.counters.fills, held: None };
        Ok((day, kept?))
    }
}

fn held(journal: &Path) -> Result<Held, Failure> {
    let told = read_session(journal, &ReadOptions::default(), &mut |_, _| Ok(()))?;
    let Some(record) = told.records.first() else { return Ok(Held::default()) };
    let kpis = &record.kpis;
    let captured = kpis.realised_capture.iter().find(|capture| capture.horizon_s == MARKOUT.secs_f64());
    let share = |value: Option<f64>| value.unwrap_or(0.0);
    Ok(Held {
        captured: captured.map_or((0.0, 0.0), |capture| capture.sums),
        time: [kpis.time_below_limit, kpis.time_above_half, kpis.time_above_nine_tenths].map(share),
        within_budget: kpis.inventory_risk.within_budget,
    })
}
