//! Public WebSocket streams: addresses and control messages.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::front::Front;
use super::gate::Switch;
use super::hub::{ListenerId, Road};
use super::json::{TimeUnit, push_list, push_text};
use super::keys::Key;
use super::link::{self, LinkLimits};
use super::params::Params;
use super::render_market::Product;
use super::rest::json;
use super::shared::Shared;
use super::stream_name::{Entry, StreamKind, StreamName};

/// Streams that one connection may have.
const STREAMS_MAX: usize = 1_024;
/// A subscription of 1024 long names fits.
const MESSAGE_MAX: usize = 64 * 1024;

/// What an address asks for.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    product: Product,
    entry: Entry,
    combined: bool,
    /// Under `/sbe`, which stands for the host that Binance serves SBE from.
    binary: bool,
    names: Vec<String>,
}

impl Address {
    /// `/ws`, `/ws/<number>`, `/ws/<name>[/<name>…]`, `/stream?streams=…`, and the same under `/stream/ws`; all of it
    /// under `/usdm`, `/usdm/public`, `/usdm/market` and `/sbe` too, because here all of them have one port.
    fn parse(path: &str, params: &Params) -> Address {
        let (product, path) = match path.strip_prefix("/usdm") {
            Some(path) => (Product::UsdM, path),
            None => (Product::Spot, path),
        };
        let entries = [("/public", Entry::Public), ("/market", Entry::Market)].into_iter();
        let mut entries = entries.filter(|_| product == Product::UsdM);
        let (entry, path) =
            entries.find_map(|(name, entry)| Some((entry, path.strip_prefix(name)?))).unwrap_or((Entry::One, path));
        let (binary, path) = path.strip_prefix("/sbe").map_or((false, path), |path| (true, path));
        let tail = path.strip_prefix("/stream/ws").or_else(|| path.strip_prefix("/ws"));
        let (combined, list) = match tail {
            Some(tail) => (false, tail),
            None => (true, params.get("streams").unwrap_or("")),
        };
        let mut names: Vec<String> = list.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        // A number names nothing: clients use it to tell their own connections apart.
        names.retain(|name| !name.bytes().all(|byte| byte.is_ascii_digit()));
        Address { product, entry, combined, binary, names }
    }
}

/// Whether a product has such a stream here: USD-M's partial books and candles have other shapes, which are not made.
fn serves(product: Product, kind: StreamKind) -> bool {
    use StreamKind::{AggTrade, BookTicker, DepthFast, DepthSlow, Trade};
    product == Product::Spot || matches!(kind, DepthFast | DepthSlow | Trade | AggTrade | BookTicker)
}

/// Accepts a connection to the public streams.
pub async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let bad = |text: &str| {
        let mut body = String::from("{\"code\":-1100,\"msg\":");
        push_text(&mut body, text);
        body.push('}');
        json(StatusCode::BAD_REQUEST, body)
    };
    let Ok(upgrade) = upgrade else { return bad("This address takes WebSocket connections only.") };
    let params = Params::from_query_and_body(uri.query().unwrap_or(""), "");
    let unit = match params.get("timeUnit").map(TimeUnit::parse) {
        None => TimeUnit::Millis,
        Some(Some(unit)) => unit,
        Some(None) => return bad("Invalid value for time unit."),
    };
    // Paths may be percent-encoded; decoding is the same as for values.
    let path = Params::from_query_and_body(&format!("path={}", uri.path().replace('&', "%26")), "");
    let address = Address::parse(path.get("path").unwrap_or("/"), &params);
    let (id, inbox) = {
        let mut front = shared.lock();
        if address.binary {
            // A key is named and nothing is signed; only an Ed25519 key will do.
            let name = headers.get("X-MBX-APIKEY").and_then(|value| value.to_str().ok());
            if !front.keys.find(name).is_ok_and(Key::is_ed25519) {
                let body = r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#;
                return json(StatusCode::UNAUTHORIZED, body.to_owned());
            }
        }
        let mut streams = Vec::with_capacity(address.names.len());
        for name in &address.names {
            match parse(name, address.binary, &front) {
                Some(stream) if serves(address.product, stream.kind) => streams.push(stream),
                _ => return bad(&format!("Invalid request: unknown stream '{name}'.")),
            }
        }
        if streams.len() > STREAMS_MAX {
            return bad("Invalid request: too many streams.");
        }
        let (id, inbox) = front.hub.join(Road::Streams, unit, address.combined, switch);
        if let Some(listener) = front.hub.listener(id) {
            listener.product = address.product;
            listener.entry = address.entry;
            listener.binary = address.binary;
            streams.into_iter().for_each(|stream| listener.subscribe(stream));
        }
        (id, inbox)
    };
    let failed = Arc::clone(&shared);
    upgrade.max_message_size(MESSAGE_MAX).on_failed_upgrade(move |_| failed.lock().hub.leave(id)).on_upgrade(
        move |socket| async move {
            link::serve(socket, inbox, LinkLimits::STREAMS, |text| Some(control(&mut shared.lock(), id, text))).await;
            shared.lock().hub.leave(id);
        },
    )
}

fn parse(name: &str, binary: bool, front: &Front) -> Option<StreamName> {
    let find = |symbol: &str| front.find_symbol(symbol);
    if binary { StreamName::parse_binary(name, find) } else { StreamName::parse(name, find) }
}

#[derive(Deserialize)]
struct ControlMessage<'a> {
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Why a control message is refused: Binance's code and text.
type ControlError = (u8, String);

