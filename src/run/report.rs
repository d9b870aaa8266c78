//! From a journal to the rows of a report.
//!
//! Re-runs books and decisions over the recorded inputs, as a replay does, and looks at the figures after each: the
//! report then shows exactly what the session counted, and needs nothing that the journal does not hold. Called by
//! `demo` after its session has ended, on the main thread.

use std::collections::BTreeMap;
use std::path::Path;

use super::failure::{Failure, exit};
use crate::journal::{JournalError, JournalReader, StreamReader};
use crate::kpi::markout::MidSeries;
use crate::pipeline::market::MarketStage;
use crate::pipeline::sync::SyncRule;
use crate::pipeline::{Pipeline, PipelineConfig, PipelineSnapshot};
use crate::report::{FillRow, MARKOUT_HORIZONS, PnlRow, SessionRecord};
use crate::types::{Actions, DurationNs, ExecKind, Input, Instrument, MarketUpdate, TimestampNs};
use crate::wire::{FeedEvent, Flags, InputEvent, Kind, QuoteEvent, RecordError, Stream};

/// What the journal tells, one record an instrument, and the last figures of each.
#[derive(Debug)]
pub struct Told {
    /// Rows for the report.
    pub records: Vec<SessionRecord>,
    /// Figures after the last input.
    pub last: Vec<(Instrument, PipelineSnapshot)>,
    /// When the first order was asked for.
    pub first_order: Option<TimestampNs>,
}

/// Why the venue says that a trade of ours happened, by instrument index and trade number.
pub type Causes = BTreeMap<(usize, i64), &'static str>;

/// Reads a session's journal; the account is looked at every `interval`.
///
/// # Errors
/// When the journal cannot be read, or has no decisions.
pub fn read_session(session_dir: &Path, interval: DurationNs, causes: &Causes) -> Result<Told, Failure> {
    let reader = JournalReader::open(session_dir).map_err(|error| unreadable(session_dir, &error))?;
    let info = reader.info();
    let instruments = info.instruments().map_err(|why| not_a_session(session_dir, why))?;
    let constants = info.pipeline.clone().ok_or_else(|| {
        not_a_session(session_dir, "it only recorded: there are no decisions to report on".to_owned())
    })?;
    let config: PipelineConfig =
        serde_json::from_value(constants).map_err(|error| not_a_session(session_dir, error.to_string()))?;
    let pipeline = Pipeline::new(info.session_id(), &instruments, &config)
        .map_err(|error| not_a_session(session_dir, error.to_string()))?;
    let rule = if info.venue_profile == "binance-usdm" { SyncRule::UsdM } else { SyncRule::Spot };
    let feed = reader.stream(Stream::Feed).map_err(|error| unreadable(session_dir, &error))?;
    let mut told = Retelling {
        session_dir,
        market: MarketStage::new(&instruments, rule),
        feed,
        feed_seq: 0,
        tracks: instruments.iter().map(|instrument| Track::new(*instrument)).collect(),
        pipeline,
        actions: Actions::new(),
        interval,
        causes,
        first_order: None,
    };
    let mut quote = reader.stream(Stream::Quote).map_err(|error| unreadable(session_dir, &error))?;
    while let Some(record) = quote.next().map_err(|error| unreadable(session_dir, &error))? {
        let now = record.header.ts;
        if record.header.kind == Kind::ActionPlace {
            told.first_order.get_or_insert(now);
        }
        let event = QuoteEvent::decode(&record)
            .map_err(|error| bad_record(session_dir, Stream::Quote, record.header.seq, error))?;
        if let QuoteEvent::Input(input) = event {
            told.take(now, input)?;
        }
    }
    Ok(told.finish())
}

struct Track {
    record: SessionRecord,
    mids: MidSeries,
    next_row: TimestampNs,
    before: Option<PipelineSnapshot>,
}

impl Track {
    fn new(instrument: Instrument) -> Track {
        Track {
            record: SessionRecord { instrument, fills: Vec::new(), pnl: Vec::new() },
            mids: MidSeries::default(),
            next_row: TimestampNs::ZERO,
            before: None,
        }
    }
}

struct Retelling<'a> {
    session_dir: &'a Path,
    market: MarketStage,
    feed: StreamReader,
    feed_seq: u64,
    tracks: Vec<Track>,
    pipeline: Pipeline,
    actions: Actions,
    interval: DurationNs,
    causes: &'a Causes,
    first_order: Option<TimestampNs>,
}

