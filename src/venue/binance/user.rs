//! The user-data stream of the WebSocket API: subscribing, and its events as inputs.
//!
//! Pure: text in, inputs out. Called by the feed tile. Source: Binance Spot "User Data Streams" and "WebSocket API".

use std::borrow::Cow;

use serde::Deserialize;

use super::rest::venue_time;
use super::sign::Signer;
use crate::types::{
    Asset, Balance, ClientOrderId, ExecKind, ExecReport, ExecSource, FeeAsset, Fill, Input, Instrument, Price, Qty,
    RejectReason, Side, TimestampNs, TradeId, VenueOrderId, parse_e8,
};

/// The text that subscribes the connection to the account's events.
pub fn subscribe_request(id: u64, api_key: &str, timestamp_ms: u64, recv_window_ms: u32, signer: &Signer) -> String {
    // The WebSocket API signs the parameters sorted by name, without percent-encoding.
    let payload = format!("apiKey={api_key}&recvWindow={recv_window_ms}&timestamp={timestamp_ms}");
    let mut signature = String::with_capacity(96);
    signer.sign(payload.as_bytes(), &mut signature);
    format!(
        r#"{{"id":"{id}","method":"userDataStream.subscribe.signature","params":{{"apiKey":"{api_key}","recvWindow":{recv_window_ms},"signature":"{signature}","timestamp":{timestamp_ms}}}}}"#
    )
}

/// What a message of the WebSocket API means to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserMessage {
    /// The answer to our subscription: it is live.
    Subscribed,
    /// The subscription was refused, with the venue's code.
    Refused {
        /// The venue's error code.
        code: i32,
    },
    /// Something happened to an order of ours.
    Exec(ExecReport),
    /// Balances, absolute.
    Balances(Vec<Balance>),
    /// The stream ended or the server is about to: subscribe again.
    Ended,
    /// Nothing that concerns us: another account's tool's order, another symbol, a list status.
    Ignored,
}

/// A message that is not understood; the stream can no longer be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Not the JSON that is documented.
    #[error("the user-data message is not of the documented form")]
    Form,
    /// A field holds what it may not hold.
    #[error("the user-data field `{field}` cannot be read")]
    Field {
        /// The field's name in the protocol.
        field: &'static str,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a serde_json::value::RawValue>,
    status: Option<u16>,
    #[serde(borrow)]
    error: Option<ApiError<'a>>,
}

#[derive(Deserialize)]
struct ApiError<'a> {
    code: i32,
    #[serde(borrow, default, rename = "msg")]
    _text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the protocol's own field names, of which case is a part")]
struct ExecutionReport<'a> {
    s: Cow<'a, str>,
    c: Cow<'a, str>,
    S: &'a str,
    q: &'a str,
    C: Option<Cow<'a, str>>,
    x: &'a str,
    X: &'a str,
    #[serde(default)]
    r: Option<&'a str>,
    i: u64,
    l: &'a str,
    z: &'a str,
    L: &'a str,
    n: Option<&'a str>,
    N: Option<&'a str>,
    T: u64,
    t: i64,
    #[serde(default)]
    m: bool,
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the protocol's own field names, of which case is a part")]
struct AccountPosition<'a> {
    #[serde(borrow)]
    B: Vec<PositionRow<'a>>,
}

#[derive(Deserialize)]
struct PositionRow<'a> {
    a: &'a str,
    f: &'a str,
    l: &'a str,
}

/// Reads one text message of the WebSocket API connection.
///
/// # Errors
/// [`UserError`] when it is not understood: the caller must treat the stream as lost, for a fill may have been in it.
pub fn decode(text: &[u8], instruments: &[Instrument], recv_ts: TimestampNs) -> Result<UserMessage, UserError> {
    let envelope: Envelope<'_> = serde_json::from_slice(text).map_err(|_| UserError::Form)?;
    if let Some(event) = envelope.event {
        return decode_event(event.get(), instruments, recv_ts);
    }
    match (envelope.status, envelope.error) {
        (Some(200), _) => Ok(UserMessage::Subscribed),
        (_, Some(error)) => Ok(UserMessage::Refused { code: error.code }),
        _ => Err(UserError::Form),
    }
}

fn decode_event(event: &str, instruments: &[Instrument], recv_ts: TimestampNs) -> Result<UserMessage, UserError> {
    let kind: Kind<'_> = serde_json::from_str(event).map_err(|_| UserError::Form)?;
    match &*kind.e {
        "executionReport" => {
            let report: ExecutionReport<'_> = serde_json::from_str(event).map_err(|_| UserError::Form)?;
            execution(&report, instruments, recv_ts)
        }
        "outboundAccountPosition" => {
            let position: AccountPosition<'_> = serde_json::from_str(event).map_err(|_| UserError::Form)?;
            let balances: Result<Vec<Balance>, UserError> = position.B.iter().map(balance).collect();
            Ok(UserMessage::Balances(balances?))
        }
        "eventStreamTerminated" | "serverShutdown" => Ok(UserMessage::Ended),
        _ => Ok(UserMessage::Ignored),
    }
}

