//! What a socket of the hot path is asked to do: send at once, and let its reader poll the card.

use mio::net::TcpStream;
use socket2::SockRef;

/// Sets `TCP_NODELAY` and, unless `busy_poll_us` is 0, `SO_BUSY_POLL`. What was refused is told, with its reason; an empty
/// list when all was granted. A refusal costs time, not correctness.
pub fn settle(socket: &TcpStream, busy_poll_us: u32) -> Vec<String> {
    let mut refused = Vec::new();
    // Orders and pongs are small: waiting to fill a segment would only delay them.
    if let Err(error) = socket.set_nodelay(true) {
        refused.push(format!("TCP_NODELAY is refused: {error}"));
    }
    // A read that finds nothing asks the card itself instead of waiting for its interrupt; loopback has no card to ask.
    if busy_poll_us > 0
        && let Err(error) = SockRef::from(socket).set_busy_poll(busy_poll_us)
    {
        refused.push(format!(
            "SO_BUSY_POLL is refused: {error}; it needs CAP_NET_ADMIN, or net.core.busy_read set for all sockets"
        ));
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_does_what_it_was_granted_and_tells_what_it_was_not() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let refused = settle(&socket, 50);
        assert!(socket.nodelay().unwrap());
        let polled_us = SockRef::from(&socket).busy_poll().unwrap();
        match refused.as_slice() {
            [] => assert_eq!(polled_us, 50),
            [why] => assert!(why.starts_with("SO_BUSY_POLL is refused") && polled_us != 50, "{why}"),
            more => panic!("{more:?}"),
        }
        assert_eq!(settle(&TcpStream::connect(server.local_addr().unwrap()).unwrap(), 0), Vec::<String>::new());
    }
}
