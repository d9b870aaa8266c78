//! The end of a session on a simulated exchange: its word against ours, the files, the verdict. Shared by the demo and
//! the backtest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::report::Causes;
use super::virtual_session::VirtualOutcome;
use super::{Failure, exit, output, report};
use crate::archive::{ConvertOptions, convert};
use crate::kpi::KpiRules;
use crate::kpi::markout::{MARKOUT_HORIZONS, horizon_name};
use crate::metrics::{Hop, LatencySummary};
use crate::pipeline::PipelineSnapshot;
use crate::report::{
    Decimal, ExchangeText, Latency, MarkoutText, PageHead, PnlText, RedisCounts, Summary, write_fills, write_page,
    write_pnl, write_whole,
};
use crate::server::metrics::REJECT_NAMES;
use crate::sim::{FillCause, TradeRow};
use crate::types::{BaseAtoms, DurationNs, Instrument, Money, SessionId};

/// What the exchange says of our account, asked at the end.
#[derive(Clone, Debug)]
pub struct VenueWord {
    /// Change of each instrument's base and quote balance since the start, in 1e-8.
    pub balance_changes: Vec<(i64, i64)>,
    /// Executions, each with its cause.
    pub trades: Vec<TradeRow>,
    /// Own orders open.
    pub open_orders: usize,
    /// Digest of each instrument's exogenous flow.
    pub flow_digests: Vec<u64>,
}

/// A session that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The session.
    pub session: SessionId,
    /// Its folder in the journal.
    pub journal: PathBuf,
    /// `wall` or `virtual`.
    pub clock: &'static str,
    /// How long it lasted.
    pub lasted: DurationNs,
    /// Last figures, as the engine had them.
    pub instruments: Vec<(Instrument, PipelineSnapshot)>,
    /// What the exchange says.
    pub venue: VenueWord,
    /// Tick to order.
    pub latency: LatencySummary,
    /// Its hops.
    pub hops: Vec<(Hop, LatencySummary)>,
    /// From the program's start to the first order.
    pub first_quote_ms: Option<f64>,
    /// Books that lost sync and found it again.
    pub desyncs: u64,
    /// What went to Redis.
    pub redis: Option<RedisCounts>,
    /// The tiles' seats.
    pub plan: Option<String>,
    /// What the KPIs' definitions leave open, with the exchange's own commissions.
    pub rules: KpiRules,
    /// Why the engine ended, when it was not asked to.
    pub failure: Option<Failure>,
}

impl Ended {
    /// A session in virtual time, with no threads, no outages of other servers and no failure of its own.
    pub fn in_virtual_time(session: SessionId, outcome: VirtualOutcome, rules: KpiRules) -> Ended {
        Ended {
            session,
            journal: outcome.journal,
            clock: "virtual",
            lasted: outcome.lasted,
            instruments: outcome.snapshots,
            venue: VenueWord {
                balance_changes: outcome.balance_changes,
                trades: outcome.trades,
                open_orders: outcome.open_orders,
                flow_digests: outcome.flow_digests,
            },
            // Decisions take no virtual time: there are samples, and all of them are zero.
            latency: LatencySummary { count: outcome.orders_sent, ..LatencySummary::default() },
            hops: Vec::new(),
            first_quote_ms: outcome.first_quote_after.map(|after| after.nanos() as f64 / 1e6),
            desyncs: outcome.desyncs,
            redis: None,
            plan: None,
            rules,
            failure: None,
        }
    }

    /// Why the exchange says that each trade of ours happened.
    pub fn causes(&self) -> Causes {
        let rows = self.venue.trades.iter();
        rows.map(|row| ((row.symbol.index(), row.trade_id.0), row.cause.name())).collect()
    }
}

/// What the files say of a session besides its figures.
#[derive(Clone, Debug)]
pub struct Caption {
    /// The verb.
    pub mode: &'static str,
    /// Seed of what is random.
    pub seed: u64,
    /// `synthetic`, or the recordings.
    pub source: String,
    /// The maker commission, in 1e-4 of the notional.
    pub fee_bps: f64,
    /// What simulated the exchange, in a backtest.
    pub exchange: Option<ExchangeText>,
    /// The output folder.
    pub out: PathBuf,
}

