//! Floor 2: protocols of venues: codecs, signing, filters. No sockets.

pub mod binance;
