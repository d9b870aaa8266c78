//! Floor 3: WebSocket connections.
//!
//! Owns sockets, TLS, handshakes, back-off and the subscription of the user-data stream. Driven by the feed tile, one
//! poll at a time, never blocking. It decodes nothing and decides nothing: frames go out as bytes.

mod backoff;
mod connection;
mod relay;
mod resolve;
mod socket;
mod stream;
mod tls;

pub use backoff::Backoff;
pub use connection::{Connection, Event, Loss, Wait};
pub use relay::{Relay, RelayEvent, RelayPlan};
pub use stream::StampedStream;
pub use tls::{TlsError, client_config};

/// The url of a combined stream: `<ws>/stream?streams=<symbol>@<stream>/…`.
pub fn combined_stream_url(ws_url: &str, symbols: &[String], streams: &[&str]) -> String {
    let mut url = format!("{ws_url}/stream?streams=");
    for (index, (symbol, stream)) in
        symbols.iter().flat_map(|symbol| streams.iter().map(move |stream| (symbol, stream))).enumerate()
    {
        if index > 0 {
            url.push('/');
        }
        url.push_str(&symbol.to_lowercase());
        url.push('@');
        url.push_str(stream);
    }
    url
}

#[cfg(test)]
mod tests {
    #[test]
    fn stream_names_are_lower_case_and_joined_by_slashes() {
        let symbols = ["BTCUSDT".to_owned(), "ETHUSDT".to_owned()];
        assert_eq!(
            super::combined_stream_url("ws://127.0.0.1:1", &symbols, &["depth@100ms", "trade"]),
            "ws://127.0.0.1:1/stream?streams=btcusdt@depth@100ms/btcusdt@trade/ethusdt@depth@100ms/ethusdt@trade"
        );
    }
}
