//! The rows that a report is made of, in typed units.

use crate::kpi::markout::{MeanMarkout, mean_markout};
use crate::types::{
    BaseAtoms, ClientOrderId, DurationNs, FeeAsset, HalfTicks, Instrument, Money, Price, Qty, Side, TimestampNs,
    TradeId,
};

/// How long after a fill its markout is taken.
pub const MARKOUT_HORIZONS: [DurationNs; 4] =
    [DurationNs::from_secs(1), DurationNs::from_secs(5), DurationNs::from_secs(30), DurationNs::from_secs(60)];

/// One fill.
#[derive(Clone, Debug, PartialEq)]
pub struct FillRow {
    /// The venue's time of the trade.
    pub event_ts: TimestampNs,
    /// When we knew.
    pub recv_ts: TimestampNs,
    /// The venue's number of the trade.
    pub trade_id: TradeId,
    /// Our order.
    pub client_id: ClientOrderId,
    /// Side of our order.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Whether we were the maker.
    pub is_maker: bool,
    /// Why it filled, when the venue tells.
    pub cause: Option<&'static str>,
    /// Commission in 1e-8 of its asset.
    pub fee_e8: i64,
    /// The commission's asset.
    pub fee_asset: FeeAsset,
    /// The commission in quote currency, valued at the mid when it was taken in base.
    pub fee: Money,
    /// The mid that the fill is measured against.
    pub mid: HalfTicks,
    /// Position after it.
    pub position: BaseAtoms,
    /// Realised half-spread at each of [`MARKOUT_HORIZONS`], in half ticks.
    pub markouts: [Option<i64>; MARKOUT_HORIZONS.len()],
}

/// The account at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PnlRow {
    /// When.
    pub ts: TimestampNs,
    /// The mid.
    pub mid: HalfTicks,
    /// Our quotes, if alive.
    pub quotes: [Option<Price>; 2],
    /// Position.
    pub position: BaseAtoms,
    /// Net of commissions.
    pub total: Money,
    /// Earned against the mid at each fill.
    pub spread: Money,
    /// Earned by holding the position.
    pub inventory: Money,
    /// Commissions.
    pub fees: Money,
}

/// Everything that a report shows of one instrument.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The instrument.
    pub instrument: Instrument,
    /// All fills in the order in which they were counted.
    pub fills: Vec<FillRow>,
    /// The account at regular times.
    pub pnl: Vec<PnlRow>,
}

impl SessionRecord {
    /// Mean markout of all fills at a horizon, by its index.
    pub fn mean_markout(&self, horizon: usize) -> Option<MeanMarkout> {
        mean_markout(self.fills.iter().filter_map(|fill| Some((fill.markouts[horizon]?, fill.qty))))
    }

    /// Mean effective half-spread of all fills: what each earned against the mid of its moment.
    pub fn mean_effective(&self) -> Option<MeanMarkout> {
        mean_markout(
            self.fills
                .iter()
                .map(|fill| (fill.side.sign() * (fill.mid.get() - HalfTicks::from(fill.price).get()), fill.qty)),
        )
    }
}
