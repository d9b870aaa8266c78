//! Rows waiting to become a row group: one column beside the other, filled in the columns' order.
//!
//! Several rows may be filled at once: a value given once then stands in all of them, and what differs from row to row
//! is given as a sequence. What stands still is kept as runs, and a decimal that is a number of steps is not kept at
//! all: that is what makes a depth message of fifty levels cheaper than fifty rows.

use super::chunk::put_text;
use super::runs::Runs;
use super::table::{Column, ColumnKind, DECIMAL_DIGITS, Table};
use crate::types::TimestampNs;

/// Values of one column.
#[derive(Debug)]
pub(super) enum Values {
    /// Times and ids.
    Steps(Runs<i64>),
    /// Amounts and decimals.
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Flags(Runs<bool>),
    Words(Words),
    /// Texts and bytes of many different values, in Parquet's plain form.
    Texts(Vec<u8>),
}

/// Words of few different values: each is kept once and counted from then on.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// In the order of their first use.
    pub(super) known: Vec<Box<[u8]>>,
    /// The words of the rows, by their numbers.
    pub(super) numbers: Runs<u32>,
    last: usize,
}

impl Words {
    fn push(&mut self, word: &[u8], rows: usize) -> usize {
        if self.known.get(self.last).is_none_or(|known| **known != *word) {
            self.last = self.known.iter().position(|known| **known == *word).unwrap_or_else(|| {
                self.known.push(word.into());
                self.known.len() - 1
            });
        }
        self.numbers.push(self.last as u32, rows)
    }
}

/// One column of the waiting rows.
#[derive(Debug)]
pub(super) struct ColumnRows {
    pub column: Column,
    pub values: Values,
    /// Where there is a value; empty for a required column.
    pub levels: Runs<bool>,
    /// Rows without a value.
    pub nulls: usize,
    /// Decimals that are a number of steps each and are not kept themselves: the column of those numbers, so many places
    /// before, and the step.
    pub scaled: Option<(usize, i64)>,
    /// Of the numbers given last, one for each row.
    span: Span,
}

/// What numbers come to.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    sum: i128,
    /// No number is farther from zero.
    most: u64,
}

impl Span {
    fn of(numbers: &[i64]) -> Span {
        // Prices and sizes are never below zero and far from the type's end: their sum then fits it, and no number is
        // greater than all of their bits together.
        const SMALL: u64 = 1 << 48;
        let (bits, sum) = numbers
            .iter()
            .fold((0_u64, 0_i64), |(bits, sum), &number| (bits | number as u64, sum.wrapping_add(number)));
        if bits < SMALL && numbers.len() < 1 << 14 {
            return Span { sum: i128::from(sum), most: bits };
        }
        Span {
            sum: numbers.iter().map(|&number| i128::from(number)).sum(),
            most: numbers.iter().map(|number| number.unsigned_abs()).max().unwrap_or(0),
        }
    }
}

impl ColumnRows {
    fn new(column: Column) -> ColumnRows {
        let values = match column.kind {
            ColumnKind::Flag => Values::Flags(Runs::default()),
            ColumnKind::Word => Values::Words(Words::default()),
            ColumnKind::Text | ColumnKind::Bytes => Values::Texts(Vec::new()),
            ColumnKind::Float => Values::Floats(Vec::new()),
            ColumnKind::Time | ColumnKind::Id | ColumnKind::SignedId => Values::Steps(Runs::default()),
            ColumnKind::Amount | ColumnKind::Decimal(_) => Values::Integers(Vec::new()),
        };
        ColumnRows { column, values, levels: Runs::default(), nulls: 0, scaled: None, span: Span::default() }
    }

    /// Notes for `rows` rows whether they have a value. Returns the bytes that it takes.
    fn mark(&mut self, rows: usize, is_there: bool) -> usize {
        if !self.column.optional {
            return 0;
        }
        self.nulls += if is_there { 0 } else { rows };
        self.levels.push(is_there, rows)
    }

    /// The numbers of an amount or a decimal.
    fn integers(&mut self) -> &mut Vec<i64> {
        match &mut self.values {
            Values::Integers(values) => values,
            _ => unreachable!("{} is no number", self.column.name),
        }
    }
}

