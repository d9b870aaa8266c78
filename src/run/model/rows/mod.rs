//! The rows, one file a group of the specification's sections.

mod control;
mod estimators;
mod features;
mod markets;
mod queues;
mod quotes;
mod statistics;
mod toxicity;

use super::lab::Lab;
use super::row::Row;

/// Every row of the table, in the order of the sections.
pub(super) fn all(lab: &Lab) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(features::rows(lab));
    rows.extend(toxicity::rows(lab));
    rows.extend(quotes::rows());
    rows.extend(estimators::rows(lab));
    rows.extend(control::rows(lab));
    rows.extend(queues::rows(lab));
    rows.extend(markets::rows(lab));
    rows.extend(statistics::rows());
    rows
}

/// Sections of the specification with numeric oracles, and how many rows each has at least.
#[cfg(test)]
pub(super) const LEAST: &[(&str, usize)] = &[
    ("5.1", 10),
    ("5.2", 1),
    ("5.3", 2),
    ("5.4", 4),
    ("6.1", 6),
    ("6.2", 40),
    ("6.3", 3),
    ("7", 110),
    ("9", 14),
    ("11", 70),
    ("12.1", 12),
    ("12.2", 18),
    ("12.3", 16),
];
