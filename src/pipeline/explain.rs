//! Why a decision was taken as it was.
//!
//! Owns [`Explanation`]: the figures between an instrument's inputs and its commands. Kept only when asked for, by a
//! replay that explains; it changes no decision and is no part of any digest.

use super::orders::{Order, OrderState, SidePlan};
use super::quoter::{Frame, ModelParameters, QuoteInputs, WantedQuote};
use crate::types::{ClientOrderId, DurationNs, Price, Qty, QuoteSide, Side, SideReason, TimestampNs};

/// An order of ours as the decision found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Working {
    /// Our name for it.
    pub client_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// What still rests, by all that is known.
    pub remaining: Qty,
    /// What it may still add to the position.
    pub exposure: Qty,
    /// Where it stands.
    pub state: OrderState,
    /// Time since it was sent.
    pub age: DurationNs,
}

/// What the model was told and what it wanted.
#[derive(Clone, Copy, Debug)]
pub struct Modelled {
    /// What it was told.
    pub inputs: QuoteInputs,
    /// Its parameters.
    pub parameters: ModelParameters,
    /// Floor and caps of its half-spread and skew.
    pub frame: Frame,
    /// What it wanted, in fractions of ticks; `None` while it is not warm.
    pub wanted: Option<WantedQuote>,
    /// That within ticks, the touch of others, filters and the position limit, bid first.
    pub bounded: Option<[QuoteSide; 2]>,
}

/// The last decision of an instrument, step by step.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// Why nothing might rest at all, if so; the model was not asked then.
    pub pulled: Option<SideReason>,
    /// The model's part; absent when nothing might rest or there was no book to quote from.
    pub modelled: Option<Modelled>,
    /// The targets: what doubt, balance, collar and order limits left of it, bid first.
    pub targets: [QuoteSide; 2],
    /// Our orders before the decision, oldest first.
    pub working: Vec<Working>,
    /// What was to become of each side's orders, bid first; absent when everything was cancelled or nothing is sent.
    pub plans: Option<[SidePlan; 2]>,
}

impl Explanation {
    /// Before a decision with these orders.
    pub(super) fn begin<'a>(now: TimestampNs, orders: impl Iterator<Item = &'a Order>) -> Explanation {
        let working = |order: &Order| Working {
            client_id: order.client_id,
            side: order.side,
            price: order.price,
            remaining: order.remaining(),
            exposure: order.exposure(),
            state: order.state(),
            age: now.since(order.sent_at),
        };
        Explanation { working: orders.map(working).collect(), ..Explanation::default() }
    }
}

impl Modelled {
    /// Where the model's two prices meet: the reference moved by the skew, in ticks.
    pub fn reservation_ticks(&self) -> Option<f64> {
        self.wanted.map(|wanted| f64::midpoint(wanted.bid_ticks, wanted.ask_ticks))
    }

    /// How far the position moves both prices down, in ticks, toxicity of one side included.
    pub fn skew_ticks(&self) -> Option<f64> {
        self.reservation_ticks().map(|reservation| self.inputs.reference_ticks - reservation)
    }
}