/// Writes everything into the output folder and returns the summary.
///
/// # Errors
/// When a file cannot be written or the journal cannot be read.
pub fn write_out(caption: &Caption, ended: &Ended) -> Result<Summary, Failure> {
    let rules = ended.rules.clone();
    // Decisions take no virtual time: there is nothing to tell.
    let latency = (ended.clock == "wall").then_some(ended.latency);
    let told = report::read_session(&ended.journal, &report::ReadOptions { causes: ended.causes(), rules, latency })?;
    let parquet = caption.out.join("parquet");
    convert(&ended.journal, &parquet, &ConvertOptions::default()).map_err(|error| {
        Failure::new(
            "E_DEMO_004",
            exit::OUTPUT,
            format!("the Parquet tables cannot be written to {}", parquet.display()),
            error.to_string(),
            "mend the cause and run `touchline convert` on the journal, which is kept",
        )
    })?;
    let report_path = caption.out.join("report.html");
    // A recording with several symbols is played whole, and the first one is reported on.
    let record = told.records.first().ok_or_else(|| Failure::bug("a session without instruments"))?;
    let (instrument, snapshot) = last_of(ended, &told)?;
    let summary = summarise(caption, ended, &instrument, &snapshot, record, parquet, report_path.clone());
    write_fills(&caption.out.join("fills.csv"), record).map_err(output::report_failure)?;
    write_pnl(&caption.out.join("pnl.csv"), record).map_err(output::report_failure)?;
    let mut text = serde_json::to_string_pretty(&summary)
        .map_err(|error| Failure::bug(format!("the summary has no text: {error}")))?;
    text.push('\n');
    write_whole(&caption.out.join("summary.json"), text.as_bytes()).map_err(output::report_failure)?;
    write_page(&report_path, &PageHead::from(&summary), record).map_err(output::report_failure)?;
    Ok(summary)
}

/// The last figures: the engine's own, which the journal must repeat.
fn last_of(ended: &Ended, told: &report::Told) -> Result<(Instrument, PipelineSnapshot), Failure> {
    told.last.first().or(ended.instruments.first()).copied().ok_or_else(|| Failure::bug("a session without figures"))
}

/// Profit by the venue's balances: what changed, valued at the mark.
fn balance_total(instrument: &Instrument, snapshot: &PipelineSnapshot, change: (i64, i64)) -> Money {
    let (base, quote) = change;
    let held = snapshot.mark.map_or(Money::ZERO, |mark| instrument.value(mark, BaseAtoms::new(base)));
    Money::from_e8(quote) + held
}

fn summarise(
    caption: &Caption,
    ended: &Ended,
    instrument: &Instrument,
    snapshot: &PipelineSnapshot,
    record: &crate::report::SessionRecord,
    parquet: std::path::PathBuf,
    report_path: std::path::PathBuf,
) -> Summary {
    let counters = snapshot.counters;
    let mut fills_by_cause: BTreeMap<&'static str, u64> = FillCause::ALL.map(|cause| (cause.name(), 0)).into();
    for fill in &record.fills {
        *fills_by_cause.entry(fill.cause.unwrap_or("unknown")).or_default() += 1;
    }
    let change = ended.venue.balance_changes.first().copied().unwrap_or_default();
    let points = &record.kpis.markouts;
    let markouts = MARKOUT_HORIZONS.iter().zip(points);
    let markouts = markouts.map(|(horizon, point)| (horizon_name(*horizon), MarkoutText::of(point))).collect();
    Summary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: caption.mode.to_owned(),
        clock: ended.clock,
        seed: caption.seed,
        source: caption.source.clone(),
        exchange: caption.exchange.clone(),
        flow_digest: ended.venue.flow_digests.first().map(|digest| format!("{digest:016x}")),
        session: ended.session.to_string(),
        symbol: instrument.symbol().to_owned(),
        seconds: ended.lasted.secs_f64(),
        ticks: counters.ticks,
        quotes: counters.quotes,
        orders_sent: counters.placed,
        orders_accepted: counters.accepted,
        orders_rejected: counters.rejected_total(),
        rejects_by_reason: REJECT_NAMES
            .iter()
            .map(|(reason, name)| (*name, counters.rejected[*reason as usize]))
            .filter(|(_, count)| *count > 0)
            .collect(),
        cancels_sent: counters.cancels,
        orders_unknown: counters.unknowns,
        fills: counters.fills,
        fills_by_cause,
        fill_ratio: record.kpis.fill_ratio,
        position_lots: snapshot.position.lots(),
        position: Decimal::e8(snapshot.position_atoms.get()),
        fee_bps: caption.fee_bps,
        pnl: PnlText {
            total: Decimal::money(balance_total(instrument, snapshot, change)),
            gross: Decimal::money(snapshot.pnl.gross),
            spread: Decimal::money(snapshot.pnl.spread),
            inventory: Decimal::money(snapshot.pnl.inventory),
            fees: Decimal::money(snapshot.pnl.fees),
        },
        quote_asset: instrument.spec.quote.as_str().to_owned(),
        open_orders_at_exit: ended.venue.open_orders as u64,
        tick_to_order_ns: Latency::from(ended.latency),
        hops_ns: ended
            .hops
            .iter()
            .filter(|(_, of)| of.count > 0)
            .map(|(hop, of)| (hop.name(), Latency::from(*of)))
            .collect(),
        first_quote_ms: ended.first_quote_ms,
        effective_half_spread: points.first().and_then(MarkoutText::of),
        markouts,
        kpis: record.kpis.clone(),
        book_desyncs: ended.desyncs,
        redis: ended.redis,
        plan: ended.plan.clone(),
        journal: ended.journal.clone(),
        parquet,
        report: report_path,
    }
}

