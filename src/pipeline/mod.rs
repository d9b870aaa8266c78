//! Floor 2: decisions. Events in, actions out, clock injected; no socket, file, thread or clock.
//!
//! [`Pipeline`] is stepped by the quote tile, by the virtual session and by replay, always in one thread, with one
//! input at a time in one total order. Its answers depend on nothing but the sequence of `(now, input)`. From its own
//! floor it imports `kpi`, for the ledger.

mod amount;
mod backlog;
mod config;
mod decide;
mod digest;
pub mod estimators;
mod explain;
pub mod features;
mod lane;
pub mod market;
#[cfg(test)]
mod market_soak_tests;
#[cfg(test)]
mod market_tests;
pub mod orders;
mod place;
pub mod quoter;
mod reference;
pub mod risk;
mod snapshot;
pub mod sync;
mod warm;

pub use crate::kpi::PnlSplit;
pub use amount::Amount;
pub use config::{
    ConfigError, EstimatorsConfig, FeaturesConfig, GlftForm, KRegressor, LearnKind, OrdersConfig, PipelineConfig,
    QuoterConfig, QuoterKind, ReferenceKind, RequoteKind, RiskConfig, SigmaKind, ToxicityKind, VpinMode, VpinSign,
};
pub use digest::Digester;
pub use explain::{Explanation, Modelled, Working};
pub use reference::OthersBook;
pub use snapshot::{Counters, HaltReason, PipelineSnapshot, REJECT_REASONS, TradingState};
pub use warm::{InstrumentState, WARM_FOR, WarmState};

use crate::types::{Actions, Balance, Control, Input, Instrument, InstrumentId, Money, SessionId, TimestampNs};
use lane::Lane;
use risk::Desk;

/// The decisions of one session over all its instruments.
pub struct Pipeline {
    config_digest: u128,
    now: TimestampNs,
    desk: Desk,
    lanes: Vec<Lane>,
}

impl Pipeline {
    /// A pipeline before its first event.
    ///
    /// It fails closed: it places nothing until `Control::UserStreamUp` has told it that fills are being reported,
    /// and takes orders only on books that are live. Whoever drives it sends that input once at the start; a dry run
    /// (`orders.send = false`) does not need it.
    ///
    /// # Errors
    /// What [`PipelineConfig::check`] finds.
    pub fn new(
        session: SessionId,
        instruments: &[Instrument],
        config: &PipelineConfig,
    ) -> Result<Pipeline, ConfigError> {
        Pipeline::with_warm(session, instruments, config, None)
    }

    /// As [`new`](Self::new), beginning with what an earlier session or a back-fill has learnt. A replay needs the same
    /// state, so whoever journals the session writes it to the session file.
    ///
    /// # Errors
    /// What [`PipelineConfig::check`] finds.
    pub fn with_warm(
        session: SessionId,
        instruments: &[Instrument],
        config: &PipelineConfig,
        warm: Option<&WarmState>,
    ) -> Result<Pipeline, ConfigError> {
        config.check()?;
        let quoters = instruments.iter().map(|_| quoter::build(&config.quoter)).collect();
        let mut made = Pipeline::assemble(session, instruments, config, quoters);
        if let Some(warm) = warm {
            made.begin_with(warm);
        }
        Ok(made)
    }

    /// Takes what an earlier session or a back-fill has learnt, before the first event; see
    /// [`with_warm`](Self::with_warm). What was learnt under other settings is left out.
    pub fn begin_with(&mut self, warm: &WarmState) {
        for lane in &mut self.lanes {
            if let Some(state) = warm.of(lane.instrument.symbol()) {
                lane.restore(state);
            }
        }
    }

    /// A pipeline whose quotes come from quoters of the caller's own instead of the one that `quoter.kind` names.
    /// Everything around the model, orders and risk included, is as configured. A journal does not hold the model: to
    /// replay the session the caller makes the pipeline in the same way.
    ///
    /// # Errors
    /// What [`PipelineConfig::check`] finds.
    pub fn with_quoters(
        session: SessionId,
        instruments: &[Instrument],
        config: &PipelineConfig,
        quoters: &mut quoter::QuoterMaker<'_>,
    ) -> Result<Pipeline, ConfigError> {
        config.check()?;
        let quoters = instruments.iter().map(quoters).collect();
        Ok(Pipeline::assemble(session, instruments, config, quoters))
    }

    fn assemble(
        session: SessionId,
        instruments: &[Instrument],
        config: &PipelineConfig,
        quoters: Vec<Box<dyn quoter::Quoter>>,
    ) -> Pipeline {
        let desk = Desk::new(session, instruments, config);
        let lanes = instruments.iter().zip(quoters);
        let lanes = lanes.map(|(instrument, quoter)| Lane::new(instrument, &desk, config, quoter)).collect();
        Pipeline { config_digest: config.digest(), now: TimestampNs::ZERO, desk, lanes }
    }

