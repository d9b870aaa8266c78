//! The levels of a depth message: `["61250.10","0.482"],["61250.00","1.100"]]`.

use super::text::Text;
use super::wide::Wide;
use crate::types::{DEPTH_LEVELS_MAX, Level, Price, Qty};
use crate::venue::binance::step::Step;

/// What one step of an instrument's prices and quantities is worth in units of 1e-8.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) tick: Step,
    pub(super) lot: Step,
}

/// How the latest level was written: the next one most likely has as many digits. Only a guess, held against each text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// Digits of a price before its point.
    pub(super) whole: usize,
    /// Digits of a price behind its point.
    pub(super) places: usize,
    /// Digits of a quantity behind its point, where it has one.
    pub(super) qty_places: usize,
}

impl Steps {
    /// A price, whose closing quote is passed.
    #[inline(always)]
    pub(super) fn price(self, text: &mut Text<'_>) -> Option<Price> {
        let decimal = text.decimal()?;
        text.pass(b"\"")?;
        self.tick.count(decimal.e8).map(Price::from_ticks)
    }

    /// A quantity, whose closing quote is passed.
    #[inline(always)]
    pub(super) fn qty(self, text: &mut Text<'_>) -> Option<Qty> {
        let decimal = text.decimal()?;
        text.pass(b"\"")?;
        self.lot.count(decimal.e8).map(Qty::from_lots)
    }
}

/// Replaces `levels` by those of an array whose opening bracket has been passed.
#[inline]
pub(super) fn read(
    text: &mut Text<'_>,
    steps: &Steps,
    shape: &mut Shape,
    wide: Option<Wide>,
    levels: &mut Vec<Level>,
) -> Option<()> {
    levels.clear();
    if text.has(b"]") {
        return Some(());
    }
    loop {
        if let Some(wide) = wide
            && wide.read(text, steps, *shape, levels)
        {
            return Some(());
        }
        one(text, steps, shape, levels)?;
        if text.has(b"]") {
            return Some(());
        }
        text.pass(b",")?;
    }
}

/// Any level, digit by digit; what it looks like is noted.
#[inline(never)]
fn one(text: &mut Text<'_>, steps: &Steps, shape: &mut Shape, levels: &mut Vec<Level>) -> Option<()> {
    text.pass(b"[\"")?;
    let price = text.decimal()?;
    text.pass(b"\",\"")?;
    let qty = text.decimal()?;
    text.pass(b"\"]")?;
    shape.whole = price.whole;
    shape.places = price.places;
    if qty.places > 0 {
        shape.qty_places = qty.places;
    }
    if levels.len() == DEPTH_LEVELS_MAX {
        return None;
    }
    levels.push(Level {
        price: Price::from_ticks(steps.tick.count(price.e8)?),
        qty: Qty::from_lots(steps.lot.count(qty.e8)?),
    });
    Some(())
}
