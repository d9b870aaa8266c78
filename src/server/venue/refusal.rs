//! Every way in which the front itself says no, with Binance's codes and texts and the HTTP status that carries them.
//! Refusals of the matching side come from the venue as [`VenueReject`] and are only wrapped here.

use std::borrow::Cow;

use super::json::{Object, push_text};
use crate::sim::VenueReject;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status, also `status` of a WebSocket API answer.
    pub status: u16,
    /// Binance's code.
    pub code: i32,
    /// Binance's text.
    pub text: Cow<'static, str>,
    /// `data`, as JSON, for the refusals that carry any.
    pub data: Option<String>,
    /// Seconds until a limit's window ends, for 429.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    fn new(status: u16, code: i32, text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status, code, text: text.into(), data: None, retry_after_s: None }
    }

    /// -1102: a parameter that the request needs is missing or empty.
    pub fn missing(name: &str) -> Refusal {
        Refusal::new(400, -1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    /// -1100: a parameter has characters that its type does not know.
    pub fn illegal(name: &str, legal: &str) -> Refusal {
        Refusal::new(400, -1100, format!("Illegal characters found in parameter '{name}'; legal range is '{legal}'."))
    }

    /// -1111: more decimal places than the asset has.
    pub fn precision(name: &str) -> Refusal {
        Refusal::new(400, -1111, format!("Parameter '{name}' has too much precision."))
    }

    /// -1106: a parameter that this kind of order must not have.
    pub fn not_required(name: &str) -> Refusal {
        Refusal::new(400, -1106, format!("Parameter '{name}' sent when not required."))
    }

    /// -1130: a parameter whose value is out of its range.
    pub fn invalid_data(name: &str) -> Refusal {
        Refusal::new(400, -1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    /// One of the fixed refusals of malformed requests (-1115 to -1121, -1128 and the like).
    pub fn bad(code: i32, text: &'static str) -> Refusal {
        Refusal::new(400, code, text)
    }

    /// -2010 for a kind of order that this venue does not trade.
    pub fn unsupported_order(text: &'static str) -> Refusal {
        Refusal::new(400, -2010, text)
    }

    /// -1020: the route or method does not exist here.
    pub fn unsupported(status: u16) -> Refusal {
        Refusal::new(status, -1020, "This operation is not supported.")
    }

    /// -2014: no key, or not of the shape of one.
    pub fn key_format() -> Refusal {
        Refusal::new(401, -2014, "API-key format invalid.")
    }

    /// -2015: a key that nobody has.
    pub fn unknown_key() -> Refusal {
        Refusal::new(401, -2015, "Invalid API-key, IP, or permissions for action.")
    }

    /// -1022.
    pub fn signature() -> Refusal {
        Refusal::new(400, -1022, "Signature for this request is not valid.")
    }

    /// -1021: the request is older than its receive window.
    pub fn too_old() -> Refusal {
        Refusal::new(400, -1021, "Timestamp for this request is outside of the recvWindow.")
    }

    /// -1021: the request comes from the future.
    pub fn too_early() -> Refusal {
        Refusal::new(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    }

    /// -1131: a receive window beyond 60 s.
    pub fn receive_window() -> Refusal {
        Refusal::new(400, -1131, "recvWindow must be less than 60000.")
    }

    /// -1003 with 429: the weight of this minute is used up.
    pub fn weight(limit: u32, retry_after_s: u64) -> Refusal {
        let text = format!(
            "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. Please use WebSocket \
             Streams for live updates to avoid polling the API."
        );
        Refusal { retry_after_s: Some(retry_after_s), ..Refusal::new(429, -1003, text) }
    }

    /// -1007: whether the request was carried out is not told. Binance sends it with a 408.
    pub fn timeout() -> Refusal {
        Refusal::new(
            408,
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        )
    }

    /// -1000 with 500: whether the request was carried out is not told either.
    pub fn server_error() -> Refusal {
        Refusal::new(500, -1000, "An unknown error occurred while processing the request.")
    }

    /// -1003 with 429, as after too many requests.
    pub fn too_many(retry_after_s: u64) -> Refusal {
        Refusal { retry_after_s: Some(retry_after_s), ..Refusal::new(429, -1003, "Too many requests.") }
    }

    /// An operator's plan of faults that cannot be understood.
    pub fn plan(why: &str) -> Refusal {
        Refusal::new(400, -1130, format!("This plan of faults cannot be understood: {why}"))
    }

    /// The body of an answer over HTTP.
    pub fn push_body(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.plain("code", self.code).with("msg", |out| push_text(out, &self.text));
        if let Some(data) = &self.data {
            object.raw("data", data);
        }
        object.end();
    }
}

impl From<VenueReject> for Refusal {
    fn from(reject: VenueReject) -> Refusal {
        let status = if reject.code == -1015 { 429 } else { 400 };
        Refusal::new(status, reject.code, reject.text)
    }
}
