//! What a tick and a lot are worth, which orders the venue accepts, and the only decimal text in the house.
//!
//! Venues state prices and quantities as decimal text with at most eight places. Text becomes units of 1e-8 exactly
//! or an error; it is never rounded and never a float.

use super::{Asset, BaseAtoms, HalfTicks, InstrumentId, Money, Price, Qty, Symbol};

/// Why a decimal text is not a price or quantity of this instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not of the form `[-]digits[.digits]`.
    #[error("not a plain decimal number")]
    Syntax,
    /// More than eight places that are not zero.
    #[error("more than eight decimal places")]
    TooPrecise,
    /// Beyond 64 bits of 1e-8 units.
    #[error("too large")]
    TooLarge,
    /// Not a whole number of ticks or lots.
    #[error("not a multiple of the instrument's step")]
    OffStep,
}

/// Reads a decimal text as units of 1e-8, exactly.
///
/// # Errors
/// [`DecimalError`] for anything but `[-]digits[.digits]` with at most eight significant places and a value in range.
pub fn parse_e8(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut value: u64 = 0;
    let mut at = 0;
    while at < digits.len() && digits[at] != b'.' {
        let digit = digits[at].wrapping_sub(b'0');
        if digit > 9 {
            return Err(DecimalError::Syntax);
        }
        // Twelve whole digits and eight places are the most that 64 bits can hold; the check below is exact.
        if value > (i64::MAX as u64) / 10 {
            return Err(DecimalError::TooLarge);
        }
        value = value * 10 + u64::from(digit);
        at += 1;
    }
    if at == 0 {
        return Err(DecimalError::Syntax);
    }
    let mut places = 0_u32;
    if at < digits.len() {
        let fraction = &digits[at + 1..];
        if fraction.is_empty() {
            return Err(DecimalError::Syntax);
        }
        for &byte in fraction {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(DecimalError::Syntax);
            }
            if places == 8 {
                if digit != 0 {
                    return Err(DecimalError::TooPrecise);
                }
                continue;
            }
            if value > (i64::MAX as u64) / 10 {
                return Err(DecimalError::TooLarge);
            }
            value = value * 10 + u64::from(digit);
            places += 1;
        }
    }
    let value = value.checked_mul(10_u64.pow(8 - places)).ok_or(DecimalError::TooLarge)?;
    let value = i64::try_from(value).map_err(|_| DecimalError::TooLarge)?;
    Ok(if negative { -value } else { value })
}

/// Writes units of 1e-8 as the shortest exact decimal text: `61250.1`.
pub fn format_e8(e8: i64, out: &mut String) {
    format_e8_padded(e8, out);
    let shortest = out.trim_end_matches('0');
    out.truncate(shortest.strip_suffix('.').unwrap_or(shortest).len());
}

/// Writes units of 1e-8 with all eight places, as Binance does: `61250.10000000`.
pub fn format_e8_padded(e8: i64, out: &mut String) {
    format_places(e8, 0, out);
}

/// Of 1e-8: up to one.
const POWERS_OF_TEN: [i64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Writes a multiple of `step_e8` with as many places as the step has: `61250.10` for steps of 0.01, whatever its digits.
pub fn format_steps(e8: i64, step_e8: i64, out: &mut String) {
    // Steps are powers of ten nearly always, and then no division is needed to count their zeros.
    let zeros = match POWERS_OF_TEN.iter().position(|power| *power == step_e8) {
        Some(zeros) => zeros,
        None => POWERS_OF_TEN.iter().rposition(|power| step_e8 % power == 0).unwrap_or(0),
    };
    format_places(e8, zeros, out);
}

/// Writes units of 1e-8 without their last `zeros` places, of which there are eight.
fn format_places(e8: i64, zeros: usize, out: &mut String) {
    if e8 < 0 {
        out.push('-');
    }
    // Below one, zeros stand before what the number itself says.
    const ZEROS: &str = "00000000";
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(e8.unsigned_abs() / POWERS_OF_TEN[zeros].unsigned_abs());
    let places = 8 - zeros;
    let missing = (places + 1).saturating_sub(digits.len());
    let (whole, part) = if missing == 0 { digits.split_at(digits.len() - places) } else { ("0", digits) };
    out.push_str(whole);
    // A point that nothing follows goes as well.
    if places > 0 {
        out.push('.');
        out.push_str(&ZEROS[..missing.saturating_sub(1)]);
        out.push_str(part);
    }
}

/// What the venue says about an instrument, as text turned into units of 1e-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentSpec {
    /// Name on the venue, upper case.
    pub symbol: Symbol,
    /// What is traded.
    pub base: Asset,
    /// What it is priced in.
    pub quote: Asset,
    /// Least price step, 1e-8 quote.
    pub tick_e8: i64,
    /// Least quantity step, 1e-8 base.
    pub lot_e8: i64,
    /// The venue's order filters.
    pub filters: Filters,
}

