//! What a decision may ask for.

use std::fmt;
use std::sync::Arc;

use super::{ACTIONS_MAX, ClientOrderId, HalfTicks, InstrumentId, NewOrder, Price, Qty, Side, VenueOrderId};

/// A request for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Place an order.
    Place(NewOrder),
    /// Cancel an order of ours.
    Cancel {
        /// Which instrument.
        instrument: InstrumentId,
        /// Our name for it.
        client_id: ClientOrderId,
        /// The venue's number, when known: the venue finds the order faster by it.
        venue_id: Option<VenueOrderId>,
    },
    /// Reduce an order's whole quantity to `qty` and keep its place in the queue.
    Amend {
        /// Which instrument.
        instrument: InstrumentId,
        /// Our name for it.
        client_id: ClientOrderId,
        /// The venue's number, when known.
        venue_id: Option<VenueOrderId>,
        /// The whole quantity wanted, what has executed included.
        qty: Qty,
    },
    /// Ask the venue where an order stands.
    Query {
        /// Which instrument.
        instrument: InstrumentId,
        /// Our name for it.
        client_id: ClientOrderId,
    },
    /// Ask the venue for an order's trades: more of it has executed than fills were reported.
    Fills {
        /// Which instrument.
        instrument: InstrumentId,
        /// Our name for it.
        client_id: ClientOrderId,
        /// The venue's number: trades are not found by our name.
        venue_id: VenueOrderId,
    },
}

impl Command {
    /// Which order it is about.
    pub fn client_id(&self) -> ClientOrderId {
        match self {
            Command::Place(order) => order.client_id,
            Command::Cancel { client_id, .. }
            | Command::Amend { client_id, .. }
            | Command::Query { client_id, .. }
            | Command::Fills { client_id, .. } => *client_id,
        }
    }

    /// Which instrument it is about.
    pub fn instrument(&self) -> InstrumentId {
        match self {
            Command::Place(order) => order.instrument,
            Command::Cancel { instrument, .. }
            | Command::Amend { instrument, .. }
            | Command::Query { instrument, .. }
            | Command::Fills { instrument, .. } => *instrument,
        }
    }
}

/// Why a side is quoted as it is, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum SideReason {
    /// Quoted as the model wanted.
    #[default]
    Model = 0,
    /// Moved away from the other side's best so as not to cross.
    PostOnlyClamp = 1,
    /// Moved apart from our own other quote.
    Separation = 2,
    /// Not quoted: the book is not live, stale, crossed or one-sided.
    Book = 3,
    /// Not quoted: the position limit leaves no room.
    Position = 4,
    /// Not quoted: below the venue's least quantity or notional, or outside its price band.
    Filter = 5,
    /// Not quoted: order rate, back-off after rejects, or an order in doubt holds the side.
    Throttled = 6,
    /// Not quoted: price collar.
    Collar = 7,
    /// Not quoted: balance.
    Balance = 8,
    /// Not quoted: the session is halted, stopping or only reducing.
    State = 9,
    /// Not quoted: the features are not warm yet.
    Warmup = 10,
    /// Not quoted: the model wants no quote here.
    NoEdge = 11,
}

/// The target of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct QuoteSide {
    /// Price wanted; `None` for no quote.
    pub price: Option<Price>,
    /// Quantity wanted.
    pub qty: Qty,
    /// Why so.
    pub reason: SideReason,
}

/// What the quoter wants to have in the market, with the reference that it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteDecision {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// The mid that it was made from.
    pub mid: HalfTicks,
    /// Position at the time.
    pub position: Qty,
    /// The bid wanted.
    pub bid: QuoteSide,
    /// The ask wanted.
    pub ask: QuoteSide,
}

impl QuoteDecision {
    /// The target of a side.
    pub fn side(&self, side: Side) -> QuoteSide {
        match side {
            Side::Bid => self.bid,
            Side::Ask => self.ask,
        }
    }
}

/// One thing that a decision asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The targets changed: written to the journal, shown to people, printed by a dry run.
    Quote(QuoteDecision),
    /// A request for the gateway.
    Command(Command),
}

/// A point on the way of a decision that people want to know the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Moment {
    /// The features have taken the event.
    Featured = 0,
    /// What is wanted is known.
    Quoted = 1,
    /// The commands that follow have passed every check.
    Checked = 2,
}

/// Reads a counter that whoever calls the decision has handed in. Decisions mark moments with it and never see it.
#[derive(Clone)]
pub struct Stopwatch(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Stopwatch {
    /// A stopwatch that reads `counter`.
    pub fn new(counter: impl Fn() -> u64 + Send + Sync + 'static) -> Stopwatch {
        Stopwatch(Arc::new(counter))
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopwatch")
    }
}

/// The answer to one event: a bounded list that is reused, so that deciding allocates nothing.
#[derive(Clone, Debug)]
pub struct Actions {
    list: Vec<Action>,
    overflowed: u64,
    stopwatch: Option<Stopwatch>,
    moments: [u64; 3],
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

impl Actions {
    /// An empty list with room for [`ACTIONS_MAX`].
    pub fn new() -> Actions {
        Actions { list: Vec::with_capacity(ACTIONS_MAX), overflowed: 0, stopwatch: None, moments: [0; 3] }
    }

    /// As [`new`](Self::new), noting the time of each moment.
    pub fn timed(stopwatch: Stopwatch) -> Actions {
        Actions { stopwatch: Some(stopwatch), ..Actions::new() }
    }

    /// Notes that a moment of the decision is reached; nothing without a stopwatch.
    pub fn mark(&mut self, moment: Moment) {
        if let Some(stopwatch) = &self.stopwatch {
            self.moments[moment as usize] = (stopwatch.0)();
        }
    }

    /// The counter at a moment of the last event; zero when it was not reached.
    pub fn moment(&self, moment: Moment) -> u64 {
        self.moments[moment as usize]
    }

    /// Forgets the last event's actions.
    pub fn clear(&mut self) {
        self.list.clear();
        self.moments = [0; 3];
    }

    /// Adds an action. A list that is full counts what it refuses; the caller's state must not depend on it.
    ///
    /// Returns whether the action was taken.
    #[must_use = "a refused command must not be remembered as sent"]
    pub fn push(&mut self, action: Action) -> bool {
        if self.list.len() == ACTIONS_MAX {
            self.overflowed += 1;
            return false;
        }
        self.list.push(action);
        true
    }

    /// The actions in the order in which they were asked for.
    pub fn as_slice(&self) -> &[Action] {
        &self.list
    }

    /// How many more actions fit.
    pub fn room(&self) -> usize {
        ACTIONS_MAX - self.list.len()
    }

    /// How many actions were ever refused for lack of room.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
