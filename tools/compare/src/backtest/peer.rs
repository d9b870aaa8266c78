//! The same quoter on hftbacktest, as published.

use std::path::Path;

use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::read_npy_file;
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, PowerProbQueueFunc3, ProbQueueModel, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, DataSource, ExchangeKind, L2AssetBuilder};
use hftbacktest::depth::{
    HashMapMarketDepth, INVALID_MAX, INVALID_MIN, L2MarketDepth, MarketDepth, ROIVectorMarketDepth,
};
use hftbacktest::types::{Bot, ElapseResult, Event, OrdType, Side, Status, TimeInForce};
use touchline::types::DurationNs;

use super::tape::{LATENCY, QUOTED_LOTS, THEIRS, Units};
use super::{Execution, Played, Queue};
use crate::machine::cpu_seconds;

/// Which of its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Book {
    Roi,
    Hash,
}

/// Plays the tape; `every` is the time between looks, or none for one at each event. Loading is not timed.
pub fn play(
    folder: &Path,
    book: Book,
    every: Option<DurationNs>,
    queue: Queue,
    units: Units,
    is_kept: bool,
) -> Result<Played, String> {
    let Units { tick, lot } = units;
    match book {
        // As wide as the workload's walk and its levels; beyond, it would keep nothing.
        Book::Roi => {
            let depth = move || ROIVectorMarketDepth::new(tick, lot, 400_000.0 * tick, 600_000.0 * tick);
            play_on(folder, depth, every, queue, units, is_kept)
        }
        Book::Hash => play_on(folder, move || HashMapMarketDepth::new(tick, lot), every, queue, units, is_kept),
    }
}

fn play_on<MD: MarketDepth + L2MarketDepth + 'static>(
    folder: &Path,
    depth: impl Fn() -> MD + 'static,
    every: Option<DurationNs>,
    queue: Queue,
    units: Units,
    is_kept: bool,
) -> Result<Played, String> {
    let path = folder.join(THEIRS);
    let data = read_npy_file::<Event>(&path.to_string_lossy()).map_err(|error| format!("the tape: {error}"))?;
    let events = data.len() as u64;
    let latency = LATENCY.nanos() as i64;
    macro_rules! asset {
        ($model:expr) => {
            L2AssetBuilder::new()
                .data(vec![DataSource::Data(data)])
                .parallel_load(false)
                .latency_model(ConstantLatency::new(latency, latency))
                .asset_type(LinearAsset::new(1.0))
                .fee_model(TradingValueFeeModel::new(CommonFees::new(0.0, 0.0)))
                .exchange(ExchangeKind::NoPartialFillExchange)
                .queue_model($model)
                .depth(depth)
                .build()
        };
    }
    let asset = match queue {
        Queue::RiskAverse => asset!(RiskAdverseQueueModel::new()),
        Queue::Power => asset!(ProbQueueModel::new(PowerProbQueueFunc3::new(3.0))),
    };
    let asset = asset.map_err(|error| format!("hftbacktest: {error:?}"))?;
    let mut quoter = Quoter {
        hbt: Backtest::builder().add_asset(asset).build().map_err(|error| format!("hftbacktest: {error:?}"))?,
        units,
        orders: 0,
        leaving: Vec::new(),
        kept: is_kept.then(Vec::new),
    };
    let before = cpu_seconds();
    loop {
        let step = match every {
            Some(every) => quoter.hbt.elapse(every.nanos() as i64),
            // Nothing is further away than a day.
            None => quoter.hbt.wait_next_feed(false, 86_400_000_000_000),
        };
        if step.map_err(|error| format!("hftbacktest: {error:?}"))? == ElapseResult::EndOfData {
            break;
        }
        quoter.requote().map_err(|error| format!("hftbacktest: {error}"))?;
    }
    quoter.keep();
    let fills = quoter.hbt.state_values(0).num_trades as u64;
    let seconds = cpu_seconds() - before;
    Ok(Played { events, seconds, fills, orders: quoter.orders, kept: quoter.kept.unwrap_or_default() })
}

struct Quoter<MD> {
    hbt: Backtest<MD>,
    units: Units,
    orders: u64,
    leaving: Vec<u64>,
    kept: Option<Vec<Execution>>,
}

impl<MD: MarketDepth> Quoter<MD> {
    /// Takes what has been filled, as we have been told.
    fn keep(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let filled = self.hbt.orders(0).values().filter(|order| order.status == Status::Filled);
        kept.extend(filled.map(|order| Execution {
            at_ns: order.exch_timestamp as u64,
            is_buy: order.side == Side::Buy,
            tick: order.exec_price_tick,
        }));
    }

    fn requote(&mut self) -> Result<(), String> {
        self.keep();
        self.hbt.clear_inactive_orders(Some(0));
        let depth = self.hbt.depth(0);
        let (bid, ask) = (depth.best_bid_tick(), depth.best_ask_tick());
        if bid == INVALID_MIN || ask == INVALID_MAX {
            return Ok(());
        }
        let told = |error: <Backtest<MD> as Bot<MD>>::Error| format!("{error:?}");
        for (side, tick) in [(Side::Buy, bid - 1), (Side::Sell, ask + 1)] {
            let mut stands = false;
            for order in self.hbt.orders(0).values() {
                if order.side != side || order.req == Status::Canceled {
                    continue;
                }
                if order.price_tick == tick {
                    stands = true;
                } else if order.cancellable() {
                    self.leaving.push(order.order_id);
                }
            }
            for number in self.leaving.drain(..) {
                self.hbt.cancel(0, number, false).map_err(told)?;
            }
            if stands {
                continue;
            }
            self.orders += 1;
            let (price, qty) = (tick as f64 * self.units.tick, QUOTED_LOTS as f64 * self.units.lot);
            let (number, gtx, limit) = (self.orders, TimeInForce::GTX, OrdType::Limit);
            match side {
                Side::Buy => self.hbt.submit_buy_order(0, number, price, qty, gtx, limit, false),
                _ => self.hbt.submit_sell_order(0, number, price, qty, gtx, limit, false),
            }
            .map_err(told)?;
        }
        Ok(())
    }
}
