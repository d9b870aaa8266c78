//! The embedded venue's public streams: addresses, control messages, joins of the book, limits.

mod venue_client;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use touchline::sim::MarketSource;
use touchline::types::{Level, TimestampNs, Touch, Trade};
use touchline::venue::binance::decode::{Decoded, Decoder, DecoderKind, TimeUnit};
use touchline::venue::binance::sbe::{SbeDecoder, SbeEvent};
use touchline::wire::{DepthBuf, DepthKind};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;
use venue_client::{Client, Socket, btcusdt, synthetic, venue};

fn apply(book: &mut BTreeMap<String, String>, levels: &Value) {
    for level in levels.as_array().unwrap() {
        let (price, qty) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
        if qty == "0.00000000" {
            book.remove(price);
        } else {
            book.insert(price.to_owned(), qty.to_owned());
        }
    }
}

#[test]
fn a_book_kept_from_the_diffs_equals_the_venues() {
    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    for (stream, cadence) in [("btcusdt@depth@100ms", 20), ("btcusdt@depth", 3)] {
        let mut socket = Socket::open(&format!("{}/ws/{stream}", venue.ws_url()));
        let first = socket.read();
        let snapshot = client.public("/api/v3/depth", "symbol=BTCUSDT&limit=5000").body;
        let mut last_id = snapshot["lastUpdateId"].as_u64().unwrap();
        let mut sides = [BTreeMap::new(), BTreeMap::new()];
        apply(&mut sides[0], &snapshot["bids"]);
        apply(&mut sides[1], &snapshot["asks"]);
        let mut event = first;
        let mut applied = 0;
        let mut stream_id = None;
        loop {
            let (first_id, end_id) = (event["U"].as_u64().unwrap(), event["u"].as_u64().unwrap());
            if let Some(before) = stream_id {
                assert_eq!(first_id, before + 1, "{stream}: ranges join without holes");
            }
            stream_id = Some(end_id);
            if end_id > last_id {
                assert!(first_id <= last_id + 1, "{stream}: hole after the snapshot");
                apply(&mut sides[0], &event["b"]);
                apply(&mut sides[1], &event["a"]);
                last_id = end_id;
                applied += 1;
            }
            // Compare when the venue's book is at exactly this id, which a busy market allows now and then.
            if applied >= cadence {
                let now = client.public("/api/v3/depth", "symbol=BTCUSDT&limit=5000").body;
                if now["lastUpdateId"].as_u64() == Some(last_id) {
                    let mut want = [BTreeMap::new(), BTreeMap::new()];
                    apply(&mut want[0], &now["bids"]);
                    apply(&mut want[1], &now["asks"]);
                    assert_eq!(sides, want, "{stream} at {last_id}");
                    break;
                }
                assert!(applied < cadence + 200, "{stream}: the ids never met");
            }
            event = socket.read();
        }
    }
}

#[test]
fn every_stream_speaks_and_combined_ones_are_named() {
    let venue = venue(synthetic());
    let names = [
        "btcusdt@trade",
        "btcusdt@aggTrade",
        "btcusdt@bookTicker",
        "btcusdt@depth@100ms",
        "btcusdt@depth5@100ms",
        "btcusdt@depth20",
        "btcusdt@kline_1m",
    ];
    let mut socket =
        Socket::open(&format!("{}/stream?streams={}&timeUnit=MICROSECOND", venue.ws_url(), names.join("/")));
    let mut seen = BTreeMap::new();
    while seen.len() < names.len() {
        let event = socket.read();
        seen.insert(event["stream"].as_str().unwrap().to_owned(), event["data"].clone());
    }
    assert_eq!(seen["btcusdt@trade"]["e"], "trade");
    assert!(seen["btcusdt@trade"]["T"].as_u64().unwrap() > 1_000_000_000_000_000, "microseconds");
    assert_eq!(seen["btcusdt@depth5@100ms"]["bids"].as_array().unwrap().len(), 5);
    assert_eq!(seen["btcusdt@kline_1m"]["k"]["i"], "1m");
    assert!(seen["btcusdt@bookTicker"].get("e").is_none());
}

