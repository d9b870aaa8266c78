//! The levels of a depth message: mantissas to whole ticks and lots.
//!
//! Division by the step is a multiplication whose product has a bit too high when it was no whole number of steps, and a
//! mantissa that is negative or too large has one too. So all numbers are proved together, by the bits that any of them
//! has; only when these are too high is each looked at by itself, to say which one is wrong.

use super::wide::Wide;
use crate::types::{DEPTH_LEVELS_MAX, DecimalError, Level, Price, Qty};
use crate::venue::binance::decode::DecodeError;
use crate::venue::binance::step::Step;
use crate::wire::DepthBuf;

/// Bytes of a level: a price and a quantity.
pub(super) const LEVEL: usize = 16;

/// A level as the wire has it.
pub(super) type Entry = [u8; LEVEL];

/// Mantissas of one exponent as whole steps of an instrument.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub exponent: i8,
    /// The greatest mantissa that 64 bits of 1e-8 can hold.
    pub most: u64,
    /// The step, in units of the mantissa.
    pub step: Step,
}

impl Scale {
    /// `None` when no mantissa but zero would make a price or quantity of 64 bits.
    pub(super) fn new(exponent: i8, step_e8: i64) -> Option<Scale> {
        let step_e8 = u64::try_from(step_e8).ok()?;
        let tens = |count: u8| 10_u64.checked_pow(u32::from(count));
        // Units of 1e-8: a larger exponent multiplies, a smaller one divides.
        let places = exponent.checked_add(8)?;
        let (factor, divisor) = match places {
            0.. => (tens(places.unsigned_abs())?, 1),
            _ => (1, tens(places.unsigned_abs())?),
        };
        let step = Step::new(step_e8.checked_mul(divisor)?).of(factor);
        Some(Scale { exponent, most: i64::MAX as u64 / factor, step })
    }

    /// Whole steps, at least zero.
    #[inline(always)]
    pub(super) fn count(&self, mantissa: i64) -> Option<i64> {
        // A mantissa below zero is beyond the greatest as an unsigned number.
        if mantissa as u64 > self.most { None } else { self.step.count(mantissa as u64) }
    }

    /// Why there was no count.
    #[cold]
    pub(super) fn error(&self, field: &'static str, mantissa: i64) -> DecodeError {
        match mantissa {
            ..0 => DecodeError::Negative { field },
            _ if mantissa as u64 > self.most => DecodeError::Decimal { field, cause: DecimalError::TooLarge },
            _ => DecodeError::Decimal { field, cause: DecimalError::OffStep },
        }
    }
}

/// The entries of a group, each as long as the wire says.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    pub bytes: &'a [u8],
    pub entry_len: usize,
    pub count: usize,
}

impl<'a> Group<'a> {
    #[inline(always)]
    pub(super) fn entries(self) -> std::slice::ChunksExact<'a, u8> {
        // An empty group may state any length, zero as well.
        self.bytes.chunks_exact(self.entry_len.max(1))
    }
    /// The entries as levels, when they are nothing more and no more than the protocol allows.
    #[inline(always)]
    fn levels(self) -> Option<&'a [Entry]> {
        match self.bytes.as_chunks() {
            (entries, []) if self.entry_len == LEVEL && entries.len() <= DEPTH_LEVELS_MAX => Some(entries),
            _ => None,
        }
    }
}

