//! `touchline replay`: runs a session's decisions again from its journal, in this process, from disk alone.
//!
//! Owns the verb's flags, words, pace and progress bar; the work is in `verify` and `explain`. Runs on the main thread
//! and writes nothing.

mod explain;
mod rerun;
mod verify;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use explain::{ExplainError, Explained, explain};
pub use rerun::VerifyError;
pub use verify::{Difference, Progress, Verification, VerifyOptions, rerun, verify};

use super::sources::one_session;
use super::{Failure, exit};
use crate::types::TimestampNs;

/// A run that is over sooner shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(2);
/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// How fast a session is run again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many seconds of the session in one second.
    Times(f64),
    /// Without waiting.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.strip_suffix('x').unwrap_or(text).parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
            _ => Err("give a number above 0 such as 1, 10 or 0.5, or max".to_owned()),
        }
    }
}

/// Flags of `replay`.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// A session's folder, or a folder that holds one session.
    #[arg(value_name = "JOURNAL")]
    pub journal: PathBuf,
    /// Compare every action with the recorded one, byte for byte, and fail at the first that differs. Without it the
    /// recorded actions are not looked at.
    #[arg(long)]
    pub verify: bool,
    /// Stop after the quote record of this number.
    #[arg(long, value_name = "SEQ")]
    pub until: Option<u64>,
    /// Show why the quote decision of this quote record was made: input, features, model, risk, orders.
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["verify", "until", "speed"])]
    pub explain: Option<u64>,
    /// Seconds of the session in one second, or max.
    #[arg(long, value_name = "X|max", default_value = "max")]
    pub speed: Speed,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Replays and says whether the session is met, or explains one decision of it.
///
/// # Errors
/// `E_INPUT_002` when the journal cannot be read, naming the record; `E_CHECK_001` for the first action that differs,
/// `E_CHECK_002` for a digest that does; `E_INPUT_006` when there is no decision to explain.
pub fn run(args: ReplayArgs) -> Result<(), Failure> {
    let session_dir = one_session(&args.journal)?;
    if let Some(seq) = args.explain {
        return tell_why(&session_dir, seq, args.json);
    }
    let options = VerifyOptions { until: args.until, compare: args.verify };
    let mut pace = Pace::new(args.speed);
    let found = rerun(&session_dir, options, &mut |progress| pace.on_input(progress));
    pace.finish();
    let found = found.map_err(|error| unreadable(&session_dir, &error))?;
    if args.json {
        let text = serde_json::to_string(&found).map_err(|error| Failure::bug(format!("no text: {error}")))?;
        println!("{text}");
    } else {
        print!("{}", text_of(&found, args.verify));
    }
    for note in &found.notes {
        eprintln!("note: {note}");
    }
    if let Some(difference) = &found.first_difference {
        return Err(different(difference));
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

fn different(difference: &Difference) -> Failure {
    Failure::new(
        "E_CHECK_001",
        exit::MISMATCH,
        format!(
            "quote record {} (input {}, now {}): recorded {}; made {}",
            difference.seq, difference.input_seq, difference.now_ns, difference.recorded, difference.made
        ),
        "an input, the session file or the program is not what it was when the session ran",
        "compare builds and session.json; decisions replay byte for byte on the same build and target only",
    )
}

fn unreadable(session_dir: &Path, error: &VerifyError) -> Failure {
    Failure::new(
        "E_INPUT_002",
        exit::INPUT,
        format!("the journal {} cannot be replayed: {error}", session_dir.display()),
        "a record of it is damaged, or it was written by another version",
        "copy the session's folder anew from where it was written; `touchline convert` keeps what is whole",
    )
}

fn tell_why(session_dir: &Path, seq: u64, as_json: bool) -> Result<(), Failure> {
    let told = explain(session_dir, seq).map_err(|error| {
        let near = match &error {
            ExplainError::Verify(error) => return unreadable(session_dir, error),
            ExplainError::Differs { seq, recorded, made } => {
                return different(&Difference {
                    seq: *seq,
                    input_seq: 0,
                    now_ns: 0,
                    recorded: format!("{recorded:?}"),
                    made: format!("{made:?}"),
                });
            }
            ExplainError::NoDecision { near, .. } => near.iter().flatten().map(ToString::to_string).collect(),
            ExplainError::Beyond { near, .. } => near.iter().map(ToString::to_string).collect::<Vec<_>>(),
        };
        Failure::new(
            "E_INPUT_006",
            exit::INPUT,
            error.to_string(),
            "only a quote decision has reasons to show",
            match near.as_slice() {
                [] => "there is none near it: give the number of another session's decision".to_owned(),
                [one] => format!("give the number of a quote decision: the nearest is {one}"),
                near => format!("give the number of a quote decision: the nearest are {}", near.join(" and ")),
            },
        )
    })?;
    if as_json {
        println!("{}", told.json());
    } else {
        print!("{}", told.text());
    }
    Ok(())
}

fn text_of(found: &Verification, compared: bool) -> String {
    let verdict = match (compared, found.identical) {
        (_, false) => "different",
        (true, true) => "identical",
        (false, true) => "run again, its recorded actions not looked at",
    };
    let mut text = format!(
        "session {}: {verdict}\n  feed records {} ({} skipped as dropped)\n  inputs {}\n  actions {}\n  actions' digest {}\n  \
         books {}\n",
        found.session,
        found.feed_records,
        found.feed_dropped,
        found.inputs,
        found.actions,
        found.actions_digest,
        found.books_digest
    );
    if let Some(digest) = &found.pipeline_digest {
        text.push_str(&format!("  decisions {digest}\n"));
    }
    text
}

/// Holds a run to its speed and shows how far it is.
struct Pace {
    speed: Speed,
    began: Instant,
    first: Option<TimestampNs>,
    bar: Option<ProgressBar>,
    shown: Instant,
    shows: bool,
}

impl Pace {
    fn new(speed: Speed) -> Pace {
        let now = Instant::now();
        Pace { speed, began: now, first: None, bar: None, shown: now, shows: std::io::stderr().is_terminal() }
    }

    fn on_input(&mut self, progress: Progress) {
        let first = *self.first.get_or_insert(progress.now);
        if let Speed::Times(times) = self.speed {
            let due = Duration::from_secs_f64(progress.now.since(first).secs_f64() / times);
            // In steps, so that the bar moves while an hour of silence passes.
            while let Some(wait) = due.checked_sub(self.began.elapsed()).filter(|wait| !wait.is_zero()) {
                std::thread::sleep(wait.min(BAR_EVERY));
                self.show(progress);
            }
        }
        self.show(progress);
    }

    fn show(&mut self, progress: Progress) {
        if !self.shows || self.shown.elapsed() < BAR_EVERY || self.began.elapsed() < BAR_AFTER {
            return;
        }
        self.shown = Instant::now();
        let (done, all) = progress.bytes;
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg} {eta}") {
                bar.set_style(style);
            }
            bar
        });
        let passed = self.first.map_or(0.0, |first| progress.now.since(first).secs_f64());
        bar.set_message(format!("{passed:.1} s of the session"));
        bar.set_position(done.min(all));
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
