//! What a session's journal tells of its orders: the commands at their times, the fills, the refusals.

use std::collections::BTreeSet;
use std::path::Path;

use super::Fills;
use crate::journal::JournalReader;
use crate::run::Failure;
use crate::run::inspect::journal_failure;
use crate::types::{Action, ClientOrderId, Command, ExecKind, NewOrder, TimestampNs};
use crate::wire::{InputEvent, QuoteEvent, Stream};

/// See the module.
#[derive(Debug, Default)]
pub struct Told {
    /// Every command with the time of its decision, in their order.
    pub commands: Vec<(TimestampNs, Command)>,
    /// The placements among them.
    pub orders: Vec<(TimestampNs, NewOrder)>,
    /// Each fill once, by when it was known.
    pub fills: Fills,
    /// Orders that the venue refused.
    pub refused: BTreeSet<ClientOrderId>,
}

/// Reads a session.
///
/// # Errors
/// When its journal cannot be read.
pub fn read(session_dir: &Path) -> Result<Told, Failure> {
    let unreadable = |why: String| journal_failure(session_dir, why);
    let journal = JournalReader::open(session_dir).map_err(|error| unreadable(error.to_string()))?;
    let mut quote = journal.stream(Stream::Quote).map_err(|error| unreadable(error.to_string()))?;
    let mut told = Told::default();
    let mut trades = BTreeSet::new();
    while let Some(record) = quote.next().map_err(|error| unreadable(error.to_string()))? {
        let (now, seq) = (record.header.ts, record.header.seq);
        let event = QuoteEvent::decode(&record).map_err(|error| unreadable(format!("quote record {seq}: {error}")))?;
        match event {
            QuoteEvent::Action(Action::Command(command)) => {
                if let Command::Place(order) = command {
                    told.orders.push((now, order));
                }
                told.commands.push((now, command));
            }
            QuoteEvent::Input(InputEvent::Exec(report)) => match report.kind {
                // The user stream, an answer and a back-fill may all tell of one trade.
                ExecKind::Fill(fill) if trades.insert((report.instrument, fill.trade_id)) => {
                    told.fills.push((now, report.instrument, report.client_id, fill));
                }
                ExecKind::Rejected(_) => {
                    told.refused.insert(report.client_id);
                }
                _ => {}
            },
            _ => {}
        }
    }
    Ok(told)
}
