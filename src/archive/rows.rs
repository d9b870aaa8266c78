//! Rows waiting to become a row group: one vector a column, filled in the columns' order.

use parquet::data_type::ByteArray;

use super::table::{Column, ColumnKind, DECIMAL_DIGITS, Table};
use crate::types::TimestampNs;

/// Values of one column.
#[derive(Debug)]
pub(super) enum Values {
    Integers(Vec<i64>),
    Flags(Vec<bool>),
    Texts(Vec<ByteArray>),
}

/// One column of the waiting rows.
#[derive(Debug)]
pub(super) struct ColumnRows {
    pub column: Column,
    pub values: Values,
    /// 1 where there is a value, 0 where not; empty for a required column.
    pub levels: Vec<i16>,
}

/// Rows of one file that wait to be written, and the sums of what has gone through.
#[derive(Debug)]
pub(super) struct Rows {
    pub columns: Vec<ColumnRows>,
    /// Sum of every column since the file began: integers as they are, flags as 0 and 1, texts as nothing.
    pub sums: Vec<i128>,
    pub waiting: usize,
    pub total: u64,
    at: usize,
}

impl Rows {
    pub(super) fn new(table: Table) -> Rows {
        let columns: Vec<_> = table
            .columns()
            .iter()
            .map(|&column| ColumnRows {
                column,
                values: match column.kind {
                    ColumnKind::Flag => Values::Flags(Vec::new()),
                    ColumnKind::Text => Values::Texts(Vec::new()),
                    _ => Values::Integers(Vec::new()),
                },
                levels: Vec::new(),
            })
            .collect();
        Rows { sums: vec![0; columns.len()], columns, waiting: 0, total: 0, at: 0 }
    }

    /// Forgets the waiting rows, which have been written.
    pub(super) fn clear(&mut self) {
        for column in &mut self.columns {
            column.levels.clear();
            match &mut column.values {
                Values::Integers(values) => values.clear(),
                Values::Flags(values) => values.clear(),
                Values::Texts(values) => values.clear(),
            }
        }
        self.waiting = 0;
    }

    /// Ends a row.
    ///
    /// # Panics
    /// When not every column got its value: the code that fills the table is wrong.
    pub(super) fn end_row(&mut self) {
        assert_eq!(self.at, self.columns.len(), "a row fills every column");
        self.at = 0;
        self.waiting += 1;
        self.total += 1;
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

    pub(super) fn flag(&mut self, flag: bool) {
        let column = &mut self.columns[self.at];
        let Values::Flags(values) = &mut column.values else { unreachable!("{} is no flag", column.column.name) };
        values.push(flag);
        self.sums[self.at] += i128::from(flag);
        self.at += 1;
    }

    pub(super) fn text(&mut self, text: &ByteArray) {
        self.maybe_text(Some(text));
    }

    pub(super) fn maybe_text(&mut self, text: Option<&ByteArray>) {
        let column = &mut self.columns[self.at];
        let Values::Texts(values) = &mut column.values else { unreachable!("{} is no text", column.column.name) };
        if column.column.optional {
            column.levels.push(i16::from(text.is_some()));
        }
        values.extend(text.cloned());
        self.at += 1;
    }

    fn integer(&mut self, value: Option<i64>) {
        let column = &mut self.columns[self.at];
        let Values::Integers(values) = &mut column.values else { unreachable!("{} is no number", column.column.name) };
        if column.column.optional {
            column.levels.push(i16::from(value.is_some()));
        }
        if let Some(value) = value {
            values.push(value);
            self.sums[self.at] += match column.column.kind {
                ColumnKind::Id => i128::from(value as u64),
                _ => i128::from(value),
            };
        }
        self.at += 1;
    }
}
