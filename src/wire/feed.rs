//! Twins of market data: what the feed stream holds and the feed-book link carries.

use bytemuck::{Pod, Zeroable};

use super::record::{Kind, Record, RecordBuf, RecordError};
use crate::types::{DesyncReason, InstrumentId, Level, Price, Qty, Side, TimestampNs, Touch, Trade, TradeId};

/// Whether a depth message is the whole book or a change to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DepthKind {
    /// The whole visible book, from REST; `last_id` is its `lastUpdateId`.
    Snapshot = 0,
    /// Absolute quantities of the levels that changed.
    Diff = 1,
}

/// Everything of a depth message but its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthHead {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Snapshot or diff.
    pub kind: DepthKind,
    /// First update id covered (`U`); for a snapshot its `lastUpdateId`.
    pub first_id: u64,
    /// Last update id covered (`u`).
    pub last_id: u64,
    /// The previous message's last update id (`pu`), on venues that state it.
    pub prev_id: Option<u64>,
    /// The venue's event time; zero when it gave none.
    pub event_ts: TimestampNs,
    /// When we read it.
    pub recv_ts: TimestampNs,
}

/// A depth message being decoded: reused, so that decoding allocates only until the largest has been seen.
#[derive(Clone, Debug)]
pub struct DepthBuf {
    /// Everything but the levels.
    pub head: DepthHead,
    /// Bid levels in the order of the message; quantity zero removes.
    pub bids: Vec<Level>,
    /// Ask levels in the order of the message; quantity zero removes.
    pub asks: Vec<Level>,
}

impl DepthBuf {
    /// A buffer with room for `levels` a side.
    pub fn with_capacity(levels: usize) -> DepthBuf {
        DepthBuf {
            head: DepthHead {
                instrument: InstrumentId::default(),
                kind: DepthKind::Diff,
                first_id: 0,
                last_id: 0,
                prev_id: None,
                event_ts: TimestampNs::ZERO,
                recv_ts: TimestampNs::ZERO,
            },
            bids: Vec::with_capacity(levels),
            asks: Vec::with_capacity(levels),
        }
    }

    /// Forgets the levels.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Borrows it.
    pub fn as_ref(&self) -> DepthRef<'_> {
        DepthRef { head: self.head, bids: &self.bids, asks: &self.asks }
    }
}

/// A depth message, borrowed from a record or a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthRef<'a> {
    /// Everything but the levels.
    pub head: DepthHead,
    /// Bid levels in the order of the message; quantity zero removes.
    pub bids: &'a [Level],
    /// Ask levels in the order of the message; quantity zero removes.
    pub asks: &'a [Level],
}

/// Something about the feed itself that the books must know, because they may have missed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedNotice {
    /// Which instrument; `None` for all.
    pub instrument: Option<InstrumentId>,
    /// What happened: the instrument's book is no longer to be trusted until it has synced again.
    pub reason: DesyncReason,
    /// When we noticed.
    pub recv_ts: TimestampNs,
}

