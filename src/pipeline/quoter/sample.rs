//! Inputs for the tests of the models: 60 000 at a tick of 0.01, lots of 1e-5, a limit of 0.05.

use super::QuoteInputs;
use crate::pipeline::estimators::Estimates;
use crate::pipeline::features::{BookFeatures, Imbalance, TapeFlow, Toxicity};
use crate::pipeline::reference::OthersBook;
use crate::types::{
    BookState, BookView, HalfTicks, InstrumentId, Level, Price, Qty, Side, TimestampNs, Trade, TradeId,
};

pub(super) fn inputs() -> QuoteInputs {
    let level = |ticks| Level { price: Price::from_ticks(ticks), qty: Qty::from_lots(10) };
    let (best_bid, best_ask) = (level(5_999_999), level(6_000_001));
    QuoteInputs {
        now: TimestampNs::from_millis(1_000),
        best_bid,
        best_ask,
        reference_ticks: 6_000_000.0,
        book: BookFeatures {
            mid: HalfTicks::mid(best_bid.price, best_ask.price),
            weighted_mid_ticks: Some(6_000_000.0),
            micro_ticks: None,
            imbalance: [None; 3],
        },
        ofi: None,
        others: others(&[best_bid], &[best_ask]),
        tape: TapeFlow::default(),
        working: [None; 2],
        position: Qty::ZERO,
        room: [Qty::from_lots(5_000); 2],
        position_base: 0.0,
        position_max_base: 0.05,
        order_qty: Qty::from_lots(1000),
        sigma_ticks: Some(534.2),
        toxicity: None,
        estimates: Estimates::default(),
        tick: 0.01,
        lot: 1e-5,
    }
}

fn others(bids: &[Level], asks: &[Level]) -> OthersBook {
    let mut view = BookView::empty(InstrumentId(0), BookState::Live);
    view.set_levels(Side::Bid, bids.iter().copied());
    view.set_levels(Side::Ask, asks.iter().copied());
    let mut others = OthersBook::empty();
    others.rebuild(&view, None, std::iter::empty());
    others
}

/// The sample in a market of these levels, its mid for a reference.
pub(super) fn with_levels(bids: &[Level], asks: &[Level]) -> QuoteInputs {
    let sample = inputs();
    let mid = HalfTicks::mid(bids[0].price, asks[0].price);
    let book = BookFeatures { mid, weighted_mid_ticks: None, ..sample.book };
    let (reference_ticks, others) = (mid.ticks_f64(), others(bids, asks));
    QuoteInputs { best_bid: bids[0], best_ask: asks[0], reference_ticks, book, others, ..sample }
}

/// A tape of two sellers and a buyer, `turned` with sides swapped.
fn tape(turned: bool) -> TapeFlow {
    let mut tape = TapeFlow::default();
    for (index, (aggressor, lots)) in [(Side::Ask, 40), (Side::Ask, 20), (Side::Bid, 10)].into_iter().enumerate() {
        let ts = TimestampNs::from_millis(200 + 100 * index as u64);
        let trade = Trade {
            instrument: InstrumentId(0),
            event_ts: ts,
            recv_ts: ts,
            id: TradeId(index as i64),
            price: Price::from_ticks(6_000_000),
            qty: Qty::from_lots(lots),
            aggressor: if turned { aggressor.opposite() } else { aggressor },
        };
        tape.on_trade(ts, &trade);
    }
    tape.on_move(TimestampNs::from_millis(400));
    tape
}

/// A market in which every signal says something.
pub(super) fn flowing() -> QuoteInputs {
    let sample = inputs();
    let imbalance = |value| Some(Imbalance { value, levels_used: 1 });
    QuoteInputs {
        best_ask: Level { qty: Qty::from_lots(25), ..sample.best_ask },
        book: BookFeatures {
            micro_ticks: Some(5_999_999.8),
            imbalance: [imbalance(-0.4), imbalance(-0.2), imbalance(-0.1)],
            ..sample.book
        },
        ofi: Some(-0.7),
        toxicity: Some(Toxicity { raw: 0.6, tau: 0.5, signed: -0.4, tau_bid: 0.3, tau_ask: 0.0 }),
        tape: tape(false),
        ..sample
    }
}

/// The same market with bid and ask swapped.
pub(super) fn mirrored(of: &QuoteInputs) -> QuoteInputs {
    let turn = |ticks: f64| 12_000_000.0 - ticks;
    let level = |level: Level| Level { price: Price::from_ticks(12_000_000 - level.price.ticks()), ..level };
    let imbalance = of.book.imbalance.map(|one| one.map(|one| Imbalance { value: -one.value, ..one }));
    QuoteInputs {
        best_bid: level(of.best_ask),
        best_ask: level(of.best_bid),
        book: BookFeatures { micro_ticks: of.book.micro_ticks.map(turn), imbalance, ..of.book },
        ofi: of.ofi.map(|ofi| -ofi),
        toxicity: of.toxicity.map(|one| Toxicity {
            signed: -one.signed,
            tau_bid: one.tau_ask,
            tau_ask: one.tau_bid,
            ..one
        }),
        tape: tape(true),
        ..*of
    }
}
