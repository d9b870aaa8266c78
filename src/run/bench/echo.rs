//! The echo: on any frame, one request that was made beforehand. What the sockets and the kernel cost, and nothing else.
//!
//! A baseline: it is changed only in a commit of its own, because figures of different days are compared by it.

use std::io;

use super::bot::{Socket, Wait};
use super::inbox::Got;

const BODY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01000&price=64997.00&newClientOrderId=echo-0\
                    &newOrderRespType=ACK&recvWindow=5000&timestamp=1700000000000&signature=\
                    0000000000000000000000000000000000000000000000000000000000000000";

/// Echoes until the market data ends.
///
/// # Errors
/// When a socket fails.
pub fn run(port: u16, wait: Wait) -> io::Result<()> {
    let mut market = Socket::market(port, wait)?;
    let mut orders = Socket::orders(port)?;
    let request = format!(
        "POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1\r\nX-MBX-APIKEY: echo\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    loop {
        while market.inbox.frame().is_some() {
            orders.send(request.as_bytes())?;
        }
        match market.fill()? {
            Got::Bytes => {}
            Got::Nothing => orders.drain()?,
            Got::End => return Ok(()),
        }
        if wait == Wait::Block {
            orders.drain()?;
        }
    }
}
