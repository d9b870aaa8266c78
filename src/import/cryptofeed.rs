//! cryptofeed's logs of Binance, Kraken and OKX, in both of its layouts; a log of another venue is refused.
//!
//! Text: `<url> <-> <time>` is a connection made, `<url> -> <time>: <body>` a REST answer, `<url> <- <time>: <text>`
//! something sent, `<time>: <frame>` a frame received. JSON: one object a line, whose `t` says which of these it is and
//! whose `data` is the text. Times are seconds since the epoch. REST snapshots stand where they arrived, with their
//! symbol in the url.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dialect::{Dialect, Event, Listing, Said, seconds};
use super::messages::{self, Messages};
use crate::types::{DesyncReason, TimestampNs};
use crate::wire::FeedNotice;

/// Reads a log, of either layout.
pub(super) struct Log {
    /// Of the venue that the log is of; `None` until it names one.
    messages: Option<Messages>,
    /// Connections so far: the same one made again says that it was lost.
    connected: Vec<String>,
}

/// A line, taken apart.
enum Line<'a> {
    /// `name` tells connections to one address apart, where the layout does.
    Connect {
        address: &'a str,
        name: &'a str,
        at: TimestampNs,
    },
    Answer {
        url: &'a str,
        at: TimestampNs,
        body: &'a str,
    },
    Frame {
        at: TimestampNs,
        frame: &'a str,
    },
    Nothing,
}

#[derive(Deserialize)]
struct JsonLine<'a> {
    t: &'a str,
    #[serde(borrow, default)]
    exchange: Cow<'a, str>,
    #[serde(borrow, default)]
    ts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conn: Cow<'a, str>,
    #[serde(borrow, default)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    addr: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Cow<'a, str>,
}

impl Log {
    pub(super) fn new() -> Log {
        Log { messages: None, connected: Vec::new() }
    }

    /// The log is of a venue that is named so, or has such an address.
    fn name_venue(&mut self, name: &str) -> Result<(), String> {
        let lower = name.to_ascii_lowercase();
        let made = if lower.contains("binance") {
            Messages::binance
        } else if lower.contains("okx") {
            Messages::okx
        } else if lower.contains("kraken") {
            Messages::kraken
        } else {
            return Err(format!(
                "a log of {name}: of cryptofeed's logs only those of Binance, Kraken and OKX can be read"
            ));
        };
        self.messages.get_or_insert_with(made);
        Ok(())
    }

    fn carry_out(&mut self, line: &Line<'_>, listing: &mut Listing, said: &mut Said) -> Result<(), String> {
        match *line {
            Line::Connect { address, name, at } => {
                self.name_venue(address)?;
                said.recv_ts = at;
                let connection = format!("{name} {address}");
                if self.connected.contains(&connection) {
                    let reason = DesyncReason::Disconnected;
                    said.events.push_back(Event::Notice(FeedNotice { instrument: None, reason, recv_ts: at }));
                } else {
                    self.connected.push(connection);
                }
                Ok(())
            }
            Line::Answer { url, at, body } => {
                let Some(symbol) = snapshot_of(url) else { return Ok(()) };
                said.recv_ts = at;
                said.json.extend_from_slice(body.as_bytes());
                let symbol = listing.id(symbol)?;
                messages::snapshot(body.as_bytes(), at, Some(symbol), said)
            }
            Line::Frame { at, frame } => {
                said.recv_ts = at;
                said.json.extend_from_slice(frame.as_bytes());
                // A log that begins with a frame is of the venue that logs were first read of.
                let messages = self.messages.get_or_insert_with(Messages::binance);
                messages.frame(frame.as_bytes(), at, listing, said)
            }
            Line::Nothing => Ok(()),
        }
    }
}

impl Dialect for Log {
    fn take(&mut self, line: &[u8], _: bool, listing: &mut Listing, said: &mut Said) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
        if !text.starts_with('{') {
            return self.carry_out(&text_line(text)?, listing, said);
        }
        let parsed: JsonLine<'_> = serde_json::from_str(text).map_err(|error| format!("no line of a log: {error}"))?;
        if parsed.t == "header" {
            self.name_venue(&parsed.exchange)?;
        }
        let time = || seconds(parsed.ts.map_or("", RawValue::get).as_bytes());
        let line = match parsed.t {
            "connect" => Line::Connect { address: &parsed.addr, name: &parsed.conn, at: time()? },
            "http" => Line::Answer { url: &parsed.url, at: time()?, body: &parsed.data },
            "recv" => Line::Frame { at: time()?, frame: &parsed.data },
            "header" | "send" => Line::Nothing,
            other => return Err(format!("a line of kind `{other}` is not known")),
        };
        self.carry_out(&line, listing, said)
    }
}

