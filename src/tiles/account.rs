//! The account tile: after each (re)connection of the user-data stream it asks the venue what was missed, tells the
//! decision, and only then that fills are being reported again. Cold; it blocks on the venue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer};
use tracing::{info, warn};

use super::Tile;
use super::fate::Fate;
use super::message::{Reconcile, UserInput};
use crate::gateway::{AccountClient, AccountError, VenueClock};
use crate::metrics::{Board, Gauge};
use crate::topology::tile;
use crate::types::{Control, Input, Instrument, SessionId};

/// Pause after a failed question.
const RETRY: Duration = Duration::from_millis(500);
/// How often the venue's clock is measured: at 200 ppm of drift a minute makes 12 ms, far below the second that the
/// venue allows.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// See the module.
pub struct AccountTile {
    requests: Consumer<Reconcile>,
    quote: Producer<UserInput>,
    client: AccountClient,
    instruments: Vec<Instrument>,
    session: SessionId,
    clock: VenueClock,
    board: Arc<Board>,
    fate: Arc<Fate>,
    due: Option<Reconcile>,
    not_before: Instant,
    clock_at: Instant,
    held: VecDeque<UserInput>,
}

impl AccountTile {
    /// A tile before its first request.
    #[allow(clippy::too_many_arguments, reason = "each is one end of a link or a shared part, named where it is made")]
    pub fn new(
        requests: Consumer<Reconcile>,
        quote: Producer<UserInput>,
        client: AccountClient,
        instruments: &[Instrument],
        session: SessionId,
        clock: VenueClock,
        board: Arc<Board>,
        fate: Arc<Fate>,
    ) -> AccountTile {
        AccountTile {
            requests,
            quote,
            client,
            instruments: instruments.to_vec(),
            session,
            clock,
            board,
            fate,
            due: None,
            not_before: Instant::now(),
            clock_at: Instant::now() + CLOCK_INTERVAL,
            held: VecDeque::new(),
        }
    }

    /// Everything the decision must know before it may place orders, in order.
    fn reconcile(&mut self, request: &Reconcile) -> Result<Vec<Input>, AccountError> {
        let mut inputs = Vec::new();
        for instrument in &self.instruments {
            let missed = self.client.missed(instrument, request.since)?;
            inputs
                .extend(missed.into_iter().filter(|report| report.client_id.session == self.session).map(Input::Exec));
            for (client_id, row) in self.client.own_open_orders(instrument)? {
                if client_id.session != self.session {
                    info!(%client_id, venue_id = row.venue_id.0, "an order of an earlier session is still open");
                    inputs.push(Input::Control(Control::Orphan { instrument: instrument.id, client_id }));
                }
            }
        }
        let wanted = |asset| self.instruments.iter().any(|each| each.spec.base == asset || each.spec.quote == asset);
        inputs.extend(self.client.balances()?.into_iter().filter(|row| wanted(row.asset)).map(Input::Balance));
        inputs.push(Input::Control(Control::UserStreamUp));
        Ok(inputs)
    }

    fn flush(&mut self) -> usize {
        let mut work = 0;
        while let Some(item) = self.held.front() {
            if self.quote.push(*item).is_err() {
                break;
            }
            self.held.pop_front();
            work += 1;
        }
        work
    }
}

impl Tile for AccountTile {
    fn name(&self) -> &'static str {
        tile::ACCOUNT
    }

    fn step(&mut self) -> usize {
        let mut work = self.flush();
        // Only the newest life matters: what an older one would have told, the newest one tells as well.
        while let Ok(request) = self.requests.pop() {
            self.due = Some(request);
            self.not_before = Instant::now();
            work += 1;
        }
        let now = Instant::now();
        if let Some(request) = self.due
            && now >= self.not_before
        {
            work += 1;
            match self.reconcile(&request) {
                Ok(inputs) => {
                    self.due = None;
                    self.held.extend(inputs.into_iter().map(|input| UserInput { life: request.life, input }));
                    work += self.flush();
                }
                Err(error) => {
                    warn!(%error, "the account cannot be reconciled; trying again");
                    self.not_before = now + RETRY;
                }
            }
        }
        if now >= self.clock_at {
            self.clock_at = now + CLOCK_INTERVAL;
            match self.client.measure_clock() {
                Ok(()) => self.board.set(Gauge::VenueClockOffsetNs, self.clock.offset_ns()),
                Err(error) => warn!(%error, "the venue's clock cannot be measured"),
            }
        }
        work
    }

    fn nap(&self) -> Duration {
        // Requests ring; what is left is a retry, and the clock each half minute.
        Duration::from_millis(100)
    }

    fn is_done(&self) -> bool {
        self.fate.must_end()
    }
}
