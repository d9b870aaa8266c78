//! Runs a session's decisions again from its journal and compares what they ask for, byte for byte.
//!
//! Books are a function of the feed stream, decisions of the quote stream's inputs with their times; both streams are
//! read from disk, and the recorded actions are only compared with, never an input. Used by `touchline replay` and by
//! tests; runs in one thread and writes nothing.

use std::collections::VecDeque;
use std::path::Path;

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use super::rerun::{Rerun, Taken, VerifyError, bad};
use crate::journal::StreamReader;
use crate::types::{Actions, TimestampNs};
use crate::wire::{Flags, Kind, QuoteEvent, Record, RecordBuf, Stream, encode_action};

/// An action that is not what was recorded, or an input that cannot be what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Number of the quote record where the two part.
    pub seq: u64,
    /// Number of the input that was being answered.
    pub input_seq: u64,
    /// That input's time, nanoseconds since the epoch.
    pub now_ns: u64,
    /// What the journal holds there, as kind and values.
    pub recorded: String,
    /// What the decisions ask for now, as kind and values.
    pub made: String,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The session's name.
    pub session: String,
    /// Whether every action is the recorded one and every digest that the session left is met.
    pub identical: bool,
    /// Records of the feed read.
    pub feed_records: u64,
    /// Of these, dropped before the book saw them; skipped here too.
    pub feed_dropped: u64,
    /// Inputs run.
    pub inputs: u64,
    /// Actions compared and found equal.
    pub actions: u64,
    /// Digest of all actions made, kinds and bytes.
    pub actions_digest: String,
    /// Digest of all books after the last feed record.
    pub books_digest: String,
    /// Digest of the decisions' state after the last input; absent for a session without decisions.
    pub pipeline_digest: Option<String>,
    /// Where the first difference is.
    pub first_difference: Option<Difference>,
    /// Digests that differ from what the session left, by name, though no action does.
    pub digests_differ: Vec<String>,
    /// What else there is to know: torn tails, an edited session file, another build.
    pub notes: Vec<String>,
}

/// The actions that one input led to, waiting for their records.
#[derive(Default)]
struct Expected {
    input_seq: u64,
    now: TimestampNs,
    actions: VecDeque<(Kind, Vec<u8>, String)>,
}

impl Expected {
    fn difference(&self, seq: u64, recorded: String, made: Option<&str>) -> Difference {
        Difference {
            seq,
            input_seq: self.input_seq,
            now_ns: self.now.nanos(),
            recorded,
            made: made.map_or_else(|| "nothing".to_owned(), str::to_owned),
        }
    }
}

/// How a session is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Stop after the quote record of this number.
    pub until: Option<u64>,
    /// Compare with the recorded actions. Without it they are not even looked at, so that a journal without them gives
    /// the same digests.
    pub compare: bool,
}

/// How far a run has come: before each input.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The input's time.
    pub now: TimestampNs,
    /// Bytes of the quote stream read, and all of them.
    pub bytes: (u64, u64),
}

/// Runs a session again and compares; up to the quote record `until`, or to the end.
///
/// # Errors
/// When the journal cannot be read whole, save for a torn tail, which is noted. A difference is no error.
pub fn verify(session_dir: &Path, until: Option<u64>) -> Result<Verification, VerifyError> {
    rerun(session_dir, VerifyOptions { until, compare: true }, &mut |_| {})
}

/// As [`verify`], with options, telling how far it has come.
///
/// # Errors
/// As [`verify`].
pub fn rerun(
    session_dir: &Path,
    options: VerifyOptions,
    on_input: &mut dyn FnMut(Progress),
) -> Result<Verification, VerifyError> {
    let until = options.until;
    let mut run = Rerun::open(session_dir)?;
    let mut found = Verification { session: run.journal.info().session_id().to_string(), ..Verification::default() };
    found.notes.append(&mut run.notes);
    let mut is_whole = until.is_none();
    if run.pipeline.is_some() {
        is_whole &= run_decisions(&mut run, options, &mut found, on_input)?;
    }
    let Rerun { journal, mut books, pipeline, .. } = run;
    if found.first_difference.is_none() && until.is_none() {
        // What no input names, and the gateways' streams: nothing follows from them, but they must be sound.
        while books.next()?.is_some() {}
        for lane in 0..journal.lanes(Stream::Gateway) {
            let mut stream = journal.lane(Stream::Gateway, lane)?;
            while stream.next()?.is_some() {}
            note_torn(&stream, &mut found, &mut is_whole);
        }
    }
    note_torn(&books.feed, &mut found, &mut is_whole);
    found.feed_records = books.records;
    found.feed_dropped = books.dropped;
    found.books_digest = format!("{:032x}", books.stage.digest());
    found.pipeline_digest = pipeline.map(|pipeline| format!("{:032x}", pipeline.digest()));
    if found.first_difference.is_none()
        && is_whole
        && let Some(end) = journal.end()
    {
        let differs = |left: &Option<String>, now: Option<&String>| left.is_some() && left.as_ref() != now;
        if differs(&end.books_digest, Some(&found.books_digest)) {
            found.digests_differ.push("books".to_owned());
        }
        if differs(&end.pipeline_digest, found.pipeline_digest.as_ref()) {
            found.digests_differ.push("pipeline".to_owned());
        }
    }
    found.identical = found.first_difference.is_none() && found.digests_differ.is_empty();
    Ok(found)
}

