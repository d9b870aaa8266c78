//! Floor 3: WebSocket connections.
//!
//! Owns sockets, TLS, handshakes, back-off and the subscription of market streams. Driven by the feed tile, one poll at a
//! time, never blocking. It reads the answer to its own subscription and decodes nothing else: frames go out as bytes.

mod backoff;
mod connection;
mod frames;
mod mirror;
mod pace;
mod relay;
mod resolve;
mod said;
mod socket;
mod stream;
mod talk;
mod tls;

pub use backoff::Backoff;
pub use connection::{Connection, Event, Loss, Wait};
pub use mirror::FarEnd;
pub use relay::{Relay, RelayEvent, RelayPlan};
pub use stream::StampedStream;
pub use talk::Payload;
pub use tls::{TlsError, client_config};

use crate::venue::binance::control::STREAMS_A_CONNECTION;

/// Deals symbols over connections in turn, by their places in the list: over so many, or over more where one would carry
/// more streams than a venue allows. All streams of a symbol are on one connection, which keeps their order.
pub fn deal(symbols: usize, streams_a_symbol: usize, connections: usize) -> Vec<Vec<usize>> {
    let room = (STREAMS_A_CONNECTION / streams_a_symbol.max(1)).max(1);
    let count = connections.max(symbols.div_ceil(room)).min(symbols);
    (0..count).map(|first| (first..symbols).step_by(count).collect()).collect()
}

#[cfg(test)]
#[path = "../../tests/common/tls.rs"]
pub(crate) mod local_tls;

#[cfg(test)]
mod tests {
    use super::deal;

    #[test]
    fn symbols_are_dealt_in_turn_and_no_connection_carries_more_than_it_may() {
        assert_eq!(deal(3, 3, 1), [vec![0, 1, 2]]);
        assert_eq!(deal(5, 3, 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(deal(2, 3, 7), [vec![0], vec![1]], "none without a symbol");
        for (symbols, streams, wanted) in [(341, 3, 1), (342, 3, 1), (600, 4, 2), (1_025, 1, 1), (2_000, 3, 4)] {
            let dealt = deal(symbols, streams, wanted);
            assert!(dealt.len() >= wanted && dealt.iter().all(|one| !one.is_empty() && one.len() * streams <= 1_024));
            let mut all: Vec<usize> = dealt.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..symbols), "each once");
        }
        assert_eq!((deal(341, 3, 1).len(), deal(342, 3, 1).len()), (1, 2));
    }
}
