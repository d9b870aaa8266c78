//! The hot messages' shortest way from bytes to ticks and lots: a scanner that knows how the venue writes them.
//!
//! Binance writes every message of a kind in the same way: the same fields in the same order, no space, no escape. Only
//! that way is read here. A message written in any other is left whole to the decoder that reads JSON, right or wrong:
//! the scanner refuses nothing by itself. What it takes, the other would have read as the same event, so that both
//! together accept and refuse exactly what the other does alone; `tests/decoders.rs` holds them against each other.

mod levels;
mod text;
mod wide;

use self::levels::{Shape, Steps};
use self::text::Text;
use self::wide::Wide;
use super::decode::{Decoded, TimeUnit};
use super::step::Step;
use crate::types::{Instrument, InstrumentId, Level, Side, Symbol, TimestampNs, Touch, Trade, TradeId};
use crate::wire::{DepthBuf, DepthHead, DepthKind};

/// An instrument that is followed.
struct Followed {
    id: InstrumentId,
    symbol: Symbol,
    steps: Steps,
}

impl Followed {
    /// What follows the symbol in the name of one of its streams.
    #[inline(always)]
    fn rest_of_stream<'a>(&self, stream: &'a [u8]) -> Option<&'a [u8]> {
        let (symbol, rest) = stream.split_at_checked(self.symbol.as_bytes().len())?;
        symbol.eq_ignore_ascii_case(self.symbol.as_bytes()).then_some(rest)
    }
}

/// How many levels a depth stream tells, as text; nothing for diffs.
#[inline(always)]
fn depth_of_stream(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(b"@depth")?.split(|&byte| byte == b'@').next()
}

/// See the module.
pub(super) struct Scanner {
    followed: Vec<Followed>,
    shape: Shape,
    wide: Option<Wide>,
}

impl Scanner {
    pub(super) fn new(instruments: &[Instrument]) -> Scanner {
        let step = |e8: i64| Step::new(e8.unsigned_abs());
        let followed = instruments.iter().map(|instrument| Followed {
            id: instrument.id,
            symbol: instrument.spec.symbol,
            steps: Steps { tick: step(instrument.spec.tick_e8), lot: step(instrument.spec.lot_e8) },
        });
        // A name that JSON would escape, or that a stream's name could not hold, is never read here.
        let plain = |name: &str| !name.contains(|c: char| matches!(c, '"' | '\\' | '@') || c.is_control());
        Scanner {
            followed: followed.filter(|followed| plain(followed.symbol.as_str())).collect(),
            shape: Shape::default(),
            wide: Wide::detect(),
        }
    }

    /// What a frame holds; `None` when it is not written as expected. `depth` may then hold anything.
    #[inline]
    pub(super) fn scan(
        &mut self,
        frame: &[u8],
        unit: TimeUnit,
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
    ) -> Option<Decoded> {
        let mut text = Text::new(frame);
        let stream = if text.has(b"{\"stream\":\"") {
            let stream = text.rest_of_string()?;
            text.pass(b",\"data\":{")?;
            Some(stream)
        } else {
            text.pass(b"{")?;
            None
        };
        let decoded = if text.has(b"\"e\":\"depthUpdate\",\"E\":") {
            self.diff(&mut text, stream, unit, recv_ts, depth)?
        } else if text.has(b"\"u\":") {
            self.touch(&mut text, recv_ts)?
        } else if text.has(b"\"lastUpdateId\":") {
            self.partial(&mut text, stream?, recv_ts, depth)?
        } else if text.has(b"\"e\":\"trade\",\"E\":") {
            self.trade(&mut text, unit, recv_ts)?
        } else if text.has(b"\"e\":\"bookTicker\",\"u\":") {
            let touch = self.touch(&mut text, recv_ts)?;
            text.pass(b",\"T\":")?;
            text.unsigned()?;
            text.pass(b",\"E\":")?;
            text.unsigned()?;
            touch
        } else {
            text.pass(b"\"e\":\"aggTrade\",\"E\":")?;
            self.agg_trade(&mut text, unit, recv_ts)?
        };
        text.pass(b"}")?;
        if stream.is_some() {
            text.pass(b"}")?;
        }
        text.is_at_end().then_some(decoded)
    }

    /// Passes `,"s":` and the name of an instrument that is followed.
    #[inline(always)]
    fn symbol(&self, text: &mut Text<'_>) -> Option<&Followed> {
        text.pass(b",\"s\":\"")?;
        self.followed.iter().find(|followed| text.has_name(followed.symbol.as_bytes()))
    }

