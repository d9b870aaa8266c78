//! Floor 2: decisions. Events in, actions out, clock injected; no socket, file, thread or clock.
//!
//! [`Pipeline`] is stepped by the quote tile, by the virtual session and by replay, always in one thread, with one
//! input at a time in one total order. Its answers depend on nothing but the sequence of `(now, input)`.

mod amount;
mod backlog;
mod config;
pub mod market;
mod snapshot;
pub mod sync;

pub use amount::Amount;
pub use config::{
    ConfigError, FeaturesConfig, OrdersConfig, PipelineConfig, QuoterConfig, QuoterKind, ReferenceKind, RequoteKind,
    RiskConfig, SigmaKind, VpinMode,
};
pub use snapshot::{Counters, HaltReason, PipelineSnapshot, PnlSplit, REJECT_REASONS, TradingState};

use crate::types::{
    Actions, BaseAtoms, BookState, DesyncReason, Input, Instrument, InstrumentId, Qty, SessionId, TimestampNs,
};

/// The decisions of one session over all its instruments.
pub struct Pipeline {
    config: PipelineConfig,
    now: TimestampNs,
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
        _session: SessionId,
        _instruments: &[Instrument],
        config: &PipelineConfig,
    ) -> Result<Pipeline, ConfigError> {
        config.check()?;
        Ok(Pipeline { config: config.clone(), now: TimestampNs::ZERO })
    }

    /// Takes one event and appends what it causes to `actions`, which the caller has cleared.
    pub fn on_event(&mut self, now: TimestampNs, _input: &Input, _actions: &mut Actions) {
        self.now = now;
    }

    /// When the next `Input::Timer` is due at the latest; always after the `now` of the last event.
    pub fn next_deadline(&self) -> Option<TimestampNs> {
        None
    }

    /// A digest of everything that future decisions depend on.
    pub fn digest(&self) -> u128 {
        self.config.digest()
    }

    /// Whether no order of ours is alive or in doubt, on any instrument, and every fill told of has been counted.
    pub fn is_quiet(&self) -> bool {
        true
    }

    /// The figures of one instrument.
    pub fn snapshot(&self, _instrument: InstrumentId) -> PipelineSnapshot {
        PipelineSnapshot {
            now: self.now,
            state: TradingState::Active,
            halt: None,
            user_stream_up: false,
            book_state: BookState::Syncing(DesyncReason::Starting),
            stale: false,
            mid: None,
            best_bid: None,
            best_ask: None,
            position: Qty::ZERO,
            position_atoms: BaseAtoms::ZERO,
            position_max: Qty::ZERO,
            pnl: PnlSplit::default(),
            sigma_ticks: None,
            tau: None,
            tau_raw: None,
            tau_signed: None,
            imbalance: None,
            ofi: None,
            k_ticks: self.config.quoter.k_ticks,
            gamma: self.config.quoter.gamma,
            kappa_ticks: None,
            half_spread_ticks: None,
            own_bid: None,
            own_ask: None,
            working_orders: 0,
            unknown_orders: 0,
            counters: Counters::default(),
        }
    }
}
