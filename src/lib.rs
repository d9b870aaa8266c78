//! Touchline: a low-latency market-making engine for Binance-protocol venues.
//!
//! Modules stand on floors and import only lower ones; `tests/floors.rs` proves it. Read `topology` for the wiring,
//! `pipeline` for the decisions and `types` for the words.

// Floor 0
pub mod types;
// Floor 1
pub mod book;
pub mod matching;
pub mod metrics;
pub mod models;
pub mod stats;
pub mod wire;
// Floor 2
pub mod kpi;
pub mod pipeline;
pub mod sim;
pub mod venue;
// Floor 3
pub mod archive;
pub mod feed;
pub mod gateway;
pub mod import;
pub mod journal;
pub mod redis;
pub mod report;
pub mod server;
pub mod train;
// Floor 4
pub mod tiles;
pub mod topology;
// Floor 5
pub mod cli;
pub mod config;
pub mod run;
