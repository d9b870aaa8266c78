//! The latency model of a simulated session: a text, or what a live session's journal shows.
//!
//! From a journal: a request's round trip is the time from its sending to its answer, and each way is given half of it,
//! for no clock says where the other half went. Market and user data carry the venue's own time; its clock and ours
//! differ by an unknown offset, so the quickest message is taken to have travelled half of the quickest round trip, and
//! every other one as much longer as it was.

use std::path::Path;
use std::sync::Arc;

use super::inspect::journal_failure;
use super::{Failure, exit, sources};
use crate::journal::JournalReader;
use crate::sim::latency::{Delay, LatencyModel, Way};
use crate::types::{DurationNs, ExecSource, TimestampNs};
use crate::wire::{FeedEvent, GatewayEvent, InputEvent, Operation, QuoteEvent, Stream};

/// Samples kept of each way.
const SAMPLES_MAX: usize = 1 << 16;

/// Reads a model from its text, or measures one from the journal that the text names.
///
/// # Errors
/// When it is neither, or the journal has no request and its answer.
pub fn read(text: &str) -> Result<LatencyModel, Failure> {
    let not_a_latency = match text.parse() {
        Ok(model) => return Ok(model),
        Err(error) => error,
    };
    if !Path::new(text).exists() {
        return Err(Failure::new(
            "E_BACK_004",
            exit::USAGE,
            "the latencies cannot be understood",
            not_a_latency.to_string(),
            "give such a text, or the journal of a live session",
        ));
    }
    measure(&sources::one_session(Path::new(text))?)
}

/// Evenly spaced samples of a stream of unknown length.
#[derive(Default)]
struct Samples {
    kept: Vec<i64>,
    seen: u64,
    stride: u64,
}

impl Samples {
    fn push(&mut self, ns: i64) {
        let stride = self.stride.max(1);
        if self.seen.is_multiple_of(stride) {
            self.kept.push(ns);
        }
        self.seen += 1;
        if self.kept.len() > SAMPLES_MAX {
            let mut keeps = false;
            self.kept.retain(|_| {
                keeps = !keeps;
                keeps
            });
            self.stride = stride * 2;
        }
    }

    /// The samples, each changed by `change`, smallest first; `None` without any.
    fn delay(&self, change: impl Fn(i64) -> i64) -> Option<Delay> {
        let mut delays: Vec<DurationNs> =
            self.kept.iter().map(|ns| DurationNs::from_nanos(change(*ns).max(0) as u64)).collect();
        delays.sort_unstable();
        (!delays.is_empty()).then(|| Delay::Measured(Arc::from(delays)))
    }
}

fn measure(session_dir: &Path) -> Result<LatencyModel, Failure> {
    let failed = |why: String| journal_failure(session_dir, why);
    let journal = JournalReader::open(session_dir).map_err(|error| failed(error.to_string()))?;
    let (mut orders, mut cancels, mut feed, mut fills) =
        (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    for lane in 0..journal.lanes(Stream::Gateway) {
        let mut stream = journal.lane(Stream::Gateway, lane).map_err(|error| failed(error.to_string()))?;
        // One gateway has one request out at a time, or answers them in turn: its numbers say which.
        let mut sent: std::collections::BTreeMap<u64, TimestampNs> = std::collections::BTreeMap::new();
        while let Some(record) = stream.next().map_err(|error| failed(error.to_string()))? {
            match GatewayEvent::decode(&record).map_err(|error| failed(error.to_string()))? {
                GatewayEvent::Sent(request) => {
                    sent.insert(request.request, request.sent_ts);
                }
                GatewayEvent::Answer(answer) => {
                    let Some(sent_ts) = sent.remove(&answer.request) else { continue };
                    let trip = answer.recv_ts.since(sent_ts).nanos() as i64;
                    // No HTTP status: the wait ended without an answer, whose length says nothing about the road.
                    match answer.operation {
                        _ if answer.http_status == 0 => {}
                        Operation::Place | Operation::Amend => orders.push(trip),
                        Operation::Cancel => cancels.push(trip),
                        _ => {}
                    }
                }
                GatewayEvent::End => {}
            }
        }
    }
    let behind = |event_ts: TimestampNs, recv_ts: TimestampNs| recv_ts.nanos() as i64 - event_ts.nanos() as i64;
    let mut stream = journal.stream(Stream::Feed).map_err(|error| failed(error.to_string()))?;
    while let Some(record) = stream.next().map_err(|error| failed(error.to_string()))? {
        if record.header.kind == crate::wire::Kind::End {
            break;
        }
        match FeedEvent::decode(&record).map_err(|error| failed(error.to_string()))? {
            FeedEvent::Depth(depth) if depth.head.event_ts != TimestampNs::ZERO => {
                feed.push(behind(depth.head.event_ts, depth.head.recv_ts));
            }
            FeedEvent::Trade(trade) => feed.push(behind(trade.event_ts, trade.recv_ts)),
            _ => {}
        }
    }
    if journal.has(Stream::Quote) {
        let mut stream = journal.stream(Stream::Quote).map_err(|error| failed(error.to_string()))?;
        while let Some(record) = stream.next().map_err(|error| failed(error.to_string()))? {
            let event = QuoteEvent::decode(&record).map_err(|error| failed(error.to_string()))?;
            if let QuoteEvent::Input(InputEvent::Exec(report)) = event
                && report.source == ExecSource::UserStream
            {
                fills.push(behind(report.event_ts, report.recv_ts));
            }
        }
    }
    let quickest = orders.kept.iter().chain(&cancels.kept).min().copied();
    let (Some(quickest), Some(order)) = (quickest, orders.delay(|trip| trip / 2)) else {
        return Err(Failure::new(
            "E_BACK_004",
            exit::INPUT,
            format!("{} shows no latencies", session_dir.display()),
            "it holds no order that the venue answered",
            "name the journal of a session that sent orders",
        ));
    };
    let least_behind = feed.kept.iter().chain(&fills.kept).min().copied().unwrap_or_default();
    let since_quickest = |behind: i64| behind - least_behind + quickest / 2;
    let mut model = LatencyModel::default().with(Way::Order, order.clone()).with(Way::Ack, order.clone());
    model = model.with(Way::Cancel, cancels.delay(|trip| trip / 2).unwrap_or(order));
    let half = Delay::Constant(DurationNs::from_nanos((quickest / 2).max(0) as u64));
    let feed = feed.delay(since_quickest).unwrap_or(half);
    Ok(model.with(Way::Fill, fills.delay(since_quickest).unwrap_or_else(|| feed.clone())).with(Way::Feed, feed))
}
