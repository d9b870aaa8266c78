//! What a conversion did, for people and for machines.

use std::collections::BTreeMap;

use serde::Serialize;

/// One table's part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// Rows written.
    pub rows: u64,
    /// Sum of each column of numbers, exact, as text because it may exceed 64 bits. Times count in nanoseconds,
    /// decimals in their digits without the point, flags as 0 and 1.
    pub sums: BTreeMap<String, String>,
}

/// A place of the journal that held no whole record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DroppedPlace {
    /// The file.
    pub file: String,
    /// Byte offset in it.
    pub offset: u64,
    /// Number of the first record missing.
    pub seq: u64,
    /// Bytes that hold no whole record.
    pub bytes: u64,
    /// Records missing, when later ones tell.
    pub records: Option<u64>,
    /// What is wrong there.
    pub why: String,
    /// Whether it is the stream's end, as a kill or a power cut leaves it; otherwise it is corruption.
    pub is_tail: bool,
}

/// What a conversion did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Names of the sessions converted.
    pub sessions: Vec<String>,
    /// Records read, by stream.
    pub records: BTreeMap<String, u64>,
    /// Rows and sums, by table.
    pub tables: BTreeMap<String, TableSummary>,
    /// Records that have no table, by kind.
    pub without_table: BTreeMap<String, u64>,
    /// Files written, in the order of their paths.
    pub files: Vec<String>,
    /// Of these, files that an earlier conversion had written and that were kept as they are.
    pub kept: u64,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// What was not there to be converted.
    pub dropped: Vec<DroppedPlace>,
}

impl Summary {
    /// Whether something other than the end of a stream was missing.
    pub fn is_corrupt(&self) -> bool {
        self.dropped.iter().any(|place| !place.is_tail)
    }
}