/// A feed record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEvent<'a> {
    /// A snapshot or a diff.
    Depth(DepthRef<'a>),
    /// A print on the tape.
    Trade(Trade),
    /// An aggregated print.
    AggTrade(Trade),
    /// Best bid and ask.
    Touch(Touch),
    /// Something about the feed itself.
    Notice(FeedNotice),
    /// A frame as it came.
    Raw(&'a [u8]),
}

const NO_ID: u64 = u64::MAX;
const NO_INSTRUMENT: u32 = u32::MAX;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawDepth {
    first_id: u64,
    last_id: u64,
    prev_id: u64,
    event_ts: u64,
    instrument: u32,
    kind: u32,
    bids: u32,
    asks: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawTrade {
    event_ts: u64,
    id: i64,
    price: i64,
    qty: i64,
    instrument: u32,
    aggressor: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawTouch {
    update_id: u64,
    bid: Level,
    ask: Level,
    instrument: u32,
    reserved: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawNotice {
    instrument: u32,
    reason: u32,
}

impl FeedEvent<'_> {
    /// Writes the payload into `buf` and returns the kind and time for its header.
    pub fn encode(&self, buf: &mut RecordBuf) -> (Kind, TimestampNs) {
        buf.begin();
        match self {
            FeedEvent::Depth(depth) => {
                let head = depth.head;
                buf.put(bytemuck::bytes_of(&RawDepth {
                    first_id: head.first_id,
                    last_id: head.last_id,
                    prev_id: head.prev_id.unwrap_or(NO_ID),
                    event_ts: head.event_ts.nanos(),
                    instrument: u32::from(head.instrument.0),
                    kind: head.kind as u32,
                    bids: depth.bids.len() as u32,
                    asks: depth.asks.len() as u32,
                }));
                buf.put(bytemuck::cast_slice(depth.bids));
                buf.put(bytemuck::cast_slice(depth.asks));
                (Kind::Depth, head.recv_ts)
            }
            FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => {
                buf.put(bytemuck::bytes_of(&RawTrade {
                    event_ts: trade.event_ts.nanos(),
                    id: trade.id.0,
                    price: trade.price.ticks(),
                    qty: trade.qty.lots(),
                    instrument: u32::from(trade.instrument.0),
                    aggressor: trade.aggressor as u32,
                }));
                let kind = if matches!(self, FeedEvent::Trade(_)) { Kind::Trade } else { Kind::AggTrade };
                (kind, trade.recv_ts)
            }
            FeedEvent::Touch(touch) => {
                buf.put(bytemuck::bytes_of(&RawTouch {
                    update_id: touch.update_id,
                    bid: touch.bid,
                    ask: touch.ask,
                    instrument: u32::from(touch.instrument.0),
                    reserved: 0,
                }));
                (Kind::Touch, touch.recv_ts)
            }
            FeedEvent::Notice(notice) => {
                buf.put(bytemuck::bytes_of(&RawNotice {
                    instrument: notice.instrument.map_or(NO_INSTRUMENT, |id| u32::from(id.0)),
                    reason: notice.reason as u32,
                }));
                (Kind::FeedNotice, notice.recv_ts)
            }
            FeedEvent::Raw(frame) => {
                buf.put(frame);
                (Kind::RawFrame, TimestampNs::ZERO)
            }
        }
    }

    /// Reads a feed record.
    ///
    /// # Errors
    /// When the record is not of the feed stream, or its payload does not fit its kind.
    pub fn decode<'a>(record: &Record<'a>) -> Result<FeedEvent<'a>, RecordError> {
        let recv_ts = record.header.ts;
        let payload = record.payload;
        match record.header.kind {
            Kind::Depth => {
                let (raw, levels) = split::<RawDepth>(payload)?;
                let levels: &[Level] =
                    bytemuck::try_cast_slice(levels).map_err(|_| RecordError::Length { len: payload.len() })?;
                let (bids, asks) = (raw.bids as usize, raw.asks as usize);
                if bids.checked_add(asks) != Some(levels.len()) {
                    return Err(RecordError::Length { len: payload.len() });
                }
                let head = DepthHead {
                    instrument: instrument(raw.instrument)?,
                    kind: match raw.kind {
                        0 => DepthKind::Snapshot,
                        1 => DepthKind::Diff,
                        value => return Err(RecordError::Unknown { what: "depth kind", value: u64::from(value) }),
                    },
                    first_id: raw.first_id,
                    last_id: raw.last_id,
                    prev_id: (raw.prev_id != NO_ID).then_some(raw.prev_id),
                    event_ts: TimestampNs::from_nanos(raw.event_ts),
                    recv_ts,
                };
                Ok(FeedEvent::Depth(DepthRef { head, bids: &levels[..bids], asks: &levels[bids..] }))
            }
            kind @ (Kind::Trade | Kind::AggTrade) => {
                let raw = whole::<RawTrade>(payload)?;
                let trade = Trade {
                    instrument: instrument(raw.instrument)?,
                    event_ts: TimestampNs::from_nanos(raw.event_ts),
                    recv_ts,
                    id: TradeId(raw.id),
                    price: Price::from_ticks(raw.price),
                    qty: Qty::from_lots(raw.qty),
                    aggressor: u8::try_from(raw.aggressor)
                        .ok()
                        .and_then(Side::from_index)
                        .ok_or(RecordError::Unknown { what: "side", value: u64::from(raw.aggressor) })?,
                };
                Ok(if kind == Kind::Trade { FeedEvent::Trade(trade) } else { FeedEvent::AggTrade(trade) })
            }
            Kind::Touch => {
                let raw = whole::<RawTouch>(payload)?;
                Ok(FeedEvent::Touch(Touch {
                    instrument: instrument(raw.instrument)?,
                    recv_ts,
                    update_id: raw.update_id,
                    bid: raw.bid,
                    ask: raw.ask,
                }))
            }
            Kind::FeedNotice => {
                let raw = whole::<RawNotice>(payload)?;
                let reason = match raw.reason {
                    0 => DesyncReason::Starting,
                    1 => DesyncReason::Gap,
                    2 => DesyncReason::Disconnected,
                    3 => DesyncReason::Overrun,
                    4 => DesyncReason::Crossed,
                    5 => DesyncReason::Malformed,
                    value => return Err(RecordError::Unknown { what: "reason", value: u64::from(value) }),
                };
                let instrument = if raw.instrument == NO_INSTRUMENT { None } else { Some(instrument(raw.instrument)?) };
                Ok(FeedEvent::Notice(FeedNotice { instrument, reason, recv_ts }))
            }
            Kind::RawFrame => Ok(FeedEvent::Raw(payload)),
            kind => Err(RecordError::Unknown { what: "feed kind", value: kind as u64 }),
        }
    }
}

fn instrument(raw: u32) -> Result<InstrumentId, RecordError> {
    u16::try_from(raw).map(InstrumentId).map_err(|_| RecordError::Unknown { what: "instrument", value: u64::from(raw) })
}

/// A payload that is exactly one `T`.
pub(crate) fn whole<T: Pod>(payload: &[u8]) -> Result<T, RecordError> {
    bytemuck::try_pod_read_unaligned(payload).map_err(|_| RecordError::Length { len: payload.len() })
}

/// A payload that starts with a `T`.
fn split<T: Pod>(payload: &[u8]) -> Result<(T, &[u8]), RecordError> {
    let short = RecordError::Length { len: payload.len() };
    let (head, rest) = payload.split_at_checked(size_of::<T>()).ok_or(short)?;
    Ok((whole(head)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{Flags, Stream};

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    #[test]
    fn every_feed_event_survives_its_record() {
        let recv_ts = TimestampNs::from_nanos(123);
        let mut depth = DepthBuf::with_capacity(4);
        depth.head.instrument = InstrumentId(3);
        depth.head.recv_ts = recv_ts;
        depth.head.prev_id = Some(8);
        depth.bids.extend([level(10, 5), level(9, 0)]);
        depth.asks.push(level(11, 1));
        let trade = Trade {
            instrument: InstrumentId(1),
            event_ts: TimestampNs::from_nanos(100),
            recv_ts,
            id: TradeId(-1),
            price: Price::from_ticks(-5),
            qty: Qty::from_lots(7),
            aggressor: Side::Ask,
        };
        let touch = Touch { instrument: InstrumentId(0), recv_ts, update_id: 77, bid: level(1, 2), ask: level(3, 4) };
        let notice = FeedNotice { instrument: None, reason: DesyncReason::Overrun, recv_ts };
        let mut buf = RecordBuf::default();
        for event in [
            FeedEvent::Depth(depth.as_ref()),
            FeedEvent::Trade(trade),
            FeedEvent::AggTrade(trade),
            FeedEvent::Touch(touch),
            FeedEvent::Notice(notice),
        ] {
            let (kind, ts) = event.encode(&mut buf);
            let units = buf.finish(Stream::Feed, kind, Flags::NONE, 1, ts);
            let record = Record::from_units(units).unwrap();
            assert_eq!(FeedEvent::decode(&record).unwrap(), event);
        }
    }
}
