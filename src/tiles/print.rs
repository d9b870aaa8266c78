//! The print tile of a recording: shows decoded messages as JSON lines. Cold; it blocks on stdout.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Tile;
use super::fate::Fate;
use crate::topology::tile;
use crate::types::{Instrument, Level, Trade};
use crate::wire::{DepthKind, FeedEvent, UnitReceiver};

/// See the module. It takes the control tile's place in a recording.
pub struct PrintTile {
    feed: UnitReceiver,
    instruments: Vec<Instrument>,
    lines: Box<dyn Write + Send>,
    left: u64,
    /// Whether the recording ends with the last line.
    ends: bool,
    fate: Arc<Fate>,
}

impl PrintTile {
    /// Prints the first `count` messages; `ends` asks for the end after them.
    pub fn new(
        feed: UnitReceiver,
        instruments: &[Instrument],
        lines: Box<dyn Write + Send>,
        count: u64,
        ends: bool,
        fate: Arc<Fate>,
    ) -> PrintTile {
        PrintTile { feed, instruments: instruments.to_vec(), lines, left: count, ends, fate }
    }
}

/// A feed event as one JSON value, in exact decimals; `None` for a frame that could not be decoded.
pub fn event_json(seq: u64, event: &FeedEvent<'_>, instruments: &[Instrument]) -> Option<Value> {
    let trade = |kind: &str, trade: &Trade| {
        let instrument = &instruments[trade.instrument.index()];
        json!({
            "seq": seq, "kind": kind, "symbol": instrument.symbol(), "event_ts_ns": trade.event_ts.nanos(),
            "recv_ts_ns": trade.recv_ts.nanos(), "id": trade.id.0, "price": instrument.price_text(trade.price),
            "qty": instrument.qty_text(trade.qty), "aggressor": format!("{:?}", trade.aggressor).to_lowercase(),
        })
    };
    let level = |instrument: &Instrument, level: &Level| {
        json!([instrument.price_text(level.price), instrument.qty_text(level.qty)])
    };
    Some(match event {
        FeedEvent::Depth(depth) => {
            let instrument = &instruments[depth.head.instrument.index()];
            let side = |levels: &[Level]| levels.iter().map(|each| level(instrument, each)).collect::<Vec<_>>();
            json!({
                "seq": seq,
                "kind": if depth.head.kind == DepthKind::Snapshot { "snapshot" } else { "diff" },
                "symbol": instrument.symbol(),
                "first_id": depth.head.first_id,
                "last_id": depth.head.last_id,
                "prev_id": depth.head.prev_id,
                "event_ts_ns": depth.head.event_ts.nanos(),
                "recv_ts_ns": depth.head.recv_ts.nanos(),
                "bids": side(depth.bids),
                "asks": side(depth.asks),
            })
        }
        FeedEvent::Trade(print) => trade("trade", print),
        FeedEvent::AggTrade(print) => trade("agg_trade", print),
        FeedEvent::Touch(touch) => {
            let instrument = &instruments[touch.instrument.index()];
            json!({
                "seq": seq, "kind": "touch", "symbol": instrument.symbol(), "update_id": touch.update_id,
                "recv_ts_ns": touch.recv_ts.nanos(), "bid": level(instrument, &touch.bid),
                "ask": level(instrument, &touch.ask),
            })
        }
        FeedEvent::Notice(notice) => json!({
            "seq": seq, "kind": "notice", "reason": format!("{:?}", notice.reason).to_lowercase(),
            "symbol": notice.instrument.map(|id| instruments[id.index()].symbol().to_owned()),
            "recv_ts_ns": notice.recv_ts.nanos(),
        }),
        FeedEvent::Raw(_) => return None,
    })
}

impl Tile for PrintTile {
    fn name(&self) -> &'static str {
        tile::CONTROL
    }

    fn step(&mut self) -> usize {
        if self.fate.stop_requested() || self.fate.has_failed() {
            self.fate.order_end();
        }
        let mut work = 0;
        while let Some(Ok(record)) = self.feed.recv() {
            work += 1;
            if self.left == 0 {
                continue;
            }
            let Ok(event) = FeedEvent::decode(&record) else { continue };
            let Some(value) = event_json(record.header.seq, &event, &self.instruments) else { continue };
            self.left -= 1;
            if writeln!(self.lines, "{value}").is_err() {
                self.fate.request_stop();
            }
            if self.left == 0 && self.ends {
                self.fate.request_stop();
            }
        }
        if work > 0 {
            let _ = self.lines.flush();
        }
        work
    }

    fn is_done(&self) -> bool {
        self.fate.must_end() && self.feed.is_finished()
    }
}
