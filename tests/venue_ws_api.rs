//! The embedded venue's WebSocket API: envelope, signatures over raw text, sessions, user data.

mod venue_client;

use serde_json::{Value, json};
use touchline::sim::MarketSource;
use venue_client::{Client, Socket, now_ms, venue};

/// A signed request from `params` as JSON text, each value signed as its raw token reads.
fn signed(client: &Client, id: &str, method: &str, params: &[(&str, &str)]) -> String {
    let time = now_ms().to_string();
    let key = format!("\"{}\"", client.api_key);
    let mut all: Vec<(&str, &str)> = params.to_vec();
    all.extend([("apiKey", key.as_str()), ("timestamp", time.as_str())]);
    all.sort();
    let plain: Vec<String> = all.iter().map(|(name, token)| format!("{name}={}", token.trim_matches('"'))).collect();
    let mut signature = String::new();
    client.signer.sign(plain.join("&").as_bytes(), &mut signature);
    let fields: Vec<String> = all.iter().map(|(name, token)| format!("\"{name}\":{token}")).collect();
    format!(r#"{{"id":{id},"method":"{method}","params":{{{},"signature":"{signature}"}}}}"#, fields.join(","))
}

const PLACE: [(&str, &str); 6] = [
    ("symbol", "\"BTCUSDT\""),
    ("side", "\"BUY\""),
    ("type", "\"LIMIT_MAKER\""),
    ("price", "59000.10"),
    ("quantity", "0.0500"),
    ("newOrderRespType", "\"RESULT\""),
];

#[test]
fn numbers_are_verified_by_their_raw_text_and_unknown_parameters_ignored() {
    let venue = venue(MarketSource::Empty);
    for client in [Client::new(&venue, 0), Client::ed25519(&venue, 0)] {
        let mut socket = Socket::open(&venue.ws_api_url());
        let mut params = PLACE.to_vec();
        params.push(("postOnly", "true"));
        let placed = socket.ask(&signed(&client, "\"a-1\"", "order.place", &params));
        assert_eq!((&placed["id"], &placed["status"]), (&json!("a-1"), &json!(200)), "{placed}");
        assert_eq!(placed["result"]["origQty"], "0.05000000");
        let limits: Vec<&Value> =
            placed["rateLimits"].as_array().unwrap().iter().map(|one| &one["rateLimitType"]).collect();
        assert_eq!(limits, ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]);

        // An order id may come as a text.
        let id = format!("\"{}\"", placed["result"]["orderId"]);
        let cancel = [("symbol", "\"BTCUSDT\""), ("orderId", id.as_str()), ("returnRateLimits", "false")];
        let cancelled = socket.ask(&signed(&client, "7", "order.cancel", &cancel));
        assert_eq!(cancelled["result"]["status"], "CANCELED", "{cancelled}");
        assert!(cancelled.get("rateLimits").is_none());
        let again = socket.ask(&signed(&client, "null", "order.cancel", &cancel));
        assert_eq!((&again["status"], &again["error"]["code"]), (&json!(400), &json!(-2011)));
        assert_eq!(again["id"], Value::Null);

        let tampered = signed(&client, "8", "order.place", &PLACE).replace("0.0500", "0.05");
        assert_eq!(socket.ask(&tampered)["error"]["code"], -1022, "the same number in other words is another text");
    }
}