fn text_line(text: &str) -> Result<Line<'_>, String> {
    if text.starts_with("configuration:") {
        return Ok(Line::Nothing);
    }
    if let Some((address, time)) = text.split_once(" <-> ") {
        return Ok(Line::Connect { address, name: "", at: seconds(time.as_bytes())? });
    }
    let (head, rest) = text.split_once(": ").ok_or("no `: ` after the time")?;
    if let Some((url, time)) = head.split_once(" -> ") {
        return Ok(Line::Answer { url, at: seconds(time.as_bytes())?, body: rest });
    }
    if head.contains(" <- ") {
        return Ok(Line::Nothing);
    }
    Ok(Line::Frame { at: seconds(head.as_bytes())?, frame: rest })
}

/// Whose depth an url asks for.
fn snapshot_of(url: &str) -> Option<&str> {
    let (path, query) = url.split_once('?')?;
    let symbol = query.split('&').find_map(|part| part.strip_prefix("symbol="))?;
    path.ends_with("/depth").then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(lines: &[&str]) -> Result<(Vec<Event>, Listing), String> {
        let (mut log, mut listing, mut said) = (Log::new(), Listing::default(), Said::new());
        for line in lines {
            log.take(line.as_bytes(), false, &mut listing, &mut said)?;
        }
        Ok((said.events.into(), listing))
    }

    const FRAME: &str = r#"{"stream":"ethusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"ETHUSDT","a":6,"p":"2000.5","q":"0.1","f":1,"l":1,"T":1,"m":true,"M":true}}"#;

    #[test]
    fn both_layouts_of_a_log_say_the_same() {
        let text = [
            "wss://stream.binance.com:9443/stream?streams=ethusdt@aggTrade <-> 1617566590.37".to_owned(),
            r#"https://www.binance.com/api/v1/depth?symbol=BTCUSDT&limit=1000 -> 1617566592.1: {"lastUpdateId":3,"bids":[["5.1","2"]],"asks":[]}"#.to_owned(),
            format!("1617566592.2: {FRAME}"),
        ];
        let quoted = serde_json::to_string(FRAME).unwrap();
        let json = [
            r#"{"t":"header","format":2,"exchange":"BINANCE","config":{}}"#.to_owned(),
            r#"{"t":"connect","conn":"x","ts":1617566590.37,"addr":"wss://stream.binance.com/stream"}"#.to_owned(),
            r#"{"t":"http","conn":"x","ts":1617566592.1,"url":"https://api.binance.com/api/v3/depth?limit=5&symbol=BTCUSDT","data":"{\"lastUpdateId\":3,\"bids\":[[\"5.1\",\"2\"]],\"asks\":[]}"}"#.to_owned(),
            format!(r#"{{"t":"recv","conn":"x","ts":1617566592.2,"data":{quoted}}}"#),
        ];
        let read = |lines: &[String]| events(&lines.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let ((from_text, listing), (from_json, _)) = (read(&text), read(&json));
        assert_eq!(from_text, from_json);
        assert!(matches!(from_text[..], [Event::Depth, Event::AggTrade(_)]), "{from_text:?}");
        assert_eq!(listing.finest().iter().map(|one| one.symbol()).collect::<Vec<_>>(), ["BTCUSDT", "ETHUSDT"]);
    }

    #[test]
    fn a_connection_made_again_tells_of_a_loss() {
        let line = "wss://stream.binance.com/stream <-> 1617566590.37";
        let (events, _) = events(&[line, line]).unwrap();
        assert!(matches!(events[..], [Event::Notice(_)]), "{events:?}");
    }

    #[test]
    fn logs_of_other_venues_and_broken_lines_are_refused() {
        for (line, named) in [
            (r#"{"t":"header","format":2,"exchange":"BYBIT"}"#, "BYBIT"),
            ("wss://stream.bybit.com <-> 1617566590.37", "stream.bybit.com"),
            (r#"{"t":"magic"}"#, "magic"),
            ("1617566592", "after the time"),
            ("yesterday: {}", "yesterday"),
        ] {
            let why = events(&[line]).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }
}
