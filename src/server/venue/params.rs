//! The parameters of a request, whichever way they came: query string, form body, or the JSON of the WebSocket API.
//!
//! Values stay text until an operation asks for them, because signatures are over the text: a JSON number is kept as
//! the token that was sent.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::types::{DecimalError, TimestampNs, parse_e8};

/// Names and values, decoded, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// From a query string and a form body; a name in both has the query's value.
    pub fn from_query_and_body(query: &str, body: &str) -> Params {
        let mut params = Params::default();
        for part in [query, body] {
            for pair in part.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let name = percent_decode(name, true);
                // A bare plus is a space in a form, but nobody means one inside a base64 signature.
                let value = percent_decode(value, name != "signature");
                params.pairs.push((name, value));
            }
        }
        params
    }

    /// From the `params` object of the WebSocket API. `None` when it is no object.
    pub fn from_json(params: &str) -> Option<Params> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(params).ok()?;
        let mut pairs = Vec::with_capacity(fields.len());
        for (name, raw) in fields {
            let token = raw.get();
            let value = match token.as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(token).ok()?,
                _ if token == "null" => continue,
                _ => token.to_owned(),
            };
            pairs.push((name, value));
        }
        Some(Params { pairs })
    }

    /// What a signature of the WebSocket API is over: everything but it, by name, without percent-encoding.
    pub fn websocket_payload(&self) -> String {
        let mut sorted: Vec<_> = self.pairs.iter().filter(|(name, _)| name != "signature").collect();
        sorted.sort();
        let mut payload = String::with_capacity(256);
        for (name, value) in sorted {
            if !payload.is_empty() {
                payload.push('&');
            }
            payload.push_str(name);
            payload.push('=');
            payload.push_str(value);
        }
        payload
    }

    /// The value, when it was sent and is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// -1102.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A price or quantity in units of 1e-8.
    ///
    /// # Errors
    /// -1100 for anything but a plain decimal above zero or zero, -1111 for more than eight places.
    pub fn amount(&self, name: &str) -> Result<Option<i64>, Refusal> {
        const LEGAL: &str = r"^([0-9]{1,20})(\.[0-9]{1,20})?$";
        let Some(text) = self.get(name) else { return Ok(None) };
        match parse_e8(text.as_bytes()) {
            Ok(value) if !text.starts_with('-') => Ok(Some(value)),
            Err(DecimalError::TooPrecise) => Err(Refusal::precision(name)),
            _ => Err(Refusal::illegal(name, LEGAL)),
        }
    }

    /// A whole number that is not negative; clients also send it as text.
    ///
    /// # Errors
    /// -1100.
    pub fn whole(&self, name: &str) -> Result<Option<u64>, Refusal> {
        const LEGAL: &str = r"^[0-9]{1,20}$";
        match self.get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(value) if !text.starts_with('+') => Ok(Some(value)),
                _ => Err(Refusal::illegal(name, LEGAL)),
            },
        }
    }

    /// A point in time, in milliseconds or microseconds: sixteen digits can only be the latter.
    ///
    /// # Errors
    /// -1100.
    pub fn time(&self, name: &str) -> Result<Option<TimestampNs>, Refusal> {
        Ok(self.whole(name)?.map(|value| {
            if value >= 1_000_000_000_000_000 {
                TimestampNs::from_micros(value)
            } else {
                TimestampNs::from_millis(value)
            }
        }))
    }

    /// A limit on rows: `default` when it was not sent, silently capped at `most`.
    ///
    /// # Errors
    /// -1100, or -1130 for zero.
    pub fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        match self.whole("limit")? {
            None => Ok(default),
            Some(0) => Err(Refusal::invalid_data("limit")),
            Some(limit) => Ok(usize::try_from(limit).unwrap_or(most).min(most)),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// -1130.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "TRUE" | "True") => Ok(Some(true)),
            Some("false" | "FALSE" | "False") => Ok(Some(false)),
            Some(_) => Err(Refusal::invalid_data(name)),
        }
    }
}

/// The part of a query string or body that a signature is over: everything but the signature itself, byte for byte.
pub fn without_signature(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for pair in text.split('&').filter(|pair| !pair.starts_with("signature=")) {
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(pair);
    }
    kept
}

fn percent_decode(text: &str, plus_is_space: bool) -> String {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: Option<&u8>| byte.and_then(|&b| (b as char).to_digit(16));
        match bytes[at] {
            b'%' => match (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            b'+' if plus_is_space => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_wins_over_the_body() {
        let params = Params::from_query_and_body("symbol=BTCUSDT&a=1", "a=2&b=%5B%22x%22%5D");
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.get("b"), Some("[\"x\"]"));
        assert_eq!(params.get("symbol"), Some("BTCUSDT"));
        assert_eq!(params.get("c"), None);
    }

    #[test]
    fn json_numbers_keep_their_text() {
        let params =
            Params::from_json(r#"{"symbol":"BTCUSDT","quantity":0.0010,"price":6e4,"x":true,"n":null}"#).unwrap();
        assert_eq!(params.websocket_payload(), "price=6e4&quantity=0.0010&symbol=BTCUSDT&x=true");
        assert_eq!(params.amount("quantity"), Ok(Some(100_000)));
        assert_eq!(params.amount("price").unwrap_err().code, -1100);
        assert!(Params::from_json("[1]").is_none());
    }

    #[test]
    fn the_signature_is_cut_out_wherever_it_stands() {
        assert_eq!(without_signature("a=1&b=2&signature=ff"), "a=1&b=2");
        assert_eq!(without_signature("signature=ff&a=1"), "a=1");
        assert_eq!(without_signature("a=1&signature=ff&b=%20"), "a=1&b=%20");
        assert_eq!(without_signature(""), "");
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let params = Params::from_query_and_body("p=0.123456789&q=-1&r=1.5&s=1e5&t=12a&limit=0&o=%2B1", "");
        assert_eq!(params.amount("p").unwrap_err().code, -1111);
        assert_eq!(params.amount("q").unwrap_err().code, -1100);
        assert_eq!(params.amount("r"), Ok(Some(150_000_000)));
        assert_eq!(params.amount("s").unwrap_err().code, -1100);
        assert_eq!(params.whole("t").unwrap_err().code, -1100);
        assert_eq!(params.whole("o").unwrap_err().code, -1100);
        assert_eq!(params.limit(5, 10).unwrap_err().code, -1130);
    }

    #[test]
    fn microseconds_are_told_by_their_length() {
        let params = Params::from_query_and_body("a=1784102400123&b=1784102400123456", "");
        assert_eq!(params.time("a").unwrap(), Some(TimestampNs::from_millis(1_784_102_400_123)));
        assert_eq!(params.time("b").unwrap(), Some(TimestampNs::from_micros(1_784_102_400_123_456)));
    }
}