#[test]
fn user_data_tells_what_happens_to_orders() {
    let venue = venue(MarketSource::Empty);
    let (client, other) = (Client::new(&venue, 0), Client::new(&venue, 1));
    let mut socket = Socket::open(&format!("{}?timeUnit=MICROSECOND", venue.ws_api_url()));
    let subscribe = |client: &Client| signed(client, "\"1\"", "userDataStream.subscribe.signature", &[]);
    assert_eq!(socket.ask(&subscribe(&client))["result"], json!({"subscriptionId": 0}));
    assert_eq!(socket.ask(&subscribe(&client))["error"]["code"], -2035);
    assert_eq!(socket.ask(&subscribe(&other))["result"], json!({"subscriptionId": 1}));
    assert_eq!(
        socket.ask(r#"{"id":4,"method":"session.subscriptions"}"#)["result"],
        json!([{"subscriptionId":0},{"subscriptionId":1}])
    );

    let report = |socket: &mut Socket, subscription: u64, kind: &str| {
        socket.read_until(|message| message["subscriptionId"] == subscription && message["event"]["x"] == kind)["event"]
            .clone()
    };
    let placed = client.post_only("SELL", "61000", "0.2", "mm-1");
    let new = report(&mut socket, 0, "NEW");
    assert_eq!((&new["c"], &new["X"], &new["i"]), (&json!("mm-1"), &json!("NEW"), &placed.body["orderId"]));
    assert!(new["E"].as_u64().unwrap() > 1_000_000_000_000_000);
    let held = socket.read_until(|message| message["event"]["e"] == "outboundAccountPosition");
    assert!(held["event"]["B"].as_array().unwrap().contains(&json!({"a":"BTC","f":"99.80000000","l":"0.20000000"})));

    other.signed("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.05");
    let fill = socket.read_until(|message| message["subscriptionId"] == 0 && message["event"]["x"] == "TRADE");
    let fill = &fill["event"];
    assert_eq!(
        (&fill["X"], &fill["l"], &fill["z"], &fill["m"]),
        (&json!("PARTIALLY_FILLED"), &json!("0.05000000"), &json!("0.05000000"), &json!(true))
    );
    // 10 bp of what the seller receives.
    assert_eq!((&fill["n"], &fill["N"], &fill["Y"]), (&json!("3.05000000"), &json!("USDT"), &json!("3050.00000000")));

    client.signed("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=mm-1&newClientOrderId=bye");
    let gone = report(&mut socket, 0, "CANCELED");
    assert_eq!((&gone["c"], &gone["C"], &gone["X"]), (&json!("bye"), &json!("mm-1"), &json!("CANCELED")));

    socket.send(r#"{"id":9,"method":"userDataStream.unsubscribe","params":{"subscriptionId":0}}"#);
    socket.read_until(|message| message["event"]["e"] == "eventStreamTerminated" && message["subscriptionId"] == 0);
    client.post_only("SELL", "61000", "0.2", "mm-2");
    assert_eq!(socket.ask(r#"{"id":10,"method":"ping"}"#)["result"], json!({}), "nothing came in between");
}

#[test]
fn a_session_replaces_key_and_signature_but_not_the_time() {
    let venue = venue(MarketSource::Empty);
    let client = Client::ed25519(&venue, 0);
    let mut socket = Socket::open(&venue.ws_api_url());
    let status = |socket: &mut Socket, time: &str| {
        let params = if time.is_empty() { String::new() } else { format!(r#""timestamp":{time}"#) };
        socket.ask(&format!(r#"{{"id":1,"method":"account.status","params":{{{params}}}}}"#))
    };
    let time = now_ms().to_string();
    assert_eq!(status(&mut socket, &time)["error"]["code"], -1102, "nobody has logged on");
    assert_eq!(socket.ask(r#"{"id":2,"method":"userDataStream.subscribe"}"#)["status"], 401);
    let logon = socket.ask(&signed(&client, "3", "session.logon", &[]));
    assert_eq!(logon["result"]["apiKey"], client.api_key.as_str(), "{logon}");
    assert_eq!(status(&mut socket, &now_ms().to_string())["status"], 200);
    assert_eq!(status(&mut socket, "")["error"]["code"], -1102);
    assert_eq!(status(&mut socket, "1")["error"]["code"], -1021);
    assert_eq!(socket.ask(r#"{"id":4,"method":"userDataStream.subscribe"}"#)["result"]["subscriptionId"], 0);
    assert_eq!(socket.ask(r#"{"id":5,"method":"session.status"}"#)["result"]["userDataStream"], true);
    socket.send(r#"{"id":6,"method":"session.logout"}"#);
    socket.read_until(|message| message["event"]["e"] == "eventStreamTerminated");
    assert_eq!(status(&mut socket, &now_ms().to_string())["error"]["code"], -1102);
}

#[test]
fn malformed_requests_get_an_answer() {
    let venue = venue(MarketSource::Empty);
    let mut socket = Socket::open(&venue.ws_api_url());
    for (ask, code) in [
        ("rubbish", -1102),
        (r#"{"id":1}"#, -1102),
        (r#"{"id":1,"method":"order.place","params":[]}"#, -1102),
        (r#"{"id":1,"method":"nothing.at.all"}"#, -1020),
        (r#"{"id":1,"method":"depth","params":{"symbol":"NOPE"}}"#, -1121),
        (r#"{"id":1,"method":"order.place","params":{"symbol":"BTCUSDT"}}"#, -1102),
    ] {
        assert_eq!(socket.ask(ask)["error"]["code"], code, "{ask}");
    }
    assert_eq!(socket.ask(r#"{"id":2,"method":"v3/time"}"#)["status"], 200);
}
