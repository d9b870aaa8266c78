//! A place in a text, and what a scanner can expect there.
//!
//! Every read answers `None` when the text is not written as expected, even where it would be valid: the whole message
//! then goes to the decoder that reads any JSON, so that nothing here needs to say what was wrong.

use crate::types::TimestampNs;
use crate::venue::binance::decode::TimeUnit;

/// Eight zeros as text.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// The highest bit of each byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;
/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// A text, read up to a place.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// A plain decimal in units of 1e-8, and how it was written.
pub(super) struct Decimal {
    pub(super) e8: u64,
    /// Digits before the point.
    pub(super) whole: usize,
    /// Digits behind the point; zero when there is no point.
    pub(super) places: usize,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Text<'a> {
        Text { bytes, at: 0 }
    }

    /// Passes `word` if it stands here.
    #[inline(always)]
    pub(super) fn has<const N: usize>(&mut self, word: &[u8; N]) -> bool {
        let here = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let found = here == Some(word);
        if found {
            self.at += N;
        }
        found
    }

    /// Passes `word`, which must stand here.
    #[inline(always)]
    pub(super) fn pass<const N: usize>(&mut self, word: &[u8; N]) -> Option<()> {
        self.has(word).then_some(())
    }

    /// Passes `name` and the quote at its end, if they stand here.
    #[inline(always)]
    pub(super) fn has_name(&mut self, name: &[u8]) -> bool {
        let Some(rest) = self.bytes.get(self.at..) else { return false };
        let found = rest.len() > name.len() && rest[name.len()] == b'"' && &rest[..name.len()] == name;
        if found {
            self.at += name.len() + 1;
        }
        found
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Eight bytes from `at` on as a number whose lowest byte stands first; zeros follow the end of the text.
    #[inline(always)]
    fn eight_bytes(&self, at: usize) -> u64 {
        #[cold]
        fn last(rest: &[u8]) -> u64 {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(bytes)
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest.first_chunk::<8>().map_or_else(|| last(rest), |bytes| u64::from_le_bytes(*bytes))
    }

    /// What is left of a string of plain ASCII, whose closing quote is passed.
    #[inline(always)]
    pub(super) fn rest_of_string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            let bytes = self.eight_bytes(self.at);
            // The lowest marked byte is the first quote, backslash, control character or byte beyond ASCII: what a
            // subtraction borrows only marks bytes above one that is marked rightly.
            let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
            let control = bytes.wrapping_sub(ONES * 0x20) & !bytes;
            let marked = (zero(bytes ^ (ONES * 0x22)) | zero(bytes ^ (ONES * 0x5C)) | control | bytes) & HIGHS;
            if marked != 0 {
                self.at += (marked.trailing_zeros() / 8) as usize;
                let rest = self.bytes.get(start..self.at)?;
                self.pass(b"\"")?;
                return Some(rest);
            }
            self.at += 8;
        }
    }

    /// A whole number of at most sixteen digits, written as JSON writes it: without a sign and without leading zeros.
    #[inline(always)]
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        let first = self.eight_bytes(self.at) ^ ZEROS;
        let digits = leading_digits(first);
        if digits == 0 || (digits > 1 && first & 0xFF == 0) {
            return None;
        }
        if digits < 8 {
            self.at += digits;
            return Some(value_of(first << (64 - 8 * digits)));
        }
        let second = self.eight_bytes(self.at + 8) ^ ZEROS;
        let digits = leading_digits(second);
        self.at += 8 + digits;
        // With a seventeenth digit here, whatever is expected next does not stand there.
        let low = if digits == 0 { 0 } else { value_of(second << (64 - 8 * digits)) };
        Some(value_of(first) * TENS[digits] + low)
    }

    /// A whole number of milliseconds or microseconds.
    #[inline(always)]
    pub(super) fn time(&mut self, unit: TimeUnit) -> Option<TimestampNs> {
        self.unsigned().map(|value| unit.timestamp(value))
    }

    /// A decimal without a sign: at most ten digits before the point and eight behind it, so that 64 bits hold it.
    #[inline(always)]
    pub(super) fn decimal(&mut self) -> Option<Decimal> {
        let rest = self.bytes.get(self.at..)?;
        let (value, whole) = digits(rest, 0);
        if whole == 0 || whole > 10 {
            return None;
        }
        if rest.get(whole) != Some(&b'.') {
            self.at += whole;
            return Some(Decimal { e8: value * TENS[8], whole, places: 0 });
        }
        let (value, places) = digits(&rest[whole + 1..], value);
        if places == 0 || places > 8 {
            return None;
        }
        self.at += whole + 1 + places;
        Some(Decimal { e8: value * TENS[8 - places], whole, places })
    }

    /// True or false.
    #[inline(always)]
    pub(super) fn boolean(&mut self) -> Option<bool> {
        if self.has(b"true") {
            return Some(true);
        }
        self.has(b"false").then_some(false)
    }
}