#[test]
fn control_messages_are_answered_as_documented() {
    let venue = venue(MarketSource::Empty);
    for path in ["/ws", "/ws/0", "/stream/ws/3", "/stream"] {
        let mut socket = Socket::open(&format!("{}{path}", venue.ws_url()));
        let combined = path == "/stream";
        for (ask, answer) in [
            (
                json!({"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@depth@100ms"],"id":1}),
                json!({"result":null,"id":1}),
            ),
            (json!({"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":"u-2"}), json!({"result":null,"id":"u-2"})),
            (json!({"method":"LIST_SUBSCRIPTIONS","id":3}), json!({"result":["btcusdt@depth@100ms"],"id":3})),
        ] {
            assert_eq!(without_events(&mut socket, &ask.to_string()), answer, "{path}");
        }
        let property = without_events(&mut socket, r#"{"method":"GET_PROPERTY","params":["combined"],"id":null}"#);
        assert_eq!(property, json!({"result":combined,"id":null}));
    }
    for (ask, code) in [
        (r#"{"method":"SUBSCRIBE","params":["btcusdt@ticker"],"id":1}"#, 2),
        (r#"{"method":"DANCE","id":1}"#, 2),
        (r#"{"method":"SET_PROPERTY","params":["colour",true],"id":1}"#, 0),
        (r#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}"#, 1),
        ("not json", 3),
    ] {
        let mut socket = Socket::open(&format!("{}/ws", venue.ws_url()));
        assert_eq!(socket.ask(ask)["error"]["code"], code, "{ask}");
    }
    assert!(tungstenite::connect(format!("{}/ws/btcusdt@nothing", venue.ws_url())).is_err());
}

fn without_events(socket: &mut Socket, ask: &str) -> Value {
    socket.send(ask);
    socket.read_until(|message| message.get("id").is_some())
}

#[test]
fn the_sixth_message_in_a_second_ends_the_connection() {
    let venue = venue(MarketSource::Empty);
    let mut socket = Socket::open(&format!("{}/ws", venue.ws_url()));
    for id in 0..6 {
        socket.send(&json!({"method":"LIST_SUBSCRIPTIONS","id":id}).to_string());
    }
    for id in 0..5 {
        assert_eq!(socket.read()["id"], id);
    }
    match socket.0.read().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1008),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_venue_is_announced() {
    let mut venue = venue(MarketSource::Empty);
    let mut raw = Socket::open(&format!("{}/ws/btcusdt@trade", venue.ws_url()));
    let mut combined = Socket::open(&format!("{}/stream?streams=btcusdt@trade", venue.ws_url()));
    let mut api = Socket::open(&venue.ws_api_url());
    assert_eq!(api.ask(r#"{"id":1,"method":"ping"}"#)["status"], 200);
    venue.stop().unwrap();
    assert_eq!(raw.read()["e"], "serverShutdown");
    assert_eq!(combined.read()["stream"], "!serverShutdown");
    assert_eq!(api.read()["event"]["e"], "serverShutdown");
    assert!(matches!(raw.0.read(), Ok(Message::Close(_))));
}

#[test]
fn usdm_market_data_is_chained_by_pu_and_read_by_our_own_decoder() {
    use touchline::pipeline::market::MarketStage;
    use touchline::pipeline::sync::SyncRule;
    use touchline::types::{BookState, Level, Side, TimestampNs};
    use touchline::venue::binance::decode::{Decoder, decode_snapshot};
    use touchline::wire::{DepthBuf, FeedEvent};

    let venue = venue(synthetic());
    let client = Client::new(&venue, 0);
    let instrument = venue.with_venue(|venue| venue.config().symbols[0].instrument);
    let streams = "btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker";
    let mut socket = Socket::open(&format!("{}/usdm/stream?streams={streams}", venue.ws_url()));
    let refused = socket.ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@depth5"],"id":1}"#);
    assert!(refused["error"]["msg"].as_str().unwrap().contains("btcusdt@depth5"), "{refused}");

    let mut decoder = Decoder::new(&[instrument]);
    let mut stage = MarketStage::new(&[instrument], SyncRule::UsdM);
    let mut depth = DepthBuf::with_capacity(1000);
    let (mut last_u, mut seen, mut compared) = (None, [false; 2], 0);
    while compared < 3 || seen != [true; 2] {
        let frame = socket.read();
        let data = &frame["data"];
        match data["e"].as_str().unwrap() {
            "depthUpdate" => {
                assert!(last_u.is_none_or(|last| data["pu"].as_u64() == Some(last)), "{data} after {last_u:?}");
                last_u = data["u"].as_u64();
            }
            "trade" => seen[0] = data["X"] == "MARKET",
            "bookTicker" => seen[1] = data["T"].is_u64(),
            other => panic!("{other}"),
        }
        let text = frame.to_string();
        let decoded = decoder.decode(text.as_bytes(), TimestampNs::from_nanos(1), &mut depth).unwrap();
        if let Some(event) = decoded.event(&depth) {
            stage.on_event(&event);
        }
        if stage.sync(instrument.id).needs_snapshot() && last_u.is_some() {
            let answer = client.public("/fapi/v1/depth", "symbol=BTCUSDT&limit=1000").body;
            assert!(answer["E"].is_u64() && answer["T"].is_u64());
            let text = answer.to_string();
            decode_snapshot(text.as_bytes(), &instrument, TimestampNs::from_nanos(1), &mut depth).unwrap();
            stage.on_event(&FeedEvent::Depth(depth.as_ref()));
        }
        // Compared when the venue's book is at just this update, which happens now and then.
        let now = venue.with_venue(|venue| venue.depth(instrument.id, 20));
        if stage.state(instrument.id) == BookState::Live && stage.update_id(instrument.id) == now.last_update_id {
            for (side, want) in [(Side::Bid, &now.bids), (Side::Ask, &now.asks)] {
                let got: Vec<Level> = stage.book(instrument.id).levels(side).take(20).collect();
                assert_eq!(&got, want, "{side:?}");
            }
            compared += 1;
        }
    }
    assert_eq!(stage.counters(instrument.id).gaps, 0);
}

/// What the two forms of one flow say, by the venue's own numbers; when it was heard is no part of it.
#[derive(Default)]
struct Heard {
    diffs: BTreeMap<u64, (u64, TimestampNs, Vec<Level>, Vec<Level>)>,
    partials: BTreeMap<u64, (Vec<Level>, Vec<Level>)>,
    trades: BTreeMap<i64, Trade>,
    touches: BTreeMap<u64, Touch>,
}

impl Heard {
    fn depth(&mut self, depth: &DepthBuf) {
        let (head, bids, asks) = (depth.head, depth.bids.clone(), depth.asks.clone());
        match head.kind {
            DepthKind::Diff => drop(self.diffs.insert(head.last_id, (head.first_id, head.event_ts, bids, asks))),
            DepthKind::Snapshot => drop(self.partials.insert(head.last_id, (bids, asks))),
        }
    }

    /// Entries that both have, which must be the same.
    fn equal<K: Ord, V: PartialEq + std::fmt::Debug>(left: &BTreeMap<K, V>, right: &BTreeMap<K, V>) -> usize {
        let both = left.iter().filter_map(|(id, value)| Some((value, right.get(id)?)));
        both.inspect(|(left, right)| assert_eq!(left, right)).count()
    }
}

#[test]
fn sbe_says_of_the_same_flow_what_json_says() {
    let venue = venue(synthetic());
    let names = ["btcusdt@depth@100ms", "btcusdt@depth20@100ms", "btcusdt@trade", "btcusdt@bookTicker"];
    let url = format!("{}/stream?streams={}&timeUnit=MICROSECOND", venue.ws_url(), names.join("/"));
    let (mut json, _) = tungstenite::connect(url).unwrap();
    let address = format!("{}/sbe/stream?streams=btcusdt@depth/btcusdt@depth20/btcusdt@trade", venue.ws_url());
    let ask = |key: Option<&str>| {
        let mut request = address.as_str().into_client_request().unwrap();
        if let Some(key) = key {
            request.headers_mut().insert("X-MBX-APIKEY", key.parse().unwrap());
        }
        tungstenite::connect(request).map(|(socket, _)| socket)
    };
    assert!(ask(None).is_err(), "without a key");
    assert!(ask(Some(&venue.keys()[0].api_key)).is_err(), "an HMAC key");
    let mut sbe = ask(Some(&venue.keys()[0].ed25519_api_key)).unwrap();
    sbe.send(Message::text(r#"{"method":"SUBSCRIBE","params":["btcusdt@bestBidAsk"],"id":7}"#)).unwrap();

    let all = [btcusdt()];
    let mut decoder = Decoder::new(&all).with_time_unit(TimeUnit::Micros).with_kind(DecoderKind::Scanner);
    let mut binary = SbeDecoder::new(&all);
    let mut depth = DepthBuf::with_capacity(64);
    let (mut told, mut encoded) = (Heard::default(), Heard::default());
    let mut acknowledged = false;
    for _ in 0..600 {
        if let Message::Text(text) = json.read().unwrap() {
            match decoder.decode(text.as_bytes(), TimestampNs::ZERO, &mut depth).unwrap() {
                Decoded::Depth | Decoded::Partial => told.depth(&depth),
                Decoded::Trade(trade) => drop(told.trades.insert(trade.id.0, trade)),
                Decoded::Touch(touch) => drop(told.touches.insert(touch.update_id, touch)),
                other => panic!("{other:?}"),
            }
        }
        match sbe.read().unwrap() {
            Message::Binary(frame) => match binary.decode(&frame, TimestampNs::ZERO, &mut depth).unwrap() {
                SbeEvent::Depth | SbeEvent::Partial => encoded.depth(&depth),
                SbeEvent::Trades(trades) => encoded.trades.extend(trades.iter().map(|&trade| (trade.id.0, trade))),
                SbeEvent::Touch(touch) => drop(encoded.touches.insert(touch.update_id, touch)),
                SbeEvent::Ignored => panic!("nothing else was asked for"),
            },
            Message::Text(answer) => acknowledged |= answer.as_str() == r#"{"result":null,"id":7}"#,
            _ => {}
        }
    }
    assert!(acknowledged);
    let same = [
        Heard::equal(&told.diffs, &encoded.diffs),
        Heard::equal(&told.partials, &encoded.partials),
        Heard::equal(&told.trades, &encoded.trades),
        Heard::equal(&told.touches, &encoded.touches),
    ];
    assert!(same.iter().all(|&count| count > 5), "{same:?}");
}
