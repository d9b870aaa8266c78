//! The `kpi` table: a session's decisions run again, and the account and the model's figures told once a second.
//!
//! The same market stage and the same pipeline as live, fed from the journal's inputs; the recorded actions are no input
//! and are not compared here (`touchline replay` does that). A row says how things stood when its second began. A
//! journal that is damaged has rows up to the damage; a session without decisions has none.

use xxhash_rust::xxh3::xxh3_64;

use super::error::ArchiveError;
use super::store::{Origin, Store};
use super::summary::Summary;
use super::table::Table;
use crate::journal::{JournalError, JournalReader, StreamReader};
use crate::kpi::PnlSplit;
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Pipeline, PipelineConfig, PipelineSnapshot};
use crate::types::{Actions, Input, Instrument, MarketUpdate, TimestampNs};
use crate::wire::{FeedEvent, Flags, InputEvent, Kind, QuoteEvent, Stream};

use super::rows::Rows;

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;

/// Adds the rows of one session. What keeps it from having them all is a note in the summary.
pub(super) fn kpi_rows(
    reader: &JournalReader,
    instruments: &[Instrument],
    session: &str,
    store: &mut Store,
    summary: &mut Summary,
) -> Result<(), ArchiveError> {
    let info = reader.info();
    let Some(value) = &info.pipeline else { return Ok(()) };
    let Some(rule) = SyncRule::of_profile(&info.venue_profile) else {
        summary.notes.push(format!("kpi: session {session}: venue_profile `{}` is not known", info.venue_profile));
        return Ok(());
    };
    let made = serde_json::from_value::<PipelineConfig>(value.clone())
        .map_err(|error| error.to_string())
        .and_then(|config| Pipeline::new(info.session_id(), instruments, &config).map_err(|error| error.to_string()));
    let mut pipeline = match made {
        Ok(pipeline) => pipeline,
        Err(why) => {
            summary.notes.push(format!("kpi: session {session}: its configuration cannot be used: {why}"));
            return Ok(());
        }
    };
    let mut books = Books { feed: reader.stream(Stream::Feed)?, stage: MarketStage::new(instruments, rule), seq: 0 };
    let mut quote = reader.stream(Stream::Quote)?;
    let mut actions = Actions::new();
    let mut told: Option<u64> = None;
    loop {
        let record = match quote.next() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(()),
            Err(JournalError::Corrupt(damage)) => {
                summary.notes.push(format!("kpi: session {session}: ends at {damage}"));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let (now, seq) = (record.header.ts, record.header.seq);
        let event = match QuoteEvent::decode(&record) {
            Ok(QuoteEvent::Input(event)) => event,
            Ok(QuoteEvent::Action(_) | QuoteEvent::End) => continue,
            Err(error) => {
                summary.notes.push(format!("kpi: session {session}: ends at quote record {seq}: {error}"));
                return Ok(());
            }
        };
        let second = now.nanos() / SECOND_NS;
        if told.is_some_and(|told| second > told) {
            let ts = TimestampNs::from_nanos(second * SECOND_NS);
            for instrument in instruments {
                let snapshot = pipeline.snapshot(instrument.id);
                let digest = xxh3_64(format!("{snapshot:?}").as_bytes());
                let origin = Origin { session, venue: &info.venue_profile, time: ts, seq, flags: Flags::NONE, digest };
                store.row(Table::Kpi, instrument, origin, |rows| {
                    kpi_row(ts, seq, instrument, &snapshot, session, rows);
                })?;
            }
        }
        told = told.max(Some(second));
        let input = match event {
            InputEvent::Market { feed_seq } => match books.run_to(feed_seq) {
                Ok(Some(update)) => Input::Market(update),
                Ok(None) => {
                    summary.notes.push(format!(
                        "kpi: session {session}: ends at quote record {seq}: feed record {feed_seq} gives no update"
                    ));
                    return Ok(());
                }
                Err(why) => {
                    summary.notes.push(format!("kpi: session {session}: ends at quote record {seq}: {why}"));
                    return Ok(());
                }
            },
            InputEvent::Exec(report) => Input::Exec(report),
            InputEvent::Balance(balance) => Input::Balance(balance),
            InputEvent::Timer => Input::Timer,
            InputEvent::Control(control) => Input::Control(control),
        };
        actions.clear();
        pipeline.on_event(now, &input, &mut actions);
    }
}

/// The books, run along the feed stream as far as the inputs ask.
struct Books {
    feed: StreamReader,
    stage: MarketStage,
    seq: u64,
}

impl Books {
    /// Runs up to and with a record; the update that it gives, if it is there and gives one.
    fn run_to(&mut self, feed_seq: u64) -> Result<Option<MarketUpdate>, String> {
        while self.seq < feed_seq {
            let Some(record) = self.feed.next().map_err(|error| error.to_string())? else { return Ok(None) };
            self.seq = record.header.seq;
            if record.header.kind == Kind::End || record.header.flags.has(Flags::DROPPED) {
                continue;
            }
            let event = FeedEvent::decode(&record).map_err(|error| error.to_string())?;
            let update = self.stage.on_event(&event);
            if self.seq == feed_seq {
                return Ok(update);
            }
        }
        Ok(None)
    }
}

fn kpi_row(
    ts: TimestampNs,
    seq: u64,
    instrument: &Instrument,
    snapshot: &PipelineSnapshot,
    session: &str,
    rows: &mut Rows,
) {
    let pnl: &PnlSplit = &snapshot.pnl;
    rows.time(ts);
    rows.id(seq);
    rows.number(snapshot.position.lots());
    rows.maybe_number(snapshot.mark.map(|mark| mark.get()));
    rows.decimal(snapshot.mark.map(|mark| i128::from(mark.get()) * i128::from(instrument.spec.tick_e8) * 5));
    rows.decimal(Some(i128::from(snapshot.position_atoms.get())));
    for money in [pnl.total, pnl.spread, pnl.inventory, pnl.fees] {
        rows.decimal(Some(money.e8_truncated()));
    }
    rows.float(snapshot.sigma_ticks);
    rows.float(snapshot.tau);
    rows.float(Some(snapshot.k_ticks));
    rows.float(snapshot.gamma);
    rows.float(snapshot.kappa_ticks);
    rows.float(snapshot.half_spread_ticks);
    rows.number(i64::from(snapshot.working_orders));
    rows.text(instrument.symbol());
    rows.text(session);
    rows.end();
}