/// Rows of one file that wait to be written, and the sums of what has gone through.
#[derive(Debug)]
pub(super) struct Rows {
    pub columns: Vec<ColumnRows>,
    /// Sum of every column since the file began: integers as they are, flags as 0 and 1, others as nothing.
    pub sums: Vec<i128>,
    /// Rows that wait.
    pub waiting: usize,
    /// About how many bytes they hold.
    pub waiting_bytes: usize,
    /// Rows since the file began.
    pub total: u64,
    at: usize,
    /// Rows that are being filled.
    span: usize,
}

impl Rows {
    pub(super) fn new(table: Table) -> Rows {
        let columns: Vec<_> = table.columns().iter().map(|&column| ColumnRows::new(column)).collect();
        Rows { sums: vec![0; columns.len()], columns, waiting: 0, waiting_bytes: 0, total: 0, at: 0, span: 1 }
    }

    /// Forgets the waiting rows, which have been written; gives their memory back unless it is to be `kept`.
    pub(super) fn clear(&mut self, kept: bool) {
        for column in &mut self.columns {
            if !kept {
                *column = ColumnRows::new(column.column);
                continue;
            }
            column.levels.clear();
            column.nulls = 0;
            column.scaled = None;
            match &mut column.values {
                Values::Steps(values) => values.clear(),
                Values::Integers(values) => values.clear(),
                Values::Floats(values) => values.clear(),
                Values::Flags(values) => values.clear(),
                Values::Texts(texts) => texts.clear(),
                Values::Words(words) => {
                    words.known.clear();
                    words.numbers.clear();
                    words.last = 0;
                }
            }
        }
        self.waiting = 0;
        self.waiting_bytes = 0;
    }

    /// The waiting rows, taken out; what is left goes on counting.
    pub(super) fn take(&mut self) -> Rows {
        let fresh = self.columns.iter().map(|column| ColumnRows::new(column.column)).collect();
        let taken = Rows { columns: std::mem::replace(&mut self.columns, fresh), sums: Vec::new(), ..*self };
        self.waiting = 0;
        self.waiting_bytes = 0;
        taken
    }

    /// Begins `rows` rows at once.
    pub(super) fn begin(&mut self, rows: usize) {
        self.span = rows;
    }

    /// Ends the rows begun; without a beginning, one.
    ///
    /// # Panics
    /// When not every column got its value: the code that fills the table is wrong.
    pub(super) fn end(&mut self) {
        assert_eq!(self.at, self.columns.len(), "a row fills every column");
        self.waiting += self.span;
        self.total += self.span as u64;
        self.at = 0;
        self.span = 1;
    }

    pub(super) fn time(&mut self, time: TimestampNs) {
        self.integer(Some(time.nanos() as i64));
    }

    /// A time of which zero says that there was none.
    pub(super) fn maybe_time(&mut self, time: TimestampNs) {
        self.integer((time != TimestampNs::ZERO).then_some(time.nanos() as i64));
    }

    pub(super) fn id(&mut self, id: u64) {
        self.integer(Some(id as i64));
    }

    pub(super) fn maybe_id(&mut self, id: Option<u64>) {
        self.integer(id.map(|id| id as i64));
    }

    pub(super) fn number(&mut self, number: i64) {
        self.integer(Some(number));
    }

    pub(super) fn maybe_number(&mut self, number: Option<i64>) {
        self.integer(number);
    }

    /// A decimal by its digits without the point; one of too many digits is left out.
    pub(super) fn decimal(&mut self, digits: Option<i128>) {
        let limit = 10_i128.pow(DECIMAL_DIGITS);
        self.integer(digits.filter(|digits| digits.abs() < limit).map(|digits| digits as i64));
    }

