//! What a running engine shows: its live state behind /metrics and the dashboard page.
//!
//! Called by the verbs that run an engine. It reads snapshots and never touches a hot thread.

use std::sync::Arc;

use super::Live;
use crate::kpi::RunningPoint;
use crate::pipeline::PipelineSnapshot;
use crate::server::dashboard::Dashboard;
use crate::server::view::SessionView;
use crate::types::{ExecReport, Instrument, InstrumentId, QuoteDecision};

/// Serves /metrics and the dashboard of a running engine. A port that is taken is worth a warning and not a session.
pub fn dashboard(port: u16, live: &Live) -> Option<Dashboard> {
    match Dashboard::serve(port, Arc::new(live.clone())) {
        Ok(dashboard) => Some(dashboard),
        Err(error) => {
            tracing::warn!("no dashboard: {error}");
            None
        }
    }
}

impl SessionView for Live {
    fn session(&self) -> String {
        Live::session(self).to_string()
    }
    fn plan(&self) -> String {
        Live::plan(self).to_owned()
    }
    fn board(&self) -> &crate::metrics::Board {
        Live::board(self)
    }
    fn latencies(&self) -> &crate::metrics::LatencyTable {
        Live::latencies(self)
    }
    fn instruments(&self) -> &[Instrument] {
        Live::instruments(self)
    }
    fn snapshot(&self, instrument: InstrumentId) -> Option<PipelineSnapshot> {
        Live::snapshot(self, instrument)
    }
    fn quote(&self, instrument: InstrumentId) -> Option<QuoteDecision> {
        Live::quote(self, instrument)
    }
    fn fills(&self) -> Vec<ExecReport> {
        Live::fills(self)
    }
    fn markouts(&self, instrument: InstrumentId) -> Vec<RunningPoint> {
        Live::markouts(self, instrument)
    }
}
