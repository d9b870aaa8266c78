//! The files of a conversion while they are being made: which row goes to which, and when one is full or done.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::chunk::ChunkEncoder;
use super::error::ArchiveError;
use super::partition::{Cut, Existing, Finished, Partition, hour_of, partition_path};
use super::rows::Rows;
use super::summary::Summary;
use super::table::Table;
use crate::types::{Instrument, Symbol, TimestampNs};
use crate::wire::Flags;

/// Which file a row goes to. Steps are part of it: rows of one file share their scale.
type Key = (Table, Symbol, (i64, i64), u64);

/// Bytes of texts that one file may hold back before they are written.
const GROUP_BYTES: usize = 24 << 20;

/// Files that may keep the memory of their rows for the next row group. With more of them open, memory that each may
/// need now and then would add up.
const KEEPING_FILES: usize = 4;

/// Hints at open files; a wrong one costs a search.
const HINTS: usize = 256;

/// The open files.
pub(super) struct Store {
    out: PathBuf,
    /// Tables to make; all that need no request when empty.
    tables: Vec<Table>,
    cut: Cut,
    /// Hours to make: from the first to before the second.
    hours: Option<(u64, u64)>,
    /// Sessions of this conversion.
    names: BTreeSet<String>,
    /// Files to be written whatever stands in their place.
    anew: BTreeSet<PathBuf>,
    /// In no order: few, and found again by `hints`.
    open: Vec<(Key, Partition)>,
    /// Where in `open` the rows of a table and instrument last went.
    hints: [usize; HINTS],
    /// Bytes of rows in memory.
    waiting_bytes: usize,
    /// Paths given to files of this conversion.
    taken: HashSet<PathBuf>,
    encoder: ChunkEncoder,
    files: Vec<PathBuf>,
    written: Vec<PathBuf>,
    notes: Vec<String>,
    stale: Vec<PathBuf>,
    /// Where row groups go that are not to be written.
    held: Option<Vec<Held>>,
    sums: BTreeMap<Table, (u64, Vec<i128>)>,
}

/// What became of the files.
pub(super) struct Outcome {
    /// Written now; all others were there already.
    pub written: Vec<PathBuf>,
    /// Files that stand in the way, and are to be written anew: the summary does not count them.
    pub stale: Vec<PathBuf>,
}

/// The row groups of one file.
pub(super) struct Held {
    pub table: Table,
    pub symbol: Symbol,
    pub path: PathBuf,
    pub groups: Vec<Rows>,
}

/// Where a row comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub session: &'a str,
    /// The session's venue profile.
    pub venue: &'a str,
    pub time: TimestampNs,
    /// Number of the record.
    pub seq: u64,
    pub flags: Flags,
    /// Digest of what else the row follows from: a record's checksum, which reading has made sure of.
    pub digest: u64,
}

impl Store {
    pub(super) fn new(
        out: &Path,
        tables: &[Table],
        cut: Cut,
        names: BTreeSet<String>,
        anew: BTreeSet<PathBuf>,
    ) -> Result<Store, ArchiveError> {
        Ok(Store {
            out: out.to_owned(),
            tables: tables.to_vec(),
            cut,
            hours: None,
            names,
            anew,
            open: Vec::new(),
            hints: [0; HINTS],
            waiting_bytes: 0,
            taken: HashSet::new(),
            encoder: ChunkEncoder::new().map_err(ArchiveError::io("prepare the compression for", out))?,
            files: Vec::new(),
            written: Vec::new(),
            notes: Vec::new(),
            stale: Vec::new(),
            held: None,
            sums: BTreeMap::new(),
        })
    }

    /// Rows of other hours are passed by.
    pub(super) fn only_hours(&mut self, hours: Option<(u64, u64)>) {
        self.hours = hours;
    }

    /// From now on nothing is written: row groups stay in memory, for [`held`](Self::held).
    pub(super) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Row groups that were not written.
    pub(super) fn held(&mut self) -> Result<Vec<Held>, ArchiveError> {
        self.close_all()?;
        Ok(self.held.take().unwrap_or_default())
    }

    /// Whether a table is to be made.
    pub(super) fn wants(&self, table: Table) -> bool {
        if self.tables.is_empty() { !table.is_on_request() } else { self.tables.contains(&table) }
    }

    /// Adds rows of one record to their file.
    pub(super) fn row(
        &mut self,
        table: Table,
        instrument: &Instrument,
        origin: Origin<'_>,
        fill: impl FnOnce(&mut Rows),
    ) -> Result<(), ArchiveError> {
        if !self.wants(table) {
            return Ok(());
        }
        let spec = &instrument.spec;
        let hour = hour_of(origin.time);
        if self.hours.is_some_and(|(from, to)| hour < from || hour >= to) {
            return Ok(());
        }
        let key: Key = (table, spec.symbol, (spec.tick_e8, spec.lot_e8), hour);
        let hint = (table as usize + Table::ALL.len() * instrument.id.index()) % HINTS;
        let mut at = self.hints[hint];
        if self.open.get(at).is_none_or(|(known, _)| *known != key) {
            at = match self.open.iter().position(|(known, _)| *known == key) {
                Some(at) => at,
                None => self.begin(key, instrument, origin.session)?,
            };
            self.hints[hint] = at;
        }
        let keeps = self.open.len() <= KEEPING_FILES;
        let partition = &mut self.open[at].1;
        partition.note(&origin);
        let before = partition.rows.waiting_bytes;
        fill(&mut partition.rows);
        self.waiting_bytes += partition.rows.waiting_bytes - before;
        if partition.rows.waiting >= self.cut.group_rows || partition.rows.waiting_bytes >= GROUP_BYTES {
            self.waiting_bytes -= partition.rows.waiting_bytes;
            partition.flush(&mut self.encoder, keeps)?;
        } else if self.waiting_bytes > self.cut.waiting_bytes {
            self.flush_fullest()?;
        }
        Ok(())
    }

