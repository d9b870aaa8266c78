//! The venue's limits, kept on our side so that they are never hit.
//!
//! Windows are fixed and aligned to the clock (minute, ten seconds, day), as the venue counts. Shared by all gateways of
//! one account; the venue's own word (`Retry-After`, the used weight) overrides our count.

use std::sync::{Arc, Mutex, PoisonError};

use crate::types::{Command, DurationNs, RejectReason, TimestampNs};
use crate::venue::binance::rest::RateLimits;

/// Why a request is not sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing may be sent: the address is banned (418).
    Banned,
    /// New orders are not allowed now: 429, or one of our own counts is used up.
    Orders,
    /// The minute's weight is used up but for the reserve of cancels.
    Weight,
}

impl Refusal {
    /// The reason that the decision is told.
    pub fn reason(self) -> RejectReason {
        RejectReason::RateLimit
    }
}

#[derive(Debug)]
struct State {
    limits: RateLimits,
    minute: u64,
    weight: u64,
    ten_seconds: u64,
    orders_10s: u64,
    day: u64,
    orders_day: u64,
    quiet_until: TimestampNs,
    banned_until: TimestampNs,
}

/// The counts of one account and address.
#[derive(Clone, Debug)]
pub struct Limiter {
    // Three threads at most meet here, a few hundred times a second: a lock is held for some 20 ns.
    state: Arc<Mutex<State>>,
}

// A fifth of the minute's weight is kept for cancels and queries: quotes must always be removable.
const RESERVE_PERCENT: u64 = 20;
// Without a Retry-After: one window of orders; and the least ban that the venue documents.
const QUIET_NS: DurationNs = DurationNs::from_secs(10);
const BAN_NS: DurationNs = DurationNs::from_secs(120);

impl Limiter {
    /// A limiter with those limits.
    pub fn new(limits: RateLimits) -> Limiter {
        let state = State {
            limits,
            minute: 0,
            weight: 0,
            ten_seconds: 0,
            orders_10s: 0,
            day: 0,
            orders_day: 0,
            quiet_until: TimestampNs::ZERO,
            banned_until: TimestampNs::ZERO,
        };
        Limiter { state: Arc::new(Mutex::new(state)) }
    }

    /// Asks for leave to send `command`, in the venue's clock, and counts it.
    ///
    /// # Errors
    /// The refusal; nothing was counted.
    pub fn take(&self, now: TimestampNs, command: &Command) -> Result<(), Refusal> {
        let (weight, is_order) = match command {
            Command::Place(_) => (1, true),
            Command::Cancel { .. } => (1, false),
            Command::Amend { .. } | Command::Query { .. } => (4, false),
            Command::Fills { .. } => (5, false),
        };
        let urgent = matches!(command, Command::Cancel { .. } | Command::Query { .. } | Command::Fills { .. });
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.roll(now);
        if now < state.banned_until {
            return Err(Refusal::Banned);
        }
        if !urgent && now < state.quiet_until {
            return Err(Refusal::Orders);
        }
        let whole = u64::from(state.limits.weight_per_minute);
        let allowed = if urgent { whole } else { whole - whole * RESERVE_PERCENT / 100 };
        if state.weight + weight > allowed {
            return Err(Refusal::Weight);
        }
        if is_order
            && (state.orders_10s >= u64::from(state.limits.orders_per_10s)
                || state.orders_day >= u64::from(state.limits.orders_per_day))
        {
            return Err(Refusal::Orders);
        }
        state.weight += weight;
        if is_order {
            state.orders_10s += 1;
            state.orders_day += 1;
        }
        Ok(())
    }

    /// Takes the venue's word after an answer.
    pub fn answered(
        &self,
        now: TimestampNs,
        command: &Command,
        status: u16,
        retry_after_s: Option<u64>,
        used_weight: Option<u64>,
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.roll(now);
        if let Some(used) = used_weight {
            state.weight = used;
        } else if status == 200 && matches!(command, Command::Place(_) | Command::Cancel { .. }) {
            // Orders and cancels that succeed cost no weight (since 2026-04-02).
            state.weight = state.weight.saturating_sub(1);
        }
        let pause = |least: DurationNs| now.plus(retry_after_s.map_or(least, DurationNs::from_secs));
        match status {
            429 => state.quiet_until = state.quiet_until.max(pause(QUIET_NS)),
            418 => state.banned_until = state.banned_until.max(pause(BAN_NS)),
            _ => {}
        }
    }

