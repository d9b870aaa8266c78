//! The archive that a running engine makes beside itself, when it is asked for.
//!
//! Used by the verbs that run an engine, on their main thread. A failure of the archive is a warning: the journal has
//! everything, and `touchline convert` makes what is missing.

use std::time::Duration;

use super::engine::Live;
use crate::archive::LiveArchive;
use crate::config::Config;
use crate::gateway::wall_now;

/// Starts the archive's thread, if the configuration names a folder for it.
pub fn begin(config: &Config, live: &Live) -> Option<LiveArchive> {
    let out = &config.journal.archive_dir;
    if out.as_os_str().is_empty() {
        return None;
    }
    // A segment is sealed when it is so old, and synced soon after: twice its age is late enough.
    let settled = Duration::from_secs(2 * config.journal.segment_s);
    LiveArchive::start(live.session_dir(), out, settled, wall_now)
        .inspect_err(|error| tracing::warn!("no archive: {error}"))
        .ok()
}

/// Archives what is left, once the journal is closed.
pub fn end(archive: Option<LiveArchive>) {
    let Some(archive) = archive else { return };
    match archive.finish() {
        Ok(summary) => tracing::info!(files = summary.files.len(), "the session is archived"),
        Err(error) => tracing::warn!("the session is not archived whole: {error}; `touchline convert` makes the rest"),
    }
}
