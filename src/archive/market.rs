//! The market data of an archive as one stream: the feed's events in the order in which they came.
//!
//! The tables of all symbols are merged by the number of the feed record that each row came from. Called by the backtest; it
//! never writes.

use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;

use super::error::ArchiveError;
use super::group;
use super::partition::{INSTRUMENT_KEY, VENUES_KEY};
use super::stored::{Stored, TableReader};
use super::table::Table;
use crate::journal::InstrumentEntry;
use crate::types::{Instrument, InstrumentId};

/// The market data of an archive.
#[derive(Clone, Debug)]
pub struct MarketArchive {
    /// Its instruments, in the order of their symbols.
    pub instruments: Vec<Instrument>,
    /// The venue profile that its sessions had.
    pub venue_profile: String,
    /// Rows of the three tables.
    pub rows: u64,
    /// Files by table and instrument.
    files: Vec<(Table, InstrumentId, Vec<PathBuf>)>,
}

/// Tables that market data lies in.
const TABLES: [Table; 3] = [Table::Orderbook, Table::Trades, Table::Touches];

impl MarketArchive {
    /// Whether a folder is an archive with market data in it.
    pub fn is_at(folder: &Path) -> bool {
        TABLES.iter().any(|table| folder.join(table.name()).is_dir())
    }

    /// Looks at an archive's files and their footers; reads no row.
    ///
    /// # Errors
    /// When a folder or a footer cannot be read, a file does not tell its instrument, or files disagree about it or about
    /// the venue's rules.
    pub fn open(folder: &Path) -> Result<MarketArchive, ArchiveError> {
        let mut archive =
            MarketArchive { instruments: Vec::new(), venue_profile: String::new(), rows: 0, files: Vec::new() };
        for table in TABLES {
            for symbol in listed(&folder.join(table.name()))? {
                let mut files = Vec::new();
                for date in listed(&symbol)? {
                    files.extend(
                        listed(&date)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "parquet")),
                    );
                }
                let mut instrument = None;
                for file in &files {
                    let found = archive.take_footer(file)?;
                    if *instrument.get_or_insert(found) != found {
                        return Err(ArchiveError::Mixed { path: file.clone(), what: "instruments" });
                    }
                }
                if let Some(instrument) = instrument {
                    archive.files.push((table, instrument, files));
                }
            }
        }
        Ok(archive)
    }

    /// Notes what a file's footer says; the instrument that it is of.
    fn take_footer(&mut self, path: &Path) -> Result<InstrumentId, ArchiveError> {
        let reader = group::open(path)?;
        let failed = |why: String| ArchiveError::Parquet { path: path.to_owned(), source: ParquetError::General(why) };
        let text = group::note(&reader, INSTRUMENT_KEY).ok_or_else(|| {
            failed(format!("its footer has no `{INSTRUMENT_KEY}`: convert the journal again with this version"))
        })?;
        let entry: InstrumentEntry = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let new = InstrumentId(self.instruments.len() as u16);
        let mut instrument = entry.instrument(new).map_err(failed)?;
        match self.instruments.iter().find(|have| have.symbol() == instrument.symbol()) {
            Some(have) if have.spec == instrument.spec => instrument = *have,
            Some(_) => return Err(ArchiveError::Mixed { path: path.to_owned(), what: "instruments" }),
            None => self.instruments.push(instrument),
        }
        for venue in group::note(&reader, VENUES_KEY).unwrap_or_default().split(',') {
            if self.venue_profile.is_empty() {
                venue.clone_into(&mut self.venue_profile);
            } else if self.venue_profile != venue {
                return Err(ArchiveError::Mixed { path: path.to_owned(), what: "venue profiles" });
            }
        }
        self.rows += u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        Ok(instrument.id)
    }

    /// The events from the first on.
    pub fn reader(&self) -> MarketReader {
        let tables = self.files.iter();
        let tables = tables.map(|(table, id, files)| (TableReader::new(*table, *id, files.iter().cloned()), None));
        MarketReader { tables: tables.collect(), has_begun: false }
    }
}

/// What a folder holds, in the order of names; a folder that is not there holds nothing.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listing = std::fs::read_dir(folder).map_err(ArchiveError::io("list", folder))?;
    let paths: std::io::Result<Vec<PathBuf>> = listing.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(ArchiveError::io("list", folder))?;
    paths.sort();
    Ok(paths)
}

/// All tables side by side.
pub struct MarketReader {
    /// Each with its next event.
    tables: Vec<(TableReader, Option<Stored>)>,
    has_begun: bool,
}

impl MarketReader {
    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(table, _)| table.rows()).sum()
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// As [`TableReader::advance`].
    pub fn advance(&mut self) -> Result<Option<Stored>, ArchiveError> {
        if !std::mem::replace(&mut self.has_begun, true) {
            for (table, head) in &mut self.tables {
                *head = table.advance()?;
            }
        }
        let mut first: Option<(usize, &Stored)> = None;
        for (at, (_, head)) in self.tables.iter().enumerate() {
            let Some(head) = head else { continue };
            // Records of one session have their own order, which its clock need not have; sessions follow each other.
            let is_before = first.is_none_or(|(_, best)| match head.session == best.session {
                true => head.seq < best.seq,
                false => head.event.recv_ts() < best.event.recv_ts(),
            });
            if is_before {
                first = Some((at, head));
            }
        }
        let Some((at, _)) = first else { return Ok(None) };
        let (table, head) = &mut self.tables[at];
        let next = table.advance()?;
        Ok(std::mem::replace(head, next))
    }
}
