//! Floor 1: links between tiles and the records of the journal.
//!
//! A record is a header of 32 bytes and a payload, padded to whole units of 64 bytes. The feed tile builds each record
//! once; the same units go to the journal and over the link to the book tile. Records are the *twins* of the types in
//! [`crate::types`]: sentinels and layouts exist here only.

pub mod feed;
mod feed_owned;
pub mod gateway;
pub mod lines;
pub mod link;
pub mod quote;
pub mod record;

pub use feed::{DepthBuf, DepthHead, DepthKind, DepthRef, FeedEvent, FeedNotice};
pub use feed_owned::FeedOwned;
pub use gateway::{GatewayAnswer, GatewayEvent, GatewaySent, Operation, Outcome};
pub use link::{Full, UnitReceiver, UnitSender, stamp, unit_link};
pub use quote::{InputEvent, QuoteEvent, encode_action};
pub use record::{Flags, Header, Kind, Record, RecordBuf, RecordError, Stream, UNIT_BYTES, Unit};
