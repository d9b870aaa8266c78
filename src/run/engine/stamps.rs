//! The file of raw stamps, for whoever studies single ticks: `metrics.stamps_file`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::metrics::Stamps;
use crate::run::Failure;
use crate::run::output::write_failure;

/// It is written by the cold core, in pieces that do not take it from anybody often.
const PIECE_BYTES: usize = 1 << 20;

/// The file with its heading; `None` for an empty name.
///
/// # Errors
/// When it cannot be written.
pub fn file(name: &str) -> Result<Option<Box<dyn Write + Send>>, Failure> {
    if name.is_empty() {
        return Ok(None);
    }
    let path = Path::new(name);
    let failed = |error: std::io::Error| write_failure(path, &error);
    let mut file = BufWriter::with_capacity(PIECE_BYTES, File::create(path).map_err(failed)?);
    writeln!(file, "{}", Stamps::HEADING).map_err(failed)?;
    Ok(Some(Box::new(file)))
}
