//! The file of what a session has learnt: read before it starts, written when it has ended.
//!
//! Used by `run` and `demo` on their main thread. The state itself is the decisions' own
//! ([`WarmState`]); here are only the file and the sentences about it.

use std::path::Path;

use super::{Failure, exit};
use crate::pipeline::WarmState;

/// Name of the file in a session's folder.
pub const STATE_FILE: &str = "state.json";

/// Reads a state file. An empty path is none; a file that is not there yet is a cold start.
///
/// # Errors
/// When it is there and cannot be read or understood: starting cold without a word would hide it.
pub fn read(path: &Path) -> Result<Option<WarmState>, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let unusable = |why: String| {
        Failure::new(
            "E_WARM_001",
            exit::CONFIG,
            format!("the state file {} cannot be used", path.display()),
            why,
            "remove it or unset warm.state_file to start cold; each session's folder keeps its own state.json",
        )
    };
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .and_then(WarmState::from_json)
            .map(Some)
            .map_err(|error| unusable(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!(path = %path.display(), "no state of an earlier session: starting cold");
            Ok(None)
        }
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Writes a state file, whole or not at all.
///
/// # Errors
/// When the system refuses.
pub fn write(path: &Path, state: &WarmState) -> Result<(), Failure> {
    let failed = |why: String| {
        Failure::new(
            "E_WARM_002",
            exit::OUTPUT,
            format!("what the session has learnt cannot be written to {}", path.display()),
            why,
            "give a path that can be written with warm.state_file; the journal is complete without it",
        )
    };
    let text = state
        .to_json()
        .and_then(|value| serde_json::to_string_pretty(&value))
        .map_err(|error| failed(error.to_string()))?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    std::fs::write(&temporary, text + "\n")
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|error| failed(error.to_string()))
}

/// The state as the session file holds it.
///
/// # Errors
/// Never for what a session or a back-fill makes.
pub fn value_of(state: Option<&WarmState>) -> Result<Option<serde_json::Value>, Failure> {
    state
        .map(WarmState::to_json)
        .transpose()
        .map_err(|error| Failure::bug(format!("what the session begins with has no text: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::InstrumentState;

    #[test]
    fn a_state_comes_back_from_its_file_and_a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(read(&path).unwrap(), None, "not there yet");
        assert_eq!(read(Path::new("")).unwrap(), None, "not asked for");
        let mut instrument = InstrumentState::empty("BTCUSDT");
        instrument.gamma = Some(4.25);
        let state = WarmState { saved_ns: 7, instruments: vec![instrument] };
        write(&path, &state).unwrap();
        assert_eq!(read(&path).unwrap(), Some(state));
        std::fs::write(&path, "{\"saved_ns\": 7, \"instruments\": [{\"symbl\": 1}]}").unwrap();
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.code, "E_WARM_001");
        assert!(failure.to_string().contains("symbl"), "{failure}");
        assert_eq!(write(&folder.path().join("no/such"), &WarmState::default()).unwrap_err().code, "E_WARM_002");
    }
}
