//! Every built-in quoter trades a whole session in virtual time: the venue's books agree, nothing is left open, orders are
//! amended in their place, and the journal replays to the same actions.

use touchline::pipeline::{PipelineConfig, QuoterKind, ToxicityKind};
use touchline::run::flow::{CLIENT, FeeRate, FlowArgs};
use touchline::run::replay::verify;
use touchline::run::virtual_session::{VirtualConfig, VirtualOutcome, run};
use touchline::sim::Venue;
use touchline::sim::latency::LatencyModel;
use touchline::types::{DurationNs, SessionId, TimestampNs};

fn session(folder: &std::path::Path, kind: QuoterKind, toxicity: ToxicityKind) -> VirtualOutcome {
    let start = TimestampNs::from_millis(1_767_225_600_000);
    let market = FlowArgs { synthetic: 5, maker_fee_bps: FeeRate(0), ..FlowArgs::default() }.plan(start).unwrap();
    let mut pipeline = PipelineConfig::default();
    pipeline.quoter.kind = kind;
    pipeline.quoter.toxicity = toxicity;
    pipeline.quoter.maker_fee_bps = 0.0;
    pipeline.quoter.k_ticks = 4.0;
    // Sizes follow the position closely, so that orders are often only too large.
    pipeline.quoter.size_tolerance = 0.05;
    pipeline.estimators.k = touchline::pipeline::LearnKind::Fixed;
    let config = VirtualConfig {
        session: SessionId(11),
        mode: "demo",
        pipeline,
        warm: None,
        length: DurationNs::from_secs(40),
        latencies: LatencyModel::default(),
        journal_dir: folder.to_owned(),
        account: CLIENT,
    };
    run(&config, Venue::new(market.venue, market.sources).unwrap()).unwrap()
}

#[test]
fn each_model_trades_and_its_journal_replays() {
    let folder = tempfile::tempdir().unwrap();
    let mut amended = 0;
    for (index, (kind, toxicity)) in [
        (QuoterKind::Naive, ToxicityKind::Off),
        (QuoterKind::Hybrid, ToxicityKind::Symmetric),
        (QuoterKind::Hybrid, ToxicityKind::Signed),
        (QuoterKind::As, ToxicityKind::Off),
        (QuoterKind::Glft, ToxicityKind::Off),
        (QuoterKind::Ev, ToxicityKind::Off),
    ]
    .into_iter()
    .enumerate()
    {
        let outcome = session(&folder.path().join(index.to_string()), kind, toxicity);
        let (instrument, figures) = outcome.snapshots[0];
        let counters = figures.counters;
        assert!(counters.fills > 3, "{kind:?} {toxicity:?}: {counters:?}");
        assert_eq!(outcome.open_orders, 0);
        let lots = outcome.balance_changes[0].0 / instrument.spec.lot_e8;
        assert_eq!(figures.position.lots(), lots, "{kind:?}: the venue's balance is our position");
        assert_eq!(counters.unknowns, counters.unknowns_resolved);
        amended += counters.amended;
        let replayed = verify(&outcome.journal, None).unwrap();
        assert!(replayed.identical, "{kind:?}: {:?} {:?}", replayed.first_difference, replayed.digests_differ);
    }
    assert!(amended > 3, "orders were amended {amended} times");
}
