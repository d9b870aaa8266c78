//! The archive of a session that still runs: a cold thread that makes each hour's files once the hour is over.
//!
//! It reads the journal as anybody else does, from its files: what has ended an hour ago is sealed and only mapped. It
//! shares nothing with the engine's threads, and a failure of it is worth a warning and never a session: whatever it has
//! not made, `touchline convert` makes later, and the thread's files are recognised then. Called by `run`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::convert::{ConvertOptions, convert};
use super::error::ArchiveError;
use super::partition::hour_of;
use super::summary::Summary;
use super::table::Table;
use crate::types::TimestampNs;

/// How often the thread looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The archive of one running session.
#[derive(Debug)]
pub struct LiveArchive {
    session_dir: PathBuf,
    out: PathBuf,
    must_end: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl LiveArchive {
    /// Starts the thread. `settled` is how long after an hour's end the journal has it sealed; `now` is the wall clock.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        session_dir: &Path,
        out: &Path,
        settled: Duration,
        now: fn() -> TimestampNs,
    ) -> std::io::Result<LiveArchive> {
        let must_end = Arc::new((Mutex::new(false), Condvar::new()));
        let (session, archive, flag) = (session_dir.to_owned(), out.to_owned(), must_end.clone());
        let thread = std::thread::Builder::new().name("archive".to_owned()).spawn(move || {
            // The first core is the cold one; a thread without a place of its own would be put on a hot one.
            if let Some(core) = core_affinity::get_core_ids().and_then(|cores| cores.into_iter().min_by_key(|c| c.id)) {
                core_affinity::set_for_current(core);
            }
            let settled_hour =
                || hour_of(TimestampNs::from_nanos(now().nanos().saturating_sub(settled.as_nanos() as u64)));
            let mut done = settled_hour();
            let (lock, bell) = &*flag;
            let mut ended = lock.lock().unwrap_or_else(PoisonError::into_inner);
            while !*ended {
                ended = bell.wait_timeout(ended, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
                let hour = settled_hour();
                if *ended || hour <= done {
                    continue;
                }
                drop(ended);
                match convert_hours(&session, &archive, (done, hour)) {
                    Ok(summary) => tracing::info!(files = summary.files.len(), "an hour is archived"),
                    Err(error) => tracing::warn!("an hour could not be archived: {error}"),
                }
                done = hour;
                ended = lock.lock().unwrap_or_else(PoisonError::into_inner);
            }
        })?;
        Ok(LiveArchive { session_dir: session_dir.to_owned(), out: out.to_owned(), must_end, thread })
    }

    /// Ends the thread and archives the rest of the session, whose journal must be closed.
    ///
    /// # Errors
    /// As [`convert`].
    pub fn finish(self) -> Result<Summary, ArchiveError> {
        let (lock, bell) = &*self.must_end;
        *lock.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
        // A panic of the thread has been told by then, and what it left undone is done now.
        let _ = self.thread.join();
        convert(&self.session_dir, &self.out, &ConvertOptions::default())
    }
}

/// Converts the hours from the first to before the second of a session that runs. The decisions are not run again for
/// each hour: their table is made at the end.
fn convert_hours(session_dir: &Path, out: &Path, hours: (u64, u64)) -> Result<Summary, ArchiveError> {
    let tables = Table::ALL.into_iter().filter(|table| !table.is_on_request() && *table != Table::Kpi).collect();
    convert(session_dir, out, &ConvertOptions { tables, hours: Some(hours), ..ConvertOptions::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JournalConfig, LocalJournal, SessionInfo};
    use crate::types::{
        Asset, Filters, Instrument, InstrumentId, InstrumentSpec, Level, Price, Qty, SessionId, Symbol, Touch,
    };
    use crate::wire::{FeedEvent, Flags, RecordBuf, Stream};

    const START: u64 = 1_795_370_400_000_000_000;

    #[test]
    fn hours_of_a_running_session_are_the_files_of_the_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let asset = Asset::new("BTC").unwrap();
        let spec = InstrumentSpec {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: asset,
            quote: asset,
            tick_e8: 1,
            lot_e8: 1,
            filters: Filters::default(),
        };
        let instruments = [Instrument::new(InstrumentId(0), spec)];
        let started = TimestampNs::from_nanos(START);
        let info = SessionInfo::new(SessionId(3), "test", "binance", started, &instruments, None);
        let config = JournalConfig { segment_bytes: 64 << 10, ..JournalConfig::for_virtual_time(dir.path()) };
        let mut journal = LocalJournal::create(&config, &info).unwrap();
        let mut buf = RecordBuf::default();
        let mut write = |journal: &mut LocalJournal, seqs: std::ops::RangeInclusive<u64>| {
            for seq in seqs {
                let level = Level { price: Price::from_ticks(seq as i64), qty: Qty::from_lots(1) };
                let recv_ts = TimestampNs::from_nanos(START + seq * 10_000_000_000);
                let touch = Touch { instrument: InstrumentId(0), recv_ts, update_id: seq, bid: level, ask: level };
                let (kind, ts) = FeedEvent::Touch(touch).encode(&mut buf);
                journal.append(Stream::Feed, buf.finish(Stream::Feed, kind, Flags::NONE, seq, ts)).unwrap();
            }
        };
        let session = dir.path().join(SessionId(3).to_string());
        let (live, after) = (dir.path().join("live"), dir.path().join("after"));
        let hour = START / 3_600_000_000_000;
        // An hour has 360 of them; the second one is under way.
        write(&mut journal, 1..=500);
        let first = convert_hours(&session, &live, (hour, hour + 1)).unwrap();
        assert_eq!((first.files.len(), first.tables["touches"].rows), (1, 359));
        write(&mut journal, 501..=900);
        let second = convert_hours(&session, &live, (hour + 1, hour + 2)).unwrap();
        assert_eq!(second.tables["touches"].rows, 360);
        assert_eq!(journal.close().unwrap(), session);
        let rest = convert(&session, &live, &ConvertOptions::default()).unwrap();
        assert_eq!((rest.files.len(), rest.kept), (3, 2));
        let whole = convert(&session, &after, &ConvertOptions::default()).unwrap();
        for (one, other) in rest.files.iter().zip(&whole.files) {
            assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "{one}");
        }
        // The journal loses its beginning: what the archive has of it stays.
        std::fs::remove_dir_all(session.join("feed")).unwrap();
        let late = convert(&session, &live, &ConvertOptions::default()).unwrap();
        assert_eq!(late.files.len(), 0);
        assert!(Path::new(&rest.files[0]).exists());
    }
}
