//! `orders.csv`: one row an order of ours, in the order of their ends, from a session's journal.
//!
//! Holds the orders that are alive and no others, and writes as it reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use super::inspect::journal_failure;
use super::{Failure, output};
use crate::journal::JournalReader;
use crate::types::{
    Action, ClientOrderId, Command, ExecKind, ExecReport, Instrument, NewOrder, OrderKind, OrderStatus, Qty, Side,
    TimestampNs,
};
use crate::wire::{InputEvent, QuoteEvent, Stream};

const HEADER: [&str; 13] = [
    "order",
    "symbol",
    "side",
    "kind",
    "price",
    "qty",
    "placed_ns",
    "accepted_ns",
    "ended_ns",
    "end",
    "reason",
    "filled_qty",
    "cancel_sent_ns",
];

/// An order that has not ended.
struct Alive {
    order: NewOrder,
    qty: Qty,
    placed: TimestampNs,
    accepted: Option<TimestampNs>,
    cancel_sent: Option<TimestampNs>,
    filled: Qty,
}

/// Writes the table of a session.
///
/// # Errors
/// When the journal cannot be read or the file cannot be written.
pub fn write(session_dir: &Path, instruments: &[Instrument], path: &Path) -> Result<(), Failure> {
    let partial = path.with_extension("partial");
    let written = write_to(session_dir, instruments, &partial);
    match written {
        Ok(()) => std::fs::rename(&partial, path).map_err(|error| output::write_failure(path, &error)),
        Err(failure) => {
            // The first error is the one to tell; a leftover is harmless.
            let _ = std::fs::remove_file(&partial);
            Err(failure)
        }
    }
}

fn write_to(session_dir: &Path, instruments: &[Instrument], partial: &Path) -> Result<(), Failure> {
    let unreadable = |why: String| journal_failure(session_dir, why);
    let unwritable = |error: std::io::Error| output::write_failure(partial, &error);
    let journal = JournalReader::open(session_dir).map_err(|error| unreadable(error.to_string()))?;
    let mut quote = journal.stream(Stream::Quote).map_err(|error| unreadable(error.to_string()))?;
    let file = File::create(partial).map_err(unwritable)?;
    let mut table = csv::Writer::from_writer(BufWriter::new(file));
    table.write_record(HEADER).map_err(|error| unwritable(error.into()))?;
    let mut alive: BTreeMap<ClientOrderId, Alive> = BTreeMap::new();
    while let Some(record) = quote.next().map_err(|error| unreadable(error.to_string()))? {
        let (now, seq) = (record.header.ts, record.header.seq);
        let event = QuoteEvent::decode(&record).map_err(|error| unreadable(format!("quote record {seq}: {error}")))?;
        match event {
            QuoteEvent::Action(Action::Command(command)) => on_command(now, &command, &mut alive),
            QuoteEvent::Input(InputEvent::Exec(report)) => {
                let Some((end, reason)) = on_report(now, &report, &mut alive) else { continue };
                if let Some(done) = alive.remove(&report.client_id) {
                    let row = row_of(instruments, &done, Some(now), end, &reason);
                    table.write_record(row).map_err(|error| unwritable(error.into()))?;
                }
            }
            _ => {}
        }
    }
    // A session that was killed leaves orders whose end it never saw.
    for left in alive.values() {
        let row = row_of(instruments, left, None, "open", "");
        table.write_record(row).map_err(|error| unwritable(error.into()))?;
    }
    let file = table.into_inner().map_err(|error| unwritable(error.into_error()))?;
    let file = file.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().map_err(unwritable)
}

fn on_command(now: TimestampNs, command: &Command, alive: &mut BTreeMap<ClientOrderId, Alive>) {
    match command {
        Command::Place(order) => {
            let (qty, filled) = (order.qty, Qty::ZERO);
            let placed = Alive { order: *order, qty, placed: now, accepted: None, cancel_sent: None, filled };
            alive.insert(order.client_id, placed);
        }
        Command::Cancel { client_id, .. } => {
            if let Some(order) = alive.get_mut(client_id) {
                order.cancel_sent.get_or_insert(now);
            }
        }
        Command::Amend { .. } | Command::Query { .. } | Command::Fills { .. } => {}
    }
}

/// Takes a report; how the order ended, if it did.
fn on_report(
    now: TimestampNs,
    report: &ExecReport,
    alive: &mut BTreeMap<ClientOrderId, Alive>,
) -> Option<(&'static str, String)> {
    let order = alive.get_mut(&report.client_id)?;
    let end = |word| Some((word, String::new()));
    match report.kind {
        ExecKind::Accepted => {
            order.accepted.get_or_insert(now);
            None
        }
        ExecKind::Fill(fill) => {
            order.filled = order.filled.max(fill.cum_qty);
            if fill.cum_qty >= fill.order_qty { end("filled") } else { None }
        }
        ExecKind::Canceled { cum_qty } => {
            order.filled = order.filled.max(cum_qty);
            end("canceled")
        }
        ExecKind::Expired { cum_qty } => {
            order.filled = order.filled.max(cum_qty);
            end("expired")
        }
        ExecKind::Rejected(reason) => Some(("rejected", format!("{reason:?}"))),
        ExecKind::Amended { qty } => {
            order.qty = qty;
            None
        }
        ExecKind::Status { status, cum_qty, .. } => {
            order.filled = order.filled.max(cum_qty);
            match status {
                OrderStatus::New | OrderStatus::PartiallyFilled => None,
                // Its fills are still to come, or were told.
                OrderStatus::Filled => end("filled"),
                OrderStatus::Canceled => end("canceled"),
                OrderStatus::Expired | OrderStatus::Rejected => end("expired"),
            }
        }
        _ => None,
    }
}

fn row_of(
    instruments: &[Instrument],
    order: &Alive,
    ended: Option<TimestampNs>,
    end: &str,
    reason: &str,
) -> [String; 13] {
    let instrument = &instruments[order.order.instrument.index()];
    let time = |at: Option<TimestampNs>| at.map_or(String::new(), |at| at.nanos().to_string());
    let kind = match order.order.kind {
        OrderKind::Limit(_) => "limit",
        OrderKind::PostOnly => "post_only",
        OrderKind::Market => "market",
    };
    [
        order.order.client_id.to_string(),
        instrument.symbol().to_owned(),
        if order.order.side == Side::Bid { "buy" } else { "sell" }.to_owned(),
        kind.to_owned(),
        instrument.price_text(order.order.price),
        instrument.qty_text(order.qty),
        time(Some(order.placed)),
        time(order.accepted),
        time(ended),
        end.to_owned(),
        reason.to_owned(),
        instrument.qty_text(order.filled),
        time(order.cancel_sent),
    ]
}
