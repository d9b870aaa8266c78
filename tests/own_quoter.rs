//! A quoter that stands outside the crate trades in the virtual session, and its run repeats.

#[path = "../examples/imbalance_quoter.rs"]
#[allow(dead_code, reason = "the example's own main is not called here")]
mod example;

#[test]
fn the_examples_quoter_trades_and_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let first = example::session(10, folder.path().join("a")).unwrap();
    let again = example::session(10, folder.path().join("b")).unwrap();
    let figures = first.snapshots[0].1;
    assert!(figures.counters.fills > 5 && first.open_orders == 0, "{:?}", figures.counters);
    assert_eq!(figures.pnl.total, figures.pnl.gross - figures.pnl.fees);
    assert_eq!(figures, again.snapshots[0].1);
    assert!(include_str!("../examples/imbalance_quoter.rs").lines().count() < 60, "the example is to stay short");
}