    fn diff(
        &mut self,
        text: &mut Text<'_>,
        stream: Option<&[u8]>,
        unit: TimeUnit,
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
    ) -> Option<Decoded> {
        let event_ts = text.time(unit)?;
        // USD-M states the time of the transaction as well, and the id before.
        if text.has(b",\"T\":") {
            text.unsigned()?;
        }
        let followed = self.symbol(text)?;
        // USD-M writes partial depth as it writes diffs; only the stream's name tells.
        if let Some(stream) = stream {
            let levels = depth_of_stream(followed.rest_of_stream(stream)?)?;
            if !levels.is_empty() {
                return None;
            }
        }
        let (instrument, steps) = (followed.id, followed.steps);
        text.pass(b",\"U\":")?;
        let first_id = text.unsigned()?;
        text.pass(b",\"u\":")?;
        let last_id = text.unsigned()?;
        let prev_id = if text.has(b",\"pu\":") { Some(text.unsigned()?) } else { None };
        if first_id > last_id {
            return None;
        }
        depth.head = DepthHead { instrument, kind: DepthKind::Diff, first_id, last_id, prev_id, event_ts, recv_ts };
        text.pass(b",\"b\":[")?;
        levels::read(text, &steps, &mut self.shape, self.wide, &mut depth.bids)?;
        text.pass(b",\"a\":[")?;
        levels::read(text, &steps, &mut self.shape, self.wide, &mut depth.asks)?;
        Some(Decoded::Depth)
    }

    /// Spot's partial depth, from its update id on. It names no symbol.
    fn partial(
        &mut self,
        text: &mut Text<'_>,
        stream: &[u8],
        recv_ts: TimestampNs,
        depth: &mut DepthBuf,
    ) -> Option<Decoded> {
        let found = self.followed.iter().find_map(|followed| Some((followed, followed.rest_of_stream(stream)?)));
        let (followed, rest) = found?;
        let levels = depth_of_stream(rest)?;
        if levels.is_empty() || !levels.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let (instrument, steps) = (followed.id, followed.steps);
        let last_id = text.unsigned()?;
        depth.head = DepthHead {
            instrument,
            kind: DepthKind::Snapshot,
            first_id: last_id,
            last_id,
            prev_id: None,
            event_ts: TimestampNs::ZERO,
            recv_ts,
        };
        text.pass(b",\"bids\":[")?;
        levels::read(text, &steps, &mut self.shape, self.wide, &mut depth.bids)?;
        text.pass(b",\"asks\":[")?;
        levels::read(text, &steps, &mut self.shape, self.wide, &mut depth.asks)?;
        Some(Decoded::Partial)
    }

    fn trade(&self, text: &mut Text<'_>, unit: TimeUnit, recv_ts: TimestampNs) -> Option<Decoded> {
        text.unsigned()?;
        let followed = self.symbol(text)?;
        text.pass(b",\"t\":")?;
        let id = TradeId(i64::try_from(text.unsigned()?).ok()?);
        text.pass(b",\"p\":\"")?;
        let price = followed.steps.price(text)?;
        text.pass(b",\"q\":\"")?;
        let qty = followed.steps.qty(text)?;
        text.pass(b",\"T\":")?;
        let event_ts = text.time(unit)?;
        let on_usdm = text.has(b",\"X\":\"MARKET\"");
        text.pass(b",\"m\":")?;
        let aggressor = if text.boolean()? { Side::Ask } else { Side::Bid };
        if !on_usdm {
            text.pass(b",\"M\":")?;
            text.boolean()?;
        }
        Some(Decoded::Trade(Trade { instrument: followed.id, event_ts, recv_ts, id, price, qty, aggressor }))
    }

    fn agg_trade(&self, text: &mut Text<'_>, unit: TimeUnit, recv_ts: TimestampNs) -> Option<Decoded> {
        text.unsigned()?;
        // USD-M states the id before the symbol.
        let early_id = if text.has(b",\"a\":") { Some(text.unsigned()?) } else { None };
        let followed = self.symbol(text)?;
        let id = match early_id {
            Some(id) => id,
            None => {
                text.pass(b",\"a\":")?;
                text.unsigned()?
            }
        };
        text.pass(b",\"p\":\"")?;
        let price = followed.steps.price(text)?;
        text.pass(b",\"q\":\"")?;
        let qty = followed.steps.qty(text)?;
        text.pass(b",\"f\":")?;
        text.unsigned()?;
        text.pass(b",\"l\":")?;
        text.unsigned()?;
        text.pass(b",\"T\":")?;
        let event_ts = text.time(unit)?;
        text.pass(b",\"m\":")?;
        let aggressor = if text.boolean()? { Side::Ask } else { Side::Bid };
        if text.has(b",\"M\":") {
            text.boolean()?;
        }
        let id = TradeId(i64::try_from(id).ok()?);
        Some(Decoded::AggTrade(Trade { instrument: followed.id, event_ts, recv_ts, id, price, qty, aggressor }))
    }

