//! Floor 3: the embedded venue's HTTP and WebSocket front, /metrics and the dashboard.

pub mod alerts;
pub mod dashboard;
pub mod metrics;
pub mod venue;
pub mod view;
