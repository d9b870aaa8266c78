//! From a journal to the rows of a report.
//!
//! Re-runs books and decisions over the recorded inputs, as a replay does, and looks at the figures after each: the
//! report then shows exactly what the session counted, and needs nothing that the journal does not hold. Called by
//! `demo` after its session has ended and by `touchline report`, on the main thread.

mod causes;
mod reconcile;
mod verb;

pub use causes::Causes;
pub use verb::{ReportArgs, run};

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use super::failure::{Failure, exit};
use crate::journal::{JournalError, JournalReader, StreamReader};
use crate::kpi::markout::SettledFill;
use crate::kpi::{KpiAccumulator, KpiRules, OrderCounts, Resting, Standing};
use crate::metrics::LatencySummary;
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Pipeline, PipelineConfig, PipelineSnapshot, WarmState};
use crate::report::{FillRow, ModelFigures, PnlRow, SessionRecord};
use crate::sim::FillCause;
use crate::stats::thinned::Thinned;
use crate::types::{
    Action, Actions, BaseAtoms, ClientOrderId, DurationNs, ExecKind, ExecReport, FeeAsset, Input, Instrument,
    MarketUpdate, Money, Side, TimestampNs, TradeId,
};
use crate::wire::{FeedEvent, Flags, InputEvent, Kind, QuoteEvent, RecordError, Stream};

/// What the journal tells, one record an instrument, and the last figures of each.
#[derive(Debug)]
pub struct Told {
    /// Rows for the report.
    pub records: Vec<SessionRecord>,
    /// Figures after the last input.
    pub last: Vec<(Instrument, PipelineSnapshot)>,
    /// When the first order was asked for.
    pub first_order: Option<TimestampNs>,
}

/// How a journal is read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions<'a> {
    /// Why the venue says that trades happened, where it was asked.
    pub causes: Option<&'a Causes>,
    /// What the KPIs' definitions leave open.
    pub rules: KpiRules,
    /// Tick to order, where it was measured.
    pub latency: Option<LatencySummary>,
}

/// How often the account is looked at, to begin with.
const ROW_INTERVAL: DurationNs = DurationNs::from_millis(250);
/// Rows kept: when there are more, every second one goes and the interval doubles. An hour keeps its quarter seconds.
const ROWS_MAX: usize = 16_384;

/// Fills that a record keeps for its charts.
const FILLS_MAX: usize = 4_096;

/// What is told of each fill, in their order: the place of its instrument, and the fill.
pub type TakeFill<'a> = dyn FnMut(usize, &FillRow) -> Result<(), Failure> + 'a;

/// Reads a session's journal; `take_fill` hears of each fill once its horizons have passed, for a long session's fills
/// are more than a record keeps.
///
/// # Errors
/// When the journal cannot be read, or has no decisions, and what `take_fill` fails with.
pub fn read_session(
    session_dir: &Path,
    options: &ReadOptions<'_>,
    take_fill: &mut TakeFill<'_>,
) -> Result<Told, Failure> {
    let reader = JournalReader::open(session_dir).map_err(|error| unreadable(session_dir, &error))?;
    let info = reader.info();
    let instruments = info.instruments().map_err(|why| not_a_session(session_dir, why))?;
    let constants = info.pipeline.clone().ok_or_else(|| {
        not_a_session(session_dir, "it only recorded: there are no decisions to report on".to_owned())
    })?;
    let config: PipelineConfig =
        serde_json::from_value(constants).map_err(|error| not_a_session(session_dir, error.to_string()))?;
    let warm: Option<WarmState> = info
        .warm
        .clone()
        .map(WarmState::from_json)
        .transpose()
        .map_err(|error| not_a_session(session_dir, format!("warm: {error}")))?;
    let pipeline = Pipeline::with_warm(info.session_id(), &instruments, &config, warm.as_ref())
        .map_err(|error| not_a_session(session_dir, error.to_string()))?;
    let rule = SyncRule::of_profile(&info.venue_profile).unwrap_or(SyncRule::Spot);
    let feed = reader.stream(Stream::Feed).map_err(|error| unreadable(session_dir, &error))?;
    let mut told = Retelling {
        session_dir,
        market: MarketStage::new(&instruments, rule),
        feed,
        feed_seq: 0,
        tracks: Vec::new(),
        instruments,
        pipeline,
        actions: Actions::new(),
        options,
        first_order: None,
    };
    let mut quote = reader.stream(Stream::Quote).map_err(|error| unreadable(session_dir, &error))?;
    while let Some(record) = quote.next().map_err(|error| unreadable(session_dir, &error))? {
        let now = record.header.ts;
        if record.header.kind == Kind::ActionPlace {
            told.first_order.get_or_insert(now);
        }
        let event = QuoteEvent::decode(&record)
            .map_err(|error| bad_record(session_dir, Stream::Quote, record.header.seq, error))?;
        if let QuoteEvent::Input(input) = event {
            told.take(now, input)?;
            told.hand_out(take_fill)?;
        }
    }
    told.finish(take_fill)
}

