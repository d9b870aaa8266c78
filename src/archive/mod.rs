//! Floor 3: Parquet made from journals.
//!
//! Streams a session's records into tables, one file for each table, symbol and hour, never holding more than a bounded
//! number of rows. Called by `touchline convert`, and by a session that has sealed its journal, on a cold thread. It
//! reads journals and writes files under one folder; it never decides, never repairs, never touches the journal.
//!
//! Integers are the truth (ticks, lots, ids, nanoseconds); decimal columns beside them are for people. A file appears
//! under its name whole or not at all, and converting again writes the same file.

mod check;
mod chunk;
mod convert;
mod error;
mod group;
mod live;
mod market;
mod market_rows;
mod order_rows;
mod partition;
mod rerun;
mod rows;
mod runs;
mod store;
mod stored;
mod summary;
mod table;

pub use check::{FileCheck, check_file};
pub use convert::{ConvertOptions, HeldTables, convert, convert_all};
pub use error::ArchiveError;
pub use live::LiveArchive;
pub use market::{MarketArchive, MarketReader};
pub use stored::{Stored, TableReader};
pub use summary::{DroppedPlace, Summary, TableSummary};
pub use table::Table;
