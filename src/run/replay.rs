//! `touchline replay`: runs a session's decisions again from its journal, in this process, from disk alone.
//!
//! Owns the verb's flags and words; the work is in `verify`. Runs on the main thread and writes nothing.

mod verify;

use std::path::PathBuf;

pub use verify::{Difference, Verification, VerifyError, verify};

use super::sources::one_session;
use super::{Failure, exit};

/// Flags of `replay`.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// A session's folder, or a folder that holds one session.
    #[arg(value_name = "JOURNAL")]
    pub journal: PathBuf,
    /// Compare every action with the recorded one, byte for byte, and fail at the first that differs.
    #[arg(long, required = true)]
    pub verify: bool,
    /// Stop after the quote record of this number.
    #[arg(long, value_name = "SEQ")]
    pub until: Option<u64>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Replays and says whether the session is met.
///
/// # Errors
/// `E_INPUT_002` when the journal cannot be read, naming the record; `E_CHECK_001` for the first action that differs,
/// `E_CHECK_002` for a digest that does.
pub fn run(args: ReplayArgs) -> Result<(), Failure> {
    let session_dir = one_session(&args.journal)?;
    let found = verify(&session_dir, args.until).map_err(|error| {
        Failure::new(
            "E_INPUT_002",
            exit::INPUT,
            format!("the journal {} cannot be replayed: {error}", session_dir.display()),
            "a record of it is damaged, or it was written by another version",
            "copy the session's folder anew from where it was written; `touchline convert` keeps what is whole",
        )
    })?;
    if args.json {
        let text = serde_json::to_string(&found).map_err(|error| Failure::bug(format!("no text: {error}")))?;
        println!("{text}");
    } else {
        print!("{}", text_of(&found));
    }
    for note in &found.notes {
        eprintln!("note: {note}");
    }
    if let Some(difference) = &found.first_difference {
        return Err(Failure::new(
            "E_CHECK_001",
            exit::MISMATCH,
            format!(
                "quote record {} (input {}, now {}): recorded {}; made {}",
                difference.seq, difference.input_seq, difference.now_ns, difference.recorded, difference.made
            ),
            "an input, the session file or the program is not what it was when the session ran",
            "compare builds and session.json; decisions replay byte for byte on the same build and target only",
        ));
    }
    if !found.digests_differ.is_empty() {
        return Err(Failure::new(
            "E_CHECK_002",
            exit::MISMATCH,
            format!("all actions are identical, but the digest of {} differs", found.digests_differ.join(" and ")),
            "something that no action shows yet is not what it was when the session ran",
            "compare builds and session.json; decisions replay byte for byte on the same build and target only",
        ));
    }
    Ok(())
}

fn text_of(found: &Verification) -> String {
    let verdict = if found.identical { "identical" } else { "different" };
    let mut text = format!(
        "session {}: {verdict}\n  feed records {} ({} skipped as dropped)\n  inputs {}\n  actions {}\n  books {}\n",
        found.session, found.feed_records, found.feed_dropped, found.inputs, found.actions, found.books_digest
    );
    if let Some(digest) = &found.pipeline_digest {
        text.push_str(&format!("  decisions {digest}\n"));
    }
    text
}
