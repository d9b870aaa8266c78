//! What the cold servers may see of an engine: readings, never a handle that could stop or slow it.

use crate::kpi::RunningPoint;
use crate::metrics::{Board, LatencyTable};
use crate::pipeline::PipelineSnapshot;
use crate::types::{ExecReport, Instrument, InstrumentId, QuoteDecision};

/// A running session as `/metrics`, the dashboard and the terminal see it. Implemented by `run` for its engine; all
/// calls come from cold threads.
pub trait SessionView: std::fmt::Debug + Send + Sync + 'static {
    /// The session's name.
    fn session(&self) -> String;
    /// Which tiles run where, in one line.
    fn plan(&self) -> String;
    /// Counters, gauges, tiles and links.
    fn board(&self) -> &Board;
    /// Latency histograms.
    fn latencies(&self) -> &LatencyTable;
    /// The session's instruments.
    fn instruments(&self) -> &[Instrument];
    /// The newest figures of an instrument; `None` before its first.
    fn snapshot(&self, instrument: InstrumentId) -> Option<PipelineSnapshot>;
    /// The newest quote targets of an instrument.
    fn quote(&self, instrument: InstrumentId) -> Option<QuoteDecision>;
    /// The newest fills, oldest first.
    fn fills(&self) -> Vec<ExecReport>;
    /// Where the mid went after the fills of an instrument so far.
    fn markouts(&self, instrument: InstrumentId) -> Vec<RunningPoint>;
}
