//! What a venue is told at its start: symbols and their rules, accounts, fees, limits and where each market's flow
//! comes from.

use super::faults::FaultPlan;
use super::fill_model::FillModel;
use super::flow_recorded::RecordedMarket;
use super::flow_synthetic::SyntheticConfig;
use crate::types::{Asset, DurationNs, Instrument, Money, Qty, TimestampNs};

/// An account of the venue. The server maps API keys to accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

impl AccountId {
    /// Collects every commission; its balances may go below zero when rebates are paid.
    pub const FEES: AccountId = AccountId(u32::MAX);
    /// The other side of every trade with the simulated market; its balances are minus what clients won.
    pub const MARKET: AccountId = AccountId(u32::MAX - 1);

    /// Whether somebody outside may own it.
    pub const fn is_client(self) -> bool {
        self.0 < Self::MARKET.0
    }
}

/// An account and what it starts with.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// Its number; below [`AccountId::MARKET`].
    pub id: AccountId,
    /// Free balances in units of 1e-8.
    pub balances: Vec<(Asset, i64)>,
}

/// What a commission is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CommissionAsset {
    /// In the asset that the trade brings: base for the buyer, quote for the seller. Binance's rule without BNB.
    #[default]
    Received,
    /// Always in quote, so that positions stay whole lots.
    Quote,
}

/// Commission rates in units of 1e-8 of the amount received (10 bp = 100 000); negative is a rebate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeSchedule {
    /// For the order that rested.
    pub maker_e8: i64,
    /// For the order that arrived.
    pub taker_e8: i64,
    /// What it is taken in.
    pub asset: CommissionAsset,
}

impl Default for FeeSchedule {
    /// Binance's base tier, 10 bp a side.
    fn default() -> FeeSchedule {
        FeeSchedule { maker_e8: 100_000, taker_e8: 100_000, asset: CommissionAsset::Received }
    }
}

/// How many unfilled orders an account may place in an aligned window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLimit {
    /// Length of the window; windows start at multiples of it since the epoch.
    pub interval: DurationNs,
    /// Most orders counted in one.
    pub limit: u32,
}

impl OrderLimit {
    /// Binance's usual limits: 100 in 10 s, 200 000 a day.
    pub const USUAL: [OrderLimit; 2] = [
        OrderLimit { interval: DurationNs::from_secs(10), limit: 100 },
        OrderLimit { interval: DurationNs::from_secs(86_400), limit: 200_000 },
    ];
}

/// PERCENT_PRICE_BY_SIDE: how far from the last trade a limit price may lie, in units of 1e-4 of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentPriceBySide {
    /// Highest price of a bid (50 000 = five times).
    pub bid_up_e4: i64,
    /// Lowest price of a bid.
    pub bid_down_e4: i64,
    /// Highest price of an ask.
    pub ask_up_e4: i64,
    /// Lowest price of an ask.
    pub ask_down_e4: i64,
}

/// A symbol and the rules beyond its instrument's own filters.
#[derive(Clone, Copy, Debug)]
pub struct SymbolConfig {
    /// Tick, lot, assets and basic filters; its id is the symbol's place in [`VenueConfig::symbols`].
    pub instrument: Instrument,
    /// Greatest quantity of a market order (MARKET_LOT_SIZE); zero for none.
    pub market_qty_max: Qty,
    /// Greatest price times quantity (NOTIONAL maxNotional); zero for none.
    pub notional_max: Money,
    /// PERCENT_PRICE_BY_SIDE, if the symbol has it.
    pub percent_price: Option<PercentPriceBySide>,
    /// Most open orders of one account (MAX_NUM_ORDERS).
    pub orders_max: u32,
    /// Most amends of one order (MAX_NUM_ORDER_AMENDS).
    pub amends_max: u32,
    /// Self-trade prevention of orders that name none.
    pub default_stp: StpMode,
}

impl SymbolConfig {
    /// A symbol with Binance's usual counts and no optional filter.
    pub fn new(instrument: Instrument) -> SymbolConfig {
        SymbolConfig {
            instrument,
            market_qty_max: Qty::ZERO,
            notional_max: Money::ZERO,
            percent_price: None,
            orders_max: 200,
            amends_max: 10,
            default_stp: StpMode::ExpireMaker,
        }
    }
}

