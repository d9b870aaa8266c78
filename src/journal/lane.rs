//! How a session's journal comes to be: the folder, the session file, one writer a stream, the keeper.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::format::{HEADER_BYTES, SegmentId};
use super::keeper::{Keeper, sync_folder};
use super::segment::lane_folder;
use super::session::SessionInfo;
use super::writer::{JournalDown, JournalWriter};
use crate::types::{DurationNs, TimestampNs};
use crate::wire::{Stream, Unit};

/// Where and how a journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The folder that holds the sessions' folders; made when absent.
    pub dir: PathBuf,
    /// Size of a segment, a multiple of 4096. Two a stream are allocated at any time.
    pub segment_bytes: u64,
    /// Bytes that are touched ahead of a writer, from the start: seconds of a busy one, in which the keeper may hang in the
    /// disk. Half of them are used up before more are touched.
    pub ahead_bytes: usize,
    /// How much an operating system's crash may take; `None` leaves it to the system (virtual sessions, tests).
    pub sync_interval: Option<DurationNs>,
    /// Age at which a segment is changed though it has room; `None` for never.
    pub roll_age: Option<DurationNs>,
    /// Room that is kept free for the end of a session whose disk is full: orders cancelled, segments sealed.
    pub ballast_bytes: u64,
}

impl JournalConfig {
    /// A live session's journal: 64 MiB segments, synced every 100 ms, changed after 60 s, with a ballast of 64 MiB.
    pub fn new(dir: impl Into<PathBuf>) -> JournalConfig {
        JournalConfig {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            ahead_bytes: 8 << 20,
            sync_interval: Some(DurationNs::from_millis(100)),
            roll_age: Some(DurationNs::from_secs(60)),
            ballast_bytes: 64 << 20,
        }
    }

    /// A journal of a session whose time is not the wall's: never synced before it is sealed, changed by size only, and
    /// without a ballast, because it has no orders to cancel.
    pub fn for_virtual_time(dir: impl Into<PathBuf>) -> JournalConfig {
        JournalConfig {
            sync_interval: None,
            roll_age: None,
            segment_bytes: 16 << 20,
            ahead_bytes: 1 << 20,
            ballast_bytes: 0,
            ..JournalConfig::new(dir)
        }
    }

    fn check(&self) -> Result<(), JournalError> {
        let bytes = self.segment_bytes;
        if !bytes.is_multiple_of(4096) || bytes < 2 * HEADER_BYTES as u64 || bytes > u64::from(u32::MAX) {
            return Err(JournalError::SegmentSize { bytes });
        }
        Ok(())
    }
}

/// The ends of a new session's journal. Writers go to their threads, the keeper to its own.
#[derive(Debug)]
pub struct Journal {
    /// The session's folder.
    pub session_dir: PathBuf,
    /// The feed stream's writer.
    pub feed: JournalWriter,
    /// The quote stream's writer.
    pub quote: JournalWriter,
    /// One writer for each gateway thread.
    pub gateways: Vec<JournalWriter>,
    /// The cold end of all of them.
    pub keeper: Keeper,
}

impl Journal {
    /// Makes the folder `<dir>/<session>` with all streams.
    ///
    /// # Errors
    /// When the session exists, the disk is full or not writable. A folder begun in vain is removed again.
    pub fn create(config: &JournalConfig, info: &SessionInfo, gateways: usize) -> Result<Journal, JournalError> {
        let (session_dir, made) = in_new_folder(config, info, |session_dir, keeper| {
            let mut lane = |stream, lane| add_lane(keeper, session_dir, info, stream, lane);
            let feed = lane(Stream::Feed, 0)?;
            let quote = lane(Stream::Quote, 0)?;
            let gateways = (0..gateways).map(|at| lane(Stream::Gateway, at as u16)).collect::<Result<_, _>>()?;
            Ok((feed, quote, gateways))
        })?;
        let ((feed, quote, gateways), keeper) = made;
        Ok(Journal { session_dir, feed, quote, gateways, keeper })
    }