impl Retelling<'_> {
    fn take(&mut self, now: TimestampNs, event: InputEvent) -> Result<(), Failure> {
        let input = match event {
            InputEvent::Market { feed_seq } => Input::Market(self.update_of(feed_seq)?),
            InputEvent::Exec(report) => Input::Exec(report),
            InputEvent::Balance(balance) => Input::Balance(balance),
            InputEvent::Timer => Input::Timer,
            InputEvent::Control(control) => Input::Control(control),
        };
        self.actions.clear();
        self.pipeline.on_event(now, &input, &mut self.actions);
        for index in 0..self.tracks.len() {
            let instrument = self.tracks[index].record.instrument;
            let concerns = match &input {
                Input::Market(update) => update.instrument() == instrument.id,
                Input::Exec(report) => report.instrument == instrument.id,
                _ => false,
            };
            if concerns {
                let snapshot = self.pipeline.snapshot(instrument.id);
                self.look(index, now, &input, snapshot);
            }
        }
        Ok(())
    }

    /// The market update that a feed record gives rise to: the books are stepped up to it.
    fn update_of(&mut self, feed_seq: u64) -> Result<MarketUpdate, Failure> {
        while self.feed_seq < feed_seq {
            let Some(record) = self.feed.next().map_err(|error| unreadable(self.session_dir, &error))? else {
                break;
            };
            self.feed_seq = record.header.seq;
            // The book never saw a dropped record.
            if record.header.flags.has(Flags::DROPPED) || record.header.kind == Kind::End {
                continue;
            }
            let event = FeedEvent::decode(&record)
                .map_err(|error| bad_record(self.session_dir, Stream::Feed, record.header.seq, error))?;
            let update = self.market.on_event(&event);
            if self.feed_seq == feed_seq
                && let Some(update) = update
            {
                return Ok(update);
            }
        }
        Err(not_a_session(self.session_dir, format!("the feed record {feed_seq} gives no market update")))
    }

    fn look(&mut self, index: usize, now: TimestampNs, input: &Input, snapshot: PipelineSnapshot) {
        let track = &mut self.tracks[index];
        if let Some(mark) = snapshot.mark {
            track.mids.push(now, mark);
        }
        track.mids.extend_to(now);
        let counted = track.before.map_or(0, |before| before.counters.fills);
        if let Input::Exec(report) = input
            && let ExecKind::Fill(fill) = report.kind
            && snapshot.counters.fills > counted
            && let Some(mid) = snapshot.mark
        {
            let fees_before = track.before.map_or_else(Default::default, |before| before.pnl.fees);
            track.record.fills.push(FillRow {
                event_ts: report.event_ts,
                recv_ts: now,
                trade_id: fill.trade_id,
                client_id: report.client_id,
                side: fill.side,
                price: fill.price,
                qty: fill.qty,
                is_maker: fill.is_maker,
                cause: self.causes.get(&(index, fill.trade_id.0)).copied(),
                fee_e8: fill.fee_e8,
                fee_asset: fill.fee_asset,
                fee: snapshot.pnl.fees - fees_before,
                mid,
                position: snapshot.position_atoms,
                markouts: [None; MARKOUT_HORIZONS.len()],
            });
        }
        if now >= track.next_row
            && let Some(row) = row_of(now, &snapshot)
        {
            track.record.pnl.push(row);
            track.next_row = now.plus(self.interval);
        }
        track.before = Some(snapshot);
    }

    fn finish(mut self) -> Told {
        let mut last = Vec::new();
        for track in &mut self.tracks {
            let instrument = track.record.instrument;
            let snapshot = self.pipeline.snapshot(instrument.id);
            if let Some(row) = row_of(snapshot.now, &snapshot) {
                track.record.pnl.push(row);
            }
            for fill in &mut track.record.fills {
                for (markout, horizon) in fill.markouts.iter_mut().zip(MARKOUT_HORIZONS) {
                    *markout = track.mids.markout(fill.recv_ts, fill.side, fill.price, horizon);
                }
            }
            last.push((instrument, snapshot));
        }
        let records = self.tracks.into_iter().map(|track| track.record).collect();
        Told { records, last, first_order: self.first_order }
    }
}

fn row_of(now: TimestampNs, snapshot: &PipelineSnapshot) -> Option<PnlRow> {
    Some(PnlRow {
        ts: now,
        mid: snapshot.mark?,
        quotes: [snapshot.own_bid, snapshot.own_ask],
        position: snapshot.position_atoms,
        total: snapshot.pnl.total,
        spread: snapshot.pnl.spread,
        inventory: snapshot.pnl.inventory,
        fees: snapshot.pnl.fees,
    })
}

fn unreadable(session_dir: &Path, error: &JournalError) -> Failure {
    not_a_session(session_dir, error.to_string())
}

fn bad_record(session_dir: &Path, stream: Stream, seq: u64, error: RecordError) -> Failure {
    not_a_session(session_dir, format!("record {seq} of the {} stream: {error}", stream.name()))
}

fn not_a_session(session_dir: &Path, why: String) -> Failure {
    Failure::new(
        "E_RPT_001",
        exit::INPUT,
        format!("no report can be made from the journal {}", session_dir.display()),
        why,
        "the journal is kept as it is; `touchline inspect` shows what can be read of it",
    )
}
