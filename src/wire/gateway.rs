//! Twins of the gateway stream: requests as they went out and what came back. Nothing decides on them; they answer
//! "what did we send, when, and what did the venue say" for people, reports and the resolver of doubt after a crash.

use bytemuck::{Pod, Zeroable};

use super::feed::whole;
use super::record::{Kind, Record, RecordBuf, RecordError};
use crate::types::{ClientOrderId, InstrumentId, SessionId, TimestampNs};

/// What a request asks of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// Place an order.
    Place = 0,
    /// Cancel an order.
    Cancel = 1,
    /// Reduce an order.
    Amend = 2,
    /// Ask where an order stands.
    Query = 3,
    /// Anything else: open orders, account, keep-alive.
    Other = 4,
    /// Ask for an order's trades.
    Fills = 5,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The venue did it.
    Done = 0,
    /// The venue refused, with certainty.
    Refused = 1,
    /// It may or may not have happened.
    Unknown = 2,
    /// It never left.
    NotSent = 3,
}

/// A request was handed to the HTTP client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewaySent {
    /// Number of the request at its gateway, from 1; its answer repeats it.
    pub request: u64,
    /// What it asks.
    pub operation: Operation,
    /// How many times the same intent was sent before.
    pub attempt: u16,
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Which order; the default where the operation is about none.
    pub client_id: ClientOrderId,
    /// When the bytes that led to the decision were read from the socket; zero when none did.
    pub tick_ts: TimestampNs,
    /// When it was sent: the header's time.
    pub sent_ts: TimestampNs,
}

/// An answer came, or the wait for it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayAnswer {
    /// Number of the request.
    pub request: u64,
    /// What it asked.
    pub operation: Operation,
    /// How it ended.
    pub outcome: Outcome,
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Which order; the default where the operation is about none.
    pub client_id: ClientOrderId,
    /// HTTP status; zero when no answer came.
    pub http_status: u16,
    /// The venue's error code; zero for none.
    pub code: i32,
    /// When the answer came or the wait ended: the header's time.
    pub recv_ts: TimestampNs,
}