fn balance(row: &PositionRow<'_>) -> Result<Balance, UserError> {
    let amount = |text: &str, field| parse_e8(text.as_bytes()).map_err(|_| UserError::Field { field });
    Ok(Balance {
        asset: Asset::new(row.a).map_err(|_| UserError::Field { field: "a" })?,
        free_e8: amount(row.f, "f")?,
        locked_e8: amount(row.l, "l")?,
    })
}

fn execution(
    report: &ExecutionReport<'_>,
    instruments: &[Instrument],
    recv_ts: TimestampNs,
) -> Result<UserMessage, UserError> {
    let Some(instrument) = instruments.iter().find(|instrument| instrument.symbol() == report.s) else {
        return Ok(UserMessage::Ignored);
    };
    // On cancels and amends `c` names the request and `C` the order that it was about.
    let original = report.C.as_deref().filter(|name| !name.is_empty());
    let renamed = matches!(report.x, "CANCELED" | "REPLACED");
    let name = if renamed { original.unwrap_or(&report.c) } else { &report.c };
    let Some(client_id) = ClientOrderId::parse(name) else {
        return Ok(UserMessage::Ignored);
    };
    let qty = |text: &str, field| -> Result<Qty, UserError> {
        instrument.qty_from_text(text.as_bytes()).map_err(|_| UserError::Field { field })
    };
    let cum_qty = qty(report.z, "z")?;
    let kind = match report.x {
        "NEW" => ExecKind::Accepted,
        "TRADE" => {
            let fee_e8 = parse_e8(report.n.unwrap_or("0").as_bytes()).map_err(|_| UserError::Field { field: "n" })?;
            ExecKind::Fill(Fill {
                trade_id: TradeId(report.t),
                side: match report.S {
                    "BUY" => Side::Bid,
                    "SELL" => Side::Ask,
                    _ => return Err(UserError::Field { field: "S" }),
                },
                price: price(report.L, instrument)?,
                qty: qty(report.l, "l")?,
                cum_qty,
                order_qty: qty(report.q, "q")?,
                fee_e8,
                fee_asset: fee_asset(fee_e8, report.N, instrument),
                is_maker: report.m,
            })
        }
        "CANCELED" => ExecKind::Canceled { cum_qty },
        "REPLACED" => ExecKind::Amended { qty: qty(report.q, "q")? },
        "REJECTED" => ExecKind::Rejected(match report.r {
            Some("INSUFFICIENT_BALANCES") => RejectReason::InsufficientBalance,
            Some("WOULD_MATCH_IMMEDIATELY") => RejectReason::WouldCross,
            _ => RejectReason::Other,
        }),
        "EXPIRED" => ExecKind::Expired { cum_qty },
        // A prevented match ends the order only if its status says so.
        "TRADE_PREVENTION" if matches!(report.X, "EXPIRED" | "EXPIRED_IN_MATCH") => ExecKind::Expired { cum_qty },
        _ => return Ok(UserMessage::Ignored),
    };
    Ok(UserMessage::Exec(ExecReport {
        instrument: instrument.id,
        client_id,
        venue_id: Some(VenueOrderId(report.i)),
        event_ts: venue_time(report.T),
        recv_ts,
        source: ExecSource::UserStream,
        kind,
    }))
}

fn price(text: &str, instrument: &Instrument) -> Result<Price, UserError> {
    instrument.price_from_text(text.as_bytes()).map_err(|_| UserError::Field { field: "L" })
}

/// Which asset a commission was taken in.
pub fn fee_asset(fee_e8: i64, name: Option<&str>, instrument: &Instrument) -> FeeAsset {
    match name {
        _ if fee_e8 == 0 => FeeAsset::None,
        None => FeeAsset::None,
        Some(name) if name == instrument.spec.base.as_str() => FeeAsset::Base,
        Some(name) if name == instrument.spec.quote.as_str() => FeeAsset::Quote,
        Some(_) => FeeAsset::Other,
    }
}