/// Runs the quote stream. Returns whether it was read to an end that nothing is missing from.
fn run_decisions(
    run: &mut Rerun,
    options: VerifyOptions,
    found: &mut Verification,
    on_input: &mut dyn FnMut(Progress),
) -> Result<bool, VerifyError> {
    let Rerun { journal, books, pipeline: Some(pipeline), .. } = run else { return Ok(true) };
    let until = options.until;
    let mut quote = journal.stream(Stream::Quote)?;
    let mut actions = Actions::new();
    let mut buf = RecordBuf::default();
    let mut expected = Expected::default();
    let mut digest = Xxh3::new();
    let mut is_whole = true;
    let (mut bytes, total) = (0, quote.total_bytes());
    while let Some(record) = quote.next()? {
        let seq = record.header.seq;
        bytes += 32 + record.payload.len() as u64;
        if until.is_some_and(|until| seq > until) {
            expected.actions.clear();
            break;
        }
        match QuoteEvent::decode(&record).map_err(bad(&record))? {
            QuoteEvent::Action(_) if !options.compare => {}
            QuoteEvent::Action(action) => {
                let recorded = || format!("{action:?}");
                let made = expected.actions.pop_front();
                let equal = made.as_ref().is_some_and(|(kind, payload, _)| {
                    (*kind, &payload[..], expected.now) == (record.header.kind, record.payload, record.header.ts)
                });
                if !equal {
                    let made = made.as_ref().map(|(_, _, text)| text.as_str());
                    found.first_difference = Some(expected.difference(seq, recorded(), made));
                    break;
                }
                digest.update(&[record.header.kind as u8]);
                digest.update(record.payload);
                found.actions += 1;
            }
            QuoteEvent::Input(event) => {
                if let Some((_, _, made)) = expected.actions.front() {
                    let recorded = format!("no further action, but input {event:?}");
                    found.first_difference = Some(expected.difference(seq, recorded, Some(made)));
                    break;
                }
                expected.input_seq = seq;
                expected.now = record.header.ts;
                on_input(Progress { now: expected.now, bytes: (bytes, total) });
                let input = match books.input(event)? {
                    Taken::Input(input) => input,
                    Taken::Nothing(feed_seq) => {
                        let made = format!("no market update: feed record {feed_seq} gives none here");
                        found.first_difference =
                            Some(expected.difference(seq, format!("input {event:?}"), Some(&made)));
                        break;
                    }
                    Taken::Ended(feed_seq) if books.feed.tail().sealed => {
                        let made = format!("no market update: the feed has no record {feed_seq}");
                        found.first_difference =
                            Some(expected.difference(seq, format!("input {event:?}"), Some(&made)));
                        break;
                    }
                    Taken::Ended(feed_seq) => {
                        // A power cut may take more of one stream than of another.
                        found.notes.push(format!(
                            "stopped at quote record {seq}: feed record {feed_seq} was lost with the feed's tail"
                        ));
                        is_whole = false;
                        break;
                    }
                };
                actions.clear();
                pipeline.on_event(expected.now, &input, &mut actions);
                found.inputs += 1;
                for action in actions.as_slice() {
                    let kind = encode_action(action, &mut buf);
                    let units = buf.finish(Stream::Quote, kind, Flags::NONE, 0, expected.now);
                    let payload = Record::from_units(units).map_err(bad(&record))?.payload;
                    if options.compare {
                        expected.actions.push_back((kind, payload.to_vec(), format!("{action:?}")));
                    } else {
                        digest.update(&[kind as u8]);
                        digest.update(payload);
                        found.actions += 1;
                    }
                }
            }
            QuoteEvent::End => {}
        }
    }
    note_torn(&quote, found, &mut is_whole);
    if found.first_difference.is_none()
        && until.is_none()
        && let Some((_, _, made)) = expected.actions.front()
    {
        let tail = quote.tail();
        if tail.sealed {
            found.first_difference =
                Some(expected.difference(tail.last_seq + 1, "the end of the stream".to_owned(), Some(made)));
        } else {
            found.notes.push(format!(
                "the session was killed after input {} and before its {} last actions were journaled",
                expected.input_seq,
                expected.actions.len()
            ));
        }
        is_whole = false;
    }
    found.actions_digest = format!("{:032x}", digest.digest128());
    Ok(is_whole)
}

fn note_torn(stream: &StreamReader, found: &mut Verification, is_whole: &mut bool) {
    if let Some(torn) = stream.tail().torn {
        found.notes.push(format!("torn tail: {torn}"));
        *is_whole = false;
    }
}
