//! Order entry over the WebSocket API: commands to request texts, answers to replies.
//!
//! Owns the text of requests, in reused buffers. The parameters are those of REST, in JSON; they are signed sorted by name
//! and without percent-encoding, unless the connection has logged on, which only an Ed25519 key can. What an answer means
//! is [`rest::read_reply`](super::rest::read_reply)'s business: the bodies are the same. Source: Binance Spot "WebSocket
//! API", "Request security" and "Trading requests".

use serde::Deserialize;
use serde_json::value::RawValue;

use super::placement::{Heads, kind_words, side_word};
use super::sign::Signer;
use crate::types::{ClientOrderId, Command, Instrument, NewOrder, OrderKind, format_steps};

/// Builds requests and numbers them.
#[derive(Debug)]
pub struct ApiRequestBuilder {
    id: u64,
    recv_window_ms: u32,
    text: String,
    /// The parameters as they are signed; empty where nothing is.
    signed: String,
    /// Whether this request is signed.
    signs: bool,
    value: String,
    /// How the placements of each side begin where nothing is signed.
    heads: Heads,
}

impl ApiRequestBuilder {
    /// A builder whose requests are valid for that long at the venue.
    pub fn new(recv_window_ms: u32) -> ApiRequestBuilder {
        ApiRequestBuilder {
            id: 0,
            recv_window_ms,
            text: String::with_capacity(1024),
            signed: String::with_capacity(512),
            signs: false,
            value: String::with_capacity(64),
            heads: Heads::default(),
        }
    }

    /// Number of the last request built.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The text that logs the connection on with an Ed25519 key.
    pub fn logon(&mut self, api_key: &str, timestamp_ms: u64, signer: &Signer) -> &str {
        self.begin("session.logon", true);
        self.param("apiKey", api_key);
        self.end(timestamp_ms, Some(signer), |_| ())
    }

    /// The text of a command. `login` is key and signer where the connection has not logged on. `timestamp_ms` is in the
    /// venue's clock.
    pub fn command(
        &mut self,
        command: &Command,
        instrument: &Instrument,
        timestamp_ms: u64,
        login: Option<(&str, &Signer)>,
    ) -> &str {
        if let (Command::Place(order), None) = (command, login) {
            return self.placement(order, instrument, timestamp_ms);
        }
        let method = match command {
            Command::Place(_) => "order.place",
            Command::Cancel { .. } => "order.cancel",
            Command::Amend { .. } => "order.amend.keepPriority",
            Command::Query { .. } => "order.status",
            Command::Fills { .. } => "myTrades",
        };
        self.begin(method, login.is_some());
        // Parameters in the order of their names, as they are signed.
        if let Some((api_key, _)) = login {
            self.param("apiKey", api_key);
        }
        let signer = login.map(|(_, signer)| signer);
        match command {
            Command::Place(order) => {
                self.order_name("newClientOrderId", order.client_id);
                self.param("newOrderRespType", "ACK");
                if order.kind != OrderKind::Market {
                    self.decimal("price", instrument.price_e8(order.price), instrument.spec.tick_e8);
                }
                self.decimal("quantity", instrument.qty_e8(order.qty), instrument.spec.lot_e8);
                let (kind, life) = kind_words(order.kind);
                self.window();
                self.param("side", side_word(order.side));
                self.param("symbol", instrument.symbol());
                if let Some(life) = life {
                    self.param("timeInForce", life);
                }
                return self.finish(timestamp_ms, signer, |builder| builder.param("type", kind));
            }
            Command::Cancel { client_id, venue_id, .. } => match venue_id {
                Some(id) => self.number("orderId", id.0),
                None => self.order_name("origClientOrderId", *client_id),
            },
            Command::Amend { client_id, venue_id, qty, .. } => {
                self.order_name("newClientOrderId", *client_id);
                self.decimal("newQty", instrument.qty_e8(*qty), instrument.spec.lot_e8);
                match venue_id {
                    Some(id) => self.number("orderId", id.0),
                    None => self.order_name("origClientOrderId", *client_id),
                }
            }
            Command::Query { client_id, .. } => self.order_name("origClientOrderId", *client_id),
            Command::Fills { venue_id, .. } => self.number("orderId", venue_id.0),
        }
        self.window();
        self.param("symbol", instrument.symbol());
        self.finish(timestamp_ms, signer, |_| ())
    }

