//! Instruments from recorded prices and quantities, where no exchangeInfo was recorded.
//!
//! The step of a series of decimals is the largest power of ten that divides all of them. Venues' ticks and lots are
//! powers of ten almost everywhere, and a step that is too small loses nothing: every recorded price stays exact. The
//! greatest common divisor alone would say 0.02 for a recording that happens to hold even ticks only.

use crate::types::{Asset, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Symbol};

/// Currencies that things are priced in, longest first where one ends in another.
const QUOTES: [&str; 20] = [
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USD1", "DAI", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD",
    "BTC", "ETH", "BNB", "SOL", "XRP",
];

/// What has been seen of one symbol. Values are in units of 1e-8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    symbol: Symbol,
    price_gcd: i64,
    qty_gcd: i64,
}

impl Seen {
    pub(super) fn new(symbol: Symbol) -> Seen {
        Seen { symbol, price_gcd: 0, qty_gcd: 0 }
    }

    /// Takes note of a level or a print.
    pub(super) fn note(&mut self, level: Level) {
        self.price_gcd = gcd(self.price_gcd, level.price.ticks());
        self.qty_gcd = gcd(self.qty_gcd, level.qty.lots());
    }

    /// Takes over what was seen elsewhere of the same symbol.
    pub(super) fn merge(&mut self, other: &Seen) {
        self.price_gcd = gcd(self.price_gcd, other.price_gcd);
        self.qty_gcd = gcd(self.qty_gcd, other.qty_gcd);
    }

    /// An instrument of ticks and lots of 1e-8, whose prices and quantities can be noted.
    pub(super) fn finest(&self, id: InstrumentId) -> Instrument {
        self.instrument_of(id, 1, 1)
    }

    /// The instrument with the steps inferred.
    pub(super) fn instrument(&self, id: InstrumentId) -> Instrument {
        self.instrument_of(id, step(self.price_gcd), step(self.qty_gcd))
    }

    fn instrument_of(&self, id: InstrumentId, tick_e8: i64, lot_e8: i64) -> Instrument {
        let (base, quote) = assets(self.symbol);
        let filters = Filters::default();
        Instrument::new(id, InstrumentSpec { symbol: self.symbol, base, quote, tick_e8, lot_e8, filters })
    }
}

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The largest power of ten, in units of 1e-8, that divides `gcd`; 1e-8 when nothing was seen.
fn step(gcd: i64) -> i64 {
    let mut step = 1;
    // A step above one whole unit is never needed: it would only make the numbers smaller.
    while gcd != 0 && step < 100_000_000 && gcd % (step * 10) == 0 {
        step *= 10;
    }
    step
}

/// What is traded and what it is priced in. Names that end in no known currency are kept whole as the base.
fn assets(symbol: Symbol) -> (Asset, Asset) {
    let name = symbol.as_str();
    for quote in QUOTES {
        if let Some(base) = name.strip_suffix(quote)
            && !base.is_empty()
            && let (Ok(base), Ok(quote)) = (Symbol::new(base), Symbol::new(quote))
        {
            return (base, quote);
        }
    }
    (symbol, Symbol::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Price, Qty};

    fn infer(symbol: &str, levels: &[(i64, i64)]) -> InstrumentSpec {
        let mut seen = Seen::new(Symbol::new(symbol).unwrap());
        for &(price, qty) in levels {
            seen.note(Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) });
        }
        seen.instrument(InstrumentId(0)).spec
    }

    #[test]
    fn steps_are_powers_of_ten_that_divide_everything_seen() {
        let spec = infer("BTCUSDT", &[(6_394_390_000_000, 100_000), (6_394_420_000_000, 0), (0, 300_000)]);
        assert_eq!((spec.tick_e8, spec.lot_e8), (10_000_000, 100_000));
        assert_eq!((spec.base.as_str(), spec.quote.as_str()), ("BTC", "USDT"));
        // Even hundredths only: the step is still a hundredth.
        assert_eq!(infer("ETHBTC", &[(2_000_000, 7), (4_000_000, 21)]).tick_e8, 1_000_000);
        assert_eq!(infer("ETHBTC", &[]).lot_e8, 1);
        assert_eq!(infer("PEPETRY", &[(500_000_000_000, 1)]).tick_e8, 100_000_000);
    }
}
