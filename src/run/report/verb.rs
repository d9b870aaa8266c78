//! `touchline report`: the report of any session with decisions, from its journal alone.
//!
//! Owns the verb's flags and words. What only a venue can tell (its balances, why a trade happened) is not in a journal
//! and not in this report; a demo's own report has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::reconcile::{self, reconcile};
use super::{ReadOptions, Told, read_session};
use crate::config::{Config, ConfigArgs};
use crate::journal::JournalReader;
use crate::metrics::{Hop, LatencySummary, LatencyTable};
use crate::report::{FillTables, PageHead, SessionRecord, path_of, write_page, write_pnl, write_whole};
use crate::run::Failure;
use crate::run::{output, sources};
use crate::types::{Instrument, InstrumentId, TimestampNs};
use crate::wire::Stream;
use crate::wire::gateway::{GatewayEvent, Operation};

/// Flags of `touchline report`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// A session's folder, or a folder that holds one session.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Output folder; RUN/report when left away.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Compare the session with its own orders on the simulated exchange, order by order.
    #[arg(long)]
    pub reconcile: bool,
    /// What says where its orders stand there, as for `backtest`; short for `--set exchange.fill=…`.
    #[arg(long, value_name = "MODEL", requires = "reconcile")]
    pub fill: Option<String>,
    /// How long messages travel there, as for `backtest`; by default what the session's journal shows.
    #[arg(long, value_name = "MODEL|JOURNAL", requires = "reconcile")]
    pub latency: Option<String>,
    /// Print the KPIs as JSON on stdout, one member an instrument, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// Where `report.*` and `exchange.*` are configured.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Reads the journal and writes `report.html`, `kpis.json`, `fills.csv` and `pnl.csv`; with several instruments the
/// first has these names and the others carry their symbol in them.
///
/// # Errors
/// When the journal cannot be read or has no decisions, or the output cannot be written.
pub fn run(args: ReportArgs) -> Result<(), Failure> {
    let set = args.fill.iter().map(|fill| format!("exchange.fill={fill}")).chain(args.config.set.iter().cloned());
    let config = ConfigArgs { config: args.config.config.clone(), set: set.collect() }.load()?;
    let session_dir = sources::one_session(&args.run)?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("report"));
    output::writable_folder(&out)?;
    let reader = JournalReader::open(&session_dir).map_err(|error| super::unreadable(&session_dir, &error))?;
    let latency = sent_latency(&session_dir, &reader)?;
    let options = ReadOptions { rules: config.report.clone(), latency: Some(latency), ..ReadOptions::default() };
    let instruments = reader.info().instruments().map_err(|why| super::not_a_session(&session_dir, why))?;
    let mut fills = FillTables::create(&out, &instruments).map_err(output::report_failure)?;
    let told = read_session(&session_dir, &options, &mut |index, fill| {
        fills.write(index, fill).map_err(output::report_failure)
    })?;
    fills.finish().map_err(output::report_failure)?;
    let mut all = BTreeMap::new();
    for (index, record) in told.records.iter().enumerate() {
        let name = |stem: &str, ending: &str| path_of(&out, stem, ending, index, &record.instrument);
        let head = head_of(&session_dir, &reader, &told, index, latency);
        write_page(&name("report", "html"), &head, record).map_err(output::report_failure)?;
        write_pnl(&name("pnl", "csv"), record).map_err(output::report_failure)?;
        all.insert(record.instrument.symbol().to_owned(), &record.kpis);
    }
    let mut text = serde_json::to_string_pretty(&all).map_err(|error| Failure::bug(format!("no text: {error}")))?;
    text.push('\n');
    write_whole(&out.join("kpis.json"), text.as_bytes()).map_err(output::report_failure)?;
    let reconciled =
        if args.reconcile { reconciled(&session_dir, &config, &args, &told, &out)? } else { String::new() };
    if args.json {
        print!("{text}");
    } else {
        for record in &told.records {
            print!("{}", lines_of(record));
        }
        print!("{reconciled}");
        println!("report: {}", out.join("report.html").display());
    }
    Ok(())
}

/// Writes the comparison with the simulated exchange and answers its text.
fn reconciled(
    session_dir: &Path,
    config: &Config,
    args: &ReportArgs,
    told: &Told,
    out: &Path,
) -> Result<String, Failure> {
    let last_mid =
        |instrument: InstrumentId| told.records.iter().find(|record| record.instrument.id == instrument)?.last_mid;
    let compared = reconcile(session_dir, config, args.latency.as_deref(), last_mid)?;
    let instruments: Vec<Instrument> = told.last.iter().map(|(instrument, _)| *instrument).collect();
    reconcile::write(&compared, &instruments, out)
}

fn lines_of(record: &SessionRecord) -> String {
    let pnl = &record.kpis.pnl;
    format!(
        "{}: {} fills in {:.1} s\nPnL in {}: spread {} + inventory {} = gross {}; commissions {}; net {}\nSharpe {}\n",
        record.instrument.symbol(),
        record.kpis.fills,
        record.kpis.seconds,
        record.instrument.spec.quote.as_str(),
        pnl.spread,
        pnl.inventory,
        pnl.gross,
        pnl.fees,
        pnl.total,
        record.kpis.sharpe.text(),
    )
}

/// Tick to order as the gateways' streams tell it: from the tick's socket read to the request's hand-over.
fn sent_latency(session_dir: &Path, reader: &JournalReader) -> Result<LatencySummary, Failure> {
    let table = LatencyTable::default();
    for lane in 0..reader.lanes(Stream::Gateway) {
        let mut stream = reader.lane(Stream::Gateway, lane).map_err(|error| super::unreadable(session_dir, &error))?;
        while let Some(record) = stream.next().map_err(|error| super::unreadable(session_dir, &error))? {
            let event = GatewayEvent::decode(&record)
                .map_err(|error| super::bad_record(session_dir, Stream::Gateway, record.header.seq, error))?;
            if let GatewayEvent::Sent(sent) = event
                && sent.operation == Operation::Place
                && sent.tick_ts > TimestampNs::ZERO
                && sent.sent_ts > sent.tick_ts
            {
                table.record(Hop::TickToOrder, sent.sent_ts.since(sent.tick_ts).nanos());
            }
        }
    }
    Ok(table.summary(Hop::TickToOrder))
}

fn head_of(session_dir: &Path, reader: &JournalReader, told: &Told, index: usize, latency: LatencySummary) -> PageHead {
    let (instrument, snapshot) = &told.last[index];
    let counters = snapshot.counters;
    let activity = [
        ("market updates", counters.ticks),
        ("quote changes", counters.quotes),
        ("orders sent", counters.placed),
        ("orders accepted", counters.accepted),
        ("orders refused", counters.rejected_total()),
        ("cancels sent", counters.cancels),
        ("orders in doubt for a while", counters.unknowns),
        ("fills", counters.fills),
    ];
    PageHead {
        title: format!("{} ({})", instrument.symbol(), reader.info().mode),
        facts: format!(
            "Session {}, {:.1} s, from the journal {}.",
            reader.info().session_id(),
            told.records[index].kpis.seconds,
            session_dir.display()
        ),
        activity: activity.map(|(name, count)| (name.to_owned(), count.to_string())).to_vec(),
        latency_caption: "Tick to order sent, \u{b5}s".to_owned(),
        latency: Some(latency.into()).filter(|_| latency.count > 0),
        // A journal holds when a tick was read and when an order was sent, and not what lies between.
        hops: Vec::new(),
        first_quote_ms: None,
    }
}
