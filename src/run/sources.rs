//! Which sessions a path on the command line means. Shared by the verbs that read journals.

use std::path::{Path, PathBuf};

use super::{Failure, exit};
use crate::journal::SESSION_FILE;

/// The sessions at a path: the path itself, or the folders in it, or in its `journal` folder, that hold one.
///
/// # Errors
/// `E_INPUT_002` when there is none.
pub fn sessions_at(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.join(SESSION_FILE).is_file() {
        return Ok(vec![path.to_owned()]);
    }
    for folder in [path.to_owned(), path.join("journal")] {
        let Ok(listing) = std::fs::read_dir(&folder) else { continue };
        let mut sessions: Vec<PathBuf> =
            listing.flatten().map(|entry| entry.path()).filter(|path| path.join(SESSION_FILE).is_file()).collect();
        sessions.sort();
        if !sessions.is_empty() {
            return Ok(sessions);
        }
    }
    Err(Failure::new(
        "E_INPUT_002",
        exit::INPUT,
        format!("{} is no journal", path.display()),
        if path.exists() {
            format!("neither it nor a folder in it has a {SESSION_FILE}")
        } else {
            "it does not exist".to_owned()
        },
        "name a session's folder, as a session prints it at its end",
    ))
}

/// The one session at a path.
///
/// # Errors
/// `E_INPUT_002` when there is none, or more than one.
pub fn one_session(path: &Path) -> Result<PathBuf, Failure> {
    let mut sessions = sessions_at(path)?;
    if sessions.len() > 1 {
        return Err(Failure::new(
            "E_INPUT_002",
            exit::INPUT,
            format!("{} holds {} sessions", path.display(), sessions.len()),
            "only one can be replayed at a time",
            format!("name one of them, for instance {}", sessions[0].display()),
        ));
    }
    Ok(sessions.remove(0))
}