/// Digits at the start of a text, appended to a number, and how many they are. More than 19 make nonsense of it.
#[inline(always)]
fn digits(text: &[u8], start: u64) -> (u64, usize) {
    let mut value = start;
    for (count, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (value, count);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    (value, text.len())
}

/// How many of eight bytes are 0 to 9, up to the first that is not.
#[inline(always)]
fn leading_digits(bytes: u64) -> usize {
    // Adding 0x76 lifts ten and more to the highest bit; what it carries only marks bytes above one marked rightly.
    let others = (bytes.wrapping_add(ONES * 0x76) | bytes) & HIGHS;
    (others.trailing_zeros() / 8) as usize
}

/// The number whose decimal digits are those eight bytes, the lowest byte first.
#[inline(always)]
fn value_of(digits: u64) -> u64 {
    // Pairs, then pairs of pairs, each in one multiplication.
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let upper = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let lower = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    upper.wrapping_add(lower) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_up_to_sixteen_digits_and_only_as_json_writes_them() {
        for value in [0, 7, 10, 99_999_999, 100_000_000, 123_456_789_012_345, 9_999_999_999_999_999_u64] {
            for tail in ["", ",", "]}}", ",\"u\":123456789"] {
                let text = format!("{value}{tail}");
                let mut text = Text::new(text.as_bytes());
                assert_eq!((text.unsigned(), text.at), (Some(value), value.to_string().len()), "{value}{tail}");
            }
        }
        for text in ["", "-1", "01", "00", "000000001", ".5", "x"] {
            assert_eq!(Text::new(text.as_bytes()).unsigned(), None, "{text}");
        }
        let mut long = Text::new(b"12345678901234567,");
        assert!(long.unsigned().is_none() || !long.has(b","));
    }

    #[test]
    fn decimals_are_those_of_the_only_decimal_text_in_the_house() {
        for text in ["0", "1.5", "61250.10000000", "0.00000001", "9999999999.99999999", "007.10"] {
            let mut quoted = Text::new(text.as_bytes());
            let decimal = quoted.decimal().unwrap();
            assert_eq!(Ok(decimal.e8 as i64), crate::types::parse_e8(text.as_bytes()), "{text}");
            assert!(quoted.is_at_end());
        }
        for text in ["", ".5", "1.", "-1", "10000000000", "0.000000000", "x"] {
            assert!(Text::new(text.as_bytes()).decimal().is_none(), "{text}");
        }
    }

    #[test]
    fn a_string_ends_at_its_quote_and_holds_nothing_to_unescape() {
        for text in ["btcusdt@depth@100ms\",", "\"", "12345678\"", "1234567\"9\"", "a~ \""] {
            let mut string = Text::new(text.as_bytes());
            let end = text.find('"').unwrap();
            assert_eq!(string.rest_of_string(), Some(&text.as_bytes()[..end]), "{text}");
            assert_eq!(string.at, end + 1);
        }
        for text in ["", "abc", "12345678", "a\\\"b\"", "a\u{7f}\u{80}\"", "a\nb\"", "1234567\u{1}\"", "a\0\""] {
            assert_eq!(Text::new(text.as_bytes()).rest_of_string(), None, "{text:?}");
        }
    }
}
