//! The embedded venue's REST as clients see it: signatures, refusals in Binance's words, weights, order life.

mod venue_client;

use serde_json::json;
use touchline::sim::{AccountId, MarketSource};
use venue_client::{Client, now_ms, synthetic, venue};

#[test]
fn signatures_are_checked_over_the_raw_bytes() {
    let venue = venue(MarketSource::Empty);
    for client in [Client::new(&venue, 0), Client::ed25519(&venue, 0)] {
        assert_eq!(client.signed("GET", "/api/v3/account", "").status, 200);
        // Percent-encoding and order are the client's choice, as long as what is signed is what is sent.
        let query = "omitZeroBalances=%74rue&recvWindow=10000";
        assert_eq!(client.signed("GET", "/api/v3/account", query).status, 200);

        // Query and body are joined without a separator.
        let (query, body) = ("symbol=BTCUSDT&side=BUY", format!("&type=MARKET&quantity=1&timestamp={}", now_ms()));
        let mut payload = format!("{query}{body}");
        let signed = payload.len();
        client.signer.sign_query(&mut payload);
        let body = format!("{}{}", body.trim_start_matches('&'), &payload[signed..]);
        let with_separator_lost = client.send("POST", "/api/v3/order/test", query, Some(&body), Some(&client.api_key));
        assert_eq!(with_separator_lost.code(), -1022, "an ampersand that was signed but not sent");

        let mut body = format!("type=MARKET&quantity=1&timestamp={}", now_ms());
        let mut payload = format!("{query}{body}");
        let signed = payload.len();
        client.signer.sign_query(&mut payload);
        body.push_str(&payload[signed..]);
        let answer = client.send("POST", "/api/v3/order/test", query, Some(&body), Some(&client.api_key));
        assert_eq!((answer.status, answer.body), (200, json!({})));
    }
}

#[test]
fn bad_requests_are_refused_with_the_documented_codes() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC";
    for (method, path, query, status, code) in [
        ("GET", "account", "timestamp=1".to_owned(), 400, -1021),
        ("GET", "account", format!("timestamp={}", now_ms() + 60_000), 400, -1021),
        ("GET", "account", format!("timestamp={}&recvWindow=60001", now_ms()), 400, -1131),
        ("GET", "order", "symbol=BTCUSDT".into(), 400, -1102),
        ("GET", "order", "symbol=BTCUSDT&orderId=77".into(), 400, -2013),
        ("GET", "order", "orderId=77".into(), 400, -1102),
        ("GET", "order", "symbol=NOPE&orderId=77".into(), 400, -1121),
        ("DELETE", "order", "symbol=BTCUSDT&orderId=77".into(), 400, -2011),
        ("DELETE", "order", "symbol=BTCUSDT&orderId=x".into(), 400, -1100),
        ("POST", "order", "symbol=BTCUSDT&side=UP&type=MARKET&quantity=1".into(), 400, -1117),
        ("POST", "order", "symbol=BTCUSDT&side=BUY&type=STOP_LOSS&quantity=1".into(), 400, -2010),
        ("POST", "order", "symbol=BTCUSDT&side=BUY&type=PARTY&quantity=1".into(), 400, -1116),
        ("POST", "order", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1".into(), 400, -1102),
        (
            "POST",
            "order",
            "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&timeInForce=GTC&quantity=1&price=1".into(),
            400,
            -1106,
        ),
        ("POST", "order", "symbol=BTCUSDT&side=BUY&type=MARKET".into(), 400, -1102),
        ("POST", "order", format!("{order}&price=60000&quantity=1.000000001"), 400, -1111),
        ("POST", "order", format!("{order}&price=6e4&quantity=1"), 400, -1100),
        ("POST", "order", format!("{order}&price=-1&quantity=1"), 400, -1100),
        ("POST", "order", format!("{order}&price=60000.001&quantity=1"), 400, -1013),
        ("POST", "order", format!("{order}&price=60000&quantity=0.000001"), 400, -1013),
        ("POST", "order", format!("{order}&price=60000&quantity=0.00001"), 400, -1013),
        ("POST", "order", format!("{order}&price=60000&quantity=500"), 400, -2010),
        ("POST", "order", format!("{order}&price=60000&quantity=1&newClientOrderId=%22"), 400, -1100),
        ("POST", "order", format!("{order}&price=60000&quantity=1&selfTradePreventionMode=TRANSFER"), 400, -1020),
        ("PUT", "order/amend/keepPriority", "symbol=BTCUSDT&orderId=1".into(), 400, -1102),
        ("GET", "userDataStream", String::new(), 410, -1020),
        ("GET", "nowhere", String::new(), 400, -1020),
    ] {
        let answer = client.signed(method, &format!("/api/v3/{path}"), &query);
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path} {query}: {}", answer.body);
    }
    let wallet = client.signed("GET", "/sapi/v1/capital/config/getall", "");
    assert_eq!((wallet.status, wallet.code()), (400, -1020));

    let query = format!("timestamp={}&signature=00", now_ms());
    for (key, code, status) in [
        (None, -2014, 401),
        (Some("short"), -2014, 401),
        (Some(&*"x".repeat(64)), -2015, 401),
        (Some(&client.api_key), -1022, 400),
    ] {
        let answer = client.send("GET", "/api/v3/account", &query, None, key);
        assert_eq!((answer.status, answer.code()), (status, code));
    }
    assert_eq!(venue.with_venue(|venue| venue.open_orders(AccountId(1), None).len()), 0, "a refusal changes nothing");
}