/// The venue's order filters, in ticks, lots and money. `None` or zero means that the venue does not filter so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Filters {
    /// Lowest price (PRICE_FILTER).
    pub price_min: Option<Price>,
    /// Highest price (PRICE_FILTER).
    pub price_max: Option<Price>,
    /// Least quantity (LOT_SIZE).
    pub qty_min: Qty,
    /// Greatest quantity (LOT_SIZE); zero for none.
    pub qty_max: Qty,
    /// Least price times quantity (NOTIONAL or MIN_NOTIONAL).
    pub notional_min: Money,
}

/// An instrument of this session: the one place where ticks, lots and decimal text meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Index in the session's list.
    pub id: InstrumentId,
    /// What the venue says about it.
    pub spec: InstrumentSpec,
}

impl Instrument {
    /// An instrument at that place of the session's list.
    ///
    /// # Panics
    /// When the tick or the lot is not above zero: no venue offers such an instrument.
    pub fn new(id: InstrumentId, spec: InstrumentSpec) -> Instrument {
        assert!(spec.tick_e8 > 0 && spec.lot_e8 > 0, "tick and lot must be above zero: {spec:?}");
        Instrument { id, spec }
    }

    /// Name on the venue.
    pub fn symbol(&self) -> &str {
        self.spec.symbol.as_str()
    }

    /// Reads a price.
    ///
    /// # Errors
    /// When the text is no decimal or no whole number of ticks.
    #[inline]
    pub fn price_from_text(&self, text: &[u8]) -> Result<Price, DecimalError> {
        whole_steps(parse_e8(text)?, self.spec.tick_e8).map(Price::from_ticks)
    }

    /// Reads a quantity.
    ///
    /// # Errors
    /// When the text is no decimal or no whole number of lots.
    #[inline]
    pub fn qty_from_text(&self, text: &[u8]) -> Result<Qty, DecimalError> {
        whole_steps(parse_e8(text)?, self.spec.lot_e8).map(Qty::from_lots)
    }

    /// A price in 1e-8 quote.
    pub fn price_e8(&self, price: Price) -> i64 {
        price.ticks() * self.spec.tick_e8
    }

    /// A quantity in 1e-8 base.
    pub fn qty_e8(&self, qty: Qty) -> i64 {
        qty.lots() * self.spec.lot_e8
    }

    /// A price as the shortest exact text.
    pub fn price_text(&self, price: Price) -> String {
        let mut out = String::new();
        format_e8(self.price_e8(price), &mut out);
        out
    }

    /// A quantity as the shortest exact text.
    pub fn qty_text(&self, qty: Qty) -> String {
        let mut out = String::new();
        format_e8(self.qty_e8(qty), &mut out);
        out
    }

    /// A quantity as base atoms.
    pub fn atoms(&self, qty: Qty) -> BaseAtoms {
        BaseAtoms::new(self.qty_e8(qty))
    }

    /// Price times quantity, exact.
    pub fn notional(&self, price: Price, qty: Qty) -> Money {
        self.value(HalfTicks::from(price), self.atoms(qty))
    }

    /// Whether the venue's filters let an order be as small as that.
    pub fn takes(&self, price: Price, qty: Qty) -> bool {
        let filters = &self.spec.filters;
        qty > Qty::ZERO && qty >= filters.qty_min && self.notional(price, qty) >= filters.notional_min
    }

    /// As much of a quantity as `money` pays at a price; nothing for a debt or at a price that is not above zero.
    pub fn affordable(&self, price: Price, qty: Qty, money: Money) -> Qty {
        if price.ticks() <= 0 {
            return Qty::ZERO;
        }
        // The question is nearly always whether, and seldom how much: a division of 128 bits is left out.
        if self.notional(price, qty) <= money {
            return qty;
        }
        let lots = money.attos() / self.notional(price, Qty::from_lots(1)).attos();
        Qty::from_lots(i64::try_from(lots.max(0)).unwrap_or(i64::MAX)).min(qty)
    }

    /// What an amount of base is worth at a price or mid, exact. The sign is the amount's.
    pub fn value(&self, at: HalfTicks, amount: BaseAtoms) -> Money {
        // half ticks * tick_e8 / 2 is 1e-8 quote per base; times 1e-8 base is 1e-16 quote; 100 attos each.
        let attos = match (at.get().checked_mul(self.spec.tick_e8), amount.get().checked_mul(50)) {
            // One multiplication that cannot overflow: a decision makes a dozen.
            (Some(twice_e8), Some(amount)) => i128::from(twice_e8).wrapping_mul(i128::from(amount)),
            _ => i128::from(at.get()) * i128::from(self.spec.tick_e8) * i128::from(amount.get()) * 50,
        };
        Money::from_attos(attos)
    }

    /// One tick in quote currency, for features and display.
    pub fn tick_f64(&self) -> f64 {
        self.spec.tick_e8 as f64 / 1e8
    }

    /// One lot in base currency, for features and display.
    pub fn lot_f64(&self) -> f64 {
        self.spec.lot_e8 as f64 / 1e8
    }

