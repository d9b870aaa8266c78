//! Floor 3: market-data and user-data sockets.