/// What happens when an order would trade with another of the same account. The arriving order's mode decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StpMode {
    /// They trade.
    None,
    /// The resting order expires.
    #[default]
    ExpireMaker,
    /// The arriving order expires.
    ExpireTaker,
    /// Both expire.
    ExpireBoth,
    /// The smaller quantity is taken off both.
    Decrement,
}

impl StpMode {
    /// Binance's name.
    pub const fn name(self) -> &'static str {
        match self {
            StpMode::None => "NONE",
            StpMode::ExpireMaker => "EXPIRE_MAKER",
            StpMode::ExpireTaker => "EXPIRE_TAKER",
            StpMode::ExpireBoth => "EXPIRE_BOTH",
            StpMode::Decrement => "DECREMENT",
        }
    }

    /// The mode of that name; `None` for TRANSFER and for anything unknown.
    pub fn parse(name: &str) -> Option<StpMode> {
        [StpMode::None, StpMode::ExpireMaker, StpMode::ExpireTaker, StpMode::ExpireBoth, StpMode::Decrement]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

/// Everything about a venue but its flow.
#[derive(Clone, Debug)]
pub struct VenueConfig {
    /// The venue's clock at its start; flow starts here.
    pub start: TimestampNs,
    /// The symbols; each instrument's id must be its place in this list.
    pub symbols: Vec<SymbolConfig>,
    /// The accounts.
    pub accounts: Vec<AccountConfig>,
    /// Commissions, the same for every account.
    pub fees: FeeSchedule,
    /// Limits on unfilled orders; empty for none.
    pub order_limits: Vec<OrderLimit>,
    /// Span that one depth diff covers; Binance's is 100 ms.
    pub depth_interval: DurationNs,
    /// Cancelled or expired orders without a fill that can still be queried; older ones are forgotten.
    pub kept_orders: usize,
    /// Fills, and filled orders, that can still be queried; older ones are forgotten.
    pub kept_fills: usize,
    /// What goes wrong with messages on their way. The venue itself knows nothing of it: whoever carries its messages
    /// does.
    pub faults: FaultPlan,
    /// Where clients' orders stand inside recorded levels.
    pub fill: FillModel,
}

impl VenueConfig {
    /// A venue with Binance's usual fees, limits and cadence, and no symbol or account yet.
    pub fn new(start: TimestampNs) -> VenueConfig {
        VenueConfig {
            start,
            symbols: Vec::new(),
            accounts: Vec::new(),
            fees: FeeSchedule::default(),
            order_limits: OrderLimit::USUAL.to_vec(),
            depth_interval: DurationNs::from_millis(100),
            kept_orders: 100_000,
            kept_fills: usize::MAX,
            faults: FaultPlan::default(),
            fill: FillModel::default(),
        }
    }
}

/// Where a symbol's flow comes from.
#[derive(Debug)]
pub enum MarketSource {
    /// Nothing but the clients' own orders.
    Empty,
    /// A seeded market of informed and noise traders.
    Synthetic(SyntheticConfig),
    /// A recording of level-2 data.
    Recorded(RecordedMarket),
    /// Level-2 data that the driver hands in as it comes ([`super::Venue::feed`]). Nothing of such a market is
    /// published: whoever feeds it knows it.
    Fed,
}

/// Why a venue cannot be built from its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VenueConfigError {
    /// Sources and symbols are paired by place.
    #[error("{symbols} symbols but {sources} market sources")]
    SourceCount {
        /// Symbols given.
        symbols: usize,
        /// Sources given.
        sources: usize,
    },
    /// An instrument's id is not its place in the list.
    #[error("symbol number {index} carries another instrument id")]
    InstrumentId {
        /// Place in the list.
        index: usize,
    },
    /// One tick times one lot is no whole number of 1e-8 quote, so money could not be exact.
    #[error("symbol number {index}: one tick times one lot is finer than 1e-8 quote")]
    InexactNotional {
        /// Place in the list.
        index: usize,
    },
    /// An account number is used twice or reserved.
    #[error("account {0:?} is reserved or given twice")]
    Account(AccountId),
    /// A parameter of the synthetic market is out of its range.
    #[error("synthetic market: {0}")]
    Synthetic(&'static str),
    /// The depth interval is zero.
    #[error("the depth interval must be above zero")]
    DepthInterval,
}