    /// One number for each of the rows begun, of what the rows are made from: first the one part, then the other.
    pub(super) fn numbers<T>(&mut self, parts: [&[T]; 2], number: impl Fn(&T) -> i64) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let values = column.integers();
        let from = values.len();
        values.reserve(span);
        for part in parts {
            values.extend(part.iter().map(&number));
        }
        assert_eq!(values.len() - from, span, "a number for each row");
        column.span = Span::of(&values[from..]);
        self.sums[at] += column.span.sum;
        self.waiting_bytes += column.mark(span, true) + span * size_of::<i64>();
    }

    /// Decimals of 1e-8 for each of the rows begun: the numbers of the column `back` places before, times `step_e8`.
    ///
    /// Where the column holds nothing else, they are not kept: the encoder makes them of those numbers.
    pub(super) fn scaled(&mut self, back: usize, step_e8: i64) {
        const LIMIT: u64 = 10_u64.pow(DECIMAL_DIGITS);
        let (at, span) = self.next();
        let (before, rest) = self.columns.split_at_mut(at);
        let source = &mut before[at - back];
        let (given, numbers) = (source.span, source.integers());
        let all_fit = given.most.checked_mul(step_e8.unsigned_abs()).is_some_and(|digits| digits < LIMIT);
        let column = &mut rest[0];
        let held_before = column.levels.len() - column.nulls;
        let is_like_source = match column.scaled {
            Some(scaled) => scaled == (back, step_e8),
            None => held_before == 0,
        };
        if all_fit && is_like_source && held_before == numbers.len() - span {
            column.scaled = Some((back, step_e8));
            // The sum of decimals that all fit, so it fits itself.
            self.sums[at] += given.sum.wrapping_mul(i128::from(step_e8));
            self.waiting_bytes += column.mark(span, true);
            return;
        }
        // Some decimal has too many digits and is left out, or the column was filled in another way before.
        self.spell_out(at);
        let (before, rest) = self.columns.split_at_mut(at);
        let numbers = before[at - back].integers();
        let column = &mut rest[0];
        for &number in &numbers[numbers.len() - span..] {
            let digits = number.checked_mul(step_e8).filter(|digits| digits.unsigned_abs() < LIMIT);
            if let Some(digits) = digits {
                column.integers().push(digits);
                self.sums[at] += i128::from(digits);
            }
            self.waiting_bytes += column.mark(1, digits.is_some()) + size_of::<i64>();
        }
    }

    /// Keeps the decimals of a column that were not kept until now.
    fn spell_out(&mut self, at: usize) {
        let (before, rest) = self.columns.split_at_mut(at);
        let column = &mut rest[0];
        let Some((back, step)) = column.scaled.take() else { return };
        let held = column.levels.len() - column.nulls;
        let decimals = before[at - back].integers()[..held].iter().map(|&number| number * step);
        column.integers().extend(decimals);
        self.waiting_bytes += held * size_of::<i64>();
    }

    pub(super) fn float(&mut self, number: Option<f64>) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let Values::Floats(values) = &mut column.values else { unreachable!("{} is no float", column.column.name) };
        if let Some(number) = number {
            values.resize(values.len() + span, number);
            self.waiting_bytes += span * size_of::<f64>();
        }
        self.waiting_bytes += column.mark(span, number.is_some());
    }

    pub(super) fn flag(&mut self, flag: bool) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let Values::Flags(values) = &mut column.values else { unreachable!("{} is no flag", column.column.name) };
        self.waiting_bytes += values.push(flag, span);
        self.sums[at] += if flag { span as i128 } else { 0 };
    }

    /// A text: one of few different ones, or one of many, as the column says.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes(Some(text.as_bytes()));
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        self.bytes(text.map(str::as_bytes));
    }

    /// The same as [`text`](Self::text), of bytes that need not be text.
    pub(super) fn bytes(&mut self, text: Option<&[u8]>) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        self.waiting_bytes += column.mark(span, text.is_some());
        let Some(text) = text else { return };
        self.waiting_bytes += match &mut column.values {
            Values::Words(words) => words.push(text, span),
            Values::Texts(texts) => {
                for _ in 0..span {
                    put_text(text, texts);
                }
                span * (text.len() + 4)
            }
            _ => unreachable!("{} is no text", column.column.name),
        };
    }

    /// A run of one word and then a run of another, which together are the rows begun.
    pub(super) fn two_texts(&mut self, first: (&str, usize), second: (&str, usize)) {
        let (at, span) = self.next();
        assert_eq!(first.1 + second.1, span, "a word for each row");
        let column = &mut self.columns[at];
        self.waiting_bytes += column.mark(span, true);
        let Values::Words(words) = &mut column.values else { unreachable!("{} is no word", column.column.name) };
        for (word, rows) in [first, second] {
            if rows > 0 {
                self.waiting_bytes += words.push(word.as_bytes(), rows);
            }
        }
    }

    fn integer(&mut self, value: Option<i64>) {
        let (at, span) = self.next();
        if value.is_some() && self.columns[at].scaled.is_some() {
            self.spell_out(at);
        }
        let column = &mut self.columns[at];
        if let Some(value) = value {
            self.waiting_bytes += match &mut column.values {
                Values::Steps(runs) => runs.push(value, span),
                _ => {
                    let values = column.integers();
                    values.resize(values.len() + span, value);
                    span * size_of::<i64>()
                }
            };
            let value = match column.column.kind {
                ColumnKind::Id => i128::from(value as u64),
                _ => i128::from(value),
            };
            // 64 bits times a number of rows fit; checking that would cost more than all the rest of this.
            self.sums[at] += value.wrapping_mul(span as i128);
        }
        self.waiting_bytes += column.mark(span, value.is_some());
    }

    /// The column to fill and how many rows of it.
    fn next(&mut self) -> (usize, usize) {
        self.at += 1;
        (self.at - 1, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills `orderbook` with one message of these prices and sizes, scaled by such steps.
    fn message(rows: &mut Rows, levels: &[(i64, i64)], steps: (i64, i64)) {
        rows.begin(levels.len());
        for _ in 0..2 {
            rows.time(TimestampNs::from_nanos(7));
        }
        for _ in 0..3 {
            rows.id(3);
        }
        rows.maybe_id(None);
        rows.flag(true);
        rows.flag(false);
        rows.maybe_text(None);
        rows.two_texts(("bid", 1), ("ask", levels.len() - 1));
        rows.numbers([levels, &[]], |level| level.0);
        rows.numbers([levels, &[]], |level| level.1);
        rows.scaled(2, steps.0);
        rows.scaled(2, steps.1);
        rows.text("BTCUSDT");
        rows.text("s");
        rows.end();
    }

    /// The column `price` in full, and how it is kept.
    fn prices(rows: &Rows) -> (Vec<i64>, bool) {
        let column = &rows.columns[12];
        let Values::Integers(values) = &column.values else { panic!("{column:?}") };
        let Some((back, step)) = column.scaled else { return (values.clone(), false) };
        assert!(values.is_empty());
        let Values::Integers(numbers) = &rows.columns[12 - back].values else { panic!("{column:?}") };
        (numbers.iter().map(|number| number * step).collect(), true)
    }

    #[test]
    fn decimals_of_steps_are_kept_only_where_one_does_not_fit() {
        let mut rows = Rows::new(Table::Orderbook);
        message(&mut rows, &[(5, 1), (-6, 2)], (1_000_000, 10));
        message(&mut rows, &[(7, 3)], (1_000_000, 10));
        assert_eq!(prices(&rows), (vec![5_000_000, -6_000_000, 7_000_000], true));
        assert_eq!((rows.sums[12], rows.sums[13]), (6_000_000, 60));
        // 18 digits are the most: this one has 19, and is left out.
        message(&mut rows, &[(8, 4), (1_000_000_000_000, 5)], (1_000_000, 10));
        assert_eq!(prices(&rows), (vec![5_000_000, -6_000_000, 7_000_000, 8_000_000], false));
        assert_eq!((rows.columns[12].nulls, rows.columns[12].levels.len()), (1, 5));
        // Once kept, they stay so until the rows are written.
        message(&mut rows, &[(9, 4)], (1_000_000, 10));
        assert_eq!(prices(&rows).0.last(), Some(&9_000_000));
        assert_eq!(rows.sums[12], 23_000_000);
        rows.clear(true);
        message(&mut rows, &[(9, 4)], (1_000_000, 10));
        assert_eq!(prices(&rows), (vec![9_000_000], true));
        assert_eq!((rows.waiting, rows.total, rows.sums[12]), (1, 7, 32_000_000));
    }
}
