//! What is learnt from the tape and from the mids that follow it.

use std::hint::black_box;

use touchline::pipeline::estimators::{Estimators, Surroundings};
use touchline::pipeline::features::{Features, Toxicity};
use touchline::types::{HalfTicks, InstrumentId, Price, Qty, Side, TimestampNs, Trade, TradeId};

use super::Case;
use super::decide::config;
use super::frames::instrument;

const PRINTS: u64 = 320;

fn print(number: u64, now: TimestampNs, aggressor: Side, price: i64) -> Trade {
    Trade {
        instrument: InstrumentId(0),
        event_ts: now,
        recv_ts: now,
        id: TradeId(number as i64),
        price: Price::from_ticks(price),
        qty: Qty::from_lots(20_000),
        aggressor,
    }
}

fn at(number: u64) -> TimestampNs {
    TimestampNs::from_millis(1_700_000_000_000 + number * 100)
}

/// Only buyers: however the tape is cut into buckets, toxicity is one.
pub fn tape() -> Case {
    let mut features = Features::new(&config().features, &instrument());
    let mut number = 0_u64;
    let mut run = move || {
        let mut one_sided = 0;
        for _ in 0..PRINTS {
            number += 1;
            features.on_trade(black_box(&print(number, at(number), Side::Bid, 6_000_001)));
            one_sided += u64::from(features.toxicity().is_some_and(|toxicity| toxicity.raw == 1.0));
        }
        one_sided
    };
    // Until the window is full there is no toxicity.
    for _ in 0..200 {
        run();
    }
    Case::new("features_on_trade", PRINTS as usize, PRINTS, run)
}

/// Ten mids and prints a second, the second's renewal included: one print in so many is learnt from.
pub fn estimators() -> Case {
    let config = config();
    let thin = u64::from(config.estimators.k_thin);
    let mut estimators = Estimators::new(&config.estimators, &config.quoter);
    let toxicity = |number: u64| {
        let raw = 0.3 + 0.01 * (number % 40) as f64;
        Some(Toxicity { raw, tau: raw, signed: raw, tau_bid: 0.0, tau_ask: raw })
    };
    let mut number = 0_u64;
    let mut learnt = 0;
    let mut run = move || {
        for _ in 0..PRINTS {
            number += 1;
            let (now, mid) = (at(number), 6_000_000 + (number % 8) as i64);
            let (bid, ask) = (Price::from_ticks(mid - 1), Price::from_ticks(mid + 1));
            estimators.on_best(now, black_box(bid), ask);
            let aggressor = if number.is_multiple_of(3) { Side::Bid } else { Side::Ask };
            let trade = print(number, now, aggressor, if aggressor == Side::Bid { mid + 1 } else { mid - 1 });
            estimators.on_trade(now, black_box(&trade), toxicity(number));
            let around = Surroundings {
                mid: Some(HalfTicks::mid(bid, ask)),
                sigma_ticks: Some(30.0),
                position_base: 0.01,
                position_max_base: Some(0.1),
                equity: 0.001 * number as f64,
                tick: 0.01,
            };
            estimators.advance(now, &around);
        }
        let counts = estimators.markout_counts();
        let all = counts.tape + counts.pending + counts.full + counts.gap + counts.unexcited;
        all - std::mem::replace(&mut learnt, all)
    };
    // The first samples are the first coefficient's, and the window of the tape fills for ten minutes.
    for _ in 0..40 {
        run();
    }
    Case::new("estimators_on_event", PRINTS as usize, PRINTS / thin, run)
}
