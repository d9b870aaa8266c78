//! What is never done, whatever the quoter wants.
//!
//! Owns [`Desk`]: the state of the session over all its instruments, its order budget, its balances and the counter of
//! order names. Every check fails closed.

mod balances;
mod limits;
mod rate;

pub use balances::Balances;
pub use limits::OrderLimits;
pub use rate::OrderRate;

use super::config::PipelineConfig;
use super::digest::Digester;
use super::snapshot::{HaltReason, TradingState};
use crate::types::{ClientOrderId, Control, Instrument, Money, RejectReason, SessionId};

/// What the instruments of a session share.
pub struct Desk {
    session: SessionId,
    counter: u64,
    state: TradingState,
    halt: Option<HaltReason>,
    user_stream_up: bool,
    loss_max: Money,
    drawdown_max: Money,
    /// Best result so far, by the index of the quote currency; `None` after a resume.
    peaks: Vec<Option<Money>>,
    rejects_max: u32,
    /// Placements refused since the venue last took one.
    rejects: u32,
    /// Whether commands are given at all.
    pub sends: bool,
    /// Budget of new orders.
    pub rate: OrderRate,
    /// What the account can pay for.
    pub balances: Balances,
    /// Earlier sessions whose orders were adopted: their fills are ours.
    adopted: Vec<SessionId>,
}

impl Desk {
    /// Active, with the user stream taken as down until told otherwise.
    pub fn new(session: SessionId, instruments: &[Instrument], config: &PipelineConfig) -> Desk {
        Desk {
            session,
            counter: 0,
            state: TradingState::Active,
            halt: None,
            user_stream_up: false,
            loss_max: config.risk.loss_max.money(),
            drawdown_max: config.risk.drawdown_max.money(),
            // A session begins at zero. Each instrument brings two currencies at most.
            peaks: vec![Some(Money::ZERO); 2 * instruments.len()],
            rejects_max: config.risk.rejects_max,
            rejects: 0,
            sends: config.orders.send,
            rate: OrderRate::new(&config.risk),
            balances: Balances::new(instruments),
            adopted: Vec::with_capacity(16),
        }
    }

    /// Takes a command from outside. Stopping is final; halting lasts until resumed.
    pub fn on_control(&mut self, control: &Control) {
        match control {
            Control::UserStreamDown => self.user_stream_up = false,
            Control::UserStreamUp => self.user_stream_up = true,
            Control::Stop => self.state = TradingState::Stopping,
            Control::Halt => self.halt(HaltReason::Control),
            Control::Orphan { client_id, .. } => {
                if !self.is_ours(client_id.session) {
                    self.adopted.push(client_id.session);
                }
            }
            Control::Resume | Control::Reduce if self.state == TradingState::Stopping => {}
            Control::Resume => {
                (self.state, self.halt) = (TradingState::Active, None);
                // Whoever resumes has seen how far it fell.
                self.peaks.fill(None);
                self.rejects = 0;
            }
            // A halt is stronger than a wish to reduce.
            Control::Reduce if self.state == TradingState::Halted => {}
            Control::Reduce => self.state = TradingState::Reducing,
        }
    }

    /// Halts, with the first reason kept.
    pub fn halt(&mut self, reason: HaltReason) {
        if self.state != TradingState::Stopping {
            self.state = TradingState::Halted;
            self.halt.get_or_insert(reason);
        }
    }

    /// Halts when the loss in a quote currency, or the fall from its best, has reached its limit.
    pub fn check_loss(&mut self, quote_index: usize, total: Money) {
        let peak = self.peaks[quote_index].map_or(total, |peak| peak.max(total));
        self.peaks[quote_index] = Some(peak);
        if matches!(self.state, TradingState::Halted | TradingState::Stopping) {
            return;
        }
        if -total >= self.loss_max {
            self.halt(HaltReason::Loss);
        } else if peak - total >= self.drawdown_max {
            self.halt(HaltReason::Drawdown);
        }
    }

    /// The venue took an order: what went before was not a row.
    pub fn on_accepted(&mut self) {
        self.rejects = 0;
    }

    /// A placement was refused. One that never left here says nothing about the venue.
    pub fn on_rejected(&mut self, reason: RejectReason) {
        if reason != RejectReason::NotSent {
            self.rejects += 1;
        }
        if self.rejects >= self.rejects_max {
            self.halt(HaltReason::Rejects);
        }
    }

    /// What the session may do.
    pub fn state(&self) -> TradingState {
        self.state
    }

    /// Why it is halted.
    pub fn halt_reason(&self) -> Option<HaltReason> {
        self.halt
    }

    /// Whether fills are being reported.
    pub fn user_stream_up(&self) -> bool {
        self.user_stream_up
    }

    /// Whether orders may rest at all. A dry run places nothing, so it needs no reports of fills.
    pub fn may_quote(&self) -> bool {
        matches!(self.state, TradingState::Active | TradingState::Reducing) && (self.user_stream_up || !self.sends)
    }

    /// Whether an order of that session is ours: placed by us or adopted.
    pub fn is_ours(&self, session: SessionId) -> bool {
        session == self.session || self.adopted.contains(&session)
    }

    /// The next name; a name is used once, whether or not its order ever leaves.
    pub fn next_id(&mut self) -> ClientOrderId {
        self.counter += 1;
        ClientOrderId { session: self.session, counter: self.counter }
    }

    /// Adds its state to a digest.
    pub fn digest(&self, digester: &mut Digester) {
        digester.u64(self.session.0);
        digester.u64(self.counter);
        digester.u64(self.state as u64);
        digester.flag(self.user_stream_up);
        digester.u64(self.rejects.into());
        for peak in &self.peaks {
            digester.flag(peak.is_some());
            digester.i128(peak.unwrap_or(Money::ZERO).attos());
        }
        self.rate.digest(digester);
        self.balances.digest(digester);
        for session in &self.adopted {
            digester.u64(session.0);
        }
    }
}