    /// Opens a file and closes those of its rows' earlier hours. Returns its place among the open ones.
    fn begin(&mut self, key: Key, instrument: &Instrument, session: &str) -> Result<usize, ArchiveError> {
        let (table, symbol, steps, hour) = key;
        // Clocks step back by moments, not by hours: what ended an hour ago gets no more rows, save in a file of its own.
        let ended =
            |(known, _): &(Key, Partition)| (known.0, known.1, known.2) == (table, symbol, steps) && known.3 + 1 < hour;
        while let Some(at) = self.open.iter().position(ended) {
            let old = self.open.swap_remove(at);
            self.close(old)?;
        }
        let path = self.free_path(table, session, instrument, hour)?;
        let anew = self.anew.contains(&path);
        let partition = match self.held {
            Some(_) => Partition::hold(table, path, self.cut),
            None => Partition::create(table, instrument, path, self.cut, anew)?,
        };
        self.open.push((key, partition));
        Ok(self.open.len() - 1)
    }

    /// The file's path: plain where it is free, or holds nothing but what is converted again now; else with the
    /// session's name, so that no conversion destroys another's rows.
    fn free_path(
        &mut self,
        table: Table,
        session: &str,
        instrument: &Instrument,
        hour: u64,
    ) -> Result<PathBuf, ArchiveError> {
        for attempt in 0.. {
            let suffix = match attempt {
                0 => String::new(),
                1 => format!("-{session}"),
                _ => format!("-{session}-{attempt}"),
            };
            let path = self.out.join(partition_path(table, instrument, hour, &suffix)?);
            let foreign = match Existing::read(&path) {
                Some(existing) => !existing.sessions().all(|name| self.names.contains(name)),
                // No file, or one that is not ours: the latter stays.
                None => path.exists(),
            };
            if !foreign && self.taken.insert(path.clone()) {
                return Ok(path);
            }
        }
        unreachable!("some number is free")
    }

    fn flush_fullest(&mut self) -> Result<(), ArchiveError> {
        let fullest =
            self.open.iter_mut().map(|(_, partition)| partition).max_by_key(|partition| partition.rows.waiting_bytes);
        if let Some(partition) = fullest {
            self.waiting_bytes -= partition.rows.waiting_bytes;
            partition.flush(&mut self.encoder, false)?;
        }
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), ArchiveError> {
        // In the order of their names, so that the summary's notes come in it too.
        self.open.sort_by_key(|(key, _)| *key);
        for open in std::mem::take(&mut self.open) {
            self.close(open)?;
        }
        Ok(())
    }

    fn close(&mut self, (key, partition): (Key, Partition)) -> Result<(), ArchiveError> {
        self.waiting_bytes -= partition.rows.waiting_bytes;
        let (path, rows) = match partition.finish(&mut self.encoder)? {
            Finished::Written(path, rows) => {
                self.written.push(path.clone());
                (path, rows)
            }
            Finished::Kept(path, rows) => (path, rows),
            Finished::Stale(path) => {
                self.stale.push(path);
                return Ok(());
            }
            Finished::Fuller(path, more) => {
                self.notes.push(format!("{}: kept, it has {more} rows more than the journal now", path.display()));
                return Ok(());
            }
            Finished::Held(path, groups) => {
                self.held.get_or_insert_default().push(Held { table: key.0, symbol: key.1, path, groups });
                return Ok(());
            }
        };
        self.files.push(path);
        let (total, sums) = self.sums.entry(key.0).or_insert_with(|| (0, vec![0; rows.sums.len()]));
        *total += rows.total;
        for (sum, part) in sums.iter_mut().zip(&rows.sums) {
            *sum += part;
        }
        Ok(())
    }

    /// Finishes every file. What the files hold goes into `summary`.
    pub(super) fn finish(mut self, summary: &mut Summary) -> Result<Outcome, ArchiveError> {
        self.close_all()?;
        for (table, (rows, sums)) in &self.sums {
            let part = summary.tables.entry(table.name().to_owned()).or_default();
            part.rows = *rows;
            for (column, sum) in table.columns().iter().zip(sums) {
                if column.kind.has_sum() {
                    part.sums.insert(column.name.to_owned(), sum.to_string());
                }
            }
        }
        self.files.sort();
        summary.files = self.files.iter().map(|path| path.display().to_string()).collect();
        summary.notes.append(&mut self.notes);
        Ok(Outcome { written: self.written, stale: self.stale })
    }
}
