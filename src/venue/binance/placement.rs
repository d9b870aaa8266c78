//! What the placements of a side have in common, whichever road they take.
//!
//! Between two orders of a side only the number, the quantity, the price and the time change: the words before them are
//! kept, and an order begins with one copy.

use crate::types::{Instrument, NewOrder, OrderKind, SessionId, Side, Symbol, TimeInForce};

/// How the last placement of each side began, up to the order's number.
#[derive(Debug, Default)]
pub(super) struct Heads([Head; 2]);

#[derive(Debug, Default)]
struct Head {
    of: Option<(Symbol, OrderKind, SessionId)>,
    text: String,
}

impl Heads {
    /// How a placement begins, if the last one of its side was like it.
    pub(super) fn of(&self, order: &NewOrder, instrument: &Instrument) -> Option<&str> {
        let head = &self.0[order.side.index()];
        (head.of == Some(likeness(order, instrument))).then_some(head.text.as_str())
    }

    /// Keeps how one has begun.
    pub(super) fn keep(&mut self, order: &NewOrder, instrument: &Instrument, text: &str) {
        let head = &mut self.0[order.side.index()];
        head.of = Some(likeness(order, instrument));
        head.text.clear();
        head.text.push_str(text);
    }
}

fn likeness(order: &NewOrder, instrument: &Instrument) -> (Symbol, OrderKind, SessionId) {
    (instrument.spec.symbol, order.kind, order.client_id.session)
}

/// The venue's word for a side.
pub(super) fn side_word(side: Side) -> &'static str {
    match side {
        Side::Bid => "BUY",
        Side::Ask => "SELL",
    }
}

/// The venue's words for a kind of order: `type`, and `timeInForce` where it is a parameter of that type. The venue refuses
/// superfluous ones.
pub(super) fn kind_words(kind: OrderKind) -> (&'static str, Option<&'static str>) {
    match kind {
        OrderKind::Limit(TimeInForce::Gtc) => ("LIMIT", Some("GTC")),
        OrderKind::Limit(TimeInForce::Ioc) => ("LIMIT", Some("IOC")),
        OrderKind::Limit(TimeInForce::Fok) => ("LIMIT", Some("FOK")),
        OrderKind::PostOnly => ("LIMIT_MAKER", None),
        OrderKind::Market => ("MARKET", None),
    }
}
