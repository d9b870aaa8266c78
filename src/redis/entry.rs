//! A feed record as the fields of a stream entry, and back.
//!
//! Prices and quantities are decimal text, exact because each is a whole number of the instrument's steps; everything
//! else is a whole number or a word, under the names that `record --print` uses. `docs/REDIS.md` lists the fields by kind.

use std::fmt::Write;

use crate::book::ArenaBook;
use crate::types::{DesyncReason, Instrument, Level, Price, Qty, Side, TimestampNs, Touch, Trade, TradeId, format_e8};
use crate::wire::{DepthBuf, DepthKind, FeedEvent};

/// Names and values of one entry, in their order.
pub type Fields = Vec<(&'static str, String)>;

/// The fields of an entry as they were read.
pub type FieldsView<'a> = [(&'a [u8], &'a [u8])];

/// Where an entry stands in the recording session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead<'a> {
    /// The session's name.
    pub session: &'a str,
    /// Number of the feed record; for a book, of the last record of this instrument that is in it.
    pub seq: u64,
    /// Number of the instrument's record before this one, 0 for none. A reader that has not seen that one has a hole.
    pub prev: u64,
    /// When the recording engine read the message.
    pub recv_ts: TimestampNs,
    /// Whether the recording engine's own book never saw the record.
    pub dropped: bool,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A snapshot or a diff; it is in the buffer.
    Depth,
    /// The whole book as the sink had it; it is in the buffer, as a snapshot.
    Book,
    /// A print on the tape.
    Trade(Trade),
    /// An aggregated print.
    AggTrade(Trade),
    /// Best bid and ask.
    Touch(Touch),
    /// The recording engine's book was not to be trusted from here on.
    Notice(DesyncReason),
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A field that its kind needs is not there.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field's value is not what it must be.
    #[error("the field `{0}` cannot be read")]
    Value(&'static str),
}

const REASONS: [(DesyncReason, &str); 6] = [
    (DesyncReason::Starting, "starting"),
    (DesyncReason::Gap, "gap"),
    (DesyncReason::Disconnected, "disconnected"),
    (DesyncReason::Overrun, "overrun"),
    (DesyncReason::Crossed, "crossed"),
    (DesyncReason::Malformed, "malformed"),
];

/// The entry of a feed record; `None` for a frame as it came, which is nobody's but the journal's.
pub fn encode(head: EntryHead<'_>, event: &FeedEvent<'_>, instrument: &Instrument) -> Option<Fields> {
    let kind = match event {
        FeedEvent::Depth(depth) if depth.head.kind == DepthKind::Snapshot => "snapshot",
        FeedEvent::Depth(_) => "diff",
        FeedEvent::Trade(_) => "trade",
        FeedEvent::AggTrade(_) => "agg_trade",
        FeedEvent::Touch(_) => "touch",
        FeedEvent::Notice(_) => "notice",
        FeedEvent::Raw(_) => return None,
    };
    let mut fields = begin(kind, head);
    fields.push(("prev", head.prev.to_string()));
    if head.dropped {
        fields.push(("dropped", "1".to_owned()));
    }
    match event {
        FeedEvent::Depth(depth) => {
            fields.push(("event_ts_ns", depth.head.event_ts.nanos().to_string()));
            fields.push(("first_id", depth.head.first_id.to_string()));
            fields.push(("last_id", depth.head.last_id.to_string()));
            if let Some(prev_id) = depth.head.prev_id {
                fields.push(("prev_id", prev_id.to_string()));
            }
            fields.push(("bids", levels_text(depth.bids.iter().copied(), instrument)));
            fields.push(("asks", levels_text(depth.asks.iter().copied(), instrument)));
        }
        FeedEvent::Trade(trade) | FeedEvent::AggTrade(trade) => {
            fields.push(("event_ts_ns", trade.event_ts.nanos().to_string()));
            fields.push(("id", trade.id.0.to_string()));
            fields.push(("aggressor", if trade.aggressor == Side::Bid { "bid" } else { "ask" }.to_owned()));
            fields.push(("price", instrument.price_text(trade.price)));
            fields.push(("qty", instrument.qty_text(trade.qty)));
        }
        FeedEvent::Touch(touch) => {
            fields.push(("update_id", touch.update_id.to_string()));
            fields.push(("bid", instrument.price_text(touch.bid.price)));
            fields.push(("bid_qty", instrument.qty_text(touch.bid.qty)));
            fields.push(("ask", instrument.price_text(touch.ask.price)));
            fields.push(("ask_qty", instrument.qty_text(touch.ask.qty)));
        }
        FeedEvent::Notice(notice) => {
            let name = REASONS.iter().find(|(reason, _)| *reason == notice.reason).map_or("gap", |(_, name)| *name);
            fields.push(("reason", name.to_owned()));
        }
        FeedEvent::Raw(_) => {}
    }
    Some(fields)
}

/// The entry of a whole book that holds everything up to `last_id`.
pub fn encode_book(
    head: EntryHead<'_>,
    last_id: u64,
    event_ts: TimestampNs,
    book: &ArenaBook,
    instrument: &Instrument,
) -> Fields {
    let mut fields = begin("book", head);
    fields.push(("event_ts_ns", event_ts.nanos().to_string()));
    fields.push(("last_id", last_id.to_string()));
    fields.push(("bids", levels_text(book.levels(Side::Bid), instrument)));
    fields.push(("asks", levels_text(book.levels(Side::Ask), instrument)));
    fields
}

fn begin(kind: &str, head: EntryHead<'_>) -> Fields {
    vec![
        ("kind", kind.to_owned()),
        ("session", head.session.to_owned()),
        ("seq", head.seq.to_string()),
        ("recv_ts_ns", head.recv_ts.nanos().to_string()),
    ]
}

/// `[["61250.1","0.5"],…]`, as the venue itself writes levels.
fn levels_text(levels: impl Iterator<Item = Level>, instrument: &Instrument) -> String {
    let mut text = String::from("[");
    for level in levels {
        text.push_str(if text.len() > 1 { ",[\"" } else { "[\"" });
        format_e8(instrument.price_e8(level.price), &mut text);
        text.push_str("\",\"");
        format_e8(instrument.qty_e8(level.qty), &mut text);
        let _ = text.write_str("\"]");
    }
    text.push(']');
    text
}

fn text<'a>(fields: &FieldsView<'a>, name: &'static str) -> Result<&'a str, EntryError> {
    let (_, value) = fields.iter().find(|(key, _)| *key == name.as_bytes()).ok_or(EntryError::Missing(name))?;
    std::str::from_utf8(value).map_err(|_| EntryError::Value(name))
}

fn number<T: std::str::FromStr>(fields: &FieldsView<'_>, name: &'static str) -> Result<T, EntryError> {
    text(fields, name)?.parse().map_err(|_| EntryError::Value(name))
}

fn price(fields: &FieldsView<'_>, name: &'static str, instrument: &Instrument) -> Result<Price, EntryError> {
    instrument.price_from_text(text(fields, name)?.as_bytes()).map_err(|_| EntryError::Value(name))
}

fn qty(fields: &FieldsView<'_>, name: &'static str, instrument: &Instrument) -> Result<Qty, EntryError> {
    instrument.qty_from_text(text(fields, name)?.as_bytes()).map_err(|_| EntryError::Value(name))
}

fn levels(
    fields: &FieldsView<'_>,
    name: &'static str,
    instrument: &Instrument,
    out: &mut Vec<Level>,
) -> Result<(), EntryError> {
    let pairs: Vec<(&str, &str)> = serde_json::from_str(text(fields, name)?).map_err(|_| EntryError::Value(name))?;
    for (price, qty) in pairs {
        out.push(Level {
            price: instrument.price_from_text(price.as_bytes()).map_err(|_| EntryError::Value(name))?,
            qty: instrument.qty_from_text(qty.as_bytes()).map_err(|_| EntryError::Value(name))?,
        });
    }
    Ok(())
}

/// Where an entry stands; `recv_ts` is the recording engine's.
///
/// # Errors
/// When a field is missing or no number.
pub(super) fn parse_head<'a>(fields: &FieldsView<'a>) -> Result<EntryHead<'a>, EntryError> {
    Ok(EntryHead {
        session: text(fields, "session")?,
        seq: number(fields, "seq")?,
        prev: if text(fields, "kind")? == "book" { 0 } else { number(fields, "prev")? },
        recv_ts: TimestampNs::from_nanos(number(fields, "recv_ts_ns")?),
        dropped: text(fields, "dropped").is_ok(),
    })
}

