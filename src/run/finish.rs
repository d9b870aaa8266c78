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
    Decimal, ExchangeText, FillTables, Latency, MarkoutText, PageHead, PnlText, RedisCounts, SessionRecord, Summary,
    path_of, write_page, write_pnl, write_whole,
};
use crate::server::metrics::REJECT_NAMES;
use crate::types::{DurationNs, Instrument, Money, SessionId};

/// What the exchange says of our account, asked at the end.
#[derive(Clone, Debug)]
pub struct VenueWord {
    /// Change of each instrument's base and quote balance since the start, in 1e-8.
    pub balance_changes: Vec<(i64, i64)>,
    /// Why each execution happened.
    pub causes: Causes,
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
                causes: outcome.causes,
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
    let told = told_of(caption, ended, rules, latency)?;
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
    let mut summaries = Vec::with_capacity(told.records.len());
    let mut net: BTreeMap<String, Money> = BTreeMap::new();
    for (index, record) in told.records.iter().enumerate() {
        let path = |stem: &str, ending: &str| path_of(&caption.out, stem, ending, index, &record.instrument);
        // The engine's own last figures, which the journal must repeat.
        let of = told.last.get(index).or(ended.instruments.get(index)).copied();
        let (instrument, snapshot) = of.ok_or_else(|| Failure::bug("an instrument without figures"))?;
        let summary =
            summarise(caption, ended, (index, &instrument, &snapshot), record, parquet.clone(), path("report", "html"));
        *net.entry(summary.quote_asset.clone()).or_default() += snapshot.pnl.total;
        write_pnl(&path("pnl", "csv"), record).map_err(output::report_failure)?;
        write_page(&summary.report, &PageHead::from(&summary), record).map_err(output::report_failure)?;
        summaries.push(summary);
    }
    let mut summaries = summaries.into_iter();
    let mut summary = summaries.next().ok_or_else(|| Failure::bug("a session without instruments"))?;
    summary.others = summaries.collect();
    if !summary.others.is_empty() {
        summary.net_of_all = net.into_iter().map(|(asset, net)| (asset, Decimal::money(net))).collect();
    }
    let mut text = serde_json::to_string_pretty(&summary)
        .map_err(|error| Failure::bug(format!("the summary has no text: {error}")))?;
    text.push('\n');
    write_whole(&caption.out.join("summary.json"), text.as_bytes()).map_err(output::report_failure)?;
    Ok(summary)
}

/// What the journal tells; its fills are written on the way.
fn told_of(
    caption: &Caption,
    ended: &Ended,
    rules: KpiRules,
    latency: Option<LatencySummary>,
) -> Result<report::Told, Failure> {
    let instruments: Vec<Instrument> = ended.instruments.iter().map(|(instrument, _)| *instrument).collect();
    let mut fills = FillTables::create(&caption.out, &instruments).map_err(output::report_failure)?;
    let options = report::ReadOptions { causes: Some(&ended.venue.causes), rules, latency };
    let told = report::read_session(&ended.journal, &options, &mut |index, fill| {
        fills.write(index, fill).map_err(output::report_failure)
    })?;
    fills.finish().map_err(output::report_failure)?;
    Ok(told)
}

fn summarise(
    caption: &Caption,
    ended: &Ended,
    (index, instrument, snapshot): (usize, &Instrument, &PipelineSnapshot),
    record: &SessionRecord,
    parquet: PathBuf,
    report_path: PathBuf,
) -> Summary {
    let counters = snapshot.counters;
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
        flow_digest: ended.venue.flow_digests.get(index).map(|digest| format!("{digest:016x}")),
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
        fills_by_cause: record.fills_by_cause.clone(),
        fill_ratio: record.kpis.fill_ratio,
        position_lots: snapshot.position.lots(),
        position: Decimal::e8(snapshot.position_atoms.get()),
        fee_bps: caption.fee_bps,
        pnl: PnlText {
            total: Decimal::money(snapshot.pnl.total),
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
        net_of_all: BTreeMap::new(),
        others: Vec::new(),
    }
}

/// Tells a person how it went.
pub fn tell(summary: &Summary) {
    for of in std::iter::once(summary).chain(&summary.others) {
        tell_symbol(of);
    }
    for (asset, net) in &summary.net_of_all {
        println!("all symbols: net {} {asset}", net.as_str());
    }
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

fn tell_symbol(summary: &Summary) {
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
    let fills: Vec<u64> = ended.instruments.iter().map(|(one, _)| ended.venue.causes.count(one.id)).collect();
    money_differs(&ended.instruments, &ended.venue.balance_changes, &fills).map_or(Ok(()), Err)
}

/// Compares the exchange's balances, asset by asset, and its number of trades with our own count; `changes` and `fills` are
/// instrument by instrument.
pub fn money_differs(
    instruments: &[(Instrument, PipelineSnapshot)],
    changes: &[(i64, i64)],
    fills: &[u64],
) -> Option<Failure> {
    // What each asset changed by: by the venue, and by our fills, where an asset may belong to several instruments.
    let mut assets: BTreeMap<&str, (Money, Money)> = BTreeMap::new();
    for (index, (instrument, snapshot)) in instruments.iter().enumerate() {
        let (base, quote) = changes.get(index).copied().unwrap_or_default();
        let atoms = snapshot.position_atoms;
        let held = snapshot.mark.map_or(Money::ZERO, |mark| instrument.value(mark, atoms));
        let cash = snapshot.pnl.spread + snapshot.pnl.inventory - snapshot.pnl.fees - held;
        let own_base = Money::from_e8(atoms.get());
        for (asset, venue, own) in [(&instrument.spec.base, base, own_base), (&instrument.spec.quote, quote, cash)] {
            let of = assets.entry(asset.as_str()).or_default();
            *of = (Money::from_e8(venue), of.1 + own);
        }
        let (venue, own) = (fills.get(index).copied().unwrap_or_default(), snapshot.counters.fills);
        if venue != own {
            return Some(miscounted(format!("{}: the venue has {venue} fills, we have {own}", instrument.symbol())));
        }
    }
    let differing = assets.iter().find(|(_, (venue, own))| venue != own);
    differing.map(|(asset, (venue, own))| {
        miscounted(format!("{asset}: the venue's balance changed by {venue}, our own count says {own}"))
    })
}

fn miscounted(what: String) -> Failure {
    let why = "a fill was missed or counted twice";
    Failure::new(
        "E_DEMO_003",
        exit::MISMATCH,
        what,
        why,
        "report it with the output folder: its journal holds every input",
    )
}