    /// Counts weight of requests that are no commands (snapshots, account queries).
    pub fn spend(&self, now: TimestampNs, weight: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.roll(now);
        state.weight += weight;
    }
}

impl State {
    fn roll(&mut self, now: TimestampNs) {
        let seconds = now.nanos() / 1_000_000_000;
        if seconds / 60 != self.minute {
            (self.minute, self.weight) = (seconds / 60, 0);
        }
        if seconds / 10 != self.ten_seconds {
            (self.ten_seconds, self.orders_10s) = (seconds / 10, 0);
        }
        if seconds / 86_400 != self.day {
            (self.day, self.orders_day) = (seconds / 86_400, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientOrderId, InstrumentId, NewOrder, OrderKind, Price, Qty, Side};

    fn place() -> Command {
        Command::Place(NewOrder {
            instrument: InstrumentId(0),
            client_id: ClientOrderId::default(),
            side: Side::Bid,
            price: Price::from_ticks(1),
            qty: Qty::from_lots(1),
            kind: OrderKind::PostOnly,
        })
    }

    fn cancel() -> Command {
        Command::Cancel { instrument: InstrumentId(0), client_id: ClientOrderId::default(), venue_id: None }
    }

    fn at(seconds: u64) -> TimestampNs {
        TimestampNs::from_millis(seconds * 1000)
    }

    fn limiter(weight: u32, orders: u32) -> Limiter {
        Limiter::new(RateLimits { weight_per_minute: weight, orders_per_10s: orders, orders_per_day: 1000 })
    }

    #[test]
    fn orders_stop_at_the_window_and_start_with_the_next() {
        let limiter = limiter(6000, 2);
        assert_eq!(limiter.take(at(100), &place()), Ok(()));
        assert_eq!(limiter.take(at(109), &place()), Ok(()));
        assert_eq!(limiter.take(at(109), &place()), Err(Refusal::Orders));
        assert_eq!(limiter.take(at(109), &cancel()), Ok(()));
        assert_eq!(limiter.take(at(110), &place()), Ok(()));
    }

    #[test]
    fn a_fifth_of_the_weight_is_kept_for_cancels() {
        let limiter = limiter(10, 100);
        for _ in 0..8 {
            limiter.take(at(60), &place()).unwrap();
        }
        assert_eq!(limiter.take(at(60), &place()), Err(Refusal::Weight));
        assert_eq!(limiter.take(at(60), &cancel()), Ok(()));
        assert_eq!(limiter.take(at(60), &cancel()), Ok(()));
        assert_eq!(limiter.take(at(60), &cancel()), Err(Refusal::Weight));
        assert_eq!(limiter.take(at(120), &place()), Ok(()));
    }

    #[test]
    fn success_gives_the_weight_back_and_the_venues_count_wins() {
        let limiter = limiter(10, 100);
        for _ in 0..50 {
            limiter.take(at(60), &place()).unwrap();
            limiter.answered(at(60), &place(), 200, None, None);
        }
        limiter.answered(at(60), &place(), 200, None, Some(9));
        assert_eq!(limiter.take(at(61), &place()), Err(Refusal::Weight));
    }

    #[test]
    fn a_429_silences_orders_and_a_418_everything() {
        let limiter = limiter(6000, 100);
        limiter.answered(at(100), &place(), 429, Some(30), None);
        assert_eq!(limiter.take(at(129), &place()), Err(Refusal::Orders));
        assert_eq!(limiter.take(at(129), &cancel()), Ok(()));
        assert_eq!(limiter.take(at(130), &place()), Ok(()));
        limiter.answered(at(130), &place(), 418, None, None);
        assert_eq!(limiter.take(at(249), &cancel()), Err(Refusal::Banned));
        assert_eq!(limiter.take(at(250), &cancel()), Ok(()));
    }
}
