//! Floor 3: what every session writes, and the only thing that a replay reads.
//!
//! A session is a folder of three streams (feed, quote, gateway). Each stream has one writer, a hot thread that copies a
//! record into mapped memory and never calls the kernel, and shares one cold [`Keeper`], which prepares, syncs and seals
//! the segments. Records that were committed survive the death of the process; what a power cut takes is at the end and
//! is reported, never papered over. `docs/JOURNAL.md` draws the bytes.
//!
//! `unsafe` lives in `mapping`, `copy` and `sigbus` alone.

mod copy;
mod error;
mod follow;
mod format;
mod keeper;
mod kept_lane;
mod lane;
pub mod manifest;
mod mapping;
mod reader;
pub mod retention;
mod scratch;
mod segment;
mod session;
mod sigbus;
mod tail;
mod writer;

pub use error::JournalError;
pub use follow::StreamFollower;
pub use format::{FORMAT_VERSION, HEADER_BYTES, SegmentId};
pub use keeper::Keeper;
pub use lane::{Journal, JournalConfig, LocalJournal};
pub use reader::{Damage, JournalReader, Reading, StreamReader, Tail};
pub use scratch::ScratchKeeper;
pub use session::{InstrumentEntry, SESSION_FILE, SessionEnd, SessionInfo};
pub use sigbus::end_on_sigbus;
pub use writer::{JournalDown, JournalWriter};
