//! The honest answer of verbs that have a name in the design and no code yet.

use super::failure::{Failure, exit};

/// Takes whatever is given, so that the answer is about the verb and not about its flags.
#[derive(Debug, clap::Args)]
pub struct AnyArgs {
    /// Ignored.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// Says that `verb` is not built yet.
///
/// # Errors
/// Always: that is its answer.
pub fn run(verb: &str) -> Result<(), Failure> {
    Err(Failure::new(
        "E_CLI_001",
        exit::NOT_BUILT,
        format!("`touchline {verb}` is not built yet"),
        "its place in the design is kept, its code has not been written",
        "see `touchline --help` for the verbs that work and docs/ARCHITECTURE.md for what is planned",
    ))
}