/// Tells a person how it went.
pub fn tell(summary: &Summary) {
    let pnl = &summary.pnl;
    println!(
        "{} {}: {:.1} s, {} market updates, {} orders ({} refused), {} fills {:?}",
        summary.symbol,
        summary.source,
        summary.seconds,
        summary.ticks,
        summary.orders_sent,
        summary.orders_rejected,
        summary.fills,
        summary.fills_by_cause,
    );
    println!(
        "PnL in {}: spread {} + inventory {} = gross {}; commissions {} at {} bp; net {}",
        summary.quote_asset,
        pnl.spread.as_str(),
        pnl.inventory.as_str(),
        pnl.gross.as_str(),
        pnl.fees.as_str(),
        summary.fee_bps,
        pnl.total.as_str(),
    );
    let latency = summary.tick_to_order_ns;
    if summary.clock == "wall" && latency.count > 0 {
        println!(
            "tick to order: p50 {:.1} us, p99 {:.1} us, max {:.1} us over {} orders",
            latency.p50 as f64 / 1e3,
            latency.p99 as f64 / 1e3,
            latency.max as f64 / 1e3,
            latency.count
        );
    }
    if let Some(redis) = &summary.redis {
        println!("Redis: {} entries, {} records dropped, {} outages", redis.entries, redis.dropped, redis.outages);
    }
    println!("own orders open at the end, as asked of the venue: {}", summary.open_orders_at_exit);
    println!("report: {}", summary.report.display());
}

/// Whether the session can be called good: every check that the venue's word allows.
///
/// # Errors
/// The engine's own failure first, then orders left open, then money that does not agree.
pub fn verdict(ended: &Ended, summary: &Summary) -> Result<(), Failure> {
    if let Some(failure) = &ended.failure {
        return Err(failure.clone());
    }
    if summary.open_orders_at_exit > 0 {
        return Err(Failure::new(
            "E_RUN_002",
            exit::HALTED,
            format!("{} own orders are open at the end", summary.open_orders_at_exit),
            "the venue did not confirm that they are gone",
            "report it with the output folder",
        ));
    }
    for (index, (instrument, snapshot)) in ended.instruments.iter().enumerate() {
        let change = ended.venue.balance_changes.get(index).copied().unwrap_or_default();
        let trades = ended.venue.trades.iter().filter(|row| row.symbol == instrument.id).count() as u64;
        if let Some(failure) = money_differs(instrument, snapshot, change, trades) {
            return Err(failure);
        }
    }
    Ok(())
}

/// Compares the exchange's balances and its number of trades with our own count.
pub fn money_differs(
    instrument: &Instrument,
    snapshot: &PipelineSnapshot,
    change: (i64, i64),
    venue_fills: u64,
) -> Option<Failure> {
    let by_venue = balance_total(instrument, snapshot, change);
    let by_fills = snapshot.pnl.spread + snapshot.pnl.inventory - snapshot.pnl.fees;
    if by_venue == by_fills && venue_fills == snapshot.counters.fills {
        return None;
    }
    Some(Failure::new(
        "E_DEMO_003",
        exit::MISMATCH,
        format!(
            "{}: the venue's balances say {by_venue} from {venue_fills} fills, our own count says {by_fills} from {}",
            instrument.symbol(),
            snapshot.counters.fills
        ),
        "a fill was missed or counted twice",
        "report it with the output folder: its journal holds every input",
    ))
}