    /// A touch, from its update id on.
    fn touch(&self, text: &mut Text<'_>, recv_ts: TimestampNs) -> Option<Decoded> {
        let update_id = text.unsigned()?;
        let (instrument, steps) = self.symbol(text).map(|followed| (followed.id, followed.steps))?;
        text.pass(b",\"b\":\"")?;
        let price = steps.price(text)?;
        text.pass(b",\"B\":\"")?;
        let bid = Level { price, qty: steps.qty(text)? };
        text.pass(b",\"a\":\"")?;
        let price = steps.price(text)?;
        text.pass(b",\"A\":\"")?;
        let ask = Level { price, qty: steps.qty(text)? };
        Some(Decoded::Touch(Touch { instrument, recv_ts, update_id, bid, ask }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [&str; 8] = [
        r#"{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT","U":35346513500,"u":35346513503,"b":[["2683.80000000","0.00000000"],["2384.28000000","10.25110000"]],"a":[["3492.86000000","2.63020000"]]}"#,
        r#"{"e":"depthUpdate","E":1723161255408,"T":1723161255407,"s":"BTCUSDT","U":4984028367525,"u":4984028367530,"pu":4984028367494,"b":[["2444.21","143.880"],["2215.84","57618"],["2215.83","7"]],"a":[]}"#,
        r#"{"u":35346513503,"s":"BTCUSDT","b":"2683.78000000","B":"7.33710000","a":"2683.81000000","A":"6.72250000"}"#,
        r#"{"e":"bookTicker","u":4984028367530,"s":"BTCUSDT","b":"2683.78","B":"35.258","a":"2683.84","A":"62.491","T":1723161255408,"E":1723161255408}"#,
        r#"{"e":"trade","E":1723161255408,"s":"BTCUSDT","t":1520538925,"p":"2683.78000000","q":"0.03260000","T":1723161255407,"m":true,"M":true}"#,
        r#"{"e":"trade","E":1723161255408,"s":"BTCUSDT","t":1520538925,"p":"2683.84","q":"0.452","T":1723161255407,"X":"MARKET","m":false}"#,
        r#"{"e":"aggTrade","E":1723161255408,"s":"BTCUSDT","a":3300100,"p":"61250.11","q":"0.5","f":4100200300,"l":4100200304,"T":1723161255407,"m":false,"M":true}"#,
        r#"{"e":"aggTrade","E":1723161255408,"a":3300100,"s":"BTCUSDT","p":"61250.11","q":"0.5","f":4100200300,"l":4100200304,"T":1723161255407,"m":true}"#,
    ];

    fn scan(frame: &str) -> Option<Decoded> {
        let mut scanner = Scanner::new(&[Instrument::btcusdt()]);
        scanner.scan(frame.as_bytes(), TimeUnit::Millis, TimestampNs::ZERO, &mut DepthBuf::with_capacity(4))
    }

    #[test]
    fn every_hot_message_is_taken_as_the_venue_writes_it() {
        for event in EVENTS {
            assert!(scan(event).is_some(), "{event}");
            let wrapped = format!(r#"{{"stream":"btcusdt@depth@100ms","data":{event}}}"#);
            assert!(scan(&wrapped).is_some(), "{wrapped}");
        }
        let partial = r#"{"lastUpdateId":71200118,"bids":[["61250.10000000","0.48200000"]],"asks":[]}"#;
        assert_eq!(scan(partial), None, "nothing says whose it is");
        let wrapped = format!(r#"{{"stream":"btcusdt@depth20@100ms","data":{partial}}}"#);
        assert_eq!(scan(&wrapped), Some(Decoded::Partial));
    }

    #[test]
    fn whatever_is_written_in_another_way_is_left_to_json() {
        for event in EVENTS {
            for (from, to) in [
                ("{", "{ "),
                ("}", "} "),
                (":", " :"),
                ("E\"", "\\u0045\""),
                ("BTCUSDT", "DOGEUSDT"),
                ("2683", "2683000000000"),
                (".", "e"),
                (".", ".."),
                ("\":", "\":-"),
                ("\":", "\":0"),
                (",", ",,"),
                ("]", ",]"),
                ("\"", "\\\""),
            ] {
                let frame = event.replacen(from, to, 1);
                assert!(frame == event || scan(&frame).is_none(), "{frame}");
            }
            for cut in 0..event.len() {
                assert_eq!(scan(&event[..cut]), None, "{}", &event[..cut]);
            }
        }
    }
}
