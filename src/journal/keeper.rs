//! The cold end of all streams: prepares segments ahead of the writers, brings what they wrote to the disk, seals what
//! they have left.
//!
//! Stepped by the keeper thread, or by the writers' own thread where there is only one. Never touches a byte that a
//! writer may still write.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::JournalError;
use super::format::SegmentId;
use super::kept_lane::KeptLane;
use super::lane::JournalConfig;
use super::manifest::Manifest;
use super::mapping::reserve;
use super::writer::JournalWriter;
use crate::types::TimestampNs;

/// What has gone wrong, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    /// No further segment is made. What was written is still brought to the disk.
    DiskFull,
    /// Nothing is done any more: after a failed sync nobody knows what is on the disk.
    Failed,
}

/// Cares for the segments of all streams of a session. See the module's words.
#[derive(Debug)]
pub struct Keeper {
    config: JournalConfig,
    session_dir: PathBuf,
    session: u64,
    /// Held for as long as the session writes: a retention leaves such a folder alone.
    _lock: File,
    lanes: Vec<KeptLane>,
    /// Blocks that nobody uses and nobody sees: a file without a name. Dropped when the disk is full, and by the system
    /// when the process dies.
    ballast: Option<File>,
    state: State,
    /// The lane whose sync comes next.
    turn: usize,
    /// The last step did what could wait; there may be more.
    is_busy: bool,
}

/// What can wait for its turn.
#[derive(Clone, Copy, Debug)]
enum Chore {
    /// What was written comes to the disk.
    Sync,
    /// Pages far ahead are touched.
    Touch,
}

impl Chore {
    /// In the order in which they are done.
    const ALL: [Chore; 2] = [Chore::Sync, Chore::Touch];
}

// A session's folder is looked at that often at least, for the segments that writers will need.
const NAP_MOST: Duration = Duration::from_millis(20);
const NAP_BUSY: Duration = Duration::from_millis(5);
const NAP_LEAST: Duration = Duration::from_millis(1);

impl Keeper {
    pub(super) fn new(
        config: JournalConfig,
        session_dir: PathBuf,
        session: u64,
        lock: File,
    ) -> Result<Keeper, JournalError> {
        let ballast = ballast(&session_dir, config.ballast_bytes)?;
        Ok(Keeper {
            config,
            session_dir,
            session,
            _lock: lock,
            lanes: Vec::new(),
            ballast,
            state: State::Well,
            turn: 0,
            is_busy: false,
        })
    }

    /// Makes a lane's folder and first segment and returns its writer.
    pub(super) fn add_lane(
        &mut self,
        first: SegmentId,
        folder: PathBuf,
        config_digest: u64,
    ) -> Result<JournalWriter, JournalError> {
        let (lane, writer) = KeptLane::create(&self.config, first, folder, config_digest)?;
        self.lanes.push(lane);
        Ok(writer)
    }

    /// Does what is due and returns how much that was. Blocks while the disk does.
    ///
    /// # Errors
    /// When a segment cannot be made or synced. Writers go on in the segments that they have; the session must stop
    /// before those are full. What failed is not tried again: a full disk gets no further segment, but what is written in
    /// the meantime is still synced; after any other error nothing is done any more.
    pub fn step(&mut self, now: TimestampNs) -> Result<usize, JournalError> {
        let lanes = self.lanes.len();
        let work = self.attend(now)?;
        Chore::ALL.into_iter().try_fold(work, |work, chore| Ok(work + self.in_turn(lanes, now, chore)?))
    }

    /// The same with one thing that can wait at most, which is not counted: whoever waits for [`nap`](Self::nap) between
    /// two steps does each in time, and never holds a core for as long as all of them take.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_apart(&mut self, now: TimestampNs) -> Result<usize, JournalError> {
        let work = self.attend(now)?;
        self.is_busy = false;
        for chore in Chore::ALL {
            if !self.is_busy {
                self.is_busy = self.in_turn(1, now, chore)? > 0;
            }
        }
        Ok(work)
    }

    /// How long to wait between two calls of [`step_apart`](Self::step_apart): shorter than a lane's share of the time
    /// between two syncs, and not for long while there is something to do.
    pub fn nap(&self) -> Duration {
        let steps = self.lanes.len() as u32 + 1;
        let share =
            self.config.sync_interval.map_or(NAP_MOST, |interval| Duration::from_nanos(interval.nanos()) / steps);
        share.clamp(NAP_LEAST, if self.is_busy { NAP_BUSY } else { NAP_MOST })
    }

    /// Does what a writer may be waiting for, and returns how much that was.
    fn attend(&mut self, now: TimestampNs) -> Result<usize, JournalError> {
        let mut work = 0;
        if self.state == State::Failed {
            return Ok(work);
        }
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            let prepared = if self.state == State::Well { lane.prepare_if_due(&self.config) } else { Ok(0) };
            let done = prepared.and_then(|prepared| Ok(prepared + lane.step(&self.config, now)?));
            work += done.map_err(|error| self.fail(error))?;
        }
        Ok(work)
    }

    /// Does what can wait for `most` of the lanes for which it is due; returns for how many.
    fn in_turn(&mut self, most: usize, now: TimestampNs, chore: Chore) -> Result<usize, JournalError> {
        let mut done = 0;
        for _ in 0..self.lanes.len() {
            if done == most || self.state == State::Failed {
                break;
            }
            let lane = &mut self.lanes[self.turn];
            let was_due = match chore {
                Chore::Sync => lane.sync_if_due(&self.config, now),
                Chore::Touch => lane.touch_if_due(&self.config),
            };
            done += usize::from(was_due.map_err(|error| self.fail(error))?);
            self.turn = (self.turn + 1) % self.lanes.len();
        }
        Ok(done)
    }

    fn fail(&mut self, error: JournalError) -> JournalError {
        self.ballast = None;
        self.state = match error {
            JournalError::NoSpace { .. } => State::DiskFull,
            _ => State::Failed,
        };
        error
    }

    /// Seals every segment whose writer is gone and removes those that were prepared in vain. Drop the writers first: a
    /// segment whose writer lives is only synced, and readers will find its end by themselves.
    ///
    /// # Errors
    /// The first that happened; the other lanes are sealed all the same.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.ballast = None;
        let mut result = Ok(());
        for lane in &mut self.lanes {
            let closed = lane.close();
            result = result.and(closed);
        }
        // The manifest lists what was sealed, whatever happened to the rest.
        let listed = Manifest::of(&self.session_dir, self.session).and_then(|all| all.write(&self.session_dir));
        result.and(listed)
    }
}

/// Takes that many bytes of the disk.
fn ballast(session_dir: &Path, bytes: u64) -> Result<Option<File>, JournalError> {
    if bytes == 0 {
        return Ok(None);
    }
    let path = session_dir.join("ballast");
    let file = File::create_new(&path).map_err(JournalError::io("make the ballast", &path))?;
    // Without its name the file cannot outlive the process, and its blocks are given back whatever happens.
    std::fs::remove_file(&path).map_err(JournalError::io("unlink the ballast", &path))?;
    reserve(&file, bytes, &path).map(|()| Some(file))
}

/// Makes a folder's entries durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(JournalError::io("sync the folder", folder))
}
