//! What the probe answers: just enough of Binance Spot for a maker to go on.

use super::inbox::{find, value_after};

/// The key of a WebSocket handshake, if the request is one.
pub fn socket_key(head: &[u8]) -> Option<Vec<u8>> {
    let name = b"sec-websocket-key:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))?;
    Some(line[name.len()..].trim_ascii().to_vec())
}

/// Accepts a WebSocket.
pub fn upgrade(key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    out.extend_from_slice(b"Sec-WebSocket-Accept: ");
    out.extend_from_slice(tungstenite::handshake::derive_accept_key(key).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// An HTTP answer.
pub fn http(status: u16, body: &str, out: &mut Vec<u8>) {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
        if status == 200 { "OK" } else { "Refused" },
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

/// An answer of the WebSocket API.
pub fn api(id: &[u8], result: &str) -> String {
    format!(r#"{{"id":"{}","status":200,"result":{result},"rateLimits":[]}}"#, String::from_utf8_lossy(id))
}

/// The answer to a subscription to market streams.
pub fn subscribed(id: &[u8]) -> String {
    format!(r#"{{"result":null,"id":{}}}"#, String::from_utf8_lossy(id))
}

/// The shortest answer to a new order.
pub fn placed(order_id: u64, name: &[u8], now_ms: u64) -> String {
    let name = String::from_utf8_lossy(name);
    format!(
        r#"{{"symbol":"BTCUSDT","orderId":{order_id},"orderListId":-1,"clientOrderId":"{name}","transactTime":{now_ms}}}"#
    )
}

/// The answer to a cancel, asked for in a query or in JSON: nothing was executed.
pub fn cancelled(request: &[u8], now_ms: u64) -> String {
    let number = [&b"orderId="[..], br#""orderId":"#].into_iter().find_map(|name| {
        // `origClientOrderId` ends like it.
        find(request, name).and_then(|_| value_after(request, name))
    });
    let number = number.map_or("1".into(), String::from_utf8_lossy);
    let number = if number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() { &number } else { "1" };
    format!(
        r#"{{"symbol":"BTCUSDT","orderId":{number},"orderListId":-1,"clientOrderId":"gone","transactTime":{now_ms},"origQty":"0.01000000","executedQty":"0.00000000","status":"CANCELED","timeInForce":"GTC","type":"LIMIT_MAKER"}}"#
    )
}

/// One instrument, and limits that nobody meets.
pub fn exchange_info(symbol: &str) -> String {
    format!(
        r#"{{"timezone":"UTC","rateLimits":[{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":100000000}},{{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100000000}},{{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":1000000000}}],"symbols":[{{"symbol":"{symbol}","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{{"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000","tickSize":"0.01000000"}},{{"filterType":"LOT_SIZE","minQty":"0.00001000","maxQty":"9000.00000000","stepSize":"0.00001000"}},{{"filterType":"NOTIONAL","minNotional":"5.00000000"}}]}}]}}"#
    )
}

/// More than anybody can lock.
pub fn account() -> String {
    r#"{"balances":[{"asset":"BTC","free":"1000000.00000000","locked":"0.00000000"},{"asset":"USDT","free":"10000000000.00000000","locked":"0.00000000"}]}"#.to_owned()
}

/// A refusal.
pub fn error(code: i32, text: &str) -> String {
    format!(r#"{{"code":{code},"msg":"{text}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientOrderId, Command, ExecKind, Instrument, InstrumentId, Qty, VenueOrderId};
    use crate::venue::binance::exchange_info::decode_exchange_info;
    use crate::venue::binance::rest::{Reply, read_balances, read_reply};

    #[test]
    fn the_engine_understands_each_answer() {
        let specs = decode_exchange_info(exchange_info("BTCUSDT").as_bytes(), &["BTCUSDT"]).unwrap();
        assert_eq!(read_balances(account().as_bytes()).unwrap().len(), 2);
        let instrument = Instrument::new(InstrumentId(0), specs[0]);
        let command = Command::Cancel {
            instrument: InstrumentId(0),
            client_id: ClientOrderId::default(),
            venue_id: Some(VenueOrderId(7)),
        };
        for request in ["/api/v3/order?symbol=BTCUSDT&orderId=7&x=1", r#"{"params":{"orderId":7,"symbol":"B"}}"#] {
            let text = cancelled(request.as_bytes(), 5);
            let outcome = read_reply(&command, &instrument, Reply::Answer { status: 200, body: text.as_bytes() });
            assert_eq!(outcome.kind, ExecKind::Canceled { cum_qty: Qty::ZERO });
            assert_eq!(outcome.venue_id, Some(VenueOrderId(7)));
        }
    }
}