    /// A placement that nothing signs: the order of its parameters is free, and what changes comes last.
    fn placement(&mut self, order: &NewOrder, instrument: &Instrument, timestamp_ms: u64) -> &str {
        self.id += 1;
        self.signs = false;
        self.text.clear();
        match self.heads.of(order, instrument) {
            Some(head) => self.text.push_str(head),
            None => {
                self.begin_placement(order, instrument);
                self.heads.keep(order, instrument, &self.text);
            }
        }
        let text = &mut self.text;
        text.push_str(itoa::Buffer::new().format(order.client_id.counter));
        if order.kind != OrderKind::Market {
            text.push_str(r#"","price":""#);
            format_steps(instrument.price_e8(order.price), instrument.spec.tick_e8, text);
        }
        text.push_str(r#"","quantity":""#);
        format_steps(instrument.qty_e8(order.qty), instrument.spec.lot_e8, text);
        text.push_str(r#"","timestamp":"#);
        text.push_str(itoa::Buffer::new().format(timestamp_ms));
        text.push_str(r#"},"id":""#);
        text.push_str(itoa::Buffer::new().format(self.id));
        self.text.push_str(r#""}"#);
        &self.text
    }

    fn begin_placement(&mut self, order: &NewOrder, instrument: &Instrument) {
        self.text.push_str(r#"{"method":"order.place","params":{"#);
        self.param("symbol", instrument.symbol());
        self.param("side", side_word(order.side));
        let (kind, life) = kind_words(order.kind);
        self.param("type", kind);
        if let Some(life) = life {
            self.param("timeInForce", life);
        }
        self.param("newOrderRespType", "ACK");
        self.window();
        self.key("newClientOrderId");
        self.text.push('"');
        order.client_id.push_stem_to(&mut self.text);
    }

    fn begin(&mut self, method: &str, signs: bool) {
        self.id += 1;
        self.signs = signs;
        self.text.clear();
        self.signed.clear();
        self.text.push_str(r#"{"id":""#);
        self.text.push_str(itoa::Buffer::new().format(self.id));
        self.text.push_str(r#"","method":""#);
        self.text.push_str(method);
        self.text.push_str(r#"","params":{"#);
    }

    fn end(&mut self, timestamp_ms: u64, signer: Option<&Signer>, more: impl FnOnce(&mut Self)) -> &str {
        self.window();
        self.finish(timestamp_ms, signer, more)
    }

    /// The time, what comes after it, and the signature.
    fn finish(&mut self, timestamp_ms: u64, signer: Option<&Signer>, more: impl FnOnce(&mut Self)) -> &str {
        self.number("timestamp", timestamp_ms);
        more(self);
        if let Some(signer) = signer {
            self.text.push_str(r#","signature":""#);
            // Hex and base64 need no escape in JSON.
            signer.sign(self.signed.as_bytes(), &mut self.text);
            self.text.push('"');
        }
        self.text.push_str("}}");
        &self.text
    }

    fn window(&mut self) {
        self.number("recvWindow", u64::from(self.recv_window_ms));
    }

    fn key(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        if self.signs {
            if !self.signed.is_empty() {
                self.signed.push('&');
            }
            self.signed.push_str(name);
            self.signed.push('=');
        }
    }

    fn param(&mut self, name: &str, value: &str) {
        self.key(name);
        self.text.push('"');
        self.text.push_str(value);
        self.text.push('"');
        if self.signs {
            self.signed.push_str(value);
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value);
        self.text.push_str(digits);
        if self.signs {
            self.signed.push_str(digits);
        }
    }

    fn order_name(&mut self, name: &str, id: ClientOrderId) {
        self.written(name, |text| id.push_to(text));
    }

    fn decimal(&mut self, name: &str, e8: i64, step_e8: i64) {
        self.written(name, |text| format_steps(e8, step_e8, text));
    }

    fn written(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        let mut text = std::mem::take(&mut self.value);
        text.clear();
        write(&mut text);
        self.param(name, &text);
        self.value = text;
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    status: Option<u16>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// An answer: which request's, its status and its body, which is that of the same REST request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiAnswer<'a> {
    /// The request's number.
    pub id: u64,
    /// As an HTTP status.
    pub status: u16,
    /// The result, or the error.
    pub body: &'a str,
}

/// Reads a message; `None` for one that answers no request of ours.
pub fn read_answer(text: &str) -> Option<ApiAnswer<'_>> {
    let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
    let id = envelope.id?.get().trim_matches('"').parse().ok()?;
    let body = envelope.result.or(envelope.error).map_or("{}", RawValue::get);
    Some(ApiAnswer { id, status: envelope.status?, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientOrderId, InstrumentId, Price, Qty, SessionId, Side, Symbol, TimeInForce, VenueOrderId};

    fn commands() -> [Command; 6] {
        let instrument = InstrumentId(0);
        let client_id = ClientOrderId { session: SessionId(7), counter: 9 };
        let place = |kind| {
            let (side, price, qty) = (Side::Ask, Price::from_ticks(6_500_012), Qty::from_lots(1_500));
            Command::Place(NewOrder { instrument, client_id, side, price, qty, kind })
        };
        [
            place(OrderKind::PostOnly),
            place(OrderKind::Limit(TimeInForce::Ioc)),
            Command::Cancel { instrument, client_id, venue_id: Some(VenueOrderId(5)) },
            Command::Amend { instrument, client_id, venue_id: None, qty: Qty::from_lots(700) },
            Command::Query { instrument, client_id },
            Command::Fills { instrument, client_id, venue_id: VenueOrderId(5) },
        ]
    }

    #[test]
    fn every_request_is_signed_over_its_parameters_sorted_by_name() {
        let signer = Signer::hmac(&"secret".into()).unwrap();
        let mut builder = ApiRequestBuilder::new(5000);
        for (index, command) in commands().iter().enumerate() {
            let text =
                builder.command(command, &Instrument::btcusdt(), 1_700_000_000_000, Some(("key", &signer))).to_owned();
            let request: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(request["id"], (index + 1).to_string());
            let params = request["params"].as_object().unwrap();
            let mut names: Vec<&String> = params.keys().filter(|name| *name != "signature").collect();
            names.sort();
            let shown = |value: &serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
            let payload: Vec<String> = names.iter().map(|name| format!("{name}={}", shown(&params[*name]))).collect();
            let signature = params["signature"].as_str().unwrap();
            assert!(signer.verify(payload.join("&").as_bytes(), signature), "{text}");
        }
    }

    #[test]
    fn a_connection_that_has_logged_on_sends_neither_key_nor_signature() {
        let mut builder = ApiRequestBuilder::new(5000);
        let [place, ..] = commands();
        let text = builder.command(&place, &Instrument::btcusdt(), 3, None);
        let client_id = place.client_id();
        assert_eq!(
            text,
            format!(
                r#"{{"method":"order.place","params":{{"symbol":"BTCUSDT","side":"SELL","type":"LIMIT_MAKER","newOrderRespType":"ACK","recvWindow":5000,"newClientOrderId":"{client_id}","price":"65000.12","quantity":"0.01500","timestamp":3}},"id":"1"}}"#
            )
        );
    }

    #[test]
    fn placements_say_the_same_signed_or_not_whatever_came_before() {
        let signer = Signer::hmac(&"secret".into()).unwrap();
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let mut builder = ApiRequestBuilder::new(5000);
        let kinds = [OrderKind::PostOnly, OrderKind::Limit(TimeInForce::Ioc), OrderKind::Market];
        for number in 0..200_u64 {
            let mut instrument = Instrument::btcusdt();
            if number % 7 == 0 {
                instrument.spec.symbol = Symbol::new("ETHUSDT").unwrap();
            }
            let order = NewOrder {
                instrument: InstrumentId(0),
                client_id: ClientOrderId { session: SessionId(number / 90), counter: number },
                side: Side::BOTH[usize::from(number % 3 == 0)],
                price: Price::from_ticks(100 + number as i64),
                qty: Qty::from_lots(1 + number as i64),
                kind: kinds[(number / 11 % 3) as usize],
            };
            let place = Command::Place(order);
            let bare = read(builder.command(&place, &instrument, number, None));
            let mut other = ApiRequestBuilder::new(5000);
            let mut signed = read(other.command(&place, &instrument, number, Some(("key", &signer))));
            let params = signed["params"].as_object_mut().unwrap();
            assert!(params.remove("apiKey").is_some() && params.remove("signature").is_some());
            assert_eq!((&bare["params"], &bare["method"]), (&signed["params"], &signed["method"]));
            assert_eq!(bare["id"], (number + 1).to_string());
        }
    }

    #[test]
    fn answers_are_told_from_events_and_from_each_other() {
        let answer = read_answer(r#"{"id":"12","status":200,"result":{"orderId":4},"rateLimits":[]}"#).unwrap();
        assert_eq!(answer, ApiAnswer { id: 12, status: 200, body: r#"{"orderId":4}"# });
        let answer = read_answer(r#"{"id":"13","status":400,"error":{"code":-2010,"msg":"x"}}"#).unwrap();
        assert_eq!(answer, ApiAnswer { id: 13, status: 400, body: r#"{"code":-2010,"msg":"x"}"# });
        assert_eq!(read_answer(r#"{"event":{"e":"serverShutdown"}}"#), None);
        assert_eq!(read_answer("no"), None);
    }
}
