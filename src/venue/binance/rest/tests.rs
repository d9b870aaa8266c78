use super::*;
use crate::types::{InstrumentId, Price, SessionId, Symbol, TimeInForce};

fn id() -> ClientOrderId {
    ClientOrderId { session: SessionId(36), counter: 7 }
}

fn place() -> Command {
    Command::Place(NewOrder {
        instrument: InstrumentId(0),
        client_id: id(),
        side: Side::Bid,
        price: Price::from_ticks(6_125_010),
        qty: Qty::from_lots(1_000),
        kind: OrderKind::PostOnly,
    })
}

fn cancel() -> Command {
    Command::Cancel { instrument: InstrumentId(0), client_id: id(), venue_id: None }
}

fn amend() -> Command {
    Command::Amend {
        instrument: InstrumentId(0),
        client_id: id(),
        venue_id: Some(VenueOrderId(9001)),
        qty: Qty::from_lots(400),
    }
}

fn query() -> Command {
    Command::Query { instrument: InstrumentId(0), client_id: id() }
}

fn answer(command: &Command, status: u16, body: &str) -> ExecKind {
    read_reply(command, &Instrument::btcusdt(), Reply::Answer { status, body: body.as_bytes() }).kind
}

#[test]
fn requests_carry_what_the_venue_asks_for_and_are_signed_last() {
    let signer = Signer::hmac(&"secret".into()).unwrap();
    let mut builder = RequestBuilder::new(5000);
    let table = [
        (
            place(),
            Method::Post,
            path::ORDER,
            "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&newOrderRespType=ACK&recvWindow=5000\
             &newClientOrderId=tl10-7&quantity=0.01000&price=61250.10&timestamp=1700000000000",
        ),
        (
            cancel(),
            Method::Delete,
            path::ORDER,
            "symbol=BTCUSDT&origClientOrderId=tl10-7&recvWindow=5000&timestamp=1700000000000",
        ),
        (
            amend(),
            Method::Put,
            path::AMEND,
            "symbol=BTCUSDT&orderId=9001&newClientOrderId=tl10-7&newQty=0.00400&recvWindow=5000&timestamp=1700000000000",
        ),
        (
            query(),
            Method::Get,
            path::ORDER,
            "symbol=BTCUSDT&origClientOrderId=tl10-7&recvWindow=5000&timestamp=1700000000000",
        ),
    ];
    for (command, method, path, unsigned) in table {
        let mut want = unsigned.to_owned();
        signer.sign_query(&mut want);
        let request = builder.command(&command, &Instrument::btcusdt(), 1_700_000_000_000, &signer);
        assert_eq!(request, Request { method, path, payload: &want });
    }
}

#[test]
fn a_placement_is_the_same_whatever_came_before() {
    let signer = Signer::hmac(&"secret".into()).unwrap();
    let mut builder = RequestBuilder::new(5000);
    let kinds = [OrderKind::PostOnly, OrderKind::Limit(TimeInForce::Fok), OrderKind::Market];
    for number in 0..200_u64 {
        let mut instrument = Instrument::btcusdt();
        if number % 7 == 0 {
            instrument.spec.symbol = Symbol::new("币A").unwrap();
        }
        let order = Command::Place(NewOrder {
            instrument: InstrumentId(0),
            client_id: ClientOrderId { session: SessionId(number / 90), counter: number },
            side: Side::BOTH[usize::from(number % 3 == 0)],
            price: Price::from_ticks(100 + number as i64),
            qty: Qty::from_lots(1 + number as i64),
            kind: kinds[(number / 11 % 3) as usize],
        });
        let mut first = RequestBuilder::new(5000);
        assert_eq!(
            builder.command(&order, &instrument, number, &signer),
            first.command(&order, &instrument, number, &signer)
        );
    }
}

#[test]
fn text_outside_ascii_is_encoded_before_it_is_signed() {
    let mut builder = RequestBuilder::new(5000);
    builder.text("symbol", "币A+");
    assert_eq!(builder.payload, "symbol=%E5%B8%81A%2B");
}

