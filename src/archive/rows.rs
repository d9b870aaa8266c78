//! Rows waiting to become a row group: one vector a column, filled in the columns' order.
//!
//! Several rows may be filled at once: a value given once then stands in all of them, and what differs from row to row
//! is given as a sequence. That is what makes a depth message of fifty levels cheaper than fifty rows.

use super::chunk::put_text;
use super::table::{Column, ColumnKind, DECIMAL_DIGITS, Table};
use crate::types::TimestampNs;

/// Values of one column.
#[derive(Debug)]
pub(super) enum Values {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Flags(Vec<bool>),
    Words(Words),
    /// Texts and bytes of many different values, in Parquet's plain form.
    Texts(Vec<u8>),
}

/// Words of few different values: each is kept once and counted from then on.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// In the order of their first use.
    pub(super) known: Vec<Box<[u8]>>,
    numbers: Vec<u32>,
    last: usize,
}

impl Words {
    fn push(&mut self, word: &[u8], rows: usize) {
        if self.known.get(self.last).is_none_or(|known| **known != *word) {
            self.last = self.known.iter().position(|known| **known == *word).unwrap_or_else(|| {
                self.known.push(word.into());
                self.known.len() - 1
            });
        }
        self.numbers.resize(self.numbers.len() + rows, self.last as u32);
    }

    /// The words of the rows, by their numbers.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }
}

/// One column of the waiting rows.
#[derive(Debug)]
pub(super) struct ColumnRows {
    pub column: Column,
    pub values: Values,
    /// 1 where there is a value, 0 where not; empty for a required column.
    pub levels: Vec<u8>,
    /// Rows without a value.
    pub nulls: usize,
    /// Decimals that are a number of steps each: the column of those numbers, so many places before, and the step.
    pub scaled: Option<(usize, i64)>,
}

impl ColumnRows {
    fn new(column: Column) -> ColumnRows {
        let values = match column.kind {
            ColumnKind::Flag => Values::Flags(Vec::new()),
            ColumnKind::Word => Values::Words(Words::default()),
            ColumnKind::Text | ColumnKind::Bytes => Values::Texts(Vec::new()),
            ColumnKind::Float => Values::Floats(Vec::new()),
            ColumnKind::Time | ColumnKind::Id | ColumnKind::SignedId | ColumnKind::Amount | ColumnKind::Decimal(_) => {
                Values::Integers(Vec::new())
            }
        };
        ColumnRows { column, values, levels: Vec::new(), nulls: 0, scaled: None }
    }

    /// Notes for `rows` rows whether they have a value.
    fn mark(&mut self, rows: usize, is_there: bool) {
        if self.column.optional {
            self.levels.resize(self.levels.len() + rows, u8::from(is_there));
            self.nulls += if is_there { 0 } else { rows };
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
    row_bytes: usize,
    at: usize,
    /// Rows that are being filled.
    span: usize,
}

impl Rows {
    pub(super) fn new(table: Table) -> Rows {
        let columns: Vec<_> = table.columns().iter().map(|&column| ColumnRows::new(column)).collect();
        let row_bytes = table.columns().iter().map(|column| column.kind.waiting_bytes() + 1).sum();
        Rows {
            sums: vec![0; columns.len()],
            columns,
            waiting: 0,
            waiting_bytes: 0,
            total: 0,
            row_bytes,
            at: 0,
            span: 1,
        }
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
        self.waiting_bytes += self.span * self.row_bytes;
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

    /// One number for each of the rows begun.
    pub(super) fn numbers(&mut self, numbers: impl Iterator<Item = i64>) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let Values::Integers(values) = &mut column.values else { unreachable!("{} is no number", column.column.name) };
        let from = values.len();
        values.extend(numbers);
        assert_eq!(values.len() - from, span, "a number for each row");
        self.sums[at] += sum(&values[from..]);
        column.mark(span, true);
    }

    /// Decimals of 1e-8 for each of the rows begun: the numbers of the column `back` places before, times `step_e8`.
    pub(super) fn scaled(&mut self, back: usize, step_e8: i64) {
        const LIMIT: u64 = 10_u64.pow(DECIMAL_DIGITS);
        let (at, span) = self.next();
        let (before, rest) = self.columns.split_at_mut(at);
        let Values::Integers(source) = &before[at - back].values else {
            unreachable!("{} is no number", before[at - back].column.name)
        };
        let column = &mut rest[0];
        let Values::Integers(values) = &mut column.values else { unreachable!("{} is no number", column.column.name) };
        let from = values.len();
        let mut all_fit = true;
        values.extend(source[source.len() - span..].iter().map(|&number| {
            let (digits, overflows) = number.overflowing_mul(step_e8);
            all_fit &= !overflows && digits.unsigned_abs() < LIMIT;
            digits
        }));
        if all_fit {
            self.sums[at] += sum(&values[from..]);
            column.scaled = Some((back, step_e8));
            column.mark(span, true);
            return;
        }
        // Some decimal has too many digits: once more, one at a time, leaving those out.
        values.truncate(from);
        for &number in &source[source.len() - span..] {
            let digits = number.checked_mul(step_e8).filter(|digits| digits.unsigned_abs() < LIMIT);
            if let Some(digits) = digits {
                values.push(digits);
                self.sums[at] += i128::from(digits);
            }
            column.levels.push(u8::from(digits.is_some()));
            column.nulls += usize::from(digits.is_none());
        }
    }

    pub(super) fn float(&mut self, number: Option<f64>) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let Values::Floats(values) = &mut column.values else { unreachable!("{} is no float", column.column.name) };
        if let Some(number) = number {
            values.resize(values.len() + span, number);
        }
        column.mark(span, number.is_some());
    }

    pub(super) fn flag(&mut self, flag: bool) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let Values::Flags(values) = &mut column.values else { unreachable!("{} is no flag", column.column.name) };
        values.resize(values.len() + span, flag);
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
        column.mark(span, text.is_some());
        let Some(text) = text else { return };
        match &mut column.values {
            Values::Words(words) => words.push(text, span),
            Values::Texts(texts) => {
                for _ in 0..span {
                    put_text(text, texts);
                }
                self.waiting_bytes += span * (text.len() + 4);
            }
            _ => unreachable!("{} is no text", column.column.name),
        }
    }

    /// A run of one word and then a run of another, which together are the rows begun.
    pub(super) fn two_texts(&mut self, first: (&str, usize), second: (&str, usize)) {
        let (at, span) = self.next();
        assert_eq!(first.1 + second.1, span, "a word for each row");
        let column = &mut self.columns[at];
        column.mark(span, true);
        let Values::Words(words) = &mut column.values else { unreachable!("{} is no word", column.column.name) };
        for (word, rows) in [first, second] {
            if rows > 0 {
                words.push(word.as_bytes(), rows);
            }
        }
    }

    fn integer(&mut self, value: Option<i64>) {
        let (at, span) = self.next();
        let column = &mut self.columns[at];
        let Values::Integers(values) = &mut column.values else { unreachable!("{} is no number", column.column.name) };
        if let Some(value) = value {
            values.resize(values.len() + span, value);
            let value = match column.column.kind {
                ColumnKind::Id => i128::from(value as u64),
                _ => i128::from(value),
            };
            self.sums[at] += value * span as i128;
        }
        column.mark(span, value.is_some());
    }

    /// The column to fill and how many rows of it.
    fn next(&mut self) -> (usize, usize) {
        self.at += 1;
        (self.at - 1, self.span)
    }
}

fn sum(values: &[i64]) -> i128 {
    values.iter().map(|&value| i128::from(value)).sum()
}
