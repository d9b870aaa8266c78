//! `touchline inspect --follow`: prints each record of a running session as it is committed.
//!
//! Reads the files from outside, so that the session neither waits for it nor knows of it. Ends when every stream was
//! sealed and read to its end; a session that was killed seals nothing, and following it ends with an interrupt.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::journal_failure;
use crate::journal::{JournalReader, StreamFollower};
use crate::run::Failure;
use crate::wire::{FeedEvent, GatewayEvent, QuoteEvent, Record, Stream};

/// Time between two looks at the files.
const POLL: Duration = Duration::from_millis(10);

/// Follows a session's journal; `tail` is how many records of each stream's past are printed first.
///
/// # Errors
/// `E_INPUT_002` when the journal cannot be read or is damaged.
pub fn follow(session_dir: &Path, tail: u64, as_json: bool) -> Result<(), Failure> {
    let failed = |error: crate::journal::JournalError| journal_failure(session_dir, error.to_string());
    let journal = JournalReader::open(session_dir).map_err(failed)?;
    let mut followers = Vec::new();
    for stream in Stream::ALL {
        for lane in 0..journal.lanes(stream) {
            let follower = StreamFollower::new(&journal, stream, lane).map_err(failed)?;
            followers.push((stream, lane, follower));
        }
    }
    let mut out = std::io::stdout().lock();
    // The past first: only its last lines are kept, so that a long session does not fill the screen.
    for (_, lane, follower) in &mut followers {
        let mut last = std::collections::VecDeque::new();
        let polled = follower.poll(|record| {
            if tail > 0 {
                if last.len() as u64 == tail {
                    last.pop_front();
                }
                last.push_back(line(record, *lane, as_json));
            }
        });
        for line in last {
            if writeln!(out, "{line}").is_err() {
                return Ok(());
            }
        }
        polled.map_err(failed)?;
    }
    loop {
        let mut given = 0;
        let mut gone = false;
        for (_, lane, follower) in &mut followers {
            let polled = follower.poll(|record| gone |= writeln!(out, "{}", line(record, *lane, as_json)).is_err());
            given += polled.map_err(failed)?;
        }
        // Whoever read the lines has gone: that is an end, not an error.
        if gone || out.flush().is_err() {
            return Ok(());
        }
        if given == 0 {
            if followers.iter().all(|(_, _, follower)| follower.is_ended()) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }
}

fn line(record: &Record<'_>, lane: u16, as_json: bool) -> String {
    let header = &record.header;
    let event = match header.stream {
        Stream::Feed => FeedEvent::decode(record).map(|event| format!("{event:?}")),
        Stream::Quote => QuoteEvent::decode(record).map(|event| format!("{event:?}")),
        Stream::Gateway => GatewayEvent::decode(record).map(|event| format!("{event:?}")),
    };
    let event = event.unwrap_or_else(|_| format!("{} bytes", record.payload.len()));
    if as_json {
        return json!({
            "stream": header.stream.name(),
            "lane": lane,
            "seq": header.seq,
            "ts_ns": header.ts.nanos(),
            "kind": format!("{:?}", header.kind),
            "event": event,
        })
        .to_string();
    }
    format!("{:<8}{:>10} {} {:?} {event}", header.stream.name(), header.seq, header.ts.nanos(), header.kind)
}
