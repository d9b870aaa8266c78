//! What every format of recordings has in common.
//!
//! A dialect reads lines and says what they mean, as events whose prices and quantities are in units of 1e-8: ticks and
//! lots are only known once the whole recording has been seen, and then `recording` rescales, exactly. A dialect knows
//! nothing of files, passes or other dialects.

use std::collections::VecDeque;

use crate::types::{Instrument, InstrumentId, Level, Symbol, TimestampNs, Touch, Trade};
use crate::wire::{DepthBuf, FeedNotice};

use super::infer::Seen;

/// The instrument of a snapshot that names no symbol: whoever knows the file knows whose it is.
pub(super) const NOBODY: InstrumentId = InstrumentId(u16::MAX);

/// Something that a recording says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The depth message in [`Said::depth`].
    Depth,
    /// A print on the tape.
    Trade(Trade),
    /// An aggregated print.
    AggTrade(Trade),
    /// Best bid and ask.
    Touch(Touch),
    /// The recorder lost its connection.
    Notice(FeedNotice),
}

/// What the lines read so far have said and nobody has taken yet.
#[derive(Debug)]
pub(super) struct Said {
    /// When the recorder read it, by its own clock; never zero once something was said.
    pub recv_ts: TimestampNs,
    /// The events, oldest first; one depth message at most.
    pub events: VecDeque<Event>,
    /// The depth message among them.
    pub depth: DepthBuf,
    /// The message as the venue sent it; empty where the recording keeps none.
    pub json: Vec<u8>,
}

impl Said {
    pub(super) fn new() -> Said {
        Said {
            recv_ts: TimestampNs::ZERO,
            events: VecDeque::with_capacity(4),
            depth: DepthBuf::with_capacity(1024),
            json: Vec::new(),
        }
    }
}

/// Reads the lines of one format.
pub(super) trait Dialect: Send {
    /// Takes a line that is not empty. `starts_file` tells the first one of each file.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the line.
    fn take(&mut self, line: &[u8], starts_file: bool, listing: &mut Listing, said: &mut Said) -> Result<(), String>;

    /// Says what is still being put together when there are no more lines.
    fn finish(&mut self, said: &mut Said) {
        let _ = said;
    }
}

/// The symbols of a recording, numbered in the order in which they appear.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// Instruments with ticks and lots of 1e-8.
    finest: Vec<Instrument>,
}

impl Listing {
    /// The number of a symbol.
    ///
    /// # Errors
    /// A name that is no symbol, or one too many.
    pub(super) fn id(&mut self, name: &str) -> Result<InstrumentId, String> {
        if let Some(found) = self.finest.iter().find(|one| one.symbol() == name) {
            return Ok(found.id);
        }
        let symbol = Symbol::new(name).map_err(|error| format!("symbol `{name}`: {error}"))?;
        let id = u16::try_from(self.finest.len()).map(InstrumentId).ok().filter(|id| *id != NOBODY);
        let id = id.ok_or("more than 65535 symbols")?;
        self.finest.push(Seen::new(symbol).finest(id));
        Ok(id)
    }

    /// All of them, with ticks and lots of 1e-8.
    pub(super) fn finest(&self) -> &[Instrument] {
        &self.finest
    }
}

/// A price or quantity as decimal text, in units of 1e-8.
///
/// # Errors
/// A sentence with the column's name.
pub(super) fn decimal(text: &[u8], column: &str) -> Result<i64, String> {
    let e8 = crate::types::parse_e8(text)
        .map_err(|error| format!("column `{column}` \"{}\": {error}", String::from_utf8_lossy(text)))?;
    if e8 < 0 {
        return Err(format!("column `{column}` \"{}\" is below zero", String::from_utf8_lossy(text)));
    }
    Ok(e8)
}

/// A whole number.
///
/// # Errors
/// A sentence with the column's name.
pub(super) fn whole<T: std::str::FromStr>(text: &[u8], column: &str) -> Result<T, String> {
    let found = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    found.ok_or_else(|| format!("column `{column}` \"{}\" is not a whole number", String::from_utf8_lossy(text)))
}

/// A level in units of 1e-8.
///
/// # Errors
/// A sentence with the column's name.
pub(super) fn level(price: &[u8], qty: &[u8], columns: [&str; 2]) -> Result<Level, String> {
    use crate::types::{Price, Qty};
    let (price, qty) = (decimal(price, columns[0])?, decimal(qty, columns[1])?);
    Ok(Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) })
}

/// Seconds since the epoch as decimal text, exact to the nanosecond; digits beyond it are cut.
///
/// # Errors
/// A sentence.
pub(super) fn seconds(text: &[u8]) -> Result<TimestampNs, String> {
    let wrong = || format!("the receive time \"{}\" is not in seconds since the epoch", String::from_utf8_lossy(text));
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let (secs, fraction) = (parts.next().unwrap_or_default(), parts.next().unwrap_or(b"0"));
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    // Ten digits are the years 2001 to 2286: anything else is another unit or no time at all.
    if !digits(secs) || !digits(fraction) || secs.len() != 10 {
        return Err(wrong());
    }
    let value = |part: &[u8]| part.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    let nanos = (0..9).fold(0, |nanos, at| nanos * 10 + u64::from(fraction.get(at).map_or(0, |digit| digit - b'0')));
    Ok(TimestampNs::from_nanos(value(secs) * 1_000_000_000 + nanos))
}

/// The cells of a row without quotation marks.
pub(super) fn cells(line: &[u8]) -> Vec<&[u8]> {
    line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_and_other_units_are_refused() {
        assert_eq!(seconds(b"1617566592.6292129"), Ok(TimestampNs::from_nanos(1_617_566_592_629_212_900)));
        assert_eq!(seconds(b"1617566592"), Ok(TimestampNs::from_nanos(1_617_566_592_000_000_000)));
        assert_eq!(seconds(b"1617566592.1234567899"), Ok(TimestampNs::from_nanos(1_617_566_592_123_456_789)));
        for wrong in ["", "1617566592629", "16175665x2", "1617566592.", "-617566592", "1617566592.1e3"] {
            assert!(seconds(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cells_name_their_column_when_they_are_wrong() {
        assert!(decimal(b"1.123456789", "price").unwrap_err().contains("`price`"));
        assert!(decimal(b"-1", "amount").unwrap_err().contains("below zero"));
        assert!(whole::<u64>(b"1.5", "id").unwrap_err().contains("`id`"));
        assert_eq!(decimal(b"9681.92", "price"), Ok(968_192_000_000));
    }
}
