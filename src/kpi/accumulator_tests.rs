//! KPIs by hand.

use super::samples::{fill, instrument};
use super::*;
use crate::metrics::LatencySummary;
use crate::types::{
    ClientOrderId, Command, FeeAsset, HalfTicks, InstrumentId, Money, NewOrder, OrderKind, Price, Qty, SessionId, Side,
    TimestampNs,
};

fn at(ms: u64) -> TimestampNs {
    TimestampNs::from_millis(ms)
}

fn order(counter: u64) -> ClientOrderId {
    ClientOrderId { session: SessionId(1), counter }
}

fn place(counter: u64, lots: i64) -> Command {
    Command::Place(NewOrder {
        instrument: InstrumentId(0),
        client_id: order(counter),
        side: Side::Bid,
        kind: OrderKind::PostOnly,
        price: Price::from_ticks(9_999),
        qty: Qty::from_lots(lots),
    })
}

fn cancel(counter: u64) -> Command {
    Command::Cancel { instrument: InstrumentId(0), client_id: order(counter), venue_id: None }
}

/// Tick 0.01, lot 0.01, from time nought.
fn start() -> KpiAccumulator {
    KpiAccumulator::new(instrument(1_000_000, 1_000_000), KpiRules::default(), at(0))
}

fn quiet(mid_half_ticks: i64) -> Standing {
    let ticks = mid_half_ticks / 2;
    Standing {
        mid: Some(HalfTicks::new(mid_half_ticks)),
        touch: Some([Price::from_ticks(ticks - 2), Price::from_ticks(ticks + 2)]),
        own: [None, None],
        position_max: Qty::from_lots(100),
    }
}

fn resting(ticks: i64, lots: i64) -> Option<Resting> {
    Some(Resting { price: Price::from_ticks(ticks), qty: Qty::from_lots(lots) })
}

#[test]
fn a_session_without_fills_has_no_ratios_that_need_some() {
    let mut kpis = start();
    kpis.on_standing(at(100), quiet(20_000));
    kpis.on_command(at(100), &place(1, 10));
    let got = kpis.finish(at(10_000), OrderCounts { accepted: 1, ..OrderCounts::default() }, None);
    assert_eq!((got.fills, got.order_to_trade, got.order_messages), (0, None, 1));
    assert_eq!((got.fill_ratio, got.fill_ratio_qty), (Some(0.0), Some(0.0)));
    assert_eq!((got.floor_bound_ratio, got.latency), (None, None));
    assert_eq!(got.sharpe.text(), "n/a (insufficient)");
    assert!(got.pnl.is_exact() && got.pnl.total == Money::ZERO);
    assert_eq!(got.pnl.liquidated, Some(Money::ZERO));
    assert_eq!(got.inventory_cvar95, Some(0.0));
    assert!(got.markouts.iter().all(|point| point.mean_ticks.is_none()));
    assert!(!got.is_inert());
    // The same as JSON: exact amounts, null for what is not known.
    let json = serde_json::to_string(&got).unwrap();
    assert!(json.contains("\"order_to_trade\":null") && json.contains("\"total\":0"), "{json}");
}

#[test]
fn uptime_sides_and_limits_are_weighted_by_time() {
    let mut kpis = start();
    // 0 to 1 s nothing known; 1 to 3 s a bid; 3 to 4 s both; 4 to 5 s both, the ask a fraction too small; 5 to 10 s an ask
    // one tick beyond 50 bp of the mid at 100.00.
    let with = |bid, ask| Standing { own: [bid, ask], ..quiet(20_000) };
    kpis.on_standing(at(1_000), with(resting(9_950, 10), None));
    kpis.on_standing(at(3_000), with(resting(9_950, 10), resting(10_050, 10)));
    kpis.on_standing(at(4_000), with(resting(9_950, 10), resting(10_050, 0)));
    kpis.on_standing(at(5_000), with(None, resting(10_051, 10)));
    let got = kpis.finish(at(10_000), OrderCounts::default(), None);
    assert_eq!((got.quote_uptime, got.two_sided), (Some(0.4), Some(0.1)));
    assert_eq!(got.time_below_limit, Some(1.0));

    // The limit is 100 lots: 50 lots are not above half, 51 are; 100 are not below the limit.
    let mut kpis = start();
    kpis.on_standing(at(0), quiet(20_000));
    for (ms, lots) in [(1_000, 50), (2_000, 1), (3_000, 40), (4_000, 9)] {
        kpis.on_fill(at(ms), order(1), &fill(Side::Bid, 10_000, lots, 0, FeeAsset::None));
    }
    let got = kpis.finish(at(5_000), OrderCounts::default(), None);
    assert_eq!(got.time_above_half, Some(3.0 / 5.0));
    assert_eq!((got.time_above_nine_tenths, got.time_below_limit), (Some(2.0 / 5.0), Some(4.0 / 5.0)));
}

