//! A quoter of one's own: it leans with the imbalance of the book, against its position, and runs in virtual time.
use touchline::pipeline::{Digester, PipelineConfig, quoter};
use touchline::run::flow::{CLIENT, FeeRate, FlowArgs};
use touchline::run::virtual_session::{VirtualConfig, VirtualOutcome, run_with_quoters};
use touchline::sim::{Venue, latency::LatencyModel};
use touchline::types::{DurationNs, SessionId, TimestampNs};

struct ImbalanceQuoter {
    half_spread_ticks: f64,
    lean_ticks: f64,
}

impl quoter::Quoter for ImbalanceQuoter {
    fn quote(&mut self, inputs: &quoter::QuoteInputs) -> Option<quoter::WantedQuote> {
        let imbalance = inputs.book.imbalance[0]?.value;
        let usage = inputs.position_base / inputs.position_max_base;
        let centre = inputs.book.mid.ticks_f64() + self.lean_ticks * (imbalance - usage);
        Some(quoter::WantedQuote {
            bid_ticks: centre - self.half_spread_ticks,
            ask_ticks: centre + self.half_spread_ticks,
            bid_qty: inputs.order_qty,
            ask_qty: inputs.order_qty,
            half_spread_ticks: self.half_spread_ticks,
            floor_bound: false,
        })
    }

    fn digest(&self, digester: &mut Digester) {
        digester.f64(self.half_spread_ticks);
        digester.f64(self.lean_ticks);
    }
}

/// A session of that many seconds; its journal goes to the folder.
pub(crate) fn session(seconds: u64, folder: std::path::PathBuf) -> Result<VirtualOutcome, Box<dyn std::error::Error>> {
    let start = TimestampNs::from_millis(1_767_225_600_000);
    let market = FlowArgs { maker_fee_bps: FeeRate(0), ..FlowArgs::default() }.plan(start)?;
    let config = VirtualConfig {
        session: SessionId(1),
        mode: "example",
        pipeline: PipelineConfig::default(),
        warm: None,
        length: DurationNs::from_secs(seconds),
        latencies: LatencyModel::default(),
        journal_dir: folder,
        account: CLIENT,
    };
    Ok(run_with_quoters(&config, Venue::new(market.venue, market.sources)?, &mut |_| {
        Box::new(ImbalanceQuoter { half_spread_ticks: 5.0, lean_ticks: 4.0 })
    })?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (instrument, figures) in session(60, "runs".into())?.snapshots {
        let (fills, lots, pnl) = (figures.counters.fills, figures.position.lots(), figures.pnl.total);
        println!("{}: fills {fills}, position {lots} lots, PnL {pnl}", instrument.symbol());
    }
    Ok(())
}
