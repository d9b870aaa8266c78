//! Open peers from crates.io, as published, each behind the smallest adapter that lets it take the messages.
//!
//! A peer that numbers its orders itself is given a map from the messages' ids to its own; the map's cost is part of its
//! figures, as it would be part of any program that uses it.

mod limitbook;
mod lobster;
mod matchcore;
mod orderbook_rs;

use super::engine::{ACCEPTED, CANCELLED, Engine, Message, REJECTED, Report, Ring, TRADE, peer};

/// All of them.
pub fn all() -> Vec<Engine> {
    vec![
        peer::<matchcore::Matchcore>("matchcore"),
        peer::<lobster::Lobster>("lobster"),
        peer::<limitbook::Limitbook>("limitbook"),
        peer::<orderbook_rs::OrderbookRs>("orderbook-rs"),
    ]
}

fn accepted(message: &Message, ring: &mut Ring) {
    ring.push(Report { id: message.id, kind: ACCEPTED, ..Report::default() });
}

fn cancelled(message: &Message, ring: &mut Ring) {
    ring.push(Report { id: message.id, kind: CANCELLED, ..Report::default() });
}

fn rejected(message: &Message, ring: &mut Ring) {
    ring.push(Report { id: message.id, kind: REJECTED, ..Report::default() });
}

fn traded(message: &Message, maker_id: u64, price: i64, qty: i64, ring: &mut Ring) {
    ring.push(Report {
        id: maker_id,
        taker_id: message.id,
        price,
        qty,
        kind: TRADE,
        side: message.side,
        ..Report::default()
    });
}