/// A record of the gateway stream, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayEvent {
    /// A request went out.
    Sent(GatewaySent),
    /// An answer came, or the wait ended.
    Answer(GatewayAnswer),
    /// The stream ends here on purpose.
    End,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawSent {
    request: u64,
    session: u64,
    counter: u64,
    tick_ts: u64,
    instrument: u16,
    attempt: u16,
    operation: u8,
    reserved: [u8; 3],
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawAnswer {
    request: u64,
    session: u64,
    counter: u64,
    code: i32,
    instrument: u16,
    http_status: u16,
    operation: u8,
    outcome: u8,
    reserved: [u8; 6],
}

// Each in a function of its own: joined, they would share one copy of a length that only the program knows.
#[inline(never)]
fn encode_sent(sent: &GatewaySent, buf: &mut RecordBuf) -> (Kind, TimestampNs) {
    buf.hold(&RawSent {
        request: sent.request,
        session: sent.client_id.session.0,
        counter: sent.client_id.counter,
        tick_ts: sent.tick_ts.nanos(),
        instrument: sent.instrument.0,
        attempt: sent.attempt,
        operation: sent.operation as u8,
        reserved: [0; 3],
    });
    (Kind::GatewaySent, sent.sent_ts)
}

#[inline(never)]
fn encode_answer(answer: &GatewayAnswer, buf: &mut RecordBuf) -> (Kind, TimestampNs) {
    buf.hold(&RawAnswer {
        request: answer.request,
        session: answer.client_id.session.0,
        counter: answer.client_id.counter,
        code: answer.code,
        instrument: answer.instrument.0,
        http_status: answer.http_status,
        operation: answer.operation as u8,
        outcome: answer.outcome as u8,
        reserved: [0; 6],
    });
    (Kind::GatewayAnswer, answer.recv_ts)
}

impl GatewayEvent {
    /// Writes the payload into `buf` and returns the kind and time for its header.
    pub fn encode(&self, buf: &mut RecordBuf) -> (Kind, TimestampNs) {
        match self {
            GatewayEvent::Sent(sent) => encode_sent(sent, buf),
            GatewayEvent::Answer(answer) => encode_answer(answer, buf),
            GatewayEvent::End => {
                buf.begin();
                (Kind::End, TimestampNs::ZERO)
            }
        }
    }

    /// Reads a record of the gateway stream.
    ///
    /// # Errors
    /// When the record is not of the gateway stream, or its payload does not fit its kind.
    pub fn decode(record: &Record<'_>) -> Result<GatewayEvent, RecordError> {
        let client_id = |session, counter| ClientOrderId { session: SessionId(session), counter };
        match record.header.kind {
            Kind::GatewaySent => {
                let raw = whole::<RawSent>(record.payload)?;
                Ok(GatewayEvent::Sent(GatewaySent {
                    request: raw.request,
                    operation: operation(raw.operation)?,
                    attempt: raw.attempt,
                    instrument: InstrumentId(raw.instrument),
                    client_id: client_id(raw.session, raw.counter),
                    tick_ts: TimestampNs::from_nanos(raw.tick_ts),
                    sent_ts: record.header.ts,
                }))
            }
            Kind::GatewayAnswer => {
                let raw = whole::<RawAnswer>(record.payload)?;
                let outcome = match raw.outcome {
                    0 => Outcome::Done,
                    1 => Outcome::Refused,
                    2 => Outcome::Unknown,
                    3 => Outcome::NotSent,
                    value => return Err(RecordError::Unknown { what: "outcome", value: u64::from(value) }),
                };
                Ok(GatewayEvent::Answer(GatewayAnswer {
                    request: raw.request,
                    operation: operation(raw.operation)?,
                    outcome,
                    instrument: InstrumentId(raw.instrument),
                    client_id: client_id(raw.session, raw.counter),
                    http_status: raw.http_status,
                    code: raw.code,
                    recv_ts: record.header.ts,
                }))
            }
            Kind::End => Ok(GatewayEvent::End),
            kind => Err(RecordError::Unknown { what: "gateway kind", value: kind as u64 }),
        }
    }
}

fn operation(value: u8) -> Result<Operation, RecordError> {
    match value {
        0 => Ok(Operation::Place),
        1 => Ok(Operation::Cancel),
        2 => Ok(Operation::Amend),
        3 => Ok(Operation::Query),
        4 => Ok(Operation::Other),
        5 => Ok(Operation::Fills),
        value => Err(RecordError::Unknown { what: "operation", value: u64::from(value) }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::record::{Flags, Stream};

    proptest! {
        #[test]
        fn every_gateway_event_survives_its_record(
            numbers: [u64; 5],
            (op, outcome, is_sent) in (0..5_u8, 0..4_u8, any::<bool>()),
            (attempt, instrument, http_status, code) in any::<(u16, u16, u16, i32)>(),
        ) {
            let [request, session, counter, tick, ts] = numbers;
            let client_id = ClientOrderId { session: SessionId(session), counter };
            let (operation, instrument) = (operation(op).unwrap(), InstrumentId(instrument));
            let ts = TimestampNs::from_nanos(ts);
            let event = if is_sent {
                let tick_ts = TimestampNs::from_nanos(tick);
                let sent = GatewaySent { request, operation, attempt, instrument, client_id, tick_ts, sent_ts: ts };
                GatewayEvent::Sent(sent)
            } else {
                let outcome = [Outcome::Done, Outcome::Refused, Outcome::Unknown, Outcome::NotSent][outcome as usize];
                GatewayEvent::Answer(GatewayAnswer {
                    request, operation, outcome, instrument, client_id, http_status, code, recv_ts: ts,
                })
            };
            let mut buf = RecordBuf::default();
            let (kind, ts) = event.encode(&mut buf);
            let units = buf.finish(Stream::Gateway, kind, Flags::NONE, 1, ts);
            prop_assert_eq!(GatewayEvent::decode(&Record::from_units(units).unwrap()), Ok(event));
        }
    }
}
