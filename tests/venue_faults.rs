//! Each fault of the embedded venue really happens on the wire, as often as the venue says.

mod venue_client;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use touchline::server::venue::VenueHandle;
use touchline::sim::MarketSource;
use touchline::venue::binance::user::subscribe_request;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, Message};

use venue_client::{CLIENT, Client, Socket, now_ms, synthetic, venue};

/// Sets the venue's faults by its operator's page.
fn set(client: &Client, specs: &[&str]) -> Value {
    let body = json!({"faults": specs, "seed": 5}).to_string();
    let answer = client.send("PUT", "/admin/faults", "", Some(&body), None);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// How often the n-th fault has happened.
fn happened(client: &Client, n: usize) -> u64 {
    client.public("/admin/faults", "").body["faults"][n]["happened"].as_u64().unwrap()
}

fn depth(venue: &VenueHandle) -> Socket {
    let mut socket = Socket::open(&format!("{}/ws/btcusdt@depth@100ms", venue.ws_url()));
    socket.read();
    socket
}

/// The next text as it came.
fn text(socket: &mut Socket) -> String {
    loop {
        if let Message::Text(text) = socket.0.read().unwrap() {
            return text.as_str().to_owned();
        }
    }
}

#[test]
fn public_messages_are_skipped_doubled_broken_and_oversized() {
    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    let mut socket = depth(&venue);
    let ids = |message: &Value| (message["U"].as_u64().unwrap(), message["u"].as_u64().unwrap());

    let mut last = ids(&socket.read()).1;
    set(&client, &["gap:every=300ms"]);
    let mut gaps = 0;
    while gaps < 2 {
        let (first, end) = ids(&socket.read());
        gaps += u64::from(first > last + 1);
        last = end;
    }
    assert!(happened(&client, 0) >= 2);

    set(&client, &["double-market:p=1"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut before = text(&mut socket);
    loop {
        let next = text(&mut socket);
        if next == before {
            break;
        }
        assert!(Instant::now() < deadline, "nothing came twice");
        before = next;
    }

    set(&client, &["malformed:p=1"]);
    let broken = loop {
        let text = text(&mut socket);
        if serde_json::from_str::<Value>(&text).is_err() {
            break text;
        }
    };
    assert!(broken.starts_with(r#"{"e":"depthUpdate""#), "{broken}");

    set(&client, &["delay-market:p=0.3,for=250ms"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut newest = 0;
    loop {
        // What was broken by the fault before may still be under way.
        let Ok(message) = serde_json::from_str::<Value>(&text(&mut socket)) else { continue };
        let (_, end) = ids(&message);
        if end < newest {
            break;
        }
        newest = end;
        assert!(Instant::now() < deadline, "nothing came late");
    }

    set(&client, &["oversized:at=1us"]);
    // The client's own limit is above it, so the message is seen whole.
    let mut config = tungstenite::protocol::WebSocketConfig::default();
    config.max_frame_size = Some(64 << 20);
    socket.0.set_config(|own| *own = config);
    let large = loop {
        let text = text(&mut socket);
        if text.len() > 1 << 20 {
            break text;
        }
    };
    assert!(large.len() > 16 << 20);
    assert_eq!(happened(&client, 0), 1);
}

#[test]
fn sockets_are_closed_reset_left_dead_and_shut_down() {
    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    // Reads until the connection is over.
    let end = |socket: &mut Socket| -> (Error, Vec<String>) {
        let mut texts = Vec::new();
        loop {
            match socket.0.read() {
                Ok(Message::Text(text)) => texts.push(text.as_str().to_owned()),
                Ok(_) => {}
                Err(error) => return (error, texts),
            }
        }
    };
    let mut socket = depth(&venue);
    set(&client, &["disconnect:at=50ms"]);
    let (error, _) = end(&mut socket);
    assert!(matches!(error, Error::Protocol(_)), "a FIN without a closing frame: {error:?}");

    let mut socket = depth(&venue);
    set(&client, &["reset:at=50ms"]);
    let (error, _) = end(&mut socket);
    assert!(matches!(&error, Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionReset), "a RST: {error:?}");

    let mut socket = depth(&venue);
    set(&client, &["half-open:at=50ms"]);
    let MaybeTlsStream::Plain(stream) = socket.0.get_ref() else { panic!("no TLS here") };
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let (error, _) = end(&mut socket);
    let silent = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
    assert!(matches!(&error, Error::Io(io) if silent.contains(&io.kind())), "seven cadences of silence: {error:?}");
    socket.0.send(Message::Ping(Vec::new().into())).expect("it still takes what is sent");

    let mut socket = depth(&venue);
    set(&client, &["shutdown:at=50ms,for=400ms"]);
    let (error, texts) = end(&mut socket);
    assert!(matches!(error, Error::ConnectionClosed), "a closing frame: {error:?}");
    let told = texts.iter().position(|text| text.contains("serverShutdown")).unwrap();
    assert!(texts.len() > told + 2, "market data goes on for 400 ms");
    assert_eq!(happened(&client, 0), 1);
}

#[test]
fn connections_end_after_their_day_and_when_their_pongs_are_lost() {
    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    let close = |socket: &mut Socket| {
        let mut pings = 0;
        loop {
            match socket.0.read().unwrap() {
                Message::Close(frame) => return (u16::from(frame.unwrap().code), pings),
                Message::Ping(_) => pings += 1,
                _ => {}
            }
        }
    };
    let mut socket = depth(&venue);
    set(&client, &["day-cut:at=50ms"]);
    assert_eq!(close(&mut socket), (1001, 0));

    let mut socket = depth(&venue);
    let began = Instant::now();
    set(&client, &["missed-pong:at=50ms,for=300ms"]);
    // The client's library answers the ping; the venue does not hear it.
    assert_eq!(close(&mut socket), (1008, 1));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(happened(&client, 0), 1);
}

/// Bytes of a frame that broke off at the end of what a server has sent.
fn broken_tail(mut bytes: &[u8]) -> usize {
    loop {
        let head = match bytes {
            [_, length @ 0..=125, ..] => 2 + usize::from(*length),
            [_, 126, a, b, ..] => 4 + usize::from(u16::from_be_bytes([*a, *b])),
            _ => return bytes.len(),
        };
        match bytes.get(head..) {
            Some(rest) => bytes = rest,
            None => return bytes.len(),
        }
    }
}

#[test]
fn sockets_end_in_the_middle_of_a_frame() {
    use std::io::{ErrorKind, Read, Write};
    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    for (spec, kind) in [
        ("disconnect:at=50ms,bytes=3000", None),
        ("reset:at=50ms,bytes=3000", Some(ErrorKind::ConnectionReset)),
        ("half-open:at=50ms,bytes=3000", Some(ErrorKind::WouldBlock)),
    ] {
        let mut socket = std::net::TcpStream::connect(venue.ws_url().trim_start_matches("ws://")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let request = "GET /ws/btcusdt@depth@100ms/btcusdt@bookTicker HTTP/1.1\r\nhost: venue\r\nconnection: Upgrade\r\n\
                       upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(request.as_bytes()).unwrap();
        set(&client, &[spec]);
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        let ended = loop {
            match socket.read(&mut part) {
                Ok(0) => break None,
                Ok(count) => bytes.extend_from_slice(&part[..count]),
                Err(error) => break Some(error.kind()),
            }
        };
        assert_eq!(ended, kind, "{spec}");
        let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(broken_tail(&bytes[body..]) > 0, "{spec}: all frames are whole");
        assert_eq!(happened(&client, 0), 1);
    }
}

/// Where our order of that name stands at the venue; `None` when there is none.
fn status(client: &Client, id: &str) -> Option<String> {
    let answer = client.signed("GET", "/api/v3/order", &format!("symbol=BTCUSDT&origClientOrderId={id}"));
    answer.body["status"].as_str().map(str::to_owned)
}

fn place(client: &Client, id: &str) -> Result<venue_client::Answer, ureq::Error> {
    let query = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&price=100.00&quantity=0.10000&newClientOrderId={id}\
         &newOrderRespType=ACK"
    );
    client.try_signed("POST", "/api/v3/order", &query)
}

#[test]
fn answers_are_late_lost_doubled_or_say_that_nobody_knows() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);

    set(&client, &["delay-answer:p=1,for=300ms,on=place"]);
    let began = Instant::now();
    assert_eq!(place(&client, "late").unwrap().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(300));

    set(&client, &["lost-answer:p=1,on=place"]);
    let error = place(&client, "lost").err().expect("no answer");
    assert!(!matches!(error, ureq::Error::StatusCode(_)), "{error}");
    assert_eq!(status(&client, "lost").as_deref(), Some("NEW"), "it was carried out all the same");
    assert_eq!(happened(&client, 0), 1, "and nobody sent it again");

    set(&client, &["lost-request:p=1,on=place"]);
    assert!(place(&client, "never").is_err());
    assert_eq!(status(&client, "never"), None);

    set(&client, &["double-answer:p=1,on=place"]);
    let answer = place(&client, "twice").unwrap();
    assert_eq!((answer.status, answer.code()), (400, -2010), "the second of two: {}", answer.body);
    assert_eq!(status(&client, "twice").as_deref(), Some("NEW"));

    for (spec, http, code) in [("timeout", 408, -1007), ("server-error", 500, -1000)] {
        for (done, id) in [("1", "done"), ("0", "undone")] {
            set(&client, &[&format!("{spec}:p=1,done={done},on=place")]);
            let id = format!("{spec}-{id}");
            let answer = place(&client, &id).unwrap();
            assert_eq!((answer.status, answer.code()), (http, code));
            assert_eq!(status(&client, &id).is_some(), done == "1", "{id}");
        }
    }

    set(&client, &["rate-limit:p=1,for=2s,on=cancel"]);
    let answer = client.signed("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=late");
    assert_eq!((answer.status, answer.code()), (429, -1003));
    assert_eq!(answer.header("Retry-After"), Some("2"));
    assert_eq!(status(&client, "late").as_deref(), Some("NEW"));

    let ended = client.send("DELETE", "/admin/faults", "", None, None);
    assert_eq!(ended.body["faults"], json!([]));
    assert_eq!(client.signed("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=late").status, 200);
}

#[test]
fn user_events_are_late_lost_and_doubled_and_their_socket_ends() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);
    let mut socket = Socket::open(&venue.ws_api_url());
    socket.ask(&subscribe_request(1, &client.api_key, now_ms(), 5000, &client.signer));
    let mut reports = |client: &Client, id: &str, wait: Duration| -> Vec<Duration> {
        let began = Instant::now();
        place(client, id).unwrap();
        let MaybeTlsStream::Plain(stream) = socket.0.get_ref() else { panic!("no TLS here") };
        stream.set_read_timeout(Some(wait)).unwrap();
        let mut seen = Vec::new();
        while let Ok(message) = socket.0.read() {
            if message.to_text().is_ok_and(|text| text.contains("executionReport") && text.contains(id)) {
                seen.push(began.elapsed());
            }
        }
        seen
    };
    let wait = Duration::from_millis(400);
    assert_eq!(reports(&client, "plain", wait).len(), 1);
    set(&client, &["lost-event:p=1"]);
    assert_eq!(reports(&client, "gone", wait).len(), 0);
    set(&client, &["double-event:p=1"]);
    assert_eq!(reports(&client, "double", wait).len(), 2);
    set(&client, &["delay-event:p=1,for=300ms"]);
    let late = reports(&client, "late", wait);
    assert!(late.len() == 1 && late[0] >= Duration::from_millis(300), "{late:?}");
    let orders = venue.with_venue(|venue| venue.open_orders(CLIENT, None).len());
    assert_eq!(orders, 4, "the orders themselves are as they should be");

    set(&client, &["user-disconnect:at=1us"]);
    let over = loop {
        match socket.0.read() {
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(over, Error::Protocol(_)), "{over:?}");
}

#[test]
fn a_plan_that_cannot_be_understood_changes_nothing_and_is_told_why() {
    let venue = venue(MarketSource::Empty);
    let client = Client::new(&venue, 0);
    set(&client, &["gap:p=0.5"]);
    for (body, told) in [
        (r#"{"faults":["gpa:p=1"]}"#, "the nearest is `gap`"),
        (r#"{"faults":["gap:p=1"],"sede":3}"#, "sede"),
        ("gap:p=1", "expected"),
    ] {
        let answer = client.send("PUT", "/admin/faults", "", Some(body), None);
        assert_eq!(answer.status, 400);
        assert!(answer.body["msg"].as_str().unwrap().contains(told), "{}", answer.body);
    }
    let now = client.public("/admin/faults", "").body;
    assert_eq!(now["faults"][0]["spec"], "gap:p=0.5");
    assert_eq!(now["seed"], 5);
}
