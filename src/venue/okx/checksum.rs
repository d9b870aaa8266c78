//! The checksum of a book: CRC-32 of its best 25 levels as text.

use crate::book::ArenaBook;
use crate::types::{Instrument, Side, format_e8};

/// Levels of each side that it covers.
const LEVELS: usize = 25;

/// `price:quantity` of a bid and an ask in turn, best first, joined by colons; where one side has no more, the other
/// goes on alone. OKX sends the shortest decimals, so that they can be written again from ticks and lots.
pub(super) fn of(book: &ArenaBook, instrument: &Instrument, text: &mut String) -> i32 {
    text.clear();
    let mut sides = Side::pair(|side| book.levels(side));
    for _ in 0..LEVELS {
        for side in &mut sides {
            let Some(level) = side.next() else { continue };
            if !text.is_empty() {
                text.push(':');
            }
            format_e8(instrument.price_e8(level.price), text);
            text.push(':');
            format_e8(instrument.qty_e8(level.qty), text);
        }
    }
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    // OKX prints the 32 bits as a signed number.
    crc.sum() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Filters, InstrumentId, InstrumentSpec, Level, Symbol};

    #[test]
    fn sides_alternate_and_the_longer_one_goes_on_alone() {
        let named = |text| Symbol::new(text).unwrap();
        let (base, quote, filters) = (named("BTC"), named("USDT"), Filters::default());
        let spec = InstrumentSpec { symbol: named("BTC-USDT"), base, quote, tick_e8: 1, lot_e8: 1, filters };
        let instrument = Instrument::new(InstrumentId(0), spec);
        let level = |price: &str, qty: &str| Level {
            price: instrument.price_from_text(price.as_bytes()).unwrap(),
            qty: instrument.qty_from_text(qty.as_bytes()).unwrap(),
        };
        let mut book = ArenaBook::new();
        book.apply(&[level("3366.1", "7")], &[level("3366.8", "9"), level("3368", "8"), level("3372", "8")]);
        let mut text = String::new();
        of(&book, &instrument, &mut text);
        assert_eq!(text, "3366.1:7:3366.8:9:3368:8:3372:8", "OKX's own example");
    }
}