/// Bodies as the venue's documentation prints them, one for each row that the engine must tell apart.
#[test]
fn every_answer_has_its_one_meaning() {
    use ExecKind::{AmendRejected, CancelRejected, CancelUnknown, NotFound, PlaceUnknown, QueryFailed, Rejected};
    use RejectReason::{
        Auth, Clock, DuplicateId, Filter, InsufficientBalance, MarketClosed, Other, RateLimit, UnknownOrder, WouldCross,
    };
    let error = |code: i32, text: &str| format!(r#"{{"code":{code},"msg":"{text}"}}"#);
    let table: &[(Command, u16, String, ExecKind)] = &[
        (place(), 400, error(-2010, "Order would immediately match and take."), Rejected(WouldCross)),
        (
            place(),
            400,
            error(-2010, "Account has insufficient balance for requested action."),
            Rejected(InsufficientBalance),
        ),
        (place(), 400, error(-2010, "Duplicate order sent."), Rejected(DuplicateId)),
        (place(), 400, error(-2010, "Filter failure: MAX_NUM_ALGO_ORDERS"), Rejected(Filter)),
        (place(), 400, error(-2010, "Market is closed."), Rejected(MarketClosed)),
        (place(), 400, error(-2010, "This account may not place or cancel orders."), Rejected(MarketClosed)),
        (place(), 400, error(-2010, "a text of tomorrow"), Rejected(Other)),
        (place(), 400, error(-1013, "Filter failure: PRICE_FILTER"), Rejected(Filter)),
        (place(), 400, error(-1111, "Parameter 'price' has too much precision."), Rejected(Filter)),
        (
            place(),
            429,
            error(-1015, "Too many new orders; current limit is 50 orders per 10 SECOND."),
            Rejected(RateLimit),
        ),
        (place(), 429, error(-1003, "Too much request weight used"), Rejected(RateLimit)),
        (place(), 418, error(-1003, "Way too much request weight used; IP banned"), Rejected(RateLimit)),
        (place(), 400, error(-1008, "Server is currently overloaded"), Rejected(RateLimit)),
        (place(), 400, error(-1021, "Timestamp for this request is outside of the recvWindow."), Rejected(Clock)),
        (place(), 400, error(-1022, "Signature for this request is not valid."), Rejected(Auth)),
        (place(), 401, error(-2014, "API-key format invalid."), Rejected(Auth)),
        (place(), 401, error(-2015, "Invalid API-key, IP, or permissions for action."), Rejected(Auth)),
        (place(), 400, error(-1102, "Mandatory parameter"), Rejected(Other)),
        (place(), 403, "<html>forbidden</html>".into(), Rejected(Other)),
        // In doubt: never a rejection.
        (place(), 400, error(-1006, "An unexpected response was received"), PlaceUnknown),
        (place(), 408, error(-1007, "Timeout waiting for response from backend server."), PlaceUnknown),
        (place(), 400, error(-1001, "Internal error; unable to process your request."), PlaceUnknown),
        (place(), 400, error(-1000, "An unknown error occurred"), PlaceUnknown),
        (place(), 502, "bad gateway".into(), PlaceUnknown),
        (place(), 200, "{}".into(), PlaceUnknown),
        (place(), 200, "half a bod".into(), PlaceUnknown),
        (place(), 302, String::new(), PlaceUnknown),
        (cancel(), 400, error(-2011, "Unknown order sent."), CancelRejected(UnknownOrder)),
        (cancel(), 400, error(-2011, "Order was not canceled due to cancel restrictions."), CancelRejected(Other)),
        (cancel(), 503, String::new(), CancelUnknown),
        (cancel(), 504, error(-1007, "Timeout"), CancelUnknown),
        (cancel(), 429, error(-1003, "weight"), CancelRejected(RateLimit)),
        (amend(), 400, error(-2038, "The requested action would change no state; rejecting"), AmendRejected(Other)),
        (amend(), 400, error(-2013, "Order does not exist."), AmendRejected(UnknownOrder)),
        (amend(), 500, String::new(), CancelUnknown),
        (query(), 400, error(-2013, "Order does not exist."), NotFound),
        (query(), 500, String::new(), QueryFailed),
        (query(), 429, error(-1003, "weight"), QueryFailed),
        (query(), 400, error(-1021, "clock"), QueryFailed),
    ];
    for (command, status, body, want) in table {
        assert_eq!(answer(command, *status, body), *want, "{command:?} {status} {body}");
    }
}

#[test]
fn success_bodies_are_read_whole() {
    let ack =
        r#"{"symbol":"BTCUSDT","orderId":9001,"orderListId":-1,"clientOrderId":"tl10-7","transactTime":1784102400456}"#;
    let outcome = read_reply(&place(), &Instrument::btcusdt(), Reply::Answer { status: 200, body: ack.as_bytes() });
    assert_eq!(
        outcome,
        Outcome {
            kind: ExecKind::Accepted,
            venue_id: Some(VenueOrderId(9001)),
            event_ts: TimestampNs::from_millis(1_784_102_400_456),
            code: 0
        }
    );
    let canceled = r#"{"symbol":"BTCUSDT","origClientOrderId":"tl10-7","orderId":9001,"orderListId":-1,"clientOrderId":"x",
        "transactTime":1784102400456,"price":"61250.10000000","origQty":"0.01000000","executedQty":"0.00400000",
        "status":"CANCELED","timeInForce":"GTC","type":"LIMIT_MAKER","side":"BUY"}"#;
    assert_eq!(answer(&cancel(), 200, canceled), ExecKind::Canceled { cum_qty: Qty::from_lots(400) });
    let amended = r#"{"transactTime":1784102400456,"executionId":5,"amendedOrder":{"symbol":"BTCUSDT","orderId":9001,
        "orderListId":-1,"origClientOrderId":"tl10-7","clientOrderId":"tl10-7","price":"61250.1","qty":"0.00400000",
        "executedQty":"0.00000000","status":"NEW"}}"#;
    let outcome = read_reply(&amend(), &Instrument::btcusdt(), Reply::Answer { status: 200, body: amended.as_bytes() });
    assert_eq!(
        (outcome.kind, outcome.venue_id),
        (ExecKind::Amended { qty: Qty::from_lots(400) }, Some(VenueOrderId(9001)))
    );
    let status = r#"{"symbol":"BTCUSDT","orderId":9001,"clientOrderId":"tl10-7","price":"61250.1","origQty":"0.01",
        "executedQty":"0.01","status":"FILLED","updateTime":1784102400456}"#;
    assert_eq!(
        answer(&query(), 200, status),
        ExecKind::Status {
            status: OrderStatus::Filled,
            cum_qty: Qty::from_lots(1000),
            order_qty: Qty::from_lots(1000)
        }
    );
}

