//! Training, validation and test rows: by time, with a gap in which no label of one reaches into the next.
//!
//! Owns [`split`]. Rows whose label window would end after the next part begins are purged; an embargo after each border
//! keeps signals that remember the part before out of the next one. Source: quant.md 8, split.

use super::shadow::Row;
use crate::types::{DurationNs, TimestampNs};

/// Rows with an outcome, in three parts.
#[derive(Clone, Debug, Default)]
pub struct Split<'a> {
    /// The oldest 60 %: weights are fitted to them.
    pub train: Vec<&'a Row>,
    /// The next 20 %: choices are made on them.
    pub validation: Vec<&'a Row>,
    /// The last 20 %: looked at once.
    pub test: Vec<&'a Row>,
    /// Rows that fell into no part.
    pub left_out: usize,
}

/// Splits rows that lie in the order of their decisions. `window` is how long after its decision a row's label may look,
/// markout included.
pub fn split(rows: &[Row], window: DurationNs, embargo: DurationNs) -> Split<'_> {
    let seen: Vec<&Row> = rows.iter().filter(|row| row.outcome.is_some()).collect();
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return Split::default() };
    let whole = last.decided_at.since(first.decided_at).nanos();
    let border = |share: f64| first.decided_at.plus(DurationNs::from_nanos((whole as f64 * share) as u64));
    let (validation_at, test_at) = (border(0.6), border(0.8));
    let mut split = Split::default();
    let ends_before = |row: &Row, at: TimestampNs| row.decided_at.plus(window) < at;
    for row in seen {
        if ends_before(row, validation_at) {
            split.train.push(row);
        } else if row.decided_at >= validation_at.plus(embargo) && ends_before(row, test_at) {
            split.validation.push(row);
        } else if row.decided_at >= test_at.plus(embargo) {
            split.test.push(row);
        } else {
            split.left_out += 1;
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::quoter::ev::SIGNALS;
    use crate::train::Outcome;
    use crate::types::Side;

    #[test]
    fn no_label_reaches_into_the_next_part_and_an_embargo_follows_each_border() {
        let outcome = Some(Outcome { filled: false, adverse_ticks: None });
        let row = |second: u64| Row {
            decided_at: TimestampNs::from_millis(second * 1000),
            side: Side::Bid,
            offset: 0,
            signals: [0.0; SIGNALS],
            outcome: if second == 7 { None } else { outcome },
        };
        let rows: Vec<Row> = (0..=1000).map(row).collect();
        let split = split(&rows, DurationNs::from_secs(10), DurationNs::from_secs(30));
        let ends = |part: &[&Row]| {
            let second = |row: &Row| row.decided_at.millis() / 1000;
            (second(part[0]), second(part[part.len() - 1]))
        };
        assert_eq!(ends(&split.train), (0, 589));
        assert_eq!(ends(&split.validation), (630, 789));
        assert_eq!(ends(&split.test), (830, 1000));
        assert_eq!(split.train.len(), 589, "a row without an outcome is in no part");
        assert_eq!(split.train.len() + split.validation.len() + split.test.len() + split.left_out, 1000);
    }
}