/// Replaces the levels of `depth` by those of both sides, bids first.
#[inline(always)]
pub(super) fn read_sides(
    sides: [Group<'_>; 2],
    scales: [&Scale; 2],
    wide: Option<Wide>,
    depth: &mut DepthBuf,
) -> Result<(), DecodeError> {
    if let (Some(wide), [Some(bids), Some(asks)]) = (wide, sides.map(Group::levels)) {
        let levels = [fit(&mut depth.bids, bids.len()), fit(&mut depth.asks, asks.len())];
        let seen = wide.read([bids, asks], scales.map(|scale| scale.step), levels);
        if seen.are_right(scales) {
            return Ok(());
        }
    }
    read_any(sides, scales, depth)
}

/// As many levels as that, of whatever content.
#[inline(always)]
fn fit(levels: &mut Vec<Level>, count: usize) -> &mut [Level] {
    #[cold]
    fn resize(levels: &mut Vec<Level>, count: usize) {
        levels.resize(count, Level::default());
    }
    if levels.len() != count {
        resize(levels, count);
    }
    levels
}

/// The bits that any price and any quantity has.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub mantissas: [u64; 2],
    pub products: [u64; 2],
}

impl Seen {
    /// Whether all numbers are surely right: a number of all their bits is at least as large as each of them.
    #[inline(always)]
    fn are_right(&self, [price, qty]: [&Scale; 2]) -> bool {
        let is_right =
            |at: usize, scale: &Scale| self.mantissas[at] <= scale.most && scale.step.are_counts(self.products[at]);
        is_right(0, price) & is_right(1, qty)
    }
}

/// Reads entries of any length, side after side.
#[inline(never)]
fn read_any([bids, asks]: [Group<'_>; 2], scales: [&Scale; 2], depth: &mut DepthBuf) -> Result<(), DecodeError> {
    read_side("bids", bids, scales, &mut depth.bids)?;
    read_side("asks", asks, scales, &mut depth.asks)
}

fn read_side(
    field: &'static str,
    side: Group<'_>,
    scales: [&Scale; 2],
    levels: &mut Vec<Level>,
) -> Result<(), DecodeError> {
    if side.count > DEPTH_LEVELS_MAX {
        return Err(DecodeError::TooManyLevels { field });
    }
    levels.clear();
    // Most entries have no more than the two numbers, and then their length is known to the compiler.
    let seen = match side.levels() {
        Some(entries) => push_levels(entries.iter().map(mantissas), scales, levels),
        None => {
            let first = |entry: &[u8]| entry.first_chunk().map_or([0; 2], mantissas);
            push_levels(side.entries().map(first), scales, levels)
        }
    };
    if seen.are_right(scales) { Ok(()) } else { prove(side, scales, field) }
}

/// The two numbers of a level.
#[inline(always)]
fn mantissas(entry: &Entry) -> [u64; 2] {
    let ([price, qty], _) = entry.as_chunks() else { return [0; 2] };
    [price, qty].map(|number| u64::from_le_bytes(*number))
}

#[inline(always)]
fn push_levels(entries: impl ExactSizeIterator<Item = [u64; 2]>, scales: [&Scale; 2], levels: &mut Vec<Level>) -> Seen {
    let ([price, qty], mut seen) = (scales.map(|scale| scale.step), Seen::default());
    levels.extend(entries.map(|mantissas| {
        let products = [price.product(mantissas[0]), qty.product(mantissas[1])];
        let joined = |seen: [u64; 2], these: [u64; 2]| [seen[0] | these[0], seen[1] | these[1]];
        seen = Seen { mantissas: joined(seen.mantissas, mantissas), products: joined(seen.products, products) };
        let (ticks, lots) = (price.counted(products[0]), qty.counted(products[1]));
        Level { price: Price::from_ticks(ticks as i64), qty: Qty::from_lots(lots as i64) }
    }));
    seen
}

/// Looks at each level of a side by itself and tells the first that is wrong.
#[cold]
fn prove(side: Group<'_>, [price, qty]: [&Scale; 2], field: &'static str) -> Result<(), DecodeError> {
    for numbers in side.entries().filter_map(|entry| entry.first_chunk().map(mantissas)) {
        let [ticks, lots] = numbers.map(|number| number as i64);
        price.count(ticks).ok_or_else(|| price.error(field, ticks))?;
        qty.count(lots).ok_or_else(|| qty.error(field, lots))?;
    }
    Ok(())
}
