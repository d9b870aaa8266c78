//! Floor 3: market data and positions on a Redis server, and market data from one.
//!
//! The sink follows the session's own journal, so the hot threads neither know of it nor wait for it: [`Publisher`] turns
//! journal records into stream entries and [`Statements`] fills into positions, both without a socket; [`Sink`] delivers
//! what they hold. [`Source`] reads such a stream and gives back the events of another process's feed, with a hole in it
//! always told and never papered over. `docs/REDIS.md` lists keys and fields. Everything here runs on cold threads of
//! its own. From its own floor it imports `journal`, for the instruments as the session file writes them.

mod entry;
mod publisher;
mod server;
mod sink;
mod source;
mod statements;

pub use entry::{EntryError, EntryHead, Fields, FieldsView, Parsed, encode, encode_book, parse};
pub use publisher::{Publisher, PublisherLimits};
pub use server::{Server, ServerError, check_url, instrument_key, stream_key, without_password};
pub use sink::Sink;
pub use source::{Source, instruments};
pub use statements::Statements;