    /// Makes the folder of a session that only records: its one stream is the feed.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_feed_only(
        config: &JournalConfig,
        info: &SessionInfo,
    ) -> Result<(PathBuf, JournalWriter, Keeper), JournalError> {
        let (session_dir, (feed, keeper)) =
            in_new_folder(config, info, |session_dir, keeper| add_lane(keeper, session_dir, info, Stream::Feed, 0))?;
        Ok((session_dir, feed, keeper))
    }
}

fn add_lane(
    keeper: &mut Keeper,
    session_dir: &Path,
    info: &SessionInfo,
    stream: Stream,
    lane: u16,
) -> Result<JournalWriter, JournalError> {
    let id = SegmentId { session: info.session_id(), stream, lane, number: 1 };
    keeper.add_lane(id, lane_folder(session_dir, stream, lane), info.digest())
}

fn in_new_folder<T>(
    config: &JournalConfig,
    info: &SessionInfo,
    make: impl FnOnce(&Path, &mut Keeper) -> Result<T, JournalError>,
) -> Result<(PathBuf, (T, Keeper)), JournalError> {
    config.check()?;
    std::fs::create_dir_all(&config.dir).map_err(JournalError::io("create the folder", &config.dir))?;
    let session_dir = config.dir.join(info.session_id().to_string());
    match std::fs::create_dir(&session_dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(JournalError::Exists { path: session_dir });
        }
        Err(error) => return Err(JournalError::io("create the folder", &session_dir)(error)),
    }
    let made = info.write(&session_dir).and_then(|()| {
        let lock = std::fs::File::open(&session_dir).map_err(JournalError::io("open the folder", &session_dir))?;
        lock.lock_shared().map_err(JournalError::io("lock the folder", &session_dir))?;
        let mut keeper = Keeper::new(config.clone(), session_dir.clone(), info.session_id().0, lock)?;
        let made = make(&session_dir, &mut keeper)?;
        sync_folder(&session_dir)?;
        Ok((made, keeper))
    });
    match made {
        Ok(made) => Ok((session_dir, made)),
        Err(error) => {
            // We made it a moment ago and nothing of worth is in it; a full disk must get its blocks back.
            let _ = std::fs::remove_dir_all(&session_dir);
            Err(error)
        }
    }
}

/// A whole journal in one hand: for sessions that run in one thread (virtual time, backtests, tests).
#[derive(Debug)]
pub struct LocalJournal {
    journal: Journal,
}

impl LocalJournal {
    /// Makes the folder with all streams and one gateway.
    ///
    /// # Errors
    /// As [`Journal::create`].
    pub fn create(config: &JournalConfig, info: &SessionInfo) -> Result<LocalJournal, JournalError> {
        Ok(LocalJournal { journal: Journal::create(config, info, 1)? })
    }

    /// The session's folder.
    pub fn session_dir(&self) -> &Path {
        &self.journal.session_dir
    }

    /// The number that the stream's next record must carry.
    pub fn next_seq(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Feed => self.journal.feed.next_seq(),
            Stream::Quote => self.journal.quote.next_seq(),
            Stream::Gateway => self.journal.gateways[0].next_seq(),
        }
    }

    /// Appends a finished record; makes and seals segments as needed.
    ///
    /// # Errors
    /// When a segment cannot be made, or the record is larger than one.
    pub fn append(&mut self, stream: Stream, units: &[Unit]) -> Result<(), JournalError> {
        let Journal { feed, quote, gateways, keeper, session_dir } = &mut self.journal;
        let writer = match stream {
            Stream::Feed => feed,
            Stream::Quote => quote,
            Stream::Gateway => &mut gateways[0],
        };
        if !writer.has_room(units.len()) {
            keeper.step(TimestampNs::ZERO)?;
        }
        writer.append(units).map_err(|down| JournalError::Segment {
            path: lane_folder(session_dir, stream, 0),
            why: match down {
                JournalDown::NoSegment => "no further segment could be made",
                JournalDown::TooLarge => "a record is larger than a segment",
            },
        })
    }

    /// Seals everything.
    ///
    /// # Errors
    /// When the system refuses to sync or cut a segment.
    pub fn close(self) -> Result<PathBuf, JournalError> {
        let Journal { session_dir, feed, quote, gateways, keeper } = self.journal;
        drop((feed, quote, gateways));
        keeper.close()?;
        Ok(session_dir)
    }
}
