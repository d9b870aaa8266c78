//! A session's decisions run again from its journal, one input at a time.
//!
//! Owns [`Rerun`]: the books along the feed stream and the decisions as `session.json` makes them. `verify` compares
//! what they ask for, `explain` asks them why.

use std::path::Path;

use crate::journal::{JournalError, JournalReader, SESSION_FILE, StreamReader};
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Pipeline, PipelineConfig, WarmState};
use crate::types::{Input, Instrument, MarketUpdate};
use crate::wire::{FeedEvent, Flags, InputEvent, Kind, Record, RecordError, Stream};

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

/// Names the record that cannot be understood.
pub(super) fn bad(record: &Record<'_>) -> impl FnOnce(RecordError) -> VerifyError {
    let (stream, seq) = (record.header.stream.name(), record.header.seq);
    move |error| VerifyError::Record { stream, seq, error }
}

/// Books and decisions of a session before its first record.
pub(super) struct Rerun {
    pub(super) journal: JournalReader,
    pub(super) instruments: Vec<Instrument>,
    pub(super) books: Books,
    /// Absent for a session without decisions.
    pub(super) pipeline: Option<Pipeline>,
    /// What there is to know about the session file.
    pub(super) notes: Vec<String>,
}

impl Rerun {
    /// Opens a session's folder.
    pub(super) fn open(session_dir: &Path) -> Result<Rerun, VerifyError> {
        let journal = JournalReader::open(session_dir)?;
        let info = journal.info();
        let session_file = session_dir.join(SESSION_FILE).display().to_string();
        let instruments = info
            .instruments()
            .map_err(|why| JournalError::SessionFile { path: session_dir.join(SESSION_FILE), why })?;
        let Some(rule) = SyncRule::of_profile(&info.venue_profile) else {
            return Err(VerifyError::Profile { path: session_file, profile: info.venue_profile.clone() });
        };
        let mut notes = Vec::new();
        if !info.is_unedited() {
            notes.push(format!("{session_file} is not as the session wrote it"));
        }
        if info.build != env!("CARGO_PKG_VERSION") {
            notes.push(format!("written by version {}, replayed by {}", info.build, env!("CARGO_PKG_VERSION")));
        }
        let books = Books {
            feed: journal.stream(Stream::Feed)?,
            stage: MarketStage::new(&instruments, rule),
            last_seq: 0,
            records: 0,
            dropped: 0,
        };
        let pipeline = match &info.pipeline {
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
        Ok(Rerun { journal, instruments, books, pipeline, notes })
    }
}

/// The books, run along the feed stream as far as the inputs ask.
pub(super) struct Books {
    pub(super) feed: StreamReader,
    pub(super) stage: MarketStage,
    last_seq: u64,
    pub(super) records: u64,
    pub(super) dropped: u64,
}

/// An input of the quote stream, with the market update that it names.
// The value lives for a moment only, on the stack; a box would cost more than its size.
#[allow(clippy::large_enum_variant)]
pub(super) enum Taken {
    /// As the session took it.
    Input(Input),
    /// The feed record is there, but no market update arises from it at this place.
    Nothing(u64),
    /// The feed ends before the record of that number.
    Ended(u64),
}

impl Books {
    /// The input behind a record of the quote stream.
    pub(super) fn input(&mut self, event: InputEvent) -> Result<Taken, VerifyError> {
        Ok(Taken::Input(match event {
            InputEvent::Market { feed_seq } => {
                if feed_seq <= self.last_seq {
                    return Ok(Taken::Nothing(feed_seq));
                }
                loop {
                    match self.next()? {
                        Some((seq, Some(update))) if seq == feed_seq => break Input::Market(update),
                        Some((seq, None)) if seq == feed_seq => return Ok(Taken::Nothing(feed_seq)),
                        Some(_) => {}
                        None => return Ok(Taken::Ended(feed_seq)),
                    }
                }
            }
            InputEvent::Exec(report) => Input::Exec(report),
            InputEvent::Balance(balance) => Input::Balance(balance),
            InputEvent::Timer => Input::Timer,
            InputEvent::Control(control) => Input::Control(control),
        }))
    }

    /// Runs one record: its number and the market update that it gives.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Option<MarketUpdate>)>, VerifyError> {
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