    /// Takes one event and appends what it causes to `actions`, which the caller has cleared.
    ///
    /// An input about an instrument that the session does not have is ignored. Deadlines that have passed are acted
    /// upon whatever the input is.
    pub fn on_event(&mut self, now: TimestampNs, input: &Input, actions: &mut Actions) {
        self.settle();
        self.now = now;
        let may_quote = self.desk.may_quote();
        let touched = match input {
            Input::Market(update) => {
                let id = update.instrument();
                let changed = self.lane_mut(id).is_some_and(|lane| lane.on_market(update));
                if changed {
                    self.check_loss(id);
                }
                changed.then_some(id)
            }
            Input::Exec(report) => {
                let (desk, lane) = (&mut self.desk, self.lanes.get_mut(report.instrument.index()));
                let changed = lane.is_some_and(|lane| lane.on_exec(now, report, desk));
                changed.then_some(report.instrument)
            }
            Input::Balance(balance) => {
                self.on_balance(balance);
                None
            }
            Input::Timer => {
                for lane in &mut self.lanes {
                    lane.on_timer(now);
                }
                None
            }
            Input::Control(control) => {
                self.desk.on_control(control);
                if let Control::Orphan { instrument, client_id } = control
                    && let Some(lane) = self.lane_mut(*instrument)
                {
                    lane.adopt(now, *client_id);
                }
                None
            }
        };
        // A command, a balance or the end of quoting concerns every instrument, in this very event.
        let all = matches!(input, Input::Control(_) | Input::Balance(_)) || may_quote != self.desk.may_quote();
        for index in 0..self.lanes.len() {
            let lane = &self.lanes[index];
            let is_due = lane.wake_at.is_some_and(|wake_at| now >= wake_at);
            if all || is_due || touched.is_some_and(|id| id.index() == index) {
                let elsewhere = self.locked_elsewhere(index);
                self.lanes[index].decide(now, &mut self.desk, elsewhere, actions);
            }
        }
    }

    /// When the next `Input::Timer` is due at the latest; always after the `now` of the last event.
    pub fn next_deadline(&mut self) -> Option<TimestampNs> {
        self.settle();
        self.lanes.iter().filter_map(|lane| lane.wake_at).min()
    }

    /// A digest of everything that future decisions depend on.
    pub fn digest(&self) -> u128 {
        let mut digester = Digester::new();
        digester.u64(self.config_digest as u64);
        digester.u64((self.config_digest >> 64) as u64);
        digester.time(self.now);
        self.desk.digest(&mut digester);
        for lane in &self.lanes {
            lane.digest(&self.desk, &mut digester);
        }
        digester.finish()
    }

    /// From now on keeps why each decision is taken as it is. It changes none of them, and allocates.
    pub fn explain(&mut self) {
        for lane in &mut self.lanes {
            lane.explanation = Some(Box::default());
        }
    }

    /// Why the last decision of an instrument was taken as it was; `None` unless asked for before.
    pub fn explanation(&self, instrument: InstrumentId) -> Option<&Explanation> {
        self.lanes.get(instrument.index())?.explanation.as_deref()
    }

    /// What the next session may begin with. Allocates: for the end of a session.
    pub fn warm_state(&self) -> WarmState {
        WarmState { saved_ns: self.now.nanos(), instruments: self.lanes.iter().map(Lane::save).collect() }
    }

    /// Whether no order of ours is alive or in doubt, on any instrument, and every fill told of has been counted.
    pub fn is_quiet(&self) -> bool {
        self.lanes.iter().all(|lane| lane.orders.is_quiet())
    }

    /// The figures of one instrument.
    ///
    /// # Panics
    /// When the session has no such instrument.
    pub fn snapshot(&self, instrument: InstrumentId) -> PipelineSnapshot {
        self.lanes[instrument.index()].snapshot(self.now, &self.desk)
    }

    fn settle(&mut self) {
        for lane in &mut self.lanes {
            lane.settle(&self.desk);
        }
    }

    fn lane_mut(&mut self, id: InstrumentId) -> Option<&mut Lane> {
        self.lanes.get_mut(id.index())
    }

    /// The loss limit holds for all instruments of one quote currency together.
    fn check_loss(&mut self, id: InstrumentId) {
        let quote_index = self.lanes[id.index()].quote_index;
        let total: Money =
            self.lanes.iter().filter(|lane| lane.quote_index == quote_index).map(|lane| lane.ledger.equity()).sum();
        self.desk.check_loss(quote_index, total);
    }

    fn on_balance(&mut self, balance: &Balance) {
        if let Some(index) = self.desk.balances.index_of(balance.asset) {
            let locked = self.lanes.iter().map(|lane| lane.locked_e8(index)).fold(0_i64, i64::saturating_add);
            self.desk.balances.on_balance(balance, locked);
        }
    }

    /// What the orders of other instruments lock of one instrument's base and quote asset, in 1e-8.
    fn locked_elsewhere(&self, index: usize) -> [i64; 2] {
        let lane = &self.lanes[index];
        [lane.base_index, lane.quote_index].map(|asset| {
            let others = self.lanes.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, other)| other.locked_e8(asset)).fold(0_i64, i64::saturating_add)
        })
    }
}