struct Track {
    instrument: Instrument,
    kpis: KpiAccumulator,
    /// Fills whose horizons have not passed.
    waiting: VecDeque<Filled>,
    fills: Thinned<FillRow>,
    fills_by_cause: BTreeMap<&'static str, u64>,
    rows: Vec<PnlRow>,
    interval: DurationNs,
    next_row: TimestampNs,
    fills_before: u64,
}

impl Track {
    fn new(instrument: Instrument, rules: &KpiRules, start: TimestampNs) -> Track {
        Track {
            instrument,
            kpis: KpiAccumulator::new(instrument, rules.clone(), start),
            waiting: VecDeque::new(),
            fills: Thinned::new(FILLS_MAX),
            fills_by_cause: FillCause::ALL.map(|cause| (cause.name(), 0)).into(),
            rows: Vec::new(),
            interval: ROW_INTERVAL,
            next_row: start,
            fills_before: 0,
        }
    }
}

/// What a fill's row says besides what is settled later.
struct Filled {
    event_ts: TimestampNs,
    trade_id: TradeId,
    client_id: ClientOrderId,
    is_maker: bool,
    cause: Option<&'static str>,
    fee_e8: i64,
    fee_asset: FeeAsset,
    fee: Money,
    position: BaseAtoms,
}

impl Filled {
    fn settled(self, settled: SettledFill) -> FillRow {
        let Filled { event_ts, trade_id, client_id, is_maker, cause, fee_e8, fee_asset, fee, position } = self;
        FillRow { event_ts, trade_id, client_id, settled, is_maker, cause, fee_e8, fee_asset, fee, position }
    }
}

impl Track {
    /// Hands out the fills that are settled.
    fn hand_out(&mut self, index: usize, take_fill: &mut TakeFill<'_>) -> Result<(), Failure> {
        for settled in self.kpis.take_settled() {
            // Each fill that was counted waits here, in the same order.
            let Some(filled) = self.waiting.pop_front() else { continue };
            let row = filled.settled(settled);
            take_fill(index, &row)?;
            self.fills.push(row);
        }
        Ok(())
    }
}

struct Retelling<'a> {
    session_dir: &'a Path,
    market: MarketStage,
    feed: StreamReader,
    feed_seq: u64,
    tracks: Vec<Track>,
    instruments: Vec<Instrument>,
    pipeline: Pipeline,
    actions: Actions,
    options: &'a ReadOptions<'a>,
    first_order: Option<TimestampNs>,
}