#[test]
fn an_order_lives_as_documented() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);
    let placed = client.post_only("BUY", "59000.10", "0.5", "mm-1");
    assert_eq!(placed.status, 200, "{}", placed.body);
    assert_eq!(placed.body["status"], "NEW");
    assert_eq!(placed.body["price"], "59000.10000000");
    assert_eq!(placed.header("x-mbx-order-count-10s"), Some("1"));
    assert_eq!(placed.header("x-mbx-order-count-1d"), Some("1"));
    let id = placed.body["orderId"].as_u64().unwrap();

    // The default answer of LIMIT_MAKER is an ACK.
    let ack =
        client.signed("POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&price=61000&quantity=0.5");
    let mut fields: Vec<_> = ack.body.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["clientOrderId", "orderId", "orderListId", "symbol", "transactTime"]);

    let crossing = client.post_only("BUY", "61000", "0.5", "mm-2");
    assert_eq!((crossing.status, crossing.code()), (400, -2010));
    assert_eq!(crossing.body["msg"], "Order would immediately match and take.");
    let again = client.post_only("BUY", "58000", "0.5", "mm-1");
    assert_eq!(again.body["msg"], "Duplicate order sent.");

    let depth = client.public("/api/v3/depth", "symbol=BTCUSDT&limit=5");
    assert_eq!(depth.body["bids"], json!([["59000.10000000", "0.50000000"]]));
    assert_eq!(depth.body["asks"], json!([["61000.00000000", "0.50000000"]]));

    let amended = client.signed(
        "PUT",
        "/api/v3/order/amend/keepPriority",
        &format!("symbol=BTCUSDT&orderId={id}&newQty=0.3&newClientOrderId=mm-1"),
    );
    assert_eq!(amended.body["amendedOrder"]["qty"], "0.30000000", "{}", amended.body);
    assert_eq!(amended.body["amendedOrder"]["clientOrderId"], "mm-1");
    let larger =
        client.signed("PUT", "/api/v3/order/amend/keepPriority", &format!("symbol=BTCUSDT&orderId={id}&newQty=1"));
    assert_eq!(larger.code(), -2038);

    // Another account takes part of it.
    let other = Client::new(&venue, 1);
    let sold = other.signed("POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.1");
    assert_eq!(sold.body["status"], "FILLED");
    assert_eq!(sold.body["fills"][0]["price"], "59000.10000000");
    let seen = client.signed("GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=mm-1");
    assert_eq!((&seen.body["status"], &seen.body["executedQty"]), (&json!("PARTIALLY_FILLED"), &json!("0.10000000")));
    let trades = client.signed("GET", "/api/v3/myTrades", "symbol=BTCUSDT");
    assert_eq!(trades.body.as_array().unwrap().len(), 1);
    assert_eq!(trades.body[0]["isMaker"], true);
    assert_eq!(trades.body[0]["quoteQty"], "5900.01000000");
    assert_eq!(
        other.signed("GET", "/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}")).code(),
        -2013,
        "not theirs"
    );

    let cancelled = client.signed("DELETE", "/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}"));
    assert_eq!(cancelled.body["status"], "CANCELED");
    assert_eq!(cancelled.body["origClientOrderId"], "mm-1");
    let twice = client.signed("DELETE", "/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}"));
    assert_eq!((twice.code(), &twice.body["msg"]), (-2011, &json!("Unknown order sent.")));

    assert_eq!(client.signed("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT").body.as_array().unwrap().len(), 1);
    assert_eq!(client.signed("GET", "/api/v3/openOrders", "symbol=BTCUSDT").body, json!([]));
    assert_eq!(client.signed("GET", "/api/v3/allOrders", "symbol=BTCUSDT").body.as_array().unwrap().len(), 2);
    let fills = client.public("/admin/fills", "").body;
    let causes: Vec<_> =
        fills.as_array().unwrap().iter().map(|fill| (&fill["account"], fill["isMaker"] == true)).collect();
    assert_eq!(causes.len(), 2, "{fills}");
}

