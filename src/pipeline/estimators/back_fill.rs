//! Recent trades turned into what a session begins with.
//!
//! A pure function of the configuration and the trades: the same estimators that run live are run over them. The tape
//! has no book, so best prices are taken from it: a buyer shows the ask, a seller the bid, and the side that was not
//! shown follows at the last spread. Called by whoever starts an engine, before its first event.

use super::intensity::OrderIntensity;
use super::toxicity_coefficient::ToxicityCoefficient;
use crate::pipeline::config::PipelineConfig;
use crate::pipeline::features::{Sigma, Vpin};
use crate::pipeline::warm::InstrumentState;
use crate::types::{DurationNs, HalfTicks, Instrument, Price, Qty, Side, Trade};

/// Best prices as the tape shows them.
#[derive(Clone, Copy, Debug)]
struct TapeBook {
    bid: Price,
    ask: Price,
}

impl TapeBook {
    fn after(before: Option<TapeBook>, trade: &Trade) -> TapeBook {
        let price = trade.price;
        let Some(TapeBook { bid, ask }) = before else {
            // The least spread there is.
            return match trade.aggressor {
                Side::Bid => TapeBook { bid: price.plus_ticks(-1), ask: price },
                Side::Ask => TapeBook { bid: price, ask: price.plus_ticks(1) },
            };
        };
        let spread = ask.ticks_above(bid);
        match trade.aggressor {
            Side::Bid if price > bid => TapeBook { bid, ask: price },
            Side::Bid => TapeBook { bid: price.plus_ticks(-spread), ask: price },
            Side::Ask if price < ask => TapeBook { bid: price, ask },
            Side::Ask => TapeBook { bid: price, ask: price.plus_ticks(spread) },
        }
    }

    fn mid(self) -> HalfTicks {
        HalfTicks::mid(self.bid, self.ask)
    }

    fn half_spread(self) -> HalfTicks {
        HalfTicks::new(self.ask.ticks_above(self.bid))
    }
}

/// What is known about `instrument` after `trades`, which are in the order of time, oldest first. Gamma is not: it
/// follows from a position.
pub fn back_fill(config: &PipelineConfig, instrument: &Instrument, trades: &[Trade]) -> InstrumentState {
    let mut sigma = Sigma::new(&config.features);
    let features = &config.features;
    let volume = Qty::from_lots(features.vpin_volume.e8() / instrument.spec.lot_e8);
    let mut vpin = Vpin::new(features, volume);
    let mut k = ToxicityCoefficient::new(&config.estimators);
    let mut intensity = OrderIntensity::new(&config.estimators);
    let mut book: Option<TapeBook> = None;
    for trade in trades {
        let ts = trade.event_ts;
        if let Some(before) = book {
            let sigma_ticks = sigma.ticks_per_sqrt_s();
            k.settle(ts, before.mid(), sigma_ticks);
            k.on_print(ts, trade.aggressor, before.mid(), before.half_spread(), vpin.value());
            intensity.on_print(ts, trade, before.mid(), before.half_spread());
        }
        vpin.on_trade(ts, trade.aggressor, trade.price, trade.qty);
        // Prices within one order are its own trace; the book that it leaves is the one after the last of them.
        let after = TapeBook::after(book, trade);
        sigma.on_mid(ts, after.mid());
        intensity.advance(ts);
        book = Some(after);
    }
    if let Some(last) = trades.last() {
        // The last second and the last fit are closed without waiting for another trade.
        intensity.advance(last.event_ts.plus(DurationNs::from_secs(u64::from(config.estimators.intensity_refit_s))));
    }
    InstrumentState {
        symbol: instrument.symbol().to_owned(),
        sigma: Some(sigma.state()),
        toxicity: Some(vpin.state()),
        micro: None,
        k: k.state(),
        gamma: None,
        intensity: intensity.fits(),
    }
}
