//! hftbacktest's raw lines: `<local receive time> <JSON>`.
//!
//! The time has 19 digits when it is in nanoseconds and 16 when it is in microseconds. The JSON is a frame of
//! Binance's combined streams, or the bare answer of `GET /depth`, which names no symbol.

use std::borrow::Cow;

use super::dialect::{Dialect, Listing, Said};
use super::messages::{self, Messages};
use crate::types::TimestampNs;

/// Reads raw lines.
pub(super) struct RawLines {
    messages: Messages,
}

impl RawLines {
    pub(super) fn new() -> RawLines {
        RawLines { messages: Messages::binance() }
    }
}

impl Dialect for RawLines {
    fn take(&mut self, line: &[u8], _: bool, listing: &mut Listing, said: &mut Said) -> Result<(), String> {
        let line = split(line)?;
        said.recv_ts = line.recv_ts;
        said.json.extend_from_slice(line.json);
        match line.body {
            Body::Frame => self.messages.frame(line.json, line.recv_ts, listing, said),
            Body::Snapshot => messages::snapshot(line.json, line.recv_ts, None, said),
        }
    }
}

/// What the JSON of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// A frame as it came over the socket.
    Frame,
    /// A REST depth snapshot.
    Snapshot,
}

/// A line, taken apart.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// When the recorder read it, by its own clock.
    recv_ts: TimestampNs,
    /// The JSON.
    json: &'a [u8],
    /// What the JSON is.
    body: Body,
}

/// Takes a line apart, or says what is wrong with it.
fn split(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let at = line.iter().position(|&byte| byte == b' ').ok_or("no blank after the receive time")?;
    let (time, json) = (&line[..at], &line[at + 1..]);
    if !time.iter().all(u8::is_ascii_digit) {
        return Err("the receive time is not a whole number");
    }
    let value = time.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')))
    });
    let recv_ts = match (time.len(), value) {
        (19, Some(nanos)) => TimestampNs::from_nanos(nanos),
        (16, Some(micros)) => TimestampNs::from_micros(micros),
        _ => return Err("the receive time has neither 19 digits (nanoseconds) nor 16 (microseconds)"),
    };
    if json.first() != Some(&b'{') {
        return Err("no JSON object after the receive time");
    }
    let body = if is_snapshot(json) { Body::Snapshot } else { Body::Frame };
    Ok(Line { recv_ts, json, body })
}

/// Whether the object is a bare snapshot: it has `lastUpdateId` and is no stream's frame.
fn is_snapshot(json: &[u8]) -> bool {
    // The key stands first in every recording seen, but order means nothing in JSON: small lists may come before it.
    !json.starts_with(b"{\"stream\"")
        && find(json, b"\"lastUpdateId\"").is_some()
        && find(json, b"\"stream\"").is_none()
}

/// The symbol that a frame names, upper case: its `s`, or else the start of its stream's name.
pub(super) fn symbol(json: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(text) = string_after(json, b"\"s\"") {
        return Some(Cow::Borrowed(text));
    }
    let stream = string_after(json, b"\"stream\"")?;
    let (name, _) = stream.split_once('@')?;
    Some(Cow::Owned(name.to_uppercase()))
}

/// The string value of the first such key.
fn string_after<'a>(json: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let rest = json[find(json, key)? + key.len()..].trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(&rest[..rest.iter().position(|&byte| byte == b'"')?]).ok()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_times_are_told_by_their_digits() {
        let nanos = split(b"1721347020984480942 {}").unwrap();
        assert_eq!(nanos.recv_ts, TimestampNs::from_nanos(1_721_347_020_984_480_942));
        let micros = split(b"1680652800004107 {}").unwrap();
        assert_eq!(micros.recv_ts, TimestampNs::from_micros(1_680_652_800_004_107));
        for wrong in
            ["", "1721347020984480942", "172134702098448 {}", "99999999999999999999 {}", "17213470209844809x2 {}"]
        {
            assert!(split(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(split(b"1721347020984480942 [1]").is_err());
    }

    #[test]
    fn snapshots_and_symbols_are_found_in_any_spelling() {
        for snapshot in
            [r#"1680652800004107 {"lastUpdateId": 3, "bids": []}"#, r#"1680652800004107 {"bids":[],"lastUpdateId":3}"#]
        {
            assert_eq!(split(snapshot.as_bytes()).unwrap().body, Body::Snapshot);
        }
        let partial = r#"1680652800004107 {"stream":"btcusdt@depth5","data":{"lastUpdateId":3,"bids":[]}}"#;
        let line = split(partial.as_bytes()).unwrap();
        assert_eq!((line.body, symbol(line.json).as_deref()), (Body::Frame, Some("BTCUSDT")));
        assert_eq!(symbol(br#"{"data":{"u":1, "s" : "ETHUSDT"}}"#).as_deref(), Some("ETHUSDT"));
        assert_eq!(symbol(br#"{"result":null,"id":1}"#), None);
    }
}