#[test]
fn a_request_that_never_left_is_refused_and_a_lost_one_is_in_doubt() {
    let read = |command: &Command, reply| read_reply(command, &Instrument::btcusdt(), reply).kind;
    assert_eq!(read(&place(), Reply::NotSent), ExecKind::Rejected(RejectReason::NotSent));
    assert_eq!(read(&cancel(), Reply::NotSent), ExecKind::CancelRejected(RejectReason::NotSent));
    assert_eq!(read(&place(), Reply::Lost), ExecKind::PlaceUnknown);
    assert_eq!(read(&cancel(), Reply::Lost), ExecKind::CancelUnknown);
    assert_eq!(read(&amend(), Reply::Lost), ExecKind::CancelUnknown);
    assert_eq!(read(&query(), Reply::Lost), ExecKind::QueryFailed);
}

#[test]
fn lists_tell_own_orders_from_foreign_ones() {
    let body = r#"[{"symbol":"BTCUSDT","orderId":1,"clientOrderId":"tl10-7","price":"1.0","origQty":"0.01","executedQty":"0",
        "status":"NEW","updateTime":5},{"symbol":"BTCUSDT","orderId":2,"clientOrderId":"x-abc","price":"1.0",
        "origQty":"0.01","executedQty":"0","status":"NEW","updateTime":5},{"symbol":"ETHUSDT","orderId":3,
        "clientOrderId":"tl10-8","price":"1.0","origQty":"0.012345","executedQty":"0","status":"NEW","updateTime":5}]"#;
    let rows = read_orders(body.as_bytes(), &Instrument::btcusdt()).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].client_id, rows[1].client_id), (Some(id()), None));
    assert_eq!(read_orders(b"{}", &Instrument::btcusdt()), Err(WHOLE_LIST));
    let bad = r#"[{"symbol":"BTCUSDT","orderId":1,"clientOrderId":"a","origQty":"0.000001","executedQty":"0","status":"NEW"}]"#;
    assert_eq!(read_orders(bad.as_bytes(), &Instrument::btcusdt()), Err(ListError { index: 0 }));
}

#[test]
fn trades_and_balances_are_exact() {
    let body = r#"[{"symbol":"BTCUSDT","id":28457,"orderId":9001,"orderListId":-1,"price":"61250.10000000",
        "qty":"0.00400000","quoteQty":"245.0004","commission":"0.00000400","commissionAsset":"BTC","time":1784102400469,
        "isBuyer":true,"isMaker":true,"isBestMatch":true}]"#;
    let rows = read_trades(body.as_bytes(), &Instrument::btcusdt()).unwrap();
    assert_eq!(rows[0].fill.fee_e8, 400);
    assert_eq!(rows[0].fill.fee_asset, crate::types::FeeAsset::Base);
    assert_eq!((rows[0].fill.side, rows[0].fill.qty), (Side::Bid, Qty::from_lots(400)));
    let account = r#"{"canTrade":true,"balances":[{"asset":"USDT","free":"9754.99","locked":"612.50000001"}]}"#;
    let rows = read_balances(account.as_bytes()).unwrap();
    assert_eq!((rows[0].free_e8, rows[0].locked_e8), (975_499_000_000, 61_250_000_001));
}

#[test]
fn rate_limits_are_read_and_default_where_absent() {
    let body = r#"{"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200},
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100}],"symbols":[]}"#;
    let limits = read_rate_limits(body.as_bytes());
    assert_eq!((limits.weight_per_minute, limits.orders_per_10s, limits.orders_per_day), (1200, 100, 160_000));
}
