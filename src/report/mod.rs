//! Floor 3: what a session leaves for people to read.
//!
//! Owns the output files of a run: `fills.csv`, `pnl.csv`, `summary.json` and a self-contained `report.html`. Called by
//! `run` on the main thread once the session has ended, with plain rows; it knows neither tiles nor the journal, so that
//! a live session, a replay and a backtest all get the same report.

mod charts;
mod html;
mod record;
mod summary;
mod tables;

use std::path::{Path, PathBuf};

use crate::types::Instrument;

pub use html::{PageHead, page, write_page};
pub use record::{FillRow, ModelFigures, PnlRow, SessionRecord};
pub use summary::{Decimal, ExchangeText, Latency, MarkoutText, PnlText, RedisCounts, Summary};
pub use tables::{FillTables, write_pnl};

/// An output file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("while writing {path}: {source}")]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// The system's word.
    #[source]
    pub source: std::io::Error,
}

/// A file of an instrument: the first one's has the plain name, the others carry their symbol.
pub fn path_of(out: &Path, stem: &str, ending: &str, index: usize, instrument: &Instrument) -> PathBuf {
    match index {
        0 => out.join(format!("{stem}.{ending}")),
        _ => out.join(format!("{stem}-{}.{ending}", instrument.symbol())),
    }
}

/// Writes a whole file or none: a reader never finds half of it.
///
/// # Errors
/// When the folder or the disk refuses.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    use std::io::Write;
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // The first error is the one to tell; a leftover is harmless.
        let _ = std::fs::remove_file(&partial);
        ReportError { path: path.to_owned(), source }
    })
}
