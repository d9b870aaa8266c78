//! Runs a session's decisions again from its journal and compares what they ask for, byte for byte.
//!
//! Books are a function of the feed stream, decisions of the quote stream's inputs with their times; both streams are
//! read from disk, and the recorded actions are only compared with, never an input. Used by `touchline replay` and by
//! tests; runs in one thread and writes nothing.

use std::collections::VecDeque;
use std::path::Path;

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use crate::journal::{JournalError, JournalReader, SESSION_FILE, StreamReader};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Pipeline, PipelineConfig, WarmState};
use crate::types::{Actions, Input, MarketUpdate, TimestampNs};
use crate::wire::{
    FeedEvent, Flags, InputEvent, Kind, QuoteEvent, Record, RecordBuf, RecordError, Stream, encode_action,
};

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

/// A journal that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read, or a record of it is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record that has passed its checksum holds what no session writes.
    #[error("{stream} stream, record {seq}: {error}")]
    Record {
        /// The stream.
        stream: &'static str,
        /// The record's number.
        seq: u64,
        /// What is wrong.
        error: RecordError,
    },
    /// The session file's configuration cannot be used.
    #[error("{path}: pipeline: {why}")]
    Config {
        /// The session file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// What the session file says the decisions began with cannot be read.
    #[error("{path}: warm: {why}")]
    Warm {
        /// The session file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The session file names a venue whose rules are not known.
    #[error("{path}: venue_profile `{profile}` is not known")]
    Profile {
        /// The session file.
        path: String,
        /// What it says.
        profile: String,
    },
}

fn bad(record: &Record<'_>) -> impl FnOnce(RecordError) -> VerifyError {
    let (stream, seq) = (record.header.stream.name(), record.header.seq);
    move |error| VerifyError::Record { stream, seq, error }
}

/// The books, run along the feed stream as far as the inputs ask.
struct Books {
    feed: StreamReader,
    stage: MarketStage,
    last_seq: u64,
    records: u64,
    dropped: u64,
}

// The value lives for a moment only, on the stack; a box would cost more than its size.
/// What the feed says to an input that names one of its records.
#[allow(clippy::large_enum_variant)]
enum Named {
    Update(MarketUpdate),
    /// The record is there, but no market update arises from it at this place.
    Nothing,
    /// The feed ends before it.
    Ended,
}

impl Books {
    /// Runs up to and with the record of that number.
    fn run_to(&mut self, feed_seq: u64) -> Result<Named, VerifyError> {
        if feed_seq <= self.last_seq {
            return Ok(Named::Nothing);
        }
        while let Some((seq, update)) = self.next()? {
            if seq == feed_seq {
                return Ok(update.map_or(Named::Nothing, Named::Update));
            }
        }
        Ok(Named::Ended)
    }

    /// Runs one record: its number and the market update that it gives.
    fn next(&mut self) -> Result<Option<(u64, Option<MarketUpdate>)>, VerifyError> {
        let Some(record) = self.feed.next()? else { return Ok(None) };
        self.records += 1;
        self.last_seq = record.header.seq;
        if record.header.kind == Kind::End {
            return Ok(Some((record.header.seq, None)));
        }
        if record.header.flags.has(Flags::DROPPED) {
            self.dropped += 1;
            return Ok(Some((record.header.seq, None)));
        }
        let event = FeedEvent::decode(&record).map_err(bad(&record))?;
        Ok(Some((record.header.seq, self.stage.on_event(&event))))
    }
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

/// Runs a session again and compares; up to the quote record `until`, or to the end.
///
/// # Errors
/// When the journal cannot be read whole, save for a torn tail, which is noted. A difference is no error.
pub fn verify(session_dir: &Path, until: Option<u64>) -> Result<Verification, VerifyError> {
    let journal = JournalReader::open(session_dir)?;
    let info = journal.info();
    let session_file = session_dir.join(SESSION_FILE).display().to_string();
    let instruments =
        info.instruments().map_err(|why| JournalError::SessionFile { path: session_dir.join(SESSION_FILE), why })?;
    let rule = match info.venue_profile.as_str() {
        "binance" | "binance-testnet" | "local" => SyncRule::Spot,
        "binance-usdm" => SyncRule::UsdM,
        profile => return Err(VerifyError::Profile { path: session_file, profile: profile.to_owned() }),
    };
    let mut found = Verification { session: info.session_id().to_string(), ..Verification::default() };
    if !info.is_unedited() {
        found.notes.push(format!("{session_file} is not as the session wrote it"));
    }
    if info.build != env!("CARGO_PKG_VERSION") {
        found.notes.push(format!("written by version {}, replayed by {}", info.build, env!("CARGO_PKG_VERSION")));
    }
    let mut books = Books {
        feed: journal.stream(Stream::Feed)?,
        stage: MarketStage::new(&instruments, rule),
        last_seq: 0,
        records: 0,
        dropped: 0,
    };
    let mut pipeline = match &info.pipeline {
        Some(value) => {
            let config_error = |why: String| VerifyError::Config { path: session_file.clone(), why };
            let config: PipelineConfig =
                serde_json::from_value(value.clone()).map_err(|error| config_error(error.to_string()))?;
            let warm: Option<WarmState> = info
                .warm
                .clone()
                .map(WarmState::from_json)
                .transpose()
                .map_err(|error| VerifyError::Warm { path: session_file.clone(), why: error.to_string() })?;
            let made = Pipeline::with_warm(info.session_id(), &instruments, &config, warm.as_ref());
            Some(made.map_err(|error| config_error(error.to_string()))?)
        }
        None => None,
    };
    let mut is_whole = until.is_none();
    if let Some(pipeline) = &mut pipeline {
        is_whole &= run_decisions(&journal, until, pipeline, &mut books, &mut found)?;
    }
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
    journal: &JournalReader,
    until: Option<u64>,
    pipeline: &mut Pipeline,
    books: &mut Books,
    found: &mut Verification,
) -> Result<bool, VerifyError> {
    let mut quote = journal.stream(Stream::Quote)?;
    let mut actions = Actions::new();
    let mut buf = RecordBuf::default();
    let mut expected = Expected::default();
    let mut digest = Xxh3::new();
    let mut is_whole = true;
    while let Some(record) = quote.next()? {
        let seq = record.header.seq;
        if until.is_some_and(|until| seq > until) {
            expected.actions.clear();
            break;
        }
        match QuoteEvent::decode(&record).map_err(bad(&record))? {
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
                let input = match event {
                    InputEvent::Market { feed_seq } => match books.run_to(feed_seq)? {
                        Named::Update(update) => Input::Market(update),
                        Named::Nothing => {
                            let made = format!("no market update: feed record {feed_seq} gives none here");
                            found.first_difference =
                                Some(expected.difference(seq, format!("input {event:?}"), Some(&made)));
                            break;
                        }
                        Named::Ended if books.feed.tail().sealed => {
                            let made = format!("no market update: the feed has no record {feed_seq}");
                            found.first_difference =
                                Some(expected.difference(seq, format!("input {event:?}"), Some(&made)));
                            break;
                        }
                        Named::Ended => {
                            // A power cut may take more of one stream than of another.
                            found.notes.push(format!(
                                "stopped at quote record {seq}: feed record {feed_seq} was lost with the feed's tail"
                            ));
                            is_whole = false;
                            break;
                        }
                    },
                    InputEvent::Exec(report) => Input::Exec(report),
                    InputEvent::Balance(balance) => Input::Balance(balance),
                    InputEvent::Timer => Input::Timer,
                    InputEvent::Control(control) => Input::Control(control),
                };
                actions.clear();
                pipeline.on_event(expected.now, &input, &mut actions);
                found.inputs += 1;
                for action in actions.as_slice() {
                    let kind = encode_action(action, &mut buf);
                    let units = buf.finish(Stream::Quote, kind, Flags::NONE, 0, expected.now);
                    let payload = Record::from_units(units).map_err(bad(&record))?.payload.to_vec();
                    expected.actions.push_back((kind, payload, format!("{action:?}")));
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