    /// The instrument of the unit tests: ticks of 0.01, lots of 0.00001, no filters.
    #[cfg(test)]
    pub(crate) fn btcusdt() -> Instrument {
        // Short names always fit.
        let [symbol, base, quote] = ["BTCUSDT", "BTC", "USDT"].map(|name| Symbol::new(name).unwrap());
        let (tick_e8, lot_e8, filters) = (1_000_000, 1_000, Filters::default());
        Instrument::new(InstrumentId(0), InstrumentSpec { symbol, base, quote, tick_e8, lot_e8, filters })
    }
}

fn whole_steps(e8: i64, step_e8: i64) -> Result<i64, DecimalError> {
    if e8 % step_e8 != 0 {
        return Err(DecimalError::OffStep);
    }
    Ok(e8 / step_e8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// By its meaning: one more lot would cost more than there is, or is not wanted.
        #[test]
        fn what_is_affordable_is_the_most_that_money_pays(
            ticks in -3..1_000_000_000_i64,
            lots in 0..10_000_000_000_i64,
            whole in -1_000_000..10_000_000_000_i64,
            past in -1..=1_i128,
        ) {
            let (it, price, qty) = (Instrument::btcusdt(), Price::from_ticks(ticks), Qty::from_lots(lots));
            // What so many lots cost, but for an atto: there the answer changes.
            let money = Money::from_attos(it.notional(price, Qty::from_lots(whole)).attos() + past);
            let affordable = it.affordable(price, qty, money);
            prop_assert!(Qty::ZERO <= affordable && affordable <= qty);
            if ticks <= 0 || money < Money::ZERO {
                prop_assert_eq!(affordable, Qty::ZERO);
            } else {
                prop_assert!(it.notional(price, affordable) <= money);
                let more = Qty::from_lots(affordable.lots() + 1);
                prop_assert!(affordable == qty || it.notional(price, more) > money);
            }
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, want) in [
            ("0", Ok(0)),
            ("61250.10000000", Ok(6_125_010_000_000)),
            ("0.00000001", Ok(1)),
            ("-1.5", Ok(-150_000_000)),
            ("1.000000000000", Ok(100_000_000)),
            ("92233720368.54775807", Ok(i64::MAX)),
            ("92233720368.54775808", Err(DecimalError::TooLarge)),
            ("99999999999999999999999", Err(DecimalError::TooLarge)),
            ("0.000000001", Err(DecimalError::TooPrecise)),
            ("", Err(DecimalError::Syntax)),
            ("-", Err(DecimalError::Syntax)),
            (".5", Err(DecimalError::Syntax)),
            ("5.", Err(DecimalError::Syntax)),
            ("1e5", Err(DecimalError::Syntax)),
            ("NaN", Err(DecimalError::Syntax)),
            ("+1", Err(DecimalError::Syntax)),
            ("1 ", Err(DecimalError::Syntax)),
            ("1.2.3", Err(DecimalError::Syntax)),
        ] {
            assert_eq!(parse_e8(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn text_round_trips() {
        let mut out = String::new();
        for e8 in [0, 1, -1, 100_000_000, 6_125_010_000_000, i64::MAX, i64::MIN + 1] {
            out.clear();
            format_e8(e8, &mut out);
            assert_eq!(parse_e8(out.as_bytes()), Ok(e8), "{out}");
            out.clear();
            format_e8_padded(e8, &mut out);
            assert_eq!(parse_e8(out.as_bytes()), Ok(e8), "{out}");
        }
    }

    #[test]
    fn multiples_of_a_step_are_as_wide_as_the_step() {
        for (e8, step_e8, want) in [
            (6_125_010_000_000, 1_000_000, "61250.10"),
            (6_125_000_000_000, 1_000_000, "61250.00"),
            (6_125_000_000_000, 50_000_000, "61250.0"),
            (1_500, 500, "0.000015"),
            (7, 1, "0.00000007"),
            (300_000_000, 100_000_000, "3"),
            (20_000_000_000, 10_000_000_000, "200"),
            (0, 1_000, "0.00000"),
            (-1_000_000, 1_000_000, "-0.01"),
        ] {
            let mut out = "x".to_owned();
            format_steps(e8, step_e8, &mut out);
            assert_eq!(out, format!("x{want}"));
            assert_eq!(parse_e8(want.as_bytes()), Ok(e8));
        }
    }

    #[test]
    fn prices_off_the_tick_are_refused() {
        let instrument = Instrument::btcusdt();
        assert_eq!(instrument.price_from_text(b"61250.10000000"), Ok(Price::from_ticks(6_125_010)));
        assert_eq!(instrument.price_from_text(b"61250.105"), Err(DecimalError::OffStep));
        assert_eq!(instrument.price_text(Price::from_ticks(6_125_010)), "61250.1");
        assert_eq!(instrument.qty_text(Qty::from_lots(48_200)), "0.482");
    }

    #[test]
    fn notional_is_exact() {
        let instrument = Instrument::btcusdt();
        let notional = instrument.notional(Price::from_ticks(6_125_011), Qty::from_lots(3));
        assert_eq!(notional.to_string(), "1.8375033");
        let half = instrument.value(HalfTicks::new(12_250_021), BaseAtoms::new(1));
        assert_eq!(half.to_string(), "0.00061250105");
    }
}
