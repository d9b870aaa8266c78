//! One pass over a recording: its parts read side by side, what they say handed out in order of receive time.

use super::dialect::{Dialect, Event, Listing, Said};
use super::error::ImportError;
use super::format::Part;
use super::lines::Lines;
use crate::types::TimestampNs;

/// A part being read.
struct Track {
    lines: Lines,
    dialect: Box<dyn Dialect>,
    said: Said,
    /// The latest receive time so far.
    latest: TimestampNs,
    ended: bool,
}

impl Track {
    /// Reads on until something was said, or the lines end.
    fn fill(&mut self, listing: &mut Listing) -> Result<(), ImportError> {
        while self.said.events.is_empty() && !self.ended {
            self.said.json.clear();
            if !self.lines.advance()? {
                self.ended = true;
                self.dialect.finish(&mut self.said);
                return Ok(());
            }
            let Track { lines, dialect, said, latest, .. } = self;
            let starts_file = lines.starts_file();
            dialect.take(lines.line(), starts_file, listing, said).map_err(|why| lines.error(why))?;
            if starts_file && said.recv_ts != TimestampNs::ZERO && said.recv_ts < *latest {
                let why = "it was received before the end of the file before: give files in order of time";
                return Err(lines.error(why));
            }
            *latest = said.recv_ts.max(*latest);
        }
        Ok(())
    }
}

/// A pass, from the first line on.
pub(super) struct Pass {
    tracks: Vec<Track>,
    listing: Listing,
    /// The track that spoke last.
    speaker: usize,
}

impl Pass {
    pub(super) fn new(parts: &[Part]) -> Pass {
        let track = |part: &Part| Track {
            lines: Lines::new(&part.files),
            dialect: part.dialect(),
            said: Said::new(),
            latest: TimestampNs::ZERO,
            ended: false,
        };
        Pass { tracks: parts.iter().map(track).collect(), listing: Listing::default(), speaker: 0 }
    }

    /// The next event; what belongs to it is in [`Self::said`].
    ///
    /// # Errors
    /// [`ImportError`] naming the file and line.
    pub(super) fn advance(&mut self) -> Result<Option<Event>, ImportError> {
        for track in &mut self.tracks {
            track.fill(&mut self.listing)?;
        }
        let speaking = self.tracks.iter().enumerate().filter(|(_, track)| !track.said.events.is_empty());
        // At equal times the part given first speaks first.
        let Some((speaker, _)) = speaking.min_by_key(|(_, track)| track.said.recv_ts) else { return Ok(None) };
        self.speaker = speaker;
        Ok(self.tracks[speaker].said.events.pop_front())
    }

    /// What belongs to the last event.
    pub(super) fn said(&mut self) -> &mut Said {
        &mut self.tracks[self.speaker].said
    }

    /// The part and the file in it that the last event stood in.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.speaker, self.tracks[self.speaker].lines.file_index())
    }

    /// An error at the last event's line.
    pub(super) fn error(&self, why: impl Into<String>) -> ImportError {
        self.tracks[self.speaker].lines.error(why)
    }

    /// All symbols named so far.
    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Lines read so far.
    pub(super) fn lines(&self) -> u64 {
        self.tracks.iter().map(|track| track.lines.total()).sum()
    }
}
