//! What the market says, as numbers.
//!
//! Owns [`Features`] of one instrument. The lane feeds it the book of others and the tape; quoters read it. Floats
//! live here and in the quoters only. A feature that cannot be known is `None`: nothing is invented.

mod bulk;
mod chance;
mod exact_sum;
mod flow;
mod micro;
mod micro_fit;
mod ranges;
mod realised;
mod returns;
mod rolling_median;
mod shape;
mod tape;
mod toxicity;
mod volatility;

pub use bulk::{BulkBar, BulkClassifier, bought_share};
pub use chance::{Chance, expected_vpin};
pub use flow::OrderFlow;
pub use micro::{MicroPrice, MicroState};
pub use micro_fit::{MicroCounts, MicroFit, MicroShape};
pub use ranges::{discreteness_factor, parkinson_variance};
pub use realised::{RealisedVolatility, SigmaComparison, SigmaRow, compare_sigma};
pub use shape::{Imbalance, imbalance, weighted_mid_ticks};
pub use tape::{TapeFigures, TapeFlow};
pub use toxicity::{Toxicity, Vpin, VpinState};
pub use volatility::{Sigma, SigmaState};

use super::config::FeaturesConfig;
use super::digest::Digester;
use super::reference::OthersBook;
use super::warm::InstrumentState;
use crate::types::{HalfTicks, Instrument, Qty, Side, TimestampNs, Trade};

/// What the book of others says now; present only while it may be quoted from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BookFeatures {
    /// Middle of the best prices.
    pub mid: HalfTicks,
    /// Best prices weighted by the quantity on the other side, in ticks.
    pub weighted_mid_ticks: Option<f64>,
    /// Stoikov's microprice: the mid and what it is expected to move by, in ticks; `None` before the first fit.
    pub micro_ticks: Option<f64>,
    /// Imbalance of the best 1, 2 and 5 levels.
    pub imbalance: [Option<Imbalance>; 3],
}

/// Features of one instrument.
pub struct Features {
    book: Option<BookFeatures>,
    flow: OrderFlow,
    sigma: Sigma,
    vpin: Vpin,
    micro: MicroPrice,
    tape: TapeFlow,
}

impl Features {
    /// Before the first event.
    pub fn new(config: &FeaturesConfig, instrument: &Instrument) -> Features {
        let volume = Qty::from_lots(config.vpin_volume.e8() / instrument.spec.lot_e8);
        Features {
            book: None,
            flow: OrderFlow::new(config.ofi_window_ms),
            sigma: Sigma::new(config),
            vpin: Vpin::new(config, volume),
            micro: MicroPrice::new(config),
            tape: TapeFlow::default(),
        }
    }

    /// Takes a book of others. One that may not be quoted from withdraws the book's features.
    pub fn on_book(&mut self, ts: TimestampNs, others: &OthersBook) {
        let best = others.best(Side::Bid).zip(others.best(Side::Ask));
        let Some((bid, ask)) = best.filter(|(bid, ask)| bid.price < ask.price) else {
            // The last mid still stands for volatility; events and transitions need both ends.
            self.book = None;
            self.flow.on_gap();
            self.micro.on_gap();
            return;
        };
        let mid = HalfTicks::mid(bid.price, ask.price);
        let (bids, asks) = (others.levels(Side::Bid), others.levels(Side::Ask));
        if self.book.is_none_or(|last| last.mid != mid) {
            self.tape.on_move(ts);
        }
        self.book = Some(BookFeatures {
            mid,
            weighted_mid_ticks: weighted_mid_ticks(bid, ask),
            micro_ticks: self.micro.ticks(bid, ask),
            imbalance: [1, 2, 5].map(|depth| imbalance(bids, asks, depth)),
        });
        self.flow.on_best(ts, bid, ask);
        self.sigma.on_mid(ts, mid);
        self.micro.on_best(ts, bid, ask);
    }

    /// The book was lost.
    pub fn on_book_lost(&mut self) {
        self.book = None;
        self.flow.on_gap();
        self.sigma.on_gap();
        self.micro.on_gap();
    }

    /// Takes a print of the tape. Returns whether toxicity was published anew.
    pub fn on_trade(&mut self, trade: &Trade) -> bool {
        let ts = if trade.event_ts == TimestampNs::ZERO { trade.recv_ts } else { trade.event_ts };
        self.tape.on_trade(trade.recv_ts, trade);
        self.vpin.on_trade(ts, trade.aggressor, trade.price, trade.qty)
    }

    /// When [`on_timer`](Self::on_timer) has something to do.
    pub fn due_at(&self) -> Option<TimestampNs> {
        self.micro.due_at()
    }

    /// Fits what is due to be fitted. A new shift is laid on the next book.
    pub fn on_timer(&mut self, now: TimestampNs) {
        self.micro.on_timer(now);
    }

    /// What the book says, while it may be quoted from.
    pub fn book(&self) -> Option<&BookFeatures> {
        self.book.as_ref()
    }

    /// Order-flow imbalance over its window in units of the usual best depth.
    pub fn ofi(&self) -> Option<f64> {
        self.book.and_then(|_| self.flow.normalised())
    }

    /// Price volatility, in ticks per square root of a second.
    pub fn sigma_ticks(&self) -> Option<f64> {
        self.sigma.ticks_per_sqrt_s()
    }

    /// Toxicity of the tape.
    pub fn toxicity(&self) -> Option<Toxicity> {
        self.vpin.value()
    }

    /// Flow of the tape.
    pub fn tape(&self) -> TapeFlow {
        self.tape
    }

    /// Writes what survives a restart.
    pub(super) fn save(&self, into: &mut InstrumentState) {
        into.sigma = Some(self.sigma.state());
        into.toxicity = Some(self.vpin.state());
        into.micro = Some(self.micro.state());
    }

    /// Takes what an earlier session has seen, before the first event. The time between counts as a gap. A part that
    /// was made under other settings is not taken and warms up anew.
    pub(super) fn restore(&mut self, from: &InstrumentState) {
        if let Some(sigma) = &from.sigma {
            self.sigma.restore(sigma);
        }
        if let Some(toxicity) = &from.toxicity {
            self.vpin.restore(toxicity);
        }
        if let Some(micro) = &from.micro {
            self.micro.restore(micro);
        }
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.flag(self.book.is_some());
        self.flow.digest(digester);
        self.sigma.digest(digester);
        self.vpin.digest(digester);
        self.micro.digest(digester);
        self.tape.digest(digester);
    }
}