#[test]
fn a_cancel_replace_tells_both_legs() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);
    let replace = |rest: &str| {
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1";
        client.signed("POST", "/api/v3/order/cancelReplace", &format!("{order}&{rest}"))
    };
    client.post_only("BUY", "59000", "0.1", "a");
    let both = replace("price=59001&cancelReplaceMode=STOP_ON_FAILURE&cancelOrigClientOrderId=a&newClientOrderId=b");
    assert_eq!((both.status, &both.body["newOrderResponse"]["status"]), (200, &json!("NEW")), "{}", both.body);
    let none = replace("price=59001&cancelReplaceMode=STOP_ON_FAILURE&cancelOrigClientOrderId=a");
    assert_eq!((none.status, none.code()), (400, -2022));
    assert_eq!(none.body["data"]["newOrderResult"], "NOT_ATTEMPTED");
    assert_eq!(none.body["data"]["cancelResponse"]["code"], -2011);
    let half = replace("price=59002&cancelReplaceMode=ALLOW_FAILURE&cancelOrigClientOrderId=a");
    assert_eq!((half.status, half.code()), (409, -2021));
    assert_eq!(half.body["data"]["newOrderResult"], "SUCCESS");
}

#[test]
fn weight_is_counted_and_its_limit_holds() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);
    let used = |answer: &venue_client::Answer| answer.header("x-mbx-used-weight-1m").unwrap().parse::<u32>().unwrap();
    // The window is a wall-clock minute: start in a fresh one if this one is about to turn.
    while now_ms() % 60_000 > 50_000 {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let start = used(&client.public("/api/v3/ping", ""));
    assert_eq!(used(&client.public("/api/v3/exchangeInfo", "")), start + 20);
    assert_eq!(used(&client.public("/api/v3/depth", "symbol=BTCUSDT&limit=1000")), start + 70);
    assert_eq!(used(&client.post_only("BUY", "59000", "0.1", "a")), start + 70, "a success is free");
    assert_eq!(used(&client.post_only("BUY", "59000", "0.1", "a")), start + 71, "a failure is not");
    let mut last = client.public("/api/v3/ping", "");
    while last.status == 200 {
        last = client.public("/api/v3/depth", "symbol=BTCUSDT&limit=5000");
    }
    assert_eq!((last.status, last.code()), (429, -1003));
    let wait: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[test]
fn the_flow_shows_in_public_data() {
    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let trades = client.public("/api/v3/trades", "symbol=BTCUSDT&limit=5").body;
        let aggregates = client.public("/api/v3/aggTrades", "symbol=BTCUSDT").body;
        let candles = client.public("/api/v3/klines", "symbol=BTCUSDT&interval=1m").body;
        if trades.as_array().unwrap().len() == 5 && !candles.as_array().unwrap().is_empty() {
            assert!(!aggregates.as_array().unwrap().is_empty());
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no trades: {trades}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let touch = client.public("/api/v3/ticker/bookTicker", "symbol=BTCUSDT").body;
    let depth = client.public("/api/v3/depth", "symbol=BTCUSDT&limit=5000").body;
    assert!(!touch["bidPrice"].as_str().unwrap().is_empty() && !depth["bids"].as_array().unwrap().is_empty());
    let micros = client.send("GET", "/api/v3/time", "", None, None).body["serverTime"].as_u64().unwrap();
    assert!(micros.abs_diff(now_ms()) < 5_000);
    assert_eq!(client.public("/api/v3/klines", "symbol=BTCUSDT&interval=2w").code(), -1120);
    assert_eq!(client.public("/api/v3/exchangeInfo", "symbol=NOPE").code(), -1121);
}
