//! Names of public streams: `btcusdt@depth@100ms` and its kin.

use std::fmt;

use crate::types::InstrumentId;

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKind {
    /// Diffs of the book every 100 ms.
    DepthFast,
    /// Diffs of the book every second.
    DepthSlow,
    /// The best levels, every 100 ms.
    PartialFast(u8),
    /// The best levels, every second.
    PartialSlow(u8),
    /// Every match.
    Trade,
    /// Every taker order and price.
    AggTrade,
    /// Best bid and ask.
    BookTicker,
    /// Best bid and ask, in SBE only.
    BestBidAsk,
    /// One-minute candles.
    Candle,
}

/// Where a connection came in. USD-M tells what it aggregates at another address than books and prints, and says nothing
/// when a stream is asked for at the wrong one: it is granted, and never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Entry {
    /// One address for all streams.
    #[default]
    One,
    /// `/public`: what the matching engine tells.
    Public,
    /// `/market`: what is aggregated from it.
    Market,
}

impl Entry {
    /// Whether a stream of that kind is ever told there.
    pub fn tells(self, kind: StreamKind) -> bool {
        let is_aggregated = matches!(kind, StreamKind::AggTrade | StreamKind::Candle);
        match self {
            Entry::One => true,
            Entry::Public => !is_aggregated,
            Entry::Market => is_aggregated,
        }
    }
}

/// A stream of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamName {
    /// Which symbol.
    pub symbol: InstrumentId,
    /// What of it.
    pub kind: StreamKind,
}

impl StreamName {
    /// Reads a name; `find` knows the symbols by their upper-case name. `None` for what this venue does not stream.
    pub fn parse(text: &str, find: impl Fn(&str) -> Option<InstrumentId>) -> Option<StreamName> {
        let (symbol, rest) = text.split_once('@')?;
        let kind = match rest {
            "depth" | "depth@1000ms" => StreamKind::DepthSlow,
            "depth@100ms" => StreamKind::DepthFast,
            "trade" => StreamKind::Trade,
            "aggTrade" => StreamKind::AggTrade,
            "bookTicker" => StreamKind::BookTicker,
            "kline_1m" => StreamKind::Candle,
            _ => {
                let (levels, cadence) = match rest.strip_prefix("depth")?.split_once('@') {
                    None => (rest.strip_prefix("depth")?, "1000ms"),
                    Some(both) => both,
                };
                let levels: u8 = levels.parse().ok().filter(|levels| matches!(levels, 5 | 10 | 20))?;
                match cadence {
                    "100ms" => StreamKind::PartialFast(levels),
                    "1000ms" => StreamKind::PartialSlow(levels),
                    _ => return None,
                }
            }
        };
        // Names are lower case; Binance treats the symbol's case loosely in neither direction.
        if symbol.chars().any(char::is_uppercase) {
            return None;
        }
        Some(StreamName { symbol: find(&symbol.to_uppercase())?, kind })
    }

    /// Reads the name of a stream of the SBE endpoint, where each has one cadence: the fastest that this venue has.
    pub fn parse_binary(text: &str, find: impl Fn(&str) -> Option<InstrumentId>) -> Option<StreamName> {
        let (symbol, rest) = text.split_once('@')?;
        let kind = match rest {
            "trade" => StreamKind::Trade,
            "bestBidAsk" => StreamKind::BestBidAsk,
            "depth" => StreamKind::DepthFast,
            "depth20" => StreamKind::PartialFast(20),
            _ => return None,
        };
        if symbol.chars().any(char::is_uppercase) {
            return None;
        }
        Some(StreamName { symbol: find(&symbol.to_uppercase())?, kind })
    }

    /// The stream's name in the venue's spelling.
    pub fn text(&self, symbol: &str) -> String {
        format!("{}@{}", symbol.to_lowercase(), self.kind)
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamKind::DepthFast => f.write_str("depth@100ms"),
            StreamKind::DepthSlow => f.write_str("depth"),
            StreamKind::PartialFast(levels) => write!(f, "depth{levels}@100ms"),
            StreamKind::PartialSlow(levels) => write!(f, "depth{levels}"),
            StreamKind::Trade => f.write_str("trade"),
            StreamKind::AggTrade => f.write_str("aggTrade"),
            StreamKind::BookTicker => f.write_str("bookTicker"),
            StreamKind::BestBidAsk => f.write_str("bestBidAsk"),
            StreamKind::Candle => f.write_str("kline_1m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_are_refused() {
        let find = |name: &str| (name == "BTCUSDT").then_some(InstrumentId(3));
        for name in [
            "btcusdt@depth",
            "btcusdt@depth@100ms",
            "btcusdt@depth5",
            "btcusdt@depth20@100ms",
            "btcusdt@trade",
            "btcusdt@aggTrade",
            "btcusdt@bookTicker",
            "btcusdt@kline_1m",
        ] {
            let stream = StreamName::parse(name, find).unwrap();
            assert_eq!(stream.text("BTCUSDT"), name);
        }
        for name in
            ["", "btcusdt", "ethusdt@trade", "BTCUSDT@trade", "btcusdt@depth7", "btcusdt@depth@50ms", "btcusdt@ticker"]
        {
            assert_eq!(StreamName::parse(name, find), None, "{name}");
        }
        for name in ["btcusdt@trade", "btcusdt@bestBidAsk", "btcusdt@depth", "btcusdt@depth20"] {
            let stream = StreamName::parse_binary(name, find).unwrap();
            assert_eq!(stream.text("BTCUSDT").trim_end_matches("@100ms"), name);
        }
        for name in ["btcusdt@bookTicker", "btcusdt@aggTrade", "btcusdt@depth@100ms", "btcusdt@depth5", "x@depth"] {
            assert_eq!(StreamName::parse_binary(name, find), None, "{name}");
        }
        assert_eq!(StreamName::parse("btcusdt@bestBidAsk", find), None);
    }
}
