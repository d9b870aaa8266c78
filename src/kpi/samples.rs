//! Instruments and fills for this module's tests.

use crate::types::{
    FeeAsset, Fill, Filters, Instrument, InstrumentId, InstrumentSpec, Price, Qty, Side, Symbol, TradeId,
};

/// An instrument with these steps, in 1e-8.
pub fn instrument(tick_e8: i64, lot_e8: i64) -> Instrument {
    Instrument::new(
        InstrumentId(0),
        InstrumentSpec {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: Symbol::new("BTC").unwrap(),
            quote: Symbol::new("USDT").unwrap(),
            tick_e8,
            lot_e8,
            filters: Filters::default(),
        },
    )
}

/// A whole order filled at once, as maker.
pub fn fill(side: Side, price: i64, lots: i64, fee_e8: i64, fee_asset: FeeAsset) -> Fill {
    Fill {
        trade_id: TradeId(1),
        side,
        price: Price::from_ticks(price),
        qty: Qty::from_lots(lots),
        cum_qty: Qty::from_lots(lots),
        order_qty: Qty::from_lots(lots),
        fee_e8,
        fee_asset,
        is_maker: true,
    }
}