/// The inputs of a message, in order.
pub fn inputs(message: UserMessage) -> impl Iterator<Item = Input> {
    let (exec, balances) = match message {
        UserMessage::Exec(report) => (Some(Input::Exec(report)), Vec::new()),
        UserMessage::Balances(balances) => (None, balances),
        _ => (None, Vec::new()),
    };
    exec.into_iter().chain(balances.into_iter().map(Input::Balance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SessionId;

    /// The documented example with our own id in it; `edit` changes fields of it.
    fn report(edits: &[(&str, &str)]) -> String {
        let mut text = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1784102400470,"s":"BTCUSDT","c":"tl10-7","S":"BUY","o":"LIMIT_MAKER","f":"GTC","q":"0.01000000","p":"61250.10000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":9001,"l":"0.00400000","z":"0.00400000","L":"61250.10000000","n":"0.00000400","N":"BTC","T":1784102400469,"t":4100200311,"I":55501,"w":true,"m":true,"M":true,"O":1784102400456,"Z":"245.00040000","Y":"245.00040000","Q":"0.00000000","W":1784102400456,"V":"EXPIRE_MAKER"}}"#.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        text
    }

    fn read(text: &str) -> Result<UserMessage, UserError> {
        decode(text.as_bytes(), &[Instrument::btcusdt()], TimestampNs::from_nanos(1))
    }

    fn exec(text: &str) -> ExecReport {
        match read(text) {
            Ok(UserMessage::Exec(report)) => report,
            other => panic!("{other:?} for {text}"),
        }
    }

    #[test]
    fn a_trade_becomes_a_fill_with_its_fee() {
        let got = exec(&report(&[]));
        assert_eq!(got.client_id, ClientOrderId { session: SessionId(36), counter: 7 });
        assert_eq!((got.venue_id, got.source), (Some(VenueOrderId(9001)), ExecSource::UserStream));
        assert_eq!(
            got.kind,
            ExecKind::Fill(Fill {
                trade_id: TradeId(4_100_200_311),
                side: Side::Bid,
                price: Price::from_ticks(6_125_010),
                qty: Qty::from_lots(400),
                cum_qty: Qty::from_lots(400),
                order_qty: Qty::from_lots(1000),
                fee_e8: 400,
                fee_asset: FeeAsset::Base,
                is_maker: true,
            })
        );
    }

    #[test]
    fn cancels_are_known_by_the_original_name() {
        let text = report(&[
            (r#""c":"tl10-7""#, r#""c":"web_0815""#),
            (r#""C":"""#, r#""C":"tl10-7""#),
            (r#""x":"TRADE""#, r#""x":"CANCELED""#),
            ("PARTIALLY_FILLED", "CANCELED"),
        ]);
        let got = exec(&text);
        assert_eq!(got.client_id.counter, 7);
        assert_eq!(got.kind, ExecKind::Canceled { cum_qty: Qty::from_lots(400) });
    }

    #[test]
    fn every_execution_type_has_its_meaning() {
        let cum_qty = Qty::from_lots(400);
        for (x, status, want) in [
            ("NEW", "NEW", Some(ExecKind::Accepted)),
            ("REPLACED", "NEW", Some(ExecKind::Amended { qty: Qty::from_lots(1000) })),
            ("EXPIRED", "EXPIRED", Some(ExecKind::Expired { cum_qty })),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", Some(ExecKind::Expired { cum_qty })),
            ("TRADE_PREVENTION", "PARTIALLY_FILLED", None),
            ("REJECTED", "REJECTED", Some(ExecKind::Rejected(RejectReason::Other))),
            ("A_TYPE_OF_TOMORROW", "NEW", None),
        ] {
            let text = report(&[(r#""x":"TRADE""#, &format!(r#""x":"{x}""#)), ("PARTIALLY_FILLED", status)]);
            match (read(&text).unwrap(), want) {
                (UserMessage::Exec(got), Some(kind)) => assert_eq!(got.kind, kind, "{x}"),
                (UserMessage::Ignored, None) => {}
                (got, want) => panic!("{x}: {got:?} instead of {want:?}"),
            }
        }
    }

    #[test]
    fn foreign_orders_and_other_symbols_are_ignored() {
        assert_eq!(read(&report(&[("tl10-7", "x-abc")])), Ok(UserMessage::Ignored));
        assert_eq!(read(&report(&[("BTCUSDT", "ETHUSDT")])), Ok(UserMessage::Ignored));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_skipped() {
        assert_eq!(
            read(&report(&[(r#""l":"0.00400000""#, r#""l":"0.000000004""#)])),
            Err(UserError::Field { field: "l" })
        );
        assert_eq!(read(r#"{"event":{"e":"executionReport"}}"#), Err(UserError::Form));
        assert_eq!(read("{"), Err(UserError::Form));
    }

    #[test]
    fn balances_answers_and_ends_are_told_apart() {
        let text = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"USDT","f":"9754.99","l":"612.50"}]}}"#;
        let want = Balance { asset: Asset::new("USDT").unwrap(), free_e8: 975_499_000_000, locked_e8: 61_250_000_000 };
        assert_eq!(read(text), Ok(UserMessage::Balances(vec![want])));
        assert_eq!(read(r#"{"id":"1","status":200,"result":{"subscriptionId":0}}"#), Ok(UserMessage::Subscribed));
        let refused = r#"{"id":"1","status":400,"error":{"code":-2015,"msg":"Invalid API-key"}}"#;
        assert_eq!(read(refused), Ok(UserMessage::Refused { code: -2015 }));
        let ended = r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}"#;
        assert_eq!(read(ended), Ok(UserMessage::Ended));
        assert_eq!(read(r#"{"event":{"e":"serverShutdown","E":1}}"#), Ok(UserMessage::Ended));
    }

    #[test]
    fn the_subscription_signs_its_sorted_parameters() {
        let signer = Signer::hmac(&"secret".into()).unwrap();
        let text = subscribe_request(3, "key", 1_700_000_000_000, 5000, &signer);
        let mut signature = String::new();
        signer.sign(b"apiKey=key&recvWindow=5000&timestamp=1700000000000", &mut signature);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["method"], "userDataStream.subscribe.signature");
        assert_eq!(value["params"]["signature"], signature.as_str());
        assert_eq!(value["params"]["timestamp"], 1_700_000_000_000_u64);
    }
}