/// Answers a control message.
fn control(front: &mut Front, id: ListenerId, text: &str) -> String {
    let Ok(message) = serde_json::from_str::<ControlMessage<'_>>(text) else {
        let code = if serde_json::from_str::<&RawValue>(text).is_ok() { 2 } else { 3 };
        let reason = if code == 3 { "Invalid JSON: not a JSON text" } else { "Invalid request: no method" };
        return format!(r#"{{"error":{{"code":{code},"msg":"{reason}"}},"id":null}}"#);
    };
    let message_id = message.id.map_or("null", RawValue::get);
    let params = message.params.map_or("[]", RawValue::get);
    let answer = match message_id.as_bytes().first() {
        Some(b'{' | b'[' | b't' | b'f') => Err((2, "Invalid request: id must be a number, a text or null".to_owned())),
        _ => apply(front, id, &message.method, params),
    };
    let mut out = String::with_capacity(128);
    match answer {
        Ok(result) => out.push_str(&format!(r#"{{"result":{result},"id":{message_id}}}"#)),
        Err((code, reason)) => {
            out.push_str(&format!(r#"{{"error":{{"code":{code},"msg":"#));
            push_text(&mut out, &reason);
            out.push_str(&format!(r#"}},"id":{message_id}}}"#));
        }
    }
    out
}

fn apply(front: &mut Front, id: ListenerId, method: &str, params: &str) -> Result<String, ControlError> {
    let invalid = |why: &str| (2, format!("Invalid request: {why}"));
    let adds = method == "SUBSCRIBE";
    match method {
        "SUBSCRIBE" | "UNSUBSCRIBE" => {
            let names: Vec<String> =
                serde_json::from_str(params).map_err(|_| invalid("params must be a list of stream names"))?;
            let binary = front.hub.listener(id).is_some_and(|listener| listener.binary);
            let mut streams = Vec::with_capacity(names.len());
            for name in &names {
                let stream = parse(name, binary, front);
                streams.push(stream.ok_or_else(|| invalid(&format!("unknown stream '{name}'")))?);
            }
            let listener = front.hub.listener(id).ok_or_else(|| invalid("the connection is closing"))?;
            if let Some(at) = streams.iter().position(|stream| !serves(listener.product, stream.kind)) {
                return Err(invalid(&format!("unknown stream '{}'", names[at])));
            }
            if adds && listener.streams.len() + streams.len() > STREAMS_MAX {
                return Err(invalid("too many streams"));
            }
            for stream in streams {
                if adds { listener.subscribe(stream) } else { listener.unsubscribe(stream) }
            }
            Ok("null".to_owned())
        }
        "LIST_SUBSCRIPTIONS" => {
            let listener = front.hub.listener(id).map(|listener| (listener.binary, listener.streams.clone()));
            let (binary, streams) = listener.unwrap_or_default();
            let mut out = String::new();
            push_list(&mut out, streams, |out, stream| {
                let name = stream.text(front.instrument(stream.symbol).symbol());
                push_text(out, if binary { name.trim_end_matches("@100ms") } else { &name });
            });
            Ok(out)
        }
        "SET_PROPERTY" | "GET_PROPERTY" => {
            let list: Vec<serde_json::Value> =
                serde_json::from_str(params).map_err(|_| invalid("params must be a list"))?;
            if list.first().and_then(|name| name.as_str()) != Some("combined") {
                return Err((0, "Unknown property".to_owned()));
            }
            let listener = front.hub.listener(id).ok_or_else(|| invalid("the connection is closing"))?;
            if method == "GET_PROPERTY" {
                return Ok(listener.combined.to_string());
            }
            let value = list.get(1).and_then(serde_json::Value::as_bool);
            listener.combined = value.ok_or_else(|| (1, "Invalid value type: expected Boolean".to_owned()))?;
            Ok("null".to_owned())
        }
        _ => Err(invalid(&format!("unknown method '{method}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_address_is_understood() {
        let address = |path: &str, query: &str| {
            let address = Address::parse(path, &Params::from_query_and_body(query, ""));
            assert_eq!(address.product == Product::UsdM, path.starts_with("/usdm"));
            let entries = [("/usdm/public", Entry::Public), ("/usdm/market", Entry::Market)];
            let entry = entries.iter().find(|(name, _)| path.starts_with(name));
            assert_eq!(address.entry, entry.map_or(Entry::One, |(_, entry)| *entry));
            assert!(Address::parse(&format!("/sbe{path}"), &Params::from_query_and_body(query, "")).binary);
            assert!(!address.binary);
            (address.combined, address.names.join(" "))
        };
        for (path, query, combined, names) in [
            ("/ws", "", false, ""),
            ("/ws/0", "", false, ""),
            ("/ws/17", "", false, ""),
            ("/ws/btcusdt@trade", "", false, "btcusdt@trade"),
            ("/ws/btcusdt@trade/btcusdt@depth@100ms", "", false, "btcusdt@trade btcusdt@depth@100ms"),
            ("/stream", "", true, ""),
            ("/stream", "streams=btcusdt@trade/btcusdt@bookTicker", true, "btcusdt@trade btcusdt@bookTicker"),
            ("/stream/ws", "", false, ""),
            ("/usdm/ws", "", false, ""),
            ("/usdm/stream", "streams=btcusdt@trade", true, "btcusdt@trade"),
            ("/usdm/public/ws/btcusdt@trade", "", false, "btcusdt@trade"),
            ("/usdm/market/stream", "streams=btcusdt@aggTrade", true, "btcusdt@aggTrade"),
            ("/stream/ws/2", "", false, ""),
            ("/stream/ws/btcusdt@trade", "", false, "btcusdt@trade"),
        ] {
            assert_eq!(address(path, query), (combined, names.to_owned()), "{path}?{query}");
        }
    }
}
