//! Latency figures: HDR histograms, filled by the control tile from samples that the hot tiles send.

use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;

/// What a latency figure measures. The first eight are the stages of a tick that led to an order, up to its first order;
/// for each tick they add up to `tick_to_wire` exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Hop {
    /// From the socket read that completed the frame to the frame decoded.
    Decoded,
    /// From there, over the journal and a link, to the book with it.
    Booked,
    /// From there, over a link and the journal, to the features with it.
    Featured,
    /// From there to what the quoter, filters and limits want.
    Quoted,
    /// From there to orders that have passed every check.
    Checked,
    /// From there, over the journal, to the first order in front of its link.
    Queued,
    /// From there, over the link and the signature, to the request's bytes in front of the socket.
    Ready,
    /// From there to the bytes taken by the socket.
    Written,
    /// From the socket read that completed the frame to the first order's bytes in front of the socket.
    TickToOrder,
    /// As `tick_to_order`, and on to the bytes taken by the socket.
    TickToWire,
    /// From the socket read that completed the frame to the decision's first placement in front of its link, or to its end.
    TickToDecision,
    /// A placement's round trip.
    PlaceRoundTrip,
    /// A cancel's round trip.
    CancelRoundTrip,
}

impl Hop {
    /// All of them, in the order in which people read them: first those from stage to stage, in the stages' order.
    pub const ALL: [Hop; 13] = [
        Hop::Decoded,
        Hop::Booked,
        Hop::Featured,
        Hop::Quoted,
        Hop::Checked,
        Hop::Queued,
        Hop::Ready,
        Hop::Written,
        Hop::TickToOrder,
        Hop::TickToWire,
        Hop::TickToDecision,
        Hop::PlaceRoundTrip,
        Hop::CancelRoundTrip,
    ];

    /// The name in `/metrics` and in summaries.
    pub const fn name(self) -> &'static str {
        match self {
            Hop::Decoded => "decoded",
            Hop::Booked => "book_applied",
            Hop::Featured => "features",
            Hop::Quoted => "quoted",
            Hop::Checked => "risk_passed",
            Hop::Queued => "queued",
            Hop::Ready => "bytes_ready",
            Hop::Written => "bytes_written",
            Hop::TickToOrder => "tick_to_order",
            Hop::TickToWire => "tick_to_wire",
            Hop::TickToDecision => "tick_to_decision",
            Hop::PlaceRoundTrip => "place_round_trip",
            Hop::CancelRoundTrip => "cancel_round_trip",
        }
    }
}

/// Percentiles of one hop, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LatencySummary {
    /// Half of the samples were faster.
    pub p50: u64,
    /// 90 in 100 were faster.
    pub p90: u64,
    /// 99 in 100 were faster.
    pub p99: u64,
    /// 999 in 1000 were faster.
    pub p999: u64,
    /// 9999 in 10000 were faster.
    pub p9999: u64,
    /// The slowest.
    pub max: u64,
    /// How many samples there are.
    pub count: u64,
}

/// One histogram for each hop. Written by the control tile, read by servers and the summary: all cold, hence a lock.
#[derive(Debug)]
pub struct LatencyTable {
    hops: Mutex<Vec<Histogram<u64>>>,
}

// Ten minutes: anything above is clamped, so that a stalled machine cannot grow the table.
const HIGHEST_NS: u64 = 600_000_000_000;

impl Default for LatencyTable {
    fn default() -> Self {
        // Three digits: 0.1 % resolution, which is below the noise of every figure here.
        let empty =
            || Histogram::new_with_max(HIGHEST_NS, 3).expect("the bounds are constants that hdrhistogram takes");
        LatencyTable { hops: Mutex::new(Hop::ALL.iter().map(|_| empty()).collect()) }
    }
}

impl LatencyTable {
    /// Adds a sample.
    pub fn record(&self, hop: Hop, ns: u64) {
        let mut hops = self.hops.lock().unwrap_or_else(PoisonError::into_inner);
        hops[hop as usize].saturating_record(ns.min(HIGHEST_NS));
    }

    /// The percentiles of a hop.
    pub fn summary(&self, hop: Hop) -> LatencySummary {
        let hops = self.hops.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = &hops[hop as usize];
        if histogram.is_empty() {
            return LatencySummary::default();
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        LatencySummary {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
            count: histogram.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_samples() {
        let table = LatencyTable::default();
        for ns in 1..=1000 {
            table.record(Hop::TickToOrder, ns);
        }
        let summary = table.summary(Hop::TickToOrder);
        assert_eq!((summary.p50, summary.p90, summary.p99, summary.count), (500, 900, 990, 1000));
        assert_eq!(summary.max, 1000);
        assert_eq!(table.summary(Hop::PlaceRoundTrip), LatencySummary::default());
    }
}