impl Retelling<'_> {
    fn take(&mut self, now: TimestampNs, event: InputEvent) -> Result<(), Failure> {
        if self.tracks.is_empty() {
            self.start(now);
        }
        let input = match event {
            InputEvent::Market { feed_seq } => Input::Market(self.update_of(feed_seq)?),
            InputEvent::Exec(report) => Input::Exec(report),
            InputEvent::Balance(balance) => Input::Balance(balance),
            InputEvent::Timer => Input::Timer,
            InputEvent::Control(control) => Input::Control(control),
        };
        self.actions.clear();
        self.pipeline.on_event(now, &input, &mut self.actions);
        for action in self.actions.as_slice() {
            if let Action::Command(command) = action {
                self.tracks[command.instrument().index()].kpis.on_command(now, command);
            }
        }
        let concerned = match &input {
            Input::Market(update) => Some(update.instrument()),
            Input::Exec(report) => Some(report.instrument),
            _ => None,
        };
        if let Some(id) = concerned {
            let snapshot = self.pipeline.snapshot(id);
            let report = if let Input::Exec(report) = &input { Some(report) } else { None };
            self.look(id.index(), now, report, &snapshot);
        }
        Ok(())
    }

    fn start(&mut self, now: TimestampNs) {
        let rules = &self.options.rules;
        self.tracks = self.instruments.iter().map(|instrument| Track::new(*instrument, rules, now)).collect();
    }

    /// The market update that a feed record gives rise to: the books are stepped up to it.
    fn update_of(&mut self, feed_seq: u64) -> Result<MarketUpdate, Failure> {
        while self.feed_seq < feed_seq {
            let Some(record) = self.feed.next().map_err(|error| unreadable(self.session_dir, &error))? else {
                break;
            };
            self.feed_seq = record.header.seq;
            // The book never saw a dropped record.
            if record.header.flags.has(Flags::DROPPED) || record.header.kind == Kind::End {
                continue;
            }
            let event = FeedEvent::decode(&record)
                .map_err(|error| bad_record(self.session_dir, Stream::Feed, record.header.seq, error))?;
            let update = self.market.on_event(&event);
            if self.feed_seq == feed_seq
                && let Some(update) = update
            {
                return Ok(update);
            }
        }
        Err(not_a_session(self.session_dir, format!("the feed record {feed_seq} gives no market update")))
    }

    fn look(&mut self, index: usize, now: TimestampNs, report: Option<&ExecReport>, snapshot: &PipelineSnapshot) {
        let track = &mut self.tracks[index];
        let counted = std::mem::replace(&mut track.fills_before, snapshot.counters.fills);
        match report.map(|report| (report, report.kind)) {
            Some((report, ExecKind::Fill(fill))) if snapshot.counters.fills > counted => {
                let fees_before = track.kpis.ledger().pnl().fees;
                track.kpis.on_fill(now, report.client_id, &fill);
                let cause = self.options.causes.and_then(|causes| causes.of(index, fill.trade_id)).map(FillCause::name);
                *track.fills_by_cause.entry(cause.unwrap_or("unknown")).or_default() += 1;
                track.waiting.push_back(Filled {
                    event_ts: report.event_ts,
                    trade_id: fill.trade_id,
                    client_id: report.client_id,
                    is_maker: fill.is_maker,
                    cause,
                    fee_e8: fill.fee_e8,
                    fee_asset: fill.fee_asset,
                    fee: track.kpis.ledger().pnl().fees - fees_before,
                    position: track.kpis.ledger().atoms(),
                });
            }
            Some((report, ExecKind::Rejected(_))) => track.kpis.on_rejected(report.client_id),
            _ => {}
        }
        track.kpis.on_standing(now, standing_of(snapshot));
        if now >= track.next_row
            && let Some(row) = row_of(now, snapshot)
        {
            track.rows.push(row);
            if track.rows.len() > ROWS_MAX {
                let mut keeps = false;
                track.rows.retain(|_| {
                    keeps = !keeps;
                    keeps
                });
                track.interval = DurationNs::from_nanos(track.interval.nanos() * 2);
            }
            track.next_row = now.plus(track.interval);
        }
    }

    fn hand_out(&mut self, take_fill: &mut TakeFill<'_>) -> Result<(), Failure> {
        self.tracks.iter_mut().enumerate().try_for_each(|(index, track)| track.hand_out(index, take_fill))
    }

    fn finish(mut self, take_fill: &mut TakeFill<'_>) -> Result<Told, Failure> {
        let (mut last, mut records) = (Vec::new(), Vec::new());
        if self.tracks.is_empty() {
            self.start(TimestampNs::ZERO);
        }
        for (index, mut track) in self.tracks.into_iter().enumerate() {
            let snapshot = self.pipeline.snapshot(track.instrument.id);
            track.rows.extend(row_of(snapshot.now, &snapshot));
            let counters = snapshot.counters;
            let counts = OrderCounts {
                accepted: counters.accepted,
                rejected: counters.rejected_total(),
                post_only_rejected: counters.post_only_rejects(),
                modelled: counters.modelled,
                floor_bound: counters.floor_bound,
                clamped: counters.clamped,
            };
            let kpis = track.kpis.finish(snapshot.now, counts, self.options.latency);
            track.hand_out(index, take_fill)?;
            records.push(SessionRecord {
                instrument: track.instrument,
                fills: track.fills.into_values(),
                fills_by_cause: track.fills_by_cause,
                position: track.kpis.ledger().atoms(),
                pnl: track.rows,
                last_mid: track.kpis.ledger().mid(),
                kpis,
            });
            last.push((track.instrument, snapshot));
        }
        Ok(Told { records, last, first_order: self.first_order })
    }
}

fn standing_of(snapshot: &PipelineSnapshot) -> Standing {
    let resting = |side: Side| {
        let price = if side == Side::Bid { snapshot.own_bid } else { snapshot.own_ask };
        price.map(|price| Resting { price, qty: snapshot.own_qty[side.index()] })
    };
    Standing {
        mid: snapshot.mark,
        touch: snapshot.best_bid.zip(snapshot.best_ask).map(|(bid, ask)| [bid, ask]),
        own: Side::pair(resting),
        position_max: snapshot.position_max,
    }
}

fn row_of(now: TimestampNs, snapshot: &PipelineSnapshot) -> Option<PnlRow> {
    Some(PnlRow {
        ts: now,
        mid: snapshot.mark?,
        quotes: [snapshot.own_bid, snapshot.own_ask],
        position: snapshot.position_atoms,
        total: snapshot.pnl.total,
        spread: snapshot.pnl.spread,
        inventory: snapshot.pnl.inventory,
        fees: snapshot.pnl.fees,
        model: ModelFigures {
            sigma_ticks: snapshot.sigma_ticks,
            tau: snapshot.tau,
            tau_raw: snapshot.tau_raw,
            tau_signed: snapshot.tau_signed,
            k_ticks: Some(snapshot.k_ticks),
            gamma: snapshot.gamma,
            kappa_ticks: snapshot.kappa_ticks,
            half_spread_ticks: snapshot.half_spread_ticks,
        },
    })
}

fn unreadable(session_dir: &Path, error: &JournalError) -> Failure {
    not_a_session(session_dir, error.to_string())
}

fn bad_record(session_dir: &Path, stream: Stream, seq: u64, error: RecordError) -> Failure {
    not_a_session(session_dir, format!("record {seq} of the {} stream: {error}", stream.name()))
}

fn not_a_session(session_dir: &Path, why: String) -> Failure {
    Failure::new(
        "E_RPT_001",
        exit::INPUT,
        format!("no report can be made from the journal {}", session_dir.display()),
        why,
        "the journal is kept as it is; `touchline inspect` shows what can be read of it",
    )
}
