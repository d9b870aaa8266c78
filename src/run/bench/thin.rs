//! The thin maker: the least that a maker must do on each tick, by hand and without any of the engine's code.
//!
//! Parse the diff, keep the book with the `U`/`u` rule, price both sides off the mid, sign, send two new orders and
//! cancel the two old ones, each on a connection of its own. A baseline: it is changed only in a commit of its own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;

use super::bot::{Socket, Wait};
use super::inbox::{Got, decimal_e8, find, value_after};

/// The secret that it signs with; it trades with the probe alone.
pub const SECRET: &str = "thin-maker";
/// How far from the mid it quotes, in 1e-8.
const HALF_SPREAD_E8: i64 = 300_000_000;
/// The instrument's tick, in 1e-8.
const TICK_E8: i64 = 1_000_000;

/// A level-2 book by price, in 1e-8.
#[derive(Debug, Default)]
pub struct Book {
    /// Bids.
    pub bids: BTreeMap<i64, i64>,
    /// Asks.
    pub asks: BTreeMap<i64, i64>,
    last_id: u64,
}

impl Book {
    /// Takes a snapshot.
    pub fn snapshot(&mut self, text: &[u8]) {
        self.last_id = number(text, b"\"lastUpdateId\":");
        self.bids.clear();
        self.asks.clear();
        levels(text, b"\"bids\":[", &mut self.bids);
        levels(text, b"\"asks\":[", &mut self.asks);
    }

    /// Applies a diff. `false` for one that is older than the book.
    ///
    /// # Errors
    /// A gap: an update between the book and the diff is missing.
    pub fn diff(&mut self, text: &[u8]) -> io::Result<bool> {
        let (first, last) = (number(text, b"\"U\":"), number(text, b"\"u\":"));
        if last <= self.last_id {
            return Ok(false);
        }
        if first > self.last_id + 1 {
            return Err(io::Error::new(ErrorKind::InvalidData, "an update is missing"));
        }
        self.last_id = last;
        levels(text, b"\"b\":[", &mut self.bids);
        levels(text, b"\"a\":[", &mut self.asks);
        Ok(true)
    }

    /// The mid, in 1e-8.
    pub fn mid_e8(&self) -> Option<i64> {
        Some((self.bids.last_key_value()?.0 + self.asks.first_key_value()?.0) / 2)
    }
}

fn number(text: &[u8], name: &[u8]) -> u64 {
    let digits = value_after(text, name).unwrap_or_default();
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'))
}

/// Reads `["price","qty"],…` after `name` into a side.
fn levels(text: &[u8], name: &[u8], side: &mut BTreeMap<i64, i64>) {
    let Some(at) = find(text, name) else { return };
    let mut rest = &text[at + name.len()..];
    while let [b'[', b'"', tail @ ..] = rest {
        let Some(comma) = tail.iter().position(|byte| *byte == b'"') else { return };
        let price = decimal_e8(&tail[..comma]);
        let Some(tail) = tail.get(comma + 3..) else { return };
        let Some(quote) = tail.iter().position(|byte| *byte == b'"') else { return };
        match decimal_e8(&tail[..quote]) {
            0 => side.remove(&price),
            qty => side.insert(price, qty),
        };
        rest = tail.get(quote + 2..).unwrap_or_default();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
}

/// Builds signed requests in buffers of its own.
struct Orders {
    key: hmac::Key,
    query: String,
    text: String,
    placed: u64,
}

impl Orders {
    fn sign(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let _ = write!(self.query, "&recvWindow=5000&timestamp={now}");
        let tag = hmac::sign(&self.key, self.query.as_bytes());
        self.query.push_str("&signature=");
        data_encoding::HEXLOWER.encode_append(tag.as_ref(), &mut self.query);
    }

    fn place(&mut self, side: &str, price_e8: i64) -> &[u8] {
        self.placed += 1;
        self.query.clear();
        let _ = write!(
            self.query,
            "symbol=BTCUSDT&side={side}&type=LIMIT_MAKER&quantity=0.01000&price={}.{:02}&newClientOrderId=thin-{}\
             &newOrderRespType=ACK",
            price_e8 / 100_000_000,
            price_e8 % 100_000_000 / TICK_E8,
            self.placed
        );
        self.sign();
        self.text.clear();
        let _ = write!(
            self.text,
            "POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1\r\nX-MBX-APIKEY: thin\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{}",
            self.query.len(),
            self.query
        );
        self.text.as_bytes()
    }

    fn cancel(&mut self, number: u64) -> &[u8] {
        self.query.clear();
        let _ = write!(self.query, "symbol=BTCUSDT&origClientOrderId=thin-{number}");
        self.sign();
        self.text.clear();
        let _ = write!(
            self.text,
            "DELETE /api/v3/order?{} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-MBX-APIKEY: thin\r\n\r\n",
            self.query
        );
        self.text.as_bytes()
    }
}

/// Makes a market until the market data ends.
///
/// # Errors
/// When a socket fails, or the market data has a gap.
pub fn run(port: u16, wait: Wait) -> io::Result<()> {
    let mut market = Socket::market(port, wait)?;
    // Placements of both sides, cancels of both sides.
    let mut lanes = (0..4).map(|_| Socket::orders(port)).collect::<io::Result<Vec<_>>>()?;
    let mut book = Book::default();
    lanes[0].send(b"GET /api/v3/depth?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let answer = loop {
        if let Some(answer) = lanes[0].inbox.message() {
            break answer;
        }
        if lanes[0].fill()? == Got::End {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    };
    book.snapshot(lanes[0].inbox.bytes(&answer.body));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut orders = Orders { key, query: String::with_capacity(512), text: String::with_capacity(1024), placed: 0 };
    let mut old: Option<[u64; 2]> = None;
    loop {
        while let Some(frame) = market.inbox.frame() {
            if frame.opcode != 1 || !book.diff(market.inbox.bytes(&frame.payload))? {
                continue;
            }
            let Some(mid) = book.mid_e8() else { continue };
            // Bid down, ask up, to the tick.
            let bid = (mid - HALF_SPREAD_E8).div_euclid(TICK_E8) * TICK_E8;
            let ask = -((-(mid + HALF_SPREAD_E8)).div_euclid(TICK_E8)) * TICK_E8;
            lanes[0].send(orders.place("BUY", bid))?;
            lanes[1].send(orders.place("SELL", ask))?;
            let new = [orders.placed - 1, orders.placed];
            if let Some([bid, ask]) = old.replace(new) {
                lanes[2].send(orders.cancel(bid))?;
                lanes[3].send(orders.cancel(ask))?;
            }
        }
        let got = market.fill()?;
        if got == Got::End {
            return Ok(());
        }
        if got == Got::Nothing || wait == Wait::Block {
            for lane in &mut lanes {
                lane.drain()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::bench::market::Market;

    #[test]
    fn its_book_is_the_markets_after_every_tick() {
        let (mut market, mut book) = (Market::new(3), Book::default());
        book.snapshot(market.snapshot().as_bytes());
        for _ in 0..500 {
            let text = market.tick(1).to_owned();
            assert!(book.diff(text.as_bytes()).unwrap());
            assert!(!book.diff(text.as_bytes()).unwrap(), "the same again is old");
            let [bids, asks] = market.sides_e8();
            assert_eq!(book.bids.iter().rev().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), bids);
            assert_eq!(book.asks.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), asks);
            assert_eq!(book.mid_e8(), Some(market.mid_e8()));
        }
        market.tick(1);
        let skipped = market.tick(1).to_owned();
        assert!(book.diff(skipped.as_bytes()).is_err(), "a gap is noticed");
    }
}
