//! The comparison for people and programs: `reconcile.json`, `reconcile.csv` and a few lines of text.

use std::fmt::Write;
use std::path::Path;

use super::{OrderPair, Reconciliation};
use crate::report::write_whole;
use crate::run::{Failure, output};
use crate::types::{Instrument, Side, TimestampNs};

/// Writes both files and answers the text.
///
/// # Errors
/// When the folder or the disk refuses.
pub(in crate::run::report) fn write(
    compared: &[Reconciliation],
    instruments: &[Instrument],
    out: &Path,
) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(compared).map_err(|error| Failure::bug(format!("no text: {error}")))?;
    write_whole(&out.join("reconcile.json"), (json + "\n").as_bytes()).map_err(output::report_failure)?;
    let mut table = String::from(
        "order,symbol,side,price,qty,placed_ns,session_filled,simulated_filled,session_first_ns,simulated_first_ns\n",
    );
    for (one, instrument) in compared.iter().zip(instruments) {
        one.pairs.iter().for_each(|pair| row(&mut table, instrument, pair));
    }
    write_whole(&out.join("reconcile.csv"), table.as_bytes()).map_err(output::report_failure)?;
    Ok(compared.iter().map(lines_of).collect())
}

fn row(table: &mut String, instrument: &Instrument, pair: &OrderPair) {
    let time = |at: Option<TimestampNs>| at.map_or(String::new(), |at| at.nanos().to_string());
    // Writing to a String cannot fail.
    let _ = writeln!(
        table,
        "{},{},{},{},{},{},{},{},{},{}",
        pair.order.client_id,
        instrument.symbol(),
        if pair.order.side == Side::Bid { "buy" } else { "sell" },
        instrument.price_text(pair.order.price),
        instrument.qty_text(pair.order.qty),
        pair.placed.nanos(),
        instrument.qty_text(pair.session.0),
        instrument.qty_text(pair.simulated.0),
        time(pair.session.1),
        time(pair.simulated.1),
    );
}

fn lines_of(one: &Reconciliation) -> String {
    let matrix = &one.matrix;
    let agreement = one.agreement.map_or("n/a".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let time = one.fill_time.map_or("n/a: no order was filled in both".to_owned(), |time| {
        format!(
            "median {:.3} ms, 90 % within {:.3} to {:.3} ms, of {} orders",
            time.median_ms, time.p5_ms, time.p95_ms, time.count
        )
    });
    let pnl = &one.pnl;
    format!(
        "{} beside its own orders on the simulated exchange ({}, latency {}): {} orders, {} refused\nfilled in both {}, in \
         the session alone {}, in the simulator alone {}, in neither {}: {agreement} agree\nlots filled: session {}, simulator \
         {}\nfirst fill, simulator less session: {time}\nPnL: session {} - simulator without latency {} = {}; latency {}, \
         queue {}, commissions {}\n",
        one.symbol,
        one.fill,
        one.latency,
        one.orders,
        one.refused,
        matrix.both,
        matrix.session_only,
        matrix.simulated_only,
        matrix.neither,
        one.session_lots,
        one.simulated_lots,
        pnl.session,
        pnl.simulated,
        pnl.gap,
        pnl.latency,
        pnl.queue,
        pnl.fees,
    )
}