#[test]
fn orders_fills_and_messages_are_counted() {
    let mut kpis = start();
    kpis.on_standing(at(0), quiet(20_000));
    for counter in 1..=4 {
        kpis.on_command(at(500), &place(counter, 10));
    }
    kpis.on_command(at(600), &cancel(2));
    kpis.on_rejected(order(4));
    // Two fills of one order, 6 of the 30 lots that were in the market.
    for lots in [2, 4] {
        kpis.on_fill(at(700), order(1), &fill(Side::Bid, 9_999, lots, 0, FeeAsset::None));
    }
    let counts =
        OrderCounts { accepted: 3, rejected: 1, post_only_rejected: 1, modelled: 10, floor_bound: 10, clamped: 5 };
    let latency = LatencySummary { p50: 1, p99: 2, max: 3, count: 4, ..LatencySummary::default() };
    let got = kpis.finish(at(1_000), counts, Some(latency));
    assert_eq!((got.fill_ratio, got.fill_ratio_qty), (Some(1.0 / 3.0), Some(0.2)));
    assert_eq!((got.order_messages, got.order_to_trade), (5, Some(2.5)));
    assert_eq!((got.post_only_reject_ratio, got.clamp_ratio), (Some(0.25), Some(0.25)));
    assert_eq!((got.floor_bound_ratio, got.is_inert()), (Some(1.0), true));
    assert_eq!(got.warmup_s, Some(0.5));
    // 0.06 at 99.99.
    assert_eq!(got.turnover.to_string(), "5.9994");
    assert_eq!(got.latency.map(|latency| latency.p99_ns), Some(2));
}

#[test]
fn the_profit_splits_both_ways_and_its_fall_is_seen() {
    let mut kpis = start();
    kpis.on_standing(at(0), quiet(20_000));
    // Buy 1.00 at 99.99, 0.001 of it taken as commission; the mid falls to 98 and rises to 103; sell 2.00 at 103.01.
    kpis.on_fill(at(1_000), order(1), &fill(Side::Bid, 9_999, 100, 100_000, FeeAsset::Base));
    kpis.on_standing(at(1_000), quiet(20_000));
    kpis.on_standing(at(2_000), quiet(19_600));
    kpis.on_standing(at(3_000), quiet(20_600));
    kpis.on_fill(at(4_000), order(2), &fill(Side::Ask, 10_301, 200, 1_000_000, FeeAsset::Quote));
    kpis.on_standing(at(4_000), quiet(20_600));
    let got = kpis.finish(at(5_000), OrderCounts::default(), None);
    assert!(got.pnl.is_exact(), "{:?}", got.pnl);
    // Spread 0.01 + 2 x 0.01; inventory 0.999 x 3; commissions 0.1 and 0.01.
    assert_eq!(got.pnl.spread.to_string(), "0.03");
    assert_eq!(got.pnl.inventory.to_string(), "2.997");
    assert_eq!(got.pnl.fees.to_string(), "0.11");
    assert_eq!(got.pnl.total.to_string(), "2.917");
    // Peak 0 at the start, then 0.01 - 0.1 - 2 x 0.999 = -2.088.
    assert_eq!(got.drawdown.deepest.to_string(), "2.088");
    assert_eq!(got.drawdown.longest_s, 2.0);
    // Short 1.001: bought back at 103.02 with 10 bp on top.
    assert_eq!(got.pnl.liquidated.unwrap().to_string(), "2.79385698");
}

#[test]
fn inventory_and_losses_are_sampled_on_their_grids() {
    let mut kpis = start();
    kpis.on_standing(at(0), quiet(20_000));
    // Flat at 1 s, then 1.00 from 1.5 s: samples at 2, 3, … are 100 until the mid is 101 from 119.5 s on.
    kpis.on_fill(at(1_500), order(1), &fill(Side::Bid, 10_000, 100, 0, FeeAsset::None));
    kpis.on_standing(at(61_000), quiet(19_800));
    kpis.on_standing(at(119_500), quiet(20_200));
    let got = kpis.finish(at(120_000), OrderCounts::default(), None);
    // 120 samples, the worst six: one at 101, five at 100.
    assert!((got.inventory_cvar95.unwrap() - 601.0 / 6.0).abs() < 1e-9, "{:?}", got.inventory_cvar95);
    // Minutes: 0 and +1. The worst loss is of the first one.
    assert_eq!(got.loss_cvar95, Some(0.0));
    assert_eq!((got.sharpe.count, got.pnl_per_minute), (2, None));
}

#[test]
fn a_fill_is_measured_against_what_stood_before_it() {
    let mut kpis = start();
    kpis.on_standing(at(0), quiet(20_000));
    let first = kpis.on_fill(at(10), order(1), &fill(Side::Bid, 9_998, 1, 0, FeeAsset::None));
    kpis.on_standing(at(10), quiet(19_000));
    assert_eq!((first.mid.get(), first.touch_ticks, first.effective()), (20_000, Some(4), 4));
    assert_eq!(kpis.ledger().pnl().spread.to_string(), "0.0002");
}

#[test]
fn a_long_session_tells_whether_its_profit_is_significant() {
    let run = |wave: i64| {
        let mut kpis = start();
        kpis.on_standing(at(0), quiet(20_000));
        kpis.on_fill(at(1), order(1), &fill(Side::Bid, 10_000, 100, 0, FeeAsset::None));
        for minute in 1..=120_i64 {
            // Up a tick a minute, with a wave on top that returns after every second block.
            let swing = if (minute / 10) % 2 == 0 { wave } else { 0 };
            kpis.on_standing(at(minute as u64 * 60_000 - 1), quiet(20_000 + 2 * minute + swing));
        }
        kpis.finish(at(7_200_000), OrderCounts::default(), None)
    };
    let steady = run(0);
    assert_eq!(steady.pnl_significant, Some(true));
    assert!((steady.pnl_per_minute.unwrap().value - 0.01).abs() < 1e-12);
    assert_eq!(run(2_000).pnl_significant, Some(false));
}