/// Reads an entry. Depth and books are left in `depth`; every time of reading is `recv_ts`, the reader's own.
///
/// # Errors
/// When a field is missing or cannot be read; `depth` then holds nothing of use.
pub fn parse(
    fields: &FieldsView<'_>,
    instrument: &Instrument,
    recv_ts: TimestampNs,
    depth: &mut DepthBuf,
) -> Result<Parsed, EntryError> {
    let event_ts = || number(fields, "event_ts_ns").map(TimestampNs::from_nanos);
    let kind = text(fields, "kind")?;
    match kind {
        "snapshot" | "diff" | "book" => {
            depth.clear();
            depth.head.instrument = instrument.id;
            depth.head.kind = if kind == "diff" { DepthKind::Diff } else { DepthKind::Snapshot };
            depth.head.last_id = number(fields, "last_id")?;
            depth.head.first_id = if kind == "book" { depth.head.last_id } else { number(fields, "first_id")? };
            depth.head.prev_id = if text(fields, "prev_id").is_ok() { Some(number(fields, "prev_id")?) } else { None };
            depth.head.event_ts = event_ts()?;
            depth.head.recv_ts = recv_ts;
            levels(fields, "bids", instrument, &mut depth.bids)?;
            levels(fields, "asks", instrument, &mut depth.asks)?;
            Ok(if kind == "book" { Parsed::Book } else { Parsed::Depth })
        }
        "trade" | "agg_trade" => {
            let trade = Trade {
                instrument: instrument.id,
                event_ts: event_ts()?,
                recv_ts,
                id: TradeId(number(fields, "id")?),
                price: price(fields, "price", instrument)?,
                qty: qty(fields, "qty", instrument)?,
                aggressor: match text(fields, "aggressor")? {
                    "bid" => Side::Bid,
                    "ask" => Side::Ask,
                    _ => return Err(EntryError::Value("aggressor")),
                },
            };
            Ok(if kind == "trade" { Parsed::Trade(trade) } else { Parsed::AggTrade(trade) })
        }
        "touch" => Ok(Parsed::Touch(Touch {
            instrument: instrument.id,
            recv_ts,
            update_id: number(fields, "update_id")?,
            bid: Level { price: price(fields, "bid", instrument)?, qty: qty(fields, "bid_qty", instrument)? },
            ask: Level { price: price(fields, "ask", instrument)?, qty: qty(fields, "ask_qty", instrument)? },
        })),
        "notice" => {
            let name = text(fields, "reason")?;
            let known = REASONS.iter().find(|(_, text)| *text == name).ok_or(EntryError::Value("reason"))?;
            Ok(Parsed::Notice(known.0))
        }
        _ => Err(EntryError::Value("kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::FeedNotice;

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_ticks(price), qty: Qty::from_lots(qty) }
    }

    #[test]
    fn every_event_survives_its_entry() {
        let instrument = Instrument::btcusdt();
        let recv_ts = TimestampNs::from_nanos(77);
        let mut depth = DepthBuf::with_capacity(4);
        depth.head.first_id = 5;
        depth.head.last_id = 9;
        depth.head.prev_id = Some(4);
        depth.head.event_ts = TimestampNs::from_nanos(70);
        depth.head.recv_ts = recv_ts;
        depth.bids.extend([level(6_125_010, 48_200), level(6_125_009, 0)]);
        let trade = Trade {
            instrument: instrument.id,
            event_ts: TimestampNs::from_nanos(71),
            recv_ts,
            id: TradeId(-3),
            price: Price::from_ticks(6_125_011),
            qty: Qty::from_lots(1),
            aggressor: Side::Ask,
        };
        let touch = Touch { instrument: instrument.id, recv_ts, update_id: 8, bid: level(1, 2), ask: level(3, 4) };
        let mut snapshot = depth.clone();
        snapshot.head.kind = DepthKind::Snapshot;
        snapshot.head.prev_id = None;
        let notices = REASONS
            .map(|(reason, _)| FeedEvent::Notice(FeedNotice { instrument: Some(instrument.id), reason, recv_ts }));
        let events = [
            FeedEvent::Depth(depth.as_ref()),
            FeedEvent::Depth(snapshot.as_ref()),
            FeedEvent::Trade(trade),
            FeedEvent::AggTrade(trade),
            FeedEvent::Touch(touch),
        ];
        let mut buf = DepthBuf::with_capacity(4);
        for event in events.iter().chain(&notices) {
            let head = EntryHead { session: "tl1", seq: 12, prev: 11, recv_ts, dropped: false };
            let fields = encode(head, event, &instrument).unwrap();
            let view: Vec<(&[u8], &[u8])> =
                fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            assert_eq!(parse_head(&view).unwrap(), head);
            let back = match parse(&view, &instrument, recv_ts, &mut buf).unwrap() {
                Parsed::Depth => FeedEvent::Depth(buf.as_ref()),
                Parsed::Trade(trade) => FeedEvent::Trade(trade),
                Parsed::AggTrade(trade) => FeedEvent::AggTrade(trade),
                Parsed::Touch(touch) => FeedEvent::Touch(touch),
                Parsed::Notice(reason) => {
                    FeedEvent::Notice(FeedNotice { instrument: Some(instrument.id), reason, recv_ts })
                }
                Parsed::Book => panic!("no book was written"),
            };
            assert_eq!(back, *event);
            // Without any one of its fields an entry is refused, not guessed at; what is optional says so by being there.
            for gone in (0..view.len()).filter(|at| !matches!(view[*at].0, b"prev_id" | b"session" | b"seq" | b"prev"))
            {
                let mut less = view.clone();
                less.remove(gone);
                let read = parse_head(&less).and_then(|_| parse(&less, &instrument, recv_ts, &mut buf));
                assert!(read.is_err(), "{:?} without {:?}", event, fields[gone].0);
            }
        }
    }

    #[test]
    fn prices_off_the_tick_and_unknown_words_are_refused() {
        let instrument = Instrument::btcusdt();
        let mut buf = DepthBuf::with_capacity(4);
        let base = |kind: &'static [u8], name: &'static [u8], value: &'static [u8]| -> Vec<(&[u8], &[u8])> {
            vec![
                (&b"kind"[..], kind),
                (name, value),
                (b"event_ts_ns", b"1"),
                (b"first_id", b"1"),
                (b"last_id", b"1"),
                (b"bids", b"[]"),
                (b"asks", b"[]"),
            ]
        };
        for (kind, name, value, want) in [
            (&b"diff"[..], &b"bids"[..], &br#"[["1.001","1"]]"#[..], "bids"),
            (b"diff", b"bids", br#"[["1.01","1","2"]]"#, "bids"),
            (b"diff", b"asks", b"nothing", "asks"),
            (b"notice", b"reason", b"whim", "reason"),
            (b"tick", b"reason", b"gap", "kind"),
        ] {
            let read = parse(&base(kind, name, value), &instrument, TimestampNs::ZERO, &mut buf);
            assert_eq!(read, Err(EntryError::Value(want)));
        }
    }
}
