//! What every verb answers when it cannot do its work: a coded sentence and an exit code.
//!
//! Owns the shape of errors that people see. Made by `run`, `config` and `cli`, printed by `main` on stderr. It never
//! carries a secret: whoever makes one quotes places and values, not credentials.

use std::fmt;

use crate::pipeline::ConfigError;

/// Exit codes of the program. Stable: scripts rely on them. The table is in `docs/errors/README.md`.
pub mod exit {
    /// All went well.
    pub const OK: u8 = 0;
    /// Something that should be impossible: a bug.
    pub const BUG: u8 = 1;
    /// The command line could not be understood.
    pub const USAGE: u8 = 2;
    /// The configuration or the credentials are not usable.
    pub const CONFIG: u8 = 3;
    /// An input file is missing, of the wrong type, or malformed.
    pub const INPUT: u8 = 4;
    /// The output folder or disk cannot be written.
    pub const OUTPUT: u8 = 5;
    /// The venue cannot be reached, or refused the session.
    pub const VENUE: u8 = 6;
    /// A check found a difference: replay, validation, reconciliation.
    pub const MISMATCH: u8 = 7;
    /// The engine halted itself: a tile failed, or own orders could not be confirmed gone.
    pub const HALTED: u8 = 8;
    /// The verb is not built yet.
    pub const NOT_BUILT: u8 = 9;
    /// A second interrupt ended the program before it had cleaned up.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a verb could not do its work.
///
/// Each `code` has a page in `docs/errors`; a test compares the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable name of the failure: `E_<AREA>_<NNN>`.
    pub code: &'static str,
    /// What happened, with its place: file and line, key, id.
    pub what: String,
    /// Why it happened, as far as it is known.
    pub why: String,
    /// What to do about it.
    pub mend: String,
    /// The program's exit code: one of [`exit`].
    pub exit: u8,
}

impl Failure {
    /// A failure of that code.
    pub fn new(
        code: &'static str,
        exit: u8,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Failure {
        Failure { code, what: what.into(), why: why.into(), mend: mend.into(), exit }
    }

    /// The decisions cannot be made from their configuration.
    pub fn of_decisions(error: ConfigError) -> Failure {
        Failure::new(
            "E_CONF_012",
            exit::CONFIG,
            "the decisions cannot be made from this configuration",
            error.to_string(),
            "`touchline run --print-config` shows each key with its meaning",
        )
    }

    /// A bug: something that the code believed impossible.
    pub fn bug(what: impl Into<String>) -> Failure {
        Failure::new(
            "E_RUN_001",
            exit::BUG,
            what,
            "this should be impossible",
            "report it with the command line and the log",
        )
    }
}

/// A sentence without the stop at its end, so that sentences can be joined.
fn unstopped(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}.", self.code, unstopped(&self.what))?;
        for part in [&self.why, &self.mend] {
            let part = unstopped(part);
            let mut letters = part.chars();
            if let Some(first) = letters.next() {
                write!(f, " {}{}.", first.to_uppercase(), letters.as_str())?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_sentences() {
        let failure = Failure::new("E_X_001", exit::INPUT, "cannot read a.gz:7", "it is not JSON.", "remove the line");
        assert_eq!(failure.to_string(), "E_X_001: cannot read a.gz:7. It is not JSON. Remove the line.");
    }
}
